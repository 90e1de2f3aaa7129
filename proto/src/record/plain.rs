//! The usual Record (a whole Message, nothing signed, fields in their order), read and written without copies of its
//! parts. Any other form takes the way through the schema's types.

use prost::Message as _;

use super::{Record, RecordBody};
use crate::usp;
use crate::wire::{length_and, put, put_head, take, take_text};

/// First bytes of fields: number and wire type.
const VERSION: u8 = 0x0a;
const TO_ID: u8 = 0x12;
const FROM_ID: u8 = 0x1a;
const NO_SESSION_CONTEXT: u8 = 0x3a;
const PAYLOAD: u8 = 0x12;

/// Its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub(super) version: &'a str,
    pub(super) to: &'a str,
    pub(super) from: &'a str,
    pub(super) payload: &'a [u8],
}

impl<'a> Plain<'a> {
    /// `None`: it is of another form, or no Record.
    pub(super) fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let version = take_text(VERSION, bytes)?;
        let to = take_text(TO_ID, bytes)?;
        let from = take_text(FROM_ID, bytes)?;
        let mut content = take(NO_SESSION_CONTEXT, bytes)?;
        let payload = take(PAYLOAD, &mut content)?;
        (bytes.is_empty() && content.is_empty()).then_some(Self { version, to, from, payload })
    }
}

/// A Record on its way into bytes; its Message has been measured.
pub(super) struct Outline<'a> {
    head: [(u8, &'a str); 3],
    msg: &'a usp::Msg,
    payload: usize,
}

impl<'a> Outline<'a> {
    /// `None`: it carries no Message.
    pub(super) fn of(record: &'a Record) -> Option<Self> {
        let RecordBody::Message(msg) = &record.body else { return None };
        let head = [
            (VERSION, record.version.as_str()),
            (TO_ID, record.to.as_str()),
            (FROM_ID, record.from.as_str()),
        ];
        // An empty field is left out of the schema's form.
        let usual = head.iter().all(|(_, text)| !text.is_empty());
        let payload = msg.encoded_len();
        (usual && payload > 0).then_some(Self { head, msg, payload })
    }

    /// The length of the bytes.
    pub(super) fn len(&self) -> usize {
        let head = self.head.iter().map(|(_, text)| 1 + length_and(text.len()));
        head.sum::<usize>() + 1 + length_and(1 + length_and(self.payload))
    }

    /// Writes the bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        for (tag, text) in self.head {
            put(tag, text.as_bytes(), out);
        }
        put_head(NO_SESSION_CONTEXT, 1 + length_and(self.payload), out);
        put_head(PAYLOAD, self.payload, out);
        self.msg.encode_raw(out);
    }
}
