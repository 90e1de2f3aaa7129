//! Home Assistant's `modbus:` YAML: each hub and unit becomes a device.

mod entities;
mod number;

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{Capability, Model, Notes, slug};
use super::tree::{Map, scalar};
use super::writer::quoted;
use super::{Models, nothing};
use crate::yaml::{Kind, Node};

/// Entities by the key of their list, and what one of them is called.
const PLATFORMS: [(&str, &str); 7] = [
    ("sensors", "sensor"),
    ("binary_sensors", "binary sensor"),
    ("switches", "switch"),
    ("lights", "light"),
    ("fans", "fan"),
    ("climates", "climate"),
    ("covers", "cover"),
];

const HUB: &[(&str, &str)] = &[
    ("delay", "no pause is made before the first request"),
    ("close_comm_on_error", "a connection is always made anew after an error"),
    ("retries", "a read is tried again at the next poll, a write is never repeated"),
    ("retry_on_empty", "a read is tried again at the next poll, a write is never repeated"),
    ("bytesize", "Modbus RTU always has 8 bits"),
    ("method", "only RTU is spoken on a serial line"),
    ("name", "it is the hub's"),
];

const ENTITY: &[(&str, &str)] = &[
    ("unique_id", "rows are known by the key in the mapping"),
    ("state_class", "a controller's matter: a mapping tells no statistics"),
    ("precision", "values are kept as exact as the device has them"),
    ("lazy_error_count", "see `online` in the mapping"),
    (
        "min_value",
        "Home Assistant shows this instead of smaller values; `valid: [least, greatest]` makes of them no reading",
    ),
    (
        "max_value",
        "Home Assistant shows this instead of greater values; `valid: [least, greatest]` makes of them no reading",
    ),
    ("zero_suppress", "every value is shown as it is; see `deadband`"),
    ("nan_value", "such values have none that is no reading"),
    ("count", "it follows from the type"),
    ("icon", "a controller's matter: a mapping has no icons"),
];

const NO_PLACE: &str = "it has no place in a mapping";

pub(super) fn read(root: &Node, notes: &mut Notes) -> Models {
    let hubs: &[Node] = match &root.kind {
        Kind::List(hubs) => hubs,
        _ => {
            let whole = Map::of(root).ok_or_else(|| nothing(root, "there is no `modbus:` in it"))?;
            let hubs = whole.items("modbus");
            if let [hub] = hubs
                && scalar(hub).is_some()
            {
                return Err(nothing(hub, "`modbus:` is in another file; import that one"));
            }
            whole.leave_rest("section", &[], "it is not about Modbus", notes);
            hubs
        }
    };
    let mut models = Vec::new();
    for (place, hub) in hubs.iter().enumerate() {
        if let Some(map) = Map::of(hub) {
            models.extend(hub_devices(&map, place, notes));
        }
    }
    Ok(models)
}

fn hub_devices(hub: &Map<'_>, place: usize, notes: &mut Notes) -> Vec<Model> {
    let name = hub.text("name").map_or_else(|| format!("hub-{place}"), str::to_owned);
    let bus = bus(hub, &name, notes);
    let seconds = |key| hub.decimal(key).and_then(|number| duration(number, 1000));
    let timeout = seconds("timeout").filter(|timeout| !timeout.is_zero());
    let guard = hub.decimal("message_wait_milliseconds").and_then(|number| duration(number, 1));
    let mut units: BTreeMap<u8, Vec<Capability>> = BTreeMap::new();
    for (key, what) in PLATFORMS {
        for entity in hub.items(key) {
            let Some(map) = Map::of(entity) else { continue };
            let what = format!("{what} {}", map.text("name").unwrap_or("without a name"));
            match entities::read(key, &map, notes) {
                Ok(found) => {
                    units.entry(unit(&map, &what, notes)).or_default().extend(found);
                    map.leave_rest(&what, ENTITY, NO_PLACE, notes);
                }
                Err(why) => notes.add(map.line, what, why),
            }
        }
    }
    hub.leave_rest(&format!("hub {name}"), HUB, NO_PLACE, notes);
    let several = units.len() > 1;
    let device = |(unit, capabilities): (u8, Vec<Capability>)| Model {
        profile: match several {
            true => format!("imported.{}-{unit}", slug(&name)),
            false => format!("imported.{}", slug(&name)),
        },
        description: format!("{name}, unit {unit}"),
        timeout,
        guard: guard.filter(|guard| !guard.is_zero()),
        place: bus.clone().map(|bus| (slug(&name), bus, unit)),
        capabilities,
        ..Model::default()
    };
    units.into_iter().map(device).collect()
}

fn unit(map: &Map<'_>, what: &str, notes: &mut Notes) -> u8 {
    let given = map.int("slave").or_else(|| map.int("device_address"));
    match given.map(u8::try_from) {
        Some(Ok(unit)) => unit,
        _ => {
            notes.add(map.line, format!("{what}: slave"), "it names no unit; 1 was taken");
            1
        }
    }
}

/// The bus as a site file has it.
fn bus(hub: &Map<'_>, name: &str, notes: &mut Notes) -> Option<String> {
    let address = || {
        let host = hub.text("host")?;
        let port = hub.int("port").unwrap_or(502);
        Some(quoted(&if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }))
    };
    match hub.text("type") {
        Some("tcp") => address().map(|address| format!("{{modbus_tcp: {address}}}")),
        Some("rtuovertcp") => address().map(|address| format!("{{modbus_rtu_tcp: {address}}}")),
        Some("serial") => {
            let port = quoted(hub.text("port")?);
            let parity = match hub.text("parity").unwrap_or("E").to_ascii_uppercase().as_str() {
                "N" => "none",
                "O" => "odd",
                _ => "even",
            };
            let (baud, stop) = (hub.int("baudrate").unwrap_or(9600), hub.int("stopbits").unwrap_or(1));
            Some(format!("{{modbus_rtu: {port}, baud: {baud}, parity: {parity}, stop_bits: {stop}}}"))
        }
        other => {
            let why = format!(
                "there is no bus of type {} here; the site file is yours to write",
                other.unwrap_or("nothing")
            );
            notes.add(hub.line_of("type"), format!("hub {name}"), why);
            hub.text("host");
            hub.text("port");
            None
        }
    }
}

fn duration(number: rust_decimal::Decimal, milliseconds: u32) -> Option<Duration> {
    let time = number.checked_mul(milliseconds.into())?;
    u64::try_from(time.trunc()).ok().map(Duration::from_millis)
}
