//! Makes the fewest reads of points that lie near each other, and remembers where a device does not let them be read
//! together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use usp_mapping::mapping::{ModbusOptions, ModbusPoint, ModbusTable};
use usp_mapping::port::PointId;

/// How long a cut is remembered before reading across it is tried again.
const HEAL: Duration = Duration::from_secs(600);

/// One read that serves several points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) table: ModbusTable,
    pub(crate) address: u16,
    pub(crate) count: u16,
    /// Whom it is for, by address.
    pub(crate) points: Vec<PointId>,
}

/// Addresses at which a read must begin anew: a device refused a read across them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cuts {
    until: BTreeMap<(ModbusTable, u32), Instant>,
}

impl Cuts {
    fn add(&mut self, table: ModbusTable, address: u32, now: Instant) {
        self.until.insert((table, address), now + HEAL);
    }

    /// Forgets what may have healed.
    fn forget(&mut self, now: Instant) {
        self.until.retain(|_, until| now < *until);
    }

    /// Whether a read from `start` to just before `end` is known to be refused.
    fn between(&self, table: ModbusTable, start: u32, end: u32) -> bool {
        start + 1 < end && self.until.range((table, start + 1)..(table, end)).next().is_some()
    }
}

/// A point and where it ends.
type Placed = (PointId, ModbusPoint);

fn start(point: &ModbusPoint) -> u32 {
    point.address.into()
}

fn end(point: &ModbusPoint) -> u32 {
    start(point) + u32::from(width(point))
}

fn width(point: &ModbusPoint) -> u16 {
    if point.table.is_bits() { 1 } else { point.count.max(1) }
}

/// Covers each point by exactly one block, with the fewest blocks that `options` and `cuts` allow.
///
/// A single point that is larger than the limit has a block of its own: cut in two, its halves could be of different
/// moments.
pub(crate) fn coalesce(
    points: &[Placed],
    options: &ModbusOptions,
    cuts: &mut Cuts,
    now: Instant,
) -> Vec<Block> {
    cuts.forget(now);
    let mut points = points.to_vec();
    points.sort_by_key(|(id, point)| (point.table, point.address, *id));
    let mut blocks: Vec<Vec<Placed>> = Vec::new();
    for placed in points {
        match blocks.last_mut() {
            Some(block) if joins(block, &placed.1, options, cuts) => block.push(placed),
            _ => blocks.push(vec![placed]),
        }
    }
    blocks.iter().filter_map(|points| block(points)).collect()
}

fn joins(block: &[Placed], point: &ModbusPoint, options: &ModbusOptions, cuts: &Cuts) -> bool {
    let Some((_, first)) = block.first() else { return true };
    let (from, to) = (start(first), reach(block));
    let new_to = to.max(end(point));
    let limit = options.max_read.of(point.table);
    let near = start(point) <= to + u32::from(options.max_gap.of(point.table));
    let inside = new_to == to;
    let fits = new_to - from <= u32::from(limit) && !cuts.between(point.table, from, new_to);
    first.table == point.table && near && (inside || fits)
}

fn reach(points: &[Placed]) -> u32 {
    points.iter().map(|(_, point)| end(point)).max().unwrap_or(0)
}

fn block(points: &[Placed]) -> Option<Block> {
    let (_, first) = points.first()?;
    let count = u16::try_from(reach(points) - start(first)).ok()?;
    let points = points.iter().map(|(id, _)| *id).collect();
    Some(Block { table: first.table, address: first.address, count, points })
}

/// Halves a block that was refused as a whole, at its gaps if it has any, and remembers the cuts. Halves that are
/// refused again are halved again, so that in the end a hole stands alone and its neighbours are read together.
///
/// Nothing comes back for a block that cannot be halved: it is its point that is refused.
pub(crate) fn split(points: &[Placed], cuts: &mut Cuts, now: Instant) -> Vec<Block> {
    let mut points = points.to_vec();
    points.sort_by_key(|(id, point)| (point.address, *id));
    let (gaps, seams) = boundaries(&points);
    let at: &[usize] = if gaps.is_empty() { middle(&seams) } else { &gaps };
    let mut blocks = Vec::new();
    let mut rest = points.as_slice();
    for index in at.iter().rev() {
        let (before, after) = rest.split_at(*index);
        if let Some((_, first)) = after.first() {
            cuts.add(first.table, start(first), now);
        }
        blocks.extend(block(after));
        rest = before;
    }
    if !blocks.is_empty() {
        blocks.extend(block(rest));
    }
    blocks.reverse();
    blocks
}

fn middle(seams: &[usize]) -> &[usize] {
    let at = seams.len() / 2;
    seams.get(at..=at).unwrap_or_default()
}

/// Before which points something unwanted lies, and before which nothing does but no other point reaches over.
fn boundaries(points: &[Placed]) -> (Vec<usize>, Vec<usize>) {
    let (mut gaps, mut seams) = (Vec::new(), Vec::new());
    for index in 1..points.len() {
        let (before, after) = points.split_at(index);
        let Some((_, next)) = after.first() else { continue };
        match reach(before).cmp(&start(next)) {
            std::cmp::Ordering::Less => gaps.push(index),
            std::cmp::Ordering::Equal => seams.push(index),
            std::cmp::Ordering::Greater => {}
        }
    }
    (gaps, seams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use usp_mapping::mapping::{ByteOrder, PerTable, RegisterEncoding};

    fn point(table: ModbusTable, address: u16, count: u16) -> ModbusPoint {
        let encoding = match count {
            1 => RegisterEncoding::U16,
            2 => RegisterEncoding::U32,
            _ => RegisterEncoding::U64,
        };
        ModbusPoint { table, address, count, encoding, order: ByteOrder::Abcd, bits: None }
    }

    fn options(max_registers: u16, max_gap: u16) -> ModbusOptions {
        let max_read = PerTable::of_kinds(max_registers, 16);
        ModbusOptions { max_read, max_gap: PerTable::of_kinds(max_gap, max_gap), ..ModbusOptions::default() }
    }

    fn holding(at: &[(u16, u16)]) -> Vec<Placed> {
        let place = |(id, &(address, count))| (PointId(id), point(ModbusTable::Holding, address, count));
        (0..).zip(at).map(place).collect()
    }

    fn spans(blocks: &[Block]) -> Vec<(u16, u16)> {
        blocks.iter().map(|block| (block.address, block.count)).collect()
    }

    fn spans_of(at: &[(u16, u16)], max_registers: u16, max_gap: u16) -> Vec<(u16, u16)> {
        let options = options(max_registers, max_gap);
        spans(&coalesce(&holding(at), &options, &mut Cuts::default(), Instant::now()))
    }

    #[test]
    fn neighbours_are_read_together_within_the_limits() {
        assert_eq!(spans_of(&[(0, 2), (2, 2), (4, 1)], 80, 0), [(0, 5)]);
        assert_eq!(spans_of(&[(4, 1), (0, 2), (10, 2)], 80, 2), [(0, 5), (10, 2)]);
        assert_eq!(spans_of(&[(4, 1), (0, 2), (10, 2)], 80, 5), [(0, 12)]);
        assert_eq!(spans_of(&[(0, 2), (2, 2), (4, 2)], 4, 8), [(0, 4), (4, 2)]);
        assert_eq!(spans_of(&[(0, 4), (4, 1)], 2, 8), [(0, 4), (4, 1)], "no tearing");
        assert_eq!(spans_of(&[(65532, 4), (65535, 1)], 80, 0), [(65532, 4)]);
        assert_eq!(spans_of(&[], 80, 0), []);
    }

    #[test]
    fn tables_are_never_mixed() {
        let points: Vec<_> =
            [ModbusTable::Input, ModbusTable::Holding, ModbusTable::Coil, ModbusTable::Discrete]
                .into_iter()
                .enumerate()
                .map(|(id, table)| (PointId(id as u16), point(table, id as u16, 1)))
                .collect();
        assert_eq!(coalesce(&points, &options(80, 8), &mut Cuts::default(), Instant::now()).len(), 4);
    }

    /// Reads blocks from a device that refuses these addresses, splitting what it refuses.
    fn read_all(
        points: &[Placed],
        refused: &[u32],
        largest: u16,
        cuts: &mut Cuts,
        now: Instant,
    ) -> (Vec<PointId>, Vec<PointId>, usize) {
        let mut blocks = coalesce(points, &options(80, 8), cuts, now);
        let (mut good, mut bad, mut exchanges) = (Vec::new(), Vec::new(), 0);
        while let Some(block) = blocks.pop() {
            exchanges += 1;
            let span = u32::from(block.address)..u32::from(block.address) + u32::from(block.count);
            if !refused.iter().any(|at| span.contains(at)) && block.count <= largest {
                good.extend(block.points);
                continue;
            }
            let members: Vec<_> =
                points.iter().filter(|(id, _)| block.points.contains(id)).copied().collect();
            let parts = split(&members, cuts, now);
            if parts.is_empty() {
                bad.extend(block.points);
            }
            blocks.extend(parts);
        }
        good.sort();
        bad.sort();
        (good, bad, exchanges)
    }

    #[test]
    fn a_hole_does_not_poison_its_neighbours_and_heals() {
        let points = holding(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1)]);
        let (mut cuts, now) = (Cuts::default(), Instant::now());
        let (good, bad, _) = read_all(&points, &[5], 80, &mut cuts, now);
        assert_eq!((good.len(), bad), (7, vec![PointId(5)]));
        let (_, bad, exchanges) = read_all(&points, &[5], 80, &mut cuts, now);
        assert_eq!(bad, [PointId(5)]);
        assert!(exchanges <= 4, "the cuts are remembered: {exchanges}");
        let (good, _, exchanges) = read_all(&points, &[], 80, &mut cuts, now + HEAL);
        assert_eq!((good.len(), exchanges), (8, 1), "and forgotten");
    }

    #[test]
    fn a_hole_in_a_gap_is_no_longer_bridged() {
        let points = holding(&[(0, 2), (4, 2), (6, 1)]);
        let (mut cuts, now) = (Cuts::default(), Instant::now());
        let (good, bad, exchanges) = read_all(&points, &[3], 80, &mut cuts, now);
        assert_eq!((good.len(), bad.len(), exchanges), (3, 0, 3));
        assert_eq!(read_all(&points, &[3], 80, &mut cuts, now).2, 2);
    }

    #[test]
    fn a_device_that_takes_only_small_reads_is_understood() {
        let points = holding(&(0..16).map(|at| (at, 1)).collect::<Vec<_>>());
        let (mut cuts, now) = (Cuts::default(), Instant::now());
        assert_eq!(read_all(&points, &[], 4, &mut cuts, now).0.len(), 16);
        assert_eq!(read_all(&points, &[], 4, &mut cuts, now).2, 4);
    }

    #[test]
    fn points_in_one_register_stay_together() {
        let points = holding(&[(3, 1), (3, 1)]);
        let blocks = coalesce(&points, &options(80, 0), &mut Cuts::default(), Instant::now());
        assert_eq!(spans(&blocks), [(3, 1)]);
        assert_eq!(split(&points, &mut Cuts::default(), Instant::now()), []);
    }

    fn any_points() -> impl Strategy<Value = Vec<Placed>> {
        let tables = [ModbusTable::Coil, ModbusTable::Discrete, ModbusTable::Holding, ModbusTable::Input];
        let one = (0usize..4, 0u16..200, prop_oneof![Just(1u16), Just(2), Just(4)]);
        let place = move |(id, (table, address, count)): (u16, (usize, u16, u16))| {
            let table = tables[table];
            (PointId(id), point(table, address, if table.is_bits() { 1 } else { count }))
        };
        prop::collection::vec(one, 0..40).prop_map(move |points| (0..).zip(points).map(place).collect())
    }

    proptest! {
        #[test]
        fn every_point_is_covered_exactly_once_within_the_limits(
            points in any_points(),
            max_registers in 1u16..20,
            max_gap in 0u16..10,
        ) {
            let options = options(max_registers, max_gap);
            let blocks = coalesce(&points, &options, &mut Cuts::default(), Instant::now());
            let mut covered: Vec<_> = blocks.iter().flat_map(|block| block.points.clone()).collect();
            covered.sort();
            prop_assert_eq!(covered, points.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            for block in &blocks {
                let members: Vec<_> = points.iter().filter(|(id, _)| block.points.contains(id)).collect();
                let to = u32::from(block.address) + u32::from(block.count);
                prop_assert!(members.iter().all(|(_, p)| p.table == block.table && start(p) >= block.address.into() && end(p) <= to));
                let limit = options.max_read.of(block.table);
                let one_alone = members.iter().any(|(_, p)| width(p) == block.count);
                prop_assert!(block.count <= limit || one_alone);
            }
        }

        #[test]
        fn whatever_is_refused_all_other_points_are_read(
            points in any_points(),
            refused in prop::collection::vec(0u32..200, 0..6),
            table in 0usize..4,
        ) {
            let table = [ModbusTable::Coil, ModbusTable::Discrete, ModbusTable::Holding, ModbusTable::Input][table];
            let points: Vec<_> = points.into_iter().filter(|(_, point)| point.table == table).collect();
            let (good, bad, _) = read_all(&points, &refused, 80, &mut Cuts::default(), Instant::now());
            prop_assert_eq!(good.len() + bad.len(), points.len());
            for id in bad {
                let (_, point) = points.iter().find(|(other, _)| *other == id).unwrap();
                // Points that overlap a refused one are read together with it.
                let overlapping = |other: &ModbusPoint| start(other) < end(point) + 8 && start(point) < end(other) + 8;
                prop_assert!(points.iter().any(|(_, p)| overlapping(p) && refused.iter().any(|at| (start(p)..end(p)).contains(at))));
            }
        }
    }
}
