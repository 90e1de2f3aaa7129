//! Numbers that a device shows by a curve instead of a straight line.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// A curve between raw numbers and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Raw = 10000 × log10(lux) + 1, and 0 where it is too dark to be measured (ZCL, 4.2.2.2.1).
    Lux,
}

impl Curve {
    /// All of them, by the names that mapping files have for them.
    pub const ALL: [(&'static str, Self); 1] = [("lux", Self::Lux)];

    /// Its name in a mapping file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lux => "lux",
        }
    }

    /// The value of a raw number, to five digits: finer than any raw step, so that it has one raw number alone. `None`: it
    /// is too large.
    pub fn value(self, raw: Decimal) -> Option<Decimal> {
        match self {
            Self::Lux if raw.is_zero() => Some(Decimal::ZERO),
            Self::Lux => {
                let lux = 10f64.powf((raw.to_f64()? - 1.0) / 10_000.0);
                Decimal::from_scientific(&format!("{lux:.4e}")).ok().map(|lux| lux.normalize())
            }
        }
    }

    /// The raw number of a value, between two whole ones as a rule. `None`: there is none.
    pub fn raw(self, value: Decimal) -> Option<Decimal> {
        match self {
            Self::Lux if value.is_zero() => Some(Decimal::ZERO),
            Self::Lux if value.is_sign_negative() => None,
            Self::Lux => Decimal::try_from(10_000.0 * value.to_f64()?.log10() + 1.0).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Class;
    use crate::transform::{Raw, RawKind, Transform};
    use crate::value::Value;

    const UINT16: RawKind = RawKind::Int { bits: 16, signed: false };

    fn lux() -> Transform {
        Transform { curve: Some(Curve::Lux), invalid: vec![0xffff], ..Transform::default() }
    }

    fn number(text: &str) -> Value {
        Value::Number(text.parse().unwrap())
    }

    /// By hand: log10(50) is 1.69897, log10(2) 0.301030, and 10^6.5533 is 3.5752 million.
    #[test]
    fn lux_are_those_of_the_standard() {
        for (raw, value) in [
            (0, "0"),
            (1, "1"),
            (3011, "1.9999"),
            (3012, "2.0003"),
            (10_001, "10"),
            (16_991, "50.003"),
            (16_990, "49.992"),
            (30_001, "1000"),
            (65_534, "3575200"),
        ] {
            assert_eq!(lux().decode(Raw::Int(raw), Class::LevelSensor), Ok(number(value)), "{raw}");
            assert_eq!(lux().encode(&number(value), UINT16), Ok(Raw::Int(raw)), "{value}");
        }
        assert!(lux().decode(Raw::Int(0xffff), Class::LevelSensor).is_err());
    }

    #[test]
    fn every_raw_value_comes_back() {
        for raw in 0..0xffff {
            let value = lux().decode(Raw::Int(raw), Class::LevelSensor).unwrap();
            assert_eq!(lux().encode(&value, UINT16), Ok(Raw::Int(raw)), "{raw}: {value:?}");
        }
    }

    #[test]
    fn what_lies_between_is_rounded_within_the_step_alone() {
        assert!(lux().encode(&number("50"), UINT16).is_err());
        let coarse = Transform { step: Some(Decimal::ONE), ..lux() };
        assert_eq!(coarse.encode(&number("50"), UINT16), Ok(Raw::Int(16_991)));
        for refused in ["-1", "0.2", "3600000"] {
            assert!(coarse.encode(&number(refused), UINT16).is_err(), "{refused}");
        }
        let huge = Raw::Int(i128::from(i64::MAX));
        assert!(lux().decode(huge, Class::LevelSensor).is_err());
        assert!(
            Transform { valid: Some((Decimal::ONE, Decimal::TEN)), ..lux() }
                .decode(Raw::Int(0), Class::LevelSensor)
                .is_err()
        );
    }
}
