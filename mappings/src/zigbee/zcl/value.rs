//! Values over the air, least significant byte first, and what of them is no value.

use super::ZclType;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// A value as a device says it.
#[derive(Clone, Debug, PartialEq)]
pub enum ZclValue {
    /// The type's non-value: the device has none.
    None,
    /// A single value.
    Raw(Raw),
    /// The elements of a structure, array, set or bag.
    List(Vec<(ZclType, Self)>),
}

/// Deepest nesting of lists.
const MAX_DEPTH: usize = 8;

/// Takes a value of this type from the front of `bytes`.
///
/// Errors: there are too few bytes, a text is not UTF-8, or lists are nested too deeply.
pub fn take(kind: ZclType, bytes: &mut &[u8]) -> Result<ZclValue, DeviceFault> {
    taken(kind, bytes, 0)
}

fn taken(kind: ZclType, bytes: &mut &[u8], depth: usize) -> Result<ZclValue, DeviceFault> {
    if kind.is_list() {
        return list(kind, bytes, depth);
    }
    let Some(length) = kind.length() else { return string(kind, bytes) };
    let value = front(bytes, length)?;
    if is_none(kind, value) {
        return Ok(ZclValue::None);
    }
    Ok(ZclValue::Raw(match kind {
        ZclType::Bool => match value {
            [0] => Raw::Bool(false),
            [1] => Raw::Bool(true),
            other => return Err(garbled(&format!("{other:02x?} is no Boolean"))),
        },
        ZclType::Int(_) => Raw::Int(signed(value)),
        ZclType::Semi => Raw::F16(u16::try_from(unsigned(value)).unwrap_or_default()),
        ZclType::Single => Raw::F32(f32::from_bits(u32::try_from(unsigned(value)).unwrap_or_default())),
        ZclType::Double => Raw::F64(f64::from_bits(unsigned(value))),
        ZclType::TimeOfDay | ZclType::Date | ZclType::Key128 | ZclType::NoData => Raw::Bytes(value.to_vec()),
        _ => Raw::Int(unsigned(value).into()),
    }))
}

fn front<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], DeviceFault> {
    let (value, rest) = bytes.split_at_checked(length).ok_or_else(|| garbled("a value is cut off"))?;
    *bytes = rest;
    Ok(value)
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i128 {
    let (number, half) = (i128::from(unsigned(bytes)), 1i128 << (8 * bytes.len().clamp(1, 8) - 1));
    if number < half { number } else { number - 2 * half }
}

/// Whether these bytes are the non-value of the type (ZCL, table 2-10).
fn is_none(kind: ZclType, bytes: &[u8]) -> bool {
    let full = || bytes.iter().all(|byte| *byte == 0xff);
    match kind {
        ZclType::Bool | ZclType::Uint(_) | ZclType::Enum(_) | ZclType::TimeOfDay | ZclType::Date => full(),
        ZclType::Utc | ZclType::ClusterId | ZclType::AttributeId | ZclType::BacnetOid | ZclType::Eui64 => {
            full()
        }
        ZclType::Int(_) => match bytes.split_last() {
            Some((last, rest)) => *last == 0x80 && rest.iter().all(|byte| *byte == 0),
            None => false,
        },
        ZclType::Semi => {
            let bits = unsigned(bytes);
            bits & 0x7c00 == 0x7c00 && bits & 0x03ff != 0
        }
        ZclType::Single => f32::from_bits(u32::try_from(unsigned(bytes)).unwrap_or_default()).is_nan(),
        ZclType::Double => f64::from_bits(unsigned(bytes)).is_nan(),
        ZclType::NoData => true,
        _ => false,
    }
}

/// A string with its length before it; all ones is the non-value.
fn string(kind: ZclType, bytes: &mut &[u8]) -> Result<ZclValue, DeviceFault> {
    let is_long = matches!(kind, ZclType::LongOctets | ZclType::LongText);
    let width = if is_long { 2 } else { 1 };
    let length = front(bytes, width)?;
    if length.iter().all(|byte| *byte == 0xff) {
        return Ok(ZclValue::None);
    }
    let length = usize::try_from(unsigned(length)).unwrap_or(usize::MAX);
    let value = front(bytes, length)?;
    let is_text = matches!(kind, ZclType::Text | ZclType::LongText);
    // What is no text is left as bytes: some manufacturers keep structures in a character string.
    Ok(ZclValue::Raw(match std::str::from_utf8(value) {
        Ok(text) if is_text => Raw::Text(text.to_owned()),
        _ => Raw::Bytes(value.to_vec()),
    }))
}

fn list(kind: ZclType, bytes: &mut &[u8], depth: usize) -> Result<ZclValue, DeviceFault> {
    if depth == MAX_DEPTH {
        return Err(garbled("lists are nested too deeply"));
    }
    let one_type = if kind == ZclType::Struct { None } else { Some(type_of(bytes)?) };
    if one_type == Some(ZclType::NoData) {
        return Err(garbled("a list of nothing"));
    }
    let count = unsigned(front(bytes, 2)?);
    if count == 0xffff {
        return Ok(ZclValue::None);
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let kind = match one_type {
            Some(kind) => kind,
            None => type_of(bytes)?,
        };
        items.push((kind, taken(kind, bytes, depth + 1)?));
    }
    Ok(ZclValue::List(items))
}

/// The type whose identifier comes next.
pub(super) fn type_of(bytes: &mut &[u8]) -> Result<ZclType, DeviceFault> {
    let id = front(bytes, 1)?.first().copied().unwrap_or_default();
    ZclType::of(id).ok_or_else(|| garbled(&format!("there is no type 0x{id:02x}")))
}

/// The bytes of a raw value.
///
/// Errors: it is not of this type, does not fit, or would be its non-value.
pub fn encode(kind: ZclType, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
    let bytes = encoded(kind, raw).ok_or_else(|| unwritable(&format!("it is no {kind}")))?;
    if kind.length().is_some() && is_none(kind, &bytes) {
        return Err(unwritable("the device takes it for \"no value\""));
    }
    Ok(bytes)
}

fn encoded(kind: ZclType, raw: &Raw) -> Option<Vec<u8>> {
    let whole = match raw {
        Raw::Int(number) => Some(*number),
        Raw::Bool(value) => Some(i128::from(*value)),
        Raw::Decimal(number) if number.is_integer() => i128::try_from(*number).ok(),
        _ => None,
    };
    match (kind, raw) {
        (ZclType::Bool, _) => whole.filter(|number| matches!(number, 0 | 1)).map(|number| vec![number as u8]),
        (ZclType::Semi, Raw::F16(bits)) => Some(bits.to_le_bytes().to_vec()),
        (ZclType::Single, Raw::F32(number)) => Some(number.to_le_bytes().to_vec()),
        (ZclType::Double, Raw::F64(number)) => Some(number.to_le_bytes().to_vec()),
        (ZclType::Semi | ZclType::Single | ZclType::Double, Raw::Int(_) | Raw::Decimal(_)) => {
            float(kind, raw)
        }
        (ZclType::Text | ZclType::LongText, Raw::Text(text)) => counted(kind, text.as_bytes()),
        (ZclType::Octets | ZclType::LongOctets, Raw::Bytes(bytes)) => counted(kind, bytes),
        (ZclType::TimeOfDay | ZclType::Date | ZclType::Key128, Raw::Bytes(bytes)) => {
            (kind.length() == Some(bytes.len())).then(|| bytes.clone())
        }
        _ => {
            let (least, most) = kind.raw_kind().int_range()?;
            let number = whole.filter(|number| (least..=most).contains(number))?;
            number.to_le_bytes().get(..kind.length()?).map(<[u8]>::to_vec)
        }
    }
}

fn float(kind: ZclType, raw: &Raw) -> Option<Vec<u8>> {
    let text = match raw {
        Raw::Int(number) => number.to_string(),
        Raw::Decimal(number) => number.to_string(),
        _ => return None,
    };
    match kind {
        ZclType::Single => text.parse::<f32>().ok().map(|number| number.to_le_bytes().to_vec()),
        ZclType::Double => text.parse::<f64>().ok().map(|number| number.to_le_bytes().to_vec()),
        _ => text.parse::<f64>().ok().map(|n| crate::modbus::Half::nearest(n).0.to_le_bytes().to_vec()),
    }
}

fn counted(kind: ZclType, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = match kind {
        ZclType::LongOctets | ZclType::LongText => {
            u16::try_from(bytes.len()).ok().filter(|length| *length < u16::MAX)?.to_le_bytes().to_vec()
        }
        _ => vec![u8::try_from(bytes.len()).ok().filter(|length| *length < u8::MAX)?],
    };
    Some([length.as_slice(), bytes].concat())
}

pub(super) fn garbled(why: &str) -> DeviceFault {
    DeviceFault::Garbled(why.to_owned())
}

fn unwritable(why: &str) -> DeviceFault {
    DeviceFault::Unwritable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_of(kind: &str, bytes: &[u8]) -> Result<ZclValue, DeviceFault> {
        take(ZclType::named(kind).expect("a type"), &mut &*bytes)
    }

    #[test]
    fn values_are_little_endian() {
        for (kind, bytes, raw) in [
            ("bool", &[1][..], Raw::Bool(true)),
            ("uint8", &[0xfe], Raw::Int(254)),
            ("uint16", &[0x66, 0x08], Raw::Int(2150)),
            ("uint24", &[1, 2, 3], Raw::Int(0x03_0201)),
            ("uint48", &[1, 0, 0, 0, 0, 0], Raw::Int(1)),
            ("int8", &[0xff], Raw::Int(-1)),
            ("int16", &[0x9c, 0xff], Raw::Int(-100)),
            ("int24", &[0xff, 0xff, 0x7f], Raw::Int(0x7f_ffff)),
            ("map16", &[0xff, 0xff], Raw::Int(0xffff)),
            ("enum8", &[4], Raw::Int(4)),
            ("single", &[0, 0, 0x48, 0x41], Raw::F32(12.5)),
            ("string", &[2, b'h', b'i'], Raw::Text("hi".to_owned())),
            ("octstr", &[2, 1, 0xff], Raw::Bytes(vec![1, 0xff])),
            ("string", &[1, 0xff], Raw::Bytes(vec![0xff])),
            ("utc", &[1, 0, 0, 0], Raw::Int(1)),
        ] {
            assert_eq!(taken_of(kind, bytes), Ok(ZclValue::Raw(raw.clone())), "{kind}");
            if !matches!((kind, &raw), ("string", Raw::Bytes(_))) {
                assert_eq!(encode(ZclType::named(kind).unwrap(), &raw).as_deref(), Ok(bytes), "{kind}");
            }
        }
    }

    /// ZCL revision 6, table 2-10, column "Invalid Value".
    #[test]
    fn non_values_are_none() {
        for (kind, bytes) in [
            ("bool", &[0xff][..]),
            ("uint8", &[0xff]),
            ("uint16", &[0xff, 0xff]),
            ("uint48", &[0xff; 6]),
            ("int8", &[0x80]),
            ("int16", &[0x00, 0x80]),
            ("int24", &[0x00, 0x00, 0x80]),
            ("enum8", &[0xff]),
            ("single", &[0, 0, 0xc0, 0x7f]),
            ("octstr", &[0xff]),
            ("string16", &[0xff, 0xff]),
            ("array", &[0x20, 0xff, 0xff]),
            ("struct", &[0xff, 0xff]),
            ("utc", &[0xff; 4]),
            ("eui64", &[0xff; 8]),
        ] {
            assert_eq!(taken_of(kind, bytes), Ok(ZclValue::None), "{kind}");
        }
        let sentinel = encode(ZclType::Int(2), &Raw::Int(-32768));
        assert!(matches!(sentinel, Err(DeviceFault::Unwritable(_))), "{sentinel:?}");
    }

    #[test]
    fn structures_have_elements() {
        // What a Lumi device says in attribute 0xff02.
        let bytes = [2, 0, 0x10, 1, 0x21, 0xe5, 0x0b];
        let wanted = vec![
            (ZclType::Bool, ZclValue::Raw(Raw::Bool(true))),
            (ZclType::Uint(2), ZclValue::Raw(Raw::Int(3045))),
        ];
        assert_eq!(taken_of("struct", &bytes), Ok(ZclValue::List(wanted)));
        assert!(taken_of("struct", &bytes[..5]).is_err());
        assert!(taken_of("array", &[0x00, 0xfe, 0xff]).is_err(), "a list of nothing has no end");
        assert!(taken_of("array", &[0x48; 64]).is_err(), "nested for ever");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(kind) = ZclType::of(kind) {
                drop(take(kind, &mut &*bytes));
            }
        }

        #[test]
        fn whole_numbers_survive(kind in 0x20u8..0x30, number in any::<i64>()) {
            let kind = ZclType::of(kind).expect("a type");
            if let Ok(bytes) = encode(kind, &Raw::Int(number.into())) {
                prop_assert_eq!(take(kind, &mut &*bytes), Ok(ZclValue::Raw(Raw::Int(number.into()))));
            }
        }
    }
}
