//! The objects of BTHome v2 by the names that mappings have for them (<https://bthome.io/format>), and how they are taken apart.

use rust_decimal::Decimal;

/// Identifier, name, bytes, whether it may be negative, and what one step of it is: so many of these digits behind the point.
type Object = (u8, &'static str, u8, bool, u32);

#[rustfmt::skip]
const OBJECTS: [Object; 87] = [
    (0x00, "packet_id", 1, false, 0), (0x01, "battery", 1, false, 0), (0x02, "temperature", 2, true, 2),
    (0x03, "humidity", 2, false, 2), (0x04, "pressure", 3, false, 2), (0x05, "illuminance", 3, false, 2),
    (0x06, "mass", 2, false, 2), (0x07, "mass_lb", 2, false, 2), (0x08, "dewpoint", 2, true, 2),
    (0x09, "count", 1, false, 0), (0x0a, "energy", 3, false, 3), (0x0b, "power", 3, false, 2),
    (0x0c, "voltage", 2, false, 3), (0x0d, "pm2_5", 2, false, 0), (0x0e, "pm10", 2, false, 0),
    (0x0f, "boolean", 1, false, 0), (0x10, "power_on", 1, false, 0), (0x11, "opening", 1, false, 0),
    (0x12, "co2", 2, false, 0), (0x13, "tvoc", 2, false, 0), (0x14, "moisture", 2, false, 2),
    (0x15, "battery_low", 1, false, 0), (0x16, "battery_charging", 1, false, 0), (0x17, "carbon_monoxide", 1, false, 0),
    (0x18, "cold", 1, false, 0), (0x19, "connectivity", 1, false, 0), (0x1a, "door", 1, false, 0),
    (0x1b, "garage_door", 1, false, 0), (0x1c, "gas_detected", 1, false, 0), (0x1d, "heat", 1, false, 0),
    (0x1e, "light", 1, false, 0), (0x1f, "lock", 1, false, 0), (0x20, "moisture_detected", 1, false, 0),
    (0x21, "motion", 1, false, 0), (0x22, "moving", 1, false, 0), (0x23, "occupancy", 1, false, 0),
    (0x24, "plug", 1, false, 0), (0x25, "presence", 1, false, 0), (0x26, "problem", 1, false, 0),
    (0x27, "running", 1, false, 0), (0x28, "safety", 1, false, 0), (0x29, "smoke", 1, false, 0),
    (0x2a, "sound", 1, false, 0), (0x2b, "tamper", 1, false, 0), (0x2c, "vibration", 1, false, 0),
    (0x2d, "window", 1, false, 0), (0x2e, "humidity", 1, false, 0), (0x2f, "moisture", 1, false, 0),
    (0x3a, "button", 1, false, 0), (0x3c, "dimmer", 2, false, 0), (0x3d, "count", 2, false, 0),
    (0x3e, "count", 4, false, 0), (0x3f, "rotation", 2, true, 1), (0x40, "distance_mm", 2, false, 0),
    (0x41, "distance", 2, false, 1), (0x42, "duration", 3, false, 3), (0x43, "current", 2, false, 3),
    (0x44, "speed", 2, false, 2), (0x45, "temperature", 2, true, 1), (0x46, "uv_index", 1, false, 1),
    (0x47, "volume", 2, false, 1), (0x48, "volume_ml", 2, false, 0), (0x49, "volume_flow_rate", 2, false, 3),
    (0x4a, "voltage", 2, false, 1), (0x4b, "gas", 3, false, 3), (0x4c, "gas", 4, false, 3),
    (0x4d, "energy", 4, false, 3), (0x4e, "volume", 4, false, 3), (0x4f, "water", 4, false, 3),
    (0x50, "timestamp", 4, false, 0), (0x51, "acceleration", 2, false, 3), (0x52, "gyroscope", 2, false, 3),
    (0x55, "volume_storage", 4, false, 3), (0x56, "conductivity", 2, false, 0), (0x57, "temperature", 1, true, 0),
    (0x59, "count", 1, true, 0), (0x5a, "count", 2, true, 0), (0x5b, "count", 4, true, 0),
    (0x5c, "power", 4, true, 2), (0x5d, "current", 2, true, 3), (0x5e, "direction", 2, false, 2),
    (0x5f, "precipitation", 2, false, 1), (0x60, "channel", 1, false, 0), (0x61, "rotational_speed", 2, false, 0),
    (0xf0, "device_type", 2, false, 0), (0xf1, "firmware", 4, false, 0), (0xf2, "firmware", 3, false, 0),
];

/// What is done to a button.
const PRESSES: [(u8, &str); 8] = [
    (0x00, "none"),
    (0x01, "press"),
    (0x02, "double_press"),
    (0x03, "triple_press"),
    (0x04, "long_press"),
    (0x05, "long_double_press"),
    (0x06, "long_triple_press"),
    (0x80, "hold_press"),
];

/// Object identifiers with their bytes, as far as they are known and whole.
pub(super) fn parted(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((id, rest)) = bytes.split_first() {
        let Some((_, _, length, ..)) = OBJECTS.iter().find(|(known, ..)| known == id) else { break };
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        all.push((*id, value.to_vec()));
        bytes = rest;
    }
    all
}

/// The same in one.
pub(super) fn joined(objects: &[(u8, Vec<u8>)]) -> Vec<u8> {
    objects.iter().flat_map(|(id, value)| [vec![*id], value.clone()].concat()).collect()
}

/// Whether an object is what a mapping means: by its name, or by its number as `0x45`.
pub(super) fn is(id: u8, wanted: &str) -> bool {
    let numbered = wanted.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
    numbered.map_or_else(
        || OBJECTS.iter().any(|(known, name, ..)| *known == id && *name == wanted),
        |wanted| wanted == id,
    )
}

/// An object of a name without a value.
pub(super) fn blank(wanted: &str) -> Option<(u8, Vec<u8>)> {
    let (id, _, length, ..) = OBJECTS.iter().find(|(id, ..)| is(*id, wanted))?;
    Some((*id, vec![0; usize::from(*length)]))
}

/// What an object says; flags are 0 and 1, what is done to a button is a word.
pub(super) fn value(id: u8, bytes: &[u8]) -> Option<String> {
    let (_, name, _, signed, digits) = OBJECTS.iter().find(|(known, ..)| *known == id)?;
    let raw = bytes.iter().rev().fold(0_i64, |all, byte| all << 8 | i64::from(*byte));
    if *name == "button" {
        return PRESSES.iter().find(|(code, _)| i64::from(*code) == raw).map(|(_, word)| (*word).to_owned());
    }
    let half = 1_i64 << (bytes.len() * 8 - 1);
    let raw = if *signed && raw >= half { raw - 2 * half } else { raw };
    Some(Decimal::new(raw, *digits).normalize().to_string())
}

/// The bytes that say this.
pub(super) fn written(id: u8, text: &str) -> Option<Vec<u8>> {
    let (_, name, length, signed, digits) = OBJECTS.iter().find(|(known, ..)| *known == id)?;
    if *name == "button" {
        return PRESSES.iter().find(|(_, word)| *word == text).map(|(code, _)| vec![*code]);
    }
    let text = match text {
        "true" => "1",
        "false" => "0",
        other => other,
    };
    let mut number: Decimal = text.parse().ok()?;
    number.rescale(*digits);
    let raw = i64::try_from(number.mantissa()).ok()?;
    let bits = u32::from(*length) * 8;
    let range = if *signed { -(1 << (bits - 1))..1_i64 << (bits - 1) } else { 0..1_i64 << bits };
    range.contains(&raw).then(|| raw.to_le_bytes().into_iter().take(usize::from(*length)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the format's page.
    #[test]
    fn the_published_examples_are_read_and_written() {
        for (id, bytes, text) in [
            (0x02, vec![0xca, 0x09], "25.06"),
            (0x03, vec![0xbf, 0x13], "50.55"),
            (0x05, vec![0x13, 0x8a, 0x14], "13460.67"),
            (0x45, vec![0x11, 0x01], "27.3"),
            (0x3a, vec![0x02], "double_press"),
            (0x5d, vec![0x02, 0xea], "-5.63"),
            (0x2e, vec![0x23], "35"),
        ] {
            assert_eq!(value(id, &bytes).as_deref(), Some(text));
            assert_eq!(written(id, text), Some(bytes));
        }
        assert_eq!(written(0x2e, "256"), None);
        assert_eq!(parted(&[0x02, 0xca, 0x09, 0x2e, 0x23, 0xe0, 1]).len(), 2);
        assert!(is(0x45, "temperature") && is(0x45, "0x45") && !is(0x45, "0x02"));
    }
}
