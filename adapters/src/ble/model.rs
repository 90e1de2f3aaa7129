//! A Bluetooth device as the bus sees it: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::ble::bthome::SERVICE;
use usp_mapping::mapping::{
    BleAnswer, BleAsk, BleChar, BleConnect, BleOptions, BleRead, BleShape, BleSource, Device, DeviceAddress,
    Mapping, Protocol, ReadBinding, ReadPoint, WriteBinding, WritePoint,
};
use usp_mapping::port::{DeviceFault, Freshness, PointId, Reading, Readings};
use usp_mapping::transform::{Raw, RawKind, Transform};
use usp_mapping::value::Value;

use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};

/// How long after its data a strength is that of the same word.
const TOGETHER: Duration = Duration::from_secs(1);

/// What a device is asked over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(super) what: What,
    /// Which points its answer is about.
    points: Vec<PointId>,
}

/// Of what kind a question is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Read a characteristic.
    Read(BleChar),
    /// Write something, and wait for a notification of this shape.
    Query {
        /// What is written where.
        ask: BleAsk,
        /// Where the answer comes.
        char: BleChar,
        /// What it is like.
        shape: BleShape,
    },
    /// Write a characteristic.
    Write {
        /// Which.
        char: BleChar,
        /// What.
        body: Vec<u8>,
        /// Whether the device acknowledges it.
        response: bool,
        /// What it notifies then.
        answer: Option<BleAnswer>,
        /// It is not sent any more from then on.
        until: Option<Instant>,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The bytes of the characteristic, read or notified.
    Value(Vec<u8>),
    /// The write is done, as far as the device says so.
    Written,
    /// The device does not do it.
    Refused(String),
    /// Its characteristic is notified and cannot be read: it was not asked.
    Unreadable,
    /// It was not asked, for a reason that is not the device's.
    NotAsked(DeviceFault),
}

/// What a device says unasked, and what is seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It advertises these data; perhaps the same as before.
    Advert {
        /// Which.
        source: BleSource,
        /// Without any encryption.
        data: Vec<u8>,
        /// It is the same occurrence as the last one.
        repeated: bool,
    },
    /// It advertises data that cannot be used.
    Unusable(BleSource, DeviceFault),
    /// It was heard so strongly.
    Rssi(i16),
    /// It notifies a characteristic.
    Notified(BleChar, Vec<u8>),
    /// It is connected, though it was not before.
    Connected,
    /// It is to be connected all the time, and is not.
    Apart(String),
    /// Nothing was heard of it for so long, or nothing that can be believed, and why not.
    Silent(Duration, Option<String>),
    /// Its radio seems to hear nothing at all, and why.
    Unheard(String),
    /// Its radio hears something again.
    Audible,
}

/// A device with what it has said so far.
#[derive(Debug)]
pub(crate) struct BleModel {
    mapping: Arc<Mapping>,
    options: Option<BleOptions>,
    /// What was last said of places that make a value only together.
    parts: BTreeMap<(PointId, usize), (Raw, Instant)>,
    /// What was last said unasked of each point, and when.
    last: BTreeMap<PointId, (Instant, Result<Value, DeviceFault>)>,
    /// Characteristics of the device that it only notifies.
    unreadable: BTreeSet<BleChar>,
    /// Why what was said of a point could not be used.
    unusable: BTreeMap<PointId, DeviceFault>,
    /// The numbers that only grow, as far as they were read.
    counters: Counters,
    /// It is connected, as far as that is told: of whoever is to be so all the time.
    connected: bool,
    /// Its radio seems to hear nothing, and it was there before.
    unheard: Option<bool>,
    /// It was there when something was heard of it last.
    is_there: bool,
    /// What is not encrypted with its key shows nobody that it is there.
    is_sealed: bool,
    /// When something was heard last that was encrypted with it, or would be.
    opened: Option<Instant>,
}

/// The places of a point.
fn places(mapping: &Mapping, point: PointId) -> impl Iterator<Item = &BleRead> {
    let read = mapping.point(point).and_then(|point| point.read);
    read.into_iter().flat_map(ReadBinding::places).filter_map(|place| match place {
        ReadPoint::Ble(read) => Some(read),
        _ => None,
    })
}

/// Every place of a mapping.
pub(super) fn all_places(mapping: &Mapping) -> impl Iterator<Item = &BleRead> {
    let reads = mapping.points().filter_map(|point| point.read).flat_map(ReadBinding::places);
    reads.filter_map(|place| match place {
        ReadPoint::Ble(read) => Some(read),
        _ => None,
    })
}

/// Every characteristic by which a device tells something unasked, or answers.
pub(super) fn notifying(mapping: &Mapping) -> Vec<BleChar> {
    let told = all_places(mapping).filter(|place| place.notify).filter_map(BleRead::char);
    let points = mapping.capabilities.iter().filter_map(|it| it.write.as_ref()).map(|write| &write.point);
    let steps = mapping.commands.iter().flat_map(|command| &command.steps).map(|step| &step.point);
    let answered = points.chain(steps).filter_map(|point| match point {
        WritePoint::Ble(write) => write.answer.as_ref().map(|answer| &answer.char),
        _ => None,
    });
    let mut all: Vec<BleChar> = Vec::new();
    for char in told.chain(answered) {
        if !all.contains(char) {
            all.push(char.clone());
        }
    }
    all
}

/// How a device behaves; `None`: a site puts no other device on a radio.
pub(super) fn options(mapping: &Mapping) -> Option<&BleOptions> {
    match &mapping.protocol {
        Protocol::Ble(options) => Some(options),
        _ => None,
    }
}

/// Where what is taken in comes from.
#[derive(Clone, Copy)]
enum From<'a> {
    /// It answers this question.
    Answer(&'a What),
    /// It is advertised.
    Advert(&'a BleSource),
    /// It is notified.
    Notified(&'a BleChar),
}

impl From<'_> {
    fn is_of(self, place: &BleRead) -> bool {
        match self {
            Self::Answer(what) => place.char().is_some_and(|char| question(place, char) == *what),
            Self::Advert(source) => place.from == *source,
            Self::Notified(char) => place.notify && place.char().is_some_and(|own| is_same(own, char)),
        }
    }
}

/// Whether a characteristic that a device has is the one that a mapping means.
pub(super) fn is_same(wanted: &BleChar, has: &BleChar) -> bool {
    let services = wanted.service.zip(has.service);
    wanted.uuid == has.uuid && services.is_none_or(|(wanted, has)| wanted == has)
}

/// What a place is asked for.
fn question(place: &BleRead, char: &BleChar) -> What {
    match &place.ask {
        None => What::Read(char.clone()),
        Some(ask) => What::Query { ask: ask.clone(), char: char.clone(), shape: place.shape.clone() },
    }
}

impl BleModel {
    /// What some bytes say of a point; it is as old as the oldest of its parts. `None`: nothing.
    fn reading(&mut self, now: Instant, id: PointId, bytes: &[u8], from: From<'_>) -> Option<Reading> {
        let taken = |place: &BleRead| if from.is_of(place) { place.take(bytes) } else { None };
        self.made(now, id, taken)
    }

    fn made(
        &mut self,
        now: Instant,
        id: PointId,
        taken: impl Fn(&BleRead) -> Option<Result<Raw, DeviceFault>>,
    ) -> Option<Reading> {
        let mapping = Arc::clone(&self.mapping);
        let point = mapping.point(id)?;
        let (read, class) = (point.read?, point.class);
        let single = places(&mapping, id).count() == 1;
        let (mut at, mut told, mut lacks, mut oldest) = (0, false, false, now);
        let value = read.decode(class, |place| {
            let ReadPoint::Ble(place) = place else { return Err(DeviceFault::Unknown) };
            at += 1;
            if let Some(raw) = taken(place) {
                told = true;
                if let (Ok(raw), false) = (&raw, single) {
                    self.parts.insert((id, at), (raw.clone(), now));
                }
                return raw;
            }
            let known = self.parts.get(&(id, at)).cloned();
            lacks |= known.is_none();
            let (raw, said_at) = known.ok_or(DeviceFault::Unknown)?;
            oldest = oldest.min(said_at);
            Ok(raw)
        });
        if !told || lacks && value == Err(DeviceFault::Unknown) {
            return None;
        }
        let result = self.counters.grown(&mapping, now, id, value);
        let age = Some(now.saturating_duration_since(oldest));
        Some(Reading { point: id, result, freshness: Freshness { contact: true, age } })
    }

    fn readings(&mut self, now: Instant, points: &[PointId], bytes: &[u8], from: From<'_>) -> Readings {
        points.iter().filter_map(|point| self.reading(now, *point, bytes, from)).collect()
    }

    /// One question for each characteristic, in the order of the points.
    fn questions(&self, points: &[PointId]) -> Vec<Ask> {
        let mut asks: Vec<Ask> = Vec::new();
        for point in points {
            for place in places(&self.mapping, *point) {
                let Some(what) = self.question(place) else { continue };
                match asks.iter_mut().find(|known| known.what == what) {
                    Some(known) if known.points.last() == Some(point) => {}
                    Some(known) => known.points.push(*point),
                    None => asks.push(Ask { what, points: vec![*point] }),
                }
            }
        }
        asks
    }

    /// What a place is asked for; `None`: it cannot be.
    fn question(&self, place: &BleRead) -> Option<What> {
        let char = place.char()?;
        let is_mute = place.ask.is_none() && self.unreadable.contains(char);
        (!is_mute).then(|| question(place, char))
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
                let binding = self.write_binding(point)?;
                Ok((&binding.point, &binding.transform))
            }
            Target::Step(command, step) => {
                let command =
                    self.mapping.commands.get(usize::from(command.0)).ok_or(DeviceFault::Unknown)?;
                let step = command.steps.get(step).ok_or(DeviceFault::Unknown)?;
                Ok((&step.point, &step.transform))
            }
        }
    }

    fn all_points(&self) -> Vec<PointId> {
        self.mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect()
    }

    fn can_be_asked(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(|place| self.question(place).is_some())
    }

    fn keeps(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.connect == BleConnect::Keep)
    }

    /// What it says unasked, kept for whoever asks.
    fn told(&mut self, now: Instant, readings: Readings) -> Heard {
        for Reading { point, result, freshness } in &readings {
            if self.mapping.event(*point).is_none() {
                let said_at = freshness.age.and_then(|age| now.checked_sub(age)).unwrap_or(now);
                self.last.insert(*point, (said_at, result.clone()));
            }
        }
        // Who advertises, and is to be connected, is there; but what is told over a connection is not told.
        Heard { readings, live: self.connected || !self.keeps(), ..Heard::default() }
    }

    fn advert(&mut self, now: Instant, source: &BleSource, data: &[u8], repeated: bool) -> Heard {
        if *source == BleSource::ServiceData(SERVICE) {
            self.opened = Some(now);
        }
        let mut points = self.all_points();
        // What was pushed once is not pushed again because it is said again.
        points.retain(|point| !repeated || self.mapping.event(*point).is_none());
        let readings = self.readings(now, &points, data, From::Advert(source));
        self.told(now, readings)
    }

    fn unusable(&mut self, source: &BleSource, fault: &DeviceFault) -> Heard {
        let mapping = Arc::clone(&self.mapping);
        let is_of = |point: &PointId| places(&mapping, *point).any(|place| place.from == *source);
        let is_shown = |point: &PointId| mapping.event(*point).is_none();
        let points: Vec<PointId> = self.all_points().into_iter().filter(is_of).filter(is_shown).collect();
        self.unusable.extend(points.iter().map(|point| (*point, fault.clone())));
        let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
        let reading = |point| Reading { point, result: Err(fault.clone()), freshness };
        // Whoever said it, it need not have been the device.
        let readings = points.into_iter().map(reading).collect();
        Heard { readings, doubt: Some(reason(fault)), ..Heard::default() }
    }

    fn word(&mut self, now: Instant, word: Word) -> Heard {
        let presence = |presence| Heard { presence: Some(presence), ..Heard::default() };
        match word {
            Word::Advert { source, data, repeated } => self.advert(now, &source, &data, repeated),
            Word::Unusable(source, fault) => self.unusable(&source, &fault),
            Word::Rssi(rssi) => self.rssi(now, rssi),
            Word::Notified(char, bytes) => {
                let readings = self.readings(now, &self.all_points(), &bytes, From::Notified(&char));
                self.told(now, readings)
            }
            Word::Connected => {
                self.connected = true;
                presence(Ok(()))
            }
            Word::Apart(why) => {
                self.connected = false;
                presence(Err(why))
            }
            Word::Unheard(why) if self.is_only_heard() => {
                self.unheard = Some(self.is_there);
                presence(Err(why))
            }
            Word::Audible => self.audible(),
            Word::Unheard(_) => Heard::default(),
            Word::Silent(patience, why) => {
                self.is_there = false;
                let seconds = patience.as_secs();
                presence(Err(match why {
                    None => format!("nothing was heard of it for {seconds} s"),
                    Some(why) => format!("nothing of use was heard of it for {seconds} s: {why}"),
                }))
            }
        }
    }

    /// Nobody can ask it anything.
    fn is_only_heard(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.connect == BleConnect::Never)
    }

    /// Its radio hears again, though not yet this device: who says nothing for days is believed to be where it was.
    fn audible(&mut self) -> Heard {
        match self.unheard.take() {
            Some(true) if self.is_taciturn() => Heard { presence: Some(Ok(())), ..Heard::default() },
            Some(_) => {
                let why = "its radio hears again, and nothing was heard of it since";
                Heard { doubt: Some(why.to_owned()), ..Heard::default() }
            }
            None => Heard::default(),
        }
    }

    fn rssi(&mut self, now: Instant, rssi: i16) -> Heard {
        let taken = |place: &BleRead| (place.from == BleSource::Rssi).then(|| Ok(Raw::Int(rssi.into())));
        let points = self.all_points();
        let mut readings: Readings =
            points.iter().filter_map(|point| self.made(now, *point, taken)).collect();
        // Anybody can be strong: only with what the key has opened it is the device.
        let is_its =
            !self.is_sealed || self.opened.is_some_and(|at| now.saturating_duration_since(at) < TOGETHER);
        readings.iter_mut().for_each(|reading| reading.freshness.contact &= is_its);
        let heard = self.told(now, readings);
        Heard { live: heard.live && !self.is_sealed, ..heard }
    }
}

/// Why nothing of what is heard can be used, in words that say so by themselves.
pub(super) fn reason(fault: &DeviceFault) -> String {
    match fault {
        DeviceFault::Garbled(why) => why.clone(),
        other => other.to_string(),
    }
}

fn faults(points: &[PointId], fault: &DeviceFault) -> Readings {
    points.iter().map(|point| Reading::now(*point, Err(fault.clone()))).collect()
}

impl Model for BleModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Word;

    fn new(device: &Device) -> Self {
        Self {
            mapping: Arc::clone(&device.mapping),
            options: options(&device.mapping).cloned(),
            parts: BTreeMap::new(),
            last: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            unusable: BTreeMap::new(),
            counters: Counters::default(),
            connected: false,
            unheard: None,
            is_there: false,
            opened: None,
            is_sealed: matches!(&device.address, DeviceAddress::Ble(address) if address.key.is_some()),
        }
    }

    fn plan(&mut self, _: Instant, points: &[PointId]) -> Vec<Ask> {
        // What is asked for anew is made of new parts alone; what is only heard stays what was heard.
        let mapping = Arc::clone(&self.mapping);
        let is_asked = |point, at: usize| {
            places(&mapping, point).nth(at.saturating_sub(1)).is_some_and(|place| place.char().is_some())
        };
        self.parts.retain(|(point, at), _| !(points.contains(point) && is_asked(*point, *at)));
        self.questions(points)
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        ask.points.clone()
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let readings = match answer {
            Answer::Value(bytes) => {
                let mut readings = self.readings(now, &ask.points, &bytes, From::Answer(&ask.what));
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
            Answer::NotAsked(fault) => faults(&ask.points, &fault),
            Answer::Unreadable => {
                if let What::Read(char) = &ask.what {
                    self.unreadable.insert(char.clone());
                }
                Vec::new()
            }
            Answer::Written => Vec::new(),
        };
        Understood { readings, again: Vec::new() }
    }

    fn unanswered(&mut self, _: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        Understood { readings: faults(&ask.points, fault), again: Vec::new() }
    }

    /// Another question, if there is one.
    fn sign_of_life(&self, ask: &Ask) -> Option<Ask> {
        self.questions(&self.all_points()).into_iter().find(|other| other.what != ask.what)
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
        let WritePoint::Ble(place) = place else { return Err(DeviceFault::Unknown) };
        let body = place.body(&transform.encode(value, place.raw_kind())?)?;
        let (char, answer) = (place.char.clone(), place.answer.clone());
        let what = What::Write { char, body, response: place.response, answer, until: None };
        Ok(WriteStart::Send(Ask { what, points: Vec::new() }))
    }

    /// There may be no connection before that, nor a slot for one.
    fn hold(&self, ask: &mut Ask, begin_by: Instant) {
        if let What::Write { until, .. } = &mut ask.what {
            *until = Some(begin_by);
        }
    }

    fn modify(&self, _: Target, _: &Value, _: Answer) -> Result<Ask, DeviceFault> {
        Err(DeviceFault::Unknown)
    }

    fn knows_better(&mut self, _: &Ask, _: &Answer) -> bool {
        false
    }

    fn acknowledge(&self, _: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match answer {
            Answer::Refused(words) => Err(DeviceFault::Refused(words)),
            Answer::NotAsked(fault) => Err(fault),
            Answer::Value(_) | Answer::Written | Answer::Unreadable => Ok(()),
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        matches!(answer, Answer::Refused(_))
    }

    /// What is written may be rounded to what the bytes carry, and what is read may be coarser than that.
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
        // Whoever still is says so.
        self.connected = false;
    }

    fn hear(&mut self, now: Instant, word: Word) -> Heard {
        let heard = self.word(now, word);
        if heard.live {
            (self.unheard, self.is_there) = (None, true);
        }
        heard
    }

    fn tells(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(|place| place.is_advertised() || place.notify && self.keeps())
    }

    /// What was said last of what cannot be asked.
    fn known(&self, now: Instant, point: PointId) -> Option<Reading> {
        if self.can_be_asked(point) || !self.tells(point) {
            return None;
        }
        let Some((said_at, result)) = self.last.get(&point) else {
            let never =
                || DeviceFault::Unreachable("it has not told this yet, and cannot be asked".to_owned());
            let fault = self.unusable.get(&point).cloned().unwrap_or_else(never);
            return Some(Reading::kept(point, Err(fault)));
        };
        let age = Some(now.saturating_duration_since(*said_at));
        let freshness = Freshness { contact: false, age };
        Some(Reading { point, result: result.clone(), freshness })
    }

    fn is_watched(&self) -> bool {
        self.keeps() || self.options.as_ref().is_some_and(|options| options.every.is_some())
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
