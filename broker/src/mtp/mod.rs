//! Transports: one task per connection, which also decodes and encodes; one bounded channel to the driver; one bounded
//! outbox per connection back.

pub(crate) mod letter;
pub(crate) mod mqtt;
pub(crate) mod outbox;
pub(crate) mod shaking;
#[cfg(test)]
mod testing;
pub(crate) mod uds;
pub(crate) mod websocket;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use usp_core::input::{ConnId, Input, Link};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::record::{DecodeFault, Record};

use crate::config::EdgeLimits;
use crate::telemetry::plain;
use outbox::Outbox;
use shaking::{Handshakes, Shaking};

/// Inputs of all connections together that may wait for the core.
const EVENTS: usize = 1024;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Pause after a failed `accept`, for example without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections tell the driver.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection is up: its [`Input::Connected`] with where its Records go.
    Up { conn: ConnId, link: Link, outbox: Arc<Outbox> },
    /// Anything else.
    Input(Input),
}

/// What every connection needs.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    /// Our Endpoint ID.
    pub(crate) own: EndpointId,
    pub(crate) limits: Arc<EdgeLimits>,
    /// Fires when no new connection is wanted.
    pub(crate) stop: CancellationToken,
    /// Fires when nobody is left to serve connections.
    pub(crate) end: CancellationToken,
    /// All tasks of listeners and connections.
    pub(crate) tasks: TaskTracker,
    events: mpsc::Sender<Event>,
    ids: Arc<AtomicU64>,
}

impl Gateway {
    pub(crate) fn new(own: EndpointId, limits: EdgeLimits) -> (Self, mpsc::Receiver<Event>) {
        let (events, inbox) = mpsc::channel(EVENTS);
        let gateway = Self {
            own,
            limits: Arc::new(limits),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
            events,
            ids: Arc::default(),
        };
        (gateway, inbox)
    }

    /// Tells the driver that a peer is there. `None`: the broker is ending.
    pub(crate) async fn open(&self, link: Link) -> Option<Session> {
        let conn = ConnId(self.ids.fetch_add(1, Ordering::Relaxed));
        let outbox = Arc::new(Outbox::new(self.limits.max_outbox_records, self.limits.max_outbox_bytes));
        tracing::info!(conn = conn.0, peer = %link.peer, mtp = ?link.mtp, side = ?link.side, "connected");
        let ids = [self.own.clone(), link.peer.clone()];
        let up = Event::Up { conn, link, outbox: Arc::clone(&outbox) };
        self.events.send(up).await.ok()?;
        Some(Session { conn, ids, outbox, events: self.events.clone(), stopped: self.end.clone() })
    }
}

/// One connection, seen from its task.
#[derive(Debug)]
pub(crate) struct Session {
    conn: ConnId,
    /// Ours and the peer's, that Records go between.
    ids: [EndpointId; 2],
    pub(crate) outbox: Arc<Outbox>,
    events: mpsc::Sender<Event>,
    stopped: CancellationToken,
}

impl Session {
    /// Ends when the connection is to end for a reason that is neither the peer's nor the core's.
    pub(crate) async fn aborted(&self) -> End {
        tokio::select! {
            () = self.outbox.overflowed() => End::Overflow,
            () = self.stopped.cancelled() => End::Stopped,
        }
    }

    /// Decodes one Record and passes it on; waits while the core is busy.
    ///
    /// Errors: the bytes are no Record at all: the transport closes.
    pub(crate) async fn record(&self, bytes: &[u8]) -> Result<(), End> {
        let conn = self.conn;
        let input = match Record::decode_among(bytes, &self.ids.each_ref()) {
            Ok(record) => Input::Record { conn, record: Box::new(record) },
            Err(DecodeFault::Answer(bad)) => Input::BadRecord { conn, bad },
            Err(fault @ DecodeFault::Unusable(_)) => {
                tracing::debug!(conn = conn.0, %fault, "Record dropped");
                return Ok(());
            }
            Err(DecodeFault::Undecodable(why)) => return Err(End::Undecodable(why)),
        };
        self.events.send(Event::Input(input)).await.map_err(|_| End::Stopped)
    }

    /// Tells the driver that it is over.
    pub(crate) async fn end(self, end: &End) {
        let reason = plain(&end.to_string());
        tracing::info!(conn = self.conn.0, %reason, "disconnected");
        let input = Input::Disconnected { conn: self.conn, reason };
        // Without a driver nobody needs to know.
        self.events.send(Event::Input(input)).await.ok();
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer ended it in good order.
    Peer,
    /// The peer said why it ends it.
    PeerError(String),
    /// The core wants it.
    Closed(CloseReason),
    /// Its outbox was full.
    Overflow,
    /// It sent a frame that cannot be read.
    BadFrame(String),
    /// It sent what is longer than allowed.
    TooLong(usize),
    /// It sent bytes that are no Record.
    Undecodable(String),
    /// It is silent although it was pinged.
    Silent(Duration),
    /// The system says so.
    Io(io::Error),
    /// The broker is ending.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by the peer"),
            Self::PeerError(text) => write!(f, "closed by the peer: {text}"),
            Self::Closed(why) => why.fmt(f),
            Self::Overflow => f.write_str(
                "the peer does not read what is sent to it (max_outbox_records, max_outbox_bytes)",
            ),
            Self::BadFrame(text) => write!(f, "unreadable frame: {text}"),
            Self::TooLong(limit) => write!(f, "longer than max_record_bytes ({limit})"),
            Self::Undecodable(text) => write!(f, "not a USP Record: {text}"),
            Self::Silent(time) => write!(f, "no sign of life for {} s", time.as_secs()),
            Self::Io(error) => error.fmt(f),
            Self::Stopped => f.write_str("the broker is ending"),
        }
    }
}

/// The two bounds of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    handshakes: Handshakes,
    connections: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(limits: &EdgeLimits) -> Self {
        let count = limits.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            handshakes: Handshakes::new(limits.max_handshakes),
            connections: Arc::new(Semaphore::new(count)),
        }
    }

    /// A place among those that shake hands.
    pub(crate) fn handshake(&self) -> Shaking {
        self.handshakes.enter()
    }

    /// A place among the connections, if one is free: for who has shaken hands.
    pub(crate) fn connection(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }
}
