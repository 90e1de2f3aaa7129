//! How the body of a write is made.

use std::fmt;

use rust_decimal::Decimal;

use super::pick::{BytesPick, MAX_TEXT, Pointer, TlvPick, Whole};
use crate::transform::RawKind;
use crate::value::decimal_text;

/// How the body of a write is made, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its form.
    pub form: PutForm,
    /// What it takes: that of the form, or whole numbers only.
    pub kind: RawKind,
}

/// The form of the body of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutForm {
    /// Nothing: the body is empty.
    Empty,
    /// The value as text.
    Text,
    /// The value as text, which is a whole JSON document.
    Document,
    /// A text that may have the value in it: `$value`.
    Words(String),
    /// A JSON document with the value at this place and nothing else in it.
    Json(Pointer),
    /// A JSON document that may have the value in it.
    JsonTree(Tree),
    /// A CBOR data item with the value at this place and nothing else in it.
    Cbor(Pointer),
    /// A CBOR data item that may have the value in it.
    CborTree(Tree),
    /// A SenML pack of one record.
    Senml {
        /// Its name.
        name: String,
        /// Whether it is CBOR; JSON otherwise.
        cbor: bool,
    },
    /// A TLV body of one resource.
    Tlv(TlvPick),
    /// Bytes; those before the value are 0.
    Bytes(BytesPick),
}

/// A document with places for the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// `null`.
    Null,
    /// A Boolean.
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// A text; a `$value` in it stands for the text of the value.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of the file.
    Map(Vec<(String, Self)>),
    /// The value itself.
    Value,
}

impl Tree {
    /// Whether the value is in it.
    pub fn has_value(&self) -> bool {
        match self {
            Self::Value => true,
            Self::Text(text) => text.contains(PLACE),
            Self::List(items) => items.iter().any(Self::has_value),
            Self::Map(entries) => entries.iter().any(|(_, tree)| tree.has_value()),
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
        }
    }
}

/// What stands for the value in a template.
pub(crate) const PLACE: &str = "$value";

impl Put {
    /// One that takes whatever its form takes.
    pub fn new(form: PutForm) -> Self {
        Self { kind: form.raw_kind(), form }
    }
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            PutForm::Empty => f.write_str("nothing"),
            PutForm::Text => f.write_str("text"),
            PutForm::Document => f.write_str("json"),
            PutForm::Words(text) => write!(f, "\"{text}\""),
            PutForm::Json(pointer) => write!(f, "json {}", Whole(pointer)),
            PutForm::JsonTree(tree) => write!(f, "json {tree}"),
            PutForm::Cbor(pointer) => write!(f, "cbor {}", Whole(pointer)),
            PutForm::CborTree(tree) => write!(f, "cbor {tree}"),
            PutForm::Senml { name, cbor } => {
                write!(f, "senml {} {name}", if *cbor { "cbor" } else { "json" })
            }
            PutForm::Tlv(pick) => pick.fmt(f),
            PutForm::Bytes(pick) => pick.fmt(f),
        }
    }
}

/// As JSON, with `$value` for the value.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => f.write_str(&decimal_text(*number)),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Value => f.write_str(PLACE),
            Self::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (place, (key, item)) in entries.iter().enumerate() {
                    write!(f, "{}{key:?}: {item}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl PutForm {
    /// What it takes.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Text | Self::Document | Self::Words(_) => RawKind::Text(MAX_TEXT),
            Self::Empty
            | Self::Json(_)
            | Self::JsonTree(_)
            | Self::Cbor(_)
            | Self::CborTree(_)
            | Self::Senml { .. } => RawKind::Any,
            Self::Tlv(pick) => pick.kind.raw_kind(),
            Self::Bytes(pick) => pick.raw_kind(),
        }
    }

    /// Whether the value is in it, so that one written value makes another body than the next.
    pub fn has_value(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Words(text) => text.contains(PLACE),
            Self::JsonTree(tree) | Self::CborTree(tree) => tree.has_value(),
            Self::Text
            | Self::Document
            | Self::Json(_)
            | Self::Cbor(_)
            | Self::Senml { .. }
            | Self::Tlv(_)
            | Self::Bytes(_) => true,
        }
    }
}
