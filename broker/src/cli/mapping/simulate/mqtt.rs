//! Devices on an MQTT server, made from their mappings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use usp_mapping::check::{FileKind, file_kind};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::mapping::ProtocolKind;
use usp_simulators::console::Typed;
use usp_simulators::mischief::{MqttFault, Order};
use usp_simulators::mqtt::Relay;
use usp_simulators::mqtt_devices::{MappedThing, ThingHandle, run};

use super::plan::{absolute, key, mapping, quoted};
use super::{Simulate, guide};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// A device that is to run.
pub(super) struct Planned {
    key: String,
    /// `use: …` or `file: …`
    model: String,
    thing: MappedThing,
}

/// The devices, if the files are for MQTT; `None`: they are for something else.
///
/// Errors: a file cannot be read or has errors, or only some of them are for MQTT.
pub(super) fn planned(args: &Simulate) -> Result<Option<Vec<Planned>>, Failure> {
    let files: Vec<SourceFile> =
        args.models.iter().map(|model| args.folders.open(model)).collect::<Result<_, _>>()?;
    let is_mqtt = |file: &SourceFile| {
        let draft = MappingDraft::parse(file).0;
        file_kind(file).is_ok_and(|kind| kind != FileKind::Site)
            && draft.is_some_and(|draft| draft.protocol == ProtocolKind::Mqtt)
    };
    match files.iter().filter(|file| is_mqtt(file)).count() {
        0 => return Ok(None),
        some if some < files.len() => {
            return Err(Failure::invalid(
                "devices on MQTT and others are simulated apart: one command for each",
            ));
        }
        _ => {}
    }
    let finder = args.folders.finder(Path::new(""))?;
    let mut all: Vec<Planned> = Vec::new();
    for (number, (file, written)) in (1_u8..=u8::MAX).zip(files.iter().zip(&args.models)) {
        let draft = mapping(file, &finder, &args.params)?;
        let mut name = key(&draft, number);
        if all.iter().any(|other| other.key == name) {
            name = format!("{name}-{number}");
        }
        let model = if Path::new(written).is_file() {
            format!("file: {}", quoted(&absolute(Path::new(written))))
        } else {
            format!("use: {}", quoted(written))
        };
        let thing = MappedThing::from_draft(&draft, &name);
        let thing = thing.map_err(|error| Failure::invalid(format!("{}: {error}", file.name())))?;
        all.push(Planned { key: name, model, thing });
    }
    Ok(Some(all))
}

/// Runs them until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let own = match args.mqtt {
        Some(_) => None,
        None => Some(
            Relay::bind(args.tcp).await.map_err(|error| Failure::failed(format!("{}: {error}", args.tcp)))?,
        ),
    };
    let server = own.as_ref().map(Relay::address).or(args.mqtt).unwrap_or(args.tcp);
    let site = site_file(server, &devices);
    if let Some(path) = &args.output {
        std::fs::write(path, &site)
            .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    }
    let things: BTreeMap<String, ThingHandle> =
        devices.into_iter().map(|device| (device.key, run(device.thing, server, true))).collect();
    greet(args, server, &things, &site)?;
    let mut typed = Typed::default();
    loop {
        let line = tokio::select! {
            () = interrupt.wait() => break,
            line = typed.next() => line,
        };
        match obey(&things, line.trim()) {
            Ok(None) => break,
            Ok(Some(said)) if said.is_empty() => {}
            Ok(Some(said)) if args.json => print_line(json!({"ok": true, "said": said}))?,
            Ok(Some(said)) => print_line(said)?,
            Err(why) if args.json => print_line(json!({"ok": false, "said": why}))?,
            Err(why) => print_line(format!("error: {why}"))?,
        }
    }
    for thing in things.into_values() {
        thing.stop().await;
    }
    Ok(())
}

fn site_file(server: SocketAddr, devices: &[Planned]) -> String {
    let mut text = format!("site: 1\nbuses:\n  simulated: {{mqtt: \"{server}\"}}\ndevices:\n");
    for Planned { key, model, .. } in devices {
        // Writing to a String cannot fail.
        writeln!(text, "  {key}: {{{model}, bus: simulated, topic: {key}}}").ok();
    }
    text
}

fn greet(
    args: &Simulate,
    server: SocketAddr,
    things: &BTreeMap<String, ThingHandle>,
    site: &str,
) -> Result<(), Failure> {
    if args.json {
        let device = |(key, thing): (&String, &ThingHandle)| {
            let names: Vec<String> = thing.show().into_iter().map(|(name, _)| name).collect();
            json!({"device": key, "bus": "simulated", "topic": key, "capabilities": names})
        };
        let devices: Vec<Value> = things.iter().map(device).collect();
        let bus = json!({"name": "simulated", "kind": "mqtt", "address": server.to_string()});
        return print_line(json!({"ready": true, "buses": [bus], "devices": devices}));
    }
    print_line(format!("simulated: MQTT server {server}"))?;
    for key in things.keys() {
        print_line(format!("  {key}"))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

/// What is said to a line; `None`: it is the end.
fn obey(things: &BTreeMap<String, ThingHandle>, line: &str) -> Result<Option<String>, String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    Ok(Some(match word {
        "" => String::new(),
        "quit" => return Ok(None),
        "help" => HELP.to_owned(),
        "faults" => MqttFault::ALL.map(|(name, what)| format!("{name:<18} {what}")).join("\n"),
        "set" => {
            let (name, value) =
                rest.split_once(' ').ok_or("this is written set [DEVICE.]CAPABILITY VALUE")?;
            let (thing, capability) = found(things, name)?;
            thing.set(capability, value.trim()).map_err(|error| error.to_string())?;
            format!("{name} {}", value.trim())
        }
        "fault" => {
            let (chosen, text) = match rest.split_once(' ') {
                Some((device, text)) if things.contains_key(device) => (Some(device), text),
                _ => (None, rest),
            };
            let order: Order<MqttFault> = text.parse().map_err(|error| format!("{error}"))?;
            chosen_of(things, chosen)?.for_each(|(_, thing)| thing.fault(order.clone()));
            format!("fault {order}")
        }
        "clear" => {
            chosen_of(things, Some(rest).filter(|rest| !rest.is_empty()))?
                .for_each(|(_, thing)| thing.clear());
            "no faults".to_owned()
        }
        "show" => {
            let chosen = chosen_of(things, Some(rest).filter(|rest| !rest.is_empty()))?;
            chosen.map(|(key, thing)| shown(key, thing)).collect::<Vec<_>>().join("\n")
        }
        other => {
            return Err(format!(
                "unknown command {other:?}; known are: set, fault, faults, clear, show, help, quit"
            ));
        }
    }))
}

const HELP: &str = "set [DEVICE.]CAPABILITY VALUE   holds this value and tells it\n\
                    fault [DEVICE] NAME[=VALUE][*TIMES]   goes wrong; faults lists them\n\
                    clear [DEVICE]   ends all faults\n\
                    show [DEVICE]   values, faults, how much was said and heard\n\
                    quit   the end";

fn shown(key: &str, thing: &ThingHandle) -> String {
    let (said, heard) = thing.counts();
    let faults = thing.faults();
    let faults = if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
    let there = if thing.is_connected() { "" } else { ", not connected" };
    let values: String = thing.show().iter().map(|(name, value)| format!("\n  {name:<24} {value}")).collect();
    format!("{key}: said {said}, heard {heard}{faults}{there}{values}")
}

/// The thing and the capability that are meant.
fn found<'t, 'n>(
    things: &'t BTreeMap<String, ThingHandle>,
    name: &'n str,
) -> Result<(&'t ThingHandle, &'n str), String> {
    if let Some((thing, rest)) =
        name.split_once('.').and_then(|(device, rest)| Some((things.get(device)?, rest)))
    {
        return Ok((thing, rest));
    }
    match things.len() {
        1 => things.values().next().map(|thing| (thing, name)).ok_or_else(String::new),
        _ => Err(format!("of which device? {}", names(things))),
    }
}

fn chosen_of<'t>(
    things: &'t BTreeMap<String, ThingHandle>,
    device: Option<&'t str>,
) -> Result<impl Iterator<Item = (&'t String, &'t ThingHandle)>, String> {
    if let Some(name) = device.filter(|name| !things.contains_key(*name)) {
        return Err(format!("no device {name:?}; there are: {}", names(things)));
    }
    Ok(things.iter().filter(move |(key, _)| device.is_none_or(|name| name == key.as_str())))
}

fn names(things: &BTreeMap<String, ThingHandle>) -> String {
    things.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
