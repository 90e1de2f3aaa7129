//! Which Instance Number belongs to which key of a file: of a device, a node, a capability, a bus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Numbers by table and key. Devices of one model have the same keys below them, which are kept once.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    tables: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u32>>,
    keys: BTreeSet<Arc<str>>,
}

impl Identities {
    /// The number of a key in a table.
    pub(crate) fn get(&self, table: &str, key: &str) -> Option<u32> {
        self.tables.get(table)?.get(key).copied()
    }

    /// Notes the number of a key; table and key as they are kept.
    pub(crate) fn insert(&mut self, table: &str, key: &str, number: u32) -> (Arc<str>, Arc<str>) {
        let key = match self.keys.get(key) {
            Some(known) => Arc::clone(known),
            None => {
                let key: Arc<str> = key.into();
                self.keys.insert(Arc::clone(&key));
                key
            }
        };
        let table = match self.tables.get_key_value(table) {
            Some((known, _)) => Arc::clone(known),
            None => table.into(),
        };
        self.tables.entry(Arc::clone(&table)).or_default().insert(Arc::clone(&key), number);
        (table, key)
    }

    /// Takes no more memory than is needed.
    pub(crate) fn compact(&mut self) {
        for numbers in self.tables.values_mut() {
            *numbers = std::mem::take(numbers).into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_number_in_each_table() {
        let mut identities = Identities::default();
        identities.insert("A.", "x", 1);
        identities.insert("B.", "x", 2);
        identities.insert("B.", "y", 3);
        identities.compact();
        let found = [("A.", "x"), ("B.", "x"), ("B.", "y"), ("A.", "y"), ("C.", "x")];
        let found = found.map(|(table, key)| identities.get(table, key));
        assert_eq!(found, [Some(1), Some(2), Some(3), None, None]);
        assert_eq!(identities.keys.len(), 2);
    }
}
