//! A mapping file.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::ble::Ble;
use super::coap::Coap;
use super::extras::{Command, Event, Node};
use super::line::Line;
use super::modbus::Modbus;
use super::mqtt::Mqtt;
use super::point::{Fingerprint, Read, Write};
use super::time::{Duration, Pauses, Period};
use super::values::{
    DeviceType, Ends, Fails, Flag, Given, Keyed, Length, Name, Named, Number, One, Own, Percent, Positive,
    Profile, Range, Scalar, Several, Text, Text256, Unit, UseProfile, Version, Word, Words, types_by_class,
};
use super::vectors::Test;
use super::whole;
use super::zigbee::Zigbee;

/// A model of device for usp-broker: its capabilities in the words of TR-181, and where its protocol keeps them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Mapping", extend("allOf" = complete()))]
pub(super) struct Mapping {
    /// Version of the language: 1.
    uspmap: One,
    /// `vendor.model`, the name that site files use.
    profile: Profile,
    /// `major.minor.patch`; a change that renames or removes a capability is a new major version.
    version: Version,
    /// Profile that this one builds upon, as site files name it: `vendor.base@^1`. Maps are merged key by key, what
    /// stands here wins, and a key without a value is removed.
    extends: Option<UseProfile>,
    /// The row of `ProxiedDevice.{i}.`.
    device: Option<Device>,
    /// What a site may say about one device. `${name}` puts it into texts and values.
    params: Option<Named<Param>>,
    /// What devices of this model can take.
    modbus: Option<Modbus>,
    /// Its devices speak MQTT, and behave like this: `mqtt: {}`.
    mqtt: Option<Mqtt>,
    /// Its devices speak CoAP, and behave like this: `coap: {}`.
    coap: Option<Coap>,
    /// Its devices are on a serial line, and speak like this: `line: {end: "\\r\\n"}`.
    line: Option<Line>,
    /// Its devices are reached over Bluetooth Low Energy, and behave like this: `ble: {}`.
    ble: Option<Ble>,
    /// Its devices speak Zigbee, and are these: `zigbee: {manufacturer: ACME, model: Plug*}`.
    zigbee: Option<Zigbee>,
    /// Name and period of each poll group: `{fast: 1s, slow: 60s}`. The first one is the default.
    poll: Option<Named<Period>>,
    /// When a device counts as offline.
    online: Option<Online>,
    /// What a scan knows devices of this model by; of several all must fit.
    fingerprint: Option<Several<Fingerprint>>,
    /// The rows of `IoTCapability.{i}.`. The key is the identity: the row keeps its number as long as the key stays.
    capabilities: Option<Named<Capability>>,
    /// Commands of the vendor: `ProxiedDevice.{i}.X_ACME_Name()`.
    commands: Option<Own<Command>>,
    /// Events of the vendor: `ProxiedDevice.{i}.X_ACME_Name!`.
    events: Option<Own<Event>>,
    /// The rows of `Node.{i}.`: parts of the device that have capabilities of their own.
    nodes: Option<Named<Node>>,
    /// What must follow from what a device holds. They run whenever the file is checked or loaded.
    tests: Option<Vec<Test>>,
}

/// A file that builds upon no other says everything itself.
fn complete() -> Value {
    let whole = json!({ "additionalProperties": { "required": ["class", "type"] } });
    let mut rules = vec![json!({
        "if": { "not": { "required": ["extends"] } },
        "then": {
            "required": ["device"],
            "anyOf": [
                { "required": ["capabilities"], "properties": { "capabilities": { "minProperties": 1 } } },
                { "required": ["nodes"] },
            ],
            "properties": { "device": { "required": ["type"] }, "capabilities": whole },
        },
    })];
    rules.extend(whole::rules());
    Value::Array(rules)
}

/// The device itself.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Device {
    /// `ProxiedDevice.{i}.Type`: a value of TR-181, or one's own as `X_VENDOR_Name`.
    #[schemars(rename = "type")]
    kind: Option<DeviceType>,
    /// `ProxiedDevice.{i}.Description`, at most 256 characters.
    description: Option<Text256>,
}

/// A parameter: exactly one of `enum`, `int`, `string` and `bool`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Param {
    /// One of these words: `[L1, L2, L3]`.
    #[schemars(rename = "enum")]
    words: Option<Words>,
    /// A whole number, both ends included: `[1, 8]`.
    int: Option<Ends>,
    /// A text of at most so many characters.
    string: Option<Length>,
    /// True or false; what is written here is the default.
    #[schemars(rename = "bool")]
    flag: Option<Flag>,
    /// Its value where the site says nothing; without one each device must say it.
    default: Option<Scalar>,
    /// Further names, each with one value for every value that the parameter may have: `{base: [0, 100]}`.
    gives: Option<Named<Given>>,
}

/// When a device counts as offline.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Online {
    /// When it goes offline.
    down: Option<Down>,
    /// `[shortest, longest]` pause between probes of an offline device; `[1s, 60s]` unless told otherwise.
    backoff: Option<Pauses>,
}

/// When a device goes offline.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Down {
    /// Exchanges without an answer in a row; 3 unless told otherwise.
    fails: Option<Fails>,
}

/// What kind of capability: the class object of the row.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum Class {
    /// A two-state actuator.
    BinaryControl,
    /// A numeric actuator; needs `unit`, `min` and `max`.
    LevelControl,
    /// An actuator with named states; needs a `map`.
    EnumControl,
    /// A two-state sensor.
    BinarySensor,
    /// A numeric sensor; needs `unit`.
    LevelSensor,
    /// Two or more numbers that share a unit, in `values`.
    MultiLevelSensor,
    /// A sensor with named states; needs a `map`.
    EnumSensor,
    /// Bytes or text, as registers hold them.
    BlobSensor,
}

/// One row of `IoTCapability.{i}.`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("allOf" = types_by_class()))]
pub(super) struct Capability {
    /// What kind of capability it is.
    class: Option<Word<Class>>,
    /// `Type`: what it is about. A value of TR-181 for the class, or one's own as `X_VENDOR_Name`.
    #[schemars(rename = "type")]
    kind: Option<Text>,
    /// `Unit`: a value of TR-181 (`kWh`, not `KWh`; `"%"`; `"-"` for none), or one's own (Level classes).
    unit: Option<Unit>,
    /// First `Name`, unique within the device, at most 64 characters; the key unless told otherwise.
    name: Option<Name>,
    /// `Description`, at most 256 characters.
    description: Option<Text256>,
    /// Where the value is; a sensor must have it.
    read: Option<Read>,
    /// Name and place of each number of a MultiLevelSensor: `{Latitude: {input: 0, as: f32}, Longitude: …}`.
    values: Option<Keyed<Read>>,
    /// Where the value goes; a control must have it. `{}` writes where it is read.
    write: Option<Write>,
    /// A poll group, `once` (at the start and after each time offline) or `on_demand` (only when somebody asks).
    poll: Option<Text>,
    /// `[least, greatest]`: a reading outside is no reading (Level classes).
    valid: Option<Range>,
    /// `MinValue`, in the unit (LevelControl). Nothing below is written.
    min: Option<Number>,
    /// `MaxValue`, in the unit (LevelControl). Nothing above is written.
    max: Option<Number>,
    /// First `StepValue`, in the unit; without it there are no step commands (LevelControl).
    step: Option<Positive>,
    /// Which step commands there are (LevelControl with `step`, EnumControl); both unless told otherwise.
    steps: Option<Word<Steps>>,
    /// A change smaller than this is no change, in the unit (Level classes).
    deadband: Option<Positive>,
    /// First `LowLevelThreshold` (LevelSensor).
    low: Option<Number>,
    /// First `HighLevelThreshold` (LevelSensor).
    high: Option<Number>,
    /// `true`: a number that only grows; a smaller one is no reading, unless it is a reset (LevelSensor).
    monotonic: Option<Flag>,
    /// First `Sensitivity`, 0 to 100, or where the device holds it (BinarySensor).
    sensitivity: Option<Window<Percent>>,
    /// First `HoldTime`: the value stays true at least this long. Or where the device holds it, in milliseconds (BinarySensor).
    hold: Option<Window<Duration>>,
    /// First `RestTime`: for this long after becoming true it does not do so again. Or where the device holds it, in
    /// milliseconds (BinarySensor).
    rest: Option<Window<Duration>>,
    /// A reading older than this is not fresh; two poll periods unless told otherwise.
    max_age: Option<Duration>,
    /// `true`: a reading that is not good is still shown.
    serve_stale: Option<Flag>,
}

/// A window of a BinarySensor.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Window<T> {
    /// Its first value: the broker applies it.
    First(T),
    /// The device holds and applies it.
    Held(Held),
}

/// Where the device holds a window.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Held {
    /// Where it is read.
    read: Option<Read>,
    /// Where it is written; without it Controllers cannot set it. `{}` writes where it is read.
    write: Option<Write>,
    /// When it is read, as of a capability; `once` unless told otherwise.
    poll: Option<Text>,
}

/// Which step commands there are.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Steps {
    /// StepUp() and StepDown().
    Both,
    /// StepUp() alone.
    Up,
    /// StepDown() alone.
    Down,
    /// None.
    None,
}
