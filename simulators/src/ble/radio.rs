//! Runs a fake `bluetoothd` on a bus of its own, with devices in the air around it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream};

use super::bluez::{Ask, Bluez, Call, Out, Signal};
use super::bus::{BusError, PrivateBus};
use super::device::{At, BleDevice, Pairing};
use crate::mischief::{BleFault, Order};
use crate::near::hint;

/// How often it is looked at what has become due.
const TICK: Duration = Duration::from_millis(20);

/// How long an agent may think.
const AGENT: Duration = Duration::from_secs(60);

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

struct Shared {
    bluez: Mutex<Bluez>,
    /// Something is to be looked at before the next tick.
    changed: Notify,
    stop: CancellationToken,
}

impl Shared {
    fn bluez(&self) -> MutexGuard<'_, Bluez> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.bluez.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, fault: &BleFault) -> bool {
        self.bluez().faults.has(|on| on == fault)
    }
}

/// To look at the devices and change them while they are in the air.
#[derive(Clone)]
pub struct RadioHandle {
    shared: Arc<Shared>,
}

/// Why something cannot be done with a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RadioError {
    /// There is no such device.
    #[error("no device {0:?}; there are: {1}{meant}", meant = hint(.0, .1))]
    NoDevice(String, String),
    /// The device says why.
    #[error("{0}")]
    Refused(String),
}

impl RadioHandle {
    /// A value of a device, as text.
    pub fn get(&self, device: &str, name: &str) -> Option<String> {
        let bluez = self.shared.bluez();
        bluez.peers.iter().find(|peer| peer.key == device)?.device.get(name)
    }

    /// Holds a value of a device, which says so at once.
    ///
    /// Errors: there is no such device or value, or it cannot be that.
    pub fn set(&self, device: &str, name: &str, value: &str) -> Result<(), RadioError> {
        let mut bluez = self.shared.bluez();
        let now = Instant::now();
        let peer = found(&mut bluez, device)?;
        peer.device.set(name, value).map_err(RadioError::Refused)?;
        peer.hurry(now);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Lets a value move again.
    ///
    /// Errors: there is no such device or value.
    pub fn release(&self, device: &str, name: &str) -> Result<(), RadioError> {
        found(&mut self.shared.bluez(), device)?.device.release(name).map_err(RadioError::Refused)
    }

    /// Every value of a device; empty: there is no such device.
    pub fn values(&self, device: &str) -> Vec<(String, String)> {
        let bluez = self.shared.bluez();
        let Some(peer) = bluez.peers.iter().find(|peer| peer.key == device) else { return Vec::new() };
        let value = |name: String| peer.device.get(&name).map(|value| (name, value));
        peer.device.names().into_iter().filter_map(value).collect()
    }

    /// The newest writes to a device: the characteristic's UUID and the bytes.
    pub fn written(&self, device: &str) -> Vec<(String, Vec<u8>)> {
        let bluez = self.shared.bluez();
        let written = bluez.peers.iter().find(|peer| peer.key == device).map(super::peer::Peer::written);
        let said = |(at, value): (At, Vec<u8>)| (at.characteristic.to_string(), value);
        written.unwrap_or_default().into_iter().map(said).collect()
    }

    /// How many links a device has had, and whether it has one.
    pub fn links(&self, device: &str) -> (u32, bool) {
        let bluez = self.shared.bluez();
        let peer = bluez.peers.iter().find(|peer| peer.key == device);
        peer.map_or((0, false), |peer| (peer.links, peer.linked))
    }

    /// Whether keys were exchanged with a device.
    pub fn is_paired(&self, device: &str) -> bool {
        self.shared.bluez().peers.iter().any(|peer| peer.key == device && peer.bonded)
    }

    /// Switches a fault on: of a device, or what happens to the radio.
    ///
    /// Errors: there is no such device.
    pub fn fault(&self, device: &str, order: impl Into<Order<BleFault>>) -> Result<(), RadioError> {
        let order = order.into();
        let mut bluez = self.shared.bluez();
        if order.fault.is_of_radio() {
            bluez.faults.start(order);
        } else {
            let number = bluez.peers.iter().position(|peer| peer.key == device);
            let peer = found(&mut bluez, device)?;
            match order.fault {
                BleFault::Reboot => peer.device.reboot(),
                BleFault::Disconnect => {}
                _ => peer.faults.start(order.clone()),
            }
            if let (BleFault::Reboot | BleFault::Disconnect, Some(number)) = (order.fault, number) {
                bluez.drop_link(number);
            }
        }
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Ends all faults of a device, and of the radio.
    ///
    /// Errors: there is no such device.
    pub fn clear(&self, device: &str) -> Result<(), RadioError> {
        let mut bluez = self.shared.bluez();
        let now = Instant::now();
        let peer = found(&mut bluez, device)?;
        peer.faults.clear();
        peer.hurry(now);
        bluez.faults.clear();
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Switches on what happens to the radio; a fault of devices is one of all of them.
    pub fn fault_all(&self, order: impl Into<Order<BleFault>>) {
        let order = order.into();
        for device in self.devices() {
            // It was there a moment ago, and none ever goes.
            self.fault(&device, order.clone()).ok();
        }
    }

    /// Ends all faults.
    pub fn clear_all(&self) {
        self.devices().iter().for_each(|device| drop(self.clear(device)));
    }

    /// What is wrong with a device or with the radio.
    pub fn faults(&self, device: &str) -> Vec<String> {
        let bluez = self.shared.bluez();
        let of_device =
            bluez.peers.iter().filter(|peer| peer.key == device).flat_map(|peer| peer.faults.active());
        of_device.chain(bluez.faults.active()).map(ToString::to_string).collect()
    }

    /// The keys of all devices.
    pub fn devices(&self) -> Vec<String> {
        self.shared.bluez().peers.iter().map(|peer| peer.key.clone()).collect()
    }

    /// What has to be typed to pair with a device; `None`: nothing.
    pub fn passkey(&self, device: &str) -> Option<u32> {
        let bluez = self.shared.bluez();
        match bluez.peers.iter().find(|peer| peer.key == device)?.device.pairing() {
            Pairing::Passkey(passkey) => Some(passkey),
            Pairing::None | Pairing::JustWorks => None,
        }
    }

    /// The address of a device, as `A4:C1:38:11:22:33`.
    pub fn mac(&self, device: &str) -> Option<String> {
        let bluez = self.shared.bluez();
        let peer = bluez.peers.iter().find(|peer| peer.key == device)?;
        Some(peer.device.mac().to_string())
    }
}

fn found<'b>(bluez: &'b mut Bluez, device: &str) -> Result<&'b mut super::peer::Peer, RadioError> {
    let names: Vec<String> = bluez.peers.iter().map(|peer| peer.key.clone()).collect();
    let wrong = || RadioError::NoDevice(device.to_owned(), names.join(", "));
    bluez.peers.iter_mut().find(|peer| peer.key == device).ok_or_else(wrong)
}

/// A bus with a fake BlueZ. Dropping it ends both.
pub struct Radio {
    handle: RadioHandle,
    address: String,
    task: Option<JoinHandle<()>>,
}

impl Radio {
    /// Starts a bus in a folder, or in a temporary one, and BlueZ with these devices, each with its key.
    ///
    /// Errors: there is no bus to be had.
    pub async fn start(
        dir: Option<&Path>,
        devices: Vec<(String, Box<dyn BleDevice>)>,
    ) -> Result<Self, BusError> {
        let bus = PrivateBus::start(dir).await?;
        let address = bus.address();
        let shared = Arc::new(Shared {
            bluez: Mutex::new(Bluez::new(devices, Instant::now())),
            changed: Notify::new(),
            stop: CancellationToken::new(),
        });
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let handle = RadioHandle { shared: Arc::clone(&shared) };
        let task = tokio::spawn(run(shared, bus, ready));
        // Without an answer the task has ended, and nobody will ever be heard: the caller sees that in its first call.
        is_ready.await.ok();
        Ok(Self { handle, address, task: Some(task) })
    }

    /// What libdbus wants in `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The devices.
    pub fn handle(&self) -> RadioHandle {
        self.handle.clone()
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.handle.shared.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.ok();
        }
    }
}

impl Drop for Radio {
    fn drop(&mut self) {
        self.handle.shared.stop.cancel();
    }
}

/// Keeps the daemon running, and lets it crash as often as it is told to.
async fn run(shared: Arc<Shared>, mut bus: PrivateBus, ready: tokio::sync::oneshot::Sender<()>) {
    let mut ready = Some(ready);
    while !shared.stop.is_cancelled() {
        if shared.has(&BleFault::DbusKilled) {
            bus.kill().await;
        } else if let Err(error) = bus.revive().await {
            tracing::warn!("the simulated bus: {error}");
        } else if !shared.has(&BleFault::BluetoothdKilled) {
            match connect(&bus).await {
                Ok((connection, messages)) => {
                    shared.bluez().restart();
                    ready.take().map(|ready| ready.send(()));
                    serve(&shared, &mut bus, &connection, messages).await;
                    continue;
                }
                Err(error) => tracing::warn!("the simulated BlueZ: {error}"),
            }
        }
        // Devices live on.
        shared.bluez().live(Instant::now());
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = shared.changed.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

async fn connect(bus: &PrivateBus) -> zbus::Result<(Connection, MessageStream)> {
    let connection = zbus::connection::Builder::address(bus.address().as_str()).build().await?;
    let messages = MessageStream::from(&connection);
    let rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
    let daemon = Some("org.freedesktop.DBus");
    connection.call_method(daemon, "/org/freedesktop/DBus", daemon, "AddMatch", &rule).await?;
    connection.request_name("org.bluez").await?;
    Ok((connection, messages))
}

/// Until the bus or the daemon crashes, or all ends.
async fn serve(
    shared: &Arc<Shared>,
    bus: &mut PrivateBus,
    connection: &Connection,
    mut messages: MessageStream,
) {
    let (answers, mut answered) = mpsc::channel::<(String, Result<u32, String>)>(8);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frozen = false;
    loop {
        if shared.has(&BleFault::BluetoothdKilled) || shared.has(&BleFault::DbusKilled) {
            return;
        }
        let bus_hangs = shared.has(&BleFault::DbusHung);
        if frozen != bus_hangs {
            frozen = bus_hangs;
            bus.freeze(frozen).await;
        }
        let hangs = frozen || shared.has(&BleFault::BluetoothdHung);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.changed.notified() => {}
            _ = tick.tick() => {}
            message = messages.next(), if !hangs => match message {
                Some(Ok(message)) => hear(shared, &message),
                Some(Err(_)) => {}
                None => return,
            },
            Some((device, said)) = answered.recv() => shared.bluez().agent_said(&device, said),
        }
        let out = {
            let mut bluez = shared.bluez();
            if hangs {
                bluez.live(Instant::now())
            } else {
                bluez.tick(Instant::now())
            }
            bluez.take()
        };
        for out in out {
            if send(connection, out, &answers).await.is_err() {
                return;
            }
        }
    }
}

fn hear(shared: &Shared, message: &Message) {
    if let Some(call) = Call::of(message) {
        return shared.bluez().call(call);
    }
    let is_news = message.message_type() == Type::Signal
        && message.header().member().is_some_and(|member| *member == "NameOwnerChanged");
    if is_news
        && let Ok((name, _, new)) = message.body().deserialize::<(String, String, String)>()
        && new.is_empty()
    {
        shared.bluez().left(&name);
    }
}

async fn send(
    connection: &Connection,
    out: Out,
    answers: &mpsc::Sender<(String, Result<u32, String>)>,
) -> zbus::Result<()> {
    match out {
        Out::Reply(call, body) => {
            let reply = body.build(Message::method_return(&call.header()))?;
            connection.send(&reply).await
        }
        Out::Error(call, refusal) => {
            connection.reply_error(&call.header(), refusal.name, &refusal.text).await
        }
        Out::Signal(Signal::Changed { path, interface, props, gone }) => {
            let nobody = None::<zbus::names::BusName<'_>>;
            let body = (interface, props, gone);
            connection.emit_signal(nobody, path, PROPERTIES, "PropertiesChanged", &body).await
        }
        Out::Signal(Signal::Added { path, interfaces }) => {
            let body = (zbus::OwnedObjectPath::try_from(path)?, interfaces);
            connection
                .emit_signal(None::<zbus::names::BusName<'_>>, "/", OBJECTS, "InterfacesAdded", &body)
                .await
        }
        Out::Signal(Signal::Removed { path, interfaces }) => {
            let body = (zbus::OwnedObjectPath::try_from(path)?, interfaces);
            connection
                .emit_signal(None::<zbus::names::BusName<'_>>, "/", OBJECTS, "InterfacesRemoved", &body)
                .await
        }
        Out::Ask(ask) => {
            tokio::spawn(asked(connection.clone(), ask, answers.clone()));
            Ok(())
        }
    }
}

/// Asks an agent for a passkey.
async fn asked(connection: Connection, ask: Ask, answers: mpsc::Sender<(String, Result<u32, String>)>) {
    let Ok(device) = zbus::OwnedObjectPath::try_from(ask.device.clone()) else { return };
    let call = connection.call_method(
        Some(ask.client),
        ask.agent,
        Some("org.bluez.Agent1"),
        "RequestPasskey",
        &device,
    );
    let said = match tokio::time::timeout(AGENT, call).await {
        Ok(Ok(reply)) => reply.body().deserialize::<u32>().map_err(|error| error.to_string()),
        Ok(Err(zbus::Error::MethodError(name, ..))) => Err(name.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("org.bluez.Error.Canceled".to_owned()),
    };
    // Nobody waits any more when the daemon has crashed meanwhile.
    answers.send((ask.device, said)).await.ok();
}
