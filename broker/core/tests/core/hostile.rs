//! What hostile Controllers and unlucky days do.

use usp_core::input::{ConnId, Input, MtpKind, Side};
use usp_core::mqtt::port::MqttFailure;
use usp_core::output::CloseReason;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use crate::bench::World;
use crate::bench::disk::Mood;
use crate::bench::mqtt::{BOSS, seeds};
use crate::bench::peer::{add, get, operate, set};
use crate::bench::service::{FakeService, lamp};
use crate::bench::text;

const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";
const ROLES: &str = "Device.LocalAgent.ControllerTrust.Role.";

/// A role `name` with one permission string for everything on some targets.
fn role(w: &mut World, boss: ConnId, name: &str, lines: &[(&str, &str)]) -> String {
    let made = w.add(boss, ROLES, &[&format!("Name={name}"), "Enable=true"]);
    let role = made.split(' ').next().unwrap().to_owned();
    for (order, (targets, bits)) in lines.iter().enumerate() {
        let texts = [
            "Enable=true".to_owned(),
            format!("Order={}", order + 1),
            format!("Targets={targets}"),
            format!("Param={bits}"),
            format!("Obj={bits}"),
            format!("InstantiatedObj={bits}"),
            format!("CommandEvent={bits}"),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        w.add(boss, &format!("{role}Permission."), &texts);
    }
    role
}

#[test]
fn references_that_lead_to_many_that_lead_to_many_come_to_an_end() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let list = vec!["Device.LocalAgent.Subscription.1"; 300].join(",");
    w.subscribe(c, "s", "ValueChange", &list);
    for path in [
        format!("{SUBSCRIPTIONS}1.{}ID", "ReferenceList#*+.".repeat(12)),
        format!("{SUBSCRIPTIONS}[{}ID==\"x\"].ID", "ReferenceList#*+.".repeat(12)),
    ] {
        let answer = text::answer(&w.ask(c, get(&[&path], 0)));
        assert!(answer.lines().count() <= 1, "{answer}");
    }
    // Even where none leads to the same row twice.
    let all: Vec<String> = (1..=150).map(|n| format!("{SUBSCRIPTIONS}{n}")).collect();
    for n in 2..=150 {
        w.subscribe(c, &n.to_string(), "ValueChange", &all.join(","));
    }
    let path = format!("{SUBSCRIPTIONS}*.{}ID", "ReferenceList#*+.".repeat(28));
    assert_eq!(w.get(c, &path), format!("{path}: 7005"));
    assert_eq!(
        w.get(c, &path.replace("*.Ref", "2.Ref").replace(&"ReferenceList#*+.".repeat(26), ""))
            .lines()
            .count(),
        150
    );
}

/// A permission that is worked out by following references holds whatever its Controller makes the broker look at.
#[test]
fn looking_at_much_forgets_no_permission() {
    let mut w = World::new();
    let boss = w.controller("self::boss");
    let c = w.controller("self::c");
    let hidden = "Device.LocalAgent.Controller.1.";
    w.add(boss, &format!("{hidden}BootParameter."), &["ParameterName=Device.LocalAgent.Controller.1"]);
    let target = format!("{hidden}BootParameter.[Alias==\"cpe-1\"].ParameterName+.");
    let limited = role(&mut w, boss, "L", &[("Device.", "rwxn"), (&target, "----")]);
    w.set(boss, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={limited}")]);
    let all: Vec<String> = (1..=150).map(|n| format!("{SUBSCRIPTIONS}{n}")).collect();
    for n in 1..=150 {
        w.subscribe(boss, &n.to_string(), "ValueChange", &all.join(","));
    }
    let much = format!("{SUBSCRIPTIONS}*.{}ID", "ReferenceList#*+.".repeat(28));
    let answer = text::answer(&w.ask(c, get(&[&much, &format!("{hidden}EndpointID")], 0)));
    assert!(answer.contains("7005") && !answer.contains("self::boss"), "{answer}");
}

#[test]
fn an_error_does_not_tell_where_a_hidden_reference_leads() {
    let mut w = World::new();
    let boss = w.controller("self::boss");
    let c = w.controller("self::c");
    w.lamp("self::lamp", "Device.X_Lamp.");
    w.add(boss, "Device.LocalAgent.Controller.1.BootParameter.", &["ParameterName=Device.X_Lamp.Zone.1"]);
    let lines =
        [("Device.", "rwxn"), ("Device.LocalAgent.Controller.1.BootParameter.*.ParameterName", "----")];
    let limited = role(&mut w, boss, "L", &lines);
    w.set(boss, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={limited}")]);
    let path = "Device.LocalAgent.Controller.1.BootParameter.[ParameterName+.Name==\"north\"].Alias";
    let answer = text::loud(&w.ask(c, get(&[path], 0)));
    assert!(!answer.contains("X_Lamp"), "{answer}");
}

#[test]
fn nobody_makes_settings_with_the_rights_of_another() {
    let mut w = World::new();
    let boss = w.controller("self::boss");
    let c = w.controller("self::c");
    let name = "Device.DeviceInfo.FriendlyName";
    let lines =
        [("Device.", "r--n"), (SUBSCRIPTIONS, "rw-n"), ("Device.DeviceInfo.ProvisioningCode", "rw--")];
    let limited = role(&mut w, boss, "L", &lines);
    w.set(boss, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={limited}")]);
    let row = w.subscribe(boss, "s", "ValueChange", "Device.DeviceInfo.ProvisioningCode");
    let settings = format!("TriggerConfigSettings={name}=mine");
    let answer = w.set(c, &row, &["TriggerAction=Config", &settings]);
    assert_eq!(answer, format!("Error 7006\n{row}TriggerConfigSettings: 7006"));
    let own = w.subscribe_with(
        c,
        "own",
        "ValueChange",
        "Device.DeviceInfo.ProvisioningCode",
        &["TriggerAction=Config"],
    );
    assert_eq!(w.set(c, &own, &[&settings]), format!("{own} {settings}"));
    w.set(c, "Device.DeviceInfo.", &["ProvisioningCode=now"]);
    assert_eq!(w.get(boss, name), format!("{name}="));
}

#[test]
fn a_timer_never_waits_longer_than_it_was_asked_to() {
    let mut w = World::new();
    let c = w.controller("self::c");
    w.subscribe_with(
        c,
        "t",
        "OperationComplete",
        "Device.ScheduleTimer()",
        &["Persistent=true", "NotifRetry=true"],
    );
    w.operate(c, "Device.ScheduleTimer()", "k", &["DelaySeconds=60"]);
    // The clock was a year ahead.
    let mut w = w.restart_after(-365 * 86_400, true);
    w.site("");
    let c = w.controller("self::c");
    w.wait(61);
    assert_eq!(w.notes(c).len(), 1);
}

#[test]
fn who_is_really_connected_is_told_there() {
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    let c = w.connect(MtpKind::Uds, Side::Agent, BOSS, true);
    w.subscribe(c, "s", "ValueChange", "Device.DeviceInfo.FriendlyName");
    w.mqtt_down(1, MqttFailure::Lost);
    w.mqtt_ready(1);
    w.mqtt_records();
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=x"]);
    assert_eq!(w.notes(c).len(), 1, "{:?}", w.mqtt_records());
}

fn register(path: &str) -> ReqType {
    let reg_paths = vec![usp::register::RegistrationPath { path: path.to_owned() }];
    ReqType::Register(usp::Register { allow_partial: false, reg_paths })
}

#[test]
fn a_service_over_mqtt_beyond_the_limit_is_answered() {
    let mut config = seeds();
    config.limits.max_services = 1;
    let mut w = World::with(config);
    w.mqtt_ready(1);
    w.lamp("self::lamp", "Device.X_Lamp.");
    w.mqtt_records();
    w.mqtt_say(1, "self::svc", message::request("m", register("Device.X_Svc.")), Some("svc"));
    let records = w.mqtt_records();
    assert!(records.len() == 1 && records[0].contains("7005"), "{records:?}");
}

#[test]
fn a_service_over_mqtt_that_is_no_longer_trusted_leaves_nothing() {
    let mut config = seeds();
    config.limits.max_services = 1;
    let mut w = World::with(config);
    w.mqtt_ready(1);
    let c = w.controller("self::c");
    let trust = "Device.USPServices.Trust.";
    w.add(c, trust, &["EndpointID=self::svc", "TargetPaths=Device.X_Svc."]);
    w.mqtt_say(1, "self::svc", message::request("m", register("Device.X_Svc.")), Some("svc"));
    assert!(w.get(c, "Device.USPServices.USPService.").contains("self::svc"));
    w.delete(c, &[&format!("{trust}1.")]);
    assert_eq!(w.get(c, "Device.USPServices.USPService."), "");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    assert_eq!(w.register(s, false, &["Device.X_Lamp."]), "Device.X_Lamp.");
}

#[test]
fn a_password_is_shown_nowhere() {
    let mut w = World::with(seeds());
    let c = w.controller("self::c");
    let secret = "very secret";
    let client = "Device.MQTT.Client.";
    w.subscribe(c, "p", "ValueChange", "Device.MQTT.");
    let both: &[&str] = &["Name=x", "Password=very secret 3", "Password=very secret 4"];
    let seen = [
        w.get(c, client),
        w.set(c, "Device.MQTT.Client.1.", &["Password=very secret 2"]),
        text::loud(&w.ask(c, add(false, &[(client, both)]))),
        w.get(c, "Device.MQTT.Client.[Password!=\"\"].Name"),
        w.notes(c).join("\n"),
        format!("{:?}", w.config),
    ];
    assert!(seen[2].contains("7014") && seen[3].is_empty(), "{seen:?}");
    assert!(seen.iter().all(|s| !s.contains(secret)), "{seen:?}");
}

#[test]
fn a_periodic_event_of_every_second_for_nobody_stays_bounded() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let more = ["NotifRetry=true", "Persistent=true"];
    w.subscribe_with(c, "p", "Event", "Device.LocalAgent.Periodic!", &more);
    w.set(c, "Device.LocalAgent.Controller.1.", &["PeriodicNotifInterval=1"]);
    w.disconnect(c);
    for jump in [3600, -7200, 86_400 * 365, -86_400 * 700, 0] {
        w.set_wall(jump);
        w.wait(600);
    }
    let c = w.controller("self::c");
    let mut told = 0;
    loop {
        let burst = w.take_notifies(c);
        told += burst.len();
        burst.iter().for_each(|(msg_id, _)| w.confirm(c, msg_id));
        if burst.is_empty() {
            break;
        }
    }
    assert_eq!(told, w.config.limits.max_notifications_per_controller);
}

#[test]
fn rights_that_the_disk_refused_stay_with_nobody() {
    let mut w = World::with(seeds());
    let boss = w.controller("self::boss");
    w.add(boss, "Device.LocalAgent.Controller.", &["EndpointID=self::c", "Enable=true"]);
    w.disk.mood = Mood::Slow;
    let role = "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1";
    let id = w.begin(boss, set(false, &[("Device.LocalAgent.Controller.2.", &[role])]));
    let c = w.controller("self::c");
    let (batch, _) = w.disk.open.remove(0);
    w.disk.mood = Mood::Good;
    w.input(Input::Stored { batch, result: Err("full".to_owned()) });
    assert!(text::answer(&w.answer(boss, &id).unwrap()).contains("7005"));
    let answer = text::answer(&w.ask(c, get(&["Device.DeviceInfo.ModelName"], 0)));
    assert!(answer.ends_with(": 7026"), "{answer}");
}

/// A Service over MQTT answers everything that it is asked, and says nothing by itself.
fn serve(w: &mut World, service: &mut FakeService) {
    loop {
        let requests = w.mqtt_requests();
        if requests.is_empty() {
            return;
        }
        for request in requests.iter().filter(|r| message::name(r) != "Notify") {
            let answers = service.answers(request).into_iter().map(|(_, msg)| msg);
            for answer in answers.filter(|msg| !message::is_request(msg)) {
                w.mqtt_say(1, "self::svc", answer, Some("svc"));
            }
        }
    }
}

/// What a Service over MQTT said while our client was away may be lost.
#[test]
fn a_command_that_ended_out_of_reach_ends_here_too() {
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    let c = w.controller("self::c");
    w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::svc", "TargetPaths=Device.X_Lamp."]);
    let mut service = lamp("Device.X_Lamp.");
    let row = "Device.LocalAgent.Request.7.";
    service.outcomes.push_back(OperationResp::ReqObjPath(row.trim_end_matches('.').to_owned()));
    let say = |w: &mut World, msg: usp::Msg| w.mqtt_say(1, "self::svc", msg, Some("svc"));
    say(&mut w, message::request("m", register("Device.X_Lamp.")));
    serve(&mut w, &mut service);
    w.subscribe_with(c, "done", "OperationComplete", "Device.X_Lamp.", &["NotifRetry=true"]);
    let id = w.begin(c, operate("Device.X_Lamp.Fade()", "k", &[]));
    serve(&mut w, &mut service);
    let started = text::loud(&w.answer(c, &id).unwrap());
    assert!(started.contains("LocalAgent.Request."), "{started}");
    assert!(w.get(c, "Device.LocalAgent.Request.*.Command").contains("Fade()"));
    for gone in [false, true] {
        w.mqtt_down(1, MqttFailure::Lost);
        w.mqtt_records();
        w.mqtt_ready(1);
        let asked = w.mqtt_requests();
        let request = asked.iter().find(|msg| message::name(msg) == "GetInstances").unwrap();
        let row = usp::get_instances_resp::CurrInstance {
            instantiated_obj_path: row.to_owned(),
            ..Default::default()
        };
        let curr_insts = if gone { Vec::new() } else { vec![row] };
        let result = usp::get_instances_resp::RequestedPathResult {
            requested_path: "Device.LocalAgent.Request.".to_owned(),
            curr_insts,
            ..Default::default()
        };
        let response = usp::GetInstancesResp { req_path_results: vec![result] };
        let response = RespType::GetInstancesResp(response);
        say(&mut w, message::response(message::msg_id(request), response));
        assert_eq!(w.get(c, "Device.LocalAgent.Request.*.Command").is_empty(), gone);
    }
    let notes = w.notes(c);
    assert!(notes.len() == 1 && notes[0].contains("7022"), "{notes:?}");
}

/// Rows times Subscriptions know no bound: who would flood itself is refused, and who floods itself by what others do ends.
#[test]
fn what_one_change_tells_is_bounded() {
    let mut config = crate::bench::config();
    config.limits.max_notifications_at_once = 100;
    let mut w = World::with(config);
    let c = w.controller("self::c");
    let table = "Device.LocalAgent.Controller.";
    for n in 0..10 {
        w.add(c, table, &[&format!("EndpointID=self::r{n}")]);
        w.subscribe(c, &format!("s{n}"), "ValueChange", &format!("{table}*.ProvisioningCode"));
    }
    w.notes(c);
    let all = format!("{table}*.");
    for partial in [false, true] {
        let answer = text::loud(&w.ask(c, set(partial, &[(&all, &["ProvisioningCode=x"])])));
        assert!(answer.contains("7005 your own Subscriptions would bring"), "{answer}");
    }
    assert!(w.notes(c).is_empty() && !w.get(c, &format!("{all}ProvisioningCode")).contains("=x"));
    w.delete(c, &[&format!("{table}[EndpointID==\"self::r9\"].")]);
    w.notes(c);
    w.set(c, &all, &["ProvisioningCode=y"]);
    assert_eq!(w.notes(c).len(), 100);
    let other = w.controller("self::other");
    let answer = w.set(other, &all, &["ProvisioningCode=z"]);
    assert_eq!(answer.lines().count(), 11, "{answer}");
    assert_eq!(w.notes(c).len(), 100);
    assert!(matches!(w.closed.last(), Some((conn, CloseReason::Limit(_))) if *conn == c), "{:?}", w.closed);
}

/// Each detail of a Service's Error may be put down to each entry of the Set that it answers.
#[test]
fn an_error_of_a_service_is_not_kept_for_each_entry_without_end() {
    for allow_partial in [true, false] {
        let mut w = World::new();
        let c = w.controller("self::c");
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        let detail = |n| usp::error::ParamError {
            param_path: format!("Device.X_Lamp.Zone.{n}.Level"),
            err_code: 7012,
            err_msg: "x".repeat(4000),
        };
        let service = w.services.get_mut(&s).unwrap();
        service.stubborn.insert("Device.X_Lamp.Zone.1.Level".to_owned(), 7012);
        service.strict = true;
        service.more_details = (1..1000).map(detail).collect();
        let zones = "Device.X_Lamp.Zone.*.";
        let entries = vec![(zones, ["Level=1"].as_slice()); 200];
        let answer = w.ask(c, set(allow_partial, &entries));
        let text = text::answer(&answer);
        assert!(text.contains("Device.X_Lamp.Zone.1.Level: 7012"), "what it names is told: {text:.300}");
        let kept = message::encode(&answer).len();
        assert!(kept < w.config.limits.max_answer_bytes * 3 / 2, "{kept} bytes");
    }
}
