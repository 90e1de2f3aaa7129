//! Rows that Services make for Controllers: a Service may tell of one before it has answered the Add, and a notification
//! follows the answer to the request that caused it.

use std::collections::BTreeMap;

use usp_proto::path::Path;
use usp_proto::usp::notify::Notification;

use crate::Broker;
use crate::dm::schema::ServiceId;

/// So many notifications are held back at most; what is more is told at once.
const MOST: usize = 4096;

/// What waits for answers to Add.
#[derive(Default)]
pub(crate) struct Creations {
    /// Requests under way that make rows at a Service.
    open: BTreeMap<ServiceId, usize>,
    held: Vec<Held>,
}

struct Held {
    service: ServiceId,
    subscription: u32,
    path: Path,
    notification: Notification,
}

impl Broker {
    /// A request is about to make rows at a Service.
    pub(crate) fn begin_adding(&mut self, service: ServiceId) {
        *self.creations.open.entry(service).or_default() += 1;
    }

    /// It is answered.
    pub(crate) fn end_adding(&mut self, service: ServiceId) {
        if let Some(open) = self.creations.open.get_mut(&service) {
            *open = open.saturating_sub(1);
        }
        self.creations.open.retain(|_, open| *open > 0);
    }

    /// Tells what a Service has told for a Subscription; of new rows once nobody waits to hear of them in an answer.
    pub(crate) fn pass_on(
        &mut self,
        service: ServiceId,
        subscription: u32,
        path: &Path,
        notification: Notification,
    ) {
        let creations = &mut self.creations;
        let waits = matches!(notification, Notification::ObjCreation(_))
            && creations.open.contains_key(&service)
            && creations.held.len() < MOST;
        match waits {
            true => creations.held.push(Held { service, subscription, path: path.clone(), notification }),
            false => self.notify(subscription, path, None, notification),
        }
    }

    /// Tells what waited and waits no longer.
    pub(crate) fn deliver_creations(&mut self) {
        let Creations { open, held } = &mut self.creations;
        let due: Vec<Held> = held.extract_if(.., |held| !open.contains_key(&held.service)).collect();
        for Held { subscription, path, notification, .. } in due {
            self.notify(subscription, &path, None, notification);
        }
    }
}
