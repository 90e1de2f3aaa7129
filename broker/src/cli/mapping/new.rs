//! `usp-broker mapping new`: a draft to begin with, commented, and right from the start.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, has_errors};

use self::classes::CLASSES;
use super::show_diagnostics;
use crate::cli::{Failure, print_line};

mod classes;

/// Begin a mapping: a commented draft that passes `mapping check` and `mapping test`, to be edited
#[derive(Debug, Args)]
#[command(after_help = "  usp-broker mapping new acme.meter-3 --template meter -o meter-3.yaml")]
pub(in crate::cli) struct New {
    /// Name of the mapping: vendor.model
    #[arg(value_name = "PROFILE", default_value = "acme.device")]
    profile: String,
    /// What kind of device it is
    #[arg(long, value_enum, default_value = "meter")]
    template: Template,
    /// An example of this class rather than a kind of device; again for more
    #[arg(long = "class", value_name = "CLASS", conflicts_with = "template")]
    classes: Vec<String>,
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
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Meter => include_str!("new/meter.yaml"),
            Self::Relay => include_str!("new/relay.yaml"),
            Self::Thermostat => include_str!("new/thermostat.yaml"),
            Self::Sensor => include_str!("new/sensor.yaml"),
            Self::Wallbox => include_str!("new/wallbox.yaml"),
        }
    }
}

pub(super) fn run(args: &New) -> Result<(), Failure> {
    let text = draft(args)?;
    let Some(path) = &args.output else { return print_line(text.trim_end()) };
    write(path, &text, args.force)?;
    let path = path.display();
    print_line(format_args!("{path}: written; edit it, then: usp-broker mapping check {path}"))
}

fn draft(args: &New) -> Result<String, Failure> {
    let text =
        if args.classes.is_empty() { args.template.text().to_owned() } else { of_classes(&args.classes)? };
    let text = text.replace("PROFILE", &args.profile).replace("VENDOR", &vendor(&args.profile));
    let (_, found) = compile_file(&SourceFile::new("draft", &text));
    if has_errors(&found) {
        // The name is all that somebody else has chosen.
        show_diagnostics(&found);
        let profile = &args.profile;
        return Err(Failure::invalid(format!(
            "`{profile}` cannot be the name of a mapping: write vendor.model"
        )));
    }
    Ok(text)
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

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let opened = if force {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    } else {
        OpenOptions::new().write(true).create_new(true).open(path)
    };
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::invalid(format!("{path} is there already; --force writes over it"))
            }
            _ => Failure::failed(format!("{path}: {error}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use usp_mapping::site::NotFound;

    use super::*;
    use crate::cli::mapping::test::run::{Outcome, run_file};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        new: New,
    }

    fn args(words: &[&str]) -> New {
        Cli::try_parse_from([&["new"], words].concat()).unwrap().new
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
