//! Nodes, commands and events.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::mapping::Capability;
use super::point::{Read, Step};
use super::time::Period;
use super::values::{
    DeviceType, Ends, Flag, Keyed, Length, Named, On, Own, Range, Scalar, Text, Text256, Words,
};

/// One row of `Node.{i}.`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Node {
    /// `Type`: a value of TR-181, or one's own as `X_VENDOR_Name`.
    #[schemars(rename = "type")]
    kind: Option<DeviceType>,
    /// `Description`, at most 256 characters.
    description: Option<Text256>,
    /// The rows of its `IoTCapability.{i}.`.
    capabilities: Option<Named<Capability>>,
    /// Commands of the vendor.
    commands: Option<Own<Command>>,
    /// Events of the vendor.
    events: Option<Own<Event>>,
}

/// A command of the vendor.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Command {
    /// What it does, for people.
    description: Option<Text256>,
    /// Its input arguments: `{Minutes: {int: [0, 240]}}`.
    args: Option<Keyed<Arg>>,
    /// What is written, in this order, as one unit.
    send: Option<Vec<Step>>,
    /// A command that could not be begun within this time is dropped; `5s` unless told otherwise.
    ttl: Option<Period>,
}

/// An argument of a command: exactly one of `enum`, `int`, `string`, `bool` and `number`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Arg {
    /// One of these words.
    #[schemars(rename = "enum")]
    words: Option<Words>,
    /// A whole number, both ends included.
    int: Option<Ends>,
    /// A text of at most so many characters.
    string: Option<Length>,
    /// True or false; what is written here is the default.
    #[schemars(rename = "bool")]
    flag: Option<Flag>,
    /// A number, both ends included.
    number: Option<Range>,
    /// Its value where it is not given; without one it is mandatory.
    default: Option<Scalar>,
}

/// An event of the vendor.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Event {
    /// What it tells, for people.
    description: Option<Text256>,
    /// What it is seen by.
    read: Option<Read>,
    /// When it happens: the reading becomes `true` or `false`, `change`s at all, or becomes one of a list.
    on: Option<On>,
    /// `true`: each message is an occurrence, be it the same again (MQTT, CoAP).
    repeat: Option<Flag>,
    /// A poll group; the first one unless told otherwise.
    poll: Option<Text>,
    /// What it carries: name of the argument, and the capability whose reading is shown there.
    args: Option<Keyed<Text>>,
}
