//! The models that a scan knows: those of the mappings with a fingerprint, and by what a device says of itself.

use std::path::{Path, PathBuf};

use usp_adapters::scan::{Question, Scanner};
use usp_mapping::compile::compile_file;
use usp_mapping::draft::site::{Requirement, Use};
use usp_mapping::mapping::{Fingerprint, ModbusTable};

use crate::cli::Failure;
use crate::site::Finder;

/// Profiles and what devices of theirs show.
pub(super) struct Models {
    profiles: Vec<String>,
    prints: Vec<(String, Vec<Fingerprint>)>,
}

impl Models {
    pub(super) fn new(folders: &[PathBuf]) -> Result<Self, Failure> {
        let finder = Finder::new(folders, Path::new("")).map_err(Failure::invalid)?;
        let mut profiles: Vec<String> =
            finder.catalog().profiles().map(|(profile, _)| profile.to_owned()).collect();
        profiles.sort();
        profiles.dedup();
        let print = |profile: &String| {
            let wanted = Use::Profile { name: profile.clone(), requirement: Requirement::Any };
            let (mapping, _) = compile_file(&finder.find(&wanted).ok()?);
            let prints = mapping?.fingerprint;
            (!prints.is_empty()).then(|| (profile.clone(), prints))
        };
        let prints = profiles.iter().filter_map(print).collect();
        Ok(Self { profiles, prints })
    }

    /// The profile that is named as the device names itself.
    pub(super) fn named(&self, identity: &[(u8, String)]) -> Option<String> {
        let text =
            |number: u8| identity.iter().find(|(known, _)| *known == number).map(|(_, text)| slug(text));
        let profile = format!("{}.{}", text(0)?, text(1)?);
        self.profiles.contains(&profile).then_some(profile)
    }

    /// The profiles whose fingerprints all fit.
    pub(super) async fn fitting(
        &self,
        scanner: &mut Scanner,
        unit: u8,
        within: std::time::Duration,
    ) -> Vec<String> {
        let mut fitting = Vec::new();
        for (profile, prints) in &self.prints {
            let mut fits = true;
            for print in prints {
                fits = fits && shows(scanner, unit, print, within).await;
            }
            if fits {
                fitting.push(profile.clone());
            }
        }
        fitting
    }
}

async fn shows(scanner: &mut Scanner, unit: u8, print: &Fingerprint, within: std::time::Duration) -> bool {
    let Some(point) = print.point.modbus() else { return false };
    if matches!(point.table, ModbusTable::Coil | ModbusTable::Discrete) {
        // One bit tells no model from another.
        return false;
    }
    let question = Question::Read { table: point.table, address: point.address, count: point.count };
    let reply = scanner.ask(unit, question, within).await;
    let raw = reply
        .ok()
        .and_then(|reply| reply.registers())
        .and_then(|registers| point.decode_registers(&registers));
    raw.is_some_and(|raw| print.equals.contains(&raw))
}

/// As words of profiles are spelled.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}
