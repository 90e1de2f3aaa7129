//! What time alone does to readings: they become old, and the windows of BinarySensors end. Whoever watches is told.
//!
//! One timer a device for the age of its readings, that is set again for newer ones only when it is due: a reading costs no
//! timer.

use std::time::Duration;

use usp_mapping::mapping;
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::value::Value;

use super::objects::Place;
use super::{Device, Reading, Word};
use crate::Broker;
use crate::time::Mono;
use crate::timers::Timer;

impl Broker {
    /// A capability has a new reading: it will be told when that is old.
    pub(super) fn watch_age(&mut self, device: u32, place: Place) {
        let Some(known) = self.model.devices.get_mut(device) else { return };
        let point = known.capabilities.get(place).map(|capability| capability.point);
        if let Some(at) = point.and_then(|point| known.becomes_old(point)) {
            self.look_at_ages(device, at);
        }
    }

    /// Sees to it that a device is looked at when one of its readings becomes old.
    pub(super) fn look_at_ages(&mut self, device: u32, at: Mono) {
        let Some(known) = self.model.devices.get_mut(device) else { return };
        let timer = Timer::Age(device);
        match known.old_at {
            Some(earlier) if earlier <= at => return,
            Some(later) => self.timers.clear(later, timer),
            None => {}
        }
        known.old_at = Some(at);
        self.timers.set(at, timer);
    }

    /// Some readings of a device may be old by now.
    pub(crate) fn handle_age(&mut self, number: u32) {
        let now = self.model.now.monotonic;
        let known = self.model.devices.get_mut(number);
        let Some(device) = known.filter(|d| d.old_at.is_some_and(|at| at <= now)) else { return };
        device.old_at = None;
        let (old, next) = device.grow_old(now);
        if let Some(at) = next {
            self.look_at_ages(number, at);
        }
        for place in old {
            let at = self.model.devices.objects.capability_row(number, place);
            self.emit_change(&at, "X_USPBROKER_Quality");
        }
    }

    /// What the windows of a BinarySensor make of what its device says.
    pub(super) fn sense(&mut self, device: u32, place: Place, heard: Value, word: Word) -> Value {
        let Some(windows) = self.model.windows(device, place) else { return heard };
        let (now, good) = (self.model.now.monotonic, self.is_good_at(device, place));
        // Of what is of any age nobody knows whether it is later than anything.
        let said = word.said_at(now).unwrap_or_default();
        match (heard, self.model.devices.capability_mut(device, place)) {
            (Value::Bool(stimulus), Some(capability)) => {
                let (sensor, _) = &mut **capability.sensor.get_or_insert_default();
                let value = sensor.hear(stimulus, said, windows, good, now);
                self.watch_sensor(device, place);
                Value::Bool(value)
            }
            (heard, _) => heard,
        }
    }

    /// A window may have ended, or was changed.
    pub(crate) fn handle_sensor(&mut self, device: u32, place: Place) {
        let (now, Some(windows)) = (self.model.now, self.model.windows(device, place)) else { return };
        let good = self.is_good_at(device, place);
        let Some(capability) = self.model.devices.capability_mut(device, place) else { return };
        let (sensor, _) = &mut **capability.sensor.get_or_insert_default();
        let value = sensor.look(windows, good, now.monotonic);
        let changed = capability.turn(Value::Bool(value), now);
        self.watch_sensor(device, place);
        if changed {
            self.tell_value(device, place, &[None, None]);
        }
    }

    /// A Controller has changed a window.
    pub(crate) fn handle_windows(&mut self, at: &crate::dm::rows::ObjRef) {
        let found = self.model.devices.capability(at).map(|(device, place, _)| (device.number, place));
        if let Some((device, place)) = found {
            self.handle_sensor(device, place);
        }
    }

    fn watch_sensor(&mut self, device: u32, place: Place) {
        let Some(windows) = self.model.windows(device, place) else { return };
        let Some(capability) = self.model.devices.capability_mut(device, place) else { return };
        let (sensor, known) = &mut **capability.sensor.get_or_insert_default();
        let due = sensor.due(windows);
        let was = std::mem::replace(known, due);
        if was == due {
            return;
        }
        let timer = Timer::Sensor { device, place };
        if let Some(at) = was {
            self.timers.clear(at, timer);
        }
        if let Some(at) = due {
            self.timers.set(at, timer);
        }
    }
}

impl Device {
    /// Never for a window that the device holds: no Parameter tells its quality.
    fn old_at(&self, point: PointId) -> Option<Mono> {
        let model = self.mapping.capabilities.get(usize::from(point.0))?;
        old_at(model, self.capabilities.at(point)?.reading.as_ref()?)
    }

    /// From now on it is watched until it becomes old; when that is.
    pub(super) fn becomes_old(&mut self, point: PointId) -> Option<Mono> {
        let at = self.old_at(point)?;
        self.capabilities.at_mut(point)?.ages = true;
        Some(at)
    }

    /// What has become old since the last look and is to be told, and when the next look is due. Of a device that is
    /// away, or of a capability that gives no valid reading, the quality was told already.
    fn grow_old(&mut self, now: Mono) -> (Vec<Place>, Option<Mono>) {
        let (online, away) = (self.is_online(), self.away);
        let (mut old, mut next) = (Vec::new(), None);
        for (place, capability) in self.capabilities.iter_mut().filter(|(_, c)| c.ages) {
            let model = self.mapping.capabilities.get(usize::from(capability.point.0));
            let read = capability.reading.as_ref();
            match model.zip(read).and_then(|(model, read)| old_at(model, read)) {
                Some(at) if at > now => next = Some(next.map_or(at, |known: Mono| known.min(at))),
                due => {
                    capability.ages = false;
                    let was_good =
                        capability.doubted.is_none() && read.is_some_and(|read| !read.is_before(away));
                    // That it cannot just now says nothing of its reading.
                    let stands =
                        capability.failed.as_deref().is_none_or(|f| matches!(f, DeviceFault::Busy(_)));
                    if due.is_some() && online && was_good && stands {
                        old.push(place);
                    }
                }
            }
        }
        old.sort_unstable();
        (old, next)
    }
}

/// When a reading is no longer good; never for what was kept and may be old already.
fn old_at(model: &mapping::Capability, reading: &Reading) -> Option<Mono> {
    (becomes_old(model) && !reading.kept).then(|| old_after(reading.at, model.max_age))
}

/// Whether its readings are no longer good after a while; not of what is read on demand, or not at all.
pub(super) fn becomes_old(model: &mapping::Capability) -> bool {
    !model.max_age.is_zero() && model.read.is_some()
}

/// When what was said at an instant is older than that.
pub(super) fn old_after(said: Mono, max_age: Duration) -> Mono {
    said + Duration::from_millis(1).saturating_add(max_age)
}
