//! What becomes of reports that the core has no room for.

use std::collections::VecDeque;
use std::sync::Arc;

use usp_mapping::port::{AdapterReport, DeviceId};

use crate::FromAdapter;

/// Puts a report last and so that it takes no more room than there is for each point of a device: a newer reading takes the
/// place of an older one of the same point. How many were dropped.
pub(crate) fn merge(waiting: &mut VecDeque<FromAdapter>, message: FromAdapter) -> u64 {
    match message {
        FromAdapter::Report(AdapterReport::Readings { device, mapping, readings }) => {
            let known = waiting.iter_mut().rev().find_map(|other| match other {
                FromAdapter::Report(AdapterReport::Readings { device: of, mapping: by, readings: known }) => {
                    (*of == device && Arc::ptr_eq(by, &mapping)).then_some(known)
                }
                FromAdapter::Report(_)
                | FromAdapter::Reply(_)
                | FromAdapter::Adopted(_)
                | FromAdapter::Bus(_) => None,
            });
            let Some(known) = known else {
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
        FromAdapter::Report(
            AdapterReport::Online { ref device, .. } | AdapterReport::Believed { ref device },
        ) => {
            let before = waiting.len();
            waiting.retain(|other| !is_presence_of(other, device));
            let dropped = before - waiting.len();
            waiting.push_back(message);
            u64::try_from(dropped).unwrap_or(u64::MAX)
        }
        FromAdapter::Report(AdapterReport::Doubtful { .. }) => {
            waiting.retain(|other| *other != message);
            waiting.push_back(message);
            0
        }
        // As many as there are calls; and no scheduler adopts anything.
        FromAdapter::Reply(_) | FromAdapter::Adopted(_) | FromAdapter::Bus(_) => {
            waiting.push_back(message);
            0
        }
    }
}

fn is_presence_of(message: &FromAdapter, id: &DeviceId) -> bool {
    match message {
        FromAdapter::Report(AdapterReport::Online { device, .. } | AdapterReport::Believed { device }) => {
            device == id
        }
        _ => false,
    }
}
