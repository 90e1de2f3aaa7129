//! Add. Rows of ours are made here; those of Services there.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{InstanceNumber, Leaf, Path, Segment};
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::add_resp::created_object_result::{
    OperationStatus,
    operation_status::{OperStatus, OperationFailure, OperationSuccess},
};
use usp_proto::usp::add_resp::{CreatedObjectResult, ParameterError};
use usp_proto::usp::{self, error::ParamError, response::RespType};

use super::budget::Budget;
use super::create::{Created, Creation, Refusal, bytes_of};
use super::follow::leads_nowhere;
use super::judged::below;
use super::set::units_of;
use super::unit::{Step, UnitJob, UnitKind};
use super::{Origin, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::TRIAL;
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::gather::failed;

/// The answer to one object that is to be made.
#[derive(Debug, Default)]
pub(crate) struct AddItem {
    requested: String,
    /// Where the row is to be made: what was requested, or what its references lead to.
    asked: String,
    created: Option<Created>,
    failed: Option<Refusal>,
    /// It failed along with another row of its unit, which is to blame.
    along: bool,
    service: Vec<CreatedObjectResult>,
    /// What a Service says is wrong with it.
    at_service: Option<Fault>,
    /// Settings that the Service was not even asked for.
    withheld: Vec<ParameterError>,
}

impl AddItem {
    pub(crate) fn created(&mut self, created: Created) {
        self.created = Some(created);
    }

    /// The unit failed: so does the row, unless it has a more exact reason already.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        match &mut self.failed {
            Some(refusal) => refusal.fault.text.clone_from(&fault.text),
            None => {
                self.along = self.at_service.is_none();
                self.failed = Some(self.at_service.take().unwrap_or_else(|| fault.clone()).into());
            }
        }
    }

    /// A Service has refused what it was asked for.
    pub(crate) fn blame(&mut self, fault: &Fault) {
        self.at_service.get_or_insert_with(|| fault.clone());
    }

    /// The row itself cannot be made.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.failed = Some(refusal);
    }

    /// Whether a Service's result is for this item.
    pub(crate) fn is_for(&self, result: &CreatedObjectResult) -> bool {
        self.asked == result.requested_path
    }

    /// Whether no result has come for it.
    pub(crate) fn is_open(&self) -> bool {
        self.service.is_empty()
    }

    /// A Service's answer is complete: what it left out without a search having found nothing has failed.
    pub(crate) fn left_out(&mut self) -> Option<Fault> {
        let is_search = Path::parse(&self.asked).is_ok_and(|path| path.is_search());
        if is_search || !self.is_open() {
            return None;
        }
        let text = format!("the answer has no result for {}", self.requested);
        let fault = Fault::new(ErrCode::INTERNAL_ERROR, text);
        self.failed = Some(fault.clone().into());
        Some(fault)
    }

    /// What a Service answered for it; gives back its failure.
    pub(crate) fn take_service_result(&mut self, mut result: CreatedObjectResult) -> Option<Fault> {
        result.requested_path.clone_from(&self.requested);
        let fault = match result.oper_status.as_mut().and_then(|s| s.oper_status.as_mut()) {
            Some(OperStatus::OperFailure(f)) => {
                f.err_code = failed(f.err_code).0;
                Some(Fault::new(ErrCode(f.err_code), f.err_msg.clone()))
            }
            Some(OperStatus::OperSuccess(success)) => {
                success.param_errs.extend(self.withheld.iter().cloned());
                None
            }
            None => {
                let fault = Fault::new(ErrCode::INTERNAL_ERROR, "a result without a status");
                result = failed_result(self.requested.clone(), &fault);
                Some(fault)
            }
        };
        self.service.push(result);
        if let Some(fault) = &fault {
            self.blame(fault);
        }
        fault
    }
}

fn failed_result(requested_path: String, fault: &Fault) -> CreatedObjectResult {
    let failure = OperationFailure { err_code: fault.code.0, err_msg: fault.text.clone() };
    let oper_status = Some(OperationStatus { oper_status: Some(OperStatus::OperFailure(failure)) });
    CreatedObjectResult { requested_path, oper_status }
}

/// Paths of rows that a Service made.
pub(crate) fn created_paths(response: &usp::AddResp) -> impl Iterator<Item = String> {
    response.created_obj_results.iter().filter_map(|r| {
        match r.oper_status.as_ref()?.oper_status.as_ref()? {
            OperStatus::OperSuccess(s) => Some(s.instantiated_path.clone()),
            OperStatus::OperFailure(_) => None,
        }
    })
}

impl Broker {
    /// Add.
    pub(crate) fn handle_add(&mut self, origin: Origin, add: usp::Add) {
        let (mut items, mut steps) = (Vec::new(), Vec::new());
        let savepoint = self.model.rows.savepoint();
        let budget = Budget::new(self.config.limits.max_answer_bytes);
        let mut trial = Trial { together: !add.allow_partial, next: TRIAL, budget: &budget };
        for object in &add.create_objs {
            let planned = self.plan_meant_add(&origin, object, &mut trial);
            let planned = planned.unwrap_or_else(|refusal| vec![Err(refusal)]);
            if let Err(fault) = budget.check() {
                self.model.rows.rollback(savepoint);
                return self.refuse(&origin, &fault);
            }
            for plan in planned {
                let mut item = AddItem { requested: object.obj_path.clone(), ..AddItem::default() };
                if let Ok(Step::AddAtService { object, .. }) = &plan {
                    item.asked.clone_from(&object.obj_path);
                }
                match plan.and_then(|step| self.withhold_from_add(&origin, step, &mut item)) {
                    Ok(step) => steps.push(vec![step]),
                    Err(failed) => {
                        item.failed = Some(failed);
                        steps.push(Vec::new());
                    }
                }
                items.push(item);
            }
        }
        self.model.rows.rollback(savepoint);
        if !add.allow_partial && items.iter().any(|i| i.failed.is_some()) {
            return self.refuse_add(&origin, &items, Vec::new());
        }
        let units = units_of(steps, add.allow_partial, |i| items.get(i).is_some_and(|i| i.failed.is_some()));
        let kind = UnitKind::Add { allow_partial: add.allow_partial, items };
        self.begin(Box::new(UnitJob::new(origin, kind, units)));
    }

    /// Keeps back optional settings of a Service's row that the Controller may not make, or that cannot be made; a
    /// required one fails the row.
    fn withhold_from_add(&self, origin: &Origin, step: Step, item: &mut AddItem) -> Planned {
        let Step::AddAtService { service, mut object } = step else { return Ok(step) };
        for setting in std::mem::take(&mut object.param_settings) {
            let Err(fault) = self.check_new_row(origin, &object, &setting) else {
                object.param_settings.push(setting);
                continue;
            };
            if setting.required {
                return Err(Refusal::of(fault, &setting.param));
            }
            let (err_code, err_msg) = (fault.code.0, fault.text);
            item.withheld.push(ParameterError { param: setting.param, err_code, err_msg });
        }
        Ok(Step::AddAtService { service, object })
    }

    /// Whether a setting of a row that a Service is to make is allowed and fits. The row's number is not known yet, and no
    /// permission that names a row by its number means it.
    fn check_new_row(
        &self,
        origin: &Origin,
        object: &CreateObject,
        setting: &CreateParamSetting,
    ) -> Result<(), Fault> {
        let mut row = Path::parse(&object.obj_path)?;
        row.segments.push(Segment::Instance(TRIAL));
        let full = below(&row, &setting.param)?;
        let named = |fault: Fault| Fault { text: fault.text.replace(&format!("{TRIAL}."), ""), ..fault };
        if !origin.rights.allow_path(Kind::Param, Act::Write, &full) {
            return Err(named(Fault::denied(full)));
        }
        self.model.check_at_service(&full, &setting.value, true).map_err(named)
    }

    /// A table, or those that its references lead to.
    fn plan_meant_add(
        &mut self,
        origin: &Origin,
        object: &CreateObject,
        trial: &mut Trial<'_>,
    ) -> Result<Vec<Planned>, Refusal> {
        let Some(paths) = origin.meant(&object.obj_path)? else {
            return self.plan_add(origin, object, trial);
        };
        let mut planned = Vec::new();
        for obj_path in paths {
            let object = CreateObject { obj_path, ..object.clone() };
            match self.plan_add(origin, &object, trial) {
                Ok(more) => planned.extend(more),
                Err(refusal) if leads_nowhere(&self.model, &object.obj_path, &refusal.fault) => {}
                Err(refusal) => planned.push(Err(refusal)),
            }
        }
        Ok(planned)
    }

    /// One plan for each row that the entry means to make.
    fn plan_add(
        &mut self,
        origin: &Origin,
        object: &CreateObject,
        trial: &mut Trial<'_>,
    ) -> Result<Vec<Planned>, Refusal> {
        let path = Path::parse(&object.obj_path).map_err(Fault::from)?;
        if path.leaf != Leaf::Object {
            return Err(wrong_form(&object.obj_path, "an Object Path").into());
        }
        let local = match resolve(&self.model, &path, &origin.rights)? {
            Found::Service(service) => {
                // As with our own: of the row that is to be made.
                let mut row = path.clone();
                row.segments.push(Segment::Instance(TRIAL));
                if !origin.rights.allow_path(Kind::Obj, Act::Write, &row) {
                    return Err(Fault::denied(path).into());
                }
                return Ok(vec![Ok(Step::AddAtService { service, object: object.clone() })]);
            }
            Found::Local(local) => local,
        };
        let Some(table) = local.object.filter(|_| local.table) else {
            let text = format!("{path} is not a table");
            return Err(Fault::new(ErrCode::OBJECT_IS_NOT_A_TABLE, text).into());
        };
        if !self.model.schema.get(table).is_some_and(|o| o.access.add) {
            let text = format!("rows of {path} are not made by Controllers");
            return Err(Fault::new(ErrCode::NON_CREATABLE_OBJECT, text).into());
        }
        if local.at.is_empty() && !local.search {
            // Whether the row above is there is not told by how the new one is refused.
            let mut row = path.clone();
            row.segments.push(Segment::Instance(TRIAL));
            return Err(match origin.rights.allow_path(Kind::Obj, Act::Write, &row) {
                true => Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist")).into(),
                false => Fault::denied(path).into(),
            });
        }
        let budget = trial.budget;
        let mut plan = |broker: &mut Self, above: ObjRef| {
            let creation = Creation { table, above, settings: object.param_settings.clone() };
            let name = broker.model.schema.get(table).map_or_else(String::new, |o| o.name.to_string());
            let table = format!("{}{name}.", broker.model.path(&creation.above));
            let tried = broker.try_creation(origin, &path, creation, trial);
            tried.map_err(|refusal| if local.search { refusal.in_table(table) } else { refusal })
        };
        // R-GIN.0: no search tells of rows that may not be known of, by what may not be made below them either.
        let is_told = |broker: &Self, above: &ObjRef, planned: &Planned| {
            let denied = planned.as_ref().is_err_and(|r| r.fault.code == ErrCode::PERMISSION_DENIED);
            !local.search || !denied || broker.may_know_row(above, &origin.rights)
        };
        let mut plans = Vec::new();
        for above in local.at {
            budget.check_more(object.param_settings.len() + 1);
            budget.check()?;
            let planned = plan(self, above.clone());
            if is_told(self, &above, &planned) {
                plans.push(planned);
            }
        }
        Ok(plans)
    }

    /// Makes the row and takes it back, to know whether it can be made. What holds together is tried together: then rows
    /// stay until all were tried.
    fn try_creation(
        &mut self,
        origin: &Origin,
        path: &Path,
        creation: Creation,
        trial: &mut Trial<'_>,
    ) -> Planned {
        let number = trial.number();
        if !origin.rights.allow(&self.model, Kind::Obj, Act::Write, &creation.at(number), &Leaf::Object) {
            return Err(Fault::denied(path).into());
        }
        let savepoint = self.model.rows.savepoint();
        let result = self.create_as(origin, &creation, Some(number));
        if result.is_err() || !trial.together {
            self.model.rows.rollback(savepoint);
        }
        trial.note(&path.to_string(), &creation, &result);
        result.map(|_| Step::Create(creation))
    }

    fn refuse_add(&mut self, origin: &Origin, items: &[AddItem], given: Vec<ParamError>) {
        let all = || items.iter().filter_map(|i| Some((i, i.failed.as_ref()?)));
        let only_along = all().all(|(item, _)| item.along);
        let failed = || all().filter(|(item, _)| only_along || !item.along);
        let own = failed().flat_map(|(item, refusal)| refusal.param_errors(&item.requested));
        let requested = items.iter().map(|i| i.requested.as_str());
        let given = self.tellable(&origin.rights, requested, given);
        let params = if given.is_empty() { own.collect() } else { given };
        let Some((_, refusal)) = failed().next() else { return };
        let fault = refusal.fault.clone();
        self.refuse_with(origin, &fault, params);
    }

    /// The response.
    pub(crate) fn finish_add(
        &mut self,
        origin: &Origin,
        items: Vec<AddItem>,
        allow_partial: bool,
        params: Vec<ParamError>,
    ) {
        if !allow_partial && items.iter().any(|i| i.failed.is_some()) {
            return self.refuse_add(origin, &items, params);
        }
        let results = items.into_iter().flat_map(|item| self.add_results(item, &origin.rights));
        let response = usp::AddResp { created_obj_results: results.collect() };
        self.respond(origin, RespType::AddResp(response));
    }

    fn add_results(&self, mut item: AddItem, rights: &Rights) -> Vec<CreatedObjectResult> {
        shown::of_add(rights, &mut item.service);
        if !item.service.is_empty() && (item.failed.is_none() || item.service.len() > 1) {
            return item.service;
        }
        let status = match (item.failed, item.created) {
            (Some(Refusal { fault, .. }), _) => {
                OperStatus::OperFailure(OperationFailure { err_code: fault.code.0, err_msg: fault.text })
            }
            (None, Some(created)) => OperStatus::OperSuccess(OperationSuccess {
                unique_keys: self.readable_keys(&created.at, rights),
                instantiated_path: created.path,
                // R-ADD.4
                param_errs: created.errors,
            }),
            (None, None) => return Vec::new(),
        };
        let oper_status = Some(OperationStatus { oper_status: Some(status) });
        vec![CreatedObjectResult { requested_path: item.requested, oper_status }]
    }

    /// Unique keys without those that may not be read (R-ADD.6, R-GIN.1).
    pub(crate) fn readable_keys(&self, at: &ObjRef, rights: &Rights) -> BTreeMap<String, String> {
        let keys = self.model.unique_keys(at).into_iter();
        let readable = keys.filter(|(n, _)| {
            rights.allow(&self.model, Kind::Param, Act::Read, at, &Leaf::Parameter(n.clone()))
        });
        readable.map(|(n, v)| (n.to_string(), v)).collect()
    }
}

type Planned = Result<Step, Refusal>;

/// Numbers for rows that are only tried, and room for what will be said of them.
struct Trial<'a> {
    /// They are all made together or not at all.
    together: bool,
    next: InstanceNumber,
    budget: &'a Budget,
}

impl Trial<'_> {
    fn number(&mut self) -> InstanceNumber {
        let number = self.next;
        self.next -= 1;
        number
    }

    /// The answer will have the row with its unique keys, or why there is none, and each setting that failed.
    fn note(&self, requested: &str, creation: &Creation, result: &Result<Created, Refusal>) {
        let keys: usize = creation.settings.iter().map(|setting| setting.value.len()).sum();
        let told = match result {
            Ok(created) => keys + created.path.len() + bytes_of(&created.errors),
            Err(refusal) => refusal.bytes(),
        };
        self.budget.take(requested.len() + told);
    }
}
