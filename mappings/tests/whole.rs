//! The language as a whole: one device with everything, proven by the tests in its own file.

use std::time::Duration;

use usp_mapping::compile::compile_file;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::mapping::{
    Class, EventArg, Mapping, ModbusTable, ModbusWriteFunction, NodeId, Poll, Trigger,
};
use usp_mapping::port::PointId;
use usp_mapping::value::Value;

const EVERYTHING: &str = include_str!("whole/everything.yaml");

fn compiled(text: &str) -> Mapping {
    let (mapping, found) = compile_file(&SourceFile::new("everything.yaml", text));
    assert!(found.is_empty(), "\n{}", render(&found, false));
    mapping.expect("nothing was found")
}

#[test]
fn everything_compiles_and_its_tests_hold() {
    let mapping = compiled(EVERYTHING);
    assert_eq!(mapping.points().count(), mapping.capabilities.len() + 3 + mapping.events.len());
    for (place, point) in (0u16..).zip(mapping.points()) {
        assert_eq!(point.id, PointId(place));
        assert_eq!(mapping.point(point.id).map(|point| point.name), Some(point.name));
    }
}

/// Each vector of the file is really compared: another value is a failure.
#[test]
fn every_vector_can_fail() {
    let lines: Vec<&str> = EVERYTHING.lines().collect();
    let tests = lines.iter().position(|line| *line == "tests:").expect("tests");
    let mut spoiled = 0;
    for (at, line) in lines.iter().enumerate().skip(tests + 1) {
        let Some((good, bad)) = spoil(line) else { continue };
        let mut lines = lines.clone();
        let changed = line.replacen(&good, &bad, 1);
        lines[at] = &changed;
        let (mapping, found) = compile_file(&SourceFile::new("spoiled.yaml", &lines.join("\n")));
        assert!(mapping.is_none() && !found.is_empty(), "line {}: {changed}", at + 1);
        spoiled += 1;
    }
    assert!(spoiled >= 25, "only {spoiled} vectors were spoiled");
}

/// What stands last in `expect`, `sends`, `fires` and `refuses`, made wrong.
fn spoil(line: &str) -> Option<(String, String)> {
    let line = line.trim_end();
    let (_, last) = line
        .split_once("expect: {")
        .or_else(|| line.split_once("sends: {"))
        .or_else(|| line.split_once("fires: [").filter(|(_, rest)| !rest.starts_with(']')))?;
    if line.contains("fires: [") {
        return Some((format!("fires: [{last}"), "fires: []}".to_owned()));
    }
    let value = last.trim_end_matches(['}', ']']).rsplit([' ', '[']).next()?;
    let wrong = match value {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        other if other.starts_with('"') => "\"AAAA\"".to_owned(),
        other if other.chars().all(|c| c.is_ascii_alphabetic()) => "Wrong".to_owned(),
        _ => "77".to_owned(),
    };
    let (before, _) = line.rsplit_once(value)?;
    let after = line.get(before.len() + value.len()..)?;
    Some((line.to_owned(), format!("{before}{wrong}{after}")))
}

#[test]
fn nodes_have_capabilities_commands_and_events_of_their_own() {
    let mapping = compiled(EVERYTHING);
    let left = mapping.capabilities.iter().find(|cap| cap.id == "left.switch").expect("of the node");
    assert_eq!((left.node, left.name.as_str()), (Some(NodeId(0)), "switch"));
    assert_eq!((mapping.nodes[0].id.as_str(), mapping.nodes[0].kind.as_str()), ("left", "Light"));
    let right = mapping.capabilities.iter().find(|cap| cap.id == "right.switch").expect("of the other");
    assert_eq!((right.node, right.name.as_str()), (Some(NodeId(1)), "switch"), "unique within its node");
    let event = mapping.events.iter().find(|event| event.id == "left.X_ACME_Tripped").expect("of the node");
    assert_eq!((event.name.as_str(), event.node), ("X_ACME_Tripped", Some(NodeId(0))));
    let shown = mapping.capabilities.iter().position(|cap| cap.id == "left.switch").expect("a place") as u16;
    assert_eq!(event.args, [("On".to_owned(), EventArg::Capability(PointId(shown)))], "the nearer one");
    let command = mapping.commands.iter().find(|command| command.node.is_some()).expect("of the node");
    assert_eq!(command.name, "X_ACME_Blink");
}

#[test]
fn what_is_said_once_is_where_it_is_used() {
    let mapping = compiled(EVERYTHING);
    let options = mapping.protocol.modbus().expect("Modbus");
    assert_eq!(
        (options.max_read.of(ModbusTable::Holding), options.max_read.of(ModbusTable::Input)),
        (60, 125)
    );
    assert_eq!((options.max_gap.of(ModbusTable::Coil), options.max_gap.of(ModbusTable::Input)), (8, 8));
    assert_eq!(options.write_rate, Duration::from_millis(40));
    assert_eq!((options.turnaround, options.max_connections), (Duration::from_millis(3), Some(1)));
    let cap = |id: &str| mapping.capabilities.iter().find(|cap| cap.id == id).expect(id).clone();
    let position = cap("position");
    assert_eq!(position.class, Class::MultiLevelSensor);
    assert_eq!(position.value_names, ["Latitude", "Longitude"]);
    assert_eq!(position.read.expect("a read").places().count(), 2);
    assert_eq!(cap("power").read.expect("a read").places().count(), 2, "the exponent too");
    assert_eq!(cap("serial").read.expect("a read").poll, Poll::Once);
    assert!(cap("energy").monotonic);
    let motion = cap("motion");
    assert_eq!((motion.sensitivity, motion.hold), (Some(50), Some(Duration::from_secs(5))));
    assert_eq!((cap("presence").sensitivity, cap("presence").hold), (None, None), "the device holds them");
    let held: Vec<_> = mapping.settings.iter().map(|it| (it.window.name(), it.like.range)).collect();
    let range = |most: u32| Some((0.into(), most.into()));
    assert_eq!(
        held,
        [("Sensitivity", range(100)), ("HoldTime", range(65_535_000)), ("RestTime", range(u32::MAX))]
    );
    let write = cap("setpoint").write.expect("a write");
    let verify = write.verify.expect("verified");
    assert_eq!((verify.by, verify.within), (Some(PointId(2)), Duration::from_secs(2)));
    assert_eq!(mapping.capabilities[2].id, "shown");
    assert_eq!(write.rate, Duration::from_millis(500));
    let function = |id: &str| {
        let write = cap(id).write.expect("a write");
        let (_, function, read_modify_write) = write.point.modbus().expect("Modbus");
        (function, read_modify_write)
    };
    assert_eq!(function("fan"), (ModbusWriteFunction::MaskWrite, false));
    assert_eq!(function("low-byte"), (ModbusWriteFunction::SingleRegister, true), "as `rmw: true` says");
    assert_eq!(function("setpoint"), (ModbusWriteFunction::ReadWriteRegisters, false));
    assert_eq!(mapping.fingerprint.len(), 2);
    let print = mapping.fingerprint[1].point.modbus().expect("Modbus");
    assert_eq!((print.address, print.count), (0x20, 4));
}

#[test]
fn events_see_edges_only() {
    let mapping = compiled(EVERYTHING);
    let event = mapping.events.iter().find(|event| event.name == "X_ACME_Fault").expect("an event");
    let number = |n: i64| Value::Number(n.into());
    assert_eq!(event.trigger, Trigger::Becomes(vec![number(1), number(5)]));
    assert!(!event.trigger.fires(None, &number(5)), "the first reading is no edge");
    assert!(event.trigger.fires(Some(&number(1)), &number(5)), "from one fault to the next");
    assert!(!event.trigger.fires(Some(&number(5)), &number(5)));
    assert!(!event.trigger.fires(Some(&number(5)), &number(2)));
}
