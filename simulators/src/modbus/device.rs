//! One Modbus unit: cells that show a world, and writes that change it. No sockets and no clock here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::mischief::{Fault, HoleAt, Mischief};
use crate::near::hint;
use crate::rng::Rng;
use crate::value::SimValue;
use crate::world::World;

use super::identity;
use super::pdu::{self, Exception, Memory, Request, Table};
use super::point::{Blueprint, Codec, Nature, Place, Point};
use super::quantities;

/// Why a value cannot be set or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The mapping has no such capability.
    #[error("no capability {name:?}; there are: {known}{meant}", meant = hint(.name, .known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The value is of another kind than the capability's.
    #[error("{name}: {value} is not {wanted}")]
    Kind {
        /// The capability.
        name: String,
        /// What was given.
        value: String,
        /// What is needed.
        wanted: String,
    },
    /// The registers cannot hold it.
    #[error("{name}: {place} holds {least} to {greatest}, and {value} is not in it")]
    Range {
        /// The capability.
        name: String,
        /// What was given.
        value: String,
        /// Where it would be.
        place: String,
        /// Least value that fits.
        least: String,
        /// Greatest value that fits.
        greatest: String,
    },
    /// Its registers have no value that means "no reading".
    #[error("{name}: its mapping has no `invalid`, so no value means that there is no reading")]
    NoSentinel {
        /// The capability.
        name: String,
    },
}

/// What a text says at first.
const SAMPLE: &str = "simulated";

/// One capability as a person wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its name in the mapping.
    pub capability: String,
    /// What it is.
    pub value: SimValue,
    /// Its unit, empty without one.
    pub unit: String,
    /// Whether it was set and does not move.
    pub held: bool,
    /// Where it is: `input 0..1`, `discrete 515, write coil 3`.
    pub places: String,
    /// The names of its states, if it has any.
    pub states: Vec<String>,
    /// Whether a client can write it.
    pub settable: bool,
}

/// A simulated device of one unit.
#[derive(Clone, Debug)]
pub struct ModbusDevice {
    profile: String,
    /// Its identification: vendor, product code, revision.
    identity: [String; 3],
    points: Vec<Point>,
    /// Cells that commands write, whatever they write there.
    commanded: BTreeSet<(Table, u16)>,
    /// What texts say.
    texts: BTreeMap<String, String>,
    world: World,
    cells: BTreeMap<(Table, u16), u16>,
    gaps: BTreeSet<(Table, u16)>,
    absent_functions: Vec<u8>,
    /// The faults of this unit alone.
    pub(crate) mischief: Mischief<Fault>,
    /// How many requests came.
    pub(crate) asked: u64,
}

impl ModbusDevice {
    /// Builds what a blueprint describes.
    pub fn new(blueprint: Blueprint, seed: u64) -> Self {
        let Blueprint { profile, version, points, max_gap, constants, commanded } = blueprint;
        let (vendor, product) = profile.split_once('.').unwrap_or(("", &profile));
        let identity = [vendor.to_owned(), product.to_owned(), version];
        let world = quantities::world_for(&points, seed);
        let mut cells = cells(&points, seed);
        for cell in &commanded {
            cells.entry(*cell).or_insert(0);
        }
        cells.extend(constants);
        let texts = points.iter().filter(|point| point.nature == Nature::Text);
        let texts = texts.map(|point| (point.capability.clone(), SAMPLE.to_owned())).collect();
        let gaps = gaps(&cells, max_gap);
        let mischief = Mischief::default();
        let mut device = Self {
            profile,
            identity,
            points,
            commanded,
            texts,
            world,
            cells,
            gaps,
            absent_functions: Vec::new(),
            mischief,
            asked: 0,
        };
        device.render();
        device
    }

    /// A device that does not know a function, as many do not know 22 and 23.
    #[must_use]
    pub fn without_function(mut self, function: u8) -> Self {
        self.absent_functions.push(function);
        self
    }

    /// `vendor.model`.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// Lets time pass in its world.
    pub fn step(&mut self, time: Duration) {
        self.world.step(time);
    }

    /// What a capability is in the world; `None`: there is no such capability.
    pub fn get(&self, capability: &str) -> Option<SimValue> {
        let point = self.points.iter().find(|point| point.capability == capability)?;
        self.value(point)
    }

    /// Every capability and what it is.
    pub fn values(&self) -> Vec<(String, SimValue)> {
        let value = |point: &Point| Some((point.capability.clone(), self.value(point)?));
        self.points.iter().filter_map(value).collect()
    }

    fn value(&self, point: &Point) -> Option<SimValue> {
        match self.texts.get(&point.capability) {
            Some(text) => Some(SimValue::Text(text.clone())),
            None => self.world.get(&point.capability).map(|value| shown(point, value)),
        }
    }

    /// Every capability with what a person wants to see of it.
    pub fn show(&self) -> Vec<Shown> {
        let show = |point: &Point| {
            let value = self.value(point)?;
            let places = [("", &point.read), ("write ", &point.write)];
            let places = places
                .into_iter()
                .filter_map(|(verb, place)| place.as_ref().map(|at| (verb, at.to_string())));
            let mut places: Vec<(&str, String)> = places.collect();
            places.dedup_by(|write, read| write.1 == read.1);
            Some(Shown {
                capability: point.capability.clone(),
                value,
                unit: point.unit.clone().filter(|unit| unit != "-").unwrap_or_default(),
                held: self.world.is_held(&point.capability),
                places: places
                    .into_iter()
                    .map(|(verb, at)| format!("{verb}{at}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                states: point.states.clone(),
                settable: point.write.is_some(),
            })
        };
        self.points.iter().filter_map(show).collect()
    }

    /// Sets a quantity of the world and holds it there, as its registers have it. What is set may be out of the device's
    /// own range, but not of what the registers can hold.
    pub fn set(&mut self, capability: &str, value: &SimValue) -> Result<(), SetError> {
        if let Some(text) = self.texts.get_mut(capability) {
            *text = value.to_string();
            return Ok(());
        }
        let number = self.number(capability, value)?;
        let number = self.held(capability, number)?;
        self.world.set(capability, number).map_err(|_| self.unknown(capability))
    }

    /// Lets a quantity that was set move again.
    pub fn release(&mut self, capability: &str) -> Result<(), SetError> {
        self.world.release(capability).map_err(|_| self.unknown(capability))
    }

    /// Loses and regains power.
    pub fn reboot(&mut self) {
        self.world.reboot();
    }

    /// What a coil is; `None`: there is none at this address.
    pub fn coil(&mut self, address: u16) -> Option<bool> {
        self.render();
        self.cells.get(&(Table::Coil, address)).map(|cell| *cell != 0)
    }

    /// What cells are, as a read would show them; `None`: a read would be refused.
    pub fn cells(&mut self, table: Table, start: u16, count: u16) -> Option<Vec<u16>> {
        self.read(table, start, count).ok()
    }

    /// The answer to a request of this unit.
    pub fn answer(&mut self, request: &Request) -> Result<Vec<u8>, Exception> {
        if self.absent_functions.contains(&request.function) {
            return Err(Exception::FUNCTION);
        }
        match request.identify {
            Some(asked) => identity::answer(&self.identity, asked),
            None => pdu::execute(request, self),
        }
    }

    fn number(&self, capability: &str, value: &SimValue) -> Result<f64, SetError> {
        let point = self.points.iter().find(|point| point.capability == capability);
        let point = point.ok_or_else(|| self.unknown(capability))?;
        let wrong =
            |wanted: String| SetError::Kind { name: capability.to_owned(), value: value.to_string(), wanted };
        if point.nature.is_binary() {
            return value
                .as_bool()
                .map(|on| f64::from(u8::from(on)))
                .ok_or_else(|| wrong("true or false".into()));
        }
        if point.nature.is_named() {
            let name = value.to_string();
            let state = point.states.iter().position(|state| *state == name).map(|state| state as f64);
            return state.ok_or_else(|| wrong(format!("one of {}", point.states.join(", "))));
        }
        value.as_number().ok_or_else(|| wrong("a number".into()))
    }

    /// The number that its registers hold for this one.
    fn held(&self, capability: &str, number: f64) -> Result<f64, SetError> {
        let point = self.points.iter().find(|point| point.capability == capability);
        let Some(place) = point.and_then(|point| point.read.as_ref().or(point.write.as_ref())) else {
            return Ok(number);
        };
        if let Some((least, greatest)) = place.bounds()
            && !(least..=greatest).contains(&number)
        {
            let (name, place) = (capability.to_owned(), place.to_string());
            let [value, least, greatest] = [number, least, greatest].map(|number| number.to_string());
            return Err(SetError::Range { name, value, place, least, greatest });
        }
        if !matches!(place.codec, Codec::Linear { .. }) {
            return Ok(number);
        }
        Ok(place.decode(&place.encode(number, &picked(&self.cells, place))).unwrap_or(number))
    }

    /// Whether a fault can come of an order.
    ///
    /// Errors: it names a capability that there is not, or that has no value for "no reading".
    pub fn can(&self, fault: &Fault) -> Result<(), SetError> {
        let Fault::Sentinel(name) = fault else { return Ok(()) };
        let point = self.points.iter().find(|point| point.capability == *name);
        let place = point.ok_or_else(|| self.unknown(name))?.read.as_ref();
        match place.is_some_and(Place::has_no_reading) {
            true => Ok(()),
            false => Err(SetError::NoSentinel { name: name.clone() }),
        }
    }

    fn unknown(&self, name: &str) -> SetError {
        let known: Vec<&str> = self.points.iter().map(|point| point.capability.as_str()).collect();
        SetError::Unknown { name: name.to_owned(), known: known.join(", ") }
    }

    /// Brings the cells up to date with the world. A cell that already says the same stays as it is, so that a write
    /// is read back bit by bit.
    fn render(&mut self) {
        for point in &self.points {
            if let (Some(text), Some(place)) = (self.texts.get(&point.capability), &point.read) {
                place_cells(&mut self.cells, place, &place.encoding.encode_text(place.order, text));
                continue;
            }
            let Some(value) = self.world.get(&point.capability) else { continue };
            let dead = self.mischief.has(|fault| *fault == Fault::Sentinel(point.capability.clone()));
            for (place, readable) in [(&point.write, false), (&point.read, true)] {
                let Some(place) = place else { continue };
                let cells = picked(&self.cells, place);
                if dead && readable {
                    place_cells(&mut self.cells, place, &place.without_reading(&cells));
                } else if place.decode(&cells) != Some(value) {
                    place_cells(&mut self.cells, place, &place.encode(value, &cells));
                }
            }
        }
    }

    /// A sentinel that was read has happened once more.
    fn count_sentinels(&mut self, table: Table, start: u16, count: u16) {
        let span = start..=start.saturating_add(count.saturating_sub(1));
        for point in &self.points {
            let read = point.read.as_ref().filter(|place| place.table == table);
            if read.is_some_and(|place| place.addresses().any(|address| span.contains(&address))) {
                self.mischief.happen(|fault| *fault == Fault::Sentinel(point.capability.clone()));
            }
        }
    }

    fn is_there(&self, cell: (Table, u16)) -> bool {
        self.cells.contains_key(&cell)
            || self.gaps.contains(&cell) && !self.mischief.has(|fault| *fault == Fault::Holes)
    }

    /// Whether a fault forbids these addresses.
    fn barred(&mut self, table: Table, start: u16, count: usize) -> Result<(), Exception> {
        let is_hit = |hole: &HoleAt| {
            hole.table.is_none_or(|name| name == table.name())
                && usize::from(hole.address).checked_sub(start.into()).is_some_and(|offset| offset < count)
        };
        if self.mischief.happen(|fault| matches!(fault, Fault::Hole(hole) if is_hit(hole))).is_some() {
            return Err(Exception::ADDRESS);
        }
        Ok(())
    }

    /// What the written cells mean to each capability that they touch.
    fn effects(
        &self,
        table: Table,
        written: &BTreeMap<(Table, u16), u16>,
        touched: &BTreeSet<u16>,
    ) -> Result<Vec<(String, f64)>, Exception> {
        let mut effects = Vec::new();
        let mut known: BTreeSet<u16> =
            self.commanded.iter().filter(|cell| cell.0 == table).map(|cell| cell.1).collect();
        for (point, place) in self.points.iter().filter_map(|point| Some((point, point.write.as_ref()?))) {
            let addresses: BTreeSet<u16> = place.addresses().collect();
            if place.table != table || addresses.is_disjoint(touched) {
                continue;
            }
            let value = place.decode(&picked(written, place)).ok_or(Exception::VALUE)?;
            let (low, high) = point.range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            if !(low..=high).contains(&value) {
                return Err(Exception::VALUE);
            }
            effects.push((point.capability.clone(), value));
            known.extend(addresses);
        }
        if touched.is_subset(&known) { Ok(effects) } else { Err(Exception::ADDRESS) }
    }
}

impl Memory for ModbusDevice {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.barred(table, start, count.into())?;
        let is_too_long = |fault: &Fault| matches!(fault, Fault::MaxRegisters(most) if count > *most);
        if !table.is_bits() && self.mischief.happen(is_too_long).is_some() {
            return Err(Exception::VALUE);
        }
        self.render();
        let addresses = (0..count).map(|offset| start.checked_add(offset));
        let mut cells = Vec::with_capacity(usize::from(count));
        for address in addresses {
            let cell = (table, address.ok_or(Exception::ADDRESS)?);
            if !self.is_there(cell) {
                return Err(Exception::ADDRESS);
            }
            cells.push(self.cells.get(&cell).copied().unwrap_or(0));
        }
        self.count_sentinels(table, start, count);
        Ok(cells)
    }

    fn write(&mut self, table: Table, start: u16, cells: &[u16]) -> Result<(), Exception> {
        self.barred(table, start, cells.len())?;
        self.render();
        let mut written = self.cells.clone();
        let mut touched = BTreeSet::new();
        for (offset, cell) in (0_u16..).zip(cells) {
            let address = start.checked_add(offset).ok_or(Exception::ADDRESS)?;
            touched.insert(address);
            written.insert((table, address), *cell);
        }
        let effects = self.effects(table, &written, &touched)?;
        if self.mischief.happen(|fault| *fault == Fault::Frozen).is_some() {
            return Ok(());
        }
        self.cells = written;
        for (capability, value) in effects {
            self.world.actuate(&capability, value).map_err(|_| Exception::FAILURE)?;
        }
        Ok(())
    }
}

fn shown(point: &Point, value: f64) -> SimValue {
    if point.nature.is_binary() {
        return SimValue::Bool(value != 0.0);
    }
    let state = point.states.get(value as usize).filter(|_| point.nature.is_named());
    state.map_or(SimValue::Number(value), |state| SimValue::Text(state.clone()))
}

fn picked(cells: &BTreeMap<(Table, u16), u16>, place: &Place) -> Vec<u16> {
    place.addresses().filter_map(|address| cells.get(&(place.table, address)).copied()).collect()
}

fn place_cells(cells: &mut BTreeMap<(Table, u16), u16>, place: &Place, words: &[u16]) {
    cells.extend(place.addresses().zip(words).map(|(address, word)| ((place.table, address), *word)));
}

/// Every cell that a capability uses. Bits that belong to none are random, so that a client that does not keep them
/// is found out.
fn cells(points: &[Point], seed: u64) -> BTreeMap<(Table, u16), u16> {
    let mut rng = Rng::named(seed, "unowned bits");
    let mut cells = BTreeMap::new();
    for place in points.iter().flat_map(|point| [&point.read, &point.write]).flatten() {
        for address in place.addresses() {
            let noise = if place.table.is_bits() || place.bits.is_none() { 0 } else { rng.next_u64() as u16 };
            cells.entry((place.table, address)).or_insert(noise);
        }
    }
    cells
}

/// The unused addresses between two used ones that are near enough.
fn gaps(cells: &BTreeMap<(Table, u16), u16>, max_gap: u16) -> BTreeSet<(Table, u16)> {
    let pairs = cells.keys().zip(cells.keys().skip(1));
    let near = pairs.filter(|(a, b)| a.0 == b.0 && b.1 - a.1 > 1 && b.1 - a.1 - 1 <= max_gap);
    near.flat_map(|(a, b)| (a.1 + 1..b.1).map(move |address| (a.0, address))).collect()
}
