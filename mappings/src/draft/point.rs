//! Where a value is, and what its raw form means.

use std::time::Duration;

use rust_decimal::Decimal;

use super::At;
use crate::diagnostic::Span;
use crate::modbus::PlaceDraft;
use crate::payload::draft::MessageDraft;
use crate::transform::{Curve, MapTarget};

/// `read`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Where, and what it means.
    pub point: PointDraft,
    /// `within`.
    pub within: Option<At<Duration>>,
}

/// `write`.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Where, and what it means; what is left out is taken from `read`.
    pub point: PointDraft,
    /// `fc`: 5, 6, 15, 16, 22 or 23.
    pub function: Option<At<u8>>,
    /// `rmw`.
    pub read_modify_write: Option<At<bool>>,
    /// `verify`.
    pub verify: Option<At<VerifyDraft>>,
    /// `ttl`.
    pub ttl: Option<At<Duration>>,
    /// `rate`.
    pub rate: Option<At<Duration>>,
    /// `coalesce`.
    pub coalesce: Option<At<bool>>,
    /// `undo`.
    pub undo: Option<At<bool>>,
}

/// `verify` of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyDraft {
    /// `false`: the protocol's acknowledgement is enough.
    Off,
    /// Read back for at most this long.
    Within(Duration),
    /// Another capability must show it.
    By {
        /// `by`: which.
        by: At<String>,
        /// `within`.
        within: Option<Duration>,
    },
}

/// The keys that `read` and `write` have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointDraft {
    /// Where it is in a Modbus device, and how it is kept there.
    pub at: PlaceDraft,
    /// Where it is in messages, for protocols that have them.
    pub message: Option<Box<MessageDraft>>,
    /// `map`.
    pub map: Option<MapDraft>,
    /// `scale`.
    pub scale: Option<At<Decimal>>,
    /// `offset`.
    pub offset: Option<At<Decimal>>,
    /// `curve`.
    pub curve: Option<At<Curve>>,
    /// `invert`.
    pub invert: Option<At<bool>>,
    /// `invalid`.
    pub invalid: Vec<At<Sentinel>>,
}

/// A raw value that means "no reading".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// The number.
    pub number: i128,
    /// It is written with `0x`: of a float it is the pattern of bits.
    pub hexadecimal: bool,
}

/// `map`: raw integers or texts and what they are called, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct MapDraft {
    /// Place of the whole map.
    pub span: Span,
    /// Raw value and state.
    pub entries: Vec<(At<i128>, At<MapTarget>)>,
    /// Raw text and state.
    pub texts: Vec<(At<String>, At<MapTarget>)>,
    /// `default`: the state of any other raw value.
    pub default: Option<At<MapTarget>>,
    /// Where states stand without quotes that some readers take for Booleans, such as `off`.
    pub unquoted: Vec<Span>,
}

impl WriteDraft {
    /// A plain write to a place.
    pub(crate) fn at(span: Span, point: PointDraft, function: Option<At<u8>>) -> Self {
        Self {
            span,
            point,
            function,
            read_modify_write: None,
            verify: None,
            ttl: None,
            rate: None,
            coalesce: None,
            undo: None,
        }
    }
}

impl PointDraft {
    /// Whether it says anything about what the raw value means.
    pub fn has_meaning(&self) -> bool {
        let is_linear = self.scale.is_some() || self.offset.is_some();
        self.map.is_some() || is_linear || self.curve.is_some() || self.invert.is_some()
    }
}
