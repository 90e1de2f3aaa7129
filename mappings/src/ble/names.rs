//! UUIDs and addresses.

use std::fmt;

/// What short UUIDs are short for (Core Specification, Vol 3, Part B, 2.5.1).
const BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// A UUID of a service or characteristic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BleUuid(pub u128);

impl BleUuid {
    /// The one of 16 or 32 bits that this stands for.
    pub const fn short(number: u32) -> Self {
        Self(BASE | (number as u128) << 96)
    }

    /// The UUID that a text spells: 4 or 8 hexadecimal digits with or without `0x`, or 32 with hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return None;
        }
        match digits.len() {
            4 | 8 => u32::from_str_radix(digits, 16).ok().map(Self::short),
            36 if text.len() == 36 => {
                let hyphens: Vec<usize> = digits.match_indices('-').map(|(at, _)| at).collect();
                let all: String = digits.split('-').collect();
                let number = u128::from_str_radix(&all, 16).ok().map(Self);
                number.filter(|_| hyphens == [8, 13, 18, 23])
            }
            _ => None,
        }
    }
}

/// As short as it can be said.
impl fmt::Display for BleUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0 >> 96;
        if self.0 & !(0xffff_ffff << 96) == BASE {
            return if number <= 0xffff { write!(f, "{number:04x}") } else { write!(f, "{number:08x}") };
        }
        let all = format!("{:032x}", self.0);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| all.get(part).unwrap_or_default());
        f.write_str(&parts.join("-"))
    }
}

impl fmt::Debug for BleUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A Bluetooth address, its first byte first as people write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address that a text spells: six times two hexadecimal digits with `:` or `-` between them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next()?;
            let is_byte = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_byte)?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_said_as_short_as_they_can_be() {
        for (text, said) in [
            ("2a19", "2a19"),
            ("0x2A19", "2a19"),
            ("00002a19-0000-1000-8000-00805f9b34fb", "2a19"),
            ("12345678", "12345678"),
            ("0000ffe1-0000-1000-8000-00805F9B34FB", "ffe1"),
            ("cba20d00-224d-11e6-9fb8-0002a5d5c51b", "cba20d00-224d-11e6-9fb8-0002a5d5c51b"),
        ] {
            assert_eq!(BleUuid::parse(text).map(|uuid| uuid.to_string()).as_deref(), Some(said), "{text}");
        }
        for text in ["", "2a1", "2a199", "xyzw", "0x", "00002a1900001000800000805f9b34fb", "-2a1", "+2a1"] {
            assert_eq!(BleUuid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_have_six_bytes() {
        for text in ["A4:C1:38:11:22:33", "a4-c1-38-11-22-33"] {
            assert_eq!(Mac::parse(text).map(|mac| mac.to_string()).as_deref(), Some("A4:C1:38:11:22:33"));
        }
        for text in ["", "A4:C1:38:11:22", "A4:C1:38:11:22:33:44", "A4:C1:38:11:22:3", "A4:C1:38:11:22:+3"] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }
}
