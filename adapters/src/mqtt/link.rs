//! The connection to one server, and the task that keeps it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{Bus, Device, MqttServer};
use usp_mapping::port::DeviceId;

use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::ear::LinkState;
use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusCounters, count};
use crate::bus::{BusPlan, Ends, supervise};
use crate::site::{End, SharedLink};

use super::adopt;
use super::board::{Board, Order, Published};
use super::device::MqttDevice;
use super::model::{MqttModel, filters};
use super::topics::{Filters, Wanted, change};
use super::wire::{self, Arrival, CONNECT, Handle, Settings, WINDOW, Wire};

/// Pauses between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A connection that lasted this long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(10);

/// Filters of one SUBSCRIBE.
const FILTERS: usize = 64;

/// How long the server may take for the acknowledgement of subscriptions.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A server with what is shared by its devices.
#[derive(Debug)]
pub(crate) struct MqttLink {
    board: Arc<Board>,
    devices: std::sync::Mutex<BTreeMap<DeviceId, Arc<Device>>>,
    stop: DropGuard,
    tasks: Vec<JoinHandle<()>>,
}

impl MqttLink {
    /// Connects to a server, and stays connected.
    pub(crate) fn start(
        server: MqttServer,
        bus: &Bus,
        (counters, way): (&Arc<BusCounters>, &Outlet),
        runtime: &Runtime,
    ) -> Self {
        let (board, orders) = Board::new(Arc::clone(counters));
        let stop = CancellationToken::new();
        let client_id = format!("usp-broker-{:08x}", RandomState::new().hash_one("client") >> 32);
        let mut tasks = Vec::new();
        tasks.extend(adopt::start(&board, (&server, bus), &client_id, way, &stop, runtime));
        let keeper = Keeper {
            board: Arc::clone(&board),
            server,
            client_id,
            orders,
            told: None,
            jitter: Jitter::random(),
        };
        tasks.push(runtime.spawn(keeper.keep(stop.clone())));
        Self { board, devices: std::sync::Mutex::default(), stop: stop.drop_guard(), tasks }
    }
}

impl SharedLink for MqttLink {
    fn serve(&self, ends: Ends) -> End {
        let board = Arc::clone(&self.board);
        Box::pin(supervise::supervise::<MqttModel, MqttDevice>(ends, move |ends| {
            MqttDevice::new(&board, ends)
        }))
    }

    fn configure(&self, plan: &BusPlan) {
        let now: BTreeMap<DeviceId, Arc<Device>> =
            plan.devices.iter().map(|device| (device.id.clone(), Arc::clone(device))).collect();
        let mut known = self.devices.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_other = |device: &&Arc<Device>| {
            let old = known.get(&device.id);
            old.is_some_and(|old| old.address != device.address || old.mapping != device.mapping)
        };
        let others = now.values().filter(is_other).map(|device| (device.id.clone(), filters(device)));
        let others: Vec<_> = others.collect();
        *known = now;
        drop(known);
        if !others.is_empty() {
            self.board.listen_anew(others);
        }
    }

    fn stop(self: Box<Self>) -> End {
        drop(self.stop);
        let tasks = self.tasks;
        Box::pin(async move {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "the task of an MQTT connection ended badly");
                }
            }
        })
    }
}

/// Keeps the connection.
struct Keeper {
    board: Arc<Board>,
    server: MqttServer,
    client_id: String,
    orders: mpsc::Receiver<Order>,
    /// Why there was no connection the last time.
    told: Option<String>,
    jitter: Jitter,
}

impl Keeper {
    async fn keep(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let began = Instant::now();
            let Some(cause) = self.connection(&stop).await else { break };
            if began.elapsed() >= GOOD {
                backoff.reset();
            }
            self.down(&cause);
            let pause = backoff.next(&mut self.jitter);
            let waited = timeout(pause, self.refuse(&stop, &cause)).await;
            if waited.is_ok() {
                break;
            }
        }
        self.board.counters.ended();
    }

    fn down(&mut self, cause: &str) {
        let address = &self.server.address;
        if self.told.as_deref() == Some(cause) {
            tracing::debug!(%address, cause, "no connection to the MQTT server");
        } else {
            tracing::warn!(%address, cause, "no connection to the MQTT server");
            self.told = Some(cause.to_owned());
        }
        self.board.counters.down(cause);
        self.board.state.send_replace(LinkState::Down(format!("MQTT server {address}: {cause}")));
    }

    /// Answers what is ordered while there is no connection, until the end.
    async fn refuse(&mut self, stop: &CancellationToken, cause: &str) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                order = self.orders.recv() => match order {
                    // Whoever ordered it may wait no longer.
                    Some(Order::Publish(_, done)) => drop(done.send(Published::Unsent(cause.to_owned()))),
                    Some(Order::RoundTrip(_)) => {}
                    None => return stop.cancelled().await,
                },
            }
        }
    }

    /// One connection. Why it ended; `None`: it is to stop.
    async fn connection(&mut self, stop: &CancellationToken) -> Option<String> {
        let opened = tokio::select! {
            () = stop.cancelled() => return None,
            opened = self.open() => opened,
        };
        let (handle, mut wire) = match opened {
            Ok(opened) => opened,
            Err(cause) => {
                count(&self.board.counters.failed_connects);
                return Some(cause);
            }
        };
        count(&self.board.counters.connects);
        self.board.counters.up();
        self.board.forget();
        self.board.state.send_replace(LinkState::Up);
        let (board, orders) = (Arc::clone(&self.board), &mut self.orders);
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            cause = pump(&mut wire, &board) => Some(cause),
            cause = work(&handle, &board, orders) => Some(cause),
        };
        if ended.is_none() {
            handle.disconnect();
            timeout(GOODBYE, async { while wire.next().await.is_ok() {} }).await.ok();
        }
        ended
    }

    async fn open(&mut self) -> Result<(Handle, Wire), String> {
        let settings = Settings::of(&self.server, &self.client_id).await?;
        let (handle, mut wire) = wire::open(self.server.version, settings)?;
        let accepted = async {
            loop {
                if matches!(wire.next().await?, Arrival::Accepted) {
                    return Ok(());
                }
            }
        };
        match timeout(CONNECT, accepted).await {
            Ok(accepted) => accepted.map(|()| (handle, wire)),
            Err(_) => Err("the server does not answer".to_owned()),
        }
    }
}

/// Hands out what comes in. Why the connection ended.
async fn pump(wire: &mut Wire, board: &Board) -> String {
    loop {
        match wire.next().await {
            Ok(Arrival::Said(said)) => board.hand_out(&said),
            Ok(Arrival::Accepted | Arrival::Other) => {}
            Err(cause) => return cause,
        }
    }
}

/// Subscribes, then does what is ordered, and subscribes anew when others listen. Why the connection cannot go on.
async fn work(handle: &Handle, board: &Board, orders: &mut mpsc::Receiver<Order>) -> String {
    let mut wanted = board.wanted();
    let mut subscriptions = Subscriptions::default();
    let mut under_way = FuturesUnordered::new();
    wanted.mark_changed();
    loop {
        tokio::select! {
            biased;
            changed = wanted.changed() => {
                if changed.is_err() {
                    return "its bus has stopped".to_owned();
                }
                let all = Arc::clone(&wanted.borrow_and_update());
                match timeout(PATIENCE, subscriptions.adjust(handle, &all)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(cause)) => return cause,
                    Err(_) => return "the server does not acknowledge subscriptions".to_owned(),
                }
            }
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            order = orders.recv(), if under_way.len() < usize::from(WINDOW) => {
                // Whoever ordered it may wait no longer.
                let errand = match order {
                    Some(Order::Publish(publication, done)) => {
                        let sent = handle.publish(publication).await;
                        async move { drop(done.send(sent.await)) }.boxed()
                    }
                    Some(Order::RoundTrip(done)) => {
                        async move { drop(handle.round_trip().await.map(|()| done.send(()))) }.boxed()
                    }
                    None => return "its bus has stopped".to_owned(),
                };
                under_way.push(errand);
            }
        }
    }
}

/// What is subscribed to over one connection.
#[derive(Default)]
struct Subscriptions {
    held: Filters,
    newest: u64,
}

impl Subscriptions {
    /// Goes over to what is wanted. What the server refuses is told and left out: others can do without it.
    async fn adjust(&mut self, handle: &Handle, wanted: &Wanted) -> Result<(), String> {
        let change = change(&self.held, self.newest, wanted);
        self.newest = wanted.since.values().max().copied().unwrap_or(0).max(self.newest);
        for filter in &change.unsubscribe {
            self.held.remove(filter);
        }
        if !change.unsubscribe.is_empty() {
            handle.unsubscribe(change.unsubscribe).await?;
        }
        for some in change.subscribe.chunks(FILTERS) {
            for (filter, qos) in subscribe(handle, some).await? {
                self.held.insert(filter, qos);
            }
        }
        for some in change.glimpse.chunks(FILTERS) {
            let seen = subscribe(handle, some).await?;
            if !seen.is_empty() {
                handle.unsubscribe(seen.into_iter().map(|(filter, _)| filter).collect()).await?;
            }
        }
        Ok(())
    }
}

/// Those that the server accepted.
async fn subscribe(handle: &Handle, filters: &[(String, u8)]) -> Result<Vec<(String, u8)>, String> {
    let (good, bad): (Vec<_>, Vec<_>) =
        filters.iter().cloned().partition(|(filter, _)| wire::is_filter(filter));
    for (filter, _) in bad {
        tracing::warn!(filter, "no topic filter");
    }
    if good.is_empty() {
        return Ok(good);
    }
    let refused = handle.subscribe(&good).await?;
    let mut held = Vec::new();
    for (filter, refused) in good.into_iter().zip(refused) {
        match refused {
            None => held.push(filter),
            Some(why) => tracing::warn!(filter = filter.0, why, "the MQTT server refuses a subscription"),
        }
    }
    Ok(held)
}
