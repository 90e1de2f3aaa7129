//! The profiles that ARCHITECTURE.md claims: every element that they ask for is in the supported data model.

use std::collections::BTreeMap;

use crate::bench::World;

const PROFILES: &str = include_str!("profiles.txt");

#[test]
fn what_claimed_profiles_ask_for_is_there() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let supported = w.supported(c, "Device.");
    let objects: BTreeMap<&str, Vec<&str>> = supported
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(object, elements)| (object, elements.split(' ').collect()))
        .collect();
    let (mut missing, mut seen) = (Vec::new(), 0);
    for line in PROFILES.lines().filter_map(|line| line.strip_prefix("  ")) {
        let (object, elements) = line.split_once(' ').unwrap();
        let known = objects.get(object);
        for element in elements.split(' ') {
            seen += 1;
            if !known.is_some_and(|known| known.contains(&element)) {
                missing.push(format!("{object}{element}"));
            }
        }
    }
    assert!(seen > 100 && missing.is_empty(), "{missing:?}");
}

#[test]
fn the_claim_is_the_one_that_is_checked() {
    let claimed = include_str!("../../../../ARCHITECTURE.md");
    for profile in PROFILES.lines().filter(|line| !line.starts_with([' ', '#'])) {
        // The second edition of a profile contains the first.
        let name = profile.trim_end_matches(|c: char| c.is_ascii_digit());
        assert!(claimed.contains(name), "{profile}");
    }
}
