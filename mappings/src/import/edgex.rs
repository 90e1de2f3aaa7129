//! EdgeX device profiles (`deviceResources` with the attributes of device-modbus), in the forms of versions 1 to 3.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::model::{Capability, Model, Notes, Point, slug};
use super::tree::{Map, decimal, parse_int, scalar};
use super::{Models, nothing};
use crate::mapping::Class;
use crate::yaml::{Kind, Node};

/// A profile does not say how often anything is read.
const PERIOD: Duration = Duration::from_secs(10);

const PROFILE: &[(&str, &str)] = &[
    ("apiVersion", "it is EdgeX's own"),
    ("labels", "a mapping has no labels"),
    ("deviceCommands", "groups of resources are read together by themselves, whoever asks for them"),
    ("coreCommands", "groups of resources are read together by themselves, whoever asks for them"),
];

const ATTRIBUTES: &[(&str, &str)] = &[("stringRegisterSize", "it is about a text")];

const PROPERTIES: &[(&str, &str)] = &[
    ("defaultValue", "a Set always has a value"),
    ("assertion", "a broker has no health check by value; `valid` or `online` may do it"),
    ("mediaType", "it is about binary data"),
    ("base", "no value is a power here"),
];

const NO_PLACE: &str = "it has no place in a mapping";

pub(super) fn read(root: &Node, notes: &mut Notes) -> Models {
    let profile = Map::of(root).ok_or_else(|| nothing(root, "a device profile is a map"))?;
    let name = profile.text("name").unwrap_or("device");
    let vendor = profile.text("manufacturer").filter(|text| !text.is_empty());
    let model_name = profile.text("model").filter(|text| !text.is_empty()).unwrap_or(name);
    let mut model = Model {
        profile: format!("{}.{}", slug(vendor.unwrap_or("imported")), slug(model_name)),
        description: profile.text("description").unwrap_or(name).to_owned(),
        ..Model::default()
    };
    let states = states(&profile);
    for resource in profile.items("deviceResources") {
        if let Some(map) = Map::of(resource) {
            let found = capability(&map, notes);
            model.capabilities.extend(found.map(|capability| named(capability, &states, notes)));
        }
    }
    profile.leave_rest("profile", PROFILE, NO_PLACE, notes);
    Ok(vec![model])
}

/// What commands call the values of a resource, by its name.
type States<'n> = BTreeMap<&'n str, Vec<(&'n str, &'n str)>>;

/// The `mappings` of commands; everything else about them is left out.
fn states<'n>(profile: &Map<'n>) -> States<'n> {
    let mut states = States::new();
    for command in profile.peek_items("deviceCommands") {
        let Some(command) = Map::of(command) else { continue };
        for key in ["resourceOperations", "get", "set"] {
            for operation in command.items(key) {
                let Some(operation) = Map::of(operation) else { continue };
                let resource = operation.text("deviceResource").or_else(|| operation.text("object"));
                let Some((resource, mappings)) = resource.zip(operation.map("mappings")) else { continue };
                let named = mappings.all().filter_map(|(raw, name)| Some((raw, scalar(name)?)));
                states.entry(resource).or_insert_with(|| named.collect());
            }
        }
    }
    states
}

/// A whole number whose values have names is one of several states.
fn named(mut capability: Capability, states: &States<'_>, notes: &mut Notes) -> Capability {
    let Some(states) = states.get(capability.name.as_str()) else { return capability };
    let map: Vec<(i128, String)> =
        states.iter().filter_map(|(raw, name)| Some((parse_int(raw)?, (*name).to_owned()))).collect();
    let point = capability.read.as_ref().or(capability.write.as_ref());
    let whole =
        point.is_some_and(|point| !point.is_bit() && !point.encoding.starts_with('f') && !point.is_text());
    let number = matches!(capability.class, Class::LevelSensor | Class::LevelControl);
    if !number || !whole || map.is_empty() || map.len() < states.len() {
        let why = "the names of its values are no states of whole numbers; see `map`";
        notes.add(capability.line, format!("resource {}: mappings", capability.name), why);
        return capability;
    }
    capability.class =
        if capability.class == Class::LevelControl { Class::EnumControl } else { Class::EnumSensor };
    (capability.unit, capability.range) = (None, None);
    for point in capability.read.iter_mut().chain(capability.write.iter_mut()) {
        (point.scale, point.offset) = (None, None);
        point.map = map.clone();
    }
    capability
}

/// Where and what a resource is.
struct Resource<'n> {
    name: &'n str,
    line: usize,
    value_type: String,
    mode: String,
    low: Option<Decimal>,
    high: Option<Decimal>,
}

fn capability(map: &Map<'_>, notes: &mut Notes) -> Option<Capability> {
    let name = map.text("name").unwrap_or("resource");
    let what = format!("resource {name}");
    let refuse = |notes: &mut Notes, line: usize, why: &str| {
        notes.add(line, what.clone(), why);
        None
    };
    let Some(attributes) = map.map("attributes") else {
        return refuse(notes, map.line, "it has no Modbus attributes");
    };
    let properties = map.map("properties")?;
    // Version 1 has everything about the value one level deeper.
    let value = properties.map("value");
    let value = value.as_ref().unwrap_or(&properties);
    let value_type =
        value.text("valueType").or_else(|| value.text("type")).unwrap_or_default().to_ascii_lowercase();
    let mode = value.text("readWrite").unwrap_or("R").to_ascii_uppercase();
    let bound = |new: &str| value.decimal(new);
    let (low, high) = (bound("minimum"), bound("maximum"));
    let resource = Resource { name, line: map.line, value_type, mode, low, high };
    let point = match point(&attributes, value, &resource, notes) {
        Ok(point) => point,
        Err(why) => return refuse(notes, map.line, &why),
    };
    let units = value.text("units").map(str::to_owned);
    let units = units
        .or_else(|| properties.map("units").and_then(|units| units.text("defaultValue").map(str::to_owned)));
    if point.is_text() && resource.mode.contains('W') {
        let why = "a BlobSensor is only read: write it with a command";
        if !resource.mode.contains('R') {
            return refuse(notes, map.line, why);
        }
        notes.add(map.line, format!("{what}: writing"), why);
    }
    let mut point = point;
    let whole_register =
        point.bits.is_some_and(|(first, _)| first > 0) && point.keeps_other_bits == Some(false);
    if whole_register && resource.mode.contains('W') {
        let why = "EdgeX reads one bit and writes the whole register; it is only read";
        notes.add(map.line, format!("{what}: writing"), why);
    }
    if whole_register || !resource.mode.contains('W') {
        point.keeps_other_bits = None;
    }
    let mut capability = made(&resource, point, whole_register);
    capability.description = map.text("description").unwrap_or_default().to_owned();
    capability.unit = units;
    if map.flag("isHidden") == Some(true) {
        let why = "it is hidden from clients there, and a capability like all others here";
        notes.add(map.line_of("isHidden"), format!("{what}: isHidden"), why);
    }
    map.leave_rest(&what, &[("tag", NO_PLACE), ("tags", NO_PLACE)], NO_PLACE, notes);
    attributes.leave_rest(&what, ATTRIBUTES, "this attribute is not known to the import", notes);
    value.leave_rest(&what, PROPERTIES, NO_PLACE, notes);
    Some(capability)
}

fn made(resource: &Resource<'_>, point: Point, fixed: bool) -> Capability {
    let writable = !fixed && resource.mode.contains('W') && !matches!(point.table, "input" | "discrete");
    let binary = point.is_bit() || resource.value_type == "bool";
    let is_text = point.is_text();
    let writable = writable && !is_text;
    let class = match (binary, writable) {
        _ if is_text => Class::BlobSensor,
        (true, true) => Class::BinaryControl,
        (true, false) => Class::BinarySensor,
        (false, true) => Class::LevelControl,
        (false, false) => Class::LevelSensor,
    };
    let mut capability = Capability::new(resource.line, resource.name, class, PERIOD);
    capability.kind = is_text.then(|| "text".to_owned());
    capability.range = resource.low.zip(resource.high).filter(|(low, high)| low < high);
    capability.write = writable.then(|| point.clone());
    let read = Point { keeps_other_bits: None, ..point };
    capability.read = (resource.mode.contains('R') || !writable).then_some(read);
    capability
}

fn point(
    attributes: &Map<'_>,
    value: &Map<'_>,
    resource: &Resource<'_>,
    notes: &mut Notes,
) -> Result<Point, String> {
    let table = attributes.text("primaryTable").unwrap_or_default();
    let table = match table.to_ascii_uppercase().as_str() {
        "COILS" => "coil",
        "DISCRETES_INPUT" | "DISCRETE_INPUTS" | "DISCRETE_INPUT" => "discrete",
        "INPUT_REGISTERS" => "input",
        "HOLDING_REGISTERS" => "holding",
        other => return Err(format!("`{other}` is no Modbus table")),
    };
    let (address, bit) =
        attributes.node("startingAddress").and_then(place).ok_or("its startingAddress is no register")?;
    let mut point = Point::at(table, address);
    if point.is_bit() {
        return Ok(point);
    }
    if resource.value_type == "bool" {
        // Of a register one bit is read, the lowest unless another is named, and the whole is written.
        let bit = bit.unwrap_or(0);
        (point.encoding, point.bits, point.keeps_other_bits) = ("u16", Some((bit, bit)), Some(false));
        return if bit < 16 {
            Ok(point)
        } else {
            Err("its startingAddress names no bit of a register".to_owned())
        };
    }
    let raw = attributes.text("rawType").map(str::to_ascii_lowercase);
    point.encoding = encoding(raw.as_deref().unwrap_or(&resource.value_type))?;
    if point.is_text() {
        let registers = attributes.int("stringRegisterSize").unwrap_or(1);
        point.registers = Some(u16::try_from(registers).map_err(|_| "its stringRegisterSize is no size")?);
    }
    let swap = |key| attributes.flag(key).unwrap_or(false);
    // Only what has two registers is swapped, whatever the profile says.
    let two = matches!(point.encoding, "u32" | "s32" | "f32");
    point.order = match (swap("isByteSwap") && two, swap("isWordSwap") && two) {
        (false, false) => "",
        (false, true) => "CDAB",
        (true, false) => "BADC",
        (true, true) => "DCBA",
    };
    let number = |key: &str| value.text(key).filter(|text| !text.is_empty()).and_then(decimal);
    point.scale = number("scale");
    point.offset = number("offset");
    if let Some(base) = number("base").filter(|base| !base.is_zero()) {
        return Err(format!("its value is a power of {base}, which no mapping can say"));
    }
    bits(&mut point, value, resource, notes)?;
    Ok(point)
}

/// `100`, or with a bit `10.3`. A number that is not in quotes has two decimals to EdgeX, so that 10.1 is bit 10.
fn place(node: &Node) -> Option<(u16, Option<u8>)> {
    let plain = matches!(node.kind, Kind::Scalar { plain: true, .. });
    let text = scalar(node)?.trim();
    let Some((register, bit)) = text.split_once('.') else {
        return Some((u16::try_from(parse_int(text)?).ok()?, None));
    };
    let bit = if plain && bit.len() == 1 { format!("{bit}0") } else { bit.to_owned() };
    Some((register.parse().ok()?, Some(bit.parse().ok()?)))
}

/// A mask and a shift by as many bits as it has zeros at its end are a field of bits.
fn bits(
    point: &mut Point,
    value: &Map<'_>,
    resource: &Resource<'_>,
    notes: &mut Notes,
) -> Result<(), String> {
    let mask = value.int("mask").filter(|mask| *mask != 0);
    let shift = value.int("shift").unwrap_or(0);
    let Some(mask) = mask else {
        return if shift == 0 { Ok(()) } else { Err("its value is shifted without a mask".to_owned()) };
    };
    if !point.mask(mask) {
        return Err(format!("the bits of its mask {mask:#x} are not next to each other"));
    }
    let zeros = i128::from(mask.trailing_zeros());
    if shift.abs() != zeros {
        // Without the shift the field stands for itself times a power of two.
        let unshifted = u32::try_from(zeros)
            .ok()
            .filter(|_| shift == 0)
            .map(|zeros| Decimal::from(1_u64 << zeros.min(63)));
        point.multiply(unshifted.ok_or("its mask and its shift do not fit together")?);
    }
    if resource.mode.contains('W') {
        notes.add(
            resource.line,
            resource.name,
            "a write keeps the bits outside its mask, which EdgeX does not",
        );
    }
    Ok(())
}

fn encoding(value_type: &str) -> Result<&'static str, String> {
    Ok(match value_type {
        "uint16" => "u16",
        "int16" => "s16",
        "uint32" => "u32",
        "int32" => "s32",
        "uint64" => "u64",
        "int64" => "s64",
        "float32" => "f32",
        "float64" => "f64",
        "string" => "string",
        other => return Err(format!("values of type {other} cannot be had from registers here")),
    })
}
