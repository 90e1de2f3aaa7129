//! Sites, compiled from the mapping language as the product does it.

use std::sync::Arc;
use std::time::Duration;

use usp_core::input::Input;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::mapping::{
    ArgKind, Class, Command, CommandArg, Event, EventArg, Mapping, Node, NodeId, Site, Trigger,
};
use usp_mapping::port::PointId;
use usp_mapping::site::compile_site;
use usp_mapping::value::Value;

use super::World;

/// A device with one capability of each kind. Points: 0 level, 1 relay, 2 mode, 3 dimmer, 4 probe (on demand), 5 old
/// (serve_stale), 6 valve (undo).
const BOX: &str = r#"
uspmap: 1
profile: test.box
version: 1.0.0
device: {type: Meter, description: "A box"}
poll: {fast: 1s}
capabilities:
  level: {class: LevelSensor, type: Temperature, unit: degC, name: Level, read: {input: 0, as: s16, scale: 0.1}, poll: fast, deadband: 0.5, high: 70}
  relay: {class: BinaryControl, type: Switch, name: Relay, read: {coil: 0}, write: {coil: 0, verify: 1s, ttl: 3s}, poll: fast}
  mode: {class: EnumControl, type: OperatingMode, name: Mode, read: {holding: 1, map: {0: "Off", 1: Low, 2: High}}, write: {}, poll: fast}
  dimmer: {class: LevelControl, type: Brightness, unit: "%", name: Dimmer, read: {holding: 2}, write: {}, min: 0, max: 100, step: 30, poll: fast, deadband: 5}
  probe: {class: LevelSensor, type: Pressure, unit: Pa, name: Probe, read: {holding: 3}, poll: on_demand}
  old: {class: LevelSensor, type: Energy, unit: kWh, name: Old, read: {holding: 4}, poll: fast, serve_stale: true}
  valve: {class: BinaryControl, type: Switch, name: Valve, read: {coil: 6}, write: {undo: true}, poll: fast}
"#;

/// A device with a single sensor.
const PLAIN: &str = r#"
uspmap: 1
profile: test.plain
version: 1.0.0
device: {type: Sensor, description: "A plain sensor"}
poll: {fast: 1s}
capabilities:
  door: {class: BinarySensor, type: DoorOpen, name: Door, read: {discrete: 0}, poll: fast}
"#;

/// A detector that holds its windows itself: Sensitivity (point 1) and HoldTime (2) can be set,
/// RestTime (3) only be read.
const DETECTOR: &str = r#"
uspmap: 1
profile: test.detector
version: 1.0.0
device: {type: Sensor}
poll: {fast: 1s}
capabilities:
  door:
    class: BinarySensor
    type: MotionDetected
    name: Door
    read: {discrete: 0}
    hold: {read: {holding: 1}, write: {undo: true}}
    sensitivity: {read: {holding: 2}, write: {}}
    rest: {read: {holding: 3}, poll: on_demand}
"#;

/// How the mapping of the box reads once somebody has edited its description.
pub(crate) const EDITED: &str = "edited";

/// Compiles a site of `name: box`, `name: plain` or `name: detector` devices, separated by commas.
pub(crate) fn site(devices: &str) -> Arc<Site> {
    let (is_edited, devices) = devices.strip_prefix(EDITED).map_or((false, devices), |d| (true, d));
    if devices.trim().is_empty() {
        return Arc::new(Site::default());
    }
    let mut text = "site: 1\nbuses:\n  plant: {modbus_tcp: \"127.0.0.1:502\"}\ndevices:\n".to_owned();
    for (unit, device) in devices.split(',').enumerate() {
        let (name, model) = device.trim().split_once(':').unwrap();
        let model = model.trim();
        text +=
            &format!("  {name}: {{use: test.{model}, bus: plant, unit: {}, name: The {name}}}\n", unit + 1);
    }
    let file = SourceFile::new("site.yaml", &text);
    let resolve = |wanted: &usp_mapping::draft::site::Use| {
        let models = [("test.box", BOX), ("test.detector", DETECTOR)];
        let known = models.iter().find(|(profile, _)| wanted.to_string().starts_with(profile));
        let text = known.map_or(PLAIN, |(_, text)| text);
        let text = if is_edited {
            text.replace("description: \"A", "description: \"Still a")
        } else {
            text.to_owned()
        };
        Ok(SourceFile::new("mapping.yaml", &text))
    };
    let (site, found) = compile_site(&file, &resolve);
    Arc::new(site.unwrap_or_else(|| panic!("{}", render(&found, false))))
}

/// A site whose devices have one mapping, which is the first device's after some change.
pub(crate) fn edited(devices: &str, edit: impl FnOnce(&mut Mapping)) -> Arc<Site> {
    let mut site = Arc::unwrap_or_clone(site(devices));
    let mut mapping = Mapping::clone(&site.devices[0].mapping);
    edit(&mut mapping);
    let mapping = Arc::new(mapping);
    site.devices.iter_mut().for_each(|device| device.mapping = Arc::clone(&mapping));
    Arc::new(site)
}

/// The box with two nodes: its relay (point 1) and a probe (4) are in the left one, its valve (6) is in the right one.
pub(crate) fn twin(mapping: &mut Mapping) {
    let node = |id: &str| Node {
        id: id.to_owned(),
        kind: "Light".to_owned(),
        description: format!("The {id} gang"),
    };
    mapping.nodes = vec![node("left"), node("right")];
    for (point, node, id, name) in
        [(1, 0, "left.switch", "Switch"), (4, 0, "left.probe", "Probe"), (6, 1, "right.switch", "Switch")]
    {
        let capability = &mut mapping.capabilities[point];
        capability.node = Some(NodeId(node));
        capability.id = id.to_owned();
        capability.name = name.to_owned();
    }
}

/// Commands and events: `X_ACME_Reset()` and, of the left node, `X_ACME_Test()`; `X_ACME_Overload!` (point 7, with the level
/// and the relay) and, of the left node, `X_ACME_Pressed!` (8).
pub(crate) fn vendor(mapping: &mut Mapping) {
    twin(mapping);
    let arg = |name: &str, kind, default| CommandArg { name: name.to_owned(), kind, default };
    let command = |name: &str, node, args| Command {
        name: name.to_owned(),
        node,
        description: String::new(),
        args,
        steps: Vec::new(),
        ttl: Duration::from_secs(5),
        takes: Duration::from_secs(1),
    };
    let minutes = ArgKind::Int(0.into(), 240.into());
    let mode = ArgKind::Enum(vec!["Soft".to_owned(), "Hard".to_owned()]);
    let args = vec![arg("Minutes", minutes, None), arg("Mode", mode, Some(Value::Text("Soft".to_owned())))];
    mapping.commands =
        vec![command("X_ACME_Reset", None, args), command("X_ACME_Test", Some(NodeId(0)), Vec::new())];
    let read = mapping.capabilities[1].read.clone().unwrap();
    let event = |name: &str, node, trigger, args| Event {
        id: name.to_owned(),
        name: name.to_owned(),
        node,
        description: String::new(),
        class: Class::BinarySensor,
        read: read.clone(),
        trigger,
        args,
    };
    let args = vec![
        ("Level".to_owned(), EventArg::Capability(PointId(0))),
        ("Relay".to_owned(), EventArg::Capability(PointId(1))),
        ("Seen".to_owned(), EventArg::Own),
    ];
    mapping.events = vec![
        event("X_ACME_Overload", None, Trigger::Becomes(vec![Value::Bool(true)]), args),
        event("X_ACME_Pressed", Some(NodeId(0)), Trigger::Change, Vec::new()),
    ];
}

impl World {
    /// The site file says this now.
    pub(crate) fn site(&mut self, devices: &str) {
        self.load(site(devices));
    }

    /// The site is this one now.
    pub(crate) fn load(&mut self, site: Arc<Site>) {
        self.site = Arc::clone(&site);
        self.input(Input::Site(site));
    }
}
