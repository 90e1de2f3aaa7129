//! Answers to Operate that come when their time is over (R-OPR.0, R-OPR.3).

use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::usp::notify::{Notification, OperationComplete, operation_complete as done};
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;

use crate::bench::peer::operate;
use crate::bench::service::Manner;
use crate::bench::{World, config, text};

const FADE: &str = "Device.X_Lamp.Fade()";
const ROW: &str = "Device.LocalAgent.Request.2.";

/// A Controller that is told how its commands end, and a Service that answers Operate after its time.
fn world_with(limits: impl FnOnce(&mut usp_core::config::Limits)) -> (World, ConnId, ConnId) {
    let mut config = config();
    limits(&mut config.limits);
    let mut w = World::with(config);
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.notes(c);
    w.manner(s, Manner::Slow(Duration::from_secs(7)));
    (w, c, s)
}

fn starts(w: &mut World, s: ConnId) {
    let row = OperationResp::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.push_back(row);
}

/// The command fails for the Controller, and starts two seconds later.
fn begin_late(w: &mut World, c: ConnId, s: ConnId) {
    starts(w, s);
    let id = w.begin(c, operate(FADE, "k", &[]));
    w.wait(5);
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), format!("{FADE} -> 7003"));
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

fn completes(w: &mut World, s: ConnId) {
    let done = OperationComplete {
        obj_path: "Device.X_Lamp.".to_owned(),
        command_name: "Fade()".to_owned(),
        command_key: "uspb-1".to_owned(),
        operation_resp: Some(done::OperationResp::ReqOutputArgs(done::OutputArgs::default())),
    };
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", Notification::OperComplete(done));
}

fn operated(w: &World, s: ConnId) -> Vec<String> {
    let command = |request: &ReqType| match request {
        ReqType::Operate(operate) => Some(operate.command.clone()),
        _ => None,
    };
    w.services[&s].asked.iter().filter_map(command).collect()
}

#[test]
fn a_command_that_starts_late_has_a_row_and_its_end_is_told() {
    let (mut w, c, s) = world_with(|_| {});
    begin_late(&mut w, c, s);
    w.wait(2);
    let row = w.get(c, "Device.LocalAgent.Request.");
    for part in ["Command=", "CommandKey=k", "Originator=self::c", "Status=Active"] {
        assert!(row.contains(&format!("{ROW}{part}")), "{part}: {row}");
    }
    completes(&mut w, s);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {FADE} 'k' ok")]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn a_command_that_started_late_can_be_canceled() {
    let (mut w, c, s) = world_with(|_| {});
    begin_late(&mut w, c, s);
    w.wait(2);
    w.manner(s, Manner::Good);
    assert_eq!(w.operate(c, &format!("{ROW}Cancel()"), "", &[]), format!("{ROW}Cancel() -> ok"));
    assert_eq!(operated(&w, s), [FADE, "Device.LocalAgent.Request.77.Cancel()"]);
}

#[test]
fn a_command_that_started_late_may_be_over_before_its_answer() {
    let (mut w, c, s) = world_with(|_| {});
    begin_late(&mut w, c, s);
    completes(&mut w, s);
    let told = [format!("ops: OperationComplete {FADE} 'k' ok")];
    assert_eq!(w.notes(c), told);
    completes(&mut w, s);
    w.wait(2);
    assert_eq!(w.notes(c), [""; 0], "once");
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "", "and the late answer starts nothing");
    assert_eq!(operated(&w, s), [FADE]);
}

/// The Service never answers the Operate, but tells the end of the command, before the time for the answer is over or after.
#[test]
fn a_command_that_is_never_answered_may_be_told_as_complete() {
    for wait in [1, 6] {
        let (mut w, c, s) = world_with(|_| {});
        w.services.get_mut(&s).unwrap().deaf_to = vec!["Operate"];
        let id = w.begin(c, operate(FADE, "k", &[]));
        w.wait(wait);
        completes(&mut w, s);
        w.wait(6 - wait);
        assert_eq!(text::answer(&w.answer(c, &id).unwrap()), format!("{FADE} -> 7003"));
        assert_eq!(w.notes(c), [format!("ops: OperationComplete {FADE} 'k' ok")], "{wait}");
        assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
        completes(&mut w, s);
        assert_eq!(w.notes(c), [""; 0]);
    }
}

#[test]
fn a_command_that_nobody_could_follow_is_canceled() {
    let (mut w, c, s) = world_with(|limits| limits.max_pending_per_controller = 1);
    begin_late(&mut w, c, s);
    starts(&mut w, s);
    w.manner(s, Manner::Good);
    assert!(w.operate(c, FADE, "k", &[]).contains("Request.2."), "asked again meanwhile");
    w.wait(2);
    assert_eq!(operated(&w, s), [FADE, FADE, "Device.LocalAgent.Request.77.Cancel()"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request.*.Command"), format!("{ROW}Command={FADE}"));
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_late_answer_of_a_service_that_is_gone_starts_nothing() {
    let (mut w, c, s) = world_with(|_| {});
    begin_late(&mut w, c, s);
    w.disconnect(s);
    w.lamp("self::lamp", "Device.X_Lamp.");
    w.wait(2);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    assert!(w.notes(c).is_empty());
}
