//! A Controller at the MQTT server that the Agent uses.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use usp_simulators::mqtt::{Connect, Packet, Peer, Property, Publish};

use super::{Event, Events, Link};

/// Where the Agent listens.
pub const AGENT_TOPIC: &str = "usp/agent/self::hub";

/// Where a Controller does.
pub fn topic(who: &str) -> String {
    format!("usp/controller/{who}")
}

/// What a Controller publishes for the Agent. 5.0 says in properties what it is and where answers go (R-MQTT.18, R-MQTT.27);
/// 3.1.1 has the topic for it (R-MQTT.24).
pub fn publication(version: u8, to: &str, reply: &str, kind: &str, payload: Vec<u8>) -> Publish {
    if version == 4 {
        let topic = format!("{to}/reply-to={}", reply.replace('/', "%2F"));
        return Publish { topic, payload, ..Publish::default() };
    }
    let text = |number, text: &str| Property::Text(number, text.to_owned());
    let properties = vec![text(Property::RESPONSE_TOPIC, reply), text(Property::CONTENT_TYPE, kind)];
    Publish { topic: to.to_owned(), properties, payload, ..Publish::default() }
}

/// A connection to the server.
pub struct Mqtt(UnboundedSender<Vec<u8>>);

impl Mqtt {
    /// Connects and subscribes to the Controller's own topic.
    pub fn connect(server: SocketAddr, version: u8, own: &str) -> io::Result<(Self, Events)> {
        let (records, orders) = unbounded_channel();
        let (sender, events) = std::sync::mpsc::channel();
        let (ready, subscribed) = std::sync::mpsc::channel();
        let own = own.to_owned();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let open = open(server, version, &own).await;
                let peer = open.map_err(|error| ready.send(Err(error))).ok()?;
                ready.send(Ok(())).ok()?;
                carry(peer, &topic(&own), orders, &sender).await.ok();
                sender.send((Instant::now(), Event::Ended)).ok()
            });
        });
        subscribed.recv().map_err(io::Error::other)??;
        Ok((Self(records), events))
    }
}

async fn open(server: SocketAddr, version: u8, own: &str) -> io::Result<Peer> {
    let mut peer = Peer::connect(server, &Connect::client(version, own)).await?;
    let filter = if version == 4 { format!("{}/#", topic(own)) } else { topic(own) };
    match peer.subscribe(&[(&filter, 1)]).await?.as_slice() {
        [1] => Ok(peer),
        codes => Err(io::Error::other(format!("SUBACK {codes:?}"))),
    }
}

/// Records in both directions, until either side ends.
async fn carry(
    mut peer: Peer,
    own: &str,
    mut orders: UnboundedReceiver<Vec<u8>>,
    sender: &std::sync::mpsc::Sender<(Instant, Event)>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            record = orders.recv() => {
                let Some(record) = record else { break peer.say(&Packet::Disconnect { code: 0 }).await };
                let publish = publication(peer.version, AGENT_TOPIC, own, "usp.msg", record);
                peer.say(&Packet::Publish(publish)).await?;
            }
            packet = peer.packet() => match packet? {
                Some(Packet::Publish(publish)) => {
                    if publish.qos == 1 {
                        peer.say(&Packet::Puback { id: publish.id, code: 0 }).await?;
                    }
                    sender.send((Instant::now(), Event::Record(publish.payload))).map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break Ok(()),
            },
        }
    }
}

impl Link for Mqtt {
    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        self.0.send(record.to_vec()).map_err(io::Error::other)
    }
}
