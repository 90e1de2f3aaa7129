//! Decides what goes over a bus next. Pure: whoever drives it brings the time and does the exchanges.
//!
//! Rules, each with its test in `schedule/tests.rs`: writes before on-demand reads before polls before probes, each
//! class within one device and between devices, and none for ever; devices of equal urgency take turns; one exchange at
//! a time; a device that does not answer is looked for by a probe with growing pauses and costs its neighbours no more
//! than that; nothing is sent whose time is over; every call gets one reply.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use usp_mapping::mapping::Device;
use usp_mapping::port::{AdapterCall, AdapterReply, DeviceFault, DeviceId};

use crate::FromAdapter;
use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::device::{DeviceState, Outbox, Work};
use crate::bus::ear::Said;
use crate::bus::merge::merge;
use crate::bus::precedence::{Class, Precedence};
use crate::bus::statistics::BusCounters;
use crate::bus::{Held, Model, Outcome};

/// Replies and reports that may wait for the core before no exchange is begun any more.
const OUTBOX: usize = 64;

/// After the search for a device that does not answer, so many times as long goes to its neighbours: those that are
/// offline have less than a twentieth of the bus' time together.
pub(crate) const PROBE_SHARE: u32 = 20;

/// What the driver is to do. It answers each with the `handle_` method of the same name.
#[derive(Debug, PartialEq)]
pub(crate) enum Command<Ask> {
    /// Make the connection: [`Scheduler::handle_connect`].
    Connect,
    /// Do this exchange: [`Scheduler::handle_exchange`].
    Exchange(Ask),
}

/// A device for as long as its configuration stays the same; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

#[derive(Debug)]
enum Link {
    /// No connection, and none was refused: one is made when it is needed.
    Idle,
    Up,
    /// It could not be made; the next attempt is at this instant.
    Down {
        cause: String,
        retry_at: Instant,
    },
}

#[derive(Debug, PartialEq)]
enum Busy {
    No,
    Connecting,
    /// Since this instant.
    With(Key, Instant),
}

/// Everything that waits on one bus.
#[derive(Debug)]
pub(crate) struct Scheduler<M: Model> {
    devices: BTreeMap<Key, DeviceState<M>>,
    keys: BTreeMap<DeviceId, Key>,
    next_key: u64,
    link: Link,
    busy: Busy,
    backoff: Backoff,
    jitter: Jitter,
    precedence: Precedence,
    /// Who was served last in each class.
    last: [Key; 4],
    /// Until then the line is left alone.
    quiet_until: Option<Instant>,
    /// Devices that are offline are not looked for before, for the sake of the others.
    probes_from: Option<Instant>,
    outbox: VecDeque<FromAdapter>,
    counters: Arc<BusCounters>,
    /// Over how long devices are polled again that come back together.
    spread: Duration,
}

impl<M: Model> Scheduler<M> {
    /// A scheduler without devices.
    pub(crate) fn new(counters: Arc<BusCounters>, jitter: Jitter, spread: Duration) -> Self {
        Self {
            devices: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_key: 0,
            link: Link::Idle,
            busy: Busy::No,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            jitter,
            precedence: Precedence::default(),
            last: [Key(0); 4],
            quiet_until: None,
            probes_from: None,
            outbox: VecDeque::new(),
            counters,
            spread,
        }
    }

    /// Takes the devices of a site over. One that is the same as before goes on undisturbed; what waits for one that
    /// is gone or changed is answered.
    pub(crate) fn configure(&mut self, now: Instant, devices: &[Arc<Device>]) {
        let keeps = |old: &Device| devices.iter().any(|new| new.id == old.id && same_device(old, new));
        let gone = self.devices.iter().filter(|(_, state)| !keeps(state.device())).map(|(key, _)| *key);
        for key in gone.collect::<Vec<_>>() {
            if let Some(mut state) = self.devices.remove(&key) {
                self.remove(&mut state, devices);
            }
        }
        for device in devices {
            if !self.keys.contains_key(&device.id) {
                self.add(now, device);
            }
        }
        let rules = devices.iter().map(|device| &device.mapping.online);
        let min = rules.clone().map(|rule| rule.backoff_min).min().unwrap_or(Duration::from_secs(1));
        let max = rules.map(|rule| rule.backoff_max).min().unwrap_or(Duration::from_secs(60));
        self.backoff = Backoff::new(min, max);
    }

    fn remove(&mut self, state: &mut DeviceState<M>, devices: &[Arc<Device>]) {
        let id = state.device().id.clone();
        let fault = if devices.iter().any(|device| device.id == id) {
            DeviceFault::Unreachable("its configuration has just changed".to_owned())
        } else {
            DeviceFault::Unknown
        };
        let mut out = Outbox::new();
        state.abandon(&fault, &mut out);
        self.outbox.extend(out);
        self.keys.remove(&id);
        self.counters.forget(&id);
    }

    fn add(&mut self, now: Instant, device: &Arc<Device>) {
        self.next_key += 1;
        let key = Key(self.next_key);
        let mut state =
            DeviceState::new(Arc::clone(device), self.counters.device(&device.id, &device.mapping), now);
        if let Link::Down { cause, .. } = &self.link {
            let mut out = Outbox::new();
            state.cut(cause, &mut out);
            self.outbox.extend(out);
        }
        self.keys.insert(device.id.clone(), key);
        self.devices.insert(key, state);
    }

    /// Takes a call in that was received at that instant.
    pub(crate) fn handle_call(&mut self, now: Instant, received: Instant, call: AdapterCall) {
        let state = self.keys.get(&call.device).and_then(|key| self.devices.get_mut(key));
        let mut out = Outbox::new();
        match state {
            Some(state) => state.handle_call(call, received, &mut out),
            None => {
                out.push(FromAdapter::Reply(AdapterReply { id: call.id, outcome: Err(DeviceFault::Unknown) }))
            }
        }
        self.outbox.extend(out);
        self.handle_timeout(now);
    }

    /// What to do now; `None`: nothing before [`Scheduler::poll_timeout`], the next call, or room for its messages.
    pub(crate) fn poll_command(&mut self, now: Instant) -> Option<Command<M::Ask>> {
        self.handle_timeout(now);
        while self.may_send(now) {
            let Some((class, key)) = self.choose(now) else { break };
            if !matches!(self.link, Link::Up) {
                self.busy = Busy::Connecting;
                return Some(Command::Connect);
            }
            if let Some(ask) = self.begin(now, class, key) {
                self.busy = Busy::With(key, now);
                return Some(Command::Exchange(ask));
            }
        }
        if self.busy == Busy::No && self.retry_is_due(now) {
            self.busy = Busy::Connecting;
            return Some(Command::Connect);
        }
        None
    }

    fn may_send(&self, now: Instant) -> bool {
        let quiet = self.quiet_until.is_some_and(|at| now < at);
        let down = matches!(self.link, Link::Down { .. });
        self.busy == Busy::No && !down && !quiet && self.outbox.len() < OUTBOX
    }

    fn retry_is_due(&self, now: Instant) -> bool {
        matches!(self.link, Link::Down { retry_at, .. } if retry_at <= now) && !self.devices.is_empty()
    }

    /// The most urgent class that waits, and whose turn it is in it.
    fn choose(&self, now: Instant) -> Option<(Class, Key)> {
        let class = self.precedence.choose(self.waiting(now))?;
        let last = self.last[class as usize];
        let after = self.devices.range((Bound::Excluded(last), Bound::Unbounded));
        let mut turns = after.chain(self.devices.range(..=last));
        let (key, _) = turns.find(|(_, state)| self.work(state, now) == Work::Now(class))?;
        Some((class, *key))
    }

    fn waiting(&self, now: Instant) -> [bool; 4] {
        let mut waiting = [false; 4];
        for state in self.devices.values() {
            if let Work::Now(class) = self.work(state, now) {
                waiting[class as usize] = true;
            }
        }
        waiting
    }

    /// What a device would do next, if its neighbours let it.
    fn work(&self, state: &DeviceState<M>, now: Instant) -> Work {
        let later = self.probes_from.filter(|at| now < *at && state.is_offline());
        match (state.work(now), later) {
            (Work::Now(Class::Probe), Some(at)) if self.has_neighbours() => Work::At(at),
            (work, _) => work,
        }
    }

    fn has_neighbours(&self) -> bool {
        self.devices.values().any(|state| !state.is_offline())
    }

    fn begin(&mut self, now: Instant, class: Class, key: Key) -> Option<M::Ask> {
        self.precedence.served(class, self.waiting(now));
        self.last[class as usize] = key;
        let mut out = Outbox::new();
        let ask = self.devices.get_mut(&key)?.begin(now, &mut out);
        self.outbox.extend(out);
        ask
    }

    /// The connection was made, or could not be.
    pub(crate) fn handle_connect(&mut self, now: Instant, connected: Result<(), String>) {
        self.busy = Busy::No;
        match connected {
            Ok(()) => self.link_up(now),
            Err(cause) => self.link_down(now, cause, DeviceState::not_connected),
        }
    }

    fn link_up(&mut self, now: Instant) {
        self.link = Link::Up;
        self.backoff.reset();
        let mut out = Outbox::new();
        for state in self.devices.values_mut() {
            state.reconnect(now + self.jitter.within(self.spread), &mut out);
        }
        self.outbox.extend(out);
    }

    fn link_down(
        &mut self,
        now: Instant,
        cause: String,
        tell: impl Fn(&mut DeviceState<M>, &str, &mut Outbox),
    ) {
        let mut out = Outbox::new();
        self.devices.values_mut().for_each(|state| tell(state, &cause, &mut out));
        self.outbox.extend(out);
        self.link = Link::Down { cause, retry_at: now + self.backoff.next(&mut self.jitter) };
    }

    /// Something was said unasked.
    pub(crate) fn handle_said(&mut self, now: Instant, said: Said<M::Word>) {
        match said {
            // Whoever is connecting looks for itself.
            Said::LinkUp | Said::LinkDown(_) if self.busy == Busy::Connecting => {}
            Said::LinkUp => self.link_up(now),
            Said::LinkDown(cause) => self.link_down(now, cause, DeviceState::cut),
            Said::LinkRefused(cause) => self.link_down(now, cause, DeviceState::not_connected),
            Said::Doubt => self.devices.values_mut().for_each(|state| state.look_for(now)),
            Said::Word(word) => self.handle_word(now, word),
        }
    }

    /// A word of the one device that such a worker has. It is taken in even when the core takes nothing.
    fn handle_word(&mut self, now: Instant, word: M::Word) {
        let Some(state) = self.devices.values_mut().next() else { return };
        let (mut out, polls_at) = (Outbox::new(), now + self.jitter.within(self.spread));
        state.handle_word(now, polls_at, word, &mut out);
        for message in out {
            if self.is_congested() {
                let dropped = merge(&mut self.outbox, message);
                self.counters.lost.fetch_add(dropped, Ordering::Relaxed);
            } else {
                self.outbox.push_back(message);
            }
        }
    }

    /// The connection is gone, or cannot be trusted any more; the next exchange makes a new one.
    pub(crate) fn handle_disconnect(&mut self) {
        if matches!(self.link, Link::Up) {
            self.link = Link::Idle;
        }
    }

    /// Whether a write waits for the device that is being asked something, and nothing but that holds it up.
    pub(crate) fn is_pressed(&self, now: Instant) -> bool {
        let Busy::With(key, _) = &self.busy else { return false };
        !self.is_congested() && self.devices.get(key).is_some_and(|state| state.is_pressed(now))
    }

    /// The exchange in progress was given up for that write: it is begun again when its turn comes.
    pub(crate) fn handle_yield(&mut self) {
        let Busy::With(key, _) = std::mem::replace(&mut self.busy, Busy::No) else { return };
        if let Some(state) = self.devices.get_mut(&key) {
            state.yields();
        }
    }

    /// Whoever is asked is left alone until then: others are asked meanwhile.
    pub(crate) fn handle_rest(&mut self, until: Instant) {
        if let Busy::With(key, _) = &self.busy
            && let Some(state) = self.devices.get_mut(key)
        {
            state.rest(until);
        }
    }

    /// An exchange ended; `up`: the connection can take another.
    pub(crate) fn handle_exchange(&mut self, now: Instant, outcome: Outcome<M::Answer>, up: bool) {
        let busy = std::mem::replace(&mut self.busy, Busy::No);
        if !up {
            self.handle_disconnect();
        }
        let Busy::With(key, began) = busy else { return };
        let Some(state) = self.devices.get_mut(&key) else { return };
        self.quiet_until = Some(now + state.turnaround());
        let mut out = Outbox::new();
        state.handle_outcome(now, outcome, &mut self.jitter, &mut out);
        self.outbox.extend(out);
        if state.is_offline() {
            self.probes_from = Some(now + PROBE_SHARE * now.saturating_duration_since(began));
        }
    }

    /// Answers what can no longer be answered in time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let mut out = Outbox::new();
        for state in self.devices.values_mut() {
            if state.next_expiry().is_some_and(|at| at <= now) {
                state.handle_timeout(now, &mut out);
            }
        }
        self.outbox.extend(out);
    }

    /// Until when something waits for devices that sleep.
    pub(crate) fn held(&self) -> Held {
        let wanted = self.devices.values().filter_map(DeviceState::held_until).max();
        let reread = self.devices.values().filter_map(DeviceState::knocks_until).max();
        Held { wanted, reread }
    }

    /// When to call [`Scheduler::poll_command`] again if nothing happens.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let expiry = self.devices.values().filter_map(DeviceState::next_expiry).min();
        let work = match &self.link {
            _ if self.busy != Busy::No => None,
            // Nothing is begun before the core has made room, which is no matter of time.
            Link::Idle | Link::Up if self.is_congested() => None,
            Link::Down { retry_at, .. } => Some(*retry_at),
            Link::Idle | Link::Up => self.next_work(now),
        };
        [expiry, work].into_iter().flatten().min()
    }

    fn next_work(&self, now: Instant) -> Option<Instant> {
        let works = self.devices.values().filter_map(|state| match self.work(state, now) {
            Work::Now(_) => Some(now),
            Work::At(at) => Some(at),
            Work::Nothing => None,
        });
        works.min().map(|at| self.quiet_until.map_or(at, |quiet| quiet.max(at)))
    }

    /// The next message for the core.
    pub(crate) fn poll_output(&mut self) -> Option<FromAdapter> {
        self.outbox.pop_front()
    }

    /// Whether messages wait for the core.
    pub(crate) fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether so many messages wait that no more calls should be taken in.
    pub(crate) fn is_congested(&self) -> bool {
        self.outbox.len() >= OUTBOX
    }
}

/// Whether a device need not be disturbed: a new name is the core's concern alone.
fn same_device(old: &Device, new: &Device) -> bool {
    old.address == new.address && (Arc::ptr_eq(&old.mapping, &new.mapping) || old.mapping == new.mapping)
}
