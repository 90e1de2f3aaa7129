//! TP-469: the conformance tests of USP Agents, played against the real program.
//!
//! `cargo test -p usp-tests --test conformance -- --nocapture` prints the table; `cases/` has the cases, `claims.txt` says
//! which are claimed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![expect(unreachable_pub, reason = "the modules of this program are its own")]

mod ask;
mod bench;
mod claims;
mod fault;
mod hand;
mod link;
mod pace;
mod pattern;
mod player;
mod script;
mod server;
mod show;
mod show_model;
mod socket;
mod stage;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use bench::{Bench, Via};
use claims::Claim;
use script::{Case, Number};
use table::Table;
use usp_tests::mosquitto;

/// The program that plays the broker in a process of its own.
const ACTOR: &str = env!("CARGO_BIN_EXE_actor");

/// A file of this folder.
fn file(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    std::fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const FILES: [&str; 10] = [
    "1-rows.txt",
    "1-get.txt",
    "1-model.txt",
    "1-notify.txt",
    "1-operate.txt",
    "2-access.txt",
    "7-websocket.txt",
    "9-functions.txt",
    "11-mqtt.txt",
    "11-mqtt-link.txt",
];

/// Cases as the files have them; `TP=1.5,2` in the environment chooses by the beginnings of their numbers.
fn cases() -> Vec<Case> {
    let all = FILES.iter().flat_map(|name| {
        script::parse(name, &file(&format!("cases/{name}"))).unwrap_or_else(|why| panic!("{why}"))
    });
    let chosen = std::env::var("TP").unwrap_or_default();
    if chosen.is_empty() {
        return all.collect();
    }
    let cases: Vec<Case> = all.collect();
    let is_wanted = |case: &Case, wanted: &str| {
        let number = case.number.to_string();
        number == wanted || number.starts_with(&format!("{wanted}."))
    };
    for wanted in chosen.split(',') {
        assert!(
            cases.iter().any(|case| is_wanted(case, wanted)),
            "TP={chosen}: no case begins like {wanted}"
        );
    }
    cases.into_iter().filter(|case| chosen.split(',').any(|wanted| is_wanted(case, wanted))).collect()
}

fn claims() -> BTreeMap<Number, Claim> {
    claims::parse(&file("claims.txt")).unwrap_or_else(|why| panic!("{why}"))
}

fn is_for(case: &Case, via: Via) -> bool {
    case.only.is_empty() || case.only.iter().any(|name| via.is(name))
}

/// Prints what a run found, for whoever runs it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
fn print(text: &str) {
    println!("{text}");
}

#[test]
fn every_case_holds_on_every_transport() {
    let (cases, claims) = (cases(), claims());
    mosquitto::program();
    let table = Mutex::new(Table::default());
    let note =
        |case: &Case, via: Via, verdict| table.lock().unwrap().put(case.number, &case.title, via, verdict);
    thread::scope(|scope| {
        for via in Via::ALL {
            let mine: Vec<&Case> = cases.iter().filter(|case| is_for(case, via)).collect();
            let (slow, quick): (Vec<&Case>, Vec<&Case>) = mine.into_iter().partition(|case| case.slow);
            for case in slow {
                scope.spawn(move || note(case, via, stage::play(&mut Bench::of(via, case), case, None).0));
            }
            scope.spawn(move || {
                let mut bench = Bench::start(via);
                for case in quick {
                    note(case, via, stage::play(&mut bench, case, None).0);
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    let text = table.text(&claims);
    print(&text);
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance.txt"), text).unwrap();
    let failures = table.failures(&claims);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// No case is so lax that it holds whatever the Agent does.
#[test]
fn every_fault_is_noticed() {
    let (mut cases, claims) = (cases(), claims());
    mosquitto::program();
    cases.retain(|case| claims.get(&case.number) == Some(&Claim::Claimed));
    let unnoticed = Mutex::new(Vec::new());
    let note = |case: &Case, fault: &str, (verdict, struck): (Result<(), String>, bool)| {
        if !struck || verdict.is_ok() {
            let how = if struck { "not noticed" } else { "had nothing to do" };
            unnoticed.lock().unwrap().push(format!("{}: {fault}: {how}: {verdict:?}", case.number));
        }
    };
    let (slow, quick): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.slow);
    let via = |case: &Case| Via::ALL.into_iter().find(|via| is_for(case, *via)).unwrap();
    thread::scope(|scope| {
        for case in slow {
            for fault in &case.faults {
                scope.spawn(move || {
                    note(case, fault, stage::play(&mut Bench::of(via(case), case), case, Some(fault)));
                });
            }
        }
        scope.spawn(|| {
            let mut benches: BTreeMap<Via, Bench> = BTreeMap::new();
            for case in quick {
                let bench = benches.entry(via(case)).or_insert_with_key(|via| Bench::start(*via));
                for fault in &case.faults {
                    note(case, fault, stage::play(bench, case, Some(fault)));
                }
            }
        });
    });
    let unnoticed = unnoticed.into_inner().unwrap();
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

#[test]
fn every_case_is_claimed_or_has_a_reason() {
    let claims = claims();
    for case in cases() {
        let said = claims.get(&case.number);
        assert!(
            matches!(said, Some(Claim::Claimed | Claim::Waits(_))),
            "{}: {said:?} in claims.txt",
            case.number
        );
        assert!(!case.faults.is_empty(), "{}: which fault makes it fail?", case.number);
    }
    if std::env::var("TP").is_ok() {
        return;
    }
    let there: Vec<Number> = cases().iter().map(|case| case.number).collect();
    let missing: Vec<_> = claims
        .iter()
        .filter(|(number, claim)| **claim == Claim::Claimed && !there.contains(number))
        .collect();
    assert!(missing.is_empty(), "claimed and not played: {missing:?}");
    for (number, claim) in &claims {
        if let Claim::Shown(file) = claim {
            let text =
                std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
            let lines = text.lines().filter(|line| line.contains("TP-469"));
            let named = |line: &str| line.split([' ', ',', ':', ';', '.']).collect::<Vec<_>>().join(".");
            let wanted = format!(".{number}.");
            assert!(
                lines.map(named).any(|line| format!("{line}.").contains(&wanted)),
                "{file} does not name {number}"
            );
        }
    }
    for (section, last) in [(1, 107), (2, 27), (7, 12), (9, 11), (11, 17)] {
        let unsaid: Vec<_> =
            (1..=last).map(|n| Number(section, n)).filter(|n| !claims.contains_key(n)).collect();
        assert!(unsaid.is_empty(), "nothing is said of {unsaid:?}");
    }
}
