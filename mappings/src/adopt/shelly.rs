//! Shelly of the second generation and later: a device is asked what it is and has, once it says that it is there, with
//! calls over MQTT (`<device>/rpc`). States are read where whole ones are published (`<device>/status/<component>`): a
//! `NotifyStatus` has them in another form.
//!
//! Source: shelly-api-docs.shelly.cloud, "RPC Protocol", "Notifications", "Mqtt" and the pages of the components.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::identity::address;
use super::json::Json;
use super::model::{
    Availability, Body, Capability, Command, Event, Model, Point, Write, pointed, tree, word,
};
use super::{Ask, Device, MAX_DEVICES, Notes, Source, is_topic};
use crate::mapping::Class;

const VENDOR: &str = "SHELLY";

/// What is asked, in this order; the number of the question is its place.
const QUESTIONS: [&str; 3] = ["Shelly.GetDeviceInfo", "Shelly.GetConfig", "Shelly.GetStatus"];

/// Longest answer, in bytes; those of a device with very many components have some 20,000.
pub(super) const MAX_ANSWER: usize = 64 << 10;

/// Bytes of all answers together.
pub(super) const MAX_TOLD: usize = 16 << 20;

/// What devices have said of themselves, by topic.
#[derive(Debug)]
pub(super) struct Shelly {
    filter: String,
    reply_topic: String,
    devices: BTreeMap<String, Told>,
    /// Topics that are to be asked.
    to_ask: BTreeSet<String>,
    /// Topics of which nothing was said since everything is told anew.
    unmentioned: BTreeSet<String>,
}

/// The answers with their lengths, by question.
#[derive(Debug, Default)]
struct Told([Option<(usize, Json)>; QUESTIONS.len()]);

impl Shelly {
    pub(super) fn new(filter: &str, reply_topic: &str) -> Self {
        let (filter, reply_topic) = (filter.to_owned(), reply_topic.to_owned());
        let (devices, to_ask, unmentioned) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { filter, reply_topic, devices, to_ask, unmentioned }
    }

    /// An answer to this program; its id is the number of the question and the topic that was asked.
    fn answer(&mut self, length: usize, json: &Json) -> bool {
        let all = self.devices.values().flat_map(|told| told.0.iter().flatten());
        let room = MAX_TOLD.saturating_sub(all.map(|(length, _)| length).sum());
        let Some((question, topic)) = json.text("id").and_then(|id| id.split_once(' ')) else { return false };
        let place = question.parse::<usize>().ok();
        let Some(told) = self.devices.get_mut(topic) else { return false };
        let Some(place) = place.and_then(|place| told.0.get_mut(place)) else { return false };
        let Some(result @ Json::Map(_)) = json.get("result") else { return false };
        if length > room + place.as_ref().map_or(0, |(length, _)| *length) {
            return false;
        }
        // Of the status only what is there counts: its values change all the time.
        let is_new = place.as_ref().is_none_or(|(_, old)| shape(old) != shape(result));
        *place = Some((length, result.clone()));
        is_new
    }

    fn is_there(&mut self, topic: &str, body: &[u8]) -> bool {
        match body {
            b"" => self.devices.remove(topic).is_some(),
            b"true" if is_shelly(topic) => {
                self.ask(topic);
                false
            }
            _ => false,
        }
    }

    fn ask(&mut self, topic: &str) {
        if is_topic(topic) && (self.devices.len() < MAX_DEVICES || self.devices.contains_key(topic)) {
            self.devices.entry(topic.to_owned()).or_default();
            self.to_ask.insert(topic.to_owned());
        }
    }
}

/// Whether a device has this topic by itself. One that was given another is known when it tells something.
fn is_shelly(topic: &str) -> bool {
    topic.rsplit('/').next().is_some_and(|last| last.starts_with("shelly"))
}

/// Names of what is there.
fn shape(json: &Json) -> Vec<(&str, Vec<&str>)> {
    json.as_members()
        .iter()
        .map(|(name, value)| {
            let inner = value.as_members().iter().filter(|(_, value)| *value != Json::Null);
            (name.as_str(), inner.map(|(name, _)| name.as_str()).collect())
        })
        .collect()
}

impl Source for Shelly {
    fn filters(&self) -> Vec<String> {
        let own = format!("{}/rpc", self.reply_topic);
        vec![format!("{}/online", self.filter), format!("{}/events/rpc", self.filter), own]
    }

    fn hear(&mut self, topic: &str, body: &[u8]) -> bool {
        if body.len() > MAX_ANSWER {
            return false;
        }
        if topic.strip_suffix("/rpc") == Some(&self.reply_topic) {
            return Json::parse(body).is_some_and(|json| self.answer(body.len(), &json));
        }
        if let Some(device) = topic.strip_suffix("/online").or_else(|| topic.strip_suffix("/events/rpc")) {
            self.unmentioned.remove(device);
        }
        if let Some(device) = topic.strip_suffix("/online") {
            return self.is_there(device, body);
        }
        if let Some(device) =
            topic.strip_suffix("/events/rpc").filter(|device| !self.devices.contains_key(*device))
        {
            let source = Json::parse(body).and_then(|json| json.text("src").map(str::to_owned));
            if source.is_some_and(|source| source.starts_with("shelly")) {
                self.ask(device);
            }
        }
        false
    }

    fn asks(&mut self) -> Vec<Ask> {
        let topics = std::mem::take(&mut self.to_ask);
        let asks = topics.iter().flat_map(|topic| {
            QUESTIONS.iter().enumerate().map(move |(number, method)| (topic, number, *method))
        });
        asks.map(|(topic, number, method)| Ask {
            topic: format!("{topic}/rpc"),
            body: format!(r#"{{"id":"{number} {topic}","src":"{}","method":"{method}"}}"#, self.reply_topic),
        })
        .collect()
    }

    fn begin_anew(&mut self) {
        self.unmentioned = self.devices.keys().cloned().collect();
    }

    fn settle(&mut self) -> bool {
        let gone = std::mem::take(&mut self.unmentioned);
        gone.iter().filter(|topic| self.devices.remove(*topic).is_some()).count() > 0
    }

    fn devices(&self, notes: &mut Notes) -> Vec<Device> {
        self.devices.iter().filter_map(|(topic, told)| device(topic, told, notes)).collect()
    }
}

fn device(topic: &str, told: &Told, notes: &mut Notes) -> Option<Device> {
    let [Some((_, info)), config, Some((_, status))] = &told.0 else { return None };
    let id = info.text("id").filter(|id| is_topic(id))?;
    let nothing = Json::Null;
    let config = config.as_ref().map_or(&nothing, |(_, config)| config);
    let name = info.text("name").filter(|name| !name.is_empty()).unwrap_or(id);
    let mut model = Model {
        vendor: VENDOR,
        model: info.text("app").or_else(|| info.text("model")).unwrap_or("device").to_owned(),
        description: description(info),
        availability: vec![Availability {
            topic: "~/online".to_owned(),
            json: None,
            online: "true".to_owned(),
            offline: "false".to_owned(),
        }],
        ..Model::default()
    };
    if config.at(&["mqtt", "status_ntf"]) == Some(&Json::Bool(false)) {
        let why =
            "it does not tell them, so it is asked now and then: turn on `Generic status update over MQTT`";
        notes.add(name, "changes at once", why);
    }
    let count = |kind: &str| status.as_members().iter().filter(|(key, _)| key.starts_with(kind)).count();
    let several =
        ["switch:", "cover:", "light:", "cct:", "rgb:", "rgbw:"].into_iter().map(count).sum::<usize>() > 1;
    for (key, component) in status.as_members() {
        let given = config.at(&[key, "name"]).and_then(Json::as_text).filter(|name| !name.is_empty());
        let mut reader = Component { model: &mut model, key, status: component, given, several, name, notes };
        reader.read();
    }
    model.kind = device_kind(&model, status);
    let addresses = [Some(id), info.text("mac")].into_iter().flatten().filter_map(address).collect();
    Some(Device { id: id.to_owned(), name: name.to_owned(), topic: topic.to_owned(), addresses, model })
}

fn description(info: &Json) -> String {
    let parts = ["app", "model"].into_iter().filter_map(|key| info.text(key));
    let parts: Vec<&str> = parts.collect();
    format!("Shelly {}", parts.join(" "))
}

/// Numbers that components have: member, below which other, name, `Type`, unit, scale, whether it only grows.
type Level = (&'static str, Option<&'static str>, &'static str, &'static str, &'static str, bool);

const METERED: &[Level] = &[
    ("apower", None, "power", "Power", "W", false),
    ("act_power", None, "power", "Power", "W", false),
    ("voltage", None, "voltage", "Meter", "V", false),
    ("current", None, "current", "Meter", "A", false),
    ("freq", None, "frequency", "Meter", "Hz", false),
    ("pf", None, "power factor", "X_SHELLY_PowerFactor", "-", false),
    ("aprt_power", None, "apparent power", "Power", "X_SHELLY_VA", false),
    ("total", Some("aenergy"), "energy", "Energy", "Wh", true),
    ("total", Some("ret_aenergy"), "returned energy", "Energy", "Wh", true),
    ("tC", Some("temperature"), "device temperature", "Temperature", "degC", false),
];

/// What is done to buttons.
const BUTTON: [&str; 6] = ["single_push", "double_push", "triple_push", "long_push", "btn_down", "btn_up"];

/// The phases of an energy meter (`em:0`).
const PHASED: &[(&str, &str, &str, &str)] = &[
    ("voltage", "voltage", "Meter", "V"),
    ("current", "current", "Meter", "A"),
    ("act_power", "power", "Power", "W"),
    ("aprt_power", "apparent power", "Power", "X_SHELLY_VA"),
    ("pf", "power factor", "X_SHELLY_PowerFactor", "-"),
    ("freq", "frequency", "Meter", "Hz"),
];

struct Component<'m> {
    model: &'m mut Model,
    /// `switch:0`.
    key: &'m str,
    status: &'m Json,
    given: Option<&'m str>,
    /// Several things are controlled, so each is a node.
    several: bool,
    name: &'m str,
    notes: &'m mut Notes,
}

impl Component<'_> {
    fn read(&mut self) {
        let (kind, number) =
            self.key.split_once(':').map_or((self.key, None), |(kind, id)| (kind, id.parse().ok()));
        match (kind, number) {
            ("switch", Some(id)) => self.switch(id),
            ("light" | "cct" | "rgb" | "rgbw", Some(id)) => self.light(kind, id),
            ("cover", Some(id)) => self.cover(id),
            ("input", Some(_)) => self.input(),
            ("temperature", Some(_)) => self.level(None, "tC", "temperature", "Temperature", "degC"),
            ("humidity", Some(_)) => self.level(None, "rh", "humidity", "Humidity", "%"),
            ("illuminance", Some(_)) => self.level(None, "lux", "illuminance", "Luminance", "lx"),
            ("voltmeter", Some(_)) => self.level(None, "voltage", "voltage", "Meter", "V"),
            ("devicepower", Some(_)) => {
                self.level(Some("battery"), "percent", "battery", "Battery", "%");
                self.level(Some("battery"), "V", "battery voltage", "Meter", "V");
            }
            ("smoke" | "flood", Some(_)) => self.alarm(kind),
            ("pm1" | "em1", Some(_)) => self.metered(None),
            ("em", Some(_)) => self.phases(),
            ("em1data" | "emdata", Some(_)) => {
                self.grows("total_act_energy", "energy");
                self.grows("total_act_ret_energy", "returned energy");
                self.grows("total_act", "energy");
                self.grows("total_act_ret", "returned energy");
            }
            (
                "sys" | "wifi" | "cloud" | "mqtt" | "ws" | "ble" | "eth" | "ui" | "bthome" | "knx" | "matter",
                _,
            ) => {}
            _ => self.notes.add(self.name, self.key, "nothing is known of such a component"),
        }
    }

    fn pointer(&self, around: Option<&str>, member: &str) -> String {
        let around = around.map_or_else(String::new, |around| pointed("", around));
        pointed(&around, member)
    }

    /// The whole state of a component is told there when it changes, and when it is asked for.
    fn point(&self, around: Option<&str>, member: &str) -> Point {
        let get = Some((format!("~/command/{}", self.key), Body::Text("status_update".to_owned())));
        Point { get, ..Point::json(&format!("~/status/{}", self.key), &self.pointer(around, member)) }
    }

    /// The node of what is controlled here, where there are several.
    fn node(&self) -> Option<String> {
        self.several.then(|| match self.given {
            Some(name) => format!("{} {name}", self.key.replace(':', " ")),
            None => self.key.replace(':', " "),
        })
    }

    fn put(&mut self, node: Option<&str>, capability: Capability) {
        let kind = self.kind();
        self.model.part(node, kind).capabilities.push(capability);
    }

    fn kind(&self) -> &'static str {
        match self.key.split(':').next().unwrap_or_default() {
            "switch" => "PowerStrip",
            "cover" => "Motor",
            "light" | "cct" | "rgb" | "rgbw" => "Light",
            _ => "Sensor",
        }
    }

    fn call(&self, method: &str, id: i64, more: (&str, Json)) -> Write {
        let params = tree([("id", Json::Number(id.to_string())), more]);
        let call = [
            ("id", Json::Number("1".to_owned())),
            ("src", word("usp-broker")),
            ("method", word(method)),
            ("params", params),
        ];
        Write::new("~/rpc", Body::Tree(tree(call)))
    }

    fn switch(&mut self, id: i64) {
        let node = self.node();
        let mut output = Capability::new("output", Class::BinaryControl, "Switch");
        output.read = Some(self.point(None, "output"));
        output.write = Some(self.call("Switch.Set", id, ("on", word("$value"))));
        self.put(node.as_deref(), output);
        self.metered(node);
    }

    fn light(&mut self, kind: &str, id: i64) {
        let method = match kind {
            "light" => "Light.Set",
            "cct" => "CCT.Set",
            "rgb" => "RGB.Set",
            _ => "RGBW.Set",
        };
        let node = self.node();
        let mut output = Capability::new("output", Class::BinaryControl, "Switch");
        output.read = Some(self.point(None, "output"));
        output.write = Some(self.call(method, id, ("on", word("$value"))));
        self.put(node.as_deref(), output);
        for (member, name, kind, unit, low, high) in [
            ("brightness", "brightness", "Brightness", "%", 0, 100),
            ("ct", "color_temp", "X_SHELLY_ColorTemp", "K", 2700, 6500),
            ("white", "white", "X_SHELLY_White", "-", 0, 255),
        ] {
            if self.status.get(member).is_none() {
                continue;
            }
            let mut level = Capability::new(name, Class::LevelControl, kind);
            level.unit = Some(unit.to_owned());
            level.range = Some((Decimal::from(low), Decimal::from(high)));
            level.read = Some(self.point(None, member));
            level.write = Some(self.call(method, id, (member, word("$value"))));
            self.put(node.as_deref(), level);
        }
        if self.status.get("rgb").is_some() {
            self.notes.add(self.name, &format!("{}: rgb", self.key), "a colour is a list, which is no level");
        }
        self.metered(node);
    }

    fn cover(&mut self, id: i64) {
        let node = self.node();
        if self.status.get("current_pos").is_some_and(|position| *position != Json::Null) {
            let mut position = Capability::new("position", Class::LevelControl, "Position");
            position.unit = Some("%".to_owned());
            position.range = Some((Decimal::ZERO, Decimal::ONE_HUNDRED));
            position.read = Some(self.point(None, "current_pos"));
            let mut to = self.call("Cover.GoToPosition", id, ("pos", word("$value")));
            // It takes its time, and the state tells when it is there.
            to.unseen = true;
            position.write = Some(to);
            self.put(node.as_deref(), position);
        } else {
            self.notes.add(self.name, &format!("{}: position", self.key), "the cover is not calibrated");
        }
        let mut state = Capability::new("state", Class::EnumSensor, "X_SHELLY_CoverState");
        let states = ["open", "closed", "opening", "closing", "stopped", "calibrating"];
        let map = states.map(|state| (word(state), state.to_owned())).into();
        state.read = Some(Point { map, ..self.point(None, "state") });
        self.put(node.as_deref(), state);
        for (name, method) in [("Open", "Cover.Open"), ("Close", "Cover.Close"), ("Stop", "Cover.Stop")] {
            let params = tree([("id", Json::Number(id.to_string()))]);
            let call = tree([
                ("id", Json::Number("1".to_owned())),
                ("src", word("usp-broker")),
                ("method", word(method)),
                ("params", params),
            ]);
            let several = if self.several { "" } else { "Cover" };
            let command = Command {
                name: format!("X_SHELLY_{several}{name}"),
                description: format!("{method}, as the device has it"),
                args: Vec::new(),
                topic: "~/rpc".to_owned(),
                body: Body::Tree(call),
            };
            self.model.part(node.as_deref(), "Motor").commands.push(command);
        }
        self.metered(node);
    }

    /// A switch on the wall; a button has no state and tells events alone.
    fn input(&mut self) {
        let name = self.label("input");
        if matches!(self.status.get("state"), Some(Json::Bool(_))) {
            let mut state = Capability::new(&name, Class::BinarySensor, "X_SHELLY_Input");
            state.read = Some(self.point(None, "state"));
            self.put(None, state);
        } else if self.status.get("percent").is_some_and(|percent| *percent != Json::Null) {
            self.level(None, "percent", "input", "Position", "%");
        } else {
            self.button();
        }
    }

    /// Buttons tell what is done to them in a list, one member an event.
    fn button(&mut self) {
        let event = Event {
            name: "X_SHELLY_Event".to_owned(),
            description: "What was done to a button".to_owned(),
            read: Point::json("~/events/rpc", "/params/events/0/event"),
            states: BUTTON.map(str::to_owned).into(),
        };
        if !self.model.own.events.iter().any(|other| other.name == event.name) {
            self.model.own.events.push(event);
        }
    }

    fn alarm(&mut self, kind: &str) {
        let of = if kind == "smoke" { "SmokeDetected" } else { "WaterDetected" };
        let mut alarm = Capability::new(&self.label(kind), Class::BinarySensor, of);
        alarm.read = Some(self.point(None, "alarm"));
        self.put(None, alarm);
    }

    fn level(&mut self, around: Option<&str>, member: &str, name: &str, kind: &str, unit: &str) {
        let mut level = Capability::new(&self.label(name), Class::LevelSensor, kind);
        level.unit = Some(unit.to_owned());
        level.read = Some(self.point(around, member));
        self.put(None, level);
    }

    /// A number that only grows, if the component has it.
    fn grows(&mut self, member: &str, name: &str) {
        if self.status.get(member).is_some() {
            let mut level = Capability::new(&self.label(name), Class::LevelSensor, "Energy");
            level.unit = Some("Wh".to_owned());
            level.monotonic = true;
            level.read = Some(self.point(None, member));
            self.put(None, level);
        }
    }

    /// Its name, or the number where it is not the first.
    fn label(&self, name: &str) -> String {
        match (self.given, self.key.rsplit(':').next()) {
            (Some(given), _) => given.to_owned(),
            (None, Some("0") | None) => name.to_owned(),
            (None, Some(number)) => format!("{name} {number}"),
        }
    }

    /// What is measured beside.
    fn metered(&mut self, node: Option<String>) {
        for (member, around, name, kind, unit, grows) in METERED {
            let there = around
                .map_or(Some(self.status), |around| self.status.get(around))
                .and_then(|json| json.get(member));
            if there.is_none() {
                continue;
            }
            let name = if node.is_some() || self.key.starts_with("switch") {
                (*name).to_owned()
            } else {
                self.label(name)
            };
            let mut level = Capability::new(&name, Class::LevelSensor, kind);
            level.unit = Some((*unit).to_owned());
            level.monotonic = *grows;
            level.read = Some(self.point(*around, member));
            self.put(node.as_deref(), level);
        }
    }

    fn phases(&mut self) {
        for phase in ["a", "b", "c", "total"] {
            for (member, name, kind, unit) in PHASED {
                let member = format!("{phase}_{member}");
                if self.status.get(&member).is_some_and(|value| *value != Json::Null) {
                    let name = format!("{name} {phase}");
                    self.level(None, &member, &name, kind, unit);
                }
            }
        }
    }
}

fn device_kind(model: &Model, status: &Json) -> &'static str {
    let has = |kind: &str| status.as_members().iter().any(|(key, _)| key.starts_with(kind));
    if has("cover:") {
        "Motor"
    } else if has("light:") || has("rgb") || has("cct:") {
        "Light"
    } else if has("switch:") {
        "PowerStrip"
    } else if has("smoke:") {
        "Alarm"
    } else if model.has(|capability| capability.kind == "Energy") {
        "Meter"
    } else {
        "Sensor"
    }
}
