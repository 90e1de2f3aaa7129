//! What owners answer to a unit, spread over the entries that it is for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use usp_mapping::port::DeviceFault;
use usp_proto::err_code::ErrCode;
use usp_proto::usp::add_resp::CreatedObjectResult;
use usp_proto::usp::response::RespType;

use super::{Phase, Step, Unit, UnitKind};
use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::{DeviceOutcome, ServiceFault};
use crate::request::Origin;
use crate::request::add::AddItem;
use crate::request::check::Effect;
use crate::request::delete::DeleteEntry;
use crate::request::operated::is_search;

/// So often a Service is asked again for the rest of what it has refused.
const MOST_AGAIN: u32 = 8;

impl Unit {
    /// A Service's answer, spread over the entries that it is for.
    pub(super) fn take_service(
        &mut self,
        service: ServiceId,
        name: &str,
        outcome: Result<RespType, ServiceFault>,
        kind: &mut UnitKind,
    ) {
        let entries: Vec<(usize, String)> =
            self.of_service(service).map(|(entry, step)| (*entry, step.path())).collect();
        // An Add or Delete of one entry: success and failure side by side are the answer, and nothing is taken back.
        let as_it_is = self.apart || (kind.allow_partial() && !matches!(kind, UnitKind::Set { .. }));
        let failed = match (&mut *kind, outcome) {
            (UnitKind::Set { entries: all, .. }, Ok(RespType::SetResp(response))) => {
                let results = response.updated_obj_results;
                self.note_set(service, &results);
                give(&entries, results, |r| &r.requested_path, |i, r| all.get_mut(i)?.take(r))
            }
            (UnitKind::Add { items, .. }, Ok(RespType::AddResp(response))) => {
                let created = crate::request::add::created_paths(&response);
                self.created_at_services.extend(created.map(|path| (service, path)));
                give_added(&entries, response.created_obj_results, items)
            }
            (UnitKind::Delete { entries: all, .. }, Ok(RespType::DeleteResp(response))) => {
                let results = response.deleted_obj_results;
                let failed = give(&entries, results, |r| &r.requested_path, |i, r| all.get_mut(i)?.take(r));
                let gone = entries.iter().filter_map(|(entry, _)| all.get(*entry));
                self.deleted_at_services.extend(gone.flat_map(DeleteEntry::deleted_at_service).cloned());
                failed
            }
            (_, Ok(_)) => {
                let text = format!("Service {name} answered with something else");
                return self.fail(Fault::new(ErrCode::INTERNAL_ERROR, text), Vec::new());
            }
            (_, Err(error)) => {
                if error.doubtful && self.is_mixed() {
                    self.doubt_service(service);
                }
                if self.goes_on_without(service, name, &error, kind) {
                    return;
                }
                return self.refused_by(service, name, error, kind);
            }
        };
        self.done_services.push(service);
        if let Some(fault) = failed.filter(|_| !as_it_is) {
            self.fail(fault.shortened().about(format!("Service {name}")), Vec::new());
        }
    }

    /// A Service has refused all that it was asked for: what it names is to blame, or else all that it was asked for.
    pub(super) fn refused_by(
        &mut self,
        service: ServiceId,
        name: &str,
        error: ServiceFault,
        kind: &mut UnitKind,
    ) {
        let fault = error.fault.about(format!("Service {name}"));
        for (entry, step) in self.of_service(service) {
            if !kind.blame_named(*entry, step, &fault, &error.params) && error.params.is_empty() {
                kind.blame(*entry, step, &fault);
            }
        }
        self.fail(fault, error.params);
    }

    /// An Error to several entries that hold or fail each by itself is about one that means several objects (R-SET.2a):
    /// about those that it names, else about all such. They fail, and the Service is asked for the others once more
    /// (R-SET.0). `false`: it is about all of them.
    fn goes_on_without(
        &mut self,
        service: ServiceId,
        name: &str,
        error: &ServiceFault,
        kind: &mut UnitKind,
    ) -> bool {
        if !self.apart
            || !matches!(kind, UnitKind::Set { .. })
            || error.may_pass()
            || self.again >= MOST_AGAIN
        {
            return false;
        }
        let fault = error.fault.clone().about(format!("Service {name}"));
        let named = |(_, step): &&(usize, Step)| kind.names(step, &error.params);
        let mut guilty: Vec<usize> =
            self.of_service(service).filter(named).map(|(entry, _)| *entry).collect();
        if guilty.is_empty() {
            let searches = self.of_service(service).filter(|(_, step)| is_search(&step.path()));
            guilty = searches.map(|(entry, _)| *entry).collect();
        }
        if guilty.is_empty() || guilty.len() == self.steps.len() {
            return false;
        }
        for (entry, step) in self.steps.iter().filter(|(entry, _)| guilty.contains(entry)) {
            if !kind.blame_named(*entry, step, &fault, &error.params) {
                kind.blame(*entry, step, &fault);
            }
        }
        self.entries.retain(|entry| !guilty.contains(entry));
        self.steps.retain(|(entry, _)| !guilty.contains(entry));
        self.again += 1;
        self.phase = Phase::Services;
        true
    }

    pub(super) fn take_device(
        &mut self,
        broker: &mut Broker,
        device: u32,
        outcome: &DeviceOutcome,
        kind: &mut UnitKind,
    ) {
        let id = broker.model.devices.get(device).map_or(String::new(), |d| d.id.to_string());
        let effects: Vec<(usize, Effect)> = self
            .steps
            .iter()
            .filter(|(_, s)| s.device() == Some(device))
            .filter_map(|(i, s)| match s {
                Step::Effect(effect) => Some((*i, effect.clone())),
                _ => None,
            })
            .collect();
        for (order, (entry, effect)) in effects.into_iter().enumerate() {
            let of = outcome.as_ref().map(|results| results.get(order));
            let age = of.ok().flatten().and_then(|reading| reading.freshness.age).unwrap_or_default();
            let result = match of {
                Err(fault) => Err(fault.clone()),
                Ok(reading) => reading.map_or(Err(DeviceFault::Unknown), |reading| reading.result.clone()),
            };
            match result {
                Ok(value) => {
                    broker.take_written(&effect, value, age);
                    self.written.push(effect);
                }
                Err(fault) => {
                    broker.take_failed_write(&effect, &fault);
                    if self.steps.len() > 1 && may_be_done(&fault) {
                        self.unsure.insert(broker.path_of(&effect));
                        self.written.push(effect.clone());
                    }
                    let fault = Fault::from_device_write(&id, &fault);
                    if let UnitKind::Set { entries, .. } = kind
                        && let Some(entry) = entries.get_mut(entry)
                    {
                        entry.fail(&fault, Some(&effect));
                    }
                    self.fail(fault, Vec::new());
                }
            }
        }
    }

    pub(super) fn apply_own(
        &mut self,
        broker: &mut Broker,
        origin: &Origin,
        kind: &mut UnitKind,
    ) -> Result<(), Fault> {
        let mut touched = BTreeSet::new();
        for (entry, step) in &self.steps {
            match step {
                Step::Effect(Effect::Store { at, name, value }) => {
                    if !broker.model.exists(at) {
                        let text = format!("{} was deleted meanwhile", broker.model.path(at));
                        return Err(Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, text));
                    }
                    broker.model.rows.set(at, name, value.clone());
                    touched.insert(at.clone());
                }
                Step::Create(creation) => {
                    let UnitKind::Add { items, .. } = kind else { continue };
                    let Some(item) = items.get_mut(*entry) else { continue };
                    match broker.create(origin, creation) {
                        Ok(created) => item.created(created),
                        Err(refusal) => {
                            let fault = refusal.fault.clone();
                            item.refuse(refusal);
                            return Err(fault);
                        }
                    }
                }
                Step::Remove(at) => broker.remove_row(at),
                _ => {}
            }
        }
        for at in touched {
            if let Err(clash) = broker.model.check_keys(&at) {
                if let UnitKind::Set { entries, .. } = kind
                    && let Some((entry, effect)) =
                        entries.iter_mut().find_map(|e| e.effect_on(&at, &clash.params).map(|f| (e, f)))
                {
                    entry.fail(&clash.fault, Some(&effect));
                }
                return Err(clash.fault);
            }
            broker.settle_row(&at);
        }
        Ok(())
    }
}

/// Whether a write that failed like this may have reached the device all the same.
pub(super) fn may_be_done(fault: &DeviceFault) -> bool {
    matches!(
        fault,
        DeviceFault::Timeout(_)
            | DeviceFault::NotConfirmed { .. }
            | DeviceFault::Garbled(_)
            | DeviceFault::Unsettled(_)
            | DeviceFault::Stopping
    )
}

/// Gives each entry its one result. What is left out has failed. The first failure is given back.
fn give<R>(
    entries: &[(usize, String)],
    results: Vec<R>,
    path_of: impl Fn(&R) -> &String,
    mut take: impl FnMut(usize, Option<R>) -> Option<Fault>,
) -> Option<Fault> {
    let paths: Vec<&str> = entries.iter().map(|(_, path)| path.as_str()).collect();
    let matched = in_place(&paths, results, |result| path_of(result));
    entries.iter().zip(matched).fold(None, |first, ((entry, _), result)| {
        let fault = take(*entry, result);
        first.or(fault)
    })
}

/// The results in the order of the paths that they are for, those for one path as they came. One that names none of them may
/// write the path differently: it is taken by its place, unless results are missing.
pub(super) fn in_place<R>(paths: &[&str], results: Vec<R>, path_of: impl Fn(&R) -> &str) -> Vec<Option<R>> {
    let complete = results.len() == paths.len();
    let mut known: BTreeMap<&str, VecDeque<R>> = paths.iter().map(|path| (*path, VecDeque::new())).collect();
    let mut strange = VecDeque::new();
    for result in results {
        match known.get_mut(path_of(&result)) {
            Some(same) => same.push_back(result),
            None => strange.push_back(result),
        }
    }
    let found: Vec<Option<R>> =
        paths.iter().map(|path| known.get_mut(path).and_then(VecDeque::pop_front)).collect();
    let mut by_place = || strange.pop_front().filter(|_| complete);
    found.into_iter().map(|result| result.or_else(&mut by_place)).collect()
}

/// Gives results to the items with their path: one each, and the rest to the last of them, because a search path can make
/// several. An item without a search that got none failed.
fn give_added(
    entries: &[(usize, String)],
    results: Vec<CreatedObjectResult>,
    items: &mut [AddItem],
) -> Option<Fault> {
    let entries: Vec<usize> = entries.iter().map(|(entry, _)| *entry).collect();
    let mut first = None;
    for result in results {
        let fits = |items: &[AddItem], i: &usize| items.get(*i).is_some_and(|item| item.is_for(&result));
        let fresh = entries.iter().find(|i| fits(items, i) && items.get(**i).is_some_and(AddItem::is_open));
        let chosen = fresh.or_else(|| entries.iter().rfind(|i| fits(items, i))).copied();
        let fault = chosen.and_then(|i| items.get_mut(i)).and_then(|item| item.take_service_result(result));
        first = first.or(fault);
    }
    for index in entries {
        let left_out = items.get_mut(index).and_then(AddItem::left_out);
        first = first.or(left_out);
    }
    first
}
