//! What each Parameter of our own reads: stored, computed, or a device's reading.

use usp_mapping::port::PointId;
use usp_proto::path::Name;
use usp_proto::tr106;

use super::Model;
use super::rows::ObjRef;
use super::schema::{Object, Param};
use crate::agent::site::SITE;
use crate::proxied::figures::BUS;
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
        // What a Controller set once is no more than that where the device itself holds the Parameter now.
        if let Some(stored) = self.rows.param(at, name)
            && self.devices.held(at, name).is_none()
        {
            return Have::Value(stored.to_owned());
        }
        if object.path.starts_with("Device.ProxiedDevice.{i}.") {
            return self.look_proxied(at, object, name);
        }
        if &*object.path == BUS && !self.figures.has(at.number(), name) {
            return Have::Absent;
        }
        let computed = self.compute(at, object, name);
        Have::Value(computed.unwrap_or_else(|| stored_default(param)))
    }

    /// Whether this object has a Parameter or Command of this name: not every capability has every optional one.
    pub fn has(&self, at: &ObjRef, name: &str) -> bool {
        let Some(object) = self.schema.get(at.object) else { return false };
        match object.params.contains_key(name) {
            true => self.look(at, name) != Have::Absent,
            false => self.has_command(at, name),
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
        if let Some(figure) = self.figure(at, &object.path, name) {
            return Some(figure);
        }
        if name == "X_USPBROKER_UndecidedTargets" {
            return self.undecided_targets(at);
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
    pub(crate) fn count(&self, at: &ObjRef, object: &Object, name: &str) -> Option<String> {
        let table = Name::new(name.strip_suffix("NumberOfEntries")?).ok()?;
        let id = object.children.get(&table)?;
        Some(self.rows.count(*id, &at.numbers).to_string())
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
