//! Clients against a server that says exactly what a test wants.

mod connecting;
mod ends;
mod records;

use std::time::Duration;

use tokio::time::{Instant, timeout};
use usp_core::input::Input;
use usp_core::mqtt::port::{
    MqttEvent, MqttFailure, MqttFilter, MqttOrder, MqttPublish, MqttSettings, MqttUp, MqttVersion,
};
use usp_proto::record::Record;
use usp_simulators::mqtt::{Connack, Connect, Packet, Peer, Property, Publish, Server};

use super::Clients;
use super::testing::settings;
use crate::config::EdgeLimits;
use crate::mtp::Event;
use crate::mtp::testing::{Bench, PATIENCE, hello, long};

/// One client, its server, and what the core would hear.
struct Stage {
    server: Server,
    clients: Clients,
    bench: Bench,
}

impl Stage {
    async fn with(limits: EdgeLimits) -> Self {
        let bench = Bench::new(limits);
        let server = Server::start().await.unwrap();
        Self { server, clients: Clients::new(bench.gateway.clone()), bench }
    }

    async fn new() -> Self {
        Self::with(EdgeLimits::default()).await
    }

    fn settings(&self) -> MqttSettings {
        settings(self.server.address().unwrap().port())
    }

    fn run(&mut self, settings: MqttSettings) {
        self.clients.order(MqttOrder::Run { client: 1, settings: Box::new(settings) }, 0);
    }

    async fn connected(&self) -> (Peer, Connect) {
        timeout(PATIENCE, self.server.connected()).await.expect("a connection").unwrap()
    }

    /// The client connects and the server accepts it.
    async fn up(&mut self, properties: Vec<Property>) -> (Peer, Connect, MqttUp) {
        let (mut peer, connect) = self.connected().await;
        peer.say(&Packet::Connack(Connack { properties, ..Connack::default() })).await.unwrap();
        let MqttEvent::Up(up) = self.event().await else { panic!("not up") };
        (peer, connect, up)
    }

    async fn event(&mut self) -> MqttEvent {
        match self.bench.event().await {
            Event::Input(Input::Mqtt { client: 1, event }) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn down(&mut self) -> (MqttFailure, String) {
        match self.event().await {
            MqttEvent::Down { status, reason } => (status, reason),
            other => panic!("{other:?}"),
        }
    }

    fn topics(&mut self, filters: &[(&str, bool)]) {
        let filter =
            |(topic, vital): &(&str, bool)| MqttFilter { topic: (*topic).to_owned(), qos: 1, vital: *vital };
        let filters = filters.iter().map(filter).collect();
        self.clients.order(MqttOrder::Topics { client: 1, filters }, 0);
    }

    /// Subscribes to one topic.
    async fn subscribed(&mut self, peer: &mut Peer) {
        self.topics(&[("usp/hub1", true)]);
        answer_subscribe(peer, &[1]).await;
        assert!(matches!(self.event().await, MqttEvent::Subscribed { refused } if refused.is_empty()));
    }

    fn publish(&mut self, record: Record, qos: u8, merge: Option<u64>) {
        let publish = MqttPublish {
            topic: "usp/ctrl".to_owned(),
            reply_to: Some("usp/hub1".to_owned()),
            qos,
            record,
            merge,
        };
        self.clients.order(MqttOrder::Publish { client: 1, publish: Box::new(publish) }, 0);
    }
}

async fn packet(peer: &mut Peer) -> Option<Packet> {
    timeout(PATIENCE, peer.next()).await.expect("a packet").unwrap()
}

async fn answer_subscribe(peer: &mut Peer, codes: &[u8]) -> Vec<(String, u8)> {
    let Some(Packet::Subscribe { id, filters }) = packet(peer).await else { panic!("no SUBSCRIBE") };
    peer.say(&Packet::Suback { id, codes: codes.to_vec() }).await.unwrap();
    filters
}

fn from_controller(properties: Vec<Property>) -> Publish {
    Publish {
        topic: "usp/hub1".to_owned(),
        properties,
        payload: hello("proto::ctrl").encode(),
        ..Publish::default()
    }
}
