//! From a raw value of a protocol to the value of a capability and back: a closed list of steps, each with its inverse.

use rust_decimal::Decimal;

/// A value as a protocol delivers it, before any transform.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// A coil or discrete input.
    Bool(bool),
    /// An integer of any width, after bit extraction.
    Int(i128),
    /// A single-precision float.
    F32(f32),
    /// A double-precision float.
    F64(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The steps from raw to value, in this order: refuse sentinels, map or scale, check the valid range. Writing goes the
/// other way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transform {
    /// Raw integers that mean "no reading".
    pub invalid: Vec<i128>,
    /// Raw integer to name; in the order of ValidValues.
    pub map: Option<ValueMap>,
    /// value = raw × scale + offset, exactly.
    pub scale: Option<Decimal>,
    /// See `scale`.
    pub offset: Option<Decimal>,
    /// A Boolean the other way round.
    pub invert: bool,
    /// A value outside is no reading; both ends are inside.
    pub valid: Option<(Decimal, Decimal)>,
}

/// Raw integers and what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueMap {
    /// In the order of the file.
    pub entries: Vec<(i128, MapTarget)>,
    /// What any other raw value becomes; `None`: an invalid reading.
    pub default: Option<MapTarget>,
}

/// What a raw integer is mapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapTarget {
    /// A state of an Enum capability.
    Text(String),
    /// A state of a Binary capability.
    Bool(bool),
}
