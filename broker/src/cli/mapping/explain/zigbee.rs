//! What Zigbee devices report and are sent: frames of the Zigbee Cluster Library, byte for byte.

use std::time::Duration;

use usp_mapping::mapping::{Mapping, Poll, ZigbeeFrame, ZigbeeFrom, ZigbeeOptions, ZigbeeRead};
use usp_mapping::zigbee::clusters;

use super::messages::{HeardTold, MannerTold};
use super::text::period;

/// How a device is set up and asked.
pub(super) fn manner(mapping: &Mapping, options: &ZigbeeOptions, asks_per_hour: f64) -> MannerTold {
    let timeout = period(options.timeout.as_millis());
    let mut words = vec![if options.sleepy {
        format!("It sleeps: what is sent waits until it asks for it, and then has {timeout} for its answer.")
    } else {
        format!("Each request has {timeout} for its answer.")
    }];
    words.push(match asks_per_hour {
        0.0 => "No poll asks it: it reports.".to_owned(),
        most => format!("Polls ask it at most {most:.0} times an hour."),
    });
    words.extend(set_up(mapping, options));
    words.push(
        "Frames are shown from the frame control on, with 00 for the transaction sequence number.".to_owned(),
    );
    MannerTold { timeout_ms: options.timeout.as_millis(), again_ms: Vec::new(), asks_per_hour, words }
}

/// What is done after it has joined.
fn set_up(mapping: &Mapping, options: &ZigbeeOptions) -> Vec<String> {
    let setup = mapping.zigbee_setup();
    let mut words = Vec::new();
    let bound: Vec<String> =
        setup.bindings.iter().map(|(endpoint, cluster)| place(*endpoint, *cluster)).collect();
    if !bound.is_empty() {
        words.push(format!("After it has joined these are bound to the coordinator: {}.", bound.join(", ")));
    }
    for zone in &setup.zones {
        words.push(format!(
            "Its IAS zone at endpoint {zone} is enrolled, and says its status to the coordinator."
        ));
    }
    for reporting in &setup.reports {
        words.push(format!(
            "Configure Reporting, {}: {}",
            place(reporting.endpoint, reporting.cluster),
            hex(&reporting.frame().bytes())
        ));
    }
    words.extend(options.setup.iter().map(|frame| format!("Set up by {}.", over_the_air(frame))));
    words
}

/// `endpoint 1 on_off`
fn place(endpoint: u8, cluster: u16) -> String {
    format!("endpoint {endpoint} {}", clusters::shown(cluster))
}

/// Where a frame goes, and its bytes with 00 for the transaction sequence number.
pub(super) fn over_the_air(frame: &ZigbeeFrame) -> String {
    format!("{}: {}", place(frame.endpoint, frame.cluster), hex(&frame.bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What is asked, if a poll asks it.
pub(super) fn asked(read: &ZigbeeRead) -> Option<String> {
    read.ask().map(|frame| over_the_air(&frame))
}

/// Where a value comes from.
pub(super) fn heard(read: &ZigbeeRead, poll: Poll, often: &str) -> HeardTold {
    let mut how = Vec::new();
    if let ZigbeeFrom::Attribute(attribute) = &read.from
        && let Some(report) = &attribute.report
    {
        let seconds = |seconds: u16| period(Duration::from_secs(seconds.into()).as_millis());
        let change = report.change.map_or(String::new(), |change| format!(", by {change} or more"));
        how.push(format!(
            "reported when it changes{change}, after {} to {}",
            seconds(report.min),
            seconds(report.max)
        ));
    } else if read.is_heard() {
        how.push("sent by the device when it likes".to_owned());
    }
    if let Some(frame) = read.ask() {
        let silent = if read.is_heard() && poll.every().is_some() { " of silence" } else { "" };
        how.push(format!("read {often}{silent} with {}", hex(&frame.bytes)));
    }
    if let Some(after) = read.clears {
        how.push(format!("over when it was not said for {}", period(after.as_millis())));
    }
    HeardTold {
        from: format!("endpoint {}", read.endpoint),
        what: read.described(),
        how: how.join("; "),
        points: Vec::new(),
    }
}
