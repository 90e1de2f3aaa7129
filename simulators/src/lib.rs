//! Things to talk to when the real ones are not at hand: simulated devices over a physical model that moves, a
//! simulated USP Service, and faults on demand.
//!
//! - [`world`]: quantities that move plausibly and always the same way from the same seed.
//! - [`modbus`]: a Modbus TCP server made from a mapping draft.
//! - [`coap`]: a CoAP server of OMA objects, with or without DTLS.
//! - [`ble`]: Bluetooth Low Energy devices around a fake BlueZ, on a D-Bus of its own.
//! - [`mod@line`]: devices on a serial line, over a pseudo-terminal or TCP: a smart meter, a projector, a weather station, and
//!   any that a mapping draft describes.
//! - [`mqtt`]: one end of an MQTT connection, packet by packet, to play a server or a raw client; and a small server.
//! - [`mqtt_devices`]: a Zigbee2MQTT with devices, and devices of Tasmota, Shelly and Home Assistant's discovery.
//! - [`zigbee`]: Zigbee coordinators that speak EZSP or ZNP, with devices behind a simulated radio.
//! - [`service`]: a USP Service with a small data model of its own, over UNIX domain sockets.
//! - [`mischief`]: named faults, and how many times each is to happen.
//!
//! What is deliberately absent: the broker's and the adapters' code, and of the mapping crate everything but the parsed
//! draft. Registers, advertisements, frames and paths are encoded here by code of its own, written from the documents, so that one
//! wrong constant cannot pass on both sides.

pub mod ble;
pub mod coap;
pub mod console;
mod ends;
pub mod line;
pub mod mischief;
pub mod modbus;
pub mod mqtt;
pub mod mqtt_devices;
pub mod near;
pub mod rng;
pub mod service;
pub mod timetable;
pub mod value;
pub mod world;
pub mod zigbee;
