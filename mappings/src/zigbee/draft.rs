//! Zigbee's part of a mapping file as it was written.

use std::time::Duration;

use rust_decimal::Decimal;

use super::{ZclType, clusters};
use crate::diagnostic::Span;
use crate::draft::At;

/// `zigbee`: how devices of this model behave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZigbeeDraft {
    /// `manufacturer`: one or several.
    pub manufacturers: Vec<At<String>>,
    /// `model`: one or several.
    pub models: Vec<At<String>>,
    /// `endpoint` of points that have none of their own.
    pub endpoint: Option<At<u8>>,
    /// `sleepy`.
    pub sleepy: Option<At<bool>>,
    /// `checkin`.
    pub checkin: Option<At<Duration>>,
    /// `ttl` of writes that have none of their own.
    pub ttl: Option<At<Duration>>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
    /// `enroll`.
    pub enroll: Option<At<bool>>,
    /// `setup`: what is sent each time that the device has joined.
    pub setup: Vec<ZigbeeSetupDraft>,
}

/// One entry of `setup`.
#[derive(Clone, Debug, PartialEq)]
pub struct ZigbeeSetupDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Where it goes.
    pub place: ZigbeePlaceDraft,
    /// `value` of an attribute.
    pub value: Option<At<ZigbeeConstDraft>>,
}

/// A cluster, an attribute or a command: its number, or its name in [`clusters`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZigbeeName {
    /// `0x0006`.
    Number(u16),
    /// `on_off`.
    Name(String),
}

impl ZigbeeName {
    /// The cluster that it means.
    pub fn cluster(&self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => clusters::named(name).map(|cluster| cluster.id),
        }
    }

    /// The attribute of a cluster that it means.
    pub fn attribute(&self, cluster: u16) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => clusters::of(cluster)?.attribute_named(name).map(|attribute| attribute.id),
        }
    }
}

/// Which cluster, and what of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZigbeePlaceDraft {
    /// `endpoint`.
    pub endpoint: Option<At<u8>>,
    /// `cluster`.
    pub cluster: Option<At<ZigbeeName>>,
    /// `attribute`.
    pub attribute: Option<At<ZigbeeName>>,
    /// `command`: one or several.
    pub commands: Vec<At<ZigbeeName>>,
    /// `command: $value`: the command is what is written.
    pub by_name: Option<Span>,
    /// `manufacturer_code`.
    pub manufacturer: Option<At<u16>>,
    /// `as` of an attribute.
    pub kind: Option<At<ZclType>>,
    /// `tag` of a read.
    pub tag: Option<At<u8>>,
    /// `element` of a read.
    pub element: Option<At<u16>>,
    /// `bits` of a read.
    pub bits: Option<At<(u8, u8)>>,
    /// `field` of a read.
    pub field: Option<At<String>>,
    /// `fields` of a write.
    pub fields: Vec<ZigbeeFieldDraft>,
    /// `report` of a read; `Some` without anything: it is not reported.
    pub report: Option<At<Option<ZigbeeReportDraft>>>,
    /// `answers` of a read.
    pub answers: Option<At<bool>>,
    /// `clears` of a read.
    pub clears: Option<At<Duration>>,
}

/// One field of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct ZigbeeFieldDraft {
    /// Its name; `None`: it stands in a list.
    pub name: Option<At<String>>,
    /// Its type, in a list.
    pub kind: Option<At<ZclType>>,
    /// What stands there.
    pub value: At<ZigbeeConstDraft>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub enum ZigbeeConstDraft {
    /// A number, or a Boolean as 0 or 1.
    Number(Decimal),
    /// A text.
    Text(String),
    /// `{hex: "01 02"}`.
    Bytes(Vec<u8>),
    /// `$value`.
    Value,
    /// `${arg.Name}`.
    Arg(String),
}

/// `report`; what is `None` is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ZigbeeReportDraft {
    /// `min`, in seconds.
    pub min: Option<At<u16>>,
    /// `max`, in seconds.
    pub max: Option<At<u16>>,
    /// `change`.
    pub change: Option<At<Decimal>>,
}

impl ZigbeePlaceDraft {
    /// Whether the value that is written is anywhere in it.
    pub fn has_value(&self) -> bool {
        let is_value = |field: &ZigbeeFieldDraft| field.value.value == ZigbeeConstDraft::Value;
        self.attribute.is_some() || self.by_name.is_some() || self.fields.iter().any(is_value)
    }

    /// The names of the arguments in its fields.
    pub(crate) fn args(&self) -> Vec<&str> {
        let fields = self.fields.iter();
        fields
            .filter_map(|field| match &field.value.value {
                ZigbeeConstDraft::Arg(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}
