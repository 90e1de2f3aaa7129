//! `scan coap`: what answers at network addresses, and what it says to have.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use usp_adapters::coap_scan::{Found, all_nodes, look};
use usp_mapping::compile::compile_file;
use usp_mapping::draft::site::{Requirement, Use};
use usp_mapping::mapping::{BusAddress, CoapRead, Mapping, ReadPoint};
use usp_mapping::oma::links::Link;
use usp_mapping::oma::{Proposal, propose};
use usp_mapping::payload::{BodyFormat, Pick};

use super::progress::Progress;
use super::range::{hosts, time};
use super::source::Sources;
use super::target;
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};
use crate::site::Finder;

/// The port of CoAP.
const PORT: u16 = 5683;

/// Profiles of simulated devices.
const DEMO: &str = "usp.demo-";

/// Hosts that are looked at at the same time.
const AT_ONCE: usize = 32;

/// Look for CoAP devices at network addresses, or ask all at once; nothing is ever written to a device
///
/// Each is asked for its links (/.well-known/core) and, if it has OMA's object Device, who it is. What it has is compared with the
/// mappings; for OMA objects that none fits a mapping is made. The site file that follows is printed or, with -o, written, and
/// mappings that were made beside it. Devices that speak DTLS alone do not answer.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["host", "multicast"]))]
pub(crate) struct Coap {
    /// Host, or hosts at most 1024: 192.168.1.7, lamp.lan:5683, 192.168.1.10-40, 192.168.1.0/24
    #[arg(long, value_name = "HOST[:PORT][/RANGE]")]
    host: Option<String>,
    /// Ask all CoAP devices of a network at once (224.0.1.187), from this address of this machine
    #[arg(long, value_name = "ADDRESS")]
    multicast: Option<Ipv4Addr>,
    /// How long a device may take to answer
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = time)]
    timeout: Duration,
    /// Folders with mapping files, searched before the library inside the program
    #[arg(long = "mappings", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Write the site file here
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long, requires = "output")]
    force: bool,
    /// What was found, as one JSON object
    #[arg(long)]
    json: bool,
}

/// A device and what is proposed for it.
struct Entry {
    key: String,
    found: Found,
    /// Mappings that read nothing but what it has, the one that reads most first.
    profiles: Vec<String>,
    proposal: Option<Proposal>,
}

pub(super) async fn scan(args: &Coap) -> Result<(), Failure> {
    args.output.iter().try_for_each(|path| target::check(path, args.force))?;
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let models = models(&args.folders)?;
    let places = match (&args.host, args.multicast) {
        (Some(text), _) => hosts(text, PORT).map_err(Failure::invalid)?,
        (None, Some(from)) => {
            let found = all_nodes(from, args.timeout).await.map_err(Failure::failed)?;
            found.into_iter().map(BusAddress::Socket).collect()
        }
        (None, None) => Vec::new(),
    };
    let progress = Progress::new(places.len(), args.json);
    let found = Mutex::new(Vec::new());
    let whole = {
        let looking = stream::iter(&places).for_each_concurrent(AT_ONCE, async |place| {
            match look(place, args.timeout).await {
                Ok(Some(device)) => {
                    progress.found(&line(&device));
                    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(device);
                }
                Ok(None) => {}
                Err(error) if places.len() == 1 => progress.found(&error),
                Err(_) => {}
            }
            progress.step(1, &place.to_string());
        });
        tokio::select! {
            () = looking => true,
            () = interrupt.wait() => false,
        }
    };
    progress.end();
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|device| places.iter().position(|place| *place == device.address));
    let is_free = |key: &str| target::is_free(args.output.as_deref(), &format!("{key}.yaml"), args.force);
    let entries: Vec<Entry> =
        (1..).zip(found).map(|(number, found)| entry(number, found, &models, is_free)).collect();
    report(args, &entries, whole)
}

/// A mapping and all that it reads.
struct Model {
    profile: String,
    mapping: Mapping,
}

impl Model {
    fn reads(&self) -> impl Iterator<Item = &CoapRead> {
        let places = self.mapping.points().filter_map(|point| point.read).flat_map(|read| read.places());
        places.filter_map(|place| match place {
            ReadPoint::Coap(read) => Some(read),
            ReadPoint::Modbus(_)
            | ReadPoint::Mqtt(_)
            | ReadPoint::Line(_)
            | ReadPoint::Ble(_)
            | ReadPoint::Zigbee(_) => None,
        })
    }

    /// How many resources it reads.
    fn count(&self) -> usize {
        self.reads().map(|read| &read.path).collect::<BTreeSet<_>>().len()
    }

    /// Whether a device has all of it, in a form in which it is understood.
    fn fits(&self, found: &Found) -> bool {
        self.reads().all(|read| found.links.iter().any(|link| link.path == read.path && speaks(link, read)))
    }
}

/// Whether a resource comes in the form that is read there. Of several forms the first comes unless one is asked for.
fn speaks(link: &Link, read: &CoapRead) -> bool {
    let Some(first) = link.formats.first() else { return true };
    match read.accept {
        Some(wanted) => {
            link.formats.iter().any(|number| BodyFormat::of_content_format(*number) == Some(wanted))
        }
        None => BodyFormat::of_content_format(*first).is_none_or(|format| match read.pick {
            Pick::Text => format == BodyFormat::Text,
            ref pick => pick.fits(format),
        }),
    }
}

/// The CoAP mappings that are known.
fn models(folders: &[PathBuf]) -> Result<Vec<Model>, Failure> {
    let finder = Finder::new(folders, Path::new("")).map_err(Failure::invalid)?;
    let profiles: BTreeSet<String> =
        finder.catalog().profiles().map(|(profile, _)| profile.to_owned()).collect();
    let model = |profile: String| {
        // What is made up for demonstrations describes no device that there is.
        if profile.starts_with(DEMO) {
            return None;
        }
        let wanted = Use::Profile { name: profile.clone(), requirement: Requirement::Any };
        let model = Model { mapping: compile_file(&finder.find(&wanted).ok()?).0?, profile };
        (model.count() > 0).then_some(model)
    };
    Ok(profiles.into_iter().filter_map(model).collect())
}

fn entry(number: usize, found: Found, models: &[Model], is_free: impl Fn(&str) -> bool) -> Entry {
    let mut fitting: Vec<&Model> = models.iter().filter(|model| model.fits(&found)).collect();
    fitting.sort_by_key(|model| std::cmp::Reverse(model.count()));
    let profiles: Vec<String> = fitting.into_iter().map(|model| model.profile.clone()).collect();
    // A draft of its name may be there already, of an earlier scan.
    let named = |again: u32| {
        if again == 1 { format!("device-{number}") } else { format!("device-{number}-{again}") }
    };
    let key = (1..).map(named).find(|key| !profiles.is_empty() || is_free(key)).unwrap_or_default();
    let proposal = Some(()).filter(|()| profiles.is_empty());
    let proposal =
        proposal.and_then(|()| propose(&format!("found.{key}"), &found.address.to_string(), &found.links));
    Entry { key, found, profiles, proposal }
}

/// One device in a line.
fn line(found: &Found) -> String {
    let mut line = found.address.to_string();
    if !found.identity.is_empty() {
        // Writing to a String cannot fail, here and below.
        write!(line, ", {}", found.identity.join(" ")).ok();
    }
    match &found.refusal {
        Some(refusal) => write!(line, ": it does not say what it has ({refusal})").ok(),
        None => write!(line, ": {} resources", found.links.len()).ok(),
    };
    line
}

fn report(args: &Coap, entries: &[Entry], whole: bool) -> Result<(), Failure> {
    let site = site(entries, &Sources::new(&args.folders, args.output.as_deref())?);
    if let Some(path) = &args.output {
        let mut files = vec![(path.clone(), site.as_str())];
        for entry in entries {
            if let Some(proposal) = &entry.proposal {
                files.push((path.with_file_name(format!("{}.yaml", entry.key)), &proposal.text));
            }
        }
        target::write(&files, args.force)?;
    }
    if args.json {
        return print_line(to_json(entries, whole, &site));
    }
    let cut = if whole { "" } else { " before it was interrupted" };
    let mut text = format!("CoAP devices found{cut}: {}", entries.len());
    if args.output.is_none() && !entries.is_empty() {
        write!(text, "\n\n{site}").ok();
        for entry in entries {
            if let Some(proposal) = &entry.proposal {
                write!(text, "\n# {}.yaml\n{}", entry.key, proposal.text).ok();
            }
        }
    }
    if entries.is_empty() && whole {
        write!(text, "\n{}", hint(args)).ok();
    }
    print_line(text.trim_end())
}

/// What may be the reason that nobody answered.
fn hint(args: &Coap) -> String {
    let within = args.timeout;
    let others = "Devices that speak DTLS alone do not answer: they are put into the site file by hand, with their `psk`.";
    match args.multicast {
        Some(from) => format!(
            "Nobody answered within {within:?}. Is {from} this machine's address in the devices' network? Many networks and devices \
             pass no multicast: --host asks addresses one by one. {others}"
        ),
        None => format!(
            "Nobody answered within {within:?}. Are the devices awake, and is their port {PORT}? --host HOST:PORT asks another port, \
             a longer --timeout waits for slow ones. {others}"
        ),
    }
}

fn site(entries: &[Entry], sources: &Sources) -> String {
    let mut text = "# Made by `usp-broker scan coap`: give the devices keys and names of your own.\n\
                    site: 1\nbuses:\n  lan: {coap: any}\n"
        .to_owned();
    let known = entries.iter().any(|entry| !entry.profiles.is_empty() || entry.proposal.is_some());
    text += if known { "devices:\n" } else { "devices: {}\n" };
    for entry in entries {
        let host = format!("bus: lan, host: \"{}\"", entry.found.address);
        match (entry.profiles.split_first(), &entry.proposal) {
            (Some((first, others)), _) => {
                let others =
                    if others.is_empty() { String::new() } else { format!("  # or {}", others.join(", ")) };
                writeln!(text, "  {}: {{{}, {host}}}{others}", entry.key, sources.of(first)).ok();
            }
            (None, Some(_)) => {
                writeln!(text, "  {}: {{file: {}.yaml, {host}}}", entry.key, entry.key).ok();
            }
            (None, None) => {
                let paths: Vec<&str> =
                    entry.found.links.iter().map(|link| link.path.as_str()).take(8).collect();
                writeln!(text, "  # {}: no mapping fits; it has {}", entry.found.address, paths.join(" "))
                    .ok();
            }
        }
    }
    text
}

fn to_json(entries: &[Entry], whole: bool, site: &str) -> Value {
    let device = |entry: &Entry| {
        let link = |link: &usp_mapping::oma::links::Link| json!({"path": link.path, "types": link.types, "formats": link.formats, "observable": link.observable});
        json!({
            "device": entry.key,
            "host": entry.found.address.to_string(),
            "identity": entry.found.identity,
            "refusal": entry.found.refusal,
            "profiles": entry.profiles,
            "links": entry.found.links.iter().map(link).collect::<Vec<_>>(),
            "mapping": entry.proposal.as_ref().map(|proposal| &proposal.text),
        })
    };
    json!({"scan": 1, "complete": whole, "devices": entries.iter().map(device).collect::<Vec<_>>(), "site": site})
}
