//! One connection to a server, from CONNECT to DISCONNECT.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use usp_core::mqtt::port::{MqttEvent, MqttFailure, MqttFilter, MqttPublish, MqttSettings};
use usp_core::output::CloseReason;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{DecodeFault, Record};
use usp_proto::usp::body::MsgBody;

use super::Wanted;
use super::client::{Client, Reporter};
use crate::mqtt::{self, Accepted, Arrival, Broken, Handle, Message, Publication, Sent, WINDOW, Wire};
use crate::mtp::GOODBYE;
use crate::mtp::outbox::{Outbox, Turn};

/// How long a server may take to answer SUBSCRIBE or UNSUBSCRIBE.
const PATIENCE: Duration = Duration::from_secs(30);

/// Filters in one SUBSCRIBE.
const FILTERS: usize = 32;

/// Bytes of unacknowledged Records above which no further one is sent.
const UNDER_WAY: usize = 1 << 20;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client is no longer wanted.
    Stopped,
    /// It is to connect at once, with other settings or because somebody wants it.
    Anew,
    /// Anything else.
    Broken(Broken),
}

/// A connection that the server has accepted.
pub(super) struct Connection {
    handle: Handle,
    outbox: Arc<Outbox<MqttPublish>>,
    reporter: Reporter,
    maximum_qos: u8,
    max_packet: usize,
    max_record: usize,
}

impl Connection {
    /// Connects and serves.
    pub(super) async fn run(client: &mut Client, settings: &Arc<MqttSettings>, run: u64) -> End {
        let (handle, mut wire) = match mqtt::open(settings, client.bounds()) {
            Ok(opened) => opened,
            Err(broken) => return End::Broken(broken),
        };
        let mut wanted = client.wanted.clone();
        let accepted = tokio::select! {
            accepted = accept(&mut wire) => accepted,
            end = other_orders(&mut wanted, run) => return end,
        };
        let Accepted { up, max_packet } = match accepted {
            Ok(accepted) => accepted,
            Err(broken) => return End::Broken(broken),
        };
        tracing::info!(
            client = settings.name,
            host = settings.host,
            id = up.client_id,
            "MQTT connection is up"
        );
        client.keep_id(&up.client_id, settings);
        let connection = Self {
            handle,
            outbox: client.outbox(),
            reporter: client.reporter(),
            maximum_qos: up.maximum_qos,
            max_packet: max_packet.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX)),
            max_record: client.limits.max_record_bytes,
        };
        client.reporter().tell(MqttEvent::Up(up)).await;
        connection.serve(client, &mut wire, run).await
    }

    async fn serve(&self, client: &mut Client, wire: &mut Wire, run: u64) -> End {
        let wanted = client.wanted.clone();
        let end = tokio::select! {
            end = self.receive(wire) => end,
            end = self.send() => end,
            end = self.subscribe(client) => end,
            end = self.overflow() => end,
            end = self.leave(wanted.clone(), run) => end,
        };
        match &end {
            // Whoever went away cannot be told.
            End::Broken(broken) if broken.status == MqttFailure::Lost => {}
            _ => goodbye(&self.handle, wire).await,
        }
        let wanted = wanted.borrow();
        match end {
            End::Broken(broken) => End::Broken(broken),
            _ if wanted.stop => End::Stopped,
            _ => End::Anew,
        }
    }

    /// Takes what comes, until the connection ends.
    async fn receive(&self, wire: &mut Wire) -> End {
        let mut reporter = self.reporter.clone();
        loop {
            match wire.next().await {
                Ok(Arrival::Message(message)) => {
                    if let Some(event) = self.record(message) {
                        reporter.tell(event).await;
                    }
                }
                Ok(Arrival::Accepted(_) | Arrival::Other) => {}
                Err(broken) => return End::Broken(broken),
            }
        }
    }

    /// What the core is told of a publication. What cannot be used or answered is dropped (R-MTP.5).
    fn record(&self, message: Message) -> Option<MqttEvent> {
        let topic = crate::telemetry::plain(&message.topic);
        if !message.may_be_record() {
            let kind = message.content_type.as_deref().map(crate::telemetry::plain);
            tracing::info!(topic, ?kind, "a publication that is no Record was ignored");
            return None;
        }
        if message.retained {
            // The server gives it to us after each reconnect: a Reboot() would never end.
            tracing::info!(topic, "a retained publication was ignored");
            return None;
        }
        if message.payload.len() > self.max_record {
            tracing::info!(topic, bytes = message.payload.len(), "a Record was too long (max_record_bytes)");
            return None;
        }
        let reply_to = message.reply_to;
        match Record::decode(&message.payload) {
            Ok(record) => Some(MqttEvent::Record { record: Box::new(record), reply_to }),
            Err(DecodeFault::Answer(bad)) => Some(MqttEvent::BadRecord { bad, reply_to }),
            Err(fault @ (DecodeFault::Unusable(_) | DecodeFault::Undecodable(_))) => {
                tracing::info!(topic, %fault, "Record dropped");
                None
            }
        }
    }

    /// Publishes what the core wants published; ends when the outbox is closed and all of it is out.
    async fn send(&self) -> End {
        let mut under_way = UnderWay::default();
        let mut reporter = self.reporter.clone();
        loop {
            let turn = tokio::select! {
                turn = self.outbox.next() => turn,
                () = under_way.one() => continue,
            };
            let Turn::Send(publications) = turn else { break };
            for publication in publications {
                under_way.room().await;
                if let Err(event) = self.publish(publication, &mut under_way).await {
                    reporter.tell(event).await;
                }
            }
        }
        under_way.all().await;
        End::Anew
    }

    /// Errors: it is longer than the server takes, and so is whatever could be said instead.
    async fn publish(&self, publish: MqttPublish, under_way: &mut UnderWay) -> Result<(), MqttEvent> {
        let mut publication = Publication {
            topic: &publish.topic,
            reply_to: publish.reply_to.as_deref(),
            qos: publish.qos.min(self.maximum_qos),
            payload: publish.record.encode(),
        };
        let topic = publication.topic;
        if publication.packet_len() > self.max_packet {
            let (bytes, max) = (publication.payload.len(), self.max_packet);
            tracing::warn!(topic, bytes, max, "a Record is longer than the MQTT server takes");
            let fitting = excuses(&publish.record, max).into_iter().find(|excuse| {
                publication.payload = excuse.encode();
                publication.packet_len() <= max
            });
            if fitting.is_none() {
                return Err(too_long(&publish.record, max));
            }
        }
        let bytes = publication.payload.len();
        match self.handle.publish(publication).await {
            Ok(sent) => under_way.add(sent, bytes, topic.to_owned()),
            Err(error) => tracing::warn!(topic, %error, "a Record could not be published"),
        }
        Ok(())
    }

    /// Keeps the subscriptions at the server what they are wanted to be.
    async fn subscribe(&self, client: &mut Client) -> End {
        let mut held = BTreeMap::new();
        let mut done = None;
        let mut reporter = self.reporter.clone();
        loop {
            let Wanted { filters, topics, .. } = client.wanted.borrow_and_update().clone();
            if done != Some(topics)
                && let Some(filters) = filters
            {
                match timeout(PATIENCE, self.adjust(&mut held, &filters)).await {
                    Ok(Ok(refused)) => reporter.tell(MqttEvent::Subscribed { refused }).await,
                    Ok(Err(broken)) => return End::Broken(broken),
                    Err(_) => return lost("the server does not answer SUBSCRIBE"),
                }
                client.retry.worked();
                done = Some(topics);
            }
            if client.wanted.changed().await.is_err() {
                // The client was stopped; what waits may still get out.
                return std::future::pending().await;
            }
        }
    }

    /// Subscribes to what is new, unsubscribes from what is no longer wanted (R-MQTT.34), and tells what was refused.
    async fn adjust(
        &self,
        held: &mut BTreeMap<String, u8>,
        wanted: &[MqttFilter],
    ) -> Result<Vec<(String, String)>, Broken> {
        let ended = |reason| Broken { status: MqttFailure::Lost, reason };
        let (news, mut refused) = news(held, wanted);
        for some in news.chunks(FILTERS) {
            let answers = self.handle.subscribe(some).await.map_err(ended)?;
            for (filter, answer) in some.iter().zip(answers) {
                match answer {
                    None => drop(held.insert(filter.topic.clone(), filter.qos)),
                    Some(why) => refused.push((filter.topic.clone(), why)),
                }
            }
        }
        // R-MQTT.17
        let fatal = |(topic, _): &&(String, String)| {
            held.is_empty() || wanted.iter().any(|filter| filter.vital && filter.topic == *topic)
        };
        if let Some((topic, why)) = refused.iter().find(fatal) {
            let reason = format!("the server refuses our subscription to `{topic}`: {why}");
            return Err(Broken { status: MqttFailure::Misconfigured, reason });
        }
        let topics: BTreeSet<_> = wanted.iter().map(|filter| &filter.topic).collect();
        let old: Vec<_> = held.keys().filter(|topic| !topics.contains(topic)).cloned().collect();
        if !old.is_empty() {
            held.retain(|topic, _| !old.contains(topic));
            self.handle.unsubscribe(old).await.map_err(ended)?;
        }
        Ok(refused)
    }

    async fn overflow(&self) -> End {
        self.outbox.overflowed().await;
        lost("the server does not take what is sent to it (max_outbox_records, max_outbox_bytes)")
    }

    /// When the client is to stop or to connect anew: gives what waits some time to get out.
    async fn leave(&self, mut wanted: watch::Receiver<Wanted>, run: u64) -> End {
        let end = other_orders(&mut wanted, run).await;
        self.outbox.close(CloseReason::Shutdown);
        sleep(GOODBYE).await;
        end
    }
}

/// What whoever waits for an answer may be told in the place of one that is too long, the best first; nothing, if nobody
/// waits for it.
fn excuses(record: &Record, max: usize) -> Vec<Record> {
    let Some(msg) = record.msg() else { return Vec::new() };
    let texts = match message::body(msg) {
        Some(MsgBody::Response(_)) => vec![(
            ErrCode::RESOURCES_EXCEEDED,
            format!(
                "done, but the {} is longer than the MQTT server takes ({max} bytes): ask for fewer paths at a time, \
                 or with a smaller depth",
                message::name(msg)
            ),
        )],
        Some(MsgBody::Error(error)) => {
            let code = ErrCode(error.err_code);
            let left_out = format!("its details are left out: the MQTT server takes {max} bytes");
            vec![(code, format!("{} ({left_out})", error.err_msg)), (code, left_out), (code, String::new())]
        }
        Some(MsgBody::Request(_)) | None => Vec::new(),
    };
    let error = |(code, text): (ErrCode, String)| {
        let error = message::error(message::msg_id(msg), code, &text, Vec::new());
        Record::message(record.from.clone(), record.to.clone(), error)
    };
    texts.into_iter().map(error).collect()
}

/// What the core is told of a Record that can never be sent to this server.
fn too_long(record: &Record, max: usize) -> MqttEvent {
    let msg_id = record.msg().map(message::msg_id).unwrap_or_default().to_owned();
    MqttEvent::TooLong { to: record.to.clone(), msg_id, max }
}

/// Filters that are to be subscribed to, and those that no server would understand.
fn news(held: &BTreeMap<String, u8>, wanted: &[MqttFilter]) -> (Vec<MqttFilter>, Vec<(String, String)>) {
    let news = wanted.iter().filter(|filter| held.get(&filter.topic) != Some(&filter.qos)).cloned();
    let (good, bad): (Vec<_>, Vec<_>) = news.partition(|filter| mqtt::is_filter(&filter.topic));
    (good, bad.into_iter().map(|filter| (filter.topic, "not a topic filter".to_owned())).collect())
}

fn lost(reason: &str) -> End {
    End::Broken(Broken { status: MqttFailure::Lost, reason: reason.to_owned() })
}

/// Waits for CONNACK.
async fn accept(wire: &mut Wire) -> Result<Accepted, Broken> {
    loop {
        if let Arrival::Accepted(accepted) = wire.next().await? {
            return Ok(accepted);
        }
    }
}

/// Ends when the client is to stop, or to connect anew.
async fn other_orders(wanted: &mut watch::Receiver<Wanted>, run: u64) -> End {
    match wanted.wait_for(|wanted| wanted.stop || wanted.run != run).await {
        Ok(wanted) if !wanted.stop => End::Anew,
        _ => End::Stopped,
    }
}

/// Sends DISCONNECT (R-MQTT.35), unless the server does not take it.
async fn goodbye(handle: &Handle, wire: &mut Wire) {
    handle.disconnect();
    timeout(GOODBYE, async { while wire.next().await.is_ok() {} }).await.ok();
}

/// Publications that the server has not yet taken.
#[derive(Default)]
struct UnderWay {
    waiting: FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = usize> + Send>>>,
    bytes: usize,
}

impl UnderWay {
    fn add(&mut self, sent: Sent, bytes: usize, topic: String) {
        self.bytes += bytes;
        self.waiting.push(Box::pin(async move {
            if let Err(error) = sent.await {
                tracing::info!(topic, %error, "a Record was not delivered");
            }
            bytes
        }));
    }

    /// Ends when one more was taken; never without any.
    async fn one(&mut self) {
        match self.waiting.next().await {
            Some(bytes) => self.bytes -= bytes,
            None => std::future::pending().await,
        }
    }

    /// Ends when there is room for one more.
    async fn room(&mut self) {
        while self.waiting.len() >= usize::from(WINDOW) || self.bytes > UNDER_WAY {
            self.one().await;
        }
    }

    async fn all(&mut self) {
        while !self.waiting.is_empty() {
            self.one().await;
        }
    }
}
