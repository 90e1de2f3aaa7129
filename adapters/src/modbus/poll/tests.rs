//! Reads against all partitions, and against devices with holes and limits.

mod device;
mod optimum;

use std::time::Duration;

use proptest::prelude::*;
use usp_mapping::mapping::{ByteOrder, PerTable, RegisterEncoding};

use super::learnt::{Cause, Split};
use super::*;

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

fn singles(at: impl IntoIterator<Item = u16>) -> Vec<Placed> {
    holding(&at.into_iter().map(|at| (at, 1)).collect::<Vec<_>>())
}

fn spans(blocks: &[Block]) -> Vec<(u16, u16)> {
    blocks.iter().map(|block| (block.address, block.count)).collect()
}

fn fresh(points: &[Placed], options: &ModbusOptions) -> Vec<Block> {
    coalesce(points, options, &Learnt::default(), Instant::now())
}

fn spans_of(at: &[(u16, u16)], max_registers: u16, max_gap: u16) -> Vec<(u16, u16)> {
    spans(&fresh(&holding(at), &options(max_registers, max_gap)))
}

/// A value and its power of ten: between two requests the device could change both.
#[test]
fn the_parts_of_a_point_are_read_together_where_they_fit() {
    let part = |id, address| (PointId(id), point(ModbusTable::Holding, address, 1));
    let points = [part(0, 40), part(0, 45), part(1, 41), part(2, 89), part(2, 10)];
    assert_eq!(spans(&fresh(&points, &options(80, 0))), [(10, 80)]);
    let near = [part(0, 40), part(0, 45), part(1, 41), part(2, 60)];
    assert_eq!(spans(&fresh(&near, &options(80, 0))), [(40, 6), (60, 1)]);
    assert_eq!(spans(&fresh(&near, &options(6, 8))), [(40, 6), (60, 1)]);
    // Too far apart for one read.
    assert_eq!(spans(&fresh(&near, &options(5, 8))), [(40, 2), (45, 1), (60, 1)]);
    // Where the whole is too long for one read, each point has its own.
    let shared = [part(0, 0), part(0, 4), part(1, 4), part(1, 9)];
    let blocks = fresh(&shared, &options(6, 8));
    assert_eq!(spans(&blocks), [(0, 5), (4, 6)]);
    assert!(blocks.iter().all(|block| block.points.len() == 2));
}

#[test]
fn neighbours_are_read_together_within_the_limits() {
    assert_eq!(spans_of(&[(0, 2), (2, 2), (4, 1)], 80, 0), [(0, 5)]);
    assert_eq!(spans_of(&[(4, 1), (0, 2), (10, 2)], 80, 2), [(0, 5), (10, 2)]);
    assert_eq!(spans_of(&[(4, 1), (0, 2), (10, 2)], 80, 5), [(0, 12)]);
    assert_eq!(spans_of(&[(0, 2), (2, 2), (4, 2)], 4, 8), [(0, 4), (4, 2)]);
    assert_eq!(spans_of(&[(0, 4), (4, 1)], 2, 8), [(0, 4), (4, 1)], "no tearing");
    assert_eq!(spans_of(&[(0, 1), (0, 4)], 2, 8), [(0, 4)], "what is read anyway costs nothing");
    assert_eq!(spans_of(&[(65532, 4), (65535, 1)], 80, 0), [(65532, 4)]);
    assert_eq!(spans_of(&[], 80, 0), []);
}

#[test]
fn tables_are_never_mixed() {
    let points: Vec<_> = [ModbusTable::Input, ModbusTable::Holding, ModbusTable::Coil, ModbusTable::Discrete]
        .into_iter()
        .enumerate()
        .map(|(id, table)| (PointId(id as u16), point(table, id as u16, 1)))
        .collect();
    assert_eq!(fresh(&points, &options(80, 8)).len(), 4);
}

#[test]
fn points_in_one_register_stay_together() {
    let points = holding(&[(3, 1), (3, 1)]);
    let blocks = fresh(&points, &options(80, 0));
    assert_eq!(spans(&blocks), [(3, 1)]);
    let split = Learnt::default().failed(&blocks[0], Cause::Refused, &options(80, 0), Instant::now());
    assert_eq!(split, Split { again: Vec::new(), given_up: points });
}

/// A table, four of them, and all widths.
fn any_points(most: usize, addresses: u16) -> impl Strategy<Value = Vec<Placed>> {
    let tables = [ModbusTable::Coil, ModbusTable::Discrete, ModbusTable::Holding, ModbusTable::Input];
    let one = (0usize..4, 0..addresses, prop_oneof![Just(1u16), Just(2), Just(4)]);
    let place = move |(id, (table, address, count)): (u16, (usize, u16, u16))| {
        let table = tables[table];
        (PointId(id), point(table, address, if table.is_bits() { 1 } else { count }))
    };
    prop::collection::vec(one, 0..=most).prop_map(move |points| (0..).zip(points).map(place).collect())
}

proptest! {
    #[test]
    fn every_point_is_covered_exactly_once_within_the_limits(
        points in any_points(40, 200),
        max_registers in 1u16..20,
        max_gap in 0u16..10,
    ) {
        let options = options(max_registers, max_gap);
        let blocks = fresh(&points, &options);
        let mut covered: Vec<_> = blocks.iter().flat_map(|block| block.points.clone()).map(|(id, _)| id).collect();
        covered.sort();
        prop_assert_eq!(covered, points.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        for block in &blocks {
            prop_assert!(block.points.iter().all(|(_, point)| block.span().covers(&Span::of(point))));
            let one_alone = block.points.iter().any(|(_, point)| Span::of(point) == block.span());
            prop_assert!(block.span().len() <= limit(&options, block.table) || one_alone);
        }
    }
}
