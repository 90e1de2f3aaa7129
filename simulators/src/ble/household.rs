//! What a home may have in the air.

use std::time::Duration;

use super::beacon::Beacon;
use super::bthome::Bind;
use super::device::{BleDevice, Mac};
use super::health::HealthThermometer;
use super::lamp::Lamp;
use super::lock::Lock;
use super::thermometer::{Format, Thermometer};

/// The key of the encrypted thermometer.
pub const BIND_KEY: &str = "231d39c1d7cc1ab1aee224cd096db932";

/// The passkey of the lock.
pub const PASSKEY: u32 = 417_293;

/// Each device with its key; `still`: only what is set changes.
pub fn household(every: Duration, still: bool) -> Vec<(String, Box<dyn BleDevice>)> {
    let mac = |last: u8| Mac([0xa4, 0xc1, 0x38, 0x00, 0x00, last]);
    let thermometer = |last: u8, format: Format| {
        let device = Thermometer::new(mac(last), format, every, u64::from(last));
        if still { device.still() } else { device }
    };
    let fever = HealthThermometer::new(mac(9), every, 9);
    let fever = if still { fever.still() } else { fever };
    let encrypted = Bind::parse(BIND_KEY).map_or(Format::Bthome, Format::BthomeEncrypted);
    vec![
        ("kitchen".to_owned(), Box::new(thermometer(1, Format::Bthome)) as Box<dyn BleDevice>),
        ("attic".to_owned(), Box::new(thermometer(2, encrypted))),
        ("cellar".to_owned(), Box::new(thermometer(3, Format::Atc))),
        ("garden".to_owned(), Box::new(thermometer(4, Format::Pvvx))),
        ("sauna".to_owned(), Box::new(thermometer(5, Format::Ruuvi))),
        ("beacon".to_owned(), Box::new(Beacon::new(mac(6), every))),
        ("lock".to_owned(), Box::new(Lock::new(mac(7), PASSKEY, every, 7))),
        ("lamp".to_owned(), Box::new(Lamp::new(mac(8), every, 8))),
        ("fever".to_owned(), Box::new(fever)),
    ]
}
