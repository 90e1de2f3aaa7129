//! Add. Rows of ours are made here; those of Services there.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{InstanceNumber, Leaf, Name, Path};
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::add_resp::created_object_result::{
    OperationStatus,
    operation_status::{OperStatus, OperationFailure, OperationSuccess},
};
use usp_proto::usp::add_resp::{CreatedObjectResult, ParameterError};
use usp_proto::usp::{self, error::ParamError, response::RespType};

use super::check::Effect;
use super::set::units_of;
use super::unit::{Step, UnitJob, UnitKind};
use super::{Origin, param_error, parse_path, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::compute::datetime;
use crate::dm::resolve::Found;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::{ObjId, ParamAccess};
use crate::fault::Fault;

/// A row to be made.
#[derive(Clone, Debug)]
pub(crate) struct Creation {
    table: ObjId,
    above: ObjRef,
    settings: Vec<CreateParamSetting>,
}

/// A row that was made.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    at: ObjRef,
    path: String,
    errors: Vec<ParameterError>,
}

/// The answer to one object that is to be made.
#[derive(Debug, Default)]
pub(crate) struct AddItem {
    requested: String,
    created: Option<Created>,
    failed: Option<(Fault, Option<String>)>,
    service: Vec<CreatedObjectResult>,
    /// Settings that the Service was not even asked for.
    withheld: Vec<ParameterError>,
}

impl AddItem {
    pub(crate) fn created(&mut self, created: Created) {
        self.created = Some(created);
    }

    pub(crate) fn fail(&mut self, fault: &Fault) {
        self.failed = Some((fault.clone(), self.failed.take().and_then(|(_, param)| param)));
    }

    /// Whether a Service's result is for this item.
    pub(crate) fn is_for(&self, result: &CreatedObjectResult) -> bool {
        self.requested == result.requested_path
    }

    /// Whether no result has come for it.
    pub(crate) fn is_open(&self) -> bool {
        self.service.is_empty()
    }

    /// A Service's answer is complete: what it left out without a search having found nothing has failed.
    pub(crate) fn left_out(&mut self) -> Option<Fault> {
        let is_search = Path::parse(&self.requested).is_ok_and(|path| path.is_search());
        if is_search || !self.is_open() {
            return None;
        }
        let text = format!("the answer has no result for {}", self.requested);
        let fault = Fault::new(ErrCode::INTERNAL_ERROR, text);
        self.failed = Some((fault.clone(), None));
        Some(fault)
    }

    /// What a Service answered for it; gives back its failure.
    pub(crate) fn take_service_result(&mut self, mut result: CreatedObjectResult) -> Option<Fault> {
        result.requested_path.clone_from(&self.requested);
        let fault = match result.oper_status.as_mut().and_then(|s| s.oper_status.as_mut()) {
            Some(OperStatus::OperFailure(f)) => Some(Fault::new(ErrCode(f.err_code), f.err_msg.clone())),
            Some(OperStatus::OperSuccess(success)) => {
                success.param_errs.extend(self.withheld.iter().cloned());
                None
            }
            None => Some(Fault::new(ErrCode::INTERNAL_ERROR, "a result without a status")),
        };
        self.service.push(result);
        fault
    }
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
        for object in &add.create_objs {
            let planned = self.plan_add(&origin, object).unwrap_or_else(|failed| vec![Err(failed)]);
            for plan in planned {
                let mut item = AddItem { requested: object.obj_path.clone(), ..AddItem::default() };
                match plan.and_then(|step| self.withhold_forbidden_add(&origin, step, &mut item)) {
                    Ok(step) => steps.push(vec![step]),
                    Err(failed) => {
                        item.failed = Some(failed);
                        steps.push(Vec::new());
                    }
                }
                items.push(item);
            }
        }
        if !add.allow_partial && items.iter().any(|i| i.failed.is_some()) {
            return self.refuse_add(&origin, &items, Vec::new());
        }
        let units = units_of(steps, add.allow_partial, |i| items.get(i).is_some_and(|i| i.failed.is_some()));
        let kind = UnitKind::Add { allow_partial: add.allow_partial, items };
        self.begin(Box::new(UnitJob::new(origin, kind, units)));
    }

    /// Keeps back optional settings of a Service's row that the Controller may not make; a required one fails the row.
    fn withhold_forbidden_add(&self, origin: &Origin, step: Step, item: &mut AddItem) -> Planned {
        let Step::AddAtService { service, mut object } = step else { return Ok(step) };
        for setting in std::mem::take(&mut object.param_settings) {
            // The row's number is not known yet: every row stands for it.
            let full = Path::parse(&format!("{}*.{}", object.obj_path, setting.param));
            let full = full.map_err(|e| (Fault::from(e), Some(setting.param.clone())))?;
            if origin.rights.allow_path(Kind::Param, Act::Write, &full) {
                object.param_settings.push(setting);
                continue;
            }
            let fault = Fault::denied(format!("{}{}", object.obj_path, setting.param));
            if setting.required {
                return Err((fault, Some(setting.param)));
            }
            let (err_code, err_msg) = (fault.code.0, fault.text);
            item.withheld.push(ParameterError { param: setting.param, err_code, err_msg });
        }
        Ok(Step::AddAtService { service, object })
    }

    /// One plan for each row that the entry means to make.
    fn plan_add(&mut self, origin: &Origin, object: &CreateObject) -> Result<Vec<Planned>, Refusal> {
        let path =
            parse_path(&self.model, &object.obj_path, &origin.rights).map_err(|fault| (fault, None))?;
        if path.leaf != Leaf::Object {
            return Err((wrong_form(&object.obj_path, "an Object Path"), None));
        }
        let local = match self.model.resolve(&path.segments).map_err(|f| (f, None))? {
            Found::Service(service) => {
                if !origin.rights.allow_path(Kind::Obj, Act::Write, &path) {
                    return Err((Fault::denied(path), None));
                }
                return Ok(vec![Ok(Step::AddAtService { service, object: object.clone() })]);
            }
            Found::Local(local) => local,
        };
        let Some(table) = local.object.filter(|_| local.table) else {
            let text = format!("{path} is not a table");
            return Err((Fault::new(ErrCode::OBJECT_IS_NOT_A_TABLE, text), None));
        };
        if !self.model.schema.get(table).is_some_and(|o| o.access.add) {
            let text = format!("rows of {path} are not made by Controllers");
            return Err((Fault::new(ErrCode::NON_CREATABLE_OBJECT, text), None));
        }
        if local.at.is_empty() && !local.search {
            return Err((Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist")), None));
        }
        let plan = |above: ObjRef| {
            let creation = Creation { table, above, settings: object.param_settings.clone() };
            self.try_creation(origin, &path, creation)
        };
        Ok(local.at.into_iter().map(plan).collect())
    }

    /// Makes the row and takes it back, to know whether it can be made.
    fn try_creation(&mut self, origin: &Origin, path: &Path, creation: Creation) -> Planned {
        let row = creation.at(0);
        if !origin.rights.allow(&self.model, Kind::Obj, Act::Write, &row, &Leaf::Object) {
            return Err((Fault::denied(path), None));
        }
        let savepoint = self.model.rows.savepoint();
        let result = self.create_or_refuse(origin, &creation, true);
        self.model.rows.rollback(savepoint);
        result.map(|_| Step::Create(creation))
    }

    /// Makes a row; in a trial with the number 0, so that no number is used up.
    pub(crate) fn create(
        &mut self,
        origin: &Origin,
        creation: &Creation,
        trial: bool,
    ) -> Result<Created, Fault> {
        self.create_or_refuse(origin, creation, trial).map_err(|(fault, _)| fault)
    }

    fn create_or_refuse(
        &mut self,
        origin: &Origin,
        creation: &Creation,
        trial: bool,
    ) -> Result<Created, Refusal> {
        self.check_table_limit(creation).map_err(|f| (f, None))?;
        let number = match trial {
            true => 0,
            false => self.model.rows.next_number(
                creation.table,
                &creation.above.numbers,
                creation.is_volatile(self),
            ),
        };
        let at = match self.passing_controller(creation) {
            Some(row) => row,
            None => creation.at(number),
        };
        let row = self.model.rows.get(&at).cloned().unwrap_or_default();
        self.model.rows.put(at.clone(), Row { volatile: false, ..row });
        self.prepare_row(origin, &at).map_err(|f| (f, None))?;
        let errors = self.apply_settings(origin, &at, &creation.settings)?;
        self.complete_row(&at).map_err(|f| (f, None))?;
        self.model.check_keys(&at).map_err(|f| (f, None))?;
        self.settle_row(&at);
        Ok(Created { path: self.model.path(&at), at, errors })
    }

    /// The row of a Controller that happens to be connected and is only now entered for good.
    fn passing_controller(&self, creation: &Creation) -> Option<ObjRef> {
        let path = self.model.schema.get(creation.table).map(|o| &*o.path);
        let endpoint = creation.settings.iter().find(|s| s.param == "EndpointID")?;
        let row = self.model.row_with(creation.table, &[], "EndpointID", &endpoint.value)?;
        let passing = self.model.rows.get(&row).is_some_and(|r| r.volatile);
        (path == Some("Device.LocalAgent.Controller.{i}.") && passing).then_some(row)
    }

    fn check_table_limit(&self, creation: &Creation) -> Result<(), Fault> {
        let limits = &self.config.limits;
        let (table, above) = (creation.table, &creation.above.numbers);
        let most = match self.model.schema.get(table).map(|o| &*o.path) {
            Some("Device.LocalAgent.Controller.{i}.") => limits.max_controllers,
            Some("Device.LocalAgent.Subscription.{i}.") => limits.max_subscriptions,
            _ => limits.max_rows_per_table,
        };
        if self.model.rows.count(table, above) >= most {
            let text = format!("the table is full: it may have {most} rows");
            return Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
        }
        Ok(())
    }

    /// Settings in any order; a failed required one, or one that is part of a key, prevents the row (R-ADD.3).
    fn apply_settings(
        &mut self,
        origin: &Origin,
        at: &ObjRef,
        settings: &[CreateParamSetting],
    ) -> Result<Vec<ParameterError>, Refusal> {
        let mut errors = Vec::new();
        for setting in settings {
            match self.model.check_setting(at, &setting.param, &setting.value, true, &origin.rights) {
                Ok(Effect::Store { at, name, value }) => self.model.rows.set(&at, &name, value),
                Ok(Effect::Write { .. }) => {}
                Err(fault) if setting.required || self.is_key(at, &setting.param) => {
                    return Err((fault, Some(setting.param.clone())));
                }
                Err(fault) => errors.push(ParameterError {
                    param: setting.param.clone(),
                    err_code: fault.code.0,
                    err_msg: fault.text,
                }),
            }
        }
        Ok(errors)
    }

    fn is_key(&self, at: &ObjRef, param: &str) -> bool {
        let object = self.model.schema.get(at.object);
        object.is_some_and(|o| o.keys.iter().any(|k| k.params.iter().any(|p| p.as_str() == param)))
    }

    /// What the broker itself gives a new row before its settings.
    fn prepare_row(&mut self, origin: &Origin, at: &ObjRef) -> Result<(), Fault> {
        if self.model.schema.get(at.object).is_none_or(|o| &*o.path != "Device.LocalAgent.Subscription.{i}.")
        {
            return Ok(());
        }
        let Some(controller) = origin.controller else {
            let text = format!(
                "{} has no row in Device.LocalAgent.Controller. that could receive notifications",
                origin.peer
            );
            return Err(Fault::new(ErrCode::REQUEST_DENIED, text));
        };
        let now = datetime(self.model.now.known_wall());
        self.put_param(at, "Recipient", format!("Device.LocalAgent.Controller.{controller}"));
        self.put_param(at, "CreationDate", now);
        Ok(())
    }

    /// Defaults, and keys that the Controller left out (R-ADD.5).
    pub(crate) fn complete_row(&mut self, at: &ObjRef) -> Result<(), Fault> {
        let Some(object) = self.model.schema.get(at.object) else { return Ok(()) };
        let keys: Vec<Name> = object.keys.iter().flat_map(|k| k.params.clone()).collect();
        let mut values: BTreeMap<Name, String> = BTreeMap::new();
        for (name, param) in &object.params {
            let known = self.model.rows.param(at, name).is_some();
            if param.access != ParamAccess::Read && !known {
                let default = param.default.as_deref().map(str::to_owned);
                let generated = keys.contains(name) && default.is_none();
                let value = if generated { Some(self.generated_key(at, name)) } else { default };
                values.extend(value.map(|v| (name.clone(), v)));
            }
        }
        for (name, value) in values {
            self.model.rows.set(at, &name, value);
        }
        Ok(())
    }

    /// `cpe-<n>`; for numbers, the first that is free.
    fn generated_key(&self, at: &ObjRef, name: &Name) -> String {
        let object = self.model.schema.get(at.object);
        let base = object.and_then(|o| o.params.get(name)).map(|p| p.ty.base);
        let above = at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default();
        let text = |n: u32| match base {
            Some(base) if base.is_number() => n.to_string(),
            _ => format!("cpe-{n}"),
        };
        let rows = &self.model.rows;
        let is_taken = |candidate: &str| {
            let others = rows.with_value(at.object, above, name, candidate);
            others.into_iter().flatten().any(|row| rows.param(&row, name) == Some(candidate))
        };
        // A row that is only tried has the number 0.
        let start =
            if at.number() == 0 { rows.given(at.object, above).saturating_add(1) } else { at.number() };
        (start..).map(text).find(|candidate| !is_taken(candidate)).unwrap_or_default()
    }

    /// What follows from a row's new content: whether it is kept on disk.
    pub(crate) fn settle_row(&mut self, at: &ObjRef) {
        match self.model.schema.get(at.object).map(|o| &*o.path) {
            Some("Device.LocalAgent.Subscription.{i}.") => {}
            // A Controller that only happened to connect is remembered once somebody writes to its row or below it.
            Some(path) if path.starts_with("Device.LocalAgent.Controller.{i}.") => {
                let row = at.numbers.first().and_then(|number| self.controller_row(*number));
                return row.iter().for_each(|row| self.set_volatile(row, false));
            }
            _ => return,
        }
        let persistent = self.model.text(at, "Persistent").as_deref() == Some("true");
        self.set_volatile(at, !persistent);
        let recipient = self.model.text(at, "Recipient").and_then(|path| self.model.locate(&path));
        if let (true, Some(controller)) = (persistent, recipient) {
            // A Controller that only happened to connect is remembered from here on.
            self.set_volatile(&controller, false);
        }
    }

    fn set_volatile(&mut self, at: &ObjRef, volatile: bool) {
        if let Some(row) = self.model.rows.get(at).filter(|r| r.volatile != volatile).cloned() {
            self.model.rows.put(at.clone(), Row { volatile, ..row });
        }
    }

    /// Stores one Parameter of ours by its name.
    pub(crate) fn put_param(&mut self, at: &ObjRef, name: &str, value: String) {
        if let Ok(name) = Name::new(name) {
            self.model.rows.set(at, &name, value);
        }
    }

    fn refuse_add(&mut self, origin: &Origin, items: &[AddItem], given: Vec<ParamError>) {
        let failed = items.iter().filter_map(|i| Some((i, i.failed.as_ref()?)));
        let own = failed.clone().map(|(item, (fault, param))| {
            param_error(format!("{}{}", item.requested, param.as_deref().unwrap_or_default()), fault)
        });
        let params = if given.is_empty() { own.collect() } else { given };
        let Some((_, (fault, _))) = failed.clone().next() else { return };
        let fault = fault.clone();
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

    fn add_results(&self, item: AddItem, rights: &Rights) -> Vec<CreatedObjectResult> {
        if !item.service.is_empty() && (item.failed.is_none() || item.service.len() > 1) {
            return item.service;
        }
        let status = match (item.failed, item.created) {
            (Some((fault, _)), _) => {
                OperStatus::OperFailure(OperationFailure { err_code: fault.code.0, err_msg: fault.text })
            }
            (None, Some(created)) => OperStatus::OperSuccess(OperationSuccess {
                unique_keys: self.readable_keys(&created.at, rights),
                instantiated_path: created.path,
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

/// Why a row cannot be made, and the setting to blame.
type Refusal = (Fault, Option<String>);
type Planned = Result<Step, Refusal>;

impl Creation {
    fn at(&self, number: InstanceNumber) -> ObjRef {
        let mut numbers = self.above.numbers.to_vec();
        numbers.push(number);
        ObjRef::new(self.table, &numbers)
    }

    /// A Subscription that does not ask to be kept costs no disk write.
    fn is_volatile(&self, broker: &Broker) -> bool {
        let path = broker.model.schema.get(self.table).map_or("", |o| &*o.path);
        let asked = self.settings.iter().find(|s| s.param == "Persistent").map(|s| s.value.as_str());
        path == "Device.LocalAgent.Subscription.{i}." && !matches!(asked, Some("true" | "1"))
    }
}
