//! From files and profiles to devices that can be simulated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use usp_mapping::check::{FileKind, check_file, file_kind};
use usp_mapping::compile::Params;
use usp_mapping::diagnostic::{SourceFile, has_errors};
use usp_mapping::draft::MappingDraft;
use usp_mapping::draft::site::{DeviceDraft, SiteDraft, Use};
use usp_mapping::mapping::{BusKind, Parity, SerialLine};
use usp_simulators::modbus::plant::{BusPlan, Medium};
use usp_simulators::modbus::{LineSettings, ModbusDevice};

use super::Simulate;
use crate::cli::Failure;
use crate::cli::mapping::show_diagnostics;
use crate::site::Finder;

/// What is to run, and what a person is told of it.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) plans: Vec<BusPlan>,
    /// How the characters of serial lines are set, by the name of the bus.
    pub(super) lines: BTreeMap<String, Characters>,
    /// By the name of the device.
    pub(super) things: BTreeMap<String, Thing>,
}

/// What a pseudo-terminal does not have: for a broker it says how long a character takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Characters {
    pub(super) parity: Parity,
    pub(super) stop_bits: u8,
}

impl Characters {
    /// A start bit, eight of data, and these.
    pub(super) fn bits(self) -> u32 {
        9 + u32::from(self.parity != Parity::None) + u32::from(self.stop_bits)
    }
}

/// What the site file says of a device, and what can be tried on it.
pub(super) struct Thing {
    /// `use: …` or `file: …`
    pub(super) model: String,
    /// Its `Name`.
    pub(super) name: String,
    pub(super) params: Vec<(String, String)>,
    /// Each capability's key, Name and class.
    pub(super) capabilities: Vec<(String, String, &'static str)>,
}

impl Setup {
    /// Reads and checks everything that is to be simulated.
    ///
    /// Errors: a file cannot be read, or has errors, which are shown.
    pub(super) fn of(args: &Simulate) -> Result<Self, Failure> {
        let files: Vec<SourceFile> =
            args.models.iter().map(|model| args.folders.open(model)).collect::<Result<_, _>>()?;
        let kinds: Vec<Option<FileKind>> = files.iter().map(|file| file_kind(file).ok()).collect();
        match (files.as_slice(), kinds.as_slice()) {
            ([file], [Some(FileKind::Site)]) => site(args, file),
            (_, kinds) if kinds.contains(&Some(FileKind::Site)) => {
                Err(Failure::invalid("a site file is simulated by itself, without other files"))
            }
            (files, _) => models(args, files),
        }
    }
}

/// One bus with one unit for each mapping.
fn models(args: &Simulate, files: &[SourceFile]) -> Result<Setup, Failure> {
    let finder = args.folders.finder(Path::new(""))?;
    let medium = match (args.serial, args.rtu_over_tcp) {
        (true, _) => Medium::Line(args.line()),
        (_, true) => Medium::RtuTcp(args.tcp),
        _ => Medium::Tcp(args.tcp),
    };
    let mut setup = Setup::default();
    let mut devices = Vec::new();
    for (unit, (file, written)) in (args.unit..=u8::MAX).zip(files.iter().zip(&args.models)) {
        let draft = mapping(file, &finder, &args.params)?;
        let mut name = key(&draft, unit);
        if setup.things.contains_key(&name) {
            name = format!("{name}-{unit}");
        }
        let device = device(&draft, args.seed.wrapping_add(u64::from(unit)))?;
        let model = if Path::new(written).is_file() {
            format!("file: {}", quoted(&absolute(Path::new(written))))
        } else {
            format!("use: {}", quoted(written))
        };
        setup.things.insert(name.clone(), thing(model, name.clone(), args.params.clone(), &draft));
        devices.push((name, unit, device));
    }
    if devices.len() < files.len() {
        return Err(Failure::invalid("there are no unit identifiers beyond 255"));
    }
    let name = "simulated".to_owned();
    setup.lines.insert(name.clone(), args.characters());
    setup.plans.push(BusPlan { name, medium, devices });
    Ok(setup)
}

/// Every bus and device of a site.
fn site(args: &Simulate, file: &SourceFile) -> Result<Setup, Failure> {
    let path = PathBuf::from(args.models.first().map_or("", String::as_str));
    let finder = args.folders.finder(&path)?;
    checked(file, &finder)?;
    let (draft, _) = SiteDraft::parse(file);
    let draft = draft.ok_or_else(|| Failure::invalid(format!("{}: no site", file.name())))?;
    let mut setup = Setup::default();
    let mut port = args.tcp.port();
    for bus in &draft.buses {
        let Some(kind) = bus.kind.as_ref() else { continue };
        let name = bus.name.value.clone();
        let medium = medium(args, &kind.value, &mut port)?;
        if let BusKind::ModbusRtu(line) = &kind.value {
            setup.lines.insert(name.clone(), characters(line));
        }
        let on_it =
            draft.devices.iter().filter(|device| device.bus.as_ref().is_some_and(|at| at.value == name));
        let mut devices = Vec::new();
        for found in on_it {
            let (thing, unit, device) = site_device(args, found, &finder, &path)?;
            setup.things.insert(found.id.value.clone(), thing);
            devices.push((found.id.value.clone(), unit, device));
        }
        setup.plans.push(BusPlan { name, medium, devices });
    }
    Ok(setup)
}

fn site_device(
    args: &Simulate,
    found: &DeviceDraft,
    finder: &Finder,
    site: &Path,
) -> Result<(Thing, u8, ModbusDevice), Failure> {
    let incomplete = || Failure::invalid(format!("device {} is incomplete", found.id.value));
    let model = found.model.as_ref().ok_or_else(incomplete)?;
    let file =
        finder.find(&model.value).map_err(|why| Failure::invalid(format!("{}: {why:?}", model.value)))?;
    let params: Vec<(String, String)> =
        found.params.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect();
    let draft = expanded(&file, finder, &params)?;
    let unit = found.unit.ok_or_else(incomplete)?.value;
    // A world of its own for each device, whatever their order.
    let seed =
        found.id.value.bytes().fold(args.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let written = match &model.value {
        Use::File(file) => {
            let folder = site.parent().unwrap_or(Path::new(""));
            format!("file: {}", quoted(&absolute(&folder.join(file))))
        }
        profile @ Use::Profile { .. } => format!("use: {}", quoted(&profile.to_string())),
    };
    let name = found.name.as_ref().unwrap_or(&found.id).value.clone();
    Ok((thing(written, name, params, &draft), unit, device(&draft, seed)?))
}

/// The bus of a site at a place of its own: addresses of devices are never listened on.
fn medium(args: &Simulate, kind: &BusKind, port: &mut u16) -> Result<Medium, Failure> {
    let mut listen = || {
        let address = SocketAddr::new(args.tcp.ip(), *port);
        *port = if *port == 0 { 0 } else { port.saturating_add(1) };
        address
    };
    Ok(match kind {
        BusKind::ModbusTcp { .. } => Medium::Tcp(listen()),
        BusKind::ModbusRtuTcp { .. } => Medium::RtuTcp(listen()),
        BusKind::ModbusRtu(line) => Medium::Line(LineSettings {
            baud: line.baud,
            bits_per_character: characters(line).bits(),
            delay: args.delay(),
            strict: args.strict,
        }),
        BusKind::Mqtt(_) | BusKind::Coap(_) | BusKind::Line(_) | BusKind::Ble(_) | BusKind::Zigbee(_) => {
            return Err(Failure::invalid(format!(
                "no devices on {} can be simulated",
                kind.protocol().name()
            )));
        }
    })
}

fn characters(line: &SerialLine) -> Characters {
    Characters { parity: line.parity, stop_bits: line.stop_bits }
}

/// A checked mapping with its parameters put in.
pub(super) fn mapping(
    file: &SourceFile,
    finder: &Finder,
    params: &[(String, String)],
) -> Result<MappingDraft, Failure> {
    checked(file, finder)?;
    expanded(file, finder, params)
}

/// A mapping for a device with these parameters.
fn expanded(
    file: &SourceFile,
    finder: &Finder,
    params: &[(String, String)],
) -> Result<MappingDraft, Failure> {
    let (draft, found) = MappingDraft::parse_with(file, &|wanted| finder.find(wanted));
    let unusable = || Failure::invalid(format!("{}: this is no mapping", file.name()));
    let draft = draft.ok_or_else(unusable)?;
    let given = params.iter().fold(Params::examples(&draft), |all, (name, value)| all.with(name, value));
    let (draft, more) = draft.with_params(&given);
    if has_errors(&found) || has_errors(&more) {
        show_diagnostics(if has_errors(&found) { &found } else { &more });
        return Err(Failure::invalid(format!("{} cannot be simulated with these parameters", file.name())));
    }
    draft.ok_or_else(unusable)
}

fn checked(file: &SourceFile, finder: &Finder) -> Result<(), Failure> {
    let found = check_file(file, &|wanted| finder.find(wanted));
    if has_errors(&found) {
        show_diagnostics(&found);
        return Err(Failure::invalid(format!("{} cannot be simulated as it is", file.name())));
    }
    Ok(())
}

fn device(draft: &MappingDraft, seed: u64) -> Result<ModbusDevice, Failure> {
    ModbusDevice::from_draft(draft, seed)
        .map_err(|error| Failure::invalid(format!("{}: {error}", draft.file.name())))
}

fn thing(model: String, name: String, params: Vec<(String, String)>, draft: &MappingDraft) -> Thing {
    let capability = |capability: &usp_mapping::draft::CapabilityDraft| {
        let key = capability.id.value.clone();
        let name = capability.name.as_ref().map_or_else(|| key.clone(), |name| name.value.clone());
        Some((key, name, capability.class?.value.name()))
    };
    Thing { model, name, params, capabilities: draft.capabilities.iter().filter_map(capability).collect() }
}

/// The device's key in the site file: what is behind the vendor in its profile.
pub(super) fn key(draft: &MappingDraft, unit: u8) -> String {
    let profile = draft.profile.as_ref().map_or("", |at| at.value.as_str());
    let model = profile.split_once('.').map_or(profile, |(_, model)| model);
    let fits = model.starts_with(|c: char| c.is_ascii_lowercase());
    if fits { model.replace('.', "-") } else { format!("device-{unit}") }
}

pub(super) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// As YAML takes it for nothing but text.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
