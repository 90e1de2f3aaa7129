//! Honest values and writes, where the core decides: nothing looks fresh that is not, nothing succeeds that was not done.

use std::time::Duration;

use usp_core::input::Input;
use usp_mapping::port::{Action, AdapterReport, DeviceFault, DeviceId, Freshness, PointId, Reading};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::peer::{get, set};
use crate::bench::service::Manner;
use crate::bench::site::{edited, site};
use crate::bench::text;

const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
const QUALITY: &str = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality";
const RELAY: &str = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.";

fn world() -> (World, usp_core::input::ConnId) {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(0, number("20")), (1, Value::Bool(false))]);
    let c = w.controller("self::c");
    (w, c)
}

fn quality(w: &mut World, c: usp_core::input::ConnId) -> String {
    w.get(c, QUALITY).rsplit('=').next().unwrap().to_owned()
}

#[test]
fn a_value_from_before_a_broken_sensor_does_not_come_back_with_the_connection() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    w.report_fault("a", 0, DeviceFault::Invalid("sensor broken".to_owned()));
    assert_eq!(quality(&mut w, c), "Bad");
    w.report_online("a", Err(DeviceFault::Timeout(Duration::from_secs(1))));
    assert_eq!(quality(&mut w, c), "Bad");
    w.report_online("a", Ok(()));
    assert_eq!(quality(&mut w, c), "Bad", "its last answer was that it has no value");
    assert_eq!(w.get(c, "Device.ProxiedDevice.*.IoTCapability.1.LevelSensor.Value"), "");
    w.report("a", &[(0, number("21"))]);
    assert_eq!(quality(&mut w, c), "Good");
}

#[test]
fn a_value_from_before_an_absence_is_read_again_first() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    assert_eq!(quality(&mut w, c), "Good");
    w.advance(Duration::from_millis(10));
    w.report_online("a", Err(DeviceFault::Timeout(Duration::from_secs(1))));
    w.advance(Duration::from_millis(10));
    w.report_online("a", Ok(()));
    assert_eq!(quality(&mut w, c), "Stale", "it may be another by now");
    assert_eq!(w.get(c, "Device.ProxiedDevice.*.IoTCapability.1.LevelSensor.Value"), "");
    w.devices.values.insert(("a".to_owned(), 0), number("21"));
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=21"), "who asks for it has it read");
    assert_eq!(quality(&mut w, c), "Good");
}

/// A lamp that is switched off and dimmed in one Set goes on again with the second write, and says so.
#[test]
fn what_a_device_says_after_a_write_was_confirmed_is_newer_than_that() {
    let mode = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";
    for (reported_at, shown) in [(500, "true"), (1500, "false")] {
        let (mut w, c) = world();
        w.device("a", Behaviour::OneByOne(Duration::from_secs(1)));
        let asked = w.begin(c, set(false, &[(RELAY, &["Value=true"]), (mode, &["Value=High"])]));
        w.advance(Duration::from_millis(reported_at));
        w.report("a", &[(1, Value::Bool(false))]);
        w.wait(2);
        let answer = text::answer(&w.answer(c, &asked).unwrap());
        assert_eq!(answer, format!("{RELAY} Value={shown}\n{mode} Value=High"), "what it has now");
        w.device("a", Behaviour::Silent);
        let relay = format!("{RELAY}Value");
        assert_eq!(w.get(c, &relay), format!("{relay}={shown}"), "said {reported_at} ms after it was sent");
    }
}

/// All that a device may need for the exchanges of a Set, one after the other: three values with an exchange to write, one
/// to see it and a second to show it each.
#[test]
fn a_set_is_given_the_time_that_its_values_may_take() {
    let mode = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";
    let dimmer = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
    let all: [(&str, &[&str]); 3] =
        [(RELAY, &["Value=true"]), (mode, &["Value=High"]), (dimmer, &["Value=50"])];
    let given = |w: &World| {
        let calls = w.calls.iter().filter(|call| matches!(call.action, Action::Write(_)));
        calls.map(|call| (call.within.as_secs(), call.behind.as_secs())).collect::<Vec<_>>()
    };
    let (mut w, c) = world();
    w.device("a", Behaviour::OneByOne(Duration::from_millis(2900)));
    let asked = w.begin(c, set(false, &all));
    assert_eq!(given(&w), [(15, 0)], "5 s until it is sent, 9 s, and a second");
    w.wait(9);
    let answer = text::answer(&w.answer(c, &asked).unwrap());
    assert_eq!(answer, format!("{RELAY} Value=true\n{mode} Value=High\n{dimmer} Value=50"));

    let (mut w, c) = world();
    w.begin(c, set(true, &all));
    assert_eq!(given(&w), [(7, 0), (12, 3), (15, 6)], "each when those before it are done");

    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[3].write.as_mut().unwrap().takes = Duration::from_secs(1000);
    }));
    let c = w.controller("self::c");
    w.begin(c, set(true, &[(dimmer, &["Value=50"]), (mode, &["Value=High"])]));
    assert_eq!(given(&w), [(306, 0), (309, 300)], "not for ever");
}

#[test]
fn a_value_is_as_old_as_the_answer_and_not_as_the_request() {
    let (mut w, c) = world();
    w.wait(10);
    w.device("a", Behaviour::Slow(Duration::from_millis(900)));
    let asked = w.begin(c, get(&[LEVEL], 0));
    w.advance(Duration::from_millis(900));
    assert_eq!(text::answer(&w.answer(c, &asked).unwrap()), format!("{LEVEL}=20"));
    w.wait(2);
    assert_eq!(quality(&mut w, c), "Good");
    w.wait(1);
    assert_eq!(quality(&mut w, c), "Stale");
}

#[test]
fn an_offline_device_was_not_asked_and_its_errors_say_so() {
    let (mut w, c) = world();
    w.wait(10);
    w.report_online("a", Err(DeviceFault::Timeout(Duration::from_millis(500))));
    let told = "device a is offline and was not asked: no answer within 500 ms";
    assert_eq!(text::loud(&w.ask(c, get(&[LEVEL], 0))), format!("{LEVEL}: 7003 {told}"));
    let answer = text::loud(&w.ask(c, set(false, &[(RELAY, &["Value=true"])])));
    assert!(answer.starts_with(&format!("Error 7009 {told}")), "{answer}");
    let error = w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError");
    assert!(error.ends_with("=the device is offline: no answer within 500 ms"), "{error}");
    assert!(w.calls.is_empty());
}

#[test]
fn what_is_first_heard_of_a_device_is_no_change() {
    let mut w = World::new();
    w.site("a: box, b: box");
    let c = w.controller("self::c");
    w.subscribe(c, "all", "ValueChange", "Device.ProxiedDevice.");
    w.report_online("a", Ok(()));
    w.report("a", &[(0, number("20")), (1, Value::Bool(true))]);
    w.report_online("b", Err(DeviceFault::Unreachable("cable cut".to_owned())));
    assert!(w.notes(c).is_empty());
    w.report_online("a", Err(DeviceFault::Unreachable("cable cut".to_owned())));
    let notes = w.notes(c);
    assert!(notes.contains(&"all: ValueChange Device.ProxiedDevice.1.Online=false".to_owned()), "{notes:?}");
    w.report_online("b", Ok(()));
    let notes = w.notes(c);
    assert!(notes.contains(&"all: ValueChange Device.ProxiedDevice.2.Online=true".to_owned()), "{notes:?}");
}

#[test]
fn what_somebody_has_looked_at_before_the_first_contact_is_put_right() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "o", "ValueChange", "Device.ProxiedDevice.1.Online");
    w.subscribe(c, "q", "ValueChange", QUALITY);
    assert!(w.get(c, "Device.ProxiedDevice.1.Online").ends_with("=false"));
    assert_eq!(quality(&mut w, c), "Bad");
    w.report("a", &[(0, number("20"))]);
    let told = [
        "o: ValueChange Device.ProxiedDevice.1.Online=true".to_owned(),
        format!("q: ValueChange {QUALITY}=Good"),
    ];
    assert_eq!(w.notes(c), told);
}

#[test]
fn what_was_read_by_a_mapping_that_is_gone_is_not_shown() {
    let (mut w, c) = world();
    let old = w.mapping("a");
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[0].read.as_mut().unwrap().parts[0].transform.scale = Some(1.into());
        mapping.capabilities[0].max_age = Duration::from_secs(600);
    }));
    w.report_under(old, "a", vec![Reading::now(PointId(0), Ok(number("33")))]);
    assert_eq!(quality(&mut w, c), "Bad", "33 of what?");
    w.report("a", &[(0, number("91"))]);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=91"));
    let same = site("a: box").devices[0].mapping.clone();
    w.report_under(same, "a", vec![Reading::now(PointId(0), Ok(number("34")))]);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=91"));
}

#[test]
fn a_mapping_by_the_same_words_is_the_same() {
    let (mut w, c) = world();
    w.site("a: box");
    assert_eq!(quality(&mut w, c), "Good", "nothing has changed");
    w.report("a", &[(0, number("25"))]);
    assert_eq!(w.get(c, LEVEL), format!("{LEVEL}=25"));
}

#[test]
fn another_address_is_another_device_until_it_is_heard() {
    let (mut w, c) = world();
    w.subscribe(c, "o", "ValueChange", "Device.ProxiedDevice.1.Online");
    let mut moved = w.site.as_ref().clone();
    moved.devices[0].address = usp_mapping::mapping::DeviceAddress::ModbusUnit(9);
    w.load(moved.into());
    assert_eq!(w.notes(c), ["o: ValueChange Device.ProxiedDevice.1.Online=false"]);
    assert_eq!(quality(&mut w, c), "Bad");
    assert_eq!(w.get(c, "Device.ProxiedDevice.*.IoTCapability.1.LevelSensor.Value"), "");
    w.report("a", &[(0, number("20"))]);
    assert_eq!(w.notes(c), ["o: ValueChange Device.ProxiedDevice.1.Online=true"]);
    assert_eq!(quality(&mut w, c), "Good");
}

/// The README has the table of codes.
#[test]
fn a_set_fails_unless_the_device_did_it() {
    let unconfirmed = DeviceFault::NotConfirmed { wanted: "true".to_owned(), shown: "false".to_owned() };
    let unknown = "; whether it was done is not known";
    for (behaviour, told) in [
        (
            Behaviour::Fails(DeviceFault::Expired),
            "7009 device a: expired before it could be sent, and was not sent".to_owned(),
        ),
        (
            Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1))),
            format!("7009 device a: no answer within 1000 ms{unknown}"),
        ),
        (
            Behaviour::Fails(DeviceFault::Unreachable("cable cut".to_owned())),
            "7009 device a: unreachable: cable cut".to_owned(),
        ),
        (
            Behaviour::Fails(DeviceFault::Garbled("short".to_owned())),
            format!("7009 device a: unusable answer: short{unknown}"),
        ),
        (
            Behaviour::Fails(DeviceFault::Stopping),
            format!("7009 device a: the adapter is shutting down{unknown}"),
        ),
        (
            Behaviour::FailsAfter(0, unconfirmed),
            "7009 device a: written but not confirmed: wanted true, the device shows false".to_owned(),
        ),
        (
            Behaviour::FailsAfter(0, DeviceFault::Refused("no".to_owned())),
            "7002 device a: the device refused: no".to_owned(),
        ),
        (
            Behaviour::Fails(DeviceFault::Unwritable("too long".to_owned())),
            "7012 device a: value cannot be written: too long".to_owned(),
        ),
        (
            Behaviour::Fails(DeviceFault::QueueFull),
            "7005 device a: too many requests are waiting for this device".to_owned(),
        ),
        (Behaviour::Silent, format!("7009 device a: the adapter does not answer{unknown}")),
    ] {
        let (mut w, c) = world();
        w.device("a", behaviour.clone());
        let asked = w.begin(c, set(false, &[(RELAY, &["Value=true"])]));
        w.wait(30);
        let answer = text::loud(&w.answer(c, &asked).unwrap());
        assert_eq!(answer, format!("Error {told}\n{RELAY}Value: {told}"), "{behaviour:?}");
        w.report("a", &[(1, Value::Bool(false))]);
        assert_eq!(w.get(c, &format!("{RELAY}Value")), format!("{RELAY}Value=false"), "{behaviour:?}");
    }
}

/// What a device is asked for first belongs to all that the same Get says of it.
#[test]
fn one_reading_is_answered_as_one() {
    let last_change = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.LastChange";
    let online = "Device.ProxiedDevice.1.Online";
    let (mut w, c) = world();
    w.wait(10);
    w.report_fault("a", 0, DeviceFault::Invalid("sensor broken".to_owned()));
    w.devices.values.insert(("a".to_owned(), 0), number("33"));
    let error = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError";
    let paths = [QUALITY, LEVEL, last_change, error, online, "Device.ProxiedDevice.1.IoTCapability.1."];
    let answer = text::answer(&w.ask(c, get(&paths, 0)));
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(
        lines[..5],
        [
            format!("{QUALITY}=Good"),
            format!("{LEVEL}=33"),
            format!("{last_change}=2026-01-01T00:00:10Z"),
            format!("{error}="),
            format!("{online}=true"),
        ]
    );
    for told in
        ["X_USPBROKER_Quality=Good", "LevelSensor.Value=33", "LevelSensor.LastChange=2026-01-01T00:00:10Z"]
    {
        assert!(lines[5..].iter().any(|line| line.ends_with(told)), "{told}: {answer}");
    }
    w.wait(10);
    w.device("a", Behaviour::Fails(DeviceFault::Invalid("sensor broken".to_owned())));
    let answer = text::answer(&w.ask(c, get(&[QUALITY, LEVEL], 0)));
    assert_eq!(answer, format!("{QUALITY}=Bad\n{LEVEL}: 7003"));
}

#[test]
fn what_was_there_before_an_absence_says_so() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    w.advance(Duration::from_millis(10));
    w.report_online("a", Err(DeviceFault::Timeout(Duration::from_secs(1))));
    w.report_online("a", Ok(()));
    let error = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError";
    let since = "the device was out of reach (no answer within 1000 ms), and has not said it again since";
    assert_eq!(w.get(c, error), format!("{error}={since}"));
    w.report("a", &[(0, number("20"))]);
    assert_eq!(w.get(c, error), format!("{error}="));
}

#[test]
fn a_set_shows_what_the_device_confirmed_and_not_what_was_wished() {
    let (mut w, c) = world();
    let dimmer = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
    w.device("a", Behaviour::Shows(number("33")));
    assert_eq!(w.set(c, dimmer, &["Value=33.4"]), format!("{dimmer} Value=33"));
    assert_eq!(w.get(c, &format!("{dimmer}Value")), format!("{dimmer}Value=33"));
}

/// A write waits for a Service's part of the same request; meanwhile the mapping puts other registers in its place.
#[test]
fn a_write_goes_to_where_the_capability_is_when_its_turn_comes() {
    let (mut w, c) = world();
    let service = w.lamp("self::s", "Device.X_Lamp.");
    w.manner(service, Manner::Slow(Duration::from_secs(1)));
    let asked = w.begin(c, set(false, &[("Device.X_Lamp.", &["Colour=blue"]), (RELAY, &["Value=true"])]));
    w.load(edited("a: box", |mapping| {
        mapping.capabilities.swap(1, 6);
        for group in &mut mapping.poll_groups {
            group.points.sort();
        }
    }));
    w.report("a", &[(6, Value::Bool(false))]);
    w.wait(10);
    let answer = text::answer(&w.answer(c, &asked).unwrap());
    assert_eq!(answer, format!("Device.X_Lamp. Colour=blue\n{RELAY} Value=true"));
    let writes = w.calls.iter().filter(|call| matches!(call.action, Action::Write(_)));
    let writes: Vec<&Action> = writes.map(|call| &call.action).collect();
    assert_eq!(writes, [&Action::Write(vec![(PointId(6), Value::Bool(true))])]);
}

/// The same, but the capability has become something that does not take the value.
#[test]
fn a_write_that_makes_no_sense_any_more_is_not_sent() {
    let (mut w, c) = world();
    let service = w.lamp("self::s", "Device.X_Lamp.");
    w.manner(service, Manner::Slow(Duration::from_secs(1)));
    let mode = "Device.ProxiedDevice.1.IoTCapability.3.EnumControl.";
    let asked = w.begin(c, set(false, &[("Device.X_Lamp.", &["Colour=blue"]), (mode, &["Value=High"])]));
    w.load(edited("a: box", |mapping| drop(mapping.capabilities[2].valid_values.pop())));
    w.wait(10);
    let answer = text::answer(&w.answer(c, &asked).unwrap());
    assert!(answer.starts_with("Error 7012"), "{answer}");
    assert!(!w.calls.iter().any(|call| matches!(call.action, Action::Write(_))));
    w.manner(service, Manner::Good);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red", "taken back");
}

const DIMMER: &str = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";
const DIMMED: &str = "Device.ProxiedDevice.1.IoTCapability.4.X_USPBROKER_Quality";

/// A blind takes the command at once, and its time for the rest.
#[test]
fn what_a_device_only_took_is_no_reading() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[3].max_age = Duration::from_secs(600);
        mapping.capabilities[3].write.as_mut().unwrap().verify = None;
    }));
    w.report("a", &[(3, number("0"))]);
    w.subscribe(c, "all", "ValueChange", &format!("{DIMMER}Value"));
    assert_eq!(w.set(c, DIMMER, &["Value=60"]), format!("{DIMMER} Value=60"), "it has taken it");
    w.wait(20);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=0"), "as it was last seen");
    assert_eq!(w.get(c, DIMMED), format!("{DIMMED}=Good"));
    assert_eq!(w.notes(c), [""; 0], "it has not moved");
    w.report("a", &[(3, number("25"))]);
    w.report("a", &[(3, number("60"))]);
    let note = |value: &str| format!("all: ValueChange {DIMMER}Value={value}");
    assert_eq!(w.notes(c), [note("25"), note("60")]);
}

#[test]
fn what_can_only_be_written_says_that_it_is_assumed() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[3].read = None;
        mapping.capabilities[3].write.as_mut().unwrap().verify = None;
    }));
    w.set(c, DIMMER, &["Value=30"]);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=30"));
    assert_eq!(w.get(c, DIMMED), format!("{DIMMED}=Assumed"));
    w.operate(c, &format!("{DIMMER}StepUp()"), "", &[]);
    assert_eq!(w.get(c, &format!("{DIMMER}Value")), format!("{DIMMER}Value=60"), "it can be gone on from");
}

/// The coordinator of a door contact was reset: that is no contact with the door.
#[test]
fn who_is_believed_to_be_there_was_not_heard() {
    let (mut w, c) = world();
    let error = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError";
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    let contact = "Device.ProxiedDevice.1.LastTimeContacted";
    let heard_at = w.get(c, contact);
    w.wait(60);
    w.report_online("a", Err(DeviceFault::Unreachable("the coordinator has reset itself".to_owned())));
    w.report_online("a", Err(DeviceFault::Unreachable("its bus is back".to_owned())));
    w.wait(1);
    w.input(Input::Report(AdapterReport::Believed { device: DeviceId("a".into()) }));
    let online = "Device.ProxiedDevice.1.Online";
    assert_eq!(w.get(c, online), format!("{online}=true"));
    assert_eq!(w.get(c, contact), heard_at, "it has said nothing since");
    assert_eq!(quality(&mut w, c), "Stale", "it may have changed meanwhile");
    let since =
        "the device was out of reach (the coordinator has reset itself), and has not said it again since";
    assert_eq!(w.get(c, error), format!("{error}={since}"), "it was there all the time");
    w.report("a", &[(0, number("20"))]);
    assert_eq!((quality(&mut w, c), w.get(c, error)), ("Good".to_owned(), format!("{error}=")));
    assert_ne!(w.get(c, contact), heard_at);
}

/// It sleeps, and did not hear the question.
#[test]
fn that_a_device_could_not_be_asked_says_nothing_against_what_it_said() {
    let (mut w, c) = world();
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    w.report("a", &[(0, number("20"))]);
    let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
    let asleep = Err(DeviceFault::Unreachable("it sleeps".to_owned()));
    let mapping = w.mapping("a");
    w.report_under(mapping, "a", vec![Reading { point: PointId(0), result: asleep, freshness }]);
    assert_eq!(quality(&mut w, c), "Good");
}

/// A frame was damaged between the coordinator and the hub: it may have been a report of a device that sleeps.
#[test]
fn what_may_have_been_said_since_makes_a_value_stale() {
    let (mut w, c) = world();
    let error = "Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_LastError";
    w.load(edited("a: box", |mapping| mapping.capabilities[0].max_age = Duration::from_secs(600)));
    let relay = format!("{}X_USPBROKER_Quality", RELAY.trim_end_matches("BinaryControl."));
    w.report("a", &[(0, number("20")), (1, Value::Bool(false))]);
    let doubtful = |w: &mut World| {
        let (device, mapping, why) = (DeviceId("a".into()), w.mapping("a"), "a message was damaged".into());
        w.input(Input::Report(AdapterReport::Doubtful { device, mapping, points: vec![PointId(0)], why }));
    };
    doubtful(&mut w);
    assert_eq!(quality(&mut w, c), "Stale", "though both are of the same moment");
    assert_eq!(w.get(c, &relay), format!("{relay}=Good"), "it is asked for that");
    let since = "what the device said since may be lost: a message was damaged";
    assert_eq!(w.get(c, error), format!("{error}={since}"));
    let online = "Device.ProxiedDevice.1.Online";
    assert_eq!(w.get(c, online), format!("{online}=true"));
    // An older part of what comes then is no word of since.
    w.wait(1);
    let freshness = Freshness { contact: true, age: Some(Duration::from_secs(30)) };
    let partly = Reading { point: PointId(0), result: Ok(number("20")), freshness };
    let mapping = w.mapping("a");
    w.report_under(mapping, "a", vec![partly]);
    assert_eq!(quality(&mut w, c), "Stale");
    doubtful(&mut w);
    w.report("a", &[(0, number("20"))]);
    assert_eq!(
        (quality(&mut w, c), w.get(c, error)),
        ("Good".to_owned(), format!("{error}=")),
        "in the same moment"
    );
}
