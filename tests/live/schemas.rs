//! The schemas that editors complete from, tried with a validator and a reader of YAML that we did not write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use usp_tests::role;

use crate::ACTOR;
use crate::python::{here, python};

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn schema(arguments: &[&str], path: &Path) {
    let output = role::broker(ACTOR).args(["mapping", "schema"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(path, output.stdout).unwrap();
}

#[test]
fn every_mapping_is_valid_and_no_unknown_key_is() {
    let place = tempfile::tempdir().unwrap();
    let (mapping, site) = (place.path().join("mapping.json"), place.path().join("site.json"));
    schema(&[], &mapping);
    schema(&["--site"], &site);
    let mappings = here("../mappings");
    let mut documents = files(&mappings.join("library"));
    documents.push(mappings.join("README.md"));
    documents.push(mappings.join("src/schema/everything.yaml"));
    documents.push(mappings.join("tests/whole/everything.yaml"));
    let output = Command::new(python())
        .arg(here("python/schemas.py"))
        .args([&mapping, &site])
        .args(&documents)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let counts = String::from_utf8_lossy(&output.stdout);
    let counts: Vec<usize> = counts.split_whitespace().skip(1).map(|count| count.parse().unwrap()).collect();
    assert!(counts[0] > documents.len() && counts[1] > 10 * counts[0], "{counts:?}");
}
