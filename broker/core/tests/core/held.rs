//! Windows of a BinarySensor that the device holds: read from it, written to it, and applied by nobody else.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::site::edited;

const DOOR: &str = "Device.ProxiedDevice.1.IoTCapability.1.BinarySensor.";

/// Points of the detector, in the order of TR-181.
const SENSITIVITY: u16 = 1;
const HOLD: u16 = 2;
const REST: u16 = 3;

fn detector() -> (World, ConnId) {
    let mut w = World::new();
    w.site("a: detector");
    let c = w.controller("self::c");
    w.report("a", &[(0, Value::Bool(false))]);
    (w, c)
}

fn get(w: &mut World, c: ConnId, name: &str) -> String {
    let answer = w.get(c, &format!("{DOOR}{name}"));
    answer.strip_prefix(&format!("{DOOR}{name}")).map_or(answer.clone(), str::to_owned)
}

fn holds(w: &mut World, point: u16, value: &str) {
    w.devices.values.insert(("a".to_owned(), point), number(value));
}

#[test]
fn a_get_reads_the_device_unless_it_is_known() {
    let (mut w, c) = detector();
    holds(&mut w, HOLD, "5000");
    assert_eq!(get(&mut w, c, "HoldTime"), "=5000");
    holds(&mut w, HOLD, "7000");
    assert_eq!(get(&mut w, c, "HoldTime"), "=5000", "it is read once");
    holds(&mut w, REST, "100");
    assert_eq!(get(&mut w, c, "RestTime"), "=100");
    holds(&mut w, REST, "200");
    w.wait(1);
    assert_eq!(get(&mut w, c, "RestTime"), "=200", "it is read on demand");
    let all = w.get(c, DOOR);
    assert!(all.contains("HoldTime=5000") && !all.contains("Sensitivity"), "not read yet: {all}");
    w.report("a", &[(SENSITIVITY, number("40"))]);
    assert!(w.get(c, DOOR).contains("Sensitivity=40"));
}

#[test]
fn a_set_is_done_by_the_device_or_fails() {
    let (mut w, c) = detector();
    w.subscribe(c, "h", "ValueChange", &format!("{DOOR}HoldTime"));
    w.report("a", &[(HOLD, number("5000")), (SENSITIVITY, number("40"))]);
    assert_eq!(w.set(c, DOOR, &["HoldTime=9000"]), format!("{DOOR} HoldTime=9000"));
    assert_eq!(w.devices.values[&("a".to_owned(), HOLD)], number("9000"));
    assert_eq!(w.notes(c), [format!("h: ValueChange {DOOR}HoldTime=9000")]);
    w.device("a", Behaviour::Shows(number("10000")));
    assert_eq!(w.set(c, DOOR, &["HoldTime=9999"]), format!("{DOOR} HoldTime=10000"), "it has rounded");
    w.device("a", Behaviour::Fails(DeviceFault::Refused("busy".to_owned())));
    assert!(w.set(c, DOOR, &["HoldTime=1"]).starts_with("Error"));
    assert_eq!(get(&mut w, c, "HoldTime"), "=10000");
    w.device("a", Behaviour::Good);
    w.report("a", &[(HOLD, number("20000"))]);
    assert_eq!(w.notes(c).last(), Some(&format!("h: ValueChange {DOOR}HoldTime=20000")), "at the device");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_sent() {
    let (mut w, c) = detector();
    w.report("a", &[(HOLD, number("5000"))]);
    for (setting, code) in [
        ("HoldTime=-1", "7011"),
        ("HoldTime=soon", "7011"),
        ("HoldTime=65536", "7012"),
        ("Sensitivity=101", "7012"),
        ("RestTime=1", "7013"),
    ] {
        let answer = w.set(c, DOOR, &[setting]);
        assert!(answer.contains(code), "{setting}: {answer}");
    }
    assert_eq!(w.devices.values[&("a".to_owned(), HOLD)], number("5000"));
    w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
    assert!(w.set(c, DOOR, &["HoldTime=1"]).starts_with("Error 7009"));
    assert_eq!(get(&mut w, c, "HoldTime"), ": 7003");
}

#[test]
fn what_was_done_is_taken_back_with_the_rest() {
    let (mut w, c) = detector();
    w.report("a", &[(HOLD, number("5000")), (SENSITIVITY, number("40"))]);
    w.device("a", Behaviour::FailsAfter(1, DeviceFault::Refused("no".to_owned())));
    let answer = w.set(c, DOOR, &["HoldTime=1000", "Sensitivity=50"]);
    assert!(answer.starts_with("Error"), "{answer}");
    assert_eq!(get(&mut w, c, "HoldTime"), "=5000");
    assert_eq!(w.devices.values[&("a".to_owned(), HOLD)], number("5000"));
}

#[test]
fn the_broker_adds_no_window() {
    let (mut w, c) = detector();
    w.report("a", &[(HOLD, number("60000")), (SENSITIVITY, number("0"))]);
    w.subscribe(c, "v", "ValueChange", &format!("{DOOR}Value"));
    for on in [true, false, true] {
        w.wait(1);
        w.report("a", &[(0, Value::Bool(on))]);
        assert_eq!(w.notes(c), [format!("v: ValueChange {DOOR}Value={on}")]);
    }
}

/// What a Controller set while the broker ran the window waits, unseen, while the device holds it.
#[test]
fn a_mapping_may_leave_the_window_to_the_device_and_take_it_back() {
    let plain = || edited("a: plain", |mapping| mapping.capabilities[0].hold = Some(Duration::ZERO));
    let mut w = World::new();
    w.load(plain());
    let c = w.controller("self::c");
    w.set(c, DOOR, &["HoldTime=3000"]);
    w.site("a: detector");
    holds(&mut w, HOLD, "5000");
    assert_eq!(get(&mut w, c, "HoldTime"), "=5000");
    w.load(plain());
    assert_eq!(get(&mut w, c, "HoldTime"), "=3000");
}
