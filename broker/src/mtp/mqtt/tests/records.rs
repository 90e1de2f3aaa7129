//! PUBLISH, both ways.

use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use super::*;

/// TP-469 11.12, 11.13 in 5.0: R-MQTT.18, R-MQTT.20, R-MQTT.22, R-MQTT.23, R-MQTT.27.
#[tokio::test]
async fn a_record_is_published_with_its_properties_and_the_quality_the_server_takes() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(vec![Property::Byte(Property::MAXIMUM_QOS, 1)]).await;
    stage.subscribed(&mut peer).await;
    for (wanted, expected) in [(0, 0), (1, 1), (2, 1)] {
        stage.publish(hello("proto::ctrl"), wanted, None);
        let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
        assert_eq!((publish.qos, publish.retain, publish.topic.as_str()), (expected, false, "usp/ctrl"));
        assert_eq!(publish.text(Property::CONTENT_TYPE), Some("usp.msg"));
        assert_eq!(publish.text(Property::RESPONSE_TOPIC), Some("usp/hub1"));
        assert_eq!(publish.payload, hello("proto::ctrl").encode());
    }
}

/// TP-469 11.12, 11.14 in 3.1.1: R-MQTT.24, R-MQTT.25. Without an identifier the Endpoint ID is used (R-MQTT.8).
#[tokio::test]
async fn in_the_older_version_reply_topics_are_in_the_topic() {
    let mut stage = Stage::new().await;
    let settings = MqttSettings { version: MqttVersion::V311, client_id: String::new(), ..stage.settings() };
    stage.run(settings);
    let (mut peer, connect, up) = stage.up(Vec::new()).await;
    assert_eq!((connect.version, connect.client_id.as_str()), (4, "proto::broker"));
    assert_eq!(up.client_id, "proto::broker");
    stage.subscribed(&mut peer).await;
    stage.publish(hello("proto::ctrl"), 1, None);
    let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
    assert_eq!(publish.topic, "usp/ctrl/reply-to=usp%2Fhub1");
    let topic = "usp/hub1/reply-to=usp%2Fctrl%2F1".to_owned();
    peer.say(&Packet::Publish(Publish { topic, ..from_controller(Vec::new()) })).await.unwrap();
    let MqttEvent::Record { reply_to, .. } = stage.event().await else { panic!("no Record") };
    assert_eq!(reply_to.as_deref(), Some("usp/ctrl/1"));
}

/// TP-469 11.15, R-MQTT.27a; R-MTP.5 for what is no Record.
#[tokio::test]
async fn both_content_types_are_taken_and_others_are_ignored() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    let kind = |text: &str| Property::Text(Property::CONTENT_TYPE, text.to_owned());
    let reply = |text: &str| Property::Text(Property::RESPONSE_TOPIC, text.to_owned());
    for (properties, payload) in [
        (vec![kind("text/plain"), reply("0")], None),
        (vec![kind("usp.msg"), reply("1")], None),
        (vec![reply("2")], Some(b"\xff\xff no Record".to_vec())),
        (vec![reply("2")], Some(Vec::new())),
        (vec![kind("application/vnd.bbf.usp.msg"), reply("3")], None),
        (vec![reply("4")], None),
    ] {
        let good = from_controller(properties);
        let payload = payload.unwrap_or(good.payload.clone());
        peer.say(&Packet::Publish(Publish { payload, ..good })).await.unwrap();
    }
    for expected in ["1", "3", "4"] {
        let MqttEvent::Record { reply_to, .. } = stage.event().await else { panic!("no Record") };
        assert_eq!(reply_to.as_deref(), Some(expected));
    }
}

/// A request that a server keeps would be carried out again after each reconnect.
#[tokio::test]
async fn what_the_server_kept_is_ignored() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let mut stage = Stage::new().await;
        stage.run(MqttSettings { version, ..stage.settings() });
        let (mut peer, ..) = stage.up(Vec::new()).await;
        stage.subscribed(&mut peer).await;
        for (retain, reply_to) in [(true, "old"), (false, "new")] {
            let topic = format!("usp/hub1/reply-to={reply_to}");
            let reply = Property::Text(Property::RESPONSE_TOPIC, reply_to.to_owned());
            let properties = if version == MqttVersion::V5 { vec![reply] } else { Vec::new() };
            let publish = Publish { retain, topic, ..from_controller(properties) };
            peer.say(&Packet::Publish(publish)).await.unwrap();
        }
        let MqttEvent::Record { reply_to, .. } = stage.event().await else { panic!("no Record") };
        assert_eq!(reply_to.as_deref(), Some("new"), "{version:?}");
    }
}

#[tokio::test]
async fn a_publication_of_quality_1_is_acknowledged() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    peer.say(&Packet::Publish(Publish { qos: 1, id: 77, ..from_controller(Vec::new()) })).await.unwrap();
    assert_eq!(packet(&mut peer).await, Some(Packet::Puback { id: 77, code: 0 }));
}

/// A Record that the server would refuse, and us with it, is dropped alone.
#[tokio::test]
async fn a_record_longer_than_the_server_takes_is_not_sent() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(vec![Property::Long(Property::MAXIMUM_PACKET, 2000)]).await;
    stage.subscribed(&mut peer).await;
    stage.publish(notify("n1", 5000), 1, None);
    stage.publish(hello("proto::ctrl"), 1, None);
    let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
    assert_eq!(publish.payload, hello("proto::ctrl").encode());
    let MqttEvent::TooLong { to, msg_id, max } = stage.event().await else { panic!("nothing is told") };
    assert_eq!((to.as_str(), &*msg_id, max), ("proto::ctrl", "n1", 2000));
}

fn notify(msg_id: &str, bytes: usize) -> Record {
    let notify = usp::Notify { subscription_id: "x".repeat(bytes), ..usp::Notify::default() };
    let (own, ctrl) = ("proto::hub".parse().unwrap(), "proto::ctrl".parse().unwrap());
    Record::message(own, ctrl, message::request(msg_id, ReqType::Notify(notify)))
}

/// An Error is an answer too: its code arrives, without what makes it long.
#[tokio::test]
async fn an_error_longer_than_the_server_takes_loses_its_details_only() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(vec![Property::Long(Property::MAXIMUM_PACKET, 500)]).await;
    stage.subscribed(&mut peer).await;
    let params = |count| {
        let param = usp::error::ParamError { param_path: "Device.X_".repeat(9), ..Default::default() };
        vec![param; count]
    };
    let short = "its details are left out: the MQTT server takes 500 bytes";
    for (text, expected) in [("no", format!("no ({short})")), (&*"x".repeat(600), short.to_owned())] {
        let (own, ctrl) = ("proto::hub".parse().unwrap(), "proto::ctrl".parse().unwrap());
        let error = message::error("7", ErrCode::INVALID_VALUE, text, params(40));
        stage.publish(Record::message(own, ctrl, error), 1, None);
        let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
        let record = Record::decode(&publish.payload).unwrap();
        let msg = record.msg().unwrap();
        let Some(MsgBody::Error(error)) = message::body(msg) else { panic!("{msg:?}") };
        assert_eq!((message::msg_id(msg), error.err_code, error.param_errs.len()), ("7", 7012, 0));
        assert_eq!(error.err_msg, expected);
    }
}

/// Whoever waits for an answer that is too long is told so (R-MSG.0).
#[tokio::test]
async fn an_answer_longer_than_the_server_takes_is_an_error() {
    let mut stage = Stage::new().await;
    stage.run(stage.settings());
    let (mut peer, ..) = stage.up(vec![Property::Long(Property::MAXIMUM_PACKET, 2000)]).await;
    stage.subscribed(&mut peer).await;
    let result = usp::get_resp::RequestedPathResult { err_msg: "x".repeat(5000), ..Default::default() };
    let response = RespType::GetResp(usp::GetResp { req_path_results: vec![result] });
    let (own, ctrl) = ("proto::hub".parse().unwrap(), "proto::ctrl".parse().unwrap());
    stage.publish(Record::message(own, ctrl, message::response("7", response)), 1, None);
    let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
    let record = Record::decode(&publish.payload).unwrap();
    let msg = record.msg().unwrap();
    let Some(MsgBody::Error(error)) = message::body(msg) else { panic!("{msg:?}") };
    assert_eq!((message::msg_id(msg), error.err_code), ("7", 7005));
    assert!(error.err_msg.contains("GetResp") && error.err_msg.contains("2000"), "{}", error.err_msg);
}

/// Topics that nothing can be published to come from peers, as their Response Topics.
#[tokio::test]
async fn a_topic_that_is_none_costs_its_own_record_only() {
    let mut stage = Stage::new().await;
    stage.run(MqttSettings { version: MqttVersion::V311, ..stage.settings() });
    let (mut peer, ..) = stage.up(Vec::new()).await;
    stage.subscribed(&mut peer).await;
    for topic in ["", "a/#", "a/+/b", "nul\0", &"x".repeat(65_530)] {
        let publish = MqttPublish {
            topic: topic.to_owned(),
            reply_to: Some("usp/hub1".to_owned()),
            qos: 1,
            record: hello("proto::ctrl"),
            merge: None,
        };
        stage.clients.order(MqttOrder::Publish { client: 1, publish: Box::new(publish) }, 0);
    }
    stage.publish(hello("proto::ctrl"), 1, None);
    let publish = timeout(PATIENCE, peer.publication()).await.unwrap().unwrap();
    assert_eq!(publish.topic, "usp/ctrl/reply-to=usp%2Fhub1");
}
