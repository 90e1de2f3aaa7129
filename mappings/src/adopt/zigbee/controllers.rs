//! What buttons and remote controls send.

use super::Source;
use super::writer::Part;

pub(super) fn add(source: &Source<'_>, part: &mut Part) {
    // Bridges and gateways are clients of many clusters and send nothing by themselves.
    if !source.interview.is_sleepy() && source.has(0x0006) {
        return;
    }
    if source.controls(0x0006) {
        let commands = ["off", "on", "toggle", "off_with_effect", "on_with_timed_off"];
        part.event("OnOff", "On, off and the like was pressed", "on_off", &commands);
    }
    if source.controls(0x0008) {
        let commands = [
            "move_to_level",
            "move",
            "step",
            "stop",
            "move_to_level_with_on_off",
            "move_with_on_off",
            "step_with_on_off",
            "stop_with_on_off",
        ];
        part.event("Level", "Brighter, darker and the like was pressed", "level", &commands);
    }
    if source.controls(0x0005) {
        part.event("Scene", "A scene was chosen", "scenes", &["recall_scene"]);
    }
    if source.controls(0x0102) {
        part.event(
            "Covering",
            "Up, down or stop was pressed",
            "window_covering",
            &["up_open", "down_close", "stop"],
        );
    }
}
