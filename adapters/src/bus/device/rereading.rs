//! Reading again what a device that sleeps may have said in vain.
//!
//! While its link was away, or words of it got lost, such a device may have said something once, and says it again in an hour; and it may have
//! done what was written, and slept before it showed that. It cannot be asked when that is over. So one read waits until it is heard: of what it
//! does not say by itself meanwhile, and not beyond its absence. It is knocked at for that for as long as writes wait unless they say otherwise.
//! The next absence puts another in its place.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use usp_mapping::port::{PointId, Readings};

use super::DeviceState;
use crate::bus::Model;
use crate::bus::health::Allowed;

/// What was begun and met with silence is not begun again before: it sleeps already, and wakes up another time.
const AGAIN: Duration = Duration::from_secs(5);

/// A read for which nobody waits.
#[derive(Debug)]
pub(super) struct Reread {
    points: BTreeSet<PointId>,
    /// It is knocked at until then.
    knocks_until: Instant,
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
        let read = Reread { points, knocks_until: now + within, from: now };
        self.reread = Some(read).filter(|read| !read.points.is_empty());
        true
    }

    /// Of these nobody has seen what a write has made of them. While it is awake they are read for that: this is for when it is not.
    pub(super) fn await_word_of(&mut self, now: Instant, points: &[PointId]) {
        let Some((within, askable)) = self.model.reread() else { return };
        let points: Vec<_> = points.iter().copied().filter(|point| askable.contains(point)).collect();
        if points.is_empty() {
            return;
        }
        let none = || Reread { points: BTreeSet::new(), knocks_until: now, from: now + AGAIN };
        let reread = self.reread.get_or_insert_with(none);
        reread.points.extend(points);
        reread.knocks_until = reread.knocks_until.max(now + within);
    }

    /// Until when it is knocked at for a read that waits for it to wake up.
    pub(crate) fn knocks_until(&self) -> Option<Instant> {
        self.reread.as_ref().map(|reread| reread.knocks_until)
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

    /// This came of a poll, which these points were answered to. Of one that sleeps again no more is asked now: the rest waits on.
    pub(super) fn was_reread(&mut self, now: Instant, readings: &Readings, answered: &[PointId]) {
        was_said(&mut self.reread, readings);
        let Some(reread) = &mut self.reread else { return };
        // What it has answered without a value is not there to be had.
        let open = self.polls.points(&self.model);
        reread.points.retain(|point| open.contains(point) || !answered.contains(point));
        if self.model.sleeps(now) {
            self.polls.leave_out(&self.model, &reread.points);
        }
        self.reread.take_if(|reread| reread.points.is_empty());
    }
}
