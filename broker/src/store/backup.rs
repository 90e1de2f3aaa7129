//! A hub's memory as one file, and back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::lock::{self, StateLock};
use super::{FILE_NAME, schema};

/// Copies the store of `state_dir` into `file`, also while a broker runs on it. A former `file` is replaced only when
/// the copy is complete and durable.
///
/// Errors: there is no store, it may not be read, it is damaged or newer, or `file` cannot be written.
pub fn backup(state_dir: &Path, file: &Path) -> Result<(), StoreError> {
    let source = state_dir.join(FILE_NAME);
    if !exists(&source)? {
        return Err(StoreError::Missing { path: source });
    }
    let connection = schema::connect(&source)?;
    schema::check(&connection, &source)?;
    replace(file, |part| {
        connection
            .execute("VACUUM INTO ?1", [part.to_string_lossy()])
            .map(drop)
            .map_err(|error| StoreError::sqlite(file, error))
    })
}

/// Puts `file` back as the store of `state_dir`. A former store is replaced only if `replaces` says so, and when
/// everything is in place.
///
/// Errors: a broker runs on `state_dir`; there is a store in it that is to stay; `file` is missing, damaged, foreign or
/// newer.
pub fn restore(state_dir: &Path, file: &Path, replaces: bool) -> Result<(), StoreError> {
    if !exists(file)? {
        return Err(StoreError::Missing { path: file.to_owned() });
    }
    lock::make_dir(state_dir)?;
    let _lock = StateLock::take(state_dir)?;
    let target = state_dir.join(FILE_NAME);
    if !replaces && exists(&target)? {
        return Err(StoreError::Occupied { path: target });
    }
    replace(&target, |part| {
        copy_checked(file, part)?;
        lock::give_to_owner(state_dir, part)?;
        put_log_away(&target)
    })
}

/// Whether a file is there. Errors: it may not even be looked for.
fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|source| StoreError::io(path, source))
}

/// What the old log holds belongs to the old file: it is moved in there, so that no moment leaves half of either store.
/// If the old store is too damaged for that, its log goes.
fn put_log_away(target: &Path) -> Result<(), StoreError> {
    if let Ok(old) = schema::connect(target) {
        old.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").ok();
    }
    ["-wal", "-shm"].iter().try_for_each(|suffix| remove(&with_suffix(target, suffix)))
}

/// The file in question is not the broker's own store.
fn not_a_backup(error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged { path, detail } => StoreError::NotABackup { path, detail },
        StoreError::Foreign { path } => {
            StoreError::NotABackup { path, detail: "nothing of usp-broker is in it".to_owned() }
        }
        other => other,
    }
}

/// A copy is checked, not the file itself: looking into a file with SQLite may change it.
fn copy_checked(file: &Path, part: &Path) -> Result<(), StoreError> {
    let mut from = fs::File::open(file).map_err(|source| StoreError::io(file, source))?;
    fs::OpenOptions::new()
        .write(true)
        .open(part)
        .and_then(|mut to| io::copy(&mut from, &mut to))
        .map_err(|source| StoreError::io(part, source))?;
    let connection = schema::connect(part)?;
    let version = schema::check(&connection, file);
    match version.map_err(not_a_backup)? {
        0 => Err(not_a_backup(StoreError::Foreign { path: file.to_owned() })),
        _ => Ok(()),
    }
}

/// Lets `make` write a file beside `target`, makes it durable and puts it in `target`'s place.
fn replace(target: &Path, make: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let part = with_suffix(target, ".part");
    remove(&part)?;
    let done = lock::make_file(&part).and_then(|()| make(&part)).and_then(|()| settle(&part, target));
    if done.is_err() {
        remove(&part)?;
    }
    done
}

fn settle(part: &Path, target: &Path) -> Result<(), StoreError> {
    fs::File::open(part).and_then(|file| file.sync_all()).map_err(|source| StoreError::io(part, source))?;
    fs::rename(part, target).map_err(|source| StoreError::io(target, source))?;
    match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => lock::sync_dir(dir),
        _ => lock::sync_dir(Path::new(".")),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}
