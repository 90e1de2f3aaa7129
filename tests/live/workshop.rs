//! The workshop of the mappings' reference, followed to the letter: from a draft to a live value.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use usp_tests::cli::Cli;
use usp_tests::process::Process;
use usp_tests::role;
use usp_tests::wait::eventually;

use crate::ACTOR;

/// The commands, without what is said about them.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Workshop\n").expect("the workshop");
    let block = section.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    block.lines().map(|line| line.split(" # ").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn a_draft_becomes_a_live_value() {
    let dir = tempfile::tempdir().unwrap();
    let cli = Cli::new(ACTOR, "", dir.path());
    let mut running = Vec::new();
    let mut told = Vec::new();
    for line in commands() {
        if line.starts_with("printf ") {
            let status = Command::new("sh").args(["-c", &line]).current_dir(dir.path()).status().unwrap();
            assert!(status.success(), "{line}");
            continue;
        }
        // What is started here has no terminal in any case.
        let line = line.replace(" < /dev/null", "");
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        match words.split_last() {
            Some((&"&", words)) => running.push(started(words, dir.path())),
            _ if words[0] == "get" => {
                let value = || {
                    let ended = cli.run(&words);
                    (ended.code == 0).then_some(ended.out)
                };
                told.push(eventually("the value", value));
            }
            _ => told.push(cli.ok(&words)),
        }
    }
    let [_, check, test, explain, get] = told.try_into().unwrap();
    assert!(check.contains("ok"), "{check}");
    assert!(test.contains("5 tests pass; 4 of 4 readings tested"), "{test}");
    assert!(explain.contains("01 04 00 00 00 0e 71 ce"), "{explain}");
    assert!(get.contains("Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value = "), "{get}");
    assert_eq!(running.len(), 2);
}

/// Started, and ready as its first line says.
fn started(words: &[&str], dir: &Path) -> Process {
    let mut command = role::broker(ACTOR);
    let process =
        Process::start(command.args(words).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null()));
    let line = process.line();
    assert!(!line.is_empty(), "{words:?}");
    process
}
