//! Somebody who only passes by: an iBeacon, which is in nobody's mapping.

use std::time::Duration;

use super::device::{Advert, BleDevice, Mac};

/// Company identifier of Apple.
const APPLE: u16 = 0x004c;

/// A beacon, which has no values.
#[derive(Clone, Debug)]
pub struct Beacon {
    mac: Mac,
    every: Duration,
    minor: u16,
}

impl Beacon {
    /// One that advertises so often.
    pub fn new(mac: Mac, every: Duration) -> Self {
        Self { mac, every, minor: 0 }
    }
}

impl BleDevice for Beacon {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn is_random(&self) -> bool {
        true
    }

    fn every(&self) -> Duration {
        self.every
    }

    /// Type and length, a UUID, major, minor, the strength at a metre.
    fn advert(&mut self, _wrong_key: bool) -> Advert {
        self.minor = self.minor.wrapping_add(1);
        let uuid = 0xe2c5_6db5_dffb_48d2_b060_d0f5_a710_96e0_u128.to_be_bytes();
        let data = [&[0x02, 0x15][..], &uuid, &[0, 1], &self.minor.to_be_bytes(), &[0xc5]].concat();
        Advert { manufacturer: [(APPLE, data)].into(), ..Advert::default() }
    }

    fn step(&mut self, _time: Duration) {}

    fn reboot(&mut self) {}

    fn get(&self, _name: &str) -> Option<String> {
        None
    }

    fn set(&mut self, name: &str, _value: &str) -> Result<(), String> {
        Err(format!("a beacon has no {name}"))
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        Err(format!("a beacon has no {name}"))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
