//! `scan zigbee`: who is in the network of a coordinator, and what each says of itself.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use usp_adapters::zigbee_scan::{Found, look};
use usp_mapping::adopt::zigbee::{Interview, adopt, draft};
use usp_mapping::library::Catalog;
use usp_mapping::mapping::{BusAddress, ZigbeeBus, ZigbeeFlow, ZigbeeNcp, ZigbeePort};
use usp_mapping::port::{JoinStage, Newcomer};

use super::progress::Progress;
use super::range::time;
use super::source::Sources;
use super::{in_use, target};
use crate::cli::controller;
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};
use crate::client::Via;
use crate::site::Finder;

/// Usual port of coordinators behind a network.
const PORT: u16 = 6638;

/// Longest time that a network can be open.
const LONGEST: Duration = Duration::from_secs(254);

/// Look who is in the network of a Zigbee coordinator, and with --join let devices join; nothing is set at any device
///
/// Devices that are awake are found, and those that sleep below other devices; one that sleeps and hangs on the coordinator itself is found when
/// it says something (wake it, by a button). Each is asked who it is and what it can do, and compared with the mappings. The site file that follows is printed or, with -o, written, and
/// draft mappings beside it. No broker may be using the coordinator meanwhile: that of this machine is asked, and the one that --via names. A serial
/// port is locked by whoever has it; a coordinator on the network often leaves whoever had it for the newest connection, so stop other brokers first.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["port", "tcp"]))]
pub(crate) struct Zigbee {
    /// Serial port of the coordinator, such as /dev/serial/by-id/…
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Coordinator on the network; its port is 6638 unless it is given
    #[arg(long, value_name = "HOST[:PORT]")]
    tcp: Option<String>,
    /// What the coordinator speaks: ezsp (Silicon Labs) or znp (Texas Instruments); found out unless it is given
    #[arg(long, value_enum)]
    ncp: Option<NcpArg>,
    /// Bits a second of the serial port
    #[arg(long, default_value_t = 115_200, requires = "port")]
    baud: u32,
    /// Flow control of the serial port
    #[arg(long, value_enum, default_value_t = FlowArg::None, requires = "port")]
    flow: FlowArg,
    /// Let devices join for so long, 254s at most
    #[arg(long, value_name = "TIME", value_parser = joining)]
    join: Option<Duration>,
    /// How long to look at most
    #[arg(long = "for", default_value = "60s", value_name = "TIME", value_parser = time)]
    time: Duration,
    /// Folders with mapping files, searched before the library inside the program
    #[arg(long = "mappings", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Write the site file here, and draft mappings beside it
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long, requires = "output")]
    force: bool,
    /// Where a broker listens that may use the coordinator, to be asked beside that of this machine's well-known socket
    #[arg(
        long, value_name = "WHERE", env = "USP_BROKER_VIA", default_value = controller::DEFAULT_VIA,
        value_parser = controller::via
    )]
    via: Via,
    /// What was found, as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum NcpArg {
    Ezsp,
    Znp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FlowArg {
    None,
    Hardware,
    Software,
}

fn joining(text: &str) -> Result<Duration, String> {
    let minutes = text.strip_suffix('m').map(|digits| (digits, 60));
    let (digits, unit) = text.strip_suffix('s').map(|digits| (digits, 1)).or(minutes).unwrap_or((text, 0));
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    let time = seconds.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
    time.filter(|time| *time <= LONGEST).ok_or_else(|| {
        format!("`{text}` is no time that a network can be open: 1s to 254s, such as 90s or 2m")
    })
}

/// A device and what is proposed for it.
struct Entry {
    key: String,
    interview: Interview,
    /// The mapping whose model it is.
    profile: Option<String>,
    /// A draft, where there is none.
    draft: Option<String>,
    /// Why there is neither.
    why: Option<String>,
}

pub(super) async fn scan(args: &Zigbee) -> Result<(), Failure> {
    args.output.iter().try_for_each(|path| target::check(path, args.force))?;
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let finder = Finder::new(&args.folders, Path::new("")).map_err(Failure::invalid)?;
    let bus = args.bus()?;
    in_use::check(&bus, &args.via).await?;
    let progress = Progress::new(0, args.json);
    let looking = look(&bus, args.join, args.time, |newcomer| tell(&progress, newcomer));
    let found = tokio::select! {
        found = looking => found.map_err(Failure::failed)?,
        () = interrupt.wait() => return Err(Failure::failed("interrupted".to_owned())),
    };
    progress.end();
    let mut keys = BTreeSet::new();
    let is_free = |key: &str| target::is_free(args.output.as_deref(), &format!("{key}.yaml"), args.force);
    let entries =
        found.devices.iter().map(|interview| entry(interview, finder.catalog(), &mut keys, is_free));
    let entries: Vec<Entry> = entries.collect();
    report(args, &found, &entries)
}

impl Zigbee {
    fn bus(&self) -> Result<ZigbeeBus, Failure> {
        let port = match (&self.port, &self.tcp) {
            (Some(port), _) => {
                let flow = match self.flow {
                    FlowArg::None => ZigbeeFlow::None,
                    FlowArg::Hardware => ZigbeeFlow::Hardware,
                    FlowArg::Software => ZigbeeFlow::Software,
                };
                ZigbeePort::Serial { port: port.clone(), baud: self.baud, flow }
            }
            (None, text) => ZigbeePort::Tcp(address(text.as_deref().unwrap_or_default())?),
        };
        let ncp = self.ncp.map(|ncp| match ncp {
            NcpArg::Ezsp => ZigbeeNcp::Ezsp,
            NcpArg::Znp => ZigbeeNcp::Znp,
        });
        Ok(ZigbeeBus { port, ncp, channel: None, pan_id: None, network_key: None, adopt: false })
    }

    /// As the site file has it.
    fn bus_text(&self) -> String {
        let place = match (&self.port, &self.tcp) {
            (Some(port), _) => format!("zigbee: {}", Value::from(port.as_str())),
            (None, tcp) => format!("zigbee_tcp: {}", Value::from(tcp.as_deref().unwrap_or_default())),
        };
        let baud = if self.baud == 115_200 { String::new() } else { format!(", baud: {}", self.baud) };
        let flow = match self.flow {
            FlowArg::None => "",
            FlowArg::Hardware => ", flow: hardware",
            FlowArg::Software => ", flow: software",
        };
        let ncp = match self.ncp {
            Some(NcpArg::Ezsp) => ", ncp: ezsp",
            Some(NcpArg::Znp) => ", ncp: znp",
            None => "",
        };
        format!("{{{place}{ncp}{baud}{flow}}}")
    }
}

fn address(text: &str) -> Result<BusAddress, Failure> {
    let mut all = super::range::hosts(text, PORT).map_err(Failure::invalid)?;
    match (all.pop(), all.is_empty()) {
        (Some(address), true) => Ok(address),
        _ => Err(Failure::invalid(format!("`{text}` is not one coordinator"))),
    }
}

/// Each step of each device.
fn tell(progress: &Progress, newcomer: &Newcomer) {
    let Newcomer { address, stage, manufacturer, model, detail } = newcomer;
    let who =
        [manufacturer.as_str(), model].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    let who = if who.is_empty() { who } else { format!(" {who}") };
    match stage {
        JoinStage::Found => progress.found(&format!("{address}: found")),
        JoinStage::Interviewing => progress.step(0, &format!("{address} {detail}")),
        JoinStage::Ready => progress.found(&format!("{address}:{who}")),
        JoinStage::Failed => progress.found(&format!("{address}:{who} {detail}")),
        JoinStage::Left => progress.found(&format!("{address}: left")),
    }
}

fn entry(
    interview: &Interview,
    catalog: &Catalog,
    keys: &mut BTreeSet<String>,
    is_free: impl Fn(&str) -> bool,
) -> Entry {
    let (profile, draft, why) = match adopt(interview, catalog) {
        Ok(adopted) if adopted.is_known => (Some(adopted.profile), None, None),
        Ok(adopted) => (None, Some(draft(interview, &adopted)), None),
        Err(left) => (
            None,
            None,
            Some(
                left.iter().map(|left| format!("{}: {}", left.what, left.why)).collect::<Vec<_>>().join("; "),
            ),
        ),
    };
    let name = slug(&interview.model);
    let numbered = |number: u32| if number == 1 { name.clone() } else { format!("{name}-{number}") };
    // A draft of its name may be there already, of an earlier scan.
    let fits = |key: &String| draft.is_none() || is_free(key);
    let key = (1..).map(numbered).find(|key| fits(key) && keys.insert(key.clone())).unwrap_or_default();
    Entry { key, interview: interview.clone(), profile, draft, why }
}

/// A key of the site file.
fn slug(model: &str) -> String {
    let mut slug = String::new();
    for c in model.chars().take(48) {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    match slug.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => slug.to_owned(),
        _ => format!("device-{slug}").trim_end_matches('-').to_owned(),
    }
}

fn report(args: &Zigbee, found: &Found, entries: &[Entry]) -> Result<(), Failure> {
    let site = site(args, found, entries, &Sources::new(&args.folders, args.output.as_deref())?);
    let drafts =
        || entries.iter().filter_map(|entry| Some((format!("{}.yaml", entry.key), entry.draft.as_ref()?)));
    if let Some(path) = &args.output {
        let mut files = vec![(path.clone(), site.as_str())];
        files.extend(drafts().map(|(name, text)| (path.with_file_name(name), text.as_str())));
        target::write(&files, args.force)?;
    }
    if args.json {
        return print_line(to_json(found, entries, &site));
    }
    let network = &found.network;
    let mut text = format!(
        "{}, channel {}, PAN ID 0x{:04x}; devices found: {}",
        network.firmware,
        network.channel,
        network.pan_id,
        entries.len()
    );
    for entry in entries {
        // Writing to a String cannot fail, here and below.
        write!(text, "\n  {}", line(entry)).ok();
    }
    for ieee in &found.unknown {
        write!(text, "\n  0x{ieee:016x}: did not say what it is; wake it, and look again").ok();
    }
    if args.output.is_none() && !entries.is_empty() {
        write!(text, "\n\n# site.yaml\n{site}").ok();
        for (name, draft) in drafts() {
            write!(text, "\n# {name}\n{draft}").ok();
        }
    }
    print_line(text.trim_end())
}

/// One device in a line.
fn line(entry: &Entry) -> String {
    let Interview { ieee, manufacturer, model, endpoints, .. } = &entry.interview;
    let sleeps = if entry.interview.is_sleepy() { ", sleeps" } else { "" };
    let mapping = match (&entry.profile, &entry.draft, &entry.why) {
        (Some(profile), ..) => format!("mapping {profile}"),
        (None, Some(_), _) => format!("a draft is made: {}.yaml", entry.key),
        (None, None, why) => format!("no mapping: {}", why.as_deref().unwrap_or_default()),
    };
    format!("{ieee}: {manufacturer} {model}, {} endpoints{sleeps}; {mapping}", endpoints.len())
}

fn site(args: &Zigbee, found: &Found, entries: &[Entry], sources: &Sources) -> String {
    let bus = args.bus_text();
    let mut text = format!(
        "# Made by `usp-broker scan zigbee`: give the devices keys and names of your own; with `adopt: true` in the bus all\n\
         # devices come by themselves.\nsite: 1\nbuses:\n  mesh: {bus}\n"
    );
    let is_known = |entry: &Entry| entry.profile.is_some() || entry.draft.is_some();
    text += if entries.iter().any(is_known) { "devices:\n" } else { "devices: {}\n" };
    for Entry { key, interview, profile, draft, why } in entries {
        let at = format!("bus: mesh, ieee: \"{}\"", interview.ieee);
        match (profile, draft, why) {
            (Some(profile), ..) => drop(writeln!(text, "  {key}: {{{}, {at}}}", sources.of(profile))),
            (None, Some(_), _) => drop(writeln!(text, "  {key}: {{file: {key}.yaml, {at}}}")),
            (None, None, why) => {
                let why = why.as_deref().unwrap_or_default();
                writeln!(text, "  # {} {}: {why}", interview.ieee, interview.model).ok();
            }
        }
    }
    for ieee in &found.unknown {
        writeln!(text, "  # 0x{ieee:016x} did not say what it is").ok();
    }
    text
}

fn to_json(found: &Found, entries: &[Entry], site: &str) -> Value {
    let device = |entry: &Entry| {
        let Interview { ieee, manufacturer, model, endpoints, .. } = &entry.interview;
        let endpoint = |endpoint: &usp_mapping::adopt::zigbee::Endpoint| {
            json!({
                "endpoint": endpoint.id, "profile": endpoint.profile, "device": endpoint.device,
                "inputs": endpoint.inputs, "outputs": endpoint.outputs,
            })
        };
        json!({
            "device": entry.key, "ieee": ieee.to_string(), "manufacturer": manufacturer, "model": model,
            "sleepy": entry.interview.is_sleepy(), "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            "profile": entry.profile, "mapping": entry.draft, "why": entry.why,
        })
    };
    let network = &found.network;
    let unknown: Vec<String> = found.unknown.iter().map(|ieee| format!("0x{ieee:016x}")).collect();
    json!({
        "scan": 1,
        "network": {
            "firmware": network.firmware, "channel": network.channel,
            "pan_id": format!("0x{:04x}", network.pan_id), "extended_pan_id": format!("0x{:016x}", network.ext_pan_id),
        },
        "devices": entries.iter().map(device).collect::<Vec<_>>(), "unknown": unknown, "site": site,
    })
}

#[cfg(test)]
mod tests {
    use usp_mapping::adopt::zigbee::Endpoint;
    use usp_mapping::mapping::Ieee;

    use super::*;

    #[test]
    fn times_of_joining() {
        assert_eq!(joining("60s"), Ok(Duration::from_secs(60)));
        assert_eq!((joining("254s"), joining("2m")), (Ok(LONGEST), Ok(Duration::from_secs(120))));
        assert!(joining("5m").unwrap_err().contains("254s") && joining("0s").is_err());
    }

    #[test]
    fn keys_are_made_of_models() {
        assert_eq!(slug("TRADFRI bulb E27 WS"), "tradfri-bulb-e27-ws");
        assert_eq!((slug(""), slug("3RSS")), ("device".to_owned(), "device-3rss".to_owned()));
    }

    #[test]
    fn devices_of_a_model_are_numbered_and_get_a_draft() {
        let endpoint = Endpoint {
            id: 1,
            profile: 0x0104,
            device: 0x0051,
            inputs: vec![0x0000, 0x0006],
            outputs: Vec::new(),
        };
        let interview = Interview {
            ieee: Ieee(0x0015_8d00_01a2_b3c4),
            is_router: true,
            manufacturer: "ACME".to_owned(),
            model: "P1".to_owned(),
            endpoints: vec![endpoint],
            ..Interview::default()
        };
        let (catalog, mut keys) = (Catalog::new(Vec::new()), BTreeSet::new());
        let entries = [1, 2].map(|_| entry(&interview, &catalog, &mut keys, |key| key != "p1"));
        assert_eq!(entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["p1-2", "p1-3"]);
        let draft = entries[0].draft.as_ref().unwrap();
        assert!(
            draft.starts_with("# ") && draft.contains("tests:\n  - {attributes: {1/on_off/on_off: true}"),
            "{draft}"
        );
        assert_eq!(line(&entries[0]), "0x00158d0001a2b3c4: ACME P1, 1 endpoints; a draft is made: p1-2.yaml");
    }
}
