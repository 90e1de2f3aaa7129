//! Peers over MQTT. There are no connections, so each peer gets one made up here: a Controller that a row says how to
//! reach is connected while its client is subscribed; anybody else from the first Record on, for as long as there is room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{Connect, Record};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;
use usp_proto::usp_record::mqtt_connect_record::MqttVersion as WireVersion;

use super::early::EarlyRecords;
use super::plan::{Plan, Route};
use super::port::MqttVersion;
use super::state::Stage;
use crate::Broker;
use crate::fault::Fault;
use crate::input::{ConnId, Link, MtpKind, Side};
use crate::session::Session;

/// Numbers of connections over MQTT; the caller's never have this bit.
const MADE_UP: u64 = 1 << 63;
/// Peers without a route that are remembered at a time.
const MAX_GUESTS: usize = 128;

/// Everybody who is reached over MQTT.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// How Controllers are reached, by the number of their row.
    pub routes: BTreeMap<u32, Route>,
    by_key: BTreeMap<(u32, EndpointId, Side), ConnId>,
    pub early: BTreeMap<u32, EarlyRecords>,
    /// R-MQTT.26a: told that their MQTT version does not fit, and not heard until it does.
    pub silenced: BTreeSet<(u32, EndpointId)>,
    next: u64,
    clock: u64,
}

/// What makes a connection one over MQTT.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    /// Which client.
    pub client: u32,
    /// The `LocalAgent.MTP.` row in whose name is sent.
    pub mtp: u32,
    /// Where a row says that the Controller listens; `None`: there is no such row.
    pub topic: Option<String>,
    /// Where the newest Record wants its answer.
    pub reply_to: Option<Arc<str>>,
    pub used: u64,
    /// The client is not subscribed at the moment; Services stay registered meanwhile.
    away: bool,
}

impl Via {
    /// Nobody knows this Controller: it is not told of our coming and going.
    pub(crate) fn is_guest(&self) -> bool {
        self.topic.is_none()
    }
}

impl Peers {
    pub(crate) fn find(&self, client: u32, peer: &EndpointId, side: Side) -> Option<ConnId> {
        self.by_key.get(&(client, peer.clone(), side)).copied()
    }

    pub(crate) fn forget(&mut self, client: u32, peer: &EndpointId, side: Side) {
        self.by_key.remove(&(client, peer.clone(), side));
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn of_client(&self, client: u32) -> Vec<(Side, ConnId)> {
        self.by_key
            .iter()
            .filter(|((c, _, _), _)| *c == client)
            .map(|((_, _, s), conn)| (*s, *conn))
            .collect()
    }
}

impl Broker {
    /// A peer is here; gives the number of its connection unless it was turned away.
    fn open_peer(&mut self, peer: &EndpointId, side: Side, trusted: bool, via: Via) -> Option<ConnId> {
        self.peers.next += 1;
        let conn = ConnId(MADE_UP | self.peers.next);
        self.peers.by_key.insert((via.client, peer.clone(), side), conn);
        let link = Link { mtp: MtpKind::Mqtt, side, peer: peer.clone(), trusted };
        self.connect_peer(conn, link, Some(via));
        self.sessions.get(conn).is_some().then_some(conn)
    }

    /// Controllers that no row leads to any more, or in another way, are told goodbye (R-MTP.7).
    pub(crate) fn end_routes(&mut self, plan: &Plan) {
        let vouched = |client: u32| plan.clients.get(&client).is_some_and(|client| client.vouched);
        let wrong = |(conn, session): (ConnId, &Session)| {
            let via = session.via.as_ref().filter(|v| session.link.side == Side::Agent && !v.is_guest())?;
            let right = plan.routes.values().any(|route| {
                route.endpoint == session.link.peer
                    && (route.client, route.mtp) == (via.client, via.mtp)
                    && Some(&route.topic) == via.topic.as_ref()
                    && vouched(route.client) == session.link.trusted
            });
            (!right).then_some(conn)
        };
        let wrong: Vec<ConnId> = self.sessions.over_mqtt().filter_map(wrong).collect();
        for conn in wrong {
            self.say_goodbye(conn, "it is not reached in this way any more");
            self.handle_disconnected(conn, "its row has changed");
        }
    }

    /// Controllers that rows say how to reach are connected while their client is subscribed (R-MTP.6, TP-469 11.17).
    pub(crate) fn open_routes(&mut self) {
        let routes: Vec<Route> = self.peers.routes.values().cloned().collect();
        for route in routes {
            self.open_route(route);
        }
    }

    fn open_route(&mut self, route: Route) {
        if self.model.mqtt.0.get(&route.client).is_none_or(|client| client.stage != Stage::Ready) {
            return;
        }
        if let Some(conn) = self.peers.find(route.client, &route.endpoint, Side::Agent) {
            if self.sessions.get(conn).and_then(|s| s.via.as_ref()).is_some_and(|via| !via.is_guest()) {
                return;
            }
            self.handle_disconnected(conn, "it has a row now");
        }
        let via = Via {
            client: route.client,
            mtp: route.mtp,
            topic: Some(route.topic),
            reply_to: None,
            used: self.peers.tick(),
            away: false,
        };
        let trusted = self.is_vouched(route.client);
        self.open_peer(&route.endpoint, Side::Agent, trusted, via);
    }

    fn is_vouched(&self, client: u32) -> bool {
        self.model.mqtt.0.get(&client).is_some_and(|client| client.plan.vouched)
    }

    /// What an mqtt_connect Record to this peer says, if it gets one (R-MTP.6, TP-469 11.17).
    pub(crate) fn mqtt_connect(&self, conn: ConnId) -> Option<Connect> {
        let via = self.sessions.get(conn)?.via.as_ref().filter(|via| !via.is_guest())?;
        let client = self.model.mqtt.0.get(&via.client)?;
        let version = wire_version(client.plan.settings.version);
        Some(Connect::Mqtt { version, subscribed_topic: client.topics.replies.get(&via.mtp)?.clone() })
    }

    /// The client is not subscribed any more: Controllers are gone, Services are out of reach.
    pub(crate) fn suspend_peers(&mut self, client: u32, why: &str) {
        self.peers.early.remove(&client);
        for (side, conn) in self.peers.of_client(client) {
            match side {
                Side::Agent => self.handle_disconnected(conn, why),
                Side::Controller => {
                    let service = self.sessions.get(conn).and_then(|s| s.service);
                    if let Some(via) = self.sessions.via_mut(conn) {
                        via.away = true;
                    }
                    if let Some(service) = service {
                        let text = format!("Service {} is out of reach: {why}", self.services.name(service));
                        self.fail_service_legs(service, &text);
                    }
                }
            }
        }
    }

    /// The client is subscribed: Services are in reach again, and Records that came too early are looked at.
    pub(crate) fn resume_peers(&mut self, client: u32) {
        for (side, conn) in self.peers.of_client(client) {
            let was_away = self.sessions.via_mut(conn).is_some_and(|via| std::mem::take(&mut via.away));
            let service = self.sessions.get(conn).and_then(|s| s.service);
            if let (Side::Controller, true, Some(service)) = (side, was_away, service) {
                self.hear_service(service);
                self.discover(service);
                self.review_commands(service);
            }
        }
        self.take_early(client);
    }

    /// R-MTP.7: the client is about to leave its server for good.
    pub(crate) fn leave_peers(&mut self, client: u32, why: &str) {
        self.peers.early.remove(&client);
        self.peers.silenced.retain(|(c, _)| *c != client);
        for (_, conn) in self.peers.of_client(client) {
            self.say_goodbye(conn, why);
            self.handle_disconnected(conn, why);
        }
    }

    /// Whether a peer cannot be reached although it is known.
    pub(crate) fn is_away(&self, conn: ConnId) -> bool {
        self.sessions.get(conn).and_then(|s| s.via.as_ref()).is_some_and(|via| via.away)
    }

    /// Somebody without a row that leads to them. There must be a way to answer (R-MTP.5).
    pub(crate) fn open_guest(
        &mut self,
        client: u32,
        side: Side,
        record: &Record,
        reply_to: Option<&Arc<str>>,
    ) -> Option<ConnId> {
        let reply_to = reply_to?.clone();
        let trusted = self.is_vouched(client) && side == Side::Controller;
        let refusal = match side {
            Side::Controller => self.refuse_service(trusted, &record.from),
            Side::Agent if self.make_room_for_guest() => None,
            Side::Agent => {
                let text = format!("{MAX_GUESTS} peers over MQTT have open requests");
                Some(Fault::new(ErrCode::RESOURCES_EXCEEDED, text))
            }
        };
        if let Some(fault) = refusal {
            let error = message::error(message::msg_id(record.msg()?), fault.code, &fault.text, Vec::new());
            let answer = Record::message(self.config.endpoint_id.clone(), record.from.clone(), error);
            self.publish_to(client, &reply_to, answer);
            return None;
        }
        if let (Side::Controller, Some(MsgBody::Request(request))) = (side, message::body(record.msg()?))
            && let Some(ReqType::Notify(_)) = &request.req_type
        {
            self.send_back(client, record, &reply_to);
            return None;
        }
        let mtp = self.model.mqtt.0.get(&client)?.plan.agents.first()?.number;
        let used = self.peers.tick();
        let via = Via { client, mtp, topic: None, reply_to: Some(reply_to), used, away: false };
        self.open_peer(&record.from, side, trusted, via)
    }

    /// Why a Service cannot come by this way. It has no connection whose end would tell it, so it is answered.
    fn refuse_service(&self, trusted: bool, endpoint: &EndpointId) -> Option<Fault> {
        let most = self.config.limits.max_services;
        let (code, why) = match self.services.find(endpoint) {
            _ if !trusted => (
                ErrCode::PERMISSION_DENIED,
                "nothing vouches for a Service on this MQTT server (X_USPBROKER_Insecure)".to_owned(),
            ),
            Some(_) => (
                ErrCode::PERMISSION_DENIED,
                "a Service with this Endpoint ID is connected in another way".to_owned(),
            ),
            None if self.services.len() >= most => {
                (ErrCode::RESOURCES_EXCEEDED, format!("{most} Services are connected (limits.max_services)"))
            }
            None => return None,
        };
        Some(Fault::new(code, why))
    }

    /// The guest that was silent longest gives way, unless all have open requests.
    fn make_room_for_guest(&mut self) -> bool {
        let guests = self.sessions.over_mqtt().filter(|(_, s)| s.link.side == Side::Agent);
        let mut guests: Vec<(u64, ConnId, bool)> = guests
            .filter_map(|(conn, s)| {
                let via = s.via.as_ref().filter(|via| via.is_guest())?;
                Some((via.used, conn, s.is_idle()))
            })
            .collect();
        if guests.len() < MAX_GUESTS {
            return true;
        }
        guests.retain(|(_, _, idle)| *idle);
        let Some((_, oldest, _)) = guests.into_iter().min() else { return false };
        self.handle_disconnected(oldest, "others need its room");
        true
    }
}

/// As Connect Records have it.
pub(crate) fn wire_version(version: MqttVersion) -> WireVersion {
    match version {
        MqttVersion::V311 => WireVersion::V311,
        MqttVersion::V5 => WireVersion::V5,
    }
}
