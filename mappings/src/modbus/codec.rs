//! How registers and bits make a raw value and back (Modbus Application Protocol V1.1b3 leaves it to the device).

use super::{ByteHalf, ByteOrder, ModbusPoint, ModbusTable, RegisterEncoding};
use crate::transform::{Raw, RawKind};

impl RegisterEncoding {
    /// How many registers it takes; the fewest of those that can be longer.
    pub fn registers(self) -> u16 {
        match self {
            Self::U8(_) | Self::S8(_) | Self::U16 | Self::S16 | Self::F16 => 1,
            Self::U24 | Self::S24 | Self::U32 | Self::S32 | Self::F32 => 2,
            Self::U48 | Self::S48 => 3,
            Self::U64 | Self::S64 | Self::F64 => 4,
            Self::Bcd | Self::Text | Self::Bytes => 1,
        }
    }

    /// Most registers of those that can be longer; `None`: it always takes [`Self::registers`].
    pub fn longest(self) -> Option<u16> {
        match self {
            Self::Bcd => Some(4),
            Self::Text | Self::Bytes => Some(125),
            _ => None,
        }
    }

    /// First bit and width of an integer in its registers, and whether it has a sign.
    fn integer(self) -> Option<(u8, u8, bool)> {
        let shift = |half| if half == ByteHalf::High { 8 } else { 0 };
        Some(match self {
            Self::U8(half) => (shift(half), 8, false),
            Self::S8(half) => (shift(half), 8, true),
            Self::U16 => (0, 16, false),
            Self::S16 => (0, 16, true),
            Self::U24 => (0, 24, false),
            Self::S24 => (0, 24, true),
            Self::U32 => (0, 32, false),
            Self::S32 => (0, 32, true),
            Self::U48 => (0, 48, false),
            Self::S48 => (0, 48, true),
            Self::U64 => (0, 64, false),
            Self::S64 => (0, 64, true),
            Self::F16 | Self::F32 | Self::F64 | Self::Bcd | Self::Text | Self::Bytes => return None,
        })
    }

    /// Whether bits of it can be taken: an unsigned number of whole registers.
    pub(crate) fn has_bits(self) -> bool {
        matches!(self, Self::U16 | Self::U24 | Self::U32 | Self::U48 | Self::U64)
    }

    /// Whether other values may share its registers.
    pub(crate) fn is_part(self) -> bool {
        matches!(self, Self::U8(_) | Self::S8(_))
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
        match (self.field(), self.encoding) {
            _ if self.table.is_bits() => RawKind::Bool,
            (Some((_, bits, signed)), _) => RawKind::Int { bits, signed },
            (None, RegisterEncoding::F16) => RawKind::F16,
            (None, RegisterEncoding::F32) => RawKind::F32,
            (None, RegisterEncoding::F64) => RawKind::F64,
            (None, RegisterEncoding::Bcd) => {
                RawKind::Digits(u8::try_from(self.count.saturating_mul(4)).unwrap_or(u8::MAX))
            }
            (None, RegisterEncoding::Bytes) => RawKind::Bytes(self.bytes()),
            (None, _) => RawKind::Text(self.bytes()),
        }
    }

    /// Whether a write to it must leave some bits of its registers as they are.
    pub fn is_part(&self) -> bool {
        !self.table.is_bits() && (self.bits.is_some() || self.encoding.is_part())
    }

    /// The bits of the first register that are the point's own, in wire order; all ones for what is no part of one.
    pub fn mask(&self) -> u16 {
        match self.field().filter(|_| self.is_part()) {
            None => u16::MAX,
            Some((first, width, _)) => {
                let mask = mask(width).checked_shl(first.into()).unwrap_or_default();
                split(self.order, mask, self.count).first().copied().unwrap_or(u16::MAX)
            }
        }
    }

    /// First bit, width and sign of an integer.
    fn field(&self) -> Option<(u8, u8, bool)> {
        match self.bits {
            Some((first, last)) => Some((first, last.saturating_sub(first).saturating_add(1), false)),
            None => self.encoding.integer(),
        }
    }

    fn bytes(&self) -> u16 {
        self.count.saturating_mul(2)
    }

    /// The raw value of these registers, as they came over the wire; `None` when there are not `count` of them, the
    /// point is no register, or they are no such value (digits above 9, no UTF-8).
    pub fn decode_registers(&self, registers: &[u16]) -> Option<Raw> {
        if self.table.is_bits() || registers.len() != usize::from(self.count) {
            return None;
        }
        if let [register] = registers
            && let Some(signed) = self.whole_register()
        {
            let int = if signed { register.cast_signed().into() } else { i32::from(*register) };
            return Some(Raw::Int(int.into()));
        }
        if matches!(self.encoding, RegisterEncoding::Text | RegisterEncoding::Bytes) {
            return self.decode_bytes(registers);
        }
        let word = assemble(self.order, registers);
        Some(match (self.field(), self.encoding) {
            (Some((first, width, signed)), _) => {
                let bits = word.checked_shr(first.into())? & mask(width);
                let is_negative = signed && bits >> (width - 1) & 1 == 1;
                Raw::Int(i128::from(bits) - if is_negative { 1 << width } else { 0 })
            }
            (None, RegisterEncoding::F16) => Raw::F16(word as u16),
            (None, RegisterEncoding::F32) => Raw::F32(f32::from_bits(word as u32)),
            (None, RegisterEncoding::F64) => Raw::F64(f64::from_bits(word)),
            (None, _) => Raw::Int(digits(word, self.count)?),
        })
    }

    /// Of an integer that is all of one register in the usual order, as that of most points is: whether it has a sign.
    pub fn whole_register(&self) -> Option<bool> {
        let usual = matches!(self.order, ByteOrder::Abcd | ByteOrder::Cdab) && self.bits.is_none();
        match self.encoding {
            RegisterEncoding::U16 if usual && !self.table.is_bits() => Some(false),
            RegisterEncoding::S16 if usual && !self.table.is_bits() => Some(true),
            _ => None,
        }
    }

    fn decode_bytes(&self, registers: &[u16]) -> Option<Raw> {
        let mut registers = registers.to_vec();
        reorder(self.order, &mut registers);
        let bytes: Vec<u8> = registers.into_iter().flat_map(u16::to_be_bytes).collect();
        if self.encoding == RegisterEncoding::Bytes {
            return Some(Raw::Bytes(bytes));
        }
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec()).ok().map(|text| Raw::Text(text.trim_end_matches(' ').to_owned()))
    }

    /// The registers to write, in wire order. `before` are the registers as they are: the bits outside the point's own
    /// ([`Self::is_part`]) are kept from them, or zero without them.
    ///
    /// `None` for a raw value that [`Self::raw_kind`] does not admit.
    pub fn encode_registers(&self, raw: &Raw, before: Option<&[u16]>) -> Option<Vec<u16>> {
        if self.table.is_bits() {
            return None;
        }
        let word = match (raw, self.raw_kind()) {
            (Raw::F16(value), RawKind::F16) => u64::from(*value),
            (Raw::F32(value), RawKind::F32) => u64::from(value.to_bits()),
            (Raw::F64(value), RawKind::F64) => value.to_bits(),
            (Raw::Int(value), kind @ (RawKind::Int { .. } | RawKind::Digits(_))) => {
                kind.int_range().filter(|(min, max)| (min..=max).contains(&value))?;
                if matches!(kind, RawKind::Digits(_)) { packed(*value) } else { *value as u64 }
            }
            (Raw::Text(text), RawKind::Text(_)) => return self.encode_bytes(text.as_bytes(), true),
            (Raw::Bytes(bytes), RawKind::Bytes(_)) => return self.encode_bytes(bytes, false),
            _ => return None,
        };
        let word = match self.field() {
            None => word,
            Some((first, width, _)) => {
                let kept = before.filter(|_| self.is_part());
                let old = kept.map_or(0, |before| assemble(self.order, before));
                let mask = mask(width).checked_shl(first.into()).unwrap_or_default();
                old & !mask | word.checked_shl(first.into())? & mask
            }
        };
        Some(split(self.order, word, self.count))
    }

    /// Two bytes a register; a text may be shorter, bytes must fill the registers.
    fn encode_bytes(&self, bytes: &[u8], may_be_shorter: bool) -> Option<Vec<u16>> {
        let most = usize::from(self.bytes());
        if bytes.len() > most || bytes.len() < most && !may_be_shorter {
            return None;
        }
        let mut filled = bytes.to_vec();
        filled.resize(most, 0);
        let pairs = filled.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
        let mut registers: Vec<u16> = pairs.map(u16::from_be_bytes).collect();
        reorder(self.order, &mut registers);
        Some(registers)
    }
}

/// As many ones.
fn mask(width: u8) -> u64 {
    u64::MAX.checked_shr(64u32.saturating_sub(width.into())).unwrap_or_default()
}

/// The number that four decimal digits a register make; `None` when one is above 9.
fn digits(word: u64, registers: u16) -> Option<i128> {
    (0..registers.saturating_mul(4)).rev().try_fold(0, |number, at| {
        let digit = word.checked_shr(u32::from(at) * 4)? & 0xf;
        (digit <= 9).then(|| number * 10 + i128::from(digit))
    })
}

/// The inverse of [`digits`], for what fits.
fn packed(number: i128) -> u64 {
    let (mut rest, mut word) = (number.unsigned_abs(), 0);
    for at in 0..16 {
        word |= ((rest % 10) as u64) << (4 * at);
        rest /= 10;
    }
    word
}

/// From wire order to the most significant first, and back.
fn reorder(order: ByteOrder, registers: &mut [u16]) {
    if matches!(order, ByteOrder::Cdab | ByteOrder::Dcba) {
        registers.reverse();
    }
    if matches!(order, ByteOrder::Badc | ByteOrder::Dcba) {
        registers.iter_mut().for_each(|register| *register = register.swap_bytes());
    }
}

fn assemble(order: ByteOrder, registers: &[u16]) -> u64 {
    let is_swapped = matches!(order, ByteOrder::Badc | ByteOrder::Dcba);
    let with = |word: u64, register: &u16| {
        word << 16 | u64::from(if is_swapped { register.swap_bytes() } else { *register })
    };
    match order {
        ByteOrder::Abcd | ByteOrder::Badc => registers.iter().fold(0, with),
        ByteOrder::Cdab | ByteOrder::Dcba => registers.iter().rev().fold(0, with),
    }
}

fn split(order: ByteOrder, word: u64, count: u16) -> Vec<u16> {
    let shift = |at: u16| word.checked_shr(16 * u32::from(at)).unwrap_or_default() as u16;
    let mut registers: Vec<u16> = (0..count).rev().map(shift).collect();
    reorder(order, &mut registers);
    registers
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

    /// Eight significant bytes in three registers and in two, of which the upper byte is another's.
    #[test]
    fn odd_widths() {
        use RegisterEncoding::{S8, S24, S48, U8, U24, U48};
        for (encoding, order, registers, expected) in [
            (U8(ByteHalf::Low), ByteOrder::Abcd, vec![0x12fe], 0xfe),
            (U8(ByteHalf::High), ByteOrder::Abcd, vec![0x12fe], 0x12),
            (U8(ByteHalf::High), ByteOrder::Badc, vec![0x12fe], 0xfe),
            (S8(ByteHalf::Low), ByteOrder::Abcd, vec![0x12fe], -2),
            (U24, ByteOrder::Abcd, vec![0x00ff, 0xfffe], 0x00ff_fffe),
            (S24, ByteOrder::Abcd, vec![0x00ff, 0xfffe], -2),
            (U24, ByteOrder::Abcd, vec![0xab12, 0x3456], 0x0012_3456),
            (U24, ByteOrder::Cdab, vec![0x3456, 0x0012], 0x0012_3456),
            (U48, ByteOrder::Abcd, vec![0x0102, 0x0304, 0x0506], 0x0102_0304_0506),
            (U48, ByteOrder::Dcba, vec![0x0605, 0x0403, 0x0201], 0x0102_0304_0506),
            (S48, ByteOrder::Abcd, vec![0xffff, 0xffff, 0xfffd], -3),
        ] {
            let point = point(encoding, order, None);
            assert_eq!(
                point.decode_registers(&registers),
                Some(Raw::Int(expected)),
                "{encoding:?} {order:?}"
            );
        }
        let high = point(U8(ByteHalf::High), ByteOrder::Abcd, None);
        assert_eq!(high.encode_registers(&Raw::Int(0xab), Some(&[0x12fe])), Some(vec![0xabfe]));
        assert_eq!((high.mask(), high.is_part()), (0xff00, true));
        let swapped = point(U8(ByteHalf::High), ByteOrder::Badc, None);
        assert_eq!(swapped.encode_registers(&Raw::Int(0xab), Some(&[0x12fe])), Some(vec![0x12ab]));
        assert_eq!(swapped.mask(), 0x00ff);
    }

    /// 1234 in packed BCD is 0x1234.
    #[test]
    fn decimal_digits() {
        let two = ModbusPoint { count: 2, ..point(RegisterEncoding::Bcd, ByteOrder::Abcd, None) };
        assert_eq!(two.decode_registers(&[0x1234, 0x5678]), Some(Raw::Int(12_345_678)));
        assert_eq!(two.encode_registers(&Raw::Int(120), None), Some(vec![0, 0x0120]));
        assert_eq!(two.decode_registers(&[0x12a4, 0]), None, "A is no digit");
        assert_eq!(two.encode_registers(&Raw::Int(100_000_000), None), None, "nine digits");
        let turned = ModbusPoint { order: ByteOrder::Cdab, ..two };
        assert_eq!(turned.decode_registers(&[0x5678, 0x1234]), Some(Raw::Int(12_345_678)));
    }

    /// ASCII: A is 0x41.
    #[test]
    fn texts_and_bytes() {
        let text = ModbusPoint { count: 3, ..point(RegisterEncoding::Text, ByteOrder::Abcd, None) };
        let says = |text: &str| Some(Raw::Text(text.to_owned()));
        assert_eq!(text.decode_registers(&[0x4142, 0x4320, 0x2020]), says("ABC"));
        assert_eq!(text.decode_registers(&[0x4142, 0x0043, 0x4444]), says("AB"));
        assert_eq!(text.decode_registers(&[0xff42, 0, 0]), None, "no UTF-8");
        let written = text.encode_registers(&Raw::Text("ABC".to_owned()), None);
        assert_eq!(written, Some(vec![0x4142, 0x4300, 0]));
        assert_eq!(text.encode_registers(&Raw::Text("ABCDEFG".to_owned()), None), None);
        let swapped = ModbusPoint { order: ByteOrder::Badc, ..text };
        assert_eq!(swapped.decode_registers(&[0x4241, 0x0043, 0]), says("ABC"));
        let bytes = ModbusPoint { encoding: RegisterEncoding::Bytes, ..text };
        assert_eq!(bytes.decode_registers(&[0x00ff, 1, 2]), Some(Raw::Bytes(vec![0, 0xff, 0, 1, 0, 2])));
        assert_eq!(bytes.encode_registers(&Raw::Bytes(vec![1]), None), None, "six bytes, no fewer");
    }

    proptest! {
        /// Every encoding in every order: what registers mean, written again, makes the same registers.
        #[test]
        fn every_word_comes_back(words in proptest::array::uniform4(any::<u16>()), order in 0usize..4, encoding in 0usize..17) {
            use RegisterEncoding::*;
            let order = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba][order];
            let all = [U8(ByteHalf::Low), U8(ByteHalf::High), S8(ByteHalf::Low), S8(ByteHalf::High), U16, S16, U24, S24,
                U32, S32, U48, S48, U64, S64, F16, F32, F64];
            let point = point(all[encoding], order, None);
            let mut registers = words[..usize::from(point.count)].to_vec();
            if matches!(point.encoding, U24 | S24) {
                // The byte above is not the point's own.
                registers = split(order, assemble(order, &registers) & 0xff_ffff, 2);
            }
            let raw = point.decode_registers(&registers).expect("enough registers");
            prop_assert_eq!(point.encode_registers(&raw, Some(&registers)), Some(registers));
        }

        #[test]
        fn digits_come_back(number in 0i128..10_000_000_000_000_000, order in 0usize..4) {
            let order = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba][order];
            let point = ModbusPoint { count: 4, ..point(RegisterEncoding::Bcd, order, None) };
            let registers = point.encode_registers(&Raw::Int(number), None).expect("sixteen digits");
            prop_assert_eq!(point.decode_registers(&registers), Some(Raw::Int(number)));
        }

        #[test]
        fn texts_come_back(text in "[!-~]{0,8}", bytes in proptest::array::uniform8(any::<u8>()), order in 0usize..4) {
            let order = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba][order];
            let point = ModbusPoint { count: 4, ..point(RegisterEncoding::Text, order, None) };
            let raw = Raw::Text(text);
            let registers = point.encode_registers(&raw, None).expect("eight bytes");
            prop_assert_eq!(point.decode_registers(&registers), Some(raw));
            let (point, raw) = (ModbusPoint { encoding: RegisterEncoding::Bytes, ..point }, Raw::Bytes(bytes.to_vec()));
            let registers = point.encode_registers(&raw, None).expect("eight bytes");
            prop_assert_eq!(point.decode_registers(&registers), Some(raw));
        }
    }
}
