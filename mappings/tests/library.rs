//! Every mapping file of the library compiles without a warning, and its own tests hold.

use std::path::Path;

use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::draft::MappingDraft;
use usp_mapping::library::{Catalog, builtin};

#[test]
fn every_file_compiles_and_its_tests_hold() {
    assert_eq!(builtin().len(), 4, "the library has another number of files");
    for (name, text) in builtin() {
        let file = SourceFile::new(name, text);
        let (mapping, diagnostics) = compile_file(&file);
        assert!(diagnostics.is_empty(), "\n{}", render(&diagnostics, false));
        let mapping = mapping.expect("no diagnostics, so there is a mapping");
        let (draft, _) = MappingDraft::parse(&file);
        let tests = draft.expect("it was compiled").tests;
        assert!(tests.len() >= 3, "{name} has only {} tests", tests.len());
        for cap in &mapping.capabilities {
            assert!(cap.read.is_some() || cap.write.is_some(), "{name}: {}", cap.id);
        }
    }
}

#[test]
fn every_file_is_inside_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let mut found = 0;
    for protocol in std::fs::read_dir(folder).expect("the library") {
        found += std::fs::read_dir(protocol.expect("a folder").path()).expect("a folder").count();
    }
    assert_eq!(found, builtin().len(), "a file is not listed in library.rs");
}

#[test]
fn the_catalog_knows_every_file() {
    let names: Vec<String> =
        Catalog::builtin().profiles().map(|(name, version)| format!("{name}@{version}")).collect();
    let expected = [
        "carlo-gavazzi.em340@1.0.0",
        "eastron.sdm630@1.0.0",
        "usp.demo-meter@1.0.0",
        "waveshare.poe-eth-relay-b@1.0.0",
    ];
    assert_eq!(names, expected);
}
