//! A Controller that does nothing but Gets of one Parameter, as fast as it can.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Get, GetResp};

/// Bytes read at a time.
const READ: usize = 64 * 1024;

/// One connection.
pub(crate) struct Load {
    wire: Wire,
    own: EndpointId,
    agent: EndpointId,
    number: u64,
}

/// The Record that answers a Get.
pub(crate) struct Answer(Bytes);

impl Answer {
    fn read(&self) -> GetResp {
        let record = Record::decode(&self.0).unwrap();
        let Some(MsgBody::Response(response)) = record.msg().and_then(message::body) else {
            panic!("{record:?}")
        };
        let Some(RespType::GetResp(answer)) = &response.resp_type else { panic!("{response:?}") };
        answer.clone()
    }

    /// How many values it brings.
    pub(crate) fn count(&self) -> usize {
        values(&self.read())
    }
}

enum Wire {
    Uds { stream: UnixStream, decoder: FrameDecoder, chunk: Vec<u8> },
    WebSocket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

impl Load {
    /// Connects to a UNIX domain socket.
    pub(crate) async fn uds(path: &Path, own: &str) -> Self {
        let own: EndpointId = own.parse().unwrap();
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(&uds_frame::handshake(&own)).await.unwrap();
        let wire = Wire::Uds { stream, decoder: FrameDecoder::new(16 << 20), chunk: vec![0; READ] };
        Self::introduced(wire, own).await
    }

    /// Connects to a WebSocket server.
    pub(crate) async fn websocket(url: &str, own: &str) -> Self {
        let mut request = format!("{url}?eid={own}").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "v1.usp".parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true).unwrap();
        }
        Self::introduced(Wire::WebSocket(Box::new(socket)), own.parse().unwrap()).await
    }

    /// The Connect Record says who the Agent is.
    async fn introduced(mut wire: Wire, own: EndpointId) -> Self {
        let mut records = Vec::new();
        while records.is_empty() {
            wire.receive(&mut records).await;
        }
        let agent = Record::decode(&records[0]).unwrap().from;
        Self { wire, own, agent, number: 0 }
    }

    fn request(&mut self, path: &str) -> Vec<u8> {
        self.number += 1;
        let get = ReqType::Get(Get { param_paths: vec![path.to_owned()], max_depth: 0 });
        let msg = message::request(&format!("load-{}", self.number), get);
        Record::message(self.own.clone(), self.agent.clone(), msg).encode()
    }

    /// The whole answer to one Get, which has one value.
    pub(crate) async fn answer(&mut self, path: &str) -> GetResp {
        let answer = self.ask(path).await.read();
        assert_eq!(values(&answer), 1, "{path}: {answer:?}");
        answer
    }

    /// Whether a Get of this has one value.
    pub(crate) async fn has(&mut self, path: &str) -> bool {
        self.count(path).await == 1
    }

    /// How many values a Get brings.
    pub(crate) async fn count(&mut self, path: &str) -> usize {
        self.ask(path).await.count()
    }

    /// A Get and what comes back, not yet read.
    pub(crate) async fn ask(&mut self, path: &str) -> Answer {
        let request = self.request(path);
        self.wire.send(vec![request]).await;
        let mut records = Vec::new();
        while records.is_empty() {
            self.wire.receive(&mut records).await;
        }
        Answer(records.remove(0))
    }

    /// One after the other, for some time: how long each took, in microseconds.
    pub(crate) async fn one_by_one(&mut self, path: &str, time: Duration) -> Vec<f64> {
        let until = Instant::now() + time;
        let mut times = Vec::new();
        let mut records = Vec::new();
        while Instant::now() < until {
            let request = self.request(path);
            let begun = Instant::now();
            self.wire.send(vec![request]).await;
            while records.is_empty() {
                self.wire.receive(&mut records).await;
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            records.clear();
        }
        times
    }

    /// With so many under way at a time, for some time: answers a second.
    pub(crate) async fn under_way(&mut self, path: &str, many: usize, time: Duration) -> f64 {
        let begun = Instant::now();
        let until = begun + time;
        let done = self.keep_under_way(&[path], many, |_| Instant::now() >= until).await;
        // What is left under way comes after the count.
        done as f64 / begun.elapsed().as_secs_f64()
    }

    /// Keeps so many under way, of all paths in turn, until `enough` says so of the number of answers. All are answered
    /// at the end; how many that were.
    pub(crate) async fn keep_under_way(
        &mut self,
        paths: &[&str],
        many: usize,
        mut enough: impl FnMut(u64) -> bool,
    ) -> u64 {
        let mut turn = paths.iter().cycle();
        let mut next = |load: &mut Self| load.request(turn.next().unwrap());
        let first = (0..many).map(|_| next(self)).collect();
        self.wire.send(first).await;
        let (mut open, mut done) = (many, 0);
        let mut records = Vec::new();
        while open > 0 {
            self.wire.receive(&mut records).await;
            let count = records.len();
            done += count as u64;
            records.clear();
            if enough(done) {
                open -= count;
            } else {
                let more = (0..count).map(|_| next(self)).collect();
                self.wire.send(more).await;
            }
        }
        done
    }
}

fn values(answer: &GetResp) -> usize {
    let objects = answer.req_path_results.iter().flat_map(|result| &result.resolved_path_results);
    objects.map(|object| object.result_params.len()).sum()
}

impl Wire {
    /// All in one write.
    async fn send(&mut self, records: Vec<Vec<u8>>) {
        match self {
            Self::Uds { stream, .. } => {
                let bytes: Vec<u8> = records.iter().flat_map(|record| uds_frame::record(record)).collect();
                stream.write_all(&bytes).await.unwrap();
            }
            Self::WebSocket(socket) => {
                for record in records {
                    socket.feed(Message::Binary(record.into())).await.unwrap();
                }
                socket.flush().await.unwrap();
            }
        }
    }

    /// Whatever has come, at least something.
    async fn receive(&mut self, records: &mut Vec<Bytes>) {
        match self {
            Self::Uds { stream, decoder, chunk } => {
                let count = stream.read(chunk).await.unwrap();
                assert!(count > 0, "the connection has ended");
                decoder.push(&chunk[..count]);
                while let Some(frame) = decoder.next().unwrap() {
                    records.extend(frame.tlvs.into_iter().filter_map(|tlv| match tlv {
                        Tlv::Record(bytes) => Some(bytes.into()),
                        Tlv::Error(text) => panic!("{text}"),
                        Tlv::Handshake(_) | Tlv::Unknown { .. } => None,
                    }));
                }
            }
            Self::WebSocket(socket) => match socket.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => records.push(bytes),
                Message::Close(frame) => panic!("{frame:?}"),
                _ => {}
            },
        }
    }
}
