//! Two sides of a line that loses, doubles, spoils and cuts.

use proptest::prelude::*;

use super::peer::Peer;
use super::*;

fn connected(now: Instant) -> Ash {
    let mut ash = Ash::new(now);
    ash.reset(now);
    ash.hear(now, &Frame::RstAck { version: 2, code: SOFTWARE }.encode());
    assert_eq!(ash.event(), Some(Event::Ready));
    ash.output();
    ash
}

fn after(now: Instant, milliseconds: u64) -> Instant {
    now + Duration::from_millis(milliseconds)
}

fn data(number: u8, ack: u8, again: bool) -> Vec<u8> {
    Frame::Data { number, ack, again, data: vec![number, 1, 2] }.encode()
}

#[test]
fn a_reset_is_asked_for_until_it_is_told_of() {
    let now = Instant::now();
    let mut ash = Ash::new(now);
    ash.reset(now);
    assert_eq!(ash.output(), [0x1a, 0xc0, 0x38, 0xbc, 0x7e]);
    // Frames of before.
    ash.hear(now, &data(3, 0, false));
    assert_eq!((ash.event(), ash.output()), (None, vec![]));
    let mut now = now;
    for _ in 1..RESETS {
        now = ash.wake().unwrap();
        ash.tick(now);
        assert_eq!(ash.output(), [0x1a, 0xc0, 0x38, 0xbc, 0x7e]);
    }
    ash.tick(ash.wake().unwrap());
    assert!(matches!(ash.event(), Some(Event::Gone(why)) if why.contains("does not answer")));
    assert_eq!(ash.wake(), None);
    ash.reset(now);
    ash.hear(now, &[0xc1, 2, 0x0b, 0x0a, 0x52, 0x7e]);
    assert_eq!(ash.event(), Some(Event::Ready));
}

#[test]
fn a_reset_by_opening_the_port_is_not_taken_for_another_one() {
    let now = Instant::now();
    let mut ash = Ash::new(now);
    ash.reset(now);
    ash.hear(now, &Frame::RstAck { version: 2, code: 2 }.encode());
    assert_eq!(ash.event(), None);
    let mut impatient = Ash::new(now);
    impatient.reset(now);
    impatient.hear(now, &Frame::RstAck { version: 2, code: 2 }.encode());
    ash.hear(after(now, 100), &Frame::RstAck { version: 2, code: SOFTWARE }.encode());
    assert_eq!(ash.event(), Some(Event::Ready));
    // That of the port alone is enough, in the end.
    impatient.tick(impatient.wake().unwrap());
    assert_eq!(impatient.event(), Some(Event::Ready));
}

#[test]
fn a_reset_that_was_asked_for_twice_may_be_told_of_twice() {
    let now = Instant::now();
    let rst_ack = Frame::RstAck { version: 2, code: SOFTWARE }.encode();
    let mut ash = connected(now);
    ash.say(now, vec![9, 1, 2]);
    let sent = ash.output();
    ash.hear(now, &rst_ack);
    assert_eq!((ash.event(), ash.output()), (None, sent));
    ash.hear(now, &Frame::Ack { ack: 1 }.encode());
    ash.hear(now, &rst_ack);
    assert!(matches!(ash.event(), Some(Event::Gone(why)) if why.contains("reset itself (by software)")));
}

/// It is sent again until it has come: it is counted, and nothing is lost.
#[test]
fn what_is_damaged_is_counted() {
    let now = Instant::now();
    let mut ash = connected(now);
    let whole = Frame::Data { number: 0, ack: 0, again: false, data: vec![1, 2, 3] }.encode();
    let mut spoilt = whole.clone();
    spoilt[2] ^= 0x01;
    ash.hear(now, &spoilt);
    assert_eq!((ash.event(), ash.garbled(), ash.garbled()), (None, 1, 0));
    ash.hear(now, &whole);
    assert_eq!((ash.event(), ash.garbled()), (Some(Event::Frame(vec![1, 2, 3])), 0));
}

#[test]
fn resets_and_errors_are_told_in_words() {
    let now = Instant::now();
    for (frame, words) in [
        (Frame::RstAck { version: 2, code: 3 }, "has reset itself (its watchdog found it hanging)"),
        (Frame::Error { version: 2, code: 0x51 }, "has given up (it was not acknowledged to"),
        (Frame::Error { version: 2, code: 0x99 }, "has given up (code 0x99)"),
    ] {
        let mut ash = connected(now);
        ash.say(now, vec![1, 2, 3]);
        ash.hear(now, &frame.encode());
        assert!(matches!(ash.event(), Some(Event::Gone(why)) if why.contains(words)), "{words}");
        ash.output();
        ash.say(now, vec![1, 2, 3]);
        assert_eq!((ash.output(), ash.wake()), (vec![], None));
    }
    let mut ash = Ash::new(now);
    ash.reset(now);
    ash.hear(now, &Frame::RstAck { version: 3, code: SOFTWARE }.encode());
    assert!(matches!(ash.event(), Some(Event::Gone(why)) if why.contains("version 3 of ASH")));
}

/// What a real coordinator said and was said to: the version command and its answer.
#[test]
fn the_first_command_is_as_recorded() {
    let now = Instant::now();
    let mut ash = connected(now);
    ash.say(now, vec![0, 0, 0, 13]);
    assert_eq!(ash.output(), [0x00, 0x42, 0x21, 0xa8, 0x59, 0x7c, 0x05, 0x7e]);
    ash.hear(now, &[0x01, 0x42, 0xa1, 0xa8, 0x59, 0x28, 0x05, 0xc6, 0xa8, 0x77, 0x7e]);
    assert_eq!(ash.event(), Some(Event::Frame(vec![0, 0x80, 0, 13, 2, 0x10, 0x74])));
    assert_eq!(ash.output(), [0x81, 0x60, 0x59, 0x7e]);
    assert_eq!(ash.wake(), None);
}

#[test]
fn patience_follows_the_other_side() {
    let now = Instant::now();
    let mut ash = connected(now);
    ash.say(now, vec![1, 2, 3]);
    assert_eq!(ash.wake(), Some(now + ACK.0));
    ash.hear(after(now, 200), &Frame::Ack { ack: 1 }.encode());
    // 7/8 of 1600 and half of 200.
    assert_eq!(ash.patience, Duration::from_millis(1500));
    for number in 1..40_u8 {
        ash.say(now, vec![1, 2, 3]);
        ash.hear(after(now, 1), &Frame::Ack { ack: (number + 1) % 8 }.encode());
    }
    assert_eq!(ash.patience, ACK.1);
    ash.say(now, vec![1, 2, 3]);
    ash.tick(now + ACK.1);
    assert_eq!(ash.patience, ACK.1 * 2);
    let again = ash.output();
    assert_eq!(again[again.len() - 8] & 8, 8, "it is marked as sent again");
    // Nothing is learnt from a frame that was sent twice.
    ash.hear(now + ACK.1 * 2, &Frame::Ack { ack: 1 }.encode());
    assert_eq!(ash.patience, ACK.1 * 2);
}

#[test]
fn whoever_acknowledges_nothing_is_gone() {
    let mut now = Instant::now();
    let mut ash = connected(now);
    ash.say(now, vec![1, 2, 3]);
    for _ in 0..LOST_ACKS {
        assert_eq!(ash.event(), None);
        now = ash.wake().unwrap();
        ash.tick(now);
    }
    assert!(matches!(ash.event(), Some(Event::Gone(why)) if why.contains("acknowledges nothing")));
}

#[test]
fn frames_out_of_order_are_wanted_again_once() {
    let now = Instant::now();
    let mut ash = connected(now);
    ash.hear(now, &data(1, 0, false));
    assert_eq!(ash.output(), Frame::Nak { ack: 0 }.encode());
    ash.hear(now, &data(2, 0, false));
    assert_eq!((ash.output(), ash.event()), (vec![], None));
    ash.hear(now, &[data(0, 0, true), data(1, 0, true)].concat());
    assert_eq!(ash.output(), [Frame::Ack { ack: 1 }.encode(), Frame::Ack { ack: 2 }.encode()].concat());
    assert_eq!(ash.event(), Some(Event::Frame(vec![0, 1, 2])));
    assert_eq!(ash.event(), Some(Event::Frame(vec![1, 1, 2])));
    // Its acknowledgement was lost.
    ash.hear(now, &data(1, 0, true));
    assert_eq!((ash.output(), ash.event()), (Frame::Ack { ack: 2 }.encode(), None));
    // What acknowledges what was never sent is broken.
    ash.hear(now, &data(2, 4, false));
    assert_eq!((ash.output(), ash.event()), (Frame::Nak { ack: 2 }.encode(), None));
}

#[test]
fn a_nak_brings_the_frame_again() {
    let now = Instant::now();
    let mut ash = connected(now);
    ash.say(now, vec![9, 1, 2]);
    ash.output();
    ash.hear(now, &Frame::Nak { ack: 0 }.encode());
    assert_eq!(ash.output(), Frame::Data { number: 0, ack: 0, again: true, data: vec![9, 1, 2] }.encode());
}

#[test]
fn nothing_is_sent_while_the_other_side_wants_nothing() {
    let now = Instant::now();
    let mut ash = connected(now);
    ash.hear(now, &[frame::XOFF]);
    ash.say(now, vec![9, 1, 2]);
    assert_eq!(ash.output(), []);
    ash.hear(now, &[frame::XON]);
    assert!(!ash.output().is_empty());
    let mut ash = connected(now);
    ash.hear(now, &[frame::XOFF]);
    ash.say(now, vec![9, 1, 2]);
    // An XON that was lost does not hold it up for ever.
    ash.tick(ash.wake().unwrap());
    assert!(!ash.output().is_empty());
}

#[test]
fn what_waits_is_bounded() {
    let now = Instant::now();
    let mut ash = connected(now);
    for _ in 0..100 {
        ash.say(now, vec![1, 2, 3]);
    }
    assert!(ash.waiting.len() <= QUEUE && ash.sent.len() <= WINDOW);
}

/// What a line does to a piece of bytes.
#[derive(Clone, Debug)]
enum Trouble {
    None,
    Lose,
    Double,
    Spoil(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        6 => Just(Trouble::None),
        1 => Just(Trouble::Lose),
        1 => Just(Trouble::Double),
        1 => (any::<prop::sample::Index>(), 1..=255_u8).prop_map(|(at, by)| Trouble::Spoil(at, by)),
        1 => any::<prop::sample::Index>().prop_map(Trouble::Cut),
    ]
}

fn suffer(mut bytes: Vec<u8>, trouble: &Trouble) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    match trouble {
        Trouble::None => {}
        Trouble::Lose => bytes.clear(),
        Trouble::Double => bytes.extend_from_within(..),
        Trouble::Spoil(at, by) => {
            let at = at.index(bytes.len());
            bytes[at] ^= by;
        }
        Trouble::Cut(at) => bytes.truncate(at.index(bytes.len())),
    }
    bytes
}

type Words = Vec<Vec<u8>>;

/// What each side got, once the line has become good.
fn converse(troubles: &[(Trouble, Trouble)], words: &[Vec<u8>]) -> Result<(Words, Words), String> {
    let mut now = Instant::now();
    let (mut ash, mut peer) = (connected(now), Peer::default());
    let (mut got, mut said) = (Vec::new(), words.iter());
    for word in words {
        peer.say(word.clone());
    }
    for (out, back) in troubles.iter().chain(std::iter::repeat_n(&(Trouble::None, Trouble::None), 200)) {
        if ash.waiting.is_empty()
            && let Some(word) = said.next()
        {
            ash.say(now, word.clone());
        }
        peer.hear(&suffer(ash.output(), out));
        peer.tick();
        now = after(now, 50);
        for piece in suffer(std::mem::take(&mut peer.out), back).chunks(3) {
            ash.hear(now, piece);
        }
        ash.tick(now);
        while let Some(event) = ash.event() {
            match event {
                Event::Frame(data) => got.push(data),
                Event::Ready => return Err("reset".to_owned()),
                Event::Gone(why) => return Err(why),
            }
        }
    }
    Ok((got, peer.got))
}

proptest! {
    #[test]
    fn a_bad_line_loses_doubles_and_reorders_nothing(
        troubles in proptest::collection::vec((trouble(), trouble()), 0..60),
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 3..20), 1..12),
    ) {
        match converse(&troubles, &words) {
            Ok((got, heard)) => {
                prop_assert_eq!(&got, &words);
                prop_assert_eq!(&heard, &words);
            }
            // So bad that nobody could tell whether there is anybody.
            Err(why) => prop_assert!(why.contains("acknowledges nothing"), "{}", why),
        }
    }

    #[test]
    fn the_size_of_pieces_does_not_matter(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1..40_usize,
    ) {
        let now = Instant::now();
        let (mut whole, mut pieces) = (connected(now), connected(now));
        whole.hear(now, &bytes);
        for piece in bytes.chunks(size) {
            pieces.hear(now, piece);
        }
        prop_assert_eq!(whole.output(), pieces.output());
        prop_assert_eq!(whole.events, pieces.events);
    }
}
