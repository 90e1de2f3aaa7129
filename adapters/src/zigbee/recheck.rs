//! What devices have said is in doubt, and is read again, because words of theirs may be lost between the coordinator and the hub: pure.
//!
//! What was damaged or dropped there does not say whose word it was, and a device whose report was acknowledged does not say it again. That what was
//! said may not be so any more is told at once, since it costs nothing on the air. All is read again once nothing got lost for a moment, nevertheless
//! where that does not end, and not more often than a network bears.
//!
//! ```text
//!         lost: doubt is told        calm for a moment, or long enough
//! whole ────────────────────▶ lossy ─────────────────────────────────▶ whole: all are read
//! ```

use std::time::{Duration, Instant};

use super::ncp::Loss;

/// Bad moments of a line are short: all that is lost in one is read once.
const CALM: Duration = Duration::from_secs(2);

/// It is not put off for longer by what gets lost meanwhile.
const LONGEST: Duration = Duration::from_secs(10);

/// Least time between two such rounds.
const BETWEEN: Duration = Duration::from_secs(60);

/// While nobody says anything doubt is not told again before.
const DOUBT: Duration = Duration::from_secs(1);

/// Words of devices may be lost.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    lossy: Option<Lossy>,
    /// How what is not told yet got lost.
    untold: Option<Loss>,
    /// When that was told last.
    told: Option<Instant>,
    /// The last round.
    began: Option<Instant>,
}

/// What is to be read for.
#[derive(Debug)]
struct Lossy {
    since: Instant,
    last: Instant,
    how: Loss,
}

impl Recheck {
    /// Something is lost.
    pub(super) fn lost(&mut self, now: Instant, how: Loss) {
        self.untold = Some(self.untold.map_or(how, |before| before.and(how)));
        let lossy = self.lossy.get_or_insert(Lossy { since: now, last: now, how });
        (lossy.last, lossy.how) = (now, lossy.how.and(how));
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Option<Instant> {
        let doubt = self.lossy.as_ref().filter(|_| self.untold.is_some()).map(|lossy| {
            let again = self.told.map(|told| told + DOUBT);
            again.map_or(lossy.last, |again| again.max(lossy.last))
        });
        doubt.into_iter().chain(self.round()).min()
    }

    /// When all are to be read again.
    fn round(&self) -> Option<Instant> {
        let lossy = self.lossy.as_ref()?;
        let at = (lossy.last + CALM).min(lossy.since + LONGEST);
        Some(self.began.map_or(at, |began| at.max(began + BETWEEN)))
    }

    /// What was said until now is in doubt: how something got lost. `None`: that was told.
    pub(super) fn doubt(&mut self, now: Instant) -> Option<Loss> {
        let how = self.untold.take()?;
        self.told = Some(now);
        Some(how)
    }

    /// All are read now: how something got lost. `None`: it is not time for that.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Loss> {
        self.round().filter(|at| *at <= now)?;
        self.began = Some(now);
        self.lossy.take().map(|lossy| lossy.how)
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
        recheck.lost(now, Loss::Damaged);
        recheck.lost(now + SECOND, Loss::Damaged);
        assert_eq!(recheck.doubt(now + SECOND), Some(Loss::Damaged));
        assert_eq!(recheck.due(), Some(now + 3 * SECOND));
        assert_eq!(recheck.begin(now + 2 * SECOND), None);
        assert_eq!(recheck.begin(now + 3 * SECOND), Some(Loss::Damaged));
        assert_eq!(recheck.due(), None);
    }

    /// A frame a second is damaged, for ever.
    #[test]
    fn a_line_that_stays_bad_has_rounds_that_are_neither_put_off_nor_a_storm() {
        let (mut recheck, start) = (Recheck::default(), Instant::now());
        let mut rounds = Vec::new();
        for second in 0..300 {
            let now = start + second * SECOND;
            if recheck.begin(now).is_some() {
                rounds.push(second);
            }
            recheck.lost(now, Loss::Damaged);
        }
        assert_eq!(rounds, [10, 70, 130, 190, 250]);
    }

    #[test]
    fn doubt_is_told_at_once_and_not_for_each_frame() {
        let (mut recheck, now) = (Recheck::default(), Instant::now());
        recheck.lost(now, Loss::Damaged);
        assert_eq!(recheck.due(), Some(now));
        assert_eq!(recheck.doubt(now), Some(Loss::Damaged));
        assert_eq!(recheck.doubt(now), None);
        recheck.lost(now + SECOND / 10, Loss::Damaged);
        recheck.lost(now + SECOND / 5, Loss::Dropped);
        assert_eq!(recheck.due(), Some(now + SECOND));
        assert_eq!(recheck.doubt(now + SECOND), Some(Loss::Either));
        // Between two rounds as well.
        assert!(recheck.begin(now + 3 * SECOND).is_some());
        recheck.lost(now + 4 * SECOND, Loss::Dropped);
        assert_eq!(recheck.due(), Some(now + 4 * SECOND));
        assert_eq!(recheck.doubt(now + 4 * SECOND), Some(Loss::Dropped));
        assert_eq!(recheck.due(), Some(now + 63 * SECOND));
    }
}
