//! Values that move, and their names.

use std::time::Duration;

use super::super::zcl::{Raw, Value, kind};
use super::{Attribute, Key, Link, Motion, Node};

impl Node {
    /// Lets the world and all motions go on for so long.
    pub(super) fn measure(&mut self, since: Duration) {
        self.advance_motions();
        if !self.still {
            self.world.step(since);
        }
        let shown: Vec<(Key, f64)> = self
            .points
            .iter()
            .filter(|point| point.link == Link::Shows)
            .filter_map(|point| Some((point.key, self.world.get(&point.name)? * point.factor)))
            .collect();
        for (key, number) in shown {
            if let Some(attribute) = self.attributes.get_mut(&key) {
                attribute.value = Value::of_number(attribute.value.kind, number);
            }
        }
    }

    fn advance_motions(&mut self) {
        let now = self.at;
        let motions = std::mem::take(&mut self.motions);
        for motion in motions {
            let whole = motion.ends.saturating_sub(motion.begins).as_secs_f64();
            let gone = now.saturating_sub(motion.begins).as_secs_f64();
            let arrived = now >= motion.ends;
            let part = if arrived { 1.0 } else { gone / whole };
            self.put(motion.key, motion.from + (motion.to - motion.from) * part);
            match motion.then.clone() {
                Some((key, value)) if arrived => {
                    self.put(key, value.number().unwrap_or(0.0));
                }
                _ if arrived => {}
                _ => self.motions.push(motion),
            }
        }
    }

    /// Moves an attribute, in so long; a motion that it is in ends.
    pub(super) fn move_to(&mut self, key: Key, to: f64, takes: Duration, then: Option<(Key, Value)>) {
        self.stop(key);
        let from = self.value(key).and_then(Value::number).unwrap_or(to);
        let (begins, ends) = (self.at, self.at + takes);
        self.motions.push(Motion { key, from, to, begins, ends, then });
        self.advance_motions();
    }

    pub(super) fn stop(&mut self, key: Key) {
        self.motions.retain(|motion| motion.key != key);
    }

    /// A value by its name, as text.
    pub fn get(&self, name: &str) -> Option<String> {
        let point = self.points.iter().find(|point| point.name == name)?;
        let value = self.value(point.key)?;
        if let (Some(bit), Raw::Whole(bits)) = (point.bit, &value.raw) {
            return Some((bits >> bit & 1 == 1).to_string());
        }
        Some(match &value.raw {
            Raw::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Raw::Whole(number) if value.kind == kind::BOOL => (*number == 1).to_string(),
            Raw::Whole(number) => plain(*number as f64 / point.factor),
            Raw::Float(number) => plain(number / point.factor),
        })
    }

    /// Holds a value.
    ///
    /// Errors: there is none of this name, or it cannot be that.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let unknown = || format!("{} has no value {name:?}; it has {}", self.name, self.names().join(", "));
        let point = self.points.iter().find(|point| point.name == name).cloned().ok_or_else(unknown)?;
        let Some(Attribute { value, .. }) = self.attributes.get(&point.key) else { return Err(unknown()) };
        if let Raw::Bytes(_) = value.raw {
            let made = Value { kind: value.kind, raw: Raw::Bytes(text.as_bytes().to_vec()) };
            self.attributes.entry(point.key).and_modify(|attribute| attribute.value = made);
            return Ok(());
        }
        let number = match text {
            "true" | "on" => 1.0,
            "false" | "off" => 0.0,
            text => text.parse().map_err(|_| format!("{name} is a number, not {text:?}"))?,
        };
        if let Some(bit) = point.bit {
            let bits = value.as_whole().unwrap_or(0) & !(1 << bit);
            self.put(point.key, (bits | i128::from(number != 0.0) << bit) as f64);
            return Ok(());
        }
        if point.link == Link::Shows {
            self.world.set(name, number).map_err(|error| error.to_string())?;
        }
        self.stop(point.key);
        self.put(point.key, number * point.factor);
        Ok(())
    }

    /// Lets a value move by itself again.
    ///
    /// Errors: there is none of this name that does.
    pub fn release(&mut self, name: &str) -> Result<(), String> {
        self.world.release(name).map_err(|error| error.to_string())
    }

    /// The names of all values.
    pub fn names(&self) -> Vec<String> {
        self.points.iter().map(|point| point.name.clone()).collect()
    }

    /// The commands and writes that it understood, the newest last.
    pub fn obeyed(&self) -> &[String] {
        &self.obeyed
    }
}

/// As people write it.
fn plain(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
