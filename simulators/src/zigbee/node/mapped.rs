//! Any device that a mapping draft describes: attributes with values that move plausibly, and what the clusters can.

use std::time::Duration;

use rust_decimal::prelude::ToPrimitive;
use usp_mapping::draft::{
    CapabilityDraft, EventDraft, MapDraft, MappingDraft, MessagePlace, PointDraft, ZigbeeName,
    ZigbeePlaceDraft,
};
use usp_mapping::mapping::ProtocolKind;
use usp_mapping::transform::MapTarget;
use usp_mapping::zigbee::ZclType;

use crate::modbus::point::{Nature, Point as Known};
use crate::modbus::quantities;

use super::super::ieee::Ieee;
use super::super::names;
use super::super::zcl::{Raw, Value, kind};
use super::act::Action;
use super::make::Maker;
use super::point::{Coding, Link, Point};
use super::report::Reporting;
use super::{Endpoint, HOME, Key, Logical, Node};

/// How often a device that sleeps polls, unless it is told otherwise.
const POLLS: Duration = Duration::from_secs(2);

/// Why a draft makes no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappedError {
    /// It is of another protocol.
    #[error("the mapping has no `zigbee`")]
    NoZigbee,
    /// A cluster or an attribute is not known here.
    #[error("capability {capability}: {what} is not simulated")]
    Unknown {
        /// Which.
        capability: String,
        /// What of it.
        what: String,
    },
}

impl Node {
    /// The device that a mapping describes.
    ///
    /// Errors: the draft is of another protocol, or reads something that is not simulated.
    pub fn from_draft(draft: &MappingDraft, name: &str, ieee: Ieee, seed: u64) -> Result<Self, MappedError> {
        if draft.protocol != ProtocolKind::Zigbee {
            return Err(MappedError::NoZigbee);
        }
        let zigbee = &draft.zigbee;
        let usual = zigbee.endpoint.map_or(1, |at| at.value);
        let mut made = Maker::new(name, ieee).0;
        if zigbee.sleepy.is_some_and(|at| at.value) {
            made.logical = Logical::Sleepy(POLLS);
        }
        let text = |texts: &[usp_mapping::draft::At<String>], other: &str| {
            let first = texts.first().map_or(other, |at| at.value.trim_end_matches('*'));
            Value::text(if first.is_empty() { other } else { first })
        };
        let power = if made.logical == Logical::Router { 1 } else { 3 };
        for (attribute, value) in [
            (0x0000, Value::whole(kind::U8, 8)),
            (0x0004, text(&zigbee.manufacturers, "USP Simulators")),
            (0x0005, text(&zigbee.models, draft.profile.as_ref().map_or("device", |at| at.value.as_str()))),
            (0x0007, Value::whole(kind::ENUM8, power)),
        ] {
            made.have(Key::new(usual, 0x0000, attribute), value, false);
        }
        let mut builder = Builder { node: made, usual, known: Vec::new() };
        for capability in &draft.capabilities {
            builder.capability(capability)?;
            for (_, window) in &capability.held {
                builder.capability(window)?;
            }
        }
        let written = draft.capabilities.iter().filter_map(|capability| capability.write.as_ref());
        let steps = draft.commands.iter().flat_map(|command| &command.send);
        for point in written.map(|write| &write.point).chain(steps.map(|step| &step.point)) {
            builder.taken(point);
        }
        draft.events.iter().for_each(|event| builder.event(event));
        Ok(builder.done(seed))
    }

    /// An attribute, and its cluster on its endpoint, unless they are there.
    fn have(&mut self, key: Key, value: Value, writable: bool) {
        let endpoint = self.endpoint(key.endpoint);
        if !endpoint.inputs.contains(&key.cluster) {
            endpoint.inputs.push(key.cluster);
        }
        let attribute = super::Attribute { value, writable, reportable: true, reporting: None };
        self.attributes.entry(key).or_insert(attribute).writable |= writable;
    }

    fn endpoint(&mut self, id: u8) -> &mut Endpoint {
        let place = self.endpoints.iter().position(|one| one.id == id).unwrap_or_else(|| {
            let (inputs, outputs) = (vec![0x0000, 0x0003], Vec::new());
            self.endpoints.push(Endpoint { id, profile: HOME, device: 0x0007, inputs, outputs });
            self.endpoints.len() - 1
        });
        &mut self.endpoints[place]
    }
}

struct Builder {
    node: Node,
    /// The endpoint of what names none.
    usual: u8,
    known: Vec<Known>,
}

/// An attribute that is read.
struct Found {
    key: Key,
    kind: u8,
    writable: bool,
    bits: Option<(u8, u8)>,
}

impl Builder {
    fn capability(&mut self, capability: &CapabilityDraft) -> Result<(), MappedError> {
        let id = &capability.id.value;
        let class = capability.class.map_or("", |at| at.value.name());
        let nature = Nature::of_class(class).unwrap_or(Nature::Gauge);
        if !capability.values.is_empty() {
            for (name, read) in &capability.values {
                self.read(&format!("{id}.{}", name.value), capability, Nature::Gauge, &read.point, false)?;
            }
            return Ok(());
        }
        let Some(read) = &capability.read else { return Ok(()) };
        let writes = capability.write.as_ref();
        // An attribute that is written by name is one that can be written.
        let by_attribute = writes.is_some_and(|write| {
            place(&write.point).is_none_or(|place| place.attribute.is_some() || place.commands.is_empty())
        });
        self.read(id, capability, nature, &read.point, by_attribute)
    }

    fn read(
        &mut self,
        id: &str,
        capability: &CapabilityDraft,
        nature: Nature,
        point: &PointDraft,
        written: bool,
    ) -> Result<(), MappedError> {
        let Some(place) = place(point) else { return Ok(()) };
        if place.attribute.is_none() {
            self.heard(id, place);
            return Ok(());
        }
        // What is in the middle of strings and structures has no value of its own here.
        if place.tag.is_some() || place.element.is_some() {
            return Ok(());
        }
        let found =
            self.found(place).map_err(|what| MappedError::Unknown { capability: id.to_owned(), what })?;
        let controls = matches!(nature, Nature::Switch | Nature::Level | Nature::Choice);
        let by_command = matches!(found.key.cluster, 0x0006 | 0x0008 | 0x0101 | 0x0102 | 0x0300);
        let first = match found.kind {
            0x41..=0x44 => Value { kind: found.kind, raw: Raw::Bytes(b"simulated".to_vec()) },
            kind => Value::of_number(kind, 0.0),
        };
        let writable = found.writable || controls && written && !by_command;
        self.node.have(found.key, first, writable);
        // What is never asked for is told.
        if place.answers.is_some_and(|at| !at.value)
            && let Some(attribute) = self.node.attributes.get_mut(&found.key)
        {
            attribute.reporting = Some(Reporting::unasked(attribute.value.clone()));
        }
        if found.key.cluster == 0x0500 {
            self.zone(found.key.endpoint);
        }
        let known = Known {
            capability: id.to_owned(),
            nature,
            kind: capability.kind.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
            unit: capability.unit.as_ref().map(|at| at.value.clone()),
            range: range(capability),
            states: states(point.map.as_ref()),
            read: None,
            write: None,
        };
        let link = if controls { Link::Drives } else { Link::Shows };
        let written = capability.write.as_ref().and_then(|write| write.point.map.as_ref());
        let coding = coding(nature, point, written);
        self.node.points.push(Point { name: id.to_owned(), key: found.key, bits: found.bits, coding, link });
        self.known.push(known);
        Ok(())
    }

    /// What a zone has beside its status.
    fn zone(&mut self, endpoint: u8) {
        let of = |attribute| Key::new(endpoint, 0x0500, attribute);
        self.node.have(of(0x0000), Value::whole(kind::ENUM8, 0), false);
        self.node.have(of(0x0001), Value::whole(kind::ENUM16, 0x0015), false);
        self.node.have(of(0x0010), Value::whole(kind::IEEE, 0), true);
        self.node.have(of(0x0011), Value::whole(kind::U8, 0xff), false);
    }

    fn found(&self, place: &ZigbeePlaceDraft) -> Result<Found, String> {
        let cluster = self.cluster(place)?;
        let wanted = place.attribute.as_ref().map(|at| &at.value);
        let named = match wanted {
            Some(ZigbeeName::Name(name)) => names::attribute(cluster, |other, _| other == name),
            Some(ZigbeeName::Number(number)) => names::attribute(cluster, |_, id| id == *number),
            None => None,
        };
        let id = match (wanted, named) {
            (_, Some(named)) => named.id,
            (Some(ZigbeeName::Number(number)), None) => *number,
            (Some(ZigbeeName::Name(name)), None) => return Err(format!("attribute {name}")),
            (None, None) => return Err("a place without an attribute".to_owned()),
        };
        let given = place.kind.map(|at| kind_of(at.value));
        let kind = given.flatten().or(named.map(|named| named.kind)).ok_or("an attribute of this type")?;
        let manufacturer = place.manufacturer.map_or(0, |at| at.value);
        let key = Key { manufacturer, ..Key::new(self.endpoint(place), cluster, id) };
        let bits = place.bits.map(|at| at.value);
        Ok(Found { key, kind, writable: named.is_some_and(|named| named.writable), bits })
    }

    fn cluster(&self, place: &ZigbeePlaceDraft) -> Result<u16, String> {
        match place.cluster.as_ref().map(|at| &at.value) {
            Some(ZigbeeName::Number(number)) => Ok(*number),
            Some(ZigbeeName::Name(name)) => names::cluster(name).ok_or_else(|| format!("cluster {name}")),
            None => Err("a place without a cluster".to_owned()),
        }
    }

    fn endpoint(&self, place: &ZigbeePlaceDraft) -> u8 {
        place.endpoint.map_or(self.usual, |at| at.value)
    }

    fn event(&mut self, event: &EventDraft) {
        let Some(place) = event.read.as_ref().and_then(|read| place(&read.point)) else { return };
        if place.attribute.is_none() {
            self.heard(&event.id.value, place);
        }
    }

    /// Commands that are sent to it: it has their cluster, and takes them. One that is left to the table of what sets an attribute is
    /// known to the cluster itself.
    fn taken(&mut self, point: &PointDraft) {
        let Some(place) = place(point) else { return };
        let Ok(cluster) = self.cluster(place) else { return };
        let endpoint = self.endpoint(place);
        let one = self.node.endpoint(endpoint);
        if !one.inputs.contains(&cluster) {
            one.inputs.push(cluster);
        }
        for command in &place.commands {
            let number = match &command.value {
                ZigbeeName::Number(number) => u8::try_from(*number).ok(),
                ZigbeeName::Name(name) => names::command(cluster, name),
            };
            self.node.takes.extend(number.map(|number| (endpoint, cluster, number)));
        }
    }

    /// What is heard as commands can be done at the device: one action for each.
    fn heard(&mut self, id: &str, place: &ZigbeePlaceDraft) {
        let Ok(cluster) = self.cluster(place) else { return };
        let endpoint = self.endpoint(place);
        for command in &place.commands {
            let (number, name) = match &command.value {
                ZigbeeName::Number(number) => (Some(*number as u8), format!("{number:#04x}")),
                ZigbeeName::Name(name) => (names::command(cluster, name), name.clone()),
            };
            let Some(number) = number else { continue };
            // Enough for the fields of what buttons send.
            let payload = if place.field.is_some() { vec![0; 8] } else { Vec::new() };
            let name = if place.commands.len() == 1 { id.to_owned() } else { format!("{id}.{name}") };
            let one = self.node.endpoint(endpoint);
            if !one.outputs.contains(&cluster) {
                one.outputs.push(cluster);
            }
            self.node.actions.push(Action { name, endpoint, cluster, command: number, payload });
        }
    }

    fn done(mut self, seed: u64) -> Node {
        self.node.world = quantities::world_for(&self.known, seed);
        let points = self.node.points.clone();
        for point in points {
            let quantity = self.node.world.get(&point.name);
            if let Some(attribute) = self.node.attributes.get_mut(&point.key)
                && let Some(value) = quantity.and_then(|quantity| point.shown(quantity, &attribute.value))
            {
                attribute.value = value;
            }
        }
        self.node
    }
}

fn place(point: &PointDraft) -> Option<&ZigbeePlaceDraft> {
    match &point.message.as_deref()?.place {
        MessagePlace::Zigbee(place) => Some(place),
        _ => None,
    }
}

fn range(capability: &CapabilityDraft) -> Option<(f64, f64)> {
    let bounds = capability.min.zip(capability.max).map(|(min, max)| (min.value, max.value));
    let (low, high) = bounds.or(capability.valid.map(|at| at.value))?;
    low.to_f64().zip(high.to_f64())
}

fn states(map: Option<&MapDraft>) -> Vec<String> {
    let mut names = Vec::new();
    for (_, target) in map.iter().flat_map(|map| &map.entries) {
        if let MapTarget::Text(name) = &target.value
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

/// `written`: the map of what is written, where it has one of its own.
fn coding(nature: Nature, point: &PointDraft, written: Option<&MapDraft>) -> Coding {
    let entries: Vec<(i128, &MapTarget)> = point
        .map
        .iter()
        .flat_map(|map| &map.entries)
        .map(|(raw, target)| (raw.value, &target.value))
        .collect();
    match nature {
        Nature::Text => Coding::Text,
        Nature::Switch | Nature::Detector => {
            let wanted = written.map_or(&[][..], |map| &map.entries);
            let of = |on: bool| {
                let own = wanted.iter().map(|(raw, target)| (raw.value, &target.value));
                let all = own.chain(entries.iter().copied());
                all.into_iter().find(|(_, target)| **target == MapTarget::Bool(on)).map(|(raw, _)| raw)
            };
            let inverted = point.invert.is_some_and(|at| at.value);
            let (off, on) = if inverted { (1, 0) } else { (0, 1) };
            let mapped = entries.iter().filter(|(_, target)| **target == MapTarget::Bool(true));
            let all = (!entries.is_empty()).then(|| mapped.map(|(raw, _)| *raw).collect());
            Coding::Flag { off: of(false).unwrap_or(off), on: of(true).unwrap_or(on), all }
        }
        Nature::Choice | Nature::Indicator => {
            let mut all: Vec<(i128, String)> = Vec::new();
            for (raw, target) in entries {
                if let MapTarget::Text(name) = target
                    && !all.iter().any(|(_, other)| other == name)
                {
                    all.push((raw, name.clone()));
                }
            }
            Coding::States(all)
        }
        Nature::Level | Nature::Gauge if point.curve.is_some() => Coding::Lux,
        Nature::Level | Nature::Gauge => {
            let number = |at: Option<usp_mapping::draft::At<rust_decimal::Decimal>>, usual: f64| {
                at.and_then(|at| at.value.to_f64()).unwrap_or(usual)
            };
            Coding::Number { scale: number(point.scale, 1.0), offset: number(point.offset, 0.0) }
        }
    }
}

/// The number of a type (07-5123, 2.6.2); `None`: it is not simulated.
fn kind_of(kind: ZclType) -> Option<u8> {
    Some(match kind {
        ZclType::Data(bytes) => 0x07 + bytes,
        ZclType::Bool => 0x10,
        ZclType::Bitmap(bytes) => 0x17 + bytes,
        ZclType::Uint(bytes) => 0x1f + bytes,
        ZclType::Int(bytes) => 0x27 + bytes,
        ZclType::Enum(bytes) => 0x2f + bytes,
        ZclType::Single => 0x39,
        ZclType::Double => 0x3a,
        ZclType::Octets => 0x41,
        ZclType::Text => 0x42,
        ZclType::LongOctets => 0x43,
        ZclType::LongText => 0x44,
        ZclType::Utc => 0xe2,
        ZclType::ClusterId => 0xe8,
        ZclType::AttributeId => 0xe9,
        ZclType::Eui64 => 0xf0,
        _ => return None,
    })
}
