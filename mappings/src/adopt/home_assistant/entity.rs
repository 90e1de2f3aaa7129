//! One entity as capabilities and commands.

use rust_decimal::Decimal;

use super::template::{body, place};
use super::{VENDOR, light};
use crate::adopt::json::Json;
use crate::adopt::meaning::{capitals, kind, own_word, unit};
use crate::adopt::model::{Arg, Availability, Body, Capability, Command, Model, Point, Write, word};
use crate::adopt::{Notes, is_topic};
use crate::mapping::Class;

/// Why something is left out.
pub(super) type Refused = String;

/// An entity.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) component: String,
    pub(super) object: String,
    /// With long names.
    pub(super) json: Json,
    pub(super) device_id: String,
}

/// What components tell of that is not taken over.
const ELSEWHERE: &[(&str, &str)] = &[
    ("device_automation", "a trigger of Home Assistant's own"),
    ("tag", "tags are read by Home Assistant alone"),
    ("camera", "TR-181 has no pictures that come by themselves"),
    ("image", "TR-181 has no pictures that come by themselves"),
    ("update", "firmware is updated by its own program"),
    ("device_tracker", "where people are is no capability of a device"),
    ("scene", "a scene has no state"),
    ("notify", "there is nothing to notify"),
];

impl Entity {
    pub(super) fn new(component: &str, object: &str, json: Json) -> Self {
        let device = json.get("device");
        let first = |key: &str| match device.and_then(|device| device.get(key)) {
            Some(Json::List(items)) => items.first().and_then(Json::plain),
            Some(other) => other.plain(),
            None => None,
        };
        let connection = device
            .and_then(|device| device.items("connections").first())
            .and_then(|pair| pair.as_items().last()?.plain());
        let id = first("identifiers").or(connection).or_else(|| json.get("unique_id").and_then(Json::plain));
        let device_id = id.unwrap_or_else(|| object.to_owned());
        Self { component: component.to_owned(), object: object.to_owned(), json, device_id }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.json.text(key)
    }

    /// A payload: as it is written, numbers and Booleans too.
    fn payload(&self, key: &str, usual: &str) -> String {
        self.json.get(key).and_then(Json::plain).unwrap_or_else(|| usual.to_owned())
    }

    pub(super) fn topic(&self, key: &str) -> Result<Option<&str>, Refused> {
        match self.text(key) {
            Some(topic) if !is_topic(topic) => Err(format!("`{key}` cannot be a topic of this mapping")),
            topic => Ok(topic),
        }
    }

    fn wanted(&self, key: &str) -> Result<&str, Refused> {
        self.topic(key)?.ok_or_else(|| format!("it has no `{key}`"))
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        let name = self.text("name").filter(|name| !name.trim().is_empty());
        let of_class = self.text("device_class").filter(|_| name.is_none());
        let object = self.object.rsplit('/').next().unwrap_or(&self.object);
        name.or(of_class).unwrap_or(object).to_owned()
    }

    /// What is set up or tells of the device itself comes after what it is for.
    fn rank(&self) -> u8 {
        match self.text("entity_category") {
            Some("diagnostic") => 2,
            Some(_) => 1,
            None => 0,
        }
    }

    pub(super) fn availability(&self, device: &str, notes: &mut Notes) -> Vec<Availability> {
        let items = match self.json.get("availability") {
            Some(Json::List(items)) => items.clone(),
            Some(one @ Json::Map(_)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let mode = self.text("availability_mode").unwrap_or("latest");
        if items.len() > 1 && mode != "all" {
            notes.add(
                device,
                "availability",
                "all of several must say that it is there: other modes are not known",
            );
        }
        // What the entity itself calls `value_template` is about its value.
        let of_item = |item| said_at(item, ["topic", "value_template"]);
        let own = || said_at(&self.json, ["availability_topic", "availability_template"]);
        let single = self.text("availability_topic").map(|_| own());
        let mut all = Vec::new();
        for said in items.iter().map(of_item).chain(single) {
            match said {
                Ok(said) => all.push(said),
                Err(why) => notes.add(device, "availability", &why),
            }
        }
        all
    }

    pub(super) fn add(&self, model: &mut Model, device: &str, notes: &mut Notes) {
        let added = match self.component.as_str() {
            "switch" => self.switch(model),
            "binary_sensor" => self.binary_sensor(model, device, notes),
            "sensor" => self.sensor(model),
            "number" => self.number(model),
            "select" => self.select(model),
            "light" => light::add(self, model, device, notes),
            "cover" => self.cover(model),
            "lock" => self.lock(model),
            "climate" => self.climate(model, device, notes),
            "button" => self.button(model),
            other => Err(ELSEWHERE.iter().find(|(known, _)| *known == other).map_or_else(
                || format!("components of the kind `{other}` are not taken over"),
                |(_, why)| (*why).to_owned(),
            )),
        };
        if let Err(why) = added {
            notes.add(device, &format!("{} {}", self.component, self.name()), &why);
        }
    }

    /// Where a value is read.
    pub(super) fn point(&self, topic: &str, template: &str) -> Result<Option<Point>, Refused> {
        let Some(topic) = self.topic(topic)? else { return Ok(None) };
        let json = place(self.text(template))?;
        Ok(Some(Point { json, ..Point::text(topic) }))
    }

    /// Where a value is written.
    pub(super) fn write(&self, topic: &str, template: &str) -> Result<Option<Write>, Refused> {
        let Some(topic) = self.topic(topic)? else { return Ok(None) };
        Ok(Some(Write::new(topic, body(self.text(template))?)))
    }

    pub(super) fn put(&self, model: &mut Model, mut capability: Capability) {
        capability.rank = self.rank();
        if let Some(write) = &mut capability.write
            && capability.read.is_none()
        {
            write.unseen = true;
        }
        model.own.capabilities.push(capability);
    }

    /// Two states, read and written by their own payloads.
    pub(super) fn binary(
        &self,
        name: &str,
        read: Option<Point>,
        write: Option<Write>,
        states: [(&str, &str, &str, &str); 2],
    ) -> Capability {
        let class = if write.is_some() { Class::BinaryControl } else { Class::BinarySensor };
        let mut capability = Capability::new(name, class, &kind(class, name, None, VENDOR));
        let [(off, off_usual, shown_off, _), (on, on_usual, shown_on, _)] = states;
        let (off, on) = (self.payload(off, off_usual), self.payload(on, on_usual));
        let pairs =
            |off: &str, on: &str| vec![(word(off), "false".to_owned()), (word(on), "true".to_owned())];
        let (seen_off, seen_on) = (self.payload(shown_off, &off), self.payload(shown_on, &on));
        let as_sent = (seen_off == off && seen_on == on) || read.is_none();
        capability.read = read.map(|read| Point { map: pairs(&seen_off, &seen_on), ..read });
        capability.write = write.map(|write| Write {
            map: if as_sent && capability.read.is_some() { Vec::new() } else { pairs(&off, &on) },
            ..write
        });
        capability
    }

    fn switch(&self, model: &mut Model) -> Result<(), Refused> {
        let write = self.write("command_topic", "command_template")?.ok_or("it has no `command_topic`")?;
        let read = self.point("state_topic", "value_template")?;
        let states = [("payload_off", "OFF", "state_off", ""), ("payload_on", "ON", "state_on", "")];
        self.put(model, self.binary(&self.name(), read, Some(write), states));
        Ok(())
    }

    fn binary_sensor(&self, model: &mut Model, device: &str, notes: &mut Notes) -> Result<(), Refused> {
        self.wanted("state_topic")?;
        let read = self.point("state_topic", "value_template")?;
        let states = [("payload_off", "OFF", "payload_off", ""), ("payload_on", "ON", "payload_on", "")];
        let mut capability = self.binary(&self.name(), read, None, states);
        let class = self.text("device_class").unwrap_or_default();
        capability.kind =
            kind(Class::BinarySensor, if class.is_empty() { &capability.name } else { class }, None, VENDOR);
        if self.json.get("off_delay").is_some() {
            notes.add(device, &self.name(), "`off_delay`: it stays true until the device says otherwise");
        }
        self.put(model, capability);
        Ok(())
    }

    fn sensor(&self, model: &mut Model) -> Result<(), Refused> {
        self.wanted("state_topic")?;
        let read = self.point("state_topic", "value_template")?;
        let class = self.text("device_class").unwrap_or_default();
        let options = self.options("options");
        let name = self.name();
        let capability = if !options.is_empty() {
            let mut state =
                Capability::new(&name, Class::EnumSensor, &kind(Class::EnumSensor, &name, None, VENDOR));
            state.read = read.map(|read| Point { map: options, ..read });
            state
        } else if self.is_number(class) {
            let (unit, scale) = unit(self.text("unit_of_measurement").unwrap_or_default(), VENDOR);
            let of = if class.is_empty() { &name } else { class };
            let mut level = Capability::new(
                &name,
                Class::LevelSensor,
                &kind(Class::LevelSensor, of, Some(&unit), VENDOR),
            );
            level.monotonic = self.text("state_class") == Some("total_increasing");
            level.unit = Some(unit);
            level.read = read.map(|read| Point { scale, ..read });
            level
        } else {
            let mut text = Capability::new(&name, Class::BlobSensor, "utf-8");
            text.read = read;
            text
        };
        self.put(model, capability);
        Ok(())
    }

    /// A sensor without a unit is a text to Home Assistant too, unless it is told otherwise.
    fn is_number(&self, class: &str) -> bool {
        let is_text = matches!(class, "timestamp" | "date" | "enum");
        !is_text
            && ["unit_of_measurement", "state_class", "suggested_display_precision"]
                .iter()
                .any(|key| self.json.get(key).is_some())
    }

    fn options(&self, key: &str) -> Vec<(Json, String)> {
        self.json
            .items(key)
            .iter()
            .filter_map(|option| Some((word(&option.plain()?), option.plain()?)))
            .collect()
    }

    fn range(&self, low: &str, high: &str, usual: (i64, i64)) -> (Decimal, Decimal) {
        let number = |key: &str, usual: i64| self.json.number(key).unwrap_or_else(|| usual.into());
        (number(low, usual.0), number(high, usual.1))
    }

    fn number(&self, model: &mut Model) -> Result<(), Refused> {
        let write = self.write("command_topic", "command_template")?.ok_or("it has no `command_topic`")?;
        let read = self.point("state_topic", "value_template")?;
        let (unit, scale) = unit(self.text("unit_of_measurement").unwrap_or_default(), VENDOR);
        let name = self.name();
        let of = self.text("device_class").unwrap_or(&name);
        let mut level =
            Capability::new(&name, Class::LevelControl, &kind(Class::LevelControl, of, Some(&unit), VENDOR));
        let times = |number: Decimal| scale.map_or(Some(number), |scale| number.checked_mul(scale));
        let (low, high) = self.range("min", "max", (1, 100));
        level.range = times(low).zip(times(high));
        level.step = self.json.number("step").or(Some(Decimal::ONE)).and_then(times);
        level.unit = Some(unit);
        level.read = read.map(|read| Point { scale, ..read });
        level.write = Some(write);
        self.put(model, level);
        Ok(())
    }

    fn select(&self, model: &mut Model) -> Result<(), Refused> {
        let write = self.write("command_topic", "command_template")?.ok_or("it has no `command_topic`")?;
        let (name, options) = (self.name(), self.options("options"));
        let read = self.point("state_topic", "value_template")?;
        let mut state =
            Capability::new(&name, Class::EnumControl, &kind(Class::EnumControl, &name, None, VENDOR));
        let map = if read.is_none() { options.clone() } else { Vec::new() };
        state.read = read.map(|read| Point { map: options, ..read });
        state.write = Some(Write { map, ..write });
        self.put(model, state);
        Ok(())
    }

    fn lock(&self, model: &mut Model) -> Result<(), Refused> {
        let write = self.write("command_topic", "command_template")?.ok_or("it has no `command_topic`")?;
        let read = self.point("state_topic", "value_template")?;
        let name = self.name();
        let mut lock = Capability::new(&name, Class::BinaryControl, "Locked");
        let pairs =
            |off: String, on: String| vec![(word(&off), "false".to_owned()), (word(&on), "true".to_owned())];
        let shown = pairs(self.payload("state_unlocked", "UNLOCKED"), self.payload("state_locked", "LOCKED"));
        lock.read = read.map(|read| Point { map: shown, ..read });
        let map = pairs(self.payload("payload_unlock", "UNLOCK"), self.payload("payload_lock", "LOCK"));
        lock.write = Some(Write { map, ..write });
        self.put(model, lock);
        Ok(())
    }

    fn cover(&self, model: &mut Model) -> Result<(), Refused> {
        let name = self.name();
        if let Some(topic) = self.topic("command_topic")? {
            let payloads = [("payload_open", "OPEN"), ("payload_close", "CLOSE"), ("payload_stop", "STOP")];
            let sent = payloads.map(|(key, usual)| self.payload(key, usual)).into();
            self.command(model, &format!("{name} move"), topic, Arg::Enum(sent));
        }
        if let Some(read) = self.point("state_topic", "value_template")? {
            let mut state =
                Capability::new(&format!("{name} state"), Class::EnumSensor, &own_word(VENDOR, "CoverState"));
            let states = [
                ("state_open", "open"),
                ("state_opening", "opening"),
                ("state_closed", "closed"),
                ("state_closing", "closing"),
                ("state_stopped", "stopped"),
            ];
            let map = states.map(|(key, usual)| (word(&self.payload(key, usual)), usual.to_owned())).into();
            state.read = Some(Point { map, ..read });
            self.put(model, state);
        }
        let position = self.point("position_topic", "position_template")?;
        let to = self.write("set_position_topic", "set_position_template")?;
        if position.is_none() && to.is_none() {
            return Ok(());
        }
        let (closed, open) = self.range("position_closed", "position_open", (0, 100));
        let class = if to.is_some() { Class::LevelControl } else { Class::LevelSensor };
        let mut level = Capability::new(&format!("{name} position"), class, "Position");
        let percent = (closed, open) == (Decimal::ZERO, Decimal::ONE_HUNDRED);
        level.unit = Some(if percent { "%" } else { "-" }.to_owned());
        level.range = to.as_ref().map(|_| (closed.min(open), closed.max(open)));
        level.read = position;
        // It takes its time, and the state tells when it is there.
        level.write = to.map(|to| Write { unseen: true, ..to });
        self.put(model, level);
        Ok(())
    }

    fn button(&self, model: &mut Model) -> Result<(), Refused> {
        let topic = self.wanted("command_topic")?;
        let name = own_word(VENDOR, &capitals(&self.name()));
        let payload = self.payload("payload_press", "PRESS");
        let text = match body(self.text("command_template"))? {
            Body::Value => Body::Text(payload),
            _ => return Err("a button's template is not understood".to_owned()),
        };
        let (topic, description) = (topic.to_owned(), format!("Presses {}", self.name()));
        model.own.commands.push(Command { name, description, args: Vec::new(), topic, body: text });
        Ok(())
    }

    fn command(&self, model: &mut Model, name: &str, topic: &str, arg: Arg) {
        let name = own_word(VENDOR, &capitals(name));
        let (topic, args) = (topic.to_owned(), vec![("Value".to_owned(), arg)]);
        let body = Body::Value;
        model.own.commands.push(Command { name, description: String::new(), args, topic, body });
    }

    fn climate(&self, model: &mut Model, device: &str, notes: &mut Notes) -> Result<(), Refused> {
        let name = self.name();
        let mut found = false;
        let mut tell = |what: &str, made: Result<Option<Capability>, Refused>, model: &mut Model| match made {
            Ok(Some(capability)) => {
                found = true;
                self.put(model, capability);
            }
            Ok(None) => {}
            Err(why) => notes.add(device, &format!("climate {name}: {what}"), &why),
        };
        tell("current temperature", self.current(&name), model);
        tell("temperature", self.target(&name), model);
        tell("mode", self.mode(&name, "mode", "modes", "ThermostatMode"), model);
        tell("fan mode", self.mode(&name, "fan_mode", "fan_modes", "FanMode"), model);
        for topic in [
            "swing_mode_command_topic",
            "preset_mode_command_topic",
            "temperature_high_command_topic",
            "temperature_low_command_topic",
            "target_humidity_command_topic",
        ] {
            if self.text(topic).is_some() {
                notes.add(
                    device,
                    &format!("climate {name}: {topic}"),
                    "this part of a climate is not taken over",
                );
            }
        }
        if found { Ok(()) } else { Err("it has neither a temperature nor a mode".to_owned()) }
    }

    fn temperature_unit(&self) -> &'static str {
        if self.text("temperature_unit") == Some("F") { "degF" } else { "degC" }
    }

    fn current(&self, name: &str) -> Result<Option<Capability>, Refused> {
        let Some(read) = self.point("current_temperature_topic", "current_temperature_template")? else {
            return Ok(None);
        };
        let mut level =
            Capability::new(&format!("{name} current temperature"), Class::LevelSensor, "Temperature");
        level.unit = Some(self.temperature_unit().to_owned());
        level.read = Some(read);
        Ok(Some(level))
    }

    fn target(&self, name: &str) -> Result<Option<Capability>, Refused> {
        let Some(write) = self.write("temperature_command_topic", "temperature_command_template")? else {
            return Ok(None);
        };
        let mut level = Capability::new(&format!("{name} temperature"), Class::LevelControl, "Temperature");
        level.unit = Some(self.temperature_unit().to_owned());
        level.range = Some(self.range(
            "min_temp",
            "max_temp",
            if self.temperature_unit() == "degF" { (45, 95) } else { (7, 35) },
        ));
        level.step = self.json.number("temp_step").or(Some(Decimal::ONE));
        level.read = self.point("temperature_state_topic", "temperature_state_template")?;
        level.write = Some(write);
        Ok(Some(level))
    }

    fn mode(&self, name: &str, what: &str, options: &str, kind: &str) -> Result<Option<Capability>, Refused> {
        let key = |end: &str| format!("{what}_{end}");
        let Some(write) = self.write(&key("command_topic"), &key("command_template"))? else {
            return Ok(None);
        };
        let mut states = self.options(options);
        if states.is_empty() {
            let usual: &[&str] = if what == "mode" {
                &["auto", "off", "cool", "heat", "dry", "fan_only"]
            } else {
                &["auto", "low", "medium", "high"]
            };
            states = usual.iter().map(|state| (word(state), (*state).to_owned())).collect();
        }
        let mut mode =
            Capability::new(&format!("{name} {}", what.replace('_', " ")), Class::EnumControl, kind);
        let read = self.point(&key("state_topic"), &key("state_template"))?;
        let map = if read.is_none() { states.clone() } else { Vec::new() };
        mode.read = read.map(|read| Point { map: states, ..read });
        mode.write = Some(Write { map, ..write });
        Ok(Some(mode))
    }
}

/// With the names that the topic and the template have there.
fn said_at(said: &Json, [topic, template]: [&str; 2]) -> Result<Availability, Refused> {
    let topic = said.text(topic).filter(|topic| is_topic(topic)).ok_or("it has no topic that can be used")?;
    let json = place(said.text(template))?;
    let payload =
        |key: &str, usual: &str| said.get(key).and_then(Json::plain).unwrap_or_else(|| usual.to_owned());
    let (online, offline) =
        (payload("payload_available", "online"), payload("payload_not_available", "offline"));
    Ok(Availability { topic: topic.to_owned(), json, online, offline })
}
