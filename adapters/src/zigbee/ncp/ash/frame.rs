//! Frames of ASH (UG101, chapters 2 to 4): what is between two Flag Bytes.

/// Ends a frame.
pub(super) const FLAG: u8 = 0x7e;
/// The next byte stands for one of these.
const ESCAPE: u8 = 0x7d;
pub(super) const XON: u8 = 0x11;
pub(super) const XOFF: u8 = 0x13;
/// Stands for what was not understood by the port; the frame is broken.
const SUBSTITUTE: u8 = 0x18;
/// What came of this frame so far does not count.
pub(super) const CANCEL: u8 = 0x1a;
/// Wakes the other side; means nothing between frames.
const WAKE: u8 = 0xff;
/// What an escaped byte differs by.
const FLIP: u8 = 0x20;

/// Version of ASH.
pub(super) const VERSION: u8 = 2;
/// Longest EZSP frame in a DATA frame, of any version.
pub(crate) const MAX_DATA: usize = 220;
/// Shortest EZSP frame.
const MIN_DATA: usize = 3;
/// Control byte, data and CRC.
const LONGEST: usize = MAX_DATA + 3;
/// Frame numbers count modulo this.
pub(super) const NUMBERS: u8 = 8;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Carries an EZSP frame.
    Data { number: u8, ack: u8, again: bool, data: Vec<u8> },
    /// All before this number has come.
    Ack { ack: u8 },
    /// This number is wanted again.
    Nak { ack: u8 },
    /// Resets the coordinator.
    Rst,
    /// The coordinator has reset itself: version and why.
    RstAck { version: u8, code: u8 },
    /// The coordinator has given up: version and why.
    Error { version: u8, code: u8 },
}

impl Frame {
    /// As it is on the line, with the Flag Byte.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut plain = vec![self.control()];
        match self {
            Self::Data { data, .. } => plain.extend(randomized(data)),
            Self::RstAck { version, code } | Self::Error { version, code } => plain.extend([*version, *code]),
            Self::Ack { .. } | Self::Nak { .. } | Self::Rst => {}
        }
        plain.extend(crc(&plain).to_be_bytes());
        let mut stuffed = Vec::with_capacity(plain.len() + 8);
        for byte in plain {
            match byte {
                FLAG | ESCAPE | XON | XOFF | SUBSTITUTE | CANCEL => stuffed.extend([ESCAPE, byte ^ FLIP]),
                _ => stuffed.push(byte),
            }
        }
        stuffed.push(FLAG);
        stuffed
    }

    fn control(&self) -> u8 {
        match self {
            Self::Data { number, ack, again, .. } => number << 4 | u8::from(*again) << 3 | ack,
            Self::Ack { ack } => 0x80 | ack,
            Self::Nak { ack } => 0xa0 | ack,
            Self::Rst => 0xc0,
            Self::RstAck { .. } => 0xc1,
            Self::Error { .. } => 0xc2,
        }
    }

    /// Reads a frame without stuffing and Flag Byte. `None`: it is none.
    fn decode(plain: &[u8]) -> Option<Self> {
        let (body, sum) = plain.split_last_chunk::<2>()?;
        if crc(body) != u16::from_be_bytes(*sum) {
            return None;
        }
        let (&control, data) = body.split_first()?;
        let ack = control & 7;
        match (control, data) {
            (0x00..=0x7f, _) if (MIN_DATA..=MAX_DATA).contains(&data.len()) => {
                let (number, again) = (control >> 4, control & 8 != 0);
                Some(Self::Data { number, ack, again, data: randomized(data).collect() })
            }
            (0x80..=0x9f, []) => Some(Self::Ack { ack }),
            (0xa0..=0xbf, []) => Some(Self::Nak { ack }),
            (0xc0, []) => Some(Self::Rst),
            (0xc1, &[version, code]) => Some(Self::RstAck { version, code }),
            (0xc2, &[version, code]) => Some(Self::Error { version, code }),
            _ => None,
        }
    }
}

/// CRC-CCITT, from 0xffff.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 }
            },
        )
    })
}

/// Each data byte is combined with one of a sequence (UG101, 4.3), so that runs of equal bytes and reserved ones are rare.
fn randomized(data: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let sequence = std::iter::successors(Some(0x42_u8), |byte| {
        let half = byte >> 1;
        Some(if byte & 1 == 0 { half } else { half ^ 0xb8 })
    });
    data.iter().zip(sequence).map(|(byte, random)| byte ^ random)
}

/// What comes out of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Frame(Frame),
    /// Something that is no frame, up to a Flag Byte.
    Broken,
    /// The other side takes nothing at present, or again.
    Pause(bool),
}

/// Cuts bytes into frames. Holds one frame at most.
#[derive(Debug, Default)]
pub(super) struct Reader {
    plain: Vec<u8>,
    escaped: bool,
    /// What comes up to the next Flag Byte is no frame.
    broken: bool,
}

impl Reader {
    /// Takes one byte.
    pub(super) fn take(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            FLAG => return self.end(),
            CANCEL => *self = Self::default(),
            SUBSTITUTE => self.broken = true,
            XON | XOFF => return Some(Heard::Pause(byte == XOFF)),
            ESCAPE => self.escaped = true,
            WAKE if self.plain.is_empty() && !self.escaped && !self.broken => {}
            _ => self.push(byte),
        }
        None
    }

    fn push(&mut self, byte: u8) {
        let flip = if std::mem::take(&mut self.escaped) { FLIP } else { 0 };
        if self.plain.len() < LONGEST {
            self.plain.push(byte ^ flip);
        } else {
            self.broken = true;
        }
    }

    fn end(&mut self) -> Option<Heard> {
        let Self { plain, broken, .. } = std::mem::take(self);
        match Frame::decode(&plain) {
            Some(frame) if !broken => Some(Heard::Frame(frame)),
            // Flag Bytes in a row are none.
            None if plain.is_empty() && !broken => None,
            _ => Some(Heard::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Heard> {
        let mut reader = Reader::default();
        bytes.iter().filter_map(|byte| reader.take(*byte)).collect()
    }

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// The examples of UG101, chapter 3, whose CRC is the one that chapter 2 says; two are misprinted, and instead of these
    /// there is what was recorded of coordinators.
    #[test]
    fn the_examples_of_the_standard_are_read_and_written() {
        let command = Frame::Data { number: 2, ack: 5, again: false, data: hex("00 00 00 02") };
        let response = Frame::Data { number: 0, ack: 1, again: false, data: hex("00 80 00 0D 02 10 74") };
        let examples = [
            ("C0 38 BC 7E", Frame::Rst),
            ("C1 02 02 9B 7B 7E", Frame::RstAck { version: 2, code: 2 }),
            ("C2 02 51 A8 BD 7E", Frame::Error { version: 2, code: 0x51 }),
            ("25 42 21 A8 56 A6 09 7E", command),
            ("01 42 A1 A8 59 28 05 C6 A8 77 7E", response),
            ("81 60 59 7E", Frame::Ack { ack: 1 }),
            ("A6 34 DC 7E", Frame::Nak { ack: 6 }),
        ];
        for (bytes, frame) in examples {
            assert_eq!(frame.encode(), hex(bytes), "{frame:?}");
            assert_eq!(read(&hex(bytes)), [Heard::Frame(frame)], "{bytes}");
        }
        // With nRdy, which only a host says, and which is of no concern here.
        assert_eq!(read(&hex("8E 91 B6 7E")), [Heard::Frame(Frame::Ack { ack: 6 })]);
        assert_eq!(read(&hex("AD 85 B7 7E")), [Heard::Frame(Frame::Nak { ack: 5 })]);
    }

    #[test]
    fn what_precedes_a_cancel_byte_does_not_count() {
        assert_eq!(
            read(&hex("25 42 1A C1 02 0B 0A 52 7E")),
            [Heard::Frame(Frame::RstAck { version: 2, code: 11 })]
        );
        assert_eq!(read(&hex("7E 7E FF 81 60 59 7E")), [Heard::Frame(Frame::Ack { ack: 1 })]);
    }

    #[test]
    fn what_is_broken_is_broken_to_the_next_flag() {
        assert_eq!(read(&hex("81 60 5A 7E")), [Heard::Broken]);
        assert_eq!(
            read(&hex("81 18 60 59 7E 81 60 59 7E")),
            [Heard::Broken, Heard::Frame(Frame::Ack { ack: 1 })]
        );
        assert_eq!(read(&[&[0x55; 5000][..], &[FLAG]].concat()), [Heard::Broken]);
        // DATA without an EZSP frame.
        let empty = Frame::Data { number: 0, ack: 0, again: false, data: vec![] }.encode();
        assert_eq!(read(&empty), [Heard::Broken]);
    }

    #[test]
    fn flow_control_is_heard_within_a_frame() {
        assert_eq!(
            read(&hex("81 13 60 11 59 7E")),
            [Heard::Pause(true), Heard::Pause(false), Heard::Frame(Frame::Ack { ack: 1 })]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in 0..8_u8, ack in 0..8_u8, again: bool,
            data in proptest::collection::vec(any::<u8>(), MIN_DATA..=MAX_DATA),
        ) {
            let frame = Frame::Data { number, ack, again, data };
            let bytes = frame.encode();
            for reserved in [XON, XOFF, SUBSTITUTE, CANCEL] {
                prop_assert!(!bytes.contains(&reserved));
            }
            prop_assert_eq!(read(&bytes), [Heard::Frame(frame)]);
        }

        #[test]
        fn no_single_byte_that_is_changed_goes_unnoticed(
            data in proptest::collection::vec(any::<u8>(), MIN_DATA..60), at: prop::sample::Index, by in 1..=255_u8,
        ) {
            let frame = Frame::Data { number: 1, ack: 2, again: false, data };
            let mut bytes = frame.encode();
            // A control byte of 0xff would be passed over.
            let at = 1 + at.index(bytes.len() - 2);
            let special = |byte: u8| matches!(byte, FLAG | ESCAPE | XON | XOFF | SUBSTITUTE | CANCEL);
            let changed = bytes[at] ^ by;
            prop_assume!(!special(bytes[at]) && !special(changed));
            bytes[at] = changed;
            prop_assert_eq!(read(&bytes), [Heard::Broken]);
        }

        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = Reader::default();
            for byte in bytes {
                drop(reader.take(byte));
                prop_assert!(reader.plain.len() <= LONGEST);
            }
        }
    }
}
