//! A device on MQTT as the bus sees it: pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use usp_mapping::mapping::{
    Device, DeviceAddress, Mapping, MqttAvailability, MqttOptions, MqttRead, MqttSend, Point, Protocol,
    ReadBinding, ReadPoint, WritePoint, filter_matches, on_device,
};
use usp_mapping::payload::{Body, Pick};
use usp_mapping::port::{DeviceFault, Freshness, PointId, Reading, Readings};
use usp_mapping::transform::{Raw, Transform};
use usp_mapping::value::{Value, decimal_text};

use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};

use super::board::{Publication, Said};
use super::topics::Filters;

/// One publication, and what is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) publication: Publication,
    /// How long the server may take for its acknowledgement, and the device for its answer.
    pub(crate) timeout: Duration,
    /// `None`: the server's acknowledgement is all.
    pub(crate) get: Option<Get>,
}

/// What answers a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Get {
    /// What was asked for.
    pub(crate) points: Vec<PointId>,
    /// Where each value is said, and what it is there.
    pub(crate) picks: Vec<(String, Pick)>,
}

/// What came of a publication.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The server has it.
    Taken,
    /// The server does not want it, and why.
    Refused(String),
    /// What the device said to it.
    Said(Said),
}

/// A device with what it has said so far.
#[derive(Debug)]
pub(crate) struct MqttModel {
    mapping: Arc<Mapping>,
    topic: String,
    options: MqttOptions,
    /// What was last said of places that make a value only together.
    parts: BTreeMap<(PointId, usize), (Raw, SaidAt)>,
    /// What was last said of each point, as a poll would read it.
    last: BTreeMap<PointId, (Result<Value, DeviceFault>, SaidAt)>,
    counters: Counters,
    /// What is said on each of the availability topics, and whether live; `None`: nothing so far.
    there: Vec<Option<(bool, bool)>>,
}

/// When the device itself was heard to say something, over this connection. `None`: the server has kept it, or it was said
/// over a former one, since when it may have said something else.
type SaidAt = Option<Instant>;

/// The older of two.
fn older(one: SaidAt, other: SaidAt) -> SaidAt {
    one.zip(other).map(|(one, other)| one.min(other))
}

/// How fresh is what was said then.
fn freshness(contact: bool, now: Instant, said_at: SaidAt) -> Freshness {
    Freshness { contact, age: said_at.map(|at| now.saturating_duration_since(at)) }
}

/// Everything that a device's worker has to hear.
pub(crate) fn filters(device: &Device) -> Filters {
    let (topic, options) = (topic_of(device), options_of(device));
    let places = device.mapping.points().flat_map(|point| places(point.read));
    let reads = places.map(|read| on_device(&read.topic, &topic));
    let said = options.availability.iter().map(|said| on_device(&said.topic, &topic));
    reads.chain(said).map(|filter| (filter, options.qos)).collect()
}

fn topic_of(device: &Device) -> String {
    match &device.address {
        DeviceAddress::MqttTopic(topic) => topic.clone(),
        // A site puts no other device on a server.
        _ => String::new(),
    }
}

fn options_of(device: &Device) -> MqttOptions {
    match &device.mapping.protocol {
        Protocol::Mqtt(options) => options.clone(),
        _ => MqttOptions::default(),
    }
}

fn places(read: Option<&ReadBinding>) -> impl Iterator<Item = &MqttRead> {
    read.into_iter().flat_map(ReadBinding::places).filter_map(|place| match place {
        ReadPoint::Mqtt(read) => Some(read),
        _ => None,
    })
}

/// Why a point brings nothing this time.
enum Nothing {
    /// The message does not have it.
    Unsaid,
    /// It has something that cannot be its value.
    Fault(DeviceFault),
}

impl MqttModel {
    /// What a message says of a point, and when the oldest part of that was said; `None`: nothing.
    fn reading(
        &mut self,
        point: PointId,
        heard: &Heeded<'_>,
    ) -> Option<(Result<Value, DeviceFault>, SaidAt)> {
        let mapping = Arc::clone(&self.mapping);
        let known = mapping.point(point)?;
        let (read, class) = (known.read?, known.class);
        let single = places(Some(read)).count() == 1;
        let mut of_it = (0..).zip(places(Some(read)));
        if !of_it.any(|(place, at)| self.counts((point, place), at, heard, single)) {
            return None;
        }
        let (mut unsaid, mut said_at) = (false, Some(heard.now));
        let value = read.decode(class, |at| {
            let ReadPoint::Mqtt(at) = at else { return Err(DeviceFault::Unknown) };
            let place = places(Some(read)).position(|place| place == at).unwrap_or_default();
            let found = self.raw((point, place), at, heard, single);
            let (raw, at) = found.map_err(|nothing| match nothing {
                Nothing::Unsaid => {
                    unsaid = true;
                    DeviceFault::Unknown
                }
                Nothing::Fault(fault) => fault,
            })?;
            said_at = older(said_at, at);
            Ok(raw)
        });
        // What a server has kept may be of before a reset, and of after one.
        let value = match heard.at {
            Some(now) => self.counters.grown(&mapping, now, point, value),
            None => value,
        };
        let said_at = if value.is_err() { heard.at } else { said_at };
        (!unsaid).then_some((value, said_at))
    }

    /// Whether a message says what is at a place: a server keeps nothing that is newer than what was heard since.
    fn counts(&self, key: (PointId, usize), at: &MqttRead, heard: &Heeded<'_>, single: bool) -> bool {
        let was_heard = || match single {
            true => self.last.get(&key.0).is_some_and(|(_, said_at)| said_at.is_some()),
            false => self.parts.get(&key).is_some_and(|(_, said_at)| said_at.is_some()),
        };
        self.means(&at.topic, heard.said) && (heard.at.is_some() || !was_heard())
    }

    /// What is at a place now: what the message says, else what was said there before.
    fn raw(
        &mut self,
        key: (PointId, usize),
        at: &MqttRead,
        heard: &Heeded<'_>,
        single: bool,
    ) -> Result<(Raw, SaidAt), Nothing> {
        let taken = if self.counts(key, at, heard, single) { heard.body.take(&at.pick) } else { Ok(None) };
        match taken.map_err(Nothing::Fault)? {
            Some(raw) => {
                if !single {
                    self.parts.insert(key, (raw.clone(), heard.at));
                }
                Ok((raw, heard.at))
            }
            None => self.parts.get(&key).cloned().ok_or(Nothing::Unsaid),
        }
    }

    fn means(&self, filter: &str, said: &Said) -> bool {
        filter_matches(&on_device(filter, &self.topic), &said.topic)
    }

    /// What the message says of whether the device is there; `None`: nothing.
    fn presence(&mut self, said: &Said, body: &Body<'_>) -> Option<Result<(), String>> {
        let mut is_told = false;
        for place in 0..self.options.availability.len() {
            let Some(about) = self.options.availability.get(place) else { continue };
            if !self.means(&about.topic, said) {
                continue;
            }
            if let (Some(state), Some(there)) = (state(about, body), self.there.get_mut(place))
                && (!said.kept || there.is_none_or(|(_, is_live)| !is_live))
            {
                *there = Some((state, !said.kept));
                is_told = true;
            }
        }
        if !is_told {
            return None;
        }
        let says = |there: &Option<(bool, bool)>| there.map(|(state, _)| state);
        if let Some(place) = self.there.iter().position(|there| says(there) == Some(false)) {
            let topic =
                self.options.availability.get(place).map(|about| on_device(&about.topic, &self.topic));
            return Some(Err(format!("it is said to be away on {}", topic.unwrap_or_default())));
        }
        self.there.iter().all(|there| says(there) == Some(true)).then_some(Ok(()))
    }

    fn publication(&self, topic: &str, body: Vec<u8>, qos: u8, retain: bool) -> Publication {
        Publication { topic: on_device(topic, &self.topic), body: Bytes::from(body), qos, retain }
    }

    /// What asks for points, and how; those that cannot be asked for are not there.
    fn gets(&self, points: &[PointId]) -> Vec<(MqttSend, Vec<PointId>)> {
        let mut gets: Vec<(MqttSend, Vec<PointId>)> = Vec::new();
        for point in points {
            let read = self.mapping.point(*point).and_then(|known| known.read);
            let Some(send) = places(read).find_map(|place| place.get.clone()) else { continue };
            match gets.iter_mut().find(|(known, _)| *known == send) {
                Some((_, points)) => points.push(*point),
                None => gets.push((send, vec![*point])),
            }
        }
        gets
    }

    fn get(&self, send: &MqttSend, points: Vec<PointId>) -> Option<Ask> {
        let body = send.put.constant().ok()?;
        let reads = points.iter().flat_map(|point| places(self.mapping.point(*point).and_then(|it| it.read)));
        let picks = reads.map(|read| (on_device(&read.topic, &self.topic), read.pick.clone())).collect();
        Some(Ask {
            publication: self.publication(&send.topic, body, 0, false),
            timeout: self.options.timeout,
            get: Some(Get { points, picks }),
        })
    }

    fn place(&self, target: Target) -> Option<(&WritePoint, &Transform)> {
        match target {
            Target::Point(point) => {
                let write = self.mapping.model(point)?.write.as_ref()?;
                Some((&write.point, &write.transform))
            }
            Target::Step(command, step) => {
                let step = self.mapping.commands.get(usize::from(command.0))?.steps.get(step)?;
                Some((&step.point, &step.transform))
            }
        }
    }

    fn encoded(&self, target: Target, value: &Value) -> Result<Raw, DeviceFault> {
        let (point, transform) = self.place(target).ok_or_else(unwritable)?;
        transform.encode(value, point.raw_kind())
    }

    fn points_of(&self) -> Vec<PointId> {
        self.mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect()
    }

    fn is_event(&self, point: PointId) -> bool {
        self.mapping.event(point).is_some()
    }

    /// What a message says of these points.
    fn readings(&mut self, now: Instant, points: &[PointId], said: &Said) -> Readings {
        let at = (!said.kept).then_some(now);
        let heard = Heeded { said, body: Body::new(&said.body, None), now, at };
        let mut readings = Readings::new();
        for point in points {
            let Some((result, said_at)) = self.reading(*point, &heard) else { continue };
            if !self.is_event(*point) {
                self.last.insert(*point, (result.clone(), said_at));
            }
            readings.push(Reading { point: *point, result, freshness: freshness(!said.kept, now, said_at) });
        }
        readings
    }
}

/// A message that is looked at.
struct Heeded<'a> {
    said: &'a Said,
    body: Body<'a>,
    now: Instant,
    /// When the device said it, if it was just now.
    at: SaidAt,
}

fn unwritable() -> DeviceFault {
    DeviceFault::Unwritable("it cannot be written".to_owned())
}

/// What a body says about whether somebody is there; `None`: neither.
fn state(about: &MqttAvailability, body: &Body<'_>) -> Option<bool> {
    let text = match body.take(&about.pick).ok()?? {
        Raw::Text(text) => text,
        Raw::Bool(state) => state.to_string(),
        Raw::Int(number) => number.to_string(),
        Raw::Decimal(number) => decimal_text(number),
        _ => return None,
    };
    if about.online.contains(&text) {
        return Some(true);
    }
    about.offline.contains(&text).then_some(false)
}

impl Model for MqttModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Said;

    fn new(device: &Device) -> Self {
        let options = options_of(device);
        Self {
            mapping: Arc::clone(&device.mapping),
            topic: topic_of(device),
            parts: BTreeMap::new(),
            last: BTreeMap::new(),
            counters: Counters::default(),
            there: vec![None; options.availability.len()],
            options,
        }
    }

    fn plan(&mut self, _: Instant, points: &[PointId]) -> Vec<Ask> {
        self.gets(points).into_iter().filter_map(|(send, points)| self.get(&send, points)).collect()
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        ask.get.as_ref().map(|get| get.points.clone()).unwrap_or_default()
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let points = self.points(ask);
        let mut readings = match answer {
            Answer::Said(said) => self.readings(now, &points, &said),
            // It is the server that refuses: of the device that says nothing.
            Answer::Refused(why) => {
                let fault = DeviceFault::Refused(why);
                let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
                let refused =
                    |point: &PointId| Reading { point: *point, result: Err(fault.clone()), freshness };
                points.iter().map(refused).collect()
            }
            Answer::Taken => Vec::new(),
        };
        for point in points {
            if !readings.iter().any(|known| known.point == point) {
                let fault = DeviceFault::Garbled("its answer does not have the value".to_owned());
                readings.push(Reading::now(point, Err(fault)));
            }
        }
        Understood { readings, again: Vec::new() }
    }

    fn unanswered(&mut self, _: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        let silent = |point| Reading::now(point, Err(fault.clone()));
        let readings = self.points(ask).into_iter().map(silent).collect();
        Understood { readings, again: Vec::new() }
    }

    fn sign_of_life(&self, _: &Ask) -> Option<Ask> {
        None
    }

    fn patience(&self, _: &Ask) -> u32 {
        2
    }

    fn rests(&self, _: Instant, _: PointId) -> bool {
        false
    }

    fn is_back(&mut self, _: Instant) {}

    fn write(&self, target: Target, value: &Value) -> Result<WriteStart<Ask>, DeviceFault> {
        let raw = self.encoded(target, value)?;
        let (WritePoint::Mqtt(write), _) = self.place(target).ok_or_else(unwritable)? else {
            return Err(unwritable());
        };
        let body = write.put.body(&raw)?;
        let publication = self.publication(&write.topic, body, write.qos, write.retain);
        Ok(WriteStart::Send(Ask { publication, timeout: self.options.timeout, get: None }))
    }

    fn modify(&self, _: Target, _: &Value, _: Answer) -> Result<Ask, DeviceFault> {
        Err(unwritable())
    }

    fn knows_better(&mut self, _: &Ask, _: &Answer) -> bool {
        false
    }

    fn acknowledge(&self, _: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match answer {
            Answer::Taken | Answer::Said(_) => Ok(()),
            Answer::Refused(why) => Err(DeviceFault::Refused(why)),
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Refused(_))
    }

    /// As far as what is published can tell two values apart.
    fn shows(&self, written: PointId, _: PointId, wanted: &Value, shown: &Value) -> bool {
        let encoded = |value| self.encoded(Target::Point(written), value).ok();
        wanted == shown || encoded(wanted).is_some_and(|wanted| Some(wanted) == encoded(shown))
    }

    /// What was said over the former connection may be no longer so.
    fn reconnected(&mut self) {
        self.there.fill(None);
        self.parts.values_mut().for_each(|(_, said_at)| *said_at = None);
        self.last.values_mut().for_each(|(_, said_at)| *said_at = None);
    }

    fn hear(&mut self, now: Instant, said: Said) -> Heard {
        let presence = self.presence(&said, &Body::new(&said.body, None));
        let mut points = self.points_of();
        // What was kept of former times has happened then.
        points.retain(|point| !said.kept || !self.is_event(*point));
        let of_state = points.iter().any(|point| {
            places(self.mapping.point(*point).and_then(|it| it.read))
                .any(|read| self.means(&read.topic, &said))
        });
        let readings = self.readings(now, &points, &said);
        Heard { readings, live: of_state && !said.kept, presence, ..Heard::default() }
    }

    fn tells(&self, point: PointId) -> bool {
        places(self.mapping.point(point).and_then(|known: Point<'_>| known.read)).next().is_some()
    }

    fn known(&self, now: Instant, point: PointId) -> Option<Reading> {
        if !self.tells(point) {
            return None;
        }
        let Some((result, said_at)) = self.last.get(&point) else {
            let text = "it has not said this yet, and cannot be asked".to_owned();
            return Some(Reading::kept(point, Err(DeviceFault::Unreachable(text))));
        };
        Some(Reading { point, result: result.clone(), freshness: freshness(false, now, *said_at) })
    }

    fn is_watched(&self) -> bool {
        !self.options.availability.is_empty()
    }

    fn is_taciturn(&self) -> bool {
        self.options.availability.is_empty() && self.gets(&self.points_of()).is_empty()
    }

    fn guard(&self) -> Duration {
        Duration::ZERO
    }

    fn turnaround(&self) -> Duration {
        Duration::ZERO
    }
}
