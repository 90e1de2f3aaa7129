//! Sends messages, and waits for what becomes of them.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::bytes::Write;
use super::super::hub::UNTOLD;
use super::super::link::Failure;
use super::super::mt::MAX_DATA;
use super::super::room::is_over;
use super::super::{Aps, Ieee, NcpFault, To, Undelivered, ZDO};
use super::status::Status;
use super::{Command, Znp};

const DATA_REQUEST: Command = (0x2402, "send a message");
const ROUTE_DISCOVERY: Command = (0x2545, "look for a route");
const ROUTE_CHECK: Command = (0x2546, "say whether it knows a route");
const FORGET_CHILD: Command = (0x2763, "forget a device");

/// Pauses before a busy coordinator is asked again.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
];

/// How long a route may take to be found.
const ROUTE: Duration = Duration::from_millis(1300);

/// Hops.
const RADIUS: u8 = 30;

/// What is around the payload in a request.
const HEAD: usize = 20;

impl Znp {
    /// Sends a message, and waits until it is delivered, if it is to a device and not one of ZDO.
    pub(super) async fn deliver(&self, message: Aps, until: Option<Instant>) -> Result<(), Undelivered> {
        if message.payload.len() > MAX_DATA - HEAD {
            return Err(Undelivered::TooLong);
        }
        let _place = self.room.place(message.to, until).await?;
        match message.to {
            // What becomes of ZDO messages is told by their answers alone, not even that there is no route.
            To::Device(nwk) if message.profile == ZDO => {
                if !self.has_route(nwk).await? {
                    self.find_route(nwk).await?;
                }
                self.hand_over(UNTOLD, &message, until).await
            }
            To::Device(nwk) => {
                let fate = self.by_some_route(nwk, &message, until).await;
                self.room.heard(nwk, &fate);
                fate
            }
            To::Group(_) | To::Broadcast(_) => self.hand_over(UNTOLD, &message, until).await,
        }
    }

    /// Where there is no route, one is looked for, and the message sent again: it went nowhere.
    async fn by_some_route(
        &self,
        nwk: u16,
        message: &Aps,
        until: Option<Instant>,
    ) -> Result<(), Undelivered> {
        match self.to_device(nwk, message, until).await {
            Err(Fate::Status(status)) if status.wants_route() && !is_over(until) => {
                self.find_route(nwk).await?;
                self.to_device(nwk, message, until).await.map_err(Fate::undelivered)
            }
            delivered => delivered.map_err(Fate::undelivered),
        }
    }

    async fn to_device(&self, nwk: u16, message: &Aps, until: Option<Instant>) -> Result<(), Fate> {
        let delivery = self.hub.expect().ok_or(Fate::Other(Undelivered::Busy))?;
        match self.hand_over(delivery.tag, message, until).await {
            // Only the answer got lost, perhaps: what became of it may be told nevertheless.
            Ok(()) | Err(Undelivered::Unknown) => {}
            Err(undelivered) => return Err(Fate::Other(undelivered)),
        }
        let fate = delivery.fate(self.room.patience(nwk)).await;
        match fate.and_then(|status| u8::try_from(status).ok()).map(Status) {
            Some(Status::OK) => Ok(()),
            Some(status) => Err(Fate::Status(status)),
            None => Err(Fate::Other(Undelivered::Unknown)),
        }
    }

    /// Hands a message over; again if the coordinator has no room for it, as long as there is time.
    async fn hand_over(&self, tag: u8, message: &Aps, until: Option<Instant>) -> Result<(), Undelivered> {
        for pause in PAUSES {
            let status = match self.asker().ask_by(DATA_REQUEST, request(tag, message), until).await {
                Ok(answer) => Status(answer.first().copied().ok_or(Undelivered::Unknown)?),
                // It may have been sent.
                Err(Failure::TooLate | Failure::Lost(_)) => return Err(Undelivered::Unknown),
                Err(Failure::NotAsked) => return Err(Undelivered::Busy),
                Err(failure) => return Err(failure.of(DATA_REQUEST.1).into()),
            };
            match status {
                Status::OK => return Ok(()),
                status if status.is_busy() => sleep(pause).await,
                status => return Err(status.undelivered()),
            }
        }
        Err(Undelivered::Busy)
    }

    async fn has_route(&self, nwk: u16) -> Result<bool, NcpFault> {
        // An active one, of any kind, though not in the cache alone.
        let status = self.asker().status(ROUTE_CHECK, Write::new().u16(nwk).u8(1).u8(3)).await?;
        Ok(status == Status::OK)
    }

    async fn find_route(&self, nwk: u16) -> Result<(), NcpFault> {
        // The message will show whether there is one.
        self.asker().status(ROUTE_DISCOVERY, Write::new().u16(nwk).u8(0).u8(RADIUS)).await?;
        sleep(ROUTE).await;
        Ok(())
    }

    /// Forgets a device that is gone, if it was a child.
    pub(super) async fn forget_device(&self, ieee: Ieee) -> Result<(), NcpFault> {
        match self.asker().try_ask(FORGET_CHILD, Write::new().ieee(ieee)).await {
            // TI's own firmware does not know how, and does it by itself.
            Ok(_) | Err(Failure::Unknown) => Ok(()),
            Err(failure) => Err(failure.of(FORGET_CHILD.1)),
        }
    }
}

/// What became of a message.
enum Fate {
    Status(Status),
    Other(Undelivered),
}

impl Fate {
    fn undelivered(self) -> Undelivered {
        match self {
            Self::Status(status) => status.undelivered(),
            Self::Other(undelivered) => undelivered,
        }
    }
}

/// AF_DATA_REQUEST_EXT.
fn request(tag: u8, message: &Aps) -> Write {
    /// The device acknowledges; routes are looked for by us alone.
    const ACK: u8 = 0x10;
    const OWN_ROUTES: u8 = 0x20;
    let (mode, address) = match message.to {
        To::Group(group) => (0x01, group),
        To::Device(nwk) => (0x02, nwk),
        To::Broadcast(to) => (0x0f, to),
    };
    let length = u16::try_from(message.payload.len()).unwrap_or(u16::MAX);
    Write::new()
        .u8(mode)
        .ieee(Ieee(address.into()))
        .u8(message.dst_endpoint)
        // Within this PAN.
        .u16(0)
        .u8(message.src_endpoint)
        .u16(message.cluster)
        .u8(tag)
        .u8(OWN_ROUTES | if message.ack { ACK } else { 0 })
        .u8(RADIUS)
        .u16(length)
        .bytes(&message.payload)
}
