//! One connection to an Agent, whatever its transport: Records as bytes, both ways.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::mqtt::MqttLink;
use super::uds::UdsLink;
use super::websocket::WebSocketLink;

/// An open connection.
pub(super) enum Link {
    Mqtt(Box<MqttLink>),
    Uds(UdsLink),
    WebSocket(Box<WebSocketLink>),
}

impl Link {
    /// Sends one Record. The error is the reason why there is no connection any more.
    pub(super) async fn send(&mut self, record: Vec<u8>) -> Result<(), String> {
        match self {
            Self::Mqtt(link) => link.send(record).await,
            Self::Uds(link) => link.send(record).await,
            Self::WebSocket(link) => link.send(record).await,
        }
    }

    /// The next Record. Cancelling it loses nothing. The error is the reason why there is none any more.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Self::Mqtt(link) => link.receive().await,
            Self::Uds(link) => link.receive().await,
            Self::WebSocket(link) => link.receive().await,
        }
    }

    /// Ends the connection in the ordinary way.
    pub(super) async fn close(&mut self) {
        match self {
            Self::Mqtt(link) => link.close().await,
            Self::Uds(link) => link.close().await,
            Self::WebSocket(link) => link.close(CloseCode::Normal).await,
        }
    }

    /// Ends the connection because bytes came that are no Record (R-UDS.23, R-WS.16).
    pub(super) async fn reject(&mut self, problem: &str) {
        match self {
            // The server is not to blame for what somebody published there.
            Self::Mqtt(link) => link.close().await,
            Self::Uds(link) => link.reject(problem).await,
            Self::WebSocket(link) => link.close(CloseCode::Unsupported).await,
        }
    }
}
