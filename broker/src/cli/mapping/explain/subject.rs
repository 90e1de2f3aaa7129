//! What is explained: the devices of a site, or one device of a mapping on a bus made up for it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use usp_adapters::explain::Way;
use usp_mapping::check::{FileKind, file_kind};
use usp_mapping::diagnostic::{Diagnostic, SourceFile, has_errors};
use usp_mapping::draft::MappingDraft;
use usp_mapping::draft::site::Use;
use usp_mapping::mapping::{BusKind, Device, LinePort, Parity, ProtocolKind, Site};
use usp_mapping::site::compile_site;
use usp_mapping::value::Value;

use super::bus::{BusTold, tell_buses};
use super::device::{Told, tell};
use super::{Explain, Line};
use crate::cli::Failure;
use crate::cli::mapping::model::Folders;
use crate::cli::mapping::show_diagnostics;
use crate::site;

/// Everything that was asked about.
pub(super) struct Subject {
    site: Site,
    /// Whose devices in full, by number from 1.
    pub(super) chosen: Vec<u32>,
    /// Whether it is a mapping alone, on a bus made up.
    pub(super) made_up: bool,
    /// Whether nobody has said what line that is.
    pub(super) assumed: bool,
    delay: Duration,
    values: Vec<(String, String)>,
}

/// All that is told. Its JSON form is a contract; `--help` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) devices: Vec<Told>,
    pub(super) buses: Vec<BusTold>,
}

/// What a device is called where nobody has said it.
const MADE_UP: &str = "device";

/// The name of the mapping file in a site that is made up.
const MAPPING: &str = "mapping";

impl Subject {
    /// Opens and compiles what the arguments name.
    pub(super) fn of(args: &Explain) -> Result<Self, Failure> {
        let values = args.values.iter().map(|text| pair(text, "--set", "CAPABILITY=VALUE"));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let (site, chosen, made_up) = match (&args.what, &args.site) {
            (what, Some(path)) => {
                let (site, chosen) = of_site(&open_site(path)?, &args.folders, args, what.as_deref())?;
                (site, chosen, false)
            }
            (Some(what), None) => {
                let file = args.folders.open(what)?;
                if matches!(file_kind(&file), Ok(FileKind::Site)) {
                    let (site, chosen) = of_site(&file, &args.folders, args, None)?;
                    (site, chosen, false)
                } else if let Some(device) = &args.device {
                    let message =
                        format!("--device {device}: `{what}` is a mapping, and devices are in a site file");
                    return Err(Failure::invalid(message));
                } else {
                    let params = args.params.iter().map(|text| pair(text, "--param", "NAME=VALUE"));
                    let params = params.collect::<Result<Vec<_>, _>>()?;
                    (of_mapping(&file, &args.folders, &args.line, args.unit, &params)?, vec![1], true)
                }
            }
            (None, None) => return Err(Failure::invalid("name a mapping, a profile or a site")),
        };
        let Line { baud, parity, tcp, .. } = &args.line;
        let assumed = made_up && baud.is_none() && parity.is_none() && !tcp;
        Ok(Self { site, chosen, made_up, assumed, delay: args.slave_delay, values })
    }

    /// Whether the frames for a value of this capability were asked for.
    pub(super) fn asks_for(&self, capability: &str) -> bool {
        self.values.iter().any(|(id, _)| id == capability)
    }

    /// Works everything out.
    pub(super) fn explain(&self) -> Result<Report, Failure> {
        for (id, text) in &self.values {
            self.check_value(id, text)?;
        }
        let devices = (1..)
            .zip(&self.site.devices)
            .filter_map(|(number, device)| Some(tell(device, number, &self.way(device)?, &self.values)));
        let devices: Vec<Told> = devices.collect();
        let buses = tell_buses(&self.site, &devices, self.delay, self.made_up);
        Ok(Report { devices, buses })
    }

    fn check_value(&self, id: &str, text: &str) -> Result<(), Failure> {
        let all = self.site.devices.iter().flat_map(|device| {
            let settings = device.mapping.settings.iter().map(|setting| &setting.like);
            device.mapping.capabilities.iter().chain(settings)
        });
        let Some(capability) =
            all.into_iter().find(|capability| capability.id == id && capability.write.is_some())
        else {
            return Err(Failure::invalid(format!("--set: there is no capability `{id}` that can be set")));
        };
        Value::parse(capability.class, text).map_err(|why| Failure::invalid(format!("--set {id}: {why}")))?;
        Ok(())
    }

    fn way(&self, device: &Device) -> Option<Way> {
        let bus = self.site.buses.iter().find(|bus| bus.name == device.bus)?;
        Some(Way { bus: bus.kind.clone(), delay: self.delay })
    }
}

fn pair(text: &str, option: &str, form: &str) -> Result<(String, String), Failure> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| Failure::invalid(format!("{option} `{text}`: write {form}")))
}

fn open_site(path: &str) -> Result<SourceFile, Failure> {
    site::read(Path::new(path)).map_err(|error| Failure::invalid(format!("{path}: {error}")))
}

fn of_site(
    file: &SourceFile,
    folders: &Folders,
    args: &Explain,
    profile: Option<&str>,
) -> Result<(Site, Vec<u32>), Failure> {
    let finder = folders.finder(Path::new(file.name()))?;
    let (site, found) = compile_site(file, &|wanted| finder.find(wanted));
    let site = usable(site, &found, file.name())?;
    let meant = |device: &Device| match (&args.device, profile) {
        (Some(key), _) => *device.id.0 == **key,
        (None, Some(profile)) => device.mapping.profile == profile,
        (None, None) => false,
    };
    let chosen: Vec<u32> =
        (1..).zip(&site.devices).filter(|(_, device)| meant(device)).map(|(number, _)| number).collect();
    if let (Some(key), true) = (&args.device, chosen.is_empty()) {
        let known: Vec<&str> = site.devices.iter().map(|device| &*device.id.0).collect();
        return Err(Failure::invalid(format!("there is no device `{key}`; devices: {}", known.join(", "))));
    }
    Ok((site, chosen))
}

/// One device of a mapping file on such a bus.
pub(in crate::cli::mapping) fn of_mapping(
    file: &SourceFile,
    folders: &Folders,
    line: &Line,
    unit: u8,
    params: &[(String, String)],
) -> Result<Site, Failure> {
    let finder = folders.finder(Path::new(file.name()))?;
    let draft = MappingDraft::parse_with(file, &|wanted| finder.find(wanted)).0;
    let protocol = draft.as_ref().map(|draft| draft.protocol).unwrap_or_default();
    let has_baud = draft.is_some_and(|draft| draft.line.usual.baud.is_some());
    let text = made_up((protocol, has_baud), line, unit, params);
    let (site, found) = compile_site(&SourceFile::new("the options", &text), &|wanted| match wanted {
        Use::File(path) if path == MAPPING => Ok(file.clone()),
        wanted => finder.find(wanted),
    });
    usable(site, &found, file.name())
}

fn made_up(
    (protocol, has_baud): (ProtocolKind, bool),
    line: &Line,
    unit: u8,
    params: &[(String, String)],
) -> String {
    let Line { baud, parity, stop_bits, tcp } = line;
    let (baud, parity) = (baud.unwrap_or(9600), parity.as_deref().unwrap_or("even"));
    let (bus, address) = match protocol {
        ProtocolKind::Modbus if *tcp => ("modbus_tcp: \"device:502\"".to_owned(), format!("unit: {unit}")),
        ProtocolKind::Modbus => (
            format!("modbus_rtu: /dev/serial, baud: {baud}, parity: {parity}, stop_bits: {stop_bits}"),
            format!("unit: {unit}"),
        ),
        ProtocolKind::Mqtt => ("mqtt: \"server:1883\"".to_owned(), format!("topic: {MADE_UP}")),
        ProtocolKind::Coap => ("coap: any".to_owned(), format!("host: {MADE_UP}")),
        ProtocolKind::Ble => ("ble: hci0".to_owned(), "mac: \"00:00:00:00:00:00\"".to_owned()),
        ProtocolKind::Line if *tcp => ("serial_line_tcp: \"device:4001\"".to_owned(), String::new()),
        ProtocolKind::Line => {
            // What the model is set to counts.
            let baud = if has_baud { String::new() } else { format!(", baud: {baud}") };
            (format!("serial_line: /dev/serial{baud}"), String::new())
        }
        ProtocolKind::Zigbee => {
            ("zigbee: /dev/coordinator, ncp: ezsp".to_owned(), "ieee: \"0x0011223344556677\"".to_owned())
        }
    };
    let params: Vec<String> =
        params.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    let params =
        if params.is_empty() { String::new() } else { format!(", params: {{{}}}", params.join(", ")) };
    let address = if address.is_empty() { address } else { format!(", {address}") };
    format!(
        "site: 1\nbuses:\n  bus: {{{bus}}}\ndevices:\n  device: {{file: {MAPPING}, bus: bus{address}{params}}}\n"
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn usable(site: Option<Site>, found: &[Diagnostic], name: &str) -> Result<Site, Failure> {
    match site.filter(|_| !has_errors(found)) {
        Some(site) => Ok(site),
        None => {
            // What was said in options has no lines to be shown.
            let (options, files): (Vec<_>, Vec<_>) =
                found.iter().cloned().partition(|it| it.file.name() == "the options");
            let errors: Vec<_> = files.into_iter().filter(Diagnostic::is_error).collect();
            show_diagnostics(&errors);
            let told = options.iter().find(|it| it.is_error()).filter(|_| errors.is_empty());
            Err(Failure::invalid(match told {
                Some(error) => match &error.help {
                    Some(help) => format!("{}: {}", error.message, help),
                    None => error.message.clone(),
                },
                None => format!("{name} cannot be used"),
            }))
        }
    }
}

fn letter(parity: Parity) -> char {
    match parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    }
}

/// The words for a bus.
pub(super) fn bus_words(kind: &BusKind) -> String {
    match kind {
        BusKind::ModbusTcp { .. } => "Modbus TCP".to_owned(),
        BusKind::ModbusRtuTcp { .. } => "RTU frames over TCP".to_owned(),
        BusKind::ModbusRtu(line) => {
            format!("serial line, {} baud, 8{}{}", line.baud, letter(line.parity), line.stop_bits)
        }
        BusKind::Ble(radio) => format!("Bluetooth, {} connections at a time", radio.slots),
        BusKind::Mqtt(_) | BusKind::Coap(_) | BusKind::Zigbee(_) => kind.protocol().name().to_owned(),
        BusKind::Line(line) => match &line.port {
            LinePort::Tcp(_) => "serial line over TCP".to_owned(),
            LinePort::Serial(port) => {
                let line = line.settings.line(port);
                let parity = letter(line.parity);
                format!("serial line, {} baud, {}{parity}{}", line.baud, line.data_bits, line.stop_bits)
            }
        },
    }
}
