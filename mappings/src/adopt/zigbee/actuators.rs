//! Locks, coverings, heating, fans, sirens.

use rust_decimal::Decimal;

use super::Source;
use super::writer::Part;

pub(super) fn add(source: &Source<'_>, part: &mut Part) {
    if source.has(0x0101) {
        lock(part);
    }
    if source.has(0x0102) {
        covering(source, part);
    }
    if source.has(0x0201) {
        thermostat(source, part);
    }
    if source.has(0x0202) {
        fan(source, part);
    }
    if source.has(0x0204) {
        let place = part.at("thermostat_ui");
        let read =
            format!("read: {{{place}, attribute: keypad_lockout, map: {{0: false, 1: true}}}}, write: {{}}");
        let body = format!("class: BinaryControl, type: Locked, name: Keypad locked, {read}");
        part.capability("keypad-locked", &body);
    }
}

fn lock(part: &mut Part) {
    let place = part.at("door_lock");
    part.capability(
        "locked",
        &format!(
            "class: BinaryControl, type: Locked, name: Locked, read: {{{place}, attribute: lock_state, \
             map: {{0: false, 1: true, 2: false}}}}, write: {{map: {{1: true, 2: false}}, verify: 15s}}"
        ),
    );
    part.is("Lock");
}

fn covering(source: &Source<'_>, part: &mut Part) {
    const COVERING: u16 = 0x0102;
    // Tilt alone: shutters whose slats turn and nothing else.
    let tilts = matches!(source.number(COVERING, 0x0000), Some(0x06..=0x08));
    for (key, name, is_there) in [
        ("position", "current_position_lift_percentage", source.may_have(COVERING, 0x0008)),
        ("tilt", "current_position_tilt_percentage", tilts && source.may_have(COVERING, 0x0009)),
    ] {
        if !is_there {
            continue;
        }
        let place = part.at("window_covering");
        let shown = if key == "tilt" { "Tilt" } else { "Position" };
        // It takes its time, and reports where it is.
        part.capability(
            key,
            &format!(
                "class: LevelControl, type: Position, unit: \"%\", name: {shown}, description: 0 is open and 100 closed, min: 0, \
                 max: 100, step: 1, read: {{{place}, attribute: {name}}}, write: {{verify: false}}"
            ),
        );
    }
    for (name, about, command) in [
        ("Open", "Opens it", "up_open"),
        ("Close", "Closes it", "down_close"),
        ("Stop", "Stops it where it is", "stop"),
    ] {
        part.command(name, about, "", "window_covering", &format!("command: {command}"));
    }
    part.is("Motor");
}

fn thermostat(source: &Source<'_>, part: &mut Part) {
    const THERMOSTAT: u16 = 0x0201;
    let rest = "attribute: local_temperature, scale: 0.01";
    part.level("temperature", ("Temperature", "degC", ""), "thermostat", rest);
    // Cooling only, heating only, or both.
    let sequence = source.number(THERMOSTAT, 0x001b).unwrap_or(2);
    let (heats, cools) = (!matches!(sequence, 0 | 1), matches!(sequence, 0 | 1 | 4 | 5));
    for (is_there, key, attribute, limits, usual) in [
        (heats, "heating-setpoint", "occupied_heating_setpoint", (0x0003, 0x0004), (700, 3000)),
        (cools, "cooling-setpoint", "occupied_cooling_setpoint", (0x0005, 0x0006), (1600, 3200)),
    ] {
        if !is_there {
            continue;
        }
        let hundredths = |attribute, usual: i128| {
            let held = source.number(THERMOSTAT, attribute).filter(|it| (-5000..=10_000).contains(it));
            Decimal::try_from_i128_with_scale(held.unwrap_or(usual), 2).unwrap_or_default().normalize()
        };
        let (least, most) = (hundredths(limits.0, usual.0), hundredths(limits.1, usual.1));
        let name = if key.starts_with('h') { "Heating setpoint" } else { "Cooling setpoint" };
        let place = part.at("thermostat");
        part.capability(
            key,
            &format!(
                "class: LevelControl, type: Temperature, unit: degC, name: {name}, min: {least}, max: {most}, step: 0.5, \
                 read: {{{place}, attribute: {attribute}, scale: 0.01}}, write: {{}}"
            ),
        );
    }
    mode(source, part, (heats, cools));
    if source.holds(THERMOSTAT, 0x0008) {
        let meaning = ("X_USPBROKER_HeatingDemand", "%", "valid: [0, 100]");
        part.level("heating-demand", meaning, "thermostat", "attribute: pi_heating_demand");
    }
    if source.holds(THERMOSTAT, 0x0029) {
        part.binary("heating", "X_USPBROKER_Heating", "thermostat", "attribute: running_state, bits: 0");
    }
    part.is("Thermostat");
}

fn mode(source: &Source<'_>, part: &mut Part, (heats, cools): (bool, bool)) {
    if !source.may_have(0x0201, 0x001c) {
        return;
    }
    let states = match (heats, cools) {
        (true, true) => "0: \"Off\", 1: Auto, 3: Cool, 4: Heat",
        (false, _) => "0: \"Off\", 3: Cool",
        (true, false) => "0: \"Off\", 4: Heat",
    };
    let place = part.at("thermostat");
    part.capability(
        "mode",
        &format!(
            "class: EnumControl, type: ThermostatMode, name: Mode, steps: none, read: {{{place}, attribute: system_mode, \
             map: {{{states}}}}}, write: {{}}"
        ),
    );
}

/// What a fan can, by its FanModeSequence.
fn fan(source: &Source<'_>, part: &mut Part) {
    let states = match source.number(0x0202, 0x0001) {
        Some(0) => "0: \"Off\", 1: Low, 2: Medium, 3: High",
        Some(1) => "0: \"Off\", 1: Low, 3: High",
        Some(3) => "0: \"Off\", 1: Low, 3: High, 5: Auto",
        Some(4) => "0: \"Off\", 4: \"On\", 5: Auto",
        _ => "0: \"Off\", 1: Low, 2: Medium, 3: High, 5: Auto",
    };
    let place = part.at("fan_control");
    part.capability(
        "fan",
        &format!(
            "class: EnumControl, type: FanMode, name: Fan, read: {{{place}, attribute: fan_mode, map: {{{states}}}}}, write: {{}}"
        ),
    );
    part.is("Fan");
}
