//! Values among the bytes of a body.

use super::doc::garbled;
use super::pick::{ByteEncoding, BytesPick};
use crate::port::DeviceFault;
use crate::transform::Raw;

/// What is taken out; `None`: the body is shorter.
///
/// Errors: [`DeviceFault::Garbled`] for bytes that make no such value.
pub(super) fn take(body: &[u8], pick: &BytesPick) -> Result<Option<Raw>, DeviceFault> {
    let rest = body.get(usize::from(pick.offset)..);
    let bytes = rest.and_then(|rest| match pick.length {
        Some(length) => rest.get(..usize::from(length)),
        None => Some(rest),
    });
    let Some(bytes) = bytes else { return Ok(None) };
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let ordered = ordered(bytes, pick);
    let raw = match pick.encoding {
        ByteEncoding::Unsigned => Raw::Int(some_bits(number(&ordered), pick.bits).into()),
        ByteEncoding::Signed => Raw::Int(signed(number(&ordered), ordered.len())),
        ByteEncoding::Float => float(number(&ordered), ordered.len())?,
        ByteEncoding::Text => {
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            let text = std::str::from_utf8(text).map_err(|_| garbled("a text is not UTF-8"))?;
            Raw::Text(text.trim_end_matches(' ').to_owned())
        }
        ByteEncoding::Bytes => Raw::Bytes(bytes.to_vec()),
    };
    Ok(Some(raw))
}

/// The bytes with the most significant first.
fn ordered(bytes: &[u8], pick: &BytesPick) -> Vec<u8> {
    if pick.little_endian { bytes.iter().rev().copied().collect() } else { bytes.to_vec() }
}

fn some_bits(number: u64, bits: Option<(u8, u8)>) -> u64 {
    let Some((first, last)) = bits else { return number };
    let width = u32::from(last.saturating_sub(first)) + 1;
    let mask = 1u64.checked_shl(width).map_or(u64::MAX, |past| past - 1);
    number.checked_shr(first.into()).unwrap_or_default() & mask
}

fn signed(number: u64, bytes: usize) -> i128 {
    let half = 1i128 << (8 * bytes.clamp(1, 8) - 1);
    let number = i128::from(number);
    if number < half { number } else { number - 2 * half }
}

fn float(number: u64, bytes: usize) -> Result<Raw, DeviceFault> {
    let raw = match bytes {
        2 => u16::try_from(number).ok().map(Raw::F16),
        4 => u32::try_from(number).ok().map(|bits| Raw::F32(f32::from_bits(bits))),
        8 => Some(Raw::F64(f64::from_bits(number))),
        _ => None,
    };
    raw.ok_or_else(|| garbled("a float has 2, 4 or 8 bytes"))
}

/// A body with the value in it, and nothing but zeros before.
///
/// Errors: the value does not fit.
pub(super) fn put(pick: &BytesPick, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
    let mut body = vec![0; usize::from(pick.offset)];
    let length = pick.length.map(usize::from);
    let value = match raw {
        Raw::Int(number) => whole(*number, length.unwrap_or(8), pick),
        Raw::F16(bits) => ordered(&bits.to_be_bytes(), pick),
        Raw::F32(number) => ordered(&number.to_be_bytes(), pick),
        Raw::F64(number) => ordered(&number.to_be_bytes(), pick),
        Raw::Text(text) => padded(text.as_bytes(), length),
        Raw::Bytes(bytes) => padded(bytes, length),
        Raw::Bool(_) | Raw::Decimal(_) => Vec::new(),
    };
    if value.is_empty() || length.is_some_and(|length| length != value.len()) {
        return Err(DeviceFault::Unwritable("it does not fit these bytes".to_owned()));
    }
    body.extend(value);
    Ok(body)
}

fn whole(number: i128, length: usize, pick: &BytesPick) -> Vec<u8> {
    let shifted = number << pick.bits.map_or(0, |(first, _)| first);
    let bytes = shifted.to_be_bytes();
    let last: Vec<u8> = bytes.iter().copied().skip(bytes.len().saturating_sub(length)).collect();
    ordered(&last, pick)
}

fn padded(bytes: &[u8], length: Option<usize>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(length.unwrap_or(bytes.len()).max(bytes.len()), 0);
    bytes
}
