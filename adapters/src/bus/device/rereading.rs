//! Reading again what a device that sleeps may have said in vain.
//!
//! While its link was away, or words of it got lost, such a device may have said something once, and says it again in an hour. It cannot be asked
//! when that is over. So one read waits until it is heard: of what it does not say by itself meanwhile, for as long as writes wait unless they
//! say otherwise, and not beyond its absence. The next occasion puts another in its place.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use usp_mapping::port::{PointId, Readings};

use super::DeviceState;
use crate::bus::Model;
use crate::bus::health::Allowed;
use crate::bus::plan::ReadPlan;

/// What was begun and met with silence is not begun again before: it sleeps already, and wakes up another time.
const AGAIN: Duration = Duration::from_secs(5);

/// A read for which nobody waits.
#[derive(Debug)]
pub(super) struct Reread {
    points: BTreeSet<PointId>,
    pub(super) until: Instant,
    /// It is not begun before.
    from: Instant,
}

/// The device has said this: that need not be read any more.
pub(super) fn was_said(reread: &mut Option<Reread>, readings: &Readings) {
    reread.take_if(|reread| {
        for reading in readings.iter().filter(|reading| reading.freshness.contact) {
            reread.points.remove(&reading.point);
        }
        reread.points.is_empty()
    });
}

impl<M: Model> DeviceState<M> {
    /// All that it can be asked is read once it is heard. Whether that is so: one that does not sleep is asked when its turn comes.
    pub(super) fn await_word_of_all(&mut self, now: Instant) -> bool {
        let Some((within, points)) = self.model.reread() else { return false };
        let points: BTreeSet<_> = points.into_iter().collect();
        let read = Reread { points, until: now + within, from: now };
        self.reread = Some(read).filter(|read| !read.points.is_empty());
        true
    }

    /// Until when a read waits for it to wake up.
    pub(crate) fn reread_until(&self) -> Option<Instant> {
        self.reread.as_ref().map(|reread| reread.until)
    }

    /// It was heard.
    pub(super) fn begin_reread(&mut self, now: Instant) {
        let is_awake = self.health.allows() == Allowed::All && !self.model.sleeps(now);
        let Some(reread) = self.reread.as_mut().filter(|reread| is_awake && reread.from <= now) else {
            return;
        };
        reread.from = now + AGAIN;
        let asked = self.polls.points(&self.model);
        let points: Vec<_> = reread.points.difference(&asked).copied().collect();
        self.polls.extend(&mut self.model, now, &points);
    }

    /// This came of it. Of one that sleeps again no more is asked now: the rest waits on.
    pub(super) fn was_reread(&mut self, now: Instant, readings: &Readings) {
        was_said(&mut self.reread, readings);
        if self.reread.is_some() && self.model.sleeps(now) {
            self.polls = ReadPlan::default();
        }
    }
}
