//! The configuration file: read, checked as a whole, and compiled.
//!
//! Every problem is found at once and told with line, column and a proposal. A key that is not known, or belongs to
//! something that is not built yet, is refused: never read and ignored.

mod draft;
mod later;
mod mqtt;
mod problem;
pub(crate) mod secret;
mod sections;
mod seeds;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use usp_core::config::{CoreConfig, Identity, Seed, UdsSettings, UdsTrust, WebSocketSettings};
use usp_proto::endpoint_id::EndpointId;

pub(crate) use problem::nearest;
pub use problem::{ConfigError, Problem};

use draft::Table;
use problem::Problems;

/// Where systemd says which folder `StateDirectory=` has made.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Everything that the file says, checked; paths are absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[agent] endpoint_id`; `None`: derived once and kept in the store.
    pub endpoint_id: Option<EndpointId>,
    /// `[agent] state_dir`; without it the folder that systemd made for us, or else `state` beside the file.
    pub state_dir: PathBuf,
    /// `[agent] site`; `None`: no devices.
    pub site: Option<PathBuf>,
    /// `[agent] mappings`: folders searched before the library inside the binary.
    pub mappings: Vec<PathBuf>,
    /// `[agent] reboot_command`; empty: the process ends, and its supervisor starts it again.
    pub reboot_command: Vec<String>,
    /// `[device]`, for `Device.DeviceInfo.`; the serial number may still be empty.
    pub identity: Identity,
    /// `[uds]`; `None`: off.
    pub uds: Option<UdsConfig>,
    /// `[websocket]`; `None`: off.
    pub websocket: Option<WebSocketConfig>,
    /// `[metrics] listen`; `None`: off.
    pub metrics: Option<SocketAddr>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[[role]]`, `[[mqtt]]`, `[[controller]]` and `[[object]]`.
    pub seed: Seed,
    /// What is not quite right although it can be used, one sentence each.
    pub warnings: Vec<String>,
}

/// `[uds]`: both sockets.
#[derive(Clone, Debug)]
pub struct UdsConfig {
    /// Where Controllers connect.
    pub agent_path: PathBuf,
    /// Where Services connect.
    pub controller_path: PathBuf,
    /// Permission bits of both.
    pub mode: u32,
    /// Who may register what.
    pub trust: UdsTrust,
    /// Role of a Controller on `agent_path` without a row of its own.
    pub local_role: String,
}

/// `[websocket]`: the Agent's own server.
#[derive(Clone, Debug)]
pub struct WebSocketConfig {
    /// Address and port; port 0 takes any.
    pub listen: SocketAddr,
    /// The resource, with its leading `/`.
    pub path: String,
    /// Everybody is as trusted as on loopback, although the link is plain.
    pub insecure: bool,
    /// From one ping to the next (R-WS.18).
    pub keep_alive: Duration,
    /// Role of a trusted Controller without a row of its own; `None`: it is Untrusted.
    pub local_role: Option<String>,
}

impl WebSocketConfig {
    /// Whether the transport vouches for its peers.
    pub fn trusted(&self) -> bool {
        self.insecure || self.listen.ip().is_loopback()
    }
}

/// `[limits]`: all bounds.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Those of the core.
    pub core: usp_core::config::Limits,
    /// Those of the transports.
    pub edge: EdgeLimits,
}

/// The bounds of the transports.
#[derive(Clone, Debug)]
pub struct EdgeLimits {
    /// The longest Record that is taken in, in bytes.
    pub max_record_bytes: usize,
    /// Connections at a time, on each listener.
    pub max_connections: usize,
    /// Connections at a time that have not finished their handshake, on each listener.
    pub max_handshakes: usize,
    /// How long a handshake may take (R-UDS.18).
    pub handshake_timeout: Duration,
    /// Records that may wait for one connection.
    pub max_outbox_records: usize,
    /// Bytes that may wait for one connection; one Record may always wait.
    pub max_outbox_bytes: usize,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            max_record_bytes: 5_242_880,
            max_connections: 512,
            max_handshakes: 64,
            handshake_timeout: Duration::from_secs(30),
            max_outbox_records: 1024,
            max_outbox_bytes: 8_388_608,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// Errors: the file cannot be read, or has problems: all of them.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let base = path.parent().unwrap_or(Path::new(""));
        let state_dir = supervised_state_dir(std::env::var_os(STATE_DIRECTORY));
        let mut config = Self::compile(&text, &path.display().to_string(), base, state_dir)?;
        let metadata = std::fs::metadata(path);
        if metadata.is_ok_and(|file| file.permissions().mode() & 0o004 == 0) {
            config.warnings.clear();
        }
        Ok(config)
    }

    /// Checks a text. `name` is for messages, relative paths start at `base`.
    ///
    /// Errors: the text has problems: all of them.
    pub fn parse(text: &str, name: &str, base: &Path) -> Result<Self, ConfigError> {
        Self::compile(text, name, base, None)
    }

    fn compile(text: &str, name: &str, base: &Path, state_dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        let mut problems = Problems::new(text);
        let document = problems.document();
        let state_dir = state_dir.unwrap_or_else(|| base.join("state"));
        let mut config = sections::compile(Table::root(document.get_ref()), base, state_dir, &mut problems);
        config.warnings.extend(problems.secret_lines().into_iter().map(|line| open_secret(name, line)));
        problems.finish(name)?;
        Ok(config)
    }

    /// What the core is told. `port` is the one that the WebSocket server listens on.
    pub fn core(&self, endpoint_id: EndpointId, port: Option<u16>, entropy: u64) -> CoreConfig {
        let mut identity = self.identity.clone();
        if identity.serial.is_empty() {
            endpoint_id.instance_id().clone_into(&mut identity.serial);
        }
        CoreConfig {
            identity,
            entropy,
            limits: self.limits.core.clone(),
            uds: self.uds.as_ref().map(uds_settings),
            websocket: self.websocket.as_ref().map(|config| websocket_settings(config, port)),
            seed: self.seed.clone(),
            endpoint_id,
        }
    }
}

/// A password that everybody on this machine can read.
fn open_secret(name: &str, line: usize) -> String {
    format!(
        "{name}:{line}: a password stands in a file that others may read; take the right away (chmod o-r), or write \
         \"file:PATH\" or \"env:NAME\" instead"
    )
}

/// The folder that a supervisor has made for us; of several the first.
fn supervised_state_dir(value: Option<OsString>) -> Option<PathBuf> {
    let first = value?.as_bytes().split(|byte| *byte == b':').next()?.to_owned();
    Some(PathBuf::from(OsString::from_vec(first))).filter(|dir| dir.is_absolute())
}

fn uds_settings(config: &UdsConfig) -> UdsSettings {
    UdsSettings {
        agent_path: config.agent_path.display().to_string(),
        controller_path: config.controller_path.display().to_string(),
        trust: config.trust,
        local_role: config.local_role.clone(),
    }
}

fn websocket_settings(config: &WebSocketConfig, port: Option<u16>) -> WebSocketSettings {
    WebSocketSettings {
        port: port.unwrap_or(config.listen.port()),
        path: config.path.clone(),
        keep_alive: u32::try_from(config.keep_alive.as_secs()).unwrap_or(u32::MAX),
        local_role: config.local_role.clone(),
    }
}

#[cfg(test)]
mod tests;
