//! The text of mappings and sites.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use rust_decimal::Decimal;

use super::meaning;
use super::model::{Capability, Model, Notes, Point, Poll, slug, unique};
use super::{Format, ImportedMapping};
use crate::compile::compile_file;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::mapping::Class;
use crate::words::duration_text;

/// So often a mapping is written anew without what the checker refuses.
const ROUNDS: usize = 4;

/// Longest Name.
const NAME: usize = 64;

/// Writes a device's mapping; `None`: nothing of it can be used, which is noted.
pub(super) fn mapping(
    format: Format,
    source: &str,
    model: &mut Model,
    notes: &mut Notes,
) -> Option<ImportedMapping> {
    prepare(model, notes);
    for _ in 0..ROUNDS {
        if model.capabilities.is_empty() {
            return None;
        }
        let written = Written::of(format, source, model, notes);
        let (_, found) = compile_file(&SourceFile::new(source, &written.text));
        let errors: Vec<&Diagnostic> = found.iter().filter(|problem| problem.is_error()).collect();
        if errors.is_empty() {
            let (profile, capabilities) = (model.profile.clone(), model.capabilities.len());
            return Some(ImportedMapping { profile, text: written.text, capabilities });
        }
        drop_refused(model, &written, &errors, notes);
    }
    notes.add(1, model.profile.clone(), "what is left of it cannot be written as a mapping");
    model.capabilities.clear();
    None
}

/// Names, units, types and limits as TR-181 wants them.
fn prepare(model: &mut Model, notes: &mut Notes) {
    let vendor = model.profile.split('.').next().unwrap_or_default().to_owned();
    let mut names = BTreeSet::new();
    for capability in &mut model.capabilities {
        if matches!(capability.class, Class::LevelSensor | Class::LevelControl) {
            meaning::bound(capability, notes);
            let unit = capability.unit.take();
            meaning::set_unit(capability, unit.as_deref(), &vendor, notes);
        } else if let Some(unit) = capability.unit.take().filter(|unit| !unit.is_empty()) {
            notes.add(
                capability.line,
                format!("{}: unit {unit}", capability.name),
                "only numbers have a unit",
            );
        }
        capability.kind = Some(meaning::kind(capability, &vendor));
        let plain: String =
            capability.name.replace("${", "$ {").chars().filter(|c| !c.is_control()).collect();
        let short: String = plain.trim().chars().take(NAME - 4).collect();
        let name = if short.is_empty() { "Value" } else { &short };
        capability.name = unique(&mut names, name, " ");
        if capability.description.trim() == capability.name {
            capability.description.clear();
        }
        capability.description = capability.description.replace("${", "$ {").chars().take(256).collect();
    }
}

/// Leaves out the capabilities that errors are about; everything, when one is about none.
fn drop_refused(model: &mut Model, written: &Written, errors: &[&Diagnostic], notes: &mut Notes) {
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    for error in errors {
        let at = written.starts.iter().rposition(|start| *start <= error.span.line);
        let index = at.filter(|_| error.span.line < written.end).unwrap_or(usize::MAX);
        refused.entry(index).or_insert_with(|| error.message.clone());
    }
    if let Some(why) = refused.get(&usize::MAX) {
        notes.add(1, model.profile.clone(), why.clone());
        model.capabilities.clear();
        return;
    }
    let mut index = 0;
    model.capabilities.retain(|capability| {
        let why = refused.get(&index);
        index += 1;
        if let Some(why) = why {
            notes.add(capability.line, capability.name.clone(), why.clone());
        }
        why.is_none()
    });
}

/// A mapping's text and the line on which each capability begins.
struct Written {
    text: String,
    starts: Vec<usize>,
    /// The first line after the capabilities.
    end: usize,
}

impl Written {
    fn of(format: Format, source: &str, model: &Model, notes: &Notes) -> Self {
        let mut text = String::new();
        let file = source.rsplit('/').next().unwrap_or(source).replace(|c: char| c.is_control(), " ");
        // Writing to a String cannot fail, here and below.
        writeln!(text, "# From {file} ({format}). Compare it with the device's register table.").ok();
        if !notes.all().is_empty() {
            text.push_str("# `usp-broker mapping import` lists what was left out.\n");
        }
        writeln!(text, "uspmap: 1\nprofile: {}\nversion: 0.1.0", model.profile).ok();
        let kind = model.device_type.unwrap_or_else(|| device_type(model));
        let description: String = model.description.replace("${", "$ {").chars().take(256).collect();
        match description.as_str() {
            "" => writeln!(text, "device: {{type: {kind}}}").ok(),
            description => {
                writeln!(text, "device: {{type: {kind}, description: {}}}", quoted(description)).ok()
            }
        };
        text.push_str(&params(model));
        text.push_str(&modbus(model));
        let groups = groups(model);
        text.push_str(&poll(&groups));
        text.push_str("capabilities:\n");
        let mut starts = Vec::new();
        let mut keys = BTreeSet::new();
        for capability in &model.capabilities {
            starts.push(text.lines().count() + 1);
            let key = unique(&mut keys, &slug(&capability.name), "-");
            text.push_str(&written(capability, &key, &groups));
        }
        let end = text.lines().count() + 1;
        Self { text, starts, end }
    }
}

/// What something depends on.
fn params(model: &Model) -> String {
    let used =
        |name: &str| model.capabilities.iter().any(|cap| cap.when.iter().any(|(known, _)| known == name));
    let mut text = String::new();
    for (name, values, default) in model.params.iter().filter(|(name, ..)| used(name)) {
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        let values = values.join(", ");
        writeln!(text, "  {name}: {{enum: [{values}], default: \"{default}\"}}").ok();
    }
    if text.is_empty() { text } else { format!("params:\n{text}") }
}

/// `when: {mode: "1"}`.
fn when(capability: &Capability) -> Option<String> {
    let entries = capability.when.iter().map(|(name, values)| {
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        format!("{name}: [{}]", values.join(", "))
    });
    let entries: Vec<String> = entries.collect();
    (!entries.is_empty()).then(|| format!("{{{}}}", entries.join(", ")))
}

fn modbus(model: &Model) -> String {
    let duration =
        |key: &str, time: Option<Duration>| time.map(|time| format!("{key}: {}", duration_text(time)));
    let number = |key: &str, number: Option<u16>| number.map(|number| format!("{key}: {number}"));
    let options = [
        number("max_registers", model.max_registers),
        number("max_gap", model.max_gap),
        duration("guard", model.guard),
        duration("timeout", model.timeout),
    ];
    let options: Vec<String> = options.into_iter().flatten().collect();
    if options.is_empty() { String::new() } else { format!("modbus: {{{}}}\n", options.join(", ")) }
}

/// Periods and what their groups are called.
fn groups(model: &Model) -> BTreeMap<Duration, String> {
    let periods = model.capabilities.iter().filter(|capability| capability.read.is_some());
    let periods: BTreeSet<Duration> = periods
        .filter_map(|capability| match capability.poll {
            Poll::Every(period) => Some(period),
            Poll::OnDemand => None,
        })
        .collect();
    periods
        .into_iter()
        .map(|period| (period, format!("every-{}", duration_text(period).replace('.', "-"))))
        .collect()
}

fn poll(groups: &BTreeMap<Duration, String>) -> String {
    let groups: Vec<String> =
        groups.iter().map(|(period, name)| format!("{name}: {}", duration_text(*period))).collect();
    if groups.is_empty() { String::new() } else { format!("poll: {{{}}}\n", groups.join(", ")) }
}

fn written(capability: &Capability, key: &str, groups: &BTreeMap<Duration, String>) -> String {
    let mut text = format!("  {key}:\n    class: {}\n", capability.class.name());
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "    {key}: {value}").ok();
        }
    };
    line("when", when(capability));
    line("type", capability.kind.clone());
    line("unit", capability.unit.as_deref().map(quoted));
    line("name", Some(quoted(&capability.name)));
    line(
        "description",
        Some(&capability.description).filter(|text| !text.is_empty()).map(|text| quoted(text)),
    );
    if capability.class == Class::LevelControl {
        line("min", capability.range.map(|(low, _)| number(low)));
        line("max", capability.range.map(|(_, high)| number(high)));
        line("step", capability.step.map(number));
    }
    if capability.class == Class::LevelSensor && capability.monotonic {
        line("monotonic", Some("true".to_owned()));
    }
    line("read", capability.read.as_ref().map(|read| point(read, capability.class)));
    line("write", capability.write.as_ref().map(|write| point(write, capability.class)));
    if capability.read.is_some() {
        line(
            "poll",
            match capability.poll {
                Poll::Every(period) => groups.get(&period).cloned(),
                Poll::OnDemand => Some("on_demand".to_owned()),
            },
        );
    }
    text
}

fn point(point: &Point, class: Class) -> String {
    let address = match point.address {
        // What looks like 4xxxx notation has to be hexadecimal.
        address @ 10_000.. => format!("{address:#x}"),
        address => address.to_string(),
    };
    let mut parts = vec![format!("{}: {address}", point.table)];
    if !point.is_bit() {
        parts.extend(Some(point.encoding).filter(|as_| !as_.is_empty()).map(|as_| format!("as: {as_}")));
        parts.extend(point.registers.map(|registers| format!("registers: {registers}")));
        parts.extend(
            Some(point.order).filter(|order| !order.is_empty()).map(|order| format!("order: {order}")),
        );
        parts.extend(point.bits.map(|(first, last)| match first == last {
            true => format!("bits: {first}"),
            false => format!("bits: {first}..{last}"),
        }));
        parts.extend(map(point, class));
    }
    if matches!(class, Class::LevelSensor | Class::LevelControl) {
        parts.extend(
            point
                .scale
                .filter(|scale| *scale != Decimal::ONE)
                .map(|scale| format!("scale: {}", number(scale))),
        );
        parts.extend(
            point
                .offset
                .filter(|offset| !offset.is_zero())
                .map(|offset| format!("offset: {}", number(offset))),
        );
    }
    if point.invert {
        parts.push("invert: true".to_owned());
    } else if point.is_bit() && !point.map.is_empty() {
        // A bit has no `map`, but means something of its own, which is not that of the read.
        parts.push("invert: false".to_owned());
    }
    if !point.invalid.is_empty() {
        let values: Vec<String> = point.invalid.iter().map(i128::to_string).collect();
        parts.push(format!("invalid: [{}]", values.join(", ")));
    }
    parts.extend(point.function.map(|function| format!("fc: {function}")));
    parts.extend(point.keeps_other_bits.map(|keeps| format!("rmw: {keeps}")));
    format!("{{{}}}", parts.join(", "))
}

fn map(point: &Point, class: Class) -> Option<String> {
    let word = |state: &str| match class {
        Class::BinaryControl | Class::BinarySensor => state.to_owned(),
        _ => quoted(state),
    };
    let mut entries: Vec<String> =
        point.map.iter().map(|(raw, state)| format!("{raw}: {}", word(state))).collect();
    entries.extend(point.map_default.as_deref().map(|state| format!("default: {}", word(state))));
    (!entries.is_empty()).then(|| format!("map: {{{}}}", entries.join(", ")))
}

/// What TR-181 would call the whole device.
fn device_type(model: &Model) -> &'static str {
    let has = |class: Class| model.capabilities.iter().any(|capability| capability.class == class);
    let kind =
        |kind: &str| model.capabilities.iter().any(|capability| capability.kind.as_deref() == Some(kind));
    if kind("Energy") || kind("Power") {
        "Meter"
    } else if has(Class::LevelControl) && kind("Temperature") {
        "Thermostat"
    } else if model.capabilities.iter().all(|capability| capability.class == Class::BinaryControl) {
        "PowerStrip"
    } else {
        "Sensor"
    }
}

/// A site file with every device of which the place is known.
pub(super) fn site(models: &[Model]) -> Option<String> {
    let placed: Vec<(&Model, &(String, String, u8))> = models
        .iter()
        .filter(|model| !model.capabilities.is_empty())
        .filter_map(|model| Some((model, model.place.as_ref()?)))
        .collect();
    if placed.is_empty() {
        return None;
    }
    let buses: BTreeMap<&String, &String> = placed.iter().map(|(_, (name, bus, _))| (name, bus)).collect();
    let mut text = "site: 1\nbuses:\n".to_owned();
    for (name, bus) in buses {
        writeln!(text, "  {name}: {bus}").ok();
    }
    text.push_str("devices:\n");
    let mut keys = BTreeSet::new();
    for (model, (bus, _, unit)) in placed {
        let (_, name) = model.profile.split_once('.').unwrap_or(("", &model.profile));
        let key = unique(&mut keys, &slug(name), "-");
        writeln!(text, "  {key}: {{file: {}.yaml, bus: {bus}, unit: {unit}}}", model.profile).ok();
    }
    Some(text)
}

fn number(number: Decimal) -> String {
    number.normalize().to_string()
}

/// As YAML takes it for nothing but text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
