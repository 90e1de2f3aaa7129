//! What is logged, for tests.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything that is logged, whatever its level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.held().push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        attributes.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.held().push_str(&format!("\n{} ", event.metadata().level()));
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// How a text spells six bytes or more of a key, if it does: as digits with or without something between them, as numbers in a list, as a
/// text; in either order of bytes.
pub(crate) fn spelled(text: &str, key: &[u8; 16]) -> Option<String> {
    let lower = text.to_lowercase();
    let mut turned = *key;
    turned.reverse();
    let parts = [key, &turned].map(|key| key.windows(6).map(<[u8]>::to_vec).collect::<Vec<_>>()).concat();
    parts.iter().flat_map(|part| spellings(part)).find(|spelling| lower.contains(spelling))
}

fn spellings(part: &[u8]) -> Vec<String> {
    let joined =
        |each: fn(&u8) -> String, between: &str| part.iter().map(each).collect::<Vec<_>>().join(between);
    let digits = ["", ":", " ", "-", ", "].map(|between| joined(|byte| format!("{byte:02x}"), between));
    let bare = ["", ", ", ","].map(|between| joined(|byte| format!("{byte:x}"), between));
    let hex = [", ", ","].map(|between| joined(|byte| format!("0x{byte:02x}"), between));
    let lists = [", ", ","].map(|between| joined(u8::to_string, between));
    let escaped = part.escape_ascii().to_string().to_lowercase();
    let debug = format!("{:?}", String::from_utf8_lossy(part)).trim_matches('"').to_lowercase();
    // What is of letters alone is looked for as it is.
    let plain = [escaped, debug].into_iter().filter(|text| !text.contains('\u{fffd}'));
    [digits.as_slice(), &bare, &hex, &lists].concat().into_iter().chain(plain).collect()
}

#[test]
fn a_key_is_found_however_it_is_spelled() {
    let key: [u8; 16] = *b"Zq7#kP!x9Lm@2vR$";
    let other: [u8; 16] =
        [0xd1, 0x05, 0xa5, 0x0f, 0x7a, 0xc3, 0x28, 0x91, 0xee, 0x46, 0xb7, 0x1d, 0x84, 0x6b, 0xf2, 0x39];
    let mut turned = other;
    turned.reverse();
    let hex = |between: &str| other.map(|byte| format!("{byte:02X}")).join(between);
    let told = [
        hex(""),
        hex(":"),
        hex(" "),
        hex("-"),
        format!("{other:?}"),
        format!("{turned:?}"),
        format!("{other:x?}"),
    ];
    for text in told.iter().chain([
        &format!("{:02x?}", turned),
        &format!("{:#04x?}", other).replace('\n', "").replace("    ", " "),
    ]) {
        assert!(spelled(text, &other).is_some(), "{text}");
        assert!(spelled(&format!("[1, 2, {text}, 3]"), &other).is_some());
        assert_eq!(spelled(text, &key), None);
    }
    assert!(spelled("Key(\"Zq7#kP!x9Lm@2vR$\")", &key).is_some());
    assert_eq!(spelled("a Zigbee network was formed", &key), None);
}
