//! Messages: building, naming and checking them (TR-369 "Messages", R-MSG.5 to R-MSG.10).

mod check;
pub mod params;

pub use check::{MessageFault, check};

use crate::err_code::ErrCode;
use crate::usp;
use crate::usp::body::MsgBody;
use crate::usp::header::MsgType;
use crate::usp::request::ReqType;
use crate::usp::response::RespType;

/// Builds a request.
pub fn request(msg_id: &str, request: ReqType) -> usp::Msg {
    let msg_type = request_type(&request);
    build(msg_id, msg_type, MsgBody::Request(usp::Request { req_type: Some(request) }))
}

/// Builds a response; `msg_id` is the request's (R-MSG.9).
pub fn response(msg_id: &str, response: RespType) -> usp::Msg {
    let msg_type = response_type(&response);
    build(msg_id, msg_type, MsgBody::Response(usp::Response { resp_type: Some(response) }))
}

/// Builds an Error; `msg_id` is the request's (R-MSG.9).
pub fn error(msg_id: &str, code: ErrCode, text: &str, param_errs: Vec<usp::error::ParamError>) -> usp::Msg {
    let error = usp::Error { err_code: code.0, err_msg: text.to_owned(), param_errs };
    build(msg_id, MsgType::Error, MsgBody::Error(error))
}

/// A Message as bytes, without a Record around it.
pub fn encode(msg: &usp::Msg) -> Vec<u8> {
    prost::Message::encode_to_vec(msg)
}

/// The Message that [`encode`] made; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<usp::Msg> {
    prost::Message::decode(bytes).ok()
}

fn build(msg_id: &str, msg_type: MsgType, body: MsgBody) -> usp::Msg {
    usp::Msg {
        header: Some(usp::Header { msg_id: msg_id.to_owned(), msg_type: msg_type.into() }),
        body: Some(usp::Body { msg_body: Some(body) }),
    }
}

/// The msg_id; empty if the Message has none.
pub fn msg_id(msg: &usp::Msg) -> &str {
    msg.header.as_ref().map_or("", |header| &header.msg_id)
}

/// The alternative that the body holds. It alone decides what a Message is (R-MSG.10).
pub fn body(msg: &usp::Msg) -> Option<&MsgBody> {
    msg.body.as_ref()?.msg_body.as_ref()
}

/// Whether the body holds a request, known or not.
pub fn is_request(msg: &usp::Msg) -> bool {
    matches!(body(msg), Some(MsgBody::Request(_)))
}

/// What the body holds, as the header's msg_type would tell it; `None` when a oneof is empty.
pub fn kind(msg: &usp::Msg) -> Option<MsgType> {
    match body(msg)? {
        MsgBody::Request(request) => request.req_type.as_ref().map(request_type),
        MsgBody::Response(response) => response.resp_type.as_ref().map(response_type),
        MsgBody::Error(_) => Some(MsgType::Error),
    }
}

/// The name that the standard gives the Message, as in `GetResp`; `(empty)` when a oneof is empty.
pub fn name(msg: &usp::Msg) -> &'static str {
    kind(msg).map_or("(empty)", type_name)
}

/// The name of a Message of this type, as in `GetResp`.
pub fn type_name(msg_type: MsgType) -> &'static str {
    match msg_type {
        MsgType::Error => "Error",
        MsgType::Get => "Get",
        MsgType::GetResp => "GetResp",
        MsgType::Notify => "Notify",
        MsgType::Set => "Set",
        MsgType::SetResp => "SetResp",
        MsgType::Operate => "Operate",
        MsgType::OperateResp => "OperateResp",
        MsgType::Add => "Add",
        MsgType::AddResp => "AddResp",
        MsgType::Delete => "Delete",
        MsgType::DeleteResp => "DeleteResp",
        MsgType::GetSupportedDm => "GetSupportedDM",
        MsgType::GetSupportedDmResp => "GetSupportedDMResp",
        MsgType::GetInstances => "GetInstances",
        MsgType::GetInstancesResp => "GetInstancesResp",
        MsgType::NotifyResp => "NotifyResp",
        MsgType::GetSupportedProto => "GetSupportedProtocol",
        MsgType::GetSupportedProtoResp => "GetSupportedProtocolResp",
        MsgType::Register => "Register",
        MsgType::RegisterResp => "RegisterResp",
        MsgType::Deregister => "Deregister",
        MsgType::DeregisterResp => "DeregisterResp",
    }
}

/// Whether Messages of this type are requests.
pub fn is_request_type(msg_type: MsgType) -> bool {
    !matches!(msg_type, MsgType::Error) && !type_name(msg_type).ends_with("Resp")
}

/// The msg_type of a request.
pub fn request_type(request: &ReqType) -> MsgType {
    match request {
        ReqType::Get(_) => MsgType::Get,
        ReqType::GetSupportedDm(_) => MsgType::GetSupportedDm,
        ReqType::GetInstances(_) => MsgType::GetInstances,
        ReqType::Set(_) => MsgType::Set,
        ReqType::Add(_) => MsgType::Add,
        ReqType::Delete(_) => MsgType::Delete,
        ReqType::Operate(_) => MsgType::Operate,
        ReqType::Notify(_) => MsgType::Notify,
        ReqType::GetSupportedProtocol(_) => MsgType::GetSupportedProto,
        ReqType::Register(_) => MsgType::Register,
        ReqType::Deregister(_) => MsgType::Deregister,
    }
}

/// The msg_type of a response.
pub fn response_type(response: &RespType) -> MsgType {
    match response {
        RespType::GetResp(_) => MsgType::GetResp,
        RespType::GetSupportedDmResp(_) => MsgType::GetSupportedDmResp,
        RespType::GetInstancesResp(_) => MsgType::GetInstancesResp,
        RespType::SetResp(_) => MsgType::SetResp,
        RespType::AddResp(_) => MsgType::AddResp,
        RespType::DeleteResp(_) => MsgType::DeleteResp,
        RespType::OperateResp(_) => MsgType::OperateResp,
        RespType::NotifyResp(_) => MsgType::NotifyResp,
        RespType::GetSupportedProtocolResp(_) => MsgType::GetSupportedProtoResp,
        RespType::RegisterResp(_) => MsgType::RegisterResp,
        RespType::DeregisterResp(_) => MsgType::DeregisterResp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_fill_the_header() {
        let get = request("1", ReqType::Get(usp::Get::default()));
        assert_eq!((name(&get), msg_id(&get), is_request(&get)), ("Get", "1", true));
        assert_eq!(get.header.unwrap().msg_type(), MsgType::Get);
        let resp =
            response("1", RespType::GetSupportedProtocolResp(usp::GetSupportedProtocolResp::default()));
        assert_eq!((name(&resp), is_request(&resp)), ("GetSupportedProtocolResp", false));
        let error = error("1", ErrCode::MESSAGE_FAILED, "no", Vec::new());
        assert_eq!((name(&error), is_request(&error)), ("Error", false));
    }

    #[test]
    fn the_body_decides_and_not_the_header() {
        let mut get = request("1", ReqType::Get(usp::Get::default()));
        get.header.as_mut().unwrap().msg_type = MsgType::SetResp.into();
        assert_eq!(name(&get), "Get");
        assert_eq!(name(&usp::Msg::default()), "(empty)");
    }

    #[test]
    fn requests_are_told_from_the_rest() {
        let requests =
            (0..=22).filter_map(|n| MsgType::try_from(n).ok()).filter(|t| is_request_type(*t)).count();
        assert_eq!(requests, 11);
    }
}
