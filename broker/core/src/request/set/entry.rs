//! One entry: what of it is to be done, and what has failed.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Name, Path};
use usp_proto::usp::error::ParamError;
use usp_proto::usp::set::UpdateObject;
use usp_proto::usp::set_resp::updated_object_result::operation_status::{OperStatus, OperationSuccess};
use usp_proto::usp::set_resp::{UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult};

use super::answer::updated;
use super::named::{Named, by_object};
use super::{Failed, SetEntry, Target, parameter_error};
use crate::dm::rows::ObjRef;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::failed;
use crate::request::budget::Budget;
use crate::request::check::{Effect, contradiction};
use crate::request::delete::left_out;
use crate::request::operated::is_search;
use crate::request::unit::Step;

impl Target {
    /// One step for each Service, so that its settings hold or fail together there.
    fn steps_elsewhere(&self) -> impl Iterator<Item = Step> {
        let mut objects: BTreeMap<ServiceId, UpdateObject> = BTreeMap::new();
        for (service, setting) in &self.elsewhere {
            let empty = || UpdateObject { obj_path: self.path.clone(), param_settings: Vec::new() };
            objects.entry(*service).or_insert_with(empty).param_settings.push(setting.clone());
        }
        objects.into_iter().map(|(service, object)| Step::SetAtService { service, object })
    }
}

impl SetEntry {
    /// Everything that is to be done for its targets from the given one on.
    pub(super) fn steps_from(&self, first: usize) -> Vec<Step> {
        let targets = self.targets.get(first..).unwrap_or_default();
        let effects = targets.iter().flat_map(|t| &t.effects);
        let own = effects.map(|(_, effect)| Step::Effect(effect.clone()));
        own.chain(targets.iter().flat_map(Target::steps_elsewhere)).collect()
    }

    /// Nothing of it is asked of the Service: all settings were withheld.
    pub(super) fn nothing_left(&mut self, path: &Path) {
        let result = UpdatedInstanceResult {
            affected_path: path.to_string(),
            param_errs: std::mem::take(&mut self.withheld),
            updated_params: BTreeMap::new(),
        };
        let status = OperStatus::OperSuccess(OperationSuccess { updated_inst_results: vec![result] });
        self.service.push(updated(self.requested.clone(), status));
    }

    /// A Service has refused to make its settings and does not say which.
    pub(crate) fn blame(&mut self, step: &Step, fault: &Fault) {
        let Step::SetAtService { object, .. } = step else { return };
        let instance = match object.param_settings.as_slice() {
            [one] if !is_search(&object.obj_path) => Some(UpdatedInstanceFailure {
                affected_path: object.obj_path.clone(),
                param_errs: vec![parameter_error(&one.param, fault)],
            }),
            _ => None,
        };
        match &mut self.failed {
            Some(failed) => failed.instances.extend(instance),
            None => self.failed = Some(Failed::of(fault.clone(), instance.into_iter().collect())),
        }
    }

    /// A Service has refused to make its settings, and names Parameters: those that are among them, by their objects, as far
    /// as there is room. `false`: none is, or there is no room.
    pub(crate) fn blame_named(
        &mut self,
        step: &Step,
        fault: &Fault,
        params: &[ParamError],
        room: &Budget,
    ) -> bool {
        let Step::SetAtService { object, .. } = step else { return false };
        let instances = by_object(Named::of(object, params, room), room);
        if instances.is_empty() {
            return false;
        }
        match &mut self.failed {
            Some(failed) => failed.instances.extend(instances),
            None => self.failed = Some(Failed::of(fault.clone(), instances)),
        }
        true
    }

    /// One of its settings contradicts one of an earlier entry.
    pub(super) fn clash(&mut self, step: &Step, object: String, param: &str) {
        let fault = contradiction(param);
        match step {
            Step::Effect(effect) => self.fail(&fault, Some(effect)),
            _ => {
                let param_errs = vec![parameter_error(param, &fault)];
                let instance = UpdatedInstanceFailure { affected_path: object, param_errs };
                self.failed = Some(Failed::of(fault, vec![instance]));
            }
        }
    }

    pub(super) fn has(&self, effect: &Effect) -> bool {
        self.targets.iter().any(|t| t.effects.iter().any(|(_, e)| e == effect))
    }

    /// The entry fails, because of one effect or as a whole.
    pub(crate) fn fail(&mut self, fault: &Fault, because: Option<&Effect>) {
        let instance = because.and_then(|effect| {
            let target = self.targets.iter().find(|t| t.effects.iter().any(|(_, e)| e == effect))?;
            let (param, _) = target.effects.iter().find(|(_, e)| e == effect)?;
            let param_errs = vec![parameter_error(param, fault)];
            Some(UpdatedInstanceFailure { affected_path: target.path.clone(), param_errs })
        });
        match &mut self.failed {
            Some(failed) => failed.instances.extend(instance),
            None => {
                self.failed = Some(Failed::of(fault.clone(), instance.into_iter().collect()));
            }
        }
    }

    /// The unit failed: so does the entry, unless it has a more exact reason already.
    pub(crate) fn fail_whole(&mut self, fault: &Fault) {
        match &mut self.failed {
            Some(failed) => failed.fault.text.clone_from(&fault.text),
            None => self.failed = Some(Failed { along: true, ..Failed::from(fault.clone()) }),
        }
    }

    /// Which of its own effects sets one of these Parameters of an object.
    pub(crate) fn effect_on(&self, at: &ObjRef, params: &[Name]) -> Option<Effect> {
        let mut effects = self.targets.iter().flat_map(|t| &t.effects).map(|(_, effect)| effect);
        effects.find(|e| e.at() == at && params.contains(e.name())).cloned()
    }

    /// What a Service answered for it; gives back its failure.
    pub(crate) fn take(&mut self, result: Option<UpdatedObjectResult>) -> Option<Fault> {
        let Some(mut result) = result else {
            let fault = left_out(&self.requested);
            self.failed = Some(Failed::from(fault.clone()));
            return Some(fault);
        };
        result.requested_path.clone_from(&self.requested);
        let status = result.oper_status.as_mut().and_then(|s| s.oper_status.as_mut());
        let fault = match status {
            Some(OperStatus::OperFailure(f)) => {
                let fault = Fault::new(failed(f.err_code), f.err_msg.clone());
                self.failed = Some(Failed::of(fault.clone(), f.updated_inst_failures.clone()));
                Some(fault)
            }
            Some(OperStatus::OperSuccess(success)) => {
                for instance in &mut success.updated_inst_results {
                    instance.param_errs.extend(self.withheld.iter().cloned());
                }
                None
            }
            None => {
                let fault = Fault::new(ErrCode::INTERNAL_ERROR, "a result without a status");
                self.failed = Some(Failed::from(fault.clone()));
                Some(fault)
            }
        };
        self.service.push(result);
        fault
    }
}
