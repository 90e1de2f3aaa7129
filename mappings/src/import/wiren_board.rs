//! Templates of Wiren Board's wb-mqtt-serial.

mod condition;
mod depends;

use std::time::Duration;

use rust_decimal::Decimal;

use self::depends::Depends;
use super::model::{Capability, Model, Notes, Point, slug};
use super::tree::{Map, int, parse_int, scalar};
use super::{Models, nothing};
use crate::mapping::Class;
use crate::yaml::Node;

/// A channel without a period of its own is read in turn, which takes about this long.
const PERIOD: Duration = Duration::from_secs(10);

/// What a type of channel measures: its unit.
const TYPES: &[(&str, &str)] = &[
    ("temperature", "degC"),
    ("rel_humidity", "%"),
    ("voltage", "V"),
    ("current", "A"),
    ("power", "W"),
    ("power_consumption", "kWh"),
    ("concentration", "ppm"),
    ("sound_level", "dB"),
    ("lux", "lx"),
    ("resistance", "ohm"),
    ("pressure", "bar"),
    ("atmospheric_pressure", "mbar"),
    ("wind_speed", "m/s"),
    ("rainfall", "mm/h"),
    ("heat_power", "W"),
];

/// Wiren Board's limit is about what is merged; the widest number is read whatever it says.
const WIDEST: u16 = 4;

const DEVICE: &[(&str, &str)] = &[
    ("groups", "rows of capabilities are not grouped"),
    ("translations", "TR-181 has one language"),
    ("enable_wb_continuous_read", "it is Wiren Board's own extension of Modbus"),
    ("max_bit_hole", "see `modbus.max_gap`, which is about registers"),
    (
        "response_timeout_ms",
        "there it ends with the first byte of the answer, and `modbus.timeout` with the last: add the time of the transfer",
    ),
    ("frame_timeout_ms", "it follows from the speed of the line"),
    ("device_timeout_ms", "see `online` in the mapping"),
    ("device_max_fail_cycles", "see `online` in the mapping"),
    ("subdevices", "write them as capabilities of one device, or as nodes"),
    ("min_request_interval", "see `modbus.guard`"),
];

const TEMPLATE: &[(&str, &str)] = &[
    ("title", "a mapping has a description"),
    ("group", "mappings are not grouped"),
    ("hw", "a mapping says by `fingerprint` what it fits"),
    ("deprecated", "it is about the template"),
];

const CHANNEL: &[(&str, &str)] = &[
    ("id", "rows are known by the key in the mapping"),
    ("group", "rows of capabilities are not grouped"),
    ("round_to", "values are kept as exact as the device has them"),
    ("enabled", "each capability of a mapping is there"),
    ("sporadic", "Wiren Board's own events; it is polled"),
    ("fw", "a mapping does not ask for a version of firmware"),
    ("control_type", "a controller's matter"),
    ("semi-sporadic", "Wiren Board's own events; it is polled"),
    ("order", "rows are in the order of the mapping"),
    ("semi_sporadic", "Wiren Board's own events; it is polled"),
];

const NO_PLACE: &str = "it has no place in a mapping";

pub(super) fn read(root: &Node, notes: &mut Notes) -> Models {
    let template = Map::of(root).ok_or_else(|| nothing(root, "a template is a map"))?;
    let device = template.map("device").ok_or_else(|| nothing(root, "it has no `device`"))?;
    if let Some(protocol) =
        device.text("protocol").filter(|protocol| !matches!(*protocol, "modbus" | "modbus-tcp"))
    {
        return Err(nothing(root, &format!("its devices speak {protocol}, not Modbus")));
    }
    let kind = template.text("device_type").unwrap_or("device");
    let vendor = if kind.to_ascii_uppercase().starts_with("WB") { "wirenboard" } else { "imported" };
    let number = |key: &str| device.int(key).and_then(|number| u16::try_from(number).ok());
    let milliseconds =
        |key: &str| device.int(key).and_then(|time| u64::try_from(time).ok()).filter(|time| *time > 0);
    let mut model = Model {
        profile: format!("{vendor}.{}", slug(kind)),
        description: device.text("name").unwrap_or(kind).to_owned(),
        timeout: None,
        guard: milliseconds("guard_interval_us").map(|time| Duration::from_millis(time.div_ceil(1000))),
        max_registers: number("max_read_registers").map(|most| most.clamp(WIDEST, 125)),
        max_gap: number("max_reg_hole").filter(|gap| *gap > 0).map(|gap| gap.min(124)),
        ..Model::default()
    };
    device.text("id");
    let depends = Depends::new(&device);
    for channel in device.items("channels") {
        if let Some(map) = Map::of(channel) {
            take(&map, &depends, &mut model, notes);
        }
    }
    model.params = depends.params();
    settings(&device, notes);
    device.leave_rest("device", DEVICE, NO_PLACE, notes);
    template.leave_rest("template", TEMPLATE, NO_PLACE, notes);
    Ok(vec![model])
}

/// What is written once, or by whoever installs the device.
fn settings(device: &Map<'_>, notes: &mut Notes) {
    for (key, why) in [
        (
            "setup",
            "nothing is written into a device at the start; set it up by hand, or write it as a command",
        ),
        ("parameters", "a setting of the installer; write it as a control if users are to have it"),
    ] {
        for node in device.items(key) {
            let Some(map) = Map::of(node) else { continue };
            // In newer templates a map from names to settings.
            if map.has("address") || map.has("title") {
                let title = map
                    .text("title")
                    .or_else(|| map.text("id"))
                    .or_else(|| map.text("name"))
                    .unwrap_or("without a title");
                notes.add(map.line, format!("{key}: {title}"), why);
                continue;
            }
            for (name, node) in map.all() {
                notes.add(node.span.line, format!("{key}: {name}"), why);
            }
        }
    }
}

fn take(map: &Map<'_>, depends: &Depends, model: &mut Model, notes: &mut Notes) {
    let name = map.text("name").or_else(|| map.text("id")).unwrap_or("channel");
    let what = format!("channel {name}");
    match channel(map, name) {
        Ok(mut capability) => {
            if let Some(condition) = map.text("condition") {
                match depends.when(condition) {
                    Some(when) => capability.when = when,
                    None => {
                        let why = format!("it is there only if {condition}; see `when` and `params`");
                        notes.add(map.line_of("condition"), format!("{what}: condition"), why);
                    }
                }
            }
            if let Some(why) = unwritten(&capability, map) {
                notes.add(map.line, format!("{what}: writing"), why);
            }
            model.capabilities.push(capability);
            map.leave_rest(&what, CHANNEL, NO_PLACE, notes);
        }
        Err(why) => notes.add(map.line, what, why),
    }
}

/// Why what can be set there cannot be set here.
fn unwritten(capability: &Capability, map: &Map<'_>) -> Option<&'static str> {
    let fixed = map.flag("readonly") == Some(true);
    let place = capability.read.as_ref()?;
    let settable = matches!(place.table, "holding" | "coil") && !fixed && capability.write.is_none();
    settable.then_some(match capability.class {
        Class::BlobSensor => "a BlobSensor is only read: write it with a command",
        Class::BinarySensor | Class::EnumSensor => "it is a sensor there; if it can be set, make it a control",
        _ => "a LevelControl needs its least and greatest value, which the template does not have; it is only read",
    })
}

fn channel(map: &Map<'_>, name: &str) -> Result<Capability, String> {
    if map.has("consists_of") {
        return Err("it is made of several registers; see MultiLevelSensor".to_owned());
    }
    if map.has("device_type") || map.has("oneOf") {
        return Err("it stands for other channels, in another template".to_owned());
    }
    let (table, functions) = match map.text("reg_type").unwrap_or_default() {
        "coil" => ("coil", None),
        "discrete" => ("discrete", None),
        "holding" => ("holding", None),
        "holding_single" => ("holding", Some(6)),
        "holding_multi" => ("holding", Some(16)),
        "input" => ("input", None),
        "" => return Err("it has no reg_type".to_owned()),
        other => return Err(format!("its registers are of type {other}, which is Wiren Board's own")),
    };
    let read = map.node("address").map(|node| place(map, table, node)).transpose()?;
    let write = map.node("write_address").map(|node| place(map, table, node)).transpose()?;
    let kind = map.text("type").unwrap_or("value");
    let fixed = map.flag("readonly") == Some(true) || matches!(table, "input" | "discrete");
    let only_written = kind == "wo-switch" || kind == "pushbutton" || read.is_none();
    let titles = titles(map);
    let is_text = read.as_ref().is_some_and(Point::is_text);
    let class = match is_text {
        true => Class::BlobSensor,
        false => class(kind, table, fixed, !titles.is_empty(), map)?,
    };
    let controls = matches!(class, Class::BinaryControl | Class::LevelControl | Class::EnumControl);
    let period = map
        .int("read_period_ms")
        .or_else(|| map.int("read_rate_limit_ms"))
        .or_else(|| map.int("poll_interval"));
    let period = period
        .and_then(|time| u64::try_from(time).ok())
        .filter(|time| *time > 0)
        .map_or(PERIOD, Duration::from_millis);
    let mut capability = Capability::new(map.line, name, class, period);
    capability.write = controls.then(|| write.or(read.clone())).flatten();
    capability.read = read.filter(|_| !only_written);
    meaning(&mut capability, map, &titles);
    if let Some(write) = &mut capability.write {
        write.function = functions;
        // The template's driver writes the whole register.
        write.keeps_other_bits = matches!(write.encoding, "u8" | "s8").then_some(false);
    }
    capability.kind = Some(if is_text { "text" } else { kind }.to_owned());
    let measured = TYPES.iter().find(|(known, _)| *known == kind).map(|(_, unit)| *unit);
    if matches!(class, Class::LevelControl | Class::LevelSensor) {
        capability.unit = map.text("units").or(measured).map(str::to_owned);
    } else {
        map.text("units");
    }
    Ok(capability)
}

fn class(kind: &str, table: &str, fixed: bool, named: bool, map: &Map<'_>) -> Result<Class, String> {
    let bit = matches!(table, "coil" | "discrete");
    Ok(match kind {
        "rgb" | "text" => {
            return Err(format!("a channel of type {kind}; see MultiLevelSensor and BlobSensor"));
        }
        "switch" | "wo-switch" | "pushbutton" | "alarm" if fixed || kind == "alarm" => Class::BinarySensor,
        "switch" | "wo-switch" | "pushbutton" => Class::BinaryControl,
        _ if bit && fixed => Class::BinarySensor,
        _ if bit => Class::BinaryControl,
        _ if named && fixed => Class::EnumSensor,
        _ if named => Class::EnumControl,
        // Only what says how far it goes can be set.
        "range" | "value" | "dimmer" if !fixed && (kind != "value" || map.has("max")) => Class::LevelControl,
        _ => Class::LevelSensor,
    })
}

/// Raw values and their titles.
fn titles(map: &Map<'_>) -> Vec<(i128, String)> {
    let titles = map.items("enum_titles").iter().filter_map(scalar).map(str::to_owned);
    map.items("enum").iter().filter_map(int).zip(titles).collect()
}

fn meaning(capability: &mut Capability, map: &Map<'_>, titles: &[(i128, String)]) {
    let (on, off) = (map.int("on_value"), map.int("off_value"));
    let invalid: Vec<i128> =
        ["error_value", "unsupported_value"].iter().filter_map(|key| map.int(key)).collect();
    let (scale, offset) = (map.decimal("scale"), map.decimal("offset"));
    let (low, high) = (map.decimal("min"), map.decimal("max"));
    let class = capability.class;
    for (point, reads) in
        capability.read.iter_mut().map(|p| (p, true)).chain(capability.write.iter_mut().map(|p| (p, false)))
    {
        let invalid = invalid.iter().map(|raw| signed(point.encoding, *raw));
        match class {
            _ if point.is_bit() => point.invert = on == Some(0),
            Class::LevelControl | Class::LevelSensor => {
                (point.scale, point.offset) = (scale, offset);
                point.invalid = if reads { invalid.collect() } else { Vec::new() };
            }
            Class::EnumControl | Class::EnumSensor => point.map = titles.to_vec(),
            _ if on.is_some() || off.is_some() => {
                let states = [(off.unwrap_or(0), "false"), (on.unwrap_or(1), "true")];
                point.map = states.map(|(raw, state)| (raw, state.to_owned())).to_vec();
            }
            _ => {}
        }
    }
    if class == Class::LevelControl {
        capability.range = high.map(|high| (low.unwrap_or(Decimal::ZERO), high));
    }
}

/// A raw value as its type has it: templates write sentinels as they look on the wire.
fn signed(encoding: &str, raw: i128) -> i128 {
    let bits = match encoding {
        "s16" => 16,
        "s32" => 32,
        "s64" => 64,
        _ => return raw,
    };
    if raw >> (bits - 1) & 1 == 1 && raw >> bits == 0 { raw - (1 << bits) } else { raw }
}

/// `16`, `"0x10"`, or with bits `"0x10:4:2"`: from bit 4, two of them.
fn place(map: &Map<'_>, table: &'static str, node: &Node) -> Result<Point, String> {
    let text = scalar(node).ok_or("its address is no register")?;
    let mut parts = text.split(':');
    let register = parts.next().and_then(parse_int).and_then(|register| u16::try_from(register).ok());
    let mut point =
        Point::at(table, register.ok_or_else(|| format!("its address {text} is no Modbus register"))?);
    let bits: Vec<u8> = parts.filter_map(|part| part.parse().ok()).collect();
    if point.is_bit() {
        map.text("format");
        return Ok(point);
    }
    point.bits = match bits[..] {
        [] => None,
        [first, width] if width > 0 => first.checked_add(width - 1).map(|last| (first, last)),
        _ => return Err(format!("its address {text} is no field of bits")),
    };
    point.encoding = match map.text("format").unwrap_or("u16") {
        "u16" => "u16",
        "s16" => "s16",
        // The lower byte; the upper one may be anything.
        "u8" => "u8",
        "s8" => "s8",
        "u24" => "u24",
        "s24" => "s24",
        "u32" => "u32",
        "s32" => "s32",
        "u64" => "u64",
        "s64" => "s64",
        "float" => "f32",
        "double" => "f64",
        "bcd16" | "bcd32" => "bcd",
        "string8" => "string",
        "string" => return Err("each register of its text has one character, and here two".to_owned()),
        "bcd8" | "bcd24" => {
            return Err("some digits of its registers do not count; read it `as: bcd` if they are always 0"
                .to_owned());
        }
        other => return Err(format!("values of format {other} cannot be had here")),
    };
    point.registers = match map.text("format") {
        Some("bcd16") => Some(1),
        Some("bcd32") => Some(2),
        Some("string8") => {
            let size = map.int("string_data_size").and_then(|size| u16::try_from(size).ok());
            Some(size.ok_or("its string_data_size is no number of registers")?)
        }
        _ => None,
    };
    point.order = match (map.text("word_order"), map.text("byte_order")) {
        (Some("little_endian"), Some("little_endian")) => "DCBA",
        (Some("little_endian"), _) => "CDAB",
        (_, Some("little_endian")) => "BADC",
        _ => "",
    };
    Ok(point)
}
