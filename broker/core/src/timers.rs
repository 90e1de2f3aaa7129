//! Everything that is due at some instant, in one ordered set.

use std::collections::BTreeSet;

use crate::dm::schema::ServiceId;
use crate::gather::LegId;
use crate::proxied::objects::Place;
use crate::subscriptions::saving::Debt;
use crate::time::Mono;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A leg's deadline.
    Leg(LegId),
    /// A notification is to be sent again, or expires.
    Notice(u64),
    /// What is owed to a Controller by a Subscription is to be written to the store.
    Notices(Debt),
    /// A Subscription's TimeToLive ends.
    Subscription(u32),
    /// Discovery of a Service is to be tried again.
    Discovery(ServiceId),
    /// A Service over MQTT may have been silent for too long.
    Silence(ServiceId),
    /// A Service is to be asked which commands still run there.
    Review(ServiceId),
    /// Notifications of new rows have waited for long enough.
    Creations,
    /// Where references of Subscriptions lead is to be asked again.
    Leads,
    /// What is owed to the store is to be tried again.
    Store,
    /// A Controller's Periodic! is due.
    Periodic(u32),
    /// A ScheduleTimer() runs down, by its Request row.
    Scheduled(u32),
    /// A Controller's on-boarding is to be started again.
    OnBoarding(u32),
    /// The settings of a Subscription may be made again.
    Trigger(u32),
    /// Readings of a device may have become old, by the number of its row.
    Age(u32),
    /// A window of a BinarySensor may have ended.
    Sensor { device: u32, place: Place },
}

/// The set.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Mono, Timer)>);

impl Timers {
    /// Adds one.
    pub(crate) fn set(&mut self, at: Mono, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// Takes one away.
    pub(crate) fn clear(&mut self, at: Mono, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next that is due by `now`.
    pub(crate) fn pop(&mut self, now: Mono) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
