//! A lamp that is dimmed, and measures what it takes.

use std::time::Duration;

use super::device::{Advert, At, BleDevice, Characteristic, Mac, Service, att};
use super::quantities::{Kind, Quantities};
use super::uuid::Uuid;
use crate::world::Behaviour;

/// Its service.
pub const SERVICE: Uuid = Uuid::new(0x7553_5042_0001_4c41_4d50_0000_0000_0001);
/// 0 off, 1 on.
pub const SWITCH: Uuid = Uuid::new(0x7553_5042_0001_4c41_4d50_0000_0000_0002);
/// 1 to 100.
pub const LEVEL: Uuid = Uuid::new(0x7553_5042_0001_4c41_4d50_0000_0000_0003);
/// What it takes, in tenths of a watt, 16 bits, the least significant byte first.
pub const POWER: Uuid = Uuid::new(0x7553_5042_0001_4c41_4d50_0000_0000_0004);

/// What it takes at its brightest, in watts.
const MOST: f64 = 9.5;

/// A lamp that needs no pairing; it takes commands without an answer too.
#[derive(Clone, Debug)]
pub struct Lamp {
    mac: Mac,
    every: Duration,
    values: Quantities,
    told: Vec<(At, Vec<u8>)>,
}

impl Lamp {
    /// A lamp that is off.
    pub fn new(mac: Mac, every: Duration, seed: u64) -> Self {
        let values = Quantities::new(seed).switch("on", false).with(
            "level",
            Kind::Number(0),
            60.0,
            (1.0, 100.0),
            Behaviour::Held,
        );
        Self { mac, every, values, told: Vec::new() }
    }

    fn power(&self) -> f64 {
        if self.values.is_on("on") { MOST * self.values.number("level") / 100.0 } else { 0.0 }
    }

    fn value(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        Some(match characteristic {
            SWITCH => vec![u8::from(self.values.is_on("on"))],
            LEVEL => vec![self.values.raw("level", 1.0) as u8],
            POWER => ((self.power() * 10.0).round() as u16).to_le_bytes().to_vec(),
            _ => return None,
        })
    }

    fn tell(&mut self) {
        let all = [SWITCH, LEVEL, POWER].into_iter();
        let told =
            all.filter_map(|uuid| Some((At { service: SERVICE, characteristic: uuid }, self.value(uuid)?)));
        self.told = told.collect();
    }
}

impl BleDevice for Lamp {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn advert(&mut self, _wrong_key: bool) -> Advert {
        let name = Some("Lamp".to_owned());
        Advert { name, uuids: vec![SERVICE], connectable: true, ..Advert::default() }
    }

    fn services(&self) -> Vec<Service> {
        let writable = &["read", "write", "write-without-response", "notify"];
        let characteristics = vec![
            Characteristic::new(SWITCH, writable),
            Characteristic::new(LEVEL, writable),
            Characteristic::new(POWER, &["read", "notify"]),
        ];
        vec![Service { uuid: SERVICE, characteristics }]
    }

    fn read(&mut self, at: At) -> Result<Vec<u8>, u8> {
        self.value(at.characteristic).ok_or(att::READ_NOT_PERMITTED)
    }

    fn write(&mut self, at: At, value: &[u8], obeys: bool) -> Result<(), u8> {
        let [value] = value else { return Err(att::LENGTH) };
        let name = match (at.characteristic, value) {
            (SWITCH, 0 | 1) => "on",
            (LEVEL, 1..=100) => "level",
            (SWITCH | LEVEL, _) => return Err(att::APPLICATION),
            _ => return Err(att::WRITE_NOT_PERMITTED),
        };
        if obeys {
            self.values.actuate(name, f64::from(*value));
            self.tell();
        }
        Ok(())
    }

    fn told(&mut self) -> Vec<(At, Vec<u8>)> {
        std::mem::take(&mut self.told)
    }

    fn step(&mut self, time: Duration) {
        self.values.step(time);
    }

    fn reboot(&mut self) {
        self.values.reboot();
    }

    fn get(&self, name: &str) -> Option<String> {
        if name == "power" { Some(format!("{:.1}", self.power())) } else { self.values.get(name) }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.values.set(name, value)?;
        self.tell();
        Ok(())
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        self.values.release(name)
    }

    fn names(&self) -> Vec<String> {
        [self.values.names(), vec!["power".to_owned()]].concat()
    }
}
