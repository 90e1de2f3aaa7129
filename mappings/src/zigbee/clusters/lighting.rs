//! Colour (ZCL, chapter 5).

use super::{Cluster, E8, Field, M8, M16, S16, Set, U8, U16, attr, command, field};

const TRANSITION: Field = field("transition_time", U16).or(0);
const MASK: Field = field("options_mask", M8).maybe();
const OVERRIDE: Field = field("options_override", M8).maybe();
const DIRECTION: Field = field("direction", E8).or(0);
const MIN: Field = field("min_mireds", U16).or(0);
const MAX: Field = field("max_mireds", U16).or(0);

pub(super) const CLUSTERS: &[Cluster] = &[Cluster {
    id: 0x0300,
    name: "color",
    attributes: &[
        attr(0x0000, "current_hue", U8).every(1, 600, 1).set(Set::Value(0x00, 0)),
        attr(0x0001, "current_saturation", U8).every(1, 600, 1).set(Set::Value(0x03, 0)),
        attr(0x0002, "remaining_time", U16),
        attr(0x0003, "current_x", U16).every(1, 600, 100),
        attr(0x0004, "current_y", U16).every(1, 600, 100),
        attr(0x0007, "color_temperature", U16).every(1, 600, 1).set(Set::Value(0x0a, 0)),
        attr(0x0008, "color_mode", E8).every(1, 600, 0),
        attr(0x000f, "options", M8).rw(),
        attr(0x4000, "enhanced_current_hue", U16).every(1, 600, 100).set(Set::Value(0x40, 0)),
        attr(0x4001, "enhanced_color_mode", E8),
        attr(0x4002, "color_loop_active", U8),
        attr(0x400a, "color_capabilities", M16),
        attr(0x400b, "color_temp_physical_min", U16),
        attr(0x400c, "color_temp_physical_max", U16),
        attr(0x4010, "start_up_color_temperature", U16).rw(),
    ],
    received: &[
        command(0x00, "move_to_hue", &[field("hue", U8), DIRECTION, TRANSITION, MASK, OVERRIDE]),
        command(0x01, "move_hue", &[field("move_mode", E8), field("rate", U8), MASK, OVERRIDE]),
        command(0x03, "move_to_saturation", &[field("saturation", U8), TRANSITION, MASK, OVERRIDE]),
        command(
            0x06,
            "move_to_hue_and_saturation",
            &[field("hue", U8), field("saturation", U8), TRANSITION, MASK, OVERRIDE],
        ),
        command(
            0x07,
            "move_to_color",
            &[field("color_x", U16), field("color_y", U16), TRANSITION, MASK, OVERRIDE],
        ),
        command(0x08, "move_color", &[field("rate_x", S16), field("rate_y", S16), MASK, OVERRIDE]),
        command(
            0x0a,
            "move_to_color_temperature",
            &[field("color_temperature", U16), TRANSITION, MASK, OVERRIDE],
        ),
        command(0x40, "enhanced_move_to_hue", &[field("hue", U16), DIRECTION, TRANSITION, MASK, OVERRIDE]),
        command(0x47, "stop_move_step", &[MASK, OVERRIDE]),
        command(
            0x4b,
            "move_color_temperature",
            &[field("move_mode", M8), field("rate", U16), MIN, MAX, MASK, OVERRIDE],
        ),
        command(
            0x4c,
            "step_color_temperature",
            &[field("step_mode", M8), field("step_size", U16), TRANSITION, MIN, MAX, MASK, OVERRIDE],
        ),
    ],
    generated: &[],
}];
