//! The address that a device keeps for ever.

use std::fmt;
use std::str::FromStr;

/// An IEEE address (EUI-64), as it is printed: the manufacturer's part first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ieee(pub u64);

impl fmt::Display for Ieee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}", self.0)
    }
}

/// Why a text is no IEEE address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IEEE address; it is written 0x00158d0001a2b3c4")]
pub struct NoIeee(String);

impl FromStr for Ieee {
    type Err = NoIeee;

    fn from_str(text: &str) -> Result<Self, NoIeee> {
        let digits: String =
            text.trim_start_matches("0x").chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(&digits, 16).ok().filter(|_| plain);
        number.map(Self).ok_or_else(|| NoIeee(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_printed() {
        let ieee = Ieee(0x0015_8d00_01a2_b3c4);
        assert_eq!(ieee.to_string().parse(), Ok(ieee));
        assert_eq!("00:15:8d:00:01:a2:b3:c4".parse(), Ok(ieee));
        assert!("0x158d0001a2b3c4".parse::<Ieee>().is_err());
        assert!("+0158d0001a2b3c4".parse::<Ieee>().is_err());
    }
}
