//! A bad peer on an MQTT server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use usp_simulators::mqtt::{Connect, Packet, Peer, Property, Publish};

use super::dice::Dice;
use super::letters;

/// The server is no target: it gets no more than it passes on.
const PAUSE: Duration = Duration::from_millis(2);

/// One publication after the other; how many.
pub(super) async fn attack(server: SocketAddr, topic: String, mut dice: Dice, until: Instant) -> u64 {
    let mut rounds = 0;
    while Instant::now() < until {
        let Ok(mut peer) = Peer::connect(server, &Connect::client(5, "bad")).await else { break };
        while Instant::now() < until && peer.say(&publication(&mut dice, &topic)).await.is_ok() {
            rounds += 1;
            sleep(PAUSE).await;
        }
    }
    rounds
}

fn publication(dice: &mut Dice, topic: &str) -> Packet {
    let reply = ["usp/bad", "a/b/c", "usp/agent/self::hub"][dice.below(3)].to_owned();
    let properties = match dice.below(3) {
        0 => Vec::new(),
        1 => vec![Property::Text(Property::CONTENT_TYPE, "text/html".to_owned())],
        _ => vec![Property::Text(Property::RESPONSE_TOPIC, reply)],
    };
    let peer = format!("self::bad-mqtt-{}", dice.below(300));
    let payload = letters::record(dice, &peer);
    Packet::Publish(Publish { topic: topic.to_owned(), properties, payload, ..Publish::default() })
}
