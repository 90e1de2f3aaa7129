//! A Zigbee device as the bus sees it: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{
    Device, Mapping, Protocol, ReadBinding, ReadPoint, WritePoint, ZigbeeFrom, ZigbeeOptions, ZigbeeRead,
};
use usp_mapping::port::{DeviceFault, Freshness, PointId, Reading, Readings};
use usp_mapping::transform::{Raw, Transform};
use usp_mapping::value::Value;
use usp_mapping::zigbee::zcl::{self, Frame, General, Status};

use super::board::{Question, Unanswered, ieee_of};
use super::hold::AWAKE;
use super::word::Word;
use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};

/// Attributes that are asked for at once: the values of so many fit into one answer.
const AT_ONCE: usize = 5;

/// A point that is refused is left alone for so long.
const REFUSED: Duration = Duration::from_secs(600);

/// A device that speaks by itself counts as away when it has been silent for so many of its longest pauses.
pub(super) const PAUSES: u32 = 3;

/// The same of one that sleeps and of which nobody knows how often it speaks: all of them do once a day.
const A_DAY: Duration = Duration::from_secs(90_000);

/// What a device does not report is not read more often than this.
const SELDOM: Duration = Duration::from_secs(10);

/// All that came back at once are read within this time.
const TURNS: Duration = Duration::from_secs(10);

/// How old at least is what was said before something that was sent.
const OLD: Duration = Duration::from_millis(1);

/// One question to the device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(super) question: Question,
    /// What a read is for.
    pub(super) points: Vec<PointId>,
    /// Endpoint, cluster and attributes of a read.
    pub(super) reads: Option<(u8, u16, Vec<u16>)>,
    pub(super) timeout: Duration,
    /// It is not sent after that.
    pub(super) until: Option<Instant>,
    /// It is a write to a device that sleeps, and was heard just now.
    pub(super) is_held: bool,
    pub(super) sleeps: bool,
    /// Nothing answers it.
    pub(super) is_told: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Said(Frame),
    /// The cluster's own answer to a command refuses it.
    Refused(DeviceFault),
    /// It was delivered, and nothing is said to it.
    Sent,
    /// It was not sent, or not received by a device that sleeps: that says nothing of the device.
    Unreached(DeviceFault),
    /// It is a write that was not received, because the device slept already.
    Missed,
    /// It is a write that was perhaps not received, because the device slept perhaps: why nobody knows.
    Unsure(DeviceFault),
    /// It could not be sent before its time was over, and was not.
    Expired,
}

impl Answer {
    /// A frame that answers this.
    pub(super) fn of(question: &Question, frame: Frame) -> Self {
        match question.expect.became(&frame) {
            Ok(()) => Self::Said(frame),
            Err(fault) => Self::Refused(fault),
        }
    }
}

/// A device with what it has said so far.
#[derive(Debug)]
pub(crate) struct ZigbeeModel {
    mapping: Arc<Mapping>,
    options: ZigbeeOptions,
    /// What was last said of places that make a value only together.
    parts: BTreeMap<(PointId, usize), (Raw, Instant)>,
    /// What was last said of each point, and when.
    last: BTreeMap<PointId, (Instant, Result<Value, DeviceFault>)>,
    /// The numbers that only grow, as far as they were read.
    counters: Counters,
    /// Points that the device refuses, and until when they are left alone.
    refused: BTreeMap<PointId, Instant>,
    heard_at: Option<Instant>,
    /// What it does not report although it was to, and how often that is polled.
    unsaid: Vec<(PointId, Duration)>,
    /// How long after it came back it is read.
    turn: Duration,
}

/// The places of a point.
fn places(mapping: &Mapping, point: PointId) -> impl Iterator<Item = &ZigbeeRead> {
    let read = mapping.point(point).and_then(|point| point.read);
    read.into_iter().flat_map(ReadBinding::places).filter_map(|place| match place {
        ReadPoint::Zigbee(read) => Some(read),
        _ => None,
    })
}

fn options_of(mapping: &Mapping) -> ZigbeeOptions {
    match &mapping.protocol {
        Protocol::Zigbee(options) => options.clone(),
        _ => ZigbeeOptions::default(),
    }
}

fn readable(mapping: &Mapping) -> Vec<PointId> {
    mapping.points().filter(|point| point.read.is_some()).map(|point| point.id).collect()
}

/// What a device that sleeps is asked once it was set up, with endpoint and cluster: later it cannot be asked.
pub(super) fn first_questions(mapping: &Mapping) -> Vec<(u8, u16, Question)> {
    // By endpoint, cluster and manufacturer.
    type Key = (u8, u16, Option<u16>);
    let mut wanted: Vec<(Key, Vec<u16>)> = Vec::new();
    let all = readable(mapping).into_iter().flat_map(|point| places(mapping, point));
    for place in all.filter(|place| place.is_asked()) {
        let ZigbeeFrom::Attribute(attribute) = &place.from else { continue };
        let key = (place.endpoint, place.cluster, place.manufacturer);
        let of_key = |known: &&mut (_, Vec<u16>)| known.0 == key;
        if wanted.iter_mut().filter(of_key).any(|(_, ids)| ids.contains(&attribute.id)) {
            continue;
        }
        match wanted.iter_mut().filter(of_key).find(|(_, ids)| ids.len() < AT_ONCE) {
            Some((_, ids)) => ids.push(attribute.id),
            None => wanted.push((key, vec![attribute.id])),
        }
    }
    let question = |((endpoint, cluster, manufacturer), ids): (_, Vec<u16>)| {
        let frame = zcl::read_attributes(manufacturer, &ids);
        (endpoint, cluster, Question::zcl(endpoint, cluster, &frame))
    };
    wanted.into_iter().map(question).collect()
}

/// How long after it came back a device is read: all of a home come back at once after a power cut, and none is to wait for the
/// others. It is another moment for each, and always the same; one that sleeps does so again in a moment.
pub(super) fn turn(device: &Device) -> Duration {
    if options_of(&device.mapping).sleepy {
        return Duration::ZERO;
    }
    // Fibonacci hashing: addresses of one maker's devices are neighbours, their turns are not.
    let place = ieee_of(device).0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    TURNS.mul_f64(place as f64 / f64::from(u32::MAX))
}

/// Whether a device that refuses to report these reports anything of its mapping.
pub(super) fn reports_any(mapping: &Mapping, refused: &BTreeSet<(u8, u16, u16)>) -> bool {
    mapping.zigbee_setup().reports.iter().any(|reports| {
        let mut all = reports.attributes.iter();
        all.any(|(id, ..)| !refused.contains(&(reports.endpoint, reports.cluster, *id)))
    })
}

/// How long a device may be silent, and whether it sleeps; `None`: its answers alone show whether it is there.
pub(super) fn patience(device: &Device) -> Option<(Duration, bool)> {
    let options = options_of(&device.mapping);
    let longest = device.mapping.zigbee_setup().reports.into_iter().flat_map(|reports| reports.attributes);
    let longest = longest.map(|(_, _, _, max, _)| Duration::from_secs(max.into())).max();
    let known = options.checkin.or(longest).map(|longest| longest * PAUSES);
    known.or(options.sleepy.then_some(A_DAY)).map(|patience| (patience, options.sleepy))
}

/// Points that a frame says something of and whose `true` is over by itself: after how long; `None`: they are `false` now.
pub(super) fn clears(
    mapping: &Mapping,
    endpoint: u8,
    cluster: u16,
    frame: &Frame,
) -> Vec<(PointId, Option<Duration>)> {
    let of = |id: PointId| {
        let after = places(mapping, id).find_map(|place| place.clears)?;
        let point = mapping.point(id)?;
        let said = places(mapping, id).next()?.take(endpoint, cluster, frame)?;
        let value = point.read?.decode(point.class, |_| said.clone());
        Some((id, (value == Ok(Value::Bool(true))).then_some(after)))
    };
    readable(mapping).into_iter().filter_map(of).collect()
}

impl ZigbeeModel {
    /// What a frame says of a point; it is as old as the oldest of its parts. `None`: nothing.
    fn reading(&mut self, now: Instant, id: PointId, from: (u8, u16), frame: &Frame) -> Option<Reading> {
        let mapping = Arc::clone(&self.mapping);
        let point = mapping.point(id)?;
        let (read, class) = (point.read?, point.class);
        let single = places(&mapping, id).count() == 1;
        let (mut at, mut told, mut lacks, mut oldest) = (0, false, false, now);
        let value = read.decode(class, |place| {
            let ReadPoint::Zigbee(place) = place else { return Err(DeviceFault::Unknown) };
            at += 1;
            match place.take(from.0, from.1, frame) {
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
        self.note(now, id, oldest, &result);
        let age = Some(now.saturating_duration_since(oldest));
        Some(Reading { point: id, result, freshness: Freshness { contact: true, age } })
    }

    fn said_last(&self, now: Instant, point: PointId) -> Option<Reading> {
        let (said_at, result) = self.last.get(&point)?;
        let age = Some(now.saturating_duration_since(*said_at));
        Some(Reading { point, result: result.clone(), freshness: Freshness { contact: false, age } })
    }

    fn note(&mut self, now: Instant, id: PointId, said_at: Instant, result: &Result<Value, DeviceFault>) {
        match result {
            Err(DeviceFault::Refused(_)) => drop(self.refused.insert(id, now + REFUSED)),
            _ => drop(self.refused.remove(&id)),
        }
        if self.mapping.event(id).is_none() {
            self.last.insert(id, (said_at, result.clone()));
        }
    }

    fn readings(&mut self, now: Instant, points: &[PointId], from: (u8, u16), frame: &Frame) -> Readings {
        points.iter().filter_map(|point| self.reading(now, *point, from, frame)).collect()
    }

    /// Whether it is worth asking at this moment: one that sleeps is not asked for what it tells by itself.
    fn is_worth_asking(&self, now: Instant, point: PointId) -> bool {
        !self.options.sleepy || self.is_awake(now) || !self.tells(point)
    }

    fn is_awake(&self, now: Instant) -> bool {
        self.heard_at.is_some_and(|at| now.saturating_duration_since(at) < AWAKE)
    }

    /// One question for each endpoint, cluster and manufacturer, in the order of the points.
    fn questions(&self, points: &[PointId]) -> Vec<Ask> {
        let mut wanted: Vec<(&ZigbeeRead, Vec<u16>, Vec<PointId>)> = Vec::new();
        for point in points {
            for place in places(&self.mapping, *point).filter(|place| place.is_asked()) {
                let ZigbeeFrom::Attribute(attribute) = &place.from else { continue };
                let key = (place.endpoint, place.cluster, place.manufacturer);
                let fits = |(known, attributes, _): &&mut (&ZigbeeRead, Vec<u16>, Vec<PointId>)| {
                    (known.endpoint, known.cluster, known.manufacturer) == key
                        && (attributes.len() < AT_ONCE || attributes.contains(&attribute.id))
                };
                match wanted.iter_mut().rev().find(fits) {
                    Some((_, attributes, points)) => {
                        if !attributes.contains(&attribute.id) {
                            attributes.push(attribute.id);
                        }
                        if points.last() != Some(point) {
                            points.push(*point);
                        }
                    }
                    None => wanted.push((place, vec![attribute.id], vec![*point])),
                }
            }
        }
        wanted.into_iter().map(|(place, attributes, points)| self.read(place, attributes, points)).collect()
    }

    fn read(&self, place: &ZigbeeRead, attributes: Vec<u16>, points: Vec<PointId>) -> Ask {
        let frame = zcl::read_attributes(place.manufacturer, &attributes);
        let question = Question::zcl(place.endpoint, place.cluster, &frame);
        let reads = Some((place.endpoint, place.cluster, attributes));
        self.ask(question, points, reads)
    }

    fn ask(&self, question: Question, points: Vec<PointId>, reads: Option<(u8, u16, Vec<u16>)>) -> Ask {
        let (timeout, sleeps) = (self.options.timeout, self.options.sleepy);
        Ask { question, points, reads, timeout, until: None, is_held: false, sleeps, is_told: false }
    }

    /// Where something is written, and how.
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

    /// Points that are read where nothing is reported, with the longest pause that the reports were to have.
    fn unreported(&self, attributes: &BTreeSet<(u8, u16, u16)>) -> Vec<(PointId, Duration)> {
        let every = |place: &ZigbeeRead| match &place.from {
            ZigbeeFrom::Attribute(attribute)
                if attribute.asked && attributes.contains(&(place.endpoint, place.cluster, attribute.id)) =>
            {
                let max = attribute.report.as_ref()?.max;
                Some(Duration::from_secs(max.into()).max(SELDOM))
            }
            _ => None,
        };
        let of = |point| Some((point, places(&self.mapping, point).filter_map(every).min()?));
        readable(&self.mapping).into_iter().filter_map(of).collect()
    }

    fn is_unsaid(&self, point: PointId) -> bool {
        self.unsaid.iter().any(|(of, _)| *of == point)
    }

    fn can_be_asked(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(ZigbeeRead::is_asked)
    }

    /// Points that cannot be asked at once, or not as a whole. One that is always awake is asked for the others in its turn: what it says
    /// then is so.
    fn only_heard(&self) -> Vec<PointId> {
        let is_asked = |point| !self.options.sleepy && places(&self.mapping, point).all(ZigbeeRead::is_asked);
        readable(&self.mapping).into_iter().filter(|point| !is_asked(*point)).collect()
    }

    /// What became of a read that brought these, for the points that it was for.
    fn rest(&self, ask: &Ask, readings: Readings, why: &DeviceFault) -> Understood<Ask> {
        let (mut readings, mut again) = (readings, Vec::new());
        let is_alone = ask.reads.as_ref().is_none_or(|(_, _, attributes)| attributes.len() < 2);
        for point in &ask.points {
            if readings.iter().any(|known| known.point == *point) || self.is_waiting_for_parts(*point) {
                continue;
            }
            if is_alone {
                readings.push(Reading::now(*point, Err(why.clone())));
            } else {
                again.extend(self.each(*point, ask));
            }
        }
        Understood { readings, again }
    }

    /// Whether other questions of the same round are to bring the rest of a value.
    fn is_waiting_for_parts(&self, point: PointId) -> bool {
        let count = places(&self.mapping, point).count();
        count > 1 && self.parts.keys().any(|(of, _)| *of == point)
    }

    /// One question for each attribute of a point that a larger one was for.
    fn each(&self, point: PointId, of: &Ask) -> Vec<Ask> {
        let Some((endpoint, cluster, _)) = &of.reads else { return Vec::new() };
        let same = |place: &&ZigbeeRead| place.endpoint == *endpoint && place.cluster == *cluster;
        let attribute = |place: &ZigbeeRead| match &place.from {
            ZigbeeFrom::Attribute(attribute) if attribute.asked => Some(attribute.id),
            _ => None,
        };
        let own = places(&self.mapping, point).filter(same);
        own.filter_map(|place| Some(self.read(place, vec![attribute(place)?], vec![point]))).collect()
    }
}

fn unwritable() -> DeviceFault {
    DeviceFault::Unwritable("it cannot be written".to_owned())
}

/// What an answer that all clusters have refuses.
fn acknowledged(frame: &Frame) -> Result<(), DeviceFault> {
    let done = |status: Status| if status.is_success() { Ok(()) } else { Err(status.refusal()) };
    match frame.general() {
        Some(Ok(General::WriteResponse(all))) => all.into_iter().try_for_each(|(status, _)| done(status)),
        Some(Ok(General::DefaultResponse { status, .. })) => done(status),
        Some(Ok(_)) | None => Ok(()),
        Some(Err(fault)) => Err(fault),
    }
}

impl Model for ZigbeeModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Word;

    fn new(device: &Device) -> Self {
        Self {
            mapping: Arc::clone(&device.mapping),
            options: options_of(&device.mapping),
            parts: BTreeMap::new(),
            last: BTreeMap::new(),
            counters: Counters::default(),
            refused: BTreeMap::new(),
            heard_at: None,
            unsaid: Vec::new(),
            turn: turn(device),
        }
    }

    fn plan(&mut self, now: Instant, points: &[PointId]) -> Vec<Ask> {
        let points: Vec<PointId> =
            points.iter().copied().filter(|point| self.is_worth_asking(now, *point)).collect();
        // What is asked for anew is made of new parts alone; what is only heard stays what was heard.
        let mapping = Arc::clone(&self.mapping);
        let is_asked =
            |point, at: usize| places(&mapping, point).nth(at - 1).is_some_and(ZigbeeRead::is_asked);
        self.parts.retain(|(point, at), _| !(points.contains(point) && is_asked(*point, *at)));
        self.questions(&points)
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        ask.points.clone()
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let nothing = DeviceFault::Garbled("its answer does not have the value".to_owned());
        let frame = match answer {
            Answer::Said(frame) => frame,
            Answer::Unreached(fault) => {
                let why = match self.options.sleepy {
                    true => DeviceFault::Unreachable(format!("it sleeps, and did not wake up: {fault}")),
                    false => fault,
                };
                let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
                let asleep = |point: &PointId| {
                    let known = self.said_last(now, *point).filter(|_| self.options.sleepy);
                    known.unwrap_or_else(|| Reading { point: *point, result: Err(why.clone()), freshness })
                };
                return Understood { readings: ask.points.iter().map(asleep).collect(), again: Vec::new() };
            }
            Answer::Refused(fault) => return self.rest(ask, Vec::new(), &fault),
            Answer::Sent | Answer::Missed | Answer::Unsure(_) | Answer::Expired => {
                return self.rest(ask, Vec::new(), &nothing);
            }
        };
        self.heard_at = Some(now);
        let Some((endpoint, cluster, _)) = &ask.reads else { return self.rest(ask, Vec::new(), &nothing) };
        let from = (*endpoint, *cluster);
        match acknowledged(&frame) {
            Ok(()) => {
                let readings = self.readings(now, &ask.points, from, &frame);
                self.rest(ask, readings, &nothing)
            }
            // It knows none of them.
            Err(refused) => {
                for point in &ask.points {
                    self.note(now, *point, now, &Err(refused.clone()));
                }
                self.rest(ask, Vec::new(), &refused)
            }
        }
    }

    fn unanswered(&mut self, _: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        self.rest(ask, Vec::new(), fault)
    }

    /// Another question, if there is one.
    fn sign_of_life(&self, ask: &Ask) -> Option<Ask> {
        self.questions(&readable(&self.mapping)).into_iter().find(|other| other.question != ask.question)
    }

    fn patience(&self, _: &Ask) -> u32 {
        2
    }

    fn rests(&self, now: Instant, point: PointId) -> bool {
        self.refused.get(&point).is_some_and(|until| now < *until)
    }

    /// What was refused may be there now: it may have another firmware.
    fn is_back(&mut self, _: Instant) {
        self.refused.clear();
    }

    fn write(&self, target: Target, value: &Value) -> Result<WriteStart<Ask>, DeviceFault> {
        let (WritePoint::Zigbee(write), transform) = self.place(target).ok_or_else(unwritable)? else {
            return Err(unwritable());
        };
        let frame = write.frame(&transform.encode(value, write.raw_kind())?)?;
        let parsed = Frame::parse(&frame.bytes)?;
        let is_told = parsed.is_specific && parsed.no_default_response;
        let question = Question::zcl(frame.endpoint, frame.cluster, &parsed);
        Ok(WriteStart::Send(Ask { is_told, ..self.ask(question, Vec::new(), None) }))
    }

    fn modify(&self, _: Target, _: &Value, _: Answer) -> Result<Ask, DeviceFault> {
        Err(unwritable())
    }

    /// A parent keeps a message for some seconds only, and a device that sleeps for longer never sees it.
    fn sleeps(&self, now: Instant) -> bool {
        self.options.sleepy && !self.is_awake(now)
    }

    fn may_sleep(&self) -> bool {
        self.options.sleepy
    }

    fn unsure(&mut self, _: &Ask, answer: &Answer) -> Option<DeviceFault> {
        let Answer::Unsure(fault) = answer else { return None };
        self.heard_at = None;
        Some(DeviceFault::Unsettled(fault.to_string()))
    }

    fn reread(&self) -> Option<(Duration, Vec<PointId>)> {
        let askable =
            || readable(&self.mapping).into_iter().filter(|point| self.can_be_asked(*point)).collect();
        self.options.sleepy.then(|| (self.options.ttl, askable()))
    }

    fn hold(&self, ask: &mut Ask, until: Instant) {
        (ask.until, ask.is_held) = (Some(until), self.options.sleepy);
        if self.options.sleepy {
            // It is awake, once it has received it.
            ask.timeout = self.options.held;
        }
        // It was heard just now: that it does not answer says what it says of any other.
        ask.sleeps = false;
    }

    fn knows_better(&mut self, _: &Ask, answer: &Answer) -> bool {
        let is_missed = *answer == Answer::Missed;
        if is_missed {
            self.heard_at = None;
        }
        is_missed
    }

    fn acknowledge(&self, _: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match answer {
            Answer::Said(frame) => acknowledged(&frame),
            Answer::Sent => Ok(()),
            Answer::Refused(fault) | Answer::Unreached(fault) | Answer::Unsure(fault) => Err(fault),
            Answer::Missed => Err(Unanswered::Missed.fault()),
            Answer::Expired => Err(DeviceFault::Expired),
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Said(frame) => acknowledged(frame).is_err(),
            Answer::Refused(_) => true,
            Answer::Sent | Answer::Missed | Answer::Unsure(_) | Answer::Unreached(_) | Answer::Expired => {
                false
            }
        }
    }

    /// As far as what goes over the air can tell two values apart.
    fn shows(&self, written: PointId, _: PointId, wanted: &Value, shown: &Value) -> bool {
        let sent = |value| {
            let (WritePoint::Zigbee(write), transform) = self.place(Target::Point(written))? else {
                return None;
            };
            write.frame(&transform.encode(value, write.raw_kind()).ok()?).ok()
        };
        wanted == shown || sent(wanted).is_some_and(|wanted| Some(wanted) == sent(shown))
    }

    fn reconnected(&mut self) {
        self.parts.clear();
        self.heard_at = None;
    }

    fn hear(&mut self, now: Instant, word: Word) -> Heard {
        match word {
            Word::Frame { endpoint, cluster, frame, is_old, .. } => {
                self.heard_at = Some(now);
                let all = readable(&self.mapping);
                let mut readings = self.readings(now, &all, (endpoint, cluster), &frame);
                for reading in readings.iter_mut().filter(|_| is_old) {
                    // It is a reading, and confirms nothing.
                    reading.freshness.age = reading.freshness.age.map(|age| age.max(OLD));
                }
                Heard { readings, live: true, presence: Some(Ok(())), ..Heard::default() }
            }
            Word::Unreported(attributes) => {
                self.unsaid = self.unreported(&attributes);
                Heard::default()
            }
            Word::Back => {
                self.heard_at = Some(now);
                Heard { presence: Some(Ok(())), polls_in: Some(self.turn), ..Heard::default() }
            }
            Word::Awake => {
                self.heard_at = Some(now);
                Heard { presence: Some(Ok(())), ..Heard::default() }
            }
            Word::Lost(loss) => Heard { lost: Some((loss.words(), self.only_heard())), ..Heard::default() },
            Word::Reread => Heard { polls_in: Some(self.turn), ..Heard::default() },
            Word::Left(why) => Heard { presence: Some(Err(why)), ..Heard::default() },
            Word::Silent(patience) => {
                let cause = format!("nothing was heard of it for {} s", patience.as_secs());
                Heard { presence: Some(Err(cause)), ..Heard::default() }
            }
            Word::Over(point) => {
                let freshness = Freshness { contact: false, age: Some(Duration::ZERO) };
                let over = Reading { point, result: Ok(Value::Bool(false)), freshness };
                self.note(now, point, now, &over.result);
                Heard { readings: vec![over], ..Heard::default() }
            }
        }
    }

    fn unsaid(&self) -> &[(PointId, Duration)] {
        &self.unsaid
    }

    fn tells(&self, point: PointId) -> bool {
        !self.is_unsaid(point) && places(&self.mapping, point).any(ZigbeeRead::is_heard)
    }

    /// One that sleeps is asked at once: a moment later it sleeps again.
    fn says_so(&self, by: PointId) -> bool {
        !self.options.sleepy && self.tells(by)
    }

    fn shows_already(&self, written: PointId, by: PointId, wanted: &Value) -> bool {
        matches!(self.last.get(&by), Some((_, Ok(shown))) if self.shows(written, by, wanted, shown))
    }

    /// What was said last of what cannot be asked, or not now. Whether one that sleeps can be asked is another thing at each moment.
    fn known(&self, now: Instant, point: PointId) -> Option<Reading> {
        if !self.options.sleepy && (self.can_be_asked(point) || !self.tells(point)) {
            return None;
        }
        self.said_last(now, point).or_else(|| {
            let words = "it has not said this yet, and cannot be asked while it sleeps".to_owned();
            Some(Reading::kept(point, Err(DeviceFault::Unreachable(words))))
        })
    }

    fn is_watched(&self) -> bool {
        self.options.sleepy
    }

    fn is_taciturn(&self) -> bool {
        self.options.sleepy || !readable(&self.mapping).iter().any(|point| self.can_be_asked(*point))
    }

    fn guard(&self) -> Duration {
        Duration::ZERO
    }

    fn turnaround(&self) -> Duration {
        Duration::ZERO
    }
}
