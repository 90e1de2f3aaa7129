//! A mapping file.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::point::{Encoding, Fingerprint, Get, Order, Read, Step, Write, ZigbeeFields};
use super::site::Parity;
use super::values::{
    AnyBaud, Anything, BitCells, Bits, Block, Cells, Checksums, Code16, Company, Connections, Count,
    DataBits, DeviceType, Duration, Endpoint, Ends, Fails, Flag, Gap, Given, HexBytes, Identifiers, Keyed,
    Length, LineReplies, LineSaid, LineText, MaxBits, MaxFrame, NameOrNumber, Named, Number, Offset, On, One,
    Own, Pauses, Percent, PointerText, Positive, Profile, Qos, Range, RawOrState, Registers, Said, Scalar,
    Several, Starts, StopBits, Strength, Text, Text64, Text256, Topic, Unit, Uuid, ValueSize, Version, Word,
    Words, ZclType, types_by_class,
};

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
    extends: Option<Text>,
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
    poll: Option<Named<Duration>>,
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
    json!([{
        "if": { "not": { "required": ["extends"] } },
        "then": {
            "required": ["device"],
            "anyOf": [{ "required": ["capabilities"] }, { "required": ["nodes"] }],
            "properties": { "device": { "required": ["type"] }, "capabilities": whole },
        },
    }])
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

/// What devices of this model can take.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Modbus {
    /// Byte and word order of points that have none of their own; `ABCD` unless told otherwise.
    order: Option<Word<Order>>,
    /// Most registers in one read, 1 to 125: one number, or `{holding: 32, input: 64}`.
    max_registers: Option<PerTable<Registers>>,
    /// Most coils or discrete inputs in one read, 1 to 2000: one number, or `{coil: 16, discrete: 32}`.
    max_bits: Option<PerTable<MaxBits>>,
    /// Unwanted registers or bits that may be read along to save a request: one number, or one for each table.
    max_gap: Option<PerTable<Gap>>,
    /// `true`: the device knows function 22, and some bits of a register are written with it.
    mask_write: Option<Flag>,
    /// Most connections at a time (Modbus TCP).
    max_connections: Option<Connections>,
    /// Pause between an answer and the next request to the device; `0ms` unless told otherwise.
    guard: Option<Duration>,
    /// Pause after an answer before anybody on the line is asked; `0ms` unless told otherwise.
    turnaround: Option<Duration>,
    /// Least time from one write to the device to the next, whatever they write, commands included; `0ms` unless told
    /// otherwise.
    write_rate: Option<Duration>,
    /// How long one exchange may take; `1s` unless told otherwise.
    timeout: Option<Duration>,
}

/// How devices of this model behave on MQTT.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Mqtt {
    /// Where it is said whether the device is there; of several all must say so.
    availability: Option<Several<Availability>>,
    /// What asks for fresh values, of points that say nothing else.
    get: Option<Get>,
    /// Quality of Service; 0 unless told otherwise.
    qos: Option<Qos>,
    /// How long the server may take for its acknowledgement, and the device for an answer; `5s` unless told otherwise.
    timeout: Option<Duration>,
}

/// Where it is said whether a device is there.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Availability {
    /// Topic, with `~` for what the site calls the device.
    topic: Option<Topic>,
    /// What says that it is there; `online` unless told otherwise.
    online: Option<RawOrState>,
    /// What says that it is not; `offline` unless told otherwise.
    offline: Option<RawOrState>,
    /// JSON Pointer to the word.
    json: Option<PointerText>,
    /// JSON Pointer to the word in a CBOR body.
    cbor: Option<PointerText>,
    /// Name of the SenML record.
    senml: Option<Text>,
    /// Resource of an LwM2M TLV body.
    tlv: Option<Identifiers>,
    /// Place of the first byte, from 0.
    bytes: Option<Offset>,
    /// Of what type it is, with `tlv` and `bytes`.
    #[schemars(rename = "as")]
    encoding: Option<Word<Encoding>>,
    /// How many bytes, with `bytes`.
    length: Option<Length>,
    /// Order of `bytes`.
    order: Option<Word<Order>>,
    /// Some bits of `bytes`.
    bits: Option<Bits>,
}

/// How devices of this model behave on CoAP.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Coap {
    /// How long one exchange may take, retransmissions included; `5s` unless told otherwise.
    timeout: Option<Duration>,
    /// `false`: requests are not confirmable messages.
    confirmable: Option<Flag>,
    /// Largest block of a body; 1024 unless told otherwise.
    block: Option<Block>,
    /// How long a device that is observed may say nothing before it is asked whether it is there; `5m` unless told otherwise.
    silence: Option<Duration>,
}

/// How devices of this model behave on Bluetooth.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Ble {
    /// How long one exchange may take, a connection three times as long; `5s` unless told otherwise.
    timeout: Option<Duration>,
    /// When the device is connected; `on_demand` unless told otherwise.
    connect: Option<Word<Connect>>,
    /// A connection that was not used for so long is given up; `10s` unless told otherwise.
    idle: Option<Duration>,
    /// How often the device is heard: silent for four times as long it is offline.
    every: Option<Duration>,
    /// What has to be between the device and the hub; `none` unless told otherwise.
    pair: Option<Word<Pair>>,
    /// What a scan knows devices of this model by.
    #[schemars(rename = "match")]
    known_by: Option<Match>,
}

/// When a device is connected.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum Connect {
    /// When something is to be read or written, and until it was idle.
    OnDemand,
    /// Always.
    Keep,
    /// Never: it only advertises.
    Never,
}

/// What has to be between a device and the hub.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub(super) enum Pair {
    /// Nothing.
    None,
    /// A bond that nobody confirms.
    JustWorks,
    /// A bond for which the device's passkey is needed.
    Passkey,
}

/// What a scan knows devices of a model by; all of it must fit.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Match {
    /// They advertise data of this service.
    service_data: Option<Uuid>,
    /// They advertise this service.
    service: Option<Uuid>,
    /// They advertise data of this manufacturer.
    manufacturer: Option<Company>,
    /// How their name begins.
    name: Option<Text>,
    /// How the data that they advertise begins.
    starts: Option<Starts>,
    /// How many bytes it has.
    size: Option<ValueSize>,
}

/// How devices of this model speak on a serial line.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Line {
    /// What a frame begins with; with anything unless told otherwise.
    start: Option<LineText>,
    /// What a frame ends with, or a list of which any will do.
    end: Option<Several<LineText>>,
    /// How many bytes a frame has, or where it says so.
    length: Option<FrameLength>,
    /// How long a silence is that ends a frame.
    gap: Option<Duration>,
    /// What shows that a frame is whole; nothing unless told otherwise.
    checksum: Option<Checksum>,
    /// Most bytes of a frame; 4096 unless told otherwise.
    max: Option<MaxFrame>,
    /// What goes around a request; the same as around a frame unless told otherwise.
    request: Option<Request>,
    /// What the device says to a write, with `$value` and `$any`; nothing unless told otherwise.
    ack: Option<LineText>,
    /// What the device says when it refuses something.
    refusal: Option<Several<LineText>>,
    /// `true`: each request comes back before it is answered.
    echo: Option<Flag>,
    /// What is sent as it is each time that the line was opened.
    open: Option<Several<LineText>>,
    /// How often the device says something by itself: silent for three times as long it is offline.
    every: Option<Duration>,
    /// How long an answer may take; `1s` unless told otherwise.
    timeout: Option<Duration>,
    /// Pause between an answer and the next request; none unless told otherwise.
    pause: Option<Duration>,
    /// Speed that devices of this model are set to, in bits a second.
    baud: Option<AnyBaud>,
    /// Parity that they are set to; `none` unless told otherwise.
    parity: Option<Parity>,
    /// Data bits that they are set to; 8 unless told otherwise.
    data_bits: Option<DataBits>,
    /// Stop bits that they are set to; 1 unless told otherwise.
    stop_bits: Option<StopBits>,
}

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
    checkin: Option<Duration>,
    /// How long a write may wait; `3s`, for those that sleep `1h`.
    ttl: Option<Duration>,
    /// How long an answer may take; `3s`, for those that sleep `10s`.
    timeout: Option<Duration>,
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

/// What goes around a request.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Request {
    /// What it begins with.
    start: Option<LineText>,
    /// What it ends with.
    end: Option<LineText>,
    /// Its checksum.
    checksum: Option<Checksum>,
}

/// How many bytes a frame has.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum FrameLength {
    /// As many as it says.
    Said(SaidLength),
    /// Always so many.
    Fixed(MaxFrame),
}

/// Where a frame says how long it is.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct SaidLength {
    /// Place of the length in it, from 0.
    at: Count,
    /// `u8` or `u16`; `u8` unless told otherwise.
    #[schemars(rename = "as")]
    width: Option<Text>,
    /// Order of the bytes of an `u16`: `big` or `little`.
    order: Option<Text>,
    /// Bytes that it does not count.
    plus: Option<Count>,
}

/// A checksum: which, or also where and how it stands.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Checksum {
    /// With where and how.
    Placed(PlacedChecksum),
    /// Which.
    Kind(Checksums),
}

/// Where and how a checksum stands.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct PlacedChecksum {
    /// Which.
    kind: Checksums,
    /// `bytes` or `hex`; `bytes` unless told otherwise.
    #[schemars(rename = "as")]
    form: Option<Text>,
    /// Order of its bytes: `big` or `little`; `big` unless told otherwise.
    order: Option<Text>,
    /// `before_end` or `after_end`; `before_end` unless told otherwise.
    at: Option<Text>,
    /// Bytes at the beginning of the frame that it does not cover.
    skip: Option<Count>,
    /// Bytes right before it that it does not cover.
    cut: Option<Count>,
}

/// One number for all tables, or one for each.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum PerTable<T> {
    /// For all.
    One(T),
    /// For each.
    Each(Tables<T>),
}

/// A number for each table.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Tables<T> {
    /// Coils.
    coil: Option<T>,
    /// Discrete inputs.
    discrete: Option<T>,
    /// Holding registers.
    holding: Option<T>,
    /// Input registers.
    input: Option<T>,
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
    name: Option<Text64>,
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
    ttl: Option<Duration>,
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
