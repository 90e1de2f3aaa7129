//! `…NumberOfEntries` of a table that a Service has registered without the object above it: the Service knows its rows,
//! the Parameter stands in an object that is not the Service's. So the rows are counted there when somebody asks.

use std::collections::BTreeSet;

use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;
use usp_proto::usp::get_instances_resp::RequestedPathResult;
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::{self, request::ReqType, response::RespType};

use super::merge::Outcome;
use crate::Broker;
use crate::dm::schema::{Owner, ServiceId};
use crate::fault::Fault;
use crate::gather::failed;
use crate::services::counted;

/// A number of rows that is wanted.
#[derive(Debug)]
pub(super) struct Count {
    entry: usize,
    /// The requested path is the Parameter itself.
    whole: bool,
    table: String,
    /// The object and the name of the Parameter.
    object: String,
    name: Name,
}

impl Broker {
    /// How a Parameter of a Service is a number of rows that it did not register itself.
    pub(super) fn count_of(
        &self,
        service: ServiceId,
        object: &str,
        name: &Name,
        entry: usize,
        whole: bool,
    ) -> Option<Count> {
        let path = format!("{object}{name}");
        let table = counted(&path)?;
        if self.services.owns(service, &path) || !self.services.owns(service, &table) {
            return None;
        }
        Some(Count { entry, whole, table, object: object.to_owned(), name: name.clone() })
    }

    /// The number of rows of a registered table, if the object that it stands in belongs to an answer of this depth.
    pub(super) fn count_below(
        &self,
        service: ServiceId,
        registered: &str,
        entry: usize,
        depth: u32,
        above: usize,
    ) -> Option<Count> {
        let schema = &self.model.schema;
        let table = schema.get(schema.find(&format!("{registered}{{i}}."))?)?;
        let parent = schema.get(table.parent?)?;
        let level = u32::try_from(parent.path.matches('.').count().checked_sub(above)?).ok()?;
        let name = Name::new(&format!("{}NumberOfEntries", table.name)).ok()?;
        let is_counted = parent.params.get(&name).is_some_and(|p| p.owner == Owner::Service(service));
        if !is_counted || (depth != 0 && level >= depth) {
            return None;
        }
        self.count_of(service, &parent.path, &name, entry, false)
    }
}

/// One Message for all tables.
pub(super) fn count_request(counts: &[Count]) -> ReqType {
    let tables: BTreeSet<&str> = counts.iter().map(|count| count.table.as_str()).collect();
    let obj_paths = tables.into_iter().map(str::to_owned).collect();
    ReqType::GetInstances(usp::GetInstances { obj_paths, first_level_only: true })
}

/// What the answer says of each: its entry, whether it is all of it, and the Parameter.
pub(super) fn count_results(
    counts: &[Count],
    service: &str,
    outcome: Result<RespType, Fault>,
) -> Vec<(usize, bool, Outcome)> {
    let response = match outcome {
        Ok(RespType::GetInstancesResp(response)) => Ok(response),
        Ok(_) => {
            let text = format!("Service {service} answered GetInstances with something else");
            Err(Fault::new(ErrCode::INTERNAL_ERROR, text))
        }
        Err(fault) => Err(fault),
    };
    let of_count = |count: &Count| -> Outcome {
        let response = response.as_ref().map_err(Clone::clone)?;
        let result = response.req_path_results.iter().find(|r| r.requested_path == count.table);
        let left_out = || {
            let text = format!("Service {service} left {} out of its answer", count.table);
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        };
        let rows = rows_of(result.ok_or_else(left_out)?, &count.table, service)?;
        let result_params = [(count.name.as_str(), rows.to_string())].into();
        Ok(vec![ResolvedPathResult { resolved_path: count.object.clone(), result_params }])
    };
    counts.iter().map(|count| (count.entry, count.whole, of_count(count))).collect()
}

/// How many rows a table has; one that does not exist has none.
fn rows_of(result: &RequestedPathResult, table: &str, service: &str) -> Result<usize, Fault> {
    if result.err_code != 0 && result.err_code != ErrCode::INVALID_PATH.0 {
        return Err(Fault::new(failed(result.err_code), format!("Service {service}: {}", result.err_msg)));
    }
    let is_row = |path: &str| {
        let number = path.strip_prefix(table).and_then(|rest| rest.strip_suffix('.'));
        number.is_some_and(|n| n.parse::<u32>().is_ok())
    };
    let rows: BTreeSet<&str> = result.curr_insts.iter().map(|i| i.instantiated_obj_path.as_str()).collect();
    Ok(rows.into_iter().filter(|path| is_row(path)).count())
}
