//! The adapter: power, and discovery for each client that wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zbus::OwnedVariant;

use super::call::Call;
use super::known::{Hearing, Known};
use super::object::{ADAPTER1, props, text, texts};
use super::said::{Body, Props, Refusal, Signal};
use super::{ADAPTER, Bluez, path_of};
use crate::ble::device::{Advert, Mac};
use crate::ble::uuid::Uuid;
use crate::mischief::BleFault;

/// By how many dB a signal has to change to be told, when no client has a filter (`RSSI_THRESHOLD`).
const RSSI_THRESHOLD: u16 = 8;

/// The most strangers that are remembered: the oldest makes room for the newest.
const MOST_STRANGERS: usize = 1_000;

/// What a client wants to hear.
#[derive(Clone, Default)]
struct Filter {
    uuids: BTreeSet<Uuid>,
    pattern: Option<String>,
    duplicates: bool,
}

impl Filter {
    fn wants(&self, mac: Mac, advert: &Advert) -> bool {
        let said = advert.uuids.iter().chain(advert.service_data.keys());
        let name = advert.name.as_deref().unwrap_or_default();
        (self.uuids.is_empty() || said.into_iter().any(|uuid| self.uuids.contains(uuid)))
            && self
                .pattern
                .as_ref()
                .is_none_or(|start| mac.to_string().starts_with(start) || name.starts_with(start))
    }
}

/// The one adapter.
pub(super) struct Adapter {
    pub(super) there: bool,
    pub(super) powered: bool,
    /// It lost its power to a fault, and gets it back with its end (`AutoEnable` of main.conf).
    cut_off: bool,
    alias: Option<String>,
    /// Filters by client; `None`: it has set none.
    discovering: BTreeMap<String, Option<Filter>>,
    /// Filters of clients that do not discover yet.
    prepared: BTreeMap<String, Filter>,
}

impl Default for Adapter {
    fn default() -> Self {
        Self {
            there: true,
            powered: true,
            cut_off: false,
            alias: None,
            discovering: BTreeMap::new(),
            prepared: BTreeMap::new(),
        }
    }
}

impl Adapter {
    pub(super) fn props(&self) -> Props {
        props([
            ("Address", text("00:1A:7D:DA:71:13")),
            ("AddressType", text("public")),
            ("Name", text("simulated")),
            ("Alias", text(self.alias.as_deref().unwrap_or("simulated"))),
            ("Class", 0_u32.into()),
            ("Connectable", true.into()),
            ("Powered", self.powered.into()),
            ("PowerState", text(if self.powered { "on" } else { "off" })),
            ("Discoverable", false.into()),
            ("DiscoverableTimeout", 180_u32.into()),
            ("Pairable", true.into()),
            ("PairableTimeout", 0_u32.into()),
            ("Discovering", self.is_discovering().into()),
            ("UUIDs", texts([Uuid::short(0x1800), Uuid::short(0x1801)])),
            ("Modalias", text("usb:v1D6Bp0246d0542")),
            ("Roles", texts(["central", "peripheral"])),
        ])
    }

    fn is_discovering(&self) -> bool {
        !self.discovering.is_empty()
    }

    fn hearing(&self) -> Hearing {
        let filters: Vec<&Filter> = self.discovering.values().flatten().collect();
        Hearing {
            duplicates: filters.iter().any(|filter| filter.duplicates),
            rssi_step: if filters.is_empty() { RSSI_THRESHOLD } else { 0 },
        }
    }

    fn wants(&self, mac: Mac, advert: &Advert) -> bool {
        self.discovering.values().any(|filter| filter.as_ref().is_none_or(|it| it.wants(mac, advert)))
    }
}

fn filter(options: &BTreeMap<String, OwnedVariant>) -> Result<Option<Filter>, Refusal> {
    if options.is_empty() {
        return Ok(None);
    }
    let mut filter = Filter::default();
    for (name, value) in options {
        let value = value.clone();
        match name.as_str() {
            "UUIDs" => {
                let all: Vec<String> = value.try_into().map_err(|_| Refusal::arguments())?;
                let all = all.iter().map(|text| Uuid::parse(text).ok_or_else(Refusal::arguments));
                filter.uuids = all.collect::<Result<_, _>>()?;
            }
            "Pattern" => filter.pattern = Some(value.try_into().map_err(|_| Refusal::arguments())?),
            "DuplicateData" => filter.duplicates = value.try_into().map_err(|_| Refusal::arguments())?,
            "RSSI" | "Pathloss" | "Transport" | "Discoverable" | "AutoConnect" => {}
            _ => return Err(Refusal::arguments()),
        }
    }
    Ok(Some(filter))
}

impl Bluez {
    pub(super) fn adapter_call(&mut self, call: &Call) -> Result<Body, Refusal> {
        let client = call.client.as_str();
        match call.member.as_str() {
            "GetDiscoveryFilters" => {
                let all =
                    ["UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData", "Discoverable", "Pattern"];
                return Ok(Body::Texts(all.map(str::to_owned).to_vec()));
            }
            "StartDiscovery" | "StopDiscovery" | "SetDiscoveryFilter" | "RemoveDevice"
                if !self.adapter.powered =>
            {
                return Err(Refusal::not_ready());
            }
            "StartDiscovery" => {
                if self.adapter.discovering.contains_key(client) {
                    return Err(Refusal::in_progress());
                }
                let prepared = self.adapter.prepared.remove(client);
                self.discovery(|all| drop(all.insert(client.to_owned(), prepared)));
            }
            "StopDiscovery" => {
                if !self.adapter.discovering.contains_key(client) {
                    return Err(Refusal::failed("No discovery started"));
                }
                self.discovery(|all| drop(all.remove(client)));
            }
            "SetDiscoveryFilter" => {
                let wanted = filter(&call.arguments()?)?;
                match (self.adapter.discovering.get_mut(client), wanted) {
                    (Some(active), wanted) => *active = wanted,
                    (None, Some(wanted)) => drop(self.adapter.prepared.insert(client.to_owned(), wanted)),
                    (None, None) => drop(self.adapter.prepared.remove(client)),
                }
            }
            "RemoveDevice" => {
                let device: zbus::OwnedObjectPath = call.arguments()?;
                let device = device.as_str().to_owned();
                if !self.known.contains_key(&device) {
                    return Err(Refusal::does_not_exist());
                }
                self.break_link(&device);
                if let Some(peer) = self.peer(&device) {
                    peer.bonded = false;
                }
                self.forget(&device);
            }
            _ => return Err(Refusal::method(ADAPTER1, &call.member)),
        }
        Ok(Body::Nothing)
    }

    pub(super) fn set_adapter(&mut self, name: &str, value: OwnedVariant) -> Result<(), Refusal> {
        match name {
            "Powered" => {
                let on: bool = value.try_into().map_err(|_| Refusal::arguments())?;
                if on && self.faults.has(|fault| *fault == BleFault::AdapterOff) {
                    return Err(Refusal::new("org.bluez.Error.Blocked", "Blocked through rfkill"));
                }
                self.power(on);
            }
            "Alias" => {
                let alias: String = value.try_into().map_err(|_| Refusal::arguments())?;
                self.adapter.alias = Some(alias).filter(|alias| !alias.is_empty());
                self.adapter_changed(["Alias"]);
            }
            "Discoverable" | "Pairable" | "DiscoverableTimeout" | "PairableTimeout" | "Connectable" => {}
            _ => return Err(Refusal::property(name)),
        }
        Ok(())
    }

    fn adapter_changed<const N: usize>(&mut self, names: [&str; N]) {
        let all = self.adapter.props();
        let props =
            names.into_iter().filter_map(|name| Some((name.to_owned(), all.get(name)?.clone()))).collect();
        self.signal(Signal::Changed {
            path: ADAPTER.to_owned(),
            interface: ADAPTER1,
            props,
            gone: Vec::new(),
        });
    }

    fn power(&mut self, on: bool) {
        if self.adapter.powered == on {
            return;
        }
        if !on {
            self.discovery(BTreeMap::clear);
            let linked: Vec<String> = self.known.keys().cloned().collect();
            linked.iter().for_each(|device| self.break_link(device));
            self.forget_if(|known| known.temporary);
        }
        self.adapter.powered = on;
        self.adapter_changed(["Powered", "PowerState"]);
    }

    /// Changes who discovers; when nobody does any more, what was only heard is out of date.
    fn discovery(&mut self, change: impl FnOnce(&mut BTreeMap<String, Option<Filter>>)) {
        let before = self.adapter.is_discovering();
        change(&mut self.adapter.discovering);
        let after = self.adapter.is_discovering();
        if before == after {
            return;
        }
        if !after {
            self.forget_if(|known| known.temporary && !known.connectable && !known.connected);
            let heard = self.known.iter_mut().filter_map(|(path, known)| known.rssi.take().and(Some(path)));
            let heard: Vec<String> = heard.cloned().collect();
            for path in heard {
                let (props, gone) = (Props::new(), vec!["RSSI"]);
                self.signal(Signal::Changed { path, interface: super::object::DEVICE1, props, gone });
            }
        }
        self.adapter_changed(["Discovering"]);
    }

    pub(super) fn discovery_left(&mut self, client: &str) {
        self.adapter.prepared.remove(client);
        self.discovery(|all| drop(all.remove(client)));
    }

    /// What is wrong with the adapter takes effect, or ends.
    pub(super) fn adapter_faults(&mut self) {
        let off = self.faults.has(|fault| *fault == BleFault::AdapterOff);
        if off {
            self.power(false);
        } else if self.adapter.cut_off {
            self.power(true);
        }
        self.adapter.cut_off = off;
        let there = !self.faults.has(|fault| *fault == BleFault::AdapterGone);
        if there == self.adapter.there {
            return;
        }
        if there {
            // As plugged in again: BlueZ switches it on by itself.
            self.restart();
            let interfaces = BTreeMap::from([(ADAPTER1.to_owned(), self.adapter.props())]);
            self.signal(Signal::Added { path: ADAPTER.to_owned(), interfaces });
        } else {
            self.power(false);
            let all: Vec<String> = self.known.keys().cloned().collect();
            all.iter().for_each(|device| self.forget(device));
            self.adapter.there = false;
            self.signal(Signal::Removed { path: ADAPTER.to_owned(), interfaces: vec![ADAPTER1.to_owned()] });
        }
    }

    /// All that is due is said, and heard if anybody listens.
    pub(super) fn advertise(&mut self) {
        for number in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(number) else { continue };
            let Some(advert) = peer.advert(self.now) else { continue };
            let (mac, random, rssi) = (peer.device.mac(), peer.device.is_random(), peer.rssi());
            self.heard((mac, random), Some(number), advert, rssi);
        }
    }

    fn heard(&mut self, (mac, random): (Mac, bool), peer: Option<usize>, advert: Advert, rssi: i16) {
        let deaf = self.faults.has(|fault| *fault == BleFault::ScanSilent);
        if deaf || !self.adapter.there || !self.adapter.powered || !self.adapter.wants(mac, &advert) {
            return;
        }
        let (now, path, hearing) = (self.now, path_of(mac), self.adapter.hearing());
        if let Some(known) = self.known.get_mut(&path) {
            known.seen = now;
            let props = known.hear(advert, rssi, &hearing);
            if !props.is_empty() {
                let (interface, gone) = (super::object::DEVICE1, Vec::new());
                self.signal(Signal::Changed { path, interface, props, gone });
            }
            return;
        }
        let mut known = Known::new(mac, random, peer, now);
        known.hear(advert, rssi, &hearing);
        let interfaces = known.interfaces();
        self.known.insert(path.clone(), known);
        self.signal(Signal::Added { path, interfaces });
    }

    /// Strangers, each of whom says something once.
    pub(super) fn flood(&mut self, time: Duration) {
        let count = |fault: &BleFault| matches!(fault, BleFault::AdvertFlood(_));
        let flood =
            self.faults.active().iter().find(|order| count(&order.fault)).map(|order| order.fault.clone());
        let Some(BleFault::AdvertFlood(rate)) = flood else { return };
        self.strangers.due += f64::from(rate) * time.as_secs_f64().min(1.0);
        while self.strangers.due >= 1.0 {
            self.strangers.due -= 1.0;
            if self.strangers.known.len() >= MOST_STRANGERS
                && let Some(oldest) = self.strangers.known.pop_front()
            {
                self.forget(&oldest);
            }
            let bits = self.strangers.rng.next_u64().to_be_bytes();
            let [_, _, first, rest @ ..] = bits;
            let mut mac = [0; 6];
            mac[0] = first | 0xc0;
            mac[1..].copy_from_slice(&rest);
            let data = vec![0x02, 0x15, bits[2], bits[3], bits[4]];
            let manufacturer = BTreeMap::from([(0x004c, data)]);
            let advert = Advert { manufacturer, connectable: false, ..Advert::default() };
            self.strangers.known.push_back(path_of(Mac(mac)));
            self.heard((Mac(mac), true), None, advert, -85);
        }
    }
}
