//! Every mapping file of the library compiles without a warning, and its own tests hold and reach all it has.

use std::collections::BTreeSet;
use std::path::Path;

use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::MappingDraft;
use usp_mapping::library::{Catalog, builtin};

/// The things of the demo are not for sale.
const NOT_SOLD: &str = "usp.demo-";

#[test]
fn every_file_compiles_and_its_tests_hold() {
    for (name, text) in builtin() {
        let file = SourceFile::new(name, text);
        let (mapping, diagnostics) = compile_file(&file);
        assert!(diagnostics.is_empty(), "\n{}", render(&diagnostics, false));
        let mapping = mapping.expect("no diagnostics, so there is a mapping");
        for cap in &mapping.capabilities {
            assert!(cap.read.is_some() || cap.write.is_some(), "{name}: {}", cap.id);
        }
    }
}

#[test]
fn every_capability_is_in_a_test_and_every_control_is_written() {
    let mut missing = Vec::new();
    for (name, text) in builtin() {
        let (draft, _) = MappingDraft::parse(&SourceFile::new(name, text));
        let draft = draft.expect("it compiles");
        assert!(draft.tests.len() >= 3, "{name} has only {} tests", draft.tests.len());
        let read: BTreeSet<&str> =
            draft.tests.iter().flat_map(|test| &test.expect).map(|(id, _)| id.value.as_str()).collect();
        let written: BTreeSet<&str> =
            draft.tests.iter().flat_map(|test| &test.write).map(|(id, _)| id.value.as_str()).collect();
        for cap in &draft.capabilities {
            let id = cap.id.value.as_str();
            if cap.read.is_some() && !read.contains(id) {
                missing.push(format!("{name}: no test expects a value of {id}"));
            }
            if cap.write.is_some() && !written.contains(id) {
                missing.push(format!("{name}: no test writes {id}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn every_file_says_where_its_facts_are_from() {
    for (name, text) in builtin() {
        let head: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        let source = match name.split_once('/') {
            Some(("modbus", _)) => "Registers: ",
            Some(("coap", _)) => "Resources: ",
            Some(("ble" | "line", _)) => "Protocol: ",
            Some(("zigbee", _)) => "Clusters: ",
            _ => "Topics: ",
        };
        assert!(head.contains(source) || name.contains("usp-demo"), "{name} names no source");
    }
}

#[test]
fn every_file_is_inside_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let found: usize = std::fs::read_dir(folder)
        .expect("the library")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|protocol| std::fs::read_dir(protocol).expect("a folder").count())
        .sum();
    assert_eq!(found, builtin().len(), "a file is not listed in library.rs");
}

#[test]
fn the_catalog_knows_every_file_by_the_name_of_its_profile() {
    let catalog = Catalog::builtin();
    let profiles: Vec<&str> = catalog.profiles().map(|(name, _)| name).collect();
    let file = |name: &'static str| name.split_once('/').map_or(name, |(_, file)| file);
    let files: Vec<&str> = builtin().iter().map(|(name, _)| file(name)).collect();
    let expected: Vec<String> =
        profiles.iter().map(|profile| format!("{}.yaml", profile.replace('.', "-"))).collect();
    assert_eq!(files, expected);
    assert_eq!(profiles.iter().collect::<BTreeSet<_>>().len(), profiles.len(), "one profile twice");
    assert!(profiles.iter().any(|profile| profile.starts_with(NOT_SOLD)));
}

#[test]
fn the_list_names_every_device_that_is_sold() {
    let list = include_str!("../library/README.md");
    let catalog = Catalog::builtin();
    let sold: Vec<&str> =
        catalog.profiles().map(|(name, _)| name).filter(|name| !name.starts_with(NOT_SOLD)).collect();
    for name in &sold {
        assert!(list.contains(&format!("| `{name}` |")), "{name} is not in library/README.md");
    }
    assert_eq!(
        list.matches("` |\n").count(),
        sold.len(),
        "library/README.md lists another number of devices"
    );
}
