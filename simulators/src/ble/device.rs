//! What a Bluetooth Low Energy device is, seen from the air.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::uuid::Uuid;

/// The address of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `A4:C1:38:11:22:33`; `None`: it is not written so.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: Vec<u8> =
            text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Two digits a byte, parted by this.
    pub fn parted(self, by: char) -> String {
        let digits: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        digits.join(&by.to_string())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parted(':'))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an advertisement says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advert {
    /// Complete local name.
    pub name: Option<String>,
    /// Services.
    pub uuids: Vec<Uuid>,
    /// Service data.
    pub service_data: BTreeMap<Uuid, Vec<u8>>,
    /// Manufacturer specific data by company identifier.
    pub manufacturer: BTreeMap<u16, Vec<u8>>,
    /// It can be connected to.
    pub connectable: bool,
}

/// How a device is paired with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// It cannot be.
    None,
    /// It has neither buttons nor display.
    JustWorks,
    /// It shows, or has printed on it, six digits.
    Passkey(u32),
}

/// What can be done with a characteristic, as BlueZ writes it.
pub type Flags = &'static [&'static str];

/// A characteristic of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Characteristic {
    /// What it is.
    pub uuid: Uuid,
    /// What can be done with it.
    pub flags: Flags,
    /// Who is not paired is refused.
    pub protected: bool,
}

impl Characteristic {
    /// One that everybody may use.
    pub const fn new(uuid: Uuid, flags: Flags) -> Self {
        Self { uuid, flags, protected: false }
    }

    /// One for those who are paired.
    pub const fn protected(uuid: Uuid, flags: Flags) -> Self {
        Self { uuid, flags, protected: true }
    }
}

/// A primary service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is.
    pub uuid: Uuid,
    /// What it has.
    pub characteristics: Vec<Characteristic>,
}

/// A characteristic of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The service it is in.
    pub service: Uuid,
    /// Itself.
    pub characteristic: Uuid,
}

/// Error codes of the Attribute Protocol (Core Specification, Vol 3 Part F, 3.4.1.1) and of applications.
pub mod att {
    /// Read Not Permitted.
    pub const READ_NOT_PERMITTED: u8 = 0x02;
    /// Write Not Permitted.
    pub const WRITE_NOT_PERMITTED: u8 = 0x03;
    /// Insufficient Authentication.
    pub const AUTHENTICATION: u8 = 0x05;
    /// Invalid Attribute Value Length.
    pub const LENGTH: u8 = 0x0d;
    /// Unlikely Error.
    pub const UNLIKELY: u8 = 0x0e;
    /// The first that an application gives a meaning to.
    pub const APPLICATION: u8 = 0x80;
}

/// A device in the air.
pub trait BleDevice: Send + 'static {
    /// Its address.
    fn mac(&self) -> Mac;
    /// The address is made up, and not one of the IEEE's.
    fn is_random(&self) -> bool {
        false
    }
    /// How often it advertises.
    fn every(&self) -> Duration;
    /// What it says now: one that counts its advertisements counts this one. With `wrong_key`, what it encrypts it encrypts with
    /// another key.
    fn advert(&mut self, wrong_key: bool) -> Advert;
    /// What it offers to who connects.
    fn services(&self) -> Vec<Service> {
        Vec::new()
    }
    /// How it is paired with.
    fn pairing(&self) -> Pairing {
        Pairing::None
    }
    /// What a characteristic is; errors are those of [`att`].
    fn read(&mut self, _at: At) -> Result<Vec<u8>, u8> {
        Err(att::READ_NOT_PERMITTED)
    }
    /// Writes a characteristic; without `obeys` nothing is done. Errors are those of [`att`].
    fn write(&mut self, _at: At, _value: &[u8], _obeys: bool) -> Result<(), u8> {
        Err(att::WRITE_NOT_PERMITTED)
    }
    /// What it has to tell who wants to be told, since the last time.
    fn told(&mut self) -> Vec<(At, Vec<u8>)> {
        Vec::new()
    }
    /// Time passes.
    fn step(&mut self, time: Duration);
    /// As after a new battery: what was switched falls back.
    fn reboot(&mut self);
    /// A value by its name, as text.
    fn get(&self, name: &str) -> Option<String>;
    /// Holds a value. Errors: there is none of this name, or it cannot be that.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String>;
    /// Lets a value move again. Errors: there is none of this name.
    fn release(&mut self, name: &str) -> Result<(), String>;
    /// The names of all values.
    fn names(&self) -> Vec<String>;
}
