//! The client's side of the WebSocket transport (R-WS.*).

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{client::IntoClientRequest, handshake::client::generate_key};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::websocket::{SUBPROTOCOL, eid_from_extensions, extension_header};

use super::error::ConnectError;
use super::{MAX_RECORD_BYTES, Via, WebSocketUrl};

/// An open WebSocket connection to an Agent.
pub(super) struct WebSocketLink {
    stream: WebSocketStream<TcpStream>,
}

/// Opens the connection. Also gives the Agent's Endpoint ID if it told it in the extension header (R-WS.11a).
pub(super) async fn connect(
    url: &WebSocketUrl,
    own: &EndpointId,
) -> Result<(WebSocketLink, Option<EndpointId>), ConnectError> {
    let via = Via::WebSocket(url.clone());
    let tcp = TcpStream::connect((url.host.as_str(), url.port)).await;
    let tcp = tcp.map_err(|error| ConnectError::opening(&via, error))?;
    // Small requests must not wait for the answer to the previous one.
    tcp.set_nodelay(true).map_err(|error| ConnectError::opening(&via, error))?;
    let request = upgrade_request(url, own)
        .map_err(|error| ConnectError::Protocol { via: via.clone(), problem: error.to_string() })?;
    let upgraded = client_async_with_config(request, tcp, Some(limits())).await;
    let (stream, response) = upgraded.map_err(|error| refused(&via, own, error))?;
    Ok((WebSocketLink { stream }, agent_of_extension(response.headers())))
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MAX_RECORD_BYTES))
        .max_frame_size(Some(MAX_RECORD_BYTES))
}

/// R-WS.10. The extension header is offered besides the query, for Agents older than USP 1.3.
fn upgrade_request(url: &WebSocketUrl, own: &EndpointId) -> Result<Request<()>, WsError> {
    let request = Request::builder()
        .uri(format!("ws://{}{}", url.authority(), url.resource_for(own)))
        .header("Host", url.authority())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        .header("Sec-WebSocket-Extensions", extension_header(own))
        .body(())?;
    request.into_client_request()
}

fn refused(via: &Via, own: &EndpointId, error: WsError) -> ConnectError {
    let via = via.clone();
    match error {
        WsError::Http(response) => {
            let (status, reason) = (response.status().as_u16(), body_text(&response));
            let endpoint_id = own.to_string();
            match (status, reason) {
                (404, _) => ConnectError::Http {
                    via,
                    status,
                    hint: ": is it the right path? The broker's own is /usp".into(),
                },
                (403 | 409, Some(reason)) => ConnectError::Refused { via, endpoint_id, reason },
                (status, reason) => ConnectError::Http {
                    via,
                    status,
                    hint: reason.map(|r| format!(": {r}")).unwrap_or_default(),
                },
            }
        }
        WsError::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => ConnectError::Subprotocol(via),
        WsError::Io(source) => ConnectError::Io { via, source },
        other => ConnectError::Protocol { via, problem: other.to_string() },
    }
}

fn body_text(response: &Response<Option<Vec<u8>>>) -> Option<String> {
    let text = String::from_utf8_lossy(response.body().as_ref()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// An Endpoint ID that cannot be read is as good as none: the Connect Record tells it too.
fn agent_of_extension(headers: &HeaderMap) -> Option<EndpointId> {
    let values = headers.get_all("Sec-WebSocket-Extensions").iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| eid_from_extensions(value).ok().flatten()).next()
}

impl WebSocketLink {
    /// Sends one Record in one binary message (R-WS.14, R-WS.14a).
    pub(super) async fn send(&mut self, record: Vec<u8>) -> Result<(), String> {
        self.stream.send(Message::Binary(record.into())).await.map_err(|error| error.to_string())
    }

    /// The next Record. Cancelling it loses nothing. The error is the reason why there is none any more.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match self.stream.next().await {
                None => return Err("the Agent closed it".to_owned()),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(Message::Binary(record))) => return Ok(record.into()),
                Some(Ok(Message::Close(frame))) => return Err(close_text(frame)),
                Some(Ok(Message::Text(_))) => {
                    self.close(CloseCode::Unsupported).await;
                    return Err("the Agent sent text instead of a Record".to_owned());
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
    }

    /// Says goodbye. Errors are of no interest: it is over either way.
    pub(super) async fn close(&mut self, code: CloseCode) {
        self.stream.close(Some(CloseFrame { code, reason: "".into() })).await.ok();
    }
}

fn close_text(frame: Option<CloseFrame>) -> String {
    match frame {
        Some(frame) if !frame.reason.is_empty() => {
            format!("the Agent closed it: {} ({})", frame.reason, frame.code)
        }
        Some(frame) => format!("the Agent closed it with code {}", frame.code),
        None => "the Agent closed it".to_owned(),
    }
}
