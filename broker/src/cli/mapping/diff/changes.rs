//! What a change does to what Controllers see.

use serde::Serialize;
use usp_mapping::line::readable;
use usp_mapping::mapping::{
    ByteOrder, Capability, Mapping, ModbusPoint, Poll, ReadBinding, ReadPoint, WriteBinding, WritePoint,
    ZigbeeAttribute, ZigbeeFrom, ZigbeeRead,
};
use usp_mapping::port::PointId;
use usp_mapping::transform::Transform;
use usp_mapping::value::decimal_text;

use super::happenings::happenings;
use super::version::Bump;
use super::windows::windows;
use crate::cli::mapping::explain::age;

/// One thing that is another one now.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) what: &'static str,
    pub(super) key: String,
    pub(super) change: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    pub(super) needs: Bump,
    /// What becomes of the row's Instance Number on a hub that has the device; what is no row has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<Instance>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<Field>,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Added,
    Removed,
    Renamed,
    Changed,
}

/// What becomes of an Instance Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Instance {
    Kept,
    New,
    Gone,
}

/// One property of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    pub(super) field: &'static str,
    pub(super) old: String,
    pub(super) new: String,
    #[serde(skip)]
    pub(super) needs: Bump,
}

/// Everything that differs: what is gone first, then what is new, then what is another one.
pub(super) fn changes(old: &Mapping, new: &Mapping) -> Vec<Change> {
    let find = |mapping: &Mapping, id: &str| mapping.capabilities.iter().any(|it| it.id == id);
    let gone: Vec<&Capability> = old.capabilities.iter().filter(|it| !find(new, &it.id)).collect();
    let mut fresh: Vec<&Capability> = new.capabilities.iter().filter(|it| !find(old, &it.id)).collect();
    let mut changes = Vec::new();
    for capability in gone {
        let same = |other: &&&Capability| is_renamed(capability, other);
        let heir = fresh.iter().find(same).map(|heir| heir.id.clone());
        fresh.retain(|it| Some(&it.id) != heir.as_ref());
        changes.push(lost("capability", &capability.id, heir));
    }
    changes.extend(fresh.iter().map(|capability| gained("capability", &capability.id)));
    for capability in &old.capabilities {
        let other = new.capabilities.iter().find(|it| it.id == capability.id);
        changes
            .extend(other.and_then(|other| changed(&capability.id, fields((old, capability), (new, other)))));
    }
    changes.extend(happenings(old, new));
    changes.extend(changed("device", device(old, new)).map(|change| Change { what: "device", ..change }));
    changes
}

/// Another key for the same place and kind of thing.
fn is_renamed(old: &Capability, new: &Capability) -> bool {
    let parts = |capability: &Capability| capability.read.as_ref().map(|read| read.parts.clone());
    let write = |capability: &Capability| capability.write.as_ref().map(|write| write.point.clone());
    old.class == new.class && parts(old) == parts(new) && write(old) == write(new)
}

pub(super) fn lost(what: &'static str, key: &str, heir: Option<String>) -> Change {
    Change {
        what,
        key: key.to_owned(),
        change: if heir.is_some() { Kind::Renamed } else { Kind::Removed },
        instance: has_rows(what).then_some(if heir.is_some() { Instance::New } else { Instance::Gone }),
        to: heir,
        needs: Bump::Major,
        fields: Vec::new(),
    }
}

pub(super) fn gained(what: &'static str, key: &str) -> Change {
    Change {
        what,
        key: key.to_owned(),
        change: Kind::Added,
        to: None,
        needs: Bump::Minor,
        instance: has_rows(what).then_some(Instance::New),
        fields: Vec::new(),
    }
}

pub(super) fn has_rows(what: &str) -> bool {
    matches!(what, "capability" | "node")
}

pub(super) fn changed(key: &str, fields: Vec<Field>) -> Option<Change> {
    let needs = fields.iter().map(|field| field.needs).max()?;
    let instance = Some(Instance::Kept);
    Some(Change {
        what: "capability",
        key: key.to_owned(),
        change: Kind::Changed,
        to: None,
        needs,
        instance,
        fields,
    })
}

fn device(old: &Mapping, new: &Mapping) -> Vec<Field> {
    let online = |mapping: &Mapping| {
        let rule = &mapping.online;
        format!("{} fails, probes {:?} to {:?} apart", rule.fails, rule.backoff_min, rule.backoff_max)
    };
    let all = [
        field("profile", Bump::Major, &old.profile, &new.profile),
        field("type", Bump::Major, &old.device_type, &new.device_type),
        field("description", Bump::Patch, &old.description, &new.description),
        field("online", Bump::Patch, &online(old), &online(new)),
    ];
    all.into_iter().flatten().collect()
}

pub(super) fn field(field: &'static str, needs: Bump, old: &str, new: &str) -> Option<Field> {
    (old != new).then(|| Field { field, old: old.to_owned(), new: new.to_owned(), needs })
}

fn fields((of_old, old): (&Mapping, &Capability), (of_new, new): (&Mapping, &Capability)) -> Vec<Field> {
    let text = |value: Option<_>| value.map(decimal_text).unwrap_or_default();
    let range = |it: &Capability| {
        it.range.map(|(a, b)| format!("{} to {}", decimal_text(a), decimal_text(b))).unwrap_or_default()
    };
    let oldest = |it: &Capability| age(it.max_age.as_millis());
    let all = [
        field("class", Bump::Major, old.class.name(), new.class.name()),
        field("type", Bump::Major, &old.kind, &new.kind),
        field(
            "unit",
            Bump::Major,
            old.unit.as_deref().unwrap_or_default(),
            new.unit.as_deref().unwrap_or_default(),
        ),
        field("range", narrower(old, new), &range(old), &range(new)),
        field(
            "values",
            fewer(&old.valid_values, &new.valid_values),
            &old.valid_values.join(", "),
            &new.valid_values.join(", "),
        ),
        field("value names", Bump::Major, &old.value_names.join(", "), &new.value_names.join(", ")),
        field("access", less(old, new), access(old), access(new)),
        field("name", Bump::Patch, &old.name, &new.name),
        field("description", Bump::Patch, &old.description, &new.description),
        field("step", offered(old.step, new.step), &text(old.step), &text(new.step)),
        field(
            "commands",
            less_commands(old, new),
            &old.step_commands().join(", "),
            &new.step_commands().join(", "),
        ),
        field(
            "low",
            offered(old.low_threshold, new.low_threshold),
            &text(old.low_threshold),
            &text(new.low_threshold),
        ),
        field(
            "high",
            offered(old.high_threshold, new.high_threshold),
            &text(old.high_threshold),
            &text(new.high_threshold),
        ),
        field("monotonic", Bump::Patch, &old.monotonic.to_string(), &new.monotonic.to_string()),
        field("serve stale", Bump::Patch, &old.serve_stale.to_string(), &new.serve_stale.to_string()),
        field("deadband", Bump::Patch, &text(old.deadband), &text(new.deadband)),
        field("poll", Bump::Patch, &poll(of_old, old), &poll(of_new, new)),
        field("max age", Bump::Patch, &oldest(old), &oldest(new)),
        field("read", Bump::Patch, &read(old.read.as_ref()), &read(new.read.as_ref())),
        field("write", Bump::Patch, &write(of_old, old.write.as_ref()), &write(of_new, new.write.as_ref())),
    ];
    all.into_iter().chain(windows((of_old, old), (of_new, new))).flatten().collect()
}

fn less_commands(old: &Capability, new: &Capability) -> Bump {
    let kept = old.step_commands().iter().all(|name| new.step_commands().contains(name));
    if kept { Bump::Minor } else { Bump::Major }
}

/// Parameters and commands that are there only where a first value is given.
pub(super) fn offered<T>(old: Option<T>, new: Option<T>) -> Bump {
    match (old, new) {
        (Some(_), None) => Bump::Major,
        (None, Some(_)) => Bump::Minor,
        _ => Bump::Patch,
    }
}

/// A range that admits less takes something away from who sets it; that of a sensor says what readings are believed.
fn narrower(old: &Capability, new: &Capability) -> Bump {
    match (old.range, new.range) {
        (Some((a, b)), Some((c, d))) if old.class.is_control() && (c > a || d < b) => Bump::Major,
        _ if old.class.is_control() => Bump::Minor,
        _ => Bump::Patch,
    }
}

fn fewer(old: &[String], new: &[String]) -> Bump {
    if old.iter().all(|value| new.contains(value)) { Bump::Minor } else { Bump::Major }
}

fn less(old: &Capability, new: &Capability) -> Bump {
    let lost = old.read.is_some() && new.read.is_none() || old.write.is_some() && new.write.is_none();
    if lost { Bump::Major } else { Bump::Minor }
}

fn access(capability: &Capability) -> &'static str {
    match (capability.read.is_some(), capability.write.is_some()) {
        (true, true) => "read and write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "none",
    }
}

pub(super) fn poll(mapping: &Mapping, capability: &Capability) -> String {
    poll_text(mapping, capability.read.as_ref().map(|read| read.poll))
}

/// `fast (1000 ms)`.
pub(super) fn poll_text(mapping: &Mapping, poll: Option<Poll>) -> String {
    let every = poll.and_then(Poll::every);
    let group = mapping.poll_groups.iter().find(|group| Some(group.every) == every);
    match (group, poll) {
        (Some(group), _) => format!("{} ({} ms)", group.name, group.every.as_millis()),
        (None, Some(Poll::Once)) => "once".to_owned(),
        (None, Some(_)) => "on demand".to_owned(),
        (None, None) => String::new(),
    }
}

pub(super) fn read(read: Option<&ReadBinding>) -> String {
    let parts = read.into_iter().flat_map(|read| &read.parts).map(|part| {
        let exponent = part.exponent.as_ref().map(|at| format!(" × 10^({})", read_place(at)));
        format!("{}{}{}", read_place(&part.point), exponent.unwrap_or_default(), meaning(&part.transform))
    });
    parts.collect::<Vec<_>>().join("; ")
}

pub(super) fn write(mapping: &Mapping, write: Option<&WriteBinding>) -> String {
    let Some(write) = write else { return String::new() };
    let by = |by: PointId| mapping.point(by).map_or(String::new(), |point| format!(" by {}", point.name));
    let verify = match &write.verify {
        None => "not verified".to_owned(),
        Some(verify) => {
            let by = verify.by.map(by).unwrap_or_default();
            format!("verified{by} within {} ms", verify.within.as_millis())
        }
    };
    let (target, ttl) = (target_of(&write.point, &write.transform), write.ttl.as_millis());
    let extras = [(write.coalesce, ", coalesced"), (write.undo, ", undone")];
    let extras: String = extras.iter().filter(|(is_so, _)| *is_so).map(|(_, words)| *words).collect();
    let rate = write.rate.as_millis();
    let rate = if rate == 0 { String::new() } else { format!(", at least {rate} ms apart") };
    format!("{target}, {verify}, dropped after {ttl} ms{rate}{extras}")
}

/// `holding 0 u16 by SingleRegister`.
pub(super) fn target_of(point: &WritePoint, transform: &Transform) -> String {
    let (place, way) = written(point);
    format!("{place}{} {way}", meaning(transform))
}

fn read_place(point: &ReadPoint) -> String {
    match point {
        ReadPoint::Modbus(point) => place(point),
        ReadPoint::Mqtt(read) => format!("{} {}", read.topic, read.pick),
        ReadPoint::Coap(read) => {
            format!("{} {}{}", read.path, read.pick, if read.observe { " observed" } else { "" })
        }
        ReadPoint::Line(read) => {
            let asked = read.ask.as_ref().map(|ask| format!("\"{}\" → ", readable(&ask.wire)));
            let unasked = if read.unasked { ", unasked too" } else { "" };
            format!("{}{}{unasked}", asked.unwrap_or_default(), read.described())
        }
        ReadPoint::Ble(read) => {
            let asked = read.ask.as_ref().map(|ask| {
                let body: Vec<String> = ask.body.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} to {} → ", body.join(" "), ask.char)
            });
            let notified = if read.notify { ", notified" } else { "" };
            format!("{}{}{notified}", asked.unwrap_or_default(), read.described())
        }
        ReadPoint::Zigbee(read) => zigbee_place(read),
    }
}

/// Endpoint and what says it, and how it is reported.
fn zigbee_place(read: &ZigbeeRead) -> String {
    let report = match &read.from {
        ZigbeeFrom::Attribute(ZigbeeAttribute { report: Some(report), .. }) => {
            let change = report.change.map_or(String::new(), |change| format!(" by {change}"));
            format!(", reported{change} after {} to {} s", report.min, report.max)
        }
        ZigbeeFrom::Attribute(ZigbeeAttribute { asked: false, .. }) => ", never asked".to_owned(),
        ZigbeeFrom::Attribute(_) | ZigbeeFrom::Command(_) => String::new(),
    };
    let clears = read.clears.map_or(String::new(), |after| format!(", over after {} ms", after.as_millis()));
    format!("endpoint {} {}{report}{clears}", read.endpoint, read.described())
}

/// Where something is written, and by which means.
fn written(point: &WritePoint) -> (String, String) {
    match point {
        WritePoint::Modbus { point, function, read_modify_write } => {
            let keeps = if *read_modify_write { ", other bits kept" } else { "" };
            (place(point), format!("by {function:?}{keeps}"))
        }
        WritePoint::Mqtt(write) => {
            let retain = if write.retain { ", retained" } else { "" };
            (write.topic.clone(), format!("as {}, QoS {}{retain}", write.put, write.qos))
        }
        WritePoint::Coap(write) => (write.path.clone(), format!("by {:?} as {}", write.method, write.put)),
        WritePoint::Line(write) => {
            let ack = write.ack.as_ref().map(|ack| format!(", acknowledged by {ack}"));
            (write.send.to_string(), format!("as a request{}", ack.unwrap_or_default()))
        }
        WritePoint::Ble(write) => {
            let how = if write.response { "by Write Request" } else { "by Write Command" };
            (write.described(), how.to_owned())
        }
        WritePoint::Zigbee(write) => {
            (format!("endpoint {}", write.endpoint), format!("by {}", write.described()))
        }
    }
}

/// `input 0..1 f32 CDAB bits 4..6`
fn place(point: &ModbusPoint) -> String {
    let mut text = format!("{} {}", point.table.name(), point.address);
    if point.count > 1 {
        text += &format!("..{}", u32::from(point.address) + u32::from(point.count) - 1);
    }
    if !point.table.is_bits() {
        text += &format!(" {}", format!("{:?}", point.encoding).to_lowercase());
    }
    if point.order != ByteOrder::Abcd {
        text += &format!(" {}", format!("{:?}", point.order).to_uppercase());
    }
    if let Some((first, last)) = point.bits {
        text += &format!(" bits {first}..{last}");
    }
    text
}

fn meaning(transform: &Transform) -> String {
    let mut text = String::new();
    text += &transform.scale.map(|scale| format!(" × {}", decimal_text(scale))).unwrap_or_default();
    text += &transform.offset.map(|offset| format!(" + {}", decimal_text(offset))).unwrap_or_default();
    text += &transform.curve.map(|curve| format!(" by curve {}", curve.name())).unwrap_or_default();
    if transform.invert {
        text += " inverted";
    }
    if let Some(map) = &transform.map {
        let raw = map.entries.iter().map(|(raw, to)| (raw.to_string(), to));
        let texts = map.texts.iter().map(|(raw, to)| (raw.clone(), to));
        let pairs: Vec<String> = raw.chain(texts).map(|(raw, to)| format!("{raw}: {}", target(to))).collect();
        text += &format!(" {{{}}}", pairs.join(", "));
    }
    let numbers = transform.invalid.iter().map(ToString::to_string);
    let none: Vec<String> =
        numbers.chain(transform.invalid_bits.iter().map(|bits| format!("{bits:#x}"))).collect();
    if !none.is_empty() {
        text += &format!(" none at {}", none.join(", "));
    }
    text
}

fn target(target: &usp_mapping::transform::MapTarget) -> String {
    match target {
        usp_mapping::transform::MapTarget::Text(text) => text.clone(),
        usp_mapping::transform::MapTarget::Bool(value) => value.to_string(),
    }
}
