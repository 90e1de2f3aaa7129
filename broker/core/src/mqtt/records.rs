//! Records over MQTT: whose they are on the way in, and on which topic they go out (R-MQTT.22 to R-MQTT.26a).

use std::sync::Arc;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{BadRecord, Connect, Record, RecordBody};
use usp_proto::usp::{body::MsgBody, request::ReqType, response::RespType};

use super::peers::{Via, wire_version};
use super::port::MqttPublish;
use super::state::Stage;
use super::topics::is_answerable;
use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::input::{ConnId, MtpKind, Side};
use crate::output::Output;

/// Peers of another MQTT version that are remembered.
const MAX_SILENCED: usize = 64;

impl Broker {
    /// A Record came in.
    pub(crate) fn mqtt_record(&mut self, number: u32, record: Record, reply_to: Option<String>) {
        let now = self.model.now.known_wall();
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        client.stats.received += 1;
        client.stats.last_received = now;
        let reply_to = reply_to.filter(|topic| is_answerable(topic)).map(Arc::from);
        match client.stage {
            Stage::Ready => self.take_record(number, record, reply_to),
            Stage::Up => self.keep_early(number, record, reply_to),
            _ => tracing::debug!(client = number, "a Record of a client that is not connected is ignored"),
        }
    }

    pub(crate) fn take_record(&mut self, client: u32, record: Record, reply_to: Option<Arc<str>>) {
        let for_us = record.to == self.config.endpoint_id && record.from != self.config.endpoint_id;
        let has_agent = self.model.mqtt.0.get(&client).is_some_and(|c| !c.plan.agents.is_empty());
        if !for_us || !has_agent {
            // R-E2E.1
            tracing::debug!(client, from = %record.from, to = %record.to, "a Record for somebody else is ignored");
            return;
        }
        if let RecordBody::Connect(connect) = &record.body {
            return self.take_connect(client, &record.from, connect, reply_to);
        }
        if self.peers.silenced.contains(&(client, record.from.clone())) {
            return;
        }
        let (sides, opens) = sides_of(&record.body);
        for side in sides {
            let conn = match self.peers.find(client, &record.from, *side) {
                Some(conn) => Some(conn),
                None if opens => self.open_guest(client, *side, &record, reply_to.as_ref()),
                None => None,
            };
            if let Some(conn) = conn {
                self.hear(conn, *side, record.clone(), reply_to.clone());
            }
        }
    }

    fn hear(&mut self, conn: ConnId, side: Side, record: Record, reply_to: Option<Arc<str>>) {
        let used = self.peers.tick();
        if let Some(via) = self.sessions.via_mut(conn) {
            via.used = used;
            if side == Side::Agent || reply_to.is_some() {
                via.reply_to = reply_to;
            }
        }
        if let Some(service) = self.sessions.get(conn).and_then(|session| session.service) {
            self.hear_service(service);
        }
        let leaves = matches!(record.body, RecordBody::Disconnect { .. });
        self.handle_record(conn, record);
        let Some(session) = self.sessions.get(conn) else { return };
        if leaves && session.via.as_ref().is_some_and(Via::is_guest) {
            self.handle_disconnected(conn, "it has left");
        } else if let Some(service) = session.service {
            self.forget_bare_peer(service);
        }
    }

    /// A Service over MQTT is there for as long as it has something registered: there is no connection whose end would
    /// make room for others.
    pub(crate) fn forget_bare_peer(&mut self, id: ServiceId) {
        let Some(service) = self.services.get(id).filter(|service| service.registered.is_empty()) else {
            return;
        };
        let conn = service.conn;
        if service.mtp == MtpKind::Mqtt {
            self.handle_disconnected(conn, "it has nothing registered");
        }
    }

    /// An Agent's first Record: a Service that was known begins anew. R-MQTT.26a: both must speak the same MQTT.
    fn take_connect(
        &mut self,
        client: u32,
        from: &EndpointId,
        connect: &Connect,
        reply_to: Option<Arc<str>>,
    ) {
        let Some(own) = self.model.mqtt.0.get(&client).map(|c| c.plan.settings.version) else { return };
        if let Some(conn) = self.peers.find(client, from, Side::Controller) {
            self.handle_disconnected(conn, "it has connected anew");
        }
        let key = (client, from.clone());
        match connect {
            Connect::Mqtt { version, .. } if *version == wire_version(own) => {
                self.peers.silenced.remove(&key);
            }
            _ => {
                tracing::warn!(peer = %from, "a peer does not speak MQTT {} as this client does", own.name());
                if self.peers.silenced.len() < MAX_SILENCED && self.peers.silenced.insert(key) {
                    let text = format!("this Endpoint speaks MQTT {} here", own.name());
                    let own = self.config.endpoint_id.clone();
                    let record = Record::disconnect(own, from.clone(), ErrCode::INVALID_RECORD_VALUE, &text);
                    reply_to.iter().for_each(|topic| self.publish_to(client, topic, record.clone()));
                }
            }
        }
    }

    /// A Record that cannot be used, but answered (R-MTP.5).
    pub(crate) fn mqtt_bad_record(&mut self, client: u32, bad: &BadRecord, reply_to: Option<String>) {
        if bad.to != self.config.endpoint_id || bad.from == self.config.endpoint_id {
            return;
        }
        let known = self.peers.find(client, &bad.from, Side::Agent);
        known.into_iter().for_each(|conn| self.greet_anew(conn));
        let route = known.and_then(|conn| self.sessions.get(conn)?.via.as_ref()?.topic.clone());
        if let Some(topic) = reply_to.filter(|topic| is_answerable(topic)).or(route) {
            self.publish_to(client, &topic, bad.answer());
        }
    }

    /// A Record that the server will never take: a notification is not sent again, and what a Service was asked has
    /// failed.
    pub(crate) fn mqtt_too_long(&mut self, client: u32, to: &EndpointId, msg_id: &str, max: usize) {
        let controller = self.peers.find(client, to, Side::Agent);
        if let Some(controller) = controller.and_then(|conn| self.sessions.get(conn)?.controller) {
            self.drop_notice(controller, msg_id);
        }
        if let Some(service) = self.peers.find(client, to, Side::Controller) {
            let text = format!("the request is longer than the MQTT server takes ({max} bytes)");
            let error = message::error(msg_id, ErrCode::RESOURCES_EXCEEDED, &text, Vec::new());
            self.handle_service_answer(service, msg_id, error);
        }
    }

    pub(crate) fn publish_to(&mut self, client: u32, topic: &str, record: Record) {
        let order = self.publish(client, 0, topic, record, None);
        self.outputs.extend(order);
    }

    fn publish(
        &mut self,
        number: u32,
        mtp: u32,
        topic: &str,
        record: Record,
        merge: Option<u64>,
    ) -> Option<Output> {
        let now = self.model.now.known_wall();
        let client = self.model.mqtt.0.get_mut(&number)?;
        let publish = |reply_to, qos| MqttPublish {
            topic: topic.to_owned(),
            reply_to: Some(reply_to),
            qos,
            record,
            merge,
        };
        client.publish(number, mtp, topic, publish, now).map(Output::Mqtt)
    }

    /// How a Record goes to a peer over MQTT, if it can at the moment.
    pub(crate) fn publish_record(
        &mut self,
        conn: ConnId,
        record: Record,
        merge: Option<u64>,
    ) -> Option<Output> {
        let session = self.sessions.get(conn)?;
        let via = session.via.as_ref()?;
        let route = via.topic.as_deref();
        let topic = match &record.body {
            // R-MQTT.26: an answer goes where its request wanted it.
            RecordBody::Message(msg) if !message::is_request(msg) => {
                session.reply_topic(message::msg_id(msg)).or(via.reply_to.as_deref()).or(route)
            }
            _ => route.or(via.reply_to.as_deref()),
        };
        let (client, mtp, topic) = (via.client, via.mtp, topic?.to_owned());
        self.publish(client, mtp, &topic, record, merge)
    }

    /// Whether an order that waited can still be carried out.
    pub(crate) fn can_publish(&self, client: u32) -> bool {
        self.model.mqtt.0.get(&client).is_some_and(|client| client.stage == Stage::Ready)
    }
}

/// On which of our sides a Record arrives, and whether it may make a peer known.
fn sides_of(body: &RecordBody) -> (&'static [Side], bool) {
    let RecordBody::Message(msg) = body else {
        return match body {
            RecordBody::Session { .. } => (&[Side::Agent], true),
            _ => (&[Side::Agent, Side::Controller], false),
        };
    };
    match message::body(msg) {
        Some(MsgBody::Request(request)) => match &request.req_type {
            Some(ReqType::Register(_) | ReqType::Deregister(_) | ReqType::Notify(_)) => {
                (&[Side::Controller], true)
            }
            _ => (&[Side::Agent], true),
        },
        Some(MsgBody::Response(response)) => match &response.resp_type {
            Some(RespType::NotifyResp(_)) => (&[Side::Agent], false),
            _ => (&[Side::Controller], false),
        },
        Some(MsgBody::Error(_)) | None => (&[Side::Agent, Side::Controller], false),
    }
}
