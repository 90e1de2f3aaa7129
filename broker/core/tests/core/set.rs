//! Set of the broker's own Parameters, of Services' and of devices', and of several at once.

use std::time::Duration;

use usp_mapping::port::{Action, DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::{Behaviour, number, state};
use crate::bench::peer::set;
use crate::bench::service::{FakeService, Manner, object};
use crate::bench::text;

const INFO: &str = "Device.DeviceInfo.";
const CAPABILITY: &str = "Device.ProxiedDevice.1.IoTCapability.";

fn world() -> (World, usp_core::input::ConnId) {
    let mut w = World::new();
    w.site("a: box, b: box");
    for device in ["a", "b"] {
        w.report(
            device,
            &[(1, Value::Bool(false)), (2, state("Low")), (3, number("50")), (6, Value::Bool(false))],
        );
    }
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn own_parameters_are_set_and_kept() {
    let (mut w, c) = world();
    assert_eq!(
        w.set(c, INFO, &["FriendlyName=Hub one", "ProvisioningCode=x"]),
        "Device.DeviceInfo. FriendlyName=Hub one ProvisioningCode=x"
    );
    assert_eq!(
        w.set(c, INFO, &["FriendlyName=Hub one"]),
        "Device.DeviceInfo. FriendlyName=Hub one",
        "an unchanged value is a success"
    );
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=Hub one");
}

#[test]
fn each_mistake_has_its_code() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "a", "ValueChange", "Device.");
    for (object, setting, code) in [
        (INFO, "ModelName=x", 7013),
        (INFO, "Nothing=x", 7010),
        (INFO, "FriendlyName=123456789012345678901234567890123", 7012),
        (&*row, "TimeToLive=soon", 7011),
        (&*row, "TimeToLive=-1", 7011),
        (&*row, "NotifType=Sometimes", 7012),
        (&*row, "Enable=yes", 7011),
        (&*row, "ID=b", 7013),
        (&*row, "ReferenceList=Device.X.", 7013),
        ("Device.LocalAgent.Controller.1.", "USPNotifRetryMinimumWaitInterval=0", 7012),
        ("Device.LocalAgent.Controller.1.", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.77", 7012),
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", "Value=maybe", 7011),
        ("Device.ProxiedDevice.1.IoTCapability.3.EnumControl.", "Value=Turbo", 7012),
        ("Device.ProxiedDevice.1.IoTCapability.4.LevelControl.", "Value=101", 7012),
        ("Device.ProxiedDevice.1.IoTCapability.4.LevelControl.", "Value=much", 7011),
        ("Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.", "Value=1", 7013),
        ("Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.", "LowLevelThreshold=1", 7010),
        ("Device.ProxiedDevice.1.", "Online=true", 7013),
    ] {
        let name = setting.split('=').next().unwrap();
        assert_eq!(
            w.set(c, object, &[setting]),
            format!("Error {code}\n{object}{name}: {code}"),
            "{object} {setting}"
        );
    }
    for (object, code) in [
        ("Device.Nothing.", 7026),
        ("Device.LocalAgent.Controller.99.", 7016),
        ("Device.LocalAgent.Controller.", 7008),
        ("Device.ProxiedDevice.1.IoTCapability.1.BinaryControl.", 7016),
    ] {
        assert_eq!(w.set(c, object, &["Alias=x"]), format!("Error {code}\n{object}: {code}"), "{object}");
    }
    assert!(w.calls.is_empty());
}

#[test]
fn optional_and_required_settings_under_allow_partial() {
    let (mut w, c) = world();
    let ask =
        |w: &mut World, partial, params: &[&str]| text::answer(&w.ask(c, set(partial, &[(INFO, params)])));
    for partial in [false, true] {
        let answer = ask(&mut w, partial, &["FriendlyName=a", "ModelName?=b", "Nothing?=c"]);
        let expected = "Device.DeviceInfo. FriendlyName=a\nDevice.DeviceInfo.ModelName: 7013\nDevice.DeviceInfo.Nothing: 7010";
        assert_eq!(answer, expected);
        assert_eq!(
            ask(&mut w, partial, &["Nothing?=c"]),
            "Device.DeviceInfo.\nDevice.DeviceInfo.Nothing: 7010"
        );
    }
    assert_eq!(
        ask(&mut w, true, &["FriendlyName=z", "ModelName=b"]),
        "Device.DeviceInfo.: 7013\nDevice.DeviceInfo.ModelName: 7013"
    );
    assert_eq!(
        ask(&mut w, false, &["FriendlyName=z", "ModelName=b"]),
        "Error 7013\nDevice.DeviceInfo.ModelName: 7013"
    );
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=a");
}

#[test]
fn allow_partial_decides_over_the_other_entries() {
    let (mut w, c) = world();
    let entries: &[(&str, &[&str])] = &[(INFO, &["FriendlyName=new"]), ("Device.Nothing.", &["A=1"])];
    assert_eq!(text::answer(&w.ask(c, set(false, entries))), "Error 7026\nDevice.Nothing.: 7026");
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=");
    assert_eq!(
        text::answer(&w.ask(c, set(true, entries))),
        "Device.DeviceInfo. FriendlyName=new\nDevice.Nothing.: 7026"
    );
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=new");
}

#[test]
fn a_search_path_holds_or_fails_as_a_whole() {
    let (mut w, c) = world();
    let search = "Device.LocalAgent.Controller.*.";
    w.controller("self::d");
    assert_eq!(
        text::answer(&w.ask(c, set(true, &[(search, &["ProvisioningCode=p"])]))),
        "Device.LocalAgent.Controller.1. ProvisioningCode=p\nDevice.LocalAgent.Controller.2. ProvisioningCode=p"
    );
    let answer =
        text::answer(&w.ask(c, set(true, &[(search, &["EndpointID=self::same", "ProvisioningCode=q"])])));
    let first = "Device.LocalAgent.Controller.1.EndpointID: 7025";
    assert_eq!(answer, format!("{search}: 7025\n{first}"), "R-SET.2a: an instance that failed is named");
    assert_eq!(w.get(c, "Device.LocalAgent.Controller.*.ProvisioningCode").matches("=p").count(), 2);
    assert_eq!(
        text::answer(&w.ask(
            c,
            set(true, &[("Device.LocalAgent.Controller.[Alias==\"no\"].", &["ProvisioningCode=q"])])
        )),
        ""
    );
}

#[test]
fn a_device_value_is_set_when_the_device_has_confirmed_it() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Slow(Duration::from_millis(700)));
    let relay = format!("{CAPABILITY}2.BinaryControl.");
    let id = w.begin(c, set(false, &[(&relay, &["Value=1"])]));
    assert!(w.answer(c, &id).is_none());
    assert_eq!(w.get(c, &format!("{relay}Value")), format!("{relay}Value=false"));
    w.advance(Duration::from_millis(700));
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), format!("{relay} Value=true"));
    assert_eq!(w.get(c, &format!("{relay}Value")), format!("{relay}Value=true"));
}

#[test]
fn a_refused_write_is_an_error_that_names_the_device() {
    let (mut w, c) = world();
    let relay = format!("{CAPABILITY}2.BinaryControl.");
    let shown = DeviceFault::NotConfirmed { wanted: "true".to_owned(), shown: "false".to_owned() };
    w.device("a", Behaviour::FailsAfter(0, shown));
    let answer = text::loud(&w.ask(c, set(false, &[(&relay, &["Value=true"])])));
    let why = "device a: written but not confirmed: wanted true, the device shows false";
    assert_eq!(answer, format!("Error 7009 {why}\n{relay}Value: 7009 {why}"));
    let answer = text::loud(&w.ask(c, set(true, &[(&relay, &["Value=true"])])));
    assert_eq!(answer, format!("{relay}: 7009 {why}\n{relay}Value: 7009 {why}"));
    assert_eq!(w.get(c, &format!("{relay}Value")), format!("{relay}Value=false"));
}

#[test]
fn an_offline_device_is_not_asked() {
    let (mut w, c) = world();
    w.report_online("a", Err(DeviceFault::Unreachable("cable cut".to_owned())));
    let relay = format!("{CAPABILITY}2.BinaryControl.");
    let answer = text::loud(&w.ask(c, set(false, &[(&relay, &["Value=true"])])));
    assert!(
        answer.starts_with("Error 7009 device a is offline and was not asked: unreachable: cable cut"),
        "{answer}"
    );
    assert!(w.calls.is_empty());
}

#[test]
fn several_capabilities_of_one_device_are_one_unit() {
    let (mut w, c) = world();
    let entries: &[(&str, &[&str])] = &[
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", &["Value=true"]),
        ("Device.ProxiedDevice.1.IoTCapability.4.LevelControl.", &["Value=80"]),
    ];
    let answer = text::answer(&w.ask(c, set(false, entries)));
    assert_eq!(
        answer,
        format!("{CAPABILITY}2.BinaryControl. Value=true\n{CAPABILITY}4.LevelControl. Value=80")
    );
    let writes = vec![(PointId(1), Value::Bool(true)), (PointId(3), number("80"))];
    assert_eq!(w.calls.len(), 1);
    assert_eq!(w.calls[0].action, Action::Write(writes));
}

#[test]
fn a_confirmed_value_is_shown_even_within_the_deadband() {
    let (mut w, c) = world();
    let dimmer = format!("{CAPABILITY}4.LevelControl.");
    assert_eq!(w.set(c, &dimmer, &["Value=52"]), format!("{dimmer} Value=52"));
    assert_eq!(w.get(c, &format!("{dimmer}Value")), format!("{dimmer}Value=52"));
}

#[test]
fn the_answer_is_what_the_device_confirmed() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Shows(number("51.5")));
    let dimmer = format!("{CAPABILITY}4.LevelControl.");
    assert_eq!(w.set(c, &dimmer, &["Value=51.52"]), format!("{dimmer} Value=51.5"));
}

#[test]
fn a_service_sets_its_own() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour=blue"]), "Device.X_Lamp. Colour=blue");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=blue");
    let many = w.set(c, "Device.X_Lamp.Zone.*.", &["Level=5"]);
    assert_eq!(many, "Device.X_Lamp.Zone.1. Level=5\nDevice.X_Lamp.Zone.2. Level=5");
    w.services.get_mut(&s).unwrap().stubborn.insert("Device.X_Lamp.Colour".to_owned(), 7012);
    assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour=grey"]), "Error 7012\nDevice.X_Lamp.Colour: 7012");
    let answer = text::answer(
        &w.ask(c, set(true, &[("Device.X_Lamp.", &["Colour=grey"]), (INFO, &["FriendlyName=ok"])])),
    );
    assert_eq!(answer, "Device.X_Lamp.: 7012\nDevice.DeviceInfo. FriendlyName=ok");
}

#[test]
fn a_services_parameter_in_an_object_of_ours_is_set_at_the_service() {
    let (mut w, c) = world();
    let mut service = FakeService { supported: vec![object(INFO, &["X_Mood"])], ..FakeService::default() };
    service.values.insert("Device.DeviceInfo.X_Mood".to_owned(), "fine".to_owned());
    let s = w.service_link("self::mood", service);
    w.register(s, false, &["Device.DeviceInfo.X_Mood"]);
    let answer = w.set(c, INFO, &["FriendlyName=x", "X_Mood=great"]);
    assert_eq!(answer, "Device.DeviceInfo. FriendlyName=x X_Mood=great");
    assert_eq!(w.services[&s].values["Device.DeviceInfo.X_Mood"], "great");
    assert_eq!(w.get(c, "Device.DeviceInfo.X_Mood"), "Device.DeviceInfo.X_Mood=great");
    w.disconnect(s);
    assert_eq!(w.get(c, "Device.DeviceInfo.X_Mood"), "Device.DeviceInfo.X_Mood: 7026");
}

#[test]
fn a_mixed_unit_is_taken_back_and_says_what_stayed() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.device("b", Behaviour::Fails(DeviceFault::Refused("illegal address".to_owned())));
    let entries: &[(&str, &[&str])] = &[
        (INFO, &["FriendlyName=new"]),
        ("Device.X_Lamp.", &["Colour=blue"]),
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", &["Value=true"]),
        ("Device.ProxiedDevice.1.IoTCapability.7.BinaryControl.", &["Value=true"]),
        ("Device.ProxiedDevice.2.IoTCapability.2.BinaryControl.", &["Value=true"]),
    ];
    let answer = text::loud(&w.ask(c, set(false, entries)));
    assert!(answer.starts_with("Error 7002 device b: the device refused: illegal address"), "{answer}");
    let stayed = "; stayed changed: Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Value";
    assert!(answer.lines().next().unwrap().ends_with(stayed), "{answer}");
    assert_eq!(w.services[&s].values["Device.X_Lamp.Colour"], "red");
    assert_eq!(w.devices.values[&("a".to_owned(), 6)], Value::Bool(false), "undo: true");
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_full_disk_takes_a_mixed_unit_back_too() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.disk.mood = crate::bench::disk::Mood::Full("no space".to_owned());
    let entries: &[(&str, &[&str])] = &[(INFO, &["FriendlyName=new"]), ("Device.X_Lamp.", &["Colour=blue"])];
    let answer = text::loud(&w.ask(c, set(false, entries)));
    assert!(answer.starts_with("Error 7005 the change could not be stored: no space"), "{answer}");
    assert_eq!(w.services[&s].values["Device.X_Lamp.Colour"], "red");
}

#[test]
fn several_devices_in_one_unit_can_be_refused_by_configuration() {
    let mut config = crate::bench::config();
    config.limits.refuse_multi_device_atomic = true;
    let mut w = World::with(config);
    w.site("a: box, b: box");
    let c = w.controller("self::c");
    let entries: &[(&str, &[&str])] = &[
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", &["Value=true"]),
        ("Device.ProxiedDevice.2.IoTCapability.2.BinaryControl.", &["Value=true"]),
    ];
    assert!(text::answer(&w.ask(c, set(false, entries))).starts_with("Error 7005"));
    assert!(w.calls.is_empty());
    assert_eq!(text::answer(&w.ask(c, set(true, entries))).lines().count(), 2);
    let search = "Device.ProxiedDevice.*.IoTCapability.2.BinaryControl.";
    assert_eq!(text::answer(&w.ask(c, set(true, &[(search, &["Value=false"])]))), format!("{search}: 7005"));
}

#[test]
fn a_wildcard_over_devices_is_one_unit() {
    let (mut w, c) = world();
    let search = "Device.ProxiedDevice.*.IoTCapability.[Class==\"BinaryControl\"].BinaryControl.";
    let answer = text::answer(&w.ask(c, set(true, &[(search, &["Value=true"])])));
    assert_eq!(answer.lines().count(), 4, "{answer}");
    assert_eq!(w.calls.len(), 2, "one call for each device");
}

#[test]
fn a_stalled_service_fails_the_set_after_its_time() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let id = w.begin(c, set(false, &[("Device.X_Lamp.", &["Colour=blue"])]));
    w.wait(5);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert!(
        answer.starts_with("Error 7003") && answer.contains("self::lamp did not answer within 5000 ms"),
        "{answer}"
    );
}

#[test]
fn a_key_that_is_taken_is_known_before_anybody_is_asked() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let entries: &[(&str, &[&str])] = &[
        ("Device.X_Lamp.", &["Colour=blue"]),
        ("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", &["Value=true"]),
        ("Device.ProxiedDevice.1.IoTCapability.2.", &["Name=Level"]),
    ];
    let answer = text::answer(&w.ask(c, set(false, entries)));
    assert_eq!(answer, "Error 7025\nDevice.ProxiedDevice.1.IoTCapability.2.Name: 7025");
    assert!(w.calls.is_empty() && w.services[&s].count("Set") == 0);
    let swap: &[(&str, &[&str])] = &[
        ("Device.ProxiedDevice.1.IoTCapability.1.", &["Name=Relay"]),
        ("Device.ProxiedDevice.1.IoTCapability.2.", &["Name=Level"]),
    ];
    assert_eq!(text::answer(&w.ask(c, set(false, swap))).lines().count(), 2, "the final state is unique");
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.1.IoTCapability.1.Name"),
        "Device.ProxiedDevice.1.IoTCapability.1.Name=Relay"
    );
}

#[test]
fn a_device_that_gets_another_mapping_fails_what_it_was_asked() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    let id =
        w.begin(c, set(false, &[("Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.", &["Value=true"])]));
    w.site("a: plain, b: box");
    assert!(text::answer(&w.answer(c, &id).unwrap()).starts_with("Error 7009"));
    w.wait(2);
    assert_eq!(
        w.get(c, "Device.ProxiedDevice.1.IoTCapability.*.Name"),
        "Device.ProxiedDevice.1.IoTCapability.8.Name=Door"
    );
}

/// A Service's Parameter and our own, all or nothing.
const WITH_SERVICE: &[(&str, &[&str])] =
    &[(INFO, &["FriendlyName=new"]), ("Device.X_Lamp.", &["Colour=blue"])];

#[test]
fn nothing_is_sent_that_could_not_be_taken_back() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Get"];
    let id = w.begin(c, set(false, WITH_SERVICE));
    w.wait(6);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert!(answer.starts_with("Error 7003 Service self::lamp"), "{answer}");
    assert_eq!(w.services[&s].count("Set"), 0);
    assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=");
}

#[test]
fn what_an_owner_may_have_done_without_a_word_is_named() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Set"];
    let id = w.begin(c, set(false, WITH_SERVICE));
    w.wait(12);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert!(answer.contains("; may have stayed changed: Device.X_Lamp.Colour"), "{answer}");
    assert_eq!(w.services[&s].count("Set"), 2, "it was also asked to take it back");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn an_old_reading_is_not_written_back() {
    let (mut w, c) = world();
    let own = "Device.ProxiedDevice.1.IoTCapability.7.BinaryControl.";
    assert_eq!(w.set(c, own, &["Value=false"]), format!("{own} Value=false"));
    w.wait(3600);
    w.device("b", Behaviour::Fails(DeviceFault::Refused("illegal address".to_owned())));
    let entries: &[(&str, &[&str])] =
        &[(own, &["Value=true"]), ("Device.ProxiedDevice.2.IoTCapability.2.BinaryControl.", &["Value=true"])];
    let answer = text::loud(&w.ask(c, set(false, entries)));
    assert!(answer.contains(&format!("; stayed changed: {own}Value")), "{answer}");
    assert_eq!(w.devices.values[&("a".to_owned(), 6)], Value::Bool(true), "nothing old was written");
}
