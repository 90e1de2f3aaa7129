//! Any device that a mapping draft describes: it advertises and holds what the draft's tests say, and does what it is told.

mod place;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_mapping::ble::{BleConnect, BlePair, BleUuid};
use usp_mapping::draft::{CapabilityDraft, MappingDraft};
use usp_mapping::mapping::{Class, ProtocolKind};

use self::place::{Place, Source, Spoken, place};
use super::bthome;
use super::device::{Advert, At, BleDevice, Characteristic, Flags, Mac, Pairing, Service};
use super::objects;
use super::uuid::Uuid;
use crate::near::hint;
use crate::rng::Rng;

/// What the passkey of a device is that wants one.
pub const PASSKEY: u32 = 123_456;

/// How often a device advertises whose mapping does not say how often it is heard.
const USUAL: Duration = Duration::from_secs(2);

/// How long an occurrence, such as a press of a button, is advertised.
const OCCURS: u8 = 3;

/// How often values move.
const MOVES: Duration = Duration::from_secs(2);

/// Everything can be done with what a mapping reads and writes.
const FLAGS: Flags = &["read", "write", "write-without-response", "notify"];

/// Where a characteristic is whose mapping names no service.
const SOMEWHERE: Uuid = Uuid::short(0xfff0);

/// Why a draft makes no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappedBleError {
    /// It is of another protocol.
    #[error("the mapping has no `ble`, and nothing that is advertised or read from a characteristic")]
    NoBle,
}

/// A device of a mapping.
pub struct MappedBle {
    mac: Mac,
    every: Duration,
    pairing: Pairing,
    connectable: bool,
    name: Option<String>,
    uuids: Vec<Uuid>,
    rows: Vec<Row>,
    /// What is written by commands.
    steps: Vec<Place>,
    held: Held,
    /// As it was at first.
    first: Held,
    /// Characteristics in their services.
    chars: Vec<At>,
    told: Vec<(At, Vec<u8>)>,
    moving: bool,
    pinned: BTreeSet<String>,
    rng: Rng,
    since: Duration,
    turn: usize,
}

/// What it says and holds.
#[derive(Clone, Default)]
struct Held {
    service_data: BTreeMap<Uuid, Vec<Vec<u8>>>,
    manufacturer: BTreeMap<u16, Vec<Vec<u8>>>,
    chars: BTreeMap<At, Vec<u8>>,
    /// Values that cannot be read.
    hidden: BTreeMap<String, String>,
    /// What happens just now, and in how many advertisements it still does.
    occurs: Option<(String, u8)>,
}

struct Row {
    id: String,
    class: Class,
    read: Option<Place>,
    write: Option<Place>,
    is_event: bool,
}

fn row(capability: &CapabilityDraft) -> Option<Row> {
    let read = capability.read.as_ref().and_then(|read| place(&read.point));
    let write = capability.write.as_ref().map(|write| (place(&write.point), write.point.has_meaning()));
    let write = match (write, &read) {
        (Some((Some(write), false)), Some(read)) => Some(write.meaning(read)),
        (Some((Some(write), _)), _) => Some(write),
        // It is written where it is read.
        (Some((None, _)), read) => read.clone(),
        (None, _) => None,
    };
    (read.is_some() || write.is_some()).then(|| Row {
        id: capability.id.value.clone(),
        class: capability.class.map_or(Class::BlobSensor, |at| at.value),
        read,
        write,
        is_event: false,
    })
}

impl MappedBle {
    /// A device at this address with the values of the tests of its mapping; of several the first of each.
    ///
    /// Errors: the draft is of another protocol.
    pub fn from_draft(draft: &MappingDraft, mac: Mac, seed: u64) -> Result<Self, MappedBleError> {
        if draft.protocol != ProtocolKind::Ble {
            return Err(MappedBleError::NoBle);
        }
        let event = |event: &usp_mapping::draft::EventDraft| {
            let read = place(&event.read.as_ref()?.point)?;
            Some(Row {
                id: event.id.value.clone(),
                class: Class::EnumSensor,
                read: Some(read),
                write: None,
                is_event: true,
            })
        };
        let rows = draft.capabilities.iter().filter_map(row).chain(draft.events.iter().filter_map(event));
        let ble = &draft.ble;
        let known_by = ble.known_by.as_ref().map(|at| &at.value);
        let uuid = |uuid: BleUuid| Uuid::new(uuid.0);
        let mut device = Self {
            mac,
            every: ble.every.map_or(USUAL, |at| at.value / 2).clamp(Duration::from_millis(100), USUAL),
            pairing: match ble.pair.map(|at| at.value) {
                Some(BlePair::Passkey) => Pairing::Passkey(PASSKEY),
                Some(BlePair::JustWorks) => Pairing::JustWorks,
                Some(BlePair::Nothing) | None => Pairing::None,
            },
            connectable: ble.connect.is_none_or(|at| at.value != BleConnect::Never),
            name: known_by.and_then(|known| known.name.clone()),
            uuids: known_by.and_then(|known| known.service).map(uuid).into_iter().collect(),
            rows: rows.collect(),
            steps: draft.commands.iter().flat_map(|it| &it.send).filter_map(|it| place(&it.point)).collect(),
            held: Held::default(),
            first: Held::default(),
            chars: Vec::new(),
            told: Vec::new(),
            moving: true,
            pinned: BTreeSet::new(),
            rng: Rng::named(seed, "mapped"),
            since: Duration::ZERO,
            turn: 0,
        };
        device.find_chars();
        // Tests with other parameters are about other devices, and those without a value about what is none.
        for test in draft.tests.iter().filter(|test| test.params.is_empty() && !test.expect.is_empty()) {
            for said in &test.holds.said {
                device.learn(&said.place.value, &said.body.value);
            }
        }
        device.fill();
        device.first = device.held.clone();
        Ok(device)
    }

    /// Only what is set changes.
    #[must_use]
    pub fn still(mut self) -> Self {
        self.moving = false;
        self
    }

    /// Advertises so often.
    #[must_use]
    pub fn advertising(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Every characteristic that is read, written or asked.
    fn find_chars(&mut self) {
        let places = self.rows.iter().flat_map(|row| row.read.iter().chain(&row.write)).chain(&self.steps);
        let mut all: Vec<(Option<Uuid>, Uuid)> = Vec::new();
        for place in places {
            if let Source::Char(service, uuid) = place.source {
                all.push((service, uuid));
            }
            all.extend(place.ask.as_ref().map(|(uuid, _)| (None, *uuid)));
            all.extend(place.answer.as_ref().map(|answer| answer.at));
        }
        for (service, uuid) in &all {
            let named =
                service.or_else(|| all.iter().find(|(service, other)| other == uuid && service.is_some())?.0);
            let at = At { service: named.unwrap_or(SOMEWHERE), characteristic: *uuid };
            if !self.chars.contains(&at) {
                self.chars.push(at);
            }
        }
    }

    /// Says of what was written whether it was done.
    fn answer(&mut self, answer: Option<Spoken>, done: bool) {
        let Some(answer) = answer else { return };
        if let Some(at) = self.char(answer.at.0, answer.at.1) {
            self.told.push((at, answer.of(done).to_vec()));
        }
    }

    fn char(&self, service: Option<Uuid>, uuid: Uuid) -> Option<At> {
        let is = |at: &&At| at.characteristic == uuid && service.is_none_or(|service| service == at.service);
        self.chars.iter().find(is).copied()
    }

    /// Takes over what a test says, where nothing is said of it yet.
    fn learn(&mut self, place: &str, bytes: &[u8]) {
        let Some((kind, name)) = place.split_once(' ') else { return };
        let source = match kind {
            "service_data" => Uuid::parse(name).map(Source::ServiceData),
            "manufacturer" => {
                let digits = name.trim_start_matches("0x");
                u16::from_str_radix(digits, 16).ok().map(Source::Manufacturer)
            }
            "char" => {
                let (service, uuid) =
                    name.rsplit_once('/').map_or((None, name), |(at, uuid)| (Uuid::parse(at), uuid));
                Uuid::parse(uuid).map(|uuid| Source::Char(service, uuid))
            }
            _ => None,
        };
        match source {
            Some(Source::ServiceData(uuid)) if uuid == bthome::SERVICE => self.learn_objects(bytes),
            Some(Source::ServiceData(uuid)) => {
                let is_new = self.is_new(Source::ServiceData(uuid), bytes);
                let all = self.held.service_data.entry(uuid).or_default();
                all.extend(is_new.then(|| bytes.to_vec()));
            }
            Some(Source::Manufacturer(company)) => {
                let is_new = self.is_new(Source::Manufacturer(company), bytes);
                let all = self.held.manufacturer.entry(company).or_default();
                all.extend(is_new.then(|| bytes.to_vec()));
            }
            Some(Source::Char(service, uuid)) => {
                if let Some(at) = self.char(service, uuid) {
                    self.held.chars.entry(at).or_insert_with(|| bytes.to_vec());
                }
            }
            None => {}
        }
    }

    /// All objects are said in one advertisement.
    fn learn_objects(&mut self, bytes: &[u8]) {
        let Some((info, rest)) = bytes.split_first().filter(|(info, _)| *info & 1 == 0) else { return };
        let all = self.held.service_data.entry(bthome::SERVICE).or_insert_with(|| vec![vec![*info]]);
        let Some(said) = all.first_mut() else { return };
        let mut known = objects::parted(said.get(1..).unwrap_or_default());
        for (id, value) in objects::parted(rest) {
            // What was pressed once is over.
            let value = if objects::is(id, "button") { vec![0] } else { value };
            if !known.iter().any(|(known, _)| *known == id) {
                known.push((id, value));
            }
        }
        known.sort_by_key(|(id, _)| *id);
        *said = [vec![*info], objects::joined(&known)].concat();
    }

    /// Whether a row can be read from this, and from nothing that is said already.
    fn is_new(&self, source: Source, bytes: &[u8]) -> bool {
        let reads =
            |row: &&Row| row.read.as_ref().is_some_and(|read| read.source == source && read.fits(bytes));
        self.rows.iter().filter(reads).any(|row| self.bytes(row).is_none())
    }

    /// What no test says is there all the same.
    fn fill(&mut self) {
        for number in 0..self.rows.len() {
            let Some(row) = self.rows.get(number) else { continue };
            let Some(read) = row.read.clone().filter(|_| self.bytes(row).is_none()) else { continue };
            let blank = read.blank();
            match read.source {
                Source::ServiceData(uuid) if uuid == bthome::SERVICE => self.learn_objects(&blank),
                Source::ServiceData(uuid) => self.held.service_data.entry(uuid).or_default().push(blank),
                Source::Manufacturer(company) => {
                    self.held.manufacturer.entry(company).or_default().push(blank)
                }
                Source::Char(service, uuid) => {
                    let at = self.char(service, uuid);
                    at.into_iter().for_each(|at| drop(self.held.chars.insert(at, blank.clone())));
                }
            }
        }
    }

    /// The bytes that a row is read from.
    fn bytes(&self, row: &Row) -> Option<&Vec<u8>> {
        let read = row.read.as_ref()?;
        let fits = |bytes: &&Vec<u8>| read.fits(bytes);
        match read.source {
            Source::ServiceData(uuid) => self.held.service_data.get(&uuid)?.iter().find(fits),
            Source::Manufacturer(company) => self.held.manufacturer.get(&company)?.iter().find(fits),
            Source::Char(service, uuid) => self.held.chars.get(&self.char(service, uuid)?).filter(fits),
        }
    }

    fn found(&self, name: &str) -> Result<&Row, String> {
        let names = || self.names().join(", ");
        self.rows
            .iter()
            .find(|row| row.id == name)
            .ok_or_else(|| format!("there is no {name}; there are: {}{}", names(), hint(name, &names())))
    }

    /// Puts a value where a row is read, and tells it.
    fn put(&mut self, name: &str, value: &str) -> Result<(), String> {
        let row = self.found(name)?;
        let Some(read) = row.read.clone() else {
            self.held.hidden.insert(name.to_owned(), value.to_owned());
            return Ok(());
        };
        let raw = read.said(row.class, value)?;
        let old = self.bytes(row).cloned().unwrap_or_else(|| read.blank());
        let new = read.put(&old, &raw)?;
        let replace = |all: &mut Vec<Vec<u8>>| {
            all.iter_mut().filter(|bytes| **bytes == old).for_each(|bytes| bytes.clone_from(&new));
        };
        match read.source {
            Source::ServiceData(uuid) => {
                self.held.service_data.get_mut(&uuid).into_iter().for_each(replace);
                if uuid == bthome::SERVICE {
                    self.count();
                }
            }
            Source::Manufacturer(company) => {
                self.held.manufacturer.get_mut(&company).into_iter().for_each(replace);
            }
            Source::Char(service, uuid) => {
                let at = self.char(service, uuid).ok_or("it has no such characteristic")?;
                self.held.chars.insert(at, new.clone());
                self.told.push((at, new));
            }
        }
        Ok(())
    }

    /// Another advertisement than before has another number.
    fn count(&mut self) {
        let said = self.held.service_data.get_mut(&bthome::SERVICE).and_then(|all| all.first_mut());
        if let Some([_, 0x00, number, ..]) = said.map(Vec::as_mut_slice) {
            *number = number.wrapping_add(1);
        }
    }

    /// What moves by itself: sensors that measure something.
    fn drift(&mut self) {
        let measures =
            |row: &&Row| row.class == Class::LevelSensor && !row.is_event && !self.pinned.contains(&row.id);
        let rows: Vec<(String, Class)> =
            self.rows.iter().filter(measures).map(|row| (row.id.clone(), row.class)).collect();
        for (id, _) in rows {
            let Some(value) = self.get(&id).and_then(|value| value.parse::<f64>().ok()) else { continue };
            let moved = value + value.abs() * 0.004 * self.rng.bell();
            // Where it does not fit it stays.
            self.put(&id, &format!("{moved:.2}")).ok();
        }
    }
}

impl BleDevice for MappedBle {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn advert(&mut self, _wrong_key: bool) -> Advert {
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let now = |all: &Vec<Vec<u8>>| all.get(turn % all.len().max(1)).cloned();
        let advert = Advert {
            name: self.name.clone(),
            uuids: self.uuids.clone(),
            service_data: self
                .held
                .service_data
                .iter()
                .filter_map(|(uuid, all)| Some((*uuid, now(all)?)))
                .collect(),
            manufacturer: self
                .held
                .manufacturer
                .iter()
                .filter_map(|(id, all)| Some((*id, now(all)?)))
                .collect(),
            connectable: self.connectable,
        };
        match self.held.occurs.take() {
            Some((name, left)) if left > 1 => self.held.occurs = Some((name, left - 1)),
            // It is over.
            Some((name, _)) => drop(self.put(&name, "none")),
            None => {}
        }
        advert
    }

    fn services(&self) -> Vec<Service> {
        let protected = self.pairing != Pairing::None;
        let mut all: BTreeMap<Uuid, Vec<Characteristic>> = BTreeMap::new();
        for at in &self.chars {
            let one = Characteristic { uuid: at.characteristic, flags: FLAGS, protected };
            all.entry(at.service).or_default().push(one);
        }
        all.into_iter().map(|(uuid, characteristics)| Service { uuid, characteristics }).collect()
    }

    fn pairing(&self) -> Pairing {
        self.pairing
    }

    fn read(&mut self, at: At) -> Result<Vec<u8>, u8> {
        Ok(self.held.chars.get(&at).cloned().unwrap_or_default())
    }

    fn write(&mut self, at: At, value: &[u8], obeys: bool) -> Result<(), u8> {
        let uuid = at.characteristic;
        for number in 0..self.rows.len() {
            let Some(row) = self.rows.get(number) else { continue };
            let asked = row.read.as_ref().and_then(|read| read.ask.clone().map(|ask| (ask, read.source)));
            if let Some(((place, question), Source::Char(service, answer))) = asked
                && place == uuid
                && question == value
                && let Some(at) = self.char(service, answer)
            {
                let answer = self.held.chars.get(&at).cloned().unwrap_or_default();
                self.told.push((at, answer));
                return Ok(());
            }
            let is_it = |write: &&Place| matches!(write.source, Source::Char(_, place) if place == uuid);
            let Some(write) = row.write.as_ref().filter(is_it) else { continue };
            let Some(wanted) = write.written(value).and_then(|raw| write.meant(row.class, &raw)) else {
                continue;
            };
            let (id, answer) = (row.id.clone(), write.answer.clone());
            if obeys {
                // What cannot be said stays as it was.
                self.put(&id, &wanted).ok();
            }
            self.answer(answer, obeys);
            return Ok(());
        }
        let is_it = |step: &&Place| {
            let fixed = step.template.as_ref().is_none_or(|it| it.has_value() || it.filled(&[]) == value);
            fixed && matches!(step.source, Source::Char(_, place) if place == uuid)
        };
        let answer = self.steps.iter().find(is_it).and_then(|step| step.answer.clone());
        self.answer(answer, obeys);
        Ok(())
    }

    fn told(&mut self) -> Vec<(At, Vec<u8>)> {
        std::mem::take(&mut self.told)
    }

    fn step(&mut self, time: Duration) {
        self.since += time;
        if self.moving && self.since >= MOVES {
            self.since = Duration::ZERO;
            self.drift();
        }
    }

    fn reboot(&mut self) {
        self.held = self.first.clone();
    }

    fn get(&self, name: &str) -> Option<String> {
        let row = self.rows.iter().find(|row| row.id == name)?;
        let Some(read) = &row.read else { return self.held.hidden.get(name).cloned() };
        read.value(row.class, self.bytes(row)?)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.put(name, value)?;
        self.pinned.insert(name.to_owned());
        if self.found(name)?.is_event {
            self.held.occurs = Some((name.to_owned(), OCCURS));
        }
        Ok(())
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        self.found(name)?;
        self.pinned.remove(name);
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.id.clone()).collect()
    }
}
