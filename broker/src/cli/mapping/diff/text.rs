//! What a change does, for people.

use super::changes::{Change, Instance, Kind};
use super::frames::{Cycle, GroupDiff};
use super::version::Bump;
use super::{Pair, Report};
use crate::cli::mapping::explain::{milliseconds, period};
use crate::cli::table::{Screen, Tone};

pub(super) fn text(report: &Report, screen: Screen) -> String {
    let Report { old, new, changes, groups, load, version } = report;
    let title = format!("{} {} → {} {}", old.profile, old.version, new.profile, new.version);
    let mut out = format!("{}\n", screen.paint(Tone::Strong, &title));
    if changes.is_empty() {
        out += "Controllers see no difference\n";
    }
    for change in changes {
        out += &one(change, screen);
    }
    let polls: String = groups.iter().map(|group| self::group(group, screen)).collect();
    if !polls.is_empty() {
        out += &format!("{}\n{polls}", screen.paint(Tone::Strong, "Polls"));
    }
    let Pair { old, new } = load;
    let [old, new] = [old, new].map(|load| format!("{:.1} %", load * 100.0));
    if old != new {
        out += &format!("  load of the bus: {old} → {new}\n");
    }
    let verdict = match (version.needs, version.fits) {
        (Bump::None, true) => "nothing changes".to_owned(),
        (needs, true) => format!("the change is {needs}, and the version fits"),
        (needs, false) => format!("the change is {needs}: the version must be at least {}", version.least),
    };
    let tone = if version.fits { Tone::Good } else { Tone::Bad };
    out + &format!("{}\n", screen.paint(tone, &verdict))
}

fn one(change: &Change, screen: Screen) -> String {
    let Change { what, key, .. } = change;
    let (sign, tone, words) = match (change.change, &change.to) {
        (Kind::Added, _) => ("+", Tone::Good, format!("{what} {key}")),
        (Kind::Renamed, Some(to)) => ("!", Tone::Bad, format!("{what} {key} is now {to}")),
        (Kind::Removed | Kind::Renamed, _) => ("-", Tone::Bad, format!("{what} {key}")),
        (Kind::Changed, _) => {
            ("~", Tone::Warning, format!("{what} {key}").replace("device device", "device"))
        }
    };
    let mut out = screen.paint(tone, &format!("{sign} {words}"));
    out += match (change.change, change.instance) {
        (Kind::Renamed, None) => ": whoever used the old name finds it no more",
        (Kind::Renamed, Some(_)) => {
            ": the row goes and another comes, with another Instance Number; to keep it, keep the key and change `name`"
        }
        (Kind::Removed, Some(Instance::Gone)) => ": its row goes",
        (Kind::Added, Some(Instance::New)) => ": a new row with a new Instance Number",
        _ => "",
    };
    out.push('\n');
    for field in &change.fields {
        let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        out += &format!("    {}: {} → {}\n", field.field, shown(&field.old), shown(&field.new));
    }
    out
}

/// Empty when nothing is another one.
fn group(group: &GroupDiff, screen: Screen) -> String {
    if group.old == group.new && group.removed.is_empty() && group.added.is_empty() {
        return String::new();
    }
    let cycle = |cycle: &Option<Cycle>| match cycle {
        None => "not there".to_owned(),
        Some(Cycle { every_ms, requests, time_ms }) => {
            let every = every_ms.map(|every| format!("every {}, ", period(every))).unwrap_or_default();
            let plural = if *requests == 1 { "" } else { "s" };
            format!("{every}{requests} request{plural}, {}", milliseconds(*time_ms))
        }
    };
    let mut out = format!("  {}: {} → {}\n", group.group, cycle(&group.old), cycle(&group.new));
    for (sign, tone, frames) in [("-", Tone::Bad, &group.removed), ("+", Tone::Good, &group.added)] {
        for frame in frames {
            out += &format!("    {}\n", screen.paint(tone, &format!("{sign} {frame}")));
        }
    }
    out
}
