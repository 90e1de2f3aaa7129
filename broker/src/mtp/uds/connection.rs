//! One connection on a socket: handshake, then Records both ways.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use usp_core::input::{Link, MtpKind, Side};
use usp_core::output::CloseReason;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::uds_frame::{self, Frame, FrameDecoder, FrameError, Tlv};

use super::stream;
use crate::mtp::outbox::{Outbox, Turn};
use crate::mtp::shaking::Shaking;
use crate::mtp::{End, GOODBYE, Gateway, Places, Session};

/// Bytes read at once, and while a long frame is on its way.
const READ: usize = 8 * 1024;
const READ_LONG: usize = 64 * 1024;

/// Frames are gathered up to this size before they are written.
const WRITE: usize = 64 * 1024;

/// Bytes of a frame around its one TLV.
const TLV_HEADER: usize = 5;

/// Serves one connection from its first byte to its last.
pub(super) async fn run(stream: UnixStream, side: Side, gateway: Gateway, places: Places, shaking: Shaking) {
    let (read, mut write) = match stream::split(stream) {
        Ok(halves) => halves,
        Err(error) => return tracing::warn!(?side, %error, "a connection cannot be served"),
    };
    let mut reader = Reader::new(read, gateway.limits.max_record_bytes);
    let patience = gateway.limits.handshake_timeout;
    let shaken = tokio::select! {
        () = gateway.stop.cancelled() => return,
        () = shaking.lost() => return tracing::info!(?side, "no place for an unfinished handshake (max_handshakes)"),
        shaken = timeout(patience, shake_hands(&mut reader, &mut write, &gateway.own, &places)) => shaken,
    };
    drop(shaking);
    let (peer, _place) = match shaken {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(error)) => return refuse(&mut write, error).await,
        Err(_) => return refuse(&mut write, Refused::Slow(patience)).await,
    };
    let link = Link { mtp: MtpKind::Uds, side, peer, trusted: true };
    let Some(session) = gateway.open(link).await else { return };
    let end = exchange(&session, &mut reader, &mut write).await;
    if let Some(text) = last_words(&end) {
        goodbye(&mut write, &text).await;
    }
    session.end(&end).await;
}

/// Why there was no handshake.
enum Refused {
    /// The peer went away, or sent an Error itself (R-UDS.25).
    Gone,
    /// R-UDS.21, R-UDS.24.
    Bad(String),
    /// R-UDS.18.
    Slow(Duration),
    /// There are too many others.
    Full,
}

/// Waits for the peer's Handshake, then sends ours (R-UDS.17). Records before it are ignored (R-UDS.20).
async fn shake_hands(
    reader: &mut Reader<impl AsyncRead + Unpin>,
    write: &mut (impl AsyncWrite + Unpin),
    own: &EndpointId,
    places: &Places,
) -> Result<(EndpointId, OwnedSemaphorePermit), Refused> {
    let peer = loop {
        match reader.next().await {
            Ok(Tlv::Handshake(text)) => {
                break EndpointId::parse(&text).map_err(|e| Refused::Bad(e.to_string()))?;
            }
            Ok(Tlv::Record(_) | Tlv::Unknown { .. }) => {}
            Ok(Tlv::Error(_)) => return Err(Refused::Gone),
            Err(End::BadFrame(text)) => return Err(Refused::Bad(text)),
            Err(end @ End::TooLong(_)) => return Err(Refused::Bad(end.to_string())),
            Err(_) => return Err(Refused::Gone),
        }
    };
    let place = places.connection().ok_or(Refused::Full)?;
    write.write_all(&uds_frame::handshake(own)).await.map_err(|_| Refused::Gone)?;
    Ok((peer, place))
}

async fn refuse(write: &mut (impl AsyncWrite + Unpin), why: Refused) {
    let text = match why {
        Refused::Gone => return,
        Refused::Bad(text) => format!("handshake failed: {text}"),
        Refused::Full => "too many connections (max_connections)".to_owned(),
        Refused::Slow(limit) => format!("no handshake within {} s", limit.as_secs()),
    };
    tracing::info!(%text, "connection refused");
    goodbye(write, &text).await;
}

/// Carries Records both ways until something ends it. Reading goes on while a write is stuck.
async fn exchange(
    session: &Session,
    reader: &mut Reader<impl AsyncRead + Unpin>,
    write: &mut (impl AsyncWrite + Unpin),
) -> End {
    tokio::select! {
        end = receive(session, reader) => end,
        end = send(&session.outbox, write) => end,
        end = session.aborted() => end,
    }
}

async fn receive(session: &Session, reader: &mut Reader<impl AsyncRead + Unpin>) -> End {
    loop {
        let outcome = match reader.next().await {
            Ok(Tlv::Record(bytes)) => session.record(&bytes).await,
            // R-UDS.19, R-UDS.15.
            Ok(Tlv::Handshake(_) | Tlv::Unknown { .. }) => Ok(()),
            Ok(Tlv::Error(text)) => Err(End::PeerError(text)),
            Err(end) => Err(end),
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

async fn send(outbox: &Outbox, write: &mut (impl AsyncWrite + Unpin)) -> End {
    let mut buffer = Vec::new();
    loop {
        let letters = match outbox.next().await {
            Turn::Send(letters) => letters,
            Turn::Close(why) => return End::Closed(why),
        };
        for letter in letters {
            letter.encode_to(&mut buffer, uds_frame::record_head);
            if buffer.len() >= WRITE
                && let Err(error) = flush(write, &mut buffer).await
            {
                return End::Io(error);
            }
        }
        if let Err(error) = flush(write, &mut buffer).await {
            return End::Io(error);
        }
    }
}

async fn flush(write: &mut (impl AsyncWrite + Unpin), buffer: &mut Vec<u8>) -> std::io::Result<()> {
    write.write_all(buffer).await?;
    buffer.clear();
    // One long answer does not keep its memory.
    buffer.shrink_to(WRITE);
    Ok(())
}

/// What the peer is told in an Error frame; `None`: nothing, it knows or cannot be told.
fn last_words(end: &End) -> Option<String> {
    match end {
        End::Closed(CloseReason::Shutdown) | End::Peer | End::PeerError(_) | End::Io(_) | End::Stopped => {
            None
        }
        End::Closed(why) => Some(why.to_string()),
        // A frame that is not read cannot be followed by another.
        End::Overflow => None,
        End::BadFrame(_) | End::TooLong(_) | End::Undecodable(_) | End::Silent(_) => Some(end.to_string()),
    }
}

async fn goodbye(write: &mut (impl AsyncWrite + Unpin), text: &str) {
    let frame = uds_frame::error(text);
    let words = async {
        write.write_all(&frame).await?;
        write.shutdown().await
    };
    // The connection ends either way.
    timeout(GOODBYE, words).await.ok();
}

/// Gives the parts of frames one by one.
struct Reader<R> {
    read: R,
    decoder: FrameDecoder,
    parts: std::vec::IntoIter<Tlv>,
    chunk: Vec<u8>,
    max_record: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(read: R, max_record: usize) -> Self {
        let decoder = FrameDecoder::new(max_record.saturating_add(TLV_HEADER));
        Self { read, decoder, parts: Vec::new().into_iter(), chunk: vec![0; READ], max_record }
    }

    async fn next(&mut self) -> Result<Tlv, End> {
        loop {
            if let Some(part) = self.parts.next() {
                return Ok(part);
            }
            match self.decoder.next() {
                Ok(Some(Frame { tlvs })) => self.parts = tlvs.into_iter(),
                Ok(None) => self.fill().await?,
                Err(FrameError::TooLong { .. }) => return Err(End::TooLong(self.max_record)),
                Err(error) => return Err(End::BadFrame(error.to_string())),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        let wanted = if self.decoder.pending() > READ { READ_LONG } else { READ };
        if self.chunk.len() != wanted {
            self.chunk = vec![0; wanted];
        }
        match self.read.read(&mut self.chunk).await {
            Ok(0) => Err(End::Peer),
            Ok(count) => {
                self.decoder.push(self.chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(End::Io(error)),
        }
    }
}
