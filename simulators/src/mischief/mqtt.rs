//! What a simulated device on an MQTT server may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

/// What a simulated device on an MQTT server may do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MqttFault {
    /// `silent`: it hears nothing and says nothing, and its connection stays.
    Silent,
    /// `slow=MS`: whatever it says comes so much later.
    Slow(Duration),
    /// `garbled`: bodies are cut and scrambled.
    Garbled,
    /// `duplicate`: everything is said twice.
    Duplicate,
    /// `reordered`: of two things that are said the second comes first.
    Reordered,
    /// `unconfirmed`: what is set is taken in and not done.
    Unconfirmed,
    /// `reboot`: the connection breaks, and what was switched falls back. Happens at once.
    Reboot,
    /// `retained_garbage`: nonsense is left on its topics for whoever subscribes later. Happens at once.
    RetainedGarbage,
}

impl MqttFault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 8] = [
        ("silent", "nothing is heard and nothing said, though the connection stays"),
        ("slow=MS", "everything is said so much later"),
        ("garbled", "bodies are cut and scrambled"),
        ("duplicate", "everything is said twice"),
        ("reordered", "of two things that are said the second comes first"),
        ("unconfirmed", "what is set is taken in and not done"),
        ("reboot", "at once: the connection breaks, what was switched falls back"),
        ("retained_garbage", "at once: nonsense stays on its topics for later subscribers"),
    ];
}

impl Mischievous for MqttFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

impl FromStr for MqttFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        match words.name.as_str() {
            "silent" => words.alone(Self::Silent),
            "slow" => words.duration().map(Self::Slow),
            "garbled" => words.alone(Self::Garbled),
            "duplicate" => words.alone(Self::Duplicate),
            "reordered" => words.alone(Self::Reordered),
            "unconfirmed" => words.alone(Self::Unconfirmed),
            "reboot" => words.alone(Self::Reboot),
            "retained_garbage" => words.alone(Self::RetainedGarbage),
            _ => Err(FaultError::Unknown(text.to_owned(), Self::ALL.map(|(name, _)| name).join(", "))),
        }
    }
}

impl fmt::Display for MqttFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Slow(time) => write!(f, "slow={}", time.as_millis()),
            Self::Garbled => f.write_str("garbled"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Reordered => f.write_str("reordered"),
            Self::Unconfirmed => f.write_str("unconfirmed"),
            Self::Reboot => f.write_str("reboot"),
            Self::RetainedGarbage => f.write_str("retained_garbage"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (name, _) in MqttFault::ALL {
            let text = name.replace("MS", "20");
            assert_eq!(text.parse::<Order<MqttFault>>().unwrap().to_string(), text);
        }
        assert!("lazy".parse::<MqttFault>().unwrap_err().to_string().contains("known are: silent, "));
        assert!("silent=1".parse::<MqttFault>().is_err());
    }
}
