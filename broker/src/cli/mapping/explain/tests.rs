use clap::Parser;
use usp_mapping::diagnostic::SourceFile;

use super::subject::of_mapping;
use super::*;

/// `explain` as it is parsed.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    explain: Explain,
}

const HEATER: &str = r#"uspmap: 1
profile: acme.heater
version: 1.2.0
device: {type: HVAC, description: "Heater at ${place}"}
params: {place: {string: 32, default: home}}
modbus: {max_gap: 4, guard: 5ms}
poll: {fast: 1s, slow: 60s}
capabilities:
  temperature: {class: LevelSensor, type: Temperature, unit: degC, high: 90, read: {input: 0, as: s16, scale: 0.1}, poll: fast}
  power: {class: LevelSensor, type: Power, unit: W, read: {input: 4, as: f32}, poll: fast}
  energy: {class: LevelSensor, type: Energy, unit: kWh, read: {input: 8, as: u32}, poll: slow}
  heating: {class: BinaryControl, type: Switch, read: {coil: 3}, write: {verify: 2s, ttl: 3s}, poll: fast}
  setpoint:
    class: LevelControl
    type: Temperature
    unit: degC
    min: 20
    max: 55
    step: 0.5
    read: {holding: 20, as: s16, scale: 0.1}
    write: {coalesce: true, verify: false}
    poll: on_demand
"#;

/// A folder with the heater and a site of three.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("heater.yaml"), HEATER).unwrap();
    let site = "site: 1\nbuses:\n  line: {modbus_rtu: /dev/ttyS0, baud: 1200, parity: none}\ndevices:\n  \
                a: {file: heater.yaml, bus: line, unit: 1}\n  b: {file: heater.yaml, bus: line, unit: 2}\n  \
                c: {file: heater.yaml, bus: line, unit: 3}\n";
    std::fs::write(place.path().join("site.yaml"), site).unwrap();
    place
}

fn args(words: &[&str]) -> Explain {
    Cli::try_parse_from([&["explain"], words].concat()).unwrap().explain
}

fn explain(place: &tempfile::TempDir, file: &str, words: &[&str]) -> Result<String, Failure> {
    let file = place.path().join(file).display().to_string();
    let args = args(&[&[file.as_str()], words].concat());
    let subject = Subject::of(&args)?;
    Ok(text::text(&subject.explain()?, &subject, Screen::plain()))
}

#[test]
fn a_mapping_is_told_whole() {
    let expected = "\
acme.heater 1.2.0: HVAC, Heater at attic
Unit 1; serial line, 19200 baud, 8N1; the device begins to answer after 10.0 ms.

What Controllers see below Device.ProxiedDevice.1.
path                                 capability   type         unit  access                          poll       max age  values
IoTCapability.1.LevelSensor.Value    temperature  Temperature  degC  Get                             fast       2s
IoTCapability.2.LevelSensor.Value    power        Power        W     Get                             fast       2s
IoTCapability.3.LevelSensor.Value    energy       Energy       kWh   Get                             slow       120s
IoTCapability.4.BinaryControl.Value  heating      Switch             Get, Set, Toggle()              fast       2s
IoTCapability.5.LevelControl.Value   setpoint     Temperature  degC  Get, Set, StepUp(), StepDown()  on demand  0s       20 to 55
Each with the other Parameters of its class; --json lists them.

What is read
fast, every 1s: 2 requests, 54.0 ms
  request                  reply     time  what             unwanted  for
  01 01 00 03 00 01 0d ca    6 B  24.1 ms  read coil 3                heating
  01 04 00 00 00 06 70 08   17 B  29.8 ms  read input 0..5         3  temperature, power
slow, every 60s: 1 request, 25.7 ms
  request                  reply     time  what             for
  01 04 00 08 00 02 f0 09    9 B  25.7 ms  read input 8..9  energy
on demand: 1 request, 24.6 ms
  request                  reply     time  what             for
  01 03 00 14 00 01 c4 0e    7 B  24.6 ms  read holding 20  setpoint

Load of the bus by these polls
due together  requests     time  a minute   load
fast                 2  54.0 ms      59.0  4.7 %
fast + slow          2  58.1 ms       1.0  0.1 %
all                                        4.8 %

What a Set sends
heating = true
  request                  reply     time  what
  01 05 00 03 ff 00 7c 3a    8 B  25.2 ms  write coil 3
  done when `heating` shows it, which is read until then for at most 2s: 01 01 00 03 00 01 0d ca
  not sent any more after 3s; given 4s once it begins, and needs 49.3 ms
setpoint = 21.5
  request                  reply     time  what
  01 06 00 14 00 d7 89 90    8 B  25.2 ms  write holding 20
  done with the device's acknowledgement
  not sent any more after 5s; given 1s once it begins, and needs 25.2 ms; of several that wait only the newest is sent
2 values in one Set: given 5s once it begins, and needs 74.4 ms

While it is offline and others on its bus answer, it is asked every 21s at most, whatever its `backoff`: it costs them a `timeout`.
";
    let options = ["--baud", "19200", "--parity", "none", "--param", "place=attic", "--set", "setpoint=21.5"];
    assert_eq!(explain(&place(), "heater.yaml", &options).unwrap(), expected);
}

#[test]
fn a_site_is_told_by_bus_with_a_warning_when_it_is_too_much() {
    let place = place();
    let told = explain(&place, "site.yaml", &[]).unwrap();
    let tables = "\
device  bus   unit  profile            requests   a round    load
a       line     1  acme.heater 1.2.0         3  528.3 ms  46.3 %
b       line     2  acme.heater 1.2.0         3  528.3 ms  46.3 %
c       line     3  acme.heater 1.2.0         3  528.3 ms  46.3 %

bus   kind                         devices  a round of all     load
line  serial line, 1200 baud, 8N1        3       1585.0 ms  138.8 %
";
    assert!(told.starts_with(tables), "{told}");
    assert!(told.contains("warning of `line`: the polls need 139 % of the bus' time"), "{told}");
    assert!(told.contains("`line` that is offline is asked every 21s at most while others"), "{told}");
    let one = explain(&place, "site.yaml", &["--device", "b"]).unwrap();
    assert!(one.starts_with("acme.heater 1.2.0: HVAC, Heater at home\nUnit 2;"), "{one}");
    assert!(one.contains("below Device.ProxiedDevice.2.\n"), "{one}");
}

#[test]
fn a_device_that_must_rest_longer_than_its_polls_allow_is_told() {
    let place = place();
    std::fs::write(place.path().join("slow.yaml"), HEATER.replace("guard: 5ms", "guard: 600ms")).unwrap();
    let told = explain(&place, "slow.yaml", &[]).unwrap();
    assert!(
        told.contains("warning: `device` cannot be asked that fast: with its `guard` the polls need 12"),
        "{told}"
    );
}

#[test]
fn a_rest_after_the_reply_makes_no_reply_too_late() {
    let place = tempfile::tempdir().unwrap();
    let heater =
        HEATER.replace("guard: 5ms", "guard: 900ms, timeout: 500ms").replace("fast: 1s", "fast: 20s");
    std::fs::write(place.path().join("heater.yaml"), heater).unwrap();
    for bus in ["{modbus_tcp: \"127.0.0.1:502\"}", "{modbus_rtu: /dev/ttyS0, baud: 19200, parity: even}"] {
        let site = format!(
            "site: 1\nbuses:\n  line: {bus}\ndevices:\n  a: {{file: heater.yaml, bus: line, unit: 1}}\n"
        );
        std::fs::write(place.path().join("site.yaml"), site).unwrap();
        let told = explain(&place, "site.yaml", &[]).unwrap();
        assert!(!told.contains("in time"), "{told}");
    }
}

#[test]
fn programs_get_everything() {
    let place = place();
    let file = place.path().join("heater.yaml").display().to_string();
    let subject = Subject::of(&args(&[&file, "--tcp", "--unit", "7"])).unwrap();
    let json = serde_json::to_value(subject.explain().unwrap()).unwrap();
    let device = &json["devices"][0];
    assert_eq!(device["capabilities"][3]["path"], "Device.ProxiedDevice.1.IoTCapability.4.BinaryControl.");
    assert_eq!(device["capabilities"][3]["commands"][0], "Toggle()");
    let read = &device["groups"][0]["exchanges"][1];
    assert_eq!(read["request"], "00 01 00 00 00 06 07 04 00 00 00 06");
    assert_eq!((&read["reply_bytes"], &read["unwanted"]), (&21.into(), &3.into()));
    assert_eq!(device["writes"][0]["verify"]["within_ms"], 2000);
    assert_eq!(json["buses"][0]["kind"], "Modbus TCP");
}

#[test]
fn what_cannot_be_is_refused_in_the_users_words() {
    let place = place();
    for (words, why) in [
        (&["--set", "temperature=1"], "there is no capability `temperature` that can be set"),
        (&["--set", "heating=maybe"], "`maybe` is neither true nor false"),
        (&["--param", "room=x"], "the profile has no parameter `room`"),
        (&["--param", "place"], "write NAME=VALUE"),
        (&["--unit", "250"], "there is no unit 250 on a serial line"),
        (&["--device", "a"], "is a mapping, and devices are in a site file"),
    ] {
        let failure = explain(&place, "heater.yaml", words).unwrap_err().to_string();
        assert!(failure.contains(why), "{words:?}: {failure}");
    }
    let folder = explain(&place, "", &[]).unwrap_err().to_string();
    assert!(folder.contains("is a folder: name a file in it"), "{folder}");
    let unknown = explain(&place, "site.yaml", &["--device", "z"]).unwrap_err().to_string();
    assert!(unknown.contains("devices: a, b, c"), "{unknown}");
    assert!(Cli::try_parse_from(["explain", "x", "--slave-delay", "10"]).is_err());
}

/// What is said about Parameters is what the data model has.
#[test]
fn parameters_are_those_of_the_data_model() {
    let model = include_str!("../../../../core/src/dm/model.txt");
    let file = SourceFile::new("heater.yaml", HEATER);
    let site = of_mapping(&file, &Folders::default(), &args(&["x"]).line, 1, &[]).unwrap();
    let mut seen = 0;
    for capability in &site.devices[0].mapping.capabilities {
        let head = format!("\nDevice.ProxiedDevice.{{i}}.IoTCapability.{{i}}.{}. ", capability.class.name());
        let (_, object) = model.split_once(&head).unwrap();
        let object = object.split("\n\n").next().unwrap();
        for parameter in paths::parameters(capability, &[]) {
            let access = if parameter.writable { "rw" } else { "ro" };
            let is_it = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.first() == Some(&parameter.name)
                    && words.get(1).is_some_and(|kind| kind.starts_with(parameter.kind))
                    && words.get(2) == Some(&access)
            };
            assert!(object.lines().any(is_it), "{head}{parameter:?}");
            seen += 1;
        }
        for command in paths::commands(capability) {
            assert!(object.contains(&format!("  {command} ")), "{head}{command}");
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_window_of_the_device_is_a_parameter_that_is_set_there() {
    let place = tempfile::tempdir().unwrap();
    let detector = "uspmap: 1\nprofile: acme.detector\nversion: 1.0.0\ndevice: {type: Sensor}\ncapabilities:\n  \
                    motion: {class: BinarySensor, type: MotionDetected, hold: {read: {holding: 4, scale: 1000}, \
                    write: {}}, rest: {read: {holding: 5}}, read: {discrete: 3}}\n";
    std::fs::write(place.path().join("detector.yaml"), detector).unwrap();
    let told = explain(&place, "detector.yaml", &["--set", "motion.hold=30000"]).unwrap();
    assert!(told.contains("motion.hold") && told.contains("01 06 00 04 00 1e"), "{told}");
    let file = SourceFile::new("detector.yaml", detector);
    let site = of_mapping(&file, &Folders::default(), &args(&["x"]).line, 1, &[]).unwrap();
    let mapping = &site.devices[0].mapping;
    let held: Vec<_> = mapping.settings.iter().collect();
    let shown = paths::parameters(&mapping.capabilities[0], &held).into_iter();
    let shown: Vec<_> =
        shown.filter(|it| it.kind == "unsignedInt").map(|it| (it.name, it.writable)).collect();
    assert_eq!(shown, [("HoldTime", true), ("RestTime", false)]);
}

const PLUG: &str = r#"uspmap: 1
profile: acme.plug
version: 1.0.0
device: {type: X_ACME_Plug}
mqtt: {availability: {topic: ~/availability, json: /state}, get: {topic: ~/get, send: {state: ""}}}
poll: {seldom: 10m}
capabilities:
  relay:
    class: BinaryControl
    type: Switch
    read: {topic: "~", json: /state, map: {"ON": true, "OFF": false}}
    write: {topic: ~/set, json: /state, verify: 3s, qos: 1}
    poll: seldom
  power: {class: LevelSensor, type: Power, unit: W, read: {topic: "~", json: /power}}
commands:
  X_ACME_Restart: {send: [{topic: ~/cmnd/restart, send: "1"}]}
"#;

#[test]
fn a_mapping_of_messages_is_told_with_its_topics() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("plug.yaml"), PLUG).unwrap();
    let told = explain(&place, "plug.yaml", &["--set", "relay=false"]).unwrap();
    for line in [
        "X_ACME_Restart()  1 to ~/cmnd/restart",
        "  ~/availability  json /state: online or offline  published",
        "published; asked with ~/get {\"state\":\"\"}, every 10min of silence",
        "the device as long to answer a question; neither is sent again.",
        "While it is silent, polls ask it at most 6 times an hour.",
        "a Set is done when the device says the new value.",
        "relay = false\n  to     how    body\n  ~/set  QoS 1  {\"state\":\"OFF\"}\n  done when `relay` shows it, for which 3s are given\n",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    assert!(!told.contains("load") && !told.contains("request"), "no times of a line: {told}");
}

/// As long as the broker waits for it.
#[test]
fn a_command_is_told_with_what_it_is_given() {
    let place = tempfile::tempdir().unwrap();
    let given = |write_rate: &str, steps: usize| {
        let steps = vec!["{coil: 1, value: true}"; steps].join(", ");
        let relay = format!(
            "uspmap: 1\nprofile: acme.relay\nversion: 1.0.0\ndevice: {{type: X_ACME_Relay}}\n\
             modbus: {{timeout: 500ms, write_rate: {write_rate}}}\npoll: {{fast: 2s}}\ncapabilities:\n  \
             relay: {{class: BinaryControl, type: Switch, read: {{coil: 0}}, write: {{coil: 0, ttl: 1h}}}}\n\
             commands:\n  X_ACME_Reset: {{send: [{steps}], ttl: 1h}}\n"
        );
        let file = place.path().join("relay.yaml");
        std::fs::write(&file, relay).unwrap();
        let subject = Subject::of(&args(&[&file.display().to_string()])).unwrap();
        let told = serde_json::to_value(subject.explain().unwrap()).unwrap();
        told["devices"][0]["commands"][0]["takes_ms"].as_u64()
    };
    assert_eq!(given("1ms", 2), Some(4000), "at least");
    assert_eq!(given("10s", 2), Some(21_000), "its pauses too");
    assert_eq!(given("100s", 4), Some(300_000), "at most");
}

#[test]
fn a_coap_mapping_is_told_with_what_is_sent_again() {
    const LIGHT: &str = r#"uspmap: 1
profile: acme.light
version: 1.0.0
device: {type: Light}
coap: {timeout: 5s}
poll: {slow: 60s, daily: 1h}
capabilities:
  level: {class: LevelSensor, type: Brightness, unit: "%", read: {path: /l/1, observe: true}, poll: slow}
  power: {class: LevelSensor, type: Power, unit: W, read: {path: /p, json: /now}, poll: daily}
  total: {class: LevelSensor, type: Energy, unit: kWh, read: {path: /p, json: /sum}, poll: daily}
"#;
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("light.yaml"), LIGHT).unwrap();
    let told = explain(&place, "light.yaml", &[]).unwrap();
    for line in [
        "a confirmable message with 5s for its answer",
        "sent again after 1s to 1500ms (ACK_TIMEOUT, by chance)",
        "within 5s that is 2 times, at the earliest after 1s, 3s.",
        "more than 1024 bytes go in blocks; all blocks together have 30s.",
        "Polls ask it at most 61 times an hour",
        "When it has said nothing for 5min (`silence`) it is asked whether it is still there",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    std::fs::write(place.path().join("light.yaml"), LIGHT.replace("5s}", "5s, silence: 12h}")).unwrap();
    assert!(explain(&place, "light.yaml", &[]).unwrap().contains("said nothing for 12h (`silence`)"));
    let unobserved = LIGHT.replace(", observe: true", "");
    std::fs::write(place.path().join("light.yaml"), unobserved).unwrap();
    assert!(!explain(&place, "light.yaml", &[]).unwrap().contains("`silence`"));
    std::fs::write(place.path().join("light.yaml"), LIGHT.replace("5s", "500ms, confirmable: false"))
        .unwrap();
    let told = explain(&place, "light.yaml", &[]).unwrap();
    assert!(told.contains("each is sent once, with 500ms for its answer."), "{told}");
}

#[test]
fn a_site_tells_no_secret() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("plug.yaml"), PLUG).unwrap();
    std::fs::write(place.path().join("secret.txt"), "hunter2").unwrap();
    let site = "site: 1\nbuses:\n  home: {mqtt: \"10.0.0.1:1883\", user: hub, password: \"file:secret.txt\"}\ndevices:\n  \
                plug: {file: plug.yaml, bus: home, topic: zigbee2mqtt/plug}\n";
    std::fs::write(place.path().join("site.yaml"), site).unwrap();
    let told = explain(&place, "site.yaml", &["--device", "plug"]).unwrap();
    assert!(told.contains("MQTT, `zigbee2mqtt/plug`."), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("secret"), "{told}");
}

/// Nothing is polled: a sum of nothing is no negative zero, and bytes are told as mappings have them.
#[test]
fn a_bluetooth_device_is_told_in_the_words_of_mappings() {
    let place = tempfile::tempdir().unwrap();
    let lamp = "uspmap: 1\nprofile: acme.lamp\nversion: 1.0.0\ndevice: {type: Sensor}\nble: {}\ncapabilities:\n  \
                lit: {class: BinarySensor, type: X_ACME_On, read: {char: \"2a56\", bytes: 0, as: u8, bits: 3}}\n  \
                level: {class: LevelSensor, type: Brightness, unit: \"%\", read: {char: \"2a57\", bytes: 2, as: s16}}\n";
    std::fs::write(place.path().join("lamp.yaml"), lamp).unwrap();
    let told = explain(&place, "lamp.yaml", &[]).unwrap();
    assert!(
        told.contains("byte 0 as u8, bit 3") && told.contains("bytes 2 to 3 as s16, least significant first"),
        "{told}"
    );
    assert!(!told.contains("-0.0"), "{told}");
}

/// Nothing is named: a bus that takes over what is there has no times, and no empty table.
#[test]
fn a_site_whose_devices_are_adopted_is_told_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let site = "site: 1\nbuses:\n  mesh: {zigbee_tcp: \"127.0.0.1:6638\", ncp: znp, adopt: true}\n";
    std::fs::write(place.path().join("site.yaml"), site).unwrap();
    let told = explain(&place, "site.yaml", &[]).unwrap();
    assert!(told.starts_with("The file names no device. What a bus adopts"), "{told}");
    assert!(told.contains("mesh") && !told.contains("-0.0") && !told.contains("``"), "{told}");
    let subject = Subject::of(&args(&[&place.path().join("site.yaml").display().to_string()])).unwrap();
    let json = serde_json::to_string(&subject.explain().unwrap()).unwrap();
    assert!(json.contains("\"all_ms\":0.0") && !json.contains("-0.0"), "{json}");
}
