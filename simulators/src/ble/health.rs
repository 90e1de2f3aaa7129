//! A clinical thermometer: the Health Thermometer Service 1.0 of the Bluetooth SIG, and the Battery Service.

use std::time::Duration;

use super::device::{Advert, At, BleDevice, Characteristic, Mac, Service, att};
use super::quantities::Quantities;
use super::uuid::Uuid;

const SERVICE: Uuid = Uuid::short(0x1809);
const MEASUREMENT: Uuid = Uuid::short(0x2a1c);
const TYPE: Uuid = Uuid::short(0x2a1d);
const BATTERY: Uuid = Uuid::short(0x180f);
const BATTERY_LEVEL: Uuid = Uuid::short(0x2a19);

/// Flags of a measurement: degrees Celsius, without a time, with a place.
const FLAGS: u8 = 0x04;

/// In the mouth.
const MOUTH: u8 = 0x06;

/// A thermometer that tells its measurement by indications, and cannot be asked.
#[derive(Clone, Debug)]
pub struct HealthThermometer {
    mac: Mac,
    every: Duration,
    values: Quantities,
    since: Duration,
    told: Vec<(At, Vec<u8>)>,
}

impl HealthThermometer {
    /// One that advertises, and tells who is connected, so often.
    pub fn new(mac: Mac, every: Duration, seed: u64) -> Self {
        let values =
            Quantities::new(seed).wandering("temperature", 1, 36.8, 0.2).wandering("battery", 0, 64.0, 0.0);
        Self { mac, every, values, since: Duration::ZERO, told: Vec::new() }
    }

    /// Only what is set changes.
    pub fn still(mut self) -> Self {
        self.values = self.values.still();
        self
    }

    /// Flags, an IEEE 11073 FLOAT (24 bits of mantissa, the exponent of ten in the highest byte), the place.
    fn measurement(&self) -> Vec<u8> {
        let [a, b, c, ..] = self.values.raw("temperature", 10.0).to_le_bytes();
        vec![FLAGS, a, b, c, (-1_i8).cast_unsigned(), MOUTH]
    }

    fn tell(&mut self) {
        let measured = At { service: SERVICE, characteristic: MEASUREMENT };
        let battery = At { service: BATTERY, characteristic: BATTERY_LEVEL };
        self.told = vec![(measured, self.measurement()), (battery, self.battery())];
    }

    fn battery(&self) -> Vec<u8> {
        vec![self.values.raw("battery", 1.0) as u8]
    }
}

impl BleDevice for HealthThermometer {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn advert(&mut self, _wrong_key: bool) -> Advert {
        let name = Some("Thermometer".to_owned());
        Advert { name, uuids: vec![SERVICE, BATTERY], connectable: true, ..Advert::default() }
    }

    fn services(&self) -> Vec<Service> {
        let measurement = Characteristic::new(MEASUREMENT, &["indicate"]);
        let kind = Characteristic::new(TYPE, &["read"]);
        let level = Characteristic::new(BATTERY_LEVEL, &["read", "notify"]);
        vec![
            Service { uuid: SERVICE, characteristics: vec![measurement, kind] },
            Service { uuid: BATTERY, characteristics: vec![level] },
        ]
    }

    fn read(&mut self, at: At) -> Result<Vec<u8>, u8> {
        match at.characteristic {
            TYPE => Ok(vec![MOUTH]),
            BATTERY_LEVEL => Ok(self.battery()),
            _ => Err(att::READ_NOT_PERMITTED),
        }
    }

    fn told(&mut self) -> Vec<(At, Vec<u8>)> {
        std::mem::take(&mut self.told)
    }

    fn step(&mut self, time: Duration) {
        self.values.step(time);
        self.since += time;
        if self.since >= self.every {
            self.since = Duration::ZERO;
            self.tell();
        }
    }

    fn reboot(&mut self) {
        self.values.reboot();
    }

    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name)
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
        self.values.names()
    }
}
