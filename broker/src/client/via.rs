//! How an Agent is reached: the value of `--via` and of `USP_BROKER_VIA`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::websocket::eid_query;

use super::MqttUrl;

/// Where an Agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// `uds:PATH`: a UNIX domain socket.
    Uds(PathBuf),
    /// `ws://host:port/path`: a WebSocket without TLS.
    WebSocket(WebSocketUrl),
    /// `mqtt://[user@]host[:port]/topic?agent=ENDPOINT_ID`: through an MQTT server, without TLS.
    Mqtt(Box<MqttUrl>),
}

/// The parts of a `ws://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketUrl {
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// Port; 80 when the URL names none.
    pub port: u16,
    /// Path and query, from the first `/`.
    pub resource: String,
}

/// Why a text is no [`Via`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// `uds:` and nothing behind it.
    #[error("`uds:` wants the path of a socket behind it, as in uds:/var/run/usp/broker_agent_path")]
    NoSocketPath,
    /// A transport that this program does not speak as a Controller.
    #[error(
        "`{0}` is not spoken by these commands; use uds:PATH, ws://host:port/path or mqtt://host/topic?agent=ENDPOINT_ID"
    )]
    Scheme(String),
    /// No scheme at all.
    #[error("expected uds:PATH, ws://host:port/path or mqtt://host/topic?agent=ENDPOINT_ID")]
    NoScheme,
    /// A `ws://` or `mqtt://` URL with a part that cannot be used.
    #[error("{0}")]
    Url(String),
}

impl FromStr for Via {
    type Err = ViaError;

    fn from_str(text: &str) -> Result<Self, ViaError> {
        if let Some(path) = text.strip_prefix("uds:") {
            return if path.is_empty() { Err(ViaError::NoSocketPath) } else { Ok(Self::Uds(path.into())) };
        }
        if let Some(rest) = text.strip_prefix("ws://") {
            return WebSocketUrl::parse(rest).map(Self::WebSocket);
        }
        if let Some(rest) = text.strip_prefix("mqtt://") {
            return MqttUrl::parse(rest).map(|url| Self::Mqtt(Box::new(url)));
        }
        match text.split_once(':') {
            Some((scheme, _)) if !scheme.contains('/') => Err(ViaError::Scheme(format!("{scheme}:"))),
            _ => Err(ViaError::NoScheme),
        }
    }
}

impl WebSocketUrl {
    fn parse(rest: &str) -> Result<Self, ViaError> {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (host, port) = split_authority("ws", authority, 80)?;
        let resource = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
        Ok(Self { host, port, resource })
    }

    /// `host:port`, as it stands in a URL and in the `Host` header.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The request's target with our Endpoint ID in its query (R-WS.10b, R-WS.10c).
    pub fn resource_for(&self, own: &EndpointId) -> String {
        let separator = if self.resource.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.resource, eid_query(own))
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Host, without brackets, and port of a URL.
pub(super) fn split_authority(
    scheme: &str,
    authority: &str,
    default_port: u16,
) -> Result<(String, u16), ViaError> {
    let bad = |what: &str| ViaError::Url(format!("{what} in {scheme}://{authority}"));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| bad("a `[` is not closed"))?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(bad("there is no host"));
    }
    let port =
        port.map_or(Ok(default_port), str::parse).map_err(|_| bad("the port is not a number up to 65535"))?;
    Ok((host.to_owned(), port))
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uds(path) => write!(f, "uds:{}", path.display()),
            Self::WebSocket(url) => write!(f, "ws://{}{}", url.authority(), url.resource),
            Self::Mqtt(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Via>() {
            Ok(via) => via.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn reads_what_it_displays() {
        for text in ["uds:/run/x y", "uds:relative", "ws://127.0.0.1:5683/usp", "ws://[::1]:80/a?b=c"] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("ws://hub"), "ws://hub:80/");
        assert_eq!(read("ws://hub?x=1"), "ws://hub:80/?x=1");
    }

    #[test]
    fn refuses_with_a_way_out() {
        assert!(read("stomp://broker/topic").contains("`stomp:` is not spoken"));
        assert!(read("wss://hub/usp").contains("`wss:` is not spoken"));
        assert!(read("/var/run/usp/broker_agent_path").contains("expected uds:PATH"));
        assert!(read("uds:").contains("wants the path of a socket"));
        assert!(read("ws://:80/").contains("no host"));
        assert!(read("ws://hub:99999/").contains("port is not a number"));
        assert!(read("ws://[::1/").contains("not closed"));
    }

    #[test]
    fn endpoint_id_goes_into_the_query_with_its_percent_signs_encoded() {
        let url = |text: &str| WebSocketUrl::parse(text).unwrap();
        let id = |text: &str| EndpointId::parse(text).unwrap();
        assert_eq!(url("h/usp").resource_for(&id("doc::agent%21")), "/usp?eid=doc::agent%2521");
        assert_eq!(url("h/usp?a=b").resource_for(&id("self::x")), "/usp?a=b&eid=self::x");
    }
}
