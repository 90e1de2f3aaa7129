//! What frames say of a value.

use super::zcl::{Direction, Frame, General, Record, ZclValue, take};
use super::{
    ZclType, ZigbeeAttribute, ZigbeeFrom, ZigbeeHeard, ZigbeePart, ZigbeePick, ZigbeeRead, clusters,
};
use crate::payload::{Body, BytesPick, Pick};
use crate::port::DeviceFault;
use crate::transform::{Raw, RawKind};

impl ZigbeeRead {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        let whole = match &self.from {
            ZigbeeFrom::Attribute(attribute) => attribute.raw_kind(),
            ZigbeeFrom::Command(heard) => heard.raw_kind(),
        };
        match self.bits {
            Some((first, last)) => {
                RawKind::Int { bits: last.saturating_sub(first).saturating_add(1).min(64), signed: false }
            }
            None => whole,
        }
    }

    /// Whether the device can be asked for it.
    pub fn is_asked(&self) -> bool {
        matches!(&self.from, ZigbeeFrom::Attribute(attribute) if attribute.asked)
    }

    /// Whether the device says it by itself: it reports it, sends it, or is heard alone.
    pub fn is_heard(&self) -> bool {
        match &self.from {
            ZigbeeFrom::Attribute(it) => it.report.is_some() || it.told.is_some() || !it.asked,
            ZigbeeFrom::Command(_) => true,
        }
    }

    /// What a frame from this endpoint and cluster says of it; `None`: nothing.
    ///
    /// The outer result is that of the frame: a refusal of the attribute is [`DeviceFault::Refused`], the non-value of its
    /// type [`DeviceFault::Invalid`].
    pub fn take(&self, endpoint: u8, cluster: u16, frame: &Frame) -> Option<Result<Raw, DeviceFault>> {
        if endpoint != self.endpoint || cluster != self.cluster {
            return None;
        }
        if frame.is_specific {
            let heard = match &self.from {
                ZigbeeFrom::Attribute(attribute) => attribute.told.as_ref()?,
                ZigbeeFrom::Command(heard) => heard,
            };
            let same_maker = frame.manufacturer == self.manufacturer;
            return heard.take(frame).filter(|_| same_maker).map(|raw| self.part_of(raw?));
        }
        let (ZigbeeFrom::Attribute(attribute), true) = (&self.from, frame.manufacturer == self.manufacturer)
        else {
            return None;
        };
        let Ok(General::Report(records) | General::ReadResponse(records)) = frame.general()? else {
            return None;
        };
        records.iter().rev().find_map(|record| attribute.take(record)).map(|raw| self.part_of(raw?))
    }

    /// What a record of this attribute says of it; `None`: it is about another one, or has not this part of it.
    pub fn take_record(&self, record: &Record) -> Option<Result<Raw, DeviceFault>> {
        let ZigbeeFrom::Attribute(attribute) = &self.from else { return None };
        attribute.take(record).map(|raw| self.part_of(raw?))
    }

    fn part_of(&self, raw: Raw) -> Result<Raw, DeviceFault> {
        let Some((first, last)) = self.bits else { return Ok(raw) };
        match raw {
            Raw::Int(number) if number >= 0 => {
                let width = u32::from(last.saturating_sub(first)) + 1;
                let mask = 1i128.checked_shl(width).map_or(i128::MAX, |past| past - 1);
                Ok(Raw::Int(number.checked_shr(first.into()).unwrap_or_default() & mask))
            }
            _ => Err(DeviceFault::Garbled("bits of what is no unsigned number".to_owned())),
        }
    }

    /// What it is, for people: `on_off on_off, endpoint 1`.
    pub fn described(&self) -> String {
        let cluster = clusters::shown(self.cluster);
        let maker = self.manufacturer.map_or(String::new(), |code| format!(", manufacturer 0x{code:04x}"));
        let bits = self.bits.map_or(String::new(), |(first, last)| format!(" bits {first}..{last}"));
        let what = match &self.from {
            ZigbeeFrom::Attribute(attribute) => attribute.described(self.cluster, self.manufacturer),
            ZigbeeFrom::Command(heard) => heard.described(),
        };
        format!("{cluster} {what}{bits}{maker}")
    }
}

impl ZigbeeAttribute {
    fn raw_kind(&self) -> RawKind {
        match self.part {
            ZigbeePart::Bytes(pick) => pick.raw_kind(),
            ZigbeePart::Whole | ZigbeePart::Tag(_) | ZigbeePart::Element(_) => self.kind.raw_kind(),
        }
    }

    fn take(&self, record: &Record) -> Option<Result<Raw, DeviceFault>> {
        if record.id != self.id {
            return None;
        }
        let value = match &record.value {
            Ok((_, value)) => value,
            Err(status) => return Some(Err(status.refusal())),
        };
        match self.part {
            ZigbeePart::Whole => Some(self.known(value)),
            ZigbeePart::Tag(tag) => tagged(bytes_of(value)?, tag).map(|value| self.known(&value?)),
            ZigbeePart::Element(at) => match value {
                ZclValue::List(items) => items.get(usize::from(at)).map(|(_, value)| self.known(value)),
                ZclValue::None | ZclValue::Raw(_) => None,
            },
            ZigbeePart::Bytes(pick) => some_bytes(bytes_of(value)?, pick),
        }
    }

    /// A value of the kind that the mapping has.
    fn known(&self, value: &ZclValue) -> Result<Raw, DeviceFault> {
        let raw = match value {
            ZclValue::Raw(raw) => raw,
            ZclValue::None => return Err(DeviceFault::Invalid("the device has no reading".to_owned())),
            ZclValue::List(_) => return Err(unlike(self.kind)),
        };
        let is_number = |raw: &Raw| matches!(raw, Raw::Int(_) | Raw::Bool(_));
        let fits = match self.kind.raw_kind() {
            RawKind::Bool | RawKind::Int { .. } => is_number(raw),
            RawKind::F16 | RawKind::F32 | RawKind::F64 => {
                is_number(raw) || matches!(raw, Raw::F16(_) | Raw::F32(_) | Raw::F64(_))
            }
            RawKind::Text(_) => matches!(raw, Raw::Text(_)),
            _ => matches!(raw, Raw::Bytes(_) | Raw::Text(_)),
        };
        if fits { Ok(raw.clone()) } else { Err(unlike(self.kind)) }
    }

    fn described(&self, cluster: u16, manufacturer: Option<u16>) -> String {
        let name = clusters::attribute_shown(cluster, self.id, manufacturer);
        let part = match self.part {
            ZigbeePart::Whole => String::new(),
            ZigbeePart::Tag(tag) => format!(" tag 0x{tag:02x}"),
            ZigbeePart::Element(at) => format!(" element {at}"),
            ZigbeePart::Bytes(pick) => format!(" {}", Pick::Bytes(pick)),
        };
        let told = self.told.as_ref().map_or(String::new(), |told| format!(" or {}", told.described()));
        format!("{name} (0x{:04x}, {}){part}{told}", self.id, self.kind)
    }
}

/// The bytes of a string, whichever it is.
fn bytes_of(value: &ZclValue) -> Option<&[u8]> {
    match value {
        ZclValue::Raw(Raw::Text(text)) => Some(text.as_bytes()),
        ZclValue::Raw(Raw::Bytes(bytes)) => Some(bytes),
        ZclValue::Raw(_) | ZclValue::None | ZclValue::List(_) => None,
    }
}

/// What follows a tag in a list of tag, type and value; `None`: the tag is not there.
fn tagged(mut bytes: &[u8], wanted: u8) -> Option<Result<ZclValue, DeviceFault>> {
    while let [tag, kind, rest @ ..] = bytes {
        let kind = ZclType::of(*kind)?;
        bytes = rest;
        match take(kind, &mut bytes) {
            Ok(value) if *tag == wanted => return Some(Ok(value)),
            Ok(_) => {}
            Err(fault) => return (*tag == wanted).then_some(Err(fault)),
        }
    }
    None
}

fn some_bytes(bytes: &[u8], pick: BytesPick) -> Option<Result<Raw, DeviceFault>> {
    Body::new(bytes, None).take(&Pick::Bytes(pick)).transpose()
}

fn unlike(kind: ZclType) -> DeviceFault {
    DeviceFault::Garbled(format!("another type of value where {kind} was expected"))
}

impl ZigbeeHeard {
    fn raw_kind(&self) -> RawKind {
        match &self.pick {
            ZigbeePick::Name => RawKind::Text(64),
            ZigbeePick::Field(_, kind) => kind.raw_kind(),
            ZigbeePick::Bytes(pick) => pick.raw_kind(),
        }
    }

    /// What a command of the cluster says; `None`: it is another one.
    fn take(&self, frame: &Frame) -> Option<Result<Raw, DeviceFault>> {
        let from_server = frame.direction == Direction::ToClient;
        if self.from_server.is_some_and(|wanted| wanted != from_server) {
            return None;
        }
        let (_, name) = self.commands.iter().find(|(id, _)| *id == frame.command)?;
        match &self.pick {
            ZigbeePick::Name => Some(Ok(Raw::Text(name.clone()))),
            ZigbeePick::Bytes(pick) => some_bytes(&frame.payload, *pick),
            ZigbeePick::Field(before, kind) => Some(field(before, *kind, &frame.payload)),
        }
    }

    fn described(&self) -> String {
        let names: Vec<&str> = self.commands.iter().map(|(_, name)| name.as_str()).collect();
        let what = match &self.pick {
            ZigbeePick::Name => String::new(),
            ZigbeePick::Field(before, kind) => format!(" field {} ({kind})", before.len() + 1),
            ZigbeePick::Bytes(pick) => format!(" {}", Pick::Bytes(*pick)),
        };
        format!("command {}{what}", names.join(", "))
    }
}

fn field(before: &[ZclType], kind: ZclType, payload: &[u8]) -> Result<Raw, DeviceFault> {
    let mut rest = payload;
    for kind in before {
        take(*kind, &mut rest)?;
    }
    match take(kind, &mut rest)? {
        ZclValue::Raw(raw) => Ok(raw),
        ZclValue::None => Err(DeviceFault::Invalid("the device has no reading".to_owned())),
        ZclValue::List(_) => Err(unlike(kind)),
    }
}
