//! Measurement, sensing and metering (ZCL, chapters 4 and 10; Smart Energy 1.2a, metering).

use super::{Attribute, Cluster, E8, F32, M8, M16, M32, OCTETS, S16, S24, S32, U8, U16, U24, U48, attr};

/// What a cluster of one measured value has.
macro_rules! measured {
    ($id:literal, $name:literal, $kind:expr, $change:literal $(, $more:expr)*) => {
        Cluster {
            id: $id,
            name: $name,
            attributes: &[
                attr(0x0000, "measured_value", $kind).every(10, 3600, $change),
                attr(0x0001, "min_measured_value", $kind),
                attr(0x0002, "max_measured_value", $kind),
                attr(0x0003, "tolerance", U16)
                $(, $more)*
            ],
            received: &[],
            generated: &[],
        }
    };
}

/// A sum of energy, water or gas.
const fn sum(id: u16, name: &'static str) -> Attribute {
    attr(id, name, U48).every(10, 600, 1)
}

/// A value of alternating current that changes all the time.
const fn live(id: u16, name: &'static str, kind: super::ZclType, change: u32) -> Attribute {
    attr(id, name, kind).every(5, 600, change)
}

pub(super) const CLUSTERS: &[Cluster] = &[
    measured!(0x0400, "illuminance", U16, 500, attr(0x0004, "light_sensor_type", E8)),
    measured!(0x0402, "temperature", S16, 20),
    measured!(
        0x0403,
        "pressure",
        S16,
        1,
        attr(0x0010, "scaled_value", S16).every(10, 3600, 1),
        attr(0x0014, "scale", super::S8)
    ),
    measured!(0x0404, "flow", U16, 1),
    measured!(0x0405, "humidity", U16, 100),
    Cluster {
        id: 0x0406,
        name: "occupancy",
        attributes: &[
            attr(0x0000, "occupancy", M8).every(0, 3600, 0),
            attr(0x0001, "sensor_type", E8),
            attr(0x0010, "pir_occupied_to_unoccupied_delay", U16).rw(),
            attr(0x0011, "pir_unoccupied_to_occupied_delay", U16).rw(),
            attr(0x0012, "pir_unoccupied_to_occupied_threshold", U8).rw(),
            attr(0x0020, "ultrasonic_occupied_to_unoccupied_delay", U16).rw(),
        ],
        received: &[],
        generated: &[],
    },
    measured!(0x0408, "soil_moisture", U16, 100),
    Cluster {
        id: 0x040c,
        name: "carbon_monoxide",
        attributes: &[attr(0x0000, "measured_value", F32).every(10, 3600, 0)],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x040d,
        name: "carbon_dioxide",
        attributes: &[attr(0x0000, "measured_value", F32).every(10, 3600, 0)],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x042a,
        name: "pm25",
        attributes: &[attr(0x0000, "measured_value", F32).every(10, 3600, 1)],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0702,
        name: "metering",
        attributes: &[
            sum(0x0000, "current_summation_delivered"),
            sum(0x0001, "current_summation_received"),
            attr(0x0100, "current_tier1_summation_delivered", U48).every(10, 600, 1),
            attr(0x0102, "current_tier2_summation_delivered", U48).every(10, 600, 1),
            attr(0x0200, "status", M8),
            attr(0x0300, "unit_of_measure", E8),
            attr(0x0301, "multiplier", U24),
            attr(0x0302, "divisor", U24),
            attr(0x0303, "summation_formatting", M8),
            attr(0x0304, "demand_formatting", M8),
            attr(0x0306, "metering_device_type", M8),
            attr(0x0308, "meter_serial_number", OCTETS),
            live(0x0400, "instantaneous_demand", S24, 5),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0b04,
        name: "electrical_measurement",
        attributes: &[
            attr(0x0000, "measurement_type", M32),
            live(0x0300, "ac_frequency", U16, 10),
            live(0x0304, "total_active_power", S32, 5),
            attr(0x0400, "ac_frequency_multiplier", U16),
            attr(0x0401, "ac_frequency_divisor", U16),
            attr(0x0402, "power_multiplier", super::U32),
            attr(0x0403, "power_divisor", super::U32),
            live(0x0505, "rms_voltage", U16, 5),
            live(0x0508, "rms_current", U16, 5),
            live(0x050b, "active_power", S16, 5),
            live(0x050e, "reactive_power", S16, 5),
            live(0x050f, "apparent_power", U16, 5),
            live(0x0510, "power_factor", super::S8, 1),
            attr(0x0600, "ac_voltage_multiplier", U16),
            attr(0x0601, "ac_voltage_divisor", U16),
            attr(0x0602, "ac_current_multiplier", U16),
            attr(0x0603, "ac_current_divisor", U16),
            attr(0x0604, "ac_power_multiplier", U16),
            attr(0x0605, "ac_power_divisor", U16),
            attr(0x0800, "ac_alarms_mask", M16),
            live(0x0905, "rms_voltage_phase_b", U16, 5),
            live(0x0908, "rms_current_phase_b", U16, 5),
            live(0x090b, "active_power_phase_b", S16, 5),
            live(0x0a05, "rms_voltage_phase_c", U16, 5),
            live(0x0a08, "rms_current_phase_c", U16, 5),
            live(0x0a0b, "active_power_phase_c", S16, 5),
        ],
        received: &[],
        generated: &[],
    },
];
