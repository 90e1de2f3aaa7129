//! The exchanges still to be done for a read, whoever asked for it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use usp_mapping::port::{DeviceFault, PointId, Readings};

use crate::bus::{Model, Understood};

/// Planned exchanges.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan<Ask> {
    asks: VecDeque<Planned<Ask>>,
}

#[derive(Clone, Debug)]
struct Planned<Ask> {
    ask: Ask,
    /// How often it was begun in vain.
    failures: u32,
    /// It is only to show whether the device is there.
    life: bool,
}

impl<Ask> Planned<Ask> {
    fn new(ask: Ask) -> Self {
        Self { ask, failures: 0, life: false }
    }
}

impl<Ask> Default for ReadPlan<Ask> {
    fn default() -> Self {
        Self { asks: VecDeque::new() }
    }
}

impl<Ask: Clone> ReadPlan<Ask> {
    /// A plan of the fewest exchanges for these points.
    pub(crate) fn new<M: Model<Ask = Ask>>(model: &mut M, now: Instant, points: &[PointId]) -> Self {
        Self { asks: model.plan(now, points).into_iter().map(Planned::new).collect() }
    }

    /// Reads more points, after the others.
    pub(crate) fn extend<M: Model<Ask = Ask>>(&mut self, model: &mut M, now: Instant, points: &[PointId]) {
        self.asks.extend(model.plan(now, points).into_iter().map(Planned::new));
    }

    /// The points that are still to be read.
    pub(crate) fn points<M: Model<Ask = Ask>>(&self, model: &M) -> BTreeSet<PointId> {
        self.asks.iter().flat_map(|planned| model.points(&planned.ask)).collect()
    }

    /// Leaves out what is read for these points alone.
    pub(crate) fn leave_out<M: Model<Ask = Ask>>(&mut self, model: &M, points: &BTreeSet<PointId>) {
        self.asks.retain(|planned| !model.points(&planned.ask).iter().all(|point| points.contains(point)));
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    /// What to send next; it stays until it is answered.
    pub(crate) fn next(&self) -> Option<Ask> {
        self.asks.front().map(|planned| planned.ask.clone())
    }

    /// The device answered what [`ReadPlan::next`] gave.
    pub(crate) fn answered<M>(&mut self, model: &mut M, now: Instant, answer: M::Answer) -> Readings
    where
        M: Model<Ask = Ask>,
    {
        let Some(planned) = self.asks.pop_front() else { return Vec::new() };
        let Understood { readings, again } = model.understand(now, &planned.ask, answer);
        self.go_on(again);
        readings
    }

    /// No answer came, for the `silences`-th time in a row: the exchange is tried again after the others. When the
    /// device answers others meanwhile, and a small one comes first for this purpose, it is this one that it does not like.
    pub(crate) fn silent<M>(
        &mut self,
        model: &mut M,
        now: Instant,
        silences: u32,
        fault: &DeviceFault,
    ) -> Readings
    where
        M: Model<Ask = Ask>,
    {
        let Some(mut planned) = self.asks.pop_front().filter(|planned| !planned.life) else {
            return Vec::new();
        };
        planned.failures += 1;
        if planned.failures >= model.patience(&planned.ask) && silences < planned.failures {
            let Understood { readings, again } = model.unanswered(now, &planned.ask, fault);
            self.go_on(again);
            return readings;
        }
        let life = model.sign_of_life(&planned.ask);
        self.asks.push_back(planned);
        if let Some(ask) = life {
            self.asks.push_front(Planned { life: true, ..Planned::new(ask) });
        }
        Vec::new()
    }

    fn go_on(&mut self, again: Vec<Ask>) {
        for ask in again.into_iter().rev() {
            self.asks.push_front(Planned::new(ask));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::fake::{FakeModel, device, mapping, on_demand};

    #[test]
    fn what_is_read_for_others_too_is_not_left_out() {
        let points = |numbers: &[u16]| numbers.iter().copied().map(PointId).collect::<Vec<_>>();
        let (now, all) = (Instant::now(), [on_demand(), on_demand(), on_demand()]);
        let mut model = FakeModel::new(&device("a", 1, mapping(&all)));
        let mut plan = ReadPlan::new(&mut model, now, &points(&[0, 1]));
        plan.extend(&mut model, now, &points(&[2]));
        plan.leave_out(&model, &points(&[0, 2]).into_iter().collect());
        assert_eq!(plan.points(&model), points(&[0, 1]).into_iter().collect());
    }
}
