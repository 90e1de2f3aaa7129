//! On-demand reads of one device, done together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use usp_mapping::port::{AdapterReply, CallId, DeviceFault, PointId, Reading, Readings};

use crate::bus::plan::ReadPlan;
use crate::bus::queue::ReadCall;
use crate::bus::{Model, Outcome};

/// Reads that share their exchanges; each caller is answered as soon as all it asked for is there.
#[derive(Debug)]
pub(crate) struct ReadJob<Ask> {
    calls: Vec<ReadCall>,
    plan: ReadPlan<Ask>,
    got: BTreeMap<PointId, Reading>,
    /// What cannot be asked for, and is said unasked: it is what was said last when the reply is made.
    told: BTreeSet<PointId>,
}

impl<Ask: Clone> ReadJob<Ask> {
    /// Plans the fewest exchanges for all calls.
    pub(crate) fn new<M: Model<Ask = Ask>>(model: &mut M, now: Instant, calls: Vec<ReadCall>) -> Self {
        let points: BTreeSet<_> = calls.iter().flat_map(|call| call.points.iter().copied()).collect();
        let points: Vec<_> = points.into_iter().collect();
        let plan = ReadPlan::new(model, now, &points);
        let asked = plan.points(model);
        let told = points.into_iter().filter(|point| !asked.contains(point));
        let told = told.filter(|point| model.known(now, *point).is_some()).collect();
        Self { calls, plan, got: BTreeMap::new(), told }
    }

    /// What to send next; `None`: the job is done.
    pub(crate) fn next(&self) -> Option<Ask> {
        if self.calls.is_empty() { None } else { self.plan.next() }
    }

    /// How many callers still wait.
    pub(crate) fn waiting(&self) -> usize {
        self.calls.len()
    }

    /// Takes the outcome of an exchange in, and gives the replies that are ready.
    pub(crate) fn handle<M>(
        &mut self,
        model: &mut M,
        now: Instant,
        outcome: Outcome<M::Answer>,
        silences: u32,
    ) -> Vec<AdapterReply>
    where
        M: Model<Ask = Ask>,
    {
        let readings = match outcome {
            Outcome::Answered(answer) | Outcome::Taken(answer) => self.plan.answered(model, now, answer),
            Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault) => {
                self.plan.silent(model, now, silences, &fault)
            }
        };
        self.got.extend(readings.into_iter().map(|reading| (reading.point, reading)));
        self.ready(model, now)
    }

    /// The device has said this unasked: it is newer than what was read before.
    pub(crate) fn hear(&mut self, readings: &Readings) {
        for reading in readings.iter().filter(|reading| reading.freshness.contact) {
            if let Some(known) = self.got.get_mut(&reading.point) {
                known.clone_from(reading);
            }
        }
    }

    /// The replies that are complete. With nothing left to send all are: what no exchange covers is unknown.
    pub(crate) fn ready<M: Model<Ask = Ask>>(&mut self, model: &M, now: Instant) -> Vec<AdapterReply> {
        let Self { calls, plan, got, told } = self;
        let is_there = |point: &PointId| got.contains_key(point) || told.contains(point);
        let ready = |call: &ReadCall| plan.is_empty() || call.points.iter().all(is_there);
        let calls: Vec<_> = calls.extract_if(.., |call| ready(call)).collect();
        let reply = |call: ReadCall| {
            let readings = self.readings(model, now, &call, &DeviceFault::Unknown);
            AdapterReply { id: call.caller.id, outcome: Ok(readings) }
        };
        calls.into_iter().map(reply).collect()
    }

    /// Replies to whom an answer comes too late: what there is, and a time-out for the rest.
    pub(crate) fn expire<M: Model<Ask = Ask>>(&mut self, model: &M, now: Instant) -> Vec<AdapterReply> {
        let late: Vec<_> = self.calls.extract_if(.., |call| call.caller.deadline <= now).collect();
        let reply = |call: ReadCall| {
            let fault = DeviceFault::Timeout(call.caller.within);
            let mut readings = self.readings(model, now, &call, &fault);
            if model.sleeps(now) {
                readings.iter_mut().for_each(|reading| asleep(model, now, reading, &fault));
            }
            let is_empty = readings.iter().all(|reading| reading.result.as_ref() == Err(&fault));
            AdapterReply { id: call.caller.id, outcome: if is_empty { Err(fault) } else { Ok(readings) } }
        };
        late.into_iter().map(reply).collect()
    }

    fn readings<M: Model>(
        &self,
        model: &M,
        now: Instant,
        call: &ReadCall,
        missing: &DeviceFault,
    ) -> Readings {
        // What turned out not to be asked for is what was said last, too.
        let is_told = |point| self.told.contains(&point) || self.plan.is_empty();
        let told = |point| is_told(point).then(|| model.known(now, point)).flatten();
        let known = |point| self.got.get(&point).cloned().or_else(|| told(point));
        let reading = |point| known(point).unwrap_or_else(|| Reading::now(point, Err(missing.clone())));
        call.points.iter().map(|point| reading(*point)).collect()
    }

    /// A write came between: what was read of these points before is read again.
    pub(crate) fn written<M: Model<Ask = Ask>>(&mut self, model: &mut M, now: Instant, points: &[PointId]) {
        let stale: Vec<_> = points.iter().filter(|point| self.got.remove(point).is_some()).copied().collect();
        if !stale.is_empty() {
            self.plan.extend(model, now, &stale);
        }
    }

    /// When the first caller stops waiting.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.calls.iter().map(|call| call.caller.deadline).min()
    }

    /// Gives up: who still waits.
    pub(crate) fn abandon(self) -> impl Iterator<Item = CallId> {
        self.calls.into_iter().map(|call| call.caller.id)
    }
}

/// Nobody knows when one that sleeps can be asked: what it has not answered in time is what it said last.
fn asleep<M: Model>(model: &M, now: Instant, reading: &mut Reading, missing: &DeviceFault) {
    if reading.result.as_ref() == Err(missing)
        && let Some(known) = model.known(now, reading.point)
    {
        *reading = known;
    }
}
