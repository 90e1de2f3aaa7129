//! What can happen, and how scripts are made of it. Numbers mean "the n-th of those that there are", so that a script
//! without some of its steps is still one.

use std::time::Duration;

use usp_mapping::port::DeviceFault;

use super::Dice;
use crate::bench::device::Behaviour;
use crate::bench::disk::Mood;
use crate::bench::service::Manner;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Set of these Parameters, each to a new value.
    Set {
        by: usize,
        cells: Vec<usize>,
        partial: bool,
    },
    /// Get of one of the usual paths.
    Get {
        by: usize,
        what: usize,
    },
    /// Add of a row with a new name.
    Add {
        by: usize,
        table: usize,
    },
    /// Delete of a row.
    Delete {
        by: usize,
        row: usize,
    },
    Subscribe {
        by: usize,
        wish: usize,
        persistent: bool,
        retry: bool,
        brief: bool,
    },
    Unsubscribe {
        nth: usize,
    },
    /// An asynchronous command of a Service.
    Operate {
        by: usize,
        service: usize,
    },
    /// The oldest command that runs there is done.
    Complete {
        service: usize,
    },
    /// A device's poll brings a new level.
    Report {
        device: usize,
    },
    /// A Service's own Parameter changes.
    Change {
        service: usize,
    },
    /// A Service refuses to have its Colour set, or no longer.
    Stubborn {
        service: usize,
        on: bool,
    },
    Manner {
        service: usize,
        manner: Manner,
    },
    Device {
        device: usize,
        behaviour: Behaviour,
    },
    Disk(Mood),
    Stored(bool),
    ControllerLeaves(usize),
    ControllerReturns(usize),
    ServiceLeaves(usize),
    ServiceReturns(usize),
    /// The power fails.
    Crash,
    /// The process ends in an orderly way.
    Restart,
    Wait(u64),
    /// Everybody is back and behaves, and everything is settled.
    Calm,
}

fn manner(dice: &mut Dice) -> Manner {
    match dice.below(6) {
        0 => Manner::Good,
        1 => Manner::Silent,
        // What any other code says of Subscriptions counts until the Service connects anew.
        2 => Manner::Refuses(7003),
        3 => Manner::Garbage,
        4 => Manner::Twice,
        _ => Manner::Slow(Duration::from_millis(dice.below(8000) as u64)),
    }
}

fn behaviour(dice: &mut Dice) -> Behaviour {
    match dice.below(4) {
        0 => Behaviour::Good,
        1 => Behaviour::Silent,
        2 => Behaviour::Fails(DeviceFault::Timeout(Duration::from_secs(1))),
        _ => Behaviour::Slow(Duration::from_millis(dice.below(9000) as u64)),
    }
}

fn set(dice: &mut Dice) -> Op {
    let count = if dice.below(3) == 0 { 1 + dice.below(5) } else { 1 };
    let cells = (0..count).map(|_| dice.below(64)).collect();
    Op::Set { by: dice.below(8), cells, partial: dice.below(2) == 0 }
}

fn request(dice: &mut Dice) -> Op {
    let by = dice.below(8);
    match dice.below(9) {
        0..4 => set(dice),
        4..6 => Op::Get { by, what: dice.below(64) },
        6..8 => Op::Add { by, table: dice.below(8) },
        _ => Op::Delete { by, row: dice.below(64) },
    }
}

/// What everybody does while nothing is wrong, or what is wrong is known exactly.
fn quiet(dice: &mut Dice) -> Op {
    let by = dice.below(8);
    match dice.below(30) {
        0..12 => request(dice),
        12..16 => Op::Subscribe {
            by,
            wish: dice.below(64),
            persistent: dice.below(2) == 0,
            retry: dice.below(2) == 0,
            brief: dice.below(4) == 0,
        },
        16..18 => Op::Unsubscribe { nth: dice.below(16) },
        18..20 => Op::Operate { by, service: by },
        20..22 => Op::Complete { service: by },
        22..24 => Op::Report { device: by },
        24..26 => Op::Change { service: by },
        26 => Op::Stubborn { service: by, on: dice.below(2) == 0 },
        27 => Op::ControllerLeaves(by),
        28 => Op::ControllerReturns(by),
        _ => Op::Wait(dice.below(20_000) as u64),
    }
}

fn trouble(dice: &mut Dice) -> Op {
    let which = dice.below(8);
    match dice.below(17) {
        0..4 => Op::Manner { service: which, manner: manner(dice) },
        4..6 => Op::Device { device: which, behaviour: behaviour(dice) },
        6 => Op::Disk(Mood::Full("full".to_owned())),
        7 => Op::Disk(Mood::Slow),
        8 => Op::Disk(Mood::Good),
        9..12 => Op::Stored(dice.below(4) > 0),
        12 => Op::ServiceLeaves(which),
        13..15 => Op::ServiceReturns(which),
        15 => Op::Crash,
        _ => Op::Restart,
    }
}

/// Calm and storms in turn; it ends calmly.
pub(crate) fn script(dice: &mut Dice, steps: usize) -> Vec<Op> {
    let mut script = Vec::new();
    let mut stormy = false;
    for _ in 0..steps {
        if dice.below(12) == 0 {
            stormy = !stormy;
            if !stormy {
                script.push(Op::Calm);
            }
        }
        script.push(if stormy && dice.below(3) == 0 { trouble(dice) } else { quiet(dice) });
    }
    script.push(Op::Calm);
    script
}

/// Requests alone.
pub(crate) fn requests(dice: &mut Dice, steps: usize) -> Vec<Op> {
    (0..steps).map(|_| request(dice)).collect()
}
