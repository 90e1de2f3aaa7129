//! Rules that hold for every Message: which are taken, what decides, and what finding nothing means.

use usp_core::input::{ConnId, Input};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::usp::header::MsgType;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{self, body::MsgBody};

use crate::bench::peer::{add, get, operate, set};
use crate::bench::{BROKER, World, text};

fn world() -> (World, ConnId) {
    let mut w = World::new();
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn what_an_agent_does_not_take_is_answered_with_7001() {
    // R-MSG.0, R-MSG.1
    let (mut w, c) = world();
    let notify = usp::Notify { subscription_id: "x".to_owned(), send_resp: true, ..Default::default() };
    for request in [
        ReqType::Register(usp::Register::default()),
        ReqType::Deregister(usp::Deregister::default()),
        ReqType::Notify(notify),
    ] {
        assert_eq!(text::answer(&w.ask(c, request)), "Error 7001");
    }
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    for request in [get(&["Device."], 0), set(true, &[]), add(true, &[]), operate("Device.Reboot()", "", &[])]
    {
        assert_eq!(text::answer(&w.ask(s, request)), "Error 7001", "a Service asks on the Agent's socket");
    }
    assert!(w.restarts.is_empty() && w.closed.is_empty());
}

#[test]
fn the_body_decides_and_an_answer_that_nobody_waits_for_is_ignored() {
    // R-MSG.10, R-MSG.9
    let (mut w, c) = world();
    let mut request = message::request("m", get(&["Device.DeviceInfo.ModelName"], 0));
    request.header.as_mut().unwrap().msg_type = MsgType::SetResp.into();
    w.send(c, request);
    assert_eq!(text::answer(&w.answer(c, "m").unwrap()), "Device.DeviceInfo.ModelName=Hub");
    let stray = RespType::GetResp(usp::GetResp::default());
    w.send(c, message::response("n", stray));
    w.send(c, message::error("o", usp_proto::err_code::ErrCode::MESSAGE_FAILED, "no", Vec::new()));
    assert!(w.answer(c, "n").is_none() && w.answer(c, "o").is_none() && w.closed.is_empty());
}

#[test]
fn a_later_version_is_understood_as_far_as_it_is_known() {
    // R-MSG.0a: the answer comes as the request came, without a Session Context.
    let (mut w, c) = world();
    let (from, to) = (EndpointId::parse("self::c").unwrap(), EndpointId::parse(BROKER).unwrap());
    for version in ["1.0", "1.9", "2.0"] {
        let msg = message::request(version, get(&["Device.DeviceInfo.ModelName"], 0));
        let record = Record { version: version.to_owned(), ..Record::message(from.clone(), to.clone(), msg) };
        w.input(Input::Record { conn: c, record: Box::new(record) });
        assert_eq!(text::answer(&w.answer(c, version).unwrap()), "Device.DeviceInfo.ModelName=Hub");
    }
}

#[test]
fn a_search_that_finds_nothing_is_a_success_of_every_message() {
    // R-MSG.4a, R-GET.1a, R-DEL.2a
    let (mut w, c) = world();
    let row = "Device.LocalAgent.Controller.[Alias==\"nobody\"].";
    for partial in [false, true] {
        assert_eq!(text::answer(&w.ask(c, set(partial, &[(row, &["ProvisioningCode=x"])]))), "");
        assert_eq!(text::answer(&w.ask(c, add(partial, &[(&format!("{row}BootParameter."), &[])]))), "");
        assert_eq!(w.delete_partial(c, partial, &[row, "Device.LocalAgent.Controller.99."]), "\n");
    }
    assert_eq!(w.get(c, row), "");
    assert_eq!(w.get(c, &format!("{row}Alias")), "");
    assert_eq!(w.instances(c, &format!("{row}BootParameter."), false), "");
    assert_eq!(w.operate(c, &format!("{row}SendOnBoardRequest()"), "k", &[]), "");
    // But what no row could have is a mistake (R-GET.0).
    for wrong in [format!("{row}Nothing."), format!("{row}Nothing")] {
        assert_eq!(w.get(c, &wrong), format!("{wrong}: 7026"));
    }
}

#[test]
fn a_parameter_is_told_with_its_object_and_alone() {
    // R-GET.2, R-GET.3, R-GET.1b
    let (mut w, c) = world();
    w.lamp("self::lamp", "Device.X_Lamp.");
    for (path, object, name) in [
        ("Device.DeviceInfo.ModelName", "Device.DeviceInfo.", "ModelName"),
        ("Device.LocalAgent.Controller.*.EndpointID", "Device.LocalAgent.Controller.1.", "EndpointID"),
        ("Device.X_Lamp.Zone.1.Level", "Device.X_Lamp.Zone.1.", "Level"),
    ] {
        let answer = w.ask(c, get(&[path], 0));
        let Some(MsgBody::Response(response)) = message::body(&answer) else { panic!() };
        let Some(RespType::GetResp(got)) = &response.resp_type else { panic!() };
        let entry = &got.req_path_results[0];
        assert_eq!((entry.requested_path.as_str(), entry.resolved_path_results.len()), (path, 1));
        let resolved = &entry.resolved_path_results[0];
        assert_eq!(resolved.resolved_path, object);
        assert_eq!(resolved.result_params.keys().collect::<Vec<_>>(), [name]);
    }
    for empty in ["Device.LocalAgent.Request.", "Device.LocalAgent.Controller.1.BootParameter."] {
        assert_eq!(w.get(c, empty), "");
    }
}

#[test]
fn entries_stand_alone_or_fall_together() {
    // R-ADD.0, R-ADD.4, R-SET.0, R-SET.1, R-SET.2, R-DEL.0
    let (mut w, c) = world();
    let boot = "Device.LocalAgent.Controller.1.BootParameter.";
    let rows: &[(&str, &[&str])] =
        &[(boot, &["ParameterName=Device.A", "Enable?=x"]), ("Device.Nothing.", &[]), (boot, &["Enable=x"])];
    assert_eq!(
        text::answer(&w.ask(c, add(false, rows))),
        format!("Error 7026\nDevice.Nothing.: 7026\n{boot}Enable: 7011")
    );
    assert_eq!(w.get(c, boot), "");
    let answer = text::answer(&w.ask(c, add(true, rows)));
    let made = format!("{boot}1. Alias=cpe-1 ParameterName=Device.A !Enable:7011");
    assert_eq!(answer, format!("{made}\nDevice.Nothing.: 7026\n{boot}: 7011"));
    let row = format!("{boot}1.");
    let updates: &[(&str, &[&str])] =
        &[(&row, &["Enable=true"]), (&row, &["Nothing=1", "ParameterName=Device.B"])];
    assert_eq!(text::answer(&w.ask(c, set(false, updates))), format!("Error 7010\n{row}Nothing: 7010"));
    assert_eq!(w.get(c, &format!("{row}Enable")), format!("{row}Enable=false"));
    let answer = text::answer(&w.ask(c, set(true, updates)));
    assert_eq!(answer, format!("{row} Enable=true\n{row}: 7010\n{row}Nothing: 7010"));
    assert_eq!(w.get(c, &format!("{row}ParameterName")), format!("{row}ParameterName=Device.A"));
    let paths = [&*row, "Device.Nothing.1.", "Device.LocalAgent.Controller.1.BootParameter.7."];
    assert_eq!(w.delete(c, &paths), "Error 7026\nDevice.Nothing.1.: 7026");
    assert_eq!(w.delete_partial(c, true, &paths), format!("{row}\nDevice.Nothing.1.: 7026\n"));
}
