//! The things at the small server, seen by a raw client.

use serde_json::{Value, json};

use super::*;
use crate::mischief::{MqttFault, Order};
use crate::mqtt::{Connect, Packet, Peer, Publish, Relay};

struct Bench {
    relay: Relay,
    peer: Peer,
}

impl Bench {
    async fn new() -> Self {
        let relay = Relay::start().await.unwrap();
        let mut peer = Peer::connect(relay.address(), &Connect::client(5, "watcher")).await.unwrap();
        peer.subscribe(&[("#", 0)]).await.unwrap();
        Self { relay, peer }
    }

    async fn say(&mut self, topic: &str, body: &str) {
        let publish = Publish { topic: topic.to_owned(), payload: body.into(), ..Publish::default() };
        self.peer.say(&Packet::Publish(publish)).await.unwrap();
    }

    /// The next body on a topic.
    async fn text(&mut self, topic: &str) -> String {
        loop {
            let publish = self.peer.publication().await.unwrap();
            if publish.topic == topic {
                return String::from_utf8_lossy(&publish.payload).into_owned();
            }
        }
    }

    async fn json(&mut self, topic: &str) -> Value {
        serde_json::from_str(&self.text(topic).await).unwrap()
    }
}

fn bridge() -> Zigbee2Mqtt {
    let device =
        |model, last: u8, name| ZigbeeDevice::new(model, &format!("0x00158d00000000{last:02x}"), name);
    let devices = vec![
        device(ZigbeeModel::Plug, 1, "plug"),
        device(ZigbeeModel::Motion, 2, "hall/motion"),
        device(ZigbeeModel::Strip, 3, "strip"),
    ];
    Zigbee2Mqtt::new("zigbee2mqtt", devices).with_waiting(device(ZigbeeModel::Light, 4, "lamp"))
}

#[tokio::test]
async fn zigbee2mqtt_sets_and_gets() {
    let mut bench = Bench::new().await;
    let thing = run(bridge(), bench.relay.address(), true);
    let list = bench.json("zigbee2mqtt/bridge/devices").await;
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert_eq!(list[1]["definition"]["exposes"][0]["features"][0]["value_on"], "ON");
    assert_eq!(bench.json("zigbee2mqtt/plug").await["state"], "OFF");
    bench.say("zigbee2mqtt/plug/set", r#"{"state": "ON"}"#).await;
    assert_eq!(bench.json("zigbee2mqtt/plug").await["state"], "ON");
    bench.say("zigbee2mqtt/plug/get", r#"{"power": ""}"#).await;
    assert_eq!(bench.json("zigbee2mqtt/plug").await["state"], "ON");
    bench.say("zigbee2mqtt/strip/set", r#"{"state_l2": "TOGGLE", "nonsense": 1}"#).await;
    let strip = bench.json("zigbee2mqtt/strip").await;
    assert_eq!((&strip["state_l1"], &strip["state_l2"]), (&json!("OFF"), &json!("ON")));
    thing.set("hall/motion.occupancy", "true").unwrap();
    assert_eq!(bench.json("zigbee2mqtt/hall/motion").await["occupancy"], true);
    assert!(thing.set("plug.state", "1").is_err() && thing.set("plug.colour", "1").is_err());
    thing.stop().await;
    assert_eq!(bench.json("zigbee2mqtt/bridge/state").await["state"], "offline");
}

#[tokio::test]
async fn devices_join_are_renamed_and_leave() {
    let mut bench = Bench::new().await;
    let thing = run(bridge(), bench.relay.address(), true);
    bench.json("zigbee2mqtt/strip").await;
    bench.say("zigbee2mqtt/bridge/request/permit_join", r#"{"time": 60, "transaction": "t1"}"#).await;
    let response = bench.json("zigbee2mqtt/bridge/response/permit_join").await;
    assert_eq!(response, json!({"data": {"time": 60}, "status": "ok", "transaction": "t1"}));
    assert_eq!(bench.json("zigbee2mqtt/bridge/info").await["permit_join"], true);
    assert_eq!(bench.json("zigbee2mqtt/bridge/event").await["type"], "device_joined");
    assert_eq!(bench.json("zigbee2mqtt/bridge/devices").await.as_array().unwrap().len(), 5);
    bench.say("zigbee2mqtt/bridge/request/device/rename", r#"{"from": "plug", "to": "kitchen plug"}"#).await;
    assert_eq!(bench.json("zigbee2mqtt/bridge/devices").await[1]["friendly_name"], "kitchen plug");
    bench.say("zigbee2mqtt/bridge/request/device/remove", r#"{"id": "strip"}"#).await;
    assert_eq!(bench.json("zigbee2mqtt/bridge/devices").await.as_array().unwrap().len(), 4);
    bench.say("zigbee2mqtt/bridge/request/device/remove", r#"{"id": "strip"}"#).await;
    assert_eq!(bench.json("zigbee2mqtt/bridge/response/device/remove").await["status"], "error");
    thing.set("kitchen plug.availability", "offline").unwrap();
    assert_eq!(bench.json("zigbee2mqtt/kitchen plug/availability").await["state"], "offline");
}

#[tokio::test]
async fn a_tasmota_switches_and_tells() {
    let mut bench = Bench::new().await;
    let _thing = run(TasmotaSwitch::new("boiler", "A4CF12345678", "Boiler"), bench.relay.address(), true);
    assert_eq!(bench.text("tele/boiler/LWT").await, "Online");
    let config = bench.json("tasmota/discovery/A4CF12345678/config").await;
    assert_eq!((&config["t"], &config["rl"][0]), (&json!("boiler"), &json!(1)));
    bench.json("tele/boiler/SENSOR").await;
    bench.say("cmnd/boiler/POWER", "ON").await;
    assert_eq!(bench.json("stat/boiler/RESULT").await, json!({"POWER": "ON"}));
    bench.say("cmnd/boiler/STATE", "").await;
    assert_eq!(bench.json("stat/boiler/RESULT").await["POWER"], "ON");
    bench.say("cmnd/boiler/STATUS", "10").await;
    assert_eq!(bench.json("stat/boiler/STATUS10").await["StatusSNS"]["ENERGY"]["Power"], 42.0);
}

#[tokio::test]
async fn a_shelly_is_called_and_notifies() {
    let mut bench = Bench::new().await;
    let id = "shellyplusplugs-d4d4da123456";
    let _thing = run(ShellyPlug::new(id, "Desk"), bench.relay.address(), true);
    assert_eq!(bench.text(&format!("{id}/online")).await, "true");
    let call = |id: u8, method: &str, params: Value| {
        json!({"id": id, "src": "me", "method": method, "params": params}).to_string()
    };
    bench.say(&format!("{id}/rpc"), &call(1, "Switch.Set", json!({"id": 0, "on": true}))).await;
    assert_eq!(bench.json("me/rpc").await["result"], json!({"was_on": false}));
    assert_eq!(bench.json(&format!("{id}/events/rpc")).await["params"]["switch:0"]["output"], true);
    bench.say(&format!("{id}/command/switch:0"), "status_update").await;
    assert_eq!(bench.json(&format!("{id}/status/switch:0")).await["output"], true);
    bench.say(&format!("{id}/rpc"), &call(2, "Switch.Set", json!({"id": 1, "on": true}))).await;
    assert_eq!(bench.json("me/rpc").await["error"]["code"], -105);
}

#[tokio::test]
async fn a_device_that_home_assistant_discovers() {
    let mut bench = Bench::new().await;
    let _thing = run(HomeAssistantDevice::new("breeze1", "Breeze"), bench.relay.address(), true);
    assert_eq!(bench.json("homeassistant/switch/breeze1/fan/config").await["cmd_t"], "~/fan/set");
    bench.json("breeze1/climate").await;
    bench.say("breeze1/speed/set", "55").await;
    assert_eq!(bench.text("breeze1/speed").await, "55", "what was set comes before what is refused");
}

#[tokio::test]
async fn faults_do_what_they_are_called() {
    let mut bench = Bench::new().await;
    let thing = run(HomeAssistantDevice::new("fan", "Fan"), bench.relay.address(), true);
    bench.json("fan/climate").await;
    thing.fault(Order::times(MqttFault::Duplicate, 1));
    thing.set("speed", "5").unwrap();
    assert_eq!((bench.text("fan/speed").await, bench.text("fan/speed").await), ("5".into(), "5".into()));
    thing.fault(Order::times(MqttFault::Garbled, 1));
    thing.set("mode", "night").unwrap();
    assert!(bench.text("fan/mode").await.contains('\u{fffd}'));
    thing.fault(Order::times(MqttFault::Unconfirmed, 1));
    bench.say("fan/speed/set", "70").await;
    bench.say("fan/speed/set", "80").await;
    assert_eq!(
        (bench.text("fan/speed/set").await.as_str(), bench.text("fan/speed").await.as_str()),
        ("70", "80")
    );
    thing.fault(MqttFault::Reordered);
    thing.set("speed", "1").unwrap();
    thing.set("speed", "2").unwrap();
    assert_eq!((bench.text("fan/speed").await.as_str(), bench.text("fan/speed").await.as_str()), ("2", "1"));
    thing.clear();
    thing.fault(MqttFault::RetainedGarbage);
    assert_eq!(bench.text("fan/fan").await, "{\"state\":");
    assert!(bench.relay.retained("fan/fan").is_some());
    thing.set("fan", "ON").unwrap();
    thing.fault(MqttFault::Reboot);
    assert_eq!(bench.text("fan/status").await, "offline");
    assert_eq!(bench.text("fan/status").await, "online");
    assert_eq!(bench.text("fan/fan").await, "OFF");
    thing.fault(MqttFault::Silent);
    assert_eq!(thing.faults(), ["silent"]);
    bench.say("fan/speed/set", "9").await;
    thing.clear();
    bench.say("fan/mode/set", "boost").await;
    bench.text("fan/mode").await;
    assert_eq!(thing.value("speed").as_deref(), Some("2"));
}

/// What the vectors of the library say is sent does in a thing what they say is set.
#[test]
fn a_thing_made_from_its_mapping_does_what_it_is_told() {
    let mut done = 0;
    let files = usp_mapping::library::builtin().iter().filter(|(name, _)| name.starts_with("mqtt/"));
    for (name, text) in files {
        let file = usp_mapping::diagnostic::SourceFile::new(name, text);
        let draft = usp_mapping::draft::MappingDraft::parse(&file).0.unwrap();
        let mut thing =
            MappedThing::from_draft(&draft, "~").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(thing.greet().len() > thing.will().iter().count(), "{name} says nothing");
        for test in draft.tests.iter().filter(|test| !test.write.is_empty()) {
            for said in &test.sends.said {
                thing.hear(&said.place.value, &said.body.value, true);
            }
            for (id, value) in &test.write {
                let shown = thing.show().into_iter().find(|(known, _)| *known == id.value);
                assert_eq!(
                    shown.map(|(_, value)| value).as_ref(),
                    Some(&value.value),
                    "{name}: {}",
                    id.value
                );
                done += 1;
            }
        }
    }
    assert!(done > 15, "{done}");
}
