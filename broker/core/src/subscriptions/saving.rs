//! What Persistent Subscriptions still owe their Controllers (NotifRetry), on disk (R-NOT.1, R-NOT.2, R-NOT.4).
//!
//! Nearly all of it is confirmed at once and never written. What is not goes to disk together, after a second at first, then after
//! pauses that double while there is always more: to a minute, and to an hour while the Controller confirms nothing. So a flood for
//! one that is away is written once an hour, as long as it lasts, and of each round only what is then still owed. Each Subscription
//! has pauses of its own, so that a flood of one puts off nothing else. A stop writes all.
//! Only what cannot come again by itself, the end of a command, is written as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::message;
use usp_proto::usp::notify::Notification;

use super::notices::{is_boot, notify_message};
use super::waiting::Notice;
use crate::output::StoreOp;
use crate::time::{Mono, Now};
use crate::timers::Timer;
use crate::{Broker, Phase};

/// The least pause between two writes for a Subscription; the longest while its Controller confirms some of what it is told, and while it
/// confirms nothing.
const SOON: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(64);
const RARELY: Duration = Duration::from_secs(3600);

/// Whom a notification is for, until when, and a Notify Message. Formerly without a time.
pub(super) const WITHOUT_END: u8 = 1;
pub(super) const FORMAT: u8 = 2;
/// Bytes of the times: how long it is still to be tried, and when that was written, each in milliseconds.
pub(super) const NEVER: u64 = u64::MAX;
pub(super) const NO_CLOCK: i64 = i64::MIN;

/// What a Subscription owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Debt {
    controller: u32,
    /// Number of the Subscription's row.
    subscription: Option<u32>,
}

/// What is not on disk as it should be.
#[derive(Debug, Default)]
pub(crate) struct Saving(BTreeMap<Debt, Rounds>);

/// One Subscription's.
#[derive(Debug, Default)]
struct Rounds {
    /// To be written, if they are not confirmed before.
    unsaved: BTreeSet<u64>,
    /// To be taken away.
    stale: BTreeSet<u64>,
    due: Option<Mono>,
    last: Option<Mono>,
    pause: Duration,
    /// Something was confirmed since the last.
    confirmed: bool,
}

impl Rounds {
    /// When the next may be.
    fn next(&self, now: Mono) -> Mono {
        let paused = self.last.map_or(now, |last| last + self.pause);
        paused.max(now + SOON)
    }

    /// One is now: the pause after it is longer, unless there was calm.
    fn begin(&mut self, now: Mono) {
        let most = if std::mem::take(&mut self.confirmed) { SELDOM } else { RARELY };
        let calm = self.is_calm(now);
        self.pause = if calm { SOON } else { (self.pause * 2).min(most) };
        self.last = Some(now);
    }

    /// There was time enough for another.
    fn is_calm(&self, now: Mono) -> bool {
        self.last.is_none_or(|last| now.since(last) >= (self.pause * 2).max(SELDOM * 2))
    }

    /// Nothing is known of it that matters later.
    fn is_over(&self, now: Mono) -> bool {
        self.due.is_none() && self.is_calm(now)
    }
}

/// Whether it is written as it comes, and taken away as it is confirmed.
pub(super) fn is_precious(notification: &Notification) -> bool {
    matches!(notification, Notification::OperComplete(_))
}

impl Broker {
    /// One has to outlive a restart. Boot! is made anew at each start.
    pub(super) fn save_notice(&mut self, id: u64) {
        let Some(notice) = self.notices.get(id) else { return };
        if is_boot(&notice.notification) {
            return;
        }
        let (debt, at_once) = (notice.debt(), self.saves_at_once(notice));
        self.rounds_of(debt).unsaved.insert(id);
        match at_once {
            true => self.write_notices(&[id]),
            false => self.save_later(debt),
        }
    }

    /// One is not owed any more.
    pub(super) fn unsave_notice(&mut self, id: u64, notice: &Notice) {
        let debt = notice.debt();
        if let Some(rounds) = self.saving.0.get_mut(&debt) {
            rounds.unsaved.remove(&id);
        }
        if !notice.kept {
            return;
        }
        self.rounds_of(debt).stale.insert(id);
        match self.saves_at_once(notice) {
            true => self.delete_stale(debt),
            false => self.save_later(debt),
        }
    }

    /// One may not be told any more, whenever the process ends.
    pub(super) fn unsave_at_once(&mut self, id: u64, notice: &Notice) {
        self.unsave_notice(id, notice);
        self.delete_stale(notice.debt());
    }

    /// Takes away what is on disk and not owed any more: what could be told once more is told by the rights of then.
    fn delete_stale(&mut self, debt: Debt) {
        let Some(rounds) = self.saving.0.get_mut(&debt) else { return };
        let stale = std::mem::take(&mut rounds.stale);
        if !stale.is_empty() {
            self.extra_ops.extend(stale.into_iter().map(|id| StoreOp::DeleteNotification { id }));
            self.commit(None);
        }
    }

    fn saves_at_once(&self, notice: &Notice) -> bool {
        self.phase == Phase::Ending || is_precious(&notice.notification)
    }

    fn rounds_of(&mut self, debt: Debt) -> &mut Rounds {
        if !self.saving.0.contains_key(&debt) {
            let now = self.model.now.monotonic;
            self.saving.0.retain(|_, rounds| !rounds.is_over(now));
        }
        self.saving.0.entry(debt).or_default()
    }

    fn save_later(&mut self, debt: Debt) {
        let now = self.model.now.monotonic;
        let rounds = self.rounds_of(debt);
        if rounds.due.is_some() {
            return;
        }
        let at = rounds.next(now);
        rounds.due = Some(at);
        self.timers.set(at, Timer::Notices(debt));
    }

    /// A Controller has confirmed something: what it is still owed waits no longer than a minute.
    pub(super) fn save_sooner(&mut self, controller: u32) {
        let now = self.model.now.monotonic;
        for (debt, rounds) in self.saving.0.iter_mut().filter(|(debt, _)| debt.controller == controller) {
            rounds.confirmed = true;
            rounds.pause = rounds.pause.min(SELDOM);
            let sooner = rounds.next(now);
            if let Some(due) = rounds.due.filter(|due| sooner < *due) {
                rounds.due = Some(sooner);
                self.timers.clear(due, Timer::Notices(*debt));
                self.timers.set(sooner, Timer::Notices(*debt));
            }
        }
    }

    /// It is time to write what a Controller has not confirmed meanwhile.
    pub(crate) fn save_notices(&mut self, debt: Debt) {
        let now = self.model.now.monotonic;
        let Some(rounds) = self.saving.0.get_mut(&debt) else { return };
        if let Some(due) = rounds.due.take() {
            self.timers.clear(due, Timer::Notices(debt));
        }
        if rounds.unsaved.is_empty() && rounds.stale.is_empty() {
            return;
        }
        rounds.begin(now);
        let unsaved: Vec<u64> = rounds.unsaved.iter().copied().collect();
        self.delete_stale(debt);
        self.write_notices(&unsaved);
    }

    /// The process is going to end: nothing waits any more. What expires is written anew with the time that is left for it, because at the
    /// next start there may be no clock that tells how long ago it was written.
    pub(crate) fn save_last_notices(&mut self) {
        let debts: Vec<Debt> = self.saving.0.keys().copied().collect();
        let owed = self.notices.controllers().into_iter().flat_map(|controller| self.notices.of(controller));
        let expires = owed.filter(|(_, notice)| notice.kept && notice.expires.is_some());
        let expires: Vec<u64> = expires.map(|(id, _)| id).collect();
        debts.into_iter().for_each(|debt| self.save_notices(debt));
        self.write_notices(&expires);
    }

    fn write_notices(&mut self, ids: &[u64]) {
        let now = self.model.now;
        for id in ids {
            let Some(notice) = self.notices.get_mut(*id) else { continue };
            notice.kept = true;
            self.extra_ops.push(StoreOp::PutNotification { id: *id, bytes: notice.encode(now) });
            if let Some(rounds) = self.saving.0.get_mut(&notice.debt()) {
                rounds.unsaved.remove(id);
            }
        }
        self.commit(None);
    }
}

impl Notice {
    fn debt(&self) -> Debt {
        Debt { controller: self.controller, subscription: self.subscription }
    }

    fn encode(&self, now: Now) -> Vec<u8> {
        let left = self
            .expires
            .map_or(NEVER, |at| u64::try_from(at.since(now.monotonic).as_millis()).unwrap_or(NEVER));
        let written = now.known_wall().map_or(NO_CLOCK, |wall| wall.0);
        let mut bytes = vec![FORMAT];
        bytes.extend(self.controller.to_be_bytes());
        bytes.extend(left.to_be_bytes());
        bytes.extend(written.to_be_bytes());
        let msg = notify_message(&self.msg_id, &self.subscription_id, self.retry, self.notification.clone());
        bytes.extend(message::encode(&msg));
        bytes
    }
}
