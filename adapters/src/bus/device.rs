//! One device of a bus: its queue, its jobs, and whether it is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{Capability, Device};
use usp_mapping::port::{Action, AdapterCall, AdapterReply, AdapterReport, CallId, DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::FromAdapter;
use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::clock::PollClock;
use crate::bus::plan::{ReadPlan, Readings};
use crate::bus::precedence::{Class, Precedence};
use crate::bus::queue::{Caller, Queue, ReadCall, WriteCall};
use crate::bus::read_job::ReadJob;
use crate::bus::statistics::{DeviceCounters, count};
use crate::bus::write_job::{Step, WriteJob};
use crate::bus::{Model, Outcome};

/// When a device has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Now, and how urgent it is.
    Now(Class),
    /// Not before this instant.
    At(Instant),
    /// Not before something happens.
    Nothing,
}

/// What an exchange on the wire is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Write,
    Read,
    Poll,
    Probe,
    /// Whoever wanted it is gone; only that the device answers still counts.
    Nobody,
}

#[derive(Clone, Debug)]
enum Health {
    /// It answers, or nothing is known yet: calls are taken.
    Usable,
    /// Calls are refused; a probe looks for it at this instant.
    Offline { cause: String, probe_at: Instant },
    /// The connection is down: nothing is sent before it is back.
    Cut { cause: String },
}

/// A device and all that waits for it.
#[derive(Debug)]
pub(crate) struct DeviceState<M: Model> {
    device: Arc<Device>,
    model: M,
    counters: Arc<DeviceCounters>,
    queue: Queue,
    write: Option<WriteJob<M::Ask>>,
    read: Option<ReadJob<M::Ask>>,
    polls: ReadPlan<M::Ask>,
    clock: PollClock,
    precedence: Precedence,
    health: Health,
    silences: u32,
    backoff: Backoff,
    /// What the core was told last.
    reported: Option<Result<(), DeviceFault>>,
    flying: Option<Purpose>,
}

/// Replies and reports, in the order they are to be sent.
pub(crate) type Outbox = Vec<FromAdapter>;

impl<M: Model> DeviceState<M> {
    /// A device of which nothing is known yet; everything it polls is due.
    pub(crate) fn new(device: Arc<Device>, counters: Arc<DeviceCounters>, now: Instant) -> Self {
        let (clock, rule) = (PollClock::new(&device.mapping, now), &device.mapping.online);
        Self {
            backoff: Backoff::new(rule.backoff_min, rule.backoff_max),
            model: M::new(&device),
            device,
            counters,
            queue: Queue::default(),
            write: None,
            read: None,
            polls: ReadPlan::default(),
            clock,
            precedence: Precedence::default(),
            health: Health::Usable,
            silences: 0,
            reported: None,
            flying: None,
        }
    }

    /// What it was made from.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Pause that it needs after an answer.
    pub(crate) fn guard(&self) -> Duration {
        self.model.guard()
    }

    /// Takes a call in, or answers it at once.
    pub(crate) fn handle_call(&mut self, call: AdapterCall, received: Instant, out: &mut Outbox) {
        let id = call.id;
        let caller = Caller { id, within: call.within, deadline: received + call.within };
        let outcome = match &self.health {
            Health::Offline { cause, .. } | Health::Cut { cause } => {
                Err(DeviceFault::Unreachable(cause.clone()))
            }
            Health::Usable => match call.action {
                Action::Write(items) => self.take_write(caller, items, received),
                Action::Read(points) => self.take_read(caller, points),
                Action::Refresh => self.take_read(caller, self.readable()),
            },
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(results)) => push_reply(out, AdapterReply { id, outcome: Ok(results) }),
            Err(fault) => push_reply(out, AdapterReply { id, outcome: Err(fault) }),
        }
        self.count_waiting();
    }

    /// Checks all that can be known before anything is sent. `Some`: the answer is known already.
    fn take_write(
        &mut self,
        caller: Caller,
        items: Vec<(PointId, Value)>,
        received: Instant,
    ) -> Result<Option<Readings>, DeviceFault> {
        let check = |(point, value): &(PointId, Value)| self.model.write(*point, value).err();
        let faults: Vec<_> = items.iter().map(check).collect();
        if items.is_empty() || faults.iter().any(Option::is_some) {
            let results = faults.into_iter().map(|fault| Err(fault.unwrap_or(DeviceFault::NotTried)));
            return Ok(Some(items.into_iter().map(|(point, _)| point).zip(results).collect()));
        }
        let bindings =
            items.iter().map(|(point, _)| self.capability(*point).and_then(|it| it.write.as_ref()));
        let coalesce = bindings.clone().all(|write| write.is_some_and(|write| write.coalesce));
        let begin_by = bindings
            .map(|write| received + write.map_or(caller.within, |write| write.ttl.min(caller.within)))
            .collect();
        self.queue.push_write(WriteCall { callers: vec![caller], items, begin_by, coalesce })?;
        Ok(None)
    }

    /// Points that are unknown or cannot be read are so in the answer, the others are read.
    fn take_read(&mut self, caller: Caller, points: Vec<PointId>) -> Result<Option<Readings>, DeviceFault> {
        let readable = |point: &PointId| self.capability(*point).is_some_and(|it| it.read.is_some());
        if !points.iter().any(readable) {
            return Ok(Some(points.into_iter().map(|point| (point, Err(DeviceFault::Unknown))).collect()));
        }
        self.queue.push_read(ReadCall { caller, points })?;
        Ok(None)
    }

    /// What it would do next.
    pub(crate) fn work(&self, now: Instant) -> Work {
        match &self.health {
            Health::Cut { .. } => return Work::Nothing,
            Health::Offline { probe_at, .. } if *probe_at <= now => return Work::Now(Class::Probe),
            Health::Offline { probe_at, .. } => return Work::At(*probe_at),
            Health::Usable => {}
        }
        if let Some(write) = &self.write {
            let later = write.waits_until().filter(|at| *at > now);
            return later.map_or(Work::Now(Class::Write), Work::At);
        }
        let next_poll = || self.clock.next_due().map_or(Work::Nothing, Work::At);
        self.precedence.choose(self.waiting(now)).map_or_else(next_poll, Work::Now)
    }

    /// Which classes have work; a write unit in progress is looked at before.
    fn waiting(&self, now: Instant) -> [bool; 4] {
        let polls = !self.polls.is_empty() || self.clock.next_due().is_some_and(|at| at <= now);
        [self.queue.has_writes(), self.read.is_some() || self.queue.has_reads(), polls, false]
    }

    /// Begins the exchange that [`DeviceState::work`] announced; `None`: there was none to do after all.
    pub(crate) fn begin(&mut self, now: Instant, out: &mut Outbox) -> Option<M::Ask> {
        let ask = match self.work(now) {
            Work::Now(Class::Write) => self.begin_write(now, out).map(|ask| (ask, Purpose::Write)),
            Work::Now(Class::Read) => self.begin_read(now, out).map(|ask| (ask, Purpose::Read)),
            Work::Now(Class::Poll) => self.begin_poll(now).map(|ask| (ask, Purpose::Poll)),
            Work::Now(Class::Probe) => self.begin_probe(now).map(|ask| (ask, Purpose::Probe)),
            Work::At(_) | Work::Nothing => None,
        };
        self.count_waiting();
        let (ask, purpose) = ask?;
        self.flying = Some(purpose);
        count(&self.counters.requests);
        Some(ask)
    }

    fn begin_write(&mut self, now: Instant, out: &mut Outbox) -> Option<M::Ask> {
        if self.write.is_none() {
            self.precedence.served(Class::Write, self.waiting(now));
            self.write = self.queue.take_write().map(WriteJob::new);
        }
        let ask = match self.write.as_mut()?.next(&mut self.model, now) {
            Step::Send(ask) => Some(ask),
            Step::Wait(_) | Step::Done => None,
        };
        self.finish_write(now, out);
        ask
    }

    fn begin_read(&mut self, now: Instant, out: &mut Outbox) -> Option<M::Ask> {
        self.precedence.served(Class::Read, self.waiting(now));
        if self.read.is_none() {
            let calls = self.queue.take_reads();
            self.read = Some(ReadJob::new(&mut self.model, now, calls));
        }
        let job = self.read.as_mut()?;
        let ask = job.next();
        if ask.is_none() {
            push_replies(out, job.ready());
            self.read = None;
        }
        ask
    }

    fn begin_poll(&mut self, now: Instant) -> Option<M::Ask> {
        self.precedence.served(Class::Poll, self.waiting(now));
        if self.polls.is_empty() {
            let due = self.clock.take_due(now);
            self.polls = ReadPlan::new(&mut self.model, now, &due);
        }
        self.polls.next()
    }

    /// The cheapest sign of life: one point. A device that has none to read is given another chance instead.
    fn begin_probe(&mut self, now: Instant) -> Option<M::Ask> {
        let ask =
            self.readable().first().and_then(|point| self.model.plan(now, &[*point]).into_iter().next());
        if ask.is_none() {
            self.recover(now);
        }
        ask
    }

    /// Takes the outcome of its exchange in.
    pub(crate) fn handle_outcome(
        &mut self,
        now: Instant,
        outcome: Outcome<M::Answer>,
        jitter: &mut Jitter,
        out: &mut Outbox,
    ) {
        let purpose = self.flying.take();
        let silence = self.judge(now, &outcome, out);
        match purpose {
            Some(Purpose::Write) => self.write_outcome(now, outcome, out),
            Some(Purpose::Read) => self.read_outcome(now, outcome, out),
            Some(Purpose::Poll) => self.poll_outcome(now, outcome, out),
            Some(Purpose::Probe | Purpose::Nobody) | None => {}
        }
        if let Some(fault) = silence
            && (purpose == Some(Purpose::Probe) || self.silences >= self.device.mapping.online.fails.max(1))
        {
            self.go_offline(now, &fault, jitter, out);
        }
        self.count_waiting();
    }

    /// Counts the outcome. An answer, whatever it says, shows that the device is there.
    fn judge(&mut self, now: Instant, outcome: &Outcome<M::Answer>, out: &mut Outbox) -> Option<DeviceFault> {
        match outcome {
            Outcome::Answered(answer) => {
                if self.model.refuses(answer) {
                    count(&self.counters.refusals);
                }
                self.silences = 0;
                self.backoff.reset();
                if !matches!(self.health, Health::Usable) {
                    self.recover(now);
                }
                self.report_online(Ok(()), out);
                None
            }
            Outcome::Silent(fault) => {
                let timeout = matches!(fault, DeviceFault::Timeout(_));
                count(if timeout { &self.counters.timeouts } else { &self.counters.failures });
                self.silences = self.silences.saturating_add(1);
                Some(fault.clone())
            }
        }
    }

    fn write_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let Some(job) = &mut self.write else { return };
        let readings = job.handle(&mut self.model, &self.device.mapping, now, outcome);
        self.report_readings(readings, out);
        self.finish_write(now, out);
    }

    fn finish_write(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(job) = self.write.take_if(|job| job.is_done()) {
            if let Some(read) = &mut self.read {
                read.written(&mut self.model, now, &job.points());
            }
            push_replies(out, job.finish());
        }
    }

    fn read_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        if let Some(job) = &mut self.read {
            push_replies(out, job.handle(&mut self.model, now, outcome, self.silences));
        }
        self.read.take_if(|job| job.waiting() == 0);
    }

    fn poll_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let readings = match outcome {
            Outcome::Answered(answer) => self.polls.answered(&mut self.model, now, answer),
            Outcome::Silent(fault) => self.polls.silent(&self.model, self.silences, &fault),
        };
        self.report_readings(readings, out);
    }

    /// Answers what can no longer be answered in time.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        for (id, fault) in self.queue.expire(now) {
            push_reply(out, AdapterReply { id, outcome: Err(fault) });
        }
        if let Some(job) = &mut self.write {
            push_replies(out, job.expire(now));
        }
        if let Some(job) = &mut self.read {
            push_replies(out, job.expire(now));
        }
        if self.write.take_if(|job| job.waiting() == 0).is_some() {
            self.orphan(Purpose::Write);
        }
        if self.read.take_if(|job| job.waiting() == 0).is_some() {
            self.orphan(Purpose::Read);
        }
        self.count_waiting();
    }

    fn orphan(&mut self, purpose: Purpose) {
        if self.flying == Some(purpose) {
            self.flying = Some(Purpose::Nobody);
        }
    }

    /// When [`DeviceState::handle_timeout`] has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let write = self.write.as_ref().and_then(WriteJob::next_expiry);
        let read = self.read.as_ref().and_then(ReadJob::next_expiry);
        [self.queue.next_expiry(), write, read].into_iter().flatten().min()
    }

    /// The connection cannot be made.
    pub(crate) fn cut(&mut self, cause: &str, out: &mut Outbox) {
        self.health = Health::Cut { cause: cause.to_owned() };
        self.abandon(&DeviceFault::Unreachable(cause.to_owned()), out);
        self.report_online(Err(DeviceFault::Unreachable(cause.to_owned())), out);
    }

    /// The connection is back: whether the device is there is seen at its first exchange.
    pub(crate) fn reconnect(&mut self, now: Instant) {
        if matches!(self.health, Health::Cut { .. }) {
            self.silences = 0;
            self.recover(now);
        }
    }

    /// Answers everything that waits with the same fault.
    pub(crate) fn abandon(&mut self, fault: &DeviceFault, out: &mut Outbox) {
        if let Some(job) = self.write.take() {
            push_replies(out, job.abandon(|_| fault.clone()));
            self.orphan(Purpose::Write);
        }
        let read = self.read.take();
        if read.is_some() {
            self.orphan(Purpose::Read);
        }
        let waiting = read.into_iter().flat_map(ReadJob::abandon).chain(self.queue.drain());
        refuse_all(out, waiting, fault);
        self.polls = ReadPlan::default();
        self.count_waiting();
    }

    fn go_offline(&mut self, now: Instant, fault: &DeviceFault, jitter: &mut Jitter, out: &mut Outbox) {
        let cause = match fault {
            DeviceFault::Unreachable(cause) => cause.clone(),
            other => other.to_string(),
        };
        let probe_at = now + self.backoff.next(jitter);
        self.health = Health::Offline { cause: cause.clone(), probe_at };
        self.abandon(&DeviceFault::Unreachable(cause.clone()), out);
        self.report_online(Err(DeviceFault::Unreachable(cause)), out);
    }

    /// Calls are taken again, and everything that is polled is due.
    fn recover(&mut self, now: Instant) {
        self.health = Health::Usable;
        self.polls = ReadPlan::default();
        self.clock.restart(now);
    }

    fn report_online(&mut self, online: Result<(), DeviceFault>, out: &mut Outbox) {
        self.counters.online.store(online.is_ok(), Ordering::Relaxed);
        if self.reported.as_ref() != Some(&online) {
            self.reported = Some(online.clone());
            let device = self.device.id.clone();
            out.push(FromAdapter::Report(AdapterReport::Online { device, online }));
        }
    }

    fn report_readings(&self, readings: Readings, out: &mut Outbox) {
        if !readings.is_empty() {
            let device = self.device.id.clone();
            out.push(FromAdapter::Report(AdapterReport::Readings { device, readings }));
        }
    }

    fn count_waiting(&self) {
        let jobs =
            self.write.as_ref().map_or(0, WriteJob::waiting) + self.read.as_ref().map_or(0, ReadJob::waiting);
        self.counters.waiting.store(self.queue.len() + jobs, Ordering::Relaxed);
    }

    fn capability(&self, point: PointId) -> Option<&Capability> {
        self.device.mapping.capabilities.get(usize::from(point.0))
    }

    fn readable(&self) -> Vec<PointId> {
        let points = (0..).map(PointId).zip(&self.device.mapping.capabilities);
        points.filter(|(_, capability)| capability.read.is_some()).map(|(point, _)| point).collect()
    }
}

fn push_reply(out: &mut Outbox, reply: AdapterReply) {
    out.push(FromAdapter::Reply(reply));
}

fn push_replies(out: &mut Outbox, replies: Vec<AdapterReply>) {
    out.extend(replies.into_iter().map(FromAdapter::Reply));
}

/// The same refusal for several calls.
pub(crate) fn refuse_all(out: &mut Outbox, calls: impl IntoIterator<Item = CallId>, fault: &DeviceFault) {
    out.extend(
        calls.into_iter().map(|id| FromAdapter::Reply(AdapterReply { id, outcome: Err(fault.clone()) })),
    );
}
