//! What is asked of whole tables at each change: how many rows, and who has a key already.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use usp_proto::path::{InstanceNumber, Name};

use super::rows::{Numbers, ObjRef, Row};
use super::schema::ObjId;

/// What stands for a Parameter's value, and the number of a row that has it. The values themselves are in the rows, which
/// there are very many of: whoever finds a row here looks there.
type ByValue = BTreeSet<(Digest, InstanceNumber)>;

/// Seldom the same for different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Digest(u32);

impl Digest {
    /// Of a value; `None`: it is not stored.
    fn of(value: Option<&str>) -> Self {
        // Without a seed, so that a run replays.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(hasher.finish() as u32)
    }
}

/// Rows by what they hold.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Parameters that keys are made of.
    keys: BTreeMap<ObjId, Vec<Name>>,
    counts: BTreeMap<(ObjId, Numbers), usize>,
    /// By table, what is above, and Parameter.
    values: BTreeMap<(ObjId, Numbers, Name), ByValue>,
}

fn above(at: &ObjRef) -> Numbers {
    at.numbers.get(..at.numbers.len().saturating_sub(1)).unwrap_or_default().into()
}

impl Index {
    pub(super) fn new(keys: BTreeMap<ObjId, Vec<Name>>) -> Self {
        Self { keys, ..Self::default() }
    }

    pub(super) fn count(&self, table: ObjId, above: &[InstanceNumber]) -> usize {
        self.counts.get(&(table, above.into())).copied().unwrap_or(0)
    }

    pub(super) fn with_value<'a>(
        &'a self,
        table: ObjId,
        above: &[InstanceNumber],
        name: &Name,
        value: &str,
    ) -> Option<impl Iterator<Item = ObjRef> + use<'a>> {
        self.keys.get(&table).filter(|names| names.contains(name))?;
        let above = Numbers::from(above);
        let values = self.values.get(&(table, above.clone(), name.clone()));
        let with = |value: Option<&str>| {
            let digest = Digest::of(value);
            values.into_iter().flat_map(move |v| v.range((digest, 0)..=(digest, u32::MAX)))
        };
        let numbers = with(Some(value)).chain(with(None));
        Some(numbers.map(move |(_, number)| {
            let numbers: Vec<InstanceNumber> = above.iter().copied().chain([*number]).collect();
            ObjRef::new(table, &numbers)
        }))
    }

    /// A row has changed, come or gone.
    pub(super) fn update(&mut self, at: &ObjRef, before: Option<&Row>, after: Option<&Row>) {
        if at.numbers.is_empty() {
            return;
        }
        match (before, after) {
            (None, Some(_)) => *self.counts.entry((at.object, above(at))).or_default() += 1,
            (Some(_), None) => self.count_down(at),
            _ => {}
        }
        let Some(names) = self.keys.get(&at.object) else { return };
        for name in names {
            let (old, new) = (before.map(|row| row.params.get(name)), after.map(|row| row.params.get(name)));
            if old == new {
                continue;
            }
            let digest = |value: Option<&String>| Digest::of(value.map(String::as_str));
            let key = (at.object, above(at), name.clone());
            let values = self.values.entry(key.clone()).or_default();
            if let Some(old) = old {
                values.remove(&(digest(old), at.number()));
            }
            if let Some(new) = new {
                values.insert((digest(new), at.number()));
            }
            if values.is_empty() {
                self.values.remove(&key);
            }
        }
    }

    /// Takes no more memory than there is in it.
    pub(super) fn compact(&mut self) {
        for values in self.values.values_mut() {
            *values = std::mem::take(values).into_iter().collect();
        }
    }

    fn count_down(&mut self, at: &ObjRef) {
        let key = (at.object, above(at));
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_value_until_they_go() {
        let (table, name) = (ObjId(7), Name::new("Alias").unwrap());
        let mut index = Index::new(BTreeMap::from([(table, vec![name.clone()])]));
        let row = |alias: &str| Row {
            params: [(name.clone(), alias.to_owned())].into_iter().collect(),
            ..Row::default()
        };
        let at = |n| ObjRef::new(table, &[1, n]);
        index.update(&at(1), None, Some(&row("a")));
        index.update(&at(2), None, Some(&Row::default()));
        index.update(&at(3), None, Some(&row("b")));
        let found = |index: &Index, value: &str| -> Vec<u32> {
            index.with_value(table, &[1], &name, value).unwrap().map(|at| at.number()).collect()
        };
        assert_eq!((found(&index, "a"), found(&index, "b")), (vec![1, 2], vec![3, 2]));
        index.update(&at(1), Some(&row("a")), Some(&row("b")));
        index.update(&at(2), Some(&Row::default()), None);
        assert_eq!((found(&index, "a"), found(&index, "b")), (vec![], vec![1, 3]));
        assert_eq!((index.count(table, &[1]), index.count(table, &[2])), (2, 0));
        index.update(&at(1), Some(&row("b")), None);
        index.update(&at(3), Some(&row("b")), None);
        assert!(index.counts.is_empty() && index.values.is_empty());
    }
}
