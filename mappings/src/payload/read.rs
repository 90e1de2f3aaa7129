//! Reading where a value is in a body, and bodies that are written out.

use super::draft::{AsDraft, BodyDraft, FormDraft, FormatDraft};
use super::{Pointer, Tree};
use crate::code::Code;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::value::parse_decimal;
use crate::yaml::{Kind, Node};

/// The keys of a value that is taken out of a body.
pub(crate) const PICK_KEYS: [&str; 9] =
    ["json", "cbor", "senml", "tlv", "bytes", "as", "length", "order", "bits"];

/// The keys of a body that is made, beside these.
pub(crate) const SEND_KEYS: [&str; 2] = ["send", "format"];

/// The forms that a body can have.
const FORMS: [&str; 5] = ["json", "cbor", "senml", "tlv", "bytes"];

pub(crate) const KINDS: [(&str, AsDraft); 19] = [
    ("int", AsDraft::Int),
    ("uint", AsDraft::Uint),
    ("float", AsDraft::Float),
    ("bool", AsDraft::Bool),
    ("string", AsDraft::Text),
    ("raw", AsDraft::Raw),
    ("u8", AsDraft::Unsigned(1)),
    ("s8", AsDraft::Signed(1)),
    ("u16", AsDraft::Unsigned(2)),
    ("s16", AsDraft::Signed(2)),
    ("u24", AsDraft::Unsigned(3)),
    ("s24", AsDraft::Signed(3)),
    ("u32", AsDraft::Unsigned(4)),
    ("s32", AsDraft::Signed(4)),
    ("u64", AsDraft::Unsigned(8)),
    ("s64", AsDraft::Signed(8)),
    ("f16", AsDraft::Ieee(2)),
    ("f32", AsDraft::Ieee(4)),
    ("f64", AsDraft::Ieee(8)),
];

const FORMATS: [(&str, FormatDraft); 2] = [("json", FormatDraft::Json), ("cbor", FormatDraft::Cbor)];

const ORDERS: [(&str, bool); 2] = [("big", false), ("little", true)];

impl Report<'_> {
    /// The keys of a body.
    pub(crate) fn body(&mut self, fields: &Fields<'_>, what: &str) -> BodyDraft {
        BodyDraft {
            send: fields.node("send").and_then(|node| self.send(node)),
            format: fields.node("format").and_then(|node| self.choice(node, "format", &FORMATS)),
            ..self.picked(fields, what)
        }
    }

    /// The keys of a value that is taken out of a body.
    pub(crate) fn picked(&mut self, fields: &Fields<'_>, what: &str) -> BodyDraft {
        BodyDraft {
            form: self.form(fields, what),
            send: None,
            format: None,
            kind: fields.node("as").and_then(|node| self.choice(node, "type of a value", &KINDS)),
            length: fields.node("length").and_then(|node| self.int(node, "`length`", 1, 65_535)),
            little_endian: fields.node("order").and_then(|node| self.choice(node, "order of bytes", &ORDERS)),
            bits: fields.node("bits").and_then(|node| self.bits(node)),
        }
    }

    fn form(&mut self, fields: &Fields<'_>, what: &str) -> Option<At<FormDraft>> {
        let given: Vec<&str> = FORMS.into_iter().filter(|form| fields.key(form).is_some()).collect();
        let form = *given.first()?;
        if let Some(second) = given.get(1) {
            let span = fields.key(second).unwrap_or(fields.span);
            let message = format!("{what} has both `{form}` and `{second}`");
            self.error(Code::Body, span, message).help("a body has one form: keep one of them");
        }
        let node = fields.node(form)?;
        let draft = match form {
            "json" => FormDraft::Json(self.pointer(node)?),
            "cbor" => FormDraft::Cbor(self.pointer(node)?),
            "senml" => FormDraft::Senml(self.record(node)?),
            "tlv" => FormDraft::Tlv(self.identifiers(node)?),
            _ => FormDraft::Bytes(self.int::<u16>(node, "the place of the first byte", 0, 65_535)?.value),
        };
        Some(At::new(draft, node.span))
    }

    /// A JSON Pointer; how other programs say the same is refused with the pointer.
    fn pointer(&mut self, node: &Node) -> Option<Pointer> {
        let text = self.spelling(node)?;
        if let Some(pointer) = Pointer::parse(&text.value) {
            return Some(pointer);
        }
        let message = format!("`{}` is no JSON Pointer (RFC 6901)", text.value);
        let error = self.error(Code::Body, node.span, message);
        let bare = text.value.trim_start_matches("$.").replace(['.', '['], "/").replace(']', "");
        let meant = format!("/{}", bare.trim_start_matches('/'));
        match Pointer::parse(&meant).filter(|_| !text.value.starts_with('/')) {
            Some(_) => error.fix(meant.as_str()).help(format!(
                "write `{meant}`: a `/` before the name of each member, or \"\" for the whole document"
            )),
            None => error.help("write `~0` for `~` and `~1` for `/` within a name"),
        }
        None
    }

    fn record(&mut self, node: &Node) -> Option<String> {
        let name = self.spelling(node)?;
        if name.value.is_empty() {
            let error = self.error(Code::Body, node.span, "a record of SenML has a name");
            error.help("write its `n`, or that with the base name before it, such as /3303/0/5700");
            return None;
        }
        Some(name.value)
    }

    /// `5700`, `0/5700`, `5700/1`.
    fn identifiers(&mut self, node: &Node) -> Option<Vec<u16>> {
        let text = self.spelling(node)?;
        let parts = text.value.trim_start_matches('/').split('/');
        let ids: Option<Vec<u16>> = parts.map(|part| part.parse().ok()).collect();
        if let Some(ids) = ids.filter(|ids| ids.len() <= 3) {
            return Some(ids);
        }
        let message = format!("`{}` is no resource of a TLV body", text.value);
        let error = self.error(Code::Body, node.span, message);
        error.help("write its number, such as 5700; with its Object Instance 0/5700; with its Resource Instance 5700/1");
        None
    }

    /// A body as a mapping writes it: `$value` stands for the value.
    pub(crate) fn send(&mut self, node: &Node) -> Option<At<Tree>> {
        Some(At::new(self.tree(node)?, node.span))
    }

    /// A document. Texts that YAML readers take for something else must be quoted, as everywhere.
    pub(crate) fn tree(&mut self, node: &Node) -> Option<Tree> {
        Some(match &node.kind {
            Kind::Scalar { .. } if node.is_null() => Tree::Null,
            Kind::Scalar { text, .. } if text == super::PLACE => Tree::Value,
            Kind::Scalar { text, plain: true } if text == "true" || text == "false" => {
                Tree::Bool(text == "true")
            }
            Kind::Scalar { text, plain: true } if parse_decimal(text).is_ok() => {
                Tree::Number(self.decimal(node)?.value)
            }
            Kind::Scalar { .. } => Tree::Text(self.text(node)?.value),
            Kind::List(items) => Tree::List(items.iter().map(|item| self.tree(item)).collect::<Option<_>>()?),
            Kind::Map(_) => {
                let entries = self.entries(node, "a document")?.into_iter();
                let tree = |(key, _, value): (&str, _, &Node)| Some((key.to_owned(), self.tree(value)?));
                Tree::Map(entries.map(tree).collect::<Option<_>>()?)
            }
        })
    }
}
