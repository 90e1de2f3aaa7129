//! What a line and the devices on it share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot, watch};
use usp_mapping::line::Broken;
use usp_mapping::mapping::{Device, Mapping};
use usp_mapping::port::{DeviceFault, DeviceId};

use crate::bus::Outcome;
use crate::bus::ear::LinkState;
use crate::bus::mailbox::{Letter, Mailbox};
use crate::bus::statistics::BusCounters;

use super::conversation::{Answer, Ask};
use super::model::hears;
use super::useless::Useless;

/// Requests that wait for the line: each device has one at a time.
const ORDERS: usize = 64;

/// A frame that was said unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) frame: Arc<[u8]>,
    /// What it is about, as far as its first letters tell.
    subject: String,
}

impl Spoken {
    pub(crate) fn new(frame: &[u8]) -> Self {
        let head = frame.trim_ascii().iter().take(16).take_while(|byte| !byte.is_ascii_digit());
        Self { frame: frame.into(), subject: head.map(|byte| char::from(*byte)).collect() }
    }
}

impl Letter for Spoken {
    fn subject(&self) -> &str {
        &self.subject
    }

    fn len(&self) -> usize {
        self.frame.len()
    }
}

/// A request with whoever waits for what becomes of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) ask: Ask,
    pub(crate) done: oneshot::Sender<Outcome<Answer>>,
}

/// Shared by the line and the workers of its devices.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) state: watch::Sender<LinkState>,
    pub(crate) counters: Arc<BusCounters>,
    orders: mpsc::Sender<Order>,
    listeners: Mutex<BTreeMap<DeviceId, Listener>>,
}

#[derive(Debug)]
struct Listener {
    mapping: Arc<Mapping>,
    letters: Arc<Mailbox<Spoken>>,
    /// What was said since it was understood last.
    useless: watch::Sender<Useless>,
}

/// What a device hears.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub(crate) letters: Arc<Mailbox<Spoken>>,
    pub(crate) useless: watch::Receiver<Useless>,
}

impl Board {
    /// With the other end of its orders.
    pub(crate) fn new(counters: Arc<BusCounters>) -> (Arc<Self>, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(ORDERS);
        let state = watch::channel(LinkState::Opening).0;
        (Arc::new(Self { state, counters, orders, listeners: Mutex::default() }), taken)
    }

    /// A device listens from now on.
    pub(crate) fn listen(&self, device: &Device) -> Hearing {
        let lost: Arc<AtomicU64> = Arc::clone(&self.counters.lost);
        let letters = Arc::new(Mailbox::new(lost));
        let (useless, heard) = watch::channel(Useless::default());
        let mapping = Arc::clone(&device.mapping);
        let listener = Listener { mapping, letters: Arc::clone(&letters), useless };
        self.listeners().insert(device.id.clone(), listener);
        Hearing { letters, useless: heard }
    }

    /// Devices have other mappings.
    pub(crate) fn configure(&self, devices: &[Arc<Device>]) {
        let mut listeners = self.listeners();
        for device in devices {
            if let Some(listener) = listeners.get_mut(&device.id) {
                listener.mapping = Arc::clone(&device.mapping);
            }
        }
    }

    /// A device does not listen any more with this mailbox.
    pub(crate) fn leave(&self, who: &DeviceId, letters: &Arc<Mailbox<Spoken>>) {
        let mut listeners = self.listeners();
        if listeners.get(who).is_some_and(|known| Arc::ptr_eq(&known.letters, letters)) {
            listeners.remove(who);
        }
    }

    /// Something was said; whether anybody understands it.
    pub(crate) fn hand_out(&self, frame: &[u8]) -> bool {
        let listeners = self.listeners();
        let mut understood = false;
        for listener in listeners.values().filter(|listener| hears(&listener.mapping, frame)) {
            listener.letters.put(Spoken::new(frame));
            listener.useless.send_if_modified(|useless| !std::mem::take(useless).is_empty());
            understood = true;
        }
        if !understood && !frame.trim_ascii().is_empty() {
            let now = SystemTime::now();
            listeners.values().for_each(|it| it.useless.send_modify(|useless| useless.strange(now, frame)));
        }
        understood
    }

    /// Something was said that cannot be used: by whom is not known.
    pub(crate) fn broken(&self, why: Broken) {
        let now = SystemTime::now();
        self.counters.garbled();
        self.listeners().values().for_each(|it| it.useless.send_modify(|useless| useless.broken(now, why)));
    }

    /// Nothing that came over the line before is of use.
    pub(crate) fn forget(&self) {
        for listener in self.listeners().values() {
            listener.letters.clear();
            listener.useless.send_if_modified(|useless| !std::mem::take(useless).is_empty());
        }
    }

    /// Asks something. Waits for its turn and for the answer; whoever stops waiting does not take it back.
    pub(crate) async fn ask(&self, ask: Ask) -> Outcome<Answer> {
        let (done, result) = oneshot::channel();
        let stopped = || DeviceFault::Unreachable("its bus has stopped".to_owned());
        if self.orders.send(Order { ask, done }).await.is_err() {
            return Outcome::Unsent(stopped());
        }
        result.await.unwrap_or_else(|_| Outcome::Silent(stopped()))
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Listener>> {
        // They are whole after each operation: a panic elsewhere says nothing about them.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
