//! Sends messages, and waits for what becomes of them.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::bytes::{Read, Write};
use super::super::hub::UNTOLD;
use super::super::{Aps, Ieee, NcpFault, To, Undelivered};
use super::status::Status;
use super::{Command, Ezsp, Failure, short};

const SEND_UNICAST: Command = (0x0034, "send a message");
const SEND_BROADCAST: Command = (0x0036, "send a message to all");
const SEND_MULTICAST: Command = (0x0038, "send a message to a group");
const LOOKUP_NODE_ID: Command = (0x0060, "look an address up");
const SET_EXTENDED_TIMEOUT: Command = (0x007e, "wait longer for a sleepy device");
const GET_EXTENDED_TIMEOUT: Command = (0x007f, "say how long it waits for a device");
const REPLACE_ADDRESS: Command = (0x0082, "remember an address");

/// Pauses before a busy coordinator is asked again.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
];

/// `EmberApsOption`: the device acknowledges; a route and an address are looked for.
const RETRY: u16 = 0x0040;
const DISCOVERY: u16 = 0x0100 | 0x1000;

impl Ezsp {
    /// Sends a message, and waits until it is delivered, if it is to a device.
    pub(super) async fn deliver(&self, message: Aps, until: Option<Instant>) -> Result<(), Undelivered> {
        if message.payload.len() > self.longest {
            return Err(Undelivered::TooLong);
        }
        let _place = self.room.place(message.to, until).await?;
        match message.to {
            To::Device(nwk) => {
                let fate = self.to_device(nwk, &message, until).await;
                self.room.heard(nwk, &fate);
                fate
            }
            To::Group(group) => {
                self.hand_over(SEND_MULTICAST, || self.multicast(group, &message), until).await
            }
            To::Broadcast(to) => self.hand_over(SEND_BROADCAST, || self.broadcast(to, &message), until).await,
        }
    }

    async fn to_device(&self, nwk: u16, message: &Aps, until: Option<Instant>) -> Result<(), Undelivered> {
        let delivery = self.hub.expect().ok_or(Undelivered::Busy)?;
        self.hand_over(SEND_UNICAST, || self.unicast(nwk, delivery.tag, message), until).await?;
        match delivery.fate(self.room.patience(nwk)).await.map(Status) {
            Some(Status::OK) => Ok(()),
            Some(status) => Err(status.undelivered()),
            None => Err(Undelivered::Unknown),
        }
    }

    /// Hands a message over; again if the coordinator has no room for it, as long as there is time.
    async fn hand_over(
        &self,
        command: Command,
        body: impl Fn() -> Write,
        until: Option<Instant>,
    ) -> Result<(), Undelivered> {
        for pause in PAUSES {
            let answer = match self.asker().ask_by(command, body(), until).await {
                Ok(answer) => answer,
                Err(Failure::NotAsked) => return Err(Undelivered::Busy),
                // It may have been sent.
                Err(Failure::TooLate | Failure::Lost(_)) => return Err(Undelivered::Unknown),
                Err(failure) => return Err(failure.of(command.1).into()),
            };
            match self.asker().read_status(&mut Read(&answer)).ok_or(Undelivered::Unknown)? {
                Status::OK => return Ok(()),
                status if status.is_busy() => sleep(pause).await,
                status => return Err(status.undelivered()),
            }
        }
        Err(Undelivered::Busy)
    }

    fn unicast(&self, nwk: u16, tag: u8, message: &Aps) -> Write {
        const DIRECT: u8 = 0;
        let head = Write::new().u8(DIRECT).u16(nwk);
        self.tag(aps(head, message, 0), tag).counted(&message.payload)
    }

    fn broadcast(&self, to: u16, message: &Aps) -> Write {
        let head = if self.version.get() < 14 {
            Write::new().u16(to)
        } else {
            // Nobody else's name and number.
            Write::new().u16(0xffff).u16(to).u8(0)
        };
        // As far as it goes.
        self.tag(aps(head, message, 0).u8(0), UNTOLD).counted(&message.payload)
    }

    fn multicast(&self, group: u16, message: &Aps) -> Write {
        let head = aps(Write::new(), message, group).u8(0);
        let head = if self.version.get() < 14 {
            // As far as it goes among others too.
            head.u8(7)
        } else {
            // To all that are awake; nobody else's name and number.
            head.u16(0xfffd).u16(0xffff).u8(0)
        };
        self.tag(head, UNTOLD).counted(&message.payload)
    }

    fn tag(&self, write: Write, tag: u8) -> Write {
        if self.version.get() < 14 { write.u8(tag) } else { write.u16(tag.into()) }
    }

    /// Waits longer for a sleepy device.
    pub(super) async fn be_patient(&self, ieee: Ieee, nwk: u16) -> Result<(), NcpFault> {
        self.room.sleeps(ieee, nwk);
        if self.is_patient(ieee).await? {
            return Ok(());
        }
        if self.knows(ieee).await? {
            return self.asker().ask(SET_EXTENDED_TIMEOUT, Write::new().ieee(ieee).u8(1)).await.map(drop);
        }
        // Only for addresses that it knows it can wait longer. Entries are used in turn.
        let mut addresses = self.addresses.lock().await;
        let (index, count) = *addresses;
        if count == 0 {
            return Ok(());
        }
        addresses.0 = (index + 1) % count;
        let body = Write::new().u8(index).ieee(ieee).u16(nwk).u8(1);
        let status = self.asker().status(REPLACE_ADDRESS, body).await?;
        tracing::trace!(status = status.words(), "address remembered");
        Ok(())
    }

    async fn is_patient(&self, ieee: Ieee) -> Result<bool, NcpFault> {
        let answer = self.asker().ask(GET_EXTENDED_TIMEOUT, Write::new().ieee(ieee)).await?;
        let mut read = Read(&answer);
        // A status in protocol 14 and later, but not in all firmware.
        let patient = match answer.len() {
            ..4 => read.u8().map(|extended| extended != 0),
            _ => read.u32().map(|status| Status(status) == Status::OK),
        };
        patient.ok_or_else(|| short(GET_EXTENDED_TIMEOUT))
    }

    async fn knows(&self, ieee: Ieee) -> Result<bool, NcpFault> {
        let answer = self.asker().ask(LOOKUP_NODE_ID, Write::new().ieee(ieee)).await?;
        // In protocol 14 and later a status goes before it, but not in all firmware.
        let mut read = Read(&answer);
        let known = match answer.len() {
            ..6 => read.u16().map(|nwk| nwk != 0xffff),
            _ => read.u32().map(|status| Status(status) == Status::OK && read.u16() != Some(0xffff)),
        };
        known.ok_or_else(|| short(LOOKUP_NODE_ID))
    }
}

/// `EmberApsFrame`.
fn aps(write: Write, message: &Aps, group: u16) -> Write {
    let options = DISCOVERY | if message.ack { RETRY } else { 0 };
    write
        .u16(message.profile)
        .u16(message.cluster)
        .u8(message.src_endpoint)
        .u8(message.dst_endpoint)
        .u16(options)
        .u16(group)
        .u8(message.sequence)
}
