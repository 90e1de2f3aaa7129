//! A mapping file.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

use super::Report;
use super::fields::Fields;
use super::scalar::is_boolean_word;
use crate::code::Code;
use crate::compile::Params;
use crate::diagnostic::{Diagnostic, Span};
use crate::draft::{
    At, CapabilityDraft, Flawed, MappingDraft, OnlineDraft, PollDraft, ReadDraft, site::Version,
};
use crate::expand::Source;
use crate::mapping::{Class, Steps, Window};
use crate::tr181;
use crate::yaml::{self, Node};

/// The one version of the language so far.
pub(super) const LANGUAGE: i128 = 1;

pub(crate) const CLASSES: [(&str, Class); 8] = [
    ("BinaryControl", Class::BinaryControl),
    ("LevelControl", Class::LevelControl),
    ("EnumControl", Class::EnumControl),
    ("BinarySensor", Class::BinarySensor),
    ("LevelSensor", Class::LevelSensor),
    ("MultiLevelSensor", Class::MultiLevelSensor),
    ("EnumSensor", Class::EnumSensor),
    ("BlobSensor", Class::BlobSensor),
];

const STEPS: [(&str, Steps); 4] =
    [("both", Steps::Both), ("up", Steps::Up), ("down", Steps::Down), ("none", Steps::Neither)];

pub(super) const KEYS: [&str; 19] = [
    "uspmap",
    "profile",
    "version",
    "device",
    "params",
    "modbus",
    "mqtt",
    "coap",
    "line",
    "ble",
    "zigbee",
    "poll",
    "online",
    "fingerprint",
    "capabilities",
    "commands",
    "events",
    "nodes",
    "tests",
];

pub(super) const HELD_KEYS: [&str; 3] = ["read", "write", "poll"];

pub(super) const CAPABILITY_KEYS: [&str; 23] = [
    "class",
    "type",
    "unit",
    "name",
    "description",
    "read",
    "values",
    "write",
    "poll",
    "valid",
    "min",
    "max",
    "step",
    "steps",
    "deadband",
    "low",
    "high",
    "monotonic",
    "sensitivity",
    "hold",
    "rest",
    "max_age",
    "serve_stale",
];

/// Reads the tree of a mapping in which parameters are put in already.
pub(crate) fn read(
    source: &Arc<Source>,
    root: Node,
    given: &Params,
) -> (Option<MappingDraft>, Vec<Diagnostic>) {
    let mut report = Report::of(source.files());
    let draft = report.mapping(source, &root, given);
    (draft, report.found)
}

impl Report<'_> {
    fn mapping(&mut self, source: &Arc<Source>, root: &Node, given: &Params) -> Option<MappingDraft> {
        let mut flawed = Flawed::default();
        let since = self.found.len();
        let fields = self.fields(root, "a mapping", &KEYS)?;
        self.protocol = self.protocol_of(&fields);
        flawed.whole = self.errors(since) > 0;
        flawed.poll = self.meant.iter().any(|meant| meant == "poll");
        let top = Span { end: root.span.start, ..root.span };
        self.language(fields.node("uspmap"), top, "uspmap", "a mapping");
        for (key, help) in [
            ("profile", "for example `profile: acme.meter`"),
            ("version", "for example `version: 1.0.0`"),
            ("device", "for example `device: {type: Meter}`"),
            ("capabilities", "what the device can sense and do"),
        ] {
            let elsewhere = key == "capabilities" && fields.key("nodes").is_some();
            if fields.key(key).is_none() && !elsewhere {
                self.missing(top, "a mapping", key, help);
            }
        }
        let (device_type, description) =
            fields.node("device").map(|node| self.device(node)).unwrap_or_default();
        let since = self.found.len();
        let members = self.members(&fields);
        flawed.whole |= self.errors(since) > members.errors;
        let since = self.found.len();
        let poll = fields.node("poll").map(|node| self.poll_groups(node)).unwrap_or_default();
        flawed.poll |= self.errors(since) > 0;
        let since = self.found.len();
        let draft = MappingDraft {
            file: source.files().first()?.clone(),
            source: Arc::clone(source),
            given: given.clone(),
            span: top,
            profile: None,
            version: None,
            device_type,
            description,
            params: fields.node("params").map(|node| self.params(node)).unwrap_or_default(),
            protocol: self.protocol,
            modbus: fields.node("modbus").and_then(|node| self.modbus(node)).unwrap_or_default(),
            mqtt: fields.node("mqtt").and_then(|node| self.mqtt(node)).unwrap_or_default(),
            coap: fields.node("coap").and_then(|node| self.coap(node)).unwrap_or_default(),
            line: fields.node("line").and_then(|node| self.line(node)).unwrap_or_default(),
            ble: fields.node("ble").and_then(|node| self.ble(node)).unwrap_or_default(),
            zigbee: fields.node("zigbee").and_then(|node| self.zigbee(node)).unwrap_or_default(),
            poll,
            online: OnlineDraft::default(),
            nodes: members.nodes,
            capabilities: members.capabilities,
            commands: members.commands,
            events: members.events,
            fingerprint: Vec::new(),
            tests: Vec::new(),
            flawed: Flawed::default(),
        };
        flawed.whole |= self.errors(since) > 0;
        Some(MappingDraft {
            profile: fields.node("profile").and_then(|node| self.profile(node)),
            version: fields.node("version").and_then(|node| self.version(node)),
            online: fields.node("online").and_then(|node| self.online(node)).unwrap_or_default(),
            fingerprint: fields.node("fingerprint").map(|node| self.fingerprints(node)).unwrap_or_default(),
            tests: fields.node("tests").map(|node| self.tests(node)).unwrap_or_default(),
            flawed: flawed.and(&members.flawed),
            ..draft
        })
    }

    pub(crate) fn language(&mut self, node: Option<&Node>, top: Span, key: &str, what: &str) {
        let Some(node) = node else {
            self.missing(top, what, key, format!("begin the file with `{key}: {LANGUAGE}`"));
            return;
        };
        if let Some(version) = self.integer(node).filter(|version| version.value != LANGUAGE) {
            let message =
                format!("this program reads version {LANGUAGE} of the language, not {}", version.value);
            self.error(Code::Language, node.span, message).help(format!("write `{key}: {LANGUAGE}`"));
        }
    }

    fn profile(&mut self, node: &Node) -> Option<At<String>> {
        let profile = self.text(node)?;
        let parts: Vec<&str> = profile.value.split('.').collect();
        if parts.len() < 2 || parts.iter().any(|part| !is_word(part)) || profile.value.len() > 64 {
            let message = format!("`{}` is no name for a profile", profile.value);
            self.error(Code::Name, node.span, message)
                .help("write vendor.model in small letters, digits, `-` and `_`, at most 64, such as `acme.meter-3p`");
        }
        Some(profile)
    }

    fn version(&mut self, node: &Node) -> Option<At<String>> {
        let version = self.spelling(node)?;
        if Version::parse(&version.value).is_none() {
            let message = format!("`{}` is no version", version.value);
            let whole = format!("{}.0", version.value);
            let error = self.error(Code::Version, node.span, message);
            let error = if Version::parse(&whole).is_some() { error.fix(whole) } else { error };
            error.help("write three numbers, such as 1.0.0");
        }
        Some(version)
    }

    fn device(&mut self, node: &Node) -> (Option<At<String>>, Option<At<String>>) {
        let Some(fields) = self.fields(node, "`device`", &["type", "description"]) else {
            return (None, None);
        };
        if fields.key("type").is_none() {
            let help =
                format!("one of {}, or one of your own like `X_VENDOR_Name`", tr181::DEVICE_TYPES.join(", "));
            self.missing(node.span, "`device`", "type", help);
        }
        let kind = fields.node("type").and_then(|node| self.text(node));
        (kind, fields.node("description").and_then(|node| self.text(node)))
    }

    fn poll_groups(&mut self, node: &Node) -> Vec<(At<String>, At<Duration>)> {
        let named = self.named(node, "`poll`");
        let mut groups = Vec::new();
        for (name, node) in named {
            self.name(&name, "a poll group");
            if ["on_demand", "once"].contains(&name.value.as_str()) {
                self.error(Code::Name, name.span, format!("`{}` is no name for a poll group", name.value))
                    .help("it has a meaning of its own as `poll` of a capability");
            }
            let every = self.duration(node).filter(|every| self.at_least_a_millisecond(*every, "a period"));
            // There is such a group, whatever its period was to be.
            groups.push((name, every.unwrap_or(At::new(Duration::ZERO, node.span))));
        }
        groups
    }

    fn online(&mut self, node: &Node) -> Option<OnlineDraft> {
        let fields = self.fields(node, "`online`", &["down", "backoff"])?;
        let down = fields.node("down").and_then(|node| self.fields(node, "`down`", &["fails"]));
        let fails = down.and_then(|down| down.node("fails"));
        Some(OnlineDraft {
            fails: fails.and_then(|node| self.int(node, "`fails`", 1, 1000)),
            backoff: fields.node("backoff").and_then(|node| self.backoff(node)),
        })
    }

    fn backoff(&mut self, node: &Node) -> Option<At<(Duration, Duration)>> {
        let (min, max) = self.pair(node, "`backoff`", "backoff: [1s, 60s]")?;
        let [Some(min), Some(max)] = [min, max].map(|end| self.duration(end)) else { return None };
        self.at_least_a_millisecond(min, "a pause").then_some(())?;
        self.ascending(node.span, "`backoff`", min.value, max.value).then_some(())?;
        Some(At::new((min.value, max.value), node.span))
    }

    pub(super) fn capabilities<'n>(&mut self, node: &'n Node) -> Vec<(At<String>, &'n Node)> {
        let named = self.named(node, "`capabilities`");
        if matches!(&node.kind, yaml::Kind::Map(entries) if entries.is_empty()) {
            self.absent(Code::MissingKey, node.span, "there is no capability")
                .help("a device needs at least one");
        }
        named
    }

    pub(super) fn capability(&mut self, id: &At<String>, node: &Node) -> Option<CapabilityDraft> {
        self.name(id, "a capability");
        let fields = self.fields(node, "a capability", &CAPABILITY_KEYS)?;
        let class = fields.node("class").and_then(yaml::word);
        let class = CLASSES.iter().find(|(word, _)| Some(*word) == class).map(|(_, class)| *class);
        let own = "or one of your own like `X_VENDOR_Name`";
        let kind = match class {
            Some(class) => format!("one of {}, {own}", tr181::types(class).join(", ")),
            None => format!("what it is about: a word of TR-181 for the class, {own}"),
        };
        let classes = "`LevelSensor` for a number, `BinarySensor` for one of two states, `EnumSensor` for one of several, or …Control";
        for (key, help) in [("class", classes), ("type", kind.as_str())] {
            if fields.key(key).is_none() {
                self.missing(id.span, &format!("the capability `{}`", id.value), key, help);
            }
        }
        let first = |key| fields.node(key).filter(|node| !is_map(node));
        let decimal = |this: &mut Self, key| fields.node(key).and_then(|node| this.decimal(node));
        Some(CapabilityDraft {
            node: None,
            class: fields.node("class").and_then(|node| self.choice(node, "class", &CLASSES)),
            kind: fields.node("type").and_then(|node| self.text(node)),
            unit: fields.node("unit").and_then(|node| self.text(node)),
            name: fields.node("name").and_then(|node| self.given_name(node, &id.value)),
            description: fields.node("description").and_then(|node| self.text(node)),
            read: fields.node("read").and_then(|node| self.read_binding(node)),
            values: fields.node("values").map(|node| self.values_of(node)).unwrap_or_default(),
            write: fields.node("write").and_then(|node| self.write_binding(node)),
            poll: fields.node("poll").and_then(|node| self.poll_choice(node)),
            valid: fields.node("valid").and_then(|node| self.valid(node)),
            min: decimal(self, "min"),
            max: decimal(self, "max"),
            step: decimal(self, "step"),
            steps: fields.node("steps").and_then(|node| self.choice(node, "direction of steps", &STEPS)),
            deadband: decimal(self, "deadband"),
            low: decimal(self, "low"),
            high: decimal(self, "high"),
            monotonic: fields.node("monotonic").and_then(|node| self.boolean(node)),
            sensitivity: first("sensitivity").and_then(|node| self.int(node, "`sensitivity`", 0, 100)),
            hold: first("hold").and_then(|node| self.duration(node)),
            rest: first("rest").and_then(|node| self.duration(node)),
            held: self.windows(id, &fields),
            max_age: fields.node("max_age").and_then(|node| self.duration(node)),
            serve_stale: fields.node("serve_stale").and_then(|node| self.boolean(node)),
            id: id.clone(),
        })
    }

    /// `hold: {read: {holding: 4, scale: 1000}, write: {}}`: what the device itself holds.
    fn windows(&mut self, id: &At<String>, fields: &Fields<'_>) -> Vec<(At<Window>, CapabilityDraft)> {
        let windows = Window::ALL.into_iter();
        let maps =
            windows.filter_map(|window| Some((window, fields.node(window.key()).filter(|n| is_map(n))?)));
        maps.filter_map(|(window, node)| Some((At::new(window, node.span), self.window(id, window, node)?)))
            .collect()
    }

    fn window(&mut self, id: &At<String>, window: Window, node: &Node) -> Option<CapabilityDraft> {
        let (key, span) = (window.key(), node.span);
        let what = format!("`{key}`");
        let fields = self.fields(node, &what, &HELD_KEYS)?;
        if fields.key("read").is_none() {
            let help = "where the device holds it, such as `read: {holding: 0}`";
            self.missing(span, &what, "read", help);
        }
        let poll = fields.node("poll").and_then(|node| self.poll_choice(node));
        Some(CapabilityDraft {
            class: Some(At::new(Class::LevelControl, span)),
            read: fields.node("read").and_then(|node| self.read_binding(node)),
            write: fields.node("write").and_then(|node| self.write_binding(node)),
            poll: poll.or(Some(At::new(PollDraft::Once, span))),
            ..CapabilityDraft::empty(At::new(format!("{}.{key}", id.value), span))
        })
    }

    /// `values: {Latitude: {input: 0, as: f32}, …}`.
    fn values_of(&mut self, node: &Node) -> Vec<(At<String>, ReadDraft)> {
        let named = self.named(node, "`values`");
        named.into_iter().filter_map(|(name, node)| Some((name, self.read_binding(node)?))).collect()
    }

    pub(super) fn poll_choice(&mut self, node: &Node) -> Option<At<PollDraft>> {
        let group = self.text(node)?;
        Some(group.map(|group| match group.as_str() {
            "on_demand" => PollDraft::OnDemand,
            "once" => PollDraft::Once,
            _ => PollDraft::Group(group),
        }))
    }

    pub(super) fn valid(&mut self, node: &Node) -> Option<At<(Decimal, Decimal)>> {
        let (min, max) = self.pair(node, "`valid`", "valid: [0, 300]")?;
        let [Some(min), Some(max)] = [min, max].map(|end| self.decimal(end)) else { return None };
        self.ascending(node.span, "`valid`", min.value, max.value).then_some(())?;
        Some(At::new((min.value, max.value), node.span))
    }

    /// A name that the file chooses.
    pub(super) fn name(&mut self, name: &At<String>, what: &str) {
        if !is_word(&name.value) || name.value.len() > 64 {
            let rule = "small letters, digits, `-` and `_`, beginning with a letter, at most 64";
            let error = self.error(Code::Name, name.span, format!("`{}` is no name for {what}", name.value));
            match proper(&name.value) {
                // No fix: tests and others that name it would have to follow.
                Some(proper) => {
                    error.help(format!("write `{proper}`, here and wherever it is named: {rule}"));
                }
                None => error.help(format!("use {rule}")),
            }
        } else if is_boolean_word(&name.value) {
            self.error(
                Code::YamlTrap,
                name.span,
                format!("the key `{}` is a Boolean to some YAML readers", name.value),
            )
            .help("choose another name");
        }
    }

    /// A name that people see, in the place of the key.
    pub(super) fn given_name(&mut self, node: &Node, key: &str) -> Option<At<String>> {
        let name = self.text(node)?;
        if name.value.trim().is_empty() {
            let error = self.error(Code::Name, node.span, "the name is empty");
            error.fix(key).help(format!("write what people call it, or remove `name`: then it is `{key}`"));
            return None;
        }
        Some(name)
    }

    pub(crate) fn at_least_a_millisecond(&mut self, duration: At<Duration>, what: &str) -> bool {
        if duration.value.is_zero() {
            self.error(Code::NumberRange, duration.span, format!("{what} must be at least 1ms"))
                .help("write a longer duration, such as 1s");
        }
        !duration.value.is_zero()
    }

    pub(crate) fn ascending<T: PartialOrd>(&mut self, span: Span, what: &str, first: T, last: T) -> bool {
        if first > last {
            self.error(Code::Reversed, span, format!("{what} ends before it begins"))
                .help("write the lower one first");
        }
        first <= last
    }
}

/// Whether a key, with its node if it has one, is as keys have to be.
pub(crate) fn is_name(id: &str) -> bool {
    id.split('.').all(is_word)
}

/// A name as it may be, out of one that may not.
fn proper(name: &str) -> Option<String> {
    let plain = name.trim().to_lowercase().replace([' ', '.', '/', ':'], "-");
    let plain: String = plain.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    (is_word(&plain) && plain.len() <= 64 && !is_boolean_word(&plain)).then_some(plain)
}

fn is_map(node: &Node) -> bool {
    matches!(node.kind, yaml::Kind::Map(_))
}

/// Small letters, digits, `-` and `_`, beginning with a letter.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}
