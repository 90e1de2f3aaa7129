//! Discovery: what a Service supports below the paths that it registered, by GetSupportedDM, retried with back-off.
//! Until it succeeds the paths are reserved but not part of the outer model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use usp_proto::path::{Leaf, Name, SupportedPath, SupportedSegment};
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, SupportedObjectResult, ValueChangeType,
};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use crate::Broker;
use crate::dm::schema::{Command, Event, Key, ObjId, Owner, Param, ParamAccess, ServiceId, TableAccess};
use crate::dm::types::{Base, ParamType};
use crate::gather::{Job, JobId, LegReply};
use crate::services::above;
use crate::services::register::is_within;
use crate::timers::Timer;

/// Elements of one Service's model that are taken in at most.
const MAX_ELEMENTS: usize = 100_000;

struct DiscoveryJob {
    service: ServiceId,
    paths: Vec<String>,
    asked: bool,
    answer: Option<Result<usp::GetSupportedDmResp, String>>,
}

impl Broker {
    /// Asks for the model of all paths that are not known yet.
    pub(crate) fn discover(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        let paths: Vec<String> =
            service.registered.iter().filter(|(_, known)| !**known).map(|(path, _)| path.clone()).collect();
        if service.discovering {
            return;
        }
        if paths.is_empty() {
            return self.sync_service(id);
        }
        service.discovering = true;
        self.begin(Box::new(DiscoveryJob { service: id, paths, asked: false, answer: None }));
    }

    fn discovered(
        &mut self,
        id: ServiceId,
        paths: &[String],
        answer: Result<usp::GetSupportedDmResp, String>,
    ) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.discovering = false;
        let name = service.endpoint.to_string();
        // What was given back meanwhile is none of ours any more.
        let paths: Vec<String> =
            paths.iter().filter(|p| service.registered.contains_key(*p)).cloned().collect();
        let mut known = Vec::new();
        match answer {
            Ok(response) => known = self.take_model(id, &paths, &response),
            Err(problem) => tracing::warn!(service = name, problem, "a Service did not tell its model"),
        }
        let Some(service) = self.services.get_mut(id) else { return };
        for path in &known {
            if let Some(is_known) = service.registered.get_mut(path) {
                *is_known = true;
            }
        }
        let missing: Vec<&String> =
            service.registered.iter().filter(|(_, known)| !**known).map(|(path, _)| path).collect();
        if missing.is_empty() {
            service.attempts = 0;
        } else if missing.iter().any(|path| !paths.contains(path)) {
            // Registered since the question was asked.
            self.discover(id);
        } else {
            tracing::warn!(
                service = name,
                ?missing,
                "registered paths that the Service does not support yet"
            );
            service.attempts = service.attempts.saturating_add(1);
            let wait = Duration::from_secs(1 << service.attempts.min(6));
            self.timers.set(self.model.now.monotonic + wait, Timer::Discovery(id));
        }
        self.sync_service(id);
    }

    /// Takes a Service's answer into the schema. Gives back the registered paths that are known through it.
    fn take_model(
        &mut self,
        id: ServiceId,
        paths: &[String],
        response: &usp::GetSupportedDmResp,
    ) -> Vec<String> {
        let paths: BTreeMap<String, bool> = paths.iter().map(|path| (path.clone(), false)).collect();
        let mut known = BTreeSet::new();
        let mut elements = 0;
        for object in response.req_obj_results.iter().flat_map(|r| &r.supported_objs) {
            elements += 1 + object.supported_params.len() + object.supported_commands.len();
            if elements > MAX_ELEMENTS {
                tracing::warn!(
                    service = self.services.name(id),
                    "a Service's model is too large; the rest is left out"
                );
                break;
            }
            let at = object.supported_obj_path.as_str();
            // The registered object that this is or lies in, and what is registered of this object's own elements.
            let own = paths.range::<str, _>((Bound::Included(at), Bound::Unbounded));
            let own = own.map(|(path, _)| path.as_str()).take_while(|path| path.starts_with(at));
            let is_element = |path: &&str| {
                path.get(at.len()..).is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
            };
            for path in above(&paths, at).into_iter().chain(own.filter(is_element)) {
                if self.take_object(id, path, object) {
                    known.insert(path.to_owned());
                }
            }
        }
        known.into_iter().collect()
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
            let table = matches!(segments.peek(), Some(SupportedSegment::AnyInstance));
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
        object.access = TableAccess {
            add: matches!(access, ObjAccessType::ObjAddDelete | ObjAccessType::ObjAddOnly),
            delete: matches!(access, ObjAccessType::ObjAddDelete | ObjAccessType::ObjDeleteOnly),
        };
        object.keys = from
            .unique_key_sets
            .iter()
            .map(|set| Key {
                params: set.key_names.iter().filter_map(|n| Name::new(n).ok()).collect(),
                functional: true,
            })
            .collect();
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

fn param(owner: Owner, from: &usp::get_supported_dm_resp::SupportedParamResult) -> Param {
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

fn command(owner: Owner, from: &usp::get_supported_dm_resp::SupportedCommandResult) -> Command {
    Command {
        // A Service older than 1.2 does not say; an async command needs more care, so that is assumed.
        is_async: from.command_type != CmdType::CmdSync as i32,
        inputs: from.input_arg_names.iter().map(|n| (n.clone(), false)).collect(),
        outputs: from.output_arg_names.clone(),
        owner,
    }
}

impl Job for DiscoveryJob {
    fn reply(&mut self, _: &mut Broker, _: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        self.answer = Some(match outcome {
            Ok(RespType::GetSupportedDmResp(response)) => Ok(response),
            Ok(_) => Err("it answered GetSupportedDM with something else".to_owned()),
            Err(error) => Err(error.fault.text),
        });
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if self.asked {
            let answer = self.answer.take().unwrap_or_else(|| Err("no answer".to_owned()));
            broker.discovered(self.service, &self.paths, answer);
            return None;
        }
        self.asked = true;
        let request = usp::GetSupportedDm {
            obj_paths: self.paths.clone(),
            first_level_only: false,
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: true,
        };
        broker.ask_service(id, 0, self.service, ReqType::GetSupportedDm(request));
        Some(self)
    }
}
