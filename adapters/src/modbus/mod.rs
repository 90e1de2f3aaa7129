//! Modbus: one connection or line per bus with several units behind it.
//!
//! [`codec`] and [`poll`] are pure, [`model`] ties them to the bus' [`Model`](crate::bus::Model); [`io`] does the
//! exchanges over TCP, [`rtu`] those with RTU frames. Facts: Modbus Application Protocol V1.1b3, Modbus Messaging on TCP/IP V1.0b.

mod assembly;
pub(crate) mod codec;
pub mod explain;
pub(crate) mod io;
pub(crate) mod model;
mod plain;
pub(crate) mod poll;
mod rtu;
pub mod scan;
mod stream;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use usp_mapping::mapping::{BusAddress, SerialLine};

use crate::bus::{Ends, supervise};
use crate::serial::{CLOSED, io_words};

/// Serves a Modbus TCP bus until it is stopped.
pub(crate) async fn run_tcp(ends: Ends, address: BusAddress) {
    let medium = |_: &Ends| io::ModbusTcp::new(address.clone());
    supervise::supervise::<model::ModbusModel, io::ModbusTcp>(ends, medium).await;
}

/// Serves a bus with RTU frames over TCP until it is stopped.
pub(crate) async fn run_rtu_tcp(ends: Ends, address: BusAddress) {
    let medium = |_: &Ends| rtu::ModbusRtu::tcp(address.clone());
    supervise::supervise::<model::ModbusModel, rtu::ModbusRtu>(ends, medium).await;
}

/// Serves a serial line until it is stopped.
pub(crate) async fn run_rtu(ends: Ends, line: SerialLine) {
    let medium = |_: &Ends| rtu::ModbusRtu::serial(line.clone());
    supervise::supervise::<model::ModbusModel, rtu::ModbusRtu>(ends, medium).await;
}
