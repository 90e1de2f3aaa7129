//! A plug of Shelly's second generation: RPC over MQTT, notifications, commands, a switch with a meter.
//!
//! Source: shelly-api-docs.shelly.cloud, "RPC Protocol", "Notifications", "Mqtt", "Switch" and "Shelly".

use std::time::Duration;

use serde_json::{Value, json};

use super::{Said, Thing, ThingError, plain, word};

/// From one notification of power to the next.
const REPORT: Duration = Duration::from_secs(5);

/// A plug with `switch:0`.
#[derive(Clone, Debug)]
pub struct ShellyPlug {
    id: String,
    name: String,
    output: bool,
    watts: f64,
    energy: f64,
    since: Duration,
}

impl ShellyPlug {
    /// With its id, such as `shellyplusplugs-d4d4da123456`, which is its topic too.
    pub fn new(id: &str, name: &str) -> Self {
        let (id, name) = (id.to_owned(), name.to_owned());
        Self { id, name, output: false, watts: 60.5, energy: 1532.41, since: Duration::ZERO }
    }

    fn mac(&self) -> String {
        self.id.rsplit('-').next().unwrap_or_default().to_ascii_uppercase()
    }

    fn drawn(&self) -> f64 {
        if self.output { self.watts } else { 0.0 }
    }

    fn switch(&self) -> Value {
        json!({
            "id": 0, "source": "MQTT", "output": self.output, "apower": self.drawn(), "voltage": 229.8,
            "current": (self.drawn() / 229.8 * 1000.0).round() / 1000.0,
            "aenergy": {"total": (self.energy * 1000.0).round() / 1000.0, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1_700_000_000},
            "temperature": {"tC": 43.3, "tF": 109.9},
        })
    }

    fn answer(&self, request: &Value, result: Result<Value, (i64, &str)>) -> Vec<Said> {
        let Some(source) = request["src"].as_str() else { return Vec::new() };
        let mut answer = json!({"id": request["id"], "src": self.id, "dst": source});
        match result {
            Ok(result) => answer["result"] = result,
            Err((code, message)) => answer["error"] = json!({"code": code, "message": message}),
        }
        vec![Said::json(format!("{source}/rpc"), &answer)]
    }

    /// What has changed of the switch.
    fn notify(&self, changed: &Value) -> Vec<Said> {
        let mut component = json!({"id": 0});
        if let (Some(component), Some(changed)) = (component.as_object_mut(), changed.as_object()) {
            component.extend(changed.clone());
        }
        let params = json!({"ts": 1_700_000_000.25, "switch:0": component});
        let told = json!({"src": self.id, "dst": format!("{}/events", self.id), "method": "NotifyStatus", "params": params});
        let status = Said::json(format!("{}/status/switch:0", self.id), &self.switch());
        vec![Said::json(format!("{}/events/rpc", self.id), &told), status]
    }

    fn switched(&self) -> Vec<Said> {
        self.notify(&json!({"output": self.output, "source": "MQTT", "apower": self.drawn()}))
    }

    fn call(&mut self, request: &Value, obeys: bool) -> Vec<Said> {
        let params = &request["params"];
        let Some(method) = request["method"].as_str() else { return Vec::new() };
        let result = match method.to_ascii_lowercase().as_str() {
            "shelly.getdeviceinfo" => Ok(json!({
                "name": self.name, "id": self.id, "mac": self.mac(), "slot": 1, "model": "SNPL-00112EU", "gen": 2,
                "fw_id": "20241011-114455/1.4.4-g6d2a586", "ver": "1.4.4", "app": "PlusPlugS", "auth_en": false, "auth_domain": null,
            })),
            "shelly.getstatus" => Ok(json!({
                "ble": {}, "cloud": {"connected": false}, "mqtt": {"connected": true}, "switch:0": self.switch(),
                "sys": {"mac": self.mac(), "restart_required": false, "uptime": 11_081}, "wifi": {"sta_ip": "192.0.2.18", "status": "got ip", "rssi": -54},
            })),
            "shelly.getconfig" => Ok(json!({
                "mqtt": {"enable": true, "topic_prefix": self.id, "rpc_ntf": true, "status_ntf": true, "enable_rpc": true, "enable_control": true},
                "switch:0": {"id": 0, "name": null, "initial_state": "off", "auto_on": false},
            })),
            "switch.getstatus" if params["id"] == 0 => Ok(self.switch()),
            "switch.set" | "switch.toggle" if params["id"] == 0 => {
                let was = self.output;
                let wanted = params["on"].as_bool().unwrap_or(!was);
                if !obeys {
                    return self.answer(request, Ok(json!({"was_on": was})));
                }
                self.output = wanted;
                let mut said = self.answer(request, Ok(json!({"was_on": was})));
                if was != wanted {
                    said.extend(self.switched());
                }
                return said;
            }
            "switch.set" | "switch.toggle" | "switch.getstatus" => {
                Err((-105, "Argument 'id', value 1 not found!"))
            }
            _ => Err((404, "No handler for it")),
        };
        self.answer(request, result)
    }
}

impl Thing for ShellyPlug {
    fn client_id(&self) -> String {
        self.id.clone()
    }

    fn will(&self) -> Option<Said> {
        Some(Said::new(format!("{}/online", self.id), "false").kept())
    }

    fn filters(&self) -> Vec<String> {
        vec![format!("{}/rpc", self.id), format!("{}/command/#", self.id), format!("{}/command", self.id)]
    }

    fn greet(&mut self) -> Vec<Said> {
        let full = json!({
            "src": self.id, "dst": format!("{}/events", self.id), "method": "NotifyFullStatus",
            "params": {"ts": 1_700_000_000.0, "switch:0": self.switch(), "sys": {"mac": self.mac()}},
        });
        vec![
            Said::new(format!("{}/online", self.id), "true").kept(),
            Said::json(format!("{}/events/rpc", self.id), &full),
        ]
    }

    fn hear(&mut self, topic: &str, body: &[u8], obeys: bool) -> Vec<Said> {
        if topic.ends_with("/rpc") {
            return serde_json::from_slice(body)
                .map(|request| self.call(&request, obeys))
                .unwrap_or_default();
        }
        let status = Said::json(format!("{}/status/switch:0", self.id), &self.switch());
        match (topic.ends_with("/command/switch:0"), body) {
            (true, b"on" | b"off" | b"toggle") if obeys => {
                self.output = if body == b"toggle" { !self.output } else { body == b"on" };
                self.switched()
            }
            (true, b"status_update") => vec![status],
            (false, b"status_update") if topic.ends_with("/command") => vec![status],
            _ => Vec::new(),
        }
    }

    fn step(&mut self, time: Duration) -> Vec<Said> {
        self.energy += self.drawn() * time.as_secs_f64() / 3600.0;
        self.since += time;
        if self.since < REPORT {
            return Vec::new();
        }
        self.since = Duration::ZERO;
        self.notify(&json!({"aenergy": self.switch()["aenergy"], "apower": self.drawn()}))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<Vec<Said>, ThingError> {
        let bad = || ThingError::BadValue(value.to_owned(), name.to_owned());
        match name {
            "output" => {
                self.output = word(value).as_bool().ok_or_else(bad)?;
                Ok(self.switched())
            }
            "watts" => {
                self.watts = value.parse().ok().filter(|watts: &f64| watts.is_finite()).ok_or_else(bad)?;
                Ok(self.notify(&json!({"apower": self.drawn()})))
            }
            _ => Err(ThingError::Unknown(name.to_owned(), "output, watts".to_owned())),
        }
    }

    fn show(&self) -> Vec<(String, String)> {
        vec![("output".to_owned(), self.output.to_string()), ("watts".to_owned(), plain(&json!(self.watts)))]
    }

    fn reset(&mut self) {
        self.output = false;
    }

    fn state_topics(&self) -> Vec<String> {
        vec![format!("{}/events/rpc", self.id)]
    }
}
