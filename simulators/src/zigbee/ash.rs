//! The side of a coordinator in ASH (Silicon Labs UG101): frames over a UART that are acknowledged and sent again.

use std::collections::VecDeque;
use std::time::Duration;

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;
const SUBSTITUTE: u8 = 0x18;
const CANCEL: u8 = 0x1a;

/// Most bytes of a frame, without what stands for others (4.2).
const LONGEST: usize = 133;

/// Frames under way that are not acknowledged yet.
const WINDOW: usize = 3;

/// How long an acknowledgement may take (T_RX_ACK_INIT), and how often in a row it may fail to come.
const PATIENCE: Duration = Duration::from_millis(1600);
const TRIES: u8 = 4;

/// How long a host that says that it is not ready is spared (T_REMOTE_NOTRDY).
const SPARES: Duration = Duration::from_secs(1);

const VERSION: u8 = 2;

/// Why a coordinator started (UG101, table of reset codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    PowerOn = 0x02,
    Watchdog = 0x03,
    Software = 0x0b,
}

/// Too many acknowledgements failed to come.
const NOT_ACKNOWLEDGED: u8 = 0x51;

/// What comes of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// A frame of the host.
    Data(Vec<u8>),
    /// The host resets the coordinator.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but a reset is heard.
    Down,
    Connected,
    /// It gave up, for this reason.
    Failed(u8),
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Ash {
    state: State,
    heard: Vec<u8>,
    escaped: bool,
    /// What comes until the next flag counts for nothing.
    spoiled: bool,
    /// The frame that is expected next.
    expects: u8,
    rejected: bool,
    /// The number of the first frame under way.
    first: u8,
    under_way: VecDeque<Vec<u8>>,
    waiting: VecDeque<Vec<u8>>,
    sent_at: Duration,
    tries: u8,
    spared_until: Option<Duration>,
    owes_ack: bool,
    out: Vec<Vec<u8>>,
}

impl Ash {
    pub(super) fn new() -> Self {
        Self {
            state: State::Down,
            heard: Vec::new(),
            escaped: false,
            spoiled: false,
            expects: 0,
            rejected: false,
            first: 0,
            under_way: VecDeque::new(),
            waiting: VecDeque::new(),
            sent_at: Duration::ZERO,
            tries: 0,
            spared_until: None,
            owes_ack: false,
            out: Vec::new(),
        }
    }

    /// The coordinator has started.
    pub(super) fn started(&mut self, why: Reset) {
        *self = Self { state: State::Connected, ..Self::new() };
        self.put(&[0xc1, VERSION, why as u8]);
    }

    /// The data of frames that nothing of was sent yet.
    #[cfg(test)]
    pub(super) fn waiting(&mut self) -> Vec<Vec<u8>> {
        self.waiting.drain(..).collect()
    }

    /// Frames to the host.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    /// Wants a frame to be sent.
    pub(super) fn send(&mut self, data: Vec<u8>) {
        if self.state == State::Connected {
            self.waiting.push_back(data);
        }
    }

    /// Bytes of the host.
    pub(super) fn hear(&mut self, now: Duration, bytes: &[u8]) -> Vec<Got> {
        bytes.iter().filter_map(|byte| self.byte(now, *byte)).collect()
    }

    fn byte(&mut self, now: Duration, byte: u8) -> Option<Got> {
        match byte {
            FLAG => {
                let frame = std::mem::take(&mut self.heard);
                let (spoiled, escaped) = (self.spoiled, self.escaped);
                (self.spoiled, self.escaped) = (false, false);
                if spoiled || escaped || frame.is_empty() {
                    return None;
                }
                return self.frame(now, &frame);
            }
            CANCEL => {
                self.heard.clear();
                (self.spoiled, self.escaped) = (false, false);
            }
            SUBSTITUTE => self.spoiled = true,
            XON | XOFF => {}
            ESCAPE => self.escaped = true,
            byte => {
                let byte = if std::mem::take(&mut self.escaped) { byte ^ 0x20 } else { byte };
                self.heard.push(byte);
                if self.heard.len() > LONGEST {
                    self.heard.clear();
                    self.spoiled = true;
                }
            }
        }
        None
    }

    fn frame(&mut self, now: Duration, frame: &[u8]) -> Option<Got> {
        let (content, check) = frame.split_at_checked(frame.len().checked_sub(2)?)?;
        let (control, data) = content.split_first()?;
        if check != crc(content).to_be_bytes() {
            self.reject();
            return None;
        }
        if *control == 0xc0 {
            return Some(Got::Reset);
        }
        match self.state {
            State::Connected => {}
            State::Failed(why) => {
                self.put(&[0xc2, VERSION, why]);
                return None;
            }
            State::Down => return None,
        }
        match control >> 5 {
            0..=3 => self.data(now, *control, data),
            4 => {
                self.acknowledged(now, control & 7);
                self.spare(now, *control);
                None
            }
            5 => {
                self.acknowledged(now, control & 7);
                self.spare(now, *control);
                self.again(now);
                None
            }
            _ => None,
        }
    }

    /// The host has no room for what nobody asked for.
    fn spare(&mut self, now: Duration, control: u8) {
        self.spared_until = (control & 0x08 != 0).then_some(now + SPARES);
    }

    fn data(&mut self, now: Duration, control: u8, data: &[u8]) -> Option<Got> {
        self.acknowledged(now, control & 7);
        let (number, again) = (control >> 4 & 7, control & 0x08 != 0);
        if number == self.expects {
            self.expects = (self.expects + 1) & 7;
            self.rejected = false;
            self.owes_ack = true;
            return Some(Got::Data(randomized(data)));
        }
        if again {
            // It was understood; its acknowledgement was lost.
            self.owes_ack = true;
        } else {
            self.reject();
        }
        None
    }

    /// One NAK for all that is wrong until something right comes (4.5).
    fn reject(&mut self) {
        if !std::mem::replace(&mut self.rejected, true) && self.state == State::Connected {
            let control = 0xa0 | self.expects;
            self.put(&[control]);
        }
    }

    fn acknowledged(&mut self, now: Duration, number: u8) {
        let count = usize::from(number.wrapping_sub(self.first) & 7);
        if count == 0 || count > self.under_way.len() {
            return;
        }
        self.under_way.drain(..count);
        self.first = number;
        self.tries = 0;
        self.sent_at = now;
    }

    /// Sends everything that is under way once more.
    fn again(&mut self, now: Duration) {
        self.sent_at = now;
        for index in 0..self.under_way.len() {
            self.put_data(index, true);
        }
    }

    fn put_data(&mut self, index: usize, again: bool) {
        let Some(data) = self.under_way.get(index) else { return };
        let number = (self.first + index as u8) & 7;
        let control = number << 4 | if again { 0x08 } else { 0 } | self.expects;
        let frame = [vec![control], randomized(data)].concat();
        self.owes_ack = false;
        self.put(&frame);
    }

    /// Lets time pass: what was not acknowledged goes out again, and what waits where there is room.
    pub(super) fn run(&mut self, now: Duration) {
        if self.state != State::Connected {
            return;
        }
        if !self.under_way.is_empty() && now >= self.sent_at + PATIENCE {
            self.tries += 1;
            if self.tries > TRIES {
                self.state = State::Failed(NOT_ACKNOWLEDGED);
                self.put(&[0xc2, VERSION, NOT_ACKNOWLEDGED]);
                return;
            }
            self.again(now);
        }
        if self.spared_until.is_some_and(|until| now < until) {
            return self.acknowledge();
        }
        while self.under_way.len() < WINDOW {
            let Some(data) = self.waiting.pop_front() else { break };
            if self.under_way.is_empty() {
                self.sent_at = now;
            }
            self.under_way.push_back(data);
            self.put_data(self.under_way.len() - 1, false);
        }
        self.acknowledge();
    }

    fn acknowledge(&mut self) {
        if std::mem::take(&mut self.owes_ack) {
            let control = 0x80 | self.expects;
            self.put(&[control]);
        }
    }

    fn put(&mut self, content: &[u8]) {
        let check = crc(content).to_be_bytes();
        let mut frame = Vec::with_capacity(content.len() + 4);
        for byte in content.iter().chain(&check) {
            match *byte {
                FLAG | ESCAPE | XON | XOFF | SUBSTITUTE | CANCEL => frame.extend([ESCAPE, byte ^ 0x20]),
                byte => frame.push(byte),
            }
        }
        frame.push(FLAG);
        self.out.push(frame);
    }
}

/// CRC-CCITT from 0xffff, the most significant bit first (4.2.2).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        let mixed = crc ^ u16::from(*byte) << 8;
        (0..8).fold(mixed, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

/// The data of a frame looks like chance, so that it seldom has a byte that stands for something (4.3).
fn randomized(data: &[u8]) -> Vec<u8> {
    let mut random = 0x42_u8;
    let mix = |byte: &u8| {
        let mixed = byte ^ random;
        random = if random & 1 == 0 { random >> 1 } else { random >> 1 ^ 0xb8 };
        mixed
    };
    data.iter().map(mix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    /// The frames of UG101: a reset and its answer, and the version command with its reply.
    #[test]
    fn frames_are_those_of_the_document() {
        let mut ash = Ash::new();
        assert_eq!(ash.hear(START, &[0x1a, 0xc0, 0x38, 0xbc, 0x7e]), [Got::Reset]);
        ash.started(Reset::Software);
        assert_eq!(ash.take(), [[0xc1, 0x02, 0x0b, 0x0a, 0x52, 0x7e]]);
        let version = [0x00, 0x42, 0x21, 0xa8, 0x56];
        let frame = [&version[..], &crc(&version).to_be_bytes(), &[FLAG]].concat();
        assert_eq!(ash.hear(START, &frame), [Got::Data(vec![0x00, 0x00, 0x00, 0x02])]);
        ash.run(START);
        // An acknowledgement of frame 0.
        assert_eq!(ash.take(), [[0x81, 0x60, 0x59, 0x7e]]);
    }

    fn connected() -> Ash {
        let mut ash = Ash::new();
        ash.started(Reset::PowerOn);
        ash.take();
        ash
    }

    fn wire(content: &[u8]) -> Vec<u8> {
        let mut other = connected();
        other.put(content);
        other.take().concat()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_and_then_given_up() {
        let mut ash = connected();
        ash.send(vec![1, 2, 3]);
        ash.run(START);
        let first = ash.take();
        assert_eq!(first.len(), 1);
        let mut now = START;
        for _ in 0..TRIES {
            now += PATIENCE;
            ash.run(now);
            let again = ash.take().concat();
            assert_eq!(again[0], first[0][0] | 0x08);
        }
        ash.run(now + PATIENCE);
        assert_eq!(ash.take().concat()[..3], [0xc2, 0x02, NOT_ACKNOWLEDGED]);
        // Whatever is said then is answered with the error.
        ash.hear(now, &wire(&[0x81]));
        assert_eq!(ash.take().concat()[0], 0xc2);
    }

    #[test]
    fn an_acknowledgement_makes_room() {
        let mut ash = connected();
        (0..5).for_each(|number| ash.send(vec![number]));
        ash.run(START);
        assert_eq!(ash.take().len(), WINDOW);
        ash.hear(START, &wire(&[0x82]));
        ash.run(START);
        let more = ash.take();
        assert_eq!(more.iter().map(|frame| frame[0] >> 4).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn what_is_spoiled_is_rejected_once_and_what_comes_twice_acknowledged() {
        let mut ash = connected();
        let mut spoiled = wire(&[0x00, 0x42]);
        spoiled[1] ^= 1;
        assert!(ash.hear(START, &spoiled).is_empty() && ash.hear(START, &spoiled).is_empty());
        assert_eq!(ash.take().len(), 1);
        let good = wire(&[0x00, 0x42]);
        assert_eq!(ash.hear(START, &good), [Got::Data(vec![0])]);
        assert!(ash.hear(START, &wire(&[0x08, 0x42])).is_empty());
        ash.run(START);
        assert_eq!(ash.take().concat()[0], 0x81);
    }

    #[test]
    fn a_host_that_is_not_ready_is_spared() {
        let mut ash = connected();
        ash.hear(START, &wire(&[0x88]));
        ash.send(vec![1]);
        ash.run(START);
        assert!(ash.take().is_empty());
        ash.run(SPARES);
        assert_eq!(ash.take().len(), 1);
    }

    #[test]
    fn a_frame_without_an_end_is_dropped() {
        let mut ash = connected();
        assert!(ash.hear(START, &vec![0x55; 5000]).is_empty());
        assert!(ash.heard.len() <= LONGEST);
        ash.hear(START, &[FLAG]);
        assert_eq!(ash.hear(START, &wire(&[0x00, 0x42])), [Got::Data(vec![0])]);
    }
}
