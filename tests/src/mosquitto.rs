//! A real MQTT server, mosquitto 2, in a process of its own on a port of the loopback address that is kept for it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::port::Port;
use crate::process::Process;
use crate::wait::eventually;

/// Where Debian has it, and where others may.
const PLACES: [&str; 3] = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];

/// What it logs once all its listeners are open.
const RUNNING: &str = " running\n";

/// A server that can be killed and started again with the same port.
pub struct Mosquitto {
    dir: TempDir,
    port: Port,
    process: Option<Process>,
}

impl Mosquitto {
    /// Everybody may do everything.
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// With these lines of configuration about who may do what.
    pub fn with(rules: &str) -> Self {
        let mut server = Self { dir: tempfile::tempdir().unwrap(), port: Port::keep(), process: None };
        server.configure(rules);
        server.again();
        server
    }

    /// Other rules; they count from the next start.
    pub fn configure(&self, rules: &str) {
        // Without `user` root would become somebody who cannot read this folder; others ignore it.
        let head = "user root\npersistence false\nlog_type all\nlog_dest stderr\n";
        let head = format!("{head}listener {} 127.0.0.1\n", self.address().port());
        fs::write(self.path("mosquitto.conf"), head + rules).unwrap();
    }

    /// A file beside its configuration, that only its owner reads.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a password file with one user, and gives its path.
    pub fn passwords(&self, user: &str, password: &str) -> PathBuf {
        let file = self.path("passwords");
        let mut command = Command::new("mosquitto_passwd");
        command.args(["-c", "-b"]).arg(&file).args([user, password]).stderr(Stdio::null());
        assert!(command.status().expect("mosquitto_passwd").success());
        file
    }

    /// From the next start on nobody may subscribe to anything but this filter. Access lists in files cannot say so:
    /// mosquitto checks them when it delivers, not when somebody subscribes.
    pub fn allow_subscriptions(&self, filter: &str) {
        let rules = serde_json::json!({
            "defaultACLAccess": {
                "publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true
            },
            "clients": [],
            "groups": [{ "groupname": "all", "roles": [{ "rolename": "listener" }] }],
            "roles": [{ "rolename": "listener", "acls": [
                { "acltype": "subscribePattern", "topic": filter, "priority": 0, "allow": true }
            ]}],
            "anonymousGroup": "all",
        });
        let file = self.path("dynamic.json");
        fs::write(&file, rules.to_string()).unwrap();
        self.configure(&format!(
            "allow_anonymous true\nplugin {}\nplugin_opt_config_file {}\n",
            dynamic_security().display(),
            file.display()
        ));
    }

    /// Starts it once more, and waits until it says that it listens. Somebody else may answer at an address; nobody else
    /// writes this log.
    ///
    /// Panics with its log if it ends instead.
    pub fn again(&mut self) {
        let before = self.log().matches(RUNNING).count();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(program());
        command.args(["-c", "mosquitto.conf"]).current_dir(self.dir.path()).stdin(Stdio::null()).stderr(log);
        let mut process = Process::start(&mut command);
        eventually("a listening mosquitto", || {
            let end = process.end();
            let log = self.log();
            assert!(end.is_none(), "mosquitto has ended with {end:?}:\n{log}");
            (log.matches(RUNNING).count() > before).then_some(())
        });
        self.process = Some(process);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// The program; it is installed where it is missing and that is allowed. Where several need it at once, one looks after it.
///
/// Panics with what to do where it is missing and cannot be installed.
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<&'static str> = OnceLock::new();
    let find = || PLACES.into_iter().find(|place| Path::new(place).exists());
    PROGRAM.get_or_init(|| {
        find().unwrap_or_else(|| {
            let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup.sh");
            let output = Command::new("sh").arg(setup).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            find().expect("mosquitto")
        })
    })
}

/// The plugin that comes with it, in a folder named after the machine's architecture.
fn dynamic_security() -> PathBuf {
    let folders = ["/usr/lib", "/usr/local/lib"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let inside = folders.flatten().map(|entry| entry.path());
    let places = ["/usr/lib", "/usr/local/lib"].into_iter().map(PathBuf::from).chain(inside);
    let mut files = places.map(|folder| folder.join("mosquitto_dynamic_security.so"));
    files.find(|file| file.exists()).expect("mosquitto_dynamic_security.so")
}
