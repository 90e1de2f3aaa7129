//! GetInstances.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp::get_instances_resp::{CurrInstance, RequestedPathResult};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::budget::Budget;
use super::follow::leads_nowhere;
use super::{Origin, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::Kind;
use crate::access::tables::Tables;
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply, failed};
use crate::input::ConnId;
use crate::time::Mono;

#[derive(Debug, Default)]
struct Entry {
    requested: String,
    own: Vec<CurrInstance>,
    /// From Services, by question, in the order of its parts.
    others: BTreeMap<usize, Vec<CurrInstance>>,
    fault: Option<Fault>,
    /// Services that failed, by question.
    failed: BTreeMap<usize, Fault>,
}

/// One Message to one Service.
struct Ask {
    service: ServiceId,
    parts: Vec<Part>,
}

/// A path that a Service is asked for.
struct Part {
    entry: usize,
    path: String,
    /// The Service owns the requested path as a whole.
    whole: bool,
}

struct InstancesJob {
    origin: Origin,
    budget: Budget,
    first_level_only: bool,
    entries: Vec<Entry>,
    asks: Vec<Ask>,
    asked: bool,
    /// What may be read of rows that are alike.
    tables: Tables,
}

impl Broker {
    /// GetInstances.
    pub(crate) fn handle_get_instances(&mut self, origin: Origin, request: &usp::GetInstances) {
        let first_level_only = request.first_level_only;
        let mut job = InstancesJob {
            origin,
            budget: Budget::new(self.config.limits.max_answer_bytes),
            first_level_only,
            entries: Vec::new(),
            asks: Vec::new(),
            asked: false,
            tables: Tables::default(),
        };
        for requested in &request.obj_paths {
            let index = job.entries.len();
            let mut entry = Entry { requested: requested.clone(), ..Entry::default() };
            if let Err(fault) = self.plan_meant_instances(&mut job, index, &mut entry, requested) {
                job.budget.take(fault.text.len());
                entry.fault = Some(fault);
            }
            job.budget.take(requested.len());
            if let Err(fault) = job.budget.check() {
                return self.refuse(&job.origin, &fault);
            }
            job.entries.push(entry);
        }
        self.begin(Box::new(job));
    }

    /// A path, or those that its references lead to.
    fn plan_meant_instances(
        &self,
        job: &mut InstancesJob,
        index: usize,
        entry: &mut Entry,
        requested: &str,
    ) -> Result<(), Fault> {
        let Some(paths) = job.origin.meant(requested)? else {
            return self.plan_instances(job, index, entry, requested);
        };
        for path in &paths {
            match self.plan_instances(job, index, entry, path) {
                Err(fault) if !leads_nowhere(&self.model, path, &fault) => return Err(fault),
                _ => {}
            }
        }
        let parts = job.asks.iter_mut().flat_map(|ask| &mut ask.parts).filter(|part| part.entry == index);
        parts.for_each(|part| part.whole = false);
        Ok(())
    }

    fn plan_instances(
        &self,
        job: &mut InstancesJob,
        index: usize,
        entry: &mut Entry,
        requested: &str,
    ) -> Result<(), Fault> {
        let path = Path::parse(requested)?;
        if path.leaf != Leaf::Object {
            return Err(wrong_form(requested, "an Object Path"));
        }
        let local = match resolve(&self.model, &path, &job.origin.rights)? {
            Found::Service(service) => {
                job.ask(service, Part { entry: index, path: path.to_string(), whole: true });
                return Ok(());
            }
            Found::Local(local) => local,
        };
        let absent = || Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist"));
        if local.at.is_empty() && !local.search {
            return Err(absent());
        }
        // R-GIN.0: what is hidden is not there.
        let hidden = |at: &ObjRef| !local.search && self.shows_nothing(at, &job.origin.rights);
        let (hidden, is_row) =
            local.at.first().map_or((false, false), |at| (hidden(at), !at.numbers.is_empty()));
        if let Some(table) = local.object.filter(|_| local.table) {
            let rows = local.at.iter().flat_map(|above| self.model.rows.of_table(table, &above.numbers));
            for (row, _) in rows {
                self.add_instance(job, row, &mut entry.own);
            }
            return if hidden && is_row && entry.own.is_empty() { Err(absent()) } else { Ok(()) };
        }
        let tables_below = local.object.is_some_and(|o| self.has_tables_below(o));
        if !tables_below && local.object.is_some() {
            if hidden {
                return Err(if is_row { absent() } else { Fault::unsupported(&path) });
            }
            return Err(Fault::new(ErrCode::OBJECT_IS_NOT_A_TABLE, format!("{path} is not a table")));
        }
        for at in &local.at {
            self.instances_below(job, at, &mut entry.own);
            self.ask_services_below(job, index, at);
        }
        if hidden && is_row && entry.own.is_empty() {
            return Err(absent());
        }
        Ok(())
    }

    fn has_tables_below(&self, object: crate::dm::schema::ObjId) -> bool {
        let below = self.model.descendants(object);
        below
            .iter()
            .skip(1)
            .any(|id| self.model.schema.get(*id).is_some_and(|o| o.table || o.owner != Owner::Local))
    }

    /// A row and, unless only the first level is wanted, all rows below it.
    fn add_instance(&self, job: &InstancesJob, row: &ObjRef, into: &mut Vec<CurrInstance>) {
        let rights = &job.origin.rights;
        let is_shown = job.budget.is_open() && job.tables.may_show(rights, &self.model, row);
        let kind = Kind::InstantiatedObj;
        let is_named = is_shown && job.tables.may_read(rights, &self.model, kind, row, &Leaf::Object);
        job.budget.check_more(job.tables.take_denied());
        if !is_shown {
            return;
        }
        if is_named {
            let instance = CurrInstance {
                instantiated_obj_path: self.model.path(row),
                unique_keys: self.readable_keys(row, rights),
            };
            if job.budget.take(size(&instance)) {
                into.push(instance);
            }
        }
        if !job.first_level_only {
            self.instances_below(job, row, into);
        }
    }

    /// Rows of tables below an object; single objects are passed through.
    fn instances_below(&self, job: &InstancesJob, at: &ObjRef, into: &mut Vec<CurrInstance>) {
        for child in self.model.below(at) {
            match self.model.schema.get(child.object) {
                Some(object) if object.owner != Owner::Local => {}
                Some(object) if object.table => self.add_instance(job, &child, into),
                _ => self.instances_below(job, &child, into),
            }
        }
    }

    fn ask_services_below(&self, job: &mut InstancesJob, entry: usize, at: &ObjRef) {
        let Some(object) = self.model.schema.get(at.object).filter(|_| at.numbers.is_empty()) else { return };
        for (service, registered) in self.services.below(&object.path) {
            // Only objects have instances; a Service's single object is asked for what is below it.
            if registered.ends_with('.') && self.has_instances(registered) {
                if !job.budget.take(registered.len()) {
                    return;
                }
                job.ask(service, Part { entry, path: registered.to_owned(), whole: false });
            }
        }
    }

    fn has_instances(&self, registered: &str) -> bool {
        let table = self.model.schema.find(&format!("{registered}{{i}}."));
        let single = self.model.schema.find(registered);
        table.is_some() || single.is_some_and(|o| self.has_tables_below(o))
    }
}

impl InstancesJob {
    /// Adds to the question that goes to this Service anyway, or makes one.
    fn ask(&mut self, service: ServiceId, part: Part) {
        match self.asks.iter_mut().find(|ask| ask.service == service) {
            Some(ask) => ask.parts.push(part),
            None => self.asks.push(Ask { service, parts: vec![part] }),
        }
    }

    /// One Service's word on one path.
    fn take_part(
        &mut self,
        broker: &Broker,
        tag: usize,
        part: (usize, bool),
        outcome: Result<Vec<CurrInstance>, Fault>,
    ) {
        let (entry, whole) = part;
        let Some(service) = self.asks.get(tag).map(|ask| ask.service) else { return };
        let rights = &self.origin.rights;
        let Some(entry) = self.entries.get_mut(entry) else { return };
        match outcome {
            Ok(mut found) => {
                found.retain(|i| broker.services.owns(service, &i.instantiated_obj_path));
                for row in &mut found {
                    let path = &row.instantiated_obj_path;
                    broker.model.keep_declared_keys(path, &mut row.unique_keys);
                }
                shown::of_instances(rights, &mut found);
                if found.iter().all(|instance| self.budget.take(size(instance))) {
                    entry.others.entry(tag).or_default().extend(found);
                }
            }
            Err(fault) => {
                self.budget.take(fault.text.len());
                match whole {
                    true => entry.fault = Some(fault),
                    false => drop(entry.failed.insert(tag, fault)),
                }
            }
        }
    }
}

impl Job for InstancesJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let (Some(ask), LegReply::Service(outcome)) = (self.asks.get(tag), reply) else { return };
        let name = broker.services.name(ask.service);
        let outcome = match outcome {
            Ok(RespType::GetInstancesResp(response)) => Ok(response),
            Ok(_) => {
                let text = format!("Service {name} answered with something else");
                Err(Fault::new(ErrCode::INTERNAL_ERROR, text))
            }
            Err(error) => Err(error.fault),
        };
        for (part, outcome) in of_service(&ask.parts, outcome, &name) {
            self.take_part(broker, tag, part, outcome);
        }
    }

    fn asker(&self) -> Option<ConnId> {
        Some(self.origin.conn)
    }

    fn until(&self) -> Option<Mono> {
        self.origin.terms.map(|terms| terms.answer)
    }

    fn advance(mut self: Box<Self>, broker: &mut Broker, id: JobId) -> Option<Box<dyn Job>> {
        if let Err(fault) = self.budget.check() {
            broker.refuse(&self.origin, &fault);
            return None;
        }
        if self.asked || self.asks.is_empty() {
            let results = std::mem::take(&mut self.entries).into_iter().flat_map(results).collect();
            let response = usp::GetInstancesResp { req_path_results: results };
            broker.respond(&self.origin, RespType::GetInstancesResp(response));
            return None;
        }
        self.asked = true;
        for (tag, ask) in self.asks.iter().enumerate() {
            // A path that was requested twice is asked once: answers are told apart by their paths.
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let once = ask.parts.iter().filter(|part| seen.insert(&part.path));
            let obj_paths = once.map(|part| part.path.clone()).collect();
            let request = usp::GetInstances { obj_paths, first_level_only: self.first_level_only };
            broker.ask_service(id, tag, ask.service, ReqType::GetInstances(request));
        }
        Some(self)
    }
}

type Outcome = Result<Vec<CurrInstance>, Fault>;

/// Splits a Service's answer into the parts that it was asked for: each with its entry, and whether it is all of it.
fn of_service(
    parts: &[Part],
    outcome: Result<usp::GetInstancesResp, Fault>,
    name: &str,
) -> Vec<((usize, bool), Outcome)> {
    let mut by_path: BTreeMap<&str, Vec<&RequestedPathResult>> = BTreeMap::new();
    for result in outcome.iter().flat_map(|r| &r.req_path_results) {
        by_path.entry(&result.requested_path).or_default().push(result);
    }
    let of_part = |part: &Part| -> Outcome {
        outcome.as_ref().map_err(Clone::clone)?;
        let left_out = || {
            let text = format!("Service {name} left {} out of its answer", part.path);
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        };
        let results = by_path.get(&*part.path).ok_or_else(left_out)?;
        let is_failure = |r: &&&RequestedPathResult| {
            r.err_code != 0 && (part.whole || r.err_code != ErrCode::INVALID_PATH.0)
        };
        if let Some(failure) = results.iter().find(is_failure) {
            let text = format!("Service {name}: {}", failure.err_msg);
            return Err(Fault::new(failed(failure.err_code), text));
        }
        Ok(results.iter().flat_map(|r| &r.curr_insts).cloned().collect())
    };
    parts.iter().map(|part| ((part.entry, part.whole), of_part(part))).collect()
}

/// What an instance adds to the answer.
fn size(instance: &CurrInstance) -> usize {
    let keys = instance.unique_keys.iter().map(|(name, value)| name.len() + value.len() + 8);
    instance.instantiated_obj_path.len() + keys.sum::<usize>()
}

fn results(entry: Entry) -> Vec<RequestedPathResult> {
    let mut found = entry.own;
    found.extend(entry.others.into_values().flatten());
    let of = |fault: Option<&Fault>, curr_insts| RequestedPathResult {
        requested_path: entry.requested.clone(),
        err_code: fault.map_or(0, |f| f.code.0),
        err_msg: fault.map_or(String::new(), |f| f.text.clone()),
        curr_insts,
    };
    let mut results = vec![of(entry.fault.as_ref(), found)];
    results.extend(entry.failed.values().map(|fault| of(Some(fault), Vec::new())));
    results
}
