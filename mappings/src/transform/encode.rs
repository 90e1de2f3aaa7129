//! Value to raw.

use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::{MapTarget, Raw, RawKind, Transform, ValueMap};
use crate::modbus::Half;
use crate::port::DeviceFault;
use crate::value::{Value, decimal_text};

pub(super) fn encode(transform: &Transform, value: &Value, target: RawKind) -> Result<Raw, DeviceFault> {
    let raw = match value {
        Value::Bool(value) => boolean(transform, *value, target),
        Value::Number(number) => encode_number(transform, *number, target),
        Value::Text(text) => state(transform, text, target),
        Value::Bytes(bytes) if matches!(target, RawKind::Bytes(_)) => Ok(Raw::Bytes(bytes.clone())),
        Value::Bytes(_) | Value::Numbers(_) => {
            Err(unwritable("only Booleans, numbers and states can be written"))
        }
    }?;
    if transform.is_sentinel(&raw) {
        return Err(unwritable("the device takes it for \"no value\""));
    }
    Ok(raw)
}

fn boolean(transform: &Transform, value: bool, target: RawKind) -> Result<Raw, DeviceFault> {
    let value = value ^ transform.invert;
    let int = match (&transform.map, target) {
        (Some(map), RawKind::Text(most)) => {
            let raw = map.raw_text(&MapTarget::Bool(value)).ok_or_else(|| no_raw(&value.to_string()))?;
            return fit_text(raw, most);
        }
        (Some(map), RawKind::Any) => return any(map, &MapTarget::Bool(value), &value.to_string()),
        (None, RawKind::Any) => return Ok(Raw::Bool(value)),
        (None, _) => i128::from(value),
        (Some(map), _) => map.raw(&MapTarget::Bool(value)).ok_or_else(|| no_raw(&value.to_string()))?,
    };
    fit(int, target)
}

fn state(transform: &Transform, text: &str, target: RawKind) -> Result<Raw, DeviceFault> {
    let state = MapTarget::Text(text.to_owned());
    match (&transform.map, target) {
        (Some(map), RawKind::Text(most)) => fit_text(map.raw_text(&state).ok_or_else(|| no_raw(text))?, most),
        (Some(map), RawKind::Any) => any(map, &state, text),
        (None, RawKind::Any) => Ok(Raw::Text(text.to_owned())),
        (Some(map), _) => fit(map.raw(&state).ok_or_else(|| no_raw(text))?, target),
        (None, RawKind::Text(most)) => fit_text(text, most),
        (None, _) => Err(no_raw(text)),
    }
}

/// The raw text, Boolean or number of a state, whichever it has.
fn any(map: &ValueMap, state: &MapTarget, name: &str) -> Result<Raw, DeviceFault> {
    let text = map.raw_text(state).map(|text| Raw::Text(text.to_owned()));
    let other = || map.raw_bool(state).map(Raw::Bool).or_else(|| map.raw(state).map(Raw::Int));
    text.or_else(other).ok_or_else(|| no_raw(name))
}

fn fit_text(text: &str, most: u16) -> Result<Raw, DeviceFault> {
    if text.len() > usize::from(most) {
        return Err(unwritable(&format!("it is longer than the {most} bytes that the device has for it")));
    }
    Ok(Raw::Text(text.to_owned()))
}

fn encode_number(transform: &Transform, value: Decimal, target: RawKind) -> Result<Raw, DeviceFault> {
    if let Some((min, max)) = transform.valid.filter(|(min, max)| value < *min || value > *max) {
        let [value, min, max] = [value, min, max].map(decimal_text);
        return Err(unwritable(&format!("{value} is outside {min} to {max}")));
    }
    let raw = unscale(transform, value).ok_or_else(|| no_number(transform, value))?;
    match target {
        RawKind::F16 => {
            let half = float::<f64>(raw).map(Half::nearest).filter(|half| half.to_f64().is_finite());
            half.map(|half| Raw::F16(half.0)).ok_or_else(|| too_large(value))
        }
        RawKind::F32 => {
            float::<f32>(raw).filter(|f| f.is_finite()).map(Raw::F32).ok_or_else(|| too_large(value))
        }
        RawKind::F64 => {
            float::<f64>(raw).filter(|f| f.is_finite()).map(Raw::F64).ok_or_else(|| too_large(value))
        }
        RawKind::Any => Ok(Raw::Decimal(raw)),
        RawKind::Text(most) => fit_text(&decimal_text(raw), most),
        RawKind::Bytes(_) => Err(unwritable("a number cannot be written as bytes")),
        RawKind::Bool | RawKind::Int { .. } | RawKind::Digits(_) => {
            let nearest = nearest(transform, raw);
            check_rounding(transform, value, nearest)?;
            fit(nearest.to_i128().ok_or_else(|| too_large(value))?, target)
        }
    }
}

fn unscale(transform: &Transform, value: Decimal) -> Option<Decimal> {
    if let Some(curve) = transform.curve {
        return curve.raw(value);
    }
    let shifted = value.checked_sub(transform.offset.unwrap_or_default())?;
    transform.scale.map_or(Some(shifted), |scale| shifted.checked_div(scale))
}

fn no_number(transform: &Transform, value: Decimal) -> DeviceFault {
    match transform.curve {
        Some(_) if value.is_sign_negative() => unwritable("it is less than nothing"),
        _ => unwritable("the number is too large"),
    }
}

fn float<F: FromStr>(number: Decimal) -> Option<F> {
    number.to_string().parse().ok()
}

/// The nearest raw integer; if what that means is outside `valid`, the one on the other side.
fn nearest(transform: &Transform, raw: Decimal) -> Decimal {
    let nearest = raw.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let other = if nearest > raw { raw.floor() } else { raw.ceil() };
    if is_valid(transform, nearest) || !is_valid(transform, other) { nearest } else { other }
}

fn is_valid(transform: &Transform, raw: Decimal) -> bool {
    let within = |value, (min, max)| min <= value && value <= max;
    transform.valid.is_none_or(|ends| transform.scaled(raw).is_some_and(|value| within(value, ends)))
}

/// Whether the nearest raw integer means the value, or lies within half of the declared step of it, and is no value that
/// nobody may write.
fn check_rounding(transform: &Transform, value: Decimal, nearest: Decimal) -> Result<(), DeviceFault> {
    let shown = transform.scaled(nearest).ok_or_else(|| too_large(value))?;
    let moved = shown.checked_sub(value).ok_or_else(|| too_large(value))?.abs();
    let twice = moved.checked_add(moved);
    let is_near = moved.is_zero() || transform.step.zip(twice).is_some_and(|(step, twice)| twice < step);
    if is_near && is_valid(transform, nearest) {
        return Ok(());
    }
    let [value, shown] = [value, shown].map(decimal_text);
    Err(unwritable(&format!(
        "{value} is between two values that the device can take; the nearest is {shown}"
    )))
}

fn fit(int: i128, target: RawKind) -> Result<Raw, DeviceFault> {
    match (target, target.int_range()) {
        (RawKind::Bool, Some((min, max))) if (min..=max).contains(&int) => Ok(Raw::Bool(int == 1)),
        (_, Some((min, max))) if (min..=max).contains(&int) => Ok(Raw::Int(int)),
        (_, Some((min, max))) => Err(unwritable(&format!("its raw value {int} is outside {min} to {max}"))),
        (RawKind::F16, None) => Ok(Raw::F16(Half::nearest(int as f64).0)),
        (RawKind::F32, None) => Ok(Raw::F32(int as f32)),
        (RawKind::F64, None) => Ok(Raw::F64(int as f64)),
        (_, None) => Ok(Raw::Text(int.to_string())),
    }
}

fn too_large(value: Decimal) -> DeviceFault {
    unwritable(&format!("{} is too large", decimal_text(value)))
}

fn no_raw(state: &str) -> DeviceFault {
    unwritable(&format!("the mapping has no raw value for {state}"))
}

fn unwritable(why: &str) -> DeviceFault {
    DeviceFault::Unwritable(why.to_owned())
}
