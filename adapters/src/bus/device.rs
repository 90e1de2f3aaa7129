//! One device of a bus: its queue, its jobs, and whether it is there.

mod hearing;
mod intake;
mod presence;
mod refreshing;
mod rereading;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use usp_mapping::mapping::Device;
use usp_mapping::port::{AdapterReply, AdapterReport, CallId, DeviceFault, PointId, Reading, Readings};

use crate::FromAdapter;
use crate::bus::backoff::Jitter;
use crate::bus::clock::PollClock;
use crate::bus::health::{Allowed, Health};
use crate::bus::plan::ReadPlan;
use crate::bus::precedence::{Class, Precedence};
use crate::bus::queue::{Caller, Queue, Turn};
use crate::bus::read_job::ReadJob;
use crate::bus::statistics::DeviceCounters;
use crate::bus::write_job::WriteJob;
use crate::bus::{Model, Outcome};
use rereading::Reread;

/// How often in a row a read gives way to a write: whoever writes all the time would otherwise keep it from ever being answered.
const MOST_YIELDS: u8 = 4;

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
    /// Writes whose next exchange is due: nothing else comes before it.
    write: Option<WriteJob<M::Ask>>,
    /// Writes that wait, for the device to show what was written or to wake up, or for the least time between writes. Everything else goes
    /// on meanwhile, but for writes to the same.
    parked: Vec<WriteJob<M::Ask>>,
    read: Option<ReadJob<M::Ask>>,
    /// Who wants all of it to be read once it wakes up.
    refreshes: Vec<Caller>,
    /// What is to be read once it wakes up, though nobody waits for it.
    reread: Option<Reread>,
    /// What the write that is under way for nobody writes.
    unknown: Vec<PointId>,
    /// The look at what was written that is under way.
    look: Option<M::Ask>,
    polls: ReadPlan<M::Ask>,
    clock: PollClock,
    precedence: Precedence,
    health: Health,
    /// What a probe reads; `None`: there is nothing to read.
    sign_of_life: Option<PointId>,
    flying: Option<Purpose>,
    /// How often in a row a read was given up for a write.
    yielded: u8,
    /// The poll at which the device was lost, and how often in a row.
    suspect: Option<(M::Ask, DeviceFault, u32)>,
    /// It is left alone until then.
    rests_until: Option<Instant>,
    /// The polls under way: since when they are due, and their groups.
    cycle: (Instant, Vec<Duration>),
    /// When capabilities with a least time between writes were last written.
    written: BTreeMap<PointId, Instant>,
    /// When anything was last written.
    wrote_at: Option<Instant>,
}

/// Replies and reports, in the order they are to be sent.
pub(crate) type Outbox = Vec<FromAdapter>;

impl<M: Model> DeviceState<M> {
    /// A device of which nothing is known yet; everything it polls is due.
    pub(crate) fn new(device: Arc<Device>, counters: Arc<DeviceCounters>, now: Instant) -> Self {
        let mut state = Self {
            model: M::new(&device),
            clock: PollClock::new(&device.mapping, now),
            health: Health::new(&device.mapping.online),
            sign_of_life: readable(&device).first().copied(),
            device,
            counters,
            queue: Queue::default(),
            write: None,
            parked: Vec::new(),
            read: None,
            refreshes: Vec::new(),
            reread: None,
            unknown: Vec::new(),
            look: None,
            polls: ReadPlan::default(),
            precedence: Precedence::default(),
            flying: None,
            yielded: 0,
            suspect: None,
            rests_until: None,
            cycle: (now, Vec::new()),
            written: BTreeMap::new(),
            wrote_at: None,
        };
        state.await_word_of_all(now);
        state
    }

    /// What it was made from.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Pause that its bus needs after an answer.
    pub(crate) fn turnaround(&self) -> Duration {
        self.model.turnaround()
    }

    /// It is left alone until then at least.
    pub(crate) fn rest(&mut self, until: Instant) {
        self.rests_until = self.rests_until.max(Some(until));
    }

    /// Whether it is known not to answer.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self.health.allows(), Allowed::Probe(_))
    }

    /// What it would do next.
    pub(crate) fn work(&self, now: Instant) -> Work {
        let rests = self.rests_until.filter(|at| now < *at);
        match (self.wish(now), rests) {
            (Work::Now(_), Some(at)) => Work::At(at),
            (wish, _) => wish,
        }
    }

    fn wish(&self, now: Instant) -> Work {
        match self.health.allows() {
            Allowed::All => {}
            Allowed::Probe(at) if at <= now => return Work::Now(Class::Probe),
            Allowed::Probe(at) => return Work::At(at),
            Allowed::Nothing => return Work::Nothing,
        }
        if self.write.is_some() {
            return Work::Now(Class::Write);
        }
        let later = || {
            let write = match self.write_turn(now) {
                Turn::At(at) => Some(at),
                Turn::Now(_) | Turn::Nobody => None,
            };
            let times = [self.clock.next_due(), write, self.next_parked()];
            times.into_iter().flatten().min().map_or(Work::Nothing, Work::At)
        };
        self.precedence.choose(self.waiting(now)).map_or_else(later, Work::Now)
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
        !self.health.is_known_online()
            && self.sign_of_life.is_some()
            && self.clock.next_due().is_none()
            && !self.model.is_watched()
    }

    /// Which classes have work; a write unit in progress is looked at before.
    fn waiting(&self, now: Instant) -> [bool; 4] {
        let polls = !self.polls.is_empty() || self.clock.next_due().is_some_and(|at| at <= now);
        let parked = self.next_parked().is_some_and(|at| at <= now);
        let writes = parked || matches!(self.write_turn(now), Turn::Now(_));
        [writes, self.read.is_some() || self.queue.has_reads(), polls, self.is_unknown()]
    }

    /// Begins the exchange that [`DeviceState::work`] announced; `None`: there was none to do after all.
    pub(crate) fn begin(&mut self, now: Instant, out: &mut Outbox) -> Option<M::Ask> {
        self.look = None;
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
        self.counters.count(|tally| &tally.requests);
        Some(ask)
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
            push_replies(out, job.ready(&self.model, now));
            self.read = None;
        }
        ask
    }

    fn begin_poll(&mut self, now: Instant) -> Option<M::Ask> {
        self.precedence.served(Class::Poll, self.waiting(now));
        if self.polls.is_empty() {
            self.cycle = self.clock.due(now);
            let mut due = self.clock.take_due(now);
            let may_rest = self.model.may_rest();
            for resting in due.extract_if(.., |point| may_rest && self.model.rests(now, *point)) {
                self.clock.missed(resting, now, false);
            }
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

    /// Whether a write could go if the read that is under way did not.
    pub(crate) fn is_pressed(&self, now: Instant) -> bool {
        let is_read = match self.flying {
            Some(Purpose::Read | Purpose::Poll | Purpose::Probe) => true,
            Some(Purpose::Nobody) => self.unknown.is_empty(),
            Some(Purpose::Write) | None => false,
        };
        let may_yield = self.yielded < MOST_YIELDS;
        is_read && may_yield && self.write.is_none() && matches!(self.write_turn(now), Turn::Now(_))
    }

    /// Its exchange was given up. What was asked stays first of what is to be asked.
    pub(crate) fn yields(&mut self) {
        self.flying = None;
        self.yielded = self.yielded.saturating_add(1);
    }

    /// Takes the outcome of its exchange in.
    pub(crate) fn handle_outcome(
        &mut self,
        now: Instant,
        outcome: Outcome<M::Answer>,
        jitter: &mut Jitter,
        out: &mut Outbox,
    ) {
        self.rest(now + self.model.guard());
        let purpose = self.flying.take();
        if purpose != Some(Purpose::Write) {
            self.yielded = 0;
        }
        let polled = self.polls.next().filter(|_| purpose == Some(Purpose::Poll));
        let silence = match &outcome {
            Outcome::Answered(answer) => {
                self.handle_answer(now, self.model.refuses(answer), out);
                None
            }
            Outcome::Taken(answer) => {
                if self.model.refuses(answer) {
                    self.counters.count(|tally| &tally.refusals);
                }
                None
            }
            // What went before it was answered, though too late for it.
            Outcome::Held(DeviceFault::Expired) => None,
            Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault) => {
                self.handle_silence(fault);
                Some(fault.clone())
            }
        };
        match purpose {
            Some(Purpose::Write) => self.write_outcome(now, outcome, out),
            Some(Purpose::Read) => self.read_outcome(now, outcome, out),
            Some(Purpose::Poll) => self.poll_outcome(now, outcome, out),
            Some(Purpose::Nobody) => self.lost_write_outcome(now, outcome, out),
            Some(Purpose::Probe) | None => {}
        }
        self.wake(now, out);
        self.begin_reread(now);
        if let Some(fault) = silence
            && self.health.is_lost()
        {
            self.suspect(polled, &fault);
            let cause = self.health.lose(now, &fault, jitter);
            self.go_offline(cause, out);
        }
        self.count_waiting();
    }

    fn read_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        if let Some(job) = &mut self.read {
            let replies = job.handle(&mut self.model, now, outcome, self.health.silences());
            for readings in replies.iter().filter_map(|reply| reply.outcome.as_ref().ok()) {
                rereading::was_said(&mut self.reread, readings);
            }
            push_replies(out, replies);
        }
        self.read.take_if(|job| job.waiting() == 0);
    }

    fn poll_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let is_reread = self.reread.is_some() && matches!(outcome, Outcome::Answered(_));
        let answered = if is_reread { self.polls.next() } else { None };
        let answered = answered.map(|ask| self.model.points(&ask)).unwrap_or_default();
        let readings = match outcome {
            Outcome::Answered(answer) | Outcome::Taken(answer) => {
                self.polls.answered(&mut self.model, now, answer)
            }
            Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault) => {
                self.polls.silent(&mut self.model, now, self.health.silences(), &fault)
            }
        };
        let is_missed = |reading: &&Reading| reading.result.is_err() || !reading.freshness.contact;
        for reading in readings.iter().filter(is_missed) {
            let passes = matches!(reading.result, Err(DeviceFault::Busy(_)));
            self.clock.missed(reading.point, now, passes);
        }
        self.was_reread(now, &readings, &answered);
        self.report(readings, out);
        if self.polls.is_empty() {
            self.counters.cycle(&self.cycle.1, now.saturating_duration_since(self.cycle.0));
        }
    }

    /// Answers what can no longer be answered in time.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        for (id, fault) in self.queue.expire(now) {
            push_reply(out, AdapterReply { id, outcome: Err(fault) });
        }
        for job in self.write.iter_mut().chain(&mut self.parked) {
            push_replies(out, job.expire(now));
        }
        if let Some(job) = &mut self.read {
            push_replies(out, job.expire(&self.model, now));
        }
        self.give_up_looking(now, out);
        self.expire_refreshes(now, out);
        self.forget_writes(now);
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
        let write = self.write_jobs().flat_map(|job| [job.next_expiry(), job.looks_until()]).flatten().min();
        let read = self.read.as_ref().and_then(ReadJob::next_expiry);
        let refreshes = self.refreshes.iter().map(|caller| caller.deadline).min();
        [self.queue.next_expiry(), write, read, refreshes].into_iter().flatten().min()
    }

    fn report(&self, readings: Readings, out: &mut Outbox) {
        if !readings.is_empty() {
            let (device, mapping) = (self.device.id.clone(), Arc::clone(&self.device.mapping));
            out.push(FromAdapter::Report(AdapterReport::Readings { device, mapping, readings }));
        }
    }

    fn count_waiting(&self) {
        let writes: usize = self.write_jobs().map(WriteJob::waiting).sum();
        let jobs = writes + self.read.as_ref().map_or(0, ReadJob::waiting);
        let waiting = self.queue.len() + self.refreshes.len() + jobs;
        self.counters.waiting.store(waiting, Ordering::Relaxed);
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
