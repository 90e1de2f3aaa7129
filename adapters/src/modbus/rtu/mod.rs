//! Modbus RTU, on a serial line or over TCP: a thread for each line, and the way to it from the bus' task.

pub(super) mod frame;
mod line;
mod received;
#[cfg(test)]
mod tests;
mod trust;
pub(super) mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use usp_mapping::mapping::SerialLine;
use usp_mapping::port::DeviceFault;

use crate::bus::ear::Deaf;
use crate::bus::{Medium, Outcome};
use crate::modbus::codec::{Answer, Ask};

pub(super) use line::Timing;
use line::{Line, Memory};
pub(crate) use wire::Way;

/// What the thread is to do. It does one thing at a time and is given no second before it has answered the first.
enum Job {
    Open(oneshot::Sender<Result<(), String>>),
    Exchange(Ask, oneshot::Sender<Exchanged>),
}

/// How an exchange ended, and how long its unit should be left alone.
type Exchanged = (Outcome<Answer>, Option<Duration>);

/// One line, opened again after it was lost.
pub(crate) struct ModbusRtu {
    way: Way,
    timing: Timing,
    /// The thread ends when this does.
    jobs: Option<Sender<Job>>,
    up: Arc<AtomicBool>,
    rest: Option<Duration>,
}

impl ModbusRtu {
    /// A serial line, not opened yet.
    pub(crate) fn serial(line: SerialLine) -> Self {
        Self::new(Timing::of(&line), Way::Serial(line))
    }

    /// A device server, not connected yet. It keeps the silences on its line by itself.
    pub(crate) fn tcp(address: usp_mapping::mapping::BusAddress) -> Self {
        Self::new(Timing::default(), Way::Tcp(address))
    }

    fn new(timing: Timing, way: Way) -> Self {
        Self { way, timing, jobs: None, up: Arc::default(), rest: None }
    }

    fn jobs(&mut self) -> Result<&Sender<Job>, String> {
        if self.jobs.is_none() {
            let (jobs, work) = channel();
            let (way, timing, up) = (self.way.clone(), self.timing, Arc::clone(&self.up));
            let thread = thread::Builder::new().name("modbus-rtu".to_owned());
            thread
                .spawn(move || serve(&work, &way, timing, &up))
                .map_err(|error| format!("no thread for a serial line: {error}"))?;
            self.jobs = Some(jobs);
        }
        self.jobs.as_ref().ok_or_else(|| "no thread for a serial line".to_owned())
    }

    /// The thread has ended, which it does by itself only when it panics.
    fn ended(&mut self) -> String {
        self.jobs = None;
        self.up.store(false, Ordering::Release);
        "the thread of the line has ended".to_owned()
    }
}

impl Medium for ModbusRtu {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = Deaf;

    fn ear(&mut self) -> Deaf {
        Deaf
    }

    async fn connect(&mut self) -> Result<(), String> {
        let (answer, opened) = oneshot::channel();
        if self.jobs()?.send(Job::Open(answer)).is_err() {
            return Err(self.ended());
        }
        match opened.await {
            Ok(opened) => opened,
            Err(_) => Err(self.ended()),
        }
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        let (answer, done) = oneshot::channel();
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job::Exchange(ask, answer)).is_ok());
        if !sent {
            return Outcome::Unsent(DeviceFault::Unreachable(self.ended()));
        }
        match done.await {
            Ok((outcome, rest)) => {
                self.rest = rest;
                outcome
            }
            Err(_) => Outcome::Silent(DeviceFault::Unreachable(self.ended())),
        }
    }

    fn is_up(&mut self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    fn rest(&mut self) -> Option<Duration> {
        self.rest.take()
    }
}

/// The thread of a line, until nobody wants anything of it any more.
fn serve(work: &Receiver<Job>, way: &Way, timing: Timing, up: &AtomicBool) {
    let (mut line, mut memory) = (None, Memory::default());
    while let Ok(job) = work.recv() {
        // Whoever asked may have been stopped meanwhile.
        match job {
            Job::Open(answer) => {
                line = None;
                let opened = way.open().map(|wire| line = Some(Line::new(wire, timing)));
                up.store(line.is_some(), Ordering::Release);
                answer.send(opened).ok();
            }
            Job::Exchange(ask, answer) => {
                let exchanged = exchange(&mut line, &mut memory, &ask);
                // Over TCP a late reply goes with its connection, as a rule.
                let unsure = !matches!(
                    exchanged.0,
                    Outcome::Answered(_)
                        | Outcome::Taken(_)
                        | Outcome::Silent(DeviceFault::Unreachable(_))
                        | Outcome::Unsent(_)
                        | Outcome::Held(DeviceFault::Unreachable(_) | DeviceFault::Expired)
                );
                if unsure && matches!(way, Way::Tcp(_)) {
                    line = None;
                }
                up.store(line.is_some(), Ordering::Release);
                answer.send(exchanged).ok();
            }
        }
    }
}

fn exchange(line: &mut Option<Line>, memory: &mut Memory, ask: &Ask) -> Exchanged {
    let Some(open) = line else {
        return (Outcome::Unsent(DeviceFault::Unreachable("not connected".to_owned())), None);
    };
    match open.exchange(memory, ask) {
        Ok(outcome) => (outcome, open.rest()),
        Err(error) => {
            let lost = if open.has_sent() { Outcome::Silent } else { Outcome::Unsent };
            *line = None;
            // What is plugged in next may be another adapter.
            memory.echoes = None;
            (lost(line::lost(&error)), None)
        }
    }
}
