//! Every file that is shipped is valid, and README tells of nothing that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use usp_broker::config::Config;
use usp_mapping::library;
use usp_tests::role;

use crate::root;

const ACTOR: &str = env!("CARGO_BIN_EXE_actor");

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_configuration_file_loads() {
    let all = files(&root().join("config"));
    for path in &all {
        match path.extension().and_then(|ext| ext.to_str()) {
            Some("toml") => {
                Config::load(path).unwrap_or_else(|error| panic!("{error}"));
            }
            Some("service") => {
                let unit = fs::read_to_string(path).unwrap();
                let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
                assert!(start.contains("usp-broker run --config "), "{}: {start}", path.display());
            }
            _ => panic!("{}: say here how such a file is checked", path.display()),
        }
    }
    assert!(all.len() >= 6, "{all:?}");
}

/// `#: key = value` shows a default; with all of them taken as they stand, nothing changes.
#[test]
fn the_defaults_shown_are_the_defaults() {
    let dir = root().join("config");
    let text = fs::read_to_string(dir.join("broker.toml")).unwrap();
    let shown = text.lines().filter(|line| line.starts_with("#: ")).count();
    assert!(shown > 20, "{shown}");
    let as_it_is = Config::parse(&text, "broker.toml", &dir).unwrap();
    let spelled_out = Config::parse(&text.replace("\n#: ", "\n"), "broker.toml", &dir).unwrap();
    assert_eq!(format!("{as_it_is:?}"), format!("{spelled_out:?}"));
}

#[test]
fn every_mapping_in_the_library_is_in_the_program() {
    let dir = root().join("mappings/library");
    let there: BTreeSet<String> = files(&dir)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned())
        .collect();
    let inside: BTreeSet<String> = library::builtin().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, inside);
    let check: Vec<String> = there.iter().map(|name| dir.join(name).to_str().unwrap().to_owned()).collect();
    let output = role::broker(ACTOR).args(["mapping", "check"]).args(check).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The words behind `usp-broker` (or `cargo run … --`) in the code blocks of README.
fn commands(text: &str) -> BTreeSet<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).map(|line| line.trim().trim_start_matches("$ "));
    let after = |line: &str| {
        let run = line.starts_with("cargo run").then(|| line.split_once(" -- ")).flatten();
        let rest = run.map(|(_, rest)| rest).or_else(|| line.strip_prefix("usp-broker "))?;
        rest.split_whitespace().next().map(str::to_owned)
    };
    lines.filter_map(after).filter(|word| !word.starts_with('-')).collect()
}

#[test]
fn the_commands_in_readme_exist() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let commands = commands(&text);
    assert!(commands.contains("demo"), "the first thing to try: {commands:?}");
    for command in commands {
        let output = role::broker(ACTOR).args([&command, "--help"]).output().unwrap();
        assert!(output.status.success(), "README tells of `usp-broker {command}`");
    }
}

#[test]
fn commands_are_found_in_code_blocks_alone() {
    let text = "usp-broker no\n```sh\n$ cargo run --release -- demo --dir x\nusp-broker get 'A'\ncargo test\n```\nusp-broker no";
    assert_eq!(commands(text), BTreeSet::from(["demo".to_owned(), "get".to_owned()]));
}
