//! What was said before and not just now: kept by somebody for whoever comes, said long ago, or only in part of today.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::mapping::{FOR_EVER, MqttOptions, Protocol};
use usp_mapping::port::{DeviceFault, Freshness, PointId, Reading};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::site::edited;

const ROW: &str = "Device.ProxiedDevice.1.IoTCapability.1.";
const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";

/// A device whose level never becomes old while it is there, or after so long.
fn world(max_age: Duration) -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = max_age));
    let c = w.controller("self::c");
    w.wait(100);
    (w, c)
}

fn shows(w: &mut World, c: ConnId, path: &str, lines: &[&str]) {
    let shown = w.get(c, path);
    for line in lines {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

fn quality(w: &mut World, c: ConnId) -> String {
    let answer = w.get(c, &format!("{ROW}X_USPBROKER_Quality"));
    answer.rsplit_once('=').unwrap().1.to_owned()
}

/// The level, of which the oldest part was said so long ago.
fn level(text: &str, contact: bool, age: Option<Duration>) -> Vec<Reading> {
    let freshness = Freshness { contact, age };
    vec![Reading { point: PointId(0), result: Ok(number(text)), freshness }]
}

const S: Duration = Duration::from_secs(1);

#[test]
fn what_somebody_has_kept_is_shown_and_is_no_contact() {
    let (mut w, c) = world(FOR_EVER);
    w.report_kept("a", &[(0, number("20"))]);
    let lines = [
        "Device.ProxiedDevice.1.Online=false",
        "Device.ProxiedDevice.1.LastTimeContacted=0001-01-01T00:00:00Z",
        "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality=Stale",
        "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError=what is known was kept of former times and may be",
        "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastChange=0001-01-01T00:00:00Z",
        "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastContactTime=0001-01-01T00:00:00Z",
    ];
    shows(&mut w, c, "Device.ProxiedDevice.1.", &lines);
    // Whoever keeps count of it says that it is there: then it is what it shows.
    w.report_online("a", Ok(()));
    shows(&mut w, c, ROW, &["X_USPBROKER_Quality=Good", "LastError=\n", "LevelSensor.Value=20"]);
    w.report("a", &[(0, number("20"))]);
    shows(&mut w, c, ROW, &["LevelSensor.LastChange=0001-01-01T00:00:00Z"]);
    w.report("a", &[(0, number("25"))]);
    assert!(!w.get(c, ROW).contains("LevelSensor.LastChange=0001-01-01T00:00:00Z"), "since then it is 25");
}

/// Nobody keeps count of it: after its server was away it passes for being there, and what is kept may be from long ago.
#[test]
fn what_is_kept_of_a_device_that_is_only_believed_to_be_there_is_stale() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[0].max_age = FOR_EVER;
        mapping.protocol = Protocol::Mqtt(MqttOptions::default());
    }));
    let c = w.controller("self::c");
    w.report("a", &[(0, number("25"))]);
    assert_eq!(quality(&mut w, c), "Good");
    w.report_online("a", Err(DeviceFault::Unreachable("the server is away".to_owned())));
    w.report_online("a", Ok(()));
    w.subscribe(c, "q", "ValueChange", &format!("{ROW}X_USPBROKER_Quality"));
    w.report_kept("a", &[(0, number("20"))]);
    assert_eq!(quality(&mut w, c), "Stale");
    let error = w.get(c, &format!("{ROW}X_USPBROKER_LastError"));
    assert!(error.ends_with("may be of any age"), "{error}");
    w.notes(c);
    w.report("a", &[(1, Value::Bool(true))]);
    assert_eq!(w.notes(c), [format!("q: ValueChange {ROW}X_USPBROKER_Quality=Good")], "it speaks");
    assert_eq!(quality(&mut w, c), "Good");
}

#[test]
fn what_somebody_has_kept_may_be_older_than_any_reading_may_be() {
    let (mut w, c) = world(3600 * S);
    w.report_kept("a", &[(0, number("20"))]);
    w.report_online("a", Ok(()));
    assert_eq!(quality(&mut w, c), "Stale");
    w.report("a", &[(0, number("20"))]);
    assert_eq!(quality(&mut w, c), "Good");
    // It says the same: that it was said just now stays true.
    w.report_kept("a", &[(0, number("20.2"))]);
    assert_eq!(quality(&mut w, c), "Good");
}

#[test]
fn a_get_of_what_was_kept_is_neither_an_answer_nor_a_contact() {
    let (mut w, c) = world(FOR_EVER);
    w.report_kept("a", &[(0, number("20"))]);
    w.device("a", Behaviour::Tells(None));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}: 7003"));
    assert_eq!(w.calls.len(), 1, "somebody was asked");
    let lines = [
        "Device.ProxiedDevice.1.Online=false",
        "Device.ProxiedDevice.1.LastTimeContacted=0001-01-01T00:00:00Z",
        "IoTCapability.1.LevelSensor.LastContactTime=0001-01-01T00:00:00Z",
    ];
    shows(&mut w, c, "Device.ProxiedDevice.1.", &lines);
    // Of this one the mapping wants to see it all the same (serve_stale).
    w.report_kept("a", &[(5, number("7"))]);
    let old = "Device.ProxiedDevice.1.IoTCapability.6.LevelSensor.Value";
    assert_eq!(w.get(c, old), format!("{old}=7"));
    let lines = ["Device.ProxiedDevice.1.Online=false", "IoTCapability.6.X_USPBROKER_Quality=Stale"];
    shows(&mut w, c, "Device.ProxiedDevice.1.", &lines);
}

#[test]
fn a_get_of_what_was_said_long_ago_does_not_make_it_new() {
    let (mut w, c) = world(60 * S);
    w.report("a", &[(0, number("20"))]);
    let contact = w.get(c, "Device.ProxiedDevice.1.LastTimeContacted");
    w.wait(61);
    w.device("a", Behaviour::Tells(Some(61 * S)));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}: 7003"));
    assert_eq!(quality(&mut w, c), "Stale");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.LastTimeContacted"), contact);
}

#[test]
fn what_was_said_before_follows_nothing_newer() {
    let (mut w, c) = world(60 * S);
    w.report("a", &[(0, number("20"))]);
    w.wait(5);
    w.report("a", &[(0, number("30"))]);
    w.report_under(w.mapping("a"), "a", level("20", false, Some(5 * S)));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=30"));
}

#[test]
fn a_value_is_as_old_as_its_oldest_part() {
    let (mut w, c) = world(60 * S);
    w.report_under(w.mapping("a"), "a", level("20", true, Some(50 * S)));
    shows(&mut w, c, "Device.ProxiedDevice.1.", &["Device.ProxiedDevice.1.Online=true"]);
    assert_eq!(quality(&mut w, c), "Good");
    w.wait(11);
    assert_eq!(quality(&mut w, c), "Stale");
    w.report_under(w.mapping("a"), "a", level("21", true, Some(61 * S)));
    assert_eq!(quality(&mut w, c), "Stale", "however often the other part is said");
    w.report_under(w.mapping("a"), "a", level("22", true, None));
    assert_eq!(quality(&mut w, c), "Stale", "or with a part that was kept");
    w.report("a", &[(0, number("23"))]);
    assert_eq!(quality(&mut w, c), "Good");
}

#[test]
fn that_it_does_not_answer_is_not_disproved_by_what_it_said_before() {
    let (mut w, c) = world(FOR_EVER);
    w.report("a", &[(0, number("20")), (1, Value::Bool(true))]);
    w.report_fault("a", 0, DeviceFault::Timeout(S));
    w.report_kept("a", &[(0, number("25"))]);
    assert_eq!(quality(&mut w, c), "Bad");
}

#[test]
fn nothing_is_refreshed_where_nothing_can_be_asked() {
    let (mut w, c) = world(FOR_EVER);
    w.report_kept("a", &[(0, number("20"))]);
    w.device("a", Behaviour::Tells(None));
    w.subscribe(c, "done", "OperationComplete", "Device.ProxiedDevice.");
    w.operate(c, "Device.ProxiedDevice.1.X_USPBROKER_Refresh()", "", &[]);
    let notes = w.notes(c);
    assert!(notes.len() == 1 && notes[0].contains("7022"), "{notes:?}");
}

#[test]
fn no_step_begins_with_what_was_kept() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        (mapping.capabilities[3].max_age, mapping.capabilities[3].serve_stale) = (FOR_EVER, true);
    }));
    let c = w.controller("self::c");
    w.report_kept("a", &[(3, number("50"))]);
    w.device("a", Behaviour::Tells(None));
    w.subscribe(c, "done", "OperationComplete", "Device.ProxiedDevice.");
    w.operate(c, "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.StepUp()", "", &[]);
    let notes = w.notes(c);
    assert!(notes.len() == 1 && notes[0].contains("7022"), "{notes:?}");
    assert_eq!(w.calls.len(), 1, "nothing was written");
}
