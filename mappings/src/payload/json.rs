//! JSON (RFC 8259), read without losing a digit and without trusting its author.
//!
//! A reader of one's own: numbers stay the decimals that their digits say, and depth and number of values are bounded
//! before anything is kept.

use rust_decimal::Decimal;

use super::doc::{Doc, MAX_DEPTH, MAX_VALUES, garbled};
use crate::port::DeviceFault;
use crate::transform::Raw;
use crate::value::decimal_text;

/// The document that a body is.
///
/// Errors: [`DeviceFault::Garbled`], with the place of what is wrong.
pub(super) fn parse(body: &[u8]) -> Result<Doc, DeviceFault> {
    let text = std::str::from_utf8(body).map_err(|_| garbled("it is not UTF-8, so it is no JSON"))?;
    let mut reader = Reader { text, at: 0, values: 0 };
    let doc = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.wrong("there is more after the end"));
    }
    Ok(doc)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    values: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn wrong(&self, what: &str) -> DeviceFault {
        garbled(&format!("{what} at byte {} of its JSON", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<Doc, DeviceFault> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(self.wrong("it is too deep or too large"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Doc::Value(Raw::Text(self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.takes("true") => Ok(Doc::Value(Raw::Bool(true))),
            _ if self.takes("false") => Ok(Doc::Value(Raw::Bool(false))),
            _ if self.takes("null") => Ok(Doc::Null),
            Some(_) => Err(self.wrong("there is no value")),
            None => Err(self.wrong("it ends too soon")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Doc, DeviceFault> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.takes("]") {
            return Ok(Doc::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.takes("]") {
                return Ok(Doc::List(items));
            }
            if !self.takes(",") {
                return Err(self.wrong("a list goes on without a comma"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Doc, DeviceFault> {
        self.at += 1;
        let mut entries = Vec::new();
        self.space();
        if self.takes("}") {
            return Ok(Doc::Map(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a member has no name"));
            }
            let key = self.string()?;
            self.space();
            if !self.takes(":") {
                return Err(self.wrong("a member has no colon"));
            }
            entries.push((Raw::Text(key), self.value(depth + 1)?));
            self.space();
            if self.takes("}") {
                return Ok(Doc::Map(entries));
            }
            if !self.takes(",") {
                return Err(self.wrong("an object goes on without a comma"));
            }
        }
    }

    fn string(&mut self) -> Result<String, DeviceFault> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.wrong("a control character stands in a text")),
                None => return Err(self.wrong("a text does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DeviceFault> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(self.wrong("there is no such escape"));
            }
        })
    }

    /// What stands behind `\u`. Half a surrogate pair becomes the replacement character: some devices cut texts.
    fn unicode(&mut self) -> Result<char, DeviceFault> {
        let first = self.hex()?;
        if let Some(char) = char::from_u32(first) {
            return Ok(char);
        }
        let before = self.at;
        if (0xd800..0xdc00).contains(&first) && self.takes("\\u") {
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let char = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
                return Ok(char.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, DeviceFault> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong("`\\u` needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Doc, DeviceFault> {
        let rest = self.rest();
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let digits = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if !is_number(digits) {
            return Err(self.wrong("there is no such number"));
        }
        self.at += digits.len();
        Ok(match exact(digits) {
            Some(number) => Doc::Value(Raw::Decimal(number)),
            None => Doc::Odd(format!("{} has too many digits", shortened(digits))),
        })
    }
}

/// The grammar of RFC 8259, section 6.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let zero = text.starts_with('0') && whole > 1;
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(part) = rest.strip_prefix('.') {
        let count = digits(part);
        if count == 0 {
            return false;
        }
        rest = part.get(count..).unwrap_or_default();
    }
    if let Some(power) = rest.strip_prefix(['e', 'E']) {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        return whole > 0 && !zero && !power.is_empty() && digits(power) == power.len();
    }
    whole > 0 && !zero && rest.is_empty()
}

/// The decimal that digits spell; beyond the 28th behind the point they are rounded, as no sensor is that fine.
pub(super) fn exact(digits: &str) -> Option<Decimal> {
    let (mantissa, power) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let number: Decimal = mantissa.parse().ok()?;
    let power: i32 = power.parse().ok()?;
    if number.is_zero() {
        return Some(Decimal::ZERO);
    }
    shifted(number.normalize(), power)
}

/// A number times a power of ten.
pub(super) fn shifted(number: Decimal, power: i32) -> Option<Decimal> {
    let scale = i32::try_from(number.scale()).ok()?.checked_sub(power)?;
    if let Ok(scale) = u32::try_from(scale) {
        return match scale {
            0..=28 => Decimal::try_from_i128_with_scale(number.mantissa(), scale).ok(),
            // Smaller than can be told from nothing.
            57.. => Some(Decimal::ZERO),
            _ => {
                let tiny = Decimal::try_from_i128_with_scale(number.mantissa(), 28).ok()?;
                tiny.checked_div(Decimal::try_from_i128_with_scale(10i128.checked_pow(scale - 28)?, 0).ok()?)
            }
        };
    }
    let factor = 10i128.checked_pow(scale.unsigned_abs())?;
    Decimal::try_from_i128_with_scale(number.mantissa().checked_mul(factor)?, 0).ok()
}

fn shortened(digits: &str) -> String {
    if digits.len() <= 40 {
        digits.to_owned()
    } else {
        format!("{}…", digits.get(..40).unwrap_or_default())
    }
}

/// Adds a text with its quotes.
pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Adds a document.
///
/// Errors: it holds what JSON has no form for.
pub(super) fn write(out: &mut String, doc: &Doc) -> Result<(), DeviceFault> {
    match doc {
        Doc::Null | Doc::Odd(_) => out.push_str("null"),
        Doc::Value(raw) => write_raw(out, raw)?,
        Doc::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write(out, item)?;
            }
            out.push(']');
        }
        Doc::Map(entries) => {
            out.push('{');
            for (place, (key, item)) in entries.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                match key {
                    Raw::Text(text) => write_text(out, text),
                    other => write_text(out, &super::text(other)?),
                }
                out.push(':');
                write(out, item)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_raw(out: &mut String, raw: &Raw) -> Result<(), DeviceFault> {
    match raw {
        Raw::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Raw::Text(text) => write_text(out, text),
        Raw::Decimal(number) => out.push_str(&decimal_text(*number)),
        Raw::Int(_) | Raw::F16(_) | Raw::F32(_) | Raw::F64(_) => out.push_str(&super::text(raw)?),
        Raw::Bytes(_) => return Err(DeviceFault::Unwritable("JSON has no form for bytes".to_owned())),
    }
    Ok(())
}
