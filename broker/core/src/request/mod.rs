//! One file per request of a Controller. Each plans, asks owners through [`crate::gather`] and merges.

mod absent;
pub(crate) mod add;
pub(crate) mod budget;
pub(crate) mod check;
pub(crate) mod count;
pub(crate) mod create;
pub(crate) mod decide;
pub(crate) mod delete;
pub(crate) mod follow;
pub(crate) mod get;
mod inside;
pub(crate) mod instances;
mod judged;
pub(crate) mod kinds;
mod lead;
mod merge;
pub(crate) mod operate;
pub(crate) mod operated;
mod reference;
pub(crate) mod set;
pub(crate) mod shown;
pub(crate) mod supported;
mod supported_at;
pub(crate) mod unit;
pub(crate) mod untold;

use std::sync::Arc;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::path::{Name, Path};
use usp_proto::usp::{self, error::ParamError, response::RespType};

use crate::Broker;
use crate::access::Rights;
use crate::agent::triggers::log_failures;
use crate::dm::Model;
use crate::dm::resolve::{Found, follows};
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::input::ConnId;
use crate::time::Mono;

/// Who asked, and how to answer.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The connection that the request came over; the answer goes there or nowhere.
    pub conn: ConnId,
    /// The peer's Endpoint ID.
    pub peer: EndpointId,
    /// The request's msg_id (R-MSG.9).
    pub msg_id: String,
    /// What the peer may do.
    pub rights: Rights,
    /// Number of its row in `Device.LocalAgent.Controller.`.
    pub controller: Option<u32>,
    /// What paths mean whose references were followed into Services.
    pub followed: Arc<follow::Followed>,
    /// By when Services have to have answered, if they are asked something before the request itself.
    pub terms: Option<Terms>,
}

/// What Services are asked beforehand (what Permissions mean, where references lead) does not prolong a request: all of it
/// together takes half of the time that a Service has for an answer, and leaves the rest to the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The end of the questions beforehand.
    pub questions: Mono,
    /// The end of the request.
    pub answer: Mono,
}

impl Broker {
    /// Services are going to be asked something before the request itself: the time counts from the first such question.
    pub(crate) fn on_terms(&self, origin: Origin) -> Origin {
        let (now, patience) = (self.model.now.monotonic, self.config.limits.service_timeout);
        let fresh = || Terms { questions: now + patience / 2, answer: now + patience };
        Origin { terms: Some(origin.terms.unwrap_or_else(fresh)), ..origin }
    }

    /// Answers a request with a response.
    pub(crate) fn respond(&mut self, origin: &Origin, response: RespType) {
        log_failures(origin, &response);
        self.finish(origin, message::response(&origin.msg_id, response));
    }

    /// Answers a request with an Error.
    pub(crate) fn refuse(&mut self, origin: &Origin, fault: &Fault) {
        self.refuse_with(origin, fault, Vec::new());
    }

    /// Answers a request with an Error that has details.
    pub(crate) fn refuse_with(&mut self, origin: &Origin, fault: &Fault, params: Vec<ParamError>) {
        self.finish(origin, message::error(&origin.msg_id, fault.code, &fault.text, params));
    }

    fn finish(&mut self, origin: &Origin, msg: usp::Msg) {
        // In this order: over MQTT the request knows where its answer goes.
        self.send_message(origin.conn, msg, None);
        self.sessions.request_done(origin.conn, &origin.msg_id);
    }
}

/// What a path means for somebody: rows whose searched Parameters may not be read are not found (R-GIN.0).
///
/// Errors: as [`Model::resolve`]; 7026 for a search at a Service by what may not be read there (R-GET.1), and for a
/// reference into one that was not followed beforehand, by the rights of who asks; 7005 when the paths of one request
/// mean too many rows.
pub(crate) fn resolve(model: &Model, path: &Path, rights: &Rights) -> Result<Found, Fault> {
    let may_read = |at: &ObjRef, name: &Name| rights.may_read(model, at, name);
    match model.resolve_for(&path.segments, &may_read)? {
        Found::Service(_) if follows(path) || !rights.may_search(model, path) => {
            Err(Fault::unsupported(path))
        }
        found => {
            model.searched.count(found.objects().len())?;
            Ok(found)
        }
    }
}

/// The details of an Error for one path.
pub(crate) fn param_error(path: impl Into<String>, fault: &Fault) -> ParamError {
    ParamError { param_path: path.into(), err_code: fault.code.0, err_msg: fault.text.clone() }
}

/// A fault for a path form that a request does not take.
pub(crate) fn wrong_form(path: &str, wanted: &str) -> Fault {
    Fault::new(ErrCode::INVALID_PATH_SYNTAX, format!("{path} is not {wanted}"))
}
