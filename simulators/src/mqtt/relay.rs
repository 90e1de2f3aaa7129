//! A small MQTT server for demos and tests without an installed one: 3.1.1 and 5.0, QoS 0 and 1, retained messages,
//! wildcards, last wills.
//!
//! It keeps no sessions and stores nothing: a client that comes back subscribes again, as CONNACK says. Everybody may do
//! everything, so it belongs on a loopback address.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Connack, Connect, Packet, Peer, Property, Publish};

/// Messages that wait for one client; one that does not read loses more, as QoS 0 may be lost, and is let go with QoS 1.
const OUTBOX: usize = 1024;
/// Most retained messages.
const MAX_RETAINED: usize = 16_384;
/// Most clients at a time.
const MAX_CLIENTS: usize = 512;
/// How long a connection may take to say CONNECT.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    run: CancellationToken,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    clients: BTreeMap<u64, Client>,
    retained: BTreeMap<String, Publish>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    id: String,
    outbox: mpsc::Sender<Packet>,
    gone: CancellationToken,
    subscriptions: Vec<(String, u8)>,
    last_packet_id: u16,
}

impl Relay {
    /// On a free port of the loopback address.
    pub async fn start() -> io::Result<Self> {
        Self::bind(([127, 0, 0, 1], 0).into()).await
    }

    /// At this address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut relay = Self { address, shared: Arc::default(), run: CancellationToken::new(), task: None };
        relay.serve(listener);
        Ok(relay)
    }

    fn serve(&mut self, listener: TcpListener) {
        self.run = CancellationToken::new();
        let (shared, run) = (Arc::clone(&self.shared), self.run.clone());
        self.task = Some(tokio::spawn(async move {
            let accepted = run.clone().run_until_cancelled_owned(accept(listener, shared, run));
            accepted.await;
        }));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and stops listening; retained messages stay for [`Self::resume`].
    pub async fn pause(&mut self) {
        self.run.cancel();
        if let Some(task) = self.task.take() {
            task.await.ok();
        }
        self.shared.state().clients.clear();
    }

    /// Listens again at the same address, with the retained messages or, as after a restart without a disk, without.
    ///
    /// Errors: somebody else has taken the address.
    pub fn resume(&mut self, keep: bool) -> io::Result<()> {
        if !keep {
            self.shared.state().retained.clear();
        }
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(64)?;
        self.serve(listener);
        Ok(())
    }

    /// A retained message.
    pub fn retained(&self, topic: &str) -> Option<Vec<u8>> {
        self.shared.state().retained.get(topic).map(|publish| publish.payload.clone())
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.shared.state().clients.len()
    }

    /// Says something by itself.
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        let (topic, payload) = (topic.to_owned(), payload.to_vec());
        self.shared.state().publish(Publish { topic, payload, retain, ..Publish::default() }, None);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.run.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, run: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, run) = (Arc::clone(&shared), run.clone());
        tokio::spawn(async move {
            let talk = Talk { shared, client: 0, will: None };
            if let Some(Err(error)) = run.clone().run_until_cancelled_owned(talk.serve(stream, run)).await {
                tracing::debug!(%error, "a client of the simulated MQTT server");
            }
        });
    }
}

/// One connection. When it is dropped its client is gone, and the last will is said.
struct Talk {
    shared: Arc<Shared>,
    client: u64,
    will: Option<Publish>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.clients.remove(&self.client);
        if let Some(will) = self.will.take() {
            state.publish(will, None);
        }
    }
}

impl Talk {
    async fn serve(mut self, stream: TcpStream, run: CancellationToken) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut peer = Peer::new(stream);
        let first = tokio::time::timeout(PATIENCE, peer.packet()).await.map_err(io::Error::other)??;
        let Some(Packet::Connect(connect)) = first else { return Ok(()) };
        let (outbox, mut due) = mpsc::channel(OUTBOX);
        let gone = run.child_token();
        let Some(client) = self.shared.state().join(&connect, outbox, gone.clone()) else {
            return peer.say(&Packet::Connack(refusal(connect.version))).await;
        };
        self.client = client;
        self.will.clone_from(&connect.will);
        peer.say(&Packet::Connack(welcome(&connect, client))).await?;
        let patience = match connect.keep_alive {
            0 => Duration::MAX,
            seconds => Duration::from_secs(u64::from(seconds)) * 3 / 2,
        };
        loop {
            tokio::select! {
                () = gone.cancelled() => return Ok(()),
                packet = tokio::time::timeout(patience.min(Duration::from_secs(86_400)), peer.packet()) => {
                    let Some(packet) = packet.map_err(io::Error::other)?? else { return Ok(()) };
                    if !self.take(&mut peer, packet).await? {
                        return Ok(());
                    }
                }
                packet = due.recv() => match packet {
                    Some(packet) => peer.say(&packet).await?,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Whether the connection goes on.
    async fn take(&mut self, peer: &mut Peer, packet: Packet) -> io::Result<bool> {
        match packet {
            Packet::Publish(publish) if publish.qos < 2 && is_name(&publish.topic) => {
                let (qos, id) = (publish.qos, publish.id);
                self.shared.state().publish(publish, Some(self.client));
                if qos == 1 {
                    peer.say(&Packet::Puback { id, code: 0 }).await?;
                }
            }
            Packet::Subscribe { id, filters } => {
                let codes = filters.iter().map(|(_, options)| (options & 3).min(1)).collect();
                // The answer goes before what is retained.
                peer.say(&Packet::Suback { id, codes }).await?;
                self.shared.state().subscribe(self.client, filters);
            }
            Packet::Unsubscribe { id, filters } => {
                let codes = vec![0; filters.len()];
                self.shared.state().unsubscribe(self.client, &filters);
                peer.say(&Packet::Unsuback { id, codes }).await?;
            }
            Packet::Pingreq => peer.say(&Packet::Pingresp).await?,
            Packet::Puback { .. } => {}
            Packet::Disconnect { code } => {
                // 4: with the will.
                if code != 4 {
                    self.will = None;
                }
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A name for those who have none; no session is kept, and QoS 2 is not there.
fn welcome(connect: &Connect, client: u64) -> Connack {
    let mut properties = Vec::new();
    if connect.version == 5 {
        properties.push(Property::Byte(Property::MAXIMUM_QOS, 1));
        if connect.client_id.is_empty() {
            properties.push(Property::Text(Property::ASSIGNED_CLIENT, format!("client-{client}")));
        }
    }
    Connack { properties, ..Connack::default() }
}

/// Server unavailable, or busy.
fn refusal(version: u8) -> Connack {
    Connack { code: if version == 5 { 0x89 } else { 3 }, ..Connack::default() }
}

impl State {
    /// `None`: there are too many.
    fn join(
        &mut self,
        connect: &Connect,
        outbox: mpsc::Sender<Packet>,
        gone: CancellationToken,
    ) -> Option<u64> {
        let same = |client: &&Client| !connect.client_id.is_empty() && client.id == connect.client_id;
        self.clients.values().filter(same).for_each(|client| client.gone.cancel());
        if self.clients.len() >= MAX_CLIENTS {
            return None;
        }
        self.next += 1;
        let (id, subscriptions) = (connect.client_id.clone(), Vec::new());
        self.clients.insert(self.next, Client { id, outbox, gone, subscriptions, last_packet_id: 0 });
        Some(self.next)
    }

    fn publish(&mut self, publish: Publish, from: Option<u64>) {
        if publish.retain {
            if publish.payload.is_empty() {
                self.retained.remove(&publish.topic);
            } else if self.retained.len() < MAX_RETAINED || self.retained.contains_key(&publish.topic) {
                self.retained.insert(publish.topic.clone(), publish.clone());
            }
        }
        for (number, client) in &mut self.clients {
            let own = from == Some(*number);
            let wanted = client
                .subscriptions
                .iter()
                .filter(|(filter, options)| matches(filter, &publish.topic) && !(own && options & 4 != 0));
            // Overlapping subscriptions get one message, with the best quality.
            let Some(options) = wanted.map(|(_, options)| *options).max_by_key(|options| options & 3) else {
                continue;
            };
            let retain = publish.retain && options & 8 != 0;
            client.send(Publish { retain, dup: false, ..publish.clone() }, options & 3);
        }
    }

    fn subscribe(&mut self, client: u64, filters: Vec<(String, u8)>) {
        let Some(client) = self.clients.get_mut(&client) else { return };
        for (filter, options) in filters {
            let is_new = !client.subscriptions.iter().any(|(known, _)| *known == filter);
            client.subscriptions.retain(|(known, _)| *known != filter);
            let wants_retained = match options >> 4 & 3 {
                0 => true,
                1 => is_new,
                _ => false,
            };
            if wants_retained {
                for publish in self.retained.values().filter(|publish| matches(&filter, &publish.topic)) {
                    client.send(publish.clone(), options & 3);
                }
            }
            client.subscriptions.push((filter, options));
        }
    }

    fn unsubscribe(&mut self, client: u64, filters: &[String]) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.subscriptions.retain(|(known, _)| !filters.contains(known));
        }
    }
}

impl Client {
    fn send(&mut self, publish: Publish, granted: u8) {
        let qos = publish.qos.min(granted).min(1);
        if qos == 1 {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        }
        let id = if qos == 1 { self.last_packet_id } else { 0 };
        if self.outbox.try_send(Packet::Publish(Publish { qos, id, ..publish })).is_err() && qos == 1 {
            self.gone.cancel();
        }
    }
}

/// Whether it can be a topic name.
fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether a filter means a topic (MQTT 5.0, 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(level), Some(given)) if level == "+" || level == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn client(relay: &Relay, version: u8, id: &str, filters: &[(&str, u8)]) -> Peer {
        let mut peer = Peer::connect(relay.address(), &Connect::client(version, id)).await.unwrap();
        peer.subscribe(filters).await.unwrap();
        peer
    }

    fn said(topic: &str, payload: &str) -> Publish {
        Publish { topic: topic.to_owned(), payload: payload.into(), ..Publish::default() }
    }

    #[tokio::test]
    async fn what_one_says_the_others_hear() {
        let relay = Relay::start().await.unwrap();
        let mut all = client(&relay, 4, "all", &[("#", 1)]).await;
        let mut some = client(&relay, 5, "some", &[("a/+/c", 0)]).await;
        some.say(&Packet::Publish(Publish { qos: 1, id: 3, ..said("a/b/c", "1") })).await.unwrap();
        let heard = all.publication().await.unwrap();
        assert_eq!((heard.topic.as_str(), heard.payload.as_slice(), heard.qos), ("a/b/c", &b"1"[..], 1));
        let heard = some.publication().await.unwrap();
        assert_eq!((heard.qos, heard.retain), (0, false));
    }

    #[tokio::test]
    async fn retained_messages_come_with_a_subscription_until_they_are_cleared() {
        let relay = Relay::start().await.unwrap();
        relay.publish("a", b"1", true);
        let mut peer = client(&relay, 5, "one", &[("a", 0)]).await;
        assert!(peer.publication().await.unwrap().retain);
        relay.publish("a", b"", true);
        assert_eq!(peer.publication().await.unwrap().payload, b"");
        assert_eq!(relay.retained("a"), None);
    }

    #[tokio::test]
    async fn a_will_is_said_unless_somebody_says_goodbye() {
        let relay = Relay::start().await.unwrap();
        let mut watcher = client(&relay, 5, "watcher", &[("gone/#", 0)]).await;
        for (version, says_goodbye) in [(4, true), (5, false), (5, true), (4, false)] {
            let id = format!("{version}{says_goodbye}");
            let will = Some(said(&format!("gone/{id}"), "offline"));
            let mut peer = Peer::connect(relay.address(), &Connect { will, ..Connect::client(version, &id) })
                .await
                .unwrap();
            if says_goodbye {
                peer.say(&Packet::Disconnect { code: 0 }).await.unwrap();
            }
            drop(peer);
        }
        let mut gone =
            vec![watcher.publication().await.unwrap().topic, watcher.publication().await.unwrap().topic];
        gone.sort();
        assert_eq!(gone, ["gone/4false", "gone/5false"]);
    }

    #[tokio::test]
    async fn a_second_client_of_the_same_name_takes_the_place_of_the_first() {
        let relay = Relay::start().await.unwrap();
        let mut first = client(&relay, 5, "me", &[]).await;
        let mut second = client(&relay, 5, "me", &[("a", 0)]).await;
        assert!(matches!(first.next().await, Ok(None) | Err(_)));
        relay.publish("a", b"1", false);
        assert_eq!(second.publication().await.unwrap().payload, b"1");
    }

    #[tokio::test]
    async fn a_pause_ends_all_connections_and_the_address_stays() {
        let mut relay = Relay::start().await.unwrap();
        relay.publish("a", b"1", true);
        let mut peer = client(&relay, 5, "me", &[]).await;
        relay.pause().await;
        assert!(matches!(peer.next().await, Ok(None) | Err(_)));
        assert!(Peer::connect(relay.address(), &Connect::client(5, "me")).await.is_err());
        relay.resume(false).unwrap();
        client(&relay, 5, "me", &[]).await;
        assert_eq!(relay.retained("a"), None);
    }

    #[test]
    fn filters_mean_what_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/#", "a", true),
            ("a/+/c", "a/b/c", true),
            ("a/+", "a/b/c", false),
            ("+", "$SYS", false),
            ("#", "x/y", true),
            ("+/+", "/a", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
