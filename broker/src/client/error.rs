//! How connecting and asking can fail, in the words of whoever typed the command.

use std::fmt;
use std::io;
use std::time::Duration;

use usp_proto::usp::{self, request::ReqType};

use super::Via;

/// Why there is no connection to the Agent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing is there, or nobody accepts.
    #[error(
        "nothing listens at {0}: is the broker running? `usp-broker run --config FILE` starts one, `usp-broker demo` \
         one with simulated devices; --via or USP_BROKER_VIA names another place"
    )]
    NobodyListens(Via),
    /// The socket's permissions keep us out.
    #[error("no permission to open {0}: run the command as a user who may write to this socket")]
    PermissionDenied(Via),
    /// Any other fault of the operating system.
    #[error("cannot connect to {via}: {source}")]
    Io {
        /// Where.
        via: Via,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no way through the MQTT server.
    #[error("no way to the Agent over {via}: {reason}")]
    Mqtt {
        /// Where.
        via: Via,
        /// What is wrong.
        reason: String,
    },
    /// Nothing came in time.
    #[error("no answer from {via}: {missing} did not come within {} s", .within.as_secs_f32())]
    TimedOut {
        /// Where.
        via: Via,
        /// What was waited for.
        missing: &'static str,
        /// For how long.
        within: Duration,
    },
    /// The server answered the WebSocket upgrade with an HTTP error.
    #[error("{via} refuses the WebSocket connection with HTTP {status}{hint}")]
    Http {
        /// Where.
        via: Via,
        /// The status code.
        status: u16,
        /// What it may mean; begins with `: ` or is empty.
        hint: String,
    },
    /// The server does not speak USP (R-WS.12).
    #[error("{0} is a WebSocket server, but not one of USP: it did not agree to the subprotocol v1.usp")]
    Subprotocol(Via),
    /// The Agent said why it does not want us.
    #[error("{via} refuses us as {endpoint_id}: {reason}")]
    Refused {
        /// Where.
        via: Via,
        /// As whom we came.
        endpoint_id: String,
        /// The peer's words.
        reason: String,
    },
    /// What came is not USP.
    #[error("{via} does not speak USP: {problem}")]
    Protocol {
        /// Where.
        via: Via,
        /// What is wrong.
        problem: String,
    },
}

impl ConnectError {
    /// Sorts a failure to open the connection.
    pub(super) fn opening(via: &Via, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NobodyListens(via.clone()),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(via.clone()),
            _ => Self::Io { via: via.clone(), source },
        }
    }
}

/// Why a request has no Response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The Agent answered with an Error message.
    #[error("error {}: {}", .0.err_code, .0.err_msg)]
    Refused(usp::Error),
    /// No answer in time.
    #[error("the Agent did not answer within {} s{}", .0.as_secs_f32(), .1)]
    TimedOut(Duration, Fate),
    /// No answer in time through an MQTT server, where a wrong address is not told otherwise.
    #[error(
        "nothing came back over MQTT within {} s: does an Agent with this Endpoint ID listen to this topic, in the same \
         version of MQTT?{}",
        .0.as_secs_f32(),
        .1
    )]
    SilentOverMqtt(Duration, Fate),
    /// The connection ended before the answer came.
    #[error("the connection ended: {0}")]
    Closed(String),
    /// The answer fits no request, or is none that this program understands.
    #[error("the Agent's answer cannot be used: {0}")]
    Unusable(String),
}

/// What may become of a request that nobody waits for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It only asked.
    Nothing,
    /// It may be done all the same: a device that sleeps is waited for, and one that was told something need not say so.
    Open,
}

impl Fate {
    /// Of this request.
    pub(super) fn of(request: &ReqType) -> Self {
        match request {
            ReqType::Set(_) | ReqType::Add(_) | ReqType::Delete(_) | ReqType::Operate(_) => Self::Open,
            _ => Self::Nothing,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Open => f.write_str(
                "; what was wanted may have been done, or may yet be: `get` tells how things are, `watch` when they change, and \
                 --timeout SECONDS waits longer",
            ),
        }
    }
}
