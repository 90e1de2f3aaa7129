//! What EZSP frames are like (UG100, UG600): the header, and which frame answers which.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::Ieee;
use super::super::bytes::Read;
use super::super::hub::{Backlog, Hub};
use super::super::link::{Dialect, Heard, Request};
use super::word;

/// The frame control byte says that a frame is the coordinator's.
const RESPONSE: u8 = 0x80;
/// It says that callbacks were dropped, because there was no room for them.
const OVERFLOW: u8 = 0x01;
/// It says that a part of the frame is missing.
const TRUNCATED: u8 = 0x02;
/// It says that nothing was asked: a callback, by itself or when asked for callbacks.
const CALLBACK: u8 = 0x18;
/// The second frame control byte: the format of protocol 8 and later.
const FORMAT: u8 = 0x01;
/// What a coordinator answers to what it does not know.
const INVALID_COMMAND: u16 = 0x0058;
/// Agrees on a version.
const VERSION: u16 = 0x0000;
/// Does nothing.
const NOP: u16 = 0x0005;

/// The protocol's version, 0 until it is agreed on: the command `version` goes in the old format, by which every coordinator
/// understands it.
#[derive(Clone, Debug, Default)]
pub(super) struct Version(Arc<AtomicU8>);

impl Version {
    pub(super) fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, version: u8) {
        self.0.store(version, Ordering::Relaxed);
    }
}

pub(super) struct Ezsp {
    pub(super) hub: Arc<Hub>,
    pub(super) version: Version,
    /// Who joined anew: whoever forgets the keys of before.
    joined: mpsc::Sender<Ieee>,
    /// Number and frame ID of the request that is under way.
    asked: (u8, u16),
    /// How often it had no room for what it heard.
    overflows: u64,
    /// Those that were not told yet.
    untold: u64,
}

impl Ezsp {
    pub(super) fn new(hub: &Arc<Hub>, version: &Version, joined: mpsc::Sender<Ieee>) -> Self {
        Self {
            hub: Arc::clone(hub),
            version: version.clone(),
            joined,
            asked: (0, 0),
            overflows: 0,
            untold: 0,
        }
    }

    /// Reports, and what became of messages, may be lost.
    fn overflowed(&mut self) {
        if self.overflows.is_multiple_of(100) {
            tracing::warn!("a Zigbee coordinator had no room for what it heard; some of it is lost");
        }
        self.overflows += 1;
        self.untold += 1;
    }

    fn heard(&mut self, frame: &[u8]) -> Option<Heard> {
        let mut read = Read(frame);
        let (number, control) = (read.u8()?, read.u8()?);
        let old = self.version.get() == 0;
        let id = if old {
            u16::from(read.u8()?)
        } else {
            let (_, id) = (read.u8().filter(|format| format & 3 == FORMAT)?, read.u16()?);
            id
        };
        let body = || read.rest().to_vec();
        if control & (RESPONSE | OVERFLOW) == RESPONSE | OVERFLOW {
            self.overflowed();
        }
        match id {
            _ if control & RESPONSE == 0 || control & TRUNCATED != 0 => None,
            _ if !old && control & CALLBACK != 0 => Some(Heard::Word(id, body())),
            _ if number != self.asked.0 => None,
            INVALID_COMMAND => Some(Heard::Unknown),
            id if id == self.asked.1 => Some(Heard::Answer(body())),
            _ => None,
        }
    }
}

impl Dialect for Ezsp {
    fn reset(&mut self) {
        self.version.set(0);
    }

    fn may(&self, request: &Request) -> bool {
        self.version.get() != 0 || request.id == VERSION
    }

    fn request(&mut self, request: &Request) -> Vec<u8> {
        self.asked = (self.asked.0.wrapping_add(1), request.id);
        let [low, high] = request.id.to_le_bytes();
        let mut frame = match self.version.get() {
            0 => vec![self.asked.0, 0, low],
            _ => vec![self.asked.0, 0, FORMAT, low, high],
        };
        frame.extend_from_slice(&request.body);
        frame
    }

    fn read(&mut self, frame: Vec<u8>) -> Heard {
        self.heard(&frame).unwrap_or(Heard::Stray)
    }

    fn probe(&self) -> Request {
        Request { id: NOP, body: Vec::new(), within: Duration::ZERO, by: None }
    }

    fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    fn word(&mut self, id: u16, body: &[u8], events: &mut Backlog) {
        if let Some(ieee) = word::joined_anew(id, body)
            && self.joined.try_send(ieee).is_err()
        {
            tracing::debug!(%ieee, "a key of before is not looked for");
        }
        if word::word(self.version.get(), &self.hub, id, body, events).is_none() {
            tracing::debug!(id, "a Zigbee coordinator said something that is cut short");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(dialect: &mut Ezsp, id: u16, body: &[u8]) -> Vec<u8> {
        dialect.request(&Request { id, body: body.to_vec(), within: Duration::ZERO, by: None })
    }

    fn answer(heard: Heard) -> Option<Vec<u8>> {
        match heard {
            Heard::Answer(body) => Some(body),
            _ => None,
        }
    }

    #[test]
    fn the_version_is_asked_in_the_old_format_and_all_else_in_the_new() {
        let version = Version::default();
        let mut dialect = Ezsp::new(&Hub::new(), &version, mpsc::channel(1).0);
        dialect.asked.0 = 0xff;
        assert_eq!(ask(&mut dialect, 0, &[13]), [0, 0, 0, 13]);
        // As recorded: protocol 13, stack type 2, stack version 7.4.1.0.
        let heard = dialect.read(vec![0, 0x80, 0, 13, 2, 0x10, 0x74]);
        assert_eq!(answer(heard), Some(vec![13, 2, 0x10, 0x74]));
        version.set(13);
        // setPolicy and its answer, as recorded with protocol 14.
        dialect.asked.0 = 0x4e;
        assert_eq!(ask(&mut dialect, 0x55, &[0, 3]), [0x4f, 0, 1, 0x55, 0, 0, 3]);
        let heard = dialect.read(vec![0x4f, 0x80, 0x01, 0x55, 0x00, 0, 0, 0, 0]);
        assert_eq!(answer(heard), Some(vec![0, 0, 0, 0]));
    }

    #[test]
    fn no_other_frame_is_an_answer() {
        let version = Version::default();
        version.set(13);
        let mut dialect = Ezsp::new(&Hub::new(), &version, mpsc::channel(1).0);
        ask(&mut dialect, 0x55, &[]);
        for stray in [
            // Of another number, another ID, a command, another format, cut short.
            &[0, 0x80, 1, 0x55, 0, 0][..],
            &[1, 0x80, 1, 0x56, 0, 0],
            &[1, 0x00, 1, 0x55, 0, 0],
            &[1, 0x80, 0, 0x55, 0, 0],
            &[1, 0x80, 1, 0x55],
            // A part is missing.
            &[1, 0x82, 1, 0x55, 0, 0],
            &[],
        ] {
            assert!(matches!(dialect.read(stray.to_vec()), Heard::Stray), "{stray:?}");
        }
        assert_eq!(dialect.overflows, 0);
        assert!(matches!(dialect.read(vec![1, 0x91, 1, 0x3f, 0, 0]), Heard::Word(0x3f, _)));
        assert_eq!((dialect.overflows, dialect.dropped(), dialect.dropped()), (1, 1, 0));
        assert!(matches!(dialect.read(vec![1, 0x90, 1, 0x55, 0, 0]), Heard::Word(0x55, _)));
        assert!(matches!(dialect.read(vec![1, 0x80, 1, 0x58, 0, 0x36]), Heard::Unknown));
    }
}
