//! Where the compiled language meets the protocols: what each has in common with no other. A new protocol adds a variant
//! to each of these, and its own types in a module beside [`crate::modbus`].

use super::site::{BusAddress, SerialLine};
use crate::modbus::{ModbusOptions, ModbusPoint, ModbusWriteFunction};

/// Where a protocol finds a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadPoint {
    /// Modbus.
    Modbus(ModbusPoint),
}

/// Where a protocol puts a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WritePoint {
    /// Modbus.
    Modbus {
        /// Coil or holding registers.
        point: ModbusPoint,
        /// Which function writes it.
        function: ModbusWriteFunction,
        /// The bits outside `point.bits` are kept: read, modify, write.
        read_modify_write: bool,
    },
}

/// A protocol's options for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Modbus.
    Modbus(ModbusOptions),
}

/// A bus' protocol and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// Modbus TCP.
    ModbusTcp {
        /// `host:port`; a name is resolved at each connection.
        address: BusAddress,
    },
    /// Modbus RTU frames over TCP, as transparent serial device servers carry them.
    ModbusRtuTcp {
        /// `host:port`; a name is resolved at each connection.
        address: BusAddress,
    },
    /// Modbus RTU on a serial line.
    ModbusRtu(SerialLine),
}

/// A device's address on its bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAddress {
    /// Modbus unit identifier, 0 to 255.
    ModbusUnit(u8),
}
