//! A serial line with slaves on it, on a pseudo-terminal, with true timing: a byte takes as long as its bits, a slave waits
//! for t3.5 and its own delay before it answers, and in strict mode a request that breaks the silence before it is not
//! heard.
//!
//! A pseudo-terminal hands bytes over at once. Its first byte therefore says when a request began, and how long the request
//! took on the line is worked out; an answer is handed over as slowly as it would arrive.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serial2::SerialPort;

use crate::mischief::{Fault, Order};

use super::device::ModbusDevice;
use super::log::Seen;
use super::respond::{Framing, Step};
use super::rtu;
use super::server::{ModbusHandle, Shared};

/// How often the end is looked for while nothing happens.
const LOOK_UP: Duration = Duration::from_millis(20);

/// Longest frame (MODBUS over Serial Line V1.02, section 2.5.1).
const MAX_FRAME: usize = 256;

/// The runtime of threads is this coarse; what is left is waited for awake.
const COARSE: Duration = Duration::from_micros(150);

/// An answer is handed over in pieces that take this long, as the buffer of a port does it.
const PIECE: Duration = Duration::from_millis(1);

/// How a line is set, and how quick its slaves are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits a second.
    pub baud: u32,
    /// Bits of a character: 10 without parity, 11 with.
    pub bits_per_character: u32,
    /// How long a slave thinks before it answers.
    pub delay: Duration,
    /// Requests before t3.5 of silence are not heard.
    pub strict: bool,
}

impl LineSettings {
    /// How long so many characters take.
    pub fn characters(&self, count: usize) -> Duration {
        let bits = count as u64 * u64::from(self.bits_per_character);
        Duration::from_nanos(bits * 1_000_000_000 / u64::from(self.baud.max(1)))
    }

    /// t3.5: fixed above 19200 bits a second.
    pub fn silence(&self) -> Duration {
        if self.baud > 19_200 { Duration::from_micros(1750) } else { self.characters(7) / 2 }
    }
}

/// A running line. Dropping it ends it: whoever has its terminal open sees it hang up.
pub struct ModbusLine {
    path: PathBuf,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Counters {
    broken: AtomicU64,
    busy_ns: AtomicU64,
}

impl ModbusLine {
    /// Starts a line with these units, whose worlds stand still when `still`.
    ///
    /// Errors: there is no pseudo-terminal to be had.
    pub fn open(
        settings: LineSettings,
        units: impl IntoIterator<Item = (u8, ModbusDevice)>,
        still: bool,
    ) -> io::Result<Self> {
        let (port, terminal) = SerialPort::pair()?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd()))?;
        let clock = (!still).then(tokio::time::Instant::now);
        let shared = Arc::new(Shared::new(units, clock));
        let counters = Arc::<Counters>::default();
        let mut line = Line {
            port,
            // Held open, so that a client may close it and open it again.
            _terminal: terminal,
            settings,
            shared: Arc::clone(&shared),
            counters: Arc::clone(&counters),
            quiet_from: Instant::now(),
            late: Vec::new(),
            transactions: 0,
        };
        let thread = thread::Builder::new().name("simulated-line".to_owned());
        let thread = thread.spawn(move || {
            if let Err(error) = line.serve() {
                tracing::warn!(%error, "the simulated line ended");
            }
        })?;
        Ok(Self { path, shared, counters, thread: Some(thread) })
    }

    /// The device file to open.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One of its units.
    pub fn unit(&self, unit: u8) -> Option<ModbusHandle> {
        self.shared.handle(unit)
    }

    /// Every unit, by number.
    pub fn units(&self) -> Vec<ModbusHandle> {
        self.shared.handles()
    }

    /// The newest requests to all units.
    pub fn log(&self) -> Vec<Seen> {
        self.shared.log()
    }

    /// How many requests were heard since the start.
    pub fn requests(&self) -> u64 {
        self.shared.requests()
    }

    /// How many requests came before the line had been silent for t3.5.
    pub fn broken_silences(&self) -> u64 {
        self.counters.broken.load(Ordering::Relaxed)
    }

    /// How long the exchanges up to now would have taken on an ideal line: their characters, their silences and the
    /// delays of the slaves.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.counters.busy_ns.load(Ordering::Relaxed))
    }

    /// Switches a fault of all units on.
    pub fn fault(&self, order: &Order<Fault>) {
        self.units().iter().for_each(|unit| unit.fault(order.clone()));
    }

    /// Switches all faults of all units off.
    pub fn clear_faults(&self) {
        self.units().iter().for_each(ModbusHandle::clear_faults);
    }
}

impl Drop for ModbusLine {
    fn drop(&mut self) {
        self.shared.stop().cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the simulated line ended badly");
        }
    }
}

struct Line {
    port: SerialPort,
    _terminal: SerialPort,
    settings: LineSettings,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    /// When the last character on the line ended.
    quiet_from: Instant,
    /// Answers that are still to come.
    late: Vec<(Instant, Vec<u8>)>,
    transactions: u16,
}

impl Line {
    fn serve(&mut self) -> io::Result<()> {
        while !self.shared.stop().is_cancelled() {
            self.send_late()?;
            if let Some((began, bytes)) = self.hear()? {
                self.heard(began, &bytes)?;
            }
        }
        Ok(())
    }

    /// A whole request and when it began; `None`: none has come.
    fn hear(&mut self) -> io::Result<Option<(Instant, Vec<u8>)>> {
        let mut bytes = Vec::new();
        if !self.read(&mut bytes, LOOK_UP)? {
            return Ok(None);
        }
        let began = Instant::now();
        while rtu::request_length(&bytes).is_none_or(|length| bytes.len() < length) && bytes.len() < MAX_FRAME
        {
            // The end of a frame that is none of the known ones is a silence.
            if !self.read(&mut bytes, self.settings.silence().max(Duration::from_millis(5)))? {
                break;
            }
        }
        Ok(Some((began, bytes)))
    }

    fn read(&mut self, bytes: &mut Vec<u8>, within: Duration) -> io::Result<bool> {
        let mut buffer = [0; MAX_FRAME];
        self.port.set_read_timeout(within)?;
        match self.port.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.extend(buffer.iter().take(count));
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn heard(&mut self, began: Instant, bytes: &[u8]) -> io::Result<()> {
        let silent = began.saturating_duration_since(self.quiet_from) >= self.settings.silence();
        let sent = began + self.settings.characters(bytes.len());
        self.quiet_from = self.quiet_from.max(sent);
        if !silent {
            self.counters.broken.fetch_add(1, Ordering::Relaxed);
            if self.settings.strict {
                return Ok(());
            }
        }
        let Some(mut asked) = rtu::request(bytes) else { return Ok(()) };
        self.transactions = self.transactions.wrapping_add(1);
        asked.transaction = self.transactions;
        let steps = self.shared.respond(&asked, Framing::Rtu);
        sleep_until(sent + self.settings.silence() + self.settings.delay);
        let mut answered = 0;
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    answered += bytes.len();
                    self.send(&bytes)?;
                }
                Step::Wait(time) => sleep_until(Instant::now() + time),
                Step::Later(time, bytes) => self.late.push((Instant::now() + time, bytes)),
                Step::Close => break,
            }
        }
        if answered > 0 {
            let busy = self.settings.characters(bytes.len() + answered)
                + self.settings.silence() * 2
                + self.settings.delay;
            self.counters.busy_ns.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Each piece is there when its last character has ended.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let began = Instant::now().max(self.quiet_from);
        let character = self.settings.characters(1).max(Duration::from_nanos(1));
        let piece = (PIECE.as_nanos() / character.as_nanos()).max(1) as usize;
        let mut done = 0;
        for part in bytes.chunks(piece) {
            done += part.len();
            sleep_until(began + self.settings.characters(done));
            self.port.write_all(part)?;
        }
        self.quiet_from = began + self.settings.characters(done);
        Ok(())
    }

    fn send_late(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Instant, Vec<u8>)> = due;
        due.iter().try_for_each(|(_, bytes)| self.send(bytes))
    }
}

/// Sleeps, and is awake for the last moment.
#[expect(clippy::disallowed_methods, reason = "the times of a line are what is simulated")]
fn sleep_until(at: Instant) {
    if let Some(left) = at.saturating_duration_since(Instant::now()).checked_sub(COARSE) {
        thread::sleep(left);
    }
    while Instant::now() < at {
        std::hint::spin_loop();
    }
}
