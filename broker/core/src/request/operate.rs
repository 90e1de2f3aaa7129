//! Operate: sync commands of ours and of Services, async ones with a Request row each (R-OPR.0, R-OPR.2).

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Name, Path};
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::{OperationResp, OutputArgs};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::budget::Budget;
use super::follow::leads_nowhere;
use super::operated::{
    canceled_at_service, check_arguments, check_key, failure, is_search, may_be_same, own_result,
    request_path, result,
};
use super::untold::rows_of;
use super::{Origin, resolve, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind};
use crate::agent::commands::{Deed, check_values};
use crate::dm::resolve::{Found, follows};
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::{ObjId, Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, ServiceFault};
use crate::input::ConnId;
use crate::services::overdue::Overdue;
use crate::time::Mono;

/// Bytes of what is said of a command beside its path: its Request row, or why it did not run.
const RESULT: usize = 64;

/// One command that is to run.
enum Task {
    /// A command of ours that answers at once.
    Sync { at: ObjRef, name: Name },
    /// A command of a device.
    Async { at: ObjRef, name: Name },
    /// A command at a Service.
    Service { service: ServiceId, path: String, is_async: bool },
    /// A command that a reference led to and that cannot run.
    Refused { command: String },
    /// `Cancel()` of a Request row whose command runs at a Service, where its row has this path.
    Cancel { at: ObjRef, service: ServiceId, remote: String },
}

/// What became of it.
enum Outcome {
    Open,
    Done(Vec<OperationResult>),
}

struct OperateJob {
    origin: Origin,
    operate: usp::Operate,
    tasks: Vec<(Task, Outcome)>,
    /// Request rows by task.
    requests: BTreeMap<usize, u32>,
    phase: Phase,
    /// What follows the answer.
    deeds: Vec<Deed>,
}

#[derive(PartialEq)]
enum Phase {
    Plan,
    Stored,
    Asked,
}

impl Broker {
    /// Operate.
    pub(crate) fn handle_operate(&mut self, origin: Origin, operate: usp::Operate) {
        match check_key(&operate.command_key).and_then(|()| self.plan_meant_operate(&origin, &operate)) {
            Ok(tasks) => {
                let job = OperateJob {
                    origin,
                    operate,
                    tasks,
                    requests: BTreeMap::new(),
                    phase: Phase::Plan,
                    deeds: Vec::new(),
                };
                self.begin(Box::new(job));
            }
            Err(fault) => {
                // R-OPR.1: a failing operation is a result, never an Error.
                let result = failure(&operate.command, &fault);
                self.respond_operate(&origin, &operate, vec![result]);
            }
        }
    }

    fn respond_operate(&mut self, origin: &Origin, operate: &usp::Operate, results: Vec<OperationResult>) {
        if operate.send_resp {
            self.respond(origin, RespType::OperateResp(usp::OperateResp { operation_results: results }));
        } else {
            self.sessions.request_done(origin.conn, &origin.msg_id);
        }
    }

    /// A Command, or those that its references lead to.
    fn plan_meant_operate(
        &self,
        origin: &Origin,
        operate: &usp::Operate,
    ) -> Result<Vec<(Task, Outcome)>, Fault> {
        let budget = Budget::new(self.config.limits.max_answer_bytes);
        let Some(paths) = origin.meant(&operate.command)? else {
            return self.plan_operate(origin, operate, &budget);
        };
        let mut tasks = Vec::new();
        for command in paths {
            let operate = usp::Operate { command, ..operate.clone() };
            let planned = self.plan_operate(origin, &operate, &budget);
            budget.check()?;
            match planned {
                Ok(more) => tasks.extend(more),
                Err(fault) if leads_nowhere(&self.model, &operate.command, &fault) => {}
                Err(fault) => {
                    let result = failure(&operate.command, &fault);
                    let task = Task::Refused { command: operate.command };
                    tasks.push((task, Outcome::Done(vec![result])));
                }
            }
        }
        Ok(tasks)
    }

    fn plan_operate(
        &self,
        origin: &Origin,
        operate: &usp::Operate,
        budget: &Budget,
    ) -> Result<Vec<(Task, Outcome)>, Fault> {
        let path = Path::parse(&operate.command)?;
        let Leaf::Command(name) = &path.leaf else {
            return Err(wrong_form(&operate.command, "a Command Path; it would end in ()"));
        };
        let local = match resolve(&self.model, &path, &origin.rights)? {
            Found::Service(service) => return self.plan_at_service(origin, service, &path),
            Found::Local(local) => local,
        };
        let Some(object) = local.object.and_then(|id| self.model.schema.get(id)).filter(|_| !local.table)
        else {
            return if local.search { Ok(Vec::new()) } else { Err(Fault::unsupported(&path)) };
        };
        let command = object.commands.get(name).ok_or_else(|| Fault::unsupported(&path))?;
        if let Owner::Service(service) = command.owner {
            return self.plan_at_service(origin, service, &path);
        }
        let usable = check_arguments(command, &operate.input_args)
            .and_then(|()| check_values(&object.path, name, &operate.input_args));
        let is_async = command.is_async;
        if !local.search {
            // Whether a row is there, and what it has, is not told by how a command is refused.
            let operable = match local.at.first() {
                Some(at) => self.check_operable(origin, at, name),
                None if origin.rights.allow_path(Kind::CommandEvent, Act::Execute, &path) => {
                    Err(Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist")))
                }
                None => Err(Fault::denied(&path)),
            };
            operable?;
        }
        let no_such_command = self.no_such_command(&path, local.at.first());
        let mut tasks = Vec::new();
        for at in local.at {
            budget.check_more(1);
            budget.check()?;
            if !self.model.has(&at, name) {
                continue;
            }
            // Each object has its own result, whatever is wrong (R-OPR.1, R-OPR.5).
            let fits =
                || usable.clone().and_then(|()| self.check_vendor_args(&at, name, &operate.input_args));
            let fits = || fits().and_then(|()| self.check_bus(&at, name));
            let operable = self.check_operable(origin, &at, name);
            // R-GIN.0: no search tells of rows that may not be known of.
            if operable.is_err() && local.search && !self.may_know_row(&at, &origin.rights) {
                continue;
            }
            let command = format!("{}{name}()", self.model.path(&at));
            budget.take(command.len() + RESULT);
            let outcome = match operable.and_then(|()| fits()) {
                Ok(()) => Outcome::Open,
                Err(fault) => {
                    budget.take(fault.text.len());
                    Outcome::Done(vec![failure(&command, &fault)])
                }
            };
            let name = name.clone();
            let task = if is_async { Task::Async { at, name } } else { self.sync_task(at, name) };
            tasks.push((task, outcome));
        }
        if tasks.is_empty() && !local.search {
            return Err(no_such_command);
        }
        budget.check().map(|()| tasks)
    }

    /// Of devices each has its own Commands; which, `supported` of its row tells.
    fn no_such_command(&self, path: &Path, at: Option<&ObjRef>) -> Fault {
        match at.and_then(|at| self.model.devices.of(at)) {
            Some(device) => {
                let text = format!("{path}: device {} has no such Command", device.id);
                Fault::new(ErrCode::INVALID_PATH, text)
            }
            None => Fault::unsupported(path),
        }
    }

    /// What runs at a Service can be canceled there alone.
    fn sync_task(&self, at: ObjRef, name: Name) -> Task {
        match self.remote_request(&at).filter(|_| name.as_str() == "Cancel") {
            Some((service, remote)) => Task::Cancel { at, service, remote },
            None => Task::Sync { at, name },
        }
    }

    fn check_operable(&self, origin: &Origin, at: &ObjRef, name: &Name) -> Result<(), Fault> {
        let leaf = Leaf::Command(name.clone());
        if origin.rights.allow(&self.model, Kind::CommandEvent, Act::Execute, at, &leaf) {
            return Ok(());
        }
        Err(Fault::denied(format!("{}{name}()", self.model.path(at))))
    }

    fn plan_at_service(
        &self,
        origin: &Origin,
        service: ServiceId,
        path: &Path,
    ) -> Result<Vec<(Task, Outcome)>, Fault> {
        if follows(path) {
            return Err(Fault::unsupported(path));
        }
        if !origin.rights.allow_path(Kind::CommandEvent, Act::Execute, path) {
            return Err(Fault::denied(path));
        }
        let is_async = self.model.command_of(path).is_none_or(|c| c.is_async);
        Ok(vec![(Task::Service { service, path: path.to_string(), is_async }, Outcome::Open)])
    }

    /// Makes a Request row and gives its number.
    pub(crate) fn add_request(&mut self, origin: &Origin, command: &str, key: &str) -> Result<u32, Fault> {
        let table = self.model.table("Device.LocalAgent.Request.");
        let table = table.ok_or_else(|| Fault::unsupported("Device.LocalAgent.Request."))?;
        if self.model.rows.count(table, &[]) >= self.config.limits.max_rows_per_table {
            return Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, "too many commands are running"));
        }
        self.check_running(table, origin)?;
        if let Some(twin) = self.twin(table, origin, command, key, None) {
            return Err(twin);
        }
        // Kept on disk although commands do not outlive the process: the next start tells that they failed.
        let number = self.model.rows.next_number(table, &[], false);
        let at = ObjRef::new(table, &[number]);
        self.model.rows.put(at.clone(), Row::default());
        let originator = origin.peer.to_string();
        for (name, value) in [
            ("Alias", format!("cpe-{number}")),
            ("Originator", originator),
            ("Command", command.to_owned()),
            ("CommandKey", key.to_owned()),
            ("Status", "Requested".to_owned()),
        ] {
            self.put_param(&at, name, value);
        }
        Ok(number)
    }

    /// Why a command may not run beside another Request row of the same unique key: Originator, Command and CommandKey.
    /// The one that runs is not disturbed (R-OPR.3). Which rows a wildcard or a search means at a Service is known
    /// afterwards alone: what it may mean counts.
    pub(crate) fn twin(
        &self,
        table: ObjId,
        origin: &Origin,
        command: &str,
        key: &str,
        own: Option<u32>,
    ) -> Option<Fault> {
        let is = |row: &Row, name: &str, wanted: &str| row.params.get(name).is_some_and(|own| own == wanted);
        let is_twin = |row: &Row| {
            is(row, "CommandKey", key)
                && is(row, "Originator", origin.peer.as_str())
                && row.params.get("Command").is_some_and(|other| may_be_same(other, command))
        };
        let mut rows = self.model.rows.of_table(table, &[]);
        let (at, row) = rows.find(|(at, row)| Some(at.number()) != own && is_twin(row))?;
        let running = row.params.get("Command").map_or(command, |running| running.as_str());
        let text = format!("{running} runs already with this command_key, as {}", self.model.path(at));
        Some(Fault::new(ErrCode::REQUEST_DENIED, text))
    }

    /// One Controller's commands leave room for those of others.
    fn check_running(&self, table: ObjId, origin: &Origin) -> Result<(), Fault> {
        let most = self.config.limits.max_pending_per_controller;
        let peer = origin.peer.as_str();
        let rows = self.model.rows.of_table(table, &[]);
        let own = rows.filter(|(_, row)| row.params.get("Originator").is_some_and(|o| o == peer));
        if own.take(most).count() < most {
            return Ok(());
        }
        let text = format!("{most} commands of {peer} are running (limits.max_pending_per_controller)");
        Err(Fault::new(ErrCode::RESOURCES_EXCEEDED, text))
    }

    /// Takes a Request row away: its command is complete.
    pub(crate) fn remove_request(&mut self, number: u32) {
        if let Some(table) = self.model.table("Device.LocalAgent.Request.") {
            self.model.rows.delete(&ObjRef::new(table, &[number]));
            self.commit(None);
        }
    }
}

impl Job for OperateJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        match reply {
            LegReply::Stored(Err(fault)) => self.fail_all(broker, &fault),
            LegReply::Service(outcome) => self.take_service(broker, tag, outcome),
            LegReply::Stored(Ok(())) | LegReply::Device(_) | LegReply::Turn => {}
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        match self.phase {
            Phase::Plan => {
                self.phase = Phase::Stored;
                self.make_rows(broker);
                broker.ask_store(id, usize::MAX);
                Some(self)
            }
            Phase::Stored => {
                self.phase = Phase::Asked;
                self.start_all(broker, id);
                Some(self)
            }
            Phase::Asked => {
                let results = self.tasks.iter_mut().flat_map(|(_, outcome)| match outcome {
                    Outcome::Done(results) => std::mem::take(results),
                    Outcome::Open => Vec::new(),
                });
                let results: Vec<OperationResult> = results.collect();
                let rows =
                    self.requests.values().copied().chain(rows_of(&results)).collect::<BTreeSet<u32>>();
                broker.respond_operate(&self.origin, &self.operate, results);
                broker.tell_rows(rows);
                for deed in std::mem::take(&mut self.deeds) {
                    broker.carry_out(deed);
                }
                self.run_all(broker);
                None
            }
        }
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }

    fn until(&self) -> Option<Mono> {
        self.origin.terms.map(|terms| terms.answer)
    }
}

impl OperateJob {
    fn fail_all(&mut self, broker: &mut Broker, fault: &Fault) {
        for (task, outcome) in &mut self.tasks {
            *outcome = Outcome::Done(vec![failure(&task.text(broker), fault)]);
        }
        std::mem::take(&mut self.requests).into_values().for_each(|row| broker.untold.forget(row));
        self.deeds.clear();
    }

    /// Request rows come first, so that nothing runs that nobody could find.
    fn make_rows(&mut self, broker: &mut Broker) {
        for (index, (task, outcome)) in self.tasks.iter_mut().enumerate() {
            if !matches!(outcome, Outcome::Open) {
                continue;
            }
            let command = match task {
                Task::Async { at, name } => format!("{}{name}()", broker.model.path(at)),
                Task::Service { path, is_async: true, .. } => path.clone(),
                Task::Sync { at, name } => {
                    // The cause of a restart is on disk before anybody is told.
                    match broker.prepare_command(at, name, &self.operate) {
                        Ok(deed) => self.deeds.push(deed),
                        Err(fault) => {
                            let command = format!("{}{name}()", broker.model.path(at));
                            *outcome = Outcome::Done(vec![failure(&command, &fault)]);
                        }
                    }
                    continue;
                }
                Task::Service { .. } | Task::Cancel { .. } | Task::Refused { .. } => continue,
            };
            match broker.add_request(&self.origin, &command, &self.operate.command_key) {
                Ok(number) => {
                    self.requests.insert(index, number);
                    broker.untold.add(number);
                    if let Task::Async { name, .. } = task {
                        broker.prepare_async(name, number, &self.operate.input_args);
                    }
                }
                Err(fault) => *outcome = Outcome::Done(vec![failure(&command, &fault)]),
            }
        }
    }

    fn start_all(&mut self, broker: &mut Broker, id: JobId) {
        for (index, (task, outcome)) in self.tasks.iter_mut().enumerate() {
            if !matches!(outcome, Outcome::Open) {
                continue;
            }
            match task {
                Task::Sync { at, name } => {
                    let command = format!("{}{name}()", broker.model.path(at));
                    let resp = OperationResp::ReqOutputArgs(OutputArgs::default());
                    *outcome = Outcome::Done(vec![result(command, resp)]);
                }
                Task::Async { at, name } => {
                    let command = format!("{}{name}()", broker.model.path(at));
                    let row = self.requests.get(&index).copied().unwrap_or_default();
                    *outcome =
                        Outcome::Done(vec![result(command, OperationResp::ReqObjPath(request_path(row)))]);
                }
                Task::Refused { .. } => {}
                Task::Cancel { service, remote, .. } => {
                    let operate = usp::Operate {
                        command: format!("{remote}Cancel()"),
                        send_resp: true,
                        ..usp::Operate::default()
                    };
                    broker.ask_service(id, index, *service, ReqType::Operate(operate));
                }
                Task::Service { service, path, .. } => {
                    let operate = usp::Operate {
                        command: path.clone(),
                        command_key: broker.service_command_key(
                            *service,
                            self.requests.get(&index).copied(),
                            &self.operate.command_key,
                        ),
                        send_resp: true,
                        input_args: self.operate.input_args.clone(),
                    };
                    broker.ask_service(id, index, *service, ReqType::Operate(operate));
                }
            }
        }
    }

    /// Async commands begin after the answer has gone out, so that no OperationComplete overtakes it.
    fn run_all(&mut self, broker: &mut Broker) {
        for (index, (task, _)) in self.tasks.iter().enumerate() {
            if let (Task::Async { at, name }, Some(row)) = (task, self.requests.get(&index)) {
                broker.run_async(at, name, &self.operate.input_args, &self.operate.command_key, *row);
            }
        }
    }

    /// A Service's OperateResp: its Request rows become ours.
    fn take_service(&mut self, broker: &mut Broker, index: usize, outcome: Result<RespType, ServiceFault>) {
        if let Some((Task::Cancel { at, service, .. }, slot)) = self.tasks.get_mut(index) {
            let (command, name) =
                (format!("{}Cancel()", broker.model.path(at)), broker.services.name(*service));
            let canceled = canceled_at_service(&name, outcome.map_err(|e| e.fault));
            if canceled.is_ok() {
                broker.note_status(at.number(), "Canceling");
            }
            *slot = Outcome::Done(vec![match canceled {
                Ok(()) => result(command, OperationResp::ReqOutputArgs(OutputArgs::default())),
                Err(fault) => failure(&command, &fault),
            }]);
            return;
        }
        let row = self.requests.get(&index).copied();
        let Some((Task::Service { service, path, .. }, slot)) = self.tasks.get_mut(index) else { return };
        let service = *service;
        let name = broker.services.name(service);
        if let Err(ServiceFault { overdue: Some(msg), fault, .. }) = &outcome {
            let (origin, key) = (self.origin.clone(), self.operate.command_key.clone());
            *slot = Outcome::Done(vec![failure(path, fault)]);
            let (path, ended) = (path.clone(), BTreeSet::new());
            return broker.expect_late(*msg, Overdue { origin, service, row, key, path, ended });
        }
        let results = match outcome {
            Ok(RespType::OperateResp(response))
                if !response.operation_results.is_empty() || is_search(path) =>
            {
                response.operation_results
            }
            Ok(RespType::OperateResp(_)) => {
                let text = format!("Service {name} answered without a result");
                vec![failure(path, &Fault::new(ErrCode::INTERNAL_ERROR, text))]
            }
            Ok(_) => {
                let fault = Fault::new(
                    ErrCode::INTERNAL_ERROR,
                    format!("Service {name} answered with something else"),
                );
                vec![failure(path, &fault)]
            }
            Err(error) => vec![failure(path, &error.fault)],
        };
        let own = |result| own_result(broker, service, path, result);
        let results = results.into_iter().map(own).collect();
        let results = broker.adopt_results(&self.origin, service, row, &self.operate.command_key, results);
        *slot = Outcome::Done(results);
    }
}

impl Task {
    fn text(&self, broker: &Broker) -> String {
        match self {
            Self::Sync { at, name } | Self::Async { at, name } => {
                format!("{}{name}()", broker.model.path(at))
            }
            Self::Cancel { at, .. } => format!("{}Cancel()", broker.model.path(at)),
            Self::Service { path, .. } | Self::Refused { command: path } => path.clone(),
        }
    }
}
