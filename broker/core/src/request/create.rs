//! Making a row of our own: what the broker gives it, its settings, its defaults and generated keys.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{InstanceNumber, Leaf, Name, Path};
use usp_proto::tr106;
use usp_proto::usp::add::CreateParamSetting;
use usp_proto::usp::add_resp::ParameterError;
use usp_proto::usp::error::ParamError;

use super::budget::OVERHEAD;
use super::check::{Effect, KeyClash, Settled};
use super::{Origin, param_error};
use crate::Broker;
use crate::dm::Model;
use crate::dm::compute::datetime;
use crate::dm::is_trial;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::{ObjId, ParamAccess};
use crate::fault::Fault;
use crate::subscriptions::{NotifKind, parse_reference};

/// A row to be made.
#[derive(Clone, Debug)]
pub(crate) struct Creation {
    pub table: ObjId,
    pub above: ObjRef,
    pub settings: Vec<CreateParamSetting>,
}

/// A row that was made.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub at: ObjRef,
    pub path: String,
    pub errors: Vec<ParameterError>,
}

/// Why a row cannot be made, and the settings to blame.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub fault: Fault,
    settings: Vec<ParameterError>,
    /// The one table of those that a search means, with its final dot.
    table: Option<String>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, settings: Vec::new(), table: None }
    }
}

impl Refusal {
    /// Because of one setting.
    pub(crate) fn of(fault: Fault, param: &str) -> Self {
        let settings = vec![parameter_error(param, &fault)];
        Self { fault, settings, table: None }
    }

    /// Because of the settings that made a key another row's.
    fn clash(clash: &KeyClash, settings: &[CreateParamSetting]) -> Self {
        let set = |param: &&Name| settings.iter().any(|s| s.param == param.as_str());
        let blamed = clash.params.iter().filter(set).map(|p| parameter_error(p.as_str(), &clash.fault));
        Self { fault: clash.fault.clone(), settings: blamed.collect(), table: None }
    }

    fn blame(&mut self, fault: &Fault, param: &str) {
        self.settings.push(parameter_error(param, fault));
    }

    /// About how long it is in an answer.
    pub(crate) fn bytes(&self) -> usize {
        self.fault.text.len() + bytes_of(&self.settings)
    }

    /// Of one of the tables that a search means.
    pub(crate) fn in_table(self, table: String) -> Self {
        Self { table: Some(table), ..self }
    }

    /// What an Error says of it: each setting to blame, or else the path; of a search, where it failed (TP-469 2.24).
    pub(crate) fn param_errors(&self, requested: &str) -> Vec<ParamError> {
        let requested = self.table.as_deref().unwrap_or(requested);
        if self.settings.is_empty() {
            return vec![param_error(requested, &self.fault)];
        }
        let full = |error: &ParameterError| ParamError {
            param_path: format!("{requested}{}", error.param),
            err_code: error.err_code,
            err_msg: error.err_msg.clone(),
        };
        self.settings.iter().map(full).collect()
    }
}

impl Model {
    /// Whether each of these references can lead to anything of this NotifType.
    ///
    /// Errors: 7012 with the first that cannot.
    pub(super) fn fit_references(&self, notif_type: &str, references: &str) -> Result<(), Fault> {
        let Some(kind) = NotifKind::parse(notif_type) else { return Ok(()) };
        for item in tr106::split_list(references) {
            let mut forms = parse_reference(item);
            // What is known as a Parameter is no object that lacks its final dot.
            if forms.first().is_some_and(|path| self.is_parameter(path)) {
                forms.truncate(1);
            }
            if !forms.iter().any(|path| kind.fits(path)) {
                let why = format!("{item} in ReferenceList cannot lead to an {}", kind.name());
                let why = why.replace("an ValueChange", "a ValueChange");
                return Err(Fault::new(ErrCode::INVALID_VALUE, why));
            }
        }
        Ok(())
    }

    fn is_parameter(&self, path: &Path) -> bool {
        matches!(path.leaf, Leaf::Parameter(_)) && path.to_supported().is_some() && self.supports(path)
    }
}

/// About how long these are in an answer.
pub(super) fn bytes_of(errors: &[ParameterError]) -> usize {
    errors.iter().map(|error| error.param.len() + error.err_msg.len() + OVERHEAD).sum()
}

fn parameter_error(param: &str, fault: &Fault) -> ParameterError {
    ParameterError { param: param.to_owned(), err_code: fault.code.0, err_msg: fault.text.clone() }
}

impl Broker {
    /// Makes a row.
    pub(crate) fn create(&mut self, origin: &Origin, creation: &Creation) -> Result<Created, Refusal> {
        self.create_as(origin, creation, None)
    }

    /// Makes a row; in a trial with the given number, so that none is used up.
    pub(crate) fn create_as(
        &mut self,
        origin: &Origin,
        creation: &Creation,
        trial: Option<InstanceNumber>,
    ) -> Result<Created, Refusal> {
        self.check_table_limit(creation)?;
        self.check_built_in(creation)?;
        let volatile = creation.is_volatile(self);
        let above = &creation.above.numbers;
        let number = trial.unwrap_or_else(|| self.model.rows.next_number(creation.table, above, volatile));
        let at = match self.passing_controller(creation) {
            Some(row) => row,
            None => creation.at(number),
        };
        let row = self.model.rows.get(&at).cloned().unwrap_or_default();
        self.model.rows.put(at.clone(), Row { volatile: false, ..row });
        self.prepare_row(origin, &at)?;
        let errors = self.apply_settings(origin, &at, &creation.settings)?;
        self.complete_row(&at)?;
        self.check_references(&at)?;
        self.model.check_keys(&at).map_err(|clash| Refusal::clash(&clash, &creation.settings))?;
        self.settle_row(&at);
        Ok(Created { path: self.model.path(&at), at, errors })
    }

    /// Whether a Subscription's ReferenceList can lead to anything of its NotifType.
    fn check_references(&self, at: &ObjRef) -> Result<(), Refusal> {
        if !self.is_subscription(at) {
            return Ok(());
        }
        let text = |name: &str| self.model.text(at, name).unwrap_or_default();
        self.model
            .fit_references(&text("NotifType"), &text("ReferenceList"))
            .map_err(|fault| Refusal::of(fault, "ReferenceList"))
    }

    pub(super) fn is_subscription(&self, at: &ObjRef) -> bool {
        self.model.schema.get(at.object).is_some_and(|o| &*o.path == "Device.LocalAgent.Subscription.{i}.")
    }

    /// The row of a Controller that happens to be connected and is only now entered for good.
    fn passing_controller(&self, creation: &Creation) -> Option<ObjRef> {
        let path = self.model.schema.get(creation.table).map(|o| &*o.path);
        let endpoint = creation.settings.iter().find(|s| s.param == "EndpointID")?;
        let row = self.model.row_with(creation.table, &[], "EndpointID", &endpoint.value)?;
        let passing = self.model.rows.get(&row).is_some_and(|r| r.volatile);
        (path == Some("Device.LocalAgent.Controller.{i}.") && passing).then_some(row)
    }

    /// Full Access has one permission, which gives everything: another one could only take from it, for good.
    fn check_built_in(&self, creation: &Creation) -> Result<(), Fault> {
        let table = self.model.schema.get(creation.table).map(|o| &*o.path);
        let is_full = *creation.above.numbers == [1];
        if table != Some("Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.") || !is_full {
            return Ok(());
        }
        let text = "the built-in role Full Access keeps its one Permission: make another role for less";
        Err(Fault::new(ErrCode::REQUEST_DENIED, text))
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

    /// Settings in any order; a failed required one, or one that is part of a key, prevents the row (R-ADD.3). All that
    /// fail are told.
    fn apply_settings(
        &mut self,
        origin: &Origin,
        at: &ObjRef,
        settings: &[CreateParamSetting],
    ) -> Result<Vec<ParameterError>, Refusal> {
        let (mut errors, mut refusal) = (Vec::new(), None::<Refusal>);
        let mut settled = Settled::default();
        for setting in settings {
            let agrees = settled.note(&setting.param, &setting.value);
            let check = || self.model.check_setting(at, &setting.param, &setting.value, true, &origin.rights);
            match agrees.and_then(|()| check()) {
                Ok(Effect::Store { at, name, value }) => self.model.rows.set(&at, &name, value),
                Ok(Effect::Write { .. }) => {}
                Err(fault) if setting.required || self.is_key(at, &setting.param) => match &mut refusal {
                    Some(refusal) => refusal.blame(&fault, &setting.param),
                    None => refusal = Some(Refusal::of(fault, &setting.param)),
                },
                Err(fault) => errors.push(parameter_error(&setting.param, &fault)),
            }
        }
        refusal.map_or(Ok(errors), Err)
    }

    fn is_key(&self, at: &ObjRef, param: &str) -> bool {
        let object = self.model.schema.get(at.object);
        object.is_some_and(|o| o.keys.iter().any(|k| k.params.iter().any(|p| p.as_str() == param)))
    }

    /// What the broker itself gives a new row before its settings.
    fn prepare_row(&mut self, origin: &Origin, at: &ObjRef) -> Result<(), Fault> {
        match self.model.schema.get(at.object).map(|o| &*o.path) {
            Some("Device.LocalAgent.Subscription.{i}.") => {}
            Some("Device.LocalAgent.Controller.{i}.") => {
                self.distrust(at);
                return Ok(());
            }
            _ => return Ok(()),
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

    /// A new Controller has the Untrusted role, until somebody says otherwise.
    fn distrust(&mut self, at: &ObjRef) {
        if self.model.rows.param(at, "AssignedRole").is_some() {
            return;
        }
        let trust = self.model.locate("Device.LocalAgent.ControllerTrust.");
        if let Some(role) = trust.and_then(|trust| self.model.text(&trust, "UntrustedRole")) {
            self.put_param(at, "AssignedRole", role);
        }
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
                let is_key = keys.contains(name);
                let generated = is_key && default.as_ref().is_none_or(String::is_empty);
                let value = if generated {
                    Some(self.generated_key(at, name))
                } else {
                    let free = || self.free_choice(at, name).filter(|_| is_key);
                    self.initial_value(at, name).or_else(free).or(default)
                };
                values.extend(value.map(|v| (name.clone(), v)));
            }
        }
        for (name, value) in values {
            self.model.rows.set(at, &name, value);
        }
        Ok(())
    }

    /// What a new row has without being told, where that is no constant: a new Controller has the Untrusted role (R-SEC.6).
    fn initial_value(&self, at: &ObjRef, name: &Name) -> Option<String> {
        let object = self.model.schema.get(at.object).map(|o| &*o.path);
        let is_role = object == Some("Device.LocalAgent.Controller.{i}.") && name.as_str() == "AssignedRole";
        let trust = self.model.locate("Device.LocalAgent.ControllerTrust.").filter(|_| is_role)?;
        self.model.text(&trust, "UntrustedRole")
    }

    /// A key whose values are few has its default or, if another row has that, the first that is free.
    fn free_choice(&self, at: &ObjRef, name: &Name) -> Option<String> {
        let param = self.model.schema.get(at.object)?.params.get(name)?;
        let above = at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default();
        let is_free = |value: &&str| {
            let mut rows = self.model.rows.of_table(at.object, above);
            rows.all(|(row, _)| row == at || self.model.rows.param(row, name) != Some(*value))
        };
        let choices = param.ty.values.iter().map(|value| &**value);
        let fits = |value: &&str| self.model.accept(at, name, param, value).is_ok();
        param.default.as_deref().into_iter().chain(choices).filter(fits).find(is_free).map(str::to_owned)
    }

    /// `cpe-<n>`, or an Endpoint ID that ends so; for numbers, the first that is free.
    fn generated_key(&self, at: &ObjRef, name: &Name) -> String {
        let object = self.model.schema.get(at.object);
        let base = object.and_then(|o| o.params.get(name)).map(|p| p.ty.base);
        let above = at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default();
        let text = |n: u32| match base {
            Some(base) if base.is_number() => n.to_string(),
            _ if name.as_str() == "EndpointID" => format!("self::cpe-{n}"),
            _ => format!("cpe-{n}"),
        };
        let rows = &self.model.rows;
        let is_taken = |candidate: &str| {
            let others = rows.with_value(at.object, above, name, candidate);
            others.into_iter().flatten().any(|row| rows.param(&row, name) == Some(candidate))
        };
        let next = || rows.given(at.object, above).saturating_add(1);
        let start = if is_trial(at.number()) { next() } else { at.number() };
        (start..).map(text).find(|candidate| !is_taken(candidate)).unwrap_or_default()
    }

    /// What follows from a row's new content: whether it is kept on disk.
    pub(crate) fn settle_row(&mut self, at: &ObjRef) {
        match self.model.schema.get(at.object).map(|o| &*o.path) {
            Some("Device.LocalAgent.Subscription.{i}.") => {}
            // A Controller that only happened to connect is remembered once somebody writes to its row or below it.
            Some(path) if path.starts_with("Device.LocalAgent.Controller.{i}.") => {
                let row = at.numbers.first().and_then(|number| self.controller_row(*number));
                return row.iter().for_each(|row| self.keep_controller(row));
            }
            _ => return,
        }
        let persistent = self.model.text(at, "Persistent").as_deref() == Some("true");
        self.set_volatile(at, !persistent);
        let recipient = self.model.text(at, "Recipient").and_then(|path| self.model.locate(&path));
        if let (true, Some(controller)) = (persistent, recipient) {
            // A Controller that only happened to connect is remembered from here on.
            self.keep_controller(&controller);
        }
    }

    pub(crate) fn set_volatile(&mut self, at: &ObjRef, volatile: bool) {
        if let Some(row) = self.model.rows.get(at).filter(|r| r.volatile != volatile).cloned() {
            self.model.rows.put(at.clone(), Row { volatile, ..row });
        }
    }

    /// Stores one Parameter of ours by its name.
    pub(crate) fn put_param(&mut self, at: &ObjRef, name: &str, value: String) {
        // The schema's own name, so that a hundred thousand rows share it.
        let known = self.model.schema.get(at.object).and_then(|o| o.params.get_key_value(name));
        if let Some(name) = known.map(|(name, _)| name.clone()).or_else(|| Name::new(name).ok()) {
            self.model.rows.set(at, &name, value);
        }
    }
}

impl Creation {
    pub(crate) fn at(&self, number: InstanceNumber) -> ObjRef {
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
