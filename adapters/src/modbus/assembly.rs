//! Raw values of points that are read in several places, until all of them are there.

use std::collections::BTreeMap;

use usp_mapping::mapping::{ModbusPoint, Point, ReadBinding, ReadPoint};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::transform::Raw;
use usp_mapping::value::Value;

/// So many rounds of reads may be under way: polls, those of callers, and those that verify a write.
const ROUNDS: u32 = 16;

/// What has come in, by the round of reads that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    round: u32,
    open: BTreeMap<(u32, PointId), Vec<(ModbusPoint, Raw)>>,
}

impl Assembly {
    /// Begins a round. What others left incomplete is forgotten in time.
    pub(crate) fn begin(&mut self) -> u32 {
        self.round = self.round.wrapping_add(1);
        let round = self.round;
        self.open.retain(|(begun, _), _| round.wrapping_sub(*begun) < ROUNDS);
        round
    }

    /// Takes the raw value of one place in; gives the value of the point when it was the last one that was missing.
    pub(crate) fn add(
        &mut self,
        round: u32,
        point: Point<'_>,
        place: ModbusPoint,
        raw: Result<Raw, DeviceFault>,
    ) -> Option<Result<Value, DeviceFault>> {
        let Some(binding) = point.read else { return Some(Err(DeviceFault::Unknown)) };
        let raw = match raw {
            Ok(raw) => raw,
            Err(fault) => return Some(Err(fault)),
        };
        if places(binding).all(|other| other == place) {
            return Some(binding.decode(point.class, |_| Ok(raw.clone())));
        }
        let parts = self.open.entry((round, point.id)).or_default();
        parts.retain(|(other, _)| *other != place);
        parts.push((place, raw));
        let find = |place: &ModbusPoint| parts.iter().find(|(other, _)| other == place);
        if !places(binding).all(|place| find(&place).is_some()) {
            return None;
        }
        let missing = || DeviceFault::Garbled("it does not hold the value".to_owned());
        let value = binding.decode(point.class, |ReadPoint::Modbus(place)| {
            find(place).map(|(_, raw)| raw.clone()).ok_or_else(missing)
        });
        self.open.remove(&(round, point.id));
        Some(value)
    }
}

fn places(binding: &ReadBinding) -> impl Iterator<Item = ModbusPoint> {
    binding.places().map(|ReadPoint::Modbus(place)| *place)
}
