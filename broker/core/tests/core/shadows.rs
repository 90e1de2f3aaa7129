//! Subscriptions at Services, their notifications, and commands that run there.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{
    Event, Notification, OperationComplete, ValueChange, operation_complete as done,
};
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Notify};

use crate::bench::peer::operate;
use crate::bench::service::{FakeService, Manner, lamp, object};
use crate::bench::{World, text};

fn change(path: &str, value: &str) -> Notification {
    let change = ValueChange { param_path: path.to_owned(), param_value: value.to_owned() };
    Notification::ValueChange(change)
}

fn burnt() -> Notification {
    let (obj_path, event_name) = ("Device.X_Lamp.".to_owned(), "Burnt!".to_owned());
    Notification::Event(Event { obj_path, event_name, params: Default::default() })
}

/// The rows of a Service's table: type and reference.
fn rows(w: &World, s: ConnId) -> Vec<String> {
    w.services[&s].subscriptions().into_keys().map(|(kind, path)| format!("{kind} {path}")).collect()
}

/// A Service of one object with single elements, none of which is the whole object.
fn part(w: &mut World, peer: &str, elements: &[&str], paths: &[&str]) -> ConnId {
    let supported = vec![object("Device.WiFi.", elements), object("Device.WiFi.Radio.{i}.", &["Name"])];
    let s = w.service_link(peer, FakeService { supported, ..FakeService::default() });
    assert_eq!(w.register(s, false, paths), paths.join("\n"));
    s
}

#[test]
fn a_path_that_spans_owners_is_subscribed_at_each_for_its_part() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.WiFi.");
    w.subscribe(c, "e", "Event", "Device.WiFi.");
    w.subscribe(c, "o", "ObjectCreation", "Device.");
    let radio = part(&mut w, "self::radio", &[], &["Device.WiFi.Radio."]);
    let rest = part(
        &mut w,
        "self::rest",
        &["Mode", "Scan()&", "Reset!"],
        &["Device.WiFi.Mode", "Device.WiFi.Scan()", "Device.WiFi.Reset!"],
    );
    let expected = [
        "Event Device.WiFi.Radio.",
        "ObjectCreation Device.WiFi.Radio.",
        "OperationComplete Device.WiFi.Radio.",
        "ValueChange Device.WiFi.Radio.",
    ];
    assert_eq!(rows(&w, radio), expected);
    let expected =
        ["Event Device.WiFi.Reset!", "OperationComplete Device.WiFi.Scan()", "ValueChange Device.WiFi.Mode"];
    assert_eq!(rows(&w, rest), expected);
    w.notes(c);
    w.service_notify(radio, "ValueChange", "Device.WiFi.Radio.", change("Device.WiFi.Radio.1.Name", "a"));
    w.service_notify(rest, "ValueChange", "Device.WiFi.Mode", change("Device.WiFi.Mode", "b"));
    assert_eq!(
        w.notes(c),
        ["v: ValueChange Device.WiFi.Radio.1.Name=a", "v: ValueChange Device.WiFi.Mode=b"]
    );
    // One gives a part back: its rows go, the others stay.
    w.deregister(rest, &["Device.WiFi.Mode"]);
    assert_eq!(rows(&w, rest), ["Event Device.WiFi.Reset!", "OperationComplete Device.WiFi.Scan()"]);
}

#[test]
fn a_subscription_brings_what_it_is_for_and_nothing_else() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", burnt());
    assert!(w.notes(c).is_empty());
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", change("Device.X_Lamp.Colour", "blue"));
    assert_eq!(w.notes(c), ["v: ValueChange Device.X_Lamp.Colour=blue"]);
}

#[test]
fn a_notification_of_a_row_from_before_counts_before_the_table_is_read() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "e", "Event", "Device.X_Lamp.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let left = w.services[&s].values.clone();
    w.disconnect(s);
    let s = w.service_link("self::lamp", FakeService { values: left, ..lamp("Device.X_Lamp.") });
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Get"];
    w.register(s, false, &["Device.X_Lamp."]);
    w.service_notify(s, "Event", "Device.X_Lamp.", burnt());
    assert_eq!(w.notes(c), ["e: Event Device.X_Lamp.Burnt!"]);
}

#[test]
fn a_row_that_an_answer_leaves_out_is_added_later() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "e", "Event", "Device.X_Lamp.");
    let s = w.service_link("self::lamp", FakeService { forgetful: true, ..lamp("Device.X_Lamp.") });
    w.register(s, false, &["Device.X_Lamp."]);
    // It did make the row: that is seen when its table is read again, and it is not made twice.
    w.services.get_mut(&s).unwrap().forgetful = false;
    w.wait(60);
    assert_eq!(rows(&w, s), ["Event Device.X_Lamp.", "OperationComplete Device.X_Lamp."]);
    assert_eq!(w.services[&s].count("Add"), 1);
    assert!(w.services[&s].count("Get") > 1);
    w.service_notify(s, "Event", "Device.X_Lamp.", burnt());
    assert_eq!(w.notes(c), ["e: Event Device.X_Lamp.Burnt!"]);
}

#[test]
fn the_broker_alone_retries_and_confirms_for_itself() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe_with(c, "e", "Event", "Device.X_Lamp.", &["NotifRetry=true"]);
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let retry = w.services[&s].values.iter().filter(|(path, _)| path.ends_with(".NotifRetry"));
    assert!(retry.into_iter().all(|(_, value)| value == "false"));
    let id = w.services[&s].subscriptions()[&("Event".to_owned(), "Device.X_Lamp.".to_owned())].clone();
    let notify = Notify { subscription_id: id.clone(), send_resp: true, notification: Some(burnt()) };
    assert_eq!(text::answer(&w.ask(s, ReqType::Notify(notify))), id, "confirmed at once");
    let asked = w.services[&s].asked.len();
    w.wait(60);
    let told = w.take_notifies(c);
    assert!(
        told.len() > 2 && told.iter().all(|(_, n)| n.send_resp && n.subscription_id == "e"),
        "{}",
        told.len()
    );
    assert_eq!(w.services[&s].asked.len(), asked);
    w.confirm(c, &told[0].0);
    w.wait(600);
    assert!(w.notes(c).is_empty());
}

#[test]
fn a_command_that_turns_out_async_has_a_request_row() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "o", "OperationComplete", "Device.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let row = || OperationResp::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.extend([row(), row()]);
    assert_eq!(
        w.operate(c, "Device.X_Lamp.Blink()", "k", &[]),
        "Device.X_Lamp.Blink() -> Device.LocalAgent.Request.1."
    );
    assert_eq!(
        w.operate(c, "Device.X_Lamp.Blink()", "k", &[]),
        "Device.X_Lamp.Blink() -> 7002",
        "told apart by keys"
    );
    let complete = OperationComplete {
        obj_path: "Device.X_Lamp.".to_owned(),
        command_name: "Blink()".to_owned(),
        command_key: "k".to_owned(),
        operation_resp: Some(done::OperationResp::ReqOutputArgs(done::OutputArgs::default())),
    };
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", Notification::OperComplete(complete));
    assert_eq!(w.notes(c), ["o: OperationComplete Device.X_Lamp.Blink() 'k' ok"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn a_service_answers_for_its_own_commands() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    for lie in ["Device.Reboot()", "Device.X_Lamp.Colour", "nonsense", &"x".repeat(100_000)] {
        let service = w.services.get_mut(&s).unwrap();
        service.executed = Some((*lie).to_owned());
        service.outcomes.push_back(OperationResp::ReqObjPath("Device.LocalAgent.Request.7.".to_owned()));
        assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]), "Device.X_Lamp.Fade() -> 7003");
    }
    w.services.get_mut(&s).unwrap().executed = Some(String::new());
    assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "k", &[]), "Device.X_Lamp.Blink() -> ok");
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_quiet_operate_runs_at_the_service_and_completes() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "o", "OperationComplete", "Device.X_Lamp.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let row = OperationResp::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.push_back(row);
    let ReqType::Operate(quiet) = operate("Device.X_Lamp.Fade()", "k", &[]) else { panic!() };
    // R-OPR.4
    let id = w.begin(c, ReqType::Operate(usp::Operate { send_resp: false, ..quiet }));
    assert!(w.answer(c, &id).is_none());
    assert!(w.get(c, "Device.LocalAgent.Request.1.Command").ends_with("Fade()"));
    // The Service is started anew: what it was doing is told as failed.
    w.disconnect(s);
    assert_eq!(w.notes(c), ["o: OperationComplete Device.X_Lamp.Fade() 'k' 7022"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn no_subscription_is_needed_to_operate_and_re_registering_harms_no_command() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(rows(&w, s), ["OperationComplete Device.X_Lamp."]);
    let row = OperationResp::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.push_back(row);
    assert!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]).ends_with("Request.1."));
    w.register(s, false, &["Device.X_Lamp."]);
    assert!(w.get(c, "Device.LocalAgent.Request.1.Status").ends_with("=Active"));
    assert_eq!(rows(&w, s), ["OperationComplete Device.X_Lamp."]);
}

#[test]
fn a_service_that_comes_late_gets_what_is_wanted_of_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "z", "ValueChange", "Device.X_Lamp.Zone.*.Level");
    w.subscribe(c, "n", "ValueChange", "Device.X_Lamp.Zone.[Name==\"north\"].Level");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.manner(s, Manner::Slow(Duration::from_millis(10)));
    w.register(s, false, &["Device.X_Lamp."]);
    w.wait(1);
    let expected = [
        "OperationComplete Device.X_Lamp.",
        "ValueChange Device.X_Lamp.Zone.*.Level",
        "ValueChange Device.X_Lamp.Zone.[Name==\"north\"].Level",
    ];
    assert_eq!(rows(&w, s), expected);
}

#[test]
fn a_delete_that_is_not_answered_is_made_up_for() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let row = w.subscribe(c, "e", "Event", "Device.X_Lamp.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.services.get_mut(&s).unwrap().deaf_to = vec!["Delete"];
    w.delete(c, &[row.split(' ').next().unwrap()]);
    w.wait(10);
    assert_eq!(rows(&w, s).len(), 2, "it stays there");
    w.services.get_mut(&s).unwrap().deaf_to.clear();
    w.wait(60);
    assert_eq!(rows(&w, s), ["OperationComplete Device.X_Lamp."]);
    // A Service that will not delete is not asked for ever.
    let row = w.subscribe(c, "e", "Event", "Device.X_Lamp.");
    w.manner(s, Manner::Refuses(7004));
    w.delete(c, &[row.split(' ').next().unwrap()]);
    let asked = w.services[&s].asked.len();
    w.wait(600);
    assert_eq!(w.services[&s].asked.len(), asked);
}

/// A Service may have no room now and some later.
#[test]
fn a_subscription_that_a_service_refused_is_asked_for_again() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let full = |w: &mut World, code: Option<u32>| {
        let table = "Device.LocalAgent.Subscription.".to_owned();
        w.services.get_mut(&s).unwrap().full = code.map(|code| (table, code)).into_iter().collect();
    };
    full(&mut w, Some(7005));
    w.subscribe(c, "v", "ValueChange", "Device.X_Lamp.Colour");
    let adds = w.services[&s].count("Add");
    for (seconds, more) in [(29, 0), (2, 1), (57, 1), (3, 2), (115, 2), (6, 3)] {
        w.wait(seconds);
        assert_eq!(w.services[&s].count("Add"), adds + more, "after {seconds} s");
    }
    full(&mut w, None);
    w.subscribe(c, "o", "ObjectCreation", "Device.X_Lamp.Zone.");
    let rows = rows(&w, s);
    assert!(rows.contains(&"ValueChange Device.X_Lamp.Colour".to_owned()), "{rows:?}");
    let adds = w.services[&s].count("Add");
    w.wait(3600);
    assert_eq!((w.services[&s].count("Add"), w.broker.pending()), (adds, 0), "and no more than that");
}

/// R-OPR.0: whoever cannot tell when a command is complete is asked.
#[test]
fn commands_end_also_at_a_service_that_holds_no_subscriptions() {
    for says_what_runs in [true, false] {
        let mut w = World::new();
        let c = w.controller("self::c");
        let mut service = lamp("Device.X_Lamp.");
        service.full.insert("Device.LocalAgent.Subscription.".to_owned(), 7004);
        let running = "Device.LocalAgent.Request.7.";
        service.outcomes.push_back(OperationResp::ReqObjPath(running.to_owned()));
        service.values.insert(format!("{running}Command"), "Device.X_Lamp.Fade()".to_owned());
        let s = w.service_link("self::lamp", service);
        w.register(s, false, &["Device.X_Lamp."]);
        w.subscribe(c, "done", "OperationComplete", "Device.X_Lamp.");
        assert!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]).ends_with("Device.LocalAgent.Request.1."));
        w.wait(6);
        assert!(w.notes(c).is_empty() && !w.get(c, "Device.LocalAgent.Request.").is_empty());
        match says_what_runs {
            true => drop(w.services.get_mut(&s).unwrap().values.remove(&format!("{running}Command"))),
            false => w.manner(s, Manner::Refuses(7000)),
        }
        w.wait(10);
        let notes = w.notes(c);
        assert!(notes.len() == 1 && notes[0].contains("7022"), "{notes:?}");
        assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
        let asked = w.services[&s].count("GetInstances");
        w.wait(600);
        assert_eq!(w.services[&s].count("GetInstances"), asked, "nothing runs");
    }
}

/// A notification follows the answer to the request that caused it, also where the Service tells of the row first.
#[test]
fn a_new_row_of_a_service_is_told_after_the_answer_to_its_add() {
    use usp_proto::usp::notify::ObjectCreation;
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let table = "Device.X_Lamp.Zone.";
    w.subscribe(c, "o", "ObjectCreation", table);
    w.manner(s, Manner::Slow(Duration::from_secs(1)));
    let request = crate::bench::peer::add(false, &[(table, &["Name=west"])]);
    let id = w.begin(c, request);
    let obj_path = format!("{table}3.");
    let made = Notification::ObjCreation(ObjectCreation { obj_path, unique_keys: Default::default() });
    w.service_notify(s, "ObjectCreation", table, made.clone());
    assert!(w.notes(c).is_empty(), "the Add is not answered");
    w.wait(2);
    assert!(w.answer(c, &id).is_some());
    assert_eq!(w.notes(c).len(), 1);
    w.service_notify(s, "ObjectCreation", table, made);
    assert_eq!(w.notes(c).len(), 1, "nobody waits any more");
}
