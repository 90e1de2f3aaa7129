//! Raw values of points that are read in several places, until all of them are there.

use std::collections::BTreeMap;
use std::time::Instant;

use usp_mapping::mapping::{CoapRead, Point, ReadPoint};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::transform::Raw;
use usp_mapping::value::Value;

/// What is known of each place of points that have more than one, since which round, and since when.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    round: u32,
    known: BTreeMap<PointId, Vec<Part>>,
}

/// A place, the round and the moment in which it was said, and what.
type Part = (CoapRead, (u32, Instant), Raw);

/// A value, and when the oldest part of it was said.
pub(crate) type Put = (Result<Value, DeviceFault>, Instant);

impl Assembly {
    /// Begins a round of reads.
    pub(crate) fn begin(&mut self) -> u32 {
        self.round += 1;
        self.round
    }

    /// The newest round.
    pub(crate) fn round(&self) -> u32 {
        self.round
    }

    /// Forgets everything: the device may be another one, or may have changed.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// Takes the raw value of one place in; gives the value of the point when all of its places are known, those that were
    /// read at least since this round.
    pub(crate) fn add(
        &mut self,
        (since, now): (u32, Instant),
        point: Point<'_>,
        place: &CoapRead,
        raw: Result<Raw, DeviceFault>,
    ) -> Option<Put> {
        let Some(binding) = point.read else { return Some((Err(DeviceFault::Unknown), now)) };
        let raw = match raw {
            Ok(raw) => raw,
            Err(fault) => return Some((Err(fault), now)),
        };
        if binding.places().count() == 1 {
            return Some((binding.decode(point.class, |_| Ok(raw.clone())), now));
        }
        let round = self.round;
        let known = self.known.entry(point.id).or_default();
        known.retain(|(other, ..)| other != place);
        known.push((place.clone(), (round, now), raw));
        let find = |wanted: &ReadPoint| {
            let ReadPoint::Coap(wanted) = wanted else { return None };
            known.iter().find(|(place, (round, _), _)| place == wanted && *round >= since)
        };
        let oldest = binding.places().map(|place| find(place).map(|(_, (_, at), _)| *at));
        let oldest = oldest.collect::<Option<Vec<_>>>()?.into_iter().min().unwrap_or(now);
        let raw = |place: &ReadPoint| find(place).map(|(.., raw)| raw.clone()).ok_or(DeviceFault::Unknown);
        Some((binding.decode(point.class, raw), oldest))
    }
}
