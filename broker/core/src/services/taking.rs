//! A Service's answer to GetSupportedDM, taken into our supported data model: what lies within the paths that it
//! registered, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use usp_proto::path::{Leaf, Name, SupportedPath, SupportedSegment};
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, SupportedCommandResult, SupportedObjectResult,
    SupportedParamResult, ValueChangeType,
};

use crate::Broker;
use crate::dm::schema::{
    Command, Event, Key, ObjId, Object, Owner, Param, ParamAccess, ServiceId, TableAccess,
};
use crate::dm::types::{Base, ParamType};
use crate::services::register::is_within;
use crate::services::{above, keeps};

/// Elements of one Service's model that are taken in at most, and of all Services' together.
const MAX_ELEMENTS: usize = 100_000;
const MAX_OF_ALL: usize = 300_000;

/// Unique key sets that are taken in of one telling of an object, and known of it in all.
const MAX_KEYS: usize = 64;

/// Paths of divergent rows that are remembered of one table at most.
const MAX_DIVERGENT: usize = 1024;

impl Broker {
    /// Takes what a Service told of these registered paths into the schema, in the place of what it told before. Gives
    /// back the paths that are known through it.
    pub(super) fn take_model(
        &mut self,
        id: ServiceId,
        paths: &[String],
        objects: &[SupportedObjectResult],
    ) -> BTreeSet<String> {
        let told = self.told_paths(id, paths, objects);
        let renewed: BTreeMap<String, bool> = told.iter().map(|(_, path)| (path.clone(), true)).collect();
        self.forget_model(id, &renewed);
        let mut known = BTreeSet::new();
        for (index, path) in told {
            if let Some(object) = objects.get(index)
                && self.take_object(id, &path, object)
            {
                known.insert(path);
            }
        }
        for path in &known {
            self.count_entries(id, path);
        }
        known
    }

    /// Which object of the answer tells of which registered path.
    fn told_paths(
        &self,
        id: ServiceId,
        paths: &[String],
        objects: &[SupportedObjectResult],
    ) -> Vec<(usize, String)> {
        let paths: BTreeMap<String, bool> = paths.iter().map(|path| (path.clone(), false)).collect();
        let (mut told, mut elements) = (Vec::new(), 0);
        let most = MAX_ELEMENTS.min(MAX_OF_ALL.saturating_sub(self.elements_besides(id, &paths)));
        for (index, object) in objects.iter().enumerate() {
            let [params, commands, events] = [
                object.supported_params.len(),
                object.supported_commands.len(),
                object.supported_events.len(),
            ];
            let at = object.supported_obj_path.as_str();
            // The registered object that this is or lies in, and what is registered of this object's own elements.
            let own = paths.range::<str, _>((Bound::Included(at), Bound::Unbounded));
            let own = own.map(|(path, _)| path.as_str()).take_while(|path| path.starts_with(at));
            let is_element = |path: &&str| {
                path.get(at.len()..).is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
            };
            let of_object = above(&paths, at).into_iter().chain(own.filter(is_element));
            let known = told.len();
            told.extend(of_object.map(|path| (index, path.to_owned())));
            // An object that tells of many registered elements is walked through for each of them.
            let keys = object.unique_key_sets.len();
            elements += 1 + params + commands + events + keys + (told.len() - known);
            if elements > most {
                let service = self.services.name(id);
                tracing::warn!(service, most, "a Service's model is too large; the rest is left out");
                told.truncate(known);
                break;
            }
        }
        told
    }

    /// How many elements are known of Services, but for what is told anew.
    fn elements_besides(&self, id: ServiceId, paths: &BTreeMap<String, bool>) -> usize {
        let counts = |owner: Owner, path: &str| match owner {
            Owner::Local => false,
            Owner::Service(other) => other != id || above(paths, path).is_none(),
        };
        let of_object = |(_, object): (ObjId, &Object)| {
            let path = &*object.path;
            let params = object.params.values().filter(|param| counts(param.owner, path)).count();
            let commands = object.commands.values().filter(|command| counts(command.owner, path)).count();
            let events = object.events.values().filter(|event| counts(event.owner, path)).count();
            usize::from(counts(object.owner, path)) + params + commands + events
        };
        self.model.schema.iter().map(of_object).sum()
    }

    /// What was known below paths that were told anew goes; what else the Service has stays.
    fn forget_model(&mut self, id: ServiceId, renewed: &BTreeMap<String, bool>) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.divergent.retain(|table, _| above(renewed, table).is_none());
        let known: BTreeMap<String, bool> =
            service.registered.iter().filter(|(_, known)| **known).map(|(p, k)| (p.clone(), *k)).collect();
        if renewed.keys().any(|path| known.contains_key(path)) {
            let stays = |element: &str| keeps(&known, element) && !keeps(renewed, element);
            self.model.schema.remove_service(id, stays);
        }
    }

    /// A table whose parent is not the Service's has its `NumberOfEntries` there all the same: nobody else can count.
    fn count_entries(&mut self, id: ServiceId, registered: &str) {
        let schema = &mut self.model.schema;
        let Some(table) = schema.find(&format!("{registered}{{i}}.")).and_then(|table| schema.get(table))
        else {
            return;
        };
        let count = Name::new(&format!("{}NumberOfEntries", table.name));
        if let (Ok(count), Some(parent)) = (count, table.parent.and_then(|p| schema.get_mut(p)))
            && parent.owner == Owner::Local
        {
            let ty = ParamType::plain(Base::UnsignedInt);
            let owner = Owner::Service(id);
            let param = Param {
                ty,
                access: ParamAccess::Read,
                quiet: true,
                secured: false,
                default: None,
                reference: None,
                owner,
            };
            parent.params.entry(count).or_insert(param);
        }
    }

    /// Takes what of one object lies within one registered path.
    fn take_object(&mut self, id: ServiceId, registered: &str, object: &SupportedObjectResult) -> bool {
        let Ok(path) = SupportedPath::parse(&object.supported_obj_path) else { return false };
        let registered_parsed = SupportedPath::parse(registered);
        let Ok(wanted) = registered_parsed else { return false };
        if wanted.leaf == Leaf::Object {
            if !is_within(&object.supported_obj_path, registered) {
                return false;
            }
            let Some(at) = self.place(&path, wanted.segments.len(), id) else { return false };
            self.take_all(id, at, object);
            self.take_divergent(id, at, object);
            return true;
        }
        let holds = path.segments == wanted.segments;
        let Some(at) = holds.then(|| self.place(&path, usize::MAX, id)).flatten() else { return false };
        self.take_element(id, at, &wanted.leaf, object)
    }

    /// Finds or makes an object. From the given segment on it is the Service's, above it leads there only.
    fn place(&mut self, path: &SupportedPath, own_from: usize, id: ServiceId) -> Option<ObjId> {
        let mut parent: Option<ObjId> = None;
        let mut walked = 0;
        let mut segments = path.segments.iter().peekable();
        while let Some(segment) = segments.next() {
            let SupportedSegment::Name(name) = segment else { return None };
            walked += 1;
            let is_row = |next: &&&SupportedSegment| !matches!(next, SupportedSegment::Name(_));
            let table = segments.peek().filter(is_row).is_some();
            if table {
                segments.next();
            }
            let owner = if walked >= own_from { Owner::Service(id) } else { Owner::Local };
            let object = self.model.schema.ensure(parent, name, table, owner);
            let is = self.model.schema.get(object)?;
            if is.table != table || (is.owner != owner && walked >= own_from) {
                return None;
            }
            walked += usize::from(table);
            parent = Some(object);
        }
        parent
    }

    fn take_all(&mut self, id: ServiceId, at: ObjId, from: &SupportedObjectResult) {
        let owner = Owner::Service(id);
        let Some(object) = self.model.schema.get_mut(at) else { return };
        let access = ObjAccessType::try_from(from.access).unwrap_or(ObjAccessType::ObjReadOnly);
        // Rows that differ are told one by one; the table has what any of them has.
        object.access = TableAccess {
            add: object.access.add
                || matches!(access, ObjAccessType::ObjAddDelete | ObjAccessType::ObjAddOnly),
            delete: object.access.delete
                || matches!(access, ObjAccessType::ObjAddDelete | ObjAccessType::ObjDeleteOnly),
        };
        for set in from.unique_key_sets.iter().take(MAX_KEYS) {
            let params = set.key_names.iter().filter_map(|n| Name::new(n).ok()).collect();
            let key = Key { params, functional: true };
            if object.keys.len() < MAX_KEYS && !object.keys.contains(&key) {
                object.keys.push(key);
            }
        }
        object.divergent |= !from.divergent_paths.is_empty();
        for p in &from.supported_params {
            if let Ok(name) = Name::new(&p.param_name) {
                object.params.insert(name, param(owner, p));
            }
        }
        for c in &from.supported_commands {
            if let Ok(name) = Name::new(c.command_name.trim_end_matches("()")) {
                object.commands.insert(name, command(owner, c));
            }
        }
        for e in &from.supported_events {
            if let Ok(name) = Name::new(e.event_name.trim_end_matches('!')) {
                object.events.insert(name, Event { args: e.arg_names.clone(), owner });
            }
        }
    }

    /// Rows that differ, as the Service names them.
    fn take_divergent(&mut self, id: ServiceId, at: ObjId, from: &SupportedObjectResult) {
        if from.divergent_paths.is_empty() {
            return;
        }
        let Some(table) = self.model.schema.get(at).map(|o| o.path.to_string()) else { return };
        if let Some(service) = self.services.get_mut(id) {
            let known = service.divergent.entry(table).or_default();
            let rows = from.divergent_paths.iter().filter(|row| row.len() <= 1024).cloned();
            known.extend(rows);
            known.sort();
            known.dedup();
            known.truncate(MAX_DIVERGENT);
        }
    }

    fn take_element(&mut self, id: ServiceId, at: ObjId, leaf: &Leaf, from: &SupportedObjectResult) -> bool {
        let owner = Owner::Service(id);
        let Some(object) = self.model.schema.get_mut(at) else { return false };
        match leaf {
            Leaf::Parameter(name) => {
                let found = from.supported_params.iter().find(|p| p.param_name == name.as_str());
                found.map(|p| object.params.insert(name.clone(), param(owner, p))).is_some()
            }
            Leaf::Command(name) => {
                let found = from
                    .supported_commands
                    .iter()
                    .find(|c| c.command_name.trim_end_matches("()") == name.as_str());
                found.map(|c| object.commands.insert(name.clone(), command(owner, c))).is_some()
            }
            Leaf::Event(name) => {
                let found = from
                    .supported_events
                    .iter()
                    .find(|e| e.event_name.trim_end_matches('!') == name.as_str());
                found
                    .map(|e| object.events.insert(name.clone(), Event { args: e.arg_names.clone(), owner }))
                    .is_some()
            }
            Leaf::Object => false,
        }
    }
}

fn param(owner: Owner, from: &SupportedParamResult) -> Param {
    let access = match ParamAccessType::try_from(from.access) {
        Ok(ParamAccessType::ParamReadWrite) => ParamAccess::ReadWrite,
        Ok(ParamAccessType::ParamWriteOnly) => ParamAccess::Write,
        Ok(ParamAccessType::ParamReadOnly) | Err(_) => ParamAccess::Read,
    };
    let base = match ParamValueType::try_from(from.value_type).unwrap_or(ParamValueType::ParamUnknown) {
        ParamValueType::ParamBase64 => Base::Base64,
        ParamValueType::ParamBoolean => Base::Boolean,
        ParamValueType::ParamDateTime => Base::DateTime,
        ParamValueType::ParamDecimal => Base::Decimal,
        ParamValueType::ParamHexBinary => Base::HexBinary,
        ParamValueType::ParamInt => Base::Int,
        ParamValueType::ParamLong => Base::Long,
        ParamValueType::ParamString => Base::String,
        ParamValueType::ParamUnsignedInt => Base::UnsignedInt,
        ParamValueType::ParamUnsignedLong => Base::UnsignedLong,
        ParamValueType::ParamUnknown => Base::Unknown,
    };
    let quiet = from.value_change == ValueChangeType::ValueChangeWillIgnore as i32;
    Param { ty: ParamType::plain(base), access, quiet, secured: false, default: None, reference: None, owner }
}

fn command(owner: Owner, from: &SupportedCommandResult) -> Command {
    Command {
        // A Service older than 1.2 does not say; an async command needs more care, so that is assumed.
        is_async: from.command_type != CmdType::CmdSync as i32,
        inputs: from.input_arg_names.iter().map(|n| (n.clone(), false)).collect(),
        outputs: from.output_arg_names.clone(),
        owner,
    }
}
