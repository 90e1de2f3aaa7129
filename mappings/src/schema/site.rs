//! A site file.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::values::{
    Baud, HostPort, Keyed, Named, One, Scalar, SerialPort, StopBits, Text, Text64, UnitId, UseProfile,
};

/// The buses and devices of one hub, for usp-broker.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Site")]
pub(super) struct Site {
    /// Version of the language: 1.
    site: One,
    /// Each bus, by a name.
    buses: Option<Named<Bus>>,
    /// Each device, by a key that is its identity.
    devices: Option<Named<Device>>,
}

/// One medium: exactly one of `modbus_tcp`, `modbus_rtu` and `modbus_rtu_tcp`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = kinds()))]
pub(super) struct Bus {
    /// Modbus TCP: the device's or gateway's `"host:port"`; port 502 is usual.
    modbus_tcp: Option<HostPort>,
    /// Modbus RTU on a serial line: the path of the port's device file, best the one in `/dev/serial/by-id/`.
    modbus_rtu: Option<SerialPort>,
    /// Modbus RTU frames over TCP, as transparent serial device servers carry them: `"host:port"`.
    modbus_rtu_tcp: Option<HostPort>,
    /// Speed of the serial line in bits a second, 300 to 4000000.
    baud: Option<Baud>,
    /// Parity of the serial line.
    parity: Option<Parity>,
    /// Stop bits of the serial line; 1 unless told otherwise.
    stop_bits: Option<StopBits>,
}

fn kinds() -> Value {
    let set = |key: &str| json!({ "required": [key] });
    let line = json!({ "anyOf": [set("baud"), set("parity"), set("stop_bits")] });
    json!([
        { "required": ["modbus_tcp"], "not": line },
        { "required": ["modbus_rtu", "baud", "parity"] },
        { "required": ["modbus_rtu_tcp"], "not": line },
    ])
}

/// Parity of a serial line.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Parity {
    /// No parity bit.
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// One device: `use` or `file`, its bus and its address there.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [{ "required": ["use"] }, { "required": ["file"] }]))]
pub(super) struct Device {
    /// Profile, and which versions will do: `acme.meter`, `acme.meter@^1` (1.x.y), `acme.meter@=1.2.3`.
    #[schemars(rename = "use")]
    profile: Option<UseProfile>,
    /// Its mapping file, relative to the site file.
    file: Option<Text>,
    /// One of `buses`.
    bus: Text,
    /// Modbus unit identifier, 0 to 255; on a serial line 1 to 247.
    unit: UnitId,
    /// First `ProxiedDevice.{i}.Name`, at most 64 characters; the key unless told otherwise.
    name: Option<Text64>,
    /// Values for the parameters of the mapping.
    params: Option<Keyed<Scalar>>,
}
