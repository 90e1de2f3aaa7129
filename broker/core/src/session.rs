//! Connections and the peers behind them: who is connected, what a Controller may do, Connect and Disconnect Records.

mod sending;

use std::collections::BTreeMap;
use std::sync::Arc;

use usp_proto::endpoint_id::EndpointId;

use crate::Broker;
use crate::access::Rights;
use crate::dm::rows::{ObjRef, Row};
use crate::dm::schema::ServiceId;
use crate::input::{ConnId, Link, MtpKind, Side};
use crate::mqtt::peers::Via;
use crate::output::CloseReason;
use crate::request::Origin;

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_conn: BTreeMap<ConnId, Session>,
    opened: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What its transport told.
    pub link: Link,
    /// Number of the Controller's row.
    pub controller: Option<u32>,
    /// What the Controller may do.
    pub rights: Rights,
    /// The Service behind it.
    pub service: Option<ServiceId>,
    /// Over MQTT: how the peer is reached.
    pub via: Option<Via>,
    /// Requests that are not answered yet, by msg_id (R-MSG.4), and the topic that each wants its answer on (MQTT).
    open: BTreeMap<String, Option<Arc<str>>>,
    /// Connections that came later have higher numbers.
    opened: u64,
    /// It was let in, so that it is told of its end by a Record.
    welcome: bool,
    /// We asked for its end: nothing more is taken from it or sent to it.
    closing: bool,
    /// A Disconnect Record has passed, either way, and the channel stays: a Connect Record is due (R-MTP.8).
    parted: bool,
}

impl Sessions {
    /// The connection.
    pub(crate) fn get(&self, conn: ConnId) -> Option<&Session> {
        self.by_conn.get(&conn)
    }

    /// Where a Controller is connected; the newest, if it has several transports. Over MQTT nobody knows whether it is
    /// there at all, so that counts only without a real connection.
    pub(crate) fn controller_conn(&self, endpoint: &EndpointId) -> Option<ConnId> {
        self.newest(|s| s.link.side == Side::Agent && s.link.peer == *endpoint)
    }

    fn newest(&self, is_meant: impl Fn(&Session) -> bool) -> Option<ConnId> {
        let meant = self.by_conn.iter().filter(|(_, s)| !s.closing && is_meant(s));
        meant.max_by_key(|(_, s)| (s.via.is_none(), s.opened)).map(|(conn, _)| *conn)
    }

    /// Peers over MQTT.
    pub(crate) fn over_mqtt(&self) -> impl Iterator<Item = (ConnId, &Session)> {
        self.by_conn.iter().filter(|(_, s)| s.via.is_some()).map(|(conn, s)| (*conn, s))
    }

    /// How a peer over MQTT is reached, for changes.
    pub(crate) fn via_mut(&mut self, conn: ConnId) -> Option<&mut Via> {
        self.by_conn.get_mut(&conn)?.via.as_mut()
    }

    /// A request was answered.
    pub(crate) fn request_done(&mut self, conn: ConnId, msg_id: &str) {
        if let Some(session) = self.by_conn.get_mut(&conn) {
            session.open.remove(msg_id);
        }
    }
}

impl Session {
    /// Where the answer to an open request is wanted (R-MQTT.26).
    pub(crate) fn reply_topic(&self, msg_id: &str) -> Option<&str> {
        self.open.get(msg_id)?.as_deref()
    }

    /// Whether it waits for no answer of ours.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }
}

/// What becomes of a request before it is looked at.
pub(crate) enum Admission {
    /// It is dealt with.
    Accepted(Origin),
    /// The same msg_id is under way already (R-MSG.4).
    Duplicate,
    /// Too many are under way.
    Full(Origin),
}

impl Broker {
    /// A peer has told its Endpoint ID.
    pub(crate) fn handle_connected(&mut self, conn: ConnId, link: Link) {
        self.connect_peer(conn, link, None);
    }

    /// A peer is here; over MQTT there is no connection but the one that we make up.
    pub(crate) fn connect_peer(&mut self, conn: ConnId, link: Link, via: Option<Via>) {
        tracing::debug!(?conn, peer = %link.peer, side = ?link.side, "connected");
        // The Agent and the Controller of one Service share an Endpoint ID (R-ARC.0, R-ARC.1): sides are told apart.
        let twin = self.sessions.by_conn.iter().find(|(_, s)| {
            s.link.side == link.side && s.link.mtp == link.mtp && s.link.peer == link.peer && !s.closing
        });
        let twin = twin.map(|(conn, _)| *conn);
        let session = Session {
            link: link.clone(),
            controller: None,
            rights: Rights::none(),
            service: None,
            via,
            open: BTreeMap::new(),
            opened: self.sessions.opened,
            welcome: false,
            closing: false,
            parted: false,
        };
        self.sessions.opened += 1;
        self.sessions.by_conn.insert(conn, session);
        if link.peer == self.config.endpoint_id {
            // R-ARC.2
            let why = "this is the broker's own Endpoint ID".to_owned();
            return self.close(conn, CloseReason::Protocol(why));
        }
        match (twin, link.mtp) {
            (Some(_), MtpKind::Uds) => return self.close(conn, CloseReason::EndpointInUse),
            (Some(old), MtpKind::WebSocket) => self.close(old, CloseReason::Replaced),
            (Some(_), MtpKind::Mqtt) | (None, _) => {}
        }
        match link.side {
            Side::Agent => self.welcome_controller(conn, &link),
            Side::Controller => self.welcome_service(conn, &link),
        }
    }

    /// A Service has come: connection, Handshake and its Connect Record are the transport's; Register follows (N-BRK.9).
    fn welcome_service(&mut self, conn: ConnId, link: &Link) {
        // The same Service over another transport, or anew: the newest connection counts, and what it registered over
        // the old one is free at once.
        if let Some(id) = self.services.find(&link.peer) {
            let old = self.services.connection(id);
            self.service_gone(id, "it has connected anew");
            if let Some(old) = old {
                if let Some(session) = self.sessions.by_conn.get_mut(&old) {
                    session.service = None;
                }
                self.close(old, CloseReason::EndpointInUse);
            }
        }
        if self.services.len() >= self.config.limits.max_services {
            let why = format!("limits.max_services = {}", self.config.limits.max_services);
            return self.close(conn, CloseReason::Limit(why));
        }
        let id = self.services.insert(link.peer.clone(), conn, link.mtp, self.model.now.monotonic);
        self.look_after(id);
        if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
            session.service = Some(id);
            session.welcome = true;
        }
    }

    fn welcome_controller(&mut self, conn: ConnId, link: &Link) {
        let number = match self.find_controller(&link.peer) {
            Some(row) if self.model.text(&row, "Enable").as_deref() != Some("true") => {
                let why = format!("{} is disabled in Device.LocalAgent.Controller.", link.peer);
                return self.close(conn, CloseReason::Forbidden(why));
            }
            Some(row) => Some(row.number()),
            None => match self.admit_local(link) {
                Ok(number) => number,
                Err(why) => return self.close(conn, why),
            },
        };
        // Who is not vouched for gets nothing of what belongs to the row: neither its role nor its notifications.
        let number = number.filter(|_| link.trusted);
        if let Some(number) = number {
            if !self.may_use_mtp(number, link.mtp.name()) {
                let why = format!("{} is disabled for {} in its MTP table", link.mtp.name(), link.peer);
                return self.close(conn, CloseReason::Forbidden(why));
            }
            self.note_mtp(number, link.mtp.name());
        }
        let rights = self.rights_on(link, number);
        if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
            session.controller = number;
            session.rights = rights;
            session.welcome = true;
        }
        self.greet(conn);
        self.note_controller_presence(&link.peer);
        if let Some(number) = number.filter(|n| self.controller_conn(*n) == Some(conn)) {
            self.deliver_waiting(number, conn);
        }
    }

    /// Whether a Controller with this Endpoint ID has a row.
    pub(crate) fn has_row(&self, endpoint: &EndpointId) -> bool {
        self.find_controller(endpoint).is_some()
    }

    pub(crate) fn find_controller(&self, endpoint: &EndpointId) -> Option<ObjRef> {
        let table = self.model.table("Device.LocalAgent.Controller.")?;
        self.model.row_with(table, &[], "EndpointID", endpoint.as_str())
    }

    /// A local Controller without a row of its own gets one for as long as it is needed, with the configured role.
    fn admit_local(&mut self, link: &Link) -> Result<Option<u32>, CloseReason> {
        let role = match link.mtp {
            MtpKind::Uds => self.config.uds.as_ref().map(|u| u.local_role.clone()),
            MtpKind::WebSocket => self.config.websocket.as_ref().and_then(|w| w.local_role.clone()),
            MtpKind::Mqtt => None,
        };
        let (Some(role), true) = (role, link.trusted) else { return Ok(None) };
        let Some(table) = self.model.table("Device.LocalAgent.Controller.") else { return Ok(None) };
        if self.model.rows.of_table(table, &[]).count() >= self.config.limits.max_controllers {
            let why = format!("limits.max_controllers = {}", self.config.limits.max_controllers);
            return Err(CloseReason::Limit(why));
        }
        let number = self.model.rows.next_number(table, &[], true);
        let at = ObjRef::new(table, &[number]);
        self.model.rows.put(at.clone(), Row { volatile: true, ..Row::default() });
        let role = self.role_path(&role).unwrap_or_default();
        for (name, value) in [
            ("Alias", format!("cpe-{number}")),
            ("EndpointID", link.peer.to_string()),
            ("Enable", "true".to_owned()),
            ("AssignedRole", role),
            ("OnBoardingComplete", "true".to_owned()),
        ] {
            self.put_param(&at, name, value);
        }
        self.commit(None);
        Ok(Some(number))
    }

    /// The path of the role with this name, without a final dot.
    pub(crate) fn role_path(&self, name: &str) -> Option<String> {
        let table = self.model.table("Device.LocalAgent.ControllerTrust.Role.")?;
        let row = self.model.row_with(table, &[], "Name", name)?;
        Some(self.model.path(&row).trim_end_matches('.').to_owned())
    }

    /// Off a trusted link, and without a row, everybody has the Untrusted role.
    fn rights_on(&self, link: &Link, controller: Option<u32>) -> Rights {
        match controller.filter(|_| link.trusted) {
            Some(number) => self.rights_of_controller(number),
            None => {
                let trust = self.model.locate("Device.LocalAgent.ControllerTrust.");
                let roles = trust.and_then(|at| self.model.text(&at, "UntrustedRole")).unwrap_or_default();
                Rights::of_roles(&self.model, &roles)
            }
        }
    }

    /// What a Controller may do by its row.
    pub(crate) fn rights_of_controller(&self, number: u32) -> Rights {
        if let Some(rights) = self.rights_cache.borrow().get(&number) {
            return rights.clone();
        }
        let rights = self.rights_by_row(number);
        self.rights_cache.borrow_mut().insert(number, rights.clone());
        rights
    }

    /// The same, as its row is at this moment.
    pub(crate) fn rights_by_row(&self, number: u32) -> Rights {
        // R-SEC.1a: both lists count together.
        let row = self.controller_row(number);
        let roles = ["AssignedRole", "InheritedRole"]
            .map(|name| row.as_ref().and_then(|row| self.model.text(row, name)).unwrap_or_default());
        Rights::of_roles(&self.model, &roles.join(","))
    }

    /// Roles, permissions or Controllers have changed.
    pub(crate) fn refresh_rights(&mut self) {
        let before = self.rights_cache.take();
        self.review_notices(&before);
        let links: Vec<(ConnId, Link, Option<u32>)> =
            self.sessions.by_conn.iter().map(|(c, s)| (*c, s.link.clone(), s.controller)).collect();
        for (conn, link, controller) in links.into_iter().filter(|(_, l, _)| l.side == Side::Agent) {
            let found = || self.find_controller(&link.peer).map(|row| row.number());
            // A row that names somebody else now is not this peer's any more.
            let kept = controller.filter(|number| {
                let row = self.controller_row(*number);
                let name = row.and_then(|row| self.model.rows.param(&row, "EndpointID").map(str::to_owned));
                name.is_none_or(|name| name == link.peer.as_str())
            });
            let number = kept.or_else(found).filter(|_| link.trusted);
            let rights = self.rights_on(&link, number);
            if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
                session.rights = rights;
                session.controller = number;
            }
        }
    }

    /// A Controller's row has changed: whoever was disabled or deleted is no longer served (N-SUB.2).
    pub(crate) fn check_controller(&mut self, number: u32) {
        let enabled = self.controller_row(number).is_some_and(|row| {
            self.model.text(&row, "Enable").as_deref() == Some("true") && self.model.rows.contains(&row)
        });
        let of_row = self.sessions.by_conn.iter().filter(|(_, s)| s.controller == Some(number));
        let conns: Vec<(ConnId, MtpKind)> = of_row.map(|(c, s)| (*c, s.link.mtp)).collect();
        for (conn, mtp) in conns {
            if !enabled {
                self.close(
                    conn,
                    CloseReason::Forbidden("this Controller was disabled or deleted".to_owned()),
                );
            } else if !self.may_use_mtp(number, mtp.name()) {
                let why = format!("{} was disabled for this Controller", mtp.name());
                self.close(conn, CloseReason::Forbidden(why));
            }
        }
    }

    /// Where the Controller of a row is connected.
    pub(crate) fn controller_conn(&self, number: u32) -> Option<ConnId> {
        self.sessions.newest(|s| s.controller == Some(number))
    }

    /// The connection is gone.
    pub(crate) fn handle_disconnected(&mut self, conn: ConnId, reason: &str) {
        let Some(session) = self.sessions.by_conn.remove(&conn) else { return };
        tracing::debug!(?conn, peer = %session.link.peer, reason, "disconnected");
        if let Some(via) = &session.via {
            self.peers.forget(via.client, &session.link.peer, session.link.side);
        }
        if let Some(service) = session.service {
            self.service_gone(service, reason);
        }
        if session.link.side == Side::Agent {
            self.note_controller_presence(&session.link.peer);
            self.drop_idle_controller(session.controller);
        }
    }

    /// A Service is gone: its part of the model, its row, and what it was asked (N-BRK.5).
    pub(crate) fn service_gone(&mut self, id: ServiceId, reason: &str) {
        let Some(service) = self.services.get_mut(id) else { return };
        let name = service.endpoint.to_string();
        let served = !std::mem::take(&mut service.registered).is_empty();
        self.update_service_row(id);
        self.model.schema.remove_service(id, |_| false);
        let why = format!("Service {name} is gone: {reason}");
        self.services.remove(id);
        // While it is still known what Permissions meant there.
        self.end_commands(id, &why);
        self.fail_service_legs(id, &why);
        self.model.targets.forget_service(id);
        if served {
            self.follow_all();
        }
    }

    /// A Service says goodbye but keeps its connection: it may register again.
    pub(crate) fn forget_service(&mut self, id: ServiceId, reason: &str) {
        let Some(service) = self.services.get(id) else { return };
        let (endpoint, conn, mtp) = (service.endpoint.clone(), service.conn, service.mtp);
        self.service_gone(id, reason);
        let fresh = self.services.insert(endpoint, conn, mtp, self.model.now.monotonic);
        self.look_after(fresh);
        if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
            session.service = Some(fresh);
        }
    }

    /// A Controller that only happened to connect leaves nothing behind, unless it has Subscriptions.
    pub(crate) fn drop_idle_controller(&mut self, number: Option<u32>) {
        let Some(number) = number.filter(|n| self.controller_conn(*n).is_none()) else { return };
        let Some(row) = self.controller_row(number) else { return };
        let volatile = self.model.rows.get(&row).is_some_and(|r| r.volatile);
        if volatile && !self.subs.any_of(number) {
            self.remove_row(&row);
            self.commit(None);
        }
    }

    /// HasController, and the Controller row of a Service (N-BRK.7), follow the Service's other connection.
    fn note_controller_presence(&mut self, endpoint: &EndpointId) {
        if let Some(id) = self.services.find(endpoint)
            && self.services.get(id).is_some_and(|s| s.row.is_some())
        {
            self.update_service_row(id);
        }
    }

    /// Lets a request in, or says why not.
    pub(crate) fn admit(&mut self, conn: ConnId, msg_id: &str) -> Option<Admission> {
        let most = self.config.limits.max_pending_per_controller;
        let session = self.sessions.by_conn.get_mut(&conn).filter(|s| !s.closing)?;
        let origin = Origin {
            conn,
            peer: session.link.peer.clone(),
            msg_id: msg_id.to_owned(),
            rights: session.rights.clone(),
            controller: session.controller,
            followed: Arc::default(),
            terms: None,
        };
        if session.open.contains_key(msg_id) {
            return Some(Admission::Duplicate);
        }
        if session.open.len() >= most {
            return Some(Admission::Full(origin));
        }
        let reply_to = session.via.as_ref().and_then(|via| via.reply_to.clone());
        session.open.insert(msg_id.to_owned(), reply_to);
        Some(Admission::Accepted(origin))
    }
}
