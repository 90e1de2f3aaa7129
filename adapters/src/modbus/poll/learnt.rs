//! What a device has shown about itself: where its register map has holes, and how long a read may be.
//!
//! A read of several points that is refused (exceptions 2 and 3), or stays without an answer while the device answers
//! others, is cut in two, and its halves again. So every healthy point is read in the same round. What is learnt is as
//! narrow as it can be: a hole is found by itself, between points too, and where both halves are good it is tried across
//! the cut alone before the length is held against the device ([`trial`](super::trial)).
//!
//! Nothing is known for good: each finding is put to the test again after a pause, which grows each time that it is
//! confirmed by a device that answers other reads meanwhile. One that refuses everything for a while teaches nothing but
//! that: its points rest for the shortest time, and no longer than until the first of them is read. Other exceptions (failure, busy, later) pass and teach nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{ModbusOptions, ModbusPoint, ModbusTable};

use super::spans::Spans;
use super::trial::{Finding, Trials};
use super::{Block, Placed, Span, coalesce, reach, seams, start};

/// Shortest and longest time that a point which was refused by itself is left out of polling.
const REST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// Shortest and longest time before something is read together again that was refused.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// The same for what was met by silence, because each attempt costs time-outs.
const SILENT: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(6 * 3600));

/// Most findings about a device; what is more is found out anew each time.
const FINDINGS: usize = 1024;

/// How a device let a read fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It has nothing there, or not so much at once.
    Refused,
    /// It does not answer, though it answers others.
    Silent,
    /// For a reason that may pass: nothing is learnt.
    Passing,
}

/// What comes after a read that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// Smaller reads.
    pub(crate) again: Vec<Block>,
    /// Points that have been read by themselves: they are what the device does not answer.
    pub(crate) given_up: Vec<Placed>,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// A point that was read by itself.
    Point,
    /// What lies between points, or the length of a read.
    Together,
}

/// A finding, and until when it counts.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    about: About,
    cause: Cause,
    level: u32,
    until: Instant,
    /// How many reads had been answered when it was found last.
    answered: u64,
    /// It was found again without any answer in between.
    refuses_all: bool,
}

impl Doubt {
    fn new(about: About, cause: Cause, answered: u64, now: Instant) -> Self {
        Self { about, cause, level: 0, until: now, answered, refuses_all: false }.lasting(now)
    }

    /// Found again: it counts for longer, unless the device has refused everything meanwhile.
    fn confirmed(self, cause: Cause, answered: u64, now: Instant) -> Self {
        let refuses_all = cause == Cause::Refused && self.answered == answered;
        let level = if refuses_all { self.level } else { self.level.saturating_add(1) };
        Self { cause, level, answered, refuses_all, ..self }.lasting(now)
    }

    /// The device has begun to answer after it had refused everything: this says nothing any more.
    fn is_over(&mut self, now: Instant) {
        if std::mem::take(&mut self.refuses_all) {
            (self.level, self.until) = (0, now);
        }
    }

    fn lasting(self, now: Instant) -> Self {
        let (min, max) = match (self.about, self.cause) {
            (About::Point, _) => REST,
            (About::Together, Cause::Silent) => SILENT,
            (About::Together, Cause::Refused | Cause::Passing) => REFUSED,
        };
        let factor = 1u32.checked_shl(self.level).unwrap_or(u32::MAX);
        Self { until: now + min.saturating_mul(factor).min(max), ..self }
    }

    fn counts(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// How long reads of a table may be.
#[derive(Clone, Copy, Debug, Default)]
struct Length {
    /// The longest that was answered.
    answered: u32,
    /// The shortest that was not, for no other reason than its length.
    failed: Option<(u32, Doubt)>,
}

/// Everything about one device.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// Reads that cover all of such a span fail.
    faults: BTreeMap<Span, Doubt>,
    lengths: BTreeMap<ModbusTable, Length>,
    /// What was answered since the first failure.
    good: Spans,
    trials: Trials,
    /// How many reads were answered since then.
    answered: u64,
}

impl Learnt {
    /// Whether a read is known to fail because of something in it.
    pub(super) fn forbids(&self, span: &Span, now: Instant) -> bool {
        self.within(span).any(|(_, doubt)| doubt.counts(now))
    }

    /// Whether a point is known to be refused by itself.
    pub(super) fn is_doubtful(&self, span: &Span, now: Instant) -> bool {
        !self.faults.is_empty() && self.forbids(span, now)
    }

    /// Whether no read has failed of which anything is remembered.
    pub(crate) fn is_untroubled(&self) -> bool {
        self.faults.is_empty()
            && self.trials.is_empty()
            && self.lengths.values().all(|length| length.failed.is_none())
    }

    /// Whether a point is left out of polling for now.
    pub(crate) fn rests(&self, point: &ModbusPoint, now: Instant) -> bool {
        self.is_doubtful(&Span::of(point), now)
    }

    fn within(&self, span: &Span) -> impl Iterator<Item = (&Span, &Doubt)> {
        let Span { table, from, to } = *span;
        let range = Span { table, from, to: 0 }..Span { table, from: to, to: 0 };
        self.faults.range(range).filter(move |(fault, _)| fault.to <= to)
    }

    /// The longest read that is known to be answered, where a longer one is known to fail.
    pub(super) fn longest(&self, table: ModbusTable) -> u32 {
        match self.lengths.get(&table) {
            Some(Length { answered: 0, failed: Some((failed, _)) }) => (failed / 2).max(1),
            Some(Length { answered, failed: Some((failed, _)) }) => (*answered).min(failed - 1),
            Some(Length { failed: None, .. }) | None => u32::MAX,
        }
    }

    /// Whether a read of this length was answered before: then it is no wonder that one gets lost now and then.
    pub(crate) fn has_answered(&self, block: &Block) -> bool {
        self.lengths.get(&block.table).is_some_and(|length| length.answered >= block.span().len())
    }

    /// Whether it is time to try a longer read again.
    pub(super) fn may_try_longer(&self, table: ModbusTable, now: Instant) -> bool {
        let failed = self.lengths.get(&table).and_then(|length| length.failed);
        failed.is_some_and(|(_, doubt)| !doubt.counts(now))
    }

    /// A read was answered; what is to be tried next, to learn more.
    pub(crate) fn answered(&mut self, block: &Block, now: Instant) -> Option<Block> {
        let span = block.span();
        let length = self.lengths.entry(span.table).or_default();
        length.answered = length.answered.max(span.len());
        length.failed.take_if(|(failed, _)| *failed <= span.len());
        if self.faults.is_empty() && self.trials.is_empty() {
            return None;
        }
        let healed: Vec<_> = self.within(&span).map(|(fault, _)| *fault).collect();
        for fault in healed {
            self.faults.remove(&fault);
        }
        self.good.add(span);
        self.answered += 1;
        self.faults.values_mut().for_each(|doubt| doubt.is_over(now));
        self.settle(&span, now).or_else(|| self.next_length())
    }

    /// A read failed. The halves, or what is to be tried next, or the points that are to blame.
    pub(crate) fn failed(
        &mut self,
        block: &Block,
        cause: Cause,
        options: &ModbusOptions,
        now: Instant,
    ) -> Split {
        let middle = middle(&block.points);
        if block.trial {
            self.too_long(block.span(), cause, now);
            return Split { again: self.next_length().into_iter().collect(), given_up: Vec::new() };
        }
        if cause != Cause::Passing {
            self.trials.explain(&block.span());
            if middle.is_some() && self.confirms(&block.span(), cause, now) {
                return Split { again: coalesce(&block.points, options, self, now), given_up: Vec::new() };
            }
        }
        match middle {
            Some(at) => self.halve(block, at, cause),
            None => self.blame(block, cause, now),
        }
    }

    /// Whether what is known explains the failure of a read; what counted no more counts again.
    fn confirms(&mut self, span: &Span, cause: Cause, now: Instant) -> bool {
        let known: Vec<_> = self.within(span).map(|(fault, _)| *fault).collect();
        for fault in &known {
            if let Some(doubt) = self.faults.get_mut(fault) {
                confirm(doubt, cause, self.answered, now);
            }
        }
        let answered = self.answered;
        let failed = self.lengths.get_mut(&span.table).and_then(|length| length.failed.as_mut());
        match failed.filter(|(failed, _)| *failed <= span.len()) {
            Some((_, doubt)) => {
                confirm(doubt, cause, answered, now);
                true
            }
            None => !known.is_empty(),
        }
    }

    fn halve(&mut self, block: &Block, at: usize, cause: Cause) -> Split {
        let (left, right) = block.points.split_at(at);
        if cause != Cause::Passing {
            self.trials.halved(block, Some(at), cause);
        }
        Split { again: [left, right].into_iter().filter_map(Block::of).collect(), given_up: Vec::new() }
    }

    /// A read that cannot be cut: of one point, or of some that overlap. Those that need less of it get another chance.
    fn blame(&mut self, block: &Block, cause: Cause, now: Instant) -> Split {
        let whole = block.span();
        let (given_up, mut rest): (Vec<_>, Vec<_>) =
            block.points.iter().copied().partition(|(_, point)| Span::of(point) == whole);
        if cause != Cause::Passing && given_up.is_empty() {
            self.trials.halved(block, None, cause);
        } else if cause != Cause::Passing {
            self.doubt(whole, About::Point, cause, now);
            self.good.remove(whole);
        }
        rest.sort_by_key(|(id, point)| (Span::of(point), *id));
        let alike = rest.chunk_by(|(_, one), (_, other)| Span::of(one) == Span::of(other));
        Split { again: alike.filter_map(Block::of).collect(), given_up }
    }

    /// Takes note that reads which cover a span fail. What is known of wider ones had the same reason.
    fn doubt(&mut self, span: Span, about: About, cause: Cause, now: Instant) {
        self.faults.retain(|other, _| *other == span || !other.covers(&span));
        let known = self.faults.get(&span).map(|doubt| doubt.confirmed(cause, self.answered, now));
        if known.is_some() || self.faults.len() < FINDINGS {
            self.faults.insert(span, known.unwrap_or_else(|| Doubt::new(about, cause, self.answered, now)));
        }
    }

    /// Holds the length of a read against the device, unless it is known to answer longer ones.
    fn too_long(&mut self, span: Span, cause: Cause, now: Instant) -> bool {
        let length = self.lengths.entry(span.table).or_default();
        let shortest = length.failed.is_none_or(|(failed, _)| span.len() < failed);
        if shortest && length.answered < span.len() {
            length.failed = Some((span.len(), Doubt::new(About::Together, cause, self.answered, now)));
        }
        length.failed.is_some_and(|(failed, _)| failed <= span.len())
    }

    /// Draws the conclusions from an answer; what is to be tried next.
    fn settle(&mut self, span: &Span, now: Instant) -> Option<Block> {
        let mut settled = Vec::new();
        let (good, lengths) = (&self.good, &self.lengths);
        let is_too_long = |span: &Span| {
            let failed = lengths.get(&span.table).and_then(|length| length.failed);
            failed.is_some_and(|(failed, _)| failed <= span.len())
        };
        let across = self.trials.settle(span, |span| good.covers(span), is_too_long, &mut settled);
        for finding in settled {
            match finding {
                Finding::Fault(fault, cause) => self.doubt(fault, About::Together, cause, now),
                Finding::Length(block, otherwise, cause) => {
                    if self.too_long(block.span(), cause, now) {
                        self.trials.search(block, cause);
                    } else {
                        self.doubt(otherwise, About::Together, cause, now);
                    }
                }
            }
        }
        across
    }

    /// The next length to try, as long as it is not known what the device takes.
    fn next_length(&mut self) -> Option<Block> {
        let lengths = &self.lengths;
        self.trials.next_length(|table| {
            let length = lengths.get(&table)?;
            length.failed.map(|(failed, _)| (length.answered, failed))
        })
    }

    /// The device has been away, and may be another one now: what it refused is tried again. What it met with silence is
    /// not, or it could be away for ever.
    pub(crate) fn is_back(&mut self, now: Instant) {
        for doubt in self.faults.values_mut().filter(|doubt| doubt.cause == Cause::Refused) {
            doubt.until = now;
        }
    }
}

fn confirm(doubt: &mut Doubt, cause: Cause, answered: u64, now: Instant) {
    if !doubt.counts(now) {
        *doubt = doubt.confirmed(cause, answered, now);
    }
}

/// The seam next to the middle; `None`: there is none.
fn middle(points: &[Placed]) -> Option<usize> {
    let (_, first) = points.first()?;
    let middle = start(first) + reach(points);
    let distance =
        |at: &usize| points.get(*at).map_or(u32::MAX, |(_, point)| (2 * start(point)).abs_diff(middle));
    seams(points).into_iter().min_by_key(distance)
}

#[cfg(test)]
impl Learnt {
    /// As if a read across this had been refused.
    pub(super) fn teach(&mut self, span: Span, now: Instant) {
        self.doubt(span, About::Together, Cause::Refused, now);
    }
}
