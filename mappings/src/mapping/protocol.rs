//! Where the compiled language meets the protocols: what each has in common with no other. A new protocol adds a variant
//! to each of these, and its own types in a module beside [`crate::modbus`].

use super::site::{BusAddress, SerialLine};
use crate::coap::{CoapAddress, CoapEndpoint, CoapOptions, CoapRead, CoapWrite};
use crate::modbus::{ModbusOptions, ModbusPoint, ModbusWriteFunction};
use crate::mqtt::{MqttOptions, MqttRead, MqttServer, MqttWrite};
use crate::transform::RawKind;

/// A protocol that devices speak. A mapping has the one whose section it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolKind {
    /// Modbus, which a mapping without any section speaks too.
    #[default]
    Modbus,
    /// MQTT.
    Mqtt,
    /// CoAP.
    Coap,
}

impl ProtocolKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Modbus, Self::Mqtt, Self::Coap];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modbus => "Modbus",
            Self::Mqtt => "MQTT",
            Self::Coap => "CoAP",
        }
    }

    /// Its section in a mapping file.
    pub fn section(self) -> &'static str {
        match self {
            Self::Modbus => "modbus",
            Self::Mqtt => "mqtt",
            Self::Coap => "coap",
        }
    }
}

/// Where a protocol finds a raw value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadPoint {
    /// Modbus.
    Modbus(ModbusPoint),
    /// MQTT.
    Mqtt(MqttRead),
    /// CoAP.
    Coap(CoapRead),
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
    /// MQTT.
    Mqtt(MqttWrite),
    /// CoAP.
    Coap(CoapWrite),
}

/// A protocol's options for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Modbus.
    Modbus(ModbusOptions),
    /// MQTT.
    Mqtt(MqttOptions),
    /// CoAP.
    Coap(CoapOptions),
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
    /// A server of MQTT.
    Mqtt(MqttServer),
    /// CoAP over UDP.
    Coap(CoapEndpoint),
}

/// A device's address on its bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAddress {
    /// Modbus unit identifier, 0 to 255.
    ModbusUnit(u8),
    /// What `~` stands for in the topics of its mapping.
    MqttTopic(String),
    /// CoAP host, and perhaps a key.
    Coap(CoapAddress),
}

impl ReadPoint {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Modbus(point) => point.raw_kind(),
            Self::Mqtt(read) => read.pick.raw_kind(),
            Self::Coap(read) => read.pick.raw_kind(),
        }
    }

    /// The place of a Modbus device.
    pub fn modbus(&self) -> Option<&ModbusPoint> {
        match self {
            Self::Modbus(point) => Some(point),
            Self::Mqtt(_) | Self::Coap(_) => None,
        }
    }
}

impl WritePoint {
    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match self {
            Self::Modbus { point, .. } => point.raw_kind(),
            Self::Mqtt(write) => write.put.kind,
            Self::Coap(write) => write.put.kind,
        }
    }

    /// The place of a Modbus device, the function that writes it, and whether its other bits are kept.
    pub fn modbus(&self) -> Option<(&ModbusPoint, ModbusWriteFunction, bool)> {
        match self {
            Self::Modbus { point, function, read_modify_write } => {
                Some((point, *function, *read_modify_write))
            }
            Self::Mqtt(_) | Self::Coap(_) => None,
        }
    }
}

impl Protocol {
    /// The options of a Modbus device.
    pub fn modbus(&self) -> Option<&ModbusOptions> {
        match self {
            Self::Modbus(options) => Some(options),
            Self::Mqtt(_) | Self::Coap(_) => None,
        }
    }

    /// Which it is.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Modbus(_) => ProtocolKind::Modbus,
            Self::Mqtt(_) => ProtocolKind::Mqtt,
            Self::Coap(_) => ProtocolKind::Coap,
        }
    }
}

impl BusKind {
    /// The protocol that is spoken on it.
    pub fn protocol(&self) -> ProtocolKind {
        match self {
            Self::ModbusTcp { .. } | Self::ModbusRtuTcp { .. } | Self::ModbusRtu(_) => ProtocolKind::Modbus,
            Self::Mqtt(_) => ProtocolKind::Mqtt,
            Self::Coap(_) => ProtocolKind::Coap,
        }
    }

    /// Where it is, for people and logs: `modbus-tcp` and `192.168.1.20:502`.
    pub fn described(&self) -> (&'static str, String) {
        match self {
            Self::ModbusTcp { address } => ("modbus-tcp", address.to_string()),
            Self::ModbusRtuTcp { address } => ("modbus-rtu-tcp", address.to_string()),
            Self::ModbusRtu(line) => ("modbus-rtu", line.port.clone()),
            Self::Mqtt(server) => ("mqtt", server.address.to_string()),
            Self::Coap(endpoint) => {
                ("coap", endpoint.local.map_or_else(|| "any".to_owned(), |local| local.to_string()))
            }
        }
    }
}

impl DeviceAddress {
    /// The unit identifier of a Modbus device.
    pub fn unit(&self) -> Option<u8> {
        match self {
            Self::ModbusUnit(unit) => Some(*unit),
            Self::MqttTopic(_) | Self::Coap(_) => None,
        }
    }
}
