//! What a simulated BLE device, the radio that hears it and the system in between may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

/// What a simulated BLE device may do wrong, or what may happen to the radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BleFault {
    /// `silent`: the device is out of reach: it is not heard, links to it break, and connecting ends after 20 s.
    Silent,
    /// `refuse_connections`: the device is heard, and lets nobody connect.
    RefuseConnections,
    /// `slow_connect=MS`: connecting takes so much longer.
    SlowConnect(Duration),
    /// `slow=MS`: each read and each write takes so much longer.
    Slow(Duration),
    /// `disconnect_mid_write`: the link breaks when something is written, and it is not done.
    DisconnectMidWrite,
    /// `disconnect`: the link breaks. Happens at once.
    Disconnect,
    /// `unanswered`: writes are done and never answered.
    Unanswered,
    /// `frozen`: writes are acknowledged and not done.
    Frozen,
    /// `refuse`: each read and each write is refused, with the first error code of applications.
    Refuse,
    /// `notify_lost`: nobody is told of changes, though it is promised.
    NotifyLost,
    /// `refuse_pairing`: the device does not pair.
    RefusePairing,
    /// `wrong_key`: advertisements are encrypted with another key.
    WrongKey,
    /// `replay`: somebody says again what the device said before.
    Replay,
    /// `garbled`: what is advertised and read has bytes missing or changed.
    Garbled,
    /// `reboot`: as after a new battery. Happens at once.
    Reboot,
    /// `advert_flood=N`: so many strangers advertise in each second, each once.
    AdvertFlood(u32),
    /// `scan_silent`: discovery runs, and nothing is heard.
    ScanSilent,
    /// `adapter_off`: the adapter is without power while the fault is on, whatever is tried.
    AdapterOff,
    /// `adapter_gone`: the adapter was pulled out.
    AdapterGone,
    /// `bluetoothd_killed`: the daemon has crashed, and comes back when the fault ends.
    BluetoothdKilled,
    /// `bluetoothd_hung`: the daemon answers nothing.
    BluetoothdHung,
    /// `dbus_killed`: the bus has crashed, and comes back when the fault ends.
    DbusKilled,
    /// `dbus_hung`: the bus passes nothing on.
    DbusHung,
}

impl BleFault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 23] = [
        ("silent", "the device is out of reach"),
        ("refuse_connections", "the device is heard, and lets nobody connect"),
        ("slow_connect=MS", "connecting takes so much longer"),
        ("slow=MS", "each read and each write takes so much longer"),
        ("disconnect_mid_write", "the link breaks when something is written"),
        ("disconnect", "at once: the link breaks"),
        ("unanswered", "writes are done and never answered"),
        ("frozen", "writes are acknowledged and not done, or refused in an answer; also ignore_writes"),
        ("refuse", "each read and each write is refused"),
        ("notify_lost", "nobody is told of changes, though it is promised"),
        ("refuse_pairing", "the device does not pair"),
        ("wrong_key", "advertisements are encrypted with another key"),
        ("replay", "somebody says again what the device said before"),
        ("garbled", "what is advertised and read makes no sense"),
        ("reboot", "at once: as after a new battery"),
        ("advert_flood=N", "so many strangers advertise in each second"),
        ("scan_silent", "discovery runs, and nothing is heard"),
        ("adapter_off", "the adapter is without power, whatever is tried"),
        ("adapter_gone", "the adapter was pulled out"),
        ("bluetoothd_killed", "BlueZ has crashed; back with clear"),
        ("bluetoothd_hung", "BlueZ answers nothing"),
        ("dbus_killed", "the bus has crashed; back with clear"),
        ("dbus_hung", "the bus passes nothing on"),
    ];

    /// It happens to the radio and to all that it hears, not to one device.
    pub fn is_of_radio(&self) -> bool {
        matches!(
            self,
            Self::AdvertFlood(_)
                | Self::ScanSilent
                | Self::AdapterOff
                | Self::AdapterGone
                | Self::BluetoothdKilled
                | Self::BluetoothdHung
                | Self::DbusKilled
                | Self::DbusHung
        )
    }
}

impl Mischievous for BleFault {
    fn goes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

impl FromStr for BleFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        let alone = match words.name.as_str() {
            "slow_connect" => return words.duration().map(Self::SlowConnect),
            "slow" => return words.duration().map(Self::Slow),
            "advert_flood" => {
                return words.number("N", "how many advertise in a second").map(Self::AdvertFlood);
            }
            "silent" => Self::Silent,
            "refuse_connections" => Self::RefuseConnections,
            "disconnect_mid_write" => Self::DisconnectMidWrite,
            "disconnect" => Self::Disconnect,
            "unanswered" => Self::Unanswered,
            "frozen" | "ignore_writes" => Self::Frozen,
            "refuse" => Self::Refuse,
            "notify_lost" => Self::NotifyLost,
            "refuse_pairing" => Self::RefusePairing,
            "wrong_key" => Self::WrongKey,
            "replay" => Self::Replay,
            "garbled" => Self::Garbled,
            "reboot" => Self::Reboot,
            "scan_silent" => Self::ScanSilent,
            "adapter_off" => Self::AdapterOff,
            "adapter_gone" => Self::AdapterGone,
            "bluetoothd_killed" => Self::BluetoothdKilled,
            "bluetoothd_hung" => Self::BluetoothdHung,
            "dbus_killed" => Self::DbusKilled,
            "dbus_hung" => Self::DbusHung,
            other => {
                let known = Self::ALL.map(|(name, _)| name).join(", ");
                return Err(FaultError::Unknown(other.to_owned(), known));
            }
        };
        words.alone(alone)
    }
}

impl fmt::Display for BleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SlowConnect(time) => return write!(f, "slow_connect={}", time.as_millis()),
            Self::Slow(time) => return write!(f, "slow={}", time.as_millis()),
            Self::AdvertFlood(count) => return write!(f, "advert_flood={count}"),
            Self::Silent => "silent",
            Self::RefuseConnections => "refuse_connections",
            Self::DisconnectMidWrite => "disconnect_mid_write",
            Self::Disconnect => "disconnect",
            Self::Unanswered => "unanswered",
            Self::Frozen => "frozen",
            Self::Refuse => "refuse",
            Self::NotifyLost => "notify_lost",
            Self::RefusePairing => "refuse_pairing",
            Self::WrongKey => "wrong_key",
            Self::Replay => "replay",
            Self::Garbled => "garbled",
            Self::Reboot => "reboot",
            Self::ScanSilent => "scan_silent",
            Self::AdapterOff => "adapter_off",
            Self::AdapterGone => "adapter_gone",
            Self::BluetoothdKilled => "bluetoothd_killed",
            Self::BluetoothdHung => "bluetoothd_hung",
            Self::DbusKilled => "dbus_killed",
            Self::DbusHung => "dbus_hung",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_written_as_it_is_read() {
        for (name, _) in BleFault::ALL {
            let text = name.replace("MS", "250").replace("=N", "=50");
            assert_eq!(text.parse::<BleFault>().map(|fault| fault.to_string()), Ok(text));
        }
        assert_eq!("ignore-writes".parse(), Ok(BleFault::Frozen));
        assert!("advert_flood=many".parse::<BleFault>().is_err());
        assert!("silent=1".parse::<BleFault>().is_err());
    }
}
