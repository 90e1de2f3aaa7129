//! Async commands that run at Services: the Service's Request row is replaced by ours, its command_key by one that is
//! unique, so that OperationComplete finds its way back whoever chose equal keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp;
use usp_proto::usp::notify::operation_complete::{CommandFailure, OperationResp as Completed};
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use crate::dm::Model;
use crate::dm::schema::{Command, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, may_pass};
use crate::request::Origin;
use crate::request::operated::{failure, request_path};
use crate::services::overdue::Overdue;
use crate::services::register::is_within;
use crate::time::Mono;
use crate::timers::Timer;
use crate::{Broker, Phase};

/// Our command_key and the executed command's path.
pub(crate) type Id = (String, String);

/// Commands running at Services.
#[derive(Default)]
pub(crate) struct RunningCommands {
    /// By our command_key and the executed command's path.
    running: BTreeMap<(String, String), Running>,
    /// Operates that a Service has not answered, by the Request row that waits for it.
    asked: BTreeMap<u32, ServiceId>,
    /// Completions that came before the answer to their Operate, by the row, with the executed command.
    early: BTreeMap<u32, BTreeMap<String, Completed>>,
    /// Completions to be told once the answer has gone out.
    late: Vec<((String, String), Completed)>,
    /// Operates that a Service did not answer in time, by the number of the request.
    pub(super) overdue: BTreeMap<u64, Overdue>,
    /// Completions that came before the time for their answer was over, to be told once that is answered: the row, the
    /// executed command.
    pub(super) overtaken: Vec<(u32, String, Completed)>,
    /// Services that tell of no completion and are asked what still runs: when next, and how often before.
    reviews: BTreeMap<ServiceId, (Mono, u32)>,
}

/// An Operate that a Service has answered.
struct Asked<'a> {
    service: ServiceId,
    /// The Request row that its command_key there names.
    row: Option<u32>,
    /// That row, if it still waits for a command.
    free: Option<u32>,
    /// The Controller's command_key.
    key: &'a str,
    /// The Controller has its answer.
    answered: bool,
}

/// One of them.
#[derive(Clone, Debug)]
struct Running {
    service: ServiceId,
    row: u32,
    /// The Controller's own.
    key: String,
    /// The Service's own Request row.
    remote: String,
}

/// Pause before a Service is first asked which commands still run there; each further one is twice as long, up to so many
/// times the first.
const REVIEW_AFTER: Duration = Duration::from_secs(5);
const MOST_PATIENCE: u32 = 64;

/// Completions that are kept at most while one Operate is not answered.
const MAX_EARLY: usize = 256;

impl RunningCommands {
    /// Whether a Service has not answered the Operate that a Request row stands for.
    pub(crate) fn is_asked(&self, row: u32) -> bool {
        self.asked.contains_key(&row)
    }

    fn is_overdue(&self, row: u32) -> bool {
        self.overdue.values().any(|overdue| overdue.row == Some(row))
    }

    /// What was complete before its Operate was answered.
    pub(super) fn take_early(&mut self, row: u32) -> BTreeMap<String, Completed> {
        self.early.remove(&row).unwrap_or_default()
    }

    /// An Operate will not be answered any more.
    pub(super) fn forget_asked(&mut self, row: Option<u32>) -> BTreeMap<String, Completed> {
        let Some(row) = row else { return BTreeMap::new() };
        self.asked.remove(&row);
        self.early.remove(&row).unwrap_or_default()
    }
}

impl Model {
    /// The supported Command that a path names.
    pub fn command_of(&self, path: &Path) -> Option<&Command> {
        let Leaf::Command(name) = &path.leaf else { return None };
        let object = Path { segments: path.segments.clone(), leaf: Leaf::Object }.to_supported()?.to_string();
        let id = self.schema.find(&object)?;
        self.schema.get(id)?.commands.get(name)
    }
}

fn own_key(row: u32) -> String {
    format!("uspb-{row}")
}

fn row_of_key(key: &str) -> Option<u32> {
    key.strip_prefix("uspb-")?.parse().ok()
}

impl Broker {
    /// The command_key that a Service sees: ours while a Request row stands for the command. The answer to the Operate
    /// is to be given to [`adopt_results`](Self::adopt_results).
    pub(crate) fn service_command_key(&mut self, service: ServiceId, row: Option<u32>, key: &str) -> String {
        let Some(row) = row else { return key.to_owned() };
        self.commands.asked.insert(row, service);
        own_key(row)
    }

    /// Puts our Request rows in the place of a Service's. The first result has a row already, unless the command was said
    /// to be sync; then the Service knows it by the Controller's own key.
    pub(crate) fn adopt_results(
        &mut self,
        origin: &Origin,
        service: ServiceId,
        row: Option<u32>,
        key: &str,
        results: Vec<OperationResult>,
    ) -> Vec<OperationResult> {
        let asked = Asked { service, row, free: row, key, answered: false };
        self.adopt(origin, asked, results)
    }

    /// The same for an answer that came so late that the row is gone.
    pub(super) fn adopt_late_results(
        &mut self,
        origin: &Origin,
        service: ServiceId,
        row: Option<u32>,
        key: &str,
        results: Vec<OperationResult>,
    ) -> Vec<OperationResult> {
        self.adopt(origin, Asked { service, row, free: None, key, answered: true }, results)
    }

    fn adopt(
        &mut self,
        origin: &Origin,
        asked: Asked<'_>,
        mut results: Vec<OperationResult>,
    ) -> Vec<OperationResult> {
        let Asked { service, row, mut free, key, answered } = asked;
        // What came early for a command that did not start is forgotten with this.
        let mut early = self.commands.forget_asked(row);
        let seen_key = row.map_or_else(|| key.to_owned(), own_key);
        for result in &mut results {
            let Some(OperationResp::ReqObjPath(remote)) = &result.operation_resp else { continue };
            let remote = if remote.ends_with('.') { remote.clone() } else { format!("{remote}.") };
            let command = result.executed_command.clone();
            let id = (seen_key.clone(), command);
            let row = match free.take() {
                Some(row) => self.settle_request(origin, row, &id.1, key),
                None if self.commands.running.contains_key(&id) => {
                    let text = format!("{} is running already with this command_key", id.1);
                    Err(Fault::new(ErrCode::REQUEST_DENIED, text))
                }
                None => self.add_request(origin, &id.1, key).inspect(|row| {
                    self.note_status(*row, "Active");
                    if !answered {
                        self.untold.add(*row);
                    }
                }),
            };
            match row {
                Ok(row) => {
                    result.operation_resp = Some(OperationResp::ReqObjPath(request_path(row)));
                    self.commands
                        .running
                        .insert(id.clone(), Running { service, row, key: key.to_owned(), remote });
                    if let Some(outcome) = early.remove(&id.1) {
                        self.commands.late.push((id, outcome));
                    }
                }
                Err(fault) => {
                    *result = failure(&id.1, &fault);
                    self.begin(Box::new(CancelJob { service, remote: Some(remote) }));
                }
            }
        }
        if let Some(unused) = free {
            self.remove_request(unused);
        }
        self.commit(None);
        self.review_soon(service);
        results
    }

    /// Where the command of a Request row runs, and its row there.
    pub(crate) fn remote_request(&self, at: &crate::dm::rows::ObjRef) -> Option<(ServiceId, String)> {
        let table = self.model.table("Device.LocalAgent.Request.").filter(|table| at.object == *table)?;
        let running = self.commands.running.values().find(|r| table == at.object && r.row == at.number())?;
        Some((running.service, running.remote.clone()))
    }

    /// The row that was made before the Service was asked is the one of this command, unless another row is.
    fn settle_request(&mut self, origin: &Origin, row: u32, command: &str, key: &str) -> Result<u32, Fault> {
        let Some(table) = self.model.table("Device.LocalAgent.Request.") else { return Ok(row) };
        if let Some(twin) = self.twin(table, origin, command, key, Some(row)) {
            self.remove_request(row);
            return Err(twin);
        }
        let at = crate::dm::rows::ObjRef::new(table, &[row]);
        self.put_param(&at, "Command", command.to_owned());
        self.note_status(row, "Active");
        Ok(row)
    }

    /// A Service says that a command is complete.
    pub(crate) fn take_completion(&mut self, service: ServiceId, done: usp::notify::OperationComplete) {
        let command = format!("{}{}", done.obj_path, done.command_name);
        let id = (done.command_key.clone(), command);
        let Some(outcome) = done.operation_resp else { return };
        let known = self.commands.running.get(&id).is_some_and(|r| r.service == service);
        if known {
            self.complete_running(&id, outcome);
        } else if let Some(row) = row_of_key(&id.0).filter(|r| self.commands.asked.get(r) == Some(&service)) {
            if self.commands.is_overdue(row) {
                return self.end_overdue(row, id.1, outcome);
            }
            let early = self.commands.early.entry(row).or_default();
            if early.len() < MAX_EARLY {
                early.insert(id.1, outcome);
            }
        }
    }

    /// A command that no Request row stands for is complete.
    pub(super) fn complete_unfollowed(
        &mut self,
        service: ServiceId,
        row: u32,
        key: String,
        command: String,
        outcome: Completed,
    ) {
        let id = (own_key(row), command);
        self.commands.running.insert(id.clone(), Running { service, row, key, remote: String::new() });
        self.complete_running(&id, outcome);
    }

    /// Tells completions that had to wait for the answer to their Operate.
    pub(crate) fn deliver_late_completions(&mut self) {
        for (row, command, outcome) in std::mem::take(&mut self.commands.overtaken) {
            self.end_overdue(row, command, outcome);
        }
        for (id, outcome) in std::mem::take(&mut self.commands.late) {
            self.complete_running(&id, outcome);
        }
    }

    fn complete_running(&mut self, id: &Id, outcome: Completed) {
        let Some(service) = self.commands.running.get(id).map(|running| running.service) else { return };
        if let Some(outcome) = self.tell_later(service, id, outcome) {
            self.tell_complete(id, outcome);
        }
    }

    /// The same, once it is known who may hear of it.
    pub(crate) fn tell_complete(&mut self, id: &Id, outcome: Completed) {
        if let Some(running) = self.commands.running.remove(id) {
            self.complete_command(running.row, &id.1, &running.key, outcome);
        }
    }

    /// A Service over MQTT is in reach again. What it said meanwhile may be lost, so its Request rows are looked at: a
    /// command that has none any more is over.
    pub(crate) fn review_commands(&mut self, service: ServiceId) {
        let of_service = self.commands.running.iter().filter(|(_, r)| r.service == service);
        let running: BTreeMap<Id, String> =
            of_service.map(|(id, r)| (id.clone(), r.remote.clone())).collect();
        if !running.is_empty() {
            let tells = self.services.get(service).is_some_and(|s| s.shadows.tells_completions());
            self.begin(Box::new(ReviewJob { service, running, tells, asked: false }));
        }
    }

    /// A Service that cannot tell when a command is complete is asked for its Request rows, again and again, for as long as
    /// one of its commands runs (R-OPR.0: each has its OperationComplete).
    pub(crate) fn review_soon(&mut self, service: ServiceId) {
        let tells = self.services.get(service).is_none_or(|s| s.shadows.tells_completions());
        if !tells && self.commands.running.values().any(|running| running.service == service) {
            self.review_after(service, 0);
        }
    }

    fn review_after(&mut self, service: ServiceId, times: u32) {
        let wait = REVIEW_AFTER * 2_u32.saturating_pow(times).min(MOST_PATIENCE);
        let at = self.model.now.monotonic + wait;
        if let Some((old, _)) = self.commands.reviews.insert(service, (at, times)) {
            self.timers.clear(old, Timer::Review(service));
        }
        self.timers.set(at, Timer::Review(service));
    }

    /// It is time to ask a Service again.
    pub(crate) fn review_again(&mut self, service: ServiceId) {
        let Some((_, times)) = self.commands.reviews.remove(&service) else { return };
        let runs = self.commands.running.values().any(|running| running.service == service);
        if runs && self.services.get(service).is_some_and(|s| !s.shadows.tells_completions()) {
            self.review_after(service, times.saturating_add(1));
            self.review_commands(service);
        }
    }

    /// Commands of a Service that will never complete. Those that the end of the broker interrupts the next start tells of:
    /// their Services may well go on, and not everybody can be told any more.
    pub(crate) fn end_commands(&mut self, gone: ServiceId, why: &str) {
        if self.phase == Phase::Ending {
            return;
        }
        let (lost, overdue) = std::mem::take(&mut self.commands.overdue)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, overdue)| overdue.service == gone);
        self.commands.overdue = overdue;
        for overdue in lost.into_values() {
            self.commands.forget_asked(overdue.row);
        }
        self.end_commands_where(|service, _| service == gone, why);
    }

    /// The same, for those below paths that the Service gave back.
    pub(crate) fn end_commands_below(&mut self, gone: ServiceId, paths: &[String], why: &str) {
        let below = |command: &str| {
            let supported = Path::parse(command).ok().and_then(|p| p.to_supported()).map(|p| p.to_string());
            supported.is_some_and(|c| paths.iter().any(|p| is_within(&c, p)))
        };
        self.end_commands_where(|service, command| service == gone && below(command), why);
    }

    fn end_commands_where(&mut self, ended: impl Fn(ServiceId, &str) -> bool, why: &str) {
        let ids: Vec<(String, String)> = self
            .commands
            .running
            .iter()
            .filter(|((_, command), r)| ended(r.service, command))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let fault = Fault::new(ErrCode::COMMAND_FAILURE, why).unsettled();
            self.complete_running(&id, command_failed(&fault));
        }
    }
}

/// Ends a command at a Service that nobody could follow, because there is no Request row for it here.
struct CancelJob {
    service: ServiceId,
    /// Its row there, until it is asked for.
    remote: Option<String>,
}

impl Job for CancelJob {
    /// A Service that cannot cancel is left to end the command as it will.
    fn reply(&mut self, _: &mut Broker, _: usize, _: LegReply) {}

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let command = format!("{}Cancel()", self.remote.take()?);
        let operate = usp::Operate { command, send_resp: true, ..usp::Operate::default() };
        broker.ask_service(id, 0, self.service, ReqType::Operate(operate));
        Some(self)
    }
}

/// Asks a Service which of its commands still run.
struct ReviewJob {
    service: ServiceId,
    /// Their rows there.
    running: BTreeMap<Id, String>,
    /// It tells when they are complete.
    tells: bool,
    asked: bool,
}

impl ReviewJob {
    /// Commands of which it is not known any more how they end.
    fn end(&self, broker: &mut Broker, ended: impl Fn(&str) -> bool, why: &str) {
        let name = broker.services.name(self.service);
        let fault = Fault::new(ErrCode::COMMAND_FAILURE, format!("Service {name} {why}"));
        for (id, _) in self.running.iter().filter(|(_, remote)| ended(remote.trim_end_matches('.'))) {
            broker.complete_running(id, command_failed(&fault));
        }
    }
}

impl Job for ReviewJob {
    fn reply(&mut self, broker: &mut Broker, _: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        let response = match outcome {
            Ok(RespType::GetInstancesResp(response)) => Some(response),
            Ok(_) => None,
            // Silence and crowds pass: nothing is known of the commands.
            Err(error) if error.may_pass() => return,
            Err(_) => None,
        };
        let results = response.iter().flat_map(|r| &r.req_path_results);
        let refusals: Vec<ErrCode> =
            results.map(|r| ErrCode(r.err_code)).filter(|code| code.0 != 0).collect();
        if refusals.iter().any(|code| may_pass(*code)) {
            return;
        }
        let response = response.filter(|_| refusals.is_empty());
        let Some(response) = response else {
            if !self.tells {
                self.end(broker, |_| true, "neither tells how its commands end nor which of them run");
            }
            return;
        };
        let rows = response.req_path_results.iter().flat_map(|result| &result.curr_insts);
        let rows: BTreeSet<&str> = rows.map(|row| row.instantiated_obj_path.trim_end_matches('.')).collect();
        let why = match self.tells {
            true => "has ended it while it was out of reach; how is not known",
            false => "has ended it and holds no Subscription to tell how",
        };
        self.end(broker, |remote| !rows.contains(remote), why);
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if std::mem::replace(&mut self.asked, true) {
            return None;
        }
        let obj_paths = vec!["Device.LocalAgent.Request.".to_owned()];
        let request = usp::GetInstances { obj_paths, first_level_only: true };
        broker.ask_service(id, 0, self.service, ReqType::GetInstances(request));
        Some(self)
    }
}

/// A failed completion.
pub(crate) fn command_failed(fault: &Fault) -> Completed {
    Completed::CmdFailure(CommandFailure { err_code: fault.code.0, err_msg: fault.text.clone() })
}
