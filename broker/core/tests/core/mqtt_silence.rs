//! Services over MQTT that die without a word, or only seem to.

use usp_core::mqtt::port::MqttFailure;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::notify::{Notification, ValueChange};
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::request::ReqType;

use crate::bench::World;
use crate::bench::mqtt::seeds;
use crate::bench::peer::{get, operate};
use crate::mqtt_peers::{cloud_service, cloud_service_of, register, serve};

const COLOUR: &str = "Device.X_Cloud.Colour";

/// How many questions whether it is there were sent since the last look.
fn questions(w: &mut World) -> usize {
    let records = w.mqtt_records();
    let question = |record: &&String| record.ends_with("GetSupportedProtocol");
    let count = records.iter().filter(question).count();
    assert!(records.iter().all(|record| record.starts_with("1 svc ")), "{records:?}");
    count
}

fn services(w: &mut World) -> String {
    let c = w.controller("self::looking");
    let count = w.get(c, "Device.USPServices.USPServiceNumberOfEntries");
    w.disconnect(c);
    count.rsplit('=').next().unwrap().to_owned()
}

#[test]
fn one_that_dies_without_a_word_loses_its_paths() {
    let (mut w, mut service) = cloud_service();
    let c = w.controller("self::c");
    w.subscribe(c, "ops", "OperationComplete", "Device.");
    w.notes(c);
    service.outcomes.push_back(OperationResp::ReqObjPath("Device.LocalAgent.Request.7.".to_owned()));
    let id = w.begin(c, operate("Device.X_Cloud.Fade()", "k", &[]));
    serve(&mut w, &mut service);
    assert!(w.answer(c, &id).is_some());

    w.wait(59);
    assert_eq!(questions(&mut w), 0);
    w.wait(1);
    assert_eq!(questions(&mut w), 1);
    w.wait(30);
    assert_eq!((questions(&mut w), services(&mut w)), (2, "1".to_owned()));
    w.wait(10);
    let records = w.mqtt_records();
    assert!(records.len() == 1 && records[0].contains("Disconnect 7105 you did not answer"), "{records:?}");
    assert_eq!(services(&mut w), "0");
    assert_eq!(w.get(c, COLOUR), format!("{COLOUR}: 7026"), "at once, and not after a time-out each");
    assert_eq!(w.notes(c), ["ops: OperationComplete Device.X_Cloud.Fade() 'k' 7022"]);
    w.wait(3600);
    assert!(w.mqtt_records().is_empty());
    assert_eq!(w.broker.pending(), 0);
}

#[test]
fn one_that_answers_is_asked_once_a_minute_at_most() {
    let (mut w, mut service) = cloud_service();
    for _ in 0..10 {
        w.wait(60);
        serve(&mut w, &mut service);
    }
    assert_eq!(services(&mut w), "1");
    let asked = service.count("GetSupportedProtocol");
    assert!((8..=11).contains(&asked), "{asked}");
    // What it says by itself is as good.
    for _ in 0..10 {
        w.wait(30);
        w.mqtt_say(1, "self::cloud", message::request("n", changed("s")), Some("svc"));
        serve(&mut w, &mut service);
    }
    assert_eq!(service.count("GetSupportedProtocol"), asked);
}

fn changed(id: &str) -> ReqType {
    let change = ValueChange { param_path: COLOUR.to_owned(), param_value: "blue".to_owned() };
    let notification = Some(Notification::ValueChange(change));
    ReqType::Notify(usp::Notify { subscription_id: id.to_owned(), send_resp: false, notification })
}

#[test]
fn a_request_without_an_answer_is_a_reason_to_ask() {
    let (mut w, mut service) = cloud_service();
    let c = w.controller("self::c");
    let id = w.begin(c, get(&[COLOUR], 0));
    w.wait(5);
    assert!(w.answer(c, &id).is_some(), "its time is over");
    assert_eq!(questions(&mut w), 1, "the Get was there too");
    w.wait(30);
    assert_eq!(services(&mut w), "1");
    w.wait(6);
    assert_eq!(services(&mut w), "0");

    // It registers again, and one that is merely slow is left alone.
    w.mqtt_records();
    w.mqtt_say(1, "self::cloud", message::request("r", register("Device.X_Cloud.")), Some("svc"));
    serve(&mut w, &mut service);
    let slow = w.begin(c, get(&[COLOUR], 0));
    w.wait(3);
    w.mqtt_say(1, "self::cloud", message::request("n", changed("s")), Some("svc"));
    w.wait(2);
    assert!(w.answer(c, &slow).is_some());
    assert_eq!(questions(&mut w), 0);
}

#[test]
fn one_that_has_much_to_answer_is_asked_before_it_counts_as_gone() {
    let mut config = seeds();
    config.limits.max_pending_per_service = 1;
    let (mut w, mut service) = cloud_service_of(config);
    let controllers: Vec<_> = (0..6).map(|n| w.controller(&format!("self::c{n}"))).collect();
    let mut asked = 0;
    // Whenever one request has run out of time the next is there.
    for _ in 0..12 {
        for c in controllers.iter().flat_map(|c| [*c; 4]) {
            w.begin(c, get(&[COLOUR], 0));
        }
        w.wait(5);
        for request in w.mqtt_requests().iter().filter(|r| message::name(r) == "GetSupportedProtocol") {
            asked += 1;
            for (_, answer) in service.answers(request) {
                w.mqtt_say(1, "self::cloud", answer, Some("svc"));
            }
        }
    }
    assert!(asked > 0);
    assert_eq!(services(&mut w), "1");
}

#[test]
fn while_our_client_is_away_nobody_is_missed() {
    let (mut w, mut service) = cloud_service();
    w.mqtt_down(1, MqttFailure::Unreachable);
    w.wait(3600);
    assert_eq!(services(&mut w), "1");
    w.mqtt_ready(1);
    serve(&mut w, &mut service);
    w.wait(50);
    assert_eq!(services(&mut w), "1");
}

#[test]
fn nobody_is_asked_where_that_is_not_wanted() {
    let mut config = seeds();
    config.limits.mqtt_service_silence = std::time::Duration::ZERO;
    let (mut w, _) = cloud_service_of(config);
    let c = w.controller("self::c");
    w.begin(c, get(&[COLOUR], 0));
    w.wait(3600);
    assert_eq!((questions(&mut w), services(&mut w)), (0, "1".to_owned()));
}

#[test]
fn one_that_does_not_know_that_it_was_forgotten_is_told() {
    let (mut w, _) = cloud_service();
    w.wait(200);
    assert_eq!(services(&mut w), "0");
    w.mqtt_records();
    w.mqtt_say(1, "self::cloud", message::request("n", changed("s")), Some("svc"));
    let records = w.mqtt_records();
    assert!(
        records.len() == 1 && records[0].contains("Disconnect 7105 you have nothing registered"),
        "{records:?}"
    );
    w.mqtt_say(1, "self::cloud", message::request("r", register("Device.X_Cloud.")), Some("svc"));
    assert_eq!(w.mqtt_records()[0], "1 svc (q1 reply usp/agent/hub) Device.X_Cloud.");
}
