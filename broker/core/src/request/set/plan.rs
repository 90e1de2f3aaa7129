//! What each entry comes to: which objects it means, what may be set of them, and where.

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp::set::{UpdateObject, UpdateParamSetting};
use usp_proto::usp::set_resp::{ParameterError, UpdatedInstanceFailure};

use super::{Failed, SetEntry, Target, parameter_error};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::request::check::{Effect, Settled};
use crate::request::create::fit_references;
use crate::request::follow::leads_nowhere;
use crate::request::judged::below;
use crate::request::unit::Step;
use crate::request::{Origin, resolve, shown, wrong_form};

impl Broker {
    /// An entry, or one for each object that its references lead to: together they hold or fail (R-SET.2a).
    pub(super) fn plan_meant_set(
        &self,
        entry: &mut SetEntry,
        object: &UpdateObject,
        origin: &Origin,
    ) -> Result<Vec<Step>, Failed> {
        let Some(paths) = origin.meant(&object.obj_path)? else {
            return self.plan_set(entry, object, origin);
        };
        let mut steps = Vec::new();
        for obj_path in paths {
            let object = UpdateObject { obj_path, ..object.clone() };
            match self.plan_set(entry, &object, origin) {
                Ok(more) => steps.extend(more),
                Err(failed) if leads_nowhere(&self.model, &object.obj_path, &failed.fault) => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(steps)
    }

    fn plan_set(
        &self,
        entry: &mut SetEntry,
        object: &UpdateObject,
        origin: &Origin,
    ) -> Result<Vec<Step>, Failed> {
        let rights = &origin.rights;
        let path = Path::parse(&object.obj_path).map_err(Fault::from)?;
        if path.leaf != Leaf::Object {
            return Err(wrong_form(&object.obj_path, "an Object Path").into());
        }
        let local = match resolve(&self.model, &path, rights)? {
            Found::Service(service) => {
                let mut object = object.clone();
                entry.withheld.extend(self.withhold(&path, &mut object, rights)?);
                if object.param_settings.is_empty() && !entry.withheld.is_empty() && !path.is_search() {
                    entry.nothing_left(&path);
                    return Ok(Vec::new());
                }
                return Ok(vec![Step::SetAtService { service, object }]);
            }
            Found::Local(local) => local,
        };
        if local.table {
            let wanted = "the path of a row: a number, a key, an expression or * is missing at its end";
            return Err(wrong_form(&object.obj_path, wanted).into());
        }
        if local.at.is_empty() && !local.search {
            let text = format!("{path} does not exist");
            return Err(Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, text).into());
        }
        let (mut failures, first) = (Vec::new(), entry.targets.len());
        for at in local.at {
            // R-GIN.0: no search finds what may not be known of.
            let is_hidden = local.search && !self.may_know_row(&at, rights);
            match self.plan_target(at, object, origin) {
                Ok(t)
                    if is_hidden
                        && t.effects.is_empty()
                        && t.elsewhere.is_empty()
                        && shown::are_unknown(&t.errors) => {}
                Err((failure, _)) if is_hidden && shown::are_unknown(&failure.param_errs) => {}
                Ok(target) => entry.targets.push(target),
                Err((failure, fault)) => failures.push((failure, fault)),
            }
        }
        let Some((_, fault)) = failures.first() else { return Ok(entry.steps_from(first)) };
        let fault = fault.clone();
        entry.targets.clear();
        Err(Failed::of(fault, failures.into_iter().map(|(failure, _)| failure).collect()))
    }

    /// Keeps back optional settings that the Controller may not make, or that cannot be made; a required one fails the
    /// entry (R-SET.2).
    fn withhold(
        &self,
        path: &Path,
        object: &mut UpdateObject,
        rights: &Rights,
    ) -> Result<Vec<ParameterError>, Failed> {
        let (mut withheld, mut first_required) = (Vec::new(), None);
        for setting in std::mem::take(&mut object.param_settings) {
            match self.check_elsewhere(path, &setting, rights) {
                Ok(()) => object.param_settings.push(setting),
                Err(fault) => {
                    withheld.push(parameter_error(&setting.param, &fault));
                    first_required = first_required.or(setting.required.then_some(fault));
                }
            }
        }
        match first_required {
            None => Ok(withheld),
            Some(fault) if path.is_search() => Err(fault.into()),
            Some(fault) => {
                let instance =
                    UpdatedInstanceFailure { affected_path: path.to_string(), param_errs: withheld };
                Err(Failed::of(fault, vec![instance]))
            }
        }
    }

    fn check_elsewhere(
        &self,
        object: &Path,
        setting: &UpdateParamSetting,
        rights: &Rights,
    ) -> Result<(), Fault> {
        let full = below(object, &setting.param)?;
        if !rights.allow_path(Kind::Param, Act::Write, &full) {
            return Err(Fault::denied(full));
        }
        self.model.check_at_service(&full, &setting.value, false)
    }

    /// Checks all settings of one object. Failed optional ones are kept as errors, a failed required one fails it (R-SET.2).
    /// All objects are looked at, so that every failure is told (R-SET.2b).
    fn plan_target(
        &self,
        at: ObjRef,
        object: &UpdateObject,
        origin: &Origin,
    ) -> Result<Target, (UpdatedInstanceFailure, Fault)> {
        let rights = &origin.rights;
        let path = self.model.path(&at);
        let mut target = Target { at, path, errors: Vec::new(), effects: Vec::new(), elsewhere: Vec::new() };
        let (mut first_required, mut settled) = (None, Settled::default());
        for setting in &object.param_settings {
            let agrees = settled.note(&setting.param, &setting.value);
            let elsewhere = self.model.service_of_setting(&target.at, &setting.param);
            let elsewhere = elsewhere
                .filter(|(_, leaf, owner)| rights.allow(&self.model, Kind::Param, Act::Write, owner, leaf));
            let check = || match elsewhere {
                Some(_) => self.check_within(&target, setting).map(|()| None),
                None => {
                    let (at, param) = (&target.at, &setting.param);
                    self.model.check_setting(at, param, &setting.value, false, rights).map(Some)
                }
            };
            let may = || self.may_trigger(origin, &target.at, &setting.param);
            match agrees.and_then(|()| may()).and_then(|()| check()) {
                Ok(Some(effect)) => target.effects.push((setting.param.clone(), effect)),
                Ok(None) => {
                    target.elsewhere.extend(elsewhere.map(|(service, ..)| (service, setting.clone())));
                }
                Err(fault) => {
                    target.errors.push(parameter_error(&setting.param, &fault));
                    if setting.required && first_required.is_none() {
                        first_required = Some(fault);
                    }
                }
            }
        }
        for (param, fault) in self.unfit_references(&mut target) {
            target.errors.push(parameter_error(&param, &fault));
            if object.param_settings.iter().any(|s| s.param == param && s.required) {
                first_required.get_or_insert(fault);
            }
        }
        match first_required {
            None => Ok(target),
            Some(fault) => {
                Err((UpdatedInstanceFailure { affected_path: target.path, param_errs: target.errors }, fault))
            }
        }
    }

    /// The same for a Parameter that a Service serves within an object of ours.
    fn check_within(&self, target: &Target, setting: &UpdateParamSetting) -> Result<(), Fault> {
        let full = Path::parse(&format!("{}{}", target.path, setting.param))?;
        self.model.check_at_service(&full, &setting.value, false)
    }

    /// NotifType and ReferenceList of a Subscription have to fit as they will be: those that do not are taken out of what is
    /// to be done.
    fn unfit_references(&self, target: &mut Target) -> Vec<(String, Fault)> {
        const PAIR: [&str; 2] = ["NotifType", "ReferenceList"];
        if !self.is_subscription(&target.at)
            || !target.effects.iter().any(|(p, _)| PAIR.contains(&p.as_str()))
        {
            return Vec::new();
        }
        let [kind, references] = PAIR.map(|name| {
            let set = target.effects.iter().find_map(|(_, effect)| match effect {
                Effect::Store { name: set, value, .. } if set.as_str() == name => Some(value.clone()),
                _ => None,
            });
            set.or_else(|| self.model.text(&target.at, name)).unwrap_or_default()
        });
        let Err(fault) = fit_references(&kind, &references) else { return Vec::new() };
        let unfit = target.effects.extract_if(.., |(param, _)| PAIR.contains(&param.as_str()));
        unfit.map(|(param, _)| (param, fault.clone())).collect()
    }
}
