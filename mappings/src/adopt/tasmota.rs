//! Tasmota: `tasmota/discovery/<MAC>/config` tells what a device has and its topics, `…/sensors` its readings.
//!
//! Source: tasmota.github.io, "MQTT", "Commands" and "Tasmota Discovery".

use std::collections::{BTreeMap, BTreeSet};

use super::identity::address;
use super::json::Json;
use super::meaning::{kind, unit};
use super::model::{Availability, Body, Capability, Model, Point, Write, pointed};
use super::{Device, MAX_DEVICES, Notes, Source, is_topic};
use crate::mapping::Class;

const VENDOR: &str = "TASMOTA";

/// Most readings of one device.
const MAX_SENSORS: usize = 256;

/// What relays are, in `rl`.
const RELAY: i64 = 1;
const LIGHT: i64 = 2;
const SHUTTER: i64 = 3;

/// What devices have said of themselves, by MAC address.
#[derive(Debug)]
pub(super) struct Tasmota {
    prefix: String,
    devices: BTreeMap<String, (Option<Json>, Option<Json>)>,
    /// Of which nothing was said since everything is told anew: `<MAC>/config` or `<MAC>/sensors`.
    unmentioned: BTreeSet<String>,
}

/// Longest message, in bytes; a real one has one or two thousand.
pub(super) const MAX_TOLD: usize = 16 << 10;

impl Tasmota {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), devices: BTreeMap::new(), unmentioned: BTreeSet::new() }
    }

    /// Notes what was told of a device, or that it is told no more; whether that is new.
    fn put(&mut self, mac: &str, what: &str, json: Option<Json>) -> bool {
        let told = self.devices.entry(mac.to_owned()).or_default();
        let place = if what == "config" { &mut told.0 } else { &mut told.1 };
        let is_new = *place != json;
        *place = json;
        if *told == (None, None) {
            self.devices.remove(mac);
        }
        is_new
    }
}

impl Source for Tasmota {
    fn filters(&self) -> Vec<String> {
        ["config", "sensors"].map(|what| format!("{}/+/{what}", self.prefix)).into()
    }

    fn hear(&mut self, topic: &str, body: &[u8]) -> bool {
        let rest = topic.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = rest else { return false };
        self.unmentioned.remove(rest);
        let Some((mac, what)) = rest.split_once('/') else { return false };
        if !is_topic(mac) || (self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(mac)) {
            return false;
        }
        let json = Some(body).filter(|body| body.len() <= MAX_TOLD).and_then(Json::parse);
        let json = json.filter(|json| matches!(json, Json::Map(_)));
        // A device that is taken away is an empty body; garbage says nothing.
        if json.is_none() && !body.is_empty() {
            return false;
        }
        self.put(mac, what, json)
    }

    fn begin_anew(&mut self) {
        let both = |mac: &String| ["config", "sensors"].map(|what| format!("{mac}/{what}"));
        self.unmentioned = self.devices.keys().flat_map(both).collect();
    }

    fn settle(&mut self) -> bool {
        let gone = std::mem::take(&mut self.unmentioned);
        let gone = gone.iter().filter_map(|rest| rest.split_once('/'));
        // All of them, and not only until one was new.
        gone.fold(false, |changed, (mac, what)| self.put(mac, what, None) | changed)
    }

    fn devices(&self, notes: &mut Notes) -> Vec<Device> {
        let all = self.devices.iter();
        all.filter_map(|(mac, (config, sensors))| device(mac, config.as_ref()?, sensors.as_ref(), notes))
            .collect()
    }
}

fn device(mac: &str, config: &Json, sensors: Option<&Json>, notes: &mut Notes) -> Option<Device> {
    let name = config.text("dn").filter(|name| !name.is_empty()).unwrap_or(mac);
    let Some(topics) = Topics::of(config) else {
        notes.add(name, "the device", "its topics are not told, or cannot be topics of MQTT");
        return None;
    };
    let mut model = Model {
        vendor: VENDOR,
        model: config.text("md").unwrap_or("device").to_owned(),
        description: config.text("md").unwrap_or_default().to_owned(),
        availability: vec![Availability {
            topic: topics.at(TELE, "LWT"),
            json: None,
            online: config.text("onln").unwrap_or("Online").to_owned(),
            offline: config.text("ofln").unwrap_or("Offline").to_owned(),
        }],
        ..Model::default()
    };
    let mut reader = Reader { model: &mut model, topics: &topics, name, notes, config };
    reader.relays();
    reader.sensors(sensors.and_then(|sensors| sensors.get("sn")));
    model.kind = device_kind(&model, config);
    let addresses = address(mac).into_iter().collect();
    Some(Device { id: mac.to_owned(), name: name.to_owned(), topic: topics.own.clone(), addresses, model })
}

/// Prefixes, in the order of `tp`.
const CMND: usize = 0;
const STAT: usize = 1;
const TELE: usize = 2;

/// `ft` with its parts.
struct Topics {
    own: String,
    full: String,
    prefixes: [String; 3],
}

impl Topics {
    fn of(config: &Json) -> Option<Self> {
        let own = config.text("t").filter(|topic| is_topic(topic))?;
        let full = config.text("ft").unwrap_or("%prefix%/%topic%/");
        let prefix = |at: usize, usual: &str| {
            config.items("tp").get(at).and_then(Json::as_text).unwrap_or(usual).to_owned()
        };
        let prefixes = [prefix(CMND, "cmnd"), prefix(STAT, "stat"), prefix(TELE, "tele")];
        let host = config.text("hn").unwrap_or_default();
        let id = config.text("mac").map(|mac| mac.get(6..).unwrap_or(mac)).unwrap_or_default();
        let full = full.replace("%hostname%", host).replace("%id%", id);
        let levels = full.trim_end_matches('/').split('/').map(|level| match level {
            "%topic%" => "~".to_owned(),
            level => level.replace("%topic%", own),
        });
        let full = levels.collect::<Vec<_>>().join("/");
        let topics = Self { own: own.to_owned(), full, prefixes };
        is_topic(&topics.at(STAT, "RESULT").replace('~', "x")).then_some(topics)
    }

    fn at(&self, prefix: usize, what: &str) -> String {
        let prefix = self.prefixes.get(prefix).map_or("", String::as_str);
        format!("{}/{what}", self.full.replace("%prefix%", prefix))
    }
}

struct Reader<'m> {
    model: &'m mut Model,
    topics: &'m Topics,
    name: &'m str,
    notes: &'m mut Notes,
    config: &'m Json,
}

impl Reader<'_> {
    fn option(&self, name: &str) -> bool {
        self.config.at(&["so", name]).and_then(Json::as_number).is_some_and(|number| !number.is_zero())
    }

    /// What is switched, dimmed and moved.
    fn relays(&mut self) {
        let kinds: Vec<i64> =
            self.config.items("rl").iter().map(|kind| whole(kind).unwrap_or_default()).collect();
        let used: Vec<(usize, i64)> = kinds.into_iter().enumerate().filter(|(_, kind)| *kind != 0).collect();
        let single = used.len() == 1 && !self.option("26");
        let relays = used.iter().filter(|(_, kind)| *kind == RELAY).count();
        let first_light = used.iter().position(|(_, kind)| *kind == LIGHT);
        for (place, (index, kind)) in used.iter().enumerate() {
            let command = if single { "POWER".to_owned() } else { format!("POWER{}", index + 1) };
            let node = (relays > 1 && *kind == RELAY).then(|| self.relay_name(*index));
            match *kind {
                RELAY | LIGHT => {
                    let power = self.power(&command, node.is_some());
                    let kind = if *kind == LIGHT { "Light" } else { "PowerStrip" };
                    let part = self.model.part(node.as_deref(), kind);
                    part.kind = kind;
                    part.capabilities.push(power);
                    if Some(place) == first_light {
                        self.light();
                    }
                }
                // Two relays move one shutter.
                SHUTTER => {}
                _ => self.notes.add(self.name, &command, "nothing is known of a relay of this kind"),
            }
        }
        let shutters = used.iter().filter(|(_, kind)| *kind == SHUTTER).count() / 2;
        (1..=shutters).for_each(|number| self.shutter(number));
    }

    fn relay_name(&self, index: usize) -> String {
        let given = self.config.items("fn").get(index).and_then(Json::as_text);
        match given.map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => format!("{} {name}", index + 1),
            None => format!("relay {}", index + 1),
        }
    }

    /// Its own state is asked for by `STATE`, which tells everything.
    fn point(&self, pointer: &str) -> Point {
        let get = Some((self.topics.at(CMND, "STATE"), Body::Text(String::new())));
        Point { get, ..Point::json(&self.topics.at(STAT, "RESULT"), pointer) }
    }

    fn power(&self, command: &str, in_node: bool) -> Capability {
        let name = if in_node { "power".to_owned() } else { command.to_ascii_lowercase() };
        let mut power = Capability::new(&name, Class::BinaryControl, "Switch");
        let state = |at: usize, usual: &str| {
            let given = self.config.items("state").get(at).and_then(Json::as_text);
            Json::Text(given.unwrap_or(usual).to_owned())
        };
        let map = vec![(state(0, "OFF"), "false".to_owned()), (state(1, "ON"), "true".to_owned())];
        power.read = Some(Point { map, ..self.point(&pointed("", command)) });
        power.write = Some(Write::new(&self.topics.at(CMND, command), Body::Value));
        power
    }

    fn level(&self, name: &str, command: &str, kind: &str, unit: &str, range: (i64, i64)) -> Capability {
        let mut level = Capability::new(name, Class::LevelControl, kind);
        level.unit = Some(unit.to_owned());
        level.range = Some((range.0.into(), range.1.into()));
        level.read = Some(self.point(&pointed("", command)));
        level.write = Some(Write::new(&self.topics.at(CMND, command), Body::Value));
        level
    }

    /// By `lt_st`: 1 dimmed, 2 with white, 3 with colours, 4 and 5 with both.
    fn light(&mut self) {
        let channels = self.config.get("lt_st").and_then(whole).unwrap_or_default();
        if self.option("68") {
            return self.notes.add(
                self.name,
                "Channel",
                "channels of their own (SetOption68) are not taken over",
            );
        }
        let mut levels = Vec::new();
        if channels >= 1 {
            levels.push(self.level("dimmer", "Dimmer", "Brightness", "%", (0, 100)));
        }
        if channels == 2 || channels == 5 {
            levels.push(self.level("color_temp", "CT", "X_TASMOTA_ColorTemp", "X_TASMOTA_Mired", (153, 500)));
        }
        self.model.own.capabilities.extend(levels);
        if channels >= 3 {
            self.notes.add(self.name, "HSBColor", "colours are one text of three numbers, which is no level");
        }
    }

    fn shutter(&mut self, number: usize) {
        let shutter = format!("Shutter{number}");
        let position = pointed(&pointed("", &shutter), "Position");
        let mut level = Capability::new(&format!("position {number}"), Class::LevelControl, "Position");
        level.unit = Some("%".to_owned());
        level.range = Some((0.into(), 100.into()));
        level.read = Some(Point {
            get: Some((self.topics.at(CMND, &format!("ShutterPosition{number}")), Body::Text(String::new()))),
            ..Point::json(&self.topics.at(STAT, "RESULT"), &position)
        });
        // It takes its time, and the state tells when it is there.
        let mut to = Write::new(&self.topics.at(CMND, &format!("ShutterPosition{number}")), Body::Value);
        to.unseen = true;
        level.write = Some(to);
        self.model.own.capabilities.push(level);
    }

    /// Everything that is measured.
    fn sensors(&mut self, sensors: Option<&Json>) {
        let Some(sensors) = sensors else { return };
        let mut found = Vec::new();
        leaves(sensors, &mut Vec::new(), &mut found);
        for path in found.iter().take(MAX_SENSORS) {
            self.sensor(sensors, path);
        }
        if found.len() > MAX_SENSORS {
            self.notes.add(self.name, "sensors", "there are more than can be taken over");
        }
    }

    fn sensor(&mut self, sensors: &Json, path: &[Step]) {
        let Some(leaf) = path.iter().rev().find_map(|step| match step {
            Step::Member(name) => Some(name.as_str()),
            Step::Item(_) => None,
        }) else {
            return;
        };
        if matches!(leaf, "Time" | "TotalStartTime" | "TempUnit" | "PressureUnit" | "SpeedUnit" | "Id") {
            return;
        }
        let name: Vec<String> = path.iter().map(Step::text).collect();
        let pointer = name.iter().fold(String::new(), |pointer, member| pointed(&pointer, member));
        // It is told every `TelePeriod`; what it could be asked for (`STATUS 10`) is told elsewhere, in another form.
        let point = Point::json(&self.topics.at(TELE, "SENSOR"), &pointer);
        let name = name.join(" ");
        let capability = match value_at(sensors, path) {
            Some(Json::Text(text)) if matches!(text.as_str(), "ON" | "OFF") => {
                let mut binary = Capability::new(
                    &name,
                    Class::BinarySensor,
                    &kind(Class::BinarySensor, leaf, None, VENDOR),
                );
                let states = [("OFF", "false"), ("ON", "true")];
                let map = states.map(|(raw, state)| (Json::Text(raw.to_owned()), state.to_owned())).into();
                binary.read = Some(Point { map, ..point });
                binary
            }
            Some(Json::Text(_)) => {
                let mut text = Capability::new(&name, Class::BlobSensor, "utf-8");
                text.read = Some(point);
                text
            }
            _ => {
                let (unit, scale) = unit(&unit_of(leaf, sensors), VENDOR);
                let kind = kind(Class::LevelSensor, known_as(leaf), Some(&unit), VENDOR);
                let mut level = Capability::new(&name, Class::LevelSensor, &kind);
                level.unit = Some(unit);
                level.monotonic = leaf == "Total";
                level.read = Some(Point { scale, ..point });
                level
            }
        };
        self.model.own.capabilities.push(capability);
    }
}

/// One step into a tree.
#[derive(Clone, Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl Step {
    fn text(&self) -> String {
        match self {
            Self::Member(name) => name.clone(),
            Self::Item(at) => at.to_string(),
        }
    }
}

fn leaves(json: &Json, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    if found.len() > MAX_SENSORS {
        return;
    }
    let mut go = |step: Step, value: &Json| {
        path.push(step);
        leaves(value, path, found);
        path.pop();
    };
    match json {
        Json::Map(members) => members.iter().for_each(|(name, value)| go(Step::Member(name.clone()), value)),
        Json::List(items) => items.iter().enumerate().for_each(|(at, value)| go(Step::Item(at), value)),
        Json::Number(_) | Json::Text(_) => found.push(path.clone()),
        // A reading that was not there when the device told of it is a number as a rule.
        Json::Null => found.push(path.clone()),
        Json::Bool(_) => {}
    }
}

fn value_at<'j>(json: &'j Json, path: &[Step]) -> Option<&'j Json> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Member(name) => json.get(name),
        Step::Item(at) => json.as_items().get(*at),
    })
}

fn whole(json: &Json) -> Option<i64> {
    i64::try_from(json.as_number()?).ok()
}

/// Units are told for three kinds of readings; the others are always the same.
fn unit_of(leaf: &str, sensors: &Json) -> String {
    let told = |name: &str, usual: &str| sensors.text(name).unwrap_or(usual).to_owned();
    match leaf {
        "Temperature" | "DewPoint" | "ObjectTemperature" | "AmbientTemperature" => {
            match told("TempUnit", "C").as_str() {
                "F" => "degF".to_owned(),
                _ => "degC".to_owned(),
            }
        }
        "Pressure" | "SeaPressure" => told("PressureUnit", "hPa"),
        "Humidity" | "Moisture" | "Battery" => "%".to_owned(),
        "Power" => "W".to_owned(),
        "ApparentPower" => "VA".to_owned(),
        "ReactivePower" => "var".to_owned(),
        "Voltage" => "V".to_owned(),
        "Current" => "A".to_owned(),
        "Frequency" => "Hz".to_owned(),
        "Total" | "Today" | "Yesterday" | "ExportActive" => "kWh".to_owned(),
        "Illuminance" => "lx".to_owned(),
        "Distance" => "cm".to_owned(),
        "CarbonDioxide" | "eCO2" => "ppm".to_owned(),
        "TVOC" => "ppb".to_owned(),
        "UvIndex" => "UV".to_owned(),
        "Speed" => told("SpeedUnit", "m/s"),
        _ => String::new(),
    }
}

/// What others call it.
fn known_as(leaf: &str) -> &str {
    match leaf {
        "CarbonDioxide" | "eCO2" => "co2",
        "TVOC" => "voc",
        other => other,
    }
}

fn device_kind(model: &Model, config: &Json) -> &'static str {
    let kinds: Vec<i64> = config.items("rl").iter().filter_map(whole).collect();
    if kinds.contains(&SHUTTER) {
        "Motor"
    } else if kinds.contains(&LIGHT) {
        "Light"
    } else if kinds.contains(&RELAY) {
        "PowerStrip"
    } else if model.has(|capability| capability.kind == "Energy") {
        "Meter"
    } else {
        "Sensor"
    }
}
