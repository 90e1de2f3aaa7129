//! Numbers in registers, as the keys of an entity say them.

use crate::import::model::Point;
use crate::import::tree::Map;

/// A number in registers, as the keys of the entity say it.
pub(super) fn number(map: &Map<'_>, table: &'static str, address: u16) -> Result<Point, String> {
    let mut point = Point::at(table, address);
    let data_type = map.text("data_type").unwrap_or("int16");
    point.encoding = match data_type {
        "int16" => "s16",
        "uint16" => "u16",
        "int32" => "s32",
        "uint32" => "u32",
        "int64" => "s64",
        "uint64" => "u64",
        "float16" => "f16",
        "float32" => "f32",
        "float64" => "f64",
        "int" => "s16",
        "uint" => "u16",
        "string" => {
            let count = map.int("count").and_then(|count| u16::try_from(count).ok());
            point.registers = Some(count.ok_or("a text without a count of registers")?);
            "string"
        }
        "custom" => structure(map, &mut point)?,
        other => return Err(format!("values of type {other} are not known")),
    };
    point.order = match map.text("swap").unwrap_or("none") {
        "none" | "false" => point.order,
        _ if !point.order.is_empty() => {
            return Err("its structure and `swap` both turn bytes round".to_owned());
        }
        "byte" => "BADC",
        "word" => "CDAB",
        "word_byte" => "DCBA",
        other => return Err(format!("`{other}` is no order of bytes")),
    };
    point.scale = map.decimal("scale");
    point.offset = map.decimal("offset");
    point.invalid = sentinels(map, point.encoding);
    Ok(point)
}

/// A value that is none, and the same with the other sign, as far as the registers can hold them.
fn sentinels(map: &Map<'_>, encoding: &str) -> Vec<i128> {
    let bits = match encoding {
        "s16" | "u16" | "f16" => 16,
        "s32" | "u32" | "f32" => 32,
        "s64" | "u64" | "f64" => 64,
        // A text has none.
        _ => return Vec::new(),
    };
    let (low, high) = match encoding {
        "u16" | "u32" | "u64" => (0, (1_i128 << bits) - 1),
        "s16" | "s32" | "s64" => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        // The number that the float shows.
        _ => (-(1 << 64), 1 << 64),
    };
    // What is the pattern of a float that is no number needs no word: such a float is never a reading.
    let given = map.int("nan_value").filter(|value| !is_nan(encoding, *value));
    let mut values: Vec<i128> = given.into_iter().flat_map(|value| [value, -value]).collect();
    values.retain(|value| (low..=high).contains(value));
    values.dedup();
    values
}

/// Whether these bits are a float that is no number.
fn is_nan(encoding: &str, bits: i128) -> bool {
    match encoding {
        "f16" => u16::try_from(bits).is_ok_and(|bits| bits & 0x7fff > 0x7c00),
        "f32" => u32::try_from(bits).is_ok_and(|bits| f32::from_bits(bits).is_nan()),
        "f64" => u64::try_from(bits).is_ok_and(|bits| f64::from_bits(bits).is_nan()),
        _ => false,
    }
}

/// One number of Python's `struct`: `>f`, `<i`. Several of them are one text to Home Assistant.
fn structure(map: &Map<'_>, point: &mut Point) -> Result<&'static str, String> {
    let why = "its structure is Python's, and not one number in the order of the network; say it with `as`";
    let structure = map.text("structure").unwrap_or(">f").trim();
    let (order, kind) = structure.split_at_checked(1).ok_or(why)?;
    let (encoding, registers) = match kind {
        "h" => ("s16", 1),
        "H" => ("u16", 1),
        "i" | "l" => ("s32", 2),
        "I" | "L" => ("u32", 2),
        "q" => ("s64", 4),
        "Q" => ("u64", 4),
        "e" => ("f16", 1),
        "f" => ("f32", 2),
        "d" => ("f64", 4),
        _ => return Err(why.to_owned()),
    };
    point.order = match order {
        ">" | "!" => "",
        "<" => "DCBA",
        _ => return Err(why.to_owned()),
    };
    match map.int("count") {
        Some(count) if count != registers => Err("its count does not fit its structure".to_owned()),
        _ => Ok(encoding),
    }
}
