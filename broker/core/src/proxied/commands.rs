//! Commands of proxied devices: Toggle(), StepUp(), StepDown(), X_USPBROKER_Refresh(), and those that mappings declare.
//! They are async: the device's confirmation completes them.

use std::collections::BTreeMap;

use std::time::Duration;

use rust_decimal::Decimal;
use usp_mapping::mapping;
use usp_mapping::port::{Action, DeviceFault, PointId, Reading};
use usp_mapping::value::Value;
use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;
use usp_proto::usp::notify::operation_complete::{OperationResp as Completed, OutputArgs};

use crate::Broker;
use crate::agent::commands::canceled;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::gather::{DeviceOutcome, Job, JobId, LegReply};
use crate::proxied::turns::TurnKey;
use crate::request::check::Effect;
use crate::services::commands::command_failed;

/// How long reading everything may take, of a device that can be asked.
const REFRESH_WITHIN: Duration = Duration::from_secs(30);

/// So often at most a present value is read anew because somebody else has written meanwhile.
const MOST_READS: u32 = 8;

struct CommandJob {
    at: ObjRef,
    name: Name,
    args: BTreeMap<String, String>,
    row: u32,
    key: String,
    phase: Phase,
    /// Held, or waited for, by what changes a capability by what it reads.
    turn: Option<(JobId, TurnKey)>,
    value: Option<Value>,
    /// How often it has read, or waited for writes to end.
    reads: u32,
    /// A Refresh() was answered.
    refreshed: bool,
    outcome: Result<(), Fault>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Start,
    Waiting,
    Reading,
    Acting,
}

impl Broker {
    /// Starts a device's command whose Request row is on disk.
    pub(crate) fn run_device_command(
        &mut self,
        at: &ObjRef,
        name: &Name,
        args: &BTreeMap<String, String>,
        key: &str,
        row: u32,
    ) {
        self.begin(Box::new(CommandJob {
            at: at.clone(),
            name: name.clone(),
            args: args.clone(),
            row,
            key: key.to_owned(),
            phase: Phase::Start,
            turn: None,
            value: None,
            reads: 0,
            refreshed: false,
            outcome: Ok(()),
        }));
    }

    fn device_point(&self, at: &ObjRef) -> Option<(u32, PointId)> {
        let (device, _, capability) = self.model.devices.capability(at)?;
        Some((device.number, capability.point))
    }

    /// How long what is sent to a device may wait until it is heard; `None`: it does not sleep.
    fn hold_of(&self, device: u32) -> Option<Duration> {
        self.model.devices.get(device)?.mapping.hold()
    }

    fn capability_model(&self, at: &ObjRef) -> Option<&mapping::Capability> {
        let (device, _, capability) = self.model.devices.capability(at)?;
        device.model(capability)
    }

    /// The present value of a Parameter that a device holds, if memory has a good one.
    pub(crate) fn present_value(&self, at: &ObjRef, name: &str) -> Option<Value> {
        let (device, _, capability) = self.model.devices.shown(at, name)?;
        let good = self.model.quality(device, capability).is_good();
        capability.reading.as_ref().filter(|_| good).map(|r| r.value.clone())
    }

    /// What the command makes of the present value (N-IOT.2: levels are clamped, states wrap around).
    fn next_value(&self, at: &ObjRef, name: &Name, value: &Value) -> Result<Value, Fault> {
        let failed = |why: &str| Fault::new(ErrCode::COMMAND_FAILURE, why);
        let model = self.capability_model(at).ok_or_else(|| failed("the capability is gone"))?;
        match (value, name.as_str()) {
            (Value::Bool(on), "Toggle") => Ok(Value::Bool(!on)),
            (Value::Number(level), "StepUp" | "StepDown") => {
                let step = self.model.text(at, "StepValue").and_then(|t| t.parse::<Decimal>().ok());
                let step = step.ok_or_else(|| failed("the capability has no StepValue"))?;
                let (low, high) = model.range.unwrap_or((Decimal::MIN, Decimal::MAX));
                let moved =
                    if name.as_str() == "StepUp" { level.checked_add(step) } else { level.checked_sub(step) };
                Ok(Value::Number(moved.unwrap_or(*level).clamp(low, high)))
            }
            (Value::Text(state), "StepUp" | "StepDown") => {
                let found = model.valid_values.iter().position(|s| s == state);
                let index = found.ok_or_else(|| failed("its state is not a valid one"))?;
                next_state(model, index, name.as_str() == "StepUp")
                    .ok_or_else(|| failed("no other of its states can be set"))
            }
            _ => Err(failed("the command does not fit the capability")),
        }
    }
}

/// The next state that can be set, round the whole circle; some are only shown, such as what a map has as `default`.
fn next_state(model: &mapping::Capability, index: usize, up: bool) -> Option<Value> {
    let (before, after) = model.valid_values.split_at_checked(index)?;
    let (own, after) = after.split_first()?;
    let round = after.iter().chain(before);
    let mut round: Vec<&String> = if up { round.collect() } else { round.rev().collect() };
    round.push(own);
    let write = model.write.as_ref()?;
    round.into_iter().map(|state| Value::Text(state.clone())).find(|state| write.can_take(state).is_ok())
}

impl Job for CommandJob {
    fn reply(&mut self, broker: &mut Broker, _: usize, reply: LegReply) {
        let LegReply::Device(outcome) = reply else { return };
        match self.phase {
            Phase::Reading => self.take_present(broker, &outcome),
            Phase::Acting if self.value.is_some() => self.take_written(broker, &outcome),
            Phase::Acting | Phase::Start | Phase::Waiting => self.take_refreshed(broker, outcome),
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if self.outcome.is_ok() && !self.was_asked() && broker.is_canceling(self.row) {
            self.outcome = Err(canceled());
        }
        if let Some(why) = self.offline(broker).filter(|_| self.outcome.is_ok()) {
            self.outcome = Err(Fault::new(ErrCode::COMMAND_FAILURE, why));
        }
        if self.outcome.is_ok() {
            match self.phase {
                Phase::Start if self.is_refresh() => {
                    self.phase = Phase::Acting;
                    let number = self.at.number();
                    let within = broker.hold_of(number).unwrap_or_default() + REFRESH_WITHIN;
                    broker.ask_device(id, 0, number, Action::Refresh, within);
                    return Some(self);
                }
                Phase::Start if self.is_vendors(broker) => return self.send(broker, id),
                Phase::Start => return self.wait_its_turn(broker, id),
                Phase::Waiting => return self.read_first(broker, id),
                Phase::Reading if self.is_outdated(broker) => return self.read_first(broker, id),
                Phase::Reading => return self.act(broker, id),
                Phase::Acting => {}
            }
        }
        self.complete(broker);
        None
    }

    fn request_row(&self) -> Option<u32> {
        Some(self.row)
    }
}

impl CommandJob {
    fn device_id(&self, broker: &Broker) -> String {
        let device = self.at.numbers.first().and_then(|n| broker.model.devices.get(*n));
        device.map_or_else(|| "that is gone".to_owned(), |d| d.id.to_string())
    }

    fn is_refresh(&self) -> bool {
        self.name.as_str() == "X_USPBROKER_Refresh"
    }

    /// Whether the device was asked to do something, which is seen through; one that has told all of it is refreshed.
    fn was_asked(&self) -> bool {
        self.phase == Phase::Acting && (!self.is_refresh() || self.refreshed)
    }

    /// Why what reads, computes and writes is not begun, or does not go on: the device is known not to be there.
    fn offline(&self, broker: &Broker) -> Option<String> {
        let goes_on = !self.is_refresh() && self.phase != Phase::Acting;
        broker.model.devices.of(&self.at).filter(|_| goes_on).and_then(|device| device.offline())
    }

    fn is_vendors(&self, broker: &Broker) -> bool {
        broker.model.vendor_command(&self.at, &self.name).is_some()
    }

    /// A command that the mapping declares. What was checked when it was asked for is checked again: the mapping may be
    /// another one by now.
    fn send(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        match broker.vendor_call(&self.at, &self.name, &self.args) {
            Ok((command, args, within)) => {
                self.phase = Phase::Acting;
                let number = self.at.numbers.first().copied().unwrap_or_default();
                broker.ask_device(id, 0, number, Action::Command(command, args), within);
                Some(self)
            }
            Err(fault) => {
                self.outcome = Err(fault);
                self.complete(broker);
                None
            }
        }
    }

    /// What reads, computes and writes must not do so beside another that does.
    fn wait_its_turn(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let Some(key) = broker.device_point(&self.at) else {
            self.outcome = Err(Fault::new(ErrCode::COMMAND_FAILURE, "the device is gone"));
            self.complete(broker);
            return None;
        };
        self.turn = Some((id, key));
        self.phase = Phase::Waiting;
        if broker.take_turn(id, key) { self.read_first(broker, id) } else { Some(self) }
    }

    /// The step starts from what the device says now: what is in memory may be a poll old. The read is not shared with
    /// one that may have been under way before the last write. What cannot be read starts from what was last written.
    fn read_first(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        // One that sleeps is not read behind what is still to be written. Whoever never stops setting it is not waited for for ever.
        let held =
            self.turn.filter(|(_, key)| broker.hold_of(key.0).is_some() && broker.gather.is_written(*key));
        if let Some((_, key)) = held.filter(|_| self.reads < MOST_READS) {
            self.phase = Phase::Waiting;
            self.reads += 1;
            broker.wait_for_writes(id, key);
            return Some(self);
        }
        self.phase = Phase::Reading;
        self.reads += 1;
        let readable = broker.capability_model(&self.at).filter(|m| m.read.is_some()).map(|m| m.read_within);
        match (broker.device_point(&self.at), readable) {
            (Some((device, point)), Some(within)) => {
                if let Some((_, key)) = self.turn {
                    broker.gather.turns.settle(key);
                }
                // One that sleeps cannot be asked now: what it said last is good enough if it is good, or else it is waited for.
                let hold = broker.hold_of(device).filter(|_| !broker.is_good(device, point));
                let (action, within) = match hold {
                    Some(hold) => (Action::Refresh, hold + REFRESH_WITHIN),
                    None => (Action::Read(vec![point]), within),
                };
                broker.ask_device(id, 0, device, action, within);
                Some(self)
            }
            _ => {
                self.value = broker.present_value(&self.at, "Value");
                self.act(broker, id)
            }
        }
    }

    /// Somebody else has written since it was read.
    fn is_outdated(&self, broker: &Broker) -> bool {
        let disturbed = self.turn.is_some_and(|(_, key)| broker.gather.turns.is_disturbed(key));
        disturbed && self.reads < MOST_READS
    }

    fn act(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        let next = match &self.value {
            Some(value) => broker.next_value(&self.at, &self.name, value),
            None => Err(Fault::new(ErrCode::COMMAND_FAILURE, "its present value is not known")),
        };
        match (next, broker.device_point(&self.at)) {
            (Ok(next), Some((device, point))) => {
                self.phase = Phase::Acting;
                self.value = Some(next.clone());
                let writes = vec![(point, next)];
                let within = broker.write_within(device, &writes);
                broker.ask_device(id, 0, device, Action::Write(writes), within);
                Some(self)
            }
            (next, _) => {
                self.outcome = next.map(|_| ());
                self.complete(broker);
                None
            }
        }
    }

    fn take_present(&mut self, broker: &mut Broker, outcome: &DeviceOutcome) {
        let Some((device, point)) = broker.device_point(&self.at) else { return };
        let failed = match outcome {
            Ok(results) => results.iter().find(|r| r.point == point).and_then(|r| r.result.clone().err()),
            Err(fault) => Some(fault.clone()),
        };
        let is_now = |reading: &Reading| reading.point == point && reading.freshness.is_now();
        let is_now = outcome.as_ref().is_ok_and(|results| results.iter().any(is_now));
        let shown = broker.take_reading(device, point, outcome);
        let is_good = is_now || broker.is_good(device, point);
        match (failed, shown) {
            (None, Ok(value)) if is_good => self.value = Some(value),
            (None, Ok(_)) => {
                let text = format!("device {} has said nothing of late", self.device_id(broker));
                self.outcome = Err(Fault::new(ErrCode::COMMAND_FAILURE, text));
            }
            // What is shown for want of better is nothing to step from.
            (Some(fault), _) => {
                self.outcome = Err(Fault::from_device_question(&self.device_id(broker), &fault));
            }
            (None, Err(fault)) => self.outcome = Err(Fault { code: ErrCode::COMMAND_FAILURE, ..fault }),
        }
    }

    fn take_written(&mut self, broker: &mut Broker, outcome: &DeviceOutcome) {
        let id = self.device_id(broker);
        let result = match outcome {
            Ok(results) => results.first().map_or(Err(DeviceFault::Unknown), |r| r.result.clone()),
            Err(fault) => Err(fault.clone()),
        };
        match (result, broker.device_point(&self.at), Name::new("Value")) {
            (Ok(value), Some((device, point)), Ok(name)) => {
                let effect = Effect::Write { device, point, value: value.clone(), at: self.at.clone(), name };
                broker.take_written(&effect, value, Duration::ZERO);
            }
            (Err(fault), at, _) => {
                if let Some((device, point)) = at {
                    broker.take_unwritten(device, point, &fault);
                }
                self.outcome = Err(Fault::from_device_command(&id, &fault));
            }
            _ => self.outcome = Err(Fault::new(ErrCode::COMMAND_FAILURE, "the device is gone")),
        }
    }

    fn take_refreshed(&mut self, broker: &mut Broker, outcome: DeviceOutcome) {
        self.refreshed = true;
        let id = self.device_id(broker);
        match outcome {
            // A command that mappings declare has no results.
            Ok(results) => {
                if !results.is_empty() && results.iter().all(|reading| !reading.freshness.contact) {
                    let asleep = results.iter().find_map(|reading| reading.result.as_ref().err());
                    let text = match (broker.hold_of(self.at.number()), asleep) {
                        (Some(_), Some(fault)) => format!("device {id}: {fault}"),
                        (Some(_), None) => format!("device {id} did not answer: it sleeps again"),
                        (None, _) => format!("device {id} cannot be asked: it tells its values by itself"),
                    };
                    self.outcome = Err(Fault::new(ErrCode::COMMAND_FAILURE, text));
                }
                let number = self.at.numbers.first().copied().unwrap_or_default();
                broker.take_readings(number, results);
            }
            Err(fault) if self.name.as_str() == "X_USPBROKER_Refresh" => {
                self.outcome = Err(Fault::from_device_question(&id, &fault));
            }
            Err(fault) => self.outcome = Err(Fault::from_device_command(&id, &fault)),
        }
    }

    fn complete(&mut self, broker: &mut Broker) {
        if let Some((job, key)) = self.turn.take() {
            broker.end_turn(job, key);
        }
        let command = format!("{}{}()", broker.model.path(&self.at), self.name);
        let outcome = match std::mem::replace(&mut self.outcome, Ok(())) {
            Ok(()) => Completed::ReqOutputArgs(OutputArgs::default()),
            Err(fault) => command_failed(&fault),
        };
        broker.complete_command(self.row, &command, &self.key, outcome);
    }
}
