//! Where devices are in the data model: which objects are theirs, and the rows that their parts have.

use std::collections::BTreeMap;

use usp_mapping::mapping::{Class, Window};

use crate::dm::rows::ObjRef;
use crate::dm::schema::{ObjId, Schema};

/// Where a capability is in its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the `Node` row that it is mounted in; `None`: the device's own.
    pub node: Option<u32>,
    /// Number of its own row.
    pub own: u32,
    /// Which of its windows, if the device holds that; `None`: the capability itself.
    pub window: Option<Window>,
}

/// What an object of the data model is of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `ProxiedDevice.{i}.`
    Device,
    /// `ProxiedDevice.{i}.Node.{i}.`
    Node,
    /// `IoTCapability.{i}.`
    Capability,
    /// The class object of a capability.
    Class,
}

/// The objects below `Device.ProxiedDevice.`
#[derive(Debug)]
pub struct Objects {
    /// `ProxiedDevice.{i}.`
    pub device: ObjId,
    /// `ProxiedDevice.{i}.Node.{i}.`
    pub node: ObjId,
    own: Mounted,
    of_node: Mounted,
    parts: BTreeMap<ObjId, Part>,
}

/// A table of capabilities with its class objects.
#[derive(Debug)]
struct Mounted {
    table: ObjId,
    classes: [ObjId; 8],
}

impl Mounted {
    fn below(schema: &Schema, above: &str) -> Option<Self> {
        let path = format!("{above}IoTCapability.{{i}}.");
        let mut classes = [Schema::ROOT; 8];
        for (class, id) in Class::ALL.iter().zip(&mut classes) {
            *id = schema.find(&format!("{path}{}.", class.name()))?;
        }
        Some(Self { table: schema.find(&path)?, classes })
    }
}

impl Objects {
    /// The objects of the broker's own model; `None`: it lacks one of them.
    pub fn of(schema: &Schema) -> Option<Self> {
        let path = "Device.ProxiedDevice.{i}.";
        let (device, node) = (schema.find(path)?, schema.find(&format!("{path}Node.{{i}}."))?);
        let own = Mounted::below(schema, path)?;
        let of_node = Mounted::below(schema, &format!("{path}Node.{{i}}."))?;
        let mut parts = BTreeMap::from([(device, Part::Device), (node, Part::Node)]);
        for mounted in [&own, &of_node] {
            parts.insert(mounted.table, Part::Capability);
            parts.extend(mounted.classes.iter().map(|id| (*id, Part::Class)));
        }
        Some(Self { device, node, own, of_node, parts })
    }

    /// What an object is of a device; `None`: nothing.
    pub fn part(&self, object: ObjId) -> Option<Part> {
        self.parts.get(&object).copied()
    }

    /// The place of the capability whose row or class object this is.
    pub fn place(&self, at: &ObjRef) -> Option<Place> {
        if !matches!(self.part(at.object)?, Part::Capability | Part::Class) {
            return None;
        }
        match *at.numbers {
            [_, own] => Some(Place { node: None, own, window: None }),
            [_, node, own] => Some(Place { node: Some(node), own, window: None }),
            _ => None,
        }
    }

    /// The row of a device.
    pub fn device_row(&self, number: u32) -> ObjRef {
        ObjRef::new(self.device, &[number])
    }

    /// The row of a node; of none, that of the device.
    pub fn node_row(&self, number: u32, node: Option<u32>) -> ObjRef {
        match node {
            Some(node) => ObjRef::new(self.node, &[number, node]),
            None => self.device_row(number),
        }
    }

    /// The table of the capabilities of a device, or of its nodes.
    pub fn capabilities(&self, of_node: bool) -> ObjId {
        self.mounted(of_node).table
    }

    /// The row of a capability.
    pub fn capability_row(&self, number: u32, place: Place) -> ObjRef {
        numbered(self.mounted(place.node.is_some()).table, number, place)
    }

    /// The class object of a capability.
    pub fn class_object(&self, number: u32, place: Place, class: Class) -> ObjRef {
        let known = Class::ALL.iter().position(|c| *c == class);
        let classes = &self.mounted(place.node.is_some()).classes;
        let object = known.and_then(|index| classes.get(index)).copied().unwrap_or(Schema::ROOT);
        numbered(object, number, place)
    }

    fn mounted(&self, of_node: bool) -> &Mounted {
        if of_node { &self.of_node } else { &self.own }
    }
}

fn numbered(object: ObjId, number: u32, place: Place) -> ObjRef {
    match place.node {
        Some(node) => ObjRef::new(object, &[number, node, place.own]),
        None => ObjRef::new(object, &[number, place.own]),
    }
}
