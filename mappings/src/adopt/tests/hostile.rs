//! Whatever anybody publishes.

use proptest::prelude::*;

use super::*;

const TOPICS: &[&str] = &[
    "zigbee2mqtt/bridge/devices",
    "zigbee2mqtt/bridge/info",
    "tasmota/discovery/A4CF12345678/config",
    "tasmota/discovery/A4CF12345678/sensors",
    "shellyplus1-aabbcc/online",
    "shellyplus1-aabbcc/events/rpc",
    "usp-broker-1/rpc",
    "homeassistant/sensor/a/config",
    "homeassistant/light/a/b/config",
    "homeassistant/device/a/config",
];

/// Pieces that these messages are made of.
fn text() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("state"),
        Just("ON"),
        Just("switch"),
        Just("light"),
        Just("numeric"),
        Just("enum"),
        Just("binary"),
        Just("composite"),
        Just("~"),
        Just("~/x"),
        Just("a/b"),
        Just("+"),
        Just("#"),
        Just("${x}"),
        Just("$value"),
        Just("\"\\\n"),
        Just(""),
        Just("°C"),
        Just("%"),
        Just("{{ value_json.x }}"),
        Just("{{ value }}"),
        Just("\u{2028}\u{feff}"),
        Just("0x00158d0000000001"),
    ];
    prop_oneof![3 => words.prop_map(str::to_owned), 1 => "[ -~]{0,12}", 1 => "\\PC{0,6}"]
}

fn name() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        Just("ieee_address"),
        Just("friendly_name"),
        Just("definition"),
        Just("exposes"),
        Just("features"),
        Just("type"),
        Just("name"),
        Just("property"),
        Just("endpoint"),
        Just("access"),
        Just("values"),
        Just("value_on"),
        Just("value_off"),
        Just("value_min"),
        Just("value_max"),
        Just("value_step"),
        Just("unit"),
        Just("description"),
        Just("model"),
        Just("config"),
        Just("availability"),
        Just("t"),
        Just("ft"),
        Just("tp"),
        Just("rl"),
        Just("fn"),
        Just("dn"),
        Just("md"),
        Just("state"),
        Just("sn"),
        Just("lt_st"),
        Just("so"),
        Just("stat_t"),
        Just("cmd_t"),
        Just("~"),
        Just("dev"),
        Just("ids"),
        Just("val_tpl"),
        Just("cmd_tpl"),
        Just("avty"),
        Just("topic"),
        Just("options"),
        Just("unit_of_meas"),
        Just("schema"),
        Just("cmps"),
        Just("p"),
        Just("id"),
        Just("result"),
        Just("switch:0"),
        Just("cover:0"),
        Just("output"),
        Just("src"),
        Just("min"),
        Just("max"),
        Just("brightness"),
    ];
    names.prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1000_i64..1000).prop_map(Value::from),
        (0_i64..8).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec((name(), inner), 0..8)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// Everything that is adopted can be used, whatever was said.
fn holds(adopter: &mut Adopter) -> Result<(), TestCaseError> {
    for device in adopter.devices() {
        prop_assert!(is_topic(&device.topic) && !device.id.is_empty(), "{device:?}");
        prop_assert!(device.name.chars().count() <= 64 && !device.name.chars().any(char::is_control));
        let (mapping, found) =
            crate::compile::compile_file(&crate::diagnostic::SourceFile::new("x", &device.text));
        prop_assert!(mapping.as_ref() == Some(&*device.mapping), "{found:?}\n{}", device.text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_taken_or_left_out(said in proptest::collection::vec((0..TOPICS.len(), json()), 1..6)) {
        let mut adopter = adopter(&AdoptedFrom::ALL);
        for (topic, body) in said {
            adopter.hear(TOPICS[topic], body.to_string().as_bytes());
        }
        holds(&mut adopter)?;
    }

    #[test]
    fn any_exposes_are_taken_or_left_out(exposes in json(), name in text()) {
        let list = serde_json::json!([{"ieee_address": "0x1", "friendly_name": name, "type": "Router",
            "definition": {"vendor": name, "model": name, "description": name, "exposes": [exposes.clone(), {"type": "light", "features": [exposes]}]}}]);
        let mut adopter = adopter(&[AdoptedFrom::Zigbee2Mqtt]);
        adopter.hear("zigbee2mqtt/bridge/devices", list.to_string().as_bytes());
        holds(&mut adopter)?;
    }

    #[test]
    fn any_bytes_change_nothing(topic in 0..TOPICS.len(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut adopter = adopter(&AdoptedFrom::ALL);
        adopter.hear(TOPICS[topic], &body);
        holds(&mut adopter)?;
    }
}

#[test]
fn there_are_never_too_many() {
    let mut adopter = adopter(&AdoptedFrom::ALL);
    for number in 0..MAX_DEVICES + 10 {
        let body = format!(r#"{{"t": "d{number}", "rl": [], "mac": "{number}"}}"#);
        adopter.hear(&format!("tasmota/discovery/{number}/config"), body.as_bytes());
        adopter.hear(&format!("shelly{number}/online"), b"true");
    }
    assert!(adopter.devices().is_empty());
    assert!(adopter.left_out().len() <= 2 * MAX_NOTES);
}
