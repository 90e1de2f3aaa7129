//! The schemas that editors complete from, tried with a validator and a reader of YAML that we did not write.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use usp_mapping::check::check_file;
use usp_mapping::diagnostic::{Code, Diagnostic, SourceFile};
use usp_mapping::library::Catalog;
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

/// Runs a program of ours with both schemas and every mapping and site file that is a document; what it prints, and how many
/// files it was given.
fn told(program: &str) -> (String, usize) {
    let place = tempfile::tempdir().unwrap();
    let (mapping, site) = (place.path().join("mapping.json"), place.path().join("site.json"));
    schema(&[], &mapping);
    schema(&["--site"], &site);
    let mappings = here("../mappings");
    let mut documents = files(&mappings.join("library"));
    documents.push(mappings.join("README.md"));
    documents.push(mappings.join("tests/whole/everything.yaml"));
    let everything = files(&mappings.join("src/schema")).into_iter();
    documents.extend(everything.filter(|path| path.extension().is_some_and(|end| end == "yaml")));
    documents.sort();
    let output = Command::new(python())
        .arg(here(program))
        .args([&mapping, &site])
        .args(&documents)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    (String::from_utf8(output.stdout).unwrap(), documents.len())
}

#[test]
fn every_mapping_is_valid_and_no_unknown_key_is() {
    let (counts, files) = told("python/schemas.py");
    let counts: Vec<usize> = counts.split_whitespace().skip(1).map(|count| count.parse().unwrap()).collect();
    assert!(counts[0] > files && counts[1] > 10 * counts[0], "{counts:?}");
}

/// What is wrong with the shape of a file: of these the schema has to know.
const SHAPE: [Code; 12] = [
    Code::UnknownKey,
    Code::MissingKey,
    Code::WrongKind,
    Code::UnknownWord,
    Code::NumberRange,
    Code::Duration,
    Code::Name,
    Code::Version,
    Code::UnitPresence,
    Code::KeyOfClass,
    Code::Access,
    Code::NoBinding,
];

/// What a schema cannot say, because it depends on what stands elsewhere: a place of the change, what the checker says, and why.
const BEYOND: [(&str, &str, &str); 13] = [
    ("/gives/", "", "a value given by a parameter is of the kind that is needed where it is used"),
    ("devices/", "needs the key", "how a device is addressed depends on its bus"),
    ("", "`write` needs the key `path`", "a write takes it from `read`"),
    ("", "`write` needs the key `cluster`", "a write takes it from `read`"),
    (
        "",
        "`write` needs the key `command`",
        "a write takes the attribute from `read`, unless the cluster is another",
    ),
    ("", "of a TLV body needs `as`", "`tlv` of a protocol with other forms"),
    ("", "need `registers`", "it depends on `as`"),
    ("", "a step needs the key `value`", "unless what is sent is whole without one"),
    ("", "an entry of `setup` needs the key `value`", "unless it is a command"),
    ("", "is known of the type of attribute", "the attributes of each cluster"),
    ("", "needs the field", "the fields of each command"),
    ("/fields", "a value must be", "the fields of each command"),
    ("nodes/", "there is no capability", "one of any node is enough"),
];

/// The error of shape that the schema should have seen.
fn unseen(place: &str, found: &[Diagnostic]) -> Option<String> {
    let beyond = |error: &Diagnostic| {
        BEYOND.iter().any(|(at, says, _)| place.contains(at) && error.message.contains(says))
    };
    let mut errors = found.iter().filter(|error| error.is_error());
    let first = errors.next().filter(|error| SHAPE.contains(&error.code) && !beyond(error))?;
    Some(first.to_string())
}

/// What an editor shows and what the checker says are the same, as far as a schema can say it.
#[test]
fn schema_and_checker_take_the_same_files() {
    let (mutants, _) = told("python/mutants.py");
    let catalog = Catalog::builtin();
    let check = |text: &str| check_file(&SourceFile::new("x.yaml", text), &|wanted| catalog.find(wanted));
    let (mut wrong, mut refused) = (Vec::new(), BTreeMap::from([(false, 0), (true, 0)]));
    for line in mutants.lines() {
        let mutant: Value = serde_json::from_str(line).unwrap();
        let field = |key: &str| mutant[key].as_str().unwrap();
        let valid = mutant["valid"] == true;
        let found = check(field("text"));
        let fine = !found.iter().any(Diagnostic::is_error);
        let name = format!("{}: {} {}", field("file"), field("place"), field("change"));
        *refused.entry(valid).or_default() += 1;
        match (valid, fine) {
            (true, true) | (false, false) => {}
            (false, true) => wrong.push(format!("{name}: the schema alone refuses it")),
            // What a base brings is not in the file.
            (true, false) if field("text").contains("\"extends\": ") => {}
            (true, false) => {
                wrong.extend(unseen(field("place"), &found).map(|error| format!("{name}: {error}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {refused:?} mutants\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.values().all(|count| *count > 1000), "{refused:?}");
}
