//! Frames and values of the Zigbee Cluster Library (07-5123, chapter 2).

use super::bytes::{Out, Reader};

/// Commands that all clusters have (2.5).
pub(super) mod general {
    pub(in super::super) const READ: u8 = 0x00;
    pub(in super::super) const READ_RESPONSE: u8 = 0x01;
    pub(in super::super) const WRITE: u8 = 0x02;
    pub(in super::super) const WRITE_UNDIVIDED: u8 = 0x03;
    pub(in super::super) const WRITE_RESPONSE: u8 = 0x04;
    pub(in super::super) const WRITE_NO_RESPONSE: u8 = 0x05;
    pub(in super::super) const CONFIGURE_REPORTING: u8 = 0x06;
    pub(in super::super) const CONFIGURE_REPORTING_RESPONSE: u8 = 0x07;
    pub(in super::super) const READ_REPORTING: u8 = 0x08;
    pub(in super::super) const READ_REPORTING_RESPONSE: u8 = 0x09;
    pub(in super::super) const REPORT: u8 = 0x0a;
    pub(in super::super) const DEFAULT_RESPONSE: u8 = 0x0b;
    pub(in super::super) const DISCOVER: u8 = 0x0c;
    pub(in super::super) const DISCOVER_RESPONSE: u8 = 0x0d;
}

/// Status codes (2.6.3).
pub(super) mod status {
    pub(in super::super) const SUCCESS: u8 = 0x00;
    pub(in super::super) const FAILURE: u8 = 0x01;
    pub(in super::super) const MALFORMED: u8 = 0x80;
    pub(in super::super) const UNSUPPORTED_COMMAND: u8 = 0x81;
    pub(in super::super) const UNSUPPORTED_GENERAL: u8 = 0x82;
    pub(in super::super) const INVALID_FIELD: u8 = 0x85;
    pub(in super::super) const UNSUPPORTED_ATTRIBUTE: u8 = 0x86;
    pub(in super::super) const INVALID_VALUE: u8 = 0x87;
    pub(in super::super) const READ_ONLY: u8 = 0x88;
    pub(in super::super) const NO_SPACE: u8 = 0x89;
    pub(in super::super) const NOT_FOUND: u8 = 0x8b;
    pub(in super::super) const UNREPORTABLE: u8 = 0x8c;
    pub(in super::super) const INVALID_TYPE: u8 = 0x8d;
    pub(in super::super) const UNSUPPORTED_CLUSTER: u8 = 0xc3;
}

/// Data types (2.6.2) that the simulated devices have.
pub(super) mod kind {
    pub(in super::super) const BOOL: u8 = 0x10;
    pub(in super::super) const MAP8: u8 = 0x18;
    pub(in super::super) const MAP16: u8 = 0x19;
    pub(in super::super) const U8: u8 = 0x20;
    pub(in super::super) const U16: u8 = 0x21;
    pub(in super::super) const U24: u8 = 0x22;
    pub(in super::super) const U32: u8 = 0x23;
    pub(in super::super) const U48: u8 = 0x25;
    pub(in super::super) const S16: u8 = 0x29;
    pub(in super::super) const ENUM8: u8 = 0x30;
    pub(in super::super) const ENUM16: u8 = 0x31;
    pub(in super::super) const TEXT: u8 = 0x42;
    pub(in super::super) const IEEE: u8 = 0xf0;
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// Its data type.
    pub(super) kind: u8,
    pub(super) raw: Raw,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Whole(i128),
    Float(f64),
    Bytes(Vec<u8>),
}

/// How many bytes a number takes; `None`: it has a length of its own, or is unknown.
fn width(kind: u8) -> Option<usize> {
    match kind {
        0x08..=0x0f => Some(usize::from(kind - 0x08) + 1),
        0x10 | 0x30 => Some(1),
        0x18..=0x1f => Some(usize::from(kind - 0x18) + 1),
        0x20..=0x27 => Some(usize::from(kind - 0x20) + 1),
        0x28..=0x2f => Some(usize::from(kind - 0x28) + 1),
        0x31 | 0xe8 | 0xe9 | 0x38 => Some(2),
        0xe0..=0xe2 | 0xea | 0x39 => Some(4),
        0xf0 | 0x3a => Some(8),
        _ => None,
    }
}

/// Whether a change is a matter of size: only then has a report a least change (2.5.7.1.7).
pub(super) fn is_analog(kind: u8) -> bool {
    matches!(kind, 0x20..=0x2f | 0x38..=0x3a | 0xe0..=0xe2)
}

impl Value {
    pub(super) fn whole(kind: u8, number: i128) -> Self {
        Self { kind, raw: Raw::Whole(number) }
    }

    pub(super) fn text(text: &str) -> Self {
        Self { kind: kind::TEXT, raw: Raw::Bytes(text.as_bytes().to_vec()) }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.raw {
            Raw::Whole(number) => Some(*number as f64),
            Raw::Float(number) => Some(*number),
            Raw::Bytes(_) => None,
        }
    }

    pub(super) fn as_whole(&self) -> Option<i128> {
        match self.raw {
            Raw::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The nearest value of this type.
    pub(super) fn of_number(kind: u8, number: f64) -> Self {
        if matches!(kind, 0x38..=0x3a) {
            return Self { kind, raw: Raw::Float(number) };
        }
        let bits = width(kind).unwrap_or(1) as u32 * 8;
        let (low, high) = match kind {
            0x28..=0x2f => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
            0x10 => (0, 1),
            _ => (0, (1_i128 << bits) - 1),
        };
        Self::whole(kind, (number.round() as i128).clamp(low, high))
    }

    /// Reads one of this type.
    pub(super) fn read(kind: u8, from: &mut Reader) -> Option<Self> {
        let raw = match kind {
            0x41 | 0x42 => match from.u8()? {
                // Invalid: no text.
                0xff => Raw::Bytes(Vec::new()),
                count => Raw::Bytes(from.take(usize::from(count))?.to_vec()),
            },
            0x43 | 0x44 => {
                let count = from.u16()?;
                Raw::Bytes(from.take(usize::from(count))?.to_vec())
            }
            0xf1 => Raw::Bytes(from.take(16)?.to_vec()),
            0x39 => Raw::Float(f32::from_bits(from.u32()?).into()),
            0x3a => Raw::Float(f64::from_bits(from.u64()?)),
            kind => {
                let bytes = width(kind)?;
                let number = i128::from(from.number(bytes)?);
                let negative = matches!(kind, 0x28..=0x2f) && number >> (bytes * 8 - 1) == 1;
                Raw::Whole(if negative { number - (1_i128 << (bytes * 8)) } else { number })
            }
        };
        Some(Self { kind, raw })
    }

    /// Writes it, without its type.
    pub(super) fn write(&self, out: Out) -> Out {
        match (&self.raw, self.kind) {
            (Raw::Whole(number), kind) => out.number(*number as u64, width(kind).unwrap_or(0)),
            (Raw::Float(number), 0x39) => out.u32((*number as f32).to_bits()),
            (Raw::Float(number), _) => out.u64(number.to_bits()),
            (Raw::Bytes(bytes), 0x43 | 0x44) => out.u16(bytes.len() as u16).bytes(bytes),
            (Raw::Bytes(bytes), 0xf1) => out.bytes(bytes),
            (Raw::Bytes(bytes), _) => out.counted(bytes),
        }
    }
}

/// A ZCL frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    /// It is one of a cluster's own commands.
    pub(super) of_cluster: bool,
    pub(super) manufacturer: Option<u16>,
    /// From the side that has the attributes.
    pub(super) from_server: bool,
    /// No default response is wanted but for errors.
    pub(super) quiet: bool,
    pub(super) sequence: u8,
    pub(super) command: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let control = reader.u8()?;
        let manufacturer = if control & 0x04 == 0 { None } else { Some(reader.u16()?) };
        Some(Self {
            of_cluster: control & 0x03 == 1,
            manufacturer,
            from_server: control & 0x08 != 0,
            quiet: control & 0x10 != 0,
            sequence: reader.u8()?,
            command: reader.u8()?,
            payload: reader.rest().to_vec(),
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let control = bit(self.of_cluster, 0x01)
            | bit(self.manufacturer.is_some(), 0x04)
            | bit(self.from_server, 0x08)
            | bit(self.quiet, 0x10);
        let out = Out::new().u8(control);
        let out = self.manufacturer.iter().fold(out, |out, code| out.u16(*code));
        out.u8(self.sequence).u8(self.command).bytes(&self.payload).done()
    }

    /// What answers it.
    pub(super) fn response(&self, of_cluster: bool, command: u8, payload: Vec<u8>) -> Self {
        Self { of_cluster, from_server: !self.from_server, quiet: true, command, payload, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_width_and_sign() {
        for (kind, number, bytes) in [
            (kind::S16, -1234, vec![0x2e, 0xfb]),
            (0x2a, -2, vec![0xfe, 0xff, 0xff]),
            (kind::U48, 0x0102_0304_0506, vec![6, 5, 4, 3, 2, 1]),
            (kind::BOOL, 1, vec![1]),
            (kind::MAP16, 0x8001, vec![1, 0x80]),
        ] {
            let value = Value::whole(kind, number);
            assert_eq!(value.write(Out::new()).done(), bytes);
            assert_eq!(Value::read(kind, &mut Reader::new(&bytes)), Some(value));
        }
        assert_eq!(Value::of_number(kind::U8, 300.0), Value::whole(kind::U8, 255));
        assert_eq!(Value::of_number(0x28, -300.0), Value::whole(0x28, -128));
        assert_eq!(Value::read(kind::TEXT, &mut Reader::new(&[2, b'o', b'k'])), Some(Value::text("ok")));
        assert_eq!(Value::read(kind::TEXT, &mut Reader::new(&[3, b'o', b'k'])), None);
    }

    /// A report of -0.5 degrees, as in table 2-3 and 2.5.11 of the document.
    #[test]
    fn a_frame_is_what_the_document_says() {
        let bytes = [0x18, 0x07, 0x0a, 0x00, 0x00, 0x29, 0xce, 0xff];
        let frame = Frame::read(&bytes).unwrap();
        assert!(!frame.of_cluster && frame.from_server && frame.quiet && frame.sequence == 7);
        assert_eq!((frame.command, frame.write()), (general::REPORT, bytes.to_vec()));
        let manufacturers = Frame { manufacturer: Some(0x115f), of_cluster: true, ..frame };
        assert_eq!(manufacturers.write().get(..4), Some([0x1d, 0x5f, 0x11, 0x07].as_slice()));
        assert_eq!(Frame::read(&manufacturers.write()), Some(manufacturers));
        assert_eq!(Frame::read(&[0x04, 0x5f]), None);
    }
}
