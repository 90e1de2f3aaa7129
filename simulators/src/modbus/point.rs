//! A simulated device as its mapping describes it: which capability is where, and how its value is put there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::encoding::{Encoding, Number, Order};
use super::pdu::Table;

/// Everything that a mapping says about a device that matters to a simulator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blueprint {
    /// `vendor.model`.
    pub profile: String,
    /// `major.minor.patch`.
    pub version: String,
    /// In the order of the file.
    pub points: Vec<Point>,
    /// As many unused addresses in a row are readable between two used ones.
    pub max_gap: u16,
    /// What always is in some cells: exponents, and what the model is known by.
    pub constants: BTreeMap<(Table, u16), u16>,
    /// Cells that commands write, whatever they write there.
    pub commanded: BTreeSet<(Table, u16)>,
}

/// One capability.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its name in the mapping, and that of its quantity in the world.
    pub capability: String,
    /// What its value is.
    pub nature: Nature,
    /// `Type` of its class: `Temperature`, `Switch`.
    pub kind: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Lowest and highest value.
    pub range: Option<(f64, f64)>,
    /// Names of states; the value in the world is the place in this list.
    pub states: Vec<String>,
    /// Where it is read.
    pub read: Option<Place>,
    /// Where it is written.
    pub write: Option<Place>,
}

/// What kind of value a capability has and who changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// BinaryControl.
    Switch,
    /// LevelControl.
    Level,
    /// EnumControl.
    Choice,
    /// BinarySensor.
    Detector,
    /// LevelSensor.
    Gauge,
    /// EnumSensor.
    Indicator,
    /// BlobSensor: a text.
    Text,
}

impl Nature {
    /// By the name of the class; `None`: this class has no simulation.
    pub fn of_class(class: &str) -> Option<Self> {
        Some(match class {
            "BinaryControl" => Self::Switch,
            "LevelControl" => Self::Level,
            "EnumControl" => Self::Choice,
            "BinarySensor" => Self::Detector,
            "LevelSensor" | "MultiLevelSensor" => Self::Gauge,
            "BlobSensor" => Self::Text,
            "EnumSensor" => Self::Indicator,
            _ => return None,
        })
    }

    /// Whether it has two states.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Switch | Self::Detector)
    }

    /// Whether it has named states.
    pub fn is_named(self) -> bool {
        matches!(self, Self::Choice | Self::Indicator)
    }
}

/// Where a value is and what it looks like there.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Which table.
    pub table: Table,
    /// First address.
    pub address: u16,
    /// How registers make a number.
    pub encoding: Encoding,
    /// Their order.
    pub order: Order,
    /// First and last bit, both included, 0 the least significant.
    pub bits: Option<(u8, u8)>,
    /// What the number means.
    pub codec: Codec,
    /// The number that means "no reading", if the mapping names one.
    pub sentinel: Option<Number>,
}

/// What a raw number means.
#[derive(Clone, Debug, PartialEq)]
pub enum Codec {
    /// 0 is off, anything else on.
    Flag {
        /// The other way round.
        invert: bool,
    },
    /// value = raw × scale + offset.
    Linear {
        /// See there.
        scale: Decimal,
        /// See there.
        offset: Decimal,
    },
    /// Raw integers and the value each stands for; no other is accepted.
    Listed(Vec<(i128, f64)>),
    /// Raw texts and the value each stands for.
    Texts(Vec<(String, f64)>),
}

impl Place {
    /// How many cells it takes.
    pub fn cells(&self) -> u16 {
        match self.table {
            Table::Coil | Table::Discrete => 1,
            Table::Holding | Table::Input => self.encoding.words(),
        }
    }

    /// Its addresses; what would lie beyond the table is left out.
    pub fn addresses(&self) -> impl Iterator<Item = u16> + use<> {
        let start = self.address;
        (0..self.cells()).map_while(move |offset| start.checked_add(offset))
    }

    /// The value in its cells; `None`: they mean nothing.
    pub fn decode(&self, cells: &[u16]) -> Option<f64> {
        if let Codec::Texts(list) = &self.codec {
            let found = list.iter().find(|(text, _)| self.encoding.encode_text(self.order, text) == cells);
            return found.map(|(_, value)| *value);
        }
        let raw = self.raw(cells)?;
        match &self.codec {
            Codec::Texts(_) => None,
            Codec::Flag { invert } => Some(f64::from(u8::from((raw != Number::Int(0)) != *invert))),
            Codec::Linear { scale, offset } => Some(scaled(raw, *scale, *offset)),
            Codec::Listed(list) => match raw {
                Number::Int(raw) => list.iter().find(|(known, _)| *known == raw).map(|(_, value)| *value),
                Number::Float(_) => None,
            },
        }
    }

    /// What its cells become for a value; bits that are not its own stay.
    pub fn encode(&self, value: f64, cells: &[u16]) -> Vec<u16> {
        let raw = match &self.codec {
            Codec::Texts(list) => {
                let found = list.iter().find(|(_, known)| *known == value).or(list.first());
                return self.encoding.encode_text(self.order, found.map_or("", |(text, _)| text));
            }
            Codec::Flag { invert } => Number::Int(i128::from((value != 0.0) != *invert)),
            Codec::Linear { scale, offset } => unscaled(value, *scale, *offset),
            Codec::Listed(list) => {
                let found = list.iter().find(|(_, known)| *known == value).or(list.first());
                Number::Int(found.map_or(0, |(raw, _)| *raw))
            }
        };
        self.put(raw, cells)
    }

    /// The lowest and the highest value that its registers can hold; `None` where any can be, or it is no number.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let Codec::Linear { scale, offset } = &self.codec else { return None };
        let (low, high) = match (self.table, self.bits) {
            (Table::Coil | Table::Discrete, _) => return None,
            (_, Some((first, last))) => (0, i128::from(ones(first, last))),
            (_, None) => self.encoding.integers()?,
        };
        let [low, high] = [low, high].map(|raw| scaled(Number::Int(raw), *scale, *offset));
        (low.is_finite() && high.is_finite()).then(|| (low.min(high), low.max(high)))
    }

    /// Whether its cells can say that there is no reading, so that whoever knows the mapping sees it.
    pub fn has_no_reading(&self) -> bool {
        let bits = matches!(self.table, Table::Coil | Table::Discrete);
        let integer = matches!(self.encoding, Encoding::Int { .. } | Encoding::Byte { .. });
        !bits && (self.sentinel.is_some() || !integer || matches!(self.codec, Codec::Listed(_)))
    }

    /// What its cells are when there is no reading: the mapping's sentinel, else what devices usually send.
    pub fn without_reading(&self, cells: &[u16]) -> Vec<u16> {
        let usual = match (self.encoding, self.bits) {
            (Encoding::F16 | Encoding::F32 | Encoding::F64, _) => Number::Float(f64::NAN),
            (Encoding::Int { .. } | Encoding::Byte { .. }, Some((first, last))) => {
                Number::Int(i128::from(ones(first, last)))
            }
            (Encoding::Int { signed, .. } | Encoding::Byte { signed, .. }, None) => {
                let (low, high) = self.encoding.integers().unwrap_or((0, 0));
                Number::Int(if signed { low } else { high })
            }
            (Encoding::Bcd(_) | Encoding::Text(_), _) => return vec![u16::MAX; cells.len()],
        };
        match self.table {
            Table::Coil | Table::Discrete => cells.to_vec(),
            Table::Holding | Table::Input => {
                self.put(self.sentinel.map_or(usual, |raw| self.signed(raw)), cells)
            }
        }
    }

    /// A raw value as its bits say it, where the file gives it without its sign: 0x8000 of an `s16` is -32768.
    fn signed(&self, number: Number) -> Number {
        match (number, self.encoding.integers(), self.bits) {
            (Number::Int(raw), Some((low, high)), None) if low < 0 && raw > high && raw <= 2 * high + 1 => {
                Number::Int(raw - 2 * (high + 1))
            }
            _ => number,
        }
    }

    fn raw(&self, cells: &[u16]) -> Option<Number> {
        if cells.len() != usize::from(self.cells()) {
            return None;
        }
        if matches!(self.table, Table::Coil | Table::Discrete) {
            return cells.first().map(|cell| Number::Int(i128::from(*cell)));
        }
        match self.bits {
            None => Some(self.encoding.decode(self.order, cells)),
            Some((first, last)) => {
                let whole = self.pattern(cells);
                let field = whole.checked_shr(first.into()).unwrap_or(0);
                Some(Number::Int(i128::from(field & ones(first, last))))
            }
        }
    }

    fn put(&self, raw: Number, cells: &[u16]) -> Vec<u16> {
        if matches!(self.table, Table::Coil | Table::Discrete) {
            return vec![u16::from(raw != Number::Int(0))];
        }
        if let (Encoding::Byte { high, .. }, None) = (self.encoding, self.bits) {
            // The other byte stays.
            let own: u64 = if high { 0xff00 } else { 0x00ff };
            let Number::Int(byte) = Encoding::Int { bits: 16, signed: false }
                .decode(Order::default(), &self.encoding.encode(Order::default(), raw))
            else {
                return cells.to_vec();
            };
            let whole = self.pattern(cells) & !own | byte as u64;
            return self.unsigned().encode(self.order, Number::Int(i128::from(whole)));
        }
        let Some((first, last)) = self.bits else { return self.encoding.encode(self.order, raw) };
        let field = match raw {
            Number::Int(integer) => integer as u64,
            Number::Float(float) => float.round() as u64,
        };
        let mask = ones(first, last);
        let placed = |bits: u64| bits.checked_shl(first.into()).unwrap_or(0);
        let whole = self.pattern(cells) & !placed(mask) | placed(field & mask);
        self.unsigned().encode(self.order, Number::Int(i128::from(whole)))
    }

    /// Its registers as one unsigned integer.
    fn pattern(&self, cells: &[u16]) -> u64 {
        match self.unsigned().decode(self.order, cells) {
            Number::Int(integer) => integer as u64,
            Number::Float(_) => 0,
        }
    }

    fn unsigned(&self) -> Encoding {
        Encoding::Int { bits: (self.encoding.words() * 16) as u8, signed: false }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.name(), self.address)?;
        match self.cells() {
            0 | 1 => {}
            cells => write!(f, "..{}", u32::from(self.address) + u32::from(cells) - 1)?,
        }
        match self.bits {
            Some((first, last)) if first == last => write!(f, " bit {first}"),
            Some((first, last)) => write!(f, " bits {first}..{last}"),
            None => Ok(()),
        }
    }
}

/// As many ones as the field has bits.
fn ones(first: u8, last: u8) -> u64 {
    let width = u32::from(last.saturating_sub(first)) + 1;
    1_u64.checked_shl(width).map_or(u64::MAX, |bit| bit - 1)
}

fn scaled(raw: Number, scale: Decimal, offset: Decimal) -> f64 {
    let exact = match raw {
        Number::Int(integer) => Decimal::try_from_i128_with_scale(integer, 0).ok(),
        Number::Float(float) if scale == Decimal::ONE && offset.is_zero() => return float,
        Number::Float(float) => decimal(float),
    };
    let value = exact.and_then(|raw| raw.checked_mul(scale)?.checked_add(offset));
    // By its text: the double nearest to the exact decimal.
    value.and_then(|value| value.to_string().parse().ok()).unwrap_or(f64::NAN)
}

fn unscaled(value: f64, scale: Decimal, offset: Decimal) -> Number {
    if scale == Decimal::ONE && offset.is_zero() {
        return Number::Float(value);
    }
    let raw = decimal(value).and_then(|value| value.checked_sub(offset)?.checked_div(scale));
    Number::Float(raw.and_then(|raw| raw.to_f64()).unwrap_or(value))
}

fn decimal(float: f64) -> Option<Decimal> {
    Decimal::from_str(&float.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(encoding: Encoding, codec: Codec) -> Place {
        let (table, order) = (Table::Holding, Order::default());
        Place { table, address: 10, encoding, order, bits: None, codec, sentinel: None }
    }

    fn linear(scale: &str, offset: &str) -> Codec {
        Codec::Linear { scale: scale.parse().unwrap(), offset: offset.parse().unwrap() }
    }

    const S16: Encoding = Encoding::Int { bits: 16, signed: true };
    const U16: Encoding = Encoding::Int { bits: 16, signed: false };

    #[test]
    fn scale_and_offset_are_exact() {
        let tenths = place(S16, linear("0.1", "0"));
        assert_eq!(tenths.encode(21.5, &[0]), [215]);
        assert_eq!(tenths.decode(&[215]), Some(21.5));
        assert_eq!(tenths.decode(&[3]), Some(0.3));
        assert_eq!(tenths.encode(-0.3, &[0]), [0xfffd]);
        let shifted = place(U16, linear("0.5", "-40"));
        assert_eq!(shifted.encode(21.5, &[0]), [123]);
        assert_eq!(shifted.decode(&[0]), Some(-40.0));
        let float = place(Encoding::F32, linear("1", "0"));
        assert_eq!(float.encode(230.2, &[0, 0]), [0x4366, 0x3333]);
        assert_eq!(float.decode(&[0x4366, 0x3333]), Some(230.2));
    }

    #[test]
    fn bounds_are_those_of_the_registers() {
        assert_eq!(place(S16, linear("0.1", "0")).bounds(), Some((-3276.8, 3276.7)));
        assert_eq!(place(U16, linear("-1", "10")).bounds(), Some((-65525.0, 10.0)));
        let bits = Place { bits: Some((4, 6)), ..place(U16, linear("2", "0")) };
        assert_eq!(bits.bounds(), Some((0.0, 14.0)));
        assert_eq!(place(Encoding::F32, linear("1", "0")).bounds(), None);
        assert_eq!(place(U16, Codec::Flag { invert: false }).bounds(), None);
    }

    #[test]
    fn a_bit_field_leaves_the_other_bits() {
        let mut mode = place(U16, Codec::Listed(vec![(0, 0.0), (1, 1.0), (5, 2.0)]));
        mode.bits = Some((4, 6));
        assert_eq!(mode.decode(&[0b1101_1010]), Some(2.0));
        assert_eq!(mode.encode(1.0, &[0b1101_1010]), [0b1001_1010]);
        assert_eq!(mode.decode(&[0b0010_0000]), None, "raw 2 is not listed");
        assert_eq!(mode.without_reading(&[0]), [0b0111_0000]);
        mode.bits = Some((200, 100));
        assert_eq!((mode.decode(&[1]), mode.encode(1.0, &[1])), (Some(0.0), vec![1]), "no such bits");
    }

    #[test]
    fn flags_and_sentinels() {
        let mut flag = place(U16, Codec::Flag { invert: true });
        assert_eq!((flag.decode(&[0]), flag.decode(&[7])), (Some(1.0), Some(0.0)));
        flag.table = Table::Coil;
        assert_eq!(flag.encode(1.0, &[1]), [0]);
        assert_eq!(place(S16, linear("1", "0")).without_reading(&[0]), [0x8000]);
        assert_eq!(place(Encoding::F32, linear("1", "0")).without_reading(&[0, 0]), [0x7fc0, 0]);
        let named = Place { sentinel: Some(Number::Int(32767)), ..place(S16, linear("0.1", "0")) };
        assert_eq!(named.without_reading(&[0]), [32767]);
        let bits = Place { sentinel: Some(Number::Int(0x8000)), ..place(S16, linear("0.1", "0")) };
        assert_eq!(bits.without_reading(&[0]), [0x8000]);
    }

    #[test]
    fn a_place_at_the_end_of_its_table_stays_inside() {
        let last = Place { address: 65535, ..place(Encoding::F32, linear("1", "0")) };
        assert_eq!(last.addresses().collect::<Vec<_>>(), [65535]);
        assert_eq!(last.decode(&[1]), None);
    }
}
