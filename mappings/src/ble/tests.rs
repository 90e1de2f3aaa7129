//! BTHome as its page has it, and mappings of devices.

use rust_decimal::Decimal;

use super::bthome::{self, Payload};
use super::{BleConnect, BleHeard, BlePair, BleUuid, BthomePick};
use crate::compile::compile_file;
use crate::diagnostic::{SourceFile, render};
use crate::mapping::{Mapping, Poll, Protocol};
use crate::transform::Raw;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)?.try_into().ok()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn read(hex: &str, name: &str) -> Option<Raw> {
    bthome::take(&bytes(hex), &BthomePick::named(name)?)?.ok()
}

fn decimal(text: &str) -> Raw {
    Raw::Decimal(text.parse::<Decimal>().expect("a number").normalize())
}

/// The examples that the page of the format has.
#[test]
fn the_examples_of_the_format_are_read() {
    for (hex, name, expected) in [
        ("0161", "battery", Raw::Int(97)),
        ("12E204", "co2", Raw::Int(1250)),
        ("0960", "count", Raw::Int(96)),
        ("3D0960", "count", Raw::Int(24585)),
        ("3E2A2C0960", "count", Raw::Int(1_611_213_866)),
        ("59EA", "count", Raw::Int(-22)),
        ("5AEAEA", "count", Raw::Int(-5398)),
        ("5BEA0234EA", "count", Raw::Int(-365_690_134)),
        ("434E34", "current", decimal("13.39")),
        ("5D02EA", "current", decimal("-5.63")),
        ("08CA06", "dewpoint", decimal("17.38")),
        ("400C00", "distance_mm", Raw::Int(12)),
        ("414E00", "distance", decimal("7.8")),
        ("424E3400", "duration", decimal("13.39")),
        ("4d12138a14", "energy", decimal("344593.17")),
        ("0A138A14", "energy", decimal("1346.067")),
        ("4B138A14", "gas", decimal("1346.067")),
        ("4C41018A01", "gas", decimal("25821.505")),
        ("03BF13", "humidity", decimal("50.55")),
        ("2E23", "humidity", Raw::Int(35)),
        ("05138A14", "illuminance", decimal("13460.67")),
        ("065E1F", "mass", decimal("80.3")),
        ("0B021B00", "power", decimal("69.14")),
        ("04138A01", "pressure", decimal("1008.83")),
        ("02CA09", "temperature", decimal("25.06")),
        ("451101", "temperature", decimal("27.3")),
        ("57EA", "temperature", Raw::Int(-22)),
        ("58EA", "temperature", decimal("-7.7")),
        ("0C020C", "voltage", decimal("3.074")),
        ("4A020C", "voltage", decimal("307.4")),
        ("1A01", "door", Raw::Bool(true)),
        ("3A02", "button", Raw::Text("double_press".to_owned())),
        ("3C0103", "dimmer", Raw::Text("rotate_left".to_owned())),
        ("3C0103", "dimmer_steps", Raw::Int(-3)),
        ("530C48656C6C6F20576F726C6421", "text", Raw::Text("Hello World!".to_owned())),
        ("54021C04", "raw", Raw::Bytes(vec![0x1c, 4])),
        ("F100010204", "firmware", Raw::Text("4.2.1.0".to_owned())),
        ("F2000106", "firmware", Raw::Text("6.1.0".to_owned())),
    ] {
        let read = read(hex, name).map(|raw| match raw {
            Raw::Decimal(number) => Raw::Decimal(number.normalize()),
            other => other,
        });
        assert_eq!(read, Some(expected), "{hex} {name}");
    }
}

#[test]
fn objects_of_one_name_are_told_apart_by_their_order() {
    let objects = bytes("02CA09 02CE09 3A00 3A01");
    let nth = |name: &str, nth| {
        let pick = BthomePick::named(name).unwrap().nth(nth);
        bthome::take(&objects, &pick).map(Result::unwrap)
    };
    assert_eq!(nth("temperature", 2), Some(decimal("25.1")));
    assert_eq!(nth("temperature", 3), None);
    assert_eq!(nth("button", 2), Some(Raw::Text("press".to_owned())));
    let exact = BthomePick::numbered(0x45).unwrap();
    assert_eq!(bthome::take(&objects, &exact), None, "another kind of temperature");
}

/// Of an object that is not known nobody can tell how long it is.
#[test]
fn what_is_not_known_ends_the_objects_and_takes_back_nothing() {
    let objects = bytes("0161 02CA09 E0 1234 03BF13");
    assert_eq!(bthome::known(&objects), (vec!["battery", "temperature"], Some(0xe0)));
    let humidity = BthomePick::named("humidity").unwrap();
    assert_eq!(bthome::take(&objects, &humidity), None);
    assert_eq!(bthome::known(&bytes("0161 02CA")), (vec!["battery"], Some(2)), "cut off");
    assert_eq!(bthome::known(&[]), (vec![], None));
    for length in 0..objects.len() {
        bthome::known(&objects[..length]);
    }
}

#[test]
fn the_head_says_which_version_and_whether_it_is_encrypted() {
    assert_eq!(Payload::parse(&bytes("40 0161")), Ok(Payload::Plain(&[1, 0x61])));
    assert_eq!(Payload::parse(&bytes("44")), Ok(Payload::Plain(&[])), "by a trigger");
    let sealed = bytes("41 a47266c95f73 00112233 78237214");
    let Ok(Payload::Sealed(sealed)) = Payload::parse(&sealed) else { panic!("it is encrypted") };
    assert_eq!(sealed.ciphertext, bytes("a47266c95f73"));
    assert_eq!((sealed.counter, sealed.mic), ([0, 0x11, 0x22, 0x33], [0x78, 0x23, 0x72, 0x14]));
    for hex in ["", "20 0161", "41 00112233"] {
        assert!(Payload::parse(&bytes(hex)).is_err(), "{hex}");
    }
}

fn mapping(text: &str) -> Mapping {
    let text = format!("uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {{type: X_ACME_Thing}}\n{text}");
    let (mapping, found) = compile_file(&SourceFile::new("x.yaml", &text));
    assert!(found.is_empty(), "{}", render(&found, false));
    mapping.expect("a mapping")
}

/// Everything that a device advertises and holds, with its tests.
#[test]
fn what_is_advertised_and_what_is_held_is_read_and_written() {
    let mapping = mapping(
        r#"
ble: {connect: on_demand, every: 30s, pair: just_works, match: {service_data: fcd2, name: ACME}}
poll: {slow: 10min}
capabilities:
  temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {bthome: temperature}}
  raw-temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {service_data: "181a", size: 15, bytes: 6, as: s16, scale: 0.01}}
  pressure: {class: LevelSensor, type: Pressure, unit: Pa, read: {manufacturer: 0x0499, starts: "05", bytes: 5, as: u16, order: big, offset: 50000}}
  battery: {class: LevelSensor, type: Battery, unit: "%", read: {char: "2a19", service: "180f"}, poll: slow}
  strength: {class: LevelSensor, type: X_ACME_Rssi, unit: dBm, read: {rssi: true}}
  lamp: {class: BinaryControl, type: Switch, read: {char: fff3}, write: {}}
  level:
    class: LevelControl
    type: Brightness
    unit: "%"
    min: 0
    max: 100
    read: {char: fff4, starts: "57 ..", bytes: 2, ask: {char: fff3, send: "57 02"}}
    write: {char: fff3, send: "57 01 $value", response: false}
events:
  X_ACME_Pushed: {read: {bthome: button}, on: [press, long_press], repeat: true}
commands:
  X_ACME_Blink: {args: {Times: {int: [1, 9]}}, send: [{char: fff3, send: "66 $value 01", value: "${arg.Times}"}, {char: fff3, send: "67"}]}
tests:
  - {adverts: {service_data: {fcd2: "40 02 ca 09"}, rssi: -63}, expect: {temperature: 25.06, strength: -63}}
  - {adverts: {service_data: {"181a": "112233445566 c409 0000 0000 00 00 00"}}, expect: {raw-temperature: 25}}
  - {adverts: {manufacturer: {"0x0499": "05 12fc 5394 c37c 00"}}, expect: {pressure: 100044}}
  - {chars: {"180f/2a19": "64"}, expect: {battery: 100}}
  - {adverts: {service_data: {fcd2: "41 02 ca 09 00000000 00000000"}}, invalid: [temperature]}
  - {write: {lamp: "true"}, sends: {fff3: "01"}}
  - {write: {level: 40}, sends: {fff3: "57 01 28"}, chars: {fff4: "57 02 28"}, expect: {level: 40}, refuses: {level: 101}}
  - {before: {adverts: {service_data: {fcd2: "40 3a00"}}}, adverts: {service_data: {fcd2: "40 3a04"}}, fires: [X_ACME_Pushed]}
  - {command: {X_ACME_Blink: {Times: 3}}, sends: [{fff3: "66 03 01"}, {fff3: "67"}]}
"#,
    );
    let Protocol::Ble(options) = &mapping.protocol else { panic!("{:?}", mapping.protocol) };
    assert_eq!((options.connect, options.pair), (BleConnect::OnDemand, BlePair::JustWorks));
    assert_eq!(options.patience().map(|time| time.as_secs()), Some(120));
    let poll = |at: usize| mapping.capabilities[at].read.as_ref().map(|read| read.poll);
    assert_eq!(poll(0), Some(Poll::Once), "what is advertised is heard");
    assert_eq!(poll(3).and_then(Poll::every).map(|time| time.as_secs()), Some(600));
    assert_eq!(mapping.capabilities[0].max_age.as_secs(), 120);
}

#[test]
fn a_scan_knows_devices_by_what_they_advertise() {
    let mapping = mapping(
        "ble: {connect: never, match: {manufacturer: 0x0499, starts: \"05\", size: 2}}\ncapabilities:\n  \
         t: {class: LevelSensor, type: Temperature, unit: degC, read: {manufacturer: 0x0499, bytes: 1, as: s8}}\n",
    );
    let Protocol::Ble(options) = &mapping.protocol else { panic!("{:?}", mapping.protocol) };
    let heard = |data: &[u8]| BleHeard { manufacturer: vec![(0x0499, data.to_vec())], ..BleHeard::default() };
    assert!(options.known_by.fits(&heard(&[5, 1])));
    assert!(!options.known_by.fits(&heard(&[3, 1])), "another format");
    assert!(!options.known_by.fits(&heard(&[5, 1, 2])), "another length");
    let services = BleHeard { services: vec![BleUuid::short(0x180f)], ..BleHeard::default() };
    assert!(!options.known_by.fits(&services));
}

/// Older firmware of Shelly's buttons has another number for it.
#[test]
fn a_button_that_is_held_has_two_numbers() {
    let pick = BthomePick::named("button").unwrap();
    for code in [0x80, 0xfe] {
        assert_eq!(
            bthome::take(&[0x3a, code], &pick),
            Some(Ok(Raw::Text("hold_press".to_owned()))),
            "{code}"
        );
    }
}

/// Done, refused in some words, or about something else.
#[test]
fn a_write_may_be_answered() {
    let text = "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {type: Sensor}\nble: {}\ncapabilities:\n  \
                a: {class: BinaryControl, type: Switch, write: {char: fff1, send: \"01 $value\", response: false, \
                verify: false, answer: {char: fff2, starts: \"01 .. 05\", refusal: {\"03\": busy, \"02 ..\": broken}}}}\n";
    let (mapping, found) = compile_file(&SourceFile::new("x.yaml", text));
    let mapping: Mapping = mapping.unwrap_or_else(|| panic!("{}", render(&found, false)));
    let write = mapping.capabilities[0].write.as_ref().unwrap();
    let crate::mapping::WritePoint::Ble(write) = &write.point else { panic!("{write:?}") };
    let answer = write.answer.as_ref().unwrap();
    assert_eq!(answer.take(&[1, 7, 5, 9]), Some(Ok(())));
    assert_eq!(answer.take(&[3]), Some(Err("busy (it says 03)".to_owned())));
    assert_eq!(answer.take(&[2, 0xff]), Some(Err("broken (it says 02 ff)".to_owned())));
    assert_eq!(answer.take(&[2]), None, "it is too short");
    assert_eq!(answer.take(&[1, 7, 6]), None);
    assert_eq!(
        write.described(),
        "char fff1: hex 01 $value without response, answered at char fff2 starting 01 .. 05"
    );
}
