//! `read`, `write` and what they have in common.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::time::{Duration, Period};
use super::values::{
    Ack, Address, Anything, Base, Bits, Bthome, Byte, Code16, Company, Digits, Endpoint, Flag, Function,
    HexBytes, Identifiers, Keyed, Length, LineText, NameOrNumber, Nth, Number, Offset, Path, PointerText,
    Qos, RawOrState, Registers, Scalar, Sentinels, Several, Starts, States, Text, Topic, Uuid, ValueSize,
    Word, ZclType,
};

/// How registers make a value.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum Encoding {
    /// Unsigned, one byte of a register: `byte` says which.
    #[schemars(rename = "u8")]
    U8,
    /// Two's complement, one byte of a register: `byte` says which.
    #[schemars(rename = "s8")]
    S8,
    /// Unsigned, 16 bit: one register.
    #[schemars(rename = "u16")]
    U16,
    /// Two's complement, 16 bit: one register.
    #[schemars(rename = "s16")]
    S16,
    /// Unsigned, the lower 24 bits of two registers.
    #[schemars(rename = "u24")]
    U24,
    /// Two's complement, the lower 24 bits of two registers.
    #[schemars(rename = "s24")]
    S24,
    /// Unsigned, 32 bit: two registers.
    #[schemars(rename = "u32")]
    U32,
    /// Two's complement, 32 bit: two registers.
    #[schemars(rename = "s32")]
    S32,
    /// Unsigned, 48 bit: three registers.
    #[schemars(rename = "u48")]
    U48,
    /// Two's complement, 48 bit: three registers.
    #[schemars(rename = "s48")]
    S48,
    /// Unsigned, 64 bit: four registers.
    #[schemars(rename = "u64")]
    U64,
    /// Two's complement, 64 bit: four registers.
    #[schemars(rename = "s64")]
    S64,
    /// IEEE 754, 16 bit: one register.
    #[schemars(rename = "f16")]
    F16,
    /// IEEE 754, 32 bit: two registers.
    #[schemars(rename = "f32")]
    F32,
    /// IEEE 754, 64 bit: four registers.
    #[schemars(rename = "f64")]
    F64,
    /// Four decimal digits in each of `registers`.
    #[schemars(rename = "bcd")]
    Bcd,
    /// A text, two bytes in each of `registers`.
    #[schemars(rename = "string")]
    Text,
    /// Bytes, two in each of `registers`.
    #[schemars(rename = "raw")]
    Raw,
    /// A whole number (TLV); the only ones that are written (text, JSON, CBOR, SenML).
    #[schemars(rename = "int")]
    Int,
    /// A number without a sign (TLV).
    #[schemars(rename = "uint")]
    Uint,
    /// A float (TLV).
    #[schemars(rename = "float")]
    Float,
    /// True or false (TLV, Zigbee).
    #[schemars(rename = "bool")]
    Bool,
    /// A data type of Zigbee.
    #[schemars(untagged)]
    Zcl(ZclType),
}

/// How bytes A (most significant) to D of a 32-bit value come over the wire.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum WordOrder {
    /// Big-endian: the Modbus default.
    #[schemars(rename = "ABCD")]
    Abcd,
    /// The words swapped.
    #[schemars(rename = "CDAB")]
    Cdab,
    /// The bytes in each word swapped.
    #[schemars(rename = "BADC")]
    Badc,
    /// Little-endian: words and bytes swapped.
    #[schemars(rename = "DCBA")]
    Dcba,
}

/// Which of several bytes comes first.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum ByteOrder {
    /// The most significant of `bytes` first.
    #[schemars(rename = "big")]
    Big,
    /// The least significant of `bytes` first.
    #[schemars(rename = "little")]
    Little,
}

/// Of registers or of bytes, as the protocol has them.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Order {
    /// Of registers.
    Words(WordOrder),
    /// Of bytes.
    Bytes(ByteOrder),
}

/// In which form a document is sent.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Format {
    /// As JSON.
    Json,
    /// As CBOR.
    Cbor,
}

/// How a raw number stands for a value, in place of a straight line.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Curve {
    /// 10000 × log10(lux) + 1, and 0 for too dark.
    Lux,
}

/// What a body is.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
pub(super) enum ContentFormat {
    /// Plain text.
    Text,
    /// JSON.
    Json,
    /// CBOR.
    Cbor,
    /// SenML in JSON.
    SenmlJson,
    /// SenML in CBOR.
    SenmlCbor,
    /// TLV of OMA LwM2M.
    Tlv,
    /// Bytes without a form.
    Bytes,
}

/// How a resource is written.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Method {
    /// PUT.
    Put,
    /// POST.
    Post,
}

/// What asks for a fresh value.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Get {
    /// Where the device is asked, such as `~/get`.
    topic: Topic,
    /// What is sent; an empty body unless told otherwise.
    send: Option<Anything>,
    /// In which form it is sent; JSON unless told otherwise.
    format: Option<Word<Format>>,
}

/// Which byte of a register.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub(super) enum Half {
    /// The less significant one.
    Low,
    /// The more significant one.
    High,
}

/// Declares a map that has a place, and more keys.
macro_rules! with_place {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            /// Address of an input register (function 4), from 0. Manuals call address 0 30001.
            input: Option<Address>,
            /// Address of a holding register (functions 3, 6, 16), from 0. Manuals call address 0 40001.
            holding: Option<Address>,
            /// Address of a coil (functions 1, 5, 15), from 0. Manuals call address 0 00001.
            coil: Option<Address>,
            /// Address of a discrete input (function 2), from 0. Manuals call address 0 10001.
            discrete: Option<Address>,
            /// How registers make a value. `u16` unless told otherwise.
            #[schemars(rename = "as")]
            encoding: Option<Word<Encoding>>,
            /// Byte and word order; `modbus.order` unless told otherwise.
            order: Option<Word<Order>>,
            /// Which byte of the register, with `u8` and `s8`; `low` unless told otherwise.
            byte: Option<Word<Half>>,
            /// How many registers, with `bcd`, `string` and `raw`.
            registers: Option<Registers>,
            /// Topic, with `~` for what the site calls the device (MQTT); `+` stands for one level where it is read.
            topic: Option<Topic>,
            /// Path of the resource, such as `/3303/0/5700` (CoAP).
            path: Option<Path>,
            /// A characteristic: 4 hexadecimal digits, or all 32 with hyphens (Bluetooth).
            char: Option<Uuid>,
            /// Its service, where several have such a characteristic (Bluetooth).
            service: Option<Uuid>,
            /// JSON Pointer to the value, such as `/state`; `""` for the whole document.
            json: Option<PointerText>,
            /// JSON Pointer to the value in a CBOR body.
            cbor: Option<PointerText>,
            /// Name of the SenML record, with or without its base name.
            senml: Option<Text>,
            /// Resource of an LwM2M TLV body: `5700`, `0/5700`, `5700/1`; with `as`.
            tlv: Option<Identifiers>,
            /// Place of the first byte of the value in the body, from 0; with `as`.
            bytes: Option<Offset>,
            /// How many bytes, with `bytes` and `as: string` or `raw`; to the end unless told otherwise.
            length: Option<Length>,
            /// `4..6` for bits 4, 5 and 6 (both ends included, 0 the least significant), `3` for one.
            bits: Option<Bits>,
            $($(#[$field_meta])* $field: $type,)*
        }
    };
}

with_place! {
    /// Where the value is, and what the raw value means.
    Read {
        /// Raw value to state: `{0: Peak, 1: OffPeak, default: Unknown}`. Its order is that of ValidValues and of steps.
        map: Option<States>,
        /// Value = raw × scale + offset, exactly. 1 unless told otherwise.
        scale: Option<Number>,
        /// Register that holds a power of ten for the raw value (SunSpec scale factors): `{holding: 12}`.
        exponent: Option<Exponent>,
        /// Value = raw × scale + offset, exactly. 0 unless told otherwise.
        offset: Option<Number>,
        /// `true`: the other way round (Binary classes).
        invert: Option<Flag>,
        /// Raw values that mean "no reading": one, or a list. `0x8000` of an `s16` is -32768, `0xc61c3c00` of an `f32` -9999.
        invalid: Option<Sentinels>,
        /// What asks the device for a fresh value (MQTT); that of `mqtt` unless told otherwise.
        get: Option<Get>,
        /// `true`: the device tells changes by itself (CoAP, RFC 7641).
        observe: Option<Flag>,
        /// The format that the device is asked for (CoAP); what it prefers unless told otherwise.
        accept: Option<Word<ContentFormat>>,
        /// What the device is asked with (serial lines): a text, or `{hex: "01 86"}`; without it the value is heard.
        send: Option<LineText>,
        /// What the device says, as a whole, with `$value` for the value and `$any` for anything (serial lines).
        says: Option<LineText>,
        /// What is somewhere in what the device says, with `$value` for the value (serial lines).
        find: Option<LineText>,
        /// `16`: the digits are hexadecimal (serial lines).
        base: Option<Base>,
        /// `true`: the device says it by itself too (serial lines).
        unasked: Option<Flag>,
        /// An object of BTHome, by its name or number: `temperature` (Bluetooth).
        bthome: Option<Bthome>,
        /// Which one, where there are several of the same (Bluetooth); the first unless told otherwise.
        nth: Option<Nth>,
        /// Data of a service that is advertised (Bluetooth).
        service_data: Option<Uuid>,
        /// Data of a company that is advertised, without its identifier (Bluetooth).
        manufacturer: Option<Company>,
        /// How the bytes begin that have the value: `05 .. 20`, with `..` for any (Bluetooth).
        starts: Option<Starts>,
        /// How many bytes they are (Bluetooth).
        size: Option<ValueSize>,
        /// `true`: how strongly the device is heard, in dBm (Bluetooth).
        rssi: Option<Flag>,
        /// `true`: the device tells changes of the characteristic by itself (Bluetooth).
        notify: Option<Flag>,
        /// What is written so that the device tells the value (Bluetooth).
        ask: Option<Ask>,
        /// Endpoint of the device (Zigbee); that of `zigbee` unless told otherwise.
        endpoint: Option<Endpoint>,
        /// Name or number of the cluster (Zigbee).
        cluster: Option<NameOrNumber>,
        /// Name or number of the attribute (Zigbee).
        attribute: Option<NameOrNumber>,
        /// Manufacturer's code that goes with it (Zigbee).
        manufacturer_code: Option<Code16>,
        /// Commands that the device sends (Zigbee).
        command: Option<Several<NameOrNumber>>,
        /// The field of the command that the value is in (Zigbee); without one it is the command's name.
        field: Option<Text>,
        /// What follows this tag in a string of tags, types and values (Zigbee).
        tag: Option<Byte>,
        /// An element of a structure or array, from 0 (Zigbee).
        element: Option<Byte>,
        /// How it is reported (Zigbee); `false`: it is not.
        report: Option<Reported>,
        /// `false`: the device does not answer when it is asked for it, and is only heard (Zigbee).
        answers: Option<Flag>,
        /// `lux`: 10000 × log10(lux) + 1, and 0 for too dark, in place of `scale` and `offset` (Zigbee).
        curve: Option<Word<Curve>>,
        /// A `true` that was not said again for so long is over (Zigbee).
        clears: Option<Duration>,
        /// How long a read may take from the request to the answer. Twice `modbus.timeout` and a second unless told otherwise.
        within: Option<Duration>,
    }
}

with_place! {
    /// Where the value goes. What is left out is taken from `read`; `{}` writes where the value is read.
    Write {
        /// Raw value to state, as in `read`. With any of `map`, `scale`, `offset`, `curve` and `invert` nothing of `read` is taken.
        map: Option<States>,
        /// Value = raw × scale + offset, exactly.
        scale: Option<Number>,
        /// Value = raw × scale + offset, exactly.
        offset: Option<Number>,
        /// `true`: the other way round (Binary classes).
        invert: Option<Flag>,
        /// Raw values that are never written.
        invalid: Option<Sentinels>,
        /// Function: 5 or 15 for a coil, 6 or 16 for one register, 16 for several, 22 for some bits, 23 to write and read.
        fc: Option<Function>,
        /// Read, modify, write: the bits outside `bits` are kept. `true` with `bits` unless told otherwise.
        rmw: Option<Flag>,
        /// The whole body, as text or as a document; `$value` stands for the value.
        send: Option<Anything>,
        /// In which form `send` and `senml` go; JSON unless told otherwise.
        format: Option<Word<Format>>,
        /// Quality of Service (MQTT); that of `mqtt` unless told otherwise.
        qos: Option<Qos>,
        /// `true`: the server keeps it for later subscribers (MQTT).
        retain: Option<Flag>,
        /// PUT unless told otherwise (CoAP).
        method: Option<Word<Method>>,
        /// What the device says to it, with `$value` and `$any`; `false`: nothing (serial lines).
        ack: Option<Ack>,
        /// At least so many digits (serial lines).
        digits: Option<Digits>,
        /// `16`: hexadecimal digits (serial lines).
        base: Option<Base>,
        /// `false`: the device does not acknowledge it (Bluetooth).
        response: Option<Flag>,
        /// What the device notifies when it has done it (Bluetooth).
        answer: Option<Answer>,
        /// Endpoint of the device (Zigbee); that of `zigbee` unless told otherwise.
        endpoint: Option<Endpoint>,
        /// Name or number of the cluster (Zigbee).
        cluster: Option<NameOrNumber>,
        /// Name or number of the attribute (Zigbee).
        attribute: Option<NameOrNumber>,
        /// Manufacturer's code that goes with it (Zigbee).
        manufacturer_code: Option<Code16>,
        /// The command that is sent, or `$value`: the one that the `map` has for the value (Zigbee).
        command: Option<Several<NameOrNumber>>,
        /// What stands in the fields of the command, by name; in a list where nobody knows their names (Zigbee).
        fields: Option<ZigbeeFields>,
        /// In place of `scale` and `offset`, as in `read` (Zigbee).
        curve: Option<Word<Curve>>,
        /// Read back and compare for so long (`2s`); `false`: the acknowledgement is enough; `{by: …, within: 2s}`:
        /// another capability must show it. `1s` if there is a `read`.
        verify: Option<Verify>,
        /// A write that could not be sent within this time is dropped. `5s` unless told otherwise.
        ttl: Option<Period>,
        /// Least time from one write to the next.
        rate: Option<Duration>,
        /// `true`: writes that wait may be merged into the newest.
        coalesce: Option<Flag>,
        /// `true`: may be written back when another part of an all-or-nothing request fails.
        undo: Option<Flag>,
    }
}

with_place! {
    /// One write of a command.
    Step {
        /// Raw value to state.
        map: Option<States>,
        /// Value = raw × scale + offset, exactly.
        scale: Option<Number>,
        /// Value = raw × scale + offset, exactly.
        offset: Option<Number>,
        /// Function, as in `write`.
        fc: Option<Function>,
        /// Read, modify, write: the bits outside `bits` are kept. `true` with `bits` unless told otherwise.
        rmw: Option<Flag>,
        /// The whole body, as text or as a document; `$value` stands for the value.
        send: Option<Anything>,
        /// In which form `send` and `senml` go; JSON unless told otherwise.
        format: Option<Word<Format>>,
        /// Quality of Service (MQTT); that of `mqtt` unless told otherwise.
        qos: Option<Qos>,
        /// `true`: the server keeps it for later subscribers (MQTT).
        retain: Option<Flag>,
        /// PUT unless told otherwise (CoAP).
        method: Option<Word<Method>>,
        /// What the device says to it, with `$value` and `$any`; `false`: nothing (serial lines).
        ack: Option<Ack>,
        /// At least so many digits (serial lines).
        digits: Option<Digits>,
        /// `16`: hexadecimal digits (serial lines).
        base: Option<Base>,
        /// `false`: the device does not acknowledge it (Bluetooth).
        response: Option<Flag>,
        /// What the device notifies when it has done it (Bluetooth).
        answer: Option<Answer>,
        /// Endpoint of the device (Zigbee); that of `zigbee` unless told otherwise.
        endpoint: Option<Endpoint>,
        /// Name or number of the cluster (Zigbee).
        cluster: Option<NameOrNumber>,
        /// Name or number of the attribute (Zigbee).
        attribute: Option<NameOrNumber>,
        /// Manufacturer's code that goes with it (Zigbee).
        manufacturer_code: Option<Code16>,
        /// The command that is sent, or `$value`: the one that the `map` has for the value (Zigbee).
        command: Option<Several<NameOrNumber>>,
        /// What stands in the fields of the command, by name; in a list where nobody knows their names (Zigbee).
        fields: Option<ZigbeeFields>,
        /// In place of `scale` and `offset`, as in `read` (Zigbee).
        curve: Option<Word<Curve>>,
        /// What is written: a value, or an argument of the command as `"${arg.Name}"`.
        value: Option<Scalar>,
    }
}

with_place! {
    /// What a scan knows a device of this model by.
    Fingerprint {
        /// What it shows there: a raw value, or a list of which any will do.
        equals: RawOrState,
        /// What the device says, as a whole (serial lines).
        says: Option<LineText>,
        /// What is somewhere in what the device says (serial lines).
        find: Option<LineText>,
        /// `16`: the digits are hexadecimal (serial lines).
        base: Option<Base>,
        /// What the device is asked with (serial lines).
        send: Option<LineText>,
        /// An object of BTHome, by its name or number: `temperature` (Bluetooth).
        bthome: Option<Bthome>,
        /// Which one, where there are several of the same (Bluetooth); the first unless told otherwise.
        nth: Option<Nth>,
        /// Data of a service that is advertised (Bluetooth).
        service_data: Option<Uuid>,
        /// Data of a company that is advertised, without its identifier (Bluetooth).
        manufacturer: Option<Company>,
        /// How the bytes begin that have the value: `05 .. 20`, with `..` for any (Bluetooth).
        starts: Option<Starts>,
        /// How many bytes they are (Bluetooth).
        size: Option<ValueSize>,
    }
}

/// What is written so that a device tells a value.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Ask {
    /// The characteristic that it is written to.
    char: Uuid,
    /// Its service, where several have such a characteristic.
    service: Option<Uuid>,
    /// `false`: the device does not acknowledge it.
    response: Option<Flag>,
    /// The bytes, in hexadecimal.
    send: HexBytes,
}

/// What a device notifies when it has done, or refused, what was written.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Answer {
    /// The characteristic that it is notified by; that which is written unless told otherwise.
    char: Option<Uuid>,
    /// Its service, where several have such a characteristic.
    service: Option<Uuid>,
    /// How it begins when it was done: `01`, with `..` for any byte.
    starts: Starts,
    /// How it begins when it was not, and what that means: `{"03": busy}`; the first that fits counts.
    refusal: Option<Keyed<Text>>,
}

/// Where a power of ten is.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Exponent {
    /// Address of a holding register, from 0.
    holding: Option<Address>,
    /// Address of an input register, from 0.
    input: Option<Address>,
}

/// Another capability shows whether a write was done.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct VerifyBy {
    /// The capability that must show what was written.
    by: Text,
    /// For how long it is read; `1s` unless told otherwise.
    within: Option<Duration>,
}

/// `false`, a duration, or by another capability.
pub(super) struct Verify;

impl JsonSchema for Verify {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Verify".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let duration = generator.subschema_for::<Duration>();
        let by = generator.subschema_for::<VerifyBy>();
        json_schema!({ "anyOf": [{ "const": false }, duration, by] })
    }
}

/// What stands in the fields of a command.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum ZigbeeFields {
    /// By name.
    Named(Keyed<Anything>),
    /// In their order.
    Listed(Vec<ZigbeeField>),
}

/// A field of a command.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ZigbeeField {
    /// Its type.
    #[schemars(rename = "as")]
    kind: ZclType,
    /// What stands there; `$value` is what is written.
    value: Anything,
}

/// How an attribute is reported.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Reported {
    /// When.
    When(Report),
    /// `false`: it is not.
    Flag(Flag),
}

/// When an attribute is reported.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Report {
    /// Least time from one report to the next.
    min: Option<Duration>,
    /// Most time: so often it is heard at least.
    max: Option<Period>,
    /// How far a number has to move, in raw units.
    change: Option<Number>,
}
