//! Get over the broker's own objects and over Services.

use std::time::Duration;

use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::response::RespType;

use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::number;
use crate::bench::peer::get;
use crate::bench::service::{FakeService, Manner, lamp, object};
use crate::bench::text;

#[test]
fn a_parameter_is_one_entry_with_one_key() {
    let mut w = World::new();
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.DeviceInfo.Manufacturer"), "Device.DeviceInfo.Manufacturer=ACME");
    assert_eq!(w.get(c, "Device.LocalAgent.EndpointID"), "Device.LocalAgent.EndpointID=os::012345-hub");
}

#[test]
fn an_object_comes_with_all_below_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let all = w.get(c, "Device.LocalAgent.MTP.");
    let expected = "\
Device.LocalAgent.MTP.1.Alias=cpe-1
Device.LocalAgent.MTP.1.Enable=true
Device.LocalAgent.MTP.1.Protocol=UDS
Device.LocalAgent.MTP.1.Status=Up
Device.LocalAgent.MTP.1.UDS.UnixDomainSocketRef=Device.UnixDomainSockets.UnixDomainSocket.1
Device.LocalAgent.MTP.2.Alias=cpe-2
Device.LocalAgent.MTP.2.Enable=true
Device.LocalAgent.MTP.2.Protocol=WebSocket
Device.LocalAgent.MTP.2.Status=Up
Device.LocalAgent.MTP.2.WebSocket.EnableEncryption=false
Device.LocalAgent.MTP.2.WebSocket.KeepAliveInterval=30
Device.LocalAgent.MTP.2.WebSocket.Path=/usp
Device.LocalAgent.MTP.2.WebSocket.Port=5683";
    assert_eq!(all, expected);
}

#[test]
fn what_is_not_there_is_7026_and_harms_nothing_else() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let answer = w.ask(
        c,
        get(
            &[
                "Device.Nothing.",
                "Device.DeviceInfo.Nothing",
                "Device.LocalAgent.Controller.99.",
                "Device.LocalAgent.Controller.99.Alias",
                "Device.LocalAgent.Controller.*.Nothing",
                "Device.LocalAgent.Controller.*.Nothing.",
                "Device.DeviceInfo.ModelName",
                "Device.DeviceInfo.ModelName",
            ],
            0,
        ),
    );
    let expected = "\
Device.Nothing.: 7026
Device.DeviceInfo.Nothing: 7026
Device.LocalAgent.Controller.99.: 7026
Device.LocalAgent.Controller.99.Alias: 7026
Device.LocalAgent.Controller.*.Nothing: 7026
Device.LocalAgent.Controller.*.Nothing.: 7026
Device.DeviceInfo.ModelName=Hub
Device.DeviceInfo.ModelName=Hub";
    assert_eq!(text::answer(&answer), expected);
}

#[test]
fn bad_syntax_is_7008() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for path in [
        "",
        "Device",
        "Device..X",
        "Device.LocalAgent.Controller.[",
        "Device.LocalAgent.Controller.0.",
        "Device.Reboot()",
        "Device.Boot!",
    ] {
        let answer = w.get(c, path);
        assert!(
            answer == format!("{path}: 7008") || (path == "Device" && answer == "Device: 7026"),
            "{answer}"
        );
    }
}

#[test]
fn a_search_without_a_match_and_an_empty_table_are_no_errors() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for path in [
        "Device.LocalAgent.Controller.[Alias==\"nobody\"].",
        "Device.LocalAgent.Controller.[Alias==\"nobody\"].Alias",
        "Device.LocalAgent.Request.",
        "Device.LocalAgent.Request.*.",
        "Device.LocalAgent.Request.*.Command",
        "Device.LocalAgent.Controller.[EndpointID==\"self::c\"].BootParameter.",
    ] {
        assert_eq!(w.get(c, path), "", "{path}");
    }
}

#[test]
fn every_operator_finds_its_rows() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for (id, ttl) in [("a", "100"), ("b", "200"), ("c", "300")] {
        w.subscribe_with(c, id, "ValueChange", "Device.", &[&format!("TimeToLive={ttl}")]);
    }
    let cases = [
        ("ID==\"b\"", "b"),
        ("ID!=\"b\"", "a c"),
        ("TimeToLive<200", "a"),
        ("TimeToLive<=200", "a b"),
        ("TimeToLive>200", "c"),
        ("TimeToLive>=200", "b c"),
        ("TimeToLive==0200", "b"),
        ("TimeToLive!=200", "a c"),
        ("TimeToLive>100&&TimeToLive<300", "b"),
        ("Enable==true", "a b c"),
        ("Enable==1", "a b c"),
        ("Enable!=true", ""),
        ("ReferenceList~=\"Device.\"", "a b c"),
        ("ReferenceList~=\"Other\"", ""),
        ("CreationDate>=2026-01-01T00:00:00Z", "a b c"),
        ("CreationDate<2026-01-01T00:00:00Z", ""),
        ("Recipient+.EndpointID==\"self::c\"", "a b c"),
        ("Recipient+.EndpointID==\"self::d\"", ""),
    ];
    for (expression, expected) in cases {
        let found = w.get(c, &format!("Device.LocalAgent.Subscription.[{expression}].ID"));
        let ids: Vec<&str> = found.lines().map(|l| l.rsplit('=').next().unwrap()).collect();
        assert_eq!(ids.join(" "), expected, "{expression}");
    }
}

#[test]
fn an_expression_that_does_not_fit_its_parameter_is_7008() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for expression in [
        "Enable==\"true\"",
        "Enable>true",
        "ID==5",
        "ID<\"a\"",
        "TimeToLive==\"1\"",
        "TimeToLive==x",
        "ReferenceList==\"a\"",
        "ID~=\"a\"",
    ] {
        let path = format!("Device.LocalAgent.Subscription.[{expression}].");
        assert_eq!(w.get(c, &path), format!("{path}: 7008"));
    }
    for expression in [
        "Nothing==1",
        "Nothing.A==1",
        "Recipient+.Nothing==1",
        "Nothing+.Alias==\"a\"",
        "Recipient+.Nothing.A==1",
    ] {
        let path = format!("Device.LocalAgent.Subscription.[{expression}].");
        assert_eq!(w.get(c, &path), format!("{path}: 7026"), "whatever the rows hold");
    }
    for expression in ["TimeToLive+.Alias==\"a\"", "Recipient+.EndpointID==5"] {
        let path = format!("Device.LocalAgent.Subscription.[{expression}].");
        assert_eq!(w.get(c, &path), format!("{path}: 7008"));
    }
}

#[test]
fn expressions_reach_into_single_objects_and_stand_at_every_level() {
    let mut w = World::new();
    w.site("a: box, b: box");
    let c = w.controller("self::c");
    w.report("b", &[(3, number("50.5")), (1, Value::Bool(true))]);
    let found = |w: &mut World, path: &str| w.get(c, path);
    let dimmers =
        "Device.ProxiedDevice.*.IoTCapability.[LevelControl.Value>50.25&&Class==\"LevelControl\"].Name";
    assert_eq!(found(&mut w, dimmers), "Device.ProxiedDevice.2.IoTCapability.4.Name=Dimmer");
    let nested = "Device.ProxiedDevice.[Online==true && Name==\"The b\"].IoTCapability.[BinaryControl.Value == true].Name";
    assert_eq!(found(&mut w, nested), "Device.ProxiedDevice.2.IoTCapability.2.Name=Relay");
    let ranges =
        "Device.ProxiedDevice.2.IoTCapability.[LevelControl.Value<=50.5&&LevelControl.Value>=50.5].Class";
    assert_eq!(found(&mut w, ranges), "Device.ProxiedDevice.2.IoTCapability.4.Class=LevelControl");
}

#[test]
fn references_are_followed() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "a", "ValueChange", "Device.");
    assert_eq!(
        w.get(c, "Device.LocalAgent.Subscription.1.Recipient+.EndpointID"),
        "Device.LocalAgent.Controller.1.EndpointID=self::c"
    );
    assert_eq!(
        w.get(c, "Device.LocalAgent.Controller.1.AssignedRole#1+.Name"),
        "Device.LocalAgent.ControllerTrust.Role.1.Name=Full Access"
    );
    assert_eq!(w.get(c, "Device.LocalAgent.Controller.1.AssignedRole#7+.Name"), "");
    let both =
        "AssignedRole=Device.LocalAgent.ControllerTrust.Role.2,Device.LocalAgent.ControllerTrust.Role.1";
    w.set(c, "Device.LocalAgent.Controller.1.", &[both]);
    let names = "Device.LocalAgent.ControllerTrust.Role.2.Name=Untrusted\nDevice.LocalAgent.ControllerTrust.Role.1.Name=Full Access";
    assert_eq!(w.get(c, "Device.LocalAgent.Controller.1.AssignedRole#*+.Name"), names);
    let second = "Device.LocalAgent.Subscription.*.Recipient+.AssignedRole#2+.Name";
    assert_eq!(w.get(c, second), "Device.LocalAgent.ControllerTrust.Role.1.Name=Full Access");
    let by_role = "Device.LocalAgent.Controller.[AssignedRole#*+.Name==\"Full Access\"].EndpointID";
    assert_eq!(w.get(c, by_role), "Device.LocalAgent.Controller.1.EndpointID=self::c");
    w.delete(c, &["Device.LocalAgent.Subscription.1."]);
    for (path, code) in [
        ("Device.LocalAgent.Subscription.*.Recipient+.Nothing", "7026"),
        ("Device.LocalAgent.Subscription.*.Nothing+.Alias", "7026"),
        ("Device.LocalAgent.Subscription.*.TimeToLive+.Alias", "7008"),
        ("Device.LocalAgent.Subscription.Recipient+.Alias", "7026"),
    ] {
        assert_eq!(w.get(c, path), format!("{path}: {code}"), "R-GET.0");
    }
    assert_eq!(w.get(c, "Device.LocalAgent.Subscription.*.Recipient+.EndpointID"), "");
}

#[test]
fn the_depth_is_limited() {
    // R-GET.5
    let mut w = World::new();
    let c = w.controller("self::c");
    let depth = |w: &mut World, path: &str, depth: u32| text::answer(&w.ask(c, get(&[path], depth)));
    let one = depth(&mut w, "Device.LocalAgent.", 1);
    assert!(one.contains("Device.LocalAgent.UpTime=") && !one.contains("MTP.1."), "{one}");
    let two = depth(&mut w, "Device.LocalAgent.", 2);
    assert!(two.contains("MTP.1.Alias=") && !two.contains("MTP.1.UDS."), "{two}");
    let three = depth(&mut w, "Device.LocalAgent.", 3);
    assert!(three.contains("MTP.1.UDS."), "{three}");
}

#[test]
fn a_service_answers_for_its_part() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    assert_eq!(
        w.get(c, "Device.X_Lamp.Zone.*.Name"),
        "Device.X_Lamp.Zone.1.Name=north\nDevice.X_Lamp.Zone.2.Name=south"
    );
    let root = w.get(c, "Device.");
    assert!(
        root.contains("Device.X_Lamp.Zone.2.Level=20") && root.contains("Device.DeviceInfo.ModelName=Hub"),
        "{root}"
    );
    assert_eq!(w.get(c, "Device.X_Lamp.Nothing"), "Device.X_Lamp.Nothing: 7026");
}

#[test]
fn the_same_path_twice_is_two_entries_with_one_result_each() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    let answer = w.ask(c, get(&["Device.X_Lamp.Colour", "Device.X_Lamp.Colour"], 0));
    assert_eq!(text::answer(&answer), "Device.X_Lamp.Colour=red\nDevice.X_Lamp.Colour=red");
}

#[test]
fn one_object_with_two_owners_is_one_result() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = FakeService {
        supported: vec![object("Device.DeviceInfo.", &["X_Mood", "X_Laugh()", "X_Tear!"])],
        ..FakeService::default()
    };
    service.values.insert("Device.DeviceInfo.X_Mood".to_owned(), "fine".to_owned());
    let s = w.service_link("self::mood", service);
    let paths = ["Device.DeviceInfo.X_Mood", "Device.DeviceInfo.X_Laugh()", "Device.DeviceInfo.X_Tear!"];
    assert_eq!(w.register(s, false, &paths), paths.join("\n"));
    assert_eq!(w.get(c, "Device.DeviceInfo.X_Mood"), "Device.DeviceInfo.X_Mood=fine");
    let answer = w.ask(c, get(&["Device.DeviceInfo."], 0));
    let all = text::answer(&answer);
    assert!(all.contains("X_Mood=fine") && all.contains("ModelName=Hub") && !all.contains("70"), "{all}");
    assert_eq!(objects(&answer), ["Device.DeviceInfo."]);
}

/// resolved_path of each result, in order.
fn objects(answer: &usp::Msg) -> Vec<String> {
    let MsgBody::Response(response) = message::body(answer).unwrap() else { panic!("{answer:?}") };
    let Some(RespType::GetResp(got)) = &response.resp_type else { panic!("{answer:?}") };
    let all = got.req_path_results.iter().flat_map(|r| &r.resolved_path_results);
    all.map(|r| r.resolved_path.clone()).collect()
}

#[test]
fn a_stalled_service_costs_nobody_else_anything() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let lamp_conn = w.lamp("self::lamp", "Device.X_Lamp.");
    w.lamp("self::other", "Device.X_Other.");
    w.manner(lamp_conn, Manner::Silent);
    let explicit = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
    let broad = w.begin(c, get(&["Device."], 0));
    assert_eq!(w.get(c, "Device.X_Other.Colour"), "Device.X_Other.Colour=red");
    assert_eq!(w.get(c, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
    w.advance(Duration::from_millis(4999));
    assert!(w.answer(c, &explicit).is_none() && w.answer(c, &broad).is_none());
    w.advance(Duration::from_millis(1));
    let answer = w.answer(c, &explicit).unwrap();
    let expected = "Device.X_Lamp.Colour: 7003 Service self::lamp did not answer within 5000 ms";
    assert_eq!(text::loud(&answer), expected);
    let answer = text::loud(&w.answer(c, &broad).unwrap());
    assert!(
        answer.contains("Device.X_Other.Colour=red") && answer.contains("Device.DeviceInfo.ModelName=Hub"),
        "{answer}"
    );
    assert!(answer.ends_with("Device.: 7003 Service self::lamp did not answer within 5000 ms"), "{answer}");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_failed_part_can_go_into_the_entry_itself() {
    let mut config = crate::bench::config();
    config.limits.merge_get_errors = true;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Refuses(7002));
    let answer = text::answer(&w.ask(c, get(&["Device."], 1)));
    assert!(!answer.contains("7002"), "{answer}");
    let answer = text::answer(&w.ask(c, get(&["Device."], 0)));
    assert!(
        answer.starts_with("Device.: 7002\nDevice.RootDataModelVersion")
            || answer.starts_with("Device.: 7002\n"),
        "{answer}"
    );
    assert!(answer.contains("ModelName=Hub"), "{answer}");
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error_that_names_the_service() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Garbage);
    let answer = text::loud(&w.ask(c, get(&["Device.X_Lamp.Colour"], 0)));
    assert_eq!(answer, "Device.X_Lamp.Colour: 7003 Service self::lamp answered a Get with something else");
    w.manner(s, Manner::Twice);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_service_that_leaves_fails_what_it_was_asked_at_once() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.register(s, false, &["Device.X_Lamp."]);
    w.manner(s, Manner::Silent);
    let id = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
    w.disconnect(s);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert!(answer.starts_with("Device.X_Lamp.Colour: 7003 Service self::lamp is gone"), "{answer}");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
}

#[test]
fn an_expression_does_not_walk_through_a_table() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let path = "Device.LocalAgent.Controller.[MTP.Protocol==\"UDS\"].EndpointID";
    assert_eq!(w.get(c, path), format!("{path}: 7008"));
}
