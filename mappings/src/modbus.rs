//! How registers and bits make a raw value and back (Modbus Application Protocol V1.1b3 leaves it to the device).

use crate::mapping::{ByteOrder, ModbusPoint, ModbusTable, RegisterEncoding};
use crate::transform::{Raw, RawKind};

impl RegisterEncoding {
    /// How many registers it takes.
    pub fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::S16 => 1,
            Self::U32 | Self::S32 | Self::F32 => 2,
            Self::U64 | Self::S64 | Self::F64 => 4,
        }
    }

    /// What fits into it.
    pub fn raw_kind(self) -> RawKind {
        let bits = match self.registers() {
            1 => 16,
            2 => 32,
            _ => 64,
        };
        match self {
            Self::F32 => RawKind::F32,
            Self::F64 => RawKind::F64,
            Self::U16 | Self::U32 | Self::U64 => RawKind::Int { bits, signed: false },
            Self::S16 | Self::S32 | Self::S64 => RawKind::Int { bits, signed: true },
        }
    }
}

impl ModbusTable {
    /// Whether it holds single bits and not registers.
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// Whether the protocol can write it.
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Coil | Self::Holding)
    }

    /// As mapping files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Holding => "holding",
            Self::Input => "input",
        }
    }
}

impl ModbusPoint {
    /// What fits into it; a bit range is an unsigned integer.
    pub fn raw_kind(&self) -> RawKind {
        match self.bits {
            _ if self.table.is_bits() => RawKind::Bool,
            Some((first, last)) => {
                RawKind::Int { bits: last.saturating_sub(first).saturating_add(1), signed: false }
            }
            None => self.encoding.raw_kind(),
        }
    }

    /// The raw value of these registers, as they came over the wire; `None` when there are not `count` of them, or the
    /// point is no register.
    pub fn decode_registers(&self, registers: &[u16]) -> Option<Raw> {
        if self.table.is_bits() || registers.len() != usize::from(self.encoding.registers()) {
            return None;
        }
        let word = assemble(self.order, registers.iter().copied());
        Some(match (self.bits, self.encoding) {
            (Some((first, last)), _) => {
                Raw::Int(i128::from(word.checked_shr(first.into())? & mask(first, last)))
            }
            (None, RegisterEncoding::U16 | RegisterEncoding::U32 | RegisterEncoding::U64) => {
                Raw::Int(i128::from(word))
            }
            (None, RegisterEncoding::S16) => Raw::Int(i128::from(word as u16 as i16)),
            (None, RegisterEncoding::S32) => Raw::Int(i128::from(word as u32 as i32)),
            (None, RegisterEncoding::S64) => Raw::Int(i128::from(word as i64)),
            (None, RegisterEncoding::F32) => Raw::F32(f32::from_bits(word as u32)),
            (None, RegisterEncoding::F64) => Raw::F64(f64::from_bits(word)),
        })
    }

    /// The registers to write, in wire order. `before` are the registers as they are: the bits outside [`Self::bits`]
    /// are kept from them, or zero without them.
    ///
    /// `None` for a raw value that [`Self::raw_kind`] does not admit.
    pub fn encode_registers(&self, raw: &Raw, before: Option<&[u16]>) -> Option<Vec<u16>> {
        if self.table.is_bits() {
            return None;
        }
        let word = match (raw, self.raw_kind()) {
            (Raw::F32(value), RawKind::F32) => u64::from(value.to_bits()),
            (Raw::F64(value), RawKind::F64) => value.to_bits(),
            (Raw::Int(value), kind) => {
                kind.int_range().filter(|(min, max)| (min..=max).contains(&value))?;
                *value as u64
            }
            _ => return None,
        };
        let word = match self.bits {
            None => word,
            Some((first, last)) => {
                let old = before.map_or(0, |before| assemble(self.order, before.iter().copied()));
                let mask = mask(first, last).checked_shl(first.into()).unwrap_or_default();
                old & !mask | word.checked_shl(first.into())? & mask
            }
        };
        Some(split(self.order, word, self.encoding.registers()))
    }
}

/// As many ones as there are bits from `first` to `last`.
fn mask(first: u8, last: u8) -> u64 {
    let width = u32::from(last.saturating_sub(first)) + 1;
    u64::MAX.checked_shr(64u32.saturating_sub(width)).unwrap_or_default()
}

fn assemble(order: ByteOrder, registers: impl DoubleEndedIterator<Item = u16>) -> u64 {
    let push = |word: u64, register: u16| word << 16 | u64::from(register);
    match order {
        ByteOrder::Abcd => registers.fold(0, push),
        ByteOrder::Cdab => registers.rev().fold(0, push),
        ByteOrder::Badc => registers.map(u16::swap_bytes).fold(0, push),
        ByteOrder::Dcba => registers.rev().map(u16::swap_bytes).fold(0, push),
    }
}

fn split(order: ByteOrder, word: u64, count: u16) -> Vec<u16> {
    let big_endian = (0..count).rev().map(|at| (word >> (16 * at)) as u16);
    match order {
        ByteOrder::Abcd => big_endian.collect(),
        ByteOrder::Cdab => big_endian.rev().collect(),
        ByteOrder::Badc => big_endian.map(u16::swap_bytes).collect(),
        ByteOrder::Dcba => big_endian.rev().map(u16::swap_bytes).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(encoding: RegisterEncoding, order: ByteOrder, bits: Option<(u8, u8)>) -> ModbusPoint {
        let count = encoding.registers();
        ModbusPoint { table: ModbusTable::Holding, address: 0, count, encoding, order, bits }
    }

    /// 230.2 as IEEE 754 is 43 66 33 33.
    #[test]
    fn every_order_of_a_float() {
        for (order, registers) in [
            (ByteOrder::Abcd, [0x4366, 0x3333]),
            (ByteOrder::Cdab, [0x3333, 0x4366]),
            (ByteOrder::Badc, [0x6643, 0x3333]),
            (ByteOrder::Dcba, [0x3333, 0x6643]),
        ] {
            let point = point(RegisterEncoding::F32, order, None);
            assert_eq!(point.decode_registers(&registers), Some(Raw::F32(230.2)), "{order:?}");
            assert_eq!(point.encode_registers(&Raw::F32(230.2), None), Some(registers.to_vec()), "{order:?}");
        }
    }

    #[test]
    fn integers_keep_their_sign() {
        for (encoding, registers, expected) in [
            (RegisterEncoding::U16, vec![0xffff], 65535),
            (RegisterEncoding::S16, vec![0xffff], -1),
            (RegisterEncoding::S32, vec![0xffff, 0xfffe], -2),
            (RegisterEncoding::U64, vec![0, 0, 1, 0], 65536),
            (RegisterEncoding::S64, vec![0xffff, 0xffff, 0xffff, 0xfffd], -3),
        ] {
            let point = point(encoding, ByteOrder::Abcd, None);
            assert_eq!(point.decode_registers(&registers), Some(Raw::Int(expected)));
            assert_eq!(point.encode_registers(&Raw::Int(expected), None), Some(registers));
        }
    }

    #[test]
    fn bit_ranges_include_both_ends_and_leave_the_rest() {
        let point = point(RegisterEncoding::U16, ByteOrder::Abcd, Some((4, 6)));
        assert_eq!(point.decode_registers(&[0x0050]), Some(Raw::Int(5)));
        assert_eq!(point.encode_registers(&Raw::Int(2), Some(&[0xffff])), Some(vec![0xffaf]));
        assert_eq!(point.encode_registers(&Raw::Int(2), None), Some(vec![0x0020]));
        assert_eq!(point.encode_registers(&Raw::Int(8), None), None, "three bits end at 7");
    }

    #[test]
    fn wrong_counts_and_kinds_are_refused() {
        let float = point(RegisterEncoding::F32, ByteOrder::Abcd, None);
        assert_eq!(float.decode_registers(&[1]), None);
        assert_eq!(float.encode_registers(&Raw::Int(1), None), None);
        let coil = ModbusPoint { table: ModbusTable::Coil, ..float };
        assert_eq!(coil.raw_kind(), RawKind::Bool);
        assert_eq!(coil.decode_registers(&[1, 2]), None);
    }

    proptest! {
        #[test]
        fn every_word_comes_back(word in any::<u64>(), order in 0usize..4, encoding in 0usize..6) {
            use RegisterEncoding::{S16, S32, S64, U16, U32, U64};
            let order = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba][order];
            let point = point([U16, S16, U32, S32, U64, S64][encoding], order, None);
            let registers = split(order, word, point.count);
            let raw = point.decode_registers(&registers).expect("enough registers");
            prop_assert_eq!(point.encode_registers(&raw, None), Some(registers));
        }
    }
}
