//! What is said when simulated devices are ready: where they are, and what to try.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;
use usp_mapping::mapping::Parity;
use usp_simulators::modbus::plant::{Medium, Plant, PlantBus, PlantDevice};

use super::Simulate;
use super::plan::{Characters, Thing, quoted};
use crate::cli::{Failure, print_line};

/// Most devices that are listed one by one.
const LISTED: usize = 20;

/// How the characters of serial lines are set, by the name of the bus.
type Lines = BTreeMap<String, Characters>;

/// A site file for everything that runs.
pub(super) fn site_file(plant: &Plant, lines: &Lines, things: &BTreeMap<String, Thing>) -> String {
    let mut text = "site: 1\nbuses:\n".to_owned();
    for bus in plant.buses() {
        // Writing to a String cannot fail, here and below.
        writeln!(text, "  {}: {}", bus.name(), bus_map(bus, lines)).ok();
    }
    text.push_str("devices:\n");
    for device in plant.devices() {
        if let Some(thing) = things.get(&device.name) {
            writeln!(text, "  {}: {}", device.name, device_map(device, thing)).ok();
        }
    }
    text
}

fn bus_map(bus: &PlantBus, lines: &Lines) -> String {
    let address = quoted(&bus.address());
    match bus.medium() {
        Medium::Tcp(_) => format!("{{modbus_tcp: {address}}}"),
        Medium::RtuTcp(_) => format!("{{modbus_rtu_tcp: {address}}}"),
        Medium::Line(line) => {
            let Characters { parity, stop_bits } = characters(bus, lines);
            let stop = if stop_bits == 1 { String::new() } else { format!(", stop_bits: {stop_bits}") };
            format!("{{modbus_rtu: {address}, baud: {}, parity: {}{stop}}}", line.baud, word(parity))
        }
    }
}

fn characters(bus: &PlantBus, lines: &Lines) -> Characters {
    lines.get(bus.name()).copied().unwrap_or(Characters { parity: Parity::Even, stop_bits: 1 })
}

/// As site files have it.
fn word(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

fn device_map(device: &PlantDevice, thing: &Thing) -> String {
    let mut map = format!("{{{}, bus: {}, unit: {}", thing.model, device.bus, device.unit.unit());
    if thing.name != device.name {
        write!(map, ", name: {}", quoted(&thing.name)).ok();
    }
    if !thing.params.is_empty() {
        let params: Vec<String> =
            thing.params.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
        write!(map, ", params: {{{}}}", params.join(", ")).ok();
    }
    map.push('}');
    map
}

/// Says that everything runs.
pub(super) fn greet(
    args: &Simulate,
    (plant, lines): (&Plant, &Lines),
    things: &BTreeMap<String, Thing>,
    site: &str,
) -> Result<(), Failure> {
    if args.json {
        return print_line(ready(plant, things));
    }
    for bus in plant.buses() {
        let devices: Vec<&PlantDevice> =
            plant.devices().iter().filter(|device| device.bus == bus.name()).collect();
        print_line(format!("{}: {}", bus.name(), place(bus, lines)))?;
        for device in devices.iter().take(LISTED) {
            print_line(format!(
                "  unit {:3}  {}  {}",
                device.unit.unit(),
                device.name,
                device.unit.profile()
            ))?;
        }
        if devices.len() > LISTED {
            print_line(format!("  and {} more", devices.len() - LISTED))?;
        }
    }
    self::site(args, site)?;
    print_line(tries(plant, things))?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

/// Says where the site file is, or what is in it.
pub(super) fn site(args: &Simulate, site: &str) -> Result<(), Failure> {
    match &args.output {
        Some(path) => print_line(format!("\nThe site file for it is {}.\n", path.display())),
        None => print_line(format!("\nA site file for it:\n\n{site}")),
    }
}

fn place(bus: &PlantBus, lines: &Lines) -> String {
    match bus.medium() {
        Medium::Tcp(_) => format!("Modbus TCP on {}", bus.address()),
        Medium::RtuTcp(_) => format!("Modbus RTU over TCP on {}", bus.address()),
        Medium::Line(line) => {
            let Characters { parity, stop_bits } = characters(bus, lines);
            let parity = if parity == Parity::None { "no" } else { word(parity) };
            let stop = if stop_bits == 1 { "" } else { ", two stop bits" };
            format!("serial line {} at {} baud, {parity} parity{stop}", bus.address(), line.baud)
        }
    }
}

/// What to ask a broker that has this site file.
fn tries(plant: &Plant, things: &BTreeMap<String, Thing>) -> String {
    let mut text = "With a broker that uses it, try:\n".to_owned();
    let Some((device, thing)) =
        plant.devices().iter().find_map(|device| Some((device, things.get(&device.name)?)))
    else {
        return text;
    };
    let row = format!("Device.ProxiedDevice.[Name=={}].IoTCapability.", quoted(&thing.name));
    let path =
        |(_, name, class): &&(String, String, &str)| format!("{row}[Name=={}].{class}.Value", quoted(name));
    if let Some(first) = thing.capabilities.iter().find(|(_, name, _)| !name.contains("${")) {
        writeln!(text, "  usp-broker get '{}'", path(&first)).ok();
    }
    let shown = device.unit.show();
    let writable = shown.iter().filter(|row| row.settable).find_map(|row| {
        let capability = thing.capabilities.iter().find(|(key, ..)| *key == row.capability)?;
        let value = row.states.last().cloned().unwrap_or_else(|| match row.value {
            usp_simulators::value::SimValue::Bool(on) => (!on).to_string(),
            ref other => other.to_string(),
        });
        Some(format!("  usp-broker set '{}={value}'", path(&capability)))
    });
    text.extend(writable.map(|line| line + "\n"));
    text
}

fn ready(plant: &Plant, things: &BTreeMap<String, Thing>) -> serde_json::Value {
    let bus = |bus: &PlantBus| {
        let kind = match bus.medium() {
            Medium::Tcp(_) => "modbus_tcp",
            Medium::RtuTcp(_) => "modbus_rtu_tcp",
            Medium::Line(_) => "modbus_rtu",
        };
        json!({"name": bus.name(), "kind": kind, "address": bus.address()})
    };
    let device = |device: &PlantDevice| {
        let name = things.get(&device.name).map(|thing| thing.name.as_str());
        let capabilities: Vec<String> = device.unit.show().into_iter().map(|row| row.capability).collect();
        json!({
            "device": device.name, "bus": device.bus, "unit": device.unit.unit(), "profile": device.unit.profile(),
            "name": name, "capabilities": capabilities,
        })
    };
    json!({
        "ready": true,
        "buses": plant.buses().iter().map(bus).collect::<Vec<_>>(),
        "devices": plant.devices().iter().map(device).collect::<Vec<_>>(),
    })
}
