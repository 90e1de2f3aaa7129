//! What the Parameters of devices read: what their mapping says, what was read, or why nothing can be shown.

use std::time::Duration;

use rust_decimal::Decimal;
use usp_mapping::mapping::{self, Command, Event, Mapping, NodeId, Poll, Window};
use usp_mapping::port::CommandId;
use usp_mapping::value::decimal_text;
use usp_proto::tr106;

use super::figures::STATS;
use super::objects::{Part, Place};
use super::sensor::Windows;
use super::{Capability, Device, Quality, millis};
use crate::dm::Model;
use crate::dm::compute::{Have, Unread, datetime, stored_default};
use crate::dm::rows::ObjRef;
use crate::dm::schema::Object;

impl Model {
    /// A Parameter of a device, of a node or of a capability that is not stored.
    pub(crate) fn look_proxied(&self, at: &ObjRef, object: &Object, name: &str) -> Have {
        if let Some(count) = self.count(at, object, name) {
            return Have::Value(count);
        }
        if &*object.path == STATS {
            let zero = || object.params.get(name).map(stored_default);
            return self.figure(at, STATS, name).or_else(zero).map_or(Have::Absent, Have::Value);
        }
        let Some(device) = self.devices.of(at) else { return Have::Absent };
        match (self.devices.objects.part(at.object), self.devices.capability(at)) {
            // Not every device is heard over the air.
            (Some(Part::Device), _)
                if matches!(name, "X_USPBROKER_LinkQuality" | "X_USPBROKER_SignalStrength") =>
            {
                self.figures.signal(&device.id, name).map_or(Have::Absent, Have::Value)
            }
            (Some(Part::Device), _) => device_param(device, name),
            (Some(Part::Node), _) => node_param(device, at, name),
            (Some(Part::Capability), Some((_, _, capability))) => {
                self.capability_param(device, capability, name)
            }
            (Some(Part::Class), Some((_, _, capability))) => self.class_param(at, device, capability, name),
            _ => Have::Absent,
        }
    }

    fn capability_param(&self, device: &Device, capability: &Capability, name: &str) -> Have {
        let Some(model) = device.model(capability) else { return Have::Absent };
        Have::Value(match name {
            "Class" => model.class.name().to_owned(),
            "X_USPBROKER_Quality" => {
                capability.settled.set(true);
                self.quality(device, capability).to_string()
            }
            "X_USPBROKER_LastError" => {
                capability.settled.set(true);
                device.last_error(capability)
            }
            _ => return Have::Absent,
        })
    }

    /// How far a capability's reading can be trusted at this moment.
    pub fn quality(&self, device: &Device, capability: &Capability) -> Quality {
        device.quality(capability, self.now.monotonic)
    }

    fn class_param(&self, at: &ObjRef, device: &Device, capability: &Capability, name: &str) -> Have {
        let Some(model) = device.model(capability) else { return Have::Absent };
        if let Some((device, _, held)) = self.devices.held(at, name) {
            let value = held.reading.as_ref().map(|r| Window::text(&r.value));
            return match self.unread(device, held) {
                Some(unread) => Have::Unread(unread),
                None => value.map_or(Have::Absent, Have::Value),
            };
        }
        let reading = capability.reading.as_ref();
        let value = match name {
            "LastChange" => Some(datetime(reading.and_then(|r| r.changed))),
            "LastContactTime" => Some(datetime(capability.contact)),
            "LowLevel" | "HighLevel" => {
                let Some(threshold) = self.text(at, &format!("{name}Threshold")) else { return Have::Absent };
                match self.unread(device, capability) {
                    Some(unread) => return Have::Unread(unread),
                    None => self.level_at(at, name, &threshold),
                }
            }
            "Value" | "Values" => match (self.unread(device, capability), reading) {
                (Some(unread), _) => return Have::Unread(unread),
                (None, reading) => reading.map(|r| r.value.to_usp()),
            },
            _ => model_param(model, name),
        };
        value.map_or(Have::Absent, Have::Value)
    }

    /// Whether a capability's reading is shown.
    pub(super) fn shows(&self, device: &Device, capability: &Capability) -> bool {
        let serves_stale = || device.model(capability).is_some_and(|model| model.serve_stale);
        capability.reading.is_some() && (self.quality(device, capability).is_good() || serves_stale())
    }

    /// Why a capability's reading is not shown; `None`: it is.
    fn unread(&self, device: &Device, capability: &Capability) -> Option<Unread> {
        let model = device.model(capability)?;
        if self.shows(device, capability) {
            return None;
        }
        Some(Unread {
            device: device.number,
            point: capability.point,
            readable: model.read.is_some() && device.offline().is_none(),
            why: device.why_unread(capability),
        })
    }

    /// LowLevel and HighLevel: the reading against a threshold. Without a reading neither is true.
    pub(crate) fn level_at(&self, at: &ObjRef, level: &str, threshold: &str) -> Option<String> {
        level_of(self.devices.capability(at)?.2.number(), level, threshold)
    }

    /// What the mapping gives a Parameter of a class object, before a Controller changes it.
    pub(crate) fn mapped(&self, at: &ObjRef, name: &str) -> Option<String> {
        let (device, _, capability) = self.devices.capability(at)?;
        model_param(device.model(capability)?, name)
    }

    /// The windows of a BinarySensor; `None`: it has none.
    pub(crate) fn windows(&self, number: u32, place: Place) -> Option<Windows> {
        let device = self.devices.get(number)?;
        let model = device.model(device.capabilities.get(place)?)?;
        if model.sensitivity.is_none() && model.hold.is_none() && model.rest.is_none() {
            return None;
        }
        let at = self.devices.objects.class_object(number, place, model.class);
        let set = |name: &str| self.rows.param(&at, name).and_then(|text| text.parse::<u64>().ok());
        let window = |name: &str, first: Option<Duration>| {
            set(name).filter(|_| first.is_some()).map_or(first.unwrap_or_default(), Duration::from_millis)
        };
        let sensitivity = set("Sensitivity").unwrap_or(model.sensitivity.unwrap_or(100).into());
        Some(Windows {
            sensitive: model.sensitivity.is_none() || sensitivity > 0,
            hold: window("HoldTime", model.hold),
            rest: window("RestTime", model.rest),
            asked: model.read.as_ref().is_some_and(|read| read.poll != Poll::Once),
        })
    }

    /// A command that the mapping of a device declares, of the device's row or of a node's.
    pub(crate) fn vendor_command(&self, at: &ObjRef, name: &str) -> Option<(CommandId, &Command)> {
        let (device, node) = self.mounting(at)?;
        let all = (0u16..).map(CommandId).zip(&device.mapping.commands);
        let mut own = all.filter(|(_, command)| command.node == node);
        own.find(|(_, command)| command.name == name)
    }

    /// The same for an event.
    pub(crate) fn vendor_event(&self, at: &ObjRef, name: &str) -> Option<&Event> {
        let (device, node) = self.mounting(at)?;
        device.mapping.events.iter().find(|event| event.node == node && event.name == name)
    }

    /// The device and, if it is one, the node that a row is.
    fn mounting(&self, at: &ObjRef) -> Option<(&Device, Option<mapping::NodeId>)> {
        let device = self.devices.of(at)?;
        match self.devices.objects.part(at.object)? {
            Part::Device => Some((device, None)),
            Part::Node => Some((device, Some(*device.nodes.get(&at.number())?))),
            Part::Capability | Part::Class => None,
        }
    }

    /// Whether a row of a device has this Command: its mapping says so, or it is not a matter of mappings.
    pub(crate) fn has_command(&self, at: &ObjRef, name: &str) -> bool {
        if matches!(name, "StepUp" | "StepDown" | "Toggle") {
            let found = self.devices.capability(at);
            let model = found.and_then(|(device, _, capability)| device.model(capability));
            let has = |m: &mapping::Capability| name == "Toggle" || m.step_commands().contains(&name);
            return model.is_none_or(|m| m.write.is_some() && has(m));
        }
        !is_of_mapping(name) || self.devices.of(at).is_none() || self.vendor_command(at, name).is_some()
    }

    /// The same for an Event.
    pub(crate) fn has_event(&self, at: &ObjRef, name: &str) -> bool {
        !is_of_mapping(name) || self.devices.of(at).is_none() || self.vendor_event(at, name).is_some()
    }
}

/// The one command that each device has, whatever its mapping: another one of this name is not heeded.
const REFRESH: &str = "X_USPBROKER_Refresh";

/// Whether a command or event of this name is declared by mappings. Those of the library begin as our own elements do.
pub(crate) fn is_of_mapping(name: &str) -> bool {
    name.starts_with("X_") && name != REFRESH
}

/// Whether a number has reached a threshold.
pub(super) fn level_of(number: Option<Decimal>, level: &str, threshold: &str) -> Option<String> {
    let threshold: Decimal = threshold.parse().ok()?;
    let reached = number.is_some_and(|value| match level {
        "LowLevel" => value <= threshold,
        _ => value >= threshold,
    });
    Some(reached.to_string())
}

/// What is said of a device by its description.
pub(super) const DEVICE_WORDS: [&str; 5] =
    ["Type", "Description", "ProxyProtocol", "X_USPBROKER_Mapping", "X_USPBROKER_Address"];

/// The same of a node.
pub(super) const NODE_WORDS: [&str; 2] = ["Type", "Description"];

/// The same in the class object of a capability.
pub(super) const WORDS: [&str; 13] = [
    "Type",
    "Description",
    "Unit",
    "MinValue",
    "MaxValue",
    "StepValue",
    "ValidValues",
    "ValueNames",
    "LowLevelThreshold",
    "HighLevelThreshold",
    "Sensitivity",
    "HoldTime",
    "RestTime",
];

/// What a mapping says of a capability.
pub(super) fn model_param(model: &mapping::Capability, name: &str) -> Option<String> {
    let number = |n: Option<Decimal>| n.map(decimal_text);
    let list = |items: &[String]| tr106::join_list(items.iter().map(|item| tr106::escape_item(item)));
    match name {
        "Type" => Some(model.kind.clone()),
        "Description" => Some(model.description.clone()),
        "Unit" => model.unit.clone(),
        "MinValue" => number(model.range.map(|r| r.0)),
        "MaxValue" => number(model.range.map(|r| r.1)),
        "StepValue" => number(model.step),
        "ValidValues" => Some(list(&model.valid_values)),
        "ValueNames" => Some(list(&model.value_names)),
        "LowLevelThreshold" => number(model.low_threshold),
        "HighLevelThreshold" => number(model.high_threshold),
        "Sensitivity" => model.sensitivity.map(|s| s.to_string()),
        "HoldTime" => model.hold.map(millis),
        "RestTime" => model.rest.map(millis),
        _ => None,
    }
}

/// A Parameter of the row of a device.
pub(super) fn device_param(device: &Device, name: &str) -> Have {
    Have::Value(match name {
        "Type" => device.mapping.device_type.clone(),
        "Description" => device.mapping.description.clone(),
        "Online" => {
            device.settled.set(true);
            device.is_online().to_string()
        }
        "LastTimeContacted" => datetime(device.last_contact),
        "ProxyProtocol" => device.protocol().to_owned(),
        "InterfaceReference" | "Alias" | "Name" => String::new(),
        "X_USPBROKER_Mapping" => format!("{}@{}", device.mapping.profile, device.mapping.version),
        "X_USPBROKER_Address" => device.address.clone(),
        _ => return Have::Absent,
    })
}

fn node_param(device: &Device, at: &ObjRef, name: &str) -> Have {
    let Some(id) = device.nodes.get(&at.number()) else { return Have::Absent };
    match name {
        "Alias" => Have::Value(String::new()),
        _ => node_word(&device.mapping, *id, name).map_or(Have::Absent, |word| Have::Value(word.to_owned())),
    }
}

/// What a mapping says of a node.
pub(super) fn node_word<'m>(mapping: &'m Mapping, id: NodeId, name: &str) -> Option<&'m str> {
    let node = mapping.nodes.get(usize::from(id.0))?;
    match name {
        "Type" => Some(&node.kind),
        "Description" => Some(&node.description),
        _ => None,
    }
}
