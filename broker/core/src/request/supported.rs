//! GetSupportedDM and GetSupportedProtocol. Answered from the model: what Services support is known since they
//! registered. Only for rows that differ they are asked ([`super::supported_at`]).

use std::cell::OnceCell;

use usp_proto::path::{Leaf, Name, Path, Segment, SupportedPath, SupportedSegment};
use usp_proto::usp::get_supported_dm_resp::{
    CmdType, ObjAccessType, ParamAccessType, ParamValueType, RequestedObjectResult, SupportedCommandResult,
    SupportedEventResult, SupportedObjectResult, SupportedParamResult, SupportedUniqueKeySet,
    ValueChangeType,
};
use usp_proto::usp::{self, response::RespType};

use super::budget::Budget;
use super::{Origin, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind};
use crate::dm::fill_numbers;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Command, Event, ObjId, Object, Owner, Param, ParamAccess, Schema};
use crate::dm::types::Base;
use crate::fault::Fault;

/// `data_model_inst_uri`
const MODEL_URI: &str = "urn:broadband-forum-org:tr-181-2-19-1-usp";

/// Versions of USP whose Messages are understood.
pub(crate) const PROTOCOL_VERSIONS: &str = "1.0,1.1,1.2,1.3,1.4";

/// What of each object is wanted.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    request: &'a usp::GetSupportedDm,
    origin: &'a Origin,
    budget: &'a Budget,
    kinds: &'a OnceCell<Vec<ObjRef>>,
}

impl Broker {
    /// GetSupportedProtocol.
    pub(crate) fn handle_get_supported_protocol(&mut self, origin: &Origin) {
        let versions = PROTOCOL_VERSIONS.to_owned();
        let response = usp::GetSupportedProtocolResp { agent_supported_protocol_versions: versions };
        self.respond(origin, RespType::GetSupportedProtocolResp(response));
    }

    /// GetSupportedDM.
    pub(crate) fn handle_get_supported_dm(&mut self, origin: &Origin, request: &usp::GetSupportedDm) {
        let budget = Budget::new(self.config.limits.max_answer_bytes);
        let wanted = Wanted { request, origin, budget: &budget, kinds: &OnceCell::new() };
        // Nothing is collected beyond what there is room for.
        let paths = request.obj_paths.iter().take_while(|path| budget.take(2 * path.len() + MODEL_URI.len()));
        let results = paths.map(|path| match self.supported(path, wanted) {
            Ok(supported_objs) => RequestedObjectResult {
                req_obj_path: path.clone(),
                data_model_inst_uri: MODEL_URI.to_owned(),
                supported_objs,
                ..RequestedObjectResult::default()
            },
            Err(fault) => RequestedObjectResult {
                req_obj_path: path.clone(),
                err_code: fault.code.0,
                err_msg: fault.text,
                ..RequestedObjectResult::default()
            },
        });
        let results: Vec<RequestedObjectResult> = results.collect();
        if let Err(fault) = budget.check() {
            return self.refuse(origin, &fault);
        }
        self.complete_supported(origin, request, budget, results);
    }

    /// Found when it is first asked for.
    fn kinds<'a>(&self, wanted: Wanted<'a>) -> &'a [ObjRef] {
        wanted.kinds.get_or_init(|| self.kinds_of_devices())
    }

    fn supported(&self, text: &str, wanted: Wanted<'_>) -> Result<Vec<SupportedObjectResult>, Fault> {
        let path = SupportedPath::parse(text)?;
        check_notation(&path)?;
        // What may be known of it may not have been found out.
        wanted.origin.meant(text)?;
        if self.knows_row(text).is_some() {
            return Ok(Vec::new());
        }
        let (id, numbers) = self.supported_object(&path).ok_or_else(|| Fault::unsupported(text))?;
        let in_row = self.as_in_row(wanted.origin, id, &numbers)?;
        let wanted = Wanted { origin: in_row.as_ref().unwrap_or(wanted.origin), ..wanted };
        let object = self.model.schema.get(id).ok_or_else(|| Fault::unsupported(text))?;
        if path.leaf != Leaf::Object {
            let known = self.may_know(wanted.origin, id, &numbers, None).then_some(());
            return known
                .and_then(|()| self.single_element(object, id, &path.leaf, &numbers, wanted))
                .ok_or_else(|| Fault::unsupported(text));
        }
        let mut found = Vec::new();
        let instance = (!numbers.is_empty()).then_some(numbers.as_slice());
        self.describe(id, object, instance, wanted, 0, &mut found);
        // What Controllers begin with is there for each of them, if only to say that there is nothing else for it.
        if found.is_empty() && wanted.budget.is_open() && id != Schema::ROOT {
            return Err(Fault::unsupported(text));
        }
        Ok(found)
    }

    /// The object of a supported path: in `{i}` notation, or with the numbers of a divergent row. A final `{i}.` may be
    /// missing.
    fn supported_object(&self, path: &SupportedPath) -> Option<(ObjId, Vec<u32>)> {
        let mut text = String::new();
        let mut numbers = Vec::new();
        for segment in &path.segments {
            match segment {
                SupportedSegment::Name(name) => text.push_str(&format!("{name}.")),
                SupportedSegment::AnyInstance => text.push_str("{i}."),
                SupportedSegment::Instance(number) => {
                    text.push_str("{i}.");
                    numbers.push(*number);
                }
            }
        }
        let id =
            self.model.schema.find(&text).or_else(|| self.model.schema.find(&format!("{text}{{i}}.")))?;
        let exists = numbers.is_empty() || self.row_of_numbers(id, &numbers).is_some();
        exists.then_some((id, numbers))
    }

    /// The row that the first numbers of an instantiated path lead to.
    fn row_of_numbers(&self, id: ObjId, numbers: &[u32]) -> Option<ObjRef> {
        let tables = self.model.schema.lineage(id).into_iter().filter(|o| o.table);
        let last = tables.take(numbers.len()).last()?;
        let row = ObjRef::new(self.model.schema.find(&last.path)?, numbers);
        self.model.rows.contains(&row).then_some(row)
    }

    /// Whoever asks for one of our rows, with the rights that hold there, where these hang on the row.
    fn as_in_row(&self, origin: &Origin, id: ObjId, numbers: &[u32]) -> Result<Option<Origin>, Fault> {
        let row = self.row_of_numbers(id, numbers).filter(|_| origin.rights.has_open_targets());
        let Some(row) = row else { return Ok(None) };
        let path = Path::parse(&self.model.path(&row))?;
        let rights = origin.rights.within(&self.model, &path, Some(&row))?;
        Ok(Some(Origin { rights, ..origin.clone() }))
    }

    /// R-GSP.0: whether the Controller may know of an element: of the given row, or of any.
    fn may_know(&self, origin: &Origin, id: ObjId, numbers: &[u32], leaf: Option<(Kind, Leaf)>) -> bool {
        if origin.rights.is_all() {
            return true;
        }
        let Some(object) = self.model.schema.get(id) else { return false };
        let (kind, leaf) = leaf.unwrap_or((Kind::Obj, Leaf::Object));
        let segments = written_segments(object, &self.model.schema, id, numbers);
        origin.rights.allow_somewhere(kind, Act::Read, &Path { segments, leaf })
    }

    /// One Parameter, Command or Event: the flags do not matter.
    fn single_element(
        &self,
        object: &Object,
        id: ObjId,
        leaf: &Leaf,
        numbers: &[u32],
        wanted: Wanted<'_>,
    ) -> Option<Vec<SupportedObjectResult>> {
        let mut result = self.bare(object, numbers);
        wanted.budget.take(size(&result));
        let kind = if matches!(leaf, Leaf::Parameter(_)) { Kind::Param } else { Kind::CommandEvent };
        if !self.may_know(wanted.origin, id, numbers, Some((kind, leaf.clone()))) {
            return None;
        }
        let (instance, kinds) = ((!numbers.is_empty()).then_some(numbers), self.kinds(wanted));
        if !self.has_element(id, instance, leaf, kinds) {
            return None;
        }
        match leaf {
            Leaf::Parameter(name) => result.supported_params.push(param(name, object.params.get(name)?)),
            Leaf::Command(name) => {
                let known = (name, object.commands.get(name)?);
                let own = self.command_of_rows(id, instance, known, kinds);
                result.supported_commands.push(command(name, &own));
            }
            Leaf::Event(name) => {
                let own = self.event_of_rows(id, instance, (name, object.events.get(name)?), kinds);
                result.supported_events.push(event(name, &own));
            }
            Leaf::Object => return None,
        }
        Some(vec![result])
    }

    fn bare(&self, object: &Object, numbers: &[u32]) -> SupportedObjectResult {
        let access = match (object.table, object.access.add, object.access.delete) {
            (true, true, true) => ObjAccessType::ObjAddDelete,
            (true, true, false) => ObjAccessType::ObjAddOnly,
            (true, false, true) => ObjAccessType::ObjDeleteOnly,
            _ => ObjAccessType::ObjReadOnly,
        };
        SupportedObjectResult {
            supported_obj_path: fill_numbers(&object.path, numbers),
            access: access as i32,
            is_multi_instance: object.table,
            ..SupportedObjectResult::default()
        }
    }

    /// An object and what is below it. A table whose rows differ ends the walk with the rows' paths.
    fn describe(
        &self,
        id: ObjId,
        object: &Object,
        instance: Option<&[u32]>,
        wanted: Wanted<'_>,
        level: usize,
        into: &mut Vec<SupportedObjectResult>,
    ) {
        if !wanted.budget.is_open() || !self.is_there(id, object, instance, self.kinds(wanted)) {
            return;
        }
        // What is below a hidden object may be shown by an entry of its own.
        let known = self.may_know(wanted.origin, id, instance.unwrap_or_default(), None);
        let mut result = self.bare(object, instance.unwrap_or_default());
        let differs = match object.owner {
            Owner::Local => self.is_divergent(id, object, instance, self.kinds(wanted)),
            Owner::Service(_) => object.divergent && instance.is_none(),
        };
        if differs {
            let paths = self.divergent_rows(id, object, instance.unwrap_or_default(), wanted.origin);
            let paths = paths.into_iter().take_while(|path| wanted.budget.take(path.len()));
            result.divergent_paths = paths.collect();
            wanted.budget.take(size(&result));
            into.extend(known.then_some(result));
            return;
        }
        // Children of the first level come without details, and with their keys (TP-469 1.75).
        if known && wanted.request.return_unique_key_sets {
            result.unique_key_sets = self.key_sets(id, object, instance.unwrap_or_default(), wanted.origin);
        }
        if known && (level == 0 || !wanted.request.first_level_only) {
            self.fill(&mut result, id, object, instance, wanted);
        }
        if known && !wanted.budget.take(size(&result)) {
            return;
        }
        into.extend(known.then_some(result));
        if level > 0 && wanted.request.first_level_only {
            return;
        }
        for (child_id, child) in
            object.children.values().filter_map(|c| Some((*c, self.model.schema.get(*c)?)))
        {
            self.describe(child_id, child, instance, wanted, level + 1, into);
        }
    }

    /// Paths of the rows of a table that differ, as far as they may be seen.
    fn divergent_rows(&self, id: ObjId, object: &Object, above: &[u32], origin: &Origin) -> Vec<String> {
        let rights = &origin.rights;
        match object.owner {
            Owner::Local => {
                let shown =
                    |row: &ObjRef| rights.allow(&self.model, Kind::Obj, Act::Read, row, &Leaf::Object);
                let rows = self.model.rows.subtree(&[id], above).into_iter().filter(shown);
                rows.map(|row| self.model.path(&row)).collect()
            }
            Owner::Service(service) => {
                let rows = self.services.divergent_rows(service, &object.path).iter();
                rows.filter(|row| rights.allow_text(Kind::Obj, Act::Read, row)).cloned().collect()
            }
        }
    }

    fn fill(
        &self,
        result: &mut SupportedObjectResult,
        id: ObjId,
        object: &Object,
        instance: Option<&[u32]>,
        wanted: Wanted<'_>,
    ) {
        let request = wanted.request;
        let kinds = self.kinds(wanted);
        // Whether the Controller may know of it, and any row in question has it.
        let here = |kind, leaf: Leaf| {
            self.may_know(wanted.origin, id, instance.unwrap_or_default(), Some((kind, leaf.clone())))
                && self.has_element(id, instance, &leaf, kinds)
        };
        if request.return_params {
            let all = object.params.iter();
            let all = all.filter(|(n, _)| here(Kind::Param, Leaf::Parameter((*n).clone())));
            result.supported_params = all.map(|(n, p)| param(n, p)).collect();
        }
        if request.return_commands {
            let all = object.commands.iter();
            let all = all.filter(|(n, _)| here(Kind::CommandEvent, Leaf::Command((*n).clone())));
            let own = all.map(|(n, c)| command(n, &self.command_of_rows(id, instance, (n, c), kinds)));
            result.supported_commands = own.collect();
        }
        if request.return_events {
            let all = object.events.iter();
            let all = all.filter(|(n, _)| here(Kind::CommandEvent, Leaf::Event((*n).clone())));
            let own = all.map(|(n, e)| event(n, &self.event_of_rows(id, instance, (n, e), kinds)));
            result.supported_events = own.collect();
        }
    }

    /// The unique keys that the Controller may read.
    fn key_sets(
        &self,
        id: ObjId,
        object: &Object,
        row: &[u32],
        origin: &Origin,
    ) -> Vec<SupportedUniqueKeySet> {
        let names = |key: &crate::dm::schema::Key| key.params.iter().map(Name::to_string).collect();
        let leaf = |name: &Name| (Kind::Param, Leaf::Parameter(name.clone()));
        let may = |name: &Name| self.may_know(origin, id, row, Some(leaf(name)));
        let readable = object.keys.iter().filter(|key| key.params.iter().all(may));
        readable.map(|key| SupportedUniqueKeySet { key_names: names(key) }).collect()
    }
}

/// Behind `{i}` no row can be told any more.
fn check_notation(path: &SupportedPath) -> Result<(), Fault> {
    let mut behind = path.segments.iter().skip_while(|s| **s != SupportedSegment::AnyInstance);
    match behind.find(|s| matches!(s, SupportedSegment::Instance(_))) {
        Some(_) => Err(wrong_form(&path.to_string(), "a supported path: it has a number behind {i}")),
        None => Ok(()),
    }
}

/// What an object adds to the answer.
pub(super) fn size(result: &SupportedObjectResult) -> usize {
    let params = result.supported_params.iter().map(|p| p.param_name.len() + 8);
    let commands = result.supported_commands.iter().map(|c| {
        let args = c.input_arg_names.iter().chain(&c.output_arg_names).map(|name| name.len() + 2);
        c.command_name.len() + 6 + args.sum::<usize>()
    });
    let events = result.supported_events.iter().map(|e| {
        let args = e.arg_names.iter().map(|name| name.len() + 2);
        e.event_name.len() + 4 + args.sum::<usize>()
    });
    let keys = result.unique_key_sets.iter().flat_map(|set| &set.key_names).map(|name| name.len() + 4);
    result.supported_obj_path.len() + params.chain(commands).chain(events).chain(keys).sum::<usize>()
}

/// A supported object's path with the numbers that are known and `*` for other rows, for the permission check.
fn written_segments(object: &Object, schema: &Schema, id: ObjId, numbers: &[u32]) -> Vec<Segment> {
    debug_assert!(schema.get(id).is_some_and(|o| o.path == object.path));
    let mut segments = Vec::new();
    let mut numbers = numbers.iter();
    for object in schema.lineage(id) {
        segments.push(Segment::Name(object.name.clone()));
        if object.table {
            segments.push(numbers.next().map_or(Segment::Wildcard, |number| Segment::Instance(*number)));
        }
    }
    segments
}

fn param(name: &Name, param: &Param) -> SupportedParamResult {
    let access = match param.access {
        ParamAccess::Read => ParamAccessType::ParamReadOnly,
        ParamAccess::ReadWrite | ParamAccess::Once => ParamAccessType::ParamReadWrite,
        ParamAccess::Write => ParamAccessType::ParamWriteOnly,
    };
    let change = if param.quiet {
        ValueChangeType::ValueChangeWillIgnore
    } else {
        ValueChangeType::ValueChangeAllowed
    };
    SupportedParamResult {
        param_name: name.to_string(),
        access: access as i32,
        value_type: value_type(param) as i32,
        value_change: change as i32,
    }
}

fn value_type(param: &Param) -> ParamValueType {
    if param.ty.list {
        return ParamValueType::ParamString;
    }
    match param.ty.base {
        Base::Base64 => ParamValueType::ParamBase64,
        Base::Boolean => ParamValueType::ParamBoolean,
        Base::DateTime => ParamValueType::ParamDateTime,
        Base::Decimal => ParamValueType::ParamDecimal,
        Base::HexBinary => ParamValueType::ParamHexBinary,
        Base::Int => ParamValueType::ParamInt,
        Base::Long => ParamValueType::ParamLong,
        Base::String => ParamValueType::ParamString,
        Base::UnsignedInt => ParamValueType::ParamUnsignedInt,
        Base::UnsignedLong => ParamValueType::ParamUnsignedLong,
        Base::Unknown => ParamValueType::ParamUnknown,
    }
}

fn command(name: &Name, command: &Command) -> SupportedCommandResult {
    SupportedCommandResult {
        command_name: format!("{name}()"),
        input_arg_names: command.inputs.iter().map(|(n, _)| n.clone()).collect(),
        output_arg_names: command.outputs.clone(),
        command_type: if command.is_async { CmdType::CmdAsync } else { CmdType::CmdSync } as i32,
    }
}

fn event(name: &Name, event: &Event) -> SupportedEventResult {
    SupportedEventResult { event_name: format!("{name}!"), arg_names: event.args.clone() }
}
