//! Clients follow their rows: which run, with which settings and topics, and how they fare.

use std::collections::BTreeMap;

use usp_proto::err_code::ErrCode;

use super::plan::{ClientPlan, Plan};
use super::port::{MqttEvent, MqttFailure, MqttOrder, MqttUp};
use super::state::{Client, Stage};
use super::topics::Topics;
use crate::Broker;
use crate::agent::commands::Deed;
use crate::dm::rows::ObjRef;
use crate::fault::Fault;
use crate::output::Output;

impl Broker {
    /// Rows of `Device.MQTT.`, of MTPs or of Controllers have changed: clients and routes follow.
    pub(crate) fn sync_mqtt(&mut self) {
        let plan = self.model.mqtt_plan();
        if !plan.clients.is_empty() || !self.model.mqtt.0.is_empty() {
            self.watching(|broker| broker.follow(plan));
        }
    }

    fn follow(&mut self, plan: Plan) {
        // Whoever is told goodbye is told while the old way still works.
        self.end_routes(&plan);
        self.peers.routes = plan.routes;
        let running: Vec<u32> = self.model.mqtt.0.keys().copied().collect();
        for number in running.into_iter().filter(|n| !plan.clients.contains_key(n)) {
            self.leave_peers(number, "the MQTT client was disabled");
            self.model.mqtt.0.remove(&number);
            self.order(MqttOrder::Stop { client: number });
        }
        for (number, wanted) in plan.clients {
            self.follow_client(number, wanted);
        }
        self.open_routes();
    }

    fn follow_client(&mut self, number: u32, wanted: ClientPlan) {
        match self.model.mqtt.0.get_mut(&number) {
            Some(client) if client.plan == wanted => {}
            Some(client) if client.stage != Stage::Stopped && client.plan.settings == wanted.settings => {
                if wanted.agents.is_empty() && !client.plan.agents.is_empty() {
                    self.leave_peers(number, "no row of LocalAgent.MTP. uses this MQTT client any more");
                }
                self.amend_client(number, wanted);
            }
            _ => {
                self.leave_peers(number, "the settings of the MQTT client have changed");
                self.run_client(number, wanted);
            }
        }
    }

    fn amend_client(&mut self, number: u32, wanted: ClientPlan) {
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        client.plan = wanted;
        match client.stage {
            Stage::Up | Stage::Ready => self.order_topics(number),
            Stage::Connecting | Stage::Down(_) | Stage::Stopped => self.foretell_topics(number),
        }
    }

    /// A client subscribes again by itself to what it was subscribed to: that must not be what nobody wants any more, lest
    /// it stumbles over a topic that its server refuses.
    fn foretell_topics(&mut self, number: u32) {
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        let known = !client.topics.filters.is_empty() && client.stage != Stage::Stopped;
        let Some(topics) = Topics::of(&client.plan, &client.up).filter(|_| known) else { return };
        if client.topics.filters != topics.filters {
            client.topics = topics;
            let filters = client.topics.filters.clone();
            self.order(MqttOrder::Topics { client: number, filters });
        }
    }

    fn run_client(&mut self, number: u32, plan: ClientPlan) {
        let mut client = Client::new(plan);
        let settings = Box::new(client.plan.settings.clone());
        let order = match settings.host.is_empty() {
            true => {
                client.stage = Stage::Stopped;
                MqttOrder::Stop { client: number }
            }
            false => MqttOrder::Run { client: number, settings },
        };
        if let Some(old) = self.model.mqtt.0.remove(&number) {
            let place = |c: &Client| (c.plan.settings.host.clone(), c.plan.settings.port);
            // What one server said does not hold for another.
            let same = place(&old) == place(&client);
            (client.stats, client.topics) = (old.stats, old.topics);
            client.up = if same { old.up } else { MqttUp { maximum_qos: 2, ..MqttUp::default() } };
        }
        self.model.mqtt.0.insert(number, client);
        self.order(order);
        self.foretell_topics(number);
    }

    fn order(&mut self, order: MqttOrder) {
        self.outputs.push_back(Output::Mqtt(order));
    }

    /// Subscribes to what the rows and the server ask for, or leaves the server if that is nothing.
    fn order_topics(&mut self, number: u32) {
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        let Some(topics) = Topics::of(&client.plan, &client.up) else {
            // R-MQTT.16, TP-469 11.10
            tracing::warn!(
                client = client.plan.settings.name,
                "neither the rows nor the MQTT server name a topic to listen on: disconnecting"
            );
            self.leave_peers(number, "there is no topic to listen on");
            if let Some(client) = self.model.mqtt.0.get_mut(&number) {
                client.stage = Stage::Stopped;
            }
            return self.order(MqttOrder::Stop { client: number });
        };
        let moved = client.topics.replies != topics.replies;
        let same = client.stage == Stage::Ready && client.topics.filters == topics.filters;
        client.topics = topics;
        if moved {
            // Peers learn the new topic from a new Connect Record, once it is subscribed to.
            client.stage = Stage::Up;
        }
        if moved || !same {
            let filters = client.topics.filters.clone();
            client.stats.others_sent += 1;
            self.order(MqttOrder::Topics { client: number, filters });
        }
        if moved {
            self.suspend_peers(number, "it listens on another topic now");
        }
    }

    /// An MQTT client reports. Of one that was told to stop nothing counts any more.
    pub(crate) fn handle_mqtt(&mut self, number: u32, event: MqttEvent) {
        let known = self.model.mqtt.0.get(&number).is_some_and(|client| client.stage != Stage::Stopped);
        if !known {
            tracing::debug!(client = number, "a report of an MQTT client that is not wanted");
            return;
        }
        match event {
            MqttEvent::Up(up) => self.watching(|broker| broker.client_up(number, up)),
            MqttEvent::Subscribed { refused } => {
                self.watching(|broker| broker.client_subscribed(number, &refused))
            }
            MqttEvent::Down { status, reason } => {
                self.watching(|broker| broker.client_down(number, status, &reason))
            }
            MqttEvent::Record { record, reply_to } => self.mqtt_record(number, *record, reply_to),
            MqttEvent::BadRecord { bad, reply_to } => self.mqtt_bad_record(number, &bad, reply_to),
            MqttEvent::TooLong { to, msg_id, max } => self.mqtt_too_long(number, &to, &msg_id, max),
        }
    }

    fn client_up(&mut self, number: u32, up: MqttUp) {
        self.suspend_peers(number, "the MQTT client has connected anew");
        let now = self.model.now.known_wall();
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        client.stats.established = now;
        client.stats.others_sent += 1;
        client.stats.others_received += 1;
        client.confirmed.clear();
        client.refused.clear();
        client.stage = Stage::Up;
        // R-MQTT.9, R-MQTT.11: the identifier that the server assigned is ours from now on.
        let assigned = client.plan.settings.client_id.is_empty() && !up.client_id.is_empty();
        if assigned {
            client.plan.settings.client_id.clone_from(&up.client_id);
        }
        let id = up.client_id.clone();
        client.up = up;
        if assigned && let Some(table) = self.model.table("Device.MQTT.Client.") {
            self.put_param(&ObjRef::new(table, &[number]), "ClientID", id);
            self.commit(None);
        }
        self.order_topics(number);
    }

    fn client_subscribed(&mut self, number: u32, refused: &[(String, String)]) {
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        if !matches!(client.stage, Stage::Up | Stage::Ready) {
            return;
        }
        client.stats.others_received += 1;
        for (topic, reason) in refused {
            let name = &client.plan.settings.name;
            tracing::warn!(client = name, topic, reason, "the MQTT server refuses a subscription");
        }
        client.refused = refused.iter().map(|(topic, _)| topic.clone()).collect();
        let filters = client.topics.filters.iter();
        client.confirmed =
            filters.clone().map(|f| f.topic.clone()).filter(|t| !client.refused.contains(t)).collect();
        // R-MQTT.17: no Record is published; the client disconnects by itself (TP-469 11.11).
        if filters.clone().any(|f| f.vital && client.refused.contains(&f.topic))
            || client.confirmed.is_empty()
        {
            client.stage = Stage::Up;
            return self.suspend_peers(number, "its topic was refused");
        }
        if client.stage == Stage::Up {
            client.stage = Stage::Ready;
            self.open_routes();
            self.resume_peers(number);
        }
    }

    fn client_down(&mut self, number: u32, status: MqttFailure, reason: &str) {
        let Some(client) = self.model.mqtt.0.get_mut(&number) else { return };
        tracing::debug!(client = client.plan.settings.name, reason, "an MQTT client is not connected");
        client.stage = Stage::Down(status);
        client.confirmed.clear();
        client.stats.errors = client.stats.errors.saturating_add(1);
        self.suspend_peers(number, reason);
    }

    /// Does something that may change what Parameters of clients and MTPs read, and tells subscribers what did.
    fn watching(&mut self, act: impl FnOnce(&mut Self)) {
        let before = self.mqtt_readings();
        act(self);
        for ((at, name), value) in self.mqtt_readings() {
            if before.get(&(at.clone(), name)).is_some_and(|old| *old != value) {
                self.emit_change(&at, name);
            }
        }
    }

    fn mqtt_readings(&self) -> BTreeMap<(ObjRef, &'static str), String> {
        let mut readings = BTreeMap::new();
        for (path, name) in [
            ("Device.MQTT.Client.{i}.", "Status"),
            ("Device.MQTT.Client.{i}.", "ResponseInformation"),
            ("Device.MQTT.Client.{i}.Subscription.{i}.", "Status"),
            ("Device.LocalAgent.MTP.{i}.", "Status"),
        ] {
            let Some(table) = self.model.schema.find(path) else { continue };
            for at in self.model.rows.subtree(&[table], &[]) {
                let value = self.model.text(&at, name).unwrap_or_default();
                readings.insert((at, name), value);
            }
        }
        let mtps = self.model.schema.find("Device.LocalAgent.MTP.{i}.");
        let details = self.model.schema.find("Device.LocalAgent.MTP.{i}.MQTT.");
        for at in mtps.map_or_else(Vec::new, |mtps| self.model.rows.subtree(&[mtps], &[])) {
            let Some(at) = details.map(|object| ObjRef { object, numbers: at.numbers }) else { continue };
            if self.model.exists(&at) {
                let value = self.model.text(&at, "ResponseTopicDiscovered").unwrap_or_default();
                readings.insert((at, "ResponseTopicDiscovered"), value);
            }
        }
        readings
    }

    /// `ForceReconnect()` needs a client that runs.
    pub(crate) fn prepare_reconnect(&self, at: &ObjRef) -> Result<Deed, Fault> {
        let running =
            self.model.mqtt.0.get(&at.number()).is_some_and(|client| client.stage != Stage::Stopped);
        if running {
            return Ok(Deed::Reconnect(at.number()));
        }
        let text = format!("{} is not enabled, or cannot work with its settings", self.model.path(at));
        Err(Fault::new(ErrCode::COMMAND_FAILURE, text))
    }

    /// What the command does once it is answered.
    pub(crate) fn reconnect_client(&mut self, number: u32) {
        // R-MTP.7: the edge lets them out before it disconnects.
        for (_, conn) in self.peers.of_client(number) {
            self.say_goodbye(conn, "the MQTT client connects again");
        }
        self.order(MqttOrder::Reconnect { client: number });
    }

    /// R-MQTT.35: the process ends; whoever was to be told was told.
    pub(crate) fn stop_clients(&mut self) {
        let numbers: Vec<u32> = self.model.mqtt.0.keys().copied().collect();
        for number in numbers {
            if let Some(client) = self.model.mqtt.0.get_mut(&number) {
                client.stage = Stage::Stopped;
            }
            self.order(MqttOrder::Stop { client: number });
        }
    }
}
