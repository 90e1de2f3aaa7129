//! Raw values of points that are read in several places, until all of them are there.

use std::collections::BTreeMap;

use usp_mapping::mapping::{CoapRead, Point, ReadPoint};
use usp_mapping::port::{DeviceFault, PointId};
use usp_mapping::transform::Raw;
use usp_mapping::value::Value;

/// What is known of each place of points that have more than one, and since which round.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    round: u32,
    known: BTreeMap<PointId, Vec<(CoapRead, u32, Raw)>>,
}

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

    /// Takes the raw value of one place in; gives the value of the point when all of its places are known, those that were
    /// read at least since this round.
    pub(crate) fn add(
        &mut self,
        since: u32,
        point: Point<'_>,
        place: &CoapRead,
        raw: Result<Raw, DeviceFault>,
    ) -> Option<Result<Value, DeviceFault>> {
        let Some(binding) = point.read else { return Some(Err(DeviceFault::Unknown)) };
        let raw = match raw {
            Ok(raw) => raw,
            Err(fault) => return Some(Err(fault)),
        };
        if binding.places().count() == 1 {
            return Some(binding.decode(point.class, |_| Ok(raw.clone())));
        }
        let round = self.round;
        let known = self.known.entry(point.id).or_default();
        known.retain(|(other, ..)| other != place);
        known.push((place.clone(), round, raw));
        let find = |wanted: &ReadPoint| {
            let ReadPoint::Coap(wanted) = wanted else { return None };
            known.iter().find(|(place, at, _)| place == wanted && *at >= since).map(|(.., raw)| raw.clone())
        };
        let complete = binding.places().all(|place| find(place).is_some());
        complete.then(|| binding.decode(point.class, |place| find(place).ok_or(DeviceFault::Unknown)))
    }
}
