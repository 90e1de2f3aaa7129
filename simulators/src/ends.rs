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
            Self::Terminal { name, path, pair } => {
                *pair = None;
                if let Some(name) = name.as_deref().filter(|name| leads_to(name, path)) {
                    fs::remove_file(name).ok();
                }
            }
            Self::Tcp { listener, stream, .. } => {
                *stream = None;
                *listener = None;
            }
        }
    }

    /// It is there again, by the same name. Errors: there is no pseudo-terminal to be had, the port is taken, or the name is.
    pub(crate) fn plug(&mut self) -> io::Result<()> {
        match self {
            Self::Terminal { name, path, pair } if pair.is_none() => {
                let (mut ours, theirs) = SerialPort::pair()?;
                *path = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd()))?;
                ours.set_read_timeout(LOOK)?;
                ours.set_write_timeout(Duration::from_millis(200))?;
                if let Some(name) = name {
                    link(path, name)?;
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

/// Where pseudo-terminals are.
const TERMINALS: &str = "/dev/pts";

/// Whether this is a name for that, and nothing else.
fn leads_to(name: &Path, place: &Path) -> bool {
    fs::read_link(name).is_ok_and(|leads| leads.starts_with(place))
}

/// Gives a pseudo-terminal a name, be it one that an earlier one has left behind. Errors: something else has it, which is left alone.
fn link(path: &Path, name: &Path) -> io::Result<()> {
    if leads_to(name, Path::new(TERMINALS)) {
        fs::remove_file(name)?;
    }
    symlink(path, name).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "it is there already, and no link to a pseudo-terminal".to_owned()
            }
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("{}: {why}", name.display()))
    })
}

#[expect(clippy::disallowed_methods, reason = "a line's thread has nothing else to do")]
fn wait() -> usize {
    std::thread::sleep(LOOK);
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_from_nothing_but_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let (name, other) = (dir.path().join("p1"), dir.path().join("notes"));
        fs::write(&other, "mine").unwrap();
        fs::write(&name, "mine").unwrap();
        let refused = Ends::terminal(Some(&name)).err().expect("a file has this name").to_string();
        assert!(refused.contains("p1: it is there already"), "{refused}");
        assert_eq!(fs::read(&name).unwrap(), b"mine");
        fs::remove_file(&name).unwrap();
        symlink(&other, &name).unwrap();
        assert!(Ends::terminal(Some(&name)).is_err(), "somebody's link");
        assert_eq!(fs::read(&name).unwrap(), b"mine");
        // Left behind by one that was killed.
        fs::remove_file(&name).unwrap();
        symlink("/dev/pts/1000000", &name).unwrap();
        let ends = Ends::terminal(Some(&name)).unwrap();
        assert!(leads_to(&name, Path::new(TERMINALS)));
        // Another has the name now.
        fs::remove_file(&name).unwrap();
        symlink(&other, &name).unwrap();
        drop(ends);
        assert_eq!(fs::read(&name).unwrap(), b"mine");
        fs::remove_file(&name).unwrap();
        drop(Ends::terminal(Some(&name)).unwrap());
        assert!(fs::symlink_metadata(&name).is_err(), "it goes with its terminal");
    }
}
