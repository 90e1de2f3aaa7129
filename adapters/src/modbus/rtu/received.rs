//! Finds the answer among what has come in: after stray bytes, which a line brings when it turns round, among replies to
//! others, and behind an echo. Pure.
//!
//! A frame is found by its header and checksum, at whatever byte it begins. While an earlier byte may still be the
//! beginning of a longer frame, what was found could be a part of that one's data: it counts once the line has fallen
//! silent, because a frame has no pauses (Modbus over Serial Line V1.02, 2.5.1.1).

use std::ops::Range;

use super::frame::{self, EXCEPTION, crc};
use crate::modbus::codec::Ask;

/// Before an exception, which is short enough to be found by chance, there are no more stray bytes than this.
const GLITCH: usize = 4;

/// What has come in so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes are missing at least.
    More(usize),
    /// A frame of somebody else's exchange: a late reply.
    Foreign(Range<usize>),
    /// The answer.
    Ours(Range<usize>),
    /// The answer, if nothing follows it.
    Perhaps(Range<usize>),
    /// The answer with a wrong checksum, if nothing follows it.
    Damaged,
}

/// What may begin with the first of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// A frame of so many bytes, of which all are there.
    Frame(usize),
    /// A frame of which so many bytes are missing at least.
    More(usize),
    Nothing,
}

/// What the bytes since the request mean, without an echo.
pub(crate) fn progress(ask: &Ask, bytes: &[u8]) -> Progress {
    let (mut missing, mut damaged) = (None, false);
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        match shape(rest) {
            Shape::Nothing => {}
            Shape::More(count) => _ = missing.get_or_insert(count),
            Shape::Frame(length) => {
                let frame = rest.get(..length).unwrap_or_default();
                let (ours, whole) = (is_answer(ask, frame), is_whole(frame));
                damaged |= ours && !whole && length > EXCEPTION;
                let chance = length == EXCEPTION && at > GLITCH;
                match (whole, ours && !chance, missing) {
                    (true, true, None) => return Progress::Ours(at..at + length),
                    (true, true, Some(_)) => return Progress::Perhaps(at..at + length),
                    (true, false, None) if !chance => return Progress::Foreign(at..at + length),
                    _ => {}
                }
            }
        }
    }
    if damaged { Progress::Damaged } else { Progress::More(missing.unwrap_or(1)) }
}

/// The whole frames with which some bytes begin, without their checksums.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let Shape::Frame(length) = shape(rest) else { return None };
        let (frame, others) = rest.split_at_checked(length).filter(|(frame, _)| is_whole(frame))?;
        rest = others;
        frame.split_last_chunk::<2>().map(|(body, _)| body)
    })
}

/// Where the bytes of the request stand among those that have come in.
pub(crate) fn echo(request: &[u8], bytes: &[u8]) -> Option<Range<usize>> {
    let at = bytes.windows(request.len().max(1)).position(|window| window == request)?;
    Some(at..at + request.len())
}

/// Whether all that has come in may be the beginning of an echo.
pub(crate) fn may_be_echo(request: &[u8], bytes: &[u8]) -> bool {
    bytes.len() < request.len() && request.starts_with(bytes)
}

fn shape(bytes: &[u8]) -> Shape {
    let [_, code, rest @ ..] = bytes else { return Shape::More(EXCEPTION.saturating_sub(bytes.len())) };
    let length = match (code, rest.first()) {
        (0x81..=0x86 | 0x8f | 0x90 | 0x96 | 0x97, Some(1..)) => EXCEPTION,
        (1..=4 | 23 | 0x81..=0x86 | 0x8f | 0x90 | 0x96 | 0x97, None) => {
            return Shape::More(EXCEPTION.saturating_sub(bytes.len()));
        }
        (1 | 2, Some(count @ 1..=250)) => EXCEPTION + usize::from(*count),
        (3 | 4 | 23, Some(count @ 2..=250)) if count % 2 == 0 => EXCEPTION + usize::from(*count),
        (5 | 6 | 15 | 16, _) => 8,
        (22, _) => 10,
        _ => return Shape::Nothing,
    };
    match length.checked_sub(bytes.len()) {
        None | Some(0) => Shape::Frame(length),
        Some(missing) => Shape::More(missing),
    }
}

fn is_whole(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, sum)| crc(body) == u16::from_le_bytes(*sum))
}

/// Whether it is of the unit and function that was asked, and as long as an answer has to be. Without an address in it, a
/// late reply to another read shows in nothing but its length.
fn is_answer(ask: &Ask, frame: &[u8]) -> bool {
    let [unit, code, ..] = frame else { return false };
    let asked = frame::function(&ask.query);
    let fits = *code == asked | 0x80 || (*code == asked && frame.len() == frame::answer_length(&ask.query));
    *unit == ask.unit && fits
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use usp_mapping::mapping::ModbusTable;

    use super::*;
    use crate::modbus::codec::Query;
    use crate::modbus::poll::Block;

    fn read(table: ModbusTable, address: u16, count: u16) -> Ask {
        let query = Query::Read(Block::new(table, address, count).into());
        Ask {
            unit: 17,
            timeout: Duration::from_secs(1),
            pause: Duration::ZERO,
            round: 0,
            query,
            mapped: None,
            until: None,
        }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc(body).to_le_bytes()].concat()
    }

    fn found(ask: &Ask, bytes: &[u8]) -> Option<Range<usize>> {
        match progress(ask, bytes) {
            Progress::Ours(frame) | Progress::Perhaps(frame) => Some(frame),
            Progress::More(_) | Progress::Foreign(_) | Progress::Damaged => None,
        }
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let ask = read(ModbusTable::Holding, 0x6b, 3);
        let answer = framed(&[17, 3, 6, 2, 0x2b, 0, 0, 0, 0x64]);
        for cut in 0..answer.len() {
            let is = progress(&ask, &answer[..cut]);
            assert!(matches!(is, Progress::More(n) if n <= answer.len() - cut), "{cut}: {is:?}");
        }
        assert_eq!(progress(&ask, &answer), Progress::Ours(0..11));
        assert_eq!(progress(&ask, &framed(&[17, 0x83, 2])), Progress::Ours(0..5));
    }

    #[test]
    fn stray_bytes_before_an_answer_do_no_harm() {
        for count in 1..=4u8 {
            let ask = read(ModbusTable::Holding, 0, count.into());
            let body: Vec<_> =
                [17, 3, 2 * count].into_iter().chain((0..2 * count).map(|n| n ^ 0xa5)).collect();
            for answer in [framed(&body), framed(&[17, 0x83, 2])] {
                for stray in 0..=255 {
                    for others in [vec![], vec![0], vec![17], vec![0xff, 0]] {
                        let stray = [vec![stray], others].concat();
                        let bytes = [stray.as_slice(), &answer].concat();
                        assert_eq!(found(&ask, &bytes), Some(stray.len()..bytes.len()), "{bytes:?}");
                    }
                }
            }
        }
    }

    /// Unit 18 has a register block that reads like an answer of unit 17.
    #[test]
    fn an_answer_within_another_frame_is_none() {
        let ask = read(ModbusTable::Holding, 0, 1);
        let inner = framed(&[17, 3, 2, 0xde, 0xad]);
        let outer = framed(&[[18, 3, 8].as_slice(), &inner, &[0]].concat());
        for cut in 0..outer.len() {
            let is = progress(&ask, &outer[..cut]);
            assert!(!matches!(is, Progress::Ours(_) | Progress::Foreign(_)), "{cut}: {is:?}");
        }
        assert_eq!(progress(&ask, &outer), Progress::Foreign(0..outer.len()));
    }

    #[test]
    fn what_belongs_to_another_exchange_is_told_apart() {
        let ask = read(ModbusTable::Holding, 0, 2);
        for foreign in [
            framed(&[18, 3, 4, 0, 1, 0, 2]),
            framed(&[17, 4, 4, 0, 1, 0, 2]),
            framed(&[17, 3, 2, 0, 1]),
            framed(&[17, 6, 0, 1, 0, 3]),
            framed(&[17, 0x84, 2]),
        ] {
            assert_eq!(progress(&ask, &foreign), Progress::Foreign(0..foreign.len()), "{foreign:?}");
        }
    }

    #[test]
    fn whole_frames_are_taken_from_the_beginning() {
        let (one, two) = (framed(&[1, 3, 2, 0, 1]), framed(&[2, 0x83, 2]));
        let bytes = [one.as_slice(), &two, &[7, 7]].concat();
        assert_eq!(frames(&bytes).collect::<Vec<_>>(), [&one[..5], &two[..3]]);
        assert_eq!(frames(&bytes[1..]).count(), 0);
    }

    #[test]
    fn damage_is_seen_and_noise_is_waited_through() {
        let ask = read(ModbusTable::Holding, 0, 2);
        let mut answer = framed(&[17, 3, 4, 0, 1, 0, 2]);
        answer[4] ^= 1;
        assert_eq!(progress(&ask, &answer), Progress::Damaged);
        for noise in [&[17, 0x45, 0, 0, 0][..], &[0; 8]] {
            assert!(matches!(progress(&ask, noise), Progress::More(_)), "{noise:?}");
        }
    }

    #[test]
    fn an_echo_is_found_behind_a_stray_byte() {
        let request = frame::request(&read(ModbusTable::Holding, 0, 2));
        assert!(may_be_echo(&request, &request[..5]) && !may_be_echo(&request, &[0]));
        assert_eq!(echo(&request, &[&[0], request.as_slice(), &[17]].concat()), Some(1..9));
        assert_eq!(echo(&request, &request[..7]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let ask = read(ModbusTable::Holding, 0, 2);
            if let Progress::Foreign(frame) | Progress::Ours(frame) | Progress::Perhaps(frame) = progress(&ask, &bytes) {
                proptest::prop_assert!(!frame.is_empty() && frame.end <= bytes.len());
            }
        }
    }
}
