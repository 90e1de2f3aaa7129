//! Controllers and Services over MQTT: who is connected, what each may do, where answers go (R-MQTT.22 to R-MQTT.26a).

use usp_core::config::CoreConfig;
use usp_core::mqtt::port::{MqttEvent, MqttFailure};
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{BadRecord, Connect, Record};
use usp_proto::usp;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp_record::mqtt_connect_record::MqttVersion as WireVersion;

use crate::bench::mqtt::{BOSS, endpoint, seeds};
use crate::bench::peer::{add, get, operate, set};
use crate::bench::service::lamp;
use crate::bench::{BROKER, World};

const MODEL: &str = "Device.DeviceInfo.ModelName";

fn ready() -> World {
    let mut w = World::with(seeds());
    w.mqtt_ready(1);
    w.mqtt_orders();
    w
}

fn model() -> ReqType {
    get(&[MODEL], 0)
}

fn subscription() -> ReqType {
    let params = &[
        "ID=s",
        "NotifType=ValueChange",
        "ReferenceList=Device.DeviceInfo.FriendlyName",
        "Enable=true",
        "NotifRetry=true",
    ];
    add(false, &[("Device.LocalAgent.Subscription.", params)])
}

pub(crate) fn register(path: &str) -> ReqType {
    let reg_paths = vec![usp::register::RegistrationPath { path: path.to_owned() }];
    ReqType::Register(usp::Register { allow_partial: false, reg_paths })
}

fn connect_record(from: &str, version: WireVersion) -> Record {
    let connect = Connect::Mqtt { version, subscribed_topic: "svc".to_owned() };
    Record::connect(endpoint(from), endpoint(BROKER), connect)
}

#[test]
fn a_connect_record_comes_first_and_after_each_reconnect() {
    // R-MTP.6, R-MTP.8; TP-469 11.17
    let mut w = ready();
    let connect = "1 usp/ctrl/boss (q1 reply usp/agent/hub) Connect V5 usp/agent/hub";
    assert_eq!(w.mqtt_records(), [connect]);
    w.mqtt_down(1, MqttFailure::Lost);
    assert!(w.mqtt_records().is_empty());
    w.mqtt_ready(1);
    assert_eq!(w.mqtt_records(), [connect]);
    let leaves = Record::disconnect(endpoint(BOSS), endpoint(BROKER), ErrCode(0), "");
    w.mqtt_record(1, leaves.clone(), None);
    assert!(w.mqtt_records().is_empty());
    let answer = format!("1 usp/ctrl/boss (q1 reply usp/agent/hub) {MODEL}=Hub");
    assert_eq!(w.mqtt_ask(BOSS, model(), None), [connect, answer.as_str()]);
    w.mqtt_record(1, leaves, None);
    let bad = BadRecord {
        from: endpoint(BOSS),
        to: endpoint(BROKER),
        msg_id: "m".to_owned(),
        code: ErrCode::INVALID_ARGUMENTS,
        text: "no body".to_owned(),
    };
    w.mqtt_event(1, MqttEvent::BadRecord { bad, reply_to: None });
    assert_eq!(w.mqtt_records().len(), 2);
}

#[test]
fn an_answer_goes_where_its_request_wanted_it() {
    // R-MQTT.22, R-MQTT.26; TP-469 11.12, 11.14
    let mut w = ready();
    let answer = |topic: &str| format!("1 {topic} (q1 reply usp/agent/hub) {MODEL}=Hub");
    assert_eq!(w.mqtt_ask(BOSS, model(), Some("elsewhere/7")), [answer("elsewhere/7")]);
    assert_eq!(w.mqtt_ask(BOSS, model(), None), [answer("usp/ctrl/boss")]);
    for bad in ["a/#", "", "$SYS/x", &"x".repeat(3000)] {
        assert_eq!(w.mqtt_ask(BOSS, model(), Some(bad)), [answer("usp/ctrl/boss")], "not to {bad}");
    }
}

#[test]
fn answers_that_take_time_keep_their_topics_apart() {
    let mut w = ready();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, crate::bench::service::Manner::Slow(std::time::Duration::from_secs(1)));
    w.mqtt_records();
    for (id, topic) in [("a", "topic/a"), ("b", "topic/b")] {
        w.mqtt_say(1, BOSS, message::request(id, get(&["Device.X_Lamp.Colour"], 0)), Some(topic));
    }
    w.wait(2);
    let records = w.mqtt_records();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[0].starts_with("1 topic/a ") && records[1].starts_with("1 topic/b "), "{records:?}");
}

#[test]
fn notifications_go_to_the_controllers_topic_and_wait_for_it() {
    let mut w = ready();
    w.mqtt_ask(BOSS, subscription(), Some("elsewhere"));
    let c = w.controller("self::c");
    let name = |w: &mut World, name: &str| {
        w.set(c, "Device.DeviceInfo.", &[&format!("FriendlyName={name}")]);
        w.mqtt_records()
    };
    let notify = "1 usp/ctrl/boss (q1 reply usp/agent/hub) Notify";
    assert_eq!(name(&mut w, "one"), [notify]);
    w.mqtt_down(1, MqttFailure::Unreachable);
    assert!(name(&mut w, "two").is_empty());
    w.mqtt_ready(1);
    let records = w.mqtt_records();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[0].contains("Connect V5") && records[1] == notify, "{records:?}");
    // Confirmed: it is not sent again.
    name(&mut w, "three");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=four"]);
    let requests = w.mqtt_requests();
    for request in &requests {
        let resp = RespType::NotifyResp(usp::NotifyResp { subscription_id: "s".to_owned() });
        w.mqtt_say(1, BOSS, message::response(message::msg_id(request), resp), Some("usp/ctrl/boss"));
    }
    w.wait(3600);
    assert!(w.mqtt_records().is_empty());
}

#[test]
fn only_a_row_that_names_the_client_gives_its_role() {
    let mut w = ready();
    let refused = |records: Vec<String>| records.len() == 1 && records[0].contains("7006");
    assert!(refused(w.mqtt_ask("self::stranger", model(), Some("s"))));
    let c = w.controller("self::c");
    w.add(
        c,
        "Device.LocalAgent.Controller.",
        &["EndpointID=self::friend", "Enable=true", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    assert!(refused(w.mqtt_ask("self::friend", model(), Some("f"))), "no row says that it comes by this way");
    w.add(
        c,
        "Device.LocalAgent.Controller.3.MTP.",
        &["Enable=true", "Protocol=MQTT", "MQTT.Topic=usp/ctrl/friend"],
    );
    assert_eq!(w.mqtt_records()[0], "1 usp/ctrl/friend (q1 reply usp/agent/hub) Connect V5 usp/agent/hub");
    let records = w.mqtt_ask("self::friend", model(), Some("f"));
    assert!(records[0].ends_with("ModelName=Hub"), "{records:?}");
    // Moved, and gone.
    w.set(c, "Device.LocalAgent.Controller.3.MTP.1.MQTT.", &["Topic=usp/ctrl/new"]);
    let records = w.mqtt_records();
    assert!(records[0].starts_with("1 usp/ctrl/friend ") && records[0].contains("Disconnect"), "{records:?}");
    assert!(records[1].starts_with("1 usp/ctrl/new ") && records[1].contains("Connect V5"), "{records:?}");
    w.set(c, "Device.LocalAgent.Controller.3.", &["Enable=false"]);
    assert!(w.mqtt_records()[0].contains("Disconnect"));
    assert!(w.mqtt_ask("self::friend", model(), Some("f")).is_empty(), "a disabled Controller is not served");
}

#[test]
fn a_server_elsewhere_vouches_for_nobody_unless_the_row_says_so() {
    let mut config = seeds();
    config.seed.mqtt[0].host = "mqtt.example.com".to_owned();
    let mut w = World::with(config);
    w.mqtt_ready(1);
    assert!(w.mqtt_ask(BOSS, model(), None)[0].contains("7006"));
    w.mqtt_say(1, "self::svc", message::request("m", register("Device.X_Svc.")), Some("svc"));
    assert!(w.mqtt_records()[0].contains("7006"));
    let c = w.controller("self::c");
    w.set(c, "Device.MQTT.Client.1.", &["X_USPBROKER_Insecure=true"]);
    w.mqtt_records();
    assert!(w.mqtt_ask(BOSS, model(), None)[0].ends_with("ModelName=Hub"));
    assert!(w.mqtt_orders().iter().all(|order| !order.starts_with("Stop")), "no reconnect is needed");
}

#[test]
fn a_controller_may_change_its_own_way_and_is_answered_first() {
    let mut w = ready();
    let row = "Device.LocalAgent.Controller.1.MTP.1.MQTT.";
    let records = w.mqtt_ask(BOSS, set(false, &[(row, &["Topic=usp/ctrl/moved"])]), None);
    assert!(records[0].ends_with("Topic=usp/ctrl/moved"), "{records:?}");
    assert!(records[1].contains("usp/ctrl/boss") && records[1].contains("Disconnect"), "{records:?}");
    assert!(records[2].contains("usp/ctrl/moved") && records[2].contains("Connect"), "{records:?}");
}

#[test]
fn what_is_not_for_us_or_comes_at_the_wrong_time_is_ignored() {
    let mut w = World::with(seeds());
    let ask = |w: &mut World, client, from: &str, to: &str, reply_to: Option<&str>| {
        let msg = message::request("m", model());
        w.mqtt_record(client, Record::message(endpoint(from), endpoint(to), msg), reply_to);
        w.mqtt_records()
    };
    assert!(ask(&mut w, 1, BOSS, BROKER, Some("r")).is_empty(), "before Up");
    w.mqtt_up(1, crate::bench::mqtt::connack());
    assert!(ask(&mut w, 1, BOSS, BROKER, Some("r")).is_empty(), "before Subscribed (R-MQTT.17)");
    w.mqtt_event(1, MqttEvent::Subscribed { refused: Vec::new() });
    let records = w.mqtt_records();
    assert!(records.len() == 2 && records[1].starts_with("1 r "), "it was early, not lost: {records:?}");
    for (client, from, to, reply_to) in [
        (2, BOSS, BROKER, Some("r")),
        (1, BOSS, "os::000000-other", Some("r")),
        (1, BROKER, BROKER, Some("usp/agent/hub")),
        (1, "self::stranger", BROKER, None),
    ] {
        assert!(ask(&mut w, client, from, to, reply_to).is_empty(), "{client} {from} {to} {reply_to:?}");
    }
    w.mqtt_down(1, MqttFailure::Lost);
    assert!(ask(&mut w, 1, BOSS, BROKER, Some("r")).is_empty(), "after Down");
    assert_eq!(w.broker.pending(), 0);
}

/// What the server will never take is not sent again and again.
#[test]
fn a_notification_that_is_too_long_for_the_server_is_given_up() {
    let mut w = ready();
    w.mqtt_ask(BOSS, subscription(), None);
    let c = w.controller("self::c");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=one"]);
    let sent = w.mqtt_requests();
    assert_eq!(sent.len(), 1);
    let too_long = |to: &str, msg: &usp::Msg| MqttEvent::TooLong {
        to: endpoint(to),
        msg_id: message::msg_id(msg).to_owned(),
        max: 100,
    };
    w.mqtt_event(1, too_long("self::other", &sent[0]));
    w.wait(20);
    assert!(!w.mqtt_requests().is_empty(), "nobody else gives it up");
    w.mqtt_event(1, too_long(BOSS, &sent[0]));
    w.wait(10_000);
    assert!(w.mqtt_requests().is_empty());
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=two"]);
    assert_eq!(w.mqtt_requests().len(), 1, "the next one is another");
}

#[test]
fn a_request_that_is_too_long_for_the_server_has_failed_at_once() {
    let (mut w, _) = cloud_service();
    let c = w.controller("self::c");
    let id = w.begin(c, get(&["Device.X_Cloud.Colour"], 0));
    let sent = w.mqtt_requests();
    let msg_id = message::msg_id(&sent[0]).to_owned();
    w.mqtt_event(1, MqttEvent::TooLong { to: endpoint("self::cloud"), msg_id, max: 100 });
    let answer = crate::bench::text::loud(&w.answer(c, &id).unwrap());
    assert!(answer.contains("7005") && answer.contains("longer than the MQTT server takes"), "{answer}");
}

/// A kept session delivers at once what waited for it, however much it is.
#[test]
fn what_a_kept_session_delivers_is_answered_all_of_it() {
    let mut w = World::with(seeds());
    w.mqtt_up(1, crate::bench::mqtt::connack());
    for n in 0..300 {
        w.mqtt_say(1, BOSS, message::request(&format!("q{n}"), model()), Some("r"));
    }
    assert!(w.mqtt_records().is_empty());
    w.mqtt_event(1, MqttEvent::Subscribed { refused: Vec::new() });
    let records: Vec<String> = w.mqtt_records().into_iter().filter(|r| r.starts_with("1 r ")).collect();
    let good = records.iter().filter(|r| r.ends_with("ModelName=Hub")).count();
    let full = records.iter().filter(|r| r.ends_with("Error 7005")).count();
    assert_eq!((good, full), (256, 44), "{:?}", records.last());
    assert!(w.mqtt_ask(BOSS, model(), Some("r"))[0].ends_with("ModelName=Hub"), "and goes on");
}

/// By their bytes, so that long ones cost no more than short ones; and who has no way to be answered is no trouble.
#[test]
fn long_requests_that_come_early_are_bounded_by_their_bytes() {
    let mut w = World::with(seeds());
    w.mqtt_up(1, crate::bench::mqtt::connack());
    let long = || get(&[MODEL, &"x".repeat(300_000)], 0);
    for n in 0..8 {
        w.mqtt_say(1, BOSS, message::request(&format!("q{n}"), long()), Some("r"));
        w.mqtt_say(1, "self::stranger", message::request(&format!("s{n}"), long()), None);
    }
    w.mqtt_event(1, MqttEvent::Subscribed { refused: Vec::new() });
    let records: Vec<String> = w.mqtt_records().into_iter().filter(|r| r.starts_with("1 r ")).collect();
    let full = records.iter().filter(|r| r.ends_with("Error 7005")).count();
    assert!(records.len() == 8 && (1..8).contains(&full), "{full} of {}", records.len());
}

#[test]
fn a_bad_record_is_answered_where_there_is_a_way() {
    // R-MTP.5
    let mut w = ready();
    w.mqtt_records();
    let mut bad = |from: &str, to: &str, reply_to: Option<&str>| {
        let bad = BadRecord {
            from: endpoint(from),
            to: endpoint(to),
            msg_id: "m".to_owned(),
            code: ErrCode::INVALID_ARGUMENTS,
            text: "no body".to_owned(),
        };
        w.mqtt_event(1, MqttEvent::BadRecord { bad, reply_to: reply_to.map(str::to_owned) });
        w.mqtt_records().concat()
    };
    assert!(bad("self::x", BROKER, Some("x")).starts_with("1 x (q1 reply usp/agent/hub) Error 7004"));
    assert!(bad(BOSS, BROKER, None).starts_with("1 usp/ctrl/boss "));
    assert_eq!(bad("self::x", BROKER, None) + &bad("self::x", "os::000000-other", Some("x")), "");
}

#[test]
fn thousands_of_strangers_take_a_bounded_place() {
    let mut w = ready();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.manner(s, crate::bench::service::Manner::Silent);
    let c = w.controller("self::c");
    w.set(
        c,
        "Device.LocalAgent.ControllerTrust.",
        &["UntrustedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    w.mqtt_records();
    for n in 0..3000 {
        let msg = message::request("m", get(&["Device.X_Lamp.Colour"], 0));
        w.mqtt_say(1, &format!("self::stranger-{n}"), msg, Some("s"));
    }
    assert!(w.broker.pending() <= 200, "{} requests are open", w.broker.pending());
    w.wait(10);
    assert_eq!(w.broker.pending(), 0);
    let records = w.mqtt_records();
    let refused = records.iter().filter(|record| record.contains("7005")).count();
    assert_eq!((refused, records.len()), (3000 - 128, 3000), "each is answered, at once or at its deadline");
    // Idle ones give way.
    assert!(w.mqtt_ask("self::late", model(), Some("l"))[0].ends_with("ModelName=Hub"));
    assert!(w.mqtt_ask(BOSS, model(), None)[0].ends_with("ModelName=Hub"));
}

#[test]
fn a_session_context_is_refused_over_mqtt_too() {
    let mut w = ready();
    w.mqtt_records();
    let record = Record {
        body: usp_proto::record::RecordBody::Session { session_id: 1 },
        ..Record::disconnect(endpoint(BOSS), endpoint(BROKER), ErrCode(0), "")
    };
    w.mqtt_record(1, record, Some("r"));
    assert!(w.mqtt_records()[0].contains("Disconnect 7106"));
}

/// Lets a Service over MQTT answer everything that it is asked.
pub(crate) fn serve(w: &mut World, service: &mut crate::bench::service::FakeService) {
    loop {
        let requests = w.mqtt_requests();
        if requests.is_empty() {
            return;
        }
        for request in requests.iter().filter(|r| message::name(r) != "Notify") {
            for (_, answer) in service.answers(request) {
                w.mqtt_say(1, "self::cloud", answer, Some("svc"));
            }
        }
    }
}

/// `Device.X_Cloud.` of a Service over MQTT, registered and discovered.
pub(crate) fn cloud_service() -> (World, crate::bench::service::FakeService) {
    cloud_service_of(seeds())
}

/// The same with other settings.
pub(crate) fn cloud_service_of(config: CoreConfig) -> (World, crate::bench::service::FakeService) {
    let mut w = World::with(config);
    w.mqtt_ready(1);
    w.mqtt_orders();
    let c = w.controller("self::admin");
    w.add(c, "Device.USPServices.Trust.", &["EndpointID=self::cloud", "TargetPaths=Device.X_Cloud."]);
    w.disconnect(c);
    w.mqtt_records();
    w.mqtt_record(1, connect_record("self::cloud", WireVersion::V5), Some("svc"));
    w.mqtt_say(1, "self::cloud", message::request("r", register("Device.X_Cloud.")), Some("svc"));
    assert_eq!(w.mqtt_records()[0], "1 svc (q1 reply usp/agent/hub) Device.X_Cloud.");
    let mut service = lamp("Device.X_Cloud.");
    w.wait(10);
    serve(&mut w, &mut service);
    (w, service)
}

#[test]
fn a_cloud_service_registers_and_serves() {
    let (mut w, mut service) = cloud_service();
    let c = w.controller("self::c");
    assert_eq!(
        w.get(c, "Device.USPServices.USPService.*.Protocol"),
        "Device.USPServices.USPService.1.Protocol=MQTT"
    );
    let id = w.begin(c, get(&["Device.X_Cloud.Colour"], 0));
    serve(&mut w, &mut service);
    assert_eq!(crate::bench::text::answer(&w.answer(c, &id).unwrap()), "Device.X_Cloud.Colour=red");
}

#[test]
fn a_cloud_service_stays_registered_while_the_server_is_away() {
    let (mut w, mut service) = cloud_service();
    let c = w.controller("self::c");
    let open = w.begin(c, get(&["Device.X_Cloud.Colour"], 0));
    w.mqtt_down(1, MqttFailure::Lost);
    assert!(w.answer(c, &open).is_some(), "nobody waits for an answer that cannot come");
    let at_once = w.get(c, "Device.X_Cloud.Colour");
    assert!(at_once.contains("7003"), "{at_once}");
    w.mqtt_ready(1);
    serve(&mut w, &mut service);
    let id = w.begin(c, get(&["Device.X_Cloud.Colour"], 0));
    serve(&mut w, &mut service);
    assert_eq!(crate::bench::text::answer(&w.answer(c, &id).unwrap()), "Device.X_Cloud.Colour=red");
}

#[test]
fn a_cloud_service_may_be_a_controller_too_and_leave() {
    let (mut w, mut service) = cloud_service();
    assert!(w.mqtt_ask("self::cloud", model(), Some("svc"))[0].contains("7006"), "it has no row");
    let c = w.controller("self::c");
    w.add(
        c,
        "Device.LocalAgent.Controller.",
        &["EndpointID=self::cloud", "Enable=true", "AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"],
    );
    w.add(c, "Device.LocalAgent.Controller.4.MTP.", &["Enable=true", "MQTT.Topic=svc"]);
    serve(&mut w, &mut service);
    let rows =
        w.get(c, "Device.LocalAgent.Controller.[EndpointID==\"self::cloud\"].MTP.*.MQTT.USPServiceRef");
    assert!(rows.ends_with("=Device.USPServices.USPService.1"), "{rows}");
    // A crash leaves no reference to a row that is gone.
    let stored = w.disk.stored("Device.LocalAgent.Controller.4.MTP.1.MQTT.", "USPServiceRef");
    assert_eq!(stored, None);
    assert!(w.mqtt_ask("self::cloud", model(), Some("svc"))[0].ends_with("ModelName=Hub"));
    let record = Record::disconnect(endpoint("self::cloud"), endpoint(BROKER), ErrCode(0), "bye");
    w.mqtt_record(1, record, None);
    assert_eq!(
        w.get(c, "Device.USPServices.USPServiceNumberOfEntries"),
        "Device.USPServices.USPServiceNumberOfEntries=0"
    );
}

#[test]
fn a_cloud_service_ends_with_the_mtp_that_it_came_by() {
    let (mut w, _) = cloud_service();
    let c = w.controller("self::c");
    w.add(c, "Device.MQTT.Client.1.Subscription.", &["Topic=news", "Enable=true"]);
    w.mqtt_records();
    w.set(c, "Device.LocalAgent.MTP.3.", &["Enable=false"]);
    let records = w.mqtt_records();
    assert_eq!(records.iter().filter(|r| r.contains("Disconnect 7105")).count(), 2, "{records:?}");
    let services = w.get(c, "Device.USPServices.USPServiceNumberOfEntries");
    assert!(services.ends_with("=0"), "{services}");
    assert!(w.mqtt_ask(BOSS, model(), Some("r")).is_empty(), "the client is there, but no Agent");
    w.set(c, "Device.LocalAgent.MTP.3.", &["Enable=true"]);
    w.mqtt_event(1, MqttEvent::Subscribed { refused: Vec::new() });
    assert!(w.mqtt_records()[0].contains("Connect V5"));
}

#[test]
fn nobody_takes_a_services_place_over_mqtt() {
    let mut w = ready();
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    w.mqtt_records();
    w.mqtt_say(1, "self::lamp", message::request("m", register("Device.X_Lamp.")), Some("evil"));
    assert!(w.mqtt_records()[0].contains("7006"));
    w.mqtt_record(1, connect_record("self::lamp", WireVersion::V5), Some("evil"));
    w.mqtt_record(
        1,
        Record::disconnect(endpoint("self::lamp"), endpoint(BROKER), ErrCode(0), ""),
        Some("evil"),
    );
    let c = w.controller("self::c");
    let id = w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
    assert_eq!(crate::bench::text::answer(&w.answer(c, &id).unwrap()), "Device.X_Lamp.Colour=red");
    assert!(!w.closed.iter().any(|(conn, _)| *conn == s));
}

#[test]
fn a_service_that_may_register_nothing_is_not_remembered() {
    let mut config = seeds();
    config.limits.max_services = 2;
    let mut w = World::with(config);
    w.mqtt_ready(1);
    w.mqtt_records();
    for n in 0..10 {
        let from = format!("self::svc-{n}");
        w.mqtt_say(1, &from, message::request("m", register("Device.X_Svc.")), Some("svc"));
        let told = w.mqtt_records().concat();
        assert!(told.starts_with("1 svc ") && told.contains("7028"), "{told}");
    }
}

#[test]
fn a_peer_of_another_mqtt_version_is_told_once_and_not_heard() {
    // R-MQTT.26a
    let mut w = ready();
    w.mqtt_records();
    w.mqtt_record(1, connect_record("self::old", WireVersion::V311), Some("old"));
    assert!(w.mqtt_records()[0].contains("1 old (q1 reply usp/agent/hub) Disconnect 7104"));
    w.mqtt_record(1, connect_record("self::old", WireVersion::V311), Some("old"));
    assert!(w.mqtt_ask("self::old", operate("Device.Reboot()", "", &[]), Some("old")).is_empty());
    w.mqtt_record(1, connect_record("self::old", WireVersion::V5), Some("old"));
    assert_eq!(w.mqtt_ask("self::old", model(), Some("old")).len(), 1);
}

#[test]
fn the_newest_transport_of_a_controller_gets_its_notifications() {
    let mut w = ready();
    w.mqtt_ask(BOSS, subscription(), None);
    let ws = w.connect(usp_core::input::MtpKind::WebSocket, usp_core::input::Side::Agent, BOSS, true);
    let c = w.controller("self::c");
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=one"]);
    assert_eq!((w.notes(ws).len(), w.mqtt_records().len()), (1, 0));
    w.disconnect(ws);
    w.set(c, "Device.DeviceInfo.", &["FriendlyName=two"]);
    assert_eq!(w.mqtt_records().len(), 1);
}
