//! What Services tell and whose recipients have open Targets ([`crate::access::meaning`]): it waits until it is known what
//! these mean at this moment.
//!
//! Invariants: what one Service tells one Controller stays in order; what waits is judged by the answer to a question that
//! was asked after it came, but for a row that is gone, which is judged as it was known when that was told; one question a
//! Service is under way, for all that waits; whoever has no open Target waits for nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use usp_proto::path::Path;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::notify::operation_complete::OperationResp as Completed;

use super::NotifKind;
use crate::Broker;
use crate::access::meaning::Steps;
use crate::dm::covers::Element;
use crate::dm::schema::ServiceId;
use crate::services::commands::Id;

/// So much may wait at one Service; what comes then is judged by what was known last.
const MOST: usize = 4096;

/// What waits, by the Service that told it.
#[derive(Default)]
pub(crate) struct Undecided(BTreeMap<ServiceId, Queue>);

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// So many of them are being asked for; none: no question is under way.
    asked: usize,
}

struct Item {
    /// Who may be told.
    controllers: BTreeSet<u32>,
    /// What has to be known first.
    targets: BTreeSet<Steps>,
    what: What,
}

enum What {
    Notice {
        subscription: u32,
        path: Path,
        notification: Notification,
    },
    /// The same, and its recipient is known to have the right.
    Gone {
        subscription: u32,
        path: Path,
        notification: Notification,
    },
    Complete(Id, Completed),
    /// Nothing: the answer is what is wanted.
    Look,
}

impl Undecided {
    fn holds(&self, service: ServiceId, controllers: &BTreeSet<u32>) -> bool {
        let queue = self.0.get(&service);
        queue.is_some_and(|queue| queue.items.iter().any(|item| !item.controllers.is_disjoint(controllers)))
    }
}

impl Broker {
    /// Tells what a Service told for a Subscription, once it is known whether its recipient may hear it.
    pub(crate) fn tell_of_service(
        &mut self,
        service: ServiceId,
        subscription: u32,
        path: Path,
        notification: Notification,
    ) {
        let Some(told) = self.subs.get(subscription) else { return };
        let controllers = BTreeSet::from([told.controller]);
        let (targets, what) = match told.kind {
            NotifKind::ObjectDeletion if !self.may_mourn(told, &path) => return,
            NotifKind::ObjectDeletion => (BTreeSet::new(), What::Gone { subscription, path, notification }),
            _ => {
                let targets = self.open_targets(&controllers, &path);
                (targets, What::Notice { subscription, path, notification })
            }
        };
        let waits = !targets.is_empty() || self.undecided.holds(service, &controllers);
        let item = Item { controllers, targets, what };
        match waits {
            true => self.wait_told(service, item),
            false => self.tell_waiting(item),
        }
    }

    /// Has a command's end wait in the same way; gives it back if it need not.
    pub(crate) fn tell_later(
        &mut self,
        service: ServiceId,
        id: &Id,
        outcome: Completed,
    ) -> Option<Completed> {
        let Ok(path) = Path::parse(&id.1) else { return Some(outcome) };
        let element = Element::parsed(&path).filter(|_| self.services.connection(service).is_some());
        let told =
            element.map_or_else(Vec::new, |e| self.interested_in(NotifKind::OperationComplete, e, None));
        let controllers = told.iter().filter_map(|n| self.subs.get(*n)).map(|s| s.controller).collect();
        let targets = self.open_targets(&controllers, &path);
        if targets.is_empty() && !self.undecided.holds(service, &controllers) {
            return Some(outcome);
        }
        self.wait_told(service, Item { controllers, targets, what: What::Complete(id.clone(), outcome) });
        None
    }

    /// Finds out anew what some Targets mean.
    pub(crate) fn learn_targets(&mut self, service: ServiceId, targets: BTreeSet<Steps>) {
        if !targets.is_empty() {
            self.wait_told(service, Item { controllers: BTreeSet::new(), targets, what: What::Look });
        }
    }

    fn open_targets(&self, controllers: &BTreeSet<u32>, path: &Path) -> BTreeSet<Steps> {
        let mut targets = BTreeSet::new();
        for controller in controllers {
            let rights = self.rights_of_controller(*controller);
            targets.extend(rights.open_for(&self.model, path).map(|target| target.segments.clone()));
        }
        targets
    }

    fn wait_told(&mut self, service: ServiceId, item: Item) {
        let queue = self.undecided.0.entry(service).or_default();
        if queue.items.len() >= MOST {
            let name = self.services.name(service);
            tracing::warn!(
                service = name,
                most = MOST,
                "a Service tells more than can be asked for what Permissions mean"
            );
            return self.tell_waiting(item);
        }
        queue.items.push_back(item);
        self.ask_for_told(service);
    }

    /// Asks for what waits, unless a question is under way.
    fn ask_for_told(&mut self, service: ServiceId) {
        let Some(queue) = self.undecided.0.get_mut(&service).filter(|queue| queue.asked == 0) else { return };
        if queue.items.is_empty() {
            self.undecided.0.remove(&service);
            return;
        }
        queue.asked = queue.items.len();
        let targets = queue.items.iter().flat_map(|item| item.targets.iter().cloned()).collect();
        self.decide_told(service, targets);
    }

    /// It is known, or known that it cannot be.
    pub(crate) fn tell_decided(&mut self, service: ServiceId) {
        let Some(queue) = self.undecided.0.get_mut(&service) else { return };
        let asked = std::mem::take(&mut queue.asked).min(queue.items.len());
        for item in queue.items.drain(..asked).collect::<Vec<_>>() {
            self.tell_waiting(item);
        }
        self.ask_for_told(service);
    }

    fn tell_waiting(&mut self, item: Item) {
        match item.what {
            What::Notice { subscription, path, notification } => {
                self.notify(subscription, &path, None, notification);
            }
            What::Gone { subscription, path, notification } => {
                let told = self.subs.get(subscription).filter(|s| s.enabled);
                if told.is_some_and(|s| !self.told.is_over(s.controller)) {
                    self.tell(subscription, &path, None, notification);
                }
            }
            What::Complete(id, outcome) => self.tell_complete(&id, outcome),
            What::Look => {}
        }
    }
}
