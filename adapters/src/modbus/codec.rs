//! Exchanges as Modbus has them: our terms to tokio-modbus requests, its responses to checked answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_modbus::{ExceptionCode, Request, Response};
use usp_mapping::mapping::{ModbusPoint, ModbusTable, ModbusWriteFunction, RegisterEncoding};
use usp_mapping::port::DeviceFault;
use usp_mapping::transform::Raw;

use crate::bus::Outcome;
use crate::modbus::poll::Block;
use crate::modbus::poll::learnt::Cause;

/// One request to one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Unit identifier.
    pub(crate) unit: u8,
    /// How long the exchange may take.
    pub(crate) timeout: Duration,
    /// Pause that the unit needs between two requests.
    pub(crate) pause: Duration,
    /// To which round of reads it belongs; 0: to none.
    pub(crate) round: u32,
    /// What is asked.
    pub(crate) query: Query,
    /// With what is no read: one that the mapping does, for a line on which something has to be read first.
    pub(crate) mapped: Option<Arc<Block>>,
    /// It is not sent later than this.
    pub(crate) until: Option<Instant>,
}

/// What is asked of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Functions 1 to 4.
    Read(Arc<Block>),
    /// Function 5.
    WriteCoil(u16, bool),
    /// Function 15.
    WriteCoils(u16, Vec<bool>),
    /// Function 6.
    WriteRegister(u16, u16),
    /// Function 16.
    WriteRegisters(u16, Vec<u16>),
    /// Function 22: `word = (word & and) | (or & !and)`.
    MaskWrite {
        /// Which register.
        address: u16,
        /// Bits that are kept.
        and: u16,
        /// Bits that are set.
        or: u16,
    },
    /// Function 23: the same registers are written, then read.
    ReadWrite(u16, Vec<u16>),
}

/// What a unit answers; it fits its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As many coils or discrete inputs as were asked for.
    Bits(Vec<bool>),
    /// As many registers as were asked for.
    Registers(Vec<u16>),
    /// The write was acknowledged.
    Written,
    /// An exception response.
    Exception(u8),
}

/// The request for a query.
pub(crate) fn request(query: &Query) -> Request<'_> {
    match query {
        Query::Read(block) => match block.table {
            ModbusTable::Coil => Request::ReadCoils(block.address, block.count),
            ModbusTable::Discrete => Request::ReadDiscreteInputs(block.address, block.count),
            ModbusTable::Holding => Request::ReadHoldingRegisters(block.address, block.count),
            ModbusTable::Input => Request::ReadInputRegisters(block.address, block.count),
        },
        Query::WriteCoil(address, on) => Request::WriteSingleCoil(*address, *on),
        Query::WriteCoils(address, coils) => Request::WriteMultipleCoils(*address, Cow::Borrowed(coils)),
        Query::WriteRegister(address, word) => Request::WriteSingleRegister(*address, *word),
        Query::WriteRegisters(address, words) => {
            Request::WriteMultipleRegisters(*address, Cow::Borrowed(words))
        }
        Query::MaskWrite { address, and, or } => Request::MaskWriteRegister(*address, *and, *or),
        Query::ReadWrite(address, words) => {
            let count = words.len() as u16;
            Request::ReadWriteMultipleRegisters(*address, count, *address, Cow::Borrowed(words))
        }
    }
}

/// The answer in a response; `Err` when it does not fit the query, so that the connection cannot be trusted.
pub(crate) fn answer(query: &Query, response: Response) -> Result<Answer, DeviceFault> {
    match (query, response) {
        (Query::Read(block), Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits)) => {
            // The protocol carries whole bytes of bits.
            let count = usize::from(block.count);
            let fits = bits.len().div_ceil(8) == count.div_ceil(8);
            fits.then(|| Answer::Bits(bits.into_iter().take(count).collect()))
                .ok_or_else(|| garbled("it holds another number of bits than asked for"))
        }
        (Query::Read(block), Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)) => {
            let fits = words.len() == usize::from(block.count);
            fits.then_some(Answer::Registers(words))
                .ok_or_else(|| garbled("it holds another number of registers than asked for"))
        }
        (Query::WriteCoil(address, on), Response::WriteSingleCoil(at, echo)) => {
            acknowledged(*address == at && *on == echo)
        }
        (Query::WriteRegister(address, word), Response::WriteSingleRegister(at, echo)) => {
            acknowledged(*address == at && *word == echo)
        }
        (Query::WriteCoils(address, coils), Response::WriteMultipleCoils(at, count)) => {
            acknowledged(*address == at && coils.len() == usize::from(count))
        }
        (Query::WriteRegisters(address, words), Response::WriteMultipleRegisters(at, count)) => {
            acknowledged(*address == at && words.len() == usize::from(count))
        }
        (Query::MaskWrite { address, and, or }, Response::MaskWriteRegister(at, keeps, sets)) => {
            acknowledged(*address == at && (*and, *or) == (keeps, sets))
        }
        (Query::ReadWrite(_, words), Response::ReadWriteMultipleRegisters(read)) => {
            let fits = words.len() == read.len();
            fits.then_some(Answer::Registers(read))
                .ok_or_else(|| garbled("it holds another number of registers than asked for"))
        }
        _ => Err(garbled("it belongs to another function")),
    }
}

fn acknowledged(fits: bool) -> Result<Answer, DeviceFault> {
    fits.then_some(Answer::Written).ok_or_else(|| garbled("it acknowledges another write than the one sent"))
}

fn garbled(text: &str) -> DeviceFault {
    DeviceFault::Garbled(text.to_owned())
}

/// What becomes of an exception: most are the device's word, two are a gateway's that it cannot reach the device. Only the first of
/// them says that it did not try.
pub(crate) fn exception(code: ExceptionCode) -> Outcome<Answer> {
    let unreachable = |why: &str| DeviceFault::Unreachable(why.to_owned());
    match code {
        ExceptionCode::GatewayPathUnavailable => {
            Outcome::Unsent(unreachable("the gateway has no path to it (exception 10)"))
        }
        ExceptionCode::GatewayTargetDevice => {
            Outcome::Silent(unreachable("the gateway gets no answer from it (exception 11)"))
        }
        code => Outcome::Answered(Answer::Exception(code.into())),
    }
}

/// The exception of a device that has begun what was asked and needs time for it.
pub(crate) const ACKNOWLEDGE: u8 = 5;

/// The exception of a device that has not begun, because it is at something else.
pub(crate) const BUSY: u8 = 6;

/// The exception of a device that does not have a function.
pub(crate) const ILLEGAL_FUNCTION: u8 = 1;

/// An exception in words.
///
/// Source: Modbus Application Protocol V1.1b3, section 7.
pub(crate) fn refusal(code: u8) -> DeviceFault {
    let words = match code {
        1 => "it does not know the function",
        2 => "it has nothing at this address",
        3 => "it does not take the value",
        4 => "it failed to do it",
        5 => "it needs more time",
        6 => "it is busy",
        8 => "its memory is damaged",
        _ => "for a reason of its own",
    };
    DeviceFault::Refused(format!("{words} (exception {code})"))
}

/// The exception to a read. That the device failed, needs more time or is busy says nothing of what it has there.
pub(crate) fn unread(code: u8) -> DeviceFault {
    match refusal(code) {
        DeviceFault::Refused(text) if matches!(code, 4..=6) => DeviceFault::Busy(text),
        fault => fault,
    }
}

/// What the exception to a read says about the device; `None`: nothing about what was read, which is not worth trying in
/// parts (it is busy, or takes no such function).
pub(crate) fn lesson(code: u8) -> Option<Cause> {
    match code {
        2 | 3 => Some(Cause::Refused),
        4 => Some(Cause::Passing),
        _ => None,
    }
}

/// The query that writes a raw value. `before` are the registers as they are, for a point that keeps its other bits.
pub(crate) fn write(
    point: &ModbusPoint,
    function: ModbusWriteFunction,
    raw: &Raw,
    before: Option<&[u16]>,
) -> Result<Query, DeviceFault> {
    let unfit = || DeviceFault::Unwritable("it does not fit the registers of this capability".to_owned());
    if point.table == ModbusTable::Coil {
        let on = match raw {
            Raw::Bool(on) => *on,
            Raw::Int(0) => false,
            Raw::Int(1) => true,
            _ => return Err(unfit()),
        };
        return Ok(match function {
            ModbusWriteFunction::MultipleCoils => Query::WriteCoils(point.address, vec![on]),
            _ => Query::WriteCoil(point.address, on),
        });
    }
    let words = point.encode_registers(raw, before).ok_or_else(unfit)?;
    let address = point.address;
    Ok(match (function, words.as_slice()) {
        (ModbusWriteFunction::SingleRegister, [word]) => Query::WriteRegister(address, *word),
        (ModbusWriteFunction::MaskWrite, [word]) => {
            let mask = point.mask();
            Query::MaskWrite { address, and: !mask, or: word & mask }
        }
        (ModbusWriteFunction::ReadWriteRegisters, _) => Query::ReadWrite(address, words),
        _ => Query::WriteRegisters(address, words),
    })
}

/// The first register of a point in the answer to a read that covers it.
pub(crate) fn register(point: &ModbusPoint, block: &Block, answer: &Answer) -> Option<u16> {
    let Answer::Registers(words) = answer else { return None };
    words.get(usize::from(point.address.checked_sub(block.address)?)).copied()
}

/// The raw value of a point in the answer to a read that covers it.
pub(crate) fn extract(point: &ModbusPoint, block: &Block, answer: &Answer) -> Result<Raw, DeviceFault> {
    let missing = || garbled("it does not hold the value");
    let offset = usize::from(point.address.checked_sub(block.address).ok_or_else(missing)?);
    match answer {
        Answer::Bits(bits) => bits.get(offset).map(|bit| Raw::Bool(*bit)),
        Answer::Registers(words) => {
            let end = offset.saturating_add(usize::from(point.count));
            let words = words.get(offset..end).ok_or_else(missing)?;
            return point.decode_registers(words).ok_or_else(|| no_reading(point, words));
        }
        Answer::Written | Answer::Exception(_) => None,
    }
    .ok_or_else(missing)
}

/// Why registers hold nothing of the kind that they should.
fn no_reading(point: &ModbusPoint, words: &[u16]) -> DeviceFault {
    let shown: Vec<String> = words.iter().map(|word| format!("{word:#06x}")).collect();
    let shown = shown.join(" ");
    match point.encoding {
        RegisterEncoding::Bcd => DeviceFault::Invalid(format!("{shown} has a digit above 9")),
        RegisterEncoding::Text => DeviceFault::Invalid(format!("{shown} is no text")),
        _ => garbled("it does not hold the value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usp_mapping::mapping::ByteOrder;

    fn read(table: ModbusTable, address: u16, count: u16) -> Query {
        Query::Read(Block::new(table, address, count).into())
    }

    fn point(table: ModbusTable, address: u16, encoding: RegisterEncoding) -> ModbusPoint {
        let count = encoding.registers();
        ModbusPoint { table, address, count, encoding, order: ByteOrder::Abcd, bits: None }
    }

    #[test]
    fn bits_come_in_whole_bytes() {
        let query = read(ModbusTable::Coil, 0, 10);
        let bits = answer(&query, Response::ReadCoils([[true; 8], [false; 8]].concat())).unwrap();
        assert_eq!(bits, Answer::Bits([[true; 8].as_slice(), &[false; 2]].concat()));
        for wrong in [8, 24] {
            assert!(answer(&query, Response::ReadCoils(vec![true; wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_to_something_else_is_garbled() {
        for (query, response) in [
            (read(ModbusTable::Holding, 0, 2), Response::ReadHoldingRegisters(vec![1])),
            (read(ModbusTable::Holding, 0, 2), Response::ReadHoldingRegisters(vec![1, 2, 3])),
            (read(ModbusTable::Holding, 0, 2), Response::WriteSingleRegister(0, 2)),
            (Query::WriteRegister(3, 7), Response::WriteSingleRegister(3, 8)),
            (Query::WriteRegister(3, 7), Response::WriteSingleRegister(4, 7)),
            (Query::WriteCoil(3, true), Response::WriteSingleCoil(3, false)),
            (Query::WriteCoils(3, vec![true]), Response::WriteMultipleCoils(3, 2)),
            (Query::WriteRegisters(3, vec![1, 2]), Response::WriteMultipleRegisters(3, 1)),
        ] {
            let outcome = answer(&query, response);
            assert!(matches!(outcome, Err(DeviceFault::Garbled(_))), "{query:?} {outcome:?}");
        }
    }

    /// Every encoding at an offset within a larger read; the orders are tested where they are made.
    #[test]
    fn values_are_found_within_a_larger_read() {
        let words = Answer::Registers(vec![0, 0xfffe, 0xffff, 0xffff, 0xfffd, 0x4366, 0x3333]);
        let block = Block::new(ModbusTable::Holding, 100, 7);
        for (address, encoding, expected) in [
            (101, RegisterEncoding::U16, Raw::Int(0xfffe)),
            (101, RegisterEncoding::S16, Raw::Int(-2)),
            (103, RegisterEncoding::U32, Raw::Int(0xffff_fffd)),
            (103, RegisterEncoding::S32, Raw::Int(-3)),
            (100, RegisterEncoding::U64, Raw::Int(0xfffe_ffff_ffff)),
            (101, RegisterEncoding::S64, Raw::Int(-0x0001_0000_0000_0003)),
            (105, RegisterEncoding::F32, Raw::F32(230.2)),
        ] {
            let point = point(ModbusTable::Holding, address, encoding);
            assert_eq!(extract(&point, &block, &words), Ok(expected), "{encoding:?}");
        }
        for outside in [99, 106] {
            let point = point(ModbusTable::Holding, outside, RegisterEncoding::U32);
            assert!(extract(&point, &block, &words).is_err(), "{outside}");
        }
    }

    #[test]
    fn what_holds_no_digits_or_no_text_is_named() {
        let block = Block::new(ModbusTable::Holding, 9, 1);
        for (encoding, word, why) in [
            (RegisterEncoding::Bcd, 0x12af, "not a valid reading: 0x12af has a digit above 9"),
            (RegisterEncoding::Text, 0xff41, "not a valid reading: 0xff41 is no text"),
        ] {
            let point = ModbusPoint { count: 1, ..point(ModbusTable::Holding, 9, encoding) };
            let fault = extract(&point, &block, &Answer::Registers(vec![word])).unwrap_err();
            assert_eq!(fault.to_string(), why);
        }
    }

    #[test]
    fn the_function_of_a_write_is_the_mappings() {
        let register = point(ModbusTable::Holding, 9, RegisterEncoding::U16);
        let (seven, on) = (Raw::Int(7), Raw::Bool(true));
        let single = ModbusWriteFunction::SingleRegister;
        assert_eq!(write(&register, single, &seven, None), Ok(Query::WriteRegister(9, 7)));
        let multiple = ModbusWriteFunction::MultipleRegisters;
        assert_eq!(write(&register, multiple, &seven, None), Ok(Query::WriteRegisters(9, vec![7])));
        let coil = point(ModbusTable::Coil, 9, RegisterEncoding::U16);
        assert_eq!(write(&coil, ModbusWriteFunction::SingleCoil, &on, None), Ok(Query::WriteCoil(9, true)));
        let coils = write(&coil, ModbusWriteFunction::MultipleCoils, &Raw::Int(0), None);
        assert_eq!(coils, Ok(Query::WriteCoils(9, vec![false])));
        assert!(write(&coil, ModbusWriteFunction::SingleCoil, &seven, None).is_err());
        assert!(write(&register, single, &Raw::Int(65_536), None).is_err());
    }

    #[test]
    fn a_gateways_exceptions_are_no_answer_of_the_device() {
        assert_eq!(exception(ExceptionCode::IllegalDataAddress), Outcome::Answered(Answer::Exception(2)));
        assert_eq!(exception(ExceptionCode::Custom(99)), Outcome::Answered(Answer::Exception(99)));
        let untried = exception(ExceptionCode::GatewayPathUnavailable);
        assert!(matches!(untried, Outcome::Unsent(DeviceFault::Unreachable(_))), "{untried:?}");
        let unanswered = exception(ExceptionCode::GatewayTargetDevice);
        assert!(matches!(unanswered, Outcome::Silent(DeviceFault::Unreachable(_))), "{unanswered:?}");
    }
}
