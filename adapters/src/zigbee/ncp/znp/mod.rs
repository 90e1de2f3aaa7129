//! Texas Instruments' coordinators: ZNP, with Z-Stack 3.x.0 (CC2652, CC1352) and 3.0.x (CC2531, CC2538), by TI's monitor and
//! test interface.
//!
//! [`frame`] knows requests and answers, [`word`] what is said unasked, [`status`] how things went; [`nv`] reads and writes the
//! coordinator's memory, in which [`network`] finds and makes networks and [`keys`] keys; [`send`] sends messages.

mod frame;
mod keys;
mod network;
mod nib;
mod nv;
mod send;
mod status;
mod word;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bytes::{Read, Write};
use super::hub::Hub;
use super::link::{Failure, Link, Request};
use super::mt::Mt;
use super::port::Opened;
use super::room::Room;
use super::{
    Answer, Aps, Backup, Coordinator, Ieee, NcpEvent, NcpFault, NcpInfo, NcpKind, Network, NewNetwork,
    Undelivered, bounded,
};

use self::nv::EXTADDR;
use self::status::Status;

/// How long an answer may take, and how long one may to what may be asked again: those are about its own memory, and whoever is late
/// only answers twice.
const ANSWER: Duration = Duration::from_secs(6);
const ANSWER_AGAIN: Duration = Duration::from_secs(2);

/// Messages to devices that may be under way, with much and with little memory.
const UNDER_WAY: (usize, usize) = (16, 4);

/// What is wanted, for errors, with the command.
type Command = (u16, &'static str);

const VERSION: Command = (0x2102, "say its version");
const RESET: &str = "reset itself";

/// A coordinator that speaks ZNP.
#[derive(Debug)]
pub(super) struct Znp {
    link: Link,
    hub: Arc<Hub>,
    info: NcpInfo,
    /// Z-Stack 3.x.0, whose memory has tables.
    has_tables: bool,
    room: Room,
}

/// Takes over a coordinator that has answered, and readies it.
pub(super) async fn start(
    opened: Opened<Mt>,
    events: mpsc::Sender<NcpEvent>,
) -> Result<Arc<dyn Coordinator>, NcpFault> {
    let hub = Hub::new();
    let Opened { wire, framing, lost } = opened;
    let link = Link::start(wire, framing, frame::Znp::new(&hub), &hub, events, lost);
    // Endpoints and what is under way of before are forgotten.
    link.reset().await.map_err(|failure| failure.of(RESET))?;
    let asker = Asker(&link);
    let has_tables = asker.has_tables().await?;
    let firmware = firmware(asker, has_tables).await?;
    let ieee = asker.address().await?;
    let room = if has_tables { UNDER_WAY.0 } else { UNDER_WAY.1 };
    let info = NcpInfo { kind: NcpKind::Znp, ieee, firmware };
    hub.open();
    Ok(Arc::new(Znp { link, hub, info, has_tables, room: Room::new(room) }))
}

async fn firmware(asker: Asker<'_>, has_tables: bool) -> Result<String, NcpFault> {
    /// What Z-Stack Home 1.2 says that it is.
    const HOME: u8 = 0;
    let answer = asker.ask(VERSION, Write::new()).await?;
    let mut read = Read(&answer);
    let mut parts = || Some((read.u8()?, read.u8()?, read.u8()?, read.u8()?, read.u8()?));
    let (_, product, major, minor, patch) = parts().ok_or_else(|| short(VERSION))?;
    if product == HOME {
        return Err(NcpFault::Unsupported(
            "the coordinator's firmware is too old: Z-Stack Home 1.2; write Z-Stack 3.x.0 to it, or to a CC2531 Z-Stack 3.0.x"
                .to_owned(),
        ));
    }
    let stack = if has_tables { "Z-Stack 3.x.0" } else { "Z-Stack 3.0.x" };
    let build = read.u32().map(|build| format!(", {build}")).unwrap_or_default();
    Ok(format!("{stack} ({major}.{minor}.{patch}{build})"))
}

/// How often something is asked that may be asked again: a frame that got lost is not sent again by itself.
const TIMES: u32 = 4;

/// Asks a coordinator.
#[derive(Clone, Copy)]
struct Asker<'a>(&'a Link);

impl Asker<'_> {
    /// The answer to a command that is asked once.
    async fn ask_once(self, command: Command, body: Write) -> Result<Vec<u8>, Failure> {
        self.ask_by(command, body, None).await
    }

    /// The same for what must not be asked any more after a time.
    async fn ask_by(self, (id, _): Command, body: Write, by: Option<Instant>) -> Result<Vec<u8>, Failure> {
        self.0.ask(Request { id, body: body.done(), within: ANSWER, by }).await
    }

    async fn ask_shortly(self, (id, _): Command, body: Write) -> Result<Vec<u8>, Failure> {
        self.0.ask(Request { id, body: body.done(), within: ANSWER_AGAIN, by: None }).await
    }

    /// The answer to a command that does the same when it is asked again.
    async fn try_ask(self, command: Command, body: Write) -> Result<Vec<u8>, Failure> {
        for _ in 1..TIMES {
            match self.ask_shortly(command, body.clone()).await {
                Err(Failure::TooLate) => tracing::debug!(what = command.1, "a coordinator is asked again"),
                answered => return answered,
            }
        }
        self.ask_once(command, body).await
    }

    /// The answer to a command that every firmware knows.
    async fn ask(self, command: Command, body: Write) -> Result<Vec<u8>, NcpFault> {
        self.try_ask(command, body).await.map_err(|failure| failure.of(command.1))
    }

    /// How a command went that answers with a status.
    async fn status(self, command: Command, body: Write) -> Result<Status, NcpFault> {
        let answer = self.ask(command, body).await?;
        Read(&answer).u8().map(Status).ok_or_else(|| short(command))
    }

    /// A command is done.
    async fn done(self, command: Command, body: Write) -> Result<(), NcpFault> {
        self.status(command, body).await.and_then(|status| expect(command, status))
    }

    async fn address(self) -> Result<Ieee, NcpFault> {
        let item = self.item(EXTADDR).await?.unwrap_or_default();
        Read(&item).ieee().ok_or_else(|| NcpFault::Refused("say its address", "it has none".to_owned()))
    }
}

fn expect((_, what): Command, status: Status) -> Result<(), NcpFault> {
    if status == Status::OK { Ok(()) } else { Err(NcpFault::Refused(what, status.words())) }
}

/// An answer is too short.
fn short((_, what): Command) -> NcpFault {
    NcpFault::Refused(what, "its answer is cut short".to_owned())
}

impl Znp {
    fn asker(&self) -> Asker<'_> {
        Asker(&self.link)
    }

    async fn restart(&self) -> Result<(), NcpFault> {
        self.link.reset().await.map_err(|failure| failure.of(RESET))
    }
}

impl Coordinator for Znp {
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
        self.room.sleeps(ieee, nwk);
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget(&self, ieee: Ieee) -> Answer<'_, ()> {
        self.room.forget(ieee);
        Box::pin(self.forget_device(ieee))
    }
}
