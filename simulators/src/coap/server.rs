//! The socket of a simulated CoAP device.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::mischief::{CoapFault, Order};
use crate::value::SimValue;

use super::device::{CoapDevice, CoapSetError};
use super::secure::{Drained, Sessions, SimPsk};
use super::serve::{Out, Seen, State};

/// How often it is looked at what has changed.
const TICK: Duration = Duration::from_millis(50);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    rebooted: Notify,
    stop: CancellationToken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To look at a device and change it while it is served.
#[derive(Clone)]
pub struct CoapHandle {
    shared: Arc<Shared>,
}

impl CoapHandle {
    /// What a quantity is.
    pub fn get(&self, name: &str) -> Option<SimValue> {
        let mut state = self.shared.state();
        state.catch_up(Instant::now().into_std());
        state.device.get(name)
    }

    /// Every quantity and what it is.
    pub fn values(&self) -> Vec<(String, SimValue)> {
        let mut state = self.shared.state();
        state.catch_up(Instant::now().into_std());
        state.device.values()
    }

    /// Sets a quantity and holds it there.
    ///
    /// Errors: there is no such quantity, or it cannot be that.
    pub fn set(&self, name: &str, value: impl Into<SimValue>) -> Result<(), CoapSetError> {
        self.shared.state().device.set(name, &value.into())?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Lets a quantity that was set move again.
    ///
    /// Errors: there is no such quantity.
    pub fn release(&self, name: &str) -> Result<(), CoapSetError> {
        self.shared.state().device.release(name)
    }

    /// Switches a fault on.
    pub fn fault(&self, order: impl Into<Order<CoapFault>>) {
        let order = order.into();
        if order.fault == CoapFault::Reboot {
            self.shared.state().reboot();
            self.shared.rebooted.notify_one();
        } else {
            self.shared.state().mischief.start(order);
        }
    }

    /// The faults that are on.
    pub fn faults(&self) -> Vec<String> {
        self.shared.state().mischief.active().iter().map(ToString::to_string).collect()
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        self.shared.state().mischief.clear();
    }

    /// Says how long what it says is fresh, in seconds.
    pub fn max_age(&self, seconds: u32) {
        self.shared.state().max_age = Some(seconds);
    }

    /// The size of its blocks: 16 to 1024 bytes, a power of two.
    pub fn block_size(&self, bytes: u32) {
        self.shared.state().exponent = bytes.clamp(16, 1024).ilog2() - 4;
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.shared.state().asked
    }

    /// The newest requests.
    pub fn log(&self) -> Vec<Seen> {
        self.shared.state().log()
    }

    /// How many are told of changes.
    pub fn observers(&self) -> usize {
        self.shared.state().observers()
    }
}

/// A device that is served. Dropping it stops it, too, at some later moment.
pub struct CoapServer {
    handle: CoapHandle,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl CoapServer {
    /// Serves a device whose time passes; with a key, over DTLS.
    ///
    /// Errors: the address cannot be had.
    pub async fn bind(address: SocketAddr, device: CoapDevice, psk: Option<SimPsk>) -> io::Result<Self> {
        Self::start(address, State::new(device, Some(Instant::now().into_std())), psk).await
    }

    /// Serves a device whose time stands still: only what is set changes.
    ///
    /// Errors: the address cannot be had.
    pub async fn bind_still(
        address: SocketAddr,
        device: CoapDevice,
        psk: Option<SimPsk>,
    ) -> io::Result<Self> {
        Self::start(address, State::new(device, None), psk).await
    }

    async fn start(address: SocketAddr, state: State, psk: Option<SimPsk>) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
            rebooted: Notify::new(),
            stop: CancellationToken::new(),
        });
        let handle = CoapHandle { shared: Arc::clone(&shared) };
        let mut serving = Serving { socket, shared, sessions: psk.map(Sessions::new), outs: Vec::new() };
        let task = tokio::spawn(async move { serving.run().await });
        Ok(Self { handle, address, task })
    }

    /// Where it is.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// To look at it and change it.
    pub fn handle(&self) -> CoapHandle {
        self.handle.clone()
    }

    /// Closes its socket and returns when it is closed.
    pub async fn stop(mut self) {
        self.handle.shared.stop.cancel();
        // It ends by itself; a panic in it was shown already.
        (&mut self.task).await.ok();
    }
}

impl Drop for CoapServer {
    fn drop(&mut self) {
        self.handle.shared.stop.cancel();
    }
}

struct Serving {
    socket: UdpSocket,
    shared: Arc<Shared>,
    sessions: Option<Sessions>,
    outs: Vec<Out>,
}

impl Serving {
    async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut buffer = vec![0; 4096];
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            self.flush().await;
            let due = self.outs.iter().map(|out| out.at).min();
            let due = due.map_or_else(|| Instant::now() + TICK, Instant::from_std);
            tokio::select! {
                () = shared.stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => {
                    // An error is that of a datagram that was sent: whoever it was for is gone.
                    if let Ok((length, peer)) = received {
                        self.hear(peer, buffer.get(..length).unwrap_or_default()).await;
                    }
                }
                () = shared.rebooted.notified() => {
                    if let Some(sessions) = &mut self.sessions {
                        sessions.clear();
                    }
                    self.outs.clear();
                }
                () = shared.changed.notified() => self.tell(true),
                _ = ticks.tick() => {
                    self.tell(false);
                    let now = Instant::now().into_std();
                    let drained = self.sessions.as_mut().map(|sessions| sessions.tick(now));
                    self.pass_on(drained.unwrap_or_default()).await;
                }
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn tell(&mut self, all: bool) {
        let outs = self.shared.state().tell(Instant::now().into_std(), all);
        self.outs.extend(outs);
    }

    async fn hear(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let now = Instant::now().into_std();
        let (silent, wrong) = {
            let state = self.shared.state();
            let has = |wanted: CoapFault| state.mischief.has(|fault| *fault == wanted);
            (has(CoapFault::Silent), has(CoapFault::WrongKey))
        };
        let Some(sessions) = &mut self.sessions else {
            let outs = self.shared.state().hear(now, peer, bytes);
            self.outs.extend(outs);
            // What was written may be of interest to others.
            self.tell(true);
            return;
        };
        if silent && bytes.first() == Some(&22) {
            return;
        }
        let drained = sessions.hear(now, peer, bytes, wrong);
        self.pass_on(drained).await;
    }

    /// Sends what sessions have to send, and answers what they have heard.
    async fn pass_on(&mut self, drained: Drained) {
        for (peer, packet) in drained.packets {
            self.socket.send_to(&packet, peer).await.ok();
        }
        let now = Instant::now().into_std();
        for (peer, message) in drained.messages {
            let outs = self.shared.state().hear(now, peer, &message);
            self.outs.extend(outs);
            self.tell(true);
        }
    }

    async fn flush(&mut self) {
        let now = Instant::now().into_std();
        let due: Vec<Out> = self.outs.extract_if(.., |out| out.at <= now).collect();
        for out in due {
            match &mut self.sessions {
                // Whoever it is for may be gone.
                None => drop(self.socket.send_to(&out.bytes, out.peer).await),
                Some(sessions) => {
                    let drained = sessions.say(now, out.peer, &out.bytes);
                    for (peer, packet) in drained.packets {
                        self.socket.send_to(&packet, peer).await.ok();
                    }
                }
            }
        }
    }
}
