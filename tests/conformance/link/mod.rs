//! Raw connections of a test Controller. They share the framing of UNIX domain sockets with the product and nothing else;
//! MQTT is the encoding of the simulators.

pub mod mqtt;
pub mod uds;
pub mod websocket;

use std::io;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// What came over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The bytes of a Record.
    Record(Vec<u8>),
    /// WebSocket: a pong and its payload.
    Pong(Vec<u8>),
    /// WebSocket: the peer closes, with this status code.
    Close(Option<u16>),
    /// The connection is gone.
    Ended,
}

/// What comes, and when it came.
pub type Events = Receiver<(Instant, Event)>;

/// One connection. It ends when it is dropped.
pub trait Link: Send {
    /// Sends the bytes of one Record.
    fn send(&mut self, record: &[u8]) -> io::Result<()>;
}
