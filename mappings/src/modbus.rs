//! What is Modbus's own in the language: places, how registers make a value, what a device can take.
//!
//! Source: MODBUS Application Protocol Specification V1.1b3.

mod check;
mod codec;
mod compile;
mod draft;
mod fixture;
mod half;
mod notation;
mod overlap;
pub(crate) mod read;
pub(crate) mod unused;
mod writers;

use std::time::Duration;

pub use self::draft::{ModbusDraft, PlaceDraft, RunDraft, TablesDraft};
pub(crate) use self::fixture::Cells;
pub(crate) use self::half::Half;

/// A place in a Modbus device. Addresses are PDU addresses, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModbusPoint {
    /// Which table.
    pub table: ModbusTable,
    /// First register, coil or discrete input.
    pub address: u16,
    /// How many registers the value takes; 1 for coils and discrete inputs.
    pub count: u16,
    /// How the registers make a value. Ignored for coils and discrete inputs.
    pub encoding: RegisterEncoding,
    /// Byte and word order.
    pub order: ByteOrder,
    /// First and last bit, both included, 0 the least significant; `None`: the whole.
    pub bits: Option<(u8, u8)>,
}

/// One of the four Modbus tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModbusTable {
    /// Functions 1, 5, 15.
    Coil,
    /// Function 2.
    Discrete,
    /// Functions 3, 6, 16, 22, 23.
    Holding,
    /// Function 4.
    Input,
}

/// How registers make a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterEncoding {
    /// Unsigned, one byte of a register.
    U8(ByteHalf),
    /// Two's complement, one byte of a register.
    S8(ByteHalf),
    /// Unsigned, 16 bit.
    U16,
    /// Two's complement, 16 bit.
    S16,
    /// Unsigned, the lower 24 bits of two registers.
    U24,
    /// Two's complement, the lower 24 bits of two registers.
    S24,
    /// Unsigned, 32 bit.
    U32,
    /// Two's complement, 32 bit.
    S32,
    /// Unsigned, 48 bit.
    U48,
    /// Two's complement, 48 bit.
    S48,
    /// Unsigned, 64 bit.
    U64,
    /// Two's complement, 64 bit.
    S64,
    /// IEEE 754, 16 bit.
    F16,
    /// IEEE 754, 32 bit.
    F32,
    /// IEEE 754, 64 bit.
    F64,
    /// Four decimal digits in each register, the most significant first.
    Bcd,
    /// Text in UTF-8, two bytes in each register, up to the first NUL; spaces at its end do not count.
    Text,
    /// Bytes, two in each register.
    Bytes,
}

/// Which byte of a register, once its bytes are in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteHalf {
    /// Bits 0 to 7.
    #[default]
    Low,
    /// Bits 8 to 15.
    High,
}

/// Order of the bytes A (most significant) to D of a 32-bit value as they come over the wire. Other lengths follow the
/// same pattern: `CDAB` and `DCBA` turn the registers round, `BADC` and `DCBA` swap the bytes within each register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// Big-endian words and bytes: the Modbus default.
    #[default]
    Abcd,
    /// Little-endian words of big-endian bytes.
    Cdab,
    /// Big-endian words of little-endian bytes.
    Badc,
    /// Little-endian words and bytes.
    Dcba,
}

/// Which function writes a Modbus point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModbusWriteFunction {
    /// 5: one coil.
    SingleCoil,
    /// 15: coils.
    MultipleCoils,
    /// 6: one register.
    SingleRegister,
    /// 16: registers.
    MultipleRegisters,
    /// 22: some bits of one register; the device keeps the others.
    MaskWrite,
    /// 23: registers, read again in the same exchange.
    ReadWriteRegisters,
}

/// What a Modbus device can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModbusOptions {
    /// Most registers (1 to 125), coils or discrete inputs (1 to 2000) in one read.
    pub max_read: PerTable,
    /// Unwanted registers or bits that may be read along to save a request.
    pub max_gap: PerTable,
    /// Pause between an answer of this device and the next request to it.
    pub guard: Duration,
    /// Pause after an answer of this device before anybody on its line is asked.
    pub turnaround: Duration,
    /// Least time from one write to the device to the next, whatever they write; steps of commands included.
    pub write_rate: Duration,
    /// How long one exchange on the wire may take.
    pub timeout: Duration,
    /// Most connections at a time (Modbus TCP); `None`: no limit is known.
    pub max_connections: Option<u16>,
}

impl Default for ModbusOptions {
    fn default() -> Self {
        Self {
            max_read: PerTable { coil: 2000, discrete: 2000, holding: 125, input: 125 },
            max_gap: PerTable::default(),
            guard: Duration::ZERO,
            turnaround: Duration::ZERO,
            write_rate: Duration::ZERO,
            timeout: Duration::from_secs(1),
            max_connections: None,
        }
    }
}

/// A number for each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerTable {
    /// Coils.
    pub coil: u16,
    /// Discrete inputs.
    pub discrete: u16,
    /// Holding registers.
    pub holding: u16,
    /// Input registers.
    pub input: u16,
}

impl PerTable {
    /// The number of a table.
    pub fn of(&self, table: ModbusTable) -> u16 {
        match table {
            ModbusTable::Coil => self.coil,
            ModbusTable::Discrete => self.discrete,
            ModbusTable::Holding => self.holding,
            ModbusTable::Input => self.input,
        }
    }

    /// One number for registers and one for bits.
    pub fn of_kinds(registers: u16, bits: u16) -> Self {
        Self { coil: bits, discrete: bits, holding: registers, input: registers }
    }
}
