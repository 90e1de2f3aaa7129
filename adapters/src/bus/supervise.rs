//! Keeps a bus served: restarts its worker when it panics, and answers its calls in the meantime.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::{self, Instant};
use usp_mapping::port::{AdapterReport, DeviceFault};

use crate::FromAdapter;
use crate::bus::Ends;

#[cfg(any(feature = "bus", test))]
pub(crate) use restart::supervise;

/// Refuses all calls of a bus until it is stopped, or until `end`.
pub(crate) async fn refuse_until(ends: &mut Ends, cause: &str, end: Option<Instant>) {
    let fault = DeviceFault::Unreachable(cause.to_owned());
    if !ends.shared {
        ends.counters.down(cause);
    }
    report_offline(ends, &fault);
    let end = end.unwrap_or_else(|| Instant::now() + Duration::from_secs(100 * 365 * 86_400));
    loop {
        tokio::select! {
            biased;
            () = ends.stop.cancelled() => return,
            call = ends.inbox.recv() => match call {
                Some((_, call)) => ends.outlet.refuse(call.id, fault.clone()),
                None => return,
            },
            changed = ends.plan.changed() => match changed {
                Ok(()) => report_offline(ends, &fault),
                Err(_) => return,
            },
            () = time::sleep_until(end) => return,
        }
    }
}

fn report_offline(ends: &Ends, fault: &DeviceFault) {
    for device in &ends.plan.borrow().devices {
        let (device, online) = (device.id.clone(), Err(fault.clone()));
        ends.outlet.post(FromAdapter::Report(AdapterReport::Online { device, online }));
    }
}

/// The end of a bus: everything that still waits is answered.
pub(crate) fn farewell(ends: &mut Ends) {
    ends.inbox.close();
    // Calls that were not taken in are among the open ones.
    ends.outlet.refuse_all(&DeviceFault::Stopping);
}

#[cfg(any(feature = "bus", test))]
mod restart {
    use std::any::Any;
    use std::panic::AssertUnwindSafe;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::Instant;
    use usp_mapping::port::DeviceFault;

    use crate::bus::backoff::{Backoff, Jitter};
    use crate::bus::ear::Ear;
    use crate::bus::statistics::count;
    use crate::bus::worker;
    use crate::bus::{Ends, Medium, Model};

    use super::{farewell, refuse_until};

    /// Pauses before a worker that panicked is started again.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

    /// A worker that lasted this long is healthy: its next pause is the shortest again.
    const HEALTHY: Duration = Duration::from_secs(60);

    const CAUSE: &str = "an internal error stopped its bus, which is being restarted";

    /// Runs a bus until it is stopped, with a new medium after each panic.
    pub(crate) async fn supervise<M, D>(mut ends: Ends, mut medium: impl FnMut(&Ends) -> D)
    where
        M: Model,
        D: Medium<Ask = M::Ask, Answer = M::Answer, Ear: Ear<Word = M::Word>>,
    {
        let (mut backoff, mut jitter) = (Backoff::new(PAUSES.0, PAUSES.1), Jitter::random());
        loop {
            let started_at = Instant::now();
            let mut connection = medium(&ends);
            let run = AssertUnwindSafe(worker::run::<M, D>(&mut ends, &mut connection));
            let Err(panic) = run.catch_unwind().await else { break };
            drop(connection);
            if started_at.elapsed() >= HEALTHY {
                backoff.reset();
            }
            let pause = backoff.next(&mut jitter);
            record(&ends, panic.as_ref(), pause);
            // What of it was sent is not known.
            ends.outlet.refuse_all(&DeviceFault::Unsettled(CAUSE.to_owned()));
            refuse_until(&mut ends, CAUSE, Some(Instant::now() + pause)).await;
            if ends.stop.is_cancelled() {
                break;
            }
        }
        farewell(&mut ends);
    }

    fn record(ends: &Ends, panic: &(dyn Any + Send), pause: Duration) {
        count(&ends.counters.restarts);
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let bus = &ends.plan.borrow().bus.name;
        tracing::error!(%bus, panic = %text, ?pause, "the worker of a bus panicked and is restarted");
    }
}
