//! A weather station that is polled by its address and answers with names, values and units, as Vaisala's WXT520 does.
//!
//! Source: Vaisala, WXT520 User's Guide M210906EN-C, chapter 7 (composite data message `aR0`).

use std::time::Duration;

use crate::world::{Behaviour, World};

use super::LineDevice;

/// A station in a world of its own.
pub struct Station {
    address: char,
    world: World,
    last: std::time::Instant,
    still: bool,
}

/// Name, unit, decimals, middle and spread.
const VALUES: [(&str, char, usize, f64, f64); 8] = [
    ("Dm", 'D', 0, 230.0, 30.0),
    ("Sm", 'M', 1, 4.2, 1.5),
    ("Sx", 'M', 1, 7.1, 2.0),
    ("Ta", 'C', 1, 12.4, 2.0),
    ("Ua", 'P', 1, 71.5, 8.0),
    ("Pa", 'H', 1, 1013.2, 3.0),
    ("Rc", 'M', 2, 3.25, 0.0),
    ("Vs", 'V', 1, 12.1, 0.1),
];

impl Station {
    /// One with this address.
    pub fn new(address: char, seed: u64) -> Self {
        let mut world = World::new(seed);
        for (name, _, _, middle, spread) in VALUES {
            let around = Behaviour::Around { middle, spread, memory: 120.0 };
            world.add(name, middle, (-60.0, 1100.0), around);
        }
        Self { address, world, last: std::time::Instant::now(), still: false }
    }

    /// The same, in which time stands still.
    #[must_use]
    pub fn still(mut self) -> Self {
        self.still = true;
        self
    }

    fn message(&mut self) -> String {
        if !self.still {
            self.world.step(self.last.elapsed());
            self.last = std::time::Instant::now();
        }
        let value = |(name, unit, decimals, ..): &(&str, char, usize, f64, f64)| {
            let value = self.world.get(name).unwrap_or_default();
            let width = if *name == "Dm" { 3 } else { 0 };
            format!(",{name}={value:0width$.decimals$}{unit}")
        };
        let values: String = VALUES.iter().map(value).collect();
        format!("{}R0{values}\r\n", self.address)
    }
}

impl LineDevice for Station {
    fn request(&mut self, heard: &mut Vec<u8>) -> Option<Vec<u8>> {
        let end = heard.iter().position(|byte| *byte == b'\n')?;
        Some(heard.drain(..=end).collect())
    }

    fn answer(&mut self, request: &[u8], _: bool) -> Option<Vec<u8>> {
        let wanted = format!("{}R0\r\n", self.address);
        // Others on the line have other addresses: it says nothing to what is theirs.
        (request == wanted.as_bytes()).then(|| self.message().into_bytes())
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        Some(format!("{}TX,Unknown cmd error\r\n", self.address).into_bytes())
    }

    fn every(&self) -> Option<Duration> {
        None
    }

    fn telegrams(&mut self, _: Duration) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// There is no checksum: the first letter is another one.
    fn spoiled(&self, mut frame: Vec<u8>) -> Vec<u8> {
        if let Some(first) = frame.first_mut() {
            *first ^= 1;
        }
        frame
    }

    fn reboot(&mut self) {}

    fn get(&self, name: &str) -> Option<String> {
        self.world.get(name).map(|value| value.to_string())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number: f64 = value.trim().parse().map_err(|_| format!("{value:?} is no number"))?;
        self.world.set(name, number).map_err(|error| error.to_string())
    }

    fn names(&self) -> Vec<String> {
        VALUES.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }
}
