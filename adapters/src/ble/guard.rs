//! Begins anew what ends in a panic: without that it would be served no more, and nobody would know.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::bus::backoff::{Backoff, Jitter};

/// Pauses before it is begun anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Does some work until it is done or `stop` is. After each panic `told` is called.
pub(super) async fn guarded<W: Future<Output = ()>>(
    stop: &CancellationToken,
    work: impl Fn() -> W,
    told: impl Fn(),
) {
    let (mut backoff, mut jitter) = (Backoff::new(PAUSES.0, PAUSES.1), Jitter::random());
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        told();
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(backoff.next(&mut jitter)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_is_begun_anew_and_told_until_it_is_done_or_to_stop() {
        let (begun, told, stop) = (Cell::new(0), Cell::new(0), CancellationToken::new());
        let until = |times: u32| {
            let begun = &begun;
            move || async move {
                begun.set(begun.get() + 1);
                assert!(begun.get() >= times, "a panic that is meant");
            }
        };
        guarded(&stop, until(3), || told.set(told.get() + 1)).await;
        assert_eq!((begun.get(), told.get()), (3, 2));
        let stops = || {
            told.set(told.get() + 1);
            stop.cancel();
        };
        guarded(&stop, until(100), stops).await;
        assert_eq!((begun.get(), told.get()), (4, 3));
    }
}
