//! What a simulated device on a serial line may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

/// What a simulated device on a serial line may do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// `silent`: nothing is said, and nothing that is asked is heard.
    Silent,
    /// `slow=MS`: each answer comes so much later.
    Slow(Duration),
    /// `garbled`: bits of each frame are wrong, in another place each time.
    Garbled,
    /// `checksum`: the checksum of each frame is wrong, or what stands for one.
    Checksum,
    /// `half`: of each frame only the first half comes.
    Half,
    /// `noise`: bytes that mean nothing come between frames.
    Noise,
    /// `echo`: each request comes back before it is answered.
    Echo,
    /// `frozen`: what is set is acknowledged and not done.
    Frozen,
    /// `refuse`: everything is refused, in the device's own words.
    Refuse,
    /// `unanswered`: what is asked is done and not answered.
    Unanswered,
    /// `reboot`: at once: it says nothing for a moment, and what was set falls back.
    Reboot,
    /// `unplugged`: at once: the port vanishes, or the connection; `clear` plugs it in again.
    Unplugged,
}

impl LineFault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 12] = [
        ("silent", "nothing is said or heard"),
        ("slow=MS", "each answer comes so much later"),
        ("garbled", "bits of each frame are wrong"),
        ("checksum", "the checksum of each frame is wrong"),
        ("half", "of each frame only the first half comes"),
        ("noise", "bytes that mean nothing come between frames"),
        ("echo", "each request comes back before it is answered"),
        ("frozen", "what is set is acknowledged and not done"),
        ("refuse", "everything is refused"),
        ("unanswered", "what is asked is done and not answered"),
        ("reboot", "at once: a moment of silence, what was set falls back"),
        ("unplugged", "at once: the port or the connection vanishes until it is cleared"),
    ];
}

impl Mischievous for LineFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

impl FromStr for LineFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        match words.name.as_str() {
            "silent" => words.alone(Self::Silent),
            "slow" => words.duration().map(Self::Slow),
            "garbled" => words.alone(Self::Garbled),
            "checksum" => words.alone(Self::Checksum),
            "half" => words.alone(Self::Half),
            "noise" => words.alone(Self::Noise),
            "echo" => words.alone(Self::Echo),
            "frozen" => words.alone(Self::Frozen),
            "refuse" => words.alone(Self::Refuse),
            "unanswered" => words.alone(Self::Unanswered),
            "reboot" => words.alone(Self::Reboot),
            "unplugged" => words.alone(Self::Unplugged),
            _ => Err(FaultError::Unknown(text.to_owned(), Self::ALL.map(|(name, _)| name).join(", "))),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow(time) => return write!(f, "slow={}", time.as_millis()),
            Self::Silent => "silent",
            Self::Garbled => "garbled",
            Self::Checksum => "checksum",
            Self::Half => "half",
            Self::Noise => "noise",
            Self::Echo => "echo",
            Self::Frozen => "frozen",
            Self::Refuse => "refuse",
            Self::Unanswered => "unanswered",
            Self::Reboot => "reboot",
            Self::Unplugged => "unplugged",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (name, _) in LineFault::ALL {
            let text = name.replace("MS", "20");
            assert_eq!(text.parse::<Order<LineFault>>().unwrap().to_string(), text);
        }
        assert!("lazy".parse::<LineFault>().unwrap_err().to_string().contains("known are: silent, "));
        assert!("silent=1".parse::<LineFault>().is_err());
    }
}
