//! Proxied devices: what memory answers, what goes to the wire, and what a failure looks like.

use std::time::Duration;

use usp_mapping::port::{Action, DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number, state};
use crate::bench::peer::get;
use crate::bench::text;

const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
const PROBE: &str = "Device.ProxiedDevice.1.IoTCapability.5.LevelSensor.Value";
const OLD: &str = "Device.ProxiedDevice.1.IoTCapability.6.LevelSensor.Value";

/// A box that was polled once.
fn polled() -> (World, usp_core::input::ConnId) {
    let mut w = World::new();
    w.site("a: box");
    w.report(
        "a",
        &[(0, number("20")), (1, Value::Bool(false)), (2, state("Low")), (3, number("50")), (5, number("7"))],
    );
    w.report("a", &[(6, Value::Bool(false))]);
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn a_row_is_what_the_mapping_says() {
    let (mut w, c) = polled();
    let row = text::answer(&w.ask(c, get(&["Device.ProxiedDevice."], 1)));
    let expected = "\
Device.ProxiedDevice.1.Alias=cpe-1
Device.ProxiedDevice.1.Description=A box
Device.ProxiedDevice.1.InterfaceReference=
Device.ProxiedDevice.1.IoTCapabilityNumberOfEntries=7
Device.ProxiedDevice.1.LastTimeContacted=2026-01-01T00:00:00Z
Device.ProxiedDevice.1.Name=The a
Device.ProxiedDevice.1.NodeNumberOfEntries=0
Device.ProxiedDevice.1.Online=true
Device.ProxiedDevice.1.ProxyProtocol=X_USPBROKER_Modbus
Device.ProxiedDevice.1.Type=Meter
Device.ProxiedDevice.1.X_USPBROKER_Address=modbus-tcp://127.0.0.1:502/1
Device.ProxiedDevice.1.X_USPBROKER_Mapping=test.box@1.0.0";
    assert_eq!(row, expected);
    let sensor = w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.");
    let expected = "\
Device.ProxiedDevice.1.IoTCapability.1.Alias=cpe-1
Device.ProxiedDevice.1.IoTCapability.1.Class=LevelSensor
Device.ProxiedDevice.1.IoTCapability.1.Name=Level
Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError=
Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality=Good
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Description=
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.HighLevel=false
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.HighLevelThreshold=70
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastChange=2026-01-01T00:00:00Z
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastContactTime=2026-01-01T00:00:00Z
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Type=Temperature
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Unit=degC
Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value=20";
    assert_eq!(sensor, expected);
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.LevelControl."),
        "Device.ProxiedDevice.1.IoTCapability.1.LevelControl.: 7026"
    );
    assert!(w.calls.is_empty());
}

#[test]
fn a_fresh_reading_comes_from_memory() {
    let (mut w, c) = polled();
    w.wait(2);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=20"));
    assert!(w.calls.is_empty());
}

#[test]
fn a_stale_reading_is_read_once_for_all_who_ask() {
    let (mut w, c) = polled();
    w.device("a", Behaviour::Slow(Duration::from_millis(100)));
    w.wait(10);
    let other = w.controller("self::d");
    w.devices.values.insert(("a".to_owned(), 0), number("33"));
    let first = w.begin(c, get(&[LEVEL, LEVEL], 0));
    let second = w.begin(other, get(&[LEVEL], 0));
    assert_eq!(w.calls.len(), 1);
    assert_eq!(w.calls[0].action, Action::Read(vec![PointId(0)]));
    w.advance(Duration::from_millis(100));
    assert_eq!(text::answer(&w.answer(c, &first).unwrap()), format!("{LEVEL}=33\n{LEVEL}=33"));
    assert_eq!(text::answer(&w.answer(other, &second).unwrap()), format!("{LEVEL}=33"));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=33"), "the answer is a reading like any other");
    assert_eq!(w.calls.len(), 1);
}

/// Quality turns Stale when nothing is heard any more, and that is a change like any other.
#[test]
fn a_reading_that_becomes_old_is_told() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let quality = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality";
    w.subscribe(c, "q", "ValueChange", "Device.ProxiedDevice.*.IoTCapability.*.X_USPBROKER_Quality");
    w.report("a", &[(0, number("20"))]);
    assert!(w.notes(c).is_empty(), "what is heard first changes nothing that anybody knew");
    for _ in 0..10 {
        w.wait(1);
        w.report("a", &[(0, number("20"))]);
    }
    assert!(w.notes(c).is_empty(), "a fresh reading each time");
    w.wait(2);
    assert!(w.notes(c).is_empty(), "two periods");
    w.wait(1);
    assert_eq!(w.notes(c), [format!("q: ValueChange {quality}=Stale")]);
    w.wait(1000);
    assert!(w.notes(c).is_empty(), "once");
    w.report("a", &[(0, number("20"))]);
    assert_eq!(w.notes(c), [format!("q: ValueChange {quality}=Good")]);
    w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
    assert_eq!(w.notes(c), [format!("q: ValueChange {quality}=Stale")]);
    w.wait(1000);
    assert!(w.notes(c).is_empty(), "it was told already");
    w.notes(c);
    w.report("a", &[(4, number("1"))]);
    assert_eq!(w.notes(c).len(), 1, "a first reading on demand");
    w.wait(10);
    w.report("a", &[(4, number("2"))]);
    assert!(w.notes(c).is_empty(), "what is read on demand is old at once, each time");
}

#[test]
fn a_point_on_demand_is_read_each_time() {
    let (mut w, c) = polled();
    w.devices.values.insert(("a".to_owned(), 4), number("5"));
    assert_eq!(w.get(c, PROBE), format!("{PROBE}=5"));
    w.wait(1);
    w.devices.values.insert(("a".to_owned(), 4), number("6"));
    assert_eq!(w.get(c, PROBE), format!("{PROBE}=6"));
    assert_eq!(w.calls.len(), 2);
}

#[test]
fn wildcards_never_touch_the_wire_and_leave_out_what_is_not_good() {
    let (mut w, c) = polled();
    let values = "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor.Value";
    assert_eq!(w.get(c, values), format!("{LEVEL}=20\n{OLD}=7"));
    w.wait(10);
    assert_eq!(w.get(c, values), format!("{OLD}=7"), "serve_stale alone is still shown");
    let sensor = w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.");
    assert!(!sensor.contains("Value=") && sensor.contains("LastChange="), "{sensor}");
    let all = w.get(c, "Device.ProxiedDevice.1.IoTCapability.*.X_USPBROKER_Quality");
    let qualities: Vec<&str> = all.lines().map(|l| l.rsplit('=').next().unwrap()).collect();
    assert_eq!(qualities, ["Stale", "Stale", "Stale", "Stale", "Bad", "Stale", "Stale"]);
    assert!(w.calls.is_empty());
    assert_eq!(w.get(c, "Device.ProxiedDevice.*.IoTCapability.[LevelSensor.Value>10].Name"), "");
}

#[test]
fn searches_look_into_the_class_object() {
    let (mut w, c) = polled();
    let name = "Device.ProxiedDevice.*.IoTCapability.[LevelSensor.Value>10].Name";
    assert_eq!(w.get(c, name), "Device.ProxiedDevice.1.IoTCapability.1.Name=Level");
    let name = "Device.ProxiedDevice.[Online==true].IoTCapability.[Class==\"EnumControl\"].EnumControl.Value";
    assert_eq!(w.get(c, name), "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.Value=Low");
}

#[test]
fn a_failed_read_is_an_error_that_names_device_and_cause() {
    let (mut w, c) = polled();
    w.wait(10);
    w.device("a", Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1))));
    let answer = w.ask(c, get(&[LEVEL], 0));
    assert_eq!(text::loud(&answer), format!("{LEVEL}: 7003 device a: no answer within 1000 ms"));
    let error = w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError");
    assert!(error.ends_with("=no answer within 1000 ms"), "{error}");
    assert_eq!(w.get(c, OLD), format!("{OLD}=7"), "serve_stale");
}

#[test]
fn a_silent_adapter_is_given_up_and_not_shared_for_ever() {
    let (mut w, c) = polled();
    w.wait(10);
    w.device("a", Behaviour::Silent);
    let first = w.begin(c, get(&[LEVEL], 0));
    let within = w.calls[0].within;
    w.advance(within);
    let second = w.begin(c, get(&[LEVEL], 0));
    assert_eq!(w.calls.len(), 1);
    w.advance(Duration::from_millis(500));
    let answer = text::loud(&w.answer(c, &first).unwrap());
    assert_eq!(answer, format!("{LEVEL}: 7003 device a: unreachable: the adapter does not answer"));
    w.device("a", Behaviour::Good);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=20"), "a new call is made");
    w.advance(within);
    assert!(w.answer(c, &second).is_some());
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn an_offline_device_fails_at_once_and_answers_from_its_row() {
    let (mut w, c) = polled();
    w.report_online("a", Err(DeviceFault::Unreachable("connection refused".to_owned())));
    let answer = w.ask(c, get(&[LEVEL, "Device.ProxiedDevice.1.Online", OLD], 0));
    let expected = format!(
        "{LEVEL}: 7003 device a is offline and was not asked: unreachable: connection refused\nDevice.ProxiedDevice.1.Online=false\n{OLD}=7"
    );
    assert_eq!(text::loud(&answer), expected);
    assert!(w.calls.is_empty());
    w.report("a", &[(0, number("21"))]);
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Online"), "Device.ProxiedDevice.1.Online=true");
}

#[test]
fn a_sentinel_reading_is_bad_and_never_shown() {
    let (mut w, c) = polled();
    w.report_fault("a", 0, DeviceFault::Invalid("sensor broken".to_owned()));
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality"),
        "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality=Bad"
    );
    assert_eq!(w.get(c, "Device.ProxiedDevice.*.IoTCapability.1.LevelSensor.Value"), "");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Online"), "Device.ProxiedDevice.1.Online=true");
}

/// That it could not be read just now says nothing of the value; that it is too old does.
#[test]
fn a_device_that_is_busy_keeps_its_reading_as_long_as_that_is_fresh() {
    let (mut w, c) = polled();
    w.report_fault("a", 0, DeviceFault::Busy("it is busy (exception 6)".to_owned()));
    let at = "Device.ProxiedDevice.1.IoTCapability.1.";
    let shown = |w: &mut World, what: &str| w.get(c, &format!("{at}{what}")).replace(at, "");
    assert_eq!(shown(&mut w, "X_USPBROKER_Quality"), "X_USPBROKER_Quality=Good");
    assert_eq!(shown(&mut w, "LevelSensor.Value"), "LevelSensor.Value=20");
    let why = "X_USPBROKER_LastError=the device refused: it is busy (exception 6)";
    assert_eq!(shown(&mut w, "X_USPBROKER_LastError"), why);
    w.subscribe(c, "q", "ValueChange", &format!("{at}X_USPBROKER_Quality"));
    w.wait(600);
    assert_eq!(w.notes(c), [format!("q: ValueChange {at}X_USPBROKER_Quality=Stale")]);
    assert_eq!(shown(&mut w, "X_USPBROKER_Quality"), "X_USPBROKER_Quality=Stale");
    assert_eq!(shown(&mut w, "X_USPBROKER_LastError"), why);
}

#[test]
fn one_silent_device_delays_nobody() {
    let mut w = World::new();
    w.site("a: box, b: box");
    let c = w.controller("self::c");
    w.device("a", Behaviour::Silent);
    w.devices.values.insert(("b".to_owned(), 0), number("9"));
    let stuck = w.begin(c, get(&[LEVEL], 0));
    let path = "Device.ProxiedDevice.2.IoTCapability.1.LevelSensor.Value";
    assert_eq!(w.get(c, path), format!("{path}=9"));
    assert!(w.get(c, "Device.ProxiedDevice.").contains(&format!("{path}=9")));
    assert!(w.answer(c, &stuck).is_none());
    w.wait(60);
    assert!(w.answer(c, &stuck).is_some());
}

#[test]
fn numbers_stay_with_their_devices_whatever_the_site_file_says() {
    let mut w = World::new();
    w.site("a: box, b: plain, c: plain");
    let c = w.controller("self::c");
    let names =
        |w: &mut World, c| w.get(c, "Device.ProxiedDevice.*.Name").replace("Device.ProxiedDevice.", "");
    assert_eq!(names(&mut w, c), "1.Name=The a\n2.Name=The b\n3.Name=The c");
    w.site("c: plain, a: box");
    assert_eq!(names(&mut w, c), "1.Name=The a\n3.Name=The c");
    let mut w = w.restart();
    w.site("d: plain, c: plain, b: plain, a: box");
    let c = w.controller("self::c");
    assert_eq!(names(&mut w, c), "1.Name=The a\n2.Name=The b\n3.Name=The c\n4.Name=The d");
    w.site("");
    assert_eq!(w.get(c, "Device.ProxiedDeviceNumberOfEntries"), "Device.ProxiedDeviceNumberOfEntries=0");
    w.site("e: plain");
    assert_eq!(names(&mut w, c), "5.Name=The e");
}

#[test]
fn a_rename_wins_over_the_site_file_and_survives() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.set(c, "Device.ProxiedDevice.1.", &["Name=Cellar"]), "Device.ProxiedDevice.1. Name=Cellar");
    let other = "Device.ProxiedDevice.1.IoTCapability.2.";
    assert_eq!(w.set(c, other, &["Name=Pump"]), format!("{other} Name=Pump"));
    assert_eq!(
        w.set(c, other, &["Name=Level"]),
        "Error 7025\nDevice.ProxiedDevice.1.IoTCapability.2.Name: 7025"
    );
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Name"), "Device.ProxiedDevice.1.Name=Cellar");
    assert_eq!(w.get(c, &format!("{other}Name")), format!("{other}Name=Pump"));
}

#[test]
fn what_controllers_changed_waits_for_a_device_that_left() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let level = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
    w.set(c, "Device.ProxiedDevice.1.", &["Name=Cellar, left = 100%"]);
    w.set(c, level, &["StepValue=7"]);
    let names = |w: &mut World, c| w.get(c, "Device.ProxiedDevice.1.IoTCapability.*.Name");
    let before = names(&mut w, c);
    w.site("");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Name"), "Device.ProxiedDevice.1.Name: 7026");
    let mut w = w.restart();
    w.site("");
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Name"), "Device.ProxiedDevice.1.Name=Cellar, left = 100%");
    assert_eq!(w.get(c, &format!("{level}StepValue")), format!("{level}StepValue=7"));
    assert_eq!(names(&mut w, c), before);
    w.set(c, "Device.ProxiedDevice.1.", &["Name=Attic"]);
    w.site("");
    w.site("a: box");
    assert_eq!(w.get(c, "Device.ProxiedDevice.1.Name"), "Device.ProxiedDevice.1.Name=Attic");
}

#[test]
fn readings_are_never_written_to_disk() {
    let (mut w, _) = polled();
    let before = w.disk.batches;
    for n in 0..50 {
        w.report("a", &[(0, number(&n.to_string())), (1, Value::Bool(n % 2 == 0))]);
        w.wait(1);
    }
    assert_eq!(w.disk.batches, before);
}

#[test]
fn a_device_that_leaves_the_site_answers_what_it_was_asked() {
    let (mut w, c) = polled();
    w.wait(10);
    w.device("a", Behaviour::Silent);
    let id = w.begin(c, get(&[LEVEL], 0));
    w.site("");
    let answer = text::answer(&w.answer(c, &id).unwrap());
    assert_eq!(answer, format!("{LEVEL}: 7003"));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}: 7026"));
}

#[test]
fn absurd_readings_are_readings() {
    let (mut w, c) = polled();
    for value in
        ["79000000000000000000000000000", "-79000000000000000000000000000", "0.0000000000000000000000000001"]
    {
        w.report("a", &[(0, number(value)), (3, number(value))]);
        assert_eq!(w.get(c, LEVEL), format!("{LEVEL}={value}"));
        w.operate(c, "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.StepUp()", "", &[]);
    }
}
