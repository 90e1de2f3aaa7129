//! The opening handshake: which resource, which subprotocol, who is there (R-WS.2, R-WS.9 to R-WS.12a).

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::websocket::{self, EidError};

/// Checks a request and completes its response; says who is there.
pub(super) fn accept(
    request: &Request,
    response: &mut Response,
    path: &str,
    own: &EndpointId,
) -> Result<EndpointId, Refusal> {
    if request.uri().path() != path {
        return Err(refuse(
            StatusCode::NOT_FOUND,
            format!("there is nothing at this path; USP is at {path}"),
        ));
    }
    if !offers(request.headers(), SEC_WEBSOCKET_PROTOCOL, |item| item.trim() == websocket::SUBPROTOCOL) {
        let text = format!("Sec-WebSocket-Protocol must offer {}", websocket::SUBPROTOCOL);
        return Err(refuse(StatusCode::BAD_REQUEST, text));
    }
    if is_foreign_page(request.headers()) {
        let text = "a web page of another site may not speak USP to this Agent".to_owned();
        return Err(refuse(StatusCode::FORBIDDEN, text));
    }
    let peer = peer(request)?;
    let headers = response.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(websocket::SUBPROTOCOL));
    if texts(request.headers(), SEC_WEBSOCKET_EXTENSIONS).any(websocket::offers_extension)
        && let Ok(value) = HeaderValue::from_str(&websocket::extension_header(own))
    {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    Ok(peer)
}

/// The Endpoint ID: in the query (R-WS.10b), or as older Endpoints tell it (R-WS.10a).
fn peer(request: &Request) -> Result<EndpointId, Refusal> {
    let bad = |error: EidError| refuse(StatusCode::BAD_REQUEST, error.to_string());
    if let Some(peer) = websocket::eid_from_query(request.uri().query().unwrap_or_default()).map_err(bad)? {
        return Ok(peer);
    }
    for header in texts(request.headers(), SEC_WEBSOCKET_EXTENSIONS) {
        if let Some(peer) = websocket::eid_from_extensions(header).map_err(bad)? {
            return Ok(peer);
        }
    }
    let text = "who is there? add ?eid=<Endpoint ID> to the URL (R-WS.10b)".to_owned();
    Err(refuse(StatusCode::BAD_REQUEST, text))
}

/// A browser names the site whose page wants the connection. A page may speak to the host that it came from and, for
/// whoever develops one, from this machine.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some((_, origin)) = text(ORIGIN).and_then(|origin| origin.split_once("://")) else { return false };
    let site = without_port(origin);
    !matches!(site, "localhost" | "127.0.0.1" | "[::1]") && text(HOST).map(without_port) != Some(site)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn offers(headers: &HeaderMap, name: HeaderName, is: impl Fn(&str) -> bool) -> bool {
    texts(headers, name).any(|text| text.split(',').any(&is))
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// Why there is no WebSocket, for whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    /// There is no place for another connection.
    pub(super) fn full() -> Self {
        refuse(StatusCode::SERVICE_UNAVAILABLE, "too many connections (max_connections)".to_owned())
    }

    /// The status with a line of text.
    pub(super) fn response(self) -> ErrorResponse {
        tracing::info!(status = self.status.as_u16(), text = %self.text, "WebSocket request refused");
        let mut response = ErrorResponse::new(Some(self.text + "\n"));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    }
}

fn refuse(status: StatusCode, text: String) -> Refusal {
    Refusal { status, text }
}
