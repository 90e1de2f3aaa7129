//! TLV of OMA LwM2M (TS 1.0.2, section 6.4.3; 1.1 core, 7.4.4).

use super::doc::garbled;
use super::pick::{TlvKind, TlvPick};
use crate::port::DeviceFault;
use crate::transform::Raw;

/// Kinds of entries, the two highest bits of the first byte.
const OBJECT_INSTANCE: u8 = 0;
const MULTIPLE_RESOURCE: u8 = 2;
const RESOURCE: u8 = 3;

/// One entry.
struct Entry<'b> {
    kind: u8,
    id: u16,
    value: &'b [u8],
}

impl Entry<'_> {
    /// Whether there are entries in it.
    fn is_nested(&self) -> bool {
        matches!(self.kind, OBJECT_INSTANCE | MULTIPLE_RESOURCE)
    }
}

/// The value at a path; a resource alone is also looked for in the Object Instances.
///
/// Errors: [`DeviceFault::Garbled`] for what is no TLV, or is of another type or shape.
pub(super) fn take(body: &[u8], pick: &TlvPick) -> Result<Option<Raw>, DeviceFault> {
    let entries = entries(body)?;
    if let Some(found) = find(&entries, &pick.path)? {
        return value(found, pick).map(Some);
    }
    for instance in entries.iter().filter(|entry| entry.kind == OBJECT_INSTANCE) {
        if let Some(found) = find(&self::entries(instance.value)?, &pick.path)? {
            return value(found, pick).map(Some);
        }
    }
    Ok(None)
}

/// The value that a path leads to.
fn find<'b>(entries: &[Entry<'b>], path: &[u16]) -> Result<Option<Found<'b>>, DeviceFault> {
    let Some((id, rest)) = path.split_first() else { return Ok(None) };
    let Some(entry) = entries.iter().find(|entry| entry.id == *id) else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some(Found { value: entry.value, is_nested: entry.is_nested() }));
    }
    // There are three levels at most: Object Instance, Resource, Resource Instance.
    if entry.is_nested() { find(&self::entries(entry.value)?, rest) } else { Ok(None) }
}

struct Found<'b> {
    value: &'b [u8],
    is_nested: bool,
}

fn entries(body: &[u8]) -> Result<Vec<Entry<'_>>, DeviceFault> {
    let mut entries = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (entry, after) = entry(rest).ok_or_else(|| garbled("its TLV ends too soon"))?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

fn entry(body: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (first, rest) = body.split_first()?;
    let (id, rest) = number(rest, 1 + usize::from(first >> 5 & 1))?;
    let (length, rest) = match first >> 3 & 3 {
        0 => (u32::from(first & 7), rest),
        bytes => number(rest, bytes.into())?,
    };
    let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Entry { kind: first >> 6, id: u16::try_from(id).ok()?, value }, rest))
}

fn number(body: &[u8], bytes: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = body.split_at_checked(bytes)?;
    Some((number.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)), rest))
}

fn value(found: Found<'_>, pick: &TlvPick) -> Result<Raw, DeviceFault> {
    let value = found.value;
    if found.is_nested {
        return Err(garbled("several values where one was expected"));
    }
    let raw = match pick.kind {
        TlvKind::Integer => integer(value).map(Raw::Int),
        TlvKind::Unsigned => unsigned(value).map(Raw::Int),
        TlvKind::Float => float(value),
        TlvKind::Boolean => match value {
            [0] => Some(Raw::Bool(false)),
            [1] => Some(Raw::Bool(true)),
            _ => None,
        },
        TlvKind::Text => String::from_utf8(value.to_vec()).ok().map(Raw::Text),
        TlvKind::Opaque => Some(Raw::Bytes(value.to_vec())),
    };
    raw.ok_or_else(|| garbled(&format!("{} bytes are no `{}`", value.len(), pick.kind.name())))
}

fn unsigned(value: &[u8]) -> Option<i128> {
    let fits = matches!(value.len(), 1 | 2 | 4 | 8);
    fits.then(|| value.iter().fold(0, |all, byte| all << 8 | i128::from(*byte)))
}

fn integer(value: &[u8]) -> Option<i128> {
    let half = 1i128 << (8 * value.len().min(8)).saturating_sub(1);
    unsigned(value).map(|number| if number < half { number } else { number - 2 * half })
}

fn float(value: &[u8]) -> Option<Raw> {
    match value.len() {
        4 => Some(Raw::F32(f32::from_be_bytes(value.try_into().ok()?))),
        8 => Some(Raw::F64(f64::from_be_bytes(value.try_into().ok()?))),
        _ => None,
    }
}

/// A body of one value, in what its path says it is in.
///
/// Errors: the value is not of the type.
pub(super) fn put(pick: &TlvPick, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
    let value = bytes(pick.kind, raw)
        .ok_or_else(|| DeviceFault::Unwritable(format!("it is no `{}` of LwM2M", pick.kind.name())))?;
    let mut path = pick.path.iter().rev();
    let Some(id) = path.next() else { return Err(DeviceFault::Unknown) };
    let mut body = Vec::new();
    write(&mut body, RESOURCE, *id, &value);
    // What is around a resource is an Object Instance.
    for id in path {
        let inner = std::mem::take(&mut body);
        write(&mut body, OBJECT_INSTANCE, *id, &inner);
    }
    Ok(body)
}

fn bytes(kind: TlvKind, raw: &Raw) -> Option<Vec<u8>> {
    Some(match (kind, raw) {
        (TlvKind::Integer | TlvKind::Unsigned, Raw::Int(number)) => {
            let fits = |bits: u32| {
                let half = 1i128 << (bits - 1);
                match kind {
                    TlvKind::Integer => (-half..half).contains(number),
                    _ => (0..2 * half).contains(number),
                }
            };
            let bits = [8, 16, 32, 64].into_iter().find(|bits| fits(*bits))?;
            last(&number.to_be_bytes(), bits / 8)
        }
        (TlvKind::Float, Raw::F32(number)) => number.to_be_bytes().to_vec(),
        (TlvKind::Float, Raw::F64(number)) => {
            let short = *number as f32;
            let same = short.to_string() == number.to_string();
            if same { short.to_be_bytes().to_vec() } else { number.to_be_bytes().to_vec() }
        }
        (TlvKind::Boolean, Raw::Bool(value)) => vec![u8::from(*value)],
        (TlvKind::Boolean, Raw::Int(value @ (0 | 1))) => vec![u8::try_from(*value).ok()?],
        (TlvKind::Text, Raw::Text(text)) => text.as_bytes().to_vec(),
        (TlvKind::Opaque, Raw::Bytes(bytes)) => bytes.clone(),
        _ => return None,
    })
}

/// The last bytes of a number.
fn last(bytes: &[u8], count: u32) -> Vec<u8> {
    bytes.iter().copied().skip(bytes.len().saturating_sub(count as usize)).collect()
}

fn write(body: &mut Vec<u8>, kind: u8, id: u16, value: &[u8]) {
    let [high, low] = id.to_be_bytes();
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
    let bytes = match value.len() {
        0..=7 => 0,
        8..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 3,
    };
    let short = if bytes == 0 { value.len() as u8 } else { 0 };
    body.push(kind << 6 | u8::from(high > 0) << 5 | (bytes as u8) << 3 | short);
    body.extend((high > 0).then_some(high));
    body.push(low);
    body.extend(length.iter().skip(4 - bytes));
    body.extend(value);
}
