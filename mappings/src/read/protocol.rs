//! Which protocol a mapping speaks, and which keys its points have by that.

use super::Report;
use super::fields::Fields;
use crate::ble::read::{READ_KEYS as BLE_READ_KEYS, WRITE_KEYS as BLE_WRITE_KEYS};
use crate::code::Code;
use crate::draft::{BodyDraft, MessageDraft, MessagePlace};
use crate::mapping::ProtocolKind;
use crate::modbus::read::{PLACE_KEYS, has_place};
use crate::payload::read::{PICK_KEYS, SEND_KEYS};

/// What a raw value means.
const MEANING_KEYS: [&str; 5] = ["map", "scale", "offset", "invert", "invalid"];

/// How a write is done, whatever the protocol.
const WRITE_RULES: [&str; 5] = ["verify", "ttl", "rate", "coalesce", "undo"];

/// Where a value is in a device of Zigbee.
const ZIGBEE_READ: [&str; 12] = [
    "endpoint",
    "cluster",
    "attribute",
    "command",
    "field",
    "manufacturer_code",
    "as",
    "tag",
    "element",
    "bytes",
    "length",
    "order",
];

/// Where it goes, and by which curve.
const ZIGBEE_WRITE: [&str; 8] =
    ["endpoint", "cluster", "attribute", "command", "fields", "manufacturer_code", "as", "curve"];

/// The keys of a place that is read, written or compared.
fn place_keys(kind: ProtocolKind, writes: bool) -> Vec<&'static str> {
    let (own, body): (&[&str], bool) = match (kind, writes) {
        (ProtocolKind::Modbus, _) => (&PLACE_KEYS, false),
        (ProtocolKind::Mqtt, false) => (&["topic"], true),
        (ProtocolKind::Mqtt, true) => (&["topic", "qos", "retain"], true),
        (ProtocolKind::Coap, false) => (&["path"], true),
        (ProtocolKind::Coap, true) => (&["path", "method"], true),
        (ProtocolKind::Line, false) => (&["says", "find", "base"], true),
        (ProtocolKind::Line, true) => (&["ack", "digits", "base"], true),
        (ProtocolKind::Ble, false) => (&BLE_READ_KEYS, false),
        (ProtocolKind::Ble, true) => (&BLE_WRITE_KEYS, false),
        (ProtocolKind::Zigbee, false) => (&ZIGBEE_READ, false),
        (ProtocolKind::Zigbee, true) => (&ZIGBEE_WRITE, false),
    };
    let picks: &[&str] = if body { &PICK_KEYS } else { &[] };
    let sends: &[&str] = match kind {
        ProtocolKind::Line => &["send"],
        ProtocolKind::Ble if writes => &["send"],
        _ if body && writes => &SEND_KEYS,
        _ => &[],
    };
    own.iter().chain(picks).chain(sends).copied().collect()
}

/// The keys of `read`.
pub(crate) fn read_keys(kind: ProtocolKind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        ProtocolKind::Modbus => &["exponent"],
        ProtocolKind::Mqtt => &["get"],
        ProtocolKind::Coap => &["observe", "accept"],
        ProtocolKind::Line => &["unasked"],
        ProtocolKind::Ble => &["rssi", "notify", "ask"],
        ProtocolKind::Zigbee => &["bits", "curve", "report", "answers", "clears"],
    };
    let place = place_keys(kind, false).into_iter();
    place.chain(own.iter().copied()).chain(MEANING_KEYS).chain(["within"]).collect()
}

/// The keys of `write`.
pub(crate) fn write_keys(kind: ProtocolKind) -> Vec<&'static str> {
    let own: &[&str] = if kind == ProtocolKind::Modbus { &["fc", "rmw"] } else { &[] };
    let place = place_keys(kind, true).into_iter();
    place.chain(MEANING_KEYS).chain(own.iter().copied()).chain(WRITE_RULES).collect()
}

/// The keys of a step of a command.
pub(crate) fn step_keys(kind: ProtocolKind) -> Vec<&'static str> {
    let own: &[&str] = if kind == ProtocolKind::Modbus { &["fc", "rmw"] } else { &[] };
    let meaning = ["map", "scale", "offset"].into_iter();
    place_keys(kind, true).into_iter().chain(meaning).chain(own.iter().copied()).chain(["value"]).collect()
}

/// The keys of a fingerprint.
pub(crate) fn fingerprint_keys(kind: ProtocolKind) -> Vec<&'static str> {
    place_keys(kind, false).into_iter().chain(["equals"]).collect()
}

/// The protocol, other than this one, that has such a key in a point.
pub(super) fn elsewhere(key: &str, than: ProtocolKind) -> Option<ProtocolKind> {
    let mut others = ProtocolKind::ALL.into_iter().filter(|kind| *kind != than);
    others.find(|kind| read_keys(*kind).contains(&key) || write_keys(*kind).contains(&key))
}

impl Report<'_> {
    /// The protocol whose section a mapping has.
    pub(super) fn protocol_of(&mut self, fields: &Fields<'_>) -> ProtocolKind {
        let given: Vec<ProtocolKind> =
            ProtocolKind::ALL.into_iter().filter(|kind| fields.key(kind.section()).is_some()).collect();
        if let [first, second, ..] = given.as_slice() {
            let span = fields.key(second.section()).unwrap_or(fields.span);
            let message = format!("a mapping has both `{}` and `{}`", first.section(), second.section());
            let error = self.error(Code::Protocol, span, message);
            error.help(
                "a device speaks one protocol: keep its section, and make a mapping of its own for the other",
            );
        }
        given.first().copied().unwrap_or_default()
    }

    /// The place of a point in messages; `None` for a protocol without any.
    pub(super) fn message(&mut self, fields: &Fields<'_>, what: &str) -> Option<Box<MessageDraft>> {
        let place = match self.protocol {
            ProtocolKind::Modbus => return None,
            ProtocolKind::Mqtt => MessagePlace::Mqtt(Box::new(self.mqtt_place(fields))),
            ProtocolKind::Coap => MessagePlace::Coap(self.coap_place(fields)),
            ProtocolKind::Line => {
                let place = MessagePlace::Line(Box::new(self.line_place(fields)));
                let body = self.picked(fields, what);
                return Some(Box::new(MessageDraft { span: fields.span, place, body }));
            }
            ProtocolKind::Ble => {
                let place = MessagePlace::Ble(Box::new(self.ble_place(fields)));
                let body = self.picked(fields, what);
                return Some(Box::new(MessageDraft { span: fields.span, place, body }));
            }
            ProtocolKind::Zigbee => {
                let place = MessagePlace::Zigbee(Box::new(self.zigbee_place(fields)));
                // Only bytes are taken out as of other bodies; without them `as` and `bits` are Zigbee's.
                let is_bytes = fields.key("bytes").is_some();
                let body = if is_bytes { self.picked(fields, what) } else { BodyDraft::default() };
                return Some(Box::new(MessageDraft { span: fields.span, place, body }));
            }
        };
        Some(Box::new(MessageDraft { span: fields.span, place, body: self.body(fields, what) }))
    }

    /// Reports that a read says not where.
    pub(super) fn placeless(&mut self, fields: &Fields<'_>) {
        let (key, help) = match self.protocol {
            ProtocolKind::Modbus if has_place(fields) => return,
            ProtocolKind::Modbus => {
                ("input", "or `holding`, `coil` or `discrete`: the table, with the address from 0")
            }
            ProtocolKind::Mqtt => ("topic", "where the device publishes it, such as `topic: ~/state`"),
            ProtocolKind::Coap => ("path", "the resource, such as `path: /3303/0/5700`"),
            ProtocolKind::Line
                if ["send", "find", "json", "bytes", "cbor", "senml", "tlv"]
                    .iter()
                    .any(|key| fields.key(key).is_some()) =>
            {
                return;
            }
            ProtocolKind::Ble
                if ["bthome", "nth", "service_data", "manufacturer", "rssi"]
                    .iter()
                    .any(|key| fields.key(key).is_some()) =>
            {
                return;
            }
            ProtocolKind::Ble => (
                "char",
                "the characteristic, such as `char: \"2a19\"`; or what is advertised: `bthome`, `service_data`, `manufacturer` or `rssi`",
            ),
            ProtocolKind::Zigbee => ("cluster", "such as `cluster: on_off, attribute: on_off`"),
            ProtocolKind::Line => (
                "says",
                "what the device says, such as `says: \"PWR=$value\"`; with `send` what it is asked with",
            ),
        };
        if fields.key(key).is_none() {
            self.missing(fields.span, "`read`", key, help);
        }
    }
}
