//! Protocol data units, which are the same on every way: a function code and what belongs to it. Pure.
//!
//! Source: Modbus Application Protocol V1.1b3, section 6.

use usp_mapping::mapping::ModbusTable;
use usp_mapping::port::DeviceFault;

use crate::modbus::codec::{Answer, Query};

/// Set in the function code of an exception response.
const EXCEPTION: u8 = 0x80;

/// Puts what asks behind `to`.
pub(crate) fn put(query: &Query, to: &mut Vec<u8>) {
    to.push(function(query));
    match query {
        Query::Read(block) => words(to, &[block.address, block.count]),
        Query::WriteCoil(address, on) => words(to, &[*address, if *on { 0xff00 } else { 0 }]),
        Query::WriteRegister(address, word) => words(to, &[*address, *word]),
        Query::WriteCoils(address, coils) => {
            words(to, &[*address, coils.len() as u16]);
            to.push(coils.len().div_ceil(8) as u8);
            let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, on| byte << 1 | u8::from(*on));
            to.extend(coils.chunks(8).map(byte));
        }
        Query::WriteRegisters(address, values) => {
            words(to, &[*address, values.len() as u16]);
            to.push(2 * values.len() as u8);
            words(to, values);
        }
        Query::MaskWrite { address, and, or } => words(to, &[*address, *and, *or]),
        Query::ReadWrite(address, values) => {
            let count = values.len() as u16;
            words(to, &[*address, count, *address, count]);
            to.push(2 * values.len() as u8);
            words(to, values);
        }
    }
}

fn words(to: &mut Vec<u8>, words: &[u16]) {
    to.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

/// The function code of a query, and of a good answer to it.
pub(crate) fn function(query: &Query) -> u8 {
    match query {
        Query::Read(block) => match block.table {
            ModbusTable::Coil => 1,
            ModbusTable::Discrete => 2,
            ModbusTable::Holding => 3,
            ModbusTable::Input => 4,
        },
        Query::WriteCoil(..) => 5,
        Query::WriteRegister(..) => 6,
        Query::WriteCoils(..) => 15,
        Query::WriteRegisters(..) => 16,
        Query::MaskWrite { .. } => 22,
        Query::ReadWrite(..) => 23,
    }
}

/// How a good answer begins: all that tells it from those to other queries of the same unit. To reads that is no more than
/// function and length, so that replies to two of them may look alike; to writes it is all of it.
pub(crate) fn mark(query: &Query) -> Vec<u8> {
    let (data, mut pdu) = (data_length(query), Vec::new());
    match query {
        Query::Read(_) | Query::ReadWrite(..) => {
            vec![function(query), u8::try_from(data).unwrap_or(u8::MAX)]
        }
        _ => {
            put(query, &mut pdu);
            pdu.truncate(1 + data);
            pdu
        }
    }
}

/// How many bytes of what was asked for or acknowledged are in a good answer.
pub(crate) fn data_length(query: &Query) -> usize {
    match query {
        Query::Read(block) if block.table.is_bits() => usize::from(block.count).div_ceil(8),
        Query::Read(block) => 2 * usize::from(block.count),
        Query::WriteCoil(..)
        | Query::WriteRegister(..)
        | Query::WriteCoils(..)
        | Query::WriteRegisters(..) => 4,
        Query::MaskWrite { .. } => 6,
        Query::ReadWrite(_, values) => 2 * values.len(),
    }
}

/// The code of an exception response to this query.
pub(crate) fn exception(query: &Query, pdu: &[u8]) -> Option<u8> {
    match pdu {
        [refused, code] if *refused == function(query) | EXCEPTION => Some(*code),
        _ => None,
    }
}

/// What becomes of an exception: most are the device's word, two are a gateway's that it cannot reach the device.
pub(crate) fn word_of(exception: u8) -> Result<Answer, DeviceFault> {
    let unreachable = |why: &str| Err(DeviceFault::Unreachable(why.to_owned()));
    match exception {
        10 => unreachable("the gateway has no path to it (exception 10)"),
        11 => unreachable("the gateway gets no answer from it (exception 11)"),
        code => Ok(Answer::Exception(code)),
    }
}

/// What an answer says that is no exception; `Err` when it does not fit the query, so that the connection cannot be trusted.
pub(crate) fn answer(query: &Query, pdu: &[u8]) -> Result<Answer, DeviceFault> {
    let Some((code, data)) = pdu.split_first() else { return Err(garbled("it is empty")) };
    if code & !EXCEPTION != function(query) {
        return Err(garbled("it belongs to another function"));
    }
    match query {
        Query::Read(block) if block.table.is_bits() => bits(query, data, block.count.into()),
        Query::Read(_) | Query::ReadWrite(..) => registers(query, data),
        _ if data.len() != data_length(query) => Err(garbled("it is no Modbus response")),
        _ if pdu == mark(query) => Ok(Answer::Written),
        _ => Err(garbled("it acknowledges another write than the one sent")),
    }
}

/// The protocol carries whole bytes of bits.
fn bits(query: &Query, data: &[u8], count: usize) -> Result<Answer, DeviceFault> {
    let bytes = counted(query, data, "bits")?;
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    Ok(Answer::Bits(bits.take(count).collect()))
}

fn registers(query: &Query, data: &[u8]) -> Result<Answer, DeviceFault> {
    let (words, _) = counted(query, data, "registers")?.as_chunks();
    Ok(Answer::Registers(words.iter().map(|word| u16::from_be_bytes(*word)).collect()))
}

/// The bytes behind their own number, which have to be as many as were asked for.
fn counted<'d>(query: &Query, data: &'d [u8], what: &str) -> Result<&'d [u8], DeviceFault> {
    match data {
        [count, bytes @ ..] if usize::from(*count) != bytes.len() => Err(garbled("it is no Modbus response")),
        [_, bytes @ ..] if bytes.len() == data_length(query) => Ok(bytes),
        [_, ..] => Err(DeviceFault::Garbled(format!("it holds another number of {what} than asked for"))),
        [] => Err(garbled("it is no Modbus response")),
    }
}

fn garbled(text: &str) -> DeviceFault {
    DeviceFault::Garbled(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::poll::Block;

    fn read(table: ModbusTable, address: u16, count: u16) -> Query {
        Query::Read(Block::new(table, address, count).into())
    }

    #[test]
    fn bits_come_in_whole_bytes() {
        let query = read(ModbusTable::Coil, 0, 10);
        let bits = answer(&query, &[1, 2, 0xff, 0]).unwrap();
        assert_eq!(bits, Answer::Bits([[true; 8].as_slice(), &[false; 2]].concat()));
        for wrong in [&[1, 1, 0xff][..], &[1, 3, 0xff, 0xff, 0xff]] {
            assert!(answer(&query, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn registers_are_words_with_the_high_byte_first() {
        let words = Answer::Registers(vec![0x022b, 0, 0x64]);
        let data = [6, 2, 0x2b, 0, 0, 0, 0x64];
        assert_eq!(
            answer(&read(ModbusTable::Holding, 0x6b, 3), &[&[3], &data[..]].concat()),
            Ok(words.clone())
        );
        let written = Query::ReadWrite(0x6b, vec![1, 2, 3]);
        assert_eq!(answer(&written, &[&[23], &data[..]].concat()), Ok(words));
    }

    #[test]
    fn an_answer_to_something_else_is_garbled() {
        let two = || read(ModbusTable::Holding, 0, 2);
        for (query, pdu) in [
            (two(), &[][..]),
            (two(), &[3]),
            (two(), &[3, 2, 0, 1]),
            (two(), &[3, 6, 0, 1, 0, 2, 0, 3]),
            (two(), &[3, 4, 0, 1, 0, 2, 0]),
            (two(), &[3, 4, 0, 1, 0]),
            (two(), &[4, 4, 0, 1, 0, 2]),
            (two(), &[6, 0, 0, 0, 2]),
            (Query::WriteRegister(3, 7), &[6, 0, 3, 0, 8]),
            (Query::WriteRegister(3, 7), &[6, 0, 4, 0, 7]),
            (Query::WriteRegister(3, 7), &[6, 0, 3, 0]),
            (Query::WriteRegister(3, 7), &[6, 0, 3, 0, 7, 0]),
            (Query::WriteCoil(3, true), &[5, 0, 3, 0, 0]),
            (Query::WriteCoils(3, vec![true]), &[15, 0, 3, 0, 2]),
            (Query::WriteRegisters(3, vec![1, 2]), &[16, 0, 3, 0, 1]),
            (Query::MaskWrite { address: 3, and: 1, or: 2 }, &[22, 0, 3, 0, 1, 0, 3]),
        ] {
            let outcome = answer(&query, pdu);
            assert!(matches!(outcome, Err(DeviceFault::Garbled(_))), "{query:?} {pdu:?} {outcome:?}");
        }
    }

    #[test]
    fn writes_are_acknowledged_by_what_they_wrote() {
        for (query, pdu) in [
            (Query::WriteCoil(0xac, true), &[5, 0, 0xac, 0xff, 0][..]),
            (Query::WriteRegister(1, 3), &[6, 0, 1, 0, 3]),
            (Query::WriteCoils(0x13, vec![true; 10]), &[15, 0, 0x13, 0, 0x0a]),
            (Query::WriteRegisters(1, vec![0x0a, 0x0102]), &[16, 0, 1, 0, 2]),
            (Query::MaskWrite { address: 4, and: 0xf2, or: 0x25 }, &[22, 0, 4, 0, 0xf2, 0, 0x25]),
        ] {
            assert_eq!(answer(&query, pdu), Ok(Answer::Written), "{query:?}");
        }
    }

    #[test]
    fn an_exception_is_one_to_what_was_asked() {
        let query = read(ModbusTable::Holding, 0, 2);
        assert_eq!(exception(&query, &[0x83, 2]), Some(2));
        for other in [&[0x84, 2][..], &[3, 2], &[0x83], &[0x83, 2, 0]] {
            assert_eq!(exception(&query, other), None, "{other:?}");
        }
    }

    #[test]
    fn a_gateways_exceptions_are_no_answer_of_the_device() {
        assert_eq!(word_of(2), Ok(Answer::Exception(2)));
        assert_eq!(word_of(99), Ok(Answer::Exception(99)));
        for code in [10, 11] {
            assert!(matches!(word_of(code), Err(DeviceFault::Unreachable(_))));
        }
    }
}
