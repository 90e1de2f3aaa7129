//! `usp-broker mapping check`: what is wrong with mapping and site files.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use usp_mapping::check::check_file;
use usp_mapping::diagnostic::{self, Diagnostic};

use super::show_diagnostics;
use crate::cli::{Failure, print_line};
use crate::site::{self, Finder};

/// Check mapping and site files: every problem at once, with line, column, code and what to do
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// Mapping or site files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Folders with mapping files that a site file may name, searched before the library inside the program
    #[arg(long = "mappings", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// One JSON object a file on standard output: {"file", "ok", "diagnostics"}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Check) -> Result<(), Failure> {
    let mut wrong = 0;
    for path in &args.files {
        let found = problems(path, &args.folders)?;
        wrong += usize::from(diagnostic::has_errors(&found));
        if args.json { show_json(path, &found)? } else { show(path, &found)? }
    }
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::invalid(format!("{wrong} of {} files cannot be used", args.files.len()))),
    }
}

fn problems(path: &Path, folders: &[PathBuf]) -> Result<Vec<Diagnostic>, Failure> {
    let file = site::read(path).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
    let finder = Finder::new(folders, path).map_err(Failure::invalid)?;
    Ok(check_file(&file, &|wanted| finder.find(wanted)))
}

fn show(path: &Path, found: &[Diagnostic]) -> Result<(), Failure> {
    show_diagnostics(found);
    match found.len() {
        0 => print_line(format_args!("{}: ok", path.display())),
        _ if diagnostic::has_errors(found) => Ok(()),
        warnings => print_line(format_args!("{}: ok, warnings: {warnings}", path.display())),
    }
}

fn show_json(path: &Path, found: &[Diagnostic]) -> Result<(), Failure> {
    let fields: Vec<_> = found.iter().map(Diagnostic::fields).collect();
    print_line(json!({
        "file": path.display().to_string(),
        "ok": !diagnostic::has_errors(found),
        "diagnostics": fields,
    }))
}
