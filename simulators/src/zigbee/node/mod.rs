//! A device behind the radio: its endpoints and attributes, what it does when it is told to, what it tells by itself.
//!
//! [`make`](make) says which kinds there are. Nothing here knows of the radio, a coordinator or a clock.

mod act;
mod cluster;
mod general;
mod group;
mod make;
mod mapped;
mod measure;
mod point;
mod report;
mod zdo;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::mischief::{Mischief, ZigbeeFault};
use crate::world::World;

use super::ieee::Ieee;
use super::zcl::Value;

use point::{Link, Point};

pub use make::{Kind, NoKind};
pub use mapped::MappedError;
pub(super) use zdo::{Identity, describe};

/// The profile of homes.
pub(super) const HOME: u16 = 0x0104;

/// Where an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) endpoint: u8,
    pub(super) cluster: u16,
    /// 0: the standard's own.
    pub(super) manufacturer: u16,
    pub(super) attribute: u16,
}

impl Key {
    pub(super) const fn new(endpoint: u8, cluster: u16, attribute: u16) -> Self {
        Self { endpoint, cluster, manufacturer: 0, attribute }
    }
}

/// An attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) value: Value,
    pub(super) writable: bool,
    pub(super) reportable: bool,
    pub(super) reporting: Option<report::Reporting>,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) id: u8,
    pub(super) profile: u16,
    pub(super) device: u16,
    pub(super) inputs: Vec<u16>,
    pub(super) outputs: Vec<u16>,
}

/// What a device is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    Coordinator,
    Router,
    /// It hears only at its polls, so often.
    Sleepy(Duration),
}

/// Where a cluster's words go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) endpoint: u8,
    pub(super) cluster: u16,
    pub(super) to: To,
}

/// The other end of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Device(Ieee, u8),
    Group(u16),
}

/// An attribute on its way to another value.
#[derive(Clone, Debug)]
struct Motion {
    key: Key,
    from: f64,
    to: f64,
    begins: Duration,
    ends: Duration,
    /// What is so once it has arrived.
    then: Option<(Key, Value)>,
}

/// What comes to a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) profile: u16,
    pub(super) cluster: u16,
    pub(super) from_endpoint: u8,
    pub(super) endpoint: u8,
    pub(super) broadcast: bool,
    pub(super) payload: Vec<u8>,
}

/// What a device says: to the coordinator, or to all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) broadcast: bool,
    pub(super) profile: u16,
    pub(super) cluster: u16,
    pub(super) endpoint: u8,
    pub(super) to_endpoint: u8,
    pub(super) group: Option<u16>,
    pub(super) payload: Vec<u8>,
}

/// What follows from what a device heard.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) said: Vec<Said>,
    /// It leaves the network; `true`: and comes back.
    pub(super) leaves: Option<bool>,
    /// It polls often for so long.
    pub(super) awake: Option<Duration>,
}

/// A device.
#[derive(Debug)]
pub struct Node {
    pub(super) name: String,
    pub(super) ieee: Ieee,
    pub(super) logical: Logical,
    manufacturer: u16,
    pub(super) endpoints: Vec<Endpoint>,
    attributes: BTreeMap<Key, Attribute>,
    points: Vec<Point>,
    pub(super) bindings: Vec<Binding>,
    groups: BTreeSet<(u8, u16)>,
    /// By endpoint, group and number: what its attributes were.
    scenes: BTreeMap<(u8, u16, u8), Vec<(Key, f64)>>,
    world: World,
    still: bool,
    motions: Vec<Motion>,
    actions: Vec<act::Action>,
    /// Commands that it takes without anything being known of what they do: endpoint, cluster, number.
    takes: BTreeSet<(u8, u16, u8)>,
    /// Its address in the network.
    pub(super) address: u16,
    /// Whose network it is in.
    pub(super) coordinator: Option<Ieee>,
    /// It is to ask to be enrolled.
    enrol: bool,
    pub(super) faults: Mischief<ZigbeeFault>,
    /// What the coordinator was last told of an alarm.
    alarm_told: BTreeMap<u8, i128>,
    check_in_at: Option<Duration>,
    flood_at: Duration,
    sequence: u8,
    at: Duration,
    /// The commands and writes that it understood, the newest last.
    obeyed: Vec<String>,
}

/// Commands that are remembered.
const OBEYED: usize = 64;

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn ieee(&self) -> Ieee {
        self.ieee
    }

    /// Another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// A sleepy device polls so often; nothing changes for others.
    #[must_use]
    pub fn polling(mut self, every: Duration) -> Self {
        if let Logical::Sleepy(_) = self.logical {
            self.logical = Logical::Sleepy(every.max(Duration::from_millis(10)));
        }
        self
    }

    /// Its world stands still: only what is set changes.
    #[must_use]
    pub fn still(mut self) -> Self {
        self.still = true;
        self
    }

    fn has(&self, fault: &ZigbeeFault) -> bool {
        self.faults.has(|on| on == fault)
    }

    fn next_sequence(&mut self) -> u8 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn value(&self, key: Key) -> Option<&Value> {
        self.attributes.get(&key).map(|attribute| &attribute.value)
    }

    fn whole(&self, key: Key) -> Option<i128> {
        self.value(key)?.as_whole()
    }

    /// Gives an attribute another number, of its own type. Its quantity follows, if it has one.
    fn put(&mut self, key: Key, number: f64) {
        if let Some(attribute) = self.attributes.get_mut(&key) {
            attribute.value = Value::of_number(attribute.value.kind, number);
            self.drive(key);
        }
    }

    fn drive(&mut self, key: Key) {
        for point in self.points.iter().filter(|point| point.key == key && point.link == Link::Drives) {
            let value = self.attributes.get(&key).map(|attribute| &attribute.value);
            if let Some(quantity) = value.and_then(|value| point.quantity(value)) {
                self.world.actuate(&point.name, quantity).ok();
            }
        }
    }

    fn note(&mut self, what: String) {
        let old = (self.obeyed.len() + 1).saturating_sub(OBEYED);
        self.obeyed.drain(..old);
        self.obeyed.push(what);
    }

    /// As it came from the factory: nobody is bound, nothing is reported.
    pub(super) fn forget(&mut self) {
        self.bindings.clear();
        self.groups.clear();
        self.scenes.clear();
        self.coordinator = None;
        self.alarm_told.clear();
        for (key, attribute) in &mut self.attributes {
            attribute.reporting = None;
            if let (0x0500, 0x0000 | 0x0010) = (key.cluster, key.attribute) {
                attribute.value = Value::whole(attribute.value.kind, 0);
            }
        }
    }

    pub(super) fn is_in(&self, group: u16) -> bool {
        self.groups.iter().any(|(_, other)| *other == group)
    }

    /// What comes by the radio.
    pub(super) fn hear(&mut self, now: Duration, heard: &Heard) -> Outcome {
        self.at = self.at.max(now);
        if self.has(&ZigbeeFault::Silent) {
            return Outcome::default();
        }
        if heard.profile == 0 && heard.endpoint == 0 {
            return self.management(heard);
        }
        let there: Vec<u8> = self.endpoints.iter().map(|endpoint| endpoint.id).collect();
        let meant = there.into_iter().filter(|id| heard.endpoint == 0xff || *id == heard.endpoint);
        let mut outcome = Outcome::default();
        for endpoint in meant {
            let (answer, awake) = self.library(endpoint, heard);
            outcome.said.extend(answer);
            outcome.awake = outcome.awake.max(awake);
        }
        outcome
    }
}
