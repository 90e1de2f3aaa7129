//! Nodes, commands, events and fingerprints.

use super::Report;
use super::fields::Fields;
use super::protocol::{fingerprint_keys, step_keys};
use crate::code::Code;
use crate::draft::{
    ArgDraft, At, CapabilityDraft, CommandDraft, EventDraft, FingerprintDraft, Flawed, MessagePlace,
    NodeDraft, OnDraft, ParamKind, PointDraft, StepDraft,
};
use crate::mapping::{NodeId, ProtocolKind};
use crate::yaml::{Kind, Node};

pub(super) const NODE_KEYS: [&str; 5] = ["type", "description", "capabilities", "commands", "events"];

pub(super) const COMMAND_KEYS: [&str; 4] = ["description", "args", "send", "ttl"];

pub(super) const EVENT_KEYS: [&str; 6] = ["description", "read", "on", "repeat", "poll", "args"];

/// Whether a step does not say itself all that it sends.
fn needs_value(point: &PointDraft) -> bool {
    let message = point.message.as_deref();
    match message.map(|message| &message.place) {
        Some(MessagePlace::Line(place)) => {
            return place.send.as_ref().is_some_and(|send| send.value.has_value());
        }
        Some(MessagePlace::Ble(place)) => {
            return place.send.as_ref().is_none_or(|send| send.value.has_value());
        }
        Some(MessagePlace::Zigbee(place)) => return place.has_value(),
        Some(MessagePlace::Mqtt(_) | MessagePlace::Coap(_)) | None => {}
    }
    let send = message.and_then(|message| message.body.send.as_ref());
    send.is_none_or(|send| send.value.has_value())
}

/// Most steps of a command, and most arguments of a command or event.
const MAX_PARTS: usize = 64;

/// What a device or a node has.
#[derive(Default)]
pub(super) struct Members {
    pub(super) nodes: Vec<NodeDraft>,
    pub(super) capabilities: Vec<CapabilityDraft>,
    pub(super) commands: Vec<CommandDraft>,
    pub(super) events: Vec<EventDraft>,
    pub(super) flawed: Flawed,
    /// How many mistakes are in these, and not around them.
    pub(super) errors: usize,
}

impl Members {
    fn note(&mut self, id: &At<String>, report: &Report<'_>, since: usize) {
        self.flawed.note(&id.value, report.flaw(since));
        self.errors += report.errors(since);
    }
}

impl Report<'_> {
    /// What the device has, then what each node has.
    pub(super) fn members(&mut self, fields: &Fields<'_>) -> Members {
        let mut all = Members::default();
        self.members_of(fields, None, &mut all);
        let named = fields.node("nodes").map(|node| self.named(node, "`nodes`")).unwrap_or_default();
        for ((id, node), place) in named.into_iter().zip(0u16..) {
            self.name(&id, "a node");
            let Some(fields) = self.fields(node, "a node", &NODE_KEYS) else { continue };
            if fields.key("type").is_none() {
                let what = format!("the node `{}`", id.value);
                self.missing(id.span, &what, "type", "what kind of thing it is, such as `type: Light`");
            }
            self.members_of(&fields, Some((&id.value, NodeId(place))), &mut all);
            let kind = fields.node("type").and_then(|node| self.text(node));
            let description = fields.node("description").and_then(|node| self.text(node));
            all.nodes.push(NodeDraft { id, kind, description });
        }
        all
    }

    fn members_of(&mut self, fields: &Fields<'_>, node: Option<(&str, NodeId)>, all: &mut Members) {
        let own = |id: At<String>| match node {
            None => id,
            Some((node, _)) => id.map(|id| format!("{node}.{id}")),
        };
        let number = node.map(|(_, number)| number);
        let capabilities =
            fields.node("capabilities").map(|node| self.capabilities(node)).unwrap_or_default();
        for (id, node) in capabilities {
            let since = self.found.len();
            let cap = self.capability(&id, node);
            all.note(&own(id), self, since);
            all.capabilities.extend(cap.map(|cap| {
                let held = cap.held.into_iter();
                let held = held.map(|(window, like)| (window, CapabilityDraft { id: own(like.id), ..like }));
                CapabilityDraft { id: own(cap.id), node: number, held: held.collect(), ..cap }
            }));
        }
        let commands = fields.node("commands").map(|node| self.named(node, "`commands`")).unwrap_or_default();
        for (id, node) in commands {
            let since = self.found.len();
            let command = self.command(&id, node);
            all.note(&own(id.clone()), self, since);
            all.commands.extend(command.map(|command| CommandDraft { id: own(id), node: number, ..command }));
        }
        let events = fields.node("events").map(|node| self.named(node, "`events`")).unwrap_or_default();
        for (id, node) in events {
            let since = self.found.len();
            let event = self.event(&id, node);
            all.note(&own(id.clone()), self, since);
            all.events.extend(event.map(|event| EventDraft { id: own(id), node: number, ..event }));
        }
    }

    fn command(&mut self, id: &At<String>, node: &Node) -> Option<CommandDraft> {
        let fields = self.fields(node, "a command", &COMMAND_KEYS)?;
        let what = format!("the command `{}`", id.value);
        if fields.key("send").is_none() {
            let help = match self.protocol {
                ProtocolKind::Modbus => "such as `send: [{holding: 0x2000, value: 1}]`",
                ProtocolKind::Mqtt => "such as `send: [{topic: ~/cmnd/restart, send: \"1\"}]`",
                ProtocolKind::Coap => "such as `send: [{path: /3/0/4, method: post, send: \"\"}]`",
                ProtocolKind::Line => "such as `send: [{send: \"RESET\"}]`",
                ProtocolKind::Ble => "such as `send: [{char: fff3, send: \"57 01\"}]`",
                ProtocolKind::Zigbee => "such as `send: [{cluster: on_off, command: toggle}]`",
            };
            self.missing(id.span, &what, "send", help);
        }
        let args = fields.node("args").map(|node| self.named(node, "`args`")).unwrap_or_default();
        let steps = fields.node("send").map(|node| self.list(node, "`send`")).unwrap_or_default();
        if steps.len() > MAX_PARTS || args.len() > MAX_PARTS {
            self.error(
                Code::NumberRange,
                id.span,
                format!("{what} has more than {MAX_PARTS} arguments or steps"),
            );
        }
        Some(CommandDraft {
            id: id.clone(),
            node: None,
            description: fields.node("description").and_then(|node| self.text(node)),
            args: args.into_iter().filter_map(|(name, node)| self.arg(name, node)).take(MAX_PARTS).collect(),
            send: steps.iter().filter_map(|node| self.step(node)).take(MAX_PARTS).collect(),
            ttl: fields.node("ttl").and_then(|node| self.duration(node)),
        })
    }

    fn arg(&mut self, name: At<String>, node: &Node) -> Option<ArgDraft> {
        let (kind, default) = self.typed(&name, node, "an argument", &["number"])?;
        Some(ArgDraft { name, kind, default })
    }

    fn step(&mut self, node: &Node) -> Option<StepDraft> {
        let fields = self.fields(node, "a step", &step_keys(self.protocol))?;
        let point = self.point(&fields, "a step");
        if fields.key("value").is_none() && needs_value(&point) {
            self.missing(
                node.span,
                "a step",
                "value",
                "what is written, such as `value: 1` or `value: \"${arg.Name}\"`",
            );
        }
        Some(StepDraft {
            span: node.span,
            point,
            function: fields.node("fc").and_then(|node| self.function(node)),
            read_modify_write: fields.node("rmw").and_then(|node| self.boolean(node)),
            value: fields.node("value").and_then(|node| self.spelling(node)),
        })
    }

    fn event(&mut self, id: &At<String>, node: &Node) -> Option<EventDraft> {
        let fields = self.fields(node, "an event", &EVENT_KEYS)?;
        let what = format!("the event `{}`", id.value);
        let seen = match self.protocol {
            ProtocolKind::Modbus => "what it is seen by, such as `read: {input: 30, bits: 0}`",
            ProtocolKind::Mqtt => "what it is seen by, such as `read: {topic: ~/action}`",
            ProtocolKind::Coap => "what it is seen by, such as `read: {path: /button, observe: true}`",
            ProtocolKind::Line => "what it is seen by, such as `read: {says: \"ALARM $value\"}`",
            ProtocolKind::Ble => "what it is seen by, such as `read: {bthome: button}`",
            ProtocolKind::Zigbee => "what it is seen by, such as `read: {cluster: on_off, command: toggle}`",
        };
        for (key, help) in
            [("read", seen), ("on", "when it happens: `on: true`, `false`, `change` or a list of raw values")]
        {
            if fields.key(key).is_none() {
                self.missing(id.span, &what, key, help);
            }
        }
        let args = fields.node("args").map(|node| self.named(node, "`args`")).unwrap_or_default();
        Some(EventDraft {
            id: id.clone(),
            node: None,
            description: fields.node("description").and_then(|node| self.text(node)),
            read: fields.node("read").and_then(|node| self.read_binding(node)),
            on: fields.node("on").and_then(|node| self.on(node)),
            repeat: fields.node("repeat").and_then(|node| self.boolean(node)),
            poll: fields.node("poll").and_then(|node| self.poll_choice(node)),
            args: args
                .into_iter()
                .filter_map(|(name, node)| Some((name, self.text(node)?)))
                .take(MAX_PARTS)
                .collect(),
        })
    }

    fn on(&mut self, node: &Node) -> Option<At<OnDraft>> {
        let on = match &node.kind {
            Kind::Scalar { text, plain: true } if text == "true" || text == "false" => {
                OnDraft::Becomes(text == "true")
            }
            Kind::Scalar { text, .. } if text == "change" => OnDraft::Change,
            Kind::List(items) if !items.is_empty() => {
                OnDraft::OneOf(items.iter().filter_map(|item| self.spelling(item)).collect())
            }
            _ => {
                let message = format!("{} does not say when the event happens", node.describe());
                self.error(Code::UnknownWord, node.span, message)
                    .help("write true, false, change, or a list of raw values or states");
                return None;
            }
        };
        Some(At::new(on, node.span))
    }

    /// `fingerprint`: one or a list.
    pub(super) fn fingerprints(&mut self, node: &Node) -> Vec<FingerprintDraft> {
        if self.protocol == ProtocolKind::Zigbee {
            let message = "devices of Zigbee say themselves what they are";
            let error = self.error(Code::Protocol, node.span, message);
            error.help("write `manufacturer` and `model` in `zigbee`, and remove `fingerprint`");
            return Vec::new();
        }
        let items = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        items.iter().take(MAX_PARTS).filter_map(|item| self.fingerprint(item)).collect()
    }

    fn fingerprint(&mut self, node: &Node) -> Option<FingerprintDraft> {
        let fields = self.fields(node, "`fingerprint`", &fingerprint_keys(self.protocol))?;
        let point = self.point(&fields, "`fingerprint`");
        let equals = match fields.node("equals") {
            None => {
                self.missing(node.span, "`fingerprint`", "equals", "what a device of this model shows there");
                Vec::new()
            }
            Some(node) => {
                let items =
                    if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
                items.iter().filter_map(|item| self.spelling(item)).collect()
            }
        };
        Some(FingerprintDraft { span: node.span, point, equals })
    }

    /// What a parameter or an argument may be, and its default.
    pub(super) fn typed(
        &mut self,
        name: &At<String>,
        node: &Node,
        what: &str,
        more: &[&str],
    ) -> Option<(ParamKind, Option<At<String>>)> {
        let kinds: Vec<&str> =
            ["enum", "int", "string", "bool"].into_iter().chain(more.iter().copied()).collect();
        let last: &[&str] = if more.is_empty() { &["default", "gives"] } else { &["default"] };
        let keys: Vec<&str> = kinds.iter().chain(last).copied().collect();
        let fields = self.fields(node, what, &keys)?;
        let given: Vec<&str> = kinds.iter().copied().filter(|kind| fields.key(kind).is_some()).collect();
        let [kind] = given.as_slice() else {
            let message = format!("{what}, `{}`, needs exactly one of `{}`", name.value, kinds.join("`, `"));
            self.absent(Code::MissingKey, fields.span, message).help(
                "such as `enum: [L1, L2, L3]`, `int: [1, 8]`, `string: 32` (its greatest length) or `bool: false` (its default)",
            );
            return None;
        };
        let node = fields.node(kind)?;
        let default = fields.node("default").and_then(|node| self.spelling(node));
        let kind = match *kind {
            "enum" => {
                let words = self.list(node, "`enum`").iter().filter_map(|item| self.text(item));
                ParamKind::Enum(words.map(|word| word.value).collect())
            }
            "int" => self.int_range(node)?,
            "number" => self.valid(node).map(|at| ParamKind::Number(at.value.0, at.value.1))?,
            "bool" => {
                let given = self.boolean(node)?;
                return Some((
                    ParamKind::Bool,
                    Some(default.unwrap_or(given.map(|value| value.to_string()))),
                ));
            }
            _ => ParamKind::Text(self.int::<usize>(node, "the length of a text", 1, 256)?.value),
        };
        Some((kind, default))
    }
}
