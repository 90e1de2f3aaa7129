//! One write unit of one device: each value fetched for (where bits of a register are kept), sent, and verified in turn.

use std::time::{Duration, Instant};

use usp_mapping::mapping::{Capability, Mapping};
use usp_mapping::port::{AdapterReply, CallId, DeviceFault, Freshness, PointId, Reading, Readings};
use usp_mapping::value::Value;

use crate::bus::plan::ReadPlan;
use crate::bus::queue::{Caller, Target, WriteCall, unsent};
use crate::bus::{Model, Outcome, WriteStart};

/// Shortest and longest pause between two looks at a value that is to be verified.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// After so long the same is sent again to a device that was at something else.
const BUSY: Duration = Duration::from_millis(500);

/// What a job does next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<Ask> {
    /// This exchange.
    Send(Ask),
    /// Nothing before this instant.
    Wait(Instant),
    /// It is done: [`WriteJob::finish`] has its replies.
    Done,
}

/// Writes in progress, one after the other. Between a fetch and its write nothing else of the device comes; while one waits
/// to be shown, or for the device to wake up, all else goes on but writes to what [`WriteJob::holds`] names.
#[derive(Debug)]
pub(crate) struct WriteJob<Ask> {
    call: WriteCall,
    results: Vec<Result<Value, DeviceFault>>,
    /// When each of them was known.
    settled_at: Vec<Instant>,
    /// The one that failed was looked for, and the device showed nothing.
    is_blind: bool,
    phase: Phase<Ask>,
}

#[derive(Debug)]
enum Phase<Ask> {
    Begin,
    Fetch(Ask),
    /// Nothing was sent: the device sleeps. It is looked at again at this instant.
    Asleep(Instant),
    /// Nothing was done: the device said this. It is asked again at this instant.
    Busy(Instant, DeviceFault),
    Send {
        ask: Ask,
        sent: bool,
        /// What the device has said meanwhile of what shows whether it was done.
        heard: Option<Result<Value, DeviceFault>>,
    },
    Verify(Verify<Ask>),
}

#[derive(Debug)]
struct Verify<Ask> {
    /// What shows whether it was done.
    by: PointId,
    plan: ReadPlan<Ask>,
    every: Duration,
    /// How long it is looked for as a rule.
    within: Duration,
    until: Instant,
    next_at: Instant,
    shown: Option<Result<Value, DeviceFault>>,
    /// How the write itself ended: without an answer it may have been done all the same.
    sent: Result<(), DeviceFault>,
    sleep: Sleep,
}

/// How a device that is looked at sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sleep {
    /// It does as a rule: a look whose answer does not come is no longer waited for than for the others.
    may: bool,
    /// It is not asked before it is heard.
    waits: bool,
    /// It slept perhaps when it was written to: where it shows another value, it did, and the write begins again.
    missed: bool,
}

/// How a write that was sent has ended.
#[derive(Debug)]
enum Sent {
    /// The device took it.
    Taken,
    Refused(DeviceFault),
    /// It was not answered: it may have been done.
    Unanswered(DeviceFault),
    /// The same of one that sleeps, and perhaps slept.
    Unsure(DeviceFault),
}

impl<Ask: Clone> WriteJob<Ask> {
    /// A job that has not begun.
    pub(crate) fn new(call: WriteCall) -> Self {
        Self { call, results: Vec::new(), settled_at: Vec::new(), is_blind: false, phase: Phase::Begin }
    }

    /// Until when nothing is to be done.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Verify(verify) => Some(verify.next_at),
            Phase::Asleep(until) | Phase::Busy(until, _) => Some(*until),
            Phase::Begin | Phase::Fetch(_) | Phase::Send { .. } => None,
        }
    }

    /// Until when it waits for the device to wake up, if it does.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asleep(until) => Some(until),
            Phase::Verify(Verify { until, sleep: Sleep { waits: true, .. }, .. }) => Some(until),
            _ => None,
        }
    }

    /// The device is awake.
    pub(crate) fn wake(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Asleep(until) => *until = now,
            Phase::Verify(verify) if verify.sleep.waits => {
                (verify.next_at, verify.sleep.waits) = (now, false)
            }
            _ => {}
        }
    }

    /// Whether its next item is not begun.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.phase, Phase::Begin) && !self.is_done()
    }

    /// Whether it looks for what was written.
    pub(crate) fn is_looking(&self) -> bool {
        matches!(self.phase, Phase::Verify(_))
    }

    /// Whether a write is on the wire.
    pub(crate) fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Send { sent: true, .. })
    }

    /// What nobody else may write before it is done: its own, and what is to show that.
    pub(crate) fn holds(&self, mapping: &Mapping) -> Vec<Target> {
        let shows = |target| verification(mapping, target).map(|(by, _)| Target::Point(by));
        self.call.targets().flat_map(|target| [Some(target), shows(target)]).flatten().collect()
    }

    /// What to do now. An item whose time to live is over is not sent.
    pub(crate) fn next<M: Model<Ask = Ask>>(&mut self, model: &mut M, now: Instant) -> Step<Ask> {
        if matches!(self.phase, Phase::Begin | Phase::Asleep(_) | Phase::Busy(..)) {
            self.begin(model, now);
        }
        let Some(((_, value), begin_by)) = self.current() else { return Step::Done };
        let value = value.clone();
        match &mut self.phase {
            Phase::Begin | Phase::Asleep(_) | Phase::Busy(..) => Step::Done,
            Phase::Fetch(_) | Phase::Send { sent: false, .. } if now >= begin_by => {
                self.settle(Err(DeviceFault::Expired), now);
                Step::Done
            }
            Phase::Send { sent: false, .. } if model.sleeps(now) => {
                self.phase = Phase::Asleep(begin_by);
                Step::Wait(begin_by)
            }
            Phase::Fetch(ask) => Step::Send(ask.clone()),
            Phase::Send { ask, sent, .. } => {
                if !std::mem::replace(sent, true) {
                    model.hold(ask, begin_by);
                }
                Step::Send(ask.clone())
            }
            Phase::Verify(verify) => {
                let end = verify.end(&value);
                verify.next(model, now).unwrap_or_else(|| {
                    self.give_up(end, now);
                    Step::Done
                })
            }
        }
    }

    /// Takes the outcome of an exchange in. What was read to verify is given back, for the core.
    pub(crate) fn handle<M: Model<Ask = Ask>>(
        &mut self,
        model: &mut M,
        mapping: &Mapping,
        now: Instant,
        outcome: Outcome<M::Answer>,
    ) -> Readings {
        let Some(((target, value), _)) = self.current() else { return Vec::new() };
        let (target, value) = (*target, value.clone());
        if let Phase::Fetch(ask) | Phase::Send { ask, .. } = &self.phase
            && let Some(fault) = is_busy(model, ask, &outcome)
        {
            self.put_off(now, fault);
            return Vec::new();
        }
        match std::mem::replace(&mut self.phase, Phase::Begin) {
            Phase::Begin | Phase::Asleep(_) | Phase::Busy(..) => Vec::new(),
            Phase::Fetch(ask) => self.fetched(model, now, ask, (target, &value), outcome),
            Phase::Send { ask, heard, .. } => {
                let unsure = unsure(model, &ask, &outcome);
                let is_told = matches!(outcome, Outcome::Answered(_));
                let sent = match outcome {
                    // It begins again, the other way, or when the device is awake.
                    Outcome::Answered(answer) | Outcome::Taken(answer)
                        if model.knows_better(&ask, &answer) =>
                    {
                        return Vec::new();
                    }
                    Outcome::Answered(answer) | Outcome::Taken(answer) => {
                        match (unsure, model.acknowledge(&ask, answer)) {
                            (Some(fault), _) => Sent::Unsure(fault),
                            (None, Ok(())) => Sent::Taken,
                            // The device itself has not said so.
                            (None, Err(fault @ DeviceFault::Unsettled(_))) if !is_told => {
                                Sent::Unanswered(fault)
                            }
                            (None, Err(fault)) => Sent::Refused(fault),
                        }
                    }
                    // It may still be sent, for as long as it may begin.
                    Outcome::Held(_) => {
                        self.phase = Phase::Send { ask, sent: false, heard: None };
                        return Vec::new();
                    }
                    Outcome::Unsent(fault) => {
                        self.settle(Err(unsent(&fault)), now);
                        return Vec::new();
                    }
                    Outcome::Silent(fault) => Sent::Unanswered(perhaps(fault)),
                };
                self.sent((model, mapping), now, (target, value), sent, heard);
                Vec::new()
            }
            Phase::Verify(mut verify) => {
                // What an earlier look showed is with the core already, or not what is there now.
                let is_new = verify.look(model, now, outcome);
                let shown = verify.shown.clone();
                let readings = self.judge(model, now, verify, target, &value);
                if is_new {
                    self.begin_again(now, shown);
                }
                if is_new { readings } else { Vec::new() }
            }
        }
    }

    /// Nothing was done yet, and the device may take the same in a while: for as long as the write may begin.
    fn put_off(&mut self, now: Instant, fault: DeviceFault) {
        if let Some((_, begin_by)) = self.current() {
            self.phase = Phase::Busy((now + BUSY).min(begin_by), fault);
        }
    }

    fn begin<M: Model<Ask = Ask>>(&mut self, model: &M, now: Instant) {
        let Some(((target, value), begin_by)) = self.current() else { return };
        if let Phase::Busy(_, fault) = &self.phase
            && now >= begin_by
        {
            return self.settle(Err(fault.clone()), now);
        }
        match model.write(*target, value) {
            Ok(WriteStart::Send(ask)) => self.phase = Phase::Send { ask, sent: false, heard: None },
            Ok(WriteStart::Fetch(ask)) => self.phase = Phase::Fetch(ask),
            Err(fault) => self.settle(Err(fault), now),
        }
    }

    fn fetched<M: Model<Ask = Ask>>(
        &mut self,
        model: &M,
        now: Instant,
        ask: Ask,
        (target, value): (Target, &Value),
        outcome: Outcome<M::Answer>,
    ) -> Readings {
        match outcome {
            Outcome::Answered(answer) | Outcome::Taken(answer) => match model.modify(target, value, answer) {
                Ok(ask) => self.phase = Phase::Send { ask, sent: false, heard: None },
                Err(fault) => self.settle(Err(fault), now),
            },
            // Nothing was written yet: fetching again is safe, for as long as the write may still begin.
            Outcome::Silent(_) | Outcome::Unsent(_) | Outcome::Held(_) => self.phase = Phase::Fetch(ask),
        }
        Vec::new()
    }

    /// The write was answered, or not (`Err((_, false))`).
    fn sent<M: Model<Ask = Ask>>(
        &mut self,
        (model, mapping): (&M, &Mapping),
        now: Instant,
        (target, value): (Target, Value),
        sent: Sent,
        heard: Option<Result<Value, DeviceFault>>,
    ) {
        let missed = matches!(sent, Sent::Unsure(_));
        let sent = match (sent, verification(mapping, target)) {
            (Sent::Taken, None) => return self.settle(Ok(value), now),
            (Sent::Taken, Some(verify)) => (verify, Ok(())),
            // It took the request, and may need a moment for what was asked.
            (Sent::Refused(DeviceFault::NotConfirmed { .. } | DeviceFault::Unsettled(_)), Some(verify)) => {
                (verify, Ok(()))
            }
            (Sent::Unanswered(fault) | Sent::Unsure(fault), Some(verify)) => (verify, Err(fault)),
            (Sent::Refused(fault) | Sent::Unanswered(fault) | Sent::Unsure(fault), _) => {
                return self.settle(Err(fault), now);
            }
        };
        let ((by, time), sent) = sent;
        let mut verify = Verify { shown: heard, ..Verify::new(now, by, time, model.says_so(by), sent) };
        verify.sleep = Sleep { may: model.may_sleep(), waits: false, missed };
        if let Some((_, begin_by)) = self.current().filter(|_| missed) {
            verify.until = verify.until.max(begin_by);
        }
        if matches!(target, Target::Point(point) if model.shows_already(point, by, &value)) {
            verify.next_at = now;
        }
        // What it has said meanwhile is with the core already.
        self.judge(model, now, verify, target, &value);
    }

    /// It slept when it was written to, and shows another value now: nothing was done, and it is awake.
    fn begin_again(&mut self, now: Instant, shown: Option<Result<Value, DeviceFault>>) {
        let may_begin = self.current().is_some_and(|(_, begin_by)| now < begin_by);
        let Phase::Verify(Verify { sleep: Sleep { missed: true, .. }, .. }) = &self.phase else { return };
        if may_begin && matches!(shown, Some(Ok(_))) {
            self.phase = Phase::Begin;
        }
    }

    /// What it shows is not looked for any longer, though a look is under way: the device sleeps.
    pub(crate) fn give_up_looking(&mut self, now: Instant) {
        let Some(((_, value), _)) = self.current() else { return };
        if let Phase::Verify(verify) = &self.phase
            && verify.ends_at().is_some_and(|at| at <= now)
        {
            let end = verify.end(value);
            self.give_up(end, now);
        }
    }

    /// It was not shown.
    fn give_up(&mut self, (failure, is_blind): (DeviceFault, bool), now: Instant) {
        self.is_blind = is_blind;
        self.settle(Err(failure), now);
    }

    /// When that is due.
    pub(crate) fn looks_until(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Verify(verify) => verify.ends_at(),
            _ => None,
        }
    }

    /// Whether what the device shows confirms the write. What it shows is given back, for the core, when that ends the wait.
    fn judge<M: Model<Ask = Ask>>(
        &mut self,
        model: &M,
        now: Instant,
        verify: Verify<Ask>,
        target: Target,
        wanted: &Value,
    ) -> Readings {
        let by = verify.by;
        let confirms =
            |shown: &Value| matches!(target, Target::Point(point) if model.shows(point, by, wanted, shown));
        match &verify.shown {
            Some(Ok(shown)) if confirms(shown) => self.settle(Ok(shown.clone()), now),
            _ if now >= verify.until => self.give_up(verify.end(wanted), now),
            _ => {
                self.phase = Phase::Verify(verify);
                return Vec::new();
            }
        }
        verify.shown.map(|shown| Reading::now(by, shown)).into_iter().collect()
    }

    /// The device has said this unasked. What is not all new may be of before the write, and shows nothing.
    pub(crate) fn hear<M: Model<Ask = Ask>>(
        &mut self,
        model: &M,
        mapping: &Mapping,
        now: Instant,
        readings: &Readings,
    ) {
        let Some(((target, value), _)) = self.current() else { return };
        let (target, value) = (*target, value.clone());
        let Some((by, _)) = verification(mapping, target) else { return };
        let shows = |reading: &&Reading| reading.point == by && reading.freshness.is_now();
        let Some(Reading { result: shown, .. }) = readings.iter().rfind(shows) else { return };
        match std::mem::replace(&mut self.phase, Phase::Begin) {
            Phase::Send { ask, sent: true, .. } => {
                self.phase = Phase::Send { ask, sent: true, heard: Some(shown.clone()) };
            }
            Phase::Verify(mut verify) => {
                verify.shown = Some(shown.clone());
                self.judge(model, now, verify, target, &value);
            }
            other => self.phase = other,
        }
    }

    /// The current item is done; after a failure so is the unit.
    fn settle(&mut self, result: Result<Value, DeviceFault>, now: Instant) {
        let failed = result.is_err();
        self.phase = Phase::Begin;
        self.results.push(result);
        self.settled_at.push(now);
        if failed {
            self.results.resize(self.call.items.len(), Err(DeviceFault::NotTried));
        }
    }

    fn current(&self) -> Option<(&(Target, Value), Instant)> {
        let at = self.results.len();
        self.call.items.get(at).zip(self.call.begin_by.get(at).copied())
    }

    /// Whether every item is done.
    pub(crate) fn is_done(&self) -> bool {
        self.results.len() == self.call.items.len()
    }

    /// How many callers still wait.
    pub(crate) fn waiting(&self) -> usize {
        self.call.callers.len()
    }

    /// The points that it writes.
    pub(crate) fn points(&self) -> Vec<PointId> {
        let point = |target| match target {
            Target::Point(point) => Some(point),
            Target::Step(..) => None,
        };
        self.call.targets().filter_map(point).collect()
    }

    /// What may be something else than was read of it: the device took what was written, and nobody has looked, or nobody knows
    /// whether it did. With each of these what was to show it.
    pub(crate) fn unseen(&self, mapping: &Mapping) -> Vec<PointId> {
        let is_open = |point: PointId, result: &Result<_, DeviceFault>| match result {
            Ok(_) => mapping.model(point).is_some_and(Capability::shows_itself),
            Err(DeviceFault::Unsettled(_) | DeviceFault::Timeout(_) | DeviceFault::Garbled(_)) => true,
            Err(DeviceFault::NotConfirmed { .. }) => self.is_blind,
            Err(_) => false,
        };
        let mut unseen = Vec::new();
        for (target, result) in self.call.targets().zip(&self.results) {
            if let Target::Point(point) = target
                && is_open(point, result)
            {
                unseen.push(point);
                let by = verification(mapping, target).map(|(by, _)| by);
                unseen.extend(by.filter(|by| *by != point));
            }
        }
        unseen
    }

    /// The replies of a job that is done.
    pub(crate) fn finish(self) -> Vec<AdapterReply> {
        self.abandon(|_| DeviceFault::NotTried)
    }

    /// Gives up: what was done is told, `fault` is what became of the item in progress.
    pub(crate) fn abandon(mut self, fault: impl Fn(&Caller) -> DeviceFault) -> Vec<AdapterReply> {
        let callers = std::mem::take(&mut self.call.callers);
        callers.iter().map(|caller| self.reply(caller.id, self.perhaps_done(fault(caller)))).collect()
    }

    /// Why nobody waits for the item in progress any more: what was sent may be done all the same.
    fn perhaps_done(&self, fault: DeviceFault) -> DeviceFault {
        if self.has_sent() { perhaps(fault) } else { unsent(&fault) }
    }

    /// Replies to whom an answer comes too late.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<AdapterReply> {
        let late: Vec<_> = self.call.callers.extract_if(.., |caller| caller.deadline <= now).collect();
        late.iter().map(|caller| self.reply(caller.id, self.late(caller))).collect()
    }

    /// When the first caller stops waiting.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.call.callers.iter().map(|caller| caller.deadline).min()
    }

    /// What to tell a caller whose deadline is over about the item in progress.
    fn late(&self, caller: &Caller) -> DeviceFault {
        let wanted = self.current().map(|((_, value), _)| value);
        match (&self.phase, wanted) {
            // Whether it was acknowledged is known.
            (Phase::Verify(verify), Some(wanted)) => verify.failure(wanted),
            (Phase::Verify(_) | Phase::Send { sent: true, .. }, _) => DeviceFault::Timeout(caller.within),
            (Phase::Busy(_, fault), _) => fault.clone(),
            (Phase::Begin | Phase::Fetch(_) | Phase::Asleep(_) | Phase::Send { .. }, _) => {
                DeviceFault::Expired
            }
        }
    }

    fn reply(&self, id: CallId, fault: DeviceFault) -> AdapterReply {
        let untouched = self.results.is_empty() && !self.has_sent();
        if untouched && !self.call.items.is_empty() {
            return AdapterReply { id, outcome: Err(fault) };
        }
        if self.call.targets().any(|target| matches!(target, Target::Step(..))) {
            let failed = self.results.iter().find_map(|result| result.clone().err());
            let fault = failed.or_else(|| Some(fault).filter(|_| !self.is_done()));
            let fault = fault.map(|fault| self.half_done(fault));
            return AdapterReply { id, outcome: fault.map_or(Ok(Vec::new()), Err) };
        }
        let mut results = self.results.clone();
        if results.len() < self.call.items.len() {
            results.push(Err(fault));
        }
        results.resize(self.call.items.len(), Err(DeviceFault::NotTried));
        let results = self.points().into_iter().zip(results).enumerate();
        let results = results.map(|(item, (point, result))| Reading {
            freshness: self.freshness(item),
            ..Reading::now(point, result)
        });
        AdapterReply { id, outcome: Ok(results.collect()) }
    }

    /// What was confirmed before later items took their time may be another by now: the device may have said so.
    fn freshness(&self, item: usize) -> Freshness {
        let (at, end) = (self.settled_at.get(item), self.settled_at.last());
        let age = at.zip(end).map_or(Duration::ZERO, |(at, end)| end.duration_since(*at));
        Freshness { age: Some(age), ..Freshness::NOW }
    }

    /// Why a command was not done, and which of its steps were.
    fn half_done(&self, fault: DeviceFault) -> DeviceFault {
        match self.results.iter().take_while(|result| result.is_ok()).count() {
            0 => fault,
            done => {
                DeviceFault::HalfDone { step: done + 1, of: self.call.items.len(), fault: Box::new(fault) }
            }
        }
    }

    pub(crate) fn has_sent(&self) -> bool {
        matches!(self.phase, Phase::Send { sent: true, .. } | Phase::Verify(_))
    }
}

impl<Ask: Clone> Verify<Ask> {
    /// A device that tells of its own accord is given half of the time before it is asked, and asked once.
    fn new(now: Instant, by: PointId, time: Duration, tells: bool, sent: Result<(), DeviceFault>) -> Self {
        let often = (time / 10).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        let (every, next_at) = if tells { (time / 2, now + time / 2) } else { (often, now) };
        let (plan, until) = (ReadPlan::default(), now + time);
        let sleep = Sleep::default();
        Self { by, plan, every, within: time, until, next_at, shown: None, sent, sleep }
    }

    /// `None`: the time is over, or the point can neither be read nor heard.
    fn next<M: Model<Ask = Ask>>(&mut self, model: &mut M, now: Instant) -> Option<Step<Ask>> {
        if now < self.next_at {
            return Some(Step::Wait(self.next_at));
        }
        if model.sleeps(now) && now < self.until {
            (self.next_at, self.sleep.waits) = (self.until, true);
            return Some(Step::Wait(self.until));
        }
        if self.plan.is_empty() {
            self.plan = ReadPlan::new(model, now, &[self.by]);
        }
        let ask = self.plan.next();
        if ask.is_none() && model.tells(self.by) && now < self.until {
            self.next_at = self.until;
            return Some(Step::Wait(self.until));
        }
        ask.map(Step::Send)
    }

    /// When it ends, be a look under way or not.
    fn ends_at(&self) -> Option<Instant> {
        self.sleep.may.then_some(self.until)
    }

    /// Whether it shows something.
    fn look<M: Model<Ask = Ask>>(
        &mut self,
        model: &mut M,
        now: Instant,
        outcome: Outcome<M::Answer>,
    ) -> bool {
        let mut is_new = false;
        match outcome {
            Outcome::Answered(answer) | Outcome::Taken(answer) => {
                let reading = self.plan.answered(model, now, answer).pop();
                if let Some(reading) = reading.filter(|reading| reading.freshness.is_now()) {
                    if reading.result.is_err() {
                        // It is awake, and may have no value for as long as the write may begin: it is asked no more for that.
                        self.until = self.until.min(now + self.within);
                    }
                    self.shown = Some(reading.result);
                    is_new = true;
                }
            }
            Outcome::Silent(_) | Outcome::Unsent(_) | Outcome::Held(_) => self.plan = ReadPlan::default(),
        }
        self.next_at = now + self.every;
        is_new
    }

    /// Why it failed, and whether nothing was shown.
    fn end(&self, wanted: &Value) -> (DeviceFault, bool) {
        (self.failure(wanted), self.shown.is_none())
    }

    fn failure(&self, wanted: &Value) -> DeviceFault {
        if let Err(fault) = &self.sent {
            return fault.clone();
        }
        let shown = match &self.shown {
            Some(Ok(value)) => value.to_usp(),
            Some(Err(fault)) => format!("nothing usable ({fault})"),
            None => DeviceFault::NOTHING.to_owned(),
        };
        DeviceFault::NotConfirmed { wanted: wanted.to_usp(), shown }
    }
}

fn unsure<M: Model>(model: &mut M, ask: &M::Ask, outcome: &Outcome<M::Answer>) -> Option<DeviceFault> {
    match outcome {
        Outcome::Answered(answer) | Outcome::Taken(answer) => model.unsure(ask, answer),
        Outcome::Silent(_) | Outcome::Unsent(_) | Outcome::Held(_) => None,
    }
}

fn is_busy<M: Model>(model: &M, ask: &M::Ask, outcome: &Outcome<M::Answer>) -> Option<DeviceFault> {
    match outcome {
        Outcome::Answered(answer) | Outcome::Taken(answer) => model.busy(ask, answer),
        Outcome::Silent(_) | Outcome::Unsent(_) | Outcome::Held(_) => None,
    }
}

/// Why nothing more will be known of what was sent: it may be done all the same.
fn perhaps(fault: DeviceFault) -> DeviceFault {
    match fault {
        // They say so by themselves.
        DeviceFault::Timeout(_) | DeviceFault::Garbled(_) | DeviceFault::Unsettled(_) => fault,
        other => DeviceFault::Unsettled(other.to_string()),
    }
}

/// Where and for how long to look for the written value, if at all.
fn verification(mapping: &Mapping, target: Target) -> Option<(PointId, Duration)> {
    let Target::Point(point) = target else { return None };
    let verify = mapping.point(point)?.write?.verify?;
    let by = verify.by.unwrap_or(point);
    mapping.point(by)?.read.map(|_| (by, verify.within))
}
