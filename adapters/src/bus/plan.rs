//! The exchanges still to be done for a read, whoever asked for it.

use std::collections::VecDeque;
use std::time::Instant;

use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bus::{Model, Understood};

/// What came of points.
pub(crate) type Readings = Vec<(PointId, Result<Value, DeviceFault>)>;

/// Planned exchanges, each with how often it was begun in vain.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan<Ask> {
    asks: VecDeque<(Ask, u32)>,
}

impl<Ask> Default for ReadPlan<Ask> {
    fn default() -> Self {
        Self { asks: VecDeque::new() }
    }
}

impl<Ask: Clone> ReadPlan<Ask> {
    /// A plan of the fewest exchanges for these points.
    pub(crate) fn new<M: Model<Ask = Ask>>(model: &mut M, now: Instant, points: &[PointId]) -> Self {
        Self { asks: model.plan(now, points).into_iter().map(|ask| (ask, 0)).collect() }
    }

    /// Reads more points, after the others.
    pub(crate) fn extend<M: Model<Ask = Ask>>(&mut self, model: &mut M, now: Instant, points: &[PointId]) {
        self.asks.extend(model.plan(now, points).into_iter().map(|ask| (ask, 0)));
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    /// What to send next; it stays until it is answered.
    pub(crate) fn next(&self) -> Option<Ask> {
        self.asks.front().map(|(ask, _)| ask.clone())
    }

    /// The device answered what [`ReadPlan::next`] gave.
    pub(crate) fn answered<M>(&mut self, model: &mut M, now: Instant, answer: M::Answer) -> Readings
    where
        M: Model<Ask = Ask>,
    {
        let Some((ask, _)) = self.asks.pop_front() else { return Vec::new() };
        let Understood { readings, again } = model.understand(now, &ask, answer);
        for ask in again.into_iter().rev() {
            self.asks.push_front((ask, 0));
        }
        readings
    }

    /// No answer came, for the `silences`-th time in a row: the exchange is tried again after the others. When
    /// others were answered meanwhile it is this one that the device does not like: its points are given up.
    pub(crate) fn silent<M>(&mut self, model: &M, silences: u32, fault: &DeviceFault) -> Readings
    where
        M: Model<Ask = Ask>,
    {
        let Some((ask, attempts)) = self.asks.pop_front() else { return Vec::new() };
        if attempts > 0 && silences <= attempts {
            return model.points(&ask).into_iter().map(|point| (point, Err(fault.clone()))).collect();
        }
        self.asks.push_back((ask, attempts + 1));
        Vec::new()
    }
}
