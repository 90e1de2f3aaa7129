//! Silicon Labs' coordinators: EZSP, protocol versions 8 and later (UG100, UG600), over ASH.
//!
//! [`frame`] knows headers, [`word`] what is said unasked, [`status`] how things went; [`setup`] readies a coordinator,
//! [`network`] and [`keys`] make and keep networks, [`send`] sends messages.

mod frame;
mod keys;
mod network;
mod send;
mod setup;
mod status;
mod word;

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::AbortHandle;

use super::ash::Ash;
use super::bytes::{Read, Write};
use super::hub::Hub;
use super::link::{Failure, Link, Request};
use super::port::Opened;
use super::room::Room;
use super::{
    Answer, Aps, Backup, Coordinator, Ieee, NcpEvent, NcpFault, NcpInfo, Network, NewNetwork, Undelivered,
    bounded,
};

use self::frame::Version;
use self::status::Status;

/// Oldest version of the protocol that is spoken here, and the latest that was looked at. Later ones are spoken to as it is.
const VERSIONS: (u8, u8) = (8, 19);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Devices that joined anew, and whose keys of before are still to be forgotten.
const JOINS: usize = 32;

/// Messages to devices that may be under way.
const UNDER_WAY: usize = 8;

/// A coordinator that speaks EZSP.
#[derive(Debug)]
pub(super) struct Ezsp {
    link: Link,
    hub: Arc<Hub>,
    version: Version,
    info: NcpInfo,
    /// Most bytes of a message.
    longest: usize,
    room: Room,
    /// Next entry of the coordinator's address table to be used, and how many there are.
    addresses: AsyncMutex<(u8, u8)>,
    /// Closes the network again when its time is over.
    closing: Mutex<Option<AbortHandle>>,
    /// For what goes on after a call.
    own: Weak<Self>,
}

/// Takes over a coordinator that has just been reset, and readies it.
pub(super) async fn start(
    opened: Opened<Ash>,
    events: mpsc::Sender<NcpEvent>,
) -> Result<Arc<dyn Coordinator>, NcpFault> {
    let (hub, version) = (Hub::new(), Version::default());
    let (sender, joined) = mpsc::channel(JOINS);
    let dialect = frame::Ezsp::new(&hub, &version, sender);
    let Opened { wire, framing, lost } = opened;
    let link = Link::start(wire, framing, dialect, &hub, events, lost);
    let ready = setup::ready(&Asker { link: &link, version: &version }).await?;
    let ezsp = Arc::new_cyclic(|own| Ezsp {
        link,
        hub,
        version,
        info: ready.info,
        longest: ready.longest,
        room: Room::new(UNDER_WAY),
        addresses: AsyncMutex::new((0, ready.addresses)),
        closing: Mutex::default(),
        own: own.clone(),
    });
    tokio::spawn(forget_keys(Arc::downgrade(&ezsp), joined));
    ezsp.hub.open();
    Ok(ezsp)
}

/// A device that joins anew has forgotten what was agreed with it; with a key of before in its table, the coordinator would
/// not let it in the next time. Ends with the coordinator.
async fn forget_keys(ezsp: Weak<Ezsp>, mut joined: mpsc::Receiver<Ieee>) {
    while let Some(ieee) = joined.recv().await {
        let Some(ezsp) = ezsp.upgrade() else { return };
        if let Err(error) = ezsp.forget_key(ieee).await {
            tracing::debug!(%ieee, %error, "a key of before is not forgotten");
        }
    }
}

/// Asks a coordinator.
#[derive(Clone, Copy)]
struct Asker<'a> {
    link: &'a Link,
    version: &'a Version,
}

/// What is wanted, for errors, with the frame ID of the command.
type Command = (u16, &'static str);

impl Asker<'_> {
    fn version(self) -> u8 {
        self.version.get()
    }

    /// The answer to a command.
    async fn try_ask(self, command: Command, body: Write) -> Result<Vec<u8>, Failure> {
        self.ask_by(command, body, None).await
    }

    /// The same for what must not be asked any more after a time.
    async fn ask_by(self, (id, _): Command, body: Write, by: Option<Instant>) -> Result<Vec<u8>, Failure> {
        self.link.ask(Request { id, body: body.done(), within: ANSWER, by }).await
    }

    /// The answer to a command that every firmware knows.
    async fn ask(self, command: Command, body: Write) -> Result<Vec<u8>, NcpFault> {
        self.try_ask(command, body).await.map_err(|failure| failure.of(command.1))
    }

    /// How a command went that answers with a status and perhaps with more.
    async fn status(self, command: Command, body: Write) -> Result<Status, NcpFault> {
        let answer = self.ask(command, body).await?;
        self.read_status(&mut Read(&answer)).ok_or_else(|| short(command))
    }

    /// A command is done.
    async fn done(self, command: Command, body: Write) -> Result<(), NcpFault> {
        self.status(command, body).await.and_then(|status| expect(command, status))
    }

    fn read_status(self, read: &mut Read<'_>) -> Option<Status> {
        word::read_status(self.version(), read)
    }
}

fn expect((_, what): Command, status: Status) -> Result<(), NcpFault> {
    if status == Status::OK { Ok(()) } else { Err(NcpFault::Refused(what, status.words())) }
}

/// An answer is too short.
fn short((_, what): Command) -> NcpFault {
    NcpFault::Refused(what, "its answer is cut short".to_owned())
}

impl Ezsp {
    fn asker(&self) -> Asker<'_> {
        Asker { link: &self.link, version: &self.version }
    }

    /// Resets the coordinator and readies it again.
    async fn restart(&self) -> Result<(), NcpFault> {
        self.link.reset().await.map_err(|failure| failure.of("reset itself"))?;
        setup::ready(&self.asker()).await.map(drop)
    }
}

impl Drop for Ezsp {
    fn drop(&mut self) {
        self.replace_closing(None);
    }
}

impl Coordinator for Ezsp {
    fn info(&self) -> &NcpInfo {
        &self.info
    }

    fn resume(&self) -> Answer<'_, Option<Network>> {
        bounded("bring its network up", self.bring_up())
    }

    fn form<'a>(&'a self, network: &'a NewNetwork) -> Answer<'a, Network> {
        bounded("form a network", self.make(network))
    }

    fn restore<'a>(&'a self, backup: &'a Backup) -> Answer<'a, Network> {
        bounded("take over a network", self.take_over(backup))
    }

    fn backup(&self) -> Answer<'_, Backup> {
        bounded("tell all of its network", self.keep())
    }

    fn leave(&self) -> Answer<'_, ()> {
        bounded("leave its network", self.forget_network())
    }

    fn permit_join(&self, within: Duration) -> Answer<'_, ()> {
        bounded("let devices join", self.permit(within))
    }

    fn send(&self, message: Aps) -> Answer<'_, (), Undelivered> {
        Box::pin(self.deliver(message, None))
    }

    fn send_by(&self, message: Aps, until: Instant) -> Answer<'_, (), Undelivered> {
        Box::pin(self.deliver(message, Some(until)))
    }

    fn is_sleepy(&self, ieee: Ieee, nwk: u16) -> Answer<'_, ()> {
        Box::pin(self.be_patient(ieee, nwk))
    }

    fn forget(&self, ieee: Ieee) -> Answer<'_, ()> {
        self.room.forget(ieee);
        Box::pin(self.forget_key(ieee))
    }
}
