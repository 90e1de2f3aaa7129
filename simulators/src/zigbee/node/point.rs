//! Values that have a name: where they are, and what the raw number there means.

use super::super::zcl::{Raw, Value};
use super::Key;

/// A value that people have a name for.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) name: String,
    pub(super) key: Key,
    /// First and last bit of the raw number, both included; `None`: all of it.
    pub(super) bits: Option<(u8, u8)>,
    pub(super) coding: Coding,
    pub(super) link: Link,
}

/// What a raw number means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Coding {
    /// A number: raw × scale + offset.
    Number { scale: f64, offset: f64 },
    /// Lux as clusters measure them: 10000 × log10(lux) + 1, and 0 below one lux (07-5123, 4.2.2.2.1).
    Lux,
    /// On or off: what is written, and if it is so told, all that mean on.
    Flag { off: i128, on: i128, all: Option<Vec<i128>> },
    /// States, in the order of the world's numbers.
    States(Vec<(i128, String)>),
    /// A text.
    Text,
}

/// How a value and the world's quantity of the same name belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Not at all.
    None,
    /// The attribute shows the quantity.
    Shows,
    /// The quantity follows the attribute.
    Drives,
}

impl Point {
    /// The raw number of a quantity. `None`: it has none.
    fn raw(&self, quantity: f64) -> Option<f64> {
        Some(match &self.coding {
            Coding::Number { scale, offset } => (quantity - offset) / scale,
            Coding::Lux if quantity < 1.0 => 0.0,
            Coding::Lux => 10_000.0 * quantity.log10() + 1.0,
            Coding::Flag { off, on, .. } => (if quantity == 0.0 { *off } else { *on }) as f64,
            Coding::States(all) => all.get(quantity.max(0.0) as usize)?.0 as f64,
            Coding::Text => return None,
        })
    }

    /// The attribute with this quantity in it.
    pub(super) fn shown(&self, quantity: f64, now: &Value) -> Option<Value> {
        let raw = self.raw(quantity)?;
        let Some((first, last)) = self.bits else { return Some(Value::of_number(now.kind, raw)) };
        let mask = (1_i128 << (last.saturating_sub(first) + 1).min(64)) - 1;
        let kept = now.as_whole().unwrap_or(0) & !(mask << first);
        Some(Value::of_number(now.kind, (kept | (raw as i128 & mask) << first) as f64))
    }

    /// The raw number that is in an attribute.
    fn taken(&self, value: &Value) -> Option<f64> {
        match (self.bits, value.as_whole()) {
            (Some((first, last)), Some(whole)) => {
                let mask = (1_i128 << (last.saturating_sub(first) + 1).min(64)) - 1;
                Some((whole >> first & mask) as f64)
            }
            _ => value.number(),
        }
    }

    /// The quantity that an attribute says.
    pub(super) fn quantity(&self, value: &Value) -> Option<f64> {
        let raw = self.taken(value)?;
        match &self.coding {
            Coding::Number { scale, offset } => Some(raw * scale + offset),
            Coding::Lux if raw == 0.0 => Some(0.0),
            Coding::Lux => Some(10_f64.powf((raw - 1.0) / 10_000.0)),
            // Where 0 is off, anything else is on.
            Coding::Flag { all: Some(all), .. } => Some(f64::from(u8::from(all.contains(&(raw as i128))))),
            Coding::Flag { off: 0, .. } => Some(f64::from(u8::from(raw != 0.0))),
            Coding::Flag { on, .. } => Some(f64::from(u8::from(raw as i128 == *on))),
            Coding::States(all) => {
                let place = all.iter().position(|(state, _)| *state == raw as i128)?;
                Some(place as f64)
            }
            Coding::Text => None,
        }
    }

    /// As people write it.
    pub(super) fn text(&self, value: &Value) -> String {
        if let Raw::Bytes(bytes) = &value.raw {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        match (&self.coding, self.quantity(value)) {
            (Coding::Flag { .. }, Some(on)) => (on != 0.0).to_string(),
            (Coding::States(all), Some(place)) => {
                all.get(place as usize).map_or_else(String::new, |(_, name)| name.clone())
            }
            (_, Some(number)) => plain(number),
            (_, None) => value.number().map_or_else(String::new, plain),
        }
    }

    /// The quantity that somebody wrote.
    ///
    /// Errors: it is no value of this kind.
    pub(super) fn typed(&self, text: &str) -> Result<f64, String> {
        match (&self.coding, text) {
            (Coding::States(all), text) => {
                let known = || all.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
                let place = all.iter().position(|(_, name)| name == text);
                let place = place.ok_or_else(|| format!("{} is one of: {}", self.name, known()))?;
                Ok(place as f64)
            }
            (_, "true" | "on") => Ok(1.0),
            (_, "false" | "off") => Ok(0.0),
            (_, text) => text.parse().map_err(|_| format!("{} is a number, not {text:?}", self.name)),
        }
    }
}

fn plain(number: f64) -> String {
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
