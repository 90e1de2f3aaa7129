//! What goes out to peers: Records, goodbyes, the end of a connection.

use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::record::{Connect, Record, RecordBody};
use usp_proto::usp;

use crate::input::{ConnId, MtpKind, Side};
use crate::mqtt::peers::Via;
use crate::output::{CloseReason, Output};
use crate::{Broker, Phase};

/// The one code of the 71xx list that says that the sender ends something (R-MTP.9).
const ENDED: ErrCode = ErrCode::SESSION_CONTEXT_TERMINATED;

/// What a Disconnect Record says of an end (R-MTP.9). Who was let in breaks the protocol by a Record in another's name.
fn code_of(why: &CloseReason) -> ErrCode {
    match why {
        CloseReason::Protocol(_) => ErrCode::INVALID_RECORD_VALUE,
        _ => ENDED,
    }
}

impl Broker {
    /// Ends a connection; its peer is told why, and was welcome before: by a Disconnect Record (R-MTP.7).
    pub(crate) fn close(&mut self, conn: ConnId, why: CloseReason) {
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else { return };
        if session.welcome {
            self.say_goodbye_with(conn, code_of(&why), &why.to_string());
        }
        let Some(session) = self.sessions.by_conn.get_mut(&conn) else { return };
        session.closing = true;
        tracing::info!(?conn, peer = %session.link.peer, ?why, "closing a connection");
        if session.via.is_some() {
            return self.handle_disconnected(conn, "closed");
        }
        self.outputs.push_back(Output::Close { conn, why });
    }

    /// Says goodbye to everybody.
    pub(crate) fn shut_down(&mut self) {
        self.phase = Phase::Ending;
        self.model.rows.settle_marks();
        self.save_last_notices();
        self.commit(None);
        let open = self.sessions.by_conn.iter().filter(|(_, s)| !s.closing);
        let conns: Vec<ConnId> = open.map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.close(conn, CloseReason::Shutdown);
        }
        self.stop_clients();
    }

    /// R-MTP.7. It waits for nothing, since the end of the channel does not. Who only asked something over MQTT does not care.
    pub(crate) fn say_goodbye(&mut self, conn: ConnId, why: &str) {
        self.say_goodbye_with(conn, ENDED, why);
    }

    fn say_goodbye_with(&mut self, conn: ConnId, code: ErrCode, why: &str) {
        let Some(session) = self.sessions.get(conn) else { return };
        if session.link.side == Side::Agent && session.via.as_ref().is_some_and(Via::is_guest) {
            return;
        }
        let peer = session.link.peer.clone();
        self.greet_anew(conn);
        self.note_parting(conn);
        let own = self.config.endpoint_id.clone();
        let order = self.sending(conn, Record::disconnect(own, peer, code, why), None);
        self.outputs.extend(order);
    }

    /// What tells a peer that it is left, without a fault of its own.
    pub(crate) fn goodbye(&self, peer: EndpointId, why: &str) -> Record {
        Record::disconnect(self.config.endpoint_id.clone(), peer, ENDED, why)
    }

    /// Sends a Message to whoever is behind a connection.
    pub(crate) fn send_message(&mut self, conn: ConnId, msg: usp::Msg, merge: Option<u64>) {
        let Some(peer) = self.sessions.get(conn).map(|s| s.link.peer.clone()) else { return };
        let own = self.config.endpoint_id.clone();
        self.send_record(conn, Record::message(own, peer, msg), merge);
    }

    /// The Connect Record of a Controller's channel (R-MTP.6), if it gets one. It waits for nothing, so that all else comes
    /// after it.
    pub(crate) fn greet(&mut self, conn: ConnId) {
        let Some(link) = self.sessions.get(conn).filter(|s| !s.closing).map(|s| s.link.clone()) else {
            return;
        };
        let connect = match (link.side, link.mtp) {
            (Side::Controller, _) => None,
            (Side::Agent, MtpKind::Uds) => Some(Connect::Uds),
            (Side::Agent, MtpKind::WebSocket) => Some(Connect::WebSocket),
            (Side::Agent, MtpKind::Mqtt) => self.mqtt_connect(conn),
        };
        let Some(connect) = connect else { return };
        let own = self.config.endpoint_id.clone();
        let order = self.sending(conn, Record::connect(own, link.peer, connect), None);
        self.outputs.extend(order);
    }

    /// A Disconnect Record was sent or received on a channel that stays open.
    pub(crate) fn note_parting(&mut self, conn: ConnId) {
        if let Some(session) = self.sessions.by_conn.get_mut(&conn) {
            session.parted = true;
        }
    }

    /// R-MTP.8: after that, a Connect Record goes before any other.
    pub(crate) fn greet_anew(&mut self, conn: ConnId) {
        let session = self.sessions.by_conn.get_mut(&conn);
        if session.is_some_and(|session| std::mem::take(&mut session.parted)) {
            self.greet(conn);
        }
    }

    pub(crate) fn send_record(&mut self, conn: ConnId, record: Record, merge: Option<u64>) {
        self.greet_anew(conn);
        if matches!(record.body, RecordBody::Disconnect { .. }) {
            self.note_parting(conn);
        }
        let send = self.sending(conn, record, merge);
        match &mut self.held {
            Some(held) => held.extend(send),
            None => self.outputs.extend(send),
        }
    }

    /// How a Record goes out, if it can.
    fn sending(&mut self, conn: ConnId, record: Record, merge: Option<u64>) -> Option<Output> {
        let session = self.sessions.get(conn).filter(|s| !s.closing)?;
        match session.via {
            None => Some(Output::Send { conn, record: Box::new(record), merge }),
            Some(_) => self.publish_record(conn, record, merge),
        }
    }
}
