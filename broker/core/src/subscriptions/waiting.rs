//! Notifications that are not confirmed yet, by number and by Controller.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::usp::notify::Notification;

use crate::time::Mono;

/// All of them.
#[derive(Debug, Default)]
pub struct Notices {
    by_number: BTreeMap<u64, Notice>,
    of: BTreeMap<u32, Queue>,
    last: u64,
    /// Counts what the core is given to do.
    input: u64,
}

/// Those of one Controller, with what would take a walk through them to find out: it may be away for long.
#[derive(Debug, Default)]
struct Queue {
    ids: BTreeSet<u64>,
    by_merge: BTreeMap<u64, u64>,
    /// How many count for the limits, and their bytes.
    load: (usize, usize),
    /// Some were dropped since the Controller last had none.
    dropped: bool,
    burst: Burst,
}

/// What one input brings a Controller that is there is sent at once, and waits only to be confirmed: it does not count, as
/// long as it waits, if the Controller was within its limit before.
#[derive(Debug, Default)]
struct Burst {
    input: u64,
    excused: bool,
    count: usize,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) controller: u32,
    /// Number of the Subscription's row; `None`: there is none.
    pub(super) subscription: Option<u32>,
    pub(super) subscription_id: String,
    pub(super) msg_id: String,
    pub(super) notification: Notification,
    /// It is to be confirmed and sent again until then.
    pub(super) retry: bool,
    /// On disk.
    pub(super) kept: bool,
    /// Bytes of its Notify Message.
    pub(super) size: usize,
    /// Of this notification alone: the next one begins anew (R-NOT.3).
    pub(super) tries: u32,
    /// It waits for its burst.
    pub(super) put_off: bool,
    pub(super) due: Option<Mono>,
    pub(super) expires: Option<Mono>,
    pub(super) merge: Option<u64>,
}

impl Notices {
    /// A number for a new one.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A number that is in use on disk.
    pub(super) fn note(&mut self, id: u64) {
        self.last = self.last.max(id);
    }

    pub(super) fn insert(&mut self, id: u64, notice: Notice) {
        let queue = self.of.entry(notice.controller).or_default();
        queue.ids.insert(id);
        queue.by_merge.extend(notice.merge.map(|key| (key, id)));
        let (count, bytes) = notice.load();
        queue.load = (queue.load.0 + count, queue.load.1 + bytes);
        self.by_number.insert(id, notice);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Notice> {
        let notice = self.by_number.remove(&id)?;
        if let Some(queue) = self.of.get_mut(&notice.controller) {
            queue.ids.remove(&id);
            if let Some(key) = notice.merge.filter(|key| queue.by_merge.get(key) == Some(&id)) {
                queue.by_merge.remove(&key);
            }
            let (count, bytes) = notice.load();
            queue.load = (queue.load.0.saturating_sub(count), queue.load.1.saturating_sub(bytes));
            queue.burst.count = queue.burst.count.min(queue.load.0);
            if queue.ids.is_empty() {
                self.of.remove(&notice.controller);
            }
        }
        Some(notice)
    }

    /// The one with this value's predecessor.
    pub(super) fn merging(&self, controller: u32, key: u64) -> Option<u64> {
        self.of.get(&controller)?.by_merge.get(&key).copied()
    }

    /// How many of a Controller's count for its limits, and their bytes.
    pub(super) fn load(&self, controller: u32) -> (usize, usize) {
        self.of.get(&controller).map_or((0, 0), |queue| queue.load)
    }

    /// The next input begins.
    pub(crate) fn next_input(&mut self) {
        self.input += 1;
    }

    /// How many may wait for a Controller, one more included that comes now, where `most` is its limit.
    pub(super) fn most(&mut self, controller: u32, most: usize, is_there: bool) -> usize {
        let queue = self.of.entry(controller).or_default();
        if queue.burst.input != self.input {
            let excused = is_there && queue.load.0 <= most;
            let count = if excused { 0 } else { queue.burst.count };
            queue.burst = Burst { input: self.input, excused, count };
        }
        queue.burst.count += usize::from(queue.burst.excused);
        most.saturating_add(queue.burst.count)
    }

    /// One is dropped: whether it is the first of many.
    pub(super) fn note_dropped(&mut self, controller: u32) -> bool {
        self.of.get_mut(&controller).is_some_and(|queue| !std::mem::replace(&mut queue.dropped, true))
    }

    pub(super) fn get(&self, id: u64) -> Option<&Notice> {
        self.by_number.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Notice> {
        self.by_number.get_mut(&id)
    }

    /// Those for one Controller, oldest first.
    pub(super) fn of(&self, controller: u32) -> impl Iterator<Item = (u64, &Notice)> {
        let ids = self.of.get(&controller).into_iter().flat_map(|queue| &queue.ids);
        ids.filter_map(|id| Some((*id, self.by_number.get(id)?)))
    }

    /// Whom something waits for.
    pub(super) fn controllers(&self) -> Vec<u32> {
        self.of.keys().copied().collect()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Notice)> {
        self.by_number.iter().map(|(id, notice)| (*id, notice))
    }
}

impl Notice {
    /// What it is for the limits: 1 and its bytes, or nothing.
    fn load(&self) -> (usize, usize) {
        if self.is_on_board() { (0, 0) } else { (1, self.size) }
    }

    pub(super) fn is_on_board(&self) -> bool {
        matches!(self.notification, Notification::OnBoardReq(_))
    }
}
