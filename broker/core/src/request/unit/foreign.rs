//! What a Service says of what is not its own, or of what it never declared: nothing of it is passed on, and none of it is
//! taken back by it either.

use usp_proto::err_code::ErrCode;
use usp_proto::usp::add_resp::created_object_result as created;
use usp_proto::usp::delete_resp::deleted_object_result::operation_status::OperStatus as DeleteStatus;
use usp_proto::usp::response::RespType;
use usp_proto::usp::set_resp::ParameterError;
use usp_proto::usp::set_resp::updated_object_result::operation_status::OperStatus as SetStatus;
use usp_proto::usp::{AddResp, DeleteResp, SetResp};

use crate::dm::Model;
use crate::dm::schema::ServiceId;
use crate::gather::ServiceFault;
use crate::services::Services;

/// Leaves out of an answer what is not the Service's.
pub(super) fn keep_own(
    services: &Services,
    model: &Model,
    service: ServiceId,
    outcome: &mut Result<RespType, ServiceFault>,
) {
    let owns = |path: &str| services.owns(service, path);
    match outcome {
        Ok(RespType::SetResp(response)) => {
            of_set(&owns, response);
            keep_declared(model, response);
        }
        Ok(RespType::AddResp(response)) => {
            of_add(&owns, response);
            keep_declared_keys(model, response);
        }
        Ok(RespType::DeleteResp(response)) => of_delete(&owns, response),
        Ok(_) => {}
        Err(error) => error.params.retain(|param| owns(&param.param_path)),
    }
}

/// An object of ours may have Parameters that a Service serves.
fn of_set(owns: &dyn Fn(&str) -> bool, response: &mut SetResp) {
    let is_own = |object: &str, error: &ParameterError| owns(&format!("{object}{}", error.param));
    for status in response.updated_obj_results.iter_mut().filter_map(|r| r.oper_status.as_mut()) {
        match &mut status.oper_status {
            Some(SetStatus::OperSuccess(success)) => success.updated_inst_results.retain_mut(|instance| {
                let object = &instance.affected_path;
                let whole = owns(object);
                instance.updated_params.retain(|name, _| whole || owns(&format!("{object}{name}")));
                instance.param_errs.retain(|error| whole || is_own(object, error));
                whole || !instance.updated_params.is_empty() || !instance.param_errs.is_empty()
            }),
            Some(SetStatus::OperFailure(failure)) => failure.updated_inst_failures.retain_mut(|instance| {
                let object = &instance.affected_path;
                let whole = owns(object);
                instance.param_errs.retain(|error| whole || is_own(object, error));
                !instance.param_errs.is_empty()
            }),
            None => {}
        }
    }
}

fn keep_declared(model: &Model, response: &mut SetResp) {
    for status in response.updated_obj_results.iter_mut().filter_map(|r| r.oper_status.as_mut()) {
        let Some(SetStatus::OperSuccess(success)) = &mut status.oper_status else { continue };
        for instance in &mut success.updated_inst_results {
            if let Some(object) = model.object_of(&instance.affected_path) {
                instance.updated_params.retain(|name, _| object.params.contains_key(&**name));
            }
        }
    }
}

/// A row that is not the Service's was not made.
fn of_add(owns: &dyn Fn(&str) -> bool, response: &mut AddResp) {
    for status in response.created_obj_results.iter_mut().filter_map(|r| r.oper_status.as_mut()) {
        if let Some(created::operation_status::OperStatus::OperSuccess(made)) = &status.oper_status
            && !owns(&made.instantiated_path)
        {
            let failure = created::operation_status::OperationFailure {
                err_code: ErrCode::INTERNAL_ERROR.0,
                err_msg: "the Service answered with a row that is not its own".to_owned(),
            };
            status.oper_status = Some(created::operation_status::OperStatus::OperFailure(failure));
        }
    }
}

fn keep_declared_keys(model: &Model, response: &mut AddResp) {
    for status in response.created_obj_results.iter_mut().filter_map(|r| r.oper_status.as_mut()) {
        if let Some(created::operation_status::OperStatus::OperSuccess(made)) = &mut status.oper_status {
            model.keep_declared_keys(&made.instantiated_path, &mut made.unique_keys);
        }
    }
}

fn of_delete(owns: &dyn Fn(&str) -> bool, response: &mut DeleteResp) {
    for status in response.deleted_obj_results.iter_mut().filter_map(|r| r.oper_status.as_mut()) {
        if let Some(DeleteStatus::OperSuccess(success)) = &mut status.oper_status {
            success.affected_paths.retain(|path| owns(path));
            success.unaffected_path_errs.retain(|error| owns(&error.unaffected_path));
        }
    }
}
