//! GetSupportedDM where a Service has to be asked: rows of its tables that differ in what they support. Everything else is
//! known since it registered.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{InstanceNumber, Leaf, Path, Segment, SupportedPath, SupportedSegment};
use usp_proto::usp::get_supported_dm_resp::{RequestedObjectResult, SupportedObjectResult};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::Origin;
use super::budget::Budget;
use super::supported::size;
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, failed};
use crate::input::ConnId;

/// One Message to one Service.
struct Ask {
    service: ServiceId,
    /// `true`: which of the requested paths the Service answers as a whole; `false`: tables whose rows are asked for anew.
    whole: bool,
    /// The result that each is for, with the path.
    parts: Vec<(usize, String)>,
}

/// GetSupportedDM of which a part is asked from Services.
pub(super) struct SupportedJob {
    origin: Origin,
    budget: Budget,
    request: usp::GetSupportedDm,
    results: Vec<RequestedObjectResult>,
    asks: Vec<Ask>,
    asked: bool,
}

impl Broker {
    /// The Service that alone knows what a row of it supports.
    pub(super) fn knows_row(&self, text: &str) -> Option<ServiceId> {
        let path = SupportedPath::parse(text).ok()?;
        if !path.segments.iter().any(|s| matches!(s, SupportedSegment::Instance(_))) {
            return None;
        }
        let any = |s: &SupportedSegment| match s {
            SupportedSegment::Instance(_) => SupportedSegment::AnyInstance,
            other => other.clone(),
        };
        let segments = path.segments.iter().map(any).collect();
        let supported = SupportedPath { segments, leaf: Leaf::Object }.to_string();
        let schema = &self.model.schema;
        let object = schema.find(&supported).or_else(|| schema.find(&format!("{supported}{{i}}.")))?;
        match schema.get(object)?.owner {
            Owner::Service(service) => Some(service),
            Owner::Local => None,
        }
    }

    /// Asks Services for what they alone know, if that is needed; then answers.
    pub(super) fn complete_supported(
        &mut self,
        origin: &Origin,
        request: &usp::GetSupportedDm,
        budget: Budget,
        results: Vec<RequestedObjectResult>,
    ) {
        let asks = self.supported_asks(origin, &results);
        let job = SupportedJob {
            origin: origin.clone(),
            budget,
            request: request.clone(),
            results,
            asks,
            asked: false,
        };
        self.begin(Box::new(job));
    }

    fn supported_asks(&self, origin: &Origin, results: &[RequestedObjectResult]) -> Vec<Ask> {
        let mut asks: BTreeMap<(ServiceId, bool), Vec<(usize, String)>> = BTreeMap::new();
        for (index, result) in results.iter().enumerate().filter(|(_, r)| r.err_code == 0) {
            if let Some(service) = self.knows_row(&result.req_obj_path) {
                let part = (index, result.req_obj_path.clone());
                asks.entry((service, true)).or_default().push(part);
            }
            for object in result.supported_objs.iter().filter(|o| !o.divergent_paths.is_empty()) {
                let table = self.model.schema.find(&object.supported_obj_path);
                let owner = table.and_then(|table| self.model.schema.get(table)).map(|o| o.owner);
                if let Some(Owner::Service(service)) = owner {
                    let part = (index, object.supported_obj_path.clone());
                    asks.entry((service, false)).or_default().push(part);
                }
            }
        }
        tracing::trace!(peer = %origin.peer, asks = asks.len(), "GetSupportedDM asks Services");
        asks.into_iter().map(|((service, whole), parts)| Ask { service, whole, parts }).collect()
    }
}

impl SupportedJob {
    /// A row as its Service describes it, as far as the Controller may know.
    fn take_row(&mut self, broker: &Broker, service: ServiceId, index: usize, told: Told) {
        let Some(result) = self.results.get_mut(index) else { return };
        let row = numbers_of(&result.req_obj_path);
        let rights = match row_of(&result.req_obj_path) {
            Some(row) => self.origin.rights.within(&broker.model, &row, None),
            None => Ok(self.origin.rights.clone()),
        };
        match told.and_then(|objects| Ok((objects, rights?))) {
            Ok((objects, rights)) => {
                let own =
                    objects.into_iter().filter(|o| broker.services.owns(service, &o.supported_obj_path));
                let known = own.filter_map(|object| may_know(&rights, &row, object));
                let known = known.take_while(|object| self.budget.take(size(object)));
                result.supported_objs = known.collect();
                if result.supported_objs.is_empty() {
                    fail(result, &Fault::unsupported(&result.req_obj_path));
                }
            }
            Err(fault) => fail(result, &fault),
        }
    }

    /// The rows of a table at this moment. Without an answer those that were told before stand.
    fn take_paths(&mut self, index: usize, table: &str, told: Told) {
        let Some(result) = self.results.get_mut(index) else { return };
        let fresh = told.ok().and_then(|all| all.into_iter().find(|o| o.supported_obj_path == table));
        let known = result.supported_objs.iter_mut().find(|o| o.supported_obj_path == table);
        if let (Some(fresh), Some(known)) = (fresh, known)
            && fresh.divergent_paths.iter().all(|path| self.budget.take(path.len()))
        {
            known.divergent_paths = fresh.divergent_paths;
            let rights = &self.origin.rights;
            let above = table.trim_end_matches("{i}.");
            let may = |path: &String| rights.allow_text(Kind::Obj, Act::Read, path);
            known.divergent_paths.retain(|path| path.starts_with(above) && may(path));
        }
    }
}

type Told = Result<Vec<SupportedObjectResult>, Fault>;

fn fail(result: &mut RequestedObjectResult, fault: &Fault) {
    result.supported_objs.clear();
    result.err_code = fault.code.0;
    result.err_msg.clone_from(&fault.text);
}

/// What a supported path means as other paths are written.
pub(super) fn written(path: SupportedPath) -> Path {
    let segments = path.segments.into_iter().map(|segment| match segment {
        SupportedSegment::Name(name) => Segment::Name(name),
        SupportedSegment::AnyInstance => Segment::Wildcard,
        SupportedSegment::Instance(number) => Segment::Instance(number),
    });
    Path { segments: segments.collect(), leaf: path.leaf }
}

/// The row that a supported path names, or is in.
fn row_of(text: &str) -> Option<Path> {
    let mut segments = written(SupportedPath::parse(text).ok()?).segments;
    let last = segments.iter().rposition(|segment| matches!(segment, Segment::Instance(_)))?;
    segments.truncate(last + 1);
    Some(Path { segments, leaf: Leaf::Object })
}

/// Numbers of the row that a supported path names.
fn numbers_of(text: &str) -> Vec<InstanceNumber> {
    let path = SupportedPath::parse(text).ok();
    let numbers = path.iter().flat_map(|path| &path.segments).filter_map(|segment| match segment {
        SupportedSegment::Instance(number) => Some(*number),
        SupportedSegment::Name(_) | SupportedSegment::AnyInstance => None,
    });
    numbers.collect()
}

/// What of an object in a row a Controller may know of (R-GSP.0); `None`: nothing.
fn may_know(
    rights: &Rights,
    row: &[InstanceNumber],
    mut object: SupportedObjectResult,
) -> Option<SupportedObjectResult> {
    if rights.is_all() {
        return Some(object);
    }
    let at = path_in(row, &object.supported_obj_path)?;
    let may = |kind, name: &str| {
        let path = Path::parse(&format!("{at}{name}"));
        path.is_ok_and(|path| rights.allow_somewhere(kind, Act::Read, &path))
    };
    if !may(Kind::Obj, "") {
        return None;
    }
    object.supported_params.retain(|p| may(Kind::Param, &p.param_name));
    object.supported_commands.retain(|c| may(Kind::CommandEvent, &c.command_name));
    object.supported_events.retain(|e| may(Kind::CommandEvent, &e.event_name));
    object.unique_key_sets.retain(|key| key.key_names.iter().all(|name| may(Kind::Param, name)));
    object.divergent_paths.retain(|path| rights.allow_text(Kind::Obj, Act::Read, path));
    Some(object)
}

/// The path of a told object of one row: told with `{i}` or with numbers, it is that row's; `*` for rows below it.
fn path_in(row: &[InstanceNumber], told: &str) -> Option<String> {
    let mut row = row.iter();
    let segments = SupportedPath::parse(told).ok()?.segments.into_iter().map(|segment| match segment {
        SupportedSegment::Name(name) => Segment::Name(name),
        SupportedSegment::AnyInstance => row.next().map_or(Segment::Wildcard, |n| Segment::Instance(*n)),
        SupportedSegment::Instance(number) => {
            row.next();
            Segment::Instance(number)
        }
    });
    Some(Path { segments: segments.collect(), leaf: Leaf::Object }.to_string())
}

/// One path's part of a Service's answer.
fn of_path(response: &usp::GetSupportedDmResp, path: &str, name: &str) -> Told {
    let Some(result) = response.req_obj_results.iter().find(|r| r.req_obj_path == path) else {
        let text = format!("Service {name} left {path} out of its answer");
        return Err(Fault::new(ErrCode::INTERNAL_ERROR, text));
    };
    match result.err_code {
        0 => Ok(result.supported_objs.clone()),
        code => Err(Fault::new(failed(code), format!("Service {name}: {}", result.err_msg))),
    }
}

impl Job for SupportedJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let (Some(ask), LegReply::Service(outcome)) = (self.asks.get(tag), reply) else { return };
        let (service, whole, parts) = (ask.service, ask.whole, ask.parts.clone());
        let name = broker.services.name(service);
        let response = match outcome {
            Ok(RespType::GetSupportedDmResp(response)) => Ok(response),
            Ok(_) => {
                let text = format!("Service {name} answered GetSupportedDM with something else");
                Err(Fault::new(ErrCode::INTERNAL_ERROR, text))
            }
            Err(error) => Err(error.fault),
        };
        for (index, path) in parts {
            let told = response.as_ref().map_err(Clone::clone).and_then(|r| of_path(r, &path, &name));
            match whole {
                true => self.take_row(broker, service, index, told),
                false => self.take_paths(index, &path, told),
            }
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if let Err(fault) = self.budget.check() {
            broker.refuse(&self.origin, &fault);
            return None;
        }
        if self.asked || self.asks.is_empty() {
            let response = usp::GetSupportedDmResp { req_obj_results: std::mem::take(&mut self.results) };
            broker.respond(&self.origin, RespType::GetSupportedDmResp(response));
            return None;
        }
        self.asked = true;
        for (tag, ask) in self.asks.iter().enumerate() {
            let mut obj_paths: Vec<String> = ask.parts.iter().map(|(_, path)| path.clone()).collect();
            obj_paths.sort();
            obj_paths.dedup();
            let request = match ask.whole {
                true => usp::GetSupportedDm { obj_paths, ..self.request.clone() },
                false => usp::GetSupportedDm { obj_paths, first_level_only: true, ..Default::default() },
            };
            broker.ask_service(id, tag, ask.service, ReqType::GetSupportedDm(request));
        }
        Some(self)
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }
}
