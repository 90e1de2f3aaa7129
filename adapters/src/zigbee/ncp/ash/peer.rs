//! The other side of a line with ASH, for tests.

use std::collections::VecDeque;

use super::SOFTWARE;
use super::frame::{Frame, Heard, Reader};

/// The coordinator's side, as far as it is needed: what UG101 says that it does, simple and slow.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    reader: Reader,
    expected: u8,
    next: u8,
    /// Not acknowledged yet, or not sent yet, with whether it was sent.
    queue: VecDeque<(u8, Vec<u8>, bool)>,
    pub(crate) got: Vec<Vec<u8>>,
    pub(crate) out: Vec<u8>,
    /// How often it was reset.
    pub(crate) resets: u32,
}

impl Peer {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match self.reader.take(*byte) {
                Some(Heard::Frame(Frame::Rst)) => {
                    *self = Self {
                        got: std::mem::take(&mut self.got),
                        resets: self.resets + 1,
                        ..Self::default()
                    };
                    self.out.extend(Frame::RstAck { version: 2, code: SOFTWARE }.encode());
                }
                Some(Heard::Frame(Frame::Data { number, ack, again, data })) => {
                    self.acknowledged(ack);
                    if number == self.expected {
                        self.expected = (number + 1) % 8;
                        self.got.push(data);
                        self.out.extend(Frame::Ack { ack: self.expected }.encode());
                    } else if again {
                        self.out.extend(Frame::Ack { ack: self.expected }.encode());
                    } else {
                        self.out.extend(Frame::Nak { ack: self.expected }.encode());
                    }
                }
                Some(Heard::Frame(Frame::Ack { ack } | Frame::Nak { ack })) => self.acknowledged(ack),
                Some(Heard::Broken) => self.out.extend(Frame::Nak { ack: self.expected }.encode()),
                _ => {}
            }
        }
    }

    fn acknowledged(&mut self, ack: u8) {
        while self.queue.front().is_some_and(|(number, _, sent)| *sent && (ack + 8 - number) % 8 == 1) {
            self.queue.pop_front();
        }
    }

    pub(crate) fn say(&mut self, data: Vec<u8>) {
        self.queue.push_back((self.next, data, false));
        self.next = (self.next + 1) % 8;
    }

    /// Sends the oldest frame, again if need be.
    pub(crate) fn tick(&mut self) {
        if let Some((number, data, sent)) = self.queue.front_mut() {
            let again = std::mem::replace(sent, true);
            let frame = Frame::Data { number: *number, ack: self.expected, again, data: data.clone() };
            self.out.extend(frame.encode());
        }
    }

    /// Sends a frame that was not sent yet, if its turn has come.
    pub(crate) fn advance(&mut self) {
        if self.queue.front().is_some_and(|(_, _, sent)| !sent) {
            self.tick();
        }
    }

    /// Something that is said without a number: that it has reset itself, or given up.
    pub(crate) fn blurt(&mut self, error: bool, code: u8) {
        let frame =
            if error { Frame::Error { version: 2, code } } else { Frame::RstAck { version: 2, code } };
        self.out.extend(frame.encode());
    }
}
