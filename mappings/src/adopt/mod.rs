//! Devices taken over from what is said on an MQTT server: Zigbee2MQTT, Tasmota's discovery, Shelly of the second
//! generation and later, and the discovery messages of Home Assistant.
//!
//! [`Adopter`] listens: whoever has a connection tells it what was published under its [`Adopter::filters`], publishes
//! what it asks for, and takes the [`Adopter::devices`] whenever they have become others. Each device comes with a
//! mapping file as a person would write it, compiled by the same compiler; what could not be taken over is told by
//! [`Adopter::left_out`]. Nothing here waits or knows a connection, and everything that is heard is bounded.

mod home_assistant;
mod json;
mod meaning;
mod model;
mod shelly;
mod tasmota;
#[cfg(test)]
mod tests;
mod text;
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
            Listening { filters: source.filters(), source }
        };
        Self { sources: adopt.iter().map(listening).collect(), known: BTreeMap::new(), left_out: Vec::new() }
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

    /// All devices, in the order of their ids. Only what has changed is written anew.
    pub fn devices(&mut self) -> Vec<Arc<Adopted>> {
        let mut notes = Notes::default();
        let all = self.sources.iter().flat_map(|listening| listening.source.devices(&mut notes));
        let all: Vec<Device> = all.take(MAX_DEVICES).collect();
        let mut before = std::mem::take(&mut self.known);
        for device in all {
            if self.known.contains_key(&device.id) {
                notes.add(&device.name, "the device", "another one with its id was taken over");
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
