//! References that lead into Services, out of them, or from one to another.
//!
//! A Service can follow only what it serves itself, so the broker asks it for the reference alone, goes on where that
//! leads, and hands out plain paths. What stays among the broker's own rows is left to [`crate::dm::resolve`]; search
//! expressions inside a Service's table are evaluated by that Service, which is asked for the rows where each is to be
//! judged by itself ([`super::judged`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::reference::{MOST_ROUNDS, Next, Reference};
use super::{Origin, judged};
use crate::Broker;
use crate::access::{Act, Kind};
use crate::dm::Model;
use crate::dm::resolve::Found;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, failed};
use crate::input::ConnId;
use crate::time::Mono;

/// The paths that a path means once its references are followed, or why that cannot be known; by the path as written.
pub(crate) type Followed = BTreeMap<String, Result<Vec<String>, Fault>>;

impl Origin {
    /// What stands in the place of a requested path, if references of it were followed beforehand.
    pub(crate) fn meant(&self, requested: &str) -> Result<Option<Vec<String>>, Fault> {
        self.followed.get(requested).cloned().transpose()
    }
}

/// Whether a fault says no more than that a reference leads to something that is not there.
pub(crate) fn leads_nowhere(model: &Model, path: &str, fault: &Fault) -> bool {
    let absent = matches!(fault.code, ErrCode::INVALID_PATH | ErrCode::OBJECT_DOES_NOT_EXIST);
    absent && Path::parse(path).is_ok_and(|path| model.supports(&path))
}

/// A path on its way.
struct Open {
    requested: String,
    path: Path,
    /// The Service that is asked for references inside its expressions, for its first reference or, without any, for its rows.
    asked: Option<ServiceId>,
    /// It is asked for references inside its expressions.
    inside: bool,
}

impl Open {
    fn new(requested: String, path: Path) -> Self {
        Self { requested, path, asked: None, inside: false }
    }

    /// What the Service is asked: the references, or the rows.
    fn question(&self, model: &Model, service: ServiceId) -> usp::Get {
        if self.inside {
            let param_paths = model.references_inside(&self.path, service);
            return usp::Get { param_paths, max_depth: 0 };
        }
        let (path, max_depth) = match Reference::first_of(&self.path) {
            Some(reference) => (reference.parameter(), 0),
            None => (Path { segments: self.path.segments.clone(), leaf: Leaf::Object }, 1),
        };
        usp::Get { param_paths: vec![path.to_string()], max_depth }
    }
}

/// The next thing to do with a path.
enum Turn {
    /// A Service is to search by references: it is asked for them first.
    Inside(ServiceId),
    Next(Next),
}

struct FollowJob {
    origin: Origin,
    request: ReqType,
    open: Vec<Open>,
    found: Followed,
    /// Paths whose expressions follow no reference out of the Service that evaluates them.
    within: BTreeSet<Path>,
    rounds: usize,
}

impl Broker {
    /// Takes up a request with references that cross into Services: they are followed first. Gives it back if there are
    /// none.
    pub(crate) fn follow_first(&mut self, origin: Origin, request: &ReqType) -> Option<Origin> {
        let crossing: Vec<Open> = paths_of(request)
            .into_iter()
            .filter(|text| text.contains("+.") || !origin.rights.is_all())
            .filter(|text| !origin.followed.contains_key(*text))
            .filter_map(|text| Some((text, Path::parse(text).ok()?)))
            .filter(|(text, path)| {
                let within = &BTreeSet::new();
                self.model.crosses(path, &For { origin: &origin, request, text, within }, MOST_ROUNDS)
            })
            .map(|(text, path)| Open::new(text.to_owned(), path))
            .collect();
        if crossing.is_empty() {
            return Some(origin);
        }
        let mut found = (*origin.followed).clone();
        found.extend(crossing.iter().map(|open| (open.requested.clone(), Ok(Vec::new()))));
        let origin = self.on_terms(origin);
        let (request, within) = (request.clone(), BTreeSet::new());
        let job = FollowJob { origin, request, open: crossing, found, within, rounds: 0 };
        self.begin(Box::new(job));
        None
    }
}

/// Who wants to know what for.
struct For<'a> {
    origin: &'a Origin,
    request: &'a ReqType,
    /// The path as it was requested.
    text: &'a str,
    within: &'a BTreeSet<Path>,
}

impl Model {
    /// Whether one of a path's references is held by a Service or leads into one, or the rows that it means are to be
    /// judged one by one.
    fn crosses(&self, path: &Path, asked: &For<'_>, rounds: usize) -> bool {
        match self.next(path, asked) {
            Ok(Turn::Inside(_) | Turn::Next(Next::Ask(_))) => true,
            // A Service's references, none of which may be read.
            Ok(Turn::Next(Next::Paths(paths))) if paths.is_empty() => {
                matches!(self.resolve(&path.segments), Ok(Found::Service(_)))
            }
            Ok(Turn::Next(Next::Paths(paths))) => paths.iter().any(|path| {
                self.is_at_service(path) || (rounds > 0 && self.crosses(path, asked, rounds - 1))
            }),
            Ok(Turn::Next(Next::Done)) => false,
            // What may not be read, or is not there, is told in its place, and no Service is handed the path as it stands.
            Err(_) => true,
        }
    }

    /// Whether a path leads to a Service: to an object, or to what one serves within an object of ours.
    pub(super) fn is_at_service(&self, path: &Path) -> bool {
        let Ok(Found::Local(local)) = self.resolve(&path.segments) else { return true };
        let Some(object) = local.object.and_then(|id| self.schema.get(id)) else { return false };
        let owner = match &path.leaf {
            Leaf::Parameter(name) => object.params.get(name).map(|p| p.owner),
            Leaf::Command(name) => object.commands.get(name).map(|c| c.owner),
            Leaf::Object | Leaf::Event(_) => None,
        };
        matches!(owner, Some(Owner::Service(_)))
    }

    fn next(&self, path: &Path, asked: &For<'_>) -> Result<Turn, Fault> {
        let rights = &asked.origin.rights;
        // Who may not read all that a search looks at gets no search at a Service, nor the reason that only its rows tell.
        let searches = |_: &ServiceId| !asked.within.contains(path) && rights.may_search(self, path);
        if let Some(service) = self.searches_by_reference(path).filter(searches) {
            return Ok(Turn::Inside(service));
        }
        match self.unfold(path, rights)? {
            Next::Done => {
                let service = self.rows_at(path, rights, asked.request, asked.text);
                Ok(Turn::Next(service.map_or(Next::Done, Next::Ask)))
            }
            next => Ok(Turn::Next(next)),
        }
    }
}

impl FollowJob {
    fn fail(&mut self, requested: &str, fault: Fault) {
        self.found.insert(requested.to_owned(), Err(fault));
    }

    /// Takes a path on until it is plain, or a Service has to be asked.
    fn walk(&mut self, broker: &Broker, requested: String, path: Path, depth: usize) {
        let asked =
            For { origin: &self.origin, request: &self.request, text: &requested, within: &self.within };
        match broker.model.next(&path, &asked) {
            Err(fault) => self.fail(&requested, fault),
            Ok(_) if depth > MOST_ROUNDS => {
                let text = format!("{requested} follows more than {MOST_ROUNDS} references");
                self.fail(&requested, Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
            }
            Ok(Turn::Inside(service)) => {
                let open = Open::new(requested, path);
                self.ask_later(broker, Open { asked: Some(service), inside: true, ..open });
            }
            Ok(Turn::Next(Next::Done)) => self.done(broker, &requested, path.to_string()),
            Ok(Turn::Next(Next::Ask(service))) => {
                self.ask_later(broker, Open { asked: Some(service), ..Open::new(requested, path) });
            }
            Ok(Turn::Next(Next::Paths(paths))) => {
                for path in paths {
                    self.walk(broker, requested.clone(), path, depth + 1);
                }
            }
        }
    }

    /// A Service is to be asked, once for each path and not for more of them than a request may name.
    fn ask_later(&mut self, broker: &Broker, open: Open) {
        let is_it = |other: &Open| {
            (other.asked, &other.path, &other.requested) == (open.asked, &open.path, &open.requested)
        };
        if self.open.iter().any(is_it) {
            return;
        }
        let most = broker.config.limits.max_paths_per_request;
        if self.open.len() < most {
            return self.open.push(open);
        }
        let text = format!("references lead to more than {most} others (limits.max_paths_per_request)");
        self.fail(&open.requested, Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
    }

    fn done(&mut self, broker: &Broker, requested: &str, path: String) {
        let most = broker.config.limits.max_paths_per_request;
        let Some(Ok(paths)) = self.found.get_mut(requested) else { return };
        if paths.contains(&path) {
            return;
        }
        if paths.len() < most {
            return paths.push(path);
        }
        let text = format!("{requested} leads to more than {most} objects (limits.max_paths_per_request)");
        self.fail(requested, Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
    }

    /// A Service's answer: where the reference leads.
    fn targets(
        &self,
        broker: &Broker,
        open: &Open,
        service: ServiceId,
        outcome: Result<RespType, Fault>,
    ) -> Result<Vec<Path>, Fault> {
        let name = broker.services.name(service);
        let RespType::GetResp(response) = outcome? else {
            let text = format!("Service {name} answered a Get with something else");
            return Err(Fault::new(ErrCode::INTERNAL_ERROR, text));
        };
        if let Some(bad) = response.req_path_results.iter().find(|r| r.err_code != 0) {
            return Err(Fault::new(failed(bad.err_code), format!("Service {name}: {}", bad.err_msg)));
        }
        if open.inside {
            return broker.check_inside(service, &open.path, &response).map(|()| vec![open.path.clone()]);
        }
        let objects = response.req_path_results.iter().flat_map(|r| &r.resolved_path_results);
        let Some(reference) = Reference::first_of(&open.path) else {
            let rights = &self.origin.rights;
            let own = objects.filter(|object| broker.services.owns(service, &object.resolved_path));
            let row = |path: &str| judged::meant(path, &open.path, rights, &self.request, &open.requested);
            return Ok(own.filter_map(|object| row(&object.resolved_path)).collect());
        };
        let readable = objects.filter_map(|object| {
            let path = format!("{}{}", object.resolved_path, reference.name);
            let rights = &self.origin.rights;
            let mine =
                broker.services.owns(service, &path) && rights.allow_text(Kind::Param, Act::Read, &path);
            object.result_params.get(reference.name.as_str()).filter(|_| mine)
        });
        reference.targets_of(&broker.model, readable)
    }
}

impl Job for FollowJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        let Some(open) = self.open.get_mut(tag) else { return };
        let Some(service) = open.asked.take() else { return };
        let open = Open { inside: open.inside, ..Open::new(open.requested.clone(), open.path.clone()) };
        match self.targets(broker, &open, service, outcome.map_err(|e| e.fault)) {
            Err(fault) => self.fail(&open.requested, fault),
            Ok(paths) => {
                self.within.extend(open.inside.then_some(open.path));
                let rounds = self.rounds;
                paths.into_iter().for_each(|path| self.walk(broker, open.requested.clone(), path, rounds));
            }
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if self.rounds == 0 {
            for open in std::mem::take(&mut self.open) {
                self.walk(broker, open.requested, open.path, 0);
            }
        } else {
            // What was asked is answered; only what came of it is left.
            self.open.retain(|open| open.asked.is_some());
        }
        self.rounds += 1;
        if self.open.is_empty() {
            let origin = Origin { followed: Arc::new(self.found), ..self.origin };
            broker.handle_followed_request(origin, &self.request);
            return None;
        }
        for (tag, open) in self.open.iter().enumerate() {
            let Some(service) = open.asked else { continue };
            broker.ask_service(id, tag, service, ReqType::Get(open.question(&broker.model, service)));
        }
        Some(self)
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }

    fn until(&self) -> Option<Mono> {
        self.origin.terms.map(|terms| terms.questions)
    }
}

/// The paths of a request that may follow references.
pub(super) fn paths_of(request: &ReqType) -> Vec<&str> {
    match request {
        ReqType::Get(get) => get.param_paths.iter().map(String::as_str).collect(),
        ReqType::GetInstances(request) => request.obj_paths.iter().map(String::as_str).collect(),
        ReqType::Set(set) => set.update_objs.iter().map(|o| o.obj_path.as_str()).collect(),
        ReqType::Add(add) => add.create_objs.iter().map(|o| o.obj_path.as_str()).collect(),
        ReqType::Delete(delete) => delete.obj_paths.iter().map(String::as_str).collect(),
        ReqType::Operate(operate) => vec![&operate.command],
        _ => Vec::new(),
    }
}
