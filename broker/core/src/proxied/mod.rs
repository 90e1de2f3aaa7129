//! Proxied devices: `Device.ProxiedDevice.{i}.` with its `Node.{i}.` and `IoTCapability.{i}.`, made from mappings and
//! filled by reports.
//!
//! What is here is memory alone: readings never go to disk. Names and numbers are rows like any other
//! ([`crate::dm::rows`]), so that renaming, Subscriptions and permissions need nothing special.

mod ageing;
pub(crate) mod buses;
pub mod capabilities;
pub mod commands;
pub mod figures;
pub(crate) mod look;
pub mod objects;
mod parked;
mod replaced;
pub mod reports;
pub mod sensor;
pub mod site;
pub(crate) mod turns;
pub(crate) mod vendor;
mod watching;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use usp_mapping::mapping::{self, Mapping, NodeId, Protocol, Window};
use usp_mapping::port::{DeviceFault, DeviceId, Freshness, PointId};
use usp_mapping::value::Value;

use crate::dm::rows::ObjRef;
use crate::time::{Mono, Now, Wall};
use capabilities::Capabilities;
use objects::{Objects, Place};
use sensor::Sensor;
use watching::Levels;

/// Why a value that a server has kept is not good.
const OF_ANY_AGE: &str = "what is known was kept of former times and may be of any age";

/// All devices of the site, by the number of their row.
#[derive(Debug)]
pub struct Devices {
    /// Where they are in the data model.
    pub objects: Objects,
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
    /// What the site calls it: its `Name` until a Controller gives it another one.
    pub name: String,
    /// Its model.
    pub mapping: Arc<Mapping>,
    /// `X_USPBROKER_Address`: bus and address on it.
    pub address: String,
    /// `None`: nothing was heard yet; `Err`: unreachable, and why.
    pub online: Option<Result<(), DeviceFault>>,
    /// It was heard itself since it was last out of reach.
    pub spoken: bool,
    /// When it was last found to be out of reach.
    pub away: Option<Mono>,
    /// Why it was so first: its own silence, or that of what it is reached by.
    pub why_away: Box<str>,
    /// Why something that it had said may have been lost, the last time.
    pub why_doubted: Option<Arc<str>>,
    /// See [`Capability::settled`]; of `Online`.
    pub settled: Cell<bool>,
    /// `LastTimeContacted`.
    pub last_contact: Option<Wall>,
    /// By the number of their row.
    pub nodes: BTreeMap<u32, NodeId>,
    /// What it can sense and do, and windows that it holds.
    pub capabilities: Capabilities,
    /// When it is looked at next which readings are old; `None`: no reading becomes old.
    pub old_at: Option<Mono>,
    /// What its events were last seen by, in the order of the mapping.
    pub seen: Vec<Option<Value>>,
}

/// One capability and its reading.
#[derive(Clone, Debug)]
pub struct Capability {
    /// Its place in the mapping.
    pub point: PointId,
    /// The last good reading, or the last confirmed write of one that cannot be read.
    pub reading: Option<Reading>,
    /// What was read under a mapping that has been replaced since: not shown, but what is read next is compared with it.
    pub(crate) earlier: Option<Box<Earlier>>,
    /// `LastContactTime`: when data last came in for it.
    pub contact: Option<Wall>,
    /// What the last attempt failed with; `None` after a success.
    pub failed: Option<Box<DeviceFault>>,
    /// When something that the device said of it may have been lost, unless it has said it again since.
    pub doubted: Option<Mono>,
    /// Somebody has seen its quality since the start, or the device has been heard of: from now on changes of it are told.
    /// What is heard first changes nothing that anybody knew.
    pub settled: Cell<bool>,
    /// The reading becomes old, and that is not told yet.
    pub ages: bool,
    /// Its value is another than was told last, and was not good when it came: it is told once it is shown.
    pub untold: bool,
    /// Of a BinarySensor: what the windows make of what the device says, and when they can next change it.
    pub sensor: Option<Box<(Sensor, Option<Mono>)>>,
}

/// A value with its age.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// As shown: within the deadband of what the device last said.
    pub value: Value,
    /// When the device last said so; of a value that is put together, when it said the oldest part. Of what was kept of
    /// former times, when that was heard.
    pub at: Mono,
    /// Somebody has kept it of former times: nobody knows how old it is.
    pub kept: bool,
    /// `LastChange`.
    pub changed: Option<Wall>,
}

/// What was read under a description that was replaced since.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    reading: Reading,
    /// What LowLevel and HighLevel were by that description; `None`: nothing was said of them.
    levels: Option<Levels>,
}

/// What a value of a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It was read, said or kept: as fresh as this.
    Read(Freshness),
    /// A Controller wrote it and the device confirmed it, so long ago: what is written with it may take its time.
    Written(Duration),
}

impl Word {
    /// Whether the device itself was heard just now.
    fn is_contact(self) -> bool {
        match self {
            Self::Read(freshness) => freshness.contact,
            Self::Written(_) => true,
        }
    }

    /// When it was said; `None`: nobody knows.
    fn said_at(self, now: Mono) -> Option<Mono> {
        match self {
            Self::Read(freshness) => freshness.age.map(|age| Mono(now.0.saturating_sub(age))),
            Self::Written(age) => Some(Mono(now.0.saturating_sub(age))),
        }
    }
}

/// `X_USPBROKER_Quality`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Read within `max_age`, and the device is online. What was kept of former times may be of any age, so that it is good
    /// only where readings do not become old.
    Good,
    /// What was last written, which the device took: it cannot be read, and nothing else shows it.
    Assumed,
    /// There is a reading, but it is old or the device is not online.
    Stale,
    /// There is none, or the last attempt gave no valid one.
    Bad,
}

impl Quality {
    /// Whether the value is the best that can be known now: it is shown, and can be gone on from.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Assumed)
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "Good",
            Self::Assumed => "Assumed",
            Self::Stale => "Stale",
            Self::Bad => "Bad",
        })
    }
}

impl Devices {
    /// None yet.
    pub fn new(objects: Objects) -> Self {
        Self { objects, by_number: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    /// The device with this row number.
    pub fn get(&self, number: u32) -> Option<&Device> {
        self.by_number.get(&number)
    }

    /// For changes.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Device> {
        self.by_number.get_mut(&number)
    }

    /// The row number of the device with this key.
    pub fn number(&self, id: &DeviceId) -> Option<u32> {
        self.numbers.get(id).copied()
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

    /// The device that an object is, or belongs to.
    pub fn of(&self, at: &ObjRef) -> Option<&Device> {
        self.objects.part(at.object)?;
        self.get(*at.numbers.first()?)
    }

    /// The capability whose row or class object this is, with its device.
    pub fn capability(&self, at: &ObjRef) -> Option<(&Device, Place, &Capability)> {
        let place = self.objects.place(at)?;
        let device = self.get(*at.numbers.first()?)?;
        Some((device, place, device.capabilities.get(place)?))
    }

    /// What a Parameter of a class object shows of its device: the reading of the capability, or a window that the device
    /// holds.
    pub fn shown(&self, at: &ObjRef, name: &str) -> Option<(&Device, Place, &Capability)> {
        let found = self.capability(at)?;
        let Some(window) = Window::of_name(name) else { return Some(found) };
        let (device, place, _) = found;
        let place = Place { window: Some(window), ..place };
        Some((device, place, device.capabilities.get(place)?))
    }

    /// A window of a BinarySensor, by the name of its Parameter, if its device holds it.
    pub fn held(&self, at: &ObjRef, name: &str) -> Option<(&Device, Place, &Capability)> {
        Window::of_name(name).and_then(|_| self.shown(at, name))
    }

    /// A capability, for changes.
    pub fn capability_mut(&mut self, number: u32, place: Place) -> Option<&mut Capability> {
        self.get_mut(number)?.capabilities.get_mut(place)
    }
}

impl Device {
    /// The capability's part of the mapping.
    pub fn model(&self, capability: &Capability) -> Option<&mapping::Capability> {
        self.mapping.model(capability.point)
    }

    /// Where the capability is that has this place in the mapping.
    pub fn place(&self, point: PointId) -> Option<Place> {
        self.capabilities.place(point)
    }

    /// The capability that has this place in the mapping.
    pub fn at_point(&self, point: PointId) -> Option<&Capability> {
        self.capabilities.at(point)
    }

    /// `Online`.
    pub fn is_online(&self) -> bool {
        matches!(self.online, Some(Ok(())))
    }

    /// It passes for being there only because it was there before its server was away: nobody keeps count of it, and it has
    /// not said anything since.
    fn is_believed(&self) -> bool {
        !self.spoken
            && matches!(&self.mapping.protocol, Protocol::Mqtt(options) if options.availability.is_empty())
    }

    /// `ProxyProtocol`: none of the standard values fits.
    pub fn protocol(&self) -> &'static str {
        match self.mapping.protocol {
            Protocol::Modbus(_) => "X_USPBROKER_Modbus",
            Protocol::Mqtt(_) => "X_USPBROKER_MQTT",
            Protocol::Coap(_) => "X_USPBROKER_CoAP",
            Protocol::Line(_) => "X_USPBROKER_SerialLine",
            Protocol::Ble(_) => "X_USPBROKER_BLE",
            Protocol::Zigbee(_) => "ZigBee",
        }
    }

    /// See [`Quality`].
    pub fn quality(&self, capability: &Capability, now: Mono) -> Quality {
        let (Some(reading), Some(model)) = (&capability.reading, self.model(capability)) else {
            return Quality::Bad;
        };
        if model.read.is_none() {
            // What was last written; nothing newer can be known while the device is there. Who was away may have lost it.
            let kept = !matches!(self.online, Some(Err(_))) && !self.may_have_lost(reading);
            let kept = kept && !capability.is_open();
            let is_confirmed = model.write.as_ref().is_some_and(|write| write.verify.is_some());
            return match kept {
                true if is_confirmed => Quality::Good,
                true => Quality::Assumed,
                false => Quality::Stale,
            };
        }
        // That it could not just now says nothing of the value: it stands as long as it is not too old.
        match capability.failed.as_deref().filter(|fault| !matches!(fault, DeviceFault::Busy(_))) {
            // What is known is of before a write of which nobody knows whether it was done.
            Some(DeviceFault::Unsettled(_)) => Quality::Stale,
            // It was there and had no value to give: the older one is not what it would give now.
            Some(fault) if is_contact(fault) => Quality::Bad,
            Some(_) if self.is_online() => Quality::Bad,
            _ if reading.kept && self.is_believed() => Quality::Stale,
            // What it was before an absence is not what it must be now.
            _ if reading.is_before(self.away) || capability.doubted.is_some() => Quality::Stale,
            _ if self.is_online() && reading.is_fresh(model.max_age, now) => Quality::Good,
            _ => Quality::Stale,
        }
    }

    /// `X_USPBROKER_LastError`: why the last attempt to read brought nothing, or why what is known may not be so any more, but for
    /// its age; empty after a success.
    pub fn last_error(&self, capability: &Capability) -> String {
        let is_read = self.model(capability).is_some_and(|m| m.read.is_some());
        match (&self.online, &capability.failed) {
            (Some(Err(fault)), _) if is_read => format!("the device is offline: {fault}"),
            (_, Some(fault)) => fault.to_string(),
            (_, None) => self.why_doubtful(capability).unwrap_or_default(),
        }
    }

    /// Why a reading that did not fail may not be so any more, whatever its age.
    fn why_doubtful(&self, capability: &Capability) -> Option<String> {
        let is_read = self.model(capability).is_some_and(|m| m.read.is_some());
        let reading = capability.reading.as_ref()?;
        match is_read {
            true if self.is_of_any_age(capability) => Some(OF_ANY_AGE.to_owned()),
            true if reading.is_before(self.away) => Some(format!(
                "the device was out of reach ({}), and has not said it again since",
                self.why_away
            )),
            true => {
                let why = self.why_doubted.as_deref().filter(|_| capability.doubted.is_some())?;
                Some(format!("what the device said since may be lost: {why}"))
            }
            false if self.may_have_lost(reading) => Some(format!(
                "the device was out of reach after this was set ({}), and may have lost it",
                self.why_away
            )),
            _ => None,
        }
    }

    /// It was away after what cannot be read was set.
    fn may_have_lost(&self, reading: &Reading) -> bool {
        self.away.is_some_and(|away| reading.at <= away)
    }

    /// A write of this is done when the device has taken it, which says nothing of what it has: that is read, or said.
    pub(crate) fn shows_itself(&self, point: PointId) -> bool {
        self.mapping.model(point).is_some_and(mapping::Capability::shows_itself)
    }

    /// A server has kept it of former times, and nobody says that the device is there or it may not be old.
    fn is_of_any_age(&self, capability: &Capability) -> bool {
        let ages = self.model(capability).is_some_and(|model| model.max_age < mapping::FOR_EVER);
        let is_kept = capability.reading.as_ref().is_some_and(|reading| reading.kept);
        is_kept && (ages || self.online.is_none() || self.is_believed())
    }

    /// Why nothing is asked of it; `None`: it may be asked.
    pub fn offline(&self) -> Option<String> {
        let fault = self.online.as_ref()?.as_ref().err()?;
        Some(format!("device {} is offline and was not asked: {fault}", self.id))
    }

    /// Why a reading cannot be shown, for an error text.
    pub fn why_unread(&self, capability: &Capability) -> String {
        match (&self.offline(), &capability.failed) {
            (Some(offline), _) => offline.clone(),
            (_, Some(error)) => format!("device {}: {error}", self.id),
            (_, None) => {
                let is_kept = capability.reading.as_ref().is_some_and(|reading| reading.kept);
                let doubt = self.why_doubtful(capability);
                let why = match &doubt {
                    Some(why) => why,
                    None if is_kept => OF_ANY_AGE,
                    None if capability.reading.is_some() => "the last reading is too old",
                    None => "not read yet",
                };
                format!("device {}: {why}", self.id)
            }
        }
    }

    /// The same of one that was asked for and of which only older words came.
    pub fn why_old(&self, capability: &Capability) -> String {
        format!("{}, and the device has said nothing newer", self.why_unread(capability))
    }
}

impl Capability {
    /// One of which nothing is known.
    fn new(point: PointId) -> Self {
        Self {
            point,
            reading: None,
            earlier: None,
            contact: None,
            failed: None,
            doubted: None,
            settled: Cell::new(false),
            ages: false,
            untold: false,
            sensor: None,
        }
    }

    /// The same capability where what was read before means something else, or comes from elsewhere.
    fn anew(&self, point: PointId) -> Self {
        let earlier = self.reading.clone().map(|reading| Box::new(Earlier { reading, levels: None }));
        let earlier = earlier.or_else(|| self.earlier.clone());
        Self { earlier, settled: self.settled.clone(), untold: self.untold, ..Self::new(point) }
    }

    /// Whether something was written since it was read of which nobody knows whether it was done.
    fn is_open(&self) -> bool {
        matches!(self.failed.as_deref(), Some(DeviceFault::Unsettled(_)))
    }

    /// The reading as a number, if it is one.
    pub fn number(&self) -> Option<Decimal> {
        self.reading.as_ref()?.number()
    }

    /// The last reading, be it by a mapping that was replaced since.
    fn last(&self) -> Option<&Reading> {
        self.reading.as_ref().or_else(|| Some(&self.earlier.as_ref()?.reading))
    }

    /// Takes a value in that the device has, or had until now. `true`: it is not the one before. What is read first, after
    /// a start, is no change: readings are not stored, so that nobody knows what it was before. What a Controller writes
    /// first is one.
    fn take(&mut self, value: Value, deadband: Option<Decimal>, word: Word, now: Now) -> bool {
        let said_at = word.said_at(now.monotonic);
        if word.is_contact() {
            self.failed = None;
            self.contact = now.known_wall();
        } else {
            // That it did not answer is not disproved by what it said before.
            self.failed = self.failed.take().filter(|fault| !is_contact(fault));
        }
        if self.reading.is_none() {
            self.reading = self.earlier.take().map(|earlier| earlier.reading);
        }
        let (at, kept) = (said_at.unwrap_or(now.monotonic), said_at.is_none());
        // What comes after the doubt is not in doubt, be it of the same moment.
        self.doubted = self.doubted.filter(|doubted| at < *doubted);
        match &mut self.reading {
            Some(reading) if is_same(&reading.value, &value, deadband) => {
                (reading.at, reading.kept) = (at, kept);
                false
            }
            Some(reading) => {
                *reading = Reading { value, at, kept, changed: now.known_wall() };
                true
            }
            None => {
                // Since when it is so, nobody knows of what a server has kept.
                let changed = now.known_wall().filter(|_| !kept);
                self.reading = Some(Reading { value, at, kept, changed });
                matches!(word, Word::Written(_))
            }
        }
    }

    /// Whether what was said before says nothing beyond what is known: it was kept and is the same, or it is older.
    fn knows_better(&self, value: &Value, deadband: Option<Decimal>, word: Word, now: Now) -> bool {
        let Some(reading) = self.reading.as_ref() else { return false };
        if let Word::Written(age) = word {
            return !age.is_zero()
                && !reading.kept
                && word.said_at(now.monotonic).is_some_and(|at| at < reading.at);
        }
        if word.is_contact() {
            return false;
        }
        match word.said_at(now.monotonic) {
            None => is_same(&reading.value, value, deadband),
            Some(at) => !reading.kept && at <= reading.at,
        }
    }

    /// Time alone has given it another value: the device has not been heard.
    fn turn(&mut self, value: Value, now: Now) -> bool {
        let Some(reading) = self.reading.as_mut().filter(|reading| reading.value != value) else {
            return false;
        };
        reading.value = value;
        reading.changed = now.known_wall();
        true
    }
}

impl Reading {
    fn number(&self) -> Option<Decimal> {
        match &self.value {
            Value::Number(number) => Some(*number),
            Value::Bool(_) | Value::Text(_) | Value::Numbers(_) | Value::Bytes(_) => None,
        }
    }

    /// Whether it is of before an absence.
    fn is_before(&self, away: Option<Mono>) -> bool {
        away.is_some_and(|away| self.at < away)
    }

    /// Whether it can be taken for what the device has now.
    fn is_fresh(&self, max_age: Duration, now: Mono) -> bool {
        if self.kept { max_age >= mapping::FOR_EVER } else { now.since(self.at) <= max_age }
    }
}

/// Whether a failure shows that the device is there.
fn is_contact(fault: &DeviceFault) -> bool {
    matches!(
        fault,
        DeviceFault::Refused(_)
            | DeviceFault::Busy(_)
            | DeviceFault::Garbled(_)
            | DeviceFault::Invalid(_)
            | DeviceFault::NotConfirmed { .. }
            | DeviceFault::HalfDone { .. }
    )
}

/// A change smaller than the deadband is none.
fn is_same(old: &Value, new: &Value, deadband: Option<Decimal>) -> bool {
    match (old, new, deadband) {
        // A difference too large to be told is beyond any band.
        (Value::Number(old), Value::Number(new), Some(band)) => {
            old.checked_sub(*new).is_some_and(|moved| moved.abs() < band)
        }
        (Value::Number(old), Value::Number(new), None) if old.scale() == new.scale() => {
            // As nearly all of very many readings are: comparing any two decimals takes several times as long.
            old.mantissa() == new.mantissa()
        }
        (old, new, _) => old == new,
    }
}

/// Milliseconds as a Parameter has them.
fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
