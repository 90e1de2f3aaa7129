//! The Agent's own data model, acted on: Periodic!, ScheduleTimer(), Cancel(), on-boarding, TriggerAction.

use std::time::Duration;

use usp_core::input::{ConnId, MtpKind, Side};
use usp_mapping::value::Value;
use usp_proto::usp::notify::operation_complete as done;
use usp_proto::usp::notify::{Notification, OperationComplete};
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp, OutputArgs};
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
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
    // Its value is not known, so it is read first.
    w.operate(c, toggle, "k", &[]);
    assert_eq!(w.operate(c, &format!("{ROW}Cancel()"), "", &[]), format!("{ROW}Cancel() -> ok"));
    assert_eq!(w.get(c, &format!("{ROW}Status")), format!("{ROW}Status=Canceling"));
    w.wait(1);
    assert_eq!(w.notes(c), [format!("ops: OperationComplete {toggle} 'k' 7023")]);
    assert_eq!(w.calls.len(), 1, "nothing was written");
    // What the device does already is seen through.
    w.operate(c, toggle, "l", &[]);
    w.operate(c, "Device.LocalAgent.Request.*.Cancel()", "", &[]);
    w.wait(2);
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

const ON_BOARD: &str = ": OnBoardRequest";

/// TP-469 1.60, 1.101: R-NOT.5, R-NOT.6, R-NOT.7.
#[test]
fn an_on_board_request_is_sent_until_it_is_confirmed() {
    let (mut w, c) = world();
    assert_eq!(w.get(c, &format!("{OWN}OnBoardingComplete")), format!("{OWN}OnBoardingComplete=true"));
    let command = format!("{OWN}SendOnBoardRequest()");
    assert_eq!(w.operate(c, &command, "test60", &[]), format!("{command} -> ok"));
    let (first, request) = w.take_notifies(c).remove(0);
    assert!(request.send_resp && request.subscription_id.is_empty());
    let Some(Notification::OnBoardReq(told)) = request.notification else { panic!() };
    assert_eq!(
        (&*told.oui, &*told.product_class, &*told.serial_number, &*told.agent_supported_protocol_versions),
        ("012345", "hub", "0001", "1.0,1.1,1.2,1.3,1.4")
    );
    assert_eq!(w.get(c, &format!("{OWN}OnBoardingComplete")), format!("{OWN}OnBoardingComplete=false"));
    w.wait(10);
    let (second, _) = w.take_notifies(c).remove(0);
    assert_eq!(first, second, "the same Message again");
    w.confirm(c, &second);
    // TP-469 1.103: OnBoardingRestartTime 0.
    w.wait(10_000);
    assert!(w.notes(c).is_empty());
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.set(c, OWN, &["OnBoardingComplete=false"]);
    assert_eq!(w.notes(c), [ON_BOARD], "setting it is enough");
}

/// TP-469 1.102.
#[test]
fn on_boarding_starts_again_until_it_is_complete() {
    let (mut w, c) = world();
    w.set(c, OWN, &["OnBoardingRestartTime=60"]);
    w.operate(c, &format!("{OWN}SendOnBoardRequest()"), "", &[]);
    for _ in 0..2 {
        let (id, _) = w.take_notifies(c).remove(0);
        w.confirm(c, &id);
        w.wait(59);
        assert!(w.notes(c).is_empty());
        w.wait(1);
    }
    let (id, _) = w.take_notifies(c).remove(0);
    w.confirm(c, &id);
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.wait(200);
    assert!(w.notes(c).is_empty());
    w.set(c, OWN, &["OnBoardingComplete=false"]);
    w.set(c, OWN, &["OnBoardingComplete=true"]);
    w.notes(c);
    w.wait(200);
    assert!(w.notes(c).is_empty(), "complete: what was on its way is taken back");
}

/// TP-469 9.9.
#[test]
fn a_new_controller_is_on_boarded_when_it_comes() {
    let (mut w, c) = world();
    let table = "Device.LocalAgent.Controller.";
    w.add(c, table, &["EndpointID=self::new", "Enable=true"]);
    w.wait(100_000);
    let n = w.controller("self::new");
    let (id, _) = w.take_notifies(n).remove(0);
    w.disconnect(n);
    // It never confirmed, so it is asked again after a restart.
    let mut w = w.restart_after(1, true);
    let n = w.controller("self::new");
    let (again, _) = w.take_notifies(n).remove(0);
    assert_ne!(id, again);
    w.confirm(n, &again);
    w.wait(1000);
    assert!(w.notes(n).is_empty());
    let c = w.controller("self::c");
    w.add(c, table, &["EndpointID=self::off"]);
    let off = format!("{table}[EndpointID==\"self::off\"].SendOnBoardRequest()");
    assert!(w.operate(c, &off, "", &[]).ends_with("-> 7022"), "it is not enabled");
}

const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

/// TP-469 1.93 and 1.94.
#[test]
fn a_subscription_changes_settings() {
    let (mut w, c) = world();
    for (action, told) in [("Config", 0), ("NotifyAndConfig", 1)] {
        let more = [&*format!("TriggerAction={action}"), "NotifRetry=true"];
        let row = w.subscribe_with(c, action, "ValueChange", CODE, &more);
        let settings = format!("TriggerConfigSettings={row}Enable=false");
        assert_eq!(w.set(c, &row, &[&settings]), format!("{row} {settings}"));
        w.set(c, OWN, &[&format!("ProvisioningCode={action}")]);
        assert_eq!(w.get(c, &format!("{row}Enable")), format!("{row}Enable=false"));
        let notes = w.notes(c);
        assert_eq!(notes.len(), told, "{notes:?}");
        assert_eq!(w.broker.pending(), 0);
    }
}

#[test]
fn settings_reach_devices_and_services() {
    let (mut w, c) = world();
    w.site("a: box");
    w.report("a", &[(0, number("20"))]);
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let relay = "Device.ProxiedDevice.1.IoTCapability.[Name==\"Relay\"].BinaryControl.Value";
    let settings = format!("TriggerConfigSettings={relay}=true,Device.X_Lamp.Colour=\"light%2C blue\"");
    let level = "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value";
    w.subscribe_with(c, "t", "ValueChange", level, &["TriggerAction=Config", &settings]);
    w.report("a", &[(0, number("90"))]);
    assert_eq!(w.calls.len(), 1);
    assert_eq!(w.services[&s].values["Device.X_Lamp.Colour"], "light, blue");
    assert!(w.notes(c).is_empty());
}

#[test]
fn settings_are_made_with_the_rights_of_the_subscriber() {
    let (mut w, c) = world();
    let more = ["TriggerAction=Config", "TriggerConfigSettings=Device.DeviceInfo.FriendlyName=x"];
    w.subscribe_with(c, "t", "ValueChange", CODE, &more);
    let boss = w.controller("self::boss");
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(boss, role, &["Name=N", "Enable=true"]);
    w.add(
        boss,
        &format!("{role}3.Permission."),
        &["Enable=true", "Targets=Device.", "Param=r--n", "Order=1"],
    );
    w.set(boss, OWN, &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.3"]);
    w.set(boss, OWN, &["ProvisioningCode=y"]);
    assert_eq!(w.get(boss, "Device.DeviceInfo.FriendlyName"), "Device.DeviceInfo.FriendlyName=");
}

#[test]
fn two_subscriptions_that_undo_each_other_stay_harmless() {
    let (mut w, c) = world();
    let name = "Device.DeviceInfo.FriendlyName";
    for (id, value) in [("a", "left"), ("b", "right")] {
        let settings = format!("TriggerConfigSettings={name}={value}");
        w.subscribe_with(c, id, "ValueChange", name, &["TriggerAction=NotifyAndConfig", &settings]);
    }
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    w.wait(10);
    assert!(w.notes(c).len() < 100);
    assert!(w.get(c, name).starts_with(name), "it still answers");
}

#[test]
fn settings_are_checked_when_they_are_written() {
    let (mut w, c) = world();
    let row = w.subscribe(c, "t", "ValueChange", CODE);
    for wrong in ["Device.A.B", "Device.A.=1", "Device.A.B()=1", "?"] {
        let answer = w.set(c, &row, &[&format!("TriggerConfigSettings={wrong}")]);
        assert_eq!(answer, format!("Error 7012\n{row}TriggerConfigSettings: 7012"), "{wrong}");
    }
    let many = vec!["Device.DeviceInfo.FriendlyName=x"; 17].join(",");
    let answer = text::answer(
        &w.ask(c, crate::bench::peer::set(true, &[(&*row, &[&*format!("TriggerConfigSettings={many}")])])),
    );
    assert!(answer.contains("7012"), "{answer}");
    assert_eq!(w.set(c, &row, &["TriggerAction=Explode"]), format!("Error 7012\n{row}TriggerAction: 7012"));
}

#[test]
fn the_agent_says_what_it_supports() {
    let (mut w, c) = world();
    let count = "Device.LocalAgent.SupportedNumberOfSubscriptions";
    assert_eq!(w.get(c, count), format!("{count}=4096"));
    let trust = "Device.LocalAgent.ControllerTrust.";
    let two = format!("UntrustedRole={trust}Role.1,{trust}Role.2");
    assert_eq!(w.set(c, trust, &[&two]), format!("Error 7012\n{trust}UntrustedRole: 7012"));
}

/// TP-469 1.70.
#[test]
fn a_transport_that_a_controller_came_over_has_a_row() {
    let (mut w, c) = world();
    let mtp = "Device.LocalAgent.Controller.1.MTP.";
    assert_eq!(
        w.instances(c, "Device.LocalAgent.Controller.*.MTP.", true),
        format!("{mtp}1. Alias=cpe-1 Protocol=UDS")
    );
    let expected = ["Alias=cpe-1", "Enable=true", "Protocol=UDS"].map(|p| format!("{mtp}1.{p}")).join("\n");
    let socket = "UnixDomainSocketRef=Device.UnixDomainSockets.UnixDomainSocket.1";
    assert_eq!(w.get(c, mtp), format!("{expected}\n{mtp}1.UDS.USPServiceRef=\n{mtp}1.UDS.{socket}"));
    let far = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert_eq!(w.get(far, &format!("{mtp}2.Protocol")), format!("{mtp}2.Protocol=WebSocket"));
    w.set(c, OWN, &["ProvisioningCode=kept"]);
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, &format!("{mtp}*.Protocol")),
        format!("{mtp}1.Protocol=UDS\n{mtp}2.Protocol=WebSocket")
    );
}

#[test]
fn a_transport_is_forbidden_for_one_controller() {
    let (mut w, c) = world();
    let far = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    let mtp = "Device.LocalAgent.Controller.1.MTP.";
    w.set(c, &format!("{mtp}2."), &["Enable=false"]);
    assert!(matches!(w.closed[..], [(conn, _)] if conn == far));
    let again = w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert!(w.closed.iter().any(|(conn, _)| *conn == again));
    assert_eq!(w.add(c, mtp, &["Protocol=WebSocket"]), format!("Error 7025\n{mtp}Protocol: 7025"));
    assert_eq!(w.add(c, mtp, &["Protocol=STOMP"]), format!("Error 7012\n{mtp}Protocol: 7012"));
    assert_eq!(w.delete(c, &[&format!("{mtp}2.")]), format!("{mtp}2."));
    w.connect(MtpKind::WebSocket, Side::Agent, "self::c", true);
    assert_eq!(w.closed.len(), 2);
}

/// TP-469 2.9: R-SEC.6.
#[test]
fn a_new_controller_has_the_untrusted_role() {
    let (mut w, c) = world();
    let row = w.add(c, "Device.LocalAgent.Controller.", &["EndpointID=self::new"]);
    let role = format!("{}AssignedRole", row.split(' ').next().unwrap());
    assert_eq!(w.get(c, &role), format!("{role}=Device.LocalAgent.ControllerTrust.Role.2"));
}

/// TP-469 9.10.
#[test]
fn boot_carries_what_its_controller_wants_and_may_read() {
    let (mut w, c) = world();
    w.subscribe_with(c, "boot", "Event", "Device.Boot!", &["Persistent=true"]);
    for name in ["Device.DeviceInfo.SerialNumber", "Device.LocalAgent.MTP.*.Protocol", "Device.Nothing.X"] {
        let params = [&*format!("ParameterName={name}"), "Enable=true"];
        w.add(c, "Device.LocalAgent.Controller.1.BootParameter.", &params);
    }
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    let expected = "{\"Device.DeviceInfo.SerialNumber\":\"0001\",\"Device.LocalAgent.MTP.1.Protocol\":\"UDS\",\"Device.LocalAgent.MTP.2.Protocol\":\"WebSocket\"}";
    let notes = w.notes(c);
    assert!(notes[0].contains(&format!("ParameterMap={expected}")), "{notes:?}");
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    w.add(c, role, &["Name=N", "Enable=true"]);
    let rest = ["Enable=true", "Targets=Device.,Device.Boot!", "Param=----", "CommandEvent=r--n", "Order=1"];
    w.add(c, &format!("{role}3.Permission."), &rest);
    let some = ["Enable=true", "Targets=Device.LocalAgent.MTP.1.", "Param=r---", "Order=2"];
    w.add(c, &format!("{role}3.Permission."), &some);
    w.set(c, OWN, &["AssignedRole=Device.LocalAgent.ControllerTrust.Role.3"]);
    let mut w = w.restart_after(1, true);
    let c = w.controller("self::c");
    let notes = w.notes(c);
    assert!(notes[0].contains("ParameterMap={\"Device.LocalAgent.MTP.1.Protocol\":\"UDS\"}"), "{notes:?}");
}

/// TP-469 1.55.
#[test]
fn a_subscription_made_without_a_clock_ends_in_time() {
    let mut w = World::new().restart_after(0, false);
    let c = w.controller("self::c");
    let more = ["TimeToLive=100", "Persistent=true"];
    let row = w.subscribe_with(c, "s", "ValueChange", "Device.DeviceInfo.", &more);
    let date = format!("{row}CreationDate");
    assert_eq!(w.get(c, &date), format!("{date}=0001-01-01T00:00:00Z"));
    w.wait(30);
    w.wall_is_true = true;
    assert_eq!(w.get(c, &date), format!("{date}=2026-01-01T00:00:00Z"), "30 s ago");
    let mut w = w.restart_after(40, true);
    let c = w.controller("self::c");
    w.wait(29);
    assert_eq!(w.get(c, &date), format!("{date}=2026-01-01T00:00:00Z"));
    w.wait(1);
    assert_eq!(w.get(c, &date), format!("{date}: 7026"));
}

#[test]
fn built_in_roles_stay_what_they_are() {
    let (mut w, c) = world();
    let role = "Device.LocalAgent.ControllerTrust.Role.";
    for (row, setting) in [
        ("1.", "Name=Nobody"),
        ("2.", "Name=Everybody"),
        ("1.", "Enable=false"),
        ("1.Permission.1.", "Param=----"),
        ("1.Permission.1.", "Enable=false"),
    ] {
        let name = setting.split('=').next().unwrap();
        let row = format!("{role}{row}");
        assert_eq!(w.set(c, &row, &[setting]), format!("Error 7013\n{row}{name}: 7013"));
    }
    for row in ["1.", "2.", "1.Permission.1."] {
        let row = format!("{role}{row}");
        assert_eq!(w.delete(c, &[&row]), format!("Error 7024\n{row}: 7024"));
    }
    let more = ["Enable=true", "Targets=Device.DeviceInfo.", "Param=r---", "Order=1"];
    assert!(w.add(c, &format!("{role}2.Permission."), &more).starts_with(&format!("{role}2.Permission.1.")));
}

#[test]
fn numbers_below_a_row_that_is_gone_leave_the_disk() {
    let (mut w, c) = world();
    let table = "Device.LocalAgent.Controller.";
    w.add(c, table, &["EndpointID=self::x"]);
    w.add(c, &format!("{table}2.BootParameter."), &["ParameterName=Device.DeviceInfo.UpTime"]);
    let below = |w: &World| {
        w.disk
            .snapshot
            .highest
            .iter()
            .filter(|(t, _)| t.starts_with("Device.LocalAgent.Controller.2."))
            .count()
    };
    assert_eq!(below(&w), 1);
    w.delete(c, &[&format!("{table}2.")]);
    assert_eq!(below(&w), 0);
    assert!(w.disk.snapshot.highest.iter().any(|(t, _)| t == table));
}
