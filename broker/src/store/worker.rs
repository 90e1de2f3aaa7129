//! The thread that owns the file.

use rusqlite::{Connection, Transaction};
use tokio::sync::mpsc;
use usp_core::output::StoreOp;

use super::error::write_text;
use super::kept::{self, Value};
use super::lock::StateLock;
use super::rows;

/// Called once with what came of an order.
pub(super) type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// One transaction.
pub(super) enum Command {
    /// All of this, durably.
    Write { ops: Vec<StoreOp>, done: Done },
    /// This value of a bus.
    Keep { value: Value, done: Done },
    /// Nothing but this.
    Clear { keep: &'static [&'static str], done: Done },
}

impl Command {
    /// Tells what came of it.
    pub(super) fn done(self, result: Result<(), String>) {
        match self {
            Self::Write { done, .. } | Self::Keep { done, .. } | Self::Clear { done, .. } => done(result),
        }
    }
}

/// Runs until every sender is gone; the lock is released after the file is closed.
pub(super) fn run(mut connection: Connection, lock: StateLock, mut inbox: mpsc::Receiver<Command>) {
    while let Some(command) = inbox.blocking_recv() {
        let result = match &command {
            Command::Write { ops, .. } => write(&mut connection, ops),
            Command::Keep { value, .. } => {
                in_transaction(&mut connection, |transaction| kept::apply(transaction, value))
            }
            Command::Clear { keep, .. } => clear(&mut connection, keep),
        };
        command.done(result.map_err(|error| write_text(&error)));
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the store did not close cleanly; nothing written is lost");
    }
    drop(lock);
}

fn write(connection: &mut Connection, ops: &[StoreOp]) -> rusqlite::Result<()> {
    in_transaction(connection, |transaction| ops.iter().try_for_each(|op| rows::apply(transaction, op)))
}

fn clear(connection: &mut Connection, keep: &[&str]) -> rusqlite::Result<()> {
    in_transaction(connection, |transaction| rows::clear(transaction, keep))
}

/// Commits when `work` succeeds; otherwise the transaction is rolled back as it goes out of scope.
fn in_transaction(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    work(&transaction)?;
    transaction.commit()
}
