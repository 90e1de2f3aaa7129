//! What every family is turned into before it is written as a mapping.

use rust_decimal::Decimal;

use super::json::Json;
use crate::mapping::Class;

/// One device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    /// Whose words those are that TR-181 does not have: `X_<VENDOR>_…`, and the first half of the profile.
    pub(super) vendor: &'static str,
    /// The other half of the profile, in any words.
    pub(super) model: String,
    /// `ProxiedDevice.{i}.Type`.
    pub(super) kind: &'static str,
    pub(super) description: String,
    /// All of them must say so for the device to be there.
    pub(super) availability: Vec<Availability>,
    /// What is the device's own.
    pub(super) own: Part,
    /// Its parts.
    pub(super) nodes: Vec<Part>,
}

/// The device itself, or one of its nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) name: String,
    /// `Node.{i}.Type`.
    pub(super) kind: &'static str,
    pub(super) description: String,
    pub(super) capabilities: Vec<Capability>,
    pub(super) commands: Vec<Command>,
    pub(super) events: Vec<Event>,
}

/// Who says whether the device is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Availability {
    pub(super) topic: String,
    /// JSON Pointer; `None`: the whole text.
    pub(super) json: Option<String>,
    pub(super) online: String,
    pub(super) offline: String,
}

/// One capability.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Capability {
    /// What it is called, for its key and its Name.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) class: Class,
    pub(super) kind: String,
    pub(super) unit: Option<String>,
    pub(super) read: Option<Point>,
    /// Of a MultiLevelSensor.
    pub(super) values: Vec<(String, Point)>,
    pub(super) write: Option<Write>,
    pub(super) range: Option<(Decimal, Decimal)>,
    pub(super) step: Option<Decimal>,
    /// A number that only grows.
    pub(super) monotonic: bool,
    /// What the whole is worth: less is shown later.
    pub(super) rank: u8,
}

/// Where a value is and what it means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) topic: String,
    /// JSON Pointer; `None`: the whole text.
    pub(super) json: Option<String>,
    pub(super) map: Vec<(Json, String)>,
    pub(super) scale: Option<Decimal>,
    pub(super) offset: Option<Decimal>,
    /// How it is asked for: topic, and what is said there.
    pub(super) get: Option<(String, Body)>,
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) topic: String,
    pub(super) body: Body,
    /// What is sent for a state, where that is not what is read.
    pub(super) map: Vec<(Json, String)>,
    /// Nothing shows it.
    pub(super) unseen: bool,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// The value alone, as text.
    Value,
    /// One member of a JSON object.
    Member(String),
    /// A tree with `$value` in it.
    Tree(Json),
    /// Always this text.
    Text(String),
}

/// Something that is no Value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) description: String,
    /// One at most: it is the value that is sent.
    pub(super) args: Vec<(String, Arg)>,
    pub(super) topic: String,
    pub(super) body: Body,
}

/// An input argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arg {
    Int(Decimal, Decimal),
    Number(Decimal, Decimal),
    Enum(Vec<String>),
    Text,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) read: Point,
    /// What it may say.
    pub(super) states: Vec<String>,
}

impl Point {
    pub(super) fn json(topic: &str, pointer: &str) -> Self {
        Self { topic: topic.to_owned(), json: Some(pointer.to_owned()), ..Self::default() }
    }

    pub(super) fn text(topic: &str) -> Self {
        Self { topic: topic.to_owned(), ..Self::default() }
    }
}

impl Write {
    pub(super) fn new(topic: &str, body: Body) -> Self {
        Self { topic: topic.to_owned(), body, map: Vec::new(), unseen: false }
    }
}

impl Capability {
    pub(super) fn new(name: &str, class: Class, kind: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            class,
            kind: kind.to_owned(),
            unit: None,
            read: None,
            values: Vec::new(),
            write: None,
            range: None,
            step: None,
            monotonic: false,
            rank: 0,
        }
    }
}

impl Model {
    /// The device's own part, or the node of that name, made if it is not there.
    pub(super) fn part(&mut self, node: Option<&str>, kind: &'static str) -> &mut Part {
        let Some(name) = node else { return &mut self.own };
        if let Some(at) = self.nodes.iter().position(|part| part.name == name) {
            return &mut self.nodes[at];
        }
        let at = self.nodes.len();
        self.nodes.push(Part { name: name.to_owned(), kind, ..Part::default() });
        &mut self.nodes[at]
    }

    pub(super) fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        std::iter::once(&mut self.own).chain(&mut self.nodes)
    }

    pub(super) fn has(&self, wanted: impl Fn(&Capability) -> bool) -> bool {
        std::iter::once(&self.own).chain(&self.nodes).flat_map(|part| &part.capabilities).any(wanted)
    }
}

/// One member of a JSON Pointer (RFC 6901).
pub(super) fn pointed(pointer: &str, member: &str) -> String {
    format!("{pointer}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// A map with members in this order.
pub(super) fn tree<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Map(members.map(|(name, value)| (name.to_owned(), value)).into())
}

pub(super) fn word(text: &str) -> Json {
    Json::Text(text.to_owned())
}
