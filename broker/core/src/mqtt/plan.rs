//! What the rows of `Device.MQTT.` and the MTP rows ask for, read at one moment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use usp_proto::endpoint_id::EndpointId;

use super::port::{MqttSettings, MqttVersion};
use super::topics::is_topic;
use crate::dm::Model;
use crate::dm::rows::ObjRef;

/// Everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Clients that are enabled, by number.
    pub clients: BTreeMap<u32, ClientPlan>,
    /// How Controllers are reached, by the number of their row.
    pub routes: BTreeMap<u32, Route>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientPlan {
    /// For the edge.
    pub settings: MqttSettings,
    /// Whether the way to the server vouches for those who come over it.
    pub vouched: bool,
    /// Its enabled Subscription rows.
    pub subscriptions: Vec<Wanted>,
    /// Enabled rows of `LocalAgent.MTP.` that refer to it, by number.
    pub agents: Vec<Agent>,
}

/// A row of `Client.{i}.Subscription.`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub topic: String,
    pub qos: u8,
}

/// A row of `LocalAgent.MTP.` for MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub number: u32,
    /// `ResponseTopicConfigured`.
    pub configured: String,
    /// `PublishQoS`.
    pub qos: u8,
}

/// A row of `Controller.{i}.MTP.` for MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub endpoint: EndpointId,
    pub client: u32,
    /// Number of the `LocalAgent.MTP.` row.
    pub mtp: u32,
    /// Where the Controller listens.
    pub topic: String,
}

impl Model {
    /// Reads all of it.
    pub(crate) fn mqtt_plan(&self) -> Plan {
        let mut plan = Plan::default();
        let clients = self.mqtt_rows("Device.MQTT.Client.", &[]).into_iter().filter(|at| self.is_on(at));
        for at in clients {
            let client = self.client_plan(&at);
            plan.clients.insert(at.number(), client);
        }
        if plan.clients.is_empty() {
            return plan;
        }
        for controller in self.mqtt_rows("Device.LocalAgent.Controller.", &[]) {
            let route = self.route_of(&controller, &plan.clients);
            plan.routes.extend(route.map(|route| (controller.number(), route)));
        }
        plan
    }

    fn mqtt_rows(&self, table: &str, above: &[u32]) -> Vec<ObjRef> {
        let table = self.table(table);
        table.map_or_else(Vec::new, |t| self.rows.of_table(t, above).map(|(at, _)| at.clone()).collect())
    }

    fn is_on(&self, at: &ObjRef) -> bool {
        self.text(at, "Enable").as_deref() == Some("true")
    }

    fn number_of<T: std::str::FromStr + Default>(&self, at: &ObjRef, name: &str) -> T {
        self.text(at, name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn client_plan(&self, at: &ObjRef) -> ClientPlan {
        let settings = self.mqtt_settings(at);
        let insecure = self.text(at, "X_USPBROKER_Insecure").as_deref() == Some("true");
        let wanted = self.mqtt_rows("Device.MQTT.Client.{i}.Subscription.", &at.numbers);
        let wanted = wanted.into_iter().filter(|row| self.is_on(row)).map(|row| Wanted {
            topic: self.text(&row, "Topic").unwrap_or_default(),
            qos: self.number_of(&row, "QoS"),
        });
        ClientPlan {
            vouched: insecure || is_loopback(&settings.host),
            subscriptions: wanted.collect(),
            agents: self.agents_of(at),
            settings,
        }
    }

    fn mqtt_settings(&self, at: &ObjRef) -> MqttSettings {
        let text = |name: &str| self.text(at, name).unwrap_or_default();
        let is = |name: &str| text(name) == "true";
        let version = if text("ProtocolVersion") == "3.1.1" { MqttVersion::V311 } else { MqttVersion::V5 };
        // R-MQTT.8: a configured identifier; else, for 3.1.1, our Endpoint ID.
        let client_id = match (text("ClientID"), version) {
            (id, MqttVersion::V311) if id.is_empty() => self.facts.endpoint_id.clone(),
            (id, _) => id,
        };
        let clean = if version == MqttVersion::V5 { "CleanStart" } else { "CleanSession" };
        MqttSettings {
            name: text("Name"),
            host: text("BrokerAddress"),
            port: self.number_of(at, "BrokerPort"),
            version,
            client_id,
            username: text("Username"),
            // A secured Parameter reads as empty: here is the one place that needs what is stored.
            password: self.rows.param(at, "Password").unwrap_or_default().to_owned(),
            clean: is(clean),
            session_expiry: self.number_of(at, "SessionExpiryInterval"),
            keep_alive: self.number_of(at, "KeepAliveTime"),
            receive_maximum: Some(self.number_of(at, "ReceiveMaximum")).filter(|n| *n > 0),
            request_response_information: is("RequestResponseInfo"),
            request_problem_information: is("RequestProblemInfo"),
            endpoint_id: self.facts.endpoint_id.clone(),
            retry_time: self.number_of(at, "ConnectRetryTime"),
            retry_multiplier: self.number_of(at, "ConnectRetryIntervalMultiplier"),
            retry_most: self.number_of(at, "ConnectRetryMaxInterval"),
        }
    }

    fn agents_of(&self, client: &ObjRef) -> Vec<Agent> {
        let own = self.path(client);
        let agents = self.mqtt_rows("Device.LocalAgent.MTP.", &[]).into_iter().filter_map(|at| {
            let details = self.mqtt_details(&at, "Device.LocalAgent.MTP.{i}.MQTT.")?;
            (self.text(&details, "Reference")? == own.trim_end_matches('.')).then(|| Agent {
                number: at.number(),
                configured: self.text(&details, "ResponseTopicConfigured").unwrap_or_default(),
                qos: self.number_of(&details, "PublishQoS"),
            })
        });
        agents.collect()
    }

    /// The `MQTT.` object of a row that is for MQTT and enabled.
    fn mqtt_details(&self, at: &ObjRef, details: &str) -> Option<ObjRef> {
        let details = ObjRef { object: self.schema.find(details)?, numbers: at.numbers.clone() };
        (self.is_on(at) && self.exists(&details)).then_some(details)
    }

    /// R-MTP.6: how a Controller is reached over MQTT, if that is known.
    fn route_of(&self, controller: &ObjRef, clients: &BTreeMap<u32, ClientPlan>) -> Option<Route> {
        if !self.is_on(controller) {
            return None;
        }
        let rows = self.mqtt_rows("Device.LocalAgent.Controller.{i}.MTP.", &controller.numbers);
        let path = "Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.";
        let details = rows.iter().find_map(|at| self.mqtt_details(at, path))?;
        let reference = self.text(&details, "AgentMTPReference").unwrap_or_default();
        let wanted = self.locate(&reference).filter(|_| !reference.is_empty()).map(|at| at.number());
        // Without a reference any Agent MTP for MQTT will do: the first.
        let mut agents =
            clients.iter().flat_map(|(client, plan)| plan.agents.iter().map(|a| (*client, a.number)));
        let (client, mtp) = match (wanted, reference.is_empty()) {
            (Some(wanted), _) => agents.find(|(_, mtp)| *mtp == wanted)?,
            (None, true) => agents.min_by_key(|(_, mtp)| *mtp)?,
            (None, false) => return None,
        };
        let endpoint = EndpointId::parse(&self.text(controller, "EndpointID")?).ok()?;
        let topic = self.text(&details, "Topic").filter(|topic| is_topic(topic))?;
        Some(Route { endpoint, client, mtp, topic })
    }
}

/// Whether a server is on this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_known() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "LocalHost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.com", "", "::2", "mqtt.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
