//! The mapping language of usp-broker: how a device that knows nothing of USP appears in the data model.
//!
//! A *mapping file* describes a model: its capabilities in the terms of TR-181 and where its protocol keeps them. A
//! *site file* names the buses and devices of one hub. Reading goes text → [`draft`] (typed, with places) →
//! [`mapping`] (compiled, with defaults, nothing left that can be wrong); each step reports all problems as
//! [`diagnostic`]s. [`port`], [`value`] and [`transform`] are what the core and the adapters have in common.
//!
//! Nothing here opens a file, knows a clock or talks to a device. The reference of the language is `README.md` beside
//! this crate's manifest.

pub mod adopt;
mod base64;
pub mod ble;
pub mod check;
mod coap;
mod code;
pub mod compile;
pub mod diagnostic;
pub mod draft;
mod expand;
mod fix;
pub mod import;
pub mod library;
pub mod line;
pub mod mapping;
mod modbus;
mod mqtt;
pub mod oma;
pub mod payload;
pub mod port;
mod read;
pub mod schema;
mod secret;
pub mod site;
mod tr181;
pub mod transform;
pub mod value;
mod words;
mod yaml;
pub mod zigbee;
