//! A device with the discovery messages of Home Assistant: a switch, a number, a select and two sensors.
//!
//! Source: home-assistant.io, "MQTT discovery", "MQTT Switch", "MQTT Number", "MQTT Select", "MQTT Sensor".

use std::time::Duration;

use serde_json::{Value, json};

use super::{Said, Thing, ThingError, plain};

/// From one reading to the next.
const REPORT: Duration = Duration::from_secs(5);

/// A fan with a thermometer.
#[derive(Clone, Debug)]
pub struct HomeAssistantDevice {
    id: String,
    name: String,
    on: bool,
    speed: i64,
    mode: String,
    temperature: f64,
    since: Duration,
}

impl HomeAssistantDevice {
    /// With its identifier, which is its topic too.
    pub fn new(id: &str, name: &str) -> Self {
        let (id, name, mode) = (id.to_owned(), name.to_owned(), "auto".to_owned());
        Self { id, name, on: false, speed: 30, mode, temperature: 21.5, since: Duration::ZERO }
    }

    fn at(&self, what: &str) -> String {
        format!("{}/{what}", self.id)
    }

    /// In short words for some and long ones for others, as real devices do.
    fn discovery(&self) -> Vec<Said> {
        let device =
            json!({"ids": [self.id], "name": self.name, "mf": "ACME", "mdl": "Breeze 2", "sw": "1.0.3"});
        let base = |mut entity: Value, kind: &str, object: &str| {
            entity["uniq_id"] = json!(format!("{}_{object}", self.id));
            entity["dev"] = device.clone();
            entity["avty_t"] = json!("~/status");
            entity["~"] = json!(self.id);
            Said::json(format!("homeassistant/{kind}/{}/{object}/config", self.id), &entity).kept()
        };
        vec![
            base(json!({"name": "Fan", "stat_t": "~/fan", "cmd_t": "~/fan/set"}), "switch", "fan"),
            base(
                json!({"name": "Speed", "stat_t": "~/speed", "cmd_t": "~/speed/set", "min": 0, "max": 100, "step": 5, "unit_of_meas": "%"}),
                "number",
                "speed",
            ),
            base(
                json!({"name": "Mode", "state_topic": "~/mode", "command_topic": "~/mode/set", "options": ["auto", "night", "boost"]}),
                "select",
                "mode",
            ),
            base(
                json!({"name": "Temperature", "stat_t": "~/climate", "dev_cla": "temperature", "unit_of_meas": "°C",
                       "stat_cla": "measurement", "val_tpl": "{{ value_json.temperature }}"}),
                "sensor",
                "temperature",
            ),
            base(
                json!({"name": "Dew point", "stat_t": "~/climate", "unit_of_meas": "°C",
                       "val_tpl": "{{ (value_json.temperature - 4) | round(1) }}"}),
                "sensor",
                "dew_point",
            ),
        ]
    }

    fn state(&self) -> Vec<Said> {
        vec![
            Said::new(self.at("fan"), if self.on { "ON" } else { "OFF" }).kept(),
            Said::new(self.at("speed"), self.speed.to_string()).kept(),
            Said::new(self.at("mode"), self.mode.clone()).kept(),
            Said::json(self.at("climate"), &json!({"temperature": self.temperature})),
        ]
    }

    fn told(&mut self, what: &str, text: &str) -> Option<Said> {
        match what {
            "fan" if matches!(text, "ON" | "OFF") => self.on = text == "ON",
            "speed" => self.speed = text.parse().ok().filter(|speed| (0..=100).contains(speed))?,
            "mode" if matches!(text, "auto" | "night" | "boost") => text.clone_into(&mut self.mode),
            "temperature" => {
                self.temperature = text.parse().ok().filter(|number: &f64| number.is_finite())?
            }
            _ => return None,
        }
        let topic = self.at(if what == "temperature" { "climate" } else { what });
        self.state().into_iter().find(|said| said.topic == topic)
    }
}

impl Thing for HomeAssistantDevice {
    fn client_id(&self) -> String {
        self.id.clone()
    }

    fn will(&self) -> Option<Said> {
        Some(Said::new(self.at("status"), "offline").kept())
    }

    fn filters(&self) -> Vec<String> {
        vec![self.at("+/set")]
    }

    fn greet(&mut self) -> Vec<Said> {
        let mut all = self.discovery();
        all.push(Said::new(self.at("status"), "online").kept());
        all.extend(self.state());
        all
    }

    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let what = topic.strip_suffix("/set").and_then(|topic| topic.rsplit('/').next()).map(str::to_owned);
        let text = String::from_utf8_lossy(body).into_owned();
        what.filter(|what| obeys && what != "temperature")
            .and_then(|what| self.told(&what, &text))
            .into_iter()
            .collect()
    }

    fn step(&mut self, time: Duration) -> Vec<Said> {
        self.since += time;
        if self.since < REPORT {
            return Vec::new();
        }
        self.since = Duration::ZERO;
        self.state()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError> {
        if !matches!(name, "fan" | "speed" | "mode" | "temperature") {
            return Err(ThingError::Unknown(name.to_owned(), "fan, speed, mode, temperature".to_owned()));
        }
        let said = self.told(name, value);
        said.map(|said| vec![said]).ok_or_else(|| ThingError::BadValue(value.to_owned(), name.to_owned()))
    }

    fn show(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: Value| (name.to_owned(), plain(&value));
        vec![
            pair("fan", json!(if self.on { "ON" } else { "OFF" })),
            pair("speed", json!(self.speed)),
            pair("mode", json!(self.mode)),
            pair("temperature", json!(self.temperature)),
        ]
    }

    fn reset(&mut self) {
        self.on = false;
    }

    fn state_topics(&self) -> Vec<String> {
        ["fan", "speed", "mode", "climate"].map(|what| self.at(what)).into()
    }
}
