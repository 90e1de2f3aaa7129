//! What is asked of a device, and what comes of it.

use std::fmt;
use std::time::Duration;

use crate::coap::message::{Block, Code, Message, option};

/// A resource in one representation: what can be read and observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    /// The parts of its path.
    pub(crate) path: Vec<String>,
    /// The parts of its query, such as `k=v`.
    pub(crate) query: Vec<String>,
    /// The content format that is wanted.
    pub(crate) accept: Option<u16>,
}

/// As a URI has it, without what must be escaped there.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.path.join("/"))?;
        if self.query.is_empty() { Ok(()) } else { write!(f, "?{}", self.query.join("&")) }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Code,
    pub(crate) resource: Resource,
    /// The content format of the body.
    pub(crate) format: Option<u16>,
    pub(crate) body: Vec<u8>,
    /// A GET that asks to be told of changes, too.
    pub(crate) observe: bool,
    pub(crate) manner: Manner,
}

impl Request {
    /// A GET.
    pub(crate) fn get(resource: Resource, manner: Manner) -> Self {
        Self { method: Code::GET, resource, format: None, body: Vec::new(), observe: false, manner }
    }
}

/// How a device is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// How long it may take for each message.
    pub(crate) within: Duration,
    /// Whether messages are confirmable, and so sent again when they are not confirmed.
    pub(crate) confirmable: bool,
    /// The largest block, as [`Block::exponent`].
    pub(crate) exponent: u8,
}

impl Manner {
    /// Confirmable, in blocks of up to 1024 bytes.
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, confirmable: true, exponent: Block::LARGEST }
    }
}

/// A whole answer, put together from its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) code: Code,
    /// The content format, if it says one.
    pub(crate) format: Option<u16>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// What one message says.
    pub(crate) fn of(message: &Message) -> Self {
        Self { code: message.code, format: message.format(), body: message.payload.clone() }
    }
}

/// Why there is no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing came in time.
    Timeout(Duration),
    /// The device rejects the message.
    Reset,
    /// What came cannot be used.
    Garbled(String),
    /// Nothing can be sent to it, or nobody hears it.
    Unreachable(String),
    /// The same, and it surely has not received what it was asked.
    Unsent(String),
}

/// How long a representation is fresh when nothing says so (RFC 7252, 5.10.5).
pub(crate) const MAX_AGE: Duration = Duration::from_secs(60);

/// How long what a message says is fresh.
pub(crate) fn max_age(message: &Message) -> Duration {
    message.number(option::MAX_AGE).map_or(MAX_AGE, |seconds| Duration::from_secs(seconds.into()))
}
