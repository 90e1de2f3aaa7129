//! The radio: who is in the network, what reaches whom, and when.
//!
//! Routers hear at once. Sleepy devices are children of the coordinator, which keeps for each what came for it until the
//! device polls or the time for that is over. Nobody hears a network whose key it has not, nor a frame whose counter it has
//! seen already: as after a restore that forgot how far it had counted.

use std::time::Duration;

use crate::mischief::ZigbeeFault;
use crate::rng::Rng;

use super::bytes::{Out, Reader};
use super::ieee::Ieee;
use super::network::Network;
use super::node::{Heard, Logical, Node, Outcome, Said};

/// How long a frame is on its way.
const FLIGHT: Duration = Duration::from_millis(6);

/// How long a coordinator tries to reach a router that does not acknowledge.
const TRIES: Duration = Duration::from_millis(400);

/// How often a sleepy device polls while it is awake.
const AWAKE: Duration = Duration::from_millis(200);

/// After so long a device that is in a network from the start says where it is, as one does that has missed its parent.
const MISSED: Duration = Duration::from_millis(1500);

/// How often a device looks what it has to say.
const LOOKS: Duration = Duration::from_millis(20);

/// How long it is awake after it has joined.
const SETTLES: Duration = Duration::from_secs(20);

/// What an end device asks for is kept for so long, unless the host says otherwise (macTransactionPersistenceTime).
const HOLD: Duration = Duration::from_millis(7680);

/// Whether a device is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the network, as if it had joined long ago.
    Member,
    /// Looks for a network that lets it in.
    Waiting,
    /// Switched off, or not paired.
    Away,
}

/// How a device came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    New,
    Rejoin,
    /// It was not let in.
    Denied,
}

/// How it went with what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Done,
    /// Nobody acknowledged it.
    Unacknowledged,
    /// A sleepy device did not ask for it in time.
    Expired,
    /// There is nobody of this address.
    NoRoute,
}

/// A message that the coordinator heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) from: u16,
    pub(super) ieee: Ieee,
    pub(super) counter: u8,
    pub(super) lqi: u8,
    pub(super) rssi: i8,
    pub(super) said: Said,
}

/// What happens on the air, for the coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Joined {
        ieee: Ieee,
        address: u16,
        how: Join,
    },
    Left {
        ieee: Ieee,
        address: u16,
        rejoins: bool,
    },
    Message(Message),
    Sent {
        tag: u64,
        delivery: Delivery,
    },
    /// Nobody is let in any more.
    Closed,
}

/// What the coordinator sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sending {
    pub(super) tag: u64,
    /// Addresses from 0xfff8 on are broadcasts.
    pub(super) to: u16,
    pub(super) group: Option<u16>,
    pub(super) heard: Heard,
}

/// What a device does once it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Rejoins,
    /// It was told to leave: as most do, it is as it came from the factory, and looks for a network that lets it in.
    Looks,
    /// Its owner has taken it away.
    Stays,
}

#[derive(Debug)]
enum What {
    Tell(Told),
    /// A frame reaches a device.
    Arrive(Ieee, Heard, Option<u64>),
    Join(Ieee),
    Announce(Ieee),
    Leave(Ieee, Then),
}

#[derive(Debug)]
struct Kept {
    until: Duration,
    tag: Option<u64>,
    heard: Heard,
}

#[derive(Debug)]
struct Device {
    node: Node,
    presence: Presence,
    /// The network that it has the key of.
    network: Option<Network>,
    /// The greatest counter of the coordinator that it has seen.
    seen: u32,
    kept: Vec<Kept>,
    looks_at: Duration,
    polls_at: Duration,
    awake_until: Duration,
    counter: u8,
    lqi: u8,
    /// Messages that it said.
    said: u64,
}

/// The radio, with everybody on it.
#[derive(Debug)]
pub(super) struct Air {
    coordinator: Ieee,
    devices: Vec<Device>,
    network: Option<Network>,
    /// Frames that the coordinator sent in this network.
    pub(super) counter: u32,
    open_until: Option<Duration>,
    /// Whether the trust centre gives the key to whoever comes.
    pub(super) lets_in: bool,
    /// How long the coordinator keeps what is for a sleepy device.
    pub(super) hold: Duration,
    doing: Vec<(Duration, What)>,
    rng: Rng,
}

impl Air {
    pub(super) fn new(coordinator: Ieee, seed: u64) -> Self {
        Self {
            coordinator,
            devices: Vec::new(),
            network: None,
            counter: 0,
            open_until: None,
            lets_in: true,
            hold: HOLD,
            doing: Vec::new(),
            rng: Rng::named(seed, "air"),
        }
    }

    pub(super) fn coordinator(&self) -> Ieee {
        self.coordinator
    }

    /// The coordinator has another address of its own.
    pub(super) fn rename(&mut self, ieee: Ieee) {
        self.coordinator = ieee;
    }

    pub(super) fn add(&mut self, node: Node, presence: Presence) {
        let lqi = 120 + self.rng.below(120) as u8;
        let mut node = node;
        node.address = self.free_address();
        self.devices.push(Device {
            node,
            presence,
            network: None,
            seen: 0,
            kept: Vec::new(),
            looks_at: Duration::ZERO,
            polls_at: Duration::ZERO,
            awake_until: Duration::ZERO,
            counter: 0,
            lqi,
            said: 0,
        });
    }

    /// One more while it runs.
    pub(super) fn bring(&mut self, now: Duration, node: Node, presence: Presence) {
        let ieee = node.ieee;
        self.add(node, presence);
        if let Some(network) = self.network.clone().filter(|_| presence == Presence::Member) {
            self.up(now, network, self.counter);
        }
        if presence == Presence::Waiting && self.open_until.is_some() {
            self.look(now + Duration::from_millis(300), ieee);
        }
    }

    fn free_address(&mut self) -> u16 {
        loop {
            let address = 1 + self.rng.below(0xfff6) as u16;
            if self.devices.iter().all(|device| device.node.address != address) {
                return address;
            }
        }
    }

    /// The network runs.
    pub(super) fn up(&mut self, now: Duration, network: Network, counter: u32) {
        for device in self.devices.iter_mut().filter(|device| device.presence == Presence::Member) {
            device.node.coordinator = Some(self.coordinator);
            // Not all of them speak at the same moment.
            let turn = Duration::from_millis(u64::from(device.node.address % 1000));
            device.polls_at = now + turn;
            if device.network.is_none() {
                device.network = Some(network.clone());
                self.doing.push((now + MISSED + turn, What::Announce(device.node.ieee)));
            }
        }
        self.network = Some(network);
        self.counter = counter;
    }

    /// The coordinator starts anew, or is switched off: what it kept in its memory is gone.
    pub(super) fn down(&mut self) {
        self.network = None;
        self.open_until = None;
        self.doing.retain(|(_, what)| !matches!(what, What::Tell(_)));
        self.devices.iter_mut().for_each(|device| device.kept.clear());
    }

    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Lets devices in for so long; zero: no more.
    pub(super) fn open(&mut self, now: Duration, time: Duration) {
        if self.network.is_none() {
            return;
        }
        self.open_until = (!time.is_zero()).then_some(now + time);
        if time.is_zero() {
            return;
        }
        let waiting = self.devices.iter().filter(|device| device.presence == Presence::Waiting);
        let waiting: Vec<Ieee> = waiting.map(|device| device.node.ieee).collect();
        for (index, ieee) in waiting.into_iter().enumerate() {
            self.look(now + Duration::from_millis(300 + 250 * index as u64), ieee);
        }
    }

    /// A device looks for a network, once.
    fn look(&mut self, at: Duration, ieee: Ieee) {
        self.doing.retain(|(_, what)| !matches!(what, What::Join(other) if *other == ieee));
        self.doing.push((at, What::Join(ieee)));
    }

    pub(super) fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    fn device(&mut self, ieee: Ieee) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.node.ieee == ieee)
    }

    /// Who has this address now.
    pub(super) fn who(&self, address: u16) -> Option<Ieee> {
        let here = |device: &&Device| device.node.address == address && device.network.is_some();
        self.devices.iter().find(here).map(|device| device.node.ieee)
    }

    /// The address that a device has now.
    pub(super) fn address(&self, ieee: Ieee) -> Option<u16> {
        let here = |device: &&Device| device.node.ieee == ieee && device.network.is_some();
        self.devices.iter().find(here).map(|device| device.node.address)
    }

    /// The children of the coordinator: address, and whether it is asleep.
    pub(super) fn members(&self) -> Vec<(Ieee, u16, bool)> {
        let here = self.devices.iter().filter(|device| device.network.is_some());
        let told = |device: &Device| {
            (device.node.ieee, device.node.address, matches!(device.node.logical, Logical::Sleepy(_)))
        };
        here.map(told).collect()
    }

    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.devices.iter().map(|device| &device.node).find(|node| node.name == name)
    }

    pub(super) fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.devices.iter_mut().map(|device| &mut device.node).find(|node| node.name == name)
    }

    /// No device goes wrong any more.
    pub(super) fn clear_faults(&mut self) {
        self.devices.iter_mut().for_each(|device| device.node.faults.clear());
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.devices.iter().map(|device| device.node.name.clone()).collect()
    }

    /// Whether a device is in the network, and how many messages it has said.
    pub(super) fn state(&self, name: &str) -> Option<(bool, u64)> {
        let device = self.devices.iter().find(|device| device.node.name == name)?;
        Some((device.network.is_some(), device.said))
    }

    /// Sends something.
    pub(super) fn send(&mut self, now: Duration, sending: Sending) {
        self.counter = self.counter.saturating_add(1);
        let Sending { tag, to, group, heard } = sending;
        if to >= 0xfff8 || group.is_some() {
            return self.send_all(now, tag, to, group, &heard);
        }
        let (reaches, counter, hold) = (self.reaches(), self.counter, self.hold);
        let found =
            self.devices.iter_mut().find(|device| device.node.address == to && device.network.is_some());
        let failed = |delivery| What::Tell(Told::Sent { tag, delivery });
        let Some(device) = found else {
            self.doing.push((now + TRIES, failed(Delivery::NoRoute)));
            return;
        };
        let undelivered = device.node.faults.happen(|fault| *fault == ZigbeeFault::Undelivered).is_some();
        let hears = reaches(device, counter) && !undelivered;
        if let Logical::Sleepy(_) = device.node.logical {
            // What does not arrive is kept all the same: the device never asks for it.
            let until = now + hold;
            if hears {
                device.kept.push(Kept { until, tag: Some(tag), heard });
            } else {
                self.doing.push((until, failed(Delivery::Expired)));
            }
        } else if hears {
            let ieee = device.node.ieee;
            self.doing.push((now + FLIGHT, What::Arrive(ieee, heard, Some(tag))));
        } else {
            self.doing.push((now + TRIES, failed(Delivery::Unacknowledged)));
        }
    }

    /// Whether a device takes a frame with this counter.
    fn reaches(&self) -> impl Fn(&mut Device, u32) -> bool + use<> {
        let network = self.network.clone();
        move |device, counter| {
            let same = match (&device.network, &network) {
                (Some(one), Some(other)) => one.hears(other),
                _ => false,
            };
            let hears =
                same && counter > device.seen && !device.node.faults.has(|on| *on == ZigbeeFault::Gone);
            if hears {
                device.seen = counter;
            }
            hears
        }
    }

    fn send_all(&mut self, now: Duration, tag: u64, to: u16, group: Option<u16>, heard: &Heard) {
        let (reaches, counter, hold) = (self.reaches(), self.counter, self.hold);
        let mut arrivals = Vec::new();
        self.answer_for_child(now, heard);
        for device in &mut self.devices {
            let meant = group.is_none_or(|group| device.node.is_in(group));
            let sleeps = matches!(device.node.logical, Logical::Sleepy(_));
            if !meant || (sleeps && to != 0xffff && group.is_none()) || !reaches(device, counter) {
                continue;
            }
            if sleeps {
                device.kept.push(Kept { until: now + hold, tag: None, heard: heard.clone() });
            } else {
                arrivals.push((now + FLIGHT, What::Arrive(device.node.ieee, heard.clone(), None)));
            }
        }
        self.doing.extend(arrivals);
        self.doing.push((now + FLIGHT, What::Tell(Told::Sent { tag, delivery: Delivery::Done })));
    }

    /// A parent says where its sleepy child is (05-3474, 2.4.3.1.1).
    fn answer_for_child(&mut self, now: Duration, heard: &Heard) {
        let Some((sequence, fields)) = heard.payload.split_first() else { return };
        let ieee = Reader::new(fields).u64().map(Ieee).filter(|_| heard.profile == 0 && heard.cluster == 0);
        let Some(ieee) = ieee else { return };
        let Some(device) = self.device(ieee).filter(|one| matches!(one.node.logical, Logical::Sleepy(_)))
        else {
            return;
        };
        let payload = Out::new().u8(*sequence).u8(0).u64(ieee.0).u16(device.node.address).done();
        let (cluster, group) = (0x8000, None);
        let said =
            Said { broadcast: false, profile: 0, cluster, endpoint: 0, to_endpoint: 0, group, payload };
        self.say(now, ieee, vec![said], FLIGHT);
    }

    /// Lets time pass; what the coordinator is told.
    pub(super) fn run(&mut self, now: Duration) -> Vec<Told> {
        let mut told = Vec::new();
        if self.open_until.is_some_and(|until| until <= now) {
            self.open_until = None;
            told.push(Told::Closed);
        }
        for index in 0..self.devices.len() {
            self.run_device(now, index, &mut told);
        }
        while let Some(what) = self.next_due(now) {
            self.happen(now, what, &mut told);
        }
        told
    }

    fn next_due(&mut self, now: Duration) -> Option<What> {
        let due = self.doing.iter().enumerate().filter(|(_, (at, _))| *at <= now);
        // The first of those of the same moment.
        let (index, _) = due.min_by_key(|(index, (at, _))| (*at, *index))?;
        Some(self.doing.remove(index).1)
    }

    fn run_device(&mut self, now: Duration, index: usize, told: &mut Vec<Told>) {
        let Some(device) = self.devices.get_mut(index) else { return };
        let looks = device.looks_at <= now;
        let said = if looks { device.node.run(now) } else { Vec::new() };
        device.looks_at = if looks { now + LOOKS } else { device.looks_at };
        let ieee = device.node.ieee;
        let expired = device.kept.extract_if(.., |kept| kept.until <= now).filter_map(|kept| kept.tag);
        told.extend(expired.map(|tag| Told::Sent { tag, delivery: Delivery::Expired }));
        let polls = matches!(device.node.logical, Logical::Sleepy(_)) && device.polls_at <= now;
        if polls {
            let every = match device.node.logical {
                Logical::Sleepy(every) if now >= device.awake_until => every,
                _ => AWAKE,
            };
            device.polls_at = now + every;
            let gone = device.node.faults.has(|fault| *fault == ZigbeeFault::Gone);
            let kept = if gone { Vec::new() } else { std::mem::take(&mut device.kept) };
            for kept in kept {
                self.arrive(now, ieee, kept.heard, kept.tag, told);
            }
        }
        self.say(now, ieee, said, Duration::ZERO);
    }

    fn happen(&mut self, now: Duration, what: What, told: &mut Vec<Told>) {
        match what {
            What::Tell(one) => told.push(one),
            What::Arrive(ieee, heard, tag) => self.arrive(now, ieee, heard, tag, told),
            What::Join(ieee) => self.join(now, ieee, told),
            What::Announce(ieee) => {
                let said = self.device(ieee).map(|device| device.node.announcement());
                self.say(now, ieee, said.into_iter().collect(), Duration::ZERO);
            }
            What::Leave(ieee, then) => {
                let rejoins = then == Then::Rejoins;
                let Some(device) = self.device(ieee) else { return };
                let address = device.node.address;
                if !rejoins {
                    device.network = None;
                    device.presence = if then == Then::Looks { Presence::Waiting } else { Presence::Away };
                    device.kept.clear();
                    device.node.forget();
                }
                told.push(Told::Left { ieee, address, rejoins });
                if rejoins {
                    self.rejoin(now, ieee);
                }
            }
        }
    }

    /// A frame is there.
    fn arrive(&mut self, now: Duration, ieee: Ieee, heard: Heard, tag: Option<u64>, told: &mut Vec<Told>) {
        let Some(device) = self.device(ieee) else { return };
        let gone = device.node.faults.has(|fault| *fault == ZigbeeFault::Gone);
        let lied = device.node.faults.happen(|fault| *fault == ZigbeeFault::Unacknowledged).is_some();
        let delivery = if gone || lied { Delivery::Unacknowledged } else { Delivery::Done };
        told.extend(tag.map(|tag| Told::Sent { tag, delivery }));
        if gone {
            return;
        }
        let Outcome { said, leaves, awake } = device.node.hear(now, &heard);
        if let Some(awake) = awake {
            device.awake_until = now + awake;
            device.polls_at = device.polls_at.min(now + AWAKE);
        }
        self.say(now, ieee, said, FLIGHT);
        if let Some(rejoins) = leaves {
            let then = if rejoins { Then::Rejoins } else { Then::Looks };
            self.doing.push((now + 10 * FLIGHT, What::Leave(ieee, then)));
        }
    }

    /// A device says something; who hears it is the coordinator.
    fn say(&mut self, now: Duration, ieee: Ieee, said: Vec<Said>, thinks: Duration) {
        let network = self.network.clone();
        let Some(device) = self.device(ieee).filter(|_| !said.is_empty()) else { return };
        let heard = match (&device.network, &network) {
            (Some(one), Some(other)) => one.hears(other),
            _ => false,
        };
        if !heard || device.node.faults.has(|fault| *fault == ZigbeeFault::Gone) {
            return;
        }
        let late = device.node.faults.active().iter().find_map(|order| match order.fault {
            ZigbeeFault::Late(time) => Some(time),
            _ => None,
        });
        let at = now + FLIGHT + thinks + late.unwrap_or_default();
        // Who has just spoken listens for a moment.
        device.polls_at = device.polls_at.min(now + AWAKE);
        let mut coming = Vec::new();
        for said in said {
            device.counter = device.counter.wrapping_add(1);
            device.said += 1;
            let message = Message {
                from: device.node.address,
                ieee,
                counter: device.counter,
                lqi: device.lqi,
                rssi: (i16::from(device.lqi) / 4 - 110) as i8,
                said,
            };
            let twice = device.node.faults.happen(|fault| *fault == ZigbeeFault::Duplicate).is_some();
            coming.extend(twice.then(|| (at + 5 * FLIGHT, What::Tell(Told::Message(message.clone())))));
            coming.push((at, What::Tell(Told::Message(message))));
        }
        self.doing.extend(coming);
    }

    fn join(&mut self, now: Duration, ieee: Ieee, told: &mut Vec<Told>) {
        let (open, lets_in, network, coordinator) =
            (self.open_until.is_some(), self.lets_in, self.network.clone(), self.coordinator);
        let address = self.free_address();
        let Some(device) = self.device(ieee).filter(|device| device.presence == Presence::Waiting) else {
            return;
        };
        let Some(network) = network.filter(|_| open) else { return };
        if device.node.faults.has(|fault| *fault == ZigbeeFault::Gone) {
            return;
        }
        if !lets_in {
            told.push(Told::Joined { ieee, address, how: Join::Denied });
            return;
        }
        device.node.forget();
        device.node.address = address;
        device.node.coordinator = Some(coordinator);
        device.network = Some(network);
        device.presence = Presence::Member;
        device.seen = 0;
        self.enter(now, ieee, Join::New);
    }

    /// It is known to the coordinator, announces itself and stays awake for a while.
    fn enter(&mut self, now: Duration, ieee: Ieee, how: Join) {
        let Some(device) = self.device(ieee) else { return };
        device.awake_until = now + SETTLES;
        device.polls_at = now + AWAKE;
        let address = device.node.address;
        self.doing.push((now, What::Tell(Told::Joined { ieee, address, how })));
        self.doing.push((now + 10 * FLIGHT, What::Announce(ieee)));
    }

    /// A device comes back with another address, as after it has lost its parent.
    pub(super) fn rejoin(&mut self, now: Duration, ieee: Ieee) {
        let address = self.free_address();
        let network = self.network.clone();
        let Some(device) = self.device(ieee) else { return };
        let same = match (&device.network, &network) {
            (Some(one), Some(other)) => one.hears(other),
            _ => false,
        };
        if same {
            device.node.address = address;
            device.kept.clear();
            self.enter(now, ieee, Join::Rejoin);
        }
    }

    /// A device is told by its owner to leave.
    pub(super) fn leave(&mut self, now: Duration, ieee: Ieee) {
        self.doing.push((now, What::Leave(ieee, Then::Stays)));
    }

    /// A device is reset by its owner, and looks for a network.
    pub(super) fn pair(&mut self, now: Duration, ieee: Ieee) {
        let open = self.open_until.is_some();
        let Some(device) = self.device(ieee) else { return };
        device.presence = Presence::Waiting;
        device.network = None;
        device.kept.clear();
        device.node.forget();
        if open {
            self.look(now + Duration::from_millis(300), ieee);
        }
    }

    /// Somebody does something at a device.
    ///
    /// Errors: there is no such action, or the device is bound to nobody for it.
    pub(super) fn act(&mut self, now: Duration, name: &str, action: &str) -> Result<(), String> {
        let Some(node) = self.node_mut(name) else { return Err(format!("there is no device {name:?}")) };
        let (ieee, said) = (node.ieee, node.act(action)?);
        self.say(now, ieee, said, Duration::ZERO);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
