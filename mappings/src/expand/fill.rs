//! `when` and `${…}`.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::compile::Params;
use crate::compile::params::refuse;
use crate::draft::{ParamDraft, ParamKind};
use crate::read::Report;
use crate::words::suggestion;
use crate::yaml::{Kind, Node, value, word};

/// Keys whose texts may hold parameters among other words.
const TEXTS: [&str; 8] = ["name", "description", "path", "topic", "send", "says", "find", "ack"];

/// The tree for these parameters.
pub(super) fn expand(report: &mut Report<'_>, root: &Node, kinds: &[ParamDraft], params: &Params) -> Node {
    let mut filler = Filler { report, kinds, values: values(kinds, params) };
    let Kind::Map(entries) = &root.kind else { return root.clone() };
    let expanded = entries.iter().map(|(key, value)| match word(key) {
        // What parameters are cannot depend on parameters.
        Some("params") => Some((key.clone(), value.clone())),
        name => Some((key.clone(), filler.node(value, name)?)),
    });
    Node { kind: Kind::Map(expanded.flatten().collect()), span: root.span }
}

/// Text of each name that may stand in `${…}`, and whether it stands there without quotes.
fn values(kinds: &[ParamDraft], params: &Params) -> BTreeMap<String, (String, bool)> {
    let mut values = BTreeMap::new();
    for param in kinds {
        let Some(value) = params.get(&param.name.value) else { continue };
        let plain = matches!(param.kind, ParamKind::Int(..) | ParamKind::Number(..) | ParamKind::Bool);
        values.insert(param.name.value.clone(), (value.to_owned(), plain));
        let Some(place) = place(&param.kind, value) else { continue };
        for (name, given) in &param.gives {
            if let Some((text, plain)) = given.get(place) {
                values.insert(name.value.clone(), (text.value.clone(), *plain));
            }
        }
    }
    values
}

/// Which one of the values that a parameter may have this is.
fn place(kind: &ParamKind, value: &str) -> Option<usize> {
    match kind {
        ParamKind::Enum(words) => words.iter().position(|word| word == value),
        ParamKind::Bool => Some(usize::from(value == "true")),
        ParamKind::Int(min, _) => usize::try_from(value.parse::<i64>().ok()?.checked_sub(*min)?).ok(),
        ParamKind::Number(..) | ParamKind::Text(_) => None,
    }
}

struct Filler<'a, 'r, 'f> {
    report: &'a mut Report<'f>,
    kinds: &'r [ParamDraft],
    values: BTreeMap<String, (String, bool)>,
}

impl Filler<'_, '_, '_> {
    /// `None` for what does not apply.
    fn node(&mut self, node: &Node, key: Option<&str>) -> Option<Node> {
        let kind = match &node.kind {
            Kind::Scalar { text, .. } if text.contains("${") => self.scalar(node, text, key),
            Kind::Scalar { .. } => node.kind.clone(),
            Kind::List(items) => Kind::List(items.iter().filter_map(|item| self.node(item, None)).collect()),
            Kind::Map(entries) => {
                if let Some(condition) = value(node, "when")
                    && !self.applies(condition)
                {
                    return None;
                }
                let kept = entries.iter().filter(|(key, _)| word(key) != Some("when"));
                Kind::Map(
                    kept.filter_map(|(key, value)| Some((key.clone(), self.node(value, word(key))?)))
                        .collect(),
                )
            }
        };
        Some(Node { kind, span: node.span })
    }

    /// Whether the parameters are as `when` wants them; what cannot be understood does apply.
    fn applies(&mut self, condition: &Node) -> bool {
        let Kind::Map(entries) = &condition.kind else {
            let error = self.report.error(Code::Condition, condition.span, "`when` must be a map");
            error.help("such as `when: {phase: L1}`, or `when: {phase: [L1, L2]}`");
            return true;
        };
        if entries.is_empty() {
            let error = self.report.error(Code::Condition, condition.span, "`when` names no parameter");
            error.help("such as `when: {phase: L1}`, or remove it");
        }
        // Not `all`: each entry is to be looked at.
        let met: Vec<bool> = entries.iter().map(|(name, wanted)| self.is_met(name, wanted)).collect();
        met.into_iter().all(|met| met)
    }

    fn is_met(&mut self, name: &Node, wanted: &Node) -> bool {
        let text = word(name).unwrap_or_default();
        let kinds = self.kinds;
        let Some(param) = kinds.iter().find(|param| param.name.value == text) else {
            let names: Vec<&str> = kinds.iter().map(|param| param.name.value.as_str()).collect();
            let error =
                self.report.error(Code::Condition, name.span, format!("there is no parameter `{text}`"));
            error.suggest(text, &names);
            return true;
        };
        let items = if let Kind::List(items) = &wanted.kind { items } else { std::slice::from_ref(wanted) };
        let mut met = false;
        for item in items {
            let Some(wanted) = word(item) else {
                self.report.wrong_kind(item, "a condition must name a value");
                return true;
            };
            if let Some((message, help)) = refuse(param, wanted) {
                self.report.error(Code::Condition, item.span, message).help(help);
                return true;
            }
            met |= self.values.get(text).is_some_and(|(value, _)| value == wanted);
        }
        met
    }

    fn scalar(&mut self, node: &Node, text: &str, key: Option<&str>) -> Kind {
        if is_later(text) {
            return node.kind.clone();
        }
        let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let whole = whole.filter(|name| !name.contains("${") && !name.contains('}'));
        if let Some((value, plain)) = whole.and_then(|name| self.values.get(name)) {
            return Kind::Scalar { text: value.clone(), plain: *plain };
        }
        let is_text = key.is_some_and(|key| TEXTS.contains(&key));
        let filled = self.filled(text);
        match (filled, is_text) {
            (Ok(text), true) => return Kind::Scalar { text, plain: false },
            (Ok(_), false) => {
                let message = format!("`{text}`: a parameter must be the whole value here");
                let error = self.report.error(Code::Placeholder, node.span, message);
                error.help(
                    "only a `name`, a `description`, a `path`, a `topic` and what is sent and said (`send`, `says`, `find`, `ack`) may hold other words; an address may be a list, which is added up",
                );
            }
            (Err((message, help)), _) => self.report.error(Code::Placeholder, node.span, message).help(help),
        }
        // What is wrong once is not to be wrong again as a number.
        if is_text { node.kind.clone() } else { Kind::Scalar { text: "0".to_owned(), plain: true } }
    }

    /// The text with each `${name}` replaced. Errors: message and help.
    fn filled(&self, text: &str) -> Result<String, (String, String)> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                let help = "write `${name}` with the name of a parameter";
                return Err(("`${` without `}`".to_owned(), help.to_owned()));
            };
            let Some((value, _)) = self.values.get(name) else {
                let names: Vec<&str> = self.values.keys().map(String::as_str).collect();
                return Err((format!("there is no parameter `{name}`"), suggestion(name, &names)));
            };
            out.push_str(before);
            out.push_str(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// What is put in when a command is called or an event happens.
fn is_later(text: &str) -> bool {
    let mut places = text.split("${").skip(1).peekable();
    text == "${value}"
        || places.peek().is_some() && places.all(|place| place.starts_with("arg.") && place.contains('}'))
}

/// Every name in a `${…}` or a `when`.
pub(super) fn mentioned(node: &Node, names: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            let parts = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            names.extend(parts.map(|(name, _)| name.to_owned()));
        }
        Kind::List(items) => items.iter().for_each(|item| mentioned(item, names)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                if let (Some("when"), Kind::Map(conditions)) = (word(key), &value.kind) {
                    names.extend(conditions.iter().filter_map(|(name, _)| word(name)).map(str::to_owned));
                }
                mentioned(value, names);
            }
        }
    }
}
