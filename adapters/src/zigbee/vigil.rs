//! Whether a device that was set up to report still does: pure.
//!
//! ```text
//!    a report: the first pause again
//!               ┌────┐
//!               ▼    │     the pause is over
//!             expecting ───────────────────▶ overdue
//!               ▲    ▲  a report, or it came back │
//!               │    └────────────────────────────┤
//!               └─────────────────────────────────┘
//!                 something else: it is set up again,
//!                   and the pause is twice as long
//! ```
//!
//! Always:
//!
//! - Only who is heard and does not report is set up again. Who is silent may be without power, and has forgotten nothing when it is back.
//! - One that never reports, whatever it is told, is set up again after pauses that grow to a day.

use std::time::{Duration, Instant};

/// The longest pause, of a device that does not have a longer one by itself.
const SELDOM: Duration = Duration::from_secs(86_400);

/// Watches one device.
#[derive(Debug)]
pub(super) struct Vigil {
    /// How long its reports may stay away; `None`: it has none.
    first: Option<Duration>,
    pause: Duration,
    since: Instant,
}

impl Vigil {
    /// Of a device that reports at least so often as this says.
    pub(super) fn new(now: Instant, first: Option<Duration>) -> Self {
        Self { first, pause: first.unwrap_or_default(), since: now }
    }

    /// It has reported something.
    pub(super) fn reported(&mut self, now: Instant) {
        (self.since, self.pause) = (now, self.first.unwrap_or_default());
    }

    /// It could not report, and can from now on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// Whether its reports have stayed away.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.first.is_some() && now.saturating_duration_since(self.since) >= self.pause
    }

    /// It is set up again for that.
    pub(super) fn again(&mut self, now: Instant) {
        self.since = now;
        self.pause = (self.pause * 2).min(SELDOM.max(self.first.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn one_that_never_reports_is_set_up_again_more_and_more_seldom() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now, Some(HOUR));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let began = now;
            while !vigil.is_overdue(now) {
                now += HOUR;
            }
            pauses.push(now.saturating_duration_since(began).as_secs() / 3600);
            vigil.again(now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 24, 24]);
        vigil.reported(now);
        assert!(!vigil.is_overdue(now + HOUR / 2) && vigil.is_overdue(now + HOUR), "it did report");
    }

    #[test]
    fn who_could_not_report_has_its_time_again() {
        let now = Instant::now();
        let mut vigil = Vigil::new(now, Some(HOUR));
        assert!(vigil.is_overdue(now + HOUR));
        vigil.begin(now + HOUR);
        assert!(!vigil.is_overdue(now + HOUR));
    }

    #[test]
    fn who_has_no_reports_is_never_overdue() {
        let now = Instant::now();
        assert!(!Vigil::new(now, None).is_overdue(now + 10_000 * HOUR));
    }

    /// Its reports may be days apart by themselves.
    #[test]
    fn the_longest_pause_is_no_shorter_than_the_first() {
        let now = Instant::now();
        let mut vigil = Vigil::new(now, Some(72 * HOUR));
        vigil.again(now);
        assert!(!vigil.is_overdue(now + 71 * HOUR) && vigil.is_overdue(now + 72 * HOUR));
    }
}
