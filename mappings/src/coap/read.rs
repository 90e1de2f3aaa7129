//! Reading what is CoAP's own.

use super::CoapMethod;
use super::draft::{CoapDraft, CoapPlaceDraft};
use crate::code::Code;
use crate::draft::At;
use crate::payload::BodyFormat;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::Node;

pub(crate) const COAP_KEYS: [&str; 4] = ["timeout", "confirmable", "block", "silence"];

const METHODS: [(&str, CoapMethod); 2] = [("put", CoapMethod::Put), ("post", CoapMethod::Post)];

const FORMATS: [(&str, BodyFormat); 7] = [
    ("text", BodyFormat::Text),
    ("json", BodyFormat::Json),
    ("cbor", BodyFormat::Cbor),
    ("senml-json", BodyFormat::SenmlJson),
    ("senml-cbor", BodyFormat::SenmlCbor),
    ("tlv", BodyFormat::Tlv),
    ("bytes", BodyFormat::Bytes),
];

impl Report<'_> {
    /// `coap`.
    pub(crate) fn coap(&mut self, node: &Node) -> Option<CoapDraft> {
        let fields = self.fields(node, "`coap`", &COAP_KEYS)?;
        let timeout = fields.node("timeout").and_then(|node| self.duration(node));
        let silence = fields.node("silence").and_then(|node| self.duration(node));
        Some(CoapDraft {
            timeout: timeout.filter(|timeout| self.at_least_a_millisecond(*timeout, "`timeout`")),
            confirmable: fields.node("confirmable").and_then(|node| self.boolean(node)),
            block: fields.node("block").and_then(|node| self.block(node)),
            silence: silence.filter(|silence| self.at_least_a_millisecond(*silence, "`silence`")),
        })
    }

    fn block(&mut self, node: &Node) -> Option<At<u16>> {
        let size = self.int::<u16>(node, "`block`", 16, 1024)?;
        if !size.value.is_power_of_two() {
            let message = format!("there is no block of {} bytes", size.value);
            let error = self.error(Code::NumberRange, node.span, message);
            error.help("write 16, 32, 64, 128, 256, 512 or 1024 (RFC 7959, 2.2)");
            return None;
        }
        Some(size)
    }

    /// The keys of a place that CoAP has alone.
    pub(crate) fn coap_place(&mut self, fields: &Fields<'_>) -> CoapPlaceDraft {
        CoapPlaceDraft {
            path: fields.node("path").and_then(|node| self.path(node)),
            observe: fields.node("observe").and_then(|node| self.boolean(node)),
            accept: fields.node("accept").and_then(|node| self.choice(node, "content format", &FORMATS)),
            method: fields.node("method").and_then(|node| self.choice(node, "method", &METHODS)),
        }
    }

    /// Path and query of a resource.
    fn path(&mut self, node: &Node) -> Option<At<String>> {
        let path = self.spelling(node)?;
        let text = path.value.as_str();
        let message = format!("`{text}` is no path of a resource");
        if text.contains("://") {
            let error = self.error(Code::Path, node.span, message);
            error.help("write the path alone, such as /3303/0/5700: the site says which host");
        } else if !text.starts_with('/') {
            let error = self.error(Code::Path, node.span, message);
            error.fix(format!("/{text}")).help(format!("write /{text}"));
        } else if !is_path(text) {
            let error = self.error(Code::Path, node.span, message);
            error.help("no part has more than 255 bytes, no part is `.` or `..`, and there is no `#` (RFC 7252, 6.4)");
        } else {
            return Some(path);
        }
        None
    }
}

/// Whether every part is one that an option can carry (RFC 7252, sections 5.10 and 6.4).
fn is_path(text: &str) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let parts = path.split('/').chain(query.split('&'));
    let is_part = |part: &str| part.len() <= 255 && part != "." && part != "..";
    text.len() <= 1024
        && !text.contains('#')
        && !text.chars().any(char::is_control)
        && parts.into_iter().all(is_part)
}
