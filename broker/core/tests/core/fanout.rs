//! One answer from many owners: merge, what fails, what is taken back, and who is asked how.

use std::collections::BTreeMap;
use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use crate::bench::peer::{add, get, set};
use crate::bench::service::{FakeService, Manner, lamp, object};
use crate::bench::{World, text};

/// A Service of one table below an object that is not its own, with so many rows.
fn table(w: &mut World, peer: &str, path: &str, rows: u32) -> ConnId {
    let supported = vec![object(&format!("{path}{{i}}."), &["Name"])];
    let values = (1..=rows).map(|n| (format!("{path}{n}.Name"), format!("n{n}"))).collect();
    let highest = BTreeMap::from([(path.to_owned(), rows)]);
    let s = w.service_link(peer, FakeService { supported, values, highest, ..FakeService::default() });
    assert_eq!(w.register(s, false, &[path]), path);
    s
}

fn instances(paths: &[&str]) -> ReqType {
    let obj_paths = paths.iter().map(|&p| p.to_owned()).collect();
    ReqType::GetInstances(usp::GetInstances { obj_paths, first_level_only: true })
}

#[test]
fn get_instances_asks_each_service_once() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut both = lamp("Device.X_Lamp.");
    both.supported.extend(lamp("Device.X_More.").supported);
    both.values.extend(lamp("Device.X_More.").values);
    let s = w.service_link("self::lamp", both);
    w.register(s, false, &["Device.X_Lamp.", "Device.X_More."]);
    let other = w.lamp("self::other", "Device.X_Other.");
    let answer =
        text::answer(&w.ask(c, instances(&["Device.", "Device.X_Lamp.Zone.", "Device.X_More.Zone."])));
    for row in ["Device.X_Lamp.Zone.2.", "Device.X_More.Zone.2."] {
        assert_eq!(answer.lines().filter(|line| *line == row).count(), 2, "{answer}");
    }
    let asked = w.services[&s].paths_asked("GetInstances");
    assert_eq!(asked, [["Device.X_Lamp.", "Device.X_More.", "Device.X_Lamp.Zone.", "Device.X_More.Zone."]]);
    assert_eq!(w.services[&other].count("GetInstances"), 1);
    // One that fails is an entry of its own, with what the others have before it.
    w.manner(other, Manner::Refuses(7003));
    let answer = text::answer(&w.ask(c, instances(&["Device.", "Device.X_Other.Zone."])));
    assert!(answer.contains("Device.X_More.Zone.1."), "{answer}");
    assert!(answer.ends_with("Device.: 7003\nDevice.X_Other.Zone.: 7003"), "{answer}");
}

#[test]
fn the_number_of_rows_of_a_table_without_its_parent_is_counted() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = table(&mut w, "self::radio", "Device.WiFi.Radio.", 3);
    let other = table(&mut w, "self::ssid", "Device.WiFi.SSID.", 2);
    let path = "Device.WiFi.RadioNumberOfEntries";
    assert_eq!(w.get(c, path), format!("{path}=3"));
    assert_eq!(w.supported(c, path), "Device.WiFi. RadioNumberOfEntries");
    let level = text::answer(&w.ask(c, get(&["Device.WiFi."], 1)));
    assert_eq!(level, "Device.WiFi.RadioNumberOfEntries=3\nDevice.WiFi.SSIDNumberOfEntries=2");
    // One object is one result, whoever tells of it.
    let answer = format!("{:?}", w.ask(c, get(&["Device.WiFi."], 1)));
    assert_eq!(answer.matches("resolved_path: \"Device.WiFi.\"").count(), 1, "{answer}");
    let all = w.get(c, "Device.");
    assert!(all.contains("Device.WiFi.RadioNumberOfEntries=3") && all.contains("Device.WiFi.SSID.2.Name=n2"));
    assert!(!text::answer(&w.ask(c, get(&["Device."], 1))).contains("RadioNumberOfEntries"));
    let refused = "Error 7013\nDevice.WiFi.RadioNumberOfEntries: 7013";
    assert_eq!(w.set(c, "Device.WiFi.", &["RadioNumberOfEntries=9"]), refused);
    // A Service that fails is named once.
    w.manner(other, Manner::Refuses(7003));
    assert_eq!(w.get(c, "Device.WiFi.SSIDNumberOfEntries"), "Device.WiFi.SSIDNumberOfEntries: 7003");
    let all = w.get(c, "Device.WiFi.");
    assert!(all.contains("RadioNumberOfEntries=3") && all.matches("7003").count() == 1, "{all}");
    // What else it gives back does not take the number away; the table does.
    w.register(s, false, &["Device.X_Else."]);
    w.deregister(s, &["Device.X_Else."]);
    assert_eq!(w.get(c, path), format!("{path}=3"));
    w.deregister(s, &[""]);
    assert_eq!(w.get(c, path), format!("{path}: 7026"));
    assert_eq!(
        w.supported(c, "Device.WiFi."),
        "Device.WiFi. SSIDNumberOfEntries\nDevice.WiFi.SSID.{i}. Name"
    );
    w.disconnect(other);
    assert_eq!(w.supported(c, "Device.WiFi."), "Device.WiFi.: 7026");
}

#[test]
fn a_number_of_rows_that_was_registered_is_the_services_own() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let supported =
        vec![object("Device.WiFi.", &["RadioNumberOfEntries"]), object("Device.WiFi.Radio.{i}.", &["Name"])];
    let mut service = FakeService { supported, ..FakeService::default() };
    service.values.insert("Device.WiFi.RadioNumberOfEntries".to_owned(), "17".to_owned());
    let s = w.service_link("self::radio", service);
    w.register(s, false, &["Device.WiFi.Radio.", "Device.WiFi.RadioNumberOfEntries"]);
    assert_eq!(w.get(c, "Device.WiFi.RadioNumberOfEntries"), "Device.WiFi.RadioNumberOfEntries=17");
    assert_eq!(w.services[&s].count("GetInstances"), 0);
}

#[test]
fn entries_of_one_service_go_in_one_message_each_with_its_own_result() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let other = w.lamp("self::other", "Device.X_Other.");
    w.services.get_mut(&s).unwrap().stubborn.insert("Device.X_Lamp.Zone.1.Level".to_owned(), 7012);
    let request = set(
        true,
        &[
            ("Device.X_Lamp.", &["Colour=blue"]),
            ("Device.X_Other.", &["Colour=green"]),
            ("Device.X_Lamp.Zone.1.", &["Level=5"]),
            ("Device.X_Lamp.Zone.2.", &["Level=6"]),
            ("Device.DeviceInfo.", &["FriendlyName=hub"]),
        ],
    );
    let expected = "Device.X_Lamp. Colour=blue\nDevice.X_Other. Colour=green\nDevice.X_Lamp.Zone.1.: 7012\n\
        Device.X_Lamp.Zone.2. Level=6\nDevice.DeviceInfo. FriendlyName=hub";
    assert_eq!(text::answer(&w.ask(c, request.clone())), expected);
    assert_eq!((w.services[&s].count("Set"), w.services[&other].count("Set")), (1, 1));
    // A Service that fails as a whole fails its entries alone.
    w.manner(s, Manner::Refuses(7006));
    let expected = "Device.X_Lamp.: 7006\nDevice.X_Lamp.Colour: 7006\nDevice.X_Other. Colour=green\n\
        Device.X_Lamp.Zone.1.: 7006\nDevice.X_Lamp.Zone.1.Level: 7006\n\
        Device.X_Lamp.Zone.2.: 7006\nDevice.X_Lamp.Zone.2.Level: 7006\nDevice.DeviceInfo. FriendlyName=hub";
    assert_eq!(text::answer(&w.ask(c, request)), expected);
}

#[test]
fn what_a_service_leaves_out_of_its_answer_has_failed() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.services.get_mut(&s).unwrap().forgetful = true;
    let request = set(true, &[("Device.X_Lamp.", &["Colour=blue"]), ("Device.X_Lamp.Zone.1.", &["Level=5"])]);
    assert_eq!(text::answer(&w.ask(c, request)), "Device.X_Lamp. Colour=blue\nDevice.X_Lamp.Zone.1.: 7003");
    let request = add(true, &[("Device.X_Lamp.Zone.", &["Name=a"]), ("Device.X_Lamp.Zone.", &["Name=b"])]);
    let answer = text::answer(&w.ask(c, request));
    assert!(answer.starts_with("Device.X_Lamp.Zone.3.") && answer.ends_with("Zone.: 7003"), "{answer}");
    let answer = w.delete_partial(c, true, &["Device.X_Lamp.Zone.1.", "Device.X_Lamp.Zone.2."]);
    assert!(answer.ends_with("Device.X_Lamp.Zone.2.: 7003"), "{answer}");
    assert_eq!(w.delete_partial(c, true, &["Device.X_Lamp.Zone.3."]), "Device.X_Lamp.Zone.3.: 7003");
}

#[test]
fn mixed_results_of_an_add_are_taken_back_or_told() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let other = w.lamp("self::other", "Device.X_Other.");
    w.services.get_mut(&other).unwrap().full.insert("Device.X_Other.Zone.".to_owned(), 7005);
    let objects: [(&str, &[&str]); 3] = [
        ("Device.X_Lamp.Zone.", &["Name=a"]),
        ("Device.X_Other.Zone.", &["Name=b"]),
        ("Device.X_Lamp.Zone.", &["Name=c"]),
    ];
    let answer = text::answer(&w.ask(c, add(true, &objects)));
    assert!(answer.contains("Device.X_Lamp.Zone.3.") && answer.contains("Device.X_Lamp.Zone.4."), "{answer}");
    assert!(answer.contains("Device.X_Other.Zone.: 7005"), "{answer}");
    let answer = text::loud(&w.ask(c, add(false, &objects)));
    assert!(answer.starts_with("Error 7005") && !answer.contains("stayed"), "{answer}");
    assert_eq!(w.services[&s].paths_asked("Delete"), [["Device.X_Lamp.Zone.5.", "Device.X_Lamp.Zone.6."]]);
    assert!(!w.get(c, "Device.X_Lamp.").contains("Zone.5."));
}

#[test]
fn a_set_over_services_is_written_back_in_one_message_and_what_stays_is_named() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let other = w.lamp("self::other", "Device.X_Other.");
    w.services.get_mut(&other).unwrap().stubborn.insert("Device.X_Other.Colour".to_owned(), 7012);
    let objects: [(&str, &[&str]); 3] = [
        ("Device.X_Lamp.", &["Colour=blue"]),
        ("Device.X_Lamp.Zone.*.", &["Level=99"]),
        ("Device.X_Other.", &["Colour=x"]),
    ];
    let answer = text::loud(&w.ask(c, set(false, &objects)));
    assert!(answer.starts_with("Error 7012") && !answer.contains("stayed"), "{answer}");
    assert_eq!(
        w.get(c, "Device.X_Lamp.Zone.*.Level"),
        "Device.X_Lamp.Zone.1.Level=10\nDevice.X_Lamp.Zone.2.Level=20"
    );
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    assert_eq!(w.services[&s].count("Set"), 2, "the change, and one Message that takes it back");
    // One that does not take it back: its Parameters are named, one by one.
    w.manner(other, Manner::Slow(Duration::from_secs(1)));
    let id = w.begin(c, set(false, &objects));
    w.wait(1);
    w.services.get_mut(&s).unwrap().stubborn.insert("Device.X_Lamp.Zone.2.Level".to_owned(), 7012);
    w.wait(1);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert!(
        answer.lines().next().unwrap().ends_with("; stayed changed: Device.X_Lamp.Zone.2.Level"),
        "{answer}"
    );
}

#[test]
fn a_service_that_dies_within_a_unit_leaves_nothing_half_done() {
    for dies_at in 0..4 {
        let mut w = World::new();
        let c = w.controller("self::c");
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        let other = w.lamp("self::other", "Device.X_Other.");
        w.manner(s, Manner::Slow(Duration::from_secs(1)));
        w.manner(other, Manner::Slow(Duration::from_secs(1)));
        let id = w.begin(
            c,
            set(
                false,
                &[
                    ("Device.X_Lamp.", &["Colour=blue"]),
                    ("Device.X_Other.", &["Colour=green"]),
                    ("Device.DeviceInfo.", &["FriendlyName=hub"]),
                ],
            ),
        );
        // 0: while the old values are read; 1: between the phases; 2: while it is written; 3: after all is done.
        w.advance(Duration::from_millis(700 * dies_at));
        if dies_at == 2 {
            w.advance(Duration::from_millis(300));
        }
        w.disconnect(other);
        w.wait(10);
        let answer = text::answer(&w.answer(c, &id).unwrap());
        let good = dies_at == 3;
        assert_eq!(!answer.starts_with("Error"), good, "{dies_at}: {answer}");
        w.manner(s, Manner::Good);
        let colour = if good { "blue" } else { "red" };
        assert_eq!(w.get(c, "Device.X_Lamp.Colour"), format!("Device.X_Lamp.Colour={colour}"), "{dies_at}");
        assert_eq!(w.get(c, "Device.DeviceInfo.FriendlyName").ends_with("=hub"), good);
        assert_eq!(w.broker.pending(), 0);
    }
}

#[test]
fn a_row_that_a_service_deleted_is_named_when_the_rest_fails() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    let row = w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::x"]);
    let row = row.split(' ').next().unwrap().to_owned();
    w.disk.mood = crate::bench::disk::Mood::Full("no space".to_owned());
    let request = ReqType::Delete(usp::Delete {
        allow_partial: false,
        obj_paths: vec!["Device.X_Lamp.Zone.1.".to_owned(), row],
    });
    let answer = text::loud(&w.ask(c, request));
    assert!(answer.contains("; stayed changed: Device.X_Lamp.Zone.1."), "{answer}");
}

#[test]
fn an_answer_counts_over_the_connection_that_was_asked() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let thief = w.lamp("self::thief", "Device.X_Thief.");
    w.manner(s, Manner::Silent);
    let id = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
    let asked = message::msg_id(w.inbox[&s].last().unwrap().msg().unwrap()).to_owned();
    let answer = |value: &str| {
        let result_params = [("Colour", value)].into();
        let resolved =
            usp::get_resp::ResolvedPathResult { resolved_path: "Device.X_Lamp.".to_owned(), result_params };
        let result = usp::get_resp::RequestedPathResult {
            requested_path: "Device.X_Lamp.Colour".to_owned(),
            resolved_path_results: vec![resolved],
            ..Default::default()
        };
        message::response(&asked, RespType::GetResp(usp::GetResp { req_path_results: vec![result] }))
    };
    w.send(thief, answer("stolen"));
    w.send(c, answer("mine"));
    assert!(w.answer(c, &id).is_none());
    w.send(s, answer("true"));
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.X_Lamp.Colour=true");
    w.send(s, answer("twice"));
    assert!(w.answer(c, &id).is_none(), "R-MSG.9");
}

#[test]
fn an_error_without_a_code_is_no_success() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    for code in [0, 1, 6999, 8000, u32::MAX] {
        w.manner(s, Manner::Refuses(code));
        assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7003");
        assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour=x"]), "Error 7003\nDevice.X_Lamp.Colour: 7003");
        assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "", &[]), "Device.X_Lamp.Blink() -> 7003");
    }
    w.manner(s, Manner::Refuses(ErrCode::PERMISSION_DENIED.0));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7006");
}

#[test]
fn answers_in_any_order_give_one_answer() {
    let mut expected = None;
    for turn in 0..3 {
        let mut w = World::new();
        let c = w.controller("self::c");
        let services: Vec<ConnId> =
            (0..3).map(|n| w.lamp(&format!("self::s{n}"), &format!("Device.X_L{n}."))).collect();
        for (index, s) in services.iter().enumerate() {
            w.manner(*s, Manner::Slow(Duration::from_millis(100 * ((index as u64 + turn) % 3))));
        }
        let id = w.begin(c, get(&["Device.X_L1.", "Device.X_*", "Device.", "Device.X_L0.Colour"], 0));
        w.wait(1);
        let answer = text::answer(&w.answer(c, &id).unwrap());
        let answer = answer
            .lines()
            .filter(|l| !l.contains("Time") && !l.contains("Up"))
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(expected.get_or_insert(answer.clone()), &answer);
    }
}
