//! GetInstances.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp::get_instances_resp::{CurrInstance, RequestedPathResult};
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::budget::Budget;
use super::{Origin, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind};
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::{Job, JobId, LegReply};

#[derive(Debug, Default)]
struct Entry {
    requested: String,
    own: Vec<CurrInstance>,
    others: BTreeMap<usize, Vec<CurrInstance>>,
    fault: Option<Fault>,
    failed: BTreeMap<usize, Fault>,
}

struct Ask {
    entry: usize,
    service: ServiceId,
    path: String,
    whole: bool,
}

struct InstancesJob {
    origin: Origin,
    budget: Budget,
    first_level_only: bool,
    entries: Vec<Entry>,
    asks: Vec<Ask>,
    asked: bool,
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
        };
        for requested in &request.obj_paths {
            let index = job.entries.len();
            let mut entry = Entry { requested: requested.clone(), ..Entry::default() };
            if let Err(fault) = self.plan_instances(&mut job, index, &mut entry, requested) {
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
                job.asks.push(Ask { entry: index, service, path: path.to_string(), whole: true });
                return Ok(());
            }
            Found::Local(local) => local,
        };
        if local.at.is_empty() && !local.search {
            return Err(Fault::new(ErrCode::OBJECT_DOES_NOT_EXIST, format!("{path} does not exist")));
        }
        if let Some(table) = local.object.filter(|_| local.table) {
            let rows = local.at.iter().flat_map(|above| self.model.rows.of_table(table, &above.numbers));
            for (row, _) in rows {
                self.add_instance(job, row, &mut entry.own);
            }
            return Ok(());
        }
        let tables_below = local.object.is_some_and(|o| self.has_tables_below(o));
        if !tables_below && local.object.is_some() {
            return Err(Fault::new(ErrCode::OBJECT_IS_NOT_A_TABLE, format!("{path} is not a table")));
        }
        for at in &local.at {
            self.instances_below(job, at, &mut entry.own);
            self.ask_services_below(job, index, at);
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
        if !job.budget.is_open() {
            return;
        }
        if rights.allow(&self.model, Kind::InstantiatedObj, Act::Read, row, &Leaf::Object) {
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
                job.asks.push(Ask { entry, service, path: registered.to_owned(), whole: false });
            }
        }
    }

    fn has_instances(&self, registered: &str) -> bool {
        let table = self.model.schema.find(&format!("{registered}{{i}}."));
        let single = self.model.schema.find(registered);
        table.is_some() || single.is_some_and(|o| self.has_tables_below(o))
    }
}

impl Job for InstancesJob {
    fn reply(&mut self, broker: &mut Broker, tag: usize, reply: LegReply) {
        let (Some(ask), LegReply::Service(outcome)) = (self.asks.get(tag), reply) else { return };
        let name = broker.services.name(ask.service);
        let outcome = match outcome {
            Ok(RespType::GetInstancesResp(response)) => of_service(response, ask, &name),
            Ok(_) => Err(Fault::new(
                ErrCode::INTERNAL_ERROR,
                format!("Service {name} answered with something else"),
            )),
            Err(error) => Err(error.fault),
        };
        let rights = self.origin.rights.clone();
        let Some(entry) = self.entries.get_mut(ask.entry) else { return };
        match outcome {
            Ok(mut found) => {
                found.retain(|i| broker.services.owns(ask.service, &i.instantiated_obj_path));
                shown::of_instances(&rights, &mut found);
                if found.iter().all(|instance| self.budget.take(size(instance))) {
                    entry.others.insert(tag, found);
                }
            }
            Err(fault) => {
                self.budget.take(fault.text.len());
                match ask.whole {
                    true => entry.fault = Some(fault),
                    false => drop(entry.failed.insert(tag, fault)),
                }
            }
        }
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
            let request = usp::GetInstances {
                obj_paths: vec![ask.path.clone()],
                first_level_only: self.first_level_only,
            };
            broker.ask_service(id, tag, ask.service, ReqType::GetInstances(request));
        }
        Some(self)
    }
}

fn of_service(response: usp::GetInstancesResp, ask: &Ask, name: &str) -> Result<Vec<CurrInstance>, Fault> {
    let mut found = Vec::new();
    if response.req_path_results.is_empty() {
        let text = format!("Service {name} left {} out of its answer", ask.path);
        return Err(Fault::new(ErrCode::INTERNAL_ERROR, text));
    }
    for result in response.req_path_results {
        if result.err_code != 0 && (ask.whole || result.err_code != ErrCode::INVALID_PATH.0) {
            return Err(Fault::new(ErrCode(result.err_code), format!("Service {name}: {}", result.err_msg)));
        }
        found.extend(result.curr_insts);
    }
    Ok(found)
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
