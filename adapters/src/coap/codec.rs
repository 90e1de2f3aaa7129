//! What the mapping says of a resource as a request, and what answers mean.

use std::time::Duration;

use usp_mapping::mapping::{CoapMethod, CoapOptions, CoapRead, CoapWrite};
use usp_mapping::payload::{Body, BodyFormat, Pick};
use usp_mapping::port::DeviceFault;
use usp_mapping::transform::Raw;

use crate::coap::endpoint::request::{Manner, Request, Resource, Response};
use crate::coap::message::Code;

/// The longest piece of a diagnostic payload that is passed on.
const DIAGNOSTIC: usize = 80;

/// What is taken out of a body. What is in a format that is not known here can be taken apart by bytes alone.
pub(crate) fn take(body: &Body<'_>, response: &Response, pick: &Pick) -> Result<Option<Raw>, DeviceFault> {
    match response.format {
        Some(number) if format(response).is_none() && !matches!(pick, Pick::Bytes(_)) => {
            Err(DeviceFault::Garbled(format!("it is in content format {number}, which is not known")))
        }
        _ => body.take(pick),
    }
}

/// What a body is; `None`: the device does not say, or it is something else.
pub(crate) fn format(response: &Response) -> Option<BodyFormat> {
    response.format.and_then(BodyFormat::of_content_format)
}

/// The resource that a path of the mapping means.
pub(crate) fn resource(path: &str) -> Resource {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = |text: &str, by| text.split(by).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    Resource { path: parts(path, '/'), query: parts(query, '&'), accept: None }
}

/// What a place is read by: its resource, in the format that it is wanted in.
pub(crate) fn read_resource(place: &CoapRead) -> Resource {
    Resource { accept: place.accept.map(BodyFormat::content_format), ..resource(&place.path) }
}

/// How devices of a model are asked.
pub(crate) fn manner(options: &CoapOptions) -> Manner {
    let within = options.timeout.max(Duration::from_millis(1));
    let exponent = u8::try_from(options.block.clamp(16, 1024).ilog2() - 4).unwrap_or(6);
    Manner { within, confirmable: options.confirmable, exponent }
}

/// The request that reads a place.
pub(crate) fn read(place: &CoapRead, manner: Manner) -> Request {
    Request { observe: place.observe, ..Request::get(read_resource(place), manner) }
}

/// The request that writes a body.
pub(crate) fn write(place: &CoapWrite, body: Vec<u8>, manner: Manner) -> Request {
    let method = match place.method {
        CoapMethod::Put => Code::PUT,
        CoapMethod::Post => Code::POST,
    };
    let format = Some(place.put.format().content_format());
    Request { method, resource: resource(&place.path), format, body, observe: false, manner }
}

/// A refusal, in words.
pub(crate) fn refusal(response: &Response) -> DeviceFault {
    let known = match response.code.0 {
        0x80 => "Bad Request",
        0x81 => "Unauthorized",
        0x82 => "Bad Option",
        0x83 => "Forbidden",
        0x84 => "Not Found",
        0x85 => "Method Not Allowed",
        0x86 => "Not Acceptable",
        0x88 => "Request Entity Incomplete",
        0x89 => "Conflict",
        0x8c => "Precondition Failed",
        0x8d => "Request Entity Too Large",
        0x8f => "Unsupported Content-Format",
        0x96 => "Unprocessable Entity",
        0x9d => "Too Many Requests",
        0xa0 => "Internal Server Error",
        0xa1 => "Not Implemented",
        0xa2 => "Bad Gateway",
        0xa3 => "Service Unavailable",
        0xa4 => "Gateway Timeout",
        0xa5 => "Proxying Not Supported",
        _ => "",
    };
    let text = format!("{} {known}", response.code);
    DeviceFault::Refused(text.trim().to_owned() + &diagnostic(&response.body))
}

/// What the device says for people (RFC 7252, 5.5.2), if it can be shown.
fn diagnostic(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let shown: String = text.chars().filter(|c| !c.is_control()).take(DIAGNOSTIC).collect();
    if shown.is_empty() { shown } else { format!(": {shown}") }
}

#[cfg(test)]
mod tests {
    use usp_mapping::payload::{ByteEncoding, BytesPick};

    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let resource = resource("/3303/0/5700?a=1&b");
        assert_eq!(resource.path, ["3303", "0", "5700"]);
        assert_eq!(resource.query, ["a=1", "b"]);
        assert_eq!(resource.to_string(), "/3303/0/5700?a=1&b");
        assert_eq!(super::resource("/").path, [""; 0]);
    }

    #[test]
    fn a_format_is_asked_for_where_the_mapping_wants_one() {
        let asked = |accept| {
            let pick = usp_mapping::payload::Pick::Text;
            let place = CoapRead { path: "/3303/0".to_owned(), pick, observe: true, accept };
            read(&place, manner(&CoapOptions::default())).resource.accept
        };
        assert_eq!([asked(None), asked(Some(BodyFormat::SenmlCbor))], [None, Some(112)]);
    }

    #[test]
    fn refusals_say_what_the_device_says() {
        let response = |code, body: &str| Response { code: Code(code), format: None, body: body.into() };
        let words = |code, body| refusal(&response(code, body)).to_string();
        assert_eq!(words(0x84, ""), "the device refused: 4.04 Not Found");
        assert_eq!(words(0x80, "out of\u{7} range\n"), "the device refused: 4.00 Bad Request: out of range");
        assert_eq!(words(0x9e, ""), "the device refused: 4.30");
    }

    #[test]
    fn formats_are_known_both_ways() {
        let of = |number| format(&Response { code: Code(0x45), format: number, body: Vec::new() });
        assert_eq!([of(Some(1542)), of(Some(11_542))], [Some(BodyFormat::Tlv); 2]);
        assert_eq!([of(None), of(Some(41))], [None; 2]);
    }

    #[test]
    fn what_is_in_another_format_is_no_value() {
        let taken = |number, pick: &Pick| {
            let response = Response { code: Code(0x45), format: Some(number), body: b"21".to_vec() };
            take(&Body::new(&response.body, format(&response)), &response, pick)
        };
        let words = |number| taken(number, &Pick::Text).unwrap_err().to_string();
        assert_eq!(words(41), "unusable answer: it is in content format 41, which is not known");
        assert_eq!(words(60), "unusable answer: it is CBOR");
        for number in [0, 42, 50] {
            assert_eq!(taken(number, &Pick::Text), Ok(Some(Raw::Text("21".to_owned()))), "{number}");
        }
        let first = BytesPick {
            offset: 0,
            length: Some(1),
            encoding: ByteEncoding::Unsigned,
            little_endian: false,
            bits: None,
        };
        assert_eq!(taken(41, &Pick::Bytes(first)), Ok(Some(Raw::Int(0x32))), "whoever made it knows it");
    }

    #[test]
    fn blocks_are_a_power_of_two() {
        let exponent = |block| manner(&CoapOptions { block, ..CoapOptions::default() }).exponent;
        assert_eq!(
            [exponent(16), exponent(64), exponent(1024), exponent(0), exponent(9999)],
            [0, 2, 6, 0, 6]
        );
    }
}
