//! Raw values of points that are read in several places, until all of them are there.

use std::collections::BTreeMap;

use usp_mapping::mapping::{ModbusPoint, Point, ReadBinding, ReadPoint};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::transform::Raw;
use usp_mapping::value::Value;

/// A point may be half read in so many rounds at once: by a poll, for a caller, and to verify a write.
const ROUNDS: usize = 4;

/// What has come in, by the round of reads that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    round: u32,
    open: BTreeMap<(PointId, u32), Vec<(ModbusPoint, Raw)>>,
}

impl Assembly {
    /// Begins a round.
    pub(crate) fn begin(&mut self) -> u32 {
        self.round = self.round.wrapping_add(1);
        self.round
    }

    /// What earlier rounds left incomplete of a point is forgotten once there is too much of it.
    fn make_room(&mut self, point: PointId, round: u32) {
        let open = self.open.range((point, 0)..=(point, u32::MAX)).map(|(key, _)| *key);
        let others: Vec<_> = open.filter(|(_, begun)| *begun != round).collect();
        if let Some(oldest) = others.first().filter(|_| others.len() >= ROUNDS) {
            self.open.remove(oldest);
        }
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
        self.make_room(point.id, round);
        let parts = self.open.entry((point.id, round)).or_default();
        parts.retain(|(other, _)| *other != place);
        parts.push((place, raw));
        let find = |place: &ModbusPoint| parts.iter().find(|(other, _)| other == place);
        if !places(binding).all(|place| find(&place).is_some()) {
            return None;
        }
        let missing = || DeviceFault::Garbled("it does not hold the value".to_owned());
        let value = binding.decode(point.class, |place| {
            place.modbus().and_then(find).map(|(_, raw)| raw.clone()).ok_or_else(missing)
        });
        self.open.remove(&(point.id, round));
        Some(value)
    }
}

fn places(binding: &ReadBinding) -> impl Iterator<Item = ModbusPoint> {
    binding.places().filter_map(ReadPoint::modbus).copied()
}
