//! Named faults, switched on at will: what real devices and Services do on a bad day.
//!
//! As text: `name`, `name=value`, and `*times` behind it for a fault that happens so many times and then no more:
//! `slow=200`, `exception=4*2`, `sentinel=temperature`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a simulated device may do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `silent`: requests are taken in and never answered.
    Silent,
    /// `slow=MS`: each answer takes so much longer, and later requests wait for it.
    Slow(Duration),
    /// `late=MS`: the answer comes after this time, out of order; meant to be longer than the client waits.
    Late(Duration),
    /// `garbled`: answers make no sense, each in another way.
    Garbled,
    /// `wrong_transaction_id`: answers carry another transaction's number.
    WrongTransactionId,
    /// `wrong_unit`: answers carry another unit's number.
    WrongUnit,
    /// `duplicate`: each answer is sent twice.
    Duplicate,
    /// `exception=CODE`: requests are refused with this code.
    Exception(u8),
    /// `disconnect_mid_frame`: half an answer, then the connection is closed.
    DisconnectMidFrame,
    /// `refuse_connections`: connections are closed and new ones refused.
    RefuseConnections,
    /// `busy`: requests are refused as busy (exception 6).
    Busy,
    /// `frozen`: writes are acknowledged and not applied.
    Frozen,
    /// `sentinel=CAPABILITY`: that capability reads its "no reading" value.
    Sentinel(String),
    /// `holes`: addresses between those of the capabilities are refused, however near.
    Holes,
    /// `reboot`: connections are closed and whatever is switched returns to its initial state. Happens at once.
    Reboot,
}

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

/// A fault and how often it is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<F> {
    /// What.
    pub fault: F,
    /// How many times; `None`: until it is cleared. `holes` and `refuse_connections` are states of the device and
    /// `reboot` happens once: these are not counted.
    pub times: Option<u32>,
}

impl<F> From<F> for Order<F> {
    fn from(fault: F) -> Self {
        Self { fault, times: None }
    }
}

impl<F> Order<F> {
    /// A fault that happens this many times.
    pub fn times(fault: F, times: u32) -> Self {
        Self { fault, times: Some(times) }
    }
}

/// Why a text names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault is called that.
    #[error("unknown fault {0:?}; known are: {1}")]
    Unknown(String, &'static str),
    /// The fault needs `=value`.
    #[error("fault {name} needs a value: {name}={value}")]
    NeedsValue {
        /// The fault.
        name: String,
        /// What kind of value.
        value: &'static str,
    },
    /// The fault takes no value.
    #[error("fault {0} takes no value")]
    NoValue(String),
    /// Not a number, or out of range.
    #[error("fault {name}: {text:?} is not {wanted}")]
    BadValue {
        /// The fault.
        name: String,
        /// What was given.
        text: String,
        /// What is needed.
        wanted: &'static str,
    },
}

const DEVICE_FAULTS: &str = "silent, slow=MS, late=MS, garbled, wrong_transaction_id, wrong_unit, duplicate, \
     exception=CODE, disconnect_mid_frame, refuse_connections, busy, frozen, sentinel=CAPABILITY, holes, reboot";
const SERVICE_FAULTS: &str = "stall, slow=MS, drop, duplicate, unknown_msg_id, wrong_subscription_id, error=CODE, \
     garbled, die";

/// `name[=value]`, taken apart.
struct Words<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self { name, value: Some(value) },
            None => Self { name: text, value: None },
        }
    }

    fn alone<F>(&self, fault: F) -> Result<F, FaultError> {
        match self.value {
            None => Ok(fault),
            Some(_) => Err(FaultError::NoValue(self.name.to_owned())),
        }
    }

    fn value(&self, value: &'static str) -> Result<&'a str, FaultError> {
        let missing = || FaultError::NeedsValue { name: self.name.to_owned(), value };
        self.value.filter(|text| !text.is_empty()).ok_or_else(missing)
    }

    fn number<T: FromStr>(&self, value: &'static str, wanted: &'static str) -> Result<T, FaultError> {
        let text = self.value(value)?;
        let bad = |_| FaultError::BadValue { name: self.name.to_owned(), text: text.to_owned(), wanted };
        text.parse().map_err(bad)
    }

    fn duration(&self) -> Result<Duration, FaultError> {
        self.number("MS", "a number of milliseconds").map(|ms: u32| Duration::from_millis(u64::from(ms)))
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text.trim());
        match words.name {
            "silent" => words.alone(Self::Silent),
            "slow" => words.duration().map(Self::Slow),
            "late" => words.duration().map(Self::Late),
            "garbled" => words.alone(Self::Garbled),
            "wrong_transaction_id" => words.alone(Self::WrongTransactionId),
            "wrong_unit" => words.alone(Self::WrongUnit),
            "duplicate" => words.alone(Self::Duplicate),
            "exception" => words.number("CODE", "an exception code, 1 to 255").map(Self::Exception),
            "disconnect_mid_frame" => words.alone(Self::DisconnectMidFrame),
            "refuse_connections" => words.alone(Self::RefuseConnections),
            "busy" => words.alone(Self::Busy),
            "frozen" => words.alone(Self::Frozen),
            "sentinel" => words.value("CAPABILITY").map(|name| Self::Sentinel(name.to_owned())),
            "holes" => words.alone(Self::Holes),
            "reboot" => words.alone(Self::Reboot),
            other => Err(FaultError::Unknown(other.to_owned(), DEVICE_FAULTS)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Slow(time) => write!(f, "slow={}", time.as_millis()),
            Self::Late(time) => write!(f, "late={}", time.as_millis()),
            Self::Garbled => f.write_str("garbled"),
            Self::WrongTransactionId => f.write_str("wrong_transaction_id"),
            Self::WrongUnit => f.write_str("wrong_unit"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Exception(code) => write!(f, "exception={code}"),
            Self::DisconnectMidFrame => f.write_str("disconnect_mid_frame"),
            Self::RefuseConnections => f.write_str("refuse_connections"),
            Self::Busy => f.write_str("busy"),
            Self::Frozen => f.write_str("frozen"),
            Self::Sentinel(name) => write!(f, "sentinel={name}"),
            Self::Holes => f.write_str("holes"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}

impl FromStr for ServiceFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text.trim());
        match words.name {
            "stall" => words.alone(Self::Stall),
            "slow" => words.duration().map(Self::Slow),
            "drop" => words.alone(Self::Drop),
            "duplicate" => words.alone(Self::Duplicate),
            "unknown_msg_id" => words.alone(Self::UnknownMsgId),
            "wrong_subscription_id" => words.alone(Self::WrongSubscriptionId),
            "error" => words.number("CODE", "an error code").map(Self::Error),
            "garbled" => words.alone(Self::Garbled),
            "die" => words.alone(Self::Die),
            other => Err(FaultError::Unknown(other.to_owned(), SERVICE_FAULTS)),
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

impl<F: FromStr<Err = FaultError>> FromStr for Order<F> {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let Some((fault, times)) = text.split_once('*') else { return text.parse::<F>().map(Self::from) };
        let bad = || FaultError::BadValue {
            name: fault.to_owned(),
            text: times.to_owned(),
            wanted: "how many times it is to happen",
        };
        let times = times.trim().parse().ok().filter(|times| *times > 0).ok_or_else(bad)?;
        Ok(Self::times(fault.parse()?, times))
    }
}

impl<F: fmt::Display> fmt::Display for Order<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times {
            Some(times) => write!(f, "{}*{times}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// The faults that are switched on. At most one of each kind: a new one replaces the former.
#[derive(Clone, Debug)]
pub struct Mischief<F>(Vec<Order<F>>);

impl<F> Default for Mischief<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Clone> Mischief<F> {
    /// Switches a fault on.
    pub fn start(&mut self, order: Order<F>) {
        self.0.retain(|old| std::mem::discriminant(&old.fault) != std::mem::discriminant(&order.fault));
        self.0.push(order);
    }

    /// Switches all faults off.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is switched on.
    pub fn active(&self) -> &[Order<F>] {
        &self.0
    }

    /// Whether such a fault is on; does not count as its happening.
    pub fn has(&self, wanted: impl Fn(&F) -> bool) -> bool {
        self.0.iter().any(|order| wanted(&order.fault))
    }

    /// The first such fault that is on; it happens with this.
    pub fn happen(&mut self, wanted: impl Fn(&F) -> bool) -> Option<F> {
        let index = self.0.iter().position(|order| wanted(&order.fault))?;
        let order = self.0.get_mut(index)?;
        let fault = order.fault.clone();
        if let Some(times) = &mut order.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_fault_are_each_others_inverse() {
        for text in [
            "silent",
            "slow=200",
            "late=1500",
            "garbled",
            "wrong_transaction_id",
            "wrong_unit",
            "duplicate",
            "exception=4",
            "disconnect_mid_frame",
            "refuse_connections",
            "busy",
            "frozen",
            "sentinel=temperature",
            "holes",
            "reboot",
            "exception=4*2",
        ] {
            assert_eq!(text.parse::<Order<Fault>>().unwrap().to_string(), text);
        }
        for text in [
            "stall",
            "slow=20",
            "drop",
            "duplicate",
            "unknown_msg_id",
            "wrong_subscription_id",
            "error=7005",
            "garbled",
            "die*1",
        ] {
            assert_eq!(text.parse::<Order<ServiceFault>>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_text_is_refused_in_words() {
        let check = |text: &str, expected: &str| {
            let message = text.parse::<Order<Fault>>().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("lazy", "unknown fault \"lazy\"; known are: silent, ");
        check("slow", "slow needs a value: slow=MS");
        check("slow=soon", "\"soon\" is not a number of milliseconds");
        check("exception=300", "\"300\" is not an exception code");
        check("silent=1", "silent takes no value");
        check("sentinel=", "sentinel needs a value: sentinel=CAPABILITY");
        check("busy*0", "\"0\" is not how many times");
    }

    #[test]
    fn a_counted_fault_ends_by_itself() {
        let mut mischief = Mischief::default();
        mischief.start(Order::times(Fault::Busy, 2));
        mischief.start(Fault::Silent.into());
        let busy = |fault: &Fault| *fault == Fault::Busy;
        assert!(mischief.has(busy));
        assert_eq!(mischief.happen(busy), Some(Fault::Busy));
        assert_eq!(mischief.happen(busy), Some(Fault::Busy));
        assert_eq!(mischief.happen(busy), None);
        assert_eq!(mischief.active().len(), 1);
        mischief.clear();
        assert!(mischief.active().is_empty());
    }
}
