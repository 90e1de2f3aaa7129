//! Taking back what a unit has done: what Services held before is remembered, written back, and what stays is named.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::usp::delete_resp::DeletedObjectResult;
use usp_proto::usp::delete_resp::deleted_object_result::operation_status::OperStatus as DeleteStatus;
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::set_resp::updated_object_result::operation_status::OperStatus as SetStatus;
use usp_proto::usp::set_resp::{UpdatedInstanceResult, UpdatedObjectResult};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::answers::{in_place, may_be_done};
use super::{Step, Unit, UnitKind};
use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::{DeviceOutcome, ServiceFault};
use crate::request::check::Effect;
use crate::request::param_error;

/// Bytes of paths that a fault names: it may be told of each entry of a request.
const MOST_LISTED: usize = 8192;

/// What one result of an answer is about when a change is taken back.
#[derive(Clone, Debug)]
pub(super) struct Undone {
    path: String,
    /// What stays changed if it fails.
    changed: Vec<String>,
}

/// Paths, or as many as there is room for and how many more there are.
fn listed(paths: &[&str]) -> String {
    let mut bytes = 0;
    let has_room = |path: &&&str| {
        bytes += path.len() + 2;
        bytes <= MOST_LISTED
    };
    let named: Vec<&str> = paths.iter().take_while(has_room).copied().collect();
    match paths.len() - named.len() {
        0 => named.join(", "),
        more if named.is_empty() => format!("{more} paths"),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

impl Unit {
    /// What a Service holds now. If it cannot be known, the unit fails before anything is sent: it could not be taken back.
    pub(super) fn remember(
        &mut self,
        service: ServiceId,
        name: &str,
        outcome: Result<RespType, ServiceFault>,
        kind: &mut UnitKind,
    ) {
        let results = match outcome {
            Ok(RespType::GetResp(response)) => response.req_path_results,
            Ok(_) => {
                let text = format!("Service {name} answered a Get with something else");
                return self.fail(Fault::new(ErrCode::INTERNAL_ERROR, text), Vec::new());
            }
            // What it names are questions of ours, and not the request's.
            Err(error) => {
                let error = ServiceFault { params: Vec::new(), ..error };
                return self.refused_by(service, name, error, kind);
            }
        };
        // What is not there and need not be set is not missed.
        let needed = |path: &str| self.is_needed(service, path);
        let missed = results.iter().filter(|r| r.err_code != 0 && needed(&r.requested_path)).map(|r| {
            let fault = Fault::new(crate::gather::failed(r.err_code), r.err_msg.clone());
            (&r.requested_path, fault.shortened().about(format!("Service {name}")))
        });
        let missed: Vec<(&String, Fault)> = missed.collect();
        if let Some((_, first)) = missed.first() {
            // R-SET.1
            let params = missed.iter().map(|(path, fault)| param_error(path.as_str(), fault)).collect();
            return self.fail(first.clone(), params);
        }
        self.held.take(service, results);
    }

    /// Whether a Parameter is set there by a setting that must not fail.
    fn is_needed(&self, service: ServiceId, path: &str) -> bool {
        self.of_service(service).any(|(_, step)| match step {
            Step::SetAtService { object, .. } => {
                let param = path.strip_prefix(&*object.obj_path);
                object.param_settings.iter().any(|s| s.required && Some(&*s.param) == param)
            }
            _ => false,
        })
    }

    /// A Service did not answer: what it was asked may be done. What it held is written back; rows that it may have made
    /// or deleted cannot be found, so they are named, and so is what cannot be written back.
    pub(super) fn doubt_service(&mut self, service: ServiceId) {
        self.done_services.push(service);
        self.doubted.insert(service);
        let unknown = self.of_service(service).filter_map(|(_, step)| match step {
            Step::AddAtService { object, .. } => Some(object.obj_path.clone()),
            Step::DeleteAtService { path, .. } => Some(path.clone()),
            _ => None,
        });
        let unknown: Vec<String> = unknown.chain(self.held.unread_at(service)).collect();
        self.unsure.extend(unknown.iter().cloned());
        self.stayed.extend(unknown);
    }

    /// What the fault says of changes that were not taken back.
    pub(super) fn what_stayed(&self) -> String {
        let (unsure, sure): (Vec<&str>, Vec<&str>) =
            self.stayed.iter().map(String::as_str).partition(|path| self.unsure.contains(*path));
        let parts = [("stayed changed", sure), ("may have stayed changed", unsure)];
        let told = parts.into_iter().filter(|(_, paths)| !paths.is_empty());
        told.map(|(what, paths)| format!("; {what}: {}", listed(&paths))).collect()
    }

    /// One Message to each Service: what it held is written back, or rows that it made are deleted. With each, what the
    /// results of its answer are about.
    pub(super) fn undo_requests(&mut self) -> Vec<(ServiceId, Vec<Undone>, ReqType)> {
        self.stayed.append(&mut self.deleted_at_services);
        let done = std::mem::take(&mut self.done_services);
        let objects = self.held.give_back(&done);
        let mut rows: BTreeMap<ServiceId, Vec<String>> = BTreeMap::new();
        for (service, path) in std::mem::take(&mut self.created_at_services) {
            rows.entry(service).or_default().push(path);
        }
        let sets = objects.into_iter().map(|(service, objects)| {
            let undone = objects.iter().map(|(object, params)| Undone {
                path: object.clone(),
                changed: params.iter().map(|(param, _)| format!("{object}{param}")).collect(),
            });
            let undone: Vec<Undone> = undone.collect();
            if self.doubted.contains(&service) {
                self.unsure.extend(undone.iter().flat_map(|undone| undone.changed.iter().cloned()));
            }
            let update_objs = objects.into_iter().map(write_back).collect();
            (service, undone, ReqType::Set(usp::Set { allow_partial: true, update_objs }))
        });
        let deletes = rows.into_iter().map(|(service, obj_paths)| {
            let undone = obj_paths.iter().map(|row| Undone { path: row.clone(), changed: vec![row.clone()] });
            let undone = undone.collect();
            (service, undone, ReqType::Delete(usp::Delete { allow_partial: true, obj_paths }))
        });
        sets.chain(deletes).collect()
    }

    /// What a Service did not take back stays changed, and so does what it says nothing about.
    pub(super) fn take_undone_at(&mut self, undone: Vec<Undone>, outcome: Result<RespType, ServiceFault>) {
        let paths: Vec<&str> = undone.iter().map(|undone| undone.path.as_str()).collect();
        if outcome.as_ref().is_err_and(|error| error.doubtful) {
            self.unsure.extend(undone.iter().flat_map(|undone| undone.changed.iter().cloned()));
        }
        let left: Vec<Option<Vec<String>>> = match outcome {
            Ok(RespType::SetResp(response)) => {
                let results = in_place(&paths, response.updated_obj_results, |r| &r.requested_path);
                results.iter().map(|result| not_set(result.as_ref()?)).collect()
            }
            Ok(RespType::DeleteResp(response)) => {
                let results = in_place(&paths, response.deleted_obj_results, |r| &r.requested_path);
                results.iter().map(|result| not_deleted(result.as_ref()?)).collect()
            }
            _ => Vec::new(),
        };
        let mut left = left.into_iter();
        for Undone { changed, .. } in undone {
            match left.next().flatten() {
                Some(failed) => self.stayed.extend(changed.into_iter().filter(|p| failed.contains(p))),
                None => self.stayed.extend(changed),
            }
        }
    }

    /// Writes that take confirmed ones back, where the mapping allows; the others stay changed.
    pub(super) fn undo_writes(&mut self, broker: &Broker) -> BTreeMap<u32, Vec<Effect>> {
        let mut back: BTreeMap<u32, Vec<Effect>> = BTreeMap::new();
        for effect in std::mem::take(&mut self.written) {
            match self.undo_of(broker, &effect) {
                Some(undo @ Effect::Write { device, .. }) => back.entry(device).or_default().push(undo),
                _ => self.stayed.push(broker.path_of(&effect)),
            }
        }
        back
    }

    pub(super) fn take_undone(&mut self, broker: &mut Broker, effects: Vec<Effect>, outcome: &DeviceOutcome) {
        for (order, effect) in effects.into_iter().enumerate() {
            let reading = outcome.as_ref().ok().and_then(|r| r.get(order));
            let age = reading.and_then(|reading| reading.freshness.age).unwrap_or_default();
            let fault = match (reading.map(|r| &r.result), outcome) {
                (Some(Ok(value)), _) => {
                    broker.take_written(&effect, value.clone(), age);
                    continue;
                }
                (Some(Err(fault)), _) | (None, Err(fault)) => Some(fault),
                (None, Ok(_)) => None,
            };
            if let Some(fault) = fault {
                broker.take_failed_write(&effect, fault);
            }
            let path = broker.path_of(&effect);
            if fault.is_none_or(may_be_done) {
                self.unsure.insert(path.clone());
            }
            self.stayed.push(path);
        }
    }
}

/// The values that an object held.
fn write_back((obj_path, params): (String, Vec<(String, String)>)) -> UpdateObject {
    let setting = |(param, value)| UpdateParamSetting { param, value, required: false };
    UpdateObject { obj_path, param_settings: params.into_iter().map(setting).collect() }
}

/// Parameters that were not written back; `None`: none was.
fn not_set(result: &UpdatedObjectResult) -> Option<Vec<String>> {
    match result.oper_status.as_ref()?.oper_status.as_ref()? {
        SetStatus::OperSuccess(success) => {
            let of = |i: &UpdatedInstanceResult| {
                let path = i.affected_path.clone();
                i.param_errs.iter().map(|e| format!("{path}{}", e.param)).collect::<Vec<_>>()
            };
            Some(success.updated_inst_results.iter().flat_map(of).collect())
        }
        SetStatus::OperFailure(_) => None,
    }
}

/// Rows that were not deleted; `None`: none was.
fn not_deleted(result: &DeletedObjectResult) -> Option<Vec<String>> {
    match result.oper_status.as_ref()?.oper_status.as_ref()? {
        DeleteStatus::OperSuccess(success) => {
            Some(success.unaffected_path_errs.iter().map(|e| e.unaffected_path.clone()).collect())
        }
        DeleteStatus::OperFailure(_) => None,
    }
}

impl Unit {
    /// The write that restores what a capability showed before, where its mapping says `undo: true` and it was known.
    fn undo_of(&self, broker: &Broker, effect: &Effect) -> Option<Effect> {
        let Effect::Write { device, point, at, name, .. } = effect else { return None };
        let state = broker.model.devices.get(*device)?;
        let write = state.mapping.model(*point)?.write.as_ref()?;
        let shown = self.shown.iter().find(|(shown, param, _)| shown == at && param == name);
        let (_, _, value) = shown.filter(|_| write.undo)?;
        Some(Effect::Write {
            device: *device,
            point: *point,
            value: value.clone(),
            at: at.clone(),
            name: name.clone(),
        })
    }

    /// What capabilities show before they are written: only a good reading is worth going back to.
    pub(super) fn note_shown(&mut self, broker: &Broker) {
        let written = self.steps.iter().filter_map(|(_, step)| match step {
            Step::Effect(Effect::Write { at, name, .. }) => Some((at, name)),
            _ => None,
        });
        let shown = written
            .filter_map(|(at, name)| Some((at.clone(), name.clone(), broker.present_value(at, name)?)));
        self.shown = shown.collect();
    }
}

impl Broker {
    pub(super) fn path_of(&self, effect: &Effect) -> String {
        format!("{}{}", self.model.path(effect.at()), effect.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_be_named_is_counted() {
        let long = "x".repeat(3000);
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&[&long, "b", &long, &long, "c"]), format!("{long}, b, {long} and 2 more"));
        assert_eq!(listed(&[&long.repeat(3), "b"]), "2 paths");
    }
}
