//! Frames: header, general commands.

use rust_decimal::Decimal;

use super::value::{garbled, type_of};
use super::{ZclType, ZclValue, encode, take};
use crate::port::DeviceFault;
use crate::transform::Raw;

/// Frame type "cluster-specific", the manufacturer code is there, from the server, no Default Response wanted.
const SPECIFIC: u8 = 0x01;
const MANUFACTURER: u8 = 0x04;
const FROM_SERVER: u8 = 0x08;
const NO_DEFAULT: u8 = 0x10;

/// A frame, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Manufacturer code.
    pub manufacturer: Option<u16>,
    /// Whether the command is one of the cluster; otherwise a general one.
    pub is_specific: bool,
    /// Who sends it.
    pub direction: Direction,
    /// Whether no Default Response is wanted unless something is wrong.
    pub no_default_response: bool,
    /// Transaction sequence number.
    pub sequence: u8,
    /// Identifier of the command.
    pub command: u8,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client of the cluster, to its server.
    ToServer,
    /// The server, to the client.
    ToClient,
}

/// What became of a request (ZCL, table 2-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// It was done.
    pub const SUCCESS: Self = Self(0x00);

    /// Whether it was done.
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// What it means.
    pub fn words(self) -> &'static str {
        match self.0 {
            0x00 => "success",
            0x01 => "failure",
            0x7e => "not authorized",
            0x80 => "malformed command",
            0x81 | 0x82 => "the command is not supported",
            0x83 | 0x84 => "the manufacturer's command is not supported",
            0x85 => "a field is invalid",
            0x86 => "the attribute is not supported",
            0x87 => "the value is invalid",
            0x88 => "the attribute is read-only",
            0x89 => "insufficient space",
            0x8a => "it exists already",
            0x8b => "not found",
            0x8c => "the attribute is never reported",
            0x8d => "the data type is invalid",
            0x8f => "the attribute is write-only",
            0x93 => "inconsistent",
            0x94 => "timed out in the device",
            0xc0 => "hardware failure",
            0xc1 => "software failure",
            0xc3 => "the cluster is not supported",
            _ => "an unknown status",
        }
    }

    /// The refusal that it is.
    pub fn refusal(self) -> DeviceFault {
        DeviceFault::Refused(format!("{} (0x{:02x})", self.words(), self.0))
    }
}

/// An attribute in a report or an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which.
    pub id: u16,
    /// Its type and value, or why there is none.
    pub value: Result<(ZclType, ZclValue), Status>,
}

/// A general command that a device sends (ZCL, 2.5). Of records of which one cannot be understood, those before it count.
#[derive(Clone, Debug, PartialEq)]
pub enum General {
    /// Report Attributes.
    Report(Vec<Record>),
    /// Read Attributes Response.
    ReadResponse(Vec<Record>),
    /// Write Attributes Response: what failed; without an attribute it is about all.
    WriteResponse(Vec<(Status, Option<u16>)>),
    /// Configure Reporting Response: likewise.
    ConfigureResponse(Vec<(Status, Option<u16>)>),
    /// Default Response.
    DefaultResponse {
        /// To which command.
        command: u8,
        /// What became of it.
        status: Status,
    },
    /// Read Attributes, which a device asks of us, and of what it is about.
    Read(Vec<u16>),
    /// Any other.
    Other(u8),
}

/// Whether an attribute can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is only read.
    Read,
    /// It is written too.
    Write,
}

impl Frame {
    /// The frame that these bytes are.
    ///
    /// Errors: they are too few, or of a frame type that there is not.
    pub fn parse(bytes: &[u8]) -> Result<Self, DeviceFault> {
        let short = || garbled("a frame is cut off");
        let (control, rest) = bytes.split_first().ok_or_else(short)?;
        if control & 0x03 > SPECIFIC {
            return Err(garbled(&format!("there is no frame type {}", control & 0x03)));
        }
        let (manufacturer, rest) = match rest {
            [low, high, rest @ ..] if control & MANUFACTURER != 0 => {
                (Some(u16::from_le_bytes([*low, *high])), rest)
            }
            _ if control & MANUFACTURER != 0 => return Err(short()),
            rest => (None, rest),
        };
        let [sequence, command, payload @ ..] = rest else { return Err(short()) };
        let direction = if control & FROM_SERVER == 0 { Direction::ToServer } else { Direction::ToClient };
        Ok(Self {
            manufacturer,
            is_specific: control & 0x03 == SPECIFIC,
            direction,
            no_default_response: control & NO_DEFAULT != 0,
            sequence: *sequence,
            command: *command,
            payload: payload.to_vec(),
        })
    }

    /// It over the air.
    pub fn bytes(&self) -> Vec<u8> {
        let control = u8::from(self.is_specific)
            | if self.manufacturer.is_some() { MANUFACTURER } else { 0 }
            | if self.direction == Direction::ToClient { FROM_SERVER } else { 0 }
            | if self.no_default_response { NO_DEFAULT } else { 0 };
        let mut bytes = vec![control];
        bytes.extend(self.manufacturer.iter().flat_map(|code| code.to_le_bytes()));
        bytes.extend([self.sequence, self.command]);
        bytes.extend(&self.payload);
        bytes
    }

    /// The general command that it is; `None`: it is one of the cluster.
    ///
    /// Errors: not even its first part can be understood.
    pub fn general(&self) -> Option<Result<General, DeviceFault>> {
        (!self.is_specific).then(|| general(self.command, &self.payload))
    }
}

fn general(command: u8, payload: &[u8]) -> Result<General, DeviceFault> {
    let mut rest = payload;
    Ok(match command {
        0x00 => General::Read(payload.as_chunks().0.iter().map(|id| u16::from_le_bytes(*id)).collect()),
        0x01 => General::ReadResponse(records(&mut rest, true)?),
        0x0a => General::Report(records(&mut rest, false)?),
        0x04 => General::WriteResponse(statuses(payload, 3)?),
        0x07 => General::ConfigureResponse(statuses(payload, 4)?),
        0x0b => match payload {
            [command, status, ..] => General::DefaultResponse { command: *command, status: Status(*status) },
            _ => return Err(garbled("a Default Response is cut off")),
        },
        other => General::Other(other),
    })
}

/// Attributes with their values; in an answer each with a status before it.
fn records(bytes: &mut &[u8], with_status: bool) -> Result<Vec<Record>, DeviceFault> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        match record(bytes, with_status) {
            Ok(record) => all.push(record),
            Err(fault) if all.is_empty() => return Err(fault),
            Err(_) => break,
        }
    }
    Ok(all)
}

fn record(bytes: &mut &[u8], with_status: bool) -> Result<Record, DeviceFault> {
    let short = || garbled("a record is cut off");
    let [low, high, rest @ ..] = bytes else { return Err(short()) };
    let id = u16::from_le_bytes([*low, *high]);
    *bytes = rest;
    if with_status {
        let [status, rest @ ..] = bytes else { return Err(short()) };
        let status = Status(*status);
        *bytes = rest;
        if !status.is_success() {
            return Ok(Record { id, value: Err(status) });
        }
    }
    let kind = type_of(bytes)?;
    Ok(Record { id, value: Ok((kind, take(kind, bytes)?)) })
}

/// Statuses with an attribute behind each, which ends a record of so many bytes; one alone is about all.
fn statuses(payload: &[u8], width: usize) -> Result<Vec<(Status, Option<u16>)>, DeviceFault> {
    if let [status] = payload {
        return Ok(vec![(Status(*status), None)]);
    }
    let one = |record: &[u8]| match record {
        [status, low, high] | [status, _, low, high] => {
            Some((Status(*status), Some(u16::from_le_bytes([*low, *high]))))
        }
        _ => None,
    };
    let all: Vec<_> = payload.chunks_exact(width).filter_map(one).collect();
    if all.is_empty() { Err(garbled("a response is cut off")) } else { Ok(all) }
}

/// The same frame with another transaction sequence number.
pub fn numbered(bytes: &[u8], sequence: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = if bytes.first().is_some_and(|control| control & MANUFACTURER != 0) { 3 } else { 1 };
    if let Some(place) = bytes.get_mut(at) {
        *place = sequence;
    }
    bytes
}

fn request(manufacturer: Option<u16>, command: u8, payload: Vec<u8>) -> Frame {
    Frame {
        manufacturer,
        is_specific: false,
        direction: Direction::ToServer,
        no_default_response: true,
        sequence: 0,
        command,
        payload,
    }
}

/// Read Attributes.
pub fn read_attributes(manufacturer: Option<u16>, ids: &[u16]) -> Frame {
    request(manufacturer, 0x00, ids.iter().flat_map(|id| id.to_le_bytes()).collect())
}

/// Write Attributes with one attribute, whose value is in the form of [`encode`].
pub fn write_attribute(manufacturer: Option<u16>, id: u16, kind: ZclType, value: &[u8]) -> Frame {
    let [low, high] = id.to_le_bytes();
    request(manufacturer, 0x02, [&[low, high, kind.id()], value].concat())
}

/// Configure Reporting: attribute, type, least and most seconds, least change in raw units (0 for types without one is not
/// sent). A change that does not fit the type becomes the nearest that does.
pub fn configure_reporting(
    manufacturer: Option<u16>,
    attributes: &[(u16, ZclType, u16, u16, Option<Decimal>)],
) -> Frame {
    let mut payload = Vec::new();
    for (id, kind, min, max, change) in attributes {
        payload.push(0x00);
        payload.extend(id.to_le_bytes());
        payload.push(kind.id());
        payload.extend(min.to_le_bytes());
        payload.extend(max.to_le_bytes());
        if kind.is_analog() {
            payload.extend(change_bytes(*kind, change.unwrap_or_default()));
        }
    }
    request(manufacturer, 0x06, payload)
}

fn change_bytes(kind: ZclType, change: Decimal) -> Vec<u8> {
    let fitting = match kind.raw_kind().int_range() {
        Some((_, most)) => {
            let most = Decimal::try_from_i128_with_scale(most - 1, 0).unwrap_or(Decimal::MAX);
            change.round().min(most)
        }
        None => change,
    };
    let zeros = vec![0; kind.length().unwrap_or_default()];
    encode(kind, &Raw::Decimal(fitting)).unwrap_or(zeros)
}

/// A command of the cluster to its server, which is to be answered with a Default Response.
pub fn command(manufacturer: Option<u16>, command: u8, payload: Vec<u8>) -> Frame {
    Frame { is_specific: true, no_default_response: false, ..request(manufacturer, command, payload) }
}

/// The Default Response to a frame.
pub fn default_response(to: &Frame, status: Status) -> Frame {
    let direction = match to.direction {
        Direction::ToServer => Direction::ToClient,
        Direction::ToClient => Direction::ToServer,
    };
    Frame { direction, sequence: to.sequence, ..request(to.manufacturer, 0x0b, vec![to.command, status.0]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_is_taken_apart() {
        let frame = Frame::parse(&[0x18, 0x01, 0x0a, 0x00, 0x00, 0x29, 0x66, 0x08]).unwrap();
        assert_eq!((frame.sequence, frame.manufacturer, frame.direction), (1, None, Direction::ToClient));
        let value = Ok((ZclType::Int(2), ZclValue::Raw(Raw::Int(2150))));
        assert_eq!(frame.general(), Some(Ok(General::Report(vec![Record { id: 0, value }]))));
    }

    #[test]
    fn an_answer_says_what_it_does_not_have() {
        let frame = Frame::parse(&[0x18, 7, 0x01, 0x05, 0x05, 0x86, 0x00, 0x00, 0x00, 0x10, 0x01]).unwrap();
        let Some(Ok(General::ReadResponse(records))) = frame.general() else { panic!("{frame:?}") };
        assert_eq!(records[0], Record { id: 0x0505, value: Err(Status(0x86)) });
        assert_eq!(records[1].value, Ok((ZclType::Bool, ZclValue::Raw(Raw::Bool(true)))));
    }

    #[test]
    fn frames_of_manufacturers_have_their_code() {
        let bytes = [0x1c, 0x5f, 0x11, 9, 0x0a, 0x01, 0xff, 0x20, 5];
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.manufacturer, frame.sequence), (Some(0x115f), 9));
        assert_eq!(frame.bytes(), bytes);
        assert_eq!(numbered(&bytes, 0)[3], 0);
        assert!(Frame::parse(&bytes[..3]).is_err());
        assert!(Frame::parse(&[0x02, 0, 0]).is_err());
    }

    #[test]
    fn requests_are_as_the_standard_has_them() {
        assert_eq!(read_attributes(None, &[0x0000, 0x4003]).bytes(), [0x10, 0, 0x00, 0, 0, 3, 0x40]);
        let value = encode(ZclType::Int(2), &Raw::Int(2150)).unwrap();
        let write = write_attribute(None, 0x0012, ZclType::Int(2), &value);
        assert_eq!(write.bytes(), [0x10, 0, 0x02, 0x12, 0x00, 0x29, 0x66, 0x08]);
        let on = command(None, 0x01, Vec::new());
        assert_eq!(on.bytes(), [0x01, 0, 0x01]);
        let all = [(0x0000, ZclType::Int(2), 10, 3600, Some(Decimal::from(50)))];
        assert_eq!(
            configure_reporting(None, &all).bytes(),
            [0x10, 0, 0x06, 0, 0, 0, 0x29, 10, 0, 0x10, 0x0e, 50, 0]
        );
        let states = [(0x0000, ZclType::Bool, 0, 600, None)];
        assert_eq!(configure_reporting(None, &states).bytes(), [0x10, 0, 0x06, 0, 0, 0, 0x10, 0, 0, 0x58, 2]);
    }

    #[test]
    fn a_change_that_is_too_large_becomes_the_greatest() {
        let all = [(0, ZclType::Uint(1), 1, 2, Some(Decimal::from(1000)))];
        assert_eq!(configure_reporting(None, &all).bytes().last(), Some(&254));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(frame) = Frame::parse(&bytes) {
                drop(frame.general());
                prop_assert_eq!(Frame::parse(&frame.bytes()), Ok(frame));
            }
        }
    }
}
