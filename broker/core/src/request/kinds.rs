//! What proxied devices support. Devices with equal mappings are of one kind, and one row is looked at for each: there may be
//! hundreds of devices, and few kinds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use usp_mapping::mapping::Mapping;
use usp_proto::path::{Leaf, Name};

use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Command, Event, ObjId, Object};
use crate::proxied::look::is_of_mapping;
use crate::proxied::vendor::{supported_command, supported_event};

impl Broker {
    /// One row of `Device.ProxiedDevice.` for each kind.
    pub(crate) fn kinds_of_devices(&self) -> Vec<ObjRef> {
        let mut kinds: Vec<(ObjRef, Option<&Arc<Mapping>>)> = Vec::new();
        let Some(table) = self.model.table("Device.ProxiedDevice.") else { return Vec::new() };
        for (row, _) in self.model.rows.of_table(table, &[]) {
            let mapping = self.model.devices.get(row.number()).map(|device| &device.mapping);
            if !kinds.iter().any(|(_, known)| is_same(*known, mapping)) {
                kinds.push((row.clone(), mapping));
            }
        }
        kinds.into_iter().map(|(row, _)| row).collect()
    }

    /// Whether the rows of a table of ours do not all support the same: then each is to be asked for by itself.
    pub(crate) fn is_divergent(
        &self,
        id: ObjId,
        object: &Object,
        instance: Option<&[u32]>,
        kinds: &[ObjRef],
    ) -> bool {
        let is_chosen = instance.is_some_and(|numbers| numbers.len() >= object.path.matches("{i}").count());
        if !object.divergent || is_chosen {
            return false;
        }
        let rows = self.rows_with(id, instance, kinds);
        let mut rows = rows.iter().map(|row| self.elements_of(row));
        rows.next().is_some_and(|first| rows.any(|other| other != first))
    }

    /// What a row has that not every row has.
    fn elements_of(&self, row: &ObjRef) -> BTreeSet<(ObjId, String)> {
        let mut found = BTreeSet::new();
        for id in self.model.descendants(row.object) {
            let Some(object) = self.model.schema.get(id) else { continue };
            for at in self.rows_with(id, Some(&row.numbers), &[]) {
                if object.when.is_some() {
                    let names = object.params.keys().chain(object.commands.keys());
                    found.extend(names.filter(|n| self.model.has(&at, n)).map(|n| (id, n.to_string())));
                }
                found.extend(self.vendor_elements_of(&at, object).map(|element| (id, element)));
                found.insert((id, String::new()));
            }
        }
        found
    }

    /// Commands and events of the row's own mapping, with their arguments.
    fn vendor_elements_of<'a>(
        &'a self,
        at: &'a ObjRef,
        object: &'a Object,
    ) -> impl Iterator<Item = String> + 'a {
        let commands = object.commands.keys().filter_map(|name| {
            let (_, command) = self.model.vendor_command(at, name)?;
            Some(format!("{name}({:?})", supported_command(command).inputs))
        });
        let events = object.events.keys().filter_map(|name| {
            Some(format!("{name}!{:?}", supported_event(self.model.vendor_event(at, name)?).args))
        });
        commands.chain(events)
    }

    /// Below proxied devices: whether any of them has this object.
    pub(crate) fn is_there(
        &self,
        id: ObjId,
        object: &Object,
        instance: Option<&[u32]>,
        kinds: &[ObjRef],
    ) -> bool {
        let varies = object.when.is_some() || object.path.starts_with("Device.ProxiedDevice.{i}.Node.");
        !varies || !self.is_below_devices(id, kinds) || !self.rows_with(id, instance, kinds).is_empty()
    }

    /// Below proxied devices: whether any of them has this Parameter, Command or Event.
    pub(crate) fn has_element(
        &self,
        id: ObjId,
        instance: Option<&[u32]>,
        leaf: &Leaf,
        kinds: &[ObjRef],
    ) -> bool {
        let Some(object) = self.model.schema.get(id) else { return false };
        let (Leaf::Parameter(name) | Leaf::Command(name) | Leaf::Event(name)) = leaf else { return true };
        let is_of_mapping = !matches!(leaf, Leaf::Parameter(_)) && is_of_mapping(name);
        if (object.when.is_none() && !is_of_mapping) || !self.is_below_devices(id, kinds) {
            return true;
        }
        self.rows_with(id, instance, kinds).iter().any(|at| match leaf {
            Leaf::Event(_) => self.model.has_event(at, name),
            _ => self.model.has(at, name),
        })
    }

    /// A command as the rows in question have it: names that vendors chose may mean something else in each mapping.
    pub(crate) fn command_of_rows<'a>(
        &self,
        id: ObjId,
        instance: Option<&[u32]>,
        (name, command): (&Name, &'a Command),
        kinds: &[ObjRef],
    ) -> Cow<'a, Command> {
        let own = |at: &ObjRef| self.model.vendor_command(at, name).map(|(_, own)| supported_command(own));
        self.of_rows(id, instance, (name, command), kinds, own)
    }

    /// The same for an event.
    pub(crate) fn event_of_rows<'a>(
        &self,
        id: ObjId,
        instance: Option<&[u32]>,
        (name, event): (&Name, &'a Event),
        kinds: &[ObjRef],
    ) -> Cow<'a, Event> {
        let own = |at: &ObjRef| self.model.vendor_event(at, name).map(supported_event);
        self.of_rows(id, instance, (name, event), kinds, own)
    }

    /// What the first of the rows that has its own has, or what the model says.
    fn of_rows<'a, T: Clone>(
        &self,
        id: ObjId,
        instance: Option<&[u32]>,
        (name, known): (&Name, &'a T),
        kinds: &[ObjRef],
        own: impl Fn(&ObjRef) -> Option<T>,
    ) -> Cow<'a, T> {
        if !is_of_mapping(name) {
            return Cow::Borrowed(known);
        }
        let own = self.rows_with(id, instance, kinds).iter().find_map(own);
        own.map_or(Cow::Borrowed(known), Cow::Owned)
    }

    /// Whether what an object supports depends on its rows: it belongs to proxied devices, and there are some.
    fn is_below_devices(&self, id: ObjId, kinds: &[ObjRef]) -> bool {
        !kinds.is_empty() && self.model.devices.objects.part(id).is_some()
    }

    /// Instances of an object below the given row, or below a row of each kind.
    fn rows_with(&self, id: ObjId, instance: Option<&[u32]>, kinds: &[ObjRef]) -> Vec<ObjRef> {
        let Some(object) = self.model.schema.get(id) else { return Vec::new() };
        let holder = if object.table { Some(id) } else { object.parent };
        let Some(holder) = holder else { return Vec::new() };
        let above = match instance {
            Some(numbers) => self.model.rows.subtree(&[holder], numbers),
            None => kinds.iter().flat_map(|kind| self.model.rows.subtree(&[holder], &kind.numbers)).collect(),
        };
        let below = above.into_iter().map(|row| ObjRef { object: id, numbers: row.numbers });
        below.filter(|at| self.model.exists(at)).collect()
    }
}

fn is_same(a: Option<&Arc<Mapping>>, b: Option<&Arc<Mapping>>) -> bool {
    let supports_same = |a: &Mapping, b: &Mapping| {
        a.capabilities == b.capabilities
            && a.nodes == b.nodes
            && a.commands == b.commands
            && a.events == b.events
    };
    a.zip(b).is_some_and(|(a, b)| Arc::ptr_eq(a, b) || supports_same(a, b))
}
