//! Numbers, texts and properties as bytes (MQTT 5.0 section 1.5).

use super::Property;

/// Puts packets together.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) version: u8,
}

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn short(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.short(u16::try_from(text.len()).unwrap_or(u16::MAX));
        self.bytes(text.as_bytes());
    }

    /// A variable byte integer.
    pub(super) fn variable(&mut self, mut value: usize) {
        loop {
            let low = u8::try_from(value % 128).unwrap_or_default();
            value /= 128;
            if value == 0 {
                return self.byte(low);
            }
            self.byte(low | 128);
        }
    }

    pub(super) fn properties(&mut self, properties: &[Property]) {
        if self.version < 5 {
            return;
        }
        let mut inner = Self { bytes: Vec::new(), version: self.version };
        properties.iter().for_each(|property| property.write(&mut inner));
        self.variable(inner.bytes.len());
        self.bytes(&inner.bytes);
    }
}
