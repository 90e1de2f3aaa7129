//! What simulated Zigbee coordinators and the devices behind them may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

/// What may go wrong at a coordinator, or at a device behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeeFault {
    /// `silent`: nothing is said, nothing is answered. A device still acknowledges what it hears.
    Silent,
    /// `late=MS`: what is said comes so much later.
    Late(Duration),
    /// `lost`: frames of the coordinator do not arrive.
    Lost,
    /// `unheard`: frames to the coordinator do not arrive.
    Unheard,
    /// `checksum`: a bit of each frame of the coordinator is wrong.
    Checksum,
    /// `duplicate`: each frame of the coordinator, or each message of the device, comes twice.
    Duplicate,
    /// `noise`: bytes that mean nothing come between frames of the coordinator.
    Noise,
    /// `lossy=PERCENT`: of the frames in both directions so many are lost or spoiled, by chance.
    Lossy(u8),
    /// `busy`: the coordinator has no room for anything to send.
    Busy,
    /// `reset`: at once: the coordinator starts anew.
    Reset,
    /// `unplugged`: at once: the coordinator's port vanishes; `clear` plugs it in again.
    Unplugged,
    /// `unplugged_mid_frame`: the same, in the middle of its next frame.
    UnpluggedMidFrame,
    /// `wrong_key`: at once: another network key is in the coordinator, which starts anew with it.
    WrongKey,
    /// `gone`: the device neither hears nor says anything.
    Gone,
    /// `undelivered`: what is sent to the device does not arrive, and the coordinator says so.
    Undelivered,
    /// `unacknowledged`: it arrives, and the coordinator says that it did not.
    Unacknowledged,
    /// `refuse`: the device refuses commands and writes.
    Refuse,
    /// `frozen`: the device acknowledges them and does nothing.
    Frozen,
    /// `flood=RATE`: the device sends so many reports a second.
    Flood(u32),
}

impl ZigbeeFault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 19] = [
        ("silent", "nothing is said or answered"),
        ("late=MS", "what is said comes so much later"),
        ("lost", "frames of the coordinator do not arrive"),
        ("unheard", "frames to the coordinator do not arrive"),
        ("checksum", "a bit of each frame of the coordinator is wrong"),
        ("duplicate", "each frame of the coordinator, or message of a device, comes twice"),
        ("noise", "bytes that mean nothing come between frames of the coordinator"),
        ("lossy=PERCENT", "so many frames in both directions are lost or spoiled"),
        ("busy", "the coordinator has no room for anything to send"),
        ("reset", "at once: the coordinator starts anew"),
        ("unplugged", "at once: the coordinator vanishes until it is cleared"),
        ("unplugged_mid_frame", "the same in the middle of its next frame"),
        ("wrong_key", "at once: the coordinator starts anew with another network key"),
        ("gone", "a device neither hears nor says anything"),
        ("undelivered", "what is sent to a device does not arrive"),
        ("unacknowledged", "it arrives and is reported as not delivered"),
        ("refuse", "a device refuses commands and writes"),
        ("frozen", "a device acknowledges them and does nothing"),
        ("flood=RATE", "a device sends so many reports a second"),
    ];

    /// Whether it can be a coordinator's.
    pub fn of_coordinator(&self) -> bool {
        matches!(
            self,
            Self::Silent
                | Self::Late(_)
                | Self::Lost
                | Self::Unheard
                | Self::Checksum
                | Self::Duplicate
                | Self::Noise
                | Self::Lossy(_)
                | Self::Busy
                | Self::Reset
                | Self::Unplugged
                | Self::UnpluggedMidFrame
                | Self::WrongKey
        )
    }

    /// Whether it can be a device's.
    pub fn of_device(&self) -> bool {
        !self.of_coordinator() || matches!(self, Self::Silent | Self::Late(_) | Self::Duplicate)
    }
}

impl Mischievous for ZigbeeFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

impl FromStr for ZigbeeFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        match words.name.as_str() {
            "silent" => words.alone(Self::Silent),
            "late" => words.duration().map(Self::Late),
            "lost" => words.alone(Self::Lost),
            "unheard" => words.alone(Self::Unheard),
            "checksum" => words.alone(Self::Checksum),
            "duplicate" => words.alone(Self::Duplicate),
            "noise" => words.alone(Self::Noise),
            "lossy" => words.number("PERCENT", "a number of percent").map(Self::Lossy),
            "busy" => words.alone(Self::Busy),
            "reset" => words.alone(Self::Reset),
            "unplugged" => words.alone(Self::Unplugged),
            "unplugged_mid_frame" => words.alone(Self::UnpluggedMidFrame),
            "wrong_key" => words.alone(Self::WrongKey),
            "gone" => words.alone(Self::Gone),
            "undelivered" => words.alone(Self::Undelivered),
            "unacknowledged" => words.alone(Self::Unacknowledged),
            "refuse" => words.alone(Self::Refuse),
            "frozen" => words.alone(Self::Frozen),
            "flood" => words.number("RATE", "a number of reports a second").map(Self::Flood),
            _ => Err(FaultError::Unknown(text.to_owned(), Self::ALL.map(|(name, _)| name).join(", "))),
        }
    }
}

impl fmt::Display for ZigbeeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late(time) => return write!(f, "late={}", time.as_millis()),
            Self::Lossy(percent) => return write!(f, "lossy={percent}"),
            Self::Flood(rate) => return write!(f, "flood={rate}"),
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::Unheard => "unheard",
            Self::Checksum => "checksum",
            Self::Duplicate => "duplicate",
            Self::Noise => "noise",
            Self::Busy => "busy",
            Self::Reset => "reset",
            Self::Unplugged => "unplugged",
            Self::UnpluggedMidFrame => "unplugged_mid_frame",
            Self::WrongKey => "wrong_key",
            Self::Gone => "gone",
            Self::Undelivered => "undelivered",
            Self::Unacknowledged => "unacknowledged",
            Self::Refuse => "refuse",
            Self::Frozen => "frozen",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (name, _) in ZigbeeFault::ALL {
            let text = name.replace("MS", "20").replace("PERCENT", "10").replace("RATE", "5");
            let order: Order<ZigbeeFault> = text.parse().unwrap();
            assert_eq!(order.to_string(), text);
            assert!(order.fault.of_coordinator() || order.fault.of_device());
        }
        assert!("lazy".parse::<ZigbeeFault>().unwrap_err().to_string().contains("known are: silent, "));
        assert!("silent=1".parse::<ZigbeeFault>().is_err());
        assert!("lossy=many".parse::<ZigbeeFault>().unwrap_err().to_string().contains("percent"));
    }
}
