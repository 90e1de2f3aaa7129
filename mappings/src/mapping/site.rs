//! A compiled site: buses and devices.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{BusKind, DeviceAddress, Mapping};
use crate::port::DeviceId;

/// A compiled site file: every bus and device of one hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// In the order of the file.
    pub buses: Vec<Bus>,
    /// In the order of the file.
    pub devices: Vec<Device>,
}

/// One medium with one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// As the file calls it.
    pub name: String,
    /// What it is.
    pub kind: BusKind,
}

/// A serial port and how its line is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialLine {
    /// Device file, such as `/dev/serial/by-id/usb-FTDI_FT232R-if00-port0`.
    pub port: String,
    /// Bits a second.
    pub baud: u32,
    /// Parity bit of each character.
    pub parity: Parity,
    /// Data bits of each character: 7 or 8; 8 with Modbus.
    pub data_bits: u8,
    /// Stop bits of each character: 1 or 2.
    pub stop_bits: u8,
}

impl SerialLine {
    /// Bits of one character on the line: start, data, parity, stop.
    pub fn bits_per_character(&self) -> u32 {
        let parity = u32::from(self.parity != Parity::None);
        1 + u32::from(self.data_bits) + parity + u32::from(self.stop_bits)
    }
}

/// Parity of characters on a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// A network address as the site file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// A literal address.
    Socket(SocketAddr),
    /// A host name and a port.
    Host(String, u16),
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// One device of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Key in the site file.
    pub id: DeviceId,
    /// Initial `ProxiedDevice.{i}.Name`.
    pub name: String,
    /// Its model.
    pub mapping: Arc<Mapping>,
    /// Name of its bus.
    pub bus: String,
    /// Its address on the bus.
    pub address: DeviceAddress,
}
