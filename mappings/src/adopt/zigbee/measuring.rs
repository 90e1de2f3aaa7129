//! What is measured: climate, air, electricity, energy, batteries.

use rust_decimal::Decimal;

use super::writer::Part;
use super::{Said, Source, Unsaid};

pub(super) fn add(source: &Source<'_>, part: &mut Part, unsaid: &mut Unsaid) {
    climate(source, part);
    air(source, part);
    meter(source, part, unsaid);
    electricity(source, part, unsaid);
    battery(source, part);
}

fn climate(source: &Source<'_>, part: &mut Part) {
    if source.has(0x0402) {
        let meaning = ("Temperature", "degC", "valid: [-100, 300]");
        part.level("temperature", meaning, "temperature", "attribute: measured_value, scale: 0.01");
    }
    if source.has(0x0405) {
        let meaning = ("Humidity", "%", "valid: [0, 100]");
        part.level("humidity", meaning, "humidity", "attribute: measured_value, scale: 0.01");
    }
    if source.has(0x0403) {
        // Tenths of a kilopascal.
        part.level("pressure", ("Pressure", "Pa", ""), "pressure", "attribute: measured_value, scale: 100");
    }
    if source.has(0x0408) {
        let meaning = ("Humidity", "%", "valid: [0, 100]");
        part.level("soil-moisture", meaning, "soil_moisture", "attribute: measured_value, scale: 0.01");
    }
    if source.has(0x0400) {
        let meaning = ("Luminance", "lx", "");
        part.level("illuminance", meaning, "illuminance", "attribute: measured_value, curve: lux");
    }
    if source.has(0x0406) {
        part.binary("occupancy", "MotionDetected", "occupancy", "attribute: occupancy, bits: 0");
    }
    if source.has(0x0002) {
        let meaning = ("Temperature", "degC", "");
        part.level("device-temperature", meaning, "device_temperature", "attribute: current_temperature");
    }
}

/// Concentrations are fractions of one.
fn air(source: &Source<'_>, part: &mut Part) {
    for (cluster, key, name) in
        [(0x040d, "carbon-dioxide", "carbon_dioxide"), (0x040c, "carbon-monoxide", "carbon_monoxide")]
    {
        if source.has(cluster) {
            let rest = "attribute: measured_value, scale: 1000000";
            part.level(key, ("Concentration", "ppm", ""), name, rest);
        }
    }
    if source.has(0x042a) {
        let meaning = ("Concentration", "X_USPBROKER_UgPerM3", "");
        part.level("pm25", meaning, "pm25", "attribute: measured_value");
    }
    if source.has(0x000c) {
        let meaning = ("X_USPBROKER_Value", "-", "");
        part.level("analog-input", meaning, "analog_input", "attribute: present_value");
    }
    if source.has(0x000f) {
        part.binary("binary-input", "X_USPBROKER_Input", "binary_input", "attribute: present_value");
    }
}

/// From this UnitofMeasure on everything that the meter counts is in BCD (Smart Energy, D.3.2.2.4.1).
const BCD: i128 = 0x80;

/// `type` and `unit` of what a meter counts, and how it is called (Smart Energy, UnitofMeasure).
fn counted(unit: i128) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
    match unit {
        0x00 => ("energy", "Energy", "kWh", "kW", "power"),
        0x01 => ("volume", "Volume", "cu-m", "X_USPBROKER_CuMPerHour", "flow"),
        0x07 => ("volume", "Volume", "l", "X_USPBROKER_LPerHour", "flow"),
        _ => ("sum", "Counter", "X_USPBROKER_MeterUnit", "X_USPBROKER_MeterUnitPerHour", "demand"),
    }
}

fn meter(source: &Source<'_>, part: &mut Part, unsaid: &mut Unsaid) {
    const METERING: u16 = 0x0702;
    if !source.has(METERING) {
        return;
    }
    if !source.has(0x0006) {
        part.is("Meter");
    }
    let (unit, by) = (source.said(METERING, 0x0300), (0x0301, 0x0302));
    let (Some(ratio), true) = (source.ratio(METERING, by), unit != Said::Nothing) else {
        let why = "it has not said what its meter counts and by what that is divided: interview it again";
        return unsaid.push(("the meter", why.to_owned()));
    };
    if let Said::Holds(unit @ BCD..) = unit {
        // Read as a binary number it would be wrong, and seem right.
        let why = format!(
            "it counts in BCD (UnitofMeasure 0x{unit:02x}), which mappings cannot read of Zigbee devices"
        );
        return unsaid.push(("the meter", why));
    }
    if !is_plausible(ratio) {
        let why = format!("one step would be {ratio}, which no meter counts in");
        return unsaid.push(("the meter", why));
    }
    let bare = source.said(METERING, by.0) == Said::Lacks && source.said(METERING, by.1) == Said::Lacks;
    // Nobody knows what a step is worth that neither unit nor divisor says.
    let unit = if let (Said::Holds(unit), false) = (unit, bare) { unit } else { -1 };
    let (key, kind, unit, per_hour, live) = counted(unit);
    let times = times(ratio);
    if source.may_have(METERING, 0x0000) {
        let rest = format!("attribute: current_summation_delivered{times}");
        part.level(key, (kind, unit, "monotonic: true"), "metering", &rest);
    }
    if source.number(METERING, 0x0001).is_some_and(|sum| sum != 0) {
        let rest = format!("attribute: current_summation_received{times}");
        part.level(&format!("{key}-received"), (kind, unit, "monotonic: true"), "metering", &rest);
    }
    // Power is shown in W, and once: the electrical measurement is finer.
    if source.may_have(METERING, 0x0400) && !source.has(0x0b04) {
        let (kind, unit, scale) = match per_hour {
            "kW" => ("Power", "W", ratio.checked_mul(Decimal::ONE_THOUSAND).unwrap_or(ratio).normalize()),
            other => ("X_USPBROKER_Demand", other, ratio),
        };
        let rest = format!("attribute: instantaneous_demand{}", self::times(scale));
        part.level(live, (kind, unit, ""), "metering", &rest);
    }
}

/// Meters count in powers of ten of their unit, or in watt seconds: 3600 and powers of ten. Some say something else and are
/// wrong.
fn is_plausible(ratio: Decimal) -> bool {
    let power_of_ten = |number: Decimal| {
        let mut number = number.abs();
        for _ in 0..14 {
            if number >= Decimal::TEN {
                number /= Decimal::TEN;
            } else if number < Decimal::ONE {
                number *= Decimal::TEN;
            }
        }
        (number - Decimal::ONE).abs() < Decimal::new(1, 9)
    };
    ratio > Decimal::ZERO
        && (power_of_ten(ratio)
            || ratio.checked_mul(Decimal::from(36)).is_some_and(power_of_ten)
            || ratio.checked_div(Decimal::from(36)).is_some_and(power_of_ten))
}

/// Attributes of the electrical measurement, with those of their multiplier and divisor.
type Live = (u16, &'static str, &'static str, &'static str, &'static str, (u16, u16));

const LIVE: &[Live] = &[
    (0x050b, "power", "Power", "W", "active_power", (0x0604, 0x0605)),
    (0x0505, "voltage", "Meter", "V", "rms_voltage", (0x0600, 0x0601)),
    (0x0508, "current", "Meter", "A", "rms_current", (0x0602, 0x0603)),
    (0x0300, "frequency", "Meter", "Hz", "ac_frequency", (0x0400, 0x0401)),
    (0x0304, "total-power", "Power", "W", "total_active_power", (0x0402, 0x0403)),
    (0x090b, "power-b", "Power", "W", "active_power_phase_b", (0x0604, 0x0605)),
    (0x0905, "voltage-b", "Meter", "V", "rms_voltage_phase_b", (0x0600, 0x0601)),
    (0x0908, "current-b", "Meter", "A", "rms_current_phase_b", (0x0602, 0x0603)),
    (0x0a0b, "power-c", "Power", "W", "active_power_phase_c", (0x0604, 0x0605)),
    (0x0a05, "voltage-c", "Meter", "V", "rms_voltage_phase_c", (0x0600, 0x0601)),
    (0x0a08, "current-c", "Meter", "A", "rms_current_phase_c", (0x0602, 0x0603)),
];

fn electricity(source: &Source<'_>, part: &mut Part, unsaid: &mut Unsaid) {
    const ELECTRICAL: u16 = 0x0b04;
    if !source.has(ELECTRICAL) {
        return;
    }
    let mut silent = false;
    for (attribute, key, kind, unit, name, by) in LIVE {
        let there = match source.said(ELECTRICAL, *attribute) {
            Said::Holds(_) => true,
            Said::Lacks => false,
            Said::Nothing => {
                silent |= matches!(attribute, 0x050b | 0x0505 | 0x0508);
                false
            }
        };
        match source.ratio(ELECTRICAL, *by).filter(|_| there) {
            Some(scale) => {
                let rest = format!("attribute: {name}{}", times(scale));
                part.level(key, (kind, unit, ""), "electrical_measurement", &rest);
            }
            None => silent |= there,
        }
    }
    if silent {
        let why = "it has not said by what its values are divided: interview it again";
        unsaid.push(("some of what it measures", why.to_owned()));
    }
}

fn battery(source: &Source<'_>, part: &mut Part) {
    const POWER: u16 = 0x0001;
    if !source.has(POWER) {
        return;
    }
    if source.may_have(POWER, 0x0021) {
        let rest = "attribute: battery_percentage_remaining, scale: 0.5";
        part.level("battery", ("Battery", "%", "valid: [0, 100]"), "power_configuration", rest);
    }
    if source.holds(POWER, 0x0020) {
        let rest = "attribute: battery_voltage, scale: 0.1";
        part.level("battery-voltage", ("Meter", "V", ""), "power_configuration", rest);
    }
}

impl Source<'_> {
    /// Multiplier by divisor. One that the device says not to have is 1 (ZCL, 4.9.2.2.4); `None`: it has not said it.
    fn ratio(&self, cluster: u16, (multiplier, divisor): (u16, u16)) -> Option<Decimal> {
        let decimal = |attribute| match self.said(cluster, attribute) {
            Said::Nothing => None,
            Said::Lacks | Said::Holds(..=0) => Some(Decimal::ONE),
            Said::Holds(number) => Decimal::try_from_i128_with_scale(number, 0).ok(),
        };
        decimal(multiplier)?.checked_div(decimal(divisor)?).map(|ratio| ratio.normalize())
    }
}

fn times(scale: Decimal) -> String {
    if scale == Decimal::ONE { String::new() } else { format!(", scale: {scale}") }
}
