//! Results of Operate, and what can be said of a command before it runs.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Path, Segment};
use usp_proto::usp::operate_resp::OperationResult;
use usp_proto::usp::operate_resp::operation_result::{CommandFailure, OperationResp};
use usp_proto::usp::response::RespType;

use crate::Broker;
use crate::dm::schema::{Command, ServiceId};
use crate::fault::Fault;
use crate::gather::failed;

/// Bytes of a command_key.
const MAX_KEY: usize = 1024;

/// `CommandKey` is kept for as long as the command runs, and in its notifications.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    if key.len() <= MAX_KEY {
        return Ok(());
    }
    let text = format!("a command_key of {} bytes is too long: it may have {MAX_KEY}", key.len());
    Err(Fault::new(ErrCode::INVALID_ARGUMENTS, text))
}

/// R-OPR.5: mandatory inputs are there. Unknown ones are ignored (R-OPR.6).
pub(crate) fn check_arguments(command: &Command, given: &BTreeMap<String, String>) -> Result<(), Fault> {
    let missing = command.inputs.iter().find(|(name, mandatory)| *mandatory && !given.contains_key(name));
    match missing {
        Some((name, _)) => Err(missing_argument(name, given)),
        None => Ok(()),
    }
}

/// 7027, with the unknown argument that was probably meant to be the one that is missing.
pub(crate) fn missing_argument(name: &str, given: &BTreeMap<String, String>) -> Fault {
    let letters = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>()
    };
    let meant = given.keys().find(|given| letters(given) == letters(name));
    let hint = meant.map(|given| format!("; {given} is unknown: did you mean {name}?")).unwrap_or_default();
    Fault::new(ErrCode::INVALID_COMMAND_ARGUMENTS, format!("the argument {name} is missing{hint}"))
}

/// Whether a Service has taken a `Cancel()`.
pub(crate) fn canceled_at_service(name: &str, outcome: Result<RespType, Fault>) -> Result<(), Fault> {
    let failed = |why: &str| Fault::new(ErrCode::COMMAND_FAILURE, format!("Service {name} {why}"));
    let Ok(RespType::OperateResp(response)) = outcome else {
        return Err(outcome.err().unwrap_or_else(|| failed("answered with something else")));
    };
    match response.operation_results.into_iter().next().and_then(|r| r.operation_resp) {
        Some(OperationResp::CmdFailure(f)) => Err(Fault::new(crate::gather::failed(f.err_code), f.err_msg)),
        Some(OperationResp::ReqObjPath(_) | OperationResp::ReqOutputArgs(_)) => Ok(()),
        None => Err(failed("answered without a result")),
    }
}

/// A Service's result, unless it is about what is not the Service's. A code that is none is put right.
pub(crate) fn own_result(
    broker: &Broker,
    service: ServiceId,
    path: &str,
    mut result: OperationResult,
) -> OperationResult {
    if result.executed_command.is_empty() && !is_search(path) {
        path.clone_into(&mut result.executed_command);
    }
    if let Some(OperationResp::CmdFailure(failure)) = &mut result.operation_resp {
        failure.err_code = failed(failure.err_code).0;
    }
    if result.operation_resp.is_none() {
        let text = format!("Service {} does not say what came of it", broker.services.name(service));
        return failure(path, &Fault::new(ErrCode::INTERNAL_ERROR, text));
    }
    let is_command = Path::parse(&result.executed_command).is_ok_and(|p| matches!(p.leaf, Leaf::Command(_)));
    if result.executed_command == path
        || (is_command && broker.services.owns(service, &result.executed_command))
    {
        return result;
    }
    let text = format!("Service {} answered for another command", broker.services.name(service));
    failure(path, &Fault::new(ErrCode::INTERNAL_ERROR, text))
}

/// Whether two Command Paths can mean the same command.
pub(crate) fn may_be_same(one: &str, other: &str) -> bool {
    let concrete = |path: &Path| !path.is_search();
    let (Ok(a), Ok(b)) = (Path::parse(one), Path::parse(other)) else { return one == other };
    if one == other || (concrete(&a) && concrete(&b)) {
        return one == other;
    }
    let step = |(a, b): (&Segment, &Segment)| match (a, b) {
        (Segment::Name(_) | Segment::Instance(_), Segment::Name(_) | Segment::Instance(_)) => a == b,
        (Segment::Name(_), _) | (_, Segment::Name(_)) => false,
        _ => true,
    };
    a.leaf == b.leaf && a.segments.len() == b.segments.len() && a.segments.iter().zip(&b.segments).all(step)
}

pub(crate) fn is_search(path: &str) -> bool {
    Path::parse(path).is_ok_and(|path| path.is_search())
}

/// The path of a Request row (with its final dot, as in OperateResp).
pub(crate) fn request_path(number: u32) -> String {
    format!("Device.LocalAgent.Request.{number}.")
}

/// One result.
pub(crate) fn result(executed_command: String, resp: OperationResp) -> OperationResult {
    OperationResult { executed_command, operation_resp: Some(resp) }
}

pub(crate) fn command_failure(fault: &Fault) -> OperationResp {
    OperationResp::CmdFailure(CommandFailure { err_code: fault.code.0, err_msg: fault.text.clone() })
}

/// A command that failed (R-OPR.1).
pub(crate) fn failure(command: &str, fault: &Fault) -> OperationResult {
    result(command.to_owned(), command_failure(fault))
}
