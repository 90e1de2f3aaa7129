//! What can be counted about a bus, cheaply.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use usp_mapping::port::DeviceId;

/// A bus since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusStatistics {
    /// Its name in the site file.
    pub bus: String,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Times that the worker was restarted after an internal error.
    pub restarts: u64,
    /// Calls without a reply so far.
    pub waiting: usize,
    /// What hangs on it, by name.
    pub devices: Vec<DeviceStatistics>,
}

/// A device since it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Its name in the site file.
    pub device: DeviceId,
    /// Whether its last exchange was answered; false before the first.
    pub online: bool,
    /// Exchanges begun.
    pub requests: u64,
    /// Exchanges answered with a refusal of the protocol.
    pub refusals: u64,
    /// Exchanges that ended in a time-out.
    pub timeouts: u64,
    /// Exchanges that ended without a usable answer for any other reason.
    pub failures: u64,
    /// Calls in its queue.
    pub waiting: usize,
}

/// The live counters of a device.
#[derive(Debug, Default)]
pub(crate) struct DeviceCounters {
    pub(crate) online: AtomicBool,
    pub(crate) requests: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) waiting: AtomicUsize,
}

/// The live counters of a bus.
#[derive(Debug, Default)]
pub(crate) struct BusCounters {
    pub(crate) connected: AtomicBool,
    pub(crate) connects: AtomicU64,
    pub(crate) failed_connects: AtomicU64,
    pub(crate) restarts: AtomicU64,
    devices: Mutex<BTreeMap<DeviceId, Arc<DeviceCounters>>>,
}

/// One more.
#[cfg(any(feature = "modbus", test))]
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl BusCounters {
    /// New counters for a device, in place of those it may have had.
    #[cfg(any(feature = "modbus", test))]
    pub(crate) fn device(&self, id: &DeviceId) -> Arc<DeviceCounters> {
        let counters = Arc::<DeviceCounters>::default();
        self.devices().insert(id.clone(), Arc::clone(&counters));
        counters
    }

    /// Forgets a device.
    #[cfg(any(feature = "modbus", test))]
    pub(crate) fn forget(&self, id: &DeviceId) {
        self.devices().remove(id);
    }

    /// Everything as it is now.
    pub(crate) fn read(&self, bus: &str, waiting: usize) -> BusStatistics {
        BusStatistics {
            bus: bus.to_owned(),
            connected: self.connected.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
            failed_connects: self.failed_connects.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            waiting,
            devices: self.devices().iter().map(|(id, counters)| counters.read(id)).collect(),
        }
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeviceId, Arc<DeviceCounters>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceCounters {
    fn read(&self, id: &DeviceId) -> DeviceStatistics {
        DeviceStatistics {
            device: id.clone(),
            online: self.online.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}
