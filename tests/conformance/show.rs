//! Messages as lines of words, one fact a line, in the order in which the Message has them.

use std::collections::BTreeMap;

use usp_proto::message;
use usp_proto::usp::notify::{Notification, operation_complete};
use usp_proto::usp::response::RespType;
use usp_proto::usp::{
    AddResp, DeleteResp, Error, GetInstancesResp, GetResp, Msg, Notify, OperateResp, SetResp, body,
    operate_resp,
};
use usp_proto::usp::{add_resp, delete_resp, request, set_resp};

use crate::pattern::shown;

/// The lines of a Message; the first names it.
pub fn lines(msg: &Msg) -> Vec<String> {
    match message::body(msg) {
        Some(body::MsgBody::Error(error)) => of_error(error),
        Some(body::MsgBody::Response(response)) => {
            response.resp_type.as_ref().map_or_else(Vec::new, of_response)
        }
        Some(body::MsgBody::Request(usp_proto::usp::Request {
            req_type: Some(request::ReqType::Notify(notify)),
        })) => {
            vec![of_notify(notify)]
        }
        _ => vec![message::name(msg).to_owned()],
    }
}

fn of_response(response: &RespType) -> Vec<String> {
    let mut out = vec![message::type_name(message::response_type(response)).to_owned()];
    match response {
        RespType::GetResp(resp) => of_get(resp, &mut out),
        RespType::GetInstancesResp(resp) => of_instances(resp, &mut out),
        RespType::GetSupportedDmResp(resp) => crate::show_model::of_supported(resp, &mut out),
        RespType::AddResp(resp) => of_add(resp, &mut out),
        RespType::SetResp(resp) => of_set(resp, &mut out),
        RespType::DeleteResp(resp) => of_delete(resp, &mut out),
        RespType::OperateResp(resp) => of_operate(resp, &mut out),
        RespType::GetSupportedProtocolResp(resp) => out.push(shown(&resp.agent_supported_protocol_versions)),
        RespType::NotifyResp(_) | RespType::RegisterResp(_) | RespType::DeregisterResp(_) => {}
    }
    out
}

/// ` name=value` for each of them.
fn pairs<T: AsRef<str>>(map: &BTreeMap<T, T>) -> String {
    map.iter().map(|(name, value)| format!(" {}={}", name.as_ref(), shown(value.as_ref()))).collect()
}

fn of_error(error: &Error) -> Vec<String> {
    let param = |fault: &usp_proto::usp::error::ParamError| {
        format!("{} {}", shown(&fault.param_path), fault.err_code)
    };
    std::iter::once(format!("Error {}", error.err_code)).chain(error.param_errs.iter().map(param)).collect()
}

fn of_get(resp: &GetResp, out: &mut Vec<String>) {
    for entry in &resp.req_path_results {
        out.push(head(&entry.requested_path, entry.err_code));
        out.extend(
            entry
                .resolved_path_results
                .iter()
                .map(|row| row.resolved_path.clone() + &pairs(&row.result_params.to_map())),
        );
    }
}

/// `PATH:` or `PATH: failed CODE`.
pub fn head(path: &str, code: u32) -> String {
    let code = if code == 0 { String::new() } else { format!(" failed {code}") };
    format!("{}:{code}", shown(path))
}

fn of_instances(resp: &GetInstancesResp, out: &mut Vec<String>) {
    for entry in &resp.req_path_results {
        out.push(head(&entry.requested_path, entry.err_code));
        out.extend(
            entry.curr_insts.iter().map(|row| row.instantiated_obj_path.clone() + &pairs(&row.unique_keys)),
        );
    }
}

fn of_add(resp: &AddResp, out: &mut Vec<String>) {
    use add_resp::created_object_result::operation_status::OperStatus;
    for result in &resp.created_obj_results {
        let path = shown(&result.requested_path);
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperSuccess(row)) => {
                out.push(format!("{path}: created {}{}", row.instantiated_path, pairs(&row.unique_keys)));
                out.extend(
                    row.param_errs.iter().map(|fault| format!("! {} {}", fault.param, fault.err_code)),
                );
            }
            Some(OperStatus::OperFailure(fault)) => out.push(head(&path, fault.err_code)),
            None => out.push(format!("{path}: nothing")),
        }
    }
}

fn of_set(resp: &SetResp, out: &mut Vec<String>) {
    use set_resp::updated_object_result::operation_status::OperStatus;
    let faults = |path: &str, all: &[set_resp::ParameterError]| -> Vec<String> {
        all.iter().map(|fault| format!("{path} ! {} {}", fault.param, fault.err_code)).collect()
    };
    for result in &resp.updated_obj_results {
        let path = shown(&result.requested_path);
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperSuccess(done)) => {
                out.push(format!("{path}: done"));
                for row in &done.updated_inst_results {
                    out.push(row.affected_path.clone() + &pairs(&row.updated_params));
                    out.extend(faults(&row.affected_path, &row.param_errs));
                }
            }
            Some(OperStatus::OperFailure(fault)) => {
                out.push(head(&path, fault.err_code));
                let rows = fault.updated_inst_failures.iter();
                out.extend(rows.flat_map(|row| faults(&row.affected_path, &row.param_errs)));
            }
            None => out.push(format!("{path}: nothing")),
        }
    }
}

fn of_delete(resp: &DeleteResp, out: &mut Vec<String>) {
    use delete_resp::deleted_object_result::operation_status::OperStatus;
    for result in &resp.deleted_obj_results {
        let path = shown(&result.requested_path);
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperSuccess(done)) => {
                out.push(format!("{path}: done"));
                out.extend(done.affected_paths.iter().cloned());
                let kept = done.unaffected_path_errs.iter();
                out.extend(kept.map(|fault| format!("{} ! {}", fault.unaffected_path, fault.err_code)));
            }
            Some(OperStatus::OperFailure(fault)) => out.push(head(&path, fault.err_code)),
            None => out.push(format!("{path}: nothing")),
        }
    }
}

fn of_operate(resp: &OperateResp, out: &mut Vec<String>) {
    use operate_resp::operation_result::OperationResp;
    for result in &resp.operation_results {
        let command = &result.executed_command;
        out.push(match &result.operation_resp {
            Some(OperationResp::ReqObjPath(path)) => format!("{command}: request {path}"),
            Some(OperationResp::ReqOutputArgs(args)) => {
                format!("{command}: done{}", pairs(&args.output_args))
            }
            Some(OperationResp::CmdFailure(fault)) => head(command, fault.err_code),
            None => format!("{command}: nothing"),
        });
    }
}

/// A Notify as one line; `-` for an empty subscription_id.
fn of_notify(notify: &Notify) -> String {
    let id = if notify.subscription_id.is_empty() { "-" } else { &notify.subscription_id };
    let what = match &notify.notification {
        Some(Notification::Event(event)) => {
            format!("Event {} {}{}", event.obj_path, event.event_name, pairs(&event.params))
        }
        Some(Notification::ValueChange(change)) => {
            format!("ValueChange {}={}", change.param_path, shown(&change.param_value))
        }
        Some(Notification::ObjCreation(row)) => {
            format!("ObjectCreation {}{}", row.obj_path, pairs(&row.unique_keys))
        }
        Some(Notification::ObjDeletion(row)) => format!("ObjectDeletion {}", row.obj_path),
        Some(Notification::OperComplete(done)) => {
            let end = match &done.operation_resp {
                Some(operation_complete::OperationResp::ReqOutputArgs(args)) => {
                    format!("done{}", pairs(&args.output_args))
                }
                Some(operation_complete::OperationResp::CmdFailure(fault)) => {
                    format!("failed {}", fault.err_code)
                }
                None => "nothing".to_owned(),
            };
            format!(
                "OperationComplete {} {} key={} {end}",
                done.obj_path, done.command_name, done.command_key
            )
        }
        Some(Notification::OnBoardReq(board)) => format!(
            "OnBoardRequest oui={} class={} serial={} versions={}",
            board.oui, board.product_class, board.serial_number, board.agent_supported_protocol_versions
        ),
        None => "nothing".to_owned(),
    };
    format!("Notify {} {what}", shown(id))
}
