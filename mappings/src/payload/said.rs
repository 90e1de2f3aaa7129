//! What a device says in a test, and what it is told: messages with their bodies.

use super::body::Body;
use super::doc::Doc;
use super::{Pick, json};
use crate::code::Code;
use crate::draft::At;
use crate::port::DeviceFault;
use crate::read::Report;
use crate::transform::Raw;
use crate::yaml::{Kind, Node};

/// A message of a test: its topic or path, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidDraft {
    /// Topic or path.
    pub place: At<String>,
    /// The body.
    pub body: At<Vec<u8>>,
}

/// Messages in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said(pub(crate) Vec<(String, Vec<u8>)>);

impl Said {
    pub(crate) fn new(drafts: &[SaidDraft]) -> Self {
        Self(drafts.iter().map(|said| (said.place.value.clone(), said.body.value.clone())).collect())
    }

    /// What the newest of these messages that has it says; `None`: none has it.
    pub(crate) fn take(
        &self,
        is_place: impl Fn(&str) -> bool,
        pick: &Pick,
    ) -> Option<Result<Raw, DeviceFault>> {
        let messages = self.0.iter().rev().filter(|(place, _)| is_place(place));
        messages.into_iter().find_map(|(_, body)| Body::new(body, None).take(pick).transpose())
    }

    /// In which these, that were sent, are not what was wanted.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut left: Vec<&(String, Vec<u8>)> = self.0.iter().collect();
        let mut differences = Vec::new();
        for (place, body) in &wanted.0 {
            let sent = left.iter().position(|(known, _)| known == place);
            match sent.map(|at| left.remove(at)) {
                None => differences.push(format!("nothing is sent to {place}")),
                Some((_, sent)) if is_same(sent, body) => {}
                Some((_, sent)) => {
                    differences.push(format!("{place} is sent {}, not {}", shown(sent), shown(body)));
                }
            }
        }
        differences.extend(left.first().map(|(place, body)| format!("{place} is sent {} too", shown(body))));
        differences
    }
}

/// Documents of JSON are compared by what they say, not by how they are spaced and ordered.
fn is_same(sent: &[u8], wanted: &[u8]) -> bool {
    let documents = json::parse(sent).ok().zip(json::parse(wanted).ok());
    sent == wanted || documents.is_some_and(|(sent, wanted)| says_same(&sent, &wanted))
}

fn says_same(one: &Doc, other: &Doc) -> bool {
    match (one, other) {
        (Doc::List(one), Doc::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| says_same(one, other))
        }
        (Doc::Map(one), Doc::Map(other)) => {
            let has = |(key, value): &(Raw, Doc)| {
                other.iter().any(|(known, doc)| known == key && says_same(value, doc))
            };
            one.len() == other.len() && one.iter().all(has)
        }
        (one, other) => one == other,
    }
}

/// A body for people: the text that it is, or its bytes in hexadecimal after `hex `.
pub fn shown(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok("") => "nothing".to_owned(),
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => {
            let digits: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("hex {digits}")
        }
    }
}

impl Report<'_> {
    /// `messages` or `resources`: topics or paths and their bodies; a list where one comes twice.
    pub(crate) fn said(&mut self, node: &Node, what: &str) -> Vec<SaidDraft> {
        let maps = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        let mut said = Vec::new();
        for map in maps {
            for (place, node) in self.named(map, what) {
                let body = self.said_body(node);
                said.extend(body.map(|body| SaidDraft { place, body: At::new(body, node.span) }));
            }
        }
        said
    }

    /// A text as it is, a map or list as JSON; `{hex: …}` and `{cbor: …}` as bytes.
    fn said_body(&mut self, node: &Node) -> Option<Vec<u8>> {
        if let Kind::Map(entries) = &node.kind
            && let [(key, value)] = entries.as_slice()
            && let Kind::Scalar { text, .. } = &key.kind
        {
            match text.as_str() {
                "hex" => return self.hex(value),
                "cbor" => return self.tree(value)?.document().to_cbor().ok(),
                _ => {}
            }
        }
        match &node.kind {
            Kind::Scalar { .. } if node.is_null() => Some(Vec::new()),
            Kind::Scalar { .. } => self.spelling(node).map(|text| text.value.into_bytes()),
            Kind::List(_) | Kind::Map(_) => self.tree(node)?.document().to_json().ok(),
        }
    }

    /// Two digits for each byte.
    pub(crate) fn hex(&mut self, node: &Node) -> Option<Vec<u8>> {
        let text = self.spelling(node)?;
        let digits: Vec<u32> =
            text.value.chars().filter(|c| !c.is_whitespace()).map_while(|c| c.to_digit(16)).collect();
        let count = text.value.chars().filter(|c| !c.is_whitespace()).count();
        if digits.len() != count || !count.is_multiple_of(2) {
            let error = self.error(Code::WrongKind, node.span, format!("`{}` is no bytes", text.value));
            error.help("write two hexadecimal digits for each byte, such as \"e1 16 da 01\"");
            return None;
        }
        let byte = |pair: &[u32]| match pair {
            [high, low] => u8::try_from(high << 4 | low).unwrap_or_default(),
            _ => 0,
        };
        Some(digits.chunks(2).map(byte).collect())
    }
}
