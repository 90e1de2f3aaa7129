//! The demo, end to end, over both transports: what README promises.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use usp_tests::cli::Cli;
use usp_tests::modbus::relay;
use usp_tests::process::Process;
use usp_tests::role;
use usp_tests::wait::eventually;

use crate::ACTOR;

const SENSORS: &str = "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor.";
const RELAY: &str = r#"Device.ProxiedDevice.1.IoTCapability.[Name=="Relay"].BinaryControl.Value"#;
const THERMOSTAT: &str = "Device.X_USPBROKER-DEMO_Thermostat.";

/// A running demo in a folder of its own.
pub(crate) struct Demo {
    dir: TempDir,
    process: Process,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Stdio::null())
    }

    fn start_in(dir: TempDir, orders: Stdio) -> Self {
        crate::ble::dbus_daemon();
        let mut command = role::broker(ACTOR);
        let process = Process::start(
            command.args(["demo", "--dir"]).arg(dir.path()).stdin(orders).stderr(Stdio::null()),
        );
        let ready = process.line();
        assert!(ready.starts_with("ready endpoint_id="), "{ready}");
        Self { dir, process }
    }

    /// An address that a generated file names.
    fn address(&self, file: &str, before: &str) -> SocketAddr {
        let text = fs::read_to_string(self.dir.path().join(file)).unwrap();
        let (_, rest) = text.split_once(before).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    }

    /// The simulated meters' Modbus server.
    pub(crate) fn meters(&self) -> SocketAddr {
        self.address("site.yaml", "modbus_tcp: \"")
    }

    /// The WebSocket server.
    pub(crate) fn websocket(&self) -> SocketAddr {
        self.address("broker.toml", "listen = \"")
    }

    /// Types an order, and reads what is said to it.
    fn tell(&mut self, order: &str) -> String {
        writeln!(self.process.stdin(), "{order}").unwrap();
        self.process.line()
    }

    fn over(&self, via: &str) -> Cli {
        Cli::new(ACTOR, via, self.dir.path())
    }

    fn both(&self) -> [Cli; 2] {
        let socket = self.dir.path().join("broker_agent_path");
        [
            self.over(&format!("uds:{}", socket.display())),
            self.over(&format!("ws://{}/usp", self.websocket())),
        ]
    }
}

/// What the guide says to try with the Zigbee2MQTT, and the Tasmota switch.
fn things_on_mqtt_are_used(cli: &Cli) {
    let strip = r#"Device.ProxiedDevice.[Name=="Desk strip"].Node.*.IoTCapability.*.BinaryControl.Value"#;
    assert_eq!(cli.values(strip).len(), 2);
    for (device, capability) in [("Coffee machine", "State"), ("Boiler", "Power")] {
        let value = format!(
            r#"Device.ProxiedDevice.[Name=="{device}"].IoTCapability.[Name=="{capability}"].BinaryControl.Value"#
        );
        for state in ["true", "false"] {
            cli.ok(&["set", &format!("{value}={state}")]);
            assert_eq!(cli.values(&value).into_values().collect::<Vec<_>>(), [state], "{device}");
        }
    }
    let bridge = r#"Device.ProxiedDevice.[Name=="Zigbee2MQTT Coordinator"].X_ZIGBEE2MQTT_PermitJoin()"#;
    cli.ok(&["operate", bridge, "Time=60"]);
    let lamp = r#"Device.ProxiedDevice.[Name=="Bedside lamp"].Online"#;
    eventually("the lamp that joins", || cli.values(lamp).into_values().any(|is| is == "true").then_some(()));
}

/// The lock is paired with and turned, the thermometer decrypted.
fn things_in_the_air_are_used(cli: &Cli) {
    let locked =
        r#"Device.ProxiedDevice.[Name=="Front door"].IoTCapability.[Name=="Locked"].BinaryControl.Value"#;
    for state in ["false", "true"] {
        // It may be on its way back: the site file was written a moment ago.
        let set = || (cli.run(&["set", &format!("{locked}={state}")]).code == 0).then_some(());
        eventually("the lock", set);
        assert_eq!(cli.values(locked).into_values().collect::<Vec<_>>(), [state]);
    }
    let thermometer = r#"Device.ProxiedDevice.[Name=="Bathroom thermometer"].IoTCapability.[Name=="Temperature"].LevelSensor.Value"#;
    let value = eventually("the thermometer", || cli.values(thermometer).into_values().next());
    assert!((15.0..30.0).contains(&value.parse::<f64>().unwrap()), "{value}");
}

/// What the guide says to try with the Zigbee network.
fn things_on_zigbee_are_used(cli: &Cli) {
    let of = |device: &str, capability: &str, class: &str| {
        format!(
            r#"Device.ProxiedDevice.[Name=="{device}"].IoTCapability.[Name=="{capability}"].{class}.Value"#
        )
    };
    for (device, sensor) in
        [("Washing machine", "Power"), ("Washing machine", "Energy"), ("Bedroom", "Temperature")]
    {
        let path = of(device, sensor, "LevelSensor");
        let value = eventually(&format!("{device}: {sensor}"), || cli.values(&path).into_values().next());
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{device}: {sensor} {value}");
    }
    let brightness = of("Reading lamp", "Brightness", "LevelControl");
    for level in ["40", "100"] {
        cli.ok(&["set", &format!("{brightness}={level}")]);
        assert_eq!(cli.values(&brightness).into_values().collect::<Vec<_>>(), [level]);
    }
    // Removed, the lamp looks for a network; the same call lets it in again, and a contact.
    let mesh = r#"Device.X_USPBROKER_Bus.[Name=="mesh"]."#;
    cli.ok(&["operate", &format!("{mesh}RemoveDevice()"), "IEEEAddress=0x00e0540000000102"]);
    let lamp = r#"Device.ProxiedDevice.[Name=="Reading lamp"]."#;
    let is = |name: &str| cli.values(&format!("{lamp}{name}")).into_values().next().unwrap_or_default();
    // Its worker tells that beside the end of the command.
    eventually("the lamp that was removed", || {
        let why = is("IoTCapability.*.X_USPBROKER_LastError");
        (is("Online") == "false" && why.contains("removed")).then_some(())
    });
    cli.ok(&["operate", &format!("{mesh}PermitJoin()"), "Duration=3"]);
    let is_open = cli.values(&format!("{mesh}OpenToJoin"));
    assert!(is_open.values().all(|open| open == "false") && is_open.len() == 1, "{is_open:?}");
    eventually("the lamp that joins again", || (is("Online") == "true").then_some(()));
    cli.ok(&["set", &format!("{brightness}=90")]);
    let addresses = "Device.ProxiedDevice.*.X_USPBROKER_Address";
    eventually("the contact that joins", || {
        cli.values(addresses).into_values().any(|at| at.contains("0x00e0540000000104")).then_some(())
    });
}

#[test]
fn the_demo_does_what_it_promises_over_both_transports() {
    let demo = Demo::start();
    for cli in demo.both() {
        sensors_are_read(&cli);
        a_get_spans_all_owners(&cli);
        everything_is_supported(&cli);
        a_relay_is_switched_and_watched(&cli, demo.meters());
        a_service_is_used(&cli);
        things_on_mqtt_are_used(&cli);
        things_in_the_air_are_used(&cli);
        things_on_zigbee_are_used(&cli);
    }
    demo.process.signal("TERM");
    assert!(demo.process.ended().success());
}

/// Somebody else has got its device file meanwhile.
#[test]
fn what_is_unplugged_comes_back_by_its_name() {
    let dir = tempfile::Builder::new().prefix("a \"demo\": ").tempdir().unwrap();
    let mut demo = Demo::start_in(dir, Stdio::piped());
    let [cli, _] = demo.both();
    let meter = r#"Device.ProxiedDevice.[Name=="Smart meter"].Online"#;
    let mesh = r#"Device.X_USPBROKER_Bus.[Name=="mesh"].Online"#;
    let is = |path: &str, wanted: &str| {
        eventually(path, || (cli.values(path).into_values().next()? == wanted).then_some(()));
    };
    let mut others = Vec::new();
    for (device, online) in [("smart-meter", meter), ("plug", mesh)] {
        is(online, "true");
        let said = demo.tell(&format!("fault {device} unplugged"));
        assert!(!said.starts_with("error"), "{said}");
        is(online, "false");
        for _ in 0..8 {
            others.push(fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap());
        }
        let said = demo.tell(&format!("clear {device}"));
        assert!(!said.starts_with("error"), "{said}");
        is(online, "true");
    }
    demo.process.signal("TERM");
    assert!(demo.process.ended().success());
}

fn sensors_are_read(cli: &Cli) {
    // What a device of messages has not said yet has no Value.
    let readings = eventually("eleven sensors in each of two meters, four on CoAP", || {
        let sensors = cli.values(SENSORS);
        let values = sensors.iter().filter(|(path, _)| path.ends_with(".Value"));
        let readings: Vec<f64> = values.map(|(_, value)| value.parse().unwrap()).collect();
        (readings.len() >= 26).then_some(readings)
    });
    assert!(readings.iter().filter(|reading| (200.0..260.0).contains(*reading)).count() >= 6, "{readings:?}");
    // By name: others come by themselves, and their number proves nothing of these.
    for (device, sensor) in [
        ("Ceiling light", "Power"),
        ("Climate sensor", "Temperature"),
        ("Climate sensor", "Humidity"),
        ("Climate sensor", "Battery"),
    ] {
        let path = format!(
            r#"Device.ProxiedDevice.[Name=="{device}"].IoTCapability.[Name=="{sensor}"].LevelSensor.Value"#
        );
        let value = eventually(&format!("{device}: {sensor}"), || cli.values(&path).into_values().next());
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{device}: {sensor} {value}");
    }
}

fn a_get_spans_all_owners(cli: &Cli) {
    let answer = cli.json(&["get", "Device."]);
    assert_eq!(answer["results"].as_array().unwrap().len(), 1, "no part failed: {answer}");
    let all = answer["results"][0]["values"].as_object().unwrap();
    let setpoint = format!("{THERMOSTAT}Setpoint");
    for path in ["Device.LocalAgent.EndpointID", &setpoint, "Device.ProxiedDevice.2.Online"] {
        assert!(all.contains_key(path), "{path}: {answer}");
    }
}

fn everything_is_supported(cli: &Cli) {
    let text = cli.ok(&["supported", "Device."]);
    let zone = format!("{THERMOSTAT}Zone.{{i}}. (table, add-delete) keys: Alias, Name");
    for line in
        ["Device.LocalAgent.Subscription.{i}. (table, add-delete)", &zone, "Device.ProxiedDevice.{i}. "]
    {
        assert!(text.lines().any(|told| told.starts_with(line)), "{line}\n{text}");
    }
}

fn a_relay_is_switched_and_watched(cli: &Cli, meters: SocketAddr) {
    let (path, value) = cli.values(RELAY).pop_first().expect("meter 1 has a relay");
    let before = value == "true";
    assert_eq!(relay(meters, 1), (before, before));

    let watch = cli.watch(&["Device.ProxiedDevice."]);
    let told = |expected: bool| loop {
        let line: Value = serde_json::from_str(&watch.line()).unwrap();
        assert_eq!(line["type"], "ValueChange", "{line}");
        if line["path"] == *path {
            assert_eq!(line["value"], expected.to_string(), "{line}");
            break;
        }
    };
    let set = cli.ok(&["set", &format!("{RELAY}={}", !before)]);
    assert_eq!(set, format!("{path} = {}\n", !before));
    assert_eq!(relay(meters, 1), (!before, !before), "the relay is really switched");
    told(!before);

    let toggle = path.replace("Value", "Toggle()");
    let done = cli.ok(&["operate", &toggle]);
    assert!(done.starts_with(&format!("{toggle} done")), "{done}");
    assert_eq!(relay(meters, 1), (before, before));
    told(before);
    assert_eq!(cli.value(&path), value);
}

fn a_service_is_used(cli: &Cli) {
    let zones = format!("{THERMOSTAT}Zone.");
    let row = cli.ok(&["add", &zones, "Name=Hall", "Setpoint=18.5"]);
    let row = row.trim();
    assert_eq!(cli.value(&format!("{row}Setpoint")), "18.5");
    let found = cli.values(&format!("{zones}[Name==\"Hall\"].Name"));
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [format!("{row}Name")]);
    cli.ok(&["delete", row]);
    assert_eq!(cli.json(&["get", &format!("{row}Name")])["results"][0]["error"]["code"], 7026);
    let done = cli.ok(&["operate", &format!("{THERMOSTAT}Calibrate()"), "Reference=20.5"]);
    assert!(done.contains("done"), "{done}");
}
