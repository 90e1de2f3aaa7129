//! Delete.

use std::collections::BTreeSet;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path};
use usp_proto::usp::delete_resp::deleted_object_result::{
    OperationStatus,
    operation_status::{OperStatus, OperationFailure, OperationSuccess},
};
use usp_proto::usp::delete_resp::{DeletedObjectResult, UnaffectedPathError};
use usp_proto::usp::{self, error::ParamError, response::RespType};

use super::budget::Budget;
use super::follow::leads_nowhere;
use super::set::units_of;
use super::unit::{Step, UnitJob, UnitKind};
use super::{Origin, param_error, resolve, shown, wrong_form};
use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::dm::resolve::Found;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::gather::failed;

/// The answer to one requested path.
#[derive(Debug, Default)]
pub(crate) struct DeleteEntry {
    requested: String,
    affected: Vec<String>,
    unaffected: Vec<UnaffectedPathError>,
    failed: Option<Fault>,
    /// It failed along with another entry of its unit, which is to blame.
    along: bool,
    /// The row that is to blame for it.
    culprit: Option<String>,
    /// Results of Services: several, if references lead to several.
    service: Vec<DeletedObjectResult>,
    several: bool,
}

impl DeleteEntry {
    /// The unit failed: so does the entry, unless it has a more exact reason already.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        match &mut self.failed {
            Some(failed) => failed.text.clone_from(&fault.text),
            None => {
                self.failed = Some(fault.clone());
                self.along = true;
            }
        }
    }

    /// The entry itself failed.
    pub(crate) fn blame(&mut self, fault: &Fault) {
        self.failed = Some(fault.clone());
    }

    /// What a Service answered for it; gives back its failure.
    pub(crate) fn take(&mut self, result: Option<DeletedObjectResult>) -> Option<Fault> {
        let Some(mut result) = result else {
            let fault = left_out(&self.requested);
            self.blame(&fault);
            return Some(fault);
        };
        let asked = std::mem::replace(&mut result.requested_path, self.requested.clone());
        let fault = match result.oper_status.as_mut().and_then(|s| s.oper_status.as_mut()) {
            Some(OperStatus::OperFailure(f)) => {
                f.err_code = failed(f.err_code).0;
                Some(Fault::new(ErrCode(f.err_code), f.err_msg.clone()))
            }
            Some(OperStatus::OperSuccess(_)) => None,
            None => Some(Fault::new(ErrCode::INTERNAL_ERROR, "a result without a status")),
        };
        match &fault {
            // Of several rows that references lead to, each fails by itself.
            Some(fault) if self.several => self.unaffected.push(UnaffectedPathError {
                unaffected_path: asked,
                err_code: fault.code.0,
                err_msg: fault.text.clone(),
            }),
            Some(fault) => self.blame(fault),
            None => self.service.push(result),
        }
        fault
    }
}

impl DeleteEntry {
    /// Rows that a Service has deleted for it.
    pub(crate) fn deleted_at_service(&self) -> impl Iterator<Item = &String> {
        let statuses = self.service.iter().filter_map(|r| r.oper_status.as_ref()?.oper_status.as_ref());
        statuses.flat_map(|status| match status {
            OperStatus::OperSuccess(success) => success.affected_paths.as_slice(),
            OperStatus::OperFailure(_) => &[],
        })
    }
}

/// A Service did not say what became of an entry.
pub(crate) fn left_out(requested: &str) -> Fault {
    Fault::new(ErrCode::INTERNAL_ERROR, format!("the answer has no result for {requested}"))
}

impl Broker {
    /// Delete.
    pub(crate) fn handle_delete(&mut self, origin: Origin, delete: usp::Delete) {
        let (mut entries, mut steps) = (Vec::new(), Vec::new());
        let mut services = Vec::new();
        let mut gone = BTreeSet::new();
        let budget = Budget::new(self.config.limits.max_answer_bytes);
        for requested in &delete.obj_paths {
            let mut entry = DeleteEntry { requested: requested.clone(), ..DeleteEntry::default() };
            let planned =
                self.plan_meant_delete(&mut entry, requested, &origin, delete.allow_partial, &budget);
            if let Err(fault) = budget.check() {
                return self.refuse(&origin, &fault);
            }
            let mut todo = planned.unwrap_or_else(|fault| {
                entry.failed = Some(fault);
                Vec::new()
            });
            self.leave_out_gone(&mut gone, &mut entry, &mut todo);
            services.extend(todo.iter().filter_map(|s| match s {
                Step::DeleteAtService { service, .. } => Some(*service),
                _ => None,
            }));
            steps.push(todo);
            entries.push(entry);
        }
        services.sort_unstable();
        services.dedup();
        if !delete.allow_partial && entries.iter().any(|e| e.failed.is_some()) {
            return self.refuse_delete(&origin, &entries, Vec::new());
        }
        if !delete.allow_partial && services.len() > 1 {
            let text = "a Delete with allow_partial=false cannot span several Services: a deleted row cannot be restored";
            return self.refuse(&origin, &Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
        }
        let units =
            units_of(steps, delete.allow_partial, |i| entries.get(i).is_some_and(|e| e.failed.is_some()));
        let kind = UnitKind::Delete { allow_partial: delete.allow_partial, entries };
        self.begin(Box::new(UnitJob::new(origin, kind, units)));
    }

    /// A row is deleted once, by the first path that means it or a row above it, and told once.
    fn leave_out_gone(&self, gone: &mut BTreeSet<ObjRef>, entry: &mut DeleteEntry, steps: &mut Vec<Step>) {
        steps.retain(|step| {
            let Step::Remove(at) = step else { return true };
            let is_gone = std::iter::successors(Some(at.clone()), |at| self.model.above(at))
                .any(|above| gone.contains(&above));
            if is_gone {
                let path = self.model.path(at);
                entry.affected.retain(|affected| *affected != path);
            }
            !is_gone
        });
        gone.extend(steps.iter().filter_map(|step| match step {
            Step::Remove(at) => Some(at.clone()),
            _ => None,
        }));
    }

    /// A path, or those that its references lead to.
    fn plan_meant_delete(
        &self,
        entry: &mut DeleteEntry,
        requested: &str,
        origin: &Origin,
        allow_partial: bool,
        budget: &Budget,
    ) -> Result<Vec<Step>, Fault> {
        let Some(paths) = origin.meant(requested)? else {
            return self.plan_delete(entry, requested, &origin.rights, allow_partial, budget);
        };
        entry.several = paths.len() > 1;
        let mut steps = Vec::new();
        for path in paths {
            match self.plan_delete(entry, &path, &origin.rights, allow_partial, budget) {
                Ok(more) => steps.extend(more),
                Err(fault) if leads_nowhere(&self.model, &path, &fault) => {}
                // A search fails for each of its rows by itself (R-DEL.3).
                Err(fault) if allow_partial => entry.unaffected.push(UnaffectedPathError {
                    unaffected_path: path,
                    err_code: fault.code.0,
                    err_msg: fault.text,
                }),
                Err(fault) => {
                    entry.culprit.get_or_insert(path);
                    return Err(fault);
                }
            }
        }
        Ok(steps)
    }

    fn plan_delete(
        &self,
        entry: &mut DeleteEntry,
        requested: &str,
        rights: &Rights,
        allow_partial: bool,
        budget: &Budget,
    ) -> Result<Vec<Step>, Fault> {
        let path = Path::parse(requested)?;
        if path.leaf != Leaf::Object {
            return Err(wrong_form(requested, "the path of a row"));
        }
        let local = match resolve(&self.model, &path, rights)? {
            Found::Service(service) => {
                if !rights.allow_path(Kind::InstantiatedObj, Act::Write, &path) {
                    return Err(Fault::denied(path));
                }
                return Ok(vec![Step::DeleteAtService { service, path: path.to_string() }]);
            }
            Found::Local(local) => local,
        };
        if local.table || local.object.is_some_and(|id| self.model.schema.get(id).is_some_and(|o| !o.table)) {
            return Err(wrong_form(requested, "the path of a row"));
        }
        // Whether a row is there is not told by how its deletion is refused (R-DEL.1).
        if local.at.is_empty()
            && !local.search
            && !rights.allow_path(Kind::InstantiatedObj, Act::Write, &path)
        {
            return Err(Fault::denied(path));
        }
        let mut steps = Vec::new();
        for at in local.at {
            // R-DEL.2, R-DEL.4: what it may not know of is not told.
            budget.check_more(1);
            let known = self.may_know_row(&at, rights).then(|| self.model.path(&at));
            budget.take(known.as_ref().map_or(0, String::len));
            budget.check()?;
            match self.may_delete(&at, rights) {
                Ok(()) => {
                    entry.affected.extend(known);
                    steps.push(Step::Remove(at));
                }
                Err(fault) if !local.search || !allow_partial => {
                    entry.culprit = known;
                    return Err(fault);
                }
                Err(fault) => entry.unaffected.extend(known.map(|unaffected_path| {
                    budget.take(fault.text.len());
                    let (err_code, err_msg) = (fault.code.0, fault.text);
                    UnaffectedPathError { unaffected_path, err_code, err_msg }
                })),
            }
        }
        Ok(steps)
    }

    /// Whether GetInstances or a Get would show the row.
    pub(super) fn may_know_row(&self, at: &ObjRef, rights: &Rights) -> bool {
        let kinds = [Kind::InstantiatedObj, Kind::Obj];
        kinds.iter().any(|kind| rights.allow(&self.model, *kind, Act::Read, at, &Leaf::Object))
    }

    /// Whether nothing of an object is shown: for whoever asks it is not there.
    pub(super) fn shows_nothing(&self, at: &ObjRef, rights: &Rights) -> bool {
        let params = self.model.schema.get(at.object).into_iter().flat_map(|object| object.params.keys());
        !self.may_know_row(at, rights)
            && params.into_iter().all(|name| !rights.may_read(&self.model, at, name))
    }

    fn may_delete(&self, at: &ObjRef, rights: &Rights) -> Result<(), Fault> {
        let path = self.model.path(at);
        if !rights.allow(&self.model, Kind::InstantiatedObj, Act::Write, at, &Leaf::Object) {
            return Err(Fault::denied(path));
        }
        let refuse = |why: &str| Err(Fault::new(ErrCode::DELETE_FAILURE, format!("{path} {why}")));
        if !self.model.schema.get(at.object).is_some_and(|o| o.access.delete) {
            return refuse("is not deleted by Controllers");
        }
        if self.model.is_given(at) {
            return refuse("follows from the configuration and is not deleted by Controllers");
        }
        if path == "Device.LocalAgent.ControllerTrust.Role.1."
            || path == "Device.LocalAgent.ControllerTrust.Role.2."
        {
            return refuse("is a built-in role");
        }
        if path == "Device.LocalAgent.ControllerTrust.Role.1.Permission.1." {
            return refuse("makes the built-in role what it is");
        }
        Ok(())
    }

    /// Takes a row away with all below it, with Subscriptions whose recipient it was (N-SUB.1), and with what strong
    /// references name it (R-ARC.12).
    pub(crate) fn remove_row(&mut self, at: &ObjRef) {
        let below = self.model.descendants(at.object);
        let gone = self.model.rows.subtree(&below, &at.numbers);
        let path = |row| self.model.path(row).trim_end_matches('.').to_owned();
        let paths: BTreeSet<String> = gone.iter().map(path).collect();
        for row in gone.iter().rev() {
            self.model.rows.delete(row);
        }
        self.forget_references(&paths);
    }

    fn forget_references(&mut self, gone: &BTreeSet<String>) {
        let names_one = |table: &str| gone.iter().any(|path| path.starts_with(table));
        let params =
            self.model.schema.iter().flat_map(|(id, o)| o.params.iter().map(move |(n, p)| (id, n, p)));
        let strong =
            params.filter(|(_, _, p)| p.reference.as_ref().is_some_and(|r| r.strong && names_one(&r.table)));
        let references: Vec<_> = strong.map(|(id, name, _)| (id, name.clone())).collect();
        for (object, name) in references {
            for row in self.model.rows.subtree(&[object], &[]) {
                let Some(value) = self.model.rows.param(&row, &name).map(str::to_owned) else { continue };
                let items = usp_proto::tr106::split_list(&value);
                let kept = items.filter(|item| !gone.contains(*item)).collect::<Vec<_>>().join(",");
                if kept == value {
                    continue;
                }
                if name.as_str() == "Recipient" {
                    self.remove_row(&row);
                } else {
                    let path = self.model.path(&row);
                    tracing::info!(
                        param = format!("{path}{name}"),
                        "a row that it named was deleted and is named no more"
                    );
                    self.model.rows.set(&row, &name, kept);
                }
            }
        }
    }

    fn refuse_delete(&mut self, origin: &Origin, entries: &[DeleteEntry], given: Vec<ParamError>) {
        let all = || entries.iter().filter_map(|e| Some((e, e.failed.as_ref()?)));
        let only_along = all().all(|(entry, _)| entry.along);
        let failed = all().filter(|(entry, _)| only_along || !entry.along);
        let own = failed
            .clone()
            .map(|(entry, fault)| param_error(entry.culprit.as_ref().unwrap_or(&entry.requested), fault));
        let requested = entries.iter().map(|e| e.requested.as_str());
        let given = self.tellable(&origin.rights, requested, given);
        let params = if given.is_empty() { own.collect() } else { given };
        let Some((_, fault)) = failed.clone().next() else { return };
        let fault = fault.clone();
        self.refuse_with(origin, &fault, params);
    }

    /// The response.
    pub(crate) fn finish_delete(
        &mut self,
        origin: &Origin,
        entries: Vec<DeleteEntry>,
        allow_partial: bool,
        params: Vec<ParamError>,
    ) {
        if !allow_partial && entries.iter().any(|e| e.failed.is_some()) {
            return self.refuse_delete(origin, &entries, params);
        }
        let results = entries.into_iter().map(|entry| delete_result(entry, &origin.rights)).collect();
        self.respond(origin, RespType::DeleteResp(usp::DeleteResp { deleted_obj_results: results }));
    }
}

fn delete_result(mut entry: DeleteEntry, rights: &Rights) -> DeletedObjectResult {
    entry.service.iter_mut().for_each(|result| shown::of_delete(rights, result));
    let single = entry.service.len() == 1 && entry.affected.is_empty() && entry.unaffected.is_empty();
    if let Some(result) = entry.service.pop_if(|_| single) {
        return DeletedObjectResult { requested_path: entry.requested, ..result };
    }
    for success in entry.service.drain(..).filter_map(|result| result.oper_status?.oper_status) {
        if let OperStatus::OperSuccess(success) = success {
            entry.affected.extend(success.affected_paths);
            entry.unaffected.extend(success.unaffected_path_errs);
        }
    }
    let status = match entry.failed {
        Some(fault) => {
            OperStatus::OperFailure(OperationFailure { err_code: fault.code.0, err_msg: fault.text })
        }
        None => OperStatus::OperSuccess(OperationSuccess {
            affected_paths: entry.affected,
            unaffected_path_errs: entry.unaffected,
        }),
    };
    let oper_status = Some(OperationStatus { oper_status: Some(status) });
    DeletedObjectResult { requested_path: entry.requested, oper_status }
}
