//! The section `zigbee`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::point::ZigbeeFields;
use super::time::{Duration, Period};
use super::values::{Anything, Code16, Endpoint, Flag, NameOrNumber, Several, Text, ZclType};

/// Devices of Zigbee, and how they behave.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Zigbee {
    /// ManufacturerName that they say, or a list; `*` at the end stands for anything. Any unless told otherwise.
    manufacturer: Option<Several<Text>>,
    /// ModelIdentifier that they say, or a list; `*` at the end stands for anything.
    model: Option<Several<Text>>,
    /// Endpoint of points that have none of their own; 1 unless told otherwise.
    endpoint: Option<Endpoint>,
    /// `true`: they sleep, and what is sent waits until they ask for it.
    sleepy: Option<Flag>,
    /// How often they are heard at least; at each longest interval of their reports unless told otherwise.
    checkin: Option<Period>,
    /// How long a write may wait; `3s`, for those that sleep `1h`.
    ttl: Option<Duration>,
    /// How long an answer may take; `3s`, for those that sleep `10s`.
    timeout: Option<Period>,
    /// `false`: IAS zones are not enrolled.
    enroll: Option<Flag>,
    /// What is sent each time that a device has joined.
    setup: Option<Vec<SetupStep>>,
}

/// What is sent after a device has joined.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SetupStep {
    /// Endpoint of the device.
    endpoint: Option<Endpoint>,
    /// Name or number of the cluster.
    cluster: NameOrNumber,
    /// Name or number of the attribute that is written.
    attribute: Option<NameOrNumber>,
    /// The command that is sent.
    command: Option<NameOrNumber>,
    /// What stands in its fields.
    fields: Option<ZigbeeFields>,
    /// Manufacturer's code that goes with it.
    manufacturer_code: Option<Code16>,
    /// Type of the attribute.
    #[schemars(rename = "as")]
    kind: Option<ZclType>,
    /// What the attribute is set to.
    value: Option<Anything>,
}
