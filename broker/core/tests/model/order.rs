//! The same requests, with and without delays on the way.

use std::time::Duration;

use super::Dice;
use super::ops::Op;
use super::town::{DEVICES, SERVICES, Town};
use crate::bench::device::Behaviour;
use crate::bench::service::Manner;

/// More than all phases of a request need.
const PAUSE: Duration = Duration::from_secs(30);

fn answers(script: &[Op], delays: Option<&mut Dice>) -> Result<Vec<String>, String> {
    let mut town = Town::new();
    town.transcript.clear();
    town.pause = PAUSE;
    let mut delays = delays;
    for (index, op) in script.iter().enumerate() {
        if let Some(dice) = &mut delays {
            for service in 0..SERVICES.len() {
                let after = Duration::from_millis(dice.below(3000) as u64);
                town.service(service).unwrap().manner = Manner::Slow(after);
            }
            for device in DEVICES {
                town.w.device(device, Behaviour::Slow(Duration::from_millis(dice.below(300) as u64)));
            }
        }
        town.step(op);
        if let Some(fault) = town.faults.first() {
            return Err(format!("step {index}, {op:?}: {fault}"));
        }
    }
    Ok(town.transcript.iter().map(|answer| timeless(answer)).collect())
}

/// Without what tells the time.
fn timeless(answer: &str) -> String {
    let lines = answer.lines().filter(|line| !["Last", "UpTime"].iter().any(|word| line.contains(word)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs a script both ways. Errors: where the answers differ.
pub(crate) fn both(script: &[Op]) -> Result<(), String> {
    let quick = answers(script, None)?;
    let slow = answers(script, Some(&mut Dice(script.len() as u64)))?;
    match quick.iter().zip(&slow).find(|(a, b)| a != b) {
        Some((a, b)) => Err(format!("at once: {a}\nlater: {b}")),
        None if quick.len() != slow.len() => Err(format!("{} answers, {} later", quick.len(), slow.len())),
        None => Ok(()),
    }
}
