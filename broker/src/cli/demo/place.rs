//! The folder that a demo lives in.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::client::random_text;

/// Bytes that the path of a socket may have: `sun_path` has 108, the last of them is zero.
const MAX_SOCKET_PATH: usize = 107;

/// A folder for sockets, state, logs and generated files. A temporary one is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    temporary: bool,
}

impl Place {
    /// Makes the folder if it is not there.
    pub(super) fn prepare(dir: Option<PathBuf>) -> Result<Self, Failure> {
        let (dir, temporary) = match dir {
            Some(dir) => (absolute(&dir)?, false),
            None => (temporary_dir(), true),
        };
        check_length(&dir)?;
        make(&dir)
            .map_err(|error| Failure::failed(format!("cannot make the folder {}: {error}", dir.display())))?;
        let place = Self { dir, temporary };
        // Its files must not be written anew under its feet.
        if UnixStream::connect(place.agent_path()).is_ok() {
            let dir = place.dir.display();
            return Err(Failure::failed(format!(
                "a broker is running in {dir} already; choose another --dir"
            )));
        }
        Ok(place)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it will be removed.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("broker.toml")
    }

    pub(super) fn site(&self) -> PathBuf {
        self.dir.join("site.yaml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("demo.log")
    }

    /// A name for a serial line, as `/dev/serial/by-id` has them: its device file is another one each time that it is plugged in. `None`: the
    /// site file, which is text, cannot name the folder.
    pub(super) fn line(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.join(name)).filter(|path| path.to_str().is_some())
    }

    /// For Controllers.
    pub(super) fn agent_path(&self) -> PathBuf {
        self.dir.join("broker_agent_path")
    }

    /// For Services.
    pub(super) fn controller_path(&self) -> PathBuf {
        self.dir.join("broker_controller_path")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            // Whatever cannot be removed stays for the system's own cleaning.
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// The second terminal may be in another folder.
fn absolute(dir: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(dir).map_err(|error| Failure::invalid(format!("--dir {}: {error}", dir.display())))
}

/// Where the system's own folder for such things has too long a name, `/tmp` has not.
fn temporary_dir() -> PathBuf {
    let name = format!("usp-demo-{:.8}", random_text());
    let usual = std::env::temp_dir().join(&name);
    if check_length(&usual).is_ok() { usual } else { Path::new("/tmp").join(name) }
}

fn check_length(dir: &Path) -> Result<(), Failure> {
    let socket = dir.join("broker_controller_path");
    match socket.as_os_str().as_bytes().len() {
        0..=MAX_SOCKET_PATH => Ok(()),
        long => Err(Failure::invalid(format!(
            "the socket {} would have a path of {long} bytes, and the system allows {MAX_SOCKET_PATH}: \
             choose a --dir with a shorter path",
            socket.display()
        ))),
    }
}

/// For nobody but us: whoever may open the sockets may do everything.
fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_place_vanishes_and_a_chosen_one_stays() {
        let place = Place::prepare(None).unwrap();
        let dir = place.dir().to_owned();
        assert!(dir.is_dir() && place.is_temporary());
        drop(place);
        assert!(!dir.exists());

        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        drop(Place::prepare(Some(dir.clone())).unwrap());
        assert!(dir.is_dir());
    }

    #[test]
    fn a_place_where_a_broker_runs_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::prepare(Some(parent.path().to_owned())).unwrap();
        let _broker = std::os::unix::net::UnixListener::bind(place.agent_path()).unwrap();
        let error = Place::prepare(Some(parent.path().to_owned())).unwrap_err().to_string();
        assert!(error.contains("is running in"), "{error}");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let dir = Path::new("/tmp").join("x".repeat(100));
        let error = Place::prepare(Some(dir.clone())).unwrap_err().to_string();
        assert!(error.contains("128 bytes, and the system allows 107"), "{error}");
        assert!(!dir.exists());
    }
}
