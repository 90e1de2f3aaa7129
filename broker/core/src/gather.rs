//! Fan-out: a request becomes a job with legs, the legs are answered in any order, and when none is open the job goes
//! on to its next phase or answers.
//!
//! Invariants: each leg gets exactly one reply (an answer, a deadline, or its owner's end), whatever happens; a leg's
//! deadline never waits for another leg; an answer that no leg waits for is counted and dropped; an answer counts only
//! when it comes over the connection that was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_mapping::port::{Action, AdapterCall, AdapterReply, CallId, DeviceFault, PointId, Readings};
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::fault::{Fault, shortened};
use crate::input::ConnId;
use crate::lines::{Asker, Line, Turn, Waiting};
use crate::output::Output;
use crate::proxied::turns::{TurnKey, Turns};
use crate::time::Mono;
use crate::timers::Timer;

/// One request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// How much longer than the adapter the core waits for it, before it answers on its own.
const ADAPTER_MARGIN: Duration = Duration::from_millis(500);

/// A multi-step request.
pub trait Job: Send {
    /// One leg's reply. `tag` is what the job gave when it asked.
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply);

    /// No leg is open: ask more (and return the job), or answer.
    fn advance(self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>>;

    /// The connection of the Controller that wants it; `None`: the broker itself.
    fn asker(&self) -> Option<ConnId> {
        None
    }

    /// The Request row of the command that it runs.
    fn request_row(&self) -> Option<u32> {
        None
    }

    /// When the Services have to have answered what is asked next, if that is sooner than a Service's own deadline.
    fn until(&self) -> Option<Mono> {
        None
    }
}

/// What a leg brought.
#[derive(Debug)]
pub enum LegReply {
    /// A Service's response, its Error, or why there is none.
    Service(Result<RespType, ServiceFault>),
    /// A device's.
    Device(DeviceOutcome),
    /// The store's: whether the change is on disk.
    Stored(Result<(), Fault>),
    /// It is the job's turn to change a capability by what it reads, or it is not to wait any longer.
    Turn,
}

/// A device's outcome of a call.
pub type DeviceOutcome = Result<Readings, DeviceFault>;

/// A Service's part failed.
#[derive(Clone, Debug)]
pub struct ServiceFault {
    /// Code and text.
    pub fault: Fault,
    /// Details of a Service's Error Message.
    pub params: Vec<usp::error::ParamError>,
    /// The Service said so. Otherwise the broker did, and it tells nothing of what the Service can.
    pub told: bool,
    /// It was asked and did not answer: it may have done what it was asked.
    pub doubtful: bool,
    /// The number of the request, if its time is over and an answer may still come.
    pub overdue: Option<u64>,
}

impl ServiceFault {
    /// Whether asking again may have another outcome: it was not the Service that refused, or it had no room or trouble of
    /// its own.
    pub(crate) fn may_pass(&self) -> bool {
        !self.told || may_pass(self.fault.code)
    }

    /// An answer that did not come, to whether something was changed or to another question.
    fn unanswered(fault: Fault, changes: bool) -> Self {
        let fault = if changes { fault.unsettled() } else { fault };
        Self { fault, params: Vec::new(), told: false, doubtful: true, overdue: None }
    }
}

impl From<Fault> for ServiceFault {
    fn from(fault: Fault) -> Self {
        Self { fault, params: Vec::new(), told: false, doubtful: false, overdue: None }
    }
}

/// A job with the number of its open legs.
struct Pending {
    job: Option<Box<dyn Job>>,
    open: usize,
    asker: Asker,
    /// When Services have to have answered.
    until: Option<Mono>,
}

/// One open leg.
pub(crate) struct Leg {
    pub(crate) job: JobId,
    asker: Asker,
    tag: usize,
    deadline: Option<Mono>,
    /// When a Service has to have answered, however long it was not asked.
    until: Option<Mono>,
    wait: Wait,
}

/// What a leg waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wait {
    Turn {
        service: ServiceId,
    },
    Service {
        service: ServiceId,
        conn: ConnId,
        msg: u64,
        sent: Mono,
        /// It was asked to change something.
        changes: bool,
    },
    Device {
        call: CallId,
        device: u32,
        /// It was asked to do something, and not merely to say how it is.
        changes: bool,
    },
    Change,
    Store,
}

/// All jobs and legs.
#[derive(Default)]
pub struct Gatherer {
    jobs: BTreeMap<JobId, Pending>,
    pub(crate) legs: BTreeMap<LegId, Leg>,
    /// By the number in the msg_id.
    by_msg: BTreeMap<u64, LegId>,
    lines: BTreeMap<ServiceId, Line>,
    by_call: BTreeMap<CallId, Vec<LegId>>,
    /// Reads under way, so that whoever asks for the same meanwhile shares them.
    reads: BTreeMap<(u32, PointId), CallId>,
    /// The same the other way round.
    reading: BTreeMap<CallId, (u32, PointId)>,
    /// Writes under way, and what they write.
    writes: BTreeMap<CallId, (u32, Vec<PointId>)>,
    /// Who may change a capability by what it reads.
    pub(crate) turns: Turns,
    next: u64,
    /// Answers that nobody waited for.
    pub strays: u64,
}

impl Gatherer {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Requests under way.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Whether somebody's write of this capability is under way.
    pub(crate) fn is_written(&self, key: TurnKey) -> bool {
        self.writes_of(key).next().is_some()
    }

    fn writes_of(&self, (device, point): TurnKey) -> impl Iterator<Item = CallId> {
        let writes = self.writes.iter();
        writes
            .filter(move |(_, (of, points))| *of == device && points.contains(&point))
            .map(|(call, _)| *call)
    }

    fn remove_leg(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        match &leg.wait {
            Wait::Service { service, msg, .. } => {
                self.by_msg.remove(msg);
                if let Some(line) = self.lines.get_mut(service) {
                    line.done(leg.asker);
                }
            }
            Wait::Turn { service } => {
                if let Some(line) = self.lines.get_mut(service) {
                    line.give_up(leg.asker, id);
                }
            }
            Wait::Device { call, .. } => {
                if let Some(sharing) = self.by_call.get_mut(call) {
                    sharing.retain(|other| *other != id);
                    if sharing.is_empty() {
                        self.forget_call(*call);
                    }
                }
            }
            Wait::Change | Wait::Store => {}
        }
        Some(leg)
    }

    /// Nobody shares this read any more.
    fn forget_read(&mut self, call: CallId) {
        if let Some(key) = self.reading.remove(&call) {
            self.reads.remove(&key);
        }
    }

    fn forget_call(&mut self, call: CallId) -> Vec<LegId> {
        self.forget_read(call);
        self.writes.remove(&call);
        self.by_call.remove(&call).unwrap_or_default()
    }
}

/// Whether a Service that does as it is asked is another afterwards.
fn changes(request: &ReqType) -> bool {
    matches!(request, ReqType::Set(_) | ReqType::Add(_) | ReqType::Delete(_) | ReqType::Operate(_))
}

fn sooner(at: Mono, until: Option<Mono>) -> Mono {
    until.map_or(at, |until| at.min(until))
}

impl Broker {
    /// Begins a job: `start` asks its first legs; without any it advances at once.
    pub(crate) fn begin(&mut self, job: Box<dyn Job>) {
        let id = JobId(self.gather.number());
        let asker = job.asker();
        self.gather.jobs.insert(id, Pending { job: Some(job), open: 0, asker, until: None });
        self.advance(id);
    }

    /// Runs a job until it waits for something or is done.
    fn advance(&mut self, id: JobId) {
        loop {
            let Some(pending) = self.gather.jobs.get_mut(&id).filter(|p| p.open == 0) else { return };
            let Some(job) = pending.job.take() else { return };
            pending.until = job.until();
            let next = job.advance(self, id);
            match (next, self.gather.jobs.get_mut(&id)) {
                (Some(job), Some(pending)) => pending.job = Some(job),
                _ => {
                    self.gather.jobs.remove(&id);
                    return;
                }
            }
        }
    }

    fn open_leg(&mut self, job: JobId, tag: usize, deadline: Option<Mono>, wait: Wait) -> LegId {
        let id = LegId(self.gather.number());
        let (mut asker, mut until) = (None, None);
        if let Some(pending) = self.gather.jobs.get_mut(&job) {
            pending.open += 1;
            (asker, until) = (pending.asker, pending.until);
        }
        if let Some(at) = deadline {
            self.timers.set(at, Timer::Leg(id));
        }
        self.gather.legs.insert(id, Leg { job, asker, tag, deadline, until, wait });
        id
    }

    /// Asks a Service. A Service that is gone gives its reply at once.
    pub(crate) fn ask_service(&mut self, job: JobId, tag: usize, service: ServiceId, request: ReqType) {
        let within = self.config.limits.service_timeout;
        self.ask_service_within(job, tag, service, request, within);
    }

    /// The same, with another deadline than the usual.
    pub(crate) fn ask_service_within(
        &mut self,
        job: JobId,
        tag: usize,
        service: ServiceId,
        request: ReqType,
        within: Duration,
    ) {
        self.ask_service_until(job, tag, service, request, within, None);
    }

    /// The same, and to be answered by then, however long it waits for its turn.
    pub(crate) fn ask_service_until(
        &mut self,
        job: JobId,
        tag: usize,
        service: ServiceId,
        request: ReqType,
        within: Duration,
        latest: Option<Mono>,
    ) {
        let conn = match self.reach(service) {
            Ok(conn) => conn,
            Err(fault) => return self.reply_at_once(job, tag, LegReply::Service(Err(fault.into()))),
        };
        let limits = &self.config.limits;
        let (most, patience) = (limits.max_pending_per_service, limits.service_timeout);
        let pending = self.gather.jobs.get(&job);
        let (asker, until) = pending.map_or((None, None), |p| (p.asker, p.until));
        let until = latest.map(|latest| sooner(latest, until)).or(until);
        let now = self.model.now.monotonic;
        if until.is_some_and(|until| until <= now) {
            let text = format!(
                "the time for this request was over before Service {} was asked",
                self.services.name(service)
            );
            let fault = Fault::new(ErrCode::INTERNAL_ERROR, text);
            return self.reply_at_once(job, tag, LegReply::Service(Err(fault.into())));
        }
        match self.gather.lines.entry(service).or_default().turn(asker, most) {
            Turn::Now => {
                let leg = self.open_service_leg(job, tag, service, None, until);
                self.send_to_service(leg, service, conn, request, within);
            }
            Turn::Later => {
                let deadline = sooner(now + patience, until);
                let leg = self.open_service_leg(job, tag, service, Some(deadline), until);
                let waiting = Waiting { leg, request, within };
                self.gather.lines.entry(service).or_default().push(asker, waiting);
            }
            Turn::Never => {
                let fault = self.crowded(service);
                self.reply_at_once(job, tag, LegReply::Service(Err(fault.into())));
            }
        }
    }

    fn open_service_leg(
        &mut self,
        job: JobId,
        tag: usize,
        service: ServiceId,
        deadline: Option<Mono>,
        until: Option<Mono>,
    ) -> LegId {
        let id = self.open_leg(job, tag, deadline, Wait::Turn { service });
        if let Some(leg) = self.gather.legs.get_mut(&id) {
            leg.until = until;
        }
        id
    }

    /// Asks a Service at once, however many other requests it has not answered: the few questions on which it depends whether
    /// they are waited for.
    pub(crate) fn ask_service_first(&mut self, job: JobId, tag: usize, service: ServiceId, request: ReqType) {
        match self.reach(service) {
            Ok(conn) => {
                let leg = self.open_leg(job, tag, None, Wait::Turn { service });
                self.send_to_service(leg, service, conn, request, self.config.limits.service_timeout);
            }
            Err(fault) => self.reply_at_once(job, tag, LegReply::Service(Err(fault.into()))),
        }
    }

    /// The connection of a Service that can be asked.
    fn reach(&self, service: ServiceId) -> Result<ConnId, Fault> {
        let conn = self.services.connection(service);
        conn.filter(|conn| !self.is_away(*conn)).ok_or_else(|| {
            let why = if conn.is_some() { "out of reach: its MQTT client is not connected" } else { "gone" };
            let text = format!("Service {} is {why}", self.services.name(service));
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        })
    }

    /// A Service has more to answer than it does.
    fn crowded(&self, service: ServiceId) -> Fault {
        let name = self.services.name(service);
        let text = format!("too many requests wait for Service {name} (limits.max_pending_per_service)");
        Fault::new(ErrCode::RESOURCES_EXCEEDED, text)
    }

    /// Sends what a leg asks. Its deadline counts from here.
    fn send_to_service(
        &mut self,
        id: LegId,
        service: ServiceId,
        conn: ConnId,
        request: ReqType,
        within: Duration,
    ) {
        let msg = self.next_msg();
        let Some(leg) = self.gather.legs.get_mut(&id) else { return };
        let sent = self.model.now.monotonic;
        let deadline = sooner(sent + within, leg.until);
        let turn = leg.deadline.replace(deadline);
        leg.wait = Wait::Service { service, conn, msg, sent, changes: changes(&request) };
        let asker = leg.asker;
        if let Some(turn) = turn {
            self.timers.clear(turn, Timer::Leg(id));
        }
        self.timers.set(deadline, Timer::Leg(id));
        self.gather.by_msg.insert(msg, id);
        self.gather.lines.entry(service).or_default().sent(asker);
        self.send_message(conn, message::request(&self.msg_id(msg), request), None);
    }

    /// A Service has one request less to answer: others may go out.
    fn next_turn(&mut self, service: ServiceId) {
        let Some(conn) = self.services.connection(service) else { return };
        let most = self.config.limits.max_pending_per_service;
        while let Some(next) = self.gather.lines.get_mut(&service).and_then(|line| line.next(most)) {
            self.send_to_service(next.leg, service, conn, next.request, next.within);
        }
        if self.gather.lines.get(&service).is_some_and(Line::is_idle) {
            self.gather.lines.remove(&service);
        }
    }

    /// Asks a device to read; a read of the same capability that is under way is shared.
    pub(crate) fn ask_read(&mut self, job: JobId, tag: usize, device: u32, point: PointId, within: Duration) {
        if let Some(call) = self.gather.reads.get(&(device, point)).copied() {
            let deadline = self.model.now.monotonic + within + ADAPTER_MARGIN;
            let wait = Wait::Device { call, device, changes: false };
            let leg = self.open_leg(job, tag, Some(deadline), wait);
            self.gather.by_call.entry(call).or_default().push(leg);
            return;
        }
        if let Some(call) = self.ask_device(job, tag, device, Action::Read(vec![point]), within) {
            self.gather.reads.insert((device, point), call);
            self.gather.reading.insert(call, (device, point));
        }
    }

    /// Asks a device. A device that is gone gives its reply at once.
    pub(crate) fn ask_device(
        &mut self,
        job: JobId,
        tag: usize,
        device: u32,
        action: Action,
        within: Duration,
    ) -> Option<CallId> {
        self.ask_device_behind(job, tag, device, action, within, Duration::ZERO)
    }

    /// The same, after what the job asked of the device before, which may need so long.
    pub(crate) fn ask_device_behind(
        &mut self,
        job: JobId,
        tag: usize,
        device: u32,
        action: Action,
        within: Duration,
        behind: Duration,
    ) -> Option<CallId> {
        let Some(id) = self.model.devices.get(device).map(|d| d.id.clone()) else {
            self.reply_at_once(job, tag, LegReply::Device(Err(DeviceFault::Unknown)));
            return None;
        };
        let call = CallId(self.gather.number());
        if let Action::Write(writes) = &action {
            let points: Vec<PointId> = writes.iter().map(|(point, _)| *point).collect();
            self.gather.turns.disturb(device, points.iter().copied());
            self.gather.writes.insert(call, (device, points));
        }
        let deadline = self.model.now.monotonic + within + ADAPTER_MARGIN;
        let changes = matches!(action, Action::Write(_) | Action::Command(..));
        let leg = self.open_leg(job, tag, Some(deadline), Wait::Device { call, device, changes });
        self.gather.by_call.insert(call, vec![leg]);
        let call_of_it = AdapterCall { id: call, device: id, within, behind, action };
        self.outputs.push_back(Output::Call(call_of_it));
        Some(call)
    }

    /// A leg that ends with the writes of this capability that are under way now; each has an end of its own.
    pub(crate) fn wait_for_writes(&mut self, job: JobId, key: TurnKey) {
        let leg = self.wait_for_turn(job);
        let calls = self.gather.writes_of(key).collect();
        self.gather.turns.await_writes(leg, calls);
    }

    fn end_waits_for_writes(&mut self) {
        let Gatherer { turns, writes, .. } = &mut self.gather;
        let done = turns.written(|call| writes.contains_key(call));
        self.ready.extend(done.into_iter().map(|leg| (leg, LegReply::Turn)));
    }

    /// A command is to end: what it merely waits for, its turn or what a device says, is not waited for.
    pub(crate) fn end_waits_of(&mut self, row: u32) {
        let runs = |job: &JobId| {
            let job = self.gather.jobs.get(job).and_then(|pending| pending.job.as_ref());
            job.is_some_and(|job| job.request_row() == Some(row))
        };
        let waits = |wait: &Wait| matches!(wait, Wait::Change | Wait::Device { changes: false, .. });
        let legs = self.gather.legs.iter().filter(|(_, leg)| waits(&leg.wait) && runs(&leg.job));
        self.ready.extend(legs.map(|(id, _)| (*id, LegReply::Turn)));
    }

    /// A leg that whoever has the turn before ends.
    pub(crate) fn wait_for_turn(&mut self, job: JobId) -> LegId {
        self.open_leg(job, 0, None, Wait::Change)
    }

    /// Puts what the journal holds on disk and waits for it.
    pub(crate) fn ask_store(&mut self, job: JobId, tag: usize) {
        let leg = self.open_leg(job, tag, None, Wait::Store);
        self.commit(Some(leg));
    }

    /// A reply that is known without asking. The job has an open leg for as long as it is handed over.
    fn reply_at_once(&mut self, job: JobId, tag: usize, reply: LegReply) {
        let leg = self.open_leg(job, tag, None, Wait::Store);
        self.ready.push_back((leg, reply));
    }

    /// Hands over replies that were known at once. Called after each input, so that a job never sees a reply while it
    /// is still asking.
    pub(crate) fn deliver_ready(&mut self) {
        while let Some((leg, reply)) = self.ready.pop_front() {
            self.close_leg(leg, reply);
        }
    }

    /// One leg is answered.
    pub(crate) fn close_leg(&mut self, id: LegId, reply: LegReply) {
        let Some(leg) = self.gather.remove_leg(id) else { return };
        if let Some(at) = leg.deadline {
            self.timers.clear(at, Timer::Leg(id));
        }
        if matches!(leg.wait, Wait::Device { .. }) {
            self.end_waits_for_writes();
        }
        if let Wait::Service { service, .. } | Wait::Turn { service } = leg.wait {
            self.next_turn(service);
        }
        let Some(pending) = self.gather.jobs.get_mut(&leg.job) else { return };
        pending.open = pending.open.saturating_sub(1);
        let Some(mut job) = pending.job.take() else { return };
        job.reply(self, leg.tag, reply);
        if let Some(pending) = self.gather.jobs.get_mut(&leg.job) {
            pending.job = Some(job);
        }
        self.advance(leg.job);
    }

    /// A response or Error came in. `false`: nobody waits for it (any more), or not from there.
    pub(crate) fn handle_service_answer(&mut self, from: ConnId, msg_id: &str, msg: usp::Msg) -> bool {
        let number = self.msg_number(msg_id);
        let Some(leg) = number.and_then(|number| self.gather.by_msg.get(&number)).copied() else {
            if number.is_some_and(|number| self.take_late_answer(from, number, || service_result(msg))) {
                return true;
            }
            self.gather.strays += 1;
            return false;
        };
        let asked = self.gather.legs.get(&leg).map(|l| &l.wait);
        if !matches!(asked, Some(Wait::Service { conn, .. }) if *conn == from) {
            self.gather.strays += 1;
            return false;
        }
        self.close_leg(leg, LegReply::Service(service_result(msg)));
        true
    }

    /// An adapter answered a call: whoever shares it gets the reply.
    pub(crate) fn handle_adapter_reply(&mut self, reply: AdapterReply) {
        let legs = self.gather.forget_call(reply.id);
        if legs.is_empty() {
            self.gather.strays += 1;
        }
        for leg in legs {
            self.close_leg(leg, LegReply::Device(reply.outcome.clone()));
        }
    }

    /// A leg's deadline has passed.
    pub(crate) fn handle_leg_deadline(&mut self, id: LegId) {
        let Some(leg) = self.gather.legs.get(&id) else { return };
        if let Wait::Device { call, .. } = leg.wait {
            // An adapter that broke its promise once is not waited for by those who ask from now on.
            self.gather.forget_read(call);
        }
        let Some(leg) = self.gather.legs.get(&id) else { return };
        let mut doubtful = None;
        let reply = match &leg.wait {
            Wait::Service { service, msg, sent, changes, .. } => {
                doubtful = Some((*service, *sent));
                let name = self.services.name(*service);
                let ms = self.model.now.monotonic.0.saturating_sub(sent.0).as_millis();
                let text = format!("Service {name} did not answer within {ms} ms");
                let fault = ServiceFault::unanswered(Fault::new(ErrCode::INTERNAL_ERROR, text), *changes);
                LegReply::Service(Err(ServiceFault { overdue: Some(*msg), ..fault }))
            }
            // It was never sent, so nothing of it can have been done.
            Wait::Turn { service } => LegReply::Service(Err(self.crowded(*service).into())),
            Wait::Device { changes, .. } => {
                let why = "the adapter does not answer".to_owned();
                let fault = if *changes { DeviceFault::Unsettled } else { DeviceFault::Unreachable };
                LegReply::Device(Err(fault(why)))
            }
            Wait::Change | Wait::Store => return,
        };
        self.close_leg(id, reply);
        if let Some((service, since)) = doubtful {
            self.doubt_service(service, since);
        }
    }

    /// A Service is gone: what it was asked is answered now.
    pub(crate) fn fail_service_legs(&mut self, gone: ServiceId, text: &str) {
        self.gather.lines.remove(&gone);
        // Whether it was sent, and to change something: then the Service may have done it.
        let asked = |wait: &Wait| match wait {
            Wait::Service { service, changes, .. } => (*service == gone).then_some(Some(*changes)),
            Wait::Turn { service } => (*service == gone).then_some(None),
            Wait::Device { .. } | Wait::Change | Wait::Store => None,
        };
        let legs: Vec<(LegId, Option<bool>)> =
            self.gather.legs.iter().filter_map(|(id, leg)| Some((*id, asked(&leg.wait)?))).collect();
        for (leg, sent) in legs {
            let fault = Fault::new(ErrCode::INTERNAL_ERROR, text);
            let fault = match sent {
                Some(changes) => ServiceFault::unanswered(fault, changes),
                None => fault.into(),
            };
            self.close_leg(leg, LegReply::Service(Err(fault)));
        }
    }

    /// A device left the site, or is another one now: what it was asked is answered now.
    pub(crate) fn fail_device_legs(&mut self, gone: u32, fault: &DeviceFault) {
        let legs: Vec<LegId> = self
            .gather
            .legs
            .iter()
            .filter(|(_, l)| matches!(l.wait, Wait::Device { device, .. } if device == gone))
            .map(|(id, _)| *id)
            .collect();
        for leg in legs {
            self.close_leg(leg, LegReply::Device(Err(fault.clone())));
        }
    }
}

/// So many details of a Service's Error are looked at: each may be put down to each entry of a request.
const MOST_NAMED: usize = 256;

/// What a Service's answer says.
fn service_result(msg: usp::Msg) -> Result<RespType, ServiceFault> {
    let unusable = || {
        ServiceFault::from(Fault::new(ErrCode::INTERNAL_ERROR, "the Service's answer cannot be understood"))
    };
    match msg.body.and_then(|b| b.msg_body) {
        Some(usp::body::MsgBody::Response(response)) => response.resp_type.ok_or_else(unusable),
        Some(usp::body::MsgBody::Error(error)) => Err(ServiceFault {
            fault: Fault::new(failed(error.err_code), error.err_msg).shortened(),
            params: error.param_errs.into_iter().take(MOST_NAMED).map(short).collect(),
            told: true,
            doubtful: false,
            overdue: None,
        }),
        Some(usp::body::MsgBody::Request(_)) | None => Err(unusable()),
    }
}

fn short(detail: usp::error::ParamError) -> usp::error::ParamError {
    usp::error::ParamError { err_msg: shortened(detail.err_msg), ..detail }
}

/// Whether what a Service refused with this code may be otherwise in a while.
pub(crate) fn may_pass(code: ErrCode) -> bool {
    matches!(code, ErrCode::INTERNAL_ERROR | ErrCode::RESOURCES_EXCEEDED)
}

/// The code of something that failed, as a Service tells it: 0 would make a success of it, and what is no code of USP says
/// nothing to a Controller.
pub(crate) fn failed(code: u32) -> ErrCode {
    match code {
        7000..=7999 => ErrCode(code),
        _ => ErrCode::INTERNAL_ERROR,
    }
}
