//! The devices' part of a unit: all its writes to one device are one call.

use std::time::Duration;

use usp_mapping::mapping::{LONGEST_BUSY, WriteBinding};
use usp_mapping::port::{Action, PointId};
use usp_mapping::value::Value;

use super::{Step, Unit, UnitJob, UnitKind, What};
use crate::Broker;
use crate::gather::JobId;
use crate::request::check::Effect;

impl UnitJob {
    /// All writes to one device are one call, so that nothing comes between them.
    pub(super) fn ask_devices(&mut self, broker: &mut Broker, id: JobId, index: usize) {
        let Some(unit) = self.units.get_mut(index) else { return };
        if !unit.check_again(broker, &mut self.kind) {
            return;
        }
        unit.note_shown(broker);
        for device in unit.devices() {
            let Some(unit) = self.units.get(index) else { return };
            let writes: Vec<(PointId, Value)> = unit.writes_to(device).map(|(p, v)| (p, v.clone())).collect();
            let (within, takes) = (broker.write_within(device, &writes), broker.write_takes(device, &writes));
            let tag = self.ask(index, What::Device(device));
            let asked = self.busy.entry(device).or_default();
            let behind = std::mem::replace(asked, LONGEST_BUSY.min(*asked + takes));
            let action = Action::Write(writes);
            broker.ask_device_behind(id, tag, device, action, behind + within, behind);
        }
    }
}

impl Unit {
    /// A device may have got another mapping since its writes were planned: they go to where the capability is now, if it
    /// still takes them.
    fn check_again(&mut self, broker: &Broker, kind: &mut UnitKind) -> bool {
        let mut failed = None;
        for (entry, step) in &mut self.steps {
            let Step::Effect(effect) = step else { continue };
            let Effect::Write { value, at, name, .. } = effect else { continue };
            match broker.model.check_value(at, name, &value.to_usp()) {
                Ok(now) => *effect = now,
                Err(fault) => {
                    if let UnitKind::Set { entries, .. } = kind
                        && let Some(entry) = entries.get_mut(*entry)
                    {
                        entry.fail(&fault, Some(effect));
                    }
                    failed.get_or_insert(fault);
                }
            }
        }
        let is_good = failed.is_none();
        failed.into_iter().for_each(|fault| self.fail(fault, Vec::new()));
        is_good
    }

    fn writes_to(&self, device: u32) -> impl Iterator<Item = (PointId, &Value)> {
        self.steps.iter().filter_map(move |(_, step)| match step {
            Step::Effect(Effect::Write { device: d, point, value, .. }) if *d == device => {
                Some((*point, value))
            }
            _ => None,
        })
    }
}

impl Broker {
    /// How long a write unit may take in all: waiting to be sent, sending and confirming one value after the other.
    pub(crate) fn write_within(&self, device: u32, writes: &[(PointId, Value)]) -> Duration {
        let ttl = self.bindings(device, writes).map(|write| write.ttl).max();
        ttl.unwrap_or(Duration::from_secs(5)) + self.write_takes(device, writes) + Duration::from_secs(1)
    }

    /// How long it may take once it has begun.
    fn write_takes(&self, device: u32, writes: &[(PointId, Value)]) -> Duration {
        let pause = self.model.devices.get(device).map(|device| device.mapping.write_pause());
        let pause = pause.unwrap_or_default();
        let takes = self.bindings(device, writes).map(|write| write.takes + write.rate.max(pause));
        takes.fold(Duration::ZERO, Duration::saturating_add).min(LONGEST_BUSY)
    }

    fn bindings(&self, device: u32, writes: &[(PointId, Value)]) -> impl Iterator<Item = &WriteBinding> {
        let mapping = self.model.devices.get(device).map(|device| &device.mapping);
        writes.iter().filter_map(move |(point, _)| mapping?.model(*point)?.write.as_ref())
    }
}
