//! How a value is in the body of a message, as a mapping file says it.

use super::{Pointer, Tree};
use crate::ble::BlePlaceDraft;
use crate::coap::CoapPlaceDraft;
use crate::diagnostic::Span;
use crate::draft::At;
use crate::line::LinePlaceDraft;
use crate::mqtt::MqttPlaceDraft;
use crate::zigbee::ZigbeePlaceDraft;

/// A place in messages: in which, and where in their bodies.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageDraft {
    /// Place of the whole map.
    pub span: Span,
    /// In which messages.
    pub place: MessagePlace,
    /// Where in their bodies.
    pub body: BodyDraft,
}

/// Which messages.
#[derive(Clone, Debug, PartialEq)]
pub enum MessagePlace {
    /// Those of a topic.
    Mqtt(Box<MqttPlaceDraft>),
    /// Those of a resource.
    Coap(CoapPlaceDraft),
    /// Those of a serial line.
    Line(Box<LinePlaceDraft>),
    /// What is advertised, and characteristics.
    Ble(Box<BlePlaceDraft>),
    /// Frames of a cluster.
    Zigbee(Box<ZigbeePlaceDraft>),
}

/// Where a value is in a body, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyDraft {
    /// `json`, `cbor`, `senml`, `tlv` or `bytes`; none: the body is a text, or made by `send`.
    pub form: Option<At<FormDraft>>,
    /// `send`: the whole body of a write.
    pub send: Option<At<Tree>>,
    /// `format` of `send` and `senml`.
    pub format: Option<At<FormatDraft>>,
    /// `as`.
    pub kind: Option<At<AsDraft>>,
    /// `length` of `bytes`.
    pub length: Option<At<u16>>,
    /// `order` of `bytes`: whether the least significant byte comes first.
    pub little_endian: Option<At<bool>>,
    /// `bits` of `bytes`: first and last, both included.
    pub bits: Option<At<(u8, u8)>>,
}

/// The form of a body, and where the value is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormDraft {
    /// `json`.
    Json(Pointer),
    /// `cbor`.
    Cbor(Pointer),
    /// `senml`: name of the record.
    Senml(String),
    /// `tlv`: identifiers.
    Tlv(Vec<u16>),
    /// `bytes`: place of the first.
    Bytes(u16),
}

/// In which form a document is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatDraft {
    /// As JSON.
    Json,
    /// As CBOR.
    Cbor,
}

/// Of what type a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsDraft {
    /// `int`.
    Int,
    /// `uint`.
    Uint,
    /// `float`.
    Float,
    /// `bool`.
    Bool,
    /// `string`.
    Text,
    /// `raw`.
    Raw,
    /// `u8`, `u16` …: an unsigned number of so many bytes.
    Unsigned(u16),
    /// `s8`, `s16` …: a number in two's complement of so many bytes.
    Signed(u16),
    /// `f16`, `f32`, `f64`: a float of so many bytes.
    Ieee(u16),
}

impl MessageDraft {
    /// The topic or path; serial lines, Bluetooth and Zigbee have none.
    pub fn address(&self) -> Option<&At<String>> {
        match &self.place {
            MessagePlace::Mqtt(place) => place.topic.as_ref(),
            MessagePlace::Coap(place) => place.path.as_ref(),
            MessagePlace::Line(_) | MessagePlace::Ble(_) | MessagePlace::Zigbee(_) => None,
        }
    }
}
