//! Values as they stand in a frame: digits, decimal or hexadecimal, or bytes.

use std::fmt;

use crate::payload::{BytesPick, Pick, Put, PutForm, take};
use crate::port::DeviceFault;
use crate::transform::{Raw, RawKind};

/// How a value that stands in a frame as text is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueText {
    /// As hexadecimal digits, and of what; `None`: as the text that it is.
    pub hex: Option<HexKind>,
}

/// What hexadecimal digits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexKind {
    /// A number of so many bits, with a sign or without.
    Int {
        /// At most 64.
        bits: u8,
        /// Two's complement.
        signed: bool,
    },
    /// The bytes of a text.
    Text,
    /// Bytes.
    Bytes,
}

/// How a value is put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueForm {
    /// What it takes.
    pub kind: RawKind,
    /// At least so many digits, with zeros before them.
    pub digits: u8,
    /// In hexadecimal.
    pub hex: bool,
    /// As bytes; `None`: as text.
    pub bytes: Option<BytesPick>,
}

const MAX_TEXT: u16 = u16::MAX;

impl ValueText {
    /// What a text is.
    pub(super) fn raw(self, text: &[u8]) -> Result<Raw, DeviceFault> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(DeviceFault::Invalid("the device has no reading".to_owned()));
        }
        match self.hex {
            None => Ok(Raw::Text(words(text))),
            Some(HexKind::Int { bits, signed }) => integer(text, bits, signed).map(Raw::Int),
            Some(HexKind::Text) => pairs(text).map(|bytes| Raw::Text(words(&bytes))),
            Some(HexKind::Bytes) => pairs(text).map(Raw::Bytes),
        }
    }

    /// What it gives.
    pub(super) fn raw_kind(self) -> RawKind {
        match self.hex {
            None | Some(HexKind::Text) => RawKind::Text(MAX_TEXT),
            Some(HexKind::Int { bits, signed }) => RawKind::Int { bits, signed },
            Some(HexKind::Bytes) => RawKind::Bytes(MAX_TEXT),
        }
    }
}

impl fmt::Display for ValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hex {
            None => Ok(()),
            Some(HexKind::Int { bits, signed }) => {
                write!(f, " as hexadecimal {}{bits}", if signed { "s" } else { "u" })
            }
            Some(HexKind::Text) => f.write_str(" as hexadecimal text"),
            Some(HexKind::Bytes) => f.write_str(" as hexadecimal bytes"),
        }
    }
}

/// Text in UTF-8, or else each byte a character.
fn words(bytes: &[u8]) -> String {
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned)
}

fn no_digits(text: &[u8]) -> DeviceFault {
    DeviceFault::Invalid(format!("`{}` is not hexadecimal", words(text)))
}

fn integer(text: &[u8], bits: u8, signed: bool) -> Result<i128, DeviceFault> {
    let all_digits = text.len() <= 16 && text.iter().all(u8::is_ascii_hexdigit);
    let number =
        Some(words(text)).filter(|_| all_digits).and_then(|text| i128::from_str_radix(&text, 16).ok());
    let number = number.filter(|number| number >> bits == 0).ok_or_else(|| no_digits(text))?;
    let is_negative = signed && number >> bits.saturating_sub(1) & 1 == 1;
    Ok(if is_negative { number - (1 << bits) } else { number })
}

fn pairs(text: &[u8]) -> Result<Vec<u8>, DeviceFault> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect::<Option<Vec<u8>>>().ok_or_else(|| no_digits(text))
}

/// A text within a request: what would end it, and begin another, is refused.
fn printable(text: Vec<u8>) -> Result<Vec<u8>, DeviceFault> {
    if text.iter().any(u8::is_ascii_control) {
        return Err(DeviceFault::Unwritable("control characters cannot stand in a request".to_owned()));
    }
    Ok(text)
}

impl ValueForm {
    /// A value as it stands in a request.
    ///
    /// Errors: it does not fit.
    pub(crate) fn bytes(&self, raw: &Raw) -> Result<Vec<u8>, DeviceFault> {
        if let Some(pick) = self.bytes {
            return Put::new(PutForm::Bytes(pick)).body(raw);
        }
        let (digits, hex) = (usize::from(self.digits), self.hex);
        let text = match raw {
            Raw::Int(number) if hex && *number >= 0 => format!("{number:0digits$X}"),
            Raw::Int(_) if hex => {
                return Err(DeviceFault::Unwritable("a negative number has no such digits".to_owned()));
            }
            Raw::Int(number) if digits > 0 => format!("{number:0digits$}"),
            other => return Put::new(PutForm::Text).body(other).and_then(printable),
        };
        let fits = digits == 0 || text.len() <= digits;
        let too_long = || DeviceFault::Unwritable(format!("{text} has more than {digits} digits"));
        if fits { Ok(text.into_bytes()) } else { Err(too_long()) }
    }

    /// How a simulated or real device reads it back.
    pub fn raw(&self, bytes: &[u8]) -> Result<Raw, DeviceFault> {
        match (self.bytes, self.hex) {
            (Some(pick), _) => {
                take(bytes, None, &Pick::Bytes(pick)).and_then(|raw| raw.ok_or(DeviceFault::Unknown))
            }
            (None, true) => integer(bytes, 64, false).map(Raw::Int),
            (None, false) => Ok(Raw::Text(words(bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(hex: bool) -> ValueForm {
        ValueForm { kind: RawKind::Text(64), digits: 0, hex, bytes: None }
    }

    #[test]
    fn what_would_end_a_request_cannot_stand_in_it() {
        let text = |text: &str| form(false).bytes(&Raw::Text(text.to_owned()));
        assert_eq!(text("Living room"), Ok(b"Living room".to_vec()));
        for wrong in ["x\rPWSTANDBY", "x\n", "\u{2}"] {
            assert!(matches!(text(wrong), Err(DeviceFault::Unwritable(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_negative_number_has_no_hexadecimal_digits() {
        assert_eq!(form(true).bytes(&Raw::Int(31)), Ok(b"1F".to_vec()));
        assert!(matches!(form(true).bytes(&Raw::Int(-5)), Err(DeviceFault::Unwritable(_))));
    }
}
