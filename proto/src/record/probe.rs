//! What can still be read of a Message that cannot be decoded as a whole.

use prost::Message;
use prost::bytes::Bytes;

use crate::message::is_request_type;
use crate::usp;

/// The outermost fields of a Message, their content unread.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Probe {
    #[prost(message, optional, tag = "1")]
    header: Option<usp::Header>,
    #[prost(message, optional, tag = "2")]
    body: Option<BodyProbe>,
}

#[derive(Clone, PartialEq, Message)]
struct BodyProbe {
    #[prost(bytes = "bytes", optional, tag = "1")]
    request: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    response: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    error: Option<Bytes>,
}

impl Probe {
    /// Reads as far as it goes: what was read before the bytes became unreadable is kept.
    pub(super) fn read(payload: &[u8]) -> Self {
        let mut probe = Self::default();
        match probe.merge(payload) {
            Ok(()) | Err(_) => probe,
        }
    }

    /// The msg_id, if there is one that can be read.
    pub(super) fn msg_id(&self) -> Option<&str> {
        self.header.as_ref().map(|header| header.msg_id.as_str()).filter(|id| !id.is_empty())
    }

    /// Whether it is, or claims to be, a request. An unknown msg_type with an unknown body counts: it may be a request of
    /// a later version.
    pub(super) fn is_request(&self) -> bool {
        match &self.body {
            Some(BodyProbe { request: Some(_), .. }) => true,
            Some(BodyProbe { response: Some(_), .. } | BodyProbe { error: Some(_), .. }) => false,
            _ => self.claims_request(),
        }
    }

    fn claims_request(&self) -> bool {
        self.header.as_ref().is_some_and(|header| {
            usp::header::MsgType::try_from(header.msg_type).map_or(true, is_request_type)
        })
    }

    /// Whether there is nothing at all in the request: no Message of a later version either.
    pub(super) fn is_empty_request(&self) -> bool {
        self.body.as_ref().and_then(|body| body.request.as_ref()).is_none_or(Bytes::is_empty)
    }
}
