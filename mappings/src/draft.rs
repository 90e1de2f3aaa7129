//! A mapping file as it was written: typed, every value with its place, but not yet checked against itself.
//!
//! This is what the product and the simulators share. It resolves what a reader of the file would resolve (a write
//! without an address goes where the read is, an order is inherited from the `modbus` section), and nothing more.

mod point;
pub mod site;

use std::time::Duration;

use rust_decimal::Decimal;

pub use self::point::{MapDraft, PointDraft, ReadDraft, VerifyDraft, WriteDraft};
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::mapping::{ByteOrder, Class, ModbusPoint, ModbusTable};
use crate::read;

/// A value and where it stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> At<T> {
    /// Puts a value at its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span }
    }
}

/// A mapping file. What was missing or could not be read is `None` or left out; the diagnostics say why.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingDraft {
    /// The file.
    pub file: SourceFile,
    /// Place of the whole map.
    pub span: Span,
    /// `profile`: `vendor.model`.
    pub profile: Option<At<String>>,
    /// `version`: `major.minor.patch`.
    pub version: Option<At<String>>,
    /// `device.type`.
    pub device_type: Option<At<String>>,
    /// `device.description`.
    pub description: Option<At<String>>,
    /// `params`.
    pub params: Vec<ParamDraft>,
    /// `modbus`.
    pub modbus: ModbusDraft,
    /// `poll`, in the order of the file.
    pub poll: Vec<(At<String>, At<Duration>)>,
    /// `online`.
    pub online: OnlineDraft,
    /// `capabilities`, in the order of the file.
    pub capabilities: Vec<CapabilityDraft>,
    /// `tests`.
    pub tests: Vec<TestDraft>,
}

/// `params`: what a site may say about a device of this model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamDraft {
    /// Its name.
    pub name: At<String>,
    /// What it may be.
    pub kind: ParamKind,
    /// `default`; without one the site must give a value.
    pub default: Option<At<String>>,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// One of these words.
    Enum(Vec<String>),
    /// A whole number; both ends are included.
    Int(i64, i64),
    /// A text of at most so many characters.
    Text(usize),
}

/// `modbus`: what devices of this model can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModbusDraft {
    /// `order` of points that have none of their own.
    pub order: Option<At<ByteOrder>>,
    /// `max_registers`.
    pub max_registers: Option<At<u16>>,
    /// `max_bits`.
    pub max_bits: Option<At<u16>>,
    /// `max_gap`.
    pub max_gap: Option<At<u16>>,
    /// `guard`.
    pub guard: Option<At<Duration>>,
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
}

/// `online`: when a device counts as offline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlineDraft {
    /// `down.fails`.
    pub fails: Option<At<u32>>,
    /// `backoff`: shortest and longest pause.
    pub backoff: Option<At<(Duration, Duration)>>,
}

/// `poll` of a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollDraft {
    /// A group of the `poll` section.
    Group(String),
    /// Only when somebody asks.
    OnDemand,
    /// At the start and after each time that the device was offline.
    Once,
}

/// One entry of `capabilities`.
#[derive(Clone, Debug, PartialEq)]
pub struct CapabilityDraft {
    /// Its key.
    pub id: At<String>,
    /// `class`.
    pub class: Option<At<Class>>,
    /// `type`.
    pub kind: Option<At<String>>,
    /// `unit`.
    pub unit: Option<At<String>>,
    /// `name`; the key without one.
    pub name: Option<At<String>>,
    /// `description`.
    pub description: Option<At<String>>,
    /// `read`.
    pub read: Option<ReadDraft>,
    /// `write`.
    pub write: Option<WriteDraft>,
    /// `poll`.
    pub poll: Option<At<PollDraft>>,
    /// `valid`: least and greatest.
    pub valid: Option<At<(Decimal, Decimal)>>,
    /// `min`.
    pub min: Option<At<Decimal>>,
    /// `max`.
    pub max: Option<At<Decimal>>,
    /// `step`.
    pub step: Option<At<Decimal>>,
    /// `deadband`.
    pub deadband: Option<At<Decimal>>,
    /// `low`.
    pub low: Option<At<Decimal>>,
    /// `high`.
    pub high: Option<At<Decimal>>,
    /// `max_age`.
    pub max_age: Option<At<Duration>>,
    /// `serve_stale`.
    pub serve_stale: Option<At<bool>>,
}

/// One entry of `tests`: what is in the device, and what must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestDraft {
    /// Place of the whole entry.
    pub span: Span,
    /// `input`, `holding`, `coil`, `discrete`: what the device holds, from an address on; bits are 0 and 1.
    pub holds: Vec<RunDraft>,
    /// `expect`: capability and the USP text of its value.
    pub expect: Vec<(At<String>, At<String>)>,
    /// `invalid`: capabilities that have no valid reading.
    pub invalid: Vec<At<String>>,
    /// `write`: capability and the USP text that is set.
    pub write: Vec<(At<String>, At<String>)>,
    /// `sends`: what the writes put into the device.
    pub sends: Vec<RunDraft>,
    /// `refuses`: capability and a USP text that it does not take.
    pub refuses: Vec<(At<String>, At<String>)>,
}

/// Registers or bits that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDraft {
    /// Which table.
    pub table: ModbusTable,
    /// Address of the first.
    pub address: At<u16>,
    /// The registers; bits are 0 and 1.
    pub values: Vec<At<u16>>,
}

impl MappingDraft {
    /// Reads a mapping file. The draft is there whenever the file is a map at all, however many problems it has.
    ///
    /// Errors: everything that can be seen without comparing one key with another; the rest is found by
    /// [`compile`](crate::compile).
    pub fn parse(file: &SourceFile) -> (Option<Self>, Vec<Diagnostic>) {
        read::mapping::read(file)
    }

    /// The capability of this key.
    pub fn capability(&self, id: &str) -> Option<&CapabilityDraft> {
        self.capabilities.iter().find(|capability| capability.id.value == id)
    }

    /// Byte and word order of points that have none of their own.
    pub fn order(&self) -> ByteOrder {
        self.modbus.order.map(|order| order.value).unwrap_or_default()
    }

    /// Most registers in one read, 125 unless the file says less.
    pub fn max_registers(&self) -> u16 {
        self.modbus.max_registers.map_or(125, |max| max.value)
    }

    /// Most coils or discrete inputs in one read, 2000 unless the file says less.
    pub fn max_bits(&self) -> u16 {
        self.modbus.max_bits.map_or(2000, |max| max.value)
    }
}

impl CapabilityDraft {
    /// Where it is read; `None` without a usable `read`.
    pub fn read_point(&self, draft: &MappingDraft) -> Option<ModbusPoint> {
        self.read.as_ref()?.point.resolve(None, draft.order())
    }

    /// Where it is written: `write` with what it leaves to `read`; `None` without a usable `write`.
    pub fn write_point(&self, draft: &MappingDraft) -> Option<ModbusPoint> {
        let inherited = self.read_point(draft);
        self.write.as_ref()?.point.resolve(inherited, draft.order())
    }
}
