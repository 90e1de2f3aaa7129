//! Looking for Modbus units that nobody has described yet: questions that change nothing, one at a time.
//!
//! The questions are made here, so that a scan cannot write: there is no way to ask for anything else.

mod line;
mod tcp;

use std::time::Duration;

use usp_mapping::mapping::{BusAddress, ModbusTable, SerialLine};

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Modbus TCP, to a device or a gateway.
    Tcp(BusAddress),
    /// RTU frames over TCP.
    RtuOverTcp(BusAddress),
    /// A serial line.
    Serial(SerialLine),
}

/// What a unit is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Functions 1 to 4.
    Read {
        /// Which table.
        table: ModbusTable,
        /// First address.
        address: u16,
        /// How many.
        count: u16,
    },
    /// Function 43/14: vendor, product and revision.
    Identify,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer's PDU.
    Answer(Vec<u8>),
    /// The unit refuses, and so is there.
    Exception(u8),
    /// Nothing, within the time.
    Silence,
    /// Bytes that are no Modbus: another speed, or two units with one number.
    Noise,
}

/// Why no more questions can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub(crate) String);

/// An open way.
#[derive(Debug)]
pub struct Scanner {
    link: Link,
    /// Units that answered after their time.
    late: Vec<u8>,
}

#[derive(Debug)]
enum Link {
    Tcp(tcp::TcpLink),
    /// `None` only while a question is under way, or after one that was given up.
    Line(Option<Box<line::LineLink>>),
}

impl Scanner {
    /// Opens the way; a connection may take so long.
    ///
    /// Errors: nobody is there, or the port cannot be opened.
    pub async fn open(way: &Way, within: Duration) -> Result<Self, Lost> {
        let link = match way {
            Way::Tcp(address) => Link::Tcp(tcp::TcpLink::open(address.clone(), within).await?),
            Way::RtuOverTcp(_) | Way::Serial(_) => {
                let way = way.clone();
                let opened = tokio::task::spawn_blocking(move || line::LineLink::open(&way)).await;
                Link::Line(Some(Box::new(opened.map_err(|error| Lost(error.to_string()))??)))
            }
        };
        Ok(Self { link, late: Vec::new() })
    }

    /// Asks one unit and waits for its answer at most this long, not counting the time of the bytes on a line.
    ///
    /// Errors: the way is gone.
    pub async fn ask(&mut self, unit: u8, question: Question, within: Duration) -> Result<Reply, Lost> {
        let pdu = question.pdu();
        match &mut self.link {
            Link::Tcp(link) => link.ask(unit, &pdu, within, &mut self.late).await,
            Link::Line(link) => {
                let mut line = link.take().ok_or_else(|| Lost("the line is not open".to_owned()))?;
                let asked = tokio::task::spawn_blocking(move || {
                    let reply = line.ask(unit, &pdu, within);
                    (line, reply)
                });
                let (line, reply) = asked.await.map_err(|error| Lost(error.to_string()))?;
                *link = Some(line);
                let (reply, others) = reply?;
                self.late.extend(others);
                Ok(reply)
            }
        }
    }

    /// Units that answered when their time was over, since this was asked last: they are there too.
    pub fn late(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.late)
    }
}

impl Question {
    /// Function and data (MODBUS Application Protocol V1.1b3, sections 6.1 to 6.4 and 6.21).
    fn pdu(self) -> Vec<u8> {
        match self {
            Self::Identify => vec![43, 14, 1, 0],
            Self::Read { table, address, count } => {
                let function = match table {
                    ModbusTable::Coil => 1,
                    ModbusTable::Discrete => 2,
                    ModbusTable::Holding => 3,
                    ModbusTable::Input => 4,
                };
                let [a, b] = address.to_be_bytes();
                let [c, d] = count.to_be_bytes();
                vec![function, a, b, c, d]
            }
        }
    }
}

impl Reply {
    /// Whether somebody is there. A gateway that says 10 or 11 speaks for nobody.
    pub fn is_somebody(&self) -> bool {
        matches!(self, Self::Answer(_)) || matches!(self, Self::Exception(code) if !matches!(code, 10 | 11))
    }

    /// Whether it answers a read of so much, no more and no less.
    pub fn reads(&self, table: ModbusTable, count: u16) -> bool {
        let Self::Answer(pdu) = self else { return false };
        let count = usize::from(count);
        let data = if table.is_bits() { count.div_ceil(8) } else { 2 * count };
        pdu.len() == 2 + data && pdu.get(1).is_some_and(|length| usize::from(*length) == data)
    }

    /// The registers of an answer to a read of registers.
    pub fn registers(&self) -> Option<Vec<u16>> {
        let Self::Answer(pdu) = self else { return None };
        let ([3 | 4, length], data) = pdu.split_first_chunk::<2>()? else { return None };
        let pairs = data.chunks_exact(2);
        let words = pairs.filter_map(|pair| Some(u16::from_be_bytes([*pair.first()?, *pair.get(1)?])));
        (usize::from(*length) == data.len()).then(|| words.collect())
    }

    /// The texts of an identification, by number.
    pub fn identification(&self) -> Vec<(u8, String)> {
        let Self::Answer(pdu) = self else { return Vec::new() };
        let Some(([43, 14, ..], mut rest)) = pdu.split_first_chunk::<7>() else { return Vec::new() };
        let mut texts = Vec::new();
        while let Some(([number, length], data)) = rest.split_first_chunk::<2>() {
            let Some((text, after)) = data.split_at_checked(usize::from(*length)) else { break };
            let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
            texts.push((*number, text.trim().to_owned()));
            rest = after;
        }
        texts
    }

    /// What a PDU of an answer to this question is.
    fn of(asked: u8, pdu: &[u8]) -> Self {
        match *pdu {
            [function, code] if function == asked | 0x80 => Self::Exception(code),
            [function, _, ..] if function == asked => Self::Answer(pdu.to_vec()),
            _ => Self::Noise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_only_read() {
        let read = |table| Question::Read { table, address: 0x0102, count: 3 }.pdu();
        assert_eq!(read(ModbusTable::Coil), [1, 1, 2, 0, 3]);
        assert_eq!(read(ModbusTable::Discrete), [2, 1, 2, 0, 3]);
        assert_eq!(read(ModbusTable::Holding), [3, 1, 2, 0, 3]);
        assert_eq!(read(ModbusTable::Input), [4, 1, 2, 0, 3]);
        assert_eq!(Question::Identify.pdu(), [43, 14, 1, 0]);
    }

    /// The example of the specification, section 6.21.
    #[test]
    fn an_identification_is_read_text_by_text() {
        let pdu =
            b"\x2b\x0e\x01\x01\x00\x00\x03\x00\x16Company identification\x01\x0fProduct code XX\x02\x05V2.11";
        let reply = Reply::of(43, pdu);
        let texts = ["Company identification", "Product code XX", "V2.11"];
        assert_eq!(reply.identification(), (0..).zip(texts.map(str::to_owned)).collect::<Vec<_>>());
        assert_eq!(Reply::of(43, b"\x2b\x0e\x01\x01\x00\x00\x01\x00\x99x").identification(), []);
        assert_eq!(Reply::of(43, &[0xab, 1]), Reply::Exception(1));
    }

    #[test]
    fn gateways_that_have_nobody_are_nobody() {
        assert!(Reply::Exception(2).is_somebody() && Reply::Answer(vec![3, 2, 0, 1]).is_somebody());
        assert!(
            !Reply::Exception(11).is_somebody()
                && !Reply::Silence.is_somebody()
                && !Reply::Noise.is_somebody()
        );
        assert_eq!(Reply::of(3, &[3, 4, 1, 2, 3, 4]).registers(), Some(vec![0x0102, 0x0304]));
        assert_eq!(Reply::of(3, &[3, 4, 1, 2]).registers(), None);
        assert_eq!(Reply::of(3, &[4, 2, 1, 2]), Reply::Noise);
    }

    /// What is after a read that is too short or too long would seem to be at other addresses.
    #[test]
    fn an_answer_has_as_much_as_was_asked_for() {
        let answer = Reply::Answer(vec![3, 4, 1, 2, 3, 4]);
        assert!(answer.reads(ModbusTable::Holding, 2));
        assert!(!answer.reads(ModbusTable::Holding, 1) && !answer.reads(ModbusTable::Holding, 3));
        assert!(!Reply::Answer(vec![3, 6, 1, 2, 3, 4]).reads(ModbusTable::Holding, 2));
        assert!(Reply::Answer(vec![1, 2, 0xff, 1]).reads(ModbusTable::Coil, 9));
        assert!(!Reply::Answer(vec![1, 2, 0xff, 1]).reads(ModbusTable::Coil, 8));
        assert!(!Reply::Silence.reads(ModbusTable::Coil, 1));
    }
}
