//! Requests and their answers by `msg_id`, and notifications, over one [`Link`].

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify as Returns, mpsc, oneshot};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{Connect, DecodeFault, Record, RecordBody};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Msg, Notify, NotifyResp};

use super::error::{ConnectError, Fate, RequestError};
use super::link::Link;
use super::{Options, Via, mqtt, uds, websocket};

/// Notifications that wait for their reader. When they are full, nothing more is read from the connection.
const NOTIFICATIONS: usize = 1024;

/// How long the reason of an ended connection is waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Requests that wait to be sent.
const ORDERS: usize = 256;

/// A Controller's connection to one Agent. Cheap to clone; the connection ends with the last clone.
#[derive(Clone, Debug)]
pub struct Client {
    orders: mpsc::Sender<Order>,
    agent: EndpointId,
    timeout: Duration,
    patience: Duration,
    over_mqtt: bool,
    ids: Arc<Ids>,
    returns: Arc<Returns>,
    end: Arc<OnceLock<String>>,
}

/// What the Agent tells unasked. Must be read, or dropped: see [`Client::request`].
#[derive(Debug)]
pub struct Notifications {
    queue: mpsc::Receiver<Notify>,
    end: Arc<OnceLock<String>>,
}

#[derive(Debug)]
struct Ids {
    stem: String,
    next: AtomicU64,
}

type Answer = Result<RespType, RequestError>;

#[derive(Debug)]
enum Order {
    Ask { msg_id: String, request: ReqType, answer: oneshot::Sender<Answer> },
    Close { done: oneshot::Sender<()> },
}

/// Sixteen hexadecimal digits that differ at each call.
pub(crate) fn random_text() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

impl Client {
    /// Connects, introduces us, and learns who the Agent is.
    pub async fn connect(options: &Options) -> Result<(Self, Notifications), ConnectError> {
        let (link, agent) = open(options).await?;
        let (orders, taken) = mpsc::channel(ORDERS);
        let (told, queue) = mpsc::channel(NOTIFICATIONS);
        let end = Arc::new(OnceLock::new());
        let session = Session {
            link,
            own: options.endpoint_id.clone(),
            agent: agent.clone(),
            pending: BTreeMap::new(),
            notifications: told,
            returns: Arc::default(),
        };
        let returns = Arc::clone(&session.returns);
        tokio::spawn(session.run(taken, Arc::clone(&end)));
        let ids = Arc::new(Ids { stem: random_text(), next: AtomicU64::new(1) });
        let over_mqtt = matches!(options.via, Via::Mqtt(_));
        let Options { timeout, patience, .. } = *options;
        let client =
            Self { orders, agent, timeout, patience, over_mqtt, ids, returns, end: Arc::clone(&end) };
        Ok((client, Notifications { queue, end }))
    }

    /// The Agent's Endpoint ID.
    pub fn agent(&self) -> &EndpointId {
        &self.agent
    }

    /// Sends a request and waits for its Response, which fits the request's kind.
    ///
    /// Any number may be under way at a time. While one is awaited, somebody has to read the [`Notifications`], unless
    /// they were dropped: with a thousand of them unread nothing else comes through.
    ///
    /// Errors: [`RequestError::Refused`] for an Error message; the others when there is no answer.
    pub async fn request(&self, request: ReqType) -> Result<RespType, RequestError> {
        let fate = Fate::of(&request);
        let number = self.ids.next.fetch_add(1, Ordering::Relaxed);
        let msg_id = format!("{}-{number}", self.ids.stem);
        let (answer, answered) = oneshot::channel();
        let ask = async {
            let order = Order::Ask { msg_id, request, answer };
            self.orders.send(order).await.map_err(|_| closed(&self.end))?;
            answered.await.map_err(|_| closed(&self.end))?
        };
        let within = match fate {
            Fate::Nothing => self.timeout,
            Fate::Open => self.patience,
        };
        let silent = if self.over_mqtt { RequestError::SilentOverMqtt } else { RequestError::TimedOut };
        tokio::time::timeout(within, ask).await.map_err(|_| silent(within, fate))?
    }

    /// Waits until the Agent has come to the MQTT server anew (R-MTP.8): it may have been restarted, and not know any
    /// more what was not to be kept. Over other transports that is the end of the connection, and this waits for ever.
    pub async fn agent_returns(&self) {
        self.returns.notified().await;
    }

    /// Ends the connection in the ordinary way, for all clones.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close { done }).await.is_ok() {
            tokio::time::timeout(Duration::from_secs(1), closed).await.ok();
        }
    }
}

impl Notifications {
    /// The next notification; cancelling it loses none. The error says how the connection ended.
    pub async fn next(&mut self) -> Result<Notify, RequestError> {
        self.queue.recv().await.ok_or_else(|| closed(&self.end))
    }

    /// One that has come already, whether or not the connection has ended meanwhile.
    pub fn waiting(&mut self) -> Option<Notify> {
        self.queue.try_recv().ok()
    }
}

fn closed(end: &OnceLock<String>) -> RequestError {
    RequestError::Closed(end.get().cloned().unwrap_or_else(|| "it was closed".to_owned()))
}

async fn open(options: &Options) -> Result<(Link, EndpointId), ConnectError> {
    let missing = match options.via {
        Via::Uds(_) => "the Agent's Handshake",
        Via::WebSocket(_) => "the Agent's Connect Record",
        Via::Mqtt(_) => "the MQTT server's answer",
    };
    let opening = async {
        match &options.via {
            Via::Uds(path) => open_uds(options, path).await,
            Via::WebSocket(url) => open_websocket(options, url).await,
            Via::Mqtt(url) => {
                let link = mqtt::connect(url, &options.endpoint_id, options.timeout).await?;
                Ok((Link::Mqtt(Box::new(link)), url.agent.clone()))
            }
        }
    };
    let timed_out = |_| ConnectError::TimedOut { via: options.via.clone(), missing, within: options.timeout };
    tokio::time::timeout(options.timeout, opening).await.map_err(timed_out)?
}

async fn open_uds(options: &Options, path: &std::path::Path) -> Result<(Link, EndpointId), ConnectError> {
    let (link, agent) = uds::connect(&options.via, path, &options.endpoint_id).await?;
    Ok((Link::Uds(link), agent))
}

async fn open_websocket(
    options: &Options,
    url: &super::WebSocketUrl,
) -> Result<(Link, EndpointId), ConnectError> {
    let (link, told) = websocket::connect(url, &options.endpoint_id).await?;
    let mut link = Link::WebSocket(Box::new(link));
    if let Some(agent) = told {
        return Ok((link, agent));
    }
    let via = &options.via;
    let refused = |reason| ConnectError::Refused {
        via: via.clone(),
        endpoint_id: options.endpoint_id.to_string(),
        reason,
    };
    let bytes = link.receive().await.map_err(refused)?;
    let record = Record::decode(&bytes)
        .map_err(|fault| ConnectError::Protocol { via: via.clone(), problem: fault.to_string() })?;
    Ok((link, record.from))
}

/// The task that owns the connection.
struct Session {
    link: Link,
    own: EndpointId,
    agent: EndpointId,
    pending: BTreeMap<String, oneshot::Sender<Answer>>,
    notifications: mpsc::Sender<Notify>,
    returns: Arc<Returns>,
}

impl Session {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, end: Arc<OnceLock<String>>) {
        let reason = self.exchange(&mut orders).await;
        // Before the senders go: whoever then finds them gone looks here for the reason.
        let reason = end.get_or_init(|| reason);
        for (_, answer) in std::mem::take(&mut self.pending) {
            answer.send(Err(RequestError::Closed(reason.clone()))).ok();
        }
    }

    /// Ends with the reason why the connection ended.
    async fn exchange(&mut self, orders: &mut mpsc::Receiver<Order>) -> String {
        loop {
            let done = tokio::select! {
                order = orders.recv() => self.obey(order).await,
                bytes = self.link.receive() => match bytes {
                    Ok(bytes) => self.take(&bytes).await,
                    Err(reason) => Err(reason),
                },
            };
            if let Err(reason) = done {
                return reason;
            }
        }
    }

    async fn obey(&mut self, order: Option<Order>) -> Result<(), String> {
        match order {
            Some(Order::Ask { msg_id, request, answer }) => {
                self.pending.retain(|_, waiting| !waiting.is_closed());
                let msg = message::request(&msg_id, request);
                self.pending.insert(msg_id, answer);
                self.send(msg).await
            }
            Some(Order::Close { done }) => {
                self.link.close().await;
                done.send(()).ok();
                Err("we closed it".to_owned())
            }
            None => {
                self.link.close().await;
                Err("we closed it".to_owned())
            }
        }
    }

    async fn send(&mut self, msg: Msg) -> Result<(), String> {
        let record = Record::message(self.own.clone(), self.agent.clone(), msg);
        match self.link.send(record.encode()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.last_words().await.unwrap_or(error)),
        }
    }

    /// Why the Agent closed a connection that cannot be written to any more: its reason may wait to be read.
    async fn last_words(&mut self) -> Option<String> {
        let reason = async {
            loop {
                if let Err(reason) = self.link.receive().await {
                    return reason;
                }
            }
        };
        tokio::time::timeout(LAST_WORDS, reason).await.ok()
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(DecodeFault::Undecodable(problem)) => {
                self.link.reject(&problem).await;
                return Err(format!("the Agent sent what is no USP Record: {problem}"));
            }
            Err(DecodeFault::Answer(bad)) if bad.to == self.own => {
                return self.link.send(bad.answer().encode()).await;
            }
            Err(DecodeFault::Answer(_) | DecodeFault::Unusable(_)) => return Ok(()),
        };
        if record.to != self.own || record.from != self.agent {
            return Ok(());
        }
        match record.body {
            RecordBody::Message(msg) => self.take_message(*msg).await,
            RecordBody::Disconnect { reason, .. } => Err(format!("the Agent said goodbye: {reason}")),
            RecordBody::Connect(Connect::Mqtt { .. }) => {
                self.returns.notify_one();
                Ok(())
            }
            RecordBody::Connect(_) | RecordBody::Session { .. } => Ok(()),
        }
    }

    async fn take_message(&mut self, msg: Msg) -> Result<(), String> {
        let msg_id = message::msg_id(&msg).to_owned();
        match msg.body.and_then(|body| body.msg_body) {
            Some(MsgBody::Response(response)) => {
                let unusable = || RequestError::Unusable("the Response is empty".to_owned());
                self.answer(&msg_id, response.resp_type.ok_or_else(unusable));
                Ok(())
            }
            Some(MsgBody::Error(error)) => {
                self.answer(&msg_id, Err(RequestError::Refused(error)));
                Ok(())
            }
            Some(MsgBody::Request(request)) => self.take_request(&msg_id, request.req_type).await,
            None => Ok(()),
        }
    }

    /// An answer that nobody waits for any more is dropped.
    fn answer(&mut self, msg_id: &str, answer: Answer) {
        if let Some(waiting) = self.pending.remove(msg_id) {
            waiting.send(answer).ok();
        }
    }

    async fn take_request(&mut self, msg_id: &str, request: Option<ReqType>) -> Result<(), String> {
        let Some(ReqType::Notify(notify)) = request else {
            let text = "a Controller takes no request but Notify";
            return self.send(message::error(msg_id, ErrCode::MESSAGE_NOT_SUPPORTED, text, Vec::new())).await;
        };
        // R-NOT.8, R-NOT.10
        if notify.send_resp {
            let response = NotifyResp { subscription_id: notify.subscription_id.clone() };
            self.send(message::response(msg_id, RespType::NotifyResp(response))).await?;
        }
        // It fails when nobody wants them.
        self.notifications.send(notify).await.ok();
        Ok(())
    }
}
