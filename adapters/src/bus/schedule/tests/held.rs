//! Writes to a device that sleeps: each waits until the device is heard, and keeps nothing else waiting.

use super::*;
use crate::bus::fake::{FakeWord, sleepy};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    /// A device that sleeps.
    fn asleep(capabilities: &[Capability]) -> Self {
        let mut bench = Self::connected(&[]);
        bench.scheduler.configure(bench.now, &[Arc::new(device("a", 0, sleepy(capabilities)))]);
        bench.meet();
        bench
    }

    fn wakes(&mut self) {
        self.scheduler.handle_said(self.now, Said::Word(FakeWord::shows(9, 9)));
    }

    /// Answers the exchange in progress; the only reply that follows.
    fn done(&mut self) -> (u64, Results) {
        self.answer(FakeAnswer::Shows(1));
        let [reply] = self.replies().try_into().expect("one reply");
        reply
    }
}

#[test]
fn a_write_waits_until_the_device_is_heard_and_a_read_does_not_wait_for_it() {
    let mut bench = Bench::asleep(&[writable(), on_demand()]);
    bench.call(call(1, "a", write(0, 5)));
    assert_eq!(bench.ask(), None);
    assert_eq!(bench.scheduler.held().wanted, Some(bench.now + 10 * SECOND));
    bench.call(call(2, "a", read(&[1])));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    assert_eq!(bench.done().0, 2);
    assert_eq!(bench.ask(), None, "an answer to that is no word of it");
    bench.wakes();
    assert_eq!(bench.next().1, What::Write(0, number(5)));
    assert_eq!(bench.scheduler.held().wanted, None);
    assert_eq!(bench.done().0, 1);
}

#[test]
fn writes_to_the_same_keep_their_order_and_others_do_not_wait_for_them() {
    let mut bench = Bench::asleep(&[writable(), writable()]);
    bench.call(call(1, "a", write(0, 5)));
    bench.call(call(2, "a", write(0, 6)));
    bench.call(call_within(3, "a", write(1, 7), 2000));
    assert_eq!(bench.ask(), None);
    // The last one's time is over first.
    bench.pass(2 * SECOND);
    assert_eq!(bench.replies(), [(3, Err(DeviceFault::Expired))]);
    bench.wakes();
    assert_eq!(bench.next().1, What::Write(0, number(5)));
    assert_eq!(bench.done().0, 1);
    assert_eq!(bench.next().1, What::Write(0, number(6)));
    assert_eq!(bench.done().0, 2);
    assert_eq!(bench.ask(), None);
}

#[test]
fn what_is_not_sent_in_time_is_never_sent() {
    let mut bench = Bench::asleep(&[writable()]);
    bench.call(call(1, "a", write(0, 5)));
    assert_eq!(bench.ask(), None);
    bench.wake(10 * SECOND);
    assert_eq!(bench.replies(), [(1, Err(DeviceFault::Expired))]);
    bench.wakes();
    assert_eq!((bench.ask(), bench.scheduler.held().wanted), (None, None));
}

/// It had said something, and slept before the write came: its parent threw that away.
#[test]
fn what_was_not_received_waits_on() {
    let mut bench = Bench::asleep(&[writable()]);
    bench.wakes();
    bench.call(call(1, "a", write(0, 5)));
    assert_eq!(bench.next().1, What::Write(0, number(5)));
    bench.pass(SECOND);
    bench.scheduler.handle_exchange(bench.now, Outcome::Taken(FakeAnswer::Refuses), true);
    assert_eq!(bench.ask(), None);
    assert_eq!(bench.scheduler.held().wanted, Some(bench.now + 9 * SECOND), "no longer than before");
    bench.wakes();
    assert_eq!(bench.next().1, What::Write(0, number(5)));
    assert_eq!(bench.done().0, 1);
}

/// Whoever was told that it failed is not belied later.
#[test]
fn nothing_is_sent_once_the_device_was_away() {
    let mut bench = Bench::asleep(&[writable()]);
    bench.call(call(1, "a", write(0, 5)));
    assert_eq!(bench.ask(), None);
    let away = FakeWord::presence(Err("nothing was heard of it".to_owned()));
    bench.scheduler.handle_said(bench.now, Said::Word(away));
    let [(1, Err(DeviceFault::Unreachable(_)))] = &bench.replies()[..] else { panic!("it is told") };
    bench.wakes();
    assert_eq!((bench.ask(), bench.scheduler.held().wanted), (None, None));
}
