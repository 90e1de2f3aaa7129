//! What is known of running clients at the moment, and what their Parameters read (`Device.MQTT.Client.{i}.Status` …).
//! None of it is stored: what servers do wears no flash.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::ClientPlan;
use super::port::{MqttFailure, MqttOrder, MqttPublish, MqttUp};
use super::topics::{Topics, covers};
use crate::dm::Model;
use crate::dm::compute::datetime;
use crate::dm::rows::ObjRef;
use crate::time::Wall;

/// Every client that is enabled, by the number of its row.
#[derive(Debug, Default)]
pub struct Clients(pub(crate) BTreeMap<u32, Client>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Client {
    pub plan: ClientPlan,
    pub stage: Stage,
    /// What the server said; from `Up` on.
    pub up: MqttUp,
    /// What was ordered; from `Up` on.
    pub topics: Topics,
    /// Filters that are subscribed to.
    pub confirmed: BTreeSet<String>,
    /// Filters that the server refused.
    pub refused: BTreeSet<String>,
    pub stats: Stats,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Ordered to connect.
    Connecting,
    /// Connected, and not yet subscribed.
    Up,
    /// Connected and subscribed: Records may pass (R-MQTT.17).
    Ready,
    /// Tries again by itself.
    Down(MqttFailure),
    /// Stopped until its settings change: there was no topic to listen on (R-MQTT.16).
    Stopped,
}

/// `Device.MQTT.Client.{i}.Stats.`, as far as the core takes part in it: pings and acknowledgements are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub established: Option<Wall>,
    pub last_sent: Option<Wall>,
    pub last_received: Option<Wall>,
    pub published: u64,
    pub received: u64,
    /// CONNECT and SUBSCRIBE packets.
    pub others_sent: u64,
    /// CONNACK and SUBACK packets.
    pub others_received: u64,
    pub errors: u32,
}

impl Client {
    pub(crate) fn new(plan: ClientPlan) -> Self {
        Self {
            plan,
            stage: Stage::Connecting,
            up: MqttUp::default(),
            topics: Topics::default(),
            confirmed: BTreeSet::new(),
            refused: BTreeSet::new(),
            stats: Stats::default(),
        }
    }

    /// `Status`.
    pub(crate) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Connecting | Stage::Down(MqttFailure::Lost) => "Connecting",
            Stage::Up | Stage::Ready => "Connected",
            Stage::Down(MqttFailure::Unreachable) => "Error_BrokerUnreachable",
            Stage::Down(MqttFailure::Misconfigured) | Stage::Stopped => "Error_Misconfigured",
        }
    }

    /// The order to send a Record by way of an Agent MTP, if Records may pass.
    pub(crate) fn publish(
        &mut self,
        number: u32,
        mtp: u32,
        topic: &str,
        publish: impl FnOnce(String, u8) -> MqttPublish,
        now: Option<Wall>,
    ) -> Option<MqttOrder> {
        if self.stage != Stage::Ready || topic.is_empty() {
            return None;
        }
        let agent = self.plan.agents.iter().find(|a| a.number == mtp).or(self.plan.agents.first())?;
        let reply = self.topics.replies.get(&agent.number)?;
        let publish = publish(reply.clone(), agent.qos);
        self.stats.published += 1;
        self.stats.last_sent = now;
        Some(MqttOrder::Publish { client: number, publish: Box::new(publish) })
    }

    fn subscription_status(&self, topic: &str, enabled: bool) -> &'static str {
        if !enabled || !matches!(self.stage, Stage::Up | Stage::Ready) {
            return "Unsubscribed";
        }
        if self.refused.contains(topic) {
            return "Error";
        }
        if self.confirmed.iter().any(|filter| covers(filter, topic)) { "Subscribed" } else { "Subscribing" }
    }
}

impl Stats {
    fn text(&self, name: &str) -> Option<String> {
        Some(match name {
            "BrokerConnectionEstablished" => datetime(self.established),
            "LastPublishMessageSent" => datetime(self.last_sent),
            "LastPublishMessageReceived" => datetime(self.last_received),
            "PublishSent" => self.published.to_string(),
            "PublishReceived" => self.received.to_string(),
            "MQTTMessagesSent" => (self.published + self.others_sent).to_string(),
            "MQTTMessagesReceived" => (self.received + self.others_received).to_string(),
            "ConnectionErrors" => self.errors.to_string(),
            _ => return None,
        })
    }
}

impl Model {
    /// What a Parameter of `Device.MQTT.` or of an MTP for MQTT reads that no row stores.
    pub(crate) fn compute_mqtt(&self, at: &ObjRef, path: &str, name: &str) -> Option<String> {
        let client = || self.mqtt.0.get(at.numbers.first()?);
        let text = match (path, name) {
            ("Device.MQTT.Client.{i}.", "Status") => client().map_or("Disabled", Client::status).to_owned(),
            ("Device.MQTT.Client.{i}.", "ResponseInformation") => {
                client()?.up.response_information.clone()?
            }
            ("Device.MQTT.Client.{i}.Subscription.{i}.", "Status") => {
                let enabled = self.text(at, "Enable").as_deref() == Some("true");
                let topic = self.text(at, "Topic")?;
                client().map_or("Unsubscribed", |c| c.subscription_status(&topic, enabled)).to_owned()
            }
            ("Device.MQTT.Client.{i}.Stats.", _) => {
                client().map_or_else(|| Stats::default().text(name), |c| c.stats.text(name))?
            }
            ("Device.LocalAgent.MTP.{i}.", "Status") => self.mqtt_mtp_status(at).to_owned(),
            ("Device.LocalAgent.MTP.{i}.MQTT.", "ResponseTopicDiscovered") => self.discovered_topic(at)?,
            _ => return None,
        };
        Some(text)
    }

    fn client_of_mtp(&self, number: u32) -> Option<&Client> {
        self.mqtt.0.values().find(|c| c.plan.agents.iter().any(|a| a.number == number))
    }

    fn mqtt_mtp_status(&self, at: &ObjRef) -> &'static str {
        match self.client_of_mtp(at.number()) {
            Some(client) if client.stage == Stage::Ready => "Up",
            Some(client) if client.status() == "Error_Misconfigured" => "Error",
            _ => "Down",
        }
    }

    /// The topic for answers, unless it is the configured one.
    fn discovered_topic(&self, at: &ObjRef) -> Option<String> {
        let reply = self.client_of_mtp(at.number())?.topics.replies.get(&at.number())?;
        let configured = self.text(at, "ResponseTopicConfigured").unwrap_or_default();
        let information = self.client_of_mtp(at.number())?.up.response_information.as_ref();
        (configured.is_empty() || information == Some(reply)).then(|| reply.clone())
    }
}
