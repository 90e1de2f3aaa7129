//! ESPHome configurations with `modbus_controller`.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::model::{Capability, Model, Notes, Point, slug};
use super::tree::{Map, decimal, int, scalar};
use super::writer::quoted;
use super::{ImportError, Models, nothing};
use crate::diagnostic::SourceFile;
use crate::mapping::Class;
use crate::yaml::{self, Node};

const PERIOD: Duration = Duration::from_secs(60);

/// Platforms that a mapping can have, by their section.
const SECTIONS: [&str; 7] =
    ["sensor", "binary_sensor", "switch", "number", "select", "output", "text_sensor"];

const ENTITY: &[(&str, &str)] = &[
    ("accuracy_decimals", "values are kept as exact as the device has them"),
    ("state_class", "a controller's matter: a mapping tells no statistics"),
    ("icon", "a controller's matter: a mapping has no icons"),
    ("entity_category", "a controller's matter"),
    ("internal", "a controller's matter: permissions say who may see it"),
    ("disabled_by_default", "a controller's matter"),
    ("force_new_range", "what is read together is planned anew from `modbus.max_gap`"),
    ("register_count", "it follows from the type; what is read together is planned anew"),
    ("response_size", "it follows from the type"),
    ("restore_mode", "what a device does after a restart is its own matter"),
    ("optimistic", "what was written is read back, see `write.verify`"),
    ("use_write_multiple", "see `write.fc`"),
    ("mode", "a controller's matter: how a number is shown"),
];

const NO_PLACE: &str = "it has no place in a mapping";

pub(super) fn read(file: &SourceFile, root: &Node, notes: &mut Notes) -> Models {
    let substituted = substituted(file, root);
    let root = match &substituted {
        Some(text) => &yaml::parse(text).map_err(ImportError::Syntax)?,
        None => root,
    };
    let whole = Map::of(root).ok_or_else(|| nothing(root, "an ESPHome configuration is a map"))?;
    whole.node("substitutions");
    let mut controllers = controllers(&whole, notes);
    if controllers.is_empty() {
        return Err(nothing(root, "there is no `modbus_controller` in it"));
    }
    for section in SECTIONS {
        for entity in whole.items(section) {
            if let Some(map) = Map::of(entity) {
                take(section, &map, &mut controllers, notes);
            }
        }
    }
    let not_modbus = "it is about the ESPHome node itself, not about Modbus";
    whole.leave_rest("section", &[], not_modbus, notes);
    Ok(controllers.into_iter().map(|(_, _, model)| model).collect())
}

/// The file with `${name}` and `$name` put in, if it has any.
fn substituted(file: &SourceFile, root: &Node) -> Option<SourceFile> {
    let names = Map::of(root)?.map("substitutions")?;
    let mut pairs: Vec<(&str, &str)> =
        names.all().filter_map(|(key, value)| Some((key, scalar(value)?))).collect();
    // The longest first: $volt is no part of $voltage.
    pairs.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    let mut text = file.text().to_owned();
    for (key, value) in pairs {
        let value = value.replace('\n', " ");
        text = text.replace(&format!("${{{key}}}"), &value).replace(&format!("${key}"), &value);
        if text.len() > crate::diagnostic::MAX_BYTES {
            return None;
        }
    }
    Some(SourceFile::new(file.name(), &text))
}

/// ID, period and device of each controller.
type Controllers = Vec<(String, Duration, Model)>;

fn controllers(whole: &Map<'_>, notes: &mut Notes) -> Controllers {
    let line = serial_line(whole, notes);
    let node_name = whole.peek("esphome").and_then(|node| node.text("name").map(str::to_owned));
    let node_name = node_name.unwrap_or_default();
    let lines = lines(whole, notes);
    let mut controllers = Vec::new();
    for (place, node) in whole.items("modbus_controller").iter().enumerate() {
        let Some(map) = Map::of(node) else { continue };
        let id = map.text("id").map_or_else(|| format!("controller-{place}"), str::to_owned);
        let period = map.text("update_interval").and_then(duration).unwrap_or(PERIOD);
        let unit = map.int("address").and_then(|unit| u8::try_from(unit).ok());
        let model = Model {
            profile: format!("imported.{}", slug(&id)),
            description: match node_name.as_str() {
                same if same == id => id.clone(),
                name => format!("{name} {id}").trim().to_owned(),
            },
            timeout: timeout(&lines, map.text("modbus_id")),
            guard: map.text("command_throttle").and_then(duration).filter(|guard| !guard.is_zero()),
            place: line.clone().zip(unit).map(|(line, unit)| ("line".to_owned(), line, unit)),
            ..Model::default()
        };
        if unit.is_none() {
            notes.add(
                map.line,
                format!("modbus_controller {id}: address"),
                "it is no unit number; the site file needs one",
            );
        }
        let reasons = [
            ("setup_priority", "it is about the ESPHome node itself"),
            ("offline_skip_updates", "see `online` in the mapping"),
            ("max_cmd_retries", "a read is tried again at the next poll, a write is never repeated"),
        ];
        map.leave_rest(&format!("modbus_controller {id}"), &reasons, NO_PLACE, notes);
        controllers.push((id, period, model));
    }
    controllers
}

/// ID and time-out of each line. ESPHome waits for an answer before it sends the next request.
type Lines = Vec<(Option<String>, Option<Duration>)>;

fn lines(whole: &Map<'_>, notes: &mut Notes) -> Lines {
    let mut lines = Vec::new();
    for (place, node) in whole.items("modbus").iter().enumerate() {
        let Some(map) = Map::of(node) else { continue };
        let id = map.text("id").map(str::to_owned);
        let timeout = map.text("send_wait_time").and_then(duration);
        let name = id.clone().unwrap_or_else(|| place.to_string());
        let reasons = [
            ("uart_id", "the port of an ESPHome node is no port of this hub"),
            ("flow_control_pin", "the pins of an ESPHome node are no pins of this hub"),
        ];
        map.leave_rest(&format!("modbus {name}"), &reasons, NO_PLACE, notes);
        lines.push((id, timeout.filter(|timeout| !timeout.is_zero())));
    }
    lines
}

/// The time-out of the line that a controller names, or of the only one.
fn timeout(lines: &Lines, id: Option<&str>) -> Option<Duration> {
    match (id, lines.as_slice()) {
        (Some(id), _) => lines.iter().find(|(line, _)| line.as_deref() == Some(id))?.1,
        (None, [(_, timeout)]) => *timeout,
        (None, _) => None,
    }
}

/// The bus of a site file. ESPHome names pins; the port of the hub is to be put in.
fn serial_line(whole: &Map<'_>, notes: &mut Notes) -> Option<String> {
    let uart = whole.items("uart").first().and_then(Map::of)?;
    let baud = uart.int("baud_rate").unwrap_or(9600);
    let parity = uart.text("parity").unwrap_or("NONE").to_ascii_lowercase();
    let stop_bits = uart.int("stop_bits").unwrap_or(1);
    let why = "the port of an ESPHome node is no port of this hub; put the right one into the site file";
    notes.add(uart.line, "uart", why);
    let port = quoted("/dev/serial/by-id/PUT-YOUR-ADAPTER-HERE");
    Some(format!("{{modbus_rtu: {port}, baud: {baud}, parity: {parity}, stop_bits: {stop_bits}}}"))
}

fn take(section: &str, map: &Map<'_>, controllers: &mut Controllers, notes: &mut Notes) {
    let platform = map.text("platform").unwrap_or_default();
    let name = map.text("name").or_else(|| map.text("id")).unwrap_or(section).to_owned();
    map.text("id");
    let what = format!("{section} {name}");
    if platform != "modbus_controller" {
        notes.add(map.line, what, format!("its platform is {platform}, not modbus_controller"));
        return;
    }
    let id = map.text("modbus_controller_id");
    let found = controllers.iter_mut().find(|(known, ..)| id.is_none_or(|id| id == known));
    let Some((_, period, model)) = found else {
        notes.add(map.line, what, "there is no modbus_controller of this id");
        return;
    };
    match entity(section, map, &name, *period) {
        Ok(capability) => {
            model.capabilities.push(capability);
            map.leave_rest(&what, ENTITY, NO_PLACE, notes);
        }
        Err(why) => notes.add(map.line, what, why),
    }
}

fn entity(section: &str, map: &Map<'_>, name: &str, period: Duration) -> Result<Capability, String> {
    for key in ["lambda", "write_lambda"] {
        if map.has(key) {
            return Err(format!(
                "its value is computed by a {key}; say it with `scale`, `offset`, `map` or `bits`"
            ));
        }
    }
    if map.has("custom_command") {
        return Err("a custom_command is no Modbus register".to_owned());
    }
    let skipped = map.int("skip_updates").and_then(|skip| u32::try_from(skip).ok()).unwrap_or(0);
    let period = period.saturating_mul(skipped.saturating_add(1));
    let point = point(section, map)?;
    let mut capability = match section {
        "sensor" => sensor(map, name, period, point)?,
        "binary_sensor" => binary_sensor(map, name, period, point)?,
        "switch" => switch(map, name, period, point)?,
        "number" => number(map, name, period, point)?,
        "select" => select(map, name, period, point)?,
        "output" if point.is_bit() => {
            let mut capability = Capability::new(map.line, name, Class::BinaryControl, period);
            capability.write = Some(point);
            capability
        }
        "output" => {
            return Err("an output has no range of its own; write it as a LevelControl by hand".to_owned());
        }
        _ => return Err("a text; see BlobSensor and `map`".to_owned()),
    };
    capability.kind = map.text("device_class").map(str::to_owned);
    capability.unit = map.text("unit_of_measurement").map(str::to_owned);
    capability.monotonic = section == "sensor" && map.says("state_class", "total_increasing");
    Ok(capability)
}

fn point(section: &str, map: &Map<'_>) -> Result<Point, String> {
    let table = match (map.text("register_type"), section) {
        (Some("coil"), _) => "coil",
        (Some("discrete_input"), _) => "discrete",
        (Some("read" | "input"), _) => "input",
        (Some("holding"), _) | (None, "switch" | "number" | "select" | "output") => "holding",
        (Some(other), _) => return Err(format!("`{other}` is no register_type")),
        (None, _) => return Err("it has no register_type".to_owned()),
    };
    let address = map.address("address").ok_or("its address is no register")?;
    let offset = map.int("offset").or_else(|| map.int("byte_offset")).unwrap_or(0);
    let mut point = Point::at(table, address);
    if point.is_bit() {
        point.address = u16::try_from(offset)
            .ok()
            .and_then(|offset| address.checked_add(offset))
            .ok_or("its offset leads nowhere")?;
        map.text("value_type");
        return Ok(point);
    }
    if offset % 2 != 0 {
        return Err("its offset is within a register".to_owned());
    }
    point.address = u16::try_from(offset / 2)
        .ok()
        .and_then(|offset| address.checked_add(offset))
        .ok_or("its offset leads nowhere")?;
    (point.encoding, point.order) = match map.text("value_type").unwrap_or("U_WORD") {
        "U_WORD" => ("u16", ""),
        "S_WORD" => ("s16", ""),
        "U_DWORD" => ("u32", ""),
        "S_DWORD" => ("s32", ""),
        "U_DWORD_R" => ("u32", "CDAB"),
        "S_DWORD_R" => ("s32", "CDAB"),
        "U_QWORD" => ("u64", ""),
        "S_QWORD" => ("s64", ""),
        "U_QWORD_R" => ("u64", "CDAB"),
        "S_QWORD_R" => ("s64", "CDAB"),
        "FP32" => ("f32", ""),
        "FP32_R" => ("f32", "CDAB"),
        other => return Err(format!("values of type {other} need a lambda")),
    };
    Ok(point)
}

fn masked(point: &mut Point, map: &Map<'_>, default: i128) -> Result<(), String> {
    let mask = map.int("bitmask").unwrap_or(default);
    let whole = [0xffff, 0xffff_ffff, i128::from(u64::MAX)].contains(&mask);
    if point.is_bit() || whole || point.mask(mask) {
        Ok(())
    } else {
        Err(format!("the bits of its bitmask {mask:#x} are not next to each other"))
    }
}

fn sensor(map: &Map<'_>, name: &str, period: Duration, mut point: Point) -> Result<Capability, String> {
    if point.is_bit() {
        return binary_sensor(map, name, period, point);
    }
    masked(&mut point, map, 0xffff_ffff)?;
    for filter in map.items("filters") {
        let filter = Map::of(filter).ok_or("it has a filter that the import does not know")?;
        for (kind, value) in filter.all() {
            let value = scalar(value).and_then(decimal);
            match (kind, value) {
                ("multiply", Some(factor)) => point.multiply(factor),
                ("offset", Some(offset)) => point.add(offset),
                _ => {
                    return Err(format!(
                        "its filter {kind} would change its values; only multiply and offset can be said"
                    ));
                }
            }
        }
    }
    let mut capability = Capability::new(map.line, name, Class::LevelSensor, period);
    capability.read = Some(point);
    Ok(capability)
}

fn binary_sensor(
    map: &Map<'_>,
    name: &str,
    period: Duration,
    mut point: Point,
) -> Result<Capability, String> {
    if !point.is_bit() {
        masked(&mut point, map, 0xffff_ffff)?;
        // Any bit of the mask will do.
        if point.bits.is_none_or(|(first, last)| first != last) {
            point.map = vec![(0, "false".to_owned())];
            point.map_default = Some("true".to_owned());
        }
    }
    let mut filters = map
        .items("filters")
        .iter()
        .filter_map(Map::of)
        .flat_map(|filter| filter.all().map(|(key, _)| key.to_owned()).collect::<Vec<_>>());
    if let Some(filter) = filters.next() {
        return Err(format!("its filter {filter} would change its values"));
    }
    let mut capability = Capability::new(map.line, name, Class::BinarySensor, period);
    capability.read = Some(point);
    Ok(capability)
}

fn switch(map: &Map<'_>, name: &str, period: Duration, mut point: Point) -> Result<Capability, String> {
    masked(&mut point, map, 1)?;
    let mut write = point.clone();
    if point.bits.is_some() {
        // It writes the mask or 0, whatever the other bits are.
        write.keeps_other_bits = Some(false);
    }
    if map.flag("use_write_multiple") == Some(true) {
        write.function = Some(if point.is_bit() { 15 } else { 16 });
    }
    let mut capability = Capability::new(map.line, name, Class::BinaryControl, period);
    capability.read = (map.flag("assumed_state") != Some(true)).then_some(point);
    capability.write = Some(write);
    Ok(capability)
}

fn number(map: &Map<'_>, name: &str, period: Duration, mut point: Point) -> Result<Capability, String> {
    masked(&mut point, map, 0xffff_ffff)?;
    if let Some(factor) = map.decimal("multiply").filter(|factor| !factor.is_zero()) {
        let scale =
            Decimal::ONE.checked_div(factor).filter(|scale| scale.checked_mul(factor) == Some(Decimal::ONE));
        point.multiply(scale.ok_or("1 / multiply has no end, so its scale cannot be said exactly")?);
    }
    let mut write = point.clone();
    if map.flag("use_write_multiple") == Some(true) {
        write.function = Some(16);
    }
    let mut capability = Capability::new(map.line, name, Class::LevelControl, period);
    capability.range = map.decimal("min_value").zip(map.decimal("max_value"));
    capability.step = map.decimal("step").filter(|step| !step.is_zero());
    capability.read = Some(point);
    capability.write = Some(write);
    Ok(capability)
}

fn select(map: &Map<'_>, name: &str, period: Duration, mut point: Point) -> Result<Capability, String> {
    let options = map.map("optionsmap").ok_or("it has no optionsmap")?;
    let options: BTreeMap<i128, String> =
        options.all().filter_map(|(option, raw)| Some((int(raw)?, option.to_owned()))).collect();
    point.map = options.into_iter().collect();
    let mut write = point.clone();
    if map.flag("use_write_multiple") == Some(true) {
        write.function = Some(16);
    }
    let mut capability = Capability::new(map.line, name, Class::EnumControl, period);
    capability.read = Some(point);
    capability.write = Some(write);
    Ok(capability)
}

/// `500ms`, `10s`, `5min`, `never`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let milliseconds = match unit {
        "ms" => Decimal::ONE,
        "s" => Decimal::from(1000),
        "min" => Decimal::from(60_000),
        "h" => Decimal::from(3_600_000),
        _ => return None,
    };
    let time = decimal(number)?.checked_mul(milliseconds)?;
    u64::try_from(time.trunc()).ok().map(Duration::from_millis)
}
