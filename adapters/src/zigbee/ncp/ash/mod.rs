//! ASH, by which EZSP goes over a serial line without loss (Silicon Labs UG101): DATA frames are numbered, acknowledged and
//! sent again; a coordinator that gives up says so.
//!
//! Pure: bytes and time in, bytes and events out. [`frame`] reads and writes frames.

mod frame;
#[cfg(test)]
pub(super) mod peer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::frame::{CANCEL, Frame, Heard, NUMBERS, Reader, VERSION};
use super::framing::{Event, Framing};

pub(super) use self::frame::MAX_DATA;

/// How long an acknowledgement may take at first, at least and at most (T_RX_ACK of UG101).
const ACK: (Duration, Duration, Duration) =
    (Duration::from_millis(1600), Duration::from_millis(400), Duration::from_millis(3200));

/// So many acknowledgements in a row that did not come mean that nobody is there.
const LOST_ACKS: u32 = 4;

/// How long a reset may take, until it is tried again (T_RSTACK_MAX).
const RESET: Duration = Duration::from_millis(3200);

/// How often it is tried.
const RESETS: u32 = 5;

/// Another reset, such as that by opening the port, may be told of before the one that was asked for.
const OWN_RESET: Duration = Duration::from_millis(500);

/// DATA frames that may be under way. EZSP has one command at a time, so there is nothing to gain from more.
const WINDOW: usize = 1;

/// DATA frames that may wait.
const QUEUE: usize = 8;

/// Longest time for which the other side may want to hear nothing.
const PAUSE: Duration = Duration::from_secs(2);

/// The coordinator was reset by software, as RST does.
const SOFTWARE: u8 = 0x0b;

/// One side of a line with ASH: the host's.
#[derive(Debug)]
pub(super) struct Ash {
    reader: Reader,
    state: State,
    /// DATA frames that wait for a number.
    waiting: VecDeque<Vec<u8>>,
    /// DATA frames that are not acknowledged, oldest first.
    sent: VecDeque<Sent>,
    /// Number of the next one.
    next: u8,
    /// Number of the next DATA frame that is to come.
    expected: u8,
    /// A NAK was sent for it, and it has not come since.
    rejecting: bool,
    /// How long an acknowledgement may take.
    patience: Duration,
    /// When that of the oldest frame was last due to be counted from.
    since: Instant,
    /// Acknowledgements in a row that did not come.
    lost: u32,
    /// Nothing was heard since the reset.
    fresh: bool,
    /// Until when the other side wants to hear nothing.
    paused: Option<Instant>,
    /// Frames that could not be understood, while there was a connection.
    garbled: u64,
    out: Vec<u8>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Sent {
    data: Vec<u8>,
    number: u8,
    at: Instant,
    /// It was sent more than once, so that nothing is learnt from how long its acknowledgement took.
    again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// RST was sent: when, how often.
    Resetting(Instant, u32),
    /// A reset was told of that may be another one than that which was asked for.
    Settling(Instant),
    Connected,
    /// Before the first reset, and after a failure.
    Failed,
}

impl Ash {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            reader: Reader::default(),
            state: State::Failed,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            next: 0,
            expected: 0,
            rejecting: false,
            patience: ACK.0,
            since: now,
            lost: 0,
            fresh: true,
            paused: None,
            garbled: 0,
            out: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Everything begins anew.
    fn begin(&mut self, state: State, now: Instant) {
        let (reader, out, events) = (
            std::mem::take(&mut self.reader),
            std::mem::take(&mut self.out),
            std::mem::take(&mut self.events),
        );
        *self = Self { reader, state, out, events, garbled: self.garbled, ..Self::new(now) };
    }

    fn gone(&mut self, now: Instant, why: String) {
        self.begin(State::Failed, now);
        self.events.push_back(Event::Gone(why));
    }

    fn write(&mut self, frame: &Frame) {
        self.out.extend(frame.encode());
    }

    fn rst(&mut self, now: Instant, times: u32) {
        self.begin(State::Resetting(now, times), now);
        self.reader = Reader::default();
        // What of a frame is still in the other side's buffer is not to spoil this one.
        self.out = vec![CANCEL];
        self.write(&Frame::Rst);
    }

    fn heard(&mut self, now: Instant, heard: Heard) {
        match (heard, self.state) {
            (Heard::Pause(pause), _) => self.paused = pause.then(|| now + PAUSE),
            (Heard::Frame(Frame::RstAck { version, code }), _) => self.was_reset(now, version, code),
            // What it says before it is reset is past.
            (_, State::Resetting(..) | State::Settling(_) | State::Failed) => {}
            (Heard::Frame(frame), State::Connected) => self.frame(now, frame),
            (Heard::Broken, State::Connected) => {
                self.garbled += 1;
                self.reject();
            }
        }
    }

    fn was_reset(&mut self, now: Instant, version: u8, code: u8) {
        match self.state {
            // The answer to a reset that was asked for twice, because the first took long.
            State::Connected if self.fresh && code == SOFTWARE => self.again(now),
            State::Connected => {
                self.gone(now, format!("the coordinator has reset itself ({})", reason(code)))
            }
            State::Resetting(..) | State::Settling(_) if version != VERSION => {
                self.gone(
                    now,
                    format!("the coordinator speaks version {version} of ASH, which is not known here"),
                );
            }
            State::Resetting(..) | State::Settling(_) if code == SOFTWARE => self.connected(now),
            State::Resetting(..) => self.state = State::Settling(now + OWN_RESET),
            State::Settling(_) | State::Failed => {}
        }
    }

    /// What was sent before is sent once more, from the first number on.
    fn again(&mut self, now: Instant) {
        let unheard = self.sent.drain(..).map(|sent| sent.data);
        let waiting: VecDeque<_> = unheard.chain(std::mem::take(&mut self.waiting)).collect();
        self.begin(State::Connected, now);
        self.waiting = waiting;
    }

    fn connected(&mut self, now: Instant) {
        self.begin(State::Connected, now);
        self.events.push_back(Event::Ready);
    }

    fn frame(&mut self, now: Instant, frame: Frame) {
        match frame {
            Frame::Data { ack, .. } | Frame::Ack { ack } | Frame::Nak { ack }
                if !self.acknowledged(now, ack) =>
            {
                self.reject();
            }
            Frame::Data { number, again, data, .. } => self.data(number, again, data),
            Frame::Nak { .. } => self.repeat(now),
            Frame::Error { code, .. } => {
                self.gone(now, format!("the coordinator has given up ({})", reason(code)));
            }
            // RST is a host's; the others are done with.
            Frame::Ack { .. } | Frame::Rst | Frame::RstAck { .. } => {}
        }
    }

    /// All before a number has come. `false`: that cannot be.
    fn acknowledged(&mut self, now: Instant, ack: u8) -> bool {
        let first = self.sent.front().map_or(self.next, |sent| sent.number);
        let count = usize::from(ack.wrapping_sub(first) % NUMBERS);
        if count > self.sent.len() {
            return false;
        }
        for sent in self.sent.drain(..count) {
            self.fresh = false;
            self.lost = 0;
            self.since = now;
            if !sent.again {
                let took = now.saturating_duration_since(sent.at);
                self.patience = (self.patience * 7 / 8 + took / 2).clamp(ACK.1, ACK.2);
            }
        }
        true
    }

    fn data(&mut self, number: u8, again: bool, data: Vec<u8>) {
        if number == self.expected {
            self.expected = (number + 1) % NUMBERS;
            self.rejecting = false;
            self.fresh = false;
            self.events.push_back(Event::Frame(data));
            self.write(&Frame::Ack { ack: self.expected });
        } else if again {
            // Its acknowledgement was lost.
            self.write(&Frame::Ack { ack: self.expected });
        } else {
            self.reject();
        }
    }

    /// Wants the expected frame again, once.
    fn reject(&mut self) {
        if !std::mem::replace(&mut self.rejecting, true) {
            self.write(&Frame::Nak { ack: self.expected });
        }
    }

    /// Sends everything again that is not acknowledged.
    fn repeat(&mut self, now: Instant) {
        self.since = now;
        let ack = self.expected;
        for sent in &mut self.sent {
            sent.again = true;
            let frame = Frame::Data { number: sent.number, ack, again: true, data: sent.data.clone() };
            self.out.extend(frame.encode());
        }
    }

    /// Sends what waits, as far as the window lets it.
    fn advance(&mut self, now: Instant) {
        while self.state == State::Connected && self.paused.is_none() && self.sent.len() < WINDOW {
            let Some(data) = self.waiting.pop_front() else { return };
            if self.sent.is_empty() {
                self.since = now;
            }
            let number = self.next;
            self.next = (number + 1) % NUMBERS;
            self.write(&Frame::Data { number, ack: self.expected, again: false, data: data.clone() });
            self.sent.push_back(Sent { data, number, at: now, again: false });
        }
    }

    fn overdue(&mut self, now: Instant) {
        self.lost += 1;
        if self.lost >= LOST_ACKS {
            return self.gone(now, "the coordinator acknowledges nothing any more".to_owned());
        }
        self.patience = (self.patience * 2).min(ACK.2);
        self.repeat(now);
    }
}

impl Framing for Ash {
    const REPEATS: bool = true;

    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        for byte in bytes {
            if let Some(heard) = self.reader.take(*byte) {
                self.heard(now, heard);
            }
        }
        self.advance(now);
    }

    fn say(&mut self, now: Instant, frame: Vec<u8>) {
        if self.waiting.len() < QUEUE && frame.len() <= MAX_DATA {
            self.waiting.push_back(frame);
        }
        self.advance(now);
    }

    fn reset(&mut self, now: Instant) {
        self.events.clear();
        self.rst(now, 1);
    }

    fn tick(&mut self, now: Instant) {
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
        }
        match self.state {
            State::Resetting(since, times) if since + RESET <= now => {
                if times < RESETS {
                    self.rst(now, times + 1);
                } else {
                    self.gone(now, "the coordinator does not answer to a reset".to_owned());
                }
            }
            State::Settling(until) if until <= now => self.connected(now),
            State::Connected if !self.sent.is_empty() && self.since + self.patience <= now => {
                self.overdue(now)
            }
            State::Resetting(..) | State::Settling(_) | State::Connected | State::Failed => {}
        }
        self.advance(now);
    }

    fn wake(&self) -> Option<Instant> {
        let due = match self.state {
            State::Resetting(since, _) => Some(since + RESET),
            State::Settling(until) => Some(until),
            State::Connected if !self.sent.is_empty() => Some(self.since + self.patience),
            State::Connected | State::Failed => None,
        };
        due.into_iter().chain(self.paused).min()
    }

    fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn garbled(&mut self) -> u64 {
        std::mem::take(&mut self.garbled)
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// A reset or error code of UG101 in words.
fn reason(code: u8) -> String {
    let words = match code {
        0x00 => "it does not know why",
        0x01 => "from outside",
        0x02 => "its power was switched on",
        0x03 => "its watchdog found it hanging",
        0x06 => "an assertion failed within it",
        0x09 => "by its bootloader",
        SOFTWARE => "by software",
        0x51 => "it was not acknowledged to; is another program using it, or the line disturbed?",
        _ => return format!("code 0x{code:02x}"),
    };
    words.to_owned()
}
