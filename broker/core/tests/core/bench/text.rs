//! Answers and notifications as short texts: paths, values and codes. Error texts only in [`loud`].

use std::collections::BTreeMap;

use usp_proto::usp::body::MsgBody;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{self, Notify};

/// Short: codes without their texts.
pub(crate) fn answer(msg: &usp::Msg) -> String {
    Style { loud: false }.answer(msg)
}

/// With the texts of errors.
pub(crate) fn loud(msg: &usp::Msg) -> String {
    Style { loud: true }.answer(msg)
}

struct Style {
    loud: bool,
}

fn params(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(n, v)| format!(" {n}={v}")).collect()
}

impl Style {
    fn code(&self, code: u32, text: &str) -> String {
        if self.loud { format!("{code} {text}") } else { code.to_string() }
    }

    fn answer(&self, msg: &usp::Msg) -> String {
        let lines = match msg.body.as_ref().unwrap().msg_body.as_ref().unwrap() {
            MsgBody::Error(error) => self.error(error),
            MsgBody::Response(response) => self.response(response.resp_type.as_ref().unwrap()),
            MsgBody::Request(_) => panic!("a request is no answer"),
        };
        lines.join("\n")
    }

    fn error(&self, error: &usp::Error) -> Vec<String> {
        let mut lines = vec![format!("Error {}", self.code(error.err_code, &error.err_msg))];
        let of =
            |p: &usp::error::ParamError| format!("{}: {}", p.param_path, self.code(p.err_code, &p.err_msg));
        lines.extend(error.param_errs.iter().map(of));
        lines
    }

    fn response(&self, response: &RespType) -> Vec<String> {
        match response {
            RespType::GetResp(r) => r.req_path_results.iter().flat_map(|r| self.got(r)).collect(),
            RespType::SetResp(r) => r.updated_obj_results.iter().flat_map(|r| self.updated(r)).collect(),
            RespType::AddResp(r) => r.created_obj_results.iter().map(|r| self.created(r)).collect(),
            RespType::DeleteResp(r) => r.deleted_obj_results.iter().map(|r| self.deleted(r)).collect(),
            RespType::OperateResp(r) => r.operation_results.iter().map(|r| self.operated(r)).collect(),
            RespType::GetInstancesResp(r) => r.req_path_results.iter().flat_map(|r| self.listed(r)).collect(),
            RespType::GetSupportedDmResp(r) => {
                r.req_obj_results.iter().flat_map(|r| self.supported(r)).collect()
            }
            RespType::GetSupportedProtocolResp(r) => vec![r.agent_supported_protocol_versions.clone()],
            RespType::RegisterResp(r) => {
                r.registered_path_results.iter().map(|r| self.registered(r)).collect()
            }
            RespType::DeregisterResp(r) => {
                r.deregistered_path_results.iter().map(|r| self.deregistered(r)).collect()
            }
            RespType::NotifyResp(r) => vec![r.subscription_id.clone()],
        }
    }

    fn got(&self, result: &usp::get_resp::RequestedPathResult) -> Vec<String> {
        let mut lines = Vec::new();
        if result.err_code != 0 {
            lines.push(format!("{}: {}", result.requested_path, self.code(result.err_code, &result.err_msg)));
        }
        for object in &result.resolved_path_results {
            if object.result_params.is_empty() {
                lines.push(object.resolved_path.clone());
            }
            let of = |(n, v): (&str, &str)| format!("{}{n}={v}", object.resolved_path);
            lines.extend(object.result_params.iter().map(of));
        }
        lines
    }

    fn updated(&self, result: &usp::set_resp::UpdatedObjectResult) -> Vec<String> {
        use usp::set_resp::updated_object_result::operation_status::OperStatus;
        match result.oper_status.as_ref().unwrap().oper_status.as_ref().unwrap() {
            OperStatus::OperFailure(f) => {
                let mut lines =
                    vec![format!("{}: {}", result.requested_path, self.code(f.err_code, &f.err_msg))];
                for instance in &f.updated_inst_failures {
                    lines.extend(self.param_errs(&instance.affected_path, &instance.param_errs));
                }
                lines
            }
            OperStatus::OperSuccess(s) => {
                let of = |i: &usp::set_resp::UpdatedInstanceResult| {
                    let mut lines = vec![format!("{}{}", i.affected_path, params(&i.updated_params))];
                    lines.extend(self.param_errs(&i.affected_path, &i.param_errs));
                    lines
                };
                s.updated_inst_results.iter().flat_map(of).collect()
            }
        }
    }

    fn param_errs(&self, path: &str, errors: &[usp::set_resp::ParameterError]) -> Vec<String> {
        errors.iter().map(|e| format!("{path}{}: {}", e.param, self.code(e.err_code, &e.err_msg))).collect()
    }

    fn created(&self, result: &usp::add_resp::CreatedObjectResult) -> String {
        use usp::add_resp::created_object_result::operation_status::OperStatus;
        match result.oper_status.as_ref().unwrap().oper_status.as_ref().unwrap() {
            OperStatus::OperFailure(f) => {
                format!("{}: {}", result.requested_path, self.code(f.err_code, &f.err_msg))
            }
            OperStatus::OperSuccess(s) => {
                let errors = s.param_errs.iter().map(|e| format!(" !{}:{}", e.param, e.err_code));
                format!("{}{}{}", s.instantiated_path, params(&s.unique_keys), errors.collect::<String>())
            }
        }
    }

    fn deleted(&self, result: &usp::delete_resp::DeletedObjectResult) -> String {
        use usp::delete_resp::deleted_object_result::operation_status::OperStatus;
        match result.oper_status.as_ref().unwrap().oper_status.as_ref().unwrap() {
            OperStatus::OperFailure(f) => {
                format!("{}: {}", result.requested_path, self.code(f.err_code, &f.err_msg))
            }
            OperStatus::OperSuccess(s) => {
                let kept =
                    s.unaffected_path_errs.iter().map(|e| format!("!{}:{}", e.unaffected_path, e.err_code));
                s.affected_paths.iter().cloned().chain(kept).collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn operated(&self, result: &usp::operate_resp::OperationResult) -> String {
        use usp::operate_resp::operation_result::OperationResp;
        let outcome = match result.operation_resp.as_ref().unwrap() {
            OperationResp::ReqObjPath(path) => path.clone(),
            OperationResp::ReqOutputArgs(args) => format!("ok{}", params(&args.output_args)),
            OperationResp::CmdFailure(f) => self.code(f.err_code, &f.err_msg),
        };
        format!("{} -> {outcome}", result.executed_command)
    }

    fn listed(&self, result: &usp::get_instances_resp::RequestedPathResult) -> Vec<String> {
        let mut lines = Vec::new();
        if result.err_code != 0 {
            lines.push(format!("{}: {}", result.requested_path, self.code(result.err_code, &result.err_msg)));
        }
        let of = |i: &usp::get_instances_resp::CurrInstance| {
            format!("{}{}", i.instantiated_obj_path, params(&i.unique_keys))
        };
        lines.extend(result.curr_insts.iter().map(of));
        lines
    }

    fn supported(&self, result: &usp::get_supported_dm_resp::RequestedObjectResult) -> Vec<String> {
        let mut lines = Vec::new();
        if result.err_code != 0 {
            lines.push(format!("{}: {}", result.req_obj_path, self.code(result.err_code, &result.err_msg)));
        }
        for object in &result.supported_objs {
            let mut line = object.supported_obj_path.clone();
            line.extend(object.divergent_paths.iter().map(|p| format!(" ~{p}")));
            line.extend(object.supported_params.iter().map(|p| format!(" {}", p.param_name)));
            line.extend(object.supported_commands.iter().map(|c| format!(" {}", c.command_name)));
            line.extend(object.supported_events.iter().map(|e| format!(" {}", e.event_name)));
            lines.push(line);
        }
        lines
    }

    fn registered(&self, result: &usp::register_resp::RegisteredPathResult) -> String {
        use usp::register_resp::registered_path_result::operation_status::OperStatus;
        match result.oper_status.as_ref().unwrap().oper_status.as_ref().unwrap() {
            OperStatus::OperFailure(f) => {
                format!("{}: {}", result.requested_path, self.code(f.err_code, &f.err_msg))
            }
            OperStatus::OperSuccess(s) => s.registered_path.clone(),
        }
    }

    fn deregistered(&self, result: &usp::deregister_resp::DeregisteredPathResult) -> String {
        use usp::deregister_resp::deregistered_path_result::operation_status::OperStatus;
        match result.oper_status.as_ref().unwrap().oper_status.as_ref().unwrap() {
            OperStatus::OperFailure(f) => {
                format!("{}: {}", result.requested_path, self.code(f.err_code, &f.err_msg))
            }
            OperStatus::OperSuccess(s) => s.deregistered_path.join(" "),
        }
    }
}

/// A notification in short.
pub(crate) fn notify(notify: &Notify) -> String {
    use usp::notify::operation_complete::OperationResp;
    let what = match notify.notification.as_ref().unwrap() {
        Notification::Event(e) => format!("Event {}{}{}", e.obj_path, e.event_name, params(&e.params)),
        Notification::ValueChange(c) => format!("ValueChange {}={}", c.param_path, c.param_value),
        Notification::ObjCreation(c) => format!("ObjectCreation {}{}", c.obj_path, params(&c.unique_keys)),
        Notification::ObjDeletion(d) => format!("ObjectDeletion {}", d.obj_path),
        Notification::OperComplete(o) => {
            let outcome = match o.operation_resp.as_ref().unwrap() {
                OperationResp::ReqOutputArgs(args) => format!("ok{}", params(&args.output_args)),
                OperationResp::CmdFailure(f) => f.err_code.to_string(),
            };
            format!("OperationComplete {}{} '{}' {outcome}", o.obj_path, o.command_name, o.command_key)
        }
        Notification::OnBoardReq(_) => "OnBoardRequest".to_owned(),
    };
    format!("{}: {what}", notify.subscription_id)
}
