//! Why the store cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be opened, copied or put back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its directory cannot be used.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The user of this process may not use the file or its directory.
    #[error("no permission to use {path}: run the command as the user that the broker runs as, or as root", path = .path.display())]
    Denied {
        /// Which.
        path: PathBuf,
    },
    /// There is a store already where one is to be put back.
    #[error("{path} is there already; --force replaces it", path = .path.display())]
    Occupied {
        /// The present store.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the state directory {path} is in use by another usp-broker{}", pid_text(.pid.as_deref()), path = .path.display())]
    Busy {
        /// The state directory.
        path: PathBuf,
        /// The other process, if it has left its number.
        pid: Option<String>,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("the store {path} is damaged ({detail}); put a backup back with `usp-broker restore`, or move the file away to start anew", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The file is a database of some other program.
    #[error("{path} is not a store of usp-broker", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is to be put back cannot be.
    #[error("{path} is not a backup: {detail}", path = .path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer usp-broker wrote it.
    #[error("the store {path} has version {found}, this usp-broker knows versions up to {known}; use the newer usp-broker, or a backup made before the upgrade", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// There is nothing to copy.
    #[error("there is no store at {path}", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refuses.
    #[error("the store {path}: {source}", path = .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts an error of SQLite: damage is said as such.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged { path, detail: source.to_string() },
            _ => Self::Sqlite { path, source },
        }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, source },
        }
    }
}

fn pid_text(pid: Option<&str>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// What is answered to a Controller whose change could not be kept.
pub(super) fn write_text(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(rusqlite::ErrorCode::ReadOnly) => "the disk is read-only".to_owned(),
        _ => format!("the store cannot be written: {error}"),
    }
}
