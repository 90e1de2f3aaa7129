//! The task that keeps a coordinator.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{Bus, ZigbeeBus, ZigbeeFlow, ZigbeeNcp, ZigbeePort};
use usp_mapping::port::{BusCall, BusReport};

use super::board::Board;
use super::clerk::Clerk;
use super::device::ZigbeeDevice;
use super::kept;
use super::members::{Member, Members};
use super::model::ZigbeeModel;
use super::ncp::{self, Coordinator, Ieee, NcpEvent, NcpFault, NcpKind, NcpPort, PortFlow, Way};
use super::session::Session;
use crate::FromAdapter;
use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusCounters, count};
use crate::bus::{BusPlan, Ends, supervise};
use crate::keeper::Keeper;
use crate::site::{End, SharedLink};

/// Pauses between attempts to open a coordinator: whoever plugs one in again waits for it.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A coordinator that was there for so long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(30);

/// Calls to the bus that may wait.
const ORDERS: usize = 16;

/// Events of a coordinator that may wait.
const EVENTS: usize = 256;

/// A coordinator that was opened, or why there is none.
pub(super) type Opened = Result<Arc<dyn Coordinator>, NcpFault>;

/// How a coordinator is opened.
pub(super) type Open = Arc<
    dyn Fn(NcpPort, mpsc::Sender<NcpEvent>) -> Pin<Box<dyn Future<Output = Opened> + Send>> + Send + Sync,
>;

/// Opens what is there.
pub(super) fn opener() -> Open {
    Arc::new(|port, events| Box::pin(async move { ncp::open(&port, events).await }))
}

/// A coordinator and its network, with what is shared by the devices in it.
#[derive(Debug)]
pub(crate) struct ZigbeeLink {
    board: Arc<Board>,
    orders: mpsc::Sender<BusCall>,
    stop: DropGuard,
    tasks: Vec<JoinHandle<()>>,
}

impl ZigbeeLink {
    /// Opens a coordinator, and keeps its network.
    pub(crate) fn start(
        zigbee: ZigbeeBus,
        bus: &Bus,
        (counters, way): (&Arc<BusCounters>, &Outlet),
        (runtime, keeper): (&Runtime, &Arc<dyn Keeper>),
    ) -> Self {
        Self::start_with(opener(), zigbee, bus, (counters, way), (runtime, keeper), false)
    }

    /// What its devices share with it.
    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// The same, with a coordinator that is opened in another way; or one that is only looked at.
    pub(super) fn start_with(
        open: Open,
        zigbee: ZigbeeBus,
        bus: &Bus,
        (counters, way): (&Arc<BusCounters>, &Outlet),
        (runtime, keeper): (&Runtime, &Arc<dyn Keeper>),
        only_looks: bool,
    ) -> Self {
        let members = Members::kept(known(keeper.as_ref(), &bus.name));
        let board = Board::new(&bus.name, Arc::clone(counters), members, only_looks);
        let (orders, taken) = mpsc::channel(ORDERS);
        let stop = CancellationToken::new();
        let clerk = Clerk::new(&board, bus, zigbee.adopt, keeper, way);
        let warden = Warden {
            board: Arc::clone(&board),
            open,
            port: port_of(&zigbee),
            zigbee,
            keeper: Arc::clone(keeper),
            orders: taken,
            way: way.anew(),
            purpose: clerk.purpose(),
            only_looks,
            told: None,
            jitter: Jitter::random(),
        };
        let tasks = vec![runtime.spawn(warden.keep(stop.clone())), runtime.spawn(clerk.run(stop.clone()))];
        Self { board, orders, stop: stop.drop_guard(), tasks }
    }
}

/// Who was in the network when it was kept.
fn known(keeper: &dyn Keeper, bus: &str) -> Vec<(Ieee, Member)> {
    let member = |(key, value): (String, Vec<u8>)| {
        let address = usp_mapping::mapping::Ieee::parse(key.strip_prefix(kept::DEVICE)?)?;
        Some((Ieee(address.0), kept::read_member(&value)?))
    };
    keeper.all(bus).into_iter().filter_map(member).collect()
}

fn port_of(zigbee: &ZigbeeBus) -> NcpPort {
    let kind = zigbee.ncp.map(|ncp| match ncp {
        ZigbeeNcp::Ezsp => NcpKind::Ezsp,
        ZigbeeNcp::Znp => NcpKind::Znp,
    });
    let way = match &zigbee.port {
        ZigbeePort::Tcp(address) => Way::Tcp(address.clone()),
        ZigbeePort::Serial { port, baud, flow } => Way::Serial {
            path: port.clone(),
            baud: *baud,
            flow: match flow {
                ZigbeeFlow::None => PortFlow::None,
                ZigbeeFlow::Hardware => PortFlow::Hardware,
                ZigbeeFlow::Software => PortFlow::Software,
            },
        },
    };
    NcpPort { way, kind }
}

impl SharedLink for ZigbeeLink {
    fn serve(&self, ends: Ends) -> End {
        let board = Arc::clone(&self.board);
        Box::pin(supervise::supervise::<ZigbeeModel, ZigbeeDevice>(ends, move |ends| {
            ZigbeeDevice::new(&board, ends)
        }))
    }

    fn configure(&self, plan: &BusPlan) {
        self.board.configure(&plan.devices);
    }

    fn bus_call(&self, call: BusCall, way: &Outlet) {
        if let Err(refused) = self.orders.try_send(call) {
            let why = "too many calls of this bus are under way, or it has stopped".to_owned();
            answer(way, &refused.into_inner(), Err(why));
        }
    }

    fn stop(self: Box<Self>) -> End {
        drop(self.stop);
        let tasks = self.tasks;
        Box::pin(async move {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "the task of a coordinator ended badly");
                }
            }
        })
    }
}

/// The one answer to a call.
pub(super) fn answer(
    way: &Outlet,
    call: &BusCall,
    outcome: Result<Vec<usp_mapping::port::Newcomer>, String>,
) {
    way.post(FromAdapter::Bus(BusReport::Done { id: call.id, outcome }));
}

/// Keeps the coordinator.
pub(super) struct Warden {
    pub(super) board: Arc<Board>,
    open: Open,
    port: NcpPort,
    pub(super) zigbee: ZigbeeBus,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) orders: mpsc::Receiver<BusCall>,
    pub(super) way: Outlet,
    pub(super) purpose: Arc<dyn super::care::Purpose>,
    /// The network is used as it is: none is formed.
    pub(super) only_looks: bool,
    /// Why there was none the last time.
    told: Option<String>,
    jitter: Jitter,
}

impl Warden {
    async fn keep(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let began = Instant::now();
            let Some(cause) = self.session(&stop).await else { break };
            if began.elapsed() >= GOOD {
                backoff.reset();
            }
            self.down(&cause);
            let pause = backoff.next(&mut self.jitter);
            if timeout(pause, self.refuse(&stop, &cause)).await.is_ok() {
                break;
            }
        }
        self.board.counters.ended();
        self.orders.close();
        while let Ok(call) = self.orders.try_recv() {
            answer(&self.way, &call, Err("its bus has stopped".to_owned()));
        }
    }

    fn down(&mut self, cause: &str) {
        let bus = &self.board.bus;
        if self.told.as_deref() == Some(cause) {
            tracing::debug!(%bus, cause, "there is no Zigbee coordinator");
        } else {
            tracing::warn!(%bus, cause, "there is no Zigbee coordinator");
            self.told = Some(cause.to_owned());
        }
        self.board.counters.down(cause);
        self.board.counters.network(None);
        self.board.down(&named(&self.port.way.to_string(), cause));
    }

    /// Answers what is ordered while there is no coordinator, until the end.
    async fn refuse(&mut self, stop: &CancellationToken, cause: &str) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                call = self.orders.recv() => match call {
                    Some(call) => answer(&self.way, &call, Err(format!("there is no coordinator: {cause}"))),
                    None => return stop.cancelled().await,
                },
            }
        }
    }

    /// A coordinator from when it is opened until it is gone. Why it is; `None`: it is to stop.
    async fn session(&mut self, stop: &CancellationToken) -> Option<String> {
        let (sender, events) = mpsc::channel(EVENTS);
        let opening = async {
            let coordinator = (self.open)(self.port.clone(), sender).await.map_err(|why| why.to_string())?;
            let kept = super::bring_up::bring_up(&*coordinator, self).await?;
            Ok::<_, String>((coordinator, kept))
        };
        let opened = tokio::select! {
            () = stop.cancelled() => return None,
            opened = opening => opened,
        };
        let (coordinator, kept) = match opened {
            Ok(opened) => opened,
            Err(cause) => {
                count(&self.board.counters.failed_connects);
                return Some(cause);
            }
        };
        self.told = None;
        count(&self.board.counters.connects);
        self.board.counters.up();
        let (network, firmware) = (&kept.network, &coordinator.info().firmware);
        tracing::info!(
            bus = %self.board.bus, channel = network.channel, pan_id = network.pan_id, %firmware,
            "the Zigbee network is up"
        );
        self.board.up(Arc::clone(&coordinator), kept.ieee);
        let ended = Session::new(self, coordinator, kept).run(events, stop).await;
        self.board.counters.ended();
        ended
    }
}

/// Why there is no coordinator, with its place, which most causes name already.
fn named(way: &str, cause: &str) -> String {
    if cause.contains(way) {
        format!("Zigbee coordinator: {cause}")
    } else {
        format!("Zigbee coordinator {way}: {cause}")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_place_is_named_once() {
        let named = |cause| super::named("127.0.0.1:6638", cause);
        let refused = named("cannot connect to 127.0.0.1:6638: connection refused");
        assert_eq!(refused, "Zigbee coordinator: cannot connect to 127.0.0.1:6638: connection refused");
        assert_eq!(named("it resets itself"), "Zigbee coordinator 127.0.0.1:6638: it resets itself");
    }
}
