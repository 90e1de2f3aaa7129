//! What buses keep beside the core's own rows: network keys, and who is in a network.
//!
//! All of it is in memory, as it is on disk or on its way there, so that a bus has what it kept last at once. Values are shown
//! nowhere; the file is readable by its owner alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, params};
use tokio::sync::{mpsc, oneshot};
use usp_adapters::{Keeper, Kept};

use super::GONE;
use super::worker::Command;

/// One value, or that it is to be forgotten.
pub(super) struct Value {
    pub(super) bus: String,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

/// By bus and key.
type All = BTreeMap<(String, String), Vec<u8>>;

/// Keeps values for buses in the store. It holds the store open no longer than its owner does.
#[derive(Clone)]
pub(crate) struct StoreKeeper {
    all: Arc<Mutex<All>>,
    commands: mpsc::WeakSender<Command>,
}

impl fmt::Debug for StoreKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKeeper(…)")
    }
}

impl StoreKeeper {
    pub(super) fn new(all: All, commands: &mpsc::Sender<Command>) -> Self {
        Self { all: Arc::new(Mutex::new(all)), commands: commands.downgrade() }
    }

    /// Nothing is kept any more.
    pub(super) fn forget(&self) {
        self.locked().clear();
    }

    fn locked(&self) -> MutexGuard<'_, All> {
        // It is whole after each operation: a panic elsewhere says nothing about it.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, Value { bus, key, value }: &Value) {
        let (place, mut all) = ((bus.clone(), key.clone()), self.locked());
        match value {
            Some(value) => drop(all.insert(place, value.clone())),
            None => drop(all.remove(&place)),
        }
    }
}

impl Keeper for StoreKeeper {
    fn all(&self, bus: &str) -> Vec<(String, Vec<u8>)> {
        let all = self.locked();
        let own = all.iter().filter(|((of, _), _)| of == bus);
        own.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    fn keep(&self, bus: &str, key: &str, value: Option<Vec<u8>>) -> Kept<'_> {
        let value = Value { bus: bus.to_owned(), key: key.to_owned(), value };
        Box::pin(async move {
            let commands = self.commands.upgrade().ok_or_else(|| GONE.to_owned())?;
            let (done, answer) = oneshot::channel();
            let before = self.locked().get(&(value.bus.clone(), value.key.clone())).cloned();
            self.note(&value);
            let back = Value { bus: value.bus.clone(), key: value.key.clone(), value: before };
            let command = Command::Keep { value, done: Box::new(move |result| drop(done.send(result))) };
            let sent = commands.send(command).await.map_err(|_| GONE.to_owned());
            drop(commands);
            let kept = match sent {
                Ok(()) => answer.await.unwrap_or_else(|_| Err(GONE.to_owned())),
                Err(why) => Err(why),
            };
            if kept.is_err() {
                self.note(&back);
            }
            kept
        })
    }
}

/// Carries out one order inside a transaction.
pub(super) fn apply(transaction: &Transaction<'_>, value: &Value) -> rusqlite::Result<()> {
    let Value { bus, key, value } = value;
    let done = match value {
        Some(value) => transaction.execute(
            "INSERT OR REPLACE INTO kept (bus, key, value) VALUES (?1, ?2, ?3)",
            params![bus, key, value],
        ),
        None => transaction.execute("DELETE FROM kept WHERE bus = ?1 AND key = ?2", params![bus, key]),
    };
    done.map(drop)
}

/// Reads everything.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<All> {
    let mut statement = connection.prepare("SELECT bus, key, value FROM kept")?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}
