//! Sites, compiled from the mapping language as the product does it.

use std::sync::Arc;

use usp_core::input::Input;
use usp_mapping::diagnostic::{SourceFile, render};
use usp_mapping::mapping::Site;
use usp_mapping::site::compile_site;

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

/// How the mapping of the box reads once somebody has edited its description.
pub(crate) const EDITED: &str = "edited";

/// Compiles a site of `name: box` or `name: plain` devices, separated by commas.
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
        let text = if wanted.to_string().starts_with("test.box") { BOX } else { PLAIN };
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
