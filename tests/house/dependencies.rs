//! Which crate may use which, and what the core's dependency tree may have.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::root;

/// Crate by crate, what it may use of this workspace: the table in ARCHITECTURE.md.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("usp-proto", &[]),
    ("usp-mapping", &["usp-proto"]),
    ("usp-core", &["usp-mapping", "usp-proto"]),
    ("usp-heap", &[]),
    ("usp-adapters", &["usp-mapping"]),
    ("usp-broker", &["usp-adapters", "usp-core", "usp-heap", "usp-mapping", "usp-proto", "usp-simulators"]),
    ("usp-simulators", &["usp-mapping", "usp-proto"]),
    ("usp-tests", &["usp-adapters", "usp-broker", "usp-core", "usp-mapping", "usp-proto", "usp-simulators"]),
];

/// Everything that `usp-core` is built with, procedural macros and their own needs aside. Nothing of this has a runtime, a
/// clock, a file, a random number or a map with locks.
#[rustfmt::skip]
const CORE: [&str; 31] = [
    // Ours.
    "usp-core", "usp-mapping", "usp-proto",
    // Protobuf.
    "bytes", "prost",
    // Exact decimals, errors.
    "arrayvec", "num-traits", "rust_decimal", "thiserror",
    // Saying what happens; who listens is decided elsewhere.
    "once_cell", "pin-project-lite", "tracing", "tracing-core",
    // Reading mapping files from text that is already there.
    "arraydeque", "base64", "cfg-if", "core_detect", "encoding_rs", "encoding_rs_io", "granit-parser", "nohash-hasher",
    "scopeguard", "serde", "serde-saphyr", "serde_core", "simdutf8", "smallvec", "zmij",
    // Showing what is wrong in them.
    "annotate-snippets", "anstyle", "unicode-width",
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(arguments).arg("--locked").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// By crate: its dependencies within the workspace, those of its tests too.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let own: BTreeSet<String> = packages.iter().map(name).collect();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter().map(name);
        all.filter(|dependency| own.contains(dependency)).collect()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn crates_use_only_what_they_may() {
    let edges = edges();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into();
    assert_eq!(
        edges.keys().collect::<Vec<_>>(),
        allowed.keys().collect::<Vec<_>>(),
        "a crate has come or gone"
    );
    for (package, uses) in &edges {
        let too_much: Vec<_> =
            uses.iter().filter(|used| !allowed[package.as_str()].contains(&used.as_str())).collect();
        assert!(too_much.is_empty(), "{package} must not use {too_much:?}");
    }
}

#[test]
fn simulators_are_an_option_of_the_broker() {
    let tree =
        cargo(&["tree", "-p", "usp-broker", "-e", "normal", "--no-default-features", "--prefix", "none"]);
    assert!(!tree.contains("usp-simulators") && !tree.contains("tokio-modbus"), "{tree}");
}

#[test]
fn the_core_is_pure() {
    let tree = cargo(&[
        "tree",
        "-p",
        "usp-core",
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--target",
        "all",
    ]);
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let allowed = BTreeSet::from(CORE);
    let new: Vec<_> = found.difference(&allowed).collect();
    assert!(new.is_empty(), "look whether these are pure, and list them if they are: {new:?}");
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(gone.is_empty(), "no longer needed: {gone:?}");
}
