//! Walking a foreign file: what was asked for is known, the rest can be told.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::model::Notes;
use crate::diagnostic::SourceFile;
use crate::value::parse_decimal;
use crate::yaml::{self, Kind, Node};

/// A map of which it is noted what was looked at.
pub(super) struct Map<'n> {
    entries: &'n [(Node, Node)],
    pub(super) line: usize,
    used: RefCell<BTreeSet<&'n str>>,
    /// Keys whose values are not of the kind that they should be.
    misread: RefCell<BTreeSet<&'n str>>,
}

/// Why a value of the wrong kind is left out.
const MISREAD: &str = "its value cannot be read, and counts as not given";

impl<'n> Map<'n> {
    /// `None`: the node is no map.
    pub(super) fn of(node: &'n Node) -> Option<Self> {
        match &node.kind {
            Kind::Map(entries) => Some(Self {
                entries,
                line: node.span.line,
                used: RefCell::default(),
                misread: RefCell::default(),
            }),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    fn find(&self, key: &str) -> Option<(&'n str, &'n Node)> {
        let (key, node) = self.entries.iter().find(|(node, _)| scalar(node) == Some(key))?;
        Some((scalar(key)?, node)).filter(|(_, node)| !node.is_null())
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// What a key has. It counts as looked at.
    pub(super) fn node(&self, key: &str) -> Option<&'n Node> {
        let (key, node) = self.find(key)?;
        self.used.borrow_mut().insert(key);
        Some(node)
    }

    /// What a key has, understood. What cannot be understood is told with the rest.
    fn read<T>(&self, key: &str, understand: impl FnOnce(&'n Node) -> Option<T>) -> Option<T> {
        let (key, node) = self.find(key)?;
        let value = understand(node);
        let known = if value.is_some() { &self.used } else { &self.misread };
        known.borrow_mut().insert(key);
        value
    }

    /// The line of a key's value, or of the whole.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.find(key).map_or(self.line, |(_, node)| node.span.line)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'n str> {
        self.node(key).and_then(scalar)
    }

    /// Whether a key says this. Only then does it count as looked at.
    pub(super) fn says(&self, key: &str, value: &str) -> bool {
        let says = self.find(key).is_some_and(|(_, node)| scalar(node) == Some(value));
        says && self.node(key).is_some()
    }

    /// A whole number, decimal or with `0x`.
    pub(super) fn int(&self, key: &str) -> Option<i128> {
        self.read(key, int)
    }

    /// A register's address.
    pub(super) fn address(&self, key: &str) -> Option<u16> {
        u16::try_from(self.int(key)?).ok()
    }

    pub(super) fn decimal(&self, key: &str) -> Option<Decimal> {
        self.read(key, |node| decimal(scalar(node)?))
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.read(key, |node| match scalar(node)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        })
    }

    pub(super) fn map(&self, key: &str) -> Option<Self> {
        self.node(key).and_then(Self::of)
    }

    /// A whole number that does not count as looked at.
    pub(super) fn peek_int(&self, key: &str) -> Option<i128> {
        int(self.find(key)?.1)
    }

    /// Whether there is such a key, though it may have nothing.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.entries.iter().any(|(node, _)| scalar(node) == Some(key))
    }

    /// A map that does not count as looked at.
    pub(super) fn peek(&self, key: &str) -> Option<Self> {
        Self::of(self.find(key)?.1)
    }

    /// The items of a list that does not count as looked at.
    pub(super) fn peek_items(&self, key: &str) -> &'n [Node] {
        match self.find(key) {
            Some((_, Node { kind: Kind::List(items), .. })) => items,
            _ => &[],
        }
    }

    /// The items of a list; a thing that is none counts as a list of one, as several programs take it.
    pub(super) fn items(&self, key: &str) -> &'n [Node] {
        match self.node(key) {
            Some(Node { kind: Kind::List(items), .. }) => items,
            Some(other) => std::slice::from_ref(other),
            None => &[],
        }
    }

    /// Keys with their values, in the order of the file. All count as looked at.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'n str, &'n Node)> {
        let pairs = self.entries.iter().filter_map(|(key, value)| Some((scalar(key)?, value)));
        self.used.borrow_mut().extend(self.entries.iter().filter_map(|(key, _)| scalar(key)));
        pairs
    }

    /// Notes everything that was not looked at: with its own reason if there is one, else with the general one.
    pub(super) fn leave_rest(&self, what: &str, reasons: &[(&str, &str)], general: &str, notes: &mut Notes) {
        let (used, misread) = (self.used.borrow(), self.misread.borrow());
        for (key, value) in self.entries {
            let Some(name) = scalar(key).filter(|name| !used.contains(name) && !value.is_null()) else {
                continue;
            };
            let reason = match reasons.iter().find(|(known, _)| *known == name) {
                _ if misread.contains(name) => MISREAD,
                Some((_, why)) => why,
                None => general,
            };
            notes.add(key.span.line, format!("{what}: {name}"), reason);
        }
    }
}

/// Takes out values that stand in another file: what is here is only what they are called.
pub(super) fn drop_secrets(file: &SourceFile, root: &mut Node, notes: &mut Notes) {
    match &mut root.kind {
        Kind::Scalar { .. } => {}
        Kind::List(items) => items.iter_mut().for_each(|item| drop_secrets(file, item, notes)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                let tag = yaml::tag_before(file, value).map(|(_, tag)| tag);
                let Some(tag) = tag.filter(|tag| ["!secret", "!env_var"].contains(tag)) else {
                    drop_secrets(file, value, notes);
                    continue;
                };
                let what = format!(
                    "{}: {tag} {}",
                    scalar(key).unwrap_or_default(),
                    scalar(value).unwrap_or_default()
                );
                notes.add(value.span.line, what, "it stands in another file, and counts as not given");
                value.kind = Kind::Scalar { text: String::new(), plain: true };
            }
        }
    }
}

/// The text of a scalar.
pub(super) fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

pub(super) fn int(node: &Node) -> Option<i128> {
    parse_int(scalar(node)?)
}

pub(super) fn parse_int(text: &str) -> Option<i128> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Also with an exponent, as `1e-3`.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    if let Some(int) = parse_int(text).filter(|_| text.contains(['x', 'X'])) {
        return Decimal::try_from_i128_with_scale(int, 0).ok();
    }
    let plain = parse_decimal(text).ok();
    plain.or_else(|| Decimal::from_scientific(text).ok()).map(|number| number.normalize())
}
