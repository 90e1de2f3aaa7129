//! A unit is brought back into step by what its mapping reads, and by nothing else.

use tokio::sync::mpsc as channels;
use usp_mapping::mapping::{
    Bus, BusKind, Capability, Mapping, ModbusOptions, ModbusPoint, Poll, Protocol, ReadBinding, ReadPoint,
    Site,
};
use usp_mapping::port::AdapterReport;
use usp_mapping::transform::Transform;

use super::*;
use crate::bus::fake::{self, MS, PLACE};
use crate::{Adapters, FromAdapter};

/// The one register of a meter.
const ONLY: [u8; 6] = [1, 4, 0, 30, 0, 1];

fn only() -> Ask {
    asked(1, Query::Read(Block::new(ModbusTable::Input, 30, 1).into()))
}

fn is_held(outcome: &Outcome<Answer>) -> bool {
    matches!(outcome, Outcome::Held(DeviceFault::Timeout(TIMEOUT)))
}

fn requests(slave: &Slave) -> Vec<Vec<u8>> {
    slave.requests.try_iter().map(|(_, request)| request).collect()
}

#[tokio::test]
async fn a_lost_reply_of_the_only_register_is_settled_by_that_register_alone() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    slave.says(&[(0, &input(1, 7))]);
    assert_eq!(answer(medium.exchange(only()).await), [7]);
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(only()).await));
    for word in [8, 9] {
        slave.says(&[(0, &input(1, word))]);
    }
    assert_eq!(answer(medium.exchange(only()).await), [9], "the first of the two could be of before");
    assert_eq!(requests(&slave), vec![framed(&ONLY); 4]);
}

#[tokio::test]
async fn so_is_a_damaged_one() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let mut damaged = input(1, 7);
    damaged[3] ^= 0x10;
    slave.says(&[(0, &damaged)]);
    let garbled = medium.exchange(only()).await;
    assert!(matches!(garbled, Outcome::Silent(DeviceFault::Garbled(_))), "{garbled:?}");
    for word in [8, 9] {
        slave.says(&[(0, &input(1, word))]);
    }
    assert_eq!(answer(medium.exchange(only()).await), [9]);
    assert_eq!(requests(&slave), vec![framed(&ONLY); 3]);
}

/// The late reply comes when the same is asked again, and the reply to that right after it.
#[tokio::test]
async fn a_late_reply_to_the_same_question_is_no_reading_of_now() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(only()).await));
    slave.says(&[(0, &input(1, 0xde)), (20, &input(1, 0xad))]);
    slave.says(&[(0, &input(1, 3))]);
    assert_eq!(answer(medium.exchange(only()).await), [3]);
    slave.says(&[(0, &input(1, 4))]);
    assert_eq!(answer(medium.exchange(only()).await), [4]);
    assert_eq!(requests(&slave).len(), 4, "it is in step again");
}

/// Whoever answers no read can be brought into step by none: only the very same write may be sent again.
#[tokio::test]
async fn the_last_write_of_a_unit_that_answers_no_reads_is_sent_again() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let write = |on| asked(1, Query::WriteCoil(3, on));
    let (on, off) = (framed(&[1, 5, 0, 3, 0xff, 0]), framed(&[1, 5, 0, 3, 0, 0]));
    // What the first write needs to hear whether the line echoes: the coil that it writes.
    slave.says(&[]);
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(write(true)).await));
    assert_eq!(requests(&slave), [framed(&[1, 1, 0, 3, 0, 1]), on.clone()]);
    slave.says(&[(0, &on)]);
    let written = medium.exchange(write(true)).await;
    assert!(matches!(written, Outcome::Answered(Answer::Written)), "{written:?}");
    assert_eq!(requests(&slave), std::slice::from_ref(&on));
    // An acknowledgement of the first could come after something else was written.
    slave.says(&[]);
    slave.says(&[]);
    for value in [true, false] {
        assert!(is_timeout(&medium.exchange(write(value)).await), "{value}");
    }
    let held = medium.exchange(write(true)).await;
    assert!(matches!(held, Outcome::Held(DeviceFault::Garbled(_))), "{held:?}");
    assert_eq!(requests(&slave), [on, off]);
}

#[tokio::test]
async fn a_write_is_held_until_a_read_of_the_mapping_is_answered() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let (word, read) = (framed(&[1, 6, 0, 7, 0, 1]), framed(&[1, 3, 0, 7, 0, 1]));
    let mapped = Block::new(ModbusTable::Holding, 7, 1);
    let write = || Ask { mapped: Some(mapped.clone().into()), ..asked(1, Query::WriteRegister(7, 1)) };
    slave.says(&[(0, &registers(1, &[0]))]);
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(write()).await), "it may have been done");
    assert_eq!(requests(&slave), [read.clone(), word.clone()]);
    slave.says(&[]);
    let held = medium.exchange(write()).await;
    assert!(is_held(&held), "{held:?}");
    assert_eq!(requests(&slave), std::slice::from_ref(&read));
    slave.says(&[(0, &registers(1, &[0]))]);
    slave.says(&[(0, &word)]);
    let written = medium.exchange(write()).await;
    assert!(matches!(written, Outcome::Answered(Answer::Written)), "{written:?}");
    assert_eq!(requests(&slave), [read, word]);
}

fn meter() -> Mapping {
    let place = ModbusPoint { table: ModbusTable::Input, address: 30, ..PLACE };
    let read = ReadBinding::single(ReadPoint::Modbus(place), Transform::default(), Poll::Every(20 * MS));
    let only = Capability { read: Some(read), ..fake::on_demand() };
    let options = ModbusOptions { timeout: TIMEOUT, ..ModbusOptions::default() };
    Mapping { protocol: Protocol::Modbus(options), ..fake::mapping(&[only]) }
}

/// Nothing but its one register is answered. Three silences in a row would take it offline.
#[tokio::test]
async fn a_meter_with_one_register_stays_online_after_a_lost_reply() {
    let slave = Slave::start(115_200);
    let bus = Bus { name: "bus".to_owned(), kind: BusKind::ModbusRtu(slave.line.clone()) };
    let site = Site { buses: vec![bus], devices: vec![fake::device("meter", 1, meter())] };
    for word in 1..100 {
        if word == 3 { slave.says(&[]) } else { slave.says(&[(0, &input(1, word))]) }
    }
    let (to_core, mut core) = channels::channel(64);
    let adapters = Adapters::start(Arc::new(site), to_core);
    let mut readings = 0;
    while readings < 20 {
        match core.recv().await.unwrap() {
            FromAdapter::Report(AdapterReport::Readings { readings: all, .. }) => {
                assert!(all.iter().all(|reading| reading.result.is_ok()), "{all:?}");
                readings += 1;
            }
            FromAdapter::Report(AdapterReport::Online { online, .. }) => assert_eq!(online, Ok(())),
            other => panic!("{other:?}"),
        }
    }
    drop(adapters);
    assert!(requests(&slave).iter().all(|request| *request == framed(&ONLY)));
}

#[tokio::test]
async fn a_write_that_comes_too_late_behind_such_a_read_is_not_sent() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let word = framed(&[1, 6, 0, 7, 0, 1]);
    let write = || asked(1, Query::WriteRegister(7, 1));
    slave.says(&[(0, &registers(1, &[0]))]);
    assert_eq!(answer(medium.exchange(read(1, 7, 1)).await), [0]);
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(write()).await));
    slave.says(&[(0, &registers(1, &[0]))]);
    let held = medium.exchange(Ask { until: Some(Instant::now()), ..write() }).await;
    assert!(matches!(held, Outcome::Held(DeviceFault::Expired)), "{held:?}");
    slave.says(&[(0, &word)]);
    let written = medium.exchange(write()).await;
    assert!(matches!(written, Outcome::Answered(Answer::Written)), "{written:?}");
    assert_eq!(requests(&slave).iter().filter(|request| **request == word).count(), 2);
}
