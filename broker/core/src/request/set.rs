//! Set. Each entry, or with allow_partial=false the whole Message, is one unit that holds or fails as a whole
//! ([`super::unit`]).

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Name, Path};
use usp_proto::usp::set_resp::updated_object_result::{
    OperationStatus,
    operation_status::{OperStatus, OperationFailure, OperationSuccess},
};
use usp_proto::usp::set_resp::{
    ParameterError, UpdatedInstanceFailure, UpdatedInstanceResult, UpdatedObjectResult,
};
use usp_proto::usp::{
    self,
    error::ParamError,
    response::RespType,
    set::{UpdateObject, UpdateParamSetting},
};

use super::check::{Effect, Settled, contradiction};
use super::create::fit_references;
use super::delete::left_out;
use super::follow::leads_nowhere;
use super::judged::below;
use super::unit::{Step, Unit, UnitJob, UnitKind};
use super::{Origin, param_error, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::failed;

/// The answer to one `update_objs` entry.
#[derive(Debug, Default)]
pub(crate) struct SetEntry {
    requested: String,
    targets: Vec<Target>,
    failed: Option<Failed>,
    /// A Service's own results.
    service: Vec<UpdatedObjectResult>,
    /// Settings that the Service was not even asked for.
    withheld: Vec<ParameterError>,
    /// Its path has a wildcard, an expression or a reference.
    search: bool,
}

/// One object of an entry.
#[derive(Debug)]
struct Target {
    at: ObjRef,
    path: String,
    errors: Vec<ParameterError>,
    effects: Vec<(String, Effect)>,
    /// What of it is set at Services that serve a Parameter within an object of ours.
    elsewhere: Vec<(ServiceId, UpdateParamSetting)>,
}

/// Why an entry failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) instances: Vec<UpdatedInstanceFailure>,
    /// It failed along with another entry of its unit, which is to blame.
    along: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::of(fault, Vec::new())
    }
}

impl Failed {
    fn of(fault: Fault, instances: Vec<UpdatedInstanceFailure>) -> Self {
        Self { fault, instances, along: false }
    }
}

impl Broker {
    /// Set.
    pub(crate) fn handle_set(&mut self, origin: Origin, set: usp::Set) {
        let mut entries = Vec::with_capacity(set.update_objs.len());
        let mut steps = Vec::with_capacity(set.update_objs.len());
        for object in &set.update_objs {
            let search = Path::parse(&object.obj_path).is_ok_and(|path| path.is_search());
            let mut entry = SetEntry { requested: object.obj_path.clone(), search, ..SetEntry::default() };
            match self.plan_meant_set(&mut entry, object, &origin) {
                Ok(step) => steps.push(step),
                Err(failed) => {
                    entry.failed = Some(failed);
                    steps.push(Vec::new());
                }
            }
            entries.push(entry);
        }
        if !set.allow_partial {
            blame_conflicts(&mut entries, &steps);
        }
        self.try_keys(&mut entries, &steps, set.allow_partial);
        if !set.allow_partial && entries.iter().any(|e| e.failed.is_some()) {
            return self.refuse_set(&origin, &entries, Vec::new());
        }
        let units =
            units_of(steps, set.allow_partial, |i| entries.get(i).is_some_and(|e| e.failed.is_some()));
        let kind = UnitKind::Set { allow_partial: set.allow_partial, entries };
        self.begin(Box::new(UnitJob::new(origin, kind, units)));
    }

    /// Whether unique keys stay unique, known before anybody else is asked. It depends on the final state, so what holds
    /// together is tried together and taken back.
    fn try_keys(&mut self, entries: &mut [SetEntry], steps: &[Vec<Step>], apart: bool) {
        let savepoint = self.model.rows.savepoint();
        for steps in steps {
            self.try_stores(steps);
            if apart {
                self.blame_keys(entries, steps);
                self.model.rows.rollback(savepoint);
            }
        }
        if !apart {
            steps.iter().for_each(|steps| self.blame_keys(entries, steps));
        }
        self.model.rows.rollback(savepoint);
    }

    fn try_stores(&mut self, steps: &[Step]) {
        for step in steps {
            if let Step::Effect(Effect::Store { at, name, value }) = step {
                self.model.rows.set(at, name, value.clone());
            }
        }
    }

    fn blame_keys(&self, entries: &mut [SetEntry], steps: &[Step]) {
        for step in steps {
            let Step::Effect(effect @ Effect::Store { at, name, .. }) = step else { continue };
            if let Err(clash) = self.model.check_keys(at)
                && clash.params.contains(name)
                && let Some(entry) = entries.iter_mut().find(|e| e.has(effect) && e.failed.is_none())
            {
                entry.fail(&clash.fault, Some(effect));
            }
        }
    }

    /// An entry, or one for each object that its references lead to: together they hold or fail (R-SET.2a).
    fn plan_meant_set(
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

    /// allow_partial=false and something failed (R-SET.1): the Error names each failed Parameter.
    fn refuse_set(&mut self, origin: &Origin, entries: &[SetEntry], given: Vec<ParamError>) {
        let all = || entries.iter().filter_map(|e| Some((e, e.failed.as_ref()?)));
        let only_along = all().all(|(_, f)| f.along);
        let failed = all().filter(|(_, f)| only_along || !f.along);
        let params = match given.is_empty() {
            true => failed.clone().flat_map(|(e, f)| error_params(e, f)).collect(),
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
        if let Some(failed) = entry.failed {
            let status = OperStatus::OperFailure(OperationFailure {
                err_code: failed.fault.code.0,
                err_msg: failed.fault.text,
                updated_inst_failures: failed.instances,
            });
            return vec![updated(entry.requested, status)];
        }
        // R-GIN.0: what a search found and may not be known of is set, and not told.
        let hides = |row: &str| entry.search && !shown::may_know(rights, row);
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

    /// A secured Parameter reads empty for this Controller.
    fn is_veiled(&self, at: &ObjRef, name: &Name, rights: &Rights) -> bool {
        let secured = |p: &crate::dm::schema::Param| p.secured;
        self.model.schema.get(at.object).and_then(|o| o.params.get(name)).is_some_and(secured)
            && rights.shown(&self.model, at, name).is_none_or(|text| text.is_empty())
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
                    Effect::Write { at, name, value, .. } => {
                        self.model.text(at, name).unwrap_or_else(|| value.to_usp())
                    }
                };
                (relative.clone(), value)
            })
            .collect()
    }
}

fn updated(requested_path: String, status: OperStatus) -> UpdatedObjectResult {
    UpdatedObjectResult { requested_path, oper_status: Some(OperationStatus { oper_status: Some(status) }) }
}

/// What a Service says it has set.
fn instances_of(result: &UpdatedObjectResult) -> &[UpdatedInstanceResult] {
    match result.oper_status.as_ref().and_then(|s| s.oper_status.as_ref()) {
        Some(OperStatus::OperSuccess(success)) => &success.updated_inst_results,
        Some(OperStatus::OperFailure(_)) | None => &[],
    }
}

fn parameter_error(param: &str, fault: &Fault) -> ParameterError {
    ParameterError { param: param.to_owned(), err_code: fault.code.0, err_msg: fault.text.clone() }
}

/// What holds together sets each Parameter to one value, in several entries as in one.
fn blame_conflicts(entries: &mut [SetEntry], steps: &[Vec<Step>]) {
    let mut known: BTreeMap<(String, String), String> = BTreeMap::new();
    for (entry, steps) in entries.iter_mut().zip(steps) {
        for step in steps {
            let clash = settings_of(step).into_iter().find(|(object, param, value)| {
                let key = (object.clone(), param.clone());
                known.entry(key).or_insert_with(|| value.clone()) != value
            });
            if let Some((object, param, _)) = clash {
                entry.clash(step, object, &param);
            }
        }
    }
}

/// What a step sets: objects, Parameters and values, as far as they can be told apart.
fn settings_of(step: &Step) -> Vec<(String, String, String)> {
    match step {
        Step::Effect(effect) => {
            let value = match effect {
                Effect::Store { value, .. } => value.clone(),
                Effect::Write { value, .. } => value.to_usp(),
            };
            vec![(format!("{:?}", effect.at()), effect.name().to_string(), value)]
        }
        Step::SetAtService { object, .. } => {
            let of = |s: &UpdateParamSetting| (object.obj_path.clone(), s.param.clone(), s.value.clone());
            object.param_settings.iter().map(of).collect()
        }
        _ => Vec::new(),
    }
}

/// Groups entries: each by itself, or all together. Failed entries have nothing to do.
pub(crate) fn units_of(steps: Vec<Vec<Step>>, apart: bool, failed: impl Fn(usize) -> bool) -> Vec<Unit> {
    let entries = steps.into_iter().enumerate().filter(|(i, _)| !failed(*i));
    let tagged = entries.map(|(i, steps)| (i, steps.into_iter().map(move |s| (i, s)).collect::<Vec<_>>()));
    if apart {
        return Unit::apart(tagged);
    }
    let (indexes, steps): (Vec<usize>, Vec<Vec<(usize, Step)>>) = tagged.unzip();
    vec![Unit::new(indexes, steps.into_iter().flatten().collect())]
}

/// What an Error says of a failed entry.
fn error_params(entry: &SetEntry, failed: &Failed) -> Vec<ParamError> {
    if failed.instances.is_empty() {
        return vec![param_error(entry.requested.clone(), &failed.fault)];
    }
    let of_instance = |i: &UpdatedInstanceFailure| {
        let full = |p: &ParameterError| ParamError {
            param_path: format!("{}{}", i.affected_path, p.param),
            err_code: p.err_code,
            err_msg: p.err_msg.clone(),
        };
        i.param_errs.iter().map(full).collect::<Vec<_>>()
    };
    failed.instances.iter().flat_map(of_instance).collect()
}

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
    fn steps_from(&self, first: usize) -> Vec<Step> {
        let targets = self.targets.get(first..).unwrap_or_default();
        let effects = targets.iter().flat_map(|t| &t.effects);
        let own = effects.map(|(_, effect)| Step::Effect(effect.clone()));
        own.chain(targets.iter().flat_map(Target::steps_elsewhere)).collect()
    }

    /// Nothing of it is asked of the Service: all settings were withheld.
    fn nothing_left(&mut self, path: &Path) {
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
            [one] => Some(UpdatedInstanceFailure {
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

    /// One of its settings contradicts one of an earlier entry.
    fn clash(&mut self, step: &Step, object: String, param: &str) {
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

    fn has(&self, effect: &Effect) -> bool {
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
