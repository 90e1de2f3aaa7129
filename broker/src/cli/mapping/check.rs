//! `usp-broker mapping check`: what is wrong with mapping and site files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use usp_mapping::check::{check_file, file_kind};
use usp_mapping::diagnostic::{self, Code, Diagnostic, Mended, Nature, Severity, SourceFile, Span, mend_all};

use super::files::yaml_files;
use super::model::Folders;
use super::show_diagnostics;
use crate::cli::{Failure, print_line, without_numbers};
use crate::site::Finder;

/// Check mapping and site files: every problem at once, with line, column, code and what to do
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct Check {
    /// Mapping or site files, folders of them, or profiles of the library
    #[arg(value_name = "FILE|DIR|PROFILE", required = true)]
    what: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Change the files where there can be no doubt how; then show what is left
    #[arg(long)]
    fix: bool,
    /// One JSON object a file on standard output
    #[arg(long)]
    json: bool,
}

/// Shown after the options in the long help.
const HELP: &str = r#"Exit codes: 0 the files can be used (there may be warnings), 2 they cannot.

With --json, one object a file; "fix" is null or says which text to write where (columns count characters, from 1):
  {"file":"x.yaml","ok":false,"fixed":0,"diagnostics":[
    {"code":"M021","severity":"error","message":"`KWh` is no Unit","file":"x.yaml","line":6,"column":50,
     "help":"did you mean `kWh`?","fix":{"line":6,"column":50,"end_line":6,"end_column":53,"text":"kWh"}}]}

mappings/README.md lists the codes. `usp-broker mapping schema` lets an editor see much of it while one types."#;

/// One file and what is wrong with it.
struct Checked {
    file: SourceFile,
    found: Vec<Diagnostic>,
    fixed: usize,
}

pub(super) fn run(args: &Check) -> Result<(), Failure> {
    let opened: Vec<_> = args.what.iter().map(|what| (what, open(what, &args.folders))).collect();
    // Files that are named together may extend each other.
    let named: Vec<SourceFile> = opened
        .iter()
        .filter_map(|(_, found)| found.as_ref().ok())
        .flatten()
        .map(|(file, _)| file.clone())
        .collect();
    let finder = args.folders.finder_with(Path::new(""), &named)?;
    let mut checked = Vec::new();
    for (what, found) in opened {
        let all = match found {
            Ok(files) => {
                files.into_iter().map(|(file, path)| check(file, path.as_deref(), args, &finder)).collect()
            }
            Err(why) => vec![Ok(unusable(what, &why))],
        };
        for one in all {
            checked.push(one?);
        }
    }
    tell_once(&mut checked);
    for one in &checked {
        if args.json { show_json(one)? } else { show(one)? }
    }
    let count =
        |severity| checked.iter().flat_map(|one| &one.found).filter(|d| d.is_error() == severity).count();
    let (errors, warnings) = (counted(count(true), "error"), counted(count(false), "warning"));
    let wrong = checked.iter().filter(|one| diagnostic::has_errors(&one.found)).count();
    match (wrong, checked.len()) {
        (0, 2..) if !args.json => print_line(format_args!("{} files: ok, {warnings}", checked.len())),
        (0, _) => Ok(()),
        (_, all) => {
            let fixes = checked.iter().flat_map(|one| &one.found).filter(|found| found.fix.is_some()).count();
            let hint = if fixes == 0 { String::new() } else { format!("; --fix can mend {fixes} of them") };
            let files = if all == 1 { "the file".to_owned() } else { format!("{wrong} of {all} files") };
            Err(Failure::invalid(format!("{files} cannot be used: {errors}, {warnings}{hint}")))
        }
    }
}

/// What a site or another mapping says of a file that was named itself is told of that file alone.
fn tell_once(checked: &mut [Checked]) {
    let same = |one: &SourceFile, other: &SourceFile| {
        let path = |file: &SourceFile| fs::canonicalize(file.name()).ok();
        one == other || one.text() == other.text() && path(one).is_some_and(|one| path(other) == Some(one))
    };
    let own = |one: &Checked| {
        let own = one.found.iter().filter(|found| same(&found.file, &one.file));
        (one.file.clone(), own.map(|found| (found.code, found.span.start, found.message.clone())).collect())
    };
    let told: Vec<(SourceFile, Vec<_>)> = checked.iter().map(own).collect();
    for one in checked {
        let Checked { file, found, .. } = one;
        found.retain(|found| {
            let known = (found.code, found.span.start, found.message.clone());
            let of = told.iter().find(|(other, _)| same(&found.file, other) && !same(other, file));
            !of.is_some_and(|(_, own)| own.contains(&known))
        });
    }
}

/// The files that are meant, with their paths where they can be changed.
fn open(what: &str, folders: &Folders) -> Result<Vec<(SourceFile, Option<PathBuf>)>, Failure> {
    let path = Path::new(what);
    if !path.is_dir() {
        let file = folders.open(what)?;
        return Ok(vec![(file, path.is_file().then(|| path.to_owned()))]);
    }
    let mut found = Vec::new();
    for path in yaml_files(path)? {
        let file = folders.open(&path.display().to_string())?;
        // Other programs have YAML files too.
        match file_kind(&file) {
            Err(problem) if problem.code == Code::NeitherKind => {
                print_line(format_args!("{}: neither a mapping nor a site, left out", path.display()))?;
            }
            _ => found.push((file, Some(path))),
        }
    }
    match found.len() {
        0 => Err(Failure::invalid(format!("{what}: there is no mapping or site file in it"))),
        _ => Ok(found),
    }
}

/// A file that could not be opened is a problem like others.
fn unusable(what: &str, why: &Failure) -> Checked {
    let file = SourceFile::new(what, "");
    let told = without_numbers(&why.to_string());
    let told = told.strip_prefix(&format!("{what}: ")).unwrap_or(&told);
    // What a file in another encoding needs is a part of what is said of it.
    let mark = if told.starts_with("there is") { ": " } else { "; " };
    let (message, help) = match told.split_once(mark) {
        Some((message, help)) => (message.to_owned(), help.to_owned()),
        None => (told.to_owned(), "paths are relative to the folder where the command is run".to_owned()),
    };
    let mut span = Span { line: 1, column: 1, ..Span::default() };
    let mut numbers = message.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    let code = if message.starts_with("line ") { Code::Syntax } else { Code::MappingFile };
    if let (Code::Syntax, Some(line), Some(column)) = (code, numbers.next(), numbers.next()) {
        span = Span { line, column, ..span };
    }
    let found = vec![Diagnostic {
        code,
        severity: Severity::Error,
        nature: Nature::Own,
        message,
        file: file.clone(),
        span,
        help: Some(help),
        fix: None,
    }];
    Checked { file, found, fixed: 0 }
}

fn check(file: SourceFile, path: Option<&Path>, args: &Check, finder: &Finder) -> Result<Checked, Failure> {
    let finder = finder.at(path.unwrap_or(Path::new("")));
    let problems = |file: &SourceFile| check_file(file, &|wanted| finder.find(wanted));
    let Some(path) = path.filter(|_| args.fix) else {
        let found = problems(&file);
        return Ok(Checked { file, found, fixed: 0 });
    };
    let Mended { file, found, count } = mend_all(file, problems);
    if count > 0 {
        let failed = |error| Failure::failed(format!("{}: {error}", path.display()));
        fs::write(path, file.text()).map_err(failed)?;
    }
    Ok(Checked { file, found, fixed: count })
}

fn show(one: &Checked) -> Result<(), Failure> {
    let Checked { file, found, fixed } = one;
    if file.text().is_empty()
        && found.iter().all(|found| matches!(found.code, Code::Syntax | Code::MappingFile))
    {
        for problem in found {
            // There are no lines to show.
            let Diagnostic { severity, code, message, help, .. } = problem;
            eprint_line(format_args!(
                "{severity}[{code}]: {}: {message}\n  = help: {}\n",
                file.name(),
                help.as_deref().unwrap_or_default()
            ));
        }
        if !found.is_empty() {
            return Ok(());
        }
    }
    show_diagnostics(found);
    if *fixed > 0 {
        print_line(format_args!("{}: {} mended", file.name(), counted(*fixed, "mistake")))?;
    }
    match found.len() {
        0 => print_line(format_args!("{}: ok", file.name())),
        _ if diagnostic::has_errors(found) => Ok(()),
        warnings => print_line(format_args!("{}: ok, {}", file.name(), counted(warnings, "warning"))),
    }
}

fn eprint_line(line: impl std::fmt::Display) {
    // Nobody is left to tell when standard error itself is closed.
    writeln!(io::stderr().lock(), "{line}").ok();
}

fn show_json(one: &Checked) -> Result<(), Failure> {
    let fields: Vec<_> = one.found.iter().map(Diagnostic::fields).collect();
    print_line(json!({
        "file": one.file.name(),
        "ok": !diagnostic::has_errors(&one.found),
        "fixed": one.fixed,
        "diagnostics": fields,
    }))
}

fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_mapping_is_told_once() {
        let mapping = "uspmap: 1\nprofile: acme.a\nversion: 1.0.0\ndevice: {type: Sensr}\n\
            capabilities:\n  a: {class: LevelSensor, type: Power, unit: W, read: {input: 0}}\n";
        let site = "site: 1\nbuses: {plant: {modbus_tcp: \"127.0.0.1:502\"}}\n\
            devices: {one: {file: a.yaml, bus: plant, unit: 1}}\n";
        let files = [SourceFile::new("a.yaml", mapping), SourceFile::new("site.yaml", site)];
        let resolve = |_: &_| Ok(files[0].clone());
        let checked =
            |file: &SourceFile| Checked { file: file.clone(), found: check_file(file, &resolve), fixed: 0 };
        let codes = |one: &Checked| one.found.iter().map(|found| found.code).collect::<Vec<_>>();
        let mut both: Vec<Checked> = files.iter().map(checked).collect();
        assert_eq!(codes(&both[1]), [Code::MappingFile, Code::Type], "a site alone tells it");
        tell_once(&mut both);
        assert_eq!(both.iter().map(codes).collect::<Vec<_>>(), [vec![Code::Type], vec![Code::MappingFile]]);
    }
}
