//! Devices taken over from what is said on an MQTT server: Zigbee2MQTT, Tasmota's discovery, Shelly of the second
//! generation and later, and the discovery messages of Home Assistant.
//!
//! [`Adopter`] listens: whoever has a connection tells it what was published under its [`Adopter::filters`], publishes
//! what it asks for, and takes the [`Adopter::devices`] whenever they have become others. Each device comes with a
//! mapping file as a person would write it, compiled by the same compiler; what could not be taken over is told by
//! [`Adopter::left_out`]. Whom several tell of is taken over once, from the first of [`AdoptedFrom::ALL`]: its own bridge
//! or firmware knows a device better than a description for others does. Nothing here waits or knows a connection, and everything that is heard is bounded.

mod home_assistant;
mod identity;
mod json;
mod meaning;
mod model;
mod shelly;
mod tasmota;
#[cfg(test)]
mod tests;
mod text;
pub mod zigbee;
mod zigbee2mqtt;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::home_assistant::HomeAssistant;
use self::model::Model;
use self::shelly::Shelly;
use self::tasmota::Tasmota;
use self::text::Written;
use self::zigbee2mqtt::Zigbee2Mqtt;
use crate::mapping::{AdoptedFrom, Adoption, Mapping, filter_matches};

/// Most devices of one server.
pub const MAX_DEVICES: usize = 2048;

/// Longest body that is looked at.
pub const MAX_BODY: usize = json::MAX_BYTES;

/// What is said to be left out of a device when all of it is.
pub const WHOLE_DEVICE: &str = "the device";

/// Most things that are told to be left out.
const MAX_NOTES: usize = 4096;

/// A device that was taken over.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// What it is known by for ever: an IEEE address, a MAC address, an identifier.
    pub id: String,
    /// What people call it there; at most 64 characters.
    pub name: String,
    /// Its topic, which `~` stands for in the mapping.
    pub topic: String,
    /// `vendor.model` of its mapping; devices of one model may have different mappings all the same.
    pub profile: String,
    /// The mapping file.
    pub text: String,
    /// The same, compiled.
    pub mapping: Arc<Mapping>,
}

/// Something that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Of which device, by its name.
    pub device: String,
    /// What, in the words of who said it.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

/// Something to be published, with QoS 0 and not to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where.
    pub topic: String,
    /// What.
    pub body: String,
}

/// What came of something that was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The devices may be others now.
    pub changed: bool,
    /// What to publish, to learn more.
    pub asks: Vec<Ask>,
}

/// Listens to what is said on one server.
#[derive(Debug)]
pub struct Adopter {
    sources: Vec<Listening>,
    known: BTreeMap<String, Known>,
    left_out: Vec<LeftOut>,
}

/// Somebody who is listened to, and under which filters.
#[derive(Debug)]
struct Listening {
    from: AdoptedFrom,
    source: Box<dyn Source>,
    filters: Vec<String>,
}

/// A device, and what it was written from.
#[derive(Debug)]
struct Known {
    device: Device,
    written: Option<Arc<Adopted>>,
    notes: Notes,
}

/// A device before it is written as a mapping.
#[derive(Clone, Debug, PartialEq)]
struct Device {
    id: String,
    name: String,
    topic: String,
    /// Addresses by which others know it too, as [`identity::address`] has them.
    addresses: Vec<String>,
    model: Model,
}

/// Somebody who tells of devices.
trait Source: std::fmt::Debug + Send {
    /// What is to be subscribed to.
    fn filters(&self) -> Vec<String>;
    /// Takes in what was published; true: the devices may be others now.
    fn hear(&mut self, topic: &str, body: &[u8]) -> bool;
    /// What is to be published to learn more, since the last time.
    fn asks(&mut self) -> Vec<Ask> {
        Vec::new()
    }
    /// What the server keeps will all be told once more. Whoever tells everything at once has nothing to do.
    fn begin_anew(&mut self) {}
    /// It has been told: what was not among it is there no more. True: the devices may be others now.
    fn settle(&mut self) -> bool {
        false
    }
    /// All devices that there are.
    fn devices(&self, notes: &mut Notes) -> Vec<Device>;
}

impl Adopter {
    /// Listens to these. `reply_topic` is where devices send their answers to this program alone (Shelly); a topic name
    /// of one level, such as `usp-broker-1a2b`.
    pub fn new(adopt: &[Adoption], reply_topic: &str) -> Self {
        let source = |adoption: &Adoption| -> Box<dyn Source> {
            match adoption.from {
                AdoptedFrom::Zigbee2Mqtt => Box::new(Zigbee2Mqtt::new(&adoption.topic)),
                AdoptedFrom::Tasmota => Box::new(Tasmota::new(&adoption.topic)),
                AdoptedFrom::Shelly => Box::new(Shelly::new(&adoption.topic, reply_topic)),
                AdoptedFrom::HomeAssistant => Box::new(HomeAssistant::new(&adoption.topic)),
            }
        };
        let listening = |adoption| {
            let source = source(adoption);
            Listening { from: adoption.from, filters: source.filters(), source }
        };
        let mut sources: Vec<Listening> = adopt.iter().map(listening).collect();
        sources.sort_by_key(|listening| AdoptedFrom::ALL.iter().position(|from| *from == listening.from));
        Self { sources, known: BTreeMap::new(), left_out: Vec::new() }
    }

    /// Topic filters to subscribe to; the same ones always.
    pub fn filters(&self) -> Vec<String> {
        self.sources.iter().flat_map(|listening| listening.filters.clone()).collect()
    }

    /// Takes in what was published, kept by the server or not. What nobody here wants changes nothing.
    pub fn hear(&mut self, topic: &str, body: &[u8]) -> Heard {
        let mut heard = Heard::default();
        for listening in &mut self.sources {
            if body.len() > MAX_BODY || !listening.filters.iter().any(|filter| filter_matches(filter, topic))
            {
                continue;
            }
            heard.changed |= listening.source.hear(topic, body);
            heard.asks.extend(listening.source.asks());
        }
        heard
    }

    /// What the server keeps is told once more from now on, because the connection is another one.
    pub fn begin_anew(&mut self) {
        self.sources.iter_mut().for_each(|listening| listening.source.begin_anew());
    }

    /// All that the server keeps has been told since [`Adopter::begin_anew`]: what was taken out of it meanwhile is gone.
    /// True: the devices may be others now. Of Zigbee2MQTT, which tells its whole list whenever it changes, silence says
    /// nothing.
    pub fn settle(&mut self) -> bool {
        // All of them, and not only until one has changed.
        self.sources.iter_mut().fold(false, |changed, listening| listening.source.settle() | changed)
    }

    /// All devices, in the order of their ids. Only what has changed is written anew.
    pub fn devices(&mut self) -> Vec<Arc<Adopted>> {
        let mut notes = Notes::default();
        let all = self.told(&mut notes);
        let mut before = std::mem::take(&mut self.known);
        for device in all {
            if self.known.contains_key(&device.id) {
                notes.add(&device.name, WHOLE_DEVICE, "another one with its id was taken over");
                continue;
            }
            let same = before.remove(&device.id).filter(|known| known.device == device);
            self.known.insert(device.id.clone(), same.unwrap_or_else(|| Known::write(device)));
        }
        for known in self.known.values() {
            notes.0.extend(known.notes.0.iter().cloned());
        }
        self.left_out = notes.sorted();
        self.known.values().filter_map(|known| known.written.clone()).collect()
    }

    /// Whoever is told of, once.
    fn told(&self, notes: &mut Notes) -> Vec<Device> {
        let (mut all, mut taken) = (Vec::new(), identity::Taken::default());
        for listening in &self.sources {
            let mut own = listening.source.devices(notes);
            own.retain(|device| {
                let taken = taken.by(device);
                if let Some(who) = taken {
                    notes.add(&device.name, WHOLE_DEVICE, &format!("it is taken over from {who}"));
                }
                taken.is_none()
            });
            own.iter().for_each(|device| taken.take(device, listening.from));
            all.extend(own);
        }
        all.truncate(MAX_DEVICES);
        all
    }

    /// What was left out of the devices as they were taken last, and why.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Known {
    fn write(device: Device) -> Self {
        let mut notes = Notes::default();
        let written = Written::of(&device, &mut notes);
        let written = written.map(|Written { profile, text, mapping }| {
            let (id, topic) = (device.id.clone(), device.topic.clone());
            let name = short(&device.name, 64);
            Arc::new(Adopted { id, name, topic, profile, text, mapping: Arc::new(mapping) })
        });
        Self { device, written, notes }
    }
}

/// What is left out, as it comes up.
#[derive(Clone, Debug, Default)]
struct Notes(Vec<LeftOut>);

impl Notes {
    fn add(&mut self, device: &str, what: &str, why: &str) {
        if self.0.len() < MAX_NOTES {
            let (device, what, why) = (short(device, 64), short(what, 128), why.to_owned());
            self.0.push(LeftOut { device, what, why });
        }
    }

    fn sorted(mut self) -> Vec<LeftOut> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// So many characters, none of which does anything to a terminal.
fn short(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Whether it can be a topic name (MQTT 5.0, 4.7.1), or a part of one, and stand in a mapping.
fn is_topic(text: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '+' | '#' | '"' | '\\');
    !text.is_empty()
        && text.len() <= 1024
        && !text.contains(bad)
        && !text.contains("${")
        && !text.contains("$value")
        && !text.split('/').any(|level| level == "~")
}
