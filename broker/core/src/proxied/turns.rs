//! Toggle() and steps of one capability take turns, so that each begins with what the one before it has made.
//!
//! Invariants: a capability has at most one holder; who waits is given the turn in the order of asking, and whatever a
//! holder comes to, it ends its turn; a write by anybody else, asked for after the holder's read, makes the read worthless;
//! where a read does not come behind the writes that are under way, because the device sleeps, the holder waits for their end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use usp_mapping::port::{CallId, PointId};

use crate::Broker;
use crate::gather::{JobId, LegId, LegReply};

/// A device's number and a capability of it.
pub(crate) type TurnKey = (u32, PointId);

/// Whose turn it is, by capability.
#[derive(Default)]
pub(crate) struct Turns {
    held: BTreeMap<TurnKey, Held>,
    /// Holders that wait for the writes of others to end.
    after: Vec<(LegId, Vec<CallId>)>,
}

struct Held {
    by: JobId,
    /// Something was written since the holder last asked.
    disturbed: bool,
    waiting: VecDeque<LegId>,
}

impl Turns {
    /// Writes are asked for.
    pub(crate) fn disturb(&mut self, device: u32, points: impl Iterator<Item = PointId>) {
        for point in points {
            if let Some(held) = self.held.get_mut(&(device, point)) {
                held.disturbed = true;
            }
        }
    }

    /// This leg of a holder ends with these writes.
    pub(crate) fn await_writes(&mut self, leg: LegId, calls: Vec<CallId>) {
        self.after.push((leg, calls));
    }

    /// Those that wait for no write any more.
    pub(crate) fn written(&mut self, is_under_way: impl Fn(&CallId) -> bool) -> Vec<LegId> {
        if self.after.is_empty() {
            return Vec::new();
        }
        self.after.extract_if(.., |(_, calls)| !calls.iter().any(&is_under_way)).map(|(leg, _)| leg).collect()
    }

    /// The holder begins to read.
    pub(crate) fn settle(&mut self, key: TurnKey) {
        if let Some(held) = self.held.get_mut(&key) {
            held.disturbed = false;
        }
    }

    /// Whether something was written since the holder began to read.
    pub(crate) fn is_disturbed(&self, key: TurnKey) -> bool {
        self.held.get(&key).is_some_and(|held| held.disturbed)
    }
}

impl Broker {
    /// Takes the turn (`true`), or opens a leg that gets [`LegReply::Turn`] once it is this job's turn.
    pub(crate) fn take_turn(&mut self, job: JobId, key: TurnKey) -> bool {
        if let Entry::Vacant(free) = self.gather.turns.held.entry(key) {
            free.insert(Held { by: job, disturbed: false, waiting: VecDeque::new() });
            return true;
        }
        let leg = self.wait_for_turn(job);
        if let Some(held) = self.gather.turns.held.get_mut(&key) {
            held.waiting.push_back(leg);
        }
        false
    }

    /// The next one's turn.
    pub(crate) fn end_turn(&mut self, job: JobId, key: TurnKey) {
        let gather = &mut self.gather;
        let Some(held) = gather.turns.held.get_mut(&key).filter(|held| held.by == job) else { return };
        while let Some(leg) = held.waiting.pop_front() {
            if let Some(next) = gather.legs.get(&leg).map(|leg| leg.job) {
                (held.by, held.disturbed) = (next, false);
                self.ready.push_back((leg, LegReply::Turn));
                return;
            }
        }
        gather.turns.held.remove(&key);
    }
}
