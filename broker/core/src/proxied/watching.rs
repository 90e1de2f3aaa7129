//! Who watches devices is told what has changed about them: values, quality, reachability, events.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use usp_mapping::mapping::{Class, EventArg, Mapping};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::value::Value;
use usp_proto::path::Path;
use usp_proto::usp::notify::{Event, Notification};

use super::look::level_of;
use super::objects::Place;
use super::{Device, Quality};
use crate::Broker;
use crate::subscriptions::{Happening, NotifKind};
use crate::time::{Mono, Now};

pub(super) const LEVELS: [&str; 2] = ["LowLevel", "HighLevel"];

/// What LowLevel and HighLevel read.
pub(super) type Levels = [Option<String>; 2];

/// Quality and LastError as they are told.
pub(super) type Told = (Quality, String);

impl Broker {
    /// What LowLevel and HighLevel say of the last reading; of one under a description that was replaced, what they said of it
    /// then.
    pub(super) fn levels(&self, number: u32, place: Place) -> Levels {
        let device = self.model.devices.get(number);
        let known = device.and_then(|device| device.capabilities.get(place));
        let earlier = known.filter(|known| known.reading.is_none()).and_then(|known| known.earlier.as_ref());
        if let Some(levels) = earlier.and_then(|earlier| earlier.levels.clone()) {
            return levels;
        }
        self.levels_of(number, place, known.and_then(|known| known.last()?.number()))
    }

    /// The same of a number.
    pub(super) fn levels_of(&self, number: u32, place: Place, value: Option<Decimal>) -> Levels {
        let Some(class) = self.class_of(number, place) else { return Levels::default() };
        let at = self.model.devices.objects.class_object(number, place, class);
        LEVELS.map(|name| level_of(value, name, &self.model.text(&at, &format!("{name}Threshold"))?))
    }

    fn class_of(&self, number: u32, place: Place) -> Option<Class> {
        let device = self.model.devices.get(number)?;
        Some(device.model(device.capabilities.get(place)?)?.class)
    }

    /// A capability has another value.
    pub(super) fn tell_value(&mut self, number: u32, place: Place, levels: &Levels) {
        let shown = self.is_shown(number, place);
        if let Some(capability) = self.model.devices.capability_mut(number, place) {
            capability.untold = !shown;
        }
        if shown {
            self.tell_shown(number, place);
        }
        let Some(class) = self.class_of(number, place).filter(|_| place.window.is_none()) else { return };
        let at = self.model.devices.objects.class_object(number, place, class);
        self.emit_change(&at, "LastChange");
        self.tell_levels(number, place, levels);
    }

    /// LowLevel and HighLevel, where they are not what they were.
    pub(super) fn tell_levels(&mut self, number: u32, place: Place, before: &Levels) {
        let now = self.levels(number, place);
        let Some(class) = self.class_of(number, place).filter(|_| now != *before) else { return };
        let at = self.model.devices.objects.class_object(number, place, class);
        for ((name, was), is) in LEVELS.iter().zip(before).zip(now) {
            if *was != is {
                self.emit_change(&at, name);
            }
        }
    }

    /// Whether a Get shows the value.
    fn is_shown(&self, number: u32, place: Place) -> bool {
        let device = self.model.devices.get(number);
        let found = device.and_then(|device| Some((device, device.capabilities.get(place)?)));
        found.is_some_and(|(device, capability)| self.model.shows(device, capability))
    }

    /// The value itself.
    fn tell_shown(&mut self, number: u32, place: Place) {
        let class = match place.window {
            Some(_) => Some(Class::BinarySensor),
            None => self.class_of(number, place),
        };
        let Some(class) = class else { return };
        let at = self.model.devices.objects.class_object(number, place, class);
        match place.window {
            Some(window) => self.emit_change(&at, window.name()),
            None => ["Value", "Values"].into_iter().for_each(|name| self.emit_change(&at, name)),
        }
    }

    /// A value that was not good when it came is told when it is.
    fn tell_untold(&mut self, number: u32, place: Place) {
        let shown = self.is_shown(number, place);
        let capability = self.model.devices.capability_mut(number, place);
        let Some(capability) = capability.filter(|known| shown && known.untold) else { return };
        capability.untold = false;
        self.tell_shown(number, place);
        if self.levels(number, place).iter().any(Option::is_some)
            && let Some(class) = self.class_of(number, place)
        {
            let at = self.model.devices.objects.class_object(number, place, class);
            LEVELS.into_iter().for_each(|name| self.emit_change(&at, name));
        }
    }

    /// Whether a device is online may have changed.
    pub(super) fn tell_online(&mut self, number: u32, was: bool) {
        let Some(device) = self.model.devices.get(number) else { return };
        if device.settled.replace(true) && device.is_online() != was {
            let at = self.model.devices.objects.device_row(number);
            self.emit_change(&at, "Online");
        }
    }

    /// Quality and LastError that are not what they were; `heard`: this settles what they were at first.
    pub(super) fn tell_quality(&mut self, number: u32, place: Place, before: &Told, heard: bool) {
        self.tell_untold(number, place);
        let now = self.model.now.monotonic;
        let Some(device) = self.model.devices.get(number) else { return };
        let Some(capability) = device.capabilities.get(place) else { return };
        let was_settled = capability.settled.get();
        capability.settled.set(was_settled || heard);
        if !was_settled || place.window.is_some() {
            return;
        }
        let Some((quality, error)) = device.told(place, now) else { return };
        let at = self.model.devices.objects.capability_row(number, place);
        if quality != before.0 {
            self.emit_change(&at, "X_USPBROKER_Quality");
        }
        if error != before.1 {
            self.emit_change(&at, "X_USPBROKER_LastError");
        }
    }

    /// What an event is seen by was read. Of what was not seen before nobody knows what it was.
    pub(super) fn take_seen(&mut self, number: u32, point: PointId, result: Result<Value, DeviceFault>) {
        let Some(device) = self.model.devices.get_mut(number) else { return };
        let mapping = device.mapping.clone();
        let index = usize::from(point.0).checked_sub(device.capabilities.len());
        let seen = index.and_then(|index| device.seen.get_mut(index));
        let (Some(event), Some(seen), Ok(value)) = (mapping.event(point), seen, result) else { return };
        let before = seen.replace(value.clone());
        if event.trigger.fires(before.as_ref(), &value) {
            self.tell_vendor_event(number, &mapping, point, &value);
        }
    }

    fn tell_vendor_event(&mut self, number: u32, mapping: &Mapping, point: PointId, value: &Value) {
        let (Some(event), Some(device)) = (mapping.event(point), self.model.devices.get(number)) else {
            return;
        };
        let node = device.nodes.iter().find(|(_, id)| Some(**id) == event.node).map(|(node, _)| *node);
        let params = event.args.iter().filter_map(|(name, arg)| {
            let shown = match arg {
                EventArg::Own => Some(value.to_usp()),
                EventArg::Capability(point) => self.good_value(device, *point).map(|v| v.to_usp()),
            };
            Some((name.clone(), shown?))
        });
        let params: BTreeMap<String, String> = params.collect();
        let at = self.model.devices.objects.node_row(number, node);
        let obj_path = self.model.path(&at);
        let event_name = format!("{}!", event.name);
        let Ok(path) = Path::parse(&format!("{obj_path}{event_name}")) else { return };
        let notification = Notification::Event(Event { obj_path, event_name, params });
        self.emit(&Happening { kind: NotifKind::Event, path: &path, at: Some(&at), notification });
    }

    /// What a capability reads, if that can be believed.
    fn good_value<'a>(&self, device: &'a Device, point: PointId) -> Option<&'a Value> {
        let capability = device.at_point(point)?;
        let good = self.model.quality(device, capability).is_good();
        capability.reading.as_ref().filter(|_| good).map(|reading| &reading.value)
    }
}

impl Device {
    /// Quality and LastError as subscribers know them: what is read on demand is old a moment later, and nobody is told
    /// each time.
    pub(super) fn told(&self, place: Place, now: Mono) -> Option<Told> {
        let capability = self.capabilities.get(place)?;
        let on_demand = self.model(capability).is_some_and(|m| m.max_age.is_zero());
        let quality = match self.quality(capability, now) {
            Quality::Good if on_demand => Quality::Stale,
            quality => quality,
        };
        Some((quality, self.last_error(capability)))
    }

    /// The same of all capabilities, to see later what has changed.
    pub(super) fn qualities(&self, now: Now) -> Vec<(Place, Told)> {
        let places = self.capabilities.places();
        places.filter_map(|place| Some((place, self.told(place, now.monotonic)?))).collect()
    }
}
