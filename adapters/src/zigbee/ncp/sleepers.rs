//! Devices that sleep: what is sent to them takes longer.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most that are remembered.
const MOST: usize = 1024;

/// Addresses of devices that sleep.
#[derive(Debug, Default)]
pub(super) struct Sleepers(Mutex<BTreeSet<u16>>);

impl Sleepers {
    pub(super) fn insert(&self, nwk: u16) {
        let mut sleepers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sleepers.len() < MOST {
            sleepers.insert(nwk);
        }
    }

    pub(super) fn contains(&self, nwk: u16) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&nwk)
    }
}
