//! CoAP messages as the endpoint handles them. The bytes are coap-lite's; what it lets pass and RFC 7252 does not is
//! refused here.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet};

/// Longest datagram that is read. A block has 1024 bytes; some devices send longer bodies whole.
pub(crate) const MAX_DATAGRAM: usize = 8192;

/// Options that this endpoint knows, by their numbers (RFC 7252, 7641, 7959).
pub(crate) mod option {
    pub(crate) const ETAG: u16 = 4;
    pub(crate) const OBSERVE: u16 = 6;
    pub(crate) const URI_PATH: u16 = 11;
    pub(crate) const CONTENT_FORMAT: u16 = 12;
    pub(crate) const MAX_AGE: u16 = 14;
    pub(crate) const URI_QUERY: u16 = 15;
    pub(crate) const ACCEPT: u16 = 17;
    pub(crate) const BLOCK2: u16 = 23;
    pub(crate) const BLOCK1: u16 = 27;
    pub(crate) const SIZE2: u16 = 28;
    pub(crate) const SIZE1: u16 = 60;
}

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

/// A code: class in the upper three bits, detail in the lower five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

impl Code {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const GET: Self = Self(1);
    pub(crate) const POST: Self = Self(2);
    pub(crate) const PUT: Self = Self(3);
    /// 2.31: the next block, please.
    pub(crate) const CONTINUE: Self = Self(0x5f);
    /// 4.08: a block is missing.
    pub(crate) const INCOMPLETE: Self = Self(0x88);
    /// 4.13: the body is too long, or its blocks are.
    pub(crate) const TOO_LARGE: Self = Self(0x8d);

    /// 0 is a request, 2 success, 4 and 5 are errors.
    pub(crate) fn class(self) -> u8 {
        self.0 >> 5
    }

    pub(crate) fn is_request(self) -> bool {
        self.class() == 0 && self != Self::EMPTY
    }

    pub(crate) fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// Whether the peer did what it was asked.
    pub(crate) fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.0 & 0x1f)
    }
}

/// A token: up to eight bytes that tie a response to its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Token {
    bytes: [u8; 8],
    length: u8,
}

impl Token {
    /// Eight bytes.
    pub(crate) fn new(number: u64) -> Self {
        Self { bytes: number.to_be_bytes(), length: 8 }
    }

    fn of(bytes: &[u8]) -> Self {
        let mut token = Self { length: u8::try_from(bytes.len().min(8)).unwrap_or(8), ..Self::default() };
        token.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        token
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// A block option (RFC 7959, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) more: bool,
    /// The size is 2 to the power of this plus 4: 0 to 6.
    pub(crate) exponent: u8,
}

impl Block {
    /// Largest size: 1024 bytes.
    pub(crate) const LARGEST: u8 = 6;

    pub(crate) fn size(self) -> usize {
        16 << self.exponent
    }

    /// Where it begins in the body.
    pub(crate) fn offset(self) -> usize {
        usize::try_from(self.number).unwrap_or(usize::MAX).saturating_mul(self.size())
    }

    fn of(value: u32) -> Option<Self> {
        let exponent = u8::try_from(value & 7).ok().filter(|exponent| *exponent <= Self::LARGEST)?;
        Some(Self { number: value >> 4, more: value & 8 != 0, exponent })
    }

    /// The value of the option.
    pub(crate) fn value(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.exponent)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    /// Number and value, those with the same number in their order.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

/// Why bytes are no CoAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(&'static str);

impl Message {
    /// A message without token, options or payload.
    pub(crate) fn empty(kind: Kind, id: u16) -> Self {
        let (options, payload) = (Vec::new(), Vec::new());
        Self { kind, code: Code::EMPTY, id, token: Token::default(), options, payload }
    }

    /// Reads a datagram. Errors: it is no CoAP message, or one whose format RFC 7252 calls an error.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::from_bytes(bytes).map_err(|_| Malformed("it is no CoAP message"))?;
        if packet.header.get_version() != 1 {
            return Err(Malformed("it is no message of CoAP version 1"));
        }
        // A payload marker without payload: options are written in one way only, so nothing else makes a difference.
        let length = packet.to_bytes_unlimited().map_or(0, |again| again.len());
        if length != bytes.len() {
            return Err(Malformed("it has a payload marker without a payload"));
        }
        let message = Self::of(packet);
        message.check().map(|()| message)
    }

    fn of(packet: Packet) -> Self {
        let kind = match packet.header.get_type() {
            MessageType::Confirmable => Kind::Confirmable,
            MessageType::NonConfirmable => Kind::NonConfirmable,
            MessageType::Acknowledgement => Kind::Acknowledgement,
            MessageType::Reset => Kind::Reset,
        };
        let values =
            packet.options().flat_map(|(number, values)| values.iter().map(|it| (*number, it.clone())));
        Self {
            kind,
            code: Code(packet.header.code.into()),
            id: packet.header.message_id,
            token: Token::of(packet.get_token()),
            options: values.collect(),
            payload: packet.payload,
        }
    }

    fn check(&self) -> Result<(), Malformed> {
        let is_bare = self.token == Token::default() && self.options.is_empty() && self.payload.is_empty();
        let fits = match self.kind {
            Kind::Reset => self.code == Code::EMPTY,
            Kind::NonConfirmable => self.code != Code::EMPTY,
            Kind::Acknowledgement => !self.code.is_request(),
            Kind::Confirmable => true,
        };
        match self.code.class() {
            1 | 3 | 6 | 7 => Err(Malformed("its code belongs to a reserved class")),
            _ if self.code == Code::EMPTY && !is_bare => Err(Malformed("an empty message is not empty")),
            _ if !fits => Err(Malformed("its type and code do not go together")),
            _ => Ok(()),
        }
    }

    /// The datagram.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.header.set_version(1);
        packet.header.set_type(match self.kind {
            Kind::Confirmable => MessageType::Confirmable,
            Kind::NonConfirmable => MessageType::NonConfirmable,
            Kind::Acknowledgement => MessageType::Acknowledgement,
            Kind::Reset => MessageType::Reset,
        });
        packet.header.code = MessageClass::from(self.code.0);
        packet.header.message_id = self.id;
        packet.set_token(self.token.as_bytes().to_vec());
        for (number, value) in &self.options {
            packet.add_option(CoapOption::from(*number), value.clone());
        }
        packet.payload.clone_from(&self.payload);
        // Without a limit there is nothing that could fail.
        packet.to_bytes_unlimited().unwrap_or_default()
    }

    /// The value of an option that is there once.
    pub(crate) fn option(&self, wanted: u16) -> Option<&[u8]> {
        self.options.iter().find(|(number, _)| *number == wanted).map(|(_, value)| value.as_slice())
    }

    /// An option that is a number; longer ones than four bytes count as absent.
    pub(crate) fn number(&self, wanted: u16) -> Option<u32> {
        let value = self.option(wanted).filter(|value| value.len() <= 4)?;
        Some(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A block option; `Err`: it is there and makes no sense.
    pub(crate) fn block(&self, wanted: u16) -> Result<Option<Block>, Malformed> {
        let Some(value) = self.option(wanted) else { return Ok(None) };
        let block = self.number(wanted).filter(|_| value.len() <= 3).and_then(Block::of);
        block.map(Some).ok_or(Malformed("a block option makes no sense"))
    }

    /// The content format.
    pub(crate) fn format(&self) -> Option<u16> {
        self.number(option::CONTENT_FORMAT).and_then(|format| u16::try_from(format).ok())
    }

    /// Whether it has an option that must be understood and is not (RFC 7252, 5.4.1): odd numbers are critical.
    pub(crate) fn has_unknown_critical(&self) -> bool {
        self.options
            .iter()
            .any(|(number, _)| number % 2 == 1 && !matches!(*number, option::BLOCK1 | option::BLOCK2))
    }

    /// Adds an option that is a number, without leading zeros.
    pub(crate) fn with_number(mut self, number: u16, value: u32) -> Self {
        let bytes = value.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        self.options.push((number, bytes.get(zeros..).unwrap_or_default().to_vec()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7252, appendix A, figure 16: a GET for /temperature with a piggybacked "22.3 C".
    #[test]
    fn the_example_of_the_standard() {
        let request = [&[0x40, 0x01, 0x7d, 0x34, 0xbb][..], b"temperature"].concat();
        let get = Message::parse(&request).unwrap();
        assert_eq!((get.kind, get.code, get.id), (Kind::Confirmable, Code::GET, 0x7d34));
        assert_eq!(get.option(option::URI_PATH), Some(&b"temperature"[..]));
        assert_eq!(get.to_bytes(), request);
        let response = [&[0x60, 0x45, 0x7d, 0x34, 0xff][..], b"22.3 C"].concat();
        let content = Message::parse(&response).unwrap();
        assert_eq!((content.kind, content.code.to_string().as_str()), (Kind::Acknowledgement, "2.05"));
        assert_eq!(content.payload, b"22.3 C");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, why) in [
            (&[][..], "nothing"),
            (&[0x40, 0x01, 0x00], "half a header"),
            (&[0x80, 0x45, 0, 0], "version 2"),
            (&[0x49, 0x45, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "a token of nine bytes"),
            (&[0x60, 0x45, 0, 1, 0xff], "a marker without payload"),
            (&[0x60, 0x45, 0, 1, 0xc1], "an option that ends too early"),
            (&[0x41, 0x00, 0, 1, 7], "an empty message with a token"),
            (&[0x70, 0x45, 0, 1], "a reset with a code"),
            (&[0x60, 0x01, 0, 1], "an acknowledgement with a request"),
            (&[0x50, 0x00, 0, 1], "an empty message that nobody confirms"),
            (&[0x60, 0x25, 0, 1], "a reserved class"),
        ] {
            assert!(Message::parse(bytes).is_err(), "{why}");
        }
    }

    #[test]
    fn blocks_are_written_as_they_are_read() {
        let block = Block { number: 3, more: true, exponent: 2 };
        assert_eq!((block.value(), block.size(), block.offset()), (0x3a, 64, 192));
        assert_eq!(Block::of(0x3a), Some(block));
        assert_eq!(Block::of(7), None, "2048 bytes are reserved");
        let message = Message::empty(Kind::Confirmable, 1).with_number(option::BLOCK2, 0);
        assert_eq!(message.option(option::BLOCK2), Some(&[][..]), "zero has no bytes");
        let first = Block { number: 0, more: false, exponent: 0 };
        assert_eq!(message.block(option::BLOCK2), Ok(Some(first)));
        let long = Message { options: vec![(option::BLOCK2, vec![0; 4])], ..message };
        assert!(long.block(option::BLOCK2).is_err());
    }

    #[test]
    fn critical_options_must_be_known() {
        let with =
            |number| Message { options: vec![(number, vec![1])], ..Message::empty(Kind::Confirmable, 1) };
        assert!(with(9).has_unknown_critical(), "OSCORE");
        assert!(!with(option::BLOCK2).has_unknown_critical());
        assert!(!with(2048).has_unknown_critical(), "elective");
    }
}
