//! Every requirement of TR-369 that applies is named where it is satisfied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Requirements by section, and those that are excused with the reason.
struct List {
    all: BTreeSet<String>,
    excused: BTreeMap<String, String>,
}

fn list() -> List {
    let text = fs::read_to_string(root().join("tests/house/requirements.txt")).unwrap();
    let mut list = List { all: BTreeSet::new(), excused: BTreeMap::new() };
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (first, rest) = line.split_once(' ').unwrap();
        if matches!(first, "void" | "waits") {
            let (id, reason) = rest.split_once(' ').expect("a reason");
            list.excused.insert(id.to_owned(), reason.to_owned());
        } else {
            list.all.extend(rest.split(' ').map(|number| format!("R-{first}.{number}")));
        }
    }
    list
}

/// Source files, and the cases of the conformance tests.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_dir() && !matches!(name, "target" | ".git" | "house")
            || name.ends_with(".rs")
            || path.parent().is_some_and(|dir| dir.ends_with("conformance/cases"))
    };
    entries.filter(is_ours).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What a text names: `R-`, capitals and digits, a dot, a number and perhaps a letter.
fn named(text: &str) -> BTreeSet<String> {
    let after = text.split("R-").skip(1);
    let one = |rest: &str| {
        let (section, rest) = rest.split_once('.')?;
        let number: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        let fits = section.len() <= 5
            && section.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            && number.starts_with(|c: char| c.is_ascii_digit());
        fits.then(|| format!("R-{section}.{number}"))
    };
    after.filter_map(one).collect()
}

fn all_named() -> BTreeSet<String> {
    let all = files(&root());
    assert!(all.len() > 200, "{}", all.len());
    all.iter().flat_map(|path| named(&fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_requirement_is_named_where_it_is_satisfied() {
    let (list, named) = (list(), all_named());
    let missing: Vec<_> =
        list.all.iter().filter(|id| !named.contains(*id) && !list.excused.contains_key(*id)).collect();
    assert!(missing.is_empty(), "named nowhere, and not excused in requirements.txt: {missing:?}");
    let unknown: Vec<_> = list.excused.keys().filter(|id| !list.all.contains(*id)).collect();
    assert!(unknown.is_empty(), "excused, and not in the list: {unknown:?}");
}

#[test]
fn what_is_named_exists() {
    let list = list();
    let sections: BTreeSet<&str> = list.all.iter().filter_map(|id| Some(id.split_once('.')?.0)).collect();
    let named = all_named();
    let ours =
        named.iter().filter(|id| id.split_once('.').is_some_and(|(section, _)| sections.contains(section)));
    let wrong: Vec<_> = ours.filter(|id| !list.all.contains(*id)).collect();
    assert!(wrong.is_empty(), "there is no such requirement: {wrong:?}");
}

#[test]
fn names_are_found_in_comments() {
    let found = named("// R-SET.2a, (R-WS.10b) and R-MQTT.7. R-X, not R-set.1");
    assert_eq!(found, BTreeSet::from(["R-SET.2a", "R-WS.10b", "R-MQTT.7"].map(str::to_owned)));
}
