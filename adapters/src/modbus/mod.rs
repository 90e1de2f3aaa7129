//! Modbus: one connection per bus with several units behind it.
//!
//! [`codec`] and [`poll`] are pure, [`model`] ties them to the bus' [`Model`](crate::bus::Model); [`io`] is the only file
//! that awaits. Facts: Modbus Application Protocol V1.1b3, Modbus Messaging on TCP/IP V1.0b.

pub(crate) mod codec;
pub(crate) mod io;
pub(crate) mod model;
pub(crate) mod poll;
mod stream;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use usp_mapping::mapping::BusAddress;

use crate::bus::{Ends, supervise};

/// Serves a Modbus TCP bus until it is stopped.
pub(crate) async fn run_tcp(ends: Ends, address: BusAddress) {
    let medium = |_: &Ends| io::ModbusTcp::new(address.clone());
    supervise::supervise::<model::ModbusModel, io::ModbusTcp>(ends, medium).await;
}
