//! A line with RTU frames on it: one exchange after another, with the silences that RTU demands. Blocking: a runtime's
//! timers are too coarse for them, so each line has a thread of its own.
//!
//! Between two exchanges the line is silent for at least t3.5, counted from the last byte that went over it in either
//! direction. What comes meanwhile (noise, a duplicate) is dropped and begins the silence anew.
//!
//! What is late answers nothing: see [`trust`](super::trust). After a time-out or a damaged reply its unit is left alone
//! for a while ([`Line::rest`]), so that what it still has to say meets no request; others are asked meanwhile.
//!
//! A line may bring back what is sent (a two-wire adapter that hears itself). To functions 5, 6 and 22 the right answer is
//! the request itself, so an echo looks like one. Whether a line echoes shows at every read; before the first such write
//! there is one for this purpose. On a line that echoes the first such frame is dropped, and the second is the answer.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use usp_mapping::mapping::SerialLine;
use usp_mapping::port::DeviceFault;

use super::frame;
use super::received::{self, Progress};
use super::trust::{Next, Trust};
use super::wire::Wire;
use crate::bus::Outcome;
use crate::modbus::codec::{Answer, Ask};
use crate::modbus::io_words;

/// Most bytes that one exchange may bring: more is a line that never falls silent.
const NOISE: usize = 4096;

/// How long the line may take to fall silent.
const UNREST: Duration = Duration::from_millis(500);

/// After such a pause a frame is over, also where bytes come in portions: over TCP, and from an adapter that collects them.
const PAUSE: Duration = Duration::from_millis(50);

/// So many exchanges may bring a unit back into step before the one that is wanted.
const STEPS: usize = 3;

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

/// What stays known when a line is opened again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) trust: Trust,
    /// Whether the line brings back what is sent; `None`: not known.
    pub(crate) echoes: Option<bool>,
}

/// An open line.
#[derive(Debug)]
pub(crate) struct Line {
    wire: Wire,
    timing: Timing,
    /// When the last byte went over it, or will have.
    last_byte: Instant,
    /// How long the unit that was asked last should be left alone.
    rest: Option<Duration>,
    /// Whether anything of the last request was handed over.
    handed: bool,
    /// The same of what was wanted last; what goes first to be sure of its answer is not meant.
    sent: bool,
}

/// The bytes that came in for a request.
#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    total: usize,
    /// The request itself came back.
    echoed: bool,
}

impl Line {
    /// A line about which nothing is known yet: it begins with a silence.
    pub(crate) fn new(wire: Wire, timing: Timing) -> Self {
        Self { wire, timing, last_byte: Instant::now(), rest: None, handed: false, sent: false }
    }

    /// How long the unit that was asked last should be left alone, because it may still say something.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.rest
    }

    /// Whether anything of the last exchange that was asked for was handed over.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Does one exchange, after those that it needs to be sure of the answer. `Err`: the line is gone.
    pub(crate) fn exchange(&mut self, memory: &mut Memory, ask: &Ask) -> io::Result<Outcome<Answer>> {
        self.sent = false;
        if memory.echoes.is_none()
            && frame::mirrors(ask)
            && let Some(fault) = self.listen_for_echo(memory, ask)?
        {
            return Ok(Outcome::Held(fault));
        }
        for _ in 0..STEPS {
            let now = Instant::now();
            match memory.trust.next(ask, now) {
                Next::Send if ask.until.is_some_and(|until| until <= now) => {
                    return Ok(Outcome::Held(DeviceFault::Expired));
                }
                Next::Send => {
                    let outcome = self.ask(memory, ask);
                    self.sent = self.handed;
                    let outcome = outcome?;
                    let Outcome::Answered(answer) = &outcome else { return Ok(outcome) };
                    if !self.hears_another(memory, ask, answer)? {
                        return Ok(outcome);
                    }
                }
                Next::First(step) => match self.ask(memory, &step)? {
                    Outcome::Answered(answer) | Outcome::Taken(answer) => {
                        self.hears_another(memory, &step, &answer)?;
                        pause(ask.pause);
                    }
                    Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault) => {
                        return Ok(Outcome::Held(fault));
                    }
                },
                Next::Wait(until) => {
                    self.rest = Some(until.saturating_duration_since(now));
                    return Ok(Outcome::Held(out_of_step()));
                }
            }
        }
        Ok(Outcome::Held(out_of_step()))
    }

    /// Whether a second reply to a read comes, where the first may have been to an earlier request.
    fn hears_another(&mut self, memory: &mut Memory, ask: &Ask, first: &Answer) -> io::Result<bool> {
        let refused = matches!(first, Answer::Exception(_));
        let Some(wait) = memory.trust.doubts(ask, refused, Instant::now()) else { return Ok(false) };
        let mut received = Received::default();
        let until = Instant::now() + wait.clamp(PAUSE, ask.timeout.max(PAUSE));
        loop {
            match received::progress(ask, &received.bytes) {
                Progress::Ours(frame) => {
                    received.drop_foreign(memory, frame);
                    return Ok(true);
                }
                Progress::Foreign(frame) => received.drop_foreign(memory, frame),
                Progress::More(_) | Progress::Perhaps(_) | Progress::Damaged => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || received.total > NOISE {
                memory.trust.calm(ask);
                return Ok(false);
            }
            self.more(&mut received, left, 1)?;
        }
    }

    /// Reads something, only to hear whether the request comes back; why that is still not known.
    fn listen_for_echo(&mut self, memory: &mut Memory, ask: &Ask) -> io::Result<Option<DeviceFault>> {
        let read = memory.trust.harmless(ask);
        let outcome = self.ask(memory, &read)?;
        pause(ask.pause);
        Ok(match outcome {
            Outcome::Silent(DeviceFault::Timeout(_)) => {
                memory.echoes.get_or_insert(false);
                None
            }
            Outcome::Silent(fault) | Outcome::Unsent(fault) | Outcome::Held(fault)
                if memory.echoes.is_none() =>
            {
                Some(fault)
            }
            _ => None,
        })
    }

    fn ask(&mut self, memory: &mut Memory, ask: &Ask) -> io::Result<Outcome<Answer>> {
        self.rest = None;
        self.handed = false;
        if !self.fall_silent(memory)? {
            return Ok(Outcome::Held(DeviceFault::Garbled("the line does not fall silent".to_owned())));
        }
        let request = frame::request(ask);
        self.hand_over(&request)?;
        let sent_at = Instant::now() + self.timing.characters(request.len());
        self.last_byte = sent_at;
        memory.trust.sent(ask, sent_at);
        let reply_time = self.timing.characters(frame::answer_length(&ask.query));
        let mut deadline = sent_at + ask.timeout + reply_time;
        if memory.echoes == Some(true) {
            deadline += self.timing.characters(request.len());
        }
        let outcome = self.receive(memory, ask, deadline)?;
        let took = sent_at.elapsed();
        match &outcome {
            Outcome::Answered(answer) | Outcome::Taken(answer) => {
                memory.trust.answered(ask, matches!(answer, Answer::Exception(_)), took);
            }
            // The word of a gateway.
            Outcome::Silent(DeviceFault::Unreachable(_)) | Outcome::Unsent(_) => {
                memory.trust.answered(ask, true, took);
            }
            Outcome::Silent(DeviceFault::Timeout(_)) => self.rest = Some(ask.timeout),
            // What was damaged may have been noise, and the reply be still to come.
            Outcome::Silent(_) | Outcome::Held(_) => {
                self.rest = Some(deadline.saturating_duration_since(Instant::now()));
            }
        }
        Ok(outcome)
    }

    fn hand_over(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.wire.write_some(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.handed = true;
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for t3.5 of silence; `false`: it did not come. Late replies that come meanwhile are crossed out.
    fn fall_silent(&mut self, memory: &mut Memory) -> io::Result<bool> {
        let (mut said, mut buffer) = (Vec::new(), [0; 256]);
        let patience = Instant::now() + UNREST;
        loop {
            pause((self.last_byte + self.timing.silence).saturating_duration_since(Instant::now()));
            let Some(count) = self.wire.read(&mut buffer, Duration::ZERO)? else { break };
            said.extend(buffer.iter().take(count));
            self.last_byte = Instant::now();
            if self.last_byte > patience || said.len() > NOISE {
                return Ok(false);
            }
        }
        for frame in received::frames(&said) {
            memory.trust.hear(frame);
        }
        Ok(true)
    }

    fn receive(&mut self, memory: &mut Memory, ask: &Ask, deadline: Instant) -> io::Result<Outcome<Answer>> {
        let (mut received, request) = (Received::default(), frame::request(ask));
        let mirrors = frame::mirrors(ask);
        loop {
            received.take_echo(memory, &request, mirrors);
            let left = deadline.saturating_duration_since(Instant::now());
            let progress = if received::may_be_echo(&request, &received.bytes) && !mirrors {
                Progress::More(request.len() - received.bytes.len())
            } else {
                received::progress(ask, &received.bytes)
            };
            let more = match progress {
                Progress::Ours(frame) => match received.judge(memory, ask, frame) {
                    Some(outcome) => return Ok(outcome),
                    None => continue,
                },
                Progress::Foreign(frame) => {
                    received.drop_foreign(memory, frame);
                    continue;
                }
                Progress::Perhaps(frame) => {
                    if self.more(&mut received, self.pause_within().min(left), 1)? {
                        continue;
                    }
                    match received.judge(memory, ask, frame) {
                        Some(outcome) => return Ok(outcome),
                        None => continue,
                    }
                }
                Progress::Damaged => {
                    if self.more(&mut received, self.pause_within().min(left), 1)? {
                        continue;
                    }
                    return Ok(garbled("its checksum is wrong"));
                }
                Progress::More(missing) => missing,
            };
            if received.total > NOISE {
                return Ok(garbled("the line does not fall silent"));
            }
            // Others that never stop talking do not make it wait longer.
            if !self.more(&mut received, left, more)? && left.is_zero() {
                return Ok(received.unfinished(memory, ask));
            }
        }
    }

    /// A pause that no frame has in it.
    fn pause_within(&self) -> Duration {
        self.timing.silence.max(PAUSE)
    }

    /// Waits for bytes, of which so many are missing; whether some came.
    fn more(&mut self, received: &mut Received, within: Duration, missing: usize) -> io::Result<bool> {
        if !received.bytes.is_empty() {
            // Waking up for each character gains nothing.
            pause(self.timing.characters(missing.saturating_sub(1)).min(within));
        }
        let mut buffer = [0; 256];
        let Some(count) = self.wire.read(&mut buffer, within)? else { return Ok(false) };
        self.last_byte = Instant::now();
        received.total += count;
        received.bytes.extend(buffer.iter().take(count));
        Ok(true)
    }
}

impl Received {
    /// Takes the request itself out, unless it may be the answer.
    fn take_echo(&mut self, memory: &mut Memory, request: &[u8], mirrors: bool) {
        if self.echoed || (mirrors && memory.echoes != Some(true)) {
            return;
        }
        if let Some(echo) = received::echo(request, &self.bytes) {
            self.bytes.drain(..echo.end);
            self.echoed = true;
            if memory.echoes.replace(true) != Some(true) {
                tracing::info!("the line brings back what is sent: its echo is told from replies");
            }
        }
    }

    /// Whether a frame is the answer; `None`: it was somebody's late reply, and is dropped.
    fn judge(
        &mut self,
        memory: &mut Memory,
        ask: &Ask,
        frame: std::ops::Range<usize>,
    ) -> Option<Outcome<Answer>> {
        let mirrors = frame::mirrors(ask);
        if mirrors && memory.echoes == Some(true) && !self.echoed {
            return Some(garbled("the line's echo of the request was damaged"));
        }
        // One echo that was damaged is no line without echo.
        if !mirrors && !self.echoed && memory.echoes != Some(true) {
            memory.echoes = Some(false);
        }
        let end = frame.end.saturating_sub(2);
        let body = self.bytes.get(frame.start..end).unwrap_or_default().to_vec();
        let pdu = body.get(1..).unwrap_or_default();
        let refused = matches!(pdu.first(), Some(0x80..));
        if refused && memory.trust.is_doubtful(ask) {
            return Some(garbled("it refuses this or what it was asked before"));
        }
        if !refused && !pdu.starts_with(&frame::mark(&ask.query)) && memory.trust.hear(&body) {
            self.bytes.drain(..frame.end);
            return None;
        }
        Some(frame::understood(&ask.query, &body))
    }

    fn drop_foreign(&mut self, memory: &mut Memory, frame: std::ops::Range<usize>) {
        let end = frame.end.saturating_sub(2);
        memory.trust.hear(self.bytes.get(frame.start..end).unwrap_or_default());
        self.bytes.drain(..frame.end);
    }

    fn unfinished(&self, memory: &Memory, ask: &Ask) -> Outcome<Answer> {
        let unit = self.bytes.windows(2).any(|two| two == [ask.unit, frame::function(&ask.query)]);
        if self.bytes.is_empty() || (memory.echoes == Some(true) && !unit) {
            Outcome::Silent(DeviceFault::Timeout(ask.timeout))
        } else if unit {
            garbled("it broke off")
        } else {
            garbled("it is no Modbus response")
        }
    }
}

fn garbled(why: &str) -> Outcome<Answer> {
    Outcome::Silent(DeviceFault::Garbled(why.to_owned()))
}

fn out_of_step() -> DeviceFault {
    DeviceFault::Garbled("it answers too late to tell what it answers".to_owned())
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
        let line = |baud, parity, stop_bits| SerialLine {
            port: String::new(),
            baud,
            parity,
            data_bits: 8,
            stop_bits,
        };
        let nine = Timing::of(&line(9600, Parity::Even, 1));
        assert_eq!(nine.character, Duration::from_nanos(1_145_833));
        assert_eq!(nine.silence, Duration::from_nanos(4_010_415));
        assert_eq!(Timing::of(&line(9600, Parity::None, 1)).character, Duration::from_nanos(1_041_666));
        assert_eq!(Timing::of(&line(115_200, Parity::None, 1)).silence, Duration::from_micros(1750));
        assert_eq!(Timing::of(&line(19_200, Parity::None, 2)).character, nine.character / 2);
    }
}
