//! The pure state machine of usp-broker.

pub mod config;
pub mod input;
pub mod output;
pub mod time;

use config::CoreConfig;
use input::Input;
use output::{Output, Snapshot};
use time::{Mono, Now};

/// The broker: one owner of the data model, of requests, Services, Subscriptions and access.
///
/// Contract: give it one input with [`handle`](Self::handle), then take outputs with
/// [`poll_output`](Self::poll_output) until there is none, then wait until the next input or the instant of
/// [`poll_timeout`](Self::poll_timeout), at which [`handle_timeout`](Self::handle_timeout) is due.
pub struct Broker {}

impl Broker {
    /// Builds the state from what was on disk. The first outputs are due at once.
    pub fn new(_config: CoreConfig, _snapshot: Snapshot, _now: Now) -> Result<Self, StartError> {
        Ok(Self {})
    }

    /// Takes in one event.
    pub fn handle(&mut self, _now: Now, _input: Input) {}

    /// The next order for the caller, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, _now: Now) {}
}

/// Why the core cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A seed of the configuration does not fit the data model.
    #[error("{path}: {problem}")]
    Seed {
        /// Which row or Parameter.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What was on disk cannot be understood.
    #[error("the store is damaged: {0}")]
    Snapshot(String),
}
