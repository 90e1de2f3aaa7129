//! Zigbee hosts that share no code with the project, zigpy's bellows and zigpy-znp, at the simulated coordinators: what holds
//! there makes the simulator a measure for the broker.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use usp_simulators::zigbee::command::Command as Order;
use usp_simulators::zigbee::{Coordinator, Ieee, Kind, Model, Node, Place, Plan, Presence};

use crate::python::{here, python_with};

const DEVICES: [Kind; 7] =
    [Kind::Plug, Kind::Light, Kind::Climate, Kind::Contact, Kind::Lock, Kind::Thermostat, Kind::Button];

fn coordinator(model: Model, place: Place) -> Coordinator {
    let device = |(number, kind): (u64, Kind)| {
        let node = Node::new(kind, Ieee(0x00e0_5400_0001_0000 + number));
        (node.polling(Duration::from_millis(500)), Presence::Waiting)
    };
    let devices = (1..).zip(DEVICES).map(device).collect();
    Coordinator::start(Plan { devices, ..Plan::new(model, place) }).unwrap()
}

/// Everything that a foreign host saw, whose wishes the simulator obeyed meanwhile.
fn seen_by(radio: &str, address: &str, coordinator: &Coordinator) -> Value {
    let mut host = Command::new(python_with("python-zigbee", "zigbee.txt"))
        .arg(here("python/zigbee.py"))
        .args([radio, address])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tell = host.stdin.take().unwrap();
    let mut last = String::new();
    for line in BufReader::new(host.stdout.take().unwrap()).lines() {
        last = line.unwrap();
        if let Some(order) = last.strip_prefix("> ") {
            let done = coordinator.obey(&order.parse::<Order>().unwrap()).unwrap();
            writeln!(tell, "{done}").unwrap();
        }
    }
    assert!(host.wait().unwrap().success(), "{radio} gave up after {last:?}");
    serde_json::from_str(&last).unwrap()
}

fn is_hosted(radio: &str, model: Model, place: Place, version: &str) {
    let coordinator = coordinator(model, place);
    let address = match coordinator.address() {
        Some(address) => format!("socket://{address}"),
        None => coordinator.path().display().to_string(),
    };
    let seen = seen_by(radio, &address, &coordinator);
    let wanted = json!({
        "network": [0x1a62, "dd:dd:dd:dd:00:00:00:01", 20],
        "key_kept": true,
        "version": version,
        "models": ["SIM-BUTTON", "SIM-CLIMATE", "SIM-CONTACT", "SIM-LIGHT", "SIM-LOCK", "SIM-PLUG", "SIM-THERMOSTAT"],
        "plug": {"on_off": true, "start_up_on_off": 255},
        "basic": {"manufacturer": "USP Simulators", "model": "SIM-PLUG"},
        "unsupported": {"on_off": true, "global_scene_control!": 0x86},
        "metering": ["current_summ_delivered", "divisor", "multiplier"],
        "off": 0,
        "off_read": {"on_off": false},
        "written": 0,
        "read_only": 0x88,
        "light": {"color_temperature": 250, "color_mode": 2},
        "climate": {"battery_percentage_remaining": 174},
        "zone": {"zone_state": 1, "zone_id": 7},
        "unlock": 0,
        "thermostat": {"occupied_heating_setpoint": 2350},
        "rejoined": {"on_off": true},
        "undelivered": "DeliveryError",
        "again": [0x1a62, 20],
    });
    assert_eq!(seen, wanted);
    // And it was really so.
    let value = |device: &str, name: &str| coordinator.get(device, name).unwrap();
    assert_eq!(value("plug", "on"), "true");
    assert_eq!(value("light", "level"), "100");
    assert_eq!(value("light", "mireds"), "250");
    assert_eq!(value("lock", "state"), "2");
    assert_eq!(value("thermostat", "heat_to"), "23.5");
    let joined = |name: &str| coordinator.show().iter().any(|one| one.name == name && one.address.is_some());
    assert!(joined("plug") && !joined("light"));
}

fn tcp() -> Place {
    Place::Tcp(([127, 0, 0, 1], 0).into())
}

#[test]
fn bellows_hosts_a_network_on_an_older_coordinator() {
    is_hosted("ezsp", Model::Ezsp(8), tcp(), "6.7.10.0 build 0");
}

#[test]
fn bellows_hosts_a_network() {
    is_hosted("ezsp", Model::Ezsp(13), Place::Terminal(None), "7.4.4.0 build 0");
}

#[test]
fn zigpy_znp_hosts_a_network() {
    is_hosted("znp", Model::Znp, Place::Terminal(None), "Z-Stack 20230507");
}

#[test]
fn zigpy_znp_hosts_a_network_over_tcp() {
    is_hosted("znp", Model::Znp, tcp(), "Z-Stack 20230507");
}
