//! What Services held before a unit changes it, and what of that is not known.
//!
//! A secret reads empty whatever it is (passwords, `secured` Parameters), and some Parameters cannot be read at
//! all. Nothing tells an empty secret from an empty text, so what reads empty is never written back: it could be erased.
//! Its Service is asked after all others instead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use usp_proto::path::Path;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::set_resp::updated_object_result::operation_status::OperStatus;
use usp_proto::usp::set_resp::{UpdatedInstanceResult, UpdatedObjectResult};

use super::{Step, Unit};
use crate::dm::Model;
use crate::dm::schema::ServiceId;
use crate::request::judged::below;

/// An object, and Parameters of it with their values.
pub(super) type Object = (String, Vec<(String, String)>);

/// What all Services of a unit held.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By Service and object, what can be written back.
    values: BTreeMap<(ServiceId, String), BTreeMap<String, String>>,
    /// What is to be set and cannot be written back: as read, or as written where nothing was read.
    unread: BTreeSet<(ServiceId, String)>,
    /// Services that are yet to be asked because of that.
    last: VecDeque<ServiceId>,
}

impl Held {
    /// What a Service answered. What it does not show stays unread.
    pub(super) fn take(&mut self, service: ServiceId, results: Vec<RequestedPathResult>) {
        for result in results {
            if result.resolved_path_results.iter().any(|r| !r.result_params.is_empty()) {
                self.unread.remove(&(service, result.requested_path));
            }
            for resolved in result.resolved_path_results {
                for (param, value) in &resolved.result_params {
                    self.note(service, &resolved.resolved_path, param, value);
                }
            }
        }
    }

    fn note(&mut self, service: ServiceId, object: &str, param: &str, value: &str) {
        if value.is_empty() {
            self.unread.insert((service, format!("{object}{param}")));
            return;
        }
        let values = self.values.entry((service, object.to_owned())).or_default();
        values.insert(param.to_owned(), value.to_owned());
    }

    fn has(&self, service: ServiceId, object: &str, param: &str) -> bool {
        let values = self.values.get(&(service, object.to_owned()));
        values.is_some_and(|values| values.contains_key(param))
    }

    /// What of a Service cannot be written back.
    pub(super) fn unread_at(&self, service: ServiceId) -> impl Iterator<Item = String> {
        self.unread.iter().filter(move |(of, _)| *of == service).map(|(_, path)| path.clone())
    }

    /// Services of which something cannot be written back are asked after the others.
    pub(super) fn put_off(&mut self, services: &[ServiceId]) {
        let unread = |service: &&ServiceId| self.unread.iter().any(|(of, _)| of == *service);
        self.last = services.iter().filter(unread).copied().collect();
    }

    pub(super) fn is_last(&self, service: ServiceId) -> bool {
        self.last.contains(&service)
    }

    pub(super) fn has_last(&self) -> bool {
        !self.last.is_empty()
    }

    pub(super) fn next_last(&mut self) -> Option<ServiceId> {
        self.last.pop_front()
    }

    /// What these Services held, by object.
    pub(super) fn give_back(&mut self, done: &[ServiceId]) -> BTreeMap<ServiceId, Vec<Object>> {
        let mut objects: BTreeMap<ServiceId, Vec<Object>> = BTreeMap::new();
        for ((service, object), values) in std::mem::take(&mut self.values) {
            if done.contains(&service) {
                objects.entry(service).or_default().push((object, values.into_iter().collect()));
            }
        }
        objects
    }
}

impl Unit {
    /// What Services are asked for before they change it. All of it is unread until they answer; of what they said that
    /// it can only be written they are not asked.
    pub(super) fn note_settings(&mut self, model: &Model) -> BTreeMap<ServiceId, Vec<String>> {
        let mut wanted: BTreeMap<ServiceId, Vec<String>> = BTreeMap::new();
        for (_, step) in &self.steps {
            let Step::SetAtService { service, object } = step else { continue };
            let written = Path::parse(&object.obj_path).ok();
            for setting in &object.param_settings {
                let path = format!("{}{}", object.obj_path, setting.param);
                let full = written.as_ref().and_then(|object| below(object, &setting.param).ok());
                if !full.is_some_and(|full| model.is_write_only(&full)) {
                    wanted.entry(*service).or_default().push(path.clone());
                }
                self.held.unread.insert((*service, path));
            }
        }
        wanted
    }

    /// What a Service has set of what cannot be written back: it stays changed, should the unit fail.
    pub(super) fn note_set(&mut self, service: ServiceId, results: &[UpdatedObjectResult]) {
        if !self.is_mixed() {
            return;
        }
        let mut stays = BTreeSet::new();
        for (_, step) in self.of_service(service) {
            let Step::SetAtService { object, .. } = step else { continue };
            let of_step = || results.iter().filter(|result| result.requested_path == object.obj_path);
            let refused = refused(of_step());
            for (instance, setting) in of_step()
                .flat_map(instances_of)
                .flat_map(|i| object.param_settings.iter().map(move |setting| (i, setting)))
            {
                let path = format!("{}{}", instance.affected_path, setting.param);
                if !self.held.has(service, &instance.affected_path, &setting.param)
                    && !refused.contains(&path)
                {
                    stays.insert(path);
                }
            }
        }
        self.stayed.extend(stays);
    }
}

fn instances_of(result: &UpdatedObjectResult) -> &[UpdatedInstanceResult] {
    match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => &success.updated_inst_results,
        Some(OperStatus::OperFailure(_)) | None => &[],
    }
}

/// Parameters that were not set.
fn refused<'a>(results: impl Iterator<Item = &'a UpdatedObjectResult>) -> BTreeSet<String> {
    let of = |instance: &'a UpdatedInstanceResult| {
        instance.param_errs.iter().map(|error| format!("{}{}", instance.affected_path, error.param))
    };
    results.flat_map(instances_of).flat_map(of).collect()
}
