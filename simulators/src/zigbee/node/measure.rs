//! Values that move, and their names.

use std::time::Duration;

use super::super::zcl::{Raw, Value};
use super::{Attribute, Key, Link, Motion, Node};

impl Node {
    /// Lets the world and all motions go on for so long.
    pub(super) fn measure(&mut self, since: Duration) {
        self.advance_motions();
        if !self.still {
            self.world.step(since);
        }
        for point in self.points.iter().filter(|point| point.link == Link::Shows) {
            let quantity = self.world.get(&point.name);
            let Some(attribute) = self.attributes.get_mut(&point.key) else { continue };
            if let Some(value) = quantity.and_then(|quantity| point.shown(quantity, &attribute.value)) {
                attribute.value = value;
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
        Some(point.text(self.value(point.key)?))
    }

    /// Holds a value.
    ///
    /// Errors: there is none of this name, or it cannot be that.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let unknown = format!("{} has no value {name:?}; it has {}", self.name, self.names().join(", "));
        let point = self.points.iter().find(|point| point.name == name).cloned();
        let Some(point) = point else { return Err(unknown) };
        let Some(Attribute { value, .. }) = self.attributes.get(&point.key) else { return Err(unknown) };
        let made = match value.raw {
            Raw::Bytes(_) => Value { kind: value.kind, raw: Raw::Bytes(text.as_bytes().to_vec()) },
            _ => {
                let quantity = point.typed(text)?;
                if point.link == Link::Shows {
                    self.world.set(name, quantity).map_err(|error| error.to_string())?;
                }
                point.shown(quantity, value).ok_or(unknown)?
            }
        };
        self.stop(point.key);
        self.attributes.entry(point.key).and_modify(|attribute| attribute.value = made);
        self.drive(point.key);
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
