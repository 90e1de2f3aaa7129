//! Each family, with payloads as its documents have them.

use super::*;

const BRIDGE: &str = include_str!("zigbee2mqtt_devices.json");

fn zigbee2mqtt(config: &str) -> (Vec<Arc<Adopted>>, Vec<LeftOut>) {
    let info = format!(r#"{{"version": "2.1.3", "permit_join": false, "config": {config}}}"#);
    adopt(
        AdoptedFrom::Zigbee2Mqtt,
        &[("zigbee2mqtt/bridge/devices", BRIDGE), ("zigbee2mqtt/bridge/info", &info)],
    )
}

#[test]
fn what_zigbee2mqtt_exposes_becomes_capabilities() {
    let (devices, left) =
        zigbee2mqtt(r#"{"availability": {"enabled": true}, "advanced": {"output": "json"}}"#);
    let plug = device(&devices, "0x00158d0001a2b3c4");
    assert_eq!((plug.name.as_str(), plug.topic.as_str()), ("kitchen/plug", "zigbee2mqtt/kitchen/plug"));
    assert_eq!(plug.mapping.device_type, "PowerStrip");
    assert_eq!(
        shape(plug),
        [
            "State: BinaryControl Switch",
            "Power: LevelSensor Power W",
            "Voltage: LevelSensor Meter V",
            "Energy: LevelSensor Energy kWh",
            "Power outage memory: EnumControl X_ZIGBEE2MQTT_PowerOutageMemory",
            "Linkquality: LevelSensor Intensity -",
        ]
    );
    let strip = device(&devices, "0x00158d0000000003");
    assert_eq!(
        shape(strip)[..3],
        [
            "Linkquality: LevelSensor Intensity -",
            "l1.State: BinaryControl Switch",
            "l2.State: BinaryControl Switch"
        ]
    );
    let motion = device(&devices, "0x00158d0000000002");
    assert!(shape(motion).contains(&"Occupancy: BinarySensor MotionDetected".to_owned()));
    assert!(shape(motion).contains(&"Battery: LevelSensor Battery %".to_owned()));
    let door = device(&devices, "0x00158d0000000005");
    assert!(shape(door).contains(&"Contact: BinarySensor DoorOpen".to_owned()), "{:?}", shape(door));
    assert!(door.text.contains("invert: true"), "contact is true while the door is closed: {}", door.text);
    assert_eq!(door.mapping.events.len(), 1, "{left:?}");
    let bulb = device(&devices, "0x00158d0000000004");
    assert_eq!(bulb.mapping.device_type, "Light");
    let colour = bulb.mapping.capabilities.iter().find(|c| c.class == Class::MultiLevelSensor).unwrap();
    assert_eq!(colour.kind, "X_ZIGBEE2MQTT_ColorXy");
    assert_eq!(bulb.mapping.commands[0].name, "X_ZIGBEE2MQTT_Effect");
    let bridge = device(&devices, "0x00124b00deadbeef");
    assert!(bridge.mapping.commands.iter().any(|command| command.name == "X_ZIGBEE2MQTT_PermitJoin"));
    assert!(has_left(&left, "the device", "not supported"), "{left:?}");
    assert!(has_left(&left, "the device", "disabled"), "{left:?}");
    assert!(has_left(&left, "color", "set together"), "{left:?}");
    assert_eq!(devices.len(), 6, "{devices:#?}");
}

#[test]
fn availability_is_as_the_bridge_is_set_up() {
    let topics = |config: &str| -> Vec<String> {
        let (devices, _) = zigbee2mqtt(config);
        let Protocol::Mqtt(options) = &device(&devices, "0x00158d0001a2b3c4").mapping.protocol else {
            panic!()
        };
        options.availability.iter().map(|said| format!("{} {}", said.topic, said.pick)).collect()
    };
    let bridge = "zigbee2mqtt/bridge/state json /state";
    assert_eq!(topics("{}"), [bridge]);
    assert_eq!(topics(r#"{"availability": true}"#), ["~/availability json /state", bridge]);
    assert_eq!(topics(r#"{"availability": {"enabled": false}}"#), [bridge]);
    assert_eq!(
        topics(
            r#"{"availability": {"enabled": true}, "devices": {"0x00158d0001a2b3c4": {"availability": false}}}"#
        ),
        [bridge]
    );
    assert_eq!(
        topics(r#"{"availability": true, "advanced": {"legacy_availability_payload": true}}"#),
        ["~/availability text", "zigbee2mqtt/bridge/state text"]
    );
}

#[test]
fn a_renamed_device_keeps_its_id_and_its_mapping() {
    let mut adopter = adopter(&[AdoptedFrom::Zigbee2Mqtt]);
    adopter.hear("zigbee2mqtt/bridge/devices", BRIDGE.as_bytes());
    let before = adopter.devices();
    let renamed = BRIDGE.replace("kitchen/plug", "cellar");
    assert!(adopter.hear("zigbee2mqtt/bridge/devices", renamed.as_bytes()).changed);
    let after = adopter.devices();
    let (old, new) = (device(&before, "0x00158d0001a2b3c4"), device(&after, "0x00158d0001a2b3c4"));
    assert_eq!((new.name.as_str(), new.topic.as_str()), ("cellar", "zigbee2mqtt/cellar"));
    assert_eq!(old.text, new.text);
    let same = |id: &str| before.iter().find(|d| d.id == id).zip(after.iter().find(|d| d.id == id)).unwrap();
    let (old, new) = same("0x00158d0000000003");
    assert!(Arc::ptr_eq(old, new), "what did not change is not written anew");
    assert!(adopter.hear("zigbee2mqtt/bridge/devices", b"[]").changed);
    assert!(adopter.devices().is_empty());
}

#[test]
fn tasmota_tells_what_it_has() {
    let config = r#"{"ip":"192.0.2.4","dn":"Boiler","fn":["Boiler","Pump",null],"hn":"tasmota-1234","mac":"A4CF12345678",
        "md":"Sonoff Dual R3","ty":0,"if":0,"ofln":"Offline","onln":"Online","state":["OFF","ON","TOGGLE","HOLD"],"sw":"14.2.0",
        "t":"boiler","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1,1,0,0],"so":{"26":0,"68":0},"lk":0,"lt_st":0,"ver":1}"#;
    let sensors = r#"{"sn":{"Time":"2026-11-29T10:00:00","ENERGY":{"TotalStartTime":"2026-01-01T00:00:00","Total":3.185,"Power":[42,0],
        "Voltage":230,"Factor":0.95},"AM2301":{"Temperature":70.1,"Humidity":45.2,"DewPoint":null},"Switch1":"ON","TempUnit":"F"},"ver":1}"#;
    let (devices, left) = adopt(
        AdoptedFrom::Tasmota,
        &[
            ("tasmota/discovery/A4CF12345678/config", config),
            ("tasmota/discovery/A4CF12345678/sensors", sensors),
        ],
    );
    let boiler = device(&devices, "A4CF12345678");
    assert_eq!((boiler.name.as_str(), boiler.topic.as_str(), left.len()), ("Boiler", "boiler", 0));
    assert_eq!(
        shape(boiler),
        [
            "ENERGY Total: LevelSensor Energy kWh",
            "ENERGY Power 0: LevelSensor Power W",
            "ENERGY Power 1: LevelSensor Power W",
            "ENERGY Voltage: LevelSensor Meter V",
            "ENERGY Factor: LevelSensor X_TASMOTA_Factor -",
            "AM2301 Temperature: LevelSensor Temperature degF",
            "AM2301 Humidity: LevelSensor Humidity %",
            "AM2301 DewPoint: LevelSensor Temperature degF",
            "Switch1: BinarySensor X_TASMOTA_Switch1",
            "n1-boiler.Power: BinaryControl Switch",
            "n2-pump.Power: BinaryControl Switch",
        ]
    );
    assert!(boiler.text.contains(r#"topic: "cmnd/~/POWER2""#), "{}", boiler.text);
}

#[test]
fn tasmota_topics_are_as_they_are_set_up() {
    let config = r#"{"dn":"Lamp","mac":"A4CF12345679","t":"lamp","ft":"home/%topic%/%prefix%/","tp":["c","s","t"],"rl":[2],
        "state":["Aus","An"],"onln":"da","ofln":"weg","lt_st":2,"md":"Bulb"}"#;
    let (devices, _) = adopt(AdoptedFrom::Tasmota, &[("tasmota/discovery/A4CF12345679/config", config)]);
    let lamp = device(&devices, "A4CF12345679");
    assert_eq!(lamp.mapping.device_type, "Light");
    for part in [
        r#""home/~/s/RESULT""#,
        r#""home/~/t/LWT", online: "da", offline: "weg""#,
        r#""An": true"#,
        r#""home/~/c/Dimmer""#,
    ] {
        assert!(lamp.text.contains(part), "{part}: {}", lamp.text);
    }
}

#[test]
fn a_shelly_is_asked_what_it_is() {
    let mut adopter = adopter(&[AdoptedFrom::Shelly]);
    assert!(adopter.hear("printer/online", b"true").asks.is_empty(), "nobody else is asked");
    let id = "shellypro2pm-c8f09e88a1b0";
    let heard = adopter.hear(&format!("{id}/online"), b"true");
    let methods: Vec<&str> = heard.asks.iter().map(|ask| ask.body.rsplit('"').nth(1).unwrap()).collect();
    assert_eq!(methods, ["Shelly.GetDeviceInfo", "Shelly.GetConfig", "Shelly.GetStatus"]);
    assert_eq!(heard.asks[0].topic, format!("{id}/rpc"));
    assert!(heard.asks[0].body.contains(r#""src":"usp-broker-1""#));
    let answer = |number: u8, result: &str| {
        format!(r#"{{"id": "{number} {id}", "src": "{id}", "dst": "usp-broker-1", "result": {result}}}"#)
    };
    let info = format!(
        r#"{{"name": "Cellar", "id": "{id}", "model": "SPSW-202PE16EU", "gen": 2, "app": "Pro2PM"}}"#
    );
    let config = r#"{"switch:0": {"id": 0, "name": "Lamp"}, "switch:1": {"id": 1, "name": null}, "mqtt": {"status_ntf": false}}"#;
    let status = r#"{"switch:0": {"id": 0, "output": false, "apower": 0.0, "voltage": 228.1, "aenergy": {"total": 11.679},
        "temperature": {"tC": 38.1}}, "switch:1": {"id": 1, "output": true, "apower": 1.5}, "input:0": {"id": 0, "state": false},
        "sys": {"uptime": 1}, "wifi": {}, "weird:0": {}}"#;
    assert!(adopter.hear("usp-broker-1/rpc", answer(0, &info).as_bytes()).changed);
    assert!(adopter.devices().is_empty());
    assert!(adopter.hear("usp-broker-1/rpc", answer(1, config).as_bytes()).changed);
    assert!(adopter.hear("usp-broker-1/rpc", answer(2, status).as_bytes()).changed);
    assert!(!adopter.hear("usp-broker-1/rpc", answer(2, &status.replace("1.5", "2.5")).as_bytes()).changed);
    let devices = adopter.devices();
    let pro = device(&devices, id);
    assert_eq!(
        shape(pro),
        [
            "Input: BinarySensor X_SHELLY_Input",
            "switch-0-lamp.Output: BinaryControl Switch",
            "switch-0-lamp.Power: LevelSensor Power W",
            "switch-0-lamp.Voltage: LevelSensor Meter V",
            "switch-0-lamp.Energy: LevelSensor Energy Wh",
            "switch-0-lamp.Device temperature: LevelSensor Temperature degC",
            "switch-1.Output: BinaryControl Switch",
            "switch-1.Power: LevelSensor Power W",
        ]
    );
    assert!(has_left(adopter.left_out(), "weird:0", "nothing is known"));
    assert!(has_left(adopter.left_out(), "changes at once", "Generic status update"));
    assert!(adopter.hear(&format!("{id}/online"), b"").changed, "a cleared topic is a device that is gone");
    assert!(adopter.devices().is_empty());
}

#[test]
fn home_assistant_entities_become_devices() {
    let device_json = r#""dev": {"ids": ["breeze1"], "name": "Breeze", "mf": "ACME", "mdl": "Breeze 2"}, "avty_t": "~/status", "~": "acme/breeze1""#;
    let entity = |rest: &str| format!("{{{rest}, {device_json}}}");
    let said = [
        (
            "homeassistant/switch/breeze1/fan/config",
            entity(r#""name": "Fan", "stat_t": "~/fan", "cmd_t": "~/fan/set""#),
        ),
        (
            "homeassistant/number/breeze1/speed/config",
            entity(
                r#""name": "Speed", "stat_t": "~/speed", "cmd_t": "~/speed/set", "min": 0, "max": 100, "step": 5, "unit_of_meas": "%""#,
            ),
        ),
        (
            "homeassistant/select/breeze1/mode/config",
            entity(
                r#""name": "Mode", "state_topic": "~/mode", "command_topic": "~/mode/set", "options": ["auto", "night"]"#,
            ),
        ),
        (
            "homeassistant/sensor/breeze1/temperature/config",
            entity(
                r#""name": null, "stat_t": "~/climate", "dev_cla": "temperature", "unit_of_meas": "°C", "val_tpl": "{{ value_json.temperature }}""#,
            ),
        ),
        (
            "homeassistant/sensor/breeze1/dew/config",
            entity(
                r#""name": "Dew point", "stat_t": "~/climate", "unit_of_meas": "°C", "val_tpl": "{{ value_json.t | round(1) }}""#,
            ),
        ),
        ("homeassistant/vacuum/breeze1/v/config", entity(r#""name": "V""#)),
        (
            "homeassistant/binary_sensor/breeze1/smoke/config",
            entity(r#""dev_cla": "smoke", "stat_t": "~/smoke", "payload_on": "yes", "payload_off": "no""#),
        ),
    ];
    let said: Vec<(&str, &str)> = said.iter().map(|(topic, body)| (*topic, body.as_str())).collect();
    let (devices, left) = adopt(AdoptedFrom::HomeAssistant, &said);
    let breeze = device(&devices, "breeze1");
    assert_eq!((breeze.name.as_str(), breeze.topic.as_str()), ("Breeze", "acme/breeze1"));
    assert_eq!(
        shape(breeze),
        [
            "Smoke: BinarySensor SmokeDetected",
            "Speed: LevelControl Speed %",
            "Mode: EnumControl OperatingMode",
            "Temperature: LevelSensor Temperature degC",
            "Fan: BinaryControl Switch",
        ]
    );
    let Protocol::Mqtt(options) = &breeze.mapping.protocol else { panic!("{:?}", breeze.mapping.protocol) };
    let there: Vec<_> =
        options.availability.iter().map(|said| format!("{} {}", said.topic, said.pick)).collect();
    assert_eq!(there, ["~/status text"], "of a value's template it knows nothing");
    assert!(has_left(&left, "sensor Dew point", "only plain templates"), "{left:?}");
    assert!(has_left(&left, "vacuum V", "not taken over"), "{left:?}");
}

#[test]
fn home_assistant_devices_of_one_bridge_have_topics_of_their_own() {
    let said = [
        (
            "homeassistant/sensor/a/config",
            r#"{"uniq_id": "a", "stat_t": "bridge/a", "avty_t": "bridge/state"}"#,
        ),
        (
            "homeassistant/sensor/b/config",
            r#"{"uniq_id": "b", "stat_t": "bridge/b", "avty_t": "bridge/state"}"#,
        ),
        // Nothing in common, and the same in common as another one.
        ("homeassistant/switch/c/config", r#"{"uniq_id": "c", "stat_t": "stat/c/P", "cmd_t": "cmnd/c/P"}"#),
        ("homeassistant/switch/d/config", r#"{"uniq_id": "d", "stat_t": "stat/d/P", "cmd_t": "cmnd/d/P"}"#),
        (
            "homeassistant/sensor/e/config",
            r#"{"uniq_id": "e", "stat_t": "all", "val_tpl": "{{ value_json.e }}"}"#,
        ),
        (
            "homeassistant/sensor/f/config",
            r#"{"uniq_id": "f", "stat_t": "all", "val_tpl": "{{ value_json.f }}"}"#,
        ),
    ];
    let (devices, _) = adopt(AdoptedFrom::HomeAssistant, &said);
    let topics: Vec<&str> = devices.iter().map(|device| device.topic.as_str()).collect();
    assert_eq!(topics[..2], ["bridge/a", "bridge/b"]);
    for device in &devices[..2] {
        let Protocol::Mqtt(options) = &device.mapping.protocol else { panic!("{device:?}") };
        let of: Vec<&str> = options.availability.iter().map(|said| said.topic.as_str()).collect();
        assert_eq!(of, ["bridge/state"], "of both");
    }
    assert_eq!(topics[2..], ["c", "d", "e", "f"].map(|id| format!("homeassistant/{id}")));
}

#[test]
fn home_assistant_lights_covers_locks_and_climates() {
    let said = [
        (
            "homeassistant/light/lamp/config",
            r#"{"name": "Lamp", "schema": "json", "state_topic": "home/lamp", "command_topic": "home/lamp/set", "brightness": true,
              "supported_color_modes": ["color_temp", "xy"], "uniq_id": "lamp"}"#,
        ),
        (
            "homeassistant/cover/blind/config",
            r#"{"name": "Blind", "uniq_id": "blind", "cmd_t": "b/set", "stat_t": "b/state", "pos_t": "b/pos", "set_pos_t": "b/pos/set"}"#,
        ),
        (
            "homeassistant/lock/door/config",
            r#"{"name": "Door", "uniq_id": "door", "cmd_t": "d/set", "stat_t": "d/state"}"#,
        ),
        (
            "homeassistant/climate/ac/config",
            r#"{"name": "AC", "uniq_id": "ac", "mode_cmd_t": "ac/mode/set", "mode_stat_t": "ac/mode", "modes": ["off", "cool"],
              "temp_cmd_t": "ac/temp/set", "temp_stat_t": "ac/temp", "curr_temp_t": "ac/now", "min_temp": 16, "max_temp": 30,
              "swing_mode_command_topic": "ac/swing"}"#,
        ),
        (
            "homeassistant/device/box/config",
            r#"{"dev": {"ids": "box", "name": "Box"}, "o": {"name": "x"}, "avty_t": "box/lwt",
              "cmps": {"a": {"p": "sensor", "name": "A", "stat_t": "box/a", "unit_of_meas": "V"}, "b": {"p": "button", "name": "B", "cmd_t": "box/b"}}}"#,
        ),
    ];
    let (devices, left) = adopt(AdoptedFrom::HomeAssistant, &said);
    assert_eq!(
        shape(device(&devices, "lamp")),
        [
            "Lamp: BinaryControl Switch",
            "Lamp brightness: LevelControl Brightness -",
            "Lamp color temp: LevelControl X_HOMEASSISTANT_ColorTemp X_HOMEASSISTANT_Mired",
        ]
    );
    assert_eq!(
        shape(device(&devices, "blind")),
        ["Blind state: EnumSensor X_HOMEASSISTANT_CoverState", "Blind position: LevelControl Position %"]
    );
    assert_eq!(shape(device(&devices, "door")), ["Door: BinaryControl Locked"]);
    assert_eq!(
        shape(device(&devices, "ac")),
        [
            "AC current temperature: LevelSensor Temperature degC",
            "AC temperature: LevelControl Temperature degC",
            "AC mode: EnumControl ThermostatMode",
        ]
    );
    let shelf = device(&devices, "box");
    assert_eq!((shape(shelf), shelf.topic.as_str()), (vec!["A: LevelSensor Meter V".to_owned()], "box"));
    assert_eq!(shelf.mapping.commands[0].name, "X_HOMEASSISTANT_B");
    assert!(has_left(&left, "swing", "not taken over") && has_left(&left, "xy", "colours"), "{left:?}");
}

/// What every adoption has in common: nothing is taken that cannot be used.
#[test]
fn every_adopted_text_is_a_mapping_without_errors() {
    let (devices, _) = zigbee2mqtt("{}");
    for device in devices {
        let (mapping, found) =
            crate::compile::compile_file(&crate::diagnostic::SourceFile::new("x", &device.text));
        assert!(mapping.is_some(), "{found:?}\n{}", device.text);
    }
}

/// A server tells once more what it keeps, and something was taken out of it meanwhile.
#[test]
fn what_is_not_told_again_leaves() {
    let relay = |mac: &str| {
        format!(
            r#"{{"dn":"{mac}","mac":"{mac}","md":"Sonoff","t":"t{mac}","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}}"#
        )
    };
    let entity = |id: &str| {
        format!(
            r#"{{"state_topic":"{id}/state","unit_of_measurement":"V","device_class":"voltage","unique_id":"{id}","device":{{"identifiers":["{id}"]}}}}"#
        )
    };
    let info =
        |id: &str| format!(r#"{{"id":"0 {id}","result":{{"id":"{id}","app":"Plus1","name":"{id}"}}}}"#);
    let status = |id: &str| format!(r#"{{"id":"2 {id}","result":{{"switch:0":{{"id":0,"output":false}}}}}}"#);
    let mut said = Vec::new();
    for (shelly, tasmota, home) in [("shelly-a", "t-a", "h-a"), ("shelly-b", "t-b", "h-b")] {
        said.push((format!("{shelly}/online"), "true".to_owned()));
        said.push(("usp-broker-1/rpc".to_owned(), info(shelly)));
        said.push(("usp-broker-1/rpc".to_owned(), status(shelly)));
        said.push((format!("tasmota/discovery/{tasmota}/config"), relay(tasmota)));
        said.push((format!("homeassistant/sensor/{home}/volt/config"), entity(home)));
    }
    said.push(("zigbee2mqtt/bridge/devices".to_owned(), BRIDGE.to_owned()));
    let mut adopter = adopter(&AdoptedFrom::ALL);
    for (topic, body) in &said {
        adopter.hear(topic, body.as_bytes());
    }
    let ids = |adopter: &mut Adopter| {
        let all = adopter.devices().into_iter().filter(|device| !device.id.starts_with("0x"));
        all.map(|device| device.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(adopter.devices().len(), 6 + 6, "{:?}", ids(&mut adopter));
    assert!(!adopter.settle(), "nothing was to be told anew");

    adopter.begin_anew();
    for (topic, body) in &said {
        if topic.contains("-b/") {
            assert!(!adopter.hear(topic, body.as_bytes()).changed, "{topic}");
        }
    }
    assert!(adopter.settle());
    assert_eq!(ids(&mut adopter), ["h-b", "shelly-b", "t-b"]);
    assert!(!adopter.settle());
    assert_eq!(adopter.devices().len(), 6 + 3, "a bridge that is silent takes none away");
}

/// Zigbee2MQTT and Tasmota may describe their devices for Home Assistant too.
#[test]
fn whom_several_tell_of_is_taken_over_once() {
    let entity = |topic: &str, device: &str| {
        format!(
            r#"{{"state_topic":"{topic}","unit_of_measurement":"V","device_class":"voltage","device":{device}}}"#
        )
    };
    let twice = [
        (
            "zigbee2mqtt/kitchen/plug",
            r#"{"identifiers":["zigbee2mqtt_0x00158d0001a2b3c4"],"name":"kitchen/plug"}"#,
        ),
        (
            "tele/boiler/SENSOR",
            r#"{"identifiers":["345678"],"connections":[["mac","A4:CF:12:34:56:78"]],"name":"Boiler"}"#,
        ),
        // No address, but the same topic.
        ("pump", r#"{"identifiers":["pump"],"name":"Pump"}"#),
        ("gate/state", r#"{"identifiers":["a4cf12345678_zone2"],"name":"Gate"}"#),
    ];
    let relay = |mac: &str, topic: &str| {
        format!(
            r#"{{"dn":"{topic}","mac":"{mac}","md":"Sonoff","t":"{topic}","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}}"#
        )
    };
    // What comes first here, and is listened to first, has no precedence.
    let mut adopter = adopter(&[AdoptedFrom::HomeAssistant, AdoptedFrom::Tasmota, AdoptedFrom::Zigbee2Mqtt]);
    for (number, (topic, device)) in twice.iter().enumerate() {
        adopter.hear(&format!("homeassistant/sensor/x{number}/config"), entity(topic, device).as_bytes());
    }
    assert_eq!(adopter.devices().len(), 4, "nobody else tells of them");
    for (mac, topic) in [("A4CF12345678", "boiler"), ("A4CF12000000", "pump")] {
        adopter.hear(&format!("tasmota/discovery/{mac}/config"), relay(mac, topic).as_bytes());
    }
    adopter.hear("zigbee2mqtt/bridge/devices", BRIDGE.as_bytes());
    let devices = adopter.devices();
    let from_home = |device: &&Arc<Adopted>| device.profile.starts_with("homeassistant");
    let names: Vec<&str> = devices.iter().filter(from_home).map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["Gate"]);
    let left = adopter.left_out();
    for why in [
        "from zigbee2mqtt, where it is `kitchen/plug`",
        "from tasmota, where it is `boiler`",
        "from tasmota, where it is `pump`",
    ] {
        assert!(has_left(left, WHOLE_DEVICE, why), "{why}: {left:#?}");
    }
    // Whoever has precedence may leave.
    adopter.hear("tasmota/discovery/A4CF12345678/config", b"");
    assert_eq!(adopter.devices().iter().filter(from_home).count(), 2);
}
