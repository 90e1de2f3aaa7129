//! Devices of OMA LwM2M objects, as the registry describes them: 3303 temperature, 3304 humidity, 3311 light, 3305 power.

use crate::world::Behaviour;

use super::device::{CoapDevice, Coding, Field, Resource};
use super::format::{Form, Place};

const FORMS: [Form; 6] = [Form::Text, Form::Json, Form::Cbor, Form::SenmlJson, Form::SenmlCbor, Form::Tlv];
const SEVERAL: [Form; 5] = [Form::SenmlJson, Form::SenmlCbor, Form::Tlv, Form::Json, Form::Cbor];

/// One resource of an object: identifier, quantity, how it is said, what it may be set to.
struct Part(u16, &'static str, Coding, Option<(f64, f64)>);

/// Adds instance 0 of an object: each of its resources by itself, and all of them together.
fn with_object(mut device: CoapDevice, object: u16, parts: Vec<Part>) -> CoapDevice {
    let path = format!("{object}/0");
    let field = |Part(id, quantity, coding, range): &Part, alone: bool| Field {
        quantity: (*quantity).to_owned(),
        coding: coding.clone(),
        place: Place {
            at: if alone { Vec::new() } else { vec![id.to_string()] },
            senml: format!("/{path}/{id}"),
            tlv: vec![*id],
        },
        range: *range,
    };
    for part in &parts {
        device = device.showing(Resource {
            path: format!("{path}/{}", part.0),
            types: "oma.lwm2m".to_owned(),
            forms: FORMS.to_vec(),
            fields: vec![field(part, true)],
            takes: Vec::new(),
            observable: true,
            writable: part.3.is_some(),
        });
    }
    device.showing(Resource {
        path: path.clone(),
        types: format!("oma.lwm2m urn:oma:lwm2m:ext:{object}"),
        forms: SEVERAL.to_vec(),
        fields: parts.iter().map(|part| field(part, false)).collect(),
        takes: Vec::new(),
        observable: true,
        writable: parts.iter().any(|part| part.3.is_some()),
    })
}

fn around(middle: f64, spread: f64) -> Behaviour {
    Behaviour::Around { middle, spread, memory: 120.0 }
}

/// A sensor of temperature (3303), humidity (3304) and its battery (3/0/9).
pub fn temperature(seed: u64) -> CoapDevice {
    let device = CoapDevice::new(seed)
        .with("temperature", 21.5, (-40.0, 85.0), around(21.5, 0.8))
        .with("humidity", 45.0, (0.0, 100.0), around(45.0, 4.0))
        .with("battery", 90.0, (0.0, 100.0), Behaviour::Drains { per_hour: 0.5 })
        .with_text("model", "Simulated climate sensor")
        .with_text("unit", "Cel");
    let device = with_object(
        device,
        3,
        vec![Part(1, "model", Coding::Text, None), Part(9, "battery", Coding::Int(1.0, 0.0), None)],
    );
    let unit = Part(5701, "unit", Coding::Text, None);
    let device = with_object(device, 3303, vec![Part(5700, "temperature", Coding::Float(1), None), unit]);
    with_object(device, 3304, vec![Part(5700, "humidity", Coding::Float(1), None)])
}

/// A dimmable light (3311) that counts its power (3305).
pub fn light(seed: u64, name: &str) -> CoapDevice {
    let lamp = Behaviour::Load { middle: 9.0, idle: 0.0, spread: 0.1, switches: vec!["on".to_owned()] };
    let device = CoapDevice::new(seed)
        .with("on", 0.0, (0.0, 1.0), Behaviour::Held)
        .with("level", 100.0, (0.0, 100.0), Behaviour::Held)
        .with("power", 0.0, (0.0, 50.0), lamp)
        .with_text("name", name);
    let device = with_object(
        device,
        3311,
        vec![
            Part(5850, "on", Coding::Bool(false), Some((0.0, 1.0))),
            Part(5851, "level", Coding::Int(1.0, 0.0), Some((0.0, 100.0))),
            Part(5750, "name", Coding::Text, Some((0.0, 0.0))),
        ],
    );
    with_object(device, 3305, vec![Part(5800, "power", Coding::Float(1), None)])
}

/// Adds a resource `large` with a text of so many bytes, which can be written, for bodies in blocks.
pub fn with_large(device: CoapDevice, bytes: usize) -> CoapDevice {
    let text: String = ('a'..='z').cycle().take(bytes).collect();
    let field =
        Field { quantity: "large".to_owned(), coding: Coding::Text, place: Place::default(), range: None };
    device.with_text("large", &text).showing(Resource {
        path: "large".to_owned(),
        types: "block".to_owned(),
        forms: vec![Form::Text],
        fields: vec![field],
        takes: Vec::new(),
        observable: true,
        writable: true,
    })
}
