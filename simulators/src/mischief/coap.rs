//! What a simulated CoAP device may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

/// What a simulated CoAP device may do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoapFault {
    /// `silent`: nothing is ever answered or told.
    Silent,
    /// `slow=MS`: each answer takes so much longer; from 500 ms on it is acknowledged first and comes by itself.
    Slow(Duration),
    /// `late=MS`: each answer comes after this time, unannounced; meant to be longer than the client waits.
    Late(Duration),
    /// `garbled`: answers make no sense, each in another way.
    Garbled,
    /// `duplicate`: everything is sent twice.
    Duplicate,
    /// `reordered`: of two notifications the second comes first.
    Reordered,
    /// `wrong_token`: answers belong to another request.
    WrongToken,
    /// `observe_lost`: who was to be told is forgotten, and nobody is told anything, though it is promised.
    ObserveLost,
    /// `no_observe`: nobody is told anything, and it is not promised.
    NoObserve,
    /// `block_missing`: after the first block comes the one behind the next; a body in blocks has one missing.
    BlockMissing,
    /// `frozen`: writes are acknowledged and not done.
    Frozen,
    /// `unconfirmed`: writes are done and taken note of, and never answered.
    Unconfirmed,
    /// `refuse=CODE`: everything is refused with this code, such as 4.04.
    Refuse(u8),
    /// `wrong_key`: the device has another key than it should; sessions that are open stay.
    WrongKey,
    /// `reboot`: sessions and who was to be told are forgotten, what was switched falls back. Happens at once.
    Reboot,
}

impl CoapFault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 15] = [
        ("silent", "nothing is answered or told"),
        ("slow=MS", "each answer takes so much longer"),
        ("late=MS", "each answer comes after this time, out of order"),
        ("garbled", "answers make no sense, each in another way"),
        ("duplicate", "everything is sent twice"),
        ("reordered", "of two notifications the second comes first"),
        ("wrong_token", "answers belong to another request"),
        ("observe_lost", "nobody is told of changes, though it is promised"),
        ("no_observe", "nobody is told of changes, and it is not promised"),
        ("block_missing", "of a body in blocks one is missing"),
        ("frozen", "writes are acknowledged and not done; also ignore_writes"),
        ("unconfirmed", "writes are taken note of and never answered"),
        ("refuse=CODE", "everything is refused with this code, such as 4.04"),
        ("wrong_key", "handshakes are made with another key"),
        ("reboot", "at once: who was to be told is forgotten, what was switched falls back"),
    ];
}

impl Mischievous for CoapFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

/// `4.04` as a byte.
fn code(text: &str) -> Option<u8> {
    let (class, detail) = text.split_once('.')?;
    let (class, detail): (u8, u8) = (class.parse().ok()?, detail.parse().ok()?);
    (matches!(class, 4 | 5) && detail < 32).then_some(class << 5 | detail)
}

impl FromStr for CoapFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        match words.name.as_str() {
            "silent" => words.alone(Self::Silent),
            "slow" => words.duration().map(Self::Slow),
            "late" => words.duration().map(Self::Late),
            "garbled" => words.alone(Self::Garbled),
            "duplicate" => words.alone(Self::Duplicate),
            "reordered" => words.alone(Self::Reordered),
            "wrong_token" => words.alone(Self::WrongToken),
            "observe_lost" => words.alone(Self::ObserveLost),
            "no_observe" => words.alone(Self::NoObserve),
            "block_missing" => words.alone(Self::BlockMissing),
            "frozen" | "ignore_writes" => words.alone(Self::Frozen),
            "unconfirmed" => words.alone(Self::Unconfirmed),
            "refuse" => {
                let text = words.value("CODE")?;
                let wanted = "a response code, such as 4.04";
                let bad =
                    || FaultError::BadValue { name: "refuse".to_owned(), text: text.to_owned(), wanted };
                code(text).map(Self::Refuse).ok_or_else(bad)
            }
            "wrong_key" => words.alone(Self::WrongKey),
            "reboot" => words.alone(Self::Reboot),
            other => {
                let known = Self::ALL.map(|(name, _)| name).join(", ");
                Err(FaultError::Unknown(other.to_owned(), known))
            }
        }
    }
}

impl fmt::Display for CoapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Slow(time) => write!(f, "slow={}", time.as_millis()),
            Self::Late(time) => write!(f, "late={}", time.as_millis()),
            Self::Garbled => f.write_str("garbled"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Reordered => f.write_str("reordered"),
            Self::WrongToken => f.write_str("wrong_token"),
            Self::ObserveLost => f.write_str("observe_lost"),
            Self::NoObserve => f.write_str("no_observe"),
            Self::BlockMissing => f.write_str("block_missing"),
            Self::Frozen => f.write_str("frozen"),
            Self::Unconfirmed => f.write_str("unconfirmed"),
            Self::Refuse(code) => write!(f, "refuse={}.{:02}", code >> 5, code & 31),
            Self::WrongKey => f.write_str("wrong_key"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (name, _) in CoapFault::ALL {
            let text = name.replace("MS", "250").replace("CODE", "4.04");
            assert_eq!(text.parse::<CoapFault>().map(|fault| fault.to_string()), Ok(text));
        }
        assert!("refuse=2.05".parse::<CoapFault>().is_err());
        assert!("nonsense".parse::<CoapFault>().is_err());
    }
}
