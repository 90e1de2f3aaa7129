//! `tests`: what is in the device, and what must follow.

use super::Report;
use super::fields::{Fields, MAX_NAMED};
use super::point::TABLES;
use crate::code::Code;
use crate::draft::{At, RunDraft, TestDraft};
use crate::yaml::{Kind, Node};

pub(super) const KEYS: [&str; 9] =
    ["input", "holding", "coil", "discrete", "expect", "invalid", "write", "sends", "refuses"];

impl Report<'_> {
    pub(super) fn tests(&mut self, node: &Node) -> Vec<TestDraft> {
        let tests = self.list(node, "`tests`");
        if tests.len() > MAX_NAMED {
            self.error(Code::NumberRange, node.span, format!("there are more than {MAX_NAMED} tests"));
        }
        tests.iter().take(MAX_NAMED).filter_map(|item| self.test(item)).collect()
    }

    fn test(&mut self, node: &Node) -> Option<TestDraft> {
        let fields = self.fields(node, "a test", &KEYS)?;
        let invalid = fields.node("invalid").map(|node| self.list(node, "`invalid`")).unwrap_or_default();
        Some(TestDraft {
            span: node.span,
            holds: self.runs(&fields),
            expect: self.values(&fields, "expect"),
            invalid: invalid.iter().filter_map(|item| self.text(item)).collect(),
            write: self.values(&fields, "write"),
            sends: fields.node("sends").map(|node| self.sends(node)).unwrap_or_default(),
            refuses: self.values(&fields, "refuses"),
        })
    }

    fn values(&mut self, fields: &Fields<'_>, key: &str) -> Vec<(At<String>, At<String>)> {
        let named = fields.node(key).map(|node| self.named(node, &format!("`{key}`"))).unwrap_or_default();
        named.into_iter().filter_map(|(id, node)| Some((id, self.spelling(node)?))).collect()
    }

    fn sends(&mut self, node: &Node) -> Vec<RunDraft> {
        let fields = self.fields(node, "`sends`", &["holding", "coil"]);
        fields.map(|fields| self.runs(&fields)).unwrap_or_default()
    }

    /// `input: {0: [0x4366, 0x3333], 12: 5}`.
    fn runs(&mut self, fields: &Fields<'_>) -> Vec<RunDraft> {
        let mut runs = Vec::new();
        for (key, table) in TABLES {
            let Some(node) = fields.node(key) else { continue };
            let most = if table.is_bits() { 1 } else { 0xffff };
            for (address, span, values) in self.entries(node, &format!("`{key}`")).unwrap_or_default() {
                let address = Node { kind: Kind::Scalar { text: address.to_owned(), plain: true }, span };
                let items =
                    if let Kind::List(items) = &values.kind { items } else { std::slice::from_ref(values) };
                let values =
                    items.iter().filter_map(|item| self.int(item, "a register or bit", 0, most)).collect();
                runs.extend(self.address(&address, table).map(|address| RunDraft { table, address, values }));
            }
        }
        runs
    }
}
