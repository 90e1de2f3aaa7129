//! Everything of usp-broker that touches the world except devices: transports, store, configuration, command line.
//!
//! What decides anything is in `usp-core`; here are tasks that carry bytes to it and orders from it. [`app::App`] wires
//! them together, [`cli`] is what a shell sees.

pub mod app;
pub mod cli;
pub mod client;
mod clock;
pub mod config;
mod driver;
mod figures;
mod metrics;
mod mqtt;
mod mtp;
mod panics;
mod site;
mod sites;
pub mod store;
pub mod telemetry;
mod watch;

pub use driver::Exit;
