//! Taking back what a unit has done: what Services held before is remembered, written back, and what stays is named.

use std::collections::BTreeMap;

use usp_proto::usp::{self, request::ReqType, response::RespType, set::UpdateObject};

use super::Unit;
use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::gather::{DeviceOutcome, ServiceFault};
use crate::request::check::Effect;

impl Unit {
    pub(super) fn remember(&mut self, service: ServiceId, outcome: Result<RespType, ServiceFault>) {
        let Ok(RespType::GetResp(response)) = outcome else { return };
        for resolved in response.req_path_results.into_iter().flat_map(|r| r.resolved_path_results) {
            for (param, value) in resolved.result_params {
                self.held.push((service, resolved.resolved_path.clone(), param, value));
            }
        }
    }

    pub(super) fn undo_requests(&mut self) -> Vec<(ServiceId, String, ReqType)> {
        let done = std::mem::take(&mut self.done_services);
        let mut requests = Vec::new();
        for (service, object, param, value) in std::mem::take(&mut self.held) {
            if !done.contains(&service) {
                continue;
            }
            let path = format!("{object}{param}");
            let setting = usp::set::UpdateParamSetting { param, value, required: true };
            let update = UpdateObject { obj_path: object, param_settings: vec![setting] };
            let set = usp::Set { allow_partial: false, update_objs: vec![update] };
            requests.push((service, path, ReqType::Set(set)));
        }
        for (service, path) in std::mem::take(&mut self.created_at_services) {
            let delete = usp::Delete { allow_partial: false, obj_paths: vec![path.clone()] };
            requests.push((service, path, ReqType::Delete(delete)));
        }
        requests
    }

    /// Writes that take confirmed ones back, where the mapping allows; the others stay changed.
    pub(super) fn undo_writes(&mut self, broker: &Broker) -> BTreeMap<u32, Vec<Effect>> {
        let mut back: BTreeMap<u32, Vec<Effect>> = BTreeMap::new();
        for effect in std::mem::take(&mut self.written) {
            match broker.undo_of(&effect) {
                Some(undo @ Effect::Write { device, .. }) => back.entry(device).or_default().push(undo),
                _ => self.stayed.push(broker.path_of(&effect)),
            }
        }
        back
    }

    pub(super) fn take_undone(&mut self, broker: &mut Broker, effects: Vec<Effect>, outcome: &DeviceOutcome) {
        for (order, effect) in effects.into_iter().enumerate() {
            match outcome.as_ref().ok().and_then(|r| r.get(order)) {
                Some((_, Ok(value))) => broker.take_written(&effect, value.clone()),
                _ => self.stayed.push(broker.path_of(&effect)),
            }
        }
    }
}

impl Broker {
    /// The write that restores what a capability showed before, where its mapping says `undo: true`.
    pub(super) fn undo_of(&self, effect: &Effect) -> Option<Effect> {
        let Effect::Write { device, point, at, name, .. } = effect else { return None };
        let state = self.model.devices.get(*device)?;
        let write = state.mapping.capabilities.get(usize::from(point.0))?.write.as_ref()?;
        let capability = state.capabilities.get(at.numbers.get(1)?)?;
        let value = capability.before_write.clone().filter(|_| write.undo)?;
        Some(Effect::Write { device: *device, point: *point, value, at: at.clone(), name: name.clone() })
    }

    pub(super) fn path_of(&self, effect: &Effect) -> String {
        format!("{}{}", self.model.path(effect.at()), effect.name())
    }
}
