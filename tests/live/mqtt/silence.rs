//! A Service at the server that answers, and then does not.

use usp_proto::usp::notify::{Notification, ValueChange};
use usp_proto::usp::register::RegistrationPath;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetSupportedProtocolResp, Notify, Register};

use super::*;

const SERVICE: &str = "self::cloud";
const SERVICE_TOPIC: &str = "usp/service/cloud";

/// Publishes a Message of the Service.
async fn say(peer: &mut Peer, msg: Msg) {
    let payload = Record::message(SERVICE.parse().unwrap(), "self::hub".parse().unwrap(), msg).encode();
    let properties = vec![Property::Text(Property::RESPONSE_TOPIC, SERVICE_TOPIC.to_owned())];
    let topic = HUB_TOPIC.to_owned();
    peer.say(&Packet::Publish(Publish { topic, properties, payload, ..Publish::default() })).await.unwrap();
}

async fn register(peer: &mut Peer) {
    let reg_paths = vec![RegistrationPath { path: "Device.X_Cloud.".to_owned() }];
    let register = ReqType::Register(Register { allow_partial: false, reg_paths });
    say(peer, message::request("register", register)).await;
    loop {
        let (msg, _) = message(peer).await;
        if message::msg_id(&msg) == "register" {
            assert_eq!(message::name(&msg), "RegisterResp");
            return;
        }
    }
}

/// Waits for a Disconnect Record; its reason.
async fn goodbye(peer: &mut Peer) -> String {
    loop {
        if let RecordBody::Disconnect { reason, .. } = record(peer).await.body {
            return reason;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_without_a_word_gives_its_paths_back() {
    let server = Mosquitto::start();
    let more = "[[object]]\npath = \"Device.USPServices.Trust.\"\n\
                params = { EndpointID = \"self::cloud\", TargetPaths = \"Device.X_Cloud.\" }\n\
                [limits]\nservice_timeout_ms = 500\nmqtt_service_silence_s = 1\n";
    let place = Place::new(ACTOR, &(main_client(&server, "") + more));
    let _broker = place.start();
    status(&place, "Connected");
    let mut peer = Peer::connect(server.address(), &Connect::client(5, "cloud")).await.unwrap();
    assert_eq!(peer.subscribe(&[(SERVICE_TOPIC, 1)]).await.unwrap(), [1]);
    register(&mut peer).await;
    let services = || place.cli().value("Device.USPServices.USPServiceNumberOfEntries");
    let mut answered = 0;
    while answered < 3 {
        let (msg, _) = message(&mut peer).await;
        if message::name(&msg) == "GetSupportedProtocol" {
            let agent_supported_protocol_versions = "1.4".to_owned();
            let answer = GetSupportedProtocolResp { agent_supported_protocol_versions };
            let answer = RespType::GetSupportedProtocolResp(answer);
            say(&mut peer, message::response(message::msg_id(&msg), answer)).await;
            answered += 1;
        }
    }
    assert_eq!(services(), "1");

    assert!(goodbye(&mut peer).await.contains("did not answer"));
    eventually("no Service", || (services() == "0").then_some(()));
    // It is told when it speaks as if nothing had happened, and may come again.
    let change = ValueChange { param_path: "Device.X_Cloud.A".to_owned(), param_value: String::new() };
    let notification = Some(Notification::ValueChange(change));
    let notify = Notify { subscription_id: "s".to_owned(), send_resp: false, notification };
    say(&mut peer, message::request("n", ReqType::Notify(notify))).await;
    assert!(goodbye(&mut peer).await.contains("register again"));
    register(&mut peer).await;
    assert_eq!(services(), "1");
}
