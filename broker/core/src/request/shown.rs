//! What of a Service's answer a Controller may see. The Service answered to the broker, which may see everything there.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::Path;
use usp_proto::usp::add_resp::CreatedObjectResult;
use usp_proto::usp::delete_resp::DeletedObjectResult;
use usp_proto::usp::error::ParamError;
use usp_proto::usp::get_instances_resp::CurrInstance;
use usp_proto::usp::get_resp::ResolvedPathResult;
use usp_proto::usp::set_resp::UpdatedObjectResult;
use usp_proto::usp::{add_resp, delete_resp, set_resp};

use crate::Broker;
use crate::access::{Act, Kind, Rights};

fn may_read(rights: &Rights, kind: Kind, path: &str) -> bool {
    rights.is_all() || Path::parse(path).is_ok_and(|p| rights.allow_path(kind, Act::Read, &p))
}

/// Whether a row may be known of at all: by GetInstances, or by a Get.
pub(super) fn may_know(rights: &Rights, row: &str) -> bool {
    may_read(rights, Kind::InstantiatedObj, row) || may_read(rights, Kind::Obj, row)
}

impl Broker {
    /// The same, whoever's row it is.
    pub(super) fn may_know_object(&self, object: &str, rights: &Rights) -> bool {
        rights.is_all()
            || match self.model.locate(object) {
                Some(at) => self.may_know_row(&at, rights),
                None => may_know(rights, object),
            }
    }

    /// Details of an Error of a Service that tell of nothing hidden: what they are about may be known of, or was named by the
    /// request itself.
    pub(super) fn tellable<'a>(
        &self,
        rights: &Rights,
        requested: impl Iterator<Item = &'a str> + Clone,
        details: Vec<ParamError>,
    ) -> Vec<ParamError> {
        let is_tellable = |detail: &ParamError| {
            let path = &detail.param_path;
            let object = path.rfind('.').and_then(|dot| path.get(..=dot));
            requested.clone().any(|requested| is_named(path, requested))
                || object.is_some_and(|object| self.may_know_object(object, rights))
        };
        details.into_iter().filter(is_tellable).collect()
    }
}

/// Whether a path is what was requested, or below it without another row on the way.
fn is_named(path: &str, requested: &str) -> bool {
    let is_row = |step: &str| step.starts_with(|c: char| c.is_ascii_digit());
    path.strip_prefix(requested).is_some_and(|below| !below.split('.').any(is_row))
}

/// Each of the settings failed as it does whatever the row is: its Parameter is unsupported, or may be neither read nor
/// written, or its name is none.
pub(super) fn are_unknown(errors: &[set_resp::ParameterError]) -> bool {
    let whatever = [ErrCode::UNSUPPORTED_PARAMETER.0, ErrCode::INVALID_PATH_SYNTAX.0];
    errors.iter().all(|e| whatever.contains(&e.err_code))
}

fn keep_readable(rights: &Rights, object: &str, params: &mut BTreeMap<String, String>) {
    if !rights.is_all() {
        params.retain(|name, _| may_read(rights, Kind::Param, &format!("{object}{name}")));
    }
}

/// Get: Parameters that may not be read are left out (R-GET.4), and objects that may not (R-GET.1). `whole`: an object
/// was asked for, and is shown even if nothing of it is.
pub(crate) fn of_get(rights: &Rights, found: &mut Vec<ResolvedPathResult>, whole: bool) {
    if rights.is_all() {
        return;
    }
    if whole {
        found.retain(|result| may_read(rights, Kind::Obj, &result.resolved_path));
    }
    for result in found.iter_mut() {
        let object = &result.resolved_path;
        result.result_params.retain(|name, _| may_read(rights, Kind::Param, &format!("{object}{name}")));
    }
    found.retain(|result| whole || !result.result_params.is_empty());
}

/// GetInstances: rows (R-GIN.0) and keys (R-GIN.1).
pub(crate) fn of_instances(rights: &Rights, found: &mut Vec<CurrInstance>) {
    found.retain(|row| may_read(rights, Kind::InstantiatedObj, &row.instantiated_obj_path));
    for row in found {
        keep_readable(rights, &row.instantiated_obj_path, &mut row.unique_keys);
    }
}

/// Add: keys (R-ADD.6).
pub(crate) fn of_add(rights: &Rights, results: &mut [CreatedObjectResult]) {
    use add_resp::created_object_result::operation_status::OperStatus;
    for status in results.iter_mut().filter_map(|r| r.oper_status.as_mut()?.oper_status.as_mut()) {
        if let OperStatus::OperSuccess(made) = status {
            keep_readable(rights, &made.instantiated_path, &mut made.unique_keys);
        }
    }
}

/// Set: what was updated (R-SET.3).
pub(crate) fn of_set(rights: &Rights, results: &mut [UpdatedObjectResult]) {
    use set_resp::updated_object_result::operation_status::OperStatus;
    for status in results.iter_mut().filter_map(|r| r.oper_status.as_mut()?.oper_status.as_mut()) {
        let OperStatus::OperSuccess(success) = status else { continue };
        for updated in &mut success.updated_inst_results {
            keep_readable(rights, &updated.affected_path, &mut updated.updated_params);
        }
    }
}

/// Delete: rows that were deleted (R-DEL.2), and those that were not (R-DEL.4).
pub(crate) fn of_delete(rights: &Rights, result: &mut DeletedObjectResult) {
    use delete_resp::deleted_object_result::operation_status::OperStatus;
    let status = result.oper_status.as_mut().and_then(|s| s.oper_status.as_mut());
    if let Some(OperStatus::OperSuccess(success)) = status {
        success.affected_paths.retain(|row| may_know(rights, row));
        success.unaffected_path_errs.retain(|error| may_know(rights, &error.unaffected_path));
    }
}
