//! The core against a small reference: random requests of several Controllers, Services, devices and a disk, with
//! delays, losses and restarts.
//!
//! Everybody behaves after [`Op::Calm`](ops::Op::Calm): then each answer, each notification and the whole state are
//! compared with what a map of values and a set of Subscriptions say. In between, answers are checked against what can
//! have been true while the request was under way.
//!
//! `USP_MODEL_RUNS` asks for more runs than the few of every day, `USP_MODEL_SEED` names the first. A failure names its
//! seed, so that `USP_MODEL_SEED=n USP_MODEL_RUNS=1` repeats it, and the shortest script found that still fails.

mod apply;
mod calm;
mod history;
mod look;
mod ops;
mod order;
mod rights;
mod services;
mod subs;
mod town;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use town::Town;

/// SplitMix64: all that a script needs of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Runs a script; what went wrong, if anything did.
fn fails<O>(script: &[O], run: fn(&[O]) -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| run(script))) {
        Ok(outcome) => outcome.err(),
        Err(cause) => {
            let text = cause.downcast_ref::<String>().cloned();
            Some(text.or_else(|| cause.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default())
        }
    }
}

/// Leaves out whatever the failure does not need.
fn shrunk<O: Clone>(mut script: Vec<O>, run: fn(&[O]) -> Result<(), String>) -> Vec<O> {
    let mut part = script.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < script.len() {
            let mut shorter = script.clone();
            shorter.drain(at..(at + part).min(script.len()));
            match fails(&shorter, run) {
                Some(_) => script = shorter,
                None => at += part,
            }
        }
        part /= 2;
    }
    script
}

/// Runs so many scripts of so many steps.
fn search<O: Clone + Debug>(
    few: u64,
    steps: usize,
    make: fn(&mut Dice, usize) -> Vec<O>,
    run: fn(&[O]) -> Result<(), String>,
) {
    let first = number("USP_MODEL_SEED", 1);
    for seed in first..first + number("USP_MODEL_RUNS", few) {
        let script = make(&mut Dice(seed), steps);
        if fails(&script, run).is_some() {
            let script = shrunk(script, run);
            let problem = fails(&script, run);
            panic!("USP_MODEL_SEED={seed}: {}\n{script:#?}", problem.unwrap_or_default());
        }
    }
}

#[test]
fn the_core_is_what_the_reference_says() {
    search(40, 60, ops::script, |script| Town::new().play(script));
}

#[test]
fn delays_change_no_answer() {
    search(12, 25, ops::requests, order::both);
}
