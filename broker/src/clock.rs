//! Both clocks, read at the edge and given to the core.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use usp_core::time::{Mono, Now, Wall};

/// 2026-01-01T00:00:00Z. A hub without a battery starts in 1970 or at its image's date; no right clock shows less than this.
const PLAUSIBLE_MS: i64 = 1_767_225_600_000;

/// Counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = wall_ms();
        Now { monotonic: Mono(self.start.elapsed()), wall: Wall(wall), wall_is_true: wall >= PLAUSIBLE_MS }
    }

    /// When `at` is, for a timer.
    pub(crate) fn instant(&self, at: Mono) -> Instant {
        self.start + at.0
    }
}

fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}
