//! Roles that a test program plays when it is started anew: the whole broker, or a Service.
//!
//! Tests that kill or stop a process need one. It is the test program itself, so that a test always runs the code that it
//! was built with.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use usp_simulators::service::{Link, Service, ServiceConfig};

/// Names the role; not set: the program is itself.
const ROLE: &str = "USP_TESTS_ROLE";

/// Plays the role that this process was started for; `None`: it was started for itself.
pub fn play() -> Option<ExitCode> {
    match std::env::var(ROLE).ok()?.as_str() {
        "broker" => Some(usp_broker::cli::main()),
        "service" => Some(service()),
        other => panic!("{ROLE}={other} is no role"),
    }
}

/// A command that runs `program` as `usp-broker`; arguments are those of its command line.
pub fn broker(program: impl AsRef<OsStr>) -> Command {
    let mut command = role(program, "broker");
    for name in ["USP_BROKER_LOG", "USP_BROKER_CONFIG", "USP_BROKER_VIA", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    command
}

/// A command that runs `program` as a Service with this Endpoint ID and root, which nothing moves by itself. It prints
/// `registered` when it is.
pub fn service_with(program: impl AsRef<OsStr>, socket: PathBuf, endpoint_id: &str, root: &str) -> Command {
    let mut command = role(program, "service");
    command.arg(socket).args([endpoint_id, root]);
    command
}

fn role(program: impl AsRef<OsStr>, name: &str) -> Command {
    let mut command = Command::new(program);
    command.env(ROLE, name);
    command
}

fn service() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let socket = PathBuf::from(arguments.next().expect("the Broker's socket"));
    let mut text =
        || arguments.next().and_then(|word| word.into_string().ok()).expect("Endpoint ID and root");
    let mut config = ServiceConfig::new(&text(), &socket);
    config.root = text();
    config.moves = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let service = Service::spawn(config);
        loop {
            service.until_registered().await;
            std::io::stdout().write_all(b"registered\n").unwrap();
            service.until(|link| !matches!(link, Link::Registered(_))).await;
        }
    })
}
