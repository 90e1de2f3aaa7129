//! What becomes of reports that the core has no room for.

use std::collections::VecDeque;
use std::sync::Arc;

use usp_mapping::mapping::Mapping;
use usp_mapping::port::{AdapterReport, DeviceId, Readings};

use crate::FromAdapter;

/// Puts a report last and so that it takes no more room than there is for each point of a device: a newer reading takes the
/// place of an older one of the same point. What is said after a doubt stays behind it, or it would be doubted too. How many
/// were dropped.
pub(crate) fn merge(waiting: &mut VecDeque<FromAdapter>, message: FromAdapter) -> u64 {
    match message {
        FromAdapter::Report(AdapterReport::Readings { device, mapping, readings }) => {
            merge_readings(waiting, device, mapping, readings)
        }
        FromAdapter::Report(
            AdapterReport::Online { ref device, .. } | AdapterReport::Believed { ref device },
        ) => {
            let before = waiting.len();
            waiting.retain(|other| !is_presence_of(other, device));
            let dropped = before - waiting.len();
            waiting.push_back(message);
            u64::try_from(dropped).unwrap_or(u64::MAX)
        }
        FromAdapter::Report(AdapterReport::Doubtful { ref device, .. }) => {
            let dropped = doubt_once(waiting, device);
            waiting.push_back(message);
            dropped
        }
        // As many as there are calls; and no scheduler adopts anything.
        FromAdapter::Reply(_) | FromAdapter::Adopted(_) | FromAdapter::Bus(_) => {
            waiting.push_back(message);
            0
        }
    }
}

fn merge_readings(
    waiting: &mut VecDeque<FromAdapter>,
    device: DeviceId,
    mapping: Arc<Mapping>,
    readings: Readings,
) -> u64 {
    let since_doubt = waiting.iter_mut().rev().take_while(|other| !is_doubt_of(other, &device));
    let mut known = since_doubt.filter_map(|other| match other {
        FromAdapter::Report(AdapterReport::Readings { device: of, mapping: by, readings: known }) => {
            (*of == device && Arc::ptr_eq(by, &mapping)).then_some(known)
        }
        FromAdapter::Report(_) | FromAdapter::Reply(_) | FromAdapter::Adopted(_) | FromAdapter::Bus(_) => {
            None
        }
    });
    let Some(known) = known.next() else {
        let report = AdapterReport::Readings { device, mapping, readings };
        waiting.push_back(FromAdapter::Report(report));
        return 0;
    };
    let before = known.len();
    known.retain(|old| !readings.iter().any(|newer| newer.point == old.point));
    let dropped = before - known.len();
    known.extend(readings);
    u64::try_from(dropped).unwrap_or(u64::MAX)
}

/// The next doubt is of the same points and of all that waits: an older one says no more, and nothing need be kept apart any longer.
fn doubt_once(waiting: &mut VecDeque<FromAdapter>, id: &DeviceId) -> u64 {
    let Some(doubt) = waiting.iter().position(|other| is_doubt_of(other, id)) else { return 0 };
    waiting.remove(doubt);
    let mut dropped = 0;
    for message in waiting.split_off(doubt) {
        match message {
            FromAdapter::Report(AdapterReport::Readings { device, mapping, readings }) if device == *id => {
                dropped += merge_readings(waiting, device, mapping, readings);
            }
            other => waiting.push_back(other),
        }
    }
    dropped
}

fn is_doubt_of(message: &FromAdapter, id: &DeviceId) -> bool {
    matches!(message, FromAdapter::Report(AdapterReport::Doubtful { device, .. }) if device == id)
}

fn is_presence_of(message: &FromAdapter, id: &DeviceId) -> bool {
    match message {
        FromAdapter::Report(AdapterReport::Online { device, .. } | AdapterReport::Believed { device }) => {
            device == id
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use usp_mapping::port::{PointId, Reading};
    use usp_mapping::value::Value;

    use super::*;
    use crate::bus::fake::{mapping, number, on_demand};

    /// What waits: `0=1` for a reading, `?` for a doubt, of one device.
    fn told(waiting: &VecDeque<FromAdapter>) -> Vec<String> {
        let words = |readings: &Readings| {
            let said = |reading: &Reading| {
                let value = reading.result.as_ref().map_or("none".to_owned(), Value::to_usp);
                format!("{}={value}", reading.point.0)
            };
            readings.iter().map(said).collect::<Vec<_>>().join(" ")
        };
        let told = waiting.iter().map(|message| match message {
            FromAdapter::Report(AdapterReport::Readings { readings, .. }) => words(readings),
            FromAdapter::Report(AdapterReport::Doubtful { why, .. }) => format!("?{why}"),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    #[test]
    fn what_is_said_after_a_doubt_is_not_doubted() {
        let (mut waiting, mapping) = (VecDeque::new(), Arc::new(mapping(&[on_demand(), on_demand()])));
        let device = || DeviceId("a".into());
        let reads = |point, value| {
            let (mapping, readings) =
                (Arc::clone(&mapping), vec![Reading::now(PointId(point), Ok(number(value)))]);
            FromAdapter::Report(AdapterReport::Readings { device: device(), mapping, readings })
        };
        let doubt = |device: DeviceId, why: &str| {
            let (mapping, points, why) = (Arc::clone(&mapping), vec![PointId(0), PointId(1)], why.into());
            FromAdapter::Report(AdapterReport::Doubtful { device, mapping, points, why })
        };
        assert_eq!(merge(&mut waiting, reads(0, 1)) + merge(&mut waiting, reads(1, 1)), 0);
        assert_eq!(merge(&mut waiting, doubt(device(), "x")), 0);
        assert_eq!(merge(&mut waiting, reads(0, 2)), 0);
        assert_eq!(told(&waiting), ["0=1 1=1", "?x", "0=2"]);
        assert_eq!(merge(&mut waiting, reads(0, 3)), 1);
        assert_eq!(told(&waiting), ["0=1 1=1", "?x", "0=3"]);
        // However often, there is no more of it.
        assert_eq!(merge(&mut waiting, doubt(device(), "y")), 1);
        assert_eq!(told(&waiting), ["1=1 0=3", "?y"]);
        merge(&mut waiting, doubt(DeviceId("b".into()), "z"));
        merge(&mut waiting, reads(1, 4));
        assert_eq!(told(&waiting), ["1=1 0=3", "?y", "?z", "1=4"], "each device has doubts of its own");
    }
}
