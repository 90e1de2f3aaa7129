//! The section `mqtt`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::point::{ByteOrder, Encoding, Get};
use super::time::Period;
use super::values::{
    Bits, Identifiers, Length, Offset, PointerText, Qos, RawOrState, Several, Text, Topic, Word,
};

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
    timeout: Option<Period>,
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
    order: Option<Word<ByteOrder>>,
    /// Some bits of `bytes`.
    bits: Option<Bits>,
}
