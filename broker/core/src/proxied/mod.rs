//! Proxied devices: `Device.ProxiedDevice.{i}.` and its `IoTCapability.{i}.`, made from mappings and filled by reports.
//!
//! What is here is memory alone: readings never go to disk. Names and numbers are rows like any other
//! ([`crate::dm::rows`]), so that renaming, Subscriptions and permissions need nothing special.

mod ageing;
pub mod commands;
mod parked;
pub mod reports;
pub mod site;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;
use usp_mapping::mapping::{self, Mapping, Protocol};
use usp_mapping::port::{DeviceFault, DeviceId, PointId};
use usp_mapping::value::Value;

use crate::time::{Mono, Wall};

/// All devices of the site, by the number of their row.
#[derive(Debug, Default)]
pub struct Devices {
    by_number: BTreeMap<u32, Device>,
    numbers: BTreeMap<DeviceId, u32>,
}

/// One device and what is known of it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its stable key.
    pub id: DeviceId,
    /// Of its row.
    pub number: u32,
    /// What the site calls it: the first value of its `Name`.
    pub name: String,
    /// Its model.
    pub mapping: Arc<Mapping>,
    /// `X_USPBROKER_Address`: bus and address on it.
    pub address: String,
    /// `None`: nothing was heard yet; `Err`: unreachable, and why.
    pub online: Option<Result<(), DeviceFault>>,
    /// `LastTimeContacted`.
    pub last_contact: Option<Wall>,
    /// By the number of their row.
    pub capabilities: BTreeMap<u32, Capability>,
}

/// One capability and its reading.
#[derive(Clone, Debug)]
pub struct Capability {
    /// Its place in the mapping.
    pub point: PointId,
    /// The last good reading, or the last confirmed write of one that cannot be read.
    pub reading: Option<Reading>,
    /// What was read under a mapping that has been replaced since: not shown, but what is read next is compared with it.
    pub earlier: Option<Reading>,
    /// `LastContactTime`: when data last came in for it.
    pub contact: Option<Wall>,
    /// What the last attempt failed with; `None` after a success.
    pub last_error: Option<String>,
    /// When it is looked at next whether the reading is old.
    pub old_at: Option<Mono>,
}

/// A value with its age.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// As shown: within the deadband of what the device last said.
    pub value: Value,
    /// When the device last said so.
    pub at: Mono,
    /// `LastChange`.
    pub changed: Option<Wall>,
}

/// `X_USPBROKER_Quality`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Read within `max_age`, and the device is online.
    Good,
    /// There is a reading, but it is old or the device is not online.
    Stale,
    /// There is none, or the last attempt gave no valid one.
    Bad,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "Good",
            Self::Stale => "Stale",
            Self::Bad => "Bad",
        })
    }
}

impl Devices {
    /// The device with this row number.
    pub fn get(&self, number: u32) -> Option<&Device> {
        self.by_number.get(&number)
    }

    /// For changes.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Device> {
        self.by_number.get_mut(&number)
    }

    /// The device with this key.
    pub fn by_id(&mut self, id: &DeviceId) -> Option<&mut Device> {
        self.by_number.get_mut(self.numbers.get(id)?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.by_number.values()
    }

    /// Adds or replaces one.
    pub fn insert(&mut self, device: Device) {
        self.numbers.insert(device.id.clone(), device.number);
        self.by_number.insert(device.number, device);
    }

    /// Takes one away.
    pub fn remove(&mut self, number: u32) -> Option<Device> {
        let device = self.by_number.remove(&number)?;
        self.numbers.remove(&device.id);
        Some(device)
    }
}

impl Device {
    /// The capability's part of the mapping.
    pub fn model(&self, capability: &Capability) -> Option<&mapping::Capability> {
        self.mapping.capabilities.get(usize::from(capability.point.0))
    }

    /// The capability at this place of the mapping.
    pub fn at_point(&mut self, point: PointId) -> Option<(u32, &mut Capability)> {
        self.capabilities.iter_mut().find(|(_, c)| c.point == point).map(|(number, c)| (*number, c))
    }

    /// `Online`.
    pub fn is_online(&self) -> bool {
        matches!(self.online, Some(Ok(())))
    }

    /// `ProxyProtocol`: none of the standard values fits.
    pub fn protocol(&self) -> &'static str {
        match self.mapping.protocol {
            Protocol::Modbus(_) => "X_USPBROKER_Modbus",
        }
    }

    /// See [`Quality`].
    pub fn quality(&self, capability: &Capability, now: Mono) -> Quality {
        let (Some(reading), Some(model)) = (&capability.reading, self.model(capability)) else {
            return Quality::Bad;
        };
        if model.read.is_none() {
            // What was last written and confirmed; nothing newer can be known.
            return Quality::Good;
        }
        if capability.last_error.is_some() && self.is_online() {
            return Quality::Bad;
        }
        if self.is_online() && now.since(reading.at) <= model.max_age {
            Quality::Good
        } else {
            Quality::Stale
        }
    }

    /// Why a reading cannot be shown, for an error text.
    pub fn why_unread(&self, capability: &Capability) -> String {
        match (&self.online, &capability.last_error) {
            (Some(Err(fault)), _) => fault.to_string(),
            (_, Some(error)) => error.clone(),
            (_, None) if capability.reading.is_some() => "the last reading is too old".to_owned(),
            (_, None) => "not read yet".to_owned(),
        }
    }
}

impl Capability {
    /// The reading as a number, if it is one.
    pub fn number(&self) -> Option<Decimal> {
        match &self.reading.as_ref()?.value {
            Value::Number(number) => Some(*number),
            Value::Bool(_) | Value::Text(_) | Value::Numbers(_) | Value::Bytes(_) => None,
        }
    }
}
