//! A device as clients see it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use zbus::Message;

use super::gatt::Gatt;
use super::object::{BATTERY1, DEVICE1, bytes, owned, path, props, text, texts};
use super::said::{Interfaces, Props};
use super::{ADAPTER, Bluez, Signal, TEMPORARY};
use crate::ble::device::{Advert, Mac};
use crate::ble::peer::Peer;
use crate::ble::uuid::Uuid;

/// A device that was heard, or that keys were exchanged with.
pub(super) struct Known {
    pub(super) mac: Mac,
    pub(super) random: bool,
    /// Which it is; `None`: a stranger.
    pub(super) peer: Option<usize>,
    pub(super) seen: Instant,
    /// It is forgotten when it was silent for a while.
    pub(super) temporary: bool,
    pub(super) connectable: bool,
    pub(super) name: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) uuids: BTreeSet<Uuid>,
    pub(super) rssi: Option<i16>,
    pub(super) service_data: BTreeMap<Uuid, Vec<u8>>,
    pub(super) manufacturer: BTreeMap<u16, Vec<u8>>,
    pub(super) connected: bool,
    pub(super) resolved: bool,
    pub(super) paired: bool,
    pub(super) trusted: bool,
    pub(super) blocked: bool,
    /// Who waits for the link.
    pub(super) connecting: Option<Message>,
    /// How long it is looked for.
    pub(super) looks_until: Instant,
    /// Who waits for the keys.
    pub(super) pairing: Option<Message>,
    pub(super) gatt: Gatt,
    pub(super) battery: Option<u8>,
}

impl Known {
    pub(super) fn new(mac: Mac, random: bool, peer: Option<usize>, now: Instant) -> Self {
        Self {
            mac,
            random,
            peer,
            seen: now,
            temporary: true,
            connectable: false,
            name: None,
            alias: None,
            uuids: BTreeSet::new(),
            rssi: None,
            service_data: BTreeMap::new(),
            manufacturer: BTreeMap::new(),
            connected: false,
            resolved: false,
            paired: false,
            trusted: false,
            blocked: false,
            connecting: None,
            looks_until: now,
            pairing: None,
            gatt: Gatt::default(),
            battery: None,
        }
    }

    /// As it is read from disk.
    pub(super) fn bonded(number: usize, peer: &Peer, now: Instant) -> Self {
        let (mac, random) = (peer.device.mac(), peer.device.is_random());
        Self {
            temporary: false,
            connectable: true,
            paired: true,
            ..Self::new(mac, random, Some(number), now)
        }
    }

    pub(super) fn interfaces(&self) -> Interfaces {
        let mut all = BTreeMap::from([(DEVICE1.to_owned(), self.props())]);
        if let Some(percent) = self.battery {
            all.insert(BATTERY1.to_owned(), props([("Percentage", percent.into())]));
        }
        all
    }

    fn props(&self) -> Props {
        let mac = self.mac.to_string();
        let alias = self.alias.clone().or_else(|| self.name.clone()).unwrap_or_else(|| self.mac.parted('-'));
        let mut all = props([
            ("Address", text(&mac)),
            ("AddressType", text(if self.random { "random" } else { "public" })),
            ("Alias", text(&alias)),
            ("Paired", self.paired.into()),
            ("Bonded", self.paired.into()),
            ("Trusted", self.trusted.into()),
            ("Blocked", self.blocked.into()),
            ("LegacyPairing", false.into()),
            ("CablePairing", false.into()),
            ("Connected", self.connected.into()),
            ("ServicesResolved", self.resolved.into()),
            ("UUIDs", texts(&self.uuids)),
            ("Adapter", path(ADAPTER)),
        ]);
        all.extend(self.name.as_ref().map(|name| ("Name".to_owned(), text(name))));
        all.extend(self.rssi.map(|rssi| ("RSSI".to_owned(), rssi.into())));
        if !self.service_data.is_empty() {
            all.insert("ServiceData".to_owned(), self.service_data());
        }
        if !self.manufacturer.is_empty() {
            all.insert("ManufacturerData".to_owned(), self.manufacturer());
        }
        all
    }

    fn service_data(&self) -> zbus::OwnedVariant {
        let all = self.service_data.iter().map(|(uuid, data)| (uuid.to_string(), bytes(data)));
        owned(all.collect::<BTreeMap<_, _>>())
    }

    fn manufacturer(&self) -> zbus::OwnedVariant {
        let all = self.manufacturer.iter().map(|(company, data)| (*company, bytes(data)));
        owned(all.collect::<BTreeMap<_, _>>())
    }

    /// Takes over what was heard, and says what has changed.
    ///
    /// Data stays until other data of the same service or company comes: clients see all of it, whatever of it was heard last.
    pub(super) fn hear(&mut self, advert: Advert, rssi: i16, hearing: &Hearing) -> Props {
        let mut changed = Props::new();
        self.connectable |= advert.connectable;
        if self.rssi.is_none_or(|old| old.abs_diff(rssi) >= hearing.rssi_step) {
            self.rssi = Some(rssi);
            changed.insert("RSSI".to_owned(), rssi.into());
        }
        if advert.name.is_some() && advert.name != self.name {
            self.name = advert.name;
            let all = self.props();
            let names = ["Name", "Alias"].into_iter();
            changed.extend(names.filter_map(|name| Some((name.to_owned(), all.get(name)?.clone()))));
        }
        let said: BTreeSet<Uuid> = advert.uuids.iter().chain(advert.service_data.keys()).copied().collect();
        if !said.is_subset(&self.uuids) {
            self.uuids.extend(said);
            changed.insert("UUIDs".to_owned(), texts(&self.uuids));
        }
        if merge(&mut self.service_data, advert.service_data, hearing.duplicates) {
            changed.insert("ServiceData".to_owned(), self.service_data());
        }
        if merge(&mut self.manufacturer, advert.manufacturer, hearing.duplicates) {
            changed.insert("ManufacturerData".to_owned(), self.manufacturer());
        }
        changed
    }
}

/// Whether there is something to be told.
fn merge<K: Ord>(all: &mut BTreeMap<K, Vec<u8>>, new: BTreeMap<K, Vec<u8>>, duplicates: bool) -> bool {
    let mut told = false;
    for (key, data) in new {
        told |= duplicates || all.get(&key) != Some(&data);
        all.insert(key, data);
    }
    told
}

/// What clients want to hear.
pub(super) struct Hearing {
    /// The same data again is told again.
    pub(super) duplicates: bool,
    /// How much the strength has to change, in dB.
    pub(super) rssi_step: u16,
}

impl Bluez {
    /// A device is gone for its clients.
    pub(super) fn forget(&mut self, device: &str) {
        let Some(known) = self.known.remove(device) else { return };
        for (path, interfaces) in known.attributes(device) {
            let interfaces = interfaces.into_keys().collect();
            self.signal(Signal::Removed { path, interfaces });
        }
        let interfaces = known.interfaces().into_keys().collect();
        self.signal(Signal::Removed { path: device.to_owned(), interfaces });
    }

    /// Devices that were heard once and not again are forgotten.
    pub(super) fn forget_temporary(&mut self) {
        let now = self.now;
        let is_old = |known: &Known| now.saturating_duration_since(known.seen) > TEMPORARY;
        self.forget_if(|known| known.temporary && !known.connected && is_old(known));
    }

    pub(super) fn forget_if(&mut self, gone: impl Fn(&Known) -> bool) {
        let paths: Vec<String> =
            self.known.iter().filter(|(_, known)| gone(known)).map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.forget(path));
    }

    /// Says that properties of a device have changed.
    pub(super) fn device_changed<const N: usize>(&mut self, device: &str, names: [&str; N]) {
        let Some(known) = self.known.get(device) else { return };
        let all = known.props();
        let props =
            names.into_iter().filter_map(|name| Some((name.to_owned(), all.get(name)?.clone()))).collect();
        self.signal(Signal::Changed { path: device.to_owned(), interface: DEVICE1, props, gone: Vec::new() });
    }
}
