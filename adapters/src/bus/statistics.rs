//! What can be counted about a bus, cheaply.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(any(feature = "bus", test))]
use usp_mapping::mapping::Mapping;
use usp_mapping::port::DeviceId;

use crate::bus::utilisation::Utilisation;

/// A bus since the process started.
#[derive(Clone, Debug, PartialEq)]
pub struct BusStatistics {
    /// Its name in the site file.
    pub bus: Arc<str>,
    /// Its protocol: `modbus-tcp`, `modbus-rtu-tcp`, `modbus-rtu`, `mqtt`, `coap`, `line`, `line-tcp`, `ble` or `zigbee`.
    pub protocol: &'static str,
    /// Host and port, or the serial port.
    pub address: Arc<str>,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Why there is none; empty while there is one, and before the first attempt.
    pub last_error: Arc<str>,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Times that the worker was restarted after an internal error.
    pub restarts: u64,
    /// What devices said unasked and was dropped for something newer, because they said too much or the core too little.
    pub lost: u64,
    /// Calls without a reply so far.
    pub waiting: usize,
    /// Share of the time in which an exchange was under way, in percent, over ten seconds. 0 where many
    /// may be under way at once.
    pub utilisation: f64,
    /// The exchanges of all its devices, those of devices that are gone included.
    pub exchanges: Exchanges,
    /// Of a radio network; `None`: it is none, or its coordinator is not there.
    pub network: Option<NetworkStatistics>,
    /// What hangs on it, by name.
    pub devices: Vec<DeviceStatistics>,
}

/// What is known of a radio network and its coordinator. No key is among it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkStatistics {
    /// Of the coordinator, in its own words.
    pub firmware: String,
    /// 11 to 26.
    pub channel: u8,
    /// The 16 bits by which networks tell each other apart.
    pub pan_id: u16,
    /// The 64 bits for the same.
    pub ext_pan_id: u64,
    /// How many devices are in it.
    pub devices: usize,
    /// Whether devices may join.
    pub is_open: bool,
}

/// How well a device was heard the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// As the radio rates the last hop: 0 to 255, more is better.
    pub quality: Option<u8>,
    /// Strength of the last hop, in dBm.
    pub strength: Option<i8>,
}

/// A device since it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Its name in the site file.
    pub device: DeviceId,
    /// Whether its last exchange was answered; false before the first.
    pub online: bool,
    /// Its exchanges.
    pub exchanges: Exchanges,
    /// Calls in its queue.
    pub waiting: usize,
    /// How well it was heard over the air; nothing where it is not heard so.
    pub signal: Signal,
    /// Its poll groups, the fastest first.
    pub cycles: Vec<CycleStatistics>,
}

/// What became of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchanges {
    /// Exchanges begun.
    pub requests: u64,
    /// Exchanges answered with a refusal of the protocol (Modbus: an exception).
    pub refusals: u64,
    /// Exchanges that ended in a time-out.
    pub timeouts: u64,
    /// Exchanges whose answer could not be understood; of a bus also what came unasked and could not be, such as damaged frames.
    pub garbled: u64,
    /// Exchanges that ended without a usable answer for any other reason, and attempts in vain to make the connection that
    /// an exchange needs, of each device that hangs on it.
    pub failures: u64,
}

/// A poll group of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStatistics {
    /// As the mapping calls it; its period where it has no name.
    pub group: Arc<str>,
    /// How often it is to be read.
    pub every: Duration,
    /// From when it was due until all of it was read, the last time; `None`: it never was.
    pub last: Option<Duration>,
    /// The longest of these.
    pub max: Option<Duration>,
    /// How often it was read.
    pub rounds: u64,
}

/// The live numbers behind [`Exchanges`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) garbled: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Tally {
    fn read(&self) -> Exchanges {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Exchanges {
            requests: of(&self.requests),
            refusals: of(&self.refusals),
            timeouts: of(&self.timeouts),
            garbled: of(&self.garbled),
            failures: of(&self.failures),
        }
    }
}

/// What is said of a bus again and again.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) name: Arc<str>,
    pub(crate) protocol: &'static str,
    pub(crate) address: Arc<str>,
}

/// The live counters of a device.
#[derive(Debug, Default)]
pub(crate) struct DeviceCounters {
    pub(crate) online: AtomicBool,
    pub(crate) waiting: AtomicUsize,
    signal: Mutex<Signal>,
    own: Tally,
    #[cfg(any(feature = "bus", test))]
    bus: Arc<Tally>,
    cycles: Mutex<Vec<CycleStatistics>>,
}

/// Whether there is a connection, and why there is none.
#[derive(Debug, Default)]
struct Link {
    up: bool,
    why: Arc<str>,
}

/// The live counters of a bus.
#[derive(Debug, Default)]
pub(crate) struct BusCounters {
    link: Mutex<Link>,
    pub(crate) connects: AtomicU64,
    pub(crate) failed_connects: AtomicU64,
    pub(crate) restarts: AtomicU64,
    /// What was said unasked and was dropped; mailboxes count here too.
    pub(crate) lost: Arc<AtomicU64>,
    tally: Arc<Tally>,
    utilisation: Mutex<Utilisation>,
    network: Mutex<Option<NetworkStatistics>>,
    devices: Mutex<BTreeMap<DeviceId, Arc<DeviceCounters>>>,
}

/// One more.
#[cfg(any(feature = "bus", test))]
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl BusCounters {
    /// New counters for a device, in place of those it may have had.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn device(&self, id: &DeviceId, mapping: &Mapping) -> Arc<DeviceCounters> {
        let counters = DeviceCounters {
            bus: Arc::clone(&self.tally),
            cycles: Mutex::new(cycles(mapping)),
            ..DeviceCounters::default()
        };
        let counters = Arc::new(counters);
        locked(&self.devices).insert(id.clone(), Arc::clone(&counters));
        counters
    }

    /// Forgets a device.
    pub(crate) fn forget(&self, id: &DeviceId) {
        locked(&self.devices).remove(id);
    }

    /// An exchange took this time.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn busy(&self, from: Instant, to: Instant) {
        locked(&self.utilisation).add(from, to);
    }

    /// There is a connection now.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn up(&self) {
        *locked(&self.link) = Link { up: true, why: Arc::default() };
    }

    /// There is none, and why.
    pub(crate) fn down(&self, why: &str) {
        *locked(&self.link) = Link { up: false, why: why.into() };
    }

    /// There is none because nobody wants one.
    #[cfg(feature = "links")]
    pub(crate) fn ended(&self) {
        self.down("");
    }

    /// One of many connections could not be made: that is the bus' matter where there is no other.
    #[cfg(feature = "coap")]
    pub(crate) fn not_made(&self, why: &str) {
        let mut link = locked(&self.link);
        if !link.up {
            link.why = why.into();
        }
    }

    fn link(&self) -> (bool, Arc<str>) {
        let link = locked(&self.link);
        (link.up, Arc::clone(&link.why))
    }

    /// Something was said unasked that cannot be understood. Where one device is alone it was that one.
    #[cfg(feature = "line")]
    pub(crate) fn garbled(&self) {
        let devices = locked(&self.devices);
        match (devices.values().next(), devices.len()) {
            (Some(device), 1) => device.count(|tally| &tally.garbled),
            _ => count(&self.tally.garbled),
        }
    }

    /// So many frames of a coordinator could not be understood, and so many messages were dropped.
    #[cfg(feature = "zigbee")]
    pub(crate) fn damaged(&self, garbled: u64, dropped: u64) {
        self.tally.garbled.fetch_add(garbled, Ordering::Relaxed);
        self.lost.fetch_add(dropped, Ordering::Relaxed);
    }

    /// A device was heard so well over the air.
    #[cfg(any(feature = "ble", feature = "zigbee"))]
    pub(crate) fn signal(&self, id: &DeviceId, signal: Signal) {
        if let Some(device) = locked(&self.devices).get(id) {
            *locked(&device.signal) = signal;
        }
    }

    /// What is known of the radio network; `None`: its coordinator is not there.
    #[cfg(feature = "zigbee")]
    pub(crate) fn network(&self, network: Option<NetworkStatistics>) {
        *locked(&self.network) = network;
    }

    /// What is known of the radio network now.
    #[cfg(feature = "zigbee")]
    pub(crate) fn network_now(&self) -> Option<NetworkStatistics> {
        locked(&self.network).clone()
    }

    /// Everything as it is now, for one of the buses that share a line.
    pub(crate) fn read(
        &self,
        now: Instant,
        waiting: usize,
        bus: &Described,
        of: impl Fn(&DeviceId) -> bool,
    ) -> BusStatistics {
        let devices = locked(&self.devices);
        let devices = devices.iter().filter(|(id, _)| of(id));
        let (connected, last_error) = self.link();
        BusStatistics {
            bus: Arc::clone(&bus.name),
            protocol: bus.protocol,
            address: Arc::clone(&bus.address),
            connected,
            last_error,
            connects: self.connects.load(Ordering::Relaxed),
            failed_connects: self.failed_connects.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            waiting,
            utilisation: locked(&self.utilisation).percent(now),
            exchanges: self.tally.read(),
            network: locked(&self.network).clone(),
            devices: devices.map(|(id, counters)| counters.read(id)).collect(),
        }
    }
}

impl DeviceCounters {
    /// One more.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn count(&self, which: impl Fn(&Tally) -> &AtomicU64) {
        count(which(&self.own));
        count(which(&self.bus));
    }

    /// Poll groups with these periods were read in this time.
    #[cfg(any(feature = "bus", test))]
    pub(crate) fn cycle(&self, groups: &[Duration], time: Duration) {
        for cycle in locked(&self.cycles).iter_mut().filter(|cycle| groups.contains(&cycle.every)) {
            cycle.last = Some(time);
            cycle.max = cycle.max.max(Some(time));
            cycle.rounds += 1;
        }
    }

    fn read(&self, id: &DeviceId) -> DeviceStatistics {
        DeviceStatistics {
            device: id.clone(),
            online: self.online.load(Ordering::Relaxed),
            exchanges: self.own.read(),
            waiting: self.waiting.load(Ordering::Relaxed),
            signal: *locked(&self.signal),
            cycles: locked(&self.cycles).clone(),
        }
    }
}

/// One for each period that something is polled with.
#[cfg(any(feature = "bus", test))]
fn cycles(mapping: &Mapping) -> Vec<CycleStatistics> {
    let periods = mapping.points().filter_map(|point| point.read.and_then(|read| read.poll.every()));
    let periods: std::collections::BTreeSet<_> = periods.collect();
    let name = |every: &Duration| {
        let group = mapping.poll_groups.iter().find(|group| group.every == *every);
        group.map_or_else(|| format!("{every:?}").into(), |group| group.name.as_str().into())
    };
    let cycle = |every| CycleStatistics { group: name(&every), every, last: None, max: None, rounds: 0 };
    periods.into_iter().map(cycle).collect()
}

/// A counter is whole after each operation: a panic elsewhere says nothing about it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
