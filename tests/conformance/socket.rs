//! Steps on raw WebSocket connections: what no library would send, and what exactly comes back.

use std::time::Instant;

use usp_proto::message;
use usp_proto::record::{Connect, Record, RecordBody};
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;

use crate::bench::{AGENT, TESTER};
use crate::link::websocket::{self, Offer, WebSocket};
use crate::link::{Event, Events};
use crate::show;

/// One raw connection.
pub struct Socket {
    link: WebSocket,
    events: Events,
}

impl Socket {
    /// Opens a connection as the tester: `bare` without a subprotocol, `extension` with the header of old.
    pub fn open(address: &str, how: &str) -> Result<Self, String> {
        let offer = match how {
            "" => websocket::PROPER,
            "bare" => Offer { subprotocol: false, extension: false },
            "extension" => Offer { subprotocol: true, extension: true },
            other => return Err(format!("{other:?} is no way to open a connection")),
        };
        let (link, events) = WebSocket::connect(address, TESTER, offer).map_err(|error| error.to_string())?;
        Ok(Self { link, events })
    }

    /// Sends a Get of a path, in so many frames.
    pub fn get(&mut self, frames: usize, path: &str) -> Result<(), String> {
        let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
        let msg = message::request("raw", ReqType::Get(get));
        let record = Record::message(TESTER.parse().unwrap(), AGENT.parse().unwrap(), msg).encode();
        let size = record.len().div_ceil(frames);
        for (index, part) in record.chunks(size).enumerate() {
            let opcode = if index == 0 { websocket::BINARY } else { websocket::CONTINUATION };
            self.frame((index + 1) * size >= record.len(), opcode, part)?;
        }
        Ok(())
    }

    /// Sends one frame.
    pub fn frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) -> Result<(), String> {
        self.link.frame(fin, opcode, payload).map_err(|error| format!("sending: {error}"))
    }

    /// The next event as a line.
    pub fn event(&self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        Some(line(&self.events.recv_timeout(left).ok()?.1))
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Record(bytes) => match Record::decode(bytes) {
            Ok(Record { body: RecordBody::Message(msg), .. }) => {
                format!("record {}", show::lines(&msg).join(" "))
            }
            Ok(Record { body: RecordBody::Connect(Connect::WebSocket), .. }) => {
                "record Connect WebSocket".to_owned()
            }
            Ok(Record { body: RecordBody::Disconnect { code, .. }, .. }) => {
                format!("record Disconnect {code}")
            }
            other => format!("record {other:?}"),
        },
        Event::Pong(payload) => {
            let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("pong {hex}")
        }
        Event::Close(code) => format!("close {}", code.map_or("without".to_owned(), |code| code.to_string())),
        Event::Ended => "ended".to_owned(),
    }
}
