//! Register, discovery, Deregister, and Services that come and go.

use std::time::Duration;

use usp_core::config::UdsTrust;
use usp_core::input::{MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::record::Record;
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::notify::{Notification, ValueChange};

use crate::bench::World;
use crate::bench::service::{FakeService, Manner, lamp, object};

#[test]
fn a_registered_service_has_a_row() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let expected = "\
Device.USPServices.USPService.1.DataModelPaths=Device.X_Lamp.
Device.USPServices.USPService.1.EndpointID=self::lamp
Device.USPServices.USPService.1.HasController=false
Device.USPServices.USPService.1.Protocol=UDS";
    assert_eq!(w.get(c, "Device.USPServices.USPService."), expected);
    let own = w.controller("self::lamp");
    assert!(w.get(c, "Device.USPServices.USPService.1.HasController").ends_with("=true"));
    let reference = "Device.LocalAgent.Controller.[EndpointID==\"self::lamp\"].MTP.*.UDS.USPServiceRef";
    assert!(w.get(c, reference).ends_with("=Device.USPServices.USPService.1"));
    w.disconnect(own);
    assert!(w.get(c, "Device.USPServices.USPService.1.HasController").ends_with("=false"));
    w.disconnect(s);
    assert_eq!(w.get(c, "Device.USPServices.USPService."), "");
}

#[test]
fn paths_belong_to_one() {
    let mut w = World::new();
    w.lamp("self::lamp", "Device.X_Lamp.");
    let s = w.service_link("self::other", lamp("Device.X_Other."));
    for (path, code) in [
        ("Device.X_Lamp.", 7029),
        ("Device.X_Lamp.Zone.", 7029),
        ("Device.X_Lamp.Colour", 7029),
        ("Device.X_Lamp.Blink()", 7029),
        ("Device.DeviceInfo.", 7029),
        ("Device.DeviceInfo.ModelName", 7029),
        ("Device.Reboot()", 7029),
        ("Device.", 7028),
        ("Device.LocalAgent.", 7028),
        ("Device.LocalAgent.Subscription.", 7028),
        ("Device.ProxiedDevice.", 7028),
        ("Device.USPServices.X_Mine.", 7028),
        ("Device.UnixDomainSockets.", 7028),
        ("Device.X_Lamp.Zone.1.", 7028),
        ("Device.X_Other.{i}.", 7028),
        ("Device.X_Other.*.", 7028),
        ("nonsense", 7028),
        ("", 7028),
    ] {
        let answer = w.register(s, false, &[path]);
        assert_eq!(answer, format!("Error {code}\n{path}: {code}"));
        assert_eq!(w.register(s, true, &[path]), format!("{path}: {code}"));
    }
    assert_eq!(w.register(s, false, &[]), "Error 7028");
    assert_eq!(
        w.register(s, false, &["Device.X_LampShade."]),
        "Device.X_LampShade.",
        "only whole names count"
    );
}

#[test]
fn allow_partial_both_ways() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    let paths = ["Device.X_Lamp.", "Device.LocalAgent."];
    assert_eq!(w.register(s, false, &paths), "Error 7028\nDevice.LocalAgent.: 7028");
    assert_eq!(w.get(c, "Device.USPServices.USPService."), "");
    assert_eq!(w.register(s, true, &paths), "Device.X_Lamp.\nDevice.LocalAgent.: 7028");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_service_may_register_several_times() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut both = lamp("Device.X_Lamp.");
    both.supported.extend(lamp("Device.X_More.").supported);
    both.values.extend(lamp("Device.X_More.").values);
    let s = w.service_link("self::lamp", both);
    w.manner(s, Manner::Slow(Duration::from_millis(100)));
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    assert_eq!(w.register(s, false, &["Device.X_More."]), "Device.X_More.", "while discovery is under way");
    w.advance(Duration::from_millis(300));
    w.manner(s, Manner::Good);
    assert_eq!(w.get(c, "Device.X_More.Colour"), "Device.X_More.Colour=red", "discovered without a pause");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.", "once more is no harm");
}

#[test]
fn the_trust_table_decides_when_the_socket_does_not() {
    let mut config = crate::bench::config();
    if let Some(uds) = &mut config.uds {
        uds.trust = UdsTrust::Table;
    }
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Error 7028\nDevice.X_Lamp.: 7028");
    w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::lamp", "TargetPaths=Device.X_Lamp."]);
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    assert_eq!(w.register(s, false, &["Device.X_More."]), "Error 7028\nDevice.X_More.: 7028");
}

/// OB-USPA takes `Device.X_Lamp.Fade()` in a ReferenceList for OperationComplete, but not `Device.X_Lamp.`.
#[test]
fn a_service_that_takes_only_full_paths_is_subscribed_for_each_command_and_event() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "e", "Event", "Device.");
    let s = w.service_link("self::lamp", FakeService { full_paths_only: true, ..lamp("Device.X_Lamp.") });
    w.register(s, false, &["Device.X_Lamp."]);
    let rows = |w: &World, s| -> Vec<String> {
        let rows: Vec<_> = w.services[&s].subscriptions().into_keys().collect();
        rows.into_iter().map(|(kind, path)| format!("{kind} {path}")).collect()
    };
    let expected = [
        "Event Device.X_Lamp.Burnt!",
        "OperationComplete Device.X_Lamp.Fade()",
        "OperationComplete Device.X_Lamp.Zone.*.Dim()",
    ];
    assert_eq!(rows(&w, s), expected);
    let event = usp_proto::usp::notify::Event {
        obj_path: "Device.X_Lamp.".to_owned(),
        event_name: "Burnt!".to_owned(),
        params: Default::default(),
    };
    let burnt = usp_proto::usp::notify::Notification::Event(event);
    w.notes(c);
    w.service_notify(s, "Event", "Device.X_Lamp.Burnt!", burnt);
    assert_eq!(w.notes(c), ["e: Event Device.X_Lamp.Burnt!"]);

    let left = w.services[&s].values.clone();
    w.disconnect(s);
    let again = FakeService { full_paths_only: true, values: left, ..lamp("Device.X_Lamp.") };
    let s = w.service_link("self::lamp", again);
    w.register(s, false, &["Device.X_Lamp."]);
    assert_eq!(rows(&w, s), expected);
    assert_eq!((w.services[&s].count("Add"), w.services[&s].count("Delete")), (0, 0), "found again");
}

#[test]
fn discovery_is_tried_again() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.manner(s, Manner::Silent);
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.", "the answer does not wait");
    assert!(w.get(c, "Device.USPServices.USPService.1.DataModelPaths").ends_with("Device.X_Lamp."));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
    w.wait(6);
    w.manner(s, Manner::Good);
    w.wait(10);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn elements_outside_the_registered_paths_are_not_taken() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = lamp("Device.X_Lamp.");
    service.supported.push(object("Device.X_Evil.", &["A"]));
    service.supported.push(object("Device.LocalAgent.", &["X_Backdoor"]));
    let s = w.service_link("self::lamp", service);
    w.register(s, false, &["Device.X_Lamp.Colour"]);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp. Colour");
    assert_eq!(w.supported(c, "Device.X_Evil."), "Device.X_Evil.: 7026");
    assert!(!w.supported(c, "Device.LocalAgent.").contains("X_Backdoor"));
    assert_eq!(w.get(c, "Device.X_Lamp."), "Device.X_Lamp.Colour=red");
}

// R-DEREG.1 to R-DEREG.4
#[test]
fn deregister_gives_paths_back() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut both = lamp("Device.X_Lamp.");
    both.supported.extend(lamp("Device.X_More.").supported);
    let s = w.service_link("self::lamp", both);
    w.register(s, false, &["Device.X_Lamp.", "Device.X_More."]);
    let other = w.lamp("self::other", "Device.X_Other.");
    let answer =
        w.deregister(s, &["Device.X_Lamp.", "Device.X_Never.", "Device.X_Other.", "Device.X_More.Zone."]);
    assert_eq!(
        answer,
        "Device.X_Lamp.\nDevice.X_Never.: 7030\nDevice.X_Other.: 7031\nDevice.X_More.Zone.: 7030"
    );
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
    assert!(w.supported(c, "Device.X_More.").contains("Zone"));
    assert_eq!(w.deregister(s, &[""]), "Device.X_More.");
    assert_eq!(w.deregister(s, &[""]), "", "nothing is left");
    assert_eq!(w.supported(c, "Device.X_More."), "Device.X_More.: 7026");
    assert_eq!(w.register(other, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
}

#[test]
fn a_path_that_is_given_back_during_discovery_stays_away() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.manner(s, Manner::Slow(Duration::from_secs(1)));
    w.register(s, false, &["Device.X_Lamp."]);
    w.deregister(s, &["Device.X_Lamp."]);
    w.wait(2);
    assert_eq!(w.supported(c, "Device.X_Lamp."), "Device.X_Lamp.: 7026");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
}

#[test]
fn a_service_that_comes_back_registers_anew() {
    let mut w = World::new();
    let c = w.controller("self::c");
    for _ in 0..3 {
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
        w.disconnect(s);
        assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
    }
}

#[test]
fn a_disconnect_record_ends_the_registration_alone() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let (from, to) =
        (EndpointId::parse("self::lamp").unwrap(), EndpointId::parse(crate::bench::BROKER).unwrap());
    let record = Box::new(Record::disconnect(from, to, ErrCode(0), "bye"));
    w.input(usp_core::input::Input::Record { conn: s, record });
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7026");
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_second_connection_with_the_same_endpoint_id() {
    let mut w = World::new();
    let first = w.lamp("self::lamp", "Device.X_Lamp.");
    let second = w.connect(MtpKind::Uds, Side::Controller, "self::lamp", true);
    assert_eq!(w.closed, [(second, CloseReason::EndpointInUse)]);
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    let again = w.controller("self::c");
    assert_eq!(w.closed.last(), Some(&(again, CloseReason::EndpointInUse)));
    let ws = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    let newer = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert_eq!(w.closed.last(), Some(&(ws, CloseReason::Replaced)));
    assert_eq!(w.get(newer, "Device.DeviceInfo.ModelName"), "Device.DeviceInfo.ModelName=Hub");
    w.disconnect(first);
}

#[test]
fn a_service_may_change_its_link() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let old = w.lamp("self::lamp", "Device.X_Lamp.");
    let new = w.connect(MtpKind::WebSocket, Side::Controller, "self::lamp", true);
    w.services.insert(new, lamp("Device.X_Lamp."));
    assert_eq!(w.closed, [(old, CloseReason::EndpointInUse)]);
    w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::lamp", "TargetPaths=Device.X_Lamp."]);
    assert_eq!(w.register(new, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
    let own = w.controller("self::lamp");
    assert!(w.get(c, "Device.USPServices.USPService.*.HasController").ends_with("=true"));
    w.disconnect(own);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
}

#[test]
fn a_controller_of_a_service_cannot_use_the_wrong_socket() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", FakeService::default());
    assert_eq!(w.register(c, true, &["Device.X_Lamp."]), "Error 7001");
    assert_eq!(w.get(s, "Device."), "Error 7001");
}

#[test]
fn a_service_speaks_for_nobody_else() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let lie = |path: &str, name: &str| ResolvedPathResult {
        resolved_path: path.to_owned(),
        result_params: [(name, "evil")].into(),
    };
    w.services.get_mut(&s).unwrap().lies =
        vec![lie("Device.DeviceInfo.", "ModelName"), lie("Device.X_Other.", "A"), lie("Device.X_Lamp", "B")];
    assert!(!w.get(c, "Device.").contains("evil"));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=red");
    w.notes(c);
    let path = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Value";
    let change = ValueChange { param_path: path.to_owned(), param_value: "true".to_owned() };
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", Notification::ValueChange(change));
    assert!(w.notes(c).is_empty());
}

#[test]
fn an_answer_that_says_nothing_is_a_failure() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Empty);
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour: 7003");
    assert_eq!(w.set(c, "Device.X_Lamp.", &["Colour=x"]), "Error 7003\nDevice.X_Lamp.: 7003");
    assert_eq!(w.add(c, "Device.X_Lamp.Zone.", &[]), "Error 7003\nDevice.X_Lamp.Zone.: 7003");
    assert_eq!(w.delete(c, &["Device.X_Lamp.Zone.1."]), "Error 7003\nDevice.X_Lamp.Zone.1.: 7003");
    assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "", &[]), "Device.X_Lamp.Blink() -> 7003");
    assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", "", &[]), "Device.X_Lamp.Fade() -> 7003");
    assert_eq!(w.instances(c, "Device.X_Lamp.Zone.", true), "Device.X_Lamp.Zone.: 7003");
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_service_registers_so_many_paths_and_a_get_asks_for_any_number() {
    let mut config = crate::bench::config();
    config.limits.max_paths_per_request = 1_000_000;
    config.limits.max_answer_bytes = 64 << 20;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let paths: Vec<String> = (0..100_000).map(|n| format!("Device.X_P{n}.")).collect();
    let refs: Vec<&str> = paths.iter().map(String::as_str).collect();
    let answer = w.register(s, true, &refs);
    assert_eq!(answer.lines().filter(|line| line.ends_with(": 7005")).count(), 100_000 - 1023);
    assert!(w.register(s, false, &refs).starts_with("Error 7005"));
    let many: Vec<String> = (0..50_000).map(|n| format!("Device.X_Lamp.P{n}")).collect();
    let refs: Vec<&str> = many.iter().map(String::as_str).collect();
    w.manner(s, Manner::Refuses(7002));
    let answer = crate::bench::text::answer(&w.ask(c, crate::bench::peer::get(&refs, 0)));
    assert_eq!(answer.lines().count(), many.len());
    w.manner(s, Manner::Empty);
    let answer = crate::bench::text::answer(&w.ask(c, crate::bench::peer::get(&refs, 0)));
    assert_eq!(answer.lines().count(), many.len());
}
