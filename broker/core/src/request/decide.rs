//! Finds out what open Targets of Permissions mean ([`crate::access::meaning`]): before a request that they may be about,
//! and before something that a Service told is passed on.
//!
//! Invariants: nothing is decided by an answer to a question that was asked before; one question for each Service and
//! round, however many Targets; each ends by an answer, its deadline, or the Service's end, and what is not known then stays
//! undecided. The rights of whoever asks play no part: a Target means what it means to the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path, Segment, SupportedPath, SupportedSegment};
use usp_proto::usp::get_resp::RequestedPathResult;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::follow::paths_of;
use super::reference::{MOST_ROUNDS, Next, Reference};
use super::supported_at::written;
use super::{Origin, judged};
use crate::Broker;
use crate::access::Rights;
use crate::access::meaning::{Meaning, Steps};
use crate::dm::Model;
use crate::dm::covers::is_untold;
use crate::dm::resolve::Found;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, failed};
use crate::input::ConnId;
use crate::time::Mono;

/// So many objects one Target may mean.
const MOST_OBJECTS: usize = 100_000;

/// What goes on once it is known.
enum Then {
    Request(Box<(Origin, ReqType)>),
    /// What this Service told.
    Told(ServiceId),
    /// References of these Subscriptions.
    Follow(BTreeSet<u32>),
}

/// A Target on its way to what it means.
#[derive(Clone)]
struct Open {
    target: Steps,
    path: Path,
    service: ServiceId,
    /// It is asked for references inside the path's expressions first.
    inside: bool,
}

/// What is known of one Target so far.
#[derive(Default)]
struct Progress {
    objects: BTreeSet<Steps>,
    services: BTreeSet<ServiceId>,
    fault: Option<Fault>,
}

struct DecideJob {
    then: Then,
    found: BTreeMap<Steps, Progress>,
    open: Vec<Open>,
    asked: Vec<(ServiceId, Vec<Open>)>,
    /// Paths whose expressions follow no reference out of the Service that evaluates them.
    within: BTreeSet<Path>,
    rounds: usize,
}

impl Open {
    fn new(target: &Steps, path: Path, service: ServiceId) -> Self {
        Self { target: target.clone(), path, service, inside: false }
    }

    fn questions(&self, model: &Model) -> Vec<String> {
        match self.inside {
            true => model.references_inside(&self.path, self.service),
            false => vec![self.question().to_string()],
        }
    }

    /// What the Service is asked: the reference, or what tells rows apart, or the objects.
    fn question(&self) -> Path {
        if let Some(reference) = Reference::first_of(&self.path) {
            return reference.parameter();
        }
        let compared = match self.path.segments.last() {
            Some(Segment::Search(expression)) => expression.0.iter().find(|c| c.objects.is_empty()),
            _ => None,
        };
        let leaf = compared.map_or(Leaf::Object, |component| Leaf::Parameter(component.parameter.clone()));
        Path { segments: self.path.segments.clone(), leaf }
    }
}

impl Broker {
    /// Takes up a request that open Targets may be about: first it is found out what they mean. Gives it back if there are
    /// none.
    pub(crate) fn decide_first(&mut self, origin: Origin, request: &ReqType) -> Option<Origin> {
        if !origin.rights.has_open_targets() {
            return Some(origin);
        }
        let paths = decided(request).into_iter().map(|(_, path)| path);
        let open = |path: Path| -> Vec<Steps> {
            origin.rights.open_for(&self.model, &path).map(|target| target.segments.clone()).collect()
        };
        let targets: BTreeSet<Steps> = paths.flat_map(open).collect();
        if targets.is_empty() {
            return Some(origin);
        }
        let origin = self.on_terms(origin);
        self.decide(targets, Then::Request(Box::new((origin, request.clone()))));
        None
    }

    /// Finds out what Targets mean, for what a Service told.
    pub(crate) fn decide_told(&mut self, service: ServiceId, targets: BTreeSet<Steps>) {
        self.decide(targets, Then::Told(service));
    }

    /// Finds out what Targets mean, for references that Subscriptions follow.
    pub(crate) fn decide_leads(&mut self, numbers: BTreeSet<u32>, targets: BTreeSet<Steps>) {
        self.decide(targets, Then::Follow(numbers));
    }

    fn decide(&mut self, targets: BTreeSet<Steps>, then: Then) {
        let found = targets.into_iter().map(|target| (target, Progress::default())).collect();
        let (open, asked, within) = (Vec::new(), Vec::new(), BTreeSet::new());
        self.begin(Box::new(DecideJob { then, found, open, asked, within, rounds: 0 }));
    }

    /// The request goes on. Of paths that depend on what could not be found out, that is told in place of a denial; the reason
    /// only in the log, for it may name Targets, rows and values of which the Controller may not know.
    fn handle_decided(&mut self, origin: Origin, request: &ReqType, faults: &BTreeMap<Steps, Fault>) {
        let rights = origin.rights.clone().knowing(&self.model.targets);
        let mut followed = (*origin.followed).clone();
        for (text, path) in decided(request) {
            if let Some(fault) = rights.undecided_by(faults, &path) {
                tracing::debug!(path = text, reason = fault.text, "a Target of a Permission is not known");
                let why = format!(
                    "what may be done with {text} is not known: a Target of a Permission that may be about it could \
                     not be found out"
                );
                followed.insert(text.to_owned(), Err(Fault::new(fault.code, why)));
            }
        }
        let origin = Origin { rights, followed: Arc::new(followed), ..origin };
        if let Some(origin) = self.follow_first(origin, request) {
            self.handle_followed_request(origin, request);
        }
    }
}

/// The paths of a request that are judged by what Targets mean at this moment. The supported model of a table is what any
/// row may have, that of a row hangs on the row.
fn decided(request: &ReqType) -> Vec<(&str, Path)> {
    let row = |text: &str| {
        let path = SupportedPath::parse(text).ok()?;
        path.segments.iter().any(|s| matches!(s, SupportedSegment::Instance(_))).then(|| written(path))
    };
    match request {
        ReqType::GetSupportedDm(request) => {
            request.obj_paths.iter().filter_map(|text| Some((text.as_str(), row(text)?))).collect()
        }
        _ => {
            let paths = paths_of(request).into_iter();
            paths.filter_map(|text| Some((text, Path::parse(text).ok()?))).collect()
        }
    }
}

/// A result that is no failure.
fn good(
    result: RequestedPathResult,
    broker: &Broker,
    service: ServiceId,
) -> Result<RequestedPathResult, Fault> {
    match result.err_code {
        0 => Ok(result),
        code => {
            let text = format!("Service {}: {}", broker.services.name(service), result.err_msg);
            Err(Fault::new(failed(code), text))
        }
    }
}

impl DecideJob {
    fn fail(&mut self, target: &Steps, fault: Fault) {
        if let Some(found) = self.found.get_mut(target) {
            found.fault.get_or_insert(fault);
        }
    }

    /// Takes a Target on until it is plain, or a Service has to be asked.
    fn walk(&mut self, broker: &Broker, target: &Steps, path: Path, depth: usize) {
        let next = broker.model.searched.apart(|| broker.model.unfold(&path, &Rights::all()));
        match next {
            Err(fault) if is_untold(&fault) => self.fail(target, fault),
            // Nothing of the kind is there.
            Err(_) => {}
            Ok(_) if depth > MOST_ROUNDS => {
                let text = format!("a Target follows more than {MOST_ROUNDS} references");
                self.fail(target, Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
            }
            Ok(Next::Done) => self.arrive(broker, target, path),
            Ok(Next::Ask(service)) => self.ask_later(broker, Open::new(target, path, service)),
            Ok(Next::Paths(paths)) => {
                paths.into_iter().for_each(|path| self.walk(broker, target, path, depth + 1));
            }
        }
    }

    /// The end of the references: the objects there.
    fn arrive(&mut self, broker: &Broker, target: &Steps, path: Path) {
        let model = &broker.model;
        match model.searched.apart(|| model.resolve(&path.segments)) {
            Err(fault) if is_untold(&fault) => self.fail(target, fault),
            Err(_) => {}
            Ok(Found::Service(service)) if path.is_search() => {
                self.ask_later(broker, Open::new(target, path, service));
            }
            Ok(Found::Service(_)) => self.insert(target, path.segments),
            Ok(Found::Local(local)) => {
                let table = path.segments.last().filter(|_| local.table);
                for at in &local.at {
                    let Ok(mut object) = Path::parse(&model.path(at)) else { continue };
                    object.segments.extend(table.cloned());
                    self.insert(target, object.segments);
                }
            }
        }
    }

    fn insert(&mut self, target: &Steps, object: Steps) {
        let Some(found) = self.found.get_mut(target) else { return };
        if found.objects.len() < MOST_OBJECTS {
            found.objects.insert(object);
        } else {
            let text = format!("a Target means more than {MOST_OBJECTS} objects");
            found.fault.get_or_insert(Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
        }
    }

    /// A Service is to be asked, for not more paths than a request may name. An expression that it cannot evaluate would
    /// mean nothing, and an entry that forbids by it would forbid nothing: first it is asked for the references in it.
    fn ask_later(&mut self, broker: &Broker, open: Open) {
        let searches = broker.model.searches_by_reference(&open.path) == Some(open.service);
        let open = Open { inside: searches && !self.within.contains(&open.path), ..open };
        let most = broker.config.limits.max_paths_per_request;
        if self.open.iter().any(|other| (&other.target, &other.path) == (&open.target, &open.path)) {
            return;
        }
        if self.open.len() < most {
            return self.open.push(open);
        }
        let text = format!("Targets lead to more than {most} others (limits.max_paths_per_request)");
        self.fail(&open.target, Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
    }

    /// A Service's answer about references inside expressions.
    fn take_inside(&mut self, broker: &Broker, open: Open, told: Result<usp::GetResp, Fault>) {
        if let Some(found) = self.found.get_mut(&open.target) {
            found.services.insert(open.service);
        }
        match told.and_then(|told| broker.check_inside(open.service, &open.path, &told)) {
            Ok(()) => {
                self.within.insert(open.path.clone());
                self.ask_later(broker, open);
            }
            Err(fault) => self.fail(&open.target, fault),
        }
    }

    /// A Service's answer about one Target.
    fn take(&mut self, broker: &Broker, open: &Open, outcome: &Result<RequestedPathResult, Fault>) {
        let Open { target, path, service, .. } = open;
        if let Some(found) = self.found.get_mut(target) {
            found.services.insert(*service);
        }
        let result = match outcome {
            Ok(result) => result,
            Err(fault) => return self.fail(target, fault.clone()),
        };
        let objects = result.resolved_path_results.iter();
        let own = objects.filter(|object| broker.services.owns(*service, &object.resolved_path));
        let Some(reference) = Reference::first_of(path) else {
            let rows = own.filter_map(|object| judged::named(&object.resolved_path, path));
            return rows.for_each(|row| self.insert(target, row.segments));
        };
        let values = own.filter_map(|object| object.result_params.get(reference.name.as_str()));
        match broker.model.searched.apart(|| reference.targets_of(&broker.model, values)) {
            Ok(paths) => {
                let rounds = self.rounds;
                paths.into_iter().for_each(|path| self.walk(broker, target, path, rounds));
            }
            Err(fault) => self.fail(target, fault),
        }
    }

    /// Tells the model what was found out; gives back what was not.
    fn learn(&mut self, broker: &mut Broker) -> BTreeMap<Steps, Fault> {
        let mut faults = BTreeMap::new();
        for (target, Progress { objects, services, fault }) in std::mem::take(&mut self.found) {
            let meaning = match fault {
                None => Ok(Meaning::new(objects, services)),
                Some(_) => Err(services),
            };
            broker.model.targets.learn(target.clone(), meaning);
            faults.extend(fault.map(|fault| (target, fault)));
        }
        faults
    }

    fn ask(&mut self, broker: &mut Broker, id: JobId) {
        let mut by_service: BTreeMap<ServiceId, Vec<Open>> = BTreeMap::new();
        for open in std::mem::take(&mut self.open) {
            by_service.entry(open.service).or_default().push(open);
        }
        self.asked = by_service.into_iter().collect();
        for (tag, (service, open)) in self.asked.iter().enumerate() {
            let param_paths = open.iter().flat_map(|open| open.questions(&broker.model)).collect();
            broker.ask_service(id, tag, *service, ReqType::Get(usp::Get { param_paths, max_depth: 1 }));
        }
    }
}

impl Job for DecideJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let LegReply::Service(outcome) = reply else { return };
        let Some((service, asked)) = self.asked.get_mut(tag) else { return };
        let (service, asked) = (*service, std::mem::take(asked));
        let unusable = |what: &str| {
            let text = format!("Service {} {what}", broker.services.name(service));
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        };
        let outcome = match outcome {
            Ok(RespType::GetResp(response)) => Ok(response.req_path_results),
            Ok(_) => Err(unusable("answered a Get with something else")),
            Err(error) => Err(error.fault),
        };
        for open in asked {
            let result_of = |question: &str| {
                let results = outcome.as_ref().map_err(Clone::clone)?;
                let found = results.iter().find(|result| result.requested_path == question);
                let left_out = || unusable(&format!("left {question} out of its answer"));
                good(found.cloned().ok_or_else(left_out)?, broker, service)
            };
            if open.inside {
                let questions = open.questions(&broker.model);
                let results: Result<_, Fault> =
                    questions.iter().map(|question| result_of(question)).collect();
                let told = results.map(|req_path_results| usp::GetResp { req_path_results });
                self.take_inside(broker, open, told);
            } else {
                self.take(broker, &open, &result_of(&open.question().to_string()));
            }
        }
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if self.rounds == 0 {
            let targets: Vec<Steps> = self.found.keys().cloned().collect();
            for target in targets {
                let path = Path { segments: target.clone(), leaf: Leaf::Object };
                self.walk(broker, &target, path, 0);
            }
        }
        self.rounds += 1;
        if !self.open.is_empty() {
            self.ask(broker, id);
            return Some(self);
        }
        let faults = self.learn(broker);
        match self.then {
            Then::Request(request) => broker.handle_decided(request.0, &request.1, &faults),
            Then::Told(service) => broker.tell_decided(service),
            Then::Follow(numbers) => broker.begin_leads(&numbers),
        }
        None
    }

    fn asker(&self) -> Option<ConnId> {
        match &self.then {
            Then::Request(request) => Some(request.0.conn),
            Then::Told(_) | Then::Follow(_) => None,
        }
    }

    fn until(&self) -> Option<Mono> {
        match &self.then {
            Then::Request(request) => request.0.terms.map(|terms| terms.questions),
            Then::Told(_) | Then::Follow(_) => None,
        }
    }
}
