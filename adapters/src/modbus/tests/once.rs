//! What is read once and refused at first is tried until it is there, under virtual time.

use std::time::{Duration, Instant};

use super::*;
use crate::bus::Outcome;
use crate::bus::backoff::Jitter;
use crate::bus::schedule::{Command, Scheduler};
use crate::modbus::codec::Answer;
use crate::modbus::model::ModbusModel;

/// A device that needs five minutes until it knows its serial number.
#[test]
fn what_is_read_once_is_tried_until_it_is_there() {
    let mut once = fake::on_demand();
    if let Some(read) = &mut once.read {
        read.poll = Poll::Once;
    }
    let mut scheduler: Scheduler<ModbusModel> =
        Scheduler::new(Arc::default(), Jitter::seeded(1), Duration::ZERO);
    let start = Instant::now();
    let device = Arc::new(fake::device("a", 1, fake::mapping(&[once])));
    scheduler.configure(start, &[device]);
    scheduler.handle_connect(start, Ok(()));
    let mut read = None;
    for second in 0..1200 {
        let now = start + Duration::from_secs(second);
        scheduler.handle_timeout(now);
        while let Some(Command::Exchange(_)) = scheduler.poll_command(now) {
            let answer = if second < 300 { Answer::Exception(2) } else { Answer::Registers(vec![7]) };
            scheduler.handle_exchange(now, Outcome::Answered(answer), true);
        }
        while let Some(message) = scheduler.poll_output() {
            if let FromAdapter::Report(AdapterReport::Readings { readings, .. }) = message {
                read = readings.into_iter().find_map(|reading| reading.result.ok()).or(read);
            }
        }
    }
    assert_eq!(read, Some(number(7)));
}
