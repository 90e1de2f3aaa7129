//! When a device that sleeps is knocked at: pure.
//!
//! A parent keeps a message for some seconds only; a device that sleeps for longer never sees it. So writes wait, where writes
//! wait for other reasons too, until the device is heard, and each is sent then, once; and so do reads of what it may have said in vain. In the meantime the device is *knocked* at: asked for
//! something that changes nothing, so that one that only listens now and then, and says nothing by itself, is heard too. Nothing else waits for that.
//!
//! ```text
//!          heard just now
//! waiting ────────────────▶ awake     (told once each time that it was heard)
//!    │ ▲
//!    ▼ │ a longer pause
//!  knock
//!    │ nothing waits any more
//!    ▼
//!   over
//! ```

use std::time::{Duration, Instant};

/// So long after it was heard a device is believed to listen still.
pub(super) const AWAKE: Duration = Duration::from_secs(2);

/// Pauses between knocks.
const KNOCKS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What waits can be sent.
    Awake,
    Knock,
    Wait(Instant),
    Over,
}

/// Something waits for one device.
#[derive(Debug)]
pub(super) struct Hold {
    /// The last of them may be sent until then.
    pub(super) until: Instant,
    knock_at: Instant,
    pause: Duration,
    /// When it was heard that was told.
    told: Option<Instant>,
}

impl Hold {
    /// They may be sent until then.
    pub(super) fn new(now: Instant, until: Instant) -> Self {
        Self { until, knock_at: now, pause: KNOCKS.0, told: None }
    }

    /// What to do now, of a device that was last heard then.
    pub(super) fn next(&self, now: Instant, heard_at: Option<Instant>) -> Step {
        if now >= self.until {
            return Step::Over;
        }
        let is_awake = |at: &Instant| now.saturating_duration_since(*at) < AWAKE;
        if heard_at.filter(is_awake).is_some_and(|at| self.told.is_none_or(|told| at > told)) {
            return Step::Awake;
        }
        if now >= self.knock_at { Step::Knock } else { Step::Wait(self.knock_at.min(self.until)) }
    }

    /// That it was heard then is told.
    pub(super) fn told(&mut self, heard_at: Option<Instant>) {
        self.told = heard_at;
    }

    /// It is knocked at, and does not answer before then.
    pub(super) fn knocked(&mut self, until: Instant) {
        self.knock_at = until + self.pause;
        self.pause = (self.pause * 2).min(KNOCKS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_waits_goes_on_once_each_time_that_the_device_is_heard() {
        let now = Instant::now();
        let mut hold = Hold::new(now, now + 60 * SECOND);
        assert_eq!(hold.next(now, Some(now)), Step::Awake);
        hold.told(Some(now));
        assert_eq!(hold.next(now, Some(now)), Step::Knock, "it was told");
        hold.knocked(now + SECOND);
        assert_eq!(hold.next(now + AWAKE, Some(now)), Step::Wait(now + 6 * SECOND), "it sleeps again");
        assert_eq!(hold.next(now + 30 * SECOND, Some(now + 29 * SECOND)), Step::Awake);
    }

    #[test]
    fn nobody_knocks_for_what_is_not_sent_any_more() {
        let now = Instant::now();
        let hold = Hold::new(now, now + SECOND);
        let late = now + SECOND;
        assert_eq!(hold.next(late, Some(late)), Step::Over, "though the device is awake");
        assert_eq!(Hold::new(now, now).next(now, Some(now)), Step::Over);
    }

    #[test]
    fn knocks_become_seldom() {
        let mut now = Instant::now();
        let mut hold = Hold::new(now, now + 100_000 * SECOND);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(hold.next(now, None), Step::Knock);
            hold.knocked(now);
            let Step::Wait(at) = hold.next(now, None) else { panic!() };
            pauses.push(at.saturating_duration_since(now).as_secs());
            now = at;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
