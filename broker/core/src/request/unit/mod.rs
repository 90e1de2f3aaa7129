//! All-or-nothing over several owners, for Set, Add and Delete.
//!
//! A unit is one entry of a request, or the whole of it with allow_partial=false. Everything that can be known was
//! checked before a unit begins. Its phases: remember what Services hold now (only if taking back may be needed), then
//! Services, then those whose values cannot be written back, one after another, then devices, then the broker's own rows
//! with the store. When one refuses, what was done is taken back: rows created at Services are deleted, Parameters set
//! there are written back, devices are written back only where their mapping says `undo: true`. What stays changed is
//! named in the fault.

mod answers;
mod devices;
mod foreign;
mod held;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_mapping::port::{Action, PointId};
use usp_mapping::value::Value;
use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;
use usp_proto::usp::{self, add::CreateObject, error::ParamError, request::ReqType, set::UpdateObject};

use super::Origin;
use super::add::AddItem;
use super::budget::Budget;
use super::check::Effect;
use super::create::Creation;
use super::delete::DeleteEntry;
use super::set::{Named, SetEntry};
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply};
use crate::input::ConnId;
use crate::services::creations::Adding;
use crate::time::Mono;
use held::Held;
use undo::Undone;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Set a Parameter of ours or of a device.
    Effect(Effect),
    /// Set at a Service.
    SetAtService { service: ServiceId, object: UpdateObject },
    /// Make a row of ours.
    Create(Creation),
    /// Add at a Service.
    AddAtService { service: ServiceId, object: CreateObject },
    /// Delete a row of ours.
    Remove(ObjRef),
    /// Delete at a Service.
    DeleteAtService { service: ServiceId, path: String },
}

impl Step {
    fn service(&self) -> Option<ServiceId> {
        match self {
            Self::SetAtService { service, .. }
            | Self::AddAtService { service, .. }
            | Self::DeleteAtService { service, .. } => Some(*service),
            Self::Effect(_) | Self::Create(_) | Self::Remove(_) => None,
        }
    }

    /// What a Service is asked for.
    fn path(&self) -> String {
        match self {
            Self::SetAtService { object, .. } => object.obj_path.clone(),
            Self::AddAtService { object, .. } => object.obj_path.clone(),
            Self::DeleteAtService { path, .. } => path.clone(),
            Self::Effect(_) | Self::Create(_) | Self::Remove(_) => String::new(),
        }
    }

    fn device(&self) -> Option<u32> {
        match self {
            Self::Effect(Effect::Write { device, .. }) => Some(*device),
            _ => None,
        }
    }
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Services,
    /// Services that hold what cannot be read, and so cannot be written back.
    LastServices,
    Devices,
    Own,
    Stored,
    Undo,
    Done,
}

/// Steps that hold or fail together, each with the entry that it belongs to.
#[derive(Debug)]
pub(crate) struct Unit {
    entries: Vec<usize>,
    steps: Vec<(usize, Step)>,
    phase: Phase,
    fault: Option<Fault>,
    params: Vec<ParamError>,
    /// What Services held before.
    held: Held,
    done_services: Vec<ServiceId>,
    created_at_services: Vec<(ServiceId, String)>,
    /// Rows that Services have deleted: they cannot be restored.
    deleted_at_services: Vec<String>,
    /// Entries of one Service that hold or fail each by itself: one Message carries them all.
    apart: bool,
    /// How often it was asked again for what an Error was not about.
    again: u32,
    /// When a Service was first asked to change something.
    asked_at: Option<Mono>,
    /// Device writes that were confirmed.
    written: Vec<Effect>,
    stayed: Vec<String>,
    /// What of this was perhaps never changed, or is perhaps taken back: who was asked did not say.
    unsure: BTreeSet<String>,
    /// Services that did not say whether they did what they were asked.
    doubted: BTreeSet<ServiceId>,
    /// What capabilities showed before they were written.
    shown: Vec<(ObjRef, Name, Value)>,
}

impl Unit {
    pub(crate) fn new(entries: Vec<usize>, steps: Vec<(usize, Step)>) -> Self {
        Self {
            entries,
            steps,
            phase: Phase::Before,
            fault: None,
            params: Vec::new(),
            held: Held::default(),
            done_services: Vec::new(),
            created_at_services: Vec::new(),
            deleted_at_services: Vec::new(),
            apart: false,
            again: 0,
            asked_at: None,
            written: Vec::new(),
            stayed: Vec::new(),
            unsure: BTreeSet::new(),
            doubted: BTreeSet::new(),
            shown: Vec::new(),
        }
    }

    /// Each entry by itself. What one Service alone is to do for several of them goes to it in one Message, in their
    /// order, because it treats them apart as well.
    pub(crate) fn apart(entries: impl Iterator<Item = (usize, Vec<(usize, Step)>)>) -> Vec<Self> {
        let mut units: Vec<Self> = Vec::new();
        let mut shared: BTreeMap<ServiceId, usize> = BTreeMap::new();
        for (entry, steps) in entries {
            let [(_, step)] = steps.as_slice() else {
                units.push(Self::new(vec![entry], steps));
                continue;
            };
            let Some(service) = step.service() else {
                units.push(Self::new(vec![entry], steps));
                continue;
            };
            let index = *shared.entry(service).or_insert(units.len());
            match units.get_mut(index) {
                Some(unit) => {
                    unit.entries.push(entry);
                    unit.steps.extend(steps);
                }
                None => units.push(Self { apart: true, ..Self::new(vec![entry], steps) }),
            }
        }
        units
    }

    fn services(&self) -> Vec<ServiceId> {
        distinct(self.steps.iter().filter_map(|(_, s)| s.service()))
    }

    fn devices(&self) -> Vec<u32> {
        distinct(self.steps.iter().filter_map(|(_, s)| s.device()))
    }

    fn has_own(&self) -> bool {
        self.steps.iter().any(|(_, s)| s.service().is_none() && s.device().is_none())
    }

    fn of_service(&self, service: ServiceId) -> impl Iterator<Item = &(usize, Step)> {
        self.steps.iter().filter(move |(_, s)| s.service() == Some(service))
    }

    /// Several owners, so that one may refuse after another has done its part.
    fn is_mixed(&self) -> bool {
        self.services().len() + self.devices().len() + usize::from(self.has_own()) > 1
    }

    fn fail(&mut self, fault: Fault, params: Vec<ParamError>) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.params = params;
        }
    }
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut found, item| {
        if !found.contains(&item) {
            found.push(item);
        }
        found
    })
}

/// The request that units belong to.
pub(crate) enum UnitKind {
    /// `details`: room for what Errors of Services name.
    Set {
        allow_partial: bool,
        entries: Vec<SetEntry>,
        details: Budget,
    },
    Add {
        allow_partial: bool,
        items: Vec<AddItem>,
    },
    Delete {
        allow_partial: bool,
        entries: Vec<DeleteEntry>,
    },
}

/// What a leg is for.
#[derive(Clone, Debug)]
enum What {
    Before(ServiceId),
    Service(ServiceId),
    Device(u32),
    Store,
    /// What each result of the answer is about.
    UndoService(Vec<Undone>),
    UndoDevice(Vec<Effect>),
}

/// Set, Add or Delete under way.
pub(crate) struct UnitJob {
    origin: Origin,
    kind: UnitKind,
    units: Vec<Unit>,
    asks: Vec<(usize, What)>,
    /// Services that make rows for it.
    adding: Vec<(ServiceId, Adding)>,
    /// How long devices may need for what units of it asked of them and is not answered yet.
    busy: BTreeMap<u32, Duration>,
}

impl UnitJob {
    pub(crate) fn new(origin: Origin, kind: UnitKind, units: Vec<Unit>) -> Self {
        Self { origin, kind, units, asks: Vec::new(), adding: Vec::new(), busy: BTreeMap::new() }
    }
}

impl Job for UnitJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let Some((index, what)) = self.asks.get(tag).cloned() else { return };
        let Some(unit) = self.units.get_mut(index) else { return };
        match (what, reply) {
            (What::Before(service), LegReply::Service(outcome)) => {
                let name = broker.services.name(service);
                unit.remember(service, &name, outcome, &mut self.kind);
            }
            (What::Service(service), LegReply::Service(mut outcome)) => {
                let name = broker.services.name(service);
                foreign::keep_own(&broker.services, &broker.model, service, &mut outcome);
                unit.take_service(service, &name, outcome, &mut self.kind);
            }
            (What::Device(device), LegReply::Device(outcome)) => {
                unit.take_device(broker, device, &outcome, &mut self.kind);
            }
            (What::Store, LegReply::Stored(Err(fault))) => unit.fail(fault, Vec::new()),
            (What::UndoService(undone), LegReply::Service(outcome)) => unit.take_undone_at(undone, outcome),
            (What::UndoDevice(effects), LegReply::Device(outcome)) => {
                unit.take_undone(broker, effects, &outcome);
            }
            _ => {}
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let asked_before = self.asks.len();
        self.busy.clear();
        for index in 0..self.units.len() {
            self.run_unit(broker, id, index);
        }
        if self.asks.len() > asked_before {
            return Some(self);
        }
        self.finish(broker);
        None
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }

    /// What is to be taken back is not cut short.
    fn until(&self) -> Option<Mono> {
        self.origin.terms.filter(|_| self.asks.is_empty()).map(|terms| terms.answer)
    }
}

impl UnitJob {
    /// Takes one unit as far as it goes without waiting.
    fn run_unit(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        loop {
            let waits_from = self.asks.len();
            let Some(unit) = self.units.get_mut(index) else { return };
            if unit.fault.is_some() && !matches!(unit.phase, Phase::Undo | Phase::Done) {
                unit.phase = Phase::Undo;
            }
            let phase = unit.phase;
            match phase {
                Phase::Before => self.ask_before(broker, id, index),
                Phase::Services => self.ask_services(broker, id, index),
                Phase::LastServices => self.ask_last_service(broker, id, index),
                Phase::Devices => self.ask_devices(broker, id, index),
                Phase::Own => self.do_own(broker, id, index),
                Phase::Stored => {}
                Phase::Undo => self.undo(broker, id, index),
                Phase::Done => return,
            }
            if let Some(unit) = self.units.get_mut(index) {
                unit.phase = match phase {
                    Phase::Before => Phase::Services,
                    Phase::Services => Phase::LastServices,
                    Phase::LastServices if unit.held.has_last() => Phase::LastServices,
                    Phase::LastServices => Phase::Devices,
                    Phase::Devices => Phase::Own,
                    Phase::Own => Phase::Stored,
                    Phase::Stored | Phase::Undo | Phase::Done => Phase::Done,
                };
            }
            if self.asks.len() > waits_from {
                return;
            }
        }
    }

    fn ask(&mut self, index: usize, what: What) -> usize {
        self.asks.push((index, what));
        self.asks.len() - 1
    }

    /// Reads what Services hold now, if it may have to be written back.
    fn ask_before(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        if broker.config.limits.refuse_multi_device_atomic && unit.devices().len() > 1 {
            let text =
                "more than one device in an all-or-nothing request (limits.multi_device_atomic = \"refuse\")";
            return unit.fail(Fault::new(ErrCode::RESOURCES_EXCEEDED, text), Vec::new());
        }
        if !unit.is_mixed() {
            return;
        }
        for (service, param_paths) in unit.note_settings(&broker.model) {
            let tag = self.ask(index, What::Before(service));
            broker.ask_service(id, tag, service, ReqType::Get(usp::Get { param_paths, max_depth: 0 }));
        }
    }

    fn ask_services(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        let services = unit.services();
        unit.held.put_off(&services);
        let first: Vec<ServiceId> = services.into_iter().filter(|s| !unit.held.is_last(*s)).collect();
        first.into_iter().for_each(|service| self.ask_to_change(broker, id, index, service));
    }

    /// Each by itself: whoever refuses has changed nothing, and at most those before it stay changed.
    fn ask_last_service(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let next = self.units.get_mut(index).and_then(|unit| unit.held.next_last());
        next.into_iter().for_each(|service| self.ask_to_change(broker, id, index, service));
    }

    fn ask_to_change(&mut self, broker: &mut Broker, id: JobId, index: usize, service: ServiceId) {
        let apart = self.kind.allow_partial();
        let Some(unit) = self.units.get_mut(index) else { return };
        let Some(request) = unit.request_to(service, apart) else { return };
        let (now, within) = (broker.model.now.monotonic, broker.config.limits.service_timeout);
        let asked_at = *unit.asked_at.get_or_insert(now);
        // Asked again, it has no more time than if it had answered at once.
        let terms = self.origin.terms.as_ref().map(|terms| terms.answer);
        let latest = (unit.again > 0).then(|| terms.unwrap_or(asked_at + within));
        let tag = self.ask(index, What::Service(service));
        if matches!(request, ReqType::Add(_)) {
            self.adding.push((service, broker.begin_adding(service)));
        }
        broker.ask_service_until(id, tag, service, request, within, latest);
    }

    /// The broker's own rows come last, because nothing can refuse them any more but the store.
    fn do_own(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        // That a row is absent is a promise too, while the change that took it away is on its way to disk.
        let is_absence = unit.steps.is_empty() && matches!(self.kind, UnitKind::Delete { .. });
        if !unit.has_own() && !is_absence {
            return;
        }
        let savepoint = broker.model.rows.savepoint();
        let result = unit.apply_own(broker, &self.origin, &mut self.kind);
        match result.and_then(|()| broker.check_flood(&self.origin, savepoint)) {
            Ok(()) => {
                let tag = self.ask(index, What::Store);
                broker.ask_store(id, tag);
            }
            Err(fault) => {
                broker.model.rows.rollback(savepoint);
                unit.fail(fault, Vec::new());
            }
        }
    }

    /// Takes back what was done.
    fn undo(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        let requests = unit.undo_requests();
        let writes = unit.undo_writes(broker);
        for (service, undone, request) in requests {
            let tag = self.ask(index, What::UndoService(undone));
            broker.ask_service(id, tag, service, request);
        }
        for (device, effects) in writes {
            let writes: Vec<(PointId, Value)> = effects.iter().filter_map(write_of).collect();
            let within = broker.write_within(device, &writes);
            let tag = self.ask(index, What::UndoDevice(effects));
            broker.ask_device(id, tag, device, Action::Write(writes), within);
        }
    }

    fn finish(mut self, broker: &mut Broker) {
        let mut params = Vec::new();
        for unit in &mut self.units {
            let Some(mut fault) = unit.fault.take() else { continue };
            fault.text.push_str(&unit.what_stayed());
            self.kind.fail_entries(&unit.entries, &fault);
            params.append(&mut unit.params);
        }
        let origin = self.origin;
        match self.kind {
            UnitKind::Set { allow_partial, entries, .. } => {
                broker.finish_set(&origin, entries, allow_partial, params)
            }
            UnitKind::Add { allow_partial, items } => {
                broker.finish_add(&origin, items, allow_partial, params)
            }
            UnitKind::Delete { allow_partial, entries } => {
                broker.finish_delete(&origin, entries, allow_partial, params);
            }
        }
        self.adding.into_iter().for_each(|(service, adding)| broker.end_adding(service, adding));
    }
}

impl UnitKind {
    fn allow_partial(&self) -> bool {
        match self {
            Self::Set { allow_partial, .. }
            | Self::Add { allow_partial, .. }
            | Self::Delete { allow_partial, .. } => *allow_partial,
        }
    }

    /// What a Service has refused of a step, of all Parameters that it names. `false`: none of them is the step's, or there
    /// is no room for more.
    fn blame_named(&mut self, entry: usize, step: &Step, fault: &Fault, params: &[ParamError]) -> bool {
        let Self::Set { entries, details, .. } = self else { return false };
        entries.get_mut(entry).is_some_and(|entry| entry.blame_named(step, fault, params, details))
    }

    /// Whether an Error names Parameters of what a step asks of a Service.
    fn names(&self, step: &Step, params: &[ParamError]) -> bool {
        match (self, step) {
            (Self::Set { details, .. }, Step::SetAtService { object, .. }) => {
                Named::of(object, params, details).next().is_some()
            }
            _ => false,
        }
    }

    /// A Service has refused a step and does not say what of it.
    fn blame(&mut self, entry: usize, step: &Step, fault: &Fault) {
        match self {
            Self::Set { entries, .. } => entries.get_mut(entry).map(|e| e.blame(step, fault)),
            Self::Add { items, .. } => items.get_mut(entry).map(|i| i.blame(fault)),
            Self::Delete { entries, .. } => entries.get_mut(entry).map(|e| e.blame(fault)),
        };
    }

    fn fail_entries(&mut self, indexes: &[usize], fault: &Fault) {
        for index in indexes {
            match self {
                Self::Set { entries, .. } => entries.get_mut(*index).map(|e| e.fail_whole(fault)),
                Self::Add { items, .. } => items.get_mut(*index).map(|i| i.fail(fault)),
                Self::Delete { entries, .. } => entries.get_mut(*index).map(|e| e.fail(fault)),
            };
        }
    }
}

fn write_of(effect: &Effect) -> Option<(PointId, Value)> {
    match effect {
        Effect::Write { point, value, .. } => Some((*point, value.clone())),
        Effect::Store { .. } => None,
    }
}

impl Unit {
    /// One Message to one Service for all that the unit wants of it.
    fn request_to(&self, service: ServiceId, allow_partial: bool) -> Option<ReqType> {
        let (mut set, mut add, mut delete) = (Vec::new(), Vec::new(), Vec::new());
        for (_, step) in self.of_service(service) {
            match step {
                Step::SetAtService { object, .. } => set.push(object.clone()),
                Step::AddAtService { object, .. } => add.push(object.clone()),
                Step::DeleteAtService { path, .. } => delete.push(path.clone()),
                Step::Effect(_) | Step::Create(_) | Step::Remove(_) => {}
            }
        }
        if !set.is_empty() {
            // Several objects of one entry hold or fail together (R-SET.2a).
            let allow_partial = allow_partial && (self.apart || set.len() == 1);
            Some(ReqType::Set(usp::Set { allow_partial, update_objs: set }))
        } else if !add.is_empty() {
            Some(ReqType::Add(usp::Add { allow_partial, create_objs: add }))
        } else if !delete.is_empty() {
            Some(ReqType::Delete(usp::Delete { allow_partial, obj_paths: delete }))
        } else {
            None
        }
    }
}
