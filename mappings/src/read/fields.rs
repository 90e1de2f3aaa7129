//! Maps with known keys, maps with names for keys, and lists.

use std::collections::BTreeMap;

use super::{Report, place};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::words::only_nearest;
use crate::yaml::{Kind, Node};

/// Most entries of a map or list that grows with the device or the site.
pub(crate) const MAX_NAMED: usize = 4096;

/// A key, its place and its value.
pub(crate) type Entry<'n> = (&'n str, Span, &'n Node);

/// The entries of a map that has fixed keys.
pub(crate) struct Fields<'n> {
    pub(crate) span: Span,
    entries: Vec<(&'n str, Span, &'n Node)>,
    /// A key whose value has been reported already.
    broken: Option<&'n str>,
}

impl<'n> Fields<'n> {
    pub(crate) fn node(&self, key: &str) -> Option<&'n Node> {
        let usable = |known: &str| known == key && self.broken != Some(known);
        self.entries.iter().find(|(known, ..)| usable(known)).map(|(.., node)| *node)
    }

    pub(crate) fn key(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|(known, ..)| *known == key).map(|(_, span, _)| *span)
    }
}

impl Report<'_> {
    /// A map with these keys; anything else in it is reported.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Option<Fields<'n>> {
        #[cfg(test)]
        super::seen::note(what, keys);
        let mut entries: Vec<(&str, Span, &Node)> = Vec::new();
        let mut meant = Vec::new();
        let mut broken = None;
        let protocol = self.protocol;
        for (key, span, value) in self.pairs(node, what)? {
            if keys.contains(&key) {
                entries.push((key, span, value));
            } else if let Some((last, ..)) = entries.last().filter(|last| is_fraction(last.2, key, value)) {
                broken = Some(*last);
                self.decimal_comma(entries.last().map_or(span, |last| last.2.span), span, key);
            } else if let Some((word, rest)) = joined(key, value).filter(|_| !self.is_quoted(span)) {
                meant.extend(place::meant(word, keys));
                self.no_space(span, word, &format!("{word}: {rest}"));
            } else {
                meant.extend(place::meant(key, keys));
                let message = format!("{what} has no key `{key}`");
                let error = self.error(Code::UnknownKey, span, message);
                let own = only_nearest(key, keys.iter().copied());
                let error = match own.filter(|_| place::foreign(key, keys).is_none()) {
                    Some(word) => error.fix(word),
                    None => error,
                };
                error.help(place::help(what, key, keys, protocol));
            }
        }
        self.meant = meant;
        Some(Fields { span: node.span, entries, broken })
    }

    /// `class:LevelSensor` is one word.
    fn no_space(&mut self, span: Span, word: &str, whole: &str) {
        let message = format!("the colon behind `{word}` has no space behind it");
        let first = whole.lines().next().unwrap_or_default();
        self.error(Code::YamlTrap, span, message).fix(whole).help(format!("write `{first}`"));
    }

    /// `{scale: 0,1}` is read as `{scale: 0, 1: null}`.
    fn decimal_comma(&mut self, whole: Span, part: Span, digits: &str) {
        let span = Span { end: part.end, ..whole };
        let whole = self.source(whole).to_owned();
        self.error(Code::YamlTrap, span, "a decimal comma divides the number in two")
            .fix(format!("{whole}.{digits}"))
            .help(format!("write {whole}.{digits}"));
    }

    /// A map whose keys are names that the file chooses, at most [`MAX_NAMED`].
    pub(crate) fn named<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(At<String>, &'n Node)> {
        let mut entries = self.entries(node, what).unwrap_or_default();
        if entries.len() > MAX_NAMED {
            self.error(Code::NumberRange, node.span, format!("{what} has more than {MAX_NAMED} entries"));
            entries.truncate(MAX_NAMED);
        }
        entries.into_iter().map(|(key, span, node)| (At::new(key.to_owned(), span), node)).collect()
    }

    /// Every entry of a map whose keys the file chooses, in the order of the file; of equal keys the first.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<Vec<Entry<'n>>> {
        let mut entries = self.pairs(node, what)?;
        entries.retain(|(key, span, value)| match joined(key, value).filter(|_| !self.is_quoted(*span)) {
            Some((word, rest)) => {
                self.no_space(*span, word, &format!("{word}: {rest}"));
                false
            }
            None => true,
        });
        Some(entries)
    }

    /// Every entry of a map in the order of the file; of equal keys the first.
    fn pairs<'n>(&mut self, node: &'n Node, what: &str) -> Option<Vec<Entry<'n>>> {
        let Kind::Map(pairs) = &node.kind else {
            self.wrong_kind(node, &format!("{what} must be a map"));
            return None;
        };
        let mut entries: Vec<(&str, Span, &Node)> = Vec::new();
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, value) in pairs {
            let Kind::Scalar { text, .. } = &key.kind else {
                self.wrong_kind(key, "a key must be a word");
                continue;
            };
            if key.is_null() {
                let message = format!("the key `{text}` is nothing to YAML readers, and a word was expected");
                let error = self.error(Code::YamlTrap, key.span, message);
                let error = if text.is_empty() { error } else { error.fix(format!("\"{text}\"")) };
                error.help("put it in quotes, or choose another name");
                continue;
            }
            match lines.get(text.as_str()) {
                Some(first) => {
                    let message = format!("the key `{text}` is already on line {first}");
                    self.error(Code::DuplicateKey, key.span, message).help("keep one of the two");
                }
                None => {
                    lines.insert(text, key.span.line);
                    entries.push((text, key.span, value));
                }
            }
        }
        Some(entries)
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) => items,
            Kind::Map(_) | Kind::Scalar { .. } => {
                self.wrong_kind(node, &format!("{what} must be a list"));
                &[]
            }
        }
    }

    /// A list of exactly two.
    pub(crate) fn pair<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        example: &str,
    ) -> Option<(&'n Node, &'n Node)> {
        if let Kind::List(items) = &node.kind
            && let [first, second] = items.as_slice()
        {
            return Some((first, second));
        }
        let message = format!("{what} must be a list of two, not {}", node.describe());
        self.error(Code::WrongKind, node.span, message).help(format!("write it like `{example}`"));
        None
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, message: &str) {
        if message.ends_with("a map")
            && let Some((word, whole)) = spaced(self.source(node.span))
        {
            self.no_space(node.span, &word, &whole);
            return;
        }
        if let Some(help) = shape(message) {
            self.error(Code::WrongKind, node.span, format!("{message}, not {}", node.describe())).help(help);
            return;
        }
        let help = match &node.kind {
            _ if node.is_null() => "write a value, or remove the key",
            _ if message.ends_with("a map") => "write `{key: value, …}`, or one key a line and indented",
            _ if message.ends_with("a list") => "write `[one, two]`, or one entry a line after `- `",
            _ => "write a single value, without brackets and keys",
        };
        self.error(Code::WrongKind, node.span, format!("{message}, not {}", node.describe())).help(help);
    }

    pub(crate) fn missing(&mut self, span: Span, what: &str, key: &str, help: impl Into<String>) {
        // A slip of the finger is one mistake, not two.
        if !self.meant.iter().any(|meant| meant == key) {
            self.absent(Code::MissingKey, span, format!("{what} needs the key `{key}`")).help(help);
        }
    }
}

/// What two words are, of which the first is a key, where a map has but one.
fn joined<'k>(key: &'k str, value: &Node) -> Option<(&'k str, &'k str)> {
    glued(key).filter(|_| value.is_null())
}

/// `input:5` or `input:5` and `as:u16` on lines of their own: the first key, and all of it with spaces.
fn spaced(text: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut whole = Vec::new();
    for line in &lines {
        let (word, rest) = glued(line)?;
        whole.push(format!("{word}: {rest}"));
    }
    let (word, _) = glued(lines.first()?)?;
    Some((word.to_owned(), whole.join("\n")))
}

/// The key and the value of `key:value`.
pub(crate) fn glued(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(':')?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = rest.starts_with(|c: char| !c.is_whitespace() && c != '/' && c != ':');
    (!word.trim().is_empty() && word.trim().chars().all(is_key) && begins).then_some((word, rest))
}

/// How what was expected is written.
fn shape(message: &str) -> Option<String> {
    let what = message.strip_suffix(" must be a map").or_else(|| message.strip_suffix(" must be a list"))?;
    let example = match what {
        "`poll`" => "poll: {default: 2s}",
        "`device`" => "device: {type: Sensor}",
        "`read`" => "read: {input: 0, as: u16}",
        "`write`" => "write: {}` for where it is read, or `write: {holding: 0}",
        "`map`" => "map: {0: Idle, 1: Running}",
        "`values`" => "values: {Latitude: {input: 0, as: f32}, Longitude: {input: 2, as: f32}}",
        "`modbus`" => "modbus: {timeout: 500ms}",
        "`online`" => "online: {down: {fails: 3}}",
        "`down`" => "down: {fails: 3}",
        "`exponent`" => "exponent: {holding: 41}",
        "`capabilities`" => {
            "capabilities: {power: {class: LevelSensor, type: Power, unit: W, read: {input: 0}}}"
        }
        "`buses`" => "buses: {plant: {modbus_tcp: \"192.168.1.20:502\"}}",
        "`devices`" => "devices: {meter: {use: usp.demo-meter, bus: plant, unit: 1}}",
        "a bus" => "plant: {modbus_tcp: \"192.168.1.20:502\"}",
        "a device" => "meter: {use: usp.demo-meter, bus: plant, unit: 1}",
        "a capability" => "power: {class: LevelSensor, type: Power, unit: W, read: {input: 0}}",
        "`tests`" => "tests: [{input: {0: 215}, expect: {temperature: 21.5}}]",
        "a test" => "{input: {0: 215}, expect: {temperature: 21.5}}",
        "`expect`" => "expect: {temperature: 21.5}",
        "`input`" => "input: {0: 215}",
        "`holding`" => "holding: {0: 215}",
        "`sends`" => "sends: {holding: {0: 215}}",
        _ => return None,
    };
    Some(format!("write `{example}`"))
}

/// Whether a decimal comma divided a number into these two.
fn is_fraction(whole: &Node, part: &str, after: &Node) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole =
        matches!(&whole.kind, Kind::Scalar { text, plain: true } if digits(text.trim_start_matches('-')));
    is_whole && after.is_null() && digits(part)
}
