//! One device: its rows, what its polls read, what its writes send.

use serde::Serialize;
use usp_adapters::explain::{self, Exchange, Round, Way};
use usp_mapping::mapping::{Capability, Device, Mapping, Poll, Setting};
use usp_mapping::port::PointId;
use usp_mapping::value::decimal_text;

use super::messages::{self, HeardTold, MannerTold, SentTold};
use super::paths::{self, Parameter};
use super::set::{SetTold, TogetherTold, example, sets, together};
use super::text::hex;

/// All about one device.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct Told {
    pub(super) device: String,
    pub(super) path: String,
    pub(super) bus: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    pub(super) profile: String,
    pub(super) version: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) capabilities: Vec<CapabilityTold>,
    pub(super) commands: Vec<CommandTold>,
    pub(super) events: Vec<EventTold>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hears: Vec<HeardTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manner: Option<MannerTold>,
    pub(in crate::cli::mapping) groups: Vec<GroupTold>,
    pub(in crate::cli::mapping) rounds: Vec<RoundTold>,
    pub(in crate::cli::mapping) load: f64,
    pub(super) writes: Vec<SetTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) together: Option<TogetherTold>,
    /// Everything that is polled, read at once: as at the start.
    #[serde(skip)]
    pub(super) all_ms: f64,
    /// Share of the time in which it answers or rests.
    #[serde(skip)]
    pub(super) own: f64,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct CapabilityTold {
    pub(super) capability: String,
    pub(super) path: String,
    pub(super) name: String,
    pub(super) class: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) unit: Option<String>,
    pub(super) range: Option<[String; 2]>,
    pub(super) values: Vec<String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) commands: Vec<String>,
    pub(super) poll: Option<String>,
    pub(super) max_age_ms: u128,
    #[serde(skip)]
    pub(super) value: &'static str,
    #[serde(skip)]
    pub(super) writable: bool,
    #[serde(skip)]
    pub(super) readable: bool,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct CommandTold {
    pub(super) path: String,
    pub(super) args: Vec<String>,
    pub(super) exchanges: Vec<ExchangeTold>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<SentTold>,
    pub(super) ttl_ms: u128,
    /// With the pauses between its steps, and what every command is given at least and at most.
    pub(super) takes_ms: u128,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct EventTold {
    pub(super) path: String,
    pub(super) poll: Option<String>,
    pub(super) args: Vec<String>,
}

/// A poll group by itself. What is read on demand only or once is a group without a period.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct GroupTold {
    pub(in crate::cli::mapping) group: String,
    pub(in crate::cli::mapping) every_ms: Option<u128>,
    pub(in crate::cli::mapping) time_ms: f64,
    pub(in crate::cli::mapping) exchanges: Vec<ExchangeTold>,
}

/// What is read together when several groups are due at once.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct RoundTold {
    pub(super) groups: Vec<String>,
    pub(super) per_second: f64,
    pub(in crate::cli::mapping) requests: usize,
    pub(in crate::cli::mapping) time_ms: f64,
    pub(super) load: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli::mapping) struct ExchangeTold {
    pub(in crate::cli::mapping) what: String,
    pub(in crate::cli::mapping) request: String,
    pub(in crate::cli::mapping) reply_bytes: usize,
    pub(super) time_ms: f64,
    /// Without the rest after it.
    #[serde(skip)]
    pub(super) answered_ms: f64,
    #[serde(rename = "for")]
    pub(super) points: Vec<String>,
    pub(super) cells: usize,
    pub(super) unwanted: usize,
}

/// Works out everything about a device of a site, its number counting from 1.
pub(in crate::cli::mapping) fn tell(
    device: &Device,
    number: u32,
    way: &Way,
    values: &[(String, String)],
) -> Told {
    let mapping = &device.mapping;
    let path = format!("Device.ProxiedDevice.{number}.");
    let frames = mapping.protocol.modbus().is_some();
    let rounds = if frames { explain::rounds(device, way) } else { Vec::new() };
    let polled: Vec<PointId> = mapping.poll_groups.iter().flat_map(|group| group.points.clone()).collect();
    let writes = sets(device, way, values);
    Told {
        device: device.id.to_string(),
        bus: device.bus.clone(),
        unit: device.address.unit(),
        address: messages::address(device),
        profile: mapping.profile.clone(),
        version: mapping.version.clone(),
        kind: mapping.device_type.clone(),
        description: mapping.description.clone(),
        capabilities: capabilities(mapping, &path),
        commands: commands(device, way, &path),
        events: events(mapping, &path),
        hears: messages::heard(mapping),
        manner: messages::manner(mapping),
        groups: if frames { groups(device, way) } else { Vec::new() },
        own: rounds.iter().map(|round| round.time().as_secs_f64() * round.rate).sum(),
        load: share(rounds.iter().map(Round::load).sum()),
        rounds: rounds.iter().map(|round| round_told(mapping, round)).collect(),
        together: together(device, &writes, values),
        writes,
        all_ms: if frames { ms(explain::time(&explain::reads(device, way, &polled))) } else { 0.0 },
        path,
    }
}

fn capabilities(mapping: &Mapping, device: &str) -> Vec<CapabilityTold> {
    let paths = paths::class_objects(mapping, device);
    let points = (0..).map(PointId).zip(&mapping.capabilities);
    points.zip(paths).map(|((id, capability), path)| capability_told(mapping, id, capability, path)).collect()
}

fn capability_told(mapping: &Mapping, id: PointId, capability: &Capability, path: String) -> CapabilityTold {
    let held: Vec<&Setting> = mapping.settings.iter().filter(|setting| setting.of == id).collect();
    let text = |range: &(_, _)| [decimal_text(range.0), decimal_text(range.1)];
    CapabilityTold {
        capability: capability.id.clone(),
        path,
        name: capability.name.clone(),
        class: capability.class.name(),
        kind: capability.kind.clone(),
        unit: capability.unit.clone(),
        range: capability.range.as_ref().map(text),
        values: if capability.value_names.is_empty() {
            capability.valid_values.clone()
        } else {
            capability.value_names.clone()
        },
        parameters: paths::parameters(capability, &held),
        commands: paths::commands(capability),
        poll: capability.read.as_ref().map(|read| poll(mapping, read.poll)),
        max_age_ms: capability.max_age.as_millis(),
        value: paths::value(capability.class),
        writable: capability.write.is_some(),
        readable: capability.read.is_some(),
    }
}

/// The group of a period.
fn poll(mapping: &Mapping, poll: Poll) -> String {
    match poll {
        Poll::OnDemand => "on demand".to_owned(),
        Poll::Once => "once".to_owned(),
        Poll::Every(every) => {
            let group = mapping.poll_groups.iter().find(|group| group.every == every);
            group.map(|group| group.name.clone()).unwrap_or_default()
        }
    }
}

fn commands(device: &Device, way: &Way, path: &str) -> Vec<CommandTold> {
    let told = device.mapping.commands.iter().map(|command| {
        let args: Vec<_> = command
            .args
            .iter()
            .map(|arg| arg.default.clone().unwrap_or_else(|| example(&arg.kind)))
            .collect();
        let steps = command.steps.iter().filter_map(|step| Some((step, step.value(&args)?)));
        let messages =
            steps.filter_map(|(step, value)| messages::sent(&step.point, &step.transform, &value).ok());
        let messages: Vec<SentTold> = messages.flatten().collect();
        let sent = explain::command(device, way, command, &args).unwrap_or_default();
        let shown =
            command.args.iter().zip(&args).map(|(arg, value)| format!("{}={}", arg.name, value.to_usp()));
        CommandTold {
            path: format!("{}{}()", paths::row(path, command.node), command.name),
            args: shown.collect(),
            exchanges: exchanges_told(device, &sent),
            messages,
            ttl_ms: command.ttl.as_millis(),
            takes_ms: device.mapping.command_takes(command).as_millis(),
        }
    });
    told.collect()
}

fn events(mapping: &Mapping, path: &str) -> Vec<EventTold> {
    let told = mapping.events.iter().map(|event| EventTold {
        path: format!("{}{}!", paths::row(path, event.node), event.name),
        poll: Some(poll(mapping, event.read.poll)),
        args: event.args.iter().map(|(name, _)| name.clone()).collect(),
    });
    told.collect()
}

fn groups(device: &Device, way: &Way) -> Vec<GroupTold> {
    let mapping = &device.mapping;
    let polled = mapping
        .poll_groups
        .iter()
        .map(|group| group_told(device, way, &group.name, Some(group.every.as_millis()), &group.points));
    let others = [("once", Poll::Once), ("on demand", Poll::OnDemand)].map(|(name, when)| {
        let points = mapping.points().filter(|point| point.read.is_some_and(|read| read.poll == when));
        let points: Vec<PointId> = points.map(|point| point.id).collect();
        group_told(device, way, name, None, &points)
    });
    polled.chain(others).filter(|group| !group.exchanges.is_empty()).collect()
}

fn group_told(
    device: &Device,
    way: &Way,
    name: &str,
    every_ms: Option<u128>,
    points: &[PointId],
) -> GroupTold {
    let exchanges = explain::reads(device, way, points);
    GroupTold {
        group: name.to_owned(),
        every_ms,
        time_ms: ms(explain::time(&exchanges)),
        exchanges: exchanges_told(device, &exchanges),
    }
}

fn round_told(mapping: &Mapping, round: &Round) -> RoundTold {
    let due =
        mapping.poll_groups.iter().filter(|group| group.points.iter().any(|it| round.points.contains(it)));
    RoundTold {
        groups: due.map(|group| group.name.clone()).collect(),
        per_second: round.rate,
        requests: round.exchanges.len(),
        time_ms: ms(round.time()),
        load: share(round.load()),
    }
}

pub(super) fn exchanges_told(device: &Device, exchanges: &[Exchange]) -> Vec<ExchangeTold> {
    let name = |point: &PointId| device.mapping.point(*point).map(|it| it.name.to_owned());
    let told = exchanges.iter().map(|exchange| ExchangeTold {
        what: exchange.what.clone(),
        request: hex(&exchange.request),
        reply_bytes: exchange.reply,
        time_ms: ms(exchange.time),
        answered_ms: ms(exchange.answered),
        points: exchange.points.iter().filter_map(name).collect(),
        cells: exchange.cells,
        unwanted: exchange.unwanted,
    });
    told.collect()
}

/// To a hundredth of a percent.
fn share(load: f64) -> f64 {
    // The sum of nothing is a negative zero.
    (load * 10_000.0).round() / 10_000.0 + 0.0
}

/// To a hundredth of a millisecond: what is foretold is not more exact.
pub(super) fn ms(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
