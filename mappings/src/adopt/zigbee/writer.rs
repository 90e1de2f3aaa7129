//! The text of a mapping from what clusters have: one line for each capability, command and event.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::Notes;
use super::super::text::{description, quoted, slug, unique};
use super::{Endpoint, Interview};
use crate::compile::compile_file;
use crate::diagnostic::SourceFile;
use crate::mapping::Mapping;

/// So often a mapping is written anew without what the checker refuses.
const ROUNDS: usize = 4;

/// What a device has.
pub(super) struct Model {
    vendor: String,
    model: String,
    head: String,
    kind: &'static str,
    about: String,
    own: Part,
    nodes: Vec<Part>,
}

/// What the device itself has, or one of its nodes.
#[derive(Default)]
pub(super) struct Part {
    endpoint: u8,
    is_node: bool,
    kind: Option<&'static str>,
    items: Vec<Item>,
}

struct Item {
    section: Section,
    key: String,
    body: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Capabilities,
    Commands,
    Events,
}

const SECTIONS: [(Section, &str); 3] =
    [(Section::Capabilities, "capabilities"), (Section::Commands, "commands"), (Section::Events, "events")];

impl Part {
    pub(super) fn of(endpoint: &Endpoint, is_node: bool) -> Self {
        Self { endpoint: endpoint.id, is_node, ..Self::default() }
    }

    /// Where something of this endpoint is: the beginning of a place.
    pub(super) fn at(&self, cluster: &str) -> String {
        format!("endpoint: {}, cluster: {cluster}", self.endpoint)
    }

    /// A capability; `body` is what follows the key within the braces.
    pub(super) fn capability(&mut self, key: &str, body: &str) {
        let section = Section::Capabilities;
        self.items.push(Item { section, key: key.to_owned(), body: body.to_owned() });
    }

    /// A number that is sensed: name, `type`, `unit`, what else it has, attribute and what it means.
    pub(super) fn level(
        &mut self,
        key: &str,
        (kind, unit, more): (&str, &str, &str),
        cluster: &str,
        rest: &str,
    ) {
        let (name, place) = (named(key), self.at(cluster));
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        self.capability(
            key,
            &format!(
                "class: LevelSensor, type: {kind}, unit: {}, name: {name}{more}, read: {{{place}, {rest}}}",
                quoted(unit)
            ),
        );
    }

    /// Something that is true or false.
    pub(super) fn binary(&mut self, key: &str, kind: &str, cluster: &str, rest: &str) {
        let (name, place) = (named(key), self.at(cluster));
        self.capability(
            key,
            &format!("class: BinarySensor, type: {kind}, name: {name}, read: {{{place}, {rest}}}"),
        );
    }

    pub(super) fn command(&mut self, name: &str, about: &str, args: &str, cluster: &str, send: &str) {
        let args = if args.is_empty() { String::new() } else { format!("args: {{{args}}}, ") };
        let place = self.at(cluster);
        let body = format!("description: {}, {args}send: [{{{place}, {send}}}]", quoted(about));
        self.items.push(Item { section: Section::Commands, key: format!("X_USPBROKER_{name}"), body });
    }

    /// Commands that the device sends, each of which is an occurrence.
    pub(super) fn event(&mut self, name: &str, about: &str, cluster: &str, commands: &[&str]) {
        let words: Vec<String> = commands.iter().map(|word| quoted(word)).collect();
        let (words, place) = (words.join(", "), self.at(cluster));
        let body = format!(
            "description: {}, read: {{{place}, command: [{words}]}}, on: [{words}], repeat: true, args: {{Command: \"${{value}}\"}}",
            quoted(about)
        );
        self.items.push(Item { section: Section::Events, key: format!("X_USPBROKER_{name}"), body });
    }

    /// What kind of thing it is, unless that is known already.
    pub(super) fn is(&mut self, kind: &'static str) {
        self.kind.get_or_insert(kind);
    }
}

/// `battery-voltage` as `"Battery voltage"`.
fn named(key: &str) -> String {
    let words = key.replace('-', " ");
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    quoted(&format!("{first}{}", chars.as_str()))
}

impl Model {
    pub(super) fn of(interview: &Interview) -> Self {
        let vendor =
            if interview.manufacturer.trim().is_empty() { "zigbee" } else { &interview.manufacturer };
        let model = if interview.model.trim().is_empty() { "device" } else { &interview.model };
        let mut head = String::from("zigbee: {");
        let known = !interview.model.trim_end_matches(['\0', ' ']).is_empty();
        if known && !interview.manufacturer.trim().is_empty() {
            write!(head, "manufacturer: {}, ", quoted(&word(&interview.manufacturer))).ok();
        }
        if known {
            write!(head, "model: {}, ", quoted(&word(&interview.model))).ok();
        }
        write!(head, "sleepy: {}}}", interview.is_sleepy()).ok();
        Self {
            vendor: slug(vendor),
            model: slug(model),
            head,
            kind: "Sensor",
            about: format!("{} {}", interview.manufacturer.trim(), interview.model.trim()).trim().to_owned(),
            own: Part::default(),
            nodes: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, part: Part) {
        if let Some(kind) = part.kind.filter(|_| self.kind == "Sensor") {
            self.kind = kind;
        }
        if part.is_node {
            self.nodes.push(part);
        } else {
            self.own.items.extend(part.items);
        }
    }

    /// Text and mapping; what the checker refuses is left out and noted. `None`: nothing is left.
    pub(super) fn written(&mut self, device: &str, notes: &mut Notes) -> Option<(String, Mapping)> {
        let profile = format!("{}.{}", self.vendor, self.model);
        let profile: String = profile.chars().take(64).collect();
        let profile = profile.trim_end_matches(['-', '.']);
        for _ in 0..ROUNDS {
            self.nodes.retain(|part| !part.items.is_empty());
            let parts = || std::iter::once(&self.own).chain(&self.nodes);
            let some = parts().flat_map(|part| &part.items).any(|item| item.section == Section::Capabilities);
            if !some {
                return None;
            }
            let (text, places) = self.text(profile);
            let (mapping, found) = compile_file(&SourceFile::new(profile, &text));
            if let Some(mapping) = mapping {
                return Some((text, mapping));
            }
            let mut wrong: BTreeSet<(usize, usize)> = BTreeSet::new();
            for error in found.iter().filter(|problem| problem.is_error()) {
                let place = places.iter().find(|(line, ..)| *line == error.span.line);
                let Some((_, part, item)) = place else {
                    notes.add(device, super::WHOLE_DEVICE, &error.message);
                    return None;
                };
                if wrong.insert((*part, *item)) {
                    let key =
                        self.part(*part).and_then(|part| part.items.get(*item)).map(|item| item.key.clone());
                    notes.add(device, &key.unwrap_or_default(), &error.message);
                }
            }
            for (part, item) in wrong.into_iter().rev() {
                if let Some(part) = self.part_mut(part).filter(|part| item < part.items.len()) {
                    part.items.remove(item);
                }
            }
        }
        None
    }

    fn part(&self, at: usize) -> Option<&Part> {
        if at == 0 { Some(&self.own) } else { self.nodes.get(at - 1) }
    }

    fn part_mut(&mut self, at: usize) -> Option<&mut Part> {
        if at == 0 { Some(&mut self.own) } else { self.nodes.get_mut(at - 1) }
    }

    /// The text, and on which line which item of which part stands.
    fn text(&self, profile: &str) -> (String, Vec<(usize, usize, usize)>) {
        let mut lines = vec![
            "uspmap: 1".to_owned(),
            format!("profile: {profile}"),
            "version: 1.0.0".to_owned(),
            format!("device: {{type: {}, description: {}}}", self.kind, description(&self.about)),
            self.head.clone(),
        ];
        let mut places = Vec::new();
        write_part(&self.own, (0, 0), &mut lines, &mut places);
        if !self.nodes.is_empty() {
            lines.push("nodes:".to_owned());
        }
        for (node, at) in self.nodes.iter().zip(1..) {
            lines.push(format!("  endpoint-{}:", node.endpoint));
            lines.push(format!("    type: {}", node.kind.unwrap_or("Sensor")));
            write_part(node, (at, 4), &mut lines, &mut places);
        }
        (lines.join("\n") + "\n", places)
    }
}

fn write_part(
    part: &Part,
    (at, indent): (usize, usize),
    lines: &mut Vec<String>,
    places: &mut Vec<(usize, usize, usize)>,
) {
    for (section, word) in SECTIONS {
        let mut items = part.items.iter().enumerate().filter(|(_, item)| item.section == section).peekable();
        if items.peek().is_none() {
            continue;
        }
        lines.push(format!("{:indent$}{word}:", ""));
        let mut keys = BTreeSet::new();
        for (item_at, item) in items {
            let gap = if section == Section::Capabilities { "-" } else { "" };
            let key = unique(&mut keys, &item.key, gap);
            // A second one of the same has a second Name too.
            let body = if key == item.key { item.body.clone() } else { renamed(&item.body, &item.key, &key) };
            places.push((lines.len() + 1, at, item_at));
            lines.push(format!("{:indent$}  {key}: {{{body}}}", ""));
        }
    }
}

fn renamed(body: &str, old: &str, new: &str) -> String {
    body.replacen(&format!("name: {}", named(old)), &format!("name: {}", named(new)), 1)
}

/// What it says of itself, as a word of a mapping: no `*` that would stand for anything.
fn word(text: &str) -> String {
    text.trim_end_matches(['\0', ' ']).replace('*', "?").replace("${", "$ {")
}
