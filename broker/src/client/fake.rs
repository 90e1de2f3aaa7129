//! An Agent on a socket, for tests that say what it does.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::{Connect, Record, RecordBody};
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetResp, Msg, get_resp};

use super::Via;

pub(crate) fn agent() -> EndpointId {
    "os::012345-agent".parse().unwrap()
}

pub(crate) fn controller() -> EndpointId {
    "self::ctrl%21".parse().unwrap()
}

/// The Agent's side of a socket.
pub(crate) struct Peer {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Peer {
    pub(crate) async fn part(&mut self) -> Option<Tlv> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return frame.tlvs.into_iter().next();
            }
            let mut chunk = Vec::with_capacity(1024);
            if self.stream.read_buf(&mut chunk).await.unwrap() == 0 {
                return None;
            }
            self.decoder.push(&chunk);
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn greet(&mut self) {
        let Some(Tlv::Handshake(id)) = self.part().await else { panic!("no Handshake") };
        assert_eq!(id, controller().as_str());
        self.write(&uds_frame::handshake(&agent())).await;
        let connect = Record::connect(agent(), controller(), Connect::Uds);
        self.write(&uds_frame::record(&connect.encode())).await;
    }

    pub(crate) async fn message(&mut self) -> Msg {
        let Some(Tlv::Record(bytes)) = self.part().await else { panic!("no Record") };
        message_in(&bytes)
    }

    pub(crate) async fn send(&mut self, msg: Msg) {
        let record = Record::message(agent(), controller(), msg);
        self.write(&uds_frame::record(&record.encode())).await;
    }
}

pub(super) fn message_in(bytes: &[u8]) -> Msg {
    let record = Record::decode(bytes).unwrap();
    assert_eq!((record.to, record.from), (agent(), controller()));
    let RecordBody::Message(msg) = record.body else { panic!("no Message") };
    *msg
}

/// A GetResp with the path that was asked for.
pub(super) fn echo(msg: &Msg) -> Msg {
    let body = format!("{:?}", message::body(msg));
    let path = body.split('"').nth(1).unwrap().to_owned();
    let result = get_resp::RequestedPathResult { requested_path: path, ..Default::default() };
    let response = GetResp { req_path_results: vec![result] };
    message::response(message::msg_id(msg), RespType::GetResp(response))
}

/// A socket on which `serve` plays the Agent for one connection.
pub(crate) fn socket<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(Peer) -> F + Send + 'static,
) -> (TempDir, Via) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(Peer { stream, decoder: FrameDecoder::new(65536) }).await;
    });
    (dir, Via::Uds(path))
}
