//! What is taken out of a body.

use std::fmt;

use crate::transform::RawKind;

/// What the sender says that a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Text in UTF-8.
    Text,
    /// JSON (RFC 8259).
    Json,
    /// CBOR (RFC 8949).
    Cbor,
    /// SenML in JSON (RFC 8428).
    SenmlJson,
    /// SenML in CBOR (RFC 8428).
    SenmlCbor,
    /// TLV of OMA LwM2M.
    Tlv,
    /// Bytes without a form.
    Bytes,
}

/// What is taken out of a body, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The whole body as text.
    Text,
    /// A value of a JSON document.
    Json(Pointer),
    /// A value of a CBOR data item.
    Cbor(Pointer),
    /// The record of a SenML pack (JSON or CBOR) that has this name, by itself or with its base name; of several the
    /// newest.
    Senml(String),
    /// A resource of a TLV body.
    Tlv(TlvPick),
    /// Some of the bytes.
    Bytes(BytesPick),
}

/// A JSON Pointer (RFC 6901), taken apart; without any token it is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    /// The pointer that a text spells: empty, or a `/` before each token, with `~0` for `~` and `~1` for `/`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let tokens = text.strip_prefix('/')?.split('/').map(unescaped);
        tokens.collect::<Option<Vec<_>>>().map(Self)
    }
}

/// Errors (`None`): a `~` that neither `0` nor `1` follows.
fn unescaped(token: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.starts_with(['0', '1']);
    token.split('~').skip(1).all(is_escape).then(|| token.replace("~1", "/").replace("~0", "~"))
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// A resource of a TLV body, which itself does not say of what type its values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlvPick {
    /// Identifiers from the outermost one that matters: `[5700]`, `[0, 5700]` with its Object Instance, `[5700, 1]` with
    /// its Resource Instance.
    pub path: Vec<u16>,
    /// Of what type it is.
    pub kind: TlvKind,
}

/// Types of LwM2M resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlvKind {
    /// Integer or Time: 8, 16, 32 or 64 bits, two's complement.
    Integer,
    /// Unsigned Integer: 8, 16, 32 or 64 bits.
    Unsigned,
    /// Float: 32 or 64 bits.
    Float,
    /// Boolean.
    Boolean,
    /// String.
    Text,
    /// Opaque.
    Opaque,
}

/// Some of the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesPick {
    /// Place of the first, from 0.
    pub offset: u16,
    /// How many; `None`: all that follow (texts and bytes only).
    pub length: Option<u16>,
    /// What they make.
    pub encoding: ByteEncoding,
    /// Whether the least significant byte comes first.
    pub little_endian: bool,
    /// First and last bit, both included, 0 the least significant; `None`: the whole. Unsigned numbers only.
    pub bits: Option<(u8, u8)>,
}

/// What bytes make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteEncoding {
    /// An unsigned number, of 1 to 8 bytes.
    Unsigned,
    /// A number in two's complement, of 1 to 8 bytes.
    Signed,
    /// IEEE 754: 2, 4 or 8 bytes.
    Float,
    /// Text in UTF-8, up to the first NUL.
    Text,
    /// Bytes as they are.
    Bytes,
}

/// Longest text or run of bytes that is taken out of a body or put into one.
pub(crate) const MAX_TEXT: u16 = u16::MAX;

impl Pick {
    /// What it gives.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Text => RawKind::Text(MAX_TEXT),
            Self::Json(_) | Self::Cbor(_) | Self::Senml(_) => RawKind::Any,
            Self::Tlv(pick) => pick.kind.raw_kind(),
            Self::Bytes(pick) => pick.raw_kind(),
        }
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Json(pointer) => write!(f, "json {}", Whole(pointer)),
            Self::Cbor(pointer) => write!(f, "cbor {}", Whole(pointer)),
            Self::Senml(name) => write!(f, "senml {name}"),
            Self::Tlv(pick) => pick.fmt(f),
            Self::Bytes(pick) => pick.fmt(f),
        }
    }
}

/// A pointer, with words for the one that is empty.
pub(super) struct Whole<'p>(pub(super) &'p Pointer);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.0.is_empty() { f.write_str("(whole)") } else { self.0.fmt(f) }
    }
}

impl fmt::Display for TlvPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<String> = self.path.iter().map(u16::to_string).collect();
        write!(f, "tlv {} {}", path.join("/"), self.kind.name())
    }
}

impl fmt::Display for BytesPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.offset;
        match self.length {
            Some(0 | 1) => write!(f, "byte {first}")?,
            Some(length) => write!(f, "bytes {first} to {}", first.saturating_add(length - 1))?,
            None => write!(f, "all bytes from {first}")?,
        }
        let bits = self.length.unwrap_or_default().saturating_mul(8);
        match self.encoding {
            ByteEncoding::Unsigned => write!(f, " as u{bits}")?,
            ByteEncoding::Signed => write!(f, " as s{bits}")?,
            ByteEncoding::Float => write!(f, " as f{bits}")?,
            ByteEncoding::Text => f.write_str(" as string")?,
            ByteEncoding::Bytes => f.write_str(" as raw")?,
        }
        let is_number = !matches!(self.encoding, ByteEncoding::Text | ByteEncoding::Bytes);
        // The order of one byte is none.
        if is_number && bits > 8 {
            f.write_str(if self.little_endian {
                ", least significant first"
            } else {
                ", most significant first"
            })?;
        }
        match self.bits {
            Some((first, last)) if first == last => write!(f, ", bit {first}"),
            Some((first, last)) => write!(f, ", bits {first} to {last}"),
            None => Ok(()),
        }
    }
}

impl TlvKind {
    /// As mappings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "int",
            Self::Unsigned => "uint",
            Self::Float => "float",
            Self::Boolean => "bool",
            Self::Text => "string",
            Self::Opaque => "raw",
        }
    }

    /// What it gives and takes.
    pub fn raw_kind(self) -> RawKind {
        match self {
            Self::Integer => RawKind::Int { bits: 64, signed: true },
            Self::Unsigned => RawKind::Int { bits: 64, signed: false },
            Self::Float => RawKind::F64,
            Self::Boolean => RawKind::Bool,
            Self::Text => RawKind::Text(MAX_TEXT),
            Self::Opaque => RawKind::Bytes(MAX_TEXT),
        }
    }
}

impl BytesPick {
    /// What it gives and takes.
    pub fn raw_kind(&self) -> RawKind {
        let length = self.length.unwrap_or(MAX_TEXT);
        let width = u8::try_from(length.min(8) * 8).unwrap_or(64);
        match (self.encoding, self.bits) {
            (ByteEncoding::Unsigned, Some((first, last))) => {
                RawKind::Int { bits: last.saturating_sub(first).saturating_add(1).min(64), signed: false }
            }
            (ByteEncoding::Unsigned, None) => RawKind::Int { bits: width, signed: false },
            (ByteEncoding::Signed, _) => RawKind::Int { bits: width, signed: true },
            (ByteEncoding::Float, _) => match length {
                2 => RawKind::F16,
                4 => RawKind::F32,
                _ => RawKind::F64,
            },
            (ByteEncoding::Text, _) => RawKind::Text(length),
            (ByteEncoding::Bytes, _) => RawKind::Bytes(length),
        }
    }
}
