//! The answer: a response, or the Error that names what failed.

use std::collections::BTreeMap;

use usp_mapping::port::PointId;
use usp_proto::path::{Leaf, Name};
use usp_proto::usp::set_resp::updated_object_result::{
    OperationStatus,
    operation_status::{OperStatus, OperationFailure, OperationSuccess},
};
use usp_proto::usp::set_resp::{
    ParameterError, UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult,
};
use usp_proto::usp::{self, error::ParamError, response::RespType};

use super::{Failed, SetEntry, Target};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::rows::ObjRef;
use crate::request::check::Effect;
use crate::request::{Origin, param_error, shown};

impl Broker {
    /// allow_partial=false and something failed (R-SET.1): the Error names each failed Parameter.
    pub(super) fn refuse_set(&mut self, origin: &Origin, entries: &[SetEntry], given: Vec<ParamError>) {
        let all = || entries.iter().filter_map(|e| Some((e, e.failed.as_ref()?)));
        let only_along = all().all(|(_, f)| f.along);
        let failed = all().filter(|(_, f)| only_along || !f.along);
        let rights = &origin.rights;
        let given = self.tellable(rights, entries.iter().map(|e| e.requested.as_str()), given);
        let params = match given.is_empty() {
            true => failed.clone().flat_map(|(e, f)| self.error_params(e, f, rights)).collect(),
            false => given,
        };
        let Some((_, first)) = failed.clone().next() else { return };
        let fault = first.fault.clone();
        self.refuse_with(origin, &fault, params);
    }

    /// The response, from what memory says after everything is done.
    pub(crate) fn finish_set(
        &mut self,
        origin: &Origin,
        entries: Vec<SetEntry>,
        allow_partial: bool,
        params: Vec<ParamError>,
    ) {
        if !allow_partial && entries.iter().any(|e| e.failed.is_some()) {
            return self.refuse_set(origin, &entries, params);
        }
        let results = entries.into_iter().flat_map(|e| self.set_results(e, &origin.rights));
        let response = usp::SetResp { updated_obj_results: results.collect() };
        self.respond(origin, RespType::SetResp(response));
    }

    fn set_results(&self, mut entry: SetEntry, rights: &Rights) -> Vec<UpdatedObjectResult> {
        shown::of_set(rights, &mut entry.service);
        // R-GIN.0: what a search found and may not be known of is set, and not told.
        let search = entry.search;
        let hides = |row: &str| search && !self.may_know_object(row, rights);
        if let Some(mut failed) = entry.failed {
            failed.instances.retain(|instance| !hides(&instance.affected_path));
            let status = OperStatus::OperFailure(OperationFailure {
                err_code: failed.fault.code.0,
                err_msg: failed.fault.text,
                updated_inst_failures: failed.instances,
            });
            return vec![updated(entry.requested, status)];
        }
        let told = |target: &Target| !entry.search || self.may_know_row(&target.at, rights);
        let own = entry.targets.iter().filter(|target| told(target)).map(|target| UpdatedInstanceResult {
            updated_params: self.updated_params(target, rights),
            affected_path: target.path.clone(),
            param_errs: target.errors.clone(),
        });
        let mut results: Vec<UpdatedInstanceResult> = own.collect();
        for other in entry.service.iter().flat_map(instances_of).filter(|i| !hides(&i.affected_path)) {
            // An object of ours may have Parameters that a Service serves.
            match results.iter_mut().find(|own| own.affected_path == other.affected_path) {
                Some(own) => {
                    own.updated_params.extend(other.updated_params.clone());
                    own.param_errs.extend(other.param_errs.iter().cloned());
                }
                None => results.push(other.clone()),
            }
        }
        let status = OperStatus::OperSuccess(OperationSuccess { updated_inst_results: results });
        vec![updated(entry.requested, status)]
    }

    /// What an Error says of a failed entry.
    fn error_params(&self, entry: &SetEntry, failed: &Failed, rights: &Rights) -> Vec<ParamError> {
        let of_instance = |i: &UpdatedInstanceFailure| {
            let full = |p: &ParameterError| ParamError {
                param_path: format!("{}{}", i.affected_path, p.param),
                err_code: p.err_code,
                err_msg: p.err_msg.clone(),
            };
            i.param_errs.iter().map(full).collect::<Vec<_>>()
        };
        // R-GIN.0
        let told =
            |i: &&UpdatedInstanceFailure| !entry.search || self.may_know_object(&i.affected_path, rights);
        let params: Vec<ParamError> = failed.instances.iter().filter(told).flat_map(of_instance).collect();
        match params.is_empty() {
            true => vec![param_error(entry.requested.clone(), &failed.fault)],
            false => params,
        }
    }

    /// A secured Parameter reads empty for this Controller.
    fn is_veiled(&self, at: &ObjRef, name: &Name, rights: &Rights) -> bool {
        let secured = |p: &crate::dm::schema::Param| p.secured;
        self.model.schema.get(at.object).and_then(|o| o.params.get(name)).is_some_and(secured)
            && rights.shown(&self.model, at, name).is_none_or(|text| text.is_empty())
    }

    fn shows_itself(&self, device: u32, point: PointId) -> bool {
        self.model.devices.get(device).is_some_and(|known| known.shows_itself(point))
    }

    /// What was set, as far as the Controller may read it (R-SET.3), under the names that it used. Of a device's Parameter
    /// that is what the device confirmed: it may have rounded.
    fn updated_params(&self, target: &Target, rights: &Rights) -> BTreeMap<String, String> {
        let readable = target.effects.iter().filter(|(_, effect)| {
            let leaf = Leaf::Parameter(effect.name().clone());
            rights.allow(&self.model, Kind::Param, Act::Read, effect.at(), &leaf)
        });
        readable
            .map(|(relative, effect)| {
                let value = match effect {
                    // Not what it reads now: that may be a newer value, which is promised to nobody yet.
                    Effect::Store { at, name, .. } if self.is_veiled(at, name, rights) => String::new(),
                    Effect::Store { value, .. } => value.clone(),
                    // What it has taken, and does not show yet.
                    Effect::Write { device, point, value, .. } if self.shows_itself(*device, *point) => {
                        value.to_usp()
                    }
                    Effect::Write { at, name, value, .. } => {
                        self.model.text(at, name).unwrap_or_else(|| value.to_usp())
                    }
                };
                (relative.clone(), value)
            })
            .collect()
    }
}

pub(super) fn updated(requested_path: String, status: OperStatus) -> UpdatedObjectResult {
    UpdatedObjectResult { requested_path, oper_status: Some(OperationStatus { oper_status: Some(status) }) }
}

/// What a Service says it has set.
fn instances_of(result: &UpdatedObjectResult) -> &[UpdatedInstanceResult] {
    match result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => &success.updated_inst_results,
        Some(OperStatus::OperFailure(_)) | None => &[],
    }
}
