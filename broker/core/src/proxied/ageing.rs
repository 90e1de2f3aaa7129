//! Readings that become old. Quality turns Stale by the passing of time alone, and whoever watches it is told.
//!
//! One timer a capability, that is set again for a newer reading only when it is due: a reading costs no timer.

use crate::Broker;
use crate::time::Mono;
use crate::timers::Timer;
use std::time::Duration;

impl Broker {
    /// A capability has a new reading: it will be told when that is old.
    pub(crate) fn watch_age(&mut self, device: u32, own: u32) {
        let Some(at) = self.old_at(device, own) else { return };
        let known = self.model.devices.get_mut(device).and_then(|d| d.capabilities.get_mut(&own));
        if let Some(capability) = known.filter(|c| c.old_at.is_none()) {
            capability.old_at = Some(at);
            self.timers.set(at, Timer::Age { device, own });
        }
    }

    /// A reading may be old by now.
    pub(crate) fn handle_age(&mut self, device: u32, own: u32) {
        let now = self.model.now.monotonic;
        let known = self.model.devices.get_mut(device).and_then(|d| d.capabilities.get_mut(&own));
        let Some(capability) = known.filter(|c| c.old_at.is_some_and(|at| at <= now)) else { return };
        capability.old_at = None;
        let error = capability.last_error.is_some();
        match self.old_at(device, own) {
            Some(at) if at > now => self.watch_age(device, own),
            // Of a device that is away, or of one that gives no valid reading, the quality was told already.
            Some(_) if !error && self.model.devices.get(device).is_some_and(|d| d.is_online()) => {
                if let Some(at) = self.capability_row(device, own) {
                    self.emit_change(&at, "X_USPBROKER_Quality");
                }
            }
            _ => {}
        }
    }

    /// When a capability's reading is no longer good; never for what is read on demand, or not at all.
    fn old_at(&self, device: u32, own: u32) -> Option<Mono> {
        let device = self.model.devices.get(device)?;
        let capability = device.capabilities.get(&own)?;
        let model = device.model(capability).filter(|m| m.read.is_some() && !m.max_age.is_zero())?;
        Some(capability.reading.as_ref()?.at + model.max_age + Duration::from_millis(1))
    }
}
