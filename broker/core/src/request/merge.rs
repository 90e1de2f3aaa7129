//! What several owners say of one requested path of a Get, put together.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::usp::get_resp::{RequestedPathResult, ResolvedPathResult};
use usp_proto::usp::response::RespType;

use super::budget::Budget;
use crate::fault::Fault;
use crate::gather::failed;

/// What a Parameter takes beside its name and value.
const PER_PARAM: usize = 8;

/// A path that a Service is asked for.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The entry that it belongs to.
    pub(super) entry: usize,
    pub(super) path: String,
    /// The Service owns the requested path as a whole.
    pub(super) whole: bool,
}

/// What a result adds to the answer.
pub(super) fn size(result: &ResolvedPathResult) -> usize {
    let params = result.result_params.iter().map(|(name, value)| name.len() + value.len() + PER_PARAM);
    result.resolved_path.len() + params.sum::<usize>()
}

/// An object whose Parameters have several owners is one result.
pub(super) fn join(
    mut all: Vec<ResolvedPathResult>,
    others: impl Iterator<Item = ResolvedPathResult>,
) -> Vec<ResolvedPathResult> {
    let mut places: BTreeMap<String, usize> =
        all.iter().enumerate().map(|(index, r)| (r.resolved_path.clone(), index)).collect();
    for other in others {
        match places.get(&other.resolved_path).and_then(|index| all.get_mut(*index)) {
            Some(same) => same.result_params.extend(other.result_params),
            None => {
                places.insert(other.resolved_path.clone(), all.len());
                all.push(other);
            }
        }
    }
    all
}

/// One entry of the answer.
pub(super) fn result(
    requested: &str,
    fault: Option<&Fault>,
    resolved_path_results: Vec<ResolvedPathResult>,
) -> RequestedPathResult {
    RequestedPathResult {
        requested_path: requested.to_owned(),
        err_code: fault.map_or(0, |f| f.code.0),
        err_msg: fault.map_or(String::new(), |f| f.text.clone()),
        resolved_path_results,
    }
}

/// What one owner says of a path.
pub(super) type Outcome = Result<Vec<ResolvedPathResult>, Fault>;

/// Splits a Service's answer into the entries that it was asked for.
pub(super) fn service_parts(
    parts: &[Part],
    service: &str,
    outcome: Result<RespType, Fault>,
    budget: &Budget,
) -> Vec<(Part, Outcome)> {
    let response = match outcome {
        Ok(RespType::GetResp(response)) => Ok(response),
        Ok(_) => Err(Fault::new(
            ErrCode::INTERNAL_ERROR,
            format!("Service {service} answered a Get with something else"),
        )),
        Err(fault) => Err(fault),
    };
    let mut by_path: BTreeMap<&str, Vec<&RequestedPathResult>> = BTreeMap::new();
    for result in response.iter().flat_map(|r| &r.req_path_results) {
        by_path.entry(&result.requested_path).or_default().push(result);
    }
    let of_part = |part: &Part| -> Outcome {
        response.as_ref().map_err(Clone::clone)?;
        let left_out = || {
            let text = format!("Service {service} left {} out of its answer", part.path);
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        };
        let results = by_path.get(&*part.path).ok_or_else(left_out)?;
        match results.iter().find(|r| r.err_code != 0) {
            Some(r) if part.whole || r.err_code != ErrCode::INVALID_PATH.0 => {
                Err(Fault::new(failed(r.err_code), format!("Service {service}: {}", r.err_msg)))
            }
            _ => {
                let found = results.iter().flat_map(|r| &r.resolved_path_results);
                Ok(found.take_while(|result| budget.take(size(result))).cloned().collect())
            }
        }
    };
    parts.iter().map(|part| (part.clone(), of_part(part))).collect()
}
