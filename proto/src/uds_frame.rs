//! Framing on UNIX domain sockets (TR-369 "UNIX Domain Sockets", R-UDS.6 to R-UDS.15):
//! a header of [`SYNC`] and a length (R-UDS.7, R-UDS.9), then parts with a type of one byte (R-UDS.10) and a length (R-UDS.11).
//!
//! A frame is `_USP`, the length of what follows (4 bytes, network order), then TLVs: a type (1 byte), a length (4 bytes,
//! network order) and the value.

use crate::endpoint_id::EndpointId;

/// The four bytes at the start of each frame: `_USP` (R-UDS.8).
pub const SYNC: [u8; 4] = [0x5f, 0x55, 0x53, 0x50];

/// Bytes before the TLVs: synchronisation and length (R-UDS.7, R-UDS.9).
pub const HEADER_LEN: usize = 8;

/// A type and a length (R-UDS.10, R-UDS.11).
const TLV_HEADER_LEN: usize = 5;
const HANDSHAKE: u8 = 1;
const ERROR: u8 = 2;
const RECORD: u8 = 3;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One or more.
    pub tlvs: Vec<Tlv>,
}

/// One part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlv {
    /// The sender's Endpoint ID, not yet checked. Bytes that are no UTF-8 show as U+FFFD.
    Handshake(String),
    /// Why the sender is about to close. Bytes that are no UTF-8 show as U+FFFD.
    Error(String),
    /// The bytes of a USP Record.
    Record(Vec<u8>),
    /// Some other type, to be skipped (R-UDS.15). Its value is not kept.
    Unknown {
        /// The type.
        kind: u8,
    },
}

/// Why a stream of bytes is no sequence of frames. The connection must be closed (R-UDS.24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame does not start with `_USP`.
    #[error("a frame must start with `_USP`")]
    Sync,
    /// A frame announces more than is accepted.
    #[error("a frame of {announced} bytes was announced, the most accepted is {max}")]
    TooLong {
        /// The length in the header.
        announced: usize,
        /// The limit.
        max: usize,
    },
    /// A frame without any TLV (R-UDS.6).
    #[error("a frame has no content")]
    Empty,
    /// A TLV is longer than the frame around it.
    #[error("a part of a frame is cut off")]
    Truncated,
    /// Frames were wanted although an earlier one was bad.
    #[error("an earlier frame was bad")]
    Poisoned,
}

impl Frame {
    /// A frame with one part.
    pub fn of(tlv: Tlv) -> Self {
        Self { tlvs: vec![tlv] }
    }

    /// The bytes. An [`Unknown`](Tlv::Unknown) part gets an empty value.
    pub fn encode(&self) -> Vec<u8> {
        let length = self.tlvs.iter().map(|tlv| TLV_HEADER_LEN + tlv.parts().1.len()).sum();
        let mut bytes = Vec::with_capacity(HEADER_LEN + length);
        bytes.extend(SYNC);
        bytes.extend(length_bytes(length));
        for (kind, value) in self.tlvs.iter().map(Tlv::parts) {
            put_tlv(&mut bytes, kind, value);
        }
        bytes
    }

    fn decode(mut content: &[u8]) -> Result<Self, FrameError> {
        let mut tlvs = Vec::new();
        while !content.is_empty() {
            let (header, rest) = content.split_first_chunk().ok_or(FrameError::Truncated)?;
            let [kind, length @ ..]: [u8; TLV_HEADER_LEN] = *header;
            let (value, rest) = rest.split_at_checked(length_of(length)).ok_or(FrameError::Truncated)?;
            tlvs.push(Tlv::new(kind, value));
            content = rest;
        }
        if tlvs.is_empty() { Err(FrameError::Empty) } else { Ok(Self { tlvs }) }
    }
}

impl Tlv {
    fn new(kind: u8, value: &[u8]) -> Self {
        match kind {
            HANDSHAKE => Self::Handshake(String::from_utf8_lossy(value).into_owned()),
            ERROR => Self::Error(String::from_utf8_lossy(value).into_owned()),
            RECORD => Self::Record(value.to_vec()),
            kind => Self::Unknown { kind },
        }
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Handshake(id) => (HANDSHAKE, id.as_bytes()),
            Self::Error(text) => (ERROR, text.as_bytes()),
            Self::Record(record) => (RECORD, record),
            Self::Unknown { kind } => (*kind, &[]),
        }
    }
}

/// The frame that tells who we are (R-UDS.12, R-UDS.16).
pub fn handshake(id: &EndpointId) -> Vec<u8> {
    encode_one(HANDSHAKE, id.as_str().as_bytes())
}

/// The frame that tells why we close (R-UDS.13).
pub fn error(text: &str) -> Vec<u8> {
    encode_one(ERROR, text.as_bytes())
}

/// The frame around one encoded Record (R-UDS.14, R-UDS.22).
pub fn record(record: &[u8]) -> Vec<u8> {
    encode_one(RECORD, record)
}

/// What stands before so many bytes of an encoded Record that make up a frame.
pub fn record_head(bytes: &mut Vec<u8>, length: usize) {
    bytes.reserve(HEADER_LEN + TLV_HEADER_LEN + length);
    bytes.extend(SYNC);
    bytes.extend(length_bytes(TLV_HEADER_LEN + length));
    bytes.push(RECORD);
    bytes.extend(length_bytes(length));
}

fn encode_one(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = TLV_HEADER_LEN + value.len();
    let mut bytes = Vec::with_capacity(HEADER_LEN + length);
    bytes.extend(SYNC);
    bytes.extend(length_bytes(length));
    put_tlv(&mut bytes, kind, value);
    bytes
}

fn put_tlv(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    bytes.extend(length_bytes(value.len()));
    bytes.extend(value);
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("what we send is bounded far below 4 GiB").to_be_bytes()
}

/// Where 4 GiB cannot be counted, they cannot arrive either: the largest number stands for them.
fn length_of(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}

/// Splits a stream of bytes into frames.
///
/// Shape: any split of the stream gives the same frames; an incomplete tail is kept.
/// Units: `max_frame` counts bytes behind the 8 bytes of the header.
/// Memory: a frame that announces too much is refused when its header is there. What was pushed and not yet taken with
/// [`next`](Self::next) is kept, so take all frames after each push.
#[derive(Debug)]
pub struct FrameDecoder {
    max_frame: usize,
    buffer: Vec<u8>,
    /// What of the buffer was given out already.
    used: usize,
    poisoned: bool,
}

impl FrameDecoder {
    /// A decoder that accepts frames up to `max_frame` bytes.
    pub fn new(max_frame: usize) -> Self {
        Self { max_frame, buffer: Vec::new(), used: 0, poisoned: false }
    }

    /// Adds bytes as they came in. After an error they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.poisoned {
            return;
        }
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame; `None` when more bytes are needed.
    ///
    /// Errors: the stream is no sequence of frames; nothing can be read from it any more.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end where this waits for more bytes"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.poisoned {
            return Err(FrameError::Poisoned);
        }
        let result = self.take();
        if result.is_err() {
            self.poisoned = true;
            self.release();
        }
        result
    }

    /// How many bytes of an incomplete frame are held.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.used
    }

    fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let unread = self.buffer.get(self.used..).unwrap_or_default();
        let Some((header, rest)) = unread.split_first_chunk::<HEADER_LEN>() else {
            // Already a wrong first byte tells: waiting for more would keep a stranger's connection open.
            return if SYNC.iter().zip(unread).all(|(a, b)| a == b) {
                Ok(None)
            } else {
                Err(FrameError::Sync)
            };
        };
        let length = announced(*header, self.max_frame)?;
        let Some(content) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame::decode(content)?;
        self.used += HEADER_LEN + length;
        if self.used == self.buffer.len() {
            self.release();
        }
        Ok(Some(frame))
    }

    /// Gives the memory of one large frame back, and keeps that of ordinary ones.
    fn release(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(16 * 1024);
        self.used = 0;
    }
}

fn announced([s0, s1, s2, s3, length @ ..]: [u8; HEADER_LEN], max: usize) -> Result<usize, FrameError> {
    if [s0, s1, s2, s3] != SYNC {
        return Err(FrameError::Sync);
    }
    match length_of(length) {
        0 => Err(FrameError::Empty),
        announced if announced > max => Err(FrameError::TooLong { announced, max }),
        announced => Ok(announced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn framed(content: &[u8]) -> Vec<u8> {
        [&SYNC[..], &length_bytes(content.len()), content].concat()
    }

    #[test]
    fn the_standards_example() {
        let bytes = handshake(&EndpointId::parse("proto::svc1").unwrap());
        assert_eq!(bytes, b"\x5f\x55\x53\x50\x00\x00\x00\x10\x01\x00\x00\x00\x0bproto::svc1");
        assert_eq!(decode(&bytes), Ok(vec![Frame::of(Tlv::Handshake("proto::svc1".into()))]));
    }

    #[test]
    fn several_parts_and_frames_come_in_order() {
        let first =
            Frame { tlvs: vec![Tlv::Unknown { kind: 9 }, Tlv::Record(vec![1, 2]), Tlv::Record(Vec::new())] };
        let second = Frame::of(Tlv::Error("no".into()));
        let bytes = [first.encode(), second.encode()].concat();
        assert_eq!(decode(&bytes), Ok(vec![first, second]));
        assert_eq!(error("no"), Frame::of(Tlv::Error("no".into())).encode());
        assert_eq!(record(&[7]), Frame::of(Tlv::Record(vec![7])).encode());
        let mut bytes = Vec::new();
        record_head(&mut bytes, 1);
        assert_eq!([bytes, vec![7]].concat(), record(&[7]));
    }

    #[test]
    fn unknown_parts_are_skipped_with_their_value() {
        let frames = decode(&framed(b"\x63\x00\x00\x00\x02xx\x03\x00\x00\x00\x01R")).unwrap();
        assert_eq!(frames[0].tlvs, [Tlv::Unknown { kind: 0x63 }, Tlv::Record(b"R".to_vec())]);
    }

    #[test]
    fn bad_frames_are_errors() {
        assert_eq!(decode(b"GET / HTTP/1.1"), Err(FrameError::Sync));
        assert_eq!(decode(b"_X"), Err(FrameError::Sync));
        assert_eq!(decode(&framed(b"")), Err(FrameError::Empty));
        assert_eq!(decode(&framed(b"\x03\x00\x00")), Err(FrameError::Truncated));
        assert_eq!(decode(&framed(b"\x03\x00\x00\x00\x02x")), Err(FrameError::Truncated));
        assert_eq!(decode(&framed(b"\x03\xff\xff\xff\xffx")), Err(FrameError::Truncated));
    }

    #[test]
    fn too_long_a_frame_is_refused_by_its_header() {
        let error = FrameError::TooLong { announced: 101, max: 100 };
        assert_eq!(decode(b"_USP\x00\x00\x00\x65"), Err(error));
        assert_eq!(decode(b"_USP\x00\x00\x00\x64"), Ok(Vec::new()));
    }

    #[test]
    fn nothing_is_read_after_an_error() {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(b"nonsense");
        assert_eq!(decoder.next(), Err(FrameError::Sync));
        decoder.push(&record(&[1]));
        assert_eq!((decoder.next(), decoder.pending()), (Err(FrameError::Poisoned), 0));
    }

    #[test]
    fn a_handshake_that_is_no_text_can_still_be_told() {
        let frames = decode(&framed(b"\x01\x00\x00\x00\x01\xff")).unwrap();
        assert_eq!(frames[0].tlvs, [Tlv::Handshake("\u{fffd}".into())]);
    }
}
