//! What a transform makes of integers, worked out beforehand: there may be very many readings, and most are such.

use rust_decimal::Decimal;

use super::Transform;

/// Bounds of what is multiplied and added, so that 64 bits hold every result.
const MOST_TIMES: i64 = 1_000_000_000;
const MOST_PLUS: i64 = 4_000_000_000_000_000_000;

/// A transform of numbers in whole units of its last digit: value = (raw × times + plus) / 10^digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    times: i64,
    plus: i64,
    digits: u32,
    /// Least and greatest value that is one, in the same units.
    valid: (i64, i64),
    /// Raw integers that mean "no reading".
    invalid: Vec<i128>,
}

impl Linear {
    /// `None`: the transform is no such one, or its numbers are too large.
    pub fn of(transform: &Transform) -> Option<Self> {
        if transform.map.is_some() || transform.curve.is_some() {
            return None;
        }
        let (times, plus) = (transform.scale.unwrap_or(Decimal::ONE), transform.offset.unwrap_or_default());
        let (min, max) = transform.valid.unzip();
        let all = [Some(times), Some(plus), min, max];
        let digits = all.into_iter().flatten().map(|number| number.scale()).max()?;
        let bound = |end: Option<Decimal>, open| end.map_or(Some(open), |end| units(end, digits));
        let times = units(times, digits).filter(|times| times.abs() <= MOST_TIMES)?;
        let plus = units(plus, digits).filter(|plus| plus.abs() <= MOST_PLUS)?;
        let valid = (bound(min, i64::MIN)?, bound(max, i64::MAX)?);
        Some(Self { times, plus, digits, valid, invalid: transform.invalid.clone() })
    }

    /// The value, as [`Transform::decode`] gives it; `None`: it says why there is none.
    pub fn value(&self, raw: i32) -> Option<Decimal> {
        let mut value = i64::from(raw) * self.times + self.plus;
        let (min, max) = self.valid;
        if value < min || value > max || self.invalid.contains(&raw.into()) {
            return None;
        }
        let mut digits = self.digits;
        while digits > 0 && value % 10 == 0 {
            (value, digits) = (value / 10, digits - 1);
        }
        Some(Decimal::new(value, digits))
    }
}

/// A number in units of its so-manieth digit behind the point; `None`: that is too large.
fn units(number: Decimal, digits: u32) -> Option<i64> {
    let more = 10i128.checked_pow(digits.checked_sub(number.scale())?)?;
    number.mantissa().checked_mul(more)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::Class;
    use crate::transform::Raw;
    use crate::value::Value;

    fn transform() -> impl Strategy<Value = Transform> {
        let number = |most: i64| (-most..=most, 0u32..5).prop_map(|(m, scale)| Decimal::new(m, scale));
        let scale = prop_oneof![
            (0u32..6).prop_map(|scale| Decimal::new(1, scale)),
            number(2000),
            Just(Decimal::new(1000, 2)),
            Just(Decimal::new(i64::MAX, 0)),
        ];
        let valid = (number(40_000), number(40_000)).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let invalid = prop::collection::vec(prop_oneof![Just(0xffff), Just(-32768), -9..9i128], 0..3);
        let all = (option::of(scale), option::of(number(100_000)), option::of(valid), invalid);
        all.prop_map(|(scale, offset, valid, invalid)| Transform {
            scale,
            offset,
            valid,
            invalid,
            ..Transform::default()
        })
    }

    proptest! {
        #[test]
        fn it_gives_what_the_transform_gives(
            transform in transform(),
            raw in prop_oneof![-50i32..50, -32768..65536, any::<i32>()],
        ) {
            let long = transform.decode(Raw::Int(i128::from(raw)), Class::LevelSensor).ok();
            if let Some(linear) = Linear::of(&transform) {
                let short = linear.value(raw);
                prop_assert_eq!(short.map(Value::Number), long.clone());
                let digits = |value: Value| if let Value::Number(number) = value { number.scale() } else { 99 };
                prop_assert_eq!(short.map(|number| number.scale()), long.map(digits));
            }
        }
    }

    #[test]
    fn usual_transforms_are_linear_and_others_are_left_alone() {
        let tenth = Transform { scale: Some(Decimal::new(1, 1)), ..Transform::default() };
        assert_eq!(Linear::of(&tenth).unwrap().value(-2305), Some(Decimal::new(-2305, 1)));
        assert_eq!(Linear::of(&tenth).unwrap().value(40).unwrap().to_string(), "4");
        assert!(Linear::of(&Transform { map: Some(Default::default()), ..Transform::default() }).is_none());
        let huge = Transform { offset: Some(Decimal::MAX), ..Transform::default() };
        assert!(Linear::of(&huge).is_none());
    }
}
