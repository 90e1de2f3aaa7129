//! Points that are one whole register each, as most of very many are: what their transforms make of it is worked out
//! beforehand.

use usp_mapping::mapping::{Class, Mapping, ModbusPoint, Point};
use usp_mapping::port::PointId;
use usp_mapping::transform::Linear;
use usp_mapping::value::Value;

use super::model::sole_part;

/// How such a register is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    signed: bool,
    linear: Linear,
}

/// By the points of a mapping.
#[derive(Debug)]
pub(super) struct Plain {
    kinds: Vec<Kind>,
    /// One more than the place among the kinds; 0: it is no such point.
    by_point: Vec<u16>,
}

impl Plain {
    /// Looks through a mapping.
    pub(super) fn new(mapping: &Mapping) -> Self {
        let (mut kinds, mut by_point) = (Vec::new(), Vec::new());
        for point in mapping.points() {
            // Of a number that only grows, the one before has to be known too.
            let grows = mapping.model(point.id).is_some_and(|capability| capability.monotonic);
            let kind = Kind::of(&point).filter(|_| !grows);
            let place = kind.map(|kind| place_of(kind, &mut kinds));
            by_point.push(place.and_then(|place| u16::try_from(place + 1).ok()).unwrap_or_default());
        }
        by_point.shrink_to_fit();
        Self { kinds, by_point }
    }

    /// What a point reads; `None`: that takes the long way.
    pub(super) fn value(&self, point: PointId, register: u16) -> Option<Value> {
        let place = self.by_point.get(usize::from(point.0))?.checked_sub(1)?;
        let Kind { signed, linear } = self.kinds.get(usize::from(place))?;
        let raw = if *signed { register.cast_signed().into() } else { register.into() };
        linear.value(raw).map(Value::Number)
    }
}

impl Kind {
    fn of(point: &Point<'_>) -> Option<Self> {
        let part =
            sole_part(point).filter(|_| matches!(point.class, Class::LevelControl | Class::LevelSensor))?;
        let signed = part.point.modbus().and_then(ModbusPoint::whole_register)?;
        Some(Self { signed, linear: Linear::of(&part.transform)? })
    }
}

/// Where a kind is; most points are of few kinds.
fn place_of(kind: Kind, kinds: &mut Vec<Kind>) -> usize {
    kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
        kinds.push(kind);
        kinds.len() - 1
    })
}
