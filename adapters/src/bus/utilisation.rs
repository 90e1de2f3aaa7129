//! Which share of the time a bus is in use.

use std::time::{Duration, Instant};

/// Over how long it is taken.
const WINDOW: Duration = Duration::from_secs(10);

/// The share of the last whole window, or of the present one while it is the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utilisation {
    began: Option<Instant>,
    busy: Duration,
    last: Option<f64>,
}

impl Utilisation {
    /// An exchange took this time.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn add(&mut self, from: Instant, to: Instant) {
        self.turn(from);
        self.busy += to.saturating_duration_since(from);
    }

    /// In percent.
    pub(crate) fn percent(&mut self, now: Instant) -> f64 {
        self.turn(now);
        let present =
            || self.began.map_or(0.0, |began| share(self.busy, now.saturating_duration_since(began)));
        self.last.unwrap_or_else(present)
    }

    fn turn(&mut self, now: Instant) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let passed = now.saturating_duration_since(began);
        if passed >= WINDOW {
            // With nothing to do for longer than a window, the last one was empty.
            self.last = Some(if passed >= 2 * WINDOW { 0.0 } else { share(self.busy, passed) });
            self.began = Some(now);
            self.busy = Duration::ZERO;
        }
    }
}

fn share(busy: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { (100.0 * busy.as_secs_f64() / of.as_secs_f64()).min(100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_of_the_last_window() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut share = Utilisation::default();
        assert!(share.percent(start) < 0.1);
        for second in 0..10 {
            share.add(at(1000 * second), at(1000 * second + 250));
        }
        assert!((share.percent(at(10_000)) - 25.0).abs() < 0.1);
        share.add(at(10_000), at(19_000));
        assert!((share.percent(at(19_000)) - 25.0).abs() < 0.1, "of the last whole window");
        assert!((share.percent(at(20_000)) - 90.0).abs() < 0.1);
        assert!(share.percent(at(60_000)) < 0.1, "long idle");
    }
}
