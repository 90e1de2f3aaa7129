//! Values as capabilities have them, and their USP text forms.

use std::str::FromStr;

use rust_decimal::Decimal;

use crate::base64;
use crate::mapping::Class;

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

impl Value {
    /// The text that a USP Message carries: `true` and `false`; decimals as [`decimal_text`] writes them; lists
    /// separated by commas; bytes in base64.
    ///
    /// Source: TR-106 §3.2 (data types), TR-369 R-GET.0 (values are strings).
    pub fn to_usp(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => decimal_text(*number),
            Self::Text(text) => text.clone(),
            Self::Numbers(numbers) => numbers.iter().map(|n| decimal_text(*n)).collect::<Vec<_>>().join(","),
            Self::Bytes(bytes) => base64::encode(bytes),
        }
    }

    /// The value that a USP text means for a capability of this class.
    ///
    /// Errors: a sentence that says what the text should have been.
    /// Source: TR-106 §3.2: a boolean is `true`, `false`, `1` or `0`; a decimal has no exponent.
    pub fn parse(class: Class, text: &str) -> Result<Self, String> {
        match class {
            Class::BinaryControl | Class::BinarySensor => parse_bool(text).map(Self::Bool),
            Class::LevelControl | Class::LevelSensor => parse_decimal(text).map(Self::Number),
            Class::EnumControl | Class::EnumSensor => Ok(Self::Text(text.to_owned())),
            Class::MultiLevelSensor => parse_decimals(text).map(Self::Numbers),
            Class::BlobSensor => base64::decode(text).map(Self::Bytes),
        }
    }
}

/// A decimal without exponent, without trailing zeros behind the point and without a negative zero.
pub fn decimal_text(number: Decimal) -> String {
    number.normalize().to_string()
}

/// The decimal that a text without exponent spells.
///
/// Errors: not a decimal, or more than 28 digits.
pub fn parse_decimal(text: &str) -> Result<Decimal, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_decimal = digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1;
    if !is_decimal {
        return Err(format!("`{text}` is not a decimal number"));
    }
    // The crate wants a digit before the point.
    let padded = if digits.starts_with('.') { text.replacen('.', "0.", 1) } else { text.to_owned() };
    Decimal::from_str_exact(padded.trim_end_matches('.'))
        .or_else(|_| Decimal::from_str(padded.trim_end_matches('.')))
        .map_err(|_| format!("`{text}` has too many digits"))
}

fn parse_decimals(text: &str) -> Result<Vec<Decimal>, String> {
    let numbers = text.split(',').map(|item| parse_decimal(item.trim())).collect::<Result<Vec<_>, _>>()?;
    if numbers.len() < 2 {
        return Err(format!("`{text}` has fewer than two numbers"));
    }
    Ok(numbers)
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(class: Class, given: &str) -> Result<String, String> {
        Value::parse(class, given).map(|value| value.to_usp())
    }

    #[test]
    fn each_class_has_its_text() {
        for (class, given, expected) in [
            (Class::BinaryControl, "1", "true"),
            (Class::BinarySensor, "false", "false"),
            (Class::LevelSensor, "+0230.2500", "230.25"),
            (Class::LevelSensor, "-0.0", "0"),
            (Class::LevelSensor, "-.5", "-0.5"),
            (Class::LevelSensor, "5.", "5"),
            (Class::LevelControl, "100000000000000000000", "100000000000000000000"),
            (Class::EnumControl, "Peak", "Peak"),
            (Class::MultiLevelSensor, "1.50, -2", "1.5,-2"),
            (Class::BlobSensor, "aGVsbG8=", "aGVsbG8="),
        ] {
            assert_eq!(text(class, given).as_deref(), Ok(expected), "{class:?} {given}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (class, given) in [
            (Class::BinaryControl, "TRUE"),
            (Class::BinaryControl, "2"),
            (Class::LevelSensor, ""),
            (Class::LevelSensor, "."),
            (Class::LevelSensor, "1e3"),
            (Class::LevelSensor, "1_000"),
            (Class::LevelSensor, "--1"),
            (Class::LevelSensor, "99999999999999999999999999999999"),
            (Class::MultiLevelSensor, "1"),
            (Class::BlobSensor, "a"),
        ] {
            assert!(text(class, given).is_err(), "{class:?} {given:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_survives_its_text(mantissa in any::<i64>(), scale in 0u32..20) {
            let number = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse_decimal(&decimal_text(number)), Ok(number));
        }

        #[test]
        fn bytes_survive_their_text(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let value = Value::Bytes(bytes);
            prop_assert_eq!(Value::parse(Class::BlobSensor, &value.to_usp()), Ok(value));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            for class in [Class::LevelSensor, Class::BinarySensor, Class::BlobSensor, Class::MultiLevelSensor] {
                drop(Value::parse(class, &text));
            }
        }
    }
}
