//! Coordinators of Zigbee networks: those of Silicon Labs (EZSP over ASH) and of Texas Instruments (ZNP).
//!
//! [`open`] finds out what is there and gives a [`Coordinator`], which both kinds are. What happens in its network comes as
//! [`NcpEvent`]s.
//!
//! Always:
//!
//! - Every call ends within a bounded time, at once when the coordinator is gone.
//! - [`NcpEvent::Down`] is the last event: the coordinator is gone, has reset itself or does not answer any more. Whoever used it
//!   opens it again, after a pause. Dropping the last reference closes the port.
//! - What nobody takes is bounded: of more than a few hundred events that wait, the oldest messages are dropped and counted.
//! - What is damaged or dropped between the coordinator and the hub is told, with how words of devices may be lost with it.
//! - Keys are [`Key`]s, which show nothing; frames that may hold one are never logged.

mod ash;
mod bytes;
mod detect;
mod ezsp;
mod framing;
pub mod fuzzed;
mod hub;
mod link;
mod mt;
mod port;
mod room;
#[cfg(test)]
mod tests;
mod types;
mod znp;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::mpsc;

use self::detect::Detected;
use self::room::is_over;

pub(crate) use self::types::{
    Aps, Backup, Damage, Ieee, Key, LinkKey, Loss, Message, NcpEvent, NcpInfo, NcpKind, NcpPort, Network,
    NewNetwork, PortFlow, TcSeed, To, Way,
};

/// The endpoint that this hub has on its coordinator, of profile [`HOME_AUTOMATION`]: source and destination of what is not
/// ZDO. Endpoint 0 is that of ZDO.
pub(crate) const HOST_ENDPOINT: u8 = 1;

/// The profile of application messages (ZHA).
pub(crate) const HOME_AUTOMATION: u16 = 0x0104;

/// The profile of ZDO messages, which go from endpoint 0 to endpoint 0.
pub(crate) const ZDO: u16 = 0x0000;

/// The clusters of our endpoint: what we serve, and what we use (ZCL). Some devices ask for them.
const IN_CLUSTERS: [u16; 2] = [0x0000, 0x000a];
const OUT_CLUSTERS: [u16; 13] =
    [0x0000, 0x0001, 0x0003, 0x0006, 0x0008, 0x0101, 0x0102, 0x0201, 0x0300, 0x0402, 0x0500, 0x0702, 0x0b04];

/// Most bytes of an [`Aps`] payload that fit into one message in any case. Longer ones may be refused.
pub(crate) const MAX_PAYLOAD: usize = 82;

/// The answer to a call.
pub(crate) type Answer<'a, T, E = NcpFault> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Why a coordinator did not do as it was asked. The texts are for whoever keeps the site file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum NcpFault {
    /// It was not reached, or is gone: why, and what to do.
    #[error("{0}")]
    Gone(String),
    /// It does not answer at all, or not what one of its kind answers.
    #[error("{0}")]
    NotThere(String),
    /// It speaks, but a version of the protocol that is not spoken here.
    #[error("{0}")]
    Unsupported(String),
    /// It refused something: what, and why.
    #[error("the coordinator refused to {0}: {1}")]
    Refused(&'static str, String),
    /// It did not answer something in time.
    #[error("the coordinator did not {0} in time")]
    TooLate(&'static str),
    /// It has no network, or another one than is wanted.
    #[error("{0}")]
    NoNetwork(String),
}

/// Why a message was not delivered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The device did not acknowledge it; it may or may not have been received.
    #[error("the device did not acknowledge it")]
    NotAcknowledged,
    /// There is no way to the device.
    #[error("there is no way to the device through the network")]
    NoRoute,
    /// It waited for a sleepy device that did not ask for it.
    #[error("the device did not wake up for it")]
    Expired,
    /// The coordinator has no room for it, again and again, or had none before its time was over. It was not sent.
    #[error("the coordinator is too busy")]
    Busy,
    /// It is too long for one message.
    #[error("it is too long for one message")]
    TooLong,
    /// The coordinator says something else: what.
    #[error("the coordinator says {0}")]
    Refused(String),
    /// The coordinator did not say what has become of it, in time or before it was gone; it may or may not have been sent.
    #[error("the coordinator did not say whether it was delivered")]
    Unknown,
    /// The coordinator is gone, or does not answer. It was not sent.
    #[error(transparent)]
    Coordinator(#[from] NcpFault),
}

/// A coordinator. Calls may be made at the same time.
pub(crate) trait Coordinator: Debug + Send + Sync {
    /// Who it is.
    fn info(&self) -> &NcpInfo;

    /// Brings up the network that the coordinator itself remembers. `None`: it remembers none.
    fn resume(&self) -> Answer<'_, Option<Network>>;

    /// Makes a new network. What the coordinator remembers of another one is forgotten.
    fn form<'a>(&'a self, network: &'a NewNetwork) -> Answer<'a, Network>;

    /// Takes over a network that was backed up, perhaps from another coordinator, whose address is then taken over too where
    /// the coordinator can do so. The caller adds to the frame counter what may have been sent since the backup.
    fn restore<'a>(&'a self, backup: &'a Backup) -> Answer<'a, Network>;

    /// All that is needed to restore the network elsewhere.
    fn backup(&self) -> Answer<'_, Backup>;

    /// Leaves the network and forgets it.
    #[allow(dead_code, reason = "whoever gives a coordinator away erases it; the drivers are tested with it")]
    fn leave(&self) -> Answer<'_, ()>;

    /// Lets devices join here and at all routers; not any more after zero. More than 254 s are as many.
    fn permit_join(&self, within: Duration) -> Answer<'_, ()>;

    /// Sends a message. To a device: `Ok` says that it was delivered, if [`Aps::ack`] is set by the device's own
    /// acknowledgement. To a group or everybody: that it was sent.
    fn send(&self, message: Aps) -> Answer<'_, (), Undelivered>;

    /// The same for a message that must not be sent any more after a time: then it is [`Undelivered::Busy`], and was not sent.
    fn send_by(&self, message: Aps, until: Instant) -> Answer<'_, (), Undelivered> {
        if is_over(Some(until)) {
            return Box::pin(std::future::ready(Err(Undelivered::Busy)));
        }
        self.send(message)
    }

    /// A device sleeps: what is sent to it waits for longer, and so does its acknowledgement.
    fn is_sleepy(&self, ieee: Ieee, nwk: u16) -> Answer<'_, ()>;

    /// Forgets what is known of a device that is gone, its key above all.
    fn forget(&self, ieee: Ieee) -> Answer<'_, ()>;
}

/// Opens a coordinator: finds out of which kind it is, if [`NcpPort::kind`] does not say so, and readies it without a network.
///
/// Errors: it cannot be reached, is of another kind than was said, or its firmware is too old.
pub(crate) async fn open(
    port: &NcpPort,
    events: mpsc::Sender<NcpEvent>,
) -> Result<Arc<dyn Coordinator>, NcpFault> {
    match open_once(port, &events).await {
        // It told of another reset than that which was asked for, such as that by opening the port.
        Err(NcpFault::Gone(why)) => {
            tracing::debug!(why, "a Zigbee coordinator is opened once more");
            open_once(port, &events).await
        }
        opened => opened,
    }
}

async fn open_once(
    port: &NcpPort,
    events: &mpsc::Sender<NcpEvent>,
) -> Result<Arc<dyn Coordinator>, NcpFault> {
    start(detect::detect(port).await?, events).await
}

async fn start(found: Detected, events: &mpsc::Sender<NcpEvent>) -> Result<Arc<dyn Coordinator>, NcpFault> {
    match found {
        Detected::Ezsp(opened) => ezsp::start(opened, events.clone()).await,
        Detected::Znp(opened) => znp::start(opened, events.clone()).await,
    }
}

/// Longest call about a network, whatever goes wrong on the way; one takes seconds as a rule.
const LONGEST: Duration = Duration::from_secs(240);

/// A call that ends in time.
fn bounded<'a, T>(
    what: &'static str,
    call: impl Future<Output = Result<T, NcpFault>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(async move { tokio::time::timeout(LONGEST, call).await.unwrap_or(Err(NcpFault::TooLate(what))) })
}

/// A key by chance.
fn random() -> Result<Key, NcpFault> {
    let mut key = [0; 16];
    let filled = getrandom::fill(&mut key);
    filled.map_err(|error| NcpFault::NotThere(format!("this system gives no random numbers: {error}")))?;
    Ok(Key(key))
}
