//! Subscriptions on Services: rows that the broker keeps there so that changes come to it, reconciled and not replayed.
//!
//! Wanted rows follow from the broker's own Subscription table and from what is registered. A row's ID is made from its
//! content, so that after a reconnect rows that are still right are found again, stale ones deleted and missing ones
//! added. A Service that cannot hold Subscriptions is used for everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Broker;
use crate::access::meaning::Steps;
use crate::dm::schema::ServiceId;
use crate::services::Service;
use crate::services::sync::{Failure, SyncJob};
use crate::services::wanted::Wanted;
use crate::subscriptions::NotifKind;
use crate::timers::Timer;

/// Marks our rows in a Service's table.
pub(crate) const ID_PREFIX: &str = "uspb-";

/// Pause before a Service that did not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Each further pause after a Service has refused something is twice as long, up to this many times the first.
const MOST_PATIENCE: u32 = 128;

/// The broker's rows at one Service.
#[derive(Default)]
pub(crate) struct Shadows {
    pub(super) rows: BTreeMap<Wanted, Shadow>,
    /// Rows for the broker itself: what they tell changes what these Targets of Permissions mean.
    pub(super) watched: BTreeMap<Wanted, BTreeSet<Steps>>,
    /// The same: what they tell changes where references of these Subscriptions lead.
    pub(super) followed: BTreeMap<Wanted, BTreeSet<u32>>,
    /// The same by the rows' IDs: each notification looks here.
    by_id: BTreeMap<String, Wanted>,
    /// The Service's table was read since it connected.
    pub(super) read: bool,
    /// A synchronisation is under way.
    busy: bool,
    /// Something changed meanwhile.
    pub(super) again: bool,
    /// It takes only full Command and Event Paths, as the most common implementation does.
    pub(super) spelt_out: bool,
    /// How often in a row it has refused some of the rows, or all.
    refusals: u32,
}

/// One of them.
#[derive(Default)]
pub(super) struct Shadow {
    /// The row's path at the Service, once it is known.
    pub(super) row: Option<String>,
    /// Our own Subscriptions that it serves.
    pub(super) serves: BTreeSet<u32>,
}

impl Shadows {
    /// The row with this ID and our Subscriptions that it serves.
    pub(crate) fn by_id(&self, id: &str) -> Option<(&Wanted, &BTreeSet<u32>)> {
        let wanted = self.by_id.get(id)?;
        Some((wanted, &self.rows.get(wanted)?.serves))
    }

    /// Some rows that it should have it has not.
    fn owes(&self) -> bool {
        self.rows.values().any(|shadow| shadow.row.is_none())
    }

    /// Whether it tells the broker when commands are complete.
    pub(crate) fn tells_completions(&self) -> bool {
        let of_commands = |wanted: &Wanted| wanted.kind == NotifKind::OperationComplete;
        let mut rows = self.rows.iter().filter(|(wanted, _)| of_commands(wanted)).peekable();
        rows.peek().is_some() && rows.all(|(_, shadow)| shadow.row.is_some())
    }

    /// How long to wait before it is asked for what it has refused.
    fn next_pause(&mut self) -> Duration {
        let pause = RETRY_AFTER * 2_u32.saturating_pow(self.refusals).min(MOST_PATIENCE);
        self.refusals = self.refusals.saturating_add(1);
        pause
    }

    fn serve_any(&self, subscriptions: &BTreeSet<u32>) -> bool {
        let mut served = self.rows.values().map(|shadow| &shadow.serves).chain(self.followed.values());
        served.any(|serves| subscriptions.iter().any(|number| serves.contains(number)))
    }

    pub(super) fn insert(&mut self, wanted: Wanted, shadow: Shadow) {
        self.by_id.insert(wanted.id(), wanted.clone());
        self.rows.insert(wanted, shadow);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Wanted, &Shadow) -> bool) {
        self.rows.retain(|wanted, shadow| keep(wanted, shadow));
        let rows = &self.rows;
        self.by_id.retain(|_, wanted| rows.contains_key(wanted));
    }
}

impl Broker {
    /// Brings rows in line after a change of our own table, at the Services that it concerns.
    pub(crate) fn sync_services(&mut self, changed: &BTreeSet<u32>) {
        let concerned = |id: ServiceId, service: &Service| {
            service.shadows.serve_any(changed)
                || self.is_followed_at(id, changed)
                || changed.iter().filter_map(|n| self.subs.get(*n)).any(|s| service.is_meant_by(s))
        };
        let ids = self.services.iter().filter(|(id, service)| concerned(*id, service)).map(|(id, _)| id);
        for id in ids.collect::<Vec<ServiceId>>() {
            self.sync_service(id);
        }
    }

    /// Brings one Service's rows in line. While that is under way, further changes only ask for another round.
    pub(crate) fn sync_service(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        if service.shadows.busy {
            service.shadows.again = true;
            return;
        }
        self.watch_targets(id);
        let followed = self.followed_at(id);
        if let Some(service) = self.services.get_mut(id) {
            service.shadows.followed = followed;
        }
        let wanted = self.wanted_of(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let shadows = &mut service.shadows;
        for (what, serves) in &wanted {
            if let Some(shadow) = shadows.rows.get_mut(what) {
                shadow.serves.clone_from(serves);
            }
        }
        let same = wanted.keys().eq(shadows.rows.keys());
        if same && (shadows.read || wanted.is_empty()) && !shadows.owes() {
            return;
        }
        shadows.busy = true;
        self.begin(Box::new(SyncJob::new(id)));
    }

    /// Brings in line what has to be heard of Targets; of new ones it is asked at once.
    fn watch_targets(&mut self, id: ServiceId) {
        let watched = self.watched_of(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let before = std::mem::replace(&mut service.shadows.watched, watched.clone());
        let known: BTreeSet<&Steps> = before.values().flatten().collect();
        let new = watched.into_values().flatten().filter(|target| !known.contains(target)).collect();
        self.learn_targets(id, new);
    }

    /// Something was told for one of our rows: what Targets mean may be something else now.
    pub(crate) fn doubt_targets(&mut self, id: ServiceId, told: &Wanted) {
        let targets = self.services.get(id).and_then(|service| service.shadows.watched.get(told)).cloned();
        self.learn_targets(id, targets.unwrap_or_default());
    }

    /// The same: references may lead elsewhere now.
    pub(crate) fn doubt_leads(&mut self, id: ServiceId, told: &Wanted) {
        let followed = self.services.get(id).and_then(|service| service.shadows.followed.get(told)).cloned();
        self.follow_subscriptions(&followed.unwrap_or_default());
    }

    /// What one of our rows at a Service is about, and our Subscriptions that it serves. Right after the Service has come
    /// back, before its table is read, rows from before count as well.
    pub(crate) fn shadow_of(&self, service: ServiceId, id: &str) -> Option<(Wanted, BTreeSet<u32>)> {
        let shadows = &self.services.get(service)?.shadows;
        if let Some((wanted, serves)) = shadows.by_id(id) {
            return Some((wanted.clone(), serves.clone()));
        }
        if shadows.read {
            return None;
        }
        let broad = self.wanted_of(service);
        let spelt = self.spell_out(service, &broad);
        broad.into_iter().chain(spelt).find(|(wanted, _)| wanted.id() == id)
    }

    pub(super) fn finish_sync(&mut self, id: ServiceId, failure: Option<Failure>) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.shadows.busy = false;
        let again = std::mem::take(&mut service.shadows.again);
        match failure {
            Some(failure) => self.sync_failed(id, &failure, again),
            None if again => self.sync_service(id),
            None if service.shadows.owes() => {
                let pause = service.shadows.next_pause();
                self.sync_later(id, pause);
                self.review_soon(id);
            }
            None => service.shadows.refusals = 0,
        }
    }

    /// What a Service has refused is tried again later and later, and with each change; what did not get through, in a while.
    fn sync_failed(&mut self, id: ServiceId, failure: &Failure, changed: bool) {
        let name = self.services.name(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let (why, told) = (&failure.why, failure.told);
        match failure.lasting {
            true if service.shadows.refusals == 0 => {
                let what = "a Service holds no Subscriptions: its changes are not forwarded";
                tracing::warn!(service = name, why, "{what}");
            }
            true => tracing::debug!(service = name, why, "a Service still holds no Subscriptions"),
            false => tracing::warn!(service = name, why, "Subscriptions at a Service are tried again later"),
        }
        // It may have done what it did not answer: its table is read again.
        service.shadows.read = false;
        let pause = if told { service.shadows.next_pause() } else { RETRY_AFTER };
        self.sync_later(id, pause);
        self.review_soon(id);
        if changed && told {
            self.sync_service(id);
        }
    }

    /// A Service's Subscriptions are tried again after a while, with its discovery if that is due as well.
    fn sync_later(&mut self, id: ServiceId, wait: Duration) {
        let at = self.model.now.monotonic + wait;
        let Some(service) = self.services.get_mut(id) else { return };
        if service.retry.is_some_and(|sooner| sooner <= at) {
            return;
        }
        if let Some(later) = service.retry.replace(at) {
            self.timers.clear(later, Timer::Discovery(id));
        }
        self.timers.set(at, Timer::Discovery(id));
    }
}
