//! Servers that we did not write: libcoap's, with DTLS, and aiocoap.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use usp_tests::libcoap::{LibCoap, own_address};
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use super::{becomes, online, path, site, value};
use crate::ACTOR;
use crate::python::{here, python};

/// libcoap's server counts ticks, and keeps whatever somebody PUTs.
const LIBCOAP: &str = "uspmap: 1
profile: test.libcoap
version: 1.0.0
device: {type: Light}
coap: {timeout: 10s, block: 64}
poll: {all: 2s}
online: {down: {fails: 2}, backoff: [200ms, 1s]}
capabilities:
  clock: {class: LevelSensor, type: Counter, unit: \"-\", read: {path: \"/time?ticks\", observe: true}, poll: all}
  lamp:
    class: BinaryControl
    type: Switch
    read: {path: /lamp, map: {\"0\": false, \"1\": true}, observe: true}
    poll: all
    write: {}
  level:
    class: LevelControl
    type: Brightness
    unit: \"%\"
    min: 0
    max: 100
    step: 1
    read: {path: /status, json: /zone/level}
    poll: all
    write:
      path: /status
      send:
        filler: [abcdefghijklmnopqrstuvwxyz, abcdefghijklmnopqrstuvwxyz, abcdefghijklmnopqrstuvwxyz]
        zone: {level: $value}
";

fn libcoap(secure: bool) {
    let mut device = LibCoap::start("sesame");
    let place = Place::new(ACTOR, "");
    place.write("libcoap.yaml", LIBCOAP);
    place.write("device.key", "sesame\n");
    let psk = ", psk: {identity: hub, key: \"file:device.key\"}";
    let (address, more) = if secure { (device.secure_address(), psk) } else { (device.address(), "") };
    site(&place, &[("lamp", "file: libcoap.yaml", address, more)]);
    let _broker = place.start();
    let cli = place.cli();
    online(&cli, "lamp", true);

    // Observed: it changes without being asked, far more often than it is polled.
    let watch = cli.watch(&[&path("lamp", "clock", "LevelSensor"), "--count", "3"]);
    (0..3).for_each(|_| assert!(watch.line().contains("LevelSensor.Value")));

    // Set with confirmation, in one block and in several.
    for (class, name, value) in [
        ("BinaryControl", "lamp", "true"),
        ("LevelControl", "level", "40"),
        ("BinaryControl", "lamp", "false"),
    ] {
        cli.ok(&["set", &format!("{}={value}", path("lamp", name, class))]);
        assert_eq!(super::value(&cli, "lamp", name, class).as_deref(), Some(value));
    }

    device.kill();
    online(&cli, "lamp", false);
    let refused = cli.fails(1, &["set", &format!("{}=true", path("lamp", "lamp", "BinaryControl"))]);
    assert!(refused.contains("unreachable"), "{refused}");
    device.again();
    online(&cli, "lamp", true);
    let watch = cli.watch(&[&path("lamp", "clock", "LevelSensor"), "--count", "2"]);
    (0..2).for_each(|_| assert!(watch.line().contains("LevelSensor.Value")));
    cli.ok(&["set", &format!("{}=true", path("lamp", "lamp", "BinaryControl"))]);
}

#[test]
fn libcoap_is_read_set_and_observed() {
    libcoap(false);
}

#[test]
fn libcoap_is_read_set_and_observed_over_dtls() {
    libcoap(true);
}

#[test]
fn another_key_than_libcoap_has_is_told() {
    let device = LibCoap::start("sesame");
    let place = Place::new(ACTOR, "");
    place.write("libcoap.yaml", LIBCOAP);
    place.write("wrong.key", "open barley");
    site(
        &place,
        &[(
            "lamp",
            "file: libcoap.yaml",
            device.secure_address(),
            ", psk: {identity: hub, key: \"file:wrong.key\"}",
        )],
    );
    let _broker = place.start();
    let cli = place.cli();
    let set = format!("{}=true", path("lamp", "lamp", "BinaryControl"));
    let told = eventually("the reason", || {
        Some(cli.fails(1, &["set", &set])).filter(|told| told.contains("another key"))
    });
    assert!(!place.log().contains("barley") && !told.contains("barley"));
}

const AIOCOAP: &str = "uspmap: 1
profile: test.aiocoap
version: 1.0.0
device: {type: Sensor}
coap: {timeout: 10s}
poll: {all: 3s}
capabilities:
  temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {path: /temperature, observe: true}, poll: all}
  humidity: {class: LevelSensor, type: Humidity, unit: \"%\", read: {path: /status, json: /zone/humidity, observe: true}, poll: all}
  lamp:
    class: BinaryControl
    type: Switch
    read: {path: /lamp, map: {\"0\": false, \"1\": true}, observe: true}
    poll: all
    write: {}
";

#[test]
fn aiocoap_is_read_set_and_observed_in_blocks() {
    let address: SocketAddr = (own_address(), 5683).into();
    let mut command = Command::new(python());
    command.arg(here("python/coap_server.py")).arg(address.ip().to_string()).stdin(Stdio::piped());
    let mut device = Process::start(&mut command);
    assert_eq!(device.line(), "ready");

    let place = Place::new(ACTOR, "");
    place.write("climate.yaml", AIOCOAP);
    site(&place, &[("climate", "file: climate.yaml", address, "")]);
    let _broker = place.start();
    let cli = place.cli();
    becomes(&cli, "climate", "temperature", "LevelSensor", "21.5");
    becomes(&cli, "climate", "humidity", "LevelSensor", "45");

    let mut tell = |line: &str| {
        device.stdin().write_all(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(device.line(), "ok");
    };
    tell("temperature 22.75");
    becomes(&cli, "climate", "temperature", "LevelSensor", "22.75");
    // A notification of several blocks.
    tell("humidity 52.5");
    becomes(&cli, "climate", "humidity", "LevelSensor", "52.5");
    // Nobody is told any more: the poll finds it out, and asks to be told again.
    tell("forget");
    tell("temperature 19");
    becomes(&cli, "climate", "temperature", "LevelSensor", "19");

    cli.ok(&["set", &format!("{}=true", path("climate", "lamp", "BinaryControl"))]);
    assert_eq!(device.line(), "put lamp 1 1");
    assert_eq!(value(&cli, "climate", "lamp", "BinaryControl").as_deref(), Some("true"));
    device.kill();
    online(&cli, "climate", false);
}
