//! What is left of a mapping and of a site when everything is known: the compiled form that the core and the adapters
//! use. Nothing here can be wrong; [`crate::compile`] and [`crate::site`] make it.

mod binding;
mod command;
mod protocol;
mod site;

use std::time::Duration;

use rust_decimal::Decimal;

pub use self::binding::{Poll, ReadBinding, ReadPart, Verify, WriteBinding};
pub use self::command::{
    ArgKind, Command, CommandArg, CommandStep, Event, EventArg, Fingerprint, Made, StepValue, Trigger,
};
pub use self::protocol::{BusKind, DeviceAddress, Protocol, ProtocolKind, ReadPoint, WritePoint};
pub use self::site::{Bus, BusAddress, Device, Parity, SerialLine, Site};
pub use crate::ble::{
    BleAdapter, BleAddress, BleAnswer, BleAsk, BleChar, BleConnect, BleHeard, BleMatch, BleOptions, BlePair,
    BlePick, BlePut, BleRadio, BleRead, BleShape, BleSource, BleUuid, BleWrite, Mac,
};
pub use crate::coap::{CoapAddress, CoapEndpoint, CoapMethod, CoapOptions, CoapPsk, CoapRead, CoapWrite};
pub use crate::line::{
    LineAsk, LineBus, LineManner, LineOptions, LinePick, LinePort, LineRead, LineSettings, LineText,
    LineWrite,
};
pub use crate::modbus::{
    ByteHalf, ByteOrder, ModbusOptions, ModbusPoint, ModbusTable, ModbusWriteFunction, PerTable,
    RegisterEncoding,
};
pub use crate::mqtt::{
    AdoptedFrom, Adoption, MqttAvailability, MqttOptions, MqttRead, MqttSend, MqttServer, MqttTls,
    MqttVersion, MqttWrite, filter_matches, on_device,
};
use crate::port::PointId;
pub use crate::secret::SecretRef;
use crate::value::{Value, decimal_text};
pub use crate::zigbee::{
    Ieee, ZclType, ZigbeeAttribute, ZigbeeBus, ZigbeeBy, ZigbeeCall, ZigbeeFlow, ZigbeeFrame, ZigbeeFrom,
    ZigbeeHeard, ZigbeeNcp, ZigbeeOptions, ZigbeePort, ZigbeeRead, ZigbeeReport, ZigbeeReporting,
    ZigbeeSetup, ZigbeeWord, ZigbeeWrite,
};

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
    /// The rows of `Node.{i}.`, in the order of the file; a node's place is its [`NodeId`].
    pub nodes: Vec<Node>,
    /// In the order of the file, those of nodes last; a capability's place is its [`PointId`].
    pub capabilities: Vec<Capability>,
    /// Windows of BinarySensors that the device itself holds. They are read and written as the points that follow those of
    /// the capabilities.
    pub settings: Vec<Setting>,
    /// Commands of the vendor; a command's place is its [`CommandId`](crate::port::CommandId).
    pub commands: Vec<Command>,
    /// Events of the vendor. What they are seen by is read as the points that follow those of the settings.
    pub events: Vec<Event>,
    /// Poll groups by period, in the order of the file.
    pub poll_groups: Vec<PollGroup>,
    /// When the device counts as offline, and how it is probed then.
    pub online: OnlineRule,
    /// What a scan knows devices of this model by; all must fit. Empty: they cannot be told apart.
    pub fingerprint: Vec<Fingerprint>,
    /// The protocol and its options.
    pub protocol: Protocol,
}

/// Place of a node in [`Mapping::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// One row of `ProxiedDevice.{i}.Node.{i}.`: a part of a device that has capabilities of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Key in the mapping file: the stable identity of the row.
    pub id: String,
    /// `Type`.
    pub kind: String,
    /// `Description`.
    pub description: String,
}

/// What has a [`PointId`]: a capability, a setting, or what an event is seen by.
#[derive(Clone, Copy, Debug)]
pub struct Point<'m> {
    /// Its place.
    pub id: PointId,
    /// Key of the capability or setting or name of the event, with its node: `left.switch`.
    pub name: &'m str,
    /// What its readings are like.
    pub class: Class,
    /// Whether and how it is read.
    pub read: Option<&'m ReadBinding>,
    /// Whether and how it is written.
    pub write: Option<&'m WriteBinding>,
}

impl Mapping {
    /// Everything that has a [`PointId`], in its order: the capabilities, the settings, then what events are seen by.
    pub fn points(&self) -> impl Iterator<Item = Point<'_>> {
        let capabilities = self.capabilities.iter().map(Capability::parts);
        let settings = self.settings.iter().map(|setting| setting.like.parts());
        let all = capabilities.chain(settings).chain(self.events.iter().map(Event::parts));
        (0u16..).zip(all).map(|(place, (name, class, read, write))| Point {
            id: PointId(place),
            name,
            class,
            read,
            write,
        })
    }

    /// One of [`Mapping::points`].
    pub fn point(&self, id: PointId) -> Option<Point<'_>> {
        let (name, class, read, write) = match self.model(id) {
            Some(model) => model.parts(),
            None => self.event(id)?.parts(),
        };
        Some(Point { id, name, class, read, write })
    }

    /// The capability that a point is, or the one that a setting is read and written like.
    pub fn model(&self, id: PointId) -> Option<&Capability> {
        let at = usize::from(id.0);
        let setting = || self.settings.get(at.checked_sub(self.capabilities.len())?);
        self.capabilities.get(at).or_else(|| Some(&setting()?.like))
    }

    /// How long what is sent to its device may wait for it to wake up, where nothing else is said; `None`: it does not sleep, and
    /// can be asked at any time.
    pub fn hold(&self) -> Option<Duration> {
        match &self.protocol {
            Protocol::Zigbee(options) => options.sleepy.then_some(options.ttl),
            _ => None,
        }
    }

    /// The least time from one write to its device to the next.
    pub fn write_pause(&self) -> Duration {
        self.protocol.modbus().map(|options| options.write_rate).unwrap_or_default()
    }

    /// The event that a point is for.
    pub fn event(&self, id: PointId) -> Option<&Event> {
        self.events.get(usize::from(id.0).checked_sub(self.capabilities.len() + self.settings.len())?)
    }
}

/// Name, class and bindings of a point.
type Parts<'m> = (&'m str, Class, Option<&'m ReadBinding>, Option<&'m WriteBinding>);

/// The `max_age` of readings that do not become old while the device is there.
pub const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long a device may be busy with one command, or with all writes of one request, however many and slow they are.
pub const LONGEST_BUSY: Duration = Duration::from_secs(300);

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

/// One row of `IoTCapability.{i}.`, of the device or of one of its nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// Key in the mapping file, with its node (`left.switch`): the stable identity of the row.
    pub id: String,
    /// The node that it belongs to; `None`: the device.
    pub node: Option<NodeId>,
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
    /// Which step commands there are, of a LevelControl that has a step and of an EnumControl.
    pub steps: Steps,
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
    /// A number that only grows: a smaller one is no reading, unless it is a reset.
    pub monotonic: bool,
    /// `Sensitivity`'s initial value, 0 to 100; `None`: not offered, or a [`Setting`] (BinarySensor).
    pub sensitivity: Option<u8>,
    /// `HoldTime`'s initial value; `None`: not offered, or a [`Setting`] (BinarySensor).
    pub hold: Option<Duration>,
    /// `RestTime`'s initial value; `None`: not offered, or a [`Setting`] (BinarySensor).
    pub rest: Option<Duration>,
    /// A reading older than this is no longer fresh. Two poll periods unless the file says otherwise; zero for a point
    /// that is read on demand only, and [`FOR_EVER`] for one that the device tells of by itself.
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

impl Capability {
    fn parts(&self) -> Parts<'_> {
        (&self.id, self.class, self.read.as_ref(), self.write.as_ref())
    }
}

/// A window of a BinarySensor that the device itself holds and applies.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The BinarySensor.
    pub of: PointId,
    /// Which of its Parameters.
    pub window: Window,
    /// How it is read and written: like a LevelControl whose values are those of the Parameter.
    pub like: Capability,
}

/// A window of a BinarySensor (TR-181).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// `Sensitivity`: 0 to 100.
    Sensitivity,
    /// `HoldTime`, in milliseconds.
    HoldTime,
    /// `RestTime`, in milliseconds.
    RestTime,
}

impl Window {
    /// All of them, in the order of TR-181.
    pub const ALL: [Self; 3] = [Self::Sensitivity, Self::HoldTime, Self::RestTime];

    /// The name of the Parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensitivity => "Sensitivity",
            Self::HoldTime => "HoldTime",
            Self::RestTime => "RestTime",
        }
    }

    /// The one whose Parameter has this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.name() == name)
    }

    /// What the Parameter shows of a value: it is a whole number, whatever the device counts in.
    pub fn text(value: &Value) -> String {
        match value {
            Value::Number(number) => decimal_text(number.round()),
            other => other.to_usp(),
        }
    }

    /// Its key in a mapping file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::HoldTime => "hold",
            Self::RestTime => "rest",
        }
    }

    /// The greatest value of the Parameter; the least is 0.
    pub fn most(self) -> Decimal {
        match self {
            Self::Sensitivity => 100.into(),
            Self::HoldTime | Self::RestTime => u32::MAX.into(),
        }
    }
}

/// Which step commands a control has. TR-181 lets it have one of them alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// `StepUp()` and `StepDown()`.
    #[default]
    Both,
    /// `StepUp()` alone.
    Up,
    /// `StepDown()` alone.
    Down,
    /// None.
    Neither,
}

impl Capability {
    /// Whether a write of it says nothing of what it has: it can be read or is said, and nothing verifies it.
    pub fn shows_itself(&self) -> bool {
        self.read.is_some() && self.write.as_ref().is_some_and(|write| write.verify.is_none())
    }

    /// The step commands that it has, by name without parentheses.
    pub fn step_commands(&self) -> &'static [&'static str] {
        let has_steps = match self.class {
            Class::LevelControl => self.step.is_some(),
            class => class == Class::EnumControl,
        };
        match self.steps {
            _ if !has_steps => &[],
            Steps::Both => &["StepUp", "StepDown"],
            Steps::Up => &["StepUp"],
            Steps::Down => &["StepDown"],
            Steps::Neither => &[],
        }
    }
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
    /// All of them, in the order of TR-181.
    pub const ALL: [Self; 8] = [
        Self::BinaryControl,
        Self::LevelControl,
        Self::EnumControl,
        Self::BinarySensor,
        Self::LevelSensor,
        Self::MultiLevelSensor,
        Self::EnumSensor,
        Self::BlobSensor,
    ];

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
