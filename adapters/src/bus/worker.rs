//! The task of one bus, or of one device of a shared link: drives a [`Scheduler`] over a [`Medium`].

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::{self, Instant as TokioInstant};
use usp_mapping::port::DeviceFault;

use crate::bus::backoff::Jitter;
use crate::bus::ear::{Ear, Mark};
use crate::bus::schedule::{Command, Scheduler};
use crate::bus::statistics::count;
use crate::bus::{BusPlan, Ends, Medium, Model, Outcome};

/// Why a worker ended: it was told to, or the core is gone.
#[derive(Debug)]
struct Stopped;

/// What happened while something was waited for.
enum Event<T> {
    /// It is there.
    Done(T),
    /// Something else, which has been seen to.
    Other,
}

/// Runs a bus until it is told to stop, or the core is gone.
pub(crate) async fn run<M, D>(ends: &mut Ends, medium: &mut D)
where
    M: Model,
    D: Medium<Ask = M::Ask, Answer = M::Answer, Ear: Ear<Word = M::Word>>,
{
    let mut scheduler = Scheduler::<M>::new(Arc::clone(&ends.counters), Jitter::random(), D::SPREAD);
    configure(&mut scheduler, &mut ends.plan);
    let mut worker = Worker { ends, scheduler, ear: medium.ear() };
    // The only way out is being stopped.
    let Err(Stopped) = worker.work(medium).await;
}

struct Worker<'a, M: Model, E> {
    ends: &'a mut Ends,
    scheduler: Scheduler<M>,
    ear: E,
}

impl<M: Model, E: Ear<Word = M::Word>> Worker<'_, M, E> {
    async fn work<D>(&mut self, medium: &mut D) -> Result<std::convert::Infallible, Stopped>
    where
        D: Medium<Ask = M::Ask, Answer = M::Answer>,
    {
        loop {
            // The peer may have closed, or said something unasked, while the line was idle.
            if !medium.is_up() {
                self.scheduler.handle_disconnect();
            }
            self.send();
            let command = self.scheduler.poll_command(now());
            medium.held(self.scheduler.held());
            match command {
                Some(Command::Connect) => {
                    let connected = self.during(medium.connect()).await?;
                    self.count_connect(&connected);
                    self.scheduler.handle_connect(now(), connected);
                }
                Some(Command::Exchange(ask)) => {
                    let began = now();
                    let Some(outcome) = self.unless_pressed::<D>(medium.exchange(ask)).await? else {
                        self.scheduler.handle_yield();
                        continue;
                    };
                    self.catch_up(medium.answered());
                    let up = medium.is_up();
                    self.count_exchange(began, up, &outcome);
                    if let Some(rest) = medium.rest() {
                        self.scheduler.handle_rest(now() + rest);
                    }
                    self.scheduler.handle_exchange(now(), outcome, up);
                }
                None => {
                    let mut idle = std::pin::pin!(std::future::pending::<()>());
                    self.event(idle.as_mut()).await?;
                }
            }
        }
    }

    /// What was said before an answer came is older than the answer, and is taken in before it.
    fn catch_up(&mut self, answered: Mark) {
        while let Some(said) = self.ear.hear_before(answered) {
            self.scheduler.handle_said(now(), said);
        }
    }

    fn count_exchange<A>(&self, began: Instant, up: bool, outcome: &Outcome<A>) {
        if self.ends.shared {
            return;
        }
        let counters = &self.ends.counters;
        counters.busy(began, now());
        match outcome {
            _ if up => counters.up(),
            Outcome::Silent(DeviceFault::Unreachable(why))
            | Outcome::Unsent(DeviceFault::Unreachable(why))
            | Outcome::Held(DeviceFault::Unreachable(why)) => counters.down(why),
            Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault) => {
                counters.down(&format!("the connection was given up: {fault}"))
            }
            Outcome::Answered(_) | Outcome::Taken(_) => counters.down("the connection has ended"),
        }
    }

    /// Sends what the core has room for at once: waiting for it costs more than most messages.
    fn send(&mut self) {
        while self.scheduler.has_output() {
            let Some(room) = self.ends.outlet.room_now() else { return };
            if let Some(message) = self.scheduler.poll_output() {
                room.send(message);
            }
        }
    }

    fn count_connect(&self, connected: &Result<(), String>) {
        if self.ends.shared {
            return;
        }
        let counters = &self.ends.counters;
        match connected {
            Ok(()) => {
                count(&counters.connects);
                counters.up();
            }
            Err(cause) => {
                count(&counters.failed_connects);
                counters.down(cause);
                tracing::debug!(bus = %self.ends.plan.borrow().bus.name, %cause, "no connection");
            }
        }
    }

    /// Waits for `work` and sees to everything else meanwhile.
    async fn during<F: Future>(&mut self, work: F) -> Result<F::Output, Stopped> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Event::Done(output) = self.event(work.as_mut()).await? {
                return Ok(output);
            }
        }
    }

    /// As [`Worker::during`], but for an exchange that gives way to something more urgent: `None`.
    async fn unless_pressed<D: Medium>(
        &mut self,
        work: impl Future<Output = Outcome<D::Answer>>,
    ) -> Result<Option<Outcome<D::Answer>>, Stopped> {
        let mut work = std::pin::pin!(work);
        loop {
            match self.event(work.as_mut()).await? {
                Event::Done(outcome) => return Ok(Some(outcome)),
                Event::Other if D::YIELDS && self.scheduler.is_pressed(now()) => return Ok(None),
                Event::Other => {}
            }
        }
    }

    async fn event<F: Future>(&mut self, work: std::pin::Pin<&mut F>) -> Result<Event<F::Output>, Stopped> {
        let Self { ends, scheduler, ear } = self;
        let Ends { inbox, plan, outlet, stop, .. } = &mut **ends;
        let wake = scheduler.poll_timeout(now());
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Stopped),
            output = work => return Ok(Event::Done(output)),
            changed = plan.changed() => {
                changed.map_err(|_| Stopped)?;
                configure(scheduler, plan);
            }
            room = outlet.room(), if scheduler.has_output() => {
                let room = room.ok_or(Stopped)?;
                if let Some(message) = scheduler.poll_output() {
                    room.send(message);
                }
            }
            call = inbox.recv(), if !scheduler.is_congested() => {
                let (received, call) = call.ok_or(Stopped)?;
                // A call may be for a device that came with a change not yet seen.
                if plan.has_changed().unwrap_or(false) {
                    configure(scheduler, plan);
                }
                scheduler.handle_call(now(), received, call);
            }
            () = time::sleep_until(wake_at(wake)), if wake.is_some() => scheduler.handle_timeout(now()),
            // Last: whoever says very much keeps nothing else waiting.
            said = ear.hear() => scheduler.handle_said(now(), said),
        }
        Ok(Event::Other)
    }
}

fn configure<M: Model>(scheduler: &mut Scheduler<M>, plan: &mut watch::Receiver<Arc<BusPlan>>) {
    let plan = Arc::clone(&plan.borrow_and_update());
    scheduler.configure(now(), &plan.devices);
}

/// The time of the runtime, so that it can be a virtual one.
fn now() -> Instant {
    TokioInstant::now().into_std()
}

fn wake_at(at: Option<Instant>) -> TokioInstant {
    at.map_or_else(TokioInstant::now, TokioInstant::from_std)
}
