//! What is Zigbee's own in the language: clusters with their attributes and commands, reports, coordinators.
//!
//! Source: Zigbee Cluster Library Specification, revision 6 (07-5123-06); Zigbee Specification, revision 21 (05-3474-21).

mod arguments;
pub mod clusters;
mod compile;
mod draft;
pub(crate) mod fixture;
mod pick;
pub(crate) mod read;
mod setup;
pub(crate) mod site;
#[cfg(test)]
mod tests;
mod written;
pub mod zcl;

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;

pub use self::draft::{
    ZigbeeConstDraft, ZigbeeDraft, ZigbeeFieldDraft, ZigbeeName, ZigbeePlaceDraft, ZigbeeReportDraft,
    ZigbeeSetupDraft,
};
pub use self::setup::{ZigbeeReporting, ZigbeeSetup};
pub use self::zcl::ZclType;

use crate::mapping::BusAddress;
use crate::payload::BytesPick;
use crate::secret::SecretRef;

/// The IEEE address (EUI-64) of a device, which it keeps for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ieee(pub u64);

impl Ieee {
    /// The address that a text spells: `0x00158d0001a2b3c4`, or with a `:` between the bytes, the most significant first.
    pub fn parse(text: &str) -> Option<Self> {
        let small = text.to_ascii_lowercase();
        let digits = match small.strip_prefix("0x") {
            Some(digits) => digits.to_owned(),
            None if small.split(':').count() == 8 && small.split(':').all(|byte| byte.len() == 2) => {
                small.replace(':', "")
            }
            None => return None,
        };
        let is_hex = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(&digits, 16).ok().filter(|_| is_hex).map(Self)
    }
}

impl fmt::Display for Ieee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}", self.0)
    }
}

/// Where a value is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeRead {
    /// Endpoint of the device, 1 to 240.
    pub endpoint: u8,
    /// Cluster.
    pub cluster: u16,
    /// Manufacturer code that frames about it carry; `None`: what the standard has.
    pub manufacturer: Option<u16>,
    /// What says it.
    pub from: ZigbeeFrom,
    /// First and last bit, both included, 0 the least significant; `None`: the whole. Unsigned numbers only.
    pub bits: Option<(u8, u8)>,
    /// A `true` that is not said again for so long is over, because the device itself never says so: then a `false` follows
    /// that is as new as its end.
    pub clears: Option<Duration>,
}

/// What says a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeeFrom {
    /// An attribute.
    Attribute(ZigbeeAttribute),
    /// Commands that the device sends.
    Command(ZigbeeHeard),
}

/// An attribute that is read, reported, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeAttribute {
    /// Its identifier.
    pub id: u16,
    /// Its type. A device that says another one of the same kind is believed.
    pub kind: ZclType,
    /// Which part of it.
    pub part: ZigbeePart,
    /// How the device is asked to report it; `None`: it is not asked to, and what it reports all the same is heard.
    pub report: Option<ZigbeeReport>,
    /// Whether the device answers when it is read; otherwise it is heard alone.
    pub asked: bool,
    /// A command that tells it too, such as an IAS zone's status change notification.
    pub told: Option<ZigbeeHeard>,
}

/// A part of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZigbeePart {
    /// All of it.
    Whole,
    /// What follows this tag in a text or octet string that is a list of tag (a byte), type (a byte) and value, as Lumi's
    /// devices have it.
    Tag(u8),
    /// An element of a structure, array, set or bag, from 0.
    Element(u16),
    /// Some bytes of an octet string.
    Bytes(BytesPick),
}

/// When a device reports an attribute (ZCL, 2.5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeReport {
    /// Least seconds from one report to the next.
    pub min: u16,
    /// Most seconds; so often it is heard at least.
    pub max: u16,
    /// Least change that is reported at once, in raw units; only of numbers ("analog" types).
    pub change: Option<Decimal>,
}

/// What is taken out of commands that a device sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeHeard {
    /// Which: identifier, and its name as the mapping has it.
    pub commands: Vec<(u8, String)>,
    /// Whether it is the device's server that sends it; `None`: either side.
    pub from_server: Option<bool>,
    /// What is taken out.
    pub pick: ZigbeePick,
}

/// What is taken out of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeePick {
    /// Which command it is, by its name.
    Name,
    /// A field: the types of those before it, and its own.
    Field(Vec<ZclType>, ZclType),
    /// Some bytes of the payload.
    Bytes(BytesPick),
}

/// Where and how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeWrite {
    /// Endpoint of the device, 1 to 240.
    pub endpoint: u8,
    /// Cluster.
    pub cluster: u16,
    /// Manufacturer code that the frame carries.
    pub manufacturer: Option<u16>,
    /// By what.
    pub by: ZigbeeBy,
}

/// What writes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeeBy {
    /// A Write Attributes command with this attribute alone.
    Attribute {
        /// Its identifier.
        id: u16,
        /// Its type.
        kind: ZclType,
    },
    /// A command of the cluster with the value in its fields; without a place for the value it is always the same.
    Command(ZigbeeCall),
    /// One command for each raw number.
    OfNumber(Vec<(i128, ZigbeeCall)>),
    /// One command for each raw text, which is its name.
    OfName(Vec<(String, ZigbeeCall)>),
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeCall {
    /// Its identifier in the cluster.
    pub command: u8,
    /// Its name, for people.
    pub name: String,
    /// Its fields, in their order.
    pub fields: Vec<ZigbeeField>,
}

/// A field of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeField {
    /// Its name, for people.
    pub name: String,
    /// Its type.
    pub kind: ZclType,
    /// What stands there.
    pub value: ZigbeeFieldValue,
}

/// What stands in a field of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeeFieldValue {
    /// Always these bytes, as they go over the air.
    Fixed(Vec<u8>),
    /// The value that is written.
    Value,
    /// The argument at this place, from 0, of the list that is written.
    Item(usize),
}

/// A frame of the Zigbee Cluster Library and where it goes; its transaction sequence number is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeFrame {
    /// Endpoint of the device.
    pub endpoint: u8,
    /// Cluster.
    pub cluster: u16,
    /// The frame from its frame control on.
    pub bytes: Vec<u8>,
}

impl ZigbeeFrame {
    /// The bytes with this transaction sequence number.
    pub fn numbered(&self, sequence: u8) -> Vec<u8> {
        zcl::numbered(&self.bytes, sequence)
    }
}

/// How devices of a model behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeOptions {
    /// ManufacturerName of the Basic cluster: any of these.
    pub manufacturers: Vec<ZigbeeWord>,
    /// ModelIdentifier of the Basic cluster: any of these. Empty: no device is known by this mapping.
    pub models: Vec<ZigbeeWord>,
    /// It sleeps: what is sent waits until it asks for it.
    pub sleepy: bool,
    /// How often it is heard at least; `None`: at each longest interval of its reports.
    pub checkin: Option<Duration>,
    /// How long what is sent may wait, unless it says otherwise.
    pub ttl: Duration,
    /// How long an answer may take once the device has been reached.
    pub timeout: Duration,
    /// The same of a write that waited until a device which sleeps was heard.
    pub held: Duration,
    /// IAS zones that it reads are enrolled.
    pub enroll: bool,
    /// What is sent each time that the device has joined, in this order.
    pub setup: Vec<ZigbeeFrame>,
}

impl Default for ZigbeeOptions {
    fn default() -> Self {
        Self {
            manufacturers: Vec::new(),
            models: Vec::new(),
            sleepy: false,
            checkin: None,
            ttl: SLEEPY_TTL,
            timeout: TIMEOUT,
            held: AWAKE_TIMEOUT,
            enroll: true,
            setup: Vec::new(),
        }
    }
}

/// Longest time to live of writes to a device that sleeps, unless the file says otherwise: most check in once an hour.
const SLEEPY_TTL: Duration = Duration::from_secs(3600);

/// How long an answer may take unless a mapping says otherwise, of a device that sleeps: seven retransmissions of the APS sublayer and more.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same of one that is awake: two questions and a second are over before whoever waits for a Get loses patience (10 s on the
/// command line).
const AWAKE_TIMEOUT: Duration = Duration::from_secs(3);

impl ZigbeeOptions {
    /// Whether a device that says this of itself is of this model.
    pub fn fits(&self, manufacturer: &str, model: &str) -> bool {
        let any = |words: &[ZigbeeWord], text: &str| words.iter().any(|word| word.fits(text));
        any(&self.models, model) && (self.manufacturers.is_empty() || any(&self.manufacturers, manufacturer))
    }
}

/// A text, or how one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeWord {
    /// The text, or its beginning.
    pub text: String,
    /// Anything may follow.
    pub open: bool,
}

impl ZigbeeWord {
    /// `lumi.weather`, or `TRADFRI bulb*`.
    pub fn parse(text: &str) -> Self {
        let begins = text.strip_suffix('*');
        Self { text: begins.unwrap_or(text).to_owned(), open: begins.is_some() }
    }

    /// Whether it is this. Blanks and NULs at its end, which some devices have, do not count.
    pub fn fits(&self, text: &str) -> bool {
        let text = text.trim_end_matches(['\0', ' ']);
        if self.open { text.starts_with(&self.text) } else { text == self.text }
    }
}

/// A coordinator and the network that it forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZigbeeBus {
    /// The way to the coordinator.
    pub port: ZigbeePort,
    /// What it speaks; `None`: that is found out.
    pub ncp: Option<ZigbeeNcp>,
    /// Channel of a network that is formed, 11 to 26; `None`: 15.
    pub channel: Option<u8>,
    /// PAN ID of a network that is formed; `None`: a random one.
    pub pan_id: Option<u16>,
    /// Key of a network that is formed, 32 hexadecimal digits; `None`: a random one, kept in the store.
    pub network_key: Option<SecretRef>,
    /// Whether devices that are not in the site file appear by themselves.
    pub adopt: bool,
}

/// The way to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeePort {
    /// A serial port.
    Serial {
        /// The path of its device file.
        port: String,
        /// Bits a second.
        baud: u32,
        /// Flow control.
        flow: ZigbeeFlow,
    },
    /// A serial device server that passes bytes on as they are: `host:port`.
    Tcp(BusAddress),
}

/// Flow control of a serial port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZigbeeFlow {
    /// None.
    #[default]
    None,
    /// RTS and CTS.
    Hardware,
    /// XON and XOFF.
    Software,
}

/// What a coordinator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZigbeeNcp {
    /// Silicon Labs EZSP over ASH.
    Ezsp,
    /// Texas Instruments Z-Stack ZNP (Monitor and Test).
    Znp,
}

impl ZigbeeNcp {
    /// As site files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ezsp => "ezsp",
            Self::Znp => "znp",
        }
    }
}
