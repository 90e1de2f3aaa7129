//! A device made from its mapping by `mapping simulate`, and a broker that uses it.

use std::io::Write;
use std::process::Stdio;

use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::process::Process;
use usp_tests::wait::eventually;

use crate::ACTOR;

const HEATER: &str = "\
uspmap: 1
profile: acme.heater
version: 1.0.0
device: {type: HVAC}
modbus: {timeout: 200ms}
poll: {fast: 100ms}
capabilities:
  temperature: {class: LevelSensor, type: Temperature, unit: degC, read: {input: 0, as: s16, scale: 0.1}}
  heating:     {class: BinaryControl, type: Switch, read: {coil: 0}, write: {coil: 0}}
";

const SITE: &str = "\
site: 1
buses:
  cellar: {modbus_tcp: \"192.0.2.1:502\"}
  line: {modbus_rtu: /dev/ttyUSB7, baud: 115200, parity: even}
  barn: {modbus_rtu_tcp: \"192.0.2.2:502\"}
devices:
  one: {file: heater.yaml, bus: cellar, unit: 1}
  two: {file: heater.yaml, bus: line, unit: 2}
  three: {file: heater.yaml, bus: barn, unit: 3, name: Third heater}
";

/// Starts `mapping simulate` and waits until it is ready.
fn simulate(cli: &Cli, arguments: &[&str]) -> (Process, serde_json::Value) {
    let all =
        [&["mapping", "simulate"], arguments, &["--still", "--json", "--force", "-o", "site.yaml"]].concat();
    let process = Process::start(cli.command(&all).stdin(Stdio::piped()));
    let ready = serde_json::from_str(&process.line()).unwrap();
    (process, ready)
}

fn tell(process: &mut Process, line: &str) -> String {
    writeln!(process.stdin(), "{line}").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&process.line()).unwrap();
    assert_eq!(answer["ok"], true, "{line}: {answer}");
    answer["said"].as_str().unwrap().to_owned()
}

fn of(device: &str, rest: &str) -> String {
    format!("Device.ProxiedDevice.[Name==\"{device}\"].{rest}")
}

/// Every bus of a site, each with another kind of line, read and written through the whole broker.
#[test]
fn a_whole_site_is_simulated_and_used() {
    let place = Place::new(ACTOR, "");
    place.write("heater.yaml", HEATER);
    place.write("plan.yaml", SITE);
    let cli = place.cli();
    let (mut devices, ready) =
        simulate(&cli, &["plan.yaml", "--set", "two.temperature=-3.5", "--delay", "1"]);
    assert_eq!(ready["devices"].as_array().unwrap().len(), 3, "{ready}");
    cli.ok(&["mapping", "check", "site.yaml"]);
    let _broker = place.start();
    tell(&mut devices, "set one.temperature 21.5");
    for (device, expected) in [("one", "21.5"), ("two", "-3.5")] {
        let path = of(device, "IoTCapability.*.LevelSensor.Value");
        eventually(device, || (cli.values(&path).into_values().next()? == expected).then_some(()));
    }
    let path = of("Third heater", "IoTCapability.*.BinaryControl.Value");
    let path = eventually("the third", || cli.values(&path).into_keys().next());
    cli.ok(&["set", &format!("{path}=true")]);
    assert!(tell(&mut devices, "show three").contains("heating      true"));

    tell(&mut devices, "fault two silent");
    let online = |device| cli.values(&of(device, "Online")).into_values().next();
    eventually("the silent one to be offline", || (online("two")? == "false").then_some(()));
    assert_eq!(online("one").as_deref(), Some("true"));
    tell(&mut devices, "clear");
    eventually("it to be back", || (online("two")? == "true").then_some(()));
    writeln!(devices.stdin(), "quit").unwrap();
    assert!(devices.ended().success());
}

/// A profile of the library, with a script that changes it, until the script ends it.
#[test]
fn a_script_changes_a_device_of_the_library() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    place.write("script.txt", "0s set voltage-l1 230\n+10ms set voltage-l1 soon\n+10ms quit\n");
    let (devices, ready) = simulate(&cli, &["usp.demo-meter", "--script", "script.txt"]);
    assert_eq!(ready["devices"][0]["profile"], "usp.demo-meter");
    assert!(devices.line().contains("\"ok\":true"));
    assert!(devices.line().contains("is not a number"));
    assert!(devices.ended().success());

    let told = |arguments: &[&str]| cli.fails(2, &[&["mapping", "simulate"], arguments].concat());
    assert!(told(&["no.such"]).contains("no.such"));
    assert!(told(&["usp.demo-meter", "--fault", "lazy"]).contains("unknown fault"));
    assert!(told(&["usp.demo-meter", "--set", "volts=1"]).contains("no capability"));
    place.write("script.txt", "0s fault voltage silent\n");
    assert!(told(&["usp.demo-meter", "--script", "script.txt"]).contains("line 1"));
    place.write("bad.yaml", "uspmap: 1\nprofile: acme.bad\n");
    assert!(told(&["bad.yaml"]).contains("version"));
}

/// A device on an MQTT server of its own, and a broker that uses both.
#[test]
fn a_device_on_mqtt_is_simulated_and_used() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let (mut process, ready) = simulate(&cli, &["tasmota.pow"]);
    assert_eq!((&ready["buses"][0]["kind"], &ready["devices"][0]["device"]), (&"mqtt".into(), &"pow".into()));
    let _broker = place.start();
    eventually("the device", || {
        (cli.values("Device.ProxiedDevice.1.Online").into_values().next()? == "true").then_some(())
    });
    let row = |number: u8| format!("Device.ProxiedDevice.1.IoTCapability.{number}");
    let switch = format!("{}.BinaryControl.Value", row(1));
    for state in ["true", "false"] {
        cli.ok(&["set", &format!("{switch}={state}")]);
        let shown = tell(&mut process, "show pow");
        assert!(shown.lines().any(|line| line.split_whitespace().eq(["power-state", state])), "{shown}");
    }
    tell(&mut process, "set power 1200");
    let power = format!("{}.LevelSensor.Value", row(2));
    eventually("the power", || (cli.values(&power).into_values().next()? == "1200").then_some(()));
    tell(&mut process, "fault unconfirmed");
    assert_eq!(cli.run(&["set", &format!("{switch}=true")]).code, 1);
    tell(&mut process, "clear");
    cli.ok(&["set", &format!("{switch}=true")]);
}

/// A CoAP device of its own, what is typed and what is set, and a broker that reads it back.
#[test]
fn a_coap_device_is_simulated_and_used() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let (mut process, ready) = simulate(&cli, &["usp.demo-light", "--set", "level=40"]);
    assert_eq!(
        (&ready["buses"][0]["kind"], &ready["devices"][0]["device"]),
        (&"coap".into(), &"demo-light".into())
    );
    cli.ok(&["mapping", "check", "site.yaml"]);
    let _broker = place.start();
    let path = |name: &str, class: &str| {
        of("demo-light", &format!("IoTCapability.[Name==\"{name}\"].{class}.Value"))
    };
    let value = |path: &str| cli.values(path).into_values().next();
    let (level, power) = (path("Level", "LevelControl"), path("Power", "LevelSensor"));
    eventually("the level", || (value(&level)? == "40").then_some(()));
    // It is told, and need not be asked for.
    tell(&mut process, "set power 7.5");
    eventually("the power", || (value(&power)? == "7.5").then_some(()));
    let switch = path("Switch", "BinaryControl");
    for state in ["true", "false"] {
        cli.ok(&["set", &format!("{switch}={state}")]);
        let shown = tell(&mut process, "show");
        assert!(shown.lines().any(|line| line.split_whitespace().eq(["switch", state])), "{shown}");
    }
    tell(&mut process, "fault frozen");
    assert_eq!(cli.run(&["set", &format!("{switch}=true")]).code, 1, "acknowledged and not done");
    tell(&mut process, "clear");
    cli.ok(&["set", &format!("{switch}=true")]);
    tell(&mut process, "fault silent");
    let online = || cli.values(&of("demo-light", "Online")).into_values().next();
    assert_eq!(cli.run(&["set", &format!("{switch}=false")]).code, 1);
    eventually("the silent one to be offline", || (online()? == "false").then_some(()));
    tell(&mut process, "clear");
    eventually("it to be back", || (online()? == "true").then_some(()));
    writeln!(process.stdin(), "quit").unwrap();
    assert!(process.ended().success());
}

/// A Zigbee device behind a coordinator of its own joins a broker, which forms the network, reads it and sets it.
#[test]
fn a_zigbee_device_is_simulated_and_used() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let (mut process, ready) = simulate(&cli, &["usp.demo-plug", "--set", "power=40.5"]);
    assert_eq!(
        (&ready["buses"][0]["kind"], &ready["devices"][0]["device"]),
        (&"zigbee".into(), &"demo-plug".into())
    );
    cli.ok(&["mapping", "check", "site.yaml"]);
    let _broker = place.start();
    let path =
        |name: &str, class: &str| of("demo-plug", &format!("IoTCapability.[Name==\"{name}\"].{class}.Value"));
    let value = |path: &str| cli.values(path).into_values().next();
    let power = path("Power", "LevelSensor");
    eventually("the power", || (value(&power)? == "40.5").then_some(()));
    tell(&mut process, "set power 1200");
    eventually("another power", || (value(&power)? == "1200").then_some(()));
    let outlet = path("Outlet", "BinaryControl");
    for state in ["false", "true"] {
        cli.ok(&["set", &format!("{outlet}={state}")]);
        let shown = tell(&mut process, "show");
        assert!(shown.lines().any(|line| line.split_whitespace().eq(["output", state])), "{shown}");
    }
    tell(&mut process, "fault frozen");
    assert_eq!(cli.run(&["set", &format!("{outlet}=false")]).code, 1, "acknowledged and not done");
    tell(&mut process, "clear");
    cli.ok(&["set", &format!("{outlet}=false")]);
    writeln!(process.stdin(), "quit").unwrap();
    assert!(process.ended().success());
}

/// Scripts and wrong words, for devices that speak in messages.
#[test]
fn a_script_changes_devices_that_speak_in_messages() {
    let place = Place::new(ACTOR, "");
    let cli = place.cli();
    let text =
        "0s set demo-light.level 55\n+10ms fault demo-light slow=5*2\n+10ms set level soon\n+10ms quit\n";
    place.write("script.txt", text);
    let (devices, _) = simulate(&cli, &["usp.demo-light", "--script", "script.txt"]);
    assert!(devices.line().contains("demo-light.level 55"));
    assert!(devices.line().contains("fault slow=5*2"));
    assert!(devices.line().contains("\"ok\":false"));
    assert!(devices.ended().success());
    let told = |arguments: &[&str]| cli.fails(2, &[&["mapping", "simulate"], arguments].concat());
    assert!(told(&["usp.demo-light", "--fault", "lazy"]).contains("unknown fault"));
    assert!(told(&["usp.demo-light", "--set", "volts=1"]).contains("volts"));
    place.write("script.txt", "0s set volts 1\n");
    for profile in ["usp.demo-light", "tasmota.pow"] {
        assert!(told(&[profile, "--script", "script.txt"]).contains("line 1"), "{profile}");
    }
    assert!(told(&["usp.demo-light", "tasmota.pow"]).contains("simulated apart"));
    assert!(told(&["usp.demo-light", "--serial"]).contains("no serial line"));
    assert!(told(&["usp.demo-light", "--mqtt", "127.0.0.1:1"]).contains("--mqtt is for"));
}
