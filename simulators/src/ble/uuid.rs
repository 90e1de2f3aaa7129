//! What services and characteristics are known by.

use std::fmt;

/// What the 16-bit numbers of the Bluetooth SIG are short for (Core Specification, Vol 3 Part B, 2.5.1).
const BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// A UUID; the Bluetooth SIG's own have 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// One of 128 bits.
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// One of the Bluetooth SIG's.
    pub const fn short(number: u16) -> Self {
        Self(BASE | (number as u128) << 96)
    }

    /// `181a`, or all 32 digits, with or without hyphens; `None`: it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let bits = u128::from_str_radix(&digits, 16).ok()?;
        match digits.len() {
            4 => u16::try_from(bits).ok().map(Self::short),
            8 => Some(Self(BASE | bits << 96)),
            32 => Some(Self(bits)),
            _ => None,
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            bits >> 80 & 0xffff,
            bits >> 64 & 0xffff,
            bits >> 48 & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_ones_are_read_and_written() {
        let battery = "0000180f-0000-1000-8000-00805f9b34fb";
        assert_eq!(Uuid::short(0x180f).to_string(), battery);
        assert_eq!(Uuid::parse("180F"), Some(Uuid::short(0x180f)));
        assert_eq!(Uuid::parse(battery), Some(Uuid::short(0x180f)));
        let own = "cba20d00-224d-11e6-9fb8-0002a5d5c51b";
        assert_eq!(Uuid::parse(own).map(|uuid| uuid.to_string()).as_deref(), Some(own));
        assert_eq!(Uuid::parse("18"), None);
        assert_eq!(Uuid::parse("battery"), None);
    }
}
