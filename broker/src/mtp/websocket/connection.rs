//! One WebSocket: upgrade, then one Record a binary message both ways, with pings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig as SocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use usp_core::input::{Link, MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;

use super::upgrade::{self, Refusal};
use crate::config::WebSocketConfig;
use crate::mtp::letter::Letter;
use crate::mtp::outbox::{Outbox, Turn};
use crate::mtp::shaking::Shaking;
use crate::mtp::{End, GOODBYE, Gateway, Places, Session};

/// Bytes read at once; the library's own default of 128 KiB is for few connections.
const READ: usize = 8 * 1024;

/// Messages are gathered up to this size before they are written.
const WRITE: usize = 64 * 1024;

/// The longest reason that fits into a close frame (RFC 6455 section 5.5), in bytes.
const REASON: usize = 123;

/// A connection that has just been accepted.
pub(super) struct Visitor {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) config: Arc<WebSocketConfig>,
    pub(super) shaking: Shaking,
    pub(super) places: Places,
}

/// Serves one connection from its first byte to its last.
pub(super) async fn run(visitor: Visitor, gateway: Gateway) {
    let Visitor { stream, peer: address, config, shaking, places } = visitor;
    let mut admitted = None;
    let callback = Upgrade { config: &config, own: &gateway.own, places: &places, admitted: &mut admitted };
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(
        stream,
        callback,
        Some(socket_config(gateway.limits.max_record_bytes)),
    );
    let socket = tokio::select! {
        () = gateway.stop.cancelled() => return,
        () = shaking.lost() => return tracing::info!(%address, "no place for an unfinished handshake (max_handshakes)"),
        socket = timeout(gateway.limits.handshake_timeout, upgrade) => socket,
    };
    drop(shaking);
    let socket = match socket {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return tracing::info!(%address, %error, "no WebSocket came of a connection"),
        Err(_) => return tracing::info!(%address, "WebSocket handshake took too long"),
    };
    let Some((peer, _place)) = admitted else { return };
    let link = Link { mtp: MtpKind::WebSocket, side: Side::Agent, peer, trusted: config.trusted() };
    let Some(session) = gateway.open(link).await else { return };
    serve(socket, session, config.keep_alive, gateway.limits.max_record_bytes).await;
}

fn socket_config(max_record: usize) -> SocketConfig {
    SocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(Some(max_record))
        .max_frame_size(Some(max_record))
}

/// Decides about the upgrade request, and keeps who is there and its place.
struct Upgrade<'a> {
    config: &'a WebSocketConfig,
    own: &'a EndpointId,
    places: &'a Places,
    admitted: &'a mut Option<(EndpointId, OwnedSemaphorePermit)>,
}

impl Callback for Upgrade<'_> {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let peer =
            upgrade::accept(request, &mut response, self.config, self.own).map_err(Refusal::response)?;
        let place = self.places.connection().ok_or_else(|| Refusal::full().response())?;
        *self.admitted = Some((peer, place));
        Ok(response)
    }
}

async fn serve(
    socket: WebSocketStream<TcpStream>,
    session: Session,
    keep_alive: Duration,
    max_record: usize,
) {
    let (mut sink, mut stream) = socket.split();
    // Both halves are polled by this one task; anything that is read is a sign of life.
    let alive = AtomicBool::new(true);
    let end = tokio::select! {
        end = receive(&session, &mut stream, &alive, max_record) => end,
        end = send(&session.outbox, &mut sink, keep_alive) => end,
        end = watch(&alive, keep_alive) => end,
        end = session.aborted() => end,
    };
    let goodbye = async {
        match last_words(&end) {
            Some(frame) => close(&mut sink, &mut stream, frame).await,
            // The library holds the answer to the peer's close frame, and sends it when it is read on (R-WS.8).
            None if matches!(end, End::Peer) => drain(&mut stream).await,
            None => {}
        }
    };
    // The connection ends either way.
    timeout(GOODBYE, goodbye).await.ok();
    session.end(&end).await;
}

async fn receive(
    session: &Session,
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    alive: &AtomicBool,
    max_record: usize,
) -> End {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return failure(error, max_record),
            None => return End::Peer,
        };
        alive.store(true, Ordering::Relaxed);
        let outcome = match message {
            Message::Binary(bytes) => session.record(&bytes).await,
            Message::Text(_) => {
                Err(End::Undecodable("a text message; Records are binary (R-WS.14)".to_owned()))
            }
            Message::Close(_) => Err(End::Peer),
            // The library answers a Ping by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

fn failure(error: Error, max_record: usize) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Peer,
        Error::Io(error) => End::Io(error),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => End::TooLong(max_record),
        other => End::BadFrame(other.to_string()),
    }
}

/// Sends Records as they come, and a ping each `keep_alive` (R-WS.17).
async fn send(
    outbox: &Outbox,
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    keep_alive: Duration,
) -> End {
    let mut pings = every(keep_alive, keep_alive);
    loop {
        let done = tokio::select! {
            turn = outbox.next() => match turn {
                Turn::Send(letters) => transmit(sink, letters.into_iter().map(Letter::into_bytes)).await,
                Turn::Close(why) => return End::Closed(why),
            },
            _ = pings.tick() => sink.send(Message::Ping(Bytes::new())).await,
        };
        if let Err(error) = done {
            return failure(error, 0);
        }
    }
}

/// Ends when nothing came for a whole `keep_alive` although a ping was due. It looks half-way between two pings, and also
/// while a write is stuck: a dead peer's does not end by itself for many minutes.
async fn watch(alive: &AtomicBool, keep_alive: Duration) -> End {
    let mut looks = every(keep_alive, keep_alive + keep_alive / 2);
    loop {
        looks.tick().await;
        if !alive.swap(false, Ordering::Relaxed) {
            return End::Silent(keep_alive);
        }
    }
}

fn every(period: Duration, first: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + first, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Feeds all, flushes once.
async fn transmit(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    records: impl Iterator<Item = Vec<u8>>,
) -> Result<(), Error> {
    for record in records {
        sink.feed(Message::Binary(record.into())).await?;
    }
    sink.flush().await
}

/// What the peer is told; `None`: it knows, or nothing can be sent any more.
fn last_words(end: &End) -> Option<CloseFrame> {
    let (code, reason) = match end {
        End::Peer | End::PeerError(_) | End::Io(_) | End::Overflow | End::Silent(_) => return None,
        End::Closed(CloseReason::Shutdown) | End::Stopped => (CloseCode::Away, end.to_string()),
        End::Closed(CloseReason::Protocol(text)) => (CloseCode::Protocol, text.clone()),
        End::Closed(why) => (CloseCode::Policy, why.to_string()),
        End::BadFrame(_) => (CloseCode::Protocol, end.to_string()),
        End::TooLong(_) => (CloseCode::Size, end.to_string()),
        // R-WS.16
        End::Undecodable(_) => (CloseCode::Unsupported, end.to_string()),
    };
    Some(CloseFrame { code, reason: shorten(reason).into() })
}

fn shorten(mut text: String) -> String {
    while text.len() > REASON {
        text.pop();
    }
    text
}

/// Sends the close frame and waits for the peer's, so that ours is not lost with unread bytes.
async fn close(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    frame: CloseFrame,
) {
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        drain(stream).await;
    }
}

/// Reads to the end.
async fn drain(stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin)) {
    while let Some(Ok(_)) = stream.next().await {}
}
