//! What the broker is measured against: a server with the same framing, decoding and write batching that knows its
//! answers beforehand.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::{Connect, Record};
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};
use usp_proto::usp::GetResp;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_tests::process::Process;

use crate::world::program;

/// Set for the process that serves: its folder.
const PLACE: &str = "USP_BENCH_ECHO";

/// Like the broker's: bytes read at a time, bytes gathered before a write, Records taken in one turn, threads.
const READ: usize = 16 * 1024;
const SOCKET_READ: usize = 8 * 1024;
const WRITE: usize = 64 * 1024;
const TURN: usize = 64;
const THREADS: usize = 2;

/// A running echo server.
pub(crate) struct Echo {
    _process: Process,
    /// Its UNIX domain socket.
    pub(crate) socket: PathBuf,
    /// Its WebSocket server.
    pub(crate) url: String,
}

impl Echo {
    /// Starts one in a folder; it answers a Get of one path with the result for that path.
    pub(crate) fn start(place: &Path, answers: &GetResp) -> Self {
        fs::write(place.join("answers"), answers.encode_to_vec()).unwrap();
        let process = Process::start(Command::new(program()).env(PLACE, place));
        let url = process.line();
        Self { _process: process, socket: place.join("echo"), url }
    }
}

/// The folder, if this process is to serve.
pub(crate) fn wanted() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

type Answers = Arc<BTreeMap<String, RequestedPathResult>>;

/// Serves until the process is killed.
pub(crate) fn serve(place: &Path) -> ExitCode {
    let all = GetResp::decode(fs::read(place.join("answers")).unwrap().as_slice()).unwrap();
    let pairs = all.req_path_results.into_iter().map(|result| (result.requested_path.clone(), result));
    let answers: Answers = Arc::new(pairs.collect());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build().unwrap();
    runtime.block_on(async {
        let unix = UnixListener::bind(place.join("echo")).unwrap();
        let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/usp\n", web.local_addr().unwrap());
        std::io::stdout().write_all(url.as_bytes()).unwrap();
        loop {
            tokio::select! {
                accepted = unix.accept() => tokio::spawn(on_unix(accepted.unwrap().0, answers.clone())),
                accepted = web.accept() => tokio::spawn(on_web(accepted.unwrap().0, answers.clone())),
            };
        }
    })
}

/// The Endpoint ID.
pub(crate) fn own() -> EndpointId {
    "self::echo".parse().unwrap()
}

/// What waits to be sent.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Record>>,
    wake: Notify,
}

impl Queue {
    fn push(&self, record: Record) {
        self.waiting.lock().unwrap().push_back(record);
        self.wake.notify_one();
    }

    async fn next(&self) -> Vec<Record> {
        loop {
            let taken = {
                let mut waiting = self.waiting.lock().unwrap();
                let count = waiting.len().min(TURN);
                waiting.drain(..count).collect::<Vec<_>>()
            };
            if !taken.is_empty() {
                return taken;
            }
            self.wake.notified().await;
        }
    }

    fn answer(&self, bytes: &[u8], answers: &Answers) {
        let record = Record::decode(bytes).unwrap();
        let msg = record.msg().unwrap();
        let Some(MsgBody::Request(request)) = message::body(msg) else { return };
        let Some(ReqType::Get(get)) = &request.req_type else { return };
        let req_path_results = get.param_paths.iter().map(|path| answers[path].clone()).collect();
        let response = RespType::GetResp(GetResp { req_path_results });
        let response = message::response(message::msg_id(msg), response);
        self.push(Record::message(own(), record.from, response));
    }
}

async fn on_unix(stream: UnixStream, answers: Answers) {
    let (mut read, mut write) = stream.into_split();
    let queue = Queue::default();
    let receive = async {
        let mut decoder = FrameDecoder::new(1 << 20);
        let mut chunk = vec![0; READ];
        while let Ok(count @ 1..) = read.read(&mut chunk).await {
            decoder.push(&chunk[..count]);
            while let Some(frame) = decoder.next().unwrap() {
                for tlv in frame.tlvs {
                    match tlv {
                        Tlv::Record(bytes) => queue.answer(&bytes, &answers),
                        Tlv::Handshake(peer) => {
                            queue.push(Record::connect(own(), peer.parse().unwrap(), Connect::Uds));
                        }
                        Tlv::Error(_) | Tlv::Unknown { .. } => {}
                    }
                }
            }
        }
    };
    let send = async {
        let mut buffer = Vec::new();
        loop {
            for record in queue.next().await {
                record.encode_to(&mut buffer, uds_frame::record_head);
            }
            if write.write_all(&buffer).await.is_err() {
                return;
            }
            buffer.clear();
        }
    };
    tokio::select! { () = receive => {}, () = send => {} }
}

/// Takes whoever comes.
#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the callback's type")]
pub(crate) fn upgrade(
    _: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
    Ok(response)
}

/// How a WebSocket reads and writes.
pub(crate) fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(SOCKET_READ).write_buffer_size(WRITE)
}

async fn on_web(stream: TcpStream, answers: Answers) {
    stream.set_nodelay(true).unwrap();
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, upgrade, Some(socket_config()));
    let socket = socket.await.unwrap();
    let (mut sink, mut stream) = socket.split();
    let queue = Queue::default();
    queue.push(Record::connect(own(), "self::load".parse().unwrap(), Connect::WebSocket));
    let receive = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message {
                queue.answer(&bytes, &answers);
            }
        }
    };
    let send = async {
        loop {
            for record in queue.next().await {
                if sink.feed(Message::Binary(record.encode().into())).await.is_err() {
                    return;
                }
            }
            if sink.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = receive => {}, () = send => {} }
}
