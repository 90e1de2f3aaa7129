//! A disk in memory.

use usp_core::output::{BatchId, Snapshot, StoreOp};

/// What it does with the next batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    /// Keeps them.
    #[default]
    Good,
    /// Refuses them with this text.
    Full(String),
    /// Says nothing until it is asked.
    Slow,
}

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) snapshot: Snapshot,
    pub(crate) mood: Mood,
    /// Batches that wait in a slow disk; more than one would break the core's promise.
    pub(crate) open: Vec<(BatchId, Vec<StoreOp>)>,
    /// How many batches were kept.
    pub(crate) batches: usize,
}

impl Disk {
    /// Takes a batch; `None`: the word on it comes later.
    pub(crate) fn write(&mut self, batch: BatchId, ops: Vec<StoreOp>) -> Option<Result<(), String>> {
        assert!(self.open.is_empty(), "a second batch is under way");
        assert!(!ops.is_empty(), "an empty batch");
        match self.mood.clone() {
            Mood::Good => {
                self.apply(ops);
                Some(Ok(()))
            }
            Mood::Full(text) => Some(Err(text)),
            Mood::Slow => {
                self.open.push((batch, ops));
                None
            }
        }
    }

    /// A crash loses what was not kept.
    pub(crate) fn forget_open(&mut self) {
        self.open.clear();
        self.mood = Mood::Good;
    }

    /// Keeps a batch.
    pub(crate) fn apply(&mut self, ops: Vec<StoreOp>) {
        self.batches += 1;
        for op in ops {
            self.apply_one(op);
        }
    }

    fn apply_one(&mut self, op: StoreOp) {
        let Snapshot { rows, highest, identities, notifications, meta } = &mut self.snapshot;
        match op {
            StoreOp::PutRow { path, params } => put(rows, path, params),
            StoreOp::DeleteRow { path } => rows.retain(|(p, _)| *p != path),
            StoreOp::PutHighest { table, number } => put(highest, table, number),
            StoreOp::ForgetNumbers { below } => highest.retain(|(t, _)| !t.starts_with(&below)),
            StoreOp::PutIdentity { table, id, number } => {
                identities.retain(|(t, i, _)| (&**t, &**i) != (&*table, &*id));
                identities.push((table.to_string(), id.to_string(), number));
            }
            StoreOp::PutNotification { id, bytes } => put(notifications, id, bytes),
            StoreOp::DeleteNotification { id } => notifications.retain(|(i, _)| *i != id),
            StoreOp::PutMeta { key, value } => put(meta, key, value),
        }
    }

    /// One stored Parameter.
    pub(crate) fn stored(&self, path: &str, name: &str) -> Option<String> {
        let (_, params) = self.snapshot.rows.iter().find(|(p, _)| p == path)?;
        params.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    /// Paths of all stored rows that begin like this.
    pub(crate) fn rows(&self, prefix: &str) -> Vec<String> {
        let all = self.snapshot.rows.iter().map(|(p, _)| p.clone());
        all.filter(|p| p.starts_with(prefix)).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

fn put<K: PartialEq, V>(list: &mut Vec<(K, V)>, key: K, value: V) {
    match list.iter_mut().find(|(k, _)| *k == key) {
        Some(found) => found.1 = value,
        None => list.push((key, value)),
    }
}
