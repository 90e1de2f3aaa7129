//! What a device holds and says in a test, and what it is sent.

use super::draft::{ZigbeeConstDraft, ZigbeeName, ZigbeePlaceDraft};
use super::zcl::{self, Frame, Record, ZclType, ZclValue, encode};
use super::{ZigbeeFrom, ZigbeePart, ZigbeeRead, ZigbeeWrite, clusters};
use crate::code::Code;
use crate::draft::{At, SaidDraft};
use crate::payload::said::Said;
use crate::port::DeviceFault;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::transform::Raw;
use crate::value::parse_decimal;
use crate::yaml::{Kind, Node};

/// What stands before the bytes of an attribute that is held; a value that is a text has nothing before it, and does not begin
/// so in UTF-8.
const BYTES: u8 = 0xff;

/// `1/0x0402`, and with an attribute `1/0x0402/0x0000`.
fn place_text(endpoint: u8, cluster: u16, attribute: Option<u16>) -> String {
    let attribute = attribute.map_or(String::new(), |id| format!("/0x{id:04x}"));
    format!("{endpoint}/0x{cluster:04x}{attribute}")
}

/// Whether a text is a place as this module writes them: topics and paths are others.
pub(crate) fn is_cluster(place: &str) -> bool {
    let parsed = place.split_once("/0x").map(|(endpoint, rest)| (endpoint.parse::<u8>().is_ok(), rest.len()));
    parsed == Some((true, 4))
}

fn place_of(read: &ZigbeeRead) -> (String, Option<String>) {
    let held = match &read.from {
        ZigbeeFrom::Attribute(attribute) => Some(place_text(read.endpoint, read.cluster, Some(attribute.id))),
        ZigbeeFrom::Command(_) => None,
    };
    (place_text(read.endpoint, read.cluster, None), held)
}

/// What the newest of these that has it says; `None`: none has it.
pub(crate) fn taken(said: &Said, read: &ZigbeeRead) -> Option<Result<Raw, DeviceFault>> {
    let (framed, held) = place_of(read);
    said.0.iter().rev().find_map(|(place, body)| {
        if *place == framed {
            return match Frame::parse(body) {
                Ok(frame) => read.take(read.endpoint, read.cluster, &frame),
                Err(fault) => Some(Err(fault)),
            };
        }
        if held.as_deref() == Some(place) { read.held(body) } else { None }
    })
}

/// Whether what stands there in a test is for a place.
pub(crate) fn is_place(read: &ZigbeeRead, place: &str) -> bool {
    let (framed, held) = place_of(read);
    place == framed || held.as_deref() == Some(place)
}

/// What a test does not say, and how to say it.
pub(crate) fn lacks(read: &ZigbeeRead) -> (String, String) {
    let cluster = clusters::shown(read.cluster);
    match &read.from {
        ZigbeeFrom::Attribute(attribute) => {
            let name = clusters::attribute_shown(read.cluster, attribute.id, read.manufacturer);
            let place = format!("{}/{cluster}/{name}", read.endpoint);
            (place.clone(), format!("attributes: {{{place}: …}}"))
        }
        ZigbeeFrom::Command(_) => {
            let place = format!("{}/{cluster}", read.endpoint);
            (format!("a frame from {place}"), format!("frames: {{{place}: \"…\"}}"))
        }
    }
}

impl ZigbeeRead {
    /// What an attribute that is held says of it.
    fn held(&self, body: &[u8]) -> Option<Result<Raw, DeviceFault>> {
        let ZigbeeFrom::Attribute(attribute) = &self.from else { return None };
        let (is_bytes, body) = match body.split_first() {
            Some((&BYTES, rest)) => (true, rest),
            _ => (false, body),
        };
        let whole = match attribute.part {
            ZigbeePart::Whole => held_value(attribute.kind, is_bytes, body),
            ZigbeePart::Tag(_) | ZigbeePart::Bytes(_) => Some((ZclType::Octets, raw_bytes(body))),
            ZigbeePart::Element(_) => {
                let value = zcl::take(ZclType::Struct, &mut &*body).ok();
                value.map(|value| (ZclType::Struct, value))
            }
        };
        let Some(value) = whole else {
            let why = format!("the test's value is no {}", attribute.kind);
            return Some(Err(DeviceFault::Garbled(why)));
        };
        self.take_record(&Record { id: attribute.id, value: Ok(value) })
    }
}

fn raw_bytes(body: &[u8]) -> ZclValue {
    ZclValue::Raw(Raw::Bytes(body.to_vec()))
}

/// A value as it is spelled. What is the non-value of the type is none.
fn held_value(kind: ZclType, is_bytes: bool, body: &[u8]) -> Option<(ZclType, ZclValue)> {
    if is_bytes {
        return Some((kind, ZclValue::Raw(Raw::Bytes(body.to_vec()))));
    }
    let text = std::str::from_utf8(body).ok()?;
    let raw = match (kind.raw_kind().int_range(), text) {
        (Some(_), "true") => Raw::Int(1),
        (Some(_), "false") => Raw::Int(0),
        (Some((least, most)), text) => Raw::Int(wrapped(whole(text)?, least, most)?),
        (None, text) if matches!(kind, ZclType::Text | ZclType::LongText) => Raw::Text(text.to_owned()),
        (None, text) => Raw::Decimal(parse_decimal(text).ok()?),
    };
    match encode(kind, &raw) {
        Ok(bytes) => zcl::take(kind, &mut &*bytes).ok().map(|value| (kind, value)),
        Err(_) if kind.raw_kind().int_range().is_some() => Some((kind, ZclValue::None)),
        Err(_) => None,
    }
}

fn whole(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `0x8000` of an `int16` is -32768.
fn wrapped(number: i128, least: i128, most: i128) -> Option<i128> {
    let span = most - least + 1;
    match number {
        _ if (least..=most).contains(&number) => Some(number),
        _ if least < 0 && number > most && number < span => Some(number - span),
        _ => None,
    }
}

/// What is sent for a raw value.
pub(crate) fn written(write: &ZigbeeWrite, raw: &Raw) -> Result<Said, DeviceFault> {
    let frame = write.frame(raw)?;
    Ok(Said(vec![(place_text(frame.endpoint, frame.cluster, None), frame.bytes)]))
}

/// In which these frames are not what was wanted. Transaction sequence numbers do not count.
pub(crate) fn differences(sent: &Said, wanted: &Said) -> Vec<String> {
    let plain = |said: &Said| -> Vec<(String, Vec<u8>)> {
        said.0.iter().map(|(place, body)| (place.clone(), zcl::numbered(body, 0))).collect()
    };
    let (mut left, wanted) = (plain(sent), plain(wanted));
    let mut differences = Vec::new();
    for (place, body) in &wanted {
        match left.iter().position(|(known, _)| known == place).map(|at| left.remove(at)) {
            None => differences.push(format!("nothing is sent to {place}")),
            Some((_, sent)) if sent == *body => {}
            Some((_, sent)) => {
                differences.push(format!("{place} is sent {}, not {}", digits(&sent), digits(body)));
            }
        }
    }
    differences.extend(left.first().map(|(place, body)| format!("{place} is sent {} too", digits(body))));
    differences
}

/// `01 00 02`
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

impl Report<'_> {
    /// `attributes` and `frames` of a test.
    pub(crate) fn zigbee_held(&mut self, fields: &Fields<'_>) -> Vec<SaidDraft> {
        let mut said = Vec::new();
        if let Some(node) = fields.node("attributes") {
            for (place, node) in self.named(node, "`attributes`") {
                let body = self.held_attribute(node);
                said.extend(self.zigbee_said(place, node, body, true));
            }
        }
        if let Some(node) = fields.node("frames") {
            said.extend(self.zigbee_frames(node, "`frames`"));
        }
        said
    }

    /// `sends` of a test.
    pub(crate) fn zigbee_frames(&mut self, node: &Node, what: &str) -> Vec<SaidDraft> {
        let maps = if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) };
        let mut said = Vec::new();
        for map in maps {
            for (place, node) in self.named(map, what) {
                let body = match (&node.kind, super::read::hex_of(node)) {
                    (_, Some(hex)) => self.hex(hex),
                    (Kind::Map(_), None) => self.told_frame(&place, node),
                    _ => self.hex(node),
                };
                said.extend(self.zigbee_said(place, node, body, false));
            }
        }
        said
    }

    fn zigbee_said(
        &mut self,
        place: At<String>,
        node: &Node,
        body: Option<Vec<u8>>,
        with_attribute: bool,
    ) -> Option<SaidDraft> {
        let known = self.held_place(&place, with_attribute)?;
        Some(SaidDraft { place: At::new(known, place.span), body: At::new(body?, node.span) })
    }

    /// `1/on_off`, or `1/on_off/on_off`, by names or numbers.
    fn held_place(&mut self, place: &At<String>, with_attribute: bool) -> Option<String> {
        let mut parts = place.value.split('/');
        let endpoint = parts.next().and_then(|part| part.parse::<u8>().ok());
        let cluster = parts.next().and_then(|part| name(part).cluster());
        let attribute = match (cluster, parts.next()) {
            (Some(cluster), Some(part)) => name(part).attribute(cluster),
            _ => None,
        };
        let known = endpoint.zip(cluster).filter(|_| attribute.is_some() == with_attribute);
        match known.filter(|_| parts.next().is_none()) {
            Some((endpoint, cluster)) => Some(place_text(endpoint, cluster, attribute)),
            None => {
                let message = format!("`{}` is no such place", place.value);
                let error = self.error(Code::TestShape, place.span, message);
                error.help(if with_attribute {
                    "write endpoint, cluster and attribute, such as `1/on_off/on_off` or `1/0x0006/0x0000`"
                } else {
                    "write endpoint and cluster, such as `1/on_off` or `1/0x0006`"
                });
                None
            }
        }
    }

    fn held_attribute(&mut self, node: &Node) -> Option<Vec<u8>> {
        if let Some(hex) = super::read::hex_of(node) {
            return Some([&[BYTES], self.hex(hex)?.as_slice()].concat());
        }
        Some(self.spelling(node)?.value.into_bytes())
    }

    /// `{command: "on"}`, `{command: move_to_level, fields: {level: 10}}`, `{attribute: on_time, value: 5}`.
    fn told_frame(&mut self, place: &At<String>, node: &Node) -> Option<Vec<u8>> {
        let keys = ["command", "fields", "attribute", "as", "value", "manufacturer_code"];
        let fields = self.fields(node, "what is sent", &keys)?;
        let draft = self.zigbee_place(&fields);
        let value = fields.node("value").and_then(|node| self.spelling(node));
        let cluster = place.value.split('/').nth(1).and_then(|part| name(part).cluster())?;
        let bytes = frame_of(&draft, value.as_ref(), cluster);
        if bytes.is_none() {
            let error = self.error(Code::TestShape, node.span, "it does not say what is sent");
            error.help("write `{command: \"on\"}`, `{command: …, fields: {…}}`, `{attribute: …, value: …}`, or the frame in hexadecimal");
        }
        bytes
    }
}

/// The frame that a draft says, of what the table knows.
fn frame_of(draft: &ZigbeePlaceDraft, value: Option<&At<String>>, cluster: u16) -> Option<Vec<u8>> {
    let manufacturer = draft.manufacturer.map(|code| code.value);
    let table = clusters::of(cluster);
    match (draft.commands.first(), &draft.attribute) {
        (Some(command), None) => {
            let known = match &command.value {
                ZigbeeName::Number(id) => table?.received_by(u8::try_from(*id).ok()?),
                ZigbeeName::Name(word) => table?.received.iter().find(|it| it.name == word),
            };
            let known = known?;
            let mut payload = Vec::new();
            for field in known.fields {
                let mut given = draft.fields.iter();
                let given = given.find(|it| it.name.as_ref().is_some_and(|name| name.value == field.name));
                let Some(given) = given else { break };
                payload.extend(encoded(field.kind, &given.value.value)?);
            }
            Some(zcl::command(manufacturer, known.id, payload).bytes())
        }
        (None, Some(attribute)) => {
            let id = attribute.value.attribute(cluster)?;
            let entry = table.and_then(|it| it.attribute(id)).map(|entry| entry.kind);
            let kind = draft.kind.map(|kind| kind.value).or(entry)?;
            let (_, value) = held_value(kind, false, value?.value.as_bytes())?;
            let ZclValue::Raw(raw) = value else { return None };
            Some(zcl::write_attribute(manufacturer, id, kind, &encode(kind, &raw).ok()?).bytes())
        }
        _ => None,
    }
}
fn encoded(kind: ZclType, value: &ZigbeeConstDraft) -> Option<Vec<u8>> {
    let raw = match value {
        ZigbeeConstDraft::Number(number) => Raw::Decimal(*number),
        ZigbeeConstDraft::Text(text) if kind == ZclType::Octets => Raw::Bytes(text.clone().into_bytes()),
        ZigbeeConstDraft::Text(text) => Raw::Text(text.clone()),
        ZigbeeConstDraft::Bytes(bytes) => Raw::Bytes(bytes.clone()),
        ZigbeeConstDraft::Value | ZigbeeConstDraft::Arg(_) => return None,
    };
    encode(kind, &raw).ok()
}

fn name(part: &str) -> ZigbeeName {
    let number = match part.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => part.parse().ok(),
    };
    number.map_or_else(|| ZigbeeName::Name(part.to_owned()), ZigbeeName::Number)
}
