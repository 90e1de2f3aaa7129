//! The entities of a hub.

use std::time::Duration;

use rust_decimal::Decimal;

use super::duration;
use super::number::number;
use crate::import::model::{Capability, Notes, Point, Poll};
use crate::import::tree::{Map, int, scalar};
use crate::mapping::Class;
use crate::yaml::{Kind, Node};

type Found = Result<Vec<Capability>, String>;

const PERIOD: Duration = Duration::from_secs(15);

/// What the thermostat's modes are called in a controller.
const MODES: [(&str, &str); 7] = [
    ("state_off", "Off"),
    ("state_heat", "Heat"),
    ("state_cool", "Cool"),
    ("state_auto", "Auto"),
    ("state_dry", "Dry"),
    ("state_fan_only", "FanOnly"),
    ("state_heat_cool", "HeatCool"),
];

const FAN_MODES: [(&str, &str); 9] = [
    ("state_fan_on", "On"),
    ("state_fan_off", "Off"),
    ("state_fan_low", "Low"),
    ("state_fan_medium", "Medium"),
    ("state_fan_high", "High"),
    ("state_fan_auto", "Auto"),
    ("state_fan_top", "Top"),
    ("state_fan_middle", "Middle"),
    ("state_fan_focus", "Focus"),
];

const SWING_MODES: [(&str, &str); 5] = [
    ("swing_mode_state_on", "On"),
    ("swing_mode_state_off", "Off"),
    ("swing_mode_state_horizontal", "Horizontal"),
    ("swing_mode_state_vertical", "Vertical"),
    ("swing_mode_state_both", "Both"),
];

const ACTIONS: [(&str, &str); 8] = [
    ("action_off", "Off"),
    ("action_idle", "Idle"),
    ("action_heating", "Heating"),
    ("action_cooling", "Cooling"),
    ("action_drying", "Drying"),
    ("action_fan", "Fan"),
    ("action_preheating", "Preheating"),
    ("action_defrosting", "Defrosting"),
];

/// The capabilities of an entity of one of the platforms.
pub(super) fn read(platform: &str, map: &Map<'_>, notes: &mut Notes) -> Found {
    match platform {
        "sensors" => sensor(map),
        "binary_sensors" => binary_sensor(map),
        "climates" => climate(map, notes),
        "covers" => cover(map),
        _ => switch(map, notes),
    }
}

fn name<'m>(map: &Map<'m>) -> &'m str {
    map.text("name").unwrap_or("Modbus")
}

fn poll(map: &Map<'_>) -> Poll {
    match map.decimal("scan_interval").map(|seconds| duration(seconds, 1000)) {
        None => Poll::Every(PERIOD),
        Some(Some(period)) if !period.is_zero() => Poll::Every(period),
        // 0: only when something asks for it.
        Some(_) => Poll::OnDemand,
    }
}

fn new(map: &Map<'_>, name: &str, class: Class) -> Capability {
    let mut capability = Capability::new(map.line, name, class, PERIOD);
    capability.poll = poll(map);
    capability.kind = map.text("device_class").map(str::to_owned);
    capability
}

fn table(map: &Map<'_>, key: &str, default: &'static str) -> Result<&'static str, String> {
    match map.text(key) {
        None => Ok(default),
        Some("holding" | "holdings") => Ok("holding"),
        Some("input") => Ok("input"),
        Some("coil" | "coils") => Ok("coil"),
        Some("discrete_input") => Ok("discrete"),
        Some(other) => Err(format!("`{other}` is no {key}")),
    }
}

fn address(map: &Map<'_>, key: &str) -> Result<u16, String> {
    map.address(key).ok_or_else(|| format!("its {key} is no register"))
}

/// How many entities follow this one in the registers behind it.
fn followers(map: &Map<'_>) -> u16 {
    let count = map.int("virtual_count").or_else(|| map.int("slave_count")).unwrap_or(0);
    u16::try_from(count).unwrap_or(0).min(512)
}

fn repeated(map: &Map<'_>, first: Capability, width: u16) -> Vec<Capability> {
    let mut all = vec![first.clone()];
    for number in 1..=followers(map) {
        let mut next = first.clone();
        next.name = format!("{} {number}", first.name);
        let points = next.read.iter_mut();
        points.for_each(|point| point.address = point.address.saturating_add(number.saturating_mul(width)));
        all.push(next);
    }
    all
}

fn sensor(map: &Map<'_>) -> Found {
    let point = number(map, table(map, "input_type", "holding")?, address(map, "address")?)?;
    let width = match point.encoding {
        "s32" | "u32" | "f32" => 2,
        "s64" | "u64" | "f64" => 4,
        _ => point.registers.unwrap_or(1),
    };
    let mut capability = new(map, name(map), Class::LevelSensor);
    if point.is_text() {
        (capability.class, capability.kind) = (Class::BlobSensor, Some("text".to_owned()));
    } else {
        capability.unit = map.text("unit_of_measurement").map(str::to_owned);
        capability.monotonic = map.says("state_class", "total_increasing");
    }
    capability.read = Some(point);
    Ok(repeated(map, capability, width))
}

fn binary_sensor(map: &Map<'_>) -> Found {
    let mut point = Point::at(table(map, "input_type", "coil")?, address(map, "address")?);
    if !point.is_bit() {
        point.bits = Some((0, 0));
    }
    let mut capability = new(map, name(map), Class::BinarySensor);
    capability.read = Some(point);
    Ok(repeated(map, capability, 1))
}

/// Switches, lights and fans: two values, and perhaps a place to see what became of them.
fn switch(map: &Map<'_>, notes: &mut Notes) -> Found {
    for key in ["brightness_address", "color_temp_address"] {
        if map.has(key) {
            notes.add(
                map.line_of(key),
                format!("light {}: {key}", name(map)),
                "a LevelControl of its own; write it by hand",
            );
            map.node(key);
        }
    }
    let address = address(map, "address")?;
    let table_written = table(map, "write_type", "holding")?;
    let several = matches!(map.text("write_type"), Some("coils" | "holdings"));
    let (on, off) = (map.int("command_on").unwrap_or(1), map.int("command_off").unwrap_or(0));
    let mut write = two_states(table_written, address, &[on], &[off])?;
    write.function = several.then_some(if write.is_bit() { 15 } else { 16 });
    let mut capability = new(map, name(map), Class::BinaryControl);
    // The class of a switch is how it is shown.
    capability.kind = None;
    if map.has_key("verify") {
        let verify = map.map("verify");
        let int_or = |key: &str, default: i128| -> Vec<i128> {
            let states: Vec<i128> = verify
                .as_ref()
                .map(|verify| verify.items(key))
                .unwrap_or_default()
                .iter()
                .filter_map(int)
                .collect();
            if states.is_empty() { vec![default] } else { states }
        };
        let table =
            verify.as_ref().map_or(Ok(table_written), |verify| table(verify, "input_type", table_written))?;
        let place = verify.as_ref().and_then(|verify| verify.address("address")).unwrap_or(address);
        let mut read = two_states(table, place, &int_or("state_on", on), &int_or("state_off", off))?;
        if !read.is_bit() && read.map.is_empty() {
            // Any other value says nothing of it.
            read.map = vec![(0, "false".to_owned()), (1, "true".to_owned())];
        }
        mean_itself(&read, &mut write);
        capability.read = Some(read);
        if let Some(verify) = verify {
            verify.leave_rest(
                &format!("{}: verify", name(map)),
                &[("delay", "see `write.verify`")],
                "it has no place in a mapping",
                notes,
            );
        }
    }
    map.node("verify");
    capability.write = Some(write);
    Ok(vec![capability])
}

fn two_states(table: &'static str, address: u16, on: &[i128], off: &[i128]) -> Result<Point, String> {
    let mut point = Point::at(table, address);
    if point.is_bit() {
        point.invert = match (on, off) {
            ([1 | 0xff00 | 255], [0]) => false,
            ([0], [1 | 0xff00 | 255]) => true,
            _ => return Err("a coil is written as 0 or 1".to_owned()),
        };
    } else if (on, off) != (&[1], &[0]) {
        let state = |values: &[i128], state: &str| {
            values.iter().map(|raw| (*raw, state.to_owned())).collect::<Vec<_>>()
        };
        point.map = [state(off, "false"), state(on, "true")].concat();
    }
    Ok(point)
}

/// A write that says nothing of what its raw values mean would have the meaning of the read, which is another here.
fn mean_itself(read: &Point, write: &mut Point) {
    let plain = [(0, "false".to_owned()), (1, "true".to_owned())];
    let read_alike = !read.invert && (read.map.is_empty() || read.map == plain);
    if write.map.is_empty() && !write.invert && !read_alike {
        write.map = plain.to_vec();
    }
}

fn cover(map: &Map<'_>) -> Found {
    let state = |key: &str, default: i128| map.int(key).unwrap_or(default);
    let (open, closed) = (state("state_open", 1), state("state_closed", 0));
    let (opening, closing) = (state("state_opening", 2), state("state_closing", 3));
    let table_written = table(map, "input_type", "coil")?;
    let address = address(map, "address")?;
    let mut write = Point::at(table_written, address);
    let status = map.address("status_register");
    let mut read = Point::at(table(map, "status_register_type", table_written)?, status.unwrap_or(address));
    if write.is_bit() {
        // A coil knows open and closed alone.
        write.invert = (open, closed) == (0, 1);
        let mut capability = new(map, name(map), Class::BinaryControl);
        capability.kind = None;
        read.invert = write.invert;
        if !read.is_bit() {
            read = two_states(read.table, read.address, &[open, opening], &[closed, closing])?;
        }
        mean_itself(&read, &mut write);
        capability.read = Some(read);
        capability.write = Some(write);
        return Ok(vec![capability]);
    }
    let named = |raw: i128, name: &str| (raw, name.to_owned());
    write.map = vec![named(open, "Open"), named(closed, "Closed")];
    read.map = [write.map.clone(), vec![named(opening, "Opening"), named(closing, "Closing")]].concat();
    let mut capability = new(map, name(map), Class::EnumControl);
    capability.kind = Some("DoorMode".to_owned());
    capability.read = Some(read);
    capability.write = Some(write);
    Ok(vec![capability])
}

/// The temperature, what it is to be, and the modes.
fn climate(map: &Map<'_>, notes: &mut Notes) -> Found {
    let title = name(map);
    let table_read = table(map, "input_type", "holding")?;
    let mut point = number(map, table_read, address(map, "address")?)?;
    let unit = match map.text("temperature_unit").unwrap_or("C") {
        "F" | "f" | "°F" => "degF",
        _ => "degC",
    };
    let mut temperature = new(map, title, Class::LevelSensor);
    temperature.kind = Some("Temperature".to_owned());
    temperature.unit = Some(unit.to_owned());
    let mut target = new(map, &format!("{title} target"), Class::LevelControl);
    target.kind = Some("Temperature".to_owned());
    target.unit = Some(unit.to_owned());
    let limit = |key: &str, default: i64| map.decimal(key).unwrap_or(Decimal::from(default));
    target.range = Some((limit("min_temp", 5), limit("max_temp", 35)));
    target.step = Some(map.decimal("temp_step").unwrap_or(Decimal::new(5, 1))).filter(|step| !step.is_zero());
    let first = first_int(map.node("target_temp_register")).and_then(|register| u16::try_from(register).ok());
    let register = first.ok_or("its target_temp_register is no register")?;
    if map.peek_items("target_temp_register").len() > 1 {
        let why = "each mode has a register of its own; only the first is there";
        notes.add(map.line_of("target_temp_register"), format!("climate {title}: target_temp_register"), why);
    }
    let own = |point: &mut Point, part: &str| {
        point.scale = map.decimal(&format!("{part}_scale")).or(point.scale);
        point.offset = map.decimal(&format!("{part}_offset")).or(point.offset);
    };
    let mut set_point = Point { table: "holding", address: register, ..point.clone() };
    own(&mut set_point, "target_temp");
    own(&mut point, "current_temp");
    target.read = Some(set_point.clone());
    set_point.function = (map.flag("target_temp_write_registers") == Some(true)).then_some(16);
    target.write = Some(set_point);
    temperature.read = Some(point);
    let mut all = vec![temperature, target];
    if let Some(register) = map.address("hvac_onoff_register") {
        let (on, off) = (map.int("hvac_on_value").unwrap_or(1), map.int("hvac_off_value").unwrap_or(0));
        let place = two_states("holding", register, &[on], &[off])?;
        let mut switch = new(map, &format!("{title} on"), Class::BinaryControl);
        switch.read = Some(place.clone());
        switch.write = Some(place);
        all.push(switch);
    }
    for (key, mode, kind, names) in [
        ("hvac_mode_register", "mode", "ThermostatMode", &MODES[..]),
        ("fan_mode_register", "fan mode", "FanMode", &FAN_MODES[..]),
        ("swing_mode_register", "swing mode", "OperatingMode", &SWING_MODES[..]),
        ("hvac_action_register", "action", "OperatingState", &ACTIONS[..]),
    ] {
        let Some(register) = map.map(key) else { continue };
        let is_shown = key == "hvac_action_register";
        let seen = if is_shown { table(&register, "input_type", "holding")? } else { "holding" };
        match modes(map, &register, &format!("{title} {mode}"), kind, names, notes) {
            // What it does just now can only be seen.
            Ok(action) if is_shown => {
                let read = action.read.map(|read| Point { table: seen, ..read });
                all.push(Capability { class: Class::EnumSensor, read, write: None, ..action });
            }
            Ok(control) => all.push(control),
            Err(why) => notes.add(register.line, format!("climate {title}: {key}"), why),
        }
    }
    Ok(all)
}

fn modes(
    map: &Map<'_>,
    register: &Map<'_>,
    title: &str,
    kind: &str,
    names: &[(&str, &str)],
    notes: &mut Notes,
) -> Result<Capability, String> {
    let address = first_int(register.node("address")).and_then(|address| u16::try_from(address).ok());
    let mut read = Point::at("holding", address.ok_or("its address is no register")?);
    let values = register.map("values").ok_or("it has no values")?;
    let mut write = read.clone();
    for (state, raws) in values.all() {
        // Older files leave `state_` away.
        let same = |known: &str| known == state || known.strip_prefix("state_") == Some(state);
        let name = names.iter().find(|(known, _)| same(known)).map_or(state, |(_, name)| name);
        let raws: Vec<i128> = match &raws.kind {
            Kind::List(items) => items.iter().filter_map(int).collect(),
            _ => int(raws).into_iter().collect(),
        };
        // Of several raw values for one state, the first is the one that is written.
        write.map.extend(raws.first().map(|raw| (*raw, name.to_owned())));
        read.map.extend(raws.iter().map(|raw| (*raw, name.to_owned())));
    }
    write.function = (register.flag("write_registers") == Some(true)).then_some(16);
    register.leave_rest(title, &[], "it has no place in a mapping", notes);
    let mut control = new(map, title, Class::EnumControl);
    control.kind = Some(kind.to_owned());
    control.read = Some(read);
    control.write = Some(write);
    Ok(control)
}

fn first_int(node: Option<&Node>) -> Option<i128> {
    match &node?.kind {
        Kind::List(items) => items.first().and_then(int),
        _ => scalar(node?).and_then(crate::import::tree::parse_int),
    }
}
