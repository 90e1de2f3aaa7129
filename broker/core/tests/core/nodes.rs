//! Nodes of a device: rows with capabilities of their own, in every request.

use usp_core::input::ConnId;
use usp_mapping::port::{Action, PointId};
use usp_mapping::value::Value;

use crate::bench::World;
use crate::bench::device::number;
use crate::bench::site::{edited, twin};

const LEFT: &str = "Device.ProxiedDevice.1.Node.1.IoTCapability.1.BinaryControl.";
const RIGHT: &str = "Device.ProxiedDevice.1.Node.2.IoTCapability.1.BinaryControl.";

fn gangs() -> (World, ConnId) {
    let mut w = World::new();
    w.load(edited("a: box", twin));
    w.report("a", &[(1, Value::Bool(true)), (6, Value::Bool(false)), (0, number("20"))]);
    let c = w.controller("self::c");
    (w, c)
}

#[test]
fn a_node_is_a_row_with_capabilities_of_its_own() {
    let (mut w, c) = gangs();
    let expected = "\
Device.ProxiedDevice.1.Node.1.Alias=cpe-1
Device.ProxiedDevice.1.Node.1.Description=The left gang
Device.ProxiedDevice.1.Node.1.IoTCapabilityNumberOfEntries=2
Device.ProxiedDevice.1.Node.1.Type=Light";
    let node = w.get(c, "Device.ProxiedDevice.1.Node.1.");
    assert!(node.starts_with(expected), "{node}");
    assert!(node.contains(&format!("{LEFT}Value=true")), "{node}");
    let counts = w.get(c, "Device.ProxiedDevice.1.NodeNumberOfEntries");
    assert_eq!(counts, "Device.ProxiedDevice.1.NodeNumberOfEntries=2");
    let own = "Device.ProxiedDevice.1.IoTCapabilityNumberOfEntries";
    assert_eq!(w.get(c, own), format!("{own}=4"));
    let all = w.get(c, "Device.ProxiedDevice.*.Node.*.IoTCapability.*.BinaryControl.Value");
    assert_eq!(all, format!("{LEFT}Value=true\n{RIGHT}Value=false"));
    let found = w.get(
        c,
        "Device.ProxiedDevice.*.Node.[Type==\"Light\"].IoTCapability.[BinaryControl.Value==true].Name",
    );
    assert_eq!(found, "Device.ProxiedDevice.1.Node.1.IoTCapability.1.Name=Switch");
    let listed = w.instances(c, "Device.ProxiedDevice.1.Node.", false);
    assert!(listed.contains("Device.ProxiedDevice.1.Node.2.IoTCapability.1."), "{listed}");
}

#[test]
fn what_is_in_a_node_is_set_operated_and_read() {
    let (mut w, c) = gangs();
    assert_eq!(w.set(c, RIGHT, &["Value=true"]), format!("{RIGHT} Value=true"));
    assert_eq!(w.calls[0].action, Action::Write(vec![(PointId(6), Value::Bool(true))]));
    w.operate(c, &format!("{LEFT}Toggle()"), "", &[]);
    assert_eq!(w.get(c, &format!("{LEFT}Value")), format!("{LEFT}Value=false"));
    let probe = "Device.ProxiedDevice.1.Node.1.IoTCapability.2.LevelSensor.Value";
    w.devices.values.insert(("a".to_owned(), 4), number("5"));
    assert_eq!(w.get(c, probe), format!("{probe}=5"), "on demand");
}

#[test]
fn names_are_unique_in_their_node_alone() {
    let (mut w, c) = gangs();
    let (left, right) =
        ("Device.ProxiedDevice.1.Node.1.IoTCapability.", "Device.ProxiedDevice.1.Node.2.IoTCapability.1.");
    assert_eq!(w.get(c, &format!("{right}Name")), format!("{right}Name=Switch"));
    assert!(w.set(c, &format!("{left}2."), &["Name=Switch"]).starts_with("Error 7025"));
    assert_eq!(w.set(c, right, &["Name=Probe"]), format!("{right} Name=Probe"));
}

#[test]
fn rows_of_nodes_are_told_and_keep_their_numbers() {
    let mut w = World::new();
    w.site("a: box");
    let c = w.controller("self::c");
    w.subscribe(c, "n", "ObjectCreation", "Device.ProxiedDevice.*.Node.");
    w.subscribe(c, "c", "ObjectCreation", "Device.ProxiedDevice.*.Node.*.IoTCapability.");
    w.subscribe(c, "d", "ObjectDeletion", "Device.ProxiedDevice.*.Node.");
    w.load(edited("a: box", twin));
    let notes = w.notes(c);
    assert_eq!(notes.iter().filter(|n| n.starts_with("n: ")).count(), 2, "{notes:?}");
    assert_eq!(notes.iter().filter(|n| n.starts_with("c: ")).count(), 3, "{notes:?}");
    w.set(c, "Device.ProxiedDevice.1.Node.2.IoTCapability.1.", &["Name=Lamp"]);
    w.load(edited("a: box", |mapping| {
        twin(mapping);
        mapping.nodes.reverse();
        for capability in &mut mapping.capabilities {
            capability.node = capability.node.map(|node| usp_mapping::mapping::NodeId(1 - node.0));
        }
    }));
    assert!(w.notes(c).is_empty(), "another order is no other node");
    assert!(w.get(c, "Device.ProxiedDevice.1.Node.2.Description").ends_with("=The right gang"));
    w.site("a: box");
    assert_eq!(w.notes(c).len(), 2);
    w.load(edited("a: box", twin));
    let name = "Device.ProxiedDevice.1.Node.2.IoTCapability.1.Name";
    assert_eq!(w.get(c, name), format!("{name}=Lamp"), "parked while the node was away");
}

#[test]
fn values_in_nodes_are_watched() {
    let (mut w, c) = gangs();
    w.subscribe(
        c,
        "v",
        "ValueChange",
        "Device.ProxiedDevice.*.Node.[Type==\"Light\"].IoTCapability.*.BinaryControl.Value",
    );
    w.report("a", &[(6, Value::Bool(true))]);
    assert_eq!(w.notes(c), [format!("v: ValueChange {RIGHT}Value=true")]);
}

#[test]
fn nodes_that_differ_are_asked_for_one_by_one() {
    let (mut w, c) = gangs();
    let device = w.supported(c, "Device.ProxiedDevice.");
    assert!(device.starts_with("Device.ProxiedDevice.{i}. Alias"), "one device: {device}");
    let nodes =
        "Device.ProxiedDevice.{i}.Node.{i}. ~Device.ProxiedDevice.1.Node.1. ~Device.ProxiedDevice.1.Node.2.";
    assert!(device.lines().any(|line| line == nodes), "{device}");
    let right = w.supported(c, "Device.ProxiedDevice.1.Node.2.");
    assert!(
        right.starts_with(
            "Device.ProxiedDevice.1.Node.2. Alias Description IoTCapabilityNumberOfEntries Type\n"
        ),
        "{right}"
    );
    assert!(right.contains("Device.ProxiedDevice.1.Node.2.IoTCapability.{i}.BinaryControl. "), "{right}");
    assert!(!right.contains("LevelSensor"), "{right}");
    let left = w.supported(c, "Device.ProxiedDevice.1.Node.1.");
    assert!(left.contains("Node.1.IoTCapability.{i}.LevelSensor. "), "{left}");
    w.load(edited("a: box", |mapping| {
        twin(mapping);
        mapping.capabilities[4].node = Some(usp_mapping::mapping::NodeId(1));
        mapping.capabilities.remove(4);
    }));
    let device = w.supported(c, "Device.ProxiedDevice.");
    assert!(
        device.contains("Device.ProxiedDevice.{i}.Node.{i}.IoTCapability.{i}.BinaryControl. "),
        "{device}"
    );
    w.site("a: box");
    assert!(!w.supported(c, "Device.ProxiedDevice.").contains("Node.{i}."), "no device has nodes");
}

#[test]
fn devices_with_and_without_nodes_diverge() {
    let mut w = World::new();
    let mut site = edited("a: box, b: box", |_| {}).as_ref().clone();
    let mut mapping = site.devices[1].mapping.as_ref().clone();
    twin(&mut mapping);
    site.devices[1].mapping = mapping.into();
    w.load(site.into());
    let c = w.controller("self::c");
    assert_eq!(
        w.supported(c, "Device.ProxiedDevice."),
        "Device.ProxiedDevice.{i}. ~Device.ProxiedDevice.1. ~Device.ProxiedDevice.2."
    );
    assert!(!w.supported(c, "Device.ProxiedDevice.1.").contains("Node.{i}."));
    let second = w.supported(c, "Device.ProxiedDevice.2.");
    let nodes =
        "Device.ProxiedDevice.2.Node.{i}. ~Device.ProxiedDevice.2.Node.1. ~Device.ProxiedDevice.2.Node.2.";
    assert!(second.contains(nodes), "{second}");
}
