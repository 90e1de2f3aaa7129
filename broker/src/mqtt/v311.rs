//! MQTT 3.1.1.

use rumqttc_v4::{
    AsyncClient, Broker, ConnAck, ConnectAuth, ConnectReturnCode, ConnectionError, Event, EventLoop,
    Incoming, MqttOptions, NetworkOptions, PersistedAckMode, PersistedSession, Publish, PublishOptions, QoS,
    SessionStore, SessionStoreError, SessionStoreKey, StateError, SubscribeFilter, SubscribeReasonCode,
};
use usp_core::mqtt::port::{MqttFailure, MqttFilter, MqttSettings, MqttUp};

use super::{
    Accepted, Arrival, Bounds, Broken, Message, Publication, REQUESTS, Sent, WINDOW, client_id, reply_to,
    words,
};

/// A packet of MQTT cannot be longer.
const LONGEST: usize = 268_435_455;

pub(super) fn open(settings: &MqttSettings, bounds: Bounds) -> Result<(AsyncClient, EventLoop), Broken> {
    let broker = Broker::tcp(settings.host.clone(), settings.port);
    let mut options = MqttOptions::new(client_id(settings), broker);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(bounds.connect.as_secs().max(1));
    options
        .set_keep_alive(settings.keep_alive)
        .set_auth(auth(settings))
        .set_max_packet_size(bounds.packet(), LONGEST)
        .set_inflight(WINDOW)
        .set_max_request_batch(REQUESTS)
        .set_read_batch_size(1);
    let misconfigured = |error: String| Broken::new(MqttFailure::Misconfigured, error);
    options.try_set_clean_session(settings.clean).map_err(|error| misconfigured(error.to_string()))?;
    if !settings.clean {
        options.set_session_store(Forgetful { inflight: WINDOW });
    }
    let (client, mut events) = AsyncClient::builder(options)
        .capacity(REQUESTS)
        .try_build()
        .map_err(|error| misconfigured(error.to_string()))?;
    events.set_network_options(network);
    Ok((client, events))
}

/// R-MQTT.7; this version has no password without a user name.
fn auth(settings: &MqttSettings) -> ConnectAuth {
    let (username, password) = (settings.username.clone(), settings.password.clone());
    match (username.is_empty(), password.is_empty()) {
        (true, true) => ConnectAuth::None,
        (false, true) => ConnectAuth::Username { username },
        (_, false) => ConnectAuth::UsernamePassword { username, password: password.into() },
    }
}

pub(super) async fn next(events: &mut EventLoop, sent_id: &str, accepted: bool) -> Result<Arrival, Broken> {
    match events.poll().await {
        Ok(Event::Incoming(Incoming::ConnAck(connack))) => Ok(Arrival::Accepted(told(connack, sent_id))),
        Ok(Event::Incoming(Incoming::Publish(publish))) => Ok(Arrival::Message(message(publish))),
        Ok(_) => Ok(Arrival::Other),
        Err(error) => Err(broken(error, accepted)),
    }
}

fn told(connack: ConnAck, sent_id: &str) -> Accepted {
    let up = MqttUp {
        client_id: sent_id.to_owned(),
        session_present: connack.session_present,
        maximum_qos: 2,
        ..MqttUp::default()
    };
    Accepted { up, max_packet: None }
}

fn message(publish: Publish) -> Message {
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    Message {
        reply_to: reply_to::of(&topic),
        topic,
        payload: publish.payload,
        content_type: None,
        retained: publish.retain,
    }
}

fn broken(error: ConnectionError, accepted: bool) -> Broken {
    match error {
        ConnectionError::ConnectionRefused(code) => {
            Broken::new(refusal(code), format!("the server refuses us: {}", words(&code)))
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Broken::by_state(accepted, "the server answers no ping")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            Broken::by_state(accepted, "the server closed the connection")
        }
        ConnectionError::NetworkTimeout => Broken::by_state(accepted, "the server does not answer"),
        ConnectionError::NotConnAck(_) => Broken::by_state(accepted, "what listens there is no MQTT server"),
        ConnectionError::Io(error) => Broken::by_state(accepted, super::io_words(&error)),
        other => Broken::by_state(accepted, other.to_string()),
    }
}

/// What will not change by trying again is a matter of the settings.
fn refusal(code: ConnectReturnCode) -> MqttFailure {
    match code {
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => MqttFailure::Unreachable,
        _ => MqttFailure::Misconfigured,
    }
}

/// R-MQTT.18, R-MQTT.19, R-MQTT.22, R-MQTT.24
pub(super) async fn publish(
    client: &AsyncClient,
    topic: String,
    publication: Publication<'_>,
) -> Result<Sent, String> {
    let options = PublishOptions::new(quality(publication.qos));
    let notice = client.publish_tracked(topic, publication.payload, options).await;
    let notice = notice.map_err(|error| error.to_string())?;
    Ok(Box::pin(async move { notice.wait_completion_async().await.map_err(|error| error.to_string()) }))
}

pub(super) async fn subscribe(
    client: &AsyncClient,
    filters: &[MqttFilter],
) -> Result<Vec<Option<String>>, String> {
    let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.topic.clone(), quality(filter.qos)));
    let notice =
        client.subscribe_many_tracked(wanted.collect::<Vec<_>>()).await.map_err(|error| error.to_string())?;
    let answer = notice.wait_async().await.map_err(|error| error.to_string())?;
    let why = |code: &SubscribeReasonCode| match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure => Some("not allowed".to_owned()),
    };
    Ok(answer.return_codes.iter().map(why).collect())
}

pub(super) async fn unsubscribe(client: &AsyncClient, topics: Vec<String>) -> Result<(), String> {
    let notice = client.unsubscribe_many_tracked(topics).await.map_err(|error| error.to_string())?;
    notice.wait_async().await.map(drop).map_err(|error| error.to_string())
}

/// R-MQTT.20
fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// What the library remembers of a session that the server may have kept: nothing is under way. Without it, it would
/// refuse the session.
#[derive(Debug)]
struct Forgetful {
    inflight: u16,
}

type Stored<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

impl SessionStore for Forgetful {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_session: false,
            max_inflight: self.inflight,
            ack_mode: PersistedAckMode::Automatic,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Some(session))))
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
