//! What is Bluetooth Low Energy's own in the language: advertisements, characteristics, radios.
//!
//! Source: Bluetooth Core Specification (Vol 3, Part C, 11: advertising data; Part G: GATT), the Assigned Numbers, and
//! BTHome v2 (<https://bthome.io/format>). Numbers of several bytes have the least significant first unless a mapping says
//! otherwise, as everywhere in Bluetooth.

pub mod bthome;
mod compile;
mod draft;
pub(crate) mod fixture;
mod hear;
mod names;
pub(crate) mod read;
pub(crate) mod site;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use self::bthome::BthomePick;
pub use self::draft::{BleAnswerDraft, BleAskDraft, BleDraft, BlePlaceDraft};
pub use self::hear::BleHeard;
pub use self::names::{BleUuid, Mac};

use crate::line::{LineText, ValueForm};
use crate::payload::{BytesPick, Pick, Put, PutForm};
use crate::port::DeviceFault;
use crate::secret::SecretRef;
use crate::transform::{Raw, RawKind};

/// Where a value is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleRead {
    /// What is heard or read.
    pub from: BleSource,
    /// What it must be like to have the value.
    pub shape: BleShape,
    /// What the value is in it.
    pub pick: BlePick,
    /// Whether the device tells changes of a characteristic by itself.
    pub notify: bool,
    /// What is written so that the device tells the value; `None`: the characteristic is read.
    pub ask: Option<BleAsk>,
}

/// What is heard or read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BleSource {
    /// Service data of an advertisement.
    ServiceData(BleUuid),
    /// Manufacturer data of an advertisement: company identifier. Its two bytes are not part of the data.
    Manufacturer(u16),
    /// A characteristic.
    Char(BleChar),
    /// How strongly the device is heard, in dBm.
    Rssi,
}

/// A characteristic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BleChar {
    /// Its service; `None`: that of the device's services which has it.
    pub service: Option<BleUuid>,
    /// Its own UUID.
    pub uuid: BleUuid,
}

/// What bytes must be like to have a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BleShape {
    /// How they begin; `None` in it: any byte.
    pub starts: Vec<Option<u8>>,
    /// How many they are.
    pub size: Option<u16>,
}

/// What a value is in what was heard or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlePick {
    /// An object of BTHome.
    Bthome(BthomePick),
    /// Some of the bytes.
    Bytes(BytesPick),
    /// The strength itself.
    Rssi,
}

/// What is written so that a device tells a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleAsk {
    /// Where.
    pub char: BleChar,
    /// Whether the device acknowledges it.
    pub response: bool,
    /// What.
    pub body: Vec<u8>,
}

/// Where and how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleWrite {
    /// Where.
    pub char: BleChar,
    /// Whether the device acknowledges it (Write Request), or not (Write Command).
    pub response: bool,
    /// How the bytes are made.
    pub put: BlePut,
    /// What the device says when it has done it; `None`: nothing but that acknowledgement.
    pub answer: Option<BleAnswer>,
}

/// What a device notifies when it has done, or refused, what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleAnswer {
    /// Where.
    pub char: BleChar,
    /// What that is like when it was done.
    pub done: BleShape,
    /// What it is like when it was not, and what that means; the first that fits counts.
    pub refusals: Vec<(BleShape, String)>,
}

/// How the bytes of a write are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlePut {
    /// The value, with zeros before it.
    Bytes(BytesPick),
    /// A template that may have the value in it.
    Template(LineText, ValueForm),
}

/// How devices of a model behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleOptions {
    /// How long one exchange may take; a connection may take three times as long.
    pub timeout: Duration,
    /// When they are connected.
    pub connect: BleConnect,
    /// A connection that was not used for so long is given up.
    pub idle: Duration,
    /// How often they are heard; `None`: that is not known.
    pub every: Option<Duration>,
    /// What has to be between them and the hub.
    pub pair: BlePair,
    /// What a scan knows them by.
    pub known_by: BleMatch,
}

/// When devices are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BleConnect {
    /// When something is to be read or written, and until they were idle.
    #[default]
    OnDemand,
    /// Always: what they tell by themselves comes over a connection.
    Keep,
    /// Never: they only advertise.
    Never,
}

/// What has to be between a device and the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlePair {
    /// Nothing.
    #[default]
    Nothing,
    /// A bond that nobody confirms.
    JustWorks,
    /// A bond for which the device's passkey is needed.
    Passkey,
}

/// What a scan knows devices of a model by; all must fit. Empty: they cannot be told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BleMatch {
    /// They advertise data of this service.
    pub service_data: Option<BleUuid>,
    /// They advertise this service.
    pub service: Option<BleUuid>,
    /// They advertise data of this manufacturer.
    pub manufacturer: Option<u16>,
    /// How what they advertise begins.
    pub shape: BleShape,
    /// How their name begins.
    pub name: Option<String>,
}

/// A radio of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleRadio {
    /// Which one BlueZ knows it as.
    pub adapter: BleAdapter,
    /// How many connections at a time.
    pub slots: u8,
}

/// Which radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BleAdapter {
    /// By the name that BlueZ gives it: `hci0`.
    Name(String),
    /// By its address, which stays the same wherever it is plugged in.
    Address(Mac),
}

impl BleRadio {
    /// Connections at a time unless the site says otherwise.
    pub const USUAL_SLOTS: u8 = 3;
}

impl fmt::Display for BleAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Where a device is, and what is needed to understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleAddress {
    /// Its address.
    pub mac: Mac,
    /// Where the key is that its advertisements are encrypted with: 32 hexadecimal digits.
    pub key: Option<SecretRef>,
    /// Where its passkey is: up to six digits.
    pub passkey: Option<SecretRef>,
}

impl BleOptions {
    /// How long a device may not be heard.
    pub fn patience(&self) -> Option<Duration> {
        self.every.map(Self::silence)
    }

    /// How long a device may not be heard that is heard so often: four times as long, because radios miss some
    /// advertisements, and never less than ten seconds.
    pub fn silence(every: Duration) -> Duration {
        every.saturating_mul(4).max(Duration::from_secs(10))
    }
}

impl BleRead {
    /// Whether it comes by itself: in advertisements, or as a notification.
    pub fn is_heard(&self) -> bool {
        self.is_advertised() || self.notify
    }

    /// Whether it comes in advertisements.
    pub fn is_advertised(&self) -> bool {
        !matches!(self.from, BleSource::Char(_))
    }

    /// Its characteristic.
    pub fn char(&self) -> Option<&BleChar> {
        match &self.from {
            BleSource::Char(char) => Some(char),
            BleSource::ServiceData(_) | BleSource::Manufacturer(_) | BleSource::Rssi => None,
        }
    }

    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match &self.pick {
            BlePick::Bthome(pick) => pick.raw_kind(),
            BlePick::Bytes(pick) => pick.raw_kind(),
            BlePick::Rssi => RawKind::Int { bits: 16, signed: true },
        }
    }

    /// What it is, for people: `bthome temperature`, `char 2a19: bytes 0..0 Unsigned`.
    pub fn described(&self) -> String {
        match &self.pick {
            BlePick::Bthome(pick) => pick.to_string(),
            BlePick::Bytes(pick) => format!("{}{}: {}", self.from, self.shape, Pick::Bytes(*pick)),
            BlePick::Rssi => self.from.to_string(),
        }
    }
}

impl BleAnswer {
    /// What a notification says of what was written; `None`: nothing.
    ///
    /// Errors: it was not done, in the words of the mapping and with the bytes.
    pub fn take(&self, bytes: &[u8]) -> Option<Result<(), String>> {
        if self.done.fits(bytes) {
            return Some(Ok(()));
        }
        let (_, words) = self.refusals.iter().find(|(shape, _)| shape.fits(bytes))?;
        let digits: Vec<String> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        Some(Err(format!("{words} (it says {})", digits.join(" "))))
    }
}

/// Most bytes of an answer that are shown.
const SHOWN: usize = 20;

impl BleWrite {
    /// The bytes for a value.
    ///
    /// Errors: the value does not fit.
    pub fn body(&self, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
        match &self.put {
            BlePut::Bytes(pick) => Put::new(PutForm::Bytes(*pick)).body(raw),
            BlePut::Template(text, form) if text.has_value() => Ok(text.filled(&form.bytes(raw)?)),
            BlePut::Template(text, _) => Ok(text.filled(&[])),
        }
    }

    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match &self.put {
            BlePut::Bytes(pick) => pick.raw_kind(),
            BlePut::Template(text, form) if text.has_value() => form.kind,
            BlePut::Template(..) => RawKind::Any,
        }
    }

    /// What is written, for people.
    pub fn described(&self) -> String {
        let how = if self.response { "" } else { " without response" };
        let said = self.answer.as_ref().map(|it| format!(", answered at {}{}", it.char, it.done));
        let said = said.unwrap_or_default();
        match &self.put {
            BlePut::Bytes(pick) => format!("{}: {}{how}{said}", self.char, Pick::Bytes(*pick)),
            BlePut::Template(text, _) => format!("{}: {text}{how}{said}", self.char),
        }
    }
}
