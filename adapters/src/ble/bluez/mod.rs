//! BlueZ over D-Bus: a session with one radio.
//!
//! A thread of its own drives both connections of a session to D-Bus, ours and that of `btleplug`: making one blocks, and of
//! neither can it be said how much it has to read. What is read is handed on at once to whoever listens, and never kept here.
//! When the session is dropped the thread ends, and with it everything that `btleplug` has started.

mod agent;
mod fault;
mod gatt;
mod signals;

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use btleplug::api::{Central, Manager as _};
use btleplug::platform::{Adapter, Manager};
use dbus::Path;
use dbus::arg::{PropMap, RefArg, Variant, prop_cast};
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{Proxy, SyncConnection};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use usp_mapping::mapping::{BleAdapter, Mac};

use self::agent::Agent;
pub(super) use self::agent::PAIRING;
pub(super) use self::fault::Fault;
pub(super) use self::gatt::{Notifications, Peer};
use self::signals::Signals;
pub(super) use self::signals::{Advert, Hears};
use super::vigil::Event;

pub(super) const BLUEZ: &str = "org.bluez";
pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const DEVICE: &str = "org.bluez.Device1";

/// Longest time until D-Bus has let us in.
const OPEN: Duration = Duration::from_secs(10);

/// Longest time for what BlueZ can answer by itself.
pub(super) const CALL: Duration = Duration::from_secs(5);

/// Longest time for what BlueZ can answer at once while somebody waits for it. A bluetoothd that only is slow on a busy machine must not
/// lose its session, and whoever waits is to be told why before they go away (10 s on the command line).
const PATIENCE: Duration = Duration::from_secs(6);

/// What is said when it does not.
pub(super) const HANGS: &str = "BlueZ does not answer: bluetoothd or D-Bus hangs";

/// What is said when the connection to D-Bus has ended.
const LOST: &str = "the connection to D-Bus is lost";

/// Most devices that D-Bus is told of one by one: it admits 512 rules for each connection.
const RULES: usize = 400;

/// Objects of BlueZ with their interfaces and properties.
type Objects = HashMap<Path<'static>, HashMap<String, PropMap>>;

/// Opens sessions, and knows whether one is still being opened: while D-Bus hangs that never ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Door(Arc<AtomicBool>);

/// A session with BlueZ.
#[derive(Debug)]
pub(super) struct Session {
    wire: Wire,
    hears: Arc<dyn Hears>,
    radio: Mutex<Option<Radio>>,
    /// What D-Bus was asked to tell.
    rules: tokio::sync::Mutex<BTreeSet<String>>,
    signals: Arc<Signals>,
    agent: Arc<Agent>,
    /// It was told that nothing is answered.
    hung: AtomicBool,
    /// Ends the thread.
    _stop: DropGuard,
}

/// The connections to D-Bus.
struct Wire {
    bus: Arc<SyncConnection>,
    manager: Manager,
    /// That of the thread.
    runtime: Handle,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// Has `btleplug` do something, in the session's thread: what it listens to meanwhile it takes back where it is dropped, in a
    /// task that panics when D-Bus is gone, as the thread has then; and it panics itself over some things that BlueZ may say.
    ///
    /// Errors: it came to no end.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        AbortOnDropHandle::new(self.runtime.spawn(work)).await.map_err(|error| {
            if error.is_panic() {
                tracing::error!("the Bluetooth library failed over what BlueZ says");
                "the Bluetooth library failed over what BlueZ says of it".to_owned()
            } else {
                LOST.to_owned()
            }
        })
    }
}

/// The radio that was found.
#[derive(Clone, Debug)]
struct Radio {
    path: Path<'static>,
    central: Adapter,
}

impl Door {
    /// Makes the connections. Whatever happens to them is told by `events`, what is heard goes to `hears`.
    ///
    /// Errors: why they cannot be made.
    pub(super) async fn open(
        &self,
        hears: Arc<dyn Hears>,
        events: mpsc::Sender<Event>,
    ) -> Result<Session, String> {
        if self.0.swap(true, Ordering::AcqRel) {
            return Err("D-Bus does not answer".to_owned());
        }
        let (ready, opened) = oneshot::channel();
        let (stop, opening, lost) = (CancellationToken::new(), Arc::clone(&self.0), events.clone());
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("ble-dbus".to_owned());
        let started = thread.spawn(move || {
            let driven = catch_unwind(AssertUnwindSafe(|| drive(&opening, ready, stopped, &lost)));
            opening.store(false, Ordering::Release);
            if driven.is_err() {
                let why = "an internal error ended the connection to D-Bus";
                tracing::error!("{why}");
                // Whoever keeps the scan may be gone.
                drop(lost.blocking_send(Event::Lost(why.to_owned())));
            }
        });
        if let Err(error) = started {
            self.0.store(false, Ordering::Release);
            return Err(format!("no thread can be started: {error}"));
        }
        let wire = match timeout(OPEN, opened).await {
            Ok(Ok(wire)) => wire?,
            Ok(Err(_)) => return Err("the thread of D-Bus has ended".to_owned()),
            Err(_) => return Err("D-Bus does not answer".to_owned()),
        };
        let signals = Arc::new(Signals::new(Arc::clone(&hears), events));
        signals.listen(&wire.bus);
        let agent = Arc::new(Agent::default());
        Arc::clone(&agent).serve(&wire.bus);
        Ok(Session {
            wire,
            hears,
            radio: Mutex::new(None),
            rules: tokio::sync::Mutex::new(BTreeSet::new()),
            signals,
            agent,
            hung: AtomicBool::new(false),
            _stop: stop.drop_guard(),
        })
    }
}

/// The thread: makes the connections, and drives them until it is to stop or they are lost.
fn drive(
    opening: &AtomicBool,
    ready: oneshot::Sender<Result<Wire, String>>,
    stop: CancellationToken,
    events: &mpsc::Sender<Event>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let told = std::env::var("DBUS_SYSTEM_BUS_ADDRESS");
        let place = told.map_or_else(|_| String::new(), |at| format!(" at DBUS_SYSTEM_BUS_ADDRESS={at}"));
        let no_bus = |error: &dyn std::fmt::Display| {
            format!("there is no D-Bus{place}: {}", fault::of_bus(&error.to_string()))
        };
        let made = match dbus_tokio::connection::new_system_sync() {
            Ok((resource, bus)) => Manager::new()
                .await
                .map(|manager| (resource, Wire { bus, manager, runtime: Handle::current() }))
                .map_err(|error| no_bus(&error)),
            Err(error) => Err(no_bus(&error.message().unwrap_or("it cannot be reached"))),
        };
        opening.store(false, Ordering::Release);
        let resource = match made {
            Ok((resource, wire)) => match ready.send(Ok(wire)) {
                Ok(()) => resource,
                // Nobody waits any more.
                Err(_) => return,
            },
            Err(why) => {
                drop(ready.send(Err(why)));
                return;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            error = resource => {
                tracing::debug!(%error, "{LOST}");
                drop(events.send(Event::Lost(LOST.to_owned())).await);
            }
        }
    });
}

impl Session {
    fn proxy<'p>(&self, path: impl Into<Path<'p>>, within: Duration) -> Proxy<'p, Arc<SyncConnection>> {
        Proxy::new(BLUEZ, path, within, Arc::clone(&self.wire.bus))
    }

    /// Everything that BlueZ knows.
    async fn objects(&self) -> Result<Objects, String> {
        let proxy = self.proxy("/", CALL);
        proxy.get_managed_objects().await.map_err(|error| fault::words(&error))
    }

    /// Finds the radio and starts to scan, after ending the scan that there may be.
    ///
    /// Errors: why that cannot be, in the user's words.
    pub(super) async fn start(&self, adapter: &BleAdapter, again: bool) -> Result<(), String> {
        self.rule(signals::SERVICE_RULE).await?;
        // When there is a radio that was not there, that is told.
        self.rule(signals::ADDED_RULE).await?;
        let objects = self.objects().await?;
        let path = radio_in(&objects, adapter)?;
        let properties = objects.get(&path).and_then(|object| object.get(ADAPTER));
        let powered = properties.and_then(|known| prop_cast::<bool>(known, "Powered")).copied();
        if powered != Some(true) {
            // When it is switched on, that is told.
            self.rule(&signals::radio_rule(&path)).await?;
            self.signals.set_radio(&path);
            return Err(format!("the radio {adapter} is switched off"));
        }
        let central = self.central(&path).await?;
        *locked(&self.radio) = Some(Radio { path: path.clone(), central });
        self.signals.set_radio(&path);
        self.rule(&signals::radio_rule(&path)).await?;
        self.rule(&signals::removed_rule(&path)).await?;
        self.listen().await?;
        self.tell_known(&objects, &path);
        self.agent.register(&self.wire.bus).await;
        self.discover(&path, again).await
    }

    /// The same radio as `btleplug` has it.
    async fn central(&self, path: &Path<'_>) -> Result<Adapter, String> {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (manager, wanted) = (self.wire.manager.clone(), name.clone());
        let found = self.wire.run(async move {
            for central in manager.adapters().await.map_err(|error| error.to_string())? {
                let info = central.adapter_info().await;
                if info.is_ok_and(|info| info.split(' ').next() == Some(&*wanted)) {
                    return Ok(central);
                }
            }
            Err(format!("the radio {wanted} is not there any more"))
        });
        timeout(2 * CALL, found).await.map_err(|_| "BlueZ does not answer".to_owned())??
    }

    async fn discover(&self, path: &Path<'static>, again: bool) -> Result<(), String> {
        let proxy = self.proxy(path.clone(), CALL);
        if again {
            // There may be none to end.
            drop(proxy.method_call::<(), _, _, _>(ADAPTER, "StopDiscovery", ()).await);
        }
        let mut filter: PropMap = HashMap::new();
        let variant = |value: Box<dyn RefArg>| Variant(value);
        filter.insert("Transport".to_owned(), variant(Box::new("le".to_owned())));
        // Each advertisement is told then, with its own data alone: otherwise BlueZ adds them to those of others before.
        filter.insert("DuplicateData".to_owned(), variant(Box::new(true)));
        let refused = |error: dbus::Error| format!("the radio does not scan: {}", fault::words(&error));
        proxy.method_call::<(), _, _, _>(ADAPTER, "SetDiscoveryFilter", (filter,)).await.map_err(refused)?;
        match proxy.method_call::<(), _, _, _>(ADAPTER, "StartDiscovery", ()).await {
            Err(error) if error.name() != Some("org.bluez.Error.InProgress") => Err(refused(error)),
            _ => Ok(()),
        }
    }

    /// Has D-Bus tell what is advertised of the devices that are wanted.
    pub(super) async fn listen(&self) -> Result<(), String> {
        let Some(radio) = locked(&self.radio).clone() else { return Ok(()) };
        let wanted = self.hears.wanted().filter(|wanted| wanted.len() <= RULES);
        let rules: BTreeSet<String> = match wanted {
            Some(wanted) => wanted.iter().map(|mac| signals::device_rule(&radio.path, *mac)).collect(),
            None => [signals::all_rule(&radio.path)].into(),
        };
        let mut known = self.rules.lock().await;
        let is_of_devices = |rule: &&String| signals::is_of_devices(rule);
        let old: Vec<String> =
            known.iter().filter(is_of_devices).filter(|rule| !rules.contains(*rule)).cloned().collect();
        for rule in old {
            // Telling too much does no harm.
            drop(timeout(CALL, self.wire.bus.remove_match_no_cb(&rule)).await);
            known.remove(&rule);
        }
        drop(known);
        for rule in rules {
            self.rule(&rule).await?;
        }
        Ok(())
    }

    /// Has D-Bus tell something, once.
    async fn rule(&self, rule: &str) -> Result<(), String> {
        let mut rules = self.rules.lock().await;
        if !rules.contains(rule) {
            let added = timeout(CALL, self.wire.bus.add_match_no_cb(rule)).await;
            added.map_err(|_| "D-Bus does not answer".to_owned())?.map_err(|error| fault::words(&error))?;
            rules.insert(rule.to_owned());
        }
        Ok(())
    }

    /// Which devices are connected, be it by somebody else, and what BlueZ remembers of them.
    fn tell_known(&self, objects: &Objects, radio: &Path<'_>) {
        let mut connected = BTreeSet::new();
        for (path, interfaces) in objects {
            let Some(mac) = signals::device_of(radio, path) else { continue };
            let Some(properties) = interfaces.get(DEVICE) else { continue };
            if prop_cast::<bool>(properties, "Connected") == Some(&true) {
                connected.insert(mac);
            }
            self.hears.remember(mac, signals::remembered(properties));
        }
        self.hears.are_connected(&connected);
    }

    /// Whether the radio scans; `None`: that cannot be found out.
    pub(super) async fn look(&self) -> Option<bool> {
        self.is_discovering(CALL).await
    }

    async fn is_discovering(&self, within: Duration) -> Option<bool> {
        let radio = locked(&self.radio).clone()?;
        let proxy = self.proxy(radio.path, within);
        proxy.get::<bool>(ADAPTER, "Discovering").await.ok()
    }

    /// Whether BlueZ answers what it can answer at once; otherwise the session is given up.
    pub(super) async fn answers(&self) -> bool {
        // Any answer is one, be it an error; the call's own limit is none.
        let answers = timeout(PATIENCE, self.is_discovering(2 * PATIENCE)).await.is_ok();
        // What others of this session find out later says nothing of the next one.
        if !answers && !self.hung.swap(true, Ordering::AcqRel) {
            self.signals.tell(Event::Lost(HANGS.to_owned()));
        }
        answers
    }

    /// Ends the scan.
    pub(super) async fn stop(&self) {
        let Some(radio) = locked(&self.radio).clone() else { return };
        let proxy = self.proxy(radio.path, CALL);
        // It ends with the connection anyhow.
        drop(proxy.method_call::<(), _, _, _>(ADAPTER, "StopDiscovery", ()).await);
    }

    fn device_path(&self, mac: Mac) -> Option<Path<'static>> {
        let radio = locked(&self.radio).clone()?;
        Path::new(signals::path_of(&radio.path, mac)).ok()
    }
}

/// The radio that a site means.
fn radio_in(objects: &Objects, wanted: &BleAdapter) -> Result<Path<'static>, String> {
    let mut known = Vec::new();
    for (path, interfaces) in objects {
        let Some(properties) = interfaces.get(ADAPTER) else { continue };
        let name = path.rsplit('/').next().unwrap_or_default();
        let address = prop_cast::<String>(properties, "Address").and_then(|text| Mac::parse(text));
        let is_it = match wanted {
            BleAdapter::Name(wanted) => wanted == name,
            BleAdapter::Address(wanted) => Some(*wanted) == address,
        };
        if is_it {
            return Ok(path.clone());
        }
        known.push(name.to_owned());
    }
    known.sort();
    Err(match known.as_slice() {
        [] => format!("there is no radio {wanted}, nor any other"),
        known => format!("there is no radio {wanted}; there is {}", known.join(", ")),
    })
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after each operation: a panic elsewhere says nothing about it.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
