//! Messages and Records around what was answered.

use usp_proto::usp::body::MsgBody;
use usp_proto::usp::header::MsgType;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Body, Error, Header, Msg, Request, Response};

use super::fault::Fault;

/// A request with this msg_id.
pub fn request(msg_id: &str, content: ReqType) -> Msg {
    let kind = match &content {
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
    };
    message(msg_id, kind, MsgBody::Request(Request { req_type: Some(content) }))
}

/// A response to the request of this msg_id.
pub fn response(msg_id: &str, content: RespType) -> Msg {
    let kind = match &content {
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
    };
    message(msg_id, kind, MsgBody::Response(Response { resp_type: Some(content) }))
}

/// An Error in answer to the Message of this msg_id.
pub fn error(msg_id: &str, error: Error) -> Msg {
    message(msg_id, MsgType::Error, MsgBody::Error(error))
}

pub(crate) fn refusal(msg_id: &str, fault: Fault) -> Msg {
    error(msg_id, Error { err_code: fault.code, err_msg: fault.message, param_errs: Vec::new() })
}

/// The msg_id; empty if there is no header.
pub fn msg_id(message: &Msg) -> &str {
    message.header.as_ref().map(|header| header.msg_id.as_str()).unwrap_or_default()
}

/// The request in a Message; `None`: it is none.
pub fn content(message: &Msg) -> Option<&ReqType> {
    match message.body.as_ref()?.msg_body.as_ref()? {
        MsgBody::Request(request) => request.req_type.as_ref(),
        MsgBody::Response(_) | MsgBody::Error(_) => None,
    }
}

/// The response in a Message; `None`: it is none.
pub fn answer(message: &Msg) -> Option<&RespType> {
    match message.body.as_ref()?.msg_body.as_ref()? {
        MsgBody::Response(response) => response.resp_type.as_ref(),
        MsgBody::Request(_) | MsgBody::Error(_) => None,
    }
}

fn message(msg_id: &str, kind: MsgType, body: MsgBody) -> Msg {
    Msg {
        header: Some(Header { msg_id: msg_id.to_owned(), msg_type: kind.into() }),
        body: Some(Body { msg_body: Some(body) }),
    }
}
