//! What is in a device besides its capabilities: exponents, what commands write, what events see, fingerprints.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use usp_mapping::draft::{EventDraft, MappingDraft, OnDraft, PointDraft};
use usp_mapping::mapping::{ByteHalf, ByteOrder, ModbusPoint, RegisterEncoding};

use super::super::encoding::Number;
use super::super::pdu::Table;
use super::super::point::{Codec, Nature, Place, Point};
use super::{codec, encoding, named_states, order, table};

/// Where a point is, when nothing is inherited.
pub(super) fn resolved(point: &PointDraft, order: ByteOrder) -> Option<ModbusPoint> {
    let (table, address) = point.at.place?.value;
    let half = point.at.half.map_or(ByteHalf::Low, |at| at.value);
    let encoding = match point.at.encoding.map_or(RegisterEncoding::U16, |at| at.value) {
        RegisterEncoding::U8(_) => RegisterEncoding::U8(half),
        RegisterEncoding::S8(_) => RegisterEncoding::S8(half),
        other => other,
    };
    let registers = point.at.registers.map_or_else(|| encoding.registers(), |at| at.value);
    Some(ModbusPoint {
        table,
        address,
        count: if table.is_bits() { 1 } else { registers },
        encoding,
        order: point.at.order.map_or(order, |at| at.value),
        bits: point.at.bits.map(|at| at.value).filter(|_| !table.is_bits()),
    })
}

fn plain(point: ModbusPoint, codec: Codec) -> Place {
    Place {
        table: table(point.table),
        address: point.address,
        encoding: encoding(point.encoding, point.count),
        order: order(point.order),
        bits: point.bits,
        codec,
        sentinel: None,
    }
}

/// The powers of ten that numbers are multiplied by, and where each stands.
///
/// Each is -1, so that a broker that forgets it is found out, unless a 16-bit energy needs all its room.
pub(super) struct Exponents(BTreeMap<(Table, u16), i16>);

impl Exponents {
    pub(super) fn of(draft: &MappingDraft) -> Self {
        let mut exponents = BTreeMap::new();
        for capability in draft.bound() {
            let is_large = capability
                .unit
                .as_ref()
                .is_some_and(|unit| matches!(unit.value.as_str(), "kWh" | "Wh" | "J"));
            let single = capability.read_point(draft).is_some_and(|point| point.count < 2);
            let reads = capability.read.iter().chain(capability.values.iter().map(|(_, read)| read));
            let points =
                reads.map(|read| &read.point).chain(capability.write.iter().map(|write| &write.point));
            for at in points.filter_map(|point| point.at.exponent) {
                let power = exponents.entry((table(at.value.0), at.value.1)).or_insert(-1);
                if is_large && single {
                    *power = 0;
                }
            }
        }
        Self(exponents)
    }

    /// The factor that stands there.
    pub(super) fn power(&self, cell: (Table, u16)) -> Decimal {
        if self.0.get(&cell) == Some(&-1) { Decimal::new(1, 1) } else { Decimal::ONE }
    }

    pub(super) fn cells(&self) -> BTreeMap<(Table, u16), u16> {
        self.0.iter().map(|(cell, power)| (*cell, *power as u16)).collect()
    }
}

/// What an event is seen by.
pub(super) fn event(draft: &MappingDraft, event: &EventDraft) -> Option<Point> {
    let read = &event.read.as_ref()?.point;
    let at = resolved(read, draft.order())?;
    let states = named_states([Some(read), None]);
    let (nature, codec) = match event.on.as_ref().map(|on| &on.value) {
        _ if !states.is_empty() => (Nature::Indicator, codec(read, Nature::Indicator, &states)),
        Some(OnDraft::OneOf(raws)) => {
            let raws: Vec<i128> = raws.iter().filter_map(|raw| whole(&raw.value)).collect();
            let idle = (0..).find(|raw| !raws.contains(raw)).unwrap_or(0);
            let on = raws.into_iter().map(|raw| (raw, 1.0));
            (Nature::Detector, Codec::Listed([(idle, 0.0)].into_iter().chain(on).collect()))
        }
        Some(OnDraft::Change) => (Nature::Gauge, codec(read, Nature::Gauge, &states)),
        Some(OnDraft::Becomes(_)) | None => (Nature::Detector, codec(read, Nature::Detector, &states)),
    };
    Some(Point {
        capability: event.id.value.clone(),
        nature,
        kind: String::new(),
        unit: None,
        range: None,
        states,
        read: Some(plain(at, codec)),
        write: None,
    })
}

/// What is in a device by which a scan knows its model.
pub(super) fn fingerprint(draft: &MappingDraft) -> BTreeMap<(Table, u16), u16> {
    let mut cells = BTreeMap::new();
    for mark in &draft.fingerprint {
        let (Some(at), Some(value)) = (resolved(&mark.point, draft.order()), mark.equals.first()) else {
            continue;
        };
        let place = plain(at, Codec::Flag { invert: false });
        let words = match whole(&value.value) {
            Some(number) if !matches!(at.encoding, RegisterEncoding::Text | RegisterEncoding::Bytes) => {
                place.encoding.encode(place.order, Number::Int(number))
            }
            _ => place.encoding.encode_text(place.order, &value.value),
        };
        cells.extend(place.addresses().map(|address| (place.table, address)).zip(words));
    }
    cells
}

/// The cells that commands write.
pub(super) fn commanded(draft: &MappingDraft) -> BTreeSet<(Table, u16)> {
    let steps = draft.commands.iter().flat_map(|command| &command.send);
    let places = steps.filter_map(|step| resolved(&step.point, draft.order()));
    let cells = places.flat_map(|at| {
        let place = plain(at, Codec::Flag { invert: false });
        place.addresses().map(move |address| (place.table, address))
    });
    cells.collect()
}

fn whole(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
