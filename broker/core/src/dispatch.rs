//! From a Record to the handler of its Message (R-MSG.10: the body decides, not msg_type).

use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{BadRecord, Record, RecordBody};
use usp_proto::usp::notify::Notification;
use usp_proto::usp::{self, body::MsgBody, request::ReqType, response::RespType};

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::input::{ConnId, Side};
use crate::output::CloseReason;
use crate::request::Origin;
use crate::request::budget::check_entries;
use crate::session::Admission;
use crate::subscriptions::NotifKind;

impl Broker {
    /// A Record came in.
    pub(crate) fn handle_record(&mut self, conn: ConnId, record: Record) {
        let Some(session) = self.sessions.get(conn) else { return };
        let (peer, service, side) = (session.link.peer.clone(), session.service, session.link.side);
        if record.to != self.config.endpoint_id {
            // R-E2E.1
            tracing::debug!(%peer, to = %record.to, "a Record for somebody else is ignored");
            return;
        }
        if record.from != peer {
            // R-SEC.0a: whoever opened the connection is whom its Records come from.
            let why = format!("from_id {} on a connection of {peer}", record.from);
            return self.close(conn, CloseReason::Protocol(why));
        }
        match record.body {
            // R-E2E.26: without a session.
            RecordBody::Message(msg) => self.handle_message(conn, side, service, *msg),
            RecordBody::Connect(_) => tracing::debug!(%peer, "Connect Record"),
            RecordBody::Disconnect { code, reason } => {
                tracing::debug!(%peer, code, reason, "Disconnect Record");
                self.note_parting(conn);
                if let Some(service) = service {
                    self.forget_service(service, "it sent a Disconnect Record");
                }
            }
            RecordBody::Session { .. } => {
                // R-E2E.6a
                let own = self.config.endpoint_id.clone();
                let text = "Session Context is not supported";
                let code = ErrCode::SESSION_CONTEXT_NOT_ALLOWED;
                self.send_record(conn, Record::disconnect(own, peer, code, text), None);
            }
        }
    }

    /// A Record that can be answered, but not used (R-MTP.5).
    pub(crate) fn handle_bad_record(&mut self, conn: ConnId, bad: &BadRecord) {
        let known = self.sessions.get(conn).is_some_and(|s| s.link.peer == bad.from);
        if known && bad.to == self.config.endpoint_id {
            let msg = message::error(&bad.msg_id, bad.code, &bad.text, Vec::new());
            self.send_message(conn, msg, None);
        }
    }

    fn handle_message(&mut self, conn: ConnId, side: Side, service: Option<ServiceId>, msg: usp::Msg) {
        let Some(body) = message::body(&msg) else { return };
        match body {
            MsgBody::Request(request) => {
                let Some(request) = &request.req_type else { return };
                match self.admit(conn, message::msg_id(&msg)) {
                    Some(Admission::Accepted(origin)) => self.handle_request(side, service, origin, request),
                    Some(Admission::Full(origin)) => {
                        let most = self.config.limits.max_pending_per_controller;
                        let text = format!(
                            "{most} requests are under way already (limits.max_pending_per_controller)"
                        );
                        self.refuse(&origin, &Fault::new(ErrCode::RESOURCES_EXCEEDED, text));
                    }
                    Some(Admission::Duplicate) => {
                        tracing::debug!(msg_id = message::msg_id(&msg), "a repeated request is ignored")
                    }
                    None => {}
                }
            }
            MsgBody::Response(_) | MsgBody::Error(_) => self.handle_answer(conn, msg),
        }
    }

    fn handle_answer(&mut self, conn: ConnId, msg: usp::Msg) {
        let controller = self.sessions.get(conn).and_then(|s| s.controller);
        let msg_id = message::msg_id(&msg).to_owned();
        // Services are asked, and only Controllers are told.
        let known = (controller.is_some() && self.handle_notify_answer(controller, &msg_id, &msg))
            || self.handle_service_answer(conn, &msg_id, msg);
        if !known {
            tracing::debug!(msg_id, "an answer that nobody waits for is ignored (R-MSG.9)");
        }
    }

    fn handle_request(&mut self, side: Side, service: Option<ServiceId>, origin: Origin, request: &ReqType) {
        // These have an answer for each path, and no Error (R-REG.0, R-DEREG.4).
        let by_path = match request {
            ReqType::Register(register) => side == Side::Controller && register.allow_partial,
            ReqType::Deregister(_) => side == Side::Controller,
            _ => false,
        };
        if !by_path && let Err(fault) = check_entries(request, self.config.limits.max_paths_per_request) {
            return self.refuse(&origin, &fault);
        }
        match (side, service) {
            (Side::Agent, _) => self.handle_controller_request(origin, request),
            (Side::Controller, Some(service)) => self.handle_service_request(service, &origin, request),
            (Side::Controller, None) => {}
        }
    }

    /// What a Controller may ask of our Agent.
    fn handle_controller_request(&mut self, origin: Origin, request: &ReqType) {
        // Whoever has a row gets the answer of each path, also where its roles allow nothing (R-OPR.1, R-GET.1, R-SET.0).
        if origin.controller.is_none() && origin.rights.is_none() {
            let peer = &origin.peer;
            let text = match self.has_row(peer) {
                true => format!(
                    "{peer} may do nothing here: nothing vouches for it on this link (neither TLS nor a local address; \
                     over MQTT, a row of its Controller.{{i}}.MTP. for this client)"
                ),
                false => format!(
                    "{peer} is not known here: it has no row in Device.LocalAgent.Controller. and no role that \
                     allows anything"
                ),
            };
            return self.refuse(&origin, &Fault::new(ErrCode::PERMISSION_DENIED, text));
        }
        self.handle_allowed_request(origin, request);
    }

    /// The same for somebody who may do something here: what Services have to be asked for beforehand is asked.
    pub(crate) fn handle_allowed_request(&mut self, origin: Origin, request: &ReqType) {
        let origin = self.decide_first(origin, request);
        if let Some(origin) = origin.and_then(|origin| self.follow_first(origin, request)) {
            self.handle_followed_request(origin, request);
        }
    }

    /// The same, once references into Services are followed.
    pub(crate) fn handle_followed_request(&mut self, origin: Origin, request: &ReqType) {
        match request {
            ReqType::Get(get) => self.handle_get(origin, get),
            ReqType::GetSupportedDm(request) => {
                // From memory, so by what is known already.
                let rights = origin.rights.clone().knowing(&self.model.targets);
                self.handle_get_supported_dm(&Origin { rights, ..origin }, request);
            }
            ReqType::GetInstances(request) => self.handle_get_instances(origin, request),
            ReqType::GetSupportedProtocol(_) => self.handle_get_supported_protocol(&origin),
            ReqType::Set(set) => self.handle_set(origin, set.clone()),
            ReqType::Add(add) => self.handle_add(origin, add.clone()),
            ReqType::Delete(delete) => self.handle_delete(origin, delete.clone()),
            ReqType::Operate(operate) => self.handle_operate(origin, operate.clone()),
            ReqType::Notify(_) | ReqType::Register(_) | ReqType::Deregister(_) => {
                self.refuse_kind(&origin, request, "an Agent does not take it from a Controller");
            }
        }
    }

    /// What a Service's Agent may ask of our Controller.
    fn handle_service_request(&mut self, service: ServiceId, origin: &Origin, request: &ReqType) {
        match request {
            ReqType::Register(register) => self.handle_register(service, origin, register),
            ReqType::Deregister(deregister) => self.handle_deregister(service, origin, deregister),
            ReqType::Notify(notify) => self.handle_service_notify(service, origin, notify),
            ReqType::Get(_)
            | ReqType::GetSupportedDm(_)
            | ReqType::GetInstances(_)
            | ReqType::GetSupportedProtocol(_)
            | ReqType::Set(_)
            | ReqType::Add(_)
            | ReqType::Delete(_)
            | ReqType::Operate(_) => {
                self.refuse_kind(
                    origin,
                    request,
                    "a Controller does not take it; it belongs on the Agent's socket",
                );
            }
        }
    }

    fn refuse_kind(&mut self, origin: &Origin, request: &ReqType, why: &str) {
        let name = message::type_name(message::request_type(request));
        let fault = Fault::new(ErrCode::MESSAGE_NOT_SUPPORTED, format!("{name}: {why}"));
        self.refuse(origin, &fault);
    }

    /// A Service notifies: confirmed first, with its own subscription_id (R-NOT.10), then passed on to whoever wanted to know.
    fn handle_service_notify(&mut self, service: ServiceId, origin: &Origin, notify: &usp::Notify) {
        let response = usp::NotifyResp { subscription_id: notify.subscription_id.clone() };
        if notify.send_resp {
            self.respond(origin, RespType::NotifyResp(response));
        } else {
            self.sessions.request_done(origin.conn, &origin.msg_id);
        }
        let Some(mut notification) = notify.notification.clone() else { return };
        let shadow = self.shadow_of(service, &notify.subscription_id);
        // A Subscription brings what it is for, and nothing else.
        let shadow = shadow.filter(|(wanted, _)| NotifKind::of(&notification) == Some(wanted.kind));
        let Some((wanted, serves)) = shadow else {
            tracing::debug!(id = notify.subscription_id, "a Notify for no Subscription of ours is ignored");
            return;
        };
        if let Notification::OperComplete(done) = notification {
            return self.take_completion(service, done);
        }
        let Some(path) = notified_path(&notification) else { return };
        if !self.services.owns(service, &path.to_string()) {
            tracing::warn!(%path, service = self.services.name(service), "a Notify about what is not the Service's");
            return;
        }
        if !wanted.is_about(&path) {
            tracing::warn!(%path, wanted = wanted.path, service = self.services.name(service), "a Notify beside its Subscription");
            return;
        }
        if !self.model.is_declared(&path) {
            tracing::warn!(%path, service = self.services.name(service), "a Notify about what its Service never declared");
            return;
        }
        self.model.keep_declared_details(&mut notification);
        self.doubt_targets(service, &wanted);
        for number in serves {
            if self.is_copy(service, number, &notify.subscription_id, &path, &notification) {
                continue;
            }
            self.pass_on(service, number, &path, notification.clone());
        }
        self.doubt_leads(service, &wanted);
    }
}

/// What a notification is about.
fn notified_path(notification: &Notification) -> Option<usp_proto::path::Path> {
    let text = match notification {
        Notification::ValueChange(change) => change.param_path.clone(),
        Notification::ObjCreation(created) => created.obj_path.clone(),
        Notification::ObjDeletion(deleted) => deleted.obj_path.clone(),
        Notification::Event(event) => {
            format!("{}{}!", event.obj_path, event.event_name.trim_end_matches('!'))
        }
        Notification::OperComplete(_) | Notification::OnBoardReq(_) => return None,
    };
    usp_proto::path::Path::parse(&text).ok()
}
