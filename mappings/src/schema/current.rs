//! The schemas that are shipped are those of the types, and the types are what the reader takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::mapping::Mapping;
use super::site::Site;
use super::whole;
use crate::check::check_file;
use crate::diagnostic::{SourceFile, has_errors, render};
use crate::draft::site::Use;
use crate::library::Catalog;
use crate::read::seen;

/// What is resolved before a file is read.
const EXPANDED: [&str; 2] = ["extends", "when"];

/// Every map with fixed keys: what the reader calls it, and where the schema of its file has it.
const MAPPING_MAPS: &[(&str, &str)] = &[
    ("a mapping", ""),
    ("`device`", "/properties/device"),
    ("a parameter", "/definitions/Param"),
    ("`modbus`", "/properties/modbus"),
    ("`mqtt`", "/properties/mqtt"),
    ("`availability`", "/definitions/Availability"),
    ("`get`", "/definitions/Read/properties/get"),
    ("`coap`", "/properties/coap"),
    ("`line`", "/properties/line"),
    ("`ble`", "/properties/ble"),
    ("`match`", "/properties/ble/properties/match"),
    ("`ask`", "/definitions/Read/properties/ask"),
    ("`answer`", "/definitions/Write/properties/answer"),
    ("an advertisement", "/definitions/Advert"),
    ("`request`", "/properties/line/properties/request"),
    ("`length`", "/properties/line/properties/length/anyOf/0"),
    ("`checksum`", "/properties/line/properties/checksum/anyOf/0"),
    ("`zigbee`", "/properties/zigbee"),
    ("an entry of `setup`", "/definitions/SetupStep"),
    ("a field", "/definitions/ZigbeeField"),
    ("`report`", "/definitions/Report"),
    ("what is sent", "/definitions/ZigbeeTold"),
    ("`online`", "/properties/online"),
    ("`down`", "/properties/online/properties/down"),
    ("`fingerprint`", "/definitions/Fingerprint"),
    ("a capability", "/definitions/Capability"),
    ("`read`", "/definitions/Read"),
    ("`write`", "/definitions/Write"),
    ("`exponent`", "/definitions/Read/properties/exponent"),
    ("`verify`", "/definitions/Write/properties/verify/anyOf/3"),
    ("`hold`", "/definitions/Held"),
    ("a node", "/definitions/Node"),
    ("a command", "/definitions/Command"),
    ("an argument", "/definitions/Arg"),
    ("a step", "/definitions/Step"),
    ("an event", "/definitions/Event"),
    ("a test", "/definitions/Test"),
    ("`before`", "/definitions/Test/properties/before"),
    ("`sends`", "/definitions/Test/properties/sends/anyOf/0"),
];

const SITE_MAPS: &[(&str, &str)] = &[
    ("a site", ""),
    ("a bus", "/definitions/Bus"),
    ("a device", "/definitions/Device"),
    ("`psk`", "/definitions/Device/properties/psk"),
];

/// Mappings with a map of every kind, one for each protocol.
const EVERYTHING: [&str; 6] = [
    include_str!("everything.yaml"),
    include_str!("everything-mqtt.yaml"),
    include_str!("everything-coap.yaml"),
    include_str!("everything-line.yaml"),
    include_str!("everything-ble.yaml"),
    include_str!("everything-zigbee.yaml"),
];

const SITE: &str = r#"
site: 1
buses: {plant: {modbus_tcp: "192.168.1.20:502"}, lan: {coap: any}, p1: {serial_line: /dev/ttyUSB0}, radio: {ble: hci0, slots: 2}, mesh: {zigbee: /dev/ttyACM0, ncp: znp, adopt: true}}
devices:
  meter: {use: usp.demo-meter, bus: plant, unit: 1}
  smart: {use: dsmr.p1-v5, bus: p1}
  lamp: {file: lamp.yaml, bus: lan, host: lamp.lan, psk: {identity: hub, key: "env:KEY"}}
"#;

fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft07();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let mut value = schema.to_value();
    one_line(&mut value);
    flatten(&mut value);
    value
}

/// The schema of mapping files: every map of fixed keys but the whole can be subject to a condition.
fn mapping(title: &str) -> Value {
    let mut value = schema::<Mapping>(title);
    for part in ["properties", "definitions"] {
        add_when(&mut value[part]);
    }
    value["definitions"]["When"] = when();
    for (name, definition) in whole::definitions() {
        value["definitions"][name] = definition;
    }
    value
}

/// The schema of site files: nothing extends another, so that no key is without a value.
fn site(title: &str) -> Value {
    let mut value = schema::<Site>(title);
    no_null(&mut value);
    value
}

fn no_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(no_null);
            let kinds = map.get_mut("type").and_then(Value::as_array_mut);
            kinds.into_iter().for_each(|kinds| kinds.retain(|kind| kind != "null"));
            let choices = map.get_mut("anyOf").and_then(Value::as_array_mut);
            choices.into_iter().for_each(|choices| choices.retain(|choice| choice["type"] != "null"));
            let words = map.get_mut("enum").and_then(Value::as_array_mut);
            words.into_iter().for_each(|words| words.retain(|word| !word.is_null()));
        }
        Value::Array(items) => items.iter_mut().for_each(no_null),
        _ => {}
    }
}

fn add_when(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(add_when);
            let is_fixed = map.get("additionalProperties") == Some(&Value::Bool(false));
            if let Some(Value::Object(properties)) = map.get_mut("properties").filter(|_| is_fixed) {
                properties.insert("when".to_owned(), json!({ "$ref": "#/definitions/When" }));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(add_when),
        _ => {}
    }
}

fn when() -> Value {
    let value = json!({ "type": ["string", "number", "boolean"] });
    json!({
        "type": ["object", "null"],
        "description": "Keeps this only where the parameters say so: `{phase: L1}`, or `{phase: [L1, L2]}`; all must hold.",
        "minProperties": 1,
        "additionalProperties": { "anyOf": [value, { "type": "array", "items": value }] },
    })
}

/// A choice between choices is one choice.
fn flatten(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(flatten);
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                *choices = choices.drain(..).flat_map(choice).collect();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(flatten),
        _ => {}
    }
}

fn choice(value: Value) -> Vec<Value> {
    match value {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("anyOf") => match map.remove("anyOf") {
            Some(Value::Array(choices)) => choices,
            other => other.into_iter().collect(),
        },
        other => vec![other],
    }
}

/// A description is a paragraph, however the source breaks its lines.
fn one_line(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => *text = text.replace('\n', " "),
                    value => one_line(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(one_line),
        _ => {}
    }
}

#[test]
fn the_schemas_are_current() {
    for (name, shipped, schema) in [
        ("mapping", super::MAPPING, mapping("usp-broker mapping file")),
        ("site", super::SITE, site("usp-broker site file")),
    ] {
        let text = serde_json::to_string_pretty(&schema).expect("it is JSON") + "\n";
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.json"));
            std::fs::write(path, &text).expect("the schema is written");
        } else {
            assert!(text == shipped, "UPDATE_EXPECT=1 cargo test -p usp-mapping schema");
        }
    }
}

#[test]
fn orders_of_bytes_are_none_of_registers() {
    let schema = mapping("");
    let order = schema.pointer("/properties/modbus/properties/order").map(Value::to_string);
    let order = order.unwrap_or_default();
    assert!(order.contains("CDAB") && !order.contains("little"), "{order}");
    for (kind, word) in [("Modbus", "little"), ("Mqtt", "CDAB"), ("Ble", "CDAB")] {
        for place in ["Read", "Write"] {
            let place = format!("/definitions/{kind}{place}/properties/order/not/enum");
            let strange = schema
                .pointer(&place)
                .and_then(Value::as_array)
                .is_some_and(|all| all.contains(&word.into()));
            assert!(strange, "{place} takes {word}");
        }
    }
}

/// What the reader takes in each kind of map, from reading this file.
fn taken(texts: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    seen::clear();
    for text in texts {
        let found = check_file(&SourceFile::new("x.yaml", text), &|wanted| match wanted {
            Use::File(_) => Ok(SourceFile::new("lamp.yaml", EVERYTHING[2])),
            Use::Profile { .. } => Catalog::builtin().find(wanted),
        });
        assert!(!has_errors(&found), "{}", render(&found, false));
    }
    seen::all()
}

fn compare(maps: &[(&str, &str)], schema: &Value, taken: &BTreeMap<String, BTreeSet<String>>) {
    let mut missing: Vec<&String> = taken.keys().collect();
    missing.retain(|what| !maps.iter().any(|(known, _)| known == what));
    assert!(missing.is_empty(), "the schema knows nothing of {missing:?}");
    for (what, place) in maps {
        let keys = taken.get(*what).unwrap_or_else(|| unread(what));
        let part = schema.pointer(place).unwrap_or_else(|| unread(place));
        let part = part.get("anyOf").and_then(|any| any.get(0)).unwrap_or(part);
        assert_eq!(part["additionalProperties"], Value::Bool(false), "{what}");
        let properties = part["properties"].as_object().unwrap_or_else(|| unread(what));
        let known: BTreeSet<String> =
            properties.keys().filter(|key| !EXPANDED.contains(&key.as_str())).cloned().collect();
        assert_eq!(&known, keys, "{what}: the schema has others than the reader");
        for (key, property) in properties {
            let is_described = property["description"].is_string() || property["$ref"].is_string();
            assert!(is_described, "{what}: `{key}` is not described");
        }
    }
}

fn unread<T>(what: &str) -> T {
    unreachable!("nothing is found of {what}")
}

#[test]
fn schema_and_reader_have_the_same_keys() {
    compare(MAPPING_MAPS, &mapping(""), &taken(&EVERYTHING));
    let mut site = taken(&[SITE]);
    site.retain(|what, _| SITE_MAPS.iter().any(|(known, _)| known == what));
    compare(SITE_MAPS, &self::site(""), &site);
}
