//! What is MQTT's own in the language: topics, what is published there, servers.
//!
//! Source: MQTT 5.0, section 4.7 (topic names and topic filters).

mod compile;
mod draft;
pub(crate) mod read;
pub(crate) mod site;

use std::fmt;
use std::time::Duration;

pub use self::draft::{AvailabilityDraft, MqttDraft, MqttPlaceDraft, MqttSendDraft};

use crate::mapping::BusAddress;
use crate::payload::{Pick, Put};
use crate::secret::SecretRef;

/// Where a value is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttRead {
    /// A topic filter of this model, with `~` for the topic of the device and perhaps `+`; see [`on_device`].
    pub topic: String,
    /// What the value is in the body.
    pub pick: Pick,
    /// What asks for a fresh one; `None`: the device speaks when it likes.
    pub get: Option<MqttSend>,
}

/// Where and how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttWrite {
    /// A topic name of this model, with `~` for the topic of the device.
    pub topic: String,
    /// How the body is made.
    pub put: Put,
    /// Quality of Service, 0 to 2.
    pub qos: u8,
    /// Whether the server keeps it for later subscribers.
    pub retain: bool,
}

/// A message that is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSend {
    /// A topic name of this model, with `~` for the topic of the device.
    pub topic: String,
    /// How the body is made; there is no value in it.
    pub put: Put,
}

/// How devices of a model behave on MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttOptions {
    /// Where it is said whether the device is there; all of them must say so. Empty: nobody says it.
    pub availability: Vec<MqttAvailability>,
    /// Quality of Service of subscriptions, 0 to 2.
    pub qos: u8,
    /// How long the server may take for its acknowledgement, and a device for the answer to a `get`.
    pub timeout: Duration,
}

impl Default for MqttOptions {
    fn default() -> Self {
        Self { availability: Vec::new(), qos: 0, timeout: Duration::from_secs(5) }
    }
}

/// Where it is said whether a device is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttAvailability {
    /// A topic filter of this model, as [`MqttRead::topic`].
    pub topic: String,
    /// What it is in the body.
    pub pick: Pick,
    /// The texts that say that it is there.
    pub online: Vec<String>,
    /// The texts that say that it is not; any other says nothing.
    pub offline: Vec<String>,
}

/// A topic of a model as it is for one device: with the device's own topic for `~`, which is a whole level.
pub fn on_device(topic: &str, device: &str) -> String {
    let levels: Vec<&str> = topic.split('/').map(|level| if level == "~" { device } else { level }).collect();
    levels.join("/")
}

/// Whether a topic name is among those that a filter means (MQTT 5.0, 4.7.1 and 4.7.2).
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut wanted, mut given) = (filter.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// A server of MQTT and how one gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttServer {
    /// `host:port`; a name is resolved at each connection.
    pub address: BusAddress,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretRef>,
    /// `None`: without TLS.
    pub tls: Option<MqttTls>,
    /// Client Identifier; `None`: one that is derived from the Agent's.
    pub client_id: Option<String>,
    /// Version of the protocol.
    pub version: MqttVersion,
    /// Whose devices are taken over as they come and go.
    pub adopt: Vec<Adoption>,
}

/// How a server is trusted, and who one is to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttTls {
    /// File with the certificates that are trusted; `None`: those of the system.
    pub ca: Option<String>,
    /// File with one's own certificate, and where its key is.
    pub identity: Option<(String, SecretRef)>,
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1.
    V311,
    /// 5.0.
    #[default]
    V5,
}

/// Something on a server whose devices are taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// What it is.
    pub from: AdoptedFrom,
    /// Its topic, such as Zigbee2MQTT's `base_topic`; that of [`AdoptedFrom::usual_topic`] unless the site says otherwise.
    pub topic: String,
}

/// What devices are taken over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdoptedFrom {
    /// Zigbee2MQTT.
    Zigbee2Mqtt,
    /// Tasmota's own discovery.
    Tasmota,
    /// Shelly, second generation and later.
    Shelly,
    /// The discovery messages of Home Assistant.
    HomeAssistant,
}

impl AdoptedFrom {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zigbee2Mqtt, Self::Tasmota, Self::Shelly, Self::HomeAssistant];

    /// As the site file calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zigbee2Mqtt => "zigbee2mqtt",
            Self::Tasmota => "tasmota",
            Self::Shelly => "shelly",
            Self::HomeAssistant => "homeassistant",
        }
    }

    /// Where it is found unless somebody moved it; for Shelly, whose devices have topics of their own, any.
    pub fn usual_topic(self) -> &'static str {
        match self {
            Self::Zigbee2Mqtt => "zigbee2mqtt",
            Self::Tasmota => "tasmota/discovery",
            Self::Shelly => "+",
            Self::HomeAssistant => "homeassistant",
        }
    }
}

impl fmt::Display for AdoptedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_topic_of_the_device() {
        assert_eq!(on_device("~/set", "zigbee2mqtt/plug"), "zigbee2mqtt/plug/set");
        assert_eq!(on_device("tele/~/STATE", "tasmota_1"), "tele/tasmota_1/STATE");
        assert_eq!(on_device("~", "plug"), "plug");
        assert_eq!(on_device("a~b/c", "plug"), "a~b/c", "only a whole level");
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("#", "a", true),
            ("+", "$SYS", false),
            ("#", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("+/b", "/b", true),
        ] {
            assert_eq!(filter_matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
