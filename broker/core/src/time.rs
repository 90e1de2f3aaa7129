//! Time as the core sees it: always an input, never asked for.

use std::time::Duration;

/// A point on a clock that never jumps, counted from an arbitrary start (the process' own).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mono(pub Duration);

impl std::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Mono {
    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wall(pub i64);

impl Now {
    /// The wall time, if it can be believed.
    pub fn known_wall(self) -> Option<Wall> {
        self.wall_is_true.then_some(self.wall)
    }
}

/// The two clocks at the moment of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub monotonic: Mono,
    /// For what people read: LastChange, CreationDate, TimeToLive.
    pub wall: Wall,
    /// Whether `wall` is known to be right (false on a hub that has not reached a time server yet).
    pub wall_is_true: bool,
}
