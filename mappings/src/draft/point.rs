//! Where a value is, and what its raw form means.

use std::time::Duration;

use rust_decimal::Decimal;

use super::At;
use crate::diagnostic::Span;
use crate::mapping::{ByteHalf, ByteOrder, ModbusPoint, ModbusTable, RegisterEncoding};
use crate::transform::MapTarget;

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
    /// `input`, `holding`, `coil` or `discrete`, with the address.
    pub place: Option<At<(ModbusTable, u16)>>,
    /// `as`.
    pub encoding: Option<At<RegisterEncoding>>,
    /// `order`.
    pub order: Option<At<ByteOrder>>,
    /// `byte`: which byte of its register.
    pub half: Option<At<ByteHalf>>,
    /// `registers`: how many it takes, where its encoding leaves that open.
    pub registers: Option<At<u16>>,
    /// `exponent`: where the power of ten is that the raw value is multiplied by.
    pub exponent: Option<At<(ModbusTable, u16)>>,
    /// `bits`: first and last, both included.
    pub bits: Option<At<(u8, u8)>>,
    /// `map`.
    pub map: Option<MapDraft>,
    /// `scale`.
    pub scale: Option<At<Decimal>>,
    /// `offset`.
    pub offset: Option<At<Decimal>>,
    /// `invert`.
    pub invert: Option<At<bool>>,
    /// `invalid`.
    pub invalid: Vec<At<i128>>,
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
        self.map.is_some() || self.scale.is_some() || self.offset.is_some() || self.invert.is_some()
    }

    /// `as` with the `byte` that it may have.
    fn own_encoding(&self) -> Option<RegisterEncoding> {
        let half = self.half.map(|at| at.value).unwrap_or_default();
        self.encoding.map(|at| match at.value {
            RegisterEncoding::U8(_) => RegisterEncoding::U8(half),
            RegisterEncoding::S8(_) => RegisterEncoding::S8(half),
            other => other,
        })
    }

    /// The power of ten that the raw value is multiplied by: a signed register.
    pub(crate) fn exponent_point(&self, order: ByteOrder) -> Option<ModbusPoint> {
        let (table, address) = self.exponent?.value;
        Some(ModbusPoint { table, address, count: 1, encoding: RegisterEncoding::S16, order, bits: None })
    }

    /// The place with everything that was left out: from `inherited` (a write's read), then from the defaults.
    ///
    /// A write with an address of its own takes the encoding and order of the read if both are registers, but never
    /// its bits.
    pub(crate) fn resolve(&self, inherited: Option<ModbusPoint>, order: ByteOrder) -> Option<ModbusPoint> {
        let own = self.place.map(|place| place.value);
        let (table, address) = own.or_else(|| inherited.map(|point| (point.table, point.address)))?;
        let like = inherited.filter(|point| point.table.is_bits() == table.is_bits());
        let encoding = self.own_encoding().or(like.map(|point| point.encoding));
        let encoding = encoding.unwrap_or(RegisterEncoding::U16);
        let same = like.filter(|point| point.encoding == encoding).map(|point| point.count);
        let count = self.registers.map(|at| at.value).or(same).unwrap_or(encoding.registers());
        let bits =
            self.bits.map(|at| at.value).or(like.filter(|_| own.is_none()).and_then(|point| point.bits));
        Some(ModbusPoint {
            table,
            address,
            count: if table.is_bits() { 1 } else { count },
            encoding,
            order: self.order.map(|at| at.value).or(like.map(|point| point.order)).unwrap_or(order),
            bits: bits.filter(|_| !table.is_bits()),
        })
    }
}
