//! Devices behind the bridge: what they expose, hold and take.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::mqtt_devices::{ThingError, plain, word};
use crate::rng::Rng;

/// Models that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZigbeeModel {
    /// A plug that measures what is drawn.
    Plug,
    /// A motion sensor with a battery, which sleeps most of the time.
    Motion,
    /// Two sockets: endpoints `l1` and `l2`.
    Strip,
    /// A light with brightness, white and colours.
    Light,
}

/// A device.
#[derive(Clone, Debug)]
pub struct ZigbeeDevice {
    pub(super) address: String,
    pub(super) name: String,
    pub(super) model: ZigbeeModel,
    pub(super) state: Map<String, Value>,
    rng: Rng,
    since: Duration,
}

/// Bits of `access`.
const STATE: u64 = 1;
const SET: u64 = 2;

impl ZigbeeDevice {
    /// With its IEEE address (`0x` and sixteen digits) and its name.
    pub fn new(model: ZigbeeModel, address: &str, name: &str) -> Self {
        let state = match model {
            ZigbeeModel::Plug => json!({
                "state": "OFF", "power": 0, "current": 0, "voltage": 231, "energy": 12.34, "power_outage_memory": "restore",
                "child_lock": "UNLOCK", "linkquality": 120,
            }),
            ZigbeeModel::Motion => json!({
                "occupancy": false, "illuminance": 18, "battery": 97, "voltage": 3005, "temperature": 21.4, "tamper": false,
                "linkquality": 76,
            }),
            ZigbeeModel::Strip => json!({"state_l1": "OFF", "state_l2": "OFF", "linkquality": 102}),
            ZigbeeModel::Light => json!({
                "state": "OFF", "brightness": 254, "color_temp": 370, "color_mode": "color_temp", "color": {"x": 0.4599, "y": 0.4106},
                "linkquality": 140,
            }),
        };
        let Value::Object(state) = state else { unreachable!("a literal map") };
        let (rng, address, name) = (Rng::named(1, address), address.to_owned(), name.to_owned());
        Self { address, name, model, state, rng, since: Duration::ZERO }
    }

    /// Its entry in `bridge/devices`.
    pub(super) fn entry(&self) -> Value {
        let (vendor, model, description) = match self.model {
            ZigbeeModel::Plug => ("TuYa", "TS011F_plug_1", "Smart plug (with power monitoring)"),
            ZigbeeModel::Motion => ("Aqara", "RTCGQ11LM", "Motion sensor"),
            ZigbeeModel::Strip => ("LELLKI", "TS011F_2_gang_wall", "2 gang outlet"),
            ZigbeeModel::Light => {
                ("IKEA", "LED1624G9", "TRADFRI bulb E26/E27, color/white spectrum, dimmable")
            }
        };
        let source = if self.sleeps() { "Battery" } else { "Mains (single phase)" };
        json!({
            "ieee_address": self.address, "type": if self.sleeps() { "EndDevice" } else { "Router" }, "network_address": 29_159,
            "supported": true, "disabled": false, "friendly_name": self.name, "description": null, "endpoints": {},
            "definition": {"source": "native", "model": model, "vendor": vendor, "description": description,
                           "exposes": exposes(self.model), "options": []},
            "power_source": source, "model_id": model, "manufacturer": vendor, "interviewing": false,
            "interview_completed": true, "interview_state": "SUCCESSFUL",
        })
    }

    /// It hears nothing while it sleeps, and cannot be asked.
    pub(super) fn sleeps(&self) -> bool {
        self.model == ZigbeeModel::Motion
    }

    pub(super) fn state(&self) -> Value {
        Value::Object(self.state.clone())
    }

    /// Does what a `set` says; false: there was nothing that it can do.
    pub(super) fn obey(&mut self, wanted: &Map<String, Value>) -> bool {
        let mut done = false;
        for (property, value) in wanted {
            let Some(feature) = feature(&exposes(self.model), property) else { continue };
            if feature["access"].as_u64().unwrap_or_default() & SET == 0 {
                continue;
            }
            let held = self.state.get(property).cloned().unwrap_or(Value::Null);
            if let Some(value) = accepted(&feature, value, &held) {
                self.state.insert(property.clone(), value);
                done = true;
            }
        }
        self.draw();
        done
    }

    /// Whether a `get` names something that can be asked for.
    pub(super) fn can_tell(&self, wanted: &Map<String, Value>) -> bool {
        !self.sleeps() && wanted.keys().any(|property| self.state.contains_key(property))
    }

    /// From outside: whatever it holds.
    pub(super) fn set(&mut self, property: &str, value: &str) -> Result<(), ThingError> {
        let held = self.state.get(property);
        let Some(held) = held else {
            let all: Vec<&str> = self.state.keys().map(String::as_str).collect();
            return Err(ThingError::Unknown(property.to_owned(), all.join(", ")));
        };
        let value_given = word(value);
        if std::mem::discriminant(held) != std::mem::discriminant(&value_given) {
            return Err(ThingError::BadValue(value.to_owned(), property.to_owned()));
        }
        self.state.insert(property.to_owned(), value_given);
        self.draw();
        Ok(())
    }

    /// What is on draws power.
    fn draw(&mut self) {
        if self.model == ZigbeeModel::Plug && self.state.get("state") == Some(&json!("OFF")) {
            self.state.insert("power".to_owned(), json!(0));
            self.state.insert("current".to_owned(), json!(0));
        }
    }

    pub(super) fn reset(&mut self) {
        for name in ["state", "state_l1", "state_l2"] {
            if let Some(state) = self.state.get_mut(name) {
                *state = json!("OFF");
            }
        }
        self.draw();
    }

    /// Whether it has something to say after so long.
    pub(super) fn step(&mut self, time: Duration) -> bool {
        self.since += time;
        let period = if self.sleeps() { Duration::from_secs(20) } else { Duration::from_secs(5) };
        if self.since < period {
            return false;
        }
        self.since = Duration::ZERO;
        match self.model {
            ZigbeeModel::Plug => {
                if self.state.get("state") == Some(&json!("ON")) {
                    let power = 55 + self.rng.below(10);
                    let energy = self.state.get("energy").and_then(Value::as_f64).unwrap_or_default() + 0.01;
                    self.state.insert("power".to_owned(), json!(power));
                    self.state.insert("energy".to_owned(), json!((energy * 100.0).round() / 100.0));
                }
            }
            ZigbeeModel::Motion => {
                let occupied = self.state.get("occupancy") == Some(&json!(true));
                self.state.insert("occupancy".to_owned(), json!(!occupied));
                self.state.insert("illuminance".to_owned(), json!(10 + self.rng.below(30)));
            }
            ZigbeeModel::Strip | ZigbeeModel::Light => {}
        }
        self.state.insert("linkquality".to_owned(), json!(80 + self.rng.below(60)));
        true
    }

    pub(super) fn show(&self) -> Vec<(String, String)> {
        self.state.iter().map(|(name, value)| (format!("{}.{name}", self.name), plain(value))).collect()
    }
}

/// The feature with a property, wherever it is.
fn feature(exposes: &Value, property: &str) -> Option<Value> {
    exposes.as_array()?.iter().find_map(|expose| {
        let own = expose["property"] == property && expose["type"] != "switch";
        if own { Some(expose.clone()) } else { feature(&expose["features"], property) }
    })
}

/// What it becomes; `None`: no such value.
fn accepted(feature: &Value, wanted: &Value, held: &Value) -> Option<Value> {
    match feature["type"].as_str()? {
        "binary" if *wanted == feature["value_toggle"] && !wanted.is_null() => {
            let other = if *held == feature["value_on"] { "value_off" } else { "value_on" };
            Some(feature[other].clone())
        }
        "binary" => {
            [&feature["value_on"], &feature["value_off"]].into_iter().find(|known| *known == wanted).cloned()
        }
        "numeric" => {
            let number = wanted.as_f64()?;
            let within = |bound: &str, is: fn(f64, f64) -> bool| {
                feature[bound].as_f64().is_none_or(|bound| is(number, bound))
            };
            (within("value_min", |a, b| a >= b) && within("value_max", |a, b| a <= b)).then(|| wanted.clone())
        }
        "enum" => feature["values"].as_array()?.iter().find(|known| *known == wanted).cloned(),
        "composite" => {
            let mut inner = held.as_object()?.clone();
            inner.extend(wanted.as_object()?.clone());
            Some(Value::Object(inner))
        }
        _ => None,
    }
}

fn linkquality() -> Value {
    json!({"type": "numeric", "name": "linkquality", "label": "Linkquality", "property": "linkquality", "access": STATE,
           "category": "diagnostic", "unit": "lqi", "value_min": 0, "value_max": 255, "description": "Link quality (signal strength)"})
}

fn reading(name: &str, unit: &str, access: u64, description: &str) -> Value {
    json!({"type": "numeric", "name": name, "label": name, "property": name, "access": access, "unit": unit, "description": description})
}

fn on_off(property: &str, endpoint: Option<&str>) -> Value {
    let feature = json!({"type": "binary", "name": "state", "label": "State", "property": property, "access": 7, "value_on": "ON",
                         "value_off": "OFF", "value_toggle": "TOGGLE", "description": "On/off state of the switch"});
    let mut switch = json!({"type": "switch", "features": [feature]});
    if let Some(endpoint) = endpoint {
        switch["endpoint"] = json!(endpoint);
        switch["features"][0]["endpoint"] = json!(endpoint);
    }
    switch
}

/// What each model exposes.
fn exposes(model: ZigbeeModel) -> Value {
    match model {
        ZigbeeModel::Plug => json!([
            on_off("state", None),
            {"type": "enum", "name": "power_outage_memory", "label": "Power outage memory", "property": "power_outage_memory", "access": 7,
             "values": ["on", "off", "restore"], "description": "Recover state after power outage", "category": "config"},
            {"type": "lock", "features": [{"type": "binary", "name": "state", "label": "Child lock", "property": "child_lock", "access": 3,
             "value_on": "LOCK", "value_off": "UNLOCK", "description": "Enables/disables physical input on the device"}]},
            reading("power", "W", 5, "Instantaneous measured power"),
            reading("current", "A", 5, "Instantaneous measured electrical current"),
            reading("voltage", "V", 5, "Measured electrical potential value"),
            reading("energy", "kWh", 5, "Sum of consumed energy"),
            linkquality(),
        ]),
        ZigbeeModel::Motion => json!([
            {"type": "numeric", "name": "battery", "label": "Battery", "property": "battery", "access": 1, "unit": "%", "value_min": 0,
             "value_max": 100, "category": "diagnostic", "description": "Remaining battery in %"},
            {"type": "binary", "name": "occupancy", "label": "Occupancy", "property": "occupancy", "access": 1, "value_on": true,
             "value_off": false, "description": "Indicates whether the device detected occupancy"},
            reading("temperature", "°C", 1, "Measured temperature value"),
            reading("illuminance", "lx", 1, "Measured illuminance"),
            {"type": "binary", "name": "tamper", "label": "Tamper", "property": "tamper", "access": 1, "value_on": true, "value_off": false,
             "description": "Indicates whether the device is tampered"},
            {"type": "numeric", "name": "voltage", "label": "Voltage", "property": "voltage", "access": 1, "unit": "mV",
             "category": "diagnostic", "description": "Voltage of the battery in millivolts"},
            linkquality(),
        ]),
        ZigbeeModel::Strip => {
            json!([on_off("state_l1", Some("l1")), on_off("state_l2", Some("l2")), linkquality()])
        }
        ZigbeeModel::Light => json!([
            {"type": "light", "features": [
                {"type": "binary", "name": "state", "label": "State", "property": "state", "access": 7, "value_on": "ON", "value_off": "OFF",
                 "value_toggle": "TOGGLE", "description": "On/off state of this light"},
                {"type": "numeric", "name": "brightness", "label": "Brightness", "property": "brightness", "access": 7, "value_min": 0,
                 "value_max": 254, "description": "Brightness of this light"},
                {"type": "numeric", "name": "color_temp", "label": "Color temp", "property": "color_temp", "access": 7, "unit": "mired",
                 "value_min": 250, "value_max": 454, "description": "Color temperature of this light",
                 "presets": [{"name": "warm", "value": 454, "description": "Warm temperature (454 mireds)"}]},
                {"type": "composite", "name": "color_xy", "label": "Color (X/Y)", "property": "color", "access": 7,
                 "description": "Color of this light in the CIE 1931 color space (x/y)", "features": [
                    {"type": "numeric", "name": "x", "label": "X", "property": "x", "access": 7},
                    {"type": "numeric", "name": "y", "label": "Y", "property": "y", "access": 7}]},
            ]},
            {"type": "enum", "name": "effect", "label": "Effect", "property": "effect", "access": 2,
             "values": ["blink", "breathe", "okay", "finish_effect"], "description": "Triggers an effect on the light"},
            linkquality(),
        ]),
    }
}
