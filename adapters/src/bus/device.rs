//! One device of a bus: its queue, its jobs, and whether it is there.

mod intake;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use usp_mapping::mapping::Device;
use usp_mapping::port::{AdapterReply, AdapterReport, CallId, DeviceFault, PointId};

use crate::FromAdapter;
use crate::bus::backoff::Jitter;
use crate::bus::clock::PollClock;
use crate::bus::health::{Allowed, Health};
use crate::bus::plan::{ReadPlan, Readings};
use crate::bus::precedence::{Class, Precedence};
use crate::bus::queue::Queue;
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
    /// What a probe reads; `None`: there is nothing to read.
    sign_of_life: Option<PointId>,
    flying: Option<Purpose>,
}

/// Replies and reports, in the order they are to be sent.
pub(crate) type Outbox = Vec<FromAdapter>;

impl<M: Model> DeviceState<M> {
    /// A device of which nothing is known yet; everything it polls is due.
    pub(crate) fn new(device: Arc<Device>, counters: Arc<DeviceCounters>, now: Instant) -> Self {
        Self {
            model: M::new(&device),
            clock: PollClock::new(&device.mapping, now),
            health: Health::new(&device.mapping.online),
            sign_of_life: readable(&device).first().copied(),
            device,
            counters,
            queue: Queue::default(),
            write: None,
            read: None,
            polls: ReadPlan::default(),
            precedence: Precedence::default(),
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

    /// What it would do next.
    pub(crate) fn work(&self, now: Instant) -> Work {
        match self.health.allows() {
            Allowed::All => {}
            Allowed::Probe(at) if at <= now => return Work::Now(Class::Probe),
            Allowed::Probe(at) => return Work::At(at),
            Allowed::Nothing => return Work::Nothing,
        }
        if let Some(write) = &self.write {
            let later = write.waits_until().filter(|at| *at > now);
            return later.map_or(Work::Now(Class::Write), Work::At);
        }
        let next_poll = || self.clock.next_due().map_or(Work::Nothing, Work::At);
        self.precedence.choose(self.waiting(now)).map_or_else(next_poll, Work::Now)
    }

    /// As if it had answered before.
    #[cfg(test)]
    pub(crate) fn meet(&mut self) {
        if self.is_unknown() {
            self.health.tell(&Ok(()));
        }
    }

    /// Whether nobody knows if it is there, and no poll will tell.
    fn is_unknown(&self) -> bool {
        !self.health.is_known_online() && self.sign_of_life.is_some() && self.clock.next_due().is_none()
    }

    /// Which classes have work; a write unit in progress is looked at before.
    fn waiting(&self, now: Instant) -> [bool; 4] {
        let polls = !self.polls.is_empty() || self.clock.next_due().is_some_and(|at| at <= now);
        [self.queue.has_writes(), self.read.is_some() || self.queue.has_reads(), polls, self.is_unknown()]
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
        let ask = self.sign_of_life.and_then(|point| self.model.plan(now, &[point]).into_iter().next());
        if ask.is_none() {
            self.sign_of_life = None;
            self.health.allow();
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
        let silence = match &outcome {
            Outcome::Answered(answer) => {
                self.handle_answer(now, self.model.refuses(answer), out);
                None
            }
            Outcome::Silent(fault) => {
                self.handle_silence(fault);
                Some(fault.clone())
            }
        };
        match purpose {
            Some(Purpose::Write) => self.write_outcome(now, outcome, out),
            Some(Purpose::Read) => self.read_outcome(now, outcome, out),
            Some(Purpose::Poll) => self.poll_outcome(now, outcome, out),
            Some(Purpose::Probe | Purpose::Nobody) | None => {}
        }
        if let Some(fault) = silence
            && self.health.is_lost()
        {
            let cause = self.health.lose(now, &fault, jitter);
            self.go_offline(cause, out);
        }
        self.count_waiting();
    }

    /// An answer, whatever it says, shows that the device is there.
    fn handle_answer(&mut self, now: Instant, refused: bool, out: &mut Outbox) {
        if refused {
            count(&self.counters.refusals);
        }
        if self.health.answered() {
            self.poll_all(now);
        }
        self.report_online(Ok(()), out);
    }

    fn handle_silence(&mut self, fault: &DeviceFault) {
        let timeout = matches!(fault, DeviceFault::Timeout(_));
        count(if timeout { &self.counters.timeouts } else { &self.counters.failures });
        self.health.silent();
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
            push_replies(out, job.handle(&mut self.model, now, outcome, self.health.silences()));
        }
        self.read.take_if(|job| job.waiting() == 0);
    }

    fn poll_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let readings = match outcome {
            Outcome::Answered(answer) => self.polls.answered(&mut self.model, now, answer),
            Outcome::Silent(fault) => self.polls.silent(&self.model, self.health.silences(), &fault),
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
        let cause = self.health.cut(cause);
        self.go_offline(cause, out);
    }

    /// The connection is back: whether the device is there is seen at its first exchange.
    pub(crate) fn reconnect(&mut self, now: Instant) {
        if self.health.reconnected() {
            self.poll_all(now);
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

    fn go_offline(&mut self, cause: DeviceFault, out: &mut Outbox) {
        self.abandon(&cause, out);
        self.report_online(Err(cause), out);
    }

    /// Makes everything due that is polled.
    fn poll_all(&mut self, now: Instant) {
        self.polls = ReadPlan::default();
        self.clock.restart(now);
    }

    fn report_online(&mut self, online: Result<(), DeviceFault>, out: &mut Outbox) {
        self.counters.online.store(online.is_ok(), Ordering::Relaxed);
        if self.health.tell(&online) {
            let device = self.device.id.clone();
            out.push(FromAdapter::Report(AdapterReport::Online { device, online }));
        }
    }

    fn report_readings(&self, readings: Readings, out: &mut Outbox) {
        if !readings.is_empty() {
            let (device, mapping) = (self.device.id.clone(), Arc::clone(&self.device.mapping));
            out.push(FromAdapter::Report(AdapterReport::Readings { device, mapping, readings }));
        }
    }

    fn count_waiting(&self) {
        let jobs =
            self.write.as_ref().map_or(0, WriteJob::waiting) + self.read.as_ref().map_or(0, ReadJob::waiting);
        self.counters.waiting.store(self.queue.len() + jobs, Ordering::Relaxed);
    }
}

fn readable(device: &Device) -> Vec<PointId> {
    device.mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect()
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
