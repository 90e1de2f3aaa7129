//! A listening socket: its file, and who is let in (R-UDS.2, R-UDS.3).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};
use usp_core::input::Side;

use super::connection;
use crate::mtp::{ACCEPT_PAUSE, Gateway, Places};

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("the socket {path} is in use by another process", path = .0.display())]
    InUse(PathBuf),
    /// Something else has this name.
    #[error("{path} exists and is not a socket", path = .0.display())]
    NotASocket(PathBuf),
    /// The system says so.
    #[error("the socket {path}: {source}", path = .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
}

/// A bound socket. Its file is removed with it, unless another one has taken the place.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: Option<u64>,
    side: Side,
}

impl Socket {
    /// Binds `path`; a file that a dead process left behind is replaced.
    ///
    /// Errors: somebody listens there, or the path cannot be used.
    pub(crate) fn bind(path: &Path, mode: u32, side: Side) -> Result<Self, BindError> {
        let wrong = |source| BindError::Io { path: path.to_owned(), source };
        remove_stale(path)?;
        make_folder(path);
        let listener = UnixListener::bind(path).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(path.to_owned()),
            _ => wrong(source),
        })?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(wrong)?;
        Ok(Self { listener, inode: inode(path), path: path.to_owned(), side })
    }

    /// Lets peers in until the gateway stops.
    pub(crate) async fn serve(self, gateway: Gateway) {
        let places = Places::new(&gateway.limits);
        loop {
            let accepted = tokio::select! {
                () = gateway.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream, &gateway, &places),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: UnixStream, gateway: &Gateway, places: &Places) {
        let shaking = places.handshake();
        gateway.tasks.spawn(connection::run(stream, self.side, gateway.clone(), places.clone(), shaking));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.path) == self.inode {
            // It may be gone already; a stale file is replaced at the next start.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The well-known folder is on a disk that is empty after each boot. Whatever goes wrong shows when the socket is made.
fn make_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        DirBuilder::new().mode(0o755).create(folder).ok();
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.ino())
}

/// Removes a socket file on which nobody listens.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| BindError::Io { path: path.to_owned(), source })
        }
        _ => Err(BindError::InUse(path.to_owned())),
    }
}
