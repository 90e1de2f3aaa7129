//! `usp-broker mapping new`: a draft to begin with, commented, and right from the start.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, has_errors};

use self::classes::CLASSES;
use super::{put, show_diagnostics};
use crate::cli::{Failure, print_line};

mod classes;
mod guess;
mod scanned;

/// A name that a mapping may have.
const USUAL: &str = "acme.device";

/// Begin a mapping: a commented draft that passes `mapping check` and `mapping test`, to be edited
#[derive(Debug, Args)]
#[command(after_help = "  usp-broker mapping new acme.meter-3 --template meter -o meter-3.yaml")]
pub(in crate::cli) struct New {
    /// Name of the mapping: vendor.model
    #[arg(value_name = "PROFILE", default_value = USUAL)]
    profile: String,
    /// What kind of device it is
    #[arg(long, value_enum, default_value = "meter")]
    template: Template,
    /// An example of this class rather than a kind of device; again for more
    #[arg(long = "class", value_name = "CLASS", conflicts_with = "template")]
    classes: Vec<String>,
    /// A draft of what `scan modbus --registers … --save FILE` read of a unit
    #[arg(long, value_name = "FILE", conflicts_with_all = ["template", "classes"])]
    from_scan: Option<PathBuf>,
    /// Which unit, where the scan found several
    #[arg(long, value_name = "NUMBER", requires = "from_scan")]
    unit: Option<u8>,
    /// Address or port at which that unit was found
    #[arg(long, value_name = "ADDRESS", requires = "from_scan")]
    at: Option<String>,
    /// The file; standard output without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

/// What kinds of devices there are drafts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Energy meter
    Meter,
    /// Relays and digital inputs
    Relay,
    /// Room thermostat
    Thermostat,
    /// Sensor of temperature, humidity and air
    Sensor,
    /// Charging station
    Wallbox,
    /// Plug with a meter on MQTT
    Plug,
    /// Light with a level on CoAP
    CoapLight,
    /// Projector on a serial line
    Projector,
    /// Bluetooth thermometer that advertises
    BleThermometer,
    /// Bluetooth lamp with characteristics
    BleLamp,
    /// Plug with a meter on a Zigbee coordinator
    ZigbeePlug,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Meter => include_str!("new/meter.yaml"),
            Self::Relay => include_str!("new/relay.yaml"),
            Self::Thermostat => include_str!("new/thermostat.yaml"),
            Self::Sensor => include_str!("new/sensor.yaml"),
            Self::Wallbox => include_str!("new/wallbox.yaml"),
            Self::Plug => include_str!("new/plug.yaml"),
            Self::CoapLight => include_str!("new/coap-light.yaml"),
            Self::Projector => include_str!("new/projector.yaml"),
            Self::BleThermometer => include_str!("new/ble-thermometer.yaml"),
            Self::BleLamp => include_str!("new/ble-lamp.yaml"),
            Self::ZigbeePlug => include_str!("new/zigbee-plug.yaml"),
        }
    }
}

pub(super) fn run(args: &New) -> Result<(), Failure> {
    let text = draft(args)?;
    let Some(path) = &args.output else { return print_line(text.trim_end()) };
    put(path, &text, args.force)?;
    let path = path.display();
    print_line(format_args!("{path}: written; edit it, then: usp-broker mapping check {path}"))
}

fn draft(args: &New) -> Result<String, Failure> {
    let text = match &args.from_scan {
        Some(path) => scanned::draft(path, args.unit, args.at.as_deref())?,
        None if args.classes.is_empty() => args.template.text().to_owned(),
        None => of_classes(&args.classes)?,
    };
    let named = |profile: &str| text.replace("PROFILE", profile).replace("VENDOR", &vendor(profile));
    let problems = |text: &str| compile_file(&SourceFile::new("draft", text)).1;
    let (profile, draft) = (&args.profile, named(&args.profile));
    let found = problems(&draft);
    if !has_errors(&found) {
        return Ok(draft);
    }
    if has_errors(&problems(&named(USUAL))) {
        show_diagnostics(&found);
        return Err(Failure::failed("no draft can be made of that"));
    }
    // The name is at fault. The draft is no file of theirs whose lines would tell them anything.
    Err(Failure::invalid(format!(
        "`{profile}` cannot be the name of a mapping: write vendor.model in small letters, such as {}",
        proposed(profile)
    )))
}

/// A name for a mapping made of what was written.
fn proposed(profile: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let name: String = profile.chars().map(letter).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { "acme" };
    if name.contains('.') { name.to_owned() } else { format!("{name}.model") }
}

fn of_classes(names: &[String]) -> Result<String, Failure> {
    let (mut capabilities, mut tests) = (String::new(), String::new());
    for name in names {
        let Some((_, capability, test)) = CLASSES.iter().find(|(class, ..)| class.eq_ignore_ascii_case(name))
        else {
            let known = CLASSES.map(|(class, ..)| class).join(", ");
            return Err(Failure::invalid(format!("there is no class `{name}`; classes: {known}")));
        };
        if !capabilities.contains(capability) {
            capabilities += capability;
            tests += test;
        }
    }
    Ok(format!(
        "# PROFILE. Source: <name and version of the vendor's register table>.\n# Addresses count from 0, as in the \
         protocol; 40013 in a manual is `holding: 12`.\nuspmap: 1\nprofile: PROFILE\nversion: 0.1.0\ndevice: {{type: \
         Sensor, description: \"\"}}\nmodbus: {{timeout: 1s}}\npoll: {{fast: 5s}}\n\ncapabilities:\n{capabilities}\n\
         tests:\n{tests}"
    ))
}

/// The part of vendor words that names the vendor.
fn vendor(profile: &str) -> String {
    let first = profile.split('.').next().unwrap_or_default();
    let letters = first.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    if name.is_empty() { "ACME".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use usp_mapping::site::NotFound;

    use super::*;
    use crate::cli::mapping::test::run::{Outcome, run_file};

    #[test]
    fn a_name_is_proposed_for_one_that_is_none() {
        for (given, name) in [
            ("Epever", "epever.model"),
            ("Acme.Meter 3", "acme.meter-3"),
            ("3x", "acme.model"),
            ("", "acme.model"),
        ] {
            assert_eq!(proposed(given), name);
        }
    }

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        new: New,
    }

    fn args(words: &[&str]) -> New {
        Cli::try_parse_from([&["new"], words].concat()).unwrap().new
    }

    #[test]
    fn a_name_that_cannot_be_is_told_once() {
        let told = draft(&args(&["Acme Meter"])).unwrap_err().to_string();
        assert_eq!(
            told,
            "`Acme Meter` cannot be the name of a mapping: write vendor.model in small letters, such as acme-meter.model"
        );
    }

    /// Nothing to complain about, and everything tested.
    fn is_right(text: &str) {
        let file = SourceFile::new("draft.yaml", text);
        let (_, found) = compile_file(&file);
        assert!(found.is_empty(), "{}", usp_mapping::diagnostic::render(&found, false));
        let Outcome::Ran(ran) = run_file(&file, &|_| Err(NotFound::Profile { known: Vec::new() })) else {
            panic!("{text}")
        };
        assert!(ran.passed() > 0 && ran.failed() == 0);
        assert!(ran.untested.is_empty(), "{:?}", ran.untested);
    }

    #[test]
    fn every_template_is_right_and_tested_whole() {
        for template in Template::value_variants() {
            let name = template.to_possible_value().unwrap().get_name().to_owned();
            let text = draft(&args(&["acme-2.some-model", "--template", &name])).unwrap();
            assert!(text.contains("\nprofile: acme-2.some-model\n") && !text.contains("VENDOR"), "{text}");
            is_right(&text);
        }
    }

    #[test]
    fn every_class_is_right_and_all_together() {
        for (class, ..) in CLASSES {
            is_right(&draft(&args(&["--class", class])).unwrap());
        }
        is_right(&draft(&args(&["--class", "LevelControl", "--class", "BinarySensor"])).unwrap());
        let failure = draft(&args(&["--class", "Lamp"])).unwrap_err().to_string();
        assert!(failure.starts_with("there is no class `Lamp`; classes: BinaryControl, "), "{failure}");
    }

    #[test]
    fn what_a_scan_read_is_a_draft_that_is_right() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("scan.json");
        let mut holding: Vec<u16> = vec![0x4143, 0x4d45, 0x2d33, 0, 0, 0x4366, 0x3333, 2305, 0xffff];
        holding.extend(1000..1500);
        let scan = serde_json::json!({"scan": 1, "complete": true, "site": "", "places": [{
            "bus": {"modbus_tcp": "192.0.2.1:502"}, "any_unit": false, "noise": false,
            "units": [{"unit": 3, "vendor": "ACME \"X\"", "product": null, "revision": null,
                "profiles": ["acme.x"], "spans": [
                    {"table": "holding", "first": 100, "count": holding.len(), "registers": holding},
                    {"table": "coil", "first": 0, "count": 3, "registers": []},
                    {"table": "input", "first": 65535, "count": 1, "registers": [0]}]}]}]});
        std::fs::write(&path, scan.to_string()).unwrap();
        let file = path.display().to_string();
        let text = draft(&args(&["acme.found", "--from-scan", &file])).unwrap();
        is_right(&text);
        for line in [
            "  holding-100: {class: BlobSensor, type: ascii, read: {holding: 100, as: string, registers: 3}}  # `ACME-3`",
            "  # holding 103 to 104: 0",
            "  holding-105: {class: LevelSensor, type: Meter, unit: \"-\", read: {holding: 105, as: f32}}  # 230.2; or u16 17254 and 13107, or u32 1130771251",
            "  - {holding: {107: [0x0901]}, expect: {holding-107: 2305}}",
            "  # 107 further values are left out: scan fewer --registers at a time",
            "# The mapping `acme.x` fits this unit: `use: acme.x` in a site may be all it needs.",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        std::fs::write(&path, "{\"scan\": 2, \"places\": []}").unwrap();
        let refused = draft(&args(&["acme.found", "--from-scan", &file])).unwrap_err().to_string();
        assert!(
            refused.ends_with("this is not what `scan modbus --save` writes: version 2 is not known"),
            "{refused}"
        );
    }

    #[test]
    fn addresses_that_look_like_a_manuals_are_those_of_the_protocol() {
        let span = |table: &str, first: u32, registers: &[u16]| {
            let count = if registers.is_empty() { 2 } else { registers.len() };
            serde_json::json!({"table": table, "first": first, "count": count, "registers": registers})
        };
        let spans = [
            span("holding", 40_000, &[0x5375, 0x6e53, 1, 66]),
            span("input", 30_000, &[7, 8]),
            span("coil", 10_000, &[]),
            span("discrete", 10_000, &[]),
        ];
        let unit = serde_json::json!({"unit": 1, "vendor": null, "product": null, "revision": null, "profiles": [], "spans": spans});
        let scan = serde_json::json!({"scan": 1, "places": [{"bus": {"modbus_rtu": "/dev/ttyUSB0"}, "units": [unit]}]});
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("scan.json");
        std::fs::write(&path, scan.to_string()).unwrap();
        let text = draft(&args(&["acme.found", "--from-scan", &path.display().to_string()])).unwrap();
        is_right(&text);
        assert!(
            text.contains(
                "  holding-40003: {class: LevelSensor, type: Meter, unit: \"-\", read: {holding: 0x9c43}}"
            ),
            "{text}"
        );
        assert!(text.contains("  - {holding: {0x9c43: [0x0042]}, expect: {holding-40003: 66}}"), "{text}");
    }

    #[test]
    fn nothing_but_zeros_is_a_draft_too() {
        let unit = serde_json::json!({"unit": 1, "vendor": null, "product": null, "revision": null, "profiles": [],
            "spans": [{"table": "input", "first": 7, "count": 2, "registers": [0, 0]}]});
        let scan = serde_json::json!({"scan": 1, "places": [{"bus": {"modbus_rtu": "/dev/ttyUSB0"}, "units": [unit]}]});
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("scan.json");
        std::fs::write(&path, scan.to_string()).unwrap();
        is_right(&draft(&args(&["acme.found", "--from-scan", &path.display().to_string()])).unwrap());
    }

    #[test]
    fn nothing_is_written_over_and_no_nonsense_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.yaml");
        let file = path.display().to_string();
        run(&args(&["acme.x", "-o", &file])).unwrap();
        let refused = run(&args(&["acme.y", "-o", &file])).unwrap_err().to_string();
        assert!(refused.ends_with("is there already; --force writes over it"), "{refused}");
        assert!(std::fs::read_to_string(&path).unwrap().contains("acme.x"));
        run(&args(&["acme.y", "--template", "relay", "-o", &file, "--force"])).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("profile: acme.y\n"));
        assert!(draft(&args(&["Not a name"])).is_err());
    }
}
