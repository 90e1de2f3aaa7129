//! Single values, and maps whose keys the file chooses.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::ble::BthomePick;
use crate::line::ChecksumKind;
use crate::mapping::Class;
use crate::tr181;

/// A word that stands for a parameter.
const PLACEHOLDER: &str = r"\$\{[^}]+\}";
/// A name that the file chooses.
const NAME: &str = "^[a-z][a-z0-9_-]{0,63}$";
/// A vendor's own word, as TR-106 wants it.
const VENDOR: &str = "^X_[A-Z0-9-]+_[A-Za-z][A-Za-z0-9_-]*$";

/// Whatever a parameter may stand for.
pub(super) fn or_placeholder(value: Value) -> Schema {
    let placeholder = json!({ "type": "string", "pattern": format!("^{PLACEHOLDER}$") });
    json_schema!({ "anyOf": [value, placeholder] })
}

/// One of these words, or a vendor's own.
fn listed(words: &[&str]) -> Value {
    json!({ "anyOf": [
        { "enum": words },
        { "type": "string", "pattern": VENDOR },
        { "type": "string", "pattern": PLACEHOLDER },
    ] })
}

macro_rules! values {
    ($($name:ident: $schema:expr;)*) => {
        $(
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    $schema
                }
            }
        )*
    };
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).expect("a schema is an object")
}

values! {
    One: json_schema!({ "const": 1 });
    Text: json_schema!({ "type": "string" });
    Name: json_schema!({ "type": "string", "pattern": r"\S", "maxLength": 64 });
    Text256: json_schema!({ "type": "string", "maxLength": 256 });
    Profile: json_schema!({ "type": "string", "pattern": r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$", "maxLength": 64 });
    Version: json_schema!({ "type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$" });
    Flag: or_placeholder(json!({ "type": "boolean" }));
    Number: or_placeholder(json!({ "type": "number" }));
    Positive: or_placeholder(json!({ "type": "number", "exclusiveMinimum": 0 }));
    Address: or_placeholder(json!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": 65535 },
        { "type": "array", "minItems": 1, "items": or_placeholder(json!({ "type": "integer" })) },
    ] }));
    Registers: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 125 }));
    MaxBits: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 2000 }));
    Gap: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 124 }));
    Connections: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 1000 }));
    Percent: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 100 }));
    Fails: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 1000 }));
    Length: json_schema!({ "type": "integer", "minimum": 1, "maximum": 256 });
    Range: json_schema!({
        "type": "array", "minItems": 2, "maxItems": 2,
        "items": or_placeholder(json!({ "type": "number" })),
    });
    Ends: json_schema!({
        "type": "array", "minItems": 2, "maxItems": 2,
        "items": or_placeholder(json!({ "type": "integer" })),
    });
    Given: json_schema!({ "type": "array", "items": { "type": ["string", "number", "boolean"] }, "minItems": 1 });
    Words: json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    Scalar: json_schema!({ "type": ["string", "number", "boolean"] });
    Bits: or_placeholder(json!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": 63 },
        { "type": "string", "pattern": r"^[0-9]+( *\.\. *[0-9]+)?$" },
    ] }));
    Sentinels: json_schema!({ "anyOf": [
        { "type": "integer" },
        { "type": "array", "items": { "type": "integer" } },
        { "type": "string", "pattern": PLACEHOLDER },
    ] });
    RawOrState: json_schema!({ "anyOf": [
        { "type": ["string", "number", "boolean"] },
        { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
    ] });
    On: json_schema!({ "anyOf": [
        { "enum": [true, false, "change"] },
        { "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } },
    ] });
    States: json_schema!({
        "type": "object",
        "properties": {
            "default": { "type": ["string", "boolean"], "description": "The state of any other raw value." },
        },
        "additionalProperties": { "type": ["string", "boolean"], "maxLength": 64 },
        "minProperties": 1,
    });
    Cells: json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^(0x[0-9a-fA-F]+|[0-9]+)$" },
        "additionalProperties": { "anyOf": [
            or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 65535 })),
            { "type": "array", "items": or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 65535 })) },
        ] },
    });
    BitCells: json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^(0x[0-9a-fA-F]+|[0-9]+)$" },
        "additionalProperties": { "anyOf": [
            or_placeholder(json!({ "enum": [0, 1] })),
            { "type": "array", "items": or_placeholder(json!({ "enum": [0, 1] })) },
        ] },
    });
    Function: or_placeholder(json!({ "enum": [5, 6, 15, 16, 22, 23] }));
    DeviceType: schema(listed(tr181::DEVICE_TYPES));
    Unit: schema(listed(tr181::UNITS));
    Topic: json_schema!({ "type": "string", "pattern": "^[^/#].*$", "maxLength": 1024 });
    Path: json_schema!({ "type": "string", "pattern": "^/", "maxLength": 1024 });
    PointerText: json_schema!({ "type": "string", "pattern": "^(/.*)?$" });
    Identifiers: json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": 65535 },
        { "type": "string", "pattern": "^/?[0-9]+(/[0-9]+){0,2}$" },
        { "type": "string", "pattern": PLACEHOLDER },
    ] });
    Offset: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));
    Qos: or_placeholder(json!({ "enum": [0, 1, 2] }));
    Block: json_schema!({ "enum": [16, 32, 64, 128, 256, 512, 1024] });
    Anything: json_schema!({ "description": "A document; `$value` stands for the value." });
    Said: json_schema!({ "anyOf": [
        { "type": "object" },
        { "type": "array", "items": { "type": "object" } },
    ] });
    Secret: json_schema!({ "type": "string", "pattern": "^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$" });
    Tls: json_schema!({ "anyOf": [
        { "type": "boolean" },
        { "type": "object", "additionalProperties": false, "properties": {
            "ca": { "type": "string", "description": "File with the certificates that are trusted; those of the system unless told otherwise." },
            "cert": { "type": "string", "description": "File with one's own certificate." },
            "key": { "type": "string", "pattern": "^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$", "description": "Where its key is: `file:…` or `env:…`." },
        } },
    ] });
    Adopt: json_schema!({ "anyOf": [
        { "type": "array", "items": { "enum": ["zigbee2mqtt", "tasmota", "shelly", "homeassistant"] } },
        { "type": "object", "additionalProperties": { "type": "string" }, "propertyNames": { "enum": ["zigbee2mqtt", "tasmota", "shelly", "homeassistant"] } },
    ] });
    Endpoint: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 240 }));
    Byte: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 255 }));
    Code16: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));
    NameOrNumber: json_schema!({ "type": ["string", "integer"], "pattern": "^[^0-9]", "minimum": 0, "maximum": 65535 });
    ZclType: json_schema!({ "enum": crate::zigbee::ZclType::all().map(crate::zigbee::ZclType::name).collect::<Vec<_>>() });
    Channel: json_schema!({ "type": "integer", "minimum": 11, "maximum": 26 });
    PanId: json_schema!({ "type": "integer", "minimum": 1, "maximum": 65534 });
    Ieee: json_schema!({ "type": "string", "pattern": "^(0[xX][0-9a-fA-F]{16}|([0-9a-fA-F]{2}:){7}[0-9a-fA-F]{2})$" });
    LineText: schema(line_text());
    Ack: json_schema!({ "anyOf": [{ "const": false }, { "type": "string" }, hex()] });
    LineSaid: schema(line_said());
    LineReplies: json_schema!({
        "type": "object",
        "additionalProperties": { "anyOf": [line_said(), { "type": "array", "items": line_said() }] },
    });
    Uuid: json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": 99_999_999 },
        { "type": "string", "pattern": "^(0x)?[0-9a-fA-F]{4}([0-9a-fA-F]{4})?$" },
        { "type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$" },
        { "type": "string", "pattern": PLACEHOLDER },
    ] });
    Company: or_placeholder(json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));
    Starts: json_schema!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": r"^\s*([0-9a-fA-F.]\s*[0-9a-fA-F.]\s*)+$" }] });
    ValueSize: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 512 }));
    Nth: or_placeholder(json!({ "type": "integer", "minimum": 1, "maximum": 100 }));
    Strength: json_schema!({ "type": "integer", "minimum": -128, "maximum": 127 });
    HexBytes: schema(hex_bytes());
    Bthome: json_schema!({ "anyOf": [
        { "enum": BthomePick::names() },
        { "type": "integer", "minimum": 0, "maximum": 255 },
        { "type": "string", "pattern": PLACEHOLDER },
    ] });
    Mac: json_schema!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$" });
    Radio: json_schema!({ "type": "string", "pattern": "^(hci[0-9]{1,4}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})$" });
    Slots: json_schema!({ "type": "integer", "minimum": 1, "maximum": 32 });
    Checksums: json_schema!({ "enum": checksums() });
    ChecksumForm: json_schema!({ "enum": ["bytes", "hex"] });
    ChecksumPlace: json_schema!({ "enum": ["before_end", "after_end"] });
    Endian: json_schema!({ "enum": ["big", "little"] });
    LengthWidth: json_schema!({ "enum": ["u8", "u16"] });
    Base: json_schema!({ "enum": [10, 16] });
    Digits: json_schema!({ "type": "integer", "minimum": 1, "maximum": 16 });
    Count: json_schema!({ "type": "integer", "minimum": 0, "maximum": 1023 });
    MaxFrame: json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 });
    DataBits: json_schema!({ "enum": [7, 8] });
    AnyBaud: json_schema!({
        "type": "integer", "minimum": 50, "maximum": 4_000_000,
        "examples": [9600, 19200, 38400, 57600, 115_200],
    });
    HostPort: json_schema!({ "type": "string", "pattern": "^.+:[0-9]+$" });
    SerialPort: json_schema!({ "type": "string", "pattern": "^/" });
    StopBits: json_schema!({ "enum": [1, 2] });
    UnitId: json_schema!({ "type": "integer", "minimum": 0, "maximum": 255 });
    UseProfile: json_schema!({ "type": "string", "pattern": r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+(@[\^=]?[0-9.]+)?$" });
}

/// A text on a serial line.
pub(super) fn line_text() -> Value {
    json!({ "anyOf": [{ "type": "string" }, hex()] })
}

/// What comes over a serial line in a test, byte for byte.
pub(super) fn line_said() -> Value {
    let lines = json!({
        "type": "array", "items": { "type": "string" }, "description": "Lines, with CR and LF behind each.",
    });
    let lines = json!({ "type": "object", "additionalProperties": false, "required": ["lines"], "properties": { "lines": lines } });
    json!({ "anyOf": [{ "type": "string" }, hex(), lines] })
}

/// Bytes for Bluetooth.
pub(super) fn hex_bytes() -> Value {
    json!({ "anyOf": [{ "type": ["string", "integer"] }, hex(), text()] })
}

fn hex() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["hex"],
        "properties": { "hex": { "type": "string", "description": "Two digits for each byte, with blanks between them." } },
    })
}

fn text() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["text"],
        "properties": { "text": { "type": "string", "description": "A text as it is." } },
    })
}

fn checksums() -> Vec<&'static str> {
    ChecksumKind::ALL.iter().map(|(name, _)| *name).collect()
}

/// A map whose keys are names that the file chooses.
pub(super) struct Named<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        keyed(NAME, generator.subschema_for::<T>())
    }
}

/// A map whose keys are a vendor's own words, as the model has them.
pub(super) struct Own<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Own<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Own{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        keyed(VENDOR, generator.subschema_for::<T>())
    }
}

/// A map with any keys.
pub(super) struct Keyed<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Keyed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Keyed{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        keyed("^.+$", generator.subschema_for::<T>())
    }
}

fn keyed(pattern: &str, value: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": pattern },
        "additionalProperties": { "anyOf": [value, { "type": "null" }] },
        "maxProperties": 4096,
    })
}

/// One of the words of an enumeration, or a parameter.
pub(super) struct Word<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Word{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        or_placeholder(generator.subschema_for::<T>().to_value())
    }
}

/// One, or a list.
pub(super) struct Several<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Several<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Several{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Which Types each class has.
pub(super) fn types_by_class() -> Value {
    let rules = Class::ALL.into_iter().map(|class: Class| {
        json!({
            "if": { "properties": { "class": { "const": class.name() } }, "required": ["class"] },
            "then": { "properties": { "type": listed(tr181::types(class)) } },
        })
    });
    Value::Array(rules.collect())
}
