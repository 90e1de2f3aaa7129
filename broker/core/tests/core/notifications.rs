//! Subscriptions: what is told to whom, when, and how often.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_core::config::{ControllerSeed, ObjectSeed};
use usp_core::input::ConnId;
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::usp::notify::{Event, Notification, ObjectCreation, ObjectDeletion, ValueChange};

use crate::bench::World;
use crate::bench::device::number;
use crate::bench::peer::add;
use crate::bench::service::Manner;

const LEVEL: &str = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(0, number("20")), (1, Value::Bool(false))]);
    let c = w.controller("self::c");
    (w, c)
}

fn change(path: &str, value: &str) -> Notification {
    Notification::ValueChange(ValueChange { param_path: path.to_owned(), param_value: value.to_owned() })
}

#[test]
fn a_change_of_an_own_parameter() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", "Device.DeviceInfo.FriendlyName");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x", "ProvisioningCode=y"]);
    assert_eq!(w.notes(c), ["v: ValueChange Device.DeviceInfo.FriendlyName=x"], "also for one's own changes");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert!(w.notes(c).is_empty(), "no change");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=z"]);
    assert_eq!(w.notes(c), ["v: ValueChange Device.DeviceInfo.FriendlyName=z"]);
}

#[test]
fn a_change_of_a_device_is_told_beyond_the_deadband() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", &format!("{LEVEL}Value"));
    w.report("a", &[(0, number("20.4"))]);
    assert!(w.notes(c).is_empty());
    w.report("a", &[(0, number("20.5"))]);
    assert_eq!(w.notes(c), [format!("v: ValueChange {LEVEL}Value=20.5")]);
    w.report("a", &[(0, number("20.1"))]);
    assert!(w.notes(c).is_empty());
    w.report("a", &[(0, number("20.0"))]);
    assert_eq!(w.notes(c), [format!("v: ValueChange {LEVEL}Value=20")]);
}

#[test]
fn a_broad_subscription_is_not_flooded() {
    let (mut w, c) = world();
    w.subscribe(c, "all", "ValueChange", "Device.");
    w.notes(c);
    w.wait(1);
    w.report("a", &[(0, number("20"))]);
    assert!(w.notes(c).is_empty(), "contact times are quiet");
    w.report("a", &[(0, number("80"))]);
    let expected = [
        format!("all: ValueChange {LEVEL}Value=80"),
        format!("all: ValueChange {LEVEL}LastChange=2026-01-01T00:00:01Z"),
        format!("all: ValueChange {LEVEL}HighLevel=true"),
    ];
    assert_eq!(w.notes(c), expected);
    w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
    let notes = w.notes(c);
    assert!(notes.contains(&"all: ValueChange Device.ProxiedDevice.1.Online=false".to_owned()), "{notes:?}");
    let quality = "all: ValueChange Device.ProxiedDevice.1.IoTCapability.1.X_USPBROKER_Quality=Stale";
    assert!(notes.contains(&quality.to_owned()), "{notes:?}");
    w.report_online("a", Err(DeviceFault::Unreachable("gone".to_owned())));
    assert!(w.notes(c).is_empty(), "once");
}

#[test]
fn a_search_path_covers_what_it_finds() {
    let (mut w, c) = world();
    w.subscribe(
        c,
        "s",
        "ValueChange",
        "Device.ProxiedDevice.*.IoTCapability.[Name==\"Level\"].LevelSensor.Value",
    );
    w.subscribe(c, "t", "ValueChange", "Device.ProxiedDevice.[Name==\"Nobody\"].");
    w.report("a", &[(0, number("30")), (1, Value::Bool(true))]);
    assert_eq!(w.notes(c), [format!("s: ValueChange {LEVEL}Value=30")]);
}

#[test]
fn rows_that_come_and_go() {
    let (mut w, c) = world();
    w.subscribe(c, "new", "ObjectCreation", "Device.LocalAgent.Controller.");
    w.subscribe(c, "gone", "ObjectDeletion", "Device.LocalAgent.Controller.*.");
    w.subscribe(c, "count", "ValueChange", "Device.LocalAgent.ControllerNumberOfEntries");
    w.notes(c);
    w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::x"]);
    let created = "new: ObjectCreation Device.LocalAgent.Controller.2. Alias=cpe-2 EndpointID=self::x";
    assert_eq!(w.notes(c), [created, "count: ValueChange Device.LocalAgent.ControllerNumberOfEntries=2"]);
    w.delete(c, &["Device.LocalAgent.Controller.2."]);
    assert_eq!(
        w.notes(c),
        [
            "gone: ObjectDeletion Device.LocalAgent.Controller.2.",
            "count: ValueChange Device.LocalAgent.ControllerNumberOfEntries=1"
        ]
    );
}

#[test]
fn the_answer_comes_before_what_it_caused() {
    let (mut w, c) = world();
    w.subscribe(c, "new", "ObjectCreation", "Device.LocalAgent.Controller.");
    w.inbox.clear();
    w.begin(c, crate::bench::peer::add(true, &[("Device.LocalAgent.Controller.", &["EndpointID=self::x"])]));
    let kinds: Vec<&str> = w.inbox[&c].iter().map(|r| usp_proto::message::name(r.msg().unwrap())).collect();
    assert_eq!(kinds, ["AddResp", "Notify"]);
}

#[test]
fn devices_of_the_site_are_rows_too() {
    let (mut w, c) = world();
    w.subscribe(c, "new", "ObjectCreation", "Device.ProxiedDevice.");
    w.subscribe(c, "gone", "ObjectDeletion", "Device.ProxiedDevice.");
    w.site("a: box, b: plain");
    let notes = w.notes(c);
    assert!(
        notes.contains(&"new: ObjectCreation Device.ProxiedDevice.2. Alias=cpe-2".to_owned()),
        "{notes:?}"
    );
    w.site("a: box");
    assert!(w.notes(c).contains(&"gone: ObjectDeletion Device.ProxiedDevice.2.".to_owned()));
}

#[test]
fn a_service_is_subscribed_for_what_is_wanted_of_it() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", "Device.");
    let row = w.subscribe(c, "e", "Event", "Device.X_Lamp.Burnt!");
    w.subscribe(c, "n", "ObjectCreation", "Device.X_Lamp.Zone.");
    w.subscribe(c, "d", "ObjectDeletion", "Device.X_Lamp.Zone.*.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let kinds = |w: &World| -> Vec<(String, String)> { w.services[&s].subscriptions().into_keys().collect() };
    let own = |k: &str, r: &str| (k.to_owned(), r.to_owned());
    assert_eq!(
        kinds(&w),
        [
            own("Event", "Device.X_Lamp.Burnt!"),
            own("ObjectCreation", "Device.X_Lamp.Zone."),
            own("ObjectDeletion", "Device.X_Lamp.Zone.*."),
            own("OperationComplete", "Device.X_Lamp."),
            own("ValueChange", "Device.X_Lamp."),
        ]
    );
    w.notes(c);
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "blue"));
    let event = Event {
        obj_path: "Device.X_Lamp.".to_owned(),
        event_name: "Burnt!".to_owned(),
        params: BTreeMap::new(),
    };
    w.service_notify(s, "Event", "Device.X_Lamp.Burnt!", Notification::Event(event));
    let created =
        ObjectCreation { obj_path: "Device.X_Lamp.Zone.9.".to_owned(), unique_keys: BTreeMap::new() };
    w.service_notify(s, "ObjectCreation", "Device.X_Lamp.Zone.", Notification::ObjCreation(created));
    let deleted = ObjectDeletion { obj_path: "Device.X_Lamp.Zone.9.".to_owned() };
    w.service_notify(s, "ObjectDeletion", "Device.X_Lamp.Zone.*.", Notification::ObjDeletion(deleted));
    let expected = [
        "v: ValueChange Device.X_Lamp.Colour=blue",
        "e: Event Device.X_Lamp.Burnt!",
        "n: ObjectCreation Device.X_Lamp.Zone.9.",
        "d: ObjectDeletion Device.X_Lamp.Zone.9.",
    ];
    assert_eq!(w.notes(c), expected);
    w.delete(c, &[&row]);
    assert!(!kinds(&w).contains(&own("Event", "Device.X_Lamp.Burnt!")), "taken back");
}

#[test]
fn one_row_at_the_service_serves_all_who_want_the_same() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let d = w.controller("self::d");
    w.subscribe(c, "one", "ValueChange", "Device.X_Lamp.Colour");
    let adds = w.services[&s].count("Add");
    w.subscribe(d, "two", "ValueChange", "Device.X_Lamp.Colour");
    assert_eq!(w.services[&s].count("Add"), adds);
    w.service_notify(s, "ValueChange", "Device.X_Lamp.Colour", change("Device.X_Lamp.Colour", "blue"));
    assert_eq!(w.notes(c), ["one: ValueChange Device.X_Lamp.Colour=blue"]);
    assert_eq!(w.notes(d), ["two: ValueChange Device.X_Lamp.Colour=blue"]);
}

#[test]
fn a_subscription_that_names_a_thing_twice_is_told_once() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.Colour,Device.X_Lamp.,Device.X_Lamp.Zone.*.Level");
    assert_eq!(w.services[&s].subscriptions().len(), 2, "one for it, one for OperationComplete");
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "blue"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Colour=blue"]);
}

#[test]
fn rows_left_at_a_service_are_reconciled_not_added_again() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let mut again = crate::bench::service::lamp("Device.X_Lamp.");
    again.values.clone_from(&w.services[&s].values);
    again.highest.clone_from(&w.services[&s].highest);
    for (name, value) in
        [("ID", "uspb-stale"), ("NotifType", "Event"), ("ReferenceList", "Device.Old!"), ("Enable", "true")]
    {
        again.values.insert(format!("Device.LocalAgent.Subscription.50.{name}"), value.to_owned());
        again
            .values
            .insert(format!("Device.LocalAgent.Subscription.51.{name}"), value.replace("uspb-", "others-"));
    }
    w.disconnect(s);
    let s = w.service_link("self::lamp", again);
    w.register(s, false, &["Device.X_Lamp."]);
    assert_eq!(w.services[&s].count("Add"), 0);
    let ids = w.services[&s].subscriptions();
    assert_eq!(ids.len(), 3, "two of ours, one of somebody else: {ids:?}");
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "green"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Colour=green"]);
}

#[test]
fn a_service_that_was_stalled_is_subscribed_later() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.");
    let s = w.service_link("self::lamp", crate::bench::service::lamp("Device.X_Lamp."));
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Get", "Add"];
    w.register(s, false, &["Device.X_Lamp."]);
    w.wait(6);
    w.services.get_mut(&s).unwrap().deaf_to.clear();
    w.wait(120);
    assert_eq!(w.services[&s].subscriptions().len(), 2);
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "blue"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Colour=blue"]);
}

#[test]
fn rows_that_a_service_has_outlive_one_that_it_refuses_for_a_while() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.");
    w.manner(s, Manner::Refuses(7003));
    w.subscribe(c, "e", "Event", "Device.X_Lamp.Burnt!");
    w.manner(s, Manner::Good);
    w.wait(120);
    assert_eq!(w.services[&s].subscriptions().len(), 3, "{:?}", w.services[&s].subscriptions());
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "blue"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Colour=blue"]);
}

#[test]
fn a_service_without_subscriptions_is_used_for_everything_else() {
    let (mut w, c) = world();
    let s = w.service_link("self::lamp", crate::bench::service::lamp("Device.X_Lamp."));
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Add"];
    w.register(s, false, &["Device.X_Lamp."]);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    w.manner(s, Manner::Good);
    w.wait(30);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_subscription_ends_with_its_time_to_live() {
    let (mut w, c) = world();
    let row = w.subscribe_with(c, "v", "ValueChange", LEVEL, &["TimeToLive=10"]);
    w.wait(9);
    w.report("a", &[(0, number("30"))]);
    assert!(!w.notes(c).is_empty());
    w.wait(1);
    assert_eq!(w.get(c, &row), format!("{row}: 7026"));
    w.report("a", &[(0, number("40"))]);
    assert!(w.notes(c).is_empty());
}

#[test]
fn the_time_to_live_counts_over_a_restart() {
    let (mut w, c) = world();
    w.wait(5);
    w.subscribe_with(c, "v", "ValueChange", LEVEL, &["TimeToLive=10", "Persistent=true"]);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription.*.ID").lines().count(), 1);
    w.wait(20);
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription."), "");
    assert!(w.disk.rows("Device.LocalAgent.Subscription.").is_empty());
}

#[test]
fn a_watcher_that_is_killed_leaves_nothing_behind() {
    let (mut w, c) = world();
    for n in 0..300 {
        let cli = w.controller(&format!("self::cli-{n}"));
        w.subscribe_with(cli, "watch", "ValueChange", "Device.", &["TimeToLive=60"]);
        w.disconnect(cli);
        w.wait(1);
    }
    w.wait(60);
    assert_eq!(
        w.get(c, "Device.LocalAgent.ControllerNumberOfEntries"),
        "Device.LocalAgent.ControllerNumberOfEntries=1"
    );
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription."), "");
}

#[test]
fn a_persistent_subscription_and_its_controller_survive_a_restart_another_does_not() {
    let (mut w, c) = world();
    w.subscribe_with(c, "kept", "ValueChange", LEVEL, &["Persistent=true"]);
    w.subscribe(c, "lost", "ValueChange", LEVEL);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription.*.ID"), "Device.LocalAgent.Subscription.1.ID=kept");
    for level in ["20", "30"] {
        w.report("a", &[(0, number(level))]);
    }
    assert!(w.notes(c).contains(&format!("kept: ValueChange {LEVEL}Value=30")));
}

#[test]
fn switching_a_subscription_off_and_on() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "v", "ValueChange", &format!("{LEVEL}Value"));
    w.set(c, &row, &["Enable=false"]);
    w.report("a", &[(0, number("30"))]);
    assert!(w.notes(c).is_empty());
    w.set(c, &row, &["Enable=true"]);
    w.report("a", &[(0, number("40"))]);
    assert_eq!(w.notes(c).len(), 1);
}

/// Times at which a notification is sent within so many seconds, never confirmed.
fn tries(w: &mut World, c: ConnId, seconds: u64) -> Vec<(Duration, String)> {
    let mut seen = Vec::new();
    let end = w.now() + Duration::from_secs(seconds);
    while w.now() < end {
        seen.extend(w.take_notifies(c).into_iter().map(|(id, _)| (w.now(), id)));
        w.advance(Duration::from_millis(100));
    }
    seen
}

#[test]
fn an_unconfirmed_notification_is_sent_again_with_growing_pauses() {
    let (mut w, c) = world();
    let row = "Device.LocalAgent.Controller.1.";
    w.set(c, row, &["USPNotifRetryMinimumWaitInterval=2", "USPNotifRetryIntervalMultiplier=2000"]);
    w.subscribe_with(c, "v", "ValueChange", &format!("{LEVEL}Value"), &["NotifRetry=true"]);
    w.report("a", &[(0, number("30"))]);
    let seen = tries(&mut w, c, 200);
    assert!(seen.iter().all(|(_, id)| *id == seen[0].1), "the same Message each time");
    let pauses: Vec<f64> = seen.windows(2).map(|p| (p[1].0 - p[0].0).as_secs_f64()).collect();
    assert!(pauses.len() >= 5, "{pauses:?}");
    for (n, pause) in pauses.iter().enumerate() {
        let low = 2.0 * 2f64.powi(i32::try_from(n).unwrap());
        assert!(
            (low - 0.2..=2.0 * low + 0.2).contains(pause),
            "try {n}: {pause} not in {low}..{}",
            2.0 * low
        );
    }
    let id = seen[0].1.clone();
    w.confirm(c, &id);
    assert!(tries(&mut w, c, 2000).is_empty());
}

#[test]
fn a_notification_expires() {
    let (mut w, c) = world();
    w.subscribe_with(
        c,
        "v",
        "ValueChange",
        &format!("{LEVEL}Value"),
        &["NotifRetry=true", "NotifExpiration=20"],
    );
    w.report("a", &[(0, number("30"))]);
    let seen = tries(&mut w, c, 100);
    assert!(seen.len() > 1 && seen.last().unwrap().0 <= seen[0].0 + Duration::from_secs(20), "{seen:?}");
}

#[test]
fn without_retry_a_notification_is_sent_once_and_asks_for_nothing() {
    let (mut w, c) = world();
    w.subscribe(c, "v", "ValueChange", &format!("{LEVEL}Value"));
    w.report("a", &[(0, number("30"))]);
    let notes = w.take_notifies(c);
    assert!(notes.len() == 1 && !notes[0].1.send_resp);
    assert!(tries(&mut w, c, 100).is_empty());
}

#[test]
fn what_waits_for_a_controller_comes_when_it_connects_newest_value_only() {
    let (mut w, c) = world();
    w.subscribe_with(c, "v", "ValueChange", &format!("{LEVEL}Value"), &["NotifRetry=true"]);
    w.disconnect(c);
    for value in ["30", "40", "50"] {
        w.report("a", &[(0, number(value))]);
    }
    w.wait(1000);
    let c = w.controller("self::c");
    assert_eq!(w.notes(c), [format!("v: ValueChange {LEVEL}Value=50")]);
}

#[test]
fn a_completion_for_a_persistent_subscription_survives_a_crash() {
    let (mut w, c) = world();
    w.subscribe_with(c, "ops", "OperationComplete", "Device.", &["Persistent=true", "NotifRetry=true"]);
    let command = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()";
    w.operate(c, command, "k", &[]);
    assert_eq!(w.notes(c).len(), 1);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    let notes = w.take_notifies(c);
    assert_eq!(crate::bench::text::notify(&notes[0].1), format!("ops: OperationComplete {command} 'k' ok"));
    w.confirm(c, &notes[0].0);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert!(w.notes(c).is_empty(), "delivered once");
}

#[test]
fn boot_waits_for_its_controller_and_tells_its_parameters() {
    let (mut w, c) = world();
    w.subscribe_with(c, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    let table = "Device.LocalAgent.Controller.1.BootParameter.";
    w.add(c, table, &["ParameterName=Device.DeviceInfo.ModelName", "Enable=true"]);
    w.add(c, table, &["ParameterName=Device.LocalAgent.MTP.*.Protocol", "Enable=true"]);
    w.add(c, table, &["ParameterName=Device.DeviceInfo.SerialNumber"]);
    let mut w = w.restart();
    w.site("a: box");
    w.wait(100);
    let c = w.controller("self::c");
    let map = r#"ParameterMap={"Device.DeviceInfo.ModelName":"Hub","Device.LocalAgent.MTP.1.Protocol":"UDS","Device.LocalAgent.MTP.2.Protocol":"WebSocket"}"#;
    let expected =
        format!("boot: Event Device.Boot! Cause=LocalReboot CommandKey= FirmwareUpdated=false {map} Reason=");
    assert_eq!(w.notes(c), [expected]);
    w.disconnect(c);
    let c = w.controller("self::c");
    assert!(w.notes(c).is_empty(), "once");
}

#[test]
fn new_firmware_is_told_with_boot() {
    let (mut w, c) = world();
    w.subscribe_with(c, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    w.config.identity.software_version = "2.0".to_owned();
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert!(w.notes(c)[0].contains("FirmwareUpdated=true"));
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert!(w.notes(c)[0].contains("FirmwareUpdated=false"));
}

#[test]
fn a_seeded_subscription_gets_the_first_boot() {
    let mut config = crate::bench::config();
    config.seed.controllers.push(ControllerSeed {
        endpoint_id: EndpointId::parse("self::ctrl").unwrap(),
        role: "Full Access".to_owned(),
        params: Vec::new(),
        mqtt: None,
    });
    let own = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    config.seed.objects.push(ObjectSeed {
        path: "Device.LocalAgent.Subscription.".to_owned(),
        params: vec![own("ID", "boot"), own("NotifType", "Event"), own("ReferenceList", "Device.Boot!")],
    });
    let mut w = World::with(config);
    let c = w.controller("self::ctrl");
    assert!(w.notes(c)[0].starts_with("boot: Event Device.Boot!"));
}

#[test]
fn what_nobody_confirms_is_bounded() {
    let mut config = crate::bench::config();
    config.limits.max_notifications_per_controller = 5;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    w.subscribe_with(
        c,
        "new",
        "ObjectCreation",
        "Device.LocalAgent.ControllerTrust.Role.",
        &["NotifRetry=true"],
    );
    w.disconnect(c);
    let d = w.controller("self::d");
    for n in 0..20 {
        w.add(d, "Device.LocalAgent.ControllerTrust.Role.", &[&format!("Name=r{n}")]);
    }
    let c = w.controller("self::c");
    let notes = w.notes(c);
    assert!(notes.len() == 5 && notes[4].contains("Name=r19"), "{notes:?}");
}

#[test]
fn rows_of_the_configuration_are_no_news() {
    let (mut w, c) = world();
    w.subscribe_with(c, "new", "ObjectCreation", "Device.", &["Persistent=true", "NotifRetry=true"]);
    w.subscribe_with(c, "v", "ValueChange", "Device.", &["Persistent=true", "NotifRetry=true"]);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    let notes = w.notes(c);
    assert!(notes.iter().all(|n| !n.contains("MTP.") && !n.contains("UnixDomainSocket")), "{notes:?}");
}

#[test]
fn levels_are_told_when_they_change_and_not_with_each_value() {
    let (mut w, c) = world();
    w.subscribe(c, "h", "ValueChange", &format!("{LEVEL}HighLevel"));
    w.report("a", &[(0, number("30"))]);
    assert!(w.notes(c).is_empty());
    w.report("a", &[(0, number("70"))]);
    assert_eq!(w.notes(c), [format!("h: ValueChange {LEVEL}HighLevel=true")]);
    w.set(c, LEVEL, &["HighLevelThreshold=60"]);
    assert!(w.notes(c).is_empty());
    w.set(c, LEVEL, &["HighLevelThreshold=80"]);
    assert_eq!(w.notes(c), [format!("h: ValueChange {LEVEL}HighLevel=false")]);
}

#[test]
fn what_waited_long_does_not_come_in_one_flood() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe_with(c, "o", "ObjectCreation", "Device.LocalAgent.Controller.", &["NotifRetry=true"]);
    w.set(c, "Device.LocalAgent.Controller.1.", &["USPNotifRetryMinimumWaitInterval=60"]);
    w.disconnect(c);
    let other = w.controller("self::other");
    for n in 0..199 {
        w.add(other, "Device.LocalAgent.Controller.", &[&format!("EndpointID=self::n{n}")]);
    }
    let c = w.controller("self::c");
    let first = w.take_notifies(c);
    assert_eq!(first.len(), 64, "a full outbox would end the connection, each time anew");
    // Each confirmation lets one more out, in their order.
    for (msg_id, _) in &first {
        w.confirm(c, msg_id);
    }
    let second = w.take_notifies(c);
    assert_eq!(second.len(), 64);
    let rows = |told: &[(String, usp_proto::usp::Notify)]| -> Vec<String> {
        told.iter().map(|(_, n)| crate::bench::text::notify(n)).collect()
    };
    let mut all = [rows(&first), rows(&second)].concat();
    // Who confirms nothing gets the rest all the same.
    w.wait(10);
    all.extend(rows(&w.take_notifies(c)));
    assert_eq!(all.len(), 200);
    all.dedup();
    assert_eq!(all.len(), 200, "nothing twice");
}

/// A Controller that is there is told all of it, and told again what it did not confirm.
#[test]
fn nothing_of_what_one_input_brings_is_given_up() {
    let mut config = crate::bench::config();
    config.limits.max_notifications_per_controller = 5;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let roles = "Device.LocalAgent.ControllerTrust.Role.";
    w.subscribe_with(c, "new", "ObjectCreation", roles, &["NotifRetry=true"]);
    w.set(c, "Device.LocalAgent.Controller.1.", &["USPNotifRetryMinimumWaitInterval=1"]);
    let d = w.controller("self::d");
    w.ask(d, add(true, &vec![(roles, &[] as &[&str]); 50]));
    let told = w.take_notifies(c);
    assert_eq!(told.len(), 50);
    told.iter().take(20).for_each(|(msg_id, _)| w.confirm(c, msg_id));
    // What comes meanwhile has the usual room; the one after that takes the place of the oldest.
    for n in 0..6 {
        w.add(d, roles, &[&format!("Name=r{n}")]);
    }
    w.take_notifies(c);
    w.wait(4);
    let mut again: Vec<String> = w.take_notifies(c).into_iter().map(|(msg_id, _)| msg_id).collect();
    again.sort();
    again.dedup();
    assert_eq!(again.len(), 35, "those that nobody confirmed");
}
