//! `usp-broker mapping simulate`: devices made from their mappings, to try everything without hardware.

pub(in crate::cli) mod ble;
mod coap;
mod guide;
mod line;
mod live;
mod mqtt;
mod plan;
pub(in crate::cli) mod things;
pub(in crate::cli) mod zigbee;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use usp_mapping::mapping::{self, ProtocolKind};
use usp_simulators::mischief::{BleFault, CoapFault, LineFault, MqttFault, ZigbeeFault};
use usp_simulators::modbus::command::{Command, faults};
use usp_simulators::modbus::{LineSettings, Plant, Script};

use self::plan::{Characters, Setup};
use super::model::Folders;
use crate::cli::Failure;

/// Simulate devices from their mapping: Modbus and lines over TCP or on a pseudo-terminal, CoAP, on an MQTT server, Bluetooth around a fake BlueZ, Zigbee behind a coordinator, or all of a Modbus site
///
/// While it runs, lines on standard input are obeyed: `set voltage 230`, `fault silent`, `show`, `help`, `quit`.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(in crate::cli) struct Simulate {
    /// Mapping files or profiles, one unit each, or one site file
    #[arg(value_name = "FILE|PROFILE|SITE", required = true)]
    models: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Where to listen; port 0 takes any free one. The buses of a site, and CoAP devices, get this port and those after it
    #[arg(long, visible_alias = "listen", default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    tcp: SocketAddr,
    /// RTU frames over TCP, as behind a transparent serial device server
    #[arg(long, conflicts_with = "serial")]
    rtu_over_tcp: bool,
    /// A serial line with its timing, on a pseudo-terminal
    #[arg(long, conflicts_with = "tcp")]
    serial: bool,
    /// Bits a second of the serial line
    #[arg(long, default_value_t = 9600, requires = "serial")]
    baud: u32,
    /// Parity of its characters
    #[arg(long, value_enum, default_value_t = Parity::Even, requires = "serial")]
    parity: Parity,
    /// How long a slave on a serial line thinks before it answers, in milliseconds
    #[arg(long, default_value_t = 10, value_name = "MS")]
    delay: u64,
    /// On serial lines a request that comes before t3.5 of silence is not heard
    #[arg(long)]
    strict: bool,
    /// For devices on MQTT: a server that is there already; without it one is started where --tcp says
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["tcp", "serial", "rtu_over_tcp"])]
    mqtt: Option<SocketAddr>,
    /// For Bluetooth devices: the folder for the socket of their D-Bus; a temporary one without it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tcp", "serial", "rtu_over_tcp", "mqtt"])]
    dbus: Option<PathBuf>,
    /// For Zigbee devices: what their coordinator speaks
    #[arg(long, value_enum, default_value_t = zigbee::Ncp::Ezsp)]
    ncp: zigbee::Ncp,
    /// Unit identifier of the first device
    #[arg(long, default_value_t = 1, value_name = "N")]
    unit: u8,
    /// Value of a parameter of the mappings
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Values move by themselves, which is the default
    #[arg(long, conflicts_with = "still")]
    moving: bool,
    /// Values stand still: only what is set changes
    #[arg(long)]
    still: bool,
    /// The same seed gives the same values
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Value from the start
    #[arg(long, value_name = "[DEVICE.]CAPABILITY=VALUE")]
    set: Vec<String>,
    /// Fault from the start, such as silent, slow:200, exception:4*2 or "DEVICE silent"; see below
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// What happens when: lines such as `10s set voltage 180`, `+5s fault silent`, `60s repeat`
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Write a site file for what is simulated
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a site file that is there
    #[arg(long, requires = "output")]
    force: bool,
    /// What is said, as JSON objects, one a line
    #[arg(long)]
    json: bool,
}

/// `parity` of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Parity {
    None,
    Even,
    Odd,
}

impl Simulate {
    fn line(&self) -> LineSettings {
        let bits_per_character = self.characters().bits();
        LineSettings { baud: self.baud, bits_per_character, delay: self.delay(), strict: self.strict }
    }

    fn characters(&self) -> Characters {
        let parity = match self.parity {
            Parity::None => mapping::Parity::None,
            Parity::Even => mapping::Parity::Even,
            Parity::Odd => mapping::Parity::Odd,
        };
        Characters { parity, stop_bits: 1 }
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay)
    }
}

pub(super) fn run(args: &Simulate) -> Result<(), Failure> {
    // Told before anything runs.
    if let Some(path) = args.output.as_deref().filter(|path| !args.force && path.symlink_metadata().is_ok()) {
        return Err(super::is_there(path));
    }
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let messages = things::planned(args)?;
    if args.mqtt.is_some() && !matches!(messages, Some((ProtocolKind::Mqtt, _))) {
        return Err(Failure::invalid("--mqtt is for mappings of devices on MQTT"));
    }
    if args.dbus.is_some() && !matches!(messages, Some((ProtocolKind::Ble, _))) {
        return Err(Failure::invalid("--dbus is for mappings of Bluetooth devices"));
    }
    match messages {
        Some((ProtocolKind::Zigbee, devices)) if !args.rtu_over_tcp => {
            return runtime.block_on(zigbee::simulate(args, devices));
        }
        Some((ProtocolKind::Line, devices)) if !args.rtu_over_tcp => {
            return runtime.block_on(line::simulate(args, devices));
        }
        Some((_, devices)) if args.serial || args.rtu_over_tcp => {
            let names: Vec<&str> = devices.iter().map(|device| device.key.as_str()).collect();
            let names = names.join(", ");
            let why = if args.serial { "it is on no serial line" } else { "only Modbus has RTU frames" };
            return Err(Failure::invalid(format!("{names}: {why}")));
        }
        Some((ProtocolKind::Ble, devices)) => return runtime.block_on(ble::simulate(args, devices)),
        Some((ProtocolKind::Coap, devices)) => return runtime.block_on(coap::simulate(args, devices)),
        Some((_, devices)) => return runtime.block_on(mqtt::simulate(args, devices)),
        None => {}
    }
    let script = args.script.as_deref().map(read_script).transpose()?;
    let setup = Setup::of(args)?;
    runtime.block_on(simulate(args, setup, script))
}

async fn simulate(args: &Simulate, setup: Setup, script: Option<Script>) -> Result<(), Failure> {
    let interrupt = crate::cli::interrupt::Interrupt::new().map_err(Failure::failed)?;
    let Setup { plans, lines, things } = setup;
    let plant = Plant::start(plans, args.still).await.map_err(Failure::failed)?;
    let sets = args.set.iter().map(|text| format!("set {text}"));
    for line in sets.chain(args.fault.iter().map(|text| format!("fault {text}"))) {
        let command: Command = line.parse().map_err(Failure::invalid)?;
        plant.obey(&command).map_err(Failure::invalid)?;
    }
    if let Some(script) = &script {
        script.check(&plant).map_err(|error| wrong_script(args.script.as_deref(), error))?;
    }
    let site = guide::site_file(&plant, &lines, &things);
    write_site(args, &site)?;
    guide::greet(args, (&plant, &lines), &things, &site)?;
    live::obey(&plant, script.as_ref(), args.json, interrupt).await?;
    plant.stop().await;
    Ok(())
}

fn read_script(path: &Path) -> Result<Script, Failure> {
    Script::parse(&read_text(path)?).map_err(|error| wrong_script(Some(path), error))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))
}

fn wrong_script(path: Option<&Path>, error: impl std::fmt::Display) -> Failure {
    Failure::invalid(format!("{}: {error}", path.unwrap_or(Path::new("script")).display()))
}

/// Writes the site file where it was wanted.
fn write_site(args: &Simulate, site: &str) -> Result<(), Failure> {
    let Some(path) = &args.output else { return Ok(()) };
    super::put(path, site, args.force)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("this is written NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn after_help() -> String {
    let others: [(&str, &[(&str, &str)]); 5] = [
        ("devices on serial lines", &LineFault::ALL),
        ("CoAP devices", &CoapFault::ALL),
        ("devices on MQTT", &MqttFault::ALL),
        ("Bluetooth devices", &BleFault::ALL),
        ("Zigbee devices and their coordinator", &ZigbeeFault::ALL),
    ];
    let others = others.map(|(whose, all)| format!("\n\nOf {whose}:\n{}", things::faults(all)));
    format!("Faults, each also with *TIMES behind it, of Modbus devices:\n{}{}", faults(), others.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        simulate: Simulate,
    }

    /// The site file for what these arguments simulate.
    fn site_of(arguments: &[&str]) -> String {
        let cli: Cli = clap::Parser::try_parse_from([&["simulate"], arguments].concat()).unwrap();
        let Setup { plans, lines, things } = Setup::of(&cli.simulate).unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let plant = Plant::start(plans, true).await.unwrap();
            let site = guide::site_file(&plant, &lines, &things);
            plant.stop().await;
            site
        })
    }

    #[test]
    fn a_site_file_says_how_its_lines_are_set() {
        for parity in ["none", "even", "odd"] {
            let site = site_of(&["usp.demo-meter", "--serial", "--parity", parity]);
            assert!(site.contains(&format!("baud: 9600, parity: {parity}}}")), "{site}");
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("plan.yaml");
        let buses = "  one: {modbus_rtu: /dev/ttyUSB7, baud: 19200, parity: odd}\n  \
            two: {modbus_rtu: /dev/ttyUSB8, baud: 9600, parity: none, stop_bits: 2}\n";
        let devices =
            "  a: {use: usp.demo-meter, bus: one, unit: 1}\n  b: {use: usp.demo-meter, bus: two, unit: 1}\n";
        std::fs::write(&path, format!("site: 1\nbuses:\n{buses}devices:\n{devices}")).unwrap();
        let site = site_of(&[&path.display().to_string()]);
        assert!(site.contains("baud: 19200, parity: odd}"), "{site}");
        assert!(site.contains("baud: 9600, parity: none, stop_bits: 2}"), "{site}");
    }

    #[test]
    fn help_lists_the_faults_of_each_protocol() {
        let help = after_help();
        let names = |all: &[(&'static str, &str)]| all.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let all = [
            names(&LineFault::ALL),
            names(&CoapFault::ALL),
            names(&MqttFault::ALL),
            names(&BleFault::ALL),
            names(&ZigbeeFault::ALL),
        ];
        for name in all.concat() {
            assert!(help.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
        }
        for heading in ["of Modbus devices:", "Of devices on serial lines:", "Of CoAP devices:"] {
            assert!(help.contains(heading), "{heading}");
        }
    }
}
