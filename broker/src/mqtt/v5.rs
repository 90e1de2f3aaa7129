//! MQTT 5.0.

use rumqttc_v5::{
    AsyncClient, Broker, ConnAck, ConnectAuth, ConnectProperties, ConnectReturnCode, ConnectionError, Event,
    EventLoop, Incoming, IncomingPacketSizeLimit, MqttOptions, NetworkOptions, PersistedAckMode,
    PersistedSession, PubAckReason, Publish, PublishOptions, PublishProperties, PublishResult, QoS,
    SessionStore, SessionStoreError, SessionStoreKey, StateError, SubscribeFilterInput, SubscribeReasonCode,
};
use usp_core::mqtt::port::{MqttFailure, MqttFilter, MqttSettings, MqttUp};

use super::{
    Accepted, Arrival, Bounds, Broken, CONTENT_TYPE, ENDPOINT_ID, Message, Publication, REQUESTS,
    SUBSCRIBE_TOPIC, Sent, WINDOW, client_id, words,
};

pub(super) fn open(settings: &MqttSettings, bounds: Bounds) -> Result<(AsyncClient, EventLoop), Broken> {
    let broker = Broker::tcp(settings.host.clone(), settings.port);
    let mut options = MqttOptions::new(client_id(settings), broker);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options
        .set_network_options(network)
        .set_keep_alive(settings.keep_alive)
        .set_clean_start(settings.clean)
        .set_auth(auth(settings))
        .set_connect_properties(properties(settings))
        .set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(
            u32::try_from(bounds.packet()).unwrap_or(u32::MAX),
        ))
        .set_connect_timeout(bounds.connect)
        .set_outgoing_inflight_upper_limit(WINDOW)
        .set_max_request_batch(REQUESTS)
        .set_read_batch_size(1);
    if !settings.clean {
        options.set_session_store(Forgetful { inflight: WINDOW });
    }
    AsyncClient::builder(options)
        .capacity(REQUESTS)
        .try_build()
        .map_err(|error| Broken::new(MqttFailure::Misconfigured, error.to_string()))
}

/// R-MQTT.7
fn auth(settings: &MqttSettings) -> ConnectAuth {
    let (username, password) = (settings.username.clone(), settings.password.clone());
    match (username.is_empty(), password.is_empty()) {
        (true, true) => ConnectAuth::None,
        (false, true) => ConnectAuth::Username { username },
        (true, false) => ConnectAuth::Password { password: password.into() },
        (false, false) => ConnectAuth::UsernamePassword { username, password: password.into() },
    }
}

/// R-MQTT.12, R-MQTT.13
fn properties(settings: &MqttSettings) -> ConnectProperties {
    ConnectProperties {
        session_expiry_interval: (settings.session_expiry > 0).then_some(settings.session_expiry),
        receive_maximum: settings.receive_maximum.filter(|maximum| *maximum > 0),
        request_response_info: Some(settings.request_response_information.into()),
        request_problem_info: Some(settings.request_problem_information.into()),
        user_properties: vec![(ENDPOINT_ID.to_owned(), settings.endpoint_id.clone())],
        ..ConnectProperties::new()
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

/// R-MQTT.9, R-MQTT.12, R-MQTT.15
fn told(connack: ConnAck, sent_id: &str) -> Accepted {
    let session_present = connack.session_present;
    let Some(told) = connack.properties else {
        let up =
            MqttUp { client_id: sent_id.to_owned(), session_present, maximum_qos: 2, ..MqttUp::default() };
        return Accepted { up, max_packet: None };
    };
    let topics = told.user_properties.into_iter().filter(|(name, _)| name == SUBSCRIBE_TOPIC);
    let up = MqttUp {
        client_id: told.assigned_client_identifier.unwrap_or_else(|| sent_id.to_owned()),
        session_present,
        response_information: told.response_information.filter(|text| !text.is_empty()),
        subscribe_topics: topics.map(|(_, topic)| topic).collect(),
        maximum_qos: told.max_qos.unwrap_or(2).min(2),
        server_keep_alive: told.server_keep_alive,
    };
    Accepted { up, max_packet: told.max_packet_size }
}

fn message(publish: Publish) -> Message {
    let properties = publish.properties.unwrap_or_default();
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        reply_to: properties.response_topic.filter(|topic| !topic.is_empty()),
        content_type: properties.content_type.filter(|kind| !kind.is_empty()),
        retained: publish.retain,
    }
}

fn broken(error: ConnectionError, accepted: bool) -> Broken {
    match error {
        ConnectionError::ConnectionRefused(code) => {
            Broken::new(refusal(code), format!("the server refuses us: {}", words(&code)))
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let text = reason_string.map(|text| format!(" ({text})")).unwrap_or_default();
            Broken::by_state(accepted, format!("the server ended it: {}{text}", words(&reason_code)))
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Broken::by_state(accepted, "the server answers no ping")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            Broken::by_state(accepted, "the server closed the connection")
        }
        ConnectionError::Timeout(_) => Broken::by_state(accepted, "the server does not answer"),
        ConnectionError::NotConnAck(_) => Broken::by_state(accepted, "what listens there is no MQTT server"),
        ConnectionError::Io(error) => Broken::by_state(accepted, super::io_words(&error)),
        other => Broken::by_state(accepted, other.to_string()),
    }
}

/// What will not change by trying again is a matter of the settings.
fn refusal(code: ConnectReturnCode) -> MqttFailure {
    use ConnectReturnCode as Code;
    match code {
        Code::RefusedProtocolVersion
        | Code::BadClientId
        | Code::UnsupportedProtocolVersion
        | Code::ClientIdentifierNotValid
        | Code::BadUserNamePassword
        | Code::NotAuthorized
        | Code::Banned
        | Code::BadAuthenticationMethod
        | Code::MalformedPacket
        | Code::ProtocolError => MqttFailure::Misconfigured,
        _ => MqttFailure::Unreachable,
    }
}

/// R-MQTT.18, R-MQTT.19, R-MQTT.22, R-MQTT.23, R-MQTT.27
pub(super) async fn publish(
    client: &AsyncClient,
    topic: String,
    publication: Publication<'_>,
) -> Result<Sent, String> {
    let properties = PublishProperties {
        response_topic: publication.reply_to.map(str::to_owned),
        content_type: Some(CONTENT_TYPE.to_owned()),
        ..PublishProperties::default()
    };
    let options = PublishOptions::new(quality(publication.qos)).properties(properties);
    let notice = client.publish_tracked(topic, publication.payload, options).await;
    let notice = notice.map_err(|error| error.to_string())?;
    Ok(Box::pin(async move {
        let result = notice.wait_async().await.map_err(|error| error.to_string())?;
        match result {
            PublishResult::Qos1(ack) => taken(ack.reason == PubAckReason::Success, &ack.reason),
            PublishResult::Qos2PubRecRejected(rec) => taken(false, &rec.reason),
            _ => Ok(()),
        }
    }))
}

/// What nobody has subscribed to is as lost as what the server refuses.
fn taken(taken: bool, reason: &impl std::fmt::Debug) -> Result<(), String> {
    if taken { Ok(()) } else { Err(words(reason)) }
}

pub(super) async fn subscribe(
    client: &AsyncClient,
    filters: &[MqttFilter],
) -> Result<Vec<Option<String>>, String> {
    let wanted = filters.iter().map(|filter| SubscribeFilterInput::new(&filter.topic, quality(filter.qos)));
    let notice =
        client.subscribe_many_tracked(wanted.collect::<Vec<_>>()).await.map_err(|error| error.to_string())?;
    let answer = notice.wait_async().await.map_err(|error| error.to_string())?;
    let why = |code: &SubscribeReasonCode| match code {
        SubscribeReasonCode::Success(_) => None,
        other => Some(words(other)),
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
            clean_start: false,
            session_expiry_interval: None,
            outgoing_inflight_upper_limit: Some(self.inflight),
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
