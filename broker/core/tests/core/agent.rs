//! Periodic!, ScheduleTimer() and Cancel().

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::value::Value;
use usp_proto::usp::notify::operation_complete as done;
use usp_proto::usp::notify::{Notification, OperationComplete};
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::device::Behaviour;
use crate::bench::peer::operate;
use crate::bench::service::Manner;
use crate::bench::text;

const OWN: &str = "Device.LocalAgent.Controller.1.";
const TIMER: &str = "Device.ScheduleTimer()";
const ROW: &str = "Device.LocalAgent.Request.1.";

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

/// How long until the next notification comes, whole seconds.
fn next_note(w: &mut World, c: ConnId, most: u64) -> Option<(u64, String)> {
    for seconds in 1..=most {
        w.wait(1);
        if let Some(note) = w.notes(c).into_iter().next() {
            return Some((seconds, note));
        }
    }
    None
}

fn note(seconds: u64, text: &str) -> Option<(u64, String)> {
    Some((seconds, text.to_owned()))
}

const PERIODIC: &str = "p: Event Device.LocalAgent.Periodic!";

/// TP-469 1.59.
#[test]
fn periodic_keeps_to_its_reference_time() {
    let (mut w, c) = world();
    w.set(c, OWN, &["PeriodicNotifInterval=60", "PeriodicNotifTime=2019-01-01T00:00:20Z"]);
    w.subscribe(c, "p", "Event", "Device.LocalAgent.Periodic!");
    assert_eq!(next_note(&mut w, c, 100), note(20, PERIODIC));
    assert_eq!(next_note(&mut w, c, 100), note(60, PERIODIC));
    // A reference that lies ahead counts backwards as well.
    w.set(c, OWN, &["PeriodicNotifTime=2126-01-01T00:00:05Z"]);
    assert_eq!(next_note(&mut w, c, 100), note(45, PERIODIC));
    w.set(c, OWN, &["PeriodicNotifInterval=7"]);
    assert!(next_note(&mut w, c, 7).is_some());
    assert_eq!(next_note(&mut w, c, 10), note(7, PERIODIC));
}

#[test]
fn periodic_without_a_reference_needs_no_wall_clock() {
    let mut w = World::new().restart_after(0, false);
    let c = w.controller("self::c");
    w.set(c, OWN, &["PeriodicNotifInterval=60", "PeriodicNotifTime=2019-01-01T00:00:20Z"]);
    w.subscribe(c, "p", "Event", "Device.LocalAgent.Periodic!");
    assert_eq!(next_note(&mut w, c, 100), note(60, PERIODIC));
    w.wall_is_true = true;
    assert_eq!(w.get(c, "Device.LocalAgent.Controller.1.Enable"), format!("{OWN}Enable=true"));
    assert_eq!(next_note(&mut w, c, 100), note(20, PERIODIC));
    assert_eq!(next_note(&mut w, c, 100), note(60, PERIODIC));
}

#[test]
fn a_small_correction_of_the_clock_tells_nothing_twice() {
    let (mut w, c) = world();
    w.set(c, OWN, &["PeriodicNotifInterval=60", "PeriodicNotifTime=2019-01-01T00:00:00Z"]);
    w.subscribe(c, "p", "Event", "Device.LocalAgent.Periodic!");
    w.wait(59);
    w.set_wall(-3);
    assert_eq!(next_note(&mut w, c, 100), note(1, PERIODIC));
    assert_eq!(next_note(&mut w, c, 100), note(63, PERIODIC));
}

#[test]
fn each_controller_has_its_own_period() {
    let (mut w, c) = world();
    let d = w.controller("self::d");
    w.set(c, OWN, &["PeriodicNotifInterval=10"]);
    w.set(d, "Device.LocalAgent.Controller.2.", &["PeriodicNotifInterval=40"]);
    for conn in [c, d] {
        w.subscribe(conn, "p", "Event", "Device.LocalAgent.Periodic!");
    }
    w.wait(80);
    assert_eq!([w.notes(c).len(), w.notes(d).len()], [8, 2]);
    assert_eq!(
        w.set(c, OWN, &["PeriodicNotifInterval=0"]),
        format!("Error 7012\n{OWN}PeriodicNotifInterval: 7012")
    );
    w.delete(c, &["Device.LocalAgent.Subscription.*."]);
    w.wait(80);
    assert!(w.notes(c).is_empty() && w.notes(d).is_empty());
}

/// TP-469 1.79, 1.91 and 9.11.
#[test]
fn a_timer_completes_after_its_delay() {
    let (mut w, c) = world();
    w.subscribe(c, "t", "OperationComplete", "Device.ScheduleTimer()");
    let answer = w.operate(c, TIMER, "test79", &["DelaySeconds=60", "Unknown=1"]);
    assert_eq!(answer, format!("{TIMER} -> {ROW}"));
    assert_eq!(w.get(c, &format!("{ROW}Status")), format!("{ROW}Status=Active"));
    assert!(!w.get(c, ROW).contains("X_USPBROKER"), "what is kept for the timer is nobody's business");
    assert_eq!(
        next_note(&mut w, c, 100),
        note(60, "t: OperationComplete Device.ScheduleTimer() 'test79' ok")
    );
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

/// TP-469 1.100.
#[test]
fn a_timer_without_a_usable_delay_does_not_run() {
    let (mut w, c) = world();
    for args in [&[][..], &["DelaySeconds=0"], &["DelaySeconds=-1"], &["DelaySeconds=soon"]] {
        assert_eq!(w.operate(c, TIMER, "k", args), format!("{TIMER} -> 7027"), "{args:?}");
    }
    assert_eq!(w.operate(c, "Device.Reboot()", "k", &["Cause=Boredom"]), "Device.Reboot() -> 7027");
    assert!(w.restarts.is_empty());
}

#[test]
fn a_timer_outlives_a_restart() {
    let (mut w, c) = world();
    w.subscribe_with(c, "t", "OperationComplete", "Device.", &["Persistent=true", "NotifRetry=true"]);
    w.operate(c, TIMER, "k", &["DelaySeconds=100"]);
    w.wait(10);
    let mut w = w.restart_after(50, true);
    let c = w.controller("self::c");
    assert_eq!(next_note(&mut w, c, 100), note(40, "t: OperationComplete Device.ScheduleTimer() 'k' ok"));
    w.operate(c, TIMER, "l", &["DelaySeconds=5"]);
    let mut w = w.restart_after(50, true);
    let c = w.controller("self::c");
    let overdue = "t: OperationComplete Device.ScheduleTimer() 'l' ok";
    assert!(w.notes(c).contains(&overdue.to_owned()) || next_note(&mut w, c, 1) == note(1, overdue));
}

#[test]
fn a_timer_does_not_end_early_because_the_time_is_not_known() {
    let (mut w, c) = world();
    w.subscribe_with(c, "t", "OperationComplete", "Device.", &["Persistent=true"]);
    w.operate(c, TIMER, "k", &["DelaySeconds=100"]);
    w.wait(10);
    let mut w = w.restart_after(50, false);
    let c = w.controller("self::c");
    w.wait(30);
    assert!(w.notes(c).is_empty());
    // 90 s after it was asked for, the hub learns the time.
    w.wall_is_true = true;
    w.get(c, OWN);
    assert_eq!(next_note(&mut w, c, 100), note(10, "t: OperationComplete Device.ScheduleTimer() 'k' ok"));
}

#[test]
fn a_timer_is_canceled() {
    let (mut w, c) = world();
    w.subscribe(c, "t", "OperationComplete", "Device.");
    w.subscribe(c, "s", "ValueChange", "Device.LocalAgent.Request.");
    w.operate(c, TIMER, "k", &["DelaySeconds=60"]);
    w.notes(c);
    assert_eq!(w.operate(c, &format!("{ROW}Cancel()"), "", &[]), format!("{ROW}Cancel() -> ok"));
    let notes = w.notes(c);
    assert!(notes.contains(&format!("s: ValueChange {ROW}Status=Canceled")), "{notes:?}");
    assert!(notes.contains(&"t: OperationComplete Device.ScheduleTimer() 'k' 7023".to_owned()), "{notes:?}");
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
    w.wait(100);
    assert!(w.notes(c).is_empty());
    assert_eq!(w.operate(c, &format!("{ROW}Cancel()"), "", &[]), format!("{ROW}Cancel() -> 7016"));
}

#[test]
fn a_devices_command_is_canceled_before_it_acts() {
    let (mut w, c) = world();
    w.site("a: box");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    let toggle = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()";
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    w.devices.values.insert(("a".to_owned(), 1), Value::Bool(true));
    // It is read first.
    w.operate(c, toggle, "k", &[]);
    assert_eq!(w.operate(c, &format!("{ROW}Cancel()"), "", &[]), format!("{ROW}Cancel() -> ok"));
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {toggle} 'k' 7023")], "not once it was read");
    w.wait(1);
    assert_eq!(w.calls.len(), 1, "nothing was written");
    assert_eq!(w.notes(c), [""; 0]);
    // What the device does already is seen through.
    w.operate(c, toggle, "l", &[]);
    w.wait(1);
    w.operate(c, "Device.LocalAgent.Request.*.Cancel()", "", &[]);
    w.wait(1);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {toggle} 'l' ok")]);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_services_command_is_canceled_there() {
    let (mut w, c) = world();
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let answers = |w: &mut World, answer| w.services.get_mut(&s).unwrap().outcomes.push_back(answer);
    answers(&mut w, OperationResp::ReqObjPath("Device.LocalAgent.Request.77".to_owned()));
    w.operate(c, "Device.X_Lamp.Fade()", "k", &[]);
    let cancel = format!("{ROW}Cancel()");
    answers(
        &mut w,
        OperationResp::CmdFailure(CommandFailure { err_code: 7022, err_msg: "never".to_owned() }),
    );
    assert_eq!(w.operate(c, &cancel, "", &[]), format!("{cancel} -> 7022"));
    assert_eq!(w.get(c, &format!("{ROW}Status")), format!("{ROW}Status=Active"));
    answers(&mut w, OperationResp::ReqOutputArgs(OutputArgs::default()));
    assert_eq!(w.operate(c, &cancel, "", &[]), format!("{cancel} -> ok"));
    let mut asked = w.services[&s].asked.iter().filter_map(|r| match r {
        ReqType::Operate(operate) => Some(operate.command.clone()),
        _ => None,
    });
    assert_eq!(asked.next_back().as_deref(), Some("Device.LocalAgent.Request.77.Cancel()"));
    assert_eq!(w.get(c, &format!("{ROW}Status")), format!("{ROW}Status=Canceling"));
    let failure = done::CommandFailure { err_code: 7023, err_msg: "canceled".to_owned() };
    let complete = Notification::OperComplete(OperationComplete {
        obj_path: "Device.X_Lamp.".to_owned(),
        command_name: "Fade()".to_owned(),
        command_key: "uspb-1".to_owned(),
        operation_resp: Some(done::OperationResp::CmdFailure(failure)),
    });
    w.service_notify(s, "OperationComplete", "Device.X_Lamp.", complete);
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Lamp.Fade() 'k' 7023"]);
    assert_eq!(w.get(c, "Device.LocalAgent.Request."), "");
}

#[test]
fn how_far_a_command_is_costs_no_write() {
    let (mut w, c) = world();
    w.site("a: box");
    w.subscribe(c, "s", "ValueChange", "Device.LocalAgent.Request.");
    w.device("a", Behaviour::Slow(Duration::from_secs(1)));
    let before = w.disk.batches;
    let toggle = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.Toggle()";
    w.devices.values.insert(("a".to_owned(), 1), Value::Bool(true));
    w.operate(c, toggle, "k", &[]);
    w.wait(5);
    let status = |text: &str| format!("s: ValueChange {ROW}Status={text}");
    assert_eq!(w.notes(c), [status("Active"), status("Success")]);
    assert_eq!(w.disk.batches - before, 2, "its row comes and goes");
    w.operate(c, TIMER, "k", &["DelaySeconds=50"]);
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    assert_eq!(w.get(c, "Device.LocalAgent.Request.*.Status"), "Device.LocalAgent.Request.2.Status=Active");
}

#[test]
fn what_a_service_has_not_taken_up_cannot_be_canceled() {
    let (mut w, c) = world();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let id = w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
    assert_eq!(w.get(c, &format!("{ROW}Status")), format!("{ROW}Status=Requested"));
    let cancel = format!("{ROW}Cancel()");
    assert_eq!(w.operate(c, &cancel, "", &[]), format!("{cancel} -> 7022"));
    w.wait(5);
    assert_eq!(text::answer(&w.answer(c, &id).unwrap()), "Device.X_Lamp.Fade() -> 7003");
    assert_eq!(w.broker.pending(), 0);
}
