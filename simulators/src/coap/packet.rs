//! CoAP messages, bit by bit from RFC 7252, section 3: the broker's side uses another codec.

/// Confirmable: the peer must acknowledge.
pub const CON: u8 = 0;
/// Non-confirmable.
pub const NON: u8 = 1;
/// Acknowledgement.
pub const ACK: u8 = 2;
/// Reset.
pub const RST: u8 = 3;

/// GET, POST, PUT.
pub const GET: u8 = 1;
/// See [`GET`].
pub const POST: u8 = 2;
/// See [`GET`].
pub const PUT: u8 = 3;

/// Option numbers.
pub mod option {
    /// RFC 7252.
    pub const ETAG: u16 = 4;
    /// RFC 7641.
    pub const OBSERVE: u16 = 6;
    /// RFC 7252.
    pub const URI_PATH: u16 = 11;
    /// RFC 7252.
    pub const CONTENT_FORMAT: u16 = 12;
    /// RFC 7252.
    pub const MAX_AGE: u16 = 14;
    /// RFC 7252.
    pub const URI_QUERY: u16 = 15;
    /// RFC 7252.
    pub const ACCEPT: u16 = 17;
    /// RFC 7959.
    pub const BLOCK2: u16 = 23;
    /// RFC 7959.
    pub const BLOCK1: u16 = 27;
    /// RFC 7959.
    pub const SIZE2: u16 = 28;
    /// RFC 7959.
    pub const SIZE1: u16 = 60;
    /// Uri-Host and Uri-Port, which a server with one name takes note of and ignores.
    pub const IGNORED: [u16; 2] = [3, 7];
}

/// `c.dd` as a byte.
pub const fn code(class: u8, detail: u8) -> u8 {
    class << 5 | detail
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// [`CON`], [`NON`], [`ACK`] or [`RST`].
    pub kind: u8,
    /// Method or response code.
    pub code: u8,
    /// Message ID.
    pub id: u16,
    /// Token, at most eight bytes.
    pub token: Vec<u8>,
    /// Options by ascending number.
    pub options: Vec<(u16, Vec<u8>)>,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Reads a datagram; `None`: it is no CoAP message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, code, high, low, rest @ ..] = bytes else { return None };
        let length = usize::from(first & 15);
        if first >> 6 != 1 || length > 8 || length > rest.len() {
            return None;
        }
        let (token, mut rest) = rest.split_at(length);
        let mut packet = Self {
            kind: first >> 4 & 3,
            code: *code,
            id: u16::from_be_bytes([*high, *low]),
            token: token.to_vec(),
            ..Self::default()
        };
        let mut number = 0u16;
        while let [head, after @ ..] = rest {
            if *head == 0xff {
                packet.payload = after.to_vec();
                return (!after.is_empty()).then_some(packet);
            }
            let (delta, after) = extended(head >> 4, after)?;
            let (length, after) = extended(head & 15, after)?;
            number = number.checked_add(delta)?;
            let value = after.get(..usize::from(length))?;
            packet.options.push((number, value.to_vec()));
            rest = after.get(usize::from(length)..)?;
        }
        Some(packet)
    }

    /// The datagram.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u8::try_from(self.token.len()).unwrap_or(8);
        let mut bytes = vec![0x40 | self.kind << 4 | length, self.code];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(&self.token);
        let mut options = self.options.clone();
        options.sort_by_key(|(number, _)| *number);
        let mut last = 0;
        for (number, value) in &options {
            let ((delta, more), (size, longer)) = (nibble(number - last), nibble(value.len() as u16));
            bytes.push(delta << 4 | size);
            bytes.extend(more.into_iter().chain(longer).chain(value.iter().copied()));
            last = *number;
        }
        if !self.payload.is_empty() {
            bytes.push(0xff);
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// The first option of a number.
    pub fn option(&self, wanted: u16) -> Option<&[u8]> {
        self.options.iter().find(|(number, _)| *number == wanted).map(|(_, value)| value.as_slice())
    }

    /// It as a number.
    pub fn number(&self, wanted: u16) -> Option<u32> {
        let value = self.option(wanted)?;
        Some(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Adds a number in as few bytes as it needs.
    pub fn set(&mut self, number: u16, value: u32) {
        let bytes = value.to_be_bytes();
        let skip = (value.leading_zeros() / 8) as usize;
        self.options.push((number, bytes.get(skip..).unwrap_or_default().to_vec()));
    }

    /// Path or query as one text, its parts joined.
    pub fn joined(&self, wanted: u16, by: &str) -> String {
        let parts = self.options.iter().filter(|(number, _)| *number == wanted);
        parts.map(|(_, part)| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join(by)
    }
}

/// The value of a nibble with the bytes that extend it.
fn extended(nibble: u8, rest: &[u8]) -> Option<(u16, &[u8])> {
    match (nibble, rest) {
        (13, [one, rest @ ..]) => Some((u16::from(*one) + 13, rest)),
        (14, [high, low, rest @ ..]) => Some((u16::from_be_bytes([*high, *low]).checked_add(269)?, rest)),
        (13..=15, _) => None,
        (small, rest) => Some((small.into(), rest)),
    }
}

fn nibble(value: u16) -> (u8, Vec<u8>) {
    match value {
        0..=12 => (value as u8, Vec::new()),
        13..=268 => (13, vec![(value - 13) as u8]),
        _ => (14, (value - 269).to_be_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7252, appendix A, figure 17: a GET with token 0x20 and its piggybacked answer.
    #[test]
    fn the_example_of_the_standard() {
        let request = [&[0x41, 0x01, 0x7d, 0x35, 0x20, 0xbb][..], b"temperature"].concat();
        let packet = Packet::parse(&request).unwrap();
        assert_eq!((packet.kind, packet.code, packet.id), (CON, GET, 0x7d35));
        assert_eq!(packet.joined(option::URI_PATH, "/"), "temperature");
        assert_eq!(packet.bytes(), request);
    }

    #[test]
    fn long_options_and_far_numbers_come_back() {
        let mut packet =
            Packet { code: code(2, 5), token: vec![1, 2], payload: vec![9], ..Packet::default() };
        packet.options.push((option::URI_PATH, vec![b'x'; 300]));
        packet.options.push((2048, vec![b'y'; 14]));
        packet.set(option::MAX_AGE, 70_000);
        packet.set(option::OBSERVE, 0);
        let mut sorted = packet.clone();
        sorted.options.sort_by_key(|(number, _)| *number);
        assert_eq!(Packet::parse(&packet.bytes()), Some(sorted));
    }

    #[test]
    fn half_messages_are_none() {
        let whole = [&[0x41, 0x01, 0x7d, 0x35, 0x20, 0xbb][..], b"temperature"].concat();
        for length in 1..16 {
            assert_eq!(Packet::parse(&whole[..length]).is_some(), length == 5, "{length}");
        }
        assert_eq!(Packet::parse(&[0x40, 0x45, 0, 0, 0xff]), None);
    }
}
