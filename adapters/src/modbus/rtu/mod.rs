//! Modbus RTU, on a serial line or over TCP: a thread for each line, and the way to it from the bus' task.

pub(super) mod frame;
mod line;
mod port;
#[cfg(test)]
mod tests;
pub(super) mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;
use usp_mapping::mapping::SerialLine;
use usp_mapping::port::DeviceFault;

use crate::bus::ear::Deaf;
use crate::bus::{Medium, Outcome};
use crate::modbus::codec::{Answer, Ask};

use line::Line;
pub(super) use line::Timing;
pub(crate) use wire::Way;

/// What the thread is to do. It does one thing at a time and is given no second before it has answered the first.
enum Job {
    Open(oneshot::Sender<Result<(), String>>),
    Exchange(Ask, oneshot::Sender<Outcome<Answer>>),
}

/// One line, opened again after it was lost.
pub(crate) struct ModbusRtu {
    way: Way,
    timing: Timing,
    /// The thread ends when this does.
    jobs: Option<Sender<Job>>,
    up: Arc<AtomicBool>,
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
        Self { way, timing, jobs: None, up: Arc::default() }
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
        match if sent { done.await.ok() } else { None } {
            Some(outcome) => outcome,
            None => Outcome::Silent(DeviceFault::Unreachable(self.ended())),
        }
    }

    fn is_up(&mut self) -> bool {
        self.up.load(Ordering::Acquire)
    }
}

/// The thread of a line, until nobody wants anything of it any more.
fn serve(work: &Receiver<Job>, way: &Way, timing: Timing, up: &AtomicBool) {
    let mut line = None;
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
                let outcome = exchange(&mut line, &ask);
                up.store(line.is_some(), Ordering::Release);
                answer.send(outcome).ok();
            }
        }
    }
}

fn exchange(line: &mut Option<Line>, ask: &Ask) -> Outcome<Answer> {
    let Some(open) = line else {
        return Outcome::Silent(DeviceFault::Unreachable("not connected".to_owned()));
    };
    open.exchange(ask).unwrap_or_else(|error| {
        *line = None;
        Outcome::Silent(line::lost(&error))
    })
}
