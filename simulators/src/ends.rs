//! Where a device is reached: a pseudo-terminal with a name that stays the same, or a TCP port.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serial2::SerialPort;

/// How long one look for bytes takes.
const LOOK: Duration = Duration::from_millis(5);

/// One end of a line.
pub(crate) enum Ends {
    /// A pseudo-terminal, and the name that leads to it.
    Terminal {
        name: Option<PathBuf>,
        path: PathBuf,
        /// Our side, and the other, which is held open so that somebody may close it and open it again.
        pair: Option<(SerialPort, SerialPort)>,
    },
    /// A TCP port with one connection at a time.
    Tcp { address: SocketAddr, listener: Option<TcpListener>, stream: Option<TcpStream> },
}

impl Ends {
    pub(crate) fn terminal(name: Option<&Path>) -> io::Result<Self> {
        let mut ends = Self::Terminal { name: name.map(Path::to_path_buf), path: PathBuf::new(), pair: None };
        ends.plug()?;
        Ok(ends)
    }

    pub(crate) fn tcp(address: SocketAddr) -> io::Result<Self> {
        let mut ends = Self::Tcp { address, listener: None, stream: None };
        ends.plug()?;
        Ok(ends)
    }

    pub(crate) fn place(&self) -> (Option<PathBuf>, Option<SocketAddr>) {
        match self {
            Self::Terminal { name, path, .. } => (Some(name.clone().unwrap_or_else(|| path.clone())), None),
            Self::Tcp { address, .. } => (None, Some(*address)),
        }
    }

    /// Everything vanishes.
    pub(crate) fn unplug(&mut self) {
        match self {
            Self::Terminal { name, pair, .. } => {
                *pair = None;
                if let Some(name) = name {
                    fs::remove_file(name).ok();
                }
            }
            Self::Tcp { listener, stream, .. } => {
                *stream = None;
                *listener = None;
            }
        }
    }

    /// It is there again, by the same name.
    pub(crate) fn plug(&mut self) -> io::Result<()> {
        match self {
            Self::Terminal { name, path, pair } if pair.is_none() => {
                let (mut ours, theirs) = SerialPort::pair()?;
                *path = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd()))?;
                ours.set_read_timeout(LOOK)?;
                ours.set_write_timeout(Duration::from_millis(200))?;
                if let Some(name) = name {
                    fs::remove_file(&*name).ok();
                    symlink(&*path, &*name)?;
                }
                *pair = Some((ours, theirs));
            }
            Self::Tcp { address, listener, .. } if listener.is_none() => {
                let bound = TcpListener::bind(*address)?;
                bound.set_nonblocking(true)?;
                *address = bound.local_addr()?;
                *listener = Some(bound);
            }
            _ => {}
        }
        Ok(())
    }

    /// What has come, after a short look.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        match self {
            Self::Terminal { pair: Some((ours, _)), .. } => ours.read(buffer).unwrap_or(0),
            Self::Tcp { listener: Some(listener), stream, .. } => {
                if let Ok((accepted, _)) = listener.accept() {
                    let set = accepted.set_nonblocking(false).and(accepted.set_read_timeout(Some(LOOK)));
                    *stream = Some(accepted).filter(|_| set.is_ok());
                }
                let Some(open) = stream else { return wait() };
                match open.read(buffer) {
                    Ok(0) => {
                        *stream = None;
                        0
                    }
                    Ok(count) => count,
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                    {
                        0
                    }
                    Err(_) => {
                        *stream = None;
                        0
                    }
                }
            }
            _ => wait(),
        }
    }

    /// Says something, if anybody is there.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self {
            // Nobody reads a full terminal.
            Self::Terminal { pair: Some((ours, _)), .. } => drop(ours.write_all(bytes)),
            Self::Tcp { stream: Some(stream), .. } => drop(stream.write_all(bytes)),
            _ => {}
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.unplug();
    }
}

#[expect(clippy::disallowed_methods, reason = "a line's thread has nothing else to do")]
fn wait() -> usize {
    std::thread::sleep(LOOK);
    0
}
