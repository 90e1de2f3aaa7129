//! The supported data model: which Objects, Parameters, Commands and Events there are, and who serves them.
//!
//! The broker's own part is read from `model.txt` at the start; what Services register is added and taken away while
//! the broker runs. Object numbers ([`ObjId`]) are never reused, so a stale one finds nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use usp_proto::path::Name;

use super::types::ParamType;

/// One object of the supported data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjId(pub u32);

/// One connected Service. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// Who serves a Service Element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The broker itself; proxied devices too.
    Local,
    /// A Service.
    Service(ServiceId),
}

/// Whether rows may be added and deleted by Controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableAccess {
    /// Add.
    pub add: bool,
    /// Delete.
    pub delete: bool,
}

/// A supported Object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Supported path, e.g. `Device.LocalAgent.Controller.{i}.`.
    pub path: Arc<str>,
    /// Its own name, without `{i}`.
    pub name: Name,
    /// The object above; `None` for `Device.`.
    pub parent: Option<ObjId>,
    /// Objects below by name.
    pub children: BTreeMap<Name, ObjId>,
    /// Multi-instance.
    pub table: bool,
    /// For tables.
    pub access: TableAccess,
    /// Unique keys.
    pub keys: Vec<Key>,
    /// Exists only while this Parameter of the row above has this object's name as its value.
    pub when: Option<Name>,
    /// Rows differ in what they support.
    pub divergent: bool,
    /// Who serves it (an object that only leads to others' is Local).
    pub owner: Owner,
    /// Parameters by name.
    pub params: BTreeMap<Name, Param>,
    /// Commands by name, without `()`.
    pub commands: BTreeMap<Name, Command>,
    /// Events by name, without `!`.
    pub events: BTreeMap<Name, Event>,
}

/// A unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its Parameters.
    pub params: Vec<Name>,
    /// A functional key may change (R-KEY.2), a non-functional one may not (R-KEY.1).
    pub functional: bool,
}

/// What may be done to a Parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamAccess {
    /// readOnly.
    Read,
    /// readWrite.
    ReadWrite,
    /// writeOnceReadOnly: at Add, or at the first Set.
    Once,
    /// A Service said write-only.
    Write,
}

/// A supported Parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Type and rules.
    pub ty: ParamType,
    /// Access.
    pub access: ParamAccess,
    /// ValueChangeIgnored.
    pub quiet: bool,
    /// A secret: it reads as empty.
    pub secured: bool,
    /// Default of a new row; `None`: computed, or given at Add.
    pub default: Option<Arc<str>>,
    /// The table that it refers to.
    pub reference: Option<Reference>,
    /// Who serves it.
    pub owner: Owner,
}

/// A reference to a row of a table (R-ARC.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Table path with its final dot.
    pub table: Arc<str>,
    /// A strong one must point at something.
    pub strong: bool,
}

/// A supported Command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Asynchronous: it makes a Request row.
    pub is_async: bool,
    /// Input arguments and whether each is mandatory.
    pub inputs: Vec<(String, bool)>,
    /// Output arguments.
    pub outputs: Vec<String>,
    /// Who serves it.
    pub owner: Owner,
}

/// A supported Event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Arguments.
    pub args: Vec<String>,
    /// Who serves it.
    pub owner: Owner,
}

/// The whole supported data model.
#[derive(Debug, Default)]
pub struct Schema {
    objects: BTreeMap<ObjId, Object>,
    by_path: BTreeMap<Arc<str>, ObjId>,
    next: u32,
}

impl Schema {
    /// `Device.`: always the first.
    pub const ROOT: ObjId = ObjId(0);

    /// The object with this number.
    pub fn get(&self, id: ObjId) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// The object with this supported path.
    pub fn find(&self, path: &str) -> Option<ObjId> {
        self.by_path.get(path).copied()
    }

    /// For changes to an object.
    pub fn get_mut(&mut self, id: ObjId) -> Option<&mut Object> {
        self.objects.get_mut(&id)
    }

    /// Every object, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (ObjId, &Object)> {
        self.objects.iter().map(|(id, object)| (*id, object))
    }

    /// Adds an empty object below `parent` (or the root), or finds the one that is there.
    pub fn ensure(&mut self, parent: Option<ObjId>, name: &Name, table: bool, owner: Owner) -> ObjId {
        let known = match parent {
            Some(parent) => self.get(parent).and_then(|p| p.children.get(name)).copied(),
            None => self.find(&format!("{name}.")),
        };
        if let Some(id) = known {
            return id;
        }
        let above = parent.and_then(|p| self.get(p)).map_or("", |p| &*p.path);
        let path: Arc<str> = format!("{above}{name}.{}", if table { "{i}." } else { "" }).into();
        let id = ObjId(self.next);
        self.next += 1;
        self.by_path.insert(path.clone(), id);
        self.objects.insert(id, Object::new(path, name.clone(), parent, table, owner));
        if let Some(parent) = parent.and_then(|p| self.objects.get_mut(&p)) {
            parent.children.insert(name.clone(), id);
        }
        id
    }

    /// Takes away an object and all below it.
    pub fn remove(&mut self, id: ObjId) {
        let Some(object) = self.objects.remove(&id) else { return };
        self.by_path.remove(&object.path);
        if let Some(parent) = object.parent.and_then(|p| self.objects.get_mut(&p)) {
            parent.children.remove(&object.name);
        }
        for child in object.children.into_values() {
            self.remove(child);
        }
    }

    /// Takes away everything of a Service, and objects that led only to it.
    pub fn remove_service(&mut self, service: ServiceId, keep: impl Fn(&str) -> bool) {
        let owner = Owner::Service(service);
        let gone: Vec<ObjId> = self
            .objects
            .iter()
            .filter(|(_, o)| o.owner == owner && !keep(&o.path))
            .map(|(id, _)| *id)
            .collect();
        for object in self.objects.values_mut() {
            let path = object.path.clone();
            object.params.retain(|n, p| p.owner != owner || keep(&format!("{path}{n}")));
            object.commands.retain(|n, c| c.owner != owner || keep(&format!("{path}{n}()")));
            object.events.retain(|n, e| e.owner != owner || keep(&format!("{path}{n}!")));
        }
        for id in gone {
            self.remove_if_bare(id, owner);
        }
        self.prune();
    }

    /// A Service's object may still lead to what it keeps.
    fn remove_if_bare(&mut self, id: ObjId, owner: Owner) {
        let Some(object) = self.objects.get(&id) else { return };
        let keeps = object.children.values().any(|c| self.objects.get(c).is_some_and(|c| c.owner != owner));
        if keeps {
            if let Some(object) = self.objects.get_mut(&id) {
                object.owner = Owner::Local;
            }
        } else if object.children.is_empty() {
            self.remove(id);
        } else {
            let children: Vec<ObjId> = object.children.values().copied().collect();
            for child in children {
                self.remove_if_bare(child, owner);
            }
            if self.objects.get(&id).is_some_and(|o| o.children.is_empty()) {
                self.remove(id);
            }
        }
    }

    /// Removes local objects that a Service's path once needed and that hold nothing any more.
    fn prune(&mut self) {
        loop {
            let empty: Vec<ObjId> = self
                .objects
                .iter()
                .filter(|(id, o)| **id != Self::ROOT && o.is_empty() && o.owner == Owner::Local)
                .map(|(id, _)| *id)
                .collect();
            if empty.is_empty() {
                return;
            }
            for id in empty {
                self.remove(id);
            }
        }
    }

    /// From `Device.` down to the object.
    pub fn lineage(&self, id: ObjId) -> Vec<&Object> {
        let mut chain: Vec<&Object> =
            std::iter::successors(self.get(id), |o| o.parent.and_then(|p| self.get(p))).collect();
        chain.reverse();
        chain
    }
}

impl Object {
    fn new(path: Arc<str>, name: Name, parent: Option<ObjId>, table: bool, owner: Owner) -> Self {
        Self {
            path,
            name,
            parent,
            children: BTreeMap::new(),
            table,
            access: TableAccess::default(),
            keys: Vec::new(),
            when: None,
            divergent: false,
            owner,
            params: BTreeMap::new(),
            commands: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.params.is_empty()
            && self.commands.is_empty()
            && self.events.is_empty()
    }

    /// Whether a Parameter belongs to a non-functional key, which never changes after creation (R-KEY.1).
    pub fn is_frozen_key(&self, param: &Name) -> bool {
        self.keys.iter().any(|k| !k.functional && k.params.contains(param))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_known_object_is_found_again_from_the_root_on() {
        let mut schema = crate::dm::schema_text::own_model().unwrap();
        assert_eq!(schema.ensure(None, &name("Device"), false, Owner::Local), Schema::ROOT);
        let own = schema.find("Device.DeviceInfo.").unwrap();
        assert_eq!(schema.ensure(Some(Schema::ROOT), &name("DeviceInfo"), false, Owner::Local), own);
    }

    #[test]
    fn a_service_takes_its_bridges_with_it() {
        let mut schema = crate::dm::schema_text::own_model().unwrap();
        let before = schema.iter().count();
        let bridge = schema.ensure(Some(Schema::ROOT), &name("X_A"), false, Owner::Local);
        let (one, two) = (ServiceId(1), ServiceId(2));
        schema.ensure(Some(bridge), &name("One"), false, Owner::Service(one));
        schema.ensure(Some(bridge), &name("Two"), true, Owner::Service(two));
        schema.remove_service(one, |_| false);
        assert!(schema.find("Device.X_A.One.").is_none() && schema.find("Device.X_A.Two.{i}.").is_some());
        schema.remove_service(two, |_| false);
        assert_eq!(schema.iter().count(), before);
    }
}
