//! When something for a device that sleeps is sent: pure.
//!
//! A parent keeps a message for some seconds only; a device that sleeps for longer never sees it. So a write waits here until the
//! device is heard, and is sent then, once. In the meantime the device is *knocked* at: asked for something that changes
//! nothing, so that one that only listens now and then, and says nothing by itself, is heard too. What is not sent before its
//! time is over is never sent.
//!
//! ```text
//!          heard just now
//! waiting ────────────────▶ send      (at most once)
//!    │ ▲
//!    ▼ │ nobody answered: a longer pause
//!  knock
//!    │ its time is over
//!    ▼
//! expired
//! ```

use std::time::{Duration, Instant};

/// So long after it was heard a device is believed to listen still.
pub(super) const AWAKE: Duration = Duration::from_secs(2);

/// Pauses between knocks.
const KNOCKS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send,
    Knock,
    Wait(Instant),
    Expired,
}

/// One write that waits.
#[derive(Debug)]
pub(super) struct Hold {
    until: Instant,
    knock_at: Instant,
    pause: Duration,
    /// When it was sent and the device slept already: it was not received.
    missed_at: Option<Instant>,
}

impl Hold {
    /// It may be sent until then.
    pub(super) fn new(now: Instant, until: Instant) -> Self {
        Self { until, knock_at: now, pause: KNOCKS.0, missed_at: None }
    }

    /// What to do now, of a device that was last heard then.
    pub(super) fn next(&self, now: Instant, heard_at: Option<Instant>) -> Step {
        if now >= self.until {
            return Step::Expired;
        }
        let heard_at = heard_at.filter(|at| self.missed_at.is_none_or(|missed| *at > missed));
        if heard_at.is_some_and(|at| now.saturating_duration_since(at) < AWAKE) {
            return Step::Send;
        }
        if now >= self.knock_at { Step::Knock } else { Step::Wait(self.knock_at.min(self.until)) }
    }

    /// It slept already, and has not received what was sent: that waits on.
    pub(super) fn missed(&mut self, now: Instant) {
        self.missed_at = Some(now);
        self.knocked(now);
    }

    /// It was knocked at in vain.
    pub(super) fn knocked(&mut self, now: Instant) {
        self.knock_at = now + self.pause;
        self.pause = (self.pause * 2).min(KNOCKS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_sent_when_the_device_is_heard() {
        let now = Instant::now();
        let hold = Hold::new(now, now + 60 * SECOND);
        assert_eq!(hold.next(now, Some(now)), Step::Send);
        assert_eq!(hold.next(now + AWAKE, Some(now)), Step::Knock, "it sleeps again");
        assert_eq!(hold.next(now + 30 * SECOND, Some(now + 29 * SECOND)), Step::Send);
    }

    #[test]
    fn after_its_time_it_is_never_sent() {
        let now = Instant::now();
        let hold = Hold::new(now, now + SECOND);
        let late = now + SECOND;
        assert_eq!(hold.next(late, Some(late)), Step::Expired, "though the device is awake");
        assert_eq!(Hold::new(now, now).next(now, Some(now)), Step::Expired);
    }

    #[test]
    fn what_was_not_received_waits_on() {
        let now = Instant::now();
        let mut hold = Hold::new(now, now + 60 * SECOND);
        assert_eq!(hold.next(now, Some(now)), Step::Send);
        hold.missed(now + 8 * SECOND);
        let next = hold.next(now + 8 * SECOND, Some(now + 7 * SECOND));
        assert!(matches!(next, Step::Wait(_)), "what it said before says nothing: {next:?}");
        assert_eq!(hold.next(now + 20 * SECOND, Some(now + 20 * SECOND)), Step::Send);
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
