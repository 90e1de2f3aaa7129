//! A coordinator of Silicon Labs: EZSP (UG100) over ASH, in the versions 8 to 13.

mod command;
mod header;
mod memory;
mod message;
mod security;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::air::{Air, Delivery, Join, Told};
use super::ash::{Ash, Got, Reset};
use super::bytes::{Out, Reader};
use super::ieee::Ieee;
use super::network::Network;
use super::stick::{Start, Stick, remember};

use header::Header;
use memory::{Tokens, Working};
use message::Underway;

/// EmberStatus.
mod status {
    pub(super) const SUCCESS: u8 = 0x00;
    pub(super) const BAD_ARGUMENT: u8 = 0x02;
    pub(super) const NOT_FOUND: u8 = 0x03;
    pub(super) const DELIVERY_FAILED: u8 = 0x66;
    pub(super) const INVALID_CALL: u8 = 0x70;
    pub(super) const MESSAGE_LIMIT: u8 = 0x72;
    pub(super) const TOO_LONG: u8 = 0x74;
    pub(super) const NETWORK_UP: u8 = 0x90;
    pub(super) const NETWORK_DOWN: u8 = 0x91;
    pub(super) const NOT_JOINED: u8 = 0x93;
    pub(super) const OPENED: u8 = 0x9c;
    pub(super) const CLOSED: u8 = 0x9d;
    pub(super) const NO_SECURITY: u8 = 0xa8;
    pub(super) const OUT_OF_RANGE: u8 = 0xb1;
    pub(super) const NO_LIBRARY: u8 = 0xb5;
    pub(super) const ERASED: u8 = 0xb6;
}

/// EzspStatus.
mod ezsp_status {
    pub(super) const VERSION_NOT_SET: u8 = 0x30;
    pub(super) const INVALID_FRAME_ID: u8 = 0x31;
    pub(super) const INVALID_VALUE: u8 = 0x36;
    pub(super) const INVALID_ID: u8 = 0x37;
    pub(super) const INVALID_CALL: u8 = 0x38;
}

/// Frame IDs of what comes unasked.
mod callback {
    pub(super) const STACK_STATUS: u16 = 0x0019;
    pub(super) const CHILD_JOIN: u16 = 0x0023;
    pub(super) const TRUST_CENTER_JOIN: u16 = 0x0024;
    pub(super) const MESSAGE_SENT: u16 = 0x003f;
    pub(super) const INCOMING_MESSAGE: u16 = 0x0045;
    pub(super) const INVALID_COMMAND: u16 = 0x0058;
}

/// The coordinator.
pub(super) struct Ezsp {
    version: u8,
    ash: Ash,
    /// The version was asked for since it started.
    agreed: bool,
    /// The sequence number of the newest response.
    sequence: u8,
    tokens: Tokens,
    working: Working,
    under_way: BTreeMap<u64, Underway>,
    next_tag: u64,
    busy: bool,
    asked: Vec<String>,
    /// What is to be told once the command under way is answered.
    held: Option<Vec<Vec<u8>>>,
}

impl Ezsp {
    /// One that speaks this version, 8 to 13.
    pub(super) fn new(version: u8, ieee: Ieee) -> Self {
        Self {
            version: version.clamp(8, 13),
            ash: Ash::new(),
            agreed: false,
            sequence: 0,
            tokens: Tokens::new(ieee),
            working: Working::default(),
            under_way: BTreeMap::new(),
            next_tag: 0,
            busy: false,
            asked: Vec::new(),
            held: None,
        }
    }

    /// It has had a network before.
    pub(super) fn with_network(mut self, network: Network, counter: u32) -> Self {
        self.tokens.network = Some(network);
        self.tokens.counter = counter;
        self
    }

    fn frame(&mut self, now: Duration, data: &[u8], air: &mut Air) {
        let Some((header, parameters)) = Header::read(data) else { return };
        self.sequence = header.sequence;
        if header.is_version() {
            return self.say_version(header, parameters);
        }
        if !self.agreed || header.is_old() {
            return self.respond(header.refused(), vec![ezsp_status::VERSION_NOT_SET]);
        }
        remember(&mut self.asked, format!("{:#06x}", header.id));
        let known = self.has(header.id);
        self.held = Some(Vec::new());
        let answer = known.then(|| self.command(now, header.id, &mut Reader::new(parameters), air)).flatten();
        match answer {
            Some(answer) => self.respond(header, answer),
            None => self.respond(header.refused(), vec![ezsp_status::INVALID_FRAME_ID]),
        }
        self.held.take().into_iter().flatten().for_each(|told| self.ash.send(told));
        self.trust(now, air);
    }

    /// A host of any version understands the answer, and asks once more in the form of the coordinator's.
    fn say_version(&mut self, header: Header, parameters: &[u8]) {
        let wanted = parameters.first().copied().unwrap_or(0);
        self.agreed = wanted == self.version && !header.is_old();
        let stack = if self.version < 9 { 0x6700 } else { 0x7440 };
        let answer = Out::new().u8(self.version).u8(2).u16(stack).done();
        remember(&mut self.asked, format!("version {wanted}"));
        self.respond(header, answer);
    }

    fn respond(&mut self, header: Header, answer: Vec<u8>) {
        self.ash.send(header.response(&answer));
    }

    /// Something unasked.
    fn call_back(&mut self, id: u16, parameters: Vec<u8>) {
        let told = Header::callback(self.sequence, id).response(&parameters);
        match &mut self.held {
            _ if !self.agreed => {}
            Some(held) => held.push(told),
            None => self.ash.send(told),
        }
    }

    fn tell_status(&mut self, status: u8) {
        self.call_back(callback::STACK_STATUS, vec![status]);
    }

    fn tell(&mut self, now: Duration, told: Told, air: &Air) {
        match told {
            Told::Closed => self.tell_status(status::CLOSED),
            Told::Joined { ieee, address, how } => self.tell_join(ieee, address, how, air),
            Told::Left { rejoins: true, .. } => {}
            Told::Left { ieee, address, .. } => {
                let parameters = Out::new().u16(address).u64(ieee.0).u8(2).u8(3).u16(0).done();
                self.call_back(callback::TRUST_CENTER_JOIN, parameters);
            }
            Told::Sent { tag, delivery } => self.tell_sent(tag, delivery),
            Told::Message(message) => self.tell_message(now, &message),
        }
    }

    /// The trust centre's word of who comes, and what it decided (UG100, trustCenterJoinHandler).
    fn tell_join(&mut self, ieee: Ieee, address: u16, how: Join, air: &Air) {
        let (update, decision) = match how {
            Join::New => (1, 0),
            Join::Rejoin => (0, 3),
            Join::Denied => (1, 2),
        };
        let sleeps = air.members().iter().any(|(other, _, sleeps)| *other == ieee && *sleeps);
        if sleeps {
            let child = Out::new().u8(0).u8(1).u16(address).u64(ieee.0).u8(4).done();
            self.call_back(callback::CHILD_JOIN, child);
        }
        let parameters = Out::new().u16(address).u64(ieee.0).u8(update).u8(decision).u16(0).done();
        self.call_back(callback::TRUST_CENTER_JOIN, parameters);
    }

    fn tell_sent(&mut self, tag: u64, delivery: Delivery) {
        let Some(sent) = self.under_way.remove(&tag) else { return };
        let code = if delivery == Delivery::Done { status::SUCCESS } else { status::DELIVERY_FAILED };
        let contents: &[u8] = if self.working.wants_contents() { &sent.contents } else { &[] };
        let out = Out::new().u8(sent.kind).u16(sent.to).bytes(&sent.frame).u8(sent.tag).u8(code);
        self.call_back(callback::MESSAGE_SENT, out.counted(contents).done());
    }
}

impl Stick for Ezsp {
    fn start(&mut self, _now: Duration, why: Start, air: &mut Air) {
        if air.network().is_some() {
            self.tokens.counter = air.counter;
        }
        air.down();
        air.rename(self.tokens.address());
        self.working = Working::default();
        self.under_way.clear();
        self.agreed = false;
        self.sequence = 0;
        self.ash.started(match why {
            Start::Power => Reset::PowerOn,
            Start::Watchdog => Reset::Watchdog,
            Start::Host => Reset::Software,
        });
    }

    fn hear(&mut self, now: Duration, bytes: &[u8], air: &mut Air) {
        for got in self.ash.hear(now, bytes) {
            match got {
                Got::Reset => self.start(now, Start::Host, air),
                Got::Data(data) => self.frame(now, &data, air),
            }
        }
    }

    fn run(&mut self, now: Duration, told: Vec<Told>, air: &mut Air) {
        told.into_iter().for_each(|told| self.tell(now, told, air));
        self.trust(now, air);
        self.ash.run(now);
    }

    fn says(&mut self) -> Vec<Vec<u8>> {
        self.ash.take()
    }

    fn be_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    fn remembers(&self) -> Option<Network> {
        self.tokens.network.clone()
    }

    fn replace_key(&mut self, key: [u8; 16]) {
        if let Some(network) = &mut self.tokens.network {
            network.key = key;
        }
    }

    fn asked(&self) -> &[String] {
        &self.asked
    }
}
