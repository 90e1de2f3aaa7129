//! The section `modbus`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::point::WordOrder;
use super::time::{Duration, Period};
use super::values::{Connections, Flag, Gap, MaxBits, Registers, Word};

/// What devices of this model can take.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Modbus {
    /// Byte and word order of points that have none of their own; `ABCD` unless told otherwise.
    order: Option<Word<WordOrder>>,
    /// Most registers in one read, 1 to 125: one number, or `{holding: 32, input: 64}`.
    max_registers: Option<PerTable<Registers, RegisterTables<Registers>>>,
    /// Most coils or discrete inputs in one read, 1 to 2000: one number, or `{coil: 16, discrete: 32}`.
    max_bits: Option<PerTable<MaxBits, BitTables<MaxBits>>>,
    /// Unwanted registers or bits that may be read along to save a request: one number, or one for each table.
    max_gap: Option<PerTable<Gap, Tables<Gap>>>,
    /// `true`: the device knows function 22, and some bits of a register are written with it.
    mask_write: Option<Flag>,
    /// Most connections at a time (Modbus TCP).
    max_connections: Option<Connections>,
    /// Pause between an answer and the next request to the device; `0ms` unless told otherwise.
    guard: Option<Duration>,
    /// Pause after an answer before anybody on the line is asked; `0ms` unless told otherwise.
    turnaround: Option<Duration>,
    /// Least time from one write to the device to the next, whatever they write, commands included; `0ms` unless told
    /// otherwise.
    write_rate: Option<Duration>,
    /// How long one exchange may take; `1s` unless told otherwise.
    timeout: Option<Period>,
}

/// One number for all tables that it is about, or one for each.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum PerTable<T, E> {
    /// For all.
    One(T),
    /// For each.
    Each(E),
}

/// A number for each table.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Tables<T> {
    /// Coils.
    coil: Option<T>,
    /// Discrete inputs.
    discrete: Option<T>,
    /// Holding registers.
    holding: Option<T>,
    /// Input registers.
    input: Option<T>,
}

/// A number for each table of registers.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct RegisterTables<T> {
    /// Holding registers.
    holding: Option<T>,
    /// Input registers.
    input: Option<T>,
}

/// A number for each table of bits.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct BitTables<T> {
    /// Coils.
    coil: Option<T>,
    /// Discrete inputs.
    discrete: Option<T>,
}
