//! The discovery messages of Home Assistant: `homeassistant/<component>/[<node>/]<object>/config`, kept by the server,
//! one for each entity or (`homeassistant/device/…`) one for a whole device.
//!
//! Source: home-assistant.io, "MQTT discovery" and the pages of the MQTT components.

mod entity;
mod light;
mod names;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use self::entity::Entity;
use super::identity::address;
use super::json::Json;
use super::model::{Availability, Model};
use super::{Device, MAX_DEVICES, Notes, Source, is_topic};

const VENDOR: &str = "HOMEASSISTANT";

/// Most entities of one server.
const MAX_ENTITIES: usize = 8 * MAX_DEVICES;
/// Longest message, in bytes.
pub(super) const MAX_ENTITY: usize = 256 << 10;
/// Most bytes of all messages that are kept: anybody who may publish there can fill this.
pub(super) const MAX_TOLD: usize = 8 << 20;

/// What was told, by topic.
#[derive(Debug)]
pub(super) struct HomeAssistant {
    prefix: String,
    /// With the length of its body.
    told: BTreeMap<String, (usize, Json)>,
    /// Of all bodies.
    bytes: usize,
    /// Topics of which nothing was said since everything is told anew.
    unmentioned: BTreeSet<String>,
}

impl HomeAssistant {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), told: BTreeMap::new(), bytes: 0, unmentioned: BTreeSet::new() }
    }

    fn forget(&mut self, topic: &str) -> Option<Json> {
        let (length, json) = self.told.remove(topic)?;
        self.bytes = self.bytes.saturating_sub(length);
        Some(json)
    }
}

impl Source for HomeAssistant {
    fn filters(&self) -> Vec<String> {
        vec![format!("{}/+/+/config", self.prefix), format!("{}/+/+/+/config", self.prefix)]
    }

    fn begin_anew(&mut self) {
        self.unmentioned = self.told.keys().cloned().collect();
    }

    fn settle(&mut self) -> bool {
        let gone = std::mem::take(&mut self.unmentioned);
        gone.iter().filter(|topic| self.forget(topic).is_some()).count() > 0
    }

    fn hear(&mut self, topic: &str, body: &[u8]) -> bool {
        self.unmentioned.remove(topic);
        if body.is_empty() {
            return self.forget(topic).is_some();
        }
        if body.len() > MAX_ENTITY {
            return false;
        }
        let Some(json @ Json::Map(_)) = Json::parse(body) else { return false };
        let json = names::spelled_out(json);
        let old = self.forget(topic);
        if self.told.len() >= MAX_ENTITIES || self.bytes + body.len() > MAX_TOLD {
            return old.is_some();
        }
        self.bytes += body.len();
        let changed = old.is_none_or(|old| old != json);
        self.told.insert(topic.to_owned(), (body.len(), json));
        changed
    }

    fn devices(&self, notes: &mut Notes) -> Vec<Device> {
        let mut devices: BTreeMap<String, Vec<Entity>> = BTreeMap::new();
        for (topic, (_, json)) in &self.told {
            let rest = topic.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
            let Some((component, rest)) = rest.and_then(|rest| rest.split_once('/')) else { continue };
            let object = rest.strip_suffix("/config").unwrap_or(rest);
            for entity in entities(component, object, json) {
                devices.entry(entity.device_id.clone()).or_default().push(entity);
            }
        }
        let found = devices.into_iter().filter_map(|(id, entities)| device(id, &entities, notes));
        self.addressed(found.collect())
    }
}

impl HomeAssistant {
    /// Gives each device a topic of its own: what its topics begin with, unless those of another device begin so too.
    fn addressed(&self, mut devices: Vec<Device>) -> Vec<Device> {
        let starts: Vec<_> = devices.iter_mut().map(|device| topics::common(&mut device.model)).collect();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for start in starts.iter().flatten() {
            *times.entry(start).or_default() += 1;
        }
        for (device, start) in devices.iter_mut().zip(&starts) {
            match start.as_ref().filter(|start| times.get(start.as_str()) == Some(&1)) {
                Some(start) => {
                    topics::shorten(&mut device.model, start);
                    device.topic.clone_from(start);
                }
                None => {
                    let own = format!("{}/{}", self.prefix, device.id);
                    device.topic = if is_topic(&own) { own } else { self.prefix.clone() };
                }
            }
        }
        devices
    }
}

/// One, or all of a device.
fn entities(component: &str, object: &str, json: &Json) -> Vec<Entity> {
    if component != "device" {
        return vec![Entity::new(component, object, json.clone())];
    }
    let shared = |name: &str| json.get(name).map(|value| (name.to_owned(), value.clone()));
    let shared: Vec<(String, Json)> = names::SHARED.iter().filter_map(|name| shared(name)).collect();
    let one = |(key, value): &(String, Json)| {
        let component = value.text("platform")?.to_owned();
        let mut members = value.as_members().to_vec();
        let own: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
        members.extend(shared.iter().filter(|(name, _)| !own.contains(name)).cloned());
        Some(Entity::new(&component, &format!("{object}/{key}"), Json::Map(members)))
    };
    json.get("components").map_or(&[][..], Json::as_members).iter().filter_map(one).collect()
}

fn device(id: String, entities: &[Entity], notes: &mut Notes) -> Option<Device> {
    let told = entities.iter().find_map(|entity| entity.json.get("device"));
    let text = |key: &str| told.and_then(|told| told.text(key));
    let name = text("name").or_else(|| entities.first()?.json.text("name")).unwrap_or(&id).to_owned();
    let mut model = Model {
        vendor: VENDOR,
        model: format!("{} {}", text("manufacturer").unwrap_or_default(), text("model").unwrap_or("device")),
        description: [text("manufacturer"), text("model")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        availability: availability(entities, &name, notes),
        ..Model::default()
    };
    for entity in entities {
        entity.add(&mut model, &name, notes);
    }
    model.parts().for_each(|part| part.capabilities.sort_by_key(|capability| capability.rank));
    model.kind = device_kind(&model, entities);
    let addresses = addresses(&id, told);
    Some(Device { id, name, topic: String::new(), addresses, model })
}

/// Of all that it is identified by and reached at.
fn addresses(id: &str, told: Option<&Json>) -> Vec<String> {
    let identifiers = match told.and_then(|told| told.get("identifiers")) {
        Some(Json::List(items)) => items.iter().filter_map(Json::plain).collect(),
        one => one.and_then(Json::plain).into_iter().collect::<Vec<_>>(),
    };
    let connections = told.map_or(&[][..], |told| told.items("connections"));
    let connected = connections.iter().filter_map(|pair| pair.as_items().last()?.plain());
    let all = std::iter::once(id.to_owned()).chain(identifiers).chain(connected);
    all.filter_map(|identifier| address(&identifier)).collect()
}

/// What all entities have in common; one that has more than the device is left without it.
fn availability(entities: &[Entity], device: &str, notes: &mut Notes) -> Vec<Availability> {
    let mut of_all: Option<Vec<Availability>> = None;
    for entity in entities {
        let of_one = entity.availability(device, notes);
        of_all = Some(match of_all {
            None => of_one,
            Some(common) => {
                if common != of_one {
                    notes.add(
                        device,
                        "availability",
                        "only what all its entities have in common is looked at",
                    );
                }
                common.into_iter().filter(|said| of_one.contains(said)).collect()
            }
        });
    }
    of_all.unwrap_or_default()
}

fn device_kind(model: &Model, entities: &[Entity]) -> &'static str {
    let has = |component: &str| entities.iter().any(|entity| entity.component == component);
    let kind = |kind: &str| model.has(|capability| capability.kind == kind);
    if has("climate") {
        "Thermostat"
    } else if has("light") {
        "Light"
    } else if has("cover") {
        "Motor"
    } else if has("lock") {
        "Lock"
    } else if has("switch") {
        "PowerStrip"
    } else if kind("SmokeDetected") || kind("CarbonMonoxideDetected") {
        "Alarm"
    } else if kind("Energy") {
        "Meter"
    } else {
        "Sensor"
    }
}

/// The device's own topic: what all its topics begin with.
mod topics {
    use super::{Model, is_topic};
    use crate::adopt::model::Part;

    /// The levels with which all topics of what the device has begin. `None`: there are none.
    pub(super) fn common(model: &mut Model) -> Option<String> {
        let mut all = Vec::new();
        // What says whether a device is there may say so of a whole bridge.
        own(model, &mut |topic| all.push(topic.clone()));
        let first = all.first()?;
        let levels: Vec<&str> = first.split('/').collect();
        let common = |count: &usize| {
            let start = levels.get(..*count).map(|levels| levels.join("/")).unwrap_or_default();
            all.iter().all(|topic| rest(topic, &start).is_some())
        };
        let count = (1..=levels.len()).take_while(common).last()?;
        let start = levels.get(..count)?.join("/");
        is_topic(&start).then_some(start)
    }

    /// Writes `~` for this start of topics.
    pub(super) fn shorten(model: &mut Model, start: &str) {
        let mut write = |topic: &mut String| {
            if let Some(rest) = rest(topic, start) {
                *topic = format!("~{rest}");
            }
        };
        model.availability.iter_mut().for_each(|said| write(&mut said.topic));
        own(model, &mut write);
    }

    /// What follows the start, beginning with a slash unless nothing follows.
    fn rest<'t>(topic: &'t str, start: &str) -> Option<&'t str> {
        topic.strip_prefix(start).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The topics of what the device has.
    fn own(model: &mut Model, what: &mut dyn FnMut(&mut String)) {
        let parts = std::iter::once(&mut model.own).chain(&mut model.nodes);
        for Part { capabilities, commands, events, .. } in parts {
            for capability in capabilities {
                let points =
                    capability.read.iter_mut().chain(capability.values.iter_mut().map(|(_, point)| point));
                points.for_each(|point| what(&mut point.topic));
                capability.write.iter_mut().for_each(|write| what(&mut write.topic));
            }
            commands.iter_mut().for_each(|command| what(&mut command.topic));
            events.iter_mut().for_each(|event| what(&mut event.read.topic));
        }
    }
}
