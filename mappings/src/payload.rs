//! The bodies of messages: what is taken out of one, and how one is made. No protocol is known here: MQTT and CoAP carry
//! the same bodies.
//!
//! Numbers are exact: what a text spells is never sent through a float.

mod body;
mod bytes;
mod cbor;
mod compile;
mod doc;
pub(crate) mod draft;
mod json;
mod made;
mod pick;
mod put;
pub(crate) mod read;
pub(crate) mod said;
mod senml;
#[cfg(test)]
mod tests;
mod tlv;

use self::body::text;
pub use self::body::{Body, MAX_BODY, take};
pub use self::pick::{BodyFormat, ByteEncoding, BytesPick, Pick, Pointer, TlvKind, TlvPick};
use self::put::PLACE;
pub use self::put::{Put, PutForm, Tree};
pub use self::said::shown;

/// Takes everything that can be taken out of a body: for tests with bodies that nobody chose.
pub fn fuzzed(body: &[u8]) {
    let pointers = ["", "/a", "/0/v", "/a~1b/0"].map(|text| Pointer::parse(text).unwrap_or_default());
    let mut picks = vec![Pick::Text, Pick::Senml("a".to_owned())];
    picks.extend(pointers.iter().cloned().map(Pick::Json));
    picks.extend(pointers.into_iter().map(Pick::Cbor));
    for kind in [TlvKind::Integer, TlvKind::Float, TlvKind::Boolean, TlvKind::Text, TlvKind::Opaque] {
        picks.extend([vec![0], vec![5700], vec![0, 1]].map(|path| Pick::Tlv(TlvPick { path, kind })));
    }
    for encoding in [ByteEncoding::Unsigned, ByteEncoding::Signed, ByteEncoding::Float, ByteEncoding::Text] {
        let pick = |offset, length, bits| BytesPick { offset, length, encoding, little_endian: true, bits };
        picks.extend(
            [pick(0, Some(4), Some((3, 9))), pick(3, Some(8), None), pick(1, None, None)].map(Pick::Bytes),
        );
    }
    let known = Body::new(body, None);
    for pick in &picks {
        drop(known.take(pick));
    }
}
