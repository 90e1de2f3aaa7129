//! What the core asks of a bus itself, beside what it asks of devices, and what becomes of it: who joins a radio network,
//! who is to leave it.
//!
//! Each [`BusCall`] gets exactly one [`BusReport::Done`], whatever happens to the bus meanwhile, but for
//! [`BusAction::Cancel`], which ends another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Ties what a bus reports to what it was asked. Unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BusCallId(pub u64);

/// A request of the core to a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusCall {
    /// Chosen by the core.
    pub id: BusCallId,
    /// The name of the bus in the site file.
    pub bus: Arc<str>,
    /// What to do.
    pub action: BusAction,
}

/// What a bus is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusAction {
    /// Let devices join for so long. It is done when that is over and whoever has come is ready, or is not.
    PermitJoin(Duration),
    /// Have a device leave, by its address, and forget it.
    Remove(RadioAddress),
    /// End what this call began.
    Cancel(BusCallId),
}

/// The address that a device of a radio network has for ever (EUI-64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RadioAddress(pub u64);

impl RadioAddress {
    /// Reads what [`Display`](fmt::Display) writes: `0x` and 16 hexadecimal digits, large or small.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        let plain = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16).ok().filter(|_| plain).map(Self)
    }
}

impl fmt::Display for RadioAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}", self.0)
    }
}

/// A device that has come, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Who.
    pub address: RadioAddress,
    /// How far it is.
    pub stage: JoinStage,
    /// Who made it, as it says itself; empty while that is not known.
    pub manufacturer: String,
    /// What it is called by who made it.
    pub model: String,
    /// In words: what is asked at the moment, or why it failed.
    pub detail: String,
}

/// How far a device is that has joined a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JoinStage {
    /// It is in the network.
    Found,
    /// It is asked who it is and what it can do.
    Interviewing,
    /// All that is needed of it is known, and it will tell its values by itself where it can.
    Ready,
    /// It did not say what is needed of it.
    Failed,
    /// It has left the network again.
    Left,
}

impl JoinStage {
    /// As the data model spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "Found",
            Self::Interviewing => "Interviewing",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
            Self::Left => "Left",
        }
    }
}

/// What a bus says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusReport {
    /// A device has come, or is further than before. Told of whoever comes, whether somebody waits for it or not.
    Newcomer {
        /// The name of the bus.
        bus: Arc<str>,
        /// Who, and how far.
        newcomer: Newcomer,
    },
    /// The end of a call.
    Done {
        /// Which.
        id: BusCallId,
        /// Who has come while it ran; or why it was not done.
        outcome: Result<Vec<Newcomer>, String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let address = RadioAddress(0x0015_8d00_01a2_b3c4);
        assert_eq!(address.to_string(), "0x00158d0001a2b3c4");
        assert_eq!(RadioAddress::parse("0x00158D0001A2B3C4"), Some(address));
        for wrong in
            ["", "0x", "00158d0001a2b3c4", "0x158d0001a2b3c4", "0x+0158d0001a2b3c4", "0x00158d0001a2b3c45"]
        {
            assert_eq!(RadioAddress::parse(wrong), None, "{wrong}");
        }
    }
}
