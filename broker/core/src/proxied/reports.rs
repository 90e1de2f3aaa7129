//! What devices say, taken into their rows: readings with age and quality, and whether they can be reached.

use std::sync::Arc;
use std::time::Duration;

use usp_mapping::mapping::{self, Class, Mapping};
use usp_mapping::port::{self, AdapterReport, DeviceFault, DeviceId, Freshness, PointId, Readings};
use usp_mapping::value::Value;
use usp_proto::err_code::ErrCode;

use super::ageing::{becomes_old, old_after};
use super::capabilities::Capabilities;
use super::objects::Place;
use super::watching::Levels;
use super::{Capability, Device, Reading, Word, is_contact, is_same};
use crate::Broker;
use crate::fault::Fault;
use crate::gather::DeviceOutcome;
use crate::request::check::Effect;
use crate::subscriptions::NotifKind;
use crate::time::{Mono, Now, Wall};

impl Broker {
    /// A device reports.
    pub(crate) fn handle_report(&mut self, report: AdapterReport) {
        match report {
            AdapterReport::Readings { device, mapping, readings } => {
                if let Some(number) = self.device_read_by(&device, mapping) {
                    self.take_readings(number, readings);
                }
            }
            AdapterReport::Online { device, online } => {
                if let Some(number) = self.model.devices.number(&device) {
                    self.take_online(number, online, true);
                }
            }
            AdapterReport::Doubtful { device, mapping, points, why } => {
                if let Some(number) = self.device_read_by(&device, mapping) {
                    self.take_doubt(number, &points, why);
                }
            }
            AdapterReport::Believed { device } => {
                if let Some(number) = self.model.devices.number(&device) {
                    self.take_online(number, Ok(()), false);
                }
            }
        }
    }

    /// The device, if what was read under a mapping still means what it meant then.
    fn device_read_by(&mut self, id: &DeviceId, mapping: Arc<Mapping>) -> Option<u32> {
        let number = self.model.devices.number(id)?;
        let device = self.model.devices.get_mut(number)?;
        if Arc::ptr_eq(&device.mapping, &mapping) {
            return Some(number);
        }
        if device.mapping != mapping {
            tracing::debug!(device = %id, "a reading under a mapping that was replaced meanwhile");
            return None;
        }
        // Next time one look will do.
        device.mapping = mapping;
        Some(number)
    }

    /// What was read together. What events carry is read before they happen.
    pub(super) fn take_readings(&mut self, number: u32, readings: Readings) {
        let (now, watched) = (self.model.now, self.subs.watches(NotifKind::ValueChange));
        let (mut events, mut readings) = (Vec::new(), readings.into_iter());
        loop {
            let Some(device) = self.model.devices.get_mut(number) else { return };
            let points = device.capabilities.len();
            let mut usual = Usual::of(device, now, watched);
            let special = readings.find_map(|reading| match usual.take(reading) {
                Some(event) if usize::from(event.point.0) >= points => {
                    events.push(event);
                    None
                }
                special => special,
            });
            if let Some(age) = usual.soonest {
                self.look_at_ages(number, old_after(now.monotonic, age));
            }
            let Some(port::Reading { point, result, freshness }) = special else { break };
            self.take_result(number, point, result, Word::Read(freshness));
        }
        // What was kept of former times has happened then.
        for port::Reading { point, result, .. } in events.into_iter().filter(|it| it.freshness.contact) {
            self.take_seen(number, point, result);
        }
    }

    /// It is there, which was heard or is only believed, or it is not.
    fn take_online(&mut self, number: u32, online: Result<(), DeviceFault>, is_heard: bool) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let was = device.is_online();
        let is_news = device.online.is_none() || was != online.is_ok();
        // Another reason is told too.
        let is_other = device.online.as_ref() != Some(&online);
        let before = if is_other { device.qualities(now) } else { Vec::new() };
        if let Err(fault) = &online {
            (device.away, device.spoken) = (Some(now.monotonic), false);
            if is_news {
                device.why_away = words(fault).into();
            }
        }
        match &online {
            Ok(()) if is_heard => device.last_contact = now.known_wall(),
            Ok(()) => {}
            Err(_) if !is_news => {}
            Err(fault) => tracing::warn!(device = %device.id, %fault, "a device is offline"),
        }
        if is_news && online.is_ok() {
            tracing::info!(device = %device.id, "a device is online");
        }
        if online.is_ok() && !was {
            device.forget_silence();
        }
        // Who comes has not been read yet; who does not come cannot be read.
        let heard = online.is_err();
        device.online = Some(online);
        self.tell_online(number, was);
        for (place, before) in before {
            self.tell_quality(number, place, &before, heard);
        }
    }

    /// What it said before may not be the last that it has said.
    fn take_doubt(&mut self, number: u32, points: &[PointId], why: Arc<str>) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let before = device.qualities(now);
        device.why_doubted = Some(why);
        for point in points {
            if let Some(capability) = device.capabilities.at_mut(*point) {
                capability.doubted = Some(now.monotonic);
            }
        }
        for (place, before) in before {
            self.tell_quality(number, place, &before, false);
        }
    }

    /// It was heard for the first time since it was away: what was kept of it may be believed now.
    fn note_spoken(&mut self, number: u32) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let before = if device.is_online() { device.qualities(now) } else { Vec::new() };
        device.spoken = true;
        for (place, before) in before {
            self.tell_quality(number, place, &before, false);
        }
    }

    /// One capability was read, written, or could not be. What a Controller has set is shown as it was set, whatever the
    /// deadband.
    fn take_result(&mut self, number: u32, point: PointId, result: Result<Value, DeviceFault>, word: Word) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let Some(place) = device.place(point).filter(|_| device.fits(point, &result)) else { return };
        let was_online = device.is_online();
        let is_answer = |result: &Result<_, _>| result.as_ref().err().is_none_or(is_contact);
        if word.is_contact() && is_answer(&result) && !device.spoken {
            self.note_spoken(number);
        }
        if result.is_ok() && !was_online && word.is_contact() {
            self.take_online(number, Ok(()), true);
        }
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let before = device.told(place, now.monotonic);
        if word.is_contact() && is_answer(&result) {
            device.last_contact = now.known_wall();
        }
        match result {
            Ok(value) => self.take_value(number, place, value, word),
            Err(fault) => {
                // That it could not be asked says nothing against what it said before.
                let is_doubt = word.is_contact() || is_contact(&fault);
                let capability = device.capabilities.get_mut(place);
                if let Some(known) = capability.filter(|known| is_doubt || known.reading.is_none()) {
                    known.failed = Some(Box::new(fault));
                }
            }
        }
        if let Some(before) = before {
            self.tell_quality(number, place, &before, true);
        }
    }

    fn take_value(&mut self, number: u32, place: Place, value: Value, word: Word) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get(number) else { return };
        let model = device.capabilities.get(place).and_then(|c| device.model(c));
        let Some(model) = model else { return };
        let (class, has_levels) = (model.class, has_levels(model));
        let deadband = model.deadband.filter(|_| !matches!(word, Word::Written(_)));
        let levels = if has_levels { self.levels(number, place) } else { Default::default() };
        // That a threshold is crossed is told, be the step ever so small.
        let deadband = deadband.filter(|_| !has_levels || !self.crosses(number, place, &value, &levels));
        let knows_better = device.capabilities.get(place);
        if knows_better.is_some_and(|known| known.knows_better(&value, deadband, word, now)) {
            return;
        }
        let is_sensor = class == Class::BinarySensor;
        let value = if is_sensor { self.sense(number, place, value, word) } else { value };
        let Some(capability) = self.model.devices.capability_mut(number, place) else { return };
        let replaced = has_levels && capability.earlier.is_some();
        let changed = capability.take(value, deadband, word, now);
        self.watch_age(number, place);
        if changed {
            self.tell_value(number, place, &levels);
        } else if replaced {
            self.tell_levels(number, place, &levels);
        }
    }

    /// Whether a value is beyond a threshold that the last one had not reached, or the other way round.
    fn crosses(&self, number: u32, place: Place, value: &Value, before: &Levels) -> bool {
        match value {
            Value::Number(value) => self.levels_of(number, place, Some(*value)) != *before,
            Value::Bool(_) | Value::Text(_) | Value::Numbers(_) | Value::Bytes(_) => false,
        }
    }

    /// A read that a Controller asked for: taken like a report, and given back as what it shows.
    pub(crate) fn take_reading(
        &mut self,
        number: u32,
        point: PointId,
        outcome: &DeviceOutcome,
    ) -> Result<Value, Fault> {
        let gone = || Fault::from_device_read("that is gone", &DeviceFault::Unknown);
        let id = self.model.devices.get(number).map(|d| d.id.clone()).ok_or_else(gone)?;
        let (result, freshness) = result_of(outcome, point);
        self.take_result(number, point, result.clone(), Word::Read(freshness));
        let device = self.model.devices.get(number).ok_or_else(gone)?;
        let capability = device.at_point(point).ok_or_else(gone)?;
        let reading = capability.reading.as_ref();
        let fault = match result {
            // Within the deadband the device's own word is the more exact one.
            Ok(value @ Value::Number(_)) if freshness.is_now() => return Ok(value),
            Ok(value) if freshness.is_now() || self.is_good(number, point) => {
                return Ok(reading.map_or(value, |r| r.value.clone()));
            }
            Ok(_) => Fault::new(ErrCode::INTERNAL_ERROR, device.why_old(capability)),
            Err(fault) => Fault::from_device_read(&id.0, &fault),
        };
        let stale = reading.filter(|_| device.model(capability).is_some_and(|m| m.serve_stale));
        stale.map(|r| r.value.clone()).ok_or(fault)
    }

    /// Whether the reading of a point can be taken for what the device has now.
    pub(super) fn is_good(&self, number: u32, point: PointId) -> bool {
        let device = self.model.devices.get(number);
        let capability = device.and_then(|device| device.at_point(point));
        device.zip(capability).is_some_and(|(device, it)| self.model.quality(device, it).is_good())
    }

    /// A write that the device confirmed so long ago: what it showed then. What it only took, and can show, is no reading.
    pub(crate) fn take_written(&mut self, effect: &Effect, value: Value, age: Duration) {
        let Effect::Write { device, point, .. } = effect else { return };
        let shows_itself = self.model.devices.get(*device).is_some_and(|known| known.shows_itself(*point));
        if !shows_itself {
            self.take_result(*device, *point, Ok(value), Word::Written(age));
        }
    }

    /// See [`Broker::take_unwritten`].
    pub(crate) fn take_failed_write(&mut self, effect: &Effect, fault: &DeviceFault) {
        if let Effect::Write { device, point, .. } = effect {
            self.take_unwritten(*device, *point, fault);
        }
    }

    /// A write failed. Where nobody knows what the device has now, what was read before is not good until it shows that.
    pub(crate) fn take_unwritten(&mut self, device: u32, point: PointId, fault: &DeviceFault) {
        let now = self.model.now.monotonic;
        let known = self.model.devices.get_mut(device).filter(|_| fault.leaves_open());
        let Some((known, place)) = known.and_then(|known| known.place(point).map(|place| (known, place)))
        else {
            return;
        };
        let before = known.told(place, now);
        let why = format!("what it has after a write is not known: {fault}");
        // What gives no valid reading is no better for it.
        let stands = |known: &&mut Capability| {
            let failed = known.failed.as_deref();
            known.reading.is_some() && failed.is_none_or(|fault| matches!(fault, DeviceFault::Busy(_)))
        };
        if let Some(capability) = known.capabilities.get_mut(place).filter(stands) {
            capability.failed = Some(Box::new(DeviceFault::Unsettled(why)));
        }
        if let Some(before) = before {
            self.tell_quality(device, place, &before, true);
        }
    }
}

/// Takes the usual readings of very many in: of a device that is online, and nobody is told of them. Not so of windows that
/// the device holds.
struct Usual<'d> {
    models: &'d [mapping::Capability],
    capabilities: &'d mut Capabilities,
    last_contact: &'d mut Option<Wall>,
    /// Whether the device may have such readings.
    is_there: bool,
    /// When it was last out of reach: what was read before is not good, and that it is again is told.
    away: Option<Mono>,
    now: Now,
    /// Somebody is told of changes.
    watched: bool,
    /// How long it takes until the first of those that were taken in becomes old.
    soonest: Option<Duration>,
}

impl<'d> Usual<'d> {
    fn of(device: &'d mut Device, now: Now, watched: bool) -> Self {
        let (is_there, away) = (device.is_online() && device.spoken, device.away);
        let Device { mapping, capabilities, last_contact, .. } = device;
        let models = &mapping.capabilities;
        Self { models, capabilities, last_contact, is_there, away, now, watched, soonest: None }
    }

    /// Gives back what is not usual.
    fn take(&mut self, reading: port::Reading) -> Option<port::Reading> {
        let port::Reading { point, result: Ok(value), freshness } = reading else { return Some(reading) };
        let special = |value| Some(port::Reading { point, result: Ok(value), freshness });
        let model = self.models.get(usize::from(point.0));
        let (Some(model), Some(capability)) = (model, self.capabilities.at_mut(point)) else {
            return special(value);
        };
        let fits = model.class != Class::BinarySensor && fits(&value, model.class);
        let is_usual = self.is_there && fits && freshness.is_now() && !may_cross(model, capability, &value);
        if !is_usual || (self.watched && !is_no_news(model, capability, &value, self.away, self.now)) {
            return special(value);
        }
        capability.take(value, model.deadband, Word::Read(Freshness::NOW), self.now);
        capability.settled.set(true);
        capability.ages = becomes_old(model);
        if capability.ages && self.soonest.is_none_or(|soonest| model.max_age < soonest) {
            self.soonest = Some(model.max_age);
        }
        *self.last_contact = self.now.known_wall();
        None
    }
}

fn has_levels(model: &mapping::Capability) -> bool {
    model.low_threshold.is_some() || model.high_threshold.is_some()
}

/// Whether a value that the deadband would keep away may lie on the other side of a threshold.
fn may_cross(model: &mapping::Capability, capability: &Capability, value: &Value) -> bool {
    let is_another = || capability.last().is_none_or(|known| known.value != *value);
    model.deadband.is_some() && has_levels(model) && is_another()
}

/// Whether a value says nothing that was not known, nor makes good what was not.
fn is_no_news(
    model: &mapping::Capability,
    capability: &Capability,
    value: &Value,
    away: Option<Mono>,
    now: Now,
) -> bool {
    let is_fresh = |r: &Reading| match model.max_age.is_zero() {
        true => !r.kept,
        false => r.is_fresh(model.max_age, now.monotonic),
    };
    let is_good = |r: &Reading| !r.is_before(away) && is_fresh(r);
    let is_known = |r: &Reading| is_good(r) && is_same(&r.value, value, model.deadband);
    let is_told = capability.failed.is_none() && !capability.untold && capability.doubted.is_none();
    is_told && capability.reading.as_ref().is_some_and(is_known)
}

impl Device {
    /// It answers again: that it did not says nothing any more. What it answered without a value does.
    fn forget_silence(&mut self) {
        for (_, capability) in self.capabilities.iter_mut() {
            capability.failed = capability.failed.take().filter(|fault| is_contact(fault));
        }
    }

    /// Whether a result is of the kind that its capability has.
    fn fits(&self, point: PointId, result: &Result<Value, DeviceFault>) -> bool {
        let class = self.mapping.model(point).map(|m| m.class);
        match (result, class) {
            (Err(_), _) | (_, None) => true,
            (Ok(value), Some(class)) => fits(value, class),
        }
    }
}

/// Why a device is out of reach, in words that stand within others.
fn words(fault: &DeviceFault) -> String {
    match fault {
        DeviceFault::Unreachable(cause) => cause.clone(),
        other => other.to_string(),
    }
}

/// What a call brought of a point, and how fresh that is. That the call failed is known now.
fn result_of(outcome: &DeviceOutcome, point: PointId) -> (Result<Value, DeviceFault>, Freshness) {
    match outcome {
        Ok(results) => match results.iter().find(|reading| reading.point == point) {
            Some(reading) => (reading.result.clone(), reading.freshness),
            None => (Err(DeviceFault::Unknown), Freshness::NOW),
        },
        Err(fault) => (Err(fault.clone()), Freshness::NOW),
    }
}

fn fits(value: &Value, class: Class) -> bool {
    match value {
        Value::Bool(_) => matches!(class, Class::BinaryControl | Class::BinarySensor),
        Value::Number(_) => matches!(class, Class::LevelControl | Class::LevelSensor),
        Value::Text(_) => matches!(class, Class::EnumControl | Class::EnumSensor),
        Value::Numbers(_) => class == Class::MultiLevelSensor,
        Value::Bytes(_) => class == Class::BlobSensor,
    }
}
