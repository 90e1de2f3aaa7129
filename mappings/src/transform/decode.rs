//! Raw to value.

use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{MapTarget, Raw, Transform};
use crate::mapping::Class;
use crate::modbus::Half;
use crate::port::DeviceFault;
use crate::value::{Value, decimal_text};

pub(super) fn decode(
    transform: &Transform,
    raw: Raw,
    exponent: Option<i8>,
    class: Class,
) -> Result<Value, DeviceFault> {
    if transform.is_sentinel(&raw) {
        return Err(invalid("the device has no reading"));
    }
    match class {
        Class::BinaryControl | Class::BinarySensor => boolean(transform, raw).map(Value::Bool),
        Class::LevelControl | Class::LevelSensor => number(transform, raw, exponent).map(Value::Number),
        Class::EnumControl | Class::EnumSensor => state(transform, raw).map(Value::Text),
        Class::MultiLevelSensor => Err(garbled(&raw, "a list of numbers")),
        Class::BlobSensor => match raw {
            Raw::Bytes(bytes) => Ok(Value::Bytes(bytes)),
            Raw::Text(text) => Ok(Value::Bytes(text.into_bytes())),
            other => Err(garbled(&other, "bytes")),
        },
    }
}

fn boolean(transform: &Transform, raw: Raw) -> Result<bool, DeviceFault> {
    if let (Some(map), Raw::Text(text)) = (&transform.map, &raw) {
        return match map.target_of_text(text) {
            Some(MapTarget::Bool(value)) => Ok(*value ^ transform.invert),
            Some(MapTarget::Text(_)) | None => Err(unmapped(text)),
        };
    }
    if let (Some(map), Raw::Bool(raw)) = (&transform.map, &raw) {
        return match map.target_of_bool(*raw) {
            Some(MapTarget::Bool(value)) => Ok(*value ^ transform.invert),
            Some(MapTarget::Text(_)) | None => Err(unmapped(raw)),
        };
    }
    let int = integer(&raw, "true or false")?;
    let value = match &transform.map {
        None if int == 0 || int == 1 => int == 1,
        None => return Err(invalid(&format!("{int} is neither 0 nor 1"))),
        Some(map) => match map.target(int) {
            Some(MapTarget::Bool(value)) => *value,
            Some(MapTarget::Text(_)) | None => return Err(unmapped(int)),
        },
    };
    Ok(value ^ transform.invert)
}

fn state(transform: &Transform, raw: Raw) -> Result<String, DeviceFault> {
    let target = match (&transform.map, &raw) {
        (None, Raw::Text(text)) => return Ok(text.clone()),
        (None, _) => return Err(garbled(&raw, "the name of a state")),
        (Some(map), Raw::Text(text)) => map.target_of_text(text).ok_or_else(|| unmapped(text))?,
        (Some(map), Raw::Bool(raw)) => map.target_of_bool(*raw).ok_or_else(|| unmapped(raw))?,
        (Some(map), _) => {
            let int = integer(&raw, "the number of a state")?;
            map.target(int).ok_or_else(|| unmapped(int))?
        }
    };
    match target {
        MapTarget::Text(state) => Ok(state.clone()),
        MapTarget::Bool(state) => Err(unmapped(state)),
    }
}

fn number(transform: &Transform, raw: Raw, exponent: Option<i8>) -> Result<Decimal, DeviceFault> {
    if let (Raw::Int(int), None, None, None, None) =
        (&raw, exponent, transform.scale, transform.offset, transform.curve)
        && let Ok(int) = i64::try_from(*int)
    {
        return within(transform, Decimal::from(int));
    }
    let raw = decimal(raw)?;
    let raw = exponent.map_or(Some(raw), |exponent| raw.checked_mul(power_of_ten(exponent)?));
    let raw = raw.ok_or_else(|| invalid("the number is too large"))?;
    let value = transform.scaled(raw).ok_or_else(|| invalid("the number is too large"))?;
    within(transform, value.normalize())
}

/// The value, unless the mapping says that it is none.
fn within(transform: &Transform, value: Decimal) -> Result<Decimal, DeviceFault> {
    match transform.valid {
        Some((min, max)) if value < min || value > max => {
            let [value, min, max] = [value, min, max].map(decimal_text);
            Err(invalid(&format!("{value} is outside {min} to {max}")))
        }
        _ => Ok(value),
    }
}

fn power_of_ten(exponent: i8) -> Option<Decimal> {
    let size = u32::from(exponent.unsigned_abs());
    if exponent < 0 {
        Decimal::try_from_i128_with_scale(1, size).ok()
    } else {
        Decimal::try_from_i128_with_scale(10i128.checked_pow(size)?, 0).ok()
    }
}

fn decimal(raw: Raw) -> Result<Decimal, DeviceFault> {
    match raw {
        Raw::Bool(value) => Ok(Decimal::from(u8::from(value))),
        Raw::Int(value) => match i64::try_from(value) {
            Ok(value) => Ok(Decimal::from(value)),
            Err(_) => {
                Decimal::try_from_i128_with_scale(value, 0).map_err(|_| invalid("the number is too large"))
            }
        },
        Raw::F32(value) if !value.is_finite() => Err(invalid(&format!("the device shows {value}"))),
        Raw::F64(value) if !value.is_finite() => Err(invalid(&format!("the device shows {value}"))),
        Raw::F16(bits) if !Half(bits).to_f64().is_finite() => {
            Err(invalid(&format!("the device shows {}", Half(bits).to_f64())))
        }
        Raw::F16(bits) => shortest(&Half(bits).shortest()),
        // Rust prints the shortest digits that read back as the same float.
        Raw::F32(value) => shortest(&value.to_string()),
        Raw::F64(value) => shortest(&value.to_string()),
        Raw::Decimal(number) => Ok(number),
        Raw::Text(text) => crate::value::parse_decimal(text.trim()).map_err(DeviceFault::Garbled),
        Raw::Bytes(_) => Err(garbled(&raw, "a number")),
    }
}

fn shortest(digits: &str) -> Result<Decimal, DeviceFault> {
    // Digits beyond the 28th behind the point are rounded: no sensor is that fine.
    Decimal::from_str(digits).map_err(|_| invalid(&format!("{digits} is too large")))
}

fn integer(raw: &Raw, wanted: &str) -> Result<i128, DeviceFault> {
    match raw {
        Raw::Bool(value) => Ok(i128::from(*value)),
        Raw::Int(value) => Ok(*value),
        Raw::Decimal(number) if number.is_integer() => number.to_i128().ok_or_else(|| garbled(raw, wanted)),
        Raw::Decimal(_) => Err(garbled(raw, wanted)),
        Raw::F16(_) | Raw::F32(_) | Raw::F64(_) | Raw::Text(_) | Raw::Bytes(_) => Err(garbled(raw, wanted)),
    }
}

fn invalid(why: &str) -> DeviceFault {
    DeviceFault::Invalid(why.to_owned())
}

fn unmapped(raw: impl std::fmt::Display) -> DeviceFault {
    invalid(&format!("the mapping has no name for {raw}"))
}

fn garbled(raw: &Raw, wanted: &str) -> DeviceFault {
    let is = match raw {
        Raw::Bool(_) => "a single bit",
        Raw::Int(_) => "an integer",
        Raw::Decimal(_) => "a number",
        Raw::F16(_) | Raw::F32(_) | Raw::F64(_) => "a float",
        Raw::Text(_) => "text",
        Raw::Bytes(_) => "bytes",
    };
    DeviceFault::Garbled(format!("{is} where {wanted} was expected"))
}
