//! A broker in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// The binary under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usp-broker"));
    for name in ["USP_BROKER_LOG", "USP_BROKER_CONFIG", "NOTIFY_SOCKET", "STATE_DIRECTORY"] {
        command.env_remove(name);
    }
    command
}

/// A folder with a configuration.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    /// `more` follows the sockets' paths in the file.
    pub(crate) fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("[uds]\nagent_path = \"agent\"\ncontroller_path = \"controller\"\n{more}");
        fs::write(dir.path().join("broker.toml"), text).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("broker.toml")
    }

    /// Runs a subcommand to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        program().args(arguments).current_dir(self.dir.path()).output().unwrap()
    }

    pub(crate) fn start(&self) -> Daemon {
        self.start_with(|_| {})
    }

    /// Starts it and waits for its first line, which is empty if it died before.
    pub(crate) fn start_with(&self, prepare: impl FnOnce(&mut Command)) -> Daemon {
        let mut command = program();
        command.args(["run", "--config"]).arg(self.config()).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        Daemon { child, out, ready }
    }
}

/// A running broker; killed when it goes out of scope.
pub(crate) struct Daemon {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The first line of its standard output.
    pub(crate) ready: String,
}

impl Daemon {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([format!("-{name}"), pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end: exit code, the rest of standard output, and standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut log) = (String::new(), String::new());
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.out.read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code(), out, log)
    }

    /// Reads standard error until a line has `text`.
    pub(crate) fn log_until(&mut self, text: &str) -> String {
        let err = self.child.stderr.as_mut().unwrap();
        let mut lines = BufReader::with_capacity(1, err).lines();
        lines
            .find_map(|line| line.ok().filter(|line| line.contains(text)))
            .unwrap_or_else(|| panic!("no {text:?}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether something is at a path.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
