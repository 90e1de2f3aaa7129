//! `tests`: what is in the device, and what must follow.

use super::Report;
use super::fields::{Fields, MAX_NAMED};
use crate::code::Code;
use crate::draft::{At, CallDraft, HeldDraft, TestDraft};
use crate::mapping::ProtocolKind;
use crate::yaml::Node;

/// What a device holds or says, by protocol.
fn held_keys(kind: ProtocolKind) -> &'static [&'static str] {
    match kind {
        ProtocolKind::Modbus => &["input", "holding", "coil", "discrete"],
        ProtocolKind::Mqtt => &["messages"],
        ProtocolKind::Coap => &["resources"],
        ProtocolKind::Line => &["heard", "replies"],
        ProtocolKind::Ble => &["adverts", "chars"],
        ProtocolKind::Zigbee => &["attributes", "frames"],
    }
}

/// What every test may have.
const COMMON_KEYS: [&str; 9] =
    ["params", "before", "expect", "invalid", "fires", "write", "command", "sends", "refuses"];

/// The keys of a test.
pub(crate) fn keys(kind: ProtocolKind) -> Vec<&'static str> {
    held_keys(kind).iter().copied().chain(COMMON_KEYS).collect()
}

impl Report<'_> {
    pub(super) fn tests(&mut self, node: &Node) -> Vec<TestDraft> {
        let tests = self.list(node, "`tests`");
        if tests.len() > MAX_NAMED {
            self.error(Code::NumberRange, node.span, format!("there are more than {MAX_NAMED} tests"));
        }
        tests.iter().take(MAX_NAMED).filter_map(|item| self.test(item)).collect()
    }

    fn test(&mut self, node: &Node) -> Option<TestDraft> {
        let since = self.found.len();
        let fields = self.fields(node, "a test", &keys(self.protocol))?;
        let test = TestDraft {
            span: node.span,
            holds: self.held(&fields),
            expect: self.values(&fields, "expect"),
            invalid: fields.node("invalid").map(|node| self.names(node, "`invalid`")).unwrap_or_default(),
            write: self.values(&fields, "write"),
            params: self.values(&fields, "params"),
            before: fields.node("before").map(|node| self.before(node)).unwrap_or_default(),
            fires: fields.node("fires").map(|node| self.names(node, "`fires`")),
            command: fields.node("command").map(|node| self.commands(node)).unwrap_or_default(),
            sends: fields.node("sends").map(|node| self.sends(node)).unwrap_or_default(),
            refuses: self.values(&fields, "refuses"),
            flawed: false,
        };
        Some(TestDraft { flawed: self.flaw(since).is_some(), ..test })
    }

    fn values(&mut self, fields: &Fields<'_>, key: &str) -> Vec<(At<String>, At<String>)> {
        let named = fields.node(key).map(|node| self.named(node, &format!("`{key}`"))).unwrap_or_default();
        named.into_iter().filter_map(|(id, node)| Some((id, self.spelling(node)?))).collect()
    }

    fn names(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        self.list(node, what).iter().filter_map(|item| self.text(item)).collect()
    }

    /// `command: {X_ACME_Reset: {Minutes: 5}}`.
    fn commands(&mut self, node: &Node) -> Vec<CallDraft> {
        let mut commands = Vec::new();
        for (id, node) in self.named(node, "`command`") {
            let args = self.named(node, "a command").into_iter();
            commands.push((id, args.filter_map(|(name, node)| Some((name, self.spelling(node)?))).collect()));
        }
        commands
    }

    fn before(&mut self, node: &Node) -> HeldDraft {
        let fields = self.fields(node, "`before`", held_keys(self.protocol));
        fields.map(|fields| self.held(&fields)).unwrap_or_default()
    }

    fn held(&mut self, fields: &Fields<'_>) -> HeldDraft {
        let (key, what) = match self.protocol {
            ProtocolKind::Modbus => return HeldDraft { runs: self.runs(fields), said: Vec::new() },
            ProtocolKind::Mqtt => ("messages", "`messages`"),
            ProtocolKind::Coap => ("resources", "`resources`"),
            ProtocolKind::Line => return HeldDraft { runs: Vec::new(), said: self.line_held(fields) },
            ProtocolKind::Ble => return HeldDraft { runs: Vec::new(), said: self.ble_held(fields) },
            ProtocolKind::Zigbee => return HeldDraft { runs: Vec::new(), said: self.zigbee_held(fields) },
        };
        let said = fields.node(key).map(|node| self.said(node, what)).unwrap_or_default();
        HeldDraft { runs: Vec::new(), said }
    }

    fn sends(&mut self, node: &Node) -> HeldDraft {
        if self.protocol == ProtocolKind::Line {
            return HeldDraft { runs: Vec::new(), said: self.line_sends(node) };
        }
        if self.protocol == ProtocolKind::Ble {
            return HeldDraft { runs: Vec::new(), said: self.ble_sends(node) };
        }
        if self.protocol == ProtocolKind::Zigbee {
            return HeldDraft { runs: Vec::new(), said: self.zigbee_frames(node, "`sends`") };
        }
        if self.protocol != ProtocolKind::Modbus {
            return HeldDraft { runs: Vec::new(), said: self.said(node, "`sends`") };
        }
        let fields = self.fields(node, "`sends`", &["holding", "coil"]);
        let runs = fields.map(|fields| self.runs(&fields)).unwrap_or_default();
        HeldDraft { runs, said: Vec::new() }
    }
}
