//! The Service as a state machine: a Message or some time in, Messages out. No sockets and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_proto::usp::body::MsgBody;
use usp_proto::usp::notify::OperationComplete;
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetSupportedProtocolResp, Msg, Notify, Operate, OperateResp};

use super::commands::{self, Progress, Work};
use super::fault::Fault;
use super::message;
use super::model::Model;
use super::path::Path;
use super::read;
use super::subscriptions::{self, Happening, TABLE};
use super::write;
use crate::world::{Behaviour, World};

/// Where commands that are running have their rows.
const REQUESTS: &str = "Device.LocalAgent.Request.";

/// Commands running at once; more are refused.
const MAX_RUNNING: usize = 100;

/// A Command on its way.
#[derive(Clone, Debug)]
struct Running {
    row: String,
    object: String,
    command: String,
    key: String,
    work: Work,
    due: Duration,
}

/// The Service itself.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) model: Model,
    root: String,
    world: World,
    moves: bool,
    running: Vec<Running>,
    step: Duration,
    clock: Duration,
    /// When each Subscription row was first seen, for its TimeToLive.
    born: BTreeMap<String, Duration>,
    sent: u64,
}

impl Core {
    /// `step` is how long one step of a running Command takes.
    pub(crate) fn new(root: &str, endpoint_id: &str, seed: u64, moves: bool, step: Duration) -> Self {
        Self {
            model: Model::new(root, endpoint_id),
            root: root.to_owned(),
            world: World::new(seed),
            moves,
            running: Vec::new(),
            step,
            clock: Duration::ZERO,
            born: BTreeMap::new(),
            sent: 0,
        }
    }

    /// The answer to a request, and the notifications that it gives cause for, in this order.
    pub(crate) fn handle(&mut self, asked: &Msg) -> Vec<Msg> {
        let id = message::msg_id(asked);
        let Some(MsgBody::Request(_)) = asked.body.as_ref().and_then(|body| body.msg_body.as_ref()) else {
            return Vec::new();
        };
        let response = match message::content(asked) {
            Some(ReqType::Get(get)) => RespType::GetResp(read::get(&self.model, get)),
            Some(ReqType::GetInstances(get)) => RespType::GetInstancesResp(read::instances(&self.model, get)),
            Some(ReqType::GetSupportedDm(get)) => {
                RespType::GetSupportedDmResp(read::supported(&self.model, get))
            }
            Some(ReqType::GetSupportedProtocol(_)) => {
                RespType::GetSupportedProtocolResp(GetSupportedProtocolResp {
                    agent_supported_protocol_versions: "1.3,1.4".to_owned(),
                })
            }
            Some(ReqType::Set(set)) => {
                return self.changing(|core| {
                    let done = write::set(&mut core.model, set).map(RespType::SetResp);
                    vec![
                        done.map_or_else(
                            |error| message::error(id, error),
                            |resp| message::response(id, resp),
                        ),
                    ]
                });
            }
            Some(ReqType::Add(add)) => {
                return self.changing(|core| {
                    let done = write::add(&mut core.model, add).map(RespType::AddResp);
                    vec![
                        done.map_or_else(
                            |error| message::error(id, error),
                            |resp| message::response(id, resp),
                        ),
                    ]
                });
            }
            Some(ReqType::Delete(delete)) => {
                return self.changing(|core| {
                    let done = write::delete(&mut core.model, delete).map(RespType::DeleteResp);
                    vec![
                        done.map_or_else(
                            |error| message::error(id, error),
                            |resp| message::response(id, resp),
                        ),
                    ]
                });
            }
            Some(ReqType::Operate(operate)) => return self.operated(id, operate),
            Some(ReqType::Notify(_) | ReqType::Register(_) | ReqType::Deregister(_)) | None => {
                return vec![message::refusal(id, Fault::new(7001, "an Agent does not take this Message"))];
            }
        };
        vec![message::response(id, response)]
    }

    /// Lets time pass: Commands go on, temperatures move, Subscriptions end.
    pub(crate) fn tick(&mut self, time: Duration) -> Vec<Msg> {
        self.clock += time;
        let mut happenings = Vec::new();
        let mut messages = self.changing(|core| {
            core.model.put(&format!("{}Uptime", core.root), &core.clock.as_secs().to_string());
            if core.moves {
                core.drift(time);
            }
            core.expire();
            happenings = core.work();
            Vec::new()
        });
        messages.extend(happenings.iter().flat_map(|happening| self.happened(happening)));
        messages
    }

    /// Sets any Parameter, as the hardware behind the Service would; one that moves is held there.
    ///
    /// Errors: 7026 for an unknown Parameter, 7011 and 7012 for a value that it cannot have.
    pub(crate) fn set(&mut self, path: &str, value: &str) -> Result<Vec<Msg>, Fault> {
        let param = self.model.param_at(path).filter(|_| self.model.get(path).is_some());
        let value =
            param.ok_or_else(|| Fault::new(7026, format!("{path} is not there")))?.kind.accept(value)?;
        if let (Ok(number), true) = (value.parse(), self.moves) {
            // Only temperatures are in the world; whatever else is set has nothing there to hold.
            drop(self.world.set(path, number));
        }
        Ok(self.changing(|core| {
            core.model.put(path, &value);
            Vec::new()
        }))
    }

    /// Lets an Event happen.
    ///
    /// Errors: 7026 for an unknown Event, 7016 for an object that is not there.
    pub(crate) fn emit(&mut self, path: &str, args: BTreeMap<String, String>) -> Result<Vec<Msg>, Fault> {
        let parsed = Path::parse(path)?;
        let objects = self.model.resolve(&parsed)?;
        let object = objects.first().ok_or_else(|| Fault::new(7016, format!("{path} is not there")))?.clone();
        let name = parsed.leaf.unwrap_or_default();
        let known =
            self.model.object_at(&object).is_some_and(|kind| kind.events.iter().any(|e| e.name == name));
        if !known {
            return Err(Fault::new(7026, format!("{path} is not supported")));
        }
        Ok(self.happened(&Happening::Event { object, name, args }))
    }

    /// Does something to the model and appends what Subscriptions want to hear of it.
    pub(crate) fn changing(&mut self, work: impl FnOnce(&mut Self) -> Vec<Msg>) -> Vec<Msg> {
        let before = self.model.clone();
        let mut messages = work(self);
        let notifies = subscriptions::of_change(&before, &self.model);
        messages.extend(notifies.into_iter().map(|notify| self.notify(notify)));
        messages
    }

    fn happened(&mut self, happening: &Happening) -> Vec<Msg> {
        let notifies = subscriptions::of_happening(&self.model, happening);
        notifies.into_iter().map(|notify| self.notify(notify)).collect()
    }

    fn notify(&mut self, notify: Notify) -> Msg {
        self.sent += 1;
        message::request(&format!("notify-{}", self.sent), ReqType::Notify(notify))
    }

    fn operated(&mut self, id: &str, operate: &Operate) -> Vec<Msg> {
        let mut happenings = Vec::new();
        let mut messages = self.changing(|core| {
            let operation_results = core.operate(operate, &mut happenings);
            let response = message::response(id, RespType::OperateResp(OperateResp { operation_results }));
            operate.send_resp.then_some(response).into_iter().collect()
        });
        messages.extend(happenings.iter().flat_map(|happening| self.happened(happening)));
        messages
    }

    fn operate(&mut self, operate: &Operate, happenings: &mut Vec<Happening>) -> Vec<OperationResult> {
        let failure = |executed: &str, fault: Fault| OperationResult {
            executed_command: executed.to_owned(),
            operation_resp: Some(OperationResp::CmdFailure(CommandFailure {
                err_code: fault.code,
                err_msg: fault.message,
            })),
        };
        let named = Path::parse(&operate.command).and_then(|path| {
            let objects = self.model.resolve(&path)?;
            if objects.is_empty() && !path.is_search() {
                return Err(Fault::new(7016, format!("{} is not there", operate.command)));
            }
            Ok((objects, path.leaf.unwrap_or_default()))
        });
        let (objects, command) = match named {
            Ok(named) => named,
            Err(fault) => return vec![failure(&operate.command, fault)],
        };
        let mut results = Vec::new();
        for object in objects {
            let executed = format!("{object}{command}");
            let outcome = self.start(&object, &command, operate, happenings);
            results.push(match outcome {
                Ok(resp) => OperationResult { executed_command: executed, operation_resp: Some(resp) },
                Err(fault) => failure(&executed, fault),
            });
        }
        results
    }

    fn start(
        &mut self,
        object: &str,
        name: &str,
        operate: &Operate,
        happenings: &mut Vec<Happening>,
    ) -> Result<OperationResp, Fault> {
        let kind = self.model.object_at(object);
        let command = kind.and_then(|kind| kind.commands.iter().find(|command| command.name == name));
        let command = *command.ok_or_else(|| Fault::new(7026, format!("{object}{name} is not supported")))?;
        let missing =
            command.inputs.iter().find(|(arg, needed)| *needed && !operate.input_args.contains_key(*arg));
        if let Some((arg, _)) = missing {
            return Err(Fault::new(7027, format!("{name} needs the argument {arg}")));
        }
        if name == "Cancel()" {
            happenings.extend(self.cancel(object)?);
            return Ok(OperationResp::ReqOutputArgs(OutputArgs::default()));
        }
        if !command.is_async {
            let output_args = commands::run(&mut self.model, &self.root, object, name, &operate.input_args)?;
            return Ok(OperationResp::ReqOutputArgs(OutputArgs { output_args }));
        }
        let work = commands::begin(&self.model, &self.root, object, name, &operate.input_args)?;
        self.enqueue(object, name, &operate.command_key, work).map(OperationResp::ReqObjPath)
    }

    fn enqueue(&mut self, object: &str, name: &str, key: &str, work: Work) -> Result<String, Fault> {
        if self.running.len() >= MAX_RUNNING {
            return Err(Fault::new(7005, "too many Commands are running"));
        }
        let row = self.model.add(REQUESTS)?;
        self.model.put(&format!("{row}Command"), &format!("{object}{name}"));
        self.model.put(&format!("{row}CommandKey"), key);
        let (object, command, key) = (object.to_owned(), name.to_owned(), key.to_owned());
        let due = self.clock + self.step;
        self.running.push(Running { row: row.clone(), object, command, key, work, due });
        Ok(row)
    }

    /// Takes each Command that is due one step further.
    fn work(&mut self) -> Vec<Happening> {
        let mut happenings = Vec::new();
        for mut running in std::mem::take(&mut self.running) {
            let mut outcome = None;
            while outcome.is_none() && running.due <= self.clock {
                running.due += self.step;
                self.model.put(&format!("{}Status", running.row), "Active");
                outcome = match running.work.step(&mut self.model, &self.root, &running.object) {
                    Progress::Going => None,
                    Progress::Done(outcome) => Some(outcome),
                };
            }
            match outcome {
                None => self.running.push(running),
                Some(outcome) => happenings.push(self.finished(&running, outcome)),
            }
        }
        happenings
    }

    fn cancel(&mut self, row: &str) -> Result<Vec<Happening>, Fault> {
        let index = self.running.iter().position(|running| running.row == row);
        let index = index.ok_or_else(|| Fault::new(7016, format!("{row} is not running")))?;
        let running = self.running.remove(index);
        Ok(vec![self.finished(&running, Err(Fault::new(7023, "canceled")))])
    }

    fn finished(&mut self, running: &Running, outcome: Result<BTreeMap<String, String>, Fault>) -> Happening {
        use usp_proto::usp::notify::operation_complete as complete;
        self.model.remove(&running.row);
        let operation_resp = match outcome {
            Ok(output_args) => complete::OperationResp::ReqOutputArgs(complete::OutputArgs { output_args }),
            Err(fault) => complete::OperationResp::CmdFailure(complete::CommandFailure {
                err_code: fault.code,
                err_msg: fault.message,
            }),
        };
        Happening::Complete(OperationComplete {
            obj_path: running.object.clone(),
            command_name: running.command.clone(),
            command_key: running.key.clone(),
            operation_resp: Some(operation_resp),
        })
    }

    /// Ends Subscriptions whose TimeToLive is over.
    fn expire(&mut self) {
        let rows = self.model.rows_of(TABLE);
        self.born.retain(|row, _| rows.contains(row));
        for row in rows {
            let born = *self.born.entry(row.clone()).or_insert(self.clock);
            let seconds =
                self.model.get(&format!("{row}TimeToLive")).and_then(|text| text.parse().ok()).unwrap_or(0);
            if seconds > 0 && self.clock.saturating_sub(born) >= Duration::from_secs(seconds) {
                self.model.remove(&row);
            }
        }
    }

    /// Temperatures follow their set-points.
    fn drift(&mut self, time: Duration) {
        let rooms: Vec<String> = self.model.below(&self.root).into_iter().map(|(object, _)| object).collect();
        let gone: Vec<String> =
            self.world.names().filter(|name| self.model.get(name).is_none()).map(str::to_owned).collect();
        gone.iter().for_each(|name| self.world.remove(name));
        let number = |model: &Model, path: &str| model.get(path).and_then(|text| text.parse::<f64>().ok());
        for object in &rooms {
            let (is, wanted) = (format!("{object}Temperature"), format!("{object}Setpoint"));
            let Some((now, aim)) = number(&self.model, &is).zip(number(&self.model, &wanted)) else {
                continue;
            };
            if self.world.get(&is).is_none() {
                self.world.add(&wanted, aim, (f64::MIN, f64::MAX), Behaviour::Held);
                let follow = Behaviour::Approaches { target: wanted.clone(), memory: 120.0, noise: 0.02 };
                self.world.add(&is, now, (-50.0, 100.0), follow);
            }
            // Both were added above, so neither can be unknown.
            drop(self.world.actuate(&wanted, aim));
        }
        self.world.step(time);
        for object in &rooms {
            let path = format!("{object}Temperature");
            if let Some(value) = self.world.get(&path) {
                self.model.put(&path, &format!("{value:.1}"));
            }
        }
    }
}
