//! A mapping file as it was written: typed, every value with its place, but not yet checked against itself.
//!
//! This is what the product and the simulators share. It resolves what a reader of the file would resolve (a write
//! without an address goes where the read is, an order is inherited from the `modbus` section), and nothing more.

mod extras;
mod flawed;
mod point;
pub mod site;

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

pub use self::extras::{ArgDraft, CommandDraft, EventDraft, FingerprintDraft, NodeDraft, OnDraft, StepDraft};
pub(crate) use self::flawed::{Flaw, Flawed};
pub use self::point::{MapDraft, PointDraft, ReadDraft, Sentinel, VerifyDraft, WriteDraft};
pub use crate::ble::{BleAskDraft, BleDraft, BlePlaceDraft};
pub use crate::coap::{CoapDraft, CoapPlaceDraft};
use crate::compile::Params;
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::expand::Source;
use crate::library::Catalog;
pub use crate::line::{ChecksumDraft, FramingDraft, LengthDraft, LineDraft, LinePlaceDraft};
use crate::mapping::{
    ByteOrder, Class, ModbusOptions, ModbusPoint, NodeId, PerTable, ProtocolKind, Steps, Window,
};
pub use crate::modbus::{ModbusDraft, PlaceDraft, RunDraft, TablesDraft};
pub use crate::mqtt::{AvailabilityDraft, MqttDraft, MqttPlaceDraft, MqttSendDraft};
pub use crate::payload::draft::{AsDraft, BodyDraft, FormDraft, FormatDraft, MessageDraft, MessagePlace};
pub use crate::payload::said::SaidDraft;
use crate::port::PointId;
use crate::site::Resolve;
pub use crate::zigbee::{
    ZigbeeConstDraft, ZigbeeDraft, ZigbeeFieldDraft, ZigbeeName, ZigbeePlaceDraft, ZigbeeReportDraft,
    ZigbeeSetupDraft,
};

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
    /// The file and those that it extends, before parameters were put in.
    pub(crate) source: Arc<Source>,
    /// The parameters that were put in.
    pub(crate) given: Params,
    /// What of it could not be read.
    pub(crate) flawed: Flawed,
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
    /// The protocol that its devices speak.
    pub protocol: ProtocolKind,
    /// `modbus`.
    pub modbus: ModbusDraft,
    /// `mqtt`.
    pub mqtt: MqttDraft,
    /// `coap`.
    pub coap: CoapDraft,
    /// `line`.
    pub line: LineDraft,
    /// `ble`.
    pub ble: BleDraft,
    /// `zigbee`.
    pub zigbee: ZigbeeDraft,
    /// `poll`, in the order of the file.
    pub poll: Vec<(At<String>, At<Duration>)>,
    /// `online`.
    pub online: OnlineDraft,
    /// `nodes`, in the order of the file.
    pub nodes: Vec<NodeDraft>,
    /// `capabilities`, in the order of the file; those of nodes follow.
    pub capabilities: Vec<CapabilityDraft>,
    /// `commands`; those of nodes follow.
    pub commands: Vec<CommandDraft>,
    /// `events`; those of nodes follow.
    pub events: Vec<EventDraft>,
    /// `fingerprint`.
    pub fingerprint: Vec<FingerprintDraft>,
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
    /// `gives`: further names, and for each value of the parameter what stands for them, and whether without quotes.
    pub gives: Vec<GivesDraft>,
}

/// A name that follows from a parameter, and its values.
pub type GivesDraft = (At<String>, Vec<(At<String>, bool)>);

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// One of these words.
    Enum(Vec<String>),
    /// A whole number; both ends are included.
    Int(i64, i64),
    /// A number; both ends are included. Only of a command's argument.
    Number(Decimal, Decimal),
    /// True or false.
    Bool,
    /// A text of at most so many characters.
    Text(usize),
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
    /// Its key, with its node: `left.switch`.
    pub id: At<String>,
    /// The node that it belongs to.
    pub node: Option<NodeId>,
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
    /// `values`: name and place of each number of a MultiLevelSensor, in the order of the file.
    pub values: Vec<(At<String>, ReadDraft)>,
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
    /// `steps`.
    pub steps: Option<At<Steps>>,
    /// `deadband`.
    pub deadband: Option<At<Decimal>>,
    /// `low`.
    pub low: Option<At<Decimal>>,
    /// `high`.
    pub high: Option<At<Decimal>>,
    /// `monotonic`.
    pub monotonic: Option<At<bool>>,
    /// `sensitivity`.
    pub sensitivity: Option<At<u8>>,
    /// `hold`.
    pub hold: Option<At<Duration>>,
    /// `rest`.
    pub rest: Option<At<Duration>>,
    /// `sensitivity`, `hold` and `rest` that the device holds: each is read and written like a LevelControl.
    pub held: Vec<(At<Window>, Self)>,
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
    /// `input`, `holding`, `coil`, `discrete`, `messages`, `resources`: what the device holds and says.
    pub holds: HeldDraft,
    /// `expect`: capability and the USP text of its value.
    pub expect: Vec<(At<String>, At<String>)>,
    /// `invalid`: capabilities that have no valid reading.
    pub invalid: Vec<At<String>>,
    /// `write`: capability and the USP text that is set.
    pub write: Vec<(At<String>, At<String>)>,
    /// `sends`: what the writes put into the device, or send to it.
    pub sends: HeldDraft,
    /// `params`: with which parameters the test is run; those left out have their defaults.
    pub params: Vec<(At<String>, At<String>)>,
    /// `before`: what the device held one poll earlier, or had said.
    pub before: HeldDraft,
    /// `fires`: events that happen between `before` and what it holds now, and no other.
    pub fires: Option<Vec<At<String>>>,
    /// `command`: commands that are run, each with its arguments.
    pub command: Vec<CallDraft>,
    /// `refuses`: capability and a USP text that it does not take.
    pub refuses: Vec<(At<String>, At<String>)>,
    /// Whether something of it could not be read.
    pub(crate) flawed: bool,
}

/// What a device holds and says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldDraft {
    /// Registers and bits from an address on; bits are 0 and 1.
    pub runs: Vec<RunDraft>,
    /// Topics or paths and bodies, in their order.
    pub said: Vec<SaidDraft>,
}

impl HeldDraft {
    /// Whether nothing is said of it.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.said.is_empty()
    }

    /// Where the first of it stands.
    pub(crate) fn first_span(&self) -> Option<Span> {
        let said = self.said.first().map(|said| said.place.span);
        self.runs.first().map(|run| run.address.span).or(said)
    }
}

/// A command and its arguments, as texts.
pub type CallDraft = (At<String>, Vec<(At<String>, At<String>)>);

impl MappingDraft {
    /// Reads a mapping file with the defaults of its parameters; what it extends must be in the library inside the
    /// program. The draft is there whenever the file is a map at all, however many problems it has.
    ///
    /// Errors: everything that can be seen without comparing one key with another; the rest is found by
    /// [`compile`](crate::compile).
    pub fn parse(file: &SourceFile) -> (Option<Self>, Vec<Diagnostic>) {
        Self::parse_with(file, &|wanted| Catalog::builtin().find(wanted))
    }

    /// As [`Self::parse`], where `resolve` finds what the file extends.
    ///
    /// Errors: as there, and what it extends cannot be had.
    pub fn parse_with(file: &SourceFile, resolve: &Resolve<'_>) -> (Option<Self>, Vec<Diagnostic>) {
        match Source::open(file, resolve) {
            Ok(source) => source.draft(&source.examples()),
            Err(found) => (None, found),
        }
    }

    /// The mapping for a device with these parameters, and what is wrong with it.
    ///
    /// Errors: as [`Self::parse`].
    pub fn with_params(&self, params: &Params) -> (Option<Self>, Vec<Diagnostic>) {
        self.source.draft(params)
    }

    /// The capability of this key.
    pub fn capability(&self, id: &str) -> Option<&CapabilityDraft> {
        self.capabilities.iter().find(|capability| capability.id.value == id)
    }

    /// Everything that is read and written like a capability: these, and the windows that the device holds.
    pub fn bound(&self) -> impl Iterator<Item = &CapabilityDraft> {
        self.capabilities
            .iter()
            .flat_map(|cap| std::iter::once(cap).chain(cap.held.iter().map(|(_, like)| like)))
    }

    /// Place of the capability of this name: of the same node, else of the device, else with its node.
    pub(crate) fn capability_near(&self, node: Option<NodeId>, name: &str) -> Option<PointId> {
        let near = node.and_then(|node| self.nodes.get(usize::from(node.0)));
        let near = near.map(|node| format!("{}.{name}", node.id.value));
        let find = |wanted: &str| self.capabilities.iter().position(|cap| cap.id.value == wanted);
        let place = near.and_then(|near| find(&near)).or_else(|| find(name))?;
        u16::try_from(place).ok().map(PointId)
    }

    /// Byte and word order of points that have none of their own.
    pub fn order(&self) -> ByteOrder {
        self.modbus.order.map(|order| order.value).unwrap_or_default()
    }

    /// Most registers, coils or discrete inputs in one read: 125 and 2000 unless the file says less.
    pub fn max_read(&self) -> PerTable {
        self.modbus.max_read.filled(ModbusOptions::default().max_read)
    }

    /// Unwanted registers or bits that may be read along, none unless the file says so.
    pub fn max_gap(&self) -> PerTable {
        self.modbus.max_gap.filled(PerTable::default())
    }
}

impl CapabilityDraft {
    /// One that says nothing yet.
    pub(crate) fn empty(id: At<String>) -> Self {
        Self {
            id,
            node: None,
            class: None,
            kind: None,
            unit: None,
            name: None,
            description: None,
            read: None,
            values: Vec::new(),
            write: None,
            poll: None,
            valid: None,
            min: None,
            max: None,
            step: None,
            steps: None,
            deadband: None,
            low: None,
            high: None,
            monotonic: None,
            sensitivity: None,
            hold: None,
            rest: None,
            held: Vec::new(),
            max_age: None,
            serve_stale: None,
        }
    }

    /// Where it is read; `None` without a usable `read`.
    pub fn read_point(&self, draft: &MappingDraft) -> Option<ModbusPoint> {
        self.read.as_ref()?.point.at.resolve(None, draft.order())
    }

    /// Where each of its numbers is read: those of `values`, or the one of `read`.
    pub fn read_points(&self, draft: &MappingDraft) -> Vec<ModbusPoint> {
        let values = self.values.iter().map(|(_, read)| read);
        values.chain(&self.read).filter_map(|read| read.point.at.resolve(None, draft.order())).collect()
    }

    /// Where it is written: `write` with what it leaves to `read`; `None` without a usable `write`.
    pub fn write_point(&self, draft: &MappingDraft) -> Option<ModbusPoint> {
        let inherited = self.read_point(draft);
        self.write.as_ref()?.point.at.resolve(inherited, draft.order())
    }
}
