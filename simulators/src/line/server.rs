//! Runs one device on a line, in a thread of its own, with faults.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ends::Ends;
use crate::mischief::{LineFault, Mischief, Order};
use crate::rng::Rng;

use super::LineDevice;

/// How long a device says nothing when it starts anew.
const REBOOT: Duration = Duration::from_millis(300);

/// Most bytes of a request that does not end.
const MAX_REQUEST: usize = 4096;

/// Requests that are remembered.
const LOG: usize = 256;

/// Where a device is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePlace {
    /// On a pseudo-terminal; with a name of its own for it, as /dev/serial/by-id has them.
    Terminal(Option<PathBuf>),
    /// Behind a TCP port; 0 is any free one.
    Tcp(SocketAddr),
}

/// A running device. Dropping it ends it: whoever has its line open sees it hang up.
pub struct LineServer {
    shared: Arc<Shared>,
    path: Option<PathBuf>,
    address: Option<SocketAddr>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    device: Mutex<Box<dyn LineDevice>>,
    faults: Mutex<Mischief<LineFault>>,
    /// The requests that came.
    seen: Mutex<Vec<Vec<u8>>>,
    /// It says something by itself at once.
    hurry: AtomicBool,
    stop: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LineServer {
    /// Starts a device.
    ///
    /// Errors: there is no pseudo-terminal to be had, or the port is taken.
    pub fn start(device: impl LineDevice, place: &LinePlace) -> io::Result<Self> {
        let ends = match place {
            LinePlace::Terminal(name) => Ends::terminal(name.as_deref())?,
            LinePlace::Tcp(address) => Ends::tcp(*address)?,
        };
        let (path, address) = ends.place();
        let shared = Arc::new(Shared {
            device: Mutex::new(Box::new(device)),
            faults: Mutex::default(),
            seen: Mutex::default(),
            hurry: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut running = Running {
            ends,
            shared: Arc::clone(&shared),
            heard: Vec::new(),
            told_at: None,
            quiet_until: None,
            rng: Rng::named(1, "line"),
        };
        let thread =
            thread::Builder::new().name("simulated-line".to_owned()).spawn(move || running.serve())?;
        Ok(Self { shared, path, address, thread: Some(thread) })
    }

    /// The device file, or the name that leads to it; empty over TCP.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// The TCP address; `None` on a pseudo-terminal.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Switches a fault on.
    pub fn fault(&self, order: impl Into<Order<LineFault>>) {
        let order = order.into();
        if order.fault == LineFault::Reboot {
            locked(&self.shared.device).reboot();
        }
        locked(&self.shared.faults).start(order);
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        locked(&self.shared.faults).clear();
    }

    /// What is switched on.
    pub fn faults(&self) -> Vec<String> {
        locked(&self.shared.faults).active().iter().map(ToString::to_string).collect()
    }

    /// A value of the device, as text.
    pub fn get(&self, name: &str) -> Option<String> {
        locked(&self.shared.device).get(name)
    }

    /// Holds a value; what the device says by itself it says at once.
    ///
    /// Errors: there is none of this name, or it cannot be that.
    pub fn set(&self, name: &str, value: &str) -> Result<(), String> {
        locked(&self.shared.device).set(name, value)?;
        self.shared.hurry.store(true, Ordering::Release);
        Ok(())
    }

    /// All values.
    pub fn show(&self) -> Vec<(String, String)> {
        let device = locked(&self.shared.device);
        let value = |name: String| device.get(&name).map(|value| (name, value));
        device.names().into_iter().filter_map(value).collect()
    }

    /// The newest requests, as they came, the oldest first.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        locked(&self.shared.seen).clone()
    }
}

impl Drop for LineServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It looks up a hundred times a second.
            thread.join().ok();
        }
    }
}

struct Running {
    ends: Ends,
    shared: Arc<Shared>,
    heard: Vec<u8>,
    told_at: Option<Instant>,
    quiet_until: Option<Instant>,
    rng: Rng,
}

impl Running {
    fn serve(&mut self) {
        let mut buffer = [0; 512];
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.has(|fault| *fault == LineFault::Unplugged) {
                self.ends.unplug();
                self.heard.clear();
            } else {
                // A name that somebody else took meanwhile shows in nobody finding it.
                self.ends.plug().ok();
            }
            let count = self.ends.read(&mut buffer);
            self.heard.extend(buffer.iter().take(count));
            if self.happen(|fault| *fault == LineFault::Reboot).is_some() {
                self.quiet_until = Some(Instant::now() + REBOOT);
                self.forget(&LineFault::Reboot);
            }
            if self.quiet_until.is_some_and(|at| Instant::now() < at) {
                self.heard.clear();
                continue;
            }
            self.answer();
            self.tell();
        }
    }

    fn has(&self, wanted: impl Fn(&LineFault) -> bool) -> bool {
        locked(&self.shared.faults).has(wanted)
    }

    fn happen(&self, wanted: impl Fn(&LineFault) -> bool) -> Option<LineFault> {
        locked(&self.shared.faults).happen(wanted)
    }

    /// What happens once is over.
    fn forget(&self, fault: &LineFault) {
        let mut faults = locked(&self.shared.faults);
        let others: Vec<_> = faults.active().iter().filter(|order| order.fault != *fault).cloned().collect();
        faults.clear();
        others.into_iter().for_each(|order| faults.start(order));
    }

    fn answer(&mut self) {
        loop {
            let request = locked(&self.shared.device).request(&mut self.heard);
            let Some(request) = request else { break };
            {
                let mut seen = locked(&self.shared.seen);
                seen.push(request.clone());
                let old = seen.len().saturating_sub(LOG);
                seen.drain(..old);
            }
            if self.happen(|fault| *fault == LineFault::Silent).is_some() {
                continue;
            }
            if self.happen(|fault| *fault == LineFault::Echo).is_some() {
                self.ends.write(&request);
            }
            let frozen = self.happen(|fault| *fault == LineFault::Frozen).is_some();
            let refusal = locked(&self.shared.device).refusal();
            let answer = match self.happen(|fault| *fault == LineFault::Refuse).and(refusal) {
                Some(refusal) => Some(refusal),
                None => locked(&self.shared.device).answer(&request, frozen),
            };
            if self.happen(|fault| *fault == LineFault::Unanswered).is_some() {
                continue;
            }
            if let Some(answer) = answer {
                if let Some(LineFault::Slow(time)) = self.happen(|fault| matches!(fault, LineFault::Slow(_)))
                {
                    pause(time);
                }
                self.say(answer);
            }
        }
        if self.heard.len() > MAX_REQUEST {
            self.heard.clear();
        }
    }

    fn tell(&mut self) {
        let every = locked(&self.shared.device).every();
        let Some(every) = every else { return };
        let hurry = self.shared.hurry.swap(false, Ordering::AcqRel);
        let since = self.told_at.map(|at| at.elapsed());
        if !hurry && since.is_some_and(|since| since < every) {
            return;
        }
        self.told_at = Some(Instant::now());
        let telegrams = locked(&self.shared.device).telegrams(since.unwrap_or(every));
        if self.has(|fault| *fault == LineFault::Silent) {
            return;
        }
        telegrams.into_iter().for_each(|telegram| self.say(telegram));
    }

    fn say(&mut self, mut frame: Vec<u8>) {
        if self.happen(|fault| *fault == LineFault::Checksum).is_some() {
            frame = locked(&self.shared.device).spoiled(frame);
        }
        if self.happen(|fault| *fault == LineFault::Garbled).is_some() {
            for _ in 0..3 {
                let at = self.rng.below(frame.len().max(1) as u64) as usize;
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 0x15;
                }
            }
        }
        if self.happen(|fault| *fault == LineFault::Half).is_some() {
            frame.truncate(frame.len() / 2);
        }
        if self.happen(|fault| *fault == LineFault::Noise).is_some() {
            self.ends.write(&[0x00, 0xfe, b'~', 0x80]);
        }
        self.ends.write(&frame);
    }
}

#[expect(clippy::disallowed_methods, reason = "a line's thread has nothing else to do")]
fn pause(time: Duration) {
    thread::sleep(time);
}
