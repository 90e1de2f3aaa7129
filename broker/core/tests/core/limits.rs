//! What one peer can ask for without harm to the others.

use usp_core::input::ConnId;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::notify::{Notification, OperationComplete, operation_complete};
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use crate::bench::peer::{add, get, operate, set, supported};
use crate::bench::service::{FakeService, Manner, lamp, object};
use crate::bench::{World, config, text};

fn instances(paths: &[&str]) -> ReqType {
    let obj_paths = paths.iter().map(|&p| p.to_owned()).collect();
    ReqType::GetInstances(usp::GetInstances { obj_paths, first_level_only: false })
}

#[test]
fn a_request_names_so_many_paths() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let many = vec!["Device."; 1025];
    let register: Vec<_> =
        many.iter().map(|p| usp::register::RegistrationPath { path: (*p).to_owned() }).collect();
    let paths: Vec<String> = many.iter().map(|&p| p.to_owned()).collect();
    let of_controller = [
        get(&many, 1),
        supported(&many, true),
        instances(&many),
        set(true, &vec![("Device.DeviceInfo.", &[] as &[&str]); 1025]),
        set(true, &[("Device.DeviceInfo.", &vec!["FriendlyName=x"; 1025])]),
        add(true, &vec![("Device.LocalAgent.Controller.", &[] as &[&str]); 1025]),
        ReqType::Delete(usp::Delete { allow_partial: true, obj_paths: paths.clone() }),
    ];
    for request in of_controller {
        assert_eq!(text::answer(&w.ask(c, request)), "Error 7005");
    }
    let register = |allow_partial| usp::Register { allow_partial, reg_paths: register.clone() };
    assert_eq!(text::answer(&w.ask(s, ReqType::Register(register(false)))), "Error 7005");
    // These have an answer for each path, and no Error (R-REG.0, R-DEREG.4).
    let of_service = [
        (ReqType::Register(register(true)), "Device.: 7028", "Device.: 7005"),
        (ReqType::Deregister(usp::Deregister { paths }), "Device.: 7030", "Device.: 7005"),
    ];
    for (request, first, last) in of_service {
        let answer = text::answer(&w.ask(s, request));
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[1024]), (1025, first, last));
    }
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn an_answer_has_so_many_bytes() {
    let mut small = config();
    small.limits.max_answer_bytes = 100_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    let many = vec!["Device."; 200];
    for request in [get(&many, 0), supported(&many, false)] {
        assert_eq!(text::answer(&w.ask(c, request)), "Error 7005");
    }
    let rows = vec!["Device.LocalAgent."; 1000];
    assert_eq!(text::answer(&w.ask(c, instances(&rows))), "Error 7005");
    assert!(!text::answer(&w.ask(c, get(&["Device."], 0))).contains("Error 7"));
}

#[test]
fn what_services_return_counts_too() {
    let mut small = config();
    small.limits.max_answer_bytes = 100_000;
    let mut w = World::with(small);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let values = &mut w.services.get_mut(&s).unwrap().values;
    values.insert("Device.X_Lamp.Colour".to_owned(), "x".repeat(60_000));
    assert_eq!(
        text::answer(&w.ask(c, get(&["Device.X_Lamp.Zone.1.Level"], 0))),
        "Device.X_Lamp.Zone.1.Level=10"
    );
    let twice = ["Device.X_Lamp.Colour", "Device.X_Lamp."];
    assert_eq!(text::answer(&w.ask(c, get(&twice, 0))), "Error 7005");
    w.manner(s, Manner::Silent);
    assert_eq!(w.broker.pending(), 0);
}

/// Lines of answers to requests with a code.
fn codes(w: &mut World, c: ConnId, ids: &[String]) -> Vec<String> {
    let answers: Vec<String> =
        ids.iter().filter_map(|id| w.answer(c, id)).map(|m| text::answer(&m)).collect();
    answers.iter().map(|a| a.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_service_is_asked_so_much_at_a_time() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let before = w.services[&s].asked.len();
    let ids: Vec<String> =
        (0..256).map(|n| w.begin(c, set(true, &[("Device.X_Lamp.", &[&*format!("Colour={n}")])]))).collect();
    assert_eq!(w.services[&s].asked.len() - before, 128, "one Controller never takes all of it");
    w.wait(4);
    w.manner(s, Manner::Good);
    // Those that were sent to a silent Service fail after 5 s; the others are done then.
    w.wait(2);
    assert_eq!(w.services[&s].asked.len() - before, 256);
    let codes = codes(&mut w, c, &ids);
    assert_eq!((codes.len(), codes.iter().filter(|code| *code == "7003").count()), (256, 128));
    assert_eq!(w.get(c, "Device.X_Lamp.Colour"), "Device.X_Lamp.Colour=255", "in their order");
    assert_eq!(w.broker.pending(), 0);
    assert!(w.closed.is_empty());
}

#[test]
fn a_silent_service_holds_a_request_for_a_bounded_time() {
    let mut tight = config();
    tight.limits.max_pending_per_service = 4;
    let mut w = World::with(tight);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.lamp("self::other", "Device.X_Other.");
    w.manner(s, Manner::Silent);
    let ids: Vec<String> = (0..20).map(|_| w.begin(c, get(&["Device.X_Lamp.Colour"], 0))).collect();
    assert_eq!(w.get(c, "Device.X_Other.Colour"), "Device.X_Other.Colour=red");
    assert_eq!(codes(&mut w, c, &ids), vec!["7005"; 10], "more than may wait");
    w.wait(5);
    let sent = codes(&mut w, c, &ids);
    assert_eq!(sent.iter().filter(|code| *code == "7003").count(), 2, "sent and not answered");
    w.wait(5);
    assert_eq!(w.broker.pending(), 0, "nobody waits longer than twice the time of an answer");
}

#[test]
fn one_controller_cannot_fill_a_silent_service_for_the_others() {
    let mut w = World::new();
    let greedy = w.controller("self::greedy");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let many: Vec<String> = (0..256).map(|_| w.begin(greedy, get(&["Device.X_Lamp.Colour"], 0))).collect();
    let before = w.services[&s].asked.len();
    let others: Vec<ConnId> = (0..4).map(|n| w.controller(&format!("self::c{n}"))).collect();
    let asked: Vec<(ConnId, String)> =
        others.iter().map(|c| (*c, w.begin(*c, get(&["Device.X_Lamp.Colour"], 0)))).collect();
    assert_eq!(w.services[&s].asked.len() - before, 4, "sent at once");
    w.wait(5);
    for (c, id) in asked {
        assert_eq!(codes(&mut w, c, &[id]), ["7003"], "answered by its deadline");
    }
    w.wait(5);
    assert_eq!(codes(&mut w, greedy, &many).len(), 256);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn what_waits_for_a_service_fails_with_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let sets: Vec<String> =
        (0..200).map(|_| w.begin(c, set(true, &[("Device.X_Lamp.", &["Colour=blue"])]))).collect();
    let get = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
    w.disconnect(s);
    assert_eq!(codes(&mut w, c, &sets), vec!["7003"; 200]);
    let answer = format!("{:?}", w.answer(c, &get).unwrap());
    assert!(answer.contains("self::lamp") && !answer.contains("that is gone"), "{answer}");
    assert_eq!(w.broker.pending(), 0);
}

fn faded(key: &str) -> Notification {
    let outputs = operation_complete::OutputArgs::default();
    Notification::OperComplete(OperationComplete {
        obj_path: "Device.X_Lamp.".to_owned(),
        command_name: "Fade()".to_owned(),
        command_key: key.to_owned(),
        operation_resp: Some(operation_complete::OperationResp::ReqOutputArgs(outputs)),
    })
}

/// Answers the Operate that a deaf Service got last: the command runs. Gives the command_key that it saw.
fn answer_operate(w: &mut World, s: ConnId, early: impl FnOnce(&mut World, &str)) {
    let asked = w.inbox[&s].iter().rev().find_map(|r| r.msg().cloned()).unwrap();
    let Some(ReqType::Operate(operate)) = w.services[&s].asked.last().cloned() else { panic!("no Operate") };
    early(w, &operate.command_key);
    let row = OperationResp::ReqObjPath("Device.LocalAgent.Request.1.".to_owned());
    let result =
        usp::operate_resp::OperationResult { executed_command: operate.command, operation_resp: Some(row) };
    let response = RespType::OperateResp(usp::OperateResp { operation_results: vec![result] });
    w.send(s, message::response(message::msg_id(&asked), response));
}

#[test]
fn completions_of_operates_that_are_never_answered_are_told_once_and_leave_nothing() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.subscribe(c, "o", "OperationComplete", "Device.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Operate"];
    for n in 1..=300 {
        w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
        w.service_notify(s, "OperationComplete", "Device.X_Lamp.", faded(&format!("uspb-{n}")));
        w.wait(6);
    }
    assert_eq!(w.notes(c), vec!["o: OperationComplete Device.X_Lamp.Fade() 'k' ok"; 300]);
    w.begin(c, operate("Device.X_Lamp.Fade()", "good", &[]));
    answer_operate(&mut w, s, |w, key| {
        w.service_notify(s, "OperationComplete", "Device.X_Lamp.", faded(key))
    });
    assert_eq!(w.notes(c), ["o: OperationComplete Device.X_Lamp.Fade() 'good' ok"]);
}

#[test]
fn nobody_else_completes_a_command() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let other = w.lamp("self::other", "Device.X_Other.");
    w.subscribe(c, "o", "OperationComplete", "Device.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Operate"];
    w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
    let forge = |w: &mut World, key: &str| {
        w.service_notify(other, "OperationComplete", "Device.X_Other.", faded(key));
    };
    answer_operate(&mut w, s, forge);
    assert!(w.notes(c).is_empty());
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", faded("uspb-1"));
    assert_eq!(w.notes(c), ["o: OperationComplete Device.X_Lamp.Fade() 'k' ok"]);
}

#[test]
fn commands_of_one_controller_leave_room_for_others() {
    let mut tight = config();
    tight.limits.max_pending_per_controller = 3;
    let mut w = World::with(tight);
    let (c, other) = (w.controller("self::c"), w.controller("self::other"));
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Operate"];
    for key in ["k", "l", "m"] {
        w.begin(c, operate("Device.X_Lamp.Fade()", key, &[]));
        answer_operate(&mut w, s, |_, _| {});
    }
    assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", "n", &[]), "Device.X_Lamp.Fade() -> 7005");
    let id = w.begin(other, operate("Device.X_Lamp.Fade()", "k", &[]));
    answer_operate(&mut w, s, |_, _| {});
    assert!(!text::answer(&w.answer(other, &id).unwrap()).contains("7005"));
}

#[test]
fn texts_have_limits() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    let key = "k".repeat(1025);
    assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", &key, &[]), "Device.X_Lamp.Fade() -> 7004");
    let id = format!("ID={}", "x".repeat(100_000));
    assert!(w.add(c, "Device.LocalAgent.Subscription.", &[&id]).starts_with("Error 7012"));
}

#[test]
fn undelivered_notifications_have_so_many_bytes() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let mut service = lamp("Device.X_Lamp.");
    service.supported[0].supported_events[0].arg_names = (0..20).map(|n| format!("N{n}")).collect();
    let s = w.service_link("self::lamp", service);
    w.register(s, false, &["Device.X_Lamp."]);
    w.subscribe_with(c, "e", "Event", "Device.X_Lamp.", &["NotifRetry=true", "Persistent=true"]);
    w.disconnect(c);
    for n in 0..20 {
        let event = usp::notify::Event {
            obj_path: "Device.X_Lamp.".to_owned(),
            event_name: "Burnt!".to_owned(),
            params: [(format!("N{n}"), "x".repeat(1 << 20))].into(),
        };
        w.service_notify(s, "Event", "Device.X_Lamp.", Notification::Event(event));
    }
    let c = w.controller("self::c");
    w.wait(10);
    let mut kept = w.take_notifies(c);
    // Those that nobody confirmed come again.
    let mut seen = std::collections::BTreeSet::new();
    kept.retain(|(msg_id, _)| seen.insert(msg_id.clone()));
    let first = format!("{:?}", kept[0].1.notification).contains("\"N13\"");
    assert!(kept.len() == 7 && first, "{}", kept.len());
}

#[test]
fn searches_look_at_so_many_rows() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let roles = "Device.LocalAgent.ControllerTrust.Role.";
    for _ in 0..2 {
        w.ask(c, add(true, &vec![(roles, &[] as &[&str]); 1000]));
    }
    let path = format!("{roles}[Name==\"Untrusted\"].Name");
    let answer = text::answer(&w.ask(c, get(&vec![path.as_str(); 300], 0)));
    assert!(answer.contains("Role.2.Name=Untrusted"), "the first are answered");
    assert!(answer.contains("7005"), "the rest is refused: {}", answer.lines().last().unwrap());
    assert!(w.get(c, &path).ends_with("=Untrusted"), "the next request starts anew");
}

#[test]
fn the_models_of_all_services_together_are_bounded() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let names: Vec<String> = (0..300).map(|n| format!("P{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let services: Vec<_> = (1..=4)
        .map(|number| {
            let top = format!("Device.X_Big{number}.");
            let part = |n| object(&format!("{top}O{n}."), &names);
            let service = FakeService { supported: (0..300).map(part).collect(), ..FakeService::default() };
            let conn = w.service_link(&format!("self::big{number}"), service);
            w.register(conn, false, &[&top]);
            conn
        })
        .collect();
    let last = |w: &mut World, number: u32| {
        let path = format!("Device.X_Big{number}.O299.");
        !w.supported(c, &path).contains("7026")
    };
    assert_eq!([1, 2, 3, 4].map(|number| last(&mut w, number)), [true, true, true, false]);
    assert!(!w.supported(c, "Device.X_Big4.O0.").contains("7026"), "a part of it is known");
    // There is room again.
    w.disconnect(services[0]);
    w.register(services[3], false, &["Device.X_Big4."]);
    assert!(last(&mut w, 4));
}
