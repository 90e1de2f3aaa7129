//! The sockets of the simulated device: any number of units behind one address, as behind a gateway.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::mischief::{Fault, Order};
use crate::value::SimValue;

use super::connection::talk;
use super::device::{ModbusDevice, SetError, Shown};
use super::frame::Frame;
use super::log::{Log, Seen};
use super::pdu::Table;
use super::respond::{Framing, Step, respond};

/// As many connections at once are served; more wait.
const MAX_CONNECTIONS: usize = 64;

/// How long a rebind of an address that somebody else took meanwhile waits for its next try.
const REBIND_PAUSE: Duration = Duration::from_millis(50);

struct Unit {
    device: ModbusDevice,
    /// When its world was last brought up to date; `None`: time stands still.
    clock: Option<Instant>,
}

impl Unit {
    fn catch_up(&mut self) -> &mut ModbusDevice {
        if let Some(then) = &mut self.clock {
            let now = Instant::now();
            self.device.step(now.duration_since(*then));
            *then = now;
        }
        &mut self.device
    }
}

struct State {
    units: BTreeMap<u8, Unit>,
    log: Log,
    /// Cancelled and replaced when all connections are to be closed.
    connections: CancellationToken,
}

pub(super) struct Shared {
    state: Mutex<State>,
    refusing: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Shared {
    /// Units, with time that passes from now on, or stands still.
    pub(super) fn new(units: impl IntoIterator<Item = (u8, ModbusDevice)>, clock: Option<Instant>) -> Self {
        let stop = CancellationToken::new();
        let units = units.into_iter().map(|(number, device)| (number, Unit { device, clock })).collect();
        let state = Mutex::new(State { units, log: Log::default(), connections: stop.child_token() });
        Self { state, refusing: watch::Sender::new(false), stop }
    }

    /// Fires at the end.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// One of the units.
    pub(super) fn handle(self: &Arc<Self>, unit: u8) -> Option<ModbusHandle> {
        let there = self.state().units.contains_key(&unit);
        there.then(|| ModbusHandle { unit, shared: Arc::clone(self) })
    }

    /// The newest requests to all units.
    pub(super) fn log(&self) -> Vec<Seen> {
        self.state().log.all()
    }

    /// How many requests came since the start.
    pub(super) fn requests(&self) -> u64 {
        self.state().log.total()
    }

    /// Every unit, by number.
    pub(super) fn handles(self: &Arc<Self>) -> Vec<ModbusHandle> {
        let numbers: Vec<u8> = self.state().units.keys().copied().collect();
        numbers.into_iter().filter_map(|unit| self.handle(unit)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_connections(&self) {
        let fresh = self.stop.child_token();
        std::mem::replace(&mut self.state().connections, fresh).cancel();
    }

    pub(super) fn respond(&self, asked: &Frame, framing: Framing) -> Vec<Step> {
        let mut state = self.state();
        let (steps, seen) = respond(state.units.get_mut(&asked.unit).map(Unit::catch_up), asked, framing);
        state.log.push(seen);
        steps
    }

    fn fault(&self, units: &[u8], order: &Order<Fault>) {
        let at_once = *order == Fault::Reboot.into() || order.fault == Fault::RefuseConnections;
        for (number, unit) in &mut self.state().units {
            if units.contains(number) {
                let device = unit.catch_up();
                if order.fault == Fault::Reboot {
                    device.reboot();
                } else {
                    device.mischief.start(order.clone());
                }
            }
        }
        if order.fault == Fault::RefuseConnections {
            self.refusing.send_replace(true);
        }
        if at_once {
            self.close_connections();
        }
    }

    fn clear_faults(&self, units: &[u8]) {
        for (_, unit) in self.state().units.iter_mut().filter(|(number, _)| units.contains(number)) {
            unit.device.mischief.clear();
        }
        self.refusing.send_replace(false);
    }
}

/// A running server. Dropping it stops it too, without waiting.
pub struct ModbusServer {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One unit of a running server, for tests and tools. Cheap to clone; outlives the server harmlessly.
#[derive(Clone)]
pub struct ModbusHandle {
    unit: u8,
    shared: Arc<Shared>,
}

impl ModbusServer {
    /// Starts serving these units at an address; port 0 takes any free one. Time in their worlds passes as it does
    /// here.
    ///
    /// Errors: the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        units: impl IntoIterator<Item = (u8, ModbusDevice)>,
    ) -> io::Result<Self> {
        Self::start(address, units, Some(Instant::now()), Framing::Tcp).await
    }

    /// Like [`bind`](Self::bind), but time in the worlds passes only with [`ModbusHandle::advance`].
    pub async fn bind_still(
        address: SocketAddr,
        units: impl IntoIterator<Item = (u8, ModbusDevice)>,
    ) -> io::Result<Self> {
        Self::start(address, units, None, Framing::Tcp).await
    }

    async fn start(
        address: SocketAddr,
        units: impl IntoIterator<Item = (u8, ModbusDevice)>,
        clock: Option<Instant>,
        framing: Framing,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local_addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(units, clock));
        let task = tokio::spawn(serve(listener, local_addr, shared.clone(), framing));
        Ok(Self { local_addr, shared, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// One of its units.
    pub fn unit(&self, unit: u8) -> Option<ModbusHandle> {
        self.shared.handle(unit)
    }

    /// Every unit, by number.
    pub fn units(&self) -> Vec<ModbusHandle> {
        self.shared.handles()
    }

    /// The newest requests to all units.
    pub fn log(&self) -> Vec<Seen> {
        self.shared.log()
    }

    /// How many requests came since the start.
    pub fn requests(&self) -> u64 {
        self.shared.requests()
    }

    /// Switches a fault of all units on.
    pub fn fault(&self, order: impl Into<Order<Fault>>) {
        let units: Vec<u8> = self.shared.state().units.keys().copied().collect();
        self.shared.fault(&units, &order.into());
    }

    /// Switches all faults of all units off.
    pub fn clear_faults(&self) {
        let units: Vec<u8> = self.shared.state().units.keys().copied().collect();
        self.shared.clear_faults(&units);
    }

    /// Like [`bind`](Self::bind), with RTU frames instead of those of Modbus TCP, as behind a transparent device server.
    pub async fn bind_rtu(
        address: SocketAddr,
        units: impl IntoIterator<Item = (u8, ModbusDevice)>,
        still: bool,
    ) -> io::Result<Self> {
        Self::start(address, units, (!still).then(Instant::now), Framing::Rtu).await
    }

    /// Closes everything and returns when it is closed.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the simulated Modbus server ended badly");
        }
    }
}

impl Drop for ModbusServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl ModbusHandle {
    fn device<T>(&self, work: impl FnOnce(&mut ModbusDevice) -> T) -> Option<T> {
        self.shared.state().units.get_mut(&self.unit).map(|unit| work(unit.catch_up()))
    }

    /// Its number.
    pub fn unit(&self) -> u8 {
        self.unit
    }

    /// What a capability really is; `None`: there is no such capability.
    pub fn get(&self, capability: &str) -> Option<SimValue> {
        self.device(|device| device.get(capability)).flatten()
    }

    /// Every capability and what it really is.
    pub fn values(&self) -> Vec<(String, SimValue)> {
        self.device(|device| device.values()).unwrap_or_default()
    }

    /// Every capability with what a person wants to see of it.
    pub fn show(&self) -> Vec<Shown> {
        self.device(|device| device.show()).unwrap_or_default()
    }

    /// `vendor.model`.
    pub fn profile(&self) -> String {
        self.device(|device| device.profile().to_owned()).unwrap_or_default()
    }

    /// The faults that are on, as they are written.
    pub fn faults(&self) -> Vec<String> {
        self.device(|device| device.mischief.active().iter().map(Order::to_string).collect())
            .unwrap_or_default()
    }

    /// How many requests came to this unit.
    pub fn requests(&self) -> u64 {
        self.device(|device| device.asked).unwrap_or_default()
    }

    /// Sets a quantity of the world and holds it there.
    pub fn set(&self, capability: &str, value: impl Into<SimValue>) -> Result<(), SetError> {
        let value = value.into();
        self.device(|device| device.set(capability, &value)).unwrap_or(Ok(()))
    }

    /// Whether a fault can come of an order; see [`ModbusDevice::can`].
    pub fn can(&self, fault: &Fault) -> Result<(), SetError> {
        self.device(|device| device.can(fault)).unwrap_or(Ok(()))
    }

    /// Lets a quantity that was set move again.
    pub fn release(&self, capability: &str) -> Result<(), SetError> {
        self.device(|device| device.release(capability)).unwrap_or(Ok(()))
    }

    /// Lets time pass in its world.
    pub fn advance(&self, time: Duration) {
        self.device(|device| device.step(time));
    }

    /// What a coil is; `None`: there is none at this address.
    pub fn coil(&self, address: u16) -> Option<bool> {
        self.device(|device| device.coil(address)).flatten()
    }

    /// What registers (or bits, as 0 and 1) are; `None`: a read would be refused.
    pub fn registers(&self, table: Table, start: u16, count: u16) -> Option<Vec<u16>> {
        self.device(|device| device.cells(table, start, count)).flatten()
    }

    /// The newest requests to this unit.
    pub fn log(&self) -> Vec<Seen> {
        self.shared.state().log.all().into_iter().filter(|seen| seen.unit == self.unit).collect()
    }

    /// Switches a fault of this unit on. [`Fault::RefuseConnections`] and [`Fault::Reboot`] take the connections of
    /// the whole server with them.
    pub fn fault(&self, order: impl Into<Order<Fault>>) {
        self.shared.fault(&[self.unit], &order.into());
    }

    /// Switches all faults of this unit off.
    pub fn clear_faults(&self) {
        self.shared.clear_faults(&[self.unit]);
    }
}

async fn serve(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>, framing: Framing) {
    let mut refusing = shared.refusing.subscribe();
    let mut connections = JoinSet::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut listener = Some(listener);
    loop {
        let refuse = *refusing.borrow_and_update();
        match (&listener, refuse) {
            (Some(_), true) => listener = None,
            (None, false) => listener = bound(address, &shared).await,
            (Some(_), false) | (None, true) => {}
        }
        tokio::select! {
            () = shared.stop.cancelled() => break,
            changed = refusing.changed() => if changed.is_err() { break },
            Some(_) = connections.join_next() => {}
            accepted = accept(listener.as_ref(), &free) => {
                if let Some((socket, place)) = accepted {
                    let (shared, closed) = (shared.clone(), shared.state().connections.clone());
                    connections.spawn(async move {
                        let _place = place;
                        closed.run_until_cancelled(talk(socket, &shared, framing)).await;
                    });
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

type Accepted = (TcpStream, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: Option<&TcpListener>, free: &Arc<Semaphore>) -> Option<Accepted> {
    let Some(listener) = listener else { return std::future::pending().await };
    let place = free.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection to the simulated device failed");
            None
        }
    }
}

/// The listener again, after a time of refusing.
async fn bound(address: SocketAddr, shared: &Shared) -> Option<TcpListener> {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::warn!(%address, %error, "the simulated device cannot listen again yet"),
        }
        shared.stop.run_until_cancelled(tokio::time::sleep(REBIND_PAUSE)).await?;
    }
}
