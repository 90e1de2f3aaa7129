//! The CoAP server of libcoap, in a process of its own on a loopback address that nobody else has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::process::Process;

/// As Debian calls it, and as its own build does.
const PROGRAMS: [&str; 2] = ["/usr/bin/coap-server-openssl", "/usr/local/bin/coap-server"];

/// Ports of CoAP, and of CoAP over DTLS.
const PORTS: (u16, u16) = (5683, 5684);

/// A loopback address that no other test on this machine has, as far as 24 bits can tell.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let next = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed) % 120).unwrap();
    Ipv4Addr::new(127, 100 + next, high.wrapping_add(1), low)
}

/// A server that can be killed and started again at the same address.
pub struct LibCoap {
    address: Ipv4Addr,
    key: String,
    process: Option<Process>,
}

impl LibCoap {
    /// With this key for whatever identity; resources that somebody PUTs come into being.
    pub fn start(key: &str) -> Self {
        let mut server = Self { address: own_address(), key: key.to_owned(), process: None };
        server.again();
        server
    }

    /// Starts it once more. It has forgotten everything.
    pub fn again(&mut self) {
        let mut command = Command::new(program());
        command.args(["-A", &self.address.to_string(), "-d", "10", "-k", &self.key, "-v", "3"]);
        self.process = Some(Process::start(command.stdin(Stdio::null()).stderr(Stdio::null())));
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), PORTS.0)
    }

    /// Where it speaks DTLS.
    pub fn secure_address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), PORTS.1)
    }
}

/// The program; it is installed where it is missing and that is allowed.
///
/// Panics with what to do where it is missing and cannot be installed.
fn program() -> &'static str {
    static PROGRAM: OnceLock<&'static str> = OnceLock::new();
    let find = || PROGRAMS.into_iter().find(|place| Path::new(place).exists());
    PROGRAM.get_or_init(|| {
        find().unwrap_or_else(|| {
            let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup.sh");
            let output = Command::new("sh").arg(setup).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            find().expect("libcoap's server")
        })
    })
}
