//! Any device that a mapping draft describes: it has the values of the draft's tests, and does what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use usp_mapping::draft::{
    At, CapabilityDraft, LinePlaceDraft, MapDraft, MappingDraft, MessagePlace, PointDraft,
};
use usp_mapping::line::{LineText, Piece};
use usp_mapping::mapping::Class;
use usp_mapping::transform::MapTarget;

use super::frames::{Frames, find};
use super::{LineDevice, flipped};

/// Why a draft makes no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappedLineError {
    /// It is of another protocol.
    #[error("the mapping has no `line`")]
    NoLine,
}

/// A device of a mapping.
pub struct MappedLine {
    frames: Frames,
    requests: Frames,
    /// What it says to each request: bodies without the start of a request, and with that of a frame.
    replies: Replies,
    /// What it says by itself.
    told: Vec<Vec<u8>>,
    rows: Vec<Row>,
    refusal: Option<Vec<u8>>,
    every: Option<Duration>,
    changed: bool,
    /// Replies and what is told as they were at first.
    first: (Replies, Vec<Vec<u8>>),
}

/// What is said to each request.
type Replies = BTreeMap<Vec<u8>, Vec<u8>>;

/// A capability.
struct Row {
    id: String,
    class: Class,
    read: Option<Place>,
    write: Option<Place>,
    ack: Option<LineText>,
    unasked: bool,
    /// What was set of what cannot be read.
    held: Option<String>,
}

/// Where a value is, and what it means.
#[derive(Clone)]
struct Place {
    send: Option<LineText>,
    says: Option<LineText>,
    find: Option<LineText>,
    /// First byte, bytes, and whether the least significant comes first.
    bytes: Option<(usize, usize, bool)>,
    hex: bool,
    digits: usize,
    map: Option<MapDraft>,
    scale: Decimal,
    offset: Decimal,
    invert: bool,
}

fn place(point: &PointDraft) -> Option<(Place, &LinePlaceDraft)> {
    let message = point.message.as_ref()?;
    let MessagePlace::Line(line) = &message.place else { return None };
    let width = message.body.kind.map_or(1, |kind| match kind.value {
        usp_mapping::draft::AsDraft::Unsigned(bytes) | usp_mapping::draft::AsDraft::Signed(bytes) => bytes,
        _ => 1,
    });
    let little = message.body.little_endian.is_some_and(|order| order.value);
    let bytes = message.body.form.as_ref().and_then(|form| match form.value {
        usp_mapping::draft::FormDraft::Bytes(at) => Some((usize::from(at), usize::from(width), little)),
        _ => None,
    });
    let text = |text: &Option<At<LineText>>| text.as_ref().map(|text| text.value.clone());
    let number = |number: Option<At<Decimal>>, usual| number.map_or(usual, |at| at.value);
    let place = Place {
        send: text(&line.send),
        says: text(&line.says),
        find: text(&line.find),
        bytes,
        hex: line.base.is_some_and(|base| base.value == 16),
        digits: line.digits.map_or(0, |digits| usize::from(digits.value)),
        map: point.map.clone(),
        scale: number(point.scale, Decimal::ONE),
        offset: number(point.offset, Decimal::ZERO),
        invert: point.invert.is_some_and(|invert| invert.value),
    };
    Some((place, line))
}

impl MappedLine {
    /// A device with the values of the tests of its mapping; of several the first of each.
    ///
    /// Errors: the draft is of another protocol.
    pub fn from_draft(draft: &MappingDraft) -> Result<Self, MappedLineError> {
        let line = &draft.line;
        line.span.ok_or(MappedLineError::NoLine)?;
        let frames = Frames::of(&line.frames);
        let requests = line.request.as_ref().map_or_else(|| frames.clone(), Frames::of);
        let rows = draft.capabilities.iter().filter_map(|cap| row(draft, cap)).collect();
        let mut device = Self {
            frames,
            requests,
            replies: BTreeMap::new(),
            told: Vec::new(),
            rows,
            refusal: line.refusals.first().map(|refusal| said(&refusal.value, b"0")),
            every: line.every.map(|every| every.value),
            changed: true,
            first: (BTreeMap::new(), Vec::new()),
        };
        // Tests with other parameters are about other devices, and those without a value about what is none.
        for test in draft.tests.iter().filter(|test| test.params.is_empty() && !test.expect.is_empty()) {
            for heard in &test.holds.said {
                device.learn(&heard.place.value, &heard.body.value);
            }
        }
        device.first = (device.replies.clone(), device.told.clone());
        Ok(device)
    }

    fn learn(&mut self, request: &str, bytes: &[u8]) {
        let Some(body) = self.frames.body(bytes) else { return };
        if request.is_empty() {
            let reads = |row: &Row, body: &[u8]| {
                let read = row.read.as_ref().filter(|read| read.send.is_none());
                read.is_some_and(|read| read.within(body).is_some())
            };
            let is_new = |row: &Row| reads(row, &body) && !self.told.iter().any(|told| reads(row, told));
            if self.rows.iter().any(is_new) {
                self.told.push(body);
            }
            return;
        }
        let asked = self.rows.iter().filter_map(|row| row.read.as_ref()?.send.clone());
        let asked: Vec<Vec<u8>> = asked.map(|send| send.filled(&[])).collect();
        let digits =
            |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let named = |send: &&Vec<u8>| {
            let wire = self.requests.request(send);
            let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
            [text(send), text(&wire), digits(send), digits(&wire)].iter().any(|name| name == request)
        };
        let is_refusal =
            self.refusal.as_ref().is_some_and(|refusal| find(&body, refusal.trim_ascii()).is_some());
        if let Some(send) = asked.iter().find(named).filter(|_| !is_refusal || body.contains(&b'=')) {
            self.replies.entry(send.clone()).or_insert(body);
        }
    }

    /// The frame that a capability is read from.
    fn frame(&self, row: &Row) -> Option<&[u8]> {
        let read = row.read.as_ref()?;
        if let Some(send) = &read.send {
            let reply = self.replies.get(&send.filled(&[]));
            return reply.map(Vec::as_slice);
        }
        self.told.iter().find(|body| read.within(body).is_some()).map(Vec::as_slice)
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == name)
    }

    /// Puts raw digits or bytes where a capability is read.
    fn put(&mut self, name: &str, raw: &[u8]) -> Result<(), String> {
        let row = self.row(name).ok_or_else(|| format!("there is no {name}"))?;
        let Some(read) = row.read.clone() else {
            let raw = raw.to_vec();
            let held = raw.iter().map(|byte| char::from(*byte)).collect();
            if let Some(row) = self.rows.iter_mut().find(|row| row.id == name) {
                row.held = Some(held);
            }
            return Ok(());
        };
        let unasked = row.unasked || read.send.is_none();
        let body = self.frame(row).map_or_else(|| read.blank(), <[u8]>::to_vec);
        let (from, to) = read.within(&body).ok_or_else(|| format!("{name} is said nowhere"))?;
        let new = [body.get(..from).unwrap_or_default(), raw, body.get(to..).unwrap_or_default()].concat();
        match &read.send {
            Some(send) => drop(self.replies.insert(send.filled(&[]), new.clone())),
            None => {
                for told in self.told.iter_mut().filter(|told| **told == body) {
                    *told = new.clone();
                }
            }
        }
        if unasked && read.send.is_some() {
            self.told = vec![new];
        }
        self.changed |= unasked;
        Ok(())
    }
}

fn row(draft: &MappingDraft, cap: &CapabilityDraft) -> Option<Row> {
    let class = cap.class?.value;
    let read = cap.read.as_ref().and_then(|read| place(&read.point));
    let write = cap.write.as_ref().and_then(|write| Some((place(&write.point)?, write.point.has_meaning())));
    let unasked = read.as_ref().and_then(|(_, line)| line.unasked).is_some_and(|unasked| unasked.value);
    let ack = write.as_ref().and_then(|((_, line), _)| match &line.ack {
        Some(ack) => ack.value.clone(),
        None => draft.line.ack.as_ref().map(|ack| ack.value.clone()),
    });
    let read = read.map(|(place, _)| place);
    let write = write.map(|((place, _), has_meaning)| match &read {
        Some(read) if !has_meaning => Place {
            map: read.map.clone(),
            scale: read.scale,
            offset: read.offset,
            invert: read.invert,
            ..place
        },
        _ => place,
    });
    Some(Row { id: cap.id.value.clone(), class, read, write, ack, unasked, held: None })
}

/// What is said for a pattern, with this for the value and nothing for anything.
fn said(text: &LineText, value: &[u8]) -> Vec<u8> {
    text.filled(value)
}

impl Place {
    /// From where to where the value is in a frame.
    fn within(&self, frame: &[u8]) -> Option<(usize, usize)> {
        if let Some((at, count, _)) = self.bytes {
            let is_it = self.says.as_ref().is_none_or(|says| begins(says, frame));
            return (is_it && frame.len() >= at + count).then_some((at, at + count));
        }
        let text = self.find.as_ref().or(self.says.as_ref().filter(|says| says.has_value()))?;
        (0..frame.len()).find_map(|from| place_in(&text.pieces, frame, from))
    }

    /// A frame that has never been said.
    fn blank(&self) -> Vec<u8> {
        self.says.as_ref().map(|says| says.filled(b"0")).unwrap_or_default()
    }

    /// A value as its digits or bytes.
    fn raw(&self, class: Class, value: &str) -> Result<Vec<u8>, String> {
        let wrong = || format!("{value:?} cannot be said");
        let is = |target: &MapTarget| match target {
            MapTarget::Bool(flag) => (*flag != self.invert).to_string() == value,
            MapTarget::Text(text) => text == value,
        };
        if let Some(map) = &self.map {
            let text =
                map.texts.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| raw.value.clone());
            if let Some(text) = text {
                return Ok(text.into_bytes());
            }
            let number = map.entries.iter().find(|(_, target)| is(&target.value)).map(|(raw, _)| raw.value);
            return match number {
                Some(number) => Ok(self.number(number)),
                // Anything that the map does not have.
                None if map.default.as_ref().is_some_and(|target| is(&target.value)) => Ok(b"?".to_vec()),
                None => Err(wrong()),
            };
        }
        match class {
            Class::LevelControl | Class::LevelSensor => {
                let value: Decimal = value.parse().map_err(|_| wrong())?;
                let raw = ((value - self.offset) / self.scale).normalize();
                match (self.hex || self.bytes.is_some(), i128::try_from(raw)) {
                    (true, Ok(raw)) => Ok(self.number(raw)),
                    (true, Err(_)) => Err(wrong()),
                    (false, _) => Ok(raw.to_string().into_bytes()),
                }
            }
            Class::BlobSensor => {
                let bytes = unbase64(value).ok_or_else(wrong)?;
                Ok(if self.hex {
                    bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
                } else {
                    bytes
                })
            }
            _ => Ok(value.as_bytes().to_vec()),
        }
    }

    fn number(&self, number: i128) -> Vec<u8> {
        if let Some((_, count, little)) = self.bytes {
            let bytes = number.to_be_bytes();
            let mut some = bytes.get(bytes.len().saturating_sub(count)..).unwrap_or_default().to_vec();
            if little {
                some.reverse();
            }
            return some;
        }
        let digits = self.digits;
        if self.hex {
            format!("{number:0digits$x}").into_bytes()
        } else {
            format!("{number:0digits$}").into_bytes()
        }
    }

    /// What digits or bytes stand for.
    fn value(&self, class: Class, raw: &[u8]) -> Option<String> {
        let text: String = raw.trim_ascii().iter().map(|byte| char::from(*byte)).collect();
        let number = || {
            if self.bytes.is_some() || self.send.as_ref().is_some_and(|send| send.hex && send.has_value()) {
                Some(raw.iter().fold(0i128, |number, byte| number << 8 | i128::from(*byte)))
            } else if self.hex {
                i128::from_str_radix(&text, 16).ok()
            } else {
                text.parse().ok()
            }
        };
        let shown = |target: &MapTarget| match target {
            MapTarget::Bool(flag) => (*flag != self.invert).to_string(),
            MapTarget::Text(text) => text.clone(),
        };
        if let Some(map) = &self.map {
            let named = map.texts.iter().find(|(known, _)| known.value == text).map(|(_, target)| target);
            let numbered = || {
                let number = number()?;
                map.entries.iter().find(|(known, _)| known.value == number).map(|(_, target)| target)
            };
            return named.or_else(numbered).or(map.default.as_ref()).map(|target| shown(&target.value));
        }
        match class {
            Class::LevelControl | Class::LevelSensor => {
                let raw = if self.hex || self.bytes.is_some() {
                    Decimal::try_from_i128_with_scale(number()?, 0).ok()?
                } else {
                    text.parse().ok()?
                };
                Some((raw * self.scale + self.offset).normalize().to_string())
            }
            _ => Some(text),
        }
    }
}

/// Whether a frame is like what comes before the first place of a pattern.
fn begins(text: &LineText, frame: &[u8]) -> bool {
    match text.pieces.first() {
        Some(Piece::Bytes(bytes)) => frame.starts_with(bytes),
        _ => true,
    }
}

/// From where to where the value is, where these pieces stand at this place.
fn place_in(pieces: &[Piece], frame: &[u8], from: usize) -> Option<(usize, usize)> {
    let (mut at, mut found) = (from, None);
    for (number, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Bytes(bytes) => {
                frame.get(at..)?.starts_with(bytes).then_some(())?;
                at += bytes.len();
            }
            Piece::Value | Piece::Any => {
                let rest = frame.get(at..)?;
                let line = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
                let length = match pieces.get(number + 1) {
                    Some(Piece::Bytes(next)) => find(rest, next).filter(|length| *length <= line)?,
                    _ => line,
                };
                if *piece == Piece::Value {
                    found = Some((at, at + length));
                }
                at += length;
            }
        }
    }
    found
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let place = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | place(byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

impl LineDevice for MappedLine {
    fn request(&mut self, heard: &mut Vec<u8>) -> Option<Vec<u8>> {
        let known: Vec<Vec<u8>> = self.replies.keys().cloned().collect();
        self.requests.next(heard, &known)
    }

    fn answer(&mut self, request: &[u8], frozen: bool) -> Option<Vec<u8>> {
        if let Some(reply) = self.replies.get(request) {
            return Some(self.frames.whole(reply));
        }
        let written = self.rows.iter().find_map(|row| {
            let write = row.write.as_ref()?;
            let send = write.send.as_ref()?;
            let value = match send.has_value() {
                true => place_in(&send.pieces, request, 0)
                    .filter(|(_, to)| request.len() - to == tail(send))
                    .map(|(from, to)| request.get(from..to).unwrap_or_default().to_vec()),
                false => (send.filled(&[]) == request).then(Vec::new),
            }?;
            Some((row.id.clone(), row.class, write.clone(), row.ack.clone(), value))
        });
        let Some((id, class, write, ack, raw)) = written else {
            return self.refusal.as_ref().map(|refusal| self.frames.whole(refusal));
        };
        if !frozen && let Some(value) = write.value(class, &raw) {
            let read = self.row(&id).and_then(|row| row.read.clone());
            let raw = read.map_or(Ok(value.clone().into_bytes()), |read| read.raw(class, &value));
            if let Ok(raw) = raw {
                // What cannot be said stays as it was.
                self.put(&id, &raw).ok();
            }
        }
        ack.map(|ack| self.frames.whole(&said(&ack, &raw)))
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        self.refusal.as_ref().map(|refusal| self.frames.whole(refusal))
    }

    fn every(&self) -> Option<Duration> {
        // What is told when it changes is told soon.
        self.every.or_else(|| self.rows.iter().any(|row| row.unasked).then_some(Duration::from_millis(20)))
    }

    fn telegrams(&mut self, _: Duration) -> Vec<Vec<u8>> {
        let tells = self.every.is_some() || std::mem::take(&mut self.changed);
        let told = if tells { self.told.as_slice() } else { &[] };
        told.iter().map(|body| self.frames.whole(body)).collect()
    }

    fn spoiled(&self, frame: Vec<u8>) -> Vec<u8> {
        flipped(frame)
    }

    fn reboot(&mut self) {
        (self.replies, self.told) = self.first.clone();
    }

    fn get(&self, name: &str) -> Option<String> {
        let row = self.row(name)?;
        let Some(read) = &row.read else { return row.held.clone() };
        let frame = self.frame(row)?;
        let (from, to) = read.within(frame)?;
        read.value(row.class, frame.get(from..to)?)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let row = self.row(name).ok_or_else(|| format!("there is no {name}"))?;
        let raw = match &row.read {
            Some(read) => read.raw(row.class, value)?,
            None => value.as_bytes().to_vec(),
        };
        self.put(name, &raw)
    }

    fn names(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.id.clone()).collect()
    }
}

/// How many bytes stand behind the value.
fn tail(text: &LineText) -> usize {
    match text.pieces.last() {
        Some(Piece::Bytes(bytes)) => bytes.len(),
        _ => 0,
    }
}
