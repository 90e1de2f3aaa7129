//! BTHome v2: what advertisements with data of the service FCD2 say.
//!
//! Source: <https://bthome.io/format>. Objects follow one another, each with a byte that says what it is; of one that is not
//! known nobody can tell how long it is, so that nothing behind it can be read. Encryption is not understood here: that takes
//! a key, and the memory of what was heard before.

use std::fmt;

use rust_decimal::Decimal;

use super::BleUuid;
use crate::port::DeviceFault;
use crate::transform::{Raw, RawKind};

/// The service whose data it is.
pub const SERVICE: BleUuid = BleUuid::short(0xfcd2);

/// The object that counts advertisements, so that one that is sent again is known.
pub const PACKET_ID: u8 = 0x00;

/// What the data of an advertisement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Objects.
    Plain(&'a [u8]),
    /// Objects that only who has the key can read.
    Sealed(Sealed<'a>),
}

/// Encrypted objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// The device information byte.
    pub info: u8,
    /// What was made of the objects.
    pub ciphertext: &'a [u8],
    /// A number that is greater with each advertisement.
    pub counter: [u8; 4],
    /// What shows that nobody else made it.
    pub mic: [u8; 4],
}

impl<'a> Payload<'a> {
    /// Takes data of the service apart.
    ///
    /// Errors: why it is no BTHome v2.
    pub fn parse(data: &'a [u8]) -> Result<Self, &'static str> {
        let (info, rest) = data.split_first().ok_or("there is no BTHome in it")?;
        if info >> 5 != 2 {
            return Err("it is of another version of BTHome than 2");
        }
        if info & 1 == 0 {
            return Ok(Self::Plain(rest));
        }
        let too_short = "it is encrypted, and too short";
        let (rest, mic) = rest.split_last_chunk::<4>().ok_or(too_short)?;
        let (ciphertext, counter) = rest.split_last_chunk::<4>().ok_or(too_short)?;
        Ok(Self::Sealed(Sealed { info: *info, ciphertext, counter: *counter, mic: *mic }))
    }
}

/// How a value of an object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An unsigned number of so many bytes, and how many millionths one of its steps is.
    Unsigned(u8, i64),
    /// A number in two's complement.
    Signed(u8, i64),
    /// True or false.
    Flag,
    /// What was done to a button.
    Button,
    /// In which direction something was turned, and how far.
    Dimmer,
    /// A version of so many bytes, its last part first.
    Version(u8),
    /// A text, with its length before it.
    Text,
    /// Bytes, with their number before them.
    Bytes,
}

use Form::{Button, Bytes, Dimmer, Flag, Signed, Text, Unsigned, Version};

/// What there is in the published format: identifier, what mappings call it, how it is kept.
const OBJECTS: [(u8, &str, Form); 93] = [
    (0x00, "packet_id", Unsigned(1, ONE)),
    (0x01, "battery", Unsigned(1, ONE)),
    (0x02, "temperature", Signed(2, ONE / 100)),
    (0x03, "humidity", Unsigned(2, ONE / 100)),
    (0x04, "pressure", Unsigned(3, ONE / 100)),
    (0x05, "illuminance", Unsigned(3, ONE / 100)),
    (0x06, "mass", Unsigned(2, ONE / 100)),
    (0x07, "mass_lb", Unsigned(2, ONE / 100)),
    (0x08, "dewpoint", Signed(2, ONE / 100)),
    (0x09, "count", Unsigned(1, ONE)),
    (0x0a, "energy", Unsigned(3, ONE / 1000)),
    (0x0b, "power", Unsigned(3, ONE / 100)),
    (0x0c, "voltage", Unsigned(2, ONE / 1000)),
    (0x0d, "pm2_5", Unsigned(2, ONE)),
    (0x0e, "pm10", Unsigned(2, ONE)),
    (0x0f, "boolean", Flag),
    (0x10, "power_on", Flag),
    (0x11, "opening", Flag),
    (0x12, "co2", Unsigned(2, ONE)),
    (0x13, "tvoc", Unsigned(2, ONE)),
    (0x14, "moisture", Unsigned(2, ONE / 100)),
    (0x15, "battery_low", Flag),
    (0x16, "battery_charging", Flag),
    (0x17, "carbon_monoxide", Flag),
    (0x18, "cold", Flag),
    (0x19, "connectivity", Flag),
    (0x1a, "door", Flag),
    (0x1b, "garage_door", Flag),
    (0x1c, "gas_detected", Flag),
    (0x1d, "heat", Flag),
    (0x1e, "light", Flag),
    (0x1f, "lock", Flag),
    (0x20, "moisture_detected", Flag),
    (0x21, "motion", Flag),
    (0x22, "moving", Flag),
    (0x23, "occupancy", Flag),
    (0x24, "plug", Flag),
    (0x25, "presence", Flag),
    (0x26, "problem", Flag),
    (0x27, "running", Flag),
    (0x28, "safety", Flag),
    (0x29, "smoke", Flag),
    (0x2a, "sound", Flag),
    (0x2b, "tamper", Flag),
    (0x2c, "vibration", Flag),
    (0x2d, "window", Flag),
    (0x2e, "humidity", Unsigned(1, ONE)),
    (0x2f, "moisture", Unsigned(1, ONE)),
    (0x3a, "button", Button),
    (0x3c, "dimmer", Dimmer),
    (0x3d, "count", Unsigned(2, ONE)),
    (0x3e, "count", Unsigned(4, ONE)),
    (0x3f, "rotation", Signed(2, ONE / 10)),
    (0x40, "distance_mm", Unsigned(2, ONE)),
    (0x41, "distance", Unsigned(2, ONE / 10)),
    (0x42, "duration", Unsigned(3, ONE / 1000)),
    (0x43, "current", Unsigned(2, ONE / 1000)),
    (0x44, "speed", Unsigned(2, ONE / 100)),
    (0x45, "temperature", Signed(2, ONE / 10)),
    (0x46, "uv_index", Unsigned(1, ONE / 10)),
    (0x47, "volume", Unsigned(2, ONE / 10)),
    (0x48, "volume_ml", Unsigned(2, ONE)),
    (0x49, "volume_flow_rate", Unsigned(2, ONE / 1000)),
    (0x4a, "voltage", Unsigned(2, ONE / 10)),
    (0x4b, "gas", Unsigned(3, ONE / 1000)),
    (0x4c, "gas", Unsigned(4, ONE / 1000)),
    (0x4d, "energy", Unsigned(4, ONE / 1000)),
    (0x4e, "volume", Unsigned(4, ONE / 1000)),
    (0x4f, "water", Unsigned(4, ONE / 1000)),
    (0x50, "timestamp", Unsigned(4, ONE)),
    (0x51, "acceleration", Unsigned(2, ONE / 1000)),
    (0x52, "gyroscope", Unsigned(2, ONE / 1000)),
    (0x53, "text", Text),
    (0x54, "raw", Bytes),
    (0x55, "volume_storage", Unsigned(4, ONE / 1000)),
    (0x56, "conductivity", Unsigned(2, ONE)),
    (0x57, "temperature", Signed(1, ONE)),
    (0x58, "temperature", Signed(1, ONE / 100 * 35)),
    (0x59, "count", Signed(1, ONE)),
    (0x5a, "count", Signed(2, ONE)),
    (0x5b, "count", Signed(4, ONE)),
    (0x5c, "power", Signed(4, ONE / 100)),
    (0x5d, "current", Signed(2, ONE / 1000)),
    (0x5e, "direction", Unsigned(2, ONE / 100)),
    (0x5f, "precipitation", Unsigned(2, ONE / 10)),
    (0x60, "channel", Unsigned(1, ONE)),
    (0x61, "rotational_speed", Unsigned(2, ONE)),
    (0x62, "speed", Signed(4, 1)),
    (0x63, "acceleration", Signed(4, 1)),
    (0x64, "light_level", Unsigned(1, ONE)),
    (0xf0, "device_type", Unsigned(2, ONE)),
    (0xf1, "firmware", Version(4)),
    (0xf2, "firmware", Version(3)),
];

/// A step of one, in millionths.
const ONE: i64 = 1_000_000;

/// What was done to a button.
const PRESSES: [(u8, &str); 9] = [
    (0x00, "none"),
    (0x01, "press"),
    (0x02, "double_press"),
    (0x03, "triple_press"),
    (0x04, "long_press"),
    (0x05, "long_double_press"),
    (0x06, "long_triple_press"),
    (0x80, "hold_press"),
    // What Shelly's buttons with older firmware say of that.
    (0xfe, "hold_press"),
];

/// Where something was turned to.
const TURNS: [&str; 3] = ["none", "rotate_left", "rotate_right"];

/// The name by which the steps of a dimmer are taken.
const STEPS: &str = "dimmer_steps";

/// An object of an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BthomePick {
    /// Which kinds of it.
    of: Of,
    /// Which one, where there are several: 1 is the first.
    nth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// All kinds that have this name.
    Name(&'static str),
    /// This kind alone.
    Id(u8),
}

impl BthomePick {
    /// The first object of a name or of an identifier.
    pub fn named(name: &str) -> Option<Self> {
        let known = OBJECTS.iter().map(|(_, known, _)| *known).chain([STEPS]).find(|known| *known == name);
        known.map(|known| Self { of: Of::Name(known), nth: 1 })
    }

    /// The first object with an identifier.
    pub fn numbered(id: u8) -> Option<Self> {
        form(id).map(|_| Self { of: Of::Id(id), nth: 1 })
    }

    /// Another one of the same.
    #[must_use]
    pub fn nth(self, nth: u8) -> Self {
        Self { nth, ..self }
    }

    /// All names.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<&str> = OBJECTS.iter().map(|(_, name, _)| *name).chain([STEPS]).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What it gives.
    pub fn raw_kind(&self) -> RawKind {
        let form = match self.of {
            Of::Name(STEPS) => return RawKind::Int { bits: 16, signed: true },
            Of::Id(id) => form(id),
            Of::Name(name) => OBJECTS.iter().find(|(_, known, _)| *known == name).map(|(.., form)| *form),
        };
        match form {
            Some(Unsigned(bytes, ONE)) => RawKind::Int { bits: bytes * 8, signed: false },
            Some(Signed(bytes, ONE)) => RawKind::Int { bits: bytes * 8, signed: true },
            Some(Flag) => RawKind::Bool,
            Some(Button | Dimmer | Version(_) | Text) => RawKind::Text(255),
            Some(Bytes) => RawKind::Bytes(255),
            Some(Unsigned(..) | Signed(..)) | None => RawKind::F64,
        }
    }

    fn is(&self, id: u8) -> bool {
        match self.of {
            Of::Id(wanted) => wanted == id,
            Of::Name(STEPS) => form(id) == Some(Dimmer),
            Of::Name(name) => OBJECTS.iter().any(|(known, its, _)| *known == id && *its == name),
        }
    }
}

impl fmt::Display for BthomePick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Name(name) => write!(f, "bthome {name}")?,
            Of::Id(id) => write!(f, "bthome 0x{id:02x}")?,
        }
        if self.nth > 1 { write!(f, " ({})", self.nth) } else { Ok(()) }
    }
}

fn form(id: u8) -> Option<Form> {
    OBJECTS.iter().find(|(known, ..)| *known == id).map(|(.., form)| *form)
}

/// An object with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Object<'a> {
    id: u8,
    form: Form,
    bytes: &'a [u8],
}

/// The objects of a payload, up to the first that is not known or not whole.
struct Objects<'a>(&'a [u8]);

impl<'a> Iterator for Objects<'a> {
    type Item = Object<'a>;

    fn next(&mut self) -> Option<Object<'a>> {
        let (id, rest) = self.0.split_first()?;
        self.0 = &[];
        let form = form(*id)?;
        let (length, rest) = match form {
            Unsigned(bytes, _) | Signed(bytes, _) | Version(bytes) => (usize::from(bytes), rest),
            Flag | Button => (1, rest),
            Dimmer => (2, rest),
            Text | Bytes => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Object { id: *id, form, bytes })
    }
}

/// What the objects of an advertisement say; `None`: they do not have it.
pub fn take(objects: &[u8], pick: &BthomePick) -> Option<Result<Raw, DeviceFault>> {
    let nth = usize::from(pick.nth.max(1)) - 1;
    let object = Objects(objects).filter(|object| pick.is(object.id)).nth(nth)?;
    if pick.of == Of::Name(STEPS) { Some(steps(object.bytes)) } else { Some(object.raw()) }
}

/// The number of an advertisement that is sent several times.
pub fn packet_id(objects: &[u8]) -> Option<u8> {
    let object = Objects(objects).find(|object| object.id == PACKET_ID)?;
    object.bytes.first().copied()
}

/// What the objects are called, up to the first that is not known; and that one.
pub fn known(objects: &[u8]) -> (Vec<&'static str>, Option<u8>) {
    let mut all = Objects(objects);
    let (mut names, mut before) = (Vec::new(), objects);
    while let Some(object) = all.next() {
        let name = OBJECTS.iter().find(|(id, ..)| *id == object.id).map(|(_, name, _)| *name);
        names.extend(name);
        before = all.0;
    }
    (names, before.first().copied())
}

impl Object<'_> {
    fn raw(&self) -> Result<Raw, DeviceFault> {
        let first = self.bytes.first().copied().unwrap_or_default();
        match self.form {
            Unsigned(_, step) => number(unsigned(self.bytes), step),
            Signed(..) if self.bytes.is_empty() => Err(DeviceFault::Unknown),
            Signed(bytes, step) => {
                let (number_, half) = (unsigned(self.bytes), 1i64 << (u32::from(bytes.min(7)) * 8 - 1));
                number(if number_ < half { number_ } else { number_ - 2 * half }, step)
            }
            Flag if first > 1 => Err(DeviceFault::Invalid(format!("{first} is neither 0 nor 1"))),
            Flag => Ok(Raw::Bool(first == 1)),
            Button => {
                let known = PRESSES.iter().find(|(code, _)| *code == first);
                known
                    .map(|(_, name)| Raw::Text((*name).to_owned()))
                    .ok_or_else(|| unknown_event("button", first))
            }
            Dimmer => {
                let known = TURNS.get(usize::from(first));
                known.map(|name| Raw::Text((*name).to_owned())).ok_or_else(|| unknown_event("dimmer", first))
            }
            Version(_) => {
                let parts: Vec<String> = self.bytes.iter().rev().map(u8::to_string).collect();
                Ok(Raw::Text(parts.join(".")))
            }
            Text => match std::str::from_utf8(self.bytes) {
                Ok(text) => Ok(Raw::Text(text.to_owned())),
                Err(_) => Err(DeviceFault::Garbled("a text is not UTF-8".to_owned())),
            },
            Bytes => Ok(Raw::Bytes(self.bytes.to_vec())),
        }
    }
}

/// To the left is less than nothing.
fn steps(bytes: &[u8]) -> Result<Raw, DeviceFault> {
    match bytes {
        [0, _] => Ok(Raw::Int(0)),
        [1, steps] => Ok(Raw::Int(-i128::from(*steps))),
        [2, steps] => Ok(Raw::Int((*steps).into())),
        [code, ..] => Err(unknown_event("dimmer", *code)),
        [] => Err(DeviceFault::Unknown),
    }
}

fn unknown_event(of: &str, code: u8) -> DeviceFault {
    DeviceFault::Invalid(format!("there is no event 0x{code:02x} of a {of}"))
}

/// At most four bytes, the least significant first.
fn unsigned(bytes: &[u8]) -> i64 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | i64::from(*byte))
}

fn number(steps: i64, step: i64) -> Result<Raw, DeviceFault> {
    if step == ONE {
        return Ok(Raw::Int(steps.into()));
    }
    let exact = Decimal::try_from_i128_with_scale(i128::from(steps) * i128::from(step), 6);
    exact.map(|number| Raw::Decimal(number.normalize())).map_err(|_| DeviceFault::Unknown)
}
