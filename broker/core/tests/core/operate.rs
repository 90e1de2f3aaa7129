//! Operate: the broker's commands, devices' and Services'.

use std::time::Duration;

use usp_core::input::Input;
use usp_core::output::RestartCause;
use usp_mapping::port::DeviceFault;
use usp_mapping::value::Value;
use usp_proto::usp::notify::{Notification, OperationComplete, operation_complete as done};
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp};

use crate::bench::World;
use crate::bench::device::{Behaviour, number, state};
use crate::bench::peer::operate;
use crate::bench::service::Manner;
use crate::bench::text;

const CAPABILITY: &str = "Device.ProxiedDevice.1.IoTCapability.";
const ROW: &str = "Device.LocalAgent.Request.1.";

fn world() -> (World, usp_core::input::ConnId) {
    let mut w = World::new();
    w.site("a: box");
    w.report("a", &[(1, Value::Bool(false)), (2, state("Low")), (3, number("50"))]);
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.notes(c);
    (w, c)
}

#[test]
fn toggle_answers_with_a_request_row_and_completes_when_the_device_confirms() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    let command = format!("{CAPABILITY}2.BinaryControl.Toggle()");
    assert_eq!(w.operate(c, &command, "k", &[]), format!("{command} -> {ROW}"));
    let row = w.get(c, ROW);
    assert!(
        row.contains(&format!("Command={command}"))
            && row.contains("CommandKey=k")
            && row.contains("Originator=self::c"),
        "{row}"
    );
    // It is read, and then written.
    w.wait(1);
    assert!(w.notes(c).is_empty());
    w.wait(1);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {command} 'k' ok")]);
    assert_eq!(w.get(c, ROW), format!("{ROW}: 7026"));
    let value = format!("{CAPABILITY}2.BinaryControl.Value");
    assert_eq!(w.get(c, &value), format!("{value}=true"));
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn levels_are_clamped_and_states_wrap_around() {
    let (mut w, c) = world();
    let mut step = |command: &str, value: &str| {
        let path = format!("{CAPABILITY}{command}");
        w.operate(c, &path, "", &[]);
        let object = path.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!(w.get(c, &format!("{object}.Value")), format!("{object}.Value={value}"), "{command}");
    };
    step("4.LevelControl.StepUp()", "80");
    step("4.LevelControl.StepUp()", "100");
    step("4.LevelControl.StepUp()", "100");
    for value in ["70", "40", "10", "0", "0"] {
        step("4.LevelControl.StepDown()", value);
    }
    for value in ["High", "Off", "Low"] {
        step("3.EnumControl.StepUp()", value);
    }
    for value in ["Off", "High"] {
        step("3.EnumControl.StepDown()", value);
    }
}

#[test]
fn the_step_can_be_changed() {
    let (mut w, c) = world();
    let object = format!("{CAPABILITY}4.LevelControl.");
    assert_eq!(w.set(c, &object, &["StepValue=7"]), format!("{object} StepValue=7"));
    w.operate(c, &format!("{object}StepUp()"), "", &[]);
    assert_eq!(w.get(c, &format!("{object}Value")), format!("{object}Value=57"));
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.get(c, &format!("{object}StepValue")), format!("{object}StepValue=7"));
}

#[test]
fn a_step_from_an_unknown_value_reads_first() {
    let (mut w, c) = world();
    w.wait(60);
    w.devices.values.insert(("a".to_owned(), 1), Value::Bool(true));
    w.operate(c, &format!("{CAPABILITY}2.BinaryControl.Toggle()"), "", &[]);
    assert_eq!(w.devices.values[&("a".to_owned(), 1)], Value::Bool(false));
    assert_eq!(w.calls.len(), 2);
}

#[test]
fn a_command_that_the_device_refuses_completes_with_7022() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1))));
    let command = format!("{CAPABILITY}2.BinaryControl.Toggle()");
    w.operate(c, &command, "k", &[]);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {command} 'k' 7022")]);
    w.device("a", Behaviour::Silent);
    w.operate(c, &command, "l", &[]);
    w.wait(60);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {command} 'l' 7022")]);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn all_devices_can_be_refreshed() {
    let (mut w, c) = world();
    w.wait(10);
    let command = "Device.ProxiedDevice.1.X_USPBROKER_Refresh()";
    assert_eq!(w.operate(c, command, "", &[]), format!("{command} -> {ROW}"));
    let value = format!("{CAPABILITY}4.LevelControl.Value");
    assert_eq!(w.get(c, &value), format!("{value}=50"));
    assert_eq!(w.calls.len(), 1);
}

#[test]
fn a_search_path_runs_every_command_it_finds() {
    let (mut w, c) = world();
    w.site("a: box, b: box");
    let answer = w.operate(
        c,
        "Device.ProxiedDevice.*.IoTCapability.[Name==\"Relay\"].BinaryControl.Toggle()",
        "k",
        &[],
    );
    assert_eq!(answer.lines().count(), 2, "{answer}");
    assert_eq!(w.operate(c, "Device.ProxiedDevice.[Name==\"no\"].X_USPBROKER_Refresh()", "k", &[]), "");
}

#[test]
fn what_cannot_run_is_a_failure_in_the_response() {
    let (mut w, c) = world();
    for (command, code) in [
        ("Device.Nothing()", 7026),
        ("Device.Nothing.Run()", 7026),
        ("Device.ProxiedDevice.9.X_USPBROKER_Refresh()", 7016),
        ("Device.DeviceInfo.", 7008),
        ("Device.ProxiedDevice.1.IoTCapability.1.BinaryControl.Toggle()", 7016),
    ] {
        assert_eq!(w.operate(c, command, "", &[]), format!("{command} -> {code}"));
    }
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn reboot_answers_says_goodbye_and_restarts_with_its_cause() {
    let (mut w, c) = world();
    w.subscribe_with(c, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    w.records(c);
    assert_eq!(
        w.operate(c, "Device.Reboot()", "key", &["Cause=RemoteReboot", "Reason=why not"]),
        "Device.Reboot() -> ok"
    );
    assert_eq!(w.restarts, [RestartCause::Reboot]);
    assert!(matches!(w.records(c)[..], [usp_proto::record::RecordBody::Disconnect { .. }]));
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    let notes = w.notes(c);
    assert!(
        notes[0]
            .starts_with("boot: Event Device.Boot! Cause=RemoteReboot CommandKey=key FirmwareUpdated=false"),
        "{notes:?}"
    );
    assert!(notes[0].contains("Reason=why not"));
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert!(w.notes(c)[0].contains("Cause=LocalReboot CommandKey= "), "it is told once");
}

#[test]
fn a_service_runs_its_sync_commands() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "k", &["Times=3"]), "Device.X_Lamp.Blink() -> ok");
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    let failure = CommandFailure { err_code: 7022, err_msg: "burnt".to_owned() };
    w.services.get_mut(&s).unwrap().outcomes.push_back(OperationResp::CmdFailure(failure));
    assert_eq!(w.operate(c, "Device.X_Lamp.Blink()", "k", &[]), "Device.X_Lamp.Blink() -> 7022");
    w.manner(s, Manner::Silent);
    let id = w.begin(c, operate("Device.X_Lamp.Blink()", "k", &[]));
    w.wait(5);
    let answer = text::loud(&w.answer(c, &id).unwrap());
    assert_eq!(
        answer,
        "Device.X_Lamp.Blink() -> 7003 Service self::lamp did not answer within 5000 ms; whether it was done is not known"
    );
}

/// The Service takes an async command and names a row of its own.
fn accepts(w: &mut World, s: usp_core::input::ConnId) {
    let row = OperationResp::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.push_back(row);
}

fn complete(key: &str) -> Notification {
    Notification::OperComplete(OperationComplete {
        obj_path: "Device.X_Lamp.".to_owned(),
        command_name: "Fade()".to_owned(),
        command_key: key.to_owned(),
        operation_resp: Some(done::OperationResp::ReqOutputArgs(done::OutputArgs::default())),
    })
}

#[test]
fn a_service_runs_its_async_commands_under_our_request_row() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    accepts(&mut w, s);
    assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]), format!("Device.X_Lamp.Fade() -> {ROW}"));
    assert!(w.get(c, ROW).contains("CommandKey=k"));
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", complete("uspb-1"));
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Lamp.Fade() 'k' ok"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", complete("uspb-1"));
    assert!(w.notes(c).is_empty(), "once only");
}

#[test]
fn equal_command_keys_do_not_get_mixed_up() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let d = w.controller("self::d");
    for controller in [c, d] {
        accepts(&mut w, s);
        w.operate(controller, "Device.X_Lamp.Fade()", "same", &[]);
    }
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", complete("uspb-2"));
    assert_eq!(
        w.get(c, "Device.LocalAgent.Request.*.Originator"),
        "Device.LocalAgent.Request.1.Originator=self::c"
    );
}

#[test]
fn a_completion_may_come_before_the_response() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    accepts(&mut w, s);
    w.manner(s, Manner::Slow(Duration::from_secs(1)));
    let id = w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", complete("uspb-1"));
    assert!(w.notes(c).is_empty());
    w.wait(1);
    assert!(w.answer(c, &id).is_some());
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Lamp.Fade() 'k' ok"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn a_service_that_dies_fails_its_commands() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    accepts(&mut w, s);
    w.operate(c, "Device.X_Lamp.Fade()", "k", &[]);
    w.manner(s, Manner::Silent);
    let id = w.begin(c, operate("Device.X_Lamp.Fade()", "l", &[]));
    w.disconnect(s);
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.X_Lamp.Fade() -> 7003");
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Lamp.Fade() 'k' 7022"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_crash_fails_commands_that_were_running() {
    let (mut w, c) = world();
    w.subscribe_with(c, "kept", "OperationComplete", "Device.", &["Persistent=true", "NotifRetry=true"]);
    w.device("a", Behaviour::Silent);
    let command = format!("{CAPABILITY}2.BinaryControl.Toggle()");
    w.operate(c, &command, "k", &[]);
    let mut w = w.restart();
    w.site("a: box");
    let c = w.controller("self::c");
    assert_eq!(w.notes(c), [format!("kept: OperationComplete {command} 'k' 7022")]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

/// As Boot! does: nobody is connected at the start. Whether the broker ends cleanly makes no difference.
#[test]
fn an_interrupted_command_is_told_when_its_controller_comes_even_without_retry() {
    for cleanly in [false, true] {
        let (mut w, c) = world();
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        accepts(&mut w, s);
        w.subscribe_with(c, "kept", "OperationComplete", "Device.", &["Persistent=true"]);
        let command = "Device.X_Lamp.Fade()";
        w.operate(c, command, "k", &[]);
        if cleanly {
            w.input(Input::Shutdown);
            w.disconnect(s);
            assert!(w.notes(c).is_empty(), "it is not known how it ends");
        }
        // What waits survives another crash, and is told once.
        let mut w = w.restart();
        w.site("a: box");
        let mut w = w.restart();
        w.site("a: box");
        let c = w.controller("self::c");
        let told = w.take_notifies(c);
        assert_eq!(told.len(), 1, "cleanly: {cleanly}");
        assert_eq!(text::notify(&told[0].1), format!("kept: OperationComplete {command} 'k' 7022"));
        assert!(!told[0].1.send_resp);
        let Some(Notification::OperComplete(done)) = &told[0].1.notification else { panic!() };
        assert!(format!("{done:?}").contains("interrupted by a restart of the broker"), "{done:?}");
        assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
        w.disconnect(c);
        let c = w.controller("self::c");
        assert!(w.notes(c).is_empty(), "once");
    }
}

#[test]
fn a_command_without_an_answer_runs_all_the_same() {
    // R-OPR.4
    let (mut w, c) = world();
    let usp_proto::usp::request::ReqType::Operate(mut quiet) =
        operate(&format!("{CAPABILITY}2.BinaryControl.Toggle()"), "k", &[])
    else {
        panic!();
    };
    quiet.send_resp = false;
    let id = w.begin(c, usp_proto::usp::request::ReqType::Operate(quiet));
    assert!(w.answer(c, &id).is_none());
    assert_eq!(w.devices.values[&("a".to_owned(), 1)], Value::Bool(true));
}

#[test]
fn a_path_that_is_given_back_fails_its_commands() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    accepts(&mut w, s);
    w.operate(c, "Device.X_Lamp.Fade()", "k", &[]);
    w.deregister(s, &["Device.X_Lamp."]);
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Lamp.Fade() 'k' 7022"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn a_device_that_leaves_fails_its_commands() {
    let (mut w, c) = world();
    w.device("a", Behaviour::Silent);
    let command = format!("{CAPABILITY}2.BinaryControl.Toggle()");
    w.operate(c, &command, "k", &[]);
    w.site("");
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {command} 'k' 7022")]);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_command_that_runs_is_not_begun_again_under_the_same_key() {
    // R-OPR.3; Originator, Command and CommandKey are the unique key of a Request row.
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    let command = format!("{CAPABILITY}2.BinaryControl.Toggle()");
    let row = |n: u32| format!("{command} -> Device.LocalAgent.Request.{n}.");
    assert_eq!(w.operate(c, &command, "k", &[]), row(1));
    assert_eq!(w.operate(c, &command, "k", &[]), format!("{command} -> 7002"));
    assert_eq!(w.operate(c, &command, "l", &[]), row(2), "another key");
    assert_eq!(w.operate(d, &command, "k", &[]), row(3), "another Originator");
    w.wait(10);
    assert_eq!(w.operate(c, &command, "k", &[]), row(4), "it is free again");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    accepts(&mut w, s);
    w.operate(c, "Device.X_Lamp.Fade()", "k", &[]);
    assert_eq!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]), "Device.X_Lamp.Fade() -> 7002");
    assert_eq!(w.services[&s].count("Operate"), 1);
}

#[test]
fn missing_and_unknown_arguments() {
    // R-OPR.5, R-OPR.6, TP-469 1.91 and 1.100
    let (mut w, c) = world();
    let timer = "Device.ScheduleTimer()";
    assert_eq!(w.operate(c, timer, "k", &[]), format!("{timer} -> 7027"));
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    w.wait(60);
    assert!(w.notes(c).is_empty(), "nothing was begun");
}

#[test]
fn nothing_is_told_of_a_request_row_after_its_end() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe(c, "gone", "ObjectDeletion", "Device.LocalAgent.Request.");
    w.subscribe(c, "status", "ValueChange", "Device.LocalAgent.Request.*.Status");
    w.subscribe(c, "done", "OperationComplete", "Device.ScheduleTimer()");
    w.operate(c, "Device.ScheduleTimer()", "k", &["DelaySeconds=100"]);
    w.notes(c);
    w.operate(c, "Device.LocalAgent.Request.1.Cancel()", "", &[]);
    let ids: Vec<String> =
        w.notes(c).iter().filter_map(|note| Some(note.split_once(':')?.0.to_owned())).collect();
    assert_eq!(ids, ["status", "gone", "done"]);
}
