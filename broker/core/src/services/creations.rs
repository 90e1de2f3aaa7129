//! Rows that Services make for Controllers: a Service may tell of one before it has answered the Add, and a notification
//! follows the answer to the request that caused it.
//!
//! Invariants: what is told of a row follows its ObjectCreation; only an Add that is under way when a row is told of holds
//! it back, so others that begin meanwhile do not; nothing is held for longer than a Service has for its answer.

use std::collections::{BTreeMap, BTreeSet};

use usp_proto::path::Path;
use usp_proto::usp::notify::Notification;

use crate::Broker;
use crate::dm::schema::ServiceId;
use crate::time::Mono;
use crate::timers::Timer;

/// So many notifications are held back at most; when there are more, all are told at once.
const MOST: usize = 4096;

/// A request under way that makes rows at a Service; later ones have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Adding(u64);

/// What waits for answers to Add.
#[derive(Default)]
pub(crate) struct Creations {
    open: BTreeMap<ServiceId, BTreeSet<Adding>>,
    last: u64,
    /// In the order in which the Services told of it.
    held: Vec<Held>,
    /// When the timer is set for.
    due: Option<Mono>,
}

struct Held {
    service: ServiceId,
    subscription: u32,
    path: Path,
    notification: Notification,
    until: Until,
}

/// What ends a wait, whichever comes first.
#[derive(Clone, Copy)]
struct Until {
    /// No request up to this one is open any more.
    answered: Adding,
    /// Each has run out of time.
    deadline: Mono,
}

impl Creations {
    /// For how long something that a Service tells of now has to wait.
    fn wait(
        &self,
        service: ServiceId,
        path: &Path,
        notification: &Notification,
        latest: Mono,
    ) -> Option<Until> {
        let newest = self.open.get(&service).and_then(|open| open.last());
        let is_creation = matches!(notification, Notification::ObjCreation(_));
        let own = newest.filter(|_| is_creation).map(|newest| Until { answered: *newest, deadline: latest });
        let of_row = self.held.iter().filter(|held| held.service == service);
        let of_row = of_row.filter(|held| held.concerns(path, notification)).map(|held| held.until);
        own.into_iter().chain(of_row).reduce(|a, b| Until {
            answered: a.answered.max(b.answered),
            deadline: a.deadline.max(b.deadline),
        })
    }

    fn is_over(&self, held: &Held, now: Mono) -> bool {
        let open = self.open.get(&held.service).and_then(|open| open.first());
        held.until.deadline <= now || open.is_none_or(|oldest| *oldest > held.until.answered)
    }

    fn take_due(&mut self, now: Mono) -> Vec<Held> {
        let (due, held) = std::mem::take(&mut self.held).into_iter().partition(|h| self.is_over(h, now));
        self.held = held;
        due
    }
}

impl Held {
    /// Whether something else is about this row, about what lies in it, or about the end of what it lies in.
    fn concerns(&self, path: &Path, notification: &Notification) -> bool {
        let ends = matches!(notification, Notification::ObjDeletion(_));
        is_within(path, &self.path) || (ends && is_within(&self.path, path))
    }
}

fn is_within(path: &Path, top: &Path) -> bool {
    path.segments.starts_with(&top.segments)
}

impl Broker {
    /// A request is about to make rows at a Service.
    pub(crate) fn begin_adding(&mut self, service: ServiceId) -> Adding {
        self.creations.last += 1;
        let adding = Adding(self.creations.last);
        self.creations.open.entry(service).or_default().insert(adding);
        adding
    }

    /// It is answered.
    pub(crate) fn end_adding(&mut self, service: ServiceId, adding: Adding) {
        if let Some(open) = self.creations.open.get_mut(&service) {
            open.remove(&adding);
        }
        self.creations.open.retain(|_, open| !open.is_empty());
    }

    /// Tells what a Service has told for a Subscription; of new rows once nobody waits to hear of them in an answer.
    pub(crate) fn pass_on(
        &mut self,
        service: ServiceId,
        subscription: u32,
        path: &Path,
        notification: Notification,
    ) {
        let latest = self.model.now.monotonic + self.config.limits.service_timeout;
        match self.creations.wait(service, path, &notification, latest) {
            Some(until) => {
                let path = path.clone();
                self.creations.held.push(Held { service, subscription, path, notification, until });
                self.wake_creations();
            }
            None => self.tell_of_service(service, subscription, path.clone(), notification),
        }
        if self.creations.held.len() > MOST {
            let all = std::mem::take(&mut self.creations.held);
            self.tell_held(all);
        }
    }

    /// Tells what waited and waits no longer.
    pub(crate) fn deliver_creations(&mut self) {
        if self.creations.held.is_empty() {
            return;
        }
        let due = self.creations.take_due(self.model.now.monotonic);
        self.tell_held(due);
        self.wake_creations();
    }

    fn tell_held(&mut self, due: Vec<Held>) {
        for Held { service, subscription, path, notification, .. } in due {
            self.tell_of_service(service, subscription, path, notification);
        }
    }

    /// The timer is set for what ends its wait first.
    fn wake_creations(&mut self) {
        let next = self.creations.held.iter().map(|held| held.until.deadline).min();
        let former = std::mem::replace(&mut self.creations.due, next);
        if former == next {
            return;
        }
        if let Some(former) = former {
            self.timers.clear(former, Timer::Creations);
        }
        if let Some(next) = next {
            self.timers.set(next, Timer::Creations);
        }
    }
}
