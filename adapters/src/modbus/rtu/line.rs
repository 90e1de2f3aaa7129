//! A line with RTU frames on it: one exchange after another, with the silences that RTU demands. Blocking: a runtime's
//! timers are too coarse for them, so each line has a thread of its own.
//!
//! Between two exchanges the line is silent for at least t3.5, counted from the last byte that went over it in either
//! direction. What comes meanwhile (noise, a duplicate) is dropped and begins the silence anew.
//!
//! A reply names its unit and its function but neither an address nor a transaction. A late one could thus answer the
//! next request to the same unit; after a time-out a unit is therefore not asked again before it has had the time of
//! another time-out to say what it still has to say, and after a damaged reply not before the time of that reply is over.
//! Others are, and tell its late reply apart by its unit.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use usp_mapping::mapping::SerialLine;
use usp_mapping::port::DeviceFault;

use super::frame::{self, Progress};
use super::wire::Wire;
use crate::bus::Outcome;
use crate::modbus::codec::{Answer, Ask};
use crate::modbus::io_words;

/// Most bytes that one exchange may bring: more is a line that never falls silent.
const NOISE: usize = 4096;

/// How long the line may take to fall silent.
const UNREST: Duration = Duration::from_millis(500);

/// How long characters and silences take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timing {
    /// One character.
    character: Duration,
    /// t3.5.
    silence: Duration,
}

impl Timing {
    /// The times of a serial line. Above 19200 bits a second t3.5 is fixed (Modbus over Serial Line V1.02, 2.5.1.1).
    pub(crate) fn of(line: &SerialLine) -> Self {
        let baud = line.baud.max(1);
        let character = Duration::from_secs(u64::from(line.bits_per_character())) / baud;
        let silence = if baud > 19_200 { Duration::from_micros(1750) } else { character * 7 / 2 };
        Self { character, silence }
    }

    /// t3.5.
    pub(crate) fn silence(self) -> Duration {
        self.silence
    }

    /// How long so many characters take.
    pub(crate) fn characters(self, count: usize) -> Duration {
        self.character * u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// An open line.
#[derive(Debug)]
pub(crate) struct Line {
    wire: Wire,
    timing: Timing,
    /// When the last byte went over it, or will have.
    last_byte: Instant,
    /// Whose replies may still come, and until when.
    late: BTreeMap<u8, Instant>,
}

impl Line {
    /// A line about which nothing is known yet: it begins with a silence.
    pub(crate) fn new(wire: Wire, timing: Timing) -> Self {
        Self { wire, timing, last_byte: Instant::now(), late: BTreeMap::new() }
    }

    /// Does one exchange. `Err`: the line is gone.
    pub(crate) fn exchange(&mut self, ask: &Ask) -> io::Result<Outcome<Answer>> {
        self.let_late_reply_pass(ask.unit)?;
        if !self.fall_silent()? {
            return Ok(Outcome::Silent(DeviceFault::Garbled("the line does not fall silent".to_owned())));
        }
        let request = frame::request(ask);
        self.wire.write(&request)?;
        let sent_at = Instant::now() + self.timing.characters(request.len());
        self.last_byte = sent_at;
        let reply_time = self.timing.characters(frame::answer_length(&ask.query));
        let deadline = sent_at + ask.timeout + reply_time;
        let outcome = self.receive(ask, deadline)?;
        match outcome {
            Outcome::Answered(_) | Outcome::Taken(_) => {}
            Outcome::Silent(DeviceFault::Timeout(_)) => {
                self.late.insert(ask.unit, Instant::now() + ask.timeout);
            }
            // What was damaged may have been noise, and the reply be still to come.
            Outcome::Silent(_) => drop(self.late.insert(ask.unit, deadline)),
        }
        Ok(outcome)
    }

    fn let_late_reply_pass(&mut self, unit: u8) -> io::Result<()> {
        let Some(until) = self.late.remove(&unit) else { return Ok(()) };
        let mut buffer = [0; 256];
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if self.wire.read(&mut buffer, left)?.is_some() {
                // This may be anybody's noise: the whole time is waited for.
                self.last_byte = Instant::now();
            }
        }
        Ok(())
    }

    /// Waits for t3.5 of silence; `false`: it did not come.
    fn fall_silent(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 256];
        let patience = Instant::now() + UNREST;
        loop {
            pause((self.last_byte + self.timing.silence).saturating_duration_since(Instant::now()));
            if self.wire.read(&mut buffer, Duration::ZERO)?.is_none() {
                return Ok(true);
            }
            self.last_byte = Instant::now();
            if self.last_byte > patience {
                return Ok(false);
            }
        }
    }

    fn receive(&mut self, ask: &Ask, deadline: Instant) -> io::Result<Outcome<Answer>> {
        let (mut bytes, mut total, mut buffer) = (Vec::new(), 0, [0; 256]);
        let mut over = false;
        loop {
            match frame::progress(ask, &bytes) {
                Progress::Done(Ok(answer)) => return Ok(Outcome::Answered(answer)),
                Progress::Done(Err(fault)) => return Ok(Outcome::Silent(fault)),
                Progress::Foreign(length) => drop(bytes.drain(..length)),
                // Others that never stop talking do not make it wait longer.
                Progress::More(_) if over => return Ok(Outcome::Silent(unfinished(ask, &bytes))),
                Progress::More(_) if total > NOISE => {
                    let fault = DeviceFault::Garbled("the line does not fall silent".to_owned());
                    return Ok(Outcome::Silent(fault));
                }
                Progress::More(missing) => {
                    if !bytes.is_empty() {
                        // Waking up for each character gains nothing.
                        pause(self.timing.characters(missing.saturating_sub(1)));
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    over = left.is_zero();
                    let Some(count) = self.wire.read(&mut buffer, left)? else { continue };
                    self.last_byte = Instant::now();
                    total += count;
                    bytes.extend(buffer.iter().take(count));
                }
            }
        }
    }
}

fn unfinished(ask: &Ask, bytes: &[u8]) -> DeviceFault {
    if bytes.is_empty() {
        DeviceFault::Timeout(ask.timeout)
    } else {
        DeviceFault::Garbled("it broke off".to_owned())
    }
}

#[expect(clippy::disallowed_methods, reason = "a line's thread has nothing else to do")]
fn pause(time: Duration) {
    thread::sleep(time);
}

/// What became of a line that failed.
pub(crate) fn lost(error: &io::Error) -> DeviceFault {
    DeviceFault::Unreachable(io_words(error))
}

#[cfg(test)]
mod tests {
    use usp_mapping::mapping::Parity;

    use super::*;

    #[test]
    fn times_are_those_of_the_standard() {
        let line = |baud, parity, stop_bits| SerialLine { port: String::new(), baud, parity, stop_bits };
        let nine = Timing::of(&line(9600, Parity::Even, 1));
        assert_eq!(nine.character, Duration::from_nanos(1_145_833));
        assert_eq!(nine.silence, Duration::from_nanos(4_010_415));
        assert_eq!(Timing::of(&line(9600, Parity::None, 1)).character, Duration::from_nanos(1_041_666));
        assert_eq!(Timing::of(&line(115_200, Parity::None, 1)).silence, Duration::from_micros(1750));
        assert_eq!(Timing::of(&line(19_200, Parity::None, 2)).character, nine.character / 2);
    }
}
