//! What is left of a mapping and of a site when everything is known: the compiled form that the core and the adapters
//! use. Nothing here can be wrong; [`crate::compile`] and [`crate::site`] make it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::port::{DeviceId, PointId};
use crate::transform::Transform;

/// A device model: what kinds of things a device of this model can sense and do, and how to reach them.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// `vendor.model`.
    pub profile: String,
    /// `major.minor.patch`.
    pub version: String,
    /// `ProxiedDevice.{i}.Type`.
    pub device_type: String,
    /// `ProxiedDevice.{i}.Description`.
    pub description: String,
    /// In the order of the file; a capability's place is its [`PointId`].
    pub capabilities: Vec<Capability>,
    /// Poll groups by period, in the order of the file.
    pub poll_groups: Vec<PollGroup>,
    /// When the device counts as offline, and how it is probed then.
    pub online: OnlineRule,
    /// The protocol and its options.
    pub protocol: Protocol,
}

/// A named polling period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollGroup {
    /// As the file calls it.
    pub name: String,
    /// From the start of one round to the start of the next.
    pub every: Duration,
    /// Its capabilities.
    pub points: Vec<PointId>,
}

/// When a device counts as offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineRule {
    /// So many exchanges without any answer in a row.
    pub fails: u32,
    /// Pause before the first probe of an offline device.
    pub backoff_min: Duration,
    /// Longest pause between probes.
    pub backoff_max: Duration,
}

/// One row of `IoTCapability.{i}.`.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// Key in the mapping file: the stable identity of the row.
    pub id: String,
    /// Initial `Name`.
    pub name: String,
    /// `Class`.
    pub class: Class,
    /// `Type` of the class object.
    pub kind: String,
    /// `Description` of the class object.
    pub description: String,
    /// `Unit` (LevelControl, LevelSensor, MultiLevelSensor).
    pub unit: Option<String>,
    /// `MinValue` and `MaxValue` (LevelControl), or the range that a reading must lie in (`valid`).
    pub range: Option<(Decimal, Decimal)>,
    /// `StepValue`'s initial value; `None`: no step commands (LevelControl).
    pub step: Option<Decimal>,
    /// `ValidValues` (EnumControl, EnumSensor), in the order of steps.
    pub valid_values: Vec<String>,
    /// `ValueNames` (MultiLevelSensor).
    pub value_names: Vec<String>,
    /// `LowLevelThreshold`'s initial value; `None`: not offered (LevelSensor).
    pub low_threshold: Option<Decimal>,
    /// `HighLevelThreshold`'s initial value; `None`: not offered (LevelSensor).
    pub high_threshold: Option<Decimal>,
    /// A change smaller than this is no change (Number only).
    pub deadband: Option<Decimal>,
    /// A reading older than this is no longer fresh. Two poll periods unless the file says otherwise; zero for a point
    /// that is read on demand only.
    pub max_age: Duration,
    /// Whether a reading that is not Good is still shown.
    pub serve_stale: bool,
    /// How long one read may take, from call to reply.
    pub read_within: Duration,
    /// Whether and how it can be read.
    pub read: Option<ReadBinding>,
    /// Whether and how it can be written.
    pub write: Option<WriteBinding>,
}

/// `IoTCapability.{i}.Class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A two-state actuator.
    BinaryControl,
    /// A numeric actuator.
    LevelControl,
    /// An actuator with named states.
    EnumControl,
    /// A two-state sensor.
    BinarySensor,
    /// A numeric sensor.
    LevelSensor,
    /// Several related numbers.
    MultiLevelSensor,
    /// A sensor with named states.
    EnumSensor,
    /// Raw bytes.
    BlobSensor,
}

impl Class {
    /// The name of the class and of its object.
    pub fn name(self) -> &'static str {
        match self {
            Self::BinaryControl => "BinaryControl",
            Self::LevelControl => "LevelControl",
            Self::EnumControl => "EnumControl",
            Self::BinarySensor => "BinarySensor",
            Self::LevelSensor => "LevelSensor",
            Self::MultiLevelSensor => "MultiLevelSensor",
            Self::EnumSensor => "EnumSensor",
            Self::BlobSensor => "BlobSensor",
        }
    }

    /// The name with its article.
    pub(crate) fn a_name(self) -> String {
        let article = if self.name().starts_with('E') { "an" } else { "a" };
        format!("{article} {}", self.name())
    }

    /// Whether Controllers may set its Value.
    pub fn is_control(self) -> bool {
        matches!(self, Self::BinaryControl | Self::LevelControl | Self::EnumControl)
    }
}

/// How a capability is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBinding {
    /// Where the raw value is.
    pub point: ReadPoint,
    /// From the raw value to the capability's.
    pub transform: Transform,
    /// `None`: on demand only.
    pub poll: Option<Duration>,
}

/// How a capability is written.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBinding {
    /// Where the raw value goes.
    pub point: WritePoint,
    /// From the capability's value to the raw one.
    pub transform: Transform,
    /// Read back and compare, for at most this long; `None`: the protocol's acknowledgement is enough.
    pub verify: Option<Duration>,
    /// A write that could not be sent within this time is dropped.
    pub ttl: Duration,
    /// Whether waiting writes may be merged into the newest.
    pub coalesce: bool,
    /// Whether the core may write the former value back when another part of an all-or-nothing request fails.
    pub undo: bool,
}

/// Where a protocol finds a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadPoint {
    /// Modbus.
    Modbus(ModbusPoint),
}

/// Where a protocol puts a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WritePoint {
    /// Modbus.
    Modbus {
        /// Coil or holding registers.
        point: ModbusPoint,
        /// Which function writes it.
        function: ModbusWriteFunction,
        /// The bits outside `point.bits` are kept: read, modify, write.
        read_modify_write: bool,
    },
}

/// A place in a Modbus device. Addresses are PDU addresses, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModbusPoint {
    /// Which table.
    pub table: ModbusTable,
    /// First register, coil or discrete input.
    pub address: u16,
    /// How many registers the value takes: 1 for bits and 16-bit numbers, 2 for 32-bit ones, 4 for 64-bit ones.
    pub count: u16,
    /// How the registers make a number. Ignored for coils and discrete inputs.
    pub encoding: RegisterEncoding,
    /// Byte and word order.
    pub order: ByteOrder,
    /// First and last bit, both included, 0 the least significant; `None`: the whole.
    pub bits: Option<(u8, u8)>,
}

/// One of the four Modbus tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModbusTable {
    /// Functions 1, 5, 15.
    Coil,
    /// Function 2.
    Discrete,
    /// Functions 3, 6, 16, 22, 23.
    Holding,
    /// Function 4.
    Input,
}

/// How registers make a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterEncoding {
    /// Unsigned, 16 bit.
    U16,
    /// Two's complement, 16 bit.
    S16,
    /// Unsigned, 32 bit.
    U32,
    /// Two's complement, 32 bit.
    S32,
    /// Unsigned, 64 bit.
    U64,
    /// Two's complement, 64 bit.
    S64,
    /// IEEE 754, 32 bit.
    F32,
    /// IEEE 754, 64 bit.
    F64,
}

/// Order of the bytes A (most significant) to D of a 32-bit value as they come over the wire; 64-bit values and single
/// registers follow the same pattern (`BADC` and `DCBA` swap the bytes within each register).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// Big-endian words and bytes: the Modbus default.
    #[default]
    Abcd,
    /// Little-endian words of big-endian bytes.
    Cdab,
    /// Big-endian words of little-endian bytes.
    Badc,
    /// Little-endian words and bytes.
    Dcba,
}

/// Which function writes a Modbus point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModbusWriteFunction {
    /// 5: one coil.
    SingleCoil,
    /// 15: coils.
    MultipleCoils,
    /// 6: one register.
    SingleRegister,
    /// 16: registers.
    MultipleRegisters,
}

/// A protocol's options for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Modbus.
    Modbus(ModbusOptions),
}

/// What a Modbus device can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModbusOptions {
    /// Most registers in one read, 1 to 125.
    pub max_registers: u16,
    /// Most coils or discrete inputs in one read, 1 to 2000.
    pub max_bits: u16,
    /// Unwanted registers that may be read along to save a request.
    pub max_gap: u16,
    /// Pause between the answer to one request and the next request.
    pub guard: Duration,
    /// How long one exchange on the wire may take.
    pub timeout: Duration,
}

/// A compiled site file: every bus and device of one hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// In the order of the file.
    pub buses: Vec<Bus>,
    /// In the order of the file.
    pub devices: Vec<Device>,
}

/// One medium with one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// As the file calls it.
    pub name: String,
    /// What it is.
    pub kind: BusKind,
}

/// A bus' protocol and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// Modbus TCP.
    ModbusTcp {
        /// `host:port`; a name is resolved at each connection.
        address: BusAddress,
    },
    /// Modbus RTU frames over TCP, as transparent serial device servers carry them.
    ModbusRtuTcp {
        /// `host:port`; a name is resolved at each connection.
        address: BusAddress,
    },
    /// Modbus RTU on a serial line.
    ModbusRtu(SerialLine),
}

/// A serial port and how its line is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialLine {
    /// Device file, such as `/dev/serial/by-id/usb-FTDI_FT232R-if00-port0`.
    pub port: String,
    /// Bits a second.
    pub baud: u32,
    /// Parity bit of each character.
    pub parity: Parity,
    /// Stop bits of each character: 1 or 2.
    pub stop_bits: u8,
}

impl SerialLine {
    /// Bits of one character on the line: start, eight of data, parity, stop.
    pub fn bits_per_character(&self) -> u32 {
        let parity = u32::from(self.parity != Parity::None);
        1 + 8 + parity + u32::from(self.stop_bits)
    }
}

/// Parity of characters on a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// A network address as the site file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// A literal address.
    Socket(SocketAddr),
    /// A host name and a port.
    Host(String, u16),
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// One device of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Key in the site file.
    pub id: DeviceId,
    /// Initial `ProxiedDevice.{i}.Name`.
    pub name: String,
    /// Its model.
    pub mapping: Arc<Mapping>,
    /// Name of its bus.
    pub bus: String,
    /// Its address on the bus.
    pub address: DeviceAddress,
}

/// A device's address on its bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAddress {
    /// Modbus unit identifier, 0 to 255.
    ModbusUnit(u8),
}
