//! USP Services in memory: a model of values, a Subscription table, commands.
//!
//! The usual one serves `Device.X_Lamp.`: a Parameter, a table, two commands and an event.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use usp_core::input::{ConnId, MtpKind, Side};
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedCommandResult,
    SupportedEventResult, SupportedObjectResult, SupportedParamResult, SupportedUniqueKeySet,
};
use usp_proto::usp::notify::Notification;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{self, body::MsgBody};

use super::World;

/// How a Service takes requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Manner {
    /// Answers at once.
    #[default]
    Good,
    /// Answers after a while.
    Slow(Duration),
    /// Never answers.
    Silent,
    /// Answers everything with an Error of this code.
    Refuses(u32),
    /// Answers with a response of the wrong kind.
    Garbage,
    /// Answers with responses of the right kind that say nothing.
    Empty,
    /// Answers everything twice.
    Twice,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct FakeService {
    pub(crate) manner: Manner,
    /// Requests with these names are never answered, whatever the manner.
    pub(crate) deaf_to: Vec<&'static str>,
    /// It refuses a Subscription for OperationComplete or Event whose ReferenceList is an Object Path.
    pub(crate) full_paths_only: bool,
    pub(crate) supported: Vec<SupportedObjectResult>,
    /// By full path.
    pub(crate) values: BTreeMap<String, String>,
    /// Parameters that refuse to be set, with the code.
    pub(crate) stubborn: BTreeMap<String, u32>,
    /// Parameters that read empty whatever they hold, by full path.
    pub(crate) veiled: Vec<&'static str>,
    /// Parameters that a Get leaves out, by full path.
    pub(crate) unread: Vec<&'static str>,
    /// It tells of whole objects only, as Services older than 1.4.
    pub(crate) whole_objects_only: bool,
    /// What it supports below rows that differ from others of their table, by the row's path.
    pub(crate) rows: BTreeMap<String, Vec<SupportedObjectResult>>,
    /// Rows that refuse to be deleted, with the code.
    pub(crate) lasting: BTreeMap<String, u32>,
    /// Tables that refuse new rows, with the code.
    pub(crate) full: BTreeMap<String, u32>,
    /// It leaves the last result out of each answer to a Set, Add or Delete.
    pub(crate) forgetful: bool,
    /// What it calls an object of a Set in its answer, by the path that it was asked with.
    pub(crate) renamed: BTreeMap<String, String>,
    /// It answers a Set with an Error when an object that a search path means refuses (R-SET.2a), and names what refused.
    pub(crate) strict: bool,
    /// Its Errors do not name what refused.
    pub(crate) tight_lipped: bool,
    /// Details that it adds to its Errors to a Set.
    pub(crate) more_details: Vec<usp::error::ParamError>,
    /// Parameters that may be set once and then refuse, with the code.
    pub(crate) set_once: BTreeMap<String, u32>,
    /// It gives the results of a Set, Add or Delete from last to first.
    pub(crate) backwards: bool,
    /// What it adds to every answer to a Get, asked or not.
    pub(crate) lies: Vec<usp::get_resp::ResolvedPathResult>,
    /// Every request it got.
    pub(crate) asked: Vec<ReqType>,
    /// What it says it has executed, instead of the command that it was asked for.
    pub(crate) executed: Option<String>,
    /// What Operate is answered with, oldest first; then sync success.
    pub(crate) outcomes: VecDeque<usp::operate_resp::operation_result::OperationResp>,
    pub(crate) highest: BTreeMap<String, u32>,
    /// Names of Parameters that it reports as unique keys.
    pub(crate) keys: Vec<&'static str>,
    /// What Add is answered with, oldest first; then as it is done.
    pub(crate) add_answers: VecDeque<usp::AddResp>,
    /// What it adds to each good result of a Set.
    pub(crate) set_lies: Vec<usp::set_resp::UpdatedInstanceResult>,
    /// Rows that it adds to each result of a Delete.
    pub(crate) delete_lies: Vec<String>,
}

/// A response that says nothing.
fn empty(request: &ReqType) -> RespType {
    match request {
        ReqType::Get(_) => RespType::GetResp(usp::GetResp::default()),
        ReqType::Set(_) => RespType::SetResp(usp::SetResp::default()),
        ReqType::Add(_) => RespType::AddResp(usp::AddResp::default()),
        ReqType::Delete(_) => RespType::DeleteResp(usp::DeleteResp::default()),
        ReqType::Operate(_) => RespType::OperateResp(usp::OperateResp::default()),
        ReqType::GetInstances(_) => RespType::GetInstancesResp(usp::GetInstancesResp::default()),
        ReqType::GetSupportedProtocol(_) => {
            RespType::GetSupportedProtocolResp(usp::GetSupportedProtocolResp::default())
        }
        _ => RespType::GetSupportedDmResp(usp::GetSupportedDmResp::default()),
    }
}

/// The object of a path and the name behind it.
fn split(path: &str) -> (&str, &str) {
    let end = path.rfind('.').unwrap() + 1;
    path.split_at(end)
}

/// Whether a concrete path meets a written one with `*`, as far as the written one goes.
fn fits(written: &str, concrete: &str) -> bool {
    let mut parts = concrete.split('.');
    let written = written.strip_suffix('.').map_or((written, false), |w| (w, true));
    let ok = written
        .0
        .split('.')
        .all(|w| parts.next().is_some_and(|p| p == w || (w == "*" && p.parse::<u32>().is_ok())));
    ok && (written.1 || parts.next().is_none())
}

impl FakeService {
    /// The answers to a Message, each with its delay.
    pub(crate) fn answers(&mut self, msg: &usp::Msg) -> Vec<(Duration, usp::Msg)> {
        let Some(MsgBody::Request(request)) = message::body(msg) else { return Vec::new() };
        let request = request.req_type.clone().unwrap();
        self.asked.push(request.clone());
        let msg_id = message::msg_id(msg);
        if self.deaf_to.contains(&message::name(msg)) {
            return Vec::new();
        }
        let wrong = RespType::DeregisterResp(usp::DeregisterResp::default());
        let refused = |code| message::error(msg_id, ErrCode(code), "no", Vec::new());
        match self.manner.clone() {
            Manner::Good => vec![(Duration::ZERO, self.answer(msg_id, &request))],
            Manner::Slow(after) => vec![(after, self.answer(msg_id, &request))],
            Manner::Silent => Vec::new(),
            Manner::Refuses(code) => vec![(Duration::ZERO, refused(code))],
            Manner::Garbage => vec![(Duration::ZERO, message::response(msg_id, wrong))],
            Manner::Empty => vec![(Duration::ZERO, message::response(msg_id, empty(&request)))],
            Manner::Twice => {
                let answer = self.answer(msg_id, &request);
                vec![(Duration::ZERO, answer.clone()), (Duration::ZERO, answer)]
            }
        }
    }

    fn answer(&mut self, msg_id: &str, request: &ReqType) -> usp::Msg {
        let mut response = match request {
            ReqType::Get(get) => RespType::GetResp(self.get(get)),
            ReqType::Set(set) => match self.set(set) {
                Ok(response) => RespType::SetResp(response),
                Err(error) => return message::error(msg_id, ErrCode(error.0), "refused", error.1),
            },
            ReqType::Add(add) => RespType::AddResp(self.add(add)),
            ReqType::Delete(delete) => RespType::DeleteResp(self.delete(delete)),
            ReqType::Operate(operate) => RespType::OperateResp(self.operate(operate)),
            ReqType::GetInstances(request) => RespType::GetInstancesResp(self.instances(request)),
            ReqType::GetSupportedDm(request) => RespType::GetSupportedDmResp(self.supported(request)),
            ReqType::GetSupportedProtocol(_) => {
                let agent_supported_protocol_versions = "1.4".to_owned();
                RespType::GetSupportedProtocolResp(usp::GetSupportedProtocolResp {
                    agent_supported_protocol_versions,
                })
            }
            other => panic!("a Service is not asked {other:?}"),
        };
        if self.forgetful {
            match &mut response {
                RespType::SetResp(r) => drop(r.updated_obj_results.pop()),
                RespType::AddResp(r) => drop(r.created_obj_results.pop()),
                RespType::DeleteResp(r) => drop(r.deleted_obj_results.pop()),
                _ => {}
            }
        }
        if self.backwards {
            match &mut response {
                RespType::SetResp(r) => r.updated_obj_results.reverse(),
                RespType::AddResp(r) => r.created_obj_results.reverse(),
                RespType::DeleteResp(r) => r.deleted_obj_results.reverse(),
                _ => {}
            }
        }
        message::response(msg_id, response)
    }

    fn get(&self, get: &usp::Get) -> usp::GetResp {
        let one = |path: &String| {
            let mut objects: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            let read = |full: &str| self.means(path, full) && !self.unread.contains(&full);
            for (full, value) in self.values.iter().filter(|(full, _)| read(full)) {
                let (object, name) = split(full);
                let shown = if self.veiled.contains(&&**full) { "" } else { value };
                objects.entry(object.to_owned()).or_default().insert(name.to_owned(), shown.to_owned());
            }
            let known = !objects.is_empty()
                || path.contains(['*', '['])
                || self.unread.contains(&&**path)
                || path.ends_with("Subscription.")
                || self.supports(path);
            usp::get_resp::RequestedPathResult {
                requested_path: path.clone(),
                err_code: if known { 0 } else { 7026 },
                err_msg: if known { String::new() } else { "unknown".to_owned() },
                resolved_path_results: objects
                    .into_iter()
                    .map(|(resolved_path, result_params)| usp::get_resp::ResolvedPathResult {
                        resolved_path,
                        result_params: result_params.into(),
                    })
                    .chain(self.lies.iter().cloned())
                    .collect(),
            }
        };
        usp::GetResp { req_path_results: get.param_paths.iter().map(one).collect() }
    }

    /// Whether a path, with `*` and expressions of one comparison, means a concrete one.
    fn means(&self, path: &str, concrete: &str) -> bool {
        self.rows_meant(path).iter().any(|path| fits(path, concrete))
    }

    /// The path with the numbers of rows in place of its expressions.
    fn rows_meant(&self, path: &str) -> Vec<String> {
        let Some((table, rest)) = path.split_once('[') else { return vec![path.to_owned()] };
        let Some((expression, rest)) = rest.split_once(']') else { return Vec::new() };
        let (unequal, equal) = (expression.split_once("!="), expression.split_once("=="));
        // It knows no other comparison, and no row of its that would meet one.
        let Some((name, wanted)) = unequal.or(equal) else { return Vec::new() };
        let negated = unequal.is_some();
        let rows = self.values.iter().filter(|(full, value)| {
            let (row, param) = split(full);
            fits(&format!("{table}*"), row.trim_end_matches('.'))
                && param == name
                && (*value == wanted.trim_matches('"')) != negated
        });
        let rows = rows.map(|(full, _)| format!("{}{rest}", split(full).0.trim_end_matches('.')));
        rows.flat_map(|path| self.rows_meant(&path)).collect()
    }

    fn supports(&self, path: &str) -> bool {
        let table = format!("{path}{{i}}.");
        self.supported.iter().any(|o| o.supported_obj_path == path || o.supported_obj_path == table)
    }

    /// The paths of each Get it got, or of another request with paths.
    pub(crate) fn paths_asked(&self, name: &str) -> Vec<Vec<String>> {
        let named = self.asked.iter().filter(|r| message::type_name(message::request_type(r)) == name);
        let paths = named.map(|request| match request {
            ReqType::Get(get) => get.param_paths.clone(),
            ReqType::GetInstances(request) => request.obj_paths.clone(),
            ReqType::GetSupportedDm(request) => request.obj_paths.clone(),
            ReqType::Set(set) => set.update_objs.iter().map(|o| o.obj_path.clone()).collect(),
            ReqType::Add(add) => add.create_objs.iter().map(|o| o.obj_path.clone()).collect(),
            ReqType::Delete(delete) => delete.obj_paths.clone(),
            _ => Vec::new(),
        });
        paths.collect()
    }

    fn set(&mut self, set: &usp::Set) -> Result<usp::SetResp, (u32, Vec<usp::error::ParamError>)> {
        use usp::set_resp::updated_object_result::operation_status::{
            OperStatus, OperationFailure, OperationSuccess,
        };
        let mut results = Vec::new();
        let before = self.values.clone();
        for object in &set.update_objs {
            let mut instances: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            let mut failed = None;
            for setting in &object.param_settings {
                let written = format!("{}{}", object.obj_path, setting.param);
                let full: Vec<String> =
                    self.values.keys().filter(|k| self.means(&written, k)).cloned().collect();
                for path in full {
                    if let Some(code) = self.stubborn.get(&path) {
                        failed = failed.or(Some((*code, path.clone())));
                    }
                    let (own, name) = split(&path);
                    instances
                        .entry(own.to_owned())
                        .or_default()
                        .insert(name.to_owned(), setting.value.clone());
                }
            }
            let status = match failed {
                Some((code, path))
                    if !set.allow_partial || (self.strict && object.obj_path.contains('*')) =>
                {
                    let param = usp::error::ParamError {
                        param_path: path,
                        err_code: code,
                        err_msg: "stubborn".to_owned(),
                    };
                    self.values = before;
                    let named = (!self.tight_lipped).then_some(param).into_iter();
                    return Err((code, named.chain(self.more_details.iter().cloned()).collect()));
                }
                Some((code, _)) => OperStatus::OperFailure(OperationFailure {
                    err_code: code,
                    err_msg: "stubborn".to_owned(),
                    updated_inst_failures: Vec::new(),
                }),
                None => {
                    for (own, params) in &instances {
                        self.values.extend(params.iter().map(|(n, v)| (format!("{own}{n}"), v.clone())));
                        let used_up = |name: &String| self.set_once.remove_entry(&format!("{own}{name}"));
                        let used_up: Vec<_> = params.keys().filter_map(used_up).collect();
                        self.stubborn.extend(used_up);
                    }
                    let result = |(affected_path, updated_params)| usp::set_resp::UpdatedInstanceResult {
                        affected_path,
                        param_errs: Vec::new(),
                        updated_params,
                    };
                    OperStatus::OperSuccess(OperationSuccess {
                        updated_inst_results: instances
                            .into_iter()
                            .map(result)
                            .chain(self.set_lies.iter().cloned())
                            .collect(),
                    })
                }
            };
            let requested_path = self.renamed.get(&object.obj_path).unwrap_or(&object.obj_path);
            results.push(usp::set_resp::UpdatedObjectResult {
                requested_path: requested_path.clone(),
                oper_status: Some(usp::set_resp::updated_object_result::OperationStatus {
                    oper_status: Some(status),
                }),
            });
        }
        Ok(usp::SetResp { updated_obj_results: results })
    }

    fn add(&mut self, add: &usp::Add) -> usp::AddResp {
        use usp::add_resp::created_object_result::operation_status::{OperStatus, OperationSuccess};
        if let Some(answer) = self.add_answers.pop_front() {
            return answer;
        }
        let mut results = Vec::new();
        for object in &add.create_objs {
            if self.full_paths_only && is_broad(object) {
                results.push(not_added(object, ErrCode::INVALID_PATH.0));
                continue;
            }
            if let Some(code) = self.full.get(&object.obj_path) {
                results.push(not_added(object, *code));
                continue;
            }
            let number = self.highest.entry(object.obj_path.clone()).or_default();
            *number += 1;
            let row = format!("{}{number}.", object.obj_path);
            for setting in &object.param_settings {
                self.values.insert(format!("{row}{}", setting.param), setting.value.clone());
            }
            let status = OperStatus::OperSuccess(OperationSuccess {
                unique_keys: self.keys_of(&row),
                instantiated_path: row,
                param_errs: Vec::new(),
            });
            results.push(usp::add_resp::CreatedObjectResult {
                requested_path: object.obj_path.clone(),
                oper_status: Some(usp::add_resp::created_object_result::OperationStatus {
                    oper_status: Some(status),
                }),
            });
        }
        usp::AddResp { created_obj_results: results }
    }

    fn delete(&mut self, delete: &usp::Delete) -> usp::DeleteResp {
        use usp::delete_resp::deleted_object_result::operation_status::{OperStatus, OperationSuccess};
        let mut results = Vec::new();
        for path in &delete.obj_paths {
            if let Some(code) = self.lasting.get(path) {
                results.push(not_deleted(path, *code));
                continue;
            }
            let mut affected: Vec<String> =
                self.values.keys().filter(|k| self.means(path, k)).map(|k| split(k).0.to_owned()).collect();
            affected.dedup();
            affected.extend(self.delete_lies.iter().cloned());
            let written = self.rows_meant(path);
            self.values.retain(|k, _| !written.iter().any(|path| fits(path, k)));
            let status = OperStatus::OperSuccess(OperationSuccess {
                affected_paths: affected,
                unaffected_path_errs: Vec::new(),
            });
            results.push(usp::delete_resp::DeletedObjectResult {
                requested_path: path.clone(),
                oper_status: Some(usp::delete_resp::deleted_object_result::OperationStatus {
                    oper_status: Some(status),
                }),
            });
        }
        usp::DeleteResp { deleted_obj_results: results }
    }

    fn keys_of(&self, row: &str) -> BTreeMap<String, String> {
        let value =
            |name: &&str| Some(((*name).to_owned(), self.values.get(&format!("{row}{name}"))?.clone()));
        self.keys.iter().filter_map(value).collect()
    }

    fn operate(&mut self, operate: &usp::Operate) -> usp::OperateResp {
        use usp::operate_resp::operation_result::{OperationResp, OutputArgs};
        let mut results = Vec::new();
        for executed_command in self.commands(&operate.command) {
            let outcome = self.outcomes.pop_front();
            let outcome = outcome.unwrap_or(OperationResp::ReqOutputArgs(OutputArgs::default()));
            results
                .push(usp::operate_resp::OperationResult { executed_command, operation_resp: Some(outcome) });
        }
        usp::OperateResp { operation_results: results }
    }

    /// The command itself, or those of all rows for which it stands.
    fn commands(&self, command: &str) -> Vec<String> {
        if let Some(executed) = &self.executed {
            return vec![executed.clone()];
        }
        let (object, name) = split(command);
        if !object.contains(['*', '[']) {
            return vec![command.to_owned()];
        }
        let mut rows: Vec<&str> = self.values.keys().map(|full| split(full).0).collect();
        rows.retain(|row| self.means(object.trim_end_matches('.'), row.trim_end_matches('.')));
        rows.dedup();
        rows.into_iter().map(|row| format!("{row}{name}")).collect()
    }

    fn instances(&self, request: &usp::GetInstances) -> usp::GetInstancesResp {
        let one = |path: &String| {
            let mut rows: Vec<String> = Vec::new();
            for full in self.values.keys().filter(|k| self.means(path, k)) {
                let (object, _) = split(full);
                let is_row = object.trim_end_matches('.').rsplit('.').next().unwrap().parse::<u32>().is_ok();
                if is_row && !rows.contains(&object.to_owned()) {
                    rows.push(object.to_owned());
                }
            }
            let instance = |row: String| usp::get_instances_resp::CurrInstance {
                unique_keys: self.keys_of(&row),
                instantiated_obj_path: row,
            };
            usp::get_instances_resp::RequestedPathResult {
                requested_path: path.clone(),
                err_code: 0,
                err_msg: String::new(),
                curr_insts: rows.into_iter().map(instance).collect(),
            }
        };
        usp::GetInstancesResp { req_path_results: request.obj_paths.iter().map(one).collect() }
    }

    fn supported(&self, request: &usp::GetSupportedDm) -> usp::GetSupportedDmResp {
        let one = |path: &String| {
            let (object, element) = split(path);
            let of_row = self.rows.get(path);
            let found = of_row.unwrap_or(&self.supported).iter().filter(|o| match request.first_level_only {
                // A row may be told with `{i}` as well.
                _ if of_row.is_some() => true,
                true => o.supported_obj_path == object,
                false => o.supported_obj_path.starts_with(object),
            });
            let found: Vec<_> =
                found.filter(|_| element.is_empty() || !self.whole_objects_only).cloned().collect();
            RequestedObjectResult {
                req_obj_path: path.clone(),
                err_code: if found.is_empty() { 7026 } else { 0 },
                err_msg: String::new(),
                data_model_inst_uri: String::new(),
                supported_objs: found,
            }
        };
        usp::GetSupportedDmResp { req_obj_results: request.obj_paths.iter().map(one).collect() }
    }

    /// How often it was asked this.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.asked.iter().filter(|r| message::type_name(message::request_type(r)) == name).count()
    }

    /// IDs of its Subscription rows by type and reference.
    pub(crate) fn subscriptions(&self) -> BTreeMap<(String, String), String> {
        let ids = self
            .values
            .iter()
            .filter(|(k, _)| k.starts_with("Device.LocalAgent.Subscription.") && k.ends_with(".ID"));
        let of = |(path, id): (&String, &String)| {
            let row = split(path).0;
            let text = |name: &str| self.values.get(&format!("{row}{name}")).cloned().unwrap_or_default();
            ((text("NotifType"), text("ReferenceList")), id.clone())
        };
        ids.map(of).collect()
    }
}

/// Whether a Subscription asks for all Commands or Events below an object.
fn is_broad(object: &usp::add::CreateObject) -> bool {
    let has = |name: &str, fits: &dyn Fn(&str) -> bool| {
        object.param_settings.iter().any(|s| s.param == name && fits(&s.value))
    };
    has("NotifType", &|t| t == "OperationComplete" || t == "Event")
        && has("ReferenceList", &|r| r.ends_with('.'))
}

fn not_added(object: &usp::add::CreateObject, err_code: u32) -> usp::add_resp::CreatedObjectResult {
    use usp::add_resp::created_object_result::{OperationStatus, operation_status as status};
    let failure = status::OperationFailure { err_code, err_msg: String::new() };
    usp::add_resp::CreatedObjectResult {
        requested_path: object.obj_path.clone(),
        oper_status: Some(OperationStatus { oper_status: Some(status::OperStatus::OperFailure(failure)) }),
    }
}

fn not_deleted(path: &str, err_code: u32) -> usp::delete_resp::DeletedObjectResult {
    use usp::delete_resp::deleted_object_result::{OperationStatus, operation_status as status};
    let failure = status::OperationFailure { err_code, err_msg: String::new() };
    usp::delete_resp::DeletedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status: Some(status::OperStatus::OperFailure(failure)) }),
    }
}

/// A supported object: `Name`, `Name()` sync, `Name()&` async, `Name!` elements.
pub(crate) fn object(path: &str, elements: &[&str]) -> SupportedObjectResult {
    let table = path.ends_with("{i}.");
    let mut object = SupportedObjectResult {
        supported_obj_path: path.to_owned(),
        access: if table { ObjAccessType::ObjAddDelete } else { ObjAccessType::ObjReadOnly } as i32,
        is_multi_instance: table,
        ..SupportedObjectResult::default()
    };
    for element in elements {
        if element.contains("()") {
            let kind = if element.ends_with('&') { CmdType::CmdAsync } else { CmdType::CmdSync };
            object.supported_commands.push(SupportedCommandResult {
                command_name: element.trim_end_matches('&').to_owned(),
                command_type: kind as i32,
                ..SupportedCommandResult::default()
            });
        } else if element.ends_with('!') {
            let event_name = (*element).to_owned();
            object.supported_events.push(SupportedEventResult { event_name, arg_names: Vec::new() });
        } else {
            object.supported_params.push(SupportedParamResult {
                param_name: (*element).to_owned(),
                access: ParamAccessType::ParamReadWrite as i32,
                value_type: ParamValueType::ParamString as i32,
                ..SupportedParamResult::default()
            });
        }
    }
    if table {
        object.unique_key_sets.push(SupportedUniqueKeySet { key_names: vec!["Name".to_owned()] });
    }
    object
}

/// The usual model below an object such as `Device.X_Lamp.`, with two rows.
pub(crate) fn lamp(top: &str) -> FakeService {
    let value = |path: &str, value: &str| (format!("{top}{path}"), value.to_owned());
    FakeService {
        supported: vec![
            object(top, &["Colour", "Blink()", "Fade()&", "Burnt!"]),
            object(&format!("{top}Zone.{{i}}."), &["Name", "Level", "Dim()&"]),
        ],
        values: BTreeMap::from([
            value("Colour", "red"),
            value("Zone.1.Name", "north"),
            value("Zone.1.Level", "10"),
            value("Zone.2.Name", "south"),
            value("Zone.2.Level", "20"),
        ]),
        highest: BTreeMap::from([(format!("{top}Zone."), 2)]),
        ..FakeService::default()
    }
}

impl World {
    /// A Service connects; nothing is registered yet.
    pub(crate) fn service_link(&mut self, peer: &str, service: FakeService) -> ConnId {
        let conn = self.connect(MtpKind::Uds, Side::Controller, peer, true);
        self.services.insert(conn, service);
        conn
    }

    /// The usual Service, connected, registered and discovered.
    pub(crate) fn lamp(&mut self, peer: &str, top: &str) -> ConnId {
        let conn = self.service_link(peer, lamp(top));
        assert_eq!(self.register(conn, false, &[top]), top);
        conn
    }

    /// How a Service takes requests from now on.
    pub(crate) fn manner(&mut self, conn: ConnId, manner: Manner) {
        self.services.get_mut(&conn).unwrap().manner = manner;
    }

    /// A Service notifies for one of the broker's rows there.
    pub(crate) fn service_notify(&mut self, conn: ConnId, kind: &str, reference: &str, what: Notification) {
        let key = (kind.to_owned(), reference.to_owned());
        let rows = self.services[&conn].subscriptions();
        let id = rows.get(&key).unwrap_or_else(|| panic!("no {key:?} among {rows:?}"));
        let notify = usp::Notify { subscription_id: id.clone(), send_resp: false, notification: Some(what) };
        self.begin(conn, ReqType::Notify(notify));
    }
}
