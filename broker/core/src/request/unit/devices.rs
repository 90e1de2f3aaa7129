//! The devices' part of a unit: all its writes to one device are one call.

use std::time::Duration;

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
            let within = broker.write_within(device, &writes);
            let tag = self.ask(index, What::Device(device));
            broker.ask_device(id, tag, device, Action::Write(writes), within);
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
    /// How long a write may take in all: waiting, sending, confirming.
    pub(crate) fn write_within(&self, device: u32, writes: &[(PointId, Value)]) -> Duration {
        let mapping = self.model.devices.get(device).map(|d| d.mapping.clone());
        let of_point = |point: &PointId| {
            let write = mapping.as_ref()?.model(*point)?.write.as_ref()?;
            Some(write.ttl + write.verify.map(|verify| verify.within).unwrap_or_default())
        };
        let longest = writes.iter().filter_map(|(p, _)| of_point(p)).max().unwrap_or(Duration::from_secs(5));
        longest + Duration::from_secs(1)
    }
}
