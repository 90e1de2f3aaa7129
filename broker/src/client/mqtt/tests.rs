//! A Controller against a server and an Agent that are played.

use usp_proto::record::Record;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_simulators::mqtt::{Connack, Packet, Peer, Property, Publish, Server};

use super::super::fake::{agent, controller, echo, message_in};
use super::super::{Client, Options, RequestError};

async fn stage(query: &str) -> (Server, Options) {
    let server = Server::start().await.unwrap();
    let address = server.address().unwrap();
    let via = format!("mqtt://me@{address}/usp/hub1?agent={}{query}", agent());
    (server, Options::new(via.parse().unwrap(), controller()))
}

async fn accepted(server: &Server) -> Peer {
    let (mut peer, connect) = server.connected().await.unwrap();
    assert_eq!(connect.username.as_deref(), Some("me"));
    let properties = match connect.version {
        5 => vec![Property::Text(Property::ASSIGNED_CLIENT, "any".to_owned())],
        _ => Vec::new(),
    };
    assert_eq!(connect.client_id.is_empty(), connect.version == 5);
    peer.say(&Packet::Connack(Connack { properties, ..Connack::default() })).await.unwrap();
    peer
}

async fn subscribed(peer: &mut Peer, code: u8) -> String {
    let Some(Packet::Subscribe { id, filters }) = peer.next().await.unwrap() else { panic!("no SUBSCRIBE") };
    peer.say(&Packet::Suback { id, codes: vec![code] }).await.unwrap();
    filters[0].0.clone()
}

fn get() -> ReqType {
    ReqType::Get(Get { param_paths: vec!["Device.A".to_owned()], max_depth: 0 })
}

async fn asks(query: &str, subscription: &str, asked: &str, answered: &str) {
    let (server, options) = stage(query).await;
    let agent_side = async {
        let mut peer = accepted(&server).await;
        assert_eq!(subscribed(&mut peer, 1).await, subscription);
        let request = peer.publication().await.unwrap();
        assert_eq!(request.topic, asked);
        if peer.version == 5 {
            assert_eq!(request.text(Property::RESPONSE_TOPIC), Some(answered));
            assert_eq!(request.text(Property::CONTENT_TYPE), Some("usp.msg"));
        }
        let answer = Record::message(agent(), controller(), echo(&message_in(&request.payload)));
        let topic = answered.to_owned();
        let publish = Publish { topic, payload: answer.encode(), ..Publish::default() };
        peer.say(&Packet::Publish(publish)).await.unwrap();
        assert_eq!(peer.next().await.unwrap(), Some(Packet::Disconnect { code: 0 }));
    };
    let controller_side = async {
        let (client, _notifications) = Client::connect(&options).await.unwrap();
        assert_eq!(*client.agent(), agent());
        client.request(get()).await.unwrap();
        client.close().await;
    };
    tokio::join!(agent_side, controller_side);
}

#[tokio::test]
async fn asks_and_is_answered_in_both_versions() {
    asks("", "usp/controller/self::ctrl%21", "usp/hub1", "usp/controller/self::ctrl%21").await;
    asks("&reply=my/own&qos=0", "my/own", "usp/hub1", "my/own").await;
    let asked = "usp/hub1/reply-to=my%2Fown";
    asks("&version=3.1.1&reply=my/own", "my/own/#", asked, "my/own/reply-to=usp%2Fhub1").await;
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let (server, options) = stage("").await;
    let refuse = async {
        let (mut peer, _) = server.connected().await.unwrap();
        peer.say(&Packet::Connack(Connack { code: 0x86, ..Connack::default() })).await.unwrap();
    };
    let ((), failure) = tokio::join!(refuse, Client::connect(&options));
    let text = failure.unwrap_err().to_string();
    assert!(text.ends_with("the server refuses us: bad user name password"), "{text}");

    let refuse = async {
        let mut peer = accepted(&server).await;
        subscribed(&mut peer, 0x87).await;
        peer
    };
    let (_peer, failure) = tokio::join!(refuse, Client::connect(&options));
    let text = failure.unwrap_err().to_string();
    assert!(
        text.contains("refuses our subscription to `usp/controller/self::ctrl%21`: not authorized"),
        "{text}"
    );

    let refuse = async {
        let mut peer = accepted(&server).await;
        subscribed(&mut peer, 1).await;
        let Some(Packet::Publish(publish)) = peer.next().await.unwrap() else { panic!("no PUBLISH") };
        peer.say(&Packet::Puback { id: publish.id, code: 0x87 }).await.unwrap();
        peer
    };
    let asks = async {
        let (client, _notifications) = Client::connect(&options).await.unwrap();
        client.request(get()).await
    };
    let (_peer, answer) = tokio::join!(refuse, asks);
    let Err(RequestError::Closed(text)) = answer else { panic!("{answer:?}") };
    assert_eq!(text, "what we published to `usp/hub1` reached nobody: not authorized");
}

#[tokio::test]
async fn a_server_that_does_not_run_is_told_as_such() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for version in ["5.0", "3.1.1"] {
        let via: crate::client::Via =
            format!("mqtt://127.0.0.1:{port}/usp/agent/self::hub?version={version}").parse().unwrap();
        let options = crate::client::Options::new(via, "self::me".parse().unwrap());
        let error = crate::client::Client::connect(&options).await.map(drop).unwrap_err().to_string();
        assert!(
            error.contains(&format!("127.0.0.1:{port}")) && error.contains("no MQTT server listens there"),
            "{error}"
        );
    }
}
