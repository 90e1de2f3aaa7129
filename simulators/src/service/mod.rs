//! A simulated USP Service: an Agent with a small data model of its own, which registers it with a Broker.
//!
//! | under the root (`Device.X_USPBROKER-DEMO_Thermostat.` unless told otherwise) | what for |
//! |---|---|
//! | Parameters of every type, read-only, writable, write-only, value-change-ignored | Get, Set, ValueChange |
//! | `Zone.{i}.` with keys Alias and Name, and `Zone.{i}.Schedule.{i}.` | Add, Delete, GetInstances, searches |
//! | `Reset()` and `Zone.{i}.Identify()` | Commands that are done at once |
//! | `Calibrate()` (progress in `CalibrationProgress`) and `Zone.{i}.Boost()` | Commands that take time |
//! | `Alarm!` and `Zone.{i}.WindowOpened!` | Events |
//!
//! Its own `Device.LocalAgent.Subscription.` and `.Request.` tables are there for the Broker, as the standard has them.
//! Frames, paths and Messages are handled by code of its own; only the generated types of the schema are shared.
//! What it does not do: reference following, end-to-end sessions, and keeping anything over a restart.

mod commands;
mod controller;
mod core;
mod fault;
mod frame;
mod handle;
mod link;
pub mod message;
mod model;
mod path;
mod read;
mod schema;
mod state;
mod subscriptions;
mod wire;
mod write;

pub use controller::{Controller, Lost};
pub use fault::Fault;
pub use handle::{Link, Service, ServiceConfig, ServiceHandle};

#[cfg(test)]
mod tests;
