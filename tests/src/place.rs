//! A folder with a configuration, and the broker that runs there.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use usp_broker::client::{Client, Notifications, Options, Via};

use crate::cli::Cli;
use crate::process::Process;
use crate::role;

/// A temporary folder with `broker.toml` and `site.yaml`.
pub struct Place {
    dir: TempDir,
    program: OsString,
    /// Variables of the broker's environment.
    env: Vec<(String, String)>,
}

impl Place {
    /// With UNIX domain sockets, a WebSocket server on any free port, and no device. `more` follows in `broker.toml`,
    /// and may begin with further keys of `[websocket]`.
    pub fn new(program: &str, more: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), program: program.into(), env: Vec::new() };
        place.configure(more);
        place.write("site.yaml", "site: 1\nbuses: {}\ndevices: {}\n");
        place
    }

    /// Writes `broker.toml` anew.
    pub fn configure(&self, more: &str) {
        let text = "[agent]\nendpoint_id = \"self::hub\"\nsite = \"site.yaml\"\nmappings = [\".\"]\n\
             [uds]\nagent_path = \"agent\"\ncontroller_path = \"controller\"\n\
             [websocket]\nlisten = \"127.0.0.1:0\"\npath = \"/usp\"\n";
        self.write("broker.toml", &format!("{text}{more}\n"));
    }

    /// Sets a variable in the environment of brokers that are started from now on.
    pub fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// A site of demo meters: device, address of its bus, unit.
    pub fn meters(&self, meters: &[(&str, SocketAddr, u8)]) {
        let bus = |(id, address, _): &(&str, SocketAddr, u8)| {
            format!("  bus-{id}: {{modbus_tcp: \"{address}\"}}\n")
        };
        let device = |(id, _, unit): &(&str, SocketAddr, u8)| {
            format!("  {id}: {{use: usp.demo-meter, bus: bus-{id}, unit: {unit}, name: \"{id}\"}}\n")
        };
        let buses: String = meters.iter().map(bus).collect();
        let devices: String = meters.iter().map(device).collect();
        self.write("site.yaml", &format!("site: 1\nbuses:\n{buses}devices:\n{devices}"));
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the broker and waits until it is ready.
    pub fn start(&self) -> Process {
        let process = self.launch();
        assert_eq!(process.line(), "ready endpoint_id=self::hub", "{}", self.log());
        process
    }

    /// Starts the broker. Its log goes into `broker.log`.
    pub fn launch(&self) -> Process {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("broker.log")).unwrap();
        let mut command = role::broker(&self.program);
        command.args(["run", "--config", "broker.toml"]).current_dir(self.dir());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Process::start(command.stdin(Stdio::null()).stderr(log))
    }

    /// Starts a Service and waits until it is registered.
    pub fn service(&self, endpoint_id: &str, root: &str) -> Process {
        let mut command = role::service_with(&self.program, self.path("controller"), endpoint_id, root);
        let process = Process::start(&mut command);
        assert_eq!(process.line(), "registered");
        process
    }

    /// Files in it that have one of these texts, and that others than their owner may read.
    pub fn open_files_with(&self, secrets: &[&str]) -> Vec<PathBuf> {
        let (mut folders, mut open) = (vec![self.dir().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let (kind, path) = (entry.file_type().unwrap(), entry.path());
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && entry.metadata().unwrap().permissions().mode() & 0o077 != 0 {
                    let bytes = fs::read(&path).unwrap();
                    let has = |secret: &&str| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
                    open.extend(secrets.iter().any(has).then_some(path));
                }
            }
        }
        open
    }

    /// Everything that the broker has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("broker.log")).unwrap_or_default()
    }

    /// The command line, with the UNIX domain socket as `--via`.
    pub fn cli(&self) -> Cli {
        Cli::new(&self.program, &format!("uds:{}", self.path("agent").display()), self.dir())
    }

    /// The command line, over WebSocket.
    pub fn websocket_cli(&self) -> Cli {
        Cli::new(&self.program, &self.websocket(), self.dir())
    }

    /// The WebSocket server's URL, as the broker itself tells it.
    pub fn websocket(&self) -> String {
        let port = self.cli().values("Device.LocalAgent.MTP.*.WebSocket.Port");
        format!("ws://127.0.0.1:{}/usp", port.values().next().expect("a WebSocket server"))
    }

    /// Connects as a Controller.
    pub async fn client(&self, endpoint_id: &str) -> (Client, Notifications) {
        let options = Options::new(Via::Uds(self.path("agent")), endpoint_id.parse().unwrap());
        Client::connect(&options).await.unwrap()
    }
}
