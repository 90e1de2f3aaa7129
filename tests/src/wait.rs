//! Waiting for conditions, with one patience for all.

use std::time::{Duration, Instant};

/// How long anything may take that is not timed. A busy machine is not a fault.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until there is something; its value.
///
/// Panics after [`PATIENCE`], naming what was waited for.
#[expect(clippy::disallowed_methods, reason = "the one pause between two looks at a condition")]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
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
