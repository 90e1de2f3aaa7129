//! Modbus's part of a mapping file as it was written.

use std::time::Duration;

use super::{ByteHalf, ByteOrder, ModbusPoint, ModbusTable, PerTable, RegisterEncoding};
use crate::draft::At;

/// `modbus`: what devices of this model can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModbusDraft {
    /// `order` of points that have none of their own.
    pub order: Option<At<ByteOrder>>,
    /// `max_registers` and `max_bits`, by table.
    pub max_read: TablesDraft,
    /// `max_gap`, by table.
    pub max_gap: TablesDraft,
    /// `mask_write`.
    pub mask_write: Option<At<bool>>,
    /// `max_connections`.
    pub max_connections: Option<At<u16>>,
    /// `guard`.
    pub guard: Option<At<Duration>>,
    /// `turnaround`.
    pub turnaround: Option<At<Duration>>,
    /// `write_rate`.
    pub write_rate: Option<At<Duration>>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
}

/// A number for each table, where one is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TablesDraft {
    /// Coils.
    pub coil: Option<At<u16>>,
    /// Discrete inputs.
    pub discrete: Option<At<u16>>,
    /// Holding registers.
    pub holding: Option<At<u16>>,
    /// Input registers.
    pub input: Option<At<u16>>,
}

impl TablesDraft {
    /// The numbers that are given, the others from `default`.
    pub fn filled(&self, default: PerTable) -> PerTable {
        PerTable {
            coil: self.coil.map_or(default.coil, |at| at.value),
            discrete: self.discrete.map_or(default.discrete, |at| at.value),
            holding: self.holding.map_or(default.holding, |at| at.value),
            input: self.input.map_or(default.input, |at| at.value),
        }
    }
}

/// Where a value is, and how registers make it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceDraft {
    /// `input`, `holding`, `coil` or `discrete`, with the address.
    pub place: Option<At<(ModbusTable, u16)>>,
    /// `as`.
    pub encoding: Option<At<RegisterEncoding>>,
    /// Whether `as` is no register type, so that nobody knows how long the value is, nor of what kind.
    pub unknown: bool,
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
}

impl PlaceDraft {
    /// Whether it is certainly a single bit.
    pub(crate) fn is_bit(&self) -> bool {
        self.place.is_some_and(|place| place.value.0.is_bits())
    }

    /// Whether it is certainly a text.
    pub(crate) fn is_text(&self) -> bool {
        self.encoding.is_some_and(|at| at.value == RegisterEncoding::Text)
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

/// Registers or bits that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDraft {
    /// Which table.
    pub table: ModbusTable,
    /// Address of the first.
    pub address: At<u16>,
    /// The registers; bits are 0 and 1.
    pub values: Vec<At<u16>>,
}
