//! What was found: a summary, the site file, JSON.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};
use usp_adapters::scan::Way;
use usp_mapping::check::check_file;
use usp_mapping::diagnostic::{SourceFile, has_errors};
use usp_mapping::mapping::Parity;

use super::look::{Found, Place, Span, Unit, places};
use super::source::Sources;
use super::{Modbus, print_line, target};
use crate::cli::Failure;
use crate::cli::mapping::show_diagnostics;
use crate::site::Finder;

/// What it is called.
pub(super) fn name(way: &Way) -> String {
    match way {
        Way::Tcp(address) | Way::RtuOverTcp(address) => address.to_string(),
        Way::Serial(line) => format!("{} {} {}", line.port, line.baud, parity(line.parity)),
    }
}

fn parity(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

/// One unit in a line.
pub(super) fn unit_line(unit: &Unit) -> String {
    let mut line = format!("unit {}", unit.unit);
    let texts: Vec<&str> =
        unit.identity.iter().map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect();
    if !texts.is_empty() {
        // Writing to a String cannot fail, here and below.
        write!(line, ", {}", texts.join(" ")).ok();
    }
    match unit.profiles.as_slice() {
        [] => line.push_str(", no mapping is known by its fingerprint"),
        profiles => write!(line, ", mapping {}", profiles.join(" or ")).unwrap_or_default(),
    }
    for span in &unit.spans {
        let last = u32::from(span.first) + u32::from(span.count) - 1;
        write!(line, "; {} {}-{last}", span.table.name(), span.first).ok();
    }
    line
}

/// Tells everything and writes what was wanted.
pub(super) fn report(args: &Modbus, found: &Found, whole: bool) -> Result<(), Failure> {
    let mut places = places(found);
    places.sort_by_key(|place| name(&place.way));
    let site = site(&places, &Sources::new(&args.folders, args.output.as_deref())?);
    check(args, &site)?;
    let everything = to_json(&places, whole, &site);
    if let Some(path) = &args.save {
        target::write(&[(path.clone(), &format!("{everything:#}\n"))], args.force)?;
    }
    if let Some(path) = &args.output {
        target::write(&[(path.clone(), site.as_str())], args.force)?;
    }
    if args.json {
        return print_line(everything);
    }
    summary(args, &places, whole, &site)
}

fn summary(args: &Modbus, places: &[Place], whole: bool, site: &str) -> Result<(), Failure> {
    let units: usize = places.iter().map(|place| place.units.len()).sum();
    let ended = if whole { "" } else { " (interrupted)" };
    print_line(format!(
        "units found: {units}, on buses: {}{ended}",
        places.iter().filter(|place| !place.units.is_empty()).count()
    ))?;
    for place in places {
        if place.any_unit {
            print_line(format!("{}: it answers for every unit, so it is one device", name(&place.way)))?;
        }
        if place.noise && place.units.is_empty() {
            print_line(format!(
                "{}: something speaks there, but no Modbus of this kind: try other speeds or parities",
                name(&place.way)
            ))?;
        }
    }
    if units == 0 {
        return print_line(
            "Are the address, the wiring, the speed and the parity right? Slow devices need --timeout 1s.",
        );
    }
    match &args.output {
        Some(path) => print_line(format!("site file: {}", path.display()))?,
        None => print_line(format!("\n{}", site.trim_end()))?,
    }
    if let Some(path) = &args.save {
        print_line(format!("everything found: {}", path.display()))?;
    }
    let unknown = places.iter().flat_map(|place| &place.units).find(|unit| unit.profiles.is_empty());
    unknown.map_or(Ok(()), |unit| print_line(next_step(args, unit)))
}

/// What to do about a unit that no mapping is known for.
fn next_step(args: &Modbus, unit: &Unit) -> String {
    match (&args.save, &args.registers) {
        (Some(path), Some(_)) => format!(
            "Begin a mapping for unit {}: usp-broker mapping new vendor.model --from-scan {} --unit {0} -o model.yaml",
            unit.unit,
            path.display()
        ),
        _ => format!(
            "Of unit {} no mapping is known. Scan it again with `--units {0} --registers holding:0-99,input:0-99 --save \
             scan.json` to see what it has; `usp-broker mapping new vendor.model --from-scan scan.json` makes a draft of that.",
            unit.unit
        ),
    }
}

/// The site file that follows from it. A unit without a mapping is there as a comment.
fn site(places: &[Place], sources: &Sources) -> String {
    let known = |unit: &Unit| !unit.profiles.is_empty();
    let mut text = "# Found by `usp-broker scan modbus`.\nsite: 1\nbuses:".to_owned();
    let used: Vec<(String, &Place)> = places
        .iter()
        .filter(|place| !place.units.is_empty())
        .enumerate()
        .map(|(number, place)| (format!("bus-{}", number + 1), place))
        .collect();
    let mut lines = |on: bool, empty: &str| {
        if !on {
            text.push_str(empty);
        }
        text.push('\n');
        std::mem::take(&mut text)
    };
    let mut out = lines(used.iter().any(|(_, place)| place.units.iter().any(known)), " {}");
    for (bus, place) in &used {
        let comment = if place.units.iter().any(known) { "  " } else { "  # " };
        writeln!(out, "{comment}{bus}: {}", bus_map(&place.way)).ok();
    }
    out.push_str("devices:");
    out.push_str(if used.iter().any(|(_, place)| place.units.iter().any(known)) { "\n" } else { " {}\n" });
    for (bus, place) in &used {
        for unit in &place.units {
            out.push_str(&device(bus, unit, sources));
        }
    }
    out
}

fn bus_map(way: &Way) -> String {
    match way {
        Way::Tcp(address) => format!("{{modbus_tcp: \"{address}\"}}"),
        Way::RtuOverTcp(address) => format!("{{modbus_rtu_tcp: \"{address}\"}}"),
        Way::Serial(line) => {
            let (parity, stop_bits) = (parity(line.parity), line.stop_bits);
            let port = Value::from(line.port.as_str());
            format!("{{modbus_rtu: {port}, baud: {}, parity: {parity}, stop_bits: {stop_bits}}}", line.baud)
        }
    }
}

fn device(bus: &str, unit: &Unit, sources: &Sources) -> String {
    let key = format!("{bus}-unit-{}", unit.unit);
    match unit.profiles.as_slice() {
        [] => format!(
            "  # {key}: {{file: YOUR-MAPPING.yaml, bus: {bus}, unit: {}}}  # {}\n",
            unit.unit,
            unit_line(unit)
        ),
        [profile] => format!("  {key}: {{{}, bus: {bus}, unit: {}}}\n", sources.of(profile), unit.unit),
        [profile, others @ ..] => {
            format!(
                "  {key}: {{{}, bus: {bus}, unit: {}}}  # or {}\n",
                sources.of(profile),
                unit.unit,
                others.join(", ")
            )
        }
    }
}

/// What is proposed has to be right.
fn check(args: &Modbus, site: &str) -> Result<(), Failure> {
    let path = args.output.as_deref().unwrap_or(Path::new("site.yaml"));
    let finder = Finder::new(&args.folders, path).map_err(Failure::invalid)?;
    let problems =
        check_file(&SourceFile::new(&path.display().to_string(), site), &|wanted| finder.find(wanted));
    if has_errors(&problems) {
        // A mapping that wants parameters, as a rule: they are to be put in by hand.
        show_diagnostics(&problems);
    }
    Ok(())
}

fn to_json(places: &[Place], whole: bool, site: &str) -> Value {
    let span = |span: &Span| json!({"table": span.table.name(), "first": span.first, "count": span.count, "registers": span.registers});
    let unit = |unit: &Unit| {
        let text = |number: u8| {
            unit.identity.iter().find(|(known, _)| *known == number).map(|(_, text)| text.as_str())
        };
        json!({
            "unit": unit.unit,
            "vendor": text(0), "product": text(1), "revision": text(2),
            "profiles": unit.profiles,
            "spans": unit.spans.iter().map(span).collect::<Vec<_>>(),
        })
    };
    let bus = |way: &Way| match way {
        Way::Tcp(address) => json!({"modbus_tcp": address.to_string()}),
        Way::RtuOverTcp(address) => json!({"modbus_rtu_tcp": address.to_string()}),
        Way::Serial(line) => {
            json!({"modbus_rtu": line.port, "baud": line.baud, "parity": parity(line.parity), "stop_bits": line.stop_bits})
        }
    };
    let place = |place: &Place| {
        let units: Vec<Value> = place.units.iter().map(unit).collect();
        json!({"bus": bus(&place.way), "units": units, "any_unit": place.any_unit, "noise": place.noise})
    };
    json!({"scan": 1, "complete": whole, "places": places.iter().map(place).collect::<Vec<_>>(), "site": site})
}
