//! Values as capabilities have them, and their USP text forms.

use rust_decimal::Decimal;

/// The value of one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// BinaryControl, BinarySensor.
    Bool(bool),
    /// LevelControl, LevelSensor.
    Number(Decimal),
    /// EnumControl, EnumSensor: one of the capability's ValidValues.
    Text(String),
    /// MultiLevelSensor.
    Numbers(Vec<Decimal>),
    /// BlobSensor.
    Bytes(Vec<u8>),
}
