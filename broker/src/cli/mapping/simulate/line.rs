//! Devices on serial lines, each on one of its own, made from their mappings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use usp_mapping::check::{FileKind, file_kind};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::line::readable;
use usp_mapping::mapping::ProtocolKind;
use usp_simulators::console::Typed;
use usp_simulators::line::{LinePlace, LineServer, MappedLine};
use usp_simulators::mischief::{LineFault, Order};

use super::plan::{absolute, key, mapping, quoted};
use super::{Simulate, guide};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// A device that is to run.
pub(super) struct Planned {
    key: String,
    /// `use: …` or `file: …`
    model: String,
    device: MappedLine,
    baud: Option<u32>,
}

/// The devices, if the files are for serial lines; `None`: they are for something else.
///
/// Errors: a file cannot be read or has errors, or only some of them are for serial lines.
pub(super) fn planned(args: &Simulate) -> Result<Option<Vec<Planned>>, Failure> {
    let files: Vec<SourceFile> =
        args.models.iter().map(|model| args.folders.open(model)).collect::<Result<_, _>>()?;
    let is_line = |file: &SourceFile| {
        let draft = MappingDraft::parse(file).0;
        file_kind(file).is_ok_and(|kind| kind != FileKind::Site)
            && draft.is_some_and(|draft| draft.protocol == ProtocolKind::Line)
    };
    match files.iter().filter(|file| is_line(file)).count() {
        0 => return Ok(None),
        some if some < files.len() => {
            return Err(Failure::invalid(
                "devices on serial lines and others are simulated apart: one command for each",
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
        let device = MappedLine::from_draft(&draft);
        let device = device.map_err(|error| Failure::invalid(format!("{}: {error}", file.name())))?;
        // A pseudo-terminal has any speed; the site file wants one.
        let baud = draft.line.usual.baud.is_none().then_some(args.baud);
        all.push(Planned { key: name, model, device, baud });
    }
    Ok(Some(all))
}

/// A device that runs.
struct Running {
    model: String,
    baud: Option<u32>,
    server: LineServer,
}

/// Runs them until `quit`, Ctrl-C or SIGTERM: on pseudo-terminals with `--serial`, otherwise over TCP.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let (mut running, mut port) = (BTreeMap::new(), args.tcp.port());
    for Planned { key, model, device, baud } in devices {
        let place = if args.serial {
            LinePlace::Terminal(None)
        } else {
            LinePlace::Tcp(SocketAddr::new(args.tcp.ip(), port))
        };
        let server = LineServer::start(device, &place);
        let server = server.map_err(|error| Failure::failed(format!("{key}: {error}")))?;
        port = if port == 0 { 0 } else { port.saturating_add(1) };
        running.insert(key, Running { model, baud, server });
    }
    let site = site_file(&running);
    super::write_site(args, &site)?;
    greet(args, &running, &site)?;
    let mut typed = Typed::default();
    loop {
        let line = tokio::select! {
            () = interrupt.wait() => break,
            line = typed.next() => line,
        };
        match obey(&running, line.trim()) {
            Ok(None) => break,
            Ok(Some(said)) if said.is_empty() => {}
            Ok(Some(said)) if args.json => print_line(json!({"ok": true, "said": said}))?,
            Ok(Some(said)) => print_line(said)?,
            Err(why) if args.json => print_line(json!({"ok": false, "said": why}))?,
            Err(why) => print_line(format!("error: {why}"))?,
        }
    }
    Ok(())
}

/// `serial_line: …` or `serial_line_tcp: …`
fn bus(running: &Running) -> String {
    let baud = running.baud.map_or(String::new(), |baud| format!(", baud: {baud}"));
    match running.server.address() {
        Some(address) => format!("serial_line_tcp: \"{address}\""),
        None => format!("serial_line: {}{baud}", running.server.path().display()),
    }
}

fn site_file(running: &BTreeMap<String, Running>) -> String {
    let mut text = "site: 1\nbuses:\n".to_owned();
    // Writing to a String cannot fail.
    for (key, device) in running {
        writeln!(text, "  {key}: {{{}}}", bus(device)).ok();
    }
    text += "devices:\n";
    for (key, Running { model, .. }) in running {
        writeln!(text, "  {key}: {{{model}, bus: {key}}}").ok();
    }
    text
}

fn greet(args: &Simulate, running: &BTreeMap<String, Running>, site: &str) -> Result<(), Failure> {
    if args.json {
        let device = |(key, device): (&String, &Running)| {
            let names: Vec<String> = device.server.show().into_iter().map(|(name, _)| name).collect();
            json!({"device": key, "bus": key, "capabilities": names})
        };
        let place = |(key, device): (&String, &Running)| {
            let address = device.server.address().map(|address| address.to_string());
            let address = address.unwrap_or_else(|| device.server.path().display().to_string());
            json!({"name": key, "kind": "line", "address": address})
        };
        let devices: Vec<Value> = running.iter().map(device).collect();
        let buses: Vec<Value> = running.iter().map(place).collect();
        return print_line(json!({"ready": true, "buses": buses, "devices": devices}));
    }
    for (key, device) in running {
        print_line(format!("{key}: {}", bus(device)))?;
    }
    guide::site(args, site)?;
    print_line("Type help for what can be changed here; Ctrl-C or quit ends it.")?;
    print_line("ready")
}

/// What is said to a line; `None`: it is the end.
fn obey(running: &BTreeMap<String, Running>, line: &str) -> Result<Option<String>, String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    Ok(Some(match word {
        "" => String::new(),
        "quit" => return Ok(None),
        "help" => HELP.to_owned(),
        "faults" => LineFault::ALL.map(|(name, what)| format!("{name:<18} {what}")).join("\n"),
        "set" => {
            let (name, value) =
                rest.split_once(' ').ok_or("this is written set [DEVICE.]CAPABILITY VALUE")?;
            let (device, capability) = found(running, name)?;
            device.server.set(capability, value.trim())?;
            format!("{name} {}", value.trim())
        }
        "fault" => {
            let (chosen, text) = match rest.split_once(' ') {
                Some((device, text)) if running.contains_key(device) => (Some(device), text),
                _ => (None, rest),
            };
            let order: Order<LineFault> = text.parse().map_err(|error| format!("{error}"))?;
            chosen_of(running, chosen)?.for_each(|(_, device)| device.server.fault(order.clone()));
            format!("fault {order}")
        }
        "clear" => {
            chosen_of(running, some(rest))?.for_each(|(_, device)| device.server.clear());
            "no faults".to_owned()
        }
        "show" => {
            let chosen = chosen_of(running, some(rest))?;
            chosen.map(|(key, device)| shown(key, &device.server)).collect::<Vec<_>>().join("\n")
        }
        "log" => {
            let chosen = chosen_of(running, some(rest))?;
            let requests = chosen.flat_map(|(key, device)| {
                device
                    .server
                    .seen()
                    .into_iter()
                    .map(move |request| format!("{key}: \"{}\"", readable(&request)))
            });
            requests.collect::<Vec<_>>().join("\n")
        }
        other => {
            return Err(format!(
                "unknown command {other:?}; known are: set, fault, faults, clear, show, log, help, quit"
            ));
        }
    }))
}

const HELP: &str = "set [DEVICE.]CAPABILITY VALUE   holds this value and tells it\n\
                    fault [DEVICE] NAME[=VALUE][*TIMES]   goes wrong; faults lists them\n\
                    clear [DEVICE]   ends all faults\n\
                    show [DEVICE]   values and faults\n\
                    log [DEVICE]   the newest requests\n\
                    quit   the end";

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn shown(key: &str, server: &LineServer) -> String {
    let faults = server.faults();
    let faults = if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
    let values: String =
        server.show().iter().map(|(name, value)| format!("\n  {name:<24} {value}")).collect();
    format!("{key}: {} requests{faults}{values}", server.seen().len())
}

/// The device and the capability that are meant.
fn found<'t, 'n>(
    running: &'t BTreeMap<String, Running>,
    name: &'n str,
) -> Result<(&'t Running, &'n str), String> {
    if let Some((device, rest)) =
        name.split_once('.').and_then(|(device, rest)| Some((running.get(device)?, rest)))
    {
        return Ok((device, rest));
    }
    match running.len() {
        1 => running.values().next().map(|device| (device, name)).ok_or_else(String::new),
        _ => Err(format!("of which device? {}", names(running))),
    }
}

fn chosen_of<'t>(
    running: &'t BTreeMap<String, Running>,
    device: Option<&'t str>,
) -> Result<impl Iterator<Item = (&'t String, &'t Running)>, String> {
    if let Some(name) = device.filter(|name| !running.contains_key(*name)) {
        return Err(format!("no device {name:?}; there are: {}", names(running)));
    }
    Ok(running.iter().filter(move |(key, _)| device.is_none_or(|name| name == key.as_str())))
}

fn names(running: &BTreeMap<String, Running>) -> String {
    running.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
