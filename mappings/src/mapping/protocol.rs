//! Where the compiled language meets the protocols: what each has in common with no other. A new protocol adds a variant
//! to each of these, and its own types in a module beside [`crate::modbus`].

use super::site::{BusAddress, SerialLine};
use crate::ble::{BleAddress, BleOptions, BleRadio, BleRead, BleWrite};
use crate::coap::{CoapAddress, CoapEndpoint, CoapOptions, CoapRead, CoapWrite};
use crate::line::{LineBus, LineOptions, LinePort, LineRead, LineWrite};
use crate::modbus::{ModbusOptions, ModbusPoint, ModbusWriteFunction};
use crate::mqtt::{MqttOptions, MqttRead, MqttServer, MqttWrite};
use crate::transform::RawKind;
use crate::zigbee::{Ieee, ZigbeeBus, ZigbeeOptions, ZigbeeRead, ZigbeeWrite};

/// A protocol that devices speak. A mapping has the one whose section it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolKind {
    /// Modbus, which a mapping without any section speaks too.
    #[default]
    Modbus,
    /// MQTT.
    Mqtt,
    /// CoAP.
    Coap,
    /// Texts and telegrams of a serial line, as the mapping describes them.
    Line,
    /// Bluetooth Low Energy.
    Ble,
    /// Zigbee.
    Zigbee,
}

impl ProtocolKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Modbus, Self::Mqtt, Self::Coap, Self::Line, Self::Ble, Self::Zigbee];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modbus => "Modbus",
            Self::Mqtt => "MQTT",
            Self::Coap => "CoAP",
            Self::Line => "a serial line",
            Self::Ble => "Bluetooth",
            Self::Zigbee => "Zigbee",
        }
    }

    /// Its section in a mapping file.
    pub fn section(self) -> &'static str {
        match self {
            Self::Modbus => "modbus",
            Self::Mqtt => "mqtt",
            Self::Coap => "coap",
            Self::Line => "line",
            Self::Ble => "ble",
            Self::Zigbee => "zigbee",
        }
    }
}

/// Where a protocol finds a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadPoint {
    /// Modbus.
    Modbus(ModbusPoint),
    /// MQTT.
    Mqtt(MqttRead),
    /// CoAP.
    Coap(CoapRead),
    /// A serial line.
    Line(LineRead),
    /// Bluetooth.
    Ble(BleRead),
    /// Zigbee.
    Zigbee(ZigbeeRead),
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
    /// MQTT.
    Mqtt(MqttWrite),
    /// CoAP.
    Coap(CoapWrite),
    /// A serial line.
    Line(LineWrite),
    /// Bluetooth.
    Ble(BleWrite),
    /// Zigbee.
    Zigbee(ZigbeeWrite),
}

/// A protocol's options for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Modbus.
    Modbus(ModbusOptions),
    /// MQTT.
    Mqtt(MqttOptions),
    /// CoAP.
    Coap(CoapOptions),
    /// A serial line.
    Line(LineOptions),
    /// Bluetooth.
    Ble(BleOptions),
    /// Zigbee.
    Zigbee(ZigbeeOptions),
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
    /// A server of MQTT.
    Mqtt(MqttServer),
    /// CoAP over UDP.
    Coap(CoapEndpoint),
    /// A serial line with devices that have a way of their own to speak.
    Line(LineBus),
    /// A radio for Bluetooth.
    Ble(BleRadio),
    /// A Zigbee coordinator and its network.
    Zigbee(ZigbeeBus),
}

/// A device's address on its bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAddress {
    /// Modbus unit identifier, 0 to 255.
    ModbusUnit(u8),
    /// What `~` stands for in the topics of its mapping.
    MqttTopic(String),
    /// CoAP host, and perhaps a key.
    Coap(CoapAddress),
    /// On a serial line none: what tells devices on one line apart is in what they are asked.
    Line,
    /// Bluetooth address, and perhaps keys.
    Ble(BleAddress),
    /// IEEE address of a Zigbee device.
    Zigbee(Ieee),
}

impl ReadPoint {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Modbus(point) => point.raw_kind(),
            Self::Mqtt(read) => read.pick.raw_kind(),
            Self::Coap(read) => read.pick.raw_kind(),
            Self::Line(read) => read.raw_kind(),
            Self::Ble(read) => read.raw_kind(),
            Self::Zigbee(read) => read.raw_kind(),
        }
    }

    /// The place of a Modbus device.
    pub fn modbus(&self) -> Option<&ModbusPoint> {
        match self {
            Self::Modbus(point) => Some(point),
            Self::Mqtt(_) | Self::Coap(_) | Self::Line(_) | Self::Ble(_) | Self::Zigbee(_) => None,
        }
    }
}

impl WritePoint {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Modbus { point, .. } => point.raw_kind(),
            Self::Mqtt(write) => write.put.kind,
            Self::Coap(write) => write.put.kind,
            Self::Line(write) => write.form.kind,
            Self::Ble(write) => write.raw_kind(),
            Self::Zigbee(write) => write.raw_kind(),
        }
    }

    /// The place of a Modbus device, the function that writes it, and whether its other bits are kept.
    pub fn modbus(&self) -> Option<(&ModbusPoint, ModbusWriteFunction, bool)> {
        match self {
            Self::Modbus { point, function, read_modify_write } => {
                Some((point, *function, *read_modify_write))
            }
            Self::Mqtt(_) | Self::Coap(_) | Self::Line(_) | Self::Ble(_) | Self::Zigbee(_) => None,
        }
    }
}

impl Protocol {
    /// The options of a Modbus device.
    pub fn modbus(&self) -> Option<&ModbusOptions> {
        match self {
            Self::Modbus(options) => Some(options),
            Self::Mqtt(_) | Self::Coap(_) | Self::Line(_) | Self::Ble(_) | Self::Zigbee(_) => None,
        }
    }

    /// Which it is.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Modbus(_) => ProtocolKind::Modbus,
            Self::Mqtt(_) => ProtocolKind::Mqtt,
            Self::Coap(_) => ProtocolKind::Coap,
            Self::Line(_) => ProtocolKind::Line,
            Self::Ble(_) => ProtocolKind::Ble,
            Self::Zigbee(_) => ProtocolKind::Zigbee,
        }
    }
}

impl BusKind {
    /// The protocol that is spoken on it.
    pub fn protocol(&self) -> ProtocolKind {
        match self {
            Self::ModbusTcp { .. } | Self::ModbusRtuTcp { .. } | Self::ModbusRtu(_) => ProtocolKind::Modbus,
            Self::Mqtt(_) => ProtocolKind::Mqtt,
            Self::Coap(_) => ProtocolKind::Coap,
            Self::Line(_) => ProtocolKind::Line,
            Self::Ble(_) => ProtocolKind::Ble,
            Self::Zigbee(_) => ProtocolKind::Zigbee,
        }
    }

    /// Where it is, for people and logs: `modbus-tcp` and `192.168.1.20:502`.
    pub fn described(&self) -> (&'static str, String) {
        match self {
            Self::ModbusTcp { address } => ("modbus-tcp", address.to_string()),
            Self::ModbusRtuTcp { address } => ("modbus-rtu-tcp", address.to_string()),
            Self::ModbusRtu(line) => ("modbus-rtu", line.port.clone()),
            Self::Mqtt(server) => ("mqtt", server.address.to_string()),
            Self::Coap(endpoint) => {
                ("coap", endpoint.local.map_or_else(|| "any".to_owned(), |local| local.to_string()))
            }
            Self::Line(LineBus { port: LinePort::Serial(port), .. }) => ("line", port.clone()),
            Self::Line(LineBus { port: LinePort::Tcp(address), .. }) => ("line-tcp", address.to_string()),
            Self::Ble(radio) => ("ble", radio.adapter.to_string()),
            Self::Zigbee(bus) => ("zigbee", bus.described()),
        }
    }
}

impl DeviceAddress {
    /// The unit identifier of a Modbus device.
    pub fn unit(&self) -> Option<u8> {
        match self {
            Self::ModbusUnit(unit) => Some(*unit),
            Self::MqttTopic(_) | Self::Coap(_) | Self::Line | Self::Ble(_) | Self::Zigbee(_) => None,
        }
    }
}
