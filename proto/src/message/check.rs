//! What the schema cannot say: required fields and oneofs that must hold something (R-ENC.3, R-MSG.6 to R-MSG.8).

use crate::err_code::ErrCode;
use crate::usp;
use crate::usp::body::MsgBody;
use crate::usp::request::ReqType;
use crate::usp::response::RespType;

/// What is wrong with a Message that could be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// No header, or no msg_id in it (R-MSG.6, R-MSG.8): nobody could relate an answer to it.
    #[error("the Message has no msg_id")]
    NoMsgId,
    /// The header's msg_type is no number of the schema (R-ENC.2).
    #[error("the header has an unknown msg_type {0}")]
    UnknownMsgType(i32),
    /// No body, or an empty one (R-MSG.7, R-ENC.3).
    #[error("the Message has no body")]
    NoBody,
    /// The request or response is empty or of a kind that is not known.
    #[error("the {0} is empty or of an unknown kind")]
    UnknownMessage(&'static str),
    /// A oneof deeper in the Message is empty (R-ENC.3).
    #[error("{message} without {missing}")]
    EmptyOneof {
        /// The Message's name.
        message: &'static str,
        /// What it should hold.
        missing: &'static str,
    },
}

impl MessageFault {
    /// What a sender is told (R-ENC.5).
    pub fn code(&self) -> ErrCode {
        match self {
            Self::UnknownMessage(_) => ErrCode::MESSAGE_NOT_SUPPORTED,
            Self::NoMsgId | Self::UnknownMsgType(_) | Self::NoBody | Self::EmptyOneof { .. } => {
                ErrCode::INVALID_ARGUMENTS
            }
        }
    }
}

/// Checks what the schema cannot say, at every depth.
///
/// Errors: the first thing that is wrong.
pub fn check(msg: &usp::Msg) -> Result<(), MessageFault> {
    let header =
        msg.header.as_ref().filter(|header| !header.msg_id.is_empty()).ok_or(MessageFault::NoMsgId)?;
    check_body(msg)?;
    match usp::header::MsgType::try_from(header.msg_type) {
        Ok(_) => Ok(()),
        Err(_) => Err(MessageFault::UnknownMsgType(header.msg_type)),
    }
}

fn check_body(msg: &usp::Msg) -> Result<(), MessageFault> {
    match super::body(msg).ok_or(MessageFault::NoBody)? {
        MsgBody::Request(request) => {
            check_request(request.req_type.as_ref().ok_or(MessageFault::UnknownMessage("request"))?)
        }
        MsgBody::Response(response) => {
            check_response(response.resp_type.as_ref().ok_or(MessageFault::UnknownMessage("response"))?)
        }
        MsgBody::Error(_) => Ok(()),
    }
}

fn check_request(request: &ReqType) -> Result<(), MessageFault> {
    use usp::notify::Notification;
    let ReqType::Notify(notify) = request else { return Ok(()) };
    match &notify.notification {
        None => Err(empty("Notify", "a notification")),
        Some(Notification::OperComplete(complete)) if complete.operation_resp.is_none() => {
            Err(empty("OperationComplete", "output arguments or a failure"))
        }
        Some(_) => Ok(()),
    }
}

fn check_response(response: &RespType) -> Result<(), MessageFault> {
    let (complete, message) = match response {
        RespType::AddResp(r) => (
            r.created_obj_results.iter().all(|r| holds(&r.oper_status, |s| s.oper_status.is_some())),
            "AddResp",
        ),
        RespType::SetResp(r) => (
            r.updated_obj_results.iter().all(|r| holds(&r.oper_status, |s| s.oper_status.is_some())),
            "SetResp",
        ),
        RespType::DeleteResp(r) => (
            r.deleted_obj_results.iter().all(|r| holds(&r.oper_status, |s| s.oper_status.is_some())),
            "DeleteResp",
        ),
        RespType::RegisterResp(r) => (
            r.registered_path_results.iter().all(|r| holds(&r.oper_status, |s| s.oper_status.is_some())),
            "RegisterResp",
        ),
        RespType::DeregisterResp(r) => (
            r.deregistered_path_results.iter().all(|r| holds(&r.oper_status, |s| s.oper_status.is_some())),
            "DeregisterResp",
        ),
        RespType::OperateResp(r) => {
            (r.operation_results.iter().all(|r| r.operation_resp.is_some()), "OperateResp")
        }
        _ => return Ok(()),
    };
    if complete { Ok(()) } else { Err(empty(message, "a success or a failure in each result")) }
}

fn holds<T>(status: &Option<T>, is_set: impl Fn(&T) -> bool) -> bool {
    status.as_ref().is_some_and(is_set)
}

fn empty(message: &'static str, missing: &'static str) -> MessageFault {
    MessageFault::EmptyOneof { message, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{error, request, response};

    #[test]
    fn good_messages_pass() {
        assert_eq!(check(&request("1", ReqType::Get(usp::Get::default()))), Ok(()));
        assert_eq!(check(&response("1", RespType::SetResp(usp::SetResp::default()))), Ok(()));
        assert_eq!(check(&error("1", ErrCode::MESSAGE_FAILED, "", Vec::new())), Ok(()));
    }

    #[test]
    fn missing_parts_are_found() {
        assert_eq!(check(&usp::Msg::default()), Err(MessageFault::NoMsgId));
        let mut msg = request("1", ReqType::Get(usp::Get::default()));
        msg.header.as_mut().unwrap().msg_type = 99;
        assert_eq!(check(&msg), Err(MessageFault::UnknownMsgType(99)));
        msg.body = Some(usp::Body { msg_body: Some(MsgBody::Request(usp::Request { req_type: None })) });
        assert_eq!(check(&msg).unwrap_err().code(), ErrCode::MESSAGE_NOT_SUPPORTED);
        msg.body = None;
        assert_eq!(check(&msg), Err(MessageFault::NoBody));
    }

    #[test]
    fn empty_oneofs_inside_are_found() {
        let fault = check(&request("1", ReqType::Notify(usp::Notify::default()))).unwrap_err();
        assert_eq!(fault.to_string(), "Notify without a notification");
        assert_eq!(fault.code(), ErrCode::INVALID_ARGUMENTS);
        let complete = usp::notify::Notification::OperComplete(usp::notify::OperationComplete::default());
        let notify = usp::Notify { notification: Some(complete), ..Default::default() };
        assert!(check(&request("1", ReqType::Notify(notify))).is_err());

        let result = usp::add_resp::CreatedObjectResult::default();
        let mut resp = usp::AddResp { created_obj_results: vec![result] };
        assert!(check(&response("1", RespType::AddResp(resp.clone()))).is_err());
        resp.created_obj_results[0].oper_status = Some(Default::default());
        assert!(check(&response("1", RespType::AddResp(resp))).is_err());
        let operate = usp::OperateResp { operation_results: vec![Default::default()] };
        assert!(check(&response("1", RespType::OperateResp(operate))).is_err());
    }
}
