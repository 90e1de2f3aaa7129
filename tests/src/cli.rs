//! The command line as its users meet it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::process::Process;
use crate::role;

/// The command line with a `--via` and a folder to run in.
pub struct Cli {
    program: OsString,
    via: String,
    dir: PathBuf,
    /// As whom; `None`: anybody.
    endpoint_id: Option<String>,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub told: String,
}

impl Cli {
    /// `via` is given to all commands that act as a Controller.
    pub fn new(program: impl AsRef<OsStr>, via: &str, dir: &Path) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            via: via.to_owned(),
            dir: dir.to_owned(),
            endpoint_id: None,
        }
    }

    /// As a certain Controller.
    pub fn acting_as(self, endpoint_id: &str) -> Self {
        Self { endpoint_id: Some(endpoint_id.to_owned()), ..self }
    }

    /// A command, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = role::broker(&self.program);
        command.args(arguments).env("USP_BROKER_VIA", &self.via).current_dir(&self.dir);
        if let Some(endpoint_id) = &self.endpoint_id {
            command.args(["--as", endpoint_id]);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = status.code().unwrap_or_else(|| panic!("{arguments:?} was killed: {status}"));
        Ended { code, out: text(stdout), told: text(stderr) }
    }

    /// Runs a command that has to succeed; its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:#?}");
        ended.out
    }

    /// Runs a command that has to end with this exit code; its standard error.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:#?}");
        ended.told
    }

    /// What a command prints with `--json`, whether it succeeds or not.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {ended:#?}"))
    }

    /// Path and value of everything that a path stands for. Errors in the answer are not looked at.
    pub fn values(&self, path: &str) -> BTreeMap<String, String> {
        let answer = self.json(&["get", path]);
        let results = answer["results"].as_array().unwrap_or_else(|| panic!("get {path}: {answer}"));
        let pairs = results.iter().flat_map(|result| result["values"].as_object().unwrap());
        pairs.map(|(path, value)| (path.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// The value of one Parameter.
    pub fn value(&self, path: &str) -> String {
        self.values(path).remove(path).unwrap_or_else(|| panic!("{path} has no value"))
    }

    /// Starts `watch … --json` and waits until it watches.
    pub fn watch(&self, arguments: &[&str]) -> Process {
        self.watch_telling(arguments).0
    }

    /// The same, with what it tells on standard error.
    pub fn watch_telling(&self, arguments: &[&str]) -> (Process, Told) {
        let all = [&["watch"], arguments, &["--json"]].concat();
        let mut child = self.command(&all);
        let told = Told(tempfile::NamedTempFile::new().unwrap());
        let process = Process::start(child.stdin(Stdio::null()).stderr(told.0.reopen().unwrap()));
        // One line is told for each path.
        told.wait_for("watching ");
        (process, told)
    }
}

/// What a command that still runs tells on standard error.
pub struct Told(tempfile::NamedTempFile);

impl Told {
    /// All of it so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.0.path()).unwrap()
    }

    /// Waits until it has told this.
    pub fn wait_for(&self, words: &str) {
        let look = || if self.text().contains(words) { Ok(()) } else { Err(self.text()) };
        crate::wait::eventually_ok(look, |text| format!("`{words}` is not told: {text}"));
    }
}
