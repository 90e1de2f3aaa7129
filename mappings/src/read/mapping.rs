//! A mapping file.

use std::time::Duration;

use rust_decimal::Decimal;

use super::Report;
use super::point::ORDERS;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::draft::{
    At, CapabilityDraft, MappingDraft, ModbusDraft, OnlineDraft, ParamDraft, ParamKind, PollDraft,
    site::Version,
};
use crate::mapping::Class;
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

pub(super) const KEYS: [&str; 10] =
    ["uspmap", "profile", "version", "device", "params", "modbus", "poll", "online", "capabilities", "tests"];

pub(super) const CAPABILITY_KEYS: [&str; 17] = [
    "class",
    "type",
    "unit",
    "name",
    "description",
    "read",
    "write",
    "poll",
    "valid",
    "min",
    "max",
    "step",
    "deadband",
    "low",
    "high",
    "max_age",
    "serve_stale",
];

/// Reads a whole file.
pub(crate) fn read(file: &SourceFile) -> (Option<MappingDraft>, Vec<Diagnostic>) {
    let root = match yaml::parse(file) {
        Ok(root) => root,
        Err(syntax) => return (None, vec![*syntax]),
    };
    let mut report = Report::new(file);
    let draft = report.mapping(file, &root);
    (draft, report.found)
}

impl Report<'_> {
    fn mapping(&mut self, file: &SourceFile, root: &Node) -> Option<MappingDraft> {
        let fields = self.fields(root, "a mapping", &KEYS)?;
        let top = Span { end: root.span.start, ..root.span };
        self.language(fields.node("uspmap"), top, "uspmap", "a mapping");
        for (key, help) in [
            ("profile", "for example `profile: acme.meter`"),
            ("version", "for example `version: 1.0.0`"),
            ("device", "for example `device: {type: Meter}`"),
            ("capabilities", "what the device can sense and do"),
        ] {
            if fields.key(key).is_none() {
                self.missing(top, "a mapping", key, help);
            }
        }
        let (device_type, description) =
            fields.node("device").map(|node| self.device(node)).unwrap_or_default();
        Some(MappingDraft {
            file: file.clone(),
            span: top,
            profile: fields.node("profile").and_then(|node| self.profile(node)),
            version: fields.node("version").and_then(|node| self.version(node)),
            device_type,
            description,
            params: fields.node("params").map(|node| self.params(node)).unwrap_or_default(),
            modbus: fields.node("modbus").and_then(|node| self.modbus(node)).unwrap_or_default(),
            poll: fields.node("poll").map(|node| self.poll_groups(node)).unwrap_or_default(),
            online: fields.node("online").and_then(|node| self.online(node)).unwrap_or_default(),
            capabilities: fields.node("capabilities").map(|node| self.capabilities(node)).unwrap_or_default(),
            tests: fields.node("tests").map(|node| self.tests(node)).unwrap_or_default(),
        })
    }

    pub(super) fn language(&mut self, node: Option<&Node>, top: Span, key: &str, what: &str) {
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
            self.missing(node.span, "`device`", "type", "for example `type: Meter`, or `type: Sensor`");
        }
        let kind = fields.node("type").and_then(|node| self.text(node));
        (kind, fields.node("description").and_then(|node| self.text(node)))
    }

    fn params(&mut self, node: &Node) -> Vec<ParamDraft> {
        let named = self.named(node, "`params`");
        named.into_iter().filter_map(|(name, node)| self.param(name, node)).collect()
    }

    fn param(&mut self, name: At<String>, node: &Node) -> Option<ParamDraft> {
        self.name(&name, "a parameter");
        let fields = self.fields(node, "a parameter", &["enum", "int", "string", "default"])?;
        let kind = match (fields.node("enum"), fields.node("int"), fields.node("string")) {
            (Some(node), None, None) => {
                let words = self.list(node, "`enum`").iter().filter_map(|item| self.text(item));
                Some(ParamKind::Enum(words.map(|word| word.value).collect()))
            }
            (None, Some(node), None) => self.int_range(node),
            (None, None, Some(node)) => {
                let most = self.int::<usize>(node, "the length of a text", 1, 256);
                most.map(|most| ParamKind::Text(most.value))
            }
            _ => {
                let message =
                    format!("the parameter `{}` needs exactly one of `enum`, `int` and `string`", name.value);
                self.error(Code::MissingKey, fields.span, message).help(
                    "such as `enum: [L1, L2, L3]`, `int: [1, 8]` or `string: 32` (its greatest length)",
                );
                None
            }
        };
        let default = fields.node("default").and_then(|node| self.spelling(node));
        kind.map(|kind| ParamDraft { name, kind, default })
    }

    fn int_range(&mut self, node: &Node) -> Option<ParamKind> {
        let (min, max) = self.pair(node, "`int`", "int: [1, 8]")?;
        let ends = [min, max].map(|end| self.int::<i64>(end, "an end", i64::MIN.into(), i64::MAX.into()));
        let [Some(min), Some(max)] = ends else { return None };
        self.ascending(node.span, "`int`", min.value, max.value);
        Some(ParamKind::Int(min.value, max.value))
    }

    fn modbus(&mut self, node: &Node) -> Option<ModbusDraft> {
        let keys = ["order", "max_registers", "max_bits", "max_gap", "guard", "timeout"];
        let fields = self.fields(node, "`modbus`", &keys)?;
        let mut draft = ModbusDraft {
            order: fields.node("order").and_then(|node| self.choice(node, "order", &ORDERS)),
            max_registers: fields.node("max_registers").and_then(|n| self.int(n, "`max_registers`", 1, 125)),
            max_bits: fields.node("max_bits").and_then(|n| self.int(n, "`max_bits`", 1, 2000)),
            max_gap: fields.node("max_gap").and_then(|n| self.int(n, "`max_gap`", 0, 124)),
            guard: fields.node("guard").and_then(|node| self.duration(node)),
            timeout: fields.node("timeout").and_then(|node| self.duration(node)),
        };
        draft.timeout = draft.timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`"));
        Some(draft)
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
            groups.extend(every.map(|every| (name, every)));
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

    fn capabilities(&mut self, node: &Node) -> Vec<CapabilityDraft> {
        let named = self.named(node, "`capabilities`");
        if named.is_empty() && matches!(&node.kind, yaml::Kind::Map(_)) {
            self.error(Code::MissingKey, node.span, "there is no capability")
                .help("a device needs at least one");
        }
        named.into_iter().filter_map(|(id, node)| self.capability(id, node)).collect()
    }

    fn capability(&mut self, id: At<String>, node: &Node) -> Option<CapabilityDraft> {
        self.name(&id, "a capability");
        let fields = self.fields(node, "a capability", &CAPABILITY_KEYS)?;
        for (key, help) in [
            (
                "class",
                "`LevelSensor` for a number, `BinarySensor` for one of two states, `EnumSensor` for one of several, or …Control",
            ),
            (
                "type",
                "what it is about: a word of TR-181 for the class, or one of your own like `X_VENDOR_Name`",
            ),
        ] {
            if fields.key(key).is_none() {
                self.missing(id.span, &format!("the capability `{}`", id.value), key, help);
            }
        }
        let decimal = |this: &mut Self, key| fields.node(key).and_then(|node| this.decimal(node));
        Some(CapabilityDraft {
            class: fields.node("class").and_then(|node| self.choice(node, "class", &CLASSES)),
            kind: fields.node("type").and_then(|node| self.text(node)),
            unit: fields.node("unit").and_then(|node| self.text(node)),
            name: fields.node("name").and_then(|node| self.text(node)),
            description: fields.node("description").and_then(|node| self.text(node)),
            read: fields.node("read").and_then(|node| self.read_binding(node)),
            write: fields.node("write").and_then(|node| self.write_binding(node)),
            poll: fields.node("poll").and_then(|node| self.poll_choice(node)),
            valid: fields.node("valid").and_then(|node| self.valid(node)),
            min: decimal(self, "min"),
            max: decimal(self, "max"),
            step: decimal(self, "step"),
            deadband: decimal(self, "deadband"),
            low: decimal(self, "low"),
            high: decimal(self, "high"),
            max_age: fields.node("max_age").and_then(|node| self.duration(node)),
            serve_stale: fields.node("serve_stale").and_then(|node| self.boolean(node)),
            id,
        })
    }

    fn poll_choice(&mut self, node: &Node) -> Option<At<PollDraft>> {
        let group = self.text(node)?;
        Some(group.map(|group| match group.as_str() {
            "on_demand" => PollDraft::OnDemand,
            "once" => PollDraft::Once,
            _ => PollDraft::Group(group),
        }))
    }

    fn valid(&mut self, node: &Node) -> Option<At<(Decimal, Decimal)>> {
        let (min, max) = self.pair(node, "`valid`", "valid: [0, 300]")?;
        let [Some(min), Some(max)] = [min, max].map(|end| self.decimal(end)) else { return None };
        self.ascending(node.span, "`valid`", min.value, max.value).then_some(())?;
        Some(At::new((min.value, max.value), node.span))
    }

    /// A name that the file chooses.
    pub(super) fn name(&mut self, name: &At<String>, what: &str) {
        if !is_word(&name.value) || name.value.len() > 64 {
            self.error(Code::Name, name.span, format!("`{}` is no name for {what}", name.value))
                .help("use small letters, digits, `-` and `_`, beginning with a letter, at most 64");
        } else if crate::read::scalar::is_boolean_word(&name.value) {
            self.error(
                Code::YamlTrap,
                name.span,
                format!("the key `{}` is a Boolean to some YAML readers", name.value),
            )
            .help("choose another name");
        }
    }

    fn at_least_a_millisecond(&mut self, duration: At<Duration>, what: &str) -> bool {
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

/// Small letters, digits, `-` and `_`, beginning with a letter.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}
