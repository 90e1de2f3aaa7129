//! The broker as its users meet it: real processes, real sockets on loopback, simulated and foreign peers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod ble;
mod coap;
mod crash;
mod demo;
mod library;
mod library_mqtt;
mod library_zigbee;
mod lifecycle;
mod mqtt;
mod mqtt_devices;
mod mqtt_home;
mod notifications;
mod python;
mod readme;
mod scan;
mod scan_mqtt;
mod schemas;
mod serial;
mod serial_lines;
mod simulate;
mod stalled;
mod things;
mod workshop;
mod wrong_input;
mod zigbee;
mod zigbee_peers;

/// The program that plays the broker or a Service in a process of its own.
const ACTOR: &str = env!("CARGO_BIN_EXE_actor");
