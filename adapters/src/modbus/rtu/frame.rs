//! RTU frames: unit, PDU, CRC. Pure.
//!
//! Source: Modbus over Serial Line V1.02, 2.5.1; Modbus Application Protocol V1.1b3, section 6.

use bytes::Bytes;
use tokio_modbus::{ExceptionCode, Response};
use usp_mapping::mapping::ModbusTable;
use usp_mapping::port::DeviceFault;

use crate::bus::Outcome;
use crate::modbus::codec::{self, Answer, Ask, Query};

/// Bytes of an exception response, the shortest of all frames.
pub(crate) const EXCEPTION: usize = 5;

/// The bytes that ask.
pub(crate) fn request(ask: &Ask) -> Vec<u8> {
    let mut frame = vec![ask.unit];
    pdu(&ask.query, &mut frame);
    let crc = crc(&frame);
    frame.extend(crc.to_le_bytes());
    frame
}

fn pdu(query: &Query, to: &mut Vec<u8>) {
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

/// How many bytes a good answer has.
pub(crate) fn answer_length(query: &Query) -> usize {
    match query {
        Query::Read(block) if block.table.is_bits() => 5 + usize::from(block.count).div_ceil(8),
        Query::Read(block) => 5 + 2 * usize::from(block.count),
        Query::WriteCoil(..)
        | Query::WriteRegister(..)
        | Query::WriteCoils(..)
        | Query::WriteRegisters(..) => 8,
        Query::MaskWrite { .. } => 10,
        Query::ReadWrite(_, values) => 5 + 2 * values.len(),
    }
}

/// How the PDU of a good answer begins: all that tells it from those to other queries of the same unit. To reads that is
/// no more than function and length, so that replies to two of them may look alike.
pub(crate) fn mark(query: &Query) -> Vec<u8> {
    let mut pdu = Vec::new();
    self::pdu(query, &mut pdu);
    let told = match query {
        Query::Read(_) | Query::ReadWrite(..) => {
            let bytes = answer_length(query) - EXCEPTION;
            return vec![function(query), u8::try_from(bytes).unwrap_or(u8::MAX)];
        }
        Query::WriteCoils(..) | Query::WriteRegisters(..) => 5,
        Query::WriteCoil(..) | Query::WriteRegister(..) | Query::MaskWrite { .. } => pdu.len(),
    };
    pdu.truncate(told);
    pdu
}

/// Whether a good answer may be the very bytes of the request, as to functions 5, 6 and 22: an echo of the line then looks
/// like one.
pub(crate) fn mirrors(ask: &Ask) -> bool {
    let request = request(ask);
    let pdu = request.get(1..).unwrap_or_default();
    request.len() == answer_length(&ask.query) && pdu.starts_with(&mark(&ask.query))
}

/// What an answer says: a frame of the right unit and function, without its checksum.
pub(crate) fn understood(query: &Query, body: &[u8]) -> Outcome<Answer> {
    let garbled = |why: &str| Outcome::Silent(DeviceFault::Garbled(why.to_owned()));
    match body {
        [_, 0x80..=0xff, code] => codec::exception(ExceptionCode::new(*code)),
        [_, pdu @ ..] => match Response::try_from(Bytes::copy_from_slice(pdu)) {
            Ok(response) => codec::answer(query, response).map_or_else(Outcome::Silent, Outcome::Answered),
            Err(_) => garbled("it is no Modbus response"),
        },
        [] => garbled("it is empty"),
    }
}

/// CRC-16 with the reversed polynomial 0xA001, beginning with 0xFFFF.
pub(crate) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(CRC_START, |crc, byte| crc_with(crc, *byte))
}

/// What [`crc`] begins with.
pub(crate) const CRC_START: u16 = 0xffff;

/// The same with one byte more. It is 0 after the two bytes of the checksum itself.
pub(crate) fn crc_with(crc: u16, byte: u8) -> u16 {
    (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::modbus::poll::Block;

    fn ask(unit: u8, query: Query) -> Ask {
        Ask {
            unit,
            timeout: Duration::from_secs(1),
            pause: Duration::ZERO,
            round: 0,
            query,
            mapped: None,
            until: None,
        }
    }

    fn read(unit: u8, table: ModbusTable, address: u16, count: u16) -> Ask {
        ask(unit, Query::Read(Block::new(table, address, count).into()))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc(body).to_le_bytes()].concat()
    }

    /// Frames from the examples of the Application Protocol, section 6, and a checksum from Serial Line V1.02, 6.2.2.
    #[test]
    fn requests_are_those_of_the_standard() {
        assert_eq!(crc(&[2, 7]), 0x1241);
        for (query, pdu) in [
            (read(17, ModbusTable::Coil, 0x13, 0x13), vec![1, 0, 0x13, 0, 0x13]),
            (read(17, ModbusTable::Discrete, 0xc4, 0x16), vec![2, 0, 0xc4, 0, 0x16]),
            (read(17, ModbusTable::Holding, 0x6b, 3), vec![3, 0, 0x6b, 0, 3]),
            (read(17, ModbusTable::Input, 8, 1), vec![4, 0, 8, 0, 1]),
            (ask(17, Query::WriteCoil(0xac, true)), vec![5, 0, 0xac, 0xff, 0]),
            (ask(17, Query::WriteRegister(1, 3)), vec![6, 0, 1, 0, 3]),
            (ask(17, Query::WriteRegisters(1, vec![0x0a, 0x0102])), vec![16, 0, 1, 0, 2, 4, 0, 0x0a, 1, 2]),
            (ask(17, Query::WriteCoils(0x13, bits(&[0xcd, 1], 10))), vec![15, 0, 0x13, 0, 0x0a, 2, 0xcd, 1]),
        ] {
            assert_eq!(request(&query), framed(&[vec![17], pdu].concat()), "{query:?}");
        }
    }

    fn bits(bytes: &[u8], count: usize) -> Vec<bool> {
        let all = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        all.take(count).collect()
    }

    #[test]
    fn marks_tell_what_can_be_told() {
        let all = |ask: &Ask| (mark(&ask.query), mirrors(ask));
        assert_eq!(all(&read(1, ModbusTable::Holding, 0x6b, 3)), (vec![3, 6], false));
        assert_eq!(all(&read(1, ModbusTable::Coil, 0, 10)), (vec![1, 2], false));
        // Its coils may be 0x20, 0 and 20.
        assert_eq!(all(&read(1, ModbusTable::Coil, 0x320, 20)), (vec![1, 3], true));
        assert_eq!(all(&ask(1, Query::WriteCoil(3, true))), (vec![5, 0, 3, 0xff, 0], true));
        assert_eq!(all(&ask(1, Query::WriteRegisters(1, vec![7, 8]))), (vec![16, 0, 1, 0, 2], false));
        let mask = Query::MaskWrite { address: 4, and: 0xf2, or: 0x25 };
        assert_eq!(all(&ask(1, mask)), (vec![22, 0, 4, 0, 0xf2, 0, 0x25], true));
        assert_eq!(all(&ask(1, Query::ReadWrite(4, vec![1, 2]))), (vec![23, 4], false));
    }

    #[test]
    fn an_answer_is_read_from_its_frame() {
        let ask = read(17, ModbusTable::Holding, 0x6b, 3);
        let answer = understood(&ask.query, &[17, 3, 6, 2, 0x2b, 0, 0, 0, 0x64]);
        assert_eq!(answer, Outcome::Answered(Answer::Registers(vec![0x022b, 0, 0x64])));
        assert_eq!(answer_length(&ask.query), 11);
        assert_eq!(understood(&ask.query, &[17, 0x83, 2]), Outcome::Answered(Answer::Exception(2)));
        let coils = read(17, ModbusTable::Coil, 0, 10);
        let said = understood(&coils.query, &[17, 1, 2, 0xcd, 1]);
        assert_eq!(said, Outcome::Answered(Answer::Bits(bits(&[0xcd, 1], 10))));
    }
}
