//! What is taken out of an advertisement or a characteristic.

use std::fmt;

use super::bthome;
use super::{BleChar, BleMatch, BlePick, BleRead, BleShape, BleSource, BleUuid};
use crate::payload::{Pick, take};
use crate::port::DeviceFault;
use crate::transform::Raw;

impl BleRead {
    /// What bytes of this source say of it; `None`: nothing, because they are about something else.
    ///
    /// Errors (in it): the bytes are what they should be, and the value in them is of no use.
    pub fn take(&self, bytes: &[u8]) -> Option<Result<Raw, DeviceFault>> {
        if !self.shape.fits(bytes) {
            return None;
        }
        match &self.pick {
            BlePick::Bytes(pick) => take(bytes, None, &Pick::Bytes(*pick)).transpose(),
            BlePick::Bthome(pick) => match bthome::Payload::parse(bytes) {
                Ok(bthome::Payload::Plain(objects)) => bthome::take(objects, pick),
                Ok(bthome::Payload::Sealed(_)) => Some(Err(DeviceFault::Invalid(
                    "it is encrypted, and the site has no `key` for this device".to_owned(),
                ))),
                Err(why) => Some(Err(DeviceFault::Garbled(why.to_owned()))),
            },
            BlePick::Rssi => None,
        }
    }
}

impl BleShape {
    /// Whether bytes are of this shape.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        let begins = bytes.len() >= self.starts.len()
            && self
                .starts
                .iter()
                .zip(bytes)
                .all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte));
        begins && self.size.is_none_or(|size| usize::from(size) == bytes.len())
    }

    /// Whether it says anything.
    pub fn is_open(&self) -> bool {
        self.starts.is_empty() && self.size.is_none()
    }
}

/// What a device was heard to say of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BleHeard {
    /// Its name.
    pub name: Option<String>,
    /// Services that it has.
    pub services: Vec<BleUuid>,
    /// Data by service.
    pub service_data: Vec<(BleUuid, Vec<u8>)>,
    /// Data by company.
    pub manufacturer: Vec<(u16, Vec<u8>)>,
}

impl BleMatch {
    /// Whether it says anything.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a device that was heard may be one of the model.
    pub fn fits(&self, heard: &BleHeard) -> bool {
        let data = |wanted: &BleUuid| heard.service_data.iter().find(|(uuid, _)| uuid == wanted);
        let company = |wanted: &u16| heard.manufacturer.iter().find(|(company, _)| company == wanted);
        let service_data = self.service_data.as_ref().map(|uuid| data(uuid).map(|(_, bytes)| bytes));
        let manufacturer = self.manufacturer.as_ref().map(|id| company(id).map(|(_, bytes)| bytes));
        let shaped = |found: Option<Option<&Vec<u8>>>| match found {
            None => true,
            Some(None) => false,
            Some(Some(bytes)) => self.shape.fits(bytes),
        };
        let has_service = |uuid: &BleUuid| heard.services.contains(uuid) || data(uuid).is_some();
        let name = heard.name.as_deref().unwrap_or_default();
        !self.is_open()
            && shaped(service_data)
            && shaped(manufacturer)
            && self.service.as_ref().is_none_or(has_service)
            && self.name.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
    }

    /// How much it asks for: of several models that fit, the one that asks for most is meant.
    pub fn strictness(&self) -> usize {
        let parts = [self.service_data.is_some(), self.manufacturer.is_some(), self.service.is_some()];
        let name = self.name.as_ref().map_or(0, |name| 10 + name.len());
        let shape = self.shape.starts.len() * 2 + usize::from(self.shape.size.is_some());
        parts.iter().filter(|is| **is).count() + name + shape
    }
}

impl fmt::Display for BleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceData(uuid) => write!(f, "service_data {uuid}"),
            Self::Manufacturer(company) => write!(f, "manufacturer 0x{company:04x}"),
            Self::Char(char) => char.fmt(f),
            Self::Rssi => f.write_str("rssi"),
        }
    }
}

impl fmt::Display for BleChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            None => write!(f, "char {}", self.uuid),
            Some(service) => write!(f, "char {service}/{}", self.uuid),
        }
    }
}

impl fmt::Display for BleShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = |byte: &Option<u8>| byte.map_or_else(|| "..".to_owned(), |byte| format!("{byte:02x}"));
        let starts: Vec<String> = self.starts.iter().map(byte).collect();
        if !starts.is_empty() {
            write!(f, " starting {}", starts.join(" "))?;
        }
        self.size.map_or(Ok(()), |size| write!(f, " of {size} bytes"))
    }
}
