//! On-demand reads of one device, done together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use usp_mapping::port::{AdapterReply, CallId, DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bus::plan::{ReadPlan, Readings};
use crate::bus::queue::ReadCall;
use crate::bus::{Model, Outcome};

/// Reads that share their exchanges; each caller is answered as soon as all it asked for is there.
#[derive(Debug)]
pub(crate) struct ReadJob<Ask> {
    calls: Vec<ReadCall>,
    plan: ReadPlan<Ask>,
    got: BTreeMap<PointId, Result<Value, DeviceFault>>,
}

impl<Ask: Clone> ReadJob<Ask> {
    /// Plans the fewest exchanges for all calls.
    pub(crate) fn new<M: Model<Ask = Ask>>(model: &mut M, now: Instant, calls: Vec<ReadCall>) -> Self {
        let points: BTreeSet<_> = calls.iter().flat_map(|call| call.points.iter().copied()).collect();
        let points: Vec<_> = points.into_iter().collect();
        let plan = ReadPlan::new(model, now, &points);
        // What cannot be asked for, and is said when it changes, is what was said last.
        let asked = plan.points(model);
        let told = points.iter().filter(|point| !asked.contains(point));
        let got = told.filter_map(|point| Some((*point, model.known(*point)?))).collect();
        Self { calls, plan, got }
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
            Outcome::Silent(fault) => self.plan.silent(model, now, silences, &fault),
        };
        self.got.extend(readings);
        self.ready()
    }

    /// The replies that are complete. With nothing left to send all are: what no exchange covers is unknown.
    pub(crate) fn ready(&mut self) -> Vec<AdapterReply> {
        let (got, all) = (&self.got, self.plan.is_empty());
        let ready = |call: &ReadCall| all || call.points.iter().all(|point| got.contains_key(point));
        let calls = self.calls.extract_if(.., |call| ready(call));
        calls.map(|call| reply(call.caller.id, readings(&call, got, &DeviceFault::Unknown))).collect()
    }

    /// Replies to whom an answer comes too late: what there is, and a time-out for the rest.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<AdapterReply> {
        let got = &self.got;
        let late = self.calls.extract_if(.., |call| call.caller.deadline <= now);
        let late = late.map(|call| {
            let fault = DeviceFault::Timeout(call.caller.within);
            let readings = readings(&call, got, &fault);
            if readings.iter().any(|(_, reading)| *reading != Err(fault.clone())) {
                reply(call.caller.id, readings)
            } else {
                AdapterReply { id: call.caller.id, outcome: Err(fault) }
            }
        });
        late.collect()
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

fn readings(
    call: &ReadCall,
    got: &BTreeMap<PointId, Result<Value, DeviceFault>>,
    missing: &DeviceFault,
) -> Readings {
    let reading = |point| got.get(point).cloned().unwrap_or_else(|| Err(missing.clone()));
    call.points.iter().map(|point| (*point, reading(point))).collect()
}

fn reply(id: CallId, readings: Readings) -> AdapterReply {
    AdapterReply { id, outcome: Ok(readings) }
}
