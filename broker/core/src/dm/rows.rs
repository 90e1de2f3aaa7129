//! The instantiated part of the data model that the broker itself holds: rows, their stored Parameters and their
//! Instance Numbers (R-ARC.8), with a journal of what changed so that a change can be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use usp_proto::path::{InstanceNumber, Name};

use super::index::Index;
pub use super::numbers::Numbers;
use super::params::Params;
use super::schema::ObjId;

/// One instantiated Object: which, and the numbers of the rows that lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjRef {
    /// The supported object.
    pub object: ObjId,
    /// As many numbers as its path has `{i}`.
    pub numbers: Numbers,
}

impl ObjRef {
    /// Shorthand.
    pub fn new(object: ObjId, numbers: &[InstanceNumber]) -> Self {
        Self { object, numbers: numbers.into() }
    }

    /// The row's own number (the last).
    pub fn number(&self) -> InstanceNumber {
        self.numbers.last().copied().unwrap_or(0)
    }
}

/// The stored Parameters of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Text values by name.
    pub params: Params,
    /// Not kept on disk: it vanishes at a restart.
    pub volatile: bool,
}

impl Row {
    /// This row with what differs between two others.
    fn moved(&self, before: &Self, after: &Self) -> Self {
        let mut row = self.clone();
        row.params.retain(|name, _| !before.params.contains_key(name) || after.params.contains_key(name));
        let changed = after.params.iter().filter(|(name, value)| before.params.get(name) != Some(*value));
        row.params.extend(changed.map(|(name, value)| (name.clone(), value.clone())));
        if before.volatile != after.volatile {
            row.volatile = after.volatile;
        }
        row
    }
}

/// One step of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which object.
    pub at: ObjRef,
    /// What it was; `None`: there was none.
    pub before: Option<Arc<Row>>,
    /// What it is; `None`: it is gone.
    pub after: Option<Arc<Row>>,
}

/// A number that is marked as used on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The table.
    pub table: ObjId,
    /// Numbers above the table's rows.
    pub above: Numbers,
    /// The highest number that may have been given.
    pub number: InstanceNumber,
}

/// How many numbers of volatile rows are marked as used in advance, so that making one seldom costs a disk write.
const RESERVE: u32 = 64;

/// All rows.
#[derive(Debug, Default)]
pub struct Rows {
    rows: BTreeMap<ObjRef, Arc<Row>>,
    index: Index,
    highest: BTreeMap<(ObjId, Numbers), Highest>,
    journal: Vec<Change>,
    marks: Vec<Mark>,
    /// While very many rows are made: those that hold the same are one.
    alike: BTreeSet<Arc<Row>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Highest {
    given: u32,
    marked: u32,
}

impl Rows {
    /// None yet; of each object the Parameters that its keys are made of.
    pub fn new(keys: BTreeMap<ObjId, Vec<Name>>) -> Self {
        Self { index: Index::new(keys), ..Self::default() }
    }

    /// How many rows a table has below the given numbers.
    pub fn count(&self, table: ObjId, above: &[InstanceNumber]) -> usize {
        self.index.count(table, above)
    }

    /// The rows of a table that could have this stored value of a Parameter that is part of a key: those that store it,
    /// and those that store none. `None`: the Parameter is in no key.
    pub fn with_value<'a>(
        &'a self,
        table: ObjId,
        above: &[InstanceNumber],
        name: &Name,
        value: &str,
    ) -> Option<impl Iterator<Item = ObjRef> + use<'a>> {
        let (name, value): (Name, Box<str>) = (name.clone(), value.into());
        let found = self.index.with_value(table, above, &name, &value)?;
        // The index may mistake one value for another.
        Some(found.filter(move |at| self.param(at, name.as_str()).is_none_or(|known| *known == *value)))
    }

    /// Takes no more memory than there is in it, if rows were made by [`put_alike`](Self::put_alike); whether there were.
    pub fn compact(&mut self) -> bool {
        if std::mem::take(&mut self.alike).is_empty() {
            return false;
        }
        self.rows = std::mem::take(&mut self.rows).into_iter().collect();
        self.index.compact();
        true
    }

    /// The highest number that a table has given.
    pub fn given(&self, table: ObjId, above: &[InstanceNumber]) -> InstanceNumber {
        self.highest.get(&(table, Numbers::from(above))).map_or(0, |highest| highest.given)
    }

    /// A row is gone, and its number is never given again: what tables below it have given does not matter any more.
    pub fn forget_numbers(&mut self, tables: &[ObjId], above: &[InstanceNumber]) {
        for table in tables {
            let from = (*table, Numbers::from(above));
            let run = self.highest.range(from..);
            let run = run.take_while(|((t, numbers), _)| t == table && numbers.starts_with(above));
            let gone: Vec<_> = run.map(|(key, _)| key.clone()).collect();
            for key in gone {
                self.highest.remove(&key);
            }
        }
    }

    fn insert_row(&mut self, at: ObjRef, row: Arc<Row>) -> Option<Arc<Row>> {
        let before = self.rows.insert(at.clone(), Arc::clone(&row));
        self.index.update(&at, before.as_deref(), Some(&row));
        before
    }

    fn remove_row(&mut self, at: &ObjRef) -> Option<Arc<Row>> {
        let before = self.rows.remove(at);
        self.index.update(at, before.as_deref(), None);
        before
    }

    /// The stored part of an object.
    pub fn get(&self, at: &ObjRef) -> Option<&Row> {
        self.rows.get(at).map(Arc::as_ref)
    }

    /// One stored Parameter.
    pub fn param(&self, at: &ObjRef, name: &str) -> Option<&str> {
        self.rows.get(at)?.params.get(name).map(String::as_str)
    }

    /// Whether the row is there.
    pub fn contains(&self, at: &ObjRef) -> bool {
        self.rows.contains_key(at)
    }

    /// Every row of a table below the given numbers, by number.
    pub fn of_table<'a>(
        &'a self,
        table: ObjId,
        above: &'a [InstanceNumber],
    ) -> impl Iterator<Item = (&'a ObjRef, &'a Row)> {
        let from = ObjRef::new(table, above);
        self.rows
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(at, _)| at.object == table && at.numbers.starts_with(above))
            .filter(move |(at, _)| at.numbers.len() == above.len() + 1)
            .map(|(at, row)| (at, &**row))
    }

    /// Every object whose numbers begin with the row's, in any object: the row and what lies below it, when limited to
    /// the objects `below`.
    pub fn subtree(&self, below: &[ObjId], numbers: &[InstanceNumber]) -> Vec<ObjRef> {
        let mut found = Vec::new();
        for object in below {
            let from = ObjRef::new(*object, numbers);
            let run = self.rows.range((Bound::Included(from), Bound::Unbounded));
            let run = run.take_while(|(at, _)| at.object == *object && at.numbers.starts_with(numbers));
            found.extend(run.map(|(at, _)| at.clone()));
        }
        found
    }

    /// The next number of a table: never one that was given before.
    pub fn next_number(&mut self, table: ObjId, above: &[InstanceNumber], volatile: bool) -> InstanceNumber {
        let key = (table, Numbers::from(above));
        let highest = self.highest.entry(key.clone()).or_default();
        highest.given = highest.given.saturating_add(1);
        if highest.given > highest.marked {
            highest.marked = highest.given.saturating_add(if volatile { RESERVE - 1 } else { 0 });
            self.marks.push(Mark { table: key.0, above: key.1, number: highest.marked });
        }
        highest.given
    }

    /// The next number below a row that is not kept itself: it goes with that row, whose own number is never given again,
    /// so nothing needs to be marked unless the row is kept after all ([`claim_number`](Self::claim_number)).
    pub fn passing_number(&mut self, table: ObjId, above: &[InstanceNumber]) -> InstanceNumber {
        let highest = self.highest.entry((table, above.into())).or_default();
        highest.given = highest.given.saturating_add(1);
        highest.given
    }

    /// Remembers a number that came from elsewhere (the disk, a seed).
    pub fn note_number(&mut self, table: ObjId, above: &[InstanceNumber], number: InstanceNumber) {
        let highest = self.highest.entry((table, above.into())).or_default();
        highest.given = highest.given.max(number);
        highest.marked = highest.marked.max(number);
    }

    /// Like [`note_number`](Self::note_number), for a number chosen now: it is marked on disk.
    pub fn claim_number(&mut self, table: ObjId, above: &[InstanceNumber], number: InstanceNumber) {
        let key = (table, Numbers::from(above));
        let highest = self.highest.entry(key.clone()).or_default();
        highest.given = highest.given.max(number);
        if number > highest.marked {
            highest.marked = number;
            self.marks.push(Mark { table: key.0, above: key.1, number });
        }
    }

    /// Makes or replaces an object's stored part.
    pub fn put(&mut self, at: ObjRef, row: impl Into<Arc<Row>>) {
        let row = row.into();
        let before = self.insert_row(at.clone(), Arc::clone(&row));
        self.journal.push(Change { at, before, after: Some(row) });
    }

    /// Like [`put`](Self::put), for one of very many: devices of one model hold the same, which is kept once. Followed by
    /// [`compact`](Self::compact) when all are made.
    pub fn put_alike(&mut self, at: ObjRef, row: Row) {
        let row = match self.alike.get(&row) {
            Some(known) => Arc::clone(known),
            None => {
                let row = Arc::new(row);
                self.alike.insert(Arc::clone(&row));
                row
            }
        };
        self.put(at, row);
    }

    /// Changes one Parameter; makes the stored part if there is none.
    pub fn set(&mut self, at: &ObjRef, name: &Name, value: String) {
        let mut row = self.get(at).cloned().unwrap_or_default();
        if row.params.get(name) != Some(&value) {
            row.params.insert(name.clone(), value);
            self.put(at.clone(), row);
        }
    }

    /// Takes an object's stored part away.
    pub fn delete(&mut self, at: &ObjRef) {
        if let Some(before) = self.remove_row(at) {
            self.journal.push(Change { at: at.clone(), before: Some(before), after: None });
        }
    }

    /// Where the journal stands.
    pub fn savepoint(&self) -> usize {
        self.journal.len()
    }

    /// What has changed since the savepoint.
    pub fn since(&self, savepoint: usize) -> &[Change] {
        self.journal.get(savepoint..).unwrap_or_default()
    }

    /// Takes back everything since the savepoint. Numbers that were given stay given.
    pub fn rollback(&mut self, savepoint: usize) {
        while self.journal.len() > savepoint {
            if let Some(change) = self.journal.pop() {
                self.revert(change);
            }
        }
    }

    /// Takes back one change that had already left the journal.
    pub fn revert(&mut self, change: Change) {
        match change.before {
            Some(row) => self.insert_row(change.at, row),
            None => self.remove_row(&change.at),
        };
    }

    /// Does a change again that was taken back together with others: Parameter by Parameter, so that nothing of the
    /// others comes along. `None`: there is nothing left to do it to.
    pub fn redo(&mut self, change: &Change) -> Option<Change> {
        let current = self.rows.get(&change.at).cloned();
        let after = match (&change.before, &change.after, &current) {
            (_, None, _) => None,
            (None, Some(after), _) => Some(after.clone()),
            (Some(_), Some(_), None) => return None,
            (Some(before), Some(after), Some(current)) => Some(Arc::new(current.moved(before, after))),
        };
        match &after {
            Some(row) => self.insert_row(change.at.clone(), Arc::clone(row)),
            None => self.remove_row(&change.at),
        };
        (current != after).then(|| Change { at: change.at.clone(), before: current, after })
    }

    /// Gives back numbers that were marked in advance and not given: the process is about to end in order.
    pub fn settle_marks(&mut self) {
        for ((table, above), highest) in &mut self.highest {
            if highest.given < highest.marked {
                highest.marked = highest.given;
                self.marks.push(Mark { table: *table, above: above.clone(), number: highest.given });
            }
        }
    }

    /// Marks that did not reach the disk: the next number of these tables is marked anew.
    pub fn unmark(&mut self, marks: &[Mark]) {
        for mark in marks {
            if let Some(highest) = self.highest.get_mut(&(mark.table, mark.above.clone())) {
                highest.marked = 0;
            }
        }
    }

    /// What changed since the last call, and which numbers must be marked on disk.
    pub fn take_journal(&mut self) -> (Vec<Change>, Vec<Mark>) {
        (std::mem::take(&mut self.journal), std::mem::take(&mut self.marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: ObjId = ObjId(7);

    fn row(value: &str) -> Row {
        let name = Name::new("A").unwrap();
        Row { params: [(name, value.to_owned())].into_iter().collect(), volatile: false }
    }

    #[test]
    fn rollback_restores_what_was() {
        let mut rows = Rows::default();
        rows.put(ObjRef::new(TABLE, &[1]), row("old"));
        let point = rows.savepoint();
        rows.set(&ObjRef::new(TABLE, &[1]), &Name::new("A").unwrap(), "new".to_owned());
        rows.put(ObjRef::new(TABLE, &[2]), row("x"));
        rows.delete(&ObjRef::new(TABLE, &[1]));
        rows.rollback(point);
        assert_eq!(rows.param(&ObjRef::new(TABLE, &[1]), "A"), Some("old"));
        assert!(!rows.contains(&ObjRef::new(TABLE, &[2])));
    }

    #[test]
    fn numbers_are_never_given_twice_even_after_a_rollback() {
        let mut rows = Rows::default();
        let point = rows.savepoint();
        assert_eq!(rows.next_number(TABLE, &[], false), 1);
        rows.rollback(point);
        assert_eq!(rows.next_number(TABLE, &[], false), 2);
    }

    #[test]
    fn numbers_below_a_row_that_is_gone_are_forgotten() {
        let mut rows = Rows::default();
        for above in [&[1][..], &[1, 3], &[2]] {
            rows.next_number(TABLE, above, false);
        }
        rows.forget_numbers(&[TABLE], &[1]);
        assert_eq!([rows.given(TABLE, &[1]), rows.given(TABLE, &[1, 3]), rows.given(TABLE, &[2])], [0, 0, 1]);
    }

    #[test]
    fn volatile_numbers_are_marked_in_blocks() {
        let mut rows = Rows::default();
        for _ in 0..RESERVE {
            rows.next_number(TABLE, &[], true);
        }
        assert_eq!(rows.take_journal().1.len(), 1);
        rows.next_number(TABLE, &[], true);
        assert_eq!(rows.take_journal().1.len(), 1);
    }

    #[test]
    fn a_table_lists_its_own_rows_alone() {
        let mut rows = Rows::default();
        for numbers in [&[1][..], &[1, 5], &[2], &[10]] {
            rows.put(ObjRef::new(TABLE, numbers), Row::default());
        }
        let found: Vec<u32> = rows.of_table(TABLE, &[]).map(|(at, _)| at.number()).collect();
        assert_eq!(found, [1, 2, 10]);
    }
}
