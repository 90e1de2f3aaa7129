//! How Endpoints tell who they are on WebSocket (TR-369 "WebSocket", R-WS.9 to R-WS.11c). The protocol itself is elsewhere.

use crate::endpoint_id::{EndpointId, EndpointIdError};

/// The subprotocol for `Sec-WebSocket-Protocol` (R-WS.9).
pub const SUBPROTOCOL: &str = "v1.usp";

/// The extension that older Endpoints tell their Endpoint ID with (R-WS.10a, R-WS.11a).
pub const EXTENSION: &str = "bbf-usp-protocol";

/// The key in the query of the request's URI (R-WS.10b), and the parameter of the extension.
pub const EID: &str = "eid";

/// Why no Endpoint ID could be read, although one was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EidError {
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("`eid` has a bad percent escape")]
    Escape,
    /// Two different ones.
    #[error("`eid` is given twice, and not the same")]
    Twice,
    /// No Endpoint ID.
    #[error("`eid`: {0}")]
    Id(#[from] EndpointIdError),
}

/// The pair for the query of a URI: `eid=…`. The Endpoint ID's own `%` is escaped once more (R-WS.10c).
pub fn eid_query(id: &EndpointId) -> String {
    format!("{EID}={}", encode_eid(id.as_str()))
}

/// Escapes what may not stand in a query as it is.
pub fn encode_eid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b':' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Undoes percent escapes, once.
///
/// Errors: an escape is bad.
pub fn decode_eid(text: &str) -> Result<String, EidError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => hex_digit(bytes.next())? << 4 | hex_digit(bytes.next())?,
            other => other,
        };
        out.push(decoded);
    }
    String::from_utf8(out).map_err(|_| EidError::Escape)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, EidError> {
    let digit = byte.and_then(|b| char::from(b).to_digit(16)).ok_or(EidError::Escape)?;
    u8::try_from(digit).map_err(|_| EidError::Escape)
}

/// The Endpoint ID in the query of a URI (without `?`); `None` without an `eid`.
///
/// Errors: there is one, and it is bad.
pub fn eid_from_query(query: &str) -> Result<Option<EndpointId>, EidError> {
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == EID);
    only(values.map(|(_, value)| decode_eid(value)))
}

/// The value for `Sec-WebSocket-Extensions`: `bbf-usp-protocol; eid="…"` (R-WS.11a).
pub fn extension_header(id: &EndpointId) -> String {
    format!("{EXTENSION}; {EID}=\"{id}\"")
}

/// The Endpoint ID in a value of `Sec-WebSocket-Extensions`; `None` when the extension is not offered, or without an `eid`:
/// neither is an error (R-WS.11b, R-WS.11c).
///
/// Errors: there is one, and it is bad.
pub fn eid_from_extensions(header: &str) -> Result<Option<EndpointId>, EidError> {
    let ours = split_outside_quotes(header, ',').into_iter().filter_map(|offer| {
        let mut parts = split_outside_quotes(offer, ';').into_iter();
        parts.next().filter(|name| name.trim().eq_ignore_ascii_case(EXTENSION)).map(|_| parts)
    });
    let parameters = ours.flatten().filter_map(|parameter| parameter.split_once('='));
    let values =
        parameters.filter(|(key, _)| key.trim().eq_ignore_ascii_case(EID)).map(|(_, value)| unquote(value));
    only(values.map(Ok))
}

/// Whether the extension is offered at all, with an Endpoint ID or without (R-WS.11a).
pub fn offers_extension(header: &str) -> bool {
    let is_ours =
        |offer: &str| offer.split(';').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(EXTENSION));
    split_outside_quotes(header, ',').into_iter().any(is_ours)
}

fn only(values: impl Iterator<Item = Result<String, EidError>>) -> Result<Option<EndpointId>, EidError> {
    let mut found = None;
    for value in values {
        let id = EndpointId::parse(&value?)?;
        if found.as_ref().is_some_and(|other| *other != id) {
            return Err(EidError::Twice);
        }
        found = Some(id);
    }
    Ok(found)
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(|c| {
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && c == '\\';
        quoted ^= c == '"' && !was_escaped;
        c == separator && !quoted
    })
    .collect()
}

/// The content of a quoted string, or a token as it is (RFC 7230 section 3.2.6).
fn unquote(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|c| {
            escaped = !escaped && *c == '\\';
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EndpointId {
        EndpointId::parse(text).unwrap()
    }

    #[test]
    fn the_standards_example_of_a_query() {
        let agent = id("doc::agent%21");
        assert_eq!(eid_query(&agent), "eid=doc::agent%2521");
        assert_eq!(eid_from_query("eid=doc::agent%2521"), Ok(Some(agent)));
    }

    #[test]
    fn queries_are_searched_for_eid() {
        assert_eq!(eid_from_query("a=b&eid=self%3A%3Ac1&eidx=1"), Ok(Some(id("self::c1"))));
        assert_eq!(eid_from_query(""), Ok(None));
        assert_eq!(eid_from_query("eid"), Ok(None));
        assert_eq!(eid_from_query("eid=self::a&eid=self::a"), Ok(Some(id("self::a"))));
        assert_eq!(eid_from_query("eid=self::a&eid=self::b"), Err(EidError::Twice));
        assert_eq!(eid_from_query("eid=self::a%2"), Err(EidError::Escape));
        assert_eq!(eid_from_query("eid=self::a%FF"), Err(EidError::Escape));
        assert!(matches!(eid_from_query("eid=nobody"), Err(EidError::Id(_))));
        assert!(matches!(eid_from_query("eid="), Err(EidError::Id(_))));
    }

    #[test]
    fn extensions_are_searched_for_ours() {
        let agent = id("os::012345-a%2C");
        assert_eq!(extension_header(&agent), "bbf-usp-protocol; eid=\"os::012345-a%2C\"");
        assert_eq!(eid_from_extensions(&extension_header(&agent)), Ok(Some(agent)));
        let mixed = "permessage-deflate; x=\"a,b;eid=\\\"\", BBF-usp-protocol ; eid = self::c1";
        assert_eq!(eid_from_extensions(mixed), Ok(Some(id("self::c1"))));
        assert!(offers_extension(mixed));
        let backslash = r#"other; x="a\\", bbf-usp-protocol; eid="self::c1""#;
        assert_eq!(eid_from_extensions(backslash), Ok(Some(id("self::c1"))));
        assert_eq!(eid_from_extensions("bbf-usp-protocol"), Ok(None));
        assert_eq!(eid_from_extensions("permessage-deflate; eid=\"self::x\""), Ok(None));
        assert!(!offers_extension("permessage-deflate; eid=\"self::x\""));
        assert!(eid_from_extensions("bbf-usp-protocol; eid=\"self::c").is_err());
    }
}
