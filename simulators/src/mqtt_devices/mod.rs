//! Things on an MQTT server, as their public documents describe them: a Zigbee2MQTT with devices that join and leave, a
//! Tasmota switch, a Shelly plug of the second generation, a device that Home Assistant would discover, and whatever a mapping
//! describes.
//!
//! Each is a [`Thing`]: what it says when it connects, when it hears something, and as time goes by. [`run()`] connects one
//! to a server, any that speaks MQTT, with [`MqttFault`](crate::mischief::MqttFault)s on demand.

mod home_assistant;
mod mapped;
mod run;
mod shelly;
mod tasmota;
mod zigbee2mqtt;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

use crate::near::hint;

pub use home_assistant::HomeAssistantDevice;
pub use mapped::{MappedError, MappedThing};
pub use run::{ThingHandle, run};
pub use shelly::ShellyPlug;
pub use tasmota::TasmotaSwitch;
pub use zigbee2mqtt::{Zigbee2Mqtt, ZigbeeDevice, ZigbeeModel};

/// Something that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where.
    pub topic: String,
    /// What.
    pub body: Vec<u8>,
    /// Whether the server keeps it.
    pub retain: bool,
}

impl Said {
    /// Said once.
    pub fn new(topic: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), body: body.into(), retain: false }
    }

    /// Said once, as JSON.
    pub fn json(topic: impl Into<String>, body: &Value) -> Self {
        Self::new(topic, body.to_string())
    }

    /// Kept by the server.
    pub fn kept(self) -> Self {
        Self { retain: true, ..self }
    }
}

/// Why a thing cannot be told something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThingError {
    /// It has nothing of that name.
    #[error("there is nothing called {0:?}; there are: {1}{meant}", meant = hint(.0, .1))]
    Unknown(String, String),
    /// A value of the wrong kind, or out of bounds.
    #[error("{0:?} is no value for {1}")]
    BadValue(String, String),
}

/// A thing with a connection of its own.
pub trait Thing: Send + 'static {
    /// Its Client Identifier.
    fn client_id(&self) -> String;
    /// What the server says when the connection breaks.
    fn will(&self) -> Option<Said>;
    /// What it listens to.
    fn filters(&self) -> Vec<String>;
    /// What it says first.
    fn greet(&mut self) -> Vec<Said>;
    /// What it says to something that it hears. Without `obeys` nothing is done that it is told.
    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said>;
    /// What it says as time goes by.
    fn step(&mut self, time: Duration) -> Vec<Said>;
    /// What it says when somebody changes it from outside: `plug.state`, `ON`. Words are JSON, or else texts.
    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError>;
    /// Its values, by name.
    fn show(&self) -> Vec<(String, String)>;
    /// As after a power failure.
    fn reset(&mut self);
    /// Topics that it says its state on.
    fn state_topics(&self) -> Vec<String>;
}

/// A word as JSON where it is, else as a text.
fn word(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
