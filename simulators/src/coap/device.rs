//! A simulated CoAP device: a [`World`] and the resources that show it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::near::hint;
use crate::value::SimValue;
use crate::world::{Behaviour, World};

use super::format::{Form, Leaf, Place, read, write};
use super::packet::code;

/// How a quantity is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Coding {
    /// As a Boolean; the other way round if so.
    Bool(bool),
    /// As 0 and 1.
    Bit,
    /// As a whole number: what it is times the factor, plus the second.
    Int(f64, f64),
    /// As a number with so many digits behind the point.
    Float(u8),
    /// As what it is less `offset`, divided by `scale`, with so many digits behind the point.
    Linear {
        /// What the raw number is multiplied by.
        scale: f64,
        /// What is added then.
        offset: f64,
        /// Digits behind the point.
        digits: u8,
    },
    /// As one of these, by its number in the world, and what each is called.
    States(Vec<(Leaf, String)>),
    /// As text that does not move.
    Text,
}

/// One value of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in the world.
    pub quantity: String,
    /// How it is said.
    pub coding: Coding,
    /// Where it stands.
    pub place: Place,
    /// What it may be set to.
    pub range: Option<(f64, f64)>,
}

/// One resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Path without the first `/`.
    pub path: String,
    /// Resource types, for `.well-known/core`.
    pub types: String,
    /// What it can be had in; the first unless it is asked for.
    pub forms: Vec<Form>,
    /// What it says.
    pub fields: Vec<Field>,
    /// What it can be told, where that is written in another way; none: the same.
    pub takes: Vec<Field>,
    /// Whether changes of it are told.
    pub observable: bool,
    /// Whether it takes PUT and POST.
    pub writable: bool,
}

/// Why something cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoapSetError {
    /// There is no such quantity.
    #[error("no quantity {name:?}; there are: {known}{meant}", meant = hint(.name, .known))]
    Unknown {
        /// What was given.
        name: String,
        /// What there is.
        known: String,
    },
    /// It cannot be that.
    #[error("{name} cannot be {value:?}")]
    Kind {
        /// The quantity.
        name: String,
        /// What was given.
        value: String,
    },
}

/// A simulated device.
#[derive(Clone, Debug)]
pub struct CoapDevice {
    world: World,
    texts: BTreeMap<String, String>,
    resources: Vec<Resource>,
}

impl CoapDevice {
    /// A device without resources.
    pub fn new(seed: u64) -> Self {
        Self { world: World::new(seed), texts: BTreeMap::new(), resources: Vec::new() }
    }

    /// A device of these parts.
    pub(super) fn of(world: World, texts: BTreeMap<String, String>, resources: Vec<Resource>) -> Self {
        Self { world, texts, resources }
    }

    /// Adds a quantity that is said in numbers, or is on or off.
    #[must_use]
    pub fn with(mut self, name: &str, initial: f64, range: (f64, f64), behaviour: Behaviour) -> Self {
        self.world.add(name, initial, range, behaviour);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn with_text(mut self, name: &str, text: &str) -> Self {
        self.texts.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Adds a resource.
    #[must_use]
    pub fn showing(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Lets time pass.
    pub fn step(&mut self, time: Duration) {
        self.world.step(time);
    }

    /// Loses and regains power.
    pub fn reboot(&mut self) {
        self.world.reboot();
    }

    /// What a quantity is.
    pub fn get(&self, name: &str) -> Option<SimValue> {
        if let Some(text) = self.texts.get(name) {
            return Some(SimValue::Text(text.clone()));
        }
        let number = self.world.get(name)?;
        let coding = self.fields().find(|field| field.quantity == name).map(|field| &field.coding);
        Some(match coding {
            Some(Coding::Bool(_) | Coding::Bit) => SimValue::Bool(number != 0.0),
            Some(Coding::States(states)) => states
                .get(number as usize)
                .map_or(SimValue::Number(number), |(_, name)| SimValue::Text(name.clone())),
            _ => SimValue::Number(number),
        })
    }

    /// Every quantity and what it is.
    pub fn values(&self) -> Vec<(String, SimValue)> {
        let names = self.world.names().map(str::to_owned).chain(self.texts.keys().cloned());
        names.filter_map(|name| self.get(&name).map(|value| (name, value))).collect()
    }

    /// Sets a quantity and holds it there.
    ///
    /// Errors: there is no such quantity, or it cannot be that.
    pub fn set(&mut self, name: &str, value: &SimValue) -> Result<(), CoapSetError> {
        if let Some(text) = self.texts.get_mut(name) {
            *text = value.to_string();
            return Ok(());
        }
        let wrong = || CoapSetError::Kind { name: name.to_owned(), value: value.to_string() };
        let coding = self.fields().find(|field| field.quantity == name).map(|field| field.coding.clone());
        let number = match (value, coding) {
            (SimValue::Bool(on), _) => f64::from(u8::from(*on)),
            (SimValue::Number(number), _) => *number,
            (SimValue::Text(text), Some(Coding::States(states))) => {
                states.iter().position(|(_, name)| name == text).ok_or_else(wrong)? as f64
            }
            (SimValue::Text(_), _) => return Err(wrong()),
        };
        self.world.set(name, number).map_err(|_| self.unknown(name))
    }

    /// Lets a quantity that was set move again.
    ///
    /// Errors: there is no such quantity.
    pub fn release(&mut self, name: &str) -> Result<(), CoapSetError> {
        self.world.release(name).map_err(|_| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> CoapSetError {
        let known: Vec<String> = self.values().into_iter().map(|(name, _)| name).collect();
        CoapSetError::Unknown { name: name.to_owned(), known: known.join(", ") }
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.resources.iter().flat_map(|resource| resource.fields.iter().chain(&resource.takes))
    }

    /// The resource at a path.
    pub(super) fn resource(&self, path: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.path == path)
    }

    /// What a resource says, in the wanted format or its own.
    ///
    /// Errors: the code of the refusal.
    pub(super) fn show(&self, path: &str, accept: Option<u32>) -> Result<(Form, Vec<u8>), u8> {
        if path == ".well-known/core" {
            return Ok((Form::Links, self.links().into_bytes()));
        }
        let resource = self.resource(path).ok_or(code(4, 4))?;
        let form = match accept {
            None => resource.forms.first().copied(),
            Some(number) => Form::of(number).filter(|form| resource.forms.contains(form)),
        };
        let form = form.ok_or(code(4, 6))?;
        let values: Vec<(&Place, Leaf)> =
            resource.fields.iter().filter_map(|field| Some((&field.place, self.leaf(field)?))).collect();
        Ok((form, write(form, &values)))
    }

    /// Takes a PUT or POST.
    ///
    /// Errors: the code of the refusal; nothing is changed then.
    pub(super) fn take(
        &mut self,
        path: &str,
        form: Option<u32>,
        body: &[u8],
        frozen: bool,
    ) -> Result<(), u8> {
        let resource = self.resource(path).ok_or(code(4, 4))?;
        if !resource.writable {
            return Err(code(4, 5));
        }
        let form = match form {
            None => resource.forms.first().copied(),
            Some(number) => Form::of(number).filter(|form| resource.forms.contains(form)),
        };
        let form = form.ok_or(code(4, 15))?;
        let mut changes = Vec::new();
        let takes = if resource.takes.is_empty() { &resource.fields } else { &resource.takes };
        for field in takes {
            let Some(leaf) = read(form, body, &field.place) else { continue };
            changes.push((field.clone(), number(field, &leaf).ok_or(code(4, 0))?, leaf));
        }
        if changes.is_empty() {
            return Err(code(4, 0));
        }
        for (field, number, leaf) in changes.into_iter().filter(|_| !frozen) {
            match self.texts.get_mut(&field.quantity) {
                Some(text) => *text = leaf.text(),
                None => self.world.actuate(&field.quantity, number).map_err(|_| code(5, 0))?,
            }
        }
        Ok(())
    }

    fn leaf(&self, field: &Field) -> Option<Leaf> {
        if let Some(text) = self.texts.get(&field.quantity) {
            return Some(Leaf::Text(text.clone()));
        }
        let value = self.world.get(&field.quantity)?;
        Some(match &field.coding {
            Coding::Bool(inverted) => Leaf::Bool((value != 0.0) != *inverted),
            Coding::Bit => Leaf::Int(i64::from(value != 0.0)),
            Coding::Int(factor, offset) => Leaf::Int((value * factor + offset).round() as i64),
            Coding::Float(digits) => {
                let unit = 10f64.powi(i32::from(*digits));
                Leaf::Float((value * unit).round() / unit)
            }
            Coding::Linear { scale, offset, digits } => {
                let unit = 10f64.powi(i32::from(*digits));
                Leaf::Float(((value - offset) / scale * unit).round() / unit)
            }
            Coding::States(states) => states.get(value as usize).map(|(leaf, _)| leaf.clone())?,
            Coding::Text => return None,
        })
    }

    /// RFC 6690.
    fn links(&self) -> String {
        let link = |resource: &Resource| {
            let types =
                if resource.types.is_empty() { String::new() } else { format!(";rt=\"{}\"", resource.types) };
            let forms: Vec<String> = resource.forms.iter().map(|form| form.number().to_string()).collect();
            let observable = if resource.observable { ";obs" } else { "" };
            format!("</{}>{types};ct=\"{}\"{observable}", resource.path, forms.join(" "))
        };
        self.resources.iter().map(link).collect::<Vec<_>>().join(",")
    }
}

/// What a field that says this is in the world; `None`: it cannot be that.
fn number(field: &Field, leaf: &Leaf) -> Option<f64> {
    let number = match &field.coding {
        Coding::Text => return Some(0.0),
        Coding::States(states) => {
            let same = |state: &Leaf| state == leaf || state.text() == leaf.text();
            states.iter().position(|(state, _)| same(state))? as f64
        }
        Coding::Bool(inverted) => {
            let on = leaf.number().filter(|number| matches!(number, 0.0 | 1.0))? != 0.0;
            f64::from(u8::from(on != *inverted))
        }
        Coding::Bit => leaf.number().filter(|number| matches!(number, 0.0 | 1.0))?,
        Coding::Int(factor, offset) => (leaf.number()? - offset) / factor,
        Coding::Float(_) => leaf.number()?,
        Coding::Linear { scale, offset, .. } => leaf.number()? * scale + offset,
    };
    let (low, high) = field.range.unwrap_or((f64::MIN, f64::MAX));
    (low..=high).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap::oma::{light, temperature};

    #[test]
    fn a_light_is_switched_and_dimmed_in_every_form_it_has() {
        let mut light = light(1, "Ceiling");
        for (path, form, body, name, value) in [
            ("3311/0/5850", Form::Text, &b"1"[..], "on", SimValue::Bool(true)),
            ("3311/0/5851", Form::Json, b"40", "level", SimValue::Number(40.0)),
            ("3311/0", Form::SenmlJson, br#"[{"n":"/3311/0/5850","vb":false}]"#, "on", SimValue::Bool(false)),
            ("3311/0", Form::Tlv, &[0xc2, 0x16, 0xda, 1], "on", SimValue::Bool(false)),
            ("3311/0", Form::Tlv, &[0xe1, 0x16, 0xda, 1], "on", SimValue::Bool(true)),
        ] {
            let result = light.take(path, Some(form.number().into()), body, false);
            assert_eq!(result.is_ok(), body[0] != 0xc2, "{path} {form:?}");
            assert_eq!(light.get(name), Some(value), "{path} {form:?}");
        }
        assert_eq!(light.show("3311/0/5850", None), Ok((Form::Text, b"1".to_vec())));
    }

    #[test]
    fn what_is_not_there_or_not_right_is_refused_with_its_code() {
        let mut light = light(1, "Ceiling");
        assert_eq!(light.show("9/9", None), Err(code(4, 4)));
        assert_eq!(light.show("3311/0/5850", Some(47)), Err(code(4, 6)));
        assert_eq!(light.take("3311/0/5851", None, b"101", false), Err(code(4, 0)));
        assert_eq!(light.take("3311/0/5851", None, b"bright", false), Err(code(4, 0)));
        assert_eq!(light.take("3311/0/5851", Some(47), b"1", false), Err(code(4, 15)));
        assert_eq!(temperature(1).take("3303/0/5700", None, b"1", false), Err(code(4, 5)));
        assert_eq!(light.get("level"), Some(SimValue::Number(100.0)), "nothing has changed");
    }

    #[test]
    fn links_say_what_there_is() {
        let links = String::from_utf8(temperature(1).show(".well-known/core", None).unwrap().1).unwrap();
        assert!(links.contains(r#"</3303/0/5700>;rt="oma.lwm2m""#), "{links}");
        assert!(links.contains(";obs"), "{links}");
    }
}
