//! TR-181's behaviour of capabilities: windows of sensors, thresholds, steps, lists and raw bytes.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::mapping::{Class, Poll, Protocol, Steps, ZigbeeOptions};
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::peer::set;
use crate::bench::site::edited;

const DOOR: &str = "Device.ProxiedDevice.1.IoTCapability.1.BinarySensor.";
const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.";

/// A door that offers all windows, watched.
fn door() -> (World, ConnId) {
    door_with(Poll::Every(Duration::from_secs(1)))
}

fn door_with(poll: Poll) -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: plain", |mapping| {
        let sensor = &mut mapping.capabilities[0];
        sensor.sensitivity = Some(60);
        sensor.hold = Some(Duration::ZERO);
        sensor.rest = Some(Duration::ZERO);
        sensor.max_age = Duration::from_secs(3600);
        sensor.read.as_mut().unwrap().poll = poll;
    }));
    let c = w.controller("self::c");
    w.report("a", &[(0, Value::Bool(false))]);
    w.subscribe(c, "v", "ValueChange", &format!("{DOOR}Value"));
    (w, c)
}

/// Plays what the device says at which second, and gives the changes of Value with their times.
fn play(w: &mut World, c: ConnId, says: &[(u64, bool)], until: u64) -> Vec<(u64, bool)> {
    let mut changes = Vec::new();
    for second in 1..=until {
        w.wait(1);
        for (_, value) in says.iter().filter(|(at, _)| *at == second) {
            w.report("a", &[(0, Value::Bool(*value))]);
        }
        changes.extend(w.notes(c).iter().map(|note| (second, note.ends_with("=true"))));
    }
    changes
}

#[test]
fn the_windows_start_with_what_the_mapping_says_and_are_kept() {
    let (mut w, c) = door();
    assert_eq!(w.get(c, &format!("{DOOR}Sensitivity")), format!("{DOOR}Sensitivity=60"));
    assert_eq!(w.get(c, &format!("{DOOR}HoldTime")), format!("{DOOR}HoldTime=0"));
    assert_eq!(
        w.set(c, DOOR, &["HoldTime=5000", "RestTime=10000", "Sensitivity=100"]),
        format!("{DOOR} HoldTime=5000 RestTime=10000 Sensitivity=100")
    );
    assert!(w.set(c, DOOR, &["Sensitivity=101"]).starts_with("Error 7012"));
    assert!(w.set(c, DOOR, &["HoldTime=-1"]).starts_with("Error 7011"));
    let site = w.site.clone();
    let mut w = w.restart();
    w.load(site);
    let c = w.controller("self::c");
    assert_eq!(w.get(c, &format!("{DOOR}RestTime")), format!("{DOOR}RestTime=10000"));
}

/// TR-181's figures: triggered at 3 s and gone at 7 s, Value falls at 8 s; triggered at 12 s and gone at 18 s, at 18 s.
#[test]
fn hold_time_keeps_value_true() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["HoldTime=5000"]);
    let says = [(3, true), (7, false), (12, true), (18, false)];
    assert_eq!(play(&mut w, c, &says, 30), [(3, true), (8, false), (12, true), (18, false)]);
}

/// Triggered at 1 s and gone at 2 s; what begins at 3 s and 7 s is ignored, 12 s counts.
#[test]
fn rest_time_ignores_what_comes_too_soon() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["RestTime=10000"]);
    let says = [(1, true), (2, false), (3, true), (4, false), (7, true), (8, false), (12, true)];
    assert_eq!(play(&mut w, c, &says, 20), [(1, true), (2, false), (12, true)]);
}

/// Hold 5 s and rest 10 s: a pulse of 5 s, and the next 10 s after the first.
#[test]
fn both_windows_make_pulses() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["HoldTime=5000", "RestTime=10000"]);
    let says = [(1, true), (2, false), (4, true), (5, false), (11, true), (12, false)];
    assert_eq!(play(&mut w, c, &says, 30), [(1, true), (6, false), (11, true), (16, false)]);
    let at = w.get(c, &format!("{DOOR}LastChange"));
    assert!(at.ends_with("=2026-01-01T00:00:16Z"), "{at}");
}

/// What a poll saw within RestTime says nothing of its end: the next poll does.
#[test]
fn rest_time_of_a_polled_sensor_ends_with_a_reading() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["RestTime=12000"]);
    let polls = [(5, true), (10, false), (15, true), (20, false), (25, false), (30, true), (35, false)];
    assert_eq!(play(&mut w, c, &polls, 39), [(5, true), (10, false), (30, true), (35, false)]);
    let polls = [(1, false), (6, true), (11, false), (16, true), (21, true)];
    assert_eq!(play(&mut w, c, &polls, 25), [(6, true), (11, false), (21, true)], "it is still there");
}

/// Nobody knows whether a stimulus outlasts RestTime that was last seen before the device was lost.
#[test]
fn rest_time_that_ends_while_a_sensor_is_away_triggers_nothing() {
    for poll in [Poll::Once, Poll::Every(Duration::from_secs(1))] {
        let (mut w, c) = door_with(poll);
        w.set(c, DOOR, &["RestTime=12000"]);
        assert_eq!(play(&mut w, c, &[(1, true), (2, false), (10, true)], 11), [(1, true), (2, false)]);
        w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
        let changed = w.get(c, &format!("{DOOR}LastChange"));
        assert_eq!(play(&mut w, c, &[], 20), []);
        assert_eq!(w.get(c, &format!("{DOOR}LastChange")), changed);
        w.report_online("a", Ok(()));
        assert_eq!(play(&mut w, c, &[(2, true), (4, false)], 5), [(2, true), (4, false)]);
    }
}

/// Of a sensor that tells its changes the last word stands.
#[test]
fn rest_time_of_a_sensor_that_tells_changes_ends_by_itself() {
    let (mut w, c) = door_with(Poll::Once);
    w.set(c, DOOR, &["RestTime=12000"]);
    let says = [(1, true), (2, false), (10, true), (20, false)];
    assert_eq!(play(&mut w, c, &says, 25), [(1, true), (2, false), (13, true), (20, false)]);
}

#[test]
fn windows_count_from_the_moment_they_are_set() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["HoldTime=60000"]);
    assert_eq!(play(&mut w, c, &[(1, true), (2, false)], 10), [(1, true)]);
    w.set(c, DOOR, &["HoldTime=12000"]);
    assert_eq!(play(&mut w, c, &[], 5), [(3, false)], "12 s after the trigger");
    assert_eq!(play(&mut w, c, &[(1, true)], 2), [(1, true)]);
    w.set(c, DOOR, &["Sensitivity=0"]);
    assert_eq!(play(&mut w, c, &[], 12), [(11, false)], "nothing counts any more, HoldTime still does");
    w.set(c, DOOR, &["Sensitivity=1"]);
    assert_eq!(w.notes(c), [format!("v: ValueChange {DOOR}Value=true")], "the door is still open");
}

#[test]
fn a_sensor_without_windows_does_not_offer_them() {
    let mut w = World::new();
    w.site("a: plain");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, &format!("{DOOR}HoldTime")), format!("{DOOR}HoldTime: 7026"));
    let answer = w.set(c, DOOR, &["HoldTime=1"]);
    assert!(answer.starts_with("Error 7010"), "{answer}");
    assert!(!w.supported(c, "Device.ProxiedDevice.").contains("HoldTime"));
}

#[test]
fn what_a_get_reads_goes_through_the_windows_too() {
    let (mut w, c) = door();
    w.set(c, DOOR, &["RestTime=10000"]);
    w.report("a", &[(0, Value::Bool(true))]);
    w.report("a", &[(0, Value::Bool(false))]);
    w.wait(4000);
    w.report("a", &[(0, Value::Bool(true))]);
    w.report("a", &[(0, Value::Bool(false))]);
    w.wait(3);
    w.devices.values.insert(("a".to_owned(), 0), Value::Bool(true));
    assert_eq!(w.get(c, &format!("{DOOR}Value")), format!("{DOOR}Value=false"), "from memory");
    let mut site = w.site.as_ref().clone();
    let mut mapping = site.devices[0].mapping.as_ref().clone();
    mapping.capabilities[0].max_age = Duration::from_secs(1);
    site.devices[0].mapping = mapping.into();
    w.load(site.into());
    assert_eq!(w.get(c, &format!("{DOOR}Value")), format!("{DOOR}Value=false"), "a reload ends no RestTime");
    w.wait(8);
    assert_eq!(w.get(c, &format!("{DOOR}Value")), format!("{DOOR}Value=true"), "it is read after it");
}

#[test]
fn levels_follow_value_and_threshold_and_hide_with_it() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].low_threshold = Some(10.into())));
    let c = w.controller("self::c");
    w.subscribe(c, "l", "ValueChange", &format!("{LEVEL}LowLevel"));
    w.subscribe(c, "h", "ValueChange", &format!("{LEVEL}HighLevel"));
    w.report("a", &[(0, number("5"))]);
    assert!(w.notes(c).is_empty(), "the first reading");
    assert_eq!(w.get(c, &format!("{LEVEL}LowLevel")), format!("{LEVEL}LowLevel=true"));
    w.report("a", &[(0, number("10"))]);
    assert!(w.notes(c).is_empty(), "at the threshold is within it");
    w.report("a", &[(0, number("70"))]);
    let both =
        [format!("l: ValueChange {LEVEL}LowLevel=false"), format!("h: ValueChange {LEVEL}HighLevel=true")];
    assert_eq!(w.notes(c), both);
    w.set(c, LEVEL, &["HighLevelThreshold=90"]);
    assert_eq!(w.notes(c), [format!("h: ValueChange {LEVEL}HighLevel=false")]);
    w.wait(10);
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor.LowLevel"),
        "",
        "old is not shown"
    );
    w.devices.values.insert(("a".to_owned(), 0), number("3"));
    assert_eq!(w.get(c, &format!("{LEVEL}LowLevel")), format!("{LEVEL}LowLevel=true"), "it reads the device");
    assert_eq!(w.calls.len(), 1);
}

/// A step below the deadband that crosses a threshold is a frost alarm.
#[test]
fn a_deadband_hides_no_threshold() {
    const FROST: &str = "LowLevel";
    for watched in [true, false] {
        let mut w = World::new();
        w.load(edited("a: box", |mapping| {
            let level = &mut mapping.capabilities[0];
            (level.low_threshold, level.deadband) = (Some(3.into()), Some(1.into()));
        }));
        let c = w.controller("self::c");
        if watched {
            w.subscribe(c, "v", "ValueChange", &format!("{LEVEL}Value"));
            w.subscribe(c, "l", "ValueChange", &format!("{LEVEL}{FROST}"));
        }
        w.report("a", &[(0, number("3.5"))]);
        w.report("a", &[(0, number("3.1"))]);
        assert_eq!(w.get(c, &format!("{LEVEL}Value")), format!("{LEVEL}Value=3.5"), "no change");
        w.report("a", &[(0, number("2.6"))]);
        assert_eq!(w.get(c, &format!("{LEVEL}{FROST}")), format!("{LEVEL}{FROST}=true"));
        assert_eq!(w.get(c, &format!("{LEVEL}Value")), format!("{LEVEL}Value=2.6"));
        w.report("a", &[(0, number("2.2"))]);
        assert_eq!(w.get(c, &format!("{LEVEL}Value")), format!("{LEVEL}Value=2.6"), "no change");
        w.report("a", &[(0, number("3.2"))]);
        assert_eq!(w.get(c, &format!("{LEVEL}{FROST}")), format!("{LEVEL}{FROST}=false"));
        let told = ["v Value=2.6", "l LowLevel=true", "v Value=3.2", "l LowLevel=false"];
        let told = told.map(|note| note.split_once(' ').unwrap());
        let told = told.map(|(id, change)| format!("{id}: ValueChange {LEVEL}{change}"));
        assert_eq!(w.notes(c), if watched { &told[..] } else { &[] });
    }
}

#[test]
fn levels_are_clamped_and_states_wrap_around() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    let dimmer = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
    let mode = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";
    w.report("a", &[(3, number("80")), (2, Value::Text("High".to_owned()))]);
    for (command, reads) in [("StepUp", "100"), ("StepUp", "100"), ("StepDown", "70")] {
        w.operate(c, &format!("{dimmer}{command}()"), "", &[]);
        assert_eq!(w.get(c, &format!("{dimmer}Value")), format!("{dimmer}Value={reads}"));
    }
    for (command, reads) in [("StepUp", "Off"), ("StepUp", "Low"), ("StepDown", "Off"), ("StepDown", "High")]
    {
        w.operate(c, &format!("{mode}{command}()"), "", &[]);
        assert_eq!(w.get(c, &format!("{mode}Value")), format!("{mode}Value={reads}"));
    }
    assert!(w.set(c, dimmer, &["Value=100.5"]).starts_with("Error 7012"));
    assert!(w.set(c, mode, &["Value=Middle"]).starts_with("Error 7012"));
}

const DIMMER: &str = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
const MODE: &str = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";

fn at(level: &str) -> (World, ConnId) {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(3, number(level)), (2, Value::Text("High".to_owned()))]);
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn a_step_begins_with_what_the_device_says_now() {
    let (mut w, c) = at("100");
    w.devices.values.insert(("a".to_owned(), 3), number("60"));
    w.operate(c, &format!("{DIMMER}StepDown()"), "", &[]);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=30"));
}

#[test]
fn steps_at_once_are_made_one_after_the_other() {
    let (mut w, c) = at("100");
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    for key in ["k", "l", "m"] {
        w.operate(c, &format!("{DIMMER}StepDown()"), key, &[]);
    }
    w.wait(6);
    assert_eq!(w.broker.pending(), 0);
    w.device("a", Behaviour::Good);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=10"));
}

#[test]
fn a_step_that_fails_gives_the_turn_to_the_next() {
    let (mut w, c) = at("100");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.device("a", Behaviour::Silent);
    w.operate(c, &format!("{DIMMER}StepDown()"), "k", &[]);
    w.operate(c, &format!("{DIMMER}StepDown()"), "l", &[]);
    w.device("a", Behaviour::Good);
    w.wait(60);
    let done = |key, how| format!("ops: OperationComplete {DIMMER}StepDown() '{key}' {how}");
    assert_eq!(w.notes(c), [done("k", "7022"), done("l", "ok")]);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=70"));
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_step_does_not_undo_what_is_set_meanwhile() {
    let (mut w, c) = at("100");
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    w.operate(c, &format!("{DIMMER}StepDown()"), "", &[]);
    let id = w.begin(c, set(true, &[(DIMMER, &["Value=50"])]));
    w.wait(3);
    assert!(w.answer(c, &id).is_some());
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=20"));
}

/// What a sleeping device is to be set to waits until it is heard, and it is not read behind that.
#[test]
fn a_step_begins_with_what_a_held_set_makes() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.protocol = Protocol::Zigbee(ZigbeeOptions { sleepy: true, ..ZigbeeOptions::default() });
        mapping.capabilities[3].max_age = Duration::from_secs(600);
    }));
    w.report("a", &[(3, number("20"))]);
    let c = w.controller("self::c");
    w.device("a", Behaviour::Slow(Duration::from_secs(5)));
    let id = w.begin(c, set(true, &[(DIMMER, &["Value=50"])]));
    w.devices.values.insert(("a".to_owned(), 3), number("20"));
    w.device("a", Behaviour::Good);
    w.operate(c, &format!("{DIMMER}StepUp()"), "", &[]);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=20"), "it sleeps");
    w.wait(3);
    w.devices.values.insert(("a".to_owned(), 3), number("50"));
    w.wait(3);
    assert!(w.answer(c, &id).is_some());
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=80"));
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_step_does_not_begin_with_what_is_shown_for_want_of_better() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[3].serve_stale = true));
    w.report("a", &[(3, number("100"))]);
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.devices.values.clear();
    w.operate(c, &format!("{DIMMER}StepDown()"), "k", &[]);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {DIMMER}StepDown() 'k' 7022")]);
    assert_eq!(w.devices.values.len(), 0, "nothing was written");
}

#[test]
fn a_state_that_cannot_be_set_is_stepped_over() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[2].valid_values.push("Unknown".to_owned())));
    let c = w.controller("self::c");
    w.report("a", &[(2, Value::Text("High".to_owned()))]);
    for (command, reads) in [("StepUp", "Off"), ("StepDown", "High")] {
        w.operate(c, &format!("{MODE}{command}()"), "", &[]);
        assert_eq!(w.get(c, &format!("{MODE}Value")), format!("{MODE}Value={reads}"));
    }
    w.report("a", &[(2, Value::Text("Unknown".to_owned()))]);
    w.operate(c, &format!("{MODE}StepDown()"), "", &[]);
    assert_eq!(w.get(c, &format!("{MODE}Value")), format!("{MODE}Value=High"));
}

#[test]
fn a_step_leads_somewhere() {
    let (mut w, c) = at("50");
    for step in ["-5", "0", "0.4", "1000"] {
        let answer = w.set(c, DIMMER, &[&format!("StepValue={step}")]);
        assert!(answer.starts_with("Error 7012"), "{step}: {answer}");
    }
    assert_eq!(w.set(c, DIMMER, &["StepValue=100"]), format!("{DIMMER} StepValue=100"));
}

#[test]
fn what_can_only_be_written_is_not_believed_of_a_device_that_was_away() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| mapping.capabilities[3].read = None));
    let c = w.controller("self::c");
    w.report_online("a", Ok(()));
    w.set(c, DIMMER, &["Value=70"]);
    let quality = "Device.ProxiedDevice.1.IoTCapability.4.X_USPBROKER_Quality";
    assert_eq!(w.get(c, quality), format!("{quality}=Good"));
    w.wait(1);
    w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
    w.report_online("a", Ok(()));
    assert_eq!(w.get(c, quality), format!("{quality}=Stale"), "it may have lost it");
    w.wait(1);
    w.set(c, DIMMER, &["Value=40"]);
    assert_eq!(w.get(c, quality), format!("{quality}=Good"));
}

#[test]
fn a_control_may_have_one_step_command_alone() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[3].steps = Steps::Up;
        mapping.capabilities[2].steps = Steps::Down;
    }));
    let c = w.controller("self::c");
    let dimmer = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
    let mode = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";
    w.report("a", &[(3, number("50")), (2, Value::Text("High".to_owned()))]);
    w.operate(c, &format!("{dimmer}StepDown()"), "", &[]);
    assert_eq!(w.get(c, &format!("{dimmer}Value")), format!("{dimmer}Value=50"), "it has none");
    w.operate(c, &format!("{dimmer}StepUp()"), "", &[]);
    assert_eq!(w.get(c, &format!("{dimmer}Value")), format!("{dimmer}Value=80"));
    w.operate(c, &format!("{mode}StepUp()"), "", &[]);
    assert_eq!(w.get(c, &format!("{mode}Value")), format!("{mode}Value=High"), "it has none");
    w.operate(c, &format!("{mode}StepDown()"), "", &[]);
    assert_ne!(w.get(c, &format!("{mode}Value")), format!("{mode}Value=High"));
}

#[test]
fn several_values_are_a_list_with_their_names() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        let sensor = &mut mapping.capabilities[0];
        sensor.class = Class::MultiLevelSensor;
        sensor.kind = "Location".to_owned();
        sensor.value_names = vec!["Latitude".to_owned(), "Longitude, east".to_owned()];
        (sensor.deadband, sensor.high_threshold) = (None, None);
    }));
    let c = w.controller("self::c");
    w.report("a", &[(0, Value::Numbers(vec![1.into(), 2.into()]))]);
    let at = "Device.ProxiedDevice.1.IoTCapability.1.MultiLevelSensor.";
    let all = w.get(c, at);
    for line in ["Unit=degC", "ValueNames=Latitude,Longitude%2C%20east", "Values=1,2"] {
        assert!(all.contains(&format!("{at}{line}")), "{all}");
    }
    w.subscribe(c, "v", "ValueChange", at);
    w.report("a", &[(0, Value::Numbers(vec![1.into(), 3.into()]))]);
    let notes = w.notes(c);
    assert!(notes.contains(&format!("v: ValueChange {at}Values=1,3")), "{notes:?}");
}

#[test]
fn raw_bytes_are_base64() {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        let sensor = &mut mapping.capabilities[0];
        sensor.class = Class::BlobSensor;
        sensor.kind = "raw".to_owned();
        (sensor.deadband, sensor.high_threshold, sensor.unit) = (None, None, None);
    }));
    let c = w.controller("self::c");
    w.report("a", &[(0, Value::Bytes(vec![0, 255, 16]))]);
    let at = "Device.ProxiedDevice.1.IoTCapability.1.BlobSensor.";
    assert_eq!(w.get(c, &format!("{at}Value")), format!("{at}Value=AP8Q"));
    assert!(w.set(c, at, &["Value=AAAA"]).starts_with("Error 7013"));
}
