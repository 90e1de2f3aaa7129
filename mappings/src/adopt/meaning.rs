//! What bridges call things, in the words of TR-181.

use rust_decimal::Decimal;

use crate::mapping::Class;
use crate::tr181::{UNITS, advice, types};
use crate::value::parse_decimal;
use crate::words::translated;

/// `Type` of a number by what it is called or which kind it is of.
const LEVELS: &[(&str, &str)] = &[
    ("temperature", "Temperature"),
    ("humidity", "Humidity"),
    ("moisture", "Humidity"),
    ("battery", "Battery"),
    ("energy", "Energy"),
    ("energy_storage", "Energy"),
    ("power", "Power"),
    ("pressure", "Pressure"),
    ("illuminance", "Luminance"),
    ("brightness", "Brightness"),
    ("distance", "Distance"),
    ("speed", "Speed"),
    ("volume", "Volume"),
    ("gas", "Volume"),
    ("water", "Volume"),
    ("weight", "Weight"),
    ("duration", "Duration"),
    ("position", "Position"),
    ("tilt", "Position"),
    ("co2", "Concentration"),
    ("carbon_dioxide", "Concentration"),
    ("carbon_monoxide", "Concentration"),
    ("voc", "Concentration"),
    ("volatile_organic_compounds", "Concentration"),
    ("formaldehyd", "Concentration"),
    ("pm25", "Concentration"),
    ("pm10", "Concentration"),
    ("linkquality", "Intensity"),
    ("signal_strength", "Intensity"),
    ("rssi", "Intensity"),
    ("sound_pressure", "Intensity"),
    ("flow", "Flow"),
    ("volume_flow_rate", "Flow"),
    ("irradiance", "Radiation"),
    ("conductivity", "Conductivity"),
    ("depth", "Depth"),
    ("area", "Area"),
    ("acceleration", "Acceleration"),
    ("counter", "Counter"),
    ("count", "Counter"),
];

/// `Type` of a number by its unit.
const UNIT_LEVELS: &[(&str, &[&str])] = &[
    ("Temperature", &["degC", "degF", "K"]),
    ("Power", &["W"]),
    ("Energy", &["Wh", "kWh", "J"]),
    ("Pressure", &["Pa"]),
    ("Luminance", &["lx", "lm"]),
    ("Speed", &["mps", "rpm"]),
    ("Duration", &["h", "min", "s", "ms"]),
    ("Volume", &["l", "cl", "ml", "cu-m"]),
    ("Distance", &["km", "m", "cm", "mm"]),
    ("Weight", &["kg", "g", "mg"]),
    ("Concentration", &["ppm"]),
    ("Intensity", &["dB", "dBm"]),
    ("Flow", &["cu-m/s", "liter/s"]),
    ("Conductivity", &["S"]),
    ("Meter", &["V", "A", "Hz"]),
];

/// `Type` of a yes or no.
const BINARIES: &[(&str, &str)] = &[
    ("contact", "DoorOpen"),
    ("door", "DoorOpen"),
    ("garage_door", "DoorOpen"),
    ("opening", "DoorOpen"),
    ("window", "WindowOpen"),
    ("occupancy", "MotionDetected"),
    ("motion", "MotionDetected"),
    ("presence", "MotionDetected"),
    ("smoke", "SmokeDetected"),
    ("water_leak", "WaterDetected"),
    ("moisture", "WaterDetected"),
    ("flood", "WaterDetected"),
    ("carbon_monoxide", "CarbonMonoxideDetected"),
];

/// `Type` of a state by what it is called.
const ENUMS: &[(&str, &str, &str)] = &[
    ("system_mode", "ThermostatMode", "OperatingState"),
    ("running_state", "OperatingMode", "OperatingState"),
    ("preset", "OperatingMode", "OperatingState"),
    ("fan_mode", "FanMode", "FanState"),
    ("fan_state", "FanMode", "FanState"),
    ("mode", "OperatingMode", "OperatingState"),
    ("lock_state", "LockMode", "LockState"),
    ("alarm", "AlarmMode", "AlarmState"),
    ("alarm_mode", "AlarmMode", "AlarmState"),
];

/// `type` of a capability by its name or kind and its unit, else a word of the vendor's.
pub(super) fn kind(class: Class, name: &str, unit: Option<&str>, vendor: &str) -> String {
    let name = name.to_ascii_lowercase();
    let known = match class {
        Class::LevelSensor | Class::LevelControl => level(&name, unit),
        Class::BinarySensor => find(BINARIES, &name),
        Class::BinaryControl if name.ends_with("lock") => Some("Locked"),
        Class::BinaryControl => Some("Switch"),
        Class::EnumControl => ENUMS.iter().find(|(known, ..)| *known == name).map(|(_, control, _)| *control),
        Class::EnumSensor => ENUMS.iter().find(|(known, ..)| *known == name).map(|(.., sensor)| *sensor),
        Class::BlobSensor => Some("utf-8"),
        Class::MultiLevelSensor => None,
    };
    known.filter(|kind| types(class).contains(kind)).map_or_else(|| own_word(vendor, &name), str::to_owned)
}

/// The unit tells more than the name: `battery` in V is a voltage.
fn level(name: &str, unit: Option<&str>) -> Option<&'static str> {
    let of_unit = unit.and_then(|unit| UNIT_LEVELS.iter().find(|(_, units)| units.contains(&unit)));
    let of_unit = of_unit.map(|(kind, _)| *kind);
    let last = name.rsplit('_').next().unwrap_or(name);
    of_unit.or_else(|| find(LEVELS, name)).or_else(|| find(LEVELS, last))
}

fn find(words: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == name).map(|(_, own)| *own)
}

/// `X_VENDOR_Name`.
pub(super) fn own_word(vendor: &str, name: &str) -> String {
    let word: String = capitals(name).chars().take(40).collect();
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic());
    format!("X_{vendor}_{}{word}", if begins { "" } else { "N" })
}

/// `power_on_behavior` as `PowerOnBehavior`.
pub(super) fn capitals(name: &str) -> String {
    let mut word = String::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        word.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        word.extend(chars);
    }
    word
}

/// A unit in the words of TR-181, and what a number is multiplied by for it. One that TR-181 has nothing for becomes a
/// word of the vendor's.
pub(super) fn unit(given: &str, vendor: &str) -> (String, Option<Decimal>) {
    let given = given.trim().replace('μ', "µ");
    if matches!(given.as_str(), "" | "-" | "lqi" | "None") {
        return ("-".to_owned(), None);
    }
    if let Some((unit, factor)) = advice::multiple(&given) {
        return (unit.to_owned(), parse_decimal(factor).ok());
    }
    let known = UNITS.iter().find(|unit| **unit == given).copied();
    match known.or_else(|| translated(&given, UNITS)) {
        Some(unit) => (unit.to_owned(), None),
        None => (own_word(vendor, &spelled(&given)), None),
    }
}

/// `m³/h` as `m3 per h`: letters of vendor words are ASCII.
fn spelled(unit: &str) -> String {
    unit.replace('³', "3").replace('²', "2").replace('/', " per ").replace('µ', "u").replace('Ω', "ohm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_tr181() {
        for (given, expected, factor) in [
            ("°C", "degC", None),
            ("%", "%", None),
            ("lqi", "-", None),
            ("mV", "V", Some("0.001")),
            ("hPa", "Pa", Some("100")),
            ("µg/m³", "X_ACME_UgPerM3", None),
            ("mired", "X_ACME_Mired", None),
            ("", "-", None),
        ] {
            let (unit, by) = unit(given, "ACME");
            assert_eq!(
                (unit.as_str(), by.map(|by| by.to_string()).as_deref()),
                (expected, factor),
                "{given}"
            );
        }
    }

    #[test]
    fn the_unit_tells_more_than_the_name() {
        for (name, unit, expected) in [
            ("battery", Some("%"), "Battery"),
            ("voltage", Some("V"), "Meter"),
            ("local_temperature", Some("degC"), "Temperature"),
            ("soil_moisture", Some("%"), "Humidity"),
            ("color_temp", Some("X_A_Mired"), "X_ACME_ColorTemp"),
        ] {
            assert_eq!(kind(Class::LevelSensor, name, unit, "ACME"), expected);
        }
        assert_eq!(kind(Class::BinarySensor, "battery_low", None, "ACME"), "X_ACME_BatteryLow");
        assert_eq!(kind(Class::BinaryControl, "child_lock", None, "ACME"), "Locked");
        assert_eq!(kind(Class::EnumControl, "system_mode", None, "ACME"), "ThermostatMode");
    }
}
