//! Register, discovery and what follows from them, in every corner (R-REG.*, R-DEREG.*).

use std::time::Duration;

use usp_core::config::UdsTrust;
use usp_core::input::{ConnId, MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::message;
use usp_proto::usp::GetSupportedDmResp;
use usp_proto::usp::get_supported_dm_resp::{
    RequestedObjectResult, SupportedObjectResult, SupportedUniqueKeySet,
};
use usp_proto::usp::response::RespType;

use crate::bench::World;
use crate::bench::service::{FakeService, Manner, lamp, object};

/// A Service over a link that is not a socket, with a row in the Trust table for these paths.
fn cloud(w: &mut World, c: ConnId, peer: &str, paths: &str, service: FakeService) -> ConnId {
    w.add(c, "Device.USPServices.Trust.", &[&format!("EndpointID={peer}"), &format!("TargetPaths={paths}")]);
    let conn = w.connect(MtpKind::WebSocket, Side::Controller, peer, true);
    w.services.insert(conn, service);
    conn
}

const FULL: &str = "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1";

#[test]
fn each_path_by_itself_or_all_together() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::other", "Device.X_Other.");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    let paths = ["Device.X_Lamp.", "Device.X_Other.Zone.", "Device.LocalAgent.", "Device.X_Lamp.Zone.", "x"];
    // R-REG.1: nothing is registered, and each failure is named.
    let refused = "Error 7029\nDevice.X_Other.Zone.: 7029\nDevice.LocalAgent.: 7028\nDevice.X_Lamp.Zone.: 7029\nx: 7028";
    assert_eq!(w.register(s, false, &paths), refused);
    assert_eq!(w.services[&s].asked.len(), 0, "nothing is asked of it");
    // R-REG.0: always a response.
    let partly = "Device.X_Lamp.\nDevice.X_Other.Zone.: 7029\nDevice.LocalAgent.: 7028\nDevice.X_Lamp.Zone.: 7029\nx: 7028";
    assert_eq!(w.register(s, true, &paths), partly);
    assert_eq!(w.register(s, true, &["x", "y"]), "x: 7028\ny: 7028");
    assert_eq!(w.register(s, true, &[]), "");
    assert_eq!(w.register(s, false, &[]), "Error 7028");
    assert_eq!(w.register(s, false, &["Device.X_Lamp.", "Device.X_Lamp."]), "Device.X_Lamp.\nDevice.X_Lamp.");
    let paths = "Device.USPServices.USPService.[EndpointID==\"self::lamp\"].DataModelPaths";
    assert!(w.get(c, paths).ends_with("=Device.X_Lamp."));
}

#[test]
fn a_refused_register_takes_nothing_away() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert!(w.register(s, false, &["Device.X_More.", "Device."]).starts_with("Error 7028"));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    assert!(w.get(c, "Device.USPServices.USPService.*.DataModelPaths").ends_with("=Device.X_Lamp."));
    let other = w.service_link("self::other", lamp("Device.X_More."));
    assert_eq!(w.register(other, false, &["Device.X_More."]), "Device.X_More.", "it was given back");
}

// N-BRK.6
#[test]
fn parents_children_and_single_elements_of_others() {
    let mut w = World::new();
    let a = w.service_link("self::a", FakeService::default());
    let b = w.service_link("self::b", FakeService::default());
    assert_eq!(
        w.register(a, false, &["Device.WiFi.Radio.", "Device.WiFi.RadioNumberOfEntries"]).lines().count(),
        2
    );
    for (path, answer) in [
        ("Device.WiFi.", "Device.WiFi.: 7029"),
        ("Device.WiFi.Radio.", "Device.WiFi.Radio.: 7029"),
        ("Device.WiFi.Radio.Stats.", "Device.WiFi.Radio.Stats.: 7029"),
        ("Device.WiFi.RadioNumberOfEntries", "Device.WiFi.RadioNumberOfEntries: 7029"),
        ("Device.WiFi.DataElements.", "Device.WiFi.DataElements."),
        ("Device.WiFi.Reset()", "Device.WiFi.Reset()"),
        ("Device.WiFi.Changed!", "Device.WiFi.Changed!"),
        ("Device.WiFi.RadioX.", "Device.WiFi.RadioX."),
    ] {
        assert_eq!(w.register(b, true, &[path]), answer);
    }
    // Below a table of the broker's own nothing can be registered apart.
    assert_eq!(w.register(b, true, &["Device.MQTT.Client.X_Mine."]), "Device.MQTT.Client.X_Mine.: 7029");
}

#[test]
fn what_a_service_registers_once_more_is_discovered_anew() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let service = w.services.get_mut(&s).unwrap();
    service.supported = vec![object("Device.X_Lamp.", &["Colour", "Power"])];
    service.values.insert("Device.X_Lamp.Power".to_owned(), "9".to_owned());
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp. Colour Power");
    assert_eq!(w.get(c, "Device.X_Lamp.Power"), "Device.X_Lamp.Power=9");
    // A Service that says nothing keeps what is known of it.
    w.manner(s, Manner::Silent);
    w.register(s, false, &["Device.X_Lamp."]);
    w.wait(30);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp. Colour Power");
}

#[test]
fn a_registered_path_without_a_model_is_asked_for_with_growing_pauses() {
    let mut w = World::new();
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    for _ in 0..5 {
        w.register(s, false, &["Device.X_Lamp.", "Device.X_Ghost."]);
    }
    let before = w.services[&s].count("GetSupportedDM");
    w.wait(600);
    let asked = w.services[&s].count("GetSupportedDM") - before;
    assert!((8..=14).contains(&asked), "{asked}: one chain of attempts, however often it registers");
}

#[test]
fn a_slow_service_gets_more_time_at_each_attempt() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.manner(s, Manner::Slow(Duration::from_secs(17)));
    w.register(s, false, &["Device.X_Lamp."]);
    w.wait(90);
    assert!(w.supported(c, "Device.X_Lamp.").contains("Device.X_Lamp.Zone.{i}."));
}

#[test]
fn wrong_and_partial_answers_to_discovery_are_asked_again() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut both = lamp("Device.X_Lamp.");
    both.supported.extend(lamp("Device.X_More.").supported);
    both.values.extend(lamp("Device.X_More.").values);
    let s = w.service_link("self::lamp", both);
    w.manner(s, Manner::Garbage);
    w.register(s, false, &["Device.X_Lamp.", "Device.X_More."]);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp.: 7026");
    let more: Vec<SupportedObjectResult> = w.services.get_mut(&s).unwrap().supported.split_off(2);
    w.manner(s, Manner::Good);
    w.wait(3);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red", "what is told counts");
    assert_eq!(w.get(c, "Device.X_More.Colour"), "Device.X_More.Colour: 7026");
    w.services.get_mut(&s).unwrap().supported.extend(more);
    w.wait(10);
    assert_eq!(w.get(c, "Device.X_More.Colour"), "Device.X_More.Colour=red");
    assert_eq!(w.services[&s].paths_asked("GetSupportedDM").last().unwrap(), &["Device.X_More."]);
}

#[test]
fn older_services_tell_single_elements_with_their_objects() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", FakeService { whole_objects_only: true, ..lamp("Device.X_Lamp.") });
    w.register(s, false, &["Device.X_Lamp.Colour", "Device.X_Lamp.Fade()", "Device.X_Lamp.Burnt!"]);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp. Colour Fade() Burnt!");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

/// A Service whose rows differ: row 1 has Red, row 2 has Blue.
fn divergent() -> FakeService {
    let mut table = object("Device.X_Dev.{i}.", &[]);
    table.divergent_paths = vec!["Device.X_Dev.1.".to_owned(), "Device.X_Dev.2.".to_owned()];
    let mut service = FakeService { supported: vec![table], ..FakeService::default() };
    for (row, name) in [(1, "Red"), (2, "Blue")] {
        let path = format!("Device.X_Dev.{row}.");
        service.rows.insert(path.clone(), vec![object(&path, &[name, "Go()&"])]);
        service.values.insert(format!("{path}{name}"), "1".to_owned());
    }
    service
}

#[test]
fn rows_of_a_service_may_differ() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::dev", divergent());
    w.register(s, false, &["Device.X_Dev."]);
    assert_eq!(w.get(c, "Device.X_Dev.2.Blue"), "Device.X_Dev.2.Blue=1");
    let table = w.supported(c, "Device.X_Dev.");
    assert!(table.contains("Device.X_Dev.1.") && table.contains("Device.X_Dev.2."), "{table}");
    assert!(!table.contains("Red"), "{table}");
    let row = w.supported(c, "Device.X_Dev.2.");
    assert!(row.contains("Blue") && !row.contains("Red"), "{row}");
    assert_eq!(w.supported(c, "Device.X_Dev.3."), "Device.X_Dev.3.: 7026");
    // The Service gets another row: it is asked, so that the answer is never old.
    let mut third = divergent();
    third.supported[0].divergent_paths.push("Device.X_Dev.3.".to_owned());
    w.services.get_mut(&s).unwrap().supported = third.supported;
    assert!(w.supported(c, "Device.").contains("Device.X_Dev.3."));
    w.manner(s, Manner::Refuses(7003));
    assert!(w.supported(c, "Device.").contains("Device.X_Dev.2."), "what is known stands");
    assert_eq!(w.supported(c, "Device.X_Dev.2."), "Device.X_Dev.2.: 7003");
}

#[test]
fn trust_is_a_list_of_paths() {
    let mut config = crate::bench::config();
    if let Some(uds) = &mut config.uds {
        uds.trust = UdsTrust::Table;
    }
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    let trust = w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::lamp"]);
    let trust = trust.split(' ').next().unwrap().to_owned();
    assert_eq!(w.register(s, true, &["Device.X_Lamp."]), "Device.X_Lamp.: 7028", "an empty list: nothing");
    w.set(c, &trust, &["TargetPaths=Device.X_Lamp.Zone.,Device.X_Lamp.Colour"]);
    for (path, answer) in [
        ("Device.X_Lamp.", "Device.X_Lamp.: 7028"),
        ("Device.X_Lamp.Zone.", "Device.X_Lamp.Zone."),
        ("Device.X_Lamp.Colour", "Device.X_Lamp.Colour"),
        ("Device.X_Lamp.ColourX", "Device.X_Lamp.ColourX: 7028"),
        ("Device.X_Lamp.Blink()", "Device.X_Lamp.Blink(): 7028"),
    ] {
        assert_eq!(w.register(s, true, &[path]), answer);
    }
    // Trust that is taken away takes its paths along.
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    w.set(c, &trust, &["TargetPaths=Device.X_Lamp.Zone."]);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
    assert_eq!(w.get(c, "Device.X_Lamp.Zone.1.Name"), "Device.X_Lamp.Zone.1.Name=north");
    w.delete(c, &[&trust]);
    assert_eq!(w.get(c, "Device.USPServices.USPService."), "");
}

#[test]
fn the_table_always_counts_away_from_the_socket() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.connect(MtpKind::WebSocket, Side::Controller, "self::lamp", true);
    w.services.insert(s, lamp("Device.X_Lamp."));
    assert_eq!(w.register(s, true, &["Device.X_Lamp."]), "Device.X_Lamp.: 7028");
    assert_eq!(w.get(c, "Device.USPServices.USPService."), "");
}

#[test]
fn a_service_over_another_transport_is_like_any() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = cloud(&mut w, c, "self::lamp", "Device.X_Lamp.", lamp("Device.X_Lamp."));
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    assert!(w.get(c, "Device.USPServices.USPService.1.Protocol").ends_with("=WebSocket"));
    w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::lamp", "Enable=true", FULL]);
    let own = w.connect(MtpKind::WebSocket, Side::Agent, "self::lamp", true);
    assert!(w.get(c, "Device.USPServices.USPService.1.HasController").ends_with("=true"));
    let mtp = "Device.LocalAgent.Controller.[EndpointID==\"self::lamp\"].MTP.*.Protocol";
    assert!(w.get(c, mtp).ends_with("=WebSocket"));
    assert_eq!(
        w.get(own, "Device.X_Lamp.Colour"),
        "Device.X_Lamp.Colour=red",
        "it may use itself through us"
    );
    w.disconnect(s);
    assert_eq!(w.get(own, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
}

#[test]
fn a_row_that_is_entered_for_good_outlives_the_service() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let controller = w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::lamp", "Enable=true"]);
    let controller = controller.split(' ').next().unwrap().to_owned();
    let mtp = w.add(c, &format!("{controller}MTP."), &["Protocol=UDS", "Enable=true"]);
    assert!(!mtp.starts_with("Error"), "{mtp}");
    let mtp = mtp.split(' ').next().unwrap().to_owned();
    w.subscribe(c, "ref", "ValueChange", &format!("{mtp}UDS.USPServiceRef"));
    let reference = format!("{mtp}UDS.USPServiceRef");
    for row in 1..3 {
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        assert_eq!(w.get(c, &reference), format!("{reference}=Device.USPServices.USPService.{row}"));
        assert_eq!(w.notes(c), [format!("ref: ValueChange {reference}=Device.USPServices.USPService.{row}")]);
        w.disconnect(s);
        assert_eq!(w.get(c, &reference), format!("{reference}="));
        assert_eq!(w.notes(c), [format!("ref: ValueChange {reference}=")]);
    }
}

#[test]
fn a_newcomer_with_the_same_name_is_refused_and_harms_nothing() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    let thief = w.connect(MtpKind::Uds, Side::Controller, "self::lamp", true);
    assert_eq!(w.closed, [(thief, CloseReason::EndpointInUse)]);
    let id = w.begin(
        thief,
        usp_proto::usp::request::ReqType::Deregister(usp_proto::usp::Deregister {
            paths: vec![String::new()],
        }),
    );
    assert!(w.answer(thief, &id).is_none(), "nothing is taken from it");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_service_that_takes_a_new_link_can_register_before_the_old_one_is_closed() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let old = w.lamp("self::lamp", "Device.X_Lamp.");
    let new = cloud(&mut w, c, "self::lamp", "Device.X_Lamp.", lamp("Device.X_Lamp."));
    assert!(w.closed.contains(&(old, CloseReason::EndpointInUse)));
    assert_eq!(w.register(new, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    w.input(usp_core::input::Input::Disconnected { conn: old, reason: "late".to_owned() });
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn two_hundred_and_fifty_six_services_and_controllers() {
    let mut w = World::new();
    let controllers: Vec<ConnId> = (0..256).map(|n| w.controller(&format!("self::c{n}"))).collect();
    let services: Vec<ConnId> =
        (0..256).map(|n| w.lamp(&format!("self::s{n}"), &format!("Device.X_L{n}."))).collect();
    assert!(w.closed.is_empty(), "{:?}", w.closed);
    let late = w.controller("self::late");
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Limit(_))) if *conn == late));
    let late = w.service_link("self::late", FakeService::default());
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Limit(_))) if *conn == late));
    let all = w.get(controllers[255], "Device.");
    assert_eq!(all.lines().filter(|line| line.ends_with(".Colour=red")).count(), 256);
    // One of them takes another link although all places are taken.
    w.add(controllers[0], "Device.USPServices.Trust.", &["EndpointID=self::s7", "TargetPaths=Device.X_L7."]);
    let again = w.connect(MtpKind::WebSocket, Side::Controller, "self::s7", true);
    w.services.insert(again, lamp("Device.X_L7."));
    assert_eq!(w.register(again, false, &["Device.X_L7."]), "Device.X_L7.");
    w.disconnect(services[0]);
    let place = w.service_link("self::late", lamp("Device.X_L0."));
    assert_eq!(w.register(place, false, &["Device.X_L0."]), "Device.X_L0.");
}

#[test]
fn a_huge_model_is_cut_and_the_rest_serves() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let names: Vec<String> = (0..30_000).map(|n| format!("P{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let supported = (0..4).map(|n| object(&format!("Device.X_Huge.O{n}."), &names)).collect();
    let mut service = FakeService { supported, ..FakeService::default() };
    service.values.insert("Device.X_Huge.O0.P7".to_owned(), "x".to_owned());
    let s = w.service_link("self::huge", service);
    w.register(s, false, &["Device.X_Huge."]);
    assert_eq!(w.get(c, "Device.X_Huge.O0.P7"), "Device.X_Huge.O0.P7=x");
    assert!(w.supported(c, "Device.X_Huge.O2.").contains("P29999"));
    assert_eq!(w.supported(c, "Device.X_Huge.O3."), "Device.X_Huge.O3.: 7026");
}

#[test]
fn what_a_service_tells_of_itself_is_bounded_however_it_is_told() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let own: Vec<String> = (0..300).map(|n| format!("Device.X_A.P{n}")).collect();
    let mut paths: Vec<&str> = own.iter().map(String::as_str).collect();
    paths.extend(["Device.X_K.", "Device.X_Z."]);
    // One object with many keys, then one again and again that tells of 300 registered paths each time.
    let mut keys = object("Device.X_K.Row.{i}.", &["Name"]);
    let set = |n| SupportedUniqueKeySet { key_names: vec![format!("K{n}")] };
    keys.unique_key_sets = (0..500).map(set).collect();
    let mut supported = vec![keys];
    supported.extend((0..400).map(|_| object("Device.X_A.", &["P0"])));
    supported.push(object("Device.X_Z.", &["Name"]));
    let service = FakeService { deaf_to: vec!["GetSupportedDM"], ..FakeService::default() };
    let s = w.service_link("self::s", service);
    w.register(s, false, &paths);
    let asked = w.inbox[&s].iter().filter_map(|r| r.msg()).find(|m| message::name(m) == "GetSupportedDM");
    let msg_id = message::msg_id(asked.unwrap()).to_owned();
    let told = RequestedObjectResult { supported_objs: supported, ..RequestedObjectResult::default() };
    let told = RespType::GetSupportedDmResp(GetSupportedDmResp { req_obj_results: vec![told] });
    w.send(s, message::response(&msg_id, told));
    w.wait(10);
    let elements = w.supported(c, "Device.X_A.");
    assert!(elements.contains("P0"), "{elements}");
    assert!(w.supported(c, "Device.X_Z.").starts_with("Device.X_Z.: 7026"), "the rest is left out");
}

#[test]
fn what_is_not_below_the_root_is_not_registered() {
    let mut w = World::new();
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    assert_eq!(w.register(s, true, &["X_Lamp."]), "X_Lamp.: 7028");
}
