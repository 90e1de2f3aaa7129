//! One end of a UNIX domain socket: parts and Records in and out, and the Handshake of the side that connects.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use usp_proto::usp::Msg;
use usp_proto::usp_record::record::RecordType;
use usp_proto::usp_record::{NoSessionContextRecord, Record};

use super::frame::{self, FrameError, Part};

/// R-UDS.18: a client that gets no Handshake for so long gives up.
pub(crate) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(30);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The other side closed it.
    #[error("closed by the other side")]
    Closed,
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] io::Error),
    /// What came was no frame.
    #[error("the other side sent {0}")]
    Frame(#[from] FrameError),
    /// A Record could not be decoded.
    #[error("a Record that cannot be decoded")]
    Record(#[from] prost::DecodeError),
    /// The other side closes because of an error of ours.
    #[error("the other side says: {0}")]
    Refused(String),
    /// No Handshake came in time.
    #[error("no Handshake within {} s", HANDSHAKE_PATIENCE.as_secs())]
    NoHandshake,
    /// It was to be closed.
    #[error("closed on purpose")]
    OnPurpose,
}

pub(crate) struct Wire {
    stream: UnixStream,
    buffer: Vec<u8>,
    ready: VecDeque<Part>,
}

impl Wire {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new(), ready: VecDeque::new() }
    }

    pub(crate) async fn send(&mut self, part: &Part) -> Result<(), WireError> {
        Ok(self.stream.write_all(&frame::encode(part)).await?)
    }

    pub(crate) async fn send_record(&mut self, record: &Record) -> Result<(), WireError> {
        self.send(&Part::Record(record.encode_to_vec())).await
    }

    /// The next part. May be given up and asked again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Part, WireError> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(part);
            }
            match frame::take(&mut self.buffer) {
                Ok(Some(parts)) => self.ready.extend(parts),
                Ok(None) => {
                    if self.stream.read_buf(&mut self.buffer).await? == 0 {
                        return Err(WireError::Closed);
                    }
                }
                Err(error) => {
                    self.send(&Part::Error(error.to_string())).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// The next Record; R-UDS.19: another Handshake is ignored.
    pub(crate) async fn next_record(&mut self) -> Result<Record, WireError> {
        loop {
            match self.next().await? {
                Part::Handshake(_) => {}
                Part::Error(text) => return Err(WireError::Refused(text)),
                Part::Record(bytes) => match Record::decode(bytes.as_slice()) {
                    Ok(record) => return Ok(record),
                    Err(error) => {
                        self.send(&Part::Error(format!("a Record that cannot be decoded: {error}"))).await?;
                        return Err(error.into());
                    }
                },
            }
        }
    }

    /// Says who we are and learns who is there.
    pub(crate) async fn shake_hands(&mut self, own: &str) -> Result<String, WireError> {
        self.send(&Part::Handshake(own.to_owned())).await?;
        let answer = async {
            loop {
                match self.next().await? {
                    Part::Handshake(id) => return Ok(id),
                    Part::Error(text) => return Err(WireError::Refused(text)),
                    // R-UDS.20: a Record before the Handshake is ignored.
                    Part::Record(_) => {}
                }
            }
        };
        tokio::time::timeout(HANDSHAKE_PATIENCE, answer).await.unwrap_or(Err(WireError::NoHandshake))
    }
}

/// A Record of this kind.
pub(crate) fn record(to: &str, from: &str, kind: RecordType) -> Record {
    Record {
        version: usp_proto::USP_VERSION.to_owned(),
        to_id: to.to_owned(),
        from_id: from.to_owned(),
        record_type: Some(kind),
        ..Default::default()
    }
}

/// A Record around a Message.
pub(crate) fn carrying(to: &str, from: &str, message: &Msg) -> Record {
    let payload = message.encode_to_vec();
    record(to, from, RecordType::NoSessionContext(NoSessionContextRecord { payload }))
}

/// The Message in a Record; `None`: it carries none, or none that can be decoded.
pub(crate) fn carried(record: &Record) -> Option<Msg> {
    match record.record_type.as_ref()? {
        RecordType::NoSessionContext(content) => Msg::decode(content.payload.as_slice()).ok(),
        _ => None,
    }
}
