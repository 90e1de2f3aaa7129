//! Zigbee coordinators on a serial port or behind TCP, with a simulated radio and devices behind it.
//!
//! A [`Coordinator`] speaks either EZSP over ASH, as those of Silicon Labs, or ZNP, as those of Texas Instruments
//! ([`Model`]). Its permanent memory outlives resets and being unplugged. [`Node`]s of a [`Kind`] are there from the start
//! or join once it is permitted; they answer ZDO and ZCL, report as they are configured, sleep, leave and come back. What goes
//! wrong has names ([`ZigbeeFault`](crate::mischief::ZigbeeFault)).
//!
//! What is not simulated: cryptography (whoever has the key hears, whoever has not hears nothing), routes over several hops,
//! fragments, and the time that a UART takes.

mod air;
mod ash;
mod bytes;
pub mod command;
mod coordinator;
mod ezsp;
mod ieee;
mod mt;
mod names;
mod network;
mod node;
mod stick;
mod zcl;
mod znp;

pub use air::Presence;
pub use coordinator::{Coordinator, Model, Place, Plan, Shown};
pub use ieee::{Ieee, NoIeee};
pub use network::Network;
pub use node::{Kind, MappedError, NoKind, Node};
