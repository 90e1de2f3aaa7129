//! What a radio and the devices on it share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::Instant as TokioInstant;
use usp_mapping::mapping::{BleSource, Device, DeviceAddress, Mac};
use usp_mapping::port::DeviceId;

use crate::bus::ear::LinkState;
use crate::bus::mailbox::{Letter, Mailbox};
use crate::bus::statistics::{BusCounters, Signal};

use super::bluez::{Advert, Session};
use super::model::{Word, all_places, options};
use super::rhythm::{Rhythm, Silence};
use super::slots::{Idle, Slots};

/// The same data, or the strength, is not told again before this time.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest data of an advertisement (Core Specification, Vol 4, Part E, 7.8.54).
const LONGEST: usize = 1650;

/// Most kinds of data of a device that are looked at.
const KINDS: usize = 32;

/// What is put into the mailbox of a device.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) word: Word,
    subject: String,
    length: usize,
}

impl Spoken {
    pub(super) fn new(word: Word) -> Self {
        let (subject, length) = match &word {
            Word::Advert { source, data, .. } => (source.to_string(), data.len()),
            Word::Unusable(source, _) => (source.to_string(), 0),
            Word::Rssi(_) => ("rssi".to_owned(), 0),
            Word::Notified(char, bytes) => (char.to_string(), bytes.len()),
            Word::Connected | Word::Apart(_) | Word::Silent(..) | Word::Unheard(_) | Word::Audible => {
                ("presence".to_owned(), 0)
            }
        };
        Self { word, subject, length }
    }
}

impl Letter for Spoken {
    fn subject(&self) -> &str {
        &self.subject
    }

    fn len(&self) -> usize {
        self.length
    }
}

/// Who listens to a device.
#[derive(Debug)]
pub(super) struct Listener {
    id: DeviceId,
    pub(super) letters: Arc<Mailbox<Spoken>>,
    /// Whether BlueZ says that it is connected, and how often that has changed.
    connected: watch::Sender<(bool, u64)>,
    /// It was heard.
    news: Notify,
    seen: Mutex<Seen>,
}

/// What of a device was heard.
#[derive(Debug)]
struct Seen {
    mac: Option<Mac>,
    /// It has a key: that it is there is shown by what was made with it alone.
    is_sealed: bool,
    /// What of it is of use.
    sources: BTreeSet<BleSource>,
    /// What was told last, and when.
    told: BTreeMap<BleSource, (Instant, Vec<u8>)>,
    /// When it was there for sure.
    contact: Option<Instant>,
    /// When its strength was told last.
    rated: Option<Instant>,
    /// How often it is heard.
    rhythm: Rhythm,
}

impl Listener {
    fn new(device: &Device, lost: Arc<AtomicU64>) -> Self {
        let seen = Seen {
            mac: None,
            is_sealed: false,
            sources: BTreeSet::new(),
            told: BTreeMap::new(),
            contact: None,
            rated: None,
            rhythm: Rhythm::default(),
        };
        let listener = Self {
            id: device.id.clone(),
            letters: Arc::new(Mailbox::new(lost)),
            connected: watch::channel((false, 0)).0,
            news: Notify::new(),
            seen: Mutex::new(seen),
        };
        listener.configure(device);
        listener
    }

    fn configure(&self, device: &Device) {
        let mut seen = self.seen();
        let address = match &device.address {
            DeviceAddress::Ble(address) => Some(address),
            _ => None,
        };
        let mac = address.map(|address| address.mac);
        if seen.mac != mac {
            seen.told.clear();
            (seen.contact, seen.rated, seen.rhythm) = (None, None, Rhythm::default());
        }
        seen.mac = mac;
        seen.is_sealed = address.is_some_and(|address| address.key.is_some());
        seen.sources = all_places(&device.mapping).map(|place| place.from.clone()).collect();
    }

    /// Waits until it was there for sure, since this device is in the site or since the radio was lost.
    pub(super) async fn was_there(&self) {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if self.contact().is_some() {
                return;
            }
            news.await;
        }
    }

    /// Somebody knows that it is there.
    pub(super) fn is_there(&self) {
        self.seen().contact = Some(now());
        self.news.notify_waiters();
    }

    /// When it was there for sure.
    pub(super) fn contact(&self) -> Option<Instant> {
        self.seen().contact
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.borrow().0
    }

    /// To be told when it is connected, and when not any more.
    pub(super) fn connections(&self) -> watch::Receiver<(bool, u64)> {
        self.connected.subscribe()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.seen)
    }

    /// Takes an advertisement in. What is the same as just before, and what is of no use, shows only that it is there.
    fn hear(&self, now: Instant, advert: Advert) {
        let mut told = false;
        let mut seen = self.seen();
        seen.rhythm.word(now);
        if !seen.is_sealed {
            seen.contact = Some(now);
            self.news.notify_waiters();
        }
        for (source, data) in advert.data {
            let has_room = seen.told.len() < KINDS || seen.told.contains_key(&source);
            if !seen.sources.contains(&source) || data.len() > LONGEST || !has_room {
                continue;
            }
            if seen.told.get(&source).is_some_and(|(at, known)| *known == data && now - *at < AGAIN) {
                continue;
            }
            seen.told.insert(source.clone(), (now, data.clone()));
            self.letters.put(Spoken::new(Word::Advert { source, data, repeated: false }));
            told = true;
        }
        // Data show that it is there; otherwise its strength does.
        let is_due = seen.rated.is_none_or(|at| now - at >= AGAIN);
        if let Some(rssi) =
            advert.rssi.filter(|_| is_due && (!told || seen.sources.contains(&BleSource::Rssi)))
        {
            seen.rated = Some(now);
            self.letters.put(Spoken::new(Word::Rssi(rssi)));
        }
    }
}

/// A device and who listens to it.
type Listening = (Arc<Device>, Arc<Listener>);

/// Shared by a radio and the workers of its devices.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) state: watch::Sender<LinkState>,
    pub(super) counters: Arc<BusCounters>,
    /// The session with BlueZ that there is now.
    pub(super) session: watch::Sender<Option<Arc<Session>>>,
    /// There are other devices.
    pub(super) changed: Notify,
    listeners: Mutex<BTreeMap<DeviceId, Listening>>,
    slots: Mutex<Slots<DeviceId>>,
    /// Who has a slot, or wants one, has changed.
    turned: Notify,
    heard: Mutex<Heard>,
    /// Strangers are listened to.
    curious: AtomicBool,
    /// While they are: somebody was heard.
    pub(super) stirred: Notify,
}

/// When somebody was heard the last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Any of the devices.
    pub(super) device: Instant,
    /// Anybody.
    pub(super) anybody: Instant,
}

impl Board {
    pub(super) fn new(counters: Arc<BusCounters>, slots: u8) -> Arc<Self> {
        Arc::new(Self {
            state: watch::channel(LinkState::Opening).0,
            counters,
            session: watch::channel(None).0,
            changed: Notify::new(),
            listeners: Mutex::default(),
            slots: Mutex::new(Slots::new(slots.into())),
            turned: Notify::new(),
            heard: Mutex::new(Heard { device: now(), anybody: now() }),
            curious: AtomicBool::new(false),
            stirred: Notify::new(),
        })
    }

    /// A device listens from now on.
    pub(super) fn listen(&self, device: &Arc<Device>) -> Arc<Listener> {
        let listener = Arc::new(Listener::new(device, Arc::clone(&self.counters.lost)));
        let entry = (Arc::clone(device), Arc::clone(&listener));
        locked(&self.listeners).insert(device.id.clone(), entry);
        self.changed.notify_one();
        listener
    }

    /// Devices have other mappings or addresses.
    pub(super) fn configure(&self, devices: &[Arc<Device>]) {
        let mut listeners = locked(&self.listeners);
        for device in devices {
            if let Some((known, listener)) = listeners.get_mut(&device.id) {
                listener.configure(device);
                *known = Arc::clone(device);
            }
        }
        drop(listeners);
        self.changed.notify_one();
    }

    /// A device does not listen any more.
    pub(super) fn leave(&self, listener: &Arc<Listener>) {
        let mut listeners = locked(&self.listeners);
        if listeners.get(&listener.id).is_some_and(|(_, known)| Arc::ptr_eq(known, listener)) {
            listeners.remove(&listener.id);
        }
        drop(listeners);
        self.give_up(&listener.id);
        self.changed.notify_one();
    }

    /// Whose advertisements are wanted; `None`: everybody's.
    pub(super) fn wanted(&self) -> Option<BTreeSet<Mac>> {
        (!self.curious.load(Ordering::Acquire)).then(|| self.macs())
    }

    /// Whether strangers are to be listened to; and whether that is news.
    pub(super) fn be_curious(&self, curious: bool) -> bool {
        self.curious.swap(curious, Ordering::AcqRel) != curious
    }

    fn macs(&self) -> BTreeSet<Mac> {
        locked(&self.listeners).values().filter_map(|(_, listener)| listener.seen().mac).collect()
    }

    /// How long nothing may be heard. Who is connected does not advertise. `None`: nobody knows.
    pub(super) fn silence(&self) -> Option<Silence> {
        let listeners = locked(&self.listeners);
        let advertise = listeners.values().filter(|(_, listener)| !listener.is_connected());
        let all: Vec<(Rhythm, Duration)> = advertise
            .filter_map(|(device, listener)| {
                Some((listener.seen().rhythm.clone(), options(&device.mapping)?.patience()?))
            })
            .collect();
        Silence::of(self.heard().device, all.iter().map(|(rhythm, told)| (rhythm, *told)))
    }

    /// The radio seems to hear nothing, and why, or something again: who is only heard is not there, or may be.
    pub(super) fn hears_nothing(&self, why: Option<&str>) {
        for (_, listener) in locked(&self.listeners).values() {
            let word = why.map_or(Word::Audible, |why| Word::Unheard(why.to_owned()));
            listener.letters.put(Spoken::new(word));
        }
    }

    fn of(&self, mac: Mac) -> Vec<Arc<Listener>> {
        let listeners = locked(&self.listeners);
        let of = listeners.values().filter(|(_, listener)| listener.seen().mac == Some(mac));
        of.map(|(_, listener)| Arc::clone(listener)).collect()
    }

    /// Something of a device was heard. Its name and services alone are told when it is connected, too.
    pub(super) fn hear(&self, mac: Mac, advert: Advert) {
        if advert.rssi.is_none() && advert.data.is_empty() {
            return;
        }
        let (now, listeners) = (now(), self.of(mac));
        self.note(now, !listeners.is_empty());
        for listener in listeners {
            if let Some(rssi) = advert.rssi {
                let strength = i8::try_from(rssi.clamp(-128, 127)).ok();
                self.counters.signal(&listener.id, Signal { quality: None, strength });
            }
            listener.hear(now, advert.clone());
        }
    }

    /// Somebody was heard, be it a device or a stranger.
    fn note(&self, now: Instant, is_device: bool) {
        let mut heard = locked(&self.heard);
        let is_news = now.saturating_duration_since(heard.anybody) >= AGAIN;
        heard.anybody = now;
        if is_device {
            heard.device = now;
        }
        if self.curious.load(Ordering::Acquire) && (is_device || is_news) {
            self.stirred.notify_one();
        }
    }

    /// A device is connected, or not any more.
    pub(super) fn is_connected(&self, mac: Mac, connected: bool) {
        for listener in self.of(mac) {
            let changes = listener.is_connected() != connected;
            listener.connected.send_modify(|(is, times)| {
                *times += u64::from(*is != connected);
                *is = connected;
            });
            // Who is connected does not advertise.
            if changes {
                listener.seen().rhythm.broken();
            }
            if connected {
                listener.is_there();
            }
        }
    }

    /// These are connected, and none else.
    pub(super) fn are_connected(&self, all: &BTreeSet<Mac>) {
        self.macs().into_iter().for_each(|mac| self.is_connected(mac, all.contains(&mac)));
    }

    /// When somebody was heard the last time.
    pub(super) fn heard(&self) -> Heard {
        *locked(&self.heard)
    }

    /// Nobody hears from now on: that says nothing of how devices speak, though one of them be heard before the scan is begun anew.
    pub(super) fn interrupt(&self) {
        locked(&self.listeners).values().for_each(|(_, listener)| listener.seen().rhythm.broken());
    }

    /// Nothing that was heard before is of use.
    pub(super) fn forget(&self) {
        for (_, listener) in locked(&self.listeners).values() {
            let mut seen = listener.seen();
            seen.told.clear();
            seen.contact = None;
            seen.rhythm.broken();
        }
    }

    /// Waits for a slot. Whoever stops waiting has to [`give_up`](Self::give_up).
    pub(super) async fn slot(&self, who: &DeviceId, idle: Idle) {
        locked(&self.slots).want(now(), who, idle);
        // Somebody may have to make room.
        self.turned.notify_waiters();
        loop {
            let mut turned = std::pin::pin!(self.turned.notified());
            // From now on nothing is missed.
            turned.as_mut().enable();
            if locked(&self.slots).holds(who) {
                return;
            }
            turned.await;
        }
    }

    /// Gives a slot up, or waits for it no longer.
    pub(super) fn give_up(&self, who: &DeviceId) {
        locked(&self.slots).leave(now(), who);
        self.turned.notify_waiters();
    }

    /// It uses its slot, or does not any more.
    pub(super) fn use_slot(&self, who: &DeviceId, in_use: bool) {
        locked(&self.slots).use_it(now(), who, in_use);
    }

    /// Waits until a device that idles has to give its slot up.
    pub(super) async fn turn_ends(&self, who: &DeviceId) {
        loop {
            let mut turned = std::pin::pin!(self.turned.notified());
            turned.as_mut().enable();
            let ends_at = locked(&self.slots).ends_at(who);
            match ends_at {
                Some(at) if at <= now() => return,
                Some(at) => {
                    let at = TokioInstant::from_std(at);
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = turned => {}
                    }
                }
                None => turned.await,
            }
        }
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after each operation: a panic elsewhere says nothing about it.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of the runtime, so that it can be a virtual one.
pub(super) fn now() -> Instant {
    TokioInstant::now().into_std()
}
