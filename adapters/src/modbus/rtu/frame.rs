//! RTU frames: unit, PDU, CRC. Pure.
//!
//! Source: Modbus over Serial Line V1.02, 2.5.1; Modbus Application Protocol V1.1b3, section 6.

use bytes::Bytes;
use tokio_modbus::{ExceptionCode, Response};
use usp_mapping::mapping::ModbusTable;
use usp_mapping::port::DeviceFault;

use crate::modbus::codec::{self, Answer, Ask, Query};

/// Bytes of an exception response, the shortest of all frames.
const EXCEPTION: usize = 5;

/// What has come in so far.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// So many bytes are missing at least.
    More(usize),
    /// The first so many bytes belong to somebody else's exchange: a late reply.
    Foreign(usize),
    /// The answer, or why it cannot be used.
    Done(Result<Answer, DeviceFault>),
}

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

fn function(query: &Query) -> u8 {
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

/// What the bytes since the request mean.
pub(crate) fn progress(ask: &Ask, bytes: &[u8]) -> Progress {
    let [unit, code, rest @ ..] = bytes else { return Progress::More(EXCEPTION - bytes.len()) };
    let length = match (code, rest.first()) {
        (0x81..=0xff, _) => EXCEPTION,
        (1..=4 | 23, Some(count)) => 5 + usize::from(*count),
        (1..=4 | 23, None) => return Progress::More(EXCEPTION - bytes.len()),
        (5 | 6 | 15 | 16, _) => 8,
        (22, _) => 10,
        _ => return garbled("it is no Modbus response"),
    };
    let Some(frame) = bytes.get(..length) else { return Progress::More(length - bytes.len()) };
    let Some((body, sum)) = frame.split_last_chunk::<2>() else { return garbled("it is too short") };
    if crc(body) != u16::from_le_bytes(*sum) {
        return garbled("its checksum is wrong");
    }
    let asked = function(&ask.query);
    if *unit != ask.unit || code & 0x7f != asked {
        return Progress::Foreign(length);
    }
    // Without an address in it, a late reply to another read shows in nothing but its length.
    if *code == asked && length != answer_length(&ask.query) {
        return Progress::Foreign(length);
    }
    Progress::Done(understood(&ask.query, body))
}

fn understood(query: &Query, body: &[u8]) -> Result<Answer, DeviceFault> {
    match body {
        [_, 0x80..=0xff, code] => codec::exception(ExceptionCode::new(*code)),
        [_, pdu @ ..] => {
            let response = Response::try_from(Bytes::copy_from_slice(pdu));
            let response =
                response.map_err(|_| DeviceFault::Garbled("it is no Modbus response".to_owned()))?;
            codec::answer(query, response)
        }
        [] => Err(DeviceFault::Garbled("it is empty".to_owned())),
    }
}

fn garbled(why: &str) -> Progress {
    Progress::Done(Err(DeviceFault::Garbled(why.to_owned())))
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
        Ask { unit, timeout: Duration::from_secs(1), round: 0, query }
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
    fn an_answer_is_complete_with_its_last_byte() {
        let ask = read(17, ModbusTable::Holding, 0x6b, 3);
        let answer = framed(&[17, 3, 6, 2, 0x2b, 0, 0, 0, 0x64]);
        for cut in 0..answer.len() {
            assert!(
                matches!(progress(&ask, &answer[..cut]), Progress::More(n) if n <= answer.len() - cut),
                "{cut}"
            );
        }
        assert_eq!(progress(&ask, &answer), Progress::Done(Ok(Answer::Registers(vec![0x022b, 0, 0x64]))));
        assert_eq!(answer_length(&ask.query), answer.len());
        let refused = progress(&ask, &framed(&[17, 0x83, 2]));
        assert_eq!(refused, Progress::Done(Ok(Answer::Exception(2))));
        let coils = read(17, ModbusTable::Coil, 0, 10);
        let all = Answer::Bits(bits(&[0xcd, 1], 10));
        assert_eq!(progress(&coils, &framed(&[17, 1, 2, 0xcd, 1])), Progress::Done(Ok(all)));
    }

    #[test]
    fn what_belongs_to_another_exchange_is_told_apart() {
        let ask = read(17, ModbusTable::Holding, 0, 2);
        for foreign in [
            framed(&[18, 3, 4, 0, 1, 0, 2]),
            framed(&[17, 4, 4, 0, 1, 0, 2]),
            framed(&[17, 3, 2, 0, 1]),
            framed(&[17, 6, 0, 1, 0, 3]),
            framed(&[17, 0x84, 2]),
        ] {
            assert_eq!(progress(&ask, &foreign), Progress::Foreign(foreign.len()), "{foreign:?}");
        }
    }

    #[test]
    fn damage_is_garbled() {
        let ask = read(17, ModbusTable::Holding, 0, 2);
        let mut answer = framed(&[17, 3, 4, 0, 1, 0, 2]);
        answer[4] ^= 1;
        for bytes in [answer.as_slice(), &[17, 0x45, 0, 0, 0], &[0; 8]] {
            let is = progress(&ask, bytes);
            assert!(matches!(is, Progress::Done(Err(DeviceFault::Garbled(_)))), "{bytes:?} {is:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let ask = read(17, ModbusTable::Holding, 0, 2);
            if let Progress::Foreign(length) = progress(&ask, &bytes) {
                proptest::prop_assert!(length > 0 && length <= bytes.len());
            }
        }
    }
}
