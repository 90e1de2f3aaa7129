//! What the checker says about files that are wrong: `diagnostics/<name>.yaml` and, line for line, `<name>.txt`.
//!
//! `UPDATE_EXPECT=1 cargo test -p usp-mapping --test diagnostics` writes the expectations anew; read the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use usp_mapping::check::check_file;
use usp_mapping::diagnostic::{Code, Diagnostic, SourceFile, mend, render};
use usp_mapping::draft::site::Use;
use usp_mapping::library::Catalog;
use usp_mapping::site::NotFound;

/// What is inside the program takes its time to read.
static BUILTIN: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn resolve(wanted: &Use) -> Result<SourceFile, NotFound> {
    match wanted {
        Use::File(path) => fs::read_to_string(folder().join(path))
            .map(|text| SourceFile::new(path, &text))
            .map_err(|_| NotFound::Unreadable("no such file".to_owned())),
        Use::Profile { .. } => BUILTIN.find(wanted),
    }
}

fn check(name: &str) -> Vec<Diagnostic> {
    let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("a file");
    check_file(&SourceFile::new(&format!("{name}.yaml"), &text), &resolve)
}

#[test]
fn every_file_gives_what_is_expected() {
    let mut wrong = Vec::new();
    for name in names() {
        let given: String = check(&name).iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
        let path = folder().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &given).expect("the expectation is written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if given != expected {
            wrong.push(format!("--- {name}: expected\n{expected}--- given\n{given}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_code_is_shown_by_some_file() {
    let shown: BTreeSet<Code> =
        names().iter().flat_map(|name| check(name)).map(|diagnostic| diagnostic.code).collect();
    let missing: Vec<String> =
        Code::ALL.iter().filter(|code| !shown.contains(code)).map(|code| code.name()).collect();
    assert!(missing.is_empty(), "no file shows {}", missing.join(", "));
}

#[test]
fn every_place_is_within_its_file() {
    for name in names() {
        for diagnostic in check(&name) {
            let text = diagnostic.file.text();
            let span = diagnostic.span;
            assert!(text.get(span.start..span.end).is_some(), "{diagnostic}");
            let line = text.lines().nth(span.line - 1).unwrap_or_default();
            assert!(span.column <= line.chars().count() + 1, "{diagnostic}");
            assert!(!render(&[diagnostic], true).is_empty());
        }
    }
}

#[test]
fn the_rendering_shows_the_line() {
    let text = render(&check("polls"), false);
    assert!(text.contains("error[M060]: there is no poll group `fats`"), "{text}");
    assert!(text.contains("polls.yaml:7:76"), "{text}");
    assert!(text.contains("^^^^"), "{text}");
    assert!(text.contains("help: did you mean `fast`?"), "{text}");
}

/// Whether a file can be read at all; what hides behind that comes to light when it is mended.
fn is_hidden(found: &[Diagnostic]) -> bool {
    found.iter().any(|problem| matches!(problem.code, Code::Syntax | Code::TooLarge))
        || found.len() == 1 && found[0].code == Code::YamlTrap
}

/// A test that could not be run may fail once it is: what it shows was wrong before.
fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|problem| problem.is_error() && problem.code != Code::TestFailed).count()
}

#[test]
fn a_fix_never_leaves_more_errors_than_before() {
    for name in names() {
        let file = format!("{name}.yaml");
        let mut source = SourceFile::new(&file, &fs::read_to_string(folder().join(&file)).expect("a file"));
        let mut found = check_file(&source, &resolve);
        for _ in 0..16 {
            let (text, count) = mend(&source, &found);
            if count == 0 {
                break;
            }
            source = SourceFile::new(&file, &text);
            let after = check_file(&source, &resolve);
            let more = errors(&after) > errors(&found) && !is_hidden(&found);
            assert!(!more, "{name}\n{text}\n{}\n{}", render(&found, false), render(&after, false));
            found = after;
        }
    }
}
