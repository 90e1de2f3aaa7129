//! Thermometers that advertise, in the formats of several makers.

use std::time::Duration;

use super::bthome::{self, Bind, Objects};
use super::device::{Advert, BleDevice, Mac};
use super::quantities::Quantities;
use super::uuid::Uuid;

/// How a thermometer says what it measures.
#[derive(Clone, Debug)]
pub enum Format {
    /// BTHome v2, for everybody.
    Bthome,
    /// BTHome v2, encrypted.
    BthomeEncrypted(Bind),
    /// ATC1441: big-endian, <https://github.com/atc1441/ATC_MiThermometer>.
    Atc,
    /// The custom format of pvvx: little-endian, <https://github.com/pvvx/ATC_MiThermometer>.
    Pvvx,
    /// Ruuvi's data format 5, RAWv2: <https://docs.ruuvi.com/communication/bluetooth-advertisements/data-format-5-rawv2>.
    Ruuvi,
}

/// A thermometer with a hygrometer and a battery.
#[derive(Clone, Debug)]
pub struct Thermometer {
    mac: Mac,
    format: Format,
    every: Duration,
    count: u16,
    values: Quantities,
}

impl Thermometer {
    /// One that advertises so often.
    pub fn new(mac: Mac, format: Format, every: Duration, seed: u64) -> Self {
        let mut values = Quantities::new(seed)
            .wandering("temperature", 2, 21.5, 0.6)
            .wandering("humidity", 2, 48.0, 2.0)
            .wandering("battery", 0, 87.0, 0.0)
            .wandering("voltage", 3, 2.95, 0.0);
        if matches!(format, Format::Ruuvi) {
            values = values.wandering("pressure", 0, 101_325.0, 40.0).wandering("movements", 0, 7.0, 0.0);
        }
        Self { mac, format, every, count: 0, values }
    }

    /// Only what is set changes.
    pub fn still(mut self) -> Self {
        self.values = self.values.still();
        self
    }

    fn objects(&self) -> Objects {
        Objects::default()
            .with(0x00, i64::from(self.count & 0xff), 1)
            .with(0x01, self.values.raw("battery", 1.0), 1)
            .with(0x02, self.values.raw("temperature", 100.0), 2)
            .with(0x03, self.values.raw("humidity", 100.0), 2)
            .with(0x0c, self.values.raw("voltage", 1000.0), 2)
    }

    fn atc(&self) -> Vec<u8> {
        let [temperature, volts] =
            [("temperature", 10.0), ("voltage", 1000.0)].map(|(name, factor)| self.values.raw(name, factor));
        let mut said = self.mac.0.to_vec();
        said.extend((temperature as i16).to_be_bytes());
        said.push(self.values.raw("humidity", 1.0) as u8);
        said.push(self.values.raw("battery", 1.0) as u8);
        said.extend((volts as u16).to_be_bytes());
        said.push(self.count as u8);
        said
    }

    fn pvvx(&self) -> Vec<u8> {
        let mut said: Vec<u8> = self.mac.0.iter().rev().copied().collect();
        said.extend((self.values.raw("temperature", 100.0) as i16).to_le_bytes());
        said.extend((self.values.raw("humidity", 100.0) as u16).to_le_bytes());
        said.extend((self.values.raw("voltage", 1000.0) as u16).to_le_bytes());
        said.push(self.values.raw("battery", 1.0) as u8);
        said.push(self.count as u8);
        said.push(0x00);
        said
    }

    fn ruuvi(&self) -> Vec<u8> {
        let mut said = vec![0x05];
        said.extend((self.values.raw("temperature", 200.0) as i16).to_be_bytes());
        said.extend((self.values.raw("humidity", 400.0) as u16).to_be_bytes());
        said.extend(((self.values.raw("pressure", 1.0) - 50_000) as u16).to_be_bytes());
        // It lies on its back: 1 g from below.
        [4_i16, -4, 1036].iter().for_each(|axis| said.extend(axis.to_be_bytes()));
        // 11 bits of volts beyond 1.6, 5 bits of dBm beyond -40 in steps of 2: +4.
        let power = ((self.values.raw("voltage", 1000.0) - 1600) as u16) << 5 | 22;
        said.extend(power.to_be_bytes());
        said.push(self.values.raw("movements", 1.0) as u8);
        said.extend(self.count.to_be_bytes());
        said.extend(self.mac.0);
        said
    }
}

impl BleDevice for Thermometer {
    fn mac(&self) -> Mac {
        self.mac
    }

    fn is_random(&self) -> bool {
        matches!(self.format, Format::Ruuvi)
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn advert(&mut self, wrong_key: bool) -> Advert {
        self.count = self.count.wrapping_add(1);
        let objects = self.objects();
        let mut advert = Advert::default();
        let mut says = |uuid: Uuid, data: Vec<u8>| drop(advert.service_data.insert(uuid, data));
        match &mut self.format {
            Format::Bthome => says(bthome::SERVICE, bthome::plain(objects, false)),
            Format::BthomeEncrypted(bind) => {
                says(bthome::SERVICE, bthome::encrypted(self.mac, bind, objects, false, wrong_key));
            }
            Format::Atc => says(Uuid::short(0x181a), self.atc()),
            Format::Pvvx => says(Uuid::short(0x181a), self.pvvx()),
            Format::Ruuvi => drop(advert.manufacturer.insert(0x0499, self.ruuvi())),
        }
        let [.., a, b, c] = self.mac.0;
        advert.name = Some(match self.format {
            Format::Ruuvi => format!("Ruuvi {b:02X}{c:02X}"),
            _ => format!("ATC_{a:02X}{b:02X}{c:02X}"),
        });
        advert
    }

    fn step(&mut self, time: Duration) {
        self.values.step(time);
    }

    fn reboot(&mut self) {
        self.values.reboot();
        self.count = 0;
        if let Format::BthomeEncrypted(bind) = &mut self.format {
            bind.restart();
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.values.set(name, value)
    }

    fn release(&mut self, name: &str) -> Result<(), String> {
        self.values.release(name)
    }

    fn names(&self) -> Vec<String> {
        self.values.names()
    }
}
