//! The devices that are heard by radio: thermometers that advertise in the clear and encrypted, and some that are connected to
//! and notify.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use usp_simulators::ble::bthome::Bind;
use usp_simulators::ble::household::BIND_KEY;
use usp_simulators::ble::{BleDevice, Format, HealthThermometer, Mac, Radio, Thermometer};
use usp_tests::place::Place;

/// How many of each kind. Who is connected to needs one of the radio's connections for good.
pub(super) const CLEAR: u8 = 15;
pub(super) const ENCRYPTED: u8 = 15;
pub(super) const CONNECTED: u8 = 3;

/// How often each advertises, apart from what it has to say.
const EVERY: Duration = Duration::from_secs(1);

const KEY_FILE: &str = "bthome.key";

/// What the three kinds are called, each with a number behind it.
const NAMES: [(&str, u8); 3] = [("clear", CLEAR), ("encrypted", ENCRYPTED), ("connected", CONNECTED)];

/// The names of all that advertise what they measure.
pub(super) fn advertising() -> impl Iterator<Item = String> {
    names(&NAMES[..2])
}

/// The names of all that are connected to.
pub(super) fn connected() -> impl Iterator<Item = String> {
    names(&NAMES[2..])
}

fn names(kinds: &[(&'static str, u8)]) -> impl Iterator<Item = String> {
    kinds.iter().flat_map(|(name, count)| (1..=*count).map(move |number| format!("{name}-{number}")))
}

/// A radio with all of them in the air.
pub(super) async fn start() -> Radio {
    let bind = Bind::parse(BIND_KEY).unwrap();
    let numbered = advertising().chain(connected()).zip(1_u8..);
    let devices = numbered.map(|(name, number)| {
        let (mac, seed) = (Mac([0xa4, 0xc1, 0x38, 0x00, 0x01, number]), u64::from(number));
        let device: Box<dyn BleDevice> = if name.starts_with("connected") {
            Box::new(HealthThermometer::new(mac, EVERY, seed).still())
        } else {
            let format = if name.starts_with("clear") {
                Format::Bthome
            } else {
                Format::BthomeEncrypted(bind.clone())
            };
            Box::new(Thermometer::new(mac, format, EVERY, seed).still())
        };
        (name, device)
    });
    Radio::start(None, devices.collect()).await.unwrap()
}

/// Their part of a site's `devices`; the key of those that encrypt lies beside it.
pub(super) fn site(radio: &Radio, place: &Place) -> String {
    let key = place.path(KEY_FILE);
    fs::write(&key, BIND_KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let air = radio.handle();
    let mut devices = String::new();
    for name in advertising().chain(connected()) {
        let (mac, profile, more) = match name.split('-').next() {
            Some("clear") => (air.mac(&name), "bthome.thermometer", String::new()),
            Some("encrypted") => {
                (air.mac(&name), "bthome.thermometer", format!(", key: \"file:{KEY_FILE}\""))
            }
            _ => (air.mac(&name), "bluetooth.health-thermometer", String::new()),
        };
        let mac = mac.unwrap();
        writeln!(devices, "  {name}: {{use: {profile}, bus: radio, mac: \"{mac}\"{more}}}").unwrap();
    }
    devices
}
