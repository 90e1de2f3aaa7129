use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

const I16: RawKind = RawKind::Int { bits: 16, signed: true };
const U8: RawKind = RawKind::Int { bits: 8, signed: false };

fn number(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn scaled(scale: &str, offset: &str) -> Transform {
    Transform { scale: Some(number(scale)), offset: Some(number(offset)), ..Transform::default() }
}

fn level(transform: &Transform, raw: Raw) -> Result<String, DeviceFault> {
    transform.decode(raw, Class::LevelSensor).map(|value| value.to_usp())
}

fn modes() -> Transform {
    let entries = vec![(0, MapTarget::Text("Peak".into())), (3, MapTarget::Text("OffPeak".into()))];
    Transform { map: Some(ValueMap { entries, ..ValueMap::default() }), ..Transform::default() }
}

#[test]
fn floats_become_their_shortest_decimal() {
    let plain = Transform::default();
    for (raw, expected) in [
        (Raw::F32(230.2), "230.2"),
        (Raw::F32(0.1), "0.1"),
        (Raw::F32(-0.0), "0"),
        (Raw::F32(16_777_216.0), "16777216"),
        (Raw::F32(1e-7), "0.0000001"),
        (Raw::F64(0.1 + 0.2), "0.30000000000000004"),
        (Raw::Int(i128::from(u64::MAX)), "18446744073709551615"),
    ] {
        assert_eq!(level(&plain, raw.clone()).as_deref(), Ok(expected), "{raw:?}");
    }
}

#[test]
fn what_is_no_number_is_invalid() {
    let plain = Transform::default();
    for raw in [Raw::F32(f32::NAN), Raw::F64(f64::INFINITY), Raw::F32(f32::MAX), Raw::Int(i128::MAX)] {
        assert!(matches!(level(&plain, raw.clone()), Err(DeviceFault::Invalid(_))), "{raw:?}");
    }
    assert!(matches!(level(&plain, Raw::Bytes(vec![1])), Err(DeviceFault::Garbled(_))));
}

#[test]
fn scale_and_offset_are_exact() {
    assert_eq!(level(&scaled("0.1", "0"), Raw::Int(215)).as_deref(), Ok("21.5"));
    assert_eq!(level(&scaled("0.1", "-40"), Raw::Int(3)).as_deref(), Ok("-39.7"));
    assert_eq!(
        level(&scaled("0.001", "0"), Raw::Int(i128::from(u64::MAX))).as_deref(),
        Ok("18446744073709551.615")
    );
}

#[test]
fn sentinels_and_ranges_are_no_readings() {
    let transform = Transform {
        invalid: vec![-32768, 32767],
        valid: Some((number("-40"), number("85"))),
        ..scaled("0.1", "0")
    };
    assert_eq!(level(&transform, Raw::Int(850)).as_deref(), Ok("85"));
    for raw in [Raw::Int(-32768), Raw::Int(851), Raw::Int(-401), Raw::F32(32767.0)] {
        assert!(matches!(level(&transform, raw.clone()), Err(DeviceFault::Invalid(_))), "{raw:?}");
    }
}

#[test]
fn states_are_mapped_both_ways() {
    let transform = modes();
    let value = transform.decode(Raw::Int(3), Class::EnumControl);
    assert_eq!(value, Ok(Value::Text("OffPeak".into())));
    assert_eq!(transform.encode(&Value::Text("OffPeak".into()), U8), Ok(Raw::Int(3)));
    assert!(matches!(transform.decode(Raw::Int(1), Class::EnumControl), Err(DeviceFault::Invalid(_))));
    assert!(matches!(transform.encode(&Value::Text("Night".into()), U8), Err(DeviceFault::Unwritable(_))));
}

#[test]
fn a_map_may_have_a_default() {
    let mut transform = modes();
    if let Some(map) = &mut transform.map {
        map.default = Some(MapTarget::Text("Unknown".into()));
    }
    assert_eq!(transform.decode(Raw::Int(9), Class::EnumSensor), Ok(Value::Text("Unknown".into())));
    assert!(transform.encode(&Value::Text("Unknown".into()), U8).is_err(), "a default has no raw value");
}

#[test]
fn booleans_may_be_inverted_or_mapped() {
    let inverted = Transform { invert: true, ..Transform::default() };
    assert_eq!(inverted.decode(Raw::Bool(true), Class::BinarySensor), Ok(Value::Bool(false)));
    assert_eq!(inverted.encode(&Value::Bool(true), RawKind::Bool), Ok(Raw::Bool(false)));
    assert!(inverted.decode(Raw::Int(2), Class::BinarySensor).is_err());
    let entries = vec![(0xff00, MapTarget::Bool(true)), (0, MapTarget::Bool(false))];
    let mapped = Transform { map: Some(ValueMap { entries, ..ValueMap::default() }), ..Transform::default() };
    let word = RawKind::Int { bits: 16, signed: false };
    assert_eq!(mapped.encode(&Value::Bool(true), word), Ok(Raw::Int(0xff00)));
    assert_eq!(mapped.decode(Raw::Int(0xff00), Class::BinaryControl), Ok(Value::Bool(true)));
}

#[test]
fn a_value_between_two_raw_ones_needs_a_step() {
    let exact = scaled("0.1", "0");
    let given = Value::Number(number("21.34"));
    let refused = exact.encode(&given, I16).expect_err("no step is declared");
    assert_eq!(
        refused.to_string(),
        "value cannot be written: 21.34 is between two values that the device can take; the nearest is 21.3"
    );
    let stepped = Transform { step: Some(number("0.5")), ..exact };
    assert_eq!(stepped.encode(&given, I16), Ok(Raw::Int(213)));
    assert_eq!(stepped.settled(&given, I16, Class::LevelControl), Ok(Value::Number(number("21.3"))));
}

#[test]
fn rounding_stays_between_the_ends() {
    let ends = Some((number("15.04"), number("54.96")));
    let stepped = Transform { step: Some(number("0.5")), valid: ends, ..scaled("0.1", "0") };
    for (value, raw) in [("54.96", 549), ("15.04", 151), ("15.05", 151), ("30.04", 300)] {
        assert_eq!(stepped.encode(&Value::Number(number(value)), I16), Ok(Raw::Int(raw)), "{value}");
    }
    let turned = Transform { step: Some(number("0.5")), valid: ends, ..scaled("-0.1", "0") };
    assert_eq!(turned.encode(&Value::Number(number("54.96")), I16), Ok(Raw::Int(-549)));
    let narrow = Transform { valid: Some((number("20.01"), number("20.04"))), ..stepped };
    assert!(
        narrow.encode(&Value::Number(number("20.02")), I16).is_err(),
        "the device has nothing between them"
    );
}

#[test]
fn a_value_must_fit_the_raw_type() {
    let plain = Transform::default();
    assert_eq!(plain.encode(&Value::Number(number("255")), U8), Ok(Raw::Int(255)));
    for (text, target) in [("256", U8), ("-1", U8), ("32768", I16), ("2", RawKind::Bool)] {
        let result = plain.encode(&Value::Number(number(text)), target);
        assert!(matches!(result, Err(DeviceFault::Unwritable(_))), "{text} {target:?}: {result:?}");
    }
    let bounded = Transform { valid: Some((number("5"), number("30"))), ..Transform::default() };
    assert!(bounded.encode(&Value::Number(number("31")), I16).is_err());
    let sentinel = Transform { invalid: vec![255], ..Transform::default() };
    assert!(sentinel.encode(&Value::Number(number("255")), U8).is_err());
}

/// In whatever way the device spells it, a sentinel is neither shown nor written.
#[test]
fn a_sentinel_is_one_in_every_encoding() {
    let transform = Transform { invalid: vec![-1], ..Transform::default() };
    let minus_one = Value::Number(number("-1"));
    let spelled = |text: &str| Raw::Text(text.to_owned());
    for raw in [Raw::F16(0xbc00), Raw::F32(-1.0), Raw::F64(-1.0), spelled("-1"), spelled(" -1.0")] {
        assert!(matches!(level(&transform, raw.clone()), Err(DeviceFault::Invalid(_))), "{raw:?}");
    }
    assert_eq!(level(&transform, spelled("-1.5")).as_deref(), Ok("-1.5"));
    for kind in [I16, RawKind::F16, RawKind::F32, RawKind::F64, RawKind::Text(4)] {
        let refused = transform.encode(&minus_one, kind);
        assert!(matches!(refused, Err(DeviceFault::Unwritable(_))), "{kind:?} {refused:?}");
    }
}

proptest! {
    #[test]
    fn a_float_reads_back_the_same(bits in any::<u32>()) {
        let float = f32::from_bits(bits);
        if let Ok(Value::Number(value)) = Transform::default().decode(Raw::F32(float), Class::LevelSensor) {
            let back = Transform::default().encode(&Value::Number(value), RawKind::F32);
            let tiny = float.abs() < 1e-20; // digits beyond the 28th behind the point are rounded
            prop_assert!(tiny || back == Ok(Raw::F32(float)), "{float} {value} {back:?}");
        }
    }

    #[test]
    fn every_raw_integer_comes_back(
        raw in any::<i16>(), mantissa in prop_oneof![1i64..100_000, -100_000i64..-1], places in 0u32..6, offset in -10_000i64..10_000
    ) {
        let transform = Transform {
            scale: Some(Decimal::new(mantissa, places)),
            offset: Some(Decimal::new(offset, 2)),
            ..Transform::default()
        };
        let value = transform.decode(Raw::Int(raw.into()), Class::LevelControl).expect("a number");
        prop_assert_eq!(transform.encode(&value, I16), Ok(Raw::Int(raw.into())));
    }

    #[test]
    fn a_rounded_value_stays_within_half_a_step(tenths in -30_000i64..30_000, step in 1i64..50) {
        let step = Decimal::new(step, 2);
        let transform = Transform { step: Some(step), ..scaled("0.39", "0") };
        let value = Decimal::new(tenths, 1);
        if let Ok(Value::Number(shown)) = transform.settled(&Value::Number(value), I16, Class::LevelControl) {
            prop_assert!(shown == value || (shown - value).abs() * Decimal::TWO < step);
        }
    }

    #[test]
    fn every_state_comes_back(at in 0usize..2) {
        let transform = modes();
        let (raw, _) = transform.map.as_ref().expect("a map").entries[at];
        let value = transform.decode(Raw::Int(raw), Class::EnumControl).expect("a state");
        prop_assert_eq!(transform.encode(&value, U8), Ok(Raw::Int(raw)));
    }
}
