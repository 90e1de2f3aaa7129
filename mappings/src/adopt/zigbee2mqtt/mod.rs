//! Zigbee2MQTT: `bridge/devices` lists what there is and what each device exposes, `bridge/info` how the bridge is set up.
//!
//! Source: zigbee2mqtt.io, "MQTT topics and messages" and "Exposes".

mod exposes;

use super::identity;
use super::json::Json;
use super::meaning::own_word;
use super::model::{Arg, Availability, Body, Capability, Command, Model, Point, Write, tree, word};
use super::{Device, Notes, Source};
use crate::mapping::Class;

/// Whose words those are that TR-181 does not have.
const VENDOR: &str = "ZIGBEE2MQTT";

/// Longest time that joining may be permitted for, in seconds.
const LONGEST_JOIN: i64 = 254;

/// What a bridge has said.
#[derive(Debug)]
pub(super) struct Zigbee2Mqtt {
    base: String,
    devices: Option<Json>,
    setup: Setup,
}

/// What `bridge/info` tells of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setup {
    /// Whether each device has a topic that says whether it is there; by its address, where it is not as with all.
    availability: bool,
    differing: Vec<(String, bool)>,
    /// Plain `online` instead of JSON.
    legacy: bool,
    /// States are JSON documents.
    json: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { availability: false, differing: Vec::new(), legacy: false, json: true }
    }
}

impl Zigbee2Mqtt {
    pub(super) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), devices: None, setup: Setup::default() }
    }

    fn mapped(&self, device: &Json, notes: &mut Notes) -> Option<Device> {
        let address = device.text("ieee_address")?;
        let name = device.text("friendly_name").unwrap_or(address);
        if device.text("type") == Some("Coordinator") {
            return Some(self.bridge(device, address));
        }
        if let Some(why) = unusable(device, &self.setup) {
            notes.add(name, "the device", why);
            return None;
        }
        let definition = device.get("definition")?;
        let mut model = Model {
            vendor: VENDOR,
            model: format!(
                "{} {}",
                definition.text("vendor").unwrap_or_default(),
                definition.text("model").unwrap_or("device")
            ),
            description: definition.text("description").unwrap_or_default().to_owned(),
            availability: self.availability(address),
            ..Model::default()
        };
        exposes::add(&mut model, definition.items("exposes"), name, notes);
        model.kind = exposes::device_kind(&model);
        Some(Device {
            id: address.to_owned(),
            name: name.to_owned(),
            topic: format!("{}/{name}", self.base),
            addresses: identity::address(address).into_iter().collect(),
            model,
        })
    }

    fn availability(&self, address: &str) -> Vec<Availability> {
        let own = self.setup.differing.iter().find(|(other, _)| other == address).map(|(_, is)| *is);
        let mut all = Vec::new();
        if own.unwrap_or(self.setup.availability) {
            all.push(self.said_at("~/availability"));
        }
        all.push(self.said_at(&format!("{}/bridge/state", self.base)));
        all
    }

    fn said_at(&self, topic: &str) -> Availability {
        Availability {
            topic: topic.to_owned(),
            json: (!self.setup.legacy).then(|| "/state".to_owned()),
            online: "online".to_owned(),
            offline: "offline".to_owned(),
        }
    }

    /// The bridge itself: who may join.
    fn bridge(&self, coordinator: &Json, address: &str) -> Device {
        let mut model = Model {
            vendor: VENDOR,
            model: "bridge".to_owned(),
            kind: "X_ZIGBEE2MQTT_Bridge",
            description: "Zigbee2MQTT".to_owned(),
            availability: vec![self.said_at("~/state")],
            ..Model::default()
        };
        let on = || Json::Number(LONGEST_JOIN.to_string());
        let off = || Json::Number("0".to_owned());
        let mut join = Capability::new("permit_join", Class::BinaryControl, "Switch");
        join.description = "New devices may join".to_owned();
        join.read = Some(Point::json("~/info", "/permit_join"));
        let body = Body::Tree(tree([("time", word("$value"))]));
        let mut write = Write::new("~/request/permit_join", body);
        write.map = vec![(off(), "false".to_owned()), (on(), "true".to_owned())];
        join.write = Some(write);
        let mut version = Capability::new("version", Class::BlobSensor, "utf-8");
        version.description = "Version of Zigbee2MQTT".to_owned();
        version.read = Some(Point::json("~/info", "/version"));
        model.own.capabilities = vec![join, version];
        model.own.commands = vec![
            Command {
                name: own_word(VENDOR, "PermitJoin"),
                description: "Lets new devices join for so many seconds; 0 ends it".to_owned(),
                args: vec![("Time".to_owned(), Arg::Int(0.into(), LONGEST_JOIN.into()))],
                topic: "~/request/permit_join".to_owned(),
                body: Body::Tree(tree([("time", word("$value"))])),
            },
            Command {
                name: own_word(VENDOR, "RemoveDevice"),
                description: "Takes a device, by its name or address, out of the network".to_owned(),
                args: vec![("Device".to_owned(), Arg::Text)],
                topic: "~/request/device/remove".to_owned(),
                body: Body::Tree(tree([("id", word("$value"))])),
            },
        ];
        let name = coordinator.text("friendly_name").unwrap_or("Coordinator");
        Device {
            id: address.to_owned(),
            name: format!("Zigbee2MQTT {name}"),
            topic: format!("{}/bridge", self.base),
            addresses: identity::address(address).into_iter().collect(),
            model,
        }
    }
}

/// Why a device cannot be used.
fn unusable(device: &Json, setup: &Setup) -> Option<&'static str> {
    if device.flag("disabled") == Some(true) {
        Some("it is disabled in Zigbee2MQTT")
    } else if !setup.json {
        Some("Zigbee2MQTT publishes no JSON: set `advanced.output` to `json` or `attribute_and_json`")
    } else if device.text("ieee_address").is_none_or(|text| !plain(text)) {
        Some("its address is none")
    } else if !device.text("friendly_name").is_none_or(plain) {
        Some("its name has characters that no topic of MQTT may have")
    } else if !matches!(device.get("definition"), Some(Json::Map(_))) {
        Some("Zigbee2MQTT does not know what it can do: it is not supported, or its interview is not over")
    } else {
        None
    }
}

/// Whether it can stand in a topic name.
fn plain(text: &str) -> bool {
    super::is_topic(text)
}

impl Source for Zigbee2Mqtt {
    fn filters(&self) -> Vec<String> {
        ["devices", "info", "groups"].map(|topic| format!("{}/bridge/{topic}", self.base)).into()
    }

    fn hear(&mut self, topic: &str, body: &[u8]) -> bool {
        let rest = topic.strip_prefix(self.base.as_str()).and_then(|rest| rest.strip_prefix("/bridge/"));
        let Some(json) = rest.and_then(|_| Json::parse(body)) else { return false };
        match rest {
            Some("devices") if matches!(json, Json::List(_)) => {
                let is_new = self.devices.as_ref() != Some(&json);
                self.devices = Some(json);
                is_new
            }
            Some("info") => {
                let setup = Setup::of(json.get("config").unwrap_or(&Json::Null));
                let is_new = self.setup != setup;
                self.setup = setup;
                is_new
            }
            _ => false,
        }
    }

    fn devices(&self, notes: &mut Notes) -> Vec<Device> {
        let all = self.devices.as_ref().map_or(&[][..], Json::as_items);
        all.iter().filter_map(|device| self.mapped(device, notes)).collect()
    }
}

impl Setup {
    fn of(config: &Json) -> Self {
        let advanced = config.get("advanced").unwrap_or(&Json::Null);
        let is_on = |value: Option<&Json>| match value {
            Some(Json::Bool(is)) => Some(*is),
            // Version 2 says `enabled`; before, the section alone turned it on.
            Some(section @ Json::Map(_)) => Some(section.flag("enabled").unwrap_or(true)),
            _ => None,
        };
        let legacy_timeout = advanced.number("availability_timeout").is_some_and(|time| !time.is_zero());
        let devices = config.get("devices").map_or(&[][..], Json::as_members);
        Self {
            availability: is_on(config.get("availability")).unwrap_or(legacy_timeout),
            differing: devices
                .iter()
                .filter_map(|(address, device)| Some((address.clone(), is_on(device.get("availability"))?)))
                .collect(),
            legacy: advanced.flag("legacy_availability_payload").unwrap_or(false),
            json: advanced.text("output").is_none_or(|output| output != "attribute"),
        }
    }
}
