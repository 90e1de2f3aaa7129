//! Every rule of the scheduler, under virtual time.

mod field;
mod held;
mod told;

use usp_mapping::mapping::{Capability, ModbusOptions, Protocol};
use usp_mapping::port::{Action, AdapterCall, AdapterReport, CallId, PointId, Reading, Readings};

use super::*;
use crate::bus::fake::{
    FakeAnswer, FakeAsk, FakeModel, MS, What, blind, call, call_within, device, mapping, modified, number,
    on_demand, polled, read, verified, writable, write,
};
use crate::bus::statistics::Described;

/// A scheduler with its time, whose exchanges the test answers.
struct Bench {
    scheduler: Scheduler<FakeModel>,
    now: Instant,
}

impl Bench {
    /// Devices `a`, `b`, … with units 0, 1, …
    fn new(devices: &[Vec<Capability>]) -> Self {
        let mut scheduler = Scheduler::new(Arc::default(), Jitter::seeded(1), Duration::ZERO);
        let devices = devices.iter().zip(0..).map(|(capabilities, unit): (_, u8)| {
            let id = char::from(b'a' + unit).to_string();
            Arc::new(device(&id, unit, mapping(capabilities)))
        });
        let now = Instant::now();
        scheduler.configure(now, &devices.collect::<Vec<_>>());
        Self { scheduler, now }
    }

    /// Connected, and those that poll nothing are known to be there.
    fn connected(devices: &[Vec<Capability>]) -> Self {
        let mut bench = Self::new(devices);
        bench.scheduler.handle_connect(bench.now, Ok(()));
        bench.meet();
        bench
    }

    fn meet(&mut self) {
        self.scheduler.devices.values_mut().for_each(DeviceState::meet);
    }

    fn call(&mut self, call: AdapterCall) {
        self.scheduler.handle_call(self.now, self.now, call);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.scheduler.handle_timeout(self.now);
    }

    /// The next exchange, making connections on the way.
    fn ask(&mut self) -> Option<FakeAsk> {
        match self.scheduler.poll_command(self.now)? {
            Command::Exchange(ask) => Some(ask),
            Command::Connect => {
                self.scheduler.handle_connect(self.now, Ok(()));
                self.ask()
            }
        }
    }

    /// To whom the next exchange goes, and what it is.
    fn next(&mut self) -> (u8, What) {
        let ask = self.ask().expect("an exchange");
        (ask.unit, ask.what)
    }

    fn answer(&mut self, answer: FakeAnswer) {
        self.scheduler.handle_exchange(self.now, Outcome::Answered(answer), true);
    }

    /// The exchange in progress times out, after which the connection is gone.
    fn silence(&mut self) {
        self.pass(50 * MS);
        self.scheduler.handle_exchange(self.now, Outcome::Silent(DeviceFault::Timeout(50 * MS)), false);
    }

    /// Answers all that is to be sent now.
    fn settle(&mut self) -> Vec<(u8, What)> {
        let mut sent = Vec::new();
        while let Some(ask) = self.ask() {
            sent.push((ask.unit, ask.what));
            self.answer(FakeAnswer::Shows(1));
        }
        sent
    }

    /// Lets all the time pass that nothing happens in, up to `limit`.
    fn wake(&mut self, limit: Duration) {
        let at = self.scheduler.poll_timeout(self.now).expect("something to wait for");
        assert!(at <= self.now + limit, "waits {:?}", at - self.now);
        self.pass(at - self.now);
    }

    fn messages(&mut self) -> Vec<FromAdapter> {
        std::iter::from_fn(|| self.scheduler.poll_output()).collect()
    }

    fn replies(&mut self) -> Vec<(u64, Results)> {
        let messages = self.messages().into_iter().filter_map(|message| match message {
            FromAdapter::Reply(reply) => Some(reply),
            _ => None,
        });
        let value = |reading: Reading| reading.result.map(|value| plain(&value));
        messages
            .map(|reply| (reply.id.0, reply.outcome.map(|all| all.into_iter().map(value).collect())))
            .collect()
    }
}

/// The outcome of a call, without its points.
type Results = Result<Vec<Result<i64, DeviceFault>>, DeviceFault>;

fn plain(value: &usp_mapping::value::Value) -> i64 {
    value.to_usp().parse().unwrap()
}

fn is_write(what: &What) -> bool {
    matches!(what, What::Write(..))
}

fn online(id: &str, online: Result<(), &str>) -> FromAdapter {
    let online = online.map_err(|cause| DeviceFault::Unreachable(cause.to_owned()));
    FromAdapter::Report(AdapterReport::Online { device: DeviceId(id.into()), online })
}

/// The readings of device a that a message carries.
fn reported(message: &FromAdapter) -> Option<&Readings> {
    match message {
        FromAdapter::Report(AdapterReport::Readings { device, readings, .. }) if &*device.0 == "a" => {
            Some(readings)
        }
        _ => None,
    }
}

#[test]
fn everything_is_polled_at_the_start_and_reported_once_online() {
    let mut bench = Bench::new(&[vec![polled(100), polled(1000), on_demand()]]);
    assert_eq!(bench.scheduler.poll_command(bench.now), Some(Command::Connect));
    bench.scheduler.handle_connect(bench.now, Ok(()));
    assert_eq!(bench.settle(), [(0, What::Read(vec![0, 1]))]);
    let readings = [0, 1].map(|point| Reading::now(PointId(point), Ok(number(1)))).to_vec();
    let messages = bench.messages();
    assert_eq!((messages.len(), &messages[0]), (2, &online("a", Ok(()))));
    assert_eq!(reported(&messages[1]), Some(&readings));
    bench.wake(100 * MS);
    assert_eq!(bench.settle(), [(0, What::Read(vec![0]))]);
    assert_eq!(bench.messages().len(), 1, "online is reported once");
}

#[test]
fn writes_go_before_reads_before_polls() {
    let mut bench = Bench::connected(&[vec![polled(100), writable()], vec![on_demand(), writable()]]);
    bench.call(call(1, "b", read(&[0])));
    bench.call(call(2, "b", write(1, 7)));
    bench.call(call(3, "a", write(1, 8)));
    let sent: Vec<_> = bench.settle();
    let kinds: Vec<_> = sent.iter().map(|(unit, what)| (*unit, is_write(what))).collect();
    assert!(kinds[..2].iter().all(|(_, write)| *write), "{sent:?}");
    assert_eq!(kinds[2..], [(1, false), (0, false)], "the read of b, then the poll of a");
    let ids: Vec<_> = bench.replies().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_write_overtakes_a_poll_and_a_read_that_have_begun() {
    let mut bench = Bench::connected(&[(0..6).map(|_| polled(100)).chain([writable()]).collect()]);
    bench.next();
    bench.call(call(1, "a", write(6, 5)));
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.next().1, What::Write(6, number(5)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.settle().len(), 2, "the rest of the poll");
    bench.call(call(2, "a", read(&[6, 0, 1, 2])));
    assert_eq!(bench.next().1, What::Read(vec![0, 1]));
    bench.call(call(3, "a", write(6, 9)));
    bench.answer(FakeAnswer::Shows(5));
    assert_eq!(bench.next().1, What::Write(6, number(9)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.settle(), [(0, What::Read(vec![2, 6]))]);
    assert_eq!(bench.replies().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [1, 3, 2]);
}

#[test]
fn a_reading_from_before_a_write_does_not_answer_after_it() {
    let mut bench = Bench::connected(&[vec![writable(), on_demand(), on_demand()]]);
    bench.call(call(1, "a", read(&[0, 1, 2])));
    assert_eq!(bench.next().1, What::Read(vec![0, 1]));
    bench.call(call(2, "a", write(0, 9)));
    bench.answer(FakeAnswer::Shows(5));
    assert!(is_write(&bench.next().1));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![2]));
    bench.answer(FakeAnswer::Shows(5));
    assert_eq!(bench.next().1, What::Read(vec![0]), "read again");
    bench.answer(FakeAnswer::Shows(9));
    assert_eq!(bench.replies()[1], (1, Ok(vec![Ok(9), Ok(5), Ok(5)])));
}

/// Whoever wanted it is told that it is not known; it may have been done all the same.
#[test]
fn a_reading_from_before_a_write_that_nobody_waits_for_does_not_answer_after_it() {
    let mut bench = Bench::connected(&[vec![writable(), on_demand(), on_demand()]]);
    bench.call(call(1, "a", read(&[0, 1, 2])));
    assert_eq!(bench.next().1, What::Read(vec![0, 1]));
    bench.call(call_within(2, "a", write(0, 9), 30));
    bench.answer(FakeAnswer::Shows(5));
    assert!(is_write(&bench.next().1));
    bench.pass(40 * MS);
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![2]));
    bench.answer(FakeAnswer::Shows(5));
    assert_eq!(bench.next().1, What::Read(vec![0]), "read again");
    bench.answer(FakeAnswer::Shows(9));
    assert_eq!(bench.replies()[1], (1, Ok(vec![Ok(9), Ok(5), Ok(5)])));
}

#[test]
fn devices_take_turns_and_no_stream_of_calls_stops_the_polls() {
    let mut bench = Bench::connected(&[vec![blind()], vec![blind()], vec![polled(10)]]);
    let mut served = [0i32; 3];
    for id in 0..200 {
        bench.call(call(2 * id, "a", write(0, 1)));
        bench.call(call(2 * id + 1, "b", write(0, 1)));
        let (unit, _) = bench.next();
        served[usize::from(unit)] += 1;
        bench.pass(10 * MS);
        bench.answer(FakeAnswer::Shows(1));
        bench.messages();
    }
    assert!((served[0] - served[1]).abs() <= 1, "{served:?}");
    assert!(served[2] >= 15, "{served:?}");
}

#[test]
fn one_busy_device_does_not_hold_its_neighbour_up() {
    let mut bench = Bench::connected(&[vec![on_demand()], vec![on_demand()]]);
    bench.call(call_within(0, "a", Action::Refresh, 9000));
    assert_eq!(bench.next().0, 0);
    for id in 1..=20 {
        bench.call(call(id, "a", read(&[0])));
    }
    bench.call(call(99, "b", read(&[0])));
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.next().0, 1);
}

#[test]
fn reads_that_wait_share_their_exchanges() {
    let mut bench = Bench::connected(&[vec![on_demand(), on_demand(), on_demand()]]);
    bench.call(call(1, "a", read(&[0])));
    bench.call(call(2, "a", read(&[1, 0])));
    bench.call(call(3, "a", Action::Refresh));
    assert_eq!(bench.next().1, What::Read(vec![0, 1]));
    bench.answer(FakeAnswer::Shows(4));
    let early = bench.replies();
    assert_eq!(
        early,
        [(1, Ok(vec![Ok(4)])), (2, Ok(vec![Ok(4), Ok(4)]))],
        "answered as soon as all is there"
    );
    bench.settle();
    assert_eq!(bench.replies(), [(3, Ok(vec![Ok(4), Ok(4), Ok(1)]))]);
}

#[test]
fn an_expired_write_is_never_sent() {
    let mut bench = Bench::connected(&[vec![writable()], vec![on_demand()]]);
    bench.call(call(1, "b", read(&[0])));
    assert_eq!(bench.next().0, 1);
    bench.call(call_within(2, "a", write(0, 7), 30));
    bench.silence();
    assert_eq!(bench.replies(), [(2, Err(DeviceFault::Expired))]);
    let sent = bench.settle();
    assert!(sent.iter().all(|(unit, _)| *unit == 1), "{sent:?}");
}

#[test]
fn the_time_to_live_of_the_binding_counts_too() {
    let mut short = writable();
    short.write.as_mut().unwrap().ttl = 20 * MS;
    let mut bench = Bench::connected(&[vec![short], vec![on_demand()]]);
    bench.call(call(1, "b", read(&[0])));
    bench.next();
    bench.call(call(2, "a", write(0, 7)));
    bench.pass(20 * MS);
    assert_eq!(bench.replies(), [(2, Err(DeviceFault::Expired))]);
}

#[test]
fn deadlines_are_kept_while_an_exchange_is_on_the_wire() {
    let mut bench = Bench::connected(&[vec![on_demand(), writable()]]);
    bench.call(call_within(1, "a", read(&[0]), 20));
    bench.next();
    bench.wake(20 * MS);
    assert_eq!(bench.replies(), [(1, Err(DeviceFault::Timeout(20 * MS)))]);
    bench.answer(FakeAnswer::Shows(3));
    assert_eq!(bench.messages(), [], "the late answer is nobody's");
    bench.call(call_within(2, "a", write(1, 7), 20));
    bench.next();
    bench.wake(20 * MS);
    assert_eq!(bench.replies(), [(2, Ok(vec![Err(DeviceFault::Timeout(20 * MS))]))]);
}

#[test]
fn a_unit_of_writes_is_sent_in_order_and_stops_at_the_first_failure() {
    let mut bench = Bench::connected(&[vec![writable(), writable(), writable()]]);
    let items = [(0, 1), (1, 2), (2, 3)].map(|(point, value)| (PointId(point), number(value)));
    bench.call(call(1, "a", Action::Write(items.to_vec())));
    bench.call(call(2, "a", read(&[0])));
    assert_eq!(bench.next().1, What::Write(0, number(1)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Write(1, number(2)), "nothing comes between");
    bench.answer(FakeAnswer::Refuses);
    let refused = DeviceFault::Refused("no".to_owned());
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(1), Err(refused), Err(DeviceFault::NotTried)]))]);
    assert_eq!(bench.settle(), [(0, What::Read(vec![0]))]);
}

#[test]
fn a_unit_of_writes_tells_when_each_was_confirmed() {
    let mut bench = Bench::connected(&[vec![writable(), writable()]]);
    let items = [(0, 1), (1, 2)].map(|(point, value)| (PointId(point), number(value)));
    bench.call(call(1, "a", Action::Write(items.to_vec())));
    bench.next();
    bench.answer(FakeAnswer::Shows(0));
    bench.next();
    bench.pass(20 * MS);
    bench.answer(FakeAnswer::Shows(0));
    let messages = bench.messages();
    let reply = messages.iter().find_map(|message| match message {
        FromAdapter::Reply(reply) => reply.outcome.as_ref().ok(),
        _ => None,
    });
    let ages: Vec<_> = reply.unwrap().iter().map(|reading| reading.freshness.age).collect();
    assert_eq!(ages, [Some(20 * MS), Some(Duration::ZERO)]);
}

#[test]
fn what_cannot_be_written_is_known_before_anything_is_sent() {
    let mut bench = Bench::connected(&[vec![writable(), on_demand()]]);
    bench.call(call(1, "a", Action::Write(vec![(PointId(0), number(1)), (PointId(1), number(2))])));
    let unwritable = DeviceFault::Unwritable("no".to_owned());
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(DeviceFault::NotTried), Err(unwritable)]))]);
    bench.call(call(2, "a", read(&[9])));
    bench.call(call(3, "x", read(&[0])));
    bench.call(call(4, "a", Action::Write(Vec::new())));
    let unknown = DeviceFault::Unknown;
    assert_eq!(bench.replies(), [(2, Ok(vec![Err(unknown.clone())])), (3, Err(unknown)), (4, Ok(vec![]))]);
    assert_eq!(bench.settle(), []);
}

#[test]
fn a_write_without_acknowledgement_is_not_repeated() {
    let mut bench = Bench::connected(&[vec![writable()]]);
    bench.call(call(1, "a", write(0, 7)));
    bench.next();
    bench.silence();
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(DeviceFault::Timeout(50 * MS))]))]);
    assert_eq!(bench.settle(), []);
}

/// What had to go before it was not answered: it was not sent, and is neither lost nor told as if it had been.
#[test]
fn a_held_write_is_sent_later_or_said_not_to_have_been() {
    for ttl_ms in [1000, 80] {
        let mut short = writable();
        short.write.as_mut().unwrap().ttl = ttl_ms * MS;
        let mut bench = Bench::connected(&[vec![short]]);
        bench.call(call(1, "a", write(0, 7)));
        for _ in 0..2 {
            assert_eq!(bench.next().1, What::Write(0, number(7)));
            bench.pass(50 * MS);
            let held = Outcome::Held(DeviceFault::Timeout(50 * MS));
            bench.scheduler.handle_exchange(bench.now, held, true);
        }
        if ttl_ms == 1000 {
            assert_eq!(bench.settle(), [(0, What::Write(0, number(7)))]);
            assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))]);
        } else {
            assert_eq!(bench.settle(), []);
            assert_eq!(bench.replies(), [(1, Ok(vec![Err(DeviceFault::Expired)]))]);
        }
    }
}

/// As in a Set of two Parameters, the first of which takes its time.
#[test]
fn later_values_of_a_unit_do_not_expire_behind_the_first() {
    let mut first = verified(500);
    first.write.as_mut().unwrap().ttl = 100 * MS;
    let mut second = writable();
    second.write.as_mut().unwrap().ttl = 100 * MS;
    let mut bench = Bench::connected(&[vec![first, second]]);
    bench.call(call(1, "a", Action::Write(vec![(PointId(0), number(7)), (PointId(1), number(8))])));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    for shown in [1, 1, 1, 1, 1, 7] {
        assert_eq!(bench.next().1, What::Read(vec![0]));
        bench.answer(FakeAnswer::Shows(shown));
        if shown != 7 {
            bench.wake(100 * MS);
        }
    }
    assert_eq!(bench.next().1, What::Write(1, number(8)), "250 ms later");
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7), Ok(8)]))]);
}

/// As in a Set of two objects, each of which may fail by itself.
#[test]
fn a_write_does_not_expire_behind_those_of_the_same_request() {
    for (behind_ms, outcome) in [(200, Ok(vec![Ok(8)])), (0, Err(DeviceFault::Expired))] {
        let mut slow = writable();
        slow.write.as_mut().unwrap().ttl = 100 * MS;
        let mut bench = Bench::connected(&[vec![slow.clone(), slow]]);
        bench.call(call(1, "a", write(0, 7)));
        bench.call(AdapterCall { behind: behind_ms * MS, ..call(2, "a", write(1, 8)) });
        assert_eq!(bench.next().1, What::Write(0, number(7)));
        bench.pass(250 * MS);
        bench.answer(FakeAnswer::Shows(0));
        if outcome.is_ok() {
            assert_eq!(bench.next().1, What::Write(1, number(8)));
            bench.answer(FakeAnswer::Shows(0));
        }
        bench.settle();
        let mut replies = bench.replies();
        replies.sort_by_key(|(id, _)| *id);
        assert_eq!(replies, [(1, Ok(vec![Ok(7)])), (2, outcome)]);
    }
}

/// What was acknowledged is not said to have met with silence.
#[test]
fn who_stops_waiting_for_a_confirmation_is_told_that_it_was_written() {
    let mut bench = Bench::connected(&[vec![verified(1000)]]);
    bench.call(call_within(1, "a", write(0, 7), 300));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.pass(400 * MS);
    let shown = "nothing".to_owned();
    let fault = DeviceFault::NotConfirmed { wanted: "7".to_owned(), shown };
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(fault)]))]);
}

#[test]
fn bits_are_fetched_before_they_are_written_and_nothing_comes_between() {
    let mut bench = Bench::connected(&[vec![modified()]]);
    bench.call(call(1, "a", write(0, 7)));
    bench.call(call(2, "a", read(&[0])));
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.answer(FakeAnswer::Shows(100));
    assert_eq!(bench.next().1, What::Write(0, number(107)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))]);
}

#[test]
fn a_fetch_without_answer_is_tried_again_but_never_sent_too_late() {
    let mut short = modified();
    short.write.as_mut().unwrap().ttl = 80 * MS;
    let mut bench = Bench::connected(&[vec![short]]);
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.silence();
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.pass(50 * MS);
    bench.answer(FakeAnswer::Shows(100));
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(DeviceFault::Expired)]))]);
}

#[test]
fn a_device_that_polls_nothing_is_looked_for_once() {
    let mut bench = Bench::new(&[vec![on_demand()], vec![on_demand()]]);
    assert_eq!(bench.next(), (0, What::Read(vec![0])));
    bench.answer(FakeAnswer::Shows(1));
    for _ in 0..3 {
        assert_eq!(bench.next().0, 1);
        bench.silence();
    }
    let silent = online("b", Err("no answer within 50 ms"));
    assert_eq!(bench.messages(), [online("a", Ok(())), silent], "its reading is nobody's");
    assert_eq!(bench.ask(), None);
}

#[test]
fn a_verified_write_waits_until_the_device_shows_the_value() {
    let mut bench = Bench::connected(&[vec![verified(200)], vec![on_demand()]]);
    bench.call(call(1, "a", write(0, 7)));
    bench.next();
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next(), (0, What::Read(vec![0])));
    bench.answer(FakeAnswer::Shows(3));
    bench.call(call(2, "b", read(&[0])));
    assert_eq!(bench.next().0, 1, "the neighbour does not wait for it");
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.ask(), None);
    assert_eq!(bench.replies().len(), 1);
    bench.wake(25 * MS);
    assert_eq!(bench.next(), (0, What::Read(vec![0])));
    bench.answer(FakeAnswer::Shows(7));
    let messages = bench.messages();
    assert!(
        matches!(&messages[0], FromAdapter::Report(AdapterReport::Readings { readings, .. }) if *readings == [Reading::now(PointId(0), Ok(number(7)))]),
        "{messages:?}"
    );
    assert!(
        matches!(&messages[1], FromAdapter::Reply(reply) if reply.id == CallId(1) && reply.outcome.is_ok())
    );
}

/// It took the command, and takes its time: it is read soon and once more, whatever it shows.
#[test]
fn what_nothing_verifies_is_read_after_a_write() {
    let mut bench = Bench::connected(&[vec![writable(), on_demand()]]);
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))], "nobody waits for that");
    bench.wake(200 * MS);
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.answer(FakeAnswer::Shows(1));
    let shown = |bench: &mut Bench| bench.messages().iter().find_map(reported).unwrap()[0].clone();
    assert_eq!(shown(&mut bench), Reading::now(PointId(0), Ok(number(1))));
    bench.wake(1000 * MS);
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.answer(FakeAnswer::Shows(4));
    assert_eq!(shown(&mut bench), Reading::now(PointId(0), Ok(number(4))));
    bench.pass(60_000 * MS);
    assert_eq!(bench.settle(), []);
}

/// It did what it was told and did not say so: what was read before is not what it has.
#[test]
fn what_may_have_been_written_is_read_soon() {
    let mut bench = Bench::connected(&[vec![writable(), on_demand()]]);
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.silence();
    bench.settle();
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(DeviceFault::Timeout(50 * MS))]))]);
    bench.wake(200 * MS);
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.answer(FakeAnswer::Shows(7));
    let shown = bench.messages().iter().find_map(reported).unwrap()[0].clone();
    assert_eq!(shown, Reading::now(PointId(0), Ok(number(7))));
}

/// A connection that broke off in mid-write: it may be done. Where none was there to send it over it is not.
#[test]
fn what_was_lost_may_be_done_and_what_was_not_sent_is_not() {
    let gone = || DeviceFault::Unreachable("it hung up".to_owned());
    for capability in [writable(), verified(100)] {
        let mut bench = Bench::connected(&[vec![capability, on_demand()]]);
        bench.call(call(1, "a", write(0, 7)));
        assert_eq!(bench.next().1, What::Write(0, number(7)));
        bench.scheduler.handle_exchange(bench.now, Outcome::Unsent(gone()), false);
        let unsent = DeviceFault::Unreachable("it hung up; this was not sent".to_owned());
        assert_eq!(bench.replies(), [(1, Ok(vec![Err(unsent)]))], "at once");
        bench.call(call(2, "a", write(0, 8)));
        assert_eq!(bench.next().1, What::Write(0, number(8)));
        bench.scheduler.handle_exchange(bench.now, Outcome::Silent(gone()), false);
        let mut replies = bench.replies();
        while replies.is_empty() {
            bench.settle();
            bench.wake(200 * MS);
            replies = bench.replies();
        }
        let perhaps = DeviceFault::Unsettled("unreachable: it hung up".to_owned());
        assert_eq!(replies, [(2, Ok(vec![Err(perhaps)]))]);
    }
}

/// It cannot be asked at once what it has: it is asked when it is back.
#[test]
fn what_was_sent_to_a_device_that_is_lost_is_read_when_it_is_back() {
    let mut bench = Bench::connected(&[vec![verified(5000), on_demand()]]);
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(7));
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.scheduler.handle_said(bench.now, Said::LinkDown("it hangs".to_owned()));
    let perhaps = DeviceFault::Unsettled("unreachable: it hangs".to_owned());
    assert_eq!(bench.replies(), [(1, Ok(vec![Err(perhaps)]))]);
    bench.scheduler.handle_exchange(bench.now, Outcome::Silent(DeviceFault::Timeout(MS)), false);
    bench.pass(1000 * MS);
    bench.scheduler.handle_said(bench.now, Said::LinkUp);
    assert_eq!(bench.next().1, What::Read(vec![0]));
}

#[test]
fn a_write_that_the_device_does_not_show_is_not_confirmed() {
    let mut bench = Bench::connected(&[vec![verified(100)]]);
    bench.call(call(1, "a", write(0, 7)));
    let begun = bench.now;
    let fault = loop {
        bench.settle();
        match bench.replies().pop() {
            Some((_, outcome)) => break outcome.unwrap().remove(0).unwrap_err(),
            None => bench.wake(100 * MS),
        }
    };
    assert_eq!(fault, DeviceFault::NotConfirmed { wanted: "7".to_owned(), shown: "1".to_owned() });
    assert!(bench.now - begun >= 100 * MS && bench.now - begun <= 130 * MS);
}

#[test]
fn a_lost_acknowledgement_is_made_up_for_by_reading_back() {
    let mut bench = Bench::connected(&[vec![verified(100)]]);
    bench.call(call(1, "a", write(0, 7)));
    bench.next();
    bench.silence();
    assert_eq!(bench.next().1, What::Read(vec![0]));
    bench.answer(FakeAnswer::Shows(7));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))]);
}

/// One that was not answered by the device itself is not told as if it had been.
#[test]
fn what_perhaps_was_received_and_is_not_shown_is_not_known() {
    let ends = |outcome: Outcome<FakeAnswer>| {
        let mut bench = Bench::connected(&[vec![verified(100)]]);
        bench.call(call(1, "a", write(0, 7)));
        bench.next();
        bench.scheduler.handle_exchange(bench.now, outcome, true);
        loop {
            bench.settle();
            match bench.replies().pop() {
                Some((_, outcome)) => break outcome.unwrap().remove(0).unwrap_err(),
                None => bench.wake(100 * MS),
            }
        }
    };
    let by_another = ends(Outcome::Taken(FakeAnswer::Perhaps));
    assert_eq!(by_another, DeviceFault::Unsettled("perhaps".to_owned()));
    let by_itself = ends(Outcome::Answered(FakeAnswer::Perhaps));
    assert!(matches!(by_itself, DeviceFault::NotConfirmed { .. }), "it needs a moment: {by_itself:?}");
}

#[test]
fn a_burst_of_writes_is_merged_where_the_mapping_allows() {
    let mut merging = writable();
    merging.write.as_mut().unwrap().coalesce = true;
    let mut bench = Bench::connected(&[vec![merging, writable()]]);
    bench.call(call(0, "a", write(1, 1)));
    bench.next();
    for id in 1..=4 {
        bench.call(call(id, "a", write(0, id as i64)));
    }
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.settle(), [(0, What::Write(0, number(4)))]);
    let ids: Vec<_> = bench.replies().into_iter().skip(1).collect();
    assert_eq!(ids, [1, 2, 3, 4].map(|id| (id, Ok(vec![Ok(4)]))));
}

#[test]
fn a_silent_device_goes_offline_and_costs_its_neighbour_only_its_time_outs() {
    let mut bench = Bench::connected(&[vec![polled(100)], vec![polled(100)]]);
    let mut order = Vec::new();
    for _ in 0..6 {
        let (unit, _) = bench.next();
        order.push(unit);
        if unit == 0 {
            bench.silence()
        } else {
            bench.answer(FakeAnswer::Shows(1))
        }
        bench.pass(60 * MS);
    }
    assert_eq!(order, [0, 1, 0, 1, 0, 1], "the neighbour's turn comes after each time-out");
    let reports = bench.messages();
    assert!(reports.contains(&online("a", Err("no answer within 50 ms"))), "{reports:?}");
    bench.call(call(1, "a", read(&[0])));
    let cause = DeviceFault::Unreachable("no answer within 50 ms".to_owned());
    assert_eq!(bench.replies(), [(1, Err(cause))], "at once");
    let (mut probes, begun) = (Vec::new(), bench.now);
    while bench.now < begun + 20_000 * MS {
        match bench.ask() {
            Some(ask) if ask.unit == 0 => {
                probes.push(bench.now);
                bench.silence();
            }
            Some(_) => bench.answer(FakeAnswer::Shows(1)),
            None => bench.wake(100 * MS),
        }
        bench.messages();
    }
    assert!((18..=30).contains(&probes.len()), "{}", probes.len());
    let pauses: Vec<_> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().skip(5).all(|pause| *pause >= 750 * MS), "{pauses:?}");
}

#[test]
fn whatever_waits_is_answered_at_once_when_the_device_goes_offline() {
    let mut bench = Bench::connected(&[vec![on_demand(), verified(100)]]);
    bench.call(call(1, "a", read(&[0])));
    bench.next();
    bench.call(call(2, "a", read(&[0])));
    bench.silence();
    for _ in 0..2 {
        bench.next();
        bench.silence();
    }
    let cause = DeviceFault::Unreachable("no answer within 50 ms".to_owned());
    assert_eq!(bench.replies(), [(1, Err(cause.clone())), (2, Err(cause))]);
}

/// What one write met with is no answer to another, which was not sent.
#[test]
fn a_write_behind_one_that_took_the_device_offline_was_not_sent() {
    let mut bench = Bench::connected(&[vec![blind(), blind()]]);
    for id in [1, 2, 3] {
        bench.call(call(id, "a", write(0, 7)));
    }
    bench.call(call(4, "a", read(&[9])));
    bench.call(call(5, "a", write(1, 7)));
    let mut replies = Vec::new();
    for _ in 0..3 {
        bench.next();
        bench.silence();
        replies.extend(bench.replies());
    }
    bench.call(call(6, "a", write(1, 7)));
    replies.extend(bench.replies());
    let unsent = DeviceFault::Unreachable("no answer within 50 ms; this was not sent".to_owned());
    let of = |id| replies.iter().find(|(known, _)| *known == id).map(|(_, outcome)| outcome.clone());
    for id in [1, 2, 3] {
        assert_eq!(of(id), Some(Ok(vec![Err(DeviceFault::Timeout(50 * MS))])), "{id}");
    }
    assert_eq!([of(5), of(6)], [Some(Err(unsent.clone())), Some(Err(unsent))]);
}

#[test]
fn a_write_whose_other_bits_could_not_be_read_was_not_sent() {
    let mut bench = Bench::connected(&[vec![modified(), polled(60_000)]]);
    bench.settle();
    bench.messages();
    bench.call(call(1, "a", write(0, 1)));
    assert!(!is_write(&bench.next().1), "what it keeps is read first");
    bench.scheduler.handle_exchange(bench.now, Outcome::Silent(DeviceFault::Timeout(50 * MS)), true);
    for _ in 0..2 {
        bench.next();
        bench.scheduler.handle_exchange(bench.now, Outcome::Silent(DeviceFault::Timeout(50 * MS)), true);
    }
    let unsent = DeviceFault::Unreachable("no answer within 50 ms; this was not sent".to_owned());
    assert_eq!(bench.replies(), [(1, Err(unsent))]);
}

#[test]
fn a_probe_that_is_answered_brings_the_device_and_all_its_polls_back() {
    let mut bench = Bench::connected(&[vec![polled(60_000), polled(120_000)]]);
    for _ in 0..3 {
        bench.next();
        bench.silence();
    }
    assert_eq!(bench.ask(), None);
    bench.messages();
    bench.wake(125 * MS);
    assert_eq!(bench.next().1, What::Read(vec![0]), "the probe is one point");
    bench.answer(FakeAnswer::Refuses);
    assert_eq!(bench.messages(), [online("a", Ok(()))], "a refusal is a sign of life");
    assert_eq!(bench.settle(), [(0, What::Read(vec![0, 1]))], "all groups are due");
}

#[test]
fn a_refusal_is_an_answer() {
    let mut bench = Bench::connected(&[vec![polled(100)]]);
    for _ in 0..10 {
        bench.next();
        bench.answer(FakeAnswer::Refuses);
        bench.pass(100 * MS);
    }
    let messages = bench.messages();
    assert_eq!(messages[0], online("a", Ok(())));
    let refused = vec![Reading::now(PointId(0), Err(DeviceFault::Refused("no".to_owned())))];
    assert!(messages[1..].iter().all(|message| reported(message) == Some(&refused)));
}

#[test]
fn one_read_that_the_device_leaves_unanswered_does_not_take_it_offline() {
    let mut bench = Bench::connected(&[(0..4).map(|_| polled(1000)).collect()]);
    let mut faults = 0;
    for _ in 0..40 {
        match bench.ask() {
            Some(ask) if ask.what == What::Read(vec![0, 1]) => bench.silence(),
            Some(_) => bench.answer(FakeAnswer::Shows(1)),
            None => bench.wake(1000 * MS),
        }
        for message in bench.messages() {
            match message {
                FromAdapter::Report(AdapterReport::Online { online, .. }) => assert_eq!(online, Ok(())),
                FromAdapter::Report(AdapterReport::Readings { readings, .. }) => {
                    faults += readings.iter().filter(|reading| reading.result.is_err()).count();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(faults >= 10, "its points say so: {faults}");
}

#[test]
fn without_a_connection_all_devices_are_offline_with_its_cause() {
    let mut bench = Bench::new(&[vec![polled(100)], vec![writable()]]);
    bench.call(call(1, "b", write(0, 1)));
    let cause = "cannot connect to 192.0.2.1:502: connection refused";
    assert_eq!(bench.scheduler.poll_command(bench.now), Some(Command::Connect));
    bench.scheduler.handle_connect(bench.now, Err(cause.to_owned()));
    let messages = bench.messages();
    assert!(messages.contains(&online("a", Err(cause))) && messages.contains(&online("b", Err(cause))));
    let unsent = Err(DeviceFault::Unreachable(format!("{cause}; this was not sent")));
    assert!(
        messages
            .iter()
            .any(|message| matches!(message, FromAdapter::Reply(reply) if reply.outcome == unsent))
    );
    bench.call(call(2, "a", read(&[0])));
    assert_eq!(bench.replies(), [(2, Err(DeviceFault::Unreachable(cause.to_owned())))], "at once");
    let mut attempts = Vec::new();
    for _ in 0..8 {
        assert_eq!(bench.scheduler.poll_command(bench.now), None);
        bench.wake(1000 * MS);
        assert_eq!(bench.scheduler.poll_command(bench.now), Some(Command::Connect));
        attempts.push(bench.now);
        bench.scheduler.handle_connect(bench.now, Err(cause.to_owned()));
        assert_eq!(bench.messages(), [], "told once");
    }
    assert!(attempts[7] - attempts[6] >= 750 * MS);
    bench.wake(1000 * MS);
    bench.ask().expect("the first poll after the connection is back");
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.messages()[0], online("a", Ok(())));
}

#[test]
fn a_refused_connection_counts_as_an_exchange_without_an_answer() {
    let mut bench = Bench::connected(&[vec![polled(100)]]);
    bench.settle();
    let counters = Arc::clone(&bench.scheduler.counters);
    let bus = Described { name: "bus".into(), protocol: "modbus-tcp", address: "here".into() };
    let failures = || counters.read(Instant::now(), 0, &bus, |_| true).exchanges.failures;
    assert_eq!((bench.messages()[0].clone(), failures()), (online("a", Ok(())), 0));
    bench.pass(100 * MS);
    bench.next();
    bench.scheduler.handle_exchange(
        bench.now,
        Outcome::Silent(DeviceFault::Unreachable("it hung up".into())),
        false,
    );
    let refuse = |bench: &mut Bench| {
        while bench.scheduler.poll_command(bench.now) != Some(Command::Connect) {
            bench.wake(1500 * MS);
        }
        bench.scheduler.handle_connect(bench.now, Err("refused".to_owned()));
        bench.messages()
    };
    assert_eq!((refuse(&mut bench), failures()), (vec![], 2), "the second in a row: it may be back soon");
    bench.call(call(1, "a", read(&[0])));
    let cause = DeviceFault::Unreachable("refused".to_owned());
    assert_eq!(bench.replies(), [(1, Err(cause))], "who asks is told at once");
    bench.wake(1500 * MS);
    assert_eq!(bench.settle(), [(0, What::Read(vec![0]))], "it is back, and what was due is read");
    assert!(bench.messages().iter().all(|message| reported(message).is_some()), "it was never offline");
    bench.scheduler.handle_disconnect();
    let told: Vec<_> = (0..3).map(|_| refuse(&mut bench)).collect();
    assert_eq!(told, [vec![], vec![], vec![online("a", Err("refused"))]]);
    assert_eq!(failures(), 5);
}

/// So does one that a shared link makes by itself, and tells each time.
#[test]
fn what_a_link_is_refused_counts_too() {
    let mut bench = Bench::connected(&[vec![polled(100)]]);
    bench.settle();
    assert_eq!(bench.messages()[0], online("a", Ok(())));
    let refuse = |bench: &mut Bench| {
        bench.pass(2000 * MS);
        bench.scheduler.handle_said(bench.now, Said::LinkRefused("refused".to_owned()));
        bench.messages()
    };
    let told: Vec<_> = (0..2).map(|_| refuse(&mut bench)).collect();
    assert_eq!(told, [vec![], vec![]]);
    bench.call(call(1, "a", read(&[0])));
    let cause = DeviceFault::Unreachable("refused".to_owned());
    assert_eq!(bench.replies(), [(1, Err(cause))], "who asks is told at once");
    bench.scheduler.handle_said(bench.now, Said::LinkUp);
    assert_eq!(bench.settle(), [(0, What::Read(vec![0]))]);
    assert!(bench.messages().iter().all(|message| reported(message).is_some()), "it was never offline");
    assert_eq!(refuse(&mut bench), []);
    // Whoever waits for the link hears of it all the same.
    assert_eq!(bench.scheduler.poll_command(bench.now), None);
    bench.pass(2000 * MS);
    assert_eq!(bench.scheduler.poll_command(bench.now), Some(Command::Connect));
    assert_eq!(refuse(&mut bench), []);
    assert_eq!(refuse(&mut bench), [online("a", Err("refused"))]);
    bench.scheduler.handle_connect(bench.now, Ok(()));
    assert_eq!(bench.settle(), [(0, What::Read(vec![0]))]);
    assert_eq!(bench.messages()[0], online("a", Ok(())));
}

#[test]
fn a_read_gives_way_to_so_many_writes_and_no_more() {
    let mut bench = Bench::connected(&[vec![on_demand(), writable()]]);
    bench.call(call(1, "a", read(&[0])));
    for turn in 0..4 {
        assert_eq!(bench.next(), (0, What::Read(vec![0])));
        assert!(!bench.scheduler.is_pressed(bench.now), "nothing waits");
        bench.call(call(10 + turn, "a", write(1, 5)));
        assert!(bench.scheduler.is_pressed(bench.now), "turn {turn}");
        bench.scheduler.handle_yield();
        assert_eq!(bench.next().1, What::Write(1, number(5)));
        bench.answer(FakeAnswer::Shows(5));
        assert_eq!(bench.replies().len(), 1);
    }
    assert_eq!(bench.next(), (0, What::Read(vec![0])));
    bench.call(call(20, "a", write(1, 5)));
    assert!(!bench.scheduler.is_pressed(bench.now), "now it is the read's turn");
    bench.answer(FakeAnswer::Shows(1));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(1)]))]);
    assert_eq!(bench.next().1, What::Write(1, number(5)));
}

#[test]
fn the_line_is_left_alone_between_exchanges() {
    let mut model = mapping(&[on_demand()]);
    model.protocol = Protocol::Modbus(ModbusOptions { guard: 5 * MS, ..ModbusOptions::default() });
    let mut bench = Bench::connected(&[]);
    bench.scheduler.configure(bench.now, &[Arc::new(device("a", 0, model))]);
    bench.meet();
    bench.call(call(1, "a", read(&[0])));
    bench.next();
    bench.answer(FakeAnswer::Shows(1));
    bench.call(call(2, "a", read(&[0])));
    assert_eq!(bench.ask(), None);
    bench.wake(5 * MS);
    assert!(bench.ask().is_some());
}

#[test]
fn a_full_queue_refuses_at_once() {
    let mut bench = Bench::connected(&[vec![on_demand()], vec![on_demand()]]);
    bench.call(call(1000, "b", read(&[0])));
    bench.next();
    for id in 0..65 {
        bench.call(call(id, "a", read(&[0])));
    }
    bench.call(call(1001, "b", read(&[0])));
    assert_eq!(bench.replies(), [(64, Err(DeviceFault::QueueFull))], "and only the one device's");
}

#[test]
fn a_core_that_does_not_listen_stops_the_exchanges_and_nothing_piles_up() {
    let mut bench = Bench::connected(&[vec![polled(10)]]);
    for _ in 0..1000 {
        if bench.ask().is_some() {
            bench.answer(FakeAnswer::Shows(1));
        }
        bench.pass(10 * MS);
    }
    assert!(bench.scheduler.is_congested());
    assert_eq!(bench.scheduler.poll_timeout(bench.now), None, "no busy waiting");
    assert!(bench.messages().len() <= OUTBOX + 2);
    assert!(bench.ask().is_some());
}

#[test]
fn a_reload_disturbs_only_what_changed() {
    let same = Arc::new(device("same", 0, mapping(&[on_demand()])));
    let old = Arc::new(device("changed", 1, mapping(&[on_demand()])));
    let gone = Arc::new(device("gone", 2, mapping(&[on_demand()])));
    let new = Arc::new(device("changed", 1, mapping(&[on_demand(), on_demand()])));
    let renamed = Arc::new(Device { name: "another".to_owned(), ..Device::clone(&same) });
    let mut bench = Bench::connected(&[]);
    bench.scheduler.configure(bench.now, &[same, old, gone]);
    bench.meet();
    for (id, device) in [(1, "same"), (2, "changed"), (3, "gone")] {
        bench.call(call(id, device, read(&[0])));
    }
    bench.next();
    bench.scheduler.configure(bench.now, &[new, renamed]);
    bench.meet();
    let changed = DeviceFault::Unreachable("its configuration has just changed".to_owned());
    assert_eq!(bench.replies(), [(2, Err(changed)), (3, Err(DeviceFault::Unknown))]);
    bench.answer(FakeAnswer::Shows(5));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(5)]))]);
    bench.call(call(4, "changed", read(&[1])));
    assert_eq!(bench.settle(), [(1, What::Read(vec![1]))]);
}

/// It is on the wire, or waits to be shown.
#[test]
fn a_reload_says_of_a_write_that_was_sent_that_it_may_have_been_done() {
    for acknowledged in [false, true] {
        let mut bench = Bench::connected(&[vec![verified(200)]]);
        bench.call(call(1, "a", write(0, 7)));
        bench.next();
        if acknowledged {
            bench.answer(FakeAnswer::Shows(0));
        }
        let new = device("a", 0, mapping(&[verified(300)]));
        bench.scheduler.configure(bench.now, &[Arc::new(new)]);
        let replies = bench.replies();
        let [(1, Ok(results))] = replies.as_slice() else { panic!("{replies:?}") };
        let fault = results[0].clone().unwrap_err();
        assert!(!matches!(fault, DeviceFault::Unreachable(_)), "{fault}");
    }
}

#[test]
fn an_answer_for_a_device_that_is_gone_is_nobodys() {
    let mut bench = Bench::connected(&[vec![on_demand()]]);
    bench.call(call(1, "a", read(&[0])));
    bench.next();
    bench.scheduler.configure(bench.now, &[Arc::new(device("a", 7, mapping(&[on_demand()])))]);
    bench.messages();
    bench.answer(FakeAnswer::Shows(5));
    assert_eq!(bench.messages(), []);
}
