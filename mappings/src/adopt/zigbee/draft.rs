//! The mapping of an interview as somebody goes on with it: with what is to be done, and a test for each reading.

use std::fmt::Write;

use super::{Adopted, Interview};
use crate::compile::compile_file;
use crate::diagnostic::{SourceFile, has_errors};
use crate::mapping::{Mapping, Point, ReadPoint, WritePoint};
use crate::transform::{Raw, RawKind, Transform};
use crate::value::Value;
use crate::zigbee::{ZigbeeAttribute, ZigbeeFrom, ZigbeePart, ZigbeeRead, clusters};

/// Raw numbers that a test begins with, the first that is a reading.
const NUMBERS: [i128; 4] = [2100, 100, 1, 0];

/// The text of an adopted mapping with a head of comments and its tests. It compiles as the mapping itself does.
pub fn draft(interview: &Interview, adopted: &Adopted) -> String {
    let mut text = head(interview, adopted);
    text += &adopted.text;
    let mut tests = String::new();
    for test in tests_of(&adopted.mapping, interview) {
        // A reading that depends on more than one attribute may not be what one of them says.
        let with = format!("{text}tests:\n{test}");
        if !has_errors(&compile_file(&SourceFile::new("draft", &with)).1) {
            tests += &test;
        }
    }
    if tests.is_empty() {
        return text;
    }
    text + "tests:\n" + &tests
}

fn head(interview: &Interview, adopted: &Adopted) -> String {
    let who = [&interview.manufacturer, &interview.model].map(|text| plain(text));
    let mut text = format!(
        "# {}, drafted from what {} says of its clusters.\n#\n\
         # It does not say what is the manufacturer's own, nor how often it really reports. With its documents beside it:\n\
         # 1. Give what is of use a name of its own, and take out the rest with its tests.\n\
         # 2. Work the tests out by hand: those here repeat what the device said, or a number that was made up.\n\
         # 3. usp-broker mapping check FILE     every problem, with what to write\n\
         #    usp-broker mapping test FILE      the tests, and what has none\n",
        adopted.profile,
        who.join(" ").trim()
    );
    for left in &adopted.left_out {
        // Writing to a String cannot fail.
        writeln!(text, "# Left out: {}: {}", plain(&left.what), plain(&left.why)).ok();
    }
    text
}

/// What a comment can hold.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).map(|c| if c == '$' { '?' } else { c }).take(120).collect()
}

fn tests_of(mapping: &Mapping, interview: &Interview) -> Vec<String> {
    let capabilities = mapping.points().take(mapping.capabilities.len());
    let mut tests = Vec::new();
    for point in capabilities {
        if let Some((test, value)) = read_test(&point, interview) {
            tests.push(test);
            tests.extend(write_test(&point, &value));
        }
    }
    tests
}

/// `{attributes: {1/on_off/on_off: true}, expect: {output: true}}`, and the value.
fn read_test(point: &Point<'_>, interview: &Interview) -> Option<(String, Value)> {
    let [part] = point.read?.parts.as_slice() else { return None };
    let ReadPoint::Zigbee(read) = &part.point else { return None };
    let ZigbeeFrom::Attribute(attribute) = &read.from else { return None };
    if attribute.part != ZigbeePart::Whole {
        return None;
    }
    let said = interview.held.get(&(read.endpoint, read.cluster, attribute.id)).and_then(whole);
    let candidates = said.into_iter().chain(usual(attribute, read, &part.transform));
    let (raw, value) = candidates.into_iter().find_map(|raw| {
        let value = part.transform.decode(taken(raw, read), point.class).ok()?;
        Some((raw, value))
    })?;
    let cluster = clusters::shown(read.cluster);
    let name = clusters::attribute_shown(read.cluster, attribute.id, read.manufacturer);
    let raw = match attribute.kind.raw_kind() {
        RawKind::Bool => (raw != 0).to_string(),
        _ => raw.to_string(),
    };
    let (id, spelled) = (point.name, spelled(&value)?);
    let test = format!(
        "  - {{attributes: {{{}/{cluster}/{name}: {raw}}}, expect: {{{id}: {spelled}}}}}\n",
        read.endpoint
    );
    Some((test, value))
}

/// `{write: {output: true}, sends: {1/on_off: "01 00 01"}}`
fn write_test(point: &Point<'_>, value: &Value) -> Option<String> {
    let binding = point.write?;
    let WritePoint::Zigbee(write) = &binding.point else { return None };
    let raw = binding.transform.encode(value, write.raw_kind()).ok()?;
    let frame = write.frame(&raw).ok()?;
    let bytes: Vec<String> = frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (cluster, value) = (clusters::shown(frame.cluster), spelled(value)?);
    Some(format!(
        "  - {{write: {{{}: {value}}}, sends: {{{}/{cluster}: \"{}\"}}}}\n",
        point.name,
        frame.endpoint,
        bytes.join(" ")
    ))
}

fn whole(raw: &Raw) -> Option<i128> {
    match raw {
        Raw::Int(number) => Some(*number),
        Raw::Bool(state) => Some((*state).into()),
        _ => None,
    }
}

/// Numbers that the device may hold there.
fn usual(attribute: &ZigbeeAttribute, read: &ZigbeeRead, transform: &Transform) -> Vec<i128> {
    let mapped = transform.map.iter().flat_map(|map| map.entries.iter().map(|(raw, _)| *raw));
    let shift = read.bits.map_or(0, |(first, _)| first);
    let numbers = mapped.chain(read.bits.is_none().then_some(NUMBERS).into_iter().flatten()).chain([1, 0]);
    let kind = attribute.kind.raw_kind();
    let range = kind.int_range();
    let first = (kind == RawKind::Bool).then_some(1);
    let numbers = first.into_iter().chain(numbers);
    let numbers = numbers.filter_map(|number| number.checked_mul(1 << shift.min(63)));
    numbers.filter(|number| range.is_none_or(|(low, high)| (low..=high).contains(number))).collect()
}

/// What the mapping takes of a number: some bits, or all.
fn taken(raw: i128, read: &ZigbeeRead) -> Raw {
    match (read.bits, read.raw_kind()) {
        (Some((first, last)), _) => {
            Raw::Int(raw >> first & ((1 << (u32::from(last.saturating_sub(first)) + 1).min(64)) - 1))
        }
        (None, RawKind::Bool) => Raw::Bool(raw != 0),
        (None, _) => Raw::Int(raw),
    }
}

/// As a test has it.
fn spelled(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_usp()),
        Value::Text(text) if !text.contains(['"', '\\', '$']) => Some(format!("\"{text}\"")),
        Value::Text(_) | Value::Numbers(_) | Value::Bytes(_) => None,
    }
}
