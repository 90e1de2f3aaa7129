//! What requests and answers of MT are like: a request has an answer with the same command, in another type.

use std::sync::Arc;
use std::time::Duration;

use super::super::hub::{Backlog, Hub};
use super::super::link::{Dialect, Heard, Request};
use super::word;

/// Types of frames, in the upper bits of the first byte.
const TYPE: u16 = 0xe000;
const SREQ: u16 = 0x2000;
const AREQ: u16 = 0x4000;
const SRSP: u16 = 0x6000;

/// Answers what is not understood: why, and which command it was.
const NOT_UNDERSTOOD: u16 = 0x6000;

/// SYS_PING.
const PING: u16 = 0x2101;

pub(super) struct Znp {
    hub: Arc<Hub>,
    /// The request that is under way.
    asked: Option<u16>,
}

impl Znp {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self { hub: Arc::clone(hub), asked: None }
    }
}

impl Dialect for Znp {
    fn request(&mut self, request: &Request) -> Vec<u8> {
        self.asked = Some(request.id);
        let mut frame = request.id.to_be_bytes().to_vec();
        frame.extend_from_slice(&request.body);
        frame
    }

    fn read(&mut self, frame: Vec<u8>) -> Heard {
        let Some((head, body)) = frame.split_first_chunk::<2>() else { return Heard::Stray };
        let command = u16::from_be_bytes(*head);
        match (command, self.asked) {
            (NOT_UNDERSTOOD, Some(asked)) if body.get(1..3) == Some(&asked.to_be_bytes()) => {
                self.asked = None;
                Heard::Unknown
            }
            (command, Some(asked)) if command & TYPE == SRSP && command ^ asked == SRSP ^ SREQ => {
                self.asked = None;
                Heard::Answer(body.to_vec())
            }
            (command, _) if command & TYPE == AREQ => Heard::Word(command, body.to_vec()),
            _ => Heard::Stray,
        }
    }

    fn probe(&self) -> Request {
        Request { id: PING, body: Vec::new(), within: Duration::ZERO, by: None }
    }

    fn word(&mut self, id: u16, body: &[u8], events: &mut Backlog) {
        if word::word(&self.hub, id, body, events).is_none() {
            tracing::debug!(id, "a Zigbee coordinator said something that is cut short");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_command_of_its_request() {
        let mut dialect = Znp::new(&Hub::new());
        let request = Request { id: PING, body: vec![], within: Duration::ZERO, by: None };
        assert_eq!(dialect.request(&request), [0x21, 0x01]);
        assert!(matches!(dialect.read(vec![0x61, 0x02, 0]), Heard::Stray));
        assert!(matches!(dialect.read(vec![0x41, 0x01, 0]), Heard::Word(0x4101, _)));
        assert!(
            matches!(dialect.read(vec![0x61, 0x01, 0x79, 0x05]), Heard::Answer(body) if body == [0x79, 0x05])
        );
        // It has been answered.
        assert!(matches!(dialect.read(vec![0x61, 0x01, 0x79, 0x05]), Heard::Stray));
    }

    #[test]
    fn what_is_not_understood_is_known() {
        let mut dialect = Znp::new(&Hub::new());
        dialect.request(&Request { id: 0x2763, body: vec![], within: Duration::ZERO, by: None });
        assert!(matches!(dialect.read(vec![0x60, 0x00, 0x02, 0x21, 0x01]), Heard::Stray));
        assert!(matches!(dialect.read(vec![0x60, 0x00, 0x02, 0x27, 0x63]), Heard::Unknown));
    }
}
