//! What outlives the process: an embedded SQLite file on a thread of its own.
//!
//! One batch of the core is one transaction. The core keeps one batch under way and gathers the next meanwhile, so the
//! group commit is the core's; here each commit is one `fsync` of the write-ahead log. Nothing that devices report is kept.

mod backup;
mod error;
mod kept;
mod lock;
mod rows;
mod schema;
mod worker;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use usp_core::output::{Snapshot, StoreOp};

pub use backup::{backup, restore};
pub use error::StoreError;
pub(crate) use kept::StoreKeeper;
pub use lock::StateLock;
pub use schema::VERSION;

use worker::Command;

/// Name of the file in the state directory.
pub const FILE_NAME: &str = "broker.db";

/// Orders that may wait for the thread; the core sends one batch at a time.
const QUEUE: usize = 8;

/// The open store: a handle to its thread.
///
/// The state directory stays locked until [`close`](Self::close) has returned or the process ends.
#[derive(Debug)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    keeper: StoreKeeper,
}

impl Store {
    /// Opens (or makes) the store in `state_dir` and reads all of it.
    ///
    /// Makes the directory with mode 0700 and the file with mode 0600; an older file is migrated.
    ///
    /// Errors: the directory cannot be used, another broker has it, the file is damaged, foreign or newer.
    pub fn open(state_dir: &Path) -> Result<(Self, Snapshot), StoreError> {
        lock::make_dir(state_dir)?;
        let lock = StateLock::take(state_dir)?;
        let path = state_dir.join(FILE_NAME);
        let connection = schema::open(&path)?;
        let snapshot = rows::load(&connection).map_err(|source| StoreError::sqlite(&path, source))?;
        let kept = kept::load(&connection).map_err(|source| StoreError::sqlite(&path, source))?;
        let (commands, inbox) = mpsc::channel(QUEUE);
        let keeper = StoreKeeper::new(kept, &commands);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || worker::run(connection, lock, inbox))
            .map_err(|source| StoreError::Io { path: path.clone(), source })?;
        Ok((Self { commands, thread: Some(thread), path, keeper }, snapshot))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps what buses have to know again after a restart.
    pub(crate) fn keeper(&self) -> StoreKeeper {
        self.keeper.clone()
    }

    /// Hands over one transaction: all of `ops`, durably, or none of them. `done` is called from the store's thread, or
    /// at once when the store cannot take it; an `Err` names what failed, and the old state is kept then.
    pub fn submit(&self, ops: Vec<StoreOp>, done: impl FnOnce(Result<(), String>) + Send + 'static) {
        if let Err(refused) = self.commands.try_send(Command::Write { ops, done: Box::new(done) }) {
            let why = match &refused {
                TrySendError::Full(_) => "too many changes wait for the disk",
                TrySendError::Closed(_) => GONE,
            };
            refused.into_inner().done(Err(why.to_owned()));
        }
    }

    /// As [`submit`](Self::submit), for one who waits.
    pub async fn write(&self, ops: Vec<StoreOp>) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        // Whoever asked may have stopped waiting; what is written stays written.
        self.submit(ops, move |result| drop(done.send(result)));
        answer.await.unwrap_or_else(|_| Err(GONE.to_owned()))
    }

    /// Forgets everything except single values whose names begin with one of `keep`, in one transaction
    /// (`Device.FactoryReset()`).
    ///
    /// Errors: the text names what failed; nothing was forgotten then.
    pub async fn clear(&self, keep: &'static [&'static str]) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let command = Command::Clear { keep, done: Box::new(move |result| drop(done.send(result))) };
        self.commands.send(command).await.map_err(|_| GONE.to_owned())?;
        answer.await.unwrap_or_else(|_| Err(GONE.to_owned()))?;
        self.keeper.forget();
        Ok(())
    }

    /// Ends the thread when everything before is done, closes the file and releases the lock.
    pub async fn close(self) {
        // A panic of the thread has been reported by its own hook.
        tokio::task::spawn_blocking(move || drop(self)).await.ok();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let (commands, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.commands, commands));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

const GONE: &str = "the store has stopped";

#[cfg(test)]
mod tests;
