//! Two references of one Subscription may mean the same at a Service, which tells for each of them. Where expressions are
//! among them only the Service knows, so what it has told for one is not told again for another.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use usp_proto::message;
use usp_proto::path::Path;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{Notify, notify::Notification};

use crate::Broker;
use crate::dm::covers::Element;
use crate::dm::schema::ServiceId;
use crate::subscriptions::hash;
use crate::time::Mono;

/// A Service tells one thing for all rows in one go; what comes later than this after it is another one.
const SOON: Duration = Duration::from_secs(1);

/// So much is remembered of a Service at most; the oldest is forgotten first.
const MOST: usize = 256;

/// What one Service has told of late.
#[derive(Default)]
pub(crate) struct Repeats(VecDeque<Telling>);

/// Something that was passed on.
struct Telling {
    subscription: u32,
    /// The Subscription and all that was said.
    what: u64,
    /// The IDs of our rows there for which it was said: each may say it once.
    rows: BTreeSet<String>,
    /// A copy comes no later than this.
    until: Mono,
}

impl Repeats {
    /// Whether another row has told this, and this one is the copy. Otherwise it is remembered. What a row tells is in
    /// order, so it is no copy of anything that was told before something that this row has told already.
    fn is_copy(&mut self, (subscription, what): (u32, u64), row: &str, now: Mono) -> bool {
        while self.0.front().is_some_and(|oldest| oldest.until <= now) || self.0.len() >= MOST {
            self.0.pop_front();
        }
        let has_told = |t: &Telling| t.subscription == subscription && t.rows.contains(row);
        let later = self.0.iter().rposition(has_told).map_or(0, |last| last + 1);
        match self.0.iter_mut().skip(later).find(|telling| telling.what == what) {
            Some(telling) => telling.rows.insert(row.to_owned()),
            None => {
                let rows = BTreeSet::from([row.to_owned()]);
                self.0.push_back(Telling { subscription, what, rows, until: now + SOON });
                false
            }
        }
    }
}

impl Broker {
    /// Whether a Service has told this already, for another of our rows there that serves the same Subscription.
    pub(crate) fn is_copy(
        &mut self,
        service: ServiceId,
        subscription: u32,
        row: &str,
        path: &Path,
        notification: &Notification,
    ) -> bool {
        if !self.may_come_twice(subscription, path) {
            return false;
        }
        let said = Notify { notification: Some(notification.clone()), ..Notify::default() };
        let said = message::encode(&message::request("", ReqType::Notify(said)));
        let now = self.model.now.monotonic;
        let Some(service) = self.services.get_mut(service) else { return false };
        service.repeats.is_copy((subscription, hash(subscription, &said)), row, now)
    }

    /// Whether several rows at a Service may tell this for one Subscription. Most have one reference and one row.
    fn may_come_twice(&self, subscription: u32, path: &Path) -> bool {
        let Some(subscription) = self.subs.get(subscription) else { return false };
        let may_mean = |reference: &&Path| {
            Element::parsed(path).is_some_and(|e| e.is_covered_by(reference, &|_, _| true))
        };
        subscription.kind.is_about_rows() || subscription.plain().filter(may_mean).nth(1).is_some()
    }
}
