//! `usp-broker mapping diff`: what a change of a mapping does to whoever uses it.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use usp_adapters::explain::Way;
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::site::Version;
use usp_mapping::mapping::Device;

use self::changes::{Change, changes};
use self::frames::{GroupDiff, groups};
use self::version::{Bump, Verdict, verdict};
use super::explain::{Line, Told, of_mapping, tell};
use super::model::Folders;
use crate::cli::table::Screen;
use crate::cli::{Failure, print_line};

mod changes;
mod frames;
mod happenings;
#[cfg(test)]
mod tests;
mod text;
mod version;
mod windows;

/// Show what a change of a mapping does: paths, Instance Numbers, frames, times, and whether its version fits
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct Diff {
    /// Mapping file or profile as it was
    old: String,
    /// Mapping file or profile as it is to be
    new: String,
    #[command(flatten)]
    folders: Folders,
    #[command(flatten)]
    line: Line,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Shown after the options in the long help.
const HELP: &str = r#"Exit codes: 0 the new version number fits the change, 1 it does not, 2 a file cannot be used.
A change that takes something away from Controllers is major, one that gives them something is minor, any other a patch;
below 1.0.0 the numbers are one place further right.

With --json, one object:
  {"old":{"file":"…","profile":"…","version":"1.0.0"},"new":{…},
   "changes":[{"what":"capability","key":"voltage","change":"changed","needs":"major","instance":"kept",
      "fields":[{"field":"unit","old":"V","new":"kV"}]},
      {"what":"capability","key":"power","change":"renamed","to":"power-total","needs":"major","instance":"new"}],
   "groups":[{"group":"fast","old":{"every_ms":1000,"requests":2,"time_ms":58.1},"new":{…},
      "removed":["01 04 …"],"added":["01 04 …"]}],
   "load":{"old":0.05,"new":0.06},"version":{"needs":"major","has":"minor","fits":false,"least":"2.0.0"}}
`change` is added, removed, renamed or changed, `instance` kept, new or gone."#;

/// Everything that a change does. Its JSON form is a contract; `--help` shows it.
#[derive(Debug, Serialize)]
struct Report {
    old: Side,
    new: Side,
    changes: Vec<Change>,
    groups: Vec<GroupDiff>,
    load: Pair<f64>,
    version: Verdict,
}

#[derive(Debug, Serialize)]
struct Side {
    file: String,
    profile: String,
    version: String,
}

/// Before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Pair<T> {
    old: T,
    new: T,
}

pub(super) fn run(args: &Diff) -> Result<(), Failure> {
    let report = compare(args)?;
    if args.json {
        print_line(serde_json::to_string(&report).map_err(Failure::failed)?)?;
    } else {
        print_line(text::text(&report, Screen::stdout()).trim_end())?;
    }
    let Verdict { fits, needs, least, .. } = &report.version;
    if *fits {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the version {} does not fit: the change is {needs}, so it must be at least {least}",
        report.new.version
    )))
}

fn compare(args: &Diff) -> Result<Report, Failure> {
    let (old_file, new_file) = (args.folders.open(&args.old)?, args.folders.open(&args.new)?);
    let (old, new) = (device(&old_file, args)?, device(&new_file, args)?);
    let changes = changes(&old.0.mapping, &new.0.mapping);
    let needs = changes.iter().map(|change| change.needs).max().unwrap_or(Bump::None);
    let needs = if old.0.mapping == new.0.mapping { needs } else { needs.max(Bump::Patch) };
    let version = |device: &Device| Version::parse(&device.mapping.version).unwrap_or(Version(0, 0, 0));
    Ok(Report {
        version: verdict(needs, version(&old.0), version(&new.0)),
        old: side(&old_file, &old.0),
        new: side(&new_file, &new.0),
        groups: groups(&old.1, &new.1),
        load: Pair { old: old.1.load, new: new.1.load },
        changes,
    })
}

/// A device of the mapping with the defaults of its parameters, and all about it.
fn device(file: &SourceFile, args: &Diff) -> Result<(Device, Told), Failure> {
    let site = of_mapping(file, &args.folders, &args.line, 1, &[])?;
    let (device, bus) = (site.devices.into_iter().next(), site.buses.into_iter().next());
    let Some((device, bus)) = device.zip(bus) else {
        return Err(Failure::invalid(format!("{} cannot be used", file.name())));
    };
    let told = tell(&device, 1, &Way { bus: bus.kind, delay: Duration::from_millis(10) }, &[]);
    Ok((device, told))
}

fn side(file: &SourceFile, device: &Device) -> Side {
    Side {
        file: file.name().to_owned(),
        profile: device.mapping.profile.clone(),
        version: device.mapping.version.clone(),
    }
}
