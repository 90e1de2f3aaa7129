//! What a change does to the polls.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::mapping::explain::{GroupTold, Told};

/// One poll group before and after.
#[derive(Debug, Serialize)]
pub(super) struct GroupDiff {
    pub(super) group: String,
    /// `None`: it was not there.
    pub(super) old: Option<Cycle>,
    /// `None`: it is not there any more.
    pub(super) new: Option<Cycle>,
    pub(super) removed: Vec<String>,
    pub(super) added: Vec<String>,
}

/// What a round of it costs.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Cycle {
    pub(super) every_ms: Option<u128>,
    pub(super) requests: usize,
    pub(super) time_ms: f64,
}

/// The groups of both, those of the old file first.
pub(super) fn groups(old: &Told, new: &Told) -> Vec<GroupDiff> {
    let names = old.groups.iter().chain(&new.groups).map(|group| group.group.as_str());
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    names.into_iter().map(|name| group(name, find(old, name), find(new, name))).collect()
}

fn find<'t>(told: &'t Told, name: &str) -> Option<&'t GroupTold> {
    told.groups.iter().find(|group| group.group == name)
}

fn group(name: &str, old: Option<&GroupTold>, new: Option<&GroupTold>) -> GroupDiff {
    let (before, after) = (frames(old), frames(new));
    GroupDiff {
        group: name.to_owned(),
        old: old.map(cycle),
        new: new.map(cycle),
        removed: before.iter().filter(|frame| !after.contains(frame)).cloned().collect(),
        added: after.iter().filter(|frame| !before.contains(frame)).cloned().collect(),
    }
}

/// What is read and the bytes that ask for it.
fn frames(group: Option<&GroupTold>) -> Vec<String> {
    let exchanges = group.iter().flat_map(|group| &group.exchanges);
    exchanges.map(|exchange| format!("{} ({})", exchange.request, exchange.what)).collect()
}

fn cycle(group: &GroupTold) -> Cycle {
    Cycle { every_ms: group.every_ms, requests: group.exchanges.len(), time_ms: group.time_ms }
}
