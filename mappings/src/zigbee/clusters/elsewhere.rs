//! What other programs call clusters, attributes and commands: zigbee-herdsman and zigpy.

/// Clusters by the names that they have there.
const CLUSTERS: &[(&str, &str)] = &[
    ("genBasic", "basic"),
    ("genPowerCfg", "power_configuration"),
    ("power", "power_configuration"),
    ("genDeviceTempCfg", "device_temperature"),
    ("genIdentify", "identify"),
    ("genGroups", "groups"),
    ("genScenes", "scenes"),
    ("genOnOff", "on_off"),
    ("genLevelCtrl", "level"),
    ("level_control", "level"),
    ("genTime", "time"),
    ("genAnalogInput", "analog_input"),
    ("genAnalogOutput", "analog_output"),
    ("genBinaryInput", "binary_input"),
    ("genMultistateInput", "multistate_input"),
    ("genPollCtrl", "poll_control"),
    ("closuresDoorLock", "door_lock"),
    ("closuresWindowCovering", "window_covering"),
    ("hvacThermostat", "thermostat"),
    ("hvacFanCtrl", "fan_control"),
    ("fan", "fan_control"),
    ("hvacUserInterfaceCfg", "thermostat_ui"),
    ("lightingColorCtrl", "color"),
    ("light_color", "color"),
    ("color_control", "color"),
    ("msIlluminanceMeasurement", "illuminance"),
    ("msTemperatureMeasurement", "temperature"),
    ("temperature_measurement", "temperature"),
    ("msPressureMeasurement", "pressure"),
    ("msRelativeHumidity", "humidity"),
    ("relative_humidity", "humidity"),
    ("msOccupancySensing", "occupancy"),
    ("msSoilMoisture", "soil_moisture"),
    ("msCO2", "carbon_dioxide"),
    ("pm25Measurement", "pm25"),
    ("ssIasZone", "ias_zone"),
    ("ssIasAce", "ias_ace"),
    ("ssIasWd", "ias_wd"),
    ("seMetering", "metering"),
    ("smartenergy_metering", "metering"),
    ("haElectricalMeasurement", "electrical_measurement"),
    ("haDiagnostic", "diagnostics"),
];

/// Attributes and commands by the names that they have there, in small letters.
const NAMES: &[(&str, &str)] = &[
    ("rms_current_ph_b", "rms_current_phase_b"),
    ("rms_voltage_ph_b", "rms_voltage_phase_b"),
    ("current_summ_delivered", "current_summation_delivered"),
    ("current_summ_received", "current_summation_received"),
    ("battery_percentage", "battery_percentage_remaining"),
    ("model_id", "model_identifier"),
    ("model", "model_identifier"),
    ("manufacturer", "manufacturer_name"),
    ("local_temp", "local_temperature"),
    ("curr_lift_percentage", "current_position_lift_percentage"),
    ("color_temp", "color_temperature"),
    ("color_temperature_mireds", "color_temperature"),
    ("move_to_color_temp", "move_to_color_temperature"),
    ("status_change_notification", "status_change"),
    ("lock", "lock_door"),
    ("unlock", "unlock_door"),
    ("keypad_lockout_mode", "keypad_lockout"),
    ("current_level_value", "current_level"),
    ("transtime", "transition_time"),
];

/// The cluster that was meant.
pub(in crate::zigbee) fn cluster(name: &str) -> Option<&'static str> {
    CLUSTERS.iter().find(|(known, _)| *known == name).map(|(_, own)| *own)
}

/// The one of these names that was meant: `measuredValue` is `measured_value`.
pub(in crate::zigbee) fn name<'n>(given: &str, names: &[&'n str]) -> Option<&'n str> {
    let mut small = String::new();
    for c in given.chars() {
        if c.is_ascii_uppercase() && !small.is_empty() && !small.ends_with('_') {
            small.push('_');
        }
        small.push(if c == '-' || c == ' ' { '_' } else { c.to_ascii_lowercase() });
    }
    let other = NAMES.iter().find(|(known, _)| *known == small).map(|(_, own)| *own);
    names.iter().find(|name| **name == small || Some(**name) == other).copied().filter(|name| *name != given)
}
