//! A switch with Tasmota: power, an energy meter, telemetry, its own discovery.
//!
//! Source: tasmota.github.io, "MQTT", "Commands" and "Tasmota Discovery".

use std::time::Duration;

use serde_json::{Value, json};

use super::{Said, Thing, ThingError, plain, word};

/// `TelePeriod`.
const TELEMETRY: Duration = Duration::from_secs(10);

/// A switch with one relay.
#[derive(Clone, Debug)]
pub struct TasmotaSwitch {
    topic: String,
    mac: String,
    name: String,
    power: bool,
    watts: f64,
    total: f64,
    since: Duration,
}

impl TasmotaSwitch {
    /// With its topic and MAC address (twelve hexadecimal digits).
    pub fn new(topic: &str, mac: &str, name: &str) -> Self {
        let (topic, mac, name) = (topic.to_owned(), mac.to_ascii_uppercase(), name.to_owned());
        Self { topic, mac, name, power: false, watts: 42.0, total: 3.185, since: Duration::ZERO }
    }

    fn at(&self, prefix: &str, what: &str) -> String {
        format!("{prefix}/{}/{what}", self.topic)
    }

    fn power_text(&self) -> &'static str {
        if self.power { "ON" } else { "OFF" }
    }

    fn drawn(&self) -> f64 {
        if self.power { self.watts } else { 0.0 }
    }

    fn state(&self) -> Value {
        json!({
            "Time": "2026-11-29T12:00:00", "Uptime": "0T00:10:15", "UptimeSec": 615, "Heap": 25, "SleepMode": "Dynamic",
            "Sleep": 50, "LoadAvg": 19, "MqttCount": 1, "POWER": self.power_text(),
            "Wifi": {"AP": 1, "SSId": "home", "Channel": 6, "Mode": "11n", "RSSI": 74, "Signal": -63, "LinkCount": 1},
        })
    }

    fn sensors(&self) -> Value {
        let current = (self.drawn() / 230.0 * 1000.0).round() / 1000.0;
        json!({
            "Time": "2026-11-29T12:00:00",
            "ENERGY": {
                "TotalStartTime": "2026-01-01T00:00:00", "Total": (self.total * 1000.0).round() / 1000.0,
                "Yesterday": 0.125, "Today": 0.042, "Period": 0, "Power": self.drawn(), "ApparentPower": self.drawn(),
                "ReactivePower": 0, "Factor": 1.0, "Voltage": 230, "Current": current,
            },
            "ANALOG": {"Temperature": 31.5}, "TempUnit": "C",
        })
    }

    /// What a change of the relay says.
    fn switched(&self) -> Vec<Said> {
        let result = json!({"POWER": self.power_text()});
        vec![
            Said::json(self.at("stat", "RESULT"), &result),
            Said::new(self.at("stat", "POWER"), self.power_text()),
        ]
    }

    fn telemetry(&self) -> Vec<Said> {
        vec![
            Said::json(self.at("tele", "STATE"), &self.state()),
            Said::json(self.at("tele", "SENSOR"), &self.sensors()),
        ]
    }

    fn discovery(&self) -> Vec<Said> {
        let mut relays = vec![0; 8];
        relays[0] = 1;
        let config = json!({
            "ip": "192.0.2.17", "dn": self.name, "fn": [self.name, null, null, null, null, null, null, null],
            "hn": format!("{}-1234", self.topic), "mac": self.mac, "md": "Sonoff POW", "ty": 0, "if": 0,
            "ofln": "Offline", "onln": "Online", "state": ["OFF", "ON", "TOGGLE", "HOLD"], "sw": "14.2.0",
            "t": self.topic, "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": relays,
            "swc": [-1, -1, -1, -1], "swn": [null, null, null, null], "btn": [0, 0, 0, 0],
            "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0},
            "lk": 0, "lt_st": 0, "sho": [0, 0, 0, 0], "ver": 1,
        });
        let at = |what: &str| format!("tasmota/discovery/{}/{what}", self.mac);
        vec![
            Said::json(at("config"), &config).kept(),
            Said::json(at("sensors"), &json!({"sn": self.sensors(), "ver": 1})).kept(),
        ]
    }
}

impl Thing for TasmotaSwitch {
    fn client_id(&self) -> String {
        format!("DVES_{}", self.mac.get(6..).unwrap_or_default())
    }

    fn will(&self) -> Option<Said> {
        Some(Said::new(self.at("tele", "LWT"), "Offline").kept())
    }

    fn filters(&self) -> Vec<String> {
        vec![self.at("cmnd", "#")]
    }

    fn greet(&mut self) -> Vec<Said> {
        let mut all = vec![Said::new(self.at("tele", "LWT"), "Online").kept()];
        all.extend(self.discovery());
        all.extend(self.switched());
        all.extend(self.telemetry());
        all
    }

    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let command = topic.rsplit('/').next().unwrap_or_default().to_ascii_uppercase();
        let text = String::from_utf8_lossy(body).trim().to_ascii_uppercase();
        match command.as_str() {
            "POWER" | "POWER1" => {
                let wanted = match text.as_str() {
                    "ON" | "1" | "TRUE" => Some(true),
                    "OFF" | "0" | "FALSE" => Some(false),
                    "TOGGLE" | "2" => Some(!self.power),
                    _ => None,
                };
                if !obeys {
                    return Vec::new();
                }
                self.power = wanted.unwrap_or(self.power);
                self.switched()
            }
            "STATE" => vec![Said::json(self.at("stat", "RESULT"), &self.state())],
            "STATUS" if matches!(text.as_str(), "10" | "8") => {
                vec![Said::json(
                    self.at("stat", &format!("STATUS{text}")),
                    &json!({"StatusSNS": self.sensors()}),
                )]
            }
            _ => vec![Said::json(self.at("stat", "RESULT"), &json!({"Command": "Unknown"}))],
        }
    }

    fn step(&mut self, time: Duration) -> Vec<Said> {
        self.total += self.drawn() * time.as_secs_f64() / 3_600_000.0;
        self.since += time;
        if self.since < TELEMETRY {
            return Vec::new();
        }
        self.since = Duration::ZERO;
        self.telemetry()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError> {
        let bad = || ThingError::BadValue(value.to_owned(), name.to_owned());
        match name {
            "power" => {
                self.power = match word(value) {
                    Value::Bool(is) => is,
                    Value::String(text) if text == "ON" || text == "OFF" => text == "ON",
                    _ => return Err(bad()),
                };
                Ok(self.switched())
            }
            "watts" => {
                self.watts = value.parse().ok().filter(|watts: &f64| watts.is_finite()).ok_or_else(bad)?;
                Ok(self.telemetry())
            }
            _ => Err(ThingError::Unknown(name.to_owned(), "power, watts".to_owned())),
        }
    }

    fn show(&self) -> Vec<(String, String)> {
        vec![
            ("power".to_owned(), self.power_text().to_owned()),
            ("watts".to_owned(), plain(&json!(self.watts))),
        ]
    }

    fn reset(&mut self) {
        self.power = false;
    }

    fn state_topics(&self) -> Vec<String> {
        vec![self.at("stat", "RESULT"), self.at("tele", "STATE"), self.at("tele", "SENSOR")]
    }
}
