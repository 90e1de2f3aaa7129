//! What a device says in a test, and what it is told.

use super::frame::Framed;
use super::{LineAsk, LineRead, LineWrite, readable};
use crate::payload::said::Said;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// Where requests stand among what a test sends.
pub(crate) const SENT: &str = "the line";

/// What the newest of these that has it says; `None`: none has it.
pub(crate) fn taken(said: &Said, read: &LineRead) -> Option<Result<Raw, DeviceFault>> {
    let said = said.0.iter().rev().filter(|(place, _)| is_place(read, place));
    let mut broken =
        read.ask.as_ref().map(|_| Err(DeviceFault::Garbled("its answer does not have the value".to_owned())));
    let said: Vec<_> = said.collect();
    if said.is_empty() {
        broken = None;
    }
    for (_, bytes) in said {
        for frame in read.manner.frames.split(bytes).iter().rev() {
            match frame {
                Framed::Frame(frame) => {
                    if let Some(raw) = read.take(frame) {
                        return Some(raw);
                    }
                }
                Framed::Broken(why) => broken = Some(Err(DeviceFault::Garbled(why.to_string()))),
            }
        }
    }
    broken
}

/// Whether what stands there in a test is for a place: the answer to its request, or what is heard.
pub(crate) fn is_place(read: &LineRead, place: &str) -> bool {
    match &read.ask {
        _ if place.is_empty() => read.is_heard(),
        Some(ask) => is_request(ask, place),
        None => false,
    }
}

/// A request is named as the mapping or as the wire has it.
fn is_request(ask: &LineAsk, place: &str) -> bool {
    let bytes: Option<Vec<u8>> = place.chars().map(|it| u8::try_from(u32::from(it)).ok()).collect();
    let named = bytes.is_some_and(|bytes| bytes == ask.body || bytes == ask.wire);
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    named || place == digits(&ask.body) || place == digits(&ask.wire)
}

/// What a test does not say, and how to say it.
pub(crate) fn lacks(read: &LineRead) -> (String, String) {
    match &read.ask {
        Some(ask) => {
            let request = readable(&ask.body);
            (format!("a reply to \"{request}\""), format!("replies: {{\"{request}\": …}}"))
        }
        None => (read.described(), "heard: …".to_owned()),
    }
}

/// What is sent for a raw value.
pub(crate) fn written(write: &LineWrite, raw: &Raw) -> Result<Said, DeviceFault> {
    let (ask, _) = write.request(raw)?;
    Ok(Said(vec![(SENT.to_owned(), ask.wire)]))
}

/// In which these requests are not what was wanted.
pub(crate) fn differences(sent: &Said, wanted: &Said) -> Vec<String> {
    let of = |said: &Said| -> Vec<String> {
        let requests = said.0.iter().filter(|(place, _)| place == SENT);
        requests.map(|(_, bytes)| format!("\"{}\"", readable(bytes))).collect()
    };
    let (sent, wanted) = (of(sent), of(wanted));
    if sent == wanted {
        return Vec::new();
    }
    let list = |texts: &[String]| if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") };
    vec![format!("{} is sent, not {}", list(&sent), list(&wanted))]
}
