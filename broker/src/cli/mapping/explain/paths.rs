//! The rows that a capability, command or event becomes: `IoTCapability.{i}.` with its class object (TR-181 2.19).

use serde::Serialize;
use usp_mapping::mapping::{Capability, Class, Mapping, NodeId, Setting, Window};

/// A Parameter of a class object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli::mapping) struct Parameter {
    pub(in crate::cli::mapping) name: &'static str,
    #[serde(rename = "type")]
    pub(in crate::cli::mapping) kind: &'static str,
    pub(in crate::cli::mapping) writable: bool,
}

/// The Parameter that holds the reading.
pub(super) fn value(class: Class) -> &'static str {
    if class == Class::MultiLevelSensor { "Values" } else { "Value" }
}

/// The Parameters of the class object, as this capability has them; `held`: those that the device holds.
pub(super) fn parameters(capability: &Capability, held: &[&Setting]) -> Vec<Parameter> {
    let class = capability.class;
    let writable = capability.write.is_some();
    let mut all = vec![fixed("Type", "string"), fixed("Description", "string")];
    let kind = match class {
        Class::BinaryControl | Class::BinarySensor => "boolean",
        Class::LevelControl | Class::LevelSensor => "decimal",
        Class::MultiLevelSensor => "decimal[]",
        Class::EnumControl | Class::EnumSensor => "string",
        Class::BlobSensor => "base64",
    };
    all.push(Parameter { name: value(class), kind, writable });
    all.extend(capability.unit.is_some().then_some(fixed("Unit", "string")));
    match class {
        Class::LevelControl => {
            all.extend([fixed("MinValue", "decimal"), fixed("MaxValue", "decimal")]);
            all.extend(capability.step.is_some().then_some(settable("StepValue", "decimal")));
        }
        Class::LevelSensor => {
            if capability.low_threshold.is_some() {
                all.extend([fixed("LowLevel", "boolean"), settable("LowLevelThreshold", "decimal")]);
            }
            if capability.high_threshold.is_some() {
                all.extend([fixed("HighLevel", "boolean"), settable("HighLevelThreshold", "decimal")]);
            }
        }
        Class::MultiLevelSensor => all.push(fixed("ValueNames", "string[]")),
        Class::BinarySensor => {
            let first =
                [capability.sensitivity.is_some(), capability.hold.is_some(), capability.rest.is_some()];
            for (window, first) in Window::ALL.into_iter().zip(first) {
                let held = held.iter().find(|setting| setting.window == window);
                let writable = first || held.is_some_and(|setting| setting.like.write.is_some());
                let there = first || held.is_some();
                let parameter = Parameter { name: window.name(), kind: "unsignedInt", writable };
                all.extend(there.then_some(parameter));
            }
        }
        Class::BinaryControl | Class::EnumControl | Class::EnumSensor | Class::BlobSensor => {}
    }
    if matches!(class, Class::EnumControl | Class::EnumSensor) {
        all.push(fixed("ValidValues", "string[]"));
    }
    if !class.is_control() {
        all.extend([fixed("LastChange", "dateTime"), fixed("LastContactTime", "dateTime")]);
    }
    all
}

/// The Commands of the class object.
pub(super) fn commands(capability: &Capability) -> Vec<String> {
    let toggle = (capability.class == Class::BinaryControl).then_some("Toggle");
    let names = toggle.into_iter().chain(capability.step_commands().iter().copied());
    names.map(|name| format!("{name}()")).collect()
}

/// The path of a device's or a node's row.
pub(super) fn row(device: &str, node: Option<NodeId>) -> String {
    match node {
        Some(NodeId(place)) => format!("{device}Node.{}.", u32::from(place) + 1),
        None => device.to_owned(),
    }
}

/// The path of each capability's class object, in the order of the mapping: rows count within their own table.
pub(super) fn class_objects(mapping: &Mapping, device: &str) -> Vec<String> {
    let number = |at: usize, node: Option<NodeId>| {
        mapping.capabilities.iter().take(at + 1).filter(|capability| capability.node == node).count()
    };
    let path = |(at, capability): (usize, &Capability)| {
        let row = row(device, capability.node);
        format!("{row}IoTCapability.{}.{}.", number(at, capability.node), capability.class.name())
    };
    mapping.capabilities.iter().enumerate().map(path).collect()
}

fn fixed(name: &'static str, kind: &'static str) -> Parameter {
    Parameter { name, kind, writable: false }
}

fn settable(name: &'static str, kind: &'static str) -> Parameter {
    Parameter { name, kind, writable: true }
}
