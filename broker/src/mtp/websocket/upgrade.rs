//! The opening handshake: which resource, which subprotocol, who is there (R-WS.2, R-WS.7, R-WS.9, R-WS.11 to
//! R-WS.12a).
//!
//! A browser lets any page open a WebSocket to anywhere and does not ask the server first; what it adds is the page's
//! `Origin`. Two rules keep pages out. A page may speak to us only from this machine or from the address that it speaks
//! to, never from a DNS name: whoever owns a name can let it lead here (DNS rebinding). And a listener on loopback is
//! spoken to by a name of loopback, whoever speaks.

use std::net::{IpAddr, Ipv6Addr};

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::websocket::{self, EidError};

use crate::config::WebSocketConfig;

/// Checks a request and completes its response; says who is there.
pub(super) fn accept(
    request: &Request,
    response: &mut Response,
    config: &WebSocketConfig,
    own: &EndpointId,
) -> Result<EndpointId, Refusal> {
    let path = &config.path;
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
    if config.listen.ip().is_loopback() && !hosts(request).all(Site::is_loopback) {
        let text = "the Host must be localhost or a loopback address".to_owned();
        return Err(refuse(StatusCode::MISDIRECTED_REQUEST, text));
    }
    if is_foreign_page(request) {
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

/// Whether a browser asks for a page that may not. An Origin that is no URL (`null`: a sandboxed frame, a file) says
/// nothing about the page, so it is foreign.
fn is_foreign_page(request: &Request) -> bool {
    request.headers().get_all(ORIGIN).iter().any(|origin| {
        let site =
            origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, site)| Site::parse(site));
        match site {
            Some(Site::Localhost) => false,
            Some(Site::Address(address)) => {
                !address.is_loopback() && !hosts(request).any(|host| host == Site::Address(address))
            }
            Some(Site::Other) | None => true,
        }
    })
}

fn hosts(request: &Request) -> impl Iterator<Item = Site> {
    request.headers().get_all(HOST).iter().map(|host| host.to_str().map_or(Site::Other, Site::parse))
}

/// Whether a Host is a name of this machine's loopback.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    Site::parse(host).is_loopback()
}

/// Whom a Host or an Origin means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Localhost,
    Address(IpAddr),
    /// A name, or nothing that can be read.
    Other,
}

impl Site {
    /// Reads `host` or `host:port`.
    fn parse(text: &str) -> Self {
        let host = match text.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => text,
        };
        let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            None => host.parse().ok().filter(IpAddr::is_ipv4),
        };
        match address {
            Some(address) => Self::Address(address.to_canonical()),
            None if host.eq_ignore_ascii_case("localhost") => Self::Localhost,
            None => Self::Other,
        }
    }

    fn is_loopback(self) -> bool {
        match self {
            Self::Localhost => true,
            Self::Address(address) => address.is_loopback(),
            Self::Other => false,
        }
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
