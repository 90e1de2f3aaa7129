//! What devices say, taken into their rows: readings with age and quality, reachability, changes worth telling.

use usp_mapping::mapping::Class;
use usp_mapping::port::{AdapterReport, DeviceFault, DeviceId, PointId};
use usp_mapping::value::Value;

use super::{Capability, Device, Quality, Reading};
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::gather::DeviceOutcome;
use crate::request::check::Effect;
use crate::time::{Mono, Now};

const LEVELS: [&str; 2] = ["LowLevel", "HighLevel"];

impl Broker {
    /// A device reports.
    pub(crate) fn handle_report(&mut self, report: AdapterReport) {
        match report {
            AdapterReport::Readings { device, readings } => {
                for (point, result) in readings {
                    self.take_result(&device, point, &result);
                }
            }
            AdapterReport::Online { device, online } => self.take_online(&device, online),
        }
    }

    fn take_online(&mut self, id: &DeviceId, online: Result<(), DeviceFault>) {
        let now = self.model.now;
        let Some(device) = self.model.devices.by_id(id) else { return };
        let was = device.is_online();
        let changed = device.online.is_none() || was != online.is_ok();
        let before = device.qualities(now, None);
        match &online {
            Ok(()) => device.last_contact = now.known_wall(),
            Err(_) if !changed => {}
            Err(fault) => tracing::warn!(device = %device.id, %fault, "a device is offline"),
        }
        if changed && online.is_ok() {
            tracing::info!(device = %device.id, "a device is online");
        }
        device.note_reach(&online);
        device.online = Some(online);
        let number = device.number;
        if changed {
            if let Some(at) = self.device_row(number) {
                self.emit_change(&at, "Online");
            }
            self.tell_qualities(number, &before);
        }
    }

    /// One capability was read, or could not be.
    fn take_result(&mut self, id: &DeviceId, point: PointId, result: &Result<Value, DeviceFault>) {
        self.take_result_of(id, point, result, false);
    }

    /// The same; what a Controller has set is shown as it was set, whatever the deadband.
    fn take_result_of(
        &mut self,
        id: &DeviceId,
        point: PointId,
        result: &Result<Value, DeviceFault>,
        is_written: bool,
    ) {
        let now = self.model.now;
        let Some(device) = self.model.devices.by_id(id) else { return };
        if !device.fits(point, result) {
            // Read under a mapping that has just been replaced.
            return;
        }
        let number = device.number;
        let came_online = result.is_ok() && !device.is_online();
        // Coming online can change what every reading is worth; else only the one that was read.
        let before = device.qualities(now, (!came_online).then_some(point));
        if result.is_ok() {
            device.online = Some(Ok(()));
        }
        if came_online {
            device.note_reach(&Ok(()));
        }
        if is_contact(result) {
            device.last_contact = now.known_wall();
        }
        let mapping = device.mapping.clone();
        let Some((own, _)) = device.at_point(point) else { return };
        let model = mapping.capabilities.get(usize::from(point.0));
        let deadband = model.and_then(|m| m.deadband).filter(|_| !is_written);
        let class = model.map_or("", |m| m.class.name());
        let at = self.class_object(number, own, class);
        let levels = at.as_ref().map(|at| self.levels(at)).unwrap_or_default();
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let changed = device.at_point(point).is_some_and(|(_, c)| c.take(result, deadband, is_written, now));
        self.watch_age(number, own);
        if came_online && let Some(at) = self.device_row(number) {
            self.emit_change(&at, "Online");
        }
        if changed && let Some(at) = at {
            self.tell_value(&at, &levels);
        }
        self.tell_qualities(number, &before);
    }

    /// What LowLevel and HighLevel read.
    fn levels(&self, at: &ObjRef) -> [Option<String>; 2] {
        LEVELS.map(|name| self.model.text(at, name))
    }

    fn tell_value(&mut self, at: &ObjRef, levels: &[Option<String>; 2]) {
        for name in ["Value", "Values", "LastChange"] {
            self.emit_change(at, name);
        }
        for ((name, was), is) in LEVELS.iter().zip(levels).zip(self.levels(at)) {
            if *was != is {
                self.emit_change(at, name);
            }
        }
    }

    /// Quality and LastError that are not what they were.
    fn tell_qualities(&mut self, number: u32, before: &[(u32, Quality, Option<String>)]) {
        let now = self.model.now;
        let Some(device) = self.model.devices.get(number) else { return };
        let of = |c: &Capability| (device.told_quality(c, now.monotonic), c.last_error.clone());
        let after: Vec<_> = before.iter().map(|(own, _, _)| device.capabilities.get(own).map(of)).collect();
        for ((own, old_quality, old_error), after) in before.iter().zip(after) {
            let Some((quality, error)) = after else { continue };
            let Some(at) = self.capability_row(number, *own) else { continue };
            if quality != *old_quality {
                self.emit_change(&at, "X_USPBROKER_Quality");
            }
            if error != *old_error {
                self.emit_change(&at, "X_USPBROKER_LastError");
            }
        }
    }

    /// A read that a Controller asked for: taken like a report, and given back as text.
    pub(crate) fn take_reading(
        &mut self,
        number: u32,
        point: PointId,
        outcome: &DeviceOutcome,
    ) -> Result<String, Fault> {
        let gone = || Fault::from_device("that is gone", &DeviceFault::Unknown);
        let id = self.model.devices.get(number).map(|d| d.id.clone()).ok_or_else(gone)?;
        let result = match outcome {
            Ok(results) => results.iter().find(|(p, _)| *p == point).map(|(_, r)| r.clone()),
            Err(fault) => Some(Err(fault.clone())),
        };
        let result = result.unwrap_or(Err(DeviceFault::Unknown));
        self.take_result(&id, point, &result);
        match result {
            Ok(value) => Ok(value.to_usp()),
            Err(fault) => self.stale_value(number, point).ok_or_else(|| Fault::from_device(&id.0, &fault)),
        }
    }

    /// The last reading, where the mapping allows to show it.
    fn stale_value(&self, number: u32, point: PointId) -> Option<String> {
        let device = self.model.devices.get(number)?;
        let model = device.mapping.capabilities.get(usize::from(point.0)).filter(|m| m.serve_stale)?;
        let capability = device.capabilities.values().find(|c| c.point == point)?;
        debug_assert!(model.serve_stale);
        Some(capability.reading.as_ref()?.value.to_usp())
    }

    /// A write that the device confirmed: what it now shows.
    pub(crate) fn take_written(&mut self, effect: &Effect, value: Value) {
        let Effect::Write { device, point, .. } = effect else { return };
        let Some(id) = self.model.devices.get(*device).map(|d| d.id.clone()) else { return };
        self.take_result_of(&id, *point, &Ok(value), true);
    }

    /// The row of a device.
    pub(crate) fn device_row(&self, number: u32) -> Option<ObjRef> {
        Some(ObjRef::new(self.model.table("Device.ProxiedDevice.")?, &[number]))
    }

    pub(super) fn capability_row(&self, number: u32, own: u32) -> Option<ObjRef> {
        let table = self.model.schema.find("Device.ProxiedDevice.{i}.IoTCapability.{i}.")?;
        Some(ObjRef::new(table, &[number, own]))
    }

    /// The class object of a capability.
    pub(crate) fn class_object(&self, number: u32, own: u32, class: &str) -> Option<ObjRef> {
        let object =
            self.model.schema.find(&format!("Device.ProxiedDevice.{{i}}.IoTCapability.{{i}}.{class}."))?;
        Some(ObjRef::new(object, &[number, own]))
    }
}

/// Whether a result shows that the device is there.
fn is_contact(result: &Result<Value, DeviceFault>) -> bool {
    matches!(
        result,
        Ok(_)
            | Err(DeviceFault::Refused(_)
                | DeviceFault::Garbled(_)
                | DeviceFault::Invalid(_)
                | DeviceFault::NotConfirmed { .. })
    )
}

impl Device {
    /// An unreachable device can be read nowhere, and that is each capability's last error until it is reachable again.
    fn note_reach(&mut self, online: &Result<(), DeviceFault>) {
        let mapping = self.mapping.clone();
        let readable = |c: &Capability| {
            mapping.capabilities.get(usize::from(c.point.0)).is_some_and(|m| m.read.is_some())
        };
        for capability in self.capabilities.values_mut().filter(|c| readable(c)) {
            capability.last_error = online.as_ref().err().map(ToString::to_string);
        }
    }

    /// The quality as subscribers know it: what is read on demand is old a moment later, and nobody is told each time.
    fn told_quality(&self, capability: &Capability, now: Mono) -> Quality {
        let on_demand = self.model(capability).is_some_and(|m| m.max_age.is_zero());
        match self.quality(capability, now) {
            Quality::Good if on_demand => Quality::Stale,
            quality => quality,
        }
    }

    /// Whether a result is of the kind that its capability has.
    fn fits(&self, point: PointId, result: &Result<Value, DeviceFault>) -> bool {
        let class = self.mapping.capabilities.get(usize::from(point.0)).map(|m| m.class);
        match (result, class) {
            (Err(_), _) | (_, None) => true,
            (Ok(Value::Bool(_)), Some(class)) => matches!(class, Class::BinaryControl | Class::BinarySensor),
            (Ok(Value::Number(_)), Some(class)) => matches!(class, Class::LevelControl | Class::LevelSensor),
            (Ok(Value::Text(_)), Some(class)) => matches!(class, Class::EnumControl | Class::EnumSensor),
            (Ok(Value::Numbers(_)), Some(class)) => class == Class::MultiLevelSensor,
            (Ok(Value::Bytes(_)), Some(class)) => class == Class::BlobSensor,
        }
    }

    /// Quality and LastError of one capability, or of all, to see later what has changed.
    fn qualities(&self, now: Now, only: Option<PointId>) -> Vec<(u32, Quality, Option<String>)> {
        let of = |(number, c): (&u32, &Capability)| {
            (*number, self.told_quality(c, now.monotonic), c.last_error.clone())
        };
        self.capabilities.iter().filter(|(_, c)| only.is_none_or(|point| c.point == point)).map(of).collect()
    }
}

impl Capability {
    /// Takes a result in. `true`: the value has changed. What is read first, after a start, is no change: readings are
    /// not stored, so that nobody knows what it was before. What a Controller writes first is one.
    fn take(
        &mut self,
        result: &Result<Value, DeviceFault>,
        deadband: Option<rust_decimal::Decimal>,
        is_written: bool,
        now: Now,
    ) -> bool {
        let value = match result {
            Ok(value) => value,
            Err(fault) => {
                self.last_error = Some(fault.to_string());
                return false;
            }
        };
        self.last_error = None;
        self.contact = now.known_wall();
        let known = self.reading.take().or_else(|| self.earlier.take());
        let (is_first, at) = (known.is_none(), now.monotonic);
        match known {
            Some(reading) if is_same(&reading.value, value, deadband) => {
                self.reading = Some(Reading { at, ..reading });
                false
            }
            _ => {
                self.reading = Some(Reading { value: value.clone(), at, changed: now.known_wall() });
                is_written || !is_first
            }
        }
    }
}

/// A change smaller than the deadband is none.
fn is_same(old: &Value, new: &Value, deadband: Option<rust_decimal::Decimal>) -> bool {
    match (old, new, deadband) {
        // A difference too large to be told is beyond any band.
        (Value::Number(old), Value::Number(new), Some(band)) => {
            old.checked_sub(*new).is_some_and(|moved| moved.abs() < band)
        }
        (old, new, _) => old == new,
    }
}
