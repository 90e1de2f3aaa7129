//! Devices on serial lines, each on one of its own, made from their mappings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use usp_mapping::line::readable;
use usp_simulators::line::{LinePlace, LineServer, MappedLine};
use usp_simulators::mischief::{LineFault, Order};

use super::things::{Faults, Planned, Thing, Things, params};
use super::{Simulate, guide, write_site};
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// A device that runs.
struct Running {
    model: String,
    baud: Option<u32>,
    server: LineServer,
}

/// Runs them until `quit`, Ctrl-C or SIGTERM: on pseudo-terminals with `--serial`, otherwise over TCP.
pub(super) async fn simulate(args: &Simulate, devices: Vec<Planned>) -> Result<(), Failure> {
    let interrupt = Interrupt::new().map_err(Failure::failed)?;
    let (mut running, mut port) = (BTreeMap::new(), args.tcp.port());
    for Planned { key, model, draft } in devices {
        let place = if args.serial {
            LinePlace::Terminal(None)
        } else {
            LinePlace::Tcp(SocketAddr::new(args.tcp.ip(), port))
        };
        let device = MappedLine::from_draft(&draft);
        let device = device.map_err(|error| Failure::invalid(format!("{}: {error}", draft.file.name())))?;
        // A pseudo-terminal has any speed; the site file wants one.
        let baud = draft.line.usual.baud.is_none().then_some(args.baud);
        let server = LineServer::start(device, &place);
        let server = server.map_err(|error| Failure::failed(format!("{key}: {error}")))?;
        port = if port == 0 { 0 } else { port.saturating_add(1) };
        running.insert(key, Running { model, baud, server });
    }
    let site = site_file(args, &running);
    write_site(args, &site)?;
    let things = Things(running.iter().map(|(key, running)| (key.clone(), &running.server)).collect());
    let script = things.prepare(args)?;
    greet(args, &running, &site)?;
    things.live(args, script.as_ref(), interrupt).await
}

/// `serial_line: …` or `serial_line_tcp: …`
fn bus(running: &Running) -> String {
    let baud = running.baud.map_or(String::new(), |baud| format!(", baud: {baud}"));
    match running.server.address() {
        Some(address) => format!("serial_line_tcp: \"{address}\""),
        None => format!("serial_line: {}{baud}", running.server.path().display()),
    }
}

fn site_file(args: &Simulate, running: &BTreeMap<String, Running>) -> String {
    let mut text = "site: 1\nbuses:\n".to_owned();
    // Writing to a String cannot fail.
    for (key, device) in running {
        writeln!(text, "  {key}: {{{}}}", bus(device)).ok();
    }
    text += "devices:\n";
    for (key, Running { model, .. }) in running {
        writeln!(text, "  {key}: {{{model}, bus: {key}{}}}", params(args)).ok();
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

impl Thing for LineServer {
    fn all_faults(&self) -> Faults {
        &LineFault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        Self::set(self, capability, value)
    }

    fn release(&self, _: &str) -> Result<(), String> {
        Err("the values of a device on a serial line do not move by themselves".to_owned())
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<LineFault> = text.parse().map_err(|error| format!("{error}"))?;
        self.fault(order.clone());
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<LineFault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        self.clear();
    }

    fn log(&self) -> Result<Vec<String>, String> {
        Ok(self.seen().iter().map(|request| format!("\"{}\"", readable(request))).collect())
    }

    fn state(&self) -> String {
        let faults = self.faults();
        let faults =
            if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
        format!("{} requests{faults}", self.seen().len())
    }

    fn values(&self) -> Vec<(String, String)> {
        self.show()
    }
}
