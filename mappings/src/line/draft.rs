//! A serial line's part of a mapping file as it was written.

use std::time::Duration;

use super::{ChecksumKind, LineSettings, LineText};
use crate::diagnostic::Span;
use crate::draft::At;

/// `line`: how devices of this model speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineDraft {
    /// Place of the whole map.
    pub span: Option<Span>,
    /// What they say.
    pub frames: FramingDraft,
    /// `request`: what goes around a request; nothing: the same as around what they say.
    pub request: Option<FramingDraft>,
    /// `ack`: what they say to a write that says nothing else.
    pub ack: Option<At<LineText>>,
    /// `refusal`.
    pub refusals: Vec<At<LineText>>,
    /// `echo`.
    pub echo: Option<At<bool>>,
    /// `open`.
    pub opening: Vec<At<LineText>>,
    /// `every`.
    pub every: Option<At<Duration>>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
    /// `pause`.
    pub pause: Option<At<Duration>>,
    /// `baud`, `parity`, `data_bits`, `stop_bits`.
    pub usual: LineSettings,
}

/// What a frame is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FramingDraft {
    /// `start`.
    pub start: Option<At<Vec<u8>>>,
    /// `end`: one or several.
    pub ends: Vec<At<Vec<u8>>>,
    /// `length`.
    pub length: Option<At<LengthDraft>>,
    /// `gap`.
    pub gap: Option<At<Duration>>,
    /// `checksum`.
    pub checksum: Option<At<ChecksumDraft>>,
    /// `max`.
    pub max: Option<At<u16>>,
}

/// `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthDraft {
    /// Always so many bytes.
    Fixed(u16),
    /// As many as it says.
    Said {
        /// `at`.
        at: u16,
        /// `as: u16`.
        wide: bool,
        /// `order: little`.
        little_endian: bool,
        /// `plus`.
        plus: u16,
    },
}

/// `checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumDraft {
    /// `kind`.
    pub kind: ChecksumKind,
    /// `as: hex`.
    pub hex: bool,
    /// `order: little`.
    pub little_endian: bool,
    /// `at: after_end`.
    pub after_end: bool,
    /// `skip`.
    pub skip: u16,
    /// `cut`.
    pub cut: u16,
}

/// What is asked and said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinePlaceDraft {
    /// `send`: the request.
    pub send: Option<At<LineText>>,
    /// `says` of a read.
    pub says: Option<At<LineText>>,
    /// `find` of a read.
    pub find: Option<At<LineText>>,
    /// `unasked` of a read.
    pub unasked: Option<At<bool>>,
    /// `base`.
    pub base: Option<At<u8>>,
    /// `digits` of a write.
    pub digits: Option<At<u8>>,
    /// `ack` of a write; `Some` without a text: there is none.
    pub ack: Option<At<Option<LineText>>>,
}
