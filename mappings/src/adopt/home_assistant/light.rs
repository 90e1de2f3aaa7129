//! Lights, by their two plain schemas: a topic for everything, or JSON.

use rust_decimal::Decimal;

use super::VENDOR;
use super::entity::{Entity, Refused};
use crate::adopt::Notes;
use crate::adopt::json::Json;
use crate::adopt::meaning::own_word;
use crate::adopt::model::{Body, Capability, Model, Point, Write, tree, word};
use crate::mapping::Class;

pub(super) fn add(
    entity: &Entity,
    model: &mut Model,
    device: &str,
    notes: &mut Notes,
) -> Result<(), Refused> {
    match entity.text("schema").unwrap_or("basic") {
        "basic" | "default" => by_topics(entity, model, device, notes),
        "json" => by_json(entity, model, device, notes),
        other => Err(format!("the schema `{other}` is not understood")),
    }
}

fn by_topics(entity: &Entity, model: &mut Model, device: &str, notes: &mut Notes) -> Result<(), Refused> {
    let name = entity.name();
    let write = entity.write("command_topic", "command_template")?.ok_or("it has no `command_topic`")?;
    let template =
        if entity.text("state_value_template").is_some() { "state_value_template" } else { "value_template" };
    let read = entity.point("state_topic", template)?;
    let states = [("payload_off", "OFF", "payload_off", ""), ("payload_on", "ON", "payload_on", "")];
    entity.put(model, entity.binary(&name, read, Some(write), states));
    for (what, kind, unit, range) in levels(entity) {
        let key = |end: &str| format!("{what}_{end}");
        let Some(to) = entity.write(&key("command_topic"), &key("command_template"))? else { continue };
        let mut level = level(&name, what, &kind, unit, range);
        level.read = entity.point(&key("state_topic"), &key("value_template"))?;
        level.write = Some(to);
        entity.put(model, level);
    }
    for topic in [
        "rgb_command_topic",
        "hs_command_topic",
        "xy_command_topic",
        "effect_command_topic",
        "white_command_topic",
    ] {
        if entity.text(topic).is_some() {
            notes.add(
                device,
                &format!("light {name}: {topic}"),
                "colours and effects of a light are not taken over",
            );
        }
    }
    Ok(())
}

/// What can be told apart from on and off: name, `Type`, unit, bounds.
fn levels(entity: &Entity) -> [(&'static str, String, &'static str, (Decimal, Decimal)); 2] {
    let number = |key: &str, usual: i64| entity.json.number(key).unwrap_or_else(|| usual.into());
    let kelvin = entity.json.flag("color_temp_kelvin") == Some(true);
    let white = if kelvin {
        ("K", (number("min_kelvin", 2000), number("max_kelvin", 6535)))
    } else {
        ("X_HOMEASSISTANT_Mired", (number("min_mireds", 153), number("max_mireds", 500)))
    };
    [
        ("brightness", "Brightness".to_owned(), "-", (Decimal::ZERO, number("brightness_scale", 255))),
        ("color_temp", own_word(VENDOR, "ColorTemp"), white.0, white.1),
    ]
}

fn level(name: &str, what: &str, kind: &str, unit: &str, range: (Decimal, Decimal)) -> Capability {
    let mut level = Capability::new(&format!("{name} {}", what.replace('_', " ")), Class::LevelControl, kind);
    level.unit = Some(unit.to_owned());
    level.range = Some(range);
    level
}

/// State and commands are JSON with the same members.
fn by_json(entity: &Entity, model: &mut Model, device: &str, notes: &mut Notes) -> Result<(), Refused> {
    let name = entity.name();
    let to = entity.topic("command_topic")?.ok_or("it has no `command_topic`")?.to_owned();
    let from = entity.topic("state_topic")?.map(str::to_owned);
    let point = |member: &str| from.as_deref().map(|topic| Point::json(topic, &format!("/{member}")));
    let states = vec![(word("OFF"), "false".to_owned()), (word("ON"), "true".to_owned())];
    let mut power = Capability::new(&name, Class::BinaryControl, "Switch");
    power.read = point("state").map(|point| Point { map: states.clone(), ..point });
    let map = if power.read.is_none() { states } else { Vec::new() };
    power.write = Some(Write { map, ..Write::new(&to, Body::Member("/state".to_owned())) });
    entity.put(model, power);
    let modes: Vec<&str> =
        entity.json.items("supported_color_modes").iter().filter_map(Json::as_text).collect();
    let dims = entity.json.flag("brightness") == Some(true) || modes.iter().any(|mode| *mode != "onoff");
    let white = entity.json.flag("color_temp") == Some(true) || modes.contains(&"color_temp");
    for (what, kind, unit, range) in levels(entity) {
        if !(if what == "brightness" { dims } else { white }) {
            continue;
        }
        let mut level = level(&name, what, &kind, unit, range);
        level.read = point(what);
        // Home Assistant always says ON with it.
        let body = tree([("state", word("ON")), (what, word("$value"))]);
        level.write = Some(Write::new(&to, Body::Tree(body)));
        entity.put(model, level);
    }
    let colours: Vec<&str> = modes
        .into_iter()
        .filter(|mode| !matches!(*mode, "onoff" | "brightness" | "color_temp" | "white"))
        .collect();
    if !colours.is_empty() {
        notes.add(
            device,
            &format!("light {name}: {}", colours.join(", ")),
            "colours and effects of a light are not taken over",
        );
    }
    Ok(())
}
