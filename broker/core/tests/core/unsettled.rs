//! What nobody knows to have been done, because whoever was asked did not say; and what was never sent, which is known.

use std::time::Duration;

use usp_core::input::ConnId;
use usp_mapping::mapping::{Protocol, ZigbeeOptions};
use usp_mapping::port::{Action, DeviceFault};
use usp_mapping::value::Value;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::notify::operation_complete::OperationResp;
use usp_proto::usp::operate_resp::operation_result::OperationResp as OperationResult;
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::device::{Behaviour, number};
use crate::bench::peer::{add, operate, set};
use crate::bench::service::Manner;
use crate::bench::site::{edited, vendor};
use crate::bench::text;

const RELAY: &str = "Device.ProxiedDevice.1.IoTCapability.2.BinaryControl.";
const UNKNOWN: &str = "; whether it was done is not known";

/// Its relay can only be written.
fn blind() -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.capabilities[1].read = None;
        mapping.capabilities[1].write.as_mut().unwrap().verify = None;
    }));
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    (w, c)
}

/// How commands ended.
fn ends(w: &mut World, c: ConnId) -> Vec<String> {
    let end = |what| match what {
        Some(Notification::OperComplete(done)) => match done.operation_resp {
            Some(OperationResp::CmdFailure(failure)) => format!("{} {}", failure.err_code, failure.err_msg),
            _ => "done".to_owned(),
        },
        other => panic!("{other:?}"),
    };
    w.take_notifies(c).into_iter().map(|(_, notify)| end(notify.notification)).collect()
}

#[test]
fn an_adapter_that_does_not_answer_may_have_done_it() {
    let silent = format!("device a: the adapter does not answer{UNKNOWN}");
    let (mut w, c) = blind();
    w.device("a", Behaviour::Silent);
    let asked = w.begin(c, set(false, &[(RELAY, &["Value=true"])]));
    w.wait(30);
    let answer = text::loud(&w.answer(c, &asked).unwrap());
    assert_eq!(answer, format!("Error 7009 {silent}\n{RELAY}Value: 7009 {silent}"));
    w.device("a", Behaviour::Good);
    w.set(c, RELAY, &["Value=true"]);
    w.device("a", Behaviour::Silent);
    w.operate(c, &format!("{RELAY}Toggle()"), "k", &[]);
    w.wait(30);
    assert_eq!(ends(&mut w, c), [format!("7022 {silent}")]);
    w.load(edited("a: box", vendor));
    w.operate(c, "Device.ProxiedDevice.1.X_ACME_Reset()", "k", &["Minutes=1"]);
    w.wait(30);
    assert_eq!(ends(&mut w, c), [format!("7022 {silent}")]);
}

#[test]
fn a_read_that_is_not_answered_has_changed_nothing() {
    let (mut w, c) = blind();
    w.device("a", Behaviour::Silent);
    w.operate(c, "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.StepUp()", "k", &[]);
    w.operate(c, "Device.ProxiedDevice.1.X_USPBROKER_Refresh()", "k", &[]);
    w.wait(60);
    let told = "7022 device a: unreachable: the adapter does not answer";
    assert_eq!(ends(&mut w, c), [told, told]);
}

#[test]
fn a_service_that_does_not_answer_may_have_done_it() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, Manner::Silent);
    let told = format!("7003 Service self::lamp did not answer within 5000 ms{UNKNOWN}");
    let zone = "Device.X_Lamp.Zone.";
    let delete =
        ReqType::Delete(usp_proto::usp::Delete { allow_partial: true, obj_paths: vec![format!("{zone}1.")] });
    for request in [
        set(true, &[("Device.X_Lamp.", &["Colour=blue"])]),
        add(true, &[(zone, &[])]),
        delete,
        operate("Device.X_Lamp.Blink()", "k", &[]),
    ] {
        let asked = w.begin(c, request.clone());
        w.wait(5);
        let answer = text::loud(&w.answer(c, &asked).unwrap());
        assert!(answer.ends_with(&told), "{request:?}: {answer}");
    }
    let asked = w.begin(c, set(true, &[("Device.X_Lamp.", &["Colour=blue"])]));
    w.disconnect(s);
    let answer = text::loud(&w.answer(c, &asked).unwrap());
    assert!(answer.ends_with(UNKNOWN), "it was sent: {answer}");
}

/// A Service has taken a command up, and tells of its end later.
fn running() -> (World, ConnId, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.subscribe_with(c, "ops", "OperationComplete", "Device.", &["Persistent=true"]);
    let row = OperationResult::ReqObjPath("Device.LocalAgent.Request.77.".to_owned());
    w.services.get_mut(&s).unwrap().outcomes.push_back(row);
    w.operate(c, "Device.X_Lamp.Fade()", "k", &[]);
    (w, c, s)
}

#[test]
fn a_command_of_a_service_that_is_gone_may_have_been_done() {
    let (mut w, c, s) = running();
    w.disconnect(s);
    assert_eq!(ends(&mut w, c), [format!("7022 Service self::lamp is gone: the socket closed{UNKNOWN}")]);
}

/// Its Service may well go on with it.
#[test]
fn a_command_that_a_restart_interrupts_may_have_been_done() {
    let (w, ..) = running();
    let mut w = w.restart();
    w.site("");
    let c = w.controller("self::c");
    assert_eq!(ends(&mut w, c), [format!("7022 interrupted by a restart of the broker{UNKNOWN}")]);
}

#[test]
fn a_step_of_an_offline_device_is_not_sent_and_says_so() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.report("a", &[(1, Value::Bool(true)), (3, number("20"))]);
    w.report_online("a", Err(DeviceFault::Unreachable("it did not acknowledge it".to_owned())));
    for command in [
        format!("{RELAY}Toggle()"),
        "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.StepUp()".to_owned(),
    ] {
        w.operate(c, &command, "k", &[]);
        let told = "7022 device a is offline and was not asked: unreachable: it did not acknowledge it";
        assert_eq!(ends(&mut w, c), [told], "{command}");
    }
    assert!(w.calls.is_empty());
}

/// It went while a step waited for the one before it.
#[test]
fn a_step_is_not_sent_to_a_device_that_went_offline_meanwhile() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.report("a", &[(1, Value::Bool(true))]);
    w.device("a", Behaviour::Slow(Duration::from_millis(300)));
    w.operate(c, &format!("{RELAY}Toggle()"), "1", &[]);
    w.operate(c, &format!("{RELAY}Toggle()"), "2", &[]);
    w.device("a", Behaviour::Silent);
    w.advance(Duration::from_millis(400));
    w.report_online("a", Err(DeviceFault::Unreachable("cable cut".to_owned())));
    w.wait(30);
    let first = format!("7022 device a: the adapter does not answer{UNKNOWN}");
    let second = "7022 device a is offline and was not asked: unreachable: cable cut".to_owned();
    assert_eq!(ends(&mut w, c), [first, second]);
    assert_eq!(w.calls.iter().filter(|call| matches!(call.action, Action::Read(_))).count(), 1);
}

const DIMMER: &str = "Device.ProxiedDevice.1.IoTCapability.4.LevelControl.";

/// How often it wakes up.
const AWAKE: Duration = Duration::from_millis(900);

/// A lamp that sleeps.
fn asleep() -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: box", |mapping| {
        mapping.protocol = Protocol::Zigbee(ZigbeeOptions { sleepy: true, ..ZigbeeOptions::default() });
        mapping.capabilities[3].max_age = Duration::from_secs(600);
    }));
    w.report("a", &[(3, number("20"))]);
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.device("a", Behaviour::Slow(AWAKE));
    (w, c)
}

/// There is always another Set under way.
#[test]
fn a_step_waits_for_so_many_writes_and_no_more() {
    let (mut w, c) = asleep();
    w.begin(c, set(true, &[(DIMMER, &["Value=50"])]));
    w.operate(c, &format!("{DIMMER}StepUp()"), "k", &[]);
    let mut waits = 0;
    let reads = |w: &World| w.calls.iter().filter(|call| matches!(call.action, Action::Read(_))).count();
    while reads(&w) == 0 {
        assert!(waits < 50, "it waits for ever");
        w.advance(AWAKE - Duration::from_millis(100));
        waits += 1;
        w.begin(c, set(true, &[(DIMMER, &["Value=50"])]));
    }
    assert!((8..=16).contains(&waits), "{waits}: each round ends with the Sets that were under way");
    w.wait(30);
    assert_eq!(ends(&mut w, c), ["done"]);
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn a_step_that_waits_is_canceled_at_once() {
    let canceled = "7023 ended by Cancel()";
    let cancel = |w: &mut World, c, row: u32| {
        let cancel = format!("Device.LocalAgent.Request.{row}.Cancel()");
        assert_eq!(w.operate(c, &cancel, "", &[]), format!("{cancel} -> ok"));
    };
    let (mut w, c) = asleep();
    w.begin(c, set(true, &[(DIMMER, &["Value=50"])]));
    for key in ["1", "2", "3"] {
        w.operate(c, &format!("{DIMMER}StepUp()"), key, &[]);
    }
    cancel(&mut w, c, 2);
    assert_eq!(ends(&mut w, c), [canceled], "it waits for its turn");
    cancel(&mut w, c, 1);
    assert_eq!(ends(&mut w, c), [canceled], "it waits for a write");
    w.wait(30);
    assert_eq!(ends(&mut w, c), ["done"], "the third goes on");
    assert_eq!(w.calls.iter().filter(|call| matches!(call.action, Action::Write(_))).count(), 2);
    w.operate(c, "Device.ProxiedDevice.1.X_USPBROKER_Refresh()", "4", &[]);
    cancel(&mut w, c, 4);
    assert_eq!(ends(&mut w, c), [canceled], "it waits for the device");
    w.wait(30);
    assert_eq!(w.broker.pending(), 0);
}

/// What a relay shows: quality, and why.
fn shown(w: &mut World, c: ConnId) -> String {
    let row = "Device.ProxiedDevice.1.IoTCapability.2.";
    let answer =
        w.get(c, &format!("{row}X_USPBROKER_Quality")) + &w.get(c, &format!("{row}X_USPBROKER_LastError"));
    answer.replace(&format!("{row}X_USPBROKER_"), "")
}

/// Until it is read again.
#[test]
fn a_value_is_not_good_after_a_write_of_which_nobody_knows_whether_it_was_done() {
    let not_confirmed =
        |shown: &str| DeviceFault::NotConfirmed { wanted: "true".to_owned(), shown: shown.to_owned() };
    for (fault, why) in [
        (DeviceFault::Timeout(Duration::from_millis(50)), Some("no answer within 50 ms")),
        (DeviceFault::Unsettled("cable cut".to_owned()), Some("cable cut")),
        (
            not_confirmed(DeviceFault::NOTHING),
            Some("written but not confirmed: wanted true, the device shows nothing"),
        ),
        // It has shown what it has, which was reported.
        (not_confirmed("false"), None),
        (DeviceFault::Refused("illegal value".to_owned()), None),
        (DeviceFault::Unreachable("not connected".to_owned()), None),
        (DeviceFault::Expired, None),
    ] {
        let mut w = World::new();
        w.site("a: box");
        let c = w.controller("self::c");
        w.report("a", &[(1, Value::Bool(false))]);
        let good = shown(&mut w, c);
        assert!(good.starts_with("Quality=Good") && good.ends_with("LastError="), "{good}");
        w.subscribe(c, "q", "ValueChange", "Device.ProxiedDevice.1.IoTCapability.2.X_USPBROKER_Quality");
        w.device("a", Behaviour::Fails(fault.clone()));
        w.set(c, RELAY, &["Value=true"]);
        let after = shown(&mut w, c);
        let Some(why) = why else {
            assert_eq!(after, good, "{fault:?}");
            continue;
        };
        assert!(after.starts_with("Quality=Stale"), "{fault:?}: {after}");
        assert!(
            after.ends_with(&format!("LastError=what it has after a write is not known: {why}")),
            "{after}"
        );
        assert!(w.notes(c).iter().any(|note| note.ends_with("Quality=Stale")), "it is told");
        w.report("a", &[(1, Value::Bool(true))]);
        assert_eq!(shown(&mut w, c), good, "it was read");
        assert!(w.notes(c).iter().any(|note| note.ends_with("Quality=Good")), "that too");
    }
}

/// What was set before says nothing any more, until another Set is done.
#[test]
fn what_can_only_be_written_is_not_assumed_after_such_a_write() {
    let (mut w, c) = blind();
    w.set(c, RELAY, &["Value=false"]);
    let assumed = shown(&mut w, c);
    assert!(assumed.starts_with("Quality=Assumed"), "{assumed}");
    w.device("a", Behaviour::Fails(DeviceFault::Unsettled("cable cut".to_owned())));
    w.set(c, RELAY, &["Value=true"]);
    let open = shown(&mut w, c);
    assert!(open.starts_with("Quality=Stale"), "{open}");
    w.device("a", Behaviour::Good);
    w.set(c, RELAY, &["Value=true"]);
    assert_eq!(shown(&mut w, c), assumed);
}

/// It has no valid reading, and gets none by it.
#[test]
fn what_is_bad_is_no_better_after_such_a_write() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.report("a", &[(1, Value::Bool(false))]);
    w.report_fault("a", 1, DeviceFault::Invalid("a sentinel".to_owned()));
    let bad = shown(&mut w, c);
    assert!(bad.starts_with("Quality=Bad"), "{bad}");
    w.device("a", Behaviour::Fails(DeviceFault::Unsettled("cable cut".to_owned())));
    w.set(c, RELAY, &["Value=true"]);
    assert_eq!(shown(&mut w, c), bad);
}
