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
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::request::absent::Absent;
use crate::request::budget::Budget;
use crate::request::check::{Effect, Settled};
use crate::request::follow::leads_nowhere;
use crate::request::judged::below;
use crate::request::unit::Step;
use crate::request::{Origin, resolve, shown, wrong_form};

/// What the entries of one Set have in common.
pub(super) struct Plan<'a> {
    pub origin: &'a Origin,
    pub budget: Budget,
    pub allow_partial: bool,
}

impl Plan<'_> {
    /// A setting that cannot be made is told; in an Error, with its full path.
    fn note_error(&self, target: &Target, error: &ParameterError) {
        let path = if self.allow_partial { 0 } else { target.path.len() };
        self.budget.take(path + error.param.len() + error.err_msg.len());
    }

    /// A setting that can be made is told, and kept until it is made.
    fn note_effect(&self, param: &str, effect: &Effect) {
        let value = match effect {
            Effect::Store { value, .. } => value.len(),
            Effect::Write { .. } => 0,
        };
        self.budget.take(param.len() + value);
    }
}

/// What one setting will do.
enum Deed {
    /// This, here or at a device.
    Here(Effect),
    /// It is set at a Service.
    At(ServiceId),
}

impl Broker {
    /// An entry, or one for each object that its references lead to: together they hold or fail (R-SET.2a).
    pub(super) fn plan_meant_set(
        &self,
        entry: &mut SetEntry,
        object: &UpdateObject,
        plan: &Plan<'_>,
    ) -> Result<Vec<Step>, Failed> {
        let Some(paths) = plan.origin.meant(&object.obj_path)? else {
            return self.plan_set(entry, object, plan);
        };
        let mut steps = Vec::new();
        for obj_path in paths {
            let object = UpdateObject { obj_path, ..object.clone() };
            match self.plan_set(entry, &object, plan) {
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
        plan: &Plan<'_>,
    ) -> Result<Vec<Step>, Failed> {
        let rights = &plan.origin.rights;
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
        let does_not_exist = || Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist"));
        if local.at.is_empty() && !local.search {
            return Err(does_not_exist().into());
        }
        let params = object.param_settings.iter().map(|setting| setting.param.as_str());
        let absent = self.model.absent_settings(&path, local.object, params, rights);
        if local.search && absent.are_all() && rights.hides_rows(&path) {
            return Ok(Vec::new());
        }
        let (mut failures, first) = (Vec::new(), entry.targets.len());
        for at in local.at {
            plan.budget.check_more(1);
            plan.budget.check()?;
            // R-GIN.0: no search finds what may not be known of.
            let is_hidden = local.search && !self.may_know_row(&at, rights);
            if is_hidden && absent.are_all() {
                continue;
            }
            // Nor is a row there of which nothing may be seen.
            let is_absent = !local.search && !at.numbers.is_empty() && self.shows_nothing(&at, rights);
            match self.plan_target(at, object, plan, (&absent, is_hidden)) {
                Ok(t)
                    if is_hidden
                        && t.effects.is_empty()
                        && t.elsewhere.is_empty()
                        && shown::are_unknown(&t.errors) => {}
                Err((failure, _)) if is_hidden && shown::are_unknown(&failure.param_errs) => {}
                Ok(t)
                    if is_absent
                        && t.effects.is_empty()
                        && t.elsewhere.is_empty()
                        && shown::are_unknown(&t.errors) =>
                {
                    return Err(does_not_exist().into());
                }
                Err((failure, _)) if is_absent && shown::are_unknown(&failure.param_errs) => {
                    return Err(does_not_exist().into());
                }
                Ok(target) => entry.targets.push(target),
                // It may be set, and not known of: nothing names it.
                Err((failure, fault)) if is_hidden => {
                    let text = format!("{path} means an object that cannot be set to this");
                    failures.push((failure, Fault::new(fault.code, text)));
                }
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
        plan: &Plan<'_>,
        (absent, is_hidden): (&Absent, bool),
    ) -> Result<Target, (UpdatedInstanceFailure, Fault)> {
        let path = self.model.path(&at);
        let mut target = Target { at, path, errors: Vec::new(), effects: Vec::new(), elsewhere: Vec::new() };
        let (mut first_required, mut settled) = (None, Settled::default());
        plan.budget.take(target.path.len());
        for (index, setting) in object.param_settings.iter().enumerate() {
            if !plan.budget.check_more(1) || !plan.budget.is_open() {
                break;
            }
            let known = absent.fault(&target.at, &target.path, (index, &setting.param));
            let judged = match known {
                Some(fault) => Err(fault),
                None => {
                    let agrees = settled.note(&setting.param, &setting.value);
                    agrees.and_then(|()| self.judge_setting(&target, setting, plan.origin))
                }
            };
            match judged {
                Ok(Deed::Here(effect)) => {
                    plan.note_effect(&setting.param, &effect);
                    target.effects.push((setting.param.clone(), effect));
                }
                Ok(Deed::At(service)) => target.elsewhere.push((service, setting.clone())),
                Err(fault) => {
                    let error = parameter_error(&setting.param, &fault);
                    if !is_hidden {
                        plan.note_error(&target, &error);
                    }
                    target.errors.push(error);
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

    /// What becomes of one setting of an object, as far as that is known beforehand.
    fn judge_setting(
        &self,
        target: &Target,
        setting: &UpdateParamSetting,
        origin: &Origin,
    ) -> Result<Deed, Fault> {
        let (at, param, rights) = (&target.at, &setting.param, &origin.rights);
        self.may_trigger(origin, at, param)?;
        let elsewhere = self.model.service_of_setting(at, param);
        let elsewhere = elsewhere
            .filter(|(_, leaf, owner)| rights.allow(&self.model, Kind::Param, Act::Write, owner, leaf));
        match elsewhere {
            Some((service, ..)) => self.check_within(target, setting).map(|()| Deed::At(service)),
            None => {
                let checked = self.model.check_setting(at, param, &setting.value, false, rights);
                checked.map(Deed::Here)
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
        let Err(fault) = self.model.fit_references(&kind, &references) else { return Vec::new() };
        let unfit = target.effects.extract_if(.., |(param, _)| PAIR.contains(&param.as_str()));
        unfit.map(|(param, _)| (param, fault.clone())).collect()
    }
}
