//! What is switched and dimmed.

use super::Source;
use super::writer::Part;

pub(super) fn add(source: &Source<'_>, part: &mut Part) {
    if source.has(0x0006) {
        let place = part.at("on_off");
        part.capability(
            "switch",
            &format!("class: BinaryControl, type: Switch, name: Switch, read: {{{place}, attribute: on_off}}, write: {{}}"),
        );
        part.is(if source.is_light() { "Light" } else { "PowerStrip" });
    }
    if source.has(0x0008) && !source.has(0x0102) {
        level(part);
    }
    if source.has(0x0300) {
        colour(source, part);
    }
    if source.has(0x0003) {
        let about = "Shows which one it is, by blinking or the like, for so many seconds";
        part.command("Identify", about, "Seconds: {int: [0, 600], default: 5}", "identify", IDENTIFY);
    }
}

const IDENTIFY: &str = "command: identify, fields: {identify_time: \"${arg.Seconds}\"}";

fn level(part: &mut Part) {
    let place = part.at("level");
    part.capability(
        "brightness",
        &format!(
            "class: LevelControl, type: Brightness, unit: \"-\", name: Brightness, min: 1, max: 254, step: 1, \
             read: {{{place}, attribute: current_level}}, write: {{}}"
        ),
    );
    let args = "Level: {int: [0, 254]}, Tenths: {int: [0, 65534], default: 10}";
    let send = "command: move_to_level_with_on_off, fields: {level: \"${arg.Level}\", transition_time: \"${arg.Tenths}\"}";
    part.command("Fade", "Goes to a level within so many tenths of a second", args, "level", send);
}

fn colour(source: &Source<'_>, part: &mut Part) {
    const COLOR: u16 = 0x0300;
    let known =
        source.number(COLOR, 0x400a).and_then(|bits| u16::try_from(bits).ok()).filter(|bits| *bits != 0);
    // Who says nothing of its abilities: by the kind of light.
    let abilities = known.unwrap_or(match source.endpoint.device {
        0x010c | 0x0220 => 0x10,
        0x010d | 0x0210 => 0x18,
        _ => 0x08,
    });
    if abilities & 0x10 != 0 {
        let least = source.number(COLOR, 0x400b).filter(|it| (1..0xfeff).contains(it)).unwrap_or(153);
        let most = source
            .number(COLOR, 0x400c)
            .filter(|it| *it > least && *it < 0xff00)
            .unwrap_or(500.max(least + 1));
        let place = part.at("color");
        part.capability(
            "color-temperature",
            &format!(
                "class: LevelControl, type: X_USPBROKER_ColorTemp, unit: X_USPBROKER_Mired, name: Colour temperature, min: {least}, \
                 max: {most}, step: 1, read: {{{place}, attribute: color_temperature}}, write: {{}}"
            ),
        );
    }
    if abilities & 0x08 != 0 {
        let place = part.at("color");
        // One step is 1/65536.
        let value = |name: &str| format!("{{{place}, attribute: {name}, scale: 0.0000152587890625}}");
        part.capability(
            "color",
            &format!(
                "class: MultiLevelSensor, type: X_USPBROKER_Color, unit: \"-\", name: Colour, description: CIE 1931 x and y, \
                 values: {{X: {}, Y: {}}}",
                value("current_x"),
                value("current_y")
            ),
        );
        let args = "X: {int: [0, 65279]}, Y: {int: [0, 65279]}, Tenths: {int: [0, 65534], default: 0}";
        let send = "command: move_to_color, fields: {color_x: \"${arg.X}\", color_y: \"${arg.Y}\", transition_time: \"${arg.Tenths}\"}";
        part.command("Color", "Goes to a colour: CIE 1931 x and y in 65536ths", args, "color", send);
    } else if abilities & 0x01 != 0 {
        hue(part);
    }
}

fn hue(part: &mut Part) {
    for (key, name, attribute) in
        [("hue", "Hue", "current_hue"), ("saturation", "Saturation", "current_saturation")]
    {
        let place = part.at("color");
        part.capability(
            key,
            &format!(
                "class: LevelControl, type: X_USPBROKER_{name}, unit: \"-\", name: {name}, min: 0, max: 254, step: 1, \
                 read: {{{place}, attribute: {attribute}}}, write: {{}}"
            ),
        );
    }
}
