//! The two libraries of the rumqttc family, made one. Each connection has an event loop of its own and a clean session.

mod tls;
mod v311;
mod v5;

use std::pin::Pin;
use std::time::Duration;

use usp_mapping::mapping::{BusAddress, MqttServer, MqttVersion};

use crate::secret::{self, Secret};

use super::board::{Publication, Published, Said};

use tls::Tls;

/// From the first byte to CONNACK.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Silence after which the server is asked whether it is there, in seconds.
const KEEP_ALIVE: u16 = 30;

/// Longest packet that is taken in, in bytes: lists of devices are long.
const LONGEST: u32 = 16 * 1024 * 1024;

/// Publications that may be under way.
pub(crate) const WINDOW: u16 = 64;

/// Requests that wait for a library.
const REQUESTS: usize = 16;

/// What is never subscribed to.
const NOWHERE: &str = "usp-broker/nowhere";

/// All that a connection is made with; secrets included, so it is made anew each time.
pub(crate) struct Settings {
    host: String,
    port: u16,
    client_id: String,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<Tls>,
}

impl Settings {
    /// With the secrets as they are now.
    ///
    /// Errors: one cannot be had.
    pub(crate) async fn of(server: &MqttServer, client_id: &str) -> Result<Self, String> {
        let (host, port) = match &server.address {
            BusAddress::Socket(address) => (address.ip().to_string(), address.port()),
            BusAddress::Host(host, port) => (host.clone(), *port),
        };
        let password = match &server.password {
            Some(place) => Some(secret::read(place).await.map_err(|why| format!("the password: {why}"))?),
            None => None,
        };
        let tls = match &server.tls {
            Some(tls) => Some(Tls::of(tls).await?),
            None => None,
        };
        let client_id = server.client_id.clone().unwrap_or_else(|| client_id.to_owned());
        Ok(Self { host, port, client_id, user: server.user.clone(), password, tls })
    }
}

/// What came in.
pub(crate) enum Arrival {
    /// The server accepted us.
    Accepted,
    /// Somebody published something.
    Said(Said),
    /// What concerns the protocol alone.
    Other,
}

/// Ends when the server has a publication, or will never have it.
pub(crate) type Sent = Pin<Box<dyn Future<Output = Published> + Send>>;

/// The side of a connection that makes it progress: nothing is sent while nobody waits here.
pub(crate) enum Wire {
    V311(Box<rumqttc_v4::EventLoop>),
    V5(Box<rumqttc_v5::EventLoop>),
}

/// The side that orders.
pub(crate) enum Handle {
    V311(rumqttc_v4::AsyncClient),
    V5(rumqttc_v5::AsyncClient),
}

/// Makes a connection that [`Wire::next`] has yet to open.
///
/// Errors: the settings cannot work.
pub(crate) fn open(version: MqttVersion, settings: Settings) -> Result<(Handle, Wire), String> {
    match version {
        MqttVersion::V311 => {
            let (client, events) = v311::open(settings)?;
            Ok((Handle::V311(client), Wire::V311(Box::new(events))))
        }
        MqttVersion::V5 => {
            let (client, events) = v5::open(settings)?;
            Ok((Handle::V5(client), Wire::V5(Box::new(events))))
        }
    }
}

impl Wire {
    /// The next thing that happens. It connects first.
    ///
    /// Errors: why the connection is over.
    pub(crate) async fn next(&mut self) -> Result<Arrival, String> {
        // The library looks for silence between its writes; one that got stuck in a write is noticed here.
        let patience = CONNECT + Duration::from_secs(2 * u64::from(KEEP_ALIVE));
        let next = async {
            match self {
                Self::V311(events) => v311::next(events).await,
                Self::V5(events) => v5::next(events).await,
            }
        };
        match tokio::time::timeout(patience, next).await {
            Ok(arrival) => arrival,
            Err(_) => Err("the server reads nothing any more".to_owned()),
        }
    }
}

impl Handle {
    /// Hands a publication over; waits while the library has enough of them.
    pub(crate) async fn publish(&self, publication: Publication) -> Sent {
        if !is_topic(&publication.topic) {
            let why = format!("nothing can be published to `{}`", publication.topic);
            return Box::pin(std::future::ready(Published::Refused(why)));
        }
        match self {
            Self::V311(client) => v311::publish(client, publication).await,
            Self::V5(client) => v5::publish(client, publication).await,
        }
    }

    /// Subscribes, and tells for each filter why it was refused, if it was.
    ///
    /// Errors: the connection ended before the server answered.
    pub(crate) async fn subscribe(&self, filters: &[(String, u8)]) -> Result<Vec<Option<String>>, String> {
        match self {
            Self::V311(client) => v311::subscribe(client, filters).await,
            Self::V5(client) => v5::subscribe(client, filters).await,
        }
    }

    /// Ends subscriptions; what the server says to it changes nothing.
    pub(crate) async fn unsubscribe(&self, filters: Vec<String>) -> Result<(), String> {
        match self {
            Self::V311(client) => v311::unsubscribe(client, filters).await,
            Self::V5(client) => v5::unsubscribe(client, filters).await,
        }
    }

    /// Has the server answer to something that everybody may ask for and that changes nothing: the end of a subscription
    /// that there is not (MQTT 3.1.1, 3.10.4: it is acknowledged all the same).
    pub(crate) async fn round_trip(&self) -> Result<(), String> {
        self.unsubscribe(vec![NOWHERE.to_owned()]).await
    }

    /// Asks for a DISCONNECT; [`Wire::next`] fails once it is out.
    pub(crate) fn disconnect(&self) {
        // It fails when the connection is over anyway.
        match self {
            Self::V311(client) => client.try_disconnect_now().ok(),
            Self::V5(client) => client.try_disconnect_now().ok(),
        };
    }
}

/// Whether a server would understand it as a filter.
pub(crate) fn is_filter(filter: &str) -> bool {
    !filter.is_empty()
        && filter.len() <= usize::from(u16::MAX)
        && !filter.contains('\0')
        && rumqttc_v5::valid_filter(filter)
}

/// Whether something can be published there.
fn is_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= usize::from(u16::MAX)
        && !topic.contains('\0')
        && rumqttc_v5::valid_topic(topic)
}

/// What the operating system says of a connection; whoever shows it names the server.
fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "no MQTT server listens there".to_owned(),
        _ => error.to_string(),
    }
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
