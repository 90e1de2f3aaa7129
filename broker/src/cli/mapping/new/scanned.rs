//! `mapping new --from-scan`: a draft of what a scan read of one unit.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use usp_mapping::value::Value;

use super::guess::{Item, Kind, Words, items, words};
use crate::cli::Failure;

/// Most bytes of the file: a register takes about 20.
const MAX_BYTES: u64 = 64 << 20;

/// Most capabilities of a draft: more than anybody names by hand.
const MOST: usize = 400;

/// What `scan modbus --save` writes.
#[derive(Debug, Deserialize)]
struct Scan {
    scan: u32,
    places: Vec<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    bus: Bus,
    units: Vec<Unit>,
}

#[derive(Debug, Deserialize)]
struct Bus {
    modbus_tcp: Option<String>,
    modbus_rtu_tcp: Option<String>,
    modbus_rtu: Option<String>,
}

impl Bus {
    /// Address or port.
    fn name(&self) -> &str {
        let names = [&self.modbus_tcp, &self.modbus_rtu_tcp, &self.modbus_rtu];
        names.into_iter().flatten().next().map_or("", String::as_str)
    }
}

#[derive(Debug, Deserialize)]
struct Unit {
    unit: u8,
    vendor: Option<String>,
    product: Option<String>,
    revision: Option<String>,
    profiles: Vec<String>,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Span {
    table: Table,
    first: u16,
    count: u16,
    /// Empty of coils and discrete inputs.
    registers: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Table {
    Input,
    Holding,
    Coil,
    Discrete,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Holding => "holding",
            Self::Coil => "coil",
            Self::Discrete => "discrete",
        }
    }

    fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// The draft of the unit that is meant, with `PROFILE` and `VENDOR` for what it is called.
///
/// Errors: the file is none of a scan's, the unit is not in it or must be named, nothing was read of it.
pub(super) fn draft(path: &Path, unit: Option<u8>, at: Option<&str>) -> Result<String, Failure> {
    let scan = read(path)?;
    let (bus, unit) =
        chosen(&scan, unit, at).map_err(|why| Failure::invalid(format!("{}: {why}", path.display())))?;
    if unit.spans.is_empty() {
        return Err(Failure::invalid(format!(
            "{}: nothing was read of unit {}; scan once more with --registers holding:0-99,input:0-99",
            path.display(),
            unit.unit
        )));
    }
    Ok(text(bus, unit))
}

fn read(path: &Path) -> Result<Scan, Failure> {
    let failed = |why: String| Failure::invalid(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    let other =
        |why: &dyn std::fmt::Display| failed(format!("this is not what `scan modbus --save` writes: {why}"));
    let scan: Scan = serde_json::from_str(&text).map_err(|error| other(&error))?;
    if scan.scan != 1 {
        return Err(other(&format_args!("version {} is not known", scan.scan)));
    }
    for span in scan.places.iter().flat_map(|place| &place.units).flat_map(|unit| &unit.spans) {
        let is_whole = span.table.is_bits() || span.registers.len() == usize::from(span.count);
        if !is_whole || u32::from(span.first) + u32::from(span.count) > 0x1_0000 || span.count == 0 {
            return Err(other(&format_args!("{} {} has another length", span.table.name(), span.first)));
        }
    }
    Ok(scan)
}

/// The one unit that is meant.
fn chosen<'s>(scan: &'s Scan, unit: Option<u8>, at: Option<&str>) -> Result<(&'s str, &'s Unit), String> {
    let all = || scan.places.iter().flat_map(|place| place.units.iter().map(|unit| (place.bus.name(), unit)));
    let meant = all()
        .filter(|(bus, known)| unit.is_none_or(|unit| unit == known.unit) && at.is_none_or(|at| at == *bus));
    let meant: Vec<(&str, &Unit)> = meant.collect();
    let listed = |units: &[(&str, &Unit)]| {
        let names = units.iter().map(|(bus, unit)| format!("unit {} at {}", unit.unit, plain(bus)));
        names.take(20).collect::<Vec<_>>().join(", ")
    };
    match meant.as_slice() {
        [one] => Ok(*one),
        [] if all().next().is_none() => Err("the scan found nobody".to_owned()),
        [] => Err(format!("there is no such unit; found: {}", listed(&all().collect::<Vec<_>>()))),
        several => Err(format!("which one? --unit and --at choose among {}", listed(several))),
    }
}

fn text(bus: &str, unit: &Unit) -> String {
    let registers = unit.spans.iter().filter(|span| !span.table.is_bits());
    let order = words(registers.map(|span| span.registers.as_slice()));
    let identity = [&unit.vendor, &unit.product, &unit.revision].into_iter().flatten();
    let identity =
        identity.map(|text| plain(text)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    let mut body = Body::default();
    for span in &unit.spans {
        body.span(span, order);
    }
    body.complete(unit.spans.first());
    let mut text = head(bus, unit, &identity, order);
    text.push_str(&body.capabilities);
    if body.left > 0 {
        // Writing to a String cannot fail, here and below.
        writeln!(text, "  # {} further values are left out: scan fewer --registers at a time", body.left)
            .ok();
    }
    text + "\ntests:\n" + &body.tests
}

fn head(bus: &str, unit: &Unit, identity: &str, order: Words) -> String {
    let named = if identity.is_empty() { String::new() } else { format!(", {identity}") };
    let mut text = format!(
        "# PROFILE, drafted from what a scan read of unit {} at {}{named}.\n#\n",
        unit.unit,
        plain(bus)
    );
    for profile in &unit.profiles {
        let profile = plain(profile);
        writeln!(
            text,
            "# The mapping `{profile}` fits this unit: `use: {profile}` in a site may be all it needs.\n#"
        )
        .ok();
    }
    text.push_str(
        "# A scan knows values and not what they mean. With the vendor's register table beside it:\n\
         # 1. Give what is of use a name, class, type, unit and scale, and take out the rest with its tests. What looked\n\
         #    like a float or a text was taken for one; the comments say what else it may be.\n\
         # 2. Work the tests out from the vendor's document: those here only repeat what the scan read.\n\
         # 3. usp-broker mapping check FILE     every problem, with what to write\n\
         #    usp-broker mapping test FILE      the tests, and what has none\n",
    );
    let description = serde_json::Value::from(identity.chars().take(256).collect::<String>());
    writeln!(
        text,
        "uspmap: 1\nprofile: PROFILE\nversion: 0.1.0\ndevice: {{type: Sensor, description: {description}}}\nmodbus: \
         {{order: {}}}\npoll: {{fast: 5s}}\n\ncapabilities:",
        order.name()
    )
    .ok();
    text
}

/// Capabilities and their tests, as text.
#[derive(Debug, Default)]
struct Body {
    capabilities: String,
    tests: String,
    count: usize,
    left: usize,
}

impl Body {
    fn span(&mut self, span: &Span, order: Words) {
        let (table, last) = (span.table.name(), u32::from(span.first) + u32::from(span.count) - 1);
        writeln!(self.capabilities, "  # {table} {} to {last}", span.first).ok();
        if span.table.is_bits() {
            for address in (span.first..=u16::MAX).take(span.count.into()) {
                self.bit(span.table, address);
            }
            return;
        }
        for item in items(span.first, &span.registers, order) {
            self.item(span.table, &item);
        }
    }

    /// A mapping has at least one capability, be there nothing but zeros.
    fn complete(&mut self, first: Option<&Span>) {
        if let Some(span) = first.filter(|_| self.count == 0) {
            let hint = String::new();
            self.item(span.table, &Item { first: span.first, registers: vec![0], kind: Kind::Number, hint });
        }
    }

    fn item(&mut self, table: Table, item: &Item) {
        let (name, first) = (table.name(), item.first);
        let (meaning, read, value) = match &item.kind {
            Kind::Zeros => {
                let last = usize::from(first) + item.registers.len() - 1;
                writeln!(self.capabilities, "  # {name} {first} to {last}: 0").ok();
                return;
            }
            Kind::Text(text) => {
                let value = Value::Bytes(text.as_bytes().to_vec()).to_usp();
                (
                    "class: BlobSensor, type: ascii",
                    format!(", as: string, registers: {}", item.registers.len()),
                    value,
                )
            }
            Kind::Float(float) => (NUMBER, ", as: f32".to_owned(), float.to_string()),
            Kind::Number => {
                (NUMBER, String::new(), item.registers.first().copied().unwrap_or_default().to_string())
            }
        };
        let registers: Vec<String> =
            item.registers.iter().map(|register| format!("{register:#06x}")).collect();
        let holds = format!("[{}]", registers.join(", "));
        let place = written(first);
        let capability = format!("{{{meaning}, read: {{{name}: {place}{read}}}}}  # {}", item.hint);
        self.add(table, first, &capability, &holds, &value);
    }

    fn bit(&mut self, table: Table, address: u16) {
        let name = table.name();
        let place = written(address);
        let capability = format!("{{class: BinarySensor, type: X_VENDOR_Bit, read: {{{name}: {place}}}}}");
        self.add(table, address, &capability, "1", "true");
    }

    fn add(&mut self, table: Table, address: u16, capability: &str, holds: &str, value: &str) {
        if self.count == MOST {
            self.left += 1;
            return;
        }
        self.count += 1;
        let name = table.name();
        writeln!(self.capabilities, "  {name}-{address}: {}", capability.trim_end_matches("  # ")).ok();
        let place = written(address);
        writeln!(self.tests, "  - {{{name}: {{{place}: {holds}}}, expect: {{{name}-{address}: {value}}}}}")
            .ok();
    }
}

const NUMBER: &str = "class: LevelSensor, type: Meter, unit: \"-\"";

/// An address of the protocol: one that looks like a manual's 4xxxx has to be hexadecimal.
fn written(address: u16) -> String {
    if address < 10_000 { address.to_string() } else { format!("{address:#06x}") }
}

/// What a comment can hold.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| c.is_alphanumeric() || c.is_ascii_graphic() && *c != '$' || *c == ' ';
    text.chars().filter(is_plain).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(units: &str) -> Scan {
        let text = format!(
            "{{\"scan\": 1, \"places\": [{{\"bus\": {{\"modbus_tcp\": \"192.0.2.1:502\"}}, \"units\": [{units}]}}]}}"
        );
        serde_json::from_str(&text).unwrap()
    }

    fn unit(number: u8) -> String {
        format!(
            "{{\"unit\": {number}, \"vendor\": \"AC\\u0085ME\", \"product\": null, \"revision\": \"${{1}}\", \
             \"profiles\": [], \"spans\": []}}"
        )
    }

    #[test]
    fn a_unit_has_to_be_named_where_there_are_several() {
        let (one, two) = (scan(&unit(3)), scan(&[unit(3), unit(7)].join(",")));
        let number = |found: Result<(&str, &Unit), String>| found.map(|(_, unit)| unit.unit);
        assert_eq!(number(chosen(&one, None, None)), Ok(3));
        assert_eq!(number(chosen(&two, Some(7), Some("192.0.2.1:502"))), Ok(7));
        let told = |found| number(found).unwrap_err();
        assert_eq!(
            told(chosen(&two, None, None)),
            "which one? --unit and --at choose among unit 3 at 192.0.2.1:502, unit 7 at 192.0.2.1:502"
        );
        assert_eq!(
            told(chosen(&one, Some(4), None)),
            "there is no such unit; found: unit 3 at 192.0.2.1:502"
        );
        assert_eq!(told(chosen(&scan(""), None, None)), "the scan found nobody");
    }

    #[test]
    fn what_a_device_calls_itself_cannot_break_the_file() {
        let scan = scan(&unit(3));
        let text = text("192.0.2.1:502", &scan.places[0].units[0]);
        assert!(
            text.starts_with(
                "# PROFILE, drafted from what a scan read of unit 3 at 192.0.2.1:502, ACME {1}.\n"
            )
        );
        assert!(text.contains("description: \"ACME {1}\""), "{text}");
    }

    #[test]
    fn no_more_capabilities_than_anybody_names() {
        let mut body = Body::default();
        let span = Span { table: Table::Coil, first: 65_000, count: 500, registers: Vec::new() };
        body.span(&span, Words::Abcd);
        assert_eq!((body.count, body.left, body.tests.lines().count()), (MOST, 100, MOST));
    }
}
