//! When all devices are read again because words of theirs may be lost between the coordinator and the hub: pure.
//!
//! What was damaged or dropped there does not say whose word it was, and a device whose report was acknowledged does not say it again. So all is read
//! again: once nothing was damaged for a moment, at once nevertheless where that does not end, and not more often than a network bears.
//!
//! ```text
//!         damaged             calm for a moment, or long enough
//! whole ───────────▶ damaged ─────────────────────────────────▶ whole: all are read
//! ```

use std::time::{Duration, Instant};

/// Bad moments of a line are short: all that is lost in one is read once.
const CALM: Duration = Duration::from_secs(2);

/// It is not put off for longer by what is damaged meanwhile.
const LONGEST: Duration = Duration::from_secs(10);

/// Least time between two such rounds.
const BETWEEN: Duration = Duration::from_secs(60);

/// Words of devices may be lost.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    /// When that began, and the last time that something was.
    damaged: Option<(Instant, Instant)>,
    /// The last round.
    began: Option<Instant>,
}

impl Recheck {
    /// Something is lost.
    pub(super) fn damaged(&mut self, now: Instant) {
        let (_, last) = self.damaged.get_or_insert((now, now));
        *last = now;
    }

    /// When all are to be read again.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.damaged?;
        let at = (last + CALM).min(first + LONGEST);
        Some(self.began.map_or(at, |began| at.max(began + BETWEEN)))
    }

    /// They are.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.damaged, self.began) = (None, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn all_of_a_bad_moment_is_one_round() {
        let (mut recheck, now) = (Recheck::default(), Instant::now());
        assert_eq!(recheck.due(), None);
        recheck.damaged(now);
        recheck.damaged(now + SECOND);
        assert_eq!(recheck.due(), Some(now + 3 * SECOND));
        recheck.begin(now + 3 * SECOND);
        assert_eq!(recheck.due(), None);
    }

    /// A frame a second is damaged, for ever.
    #[test]
    fn a_line_that_stays_bad_has_rounds_that_are_neither_put_off_nor_a_storm() {
        let (mut recheck, start) = (Recheck::default(), Instant::now());
        let mut rounds = Vec::new();
        for second in 0..300 {
            let now = start + second * SECOND;
            if recheck.due().is_some_and(|at| at <= now) {
                recheck.begin(now);
                rounds.push(second);
            }
            recheck.damaged(now);
        }
        assert_eq!(rounds, [10, 70, 130, 190, 250]);
    }
}
