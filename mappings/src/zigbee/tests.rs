//! Whole mappings: what they read, send and set up.

use std::time::Duration;

use super::zcl::Frame;
use super::{Ieee, ZigbeeOptions, ZigbeeWord};
use crate::compile::compile_file;
use crate::diagnostic::{SourceFile, has_errors, render};
use crate::mapping::{Mapping, Poll, Protocol, ReadPoint};
use crate::port::DeviceFault;

fn compiled(rest: &str) -> Mapping {
    let text = format!("uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {{type: Sensor}}\n{rest}");
    let (mapping, found) = compile_file(&SourceFile::new("x.yaml", &text));
    assert!(!has_errors(&found), "{}", render(&found, false));
    mapping.unwrap()
}

const LAMP: &str = r#"
zigbee: {manufacturer: ACME, model: Lamp*}
capabilities:
  lit: {class: BinaryControl, type: Switch, read: {cluster: on_off, attribute: on_off}, write: {}}
  level:
    class: LevelControl
    type: Brightness
    unit: "%"
    min: 1
    max: 100
    step: 1
    read: {cluster: level, attribute: current_level, scale: 0.3937007874}
    write: {fields: {transition_time: 5}}
  lock:
    class: BinaryControl
    type: Locked
    read: {endpoint: 2, cluster: door_lock, attribute: lock_state, map: {1: true, 2: false, 0: false}}
    write: {map: {1: true, 2: false}}
  named:
    class: BinaryControl
    type: Switch
    write: {cluster: on_off, command: $value, map: {"on": true, off_with_effect: false}, fields: {effect: 1}}
"#;

#[test]
fn what_is_read_is_set_by_the_command_of_the_standard() {
    let text = LAMP.replace(", fields: {effect: 1}", "").replace("off_with_effect", "\"off\"");
    let mapping = compiled(&format!(
        "{text}tests:
  - {{attributes: {{1/on_off/on_off: true, 1/level/current_level: 127}}, expect: {{lit: true}}}}
  - {{write: {{lit: false}}, sends: {{1/on_off: \"01 00 00\"}}}}
  - {{write: {{lit: true}}, sends: {{1/on_off: {{command: \"on\"}}}}}}
  - {{write: {{level: 50}}, sends: {{1/level: \"01 00 04 7f 05 00\"}}}}
  - {{write: {{lock: true}}, sends: {{2/door_lock: \"01 00 00\"}}}}
  - {{write: {{named: true}}, sends: {{1/on_off: \"01 07 01\"}}}}
"
    ));
    let setup = mapping.zigbee_setup();
    assert_eq!(setup.bindings, [(1, 0x0006), (1, 0x0008), (2, 0x0101)]);
    assert_eq!(setup.reports[0].frame().bytes(), [0x10, 0, 0x06, 0, 0, 0, 0x10, 0, 0, 0x58, 2]);
    assert!(setup.zones.is_empty());
}

/// The command line gives up after ten seconds. One that sleeps is waited for.
#[test]
fn whoever_asks_a_silent_device_is_told_so_in_time() {
    let within = |zigbee: &str| {
        let text = LAMP.replace(", fields: {effect: 1}", "").replace("off_with_effect", "\"off\"");
        let text = text.replace("{manufacturer: ACME, model: Lamp*}", zigbee);
        let mapping = compiled(&text);
        let lit = &mapping.capabilities[0];
        let write = lit.write.as_ref().unwrap();
        // A second for the way is added to what a write may take.
        (lit.read_within.as_secs(), (write.ttl + write.verify.unwrap().within).as_secs() + 1)
    };
    assert_eq!(within("{manufacturer: ACME, model: L}"), (7, 8));
    assert_eq!(within("{manufacturer: ACME, model: L, sleepy: true}"), (21, 3606));
    assert_eq!(within("{manufacturer: ACME, model: L, timeout: 5s, ttl: 20s}"), (11, 25), "as it says");
}

#[test]
fn non_values_and_refusals_are_no_readings() {
    let mapping = compiled(
        "zigbee: {}\ncapabilities:\n  t: {class: LevelSensor, type: Temperature, unit: degC, read: {cluster: temperature, attribute: measured_value, scale: 0.01}}\n\
         tests:\n  - {attributes: {1/temperature/measured_value: 2150}, expect: {t: 21.5}}\n  - {attributes: {1/temperature/measured_value: 0x8000}, invalid: [t]}\n  \
         - {frames: {1/temperature: \"18 01 0a 00 00 29 66 08\"}, expect: {t: 21.5}}\n  - {frames: {1/temperature: \"18 01 0a 00 00 29 00 80\"}, invalid: [t]}\n",
    );
    let read = mapping.capabilities[0].read.as_ref().unwrap();
    assert_eq!(read.poll, Poll::Once, "it is reported");
    assert_eq!(mapping.capabilities[0].max_age, Duration::from_secs(3 * 3600));
    let ReadPoint::Zigbee(place) = &read.parts[0].point else { panic!() };
    let taken = |bytes: &[u8]| place.take(1, 0x0402, &Frame::parse(bytes).unwrap());
    assert!(matches!(taken(&[0x18, 1, 1, 0, 0, 0x86]), Some(Err(DeviceFault::Refused(_)))));
    assert_eq!(taken(&[0x18, 1, 0x0a, 1, 0, 0x29, 0, 0]), None, "another attribute");
    assert_eq!(taken(&[0x1c, 0x5f, 0x11, 1, 0x0a, 0, 0, 0x29, 0, 0]), None, "one of a manufacturer");
    assert_eq!(place.ask().unwrap().bytes, [0x10, 0, 0x00, 0, 0]);
}

#[test]
fn zones_tell_by_command_what_can_be_read_too() {
    let mapping = compiled(
        "zigbee: {sleepy: true}\ncapabilities:\n  door: {class: BinarySensor, type: DoorOpen, read: {cluster: ias_zone, attribute: zone_status, bits: 0}}\n\
         \x20 low: {class: BinarySensor, type: X_ACME_Low, read: {cluster: ias_zone, attribute: zone_status, bits: 3}}\n\
         tests:\n  - {frames: {1/ias_zone: \"09 01 00 09 00 00 00 00 00\"}, expect: {door: true, low: true}}\n  - {attributes: {1/ias_zone/zone_status: 8}, expect: {door: false, low: true}}\n",
    );
    let setup = mapping.zigbee_setup();
    assert_eq!((setup.zones.as_slice(), setup.bindings.as_slice()), (&[1][..], &[][..]));
}

/// Attribute 0xff01 as published for a Lumi sensor: battery 3005 mV, temperature 22.15 °C.
#[test]
fn values_with_tags_are_taken_out_of_strings() {
    compiled(
        "zigbee: {sleepy: true}\ncapabilities:\n  battery: {class: LevelSensor, type: Meter, unit: V, read: {cluster: basic, attribute: 0xff01, manufacturer_code: 0x115f, tag: 1, as: uint16, answers: false, scale: 0.001}}\n\
         \x20 t: {class: LevelSensor, type: Temperature, unit: degC, read: {cluster: basic, attribute: 0xff01, manufacturer_code: 0x115f, tag: 0x64, as: int16, answers: false, scale: 0.01}}\n\
         tests:\n  - frames: {1/basic: \"1c 5f 11 01 0a 01 ff 42 0a 01 21 bd 0b 03 28 15 64 29 a7\"}\n    expect: {battery: 3.005}\n    invalid: [t]\n  \
         - frames: {1/basic: \"1c 5f 11 01 0a 01 ff 42 0b 01 21 bd 0b 03 28 15 64 29 a7 08\"}\n    expect: {battery: 3.005, t: 22.15}\n  \
         - attributes: {1/basic/0xff01: {hex: \"01 21 bd 0b 64 29 a7 08\"}}\n    expect: {battery: 3.005, t: 22.15}\n",
    );
}

#[test]
fn buttons_are_seen_by_the_commands_that_they_send() {
    let mapping = compiled(
        "zigbee: {sleepy: true}\ncapabilities:\n  b: {class: LevelSensor, type: Battery, unit: \"%\", read: {cluster: power_configuration, attribute: battery_percentage_remaining, scale: 0.5}}\n\
         events:\n  X_ACME_Press: {read: {cluster: on_off, command: [\"on\", \"off\"]}, on: [\"on\", \"off\"], repeat: true, args: {Button: \"${value}\"}}\n\
         \x20 X_ACME_Turn: {read: {cluster: level, command: [step, step_with_on_off], field: step_mode, map: {0: Up, 1: Down}}, on: [Up, Down], repeat: true}\n\
         \x20 X_ACME_Arrow: {read: {cluster: scenes, command: 0x07, manufacturer_code: 0x117c, bytes: 0, map: {0: Right, 1: Left}}, on: [Right, Left], repeat: true}\n\
         tests:\n  - {frames: {1/on_off: \"01 05 01\"}, before: {frames: {1/on_off: \"01 04 01\"}}, fires: [X_ACME_Press]}\n  \
         - {frames: {1/level: \"01 05 02 01 2b 05 00\"}, before: {frames: {1/level: \"01 04 02 01 2b 05 00\"}}, fires: [X_ACME_Turn]}\n  \
         - {frames: {1/scenes: \"05 7c 11 05 07 00 01 0d 00\"}, before: {frames: {1/scenes: \"05 7c 11 04 07 00 01 0d 00\"}}, fires: [X_ACME_Arrow]}\n",
    );
    assert_eq!(mapping.zigbee_setup().bindings, [(1, 0x0001), (1, 0x0006), (1, 0x0008), (1, 0x0005)]);
}

#[test]
fn several_arguments_stand_in_the_fields_of_one_command() {
    compiled(
        "zigbee: {}\ncapabilities:\n  lit: {class: BinaryControl, type: Switch, read: {cluster: on_off, attribute: on_off}, write: {}}\n\
         commands:\n  X_ACME_Fade:\n    args: {Level: {int: [0, 254]}, Tenths: {int: [0, 65534], default: 10}}\n    send: [{cluster: level, command: move_to_level_with_on_off, fields: {transition_time: \"${arg.Tenths}\", level: \"${arg.Level}\"}}]\n\
         \x20 X_ACME_Unlock: {args: {Pin: {string: 8}}, send: [{cluster: door_lock, command: unlock_door, fields: {pin: \"${arg.Pin}\"}}]}\n\
         tests:\n  - {command: {X_ACME_Fade: {Level: 100}}, sends: {1/level: \"01 00 04 64 0a 00\"}}\n  - {command: {X_ACME_Unlock: {Pin: \"1234\"}}, sends: {1/door_lock: \"01 00 01 04 31 32 33 34\"}}\n",
    );
}

#[test]
fn what_is_sent_after_joining_is_always_the_same() {
    let mapping = compiled(
        "zigbee: {setup: [{cluster: 0xfcc0, attribute: 0x0009, as: uint8, manufacturer_code: 0x115f, value: 1}, {cluster: identify, command: identify, fields: {identify_time: 3}}]}\n\
         capabilities:\n  lit: {class: BinaryControl, type: Switch, read: {cluster: on_off, attribute: on_off}, write: {}}\n",
    );
    let Protocol::Zigbee(options) = &mapping.protocol else { panic!() };
    assert_eq!(options.setup[0].bytes, [0x14, 0x5f, 0x11, 0, 0x02, 0x09, 0x00, 0x20, 1]);
    assert_eq!(options.setup[1].numbered(9), [0x01, 9, 0x00, 3, 0]);
}

#[test]
fn devices_are_known_by_what_they_say_of_themselves() {
    let options = ZigbeeOptions {
        manufacturers: vec![ZigbeeWord::parse("IKEA of Sweden")],
        models: vec![ZigbeeWord::parse("TRADFRI bulb E27*"), ZigbeeWord::parse("LED1545G12")],
        ..ZigbeeOptions::default()
    };
    assert!(options.fits("IKEA of Sweden", "TRADFRI bulb E27 WS opal 980lm"));
    assert!(options.fits("IKEA of Sweden\0", "LED1545G12"));
    assert!(!options.fits("IKEA of Sweden", "LED1545G12X"));
    assert!(!options.fits("ACME", "LED1545G12"));
    assert!(!ZigbeeOptions::default().fits("", ""), "a mapping that names nobody is for nobody");
}

#[test]
fn addresses_are_spelled_in_two_ways() {
    let ieee = Some(Ieee(0x0015_8d00_01a2_b3c4));
    assert_eq!(Ieee::parse("0x00158D0001a2b3c4"), ieee);
    assert_eq!(Ieee::parse("00:15:8d:00:01:a2:b3:c4"), ieee);
    assert_eq!(ieee.map(|it| it.to_string()).as_deref(), Some("0x00158d0001a2b3c4"));
    for wrong in ["", "00158d0001a2b3c4", "0x158d", "0x00158d0001a2b3c4ff", "0x+0158d0001a2b3c4"] {
        assert_eq!(Ieee::parse(wrong), None, "{wrong}");
    }
}
