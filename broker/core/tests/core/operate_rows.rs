//! Request rows of commands at Services that are meant by a wildcard (R-OPR.2, R-OPR.3).

use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp};
use usp_proto::usp::request::ReqType;

use crate::bench::peer::operate;
use crate::bench::service::Manner;
use crate::bench::{World, config, text};

const ONE: &str = "Device.X_Lamp.Zone.1.Dim()";
const TWO: &str = "Device.X_Lamp.Zone.2.Dim()";
const ALL: &str = "Device.X_Lamp.Zone.*.Dim()";

fn world() -> (World, ConnId, ConnId) {
    world_with(|_| {})
}

fn world_with(limits: impl FnOnce(&mut usp_core::config::Limits)) -> (World, ConnId, ConnId) {
    let mut config = config();
    limits(&mut config.limits);
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    (w, c, s)
}

/// The Service takes so many async commands, in rows of its own from 71 on.
fn accepts(w: &mut World, s: ConnId, many: u32) {
    let row = |n| OperationResp::ReqObjPath(format!("Device.LocalAgent.Request.{}.", 70 + n));
    w.services.get_mut(&s).unwrap().outcomes.extend((1..=many).map(row));
}

/// The commands that it was asked to run, without our keys.
fn operated(w: &World, s: ConnId) -> Vec<String> {
    let command = |request: &ReqType| match request {
        ReqType::Operate(operate) => Some(operate.command.clone()),
        _ => None,
    };
    w.services[&s].asked.iter().filter_map(command).collect()
}

fn rows(w: &mut World, c: ConnId) -> String {
    w.get(c, "Device.LocalAgent.Request.*.Command")
}

#[test]
fn each_command_that_a_wildcard_means_has_a_row() {
    let (mut w, c, s) = world();
    accepts(&mut w, s, 2);
    let row = |n: u32| format!("Device.LocalAgent.Request.{n}.");
    assert_eq!(w.operate(c, ALL, "k", &[]), format!("{ONE} -> {}\n{TWO} -> {}", row(1), row(2)));
    assert_eq!(rows(&mut w, c), format!("{}Command={ONE}\n{}Command={TWO}", row(1), row(2)));
}

#[test]
fn a_wildcard_over_a_command_that_runs_starts_nothing_twice() {
    let (mut w, c, s) = world();
    let d = w.controller("self::d");
    accepts(&mut w, s, 1);
    w.operate(c, ONE, "k", &[]);
    let id = w.begin(c, operate(ALL, "k", &[]));
    let told = text::loud(&w.answer(c, &id).unwrap());
    assert_eq!(
        told,
        format!("{ALL} -> 7002 {ONE} runs already with this command_key, as Device.LocalAgent.Request.1.")
    );
    assert_eq!(operated(&w, s), [ONE], "nothing runs without a row of its own");
    accepts(&mut w, s, 2);
    assert_eq!(w.operate(c, ALL, "l", &[]).lines().count(), 2, "another key");
    accepts(&mut w, s, 2);
    assert_eq!(w.operate(d, ALL, "k", &[]).lines().count(), 2, "another Originator");
    // A row of another table has nothing to do with it.
    accepts(&mut w, s, 1);
    assert!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]).contains("Request."));
}

#[test]
fn what_a_wildcard_means_is_not_known_before_the_service_has_said_it() {
    let (mut w, c, s) = world();
    accepts(&mut w, s, 3);
    w.manner(s, Manner::Slow(Duration::from_secs(1)));
    w.begin(c, operate(ALL, "k", &[]));
    assert_eq!(w.operate(c, TWO, "k", &[]), format!("{TWO} -> 7002"));
    assert_eq!(
        w.operate(c, "Device.X_Lamp.Zone.[Name==\"north\"].Dim()", "k", &[]).split(" -> ").last(),
        Some("7002")
    );
    w.wait(1);
    assert_eq!(operated(&w, s), [ALL]);
    assert_eq!(rows(&mut w, c).lines().count(), 2);
}

#[test]
fn a_command_for_which_there_is_no_row_is_canceled() {
    let (mut w, c, s) = world_with(|limits| limits.max_pending_per_controller = 1);
    accepts(&mut w, s, 2);
    let answer = w.operate(c, ALL, "k", &[]);
    assert_eq!(answer, format!("{ONE} -> Device.LocalAgent.Request.1.\n{TWO} -> 7005"));
    assert_eq!(operated(&w, s), [ALL, "Device.LocalAgent.Request.72.Cancel()"]);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_service_that_answers_for_another_command_gives_no_second_row() {
    let (mut w, c, s) = world();
    accepts(&mut w, s, 2);
    w.operate(c, ONE, "k", &[]);
    w.services.get_mut(&s).unwrap().executed = Some(ONE.to_owned());
    assert_eq!(w.operate(c, TWO, "k", &[]), format!("{ONE} -> 7002"));
    assert_eq!(rows(&mut w, c), format!("Device.LocalAgent.Request.1.Command={ONE}"));
    assert_eq!(operated(&w, s).last().unwrap(), "Device.LocalAgent.Request.72.Cancel()");
}

/// What is told to a Controller that watches Request rows, and its answers, in the order in which they go out.
fn seen(w: &mut World, c: ConnId) -> Vec<String> {
    let records = std::mem::take(w.inbox.entry(c).or_default());
    let msgs = records.iter().filter_map(|record| record.msg());
    let texts = msgs.map(|msg| match usp_proto::message::body(msg) {
        Some(MsgBody::Request(request)) => match &request.req_type {
            Some(ReqType::Notify(notify)) => text::notify(notify),
            _ => panic!("a Controller is asked nothing"),
        },
        _ => text::answer(msg),
    });
    texts.collect()
}

fn watch_rows(w: &mut World, c: ConnId) {
    w.subscribe(c, "new", "ObjectCreation", "Device.LocalAgent.Request.");
    w.subscribe(c, "gone", "ObjectDeletion", "Device.LocalAgent.Request.*.");
    w.subscribe(c, "status", "ValueChange", "Device.LocalAgent.Request.");
    seen(w, c);
}

#[test]
fn a_row_is_told_after_the_answer() {
    let (mut w, c, s) = world();
    watch_rows(&mut w, c);
    accepts(&mut w, s, 1);
    w.manner(s, Manner::Slow(Duration::from_secs(1)));
    w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
    assert!(seen(&mut w, c).is_empty(), "nothing before the answer");
    assert_eq!(rows(&mut w, c).lines().count(), 1, "and yet it can be found");
    seen(&mut w, c);
    w.wait(1);
    let told = seen(&mut w, c);
    assert_eq!(told[0], "Device.X_Lamp.Fade() -> Device.LocalAgent.Request.1.");
    assert!(told[1].starts_with("new: ObjectCreation Device.LocalAgent.Request.1."), "{told:?}");
    accepts(&mut w, s, 2);
    w.manner(s, Manner::Good);
    w.begin(c, operate(ALL, "l", &[]));
    let told = seen(&mut w, c);
    assert!(told[0].starts_with(ONE), "{told:?}");
    assert_eq!(told.iter().filter(|text| text.starts_with("new: ")).count(), 2, "{told:?}");
}

#[test]
fn nothing_is_told_of_a_row_whose_command_never_ran() {
    let (mut w, c, s) = world();
    watch_rows(&mut w, c);
    let failed = CommandFailure { err_code: 7027, err_msg: "no".to_owned() };
    w.services.get_mut(&s).unwrap().outcomes.push_back(OperationResp::CmdFailure(failed));
    w.begin(c, operate(ONE, "k", &[]));
    assert_eq!(seen(&mut w, c), [format!("{ONE} -> 7027")]);
    w.manner(s, Manner::Refuses(7003));
    w.begin(c, operate(ONE, "k", &[]));
    assert_eq!(seen(&mut w, c), [format!("{ONE} -> 7003")]);
    w.manner(s, Manner::Silent);
    w.begin(c, operate(ONE, "k", &[]));
    w.wait(60);
    assert_eq!(seen(&mut w, c), [format!("{ONE} -> 7003")]);
    assert_eq!(rows(&mut w, c), "");
}
