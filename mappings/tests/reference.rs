//! The reference is true: its examples compile, its list of codes is complete.

use std::fs;
use std::path::Path;

use usp_mapping::check::{FileKind, check_file, file_kind};
use usp_mapping::diagnostic::{Code, SourceFile, render};
use usp_mapping::library::Catalog;

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the reference")
}

#[test]
fn every_example_is_right() {
    let text = reference();
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 20, "the reference has another number of examples");
    let catalog = Catalog::builtin();
    for (at, example) in examples.iter().enumerate() {
        let file = SourceFile::new(&format!("example {}", at + 1), example);
        let found = check_file(&file, &|wanted| catalog.find(wanted));
        assert!(found.is_empty(), "\n{}", render(&found, false));
    }
    let kind = |at: usize| file_kind(&SourceFile::new("x", examples[at])).ok();
    assert_eq!((kind(0), kind(1)), (Some(FileKind::Mapping), Some(FileKind::Site)));
}

#[test]
fn every_code_is_listed() {
    let text = reference();
    let (_, table) =
        text.split_once("## Codes\n\n| code | meaning |\n|---|---|\n").expect("the list of codes");
    let expected: String =
        Code::ALL.iter().map(|code| format!("| {code} | {} |\n", code.summary())).collect();
    assert_eq!(table, expected, "write the list of codes anew");
}
