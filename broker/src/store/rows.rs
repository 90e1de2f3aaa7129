//! Orders of the core as SQL, and the whole store as a [`Snapshot`].

use rusqlite::{Connection, Row, Transaction, params};
use usp_core::output::{Snapshot, StoreOp};

/// Carries out one order inside a transaction.
pub(super) fn apply(transaction: &Transaction<'_>, op: &StoreOp) -> rusqlite::Result<()> {
    let run = |sql, values| run(transaction, sql, values);
    match op {
        StoreOp::PutRow { path, params } => run(
            "INSERT OR REPLACE INTO object (path, params) VALUES (?1, ?2)",
            params![path, encode(params)?],
        ),
        StoreOp::DeleteRow { path } => run("DELETE FROM object WHERE path = ?1", params![path]),
        StoreOp::PutHighest { table, number } => {
            run("INSERT OR REPLACE INTO highest (table_path, number) VALUES (?1, ?2)", params![table, number])
        }
        // Whatever begins with the path, whose last character is a dot: the next character after it is a slash.
        StoreOp::ForgetNumbers { below } => run(
            "DELETE FROM highest WHERE table_path >= ?1 AND table_path < ?2",
            params![below, format!("{}/", below.trim_end_matches('.'))],
        ),
        StoreOp::PutIdentity { table, id, number } => run(
            "INSERT OR REPLACE INTO identity (table_path, id, number) VALUES (?1, ?2, ?3)",
            params![&**table, &**id, number],
        ),
        StoreOp::PutNotification { id, bytes } => run(
            "INSERT OR REPLACE INTO notification (id, bytes) VALUES (?1, ?2)",
            params![id.cast_signed(), bytes],
        ),
        StoreOp::DeleteNotification { id } => {
            run("DELETE FROM notification WHERE id = ?1", params![id.cast_signed()])
        }
        StoreOp::PutMeta { key, value } => {
            run("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])
        }
    }
}

fn run(transaction: &Transaction<'_>, sql: &str, values: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

/// Forgets everything except single values whose names begin with one of `keep`.
pub(super) fn clear(transaction: &Transaction<'_>, keep: &[&str]) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "DELETE FROM object; DELETE FROM highest; DELETE FROM identity; DELETE FROM notification; DELETE FROM kept;",
    )?;
    let keys: Vec<String> = all(transaction, "SELECT key FROM meta", |row| row.get(0))?;
    keys.iter()
        .filter(|key| !keep.iter().any(|prefix| key.starts_with(prefix)))
        .try_for_each(|key| run(transaction, "DELETE FROM meta WHERE key = ?1", params![key]))
}

/// Reads everything.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Snapshot> {
    Ok(Snapshot {
        rows: all(connection, "SELECT path, params FROM object ORDER BY path", |row| {
            Ok((row.get(0)?, decode(&row.get::<_, String>(1)?)?))
        })?,
        highest: all(connection, "SELECT table_path, number FROM highest ORDER BY table_path", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?,
        identities: all(
            connection,
            "SELECT table_path, id, number FROM identity ORDER BY table_path, number",
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?,
        notifications: all(connection, "SELECT id, bytes FROM notification ORDER BY id", |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
        })?,
        meta: all(connection, "SELECT key, value FROM meta ORDER BY key", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?,
    })
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], map)?.collect()
}

/// A row's Parameters as a JSON array of pairs: readable with any SQLite tool, and the order is kept.
fn encode(params: &[(String, String)]) -> rusqlite::Result<String> {
    serde_json::to_string(params).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn decode(text: &str) -> rusqlite::Result<Vec<(String, String)>> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })
}
