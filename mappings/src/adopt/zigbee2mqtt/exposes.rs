//! What a device exposes, as capabilities, commands and events.

use rust_decimal::Decimal;

use super::VENDOR;
use crate::adopt::Notes;
use crate::adopt::json::Json;
use crate::adopt::meaning::{capitals, kind, own_word, unit};
use crate::adopt::model::{
    Arg, Body, Capability, Command, Event, Model, Part, Point, Write, pointed, tree, word,
};
use crate::mapping::Class;

/// Bits of `access`: it is in the state, it can be set, it can be asked for.
const STATE: u8 = 1;
const SET: u8 = 2;
const GET: u8 = 4;

/// Most features of a device.
const MAX_FEATURES: usize = 1024;
/// Deepest nesting of features.
const MAX_DEPTH: usize = 4;

/// Adds everything that is exposed.
pub(super) fn add(model: &mut Model, exposes: &[Json], device: &str, notes: &mut Notes) {
    let mut walk = Walk { model, device, notes, left: MAX_FEATURES };
    for expose in exposes {
        walk.expose(expose, Context::default(), 0);
    }
    model.parts().for_each(|part| part.capabilities.sort_by_key(|capability| capability.rank));
}

/// What TR-181 would call the whole device.
pub(super) fn device_kind(model: &Model) -> &'static str {
    let has = |kind: &str| model.has(|capability| capability.kind == kind);
    let control = |kind: &str| {
        model.has(|capability| capability.kind == kind && capability.class == Class::LevelControl)
    };
    let specific = std::iter::once(&model.own).chain(&model.nodes).find(|part| !part.kind.is_empty());
    match specific.map(|part| part.kind) {
        Some("PowerStrip") if model.nodes.is_empty() && !has("Switch") => "Sensor",
        Some(kind) => kind,
        None if has("SmokeDetected") || has("CarbonMonoxideDetected") => "Alarm",
        None if control("Temperature") => "Thermostat",
        None if has("Energy") => "Meter",
        None => "Sensor",
    }
}

/// Where in the device one is.
#[derive(Clone, Copy, Default)]
struct Context<'j> {
    /// JSON Pointer of what is around.
    around: &'j str,
    /// What is around is a thing of its own: `light`, `cover`, ….
    thing: &'j str,
    endpoint: Option<&'j str>,
}

struct Walk<'m> {
    model: &'m mut Model,
    device: &'m str,
    notes: &'m mut Notes,
    left: usize,
}

impl Walk<'_> {
    fn expose(&mut self, expose: &Json, around: Context<'_>, depth: usize) {
        if self.left == 0 || depth > MAX_DEPTH {
            return self.notes.add(self.device, "what it exposes", "it is more than can be taken over");
        }
        self.left -= 1;
        let endpoint = expose.text("endpoint").or(around.endpoint);
        let context = Context { endpoint, ..around };
        match expose.text("type").unwrap_or_default() {
            thing @ ("light" | "switch" | "fan" | "cover" | "lock" | "climate") => {
                self.part(context, thing_kind(thing)).kind = thing_kind(thing);
                for feature in expose.items("features") {
                    self.expose(feature, Context { thing, ..context }, depth + 1);
                }
            }
            "composite" => self.composite(expose, context, depth),
            "binary" => self.binary(expose, context),
            "numeric" => self.numeric(expose, context),
            "enum" => self.enumeration(expose, context),
            "text" => self.text(expose, context),
            "list" => self.list(expose, context),
            other => self.notes.add(self.device, other, "nothing like it is known"),
        }
    }

    fn part(&mut self, context: Context<'_>, kind: &'static str) -> &mut Part {
        self.model.part(context.endpoint, kind)
    }

    fn add(&mut self, context: Context<'_>, mut capability: Capability, feature: &Feature<'_>) {
        capability.description = feature.description();
        capability.rank = feature.rank();
        let kind = default_kind(&capability);
        self.part(context, kind).capabilities.push(capability);
    }

    fn binary(&mut self, expose: &Json, context: Context<'_>) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        let states = [("value_off", "false"), ("value_on", "true")];
        let map: Vec<(Json, String)> = states
            .iter()
            .filter_map(|(key, state)| Some((expose.get(key)?.clone(), (*state).to_owned())))
            .filter(|(raw, state)| *raw != Json::Bool(state == "true"))
            .collect();
        if !feature.is(STATE) {
            let values = states.iter().rev().filter_map(|(key, _)| expose.get(key)?.plain()).collect();
            return self.command(context, &feature, Arg::Enum(values));
        }
        let class = if feature.is(SET) { Class::BinaryControl } else { Class::BinarySensor };
        let mut capability = feature.capability(class, None);
        if context.thing == "lock" && feature.name == "state" {
            capability.kind = "Locked".to_owned();
        }
        capability.read = Some(Point { map, ..feature.point() });
        capability.write = feature.write();
        self.add(context, capability, &feature);
    }

    fn numeric(&mut self, expose: &Json, context: Context<'_>) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        let (unit, factor) = unit(expose.text("unit").unwrap_or_default(), VENDOR);
        let raw = expose.number("value_min").zip(expose.number("value_max")).filter(|(low, high)| low < high);
        if !feature.is(STATE) {
            let Some((low, high)) = raw else {
                return self.leave(&feature, "it can only be set, and its bounds are not told");
            };
            return self.command(context, &feature, Arg::Number(low, high));
        }
        let range = raw.and_then(|(low, high)| Some((times(low, factor)?, times(high, factor)?)));
        let settable = feature.is(SET) && feature.around.is_empty();
        let class = if settable && range.is_some() { Class::LevelControl } else { Class::LevelSensor };
        if settable && range.is_none() {
            self.leave(&feature, "its bounds are not told, so it is only read");
        }
        let mut capability = feature.capability(class, Some(unit));
        capability.read = Some(Point { scale: factor, ..feature.point() });
        capability.range = range.filter(|_| class == Class::LevelControl);
        if class == Class::LevelControl {
            capability.step = expose.number("value_step").and_then(|step| times(step, factor));
            capability.write = feature.write();
        }
        capability.monotonic = class == Class::LevelSensor && feature.name == "energy";
        self.add(context, capability, &feature);
    }

    fn enumeration(&mut self, expose: &Json, context: Context<'_>) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        let values: Vec<Json> = expose.items("values").to_vec();
        let names: Vec<String> = values.iter().filter_map(Json::plain).collect();
        if names.is_empty() {
            return self.leave(&feature, "its values are not told");
        }
        if feature.name == "action" && !feature.is(SET) {
            return self.action(context, &feature, names);
        }
        // `STOP` is never shown by a cover, so it is no state that could be set.
        if !feature.is(STATE) || (context.thing == "cover" && feature.name == "state") {
            let shown: Vec<(Json, String)> = pairs(&values, &names, |name| name != "STOP");
            self.command(context, &feature, Arg::Enum(names));
            if feature.is(STATE) && !shown.is_empty() {
                let mut capability = feature.capability(Class::EnumSensor, None);
                capability.kind = own_word(VENDOR, "CoverState");
                capability.read = Some(Point { map: shown, ..feature.point() });
                self.add(context, capability, &feature);
            }
            return;
        }
        let settable = feature.is(SET) && feature.around.is_empty();
        let class = if settable { Class::EnumControl } else { Class::EnumSensor };
        let mut capability = feature.capability(class, None);
        capability.read = Some(Point { map: pairs(&values, &names, |_| true), ..feature.point() });
        capability.write = feature.write().filter(|_| settable);
        self.add(context, capability, &feature);
    }

    fn text(&mut self, expose: &Json, context: Context<'_>) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        if feature.name == "action" {
            return self.action(context, &feature, Vec::new());
        }
        if feature.is(SET) {
            self.command(context, &feature, Arg::Text);
        }
        if feature.is(STATE) {
            let mut capability = feature.capability(Class::BlobSensor, None);
            capability.read = Some(feature.point());
            self.add(context, capability, &feature);
        }
    }

    fn list(&mut self, expose: &Json, context: Context<'_>) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        self.leave(&feature, "a list has no place in TR-181's capabilities");
    }

    /// Several values that belong together. They would have to be set together, so they are only read.
    fn composite(&mut self, expose: &Json, context: Context<'_>, depth: usize) {
        let Some(feature) = Feature::of(expose, context) else { return self.nameless(expose) };
        let features = expose.items("features");
        if feature.can_set(features) {
            self.leave(
                &feature,
                "its values are set together in one message, which no control does; it is only read",
            );
        }
        if is_colour(features) {
            return self.colour(context, &feature, features);
        }
        let around = feature.pointer();
        for inner in features {
            self.expose(inner, Context { around: &around, ..context }, depth + 1);
        }
    }

    /// `x` and `y`, or hue and saturation.
    fn colour(&mut self, context: Context<'_>, feature: &Feature<'_>, features: &[Json]) {
        if !features.iter().any(|feature| access(feature) & STATE != 0) {
            return;
        }
        let mut capability = feature.capability(Class::MultiLevelSensor, Some("-".to_owned()));
        capability.kind = own_word(VENDOR, &feature.name);
        let point =
            |member: &str| Point { json: Some(pointed(&feature.pointer(), member)), ..feature.point() };
        capability.values = features
            .iter()
            .filter_map(|feature| feature.text("property").or_else(|| feature.text("name")))
            .map(|member| (capitals(member), point(member)))
            .collect();
        self.add(context, capability, feature);
    }

    /// A button that was pressed.
    fn action(&mut self, context: Context<'_>, feature: &Feature<'_>, mut states: Vec<String>) {
        // Nothing is said once it is over.
        states.retain(|state| !state.is_empty());
        if states.is_empty() {
            return self.leave(feature, "what may be done is not told");
        }
        let event = Event {
            name: own_word(VENDOR, "Action"),
            description: feature.description(),
            read: feature.point(),
            states,
        };
        self.part(context, "Sensor").events.push(event);
    }

    /// Something that can only be told.
    fn command(&mut self, context: Context<'_>, feature: &Feature<'_>, arg: Arg) {
        if !feature.is(SET) || !feature.around.is_empty() {
            return;
        }
        let cover = context.thing == "cover" && feature.name == "state";
        let name = own_word(VENDOR, &if cover { "Move".to_owned() } else { capitals(&feature.name) });
        let body = Body::Tree(tree([(feature.property, word("$value"))]));
        let (topic, description) = ("~/set".to_owned(), feature.description());
        let command = Command { name, description, args: vec![("Value".to_owned(), arg)], topic, body };
        self.part(context, "Sensor").commands.push(command);
    }

    fn leave(&mut self, feature: &Feature<'_>, why: &str) {
        self.notes.add(self.device, feature.property, why);
    }

    fn nameless(&mut self, expose: &Json) {
        let what = expose.text("name").or_else(|| expose.text("type")).unwrap_or("a feature");
        self.notes.add(self.device, what, "it has no property by which it could be found");
    }
}

/// A feature with a property in the state.
struct Feature<'j> {
    expose: &'j Json,
    name: String,
    property: &'j str,
    around: &'j str,
    access: u8,
}

impl<'j> Feature<'j> {
    fn of(expose: &'j Json, context: Context<'j>) -> Option<Self> {
        let property =
            expose.text("property").or_else(|| expose.text("name")).filter(|name| !name.is_empty())?;
        let name = expose.text("name").unwrap_or(property).to_owned();
        Some(Self { expose, name, property, around: context.around, access: access(expose) })
    }

    fn is(&self, bit: u8) -> bool {
        self.access & bit != 0
    }

    fn pointer(&self) -> String {
        pointed(self.around, self.property)
    }

    fn point(&self) -> Point {
        let get = (self.is(GET) && self.around.is_empty())
            .then(|| ("~/get".to_owned(), Body::Tree(tree([(self.property, word(""))]))));
        Point { get, ..Point::json("~", &self.pointer()) }
    }

    fn write(&self) -> Option<Write> {
        let settable = self.is(SET) && self.around.is_empty();
        settable.then(|| Write::new("~/set", Body::Member(self.pointer())))
    }

    fn capability(&self, class: Class, unit: Option<String>) -> Capability {
        let kind = kind(class, &self.name, unit.as_deref(), VENDOR);
        Capability { unit, ..Capability::new(&self.name, class, &kind) }
    }

    fn description(&self) -> String {
        self.expose.text("description").or_else(|| self.expose.text("label")).unwrap_or_default().to_owned()
    }

    /// What is set up or tells of the device itself comes after what it is for.
    fn rank(&self) -> u8 {
        match (self.expose.text("category"), self.name.as_str()) {
            (Some("diagnostic"), _) | (None, "linkquality") => 2,
            (Some(_), _) => 1,
            (None, _) => 0,
        }
    }

    /// Whether the features of a composite are set with it.
    fn can_set(&self, features: &[Json]) -> bool {
        self.around.is_empty() && (self.is(SET) || features.iter().any(|inner| access(inner) & SET != 0))
    }
}

fn access(expose: &Json) -> u8 {
    expose.number("access").and_then(|access| u8::try_from(access).ok()).unwrap_or_default()
}

fn is_colour(features: &[Json]) -> bool {
    let names: Vec<&str> = features.iter().filter_map(|feature| feature.text("name")).collect();
    names == ["x", "y"] || names == ["hue", "saturation"]
}

fn pairs(values: &[Json], names: &[String], wanted: impl Fn(&str) -> bool) -> Vec<(Json, String)> {
    let both = values.iter().filter(|value| value.plain().is_some()).zip(names);
    both.filter(|(_, name)| wanted(name)).map(|(value, name)| (value.clone(), name.clone())).collect()
}

fn times(number: Decimal, factor: Option<Decimal>) -> Option<Decimal> {
    factor.map_or(Some(number), |factor| number.checked_mul(factor))
}

fn thing_kind(thing: &str) -> &'static str {
    match thing {
        "light" => "Light",
        "fan" => "Fan",
        "cover" => "Motor",
        "lock" => "Lock",
        "climate" => "Thermostat",
        _ => "PowerStrip",
    }
}

/// What a node would be called that has nothing but this.
fn default_kind(capability: &Capability) -> &'static str {
    match capability.class {
        Class::BinaryControl => "PowerStrip",
        _ => "Sensor",
    }
}
