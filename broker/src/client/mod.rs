//! A USP Controller that talks to one Agent over one connection.
//!
//! ```no_run
//! # use usp_broker::client::{Client, Options};
//! # use usp_proto::usp::{Get, request::ReqType};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new("uds:/var/run/usp/broker_agent_path".parse()?, "self::example".parse()?);
//! let (client, _notifications) = Client::connect(&options).await?;
//! let get = Get { param_paths: vec!["Device.DeviceInfo.".into()], max_depth: 0 };
//! let answer = client.request(ReqType::Get(get)).await?;
//! # Ok(()) }
//! ```
//!
//! It does not reconnect: a command line ends with its connection, and a test wants to see it end.

mod error;
#[cfg(test)]
pub(crate) mod fake;
mod link;
mod mqtt;
mod mqtt_url;
mod session;
#[cfg(test)]
mod tests;
mod uds;
mod via;
mod websocket;

use std::time::Duration;

use usp_proto::endpoint_id::EndpointId;

pub use error::{ConnectError, Fate, RequestError};
pub use mqtt_url::{MqttUrl, PasswordPlace};
pub(crate) use session::random_text;
pub use session::{Client, Notifications};
pub use via::{Via, ViaError, WebSocketUrl};

/// Largest Record that is accepted, in bytes.
const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// Whom to reach, and as whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the Agent listens.
    pub via: Via,
    /// Our own Endpoint ID.
    pub endpoint_id: EndpointId,
    /// How long connecting, and the answer to each question, may take.
    pub timeout: Duration,
    /// How long the answer to a Set, Add, Delete or Operate may take.
    pub patience: Duration,
}

impl Options {
    /// With ten seconds for each question, and half a minute for what changes something: an Agent waits for its devices, and knows then
    /// what became of it, which who gives up before does not.
    pub fn new(via: Via, endpoint_id: EndpointId) -> Self {
        Self { via, endpoint_id, timeout: Duration::from_secs(10), patience: Duration::from_secs(30) }
    }
}
