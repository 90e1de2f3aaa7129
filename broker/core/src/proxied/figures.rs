//! Statistics in the data model: `Device.X_USPBROKER_Bus.{i}.` and `ProxiedDevice.{i}.X_USPBROKER_Stats.`
//!
//! Whoever owns the adapters hands their counters in from time to time; nothing here is kept on disk but the rows of buses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use usp_mapping::mapping::Site;
use usp_mapping::port::DeviceId;

use super::millis;
use crate::Broker;
use crate::dm::Model;
use crate::dm::rows::ObjRef;

/// Its path.
pub(crate) const BUSES: &str = "Device.X_USPBROKER_Bus.";
/// The object of one of them.
pub(crate) const BUS: &str = "Device.X_USPBROKER_Bus.{i}.";
/// The object of a device.
pub(crate) const STATS: &str = "Device.ProxiedDevice.{i}.X_USPBROKER_Stats.";

/// The counters of one bus since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusFigures {
    /// Its name in the site file.
    pub name: Arc<str>,
    /// Whether there is a connection, or an open port.
    pub online: bool,
    /// Why there is none; empty while there is one.
    pub last_error: Arc<str>,
    /// Share of the time in which an exchange was under way, in percent.
    pub utilisation: u8,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Times that its worker was restarted after an internal error.
    pub restarts: u64,
    /// Calls without a reply so far.
    pub waiting: usize,
    /// Exchanges of all its devices.
    pub traffic: Traffic,
    /// Of a radio network; `None`: it is none, or its coordinator is not there, so that what was known before stays.
    pub network: Option<NetworkFacts>,
    /// What hangs on it.
    pub devices: Vec<DeviceFigures>,
}

/// What is known of a radio network and its coordinator. No key is among it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Of the coordinator.
    pub firmware: String,
    /// 11 to 26.
    pub channel: u8,
    /// As people write it: `0x1a62`.
    pub pan_id: String,
    /// The same, with 16 digits.
    pub ext_pan_id: String,
    /// How many devices are in it.
    pub devices: usize,
    /// Whether devices may join.
    pub is_open: bool,
}

/// The counters of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFigures {
    /// Which.
    pub device: DeviceId,
    /// Its exchanges.
    pub traffic: Traffic,
    /// Calls that wait for it.
    pub waiting: usize,
    /// How long its fastest poll group took, from when it was due until all of it was read.
    pub cycle: Option<Duration>,
    /// The longest of these.
    pub longest_cycle: Option<Duration>,
    /// Of the last hop of the last message over the air, as the radio rates it: 0 to 255, more is better.
    pub link_quality: Option<u8>,
    /// How strong that was, in dBm.
    pub signal_strength: Option<i8>,
}

/// What became of requests on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Exchanges begun.
    pub requests: u64,
    /// Exchanges answered with a refusal of the protocol.
    pub refusals: u64,
    /// Exchanges without an answer in time.
    pub timeouts: u64,
    /// Exchanges whose answer could not be understood.
    pub garbled: u64,
    /// Exchanges that came to nothing for another reason.
    pub failures: u64,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Figures {
    buses: BTreeMap<u32, Bus>,
    /// Their numbers by name.
    numbers: BTreeMap<String, u32>,
    devices: BTreeMap<DeviceId, DeviceFigures>,
}

/// A bus of the site; its figures come later.
#[derive(Debug)]
struct Bus {
    name: String,
    protocol: &'static str,
    address: String,
    figures: Option<BusFigures>,
}

/// Whether a bus with this protocol is a radio network, which devices join and leave.
pub(super) fn is_network(protocol: &str) -> bool {
    protocol == "zigbee"
}

impl Traffic {
    fn param(&self, name: &str) -> Option<u64> {
        Some(match name {
            "Requests" => self.requests,
            "Refusals" => self.refusals,
            "Timeouts" => self.timeouts,
            "Garbled" => self.garbled,
            "Failures" => self.failures,
            _ => return None,
        })
    }
}

impl NetworkFacts {
    /// Its Parameters, which no other bus has; they are told when they change.
    const PARAMS: [&str; 6] =
        ["Firmware", "Channel", "PANID", "ExtendedPANID", "JoinedDevices", "OpenToJoin"];

    fn param(&self, name: &str) -> Option<String> {
        Some(match name {
            "Firmware" => self.firmware.clone(),
            "Channel" => self.channel.to_string(),
            "PANID" => self.pan_id.clone(),
            "ExtendedPANID" => self.ext_pan_id.clone(),
            "JoinedDevices" => self.devices.to_string(),
            "OpenToJoin" => self.is_open.to_string(),
            _ => return None,
        })
    }
}

impl BusFigures {
    /// Which Parameters that are told are others than before.
    fn changed(&self, now: &Self) -> Vec<&'static str> {
        let shown = |of: &Self, name| of.network.as_ref().and_then(|network| network.param(name));
        let own = [("Online", self.online != now.online), ("LastError", self.last_error != now.last_error)];
        let network = NetworkFacts::PARAMS.map(|name| (name, shown(self, name) != shown(now, name)));
        own.into_iter().chain(network).filter_map(|(name, is_other)| is_other.then_some(name)).collect()
    }
}

impl Figures {
    /// Whether the row of a bus has a Parameter: what is said of a radio network, no other bus has. A channel it has once its
    /// coordinator was there.
    pub(crate) fn has(&self, number: u32, name: &str) -> bool {
        let is_network = self.described(number).is_some_and(|(_, protocol)| is_network(protocol));
        match name {
            "Channel" => is_network && self.network(number).is_some(),
            _ => is_network || !NetworkFacts::PARAMS.contains(&name),
        }
    }

    fn network(&self, number: u32) -> Option<&NetworkFacts> {
        self.buses.get(&number)?.figures.as_ref()?.network.as_ref()
    }

    /// The name and protocol of the bus in this row.
    pub(crate) fn described(&self, number: u32) -> Option<(&str, &'static str)> {
        self.buses.get(&number).map(|bus| (bus.name.as_str(), bus.protocol))
    }

    /// The row of a bus.
    pub(crate) fn number_of(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// How well a device was heard.
    pub(crate) fn signal(&self, id: &DeviceId, name: &str) -> Option<String> {
        self.device(id, name)
    }

    fn bus(&self, number: u32, name: &str) -> Option<String> {
        let bus = self.buses.get(&number)?;
        match name {
            "Name" => return Some(bus.name.clone()),
            "Protocol" => return Some(bus.protocol.to_owned()),
            "Address" => return Some(bus.address.clone()),
            _ => {}
        }
        let figures = bus.figures.as_ref()?;
        Some(match name {
            "Online" => figures.online.to_string(),
            "LastError" => figures.last_error.to_string(),
            "Utilisation" => figures.utilisation.to_string(),
            "Connects" => figures.connects.to_string(),
            "FailedConnects" => figures.failed_connects.to_string(),
            "Restarts" => figures.restarts.to_string(),
            "Waiting" => figures.waiting.to_string(),
            _ => match figures.traffic.param(name) {
                Some(count) => count.to_string(),
                None => figures.network.as_ref()?.param(name)?,
            },
        })
    }

    fn number(&mut self) {
        let numbers = self.buses.iter().map(|(number, bus)| (bus.name.clone(), *number));
        self.numbers = numbers.collect();
    }

    /// Forgets devices of which nothing is told any more, at the latest the next time.
    fn forget_devices(&mut self, all: &[BusFigures]) {
        if self.devices.len() != all.iter().map(|bus| bus.devices.len()).sum() {
            self.devices.clear();
        }
    }

    /// While its coordinator is not there a network is what it was when it was last heard of, and closed.
    fn keep_network(&self, number: Option<u32>, figures: &mut BusFigures) {
        let known = number.and_then(|number| self.network(number));
        if let (None, Some(network)) = (&figures.network, known) {
            figures.network = Some(NetworkFacts { is_open: false, ..network.clone() });
        }
    }

    /// There may be very many, and they are nearly always the same ones.
    fn put(&mut self, figures: DeviceFigures) {
        match self.devices.get_mut(&figures.device) {
            Some(known) => *known = figures,
            None => drop(self.devices.insert(figures.device.clone(), figures)),
        }
    }

    fn device(&self, id: &DeviceId, name: &str) -> Option<String> {
        let figures = self.devices.get(id)?;
        match name {
            "Waiting" => Some(figures.waiting.to_string()),
            "CycleTime" => figures.cycle.map(millis),
            "LongestCycleTime" => figures.longest_cycle.map(millis),
            "X_USPBROKER_LinkQuality" => figures.link_quality.map(|quality| quality.to_string()),
            "X_USPBROKER_SignalStrength" => figures.signal_strength.map(|strength| strength.to_string()),
            _ => figures.traffic.param(name).map(|count| count.to_string()),
        }
    }
}

impl Model {
    /// A Parameter of a bus' row, or of a device's statistics. Before the first figures counters read 0.
    pub(crate) fn figure(&self, at: &ObjRef, object: &str, name: &str) -> Option<String> {
        match object {
            BUS => self.figures.bus(at.number(), name),
            STATS => self.figures.device(&self.devices.get(at.number())?.id, name),
            _ => None,
        }
    }
}

impl Broker {
    /// Rows for the buses of the site.
    pub(super) fn put_buses(&mut self, site: &Site) {
        let Some(table) = self.model.table(BUSES) else { return };
        let mut kept = BTreeSet::new();
        for bus in &site.buses {
            let number = self.identity(BUSES, &bus.name, table, &[]);
            kept.insert(number);
            let (protocol, address) = bus.kind.described();
            let known = self.model.figures.buses.remove(&number);
            let was = known.as_ref().map(|known| (known.protocol, known.address.clone()));
            let same = known.filter(|k| k.address == address && k.protocol == protocol);
            let figures = same.and_then(|known| known.figures);
            let bus = Bus { name: bus.name.clone(), protocol, address, figures };
            self.model.figures.buses.insert(number, bus);
            let row = ObjRef::new(table, &[number]);
            self.put_bare_row(&row);
            self.tell_moved(&row, was);
        }
        self.model.figures.buses.retain(|number, _| kept.contains(number));
        self.model.figures.number();
        let rows = self.model.rows.subtree(&[table], &[]).into_iter();
        for row in rows.filter(|row| !kept.contains(&row.number())).collect::<Vec<_>>() {
            self.park(&row);
            self.remove_row(&row);
        }
    }

    /// A bus may be elsewhere now.
    fn tell_moved(&mut self, row: &ObjRef, was: Option<(&'static str, String)>) {
        let now = self.model.figures.buses.get(&row.number()).map(|bus| (bus.protocol, bus.address.clone()));
        let Some(((protocol, address), now)) = was.zip(now) else { return };
        if protocol != now.0 {
            self.emit_change(row, "Protocol");
        }
        if address != now.1 {
            self.emit_change(row, "Address");
        }
    }

    /// The counters as they are now. Only whether a bus is online, why not, and what network it is, is told: the others change
    /// all the time.
    pub(crate) fn take_figures(&mut self, all: Vec<BusFigures>) {
        let Some(table) = self.model.table(BUSES) else { return };
        self.model.figures.forget_devices(&all);
        for mut figures in all {
            let number = self.model.figures.numbers.get(&*figures.name).copied();
            self.model.figures.keep_network(number, &mut figures);
            std::mem::take(&mut figures.devices)
                .into_iter()
                .for_each(|device| self.model.figures.put(device));
            let known = number.and_then(|n| Some((n, self.model.figures.buses.get_mut(&n)?)));
            let Some((number, bus)) = known else { continue };
            let at = ObjRef::new(table, &[number]);
            let before = bus.figures.replace(figures);
            // What is heard first is no change.
            let Some((before, figures)) = before.zip(bus.figures.as_ref()) else { continue };
            for name in before.changed(figures) {
                self.emit_change(&at, name);
            }
        }
    }
}
