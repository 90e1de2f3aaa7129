//! MQTT as a client, for the broker's own clients and for the command line as a Controller (R-MQTT.1, R-MQTT.2, R-MQTT.3).
//!
//! The two libraries of the rumqttc family speak the protocol; here their versions become one. Each connection has an event
//! loop of its own and nothing of the former one: what was unacknowledged is not sent again by the library, because the
//! Connect Record precedes everything (R-MTP.8), and because the core knows best what still matters.

mod reply_to;
mod v311;
mod v5;

use std::pin::Pin;
use std::time::Duration;

use tokio_tungstenite::tungstenite::Bytes;
use usp_core::mqtt::port::{MqttFailure, MqttFilter, MqttSettings, MqttUp, MqttVersion};

/// Content Type of every Record (R-MQTT.27).
const CONTENT_TYPE: &str = "usp.msg";

/// Its other name, which is accepted too (R-MQTT.27a).
const CONTENT_TYPE_LONG: &str = "application/vnd.bbf.usp.msg";

/// User Property of CONNECT with our Endpoint ID (R-MQTT.13).
const ENDPOINT_ID: &str = "usp-endpoint-id";

/// User Property of CONNACK with a topic for us (R-MQTT.15).
const SUBSCRIBE_TOPIC: &str = "subscribe-topic";

/// Bytes of a packet besides its Record.
const OVERHEAD: usize = 64 * 1024;

/// Publications that a library may hold at a time, sent or not.
pub(crate) const WINDOW: u16 = 64;

/// Requests that wait for a library.
const REQUESTS: usize = 16;

/// What a connection is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The longest Record that is taken in, in bytes.
    pub(crate) record: usize,
    /// From the first byte to CONNACK.
    pub(crate) connect: Duration,
}

impl Bounds {
    fn packet(self) -> usize {
        self.record.saturating_add(OVERHEAD)
    }
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The server accepted us.
    Accepted(Accepted),
    /// Somebody published something.
    Message(Message),
    /// What concerns the protocol alone.
    Other,
}

/// What CONNACK told.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) up: MqttUp,
    /// The longest packet that the server takes, in bytes.
    pub(crate) max_packet: Option<u32>,
}

/// A publication that came in.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    /// Where its sender wants answers.
    pub(crate) reply_to: Option<String>,
    /// Content Type (5.0).
    pub(crate) content_type: Option<String>,
    /// It is as old as may be: the server keeps it for whoever subscribes.
    pub(crate) retained: bool,
}

impl Message {
    /// Whether it can be a Record by its Content Type; without one it is looked at.
    pub(crate) fn may_be_record(&self) -> bool {
        self.content_type.as_deref().is_none_or(|kind| kind == CONTENT_TYPE || kind == CONTENT_TYPE_LONG)
    }
}

/// A publication on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) topic: &'a str,
    /// Where we want answers.
    pub(crate) reply_to: Option<&'a str>,
    /// At most what the server takes.
    pub(crate) qos: u8,
    pub(crate) payload: Vec<u8>,
}

impl Publication<'_> {
    /// At least as long as the packet will be, in bytes.
    pub(crate) fn packet_len(&self) -> usize {
        let reply_to = self.reply_to.map_or(0, |topic| 3 * topic.len());
        self.payload.len() + self.topic.len() + reply_to + 64
    }
}

/// Ends when a publication has left (QoS 0) or was acknowledged. The error says why it was not.
pub(crate) type Sent = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Why there is no connection, or none any more.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) status: MqttFailure,
    pub(crate) reason: String,
}

impl Broken {
    fn new(status: MqttFailure, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// An end of a kind that depends on how far it had come.
    fn by_state(accepted: bool, reason: impl Into<String>) -> Self {
        Self::new(if accepted { MqttFailure::Lost } else { MqttFailure::Unreachable }, reason)
    }
}

/// What the operating system says of a connection; whoever shows it names the server.
fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "no MQTT server listens there; is it running?".to_owned(),
        _ => error.to_string(),
    }
}

/// Makes a connection that has yet to be opened, by [`Wire::next`].
///
/// Errors: the settings cannot work.
pub(crate) fn open(settings: &MqttSettings, bounds: Bounds) -> Result<(Handle, Wire), Broken> {
    let (handle, events) = match settings.version {
        MqttVersion::V5 => {
            let (client, events) = v5::open(settings, bounds)?;
            (Handle::V5(client), Events::V5(Box::new(events)))
        }
        MqttVersion::V311 => {
            let (client, events) = v311::open(settings, bounds)?;
            (Handle::V311(client), Events::V311(Box::new(events)))
        }
    };
    let wire = Wire {
        events,
        keep_alive: settings.keep_alive,
        client_id: client_id(settings).to_owned(),
        accepted: false,
    };
    Ok((handle, wire))
}

/// Empty in 5.0 means that the server chooses (R-MQTT.8).
fn client_id(settings: &MqttSettings) -> &str {
    match settings.version {
        MqttVersion::V311 if settings.client_id.is_empty() => &settings.endpoint_id,
        _ => &settings.client_id,
    }
}

/// The side of a connection that makes it progress.
pub(crate) struct Wire {
    events: Events,
    keep_alive: u16,
    /// What CONNECT said.
    client_id: String,
    accepted: bool,
}

enum Events {
    V5(Box<rumqttc_v5::EventLoop>),
    V311(Box<rumqttc_v4::EventLoop>),
}

impl Wire {
    /// The next thing that happens. It connects first. Nothing is sent while nobody waits here, and whoever gives up
    /// waiting has lost the connection.
    ///
    /// Errors: why the connection is over.
    pub(crate) async fn next(&mut self) -> Result<Arrival, Broken> {
        let arrival = match self.patience() {
            Some(patience) => match tokio::time::timeout(patience, self.poll()).await {
                Ok(arrival) => arrival,
                // The library looks for silence between its writes; this one has got stuck in a write.
                Err(_) => Err(Broken::new(MqttFailure::Lost, "the server reads nothing any more")),
            },
            None => self.poll().await,
        }?;
        if let Arrival::Accepted(accepted) = &arrival {
            self.accepted = true;
            self.keep_alive = accepted.up.server_keep_alive.unwrap_or(self.keep_alive);
        }
        Ok(arrival)
    }

    async fn poll(&mut self) -> Result<Arrival, Broken> {
        match &mut self.events {
            Events::V5(events) => v5::next(events, &self.client_id, self.accepted).await,
            Events::V311(events) => v311::next(events, &self.client_id, self.accepted).await,
        }
    }

    /// As long as nothing may happen at all; a ping is due before.
    fn patience(&self) -> Option<Duration> {
        let keep_alive = Duration::from_secs(self.keep_alive.into());
        (self.accepted && !keep_alive.is_zero()).then(|| keep_alive * 3 / 2 + Duration::from_secs(5))
    }
}

/// The side of a connection that orders; orders are carried out while somebody waits for [`Wire::next`].
#[derive(Clone)]
pub(crate) enum Handle {
    V5(rumqttc_v5::AsyncClient),
    V311(rumqttc_v4::AsyncClient),
}

impl Handle {
    /// Hands a publication over; waits while the library has enough of them.
    ///
    /// Errors: it cannot be sent.
    pub(crate) async fn publish(&self, publication: Publication<'_>) -> Result<Sent, String> {
        let topic = match self {
            Self::V5(_) => publication.topic.to_owned(),
            Self::V311(_) => reply_to::append(publication.topic, publication.reply_to),
        };
        // Topics come from peers, too; the libraries would write one that is too long as a broken packet.
        if publication.topic.is_empty() || !is_topic(&topic) {
            return Err("nothing can be published to such a topic".to_owned());
        }
        match self {
            Self::V5(client) => v5::publish(client, topic, publication).await,
            Self::V311(client) => v311::publish(client, topic, publication).await,
        }
    }

    /// Subscribes, and tells for each filter why it was refused, if it was.
    ///
    /// Errors: the connection ended before the server answered.
    pub(crate) async fn subscribe(&self, filters: &[MqttFilter]) -> Result<Vec<Option<String>>, String> {
        match self {
            Self::V5(client) => v5::subscribe(client, filters).await,
            Self::V311(client) => v311::subscribe(client, filters).await,
        }
    }

    /// Ends subscriptions (R-MQTT.34); what the server says to it changes nothing.
    pub(crate) async fn unsubscribe(&self, topics: Vec<String>) -> Result<(), String> {
        match self {
            Self::V5(client) => v5::unsubscribe(client, topics).await,
            Self::V311(client) => v311::unsubscribe(client, topics).await,
        }
    }

    /// Asks for a DISCONNECT (R-MQTT.35); [`Wire::next`] fails once it is out.
    pub(crate) fn disconnect(&self) {
        // It fails when the connection is over anyway.
        match self {
            Self::V5(client) => client.try_disconnect_now().ok(),
            Self::V311(client) => client.try_disconnect_now().ok(),
        };
    }
}

/// Whether a server would understand it as a filter.
pub(crate) fn is_filter(filter: &str) -> bool {
    filter.len() <= usize::from(u16::MAX) && !filter.contains('\0') && rumqttc_v5::valid_filter(filter)
}

/// Whether something can be published there.
pub(crate) fn is_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= usize::from(u16::MAX)
        && !topic.contains('\0')
        && rumqttc_v5::valid_topic(topic)
}

/// The name of a code as words: `BadUserNamePassword` as `bad user name password`.
fn words(code: &impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
