//! Exceptions that say nothing of a value and refuse nothing for good (4, 5 and 6), under virtual time.

use std::time::{Duration, Instant};

use usp_mapping::mapping::Mapping;

use super::*;
use crate::bus::Outcome;
use crate::bus::backoff::Jitter;
use crate::bus::schedule::{Command, Scheduler};
use crate::modbus::codec::{Answer, Query};
use crate::modbus::model::ModbusModel;

const SECOND: Duration = Duration::from_secs(1);

/// Device `a`, and what was answered and reported of it.
struct Wire {
    scheduler: Scheduler<ModbusModel>,
    start: Instant,
    now: Instant,
    outcome: Option<Result<Value, String>>,
    readings: Vec<(Duration, Result<Value, DeviceFault>)>,
}

impl Wire {
    fn new(mapping: Mapping) -> Self {
        let mut scheduler = Scheduler::new(Arc::default(), Jitter::seeded(1), Duration::ZERO);
        let start = Instant::now();
        scheduler.configure(start, &[Arc::new(fake::device("a", 1, mapping))]);
        scheduler.handle_connect(start, Ok(()));
        Self { scheduler, start, now: start, outcome: None, readings: Vec::new() }
    }

    /// Lets time pass, and answers what is asked.
    fn run(&mut self, time: Duration, mut answer: impl FnMut(Duration, &Query) -> Answer) {
        let end = self.now + time;
        while self.now < end {
            self.scheduler.handle_timeout(self.now);
            while let Some(Command::Exchange(ask)) = self.scheduler.poll_command(self.now) {
                let answer = answer(self.now - self.start, &ask.query);
                self.scheduler.handle_exchange(self.now, Outcome::Answered(answer), true);
                self.now += MS;
            }
            self.take_in();
            self.now += 10 * MS;
        }
    }

    fn take_in(&mut self) {
        while let Some(message) = self.scheduler.poll_output() {
            match message {
                FromAdapter::Report(AdapterReport::Readings { readings, .. }) => {
                    let at = self.now - self.start;
                    self.readings.extend(readings.into_iter().map(|reading| (at, reading.result)));
                }
                FromAdapter::Reply(reply) => {
                    let outcome = reply.outcome.and_then(|mut all| all.remove(0).result);
                    self.outcome = Some(outcome.map_err(|fault| fault.to_string()));
                }
                _ => {}
            }
        }
    }

    /// Writes 7, and gives the outcome.
    fn write(&mut self, answer: impl FnMut(Duration, &Query) -> Answer) -> Result<Value, String> {
        self.run(SECOND, |_, _| Answer::Registers(vec![1]));
        self.scheduler.handle_call(self.now, self.now, call(1, "a", write(0, 7)));
        self.run(15 * SECOND, answer);
        self.outcome.take().expect("an answer")
    }
}

/// It takes the request (5), and does it 300 ms later.
#[test]
fn an_acknowledged_write_is_verified() {
    let mut wire = Wire::new(fake::mapping(&[fake::verified(1000)]));
    let mut done_at = None;
    let outcome = wire.write(|now, query| match query {
        Query::Read(_) => Answer::Registers(vec![if done_at.is_some_and(|at| at <= now) { 7 } else { 1 }]),
        _ => {
            done_at.get_or_insert(now + 300 * MS);
            Answer::Exception(5)
        }
    });
    assert_eq!(outcome, Ok(number(7)));
}

#[test]
fn an_acknowledged_write_that_nobody_verifies_may_have_been_done() {
    let mut wire = Wire::new(fake::mapping(&[fake::writable()]));
    let outcome = wire.write(|_, query| match query {
        Query::Read(_) => Answer::Registers(vec![1]),
        _ => Answer::Exception(5),
    });
    assert_eq!(outcome, Err("the device took it and needs more time for it (exception 5)".to_owned()));
}

#[test]
fn a_write_to_a_busy_device_is_sent_again_within_its_time() {
    for first in [fake::writable(), fake::modified()] {
        let mut wire = Wire::new(fake::mapping(&[first]));
        let (mut begun, mut sent) = (None, 0);
        let outcome = wire.write(|now, query| {
            let is_busy = now < *begun.get_or_insert(now) + 2 * SECOND;
            sent += u32::from(!matches!(query, Query::Read(_)));
            match query {
                _ if is_busy => Answer::Exception(6),
                Query::Read(_) => Answer::Registers(vec![1]),
                _ => Answer::Written,
            }
        });
        assert_eq!(outcome, Ok(number(7)));
        assert!(sent < 20, "{sent}");
    }
}

#[test]
fn a_device_that_stays_busy_refuses_a_write_in_the_end() {
    let mut wire = Wire::new(fake::mapping(&[fake::writable()]));
    let outcome = wire.write(|_, _| Answer::Exception(6));
    assert_eq!(outcome, Err("the device refused: it is busy (exception 6)".to_owned()));
}

/// Polled once an hour.
#[test]
fn what_was_not_read_for_a_passing_reason_is_read_again_soon() {
    for code in [4, 5, 6] {
        let mut wire = Wire::new(fake::mapping(&[fake::polled(3_600_000)]));
        let hour = 3600 * SECOND;
        wire.run(hour + 60 * SECOND, |now, _| match now {
            now if now < hour || now > hour + 5 * SECOND => Answer::Registers(vec![7]),
            _ => Answer::Exception(code),
        });
        let results: Vec<_> = wire.readings.iter().map(|(_, result)| result.is_ok()).collect();
        assert_eq!(results, [true, false, true], "{code} {:?}", wire.readings);
    }
}
