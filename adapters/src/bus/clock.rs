//! When which poll group is due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{Mapping, Poll, ReadBinding};
use usp_mapping::port::PointId;

/// The poll groups of one device. A round that was missed is left out, not made up for; the next ones keep the beat.
#[derive(Clone, Debug)]
pub(crate) struct PollClock {
    groups: Vec<Group>,
    once: Vec<PointId>,
    /// Those of it that are still to be read, with such as the device could not give just now, and when; `None`: all have been.
    missing: Vec<PointId>,
    once_at: Option<Instant>,
    /// Points that the device has said unasked: no longer with their group, but a period after they were last heard.
    heard: BTreeMap<PointId, Heard>,
    /// Points that were written and are to be read for that: when, and whether once more a moment later.
    written: BTreeMap<PointId, (Instant, bool)>,
    /// Points that the device does not say by itself after all: those of `once` are polled, so often.
    unsaid: Vec<(PointId, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    every: Duration,
    due_at: Instant,
}

/// How long after a write that nothing verifies its point is read, and how long after that once more: many devices need a moment.
const SOON: Duration = Duration::from_millis(200);
const A_MOMENT: Duration = Duration::from_secs(1);

/// After so long another attempt is made at what is read once and could not be, or seldom and not just now.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Group {
    every: Duration,
    due_at: Instant,
    points: Vec<PointId>,
}

impl PollClock {
    /// All groups of a mapping, due at once.
    pub(crate) fn new(mapping: &Mapping, now: Instant) -> Self {
        let mut groups: BTreeMap<Duration, Vec<PointId>> = BTreeMap::new();
        for point in mapping.points() {
            if let Some(every) = point.read.and_then(|read| read.poll.every()) {
                groups.entry(every).or_default().push(point.id);
            }
        }
        let groups = groups.into_iter().map(|(every, points)| Group { every, due_at: now, points });
        let is_once = |read: &ReadBinding| read.poll == Poll::Once;
        let once = mapping.points().filter(|point| point.read.is_some_and(is_once)).map(|point| point.id);
        let once: Vec<_> = once.collect();
        let mut clock = Self {
            groups: groups.collect(),
            once,
            missing: Vec::new(),
            once_at: None,
            heard: BTreeMap::new(),
            written: BTreeMap::new(),
            unsaid: Vec::new(),
        };
        clock.begin_once(now);
        clock
    }

    /// When the next group is due; `None`: nothing is polled.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let groups = self.groups.iter().map(|group| group.due_at);
        let heard = self.heard.values().map(|heard| heard.due_at);
        let written = self.written.values().map(|(at, _)| *at);
        groups.chain(heard).chain(written).chain(self.once_at).min()
    }

    /// The points of all groups that are due, whose next turn is then a multiple of their period later.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<PointId> {
        let is_time = self.once_at.take_if(|at| *at <= now).is_some();
        let again = if is_time { std::mem::take(&mut self.missing) } else { Vec::new() };
        let mut points = again.clone();
        for group in self.groups.iter_mut().filter(|group| group.due_at <= now) {
            points.extend(group.points.iter().filter(|point| !again.contains(point)));
            group.due_at = next_beat(group.due_at, group.every, now);
        }
        for (point, heard) in self.heard.iter_mut().filter(|(_, heard)| heard.due_at <= now) {
            if !again.contains(point) {
                points.push(*point);
            }
            heard.due_at = next_beat(heard.due_at, heard.every, now);
        }
        points.extend(
            self.take_written(now).into_iter().filter(|point| !points.contains(point)).collect::<Vec<_>>(),
        );
        points
    }

    /// A point was written, and nothing has shown yet what became of it: it is read soon, and once more a moment later. A stream of writes
    /// does not put that off.
    pub(crate) fn written(&mut self, point: PointId, now: Instant) {
        let (_, again) = self.written.entry(point).or_insert((now + SOON, true));
        *again = true;
    }

    fn take_written(&mut self, now: Instant) -> Vec<PointId> {
        let mut due = Vec::new();
        self.written.retain(|point, (at, again)| {
            if *at > now {
                return true;
            }
            due.push(*point);
            *at = now + A_MOMENT;
            std::mem::replace(again, false)
        });
        due
    }

    /// Makes all groups due at this instant.
    pub(crate) fn restart(&mut self, at: Instant) {
        for group in &mut self.groups {
            group.due_at = at;
        }
        for heard in self.heard.values_mut() {
            heard.due_at = at;
        }
        self.begin_once(at);
    }

    /// The device has said a point unasked, the oldest part of it so long ago: it need not be read before its period is
    /// over from then on.
    pub(crate) fn hear(&mut self, point: PointId, now: Instant, age: Duration) {
        if age.is_zero() {
            self.missing.retain(|missing| *missing != point);
            self.once_at = self.once_at.filter(|_| !self.missing.is_empty());
        }
        let Some(said_at) = now.checked_sub(age) else { return };
        if let Some(heard) = self.heard.get_mut(&point) {
            heard.due_at = heard.due_at.max(said_at + heard.every);
            return;
        }
        let Some(group) = self.groups.iter_mut().find(|group| group.points.contains(&point)) else { return };
        group.points.retain(|other| *other != point);
        self.heard
            .insert(point, Heard { every: group.every, due_at: group.due_at.max(said_at + group.every) });
        self.groups.retain(|group| !group.points.is_empty());
    }

    /// These, of what is read once, the device does not say by itself after all: they are polled, until it is others.
    pub(crate) fn poll_too(&mut self, unsaid: &[(PointId, Duration)], now: Instant) {
        if self.unsaid == unsaid {
            return;
        }
        for (point, _) in self.unsaid.iter().filter(|(point, _)| self.once.contains(point)) {
            self.heard.remove(point);
        }
        for (point, every) in unsaid.iter().filter(|(point, _)| self.once.contains(point)) {
            self.heard.insert(*point, Heard { every: *every, due_at: now + *every });
        }
        self.unsaid = unsaid.to_vec();
    }

    fn begin_once(&mut self, now: Instant) {
        self.missing.clone_from(&self.once);
        self.once_at = (!self.once.is_empty()).then_some(now);
    }

    /// Since when something is due, and the periods of the groups that are.
    pub(crate) fn due(&self, now: Instant) -> (Instant, Vec<Duration>) {
        let due = || self.groups.iter().filter(|group| group.due_at <= now);
        let since = due().map(|group| group.due_at).min().unwrap_or(now);
        (since, due().map(|group| group.every).collect())
    }

    /// A point could not be read, or rests: if that was to be done once, it is tried again. So it is where the device could
    /// not give it just now (`passes`) and its turn comes only later.
    pub(crate) fn missed(&mut self, point: PointId, now: Instant, passes: bool) {
        let is_wanted = self.once.contains(&point) || passes && self.comes_after(point, now + AGAIN);
        if is_wanted && !self.missing.contains(&point) {
            self.missing.push(point);
            self.once_at.get_or_insert(now + AGAIN);
        }
    }

    fn comes_after(&self, point: PointId, at: Instant) -> bool {
        let group = self.groups.iter().find(|group| group.points.contains(&point)).map(|group| group.due_at);
        let due_at = group.or_else(|| self.heard.get(&point).map(|heard| heard.due_at));
        due_at.is_some_and(|due_at| due_at > at)
    }
}

/// The first beat after `now` of those that are whole periods after `last`.
fn next_beat(last: Instant, every: Duration, now: Instant) -> Instant {
    // A period of zero would never get past `now`.
    let period = every.max(Duration::from_millis(1)).as_nanos();
    let beats = now.saturating_duration_since(last).as_nanos() / period + 1;
    let ahead = u64::try_from(beats.saturating_mul(period)).map_or(Duration::MAX, Duration::from_nanos);
    last.checked_add(ahead).unwrap_or(now + Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::fake;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn everything_is_due_at_the_start_then_each_group_at_its_own_beat() {
        let start = Instant::now();
        let mapping =
            fake::mapping(&[fake::polled(100), fake::polled(1000), fake::on_demand(), fake::polled(100)]);
        let mut clock = PollClock::new(&mapping, start);
        assert_eq!(clock.take_due(start), [PointId(0), PointId(3), PointId(1)]);
        assert_eq!(clock.take_due(start + 99 * MS), []);
        assert_eq!(clock.next_due(), Some(start + 100 * MS));
        assert_eq!(clock.take_due(start + 100 * MS), [PointId(0), PointId(3)]);
    }

    #[test]
    fn late_rounds_neither_drift_nor_pile_up() {
        let start = Instant::now();
        let mut clock = PollClock::new(&fake::mapping(&[fake::polled(100)]), start);
        clock.take_due(start);
        assert_eq!(clock.take_due(start + 130 * MS).len(), 1);
        assert_eq!(clock.next_due(), Some(start + 200 * MS), "no drift");
        assert_eq!(clock.take_due(start + 955 * MS).len(), 1, "one round for seven missed");
        assert_eq!(clock.next_due(), Some(start + 1000 * MS));
    }

    #[test]
    fn what_is_read_once_is_read_again_only_where_it_was_missed() {
        let start = Instant::now();
        let mut once = fake::on_demand();
        if let Some(read) = &mut once.read {
            read.poll = Poll::Once;
        }
        let mut clock = PollClock::new(&fake::mapping(&[once.clone(), once]), start);
        assert_eq!(clock.take_due(start), [PointId(0), PointId(1)]);
        assert_eq!(clock.next_due(), None);
        clock.missed(PointId(1), start, false);
        assert_eq!(clock.take_due(start), []);
        assert_eq!(clock.take_due(start + AGAIN), [PointId(1)]);
        clock.restart(start + AGAIN);
        assert_eq!(clock.take_due(start + AGAIN), [PointId(0), PointId(1)]);
    }

    #[test]
    fn a_mapping_without_polls_is_never_due() {
        let mut clock = PollClock::new(&fake::mapping(&[fake::on_demand()]), Instant::now());
        assert_eq!(clock.next_due(), None);
        assert_eq!(clock.take_due(Instant::now() + 1000 * MS), []);
    }

    #[test]
    fn what_is_heard_is_not_read_before_its_period_is_over() {
        let start = Instant::now();
        let mut clock = PollClock::new(&fake::mapping(&[fake::polled(100), fake::polled(100)]), start);
        clock.take_due(start);
        clock.hear(PointId(1), start + 60 * MS, Duration::ZERO);
        assert_eq!(clock.take_due(start + 100 * MS), [PointId(0)]);
        assert_eq!(clock.next_due(), Some(start + 160 * MS));
        clock.hear(PointId(1), start + 150 * MS, Duration::ZERO);
        assert_eq!(clock.take_due(start + 200 * MS), [PointId(0)]);
        assert_eq!(clock.take_due(start + 250 * MS), [PointId(1)], "silent for a period");
        clock.hear(PointId(0), start + 260 * MS, Duration::ZERO);
        assert_eq!(clock.next_due(), Some(start + 350 * MS));
        clock.restart(start + 300 * MS);
        assert_eq!(clock.take_due(start + 300 * MS), [PointId(0), PointId(1)]);
    }

    #[test]
    fn a_value_with_an_old_part_puts_its_poll_off_from_when_that_was_said() {
        let start = Instant::now();
        let mut clock = PollClock::new(&fake::mapping(&[fake::polled(100)]), start);
        clock.take_due(start);
        for heard in 1..10 {
            let age = heard * 10 * MS;
            clock.hear(PointId(0), start + age, age);
        }
        assert_eq!(clock.next_due(), Some(start + 100 * MS));
    }

    #[test]
    fn what_is_read_once_need_not_be_read_when_it_was_heard() {
        let start = Instant::now();
        let mut once = fake::on_demand();
        if let Some(read) = &mut once.read {
            read.poll = Poll::Once;
        }
        let mut clock = PollClock::new(&fake::mapping(&[once]), start);
        clock.hear(PointId(0), start, Duration::ZERO);
        assert_eq!(clock.next_due(), None);
    }

    #[test]
    fn what_is_not_said_after_all_is_polled_until_it_is() {
        let start = Instant::now();
        let mut once = fake::on_demand();
        if let Some(read) = &mut once.read {
            read.poll = Poll::Once;
        }
        let mut clock = PollClock::new(&fake::mapping(&[once.clone(), once]), start);
        clock.take_due(start);
        let unsaid = [(PointId(1), 100 * MS)];
        clock.poll_too(&unsaid, start);
        assert_eq!(clock.take_due(start + 100 * MS), [PointId(1)]);
        clock.poll_too(&unsaid, start + 150 * MS);
        assert_eq!(clock.take_due(start + 200 * MS), [PointId(1)], "told again, it keeps its beat");
        clock.poll_too(&[], start + 250 * MS);
        assert_eq!(clock.next_due(), None);
    }

    #[test]
    fn absurd_periods_do_no_harm() {
        let start = Instant::now();
        assert!(next_beat(start, Duration::MAX, start) > start);
        assert!(next_beat(start, Duration::ZERO, start) > start);
    }
}
