//! Growing pauses with jitter, so that the devices of a site do not come back in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A small source of jitter (xorshift64*). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// A sequence that is the same for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        // Zero is the one state that the generator never leaves.
        Self(seed | 1)
    }

    /// A sequence that differs between processes and buses.
    pub(crate) fn random() -> Self {
        Self::seeded(RandomState::new().hash_one("jitter"))
    }

    /// Any time up to `most`.
    pub(crate) fn within(&mut self, most: Duration) -> Duration {
        most.saturating_mul(self.permille()) / 1000
    }

    /// Evenly spread in 0 to 999.
    fn permille(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let spread = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        u32::try_from(spread % 1000).unwrap_or(0)
    }
}

/// Pauses that double from `min` to `max`, each a quarter shorter or longer by chance, never outside the two.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// A back-off that has not begun.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), attempts: 0 }
    }

    /// The pause before the next attempt.
    pub(crate) fn next(&mut self, jitter: &mut Jitter) -> Duration {
        let doubled =
            self.min.saturating_mul(1u32.checked_shl(self.attempts).unwrap_or(u32::MAX)).min(self.max);
        self.attempts = (self.attempts + 1).min(31);
        let factor = 750 + jitter.permille() / 2;
        (doubled.saturating_mul(factor) / 1000).clamp(self.min, self.max)
    }

    /// Starts again from `min`.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds_and_start_again() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut jitter = Jitter::seeded(7);
        let mut backoff = Backoff::new(min, max);
        let pauses: Vec<_> = (0..40).map(|_| backoff.next(&mut jitter)).collect();
        assert!(pauses.iter().all(|pause| (min..=max).contains(pause)));
        for (n, pause) in pauses.iter().take(6).enumerate() {
            let middle = 1000 << n;
            assert!((middle * 3 / 4..=middle * 5 / 4 + 1).contains(&pause.as_millis()), "{n}: {pause:?}");
        }
        assert!(pauses[10..].iter().all(|pause| *pause >= max * 3 / 4));
        backoff.reset();
        assert!(backoff.next(&mut jitter) <= min * 5 / 4);
    }

    #[test]
    fn two_buses_are_not_in_step() {
        let pauses = |seed| {
            let mut jitter = Jitter::seeded(seed);
            let mut backoff = Backoff::new(Duration::from_secs(8), Duration::from_secs(8000));
            (0..8).map(|_| backoff.next(&mut jitter)).collect::<Vec<_>>()
        };
        assert_ne!(pauses(3), pauses(0x9E37_79B9_7F4A_7C15));
        assert_eq!(pauses(3), pauses(3));
    }

    #[test]
    fn extreme_bounds_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(u64::MAX / 2), Duration::MAX);
        let mut jitter = Jitter::random();
        for _ in 0..50 {
            assert!(backoff.next(&mut jitter) >= Duration::from_secs(1));
        }
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next(&mut jitter), Duration::ZERO);
    }
}
