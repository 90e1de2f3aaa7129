//! MQTT 3.1.1.

use std::sync::Arc;

use rumqttc_v4::{
    AsyncClient, Broker, ConnectAuth, ConnectionError, Event, EventLoop, Incoming, MqttOptions,
    NetworkOptions, Publish, PublishOptions, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};

use super::{
    Arrival, CONNECT, KEEP_ALIVE, LONGEST, Publication, Published, REQUESTS, Said, Sent, Settings, WINDOW,
    tls, words,
};

/// A packet of MQTT cannot be longer.
const MOST: usize = 268_435_455;

pub(super) fn open(settings: Settings) -> Result<(AsyncClient, EventLoop), String> {
    let broker = Broker::tcp(settings.host.clone(), settings.port);
    let mut options = MqttOptions::new(settings.client_id.clone(), broker);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT.as_secs());
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(usize::try_from(LONGEST).unwrap_or(MOST), MOST)
        .set_inflight(WINDOW)
        .set_max_request_batch(REQUESTS)
        .set_read_batch_size(1);
    options.try_set_clean_session(true).map_err(|error| error.to_string())?;
    if let Some(tls) = settings.tls {
        options.set_transport(tls::v311(tls)?);
    }
    options.set_auth(match (settings.user, settings.password) {
        (None, None) => ConnectAuth::None,
        (Some(username), None) => ConnectAuth::Username { username },
        (username, Some(password)) => ConnectAuth::UsernamePassword {
            username: username.unwrap_or_default(),
            password: password.0.into(),
        },
    });
    let built = AsyncClient::builder(options).capacity(REQUESTS).try_build();
    let (client, mut events) = built.map_err(|error| error.to_string())?;
    events.set_network_options(network);
    Ok((client, events))
}

pub(super) async fn next(events: &mut EventLoop) -> Result<Arrival, String> {
    match events.poll().await {
        Ok(Event::Incoming(Incoming::ConnAck(_))) => Ok(Arrival::Accepted),
        Ok(Event::Incoming(Incoming::Publish(publish))) => Ok(arrival(publish)),
        Ok(_) => Ok(Arrival::Other),
        Err(error) => Err(broken(error)),
    }
}

fn arrival(publish: Publish) -> Arrival {
    // A topic that is no text is nobody's.
    let Ok(topic) = std::str::from_utf8(&publish.topic) else { return Arrival::Other };
    Arrival::Said(Said { topic: Arc::from(topic), body: publish.payload, kept: publish.retain })
}

fn broken(error: ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("the server refuses us: {}", words(&code)),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the server answers no ping".to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the server closed the connection".to_owned()
        }
        ConnectionError::NetworkTimeout => "the server does not answer".to_owned(),
        ConnectionError::NotConnAck(_) => "what listens there is no MQTT server".to_owned(),
        ConnectionError::Io(error) => super::io_words(&error),
        other => other.to_string(),
    }
}

pub(super) async fn publish(client: &AsyncClient, publication: Publication) -> Sent {
    let Publication { topic, body, qos, retain } = publication;
    let options = PublishOptions::new(quality(qos)).retain(retain);
    match client.publish_tracked(topic, body, options).await {
        Ok(notice) => Box::pin(async move {
            match notice.wait_completion_async().await {
                Ok(_) => Published::Taken,
                Err(error) => Published::Lost(error.to_string()),
            }
        }),
        Err(error) => Box::pin(std::future::ready(Published::Unsent(error.to_string()))),
    }
}

pub(super) async fn subscribe(
    client: &AsyncClient,
    filters: &[(String, u8)],
) -> Result<Vec<Option<String>>, String> {
    let wanted = filters.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), quality(*qos)));
    let notice = client.subscribe_many_tracked(wanted.collect::<Vec<_>>()).await;
    let answer = notice.map_err(|error| error.to_string())?.wait_async().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let why = |code: &SubscribeReasonCode| match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure => Some("not allowed".to_owned()),
    };
    Ok(answer.return_codes.iter().map(why).collect())
}

pub(super) async fn unsubscribe(client: &AsyncClient, filters: Vec<String>) -> Result<(), String> {
    let notice = client.unsubscribe_many_tracked(filters).await.map_err(|error| error.to_string())?;
    notice.wait_async().await.map(drop).map_err(|error| error.to_string())
}

fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
