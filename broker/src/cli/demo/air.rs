//! The Bluetooth devices of a demo: a thermometer and a lock around a fake BlueZ, on a D-Bus of their own.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use usp_simulators::ble::bthome::Bind;
use usp_simulators::ble::device::BleDevice;
use usp_simulators::ble::household::{BIND_KEY, PASSKEY};
use usp_simulators::ble::{Format, Lock, Mac, PrivateBus, Radio, RadioHandle, Thermometer, address_in};

use super::guide::say;
use super::place::Place;
use crate::cli::Failure;
use crate::cli::mapping::simulate::ble::InTheAir;
use crate::client::random_text;

/// Where the bus is to be; set by ourselves.
const BUS: &str = "USP_BROKER_DEMO_BUS";

/// What libdbus takes the address of the bus from.
const SYSTEM_BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// How many devices there are.
pub(super) const DEVICES: usize = 2;

/// The `name` of the thermometer.
pub(super) const THERMOMETER: &str = "Bathroom thermometer";

/// The `name` of the lock.
pub(super) const LOCK: &str = "Front door";

const THERMOMETER_MAC: Mac = Mac([0xa4, 0xc1, 0x38, 0x00, 0x00, 0x01]);
const LOCK_MAC: Mac = Mac([0xa4, 0xc1, 0x38, 0x00, 0x00, 0x02]);

/// How often both advertise.
const EVERY: Duration = Duration::from_secs(1);

/// The folder for the bus; `None`: this demo is without Bluetooth, and has said why.
///
/// libdbus reads its address from the environment, once, and a process cannot safely change that: so the demo begins anew, as
/// the same process, in an environment that has it.
pub(super) fn bus() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os(BUS) {
        return Some(dir.into());
    }
    if !PrivateBus::is_installed() {
        say("No Bluetooth devices: dbus-daemon is not installed (on Debian: apt-get install dbus-daemon).\n");
        return None;
    }
    // Any longer name may be too long for a socket.
    let dir = Path::new("/tmp").join(format!("usp-demo-dbus-{:.8}", random_text()));
    let program = std::env::current_exe();
    let anew = program.map(|program| {
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(BUS, &dir).env(SYSTEM_BUS, address_in(&dir)).exec()
    });
    let (Ok(error) | Err(error)) = anew;
    say(&format!("No Bluetooth devices: this program cannot begin anew: {error}.\n"));
    None
}

/// The devices, and their bus.
pub(super) struct Air {
    radio: Option<Radio>,
    dir: PathBuf,
}

impl Air {
    /// Starts them.
    pub(super) async fn start(dir: PathBuf) -> Result<Self, Failure> {
        let format = Bind::parse(BIND_KEY).map_or(Format::Bthome, Format::BthomeEncrypted);
        let thermometer = Thermometer::new(THERMOMETER_MAC, format, EVERY, 11);
        let devices: Vec<(String, Box<dyn BleDevice>)> = vec![
            ("thermometer".to_owned(), Box::new(thermometer)),
            ("lock".to_owned(), Box::new(Lock::new(LOCK_MAC, PASSKEY, EVERY, 12))),
        ];
        let radio = Radio::start(Some(&dir), devices).await;
        let radio =
            radio.map_err(|error| Failure::failed(format!("the simulated Bluetooth devices: {error}")))?;
        Ok(Self { radio: Some(radio), dir })
    }

    /// They, by their keys.
    pub(super) fn devices(&self) -> Vec<InTheAir> {
        let handle = self.radio.as_ref().map(Radio::handle);
        let of = |radio: RadioHandle| {
            let keys = radio.devices().into_iter();
            keys.map(move |key| InTheAir { radio: radio.clone(), key }).collect()
        };
        handle.map_or_else(Vec::new, of)
    }

    pub(super) async fn stop(mut self) {
        if let Some(radio) = self.radio.take() {
            radio.stop().await;
        }
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        self.radio = None;
        // What cannot be removed stays for the system's own cleaning.
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// Writes the secrets that the site file names, for nobody but us.
pub(super) fn write_secrets(place: &Place) -> Result<(), Failure> {
    for (name, secret) in
        [("thermometer.key", BIND_KEY.to_owned()), ("lock.passkey", format!("{PASSKEY:06}"))]
    {
        let path = place.dir().join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, secret.as_bytes()));
        written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// The bus of the site file.
pub(super) fn site_bus() -> &'static str {
    "  radio: {ble: hci0} # a fake BlueZ\n"
}

/// The devices of the site file.
pub(super) fn site_devices() -> String {
    format!(
        "  thermometer: {{use: bthome.thermometer, bus: radio, mac: \"{THERMOMETER_MAC}\", key: \"file:thermometer.key\", name: \
         \"{THERMOMETER}\"}}\n  \
         lock: {{use: usp.demo-lock, bus: radio, mac: \"{LOCK_MAC}\", passkey: \"file:lock.passkey\", name: \"{LOCK}\"}}\n"
    )
}
