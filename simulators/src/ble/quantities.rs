//! The values of a device: quantities that move, unless somebody holds them.

use std::time::Duration;

use crate::near::hint;
use crate::world::{Behaviour, World};

/// Values by name, each a number; Booleans are 0 and 1.
#[derive(Clone, Debug)]
pub struct Quantities {
    world: World,
    moving: bool,
    kinds: Vec<(&'static str, Kind)>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With so many digits behind the point.
    Number(usize),
    /// `true` and `false`.
    Bool,
}

impl Quantities {
    /// None, from this seed.
    pub fn new(seed: u64) -> Self {
        Self { world: World::new(seed), moving: true, kinds: Vec::new() }
    }

    /// One more.
    pub fn with(
        mut self,
        name: &'static str,
        kind: Kind,
        initial: f64,
        range: (f64, f64),
        behaviour: Behaviour,
    ) -> Self {
        self.world.add(name, initial, range, behaviour);
        self.kinds.push((name, kind));
        self
    }

    /// One that wanders about where it begins, as far as this.
    pub fn wandering(self, name: &'static str, digits: usize, middle: f64, spread: f64) -> Self {
        let behaviour = Behaviour::Around { middle, spread, memory: 120.0 };
        self.with(name, Kind::Number(digits), middle, (f64::MIN, f64::MAX), behaviour)
    }

    /// One that stays where it is put.
    pub fn switch(self, name: &'static str, on: bool) -> Self {
        self.with(name, Kind::Bool, f64::from(u8::from(on)), (0.0, 1.0), Behaviour::Held)
    }

    /// Nothing moves by itself.
    pub fn still(mut self) -> Self {
        self.moving = false;
        self
    }

    /// Time passes.
    pub fn step(&mut self, time: Duration) {
        if self.moving {
            self.world.step(time);
        }
    }

    /// What was switched falls back.
    pub fn reboot(&mut self) {
        self.world.reboot();
    }

    /// What it is; 0 if there is none.
    pub fn number(&self, name: &str) -> f64 {
        self.world.get(name).unwrap_or_default()
    }

    /// Whether it is anything but 0.
    pub fn is_on(&self, name: &str) -> bool {
        self.number(name) != 0.0
    }

    /// Times the factor and rounded: what goes over the air.
    pub fn raw(&self, name: &str, factor: f64) -> i64 {
        (self.number(name) * factor).round() as i64
    }

    /// Changes it as the device's own electronics do.
    pub fn actuate(&mut self, name: &str, value: f64) {
        // A device knows its own values.
        self.world.actuate(name, value).ok();
    }

    /// As text.
    pub fn get(&self, name: &str) -> Option<String> {
        let kind = self.kinds.iter().find(|(known, _)| *known == name)?.1;
        let value = self.world.get(name)?;
        Some(match kind {
            Kind::Bool => (value != 0.0).to_string(),
            Kind::Number(digits) => format!("{value:.digits$}"),
        })
    }

    /// Holds it.
    ///
    /// Errors: there is none of this name, or it cannot be that.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let kind = self.kinds.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let number = match (kind.ok_or_else(|| self.unknown(name))?, value) {
            (Kind::Bool, "true" | "1") => 1.0,
            (Kind::Bool, "false" | "0") => 0.0,
            (Kind::Bool, other) => return Err(format!("{name} is true or false, not {other:?}")),
            (Kind::Number(_), text) => {
                text.parse().map_err(|_| format!("{name} is a number, not {text:?}"))?
            }
        };
        self.world.set(name, number).map_err(|error| error.to_string())
    }

    /// Lets it move again.
    ///
    /// Errors: there is none of this name.
    pub fn release(&mut self, name: &str) -> Result<(), String> {
        self.world.release(name).map_err(|_| self.unknown(name))
    }

    /// The names of all.
    pub fn names(&self) -> Vec<String> {
        self.kinds.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn unknown(&self, name: &str) -> String {
        let known = self.names().join(", ");
        format!("there is no {name}; there are: {known}{}", hint(name, &known))
    }
}
