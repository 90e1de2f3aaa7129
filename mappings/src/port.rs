//! What the core and the adapters say to each other.
//!
//! The core asks with an [`AdapterCall`] and gets exactly one [`AdapterReply`] for it, unless it stops waiting first
//! (its own deadline is [`AdapterCall::within`] plus a margin). Whatever a device says unasked is an [`AdapterReport`].

mod bus;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::bus::{BusAction, BusCall, BusCallId, BusReport, JoinStage, Newcomer, RadioAddress};

use crate::mapping::Mapping;
use crate::value::Value;

/// The stable key of a device: its name in the site file. Never its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub Arc<str>);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ties a reply to its call. Unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Place of a capability, or of what an event is seen by, in [`Mapping::points`](crate::mapping::Mapping::points).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PointId(pub u16);

/// Place of a command in [`Mapping::commands`](crate::mapping::Mapping::commands).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// A request of the core to one device.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterCall {
    /// Chosen by the core.
    pub id: CallId,
    /// Whom it is for.
    pub device: DeviceId,
    /// How long after receipt an answer is still of use. A write that was not begun by then is never sent.
    pub within: Duration,
    /// How long may be needed for what the same request asked of the device before this: a write's time to live counts
    /// from then on.
    pub behind: Duration,
    /// What to do.
    pub action: Action,
}

/// What a device is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read these capabilities now.
    Read(Vec<PointId>),
    /// Write these capabilities, in this order, as one unit: nothing else of this device comes between.
    Write(Vec<(PointId, Value)>),
    /// Read every readable point now.
    Refresh,
    /// Run a command with its arguments in their order, as one unit like a write.
    Command(CommandId, Vec<Value>),
}

/// What became of one point that was read, heard or written.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which.
    pub point: PointId,
    /// Its value, or why there is none.
    pub result: Result<Value, DeviceFault>,
    /// Whether that can be taken for what the device has now.
    pub freshness: Freshness,
}

impl Reading {
    /// What the device said just now.
    pub fn now(point: PointId, result: Result<Value, DeviceFault>) -> Self {
        Self { point, result, freshness: Freshness::NOW }
    }

    /// What somebody has kept of former times.
    pub fn kept(point: PointId, result: Result<Value, DeviceFault>) -> Self {
        Self { point, result, freshness: Freshness::KEPT }
    }
}

/// Who says a reading, and how old it is. A value that is put together is as old as the oldest of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The device itself was heard just now, and this is what follows from it.
    pub contact: bool,
    /// How long ago it was said; `None`: nobody knows, because somebody has kept it for whoever comes.
    pub age: Option<Duration>,
}

impl Freshness {
    /// The device said all of it just now.
    pub const NOW: Self = Self { contact: true, age: Some(Duration::ZERO) };

    /// Somebody has kept it of former times: it is what was last said, nobody knows when, and shows no contact.
    pub const KEPT: Self = Self { contact: false, age: None };

    /// Whether it is all new: nothing else confirms a write, or makes a poll superfluous.
    pub fn is_now(self) -> bool {
        self == Self::NOW
    }
}

/// What each point reads, or why it could not be read or written.
pub type Readings = Vec<Reading>;

/// The one answer to an [`AdapterCall`].
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterReply {
    /// The call's.
    pub id: CallId,
    /// One result for each point of the action, in its order (`Refresh`: every readable point); or the reason why the
    /// whole call came to nothing.
    ///
    /// For a write, `Ok` means that the device confirmed it as far as the mapping asks; after the first failed point
    /// of a write the rest is not sent and reported as [`DeviceFault::NotTried`]. A command that was done has no
    /// results; one that failed has the reason.
    pub outcome: Result<Readings, DeviceFault>,
}

/// What a device or its bus says unasked.
#[derive(Clone, Debug, PartialEq)]
pub enum AdapterReport {
    /// Readings that came together, by polling or because the device, or who keeps its words, sent them.
    Readings {
        /// Whose.
        device: DeviceId,
        /// By what it was read: points mean something else once a mapping was replaced.
        mapping: Arc<Mapping>,
        /// What each point reads, or why it could not be read.
        readings: Readings,
    },
    /// The device became reachable, or stopped being so.
    Online {
        /// Which.
        device: DeviceId,
        /// `Err` says why it is unreachable.
        online: Result<(), DeviceFault>,
    },
    /// It is there, and something that it said may be lost: what it has said before of some points may not be the last.
    Doubtful {
        /// Which.
        device: DeviceId,
        /// What it is read by.
        mapping: Arc<Mapping>,
        /// Those that are not read again at once for that.
        points: Vec<PointId>,
        /// What got lost, in words.
        why: Arc<str>,
    },
    /// Its link is back, and it passes for being where it was: it has not been heard, and cannot be asked.
    Believed {
        /// Which.
        device: DeviceId,
    },
}

/// Why a device did not do what it was asked. The text is for people and names no register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFault {
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It, or the way to it, is down. To a write: it was not sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It answered with a refusal of its protocol.
    #[error("the device refused: {0}")]
    Refused(String),
    /// It answered that it cannot just now. Of a value that was to be read that says nothing: the one before may stand.
    #[error("the device refused: {0}")]
    Busy(String),
    /// It was sent, or may have been, and nothing shows whether it was done.
    #[error("{0}")]
    Unsettled(String),
    /// Its answer cannot be understood.
    #[error("unusable answer: {0}")]
    Garbled(String),
    /// The reading is a sentinel, outside its valid range or not among the mapped values.
    #[error("not a valid reading: {0}")]
    Invalid(String),
    /// The value cannot be written to this capability.
    #[error("value cannot be written: {0}")]
    Unwritable(String),
    /// The write was accepted but the device does not show the value.
    #[error("written but not confirmed: wanted {wanted}, the device shows {shown}")]
    NotConfirmed {
        /// What was written.
        wanted: String,
        /// What was read back.
        shown: String,
    },
    /// Its time to live ended before it could be sent; it was not sent.
    #[error("expired before it could be sent, and was not sent")]
    Expired,
    /// An earlier write of the same unit failed; this one was not sent.
    #[error("not sent, because an earlier write of the same request failed")]
    NotTried,
    /// A command stopped at one of its steps, and those before it were done.
    #[error("step {step} of {of}: {fault}; {}", done_before(*step))]
    HalfDone {
        /// The step that failed, from 1: at least 2.
        step: usize,
        /// How many there are.
        of: usize,
        /// Why.
        fault: Box<Self>,
    },
    /// The device's queue is full.
    #[error("too many requests are waiting for this device")]
    QueueFull,
    /// No such device or capability is known to the adapter.
    #[error("not known to the adapter")]
    Unknown,
    /// The adapter is shutting down.
    #[error("the adapter is shutting down")]
    Stopping,
}

impl DeviceFault {
    /// What a device shows that shows nothing at all, in [`DeviceFault::NotConfirmed`].
    pub const NOTHING: &str = "nothing";

    /// Whether nobody knows what a device has after a write that ended like this: it may have been done, and the device has
    /// shown nothing since.
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Garbled(_) | Self::Unsettled(_) => true,
            Self::NotConfirmed { shown, .. } => shown == Self::NOTHING,
            _ => false,
        }
    }
}

fn done_before(step: usize) -> String {
    match step {
        0..=2 => "step 1 was done".to_owned(),
        _ => format!("steps 1 to {} were done", step - 1),
    }
}
