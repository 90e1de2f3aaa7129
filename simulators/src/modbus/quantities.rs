//! Which quantity of the world stands behind a capability: chosen by what it is, its `Type`, unit and name.

use crate::rng::Rng;
use crate::world::{Behaviour, TICK, World};

use super::point::{Nature, Point};

/// A world with one quantity for each capability, under its name.
pub(crate) fn world_for(points: &[Point], seed: u64) -> World {
    let mut world = World::new(seed);
    for point in points.iter().filter(|point| point.nature != Nature::Text) {
        let range = limits(point);
        let (initial, behaviour) = behaviour(point, points, seed);
        world.add(&point.capability, initial, range, behaviour);
    }
    // So that what follows from something else does so from the start.
    world.step(TICK);
    world
}

fn limits(point: &Point) -> (f64, f64) {
    match point.nature {
        Nature::Switch | Nature::Detector => (0.0, 1.0),
        Nature::Choice | Nature::Indicator => (0.0, point.states.len().saturating_sub(1) as f64),
        Nature::Level | Nature::Gauge | Nature::Text => point.range.unwrap_or((f64::MIN, f64::MAX)),
    }
}

fn behaviour(point: &Point, points: &[Point], seed: u64) -> (f64, Behaviour) {
    match point.nature {
        Nature::Switch | Nature::Choice | Nature::Text => (0.0, Behaviour::Held),
        Nature::Level => (level(point), Behaviour::Held),
        Nature::Detector => (0.0, Behaviour::Jumps { among: vec![0.0, 0.0, 0.0, 1.0], every: 60.0 }),
        Nature::Indicator => {
            let among = (0..point.states.len()).map(|state| state as f64).collect();
            (0.0, Behaviour::Jumps { among, every: 45.0 })
        }
        Nature::Gauge => gauge(point, points, seed),
    }
}

/// Where a level is put at first: room temperature if it is one, else in the middle.
fn level(point: &Point) -> f64 {
    let (low, high) = point.range.unwrap_or((0.0, 100.0));
    if point.kind == "Temperature" && (low..=high).contains(&21.0) {
        21.0
    } else {
        f64::midpoint(low, high).round()
    }
}

fn gauge(point: &Point, points: &[Point], seed: u64) -> (f64, Behaviour) {
    match point.unit.as_deref().unwrap_or("-") {
        "V" => around(nearest(point, &[230.0, 400.0, 48.0, 24.0, 12.0, 3.0]), 0.006, 8.0),
        "W" => (0.0, power(point, points, seed)),
        "A" => (0.0, current(point, points).unwrap_or_else(|| load(point, points, seed))),
        unit @ ("kWh" | "Wh" | "J") => {
            let gain = match unit {
                "kWh" => 1.0 / 3_600_000.0,
                "Wh" => 1.0 / 3600.0,
                _ => 1.0,
            };
            // A load gives nothing back: what is exported stands still.
            let power = kin(point, points, "W").filter(|_| !point.capability.contains("export"));
            let of = power.map(|power| power.capability.clone()).unwrap_or_default();
            let initial = (Rng::named(seed, &point.capability).unit() * 5000.0).round();
            (initial, Behaviour::Integral { of, gain })
        }
        "Hz" => around(50.0, 0.0004, 20.0),
        "degC" => temperature(point, points, 0.0, 1.0),
        "degF" => temperature(point, points, 32.0, 1.8),
        "K" => temperature(point, points, 273.15, 1.0),
        "%" if point.kind == "Battery" => (90.0, Behaviour::Drains { per_hour: 0.5 }),
        "%" => around(nearest(point, &[45.0]), 0.05, 120.0),
        "ppm" => around(nearest(point, &[600.0]), 0.08, 120.0),
        "Pa" => around(nearest(point, &[101_325.0]), 0.001, 300.0),
        "-" => around(nearest(point, &[0.95, 1.0]), 0.01, 30.0),
        _ => around(nearest(point, &[10.0]), 0.03, 30.0),
    }
}

fn around(middle: f64, part: f64, memory: f64) -> (f64, Behaviour) {
    (middle, Behaviour::Around { middle, spread: middle.abs() * part, memory })
}

/// The first of these that the capability may read, or the middle of what it may.
fn nearest(point: &Point, usual: &[f64]) -> f64 {
    let Some((low, high)) = point.range else { return usual.first().copied().unwrap_or(0.0) };
    usual.iter().copied().find(|value| (low..=high).contains(value)).unwrap_or(f64::midpoint(low, high))
}

fn gauges<'a>(points: &'a [Point], unit: &'a str) -> impl Iterator<Item = &'a Point> {
    points.iter().filter(move |other| other.nature == Nature::Gauge && other.unit.as_deref() == Some(unit))
}

/// The gauge in this unit that has most to do with a point: of the same phase, else of none.
fn kin<'a>(point: &Point, points: &'a [Point], unit: &'a str) -> Option<&'a Point> {
    gauges(points, unit).max_by_key(|other| (phase(point) == phase(other), phase(other).is_none()))
}

/// `l1`, `l2` or `l3` at the end of a name.
fn phase(point: &Point) -> Option<char> {
    let mut end = point.capability.chars().rev();
    let digit = end.next().filter(|c| ('1'..='3').contains(c));
    digit.filter(|_| end.next().is_some_and(|c| c.eq_ignore_ascii_case(&'l')))
}

/// The load of one phase or of the whole device; where there are phases, the whole is their sum.
fn power(point: &Point, points: &[Point], seed: u64) -> Behaviour {
    let phases = gauges(points, "W").filter(|other| phase(other).is_some());
    let of: Vec<String> = phases.map(|other| other.capability.clone()).collect();
    if phase(point).is_none() && !of.is_empty() { Behaviour::Sum { of } } else { load(point, points, seed) }
}

/// Power over voltage; an even share of it where only the whole power is known.
fn current(point: &Point, points: &[Point]) -> Option<Behaviour> {
    let (power, volts) = kin(point, points, "W").zip(kin(point, points, "V"))?;
    let sharing = if phase(power).is_none() { gauges(points, "A").count() } else { 1 };
    let (over, by) = (power.capability.clone(), volts.capability.clone());
    Some(Behaviour::Ratio { share: 1.0 / sharing as f64, over, by })
}

/// A load that runs while the device's switch is on; a little is left when it is off.
fn load(point: &Point, points: &[Point], seed: u64) -> Behaviour {
    let middle = nearest(point, &[300.0 + 1200.0 * Rng::named(seed, &point.capability).unit(), 5.0]);
    let switch = points.iter().find(|other| other.nature == Nature::Switch && other.kind == "Switch");
    let switches = switch.map(|other| other.capability.clone()).into_iter().collect();
    Behaviour::Load { middle, idle: 0.05, spread: middle * 0.03, switches }
}

/// Follows the device's set-point of the same unit, or wanders about room temperature.
fn temperature(point: &Point, points: &[Point], zero: f64, degree: f64) -> (f64, Behaviour) {
    let room = nearest(point, &[zero + 20.0 * degree]);
    let set_point = points.iter().find(|other| other.nature == Nature::Level && other.unit == point.unit);
    match set_point {
        Some(other) => {
            let target = other.capability.clone();
            (room - degree, Behaviour::Approaches { target, memory: 90.0, noise: 0.01 * degree })
        }
        None => (room, Behaviour::Around { middle: room, spread: 0.8 * degree, memory: 300.0 }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn point(capability: &str, nature: Nature, kind: &str, unit: &str) -> Point {
        let (capability, kind, unit) = (capability.to_owned(), kind.to_owned(), Some(unit.to_owned()));
        Point { capability, nature, kind, unit, range: None, states: Vec::new(), read: None, write: None }
    }

    #[test]
    fn a_meter_hangs_together() {
        let points = [
            point("voltage_l1", Nature::Gauge, "Meter", "V"),
            point("voltage_l2", Nature::Gauge, "Meter", "V"),
            point("current_l2", Nature::Gauge, "Meter", "A"),
            point("power", Nature::Gauge, "Power", "W"),
            point("energy", Nature::Gauge, "Energy", "kWh"),
            point("relay", Nature::Switch, "Switch", "-"),
        ];
        let mut world = world_for(&points, 1);
        world.set("voltage_l2", 100.0).unwrap();
        world.actuate("relay", 1.0).unwrap();
        let before = world.get("energy").unwrap();
        world.step(Duration::from_secs(600));
        assert!((225.0..235.0).contains(&world.get("voltage_l1").unwrap()));
        assert_eq!(world.get("current_l2"), world.get("power").map(|power| power / 100.0));
        assert!(world.get("energy").unwrap() > before);
        world.actuate("relay", 0.0).unwrap();
        world.step(Duration::from_secs(1));
        assert!(world.get("power").unwrap() < 100.0);
    }

    #[test]
    fn phases_add_up() {
        let gauge = |name: &str, unit: &str| point(name, Nature::Gauge, "Meter", unit);
        let points = [
            gauge("power-l1", "W"),
            gauge("power-l2", "W"),
            gauge("power", "W"),
            gauge("voltage-l1", "V"),
            gauge("current-l1", "A"),
            gauge("energy-import", "kWh"),
            gauge("energy-export", "kWh"),
        ];
        let mut world = world_for(&points, 1);
        let (imported, exported) = (world.get("energy-import"), world.get("energy-export"));
        world.step(Duration::from_secs(60));
        let value = |name: &str| world.get(name).unwrap();
        assert_eq!(value("power"), value("power-l1") + value("power-l2"));
        assert_eq!(value("current-l1"), value("power-l1") / value("voltage-l1"));
        assert!(world.get("energy-import") > imported);
        assert_eq!(world.get("energy-export"), exported);
    }

    #[test]
    fn a_thermostat_hangs_together() {
        let points = [
            point("setpoint", Nature::Level, "Temperature", "degC"),
            point("temperature", Nature::Gauge, "Temperature", "degC"),
        ];
        let mut world = world_for(&points, 1);
        assert_eq!(world.get("setpoint"), Some(21.0));
        world.actuate("setpoint", 25.0).unwrap();
        world.step(Duration::from_secs(900));
        assert!((24.0..26.0).contains(&world.get("temperature").unwrap()));
    }

    #[test]
    fn what_the_mapping_allows_is_kept() {
        let bus = Point { range: Some((10.0, 60.0)), ..point("bus", Nature::Gauge, "Meter", "V") };
        let odd = Point { range: Some((-9.0, -5.0)), ..point("odd", Nature::Gauge, "Meter", "lx") };
        let mut world = world_for(&[bus, odd], 3);
        world.step(Duration::from_secs(60));
        assert!((45.0..51.0).contains(&world.get("bus").unwrap()));
        assert!((-9.0..=-5.0).contains(&world.get("odd").unwrap()));
    }
}
