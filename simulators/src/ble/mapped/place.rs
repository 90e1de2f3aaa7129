//! Where a value of a mapping is in the bytes of an advertisement or a characteristic.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use usp_mapping::ble::BlePlaceDraft;
use usp_mapping::draft::{AsDraft, At, BodyDraft, FormDraft, MapDraft, MessagePlace, PointDraft};
use usp_mapping::line::{LineText, Piece};
use usp_mapping::mapping::Class;
use usp_mapping::transform::MapTarget;

use crate::ble::objects;
use crate::ble::uuid::Uuid;

/// What is advertised or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    ServiceData(Uuid),
    Manufacturer(u16),
    /// A characteristic, and its service if the mapping says it.
    Char(Option<Uuid>, Uuid),
}

/// What the value is in it.
#[derive(Clone, Debug)]
enum Pick {
    /// An object by its name or number; 1 is the first of several.
    Bthome(String, usize),
    Bytes(Span),
}

/// Some of the bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    /// `None`: all up to the end.
    count: Option<usize>,
    little: bool,
    bits: Option<(u8, u8)>,
    kind: AsDraft,
}

/// What a device says of what was written to it.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    /// Where.
    pub(super) at: (Option<Uuid>, Uuid),
    done: Vec<u8>,
    refused: Option<Vec<u8>>,
}

impl Spoken {
    /// That it was done or, as far as the mapping knows how that is said, that it was not.
    pub(super) fn of(&self, done: bool) -> &[u8] {
        self.refused.as_deref().filter(|_| !done).unwrap_or(&self.done)
    }
}

/// Where a value is, and what it means.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) source: Source,
    starts: Vec<Option<u8>>,
    size: Option<u16>,
    pick: Pick,
    /// What is written, with the value in it.
    pub(super) template: Option<LineText>,
    /// What is written, and where, so that the device tells the value.
    pub(super) ask: Option<(Uuid, Vec<u8>)>,
    /// What is told when it was written.
    pub(super) answer: Option<Spoken>,
    map: Option<MapDraft>,
    scale: Decimal,
    offset: Decimal,
    invert: bool,
}

/// The place of a point; `None`: it has none that a device could hold, such as the strength of its signal.
pub(super) fn place(point: &PointDraft) -> Option<Place> {
    let message = point.message.as_ref()?;
    let MessagePlace::Ble(ble) = &message.place else { return None };
    let uuid = |uuid: usp_mapping::ble::BleUuid| Uuid::new(uuid.0);
    let source = if ble.bthome.is_some() {
        Source::ServiceData(crate::ble::bthome::SERVICE)
    } else if let Some(at) = ble.service_data {
        Source::ServiceData(uuid(at.value))
    } else if let Some(at) = ble.manufacturer {
        Source::Manufacturer(at.value)
    } else {
        Source::Char(ble.service.map(|at| uuid(at.value)), uuid(ble.char?.value))
    };
    let pick = match &ble.bthome {
        Some(object) => {
            // It is written as the mapping has it: `bthome temperature`, perhaps with a number in brackets.
            let text = object.value.to_string();
            let name = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
            Pick::Bthome(name, ble.nth.map_or(1, |at| usize::from(at.value)))
        }
        None => Pick::Bytes(span(&message.body)),
    };
    let number = |number: Option<At<Decimal>>, usual| number.map_or(usual, |at| at.value);
    Some(Place {
        source,
        starts: ble.starts.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        size: ble.size.map(|at| at.value),
        pick,
        template: ble.send.as_ref().map(|at| at.value.clone()),
        answer: spoken(ble, source),
        ask: ble.ask.as_ref().map(|at| (uuid(at.value.char), at.value.send.clone())),
        map: point.map.clone(),
        scale: number(point.scale, Decimal::ONE),
        offset: number(point.offset, Decimal::ZERO),
        invert: point.invert.is_some_and(|at| at.value),
    })
}

fn spoken(ble: &BlePlaceDraft, written: Source) -> Option<Spoken> {
    let answer = &ble.answer.as_ref()?.value;
    let bytes = |starts: &Vec<Option<u8>>| starts.iter().map(|byte| byte.unwrap_or(0xee)).collect();
    let uuid = |uuid: usp_mapping::ble::BleUuid| Uuid::new(uuid.0);
    let at = match (answer.char, written) {
        (Some(char), _) => (answer.service.map(uuid), uuid(char)),
        (None, Source::Char(service, char)) => (service, char),
        (None, _) => return None,
    };
    let refused = answer.refusals.first().map(|(starts, _)| bytes(starts));
    Some(Spoken { at, done: bytes(&answer.starts), refused })
}

fn span(body: &BodyDraft) -> Span {
    let from = match body.form.as_ref().map(|at| &at.value) {
        Some(FormDraft::Bytes(at)) => usize::from(*at),
        _ => 0,
    };
    let kind = body.kind.map_or(AsDraft::Unsigned(1), |at| at.value);
    let count = match kind {
        AsDraft::Unsigned(count) | AsDraft::Signed(count) | AsDraft::Ieee(count) => Some(usize::from(count)),
        AsDraft::Bool => Some(1),
        _ => body.length.map(|at| usize::from(at.value)),
    };
    let little = body.little_endian.is_none_or(|at| at.value);
    Span { from, count, little, bits: body.bits.map(|at| at.value), kind }
}

impl Place {
    /// The same place with the meaning of another one.
    pub(super) fn meaning(self, other: &Self) -> Self {
        Self {
            map: other.map.clone(),
            scale: other.scale,
            offset: other.offset,
            invert: other.invert,
            ..self
        }
    }

    /// Whether a value is in these bytes.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        let begins = bytes.len() >= self.starts.len()
            && self.starts.iter().zip(bytes).all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == *is));
        let sized = self.size.is_none_or(|size| usize::from(size) == bytes.len());
        begins && sized && self.raw(bytes).is_some()
    }

    /// Bytes that say nothing yet.
    pub(super) fn blank(&self) -> Vec<u8> {
        match &self.pick {
            Pick::Bthome(name, _) => {
                let object = objects::blank(name).map(|object| objects::joined(&[object]));
                [vec![0x40], object.unwrap_or_default()].concat()
            }
            Pick::Bytes(span) => {
                let mut bytes: Vec<u8> = self.starts.iter().map(|byte| byte.unwrap_or_default()).collect();
                let length = self.size.map_or(span.from + span.count.unwrap_or(1), usize::from);
                bytes.resize(length.max(bytes.len()), 0);
                bytes
            }
        }
    }

    /// The value in these bytes, as a user of the device has it.
    pub(super) fn value(&self, class: Class, bytes: &[u8]) -> Option<String> {
        let raw = self.raw(bytes)?;
        self.meant(class, &raw)
    }

    /// What raw digits or a text mean.
    pub(super) fn meant(&self, class: Class, raw: &str) -> Option<String> {
        let shown = |target: &MapTarget| match target {
            MapTarget::Bool(flag) => (*flag != self.invert).to_string(),
            MapTarget::Text(text) => text.clone(),
        };
        if let Some(map) = &self.map {
            let named = map.texts.iter().find(|(known, _)| known.value == raw).map(|(_, target)| target);
            let numbered = || {
                let number: i128 = raw.parse().ok()?;
                map.entries.iter().find(|(known, _)| known.value == number).map(|(_, target)| target)
            };
            return named.or_else(numbered).or(map.default.as_ref()).map(|target| shown(&target.value));
        }
        Some(match class {
            Class::LevelControl | Class::LevelSensor => {
                (raw.parse::<Decimal>().ok()? * self.scale + self.offset).normalize().to_string()
            }
            Class::BinaryControl | Class::BinarySensor => ((raw != "0") != self.invert).to_string(),
            _ => raw.to_owned(),
        })
    }

    /// The raw digits or text of a value. Errors: it cannot be said.
    pub(super) fn said(&self, class: Class, value: &str) -> Result<String, String> {
        let wrong = || format!("{value:?} cannot be said");
        if let Some(map) = &self.map {
            let is = |target: &MapTarget| match target {
                MapTarget::Bool(flag) => (*flag != self.invert).to_string() == value,
                MapTarget::Text(text) => text == value,
            };
            let text =
                map.texts.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| raw.value.clone());
            let number = || {
                map.entries.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| raw.value.to_string())
            };
            return text.or_else(number).ok_or_else(wrong);
        }
        match class {
            Class::LevelControl | Class::LevelSensor => {
                let value: Decimal = value.parse().map_err(|_| wrong())?;
                let raw = (value - self.offset) / self.scale;
                Ok(if self.is_fine() { raw.normalize() } else { raw.round().normalize() }.to_string())
            }
            Class::BinaryControl | Class::BinarySensor => match value {
                "true" => Ok(u8::from(!self.invert).to_string()),
                "false" => Ok(u8::from(self.invert).to_string()),
                _ => Err(wrong()),
            },
            _ => Ok(value.to_owned()),
        }
    }

    /// Whether there is something behind the point of a raw number.
    fn is_fine(&self) -> bool {
        match &self.pick {
            Pick::Bthome(..) => true,
            Pick::Bytes(span) => matches!(span.kind, AsDraft::Ieee(_)),
        }
    }

    fn raw(&self, bytes: &[u8]) -> Option<String> {
        match &self.pick {
            Pick::Bthome(name, nth) => {
                let (info, rest) = bytes.split_first()?;
                (info & 1 == 0).then_some(())?;
                let all = objects::parted(rest);
                let (id, value) = all.iter().filter(|(id, _)| objects::is(*id, name)).nth(nth - 1)?;
                objects::value(*id, value)
            }
            Pick::Bytes(span) => span.raw(bytes),
        }
    }

    /// Puts raw digits or a text into these bytes. Errors: they do not fit.
    pub(super) fn put(&self, bytes: &[u8], raw: &str) -> Result<Vec<u8>, String> {
        let wrong = || format!("{raw} does not fit");
        match &self.pick {
            Pick::Bthome(name, nth) => {
                let (info, rest) = bytes.split_first().ok_or_else(wrong)?;
                let mut all = objects::parted(rest);
                let object = all.iter_mut().filter(|(id, _)| objects::is(*id, name)).nth(nth - 1);
                let (id, value) = object.ok_or_else(wrong)?;
                *value = objects::written(*id, raw).ok_or_else(wrong)?;
                Ok([vec![*info], objects::joined(&all)].concat())
            }
            Pick::Bytes(span) => span.put(bytes, raw).ok_or_else(wrong),
        }
    }

    /// The raw digits or text in bytes that were written; `None`: they are something else.
    pub(super) fn written(&self, bytes: &[u8]) -> Option<String> {
        let Some(template) = &self.template else { return self.raw(bytes) };
        let (before, after) = match template.pieces.as_slice() {
            [Piece::Value] => (&[][..], &[][..]),
            [Piece::Bytes(before), Piece::Value] => (before.as_slice(), &[][..]),
            [Piece::Value, Piece::Bytes(after)] => (&[][..], after.as_slice()),
            [Piece::Bytes(before), Piece::Value, Piece::Bytes(after)] => {
                (before.as_slice(), after.as_slice())
            }
            _ => return None,
        };
        let value = bytes.strip_prefix(before)?.strip_suffix(after)?;
        match &self.pick {
            Pick::Bytes(span) if template.hex => Span { from: 0, ..*span }.raw(value),
            _ => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        }
    }
}

impl Span {
    fn within(self, bytes: &[u8]) -> Option<&[u8]> {
        let to = self.count.map_or(bytes.len(), |count| self.from + count);
        bytes.get(self.from..to)
    }

    fn raw(self, bytes: &[u8]) -> Option<String> {
        let bytes = self.within(bytes)?;
        match self.kind {
            AsDraft::Text => return Some(String::from_utf8_lossy(bytes).into_owned()),
            AsDraft::Raw => return Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            AsDraft::Ieee(4) => {
                let bytes: [u8; 4] = self.ordered(bytes).try_into().ok()?;
                return Some(f32::from_be_bytes(bytes).to_string());
            }
            AsDraft::Ieee(8) => {
                let bytes: [u8; 8] = self.ordered(bytes).try_into().ok()?;
                return Some(f64::from_be_bytes(bytes).to_string());
            }
            _ => {}
        }
        let all = self.ordered(bytes).into_iter().fold(0_i128, |all, byte| all << 8 | i128::from(byte));
        let (number, width) = match self.bits {
            Some((first, last)) => {
                let width = u32::from(last - first) + 1;
                (all >> first & ((1 << width) - 1), width)
            }
            None => (all, u32::try_from(bytes.len()).ok()? * 8),
        };
        let negative = matches!(self.kind, AsDraft::Signed(_)) && number >= 1 << (width - 1);
        Some(if negative { number - (1 << width) } else { number }.to_string())
    }

    /// The most significant byte first.
    fn ordered(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if self.little {
            bytes.reverse();
        }
        bytes
    }

    fn put(self, bytes: &[u8], raw: &str) -> Option<Vec<u8>> {
        let old = self.within(bytes)?;
        let new = match self.kind {
            AsDraft::Text => raw.as_bytes().to_vec(),
            AsDraft::Raw => {
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                raw.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?
            }
            AsDraft::Ieee(4) => self.ordered(&raw.parse::<f32>().ok()?.to_be_bytes()),
            AsDraft::Ieee(8) => self.ordered(&raw.parse::<f64>().ok()?.to_be_bytes()),
            _ => self.number(old, raw)?,
        };
        Some([bytes.get(..self.from)?, &new, bytes.get(self.from + old.len()..)?].concat())
    }

    fn number(self, old: &[u8], raw: &str) -> Option<Vec<u8>> {
        let number = raw.parse::<Decimal>().ok()?.to_i128()?;
        let whole = u32::try_from(old.len()).ok()? * 8;
        let width = self.bits.map_or(whole, |(first, last)| u32::from(last - first) + 1);
        let signed = matches!(self.kind, AsDraft::Signed(_));
        let range = if signed { -(1 << (width - 1))..1 << (width - 1) } else { 0..1_i128 << width };
        if !range.contains(&number) {
            return None;
        }
        let all = self.ordered(old).into_iter().fold(0_i128, |all, byte| all << 8 | i128::from(byte));
        let first = self.bits.map_or(0, |(first, _)| first);
        let mask = ((1_i128 << width) - 1) << first;
        let all = all & !mask | (number << first & mask);
        let bytes = all.to_be_bytes();
        Some(self.ordered(bytes.get(bytes.len() - old.len()..)?))
    }
}
