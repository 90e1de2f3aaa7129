//! Targets of Permissions whose rows Services know: by expressions in their tables, and by references that they hold.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{
    Notification, ObjectCreation, ObjectDeletion, OperationComplete, ValueChange, operation_complete as done,
};
use usp_proto::usp::operate_resp::operation_result::OperationResp;

use crate::bench::peer::{get, set};
use crate::bench::service::{FakeService, Manner, object};
use crate::bench::{World, text};
use crate::rights_services::world;

const ZONES: &str = "Device.X_Lamp.Zone.";
const NORTH: &str = "Device.X_Lamp.Zone.[Name==\"north\"].";
const SOUTH: &str = "Device.X_Lamp.Zone.[Name==\"south\"].";
const ALL: [&str; 4] = ["rwxn"; 4];
const NONE: [&str; 4] = ["----"; 4];

fn level(row: u32) -> String {
    format!("{ZONES}{row}.Level")
}

fn change(path: &str, value: &str) -> Notification {
    let change = ValueChange { param_path: path.to_owned(), param_value: value.to_owned() };
    Notification::ValueChange(change)
}

fn gone(path: &str) -> Notification {
    Notification::ObjDeletion(ObjectDeletion { obj_path: path.to_owned() })
}

/// A value changes at the lamp without anybody's doing.
fn put(w: &mut World, lamp: ConnId, path: &str, value: &str) {
    w.services.get_mut(&lamp).unwrap().values.insert(path.to_owned(), value.to_owned());
}

#[test]
fn a_right_to_rows_by_an_expression() {
    let (mut w, c, _, lamp) = world(&[(NORTH, ALL)]);
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10");
    assert_eq!(w.get(c, &level(2)), "Device.X_Lamp.Zone.2.Level: 7026");
    assert_eq!(w.get(c, &format!("{ZONES}*.Level")), "Device.X_Lamp.Zone.1.Level=10");
    assert_eq!(w.get(c, &format!("{ZONES}1.")).lines().count(), 2);
    assert_eq!(w.instances(c, ZONES, true), "Device.X_Lamp.Zone.1.");
    assert_eq!(w.set(c, &format!("{ZONES}*."), &["Level=5"]), "Device.X_Lamp.Zone.1. Level=5");
    assert!(w.set(c, &format!("{ZONES}2."), &["Level=5"]).starts_with("Error 7006"));
    assert_eq!(w.services[&lamp].values[&level(2)], "20");
    assert_eq!(w.operate(c, &format!("{ZONES}2.Dim()"), "", &[]), "Device.X_Lamp.Zone.2.Dim() -> 7006");
    assert!(!w.operate(c, &format!("{ZONES}1.Dim()"), "", &[]).contains("7006"));
    // The Target moves with the values.
    put(&mut w, lamp, &format!("{ZONES}1.Name"), "east");
    put(&mut w, lamp, &format!("{ZONES}2.Name"), "north");
    assert_eq!(w.get(c, &format!("{ZONES}*.Level")), "Device.X_Lamp.Zone.2.Level=20");
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level: 7026");
    assert!(w.delete(c, &[&format!("{ZONES}1.")]).starts_with("Error 70"));
    assert_eq!(w.delete(c, &[&format!("{ZONES}2.")]), "Device.X_Lamp.Zone.2.");
    assert_eq!(w.get(c, &format!("{ZONES}*.Level")), "");
}

#[test]
fn a_right_is_taken_from_rows_by_an_expression_and_from_no_others() {
    let (mut w, c, admin, lamp) = world(&[("Device.X_Lamp.", ALL), (SOUTH, NONE)]);
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10");
    assert_eq!(w.get(c, &level(2)), "Device.X_Lamp.Zone.2.Level: 7026");
    assert_eq!(w.instances(c, ZONES, true), "Device.X_Lamp.Zone.1.");
    assert_eq!(w.set(c, &format!("{ZONES}*."), &["Level=5"]), "Device.X_Lamp.Zone.1. Level=5");
    assert!(w.set(c, &format!("{ZONES}2."), &["Level=5"]).starts_with("Error 70"));
    assert!(w.delete(c, &[&format!("{ZONES}2.")]).starts_with("Error 70"));
    assert_eq!(w.services[&lamp].values[&level(2)], "20");
    // What is above in Order overrides it, and what is below does not.
    let row = "Device.LocalAgent.ControllerTrust.Role.[Name==\"Some\"].Permission.";
    w.add(
        admin,
        row,
        &["Enable=true", "Order=9", &format!("Targets={ZONES}[Level==\"20\"].Level"), "Param=r---"],
    );
    assert_eq!(w.get(c, &level(2)), "Device.X_Lamp.Zone.2.Level=20");
    assert_eq!(w.get(c, &format!("{ZONES}2.Name")), "Device.X_Lamp.Zone.2.Name: 7026");
    put(&mut w, lamp, &level(2), "21");
    assert_eq!(w.get(c, &level(2)), "Device.X_Lamp.Zone.2.Level: 7026");
    put(&mut w, lamp, &format!("{ZONES}2.Name"), "west");
    assert_eq!(w.get(c, &level(2)), "Device.X_Lamp.Zone.2.Level=21");
    put(&mut w, lamp, &format!("{ZONES}1.Name"), "south");
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level: 7026");
}

/// What is not known gives nothing and takes all that it could mean; nobody else waits.
#[test]
fn a_silent_service_leaves_it_undecided() {
    for entries in [
        [("Device.DeviceInfo.", ALL), (NORTH, ALL)],
        [("Device.DeviceInfo.,Device.X_Lamp.", ALL), (SOUTH, NONE)],
    ] {
        let (mut w, c, admin, lamp) = world(&entries);
        w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
        let sets = w.services[&lamp].count("Set");
        let asked = w.begin(c, get(&[&level(1), "Device.DeviceInfo.ModelName"], 0));
        let change = w.begin(c, set(false, &[(&format!("{ZONES}1."), &["Level=1"])]));
        assert_eq!(w.get(c, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
        assert!(w.answer(c, &asked).is_none());
        w.advance(Duration::from_secs(6));
        let answer = text::answer(&w.answer(c, &asked).unwrap());
        assert_eq!(answer, format!("{}: 7003\nDevice.DeviceInfo.ModelName=Hub", level(1)));
        assert!(text::answer(&w.answer(c, &change).unwrap()).starts_with("Error 7003"));
        assert_eq!(w.services[&lamp].count("Set"), sets, "and nothing was done");
        let role = "Device.LocalAgent.ControllerTrust.Role.[Name==\"Some\"].Permission.2.";
        let shown = w.get(admin, &format!("{role}X_USPBROKER_UndecidedTargets"));
        assert!(shown.ends_with(&format!("={}", entries[1].0)), "{shown}");
        w.services.get_mut(&lamp).unwrap().deaf_to.clear();
        assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10");
        let shown = w.get(admin, &format!("{role}X_USPBROKER_UndecidedTargets"));
        assert!(shown.ends_with('='), "{shown}");
        assert_eq!(w.broker.pending(), 0);
    }
}

/// A Service cannot evaluate an expression that looks out of it: an entry that forbids by it forbids all that it could mean.
#[test]
fn an_expression_that_looks_out_of_its_service_stays_undecided() {
    let buddy = "Device.X_Lamp.Zone.[Buddy+.FriendlyName==\"hall\"].";
    let (mut w, c, admin, lamp) = world(&[("Device.X_Lamp.,Device.DeviceInfo.", ALL), (buddy, NONE)]);
    w.set(admin, "Device.DeviceInfo.", &["FriendlyName=hall"]);
    put(&mut w, lamp, &format!("{ZONES}1.Buddy"), "Device.DeviceInfo");
    assert_eq!(w.get(c, &level(1)), format!("{}: 7002", level(1)));
    put(&mut w, lamp, &format!("{ZONES}1.Buddy"), "Device.X_Lamp.Zone.2");
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10", "the Service says that none meets it");
    w.manner(lamp, Manner::Refuses(7004));
    assert!(w.get(c, &level(1)).ends_with(": 7004"));
    assert_eq!(w.broker.pending(), 0);
}

/// Whoever serves the place where a reference leads may be away at the moment, or not be there yet.
#[test]
fn a_reference_to_what_nobody_serves_looks_out_of_its_service_too() {
    let buddy = "Device.X_Lamp.Zone.[Buddy+.Name==\"south\"].";
    let (mut w, c, admin, lamp) = world(&[("Device.X_Lamp.", ALL), (buddy, NONE)]);
    put(&mut w, lamp, &format!("{ZONES}1.Buddy"), "Device.X_Door.Lock.1");
    assert_eq!(w.get(c, &level(1)), format!("{}: 7002", level(1)));
    assert_eq!(w.get(admin, buddy), format!("{buddy}: 7002"));
    let door = w.lamp("self::door", "Device.X_Door.");
    assert_eq!(w.get(c, &level(1)), format!("{}: 7002", level(1)));
    w.disconnect(door);
    assert_eq!(w.get(c, &level(1)), format!("{}: 7002", level(1)));
    for nowhere in ["", "none", "Device..", "Device.X_Lamp.Zone.9"] {
        put(&mut w, lamp, &format!("{ZONES}1.Buddy"), nowhere);
        assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10", "{nowhere}");
    }
}

/// Only the first reference is asked for: where the second leads cannot be known.
#[test]
fn a_reference_that_goes_on_by_another_stays_undecided() {
    let twice = "Device.X_Lamp.Zone.[Buddy+.Friend+.Name==\"south\"].";
    let (mut w, c, admin, lamp) = world(&[("Device.X_Lamp.", ALL), (twice, NONE)]);
    assert_eq!(w.get(c, &level(1)), "Device.X_Lamp.Zone.1.Level=10", "there is none");
    put(&mut w, lamp, &format!("{ZONES}1.Buddy"), "Device.X_Lamp.Zone.2");
    put(&mut w, lamp, &format!("{ZONES}2.Friend"), "Device.X_Door.Zone.2");
    assert_eq!(w.get(c, &level(1)), format!("{}: 7002", level(1)));
    let told = text::loud(&w.ask(admin, get(&[twice], 0)));
    assert!(told.contains("7002 Device.X_Lamp.Zone.1.Buddy leads to Device.X_Lamp.Zone.2 and on"), "{told}");
    assert_eq!(w.broker.pending(), 0);
}

/// R-GIN.0, R-GET.1: why a search cannot be done, or a right not be known, is no way to read what may not be read.
#[test]
fn the_reason_tells_nothing_that_may_not_be_read() {
    let buddy = "Device.X_Lamp.Zone.[Buddy+.FriendlyName==\"hall\"].";
    let hidden = ("Device.X_Lamp.Zone.*.Buddy", NONE);
    for entries in
        [vec![("Device.DeviceInfo.", ALL)], vec![("Device.X_Lamp.,Device.DeviceInfo.", ALL), hidden]]
    {
        let (mut w, c, _, lamp) = world(&entries);
        let mut told = Vec::new();
        for to in ["Device.DeviceInfo", "Device.X_Lamp.Zone.2"] {
            put(&mut w, lamp, &format!("{ZONES}1.Buddy"), to);
            let asked = w.services[&lamp].count("Get");
            told.push(text::loud(&w.ask(c, get(&[&format!("{buddy}Level")], 0))));
            assert_eq!(w.services[&lamp].count("Get"), asked, "nobody is asked");
        }
        assert!(told[0] == told[1] && !told[0].contains("leads to"), "{told:?}");
    }
    let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.", ALL), hidden, (buddy, NONE)]);
    put(&mut w, lamp, &format!("{ZONES}1.Buddy"), "Device.DeviceInfo");
    let told = text::loud(&w.ask(c, get(&[&level(2)], 0)));
    assert!(told.starts_with(&format!("{}: 7002 what may be done", level(2))), "{told}");
    assert!(!told.contains("Zone.1") && !told.contains("DeviceInfo"), "{told}");
}

/// What a Service was asked in vain is nothing that it is asked for any more, once it is gone.
#[test]
fn a_service_that_is_gone_leaves_nothing_undecided() {
    let (mut w, c, admin, lamp) = world(&[("Device.DeviceInfo.", ALL), (NORTH, ALL)]);
    let shown = |w: &mut World| {
        let row = "Device.LocalAgent.ControllerTrust.Role.[Name==\"Some\"].Permission.2.";
        w.get(admin, &format!("{row}X_USPBROKER_UndecidedTargets"))
    };
    w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
    let asked = w.begin(c, get(&[&level(1)], 0));
    w.advance(Duration::from_secs(6));
    assert!(w.answer(c, &asked).is_some() && shown(&mut w).contains("north"));
    w.disconnect(lamp);
    assert!(shown(&mut w).ends_with('='), "{}", shown(&mut w));
    w.lamp("self::lamp", "Device.X_Lamp.");
    assert!(shown(&mut w).ends_with('='), "it was asked nothing: {}", shown(&mut w));
}

/// A Service that refuses the question, answers something else or nothing, decides nothing.
#[test]
fn a_bad_answer_decides_nothing() {
    for manner in [Manner::Refuses(7008), Manner::Garbage, Manner::Empty] {
        let (mut w, c, _, lamp) = world(&[("Device.X_Lamp.", ALL), (SOUTH, NONE)]);
        w.manner(lamp, manner.clone());
        let answer = w.set(c, &format!("{ZONES}1."), &["Level=1"]);
        assert!(answer.starts_with("Error 70") && !answer.contains("7006"), "{manner:?}: {answer}");
        assert_eq!(w.services[&lamp].count("Set"), 0, "{manner:?}");
    }
}

#[test]
fn notifications_go_to_whom_the_target_gives_them_at_that_moment() {
    let (mut w, c, admin, lamp) = world(&[("Device.LocalAgent.", ALL), (NORTH, ALL)]);
    w.subscribe(c, "v", "ValueChange", ZONES);
    w.subscribe(admin, "a", "ValueChange", ZONES);
    w.notes(c);
    for row in [1, 2] {
        w.service_notify(lamp, "ValueChange", ZONES, change(&level(row), "7"));
    }
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Zone.1.Level=7"]);
    put(&mut w, lamp, &format!("{ZONES}2.Name"), "north");
    w.service_notify(lamp, "ValueChange", ZONES, change(&level(2), "8"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Zone.2.Level=8"]);
    w.notes(admin);
    // While the Service is silent it waits, in order, and nobody else does.
    w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
    w.service_notify(lamp, "ValueChange", ZONES, change(&level(1), "1"));
    assert_eq!(w.notes(c), [""; 0]);
    assert_eq!(w.notes(admin), ["a: ValueChange Device.X_Lamp.Zone.1.Level=1"]);
    w.wait(4);
    w.service_notify(lamp, "ValueChange", ZONES, change(&level(1), "2"));
    w.services.get_mut(&lamp).unwrap().deaf_to.clear();
    w.service_notify(lamp, "ValueChange", ZONES, change(&level(2), "3"));
    w.wait(2);
    let expected =
        ["v: ValueChange Device.X_Lamp.Zone.1.Level=2", "v: ValueChange Device.X_Lamp.Zone.2.Level=3"];
    assert_eq!(w.notes(c), expected, "what was asked in vain is not told");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn what_is_taken_is_not_told() {
    let (mut w, c, _, lamp) = world(&[("Device.", ALL), (SOUTH, NONE)]);
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.");
    w.notes(c);
    let tell = |w: &mut World, path: &str| {
        w.service_notify(lamp, "ValueChange", "Device.X_Lamp.", change(path, "7"));
        w.notes(c).len()
    };
    assert_eq!(tell(&mut w, &level(1)), 1);
    assert_eq!(tell(&mut w, &level(2)), 0);
    assert_eq!(tell(&mut w, "Device.X_Lamp.Colour"), 1);
    // What was taken is not told either when it has just gone, or is not taken any more.
    put(&mut w, lamp, &format!("{ZONES}2.Name"), "west");
    assert_eq!(tell(&mut w, &level(2)), 0);
    assert_eq!(tell(&mut w, &level(2)), 1);
    w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
    assert_eq!(tell(&mut w, &level(1)), 0);
    w.wait(6);
    assert_eq!(w.notes(c), [""; 0], "what is not known takes all that it could mean");
    w.service_notify(lamp, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "red"));
    assert_eq!(w.notes(c).len(), 1, "and nothing else");
}

/// A row that is gone is judged as it was, which the broker hears of beforehand.
#[test]
fn rows_that_come_and_go() {
    let (mut w, c, _, lamp) = world(&[("Device.LocalAgent.", ALL), (NORTH, ALL)]);
    w.subscribe(c, "gone", "ObjectDeletion", ZONES);
    w.subscribe(c, "new", "ObjectCreation", ZONES);
    w.notes(c);
    let table = w.services[&lamp].subscriptions();
    assert!(table.contains_key(&("ValueChange".to_owned(), format!("{ZONES}*.Name"))), "{table:?}");
    let new = |row: &str| {
        let unique_keys = [("Name".to_owned(), "north".to_owned())].into();
        Notification::ObjCreation(ObjectCreation { obj_path: row.to_owned(), unique_keys })
    };
    let third = format!("{ZONES}3.");
    put(&mut w, lamp, &format!("{third}Name"), "north");
    w.service_notify(lamp, "ObjectCreation", ZONES, new(&third));
    assert_eq!(w.notes(c), ["new: ObjectCreation Device.X_Lamp.Zone.3. Name=north"]);
    // The second becomes one, and the first is none any more: that is heard of.
    for (row, name) in [(2, "north"), (1, "south")] {
        let path = format!("{ZONES}{row}.Name");
        put(&mut w, lamp, &path, name);
        w.service_notify(lamp, "ValueChange", &format!("{ZONES}*.Name"), change(&path, name));
    }
    for row in [1, 2, 3] {
        let row = format!("{ZONES}{row}.");
        w.services.get_mut(&lamp).unwrap().values.retain(|path, _| !path.starts_with(&row));
        w.service_notify(lamp, "ObjectDeletion", &format!("{ZONES}*."), gone(&row));
    }
    let expected =
        ["gone: ObjectDeletion Device.X_Lamp.Zone.2.", "gone: ObjectDeletion Device.X_Lamp.Zone.3."];
    assert_eq!(w.notes(c), expected);
}

#[test]
fn the_end_of_a_command_is_told_by_what_its_row_is_then() {
    let entries = [("Device.LocalAgent.", ALL), (NORTH, ALL)];
    let (mut w, c, _, lamp) = world(&entries);
    w.subscribe(c, "o", "OperationComplete", ZONES);
    let remote = || OperationResp::ReqObjPath("Device.LocalAgent.Request.9".to_owned());
    let begin = |w: &mut World, key: &str| {
        w.services.get_mut(&lamp).unwrap().outcomes.push_back(remote());
        let started = w.operate(c, &format!("{ZONES}1.Dim()"), key, &[]);
        assert!(started.contains("Device.LocalAgent.Request."), "{started}");
        let rows = w.services[&lamp].asked.iter().rev();
        rows.filter_map(|r| match r {
            usp_proto::usp::request::ReqType::Operate(o) => Some(o.command_key.clone()),
            _ => None,
        })
        .next()
        .unwrap()
    };
    let end = |w: &mut World, command_key: String| {
        let complete = OperationComplete {
            obj_path: format!("{ZONES}1."),
            command_name: "Dim()".to_owned(),
            command_key,
            operation_resp: Some(done::OperationResp::ReqOutputArgs(done::OutputArgs::default())),
        };
        w.service_notify(lamp, "OperationComplete", "Device.X_Lamp.", Notification::OperComplete(complete));
        w.notes(c).len()
    };
    let key = begin(&mut w, "one");
    assert_eq!(end(&mut w, key), 1);
    let key = begin(&mut w, "two");
    put(&mut w, lamp, &format!("{ZONES}1.Name"), "south");
    assert_eq!(end(&mut w, key), 0);
    put(&mut w, lamp, &format!("{ZONES}1.Name"), "north");
    begin(&mut w, "three");
    w.disconnect(lamp);
    assert_eq!(w.notes(c).len(), 1, "a Service that is gone is not asked");
    assert_eq!(w.instances(c, "Device.LocalAgent.Request.", true), "", "and no row is left");
}

/// What a trigger sets is set with the rights of its subscriber, and these are found out as for a request.
#[test]
fn a_trigger_sets_what_the_target_gives() {
    let (mut w, c, admin, lamp) = world(&[("Device.LocalAgent.,Device.DeviceInfo.", ALL), (NORTH, ALL)]);
    let settings = format!("TriggerConfigSettings={}=7,{}=7", level(1), level(2));
    let more = ["TriggerAction=Config", &settings];
    w.subscribe_with(c, "t", "ValueChange", "Device.DeviceInfo.FriendlyName", &more);
    w.set(admin, "Device.DeviceInfo.", &["FriendlyName=x"]);
    let values = &w.services[&lamp].values;
    assert_eq!((&*values[&level(1)], &*values[&level(2)]), ("7", "20"));
}

/// More than may wait is not told to whom it cannot be known of, and to all others.
#[test]
fn a_service_that_tells_and_answers_nothing_is_bounded() {
    let (mut w, c, admin, lamp) = world(&[("Device.LocalAgent.", ALL), (NORTH, ALL)]);
    w.subscribe(c, "v", "ValueChange", ZONES);
    w.subscribe(admin, "a", "ValueChange", ZONES);
    w.services.get_mut(&lamp).unwrap().deaf_to = vec!["Get"];
    w.notes(c);
    w.notes(admin);
    let mut told = 0;
    for n in 0..5000 {
        w.service_notify(lamp, "ValueChange", ZONES, change(&level(1), &n.to_string()));
        told += w.notes(admin).len();
    }
    assert_eq!((told, w.notes(c).len()), (5000, 0));
    w.wait(11);
    assert_eq!(w.notes(c).len(), 0);
    w.services.get_mut(&lamp).unwrap().deaf_to.clear();
    w.service_notify(lamp, "ValueChange", ZONES, change(&level(1), "last"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Zone.1.Level=last"]);
    assert_eq!(w.broker.pending(), 0);
}

/// References that a Service holds: into itself, into another one, and to rows of ours.
#[test]
fn a_target_behind_a_reference() {
    let best = "Device.X_Best.Choice+.";
    for (given, [inside, beside, own]) in [(true, [true, false, false]), (false, [false, true, true])] {
        let (first, last) = if given { (NONE, ALL) } else { (ALL, NONE) };
        let (mut w, c, _, _) = world(&[("Device.X_Lamp.,Device.LocalAgent.", first), (best, last)]);
        let supported = vec![object("Device.X_Best.", &["Choice"])];
        let values = [("Device.X_Best.Choice".to_owned(), "Device.X_Lamp.Zone.1".to_owned())].into();
        let s = w.service_link("self::best", FakeService { supported, values, ..FakeService::default() });
        w.register(s, false, &["Device.X_Best."]);
        let agent = "Device.LocalAgent.EndpointID";
        let sees = |w: &mut World, path: &str| !w.get(c, path).contains(": 70");
        assert_eq!(sees(&mut w, &level(1)), inside);
        assert_eq!(sees(&mut w, &level(2)), beside);
        assert_eq!(sees(&mut w, agent), own);
        put(&mut w, s, "Device.X_Best.Choice", "Device.LocalAgent");
        assert_eq!(sees(&mut w, &level(1)), beside);
        assert_eq!(sees(&mut w, agent), inside);
        // Where it leads is not known: it gives nothing, and could be anywhere.
        w.manner(s, Manner::Refuses(7002));
        for path in [&level(1), agent] {
            assert!(!sees(&mut w, path), "{path}");
        }
    }
}

/// What is asked beforehand is asked within the time that a Service has for the request.
#[test]
fn a_question_beforehand_does_not_prolong_a_request() {
    let ask = |slow: u64, then: Manner| {
        let (mut w, c, _, lamp) = world(&[(NORTH, ALL)]);
        w.manner(lamp, Manner::Slow(Duration::from_millis(slow)));
        let asked = w.begin(c, get(&[&level(1)], 0));
        // How it takes the question is settled; this is for the request.
        w.manner(lamp, then);
        w.advance(Duration::from_millis(4999));
        let before = w.answer(c, &asked).map(|answer| text::answer(&answer));
        w.advance(Duration::from_millis(1));
        let after = w.answer(c, &asked).map(|answer| text::answer(&answer));
        assert_eq!(w.broker.pending(), 0);
        (before, after)
    };
    let good = Some(format!("{}=10", level(1)));
    let failed = Some(format!("{}: 7003", level(1)));
    assert_eq!(ask(2000, Manner::Slow(Duration::from_millis(2900))), (good, None));
    assert_eq!(ask(2000, Manner::Silent), (None, failed.clone()), "five seconds in all");
    assert_eq!(ask(2600, Manner::Good), (failed, None), "half of them for the question");
}
