//! Taking values out of a body, and making one.

use std::cell::OnceCell;

use super::doc::{Doc, garbled};
use super::pick::{BodyFormat, Pick};
use super::put::{PLACE, Put, PutForm, Tree};
use super::{bytes, cbor, json, senml, tlv};
use crate::modbus::Half;
use crate::port::DeviceFault;
use crate::transform::Raw;
use crate::value::decimal_text;

/// Largest body that is looked at.
pub const MAX_BODY: usize = 1 << 20;

/// A body out of which several values may be taken; it is understood once.
#[derive(Debug)]
pub struct Body<'b> {
    bytes: &'b [u8],
    format: Option<BodyFormat>,
    json: OnceCell<Result<Doc, DeviceFault>>,
    cbor: OnceCell<Result<Doc, DeviceFault>>,
}

impl<'b> Body<'b> {
    /// A body, and what its sender says that it is.
    pub fn new(bytes: &'b [u8], format: Option<BodyFormat>) -> Self {
        Self { bytes, format, json: OnceCell::new(), cbor: OnceCell::new() }
    }

    /// What is taken out of it; `None`: it has no such thing, which is no fault of a message about something else.
    ///
    /// Errors: [`DeviceFault::Garbled`] for a body that cannot be understood, [`DeviceFault::Invalid`] for a `null`.
    pub fn take(&self, pick: &Pick) -> Result<Option<Raw>, DeviceFault> {
        if self.bytes.len() > MAX_BODY {
            return Err(garbled(&format!("it has more than {MAX_BODY} bytes")));
        }
        self.expected(pick)?;
        match pick {
            Pick::Text => self.text().map(Some),
            Pick::Json(pointer) => self.json()?.at(pointer).map(Doc::raw).transpose(),
            Pick::Cbor(pointer) => self.cbor()?.at(pointer).map(Doc::raw).transpose(),
            Pick::Senml(name) => senml::take(self.senml()?, name),
            Pick::Tlv(pick) => tlv::take(self.bytes, pick),
            Pick::Bytes(pick) => bytes::take(self.bytes, pick),
        }
    }

    /// Whether the body is what the mapping takes it for, where its sender says what it is.
    fn expected(&self, pick: &Pick) -> Result<(), DeviceFault> {
        let Some(format) = self.format else { return Ok(()) };
        pick.fits(format).then_some(()).ok_or_else(|| garbled(&format!("it is {}", format.name())))
    }

    fn text(&self) -> Result<Raw, DeviceFault> {
        let text = std::str::from_utf8(self.bytes).map_err(|_| garbled("it is not UTF-8"))?;
        Ok(Raw::Text(text.trim_matches(['\0', ' ', '\t', '\r', '\n']).to_owned()))
    }

    fn json(&self) -> Result<&Doc, DeviceFault> {
        self.json.get_or_init(|| json::parse(self.bytes)).as_ref().map_err(Clone::clone)
    }

    fn cbor(&self) -> Result<&Doc, DeviceFault> {
        self.cbor.get_or_init(|| cbor::parse(self.bytes)).as_ref().map_err(Clone::clone)
    }

    /// A pack is a list, of which the first byte of JSON is never one of CBOR.
    fn senml(&self) -> Result<&Doc, DeviceFault> {
        match self.format {
            Some(BodyFormat::SenmlJson | BodyFormat::Json) => self.json(),
            Some(BodyFormat::SenmlCbor | BodyFormat::Cbor) => self.cbor(),
            _ if self.bytes.trim_ascii_start().starts_with(b"[") => self.json(),
            _ => self.cbor(),
        }
    }
}

impl Pick {
    /// Whether it can be taken out of a body of this format.
    pub fn fits(&self, format: BodyFormat) -> bool {
        match self {
            Self::Bytes(_) => true,
            // A document in JSON may be a bare number.
            Self::Text => matches!(format, BodyFormat::Text | BodyFormat::Json | BodyFormat::Bytes),
            Self::Json(_) => {
                matches!(
                    format,
                    BodyFormat::Json | BodyFormat::SenmlJson | BodyFormat::Text | BodyFormat::Bytes
                )
            }
            Self::Cbor(_) => matches!(format, BodyFormat::Cbor | BodyFormat::SenmlCbor | BodyFormat::Bytes),
            Self::Senml(_) => !matches!(format, BodyFormat::Tlv | BodyFormat::Text),
            Self::Tlv(_) => matches!(format, BodyFormat::Tlv | BodyFormat::Bytes),
        }
    }
}

/// What is taken out of a body; see [`Body::take`], which is quicker where several things are.
///
/// Errors: as there.
pub fn take(body: &[u8], format: Option<BodyFormat>, pick: &Pick) -> Result<Option<Raw>, DeviceFault> {
    Body::new(body, format).take(pick)
}

impl Put {
    /// The body that writes a raw value; one without the value in it takes anything.
    ///
    /// Errors: [`DeviceFault::Unwritable`] for a value that the form cannot carry.
    pub fn body(&self, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
        match &self.form {
            PutForm::Empty => Ok(Vec::new()),
            PutForm::Text | PutForm::Document => text(raw).map(String::into_bytes),
            PutForm::Words(words) => Ok(words.replace(PLACE, &text(raw)?).into_bytes()),
            PutForm::Json(pointer) => as_json(&nested(&pointer.0, raw)),
            PutForm::JsonTree(tree) => as_json(&tree.filled(raw)?),
            PutForm::Cbor(pointer) => as_cbor(&nested(&pointer.0, raw)),
            PutForm::CborTree(tree) => as_cbor(&tree.filled(raw)?),
            PutForm::Senml { name, cbor: true } => as_cbor(&senml::pack(name, raw, true)),
            PutForm::Senml { name, cbor: false } => as_json(&senml::pack(name, raw, false)),
            PutForm::Tlv(pick) => tlv::put(pick, raw),
            PutForm::Bytes(pick) => bytes::put(pick, raw),
        }
    }

    /// The body of a message that has no value in it.
    ///
    /// Errors: as [`Put::body`].
    pub fn constant(&self) -> Result<Vec<u8>, DeviceFault> {
        self.body(&Raw::Text(String::new()))
    }

    /// What the body is, for protocols that say so.
    pub fn format(&self) -> BodyFormat {
        match &self.form {
            PutForm::Empty | PutForm::Text | PutForm::Words(_) => BodyFormat::Text,
            PutForm::Json(_) | PutForm::JsonTree(_) | PutForm::Document => BodyFormat::Json,
            PutForm::Cbor(_) | PutForm::CborTree(_) => BodyFormat::Cbor,
            PutForm::Senml { cbor: true, .. } => BodyFormat::SenmlCbor,
            PutForm::Senml { cbor: false, .. } => BodyFormat::SenmlJson,
            PutForm::Tlv(_) => BodyFormat::Tlv,
            PutForm::Bytes(_) => BodyFormat::Bytes,
        }
    }
}

impl Tree {
    /// The document as it stands.
    pub(super) fn document(&self) -> Doc {
        self.filled(&Raw::Text(PLACE.to_owned())).unwrap_or(Doc::Null)
    }

    fn filled(&self, raw: &Raw) -> Result<Doc, DeviceFault> {
        Ok(match self {
            Self::Null => Doc::Null,
            Self::Bool(value) => Doc::Value(Raw::Bool(*value)),
            Self::Number(number) => Doc::Value(Raw::Decimal(*number)),
            Self::Text(words) if words.contains(PLACE) => {
                Doc::Value(Raw::Text(words.replace(PLACE, &text(raw)?)))
            }
            Self::Text(words) => Doc::Value(Raw::Text(words.clone())),
            Self::Value => Doc::Value(raw.clone()),
            Self::List(items) => {
                Doc::List(items.iter().map(|item| item.filled(raw)).collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => {
                let filled =
                    entries.iter().map(|(key, item)| Ok((Raw::Text(key.clone()), item.filled(raw)?)));
                Doc::Map(filled.collect::<Result<_, DeviceFault>>()?)
            }
        })
    }
}

/// A value with a map around it for each token.
fn nested(tokens: &[String], raw: &Raw) -> Doc {
    let value = Doc::Value(raw.clone());
    tokens.iter().rev().fold(value, |inner, token| Doc::Map(vec![(Raw::Text(token.clone()), inner)]))
}

impl Doc {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, DeviceFault> {
        as_json(self)
    }

    pub(super) fn to_cbor(&self) -> Result<Vec<u8>, DeviceFault> {
        as_cbor(self)
    }
}

fn as_json(doc: &Doc) -> Result<Vec<u8>, DeviceFault> {
    let mut out = String::new();
    json::write(&mut out, doc)?;
    Ok(out.into_bytes())
}

fn as_cbor(doc: &Doc) -> Result<Vec<u8>, DeviceFault> {
    let mut out = Vec::new();
    cbor::write(&mut out, doc)?;
    Ok(out)
}

/// A raw value as text.
///
/// Errors: bytes, and numbers that are none.
pub(super) fn text(raw: &Raw) -> Result<String, DeviceFault> {
    let float = |value: f64, digits: String| {
        let none = || DeviceFault::Unwritable(format!("{value} is no number"));
        value.is_finite().then_some(digits).ok_or_else(none)
    };
    match raw {
        Raw::Bool(value) => Ok(value.to_string()),
        Raw::Int(number) => Ok(number.to_string()),
        Raw::Decimal(number) => Ok(decimal_text(*number)),
        Raw::F16(bits) => float(Half(*bits).to_f64(), Half(*bits).shortest()),
        Raw::F32(value) => float(f64::from(*value), value.to_string()),
        Raw::F64(value) => float(*value, value.to_string()),
        Raw::Text(text) => Ok(text.clone()),
        Raw::Bytes(_) => Err(DeviceFault::Unwritable("bytes are no text".to_owned())),
    }
}

impl BodyFormat {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Cbor => "CBOR",
            Self::SenmlJson => "SenML (JSON)",
            Self::SenmlCbor => "SenML (CBOR)",
            Self::Tlv => "LwM2M TLV",
            Self::Bytes => "bytes",
        }
    }

    /// What a Content-Format of CoAP stands for (IANA, CoAP Content-Formats); `None`: nothing known here.
    pub fn of_content_format(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Text,
            42 => Self::Bytes,
            50 => Self::Json,
            60 => Self::Cbor,
            110 => Self::SenmlJson,
            112 => Self::SenmlCbor,
            // As they were before they were registered (LwM2M 1.0, 6.4).
            1541 => Self::Text,
            1542 => Self::Tlv,
            1543 => Self::Json,
            11542 => Self::Tlv,
            11543 => Self::Json,
            _ => return None,
        })
    }

    /// The Content-Format of CoAP.
    pub fn content_format(self) -> u16 {
        match self {
            Self::Text => 0,
            Self::Json => 50,
            Self::Cbor => 60,
            Self::SenmlJson => 110,
            Self::SenmlCbor => 112,
            Self::Tlv => 11542,
            Self::Bytes => 42,
        }
    }
}
