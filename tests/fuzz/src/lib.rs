//! What the fuzz targets check: no input makes a decoder panic, and what it takes it gives back.
//!
//! `cargo +nightly fuzz run <target>` in the folder above, or the ordinary tests of `usp-proto`, which replay the corpus. The target
//! `payload` is a function of `usp-mapping`, and `zigbee_ash` and `zigbee_mt` are of `usp-adapters`, whose tests replay their corpus.

use usp_proto::endpoint_id::EndpointId;
use usp_proto::path::{MAX_LENGTH, Path, RelativeParam, SupportedPath};
use usp_proto::record::{DecodeFault, Record};
use usp_proto::uds_frame::{Frame, FrameDecoder, FrameError};
use usp_proto::{tr106, websocket};

/// One fuzz target: its name and what it does with some input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by name.
pub const TARGETS: [Target; 7] = [
    ("endpoint_id", endpoint_id),
    ("path", path),
    ("record", record),
    ("supported_path", supported_path),
    ("tr106", tr106_values),
    ("uds_frame", uds_frame),
    ("websocket_eid", websocket_eid),
];

/// A Record that is read is read again from its own encoding; a bad one has an answer that can be read.
pub fn record(data: &[u8]) {
    match Record::decode(data) {
        Ok(record) => assert_eq!(Record::decode(&record.encode()), Ok(record)),
        Err(DecodeFault::Answer(bad)) => {
            let answer = bad.answer();
            assert_eq!(Record::decode(&answer.encode()), Ok(answer));
        }
        Err(DecodeFault::Undecodable(_) | DecodeFault::Unusable(_)) => {}
    }
}

/// A path that is read is read again from its own text; an error lies in the text.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Path::parse(text) {
        Ok(path) => {
            let shown = path.to_string();
            // Escapes can make a text longer than the bound.
            if shown.len() <= MAX_LENGTH {
                assert_eq!(Path::parse(&shown), Ok(path));
            }
        }
        Err(error) => assert!(text.is_char_boundary(error.offset)),
    }
    if let Ok(relative) = RelativeParam::parse(text) {
        assert_eq!(relative.to_string(), text);
    }
}

/// A path of the supported data model is its own text.
pub fn supported_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match SupportedPath::parse(text) {
        Ok(path) => assert_eq!(path.to_string(), text),
        Err(error) => assert!(text.is_char_boundary(error.offset)),
    }
}

/// An Endpoint ID is its own text, and survives a query, a header and a certificate.
pub fn endpoint_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(id) = EndpointId::parse(text) else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(websocket::eid_from_query(&websocket::eid_query(&id)), Ok(Some(id.clone())));
    assert_eq!(websocket::eid_from_extensions(&websocket::extension_header(&id)), Ok(Some(id.clone())));
    assert_eq!(EndpointId::from_urn(&id.to_urn()), Ok(id));
}

/// A stream gives the same frames in one piece, and in pieces of the size that the first byte tells; frames that were
/// read are read again from their own encoding.
pub fn uds_frame(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = frames(&[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(*size).max(1)).collect();
    assert_eq!(frames(&pieces), whole);
    let again: Vec<u8> = whole.0.iter().flat_map(Frame::encode).collect();
    // A text that is no UTF-8 is replaced, and may then be longer than the bound.
    if let (read, None) = frames(&[&again]) {
        assert_eq!(read, whole.0);
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    const MAX: usize = 1024;
    let (mut decoder, mut frames) = (FrameDecoder::new(MAX), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.pending() < MAX + 8, "more is held than one frame");
    }
    (frames, None)
}

/// What is read from a query or a header is an Endpoint ID.
pub fn websocket_eid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for id in [websocket::eid_from_query(text), websocket::eid_from_extensions(text)]
        .into_iter()
        .flatten()
        .flatten()
    {
        assert_eq!(EndpointId::parse(id.as_str()), Ok(id));
    }
    assert_eq!(websocket::decode_eid(&websocket::encode_eid(text)).as_deref(), Ok(text));
}

/// Values that are read are read again from their own text.
pub fn tr106_values(data: &[u8]) {
    assert_eq!(tr106::base64_decode(&tr106::base64_encode(data)).as_deref(), Some(data));
    assert_eq!(tr106::hex_decode(&tr106::hex_encode(data)).as_deref(), Some(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(bytes) = tr106::base64_decode(text) {
        let compact: String = text.split_ascii_whitespace().collect();
        assert_eq!(tr106::base64_encode(&bytes), compact);
    }
    if let Some(bytes) = tr106::hex_decode(text) {
        assert!(tr106::hex_encode(&bytes).eq_ignore_ascii_case(text));
    }
    if let Some(ms) = tr106::parse_datetime(text) {
        // A zone can lead out of the years 1 to 9999; the nearest that can be written is taken then.
        let shown = tr106::format_datetime(ms);
        assert_eq!(tr106::parse_datetime(&shown).map(tr106::format_datetime), Some(shown));
    }
    assert_eq!(tr106::unescape_item(&tr106::escape_item(text)), text);
    assert!(tr106::split_list(text).all(|item| item.trim() == item));
}
