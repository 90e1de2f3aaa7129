//! A device on a line as the bus sees it: pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::line::readable;
use usp_mapping::mapping::{
    Device, LineOptions, LineRead, Mapping, Protocol, ReadBinding, ReadPoint, WriteBinding, WritePoint,
};
use usp_mapping::port::{DeviceFault, DeviceId, Freshness, PointId, Reading, Readings};
use usp_mapping::transform::{Raw, RawKind, Transform};
use usp_mapping::value::Value;

use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};

use super::conversation::{Answer, Ask, Expect};
use super::device::Word;
use super::useless::Useless;

/// A device with what it has said so far.
#[derive(Debug)]
pub(crate) struct LineModel {
    id: DeviceId,
    mapping: Arc<Mapping>,
    options: Option<LineOptions>,
    /// What was last said of places that make a value only together.
    parts: BTreeMap<(PointId, usize), (Raw, Instant)>,
    /// What was last said unasked of each point, and when.
    last: BTreeMap<PointId, (Instant, Result<Value, DeviceFault>)>,
    /// The numbers that only grow, as far as they were read.
    counters: Counters,
    /// What was said since it was understood last, and is of no use.
    useless: Useless,
}

/// The places of a point.
fn places(mapping: &Mapping, point: PointId) -> impl Iterator<Item = &LineRead> {
    let read = mapping.point(point).and_then(|point| point.read);
    read.into_iter().flat_map(ReadBinding::places).filter_map(|place| match place {
        ReadPoint::Line(read) => Some(read),
        _ => None,
    })
}

/// Whether a frame that nobody asked for says something of a device of this model.
pub(super) fn hears(mapping: &Mapping, frame: &[u8]) -> bool {
    let points = mapping.points().map(|point| point.id);
    points
        .into_iter()
        .any(|point| places(mapping, point).any(|place| place.is_heard() && place.take(frame).is_some()))
}

/// Which frames a reading is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From<'a> {
    /// An answer to this request.
    Answer(&'a [u8]),
    /// What was said unasked.
    Unasked,
}

impl From<'_> {
    fn is_of(self, place: &LineRead) -> bool {
        match self {
            Self::Answer(request) => place.ask.as_ref().is_some_and(|ask| ask.wire == request),
            Self::Unasked => place.is_heard(),
        }
    }
}

impl LineModel {
    fn timeout(&self) -> Duration {
        self.options.as_ref().map_or(Duration::from_secs(1), |options| options.timeout)
    }

    fn pause(&self) -> Duration {
        self.options.as_ref().map_or(Duration::ZERO, |options| options.pause)
    }

    /// What a frame says of a point; it is as old as the oldest of its parts. `None`: nothing.
    fn reading(&mut self, now: Instant, id: PointId, frame: &[u8], from: From<'_>) -> Option<Reading> {
        let mapping = Arc::clone(&self.mapping);
        let point = mapping.point(id)?;
        let (read, class) = (point.read?, point.class);
        let single = places(&mapping, id).count() == 1;
        let (mut at, mut told, mut lacks, mut oldest) = (0, false, false, now);
        let value = read.decode(class, |place| {
            let ReadPoint::Line(place) = place else { return Err(DeviceFault::Unknown) };
            at += 1;
            let taken = if from.is_of(place) { place.take(frame) } else { None };
            match taken {
                Some(raw) => {
                    told = true;
                    if let (Ok(raw), false) = (&raw, single) {
                        self.parts.insert((id, at), (raw.clone(), now));
                    }
                    raw
                }
                None => {
                    let known = self.parts.get(&(id, at)).cloned();
                    lacks |= known.is_none();
                    let (raw, said_at) = known.ok_or(DeviceFault::Unknown)?;
                    oldest = oldest.min(said_at);
                    Ok(raw)
                }
            }
        });
        if !told || lacks && value == Err(DeviceFault::Unknown) {
            return None;
        }
        let result = self.counters.grown(&mapping, now, id, value);
        let age = Some(now.saturating_duration_since(oldest));
        Some(Reading { point: id, result, freshness: Freshness { contact: true, age } })
    }

    fn readings(&mut self, now: Instant, points: &[PointId], frame: &[u8], from: From<'_>) -> Readings {
        points.iter().filter_map(|point| self.reading(now, *point, frame, from)).collect()
    }

    /// One request for each question and what its answer is like, in the order of the points.
    fn requests(&self, points: &[PointId]) -> Vec<Ask> {
        let mut asks: Vec<(&LineRead, Vec<PointId>)> = Vec::new();
        for point in points {
            for place in places(&self.mapping, *point).filter(|place| place.ask.is_some()) {
                let same = |(known, _): &&mut (&LineRead, Vec<PointId>)| {
                    known.ask == place.ask && known.says == place.says
                };
                match asks.iter_mut().find(same) {
                    Some((_, points)) if points.last() == Some(point) => {}
                    Some((_, points)) => points.push(*point),
                    None => asks.push((place, vec![*point])),
                }
            }
        }
        asks.into_iter().filter_map(|(place, points)| self.request(place, points)).collect()
    }

    fn request(&self, place: &LineRead, points: Vec<PointId>) -> Option<Ask> {
        Some(Ask {
            device: self.id.clone(),
            request: place.ask.clone()?,
            expect: Expect::Reading(Box::new(place.clone())),
            timeout: self.timeout(),
            pause: self.pause(),
            points,
        })
    }

    fn write_binding(&self, point: PointId) -> Result<&WriteBinding, DeviceFault> {
        let capability = self.mapping.model(point).ok_or(DeviceFault::Unknown)?;
        let unwritable = || DeviceFault::Unwritable("the mapping has no way to write it".to_owned());
        capability.write.as_ref().ok_or_else(unwritable)
    }

    /// Where something is written, and how.
    fn place(&self, target: Target) -> Result<(&WritePoint, &Transform), DeviceFault> {
        match target {
            Target::Point(point) => {
                self.write_binding(point).map(|binding| (&binding.point, &binding.transform))
            }
            Target::Step(command, step) => {
                let command = self.mapping.commands.get(usize::from(command.0));
                let step = command.and_then(|command| command.steps.get(step)).ok_or(DeviceFault::Unknown)?;
                Ok((&step.point, &step.transform))
            }
        }
    }

    fn all_points(&self) -> Vec<PointId> {
        self.mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect()
    }

    fn can_be_asked(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(|place| place.ask.is_some())
    }
}

fn faults(points: &[PointId], fault: &DeviceFault) -> Readings {
    points.iter().map(|point| Reading::now(*point, Err(fault.clone()))).collect()
}

impl Model for LineModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Word;

    fn new(device: &Device) -> Self {
        let options = match &device.mapping.protocol {
            Protocol::Line(options) => Some(options.clone()),
            // A site puts no other device on a line.
            _ => None,
        };
        Self {
            id: device.id.clone(),
            mapping: Arc::clone(&device.mapping),
            options,
            parts: BTreeMap::new(),
            last: BTreeMap::new(),
            counters: Counters::default(),
            useless: Useless::default(),
        }
    }

    fn plan(&mut self, _: Instant, points: &[PointId]) -> Vec<Ask> {
        // What is asked for anew is made of new parts alone; what is only heard stays what was heard.
        let mapping = Arc::clone(&self.mapping);
        let is_asked =
            |point, at: usize| places(&mapping, point).nth(at - 1).is_some_and(|place| place.ask.is_some());
        self.parts.retain(|(point, at), _| !(points.contains(point) && is_asked(*point, *at)));
        self.requests(points)
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        ask.points.clone()
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let readings = match answer {
            Answer::Said(frame) => {
                let mut readings = self.readings(now, &ask.points, &frame, From::Answer(&ask.request.wire));
                for point in &ask.points {
                    let partial = places(&self.mapping, *point).count() > 1;
                    if !partial && !readings.iter().any(|known| known.point == *point) {
                        let fault = DeviceFault::Garbled("its answer does not have the value".to_owned());
                        readings.push(Reading::now(*point, Err(fault)));
                    }
                }
                readings
            }
            Answer::Refused(words) => faults(&ask.points, &DeviceFault::Refused(words)),
            Answer::Sent => Vec::new(),
        };
        Understood { readings, again: Vec::new() }
    }

    fn unanswered(&mut self, _: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        Understood { readings: faults(&ask.points, fault), again: Vec::new() }
    }

    /// Another question, if there is one.
    fn sign_of_life(&self, ask: &Ask) -> Option<Ask> {
        self.requests(&self.all_points()).into_iter().find(|other| other.request != ask.request)
    }

    fn patience(&self, _: &Ask) -> u32 {
        2
    }

    fn rests(&self, _: Instant, _: PointId) -> bool {
        false
    }

    fn is_back(&mut self, _: Instant) {}

    fn write(&self, target: Target, value: &Value) -> Result<WriteStart<Ask>, DeviceFault> {
        let (place, transform) = self.place(target)?;
        let WritePoint::Line(place) = place else { return Err(DeviceFault::Unknown) };
        let (request, sent) = place.request(&transform.encode(value, place.form.kind)?)?;
        let expect = place.ack.clone().map_or(Expect::Nothing, |ack| Expect::Ack(ack, sent));
        let (device, timeout, pause) = (self.id.clone(), self.timeout(), self.pause());
        Ok(WriteStart::Send(Ask { device, request, expect, timeout, pause, points: Vec::new() }))
    }

    fn modify(&self, _: Target, _: &Value, _: Answer) -> Result<Ask, DeviceFault> {
        Err(DeviceFault::Unknown)
    }

    fn knows_better(&mut self, _: &Ask, _: &Answer) -> bool {
        false
    }

    fn acknowledge(&self, ask: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match (&ask.expect, answer) {
            (_, Answer::Refused(words)) => Err(DeviceFault::Refused(words)),
            (Expect::Ack(text, value), Answer::Said(frame)) => match text.matched(&frame) {
                Some(Some(shown)) if !shown.trim_ascii().eq_ignore_ascii_case(value.trim_ascii()) => {
                    let (wanted, shown) = (readable(value), readable(shown));
                    Err(DeviceFault::NotConfirmed { wanted, shown })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Refused(_))
    }

    /// What is written may be rounded to what a request carries, and what is read may be coarser than that.
    fn shows(&self, written: PointId, by: PointId, wanted: &Value, shown: &Value) -> bool {
        let class = self.mapping.point(by).map(|point| point.class);
        let settled = |transform: &Transform, kind: RawKind| {
            class.and_then(|class| transform.settled(wanted, kind, class).ok())
        };
        let sent = self.write_binding(written).ok();
        let sent = sent.and_then(|binding| settled(&binding.transform, binding.point.raw_kind()));
        let read = self.mapping.point(by).and_then(|it| it.read?.parts.first());
        let read = read.and_then(|part| settled(&part.transform, part.point.raw_kind()));
        wanted == shown || sent.as_ref() == Some(shown) || read.as_ref() == Some(shown)
    }

    fn reconnected(&mut self) {
        self.parts.clear();
    }

    fn hear(&mut self, now: Instant, word: Word) -> Heard {
        let frame = match word {
            Word::Frame(frame) => frame,
            Word::Nothing(patience) => {
                let seconds = patience.as_secs();
                let cause = match self.useless.told() {
                    None => format!("nothing was heard of it for {seconds} s"),
                    Some(why) => format!("nothing of use was heard of it for {seconds} s: {why}"),
                };
                return Heard { presence: Some(Err(cause)), ..Heard::default() };
            }
            Word::Useless(useless) => {
                self.useless = useless;
                return Heard::default();
            }
        };
        let readings = self.readings(now, &self.all_points(), &frame, From::Unasked);
        for Reading { point, result, freshness } in &readings {
            if !self.can_be_asked(*point) && self.mapping.event(*point).is_none() {
                let said_at = freshness.age.and_then(|age| now.checked_sub(age)).unwrap_or(now);
                self.last.insert(*point, (said_at, result.clone()));
            }
        }
        let live = !readings.is_empty();
        Heard { readings, live, ..Heard::default() }
    }

    fn tells(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(LineRead::is_heard)
    }

    /// What was said last of what cannot be asked.
    fn known(&self, now: Instant, point: PointId) -> Option<Reading> {
        if self.can_be_asked(point) || !self.tells(point) {
            return None;
        }
        let Some((said_at, result)) = self.last.get(&point) else {
            let why = self.useless.told().map(|why| format!(": {why}")).unwrap_or_default();
            let words = format!("it has not said this yet, and cannot be asked{why}");
            return Some(Reading::kept(point, Err(DeviceFault::Unreachable(words))));
        };
        let age = Some(now.saturating_duration_since(*said_at));
        let freshness = Freshness { contact: false, age };
        Some(Reading { point, result: result.clone(), freshness })
    }

    fn is_watched(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.every.is_some())
    }

    fn is_taciturn(&self) -> bool {
        !self.is_watched() && !self.all_points().iter().any(|point| self.can_be_asked(*point))
    }

    fn guard(&self) -> Duration {
        Duration::ZERO
    }

    fn turnaround(&self) -> Duration {
        Duration::ZERO
    }
}
