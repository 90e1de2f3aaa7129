//! The closed lists of TR-181 2.19 that a mapping chooses from.

pub(crate) mod advice;
pub(crate) mod quantity;

use crate::mapping::Class;

/// IoTDeviceType: `ProxiedDevice.{i}.Type`, `Node.{i}.Type`.
pub(crate) const DEVICE_TYPES: &[&str] = &[
    "Alarm",
    "AntiTheft",
    "Bell",
    "Clock",
    "Door",
    "Fan",
    "GarageDoor",
    "HVAC",
    "Light",
    "Lock",
    "Meter",
    "Motor",
    "Oven",
    "PowerStrip",
    "Sensor",
    "SensorStrip",
    "Siren",
    "Thermostat",
];

/// IoTUnitType.
pub(crate) const UNITS: &[&str] = &[
    "-", "%", "deg", "degC", "degF", "K", "km", "m", "cm", "mm", "h", "min", "s", "ms", "sq-km", "sq-m",
    "sq-cm", "cu-m", "l", "cl", "ml", "kg", "g", "mg", "Wh", "kWh", "W", "A", "Hz", "V", "N", "Pa", "C", "F",
    "ohm", "S", "Wb", "T", "H", "lm", "lx", "mps", "cd", "mol", "UV", "RGB", "ppm", "Sv", "J", "rpm", "pps",
    "cu-m/s", "liter/s", "dB", "dBm", "eV",
];

/// IoTLevelType.
const LEVELS: &[&str] = &[
    "Acceleration",
    "Area",
    "Battery",
    "Brightness",
    "Concentration",
    "Conductivity",
    "Distance",
    "Energy",
    "Flow",
    "Humidity",
    "Intensity",
    "Luminance",
    "Meter",
    "Motion",
    "Position",
    "Power",
    "Pressure",
    "Radiation",
    "Speed",
    "Temperature",
    "Volume",
    "Weight",
    "Depth",
    "Counter",
    "Duration",
];

/// `Type` of the class object.
pub(crate) fn types(class: Class) -> &'static [&'static str] {
    match class {
        Class::BinaryControl => &["Switch", "Locked"],
        Class::LevelControl | Class::LevelSensor => LEVELS,
        Class::EnumControl => &[
            "AlarmMode",
            "DoorMode",
            "FanMode",
            "LockMode",
            "OperatingMode",
            "TemperatureMode",
            "ThermostatMode",
        ],
        Class::BinarySensor => &[
            "CarbonDioxideDetected",
            "CarbonMonoxideDetected",
            "DoorOpen",
            "MotionDetected",
            "SmokeDetected",
            "WindowOpen",
            "WaterDetected",
        ],
        Class::MultiLevelSensor => &["RGB", "Location"],
        Class::EnumSensor => &[
            "AlarmState",
            "DoorState",
            "FanState",
            "LockState",
            "OperatingState",
            "TemperatureState",
            "ThermostatFanState",
        ],
        Class::BlobSensor => &[
            "ascii",
            "base64",
            "id",
            "gif",
            "jpeg",
            "json",
            "numberplate",
            "text",
            "url",
            "raw",
            "utf-8",
            "utf-16",
            "utf-32",
            "uuid",
            "xml",
            "yaml",
        ],
    }
}

/// Whether a word extends a list as TR-106 wants it: `X_<VENDOR>_Name`.
pub(crate) fn is_vendor_word(word: &str) -> bool {
    let parts = word.strip_prefix("X_").and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(vendor, name)| {
        !vendor.is_empty()
            && vendor.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_complete() {
        assert_eq!((DEVICE_TYPES.len(), UNITS.len(), LEVELS.len()), (18, 56, 25));
        assert_eq!(types(Class::BlobSensor).len(), 16);
    }

    #[test]
    fn vendor_words_have_a_vendor_and_a_name() {
        for word in ["X_USPBROKER_Frequency", "X_001122_Mode", "X_EXAMPLE-COM_A1"] {
            assert!(is_vendor_word(word), "{word}");
        }
        for word in ["X_", "X_Acme_Mode", "X__Mode", "X_ACME_", "X_ACME", "x_ACME_Mode", "X_ACME_1"] {
            assert!(!is_vendor_word(word), "{word}");
        }
    }
}
