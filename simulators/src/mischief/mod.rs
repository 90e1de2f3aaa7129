//! Named faults, switched on at will: what real devices and Services do on a bad day.
//!
//! As text: `name`, `name=value`, and `*times` behind it for a fault that happens so many times and then no more:
//! `slow=200`, `exception=4*2`, `sentinel=temperature`. A hyphen may stand for the `_` in a name, and `:` or a space for the `=`.

mod ble;
mod coap;
mod device;
mod line;
mod mqtt;
mod service;
mod zigbee;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::near::hint;

pub use ble::BleFault;
pub use coap::CoapFault;
pub use device::{Fault, HoleAt};
pub use line::LineFault;
pub use mqtt::MqttFault;
pub use service::ServiceFault;
pub use zigbee::ZigbeeFault;

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
    #[error("unknown fault {0:?}; known are: {1}{meant}", meant = hint(.0, .1))]
    Unknown(String, String),
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

/// `name[=value]`, taken apart.
struct Words<'a> {
    name: String,
    value: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let (name, value) = match text.trim().split_once(['=', ':', ' ']) {
            Some((name, value)) => (name, Some(value.trim())),
            None => (text.trim(), None),
        };
        Self { name: name.replace('-', "_"), value }
    }

    fn alone<F>(&self, fault: F) -> Result<F, FaultError> {
        match self.value {
            None => Ok(fault),
            Some(_) => Err(FaultError::NoValue(self.name.clone())),
        }
    }

    fn value(&self, value: &'static str) -> Result<&'a str, FaultError> {
        let missing = || FaultError::NeedsValue { name: self.name.clone(), value };
        self.value.filter(|text| !text.is_empty()).ok_or_else(missing)
    }

    fn number<T: FromStr>(&self, value: &'static str, wanted: &'static str) -> Result<T, FaultError> {
        let text = self.value(value)?;
        let bad = |_| FaultError::BadValue { name: self.name.clone(), text: text.to_owned(), wanted };
        text.parse().map_err(bad)
    }

    fn duration(&self) -> Result<Duration, FaultError> {
        self.number("MS", "a number of milliseconds").map(|ms: u32| Duration::from_millis(u64::from(ms)))
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

/// What can be switched on.
pub trait Mischievous: Clone {
    /// Whether both can be on at once; otherwise the new one replaces the former.
    fn goes_with(&self, other: &Self) -> bool;
}

/// The faults that are switched on.
#[derive(Clone, Debug)]
pub struct Mischief<F>(Vec<Order<F>>);

impl<F> Default for Mischief<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Mischievous> Mischief<F> {
    /// Switches a fault on.
    pub fn start(&mut self, order: Order<F>) {
        self.0.retain(|old| old.fault.goes_with(&order.fault));
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
            "noise",
            "wrong_transaction_id",
            "wrong_unit",
            "duplicate",
            "exception=4",
            "transient=6",
            "hole=12",
            "hole=input:30",
            "max_registers=32",
            "dead",
            "disconnect",
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
        assert_eq!("ignore-writes".parse(), Ok(Fault::Frozen));
        assert_eq!("max-registers:32 * 2".parse(), Ok(Order::times(Fault::MaxRegisters(32), 2)));
        assert_eq!("slow 200".parse(), Ok(Fault::Slow(Duration::from_millis(200))));
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
        check("hole=stack:3", "\"stack:3\" is not an address");
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
        for text in ["hole=3", "hole=4", "hole=3", "slow=1", "slow=2"] {
            mischief.start(text.parse::<Order<Fault>>().unwrap());
        }
        let active: Vec<String> = mischief.active().iter().map(Order::to_string).collect();
        assert_eq!(active, ["hole=4", "hole=3", "slow=2"]);
    }
}
