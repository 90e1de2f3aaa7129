//! Replays the committed corpus of each fuzz target.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::fuzz::TARGETS;

fn fuzz_package() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz"))
}

#[test]
fn the_corpus_of_each_target_holds() {
    for (name, target) in TARGETS {
        let folder = fuzz_package().join("corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{name} has hardly a corpus");
        for file in files {
            let data = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "{} fails", file.display());
        }
    }
}

/// Every target has its file, and the other way round.
#[test]
fn targets_and_their_files_agree() {
    let stems = |folder: &str| -> BTreeSet<String> {
        fs::read_dir(fuzz_package().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let own = TARGETS.iter().map(|(name, _)| *name);
    // What others replay: usp-mapping in its tests/robust.rs, usp-adapters where it has its framings.
    let names: BTreeSet<String> =
        own.chain(["payload", "zigbee_ash", "zigbee_mt"]).map(str::to_owned).collect();
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    let manifest = fs::read_to_string(fuzz_package().join("Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in Cargo.toml"
        );
    }
}

/// Short arbitrary input, without a fuzzer.
#[test]
fn no_target_minds_noise() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..3000 {
        let data: Vec<u8> = (0..round % 64)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        for (_, target) in TARGETS {
            target(&data);
        }
    }
}
