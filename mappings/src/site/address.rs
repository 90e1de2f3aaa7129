//! Where devices are, and where the files are that a site names.

use std::collections::BTreeMap;
use std::path::Path;

use super::Compiler;
use crate::code::Code;
use crate::draft::At;
use crate::draft::site::DeviceDraft;
use crate::mapping::{BleAddress, BusKind, CoapAddress, DeviceAddress, Mapping};
use crate::secret::SecretRef;

impl Compiler<'_> {
    /// A device's address on its bus; the reader has seen to it that it is of the bus' kind.
    pub(super) fn address(&self, device: &DeviceDraft) -> Option<DeviceAddress> {
        let unit = device.unit.map(|unit| DeviceAddress::ModbusUnit(unit.value));
        let topic = || Some(DeviceAddress::MqttTopic(device.topic.as_ref()?.value.clone()));
        let host = || {
            let psk = device.psk.as_ref().map(|psk| {
                let mut psk = psk.value.clone();
                self.locate(&mut psk.key);
                psk
            });
            Some(DeviceAddress::Coap(CoapAddress { host: device.host.as_ref()?.value.clone(), psk }))
        };
        let mac = || {
            let located = |secret: &Option<At<SecretRef>>| {
                let mut secret = secret.as_ref()?.value.clone();
                self.locate(&mut secret);
                Some(secret)
            };
            let (key, passkey) = (located(&device.key), located(&device.passkey));
            Some(DeviceAddress::Ble(BleAddress { mac: device.mac?.value, key, passkey }))
        };
        let ieee = || Some(DeviceAddress::Zigbee(device.ieee?.value));
        let line = || self.is_on_a_line(device).then_some(DeviceAddress::Line);
        unit.or_else(topic).or_else(host).or_else(mac).or_else(ieee).or_else(line)
    }

    fn is_on_a_line(&self, device: &DeviceDraft) -> bool {
        let bus = device.bus.as_ref();
        let mut kinds =
            self.draft.buses.iter().filter(|known| bus.is_some_and(|bus| known.name.value == bus.value));
        kinds.any(|known| matches!(&known.kind, Some(At { value: BusKind::Line(_), .. })))
    }

    /// Whether the bus of a device is of the protocol of its mapping.
    pub(super) fn speaks(&mut self, bus: &At<String>, mapping: &Mapping) -> Option<()> {
        let known = self.draft.buses.iter().find(|known| known.name.value == bus.value)?;
        let spoken = known.kind.as_ref()?.value.protocol();
        let kind = mapping.protocol.kind();
        if spoken == kind {
            return Some(());
        }
        let (spoken, kind, profile) = (spoken.name(), kind.name(), &mapping.profile);
        let message = format!("`{profile}` is for {kind}, and the bus `{}` is {spoken}", bus.value);
        let error = self.report.error(Code::Protocol, bus.span, message);
        error.help(format!("name a bus that is {kind}, or a mapping for {spoken}"));
        None
    }

    /// A bus whose files are found from where the program stands.
    pub(super) fn located(&self, mut kind: BusKind) -> BusKind {
        if let BusKind::Zigbee(bus) = &mut kind {
            bus.network_key.iter_mut().for_each(|key| self.locate(key));
        }
        if let BusKind::Mqtt(server) = &mut kind {
            server.password.iter_mut().for_each(|password| self.locate(password));
            if let Some(tls) = &mut server.tls {
                tls.ca.iter_mut().for_each(|path| self.locate_path(path));
                if let Some((cert, key)) = &mut tls.identity {
                    self.locate_path(cert);
                    self.locate(key);
                }
            }
        }
        kind
    }

    fn locate(&self, secret: &mut SecretRef) {
        if let SecretRef::File(path) = secret {
            self.locate_path(path);
        }
    }

    /// Paths in a site file are relative to it.
    fn locate_path(&self, path: &mut String) {
        let folder = Path::new(self.draft.file.name()).parent().unwrap_or(Path::new(""));
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }

    pub(super) fn shared_addresses(&mut self) {
        let mut seen: BTreeMap<(&str, String), &At<String>> = BTreeMap::new();
        for device in &self.draft.devices {
            let unit = device.unit.map(|unit| (unit.span, "unit", unit.value.to_string()));
            let topic = device.topic.as_ref().map(|at| (at.span, "topic", at.value.clone()));
            let host = device.host.as_ref().map(|at| (at.span, "host", at.value.to_string()));
            let mac = device.mac.map(|at| (at.span, "mac", at.value.to_string()));
            let ieee = device.ieee.map(|at| (at.span, "ieee", at.value.to_string()));
            let given = unit.or(topic).or(host).or(mac).or(ieee);
            let Some((bus, (span, key, address))) = device.bus.as_ref().zip(given) else { continue };
            match seen.get(&(bus.value.as_str(), address.clone())) {
                None => drop(seen.insert((&bus.value, address), &device.id)),
                Some(first) => {
                    let message = format!("{key} {address} of `{}` is also `{}`", bus.value, first.value);
                    let warning = self.report.warn(Code::SharedAddress, span, message);
                    warning.help(format!(
                        "right if one {} has several mappings; otherwise correct `{key}` or `bus`",
                        if key == "unit" { "unit" } else { "device" }
                    ));
                }
            }
        }
    }
}
