//! What other programs call things, in the words of TR-181.

use rust_decimal::Decimal;

use super::model::{Capability, Notes, Point};
use super::tree::decimal;
use crate::mapping::Class;
use crate::tr181::{UNITS, advice};
use crate::words::translated;

/// `Type` of a number by the kinds that Home Assistant and ESPHome know.
const LEVEL_KINDS: &[(&str, &str)] = &[
    ("temperature", "Temperature"),
    ("humidity", "Humidity"),
    ("moisture", "Humidity"),
    ("rel_humidity", "Humidity"),
    ("power", "Power"),
    ("apparent_power", "Power"),
    ("reactive_power", "Power"),
    ("energy", "Energy"),
    ("energy_storage", "Energy"),
    ("power_consumption", "Energy"),
    ("battery", "Battery"),
    ("pressure", "Pressure"),
    ("atmospheric_pressure", "Pressure"),
    ("illuminance", "Luminance"),
    ("lux", "Luminance"),
    ("distance", "Distance"),
    ("speed", "Speed"),
    ("wind_speed", "Speed"),
    ("volume", "Volume"),
    ("water", "Volume"),
    ("gas", "Volume"),
    ("weight", "Weight"),
    ("duration", "Duration"),
    ("concentration", "Concentration"),
    ("carbon_dioxide", "Concentration"),
    ("carbon_monoxide", "Concentration"),
    ("volatile_organic_compounds", "Concentration"),
    ("signal_strength", "Intensity"),
    ("sound_pressure", "Intensity"),
    ("sound_level", "Intensity"),
    ("volume_flow_rate", "Flow"),
    ("irradiance", "Radiation"),
    ("conductivity", "Conductivity"),
];

/// `Type` of a number by its unit.
const UNIT_KINDS: &[(&str, &[&str])] = &[
    ("Temperature", &["degC", "degF", "K"]),
    ("Power", &["W"]),
    ("Energy", &["Wh", "kWh", "J"]),
    ("Pressure", &["Pa"]),
    ("Luminance", &["lx"]),
    ("Speed", &["mps", "rpm"]),
    ("Duration", &["h", "min", "s", "ms"]),
    ("Volume", &["l", "cl", "ml", "cu-m"]),
    ("Distance", &["km", "m", "cm", "mm"]),
    ("Weight", &["kg", "g", "mg"]),
    ("Concentration", &["ppm"]),
    ("Intensity", &["dB", "dBm"]),
    ("Flow", &["cu-m/s", "liter/s"]),
    ("Conductivity", &["S"]),
    ("Position", &["%"]),
];

/// `Type` of a binary sensor.
const BINARY_KINDS: &[(&str, &str)] = &[
    ("door", "DoorOpen"),
    ("garage_door", "DoorOpen"),
    ("opening", "DoorOpen"),
    ("window", "WindowOpen"),
    ("motion", "MotionDetected"),
    ("occupancy", "MotionDetected"),
    ("presence", "MotionDetected"),
    ("smoke", "SmokeDetected"),
    ("moisture", "WaterDetected"),
    ("carbon_monoxide", "CarbonMonoxideDetected"),
];

/// `type` of a capability: from what the file says of it, else from its unit, else a word of one's own.
pub(super) fn kind(capability: &Capability, vendor: &str) -> String {
    if let Some(kind) = &capability.kind {
        let table = if capability.class == Class::BinarySensor { BINARY_KINDS } else { LEVEL_KINDS };
        let known = table.iter().find(|(other, _)| other == kind).map(|(_, own)| (*own).to_owned());
        if let Some(known) =
            known.or_else(|| Some(kind.clone()).filter(|kind| is_word(capability.class, kind)))
        {
            return known;
        }
    }
    match capability.class {
        Class::BinaryControl => "Switch".to_owned(),
        Class::EnumControl => "OperatingMode".to_owned(),
        Class::LevelControl | Class::LevelSensor => {
            let unit = capability.unit.as_deref().unwrap_or("-");
            let known = UNIT_KINDS.iter().find(|(_, units)| units.contains(&unit));
            known.map_or("Meter", |(kind, _)| kind).to_owned()
        }
        _ => own_word(vendor, &capability.name),
    }
}

fn is_word(class: Class, kind: &str) -> bool {
    crate::tr181::types(class).contains(&kind)
}

/// `X_VENDOR_Name`.
pub(super) fn own_word(vendor: &str, name: &str) -> String {
    let vendor: String =
        vendor.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let mut word = String::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        word.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        word.extend(chars);
    }
    let word: String = word.chars().skip_while(char::is_ascii_digit).take(40).collect();
    let word = if word.is_empty() { "Value".to_owned() } else { word };
    format!("X_{}_{word}", if vendor.is_empty() { "IMPORTED" } else { &vendor })
}

/// Puts a number into a unit of TR-181, scaling its points; a unit that TR-181 has nothing for becomes a word of one's own.
pub(super) fn set_unit(capability: &mut Capability, given: Option<&str>, vendor: &str, notes: &mut Notes) {
    let given = given.map_or("", str::trim);
    if given.is_empty() || given == "-" {
        capability.unit = Some("-".to_owned());
        return;
    }
    let given = degrees(given, capability, notes);
    let multiple = advice::multiple(given).map(|(unit, factor)| (unit.to_owned(), decimal(factor)));
    let same = || UNITS.iter().find(|unit| **unit == given).copied().or_else(|| respelt(given));
    match multiple.or_else(|| same().map(|unit| (unit.to_owned(), None))) {
        Some((unit, factor)) => {
            capability.unit = Some(unit);
            if let Some(factor) = factor {
                scale(capability, factor);
            }
        }
        None => {
            let word = own_word(vendor, &spelled(given));
            let why = format!("TR-181 has no such unit; `{word}` was written");
            notes.add(capability.line, format!("{}: unit {given}", capability.name), why);
            capability.unit = Some(word);
        }
    }
}

/// A unit of TR-181 by another name, or with other capitals that can mean nothing else.
fn respelt(given: &str) -> Option<&'static str> {
    let mut spellings = UNITS.iter().filter(|unit| advice::is_spelling(given, unit)).copied();
    let only = spellings.next().filter(|_| spellings.next().is_none());
    translated(given, UNITS).or(only)
}

/// `C` and `F` are coulomb and farad in TR-181, and degrees to those who write the files that are read here.
fn degrees<'g>(given: &'g str, capability: &Capability, notes: &mut Notes) -> &'g str {
    let (unit, name) = match given {
        "C" => ("degC", "Celsius"),
        "F" => ("degF", "Fahrenheit"),
        _ => return given,
    };
    let told = format!("{} {}", capability.name, capability.description).to_lowercase();
    if ["charge", "coulomb", "capacit", "farad"].iter().any(|word| told.contains(word)) {
        return given;
    }
    let why = format!("taken for degrees {name}; `{unit}` was written");
    notes.add(capability.line, format!("{}: unit {given}", capability.name), why);
    unit
}

/// `m³/h` as `m3PerH`: letters of vendor words are ASCII.
fn spelled(unit: &str) -> String {
    unit.replace('³', "3").replace('²', "2").replace('/', " per ").replace('µ', "u").replace('Ω', "ohm")
}

fn scale(capability: &mut Capability, factor: Decimal) {
    let points = capability.read.iter_mut().chain(capability.write.iter_mut());
    points.for_each(|point: &mut Point| point.multiply(factor));
    let times = |number: Decimal| number.checked_mul(factor).unwrap_or(number);
    capability.range = capability.range.map(|(low, high)| (times(low), times(high)));
    capability.step = capability.step.map(times);
}

/// What a number that can be written may be: as the file says, else as far as its registers go. Without either it is
/// only read.
pub(super) fn bound(capability: &mut Capability, notes: &mut Notes) {
    if capability.class != Class::LevelControl || capability.range.is_some() {
        return;
    }
    let point = capability.write.as_ref().or(capability.read.as_ref());
    let raw = point.and_then(|point| match (point.encoding, point.bits) {
        (_, Some((first, last))) => Some((0, (1_i64 << (last - first + 1).min(32)) - 1)),
        ("" | "u16", None) => Some((0, 65_535)),
        ("s16", None) => Some((-32_768, 32_767)),
        _ => None,
    });
    let value = |raw: i64, point: &Point| {
        let scaled = Decimal::from(raw).checked_mul(point.scale.unwrap_or(Decimal::ONE))?;
        scaled.checked_add(point.offset.unwrap_or(Decimal::ZERO))
    };
    let range =
        point.zip(raw).and_then(|(point, (low, high))| Some((value(low, point)?, value(high, point)?)));
    match range.filter(|(low, high)| low < high) {
        Some((low, high)) => {
            capability.range = Some((low, high));
            let why =
                format!("the file has none, so the registers' own, {low} to {high}, were taken; narrow them");
            notes.add(capability.line, format!("{}: least and greatest value", capability.name), why);
        }
        None if capability.read.is_some() => {
            capability.class = Class::LevelSensor;
            capability.write = None;
            capability.step = None;
            let why = "a LevelControl needs its least and greatest value, which the file does not have; it is only read";
            notes.add(capability.line, format!("{}: writing", capability.name), why);
        }
        None => {}
    }
}
