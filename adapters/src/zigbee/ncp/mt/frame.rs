//! Frames of TI's monitor and test interface: SOF, length, two bytes of command, data, and the exclusive-or of all but the SOF.

use std::collections::VecDeque;

/// Begins a frame.
const SOF: u8 = 0xfe;
/// Most data bytes.
pub(crate) const MAX_DATA: usize = 250;
/// SOF, length, command and checksum.
const AROUND: usize = 5;

/// A frame as it is on the line. `None`: it is too long, or has no command.
pub(super) fn encode(frame: &[u8]) -> Option<Vec<u8>> {
    let length = frame.len().checked_sub(2).filter(|length| *length <= MAX_DATA)?;
    let length = u8::try_from(length).ok()?;
    let mut bytes = vec![SOF, length];
    bytes.extend_from_slice(frame);
    bytes.push(checksum(length, frame));
    Some(bytes)
}

fn checksum(length: u8, frame: &[u8]) -> u8 {
    frame.iter().fold(length, |sum, byte| sum ^ byte)
}

/// Cuts bytes into frames: command and data. What is no frame is passed over, up to the next byte that may begin one. Holds
/// what one frame has at most.
#[derive(Debug, Default)]
pub(super) struct Reader {
    held: VecDeque<u8>,
    /// Runs of bytes that were no frame.
    pub(super) garbled: u64,
    /// What came last was none.
    is_within_run: bool,
}

impl Reader {
    /// Takes one byte; [`next`](Self::next) must be asked before the next one.
    pub(super) fn take(&mut self, byte: u8) {
        self.held.push_back(byte);
    }

    /// Whether a frame has begun.
    pub(super) fn is_within(&self) -> bool {
        !self.held.is_empty()
    }

    /// What has begun goes on no more: it was no frame, but there may be one in it.
    pub(super) fn give_up(&mut self) {
        self.skip();
        self.pause();
    }

    /// What comes now is not of what came before, unless that has begun a frame.
    pub(super) fn pause(&mut self) {
        self.is_within_run &= self.is_within();
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match (*self.held.front()?, self.held.get(1).copied()) {
                (SOF, None) => return None,
                (SOF, Some(length)) if usize::from(length) <= MAX_DATA => {
                    let whole = usize::from(length) + AROUND;
                    if self.held.len() < whole {
                        return None;
                    }
                    let frame: Vec<u8> = self.held.range(2..whole - 1).copied().collect();
                    if self.held.get(whole - 1) == Some(&checksum(length, &frame)) {
                        self.held.drain(..whole);
                        self.is_within_run = false;
                        return Some(frame);
                    }
                    self.skip();
                }
                _ => self.skip(),
            }
        }
    }

    /// Passes over a byte that begins no frame, and all that cannot either.
    fn skip(&mut self) {
        self.held.pop_front();
        self.garbled += u64::from(!std::mem::replace(&mut self.is_within_run, true));
        while self.held.front().is_some_and(|byte| *byte != SOF) {
            self.held.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut reader, mut frames) = (Reader::default(), Vec::new());
        for byte in bytes {
            reader.take(*byte);
            while let Some(frame) = reader.next() {
                frames.push(frame);
            }
            assert!(reader.held.len() < MAX_DATA + AROUND);
        }
        frames
    }

    /// Frames as coordinators and hosts have exchanged them.
    #[test]
    fn known_frames_are_read_and_written() {
        for bytes in [
            // SYS_PING and its answer; an answer to SYS_OSAL_NV_READ.
            vec![0xfe, 0x00, 0x21, 0x01, 0x20],
            vec![0xfe, 0x02, 0x61, 0x01, 0x11, 0x00, 0x73],
            vec![0xfe, 0x03, 0x61, 0x08, 0x00, 0x01, 0x55, 0x3e],
        ] {
            let frame = &bytes[2..bytes.len() - 1];
            assert_eq!(encode(frame), Some(bytes.clone()));
            assert_eq!(read(&bytes), [frame]);
        }
        assert_eq!(encode(&[0x21]), None);
        assert_eq!(encode(&[0; MAX_DATA + 3]), None);
    }

    #[test]
    fn a_frame_is_found_behind_and_within_what_is_none() {
        let good = [0xfe, 0x02, 0x61, 0x01, 0x11, 0x00, 0x73];
        let frames = [vec![0x61, 0x01, 0x11, 0x00]];
        assert_eq!(read(&[&[0x00, 0xff, 0xfe, 0xfe], &good[..]].concat()), frames);
        // A length that is none, and a checksum that is wrong.
        assert_eq!(read(&[&[0xfe, 0xff], &good[..]].concat()), frames);
        assert_eq!(read(&[&[0xfe, 0x02, 0x61, 0x01, 0x11, 0x00, 0x74], &good[..]].concat()), frames);
        // One that was cut off; what follows completes it in vain.
        let cut = [&[0xfe, 0x04, 0x61, 0x01], &good[..], &good[..]].concat();
        assert_eq!(read(&cut).last(), Some(&frames[0]));
    }

    #[test]
    fn what_has_broken_off_is_given_up() {
        let mut reader = Reader::default();
        for byte in [0xfe, 0xf0, 0xfe, 0x02, 0x61, 0x01, 0x11, 0x00, 0x73] {
            reader.take(byte);
            assert_eq!(reader.next(), None);
        }
        reader.give_up();
        assert_eq!(reader.next(), Some(vec![0x61, 0x01, 0x11, 0x00]));
        assert_eq!((reader.is_within(), reader.garbled), (false, 1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_behind_anything(
            before in proptest::collection::vec(any::<u8>().prop_filter("begins no frame", |byte| *byte != SOF), 0..300),
            frame in proptest::collection::vec(any::<u8>(), 2..=MAX_DATA + 2),
        ) {
            let bytes = [before, encode(&frame).unwrap()].concat();
            prop_assert_eq!(read(&bytes), [frame]);
        }

        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(prop_oneof![Just(SOF), any::<u8>()], 0..3000)) {
            for frame in read(&bytes) {
                prop_assert!(frame.len() >= 2);
            }
        }
    }
}
