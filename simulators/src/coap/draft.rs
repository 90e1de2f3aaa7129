//! From a mapping draft to the device that it describes. Only the parsed draft is used; how its words become bodies is
//! decided here and in [`super::format`] again.

use rust_decimal::prelude::ToPrimitive;
use usp_mapping::draft::{
    AsDraft, BodyDraft, CapabilityDraft, FormDraft, MapDraft, MappingDraft, MessageDraft, MessagePlace,
    PointDraft,
};
use usp_mapping::payload::{BodyFormat, Tree};
use usp_mapping::transform::MapTarget;

use crate::modbus::draft::DraftError;
use crate::modbus::point::{Nature, Point};
use crate::modbus::quantities;

use super::device::{CoapDevice, Coding, Field, Resource};
use super::format::{Form, Leaf, Place};

impl CoapDevice {
    /// Builds the device that a mapping describes.
    ///
    /// Errors: the draft lacks something that the mapping's own check reports as well, or has something that is not simulated.
    pub fn from_draft(draft: &MappingDraft, seed: u64) -> Result<Self, DraftError> {
        let mut built = Built::default();
        for capability in &draft.capabilities {
            built.add(capability)?;
        }
        if built.points.is_empty() {
            return Err(DraftError::Empty);
        }
        let world = quantities::world_for(&built.points, seed);
        let texts = built.points.iter().filter(|point| point.nature == Nature::Text);
        let texts = texts.map(|point| (point.capability.clone(), "simulated".to_owned())).collect();
        Ok(Self::of(world, texts, built.resources))
    }
}

#[derive(Default)]
struct Built {
    points: Vec<Point>,
    resources: Vec<Resource>,
}

impl Built {
    fn add(&mut self, capability: &CapabilityDraft) -> Result<(), DraftError> {
        if !capability.values.is_empty() {
            for (name, read) in &capability.values {
                let id = format!("{}.{}", capability.id.value, name.value);
                let field = field(&id, capability, Nature::Gauge, &read.point, None)?;
                self.place(&read.point, field, false);
                self.points.push(point(&id, capability, Nature::Gauge, Vec::new()));
            }
            return Ok(());
        }
        let id = &capability.id.value;
        let missing = |missing| DraftError::Incomplete { capability: id.clone(), missing };
        let class = capability.class.ok_or_else(|| missing("class"))?.value.name();
        let nature = Nature::of_class(class)
            .ok_or_else(|| DraftError::Class { capability: id.clone(), class: class.to_owned() })?;
        let read = capability.read.as_ref().map(|read| &read.point);
        let write = capability.write.as_ref().map(|write| &write.point);
        let states = states([read, write].into_iter().flatten());
        if let Some(read) = read {
            self.place(read, field(id, capability, nature, read, None)?, false);
        }
        if let Some(write) = write {
            // What is left out is taken from `read`.
            let place = Some(write)
                .filter(|point| address(point).is_some())
                .or(read)
                .ok_or_else(|| missing("write"))?;
            let meaning = Some(write).filter(|point| point.has_meaning()).or(read).unwrap_or(write);
            let own =
                write.message.as_deref().filter(|own| own.body.form.is_some() || own.body.send.is_some());
            let body = own.or(read.filter(|_| address(write).is_none()).and_then(|it| it.message.as_deref()));
            let body = body.map_or(BodyDraft::default(), |message| message.body.clone());
            let field = field(id, capability, nature, meaning, Some(&body))?;
            self.place_body(place, field, &body, true);
        }
        self.points.push(point(id, capability, nature, states));
        Ok(())
    }

    fn place(&mut self, at: &PointDraft, field: Field, writes: bool) {
        let body = at.message.as_deref().map_or(BodyDraft::default(), |message| message.body.clone());
        self.place_body(at, field, &body, writes);
    }

    fn place_body(&mut self, at: &PointDraft, field: Field, body: &BodyDraft, writes: bool) {
        let Some(path) = address(at) else { return };
        let observable = at.message.as_deref().is_some_and(observes);
        let form = accepted(at).unwrap_or(form(body));
        let known = self.resources.iter().position(|resource| resource.path == path);
        let at = known.unwrap_or_else(|| {
            self.resources.push(Resource {
                path,
                types: String::new(),
                forms: vec![form],
                fields: Vec::new(),
                takes: Vec::new(),
                observable: false,
                writable: false,
            });
            self.resources.len() - 1
        });
        let Some(resource) = self.resources.get_mut(at) else { return };
        if !resource.forms.contains(&form) {
            resource.forms.push(form);
        }
        resource.observable |= observable;
        resource.writable |= writes;
        if writes { resource.takes.push(field) } else { resource.fields.push(field) }
    }
}

/// Path and query, without the first `/`.
fn address(point: &PointDraft) -> Option<String> {
    let address = point.message.as_deref()?.address()?;
    Some(address.value.trim_start_matches('/').to_owned())
}

fn observes(message: &MessageDraft) -> bool {
    matches!(&message.place, MessagePlace::Coap(place) if place.observe.is_some_and(|at| at.value))
}

/// The format that is asked for.
fn accepted(point: &PointDraft) -> Option<Form> {
    let MessagePlace::Coap(place) = &point.message.as_deref()?.place else { return None };
    Some(match place.accept?.value {
        BodyFormat::Text => Form::Text,
        BodyFormat::Json => Form::Json,
        BodyFormat::Cbor => Form::Cbor,
        BodyFormat::SenmlJson => Form::SenmlJson,
        BodyFormat::SenmlCbor => Form::SenmlCbor,
        BodyFormat::Tlv => Form::Tlv,
        BodyFormat::Bytes => Form::Bytes,
    })
}

fn form(body: &BodyDraft) -> Form {
    match (body.form.as_ref().map(|at| &at.value), &body.send) {
        (Some(FormDraft::Json(_)), _) => Form::Json,
        (Some(FormDraft::Cbor(_)), _) => Form::Cbor,
        (Some(FormDraft::Senml(_)), _) => Form::SenmlJson,
        (Some(FormDraft::Tlv(_)), _) => Form::Tlv,
        (Some(FormDraft::Bytes(_)), _) => Form::Bytes,
        (None, Some(send)) => match send.value {
            Tree::Map(_) | Tree::List(_) => Form::Json,
            _ => Form::Text,
        },
        (None, None) => Form::Text,
    }
}

fn place(body: &BodyDraft) -> Place {
    let mut place = Place::default();
    match (body.form.as_ref().map(|at| &at.value), &body.send) {
        (Some(FormDraft::Json(pointer) | FormDraft::Cbor(pointer)), _) => place.at = pointer.0.clone(),
        (Some(FormDraft::Senml(name)), _) => place.senml.clone_from(name),
        (Some(FormDraft::Tlv(ids)), _) => place.tlv.clone_from(ids),
        (None, Some(send)) => place.at = way(&send.value).unwrap_or_default(),
        _ => {}
    }
    place
}

/// The way to the value through a body that is written out.
fn way(tree: &Tree) -> Option<Vec<String>> {
    let step = |part: String, inner: &Tree| way(inner).map(|rest| [vec![part], rest].concat());
    match tree {
        Tree::Value => Some(Vec::new()),
        Tree::List(items) => items.iter().enumerate().find_map(|(place, item)| step(place.to_string(), item)),
        Tree::Map(entries) => entries.iter().find_map(|(key, item)| step(key.clone(), item)),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => None,
    }
}

fn field(
    id: &str,
    capability: &CapabilityDraft,
    nature: Nature,
    meaning: &PointDraft,
    body: Option<&BodyDraft>,
) -> Result<Field, DraftError> {
    let none = BodyDraft::default();
    let body = body.or(meaning.message.as_deref().map(|message| &message.body)).unwrap_or(&none);
    if form(body) == Form::Bytes {
        return Err(DraftError::Incomplete { capability: id.to_owned(), missing: "body other than `bytes`" });
    }
    Ok(Field {
        quantity: id.to_owned(),
        coding: coding(nature, meaning, body),
        place: place(body),
        range: range(capability),
    })
}

fn coding(nature: Nature, meaning: &PointDraft, body: &BodyDraft) -> Coding {
    if nature == Nature::Text {
        return Coding::Text;
    }
    if let Some(map) = &meaning.map {
        return Coding::States(listed(map, nature, body));
    }
    if nature.is_binary() {
        return Coding::Bool(meaning.invert.is_some_and(|at| at.value));
    }
    let number = |at: Option<usp_mapping::draft::At<rust_decimal::Decimal>>, usual: f64| {
        at.and_then(|at| at.value.to_f64()).unwrap_or(usual)
    };
    let (scale, offset) = (number(meaning.scale, 1.0), number(meaning.offset, 0.0));
    let whole = matches!(body.kind.map(|at| at.value), Some(AsDraft::Int | AsDraft::Uint));
    Coding::Linear { scale, offset, digits: if whole { 0 } else { 3 } }
}

/// The states of a map in the order of the world's numbers: off and on, or the names in the order of the file.
fn listed(map: &MapDraft, nature: Nature, body: &BodyDraft) -> Vec<(Leaf, String)> {
    let numbers = map.entries.iter().map(|(raw, target)| {
        let raw = i64::try_from(raw.value).unwrap_or_default();
        let leaf = if form(body) == Form::Text { Leaf::Text(raw.to_string()) } else { Leaf::Int(raw) };
        (leaf, &target.value)
    });
    let texts = map.texts.iter().map(|(raw, target)| (Leaf::Text(raw.value.clone()), &target.value));
    let all: Vec<(Leaf, &MapTarget)> = numbers.chain(texts).collect();
    if nature.is_binary() {
        let of = |on: bool| {
            let found = all.iter().find(|(_, target)| **target == MapTarget::Bool(on));
            found.map(|(leaf, _)| (leaf.clone(), on.to_string()))
        };
        return [of(false), of(true)].into_iter().flatten().collect();
    }
    all.into_iter()
        .filter_map(|(leaf, target)| match target {
            MapTarget::Text(name) => Some((leaf, name.clone())),
            MapTarget::Bool(_) => None,
        })
        .collect()
}

fn states<'d>(points: impl Iterator<Item = &'d PointDraft>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for map in points.filter_map(|point| point.map.as_ref()) {
        let targets = map.entries.iter().map(|(_, target)| &target.value);
        for target in targets.chain(map.texts.iter().map(|(_, target)| &target.value)) {
            if let MapTarget::Text(name) = target
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
    }
    names
}

fn range(capability: &CapabilityDraft) -> Option<(f64, f64)> {
    let bounds = capability.min.zip(capability.max).map(|(min, max)| (min.value, max.value));
    let (low, high) = bounds.or(capability.valid.map(|at| at.value))?;
    low.to_f64().zip(high.to_f64())
}

fn point(id: &str, capability: &CapabilityDraft, nature: Nature, states: Vec<String>) -> Point {
    Point {
        capability: id.to_owned(),
        nature,
        kind: capability.kind.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        unit: capability.unit.as_ref().map(|at| at.value.clone()),
        range: range(capability),
        states,
        read: None,
        write: None,
    }
}
