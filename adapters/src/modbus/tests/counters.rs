//! Numbers that only grow.

use std::time::{Duration, Instant};

use super::*;
use crate::bus::Model;
use crate::modbus::codec::Answer;
use crate::modbus::model::ModbusModel;

/// What a meter shows that holds these numbers one after the other, read so long apart; `None`: no reading.
fn shown(monotonic: bool, apart: Duration, held: &[u16]) -> Vec<Option<Value>> {
    let meter = Capability { monotonic, class: Class::LevelSensor, ..fake::on_demand() };
    let mut model = ModbusModel::new(&fake::device("a", 1, fake::mapping(&[meter])));
    let mut now = Instant::now();
    let read = |word: &u16| {
        now += apart;
        let ask = model.plan(now, &[PointId(0)]).remove(0);
        let understood = model.understand(now, &ask, Answer::Registers(vec![*word]));
        match understood.readings.as_slice() {
            [Reading { result: Ok(value), .. }] => Some(value.clone()),
            [Reading { result: Err(DeviceFault::Invalid(_)), .. }] => None,
            other => panic!("{other:?}"),
        }
    };
    held.iter().map(read).collect()
}

const LONG: Duration = Duration::from_secs(10);

fn is(held: i64) -> Option<Value> {
    Some(number(held))
}

#[test]
fn a_counter_that_steps_back_has_no_reading_but_for_a_reset() {
    let glitch = shown(true, LONG, &[1000, 999, 1001, 5, 6]);
    assert_eq!(glitch, [is(1000), None, is(1001), is(5), is(6)]);
    let exchanged = shown(true, LONG, &[1000, 500, 501, 502, 503]);
    assert_eq!(exchanged, [is(1000), None, None, is(502), is(503)]);
    assert_eq!(shown(false, LONG, &[1000, 999]), [is(1000), is(999)]);
}

#[test]
fn gets_in_quick_succession_do_not_make_a_counter_believed() {
    let hurry = shown(true, Duration::from_millis(100), &[1000, 500, 501, 502, 503]);
    assert_eq!(hurry, [is(1000), None, None, None, None]);
}
