//! A Modbus TCP server, or a slave on a serial line, made from a mapping draft: its registers show a [`World`](crate::world::World), writes to them
//! change it.
//!
//! Written from the MODBUS Application Protocol Specification V1.1b3 and the Messaging on TCP/IP Implementation Guide
//! V1.0b. Functions 1, 2, 3, 4, 5, 6, 15, 16, 22, 23 and 43/14; whatever else is asked is refused with exception 1.
//! An address that no capability uses is refused with exception 2, unless it lies between two that are used and not
//! more than the mapping's `max_gap` apart; a value that no capability can have is refused with exception 3.

pub mod command;
mod connection;
pub mod device;
pub mod draft;
pub mod encoding;
pub mod frame;
mod identity;
pub mod log;
pub mod pdu;
pub mod plant;
pub mod point;
pub(crate) mod quantities;
mod respond;
pub mod rtu;
pub mod script;
pub mod serial;
pub mod server;

pub use command::Command;
pub use device::{ModbusDevice, SetError, Shown};
pub use log::Seen;
pub use pdu::{Exception, Table};
pub use plant::{Plant, PlantBus};
pub use script::Script;
pub use serial::{LineSettings, ModbusLine};
pub use server::{ModbusHandle, ModbusServer};

#[cfg(test)]
mod tests;
