//! What a bus has to know again after a restart: kept by whoever starts the adapters.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tells whether something is kept; an `Err` names what failed, and what was kept before is kept then.
pub type Kept<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Keeps small values for buses, each under the name of its bus and a key. They may be secrets: nobody else may read where
/// they are, and they are shown nowhere.
pub trait Keeper: Debug + Send + Sync {
    /// Everything that is kept for a bus, by key.
    fn all(&self, bus: &str) -> Vec<(String, Vec<u8>)>;

    /// Keeps a value in place of any former one; `None` forgets it. The answer comes once that is on disk.
    fn keep(&self, bus: &str, key: &str, value: Option<Vec<u8>>) -> Kept<'_>;
}

/// A keeper that forgets everything when it is dropped.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<(String, String), Vec<u8>>>);

impl Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(…)")
    }
}

impl Memory {
    /// It holds this.
    pub fn with(all: BTreeMap<(String, String), Vec<u8>>) -> Self {
        Self(Mutex::new(all))
    }

    /// Keeps a value, or forgets it.
    pub fn put(&self, bus: &str, key: &str, value: Option<Vec<u8>>) {
        let (place, mut all) = ((bus.to_owned(), key.to_owned()), self.locked());
        match value {
            Some(value) => drop(all.insert(place, value)),
            None => drop(all.remove(&place)),
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<(String, String), Vec<u8>>> {
        // It is whole after each operation: a panic elsewhere says nothing about it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Memory {
    fn all(&self, bus: &str) -> Vec<(String, Vec<u8>)> {
        let all = self.locked();
        let own = all.iter().filter(|((of, _), _)| of == bus);
        own.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    fn keep(&self, bus: &str, key: &str, value: Option<Vec<u8>>) -> Kept<'_> {
        self.put(bus, key, value);
        Box::pin(std::future::ready(Ok(())))
    }
}
