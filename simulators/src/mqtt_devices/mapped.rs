//! A thing made from its own mapping: it publishes what the mapping reads, and does what it writes.
//!
//! Only the parsed draft is used; how its words become bodies is decided here again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use usp_mapping::draft::{
    BodyDraft, CapabilityDraft, FormDraft, MapDraft, MappingDraft, MessagePlace, MqttSendDraft, PointDraft,
    ReadDraft,
};
use usp_mapping::mapping::{Class, ProtocolKind};
use usp_mapping::payload::Tree;
use usp_mapping::transform::MapTarget;

use super::{Said, Thing, ThingError};

/// Why no thing can be made from a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappedError {
    /// Its devices do not speak MQTT.
    #[error("the mapping is not for devices on MQTT")]
    Protocol,
    /// A capability's value is in a form that is not simulated.
    #[error("capability {0} cannot be simulated: its value is in a body that is neither text nor JSON")]
    Form(String),
}

/// A thing made from its mapping.
#[derive(Clone, Debug)]
pub struct MappedThing {
    topic: String,
    caps: Vec<Cap>,
    availability: Vec<Presence>,
    get: Option<String>,
}

/// Who says whether it is there.
#[derive(Clone, Debug)]
struct Presence {
    topic: String,
    pointer: Option<Vec<String>>,
    online: String,
    offline: String,
}

/// A capability with the values that it has now, as USP writes them.
#[derive(Clone, Debug)]
struct Cap {
    id: String,
    class: Class,
    reads: Vec<Place>,
    write: Option<Place>,
    /// Where it is asked for.
    get: Option<String>,
    values: Vec<String>,
    range: Option<(Decimal, Decimal)>,
}

/// A place in messages and what a raw value means there.
#[derive(Clone, Debug)]
struct Place {
    topic: String,
    form: Form,
    map: Option<MapDraft>,
    scale: Decimal,
    offset: Decimal,
    invert: bool,
}

#[derive(Clone, Debug)]
enum Form {
    Text,
    Pointer(Vec<String>),
    Tree(Tree),
}

impl MappedThing {
    /// A device of the mapping at this topic. Its first values are those of the mapping's own tests.
    ///
    /// Errors: the mapping is for another protocol, or has bodies that are neither text nor JSON.
    pub fn from_draft(draft: &MappingDraft, topic: &str) -> Result<Self, MappedError> {
        if draft.protocol != ProtocolKind::Mqtt {
            return Err(MappedError::Protocol);
        }
        let caps = draft.capabilities.iter().map(|cap| Cap::of(draft, cap, topic));
        let presence = draft.mqtt.availability.iter().filter_map(|said| {
            let word = |words: &[usp_mapping::draft::At<String>], usual: &str| {
                words.first().map_or_else(|| usual.to_owned(), |word| word.value.clone())
            };
            let pointer = match form(&said.body)? {
                Form::Pointer(pointer) => Some(pointer),
                _ => None,
            };
            let topic = on_device(&said.topic.as_ref()?.value, topic);
            Some(Presence {
                topic,
                pointer,
                online: word(&said.online, "online"),
                offline: word(&said.offline, "offline"),
            })
        });
        Ok(Self {
            topic: topic.to_owned(),
            caps: caps.collect::<Result<_, _>>()?,
            availability: presence.collect(),
            get: draft.mqtt.get.as_ref().and_then(|get| asked_at(get, topic)),
        })
    }

    /// What is published on a topic now.
    fn message(&self, topic: &str) -> Option<Said> {
        let mut document = Value::Null;
        for cap in &self.caps {
            for (place, value) in cap.reads.iter().zip(&cap.values).filter(|(place, _)| place.topic == topic)
            {
                let raw = place.raw(cap.class, value)?;
                match &place.form {
                    Form::Text | Form::Tree(_) => return Some(Said::new(topic, plain(&raw))),
                    Form::Pointer(pointer) => put(&mut document, pointer, raw),
                }
            }
        }
        (!document.is_null()).then(|| Said::json(topic, &document))
    }

    fn topics(&self) -> BTreeSet<String> {
        self.caps.iter().flat_map(|cap| &cap.reads).map(|place| place.topic.clone()).collect()
    }

    fn messages(&self, topics: &BTreeSet<String>) -> Vec<Said> {
        topics.iter().filter_map(|topic| self.message(topic)).collect()
    }

    fn said_by(&self, cap: usize) -> Vec<Said> {
        let reads = self.caps.get(cap).map_or(&[][..], |cap| &cap.reads);
        self.messages(&reads.iter().map(|place| place.topic.clone()).collect())
    }

    /// Capabilities that are written by a message, and their new values.
    fn written(&self, topic: &str, body: &[u8]) -> Vec<(usize, String)> {
        let one = |(number, cap): (usize, &Cap)| {
            let place = cap.write.as_ref().filter(|place| place.topic == topic)?;
            let value = place.value(cap.class, &place.form.taken(body)?)?;
            cap.admits(&value).then_some((number, value))
        };
        self.caps.iter().enumerate().filter_map(one).collect()
    }

    fn presence(&self, there: bool) -> Option<Said> {
        // A thing says of itself whether it is there; its bridge has a topic of its own.
        let own = self.availability.iter().find(|said| said.topic.contains(&self.topic));
        let said = own.or(self.availability.first())?;
        let word = if there { &said.online } else { &said.offline };
        Some(match &said.pointer {
            None => Said::new(said.topic.clone(), word.clone()).kept(),
            Some(pointer) => {
                let mut document = Value::Null;
                put(&mut document, pointer, json!(word));
                Said::json(said.topic.clone(), &document).kept()
            }
        })
    }
}

impl Cap {
    fn of(draft: &MappingDraft, cap: &CapabilityDraft, topic: &str) -> Result<Self, MappedError> {
        let id = cap.id.value.clone();
        let wrong = || MappedError::Form(id.clone());
        let class = cap.class.as_ref().map_or(Class::BlobSensor, |class| class.value);
        let drafts: Vec<&ReadDraft> =
            cap.read.iter().chain(cap.values.iter().map(|(_, read)| read)).collect();
        let place = |point: &PointDraft| Place::of(point, topic).ok_or_else(wrong);
        let reads = drafts.iter().map(|read| place(&read.point)).collect::<Result<Vec<_>, _>>()?;
        let mut write = cap.write.as_ref().map(|write| place(&write.point)).transpose()?;
        if let (Some(to), Some(from), Some(draft)) = (&mut write, reads.first(), &cap.write)
            && !draft.point.has_meaning()
        {
            *to = Place { topic: to.topic.clone(), form: to.form.clone(), ..from.clone() };
        }
        let get = drafts.iter().find_map(|read| match &read.point.message.as_ref()?.place {
            MessagePlace::Mqtt(place) => asked_at(place.get.as_ref()?, topic),
            MessagePlace::Coap(_)
            | MessagePlace::Line(_)
            | MessagePlace::Ble(_)
            | MessagePlace::Zigbee(_) => None,
        });
        let range = cap.min.as_ref().zip(cap.max.as_ref()).map(|(low, high)| (low.value, high.value));
        let first = first_value(draft, cap, class, reads.first());
        let values = match class {
            Class::MultiLevelSensor => first.split(',').map(str::to_owned).collect(),
            _ => vec![first],
        };
        Ok(Self { id, class, reads, write, get, values, range })
    }

    fn admits(&self, value: &str) -> bool {
        let number = value.parse::<Decimal>();
        self.range.is_none_or(|(low, high)| number.is_ok_and(|number| (low..=high).contains(&number)))
    }
}

/// What the tests of the mapping expect, else something that may be.
fn first_value(draft: &MappingDraft, cap: &CapabilityDraft, class: Class, place: Option<&Place>) -> String {
    let expected = draft.tests.iter().flat_map(|test| &test.expect).find(|(id, _)| id.value == cap.id.value);
    if let Some((_, value)) = expected.filter(|_| class != Class::BlobSensor) {
        return value.value.clone();
    }
    let state = place.and_then(|place| place.map.as_ref()).and_then(|map| {
        let named = map.entries.iter().map(|(_, to)| to).chain(map.texts.iter().map(|(_, to)| to));
        named.map(|to| &to.value).find_map(|to| match to {
            MapTarget::Text(name) => Some(name.clone()),
            MapTarget::Bool(_) => None,
        })
    });
    match class {
        Class::BinaryControl | Class::BinarySensor => "false".to_owned(),
        Class::EnumControl | Class::EnumSensor => state.unwrap_or_default(),
        Class::MultiLevelSensor => vec!["0"; cap.values.len()].join(","),
        Class::BlobSensor => "simulated".to_owned(),
        _ => cap.min.as_ref().map_or_else(|| "0".to_owned(), |least| least.value.to_string()),
    }
}

impl Place {
    fn of(point: &PointDraft, device: &str) -> Option<Self> {
        let message = point.message.as_ref()?;
        let number = |given: &Option<usp_mapping::draft::At<Decimal>>, usual| {
            given.as_ref().map_or(usual, |at| at.value)
        };
        Some(Self {
            topic: on_device(&message.address()?.value, device),
            form: form(&message.body)?,
            map: point.map.clone(),
            scale: number(&point.scale, Decimal::ONE),
            offset: number(&point.offset, Decimal::ZERO),
            invert: point.invert.as_ref().is_some_and(|at| at.value),
        })
    }

    /// What stands in a body for a value.
    fn raw(&self, class: Class, value: &str) -> Option<Value> {
        if let Some(map) = &self.map {
            let is = |target: &MapTarget| match target {
                MapTarget::Text(name) => name == value,
                MapTarget::Bool(state) => (value == "true") == *state,
            };
            let number = map.entries.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| raw.value);
            let text =
                map.texts.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| json!(raw.value));
            return text.or_else(|| number.and_then(|raw| i64::try_from(raw).ok()).map(|raw| json!(raw)));
        }
        match class {
            Class::BinaryControl | Class::BinarySensor => Some(json!((value == "true") != self.invert)),
            Class::EnumControl | Class::EnumSensor | Class::BlobSensor => Some(json!(value)),
            _ => {
                let raw = value.parse::<Decimal>().ok()?.checked_sub(self.offset)?.checked_div(self.scale)?;
                serde_json::from_str(&raw.normalize().to_string()).ok()
            }
        }
    }

    /// The value that stands in a body.
    fn value(&self, class: Class, raw: &Value) -> Option<String> {
        let text = plain(raw);
        if let Some(map) = &self.map {
            let numbers = map.entries.iter().map(|(raw, target)| (raw.value.to_string(), &target.value));
            let texts = map.texts.iter().map(|(raw, target)| (raw.value.clone(), &target.value));
            let (_, target) = texts.chain(numbers).find(|(known, _)| *known == text)?;
            return Some(match target {
                MapTarget::Text(name) => name.clone(),
                MapTarget::Bool(state) => state.to_string(),
            });
        }
        match class {
            Class::BinaryControl | Class::BinarySensor => {
                let state = match text.as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return None,
                };
                Some((state != self.invert).to_string())
            }
            Class::EnumControl | Class::EnumSensor | Class::BlobSensor => Some(text),
            _ => {
                let raw = text.parse::<Decimal>().ok()?;
                Some(raw.checked_mul(self.scale)?.checked_add(self.offset)?.normalize().to_string())
            }
        }
    }
}

impl Form {
    /// The raw value in a body.
    fn taken(&self, body: &[u8]) -> Option<Value> {
        match self {
            Self::Text => Some(Value::String(std::str::from_utf8(body).ok()?.to_owned())),
            Self::Pointer(pointer) => {
                let document: Value = serde_json::from_slice(body).ok()?;
                let member = |value: Value, name: &String| match value {
                    Value::Object(mut members) => members.remove(name),
                    _ => None,
                };
                pointer.iter().try_fold(document, member)
            }
            Self::Tree(tree) => match tree {
                Tree::Text(text) => fitting_text(text, std::str::from_utf8(body).ok()?),
                Tree::Value => Some(Value::String(std::str::from_utf8(body).ok()?.to_owned())),
                tree => fitting(tree, &serde_json::from_slice(body).ok()?).ok()?,
            },
        }
    }
}

/// The value at its place in a document that is otherwise as the tree; `Err`: it is another document.
fn fitting(tree: &Tree, found: &Value) -> Result<Option<Value>, ()> {
    match (tree, found) {
        (Tree::Value, value) => Ok(Some(value.clone())),
        (Tree::Null, Value::Null) => Ok(None),
        (Tree::Bool(wanted), Value::Bool(is)) if wanted == is => Ok(None),
        (Tree::Number(wanted), Value::Number(is)) if is.to_string().parse() == Ok(*wanted) => Ok(None),
        (Tree::Text(wanted), Value::String(is)) if wanted == is => Ok(None),
        (Tree::Text(wanted), Value::String(is)) => fitting_text(wanted, is).map(Some).ok_or(()),
        (Tree::List(wanted), Value::Array(is)) if wanted.len() == is.len() => all(wanted.iter().zip(is)),
        (Tree::Map(wanted), Value::Object(is)) if wanted.len() == is.len() => {
            all(wanted.iter().map(|(name, tree)| (tree, is.get(name).unwrap_or(&Value::Null))))
        }
        _ => Err(()),
    }
}

fn all<'v>(pairs: impl Iterator<Item = (&'v Tree, &'v Value)>) -> Result<Option<Value>, ()> {
    let mut value = None;
    for (tree, found) in pairs {
        value = fitting(tree, found)?.or(value);
    }
    Ok(value)
}

fn fitting_text(wanted: &str, is: &str) -> Option<Value> {
    let (before, after) = wanted.split_once("$value")?;
    Some(Value::String(is.strip_prefix(before)?.strip_suffix(after)?.to_owned()))
}

/// `None`: neither text nor JSON.
fn form(body: &BodyDraft) -> Option<Form> {
    if let Some(send) = &body.send {
        return body.format.is_none().then(|| Form::Tree(send.value.clone()));
    }
    match &body.form {
        None => Some(Form::Text),
        Some(at) => match &at.value {
            FormDraft::Json(pointer) => Some(Form::Pointer(pointer.0.clone())),
            _ => None,
        },
    }
}

fn asked_at(get: &MqttSendDraft, device: &str) -> Option<String> {
    Some(on_device(&get.topic.as_ref()?.value, device))
}

/// A topic of the device; any word for a wildcard.
fn on_device(topic: &str, device: &str) -> String {
    let level = |level| match level {
        "~" => device,
        "+" => "any",
        level => level,
    };
    topic.split('/').map(level).collect::<Vec<_>>().join("/")
}

/// Puts a value where a pointer leads to; what is a number leads into a list.
fn put(document: &mut Value, pointer: &[String], value: Value) {
    let Some((name, rest)) = pointer.split_first() else {
        *document = value;
        return;
    };
    if let (Ok(index), Value::Null | Value::Array(_)) = (name.parse::<usize>(), &*document)
        && index < 256
    {
        if document.is_null() {
            *document = json!([]);
        }
        if let Value::Array(items) = document {
            items.resize(items.len().max(index + 1), Value::Null);
            if let Some(item) = items.get_mut(index) {
                put(item, rest, value);
            }
        }
        return;
    }
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    if let Value::Object(members) = document {
        put(members.entry(name.clone()).or_insert(Value::Null), rest, value);
    }
}

fn plain(value: &Value) -> String {
    super::plain(value)
}

impl Thing for MappedThing {
    fn client_id(&self) -> String {
        format!("mapped-{}", self.topic)
    }

    fn will(&self) -> Option<Said> {
        self.presence(false)
    }

    fn filters(&self) -> Vec<String> {
        let writes = self.caps.iter().filter_map(|cap| cap.write.as_ref()).map(|place| place.topic.clone());
        let gets = self.caps.iter().filter_map(|cap| cap.get.clone()).chain(self.get.clone());
        writes.chain(gets).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn greet(&mut self) -> Vec<Said> {
        let mut said: Vec<Said> = self.presence(true).into_iter().collect();
        said.extend(self.messages(&self.topics()));
        said
    }

    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let mut said = Vec::new();
        for (number, value) in self.written(topic, body) {
            if let Some(cap) = self.caps.get_mut(number).filter(|_| obeys) {
                cap.values = vec![value];
                said.extend(self.said_by(number));
            }
        }
        let asked = |cap: &Cap| cap.get.as_ref().or(self.get.as_ref()).is_some_and(|get| get == topic);
        let asked = self.caps.iter().filter(|cap| asked(cap)).flat_map(|cap| &cap.reads);
        let topics: BTreeSet<String> = asked.map(|place| place.topic.clone()).collect();
        said.extend(self.messages(&topics));
        said
    }

    fn step(&mut self, _: Duration) -> Vec<Said> {
        Vec::new()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError> {
        let Some(number) = self.caps.iter().position(|cap| cap.id == name) else {
            let all: Vec<&str> = self.caps.iter().map(|cap| cap.id.as_str()).collect();
            return Err(ThingError::Unknown(name.to_owned(), all.join(", ")));
        };
        let values: BTreeMap<usize, String> = match self.caps.get(number).map(|cap| cap.class) {
            Some(Class::MultiLevelSensor) => value.split(',').map(str::to_owned).enumerate().collect(),
            _ => BTreeMap::from([(0, value.to_owned())]),
        };
        if let Some(cap) = self.caps.get_mut(number) {
            let bad = |(at, value): (&usize, &String)| {
                cap.reads.get(*at).is_some_and(|place| place.raw(cap.class, value).is_none())
            };
            if values.iter().any(bad) {
                return Err(ThingError::BadValue(value.to_owned(), name.to_owned()));
            }
            cap.values = values.into_values().collect();
        }
        Ok(self.said_by(number))
    }

    fn show(&self) -> Vec<(String, String)> {
        self.caps.iter().map(|cap| (cap.id.clone(), cap.values.join(","))).collect()
    }

    fn reset(&mut self) {}

    fn state_topics(&self) -> Vec<String> {
        self.topics().into_iter().collect()
    }
}
