//! The writes of a device: whose turn it is, and which of them wait.

use std::time::{Duration, Instant};

use usp_mapping::port::{DeviceFault, PointId};

use super::{DeviceState, Outbox, Purpose, push_replies, rereading};
use crate::bus::precedence::Class;
use crate::bus::queue::{Target, Turn, WriteCall};
use crate::bus::write_job::{Step, WriteJob};
use crate::bus::{Model, Outcome, WriteStart};

/// So many writes may wait for their confirmation at a time.
const PARKED: usize = 16;

impl<M: Model> DeviceState<M> {
    pub(super) fn write_jobs(&self) -> impl Iterator<Item = &WriteJob<M::Ask>> {
        self.write.iter().chain(&self.parked)
    }

    /// Whose turn it is, with the least times between writes.
    pub(super) fn write_turn(&self, now: Instant) -> Turn {
        if self.parked.len() >= PARKED {
            return Turn::Nobody;
        }
        let mut held: Vec<Target> =
            self.parked.iter().flat_map(|job| job.holds(&self.device.mapping)).collect();
        if !self.parked.is_empty() {
            // What keeps other bits would read, and write back, what may not be shown yet.
            let keeps =
                |target, value: &_| matches!(self.model.write(target, value), Ok(WriteStart::Fetch(_)));
            held.extend(self.queue.targets_where(keeps));
        }
        self.queue.write_turn(now, held, |call: &WriteCall| {
            let ready = |target| match target {
                Target::Point(point) => Some(*self.written.get(&point)? + self.rate(point)?),
                Target::Step(..) => None,
            };
            call.targets().filter_map(ready).max().max(self.may_write_at())
        })
    }

    fn rate(&self, point: PointId) -> Option<Duration> {
        self.capability(point)?.write.as_ref().map(|write| write.rate).filter(|rate| !rate.is_zero())
    }

    /// When the device takes another write, if it needs time between any two.
    fn may_write_at(&self) -> Option<Instant> {
        let rate = self.model.write_rate();
        self.wrote_at.filter(|_| !rate.is_zero()).map(|at| at + rate)
    }

    /// Until when a job has nothing to do.
    fn waits_until(&self, job: &WriteJob<M::Ask>) -> Option<Instant> {
        job.waits_until().or_else(|| self.may_write_at().filter(|_| job.is_between()))
    }

    /// When the first of the writes that wait goes on.
    pub(super) fn next_parked(&self) -> Option<Instant> {
        self.parked.iter().filter_map(|job| self.waits_until(job).or(self.wrote_at)).min()
    }

    fn take_parked(&mut self, now: Instant) -> Option<WriteJob<M::Ask>> {
        let is_due = |job: &WriteJob<M::Ask>| self.waits_until(job).is_none_or(|at| at <= now);
        let place = self.parked.iter().position(is_due)?;
        Some(self.parked.remove(place))
    }

    fn next_write(&mut self, now: Instant) -> Option<WriteJob<M::Ask>> {
        let Turn::Now(place) = self.write_turn(now) else { return None };
        let call = self.queue.take_write(place)?;
        for target in call.targets() {
            if let Target::Point(point) = target
                && self.rate(point).is_some()
            {
                self.written.insert(point, now);
            }
        }
        Some(WriteJob::new(call))
    }

    pub(super) fn begin_write(&mut self, now: Instant, out: &mut Outbox) -> Option<M::Ask> {
        if self.write.is_none() {
            self.precedence.served(Class::Write, self.waiting(now));
            self.write = self.take_parked(now).or_else(|| self.next_write(now));
        }
        let job = self.write.as_mut()?;
        let ask = match job.next(&mut self.model, now) {
            Step::Send(ask) => Some(ask),
            Step::Wait(_) | Step::Done => None,
        };
        if ask.is_some() && job.is_writing() {
            self.wrote_at = Some(now);
        }
        self.look = ask.clone().filter(|_| job.is_looking());
        if ask.is_none() {
            self.settle_writes(now, out);
        }
        ask
    }

    /// What waited for the device to wake up goes on, if it has.
    pub(super) fn wake(&mut self, now: Instant, out: &mut Outbox) {
        if !self.model.sleeps(now) {
            self.parked.iter_mut().for_each(|job| job.wake(now));
            self.begin_refreshes(out);
        }
    }

    /// Until when something waits for the device to wake up.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let refreshes = self.refreshes.iter().map(|caller| caller.deadline);
        self.parked.iter().filter_map(WriteJob::held_until).chain(refreshes).max()
    }

    pub(super) fn write_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let Some(job) = &mut self.write else { return };
        let readings = job.handle(&mut self.model, &self.device.mapping, now, outcome);
        self.report(readings, out);
        self.settle_writes(now, out);
    }

    /// What a device that sleeps shows is not waited for beyond the time for that.
    pub(super) fn give_up_looking(&mut self, now: Instant, out: &mut Outbox) {
        self.write.iter_mut().chain(&mut self.parked).for_each(|job| job.give_up_looking(now));
        if self.write.as_ref().is_some_and(WriteJob::is_done) {
            // The look may be under way.
            self.orphan(Purpose::Write);
        }
        if self.write_jobs().any(WriteJob::is_done) {
            self.settle_writes(now, out);
        }
    }

    /// Forgets the writes for which nobody waits any more. What they have sent may be done all the same.
    pub(super) fn forget_writes(&mut self, now: Instant) {
        let given_up = |job: &mut WriteJob<M::Ask>| job.waiting() == 0;
        let mut given_up: Vec<WriteJob<M::Ask>> = self.parked.extract_if(.., given_up).collect();
        if let Some(job) = self.write.take_if(|job| job.waiting() == 0) {
            if self.flying == Some(Purpose::Write) {
                self.unknown = job.points();
            }
            self.orphan(Purpose::Write);
            given_up.push(job);
        }
        for job in given_up {
            self.read_again(now, &job.points());
            if job.has_sent() {
                self.look_at(now, &job.points());
            }
        }
    }

    /// Answers the writes that are begun with the same fault. What they have sent is looked at as soon as the device is there.
    pub(super) fn abandon_writes(&mut self, fault: &DeviceFault, out: &mut Outbox) {
        if self.write.is_some() {
            self.orphan(Purpose::Write);
        }
        for job in self.write.take().into_iter().chain(std::mem::take(&mut self.parked)) {
            if let Some(at) = self.wrote_at.filter(|_| job.has_sent()) {
                self.look_at(at, &job.points());
            }
            push_replies(out, job.abandon(|_| fault.clone()));
        }
    }

    /// Nobody has seen what became of a write of these points: they are read soon, of a device that sleeps by then once it is heard.
    fn look_at(&mut self, now: Instant, points: &[PointId]) {
        let is_read = |point: &PointId| self.capability(*point).is_some_and(|it| it.read.is_some());
        let points: Vec<_> = points.iter().copied().filter(is_read).collect();
        for point in &points {
            self.clock.written(*point, now);
        }
        self.await_word_of(now, &points);
    }

    /// A write for which nobody waits has ended, well or badly, or a look at one. What is shown late is shown all the same.
    pub(super) fn lost_write_outcome(&mut self, now: Instant, outcome: Outcome<M::Answer>, out: &mut Outbox) {
        let (points, look) = (std::mem::take(&mut self.unknown), self.look.take());
        self.read_again(now, &points);
        self.look_at(now, &points);
        if let (Some(ask), Outcome::Answered(answer) | Outcome::Taken(answer)) = (look, outcome) {
            let mut readings = self.model.understand(now, &ask, answer).readings;
            readings.retain(|reading| reading.freshness.is_now());
            rereading::was_said(&mut self.reread, &readings);
            self.report(readings, out);
        }
    }

    /// What was read of these points may be older than a write.
    fn read_again(&mut self, now: Instant, points: &[PointId]) {
        if let Some(read) = &mut self.read {
            read.written(&mut self.model, now, points);
        }
    }

    /// Answers the writes that are done, and puts the one aside that has to wait.
    pub(super) fn settle_writes(&mut self, now: Instant, out: &mut Outbox) {
        let done = self.write.take_if(|job| job.is_done()).into_iter();
        let done: Vec<_> = done.chain(self.parked.extract_if(.., |job| job.is_done())).collect();
        for job in done {
            self.read_again(now, &job.points());
            self.look_at(now, &job.unseen(&self.device.mapping));
            push_replies(out, job.finish());
        }
        let waits = self.write.as_ref().and_then(|job| self.waits_until(job)).is_some_and(|at| at > now);
        if waits && let Some(job) = self.write.take() {
            self.parked.push(job);
        }
    }
}
