//! Makes the fewest reads of points that lie near each other. What a device does not let be read together is in
//! [`learnt`].

pub(crate) mod learnt;
mod spans;
#[cfg(test)]
mod tests;
mod trial;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use usp_mapping::mapping::{ModbusOptions, ModbusPoint, ModbusTable};
use usp_mapping::port::PointId;

pub(crate) use learnt::Learnt;

/// A point, or a part of one, and where it is.
pub(crate) type Placed = (PointId, ModbusPoint);

/// One read that serves several points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) table: ModbusTable,
    pub(crate) address: u16,
    pub(crate) count: u16,
    /// Whom it is for, by address.
    pub(crate) points: Vec<Placed>,
    /// It is done to learn how long a read may be: the points are known already.
    pub(crate) trial: bool,
}

impl Block {
    /// A read for nobody's sake.
    pub(crate) fn new(table: ModbusTable, address: u16, count: u16) -> Self {
        Self { table, address, count, points: Vec::new(), trial: false }
    }

    /// A read of no more than its first point; `None`: there is no smaller one.
    pub(crate) fn first_point(&self) -> Option<Self> {
        if seams(&self.points).is_empty() { None } else { Self::of(self.points.get(..1)?) }
    }

    /// The smallest read of these points, which are of one table and in order. `None`: there are none.
    fn of(points: &[Placed]) -> Option<Self> {
        let (_, first) = points.first()?;
        let count = u16::try_from(reach(points).saturating_sub(start(first))).ok()?;
        Some(Self {
            table: first.table,
            address: first.address,
            count,
            points: points.to_vec(),
            trial: false,
        })
    }

    /// How many of its registers or bits somebody wants.
    pub(crate) fn wanted(&self) -> usize {
        let cells = self.points.iter().flat_map(|(_, point)| start(point)..end(point));
        cells.collect::<BTreeSet<_>>().len()
    }

    fn span(&self) -> Span {
        let from = u32::from(self.address);
        Span { table: self.table, from, to: from + u32::from(self.count) }
    }
}

/// Registers or bits one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    table: ModbusTable,
    from: u32,
    /// The first behind it.
    to: u32,
}

impl Span {
    fn of(point: &ModbusPoint) -> Self {
        Self { table: point.table, from: start(point), to: end(point) }
    }

    fn len(&self) -> u32 {
        self.to - self.from
    }

    fn covers(&self, other: &Self) -> bool {
        self.table == other.table && self.from <= other.from && other.to <= self.to
    }
}

fn start(point: &ModbusPoint) -> u32 {
    point.address.into()
}

fn end(point: &ModbusPoint) -> u32 {
    start(point) + u32::from(width(point))
}

fn width(point: &ModbusPoint) -> u16 {
    if point.table.is_bits() { 1 } else { point.count.max(1) }
}

fn reach(points: &[Placed]) -> u32 {
    points.iter().map(|(_, point)| end(point)).max().unwrap_or(0)
}

/// Most registers or bits that one read of a table may have.
fn limit(options: &ModbusOptions, table: ModbusTable) -> u32 {
    u32::from(options.max_read.of(table)).max(1)
}

/// How much that nobody wants may be read along.
fn gap(options: &ModbusOptions, table: ModbusTable) -> u32 {
    options.max_gap.of(table).into()
}

/// Covers each point by exactly one block, with the fewest blocks that `options` allow and the device is known to answer.
///
/// A point is never cut in two, its halves could be of different moments: one that is larger than the limit has a block
/// of its own. The same goes for the parts of a point (a value and its power of ten), whatever lies between them, where
/// they are of one table, fit in one read, and are not known to be refused together. Points that are known to be refused
/// are read by themselves, after all others.
///
/// Taking the points by address, and each into the last block if it fits there, is the fewest: whatever makes a block
/// impossible makes every larger one impossible too, so that a block can never be begun later than here. A property
/// test compares it with all partitions.
pub(crate) fn coalesce(
    points: &[Placed],
    options: &ModbusOptions,
    learnt: &Learnt,
    now: Instant,
) -> Vec<Block> {
    let mut points = points.to_vec();
    points.sort_by_key(|(id, point)| (point.table, point.address, Reverse(width(point)), *id));
    let (suspects, points): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|(_, point)| learnt.is_doubtful(&Span::of(point), now));
    let mut blocks: Vec<(Span, Vec<Placed>)> = Vec::new();
    let mut rule = Rule { options, learnt, now, tried: Vec::new() };
    for (span, placed) in wholes(points, |span| rule.allows(span)) {
        match blocks.last_mut() {
            Some((block, points)) if rule.joins(block, &span) => {
                block.to = block.to.max(span.to);
                points.extend(placed);
            }
            _ => blocks.push((span, placed)),
        }
    }
    for (_, points) in &mut blocks {
        points.sort_by_key(|(id, point)| (point.address, Reverse(width(point)), *id));
    }
    let alike = suspects.chunk_by(|(_, one), (_, other)| Span::of(one) == Span::of(other));
    blocks.iter().map(|(_, points)| points.as_slice()).chain(alike).filter_map(Block::of).collect()
}

/// What is not cut in two, by address: each point with all its parts, where these may be read at once.
fn wholes(points: Vec<Placed>, may_be: impl Fn(&Span) -> bool) -> Vec<(Span, Vec<Placed>)> {
    let mut spans: BTreeMap<(PointId, ModbusTable), Span> = BTreeMap::new();
    for (id, point) in &points {
        let part = Span::of(point);
        let whole = spans.entry((*id, point.table)).or_insert(part);
        whole.to = whole.to.max(part.to);
    }
    let mut wholes: BTreeMap<(Span, PointId), Vec<Placed>> = BTreeMap::new();
    for placed in points {
        let (id, part) = (placed.0, Span::of(&placed.1));
        let whole = spans.get(&(id, part.table)).copied().filter(|whole| *whole == part || may_be(whole));
        wholes.entry((whole.unwrap_or(part), id)).or_default().push(placed);
    }
    let mut wholes: Vec<_> = wholes.into_iter().map(|((span, _), points)| (span, points)).collect();
    wholes.sort_by_key(|(span, _)| (span.table, span.from, Reverse(span.to)));
    wholes
}

/// What may be read together.
struct Rule<'r> {
    options: &'r ModbusOptions,
    learnt: &'r Learnt,
    now: Instant,
    /// Where a read that once was too long is tried again: once in a table is enough.
    tried: Vec<Span>,
}

impl Rule<'_> {
    /// Whether a read of this may be answered.
    fn allows(&self, span: &Span) -> bool {
        let fits = span.len() <= limit(self.options, span.table) && !self.learnt.forbids(span, self.now);
        fits && span.len() <= self.learnt.longest(span.table)
    }

    fn joins(&mut self, block: &Span, other: &Span) -> bool {
        if block.table != other.table || other.from > block.to + gap(self.options, block.table) {
            return false;
        }
        let span = Span { to: block.to.max(other.to), ..*block };
        // Inside what is read anyway.
        if span == *block {
            return true;
        }
        let fits = span.len() <= limit(self.options, span.table) && !self.learnt.forbids(&span, self.now);
        fits && (span.len() <= self.learnt.longest(span.table) || self.tries(span))
    }

    fn tries(&mut self, span: Span) -> bool {
        if !self.learnt.may_try_longer(span.table, self.now) {
            return false;
        }
        let other = self.tried.iter().position(|tried| tried.table == span.table);
        match other.and_then(|at| self.tried.get_mut(at)) {
            Some(tried) if tried.from != span.from => false,
            Some(tried) => {
                *tried = span;
                true
            }
            None => {
                self.tried.push(span);
                true
            }
        }
    }
}

/// Before which points no other reaches over, nor lies between its parts: at each the read could be cut in two.
fn seams(points: &[Placed]) -> Vec<usize> {
    let mut ends: BTreeMap<PointId, u32> = BTreeMap::new();
    for (id, point) in points {
        let to = ends.entry(*id).or_default();
        *to = end(point).max(*to);
    }
    let mut seams = Vec::new();
    let mut to = 0;
    for (index, (id, point)) in points.iter().enumerate() {
        if index > 0 && to <= start(point) {
            seams.push(index);
        }
        to = to.max(end(point)).max(ends.get(id).copied().unwrap_or_default());
    }
    seams
}
