//! Set. Each entry, or with allow_partial=false the whole Message, is one unit that holds or fails as a whole
//! ([`super::unit`]).

mod answer;
mod entry;
mod keys;
mod named;
mod plan;

use usp_proto::path::Path;
use usp_proto::usp::set_resp::{ParameterError, UpdatedInstanceFailure, UpdatedObjectResult};
use usp_proto::usp::{self, set::UpdateParamSetting};

use super::Origin;
use super::budget::Budget;
use super::check::Effect;
use super::unit::{Step, Unit, UnitJob, UnitKind};
use crate::Broker;
use crate::dm::rows::ObjRef;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use keys::blame_conflicts;
pub(crate) use named::Named;
use plan::Plan;

/// The answer to one `update_objs` entry.
#[derive(Debug, Default)]
pub(crate) struct SetEntry {
    requested: String,
    targets: Vec<Target>,
    failed: Option<Failed>,
    /// A Service's own results.
    service: Vec<UpdatedObjectResult>,
    /// Settings that the Service was not even asked for.
    withheld: Vec<ParameterError>,
    /// Its path has a wildcard, an expression or a reference.
    search: bool,
}

/// One object of an entry.
#[derive(Debug)]
struct Target {
    at: ObjRef,
    path: String,
    errors: Vec<ParameterError>,
    effects: Vec<(String, Effect)>,
    /// What of it is set at Services that serve a Parameter within an object of ours.
    elsewhere: Vec<(ServiceId, UpdateParamSetting)>,
}

/// Why an entry failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) instances: Vec<UpdatedInstanceFailure>,
    /// It failed along with another entry of its unit, which is to blame.
    along: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::of(fault, Vec::new())
    }
}

impl Failed {
    fn of(fault: Fault, instances: Vec<UpdatedInstanceFailure>) -> Self {
        Self { fault, instances, along: false }
    }
}

impl Broker {
    /// Set.
    pub(crate) fn handle_set(&mut self, origin: Origin, set: usp::Set) {
        let budget = Budget::new(self.config.limits.max_answer_bytes);
        let plan = Plan { origin: &origin, budget, allow_partial: set.allow_partial };
        let mut entries = Vec::with_capacity(set.update_objs.len());
        let mut steps = Vec::with_capacity(set.update_objs.len());
        for object in &set.update_objs {
            let search = Path::parse(&object.obj_path).is_ok_and(|path| path.is_search());
            let mut entry = SetEntry { requested: object.obj_path.clone(), search, ..SetEntry::default() };
            match self.plan_meant_set(&mut entry, object, &plan) {
                Ok(step) => steps.push(step),
                Err(failed) => {
                    entry.failed = Some(failed);
                    steps.push(Vec::new());
                }
            }
            if let Err(fault) = plan.budget.check() {
                return self.refuse(&origin, &fault);
            }
            entries.push(entry);
        }
        if !set.allow_partial {
            blame_conflicts(&mut entries, &steps);
        }
        self.try_keys(&mut entries, &steps, set.allow_partial);
        if !set.allow_partial && entries.iter().any(|e| e.failed.is_some()) {
            return self.refuse_set(&origin, &entries, Vec::new());
        }
        let units =
            units_of(steps, set.allow_partial, |i| entries.get(i).is_some_and(|e| e.failed.is_some()));
        let details = Budget::new(self.config.limits.max_answer_bytes);
        let kind = UnitKind::Set { allow_partial: set.allow_partial, entries, details };
        self.begin(Box::new(UnitJob::new(origin, kind, units)));
    }
}

/// Groups entries: each by itself, or all together. Failed entries have nothing to do.
pub(crate) fn units_of(steps: Vec<Vec<Step>>, apart: bool, failed: impl Fn(usize) -> bool) -> Vec<Unit> {
    let entries = steps.into_iter().enumerate().filter(|(i, _)| !failed(*i));
    let tagged = entries.map(|(i, steps)| (i, steps.into_iter().map(move |s| (i, s)).collect::<Vec<_>>()));
    if apart {
        return Unit::apart(tagged);
    }
    let (indexes, steps): (Vec<usize>, Vec<Vec<(usize, Step)>>) = tagged.unzip();
    vec![Unit::new(indexes, steps.into_iter().flatten().collect())]
}

fn parameter_error(param: &str, fault: &Fault) -> ParameterError {
    ParameterError { param: param.to_owned(), err_code: fault.code.0, err_msg: fault.text.clone() }
}
