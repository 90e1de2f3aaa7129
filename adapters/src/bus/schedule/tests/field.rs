//! Dead units, pauses, and writes that wait, under virtual time.

use usp_mapping::mapping::{
    Command as UspCommand, CommandStep, ModbusOptions, Poll, Protocol, StepValue, Verify,
};
use usp_mapping::port::CommandId;
use usp_mapping::transform::Transform;

use super::*;

/// How long an exchange takes, and a silence.
const EXCHANGE: Duration = Duration::from_millis(20);

impl Bench {
    /// Lets the line run: devices whose unit is in `dead` do not answer. Gives who had it for how long.
    fn run(&mut self, time: Duration, dead: &[u8]) -> Vec<(u8, Duration)> {
        let (end, mut used) = (self.now + time, Vec::new());
        while self.now < end {
            let Some(ask) = self.ask() else {
                let next = self.scheduler.poll_timeout(self.now).unwrap_or(end).max(self.now + MS);
                self.pass(next.min(end) - self.now);
                continue;
            };
            let began = self.now;
            if dead.contains(&ask.unit) {
                self.pass(50 * EXCHANGE);
                let silent = Outcome::Silent(DeviceFault::Timeout(50 * EXCHANGE));
                self.scheduler.handle_exchange(self.now, silent, true);
            } else {
                self.pass(EXCHANGE);
                self.answer(FakeAnswer::Shows(1));
            }
            used.push((ask.unit, self.now - began));
            self.messages();
        }
        used
    }
}

/// Five devices are polled without a pause. A silence costs as much as fifty answers.
#[test]
fn a_dead_unit_takes_a_twentieth_of_the_line() {
    for dead in [vec![2], vec![1, 2, 3]] {
        let dead = dead.as_slice();
        let mut bench = Bench::connected(&vec![vec![polled(1)]; 5]);
        bench.run(Duration::from_secs(60), dead);
        let used = bench.run(Duration::from_secs(600), dead);
        let all: Duration = used.iter().map(|(_, time)| *time).sum();
        let lost: Duration = used.iter().filter(|(unit, _)| dead.contains(unit)).map(|(_, time)| *time).sum();
        assert!(lost <= all / 20, "{dead:?}: {lost:?} of {all:?}");
        assert!(!lost.is_zero(), "it is still looked for");
        let healthy = 5 - dead.len() as u32;
        let reads = used.iter().filter(|(unit, _)| *unit == 0).count() as u32;
        let cycle = Duration::from_secs(600) / reads;
        assert!(cycle <= healthy * EXCHANGE * 11 / 10, "{dead:?}: {cycle:?}");
    }
}

#[test]
fn a_dead_unit_without_neighbours_is_looked_for_at_its_own_pace() {
    let mut bench = Bench::connected(&[vec![polled(1)]]);
    bench.run(Duration::from_secs(10), &[0]);
    let used = bench.run(Duration::from_secs(100), &[0]);
    assert!(used.len() > 40, "a second's silence and a second's pause: {}", used.len());
}

/// Whatever else is under way, a write is next.
#[test]
fn a_write_waits_for_one_exchange_at_most() {
    let mut bench = Bench::connected(&(0..5).map(|_| vec![polled(1), writable()]).collect::<Vec<_>>());
    bench.run(Duration::from_secs(5), &[]);
    for id in 0..100 {
        bench.ask().expect("the line is busy");
        bench.call(call(id, "d", write(1, 7)));
        bench.pass(EXCHANGE);
        bench.answer(FakeAnswer::Shows(1));
        assert_eq!(bench.next(), (3, What::Write(1, number(7))), "{id}");
        bench.pass(EXCHANGE);
        bench.answer(FakeAnswer::Shows(0));
        bench.run(EXCHANGE * 3, &[]);
        bench.messages();
    }
}

#[test]
fn writes_keep_their_least_time_and_hold_up_no_others() {
    let mut slow = blind();
    if let Some(write) = &mut slow.write {
        write.rate = 500 * MS;
    }
    let mut bench = Bench::connected(&[vec![slow, blind()]]);
    bench.call(call(1, "a", write(0, 1)));
    bench.call(call(2, "a", write(0, 2)));
    bench.call(call(3, "a", write(1, 3)));
    let sent: Vec<_> = bench.settle().into_iter().map(|(_, what)| what).collect();
    assert_eq!(sent, [What::Write(0, number(1)), What::Write(1, number(3))]);
    bench.wake(500 * MS);
    assert_eq!(bench.settle(), [(0, What::Write(0, number(2)))]);
}

/// A wallbox that obeys one write in five seconds, whatever it is.
#[test]
fn a_device_is_written_no_faster_than_it_takes() {
    let mut wallbox = mapping(&[writable(), writable(), polled(1000)]);
    wallbox.protocol =
        Protocol::Modbus(ModbusOptions { write_rate: Duration::from_secs(5), ..ModbusOptions::default() });
    let step = CommandStep {
        point: writable().write.unwrap().point,
        transform: Transform::default(),
        value: StepValue::Fixed(number(1)),
    };
    wallbox.commands.push(UspCommand {
        name: "X_ACME_Unlock".to_owned(),
        node: None,
        description: String::new(),
        args: Vec::new(),
        steps: vec![step.clone(), step],
        ttl: Duration::from_secs(60),
        takes: Duration::from_secs(2),
    });
    let mut bench = Bench::connected(&[]);
    bench.scheduler.configure(bench.now, &[Arc::new(device("a", 0, wallbox))]);
    bench.settle();
    let begun = bench.now;
    let both = Action::Write(vec![(PointId(0), number(1)), (PointId(1), number(2))]);
    bench.call(call(1, "a", both));
    bench.call(call_within(2, "a", Action::Command(CommandId(0), Vec::new()), 60_000));
    let (mut writes, mut polls) = (Vec::new(), 0);
    while bench.now < begun + Duration::from_secs(20) {
        for (_, what) in bench.settle() {
            match what {
                What::Write(point, _) => writes.push((point, (bench.now - begun).as_secs())),
                What::Read(_) => polls += 1,
            }
        }
        bench.wake(1000 * MS);
    }
    assert_eq!(writes, [(0, 0), (1, 5), (100, 10), (101, 15)]);
    assert!(polls >= 18, "{polls}");
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(1), Ok(2)])), (2, Ok(Vec::new()))]);
}

/// A valve that takes seconds to get where it should.
#[test]
fn while_a_write_is_verified_all_else_goes_on_but_writes_to_the_same() {
    let mut valve = writable();
    if let Some(write) = &mut valve.write {
        write.verify = Some(Verify { by: Some(PointId(1)), within: 8000 * MS });
    }
    let mut bench = Bench::connected(&[vec![valve, on_demand(), writable(), polled(1000)]]);
    bench.settle();
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(3));
    bench.call(call(2, "a", write(0, 9)));
    bench.call(call(3, "a", write(2, 5)));
    bench.call(call(4, "a", read(&[3])));
    let sent: Vec<_> = bench.settle().into_iter().map(|(_, what)| what).collect();
    assert_eq!(sent, [What::Write(2, number(5)), What::Read(vec![3])], "its own next value waits");
    assert_eq!(bench.replies().len(), 2);
    let mut polls = 0;
    for _ in 0..12 {
        bench.wake(250 * MS);
        let sent: Vec<_> = bench.settle().into_iter().map(|(_, what)| what).collect();
        polls += sent.iter().filter(|what| **what == What::Read(vec![3])).count();
        assert!(sent.iter().all(|what| !is_write(what)), "{sent:?}");
    }
    assert!(polls >= 2, "{polls}");
    bench.wake(250 * MS);
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(7));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))]);
    assert_eq!(bench.next().1, What::Write(0, number(9)), "and goes when it is done");
}

/// Other bits are read and written back: what the device does not show yet would be undone.
#[test]
fn what_keeps_other_bits_waits_until_a_write_is_shown() {
    let mut valve = writable();
    if let Some(write) = &mut valve.write {
        write.verify = Some(Verify { by: Some(PointId(1)), within: 8000 * MS });
    }
    let mut bench = Bench::connected(&[vec![valve, on_demand(), modified()]]);
    bench.settle();
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(3));
    bench.call(call(2, "a", write(2, 5)));
    assert!(bench.settle().is_empty());
    bench.wake(250 * MS);
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(7));
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(7)]))]);
    assert_eq!(bench.next().1, What::Read(vec![2]));
}

/// What one look showed is not read anew by later ones that were not answered.
#[test]
fn an_old_look_is_not_told_again() {
    let mut valve = writable();
    if let Some(write) = &mut valve.write {
        write.verify = Some(Verify { by: Some(PointId(1)), within: 100 * MS });
    }
    let mut bench = Bench::connected(&[vec![valve, on_demand()]]);
    bench.settle();
    bench.call(call(1, "a", write(0, 7)));
    bench.next();
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(3));
    bench.messages();
    bench.wake(50 * MS);
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.pass(100 * MS);
    bench.silence();
    let messages = bench.messages();
    assert!(messages.iter().any(|message| matches!(message, FromAdapter::Reply(_))), "{messages:?}");
    assert!(messages.iter().all(|message| reported(message).is_none()), "{messages:?}");
}

/// What is known only when it is late keeps others waiting no more than its time-outs do.
#[test]
fn who_is_left_alone_keeps_nobody_waiting() {
    let mut bench = Bench::connected(&[vec![on_demand()], vec![on_demand()]]);
    bench.call(call(1, "a", read(&[0])));
    bench.next();
    let until = bench.now + 250 * MS;
    bench.scheduler.handle_rest(until);
    bench.silence();
    bench.call(call(2, "b", read(&[0])));
    assert_eq!(bench.settle().len(), 1);
    assert_eq!(bench.replies(), [(2, Ok(vec![Ok(1)]))]);
    bench.wake(200 * MS);
    assert_eq!(bench.now, until);
    assert_eq!(bench.settle().len(), 1);
    assert_eq!(bench.replies(), [(1, Ok(vec![Ok(1)]))]);
}

#[test]
fn a_write_is_verified_by_another_capability() {
    let mut setting = writable();
    if let Some(write) = &mut setting.write {
        write.verify = Some(Verify { by: Some(PointId(1)), within: 500 * MS });
    }
    let mut bench = Bench::connected(&[vec![setting, on_demand()]]);
    bench.call(call(1, "a", write(0, 7)));
    assert_eq!(bench.next().1, What::Write(0, number(7)));
    bench.answer(FakeAnswer::Shows(0));
    assert_eq!(bench.next().1, What::Read(vec![1]));
    bench.answer(FakeAnswer::Shows(7));
    let messages = bench.messages();
    let shown = vec![Reading::now(PointId(1), Ok(number(7)))];
    assert!(messages.iter().any(|message| reported(message) == Some(&shown)), "{messages:?}");
    let done = vec![Reading::now(PointId(0), Ok(number(7)))];
    let reply = FromAdapter::Reply(AdapterReply { id: CallId(1), outcome: Ok(done) });
    assert!(messages.contains(&reply), "{messages:?}");
}

#[test]
fn what_is_read_once_is_read_again_after_it_was_away_or_failed() {
    let mut once = on_demand();
    if let Some(read) = &mut once.read {
        read.poll = Poll::Once;
    }
    let mut bench = Bench::connected(&[vec![once, on_demand(), polled(1000)]]);
    assert_eq!(bench.settle(), [(0, What::Read(vec![0, 2]))]);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.settle(), [(0, What::Read(vec![2]))]);
    bench.scheduler.handle_disconnect();
    bench.scheduler.handle_connect(bench.now, Err("gone".to_owned()));
    bench.scheduler.handle_connect(bench.now, Ok(()));
    assert_eq!(bench.next().1, What::Read(vec![0, 2]));
    bench.answer(FakeAnswer::Refuses);
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.settle(), [(0, What::Read(vec![0, 2]))]);
}

/// `guard` is for the device alone, `turnaround` for all of its line.
#[test]
fn a_guard_keeps_no_neighbour_waiting_and_a_turnaround_does() {
    let paused = |guard, turnaround| {
        let mut paused = mapping(&[polled(1)]);
        paused.protocol = Protocol::Modbus(ModbusOptions { guard, turnaround, ..ModbusOptions::default() });
        paused
    };
    for (guard, turnaround, waits) in [(30 * MS, Duration::ZERO, false), (Duration::ZERO, 30 * MS, true)] {
        let mut scheduler = Scheduler::new(Arc::default(), Jitter::seeded(1), Duration::ZERO);
        let now = Instant::now();
        let devices =
            [("a", 0), ("b", 1)].map(|(id, unit)| Arc::new(device(id, unit, paused(guard, turnaround))));
        scheduler.configure(now, &devices);
        scheduler.handle_connect(now, Ok(()));
        let mut bench = Bench { scheduler, now };
        let first = bench.next().0;
        bench.answer(FakeAnswer::Shows(1));
        assert_eq!(bench.ask().is_none(), waits, "turnaround {turnaround:?}");
        if waits {
            bench.pass(30 * MS);
            assert_ne!(bench.next().0, first);
        }
        bench.answer(FakeAnswer::Shows(1));
        bench.pass(5 * MS);
        assert_eq!(bench.ask(), None, "both rest");
    }
}
