//! What only a file that builds upon no other must have: its base may bring the protocol, a class, or what a key without a
//! value removes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::values::{hex_bytes, line_said, line_text};
use crate::mapping::{Class, ProtocolKind};
use crate::read::{fingerprint_keys, read_keys, step_keys, test_keys, write_keys};

/// What is the device's, with `null` as its documents may have it.
const BODIES: [&str; 9] =
    ["value", "messages", "resources", "replies", "sends", "fields", "chars", "attributes", "frames"];

const TABLES: [&str; 4] = ["input", "holding", "coil", "discrete"];

/// How words stand in registers.
const ORDERS: [&str; 4] = ["ABCD", "CDAB", "BADC", "DCBA"];

/// The rules of a mapping file, for its `allOf`.
pub(super) fn rules() -> Vec<Value> {
    let alone = json!({ "not": set("extends") });
    let mut rules = vec![json!({ "if": alone, "then": {
        "properties": { "commands": { "type": "object", "additionalProperties": reference("FullCommand") } },
        "additionalProperties": reference("Full"),
    } })];
    rules.extend(ProtocolKind::ALL.into_iter().map(|kind| {
        let others: Vec<&str> =
            ProtocolKind::ALL.into_iter().map(ProtocolKind::section).filter(|it| *it != kind.section()).collect();
        let foreign: Map<String, Value> = others.iter().map(|it| ((*it).to_owned(), json!(false))).collect();
        let speaks = match kind {
            ProtocolKind::Modbus => json!({ "not": any(others.iter().chain(["extends"].iter()).copied()) }),
            _ => json!({ "required": [kind.section()], "not": set("extends") }),
        };
        json!({ "if": speaks, "then": { "properties": foreign, "allOf": [reference(&named(kind, "Model"))] } })
    }));
    rules
}

/// What the rules refer to.
pub(super) fn definitions() -> Vec<(String, Value)> {
    let mut all = vec![
        ("Full".to_owned(), full(false)),
        ("FullCommand".to_owned(), full(true)),
        (
            "WholeCapability".to_owned(),
            json!({ "required": ["class", "type"], "allOf": Class::ALL.map(of_class) }),
        ),
    ];
    for kind in ProtocolKind::ALL {
        all.push((named(kind, "Model"), model(kind)));
        all.push((named(kind, "Capability"), capability(kind)));
        all.push((named(kind, "Read"), read(kind)));
        all.push((named(kind, "Write"), write(kind)));
    }
    all
}

/// Something, and everything in it, but for what is in a body.
fn full(is_command: bool) -> Value {
    let something = json!(["object", "array", "string", "number", "boolean"]);
    let mut own: Map<String, Value> =
        BODIES.iter().map(|key| ((*key).to_owned(), json!({ "type": something }))).collect();
    // What a command sends is a list of steps.
    let send = if is_command { json!({ "type": "array", "items": reference("Full") }) } else { json!({}) };
    own.insert("send".to_owned(), send);
    own.insert(
        "commands".to_owned(),
        json!({ "type": "object", "additionalProperties": reference("FullCommand") }),
    );
    json!({
        "type": something,
        "properties": own,
        "additionalProperties": reference("Full"),
        "items": reference("Full"),
    })
}

/// A device, or a node of it.
fn model(kind: ProtocolKind) -> Value {
    let one_of = |kinds: &[&str]| json!({ "additionalProperties": one(kinds.iter().copied()) });
    let command = json!({
        "required": ["send"],
        "properties": {
            "send": { "items": step(kind) },
            "args": one_of(&["enum", "int", "string", "bool", "number"]),
        },
    });
    let event =
        json!({ "required": ["read", "on"], "properties": { "read": reference(&named(kind, "Read")) } });
    let fingerprint = fingerprint(kind);
    let mut model = json!({
        "capabilities": { "additionalProperties": reference(&named(kind, "Capability")) },
        "commands": { "additionalProperties": command },
        "events": { "additionalProperties": event },
        "nodes": { "additionalProperties": { "required": ["type"], "allOf": [reference(&named(kind, "Model"))] } },
        "params": one_of(&["enum", "int", "string", "bool"]),
        "fingerprint": { "if": { "type": "array" }, "then": { "items": fingerprint }, "else": fingerprint },
        "tests": { "items": { "propertyNames": keys(&test_keys(kind)), "properties": { "sends": sends(kind) } } },
    });
    match kind {
        ProtocolKind::Mqtt => {
            let place = json!({ "if": { "type": "object" }, "then": set("topic"), "else": { "items": set("topic") } });
            model["mqtt"] = json!({ "properties": { "availability": place } });
        }
        ProtocolKind::Zigbee => {
            model["zigbee"] = json!({ "dependencies": { "manufacturer": ["model"] }, "properties": { "model": { "minItems": 1 } } });
        }
        _ => {}
    }
    json!({ "properties": model })
}

fn step(kind: ProtocolKind) -> Value {
    let mut step = match kind {
        ProtocolKind::Modbus => json!({ "oneOf": [set("holding"), set("coil")], "required": ["value"] }),
        ProtocolKind::Mqtt => set("topic"),
        ProtocolKind::Coap => set("path"),
        ProtocolKind::Line => set("send"),
        ProtocolKind::Ble => set("char"),
        ProtocolKind::Zigbee => {
            json!({ "required": ["cluster"], "anyOf": [set("attribute"), set("command")], "properties": { "command": { "minItems": 1 } } })
        }
    };
    step["propertyNames"] = keys(&step_keys(kind));
    step["allOf"] = json!([reference(&named(kind, "Write"))]);
    step
}

fn fingerprint(kind: ProtocolKind) -> Value {
    let place = if kind == ProtocolKind::Modbus { one(TABLES) } else { json!({}) };
    let sends = if kind == ProtocolKind::Line { json!({ "send": line_text() }) } else { json!({}) };
    json!({ "propertyNames": keys(&fingerprint_keys(kind)), "properties": sends, "allOf": [place] })
}

/// What a test sees the device be sent.
fn sends(kind: ProtocolKind) -> Value {
    match kind {
        ProtocolKind::Modbus => json!({
            "type": "object",
            "propertyNames": keys(&["holding", "coil"]),
            "additionalProperties": { "type": "object" },
        }),
        ProtocolKind::Line => {
            json!({ "if": { "type": "array" }, "then": { "items": line_said() }, "else": line_said() })
        }
        _ => json!({ "type": ["object", "array"], "items": { "type": "object" } }),
    }
}

fn capability(kind: ProtocolKind) -> Value {
    let (read, write) = (reference(&named(kind, "Read")), reference(&named(kind, "Write")));
    let write = json!({ "allOf": [write], "propertyNames": keys(&write_keys(kind)) });
    let held = json!({
        "if": { "type": "object" },
        "then": { "required": ["read"], "properties": { "read": read, "write": write } },
    });
    json!({
        "allOf": [reference("WholeCapability")],
        "properties": {
            "read": read,
            "values": { "additionalProperties": read },
            "write": write,
            "sensitivity": held,
            "hold": held,
            "rest": held,
        },
    })
}

fn read(kind: ProtocolKind) -> Value {
    let mut read = match kind {
        ProtocolKind::Modbus => {
            json!({ "allOf": [one(TABLES)], "properties": { "exponent": one(["holding", "input"]) } })
        }
        ProtocolKind::Mqtt => set("topic"),
        ProtocolKind::Coap => set("path"),
        ProtocolKind::Line => {
            let mut read = any(["says", "send", "find", "json", "bytes", "cbor", "senml", "tlv"]);
            read["properties"] = json!({ "send": line_text() });
            read
        }
        ProtocolKind::Ble => any(["char", "bthome", "nth", "service_data", "manufacturer", "rssi"]),
        ProtocolKind::Zigbee => {
            json!({ "required": ["cluster"], "anyOf": [set("attribute"), set("command")], "properties": { "command": { "minItems": 1 } } })
        }
    };
    read["propertyNames"] = keys(&read_keys(kind));
    ordered(kind, read)
}

/// With the orders that the protocol has: those of words in registers, or those of bytes.
fn ordered(kind: ProtocolKind, mut point: Value) -> Value {
    let strange = if kind == ProtocolKind::Modbus { ["big", "little"].as_slice() } else { &ORDERS };
    point["properties"]["order"] = json!({ "not": { "enum": strange } });
    point
}

/// What a write and a step of a command have in common.
fn write(kind: ProtocolKind) -> Value {
    let write = match kind {
        // The others are of what can only be read.
        ProtocolKind::Modbus => json!({
            "properties": { "input": false, "discrete": false },
            "not": { "required": ["holding", "coil"] },
        }),
        ProtocolKind::Mqtt => set("topic"),
        ProtocolKind::Coap | ProtocolKind::Zigbee => json!({}),
        ProtocolKind::Line => json!({ "required": ["send"], "properties": { "send": line_text() } }),
        ProtocolKind::Ble => json!({ "properties": { "send": hex_bytes() } }),
    };
    ordered(kind, write)
}

/// What a class needs, and what it may have besides.
fn of_class(class: Class) -> Value {
    let (needs, more): (&[&str], &[&str]) = match class {
        Class::BinaryControl => (&["write"], &["read"]),
        Class::LevelControl => {
            (&["unit", "min", "max", "write"], &["read", "valid", "step", "steps", "deadband"])
        }
        Class::EnumControl => (&["write"], &["read", "steps"]),
        Class::BinarySensor => (&["read"], &["sensitivity", "hold", "rest"]),
        Class::LevelSensor => (&["unit", "read"], &["valid", "deadband", "low", "high", "monotonic"]),
        Class::MultiLevelSensor => (&["unit", "values"], &["valid"]),
        Class::EnumSensor | Class::BlobSensor => (&["read"], &[]),
    };
    let always = ["class", "type", "name", "description", "poll", "max_age", "serve_stale"];
    let all: Vec<&str> = always.iter().chain(needs).chain(more).copied().collect();
    json!({
        "if": { "properties": { "class": { "const": class.name() } }, "required": ["class"] },
        "then": { "required": needs, "propertyNames": keys(&all), "properties": { "values": { "minProperties": 2 } } },
    })
}

/// These keys, and the condition that every map may have.
fn keys(keys: &[&str]) -> Value {
    let all: BTreeSet<&str> = keys.iter().copied().chain(["when"]).collect();
    json!({ "enum": all })
}

fn set(key: &str) -> Value {
    json!({ "required": [key] })
}

fn any<'k>(keys: impl IntoIterator<Item = &'k str>) -> Value {
    json!({ "anyOf": keys.into_iter().map(set).collect::<Vec<_>>() })
}

fn one<'k>(keys: impl IntoIterator<Item = &'k str>) -> Value {
    json!({ "oneOf": keys.into_iter().map(set).collect::<Vec<_>>() })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn named(kind: ProtocolKind, what: &str) -> String {
    let protocol = match kind {
        ProtocolKind::Modbus => "Modbus",
        ProtocolKind::Mqtt => "Mqtt",
        ProtocolKind::Coap => "Coap",
        ProtocolKind::Line => "Line",
        ProtocolKind::Ble => "Ble",
        ProtocolKind::Zigbee => "Zigbee",
    };
    format!("{protocol}{what}")
}
