//! What `bluetoothd` does for its clients on D-Bus, as far as Bluetooth Low Energy goes: a state machine without a socket.
//!
//! Written from BlueZ's documents (`doc/org.bluez.Adapter.rst`, `Device`, `GattCharacteristic`, `AgentManager`, …) and what its
//! errors are called there. Calls, time and what agents answer come in; replies, signals and questions to agents come out.

mod adapter;
mod agent;
mod call;
mod gatt;
mod introspect;
mod known;
mod link;
mod object;
mod pairing;
mod said;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use zbus::Message;

use super::device::{BleDevice, Mac};
use super::peer::Peer;
use crate::mischief::{BleFault, Mischief};
use crate::rng::Rng;

use adapter::Adapter;
use agent::Agents;
pub(super) use call::Call;
use known::Known;
pub(super) use said::{Ask, Body, Out, Refusal, Signal};

/// Where the adapter is.
pub(super) const ADAPTER: &str = "/org/bluez/hci0";

/// How long a device that was heard and never connected is remembered (`TemporaryTimeout` of main.conf).
const TEMPORARY: Duration = Duration::from_secs(30);

/// What is yet to happen.
enum Task {
    /// A link comes up.
    Up(String),
    /// Connecting has failed, for this reason.
    Fails(String, &'static str),
    /// Services are known.
    Resolved(String),
    /// The device has taken or refused to pair.
    Paired(String, Result<(), Refusal>),
    /// A characteristic is read.
    Read(String, Message),
    /// A characteristic is written; who wants an answer gets one.
    Write(String, Vec<u8>, Option<Message>),
}

/// The daemon, and the devices that it can hear.
pub(super) struct Bluez {
    now: Instant,
    pub(super) peers: Vec<Peer>,
    /// What is wrong with the radio.
    pub(super) faults: Mischief<BleFault>,
    adapter: Adapter,
    agents: Agents,
    /// Devices that clients can see, by path.
    known: BTreeMap<String, Known>,
    later: Vec<(Instant, Task)>,
    out: Vec<Out>,
    strangers: Strangers,
}

/// Who makes a flood.
struct Strangers {
    rng: Rng,
    /// Parts of one that are due.
    due: f64,
    /// Where they are, the oldest first.
    known: VecDeque<String>,
}

impl Bluez {
    pub(super) fn new(devices: Vec<(String, Box<dyn BleDevice>)>, now: Instant) -> Self {
        Self {
            now,
            peers: devices.into_iter().map(|(key, device)| Peer::new(key, device, now)).collect(),
            faults: Mischief::default(),
            adapter: Adapter::default(),
            agents: Agents::default(),
            known: BTreeMap::new(),
            later: Vec::new(),
            out: Vec::new(),
            strangers: Strangers { rng: Rng::named(1, "strangers"), due: 0.0, known: VecDeque::new() },
        }
    }

    /// Begins anew, as after a crash: what is on disk, the bonds, is there again.
    pub(super) fn restart(&mut self) {
        self.adapter = Adapter::default();
        self.agents = Agents::default();
        self.later.clear();
        self.known.clear();
        self.strangers.known.clear();
        self.out.clear();
        for (number, peer) in self.peers.iter_mut().enumerate() {
            peer.linked = false;
            if peer.bonded {
                let known = Known::bonded(number, peer, self.now);
                self.known.insert(path_of(peer.device.mac()), known);
            }
        }
    }

    /// What is to be sent.
    pub(super) fn take(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// Devices live on, whether somebody hears them or not.
    pub(super) fn live(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.now);
        self.now = now;
        self.peers.iter_mut().for_each(|peer| peer.device.step(time));
    }

    /// What has become due happens.
    pub(super) fn tick(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.now);
        self.live(now);
        self.adapter_faults();
        self.break_links();
        self.advertise();
        self.flood(time);
        self.notify();
        let due: Vec<Task> = self.later.extract_if(.., |(at, _)| *at <= now).map(|(_, task)| task).collect();
        due.into_iter().for_each(|task| self.perform(task));
        self.forget_temporary();
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Up(path) => self.link_is_up(&path),
            Task::Fails(path, why) => self.link_fails(&path, why),
            Task::Resolved(path) => self.resolved(&path),
            Task::Paired(path, outcome) => self.paired(&path, outcome),
            Task::Read(path, call) => self.read_now(&path, call),
            Task::Write(path, value, call) => self.write_now(&path, &value, call),
        }
    }

    fn after(&mut self, time: Duration, task: Task) {
        self.later.push((self.now + time, task));
    }

    /// A client has left the bus.
    pub(super) fn left(&mut self, client: &str) {
        self.discovery_left(client);
        self.agents.left(client);
        self.notify_left(client);
    }

    fn signal(&mut self, signal: Signal) {
        self.out.push(Out::Signal(signal));
    }

    fn answer(&mut self, call: Message, answer: Result<Body, Refusal>) {
        self.out.push(match answer {
            Ok(body) => Out::Reply(call, body),
            Err(refusal) => Out::Error(call, refusal),
        });
    }

    /// The device behind a path, if it is one of those that live.
    fn peer(&mut self, path: &str) -> Option<&mut Peer> {
        let number = self.known.get(path)?.peer?;
        self.peers.get_mut(number)
    }
}

/// Where a device is.
fn path_of(mac: Mac) -> String {
    format!("{ADAPTER}/dev_{}", mac.parted('_'))
}
