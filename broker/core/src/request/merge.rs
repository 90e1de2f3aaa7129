//! What several owners say of one requested path of a Get, put together.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::Path;
use usp_proto::usp::GetResp;
use usp_proto::usp::get_resp::{RequestedPathResult, ResolvedPathResult};
use usp_proto::usp::response::RespType;

use super::budget::Budget;
use crate::dm::covers::Element;
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

impl Part {
    /// Leaves out of a Service's answer what it was not asked for: of one Parameter, any other (R-GET.3).
    pub(super) fn keep_asked(&self, found: &mut Vec<ResolvedPathResult>) {
        let end = self.path.rfind('.').map_or(0, |dot| dot + 1);
        let (object, name) = self.path.split_at(end);
        // Most paths are plain, and an answer can be long.
        let plain = !object.contains(['*', '[']);
        let written = if plain { None } else { Path::parse(object).ok() };
        found.retain_mut(|result| {
            let path = &result.resolved_path;
            let is_meant = match &written {
                Some(written) => is_covered(written, path, !name.is_empty()),
                None if name.is_empty() => path.starts_with(object),
                None => path == object,
            };
            if is_meant && !name.is_empty() {
                result.result_params.retain(|other, _| other == name);
            }
            is_meant && (name.is_empty() || !result.result_params.is_empty())
        });
    }
}

/// Whether a concrete path is an object that a written one means, or one below it.
fn is_covered(written: &Path, path: &str, exactly: bool) -> bool {
    let Ok(found) = Path::parse(path) else { return false };
    let fits = !exactly || found.segments.len() == written.segments.len();
    fits && Element::parsed(&found).is_some_and(|element| element.is_covered_by(written, &|_, _| true))
}

/// What a result adds to the answer.
pub(super) fn size(result: &ResolvedPathResult) -> usize {
    let params = &result.result_params;
    result.resolved_path.len() + params.text_len() + params.len() * PER_PARAM
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
            Some(same) => same.result_params.extend(&other.result_params),
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
    service: &dyn Fn() -> String,
    outcome: Result<RespType, Fault>,
    budget: &Budget,
) -> Vec<Outcome> {
    let mut by_path = match outcome {
        Ok(RespType::GetResp(response)) => Ok(ByPath::of(response, parts)),
        Ok(_) => Err(Fault::new(
            ErrCode::INTERNAL_ERROR,
            format!("Service {} answered a Get with something else", service()),
        )),
        Err(fault) => Err(fault),
    };
    let of_part = |part: &Part| -> Outcome {
        let left_out = || {
            let text = format!("Service {} left {} out of its answer", service(), part.path);
            Fault::new(ErrCode::INTERNAL_ERROR, text)
        };
        let mut results =
            by_path.as_mut().map_err(|fault| fault.clone())?.take(&part.path).ok_or_else(left_out)?;
        match results.iter().find(|r| r.err_code != 0) {
            Some(r) if part.whole || r.err_code != ErrCode::INVALID_PATH.0 => {
                Err(Fault::new(failed(r.err_code), format!("Service {}: {}", service(), r.err_msg)))
            }
            _ => {
                let mut found = match results.pop() {
                    Some(one) if results.is_empty() => one.resolved_path_results,
                    last => results.into_iter().chain(last).flat_map(|r| r.resolved_path_results).collect(),
                };
                let room = found.iter().take_while(|result| budget.take(size(result))).count();
                found.truncate(room);
                Ok(found)
            }
        }
    };
    parts.iter().map(of_part).collect()
}

/// A Service's results by requested path, each with the number of entries that it is for.
struct ByPath(BTreeMap<String, (usize, Vec<RequestedPathResult>)>);

impl ByPath {
    fn of(response: GetResp, parts: &[Part]) -> Self {
        let mut by_path: BTreeMap<String, (usize, Vec<RequestedPathResult>)> = BTreeMap::new();
        for mut result in response.req_path_results {
            let path = std::mem::take(&mut result.requested_path);
            by_path.entry(path).or_default().1.push(result);
        }
        for part in parts {
            if let Some((wanted, _)) = by_path.get_mut(&part.path) {
                *wanted += 1;
            }
        }
        Self(by_path)
    }

    /// An answer can be long: only for a path that was requested more than once it is copied.
    fn take(&mut self, path: &str) -> Option<Vec<RequestedPathResult>> {
        let (wanted, results) = self.0.get_mut(path)?;
        *wanted = wanted.saturating_sub(1);
        Some(if *wanted == 0 { std::mem::take(results) } else { results.clone() })
    }
}
