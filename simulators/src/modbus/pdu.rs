//! Functions 1, 2, 3, 4, 5, 6, 15, 16, 22 and 23 of the MODBUS Application Protocol Specification V1.1b3, section 6,
//! over any [`Memory`], and what asks for a device's identification. In the order of its state diagrams: function, quantity, address, execution.

use std::fmt;

/// One of the four tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Single bits, readable and writable.
    Coil,
    /// Single bits, readable.
    Discrete,
    /// Registers, readable and writable.
    Holding,
    /// Registers, readable.
    Input,
}

impl Table {
    /// As mapping files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Holding => "holding",
            Self::Input => "input",
        }
    }

    /// Whether its cells are single bits.
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception(pub u8);

impl Exception {
    /// 1: the function is not known here.
    pub const FUNCTION: Self = Self(1);
    /// 2: an address is not there, or not to be written.
    pub const ADDRESS: Self = Self(2);
    /// 3: a quantity or a value is not possible.
    pub const VALUE: Self = Self(3);
    /// 4: the device failed.
    pub const FAILURE: Self = Self(4);
    /// 6: the device is busy.
    pub const BUSY: Self = Self(6);
    /// 11: the gateway's target did not answer.
    pub const NO_TARGET: Self = Self(11);
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exception {}", self.0)
    }
}

/// What the functions work on. Bits are words of 0 or 1.
pub trait Memory {
    /// Reads `count` cells from `start`; the span does not go beyond 65535.
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception>;
    /// Writes cells from `start`: all of them, or none and an exception.
    fn write(&mut self, table: Table, start: u16, cells: &[u16]) -> Result<(), Exception>;
}

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Function code.
    pub function: u8,
    /// What it reads: table, start, count.
    pub read: Option<(Table, u16, u16)>,
    /// What it writes: table, start, cells.
    pub write: Option<(Table, u16, Vec<u16>)>,
    /// Function 22: AND mask and OR mask.
    pub masks: Option<(u16, u16)>,
    /// Function 43/14: access code and first object.
    pub identify: Option<(u8, u8)>,
}

/// Understands a request; what its quantities may be is checked, what its addresses may be is the memory's to say.
pub fn parse(pdu: &[u8]) -> Result<Request, Exception> {
    let (function, data) = pdu.split_first().ok_or(Exception::FUNCTION)?;
    let mut request = Request { function: *function, read: None, write: None, masks: None, identify: None };
    match function {
        1 => request.read = Some(span(Table::Coil, data, 2000)?),
        2 => request.read = Some(span(Table::Discrete, data, 2000)?),
        3 => request.read = Some(span(Table::Holding, data, 125)?),
        4 => request.read = Some(span(Table::Input, data, 125)?),
        5 => request.write = Some(single_coil(data)?),
        6 => request.write = Some(single_register(data)?),
        15 => request.write = Some(coils(data)?),
        16 => request.write = Some(registers(data, 123)?),
        22 => (request.read, request.masks) = mask(data)?,
        23 => {
            let (read, write) = data.split_at_checked(4).ok_or(Exception::VALUE)?;
            request.read = Some(span(Table::Holding, read, 125)?);
            request.write = Some(registers(write, 121)?);
        }
        43 => match data {
            // MEI type 14, read device identification.
            [14, code, object] => request.identify = Some((*code, *object)),
            _ => return Err(Exception::FUNCTION),
        },
        _ => return Err(Exception::FUNCTION),
    }
    Ok(request)
}

/// Executes a request on memory, which has no identification, and gives the answer's PDU.
pub fn execute(request: &Request, memory: &mut dyn Memory) -> Result<Vec<u8>, Exception> {
    if request.identify.is_some() {
        return Err(Exception::FUNCTION);
    }
    if let (Some((table, start, _)), Some((and, or))) = (request.read, request.masks) {
        return mask_write(table, start, (and, or), memory);
    }
    let echo = match &request.write {
        Some((table, start, cells)) => {
            memory.write(*table, *start, cells)?;
            write_answer(request.function, *start, cells)
        }
        None => Vec::new(),
    };
    // Function 23 writes before it reads.
    let Some((table, start, count)) = request.read else { return Ok(echo) };
    let cells = memory.read(table, start, count)?;
    let data = match table {
        Table::Coil | Table::Discrete => packed(&cells),
        Table::Holding | Table::Input => cells.iter().flat_map(|cell| cell.to_be_bytes()).collect(),
    };
    Ok([&[request.function, data.len() as u8], data.as_slice()].concat())
}

/// The PDU of a refusal.
pub fn refusal(function: u8, exception: Exception) -> Vec<u8> {
    vec![function | 0x80, exception.0]
}

fn mask_write(
    table: Table,
    start: u16,
    (and, or): (u16, u16),
    memory: &mut dyn Memory,
) -> Result<Vec<u8>, Exception> {
    let current = memory.read(table, start, 1)?.first().copied().ok_or(Exception::FAILURE)?;
    memory.write(table, start, &[(current & and) | (or & !and)])?;
    Ok([&[22][..], &start.to_be_bytes(), &and.to_be_bytes(), &or.to_be_bytes()].concat())
}

fn write_answer(function: u8, start: u16, cells: &[u16]) -> Vec<u8> {
    let second = match (function, cells) {
        (5, [on]) => on.saturating_mul(0xff00),
        (6, [value]) => *value,
        _ => cells.len() as u16,
    };
    [&[function][..], &start.to_be_bytes(), &second.to_be_bytes()].concat()
}

fn word(data: &[u8], index: usize) -> Result<u16, Exception> {
    match data.get(index * 2..index * 2 + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Exception::VALUE),
    }
}

fn exactly(data: &[u8], bytes: usize) -> Result<(), Exception> {
    if data.len() == bytes { Ok(()) } else { Err(Exception::VALUE) }
}

fn within(start: u16, count: usize) -> Result<(), Exception> {
    if usize::from(start) + count <= 0x1_0000 { Ok(()) } else { Err(Exception::ADDRESS) }
}

fn span(table: Table, data: &[u8], most: u16) -> Result<(Table, u16, u16), Exception> {
    exactly(data, 4)?;
    let (start, count) = (word(data, 0)?, word(data, 1)?);
    if !(1..=most).contains(&count) {
        return Err(Exception::VALUE);
    }
    within(start, usize::from(count))?;
    Ok((table, start, count))
}

fn single_coil(data: &[u8]) -> Result<(Table, u16, Vec<u16>), Exception> {
    exactly(data, 4)?;
    let on = match word(data, 1)? {
        0xff00 => 1,
        0 => 0,
        _ => return Err(Exception::VALUE),
    };
    Ok((Table::Coil, word(data, 0)?, vec![on]))
}

fn single_register(data: &[u8]) -> Result<(Table, u16, Vec<u16>), Exception> {
    exactly(data, 4)?;
    Ok((Table::Holding, word(data, 0)?, vec![word(data, 1)?]))
}

/// Start, count, number of bytes, bytes.
fn counted(data: &[u8], most: u16) -> Result<(u16, u16, &[u8]), Exception> {
    let (start, count) = (word(data, 0)?, word(data, 1)?);
    let (length, bytes) = data.get(4..).and_then(<[u8]>::split_first).ok_or(Exception::VALUE)?;
    exactly(bytes, usize::from(*length))?;
    if !(1..=most).contains(&count) {
        return Err(Exception::VALUE);
    }
    within(start, usize::from(count))?;
    Ok((start, count, bytes))
}

fn coils(data: &[u8]) -> Result<(Table, u16, Vec<u16>), Exception> {
    let (start, count, bytes) = counted(data, 1968)?;
    exactly(bytes, usize::from(count).div_ceil(8))?;
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
    Ok((Table::Coil, start, bits.take(usize::from(count)).collect()))
}

fn registers(data: &[u8], most: u16) -> Result<(Table, u16, Vec<u16>), Exception> {
    let (start, count, bytes) = counted(data, most)?;
    exactly(bytes, usize::from(count) * 2)?;
    let cells = (0..usize::from(count)).map(|index| word(bytes, index)).collect::<Result<_, _>>()?;
    Ok((Table::Holding, start, cells))
}

type Masked = (Option<(Table, u16, u16)>, Option<(u16, u16)>);

fn mask(data: &[u8]) -> Result<Masked, Exception> {
    exactly(data, 6)?;
    Ok((Some((Table::Holding, word(data, 0)?, 1)), Some((word(data, 1)?, word(data, 2)?))))
}

/// Eight bits a byte, the first in the least significant place.
fn packed(bits: &[u16]) -> Vec<u8> {
    let byte = |bits: &[u16]| bits.iter().rev().fold(0, |byte: u8, bit| byte << 1 | u8::from(*bit != 0));
    bits.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Everything is there and reads 0 unless it was put there.
    #[derive(Default)]
    struct Flat(BTreeMap<(Table, u16), u16>);

    impl Memory for Flat {
        fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
            let cell = |offset| self.0.get(&(table, start + offset)).copied().unwrap_or(0);
            Ok((0..count).map(cell).collect())
        }

        fn write(&mut self, table: Table, start: u16, cells: &[u16]) -> Result<(), Exception> {
            self.0.extend((start..).zip(cells).map(|(address, cell)| ((table, address), *cell)));
            Ok(())
        }
    }

    fn bits(table: Table, start: u16, bytes: &[u8]) -> Flat {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
        Flat((start..).zip(bits).map(|(address, bit)| ((table, address), bit)).collect())
    }

    fn words(table: Table, start: u16, cells: &[u16]) -> Flat {
        Flat((start..).zip(cells).map(|(address, cell)| ((table, address), *cell)).collect())
    }

    fn answer(memory: &mut Flat, request: &[u8]) -> Result<Vec<u8>, Exception> {
        execute(&parse(request)?, memory)
    }

    /// The examples of section 6 of the specification.
    #[test]
    fn reads_of_the_specification() {
        let check = |mut memory: Flat, request: &[u8], expected: &[u8]| {
            assert_eq!(answer(&mut memory, request).unwrap(), expected);
        };
        let coils = bits(Table::Coil, 0x13, &[0xcd, 0x6b, 0x05]);
        check(coils, &[1, 0, 0x13, 0, 0x13], &[1, 3, 0xcd, 0x6b, 0x05]);
        let inputs = bits(Table::Discrete, 0xc4, &[0xac, 0xdb, 0x35]);
        check(inputs, &[2, 0, 0xc4, 0, 0x16], &[2, 3, 0xac, 0xdb, 0x35]);
        let holding = words(Table::Holding, 0x6b, &[0x022b, 0, 0x64]);
        check(holding, &[3, 0, 0x6b, 0, 3], &[3, 6, 0x02, 0x2b, 0, 0, 0, 0x64]);
        check(words(Table::Input, 8, &[10]), &[4, 0, 8, 0, 1], &[4, 2, 0, 10]);
    }

    #[test]
    fn writes_of_the_specification() {
        let mut memory = Flat::default();
        let mut check = |request: &[u8], expected: &[u8]| {
            assert_eq!(answer(&mut memory, request).unwrap(), expected);
        };
        check(&[5, 0, 0xac, 0xff, 0], &[5, 0, 0xac, 0xff, 0]);
        check(&[6, 0, 1, 0, 3], &[6, 0, 1, 0, 3]);
        check(&[15, 0, 0x13, 0, 10, 2, 0xcd, 0x01], &[15, 0, 0x13, 0, 10]);
        check(&[16, 0, 1, 0, 2, 4, 0, 10, 1, 2], &[16, 0, 1, 0, 2]);
        let cell = |table, address| memory.0.get(&(table, address)).copied();
        assert_eq!(cell(Table::Coil, 0xac), Some(1));
        let coils: Vec<u16> = (0x13..0x1d).filter_map(|address| cell(Table::Coil, address)).collect();
        assert_eq!(coils, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]);
        assert_eq!(cell(Table::Coil, 0x1d), None);
        assert_eq!((cell(Table::Holding, 1), cell(Table::Holding, 2)), (Some(10), Some(0x0102)));
    }

    #[test]
    fn mask_write_of_the_specification() {
        let mut memory = words(Table::Holding, 4, &[0x12]);
        let request = [0x16, 0, 4, 0, 0xf2, 0, 0x25];
        assert_eq!(answer(&mut memory, &request).unwrap(), request);
        assert_eq!(memory.0.get(&(Table::Holding, 4)), Some(&0x17));
    }

    #[test]
    fn read_and_write_of_the_specification() {
        let mut memory = words(Table::Holding, 3, &[0xfe, 0x0acd, 1, 3, 13, 0xff]);
        let request = [0x17, 0, 3, 0, 6, 0, 0x0e, 0, 3, 6, 0, 0xff, 0, 0xff, 0, 0xff];
        let expected = [0x17, 12, 0, 0xfe, 0x0a, 0xcd, 0, 1, 0, 3, 0, 13, 0, 0xff];
        assert_eq!(answer(&mut memory, &request).unwrap(), expected);
        assert_eq!(memory.0.get(&(Table::Holding, 0x10)), Some(&0xff));
    }

    #[test]
    fn impossible_requests_are_refused() {
        let check = |request: &[u8], expected| {
            assert_eq!(answer(&mut Flat::default(), request), Err(expected), "{request:02x?}");
        };
        check(&[], Exception::FUNCTION);
        check(&[7], Exception::FUNCTION);
        check(&[0x2b, 0x0e, 1, 0], Exception::FUNCTION);
        check(&[3, 0, 0, 0, 0], Exception::VALUE);
        check(&[3, 0, 0, 0, 126], Exception::VALUE);
        check(&[1, 0, 0, 0x07, 0xd1], Exception::VALUE);
        check(&[3, 0xff, 0xff, 0, 2], Exception::ADDRESS);
        check(&[3, 0, 0, 0], Exception::VALUE);
        check(&[5, 0, 0, 0x12, 0x34], Exception::VALUE);
        check(&[15, 0, 0, 0, 10, 1, 0xff], Exception::VALUE);
        check(&[16, 0, 0, 0, 2, 2, 0, 1], Exception::VALUE);
        check(&[16, 0, 0, 0, 0, 0], Exception::VALUE);
        check(&[23, 0, 0], Exception::VALUE);
        assert_eq!(refusal(3, Exception::ADDRESS), [0x83, 2]);
    }

    #[test]
    fn garbage_never_panics() {
        let mut rng = crate::rng::Rng::new(1);
        for _ in 0..20_000 {
            let mut pdu: Vec<u8> = (0..rng.below(20)).map(|_| rng.next_u64() as u8).collect();
            if let Some(function) = pdu.first_mut() {
                *function %= 24;
            }
            if let Ok(bytes) = answer(&mut Flat::default(), &pdu) {
                assert!(bytes.len() <= super::super::frame::MAX_PDU);
            }
        }
    }
}
