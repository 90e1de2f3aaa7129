//! All devices of a bus together.

use std::time::Duration;

use serde::Serialize;
use usp_adapters::explain;
use usp_mapping::mapping::Site;

use super::device::{Told, ms};
use super::subject::bus_words;

/// A line that is used for more than this leaves no room for writes and repetitions.
const BUSY: f64 = 0.8;

/// One bus.
#[derive(Debug, Serialize)]
pub(in crate::cli::mapping) struct BusTold {
    pub(super) bus: String,
    pub(super) kind: String,
    pub(super) devices: usize,
    pub(super) delay_ms: f64,
    pub(super) load: f64,
    /// Everything that is polled, read at once: as at the start.
    pub(super) all_ms: f64,
    /// How often at most a device that is offline is asked while others are there; of a bus where that costs them something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost_every_ms: Option<u128>,
    pub(super) warnings: Vec<String>,
}

/// Adds up what the devices of each bus need.
///
/// The device of a mapping alone may have neighbours, for all that is known.
pub(super) fn tell_buses(site: &Site, devices: &[Told], delay: Duration, alone: bool) -> Vec<BusTold> {
    let told = site.buses.iter().map(|bus| {
        let here: Vec<&Told> = devices.iter().filter(|device| device.bus == bus.name).collect();
        let load = here.iter().map(|device| device.load).sum::<f64>() + 0.0;
        BusTold {
            bus: bus.name.clone(),
            kind: bus_words(&bus.kind),
            devices: here.len(),
            delay_ms: ms(delay),
            load,
            all_ms: here.iter().map(|device| device.all_ms).sum::<f64>() + 0.0,
            lost_every_ms: lost_every(site, &bus.name, alone).map(|every| every.as_millis()),
            warnings: warning(load, &here).into_iter().chain(late(site, &here)).collect(),
        }
    });
    told.collect()
}

fn lost_every(site: &Site, bus: &str, alone: bool) -> Option<Duration> {
    let here: Vec<_> = site.devices.iter().filter(|device| device.bus == bus).collect();
    let timeouts = here.iter().filter_map(|device| Some(device.mapping.protocol.modbus()?.timeout));
    timeouts.max().filter(|_| alone || here.len() > 1).map(explain::lost_every)
}

/// Devices whose `timeout` is over before the longest reply is there, at each attempt.
fn late(site: &Site, devices: &[&Told]) -> Vec<String> {
    let late = devices.iter().filter_map(|told| {
        let device = site.devices.iter().find(|device| *device.id.0 == *told.device)?;
        let timeout = ms(device.mapping.protocol.modbus()?.timeout);
        let exchanges = told.groups.iter().flat_map(|group| &group.exchanges);
        let longest = exchanges.max_by(|one, other| one.answered_ms.total_cmp(&other.answered_ms))?;
        (longest.answered_ms > timeout).then(|| {
            format!(
                "`{}` can never answer in time: `{}` takes {:.1} ms, and `timeout` is {timeout} ms; raise it, or the \
                 speed of the line, or read less at a time with `max_registers`",
                told.device, longest.what, longest.answered_ms
            )
        })
    });
    late.collect()
}

fn warning(load: f64, devices: &[&Told]) -> Option<String> {
    if load <= BUSY {
        let slow = devices.iter().find(|device| device.own > 1.0)?;
        return Some(format!(
            "`{}` cannot be asked that fast: with its `guard` the polls need {} % of its time; poll it less often",
            slow.device,
            (slow.own * 100.0).ceil()
        ));
    }
    let percent = (load * 100.0).ceil();
    let most = devices.iter().rev().max_by(|a, b| a.load.total_cmp(&b.load))?;
    let group = most.groups.iter().find(|group| group.every_ms.is_some())?;
    let advice = format!(
        "most of it is `{}`, which reads `{}` every {} ms: poll it less often, raise the speed of the line, or let \
         `max_gap` join requests",
        most.device,
        group.group,
        group.every_ms.unwrap_or_default()
    );
    Some(if load > 1.0 {
        format!(
            "the polls need {percent} % of the bus' time, so every period becomes {load:.1} times as long as it \
             should be; {advice}"
        )
    } else {
        format!("the polls need {percent} % of the bus' time, which leaves little for writes; {advice}")
    })
}
