//! The calls that wait for one device.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use usp_mapping::port::{CallId, CommandId, DeviceFault, PointId};
use usp_mapping::value::Value;

use crate::bus::QUEUE_PER_DEVICE;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A capability.
    Point(PointId),
    /// A step of a command.
    Step(CommandId, usize),
}

/// Who waits for an answer, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The call's.
    pub(crate) id: CallId,
    /// How long after receipt an answer is of use.
    pub(crate) within: Duration,
    /// When an answer is no longer of use.
    pub(crate) deadline: Instant,
}

/// A write unit, and everybody whose write it stands for: the newest caller last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WriteCall {
    /// More than one after older writes were merged into this one.
    pub(crate) callers: Vec<Caller>,
    /// In the order of the call.
    pub(crate) items: Vec<(Target, Value)>,
    /// Until when each item must have been begun.
    pub(crate) begin_by: Vec<Instant>,
    /// Whether all its bindings allow merging.
    pub(crate) coalesce: bool,
}

/// A read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReadCall {
    /// Who asked.
    pub(crate) caller: Caller,
    /// In the order of the call.
    pub(crate) points: Vec<PointId>,
}

impl WriteCall {
    /// Until when it must have been begun as a whole: nothing of it is sent when a part would come too late.
    fn must_begin_by(&self) -> Option<Instant> {
        self.begin_by.iter().min().copied()
    }

    /// What it writes.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        self.items.iter().map(|(target, _)| *target)
    }

    fn same_targets(&self, other: &Self) -> bool {
        self.targets().eq(other.targets())
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// That of the write at this place.
    Now(usize),
    /// Nobody's before this instant.
    At(Instant),
    /// Nobody's.
    Nobody,
}

/// Bounded; writes and reads apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    writes: VecDeque<WriteCall>,
    reads: VecDeque<ReadCall>,
}

impl Queue {
    /// How many callers wait.
    pub(crate) fn len(&self) -> usize {
        self.reads.len() + self.writes.iter().map(|write| write.callers.len()).sum::<usize>()
    }

    /// Whose turn it is among the writes, where `ready_at` says until when one has to wait. Others overtake it, but none
    /// that writes the same, nor what is `held` by a write in progress.
    pub(crate) fn write_turn(
        &self,
        now: Instant,
        mut held: Vec<Target>,
        ready_at: impl Fn(&WriteCall) -> Option<Instant>,
    ) -> Turn {
        let mut turn = Turn::Nobody;
        for (place, call) in self.writes.iter().enumerate() {
            let waits = ready_at(call).filter(|at| now < *at);
            if !call.targets().any(|target| held.contains(&target)) {
                match (waits, turn) {
                    (None, _) => return Turn::Now(place),
                    (Some(at), Turn::At(other)) => turn = Turn::At(other.min(at)),
                    (Some(at), _) => turn = Turn::At(at),
                }
            }
            held.extend(call.targets());
        }
        turn
    }

    /// What waits to be written and is of this kind.
    pub(crate) fn targets_where(&self, is: impl Fn(Target, &Value) -> bool) -> Vec<Target> {
        let items = self.writes.iter().flat_map(|call| &call.items);
        items.filter(|(target, value)| is(*target, value)).map(|(target, _)| *target).collect()
    }

    /// Whether reads wait.
    pub(crate) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Puts a write last. One to the same capabilities that waits just before it is replaced, where all bindings
    /// allow that; its callers then get the answer of the newer one. Never across another write: order is kept.
    pub(crate) fn push_write(&mut self, mut call: WriteCall) -> Result<(), DeviceFault> {
        self.check_room()?;
        let replaces = |last: &WriteCall| last.coalesce && call.coalesce && last.same_targets(&call);
        if self.writes.back().is_some_and(replaces)
            && let Some(mut older) = self.writes.pop_back()
        {
            older.callers.append(&mut call.callers);
            call.callers = older.callers;
        }
        self.writes.push_back(call);
        Ok(())
    }

    /// Puts a read last.
    pub(crate) fn push_read(&mut self, call: ReadCall) -> Result<(), DeviceFault> {
        self.check_room()?;
        self.reads.push_back(call);
        Ok(())
    }

    fn check_room(&self) -> Result<(), DeviceFault> {
        if self.len() < QUEUE_PER_DEVICE { Ok(()) } else { Err(DeviceFault::QueueFull) }
    }

    /// Takes a write unit out.
    pub(crate) fn take_write(&mut self, place: usize) -> Option<WriteCall> {
        self.writes.remove(place)
    }

    /// All reads that wait: what they ask for is read together.
    pub(crate) fn take_reads(&mut self) -> Vec<ReadCall> {
        self.reads.drain(..).collect()
    }

    /// Takes out what can no longer be answered in time, with its answers.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(CallId, DeviceFault)> {
        let mut expired = Vec::new();
        self.writes.retain(|write| {
            let keep = write.must_begin_by().is_none_or(|at| now < at);
            if !keep {
                expired.extend(write.callers.iter().map(|caller| (caller.id, DeviceFault::Expired)));
            }
            keep
        });
        for write in &mut self.writes {
            // The newest caller's deadline is part of `must_begin_by`; here go those whose older write it replaced.
            write.callers.retain(|caller| keep_caller(caller, now, DeviceFault::Expired, &mut expired));
        }
        self.reads.retain(|read| {
            let fault = DeviceFault::Timeout(read.caller.within);
            keep_caller(&read.caller, now, fault, &mut expired)
        });
        expired
    }

    /// When something expires next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let begins = self.writes.iter().filter_map(WriteCall::must_begin_by);
        let callers = self.writes.iter().flat_map(|write| &write.callers);
        let callers = callers.chain(self.reads.iter().map(|read| &read.caller));
        begins.chain(callers.map(|caller| caller.deadline)).min()
    }

    /// Takes out all reads.
    pub(crate) fn drain_reads(&mut self) -> impl Iterator<Item = CallId> {
        self.reads.drain(..).map(|read| read.caller.id)
    }

    /// Takes out all writes: none of them was begun.
    pub(crate) fn drain_writes(&mut self) -> impl Iterator<Item = CallId> {
        self.writes.drain(..).flat_map(|write| write.callers).map(|caller| caller.id)
    }
}

/// What befell the device, told to whoever has a write there that was not sent: it befell another.
pub(crate) fn unsent(fault: &DeviceFault) -> DeviceFault {
    let because = |why: &str| DeviceFault::Unreachable(format!("{why}; this was not sent"));
    match fault {
        DeviceFault::Unreachable(why) | DeviceFault::Unsettled(why) => because(why),
        DeviceFault::Timeout(_) | DeviceFault::Garbled(_) => because(&fault.to_string()),
        other => other.clone(),
    }
}

fn keep_caller(
    caller: &Caller,
    now: Instant,
    fault: DeviceFault,
    expired: &mut Vec<(CallId, DeviceFault)>,
) -> bool {
    let keep = now < caller.deadline;
    if !keep {
        expired.push((caller.id, fault));
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at_point(point: u16) -> Target {
        Target::Point(PointId(point))
    }

    fn caller(id: u64, at: Instant, within: u32) -> Caller {
        Caller { id: CallId(id), within: within * MS, deadline: at + within * MS }
    }

    fn write(id: u64, at: Instant, within: u32, points: &[u16], coalesce: bool) -> WriteCall {
        WriteCall {
            callers: vec![caller(id, at, within)],
            items: points.iter().map(|point| (at_point(*point), Value::Number(id.into()))).collect(),
            begin_by: vec![at + within * MS; points.len()],
            coalesce,
        }
    }

    fn read(id: u64, at: Instant, within: u32) -> ReadCall {
        ReadCall { caller: caller(id, at, within), points: vec![PointId(0)] }
    }

    fn ids(write: &WriteCall) -> Vec<u64> {
        write.callers.iter().map(|caller| caller.id.0).collect()
    }

    #[test]
    fn a_burst_is_merged_into_the_newest_only_where_allowed() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for id in 1..=3 {
            queue.push_write(write(id, now, 100, &[7], true)).unwrap();
        }
        queue.push_write(write(4, now, 100, &[7], false)).unwrap();
        queue.push_write(write(5, now, 100, &[7], false)).unwrap();
        assert_eq!(queue.len(), 5);
        let merged = queue.take_write(0).unwrap();
        assert_eq!(ids(&merged), [1, 2, 3]);
        assert_eq!(merged.items, [(at_point(7), Value::Number(3.into()))]);
        assert_eq!(ids(&queue.take_write(0).unwrap()), [4]);
        assert_eq!(ids(&queue.take_write(0).unwrap()), [5]);
        assert_eq!(queue.take_write(0), None);
    }

    #[test]
    fn merging_never_crosses_another_write() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for (id, point) in [(1, 7), (2, 8), (3, 7)] {
            queue.push_write(write(id, now, 100, &[point], true)).unwrap();
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.take_write(0)).map(|write| ids(&write)).collect();
        assert_eq!(order, [[1], [2], [3]]);
    }

    #[test]
    fn what_cannot_be_in_time_is_taken_out_with_the_right_answer() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.push_write(write(1, now, 10, &[1], false)).unwrap();
        queue.push_write(write(2, now, 30, &[1], false)).unwrap();
        queue.push_read(read(3, now, 20)).unwrap();
        assert_eq!(queue.next_expiry(), Some(now + 10 * MS));
        assert_eq!(queue.expire(now + 9 * MS), []);
        let expired = queue.expire(now + 20 * MS);
        assert_eq!(expired, [(CallId(1), DeviceFault::Expired), (CallId(3), DeviceFault::Timeout(20 * MS))]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn an_expired_value_is_not_sent_for_the_sake_of_an_older_caller() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.push_write(write(1, now, 1000, &[1], true)).unwrap();
        queue.push_write(write(2, now, 10, &[1], true)).unwrap();
        let expired = queue.expire(now + 10 * MS);
        assert_eq!(expired, [(CallId(1), DeviceFault::Expired), (CallId(2), DeviceFault::Expired)]);
        assert_eq!(queue.write_turn(now, Vec::new(), |_| None), Turn::Nobody);
    }

    #[test]
    fn a_write_that_has_to_wait_holds_up_only_those_to_the_same() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for (id, point) in [(1, 7), (2, 7), (3, 8)] {
            queue.push_write(write(id, now, 100, &[point], false)).unwrap();
        }
        let slow = |call: &WriteCall| (ids(call) == [1]).then_some(now + 50 * MS);
        assert_eq!(queue.write_turn(now, Vec::new(), slow), Turn::Now(2));
        assert_eq!(queue.write_turn(now, vec![at_point(8)], slow), Turn::At(now + 50 * MS));
        assert_eq!(queue.write_turn(now, vec![at_point(8), at_point(7)], |_| None), Turn::Nobody);
        queue.take_write(2);
        assert_eq!(queue.write_turn(now, Vec::new(), slow), Turn::At(now + 50 * MS));
        assert_eq!(queue.write_turn(now + 50 * MS, Vec::new(), slow), Turn::Now(0));
    }

    #[test]
    fn a_full_queue_refuses_one_more() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for id in 0..QUEUE_PER_DEVICE as u64 {
            let pushed = if id % 2 == 0 {
                queue.push_write(write(id, now, 100, &[1], true))
            } else {
                queue.push_read(read(id, now, 100))
            };
            assert_eq!(pushed, Ok(()));
        }
        assert_eq!(queue.push_read(read(900, now, 100)), Err(DeviceFault::QueueFull));
        assert_eq!(queue.push_write(write(901, now, 100, &[1], true)), Err(DeviceFault::QueueFull));
        let emptied = queue.drain_reads().count() + queue.drain_writes().count();
        assert_eq!(emptied, QUEUE_PER_DEVICE);
        assert_eq!(queue.len(), 0);
    }
}
