//! MT, the monitor and test interface by which TI's coordinators are spoken to: frames with a checksum, without
//! acknowledgement or repetition. Pure: bytes and time in, bytes and events out.

mod frame;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::frame::Reader;
use super::framing::{Event, Framing};

pub(super) use self::frame::MAX_DATA;

/// SYS_RESET_REQ, and the reset by software that it asks for.
const RESET_REQ: [u8; 3] = [0x41, 0x00, 0x01];

/// SYS_RESET_IND, with which a coordinator tells of each of its resets.
const RESET_IND: [u8; 2] = [0x41, 0x80];

/// How long a reset may take, until it is tried again.
const RESET: Duration = Duration::from_secs(6);

/// How often it is tried.
const RESETS: u32 = 3;

/// A frame that has not gone on for so long has broken off.
const BROKEN_OFF: Duration = Duration::from_millis(500);

/// What comes so long after something else is another frame than that.
const GAP: Duration = Duration::from_millis(20);

/// Frames that may wait to be taken; one piece of bytes has no more.
const EVENTS: usize = 1024;

/// One side of a line with MT: the host's.
#[derive(Debug, Default)]
pub(super) struct Mt {
    reader: Reader,
    /// When the last byte came.
    heard: Option<Instant>,
    /// A reset was asked for: when, how often.
    resetting: Option<(Instant, u32)>,
    out: Vec<u8>,
    events: VecDeque<Event>,
}

impl Mt {
    fn frames(&mut self) {
        while let Some(frame) = self.reader.next() {
            if let Some(data) = frame.strip_prefix(&RESET_IND) {
                let event = match self.resetting.take() {
                    Some(_) => Event::Ready,
                    None => Event::Gone(format!("the coordinator has reset itself ({})", reason(data))),
                };
                self.events.push_back(event);
            } else if self.resetting.is_none() && self.events.len() < EVENTS {
                self.events.push_back(Event::Frame(frame));
            }
        }
    }

    fn give_up(&mut self, now: Instant) {
        if self.broken_off().is_some_and(|at| at <= now) {
            self.reader.give_up();
            self.frames();
            self.heard = Some(now);
        }
    }

    fn broken_off(&self) -> Option<Instant> {
        self.heard.filter(|_| self.reader.is_within()).map(|heard| heard + BROKEN_OFF)
    }

    fn ask_for_reset(&mut self, now: Instant, times: u32) {
        self.resetting = Some((now, times));
        self.out.extend(frame::encode(&RESET_REQ).unwrap_or_default());
    }
}

impl Framing for Mt {
    const REPEATS: bool = false;

    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        self.give_up(now);
        if self.heard.is_some_and(|heard| heard + GAP <= now) {
            self.reader.pause();
        }
        for byte in bytes {
            self.reader.take(*byte);
            self.frames();
        }
        self.heard = Some(now);
    }

    fn say(&mut self, _: Instant, frame: Vec<u8>) {
        self.out.extend(frame::encode(&frame).unwrap_or_default());
    }

    fn resynchronize(&mut self) {
        // A coordinator that took a spoilt length for true waits for as many bytes. These begin no frame.
        self.out.extend([0; MAX_DATA + 5]);
    }

    fn reset(&mut self, now: Instant) {
        self.events.clear();
        self.ask_for_reset(now, 1);
    }

    fn tick(&mut self, now: Instant) {
        self.give_up(now);
        if let Some((_, times)) = self.resetting.filter(|(since, _)| *since + RESET <= now) {
            if times < RESETS {
                self.ask_for_reset(now, times + 1);
            } else {
                self.resetting = None;
                self.events.push_back(Event::Gone("the coordinator does not answer to a reset".to_owned()));
            }
        }
    }

    fn wake(&self) -> Option<Instant> {
        let reset = self.resetting.map(|(since, _)| since + RESET);
        self.broken_off().into_iter().chain(reset).min()
    }

    fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn garbled(&mut self) -> u64 {
        std::mem::take(&mut self.reader.garbled)
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// Why it has reset itself (SYS_RESET_IND) in words.
fn reason(data: &[u8]) -> &'static str {
    match data.first() {
        Some(0) => "its power was switched on",
        Some(1) => "from outside",
        Some(2) => "its watchdog found it hanging",
        _ => "it does not say why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYS_RESET_IND of a CC2652 after a reset by software, and SYS_PING's answer.
    const RESET_TOLD: [u8; 11] = [0xfe, 0x06, 0x41, 0x80, 0x01, 0x02, 0x01, 0x02, 0x07, 0x01, 0xc1];
    const PONG: [u8; 7] = [0xfe, 0x02, 0x61, 0x01, 0x79, 0x05, 0x1e];

    #[test]
    fn a_reset_is_wanted_or_not() {
        let now = Instant::now();
        let mut mt = Mt::default();
        mt.hear(now, &RESET_TOLD);
        assert!(matches!(mt.event(), Some(Event::Gone(why)) if why.contains("reset itself (from outside)")));
        mt.reset(now);
        assert_eq!(mt.output(), [0xfe, 0x01, 0x41, 0x00, 0x01, 0x41]);
        // An answer of before.
        mt.hear(now, &PONG);
        assert_eq!(mt.event(), None);
        mt.tick(now + RESET);
        assert_eq!(mt.output(), [0xfe, 0x01, 0x41, 0x00, 0x01, 0x41]);
        mt.hear(now + RESET, &RESET_TOLD);
        assert_eq!((mt.event(), mt.wake()), (Some(Event::Ready), None));
        mt.hear(now + RESET, &PONG);
        assert_eq!(mt.event(), Some(Event::Frame(vec![0x61, 0x01, 0x79, 0x05])));
    }

    #[test]
    fn a_reset_that_is_never_told_of_is_given_up() {
        let mut now = Instant::now();
        let mut mt = Mt::default();
        mt.reset(now);
        for _ in 0..RESETS {
            assert_eq!(mt.event(), None);
            now = mt.wake().unwrap();
            mt.tick(now);
        }
        assert!(matches!(mt.event(), Some(Event::Gone(_))));
        assert_eq!(mt.wake(), None);
    }

    /// A wrong bit, a byte that is missing, a frame that breaks off, a byte too many; and what is whole.
    #[test]
    fn what_is_damaged_is_counted() {
        let mut now = Instant::now();
        let mut mt = Mt::default();
        let mut spoilt = PONG;
        spoilt[4] ^= 0x10;
        let mut garbled = |mt: &mut Mt, bytes: &[u8]| {
            mt.hear(now, bytes);
            now += BROKEN_OFF;
            mt.tick(now);
            mt.garbled()
        };
        assert_eq!(garbled(&mut mt, &PONG), 0);
        assert_eq!(garbled(&mut mt, &[&spoilt[..], &PONG].concat()), 1);
        assert_eq!(garbled(&mut mt, &spoilt), 1);
        assert_eq!(garbled(&mut mt, &[&PONG[..3], &PONG[4..], &PONG, &spoilt].concat()), 2);
        assert_eq!(garbled(&mut mt, &PONG[..5]), 1);
        assert_eq!(garbled(&mut mt, &[&[0][..], &PONG].concat()), 1);
        assert_eq!(garbled(&mut mt, &[PONG, PONG].concat()), 0);
        assert_eq!(std::iter::from_fn(|| mt.event()).count(), 6);
    }

    #[test]
    fn a_frame_that_breaks_off_spoils_no_later_one() {
        let now = Instant::now();
        let mut mt = Mt::default();
        mt.hear(now, &[0xfe, 0xf0, 0x61]);
        mt.tick(mt.wake().unwrap());
        mt.hear(now + BROKEN_OFF, &PONG);
        assert!(matches!(mt.event(), Some(Event::Frame(_))));
        // The same without a timer in between.
        mt.hear(now + BROKEN_OFF, &[0xfe, 0xf0, 0x61]);
        mt.hear(now + BROKEN_OFF * 3, &PONG);
        assert!(matches!(mt.event(), Some(Event::Frame(_))));
    }
}
