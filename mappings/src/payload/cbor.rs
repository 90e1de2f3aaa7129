//! CBOR (RFC 8949), as far as devices use it, read without losing a digit and without trusting its author.
//!
//! A reader of one's own, of a page: what it makes is the same [`Doc`] as of JSON, floats keep their width, decimal
//! fractions and big numbers become the decimals that they are, and nothing is reserved for a length that is only said.

use rust_decimal::Decimal;

use super::doc::{Doc, MAX_DEPTH, MAX_VALUES, garbled};
use super::json::shifted;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// The data item that a body is.
///
/// Errors: [`DeviceFault::Garbled`], with the place of what is wrong.
pub(super) fn parse(body: &[u8]) -> Result<Doc, DeviceFault> {
    let mut reader = Reader { body, at: 0, values: 0 };
    let doc = reader.item(0)?;
    if reader.at < body.len() {
        return Err(reader.wrong("there is more after the end"));
    }
    Ok(doc)
}

struct Reader<'b> {
    body: &'b [u8],
    at: usize,
    values: usize,
}

/// First byte of an item, taken apart: major type, and the number behind it; `None`: of no definite length.
type Head = (u8, u8, Option<u64>);

/// What ends an item of no definite length.
const BREAK: u8 = 0xff;

impl<'b> Reader<'b> {
    fn wrong(&self, what: &str) -> DeviceFault {
        garbled(&format!("{what} at byte {} of its CBOR", self.at))
    }

    fn bytes(&mut self, count: u64) -> Result<&'b [u8], DeviceFault> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let found = end.and_then(|end| self.body.get(self.at..end));
        let found = found.ok_or_else(|| self.wrong("it ends too soon"))?;
        self.at += found.len();
        Ok(found)
    }

    fn number(&mut self, bytes: u64) -> Result<u64, DeviceFault> {
        let bytes = self.bytes(bytes)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn head(&mut self) -> Result<Head, DeviceFault> {
        let first = self.number(1)?;
        let (major, info) = ((first >> 5) as u8, (first & 31) as u8);
        let number = match info {
            0..=23 => Some(info.into()),
            24..=27 => Some(self.number(1 << (info - 24))?),
            31 if matches!(major, 2..=5) => None,
            _ => return Err(self.wrong("there is no such item")),
        };
        Ok((major, info, number))
    }

    /// Whether a list or map without a definite length is at its end.
    fn ends(&mut self) -> bool {
        let is_end = self.body.get(self.at) == Some(&BREAK);
        self.at += usize::from(is_end);
        is_end
    }

    fn item(&mut self, depth: usize) -> Result<Doc, DeviceFault> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(self.wrong("it is too deep or too large"));
        }
        let (major, info, number) = self.head()?;
        let length = number.unwrap_or_default();
        match major {
            0 => Ok(Doc::Value(Raw::Int(length.into()))),
            1 => Ok(Doc::Value(Raw::Int(-1 - i128::from(length)))),
            2 => Ok(Doc::Value(Raw::Bytes(self.run(2, number)?))),
            3 => Ok(Doc::Value(Raw::Text(self.text(number)?))),
            4 => self.list(number, depth),
            5 => self.map(number, depth),
            6 => self.tagged(length, depth),
            _ => self.simple(info, length),
        }
    }

    /// Bytes or text, perhaps in chunks.
    fn run(&mut self, major: u8, length: Option<u64>) -> Result<Vec<u8>, DeviceFault> {
        if let Some(length) = length {
            return self.bytes(length).map(<[u8]>::to_vec);
        }
        let mut all = Vec::new();
        while !self.ends() {
            match self.head()? {
                (chunk, _, Some(length)) if chunk == major => all.extend_from_slice(self.bytes(length)?),
                _ => return Err(self.wrong("a text or byte string goes on with something else")),
            }
        }
        Ok(all)
    }

    fn text(&mut self, length: Option<u64>) -> Result<String, DeviceFault> {
        let bytes = self.run(3, length)?;
        String::from_utf8(bytes).map_err(|_| self.wrong("a text is not UTF-8"))
    }

    fn list(&mut self, length: Option<u64>, depth: usize) -> Result<Doc, DeviceFault> {
        let mut items = Vec::new();
        while !self.is_full(items.len(), length) {
            items.push(self.item(depth + 1)?);
        }
        Ok(Doc::List(items))
    }

    fn map(&mut self, length: Option<u64>, depth: usize) -> Result<Doc, DeviceFault> {
        let mut entries = Vec::new();
        while !self.is_full(entries.len(), length) {
            let Doc::Value(key) = self.item(depth + 1)? else {
                return Err(self.wrong("a key is no single value"));
            };
            entries.push((key, self.item(depth + 1)?));
        }
        Ok(Doc::Map(entries))
    }

    fn is_full(&mut self, count: usize, length: Option<u64>) -> bool {
        length.map_or_else(|| self.ends(), |length| count as u64 >= length)
    }

    /// Big numbers (tags 2 and 3) and decimal fractions (4); any other tag says nothing that matters here.
    fn tagged(&mut self, tag: u64, depth: usize) -> Result<Doc, DeviceFault> {
        let item = self.item(depth + 1)?;
        Ok(match (tag, item) {
            (2, Doc::Value(Raw::Bytes(bytes))) => big(&bytes, false),
            (3, Doc::Value(Raw::Bytes(bytes))) => big(&bytes, true),
            (4, Doc::List(parts)) => fraction(&parts),
            (_, item) => item,
        })
    }

    fn simple(&mut self, info: u8, number: u64) -> Result<Doc, DeviceFault> {
        Ok(match info {
            20 | 21 => Doc::Value(Raw::Bool(info == 21)),
            22 | 23 => Doc::Null,
            25 => Doc::Value(Raw::F16(u16::try_from(number).unwrap_or_default())),
            26 => Doc::Value(Raw::F32(f32::from_bits(u32::try_from(number).unwrap_or_default()))),
            27 => Doc::Value(Raw::F64(f64::from_bits(number))),
            _ => Doc::Odd(format!("the simple value {number} means nothing here")),
        })
    }
}

fn big(bytes: &[u8], negative: bool) -> Doc {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if digits.len() > 12 {
        return Doc::Odd("a number is too large".to_owned());
    }
    let number = digits.iter().fold(0i128, |number, byte| number << 8 | i128::from(*byte));
    Doc::Value(Raw::Int(if negative { -1 - number } else { number }))
}

fn fraction(parts: &[Doc]) -> Doc {
    let number = match parts {
        [Doc::Value(Raw::Int(power)), Doc::Value(Raw::Int(mantissa))] => {
            let mantissa = Decimal::try_from_i128_with_scale(*mantissa, 0).ok();
            mantissa.zip(i32::try_from(*power).ok()).and_then(|(mantissa, power)| shifted(mantissa, power))
        }
        _ => None,
    };
    number.map_or_else(
        || Doc::Odd("a decimal fraction is out of range".to_owned()),
        |n| Doc::Value(Raw::Decimal(n)),
    )
}

/// Adds a data item, in its shortest form.
///
/// Errors: it holds what this has no form for.
pub(super) fn write(out: &mut Vec<u8>, doc: &Doc) -> Result<(), DeviceFault> {
    match doc {
        Doc::Null | Doc::Odd(_) => out.push(0xf6),
        Doc::Value(raw) => write_raw(out, raw)?,
        Doc::List(items) => {
            head(out, 4, items.len() as u64);
            items.iter().try_for_each(|item| write(out, item))?;
        }
        Doc::Map(entries) => {
            head(out, 5, entries.len() as u64);
            for (key, item) in entries {
                write_raw(out, key)?;
                write(out, item)?;
            }
        }
    }
    Ok(())
}

fn write_raw(out: &mut Vec<u8>, raw: &Raw) -> Result<(), DeviceFault> {
    match raw {
        Raw::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
        Raw::Int(number) => int(out, *number)?,
        Raw::Decimal(number) => decimal(out, number.normalize())?,
        Raw::F16(bits) => {
            out.push(0xf9);
            out.extend(bits.to_be_bytes());
        }
        Raw::F32(number) => {
            out.push(0xfa);
            out.extend(number.to_be_bytes());
        }
        Raw::F64(number) => {
            out.push(0xfb);
            out.extend(number.to_be_bytes());
        }
        Raw::Text(text) => {
            head(out, 3, text.len() as u64);
            out.extend(text.as_bytes());
        }
        Raw::Bytes(bytes) => {
            head(out, 2, bytes.len() as u64);
            out.extend(bytes);
        }
    }
    Ok(())
}

fn int(out: &mut Vec<u8>, number: i128) -> Result<(), DeviceFault> {
    let (major, size) = if number < 0 { (1, -1 - number) } else { (0, number) };
    let size = u64::try_from(size);
    let size = size.map_err(|_| DeviceFault::Unwritable("the number is too large for CBOR".to_owned()))?;
    head(out, major, size);
    Ok(())
}

/// A whole number as one; any other as the float that is nearest, because devices seldom know decimal fractions.
fn decimal(out: &mut Vec<u8>, number: Decimal) -> Result<(), DeviceFault> {
    if number.is_integer() {
        return int(out, number.mantissa());
    }
    let float: f64 = number.to_string().parse().unwrap_or(f64::NAN);
    let short = float as f32;
    // What a short float shows as the same digits fits into it.
    if short.to_string().parse() == Ok(number) {
        return write_raw(out, &Raw::F32(short));
    }
    write_raw(out, &Raw::F64(float))
}

fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    let (info, count) = match number {
        0..=23 => (number as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend(bytes.iter().skip(8 - count));
}
