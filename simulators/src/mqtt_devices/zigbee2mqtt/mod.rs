//! A Zigbee2MQTT: the bridge's own topics, devices with what they expose, joining and leaving.
//!
//! Source: zigbee2mqtt.io, "MQTT topics and messages", "Exposes" and "Device availability".

mod device;

use std::time::Duration;

use serde_json::{Map, Value, json};

pub use device::{ZigbeeDevice, ZigbeeModel};

use super::{Said, Thing, ThingError};

/// Version that it says it is.
const VERSION: &str = "2.1.3";

/// A bridge with its devices.
#[derive(Clone, Debug)]
pub struct Zigbee2Mqtt {
    base: String,
    devices: Vec<ZigbeeDevice>,
    /// Those that join once somebody lets them.
    waiting: Vec<ZigbeeDevice>,
    /// For how long devices may still join.
    permit: Duration,
    /// Devices that cannot be reached, by address.
    unreachable: Vec<String>,
}

impl Zigbee2Mqtt {
    /// With its base topic, usually `zigbee2mqtt`.
    pub fn new(base: &str, devices: Vec<ZigbeeDevice>) -> Self {
        let base = base.to_owned();
        Self { base, devices, waiting: Vec::new(), permit: Duration::ZERO, unreachable: Vec::new() }
    }

    /// With a device that joins once somebody lets it.
    #[must_use]
    pub fn with_waiting(mut self, device: ZigbeeDevice) -> Self {
        self.waiting.push(device);
        self
    }

    fn at(&self, what: &str) -> String {
        format!("{}/{what}", self.base)
    }

    fn info(&self) -> Said {
        let permit = !self.permit.is_zero();
        let info = json!({
            "version": VERSION, "commit": "0", "network": {"channel": 11, "pan_id": 6754, "extended_pan_id": "0xdddddddddddddddd"},
            "coordinator": {"ieee_address": COORDINATOR, "type": "zStack3x0", "meta": {"revision": 20_230_507}}, "log_level": "info",
            "permit_join": permit, "permit_join_end": null, "restart_required": false, "config_schema": {},
            "config": {"availability": {"enabled": true, "active": {"timeout": 10}, "passive": {"timeout": 1500}},
                       "advanced": {"output": "json", "cache_state": true}, "mqtt": {"base_topic": self.base},
                       "devices": {}},
        });
        Said::json(self.at("bridge/info"), &info).kept()
    }

    fn list(&self) -> Said {
        let coordinator = json!({
            "ieee_address": COORDINATOR, "type": "Coordinator", "network_address": 0, "supported": true, "disabled": false,
            "friendly_name": "Coordinator", "description": null, "definition": null, "endpoints": {}, "interviewing": false,
            "interview_completed": true, "interview_state": "SUCCESSFUL",
        });
        let mut all = vec![coordinator];
        all.extend(self.devices.iter().map(ZigbeeDevice::entry));
        Said::json(self.at("bridge/devices"), &Value::Array(all)).kept()
    }

    fn availability(&self, device: &ZigbeeDevice) -> Said {
        let there = !self.unreachable.contains(&device.address);
        let state = if there { "online" } else { "offline" };
        Said::json(self.at(&format!("{}/availability", device.name)), &json!({"state": state})).kept()
    }

    fn state(&self, device: &ZigbeeDevice) -> Said {
        Said::json(self.at(&device.name), &device.state())
    }

    fn event(&self, kind: &str, data: &Value) -> Said {
        Said::json(self.at("bridge/event"), &json!({"type": kind, "data": data}))
    }

    /// `bridge/request/…`, which is answered at `bridge/response/…`.
    fn request(&mut self, what: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let request: Value =
            serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
        if !obeys {
            return Vec::new();
        }
        let (outcome, mut said) = match what {
            "permit_join" => self.permit_join(&request),
            "device/rename" => self.rename(&request),
            "device/remove" => self.remove(&request),
            _ => (Err(format!("unknown request {what}")), Vec::new()),
        };
        let mut answer = match outcome {
            Ok(data) => json!({"data": data, "status": "ok"}),
            Err(error) => json!({"data": {}, "status": "error", "error": error}),
        };
        if let Some(transaction) = request.get("transaction") {
            answer["transaction"] = transaction.clone();
        }
        said.insert(0, Said::json(self.at(&format!("bridge/response/{what}")), &answer));
        said
    }

    fn permit_join(&mut self, request: &Value) -> (Result<Value, String>, Vec<Said>) {
        let time = request.get("time").unwrap_or(request);
        let Some(seconds) = time.as_u64().filter(|seconds| *seconds <= 254) else {
            return (Err("Invalid payload".to_owned()), Vec::new());
        };
        self.permit = Duration::from_secs(seconds);
        let mut said = vec![self.info()];
        if seconds > 0 {
            for device in std::mem::take(&mut self.waiting) {
                said.extend(self.join(device));
            }
        }
        (Ok(json!({"time": seconds})), said)
    }

    /// A device joins.
    fn join(&mut self, device: ZigbeeDevice) -> Vec<Said> {
        let who = json!({"friendly_name": device.name, "ieee_address": device.address});
        let mut interview = who.clone();
        interview["status"] = json!("successful");
        interview["supported"] = json!(true);
        let first = [self.event("device_joined", &who), self.event("device_interview", &interview)];
        let (availability, state) = (self.availability(&device), self.state(&device));
        self.devices.push(device);
        first.into_iter().chain([self.list(), availability, state]).collect()
    }

    fn rename(&mut self, request: &Value) -> (Result<Value, String>, Vec<Said>) {
        let (from, to) =
            (request["from"].as_str().unwrap_or_default(), request["to"].as_str().unwrap_or_default());
        if to.is_empty() || self.find(to).is_some() {
            return (Err(format!("friendly_name '{to}' is already in use")), Vec::new());
        }
        let Some(place) = self.find(from) else {
            return (Err(format!("Device '{from}' does not exist")), Vec::new());
        };
        let Some(device) = self.devices.get_mut(place) else { return (Err(String::new()), Vec::new()) };
        let old = format!("{}/{}", self.base, std::mem::replace(&mut device.name, to.to_owned()));
        let device = device.clone();
        let gone = [Said::new(format!("{old}/availability"), "").kept(), Said::new(old, "").kept()];
        let renamed = [self.list(), self.availability(&device), self.state(&device)];
        (
            Ok(json!({"from": from, "to": to, "homeassistant_rename": false})),
            gone.into_iter().chain(renamed).collect(),
        )
    }

    fn remove(&mut self, request: &Value) -> (Result<Value, String>, Vec<Said>) {
        let id = request.get("id").and_then(Value::as_str).or_else(|| request.as_str()).unwrap_or_default();
        match self.find(id) {
            Some(place) => (Ok(json!({"id": id, "block": false, "force": false})), self.leave(place)),
            None => (Err(format!("Device '{id}' does not exist")), Vec::new()),
        }
    }

    fn leave(&mut self, place: usize) -> Vec<Said> {
        let device = self.devices.remove(place);
        let who = json!({"ieee_address": device.address, "friendly_name": device.name});
        vec![
            self.event("device_leave", &who),
            Said::new(self.at(&format!("{}/availability", device.name)), "").kept(),
            self.list(),
        ]
    }

    /// By name or address.
    fn find(&self, id: &str) -> Option<usize> {
        self.devices.iter().position(|device| device.name == id || device.address == id)
    }

    fn told(&mut self, name: &str, verb: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let Some(place) = self.find(name) else { return Vec::new() };
        let base = self.base.clone();
        let Some(device) = self.devices.get_mut(place) else { return Vec::new() };
        // A plain `ON` is the state, as the documents have it.
        let wanted: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(Value::Object(wanted)) => wanted,
            _ => Map::from_iter([("state".to_owned(), json!(String::from_utf8_lossy(body)))]),
        };
        if self.unreachable.contains(&device.address) {
            return Vec::new();
        }
        let says = match verb {
            "set" if obeys => device.obey(&wanted),
            "get" => device.can_tell(&wanted),
            _ => false,
        };
        if says { vec![Said::json(format!("{base}/{}", device.name), &device.state())] } else { Vec::new() }
    }
}

/// IEEE address of the coordinator.
const COORDINATOR: &str = "0x00124b00deadbeef";

impl Thing for Zigbee2Mqtt {
    fn client_id(&self) -> String {
        format!("simulated_{}", self.base)
    }

    fn will(&self) -> Option<Said> {
        Some(Said::json(self.at("bridge/state"), &json!({"state": "offline"})).kept())
    }

    fn filters(&self) -> Vec<String> {
        vec![self.at("#")]
    }

    fn greet(&mut self) -> Vec<Said> {
        let state = Said::json(self.at("bridge/state"), &json!({"state": "online"})).kept();
        let mut all = vec![state, self.info(), self.list(), Said::new(self.at("bridge/groups"), "[]").kept()];
        all.extend(self.devices.iter().flat_map(|device| [self.availability(device), self.state(device)]));
        all
    }

    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        let Some(rest) =
            topic.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned)
        else {
            return Vec::new();
        };
        if let Some(what) = rest.strip_prefix("bridge/request/") {
            return self.request(what, body, obeys);
        }
        match rest.rsplit_once('/') {
            Some((name, verb @ ("set" | "get"))) => self.told(name, verb, body, obeys),
            _ => Vec::new(),
        }
    }

    fn step(&mut self, time: Duration) -> Vec<Said> {
        let open = !self.permit.is_zero();
        self.permit = self.permit.saturating_sub(time);
        let mut said: Vec<Said> = Vec::new();
        if open && self.permit.is_zero() {
            said.push(self.info());
        }
        for place in 0..self.devices.len() {
            let says = self.devices.get_mut(place).is_some_and(|device| device.step(time));
            if let Some(device) =
                self.devices.get(place).filter(|device| says && !self.unreachable.contains(&device.address))
            {
                said.push(self.state(device));
            }
        }
        said
    }

    /// `NAME.PROPERTY VALUE`; `NAME.availability offline`; `NAME.leaves now`; `join now`.
    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError> {
        if name == "join" {
            let waiting = std::mem::take(&mut self.waiting);
            return Ok(waiting.into_iter().flat_map(|device| self.join(device)).collect());
        }
        let unknown = || {
            let all: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
            ThingError::Unknown(name.to_owned(), format!("join, and PROPERTY of {}", all.join(", ")))
        };
        let (device, property) = name.rsplit_once('.').ok_or_else(unknown)?;
        let place = self.find(device).ok_or_else(unknown)?;
        match property {
            "leaves" => return Ok(self.leave(place)),
            "availability" => {
                let address =
                    self.devices.get(place).map(|device| device.address.clone()).unwrap_or_default();
                self.unreachable.retain(|other| *other != address);
                if value == "offline" {
                    self.unreachable.push(address);
                }
                return Ok(self
                    .devices
                    .get(place)
                    .map(|device| self.availability(device))
                    .into_iter()
                    .collect());
            }
            _ => {}
        }
        if let Some(device) = self.devices.get_mut(place) {
            device.set(property, value)?;
        }
        Ok(self.devices.get(place).map(|device| self.state(device)).into_iter().collect())
    }

    fn show(&self) -> Vec<(String, String)> {
        self.devices.iter().flat_map(ZigbeeDevice::show).collect()
    }

    fn reset(&mut self) {
        self.devices.iter_mut().for_each(ZigbeeDevice::reset);
        self.permit = Duration::ZERO;
    }

    fn state_topics(&self) -> Vec<String> {
        self.devices.iter().map(|device| self.at(&device.name)).collect()
    }
}
