//! A D-Bus of our own: a `dbus-daemon` on a socket that nobody else knows.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A shell keeps the daemon: it sends the signals that it is told to, and ends it when its standard input closes. So the
/// daemon ends with this process, however this process ends.
const KEEPER: &str =
    "dbus-daemon --config-file=\"$1\" --nofork --nopidfile --print-address=1 </dev/null & d=$!
while read -r signal; do kill -s \"$signal\" $d || exit; done; kill -s CONT $d; kill -s KILL $d";

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The program is not on this machine.
    #[error("dbus-daemon is not installed (on Debian: apt-get install dbus-daemon)")]
    NotInstalled,
    /// A folder or file cannot be made, or a process cannot be started.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The daemon has ended at once.
    #[error("dbus-daemon does not run: is {0} a good place for a socket?")]
    Ended(PathBuf),
}

/// A bus and where it is. Dropping it ends the daemon.
#[derive(Debug)]
pub struct PrivateBus {
    dir: PathBuf,
    /// The folder is ours to remove.
    temporary: bool,
    daemon: Option<Daemon>,
}

#[derive(Debug)]
struct Daemon {
    keeper: Child,
    orders: ChildStdin,
    /// Stays open, or the daemon would die of writing to it.
    _said: BufReader<ChildStdout>,
}

impl PrivateBus {
    /// Whether the program is there.
    pub fn is_installed() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join("dbus-daemon").is_file())
    }

    /// Starts one in a folder; without one, in a temporary folder for nobody but us.
    ///
    /// Errors: there is no `dbus-daemon`, or no socket to be had there.
    pub async fn start(dir: Option<&Path>) -> Result<Self, BusError> {
        let (dir, temporary) = match dir {
            Some(dir) => (std::path::absolute(dir)?, false),
            None => (temporary_dir(), true),
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut bus = Self { dir, temporary, daemon: None };
        bus.revive().await?;
        Ok(bus)
    }

    /// As libdbus wants it in `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        address_in(&self.dir)
    }

    /// Starts the daemon again at the same address, if it does not run.
    ///
    /// Errors: as for [`start`](Self::start).
    pub async fn revive(&mut self) -> Result<(), BusError> {
        if self.daemon.is_some() {
            return Ok(());
        }
        if !Self::is_installed() {
            return Err(BusError::NotInstalled);
        }
        // What a killed daemon left would be in the way.
        fs::remove_file(self.dir.join("bus")).ok();
        let config = self.dir.join("dbus.conf");
        fs::write(&config, configuration(&self.address()))?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for us: the daemon ends with us, not before.
            .process_group(0)
            .spawn()?;
        let ended = || BusError::Ended(self.dir.clone());
        let (orders, said) =
            (keeper.stdin.take().ok_or_else(ended)?, keeper.stdout.take().ok_or_else(ended)?);
        let (mut said, mut line) = (BufReader::new(said), String::new());
        if said.read_line(&mut line).await? == 0 {
            return Err(ended());
        }
        self.daemon = Some(Daemon { keeper, orders, _said: said });
        Ok(())
    }

    /// Ends the daemon as a crash would.
    pub async fn kill(&mut self) {
        let Some(Daemon { mut keeper, orders, _said }) = self.daemon.take() else { return };
        // The end of its orders is the order.
        drop(orders);
        keeper.wait().await.ok();
    }

    /// Stops the daemon without ending it, or lets it go on.
    pub async fn freeze(&mut self, frozen: bool) {
        let order: &[u8] = if frozen { b"STOP\n" } else { b"CONT\n" };
        if let Some(daemon) = &mut self.daemon {
            // It has ended then, which is worse than what was asked for.
            daemon.orders.write_all(order).await.ok();
            daemon.orders.flush().await.ok();
        }
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.daemon = None;
        if self.temporary {
            // What cannot be removed stays for the system's own cleaning.
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// Where a bus in this folder is.
pub fn address_in(dir: &Path) -> String {
    format!("unix:path={}", dir.join("bus").display())
}

fn temporary_dir() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // Any longer name may be too long for a socket.
    Path::new("/tmp").join(format!("usp-sim-ble-{process}-{number}"))
}

/// Who may open the socket may do everything.
fn configuration(address: &str) -> String {
    format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"
 \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context=\"default\">
    <allow send_destination=\"*\" eavesdrop=\"true\"/>
    <allow eavesdrop=\"true\"/>
    <allow own=\"*\"/>
  </policy>
</busconfig>
"
    )
}
