//! Notifications that are not confirmed yet, by number and by Controller.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::usp::notify::Notification;

use crate::time::Mono;

/// All of them.
#[derive(Debug, Default)]
pub struct Notices {
    by_number: BTreeMap<u64, Notice>,
    of: BTreeMap<u32, BTreeSet<u64>>,
    last: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) controller: u32,
    /// Number of the Subscription's row; `None`: there is none, or it was restored from disk and the row is gone.
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
        self.of.entry(notice.controller).or_default().insert(id);
        self.by_number.insert(id, notice);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Notice> {
        let notice = self.by_number.remove(&id)?;
        if let Some(ids) = self.of.get_mut(&notice.controller) {
            ids.remove(&id);
            if ids.is_empty() {
                self.of.remove(&notice.controller);
            }
        }
        Some(notice)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Notice> {
        self.by_number.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Notice> {
        self.by_number.get_mut(&id)
    }

    /// Those for one Controller, oldest first.
    pub(super) fn of(&self, controller: u32) -> impl Iterator<Item = (u64, &Notice)> {
        let ids = self.of.get(&controller).into_iter().flatten();
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
    pub(super) fn is_on_board(&self) -> bool {
        matches!(self.notification, Notification::OnBoardReq(_))
    }
}
