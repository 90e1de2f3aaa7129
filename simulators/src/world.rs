//! A physical model that moves: named quantities, each with a behaviour, stepped by a given duration.
//!
//! Pure: no clock. Time advances in ticks of [`TICK`], each quantity has a random sequence of its own, so the state
//! depends on the seed, the total time and what was set when, not on how the time was sliced.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rng::Rng;

/// The step of the model.
pub const TICK: Duration = Duration::from_millis(100);

/// Longer steps are cut to this: nobody waits for the model to catch up with a laptop that slept for a month.
const LONGEST_STEP: Duration = Duration::from_secs(3600);

/// How a quantity moves by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    /// Stays where it was put: a relay, a mode, a set-point.
    Held,
    /// Wanders about a middle.
    Around {
        /// The middle.
        middle: f64,
        /// Typical distance from it.
        spread: f64,
        /// How quickly it forgets where it was, in seconds.
        memory: f64,
    },
    /// Approaches another quantity, or a fixed value if that is named nowhere.
    Approaches {
        /// The other quantity.
        target: String,
        /// After so many seconds 63 % of the way is gone.
        memory: f64,
        /// Typical noise on top.
        noise: f64,
    },
    /// Its own wandering load while every named switch is on, and what is left of it otherwise.
    Load {
        /// Mean load.
        middle: f64,
        /// What part of it is left when it is switched off, 0 to 1.
        idle: f64,
        /// Typical distance from it.
        spread: f64,
        /// Quantities that must all be on.
        switches: Vec<String>,
    },
    /// All of these together.
    Sum {
        /// Which.
        of: Vec<String>,
    },
    /// One quantity divided by another (current is power over voltage).
    Ratio {
        /// Its part of the whole, 0 to 1: a third for one phase of three.
        share: f64,
        /// Above the line.
        over: String,
        /// Below it.
        by: String,
    },
    /// Grows with another quantity: never falls.
    Integral {
        /// What is summed up.
        of: String,
        /// Gain for each unit of it and each second.
        gain: f64,
    },
    /// Now and then takes another of these values.
    Jumps {
        /// What it may be.
        among: Vec<f64>,
        /// Mean time between jumps, in seconds.
        every: f64,
    },
    /// Falls steadily to its lower limit: a battery.
    Drains {
        /// Loss in an hour.
        per_hour: f64,
    },
}

impl Behaviour {
    /// Causes move before their effects: the lower first.
    fn rank(&self) -> u8 {
        match self {
            Self::Held | Self::Around { .. } | Self::Jumps { .. } | Self::Drains { .. } => 0,
            Self::Approaches { .. } | Self::Load { .. } => 1,
            Self::Sum { .. } => 2,
            Self::Ratio { .. } => 3,
            Self::Integral { .. } => 4,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Quantity {
    state: State,
    range: (f64, f64),
    behaviour: Behaviour,
    pinned: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    value: f64,
    initial: f64,
    rng: Rng,
    /// State of the noise of a load, which outlives its switch being off.
    hidden: f64,
}

/// No quantity of this name is in the world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated world has no quantity {0:?}")]
pub struct UnknownQuantity(pub String);

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    seed: u64,
    quantities: BTreeMap<String, Quantity>,
    order: Vec<String>,
    rest: Duration,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        Self { seed, quantities: BTreeMap::new(), order: Vec::new(), rest: Duration::ZERO }
    }

    /// Adds a quantity, or replaces the one of this name. It never leaves `range`.
    pub fn add(&mut self, name: &str, initial: f64, range: (f64, f64), behaviour: Behaviour) {
        let initial = within(initial, range);
        let rng = Rng::named(self.seed, name);
        let state = State { value: initial, initial, rng, hidden: 0.0 };
        let quantity = Quantity { state, range, behaviour, pinned: false };
        self.quantities.insert(name.to_owned(), quantity);
        self.order = self.quantities.keys().cloned().collect();
        self.order.sort_by_key(|name| self.quantities.get(name).map(|q| q.behaviour.rank()));
    }

    /// Forgets a quantity.
    pub fn remove(&mut self, name: &str) {
        self.quantities.remove(name);
        self.order.retain(|other| other != name);
    }

    /// What it is.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.quantities.get(name).map(|quantity| quantity.state.value)
    }

    /// Whether it was put where it is, and stays there.
    pub fn is_held(&self, name: &str) -> bool {
        self.quantities.get(name).is_some_and(|quantity| quantity.pinned)
    }

    /// Every name, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.quantities.keys().map(String::as_str)
    }

    /// Puts a quantity somewhere and holds it there until [`release`](Self::release).
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), UnknownQuantity> {
        let quantity = self.quantity(name)?;
        quantity.state.value = value;
        quantity.pinned = true;
        Ok(())
    }

    /// Changes a quantity as the device's own electronics would: it goes on moving from there.
    pub fn actuate(&mut self, name: &str, value: f64) -> Result<(), UnknownQuantity> {
        self.quantity(name)?.state.value = value;
        Ok(())
    }

    /// Lets a quantity move by itself again.
    pub fn release(&mut self, name: &str) -> Result<(), UnknownQuantity> {
        self.quantity(name)?.pinned = false;
        Ok(())
    }

    /// Loses and regains power: what is held falls back to where it was at the start, counters keep what they have.
    pub fn reboot(&mut self) {
        for quantity in self.quantities.values_mut().filter(|q| q.behaviour == Behaviour::Held) {
            quantity.state.value = quantity.state.initial;
            quantity.pinned = false;
        }
    }

    /// Lets time pass. At most an hour at once counts.
    pub fn step(&mut self, time: Duration) {
        self.rest += time.min(LONGEST_STEP);
        while let Some(rest) = self.rest.checked_sub(TICK) {
            self.rest = rest;
            self.tick();
        }
    }

    fn quantity(&mut self, name: &str) -> Result<&mut Quantity, UnknownQuantity> {
        self.quantities.get_mut(name).ok_or_else(|| UnknownQuantity(name.to_owned()))
    }

    fn tick(&mut self) {
        for index in 0..self.order.len() {
            let Some(name) = self.order.get(index) else { continue };
            let Some(quantity) = self.quantities.get_mut(name) else { continue };
            let mut state = quantity.state.clone();
            // Taken out, so that the others can be read meanwhile.
            let behaviour = std::mem::replace(&mut quantity.behaviour, Behaviour::Held);
            let moved = self.moved(&behaviour, &mut state);
            if let Some(quantity) = self.order.get(index).and_then(|name| self.quantities.get_mut(name)) {
                let value = if quantity.pinned { state.value } else { within(moved, quantity.range) };
                quantity.state = State { value, ..state };
                quantity.behaviour = behaviour;
            }
        }
    }

    /// Where a quantity is one tick later.
    fn moved(&self, behaviour: &Behaviour, state: &mut State) -> f64 {
        let seconds = TICK.as_secs_f64();
        let value = state.value;
        let rng = &mut state.rng;
        match behaviour {
            Behaviour::Held => value,
            Behaviour::Around { middle, spread, memory } => {
                middle + wandered(value - middle, *spread, *memory, seconds, rng)
            }
            Behaviour::Approaches { target, memory, noise } => {
                let aim = self.get(target).unwrap_or(state.initial);
                value + (aim - value) * (seconds / memory).min(1.0) + noise * seconds.sqrt() * rng.bell()
            }
            Behaviour::Load { middle, idle, spread, switches } => {
                state.hidden = wandered(state.hidden, *spread, 20.0, seconds, rng);
                let on = switches.iter().all(|name| self.get(name).is_none_or(|v| v != 0.0));
                (middle + state.hidden) * if on { 1.0 } else { *idle }
            }
            Behaviour::Sum { of } => of.iter().filter_map(|name| self.get(name)).sum(),
            Behaviour::Ratio { share, over, by } => match (self.get(over), self.get(by)) {
                (Some(over), Some(by)) if by != 0.0 => share * over / by,
                (Some(_) | None, Some(_) | None) => 0.0,
            },
            Behaviour::Integral { of, gain } => {
                value + (self.get(of).unwrap_or(0.0) * gain * seconds).max(0.0)
            }
            Behaviour::Jumps { among, every } => {
                let jump = rng.unit() < seconds / every;
                let choice = rng.below(among.len() as u64) as usize;
                if jump { among.get(choice).copied().unwrap_or(value) } else { value }
            }
            Behaviour::Drains { per_hour } => value - per_hour * seconds / 3600.0,
        }
    }
}

/// One step of a wandering that is drawn back to 0 (an Ornstein-Uhlenbeck process): its spread stays `spread`.
fn wandered(distance: f64, spread: f64, memory: f64, seconds: f64, rng: &mut Rng) -> f64 {
    let keep = (-seconds / memory).exp();
    distance * keep + spread * (1.0 - keep * keep).sqrt() * rng.bell()
}

fn within(value: f64, (low, high): (f64, f64)) -> f64 {
    value.max(low).min(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: (f64, f64) = (f64::MIN, f64::MAX);

    fn house(seed: u64) -> World {
        let mut world = World::new(seed);
        world.add(
            "voltage",
            230.0,
            (0.0, 300.0),
            Behaviour::Around { middle: 230.0, spread: 1.5, memory: 8.0 },
        );
        world.add("relay", 1.0, (0.0, 1.0), Behaviour::Held);
        let switches = vec!["relay".to_owned()];
        world.add("power", 0.0, ANY, Behaviour::Load { middle: 1000.0, idle: 0.0, spread: 50.0, switches });
        let ratio = Behaviour::Ratio { share: 0.5, over: "total".into(), by: "voltage".into() };
        world.add("current", 0.0, ANY, ratio);
        world.add("total", 0.0, ANY, Behaviour::Sum { of: vec!["power".into(), "power".into()] });
        world.add("energy", 100.0, ANY, Behaviour::Integral { of: "power".into(), gain: 1.0 / 3_600_000.0 });
        world.add("setpoint", 21.0, (5.0, 30.0), Behaviour::Held);
        let follow = Behaviour::Approaches { target: "setpoint".into(), memory: 60.0, noise: 0.01 };
        world.add("temperature", 18.0, (-40.0, 80.0), follow);
        world.add("battery", 90.0, (0.0, 100.0), Behaviour::Drains { per_hour: 3600.0 });
        world.add("door", 0.0, (0.0, 1.0), Behaviour::Jumps { among: vec![0.0, 1.0], every: 5.0 });
        world
    }

    #[test]
    fn the_same_seed_gives_the_same_world() {
        let (mut one, mut other, mut third) = (house(1), house(1), house(2));
        for world in [&mut one, &mut other, &mut third] {
            world.step(Duration::from_secs(60));
        }
        assert_eq!(one, other);
        assert_ne!(one.get("voltage"), third.get("voltage"));
    }

    #[test]
    fn slicing_the_time_changes_nothing() {
        let (mut whole, mut sliced) = (house(3), house(3));
        whole.step(Duration::from_secs(7));
        (0..1000).for_each(|_| sliced.step(Duration::from_millis(7)));
        assert_eq!(whole, sliced);
    }

    #[test]
    fn another_quantity_does_not_disturb() {
        let (mut one, mut other) = (house(4), house(4));
        other.add("humidity", 50.0, ANY, Behaviour::Around { middle: 50.0, spread: 5.0, memory: 60.0 });
        one.step(Duration::from_secs(9));
        other.step(Duration::from_secs(9));
        assert_eq!(one.get("voltage"), other.get("voltage"));
    }

    #[test]
    fn voltage_stays_near_its_middle_and_moves() {
        let mut world = house(5);
        let mut seen = Vec::new();
        for _ in 0..1000 {
            world.step(Duration::from_secs(1));
            seen.push(world.get("voltage").unwrap());
        }
        let mean = seen.iter().sum::<f64>() / 1000.0;
        assert!((229.0..231.0).contains(&mean), "mean {mean}");
        assert!(seen.iter().all(|v| (220.0..240.0).contains(v)));
        assert!(seen.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn power_follows_the_relay_and_energy_never_falls() {
        let mut world = house(6);
        world.step(Duration::from_secs(3600));
        let energy = world.get("energy").unwrap();
        assert!((100.8..101.2).contains(&energy), "a kilowatt for an hour, not {energy}");
        let (power, voltage) = (world.get("power").unwrap(), world.get("voltage").unwrap());
        assert!((world.get("current").unwrap() - power / voltage).abs() < 1e-9);
        world.actuate("relay", 0.0).unwrap();
        world.step(Duration::from_secs(1));
        assert_eq!(world.get("power"), Some(0.0));
        let stopped = world.get("energy").unwrap();
        world.step(Duration::from_secs(60));
        assert_eq!(world.get("energy"), Some(stopped));
    }

    #[test]
    fn temperature_follows_the_set_point() {
        let mut world = house(7);
        world.actuate("setpoint", 25.0).unwrap();
        world.step(Duration::from_secs(600));
        let temperature = world.get("temperature").unwrap();
        assert!((24.5..25.5).contains(&temperature), "{temperature}");
    }

    #[test]
    fn what_is_set_stays_until_released() {
        let mut world = house(8);
        world.set("voltage", 231.0).unwrap();
        world.step(Duration::from_secs(10));
        assert_eq!(world.get("voltage"), Some(231.0));
        world.release("voltage").unwrap();
        world.step(Duration::from_secs(10));
        assert_ne!(world.get("voltage"), Some(231.0));
    }

    #[test]
    fn limits_hold_and_a_reboot_keeps_counters() {
        let mut world = house(9);
        world.step(Duration::from_secs(3600));
        assert_eq!(world.get("battery"), Some(0.0));
        let energy = world.get("energy");
        world.actuate("setpoint", 28.0).unwrap();
        world.reboot();
        assert_eq!(world.get("setpoint"), Some(21.0));
        assert_eq!(world.get("energy"), energy);
    }

    #[test]
    fn unknown_names_and_endless_steps_are_harmless() {
        let mut world = house(10);
        assert_eq!(world.set("volts", 1.0), Err(UnknownQuantity("volts".into())));
        assert_eq!(world.get("volts"), None);
        world.step(Duration::MAX);
        assert!(world.get("energy").is_some());
    }
}
