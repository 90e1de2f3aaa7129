//! What a simulated USP Service may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

const NAMES: &str =
    "stall, slow=MS, drop, duplicate, unknown_msg_id, wrong_subscription_id, error=CODE, garbled, die";

/// What a simulated Service may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceFault {
    /// `stall`: requests are taken in, never answered, and the connection stays; those taken in are answered when the
    /// fault ends.
    Stall,
    /// `slow=MS`: each answer takes so much longer, and later ones wait for it.
    Slow(Duration),
    /// `drop`: the request is not answered.
    Drop,
    /// `duplicate`: each answer is sent twice.
    Duplicate,
    /// `unknown_msg_id`: answers carry a msg_id that nobody sent.
    UnknownMsgId,
    /// `wrong_subscription_id`: Notify messages carry an ID that no Subscription has.
    WrongSubscriptionId,
    /// `error=CODE`: requests are answered with an Error Message.
    Error(u32),
    /// `garbled`: an answer's Record cannot be decoded.
    Garbled,
    /// `die`: the connection is closed when a request comes, which is not answered; the Service then reconnects.
    Die,
}

impl Mischievous for ServiceFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

impl FromStr for ServiceFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        match words.name.as_str() {
            "stall" => words.alone(Self::Stall),
            "slow" => words.duration().map(Self::Slow),
            "drop" => words.alone(Self::Drop),
            "duplicate" => words.alone(Self::Duplicate),
            "unknown_msg_id" => words.alone(Self::UnknownMsgId),
            "wrong_subscription_id" => words.alone(Self::WrongSubscriptionId),
            "error" => words.number("CODE", "an error code").map(Self::Error),
            "garbled" => words.alone(Self::Garbled),
            "die" => words.alone(Self::Die),
            other => Err(FaultError::Unknown(other.to_owned(), NAMES.to_owned())),
        }
    }
}

impl fmt::Display for ServiceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stall => f.write_str("stall"),
            Self::Slow(time) => write!(f, "slow={}", time.as_millis()),
            Self::Drop => f.write_str("drop"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::UnknownMsgId => f.write_str("unknown_msg_id"),
            Self::WrongSubscriptionId => f.write_str("wrong_subscription_id"),
            Self::Error(code) => write!(f, "error={code}"),
            Self::Garbled => f.write_str("garbled"),
            Self::Die => f.write_str("die"),
        }
    }
}
