//! A smart meter with a P1 port: a telegram every second, or every ten.
//!
//! Source: Netbeheer Nederland, P1 Companion Standard 5.0.2, section 6.

use std::fmt::Write as _;
use std::time::Duration;

use crate::world::{Behaviour, World};

use super::{LineDevice, checksum, flipped};

/// A meter with three phases and a gas meter behind it.
pub struct Meter {
    world: World,
    every: Duration,
    still: bool,
    /// Seconds since it began, for its clock.
    seconds: f64,
}

/// Names, first values, least and greatest of what moves by itself about its first value.
const LOADS: [(&str, f64, f64); 3] =
    [("power-l1", 0.35, 0.2), ("power-l2", 0.12, 0.1), ("power-l3", 0.6, 0.4)];

impl Meter {
    /// One that speaks so often, in a world of its own.
    pub fn new(every: Duration, seed: u64) -> Self {
        let mut world = World::new(seed);
        for (name, middle, spread) in LOADS {
            let around = Behaviour::Around { middle, spread, memory: 60.0 };
            world.add(name, middle, (0.0, 11.0), around);
        }
        for name in ["voltage-l1", "voltage-l2", "voltage-l3"] {
            let around = Behaviour::Around { middle: 231.0, spread: 1.5, memory: 30.0 };
            world.add(name, 231.0, (207.0, 253.0), around);
        }
        let sum = Behaviour::Sum { of: LOADS.iter().map(|(name, ..)| (*name).to_owned()).collect() };
        world.add("power", 1.07, (0.0, 30.0), sum);
        let energy = Behaviour::Integral { of: "power".to_owned(), gain: 1.0 / 3600.0 };
        world.add("import-2", 4321.5, (0.0, 999_999.0), energy);
        world.add("import-1", 3120.25, (0.0, 999_999.0), Behaviour::Held);
        world.add("export-1", 12.5, (0.0, 999_999.0), Behaviour::Held);
        world.add("export-2", 30.75, (0.0, 999_999.0), Behaviour::Held);
        world.add("power-export", 0.0, (0.0, 30.0), Behaviour::Held);
        world.add("gas", 1833.123, (0.0, 99_999.0), Behaviour::Held);
        world.add("tariff", 2.0, (1.0, 2.0), Behaviour::Held);
        world.add("power-failures", 3.0, (0.0, 99_999.0), Behaviour::Held);
        Self { world, every, still: false, seconds: 0.0 }
    }

    /// The same, in which time stands still.
    #[must_use]
    pub fn still(mut self) -> Self {
        self.still = true;
        self
    }

    fn value(&self, name: &str) -> f64 {
        self.world.get(name).unwrap_or_default()
    }

    /// The telegram of this moment, byte for byte.
    pub fn telegram(&self) -> Vec<u8> {
        let mut text = String::from("/USP5\\253-DEMO-METER\r\n\r\n");
        let clock = self.seconds as u64;
        let stamp = format!("261101{:02}{:02}{:02}W", clock / 3600 % 24, clock / 60 % 60, clock % 60);
        let mut line = |words: String| {
            // Writing to a String cannot fail.
            write!(text, "{words}\r\n").ok();
        };
        line("1-3:0.2.8(50)".to_owned());
        line(format!("0-0:1.0.0({stamp})"));
        line("0-0:96.1.1(4530303237303030303130313233343536)".to_owned());
        for (code, name) in
            [("1.8.1", "import-1"), ("1.8.2", "import-2"), ("2.8.1", "export-1"), ("2.8.2", "export-2")]
        {
            line(format!("1-0:{code}({:010.3}*kWh)", self.value(name)));
        }
        line(format!("0-0:96.14.0({:04})", self.value("tariff") as u32));
        line(format!("1-0:1.7.0({:06.3}*kW)", self.value("power")));
        line(format!("1-0:2.7.0({:06.3}*kW)", self.value("power-export")));
        line(format!("0-0:96.7.21({:05})", self.value("power-failures") as u32));
        line("0-0:96.7.9(00001)".to_owned());
        line("1-0:99.97.0(1)(0-0:96.7.19)(260101000000W)(0000000300*s)".to_owned());
        for (code, name) in [("32", "voltage-l1"), ("52", "voltage-l2"), ("72", "voltage-l3")] {
            line(format!("1-0:{code}.7.0({:05.1}*V)", self.value(name)));
        }
        for (code, phase) in [("31", 1), ("51", 2), ("71", 3)] {
            let (power, voltage) =
                (self.value(&format!("power-l{phase}")), self.value(&format!("voltage-l{phase}")));
            line(format!("1-0:{code}.7.0({:03.0}*A)", power * 1000.0 / voltage.max(1.0)));
        }
        for (code, phase) in [("21", 1), ("41", 2), ("61", 3)] {
            line(format!("1-0:{code}.7.0({:06.3}*kW)", self.value(&format!("power-l{phase}"))));
        }
        for code in ["22", "42", "62"] {
            line(format!("1-0:{code}.7.0(00.000*kW)"));
        }
        line("0-1:24.1.0(003)".to_owned());
        line("0-1:96.1.0(4730303332353631323334353637383930)".to_owned());
        line(format!("0-1:24.2.1({stamp})({:09.3}*m3)", self.value("gas")));
        text.push('!');
        let sum = checksum::of("crc16-arc", text.as_bytes()).unwrap_or_default();
        let sum = checksum::digits(&sum);
        // Writing to a String cannot fail.
        write!(text, "{sum}\r\n").ok();
        text.into_bytes()
    }
}

impl LineDevice for Meter {
    fn request(&mut self, heard: &mut Vec<u8>) -> Option<Vec<u8>> {
        heard.clear();
        None
    }

    fn answer(&mut self, _: &[u8], _: bool) -> Option<Vec<u8>> {
        None
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        None
    }

    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn telegrams(&mut self, since: Duration) -> Vec<Vec<u8>> {
        if !self.still {
            self.world.step(since);
            self.seconds += since.as_secs_f64();
        }
        vec![self.telegram()]
    }

    fn spoiled(&self, frame: Vec<u8>) -> Vec<u8> {
        flipped(frame)
    }

    fn reboot(&mut self) {
        self.seconds = 0.0;
    }

    fn get(&self, name: &str) -> Option<String> {
        self.world.get(name).map(|value| value.to_string())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number: f64 = value.trim().parse().map_err(|_| format!("{value:?} is no number"))?;
        self.world.set(name, number).map_err(|error| error.to_string())
    }

    fn names(&self) -> Vec<String> {
        self.world.names().map(str::to_owned).collect()
    }
}
