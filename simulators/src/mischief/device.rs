//! What a simulated device may do wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultError, Mischievous, Words};

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
    /// `noise`: bytes that belong to nothing, before every other answer; the others are clean.
    Noise,
    /// `wrong_transaction_id`: answers carry another transaction's number.
    WrongTransactionId,
    /// `wrong_unit`: answers carry another unit's number.
    WrongUnit,
    /// `duplicate`: each answer is sent twice.
    Duplicate,
    /// `exception=CODE`: requests are refused with this code.
    Exception(u8),
    /// `transient=CODE`: every third request is refused with this code.
    Transient(u8),
    /// `disconnect`: the connection is closed instead of an answer.
    Disconnect,
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
    /// `hole=ADDRESS`: whatever touches this address is refused (exception 2).
    Hole(HoleAt),
    /// `max_registers=N`: a read of more registers is refused (exception 3).
    MaxRegisters(u16),
    /// `dead`: as if nothing had this unit number: a gateway says exception 11, on a line nobody speaks.
    Dead,
    /// `reboot`: connections are closed and whatever is switched returns to its initial state. Happens at once.
    Reboot,
}

/// An address that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoleAt {
    /// In which table; `None`: in all of them.
    pub table: Option<&'static str>,
    /// Which.
    pub address: u16,
}

impl Fault {
    /// Every fault as it is written, and what it does.
    pub const ALL: [(&'static str, &'static str); 21] = [
        ("silent", "requests are never answered"),
        ("dead", "nobody has this unit number: a gateway says exception 11, a line nothing"),
        ("slow=MS", "each answer takes so much longer, later requests wait for it"),
        ("late=MS", "each answer comes after this time, out of order"),
        ("exception=CODE", "requests are refused with this exception"),
        ("transient=CODE", "every third request is refused with this exception"),
        ("busy", "requests are refused as busy, exception 6"),
        ("hole=ADDRESS", "this address is refused, exception 2; also hole=input:ADDRESS"),
        ("holes", "all unused addresses are refused, however near to used ones"),
        ("max_registers=N", "a read of more registers is refused, exception 3"),
        ("garbled", "answers make no sense, each in another way"),
        ("noise", "stray bytes before every other answer"),
        ("duplicate", "each answer is sent twice"),
        ("wrong_transaction_id", "answers carry another transaction's number (TCP)"),
        ("wrong_unit", "answers carry another unit's number"),
        ("disconnect", "the connection is closed instead of an answer (TCP)"),
        ("disconnect_mid_frame", "half an answer, then the connection is closed (TCP)"),
        ("refuse_connections", "connections are closed and new ones refused (TCP)"),
        ("frozen", "writes are acknowledged and not done; also ignore_writes"),
        ("sentinel=CAPABILITY", "this capability reads its \"no reading\" value"),
        ("reboot", "at once: connections close, what was switched falls back"),
    ];

    fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }
}

impl Mischievous for Fault {
    fn goes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hole(one), Self::Hole(two)) => one != two,
            (Self::Sentinel(one), Self::Sentinel(two)) => one != two,
            _ => std::mem::discriminant(self) != std::mem::discriminant(other),
        }
    }
}

impl FromStr for HoleAt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (table, address) = match text.split_once([':', ' ', '=']) {
            Some((table, address)) => (Some(table.trim()), address.trim()),
            None => (None, text),
        };
        let known =
            |name: &str| ["input", "holding", "coil", "discrete"].into_iter().find(|table| *table == name);
        let table = table.map(|name| known(name).ok_or(())).transpose()?;
        let address = match address.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16),
            None => address.parse(),
        };
        Ok(Self { table, address: address.map_err(|_| ())? })
    }
}

impl fmt::Display for HoleAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.map_or(Ok(()), |table| write!(f, "{table}:"))?;
        write!(f, "{}", self.address)
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let words = Words::of(text);
        let code = "an exception code, 1 to 255";
        match words.name.as_str() {
            "silent" => words.alone(Self::Silent),
            "dead" => words.alone(Self::Dead),
            "slow" => words.duration().map(Self::Slow),
            "late" => words.duration().map(Self::Late),
            "garbled" => words.alone(Self::Garbled),
            "noise" => words.alone(Self::Noise),
            "wrong_transaction_id" => words.alone(Self::WrongTransactionId),
            "wrong_unit" => words.alone(Self::WrongUnit),
            "duplicate" => words.alone(Self::Duplicate),
            "exception" => words.number("CODE", code).map(Self::Exception),
            "transient" => words.number("CODE", code).map(Self::Transient),
            "disconnect" => words.alone(Self::Disconnect),
            "disconnect_mid_frame" => words.alone(Self::DisconnectMidFrame),
            "refuse_connections" => words.alone(Self::RefuseConnections),
            "busy" => words.alone(Self::Busy),
            "frozen" | "ignore_writes" => words.alone(Self::Frozen),
            "sentinel" => words.value("CAPABILITY").map(|name| Self::Sentinel(name.to_owned())),
            "holes" => words.alone(Self::Holes),
            "hole" => words.number("ADDRESS", "an address, such as 12 or input:12").map(Self::Hole),
            "max_registers" => words.number("N", "a number of registers").map(Self::MaxRegisters),
            "reboot" => words.alone(Self::Reboot),
            other => Err(FaultError::Unknown(other.to_owned(), Self::names())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Dead => f.write_str("dead"),
            Self::Slow(time) => write!(f, "slow={}", time.as_millis()),
            Self::Late(time) => write!(f, "late={}", time.as_millis()),
            Self::Garbled => f.write_str("garbled"),
            Self::Noise => f.write_str("noise"),
            Self::WrongTransactionId => f.write_str("wrong_transaction_id"),
            Self::WrongUnit => f.write_str("wrong_unit"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Exception(code) => write!(f, "exception={code}"),
            Self::Transient(code) => write!(f, "transient={code}"),
            Self::Disconnect => f.write_str("disconnect"),
            Self::DisconnectMidFrame => f.write_str("disconnect_mid_frame"),
            Self::RefuseConnections => f.write_str("refuse_connections"),
            Self::Busy => f.write_str("busy"),
            Self::Frozen => f.write_str("frozen"),
            Self::Sentinel(name) => write!(f, "sentinel={name}"),
            Self::Holes => f.write_str("holes"),
            Self::Hole(hole) => write!(f, "hole={hole}"),
            Self::MaxRegisters(most) => write!(f, "max_registers={most}"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}
