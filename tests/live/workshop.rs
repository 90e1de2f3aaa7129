//! The workshop of the mappings' reference, pasted into a shell as it stands: from a draft to a live value.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use usp_tests::role;

use crate::ACTOR;

/// The block of commands.
fn block() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Workshop\n").expect("the workshop");
    section.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0.to_owned()
}

#[test]
fn a_draft_becomes_a_live_value() {
    let dir = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let program = tools.path().join("usp-broker");
    fs::write(&program, format!("#!/bin/sh\nexec '{ACTOR}' \"$@\"\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    // What goes on ends with the shell; a command that fails ends it.
    let script = format!("set -e\ntrap 'jobs -p > ended; kill $(cat ended)' EXIT\n{}", block());
    let role = role::broker("sh");
    let mut command = Command::new("sh");
    for (name, value) in role.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-c", &script]).env("PATH", path).current_dir(dir.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "meter-3.yaml: ok",
        "5 tests pass; 4 of 4 readings tested",
        "01 04 00 00 00 0e 71 ce",
        "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value = ",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}
