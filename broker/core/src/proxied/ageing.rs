//! What time alone does to readings: they become old, and the windows of BinarySensors end. Whoever watches is told.
//!
//! One timer a capability for its age, that is set again for a newer reading only when it is due: a reading costs no timer.

use std::time::Duration;

use usp_mapping::value::Value;

use super::objects::Place;
use crate::Broker;
use crate::time::Mono;
use crate::timers::Timer;

impl Broker {
    /// A capability has a new reading: it will be told when that is old.
    pub(crate) fn watch_age(&mut self, device: u32, place: Place) {
        let Some(at) = self.old_at(device, place) else { return };
        let known = self.model.devices.capability_mut(device, place);
        if let Some(capability) = known.filter(|c| c.old_at.is_none()) {
            capability.old_at = Some(at);
            self.timers.set(at, Timer::Age { device, place });
        }
    }

    /// A reading may be old by now.
    pub(crate) fn handle_age(&mut self, device: u32, place: Place) {
        let now = self.model.now.monotonic;
        let known = self.model.devices.capability_mut(device, place);
        let Some(capability) = known.filter(|c| c.old_at.is_some_and(|at| at <= now)) else { return };
        capability.old_at = None;
        let failed = capability.failed.is_some();
        match self.old_at(device, place) {
            Some(at) if at > now => self.watch_age(device, place),
            // Of a device that is away, or of one that gives no valid reading, the quality was told already.
            Some(_) if !failed && self.model.devices.get(device).is_some_and(|d| d.is_online()) => {
                let at = self.model.devices.objects.capability_row(device, place);
                self.emit_change(&at, "X_USPBROKER_Quality");
            }
            _ => {}
        }
    }

    /// When a capability's reading is no longer good; never for what is read on demand, or not at all.
    fn old_at(&self, device: u32, place: Place) -> Option<Mono> {
        let device = self.model.devices.get(device)?;
        let capability = device.capabilities.get(&place)?;
        let model = device.model(capability).filter(|m| m.read.is_some() && !m.max_age.is_zero())?;
        let age = Duration::from_millis(1).saturating_add(model.max_age);
        Some(capability.reading.as_ref()?.at + age)
    }

    /// What the windows of a BinarySensor make of what its device says.
    pub(super) fn sense(&mut self, device: u32, place: Place, heard: Value) -> Value {
        let Some(windows) = self.model.windows(device, place) else { return heard };
        let now = self.model.now.monotonic;
        match (heard, self.model.devices.capability_mut(device, place)) {
            (Value::Bool(stimulus), Some(capability)) => {
                let (sensor, _) = &mut **capability.sensor.get_or_insert_default();
                let value = sensor.hear(stimulus, windows, now);
                self.watch_sensor(device, place);
                Value::Bool(value)
            }
            (heard, _) => heard,
        }
    }

    /// A window may have ended, or was changed.
    pub(crate) fn handle_sensor(&mut self, device: u32, place: Place) {
        let (now, Some(windows)) = (self.model.now, self.model.windows(device, place)) else { return };
        let Some(capability) = self.model.devices.capability_mut(device, place) else { return };
        let (sensor, _) = &mut **capability.sensor.get_or_insert_default();
        let value = sensor.look(windows, now.monotonic);
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
