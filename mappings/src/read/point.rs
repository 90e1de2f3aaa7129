//! `read`, `write` and what they have in common.

use std::collections::BTreeSet;

use super::Report;
use super::fields::Fields;
use super::protocol::{read_keys, write_keys};
use super::scalar::{as_boolean, as_text};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, MapDraft, PlaceDraft, PointDraft, ReadDraft, Sentinel, VerifyDraft, WriteDraft};
use crate::mapping::ProtocolKind;
use crate::transform::{Curve, MapTarget};
use crate::yaml::{Kind, Node};

/// What to write for a list of states, or for `{Idle: 0, Running: 1}`.
fn turned(node: &Node) -> Option<String> {
    let word = |node: &Node| match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() && !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let pairs: Vec<(String, String)> = match &node.kind {
        Kind::List(items) => {
            let states: Option<Vec<String>> = items.iter().map(word).collect();
            (0..).map(|raw: u32| raw.to_string()).zip(states?).collect()
        }
        Kind::Map(entries) => {
            let number = |node: &Node| word(node).filter(|text| text.parse::<i64>().is_ok());
            let turned = entries.iter().map(|(state, raw)| Some((number(raw)?, word(state)?)));
            let turned: Option<Vec<_>> = turned.collect();
            turned.filter(|turned| turned.iter().all(|(_, state)| state.parse::<i64>().is_err()))?
        }
        Kind::Scalar { .. } => return None,
    };
    let shown = |state: &dyn Fn(&str) -> String| {
        let pairs: Vec<String> = pairs.iter().map(|(raw, own)| format!("{raw}: {}", state(own))).collect();
        format!("`map: {{{}}}`", pairs.join(", "))
    };
    let booleans: Option<Vec<bool>> = pairs.iter().map(|(_, state)| as_boolean(state)).collect();
    (!pairs.is_empty()).then(|| match booleans {
        Some(_) => {
            let states = shown(&|state| as_boolean(state).unwrap_or_default().to_string());
            let words = shown(&|state| format!("\"{state}\""));
            format!("write {states} for what is true or false, or {words} for states with names")
        }
        None => format!("write {}", shown(&as_text)),
    })
}

impl Report<'_> {
    pub(super) fn read_binding(&mut self, node: &Node) -> Option<ReadDraft> {
        let fields = self.fields(node, "`read`", &read_keys(self.protocol))?;
        let point = self.point(&fields, "`read`");
        self.placeless(&fields);
        let within = fields.node("within").and_then(|node| self.duration(node));
        Some(ReadDraft { span: node.span, point, within })
    }

    pub(super) fn write_binding(&mut self, node: &Node) -> Option<WriteDraft> {
        let fields = self.fields(node, "`write`", &write_keys(self.protocol))?;
        Some(WriteDraft {
            span: node.span,
            point: self.point(&fields, "`write`"),
            function: fields.node("fc").and_then(|node| self.function(node)),
            read_modify_write: fields.node("rmw").and_then(|node| self.boolean(node)),
            verify: fields.node("verify").and_then(|node| self.verify(node)),
            ttl: fields.node("ttl").and_then(|node| self.duration(node)),
            rate: fields.node("rate").and_then(|node| self.duration(node)),
            coalesce: fields.node("coalesce").and_then(|node| self.boolean(node)),
            undo: fields.node("undo").and_then(|node| self.boolean(node)),
        })
    }

    pub(super) fn point(&mut self, fields: &Fields<'_>, what: &str) -> PointDraft {
        PointDraft {
            at: if self.protocol == ProtocolKind::Modbus {
                self.place_of(fields, what)
            } else {
                PlaceDraft::default()
            },
            message: self.message(fields, what),
            map: fields.node("map").and_then(|node| self.value_map(node)),
            scale: fields.node("scale").and_then(|node| self.decimal(node)),
            offset: fields.node("offset").and_then(|node| self.decimal(node)),
            curve: fields.node("curve").and_then(|node| self.choice(node, "a curve", &Curve::ALL)),
            invert: fields.node("invert").and_then(|node| self.boolean(node)),
            invalid: fields.node("invalid").map(|node| self.sentinels(node)).unwrap_or_default(),
        }
    }

    fn value_map(&mut self, node: &Node) -> Option<MapDraft> {
        if let Some(help) = turned(node) {
            let message = "`map` has the raw value first and its state behind it";
            self.error(Code::WrongKind, node.span, message).help(help);
            return None;
        }
        let (entries, texts) = (Vec::new(), Vec::new());
        let mut draft = MapDraft { span: node.span, entries, texts, default: None, unquoted: Vec::new() };
        let mut seen = BTreeSet::new();
        for (key, span, value) in self.entries(node, "`map`")? {
            let target = self.target(value, &mut draft.unquoted);
            if key == "default" {
                draft.default = target;
                continue;
            }
            let is_number = key.strip_prefix('-').unwrap_or(key).starts_with(|c: char| c.is_ascii_digit());
            if !is_number || self.is_quoted(span) {
                let key = At::new(key.to_owned(), span);
                draft.texts.extend(target.map(|target| (key, target)));
                continue;
            }
            let key = Node { kind: Kind::Scalar { text: key.to_owned(), plain: true }, span };
            let Some((raw, target)) = self.integer(&key).zip(target) else { continue };
            if seen.insert(raw.value) {
                draft.entries.push((raw, target));
            } else {
                let message = format!("the raw value {} is mapped twice", raw.value);
                self.error(Code::MapRaw, span, message).help("keep one of the two");
            }
        }
        Some(draft)
    }

    /// A word such as `off` is judged later, with the class, which says whether it stands for a state or for false.
    fn target(&mut self, node: &Node, unquoted: &mut Vec<Span>) -> Option<At<MapTarget>> {
        match &node.kind {
            Kind::Scalar { text, plain: true } if text == "true" || text == "false" => {
                Some(At::new(MapTarget::Bool(text == "true"), node.span))
            }
            Kind::Scalar { text, plain: true } if as_boolean(text).is_some() => {
                unquoted.push(node.span);
                Some(At::new(MapTarget::Text(text.clone()), node.span))
            }
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => Some(self.text(node)?.map(MapTarget::Text)),
        }
    }

    fn sentinels(&mut self, node: &Node) -> Vec<At<Sentinel>> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| self.sentinel(item)).collect(),
            Kind::Scalar { .. } | Kind::Map(_) => self.sentinel(node).into_iter().collect(),
        }
    }

    fn sentinel(&mut self, node: &Node) -> Option<At<Sentinel>> {
        let number = self.integer(node)?;
        let hexadecimal = matches!(&node.kind, Kind::Scalar { text, .. } if text.starts_with("0x"));
        Some(number.map(|number| Sentinel { number, hexadecimal }))
    }

    fn verify(&mut self, node: &Node) -> Option<At<VerifyDraft>> {
        match &node.kind {
            Kind::Scalar { text, plain: true } if text == "false" => {
                Some(At::new(VerifyDraft::Off, node.span))
            }
            Kind::Scalar { text, plain: true } if text == "true" => {
                let message = "`verify` needs to know how long";
                self.error(Code::Duration, node.span, message)
                    .fix("1s")
                    .help("write `verify: 1s`, or leave it away");
                None
            }
            Kind::Map(_) => {
                let fields = self.fields(node, "`verify`", &["by", "within"])?;
                let within = fields.node("within").and_then(|node| self.duration(node)).map(|at| at.value);
                let Some(by) = fields.node("by") else {
                    self.missing(
                        node.span,
                        "`verify`",
                        "by",
                        "the capability that must show what was written",
                    );
                    return None;
                };
                let by = self.text(by)?;
                Some(At::new(VerifyDraft::By { by, within }, node.span))
            }
            Kind::Scalar { text, .. }
                if text.chars().all(|c| c.is_ascii_alphabetic() || c == '-') && !text.is_empty() =>
            {
                let message = format!("`verify: {text}` does not say for how long");
                let error = self.error(Code::Duration, node.span, message);
                error.help(format!(
                    "write `verify: {{by: {text}}}` if the capability `{text}` shows what was written, or a duration such as `1s`"
                ));
                None
            }
            Kind::Scalar { .. } | Kind::List(_) => Some(self.duration(node)?.map(VerifyDraft::Within)),
        }
    }
}
