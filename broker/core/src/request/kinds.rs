//! What proxied devices support. Devices with equal capabilities are of one kind, and one row is looked at for each: there
//! may be hundreds of devices, and few kinds.

use std::collections::BTreeSet;
use std::sync::Arc;

use usp_mapping::mapping::Mapping;
use usp_proto::path::Name;

use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{ObjId, Object};

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

    /// Whether kinds do not all support the same: then each row is to be asked for by itself.
    pub(crate) fn rows_differ(&self, kinds: &[ObjRef]) -> bool {
        let mut rows = kinds.iter().map(|row| self.elements_of(row));
        rows.next().is_some_and(|first| rows.any(|other| other != first))
    }

    /// What a row has of the objects that not every row has.
    fn elements_of(&self, row: &ObjRef) -> BTreeSet<(ObjId, Name)> {
        let mut found = BTreeSet::new();
        for id in self.model.descendants(row.object) {
            let Some(object) = self.model.schema.get(id).filter(|o| o.when.is_some()) else { continue };
            for at in self.rows_with(id, Some(&row.numbers), &[]) {
                let names = object.params.keys().chain(object.commands.keys());
                found.extend(names.filter(|n| self.model.has(&at, n)).map(|n| (id, n.clone())));
            }
        }
        found
    }

    /// Below proxied devices: whether any of their capabilities has this class object.
    pub(crate) fn is_there(
        &self,
        id: ObjId,
        object: &Object,
        instance: Option<&[u32]>,
        kinds: &[ObjRef],
    ) -> bool {
        !self.varies(id, object, kinds) || !self.rows_with(id, instance, kinds).is_empty()
    }

    /// Below proxied devices: whether any of their capabilities has this Parameter or Command.
    pub(crate) fn has_element(
        &self,
        id: ObjId,
        instance: Option<&[u32]>,
        name: &str,
        kinds: &[ObjRef],
    ) -> bool {
        let Some(object) = self.model.schema.get(id) else { return false };
        !self.varies(id, object, kinds)
            || self.rows_with(id, instance, kinds).iter().any(|at| self.model.has(at, name))
    }

    /// Whether what an object supports depends on its rows: it lies below proxied devices, and there are some.
    fn varies(&self, id: ObjId, object: &Object, kinds: &[ObjRef]) -> bool {
        let below = || self.model.schema.lineage(id).into_iter().any(|o| o.divergent);
        object.when.is_some() && !kinds.is_empty() && below()
    }

    /// Instances of a single object below the given row, or below a row of each kind.
    fn rows_with(&self, id: ObjId, instance: Option<&[u32]>, kinds: &[ObjRef]) -> Vec<ObjRef> {
        let Some(parent) = self.model.schema.get(id).and_then(|o| o.parent) else { return Vec::new() };
        let above = match instance {
            Some(numbers) => self.model.rows.subtree(&[parent], numbers),
            None => kinds.iter().flat_map(|kind| self.model.rows.subtree(&[parent], &kind.numbers)).collect(),
        };
        let below = above.into_iter().map(|row| ObjRef { object: id, numbers: row.numbers });
        below.filter(|at| self.model.exists(at)).collect()
    }
}

fn is_same(a: Option<&Arc<Mapping>>, b: Option<&Arc<Mapping>>) -> bool {
    a.zip(b).is_some_and(|(a, b)| Arc::ptr_eq(a, b) || a.capabilities == b.capabilities)
}
