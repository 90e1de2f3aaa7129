//! What is said unasked, and what somebody asks for meanwhile.

use usp_mapping::port::Freshness;

use super::*;
use crate::bus::fake::{FakeWord, told};

impl Bench {
    fn says(&mut self, word: FakeWord) {
        self.scheduler.handle_said(self.now, Said::Word(word));
    }

    /// The readings of the only reply.
    fn replied(&mut self) -> Readings {
        let replies = self.messages().into_iter().filter_map(|message| match message {
            FromAdapter::Reply(reply) => Some(reply),
            _ => None,
        });
        let [reply] = replies.collect::<Vec<_>>().try_into().expect("one reply");
        reply.outcome.unwrap()
    }
}

/// As the fake device remembers it.
fn past(point: u16, value: i64) -> Reading {
    let freshness = Freshness { contact: false, age: Some(1000 * MS) };
    Reading { point: PointId(point), result: Ok(number(value)), freshness }
}

fn now(point: u16, value: i64) -> Reading {
    Reading::now(PointId(point), Ok(number(value)))
}

#[test]
fn what_cannot_be_asked_for_is_what_was_said_last_when_the_reply_is_made() {
    let mut bench = Bench::connected(&[vec![told(), on_demand()]]);
    bench.says(FakeWord::shows(0, 5));
    bench.call(call(1, "a", read(&[0, 1])));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.says(FakeWord::shows(0, 6));
    bench.messages();
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.replied(), [past(0, 6), now(1, 1)]);
}

#[test]
fn a_write_in_between_takes_nothing_from_what_cannot_be_asked_for() {
    let heard = Capability { write: writable().write, ..told() };
    let mut bench = Bench::connected(&[vec![heard, on_demand(), on_demand(), on_demand()]]);
    bench.says(FakeWord::shows(0, 5));
    bench.call(call(1, "a", read(&[0, 1, 2, 3])));
    assert_eq!(bench.next().1, What::Read(vec![1, 2]));
    bench.call(call(2, "a", write(0, 8)));
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.next().1, What::Write(0, number(8)));
    bench.answer(FakeAnswer::Shows(0));
    bench.messages();
    assert_eq!(bench.next().1, What::Read(vec![3]));
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.replied(), [past(0, 5), now(1, 1), now(2, 1), now(3, 1)]);
}

#[test]
fn what_is_heard_while_others_are_asked_for_is_newer_than_what_was_read() {
    let mut bench = Bench::connected(&[vec![on_demand(), on_demand(), on_demand()]]);
    bench.call(call(1, "a", read(&[0, 1, 2])));
    assert_eq!(bench.next().1, What::Read(vec![0, 1]));
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.next().1, What::Read(vec![2]));
    bench.says(FakeWord::shows(0, 9));
    bench.says(FakeWord::kept(1, 7));
    bench.messages();
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.replied(), [now(0, 9), now(1, 1), now(2, 1)]);
}

/// Nothing else is asked of the device for long.
#[test]
fn what_was_answered_by_what_the_device_said_waits_no_more() {
    let mut bench = Bench::connected(&[vec![verified(500)]]);
    let counters = Arc::clone(&bench.scheduler.counters);
    let bus = Described { name: "bus".into(), protocol: "modbus-tcp", address: "here".into() };
    let waiting = || counters.read(Instant::now(), 0, &bus, |_| true).devices[0].waiting;
    bench.call(call(1, "a", write(0, 5)));
    bench.next();
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(waiting(), 1, "it is to be shown");
    bench.says(FakeWord::shows(0, 5));
    assert_eq!((bench.replies().len(), waiting()), (1, 0));
}

#[test]
fn a_value_with_an_old_part_confirms_no_write() {
    let mut bench = Bench::connected(&[vec![verified(500)]]);
    bench.says(FakeWord::shows(0, 1));
    bench.call(call(1, "a", write(0, 5)));
    assert_eq!(bench.next().1, What::Write(0, number(5)));
    bench.answer(FakeAnswer::Shows(0));
    bench.says(FakeWord::partly(0, 5, 100));
    assert!(bench.replies().is_empty(), "it may be of before the write");
    bench.says(FakeWord::shows(0, 5));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(5)]))]);
}
