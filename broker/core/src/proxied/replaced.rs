//! A device whose description was replaced: whoever watches it is told what is another word now, and what is not known any
//! more.

use std::sync::Arc;

use usp_mapping::mapping::{self, ReadPart};
use usp_mapping::transform::Transform;

use super::look::{DEVICE_WORDS, NODE_WORDS, WORDS, device_param, level_of, model_param, node_word};
use super::objects::Place;
use super::watching::{LEVELS, Levels};
use super::{Device, Quality};
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::subscriptions::NotifKind;

impl Broker {
    /// What a device was believed to be under its old description, and is not any more.
    pub(super) fn tell_replaced(&mut self, number: u32, old: &Device) {
        if self.subs.watches(NotifKind::ValueChange) {
            self.other_words(number, old).into_iter().for_each(|(at, name)| self.emit_change(&at, name));
        }
        self.keep_levels(number, old);
        self.look_at_replaced(number, old);
        self.tell_online(number, old.is_online());
        for (place, before) in old.qualities(self.model.now) {
            self.tell_quality(number, place, &before, false);
        }
    }

    /// Parameters of rows that stay whose words come from the description and are others now.
    fn other_words(&self, number: u32, old: &Device) -> Vec<(ObjRef, &'static str)> {
        let Some(new) = self.model.devices.get(number) else { return Vec::new() };
        let objects = &self.model.devices.objects;
        let mut found = Vec::new();
        let is_other = |name: &&str| device_param(old, name) != device_param(new, name);
        found.extend(DEVICE_WORDS.into_iter().filter(is_other).map(|n| (objects.device_row(number), n)));
        for (own, before) in &old.nodes {
            let Some(now) = new.nodes.get(own) else { continue };
            let is_other =
                |name: &&str| node_word(&old.mapping, *before, name) != node_word(&new.mapping, *now, name);
            let row = objects.node_row(number, Some(*own));
            found.extend(NODE_WORDS.into_iter().filter(is_other).map(|name| (row.clone(), name)));
        }
        for place in replaced(old, new).filter(|place| place.window.is_none()) {
            self.other_words_of(number, place, [old, new], &mut found);
        }
        found
    }

    /// The same of a capability. What a Controller has set stays as it is.
    fn other_words_of(
        &self,
        number: u32,
        place: Place,
        [old, new]: [&Device; 2],
        found: &mut Vec<(ObjRef, &'static str)>,
    ) {
        let objects = &self.model.devices.objects;
        let Some([was, is]) = models([old, new], place) else { return };
        if was.class != is.class {
            return found.push((objects.capability_row(number, place), "Class"));
        }
        let at = objects.class_object(number, place, is.class);
        let is_set = |name: &str| self.model.rows.param(&at, name).is_some();
        let is_other = |name: &str| !is_set(name) && model_param(was, name) != model_param(is, name);
        found.extend(WORDS.into_iter().filter(|name| is_other(name)).map(|name| (at.clone(), name)));
        let value = new.capabilities.get(place).and_then(|known| known.number());
        let level = |of, name: &str| level_of(value, name, &model_param(of, &format!("{name}Threshold"))?);
        let is_other =
            |name: &str| is_other(&format!("{name}Threshold")) && level(was, name) != level(is, name);
        found.extend(LEVELS.into_iter().filter(|name| is_other(name)).map(|name| (at.clone(), name)));
    }

    /// What LowLevel and HighLevel were of what is read otherwise now: the next reading is compared with that, whatever the
    /// thresholds are by then.
    fn keep_levels(&mut self, number: u32, old: &Device) {
        let Some(new) = self.model.devices.get(number) else { return };
        for place in replaced(old, new).collect::<Vec<_>>() {
            let levels = self.former_levels(number, place, old);
            let capability = self.model.devices.capability_mut(number, place);
            let earlier = capability.and_then(|capability| capability.earlier.as_mut());
            // Of several replacements in a row that of the reading counts.
            if let Some(earlier) = earlier.filter(|earlier| earlier.levels.is_none()) {
                earlier.levels = levels;
            }
        }
    }

    fn former_levels(&self, number: u32, place: Place, old: &Device) -> Option<Levels> {
        let [was, is] = models([old, self.model.devices.get(number)?], place)?;
        let value = old.capabilities.get(place)?.number();
        let at = self.model.devices.objects.class_object(number, place, is.class);
        let threshold = |name: &str| match self.model.rows.param(&at, name) {
            Some(_) => self.model.text(&at, name),
            None => model_param(was, name),
        };
        let level = |name: &str| level_of(value, name, &threshold(&format!("{name}Threshold"))?);
        (was.class == is.class).then(|| LEVELS.map(level))
    }

    /// Readings that go on are old, and windows end, by the new description.
    fn look_at_replaced(&mut self, number: u32, old: &Device) {
        let Some(new) = self.model.devices.get(number) else { return };
        for place in replaced(old, new).collect::<Vec<_>>() {
            match self.is_good_at(number, place) {
                true => self.watch_age(number, place),
                // That it is old is told by now.
                false => self
                    .model
                    .devices
                    .capability_mut(number, place)
                    .into_iter()
                    .for_each(|it| it.ages = false),
            }
            self.handle_sensor(number, place);
        }
    }

    /// Whether the reading of a row can be taken for what the device has now.
    pub(super) fn is_good_at(&self, device: u32, place: Place) -> bool {
        let device = self.model.devices.get(device);
        let found = device.and_then(|device| Some((device, device.capabilities.get(place)?)));
        found.is_some_and(|(device, it)| self.model.quality(device, it) == Quality::Good)
    }
}

/// Rows of capabilities that are described otherwise.
fn replaced(old: &Device, new: &Device) -> impl Iterator<Item = Place> {
    let is_same = Arc::ptr_eq(&old.mapping, &new.mapping);
    let is_other =
        move |place: &Place| !is_same && models([old, new], *place).is_some_and(|[was, is]| was != is);
    new.capabilities.places().filter(is_other)
}

/// What each of two descriptions says of a row; `None`: one of them has none.
fn models(devices: [&Device; 2], place: Place) -> Option<[&mapping::Capability; 2]> {
    let [was, is] = devices.map(|device| device.model(device.capabilities.get(place)?));
    Some([was?, is?])
}

/// Whether what was read by one description would be read the same by another, whatever their other words.
pub(super) fn is_read_alike(was: &mapping::Capability, is: &mapping::Capability) -> bool {
    let parts = |of: &mapping::Capability| {
        let parts = of.read.as_ref().map(|read| read.parts.iter().map(as_read).collect::<Vec<_>>());
        (of.class, parts, of.sensitivity.is_some() || of.hold.is_some() || of.rest.is_some())
    };
    // What cannot be read is what was written.
    parts(was) == parts(is) && (was.read.is_some() || was.write == is.write)
}

/// How finely it is written says nothing of what was read.
fn as_read(part: &ReadPart) -> ReadPart {
    ReadPart { transform: Transform { step: None, ..part.transform.clone() }, ..part.clone() }
}
