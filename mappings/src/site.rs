//! From a site file to everything that a hub has: buses, and devices with their compiled mappings.
//!
//! This crate opens no file: whoever compiles a site says how mapping files are found, usually with a
//! [`Catalog`](crate::library::Catalog).

mod address;
mod buses;
mod load;
mod radio;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::Code;
use crate::compile::follow::{drop_unused, follow};
use crate::compile::params::refuse;
use crate::compile::{self, Params, compile};
use crate::diagnostic::{Diagnostic, SourceFile, has_errors};
use crate::draft::At;
use crate::draft::MappingDraft;
use crate::draft::site::{BusDraft, DeviceDraft, SiteDraft, Use};
use crate::library;
use crate::mapping::{Bus, BusKind, Device, Mapping, Site};
use crate::port::DeviceId;
use crate::read::Report;

/// Why there is no mapping file for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No file has this profile.
    Profile {
        /// Those that there are.
        known: Vec<String>,
    },
    /// None of its versions will do.
    Version {
        /// Those that there are.
        found: Vec<String>,
    },
    /// The file could not be read.
    Unreadable(String),
}

/// Finds the mapping file of a device.
pub type Resolve<'r> = dyn Fn(&Use) -> Result<SourceFile, NotFound> + 'r;

/// Compiles a site file and every mapping file that it uses. Errors of the mapping files are among the diagnostics;
/// their warnings are not.
///
/// The site is there if and only if no diagnostic is an error.
pub fn compile_site(file: &SourceFile, resolve: &Resolve<'_>) -> (Option<Site>, Vec<Diagnostic>) {
    let (draft, mut found) = SiteDraft::parse(file);
    let Some(draft) = draft else { return (None, found) };
    let mut compiler = Compiler { draft: &draft, report: Report::new(file), models: Models::new(resolve) };
    let site = compiler.site();
    found.extend(compiler.report.found);
    drop_unused(&mut found);
    compile::sort(&mut found);
    found.extend(compiler.models.found);
    (Some(site).filter(|_| !has_errors(&found)), found)
}

struct Compiler<'s> {
    draft: &'s SiteDraft,
    report: Report<'s>,
    models: Models<'s>,
}

impl Compiler<'_> {
    fn site(&mut self) -> Site {
        let draft = self.draft;
        let mut buses: Vec<Bus> = draft.buses.iter().filter_map(|bus| self.bus(bus)).collect();
        let devices: Vec<Device> = draft.devices.iter().filter_map(|device| self.device(device)).collect();
        self.shared_addresses();
        self.shared_names();
        self.shared_buses();
        self.lines(&mut buses, &devices);
        self.busy_lines(&devices);
        Site { buses, devices }
    }

    /// TR-181 lets devices share a Name, and nobody can tell them apart then.
    fn shared_names(&mut self) {
        let mut seen: BTreeMap<&str, &At<String>> = BTreeMap::new();
        for device in &self.draft.devices {
            let name = device.name.as_ref().unwrap_or(&device.id);
            let Some(first) = seen.get(name.value.as_str()) else {
                seen.insert(&name.value, &device.id);
                continue;
            };
            let message = format!("the device `{}` has the name `{}` already", first.value, name.value);
            let warning = self.report.warn(Code::DuplicateName, name.span, message);
            warning.help("give one of them another `name`: a search by Name finds both");
        }
    }

    fn bus(&mut self, bus: &BusDraft) -> Option<Bus> {
        let name = &bus.name.value;
        let used = |device: &DeviceDraft| device.bus.as_ref().is_some_and(|at| at.value == *name);
        let kind = bus.kind.as_ref().map(|kind| kind.value.clone());
        let adopts = match &kind {
            Some(BusKind::Mqtt(server)) => !server.adopt.is_empty(),
            Some(BusKind::Zigbee(bus)) => bus.adopt,
            _ => false,
        };
        if kind.is_some() && !adopts && !self.draft.devices.iter().any(used) {
            let warning = self.report.unfit(
                Code::UnusedBus,
                bus.name.span,
                format!("no device is on the bus `{name}`"),
            );
            warning.help("remove it, or put a device on it");
        }
        Some(Bus { name: name.clone(), kind: self.located(kind?) })
    }

    fn device(&mut self, device: &DeviceDraft) -> Option<Device> {
        let bus = device.bus.as_ref().and_then(|bus| self.known_bus(bus));
        self.unit_on_a_line(device);
        let mapping = device.model.as_ref().and_then(|model| self.mapping(device, model));
        if let (Some(bus), Some(mapping)) = (&device.bus, &mapping) {
            self.speaks(bus, mapping)?;
            self.secrets_on_the_air(device, mapping);
        }
        let name = device.name.as_ref().unwrap_or(&device.id).value.clone();
        Some(Device {
            id: DeviceId(device.id.value.as_str().into()),
            name,
            mapping: mapping?,
            bus: bus?,
            address: self.address(device)?,
        })
    }

    /// On a serial line unit 0 is everybody and nobody answers (Modbus over Serial Line V1.02, 2.2).
    fn unit_on_a_line(&mut self, device: &DeviceDraft) {
        let Some((bus, unit)) = device.bus.as_ref().zip(device.unit) else { return };
        let mut kinds = self.draft.buses.iter().filter(|known| known.name.value == bus.value);
        let kind = kinds.find_map(|known| known.kind.as_ref()).map(|kind| &kind.value);
        let line = matches!(kind, Some(BusKind::ModbusRtu(_) | BusKind::ModbusRtuTcp { .. }));
        if line && !(1..=247).contains(&unit.value) {
            let message = format!("there is no unit {} on a serial line", unit.value);
            self.report.error(Code::NumberRange, unit.span, message).help("units are 1 to 247");
        }
    }

    fn known_bus(&mut self, bus: &At<String>) -> Option<String> {
        let names: Vec<&str> = self.draft.buses.iter().map(|known| known.name.value.as_str()).collect();
        if !names.contains(&bus.value.as_str()) {
            let error =
                self.report.error(Code::UnknownBus, bus.span, format!("there is no bus `{}`", bus.value));
            error.suggest(&bus.value, &names);
            return None;
        }
        Some(bus.value.clone())
    }

    fn mapping(&mut self, device: &DeviceDraft, model: &At<Use>) -> Option<Arc<Mapping>> {
        let draft = match self.models.draft(&model.value) {
            Ok(draft) => draft?,
            Err(why) => {
                self.not_found(model, &why);
                return None;
            }
        };
        let params = self.params(device, &draft)?;
        let mapping = self.models.compiled(&model.value, &draft, &params);
        if mapping.is_none() && self.models.broken.insert(model.value.to_string()) {
            let message = format!("the mapping file {} has errors", draft.file.name());
            self.report.error(Code::MappingFile, model.span, message).help("see its own diagnostics");
        }
        mapping
    }

    fn not_found(&mut self, model: &At<Use>, why: &NotFound) {
        match (why, &model.value) {
            (NotFound::Profile { known }, Use::Profile { name, .. }) => {
                let message = format!("there is no profile `{name}`");
                // The nearest name may be another model: which one it is, only who has the device can say.
                let error = self.report.error(Code::UnknownProfile, model.span, message);
                error.help(library::advice(name, known));
            }
            (NotFound::Version { found }, wanted) => {
                let message = format!("no version of the profile meets `{wanted}`");
                let error = self.report.error(Code::ProfileVersion, model.span, message);
                error.help(format!(
                    "there is {}; a later version has to be in a folder of mappings",
                    found.join(", ")
                ));
            }
            (NotFound::Unreadable(why), wanted) => {
                let message = format!("the mapping file {wanted} cannot be read: {why}");
                self.report
                    .error(Code::MappingFile, model.span, message)
                    .help("paths are relative to the site file");
            }
            (NotFound::Profile { .. }, wanted) => {
                let message = format!("the mapping file {wanted} cannot be read");
                self.report
                    .error(Code::MappingFile, model.span, message)
                    .help("paths are relative to the site file");
            }
        }
    }

    /// The parameters of a device; `None` when one is wrong or missing.
    fn params(&mut self, device: &DeviceDraft, model: &MappingDraft) -> Option<Params> {
        let before = self.report.found.len();
        let mut params = Params::examples(model);
        for (name, value) in &device.params {
            let Some(param) = model.params.iter().find(|param| param.name.value == name.value) else {
                let names: Vec<&str> = model.params.iter().map(|param| param.name.value.as_str()).collect();
                let message = format!("the profile has no parameter `{}`", name.value);
                self.report.error(Code::DeviceParam, name.span, message).suggest(&name.value, &names);
                continue;
            };
            match refuse(param, &value.value) {
                Some((message, help)) => self.report.error(Code::DeviceParam, value.span, message).help(help),
                None => params.set(&name.value, &value.value),
            }
        }
        for param in model.params.iter().filter(|param| param.default.is_none()) {
            let name = &param.name.value;
            if !device.params.iter().any(|(given, _)| given.value == *name) {
                let message = format!("the device `{}` needs the parameter `{name}`", device.id.value);
                let error = self.report.error(Code::DeviceParam, device.id.span, message);
                let example = params.get(name).unwrap_or("…");
                error.help(format!("add `params: {{{name}: {example}}}`, with the value of this device"));
            }
        }
        (self.report.found.len() == before).then_some(params)
    }
}

/// Mapping files that were read and compiled, each once.
struct Models<'r> {
    resolve: &'r Resolve<'r>,
    drafts: BTreeMap<String, Result<Option<Arc<MappingDraft>>, NotFound>>,
    compiled: BTreeMap<(String, Params), Option<Arc<Mapping>>>,
    /// Those that the site was told about: once, however many devices there are.
    broken: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

impl<'r> Models<'r> {
    fn new(resolve: &'r Resolve<'r>) -> Self {
        let (drafts, compiled) = (BTreeMap::new(), BTreeMap::new());
        Self { resolve, drafts, compiled, broken: BTreeSet::new(), found: Vec::new() }
    }

    /// `None` when the file cannot even be read as a map.
    fn draft(&mut self, wanted: &Use) -> Result<Option<Arc<MappingDraft>>, NotFound> {
        if let Some(known) = self.drafts.get(&wanted.to_string()) {
            return known.clone();
        }
        let draft = (self.resolve)(wanted).map(|file| {
            let (draft, mut found) = MappingDraft::parse_with(&file, self.resolve);
            if let Some(draft) = &draft {
                // Its tests are run, whatever the parameters of the devices.
                let mut more = compile(draft, &draft.given).1;
                follow(&found, &mut more);
                found.extend(more);
            }
            self.report(found);
            draft.map(Arc::new)
        });
        self.drafts.insert(wanted.to_string(), draft.clone());
        draft
    }

    fn compiled(&mut self, wanted: &Use, draft: &MappingDraft, params: &Params) -> Option<Arc<Mapping>> {
        let key = (wanted.to_string(), params.clone());
        if let Some(known) = self.compiled.get(&key) {
            return known.clone();
        }
        let of_model = |known: &Diagnostic| draft.source.files().contains(&known.file);
        let read: Vec<Diagnostic> = self.found.iter().filter(|known| of_model(known)).cloned().collect();
        let (mapping, mut found) = compile(draft, params);
        follow(&read, &mut found);
        self.report(found);
        let broken = self.found.iter().any(of_model);
        let mapping = mapping.filter(|_| !broken).map(Arc::new);
        self.compiled.insert(key, mapping.clone());
        mapping
    }

    fn report(&mut self, found: Vec<Diagnostic>) {
        for diagnostic in found.into_iter().filter(Diagnostic::is_error) {
            if !self.found.contains(&diagnostic) {
                self.found.push(diagnostic);
            }
        }
    }
}
