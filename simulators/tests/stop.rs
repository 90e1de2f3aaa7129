//! The programs end when they are asked to, whatever their standard input is doing.
#![expect(clippy::unwrap_used, reason = "what fails in a test may panic, in its helpers too")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a program with a standard input that stays open, asks for help and ends it by a signal.
fn ends_on(signal: &str, program: &str, args: &[&str]) {
    let mut child =
        Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().starts_with("ready "));
    writeln!(typed, "help").unwrap();
    assert!(lines.any(|line| line.starts_with("help ")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    assert!(ended(child), "{program} does not end while its standard input is open");
    drop(typed);
}

/// Whether it ends in time; it is killed if it does not.
fn ended(mut child: Child) -> bool {
    let pid = child.id().to_string();
    let (tell, told) = mpsc::channel();
    let waiting = std::thread::spawn(move || tell.send(child.wait().is_ok()).unwrap());
    let ended = told.recv_timeout(PATIENCE).unwrap_or(false);
    if !ended {
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    }
    waiting.join().unwrap();
    ended
}

#[test]
fn the_modbus_device_ends_with_its_input_open() {
    let mapping = concat!(env!("CARGO_MANIFEST_DIR"), "/../mappings/library/modbus/usp-demo-meter.yaml");
    ends_on("-TERM", env!("CARGO_BIN_EXE_usp-sim-modbus"), &["--mapping", mapping]);
}

#[test]
fn the_service_ends_with_its_input_open() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("controller").display().to_string();
    ends_on("-INT", env!("CARGO_BIN_EXE_usp-sim-service"), &["--socket", &socket]);
}

#[test]
fn the_zigbee_coordinator_ends_with_its_input_open() {
    ends_on("-TERM", env!("CARGO_BIN_EXE_usp-sim-zigbee"), &["--kind", "znp", "--waiting", "kitchen=plug"]);
}
