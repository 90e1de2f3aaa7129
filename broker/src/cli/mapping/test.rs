//! `usp-broker mapping test`: the tests that mapping files bring along, in both directions, and what they leave out.

use std::path::Path;

use clap::Args;
use serde_json::json;
use usp_mapping::check::{FileKind, file_kind};
use usp_mapping::diagnostic::{Diagnostic, SourceFile};

use self::run::{Outcome, Ran, run_file};
use super::files::yaml_files;
use super::model::Folders;
use super::show_diagnostics;
use crate::cli::table::Screen;
use crate::cli::{Failure, in_json, print_line};

mod report;
pub(super) mod run;

/// Run the tests inside mapping files, and say which capabilities have none
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct Test {
    /// Mapping files, folders of them, or profiles of the library
    #[arg(value_name = "FILE|DIR|PROFILE", required = true)]
    what: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Show tests that pass, too
    #[arg(short, long)]
    verbose: bool,
    /// One JSON object a file on standard output
    #[arg(long)]
    json: bool,
}

/// Shown after the options in the long help.
const HELP: &str = r#"Exit codes: 0 all tests pass, 1 a test fails, 2 a file cannot be used.

With --json, one object a file:
  {"file":"x.yaml","profile":"acme.meter","version":"1.0.0","ok":false,"passed":2,"failed":1,
   "tests":[{"line":20,"ok":false,"holds":{"input":{"0":17254,"1":13107}},"expect":{"voltage":"230.2"},
             "invalid":[],"write":{},"sends":{},"refuses":{},
             "failures":[{"line":20,"column":42,"message":"`voltage` reads 230.2, not 231"}]}],
   "untested":{"read":["current"],"write":[],"commands":[],"events":[]}}
A test with `params`, `before`, `fires` or `command` has these too. Of a file that cannot be used, the "diagnostics" of `mapping check`; if
one cannot be read, {"error":"…"}."#;

pub(super) fn run(args: &Test) -> Result<(), Failure> {
    let files = args.what.iter().map(|what| files(what, &args.folders)).collect::<Result<Vec<_>, _>>();
    let files = in_json(args.json, files)?;
    let files: Vec<SourceFile> = files.into_iter().flatten().collect();
    let (mut ran, mut unusable) = (Vec::new(), 0);
    for file in &files {
        let finder = args.folders.finder(Path::new(file.name()))?;
        match run_file(file, &|wanted| finder.find(wanted)) {
            Outcome::Unusable(found) => {
                unusable += 1;
                if args.json {
                    let found: Vec<_> = found.iter().map(Diagnostic::fields).collect();
                    print_line(json!({"file": file.name(), "ok": false, "diagnostics": found}))?;
                } else {
                    show_diagnostics(&found);
                }
            }
            Outcome::Ran(one) if args.json => {
                print_line(serde_json::to_string(&one).map_err(Failure::failed)?)?;
                ran.push(*one);
            }
            Outcome::Ran(one) => ran.push(*one),
        }
    }
    if !args.json && !ran.is_empty() {
        print_line(report::text(&ran, args.verbose, Screen::stdout()).trim_end())?;
    }
    match (unusable, ran.iter().map(Ran::failed).sum::<usize>()) {
        (0, 0) => Ok(()),
        (0, 1) => Err(Failure::failed("a test fails")),
        (0, failed) => Err(Failure::failed(format!("{failed} tests fail"))),
        _ => Err(Failure::invalid(format!("{unusable} of {} files cannot be used", files.len()))),
    }
}

/// The mapping files that are meant.
fn files(what: &str, folders: &Folders) -> Result<Vec<SourceFile>, Failure> {
    let path = Path::new(what);
    if !path.is_dir() {
        return Ok(vec![folders.open(what)?]);
    }
    let mut found = Vec::new();
    for path in yaml_files(path)? {
        let file = folders.open(&path.display().to_string())?;
        // A site beside its mappings is no mapping; what is neither is told as such.
        if !matches!(file_kind(&file), Ok(FileKind::Site)) {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(Failure::invalid(format!("{what}: there is no mapping file in it")));
    }
    Ok(found)
}
