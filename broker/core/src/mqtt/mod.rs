//! `Device.MQTT.Client.`: the broker as client of MQTT servers, and the peers reached through them (TR-369 4.6).
//!
//! The edge holds the network connections; which servers, which topics and which peers there are is decided here.

pub mod port;
mod seed;
