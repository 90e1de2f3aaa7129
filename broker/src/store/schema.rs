//! Tables of the store and how older files become newer ones.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::lock;

/// `PRAGMA application_id` of our files: "USPB".
const APPLICATION_ID: i32 = 0x5553_5042;

/// What leads from version `n` to version `n + 1`; a fresh file is version 0. Never changed once released: the next
/// version is one entry more.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE object (path TEXT PRIMARY KEY, params TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE highest (table_path TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE identity (table_path TEXT, id TEXT, number INTEGER NOT NULL, PRIMARY KEY (table_path, id)) WITHOUT ROWID;
    CREATE TABLE notification (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
",
    // What buses keep: secrets of radio networks, and who is in them.
    "CREATE TABLE kept (bus TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (bus, key)) WITHOUT ROWID;",
];

/// The version of the store that this program writes.
#[expect(clippy::cast_possible_truncation, reason = "a list of a few entries")]
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Opens or makes the file, checks it, and brings it to [`VERSION`].
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    lock::make_file(path)?;
    if let Some(dir) = path.parent() {
        lock::sync_dir(dir)?;
    }
    let mut connection = connect(path)?;
    prepare(&mut connection, path)?;
    Ok(connection)
}

/// Opens an existing file without looking into it.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|source| StoreError::sqlite(path, source))
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let wrong = |source| StoreError::sqlite(path, source);
    let version = check(connection, path)?;
    // The log is made durable at each commit, and kept small: this is flash.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 256;
             PRAGMA journal_size_limit = 1048576; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;
             PRAGMA busy_timeout = 2000;",
        )
        .map_err(wrong)?;
    migrate(connection, version).map_err(wrong)
}

/// Refuses what is not ours, what is damaged and what is newer; says the file's version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let wrong = |source| StoreError::sqlite(path, source);
    let application: i32 = pragma(connection, "application_id").map_err(wrong)?;
    let version: u32 = pragma(connection, "user_version").map_err(wrong)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
    if application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    let verdict: String = pragma(connection, "quick_check(1)").map_err(wrong)?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), detail: verdict });
    }
    Ok(version)
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    if from == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for step in MIGRATIONS.iter().skip(from as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
