//! MQTT's part of a mapping file as it was written.

use std::time::Duration;

use crate::diagnostic::Span;
use crate::draft::At;
use crate::payload::Tree;
use crate::payload::draft::{BodyDraft, FormatDraft};

/// `mqtt`: how devices of this model behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttDraft {
    /// `availability`.
    pub availability: Vec<AvailabilityDraft>,
    /// `get` of points that have none of their own.
    pub get: Option<MqttSendDraft>,
    /// `qos` of subscriptions, and of writes that have none of their own.
    pub qos: Option<At<u8>>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
}

/// One entry of `availability`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailabilityDraft {
    /// Place of the whole map.
    pub span: Span,
    /// `topic`.
    pub topic: Option<At<String>>,
    /// What it is in the body.
    pub body: BodyDraft,
    /// `online`.
    pub online: Vec<At<String>>,
    /// `offline`.
    pub offline: Vec<At<String>>,
}

/// Which messages, and how they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttPlaceDraft {
    /// `topic`.
    pub topic: Option<At<String>>,
    /// `get` of a read.
    pub get: Option<MqttSendDraft>,
    /// `qos` of a write.
    pub qos: Option<At<u8>>,
    /// `retain` of a write.
    pub retain: Option<At<bool>>,
}

/// `get`: what asks for a fresh value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSendDraft {
    /// Place of the whole map.
    pub span: Span,
    /// `topic`.
    pub topic: Option<At<String>>,
    /// `send`; nothing: an empty body.
    pub send: Option<At<Tree>>,
    /// `format`.
    pub format: Option<At<FormatDraft>>,
}
