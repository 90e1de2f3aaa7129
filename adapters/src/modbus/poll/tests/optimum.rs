//! Never more requests than the best of all partitions.

use super::*;

/// What is wanted of a device, and what it is known not to answer.
#[derive(Clone, Debug)]
struct Wanted {
    points: Vec<Placed>,
    options: ModbusOptions,
    holes: Vec<Span>,
}

/// Whether one request may serve these points: written down anew, from the words of the documentation.
fn is_allowed(set: &[Placed], wanted: &Wanted) -> bool {
    let Some((_, first)) = set.first() else { return false };
    let from = set.iter().map(|(_, point)| start(point)).min().unwrap();
    let to = set.iter().map(|(_, point)| end(point)).max().unwrap();
    let whole = Span { table: first.table, from, to };
    let one_table = set.iter().all(|(_, point)| point.table == first.table);
    let alike = set.iter().all(|(_, point)| Span::of(point) == whole);
    let around_one = set.iter().any(|(_, point)| Span::of(point) == whole);
    let short = to - from <= limit(&wanted.options, first.table) || around_one;
    let has_hole = wanted.holes.iter().any(|hole| whole.covers(hole));
    let unwanted = |at: &u32| !set.iter().any(|(_, point)| (start(point)..end(point)).contains(at));
    let widest = (from..to)
        .fold((0, 0), |(widest, run), at| {
            let run = if unwanted(&at) { run + 1 } else { 0 };
            (widest.max(run), run)
        })
        .0;
    one_table && short && widest <= gap(&wanted.options, first.table) && (!has_hole || alike)
}

/// The fewest sets of all partitions, by putting each point into each set and into one of its own.
fn fewest(rest: &[Placed], sets: &mut Vec<Vec<Placed>>, wanted: &Wanted, best: &mut usize) {
    let Some((point, rest)) = rest.split_first() else {
        if sets.len() < *best && sets.iter().all(|set| is_allowed(set, wanted)) {
            *best = sets.len();
        }
        return;
    };
    for index in 0..sets.len() {
        sets[index].push(*point);
        fewest(rest, sets, wanted, best);
        sets[index].pop();
    }
    if sets.len() + 1 < *best {
        sets.push(vec![*point]);
        fewest(rest, sets, wanted, best);
        sets.pop();
    }
}

/// A device that has learnt its holes by having been refused across each.
fn with_holes(wanted: &Wanted, now: Instant) -> Learnt {
    let mut learnt = Learnt::default();
    for hole in &wanted.holes {
        learnt.teach(*hole, now);
    }
    learnt
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let tables = [ModbusTable::Coil, ModbusTable::Holding];
    let hole = (0usize..2, 0u32..40, 1u32..4);
    (any_points(8, 32), 1u16..20, 0u16..6, prop::collection::vec(hole, 0..4)).prop_map(
        move |(points, max_registers, max_gap, holes)| {
            let hole =
                |(table, from, len): (usize, _, _)| Span { table: tables[table], from, to: from + len };
            let holes = holes.into_iter().map(hole).collect();
            Wanted { points, options: options(max_registers, max_gap), holes }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn there_are_never_more_requests_than_the_fewest_possible(wanted in any_wanted()) {
        let now = Instant::now();
        let blocks = coalesce(&wanted.points, &wanted.options, &with_holes(&wanted, now), now);
        for block in &blocks {
            prop_assert!(is_allowed(&block.points, &wanted), "{:?}", block);
        }
        let mut best = wanted.points.len() + 1;
        fewest(&wanted.points, &mut Vec::new(), &wanted, &mut best);
        prop_assert_eq!(blocks.len(), best, "{:?}", spans(&blocks));
    }
}
