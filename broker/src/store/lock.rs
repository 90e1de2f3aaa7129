//! One process a state directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::StoreError;

const LOCK_NAME: &str = "broker.lock";

/// How long the directory may still belong to another process: a supervisor can start the next one before the system has
/// cleaned up after the last, and a child that is just being started holds the lock of its parent until it runs.
const PATIENCE: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_millis(10);

/// Holds a state directory for this process; the system frees it however the process ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the directory. A predecessor that is just ending is waited for, a second at most.
    ///
    /// Errors: [`StoreError::Busy`] names the process that has it.
    pub fn take(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(LOCK_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::io(&path, source))?;
        match wait_for(&file) {
            Ok(()) => {
                // The number is a courtesy to whoever comes second; the lock works without it.
                note_pid(&mut file).ok();
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::Busy { path: state_dir.to_owned(), pid: read_pid(&mut file) })
            }
            Err(TryLockError::Error(source)) => Err(StoreError::io(&path, source)),
        }
    }
}

fn wait_for(file: &File) -> Result<(), TryLockError> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => thread::park_timeout(PAUSE),
            result => return result,
        }
    }
}

fn note_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    write!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    let pid = text.trim();
    (!pid.is_empty()).then(|| pid.to_owned())
}

/// Makes the state directory with mode 0700, if there is none, and its name durable.
pub(super) fn make_dir(state_dir: &Path) -> Result<(), StoreError> {
    if state_dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(|source| StoreError::io(state_dir, source))?;
    match state_dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Makes a file with mode 0600, if there is none; SQLite gives its log the same mode.
pub(super) fn make_file(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| StoreError::io(path, source))
}

/// Gives what a restore has made to the owner of the state directory: root puts a backup back for a broker that runs as
/// somebody else.
pub(super) fn give_to_owner(state_dir: &Path, store: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(state_dir).map_err(|source| StoreError::io(state_dir, source))?;
    for file in [store, &state_dir.join(LOCK_NAME)] {
        let give = |made: fs::Metadata| {
            if made.uid() == owner.uid() { Ok(()) } else { chown(file, Some(owner.uid()), Some(owner.gid())) }
        };
        fs::metadata(file).and_then(give).map_err(|source| StoreError::io(file, source))?;
    }
    Ok(())
}

/// Makes what happened in a directory (a new name, a rename) durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| StoreError::io(dir, source))
}
