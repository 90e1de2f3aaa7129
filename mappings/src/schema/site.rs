//! A site file.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::values::{
    Adopt, AnyBaud, Channel, DataBits, Flag, HostPort, Ieee, Keyed, Mac, Name, Named, One, PanId, Radio,
    Scalar, Secret, SerialPort, Slots, StopBits, Text, Tls, UnitId, UseProfile,
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

/// One medium: exactly one of `modbus_tcp`, `modbus_rtu`, `modbus_rtu_tcp`, `mqtt`, `coap`, `serial_line`,
/// `serial_line_tcp`, `ble`, `zigbee` and `zigbee_tcp`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = kinds(), "dependencies" = { "password": ["user"] }))]
pub(super) struct Bus {
    /// Modbus TCP: the device's or gateway's `"host:port"`; port 502 is usual.
    modbus_tcp: Option<HostPort>,
    /// Modbus RTU on a serial line: the path of the port's device file, best the one in `/dev/serial/by-id/`.
    modbus_rtu: Option<SerialPort>,
    /// Modbus RTU frames over TCP, as transparent serial device servers carry them: `"host:port"`.
    modbus_rtu_tcp: Option<HostPort>,
    /// Speed of the serial line in bits a second, 300 to 4000000 (from 50 on with `serial_line`).
    baud: Option<AnyBaud>,
    /// Parity of the serial line.
    parity: Option<Parity>,
    /// Data bits of the serial line (`serial_line` only); 8 unless told otherwise.
    data_bits: Option<DataBits>,
    /// Stop bits of the serial line; 1 unless told otherwise.
    stop_bits: Option<StopBits>,
    /// A server of MQTT: `"host:port"`; port 1883 is usual, 8883 with TLS.
    mqtt: Option<HostPort>,
    /// Name to log in with there.
    user: Option<Text>,
    /// Where the password is: `file:PATH` or `env:NAME`.
    password: Option<Secret>,
    /// `true`: with TLS; or `{ca: …, cert: …, key: …}`.
    tls: Option<Tls>,
    /// Client Identifier; one that is derived from the Agent's unless told otherwise.
    client_id: Option<Text>,
    /// Version of MQTT; `"5.0"` unless told otherwise.
    version: Option<Version>,
    /// Whose devices appear by themselves: `[zigbee2mqtt, tasmota, shelly, homeassistant]`, or `{zigbee2mqtt: topic}`;
    /// with a Zigbee coordinator `true` for all of its devices.
    adopt: Option<Adopting>,
    /// CoAP over UDP: `any`, or our own address towards the devices.
    coap: Option<Text>,
    /// A serial line with devices whose mapping says how they speak: the path of the port's device file, best the one in
    /// `/dev/serial/by-id/`.
    serial_line: Option<SerialPort>,
    /// The same behind a serial device server that passes bytes on as they are: `"host:port"`.
    serial_line_tcp: Option<HostPort>,
    /// A radio for Bluetooth: the name that BlueZ gives it, such as `hci0`, or its address.
    ble: Option<Radio>,
    /// How many connections it has at a time; 3 unless told otherwise.
    slots: Option<Slots>,
    /// A Zigbee coordinator: the path of its port's device file, best the one in `/dev/serial/by-id/`.
    zigbee: Option<SerialPort>,
    /// The same behind a network: `"host:port"`; port 6638 is usual.
    zigbee_tcp: Option<HostPort>,
    /// What the coordinator speaks.
    ncp: Option<Ncp>,
    /// Flow control of its port; none unless told otherwise.
    flow: Option<Flow>,
    /// Channel of a network that is formed, 11 to 26; 15 unless told otherwise.
    channel: Option<Channel>,
    /// PAN ID of a network that is formed; a random one unless told otherwise.
    pan_id: Option<PanId>,
    /// Where the key of a network that is formed is: `file:PATH` or `env:NAME`; a random one unless told otherwise.
    network_key: Option<Secret>,
}

fn kinds() -> Value {
    let set = |key: &str| json!({ "required": [key] });
    let line = json!({ "anyOf": [set("baud"), set("parity"), set("data_bits"), set("stop_bits")] });
    json!([
        { "required": ["modbus_tcp"], "not": line },
        { "required": ["modbus_rtu", "baud", "parity"], "not": set("data_bits") },
        { "required": ["modbus_rtu_tcp"], "not": line },
        { "required": ["mqtt"], "not": line, "properties": { "adopt": { "type": ["array", "object"] } } },
        { "required": ["coap"], "not": line },
        { "required": ["serial_line"] },
        { "required": ["serial_line_tcp"], "not": line },
        { "required": ["ble"], "not": line },
        { "required": ["zigbee"], "properties": { "adopt": { "type": "boolean" } } },
        { "required": ["zigbee_tcp"], "not": line, "properties": { "adopt": { "type": "boolean" } } },
    ])
}

/// What a coordinator speaks.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Ncp {
    /// Silicon Labs EZSP over ASH.
    Ezsp,
    /// Texas Instruments Z-Stack ZNP.
    Znp,
}

/// Flow control.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Flow {
    /// None.
    None,
    /// RTS and CTS.
    Hardware,
    /// XON and XOFF.
    Software,
}

/// Whose devices appear by themselves.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Adopting {
    /// Those of these programs.
    Some(Adopt),
    /// All, or none.
    All(Flag),
}

/// Version of MQTT.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum Version {
    /// 3.1.1.
    #[schemars(rename = "3.1.1")]
    V311,
    /// 5.0.
    #[schemars(rename = "5.0")]
    V5,
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

/// A pre-shared key.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Psk {
    /// The name that the key is known by to the device.
    identity: Text,
    /// Where it is: `file:PATH` or `env:NAME`.
    key: Secret,
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
    unit: Option<UnitId>,
    /// What `~` stands for in the topics of its mapping (MQTT), such as `zigbee2mqtt/plug`.
    topic: Option<Text>,
    /// Where it is (CoAP): `"192.168.1.7"`, `"lamp.lan:5683"`.
    host: Option<Text>,
    /// The key that DTLS is spoken with (CoAP).
    psk: Option<Psk>,
    /// Its address (Bluetooth): `"A4:C1:38:11:22:33"`.
    mac: Option<Mac>,
    /// Where the key is that its advertisements are encrypted with (BTHome), 32 hexadecimal digits: `file:PATH` or `env:NAME`.
    key: Option<Secret>,
    /// Where its passkey is (Bluetooth, with `pair: passkey`): `file:PATH` or `env:NAME`.
    passkey: Option<Secret>,
    /// Its IEEE address (Zigbee), such as `"0x00158d0001a2b3c4"`.
    ieee: Option<Ieee>,
    /// First `ProxiedDevice.{i}.Name`, at most 64 characters; the key unless told otherwise.
    name: Option<Name>,
    /// Values for the parameters of the mapping.
    params: Option<Keyed<Scalar>>,
}
