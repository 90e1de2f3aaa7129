//! `tests`: what is in the device, and what must follow.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::point::ZigbeeFields;
use super::values::{
    Anything, BitCells, Cells, Code16, HexBytes, Keyed, LineReplies, LineSaid, NameOrNumber, Said, Scalar,
    Several, Strength, Text, ZclType,
};

/// What must follow from what a device holds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Test {
    /// Input registers: address, and one value or a list from there on.
    input: Option<Cells>,
    /// Holding registers: address, and one value or a list from there on.
    holding: Option<Cells>,
    /// Coils: address, and 0 or 1 or a list from there on.
    coil: Option<BitCells>,
    /// Discrete inputs: address, and 0 or 1 or a list from there on.
    discrete: Option<BitCells>,
    /// What the device says: topics and bodies, the newest last; a map or list is JSON, `{hex: …}` bytes (MQTT).
    messages: Option<Said>,
    /// What the device holds: paths and bodies (CoAP).
    resources: Option<Said>,
    /// What the device says unasked, byte for byte (serial lines).
    heard: Option<Several<LineSaid>>,
    /// What the device says to each request, byte for byte (serial lines).
    replies: Option<LineReplies>,
    /// What the device advertises: `{service_data: {fcd2: "40 02 ca 09"}, rssi: -60}` (Bluetooth).
    adverts: Option<Several<Advert>>,
    /// What its characteristics hold or tell: `{"2a19": "64"}` (Bluetooth).
    chars: Option<Said>,
    /// What the device holds or reports: `1/on_off/on_off`, and a value (Zigbee).
    attributes: Option<Keyed<Anything>>,
    /// Frames that the device sends, in hexadecimal: `1/on_off` (Zigbee).
    frames: Option<Several<Keyed<Anything>>>,
    /// Parameters of the device that the test is about; their defaults unless told otherwise.
    params: Option<Keyed<Scalar>>,
    /// What the device held at the reading before (`fires`).
    before: Option<Holds>,
    /// Capability and the value that it reads, as USP writes it.
    expect: Option<Keyed<Expected>>,
    /// Capabilities that have no valid reading.
    invalid: Option<Vec<Text>>,
    /// Events that happen between `before` and now.
    fires: Option<Vec<Text>>,
    /// Capability and the value that is set.
    write: Option<Keyed<Scalar>>,
    /// Command and its arguments.
    command: Option<Keyed<Keyed<Scalar>>>,
    /// What `write` and `command` put into the device, nothing more and nothing less.
    sends: Option<Sent>,
    /// Capability and a value that it does not take.
    refuses: Option<Keyed<Scalar>>,
}

/// What a device advertises.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Advert")]
pub(super) struct Advert {
    /// Services and their data, in hexadecimal.
    service_data: Option<Keyed<HexBytes>>,
    /// Company identifiers and their data, in hexadecimal.
    manufacturer: Option<Keyed<HexBytes>>,
    /// How strongly it is heard, in dBm.
    rssi: Option<Strength>,
}

/// A value, or the values of a MultiLevelSensor.
pub(super) type Expected = Scalar;

/// What a device holds.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Holds {
    /// Input registers.
    input: Option<Cells>,
    /// Holding registers.
    holding: Option<Cells>,
    /// Coils.
    coil: Option<BitCells>,
    /// Discrete inputs.
    discrete: Option<BitCells>,
    /// Topics and bodies.
    messages: Option<Said>,
    /// Paths and bodies.
    resources: Option<Said>,
    /// What the device says unasked.
    heard: Option<Several<LineSaid>>,
    /// Requests and what the device says to them.
    replies: Option<LineReplies>,
    /// What the device advertises.
    adverts: Option<Several<Advert>>,
    /// What its characteristics hold or tell.
    chars: Option<Said>,
    /// Attributes and their values.
    attributes: Option<Keyed<Anything>>,
    /// Frames that the device sends.
    frames: Option<Several<Keyed<Anything>>>,
}

/// What is sent to a device: registers and coils, or topics or paths and bodies.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Sent {
    /// Registers and coils.
    Cells(Sends),
    /// Frames of clusters.
    Frames(Keyed<ZigbeeSent>),
    /// Topics or paths and bodies.
    Messages(Said),
    /// Requests, byte for byte.
    Requests(Several<LineSaid>),
}

/// A frame in hexadecimal, or what it says.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum ZigbeeSent {
    /// What it says.
    Told(ZigbeeTold),
    /// In hexadecimal.
    Hex(Text),
}

/// What a frame says.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ZigbeeTold {
    /// The command.
    command: Option<NameOrNumber>,
    /// Its fields.
    fields: Option<ZigbeeFields>,
    /// The attribute that is written.
    attribute: Option<NameOrNumber>,
    /// Its type.
    #[schemars(rename = "as")]
    kind: Option<ZclType>,
    /// Its value.
    value: Option<Anything>,
    /// Manufacturer's code.
    manufacturer_code: Option<Code16>,
}

/// What is sent to a device.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Sends {
    /// Holding registers.
    holding: Option<Cells>,
    /// Coils.
    coil: Option<BitCells>,
}
