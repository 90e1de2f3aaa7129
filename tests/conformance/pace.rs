//! Whether the Agent does things when it should.

use std::time::{Duration, Instant};

/// A machine may be busy: what comes later than it should, by less than this, was not late on purpose.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// When something last happened. A busy machine shows it late, and whatever comes next seems early then; so what is too
/// early is told from the moment before which it cannot have happened.
pub(crate) struct Pace {
    seen: Instant,
    earliest: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { seen: now, earliest: now }
    }

    /// The test has done something, and began at this moment.
    pub(crate) fn acted(&mut self, begun: Instant) {
        *self = Self { seen: Instant::now(), earliest: begun };
    }

    /// How long something may be waited for.
    pub(crate) fn patience(within: (f64, f64)) -> Duration {
        Duration::from_secs_f64(within.1 + 1.0) + GRACE
    }

    /// Something came, `late` by so many seconds through a fault; it should have come in this range of seconds after
    /// what happened before.
    pub(crate) fn came(&mut self, at: Instant, late: f64, within: Option<(f64, f64)>) -> Result<(), String> {
        let since = |then| at.saturating_duration_since(then).as_secs_f64() + late;
        let (least, most) = (since(self.seen), since(self.earliest));
        self.seen = at;
        let Some((from, to)) = within else { return Ok(()) };
        self.earliest += Duration::from_secs_f64(from);
        if most < from || least > to + GRACE.as_secs_f64() {
            return Err(format!("came after {least:.2} to {most:.2} s, not within {from}..{to}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_late_makes_nothing_early_and_what_is_early_is_noticed() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs_f64(seconds);
        let pace = || Pace { seen: begun, earliest: begun };
        let mut busy = pace();
        busy.came(after(0.3), 0.0, None).unwrap();
        busy.came(after(1.05), 0.0, Some((0.9, 2.0))).unwrap();
        busy.came(after(2.85), 0.0, Some((1.9, 4.0))).unwrap();
        busy.came(after(9.1), 0.0, Some((1.9, 4.0))).unwrap();
        assert!(pace().came(after(0.8), 0.0, Some((0.9, 2.0))).is_err());
        assert!(pace().came(after(1.0), 5.0, Some((0.9, 2.0))).is_err());
        let mut hasty = pace();
        hasty.came(after(1.0), 0.0, Some((0.9, 2.0))).unwrap();
        assert!(hasty.came(after(1.7), 0.0, Some((0.9, 2.0))).is_err());
    }
}
