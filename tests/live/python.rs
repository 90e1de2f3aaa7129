//! Peers that share no code with the project: a Controller in Python; pymodbus and libmodbus as the device.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use crate::ACTOR;
use crate::demo::Demo;

pub(crate) fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A Python with what `requirements.txt` names. It is made where it is missing; without it the test fails.
pub(crate) fn python() -> PathBuf {
    python_with("python", "requirements.txt")
}

/// The same, in a directory of its own, with what another list names.
pub(crate) fn python_with(dir: &str, list: &str) -> PathBuf {
    let target = Path::new(ACTOR).parent().and_then(Path::parent).unwrap();
    let dir = target.join(dir);
    let output = Command::new(here("setup.sh")).arg(&dir).arg(list).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dir.join("bin/python")
}

#[test]
fn a_controller_that_shares_no_code_does_all_of_it() {
    let demo = Demo::start();
    let output = Command::new("python3")
        .arg(here("python/controller.py"))
        .args([demo.websocket().to_string(), demo.meters().to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3");
    let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\nafter\n{out}");
    assert_eq!(out.lines().last(), Some("ok delete"));
}

const PYMODBUS: &str = "python/modbus_server.py";
const LIBMODBUS: &str = "python/libmodbus_server.py";

/// Such a server as the demo's meter, and where it is.
fn device(server: &str, arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new(python());
    command.arg(here(server)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped());
    let device = Process::start(&mut command);
    let ready = device.line();
    let at = ready.strip_prefix("ready ").expect(&ready).to_owned();
    (device, at)
}

#[test]
fn a_device_that_shares_no_code_is_read_and_written() {
    on_tcp(PYMODBUS);
}

#[test]
fn a_device_that_shares_no_code_is_read_and_written_on_a_serial_line() {
    on_a_line(PYMODBUS);
}

#[test]
fn a_device_of_libmodbus_is_read_and_written() {
    on_tcp(LIBMODBUS);
}

#[test]
fn a_device_of_libmodbus_is_read_and_written_on_a_serial_line() {
    on_a_line(LIBMODBUS);
}

fn on_tcp(server: &str) {
    let (device, port) = device(server, &[]);
    let place = Place::new(ACTOR, "");
    place.meters(&[("meter", ([127, 0, 0, 1], port.parse().unwrap()).into(), 1)]);
    is_read_and_written(&place, device);
}

fn on_a_line(server: &str) {
    let (device, port) = device(server, &["serial"]);
    let place = Place::new(ACTOR, "");
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses: {{line: {{modbus_rtu: {port}, baud: 115200, parity: none}}}}\ndevices: {{meter: {{use: \
             usp.demo-meter, bus: line, unit: 1}}}}\n"
        ),
    );
    is_read_and_written(&place, device);
}

fn is_read_and_written(place: &Place, mut device: Process) {
    let _broker = place.start();
    let cli = place.cli();
    let path = |name: &str| format!("Device.ProxiedDevice.1.IoTCapability.[Name==\"{name}\"].");
    let value =
        |name: &str, class: &str| cli.values(&format!("{}{class}.Value", path(name))).into_values().next();
    eventually("the readings", || value("Energy", "LevelSensor"));
    for (name, expected) in [
        ("Voltage L1", "230.5"),
        ("Voltage L2", "231.25"),
        ("Current L3", "3.5"),
        ("Power", "-1234.5"),
        ("Energy", "123.456"),
        ("Frequency", "49.98"),
        ("Temperature", "21.5"),
        ("Power factor", "0.95"),
    ] {
        assert_eq!(value(name, "LevelSensor").as_deref(), Some(expected), "{name}");
    }
    assert_eq!(value("Energy flow", "EnumSensor").as_deref(), Some("Importing"));
    assert_eq!(value("Heater set point", "LevelControl").as_deref(), Some("19"));
    assert_eq!(value("Relay", "BinaryControl").as_deref(), Some("false"));

    for (setting, wire) in [
        (format!("{}BinaryControl.Value=true", path("Relay")), "coil 3 1"),
        (format!("{}EnumControl.Value=Holiday", path("Tariff")), "holding 12 32"),
        (format!("{}LevelControl.Value=22.5", path("Heater set point")), "holding 20 225"),
    ] {
        cli.ok(&["set", &setting]);
        assert_eq!(device.line(), wire);
    }
    assert_eq!(value("Relay", "BinaryControl").as_deref(), Some("true"));
    assert_eq!(value("Heater set point", "LevelControl").as_deref(), Some("22.5"));

    // What else may change on a busy machine, such as a Quality, is not watched.
    let level = cli.values(&format!("{}LevelSensor.Value", path("Temperature")));
    let level = level.into_keys().next().unwrap();
    let watch = cli.watch(&[&level, "--count", "1"]);
    device.stdin().write_all(b"input 19 300\n").unwrap();
    assert_eq!(device.line(), "ok");
    let line = watch.line();
    assert!(line.contains(".LevelSensor.Value") && line.contains("\"30\""), "{line}");
}

/// Functions 22 (mask write) and 23 (write and read) of the other hand: bits are kept, refusals are told.
#[test]
fn bits_and_registers_are_written_in_one_request() {
    [PYMODBUS, LIBMODBUS].into_iter().for_each(written_in_one_request);
}

fn written_in_one_request(server: &str) {
    let (device, port) = device(server, &[]);
    let place = Place::new(ACTOR, "");
    place.write("heater.yaml", HEATER);
    place.write(
        "site.yaml",
        &format!(
            "site: 1\nbuses:\n  tcp: {{modbus_tcp: \"127.0.0.1:{port}\"}}\n\
             devices:\n  heater: {{file: heater.yaml, bus: tcp, unit: 1}}\n"
        ),
    );
    let _broker = place.start();
    let cli = place.cli();
    let path = |name: &str, class: &str| {
        format!("Device.ProxiedDevice.1.IoTCapability.[Name==\"{name}\"].{class}.Value")
    };
    eventually("the readings", || cli.values(&path("target", "LevelControl")).into_values().next());
    for (name, class, value, function, wire) in [
        ("pump", "EnumControl", "High", 22, "holding 12 3"),
        ("tariff", "EnumControl", "Holiday", 22, "holding 12 35"),
        ("pump", "EnumControl", "Low", 22, "holding 12 33"),
        ("target", "LevelControl", "22.5", 23, "holding 20 225"),
    ] {
        cli.ok(&["set", &format!("{}={value}", path(name, class))]);
        assert_eq!(device.line(), format!("function {function}"), "{name}");
        assert_eq!(device.line(), wire, "{name}");
        assert_eq!(cli.values(&path(name, class)).into_values().collect::<Vec<_>>(), [value], "{name}");
    }
    for (name, class, value, function) in
        [("no-bits", "EnumControl", "High", 22), ("nowhere", "LevelControl", "1", 23)]
    {
        let told = cli.fails(1, &["set", &format!("{}={value}", path(name, class))]);
        assert!(told.contains("exception 2"), "{told}");
        assert_eq!(device.line(), format!("function {function}"), "{name}");
    }
}

/// The meter's holding registers, seen as a heater; there is none behind 20.
const HEATER: &str = "uspmap: 1
profile: acme.heater
version: 1.0.0
device: {type: HVAC}
poll: {all: 1s}
capabilities:
  pump:
    class: EnumControl
    type: X_ACME_Pump
    read: {holding: 12, bits: 0..1, map: {0: \"Off\", 1: Low, 3: High}}
    write: {fc: 22}
  tariff:
    class: EnumControl
    type: X_ACME_Tariff
    read: {holding: 12, bits: 4..6, map: {0: Day, 2: Holiday}}
    write: {fc: 22}
  target:
    class: LevelControl
    type: Temperature
    unit: degC
    min: 5
    max: 30
    step: 0.5
    read: {holding: 20, scale: 0.1}
    write: {fc: 23}
  no-bits:
    class: EnumControl
    type: X_ACME_Fan
    read: {holding: 12, bits: 0..1, map: {0: \"Off\", 1: Low, 3: High}}
    write: {holding: 101, bits: 0..1, fc: 22, verify: false}
  nowhere:
    class: LevelControl
    type: Humidity
    unit: \"%\"
    min: 0
    max: 100
    step: 1
    read: {holding: 12}
    write: {holding: 100, fc: 23, verify: false}
";
