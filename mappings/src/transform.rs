//! From a raw value of a protocol to the value of a capability and back: a closed list of steps, each with its inverse.
//!
//! Arithmetic is decimal: `scale: 0.1` is a tenth, and a float stands for the shortest decimal that reads back as the
//! same float, so that 230.2 in a register is 230.2 on the wire.

mod curve;
mod decode;
mod encode;
mod linear;

pub use curve::Curve;
pub use linear::Linear;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::mapping::Class;
use crate::modbus::Half;
use crate::port::DeviceFault;
use crate::value::{Value, parse_decimal};

/// A value as a protocol delivers it, before any transform.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// A coil or discrete input.
    Bool(bool),
    /// An integer of any width, after bit extraction.
    Int(i128),
    /// The bits of a half-precision float.
    F16(u16),
    /// A single-precision float.
    F32(f32),
    /// A double-precision float.
    F64(f64),
    /// A number as its digits say it.
    Decimal(Decimal),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What a protocol can take at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// A coil.
    Bool,
    /// An integer.
    Int {
        /// Width, 1 to 64.
        bits: u8,
        /// Two's complement.
        signed: bool,
    },
    /// A whole number of so many decimal digits, at most 28.
    Digits(u8),
    /// A half-precision float.
    F16,
    /// A single-precision float.
    F32,
    /// A double-precision float.
    F64,
    /// Text of at most so many bytes.
    Text(u16),
    /// So many bytes.
    Bytes(u16),
    /// A Boolean, a number or a text, as the value is.
    Any,
}

impl RawKind {
    /// Least and greatest integer that fits; `None` for what is no integer.
    pub fn int_range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::Int { bits, signed: false } => Some((0, (1i128 << bits.min(64)) - 1)),
            Self::Int { bits, signed: true } => {
                let half = 1i128 << (bits.clamp(1, 64) - 1);
                Some((-half, half - 1))
            }
            Self::Digits(digits) => Some((0, 10i128.pow(digits.min(28).into()) - 1)),
            Self::F16 | Self::F32 | Self::F64 | Self::Text(_) | Self::Bytes(_) | Self::Any => None,
        }
    }

    /// How many bits a float has; `None` for what is none.
    pub fn float_bits(self) -> Option<u32> {
        match self {
            Self::F16 => Some(16),
            Self::F32 => Some(32),
            Self::F64 => Some(64),
            _ => None,
        }
    }
}

/// The steps from raw to value, in this order: refuse sentinels, map or scale, check the valid range. Writing goes the
/// other way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transform {
    /// Raw integers that mean "no reading".
    pub invalid: Vec<i128>,
    /// The same of floats by their bits, of which a half or single one has the lower 16 or 32.
    pub invalid_bits: Vec<u64>,
    /// Raw integer to name; in the order of ValidValues.
    pub map: Option<ValueMap>,
    /// value = raw × scale + offset, exactly.
    pub scale: Option<Decimal>,
    /// See `scale`.
    pub offset: Option<Decimal>,
    /// In place of `scale` and `offset`.
    pub curve: Option<Curve>,
    /// A Boolean the other way round.
    pub invert: bool,
    /// A value outside is no reading and is not written; both ends are inside.
    pub valid: Option<(Decimal, Decimal)>,
    /// The finest change that the mapping promises to follow. A value between two raw integers is written as the nearer
    /// one when that moves it by less than half of this; `None`: it is refused.
    pub step: Option<Decimal>,
}

/// Raw integers or texts and what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueMap {
    /// Integers, in the order of the file.
    pub entries: Vec<(i128, MapTarget)>,
    /// Texts, in the order of the file.
    pub texts: Vec<(String, MapTarget)>,
    /// Booleans of bodies that have such.
    pub bools: Vec<(bool, MapTarget)>,
    /// What any other raw value becomes; `None`: an invalid reading.
    pub default: Option<MapTarget>,
}

impl ValueMap {
    /// What a raw integer is called.
    pub fn target(&self, raw: i128) -> Option<&MapTarget> {
        self.entries.iter().find(|(key, _)| *key == raw).map(|(_, target)| target).or(self.default.as_ref())
    }

    /// What a raw Boolean is called: by itself, or else by 1 and 0.
    pub fn target_of_bool(&self, raw: bool) -> Option<&MapTarget> {
        let named = self.bools.iter().find(|(key, _)| *key == raw).map(|(_, target)| target);
        named.or_else(|| self.target(raw.into()))
    }

    /// What a raw text is called.
    pub fn target_of_text(&self, raw: &str) -> Option<&MapTarget> {
        self.texts.iter().find(|(key, _)| key == raw).map(|(_, target)| target).or(self.default.as_ref())
    }

    /// The names of its states in the order of the file, `default` last.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        let texts = self.texts.iter().map(|(_, target)| target);
        let bools = self.bools.iter().map(|(_, target)| target);
        let entries = self.entries.iter().map(|(_, target)| target);
        let targets = entries.chain(texts).chain(bools).chain(&self.default);
        targets.filter_map(|target| match target {
            MapTarget::Text(text) => Some(text.as_str()),
            MapTarget::Bool(_) => None,
        })
    }

    /// The raw integer that is written for a state: the first of its name.
    pub fn raw(&self, target: &MapTarget) -> Option<i128> {
        self.entries.iter().find(|(_, known)| known == target).map(|(raw, _)| *raw)
    }

    /// The raw Boolean that is written for a state: the first of its name.
    pub fn raw_bool(&self, target: &MapTarget) -> Option<bool> {
        self.bools.iter().find(|(_, known)| known == target).map(|(raw, _)| *raw)
    }

    /// The raw text that is written for a state: the first of its name.
    pub fn raw_text(&self, target: &MapTarget) -> Option<&str> {
        self.texts.iter().find(|(_, known)| known == target).map(|(raw, _)| raw.as_str())
    }
}

/// What a raw integer is mapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapTarget {
    /// A state of an Enum capability.
    Text(String),
    /// A state of a Binary capability.
    Bool(bool),
}

impl Transform {
    /// The value that a raw one means for a capability of this class.
    ///
    /// Without a `map`, 0 and 1 are false and true, and any other integer is no Boolean.
    ///
    /// Errors: [`DeviceFault::Invalid`] for a sentinel, NaN, an infinity, a number of more than 28 digits, a raw value
    /// that the map does not name, a value outside `valid`; [`DeviceFault::Garbled`] for a raw value that cannot become
    /// a value of this class at all.
    pub fn decode(&self, raw: Raw, class: Class) -> Result<Value, DeviceFault> {
        decode::decode(self, raw, None, class)
    }

    /// As [`Transform::decode`], with a power of ten that the device gave: value = raw × 10^exponent × scale + offset.
    ///
    /// Errors: as [`Transform::decode`].
    pub fn decode_scaled(&self, raw: Raw, exponent: Option<i8>, class: Class) -> Result<Value, DeviceFault> {
        decode::decode(self, raw, exponent, class)
    }

    /// The raw value that stands for a value, for a place that takes `target`.
    ///
    /// A number that falls between two raw integers is refused, unless `step` lets it be rounded (half away from zero).
    /// A float takes the nearest float.
    ///
    /// Errors: [`DeviceFault::Unwritable`] when the map has no such state, the value is outside `valid`, does not fit
    /// the raw type, is one of the `invalid` sentinels, or lies between two raw values.
    pub fn encode(&self, value: &Value, target: RawKind) -> Result<Raw, DeviceFault> {
        encode::encode(self, value, target)
    }

    /// What a device will show that was written `value`: the same, but for the rounding of [`Transform::encode`].
    ///
    /// Errors: as [`Transform::encode`] and [`Transform::decode`].
    pub fn settled(&self, value: &Value, target: RawKind, class: Class) -> Result<Value, DeviceFault> {
        self.decode(self.encode(value, target)?, class)
    }

    /// What a raw number means, before it is known whether that is valid; `None`: it is too large.
    fn scaled(&self, raw: Decimal) -> Option<Decimal> {
        if let Some(curve) = self.curve {
            return curve.value(raw);
        }
        let value = self.scale.map_or(Some(raw), |scale| raw.checked_mul(scale))?;
        self.offset.map_or(Some(value), |offset| value.checked_add(offset))
    }

    /// By how much two values differ whose raw integers are neighbours; `None`: that is another amount everywhere.
    pub fn raw_step(&self) -> Option<Decimal> {
        self.curve.is_none().then(|| self.scale.unwrap_or(Decimal::ONE).abs().normalize())
    }

    /// Whether a raw value is one of the `invalid` ones; a text is the number that it spells.
    fn is_sentinel(&self, raw: &Raw) -> bool {
        (!self.invalid.is_empty() && self.is_listed(raw)) || self.has_listed_bits(raw)
    }

    fn is_listed(&self, raw: &Raw) -> bool {
        let is_listed = |value: f64| self.invalid.iter().any(|sentinel| *sentinel as f64 == value);
        match raw {
            Raw::Int(value) => self.invalid.contains(value),
            Raw::F16(bits) => is_listed(Half(*bits).to_f64()),
            Raw::F32(value) => is_listed(f64::from(*value)),
            Raw::F64(value) => is_listed(*value),
            Raw::Decimal(number) => self.is_sentinel_number(*number),
            Raw::Text(text) => parse_decimal(text.trim()).is_ok_and(|number| self.is_sentinel_number(number)),
            Raw::Bool(_) | Raw::Bytes(_) => false,
        }
    }

    fn has_listed_bits(&self, raw: &Raw) -> bool {
        let bits = match raw {
            Raw::F16(bits) => u64::from(*bits),
            Raw::F32(value) => u64::from(value.to_bits()),
            Raw::F64(value) => value.to_bits(),
            _ => return false,
        };
        self.invalid_bits.contains(&bits)
    }

    fn is_sentinel_number(&self, number: Decimal) -> bool {
        number.is_integer() && number.to_i128().is_some_and(|value| self.invalid.contains(&value))
    }
}

#[cfg(test)]
mod tests;
