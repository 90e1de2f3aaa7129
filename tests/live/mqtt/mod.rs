//! The broker, its command line and raw clients at a real mosquitto.

mod commands;
mod connections;
mod records;
mod silence;

use std::time::Duration;

use usp_proto::message;
use usp_proto::record::{Record, RecordBody};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{Get, Msg};
use usp_simulators::mqtt::{Connect, Packet, Peer, Property, Publish};
use usp_tests::cli::Cli;
use usp_tests::mosquitto::Mosquitto;
use usp_tests::place::Place;
use usp_tests::wait::{PATIENCE, eventually};

use crate::ACTOR;

/// The Controller that all tests know, and where it listens.
const OPERATOR: &str = "self::op";
const OPERATOR_TOPIC: &str = "usp/controller/self::op";

/// Where the broker listens.
const HUB_TOPIC: &str = "usp/agent/self::hub";

/// `broker.toml` for a hub with one client, and with what more its section has.
fn main_client(server: &Mosquitto, more: &str) -> String {
    format!(
        "[[mqtt]]\nname = \"main\"\nbroker = \"{}\"\nresponse_topic = \"{HUB_TOPIC}\"\n{more}\n\
         [[controller]]\nendpoint_id = \"{OPERATOR}\"\nrole = \"Full Access\"\n\
         params = {{ USPNotifRetryMinimumWaitInterval = 1 }}\n\
         mqtt = {{ client = \"main\", topic = \"{OPERATOR_TOPIC}\" }}\n",
        server.address()
    )
}

/// Retries as fast as they may be.
const EAGER: &str = "params = { ConnectRetryTime = 1, ConnectRetryMaxInterval = 1 }";

fn hub(server: &Mosquitto, more: &str) -> Place {
    Place::new(ACTOR, &main_client(server, more))
}

/// The command line as the operator, through the server.
fn operator(server: &Mosquitto, place: &Place, query: &str) -> Cli {
    let via = format!("mqtt://{}/{HUB_TOPIC}?{query}", server.address());
    Cli::new(ACTOR, &via, place.dir()).acting_as(OPERATOR)
}

/// Waits until the broker's client has this status.
fn status(place: &Place, expected: &str) {
    let cli = place.cli();
    eventually(expected, || {
        (cli.values("Device.MQTT.Client.1.Status").into_values().next()? == expected).then_some(())
    });
}

/// A raw client that listens where Records for the operator come.
async fn listener(server: &Mosquitto, version: u8) -> Peer {
    let mut peer = Peer::connect(server.address(), &Connect::client(version, "listener")).await.unwrap();
    let filter = if version == 5 { OPERATOR_TOPIC.to_owned() } else { format!("{OPERATOR_TOPIC}/#") };
    assert_eq!(peer.subscribe(&[(&filter, 1)]).await.unwrap(), [1]);
    peer
}

async fn publication(peer: &mut Peer) -> Publish {
    tokio::time::timeout(PATIENCE, peer.publication()).await.expect("a publication").unwrap()
}

async fn record(peer: &mut Peer) -> Record {
    Record::decode(&publication(peer).await.payload).unwrap()
}

/// The next Record with a Message; Connect Records are passed over.
async fn message(peer: &mut Peer) -> (Msg, Publish) {
    loop {
        let publish = publication(peer).await;
        if let RecordBody::Message(msg) = Record::decode(&publish.payload).unwrap().body {
            return (*msg, publish);
        }
    }
}

fn get(msg_id: &str) -> Vec<u8> {
    let get = Get { param_paths: vec!["Device.DeviceInfo.Manufacturer".to_owned()], max_depth: 0 };
    let msg = message::request(msg_id, ReqType::Get(get));
    Record::message(OPERATOR.parse().unwrap(), "self::hub".parse().unwrap(), msg).encode()
}

/// A Get as a 5.0 Controller publishes it.
fn request(msg_id: &str, properties: Vec<Property>) -> Packet {
    let reply = Property::Text(Property::RESPONSE_TOPIC, OPERATOR_TOPIC.to_owned());
    let properties = [vec![reply], properties].concat();
    Packet::Publish(Publish {
        topic: HUB_TOPIC.to_owned(),
        properties,
        payload: get(msg_id),
        ..Publish::default()
    })
}

/// Waits for the answer to a Get, whatever else comes.
async fn answer(peer: &mut Peer, msg_id: &str) -> Publish {
    loop {
        let (msg, publish) = message(peer).await;
        if message::msg_id(&msg) == msg_id {
            let is_response = matches!(message::body(&msg), Some(MsgBody::Response(_)));
            assert!(is_response, "{msg:?}");
            return publish;
        }
    }
}

/// As long as something is watched that must not happen.
const QUIET: Duration = Duration::from_millis(300);

async fn nothing_comes(peer: &mut Peer) {
    let came = tokio::time::timeout(QUIET, peer.publication()).await;
    assert!(came.is_err(), "{came:?}");
}
