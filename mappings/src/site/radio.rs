//! Secrets of Bluetooth devices: one that means nothing, and one that is missing.

use super::Compiler;
use crate::ble::{BleOptions, BlePair, BlePick};
use crate::code::Code;
use crate::draft::site::DeviceDraft;
use crate::mapping::{Mapping, Protocol, ReadPoint};

impl Compiler<'_> {
    /// Whether a device on a radio has the secrets that its mapping has a use for.
    pub(super) fn secrets_on_the_air(&mut self, device: &DeviceDraft, mapping: &Mapping) {
        let Protocol::Ble(options) = &mapping.protocol else { return };
        if let Some(key) = device.key.as_ref().filter(|_| !is_sealed(mapping)) {
            let message = format!("nothing that `{}` reads can be encrypted with a key", mapping.profile);
            self.report.error(Code::BleSecret, key.span, message).help(
                "remove `key`: it is that of BTHome, and with it nothing else shows that the device is there",
            );
        }
        self.passkey(device, mapping, options);
    }

    fn passkey(&mut self, device: &DeviceDraft, mapping: &Mapping, options: &BleOptions) {
        let (id, profile) = (&device.id, &mapping.profile);
        match (&device.passkey, options.pair) {
            (None, BlePair::Passkey) => {
                let message =
                    format!("the device `{}` is paired with a passkey, and has none here", id.value);
                self.report.warn(Code::BleSecret, id.span, message).help(
                    "add `passkey: \"file:PATH\"`, a file with its up to six digits; without it only a device works that was paired already",
                );
            }
            (Some(passkey), BlePair::Nothing | BlePair::JustWorks) => {
                let message = format!("`{profile}` pairs without a passkey: this one is never asked for");
                self.report
                    .warn(Code::BleSecret, passkey.span, message)
                    .help("remove `passkey`, or write `pair: passkey` in the `ble` of the mapping");
            }
            (None, _) | (Some(_), BlePair::Passkey) => {}
        }
    }
}

/// Whether a mapping reads anything that comes encrypted where there is a key.
fn is_sealed(mapping: &Mapping) -> bool {
    let reads = mapping.points().filter_map(|point| point.read);
    let mut places = reads.flat_map(|read| read.places());
    places.any(|place| matches!(place, ReadPoint::Ble(read) if matches!(read.pick, BlePick::Bthome(_))))
}
