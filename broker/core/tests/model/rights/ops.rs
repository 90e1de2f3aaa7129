//! What can happen to rights, and by them. Numbers mean "the n-th of those that there are".

use super::super::Dice;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A Permission more; letters are bits.
    Permit {
        role: usize,
        order: u32,
        targets: Vec<usize>,
        letters: [u8; 3],
    },
    /// One less.
    Revoke(usize),
    Enable(usize, bool),
    /// A Permission has another place.
    Order(usize, u32),
    /// Roles of a Controller, as bits.
    Assign {
        who: usize,
        roles: u8,
    },
    Get {
        by: usize,
        cell: usize,
    },
    /// The same Parameter of all rows, and the rows.
    Look {
        by: usize,
        table: usize,
        key: bool,
    },
    Set {
        by: usize,
        cell: usize,
    },
    /// One Parameter of all rows.
    SetAll {
        by: usize,
        table: usize,
    },
    Add {
        by: usize,
        table: usize,
        name: usize,
    },
    Delete {
        by: usize,
        row: usize,
    },
    /// What expressions look at has another value: so they find other rows.
    Rename {
        row: usize,
        name: usize,
    },
    /// A value changes without anybody's doing.
    Change {
        row: usize,
    },
    /// A Service takes so long to answer.
    Slow {
        service: usize,
        ms: u64,
    },
}

fn targets(dice: &mut Dice) -> Vec<usize> {
    (0..1 + dice.below(2)).map(|_| dice.below(256)).collect()
}

fn letters(dice: &mut Dice) -> [u8; 3] {
    let all = dice.below(4);
    [(); 3].map(|()| match all {
        0 => 15,
        1 => 0,
        _ => dice.below(16) as u8,
    })
}

fn change_of_rights(dice: &mut Dice) -> Op {
    let (nth, order) = (dice.below(64), dice.below(40) as u32);
    match dice.below(12) {
        0..6 => Op::Permit { role: nth, order, targets: targets(dice), letters: letters(dice) },
        6..8 => Op::Revoke(nth),
        8 => Op::Enable(nth, dice.below(3) > 0),
        9 => Op::Order(nth, order),
        _ => Op::Assign { who: nth, roles: dice.below(4) as u8 },
    }
}

fn step(dice: &mut Dice) -> Op {
    let (by, nth) = (dice.below(8), dice.below(64));
    match dice.below(26) {
        0..7 => change_of_rights(dice),
        7..10 => Op::Get { by, cell: nth },
        10..13 => Op::Look { by, table: nth, key: dice.below(2) == 0 },
        13..15 => Op::Set { by, cell: nth },
        15..17 => Op::SetAll { by, table: nth },
        17..19 => Op::Add { by, table: nth, name: dice.below(3) },
        19 => Op::Delete { by, row: nth },
        20..22 => Op::Rename { row: nth, name: dice.below(3) },
        22..25 => Op::Change { row: nth },
        _ => Op::Slow { service: nth, ms: dice.below(3) as u64 * 900 },
    }
}

/// Some rights first.
pub(crate) fn script(dice: &mut Dice, steps: usize) -> Vec<Op> {
    let mut script: Vec<Op> = (0..6).map(|_| change_of_rights(dice)).collect();
    script.extend((0..steps).map(|_| step(dice)));
    script
}
