//! Group commit: a change is in memory at once, and promised to nobody before it is on disk.
//!
//! At most one batch is under way. What changes meanwhile is collected and goes out as the next batch. When a batch
//! fails, everything that was changed since is taken back in reverse order and its requests are answered with 7005;
//! what no request asked for is done again at once and written as soon as the store takes it.
//! Notifications follow a change only once it is on disk, and after the answer to the request that made it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::Broker;
use crate::dm::rows::{Change, Mark, ObjRef};
use crate::fault::Fault;
use crate::gather::{LegId, LegReply};
use crate::mqtt::port::MqttOrder;
use crate::output::{BatchId, Output, StoreOp};
use crate::time::Mono;
use crate::timers::Timer;
use usp_proto::err_code::ErrCode;
use usp_proto::path::Name;

/// Pause before what no request asked for is written again to a store that refused it.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// So many operations are enough for one batch: what is more and was changed by itself comes with the next, so that a site of
/// very many devices is neither in memory twice nor keeps everybody waiting.
const BATCH: usize = 4096;

/// One request's changes, or a change that no request asked for.
struct Unit {
    /// Whom to tell; `None`: nobody asked for it, so nobody can be refused.
    leg: Option<LegId>,
    changes: Vec<Change>,
    /// Numbers that it used up.
    marks: Vec<Mark>,
    /// What is no row.
    extra: Vec<StoreOp>,
    /// What is sent once it is on disk, before its effects are told.
    first: Vec<Output>,
    /// What is sent after that.
    sends: Vec<Output>,
    /// Its effects have followed already.
    told: bool,
}

/// Changes that go to disk together.
#[derive(Default)]
struct Batch {
    units: Vec<Unit>,
}

/// The two batches that can exist.
#[derive(Default)]
pub(crate) struct Commits {
    under_way: Option<(BatchId, Batch)>,
    collecting: Batch,
    /// Until then nothing but a new change is a reason to try the store again.
    retry_at: Option<Mono>,
    next: u64,
}

impl Commits {
    /// Something is collected and could go out now.
    pub(crate) fn is_due(&self) -> bool {
        let fresh = self.collecting.units.iter().any(|unit| !unit.told);
        let owed = !self.collecting.units.is_empty() && self.retry_at.is_none();
        self.under_way.is_none() && (fresh || owed)
    }
}

impl Broker {
    /// Ends a change: what the journal holds becomes one unit. Without anything to write it takes effect at once,
    /// unless earlier changes are still on their way to disk (effects keep their order).
    pub(crate) fn commit(&mut self, leg: Option<LegId>) {
        let (changes, marks) = self.model.rows.take_journal();
        let (changes, marks) = (net_changes(changes), net_marks(marks));
        let extra = std::mem::take(&mut self.extra_ops);
        self.commits.collecting.units.push(Unit {
            leg,
            changes,
            marks,
            extra,
            first: Vec::new(),
            sends: Vec::new(),
            told: false,
        });
    }

    /// Sends the collected batch, if none is under way. Called after each input.
    pub(crate) fn flush_commits(&mut self) {
        while self.commits.is_due() {
            let (batch, ops) = self.next_batch();
            if ops.is_empty() {
                self.settle(batch);
                continue;
            }
            self.commits.next += 1;
            let id = BatchId(self.commits.next);
            self.outputs.push_back(Output::Store { batch: id, ops });
            self.commits.under_way = Some((id, batch));
        }
    }

    /// Takes what goes out together, unit by unit, and what it is on disk.
    fn next_batch(&mut self) -> (Batch, Vec<StoreOp>) {
        let mut units = std::mem::take(&mut self.commits.collecting.units);
        let (mut ops, mut count) = (Vec::new(), 0);
        for unit in &units {
            if ops.len() >= BATCH {
                break;
            }
            self.put_ops(unit, &mut ops);
            count += 1;
        }
        // Behind all else: what is taken away here may be put by a unit of the same batch.
        ops.extend(self.revoked_by(units.iter().take(count).flat_map(|unit| &unit.changes)));
        self.commits.collecting.units = units.split_off(count);
        (Batch { units }, ops)
    }

    fn put_ops(&self, unit: &Unit, ops: &mut Vec<StoreOp>) {
        ops.extend(unit.extra.iter().cloned());
        ops.extend(unit.changes.iter().filter_map(|change| self.row_op(change)));
        ops.extend(unit.marks.iter().map(|mark| self.mark_op(mark)));
        ops.extend(unit.changes.iter().filter_map(|change| self.forget_op(change)));
    }

    /// The store's word on a batch.
    pub(crate) fn handle_stored(&mut self, id: BatchId, result: Result<(), String>) {
        let Some((expected, batch)) = self.commits.under_way.take() else { return };
        if expected != id {
            self.commits.under_way = Some((expected, batch));
            return;
        }
        match result {
            Ok(()) => self.settle(batch),
            Err(problem) => self.take_back(batch, &problem),
        }
    }

    /// The batch holds: answer, then let effects follow.
    fn settle(&mut self, batch: Batch) {
        for unit in batch.units {
            if let Some(leg) = unit.leg {
                self.close_leg(leg, LegReply::Stored(Ok(())));
            }
            self.release(unit.first);
            if !unit.told {
                self.apply_effects(&unit.changes);
            }
            self.release(unit.sends);
        }
    }

    /// Sends what waited, over connections that are still there.
    fn release(&mut self, sends: Vec<Output>) {
        for send in sends {
            let gone = match &send {
                Output::Send { conn, .. } => self.sessions.get(*conn).is_none(),
                Output::Mqtt(MqttOrder::Publish { client, .. }) => !self.can_publish(*client),
                _ => false,
            };
            if !gone {
                self.outputs.push_back(send);
            }
        }
    }

    /// Ends a part of a large change that no request asked for, if enough has come together.
    pub(crate) fn commit_part(&mut self) {
        if self.model.rows.savepoint() + self.extra_ops.len() >= BATCH {
            self.commit(None);
        }
    }

    /// What is to be sent once the last change is on disk, before its effects are told.
    pub(crate) fn send_first(&mut self, sends: Vec<Output>) {
        if let Some(unit) = self.commits.collecting.units.last_mut() {
            unit.first.extend(sends);
        }
    }

    /// What is to be sent once everything that changed so far is on disk.
    pub(crate) fn commit_sends(&mut self, sends: Vec<Output>) {
        self.commit(None);
        if let Some(unit) = self.commits.collecting.units.last_mut() {
            unit.sends = sends;
        }
    }

    /// The batch failed, and with it whatever a request had built upon it. What no request asked for (a device of the
    /// site, a peer that came, a command that ended) is true all the same: it stays, and is owed to the store.
    fn take_back(&mut self, batch: Batch, problem: &str) {
        tracing::error!(problem, "the store could not keep a change; it was taken back");
        let later = std::mem::take(&mut self.commits.collecting);
        let units: Vec<Unit> = batch.units.into_iter().chain(later.units).collect();
        for change in units.iter().rev().flat_map(|u| u.changes.iter().rev()) {
            self.model.rows.revert(change.clone());
        }
        let mut owed = Unit {
            leg: None,
            changes: Vec::new(),
            marks: Vec::new(),
            extra: Vec::new(),
            first: Vec::new(),
            sends: Vec::new(),
            told: true,
        };
        for unit in units {
            match unit.leg {
                Some(leg) => {
                    self.model.rows.unmark(&unit.marks);
                    let text = format!("the change could not be stored: {problem}");
                    let fault = Fault::new(ErrCode::RESOURCES_EXCEEDED, text);
                    self.close_leg(leg, LegReply::Stored(Err(fault)));
                }
                None => self.do_again(unit, &mut owed),
            }
        }
        // Whoever came meanwhile may have been given rights that nobody has.
        self.refresh_rights();
        owed.changes = net_changes(owed.changes);
        owed.extra = net_notifications(owed.extra);
        self.owe(owed);
    }

    /// Does again what was taken back with the rest, and lets its effects follow.
    fn do_again(&mut self, unit: Unit, owed: &mut Unit) {
        let again: Vec<Change> = unit.changes.iter().filter_map(|c| self.model.rows.redo(c)).collect();
        owed.extra.extend(unit.extra);
        owed.marks.extend(unit.marks);
        self.release(unit.first);
        if !unit.told {
            self.apply_effects(&again);
        }
        self.release(unit.sends);
        owed.changes.extend(again);
    }

    fn owe(&mut self, owed: Unit) {
        if owed.extra.is_empty()
            && owed.marks.is_empty()
            && !owed.changes.iter().any(|change| self.row_op(change).is_some())
        {
            return;
        }
        self.commits.collecting.units.insert(0, owed);
        let at = self.model.now.monotonic + RETRY_AFTER;
        self.commits.retry_at = Some(at);
        self.timers.set(at, Timer::Store);
    }

    /// What is owed to the store is due.
    pub(crate) fn retry_store(&mut self) {
        if self.commits.retry_at.is_some_and(|at| at <= self.model.now.monotonic) {
            self.commits.retry_at = None;
        }
    }

    /// What a change of a row is on disk.
    fn row_op(&self, change: &Change) -> Option<StoreOp> {
        let kept = |row: &Option<Arc<crate::dm::rows::Row>>| row.as_ref().is_some_and(|r| !r.volatile);
        if self.is_passing(change) {
            return None;
        }
        let path = self.model.path(&change.at);
        match &change.after {
            Some(row) if !row.volatile => Some(StoreOp::PutRow {
                path,
                params: row.params.iter().map(|(n, v)| (n.to_string(), v.clone())).collect(),
            }),
            _ => kept(&change.before).then_some(StoreOp::DeleteRow { path }),
        }
    }

    /// How far a running command is, is not worth a write: a restart ends it, or begins anew.
    fn is_passing(&self, change: &Change) -> bool {
        let object = self.model.schema.get(change.at.object).map(|o| &*o.path);
        let (Some("Device.LocalAgent.Request.{i}."), Some(before), Some(after)) =
            (object, &change.before, &change.after)
        else {
            return false;
        };
        let same =
            |name: &Name| name.as_str() == "Status" || before.params.get(name) == after.params.get(name);
        before.volatile == after.volatile && before.params.keys().chain(after.params.keys()).all(same)
    }

    /// Numbers below a kept row that is gone. Those below a device stay known: it may come back.
    fn forget_op(&self, change: &Change) -> Option<StoreOp> {
        let kept = change.before.as_ref().filter(|before| !before.volatile && change.after.is_none());
        let object = kept.and_then(|_| self.model.schema.get(change.at.object)).filter(|o| o.table)?;
        if object.path.starts_with("Device.ProxiedDevice.") || object.children.is_empty() {
            return None;
        }
        Some(StoreOp::ForgetNumbers { below: self.model.path(&change.at) })
    }

    fn mark_op(&self, mark: &Mark) -> StoreOp {
        let path = self.model.schema.get(mark.table).map_or("", |o| &*o.path);
        let table = path.strip_suffix("{i}.").unwrap_or(path);
        StoreOp::PutHighest { table: crate::dm::fill_numbers(table, &mark.above), number: mark.number }
    }
}

/// Of what is owed of each notification the last alone: a store that fails for days would be owed very many.
fn net_notifications(mut ops: Vec<StoreOp>) -> Vec<StoreOp> {
    let mut known = BTreeSet::new();
    ops.reverse();
    ops.retain(|op| match op {
        StoreOp::PutNotification { id, .. } | StoreOp::DeleteNotification { id } => known.insert(*id),
        _ => true,
    });
    ops.reverse();
    ops
}

/// What a request changed in all: one change a row, from what it was before to what it is in the end.
fn net_changes(changes: Vec<Change>) -> Vec<Change> {
    let mut net: Vec<Change> = Vec::with_capacity(changes.len());
    let mut places: BTreeMap<ObjRef, usize> = BTreeMap::new();
    for change in changes {
        match places.get(&change.at).and_then(|place| net.get_mut(*place)) {
            Some(known) => known.after = change.after,
            None => {
                places.insert(change.at.clone(), net.len());
                net.push(change);
            }
        }
    }
    net.retain(|change| change.before != change.after);
    net
}

/// The last mark of each table: the others are overtaken by it.
fn net_marks(marks: Vec<Mark>) -> Vec<Mark> {
    let last: BTreeMap<_, _> =
        marks.iter().map(|mark| ((mark.table, mark.above.clone()), mark.number)).collect();
    last.into_iter().map(|((table, above), number)| Mark { table, above, number }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::rows::Row;
    use crate::dm::schema::ObjId;

    #[test]
    fn a_table_is_marked_once_a_request() {
        let mark = |above: &[u32], number| Mark { table: ObjId(1), above: above.into(), number };
        let net = net_marks(vec![mark(&[1], 64), mark(&[2], 1), mark(&[2], 2), mark(&[1], 3)]);
        assert_eq!(net, [mark(&[1], 3), mark(&[2], 2)]);
    }

    #[test]
    fn a_row_changes_once_a_request() {
        let at = |n| ObjRef::new(ObjId(1), &[n]);
        let row = |volatile| Some(Arc::new(Row { volatile, ..Row::default() }));
        let change = |n, before, after| Change { at: at(n), before, after };
        let net = net_changes(vec![
            change(1, None, row(true)),
            change(2, None, row(true)),
            change(1, row(true), row(false)),
            change(2, row(true), None),
        ]);
        assert_eq!(net, [change(1, None, row(false))]);
    }
}
