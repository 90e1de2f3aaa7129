//! Who comes while the network is open: pure.
//!
//! Each call opens the network for a while of its own, and is done when that is over and nobody who came is still being asked; but no
//! later than [`GRACE`] after it, whoever is not ready then is told as failed. Who comes is in the answer of every call that is open. The network is open for as long as
//! any call wants.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use usp_mapping::port::{BusCallId, JoinStage, Newcomer, RadioAddress};

/// How long those that came last may still be asked when the network is closed.
pub(super) const GRACE: Duration = Duration::from_secs(120);

/// Most devices that are told in an answer.
const MOST: usize = 256;

/// Calls that are open.
#[derive(Debug, Default)]
pub(super) struct Joining {
    calls: BTreeMap<BusCallId, Call>,
}

#[derive(Debug)]
struct Call {
    until: Instant,
    came: BTreeMap<RadioAddress, Newcomer>,
}

/// A call that is done, with who came.
pub(super) type Done = (BusCallId, Vec<Newcomer>);

impl Joining {
    /// The network is to be open for so long.
    pub(super) fn open(&mut self, now: Instant, id: BusCallId, within: Duration) {
        self.calls.insert(id, Call { until: now + within, came: BTreeMap::new() });
    }

    /// How long the network is to be open from now on.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let last = self.calls.values().map(|call| call.until).max();
        last.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Somebody came, or is further.
    pub(super) fn came(&mut self, newcomer: &Newcomer) {
        for call in self.calls.values_mut() {
            if call.came.len() < MOST || call.came.contains_key(&newcomer.address) {
                call.came.insert(newcomer.address, newcomer.clone());
            }
        }
    }

    /// The calls that are done by now.
    pub(super) fn done(&mut self, now: Instant) -> Vec<Done> {
        let is_done = |call: &Call| {
            let asked =
                |newcomer: &Newcomer| matches!(newcomer.stage, JoinStage::Found | JoinStage::Interviewing);
            now >= call.until && (now >= call.until + GRACE || !call.came.values().any(asked))
        };
        let done: Vec<_> = self.calls.iter().filter(|(_, call)| is_done(call)).map(|(id, _)| *id).collect();
        done.into_iter().filter_map(|id| self.cancel(id)).collect()
    }

    /// When [`Joining::done`] has something to say at the latest.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = |call: &Call| if now < call.until { call.until } else { call.until + GRACE };
        self.calls.values().map(due).min()
    }

    /// A call is to end now; who came until then. `None`: it is not open any more.
    pub(super) fn cancel(&mut self, id: BusCallId) -> Option<Done> {
        self.calls.remove(&id).map(|call| (id, call.told()))
    }

    /// All calls end: there is no network any more.
    pub(super) fn end(&mut self) -> Vec<BusCallId> {
        std::mem::take(&mut self.calls).into_keys().collect()
    }
}

impl Call {
    /// Who came; whoever is not ready will not be.
    fn told(self) -> Vec<Newcomer> {
        let told = |newcomer: Newcomer| match newcomer.stage {
            JoinStage::Found | JoinStage::Interviewing => {
                let detail = format!("not ready in time: {}", newcomer.detail);
                Newcomer { stage: JoinStage::Failed, detail, ..newcomer }
            }
            _ => newcomer,
        };
        self.came.into_values().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ID: BusCallId = BusCallId(1);

    fn newcomer(address: u64, stage: JoinStage) -> Newcomer {
        let (manufacturer, model, detail) = ("ACME".to_owned(), "P1".to_owned(), "asked".to_owned());
        Newcomer { address: RadioAddress(address), stage, manufacturer, model, detail }
    }

    #[test]
    fn a_call_ends_with_its_time() {
        let (mut joining, now) = (Joining::default(), Instant::now());
        joining.open(now, ID, 60 * SECOND);
        assert_eq!(joining.remaining(now + SECOND), 59 * SECOND);
        joining.came(&newcomer(1, JoinStage::Ready));
        assert!(joining.done(now + 59 * SECOND).is_empty());
        assert_eq!(joining.due(now), Some(now + 60 * SECOND));
        let done = joining.done(now + 60 * SECOND);
        assert_eq!(done, [(ID, vec![newcomer(1, JoinStage::Ready)])]);
        assert_eq!((joining.done(now + 90 * SECOND).len(), joining.due(now)), (0, None));
    }

    #[test]
    fn who_came_last_is_waited_for_but_not_for_ever() {
        let (mut joining, now) = (Joining::default(), Instant::now());
        joining.open(now, ID, SECOND);
        joining.came(&newcomer(1, JoinStage::Interviewing));
        assert!(joining.done(now + 30 * SECOND).is_empty());
        assert_eq!(joining.due(now + SECOND), Some(now + SECOND + GRACE));
        let mut other = Joining::default();
        other.open(now, ID, SECOND);
        other.came(&newcomer(1, JoinStage::Interviewing));
        other.came(&newcomer(1, JoinStage::Ready));
        assert_eq!(other.done(now + 30 * SECOND).len(), 1);
        let (_, came) = joining.done(now + SECOND + GRACE).remove(0);
        assert_eq!((came[0].stage, came[0].detail.as_str()), (JoinStage::Failed, "not ready in time: asked"));
    }

    #[test]
    fn calls_end_each_by_themselves() {
        let (mut joining, now) = (Joining::default(), Instant::now());
        joining.open(now, ID, 10 * SECOND);
        joining.open(now, BusCallId(2), 20 * SECOND);
        assert_eq!(joining.cancel(BusCallId(2)), Some((BusCallId(2), Vec::new())));
        assert_eq!(joining.remaining(now), 10 * SECOND);
        assert_eq!(joining.cancel(BusCallId(2)), None);
        assert_eq!(joining.end(), [ID]);
        assert_eq!(joining.remaining(now), Duration::ZERO);
    }
}
