//! Whether two descriptions are of one device: by an address that both give, else by its topic.

use std::collections::BTreeMap;

use super::Device;
use crate::mapping::AdoptedFrom;

/// The IEEE or MAC address that an identifier is or ends with, in small letters: `0x00158d0001a2b3c4` and
/// `zigbee2mqtt_0x00158d0001a2b3c4` are one, and so are `A4:CF:12:34:56:78` and `shellyplus1-a4cf12345678`. What follows
/// an address (`a4cf12345678_zone2`) makes it a part of a device, or another one.
pub(super) fn address(identifier: &str) -> Option<String> {
    let small = identifier.to_ascii_lowercase();
    let is_hex =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    let together: String = small.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    if is_hex(&together, 12) {
        return Some(together);
    }
    let last = small.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let is_ieee = last.strip_prefix("0x").is_some_and(|digits| is_hex(digits, 16));
    (is_ieee || is_hex(last, 12)).then(|| last.to_owned())
}

/// Devices that are taken over, by what they can be told by.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeMap<Mark, String>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Address(String),
    Topic(String),
}

impl Taken {
    /// In words, from whom a device is taken over already.
    pub(super) fn by(&self, device: &Device) -> Option<&str> {
        marks(device).find_map(|mark| self.0.get(&mark)).map(String::as_str)
    }

    /// It is told of.
    pub(super) fn take(&mut self, device: &Device, from: AdoptedFrom) {
        for mark in marks(device) {
            self.0.entry(mark).or_insert_with(|| format!("{from}, where it is `{}`", device.name));
        }
    }
}

fn marks(device: &Device) -> impl Iterator<Item = Mark> {
    let addresses = device.addresses.iter().cloned().map(Mark::Address);
    addresses.chain([Mark::Topic(device.topic.clone())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (identifier, expected) in [
            ("0x00158D0001a2b3c4", Some("0x00158d0001a2b3c4")),
            ("zigbee2mqtt_0x00158d0001a2b3c4", Some("0x00158d0001a2b3c4")),
            ("A4CF12345678", Some("a4cf12345678")),
            ("A4:CF:12:34:56:78", Some("a4cf12345678")),
            ("a4-cf-12-34-56-78", Some("a4cf12345678")),
            ("shellyplus1-a4cf12345678", Some("a4cf12345678")),
            ("a4cf12345678_zone2", None),
            ("0x00158d", None),
            ("breeze1", None),
            ("", None),
        ] {
            assert_eq!(address(identifier).as_deref(), expected, "{identifier}");
        }
    }
}
