//! Texts of a mapping that stand for bytes: what is sent, and what something that is said is like.

use std::fmt;

/// A text with places in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineText {
    /// Its pieces, in their order.
    pub pieces: Vec<Piece>,
    /// Written in hexadecimal: there are no lines and no blanks in it.
    pub hex: bool,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// `$value`: the value.
    Value,
    /// `$any`: anything.
    Any,
}

/// The places that a text can have.
const PLACES: [(&str, Piece); 2] = [("$value", Piece::Value), ("$any", Piece::Any)];

impl LineText {
    /// A text as a mapping writes it. Errors: the first character that is no byte.
    pub fn parse(text: &str) -> Result<Self, char> {
        let mut parsed = Self::default();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let Some((word, piece)) = PLACES.iter().find(|(word, _)| rest.starts_with(word)) {
                parsed.pieces.push(piece.clone());
                rest = rest.get(word.len()..).unwrap_or_default();
                continue;
            }
            let byte = u8::try_from(u32::from(character)).map_err(|_| character)?;
            parsed.push(byte);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        Ok(parsed)
    }

    /// The same in hexadecimal: two digits for each byte, blanks between them. Errors: what cannot be understood.
    pub fn parse_hex(text: &str) -> Result<Self, String> {
        let mut parsed = Self { pieces: Vec::new(), hex: true };
        for word in text.split_whitespace() {
            if let Some((_, piece)) = PLACES.iter().find(|(known, _)| *known == word) {
                parsed.pieces.push(piece.clone());
                continue;
            }
            let digits: Option<Vec<u32>> = word.chars().map(|digit| digit.to_digit(16)).collect();
            let digits =
                digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(|| word.to_owned())?;
            for pair in digits.chunks(2) {
                parsed.push(
                    u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).unwrap_or_default(),
                );
            }
        }
        Ok(parsed)
    }

    /// These bytes.
    pub fn bytes_of(bytes: &[u8]) -> Self {
        Self { pieces: vec![Piece::Bytes(bytes.to_vec())], hex: false }
    }

    fn push(&mut self, byte: u8) {
        match self.pieces.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes.push(byte),
            _ => self.pieces.push(Piece::Bytes(vec![byte])),
        }
    }

    /// How often the value is in it.
    pub fn values(&self) -> usize {
        self.pieces.iter().filter(|piece| **piece == Piece::Value).count()
    }

    /// Whether the value is in it.
    pub fn has_value(&self) -> bool {
        self.values() > 0
    }

    /// Whether anything may stand somewhere in it.
    pub fn has_any(&self) -> bool {
        self.pieces.contains(&Piece::Any)
    }

    /// Its bytes, with this for the value.
    pub fn filled(&self, value: &[u8]) -> Vec<u8> {
        let bytes = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.as_slice(),
            Piece::Value => value,
            Piece::Any => &[],
        });
        bytes.copied().collect()
    }

    /// The same without blanks at its ends.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        if let Some(Piece::Bytes(bytes)) = self.pieces.first_mut() {
            *bytes = bytes.trim_ascii_start().to_vec();
        }
        if let Some(Piece::Bytes(bytes)) = self.pieces.last_mut() {
            *bytes = bytes.trim_ascii_end().to_vec();
        }
        self.pieces.retain(|piece| *piece != Piece::Bytes(Vec::new()));
        self
    }

    /// Whether a whole frame is like this, and what stands for the value then. Blanks at the ends of a frame do not count,
    /// unless this is in hexadecimal.
    pub fn matched<'f>(&self, frame: &'f [u8]) -> Option<Option<&'f [u8]>> {
        let frame = if self.hex { frame } else { trimmed(frame) };
        self.from(frame, true)
    }

    /// What stands for the value where a part of a frame is like this; the first such part counts.
    pub fn found<'f>(&self, frame: &'f [u8]) -> Option<&'f [u8]> {
        (0..=frame.len()).find_map(|at| self.from(frame.get(at..)?, false)).flatten()
    }

    /// Whether these bytes begin like this, or are so as a whole.
    fn from<'f>(&self, bytes: &'f [u8], whole: bool) -> Option<Option<&'f [u8]>> {
        let (mut rest, mut value) = (bytes, None);
        let mut pieces = self.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            let length = match piece {
                Piece::Bytes(wanted) => {
                    rest = rest.strip_prefix(wanted.as_slice())?;
                    continue;
                }
                Piece::Value | Piece::Any => match pieces.peek() {
                    // To the end: of the frame, or of the line.
                    None if whole && (*piece == Piece::Any || self.hex) => rest.len(),
                    None => self.line(rest).len(),
                    // The last words are at the end, wherever else they may be.
                    Some(Piece::Bytes(next)) if whole && self.is_last(next) => {
                        rest.len().checked_sub(next.len())?
                    }
                    Some(Piece::Bytes(next)) => position(self.line_and(rest, next.len()), next)?,
                    Some(_) => 0,
                },
            };
            let (taken, behind) = rest.split_at_checked(length)?;
            if *piece == Piece::Value {
                value = Some(taken);
            }
            // What is looked for is in one line.
            if *piece == Piece::Value && !self.hex && taken.iter().any(|byte| is_end(*byte)) {
                return None;
            }
            rest = behind;
        }
        (!whole || rest.is_empty()).then_some(value)
    }

    fn is_last(&self, bytes: &[u8]) -> bool {
        matches!(self.pieces.last(), Some(Piece::Bytes(last)) if std::ptr::eq(last.as_slice(), bytes))
    }

    /// What is left of the line.
    fn line<'f>(&self, bytes: &'f [u8]) -> &'f [u8] {
        self.line_and(bytes, 0)
    }

    /// What is left of the line and so many bytes more, for words that begin with its end.
    fn line_and<'f>(&self, bytes: &'f [u8], more: usize) -> &'f [u8] {
        if self.hex {
            return bytes;
        }
        let end = bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len());
        bytes.get(..(end + more).min(bytes.len())).unwrap_or_default()
    }
}

fn is_end(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len().max(1)).position(|window| window == wanted)
}

/// Without blanks at both ends.
pub(super) fn trimmed(frame: &[u8]) -> &[u8] {
    frame.trim_ascii()
}

/// Bytes for people: what can be printed as it is, everything else as `\r`, `\n`, `\t` or `\x02`.
pub fn readable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| escaped(*byte)).collect()
}

fn escaped(byte: u8) -> String {
    match byte {
        b'\r' => "\\r".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b'"' => "\\\"".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    }
}

impl fmt::Display for LineText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Bytes(bytes) if self.hex => hex(bytes),
            Piece::Bytes(bytes) => readable(bytes),
            Piece::Value => "$value".to_owned(),
            Piece::Any => "$any".to_owned(),
        });
        let pieces: Vec<String> = pieces.collect();
        if self.hex { write!(f, "hex {}", pieces.join(" ")) } else { write!(f, "\"{}\"", pieces.concat()) }
    }
}
