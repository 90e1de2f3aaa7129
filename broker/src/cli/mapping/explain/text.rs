//! What is told, for people.

use super::bus::BusTold;
use super::device::{CapabilityTold, CommandTold, ExchangeTold, GroupTold, RoundTold, Told};
use super::messages::{HeardTold, SentTold};
use super::set::{SetTold, TogetherTold};
use super::subject::{Report, Subject};
use crate::cli::table::{Cell, Screen, Table, Tone};

/// The whole: chosen devices in full, then the buses.
pub(super) fn text(report: &Report, subject: &Subject, screen: Screen) -> String {
    let mut out = String::new();
    for (number, device) in (1..).zip(&report.devices) {
        if subject.chosen.contains(&number) {
            let bus = report.buses.iter().find(|bus| bus.bus == device.bus);
            out += &full(device, bus, subject.assumed, screen);
            out.push('\n');
        }
    }
    out += &if subject.made_up { lost(report) } else { buses(report, screen) };
    let warnings = report.buses.iter().flat_map(|bus| bus.warnings.iter().map(move |text| (bus, text)));
    for (bus, text) in warnings {
        let of = if subject.made_up { String::new() } else { format!(" of `{}`", bus.bus) };
        out += &format!("{}{of}: {text}\n", screen.paint(Tone::Warning, "warning"));
    }
    out
}

fn full(device: &Told, bus: Option<&BusTold>, assumed: bool, screen: Screen) -> String {
    let strong = |text: &str| screen.paint(Tone::Strong, text);
    let Told { profile, version, kind, description, path, .. } = device;
    let mut out = format!("{}: {kind}", strong(&format!("{profile} {version}")));
    if !description.is_empty() {
        out += &format!(", {description}");
    }
    if let Some(bus) = bus {
        out += &place(device, bus, assumed);
    }
    out += &format!("\n\n{} below {path}\n", strong("What Controllers see"));
    out += &rows(device).render(screen);
    out += &screen.paint(Tone::Faint, "Each with the other Parameters of its class; --json lists them.");
    out.push('\n');
    if !device.commands.is_empty() || !device.events.is_empty() {
        out += &format!("\n{}\n{}", strong("Commands and events of the vendor"), vendor(device, screen));
    }
    if device.unit.is_some() {
        out += &format!("\n{}\n", strong("What is read"));
        for group in &device.groups {
            out += &group_text(group, screen);
        }
        out += &rounds(device, screen);
    } else {
        out += &format!("\n{}\n{}", strong("What is heard and asked for"), heard(device, screen));
        for sentence in device.manner.iter().flat_map(|manner| &manner.words) {
            out += &format!("  {sentence}\n");
        }
    }
    if !device.writes.is_empty() {
        out += &format!("\n{}\n", strong("What a Set sends"));
        for write in &device.writes {
            out += &set(write, screen);
        }
        out += &device.together.as_ref().map(together).unwrap_or_default();
    }
    out
}

/// Where it is, and what is known of the way there.
fn place(device: &Told, bus: &BusTold, assumed: bool) -> String {
    match (device.unit, device.address.as_deref()) {
        (Some(unit), _) => {
            let delay = milliseconds(bus.delay_ms);
            let assumed = if assumed { " (assumed: --baud and --parity, or --tcp, say another)" } else { "" };
            format!("\nUnit {unit}; {}{assumed}; the device begins to answer after {delay}.", bus.kind)
        }
        (None, Some(address)) if !address.is_empty() => format!("\n{}, `{address}`.", bus.kind),
        (None, _) => format!("\n{}.", bus.kind),
    }
}

fn heard(device: &Told, screen: Screen) -> String {
    let mut table = Table::new(&["  from", "what", "how it comes", "for"]);
    for HeardTold { from, what, how, points } in &device.hears {
        table.row([
            format!("  {from}").into(),
            what.clone().into(),
            how.clone().into(),
            points.join(", ").into(),
        ]);
    }
    table.render(screen)
}

fn messages(messages: &[SentTold]) -> Table {
    let mut table = Table::new(&["  to", "how", "body"]);
    for SentTold { to, how, body } in messages {
        let body = if body.is_empty() { "(empty)".to_owned() } else { body.clone() };
        table.row([format!("  {to}").into(), how.clone().into(), body.into()]);
    }
    table
}

fn rows(device: &Told) -> Table {
    let mut table =
        Table::new(&["path", "capability", "type", "unit", "access", "poll", "max age", "values"]);
    for capability in &device.capabilities {
        let path = capability.path.strip_prefix(&device.path).unwrap_or(&capability.path);
        table.row([
            format!("{path}{}", capability.value).into(),
            capability.capability.clone().into(),
            capability.kind.clone().into(),
            capability.unit.clone().unwrap_or_default().into(),
            access(capability).into(),
            capability.poll.clone().unwrap_or_default().into(),
            max_age(capability).into(),
            Cell::toned(Tone::Faint, values(capability)),
        ]);
    }
    table
}

fn max_age(capability: &CapabilityTold) -> String {
    if capability.readable { age(capability.max_age_ms) } else { String::new() }
}

fn access(capability: &CapabilityTold) -> String {
    let get = capability.readable.then_some("Get");
    let set = capability.writable.then_some("Set");
    let commands = capability.commands.iter().map(String::as_str);
    get.into_iter().chain(set).chain(commands).collect::<Vec<_>>().join(", ")
}

fn values(capability: &CapabilityTold) -> String {
    match &capability.range {
        Some([min, max]) => format!("{min} to {max}"),
        None => capability.values.join(", "),
    }
}

fn vendor(device: &Told, screen: Screen) -> String {
    let mut table = Table::new(&["path", "arguments", "what is done", "given"]);
    for CommandTold { path, args, exchanges, messages, takes_ms, .. } in &device.commands {
        let path = path.strip_prefix(&device.path).unwrap_or(path).to_owned();
        let frames = exchanges.iter().map(|exchange| exchange.request.clone());
        let sends =
            messages.iter().map(|sent| format!("{} to {}", sent.body, sent.to).trim_start().to_owned());
        let sends: Vec<String> = frames.chain(sends).collect();
        let given = period(*takes_ms);
        table.row([path.into(), args.join(", ").into(), sends.join(", then ").into(), given.into()]);
    }
    for event in &device.events {
        let path = event.path.strip_prefix(&device.path).unwrap_or(&event.path).to_owned();
        let poll = event
            .poll
            .as_deref()
            .map(|poll| match device.unit {
                Some(_) => format!("looked for with the poll group {poll}"),
                None => "heard".to_owned(),
            })
            .unwrap_or_default();
        table.row([path.into(), event.args.join(", ").into(), poll.into(), "".into()]);
    }
    table.render(screen)
}

fn group_text(group: &GroupTold, screen: Screen) -> String {
    let title = match group.every_ms {
        Some(every) => format!("{}, every {}", group.group, period(every)),
        None => group.group.clone(),
    };
    let requests = counted(group.exchanges.len(), "request");
    let title = format!("{title}: {requests}, {}", milliseconds(group.time_ms));
    format!("{}\n{}", screen.paint(Tone::Strong, &title), frames(&group.exchanges).render(screen))
}

fn frames(exchanges: &[ExchangeTold]) -> Table {
    let mut table =
        Table::new(&["  request", "reply", "time", "what", "unwanted", "for"]).numbers(&[1, 2, 4]);
    for exchange in exchanges {
        let unwanted = match exchange.unwanted {
            0 => Cell::from(""),
            some => Cell::toned(Tone::Warning, some.to_string()),
        };
        table.row([
            format!("  {}", exchange.request).into(),
            format!("{} B", exchange.reply_bytes).into(),
            milliseconds(exchange.time_ms).into(),
            exchange.what.clone().into(),
            unwanted,
            exchange.points.join(", ").into(),
        ]);
    }
    table
}

/// How groups share requests when they are due together, and what all polls need.
fn rounds(device: &Told, screen: Screen) -> String {
    if device.rounds.is_empty() {
        return "nothing is polled\n".to_owned();
    }
    let mut table =
        Table::new(&["due together", "requests", "time", "a minute", "load"]).numbers(&[1, 2, 3, 4]);
    for RoundTold { groups, per_second, requests, time_ms, load } in &device.rounds {
        table.row([
            groups.join(" + ").into(),
            requests.to_string().into(),
            milliseconds(*time_ms).into(),
            format!("{:.1}", per_second * 60.0).into(),
            percent(*load),
        ]);
    }
    if device.rounds.len() > 1 {
        table.row(["all".into(), "".into(), "".into(), "".into(), percent(device.load)]);
    }
    format!("\n{}\n{}", screen.paint(Tone::Strong, "Load of the bus by these polls"), table.render(screen))
}

fn set(told: &SetTold, screen: Screen) -> String {
    let title = format!("{} = {}", told.capability, told.value);
    let mut out = format!("{}\n", screen.paint(Tone::Strong, &title));
    if let Some(why) = &told.refused {
        return out + &format!("  {}\n", screen.paint(Tone::Bad, why));
    }
    let by_message = !told.messages.is_empty();
    out += &if by_message { messages(&told.messages) } else { frames(&told.exchanges) }.render(screen);
    if told.exchanges.len() > 1 {
        out += "  the bits around it are read first and kept; they are taken to be 0 here\n";
    }
    out += &match &told.verify {
        None if by_message => "  done with the acknowledgement of the protocol\n".to_owned(),
        None => "  done with the device's acknowledgement\n".to_owned(),
        Some(verify) if by_message => {
            format!(
                "  done when `{}` shows it, for which {} are given\n",
                verify.by,
                period(verify.within_ms)
            )
        }
        Some(verify) => format!(
            "  done when `{}` shows it, which is read until then for at most {}: {}\n",
            verify.by,
            period(verify.within_ms),
            verify.exchanges.iter().map(|read| read.request.as_str()).collect::<Vec<_>>().join(", ")
        ),
    };
    out += &format!("  not sent any more after {}; {}{}\n", period(told.ttl_ms), given(told), extras(told));
    out
}

/// How long it may take, and how long it takes where that is known.
fn given(told: &SetTold) -> String {
    let given = format!("given {} once it begins", period(told.takes_ms));
    if told.exchanges.is_empty() {
        given
    } else {
        format!("{given}, and needs {}", milliseconds(told.needs_ms()))
    }
}

/// What a Set of several values takes.
fn together(told: &TogetherTold) -> String {
    let needs = told.needs_ms.map(|ms| format!(", and needs {}", milliseconds(ms))).unwrap_or_default();
    format!("{} values in one Set: given {} once it begins{needs}\n", told.values, period(told.takes_ms))
}

fn extras(told: &SetTold) -> String {
    let mut text = String::new();
    if told.rate_ms > 0 {
        text += &format!("; at most one write every {}", period(told.rate_ms));
    }
    if told.coalesce {
        text += "; of several that wait only the newest is sent";
    }
    if told.undo {
        text += "; written back if another part of the request fails";
    }
    text
}

fn buses(report: &Report, screen: Screen) -> String {
    let address = if report.devices.iter().all(|device| device.unit.is_some()) { "unit" } else { "address" };
    let mut devices = Table::new(&["device", "bus", address, "profile", "requests", "a round", "load"])
        .numbers(&[2, 4, 5, 6]);
    for device in &report.devices {
        let requests: usize =
            device.groups.iter().filter(|it| it.every_ms.is_some()).map(|it| it.exchanges.len()).sum();
        devices.row([
            device.device.clone().into(),
            device.bus.clone().into(),
            device.unit.map(|unit| unit.to_string()).or(device.address.clone()).unwrap_or_default().into(),
            format!("{} {}", device.profile, device.version).into(),
            requests.to_string().into(),
            milliseconds(device.all_ms).into(),
            percent(device.load),
        ]);
    }
    let mut buses = Table::new(&["bus", "kind", "devices", "a round of all", "load"]).numbers(&[2, 3, 4]);
    for bus in &report.buses {
        buses.row([
            bus.bus.clone().into(),
            bus.kind.clone().into(),
            bus.devices.to_string().into(),
            milliseconds(bus.all_ms).into(),
            percent(bus.load),
        ]);
    }
    let devices = if report.devices.is_empty() {
        "The file names no device. What a bus adopts is described where the broker runs: Device.ProxiedDevice.\n".to_owned()
    } else {
        devices.render(screen)
    };
    devices + "\n" + &buses.render(screen) + &lost(report)
}

/// How soon who was lost is found, where that is not what `backoff` says.
fn lost(report: &Report) -> String {
    let lost = report.buses.iter().filter_map(|bus| {
        let every = period(bus.lost_every_ms?);
        // What has a bus of its own costs nobody anything; others may come to it.
        if bus.devices == 1 {
            return Some(format!(
                "While it is offline and others on its bus answer, it is asked every {every} at most, whatever its `backoff`: it \
                 costs them a `timeout`.\n"
            ));
        }
        Some(format!(
            "A device of `{}` that is offline is asked every {every} at most while others answer, whatever its `backoff`: it costs them a `timeout`.\n",
            bus.bus
        ))
    });
    lost.collect()
}

fn percent(load: f64) -> Cell {
    let tone = match load {
        load if load > 1.0 => Tone::Bad,
        load if load > 0.8 => Tone::Warning,
        _ => Tone::Plain,
    };
    // Nothing at all is a negative zero where it is a sum.
    Cell::toned(tone, format!("{:.1} %", load * 100.0 + 0.0))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Bytes as protocol analysers show them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// A time that something takes.
pub(in crate::cli::mapping) fn milliseconds(ms: f64) -> String {
    // Nothing at all is a negative zero where it is a sum.
    if ms >= 10_000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{:.1} ms", ms + 0.0) }
}

/// How old a value may be: what is read but once never grows old.
pub(in crate::cli::mapping) fn age(ms: u128) -> String {
    if ms >= 366 * 86_400_000 { "any".to_owned() } else { period(ms) }
}

/// A time that a file gives.
pub(in crate::cli::mapping) fn period(ms: u128) -> String {
    match ms {
        ms if ms % 1000 > 0 => format!("{ms}ms"),
        ms if ms % 3_600_000 == 0 && ms > 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms > 120_000 => format!("{}min", ms / 60_000),
        ms => format!("{}s", ms / 1000),
    }
}
