//! Runs a coordinator in a thread of its own, with faults.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ends::Ends;
use crate::mischief::{Mischief, Order, ZigbeeFault};
use crate::near::hint;
use crate::rng::Rng;

use super::air::{Air, Presence};
use super::ezsp::Ezsp;
use super::ieee::Ieee;
use super::network::Network;
use super::node::Node;
use super::stick::{Start, Stick};
use super::znp::Znp;

/// What a coordinator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// EZSP of this version, 8 to 13, over ASH.
    Ezsp(u8),
    /// ZNP of Z-Stack 3.30 and later.
    Znp,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a pseudo-terminal; with a name of its own for it, as /dev/serial/by-id has them.
    Terminal(Option<PathBuf>),
    /// Behind a TCP port; 0 is any free one.
    Tcp(SocketAddr),
}

/// A coordinator that is to be.
#[derive(Debug)]
pub struct Plan {
    /// What it speaks.
    pub model: Model,
    /// Where it is.
    pub place: Place,
    /// Its own address.
    pub ieee: Ieee,
    /// A network that it remembers, and how many frames it has sent in it.
    pub network: Option<(Network, u32)>,
    /// The devices, and whether they are in the network.
    pub devices: Vec<(Node, Presence)>,
}

impl Plan {
    /// One without a network and devices.
    pub fn new(model: Model, place: Place) -> Self {
        let ieee = Ieee(0x00e0_5400_0000_0001);
        Self { model, place, ieee, network: None, devices: Vec::new() }
    }

    /// With one more device.
    #[must_use]
    pub fn with(mut self, node: Node, presence: Presence) -> Self {
        self.devices.push((node, presence));
        self
    }
}

/// What can be seen of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ieee: Ieee,
    /// Its address in the network; `None`: it is in none.
    pub address: Option<u16>,
    /// Its values.
    pub values: Vec<(String, String)>,
    /// The faults that are on.
    pub faults: Vec<String>,
    /// Messages that it said.
    pub said: u64,
}

/// A running coordinator. Dropping it ends it: whoever has its port open sees it hang up.
pub struct Coordinator {
    shared: Arc<Shared>,
    path: Option<PathBuf>,
    address: Option<SocketAddr>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    stop: AtomicBool,
}

struct State {
    stick: Box<dyn Stick>,
    air: Air,
    faults: Mischief<ZigbeeFault>,
    /// Its port was not open to anybody since it was plugged in.
    plugged: bool,
    begun: Instant,
    rng: Rng,
    /// The network key that it had before it got a wrong one.
    right_key: Option<[u8; 16]>,
    /// Frames that come later.
    later: Vec<(Duration, Vec<u8>)>,
}

impl Coordinator {
    /// Starts a coordinator.
    ///
    /// Errors: there is no pseudo-terminal to be had, or the port is taken.
    pub fn start(plan: Plan) -> io::Result<Self> {
        let ends = match &plan.place {
            Place::Terminal(name) => Ends::terminal(name.as_deref())?,
            Place::Tcp(address) => Ends::tcp(*address)?,
        };
        let (path, address) = ends.place();
        let mut air = Air::new(plan.ieee, plan.ieee.0);
        plan.devices.into_iter().for_each(|(node, presence)| air.add(node, presence));
        let mut stick: Box<dyn Stick> = match (plan.model, plan.network) {
            (Model::Ezsp(version), None) => Box::new(Ezsp::new(version, plan.ieee)),
            (Model::Ezsp(version), Some((network, counter))) => {
                Box::new(Ezsp::new(version, plan.ieee).with_network(network, counter))
            }
            (Model::Znp, None) => Box::new(Znp::new(plan.ieee)),
            (Model::Znp, Some((network, counter))) => {
                Box::new(Znp::new(plan.ieee).with_network(&network, counter))
            }
        };
        stick.start(Duration::ZERO, Start::Power, &mut air);
        // Nobody was there to hear it.
        stick.says();
        let state = State {
            stick,
            air,
            faults: Mischief::default(),
            plugged: true,
            begun: Instant::now(),
            rng: Rng::named(plan.ieee.0, "line"),
            right_key: None,
            later: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), stop: AtomicBool::new(false) });
        let mut running = Running { ends, shared: Arc::clone(&shared) };
        let thread =
            thread::Builder::new().name("simulated-zigbee".to_owned()).spawn(move || running.serve())?;
        Ok(Self { shared, path, address, thread: Some(thread) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device file, or the name that leads to it; empty over TCP.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// The TCP address; `None` on a pseudo-terminal.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where it is reached, as a text.
    pub fn place(&self) -> String {
        self.address.map_or_else(|| self.path().display().to_string(), |address| address.to_string())
    }

    /// Switches a fault of the coordinator on.
    ///
    /// Errors: only devices have this one.
    pub fn fault(&self, order: impl Into<Order<ZigbeeFault>>) -> Result<(), String> {
        let order = order.into();
        if !order.fault.of_coordinator() {
            return Err(format!("{} is a fault of devices", order.fault));
        }
        let state = &mut *self.state();
        match order.fault {
            ZigbeeFault::Reset => state.start(Start::Watchdog),
            ZigbeeFault::WrongKey => {
                let right = state.stick.remembers().map(|network| network.key);
                state.right_key = state.right_key.or(right);
                let mut key = [0; 16];
                key.iter_mut().for_each(|byte| *byte = state.rng.below(256) as u8);
                state.stick.replace_key(key);
                state.start(Start::Watchdog);
            }
            _ => state.faults.start(order),
        }
        Ok(())
    }

    /// Switches a fault of a device on.
    ///
    /// Errors: there is no such device, or only coordinators have this fault.
    pub fn device_fault(&self, name: &str, order: impl Into<Order<ZigbeeFault>>) -> Result<(), String> {
        let order = order.into();
        if !order.fault.of_device() {
            return Err(format!("{} is a fault of the coordinator", order.fault));
        }
        self.with(name, |node| node.faults.start(order))
    }

    /// Switches all faults of one device off, or all that there are.
    ///
    /// Errors: there is no such device.
    pub fn clear(&self, name: Option<&str>) -> Result<(), String> {
        match name {
            Some(name) => self.with(name, |node| node.faults.clear()),
            None => {
                self.state().air.clear_faults();
                self.clear_coordinator();
                Ok(())
            }
        }
    }

    /// Switches the faults of the coordinator itself off. It gets its own key back.
    pub fn clear_coordinator(&self) {
        let state = &mut *self.state();
        state.faults.clear();
        if let Some(key) = state.right_key.take() {
            state.stick.replace_key(key);
            state.start(Start::Watchdog);
        }
    }

    /// The faults of the coordinator that are on.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.active().iter().map(ToString::to_string).collect()
    }

    fn with<T>(&self, name: &str, what: impl FnOnce(&mut Node) -> T) -> Result<T, String> {
        let state = &mut *self.state();
        let known = state.air.names().join(", ");
        let found = state.air.node_mut(name);
        found.map(what).ok_or_else(|| format!("no device {name:?}; there are: {known}{}", hint(name, &known)))
    }

    fn ieee(&self, name: &str) -> Result<Ieee, String> {
        self.with(name, |node| node.ieee)
    }

    /// A value of a device, as text.
    pub fn get(&self, name: &str, value: &str) -> Option<String> {
        self.state().air.node(name)?.get(value)
    }

    /// Holds a value of a device.
    ///
    /// Errors: there is no such device or value, or it cannot be that.
    pub fn set(&self, name: &str, value: &str, text: &str) -> Result<(), String> {
        self.with(name, |node| node.set(value, text))?
    }

    /// Lets a value move by itself again.
    ///
    /// Errors: there is no such device, or no such value that moves.
    pub fn release(&self, name: &str, value: &str) -> Result<(), String> {
        self.with(name, |node| node.release(value))?
    }

    /// What all devices are, and have.
    pub fn show(&self) -> Vec<Shown> {
        let state = self.state();
        let names = state.air.names();
        let shown = |name: &String| {
            let node = state.air.node(name)?;
            let (joined, said) = state.air.state(name)?;
            let value = |value: String| node.get(&value).map(|text| (value, text));
            Some(Shown {
                name: name.clone(),
                ieee: node.ieee,
                address: joined.then_some(node.address),
                values: node.names().into_iter().filter_map(value).collect(),
                faults: node.faults.active().iter().map(ToString::to_string).collect(),
                said,
            })
        };
        names.iter().filter_map(shown).collect()
    }

    /// The commands and writes that a device understood, the newest last.
    pub fn obeyed(&self, name: &str) -> Vec<String> {
        self.state().air.node(name).map_or_else(Vec::new, |node| node.obeyed().to_vec())
    }

    /// The commands of the host to the coordinator itself, the newest last.
    pub fn asked(&self) -> Vec<String> {
        self.state().stick.asked().to_vec()
    }

    /// The network that runs.
    pub fn network(&self) -> Option<Network> {
        self.state().air.network().cloned()
    }

    /// The network that the coordinator's permanent memory holds.
    pub fn remembers(&self) -> Option<Network> {
        self.state().stick.remembers()
    }

    /// Whether devices are let in.
    pub fn is_open(&self) -> bool {
        self.state().air.is_open()
    }

    /// One more device.
    pub fn add(&self, node: Node, presence: Presence) {
        let state = &mut *self.state();
        let now = state.now();
        state.air.bring(now, node, presence);
    }

    /// A device is reset and looks for a network.
    ///
    /// Errors: there is no such device.
    pub fn pair(&self, name: &str) -> Result<(), String> {
        let ieee = self.ieee(name)?;
        let state = &mut *self.state();
        let now = state.now();
        state.air.pair(now, ieee);
        Ok(())
    }

    /// A device leaves the network.
    ///
    /// Errors: there is no such device.
    pub fn leave(&self, name: &str) -> Result<(), String> {
        let ieee = self.ieee(name)?;
        let state = &mut *self.state();
        let now = state.now();
        state.air.leave(now, ieee);
        Ok(())
    }

    /// A device comes back with another address.
    ///
    /// Errors: there is no such device.
    pub fn rejoin(&self, name: &str) -> Result<(), String> {
        let ieee = self.ieee(name)?;
        let state = &mut *self.state();
        let now = state.now();
        state.air.rejoin(now, ieee);
        Ok(())
    }

    /// Somebody does something at a device: presses its button.
    ///
    /// Errors: there is no such device or action, or it is bound to nobody for it.
    pub fn act(&self, name: &str, action: &str) -> Result<(), String> {
        let state = &mut *self.state();
        let now = state.now();
        state.air.act(now, name, action)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It looks up a hundred times a second.
            thread.join().ok();
        }
    }
}

impl State {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn start(&mut self, why: Start) {
        let now = self.now();
        self.later.clear();
        self.stick.start(now, why, &mut self.air);
    }

    fn has(&self, fault: &ZigbeeFault) -> bool {
        self.faults.has(|on| on == fault)
    }

    fn happens(&mut self, fault: &ZigbeeFault) -> bool {
        self.faults.happen(|on| on == fault).is_some()
    }

    /// By chance, as often as was said.
    fn chance(&mut self) -> bool {
        let percent = self.faults.active().iter().find_map(|order| match order.fault {
            ZigbeeFault::Lossy(percent) => Some(percent),
            _ => None,
        });
        percent.is_some_and(|percent| self.rng.below(100) < u64::from(percent))
    }

    /// Bytes of the host, as far as they arrive.
    fn hear(&mut self, bytes: &[u8]) {
        let silent = self.has(&ZigbeeFault::Silent);
        if bytes.is_empty() || silent || self.happens(&ZigbeeFault::Unheard) || self.chance() {
            return;
        }
        let now = self.now();
        self.stick.hear(now, bytes, &mut self.air);
    }

    /// Lets time pass; frames as they go over the wire, and whether the port vanishes after them.
    fn run(&mut self) -> (Vec<Vec<u8>>, bool) {
        let now = self.now();
        let busy = self.has(&ZigbeeFault::Busy);
        self.stick.be_busy(busy);
        let told = self.air.run(now);
        self.stick.run(now, told, &mut self.air);
        let late = self.faults.active().iter().find_map(|order| match order.fault {
            ZigbeeFault::Late(time) => Some(time),
            _ => None,
        });
        let at = now + late.unwrap_or_default();
        let frames = self.stick.says();
        self.later.extend(frames.into_iter().map(|frame| (at, frame)));
        let due = self.later.iter().take_while(|(at, _)| *at <= now).count();
        let due: Vec<Vec<u8>> = self.later.drain(..due).map(|(_, frame)| frame).collect();
        let mut out = Vec::new();
        for frame in due {
            if self.has(&ZigbeeFault::UnpluggedMidFrame) {
                out.push(frame.get(..frame.len() / 2).unwrap_or_default().to_vec());
                return (out, true);
            }
            self.spoil(frame, &mut out);
        }
        (out, false)
    }

    fn spoil(&mut self, mut frame: Vec<u8>, out: &mut Vec<Vec<u8>>) {
        if self.has(&ZigbeeFault::Silent) || self.happens(&ZigbeeFault::Lost) {
            return;
        }
        let chance = self.chance();
        if self.happens(&ZigbeeFault::Checksum) || chance {
            // Not the first or the last byte: those say where a frame is.
            let at = 1 + self.rng.below(frame.len().saturating_sub(2).max(1) as u64) as usize;
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 0x01;
            }
        }
        if self.happens(&ZigbeeFault::Noise) {
            out.push(vec![0x00, 0x55, 0x9a]);
        }
        if self.happens(&ZigbeeFault::Duplicate) {
            out.push(frame.clone());
        }
        out.push(frame);
    }
}

struct Running {
    ends: Ends,
    shared: Arc<Shared>,
}

impl Running {
    fn serve(&mut self) {
        let mut buffer = [0; 1024];
        while !self.shared.stop.load(Ordering::Acquire) {
            self.plug();
            let count = self.ends.read(&mut buffer);
            let shared = Arc::clone(&self.shared);
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.plugged {
                // The radio has no power either; the devices go on.
                state.run();
                continue;
            }
            state.hear(buffer.get(..count).unwrap_or_default());
            let (frames, vanishes) = state.run();
            if vanishes {
                state.faults.start(ZigbeeFault::Unplugged.into());
            }
            // Nobody else waits for a host that does not read.
            drop(state);
            frames.iter().for_each(|frame| self.ends.write(frame));
        }
    }

    /// Vanishes, and is there again.
    fn plug(&mut self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unplugged = state.has(&ZigbeeFault::Unplugged);
        if unplugged && state.plugged {
            state.plugged = false;
            state.faults.start(ZigbeeFault::Unplugged.into());
            let now = state.now();
            let State { stick, air, later, .. } = &mut *state;
            later.clear();
            // It keeps what it has counted before it is gone.
            stick.start(now, Start::Power, air);
            stick.says();
            drop(state);
            self.ends.unplug();
        } else if !unplugged && !state.plugged {
            state.plugged = true;
            state.start(Start::Power);
            drop(state);
            // A name that somebody else took meanwhile shows in nobody finding it.
            self.ends.plug().ok();
        }
    }
}
