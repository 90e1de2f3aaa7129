//! Wiring: what is started in which order, and stopped in the reverse.

mod unused;

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usp_adapters::Adapters;
use usp_core::Broker;
use usp_core::StartError;
use usp_core::config::Seed;
use usp_core::input::Side;
use usp_core::output::{RESET_PENDING, Snapshot, StoreOp};
use usp_mapping::diagnostic::Diagnostic;
use usp_mapping::mapping::Site;
use usp_proto::endpoint_id::EndpointId;

use crate::clock::Clock;
use crate::config::Config;
use crate::driver::{Driver, Exit, Inlets, KEPT, Order};
use crate::metrics;
use crate::mtp::mqtt::Clients;
use crate::mtp::{Gateway, uds, websocket};
use crate::site::{self, SiteError};
use crate::store::{Store, StoreError};

/// Name in the store of the Endpoint ID that was derived at the first start.
const ENDPOINT_ID: &str = "edge.endpoint_id";

/// Reports of adapters that may wait for the core.
const REPORTS: usize = 1024;

/// Why the broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A `Device.FactoryReset()` that was answered before the last end is still to be done, and cannot be.
    #[error("the factory reset could not be finished: {0}")]
    Reset(String),
    /// The derived Endpoint ID could not be kept.
    #[error("the Endpoint ID could not be kept: {0}")]
    EndpointId(String),
    /// The site or a mapping has errors.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// A socket cannot be listened on.
    #[error(transparent)]
    Uds(#[from] uds::BindError),
    /// A port cannot be listened on.
    #[error(transparent)]
    WebSocket(#[from] websocket::BindError),
    /// The port of the metrics cannot be listened on.
    #[error(transparent)]
    Metrics(#[from] metrics::BindError),
    /// A seed or the stored state does not fit the data model.
    #[error(transparent)]
    Core(#[from] StartError),
    /// There are no random numbers.
    #[error("/dev/urandom: {0}")]
    Random(io::Error),
    /// It ended while it started.
    #[error("the broker was stopped before it was ready")]
    Stopped,
}

/// A running broker.
#[derive(Debug)]
pub struct App {
    endpoint_id: EndpointId,
    websocket: Option<SocketAddr>,
    agent_path: Option<PathBuf>,
    controller_path: Option<PathBuf>,
    config: Config,
    orders: mpsc::Sender<Order>,
    reloads: watch::Receiver<u64>,
    stop: CancellationToken,
    driver: JoinHandle<Exit>,
}

impl App {
    /// Starts everything and returns when every listener is bound and the devices of the site are loaded.
    ///
    /// Errors: see [`StartFailure`]; what was started is stopped again.
    pub async fn start(config: Config) -> Result<Self, StartFailure> {
        let mut site = site::load_and_log(&config)?;
        let (store, snapshot) = Store::open(&config.state_dir)?;
        let snapshot = finish_reset(&store, snapshot).await?;
        let endpoint_id = own_id(&config, &store, &snapshot).await?;
        site::name_clients(&mut site, &endpoint_id);
        let site = Arc::new(site);
        for unused in unused::unused(&config.seed, &snapshot) {
            tracing::warn!("{unused}");
        }
        let listeners = Listeners::bind(&config)?;
        let websocket = listeners.websocket.as_ref().map(websocket::Server::address);

        let clock = Clock::start();
        let core = config.core(endpoint_id.clone(), websocket.map(|address| address.port()), random()?);
        let broker = Broker::new(core, snapshot, clock.now())?;
        let (reports, adapters_inlet) = mpsc::channel(REPORTS);
        let adapters = Adapters::start_keeping(Arc::clone(&site), reports, Arc::new(store.keeper()));
        let (gateway, events) = Gateway::new(endpoint_id.clone(), config.limits.edge.clone());
        let (orders, orders_inlet) = mpsc::channel(1);
        let (ready, is_ready) = oneshot::channel();
        let stop = CancellationToken::new();
        let inlets = Inlets {
            events,
            adapters: adapters_inlet,
            orders: orders_inlet,
            stop: stop.clone(),
            closing: gateway.stop.clone(),
        };
        let driver = Driver::new(broker, clock, adapters, store, Clients::new(gateway.clone()));
        let reloads = driver.reloads();
        let driver = driver.run(inlets, site, ready);
        let driver = tokio::spawn(supervise(driver, gateway.clone()));
        if is_ready.await.is_err() {
            return Err(StartFailure::Stopped);
        }
        let agent_path = config.uds.as_ref().map(|uds| uds.agent_path.clone());
        let controller_path = config.uds.as_ref().map(|uds| uds.controller_path.clone());
        let counted = listeners.metrics.as_ref().map(metrics::Server::address);
        listeners.serve(&gateway, &orders);
        tracing::info!(%endpoint_id, websocket = ?websocket, agent = ?agent_path, controller = ?controller_path, metrics = ?counted, "listening");
        Ok(Self {
            endpoint_id,
            websocket,
            agent_path,
            controller_path,
            config,
            orders,
            reloads,
            stop,
            driver,
        })
    }

    /// Our own Endpoint ID.
    pub fn endpoint_id(&self) -> &EndpointId {
        &self.endpoint_id
    }

    /// Where the WebSocket server listens, with its real port; `None`: it is off.
    pub fn websocket_address(&self) -> Option<SocketAddr> {
        self.websocket
    }

    /// The socket for Controllers; `None`: sockets are off.
    pub fn agent_path(&self) -> Option<&PathBuf> {
        self.agent_path.as_ref()
    }

    /// The socket for Services; `None`: sockets are off.
    pub fn controller_path(&self) -> Option<&PathBuf> {
        self.controller_path.as_ref()
    }

    /// Reads the site and its mappings again, and returns when they are in effect.
    ///
    /// Errors: they have problems; the former devices stay.
    pub async fn reload_site(&mut self) -> Result<(), SiteError> {
        self.apply_site(&self.config.clone()).await
    }

    /// As [`reload_site`](Self::reload_site), with the site and the mapping folders of a changed configuration. Its
    /// other sections take effect at the next start.
    pub async fn reload(&mut self, config: Config) -> Result<(), SiteError> {
        self.apply_site(&config).await?;
        if at_start_only(&config) != at_start_only(&self.config) {
            tracing::warn!("what else has changed in the configuration takes effect at the next start");
        }
        if format!("{:?}", config.seed) != format!("{:?}", self.config.seed) {
            tracing::warn!(
                "[[role]], [[mqtt]], [[controller]] and [[object]] are used at the first start only"
            );
        }
        self.config = config;
        Ok(())
    }

    /// The configuration itself cannot be used: told like a site that cannot.
    pub async fn refuse_config(&mut self, why: String) {
        let upto = *self.reloads.borrow_and_update();
        self.order_site(Err(why), upto).await;
    }

    async fn apply_site(&mut self, config: &Config) -> Result<(), SiteError> {
        // Whoever wants a reload from here on wants another one.
        let upto = *self.reloads.borrow_and_update();
        let (site, outcome) = match site::load_and_log(config) {
            Ok(mut site) => {
                site::name_clients(&mut site, &self.endpoint_id);
                (Ok(Arc::new(site)), Ok(()))
            }
            Err(error) => (Err(error.brief()), Err(error)),
        };
        self.order_site(site, upto).await;
        outcome
    }

    async fn order_site(&self, site: Result<Arc<Site>, String>, upto: u64) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Site { site, upto, done }).await.is_ok() {
            // It may be ending just now; then no device matters any more.
            is_done.await.ok();
        }
    }

    /// Waits until something is wanted of whoever runs the broker.
    pub async fn wish(&mut self) -> Wish {
        tokio::select! {
            exit = finished(&mut self.driver) => Wish::End(exit),
            Ok(()) = self.reloads.changed() => Wish::Reload,
        }
    }

    /// Waits until the broker ends by itself: `Device.Reboot()` or `Device.FactoryReset()`.
    pub async fn ended(&mut self) -> Exit {
        finished(&mut self.driver).await
    }

    /// Ends it in good order: Disconnect Records, then connections, adapters and the store.
    pub async fn shutdown(mut self) -> Exit {
        self.stop.cancel();
        finished(&mut self.driver).await
    }
}

/// What a running broker wants of whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It has ended by itself: `Device.Reboot()` or `Device.FactoryReset()`.
    End(Exit),
    /// `Device.X_USPBROKER_Site.Reload()`: read the configuration, the site and its mappings again.
    Reload,
}

/// What there is to say about a good configuration.
#[derive(Debug)]
pub struct Checked {
    /// Devices of the site.
    pub devices: usize,
    /// What is not quite right in the site.
    pub warnings: Vec<Diagnostic>,
}

/// Checks everything that can be checked without starting anything.
///
/// Errors: as [`App::start`].
pub fn check(config: &Config) -> Result<Checked, StartFailure> {
    let (site, warnings) = site::load(config)?;
    let id = config.endpoint_id.clone().map_or_else(derive_id, Ok)?;
    Broker::new(config.core(id, None, 0), Snapshot::default(), Clock::start().now())?;
    Ok(Checked { devices: site.devices.len(), warnings })
}

/// Everything but the site and the mapping folders, and what counts at the first start alone.
fn at_start_only(config: &Config) -> String {
    let seed = Seed::default();
    format!("{:?}", Config { site: None, mappings: Vec::new(), seed, ..config.clone() })
}

async fn finished(driver: &mut JoinHandle<Exit>) -> Exit {
    match driver.await {
        Ok(exit) => exit,
        Err(error) => match error.try_into_panic() {
            // The panic is the program's own fault and has been reported: it goes on as one.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Exit::Stopped,
        },
    }
}

/// Runs the driver; listeners and connections end with it.
async fn supervise(driver: impl Future<Output = Exit>, gateway: Gateway) -> Exit {
    let exit = driver.await;
    gateway.end.cancel();
    gateway.tasks.close();
    gateway.tasks.wait().await;
    exit
}

/// Everything bound, nobody let in yet.
struct Listeners {
    sockets: Vec<uds::Socket>,
    websocket: Option<websocket::Server>,
    metrics: Option<metrics::Server>,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self, StartFailure> {
        let mut sockets = Vec::new();
        if let Some(uds) = &config.uds {
            sockets.push(uds::Socket::bind(&uds.agent_path, uds.mode, Side::Agent)?);
            sockets.push(uds::Socket::bind(&uds.controller_path, uds.mode, Side::Controller)?);
        }
        let websocket = config.websocket.as_ref().map(websocket::Server::bind).transpose()?;
        let metrics = config.metrics.map(metrics::Server::bind).transpose()?;
        Ok(Self { sockets, websocket, metrics })
    }

    fn serve(self, gateway: &Gateway, driver: &mpsc::Sender<Order>) {
        for socket in self.sockets {
            gateway.tasks.spawn(socket.serve(gateway.clone()));
        }
        if let Some(server) = self.websocket {
            gateway.tasks.spawn(server.serve(gateway.clone()));
        }
        if let Some(server) = self.metrics {
            gateway.tasks.spawn(server.serve(driver.clone(), gateway.stop.clone()));
        }
    }
}

/// Does what `Device.FactoryReset()` promised, if the process ended before it was done.
async fn finish_reset(store: &Store, snapshot: Snapshot) -> Result<Snapshot, StartFailure> {
    if !snapshot.meta.iter().any(|(key, _)| key == RESET_PENDING) {
        return Ok(snapshot);
    }
    store.clear(&KEPT).await.map_err(StartFailure::Reset)?;
    let kept = |(key, _): &(String, String)| KEPT.iter().any(|prefix| key.starts_with(prefix));
    Ok(Snapshot { meta: snapshot.meta.into_iter().filter(kept).collect(), ..Snapshot::default() })
}

/// The configured Endpoint ID, or the one of the first start, or a new one that is kept.
async fn own_id(config: &Config, store: &Store, snapshot: &Snapshot) -> Result<EndpointId, StartFailure> {
    if let Some(id) = &config.endpoint_id {
        return Ok(id.clone());
    }
    let kept = snapshot.meta.iter().find(|(key, _)| key == ENDPOINT_ID).map(|(_, value)| value.as_str());
    if let Some(id) = kept.and_then(|text| EndpointId::parse(text).ok()) {
        return Ok(id);
    }
    let id = derive_id()?;
    let op = StoreOp::PutMeta { key: ENDPOINT_ID.to_owned(), value: id.to_string() };
    store.write(vec![op]).await.map_err(StartFailure::EndpointId)?;
    Ok(id)
}

fn derive_id() -> Result<EndpointId, StartFailure> {
    let text = format!("uuid::{}", uuid(random()?, random()?));
    EndpointId::parse(&text).map_err(|error| StartFailure::EndpointId(error.to_string()))
}

/// A random UUID (RFC 9562, version 4).
fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

fn random() -> Result<u64, StartFailure> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(StartFailure::Random)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
