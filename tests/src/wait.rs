//! Waiting for conditions, with one patience for all.

use std::time::{Duration, Instant};

/// How long anything may take that is not timed. A busy machine is not a fault.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until there is something; its value.
///
/// Panics after [`PATIENCE`], naming what was waited for.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    eventually_ok(|| look().ok_or(()), |()| what.to_owned())
}

/// The same with looks that tell what they saw instead, for more to be said of a wait in vain than what it was for.
#[expect(clippy::disallowed_methods, reason = "the one pause between two looks at a condition")]
pub fn eventually_ok<T, E>(mut look: impl FnMut() -> Result<T, E>, say: impl Fn(E) -> String) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = match look() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(Instant::now() < until, "waited in vain: {}", say(seen));
        std::thread::sleep(PAUSE);
    }
}

/// The same with looks that wait themselves.
pub async fn eventually_async<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
