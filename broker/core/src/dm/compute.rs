//! What each Parameter of our own reads: stored, computed, or a device's reading.

use usp_mapping::port::PointId;
use usp_mapping::value::decimal_text;
use usp_proto::path::Name;
use usp_proto::tr106;

use super::Model;
use super::rows::ObjRef;
use super::schema::{Object, Param};
use crate::agent::site::SITE;
use crate::proxied::{Capability, Device, Quality};
use crate::time::Wall;

/// TR-106: a dateTime that is not known.
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// A moment as TR-106 writes it.
pub fn datetime(wall: Option<Wall>) -> String {
    wall.map_or_else(|| UNKNOWN_TIME.to_owned(), |w| tr106::format_datetime(w.0))
}

/// What a look at a Parameter finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Have {
    /// Its value.
    Value(String),
    /// It is a device's reading, and there is none that may be shown.
    Unread(Unread),
    /// This row does not have it.
    Absent,
}

/// A reading that cannot be shown from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Number of the `ProxiedDevice` row.
    pub device: u32,
    /// Which capability.
    pub point: PointId,
    /// Whether asking the device makes sense.
    pub readable: bool,
    /// What is known of the reason.
    pub why: String,
}

impl Model {
    /// What a Parameter reads, if it has a value that may be shown.
    pub fn text(&self, at: &ObjRef, name: &str) -> Option<String> {
        match self.look(at, name) {
            Have::Value(text) => Some(text),
            Have::Unread(_) | Have::Absent => None,
        }
    }

    /// What a secured Parameter really holds; `None` for any other.
    pub fn secret(&self, at: &ObjRef, name: &str) -> Option<String> {
        let secured = self.schema.get(at.object)?.params.get(name)?.secured;
        secured.then(|| self.rows.param(at, name).unwrap_or_default().to_owned())
    }

    /// Looks at a Parameter of an object that exists. Secured ones are empty, unless asked for by
    /// [`secret`](Self::secret).
    pub fn look(&self, at: &ObjRef, name: &str) -> Have {
        let Some(object) = self.schema.get(at.object) else { return Have::Absent };
        let Some(param) = object.params.get(name) else { return Have::Absent };
        if param.secured {
            return Have::Value(String::new());
        }
        if let Some(stored) = self.rows.param(at, name) {
            return Have::Value(stored.to_owned());
        }
        if object.path.starts_with("Device.ProxiedDevice.{i}.") {
            return self.look_proxied(at, object, name);
        }
        let computed = self.compute(at, object, name);
        Have::Value(computed.unwrap_or_else(|| stored_default(param)))
    }

    /// Whether this object has a Parameter or Command of this name: not every capability has every optional one.
    pub fn has(&self, at: &ObjRef, name: &str) -> bool {
        let Some(object) = self.schema.get(at.object) else { return false };
        if object.params.contains_key(name) {
            return self.look(at, name) != Have::Absent;
        }
        let numbers = (at.numbers.first(), at.numbers.get(1));
        let (true, (Some(device), Some(capability))) = (object.when.is_some(), numbers) else { return true };
        let device = self.devices.get(*device);
        let found = device.and_then(|d| Some((d, d.capabilities.get(capability)?)));
        let Some(model) = found.and_then(|(d, c)| d.model(c)) else { return true };
        match name {
            "StepUp" | "StepDown" => model.step.is_some() || !model.valid_values.is_empty(),
            _ => true,
        }
    }

    fn compute(&self, at: &ObjRef, object: &Object, name: &str) -> Option<String> {
        if let Some(count) = self.count(at, object, name) {
            return Some(count);
        }
        if let Some(text) = self.compute_mqtt(at, &object.path, name) {
            return Some(text);
        }
        if &*object.path == SITE {
            return self.site_param(name);
        }
        if name == "USPServiceRef" {
            return self.service_of_controller(at);
        }
        let identity = &self.facts.identity;
        let text = match (&*object.path, name) {
            ("Device.", "RootDataModelVersion") => "2.19",
            ("Device.DeviceInfo.", "Manufacturer") => &identity.manufacturer,
            ("Device.DeviceInfo.", "ManufacturerOUI") => &identity.oui,
            ("Device.DeviceInfo.", "ModelName") => &identity.model,
            ("Device.DeviceInfo.", "Description") => "USP Broker and proxy gateway",
            ("Device.DeviceInfo.", "ProductClass") => &identity.product_class,
            ("Device.DeviceInfo.", "SerialNumber") => &identity.serial,
            ("Device.DeviceInfo.", "HardwareVersion") => &identity.hardware_version,
            ("Device.DeviceInfo." | "Device.LocalAgent.", "SoftwareVersion") => &identity.software_version,
            ("Device.DeviceInfo." | "Device.LocalAgent.", "UpTime") => {
                return Some(self.now.monotonic.since(self.facts.started).as_secs().to_string());
            }
            ("Device.LocalAgent.", "SupportedNumberOfSubscriptions") => {
                return Some(self.facts.most_subscriptions.to_string());
            }
            ("Device.LocalAgent.", "EndpointID") => &self.facts.endpoint_id,
            ("Device.LocalAgent.", "SupportedProtocols") => &self.facts.protocols,
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// `XNumberOfEntries` counts the rows of the table `X` below.
    fn count(&self, at: &ObjRef, object: &Object, name: &str) -> Option<String> {
        let table = Name::new(name.strip_suffix("NumberOfEntries")?).ok()?;
        let id = object.children.get(&table)?;
        Some(self.rows.count(*id, &at.numbers).to_string())
    }

    fn look_proxied(&self, at: &ObjRef, object: &Object, name: &str) -> Have {
        if let Some(count) = self.count(at, object, name) {
            return Have::Value(count);
        }
        let Some(device) = at.numbers.first().and_then(|n| self.devices.get(*n)) else { return Have::Absent };
        let Some(number) = at.numbers.get(1) else { return device_param(device, name) };
        let Some(capability) = device.capabilities.get(number) else { return Have::Absent };
        if object.table {
            return self.capability_param(device, capability, name);
        }
        self.class_param(at, device, capability, name)
    }

    fn capability_param(&self, device: &Device, capability: &Capability, name: &str) -> Have {
        let Some(model) = device.model(capability) else { return Have::Absent };
        Have::Value(match name {
            "Class" => model.class.name().to_owned(),
            "X_USPBROKER_Quality" => self.quality(device, capability).to_string(),
            "X_USPBROKER_LastError" => capability.last_error.clone().unwrap_or_default(),
            _ => return Have::Absent,
        })
    }

    /// How far a capability's reading can be trusted at this moment.
    pub fn quality(&self, device: &Device, capability: &Capability) -> Quality {
        device.quality(capability, self.now.monotonic)
    }

    fn class_param(&self, at: &ObjRef, device: &Device, capability: &Capability, name: &str) -> Have {
        let Some(model) = device.model(capability) else { return Have::Absent };
        let reading = capability.reading.as_ref();
        let number = |n: Option<rust_decimal::Decimal>| n.map(decimal_text);
        let value = match name {
            "Type" => Some(model.kind.clone()),
            "Description" => Some(model.description.clone()),
            "Unit" => model.unit.clone(),
            "MinValue" => number(model.range.map(|r| r.0)),
            "MaxValue" => number(model.range.map(|r| r.1)),
            "StepValue" => number(model.step),
            "ValidValues" => Some(model.valid_values.join(",")),
            "ValueNames" => Some(model.value_names.join(",")),
            "LastChange" => Some(datetime(reading.and_then(|r| r.changed))),
            "LastContactTime" => Some(datetime(capability.contact)),
            "LowLevelThreshold" => number(model.low_threshold),
            "HighLevelThreshold" => number(model.high_threshold),
            "LowLevel" | "HighLevel" => {
                self.text(at, &format!("{name}Threshold")).and_then(|t| self.level_at(at, name, &t))
            }
            "Value" | "Values" => return self.look_reading(device, capability),
            _ => None,
        };
        value.map_or(Have::Absent, Have::Value)
    }

    /// LowLevel and HighLevel: the reading against a threshold. Without a reading neither is true.
    pub(crate) fn level_at(&self, at: &ObjRef, level: &str, threshold: &str) -> Option<String> {
        let device = self.devices.get(*at.numbers.first()?)?;
        let reading = device.capabilities.get(at.numbers.get(1)?)?.number();
        let threshold: rust_decimal::Decimal = threshold.parse().ok()?;
        let reached = reading.is_some_and(|value| match level {
            "LowLevel" => value <= threshold,
            _ => value >= threshold,
        });
        Some(reached.to_string())
    }

    /// The threshold that a mapping gives, before a Controller changes it.
    pub(crate) fn mapped_threshold(&self, at: &ObjRef, name: &str) -> Option<String> {
        let device = self.devices.get(*at.numbers.first()?)?;
        let model = device.model(device.capabilities.get(at.numbers.get(1)?)?)?;
        let threshold = if name == "LowLevelThreshold" { model.low_threshold } else { model.high_threshold };
        threshold.map(decimal_text)
    }

    fn look_reading(&self, device: &Device, capability: &Capability) -> Have {
        let Some(model) = device.model(capability) else { return Have::Absent };
        let quality = self.quality(device, capability);
        match &capability.reading {
            Some(reading) if quality == Quality::Good || model.serve_stale => {
                Have::Value(reading.value.to_usp())
            }
            _ => Have::Unread(Unread {
                device: device.number,
                point: capability.point,
                readable: model.read.is_some(),
                why: device.why_unread(capability),
            }),
        }
    }
}

/// What a Parameter reads that was never stored and is not computed.
pub(crate) fn stored_default(param: &Param) -> String {
    match &param.default {
        Some(text) => text.to_string(),
        None if param.ty.list => String::new(),
        None => param.ty.base.zero().to_owned(),
    }
}

fn device_param(device: &Device, name: &str) -> Have {
    Have::Value(match name {
        "Type" => device.mapping.device_type.clone(),
        "Description" => device.mapping.description.clone(),
        "Online" => device.is_online().to_string(),
        "LastTimeContacted" => datetime(device.last_contact),
        "ProxyProtocol" => device.protocol().to_owned(),
        "NodeNumberOfEntries" => "0".to_owned(),
        "InterfaceReference" | "Alias" | "Name" => String::new(),
        "X_USPBROKER_Mapping" => format!("{}@{}", device.mapping.profile, device.mapping.version),
        "X_USPBROKER_Address" => device.address.clone(),
        _ => return Have::Absent,
    })
}
