//! A coordinator of Texas Instruments: Z-Stack 3.30 and later on a CC26x2, through its Monitor and Test API.

mod commission;
mod data;
mod items;
mod objects;
#[cfg(test)]
mod tests;
mod utility;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::air::{Air, Join, Told};
use super::bytes::{Out, Reader};
use super::ieee::Ieee;
use super::mt::{ANSWER, Command, NOTICE, REQUEST, cut};
use super::network::Network;
use super::node::Endpoint;
use super::stick::{Start, Stick, remember};

use data::Underway;
use items::Items;

/// Subsystems.
mod of {
    pub(super) const SYS: u8 = 1;
    pub(super) const AF: u8 = 4;
    pub(super) const ZDO: u8 = 5;
    pub(super) const UTIL: u8 = 7;
    pub(super) const APP_CONFIG: u8 = 15;
}

/// Status codes of Z-Stack.
mod status {
    pub(super) const SUCCESS: u8 = 0x00;
    pub(super) const INVALID_PARAMETER: u8 = 0x02;
    pub(super) const NO_ITEM: u8 = 0x09;
    pub(super) const ITEM_FAILED: u8 = 0x0a;
    pub(super) const BAD_LENGTH: u8 = 0x0c;
    pub(super) const NO_MEMORY: u8 = 0x10;
    pub(super) const NO_ACK: u8 = 0xb7;
    pub(super) const NOT_PERMITTED: u8 = 0xc2;
    pub(super) const NO_ROUTE: u8 = 0xcd;
    pub(super) const EXPIRED: u8 = 0xf0;
}

/// What a coordinator can: SYS, AF, ZDO, UTIL, GP and APP_CNF.
const CAPABILITIES: u16 = 0x0659;

/// Its version: transport, product, release 2.7.1, and the day it was built.
const VERSION: [u8; 5] = [2, 1, 2, 7, 1];
const BUILT: u32 = 20_230_507;

/// How long a start takes.
const STARTS: Duration = Duration::from_millis(150);

/// Why a command was not understood (RPC errors).
const UNKNOWN_SUBSYSTEM: u8 = 1;
const UNKNOWN_COMMAND: u8 = 2;
const BAD_LENGTH: u8 = 4;

/// How far the coordinator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Starting(Duration),
    Started,
}

/// The coordinator.
pub(super) struct Znp {
    heard: Vec<u8>,
    out: VecDeque<Vec<u8>>,
    items: Items,
    state: State,
    /// The commissioning that a start belongs to has to be told, with this status.
    commissioning: Option<u8>,
    endpoints: Vec<Endpoint>,
    /// ZDO messages that the host wants to see: by cluster, or all.
    callbacks: Vec<u16>,
    channels: u32,
    under_way: BTreeMap<u64, Underway>,
    next_tag: u64,
    sequence: u8,
    busy: bool,
    asked: Vec<String>,
}

impl Znp {
    /// One with this address.
    pub(super) fn new(ieee: Ieee) -> Self {
        Self {
            heard: Vec::new(),
            out: VecDeque::new(),
            items: Items::new(ieee),
            state: State::Idle,
            commissioning: None,
            endpoints: Vec::new(),
            callbacks: Vec::new(),
            channels: 0,
            under_way: BTreeMap::new(),
            next_tag: 0,
            sequence: 0,
            busy: false,
            asked: Vec::new(),
        }
    }

    /// It has had a network before.
    pub(super) fn with_network(mut self, network: &Network, counter: u32) -> Self {
        self.items.keep_network(network, counter);
        self
    }

    fn command(&mut self, now: Duration, command: &Command, air: &mut Air) {
        let (kind, subsystem) = (command.kind & 0xe0, command.kind & 0x1f);
        remember(&mut self.asked, format!("{:02x}{:02x}", command.kind, command.id));
        if subsystem == of::SYS && command.id == 0x00 && kind == NOTICE {
            return self.start(now, Start::Host, air);
        }
        if kind != REQUEST {
            return;
        }
        let before = self.out.len();
        let reader = &mut Reader::new(&command.data);
        let answered = match subsystem {
            of::SYS => self.system(command.id, reader, air),
            of::AF => self.application(now, command.id, reader, air),
            of::ZDO => self.objects(now, command.id, reader, air),
            of::UTIL => self.utility(command.id, reader, air),
            of::APP_CONFIG => self.configure(now, command.id, reader, air),
            _ => Err(UNKNOWN_SUBSYSTEM),
        };
        let answer = match answered {
            Ok(Some(data)) => Command::new(ANSWER | subsystem, command.id, data),
            Ok(None) => return self.refuse(command, BAD_LENGTH),
            Err(why) => return self.refuse(command, why),
        };
        // The answer comes before what follows from it.
        self.out.insert(before.min(self.out.len()), answer.frame());
    }

    fn refuse(&mut self, command: &Command, why: u8) {
        let data = vec![why, command.kind, command.id];
        self.out.push_back(Command::new(ANSWER, 0x00, data).frame());
    }

    /// Something unasked.
    fn notify(&mut self, subsystem: u8, id: u8, data: Vec<u8>) {
        self.out.push_back(Command::new(NOTICE | subsystem, id, data).frame());
    }

    fn tell(&mut self, told: Told, air: &Air) {
        match told {
            Told::Closed => self.notify(of::ZDO, 0xcb, vec![0]),
            Told::Joined { how: Join::Denied, .. } => {}
            Told::Joined { ieee, address, .. } => {
                let data = Out::new().u16(address).u64(ieee.0).u16(0).done();
                self.notify(of::ZDO, 0xca, data);
            }
            Told::Left { ieee, address, rejoins } => {
                let data = Out::new().u16(address).u64(ieee.0).u8(0).u8(0).u8(u8::from(rejoins)).done();
                self.notify(of::ZDO, 0xc9, data);
            }
            Told::Sent { tag, delivery } => self.tell_sent(tag, delivery),
            Told::Message(message) => self.tell_message(&message, air),
        }
    }
}

impl Stick for Znp {
    fn start(&mut self, _now: Duration, why: Start, air: &mut Air) {
        if air.network().is_some() {
            self.items.count(air.counter);
        }
        air.down();
        self.items.boot();
        air.rename(self.items.address());
        self.state = State::Idle;
        self.commissioning = None;
        self.endpoints.clear();
        self.callbacks.clear();
        self.channels = 0;
        self.under_way.clear();
        self.heard.clear();
        self.out.clear();
        let reason = match why {
            Start::Power => 0,
            Start::Host => 1,
            Start::Watchdog => 2,
        };
        let data = Out::new().u8(reason).bytes(&VERSION).done();
        self.notify(of::SYS, 0x80, data);
    }

    fn hear(&mut self, now: Duration, bytes: &[u8], air: &mut Air) {
        self.heard.extend_from_slice(bytes);
        for command in cut(&mut self.heard) {
            self.command(now, &command, air);
        }
    }

    fn run(&mut self, now: Duration, told: Vec<Told>, air: &mut Air) {
        told.into_iter().for_each(|told| self.tell(told, air));
        self.go_on_starting(now, air);
    }

    fn says(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out).into()
    }

    fn be_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    fn remembers(&self) -> Option<Network> {
        self.items.network()
    }

    fn replace_key(&mut self, key: [u8; 16]) {
        self.items.replace_key(key);
    }

    fn asked(&self) -> &[String] {
        &self.asked
    }
}
