//! What a Parameter or a row can be, given who wrote what from when to when.

use std::collections::BTreeMap;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not answered yet.
    Open,
    /// It holds from its end at the latest.
    Done,
    /// It holds no longer from its end on.
    Failed,
    /// It may have been done: nobody knows.
    Unknown,
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) value: String,
    /// When it was asked for.
    pub(crate) from: u64,
    /// When it was answered.
    pub(crate) to: u64,
    pub(crate) end: End,
    /// It holds on its own as soon as it is on disk, while other owners' parts of the request are awaited.
    pub(crate) apart: bool,
}

/// All writes to one thing; the first is what it was.
#[derive(Clone, Debug)]
pub(crate) struct History(Vec<Write>);

/// Who may write to a Parameter, and where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Broker,
    Service(usize),
    Device(usize),
}

impl History {
    pub(crate) fn new(value: &str, at: u64) -> Self {
        Self(vec![Write { value: value.to_owned(), from: at, to: at, end: End::Done, apart: false }])
    }

    pub(crate) fn begin(&mut self, value: &str, from: u64, apart: bool) {
        self.0.push(Write { value: value.to_owned(), from, to: u64::MAX, end: End::Open, apart });
    }

    /// The write of this value has ended.
    pub(crate) fn end(&mut self, value: &str, from: u64, to: u64, end: End) {
        let open = self.0.iter_mut().filter(|w| w.end == End::Open && w.value == value && w.from == from);
        for write in open {
            (write.to, write.end) = (to, end);
        }
    }

    /// Nobody will hear how the write that began then ends.
    pub(crate) fn lose(&mut self, from: u64, at: u64) {
        for write in self.0.iter_mut().filter(|w| w.end == End::Open && w.from == from) {
            (write.to, write.end) = (at, End::Unknown);
        }
    }

    /// It reads this now, for certain.
    pub(crate) fn settle(&mut self, value: &str, at: u64) {
        *self = Self::new(value, at);
    }

    /// Whether it can have read this at some time between the two.
    pub(crate) fn can_be(&self, value: &str, from: u64, to: u64) -> bool {
        let overwritten = |w: &Write| {
            self.0.iter().any(|later| later.end == End::Done && later.from > w.to && later.to < from)
        };
        let visible = |w: &Write| match w.end {
            End::Failed => w.to >= from,
            End::Open | End::Done | End::Unknown => !overwritten(w),
        };
        self.0.iter().any(|w| w.value == value && w.from <= to && visible(w))
    }

    /// Whether this value was promised, or may yet be: what was refused must not be told.
    pub(crate) fn can_be_told(&self, value: &str) -> bool {
        let holds = |w: &Write| match w.end {
            End::Done | End::Unknown => true,
            End::Open => w.apart,
            End::Failed => false,
        };
        self.0.iter().any(|w| w.value == value && holds(w))
    }

    fn last(&self) -> Option<&Write> {
        self.0.iter().filter(|w| w.end != End::Failed).max_by_key(|w| w.from)
    }

    /// Whether the newest write was asked for after `since`, and holds.
    pub(crate) fn changed_since(&self, since: u64) -> bool {
        self.last().is_some_and(|w| w.from > since && w.end == End::Done)
    }

    /// Whether the newest write is this.
    pub(crate) fn ends_with(&self, value: Option<&String>) -> bool {
        self.last().map(|w| &w.value) == value
    }
}

/// A Parameter that scripts write.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) owner: Owner,
    pub(crate) history: History,
    /// An all-or-nothing unit may have put an older value back.
    pub(crate) torn: bool,
}

/// A row that scripts add, known by its name.
#[derive(Clone, Debug)]
pub(crate) struct RowFate {
    pub(crate) table: &'static str,
    pub(crate) owner: Owner,
    /// `None`: nobody has seen it yet.
    pub(crate) number: Option<u32>,
    pub(crate) added: End,
    /// The best that is known of attempts to delete it.
    pub(crate) deleted: Option<End>,
}

impl RowFate {
    /// Whether it may be there, and whether it must.
    pub(crate) fn may_and_must(&self) -> (bool, bool) {
        let own = self.owner == Owner::Broker;
        let may = match self.added {
            End::Failed => !own,
            End::Open | End::Done | End::Unknown => self.deleted != Some(End::Done),
        };
        let untouched = self.deleted.is_none() || (own && self.deleted == Some(End::Failed));
        (may && self.deleted != Some(End::Done), self.added == End::Done && untouched)
    }
}

/// Numbers that were ever given, by table: whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(BTreeMap<(String, u32), String>);

impl Numbers {
    /// Errors: it was somebody else's.
    pub(crate) fn give(&mut self, table: &str, number: u32, name: &str) -> Result<(), String> {
        let owner = self.0.entry((table.to_owned(), number)).or_insert_with(|| name.to_owned());
        if owner == name { Ok(()) } else { Err(format!("{table}{number}. was {owner} and is {name} now")) }
    }
}
