//! Intruder alarm systems: zones and warning devices.

use super::writer::Part;
use super::{Said, Source, Unsaid};

pub(super) fn add(source: &Source<'_>, part: &mut Part, unsaid: &mut Unsaid) {
    if source.has(0x0500) {
        zone(source, part, unsaid);
    }
    if source.has(0x0502) {
        // Mode burglar, strobe on, the loudest.
        let warn = "command: start_warning, fields: {info: 0x17, duration: \"${arg.Seconds}\"}";
        let args = "Seconds: {int: [1, 1800], default: 30}";
        part.command("Siren", "Sounds the alarm for so many seconds", args, "ias_wd", warn);
        let quiet = "command: start_warning, fields: {info: 0, duration: 0}";
        part.command("SirenOff", "Ends the alarm", "", "ias_wd", quiet);
        part.is("Siren");
    }
}

/// What the first alarm of a zone means, by its ZoneType (ZCL, table 8-5).
fn meaning(zone_type: Option<i128>) -> (&'static str, &'static str) {
    match zone_type {
        Some(0x000d) => ("motion", "MotionDetected"),
        Some(0x0015) => ("open", "DoorOpen"),
        Some(0x0016) => ("handle-open", "DoorOpen"),
        Some(0x0028) => ("smoke", "SmokeDetected"),
        Some(0x002a) => ("water", "WaterDetected"),
        Some(0x002b) => ("carbon-monoxide-alarm", "CarbonMonoxideDetected"),
        Some(0x002d) => ("vibration", "X_USPBROKER_Vibration"),
        Some(0x0226) => ("glass-break", "X_USPBROKER_GlassBreak"),
        _ => ("alarm", "X_USPBROKER_Alarm"),
    }
}

fn zone(source: &Source<'_>, part: &mut Part, unsaid: &mut Unsaid) {
    let zone_type = match source.said(0x0500, 0x0001) {
        Said::Holds(number) => Some(number),
        Said::Lacks => None,
        Said::Nothing => {
            let why = "it has not said what kind of zone it is: interview it again";
            return unsaid.push(("the alarm zone", why.to_owned()));
        }
    };
    let (key, kind) = meaning(zone_type);
    part.binary(key, kind, "ias_zone", "attribute: zone_status, bits: 0");
    if key == "alarm" {
        part.binary("second-alarm", "X_USPBROKER_Alarm", "ias_zone", "attribute: zone_status, bits: 1");
    }
    part.binary("tampered", "X_USPBROKER_Tampered", "ias_zone", "attribute: zone_status, bits: 2");
    part.binary("battery-low", "X_USPBROKER_BatteryLow", "ias_zone", "attribute: zone_status, bits: 3");
    if matches!(zone_type, Some(0x0028 | 0x002a | 0x002b)) {
        part.is("Alarm");
    }
}
