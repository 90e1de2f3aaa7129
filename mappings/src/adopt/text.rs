//! The text of an adopted device's mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::json::Json;
use super::model::{Arg, Availability, Body, Capability, Command, Event, Model, Part, Point, Write};
use super::{Device, Notes, short};
use crate::compile::compile_file;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::mapping::{Class, Mapping};

/// So often a mapping is written anew without what the checker refuses.
const ROUNDS: usize = 4;
/// Longest Name, with room for a number behind it.
const NAME: usize = 60;
/// Longest Description.
const DESCRIPTION: usize = 256;
/// Most states of one capability (TR-181 has no bound; the list is one value).
const MAX_STATES: usize = 256;

/// A mapping file and what it means.
pub(super) struct Written {
    pub(super) profile: String,
    pub(super) text: String,
    pub(super) mapping: Mapping,
}

/// What stands on the lines from one on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    line: usize,
    /// Part by number: the device itself is 0.
    part: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Capability(usize),
    Command(usize),
    Event(usize),
    /// Where something else begins.
    Else,
}

impl Written {
    /// Writes it; what the checker refuses is left out and noted. `None`: nothing is left.
    pub(super) fn of(device: &Device, notes: &mut Notes) -> Option<Self> {
        let mut model = device.model.clone();
        prepare(&mut model, &device.name, notes);
        let profile = format!("{}.{}", slug(model.vendor), slug(&model.model));
        for _ in 0..ROUNDS {
            model.nodes.retain(|part| !part.capabilities.is_empty() || !part.commands.is_empty());
            if !model.has(|_| true) {
                notes.add(&device.name, "the device", "nothing that it says of itself can be mapped");
                return None;
            }
            let (text, items) = Writer::default().whole(&profile, &model);
            let (mapping, found) = compile_file(&SourceFile::new(&profile, &text));
            match mapping {
                Some(mapping) => return Some(Self { profile, text, mapping }),
                None => drop_refused(&mut model, &items, &found, &device.name, notes)?,
            }
        }
        notes.add(&device.name, "the device", "what it says of itself cannot be written as a mapping");
        None
    }
}

/// Names, keys and texts as the language and TR-181 want them.
fn prepare(model: &mut Model, device: &str, notes: &mut Notes) {
    for part in model.parts() {
        let mut names = BTreeSet::new();
        let mut commands = BTreeSet::new();
        for capability in &mut part.capabilities {
            let plain = short(&capability.name.replace("${", "$ {").replace('_', " "), NAME);
            let mut chars = plain.chars();
            let name: String =
                chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default();
            let name = if name.is_empty() { "Value" } else { &name };
            capability.name = unique(&mut names, name, " ");
            bound_states(capability, device, notes);
        }
        part.commands.retain(|command| commands.insert(command.name.clone()));
        part.events.retain(|event| commands.insert(event.name.clone()));
    }
}

/// No state twice, and not too many.
fn bound_states(capability: &mut Capability, device: &str, notes: &mut Notes) {
    let points = capability.read.iter_mut().map(|point| &mut point.map);
    for map in points.chain(capability.write.iter_mut().map(|write| &mut write.map)) {
        let mut seen = BTreeSet::new();
        map.retain(|(raw, _)| raw.plain().is_some_and(|raw| seen.insert(raw)));
        if map.len() > MAX_STATES {
            notes.add(device, &capability.name, "it has more states than can be shown; some are left out");
            map.truncate(MAX_STATES);
        }
    }
}

/// Leaves out what errors are about; `None`: one is about the whole.
fn drop_refused(
    model: &mut Model,
    items: &[Item],
    found: &[Diagnostic],
    device: &str,
    notes: &mut Notes,
) -> Option<()> {
    let mut refused: BTreeMap<(usize, u8, usize), String> = BTreeMap::new();
    for error in found.iter().filter(|problem| problem.is_error()) {
        let item = items.iter().rfind(|item| item.line <= error.span.line);
        let place = item.and_then(|item| match item.what {
            What::Capability(index) => Some((item.part, 0, index)),
            What::Command(index) => Some((item.part, 1, index)),
            What::Event(index) => Some((item.part, 2, index)),
            What::Else => None,
        });
        let Some(place) = place else {
            notes.add(device, "the device", &error.message);
            return None;
        };
        refused.entry(place).or_insert_with(|| error.message.clone());
    }
    for (number, part) in model.parts().enumerate() {
        let mut keep = |kind: u8, index: usize, name: &str| match refused.get(&(number, kind, index)) {
            Some(why) => {
                notes.add(device, name, why);
                false
            }
            None => true,
        };
        let mut index = 0..;
        part.capabilities.retain(|item| keep(0, index.next().unwrap_or_default(), &item.name));
        let mut index = 0..;
        part.commands.retain(|item| keep(1, index.next().unwrap_or_default(), &item.name));
        let mut index = 0..;
        part.events.retain(|item| keep(2, index.next().unwrap_or_default(), &item.name));
    }
    Some(())
}

/// Writes a mapping line by line.
#[derive(Default)]
struct Writer {
    text: String,
    lines: usize,
    items: Vec<Item>,
}

impl Writer {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{:1$}{line}", "", depth * 2).ok();
        self.lines += 1;
    }

    fn item(&mut self, part: usize, what: What) {
        self.items.push(Item { line: self.lines + 1, part, what });
    }

    fn whole(mut self, profile: &str, model: &Model) -> (String, Vec<Item>) {
        self.line(0, &format!("uspmap: 1\nprofile: {profile}\nversion: 1.0.0"));
        self.lines += 2;
        self.line(0, &format!("device: {}", described(model.kind, &model.description)));
        self.line(0, &options(&model.availability));
        self.part(0, 0, &model.own);
        self.item(0, What::Else);
        if !model.nodes.is_empty() {
            self.line(0, "nodes:");
            let mut keys = BTreeSet::new();
            for (number, node) in model.nodes.iter().enumerate() {
                self.item(number + 1, What::Else);
                self.line(1, &format!("{}:", unique(&mut keys, &slug(&node.name), "-")));
                let kind = if node.kind.is_empty() { "Sensor" } else { node.kind };
                self.line(2, &format!("type: {kind}"));
                if !node.description.is_empty() {
                    self.line(2, &format!("description: {}", description(&node.description)));
                }
                self.part(2, number + 1, node);
            }
        }
        (self.text, self.items)
    }

    fn part(&mut self, depth: usize, number: usize, part: &Part) {
        if !part.capabilities.is_empty() {
            self.item(number, What::Else);
            self.line(depth, "capabilities:");
            let mut keys = BTreeSet::new();
            for (index, capability) in part.capabilities.iter().enumerate() {
                self.item(number, What::Capability(index));
                let key = unique(&mut keys, &slug(&capability.name), "-");
                self.capability(depth + 1, &key, capability);
            }
        }
        if !part.commands.is_empty() {
            self.item(number, What::Else);
            self.line(depth, "commands:");
            for (index, command) in part.commands.iter().enumerate() {
                self.item(number, What::Command(index));
                self.command(depth + 1, command);
            }
        }
        if !part.events.is_empty() {
            self.item(number, What::Else);
            self.line(depth, "events:");
            for (index, event) in part.events.iter().enumerate() {
                self.item(number, What::Event(index));
                self.event(depth + 1, event);
            }
        }
    }

    fn capability(&mut self, depth: usize, key: &str, capability: &Capability) {
        self.line(depth, &format!("{key}:"));
        let mut lines =
            vec![format!("class: {}", capability.class.name()), format!("type: {}", capability.kind)];
        lines.extend(capability.unit.as_deref().map(|unit| format!("unit: {}", quoted(unit))));
        lines.push(format!("name: {}", quoted(&capability.name)));
        if !capability.description.is_empty() {
            lines.push(format!("description: {}", description(&capability.description)));
        }
        if let Some((low, high)) = capability.range {
            lines.push(format!("min: {}", number(low)));
            lines.push(format!("max: {}", number(high)));
        }
        lines.extend(capability.step.map(|step| format!("step: {}", number(step))));
        if capability.monotonic {
            lines.push("monotonic: true".to_owned());
        }
        lines.extend(capability.read.as_ref().map(|read| format!("read: {}", point(read, capability.class))));
        if !capability.values.is_empty() {
            let value = |(name, read): &(String, Point)| format!("{name}: {}", point(read, capability.class));
            let values: Vec<String> = capability.values.iter().map(value).collect();
            lines.push(format!("values: {{{}}}", values.join(", ")));
        }
        lines.extend(capability.write.as_ref().map(|to| format!("write: {}", write(to, capability.class))));
        lines.iter().for_each(|line| self.line(depth + 1, line));
    }

    fn command(&mut self, depth: usize, command: &Command) {
        self.line(depth, &format!("{}:", command.name));
        if !command.description.is_empty() {
            self.line(depth + 1, &format!("description: {}", description(&command.description)));
        }
        if !command.args.is_empty() {
            let args: Vec<String> =
                command.args.iter().map(|(name, arg)| format!("{name}: {}", argument(arg))).collect();
            self.line(depth + 1, &format!("args: {{{}}}", args.join(", ")));
        }
        let said = said(&command.topic, &command.body);
        let value = command.args.first().map(|(name, _)| format!(", value: \"${{arg.{name}}}\""));
        self.line(depth + 1, &format!("send: [{{{said}{}}}]", value.unwrap_or_default()));
    }

    fn event(&mut self, depth: usize, event: &Event) {
        self.line(depth, &format!("{}:", event.name));
        if !event.description.is_empty() {
            self.line(depth + 1, &format!("description: {}", description(&event.description)));
        }
        self.line(depth + 1, &format!("read: {}", point(&event.read, Class::EnumSensor)));
        let states: Vec<String> = event.states.iter().map(|state| quoted(state)).collect();
        self.line(depth + 1, &format!("on: [{}]", states.join(", ")));
        // The same again is another press.
        self.line(depth + 1, "repeat: true");
        self.line(depth + 1, "args: {Value: \"${value}\"}");
    }
}

fn described(kind: &str, text: &str) -> String {
    match text {
        "" => format!("{{type: {kind}}}"),
        text => format!("{{type: {kind}, description: {}}}", description(text)),
    }
}

/// `mqtt:`, which also says that this is MQTT.
fn options(all: &[Availability]) -> String {
    let one = |said: &Availability| {
        let json = said.json.as_ref().map(|json| format!(", json: {}", quoted(json))).unwrap_or_default();
        let (topic, online, offline) = (quoted(&said.topic), quoted(&said.online), quoted(&said.offline));
        format!("{{topic: {topic}{json}, online: {online}, offline: {offline}}}")
    };
    match all {
        [] => "mqtt: {}".to_owned(),
        [one_alone] => format!("mqtt: {{availability: {}}}", one(one_alone)),
        all => format!("mqtt: {{availability: [{}]}}", all.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

fn place(topic: &str, json: Option<&String>) -> String {
    let json = json.map(|json| format!(", json: {}", quoted(json)));
    format!("topic: {}{}", quoted(topic), json.unwrap_or_default())
}

fn point(point: &Point, class: Class) -> String {
    let mut parts = vec![place(&point.topic, point.json.as_ref())];
    parts.extend(states(&point.map, class));
    parts.extend(
        point.scale.filter(|scale| *scale != Decimal::ONE).map(|by| format!("scale: {}", number(by))),
    );
    parts.extend(point.offset.map(|by| format!("offset: {}", number(by))));
    parts.extend(point.get.as_ref().map(|(topic, body)| format!("get: {{{}}}", said(topic, body))));
    format!("{{{}}}", parts.join(", "))
}

fn write(write: &Write, class: Class) -> String {
    let mut parts = vec![said(&write.topic, &write.body)];
    parts.extend(states(&write.map, class));
    if write.unseen {
        parts.push("verify: false".to_owned());
    }
    format!("{{{}}}", parts.join(", "))
}

/// What is said on a topic.
fn said(topic: &str, body: &Body) -> String {
    let topic = format!("topic: {}", quoted(topic));
    match body {
        Body::Value => topic,
        Body::Member(pointer) => format!("{topic}, json: {}", quoted(pointer)),
        Body::Tree(tree) => format!("{topic}, send: {}", flow(tree)),
        Body::Text(text) if text.is_empty() => topic,
        Body::Text(text) => format!("{topic}, send: {}", quoted(text)),
    }
}

/// A tree as YAML takes it in one line.
fn flow(tree: &Json) -> String {
    match tree {
        Json::Null => "null".to_owned(),
        Json::Bool(_) | Json::Number(_) => tree.plain().unwrap_or_default(),
        Json::Text(text) => quoted(text),
        Json::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Map(members) => {
            let member = |(name, value): &(String, Json)| format!("{}: {}", quoted(name), flow(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}

fn states(map: &[(Json, String)], class: Class) -> Option<String> {
    let state = |state: &str| match class {
        Class::BinaryControl | Class::BinarySensor => state.to_owned(),
        _ => quoted(state),
    };
    let opposite = |(raw, name): &(Json, String)| *raw == Json::Bool(name != "true");
    if !map.is_empty() && map.iter().all(opposite) {
        return Some("invert: true".to_owned());
    }
    let entry = |(raw, name): &(Json, String)| format!("{}: {}", flow(raw), state(name));
    let entries: Vec<String> = map.iter().map(entry).collect();
    (!entries.is_empty()).then(|| format!("map: {{{}}}", entries.join(", ")))
}

fn argument(arg: &Arg) -> String {
    match arg {
        Arg::Int(low, high) => format!("{{int: [{}, {}]}}", number(*low), number(*high)),
        Arg::Number(low, high) => format!("{{number: [{}, {}]}}", number(*low), number(*high)),
        Arg::Enum(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("{{enum: [{}]}}", words.join(", "))
        }
        Arg::Text => "{string: 256}".to_owned(),
    }
}

pub(super) fn description(text: &str) -> String {
    quoted(&short(&text.replace("${", "$ {"), DESCRIPTION))
}

fn number(number: Decimal) -> String {
    number.normalize().to_string()
}

/// As YAML takes it for nothing but text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // What YAML does not take as it is (1.2.2, 5.1).
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                write!(quoted, "\\U{:08x}", u32::from(c)).unwrap_or_default();
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A name of small letters, digits and hyphens, beginning with a letter.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug: String = slug.chars().take(48).collect();
    let slug = slug.trim_end_matches('-');
    match slug.chars().next() {
        None => "point".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("n{slug}"),
        Some(_) => slug.to_owned(),
    }
}

/// The text, or the first with a number behind it that is not taken; it is taken then.
pub(super) fn unique(taken: &mut BTreeSet<String>, text: &str, gap: &str) -> String {
    let mut candidate = text.to_owned();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{text}{gap}{number}");
        number += 1;
    }
    candidate
}
