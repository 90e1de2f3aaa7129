//! `scan ble`: which Bluetooth devices advertise, and what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use usp_adapters::ble_scan::{Found, STEP, listen};
use usp_mapping::ble::bthome::{self, Payload};
use usp_mapping::compile::compile_file;
use usp_mapping::draft::site::{Requirement, Use};
use usp_mapping::mapping::{BleAdapter, BleMatch, BlePair, Mac, Protocol};

use super::progress::Progress;
use super::range::time;
use super::source::Sources;
use super::target;
use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};
use crate::site::Finder;

/// Look for Bluetooth devices that advertise; nothing is sent to any of them
///
/// It listens for a while and tells of each device how strongly it is heard and what it says: its name, objects of BTHome,
/// services, companies. What it says is compared with what the mappings are known by; the site file that follows is printed or,
/// with -o, written. The hub needs BlueZ (bluetoothd) and D-Bus.
#[derive(Debug, Args)]
pub(crate) struct Ble {
    /// Radio: the name that BlueZ gives it, or its address
    #[arg(long, default_value = "hci0", value_name = "RADIO", value_parser = radio)]
    radio: BleAdapter,
    /// How long to listen; devices that save their battery speak seldom
    #[arg(long = "for", default_value = "15s", value_name = "TIME", value_parser = time)]
    time: Duration,
    /// Devices for which there is a mapping alone
    #[arg(long)]
    known: bool,
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

fn radio(text: &str) -> Result<BleAdapter, String> {
    let is_name = text.strip_prefix("hci").is_some_and(|number| number.parse::<u16>().is_ok());
    match Mac::parse(text) {
        Some(address) => Ok(BleAdapter::Address(address)),
        None if is_name => Ok(BleAdapter::Name(text.to_owned())),
        None => Err(format!("`{text}` is no radio; write hci0, or its address")),
    }
}

/// A profile and what its devices are known by.
struct Model {
    profile: String,
    known_by: BleMatch,
    /// Devices are paired with, and have a passkey.
    passkey: bool,
}

/// A device and the mappings for it, the most particular first.
struct Entry {
    key: String,
    found: Found,
    profiles: Vec<String>,
    /// Whether the first of them wants a passkey.
    passkey: bool,
}

pub(super) async fn scan(args: &Ble) -> Result<(), Failure> {
    args.output.iter().try_for_each(|path| target::check(path, args.force))?;
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let models = models(&args.folders)?;
    let steps = usize::try_from(args.time.as_millis() / STEP.as_millis()).unwrap_or_default();
    let progress = Progress::new(steps, args.json);
    let (mut told, mut latest) = (BTreeSet::new(), Vec::new());
    let step = |found: &[Found]| {
        progress.step(1, &args.radio.to_string());
        for device in found {
            // What it says may come in two parts.
            if device.times > 1 && told.insert(device.mac) && args.shows(&fitting(device, &models)) {
                progress.found(&line(device));
            }
        }
        latest = found.to_vec();
    };
    let ended = tokio::select! {
        heard = listen(&args.radio, args.time, step) => Some(heard.map_err(hint)?),
        () = interrupt.wait() => None,
    };
    progress.end();
    let whole = ended.is_some();
    let mut found = ended.unwrap_or(latest);
    // The nearest first.
    found.sort_by_key(|device| (std::cmp::Reverse(device.rssi), device.mac));
    let mut entries: Vec<Entry> = Vec::new();
    for found in found {
        let fitting = fitting(&found, &models);
        if args.shows(&fitting) {
            let key = key(&found, &entries);
            entries.push(Entry::new(key, &fitting, found.clone()));
        }
    }
    report(args, &entries, whole)
}

impl Ble {
    fn shows(&self, fitting: &[&Model]) -> bool {
        !self.known || !fitting.is_empty()
    }
}

impl Entry {
    fn new(key: String, fitting: &[&Model], found: Found) -> Self {
        let profiles = fitting.iter().map(|model| model.profile.clone()).collect();
        Self { key, found, profiles, passkey: fitting.first().is_some_and(|model| model.passkey) }
    }
}

/// What to do where nothing can be heard.
fn hint(why: String) -> Failure {
    let advice = if why.starts_with("there is no D-Bus") && why.contains("Permission denied") {
        "this user may not open the system bus' socket: its permissions tell who may (ls -l /run/dbus/system_bus_socket)"
    } else if why.starts_with("there is no D-Bus at DBUS_SYSTEM_BUS_ADDRESS=") {
        "correct that environment variable, such as unix:path=/run/dbus/system_bus_socket, or unset it"
    } else if why.starts_with("there is no D-Bus") {
        "install and start dbus, and give the system bus' socket to a container (/run/dbus/system_bus_socket)"
    } else if why.contains("bluetoothd") {
        "install bluez and start it: systemctl enable --now bluetooth"
    } else if why.contains("switched off") {
        "switch it on: bluetoothctl power on; rfkill tells whether it is blocked"
    } else if why.contains("no radio") {
        "name another with --radio; bluetoothctl list tells which there are"
    } else if why.contains("group bluetooth") {
        "usermod -a -G bluetooth USER, and log in again"
    } else {
        "journalctl -u bluetooth may tell why"
    };
    Failure::failed(format!("{why}; {advice}"))
}

/// The mappings that say what their devices are known by.
fn models(folders: &[PathBuf]) -> Result<Vec<Model>, Failure> {
    let finder = Finder::new(folders, Path::new("")).map_err(Failure::invalid)?;
    let profiles: BTreeSet<String> =
        finder.catalog().profiles().map(|(profile, _)| profile.to_owned()).collect();
    let model = |profile: String| {
        let wanted = Use::Profile { name: profile.clone(), requirement: Requirement::Any };
        match compile_file(&finder.find(&wanted).ok()?).0?.protocol {
            Protocol::Ble(options) if !options.known_by.is_open() => {
                let passkey = options.pair == BlePair::Passkey;
                Some(Model { known_by: options.known_by, profile, passkey })
            }
            _ => None,
        }
    };
    Ok(profiles.into_iter().filter_map(model).collect())
}

fn fitting<'m>(found: &Found, models: &'m [Model]) -> Vec<&'m Model> {
    let mut fitting: Vec<&Model> = models.iter().filter(|model| model.known_by.fits(&found.heard)).collect();
    fitting.sort_by_key(|model| std::cmp::Reverse(model.known_by.strictness()));
    fitting
}

/// A key of the site file.
fn key(found: &Found, known: &[Entry]) -> String {
    let name = found.heard.name.as_deref().unwrap_or_default();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").to_ascii_lowercase().chars().take(40).collect();
    let starts_well = slug.starts_with(|c: char| c.is_ascii_alphabetic());
    let slug = if starts_well { slug } else { format!("device-{slug}") };
    let slug = slug.trim_end_matches('-');
    let numbered = (1..).map(|number| if number == 1 { slug.to_owned() } else { format!("{slug}-{number}") });
    let is_free = |key: &String| !known.iter().any(|entry| entry.key == *key);
    numbered.into_iter().find(is_free).unwrap_or_default()
}

/// One device in a line.
fn line(found: &Found) -> String {
    let mut line = found.mac.to_string();
    // Writing to a String cannot fail, here and below.
    if let Some(rssi) = found.rssi {
        write!(line, " {rssi} dBm").ok();
    }
    if let Some(name) = &found.heard.name {
        write!(line, ", {}", shown(name)).ok();
    }
    for said in says(found) {
        write!(line, ", {said}").ok();
    }
    line
}

/// A name is what anybody may say: nothing of it moves the cursor.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// What it says, in words.
fn says(found: &Found) -> Vec<String> {
    let mut says = Vec::new();
    for (uuid, data) in &found.heard.service_data {
        says.push(match Payload::parse(data) {
            Ok(Payload::Plain(objects)) if *uuid == bthome::SERVICE => {
                let (names, unknown) = bthome::known(objects);
                let unknown = unknown.map_or(String::new(), |id| format!(" and object 0x{id:02x}"));
                format!("BTHome: {}{unknown}", names.join(" "))
            }
            Ok(Payload::Sealed(_)) if *uuid == bthome::SERVICE => {
                "BTHome, encrypted: needs its key".to_owned()
            }
            _ => format!("service data {uuid}: {}", hex(data)),
        });
    }
    for (company, data) in &found.heard.manufacturer {
        says.push(format!("company 0x{company:04x}: {}", hex(data)));
    }
    if says.is_empty() && !found.heard.services.is_empty() {
        let services: Vec<String> = found.heard.services.iter().take(4).map(ToString::to_string).collect();
        says.push(format!("services {}", services.join(" ")));
    }
    says
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(31).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 31 { digits + "…" } else { digits }
}

fn report(args: &Ble, entries: &[Entry], whole: bool) -> Result<(), Failure> {
    let site = site(&args.radio, entries, &Sources::new(&args.folders, args.output.as_deref())?);
    if let Some(path) = &args.output {
        target::write(&[(path.clone(), site.as_str())], args.force)?;
    }
    if args.json {
        return print_line(to_json(entries, whole, &site));
    }
    let cut = if whole { "" } else { " before it was interrupted" };
    let mut text = format!("Bluetooth devices heard{cut}: {}", entries.len());
    if entries.is_empty() {
        text += "\nNobody was heard. Are the devices near, and awake? Try --for 2min; some are silent while a phone is connected to them.";
    } else if args.output.is_none() {
        write!(text, "\n\n{}", site.trim_end()).ok();
    }
    print_line(text)
}

fn site(radio: &BleAdapter, entries: &[Entry], sources: &Sources) -> String {
    let radio = Value::from(radio.to_string());
    let mut text = format!(
        "# Made by `usp-broker scan ble`: give the devices keys and names of your own.\n\
         site: 1\nbuses:\n  air: {{ble: {radio}}}\n"
    );
    let known = entries.iter().any(|entry| !entry.profiles.is_empty());
    text += if known { "devices:\n" } else { "devices: {}\n" };
    for entry in entries {
        let (key, mac) = (&entry.key, entry.found.mac);
        match entry.profiles.split_first() {
            Some((profile, others)) => {
                let secret = |name: &str, has: bool| {
                    if has { format!(", {name}: \"file:{key}.{name}\"") } else { String::new() }
                };
                let more = secret("key", is_encrypted(&entry.found)) + &secret("passkey", entry.passkey);
                let source = sources.of(profile);
                write!(text, "  {key}: {{{source}, bus: air, mac: \"{mac}\"{more}}}").ok();
                if !others.is_empty() {
                    write!(text, "  # or {}", others.join(", ")).ok();
                }
                text.push('\n');
            }
            None => {
                writeln!(text, "  # {}: no mapping is known for it", line(&entry.found)).ok();
            }
        }
    }
    text
}

fn is_encrypted(found: &Found) -> bool {
    found.heard.service_data.iter().any(|(uuid, data)| {
        *uuid == bthome::SERVICE && matches!(Payload::parse(data), Ok(Payload::Sealed(_)))
    })
}

fn to_json(entries: &[Entry], whole: bool, site: &str) -> Value {
    let device = |entry: &Entry| {
        let heard = &entry.found.heard;
        let services: BTreeMap<String, String> =
            heard.service_data.iter().map(|(uuid, data)| (uuid.to_string(), hex(data))).collect();
        let companies: BTreeMap<String, String> =
            heard.manufacturer.iter().map(|(id, data)| (format!("0x{id:04x}"), hex(data))).collect();
        json!({
            "device": entry.key,
            "mac": entry.found.mac.to_string(),
            "rssi": entry.found.rssi,
            "times": entry.found.times,
            "name": heard.name,
            "services": heard.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "service_data": services,
            "manufacturer": companies,
            "encrypted": is_encrypted(&entry.found),
            "profiles": entry.profiles,
        })
    };
    let devices: Vec<Value> = entries.iter().map(device).collect();
    json!({"scan": 1, "complete": whole, "devices": devices, "site": site})
}

#[cfg(test)]
mod tests {
    use usp_mapping::mapping::{BleHeard, BleUuid};

    use super::*;

    fn found(name: &str, data: &[u8]) -> Found {
        let heard = BleHeard {
            name: Some(name.to_owned()),
            service_data: vec![(BleUuid::short(0xfcd2), data.to_vec())],
            ..BleHeard::default()
        };
        Found { mac: Mac([1; 6]), rssi: Some(-60), times: 2, heard }
    }

    #[test]
    fn radios_are_names_or_addresses() {
        assert_eq!(radio("hci1"), Ok(BleAdapter::Name("hci1".to_owned())));
        assert!(matches!(radio("A4:C1:38:11:22:33"), Ok(BleAdapter::Address(_))));
        assert!(radio("eth0").is_err() && radio("hci").is_err());
    }

    #[test]
    fn a_bus_that_may_not_be_opened_is_not_to_be_installed() {
        let told = |why: &str| hint(why.to_owned()).to_string();
        let refused = told("there is no D-Bus: Permission denied for its socket");
        assert!(refused.contains("this user may not open") && !refused.contains("install"), "{refused}");
        assert!(told("there is no D-Bus: its socket is not there").contains("install"));
    }

    /// Those of the simulated home are known too: each by what nobody else says.
    #[test]
    fn every_mapping_with_a_match_is_tried() {
        let models = models(&[]).unwrap();
        let lock = models.iter().find(|model| model.profile == "usp.demo-lock").unwrap();
        assert!(lock.passkey && lock.known_by.service.is_some());
        let heard = BleHeard { services: lock.known_by.service.into_iter().collect(), ..BleHeard::default() };
        let found = Found { mac: Mac([1; 6]), rssi: None, times: 1, heard };
        let profiles: Vec<&str> =
            fitting(&found, &models).into_iter().map(|model| model.profile.as_str()).collect();
        assert_eq!(profiles, ["usp.demo-lock"]);
        assert!(Entry::new("lock".to_owned(), &fitting(&found, &models), found.clone()).passkey);
    }

    #[test]
    fn what_is_said_is_told_in_words() {
        let plain = found("ATC\x1b[2J 1", &[0x40, 2, 0xca, 9, 0xe0]);
        assert_eq!(line(&plain), "01:01:01:01:01:01 -60 dBm, ATC[2J 1, BTHome: temperature and object 0xe0");
        let sealed = found("x", &[0x41, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(line(&sealed).contains("encrypted") && is_encrypted(&sealed));
    }

    #[test]
    fn the_site_has_what_is_known_and_names_what_is_not() {
        let entry = |found: Found, profiles: &[&str], known: &[Entry]| Entry {
            key: key(&found, known),
            found,
            profiles: profiles.iter().map(ToString::to_string).collect(),
            passkey: profiles == ["usp.demo-lock"],
        };
        let first =
            entry(found("Küche 1", &[0x41, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]), &["bthome.sensor", "a.b"], &[]);
        let mut entries = vec![first];
        let second = entry(found("Küche 1", &[0x40]), &[], &entries);
        assert_eq!(second.key, "k-che-1-2");
        entries.push(second);
        let lock = entry(found("Door lock", &[]), &["usp.demo-lock"], &entries);
        entries.push(lock);
        let sources = Sources::new(&[], None).unwrap();
        let text = site(&BleAdapter::Name("hci0".to_owned()), &entries, &sources);
        assert!(text.contains("k-che-1: {use: bthome.sensor, bus: air, mac: \"01:01:01:01:01:01\", key: \"file:k-che-1.key\"}  # or a.b"));
        assert!(text.contains(
            "door-lock: {use: usp.demo-lock, bus: air, mac: \"01:01:01:01:01:01\", passkey: \"file:door-lock.passkey\"}\n"
        ));
        assert!(
            text.contains("  # 01:01:01:01:01:01 -60 dBm, Küche 1, BTHome: : no mapping is known for it")
        );
    }
}
