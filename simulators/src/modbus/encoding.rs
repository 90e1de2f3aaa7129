//! How registers make numbers: big-endian registers (MODBUS Application Protocol V1.1b3, section 4.2), two's
//! complement, IEEE 754, and the four usual orders of bytes.

/// How registers make a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// An integer of so many bits, 16, 24, 32, 48 or 64, with or without sign; 24 are the lower ones of two registers.
    Int {
        /// Width.
        bits: u8,
        /// Two's complement.
        signed: bool,
    },
    /// One byte of a register, with or without sign.
    Byte {
        /// Bits 8 to 15, not 0 to 7.
        high: bool,
        /// Two's complement.
        signed: bool,
    },
    /// Four decimal digits a register, in so many registers.
    Bcd(u16),
    /// Two bytes of text, or of whatever, a register, in so many registers.
    Text(u16),
    /// IEEE 754, 16 bit.
    F16,
    /// IEEE 754, 32 bit.
    F32,
    /// IEEE 754, 64 bit.
    F64,
}

/// Order of registers and of the bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The least significant register first.
    pub low_word_first: bool,
    /// The least significant byte of each register first.
    pub low_byte_first: bool,
}

impl Order {
    /// By its usual name: the bytes of a 32-bit value, A the most significant, as they come over the wire.
    pub fn named(name: &str) -> Option<Self> {
        let (low_word_first, low_byte_first) = match name {
            "ABCD" => (false, false),
            "CDAB" => (true, false),
            "BADC" => (false, true),
            "DCBA" => (true, true),
            _ => return None,
        };
        Some(Self { low_word_first, low_byte_first })
    }
}

/// What registers hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i128),
    /// A float; a single one prints as short as its own precision allows.
    Float(f64),
}

impl Encoding {
    /// How many registers it takes.
    pub fn words(self) -> u16 {
        match self {
            Self::Int { bits, .. } => u16::from(bits).div_ceil(16),
            Self::Byte { .. } | Self::F16 => 1,
            Self::Bcd(words) | Self::Text(words) => words,
            Self::F32 => 2,
            Self::F64 => 4,
        }
    }

    /// The lowest and highest integer; `None` for floats.
    pub fn integers(self) -> Option<(i128, i128)> {
        match self {
            Self::Int { bits, signed: true } => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            Self::Int { bits, signed: false } => Some((0, (1 << bits) - 1)),
            Self::Byte { signed: true, .. } => Some((-128, 127)),
            Self::Byte { signed: false, .. } => Some((0, 255)),
            // A u64 has no more than 19 whole digits.
            Self::Bcd(words) => Some((0, 10_i128.pow(u32::from(words.min(4)) * 4) - 1)),
            Self::Text(_) | Self::F16 | Self::F32 | Self::F64 => None,
        }
    }

    /// The registers of a text: its bytes, cut off or filled up with zeros.
    pub fn encode_text(self, order: Order, text: &str) -> Vec<u16> {
        let mut bytes = text.bytes().chain(std::iter::repeat(0));
        let mut byte = || u16::from(bytes.next().unwrap_or(0));
        let mut words: Vec<u16> = (0..self.words()).map(|_| byte() << 8 | byte()).collect();
        ordered(&mut words, order);
        words
    }

    /// The registers of a number. Integers too big or small become the nearest that fits, fractions are rounded.
    pub fn encode(self, order: Order, number: Number) -> Vec<u16> {
        let bits = match self {
            Self::Int { bits, .. } => {
                let (low, high) = self.integers().unwrap_or((0, 0));
                integer(number).clamp(low, high) as u64 & (u64::MAX >> (64 - u32::from(bits)))
            }
            Self::Byte { high, .. } => {
                let (low, most) = self.integers().unwrap_or((0, 0));
                (integer(number).clamp(low, most) as u64 & 0xff) << if high { 8 } else { 0 }
            }
            Self::Bcd(_) => digits(integer(number).clamp(0, self.integers().map_or(0, |(_, most)| most))),
            Self::Text(_) => 0,
            Self::F16 => u64::from(half_bits(float(number))),
            Self::F32 => u64::from((float(number) as f32).to_bits()),
            Self::F64 => float(number).to_bits(),
        };
        let mut words: Vec<u16> = (0..self.words()).rev().map(|word| (bits >> (16 * word)) as u16).collect();
        ordered(&mut words, order);
        words
    }

    /// The number in registers; as many as [`words`](Self::words) says.
    pub fn decode(self, order: Order, words: &[u16]) -> Number {
        let mut words = words.to_vec();
        ordered(&mut words, order);
        let bits = words.iter().fold(0_u64, |bits, word| bits << 16 | u64::from(*word));
        match self {
            Self::Int { bits: width, signed } => whole(bits, width, signed),
            Self::Byte { high, signed } => whole(bits >> if high { 8 } else { 0 }, 8, signed),
            Self::Bcd(_) => {
                let digits = (0..16).rev().map(|place| bits >> (4 * place) & 15);
                Number::Int(digits.fold(0, |whole, digit| whole * 10 + i128::from(digit)))
            }
            Self::Text(_) => Number::Int(i128::from(bits)),
            Self::F16 => Number::Float(half(bits as u16)),
            Self::F32 => Number::Float(widened(f32::from_bits(bits as u32))),
            Self::F64 => Number::Float(f64::from_bits(bits)),
        }
    }
}

/// The lowest bits as an integer.
fn whole(bits: u64, width: u8, signed: bool) -> Number {
    let bits = bits & (u64::MAX >> (64 - u32::from(width)));
    let sign = signed && bits >> (width - 1) & 1 == 1;
    Number::Int(i128::from(bits) - if sign { 1 << width } else { 0 })
}

/// One decimal digit in each four bits.
fn digits(mut whole: i128) -> u64 {
    let mut bits = 0;
    for place in 0..16 {
        bits |= ((whole % 10) as u64) << (4 * place);
        whole /= 10;
    }
    bits
}

/// IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -value } else { value }
}

/// The nearest half: their bits are in the order of their values.
fn half_bits(value: f64) -> u16 {
    if value.is_nan() {
        return 0x7e00;
    }
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let (mut low, mut high) = (0_u16, 0x7bff_u16);
    while low < high {
        let middle = low + (high - low) / 2;
        if half(middle) < value.abs() { low = middle + 1 } else { high = middle }
    }
    let below = low.saturating_sub(1);
    let nearer = (value.abs() - half(below)).abs() < (half(low) - value.abs()).abs();
    sign | if nearer { below } else { low }
}

/// The double that prints like the single: 230.2 and not 230.1999969482422.
fn widened(single: f32) -> f64 {
    single.to_string().parse().unwrap_or(f64::NAN)
}

fn integer(number: Number) -> i128 {
    match number {
        Number::Int(integer) => integer,
        Number::Float(float) => float.round() as i128,
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Int(integer) => integer as f64,
        Number::Float(float) => float,
    }
}

fn ordered(words: &mut [u16], order: Order) {
    if order.low_word_first {
        words.reverse();
    }
    if order.low_byte_first {
        words.iter_mut().for_each(|word| *word = word.swap_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const U16: Encoding = Encoding::Int { bits: 16, signed: false };
    const S16: Encoding = Encoding::Int { bits: 16, signed: true };
    const U32: Encoding = Encoding::Int { bits: 32, signed: false };
    const S32: Encoding = Encoding::Int { bits: 32, signed: true };
    const U64: Encoding = Encoding::Int { bits: 64, signed: false };
    const S64: Encoding = Encoding::Int { bits: 64, signed: true };

    fn check(encoding: Encoding, order: &str, number: Number, words: &[u16]) {
        let order = Order::named(order).unwrap();
        assert_eq!(encoding.encode(order, number), words, "{encoding:?} {order:?} {number:?}");
        assert_eq!(encoding.decode(order, words), number, "{encoding:?} {order:?} {words:04x?}");
    }

    #[test]
    fn integers_in_every_order() {
        let int = Number::Int;
        check(U16, "ABCD", int(0x1234), &[0x1234]);
        check(U16, "BADC", int(0x1234), &[0x3412]);
        check(U16, "CDAB", int(0x1234), &[0x1234]);
        check(S16, "ABCD", int(-1), &[0xffff]);
        check(S16, "ABCD", int(-32768), &[0x8000]);
        check(S16, "DCBA", int(-2), &[0xfeff]);
        check(U32, "ABCD", int(0x0a0b_0c0d), &[0x0a0b, 0x0c0d]);
        check(U32, "CDAB", int(0x0a0b_0c0d), &[0x0c0d, 0x0a0b]);
        check(U32, "BADC", int(0x0a0b_0c0d), &[0x0b0a, 0x0d0c]);
        check(U32, "DCBA", int(0x0a0b_0c0d), &[0x0d0c, 0x0b0a]);
        check(S32, "ABCD", int(-100_000), &[0xfffe, 0x7960]);
        check(U64, "ABCD", int(0x0102_0304_0506_0708), &[0x0102, 0x0304, 0x0506, 0x0708]);
        check(U64, "CDAB", int(0x0102_0304_0506_0708), &[0x0708, 0x0506, 0x0304, 0x0102]);
        check(U64, "ABCD", int(u64::MAX.into()), &[0xffff; 4]);
        check(S64, "ABCD", int(i64::MIN.into()), &[0x8000, 0, 0, 0]);
    }

    /// IEEE 754: 230.2 is 43663333, 1.0 is 3F800000, -118.625 is C2ED4000; 1.0 as a double 3FF0000000000000.
    #[test]
    fn floats_in_every_order() {
        let float = Number::Float;
        check(Encoding::F32, "ABCD", float(230.2), &[0x4366, 0x3333]);
        check(Encoding::F32, "CDAB", float(230.2), &[0x3333, 0x4366]);
        check(Encoding::F32, "BADC", float(230.2), &[0x6643, 0x3333]);
        check(Encoding::F32, "DCBA", float(1.0), &[0x0000, 0x803f]);
        check(Encoding::F32, "ABCD", float(-118.625), &[0xc2ed, 0x4000]);
        check(Encoding::F64, "ABCD", float(1.0), &[0x3ff0, 0, 0, 0]);
        check(Encoding::F64, "CDAB", float(1.0), &[0, 0, 0, 0x3ff0]);
    }

    /// A half of 1.5 is 3E00, of -2 C000; the smallest is 2^-24.
    #[test]
    fn odd_widths_halves_digits_and_texts() {
        let int = Number::Int;
        let byte = |high, signed| Encoding::Byte { high, signed };
        check(byte(false, true), "ABCD", int(-2), &[0x00fe]);
        check(byte(true, false), "ABCD", int(200), &[0xc800]);
        check(Encoding::Int { bits: 24, signed: true }, "ABCD", int(-2), &[0x00ff, 0xfffe]);
        check(Encoding::Int { bits: 24, signed: false }, "CDAB", int(0x12_3456), &[0x3456, 0x0012]);
        check(Encoding::Int { bits: 48, signed: true }, "ABCD", int(-1), &[0xffff; 3]);
        check(Encoding::Bcd(2), "ABCD", int(12_345_678), &[0x1234, 0x5678]);
        check(Encoding::F16, "ABCD", Number::Float(1.5), &[0x3e00]);
        check(Encoding::F16, "ABCD", Number::Float(-2.0), &[0xc000]);
        check(Encoding::F16, "ABCD", Number::Float(2_f64.powi(-24)), &[1]);
        assert_eq!(Encoding::F16.encode(Order::default(), Number::Float(0.1)), [0x2e66]);
        assert_eq!(Encoding::Bcd(1).encode(Order::default(), int(123_456)), [0x9999]);
        assert_eq!(Encoding::Text(3).encode_text(Order::default(), "Hey"), [0x4865, 0x7900, 0]);
    }

    #[test]
    fn what_does_not_fit_becomes_the_nearest() {
        let order = Order::default();
        assert_eq!(U16.encode(order, Number::Float(-3.0)), [0]);
        assert_eq!(U16.encode(order, Number::Float(1e9)), [0xffff]);
        assert_eq!(S16.encode(order, Number::Float(f64::NAN)), [0]);
        assert_eq!(S16.encode(order, Number::Float(21.5)), [22]);
        assert_eq!(Order::named("ACBD"), None);
    }
}
