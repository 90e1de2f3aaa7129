//! Locks, coverings, heating and ventilation (ZCL, chapters 6 and 7).

use super::{Attribute, BOOL, Cluster, E8, Field, M8, OCTETS, S8, S16, Set, U8, U16, attr, command, field};

const PIN: &[Field] = &[field("pin", OCTETS).maybe()];

/// Locked is 1, unlocked 2.
const LOCKED: &[(i128, u8)] = &[(1, 0x00), (2, 0x01)];

/// A temperature that is set, in hundredths of a degree.
const fn setpoint(id: u16, name: &'static str) -> Attribute {
    attr(id, name, S16).rw().every(10, 3600, 50)
}

pub(super) const CLUSTERS: &[Cluster] = &[
    Cluster {
        id: 0x0101,
        name: "door_lock",
        attributes: &[
            attr(0x0000, "lock_state", E8).every(0, 3600, 0).set(Set::States(LOCKED)),
            attr(0x0001, "lock_type", E8),
            attr(0x0002, "actuator_enabled", BOOL),
            attr(0x0003, "door_state", E8).every(0, 3600, 0),
            attr(0x0004, "door_open_events", super::U32),
            attr(0x0005, "door_closed_events", super::U32),
            attr(0x0006, "open_period", U16),
            attr(0x0023, "auto_relock_time", super::U32).rw(),
            attr(0x0024, "sound_volume", U8).rw(),
            attr(0x0025, "operating_mode", E8).rw(),
        ],
        received: &[
            command(0x00, "lock_door", PIN),
            command(0x01, "unlock_door", PIN),
            command(0x02, "toggle", PIN),
            command(0x03, "unlock_with_timeout", &[field("timeout", U16), field("pin", OCTETS).maybe()]),
        ],
        generated: &[
            command(0x00, "lock_door_response", &[field("status", U8)]),
            command(0x01, "unlock_door_response", &[field("status", U8)]),
            command(
                0x20,
                "operation_event",
                &[
                    field("source", U8),
                    field("code", U8),
                    field("user", U16),
                    field("pin", OCTETS),
                    field("local_time", super::U32),
                ],
            ),
        ],
    },
    Cluster {
        id: 0x0102,
        name: "window_covering",
        attributes: &[
            attr(0x0000, "type", E8),
            attr(0x0003, "current_position_lift", U16),
            attr(0x0004, "current_position_tilt", U16),
            attr(0x0007, "config_status", M8),
            attr(0x0008, "current_position_lift_percentage", U8).every(1, 600, 1).set(Set::Value(0x05, 0)),
            attr(0x0009, "current_position_tilt_percentage", U8).every(1, 600, 1).set(Set::Value(0x08, 0)),
            attr(0x0017, "mode", M8).rw(),
        ],
        received: &[
            command(0x00, "up_open", &[]),
            command(0x01, "down_close", &[]),
            command(0x02, "stop", &[]),
            command(0x04, "go_to_lift_value", &[field("value", U16)]),
            command(0x05, "go_to_lift_percentage", &[field("percentage", U8)]),
            command(0x07, "go_to_tilt_value", &[field("value", U16)]),
            command(0x08, "go_to_tilt_percentage", &[field("percentage", U8)]),
        ],
        generated: &[],
    },
    Cluster {
        id: 0x0201,
        name: "thermostat",
        attributes: &[
            attr(0x0000, "local_temperature", S16).every(10, 3600, 20),
            attr(0x0001, "outdoor_temperature", S16).every(60, 3600, 20),
            attr(0x0002, "occupancy", M8).every(10, 3600, 0),
            attr(0x0003, "abs_min_heat_setpoint", S16),
            attr(0x0004, "abs_max_heat_setpoint", S16),
            attr(0x0005, "abs_min_cool_setpoint", S16),
            attr(0x0006, "abs_max_cool_setpoint", S16),
            attr(0x0007, "pi_cooling_demand", U8).every(10, 3600, 5),
            attr(0x0008, "pi_heating_demand", U8).every(10, 3600, 5),
            attr(0x0010, "local_temperature_calibration", S8).rw(),
            setpoint(0x0011, "occupied_cooling_setpoint"),
            setpoint(0x0012, "occupied_heating_setpoint"),
            setpoint(0x0013, "unoccupied_cooling_setpoint"),
            setpoint(0x0014, "unoccupied_heating_setpoint"),
            attr(0x0015, "min_heat_setpoint_limit", S16).rw(),
            attr(0x0016, "max_heat_setpoint_limit", S16).rw(),
            attr(0x0017, "min_cool_setpoint_limit", S16).rw(),
            attr(0x0018, "max_cool_setpoint_limit", S16).rw(),
            attr(0x001b, "control_sequence", E8).rw(),
            attr(0x001c, "system_mode", E8).rw().every(1, 3600, 0),
            attr(0x001e, "running_mode", E8).every(1, 3600, 0),
            attr(0x0025, "programming_operation_mode", M8).rw(),
            attr(0x0029, "running_state", super::M16).every(1, 3600, 0),
            attr(0x0030, "setpoint_change_source", E8),
        ],
        received: &[command(0x00, "setpoint_raise_lower", &[field("mode", E8), field("amount", S8)])],
        generated: &[],
    },
    Cluster {
        id: 0x0202,
        name: "fan_control",
        attributes: &[
            attr(0x0000, "fan_mode", E8).rw().every(1, 3600, 0),
            attr(0x0001, "fan_mode_sequence", E8).rw(),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0204,
        name: "thermostat_ui",
        attributes: &[
            attr(0x0000, "temperature_display_mode", E8).rw(),
            attr(0x0001, "keypad_lockout", E8).rw().every(1, 3600, 0),
        ],
        received: &[],
        generated: &[],
    },
];
