//! The client's side of a UNIX domain socket (R-UDS.*).

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::uds_frame::{self, Frame, FrameDecoder, Tlv};

use super::error::ConnectError;
use super::{MAX_RECORD_BYTES, Via};

/// Bytes read at a time.
const CHUNK: usize = 16 * 1024;

/// An open connection to an Agent, Handshakes done.
pub(super) struct UdsLink {
    stream: UnixStream,
    decoder: FrameDecoder,
    /// Parts of frames that came together with the one that was taken.
    waiting: std::collections::VecDeque<Tlv>,
}

/// Connects (R-UDS.4) and exchanges Handshakes (R-UDS.16). The caller limits the time (R-UDS.18).
pub(super) async fn connect(
    via: &Via,
    path: &Path,
    own: &EndpointId,
) -> Result<(UdsLink, EndpointId), ConnectError> {
    let stream = UnixStream::connect(path).await.map_err(|error| ConnectError::opening(via, error))?;
    let decoder = FrameDecoder::new(MAX_RECORD_BYTES);
    let mut link = UdsLink { stream, decoder, waiting: Default::default() };
    let refused = |reason| ConnectError::Refused { via: via.clone(), endpoint_id: own.to_string(), reason };
    link.write(&uds_frame::handshake(own)).await.map_err(refused)?;
    let told = link.handshake().await.map_err(refused)?;
    let agent = EndpointId::parse(&told).map_err(|error| {
        let problem = format!("the Agent calls itself {told:?}: {error}");
        ConnectError::Protocol { via: via.clone(), problem }
    })?;
    Ok((link, agent))
}

impl UdsLink {
    /// Records that come before the Handshake are ignored (R-UDS.20).
    async fn handshake(&mut self) -> Result<String, String> {
        loop {
            match self.next().await? {
                Tlv::Handshake(id) => return Ok(id),
                Tlv::Error(text) => return Err(text),
                Tlv::Record(_) | Tlv::Unknown { .. } => {}
            }
        }
    }

    /// Sends one Record (R-UDS.22).
    pub(super) async fn send(&mut self, record: Vec<u8>) -> Result<(), String> {
        self.write(&uds_frame::record(&record)).await
    }

    /// The next Record. Cancelling it loses nothing. The error is the reason why there is none any more.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match self.next().await? {
                Tlv::Record(record) => return Ok(record),
                // R-UDS.25
                Tlv::Error(text) => return Err(format!("the Agent refuses it: {text}")),
                // A second Handshake is ignored (R-UDS.19).
                Tlv::Handshake(_) | Tlv::Unknown { .. } => {}
            }
        }
    }

    /// Ends the connection.
    pub(super) async fn close(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// Says what is wrong, then ends the connection (R-UDS.23, R-UDS.24).
    pub(super) async fn reject(&mut self, problem: &str) {
        self.write(&uds_frame::error(problem)).await.ok();
        self.close().await;
    }

    /// The next part of a frame.
    async fn next(&mut self) -> Result<Tlv, String> {
        loop {
            if let Some(tlv) = self.waiting.pop_front() {
                return Ok(tlv);
            }
            let Frame { tlvs } = self.frame().await?;
            self.waiting.extend(tlvs);
        }
    }

    async fn frame(&mut self) -> Result<Frame, String> {
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => {
                    self.reject(&error.to_string()).await;
                    return Err(format!("what came is not USP: {error}"));
                }
            }
            let mut chunk = Vec::with_capacity(CHUNK);
            match self.stream.read_buf(&mut chunk).await {
                Ok(0) => return Err("the Agent closed it".to_owned()),
                Ok(_) => self.decoder.push(&chunk),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| error.to_string())
    }
}
