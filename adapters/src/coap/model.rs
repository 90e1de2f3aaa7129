//! A CoAP device as the bus sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{
    CoapRead, Device, Mapping, Protocol, ReadBinding, ReadPoint, WriteBinding, WritePoint,
};
use usp_mapping::payload::Body;
use usp_mapping::port::{DeviceFault, Freshness, PointId, Reading, Readings};
use usp_mapping::transform::{RawKind, Transform};
use usp_mapping::value::Value;

use crate::bus::counters::Counters;
use crate::bus::queue::Target;
use crate::bus::{Heard, Model, Understood, WriteStart};
use crate::coap::assembly::Assembly;
use crate::coap::codec;
use crate::coap::endpoint::request::{Manner, Request, Resource, Response};
use crate::coap::link::Told;

/// One request, and whom it is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) request: Request,
    /// What a read is for.
    pub(crate) points: Vec<PointId>,
    round: u32,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A response, be it an error.
    Response(Response),
    /// The device rejects the message.
    Rejected,
}

/// Options and what is known about one device.
#[derive(Debug)]
pub(crate) struct CoapModel {
    mapping: Arc<Mapping>,
    manner: Manner,
    assembly: Assembly,
    /// The numbers that only grow, as far as they were read.
    counters: Counters,
}

/// The places of a point, as far as they are CoAP's: a site puts no other device on a CoAP bus.
fn places(mapping: &Mapping, point: PointId) -> impl Iterator<Item = &CoapRead> {
    let read = mapping.point(point).and_then(|point| point.read);
    read.into_iter().flat_map(ReadBinding::places).filter_map(|place| match place {
        ReadPoint::Coap(read) => Some(read),
        ReadPoint::Modbus(_)
        | ReadPoint::Mqtt(_)
        | ReadPoint::Line(_)
        | ReadPoint::Ble(_)
        | ReadPoint::Zigbee(_) => None,
    })
}

/// Every resource of a mapping that is observed.
pub(crate) fn observed(mapping: &Mapping) -> Vec<Resource> {
    let points = mapping.points().map(|point| point.id);
    let places = points.flat_map(|point| places(mapping, point)).filter(|place| place.observe);
    places.map(codec::read_resource).collect()
}

impl CoapModel {
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

    /// One request for each resource, in the order of the points.
    fn requests(&self, points: &[PointId]) -> Vec<(Request, Vec<PointId>)> {
        let mut requests: Vec<(Request, Vec<PointId>)> = Vec::new();
        for point in points {
            for place in places(&self.mapping, *point) {
                let request = codec::read(place, self.manner);
                match requests.iter_mut().find(|(known, _)| known.resource == request.resource) {
                    Some((known, points)) => {
                        known.observe |= request.observe;
                        if points.last() != Some(point) {
                            points.push(*point);
                        }
                    }
                    None => requests.push((request, vec![*point])),
                }
            }
        }
        requests
    }

    /// What a body says of points; `partial`: what is not in it is not told. What is put together out of one round of reads
    /// was read together; anything else is as old as its oldest part.
    fn readings(
        &mut self,
        (since, now): (u32, Instant),
        resource: &Resource,
        points: &[PointId],
        response: &Response,
        partial: bool,
    ) -> Readings {
        let Self { mapping, assembly, counters, .. } = self;
        let body = Body::new(&response.body, codec::format(response));
        let mut readings = Readings::new();
        for id in points {
            let Some(point) = mapping.point(*id) else { continue };
            for place in places(mapping, *id).filter(|place| codec::read_resource(place) == *resource) {
                let raw = match codec::take(&body, response, &place.pick) {
                    Ok(Some(raw)) => Ok(raw),
                    Ok(None) if partial => continue,
                    Ok(None) => Err(DeviceFault::Garbled(format!("it has no {}", place.pick))),
                    Err(fault) => Err(fault),
                };
                let Some((value, said_at)) = assembly.add((since, now), point, place, raw) else { continue };
                let value = counters.grown(mapping, now, *id, value);
                let age = if partial { now.saturating_duration_since(said_at) } else { Duration::ZERO };
                let freshness = Freshness { contact: true, age: Some(age) };
                let reading = Reading { point: *id, result: value, freshness };
                // Of a point with a fault in one place, the fault is what is told.
                match readings.iter_mut().find(|known| known.point == *id) {
                    Some(known) if known.result.is_ok() => *known = reading,
                    Some(_) => {}
                    None => readings.push(reading),
                }
            }
        }
        readings
    }
}

fn faults(points: &[PointId], fault: &DeviceFault) -> Readings {
    points.iter().map(|point| Reading::now(*point, Err(fault.clone()))).collect()
}

fn rejected() -> DeviceFault {
    DeviceFault::Refused("it rejects the message".to_owned())
}

impl Model for CoapModel {
    type Ask = Ask;
    type Answer = Answer;
    type Word = Told;

    fn new(device: &Device) -> Self {
        let manner = match &device.mapping.protocol {
            Protocol::Coap(options) => codec::manner(options),
            Protocol::Modbus(_)
            | Protocol::Mqtt(_)
            | Protocol::Line(_)
            | Protocol::Ble(_)
            | Protocol::Zigbee(_) => Manner::new(Duration::from_secs(5)),
        };
        let mapping = Arc::clone(&device.mapping);
        Self { mapping, manner, assembly: Assembly::default(), counters: Counters::default() }
    }

    fn plan(&mut self, _: Instant, points: &[PointId]) -> Vec<Ask> {
        let round = self.assembly.begin();
        let requests = self.requests(points).into_iter();
        requests.map(|(request, points)| Ask { request, points, round }).collect()
    }

    fn points(&self, ask: &Ask) -> Vec<PointId> {
        ask.points.clone()
    }

    fn understand(&mut self, now: Instant, ask: &Ask, answer: Answer) -> Understood<Ask> {
        let readings = match answer {
            Answer::Response(response) if response.code.is_success() => {
                self.readings((ask.round, now), &ask.request.resource, &ask.points, &response, false)
            }
            Answer::Response(response) => faults(&ask.points, &codec::refusal(&response)),
            Answer::Rejected => faults(&ask.points, &rejected()),
        };
        Understood { readings, again: Vec::new() }
    }

    fn unanswered(&mut self, _: Instant, ask: &Ask, fault: &DeviceFault) -> Understood<Ask> {
        Understood { readings: faults(&ask.points, fault), again: Vec::new() }
    }

    /// Another resource, if there is one.
    fn sign_of_life(&self, ask: &Ask) -> Option<Ask> {
        let points: Vec<_> = self.mapping.points().map(|point| point.id).collect();
        let requests = self.requests(&points);
        let other = requests.into_iter().find(|(request, _)| request.resource != ask.request.resource);
        other.map(|(request, points)| Ask { request, points, round: ask.round })
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
        let WritePoint::Coap(place) = place else { return Err(DeviceFault::Unknown) };
        let body = place.put.body(&transform.encode(value, place.put.kind)?)?;
        let request = codec::write(place, body, self.manner);
        Ok(WriteStart::Send(Ask { request, points: Vec::new(), round: self.assembly.round() }))
    }

    fn modify(&self, _: Target, _: &Value, _: Answer) -> Result<Ask, DeviceFault> {
        Err(DeviceFault::Unknown)
    }

    fn knows_better(&mut self, _: &Ask, _: &Answer) -> bool {
        false
    }

    fn acknowledge(&self, _: &Ask, answer: Answer) -> Result<(), DeviceFault> {
        match answer {
            Answer::Response(response) if response.code.is_success() => Ok(()),
            Answer::Response(response) => Err(codec::refusal(&response)),
            Answer::Rejected => Err(rejected()),
        }
    }

    fn refuses(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Response(response) => !response.code.is_success(),
            Answer::Rejected => true,
        }
    }

    /// What is written may be rounded to what a body carries, and what is read may be coarser than that.
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
        self.assembly.forget();
    }

    fn hear(&mut self, now: Instant, word: Told) -> Heard {
        if !word.response.code.is_success() {
            return Heard::default();
        }
        let points: Vec<_> = self.mapping.points().map(|point| point.id).collect();
        let readings = self.readings((0, now), &word.resource, &points, &word.response, true);
        Heard { readings, live: true, ..Heard::default() }
    }

    fn tells(&self, point: PointId) -> bool {
        places(&self.mapping, point).any(|place| place.observe)
    }

    fn is_taciturn(&self) -> bool {
        false
    }

    fn guard(&self) -> Duration {
        Duration::ZERO
    }

    fn turnaround(&self) -> Duration {
        Duration::ZERO
    }
}
