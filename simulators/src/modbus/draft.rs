//! From a mapping draft to what has to be simulated.
//!
//! Only the parsed draft is used; how its words become registers is decided here and in [`super::encoding`] again.

mod extras;

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use usp_mapping::draft::{At, CapabilityDraft, MapDraft, MappingDraft, PointDraft, ReadDraft, Sentinel};
use usp_mapping::mapping::{ByteHalf, ByteOrder, ModbusPoint, ModbusTable, RegisterEncoding};
use usp_mapping::transform::MapTarget;

use self::extras::Exponents;
use super::device::ModbusDevice;
use super::encoding::{Encoding, Number, Order};
use super::pdu::Table;
use super::point::{Blueprint, Codec, Nature, Place, Point};

/// Why no device can be made from a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The draft has no capability.
    #[error("the mapping has no capability to simulate")]
    Empty,
    /// Something is missing that the mapping's own check reports too.
    #[error("capability {capability} cannot be simulated: it has no usable {missing}")]
    Incomplete {
        /// Its key.
        capability: String,
        /// What is missing.
        missing: &'static str,
    },
    /// There is no simulation for this class.
    #[error("capability {capability} cannot be simulated: class {class}")]
    Class {
        /// Its key.
        capability: String,
        /// Its class.
        class: String,
    },
}

impl ModbusDevice {
    /// Builds the device that a mapping describes.
    ///
    /// Errors: the draft lacks something that the mapping's own check reports as well.
    pub fn from_draft(draft: &MappingDraft, seed: u64) -> Result<Self, DraftError> {
        blueprint(draft).map(|blueprint| Self::new(blueprint, seed))
    }
}

/// What a draft says about a device.
pub fn blueprint(draft: &MappingDraft) -> Result<Blueprint, DraftError> {
    let exponents = Exponents::of(draft);
    let mut points = Vec::new();
    for capability in draft.bound() {
        points.extend(capability_points(draft, capability, &exponents)?);
    }
    if points.is_empty() {
        return Err(DraftError::Empty);
    }
    let used: BTreeSet<(Table, u16)> = points.iter().flat_map(cells_of).collect();
    for event in &draft.events {
        points.extend(
            extras::event(draft, event).filter(|point| !cells_of(point).any(|cell| used.contains(&cell))),
        );
    }
    let profile = draft.profile.as_ref().map(|at| at.value.clone()).unwrap_or_default();
    let version = draft.version.as_ref().map(|at| at.value.clone()).unwrap_or_default();
    let gaps = draft.max_gap();
    let max_gap = gaps.coil.max(gaps.discrete).max(gaps.holding).max(gaps.input);
    let mut constants = exponents.cells();
    constants.extend(extras::fingerprint(draft).into_iter().filter(|(cell, _)| !used.contains(cell)));
    let commanded = extras::commanded(draft);
    Ok(Blueprint { profile, version, points, max_gap, constants, commanded })
}

fn cells_of(point: &Point) -> impl Iterator<Item = (Table, u16)> + use<> {
    let places: Vec<Place> = [&point.read, &point.write].into_iter().flatten().cloned().collect();
    places.into_iter().flat_map(|place| place.addresses().map(move |address| (place.table, address)))
}

/// A capability, or each number of a MultiLevelSensor by itself: `position.Latitude`.
fn capability_points(
    draft: &MappingDraft,
    capability: &CapabilityDraft,
    exponents: &Exponents,
) -> Result<Vec<Point>, DraftError> {
    if capability.values.is_empty() {
        return Ok(vec![point(draft, capability, exponents)?]);
    }
    let part = |(name, read): &(At<String>, ReadDraft)| {
        let id = format!("{}.{}", capability.id.value, name.value);
        let resolved = extras::resolved(&read.point, draft.order());
        let place = place(resolved, Some(&read.point), Nature::Gauge, &[], exponents);
        let missing = DraftError::Incomplete { capability: id.clone(), missing: "read" };
        let read = place.ok_or(missing)?;
        Ok(Point { capability: id, read: Some(read), ..bare(capability, Nature::Gauge) })
    };
    capability.values.iter().map(part).collect()
}

fn bare(capability: &CapabilityDraft, nature: Nature) -> Point {
    Point {
        capability: capability.id.value.clone(),
        nature,
        kind: capability.kind.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        unit: capability.unit.as_ref().map(|at| at.value.clone()),
        range: range(capability),
        states: Vec::new(),
        read: None,
        write: None,
    }
}

fn point(
    draft: &MappingDraft,
    capability: &CapabilityDraft,
    exponents: &Exponents,
) -> Result<Point, DraftError> {
    let id = &capability.id.value;
    let missing = |missing| DraftError::Incomplete { capability: id.clone(), missing };
    let class = capability.class.ok_or_else(|| missing("class"))?.value.name();
    let nature = Nature::of_class(class)
        .ok_or_else(|| DraftError::Class { capability: id.clone(), class: class.to_owned() })?;
    let meaning = capability.read.as_ref().map(|read| &read.point);
    let own = capability.write.as_ref().map(|write| &write.point);
    let states = named_states([meaning, own]);
    if nature.is_named() && states.is_empty() {
        return Err(missing("map"));
    }
    let write_meaning = own.filter(|point| point.has_meaning()).or(meaning).or(own);
    let read = place(capability.read_point(draft), meaning, nature, &states, exponents);
    let write = place(capability.write_point(draft), write_meaning, nature, &states, exponents);
    if read.is_none() && write.is_none() {
        return Err(missing("read or write"));
    }
    Ok(Point { states, read, write, ..bare(capability, nature) })
}

/// A control's `min` and `max`, else a sensor's `valid`.
fn range(capability: &CapabilityDraft) -> Option<(f64, f64)> {
    let bounds = capability.min.zip(capability.max).map(|(min, max)| (min.value, max.value));
    let (low, high) = bounds.or(capability.valid.map(|at| at.value))?;
    low.to_f64().zip(high.to_f64())
}

/// The names of all states, in the order of the file.
fn named_states(points: [Option<&PointDraft>; 2]) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    for map in points.into_iter().flatten().filter_map(|point| point.map.as_ref()) {
        let numbers = map.entries.iter().map(|(_, target)| &target.value);
        for target in numbers.chain(map.texts.iter().map(|(_, target)| &target.value)) {
            if let MapTarget::Text(text) = target
                && !states.contains(text)
            {
                states.push(text.clone());
            }
        }
    }
    states
}

fn place(
    point: Option<ModbusPoint>,
    meaning: Option<&PointDraft>,
    nature: Nature,
    states: &[String],
    exponents: &Exponents,
) -> Option<Place> {
    let (point, meaning) = point.zip(meaning)?;
    let mut codec = codec(meaning, nature, states);
    if let (Codec::Linear { scale, .. }, Some(at)) = (&mut codec, meaning.at.exponent) {
        let power = exponents.power((table(at.value.0), at.value.1));
        *scale = scale.checked_mul(power).unwrap_or(*scale);
    }
    Some(Place {
        table: table(point.table),
        address: point.address,
        encoding: encoding(point.encoding, point.count),
        order: order(point.order),
        bits: point.bits,
        codec,
        sentinel: meaning.invalid.first().map(|at| sentinel(at.value, encoding(point.encoding, point.count))),
    })
}

/// What a float is in hexadecimal are its bits.
fn sentinel(sentinel: Sentinel, encoding: Encoding) -> Number {
    match encoding {
        Encoding::F16 | Encoding::F32 | Encoding::F64 if sentinel.hexadecimal => {
            let place = |word: u16| (sentinel.number >> (16 * word)) as u16;
            let words: Vec<u16> = (0..encoding.words()).rev().map(place).collect();
            encoding.decode(Order::default(), &words)
        }
        _ => Number::Int(sentinel.number),
    }
}

fn codec(meaning: &PointDraft, nature: Nature, states: &[String]) -> Codec {
    if let Some(map) = &meaning.map {
        return if map.texts.is_empty() {
            Codec::Listed(listed(map, states))
        } else {
            Codec::Texts(texts(map, states))
        };
    }
    if nature.is_binary() {
        return Codec::Flag { invert: meaning.invert.is_some_and(|at| at.value) };
    }
    Codec::Linear {
        scale: meaning.scale.map_or(Decimal::ONE, |at| at.value),
        offset: meaning.offset.map_or(Decimal::ZERO, |at| at.value),
    }
}

fn listed(map: &MapDraft, states: &[String]) -> Vec<(i128, f64)> {
    let value = |target: &MapTarget| match target {
        MapTarget::Bool(on) => Some(f64::from(u8::from(*on))),
        MapTarget::Text(text) => states.iter().position(|state| state == text).map(|state| state as f64),
    };
    map.entries.iter().filter_map(|(raw, target)| Some((raw.value, value(&target.value)?))).collect()
}

fn texts(map: &MapDraft, states: &[String]) -> Vec<(String, f64)> {
    let value = |target: &MapTarget| match target {
        MapTarget::Bool(on) => Some(f64::from(u8::from(*on))),
        MapTarget::Text(text) => states.iter().position(|state| state == text).map(|state| state as f64),
    };
    map.texts.iter().filter_map(|(raw, target)| Some((raw.value.clone(), value(&target.value)?))).collect()
}

fn table(table: ModbusTable) -> Table {
    match table {
        ModbusTable::Coil => Table::Coil,
        ModbusTable::Discrete => Table::Discrete,
        ModbusTable::Holding => Table::Holding,
        ModbusTable::Input => Table::Input,
    }
}

fn encoding(encoding: RegisterEncoding, registers: u16) -> Encoding {
    let int = |bits, signed| Encoding::Int { bits, signed };
    let byte = |half, signed| Encoding::Byte { high: half == ByteHalf::High, signed };
    match encoding {
        RegisterEncoding::U8(half) => byte(half, false),
        RegisterEncoding::S8(half) => byte(half, true),
        RegisterEncoding::U16 => int(16, false),
        RegisterEncoding::S16 => int(16, true),
        RegisterEncoding::U24 => int(24, false),
        RegisterEncoding::S24 => int(24, true),
        RegisterEncoding::U32 => int(32, false),
        RegisterEncoding::S32 => int(32, true),
        RegisterEncoding::U48 => int(48, false),
        RegisterEncoding::S48 => int(48, true),
        RegisterEncoding::U64 => int(64, false),
        RegisterEncoding::S64 => int(64, true),
        RegisterEncoding::F16 => Encoding::F16,
        RegisterEncoding::F32 => Encoding::F32,
        RegisterEncoding::F64 => Encoding::F64,
        RegisterEncoding::Bcd => Encoding::Bcd(registers),
        RegisterEncoding::Text | RegisterEncoding::Bytes => Encoding::Text(registers),
    }
}

fn order(order: ByteOrder) -> Order {
    let (low_word_first, low_byte_first) = match order {
        ByteOrder::Abcd => (false, false),
        ByteOrder::Cdab => (true, false),
        ByteOrder::Badc => (false, true),
        ByteOrder::Dcba => (true, true),
    };
    Order { low_word_first, low_byte_first }
}

#[cfg(test)]
mod tests;
