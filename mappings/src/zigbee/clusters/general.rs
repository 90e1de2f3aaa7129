//! Clusters that many kinds of devices have (ZCL, chapter 3).

use super::{
    BOOL, Cluster, Command, E8, E16, F32, Field, M8, M32, S8, S16, Set, TEXT, U8, U16, U32, ZclType, attr,
    command, field,
};

const TRANSITION: Field = field("transition_time", U16).or(0);
const OPTIONS_MASK: Field = field("options_mask", M8).maybe();
const OPTIONS_OVERRIDE: Field = field("options_override", M8).maybe();

const MOVE_TO_LEVEL: &[Field] = &[field("level", U8), TRANSITION, OPTIONS_MASK, OPTIONS_OVERRIDE];
const MOVE: &[Field] = &[field("move_mode", E8), field("rate", U8).or(255), OPTIONS_MASK, OPTIONS_OVERRIDE];
const STEP: &[Field] =
    &[field("step_mode", E8), field("step_size", U8), TRANSITION, OPTIONS_MASK, OPTIONS_OVERRIDE];
const STOP: &[Field] = &[OPTIONS_MASK, OPTIONS_OVERRIDE];

const LEVEL_COMMANDS: &[Command] = &[
    command(0x00, "move_to_level", MOVE_TO_LEVEL),
    command(0x01, "move", MOVE),
    command(0x02, "step", STEP),
    command(0x03, "stop", STOP),
    command(0x04, "move_to_level_with_on_off", MOVE_TO_LEVEL),
    command(0x05, "move_with_on_off", MOVE),
    command(0x06, "step_with_on_off", STEP),
    command(0x07, "stop_with_on_off", STOP),
];

const ON_OFF_STATES: &[(i128, u8)] = &[(1, 0x01), (0, 0x00)];

pub(super) const CLUSTERS: &[Cluster] = &[
    Cluster {
        id: 0x0000,
        name: "basic",
        attributes: &[
            attr(0x0000, "zcl_version", U8),
            attr(0x0001, "application_version", U8),
            attr(0x0002, "stack_version", U8),
            attr(0x0003, "hw_version", U8),
            attr(0x0004, "manufacturer_name", TEXT),
            attr(0x0005, "model_identifier", TEXT),
            attr(0x0006, "date_code", TEXT),
            attr(0x0007, "power_source", E8),
            attr(0x0010, "location_description", TEXT).rw(),
            attr(0x0011, "physical_environment", E8).rw(),
            attr(0x0012, "device_enabled", BOOL).rw(),
            attr(0x0013, "alarm_mask", M8).rw(),
            attr(0x4000, "sw_build_id", TEXT),
        ],
        received: &[command(0x00, "reset_to_factory_defaults", &[])],
        generated: &[],
    },
    Cluster {
        id: 0x0001,
        name: "power_configuration",
        attributes: &[
            attr(0x0000, "mains_voltage", U16),
            attr(0x0001, "mains_frequency", U8),
            attr(0x0020, "battery_voltage", U8).every(3600, 43_200, 1),
            attr(0x0021, "battery_percentage_remaining", U8).every(3600, 43_200, 2),
            attr(0x0031, "battery_size", E8).rw(),
            attr(0x0033, "battery_quantity", U8).rw(),
            attr(0x0034, "battery_rated_voltage", U8).rw(),
            attr(0x0035, "battery_alarm_mask", M8).rw(),
            attr(0x003e, "battery_alarm_state", M32).every(60, 43_200, 0),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0002,
        name: "device_temperature",
        attributes: &[
            attr(0x0000, "current_temperature", S16).every(60, 3600, 1),
            attr(0x0001, "min_temp_experienced", S16),
            attr(0x0002, "max_temp_experienced", S16),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0003,
        name: "identify",
        attributes: &[attr(0x0000, "identify_time", U16).rw()],
        received: &[
            command(0x00, "identify", &[field("identify_time", U16)]),
            command(0x01, "identify_query", &[]),
            command(0x40, "trigger_effect", &[field("effect", E8), field("variant", E8).or(0)]),
        ],
        generated: &[command(0x00, "identify_query_response", &[field("timeout", U16)])],
    },
    Cluster {
        id: 0x0004,
        name: "groups",
        attributes: &[attr(0x0000, "name_support", M8)],
        received: &[
            command(0x00, "add_group", &[field("group", U16), field("name", TEXT)]),
            command(0x03, "remove_group", &[field("group", U16)]),
            command(0x04, "remove_all_groups", &[]),
        ],
        generated: &[],
    },
    Cluster {
        id: 0x0005,
        name: "scenes",
        attributes: &[
            attr(0x0000, "scene_count", U8),
            attr(0x0001, "current_scene", U8),
            attr(0x0002, "current_group", U16),
            attr(0x0003, "scene_valid", BOOL),
        ],
        received: &[
            command(0x04, "store_scene", &[field("group", U16), field("scene", U8)]),
            command(0x05, "recall_scene", &[field("group", U16), field("scene", U8), TRANSITION.maybe()]),
        ],
        generated: &[],
    },
    Cluster {
        id: 0x0006,
        name: "on_off",
        attributes: &[
            attr(0x0000, "on_off", BOOL).every(0, 600, 0).set(Set::States(ON_OFF_STATES)),
            attr(0x4000, "global_scene_control", BOOL),
            attr(0x4001, "on_time", U16).rw(),
            attr(0x4002, "off_wait_time", U16).rw(),
            attr(0x4003, "start_up_on_off", E8).rw(),
        ],
        received: &[
            command(0x00, "off", &[]),
            command(0x01, "on", &[]),
            command(0x02, "toggle", &[]),
            command(0x40, "off_with_effect", &[field("effect", E8), field("variant", E8).or(0)]),
            command(0x41, "on_with_recall_global_scene", &[]),
            command(
                0x42,
                "on_with_timed_off",
                &[
                    field("on_off_control", U8).or(0),
                    field("on_time", U16),
                    field("off_wait_time", U16).or(0),
                ],
            ),
        ],
        generated: &[],
    },
    Cluster {
        id: 0x0007,
        name: "on_off_switch_configuration",
        attributes: &[attr(0x0000, "switch_type", E8), attr(0x0010, "switch_actions", E8).rw()],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0008,
        name: "level",
        attributes: &[
            attr(0x0000, "current_level", U8).every(1, 600, 1).set(Set::Value(0x04, 0)),
            attr(0x0001, "remaining_time", U16),
            attr(0x000f, "options", M8).rw(),
            attr(0x0010, "on_off_transition_time", U16).rw(),
            attr(0x0011, "on_level", U8).rw(),
            attr(0x0012, "on_transition_time", U16).rw(),
            attr(0x0013, "off_transition_time", U16).rw(),
            attr(0x0014, "default_move_rate", U8).rw(),
            attr(0x4000, "start_up_current_level", U8).rw(),
        ],
        received: LEVEL_COMMANDS,
        generated: &[],
    },
    Cluster {
        id: 0x000c,
        name: "analog_input",
        attributes: &[
            attr(0x001c, "description", TEXT),
            attr(0x0055, "present_value", F32).every(10, 3600, 1),
            attr(0x0051, "out_of_service", BOOL),
            attr(0x006f, "status_flags", M8),
            attr(0x0075, "engineering_units", E16),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x000d,
        name: "analog_output",
        attributes: &[
            attr(0x0051, "out_of_service", BOOL).rw(),
            attr(0x0055, "present_value", F32).rw().every(10, 3600, 1),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x000f,
        name: "binary_input",
        attributes: &[
            attr(0x0051, "out_of_service", BOOL),
            attr(0x0055, "present_value", BOOL).every(0, 3600, 0),
            attr(0x006f, "status_flags", M8),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0010,
        name: "binary_output",
        attributes: &[attr(0x0055, "present_value", BOOL).rw().every(0, 600, 0)],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0012,
        name: "multistate_input",
        attributes: &[
            attr(0x004a, "number_of_states", U16),
            attr(0x0055, "present_value", U16).every(0, 3600, 1),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0013,
        name: "multistate_output",
        attributes: &[attr(0x0055, "present_value", U16).rw().every(0, 600, 1)],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x0020,
        name: "poll_control",
        attributes: &[
            attr(0x0000, "check_in_interval", U32).rw(),
            attr(0x0001, "long_poll_interval", U32),
            attr(0x0002, "short_poll_interval", U16),
            attr(0x0003, "fast_poll_timeout", U16).rw(),
        ],
        received: &[
            command(
                0x00,
                "check_in_response",
                &[field("start_fast_polling", BOOL), field("fast_poll_timeout", U16)],
            ),
            command(0x01, "fast_poll_stop", &[]),
        ],
        generated: &[command(0x00, "check_in", &[])],
    },
    Cluster {
        id: 0x0b05,
        name: "diagnostics",
        attributes: &[
            attr(0x0000, "number_of_resets", U16),
            attr(0x011c, "last_message_lqi", U8),
            attr(0x011d, "last_message_rssi", S8),
        ],
        received: &[],
        generated: &[],
    },
    Cluster {
        id: 0x000a,
        name: "time",
        attributes: &[attr(0x0000, "time", ZclType::Utc).rw(), attr(0x0001, "time_status", M8).rw()],
        received: &[],
        generated: &[],
    },
];
