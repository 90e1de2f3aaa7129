//! Starting a simulated Service and reaching into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usp_proto::usp::Msg;
use usp_proto::usp::request::ReqType;

use super::controller::Controller;
use super::core::Core;
use super::fault::Fault;
use super::link;
use super::state::State;
use super::subscriptions::TABLE;
use crate::mischief::{Order, ServiceFault};

/// How a Service is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its Endpoint ID.
    pub endpoint_id: String,
    /// The Broker's `broker_controller_path`.
    pub controller_socket: PathBuf,
    /// The Broker's `broker_agent_path`, if the Service is to have a Controller too.
    pub agent_socket: Option<PathBuf>,
    /// Where its data model stands; ends in a dot.
    pub root: String,
    /// What it registers; empty: its root.
    pub register: Vec<String>,
    /// `allow_partial` of its Register.
    pub allow_partial: bool,
    /// Whether temperatures move by themselves.
    pub moves: bool,
    /// Seed of its randomness.
    pub seed: u64,
    /// How often time passes in it.
    pub tick: Duration,
    /// How long one step of a Command that takes time takes.
    pub step: Duration,
    /// Shortest and longest pause before it connects again (R-UDS.5: 1 to 5 s).
    pub reconnect: (Duration, Duration),
}

impl ServiceConfig {
    /// A Service with this Endpoint ID that connects to this socket; everything else as usual.
    pub fn new(endpoint_id: &str, controller_socket: &Path) -> Self {
        Self {
            endpoint_id: endpoint_id.to_owned(),
            controller_socket: controller_socket.to_owned(),
            agent_socket: None,
            root: "Device.X_USPBROKER-DEMO_Thermostat.".to_owned(),
            register: Vec::new(),
            allow_partial: false,
            moves: true,
            seed: 1,
            tick: Duration::from_millis(250),
            step: Duration::from_millis(250),
            reconnect: (Duration::from_secs(1), Duration::from_secs(5)),
        }
    }

    /// What it registers.
    pub fn paths(&self) -> Vec<String> {
        if self.register.is_empty() { vec![self.root.clone()] } else { self.register.clone() }
    }
}

/// How a Service stands with its Broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Not connected.
    #[default]
    Down,
    /// Connected, and the Register is not answered yet.
    Connected,
    /// These paths are registered.
    Registered(Vec<String>),
    /// The Register was refused altogether, for this reason.
    Refused(String),
}

/// What the handle and the connection share.
pub(crate) struct Shared {
    pub(crate) config: ServiceConfig,
    state: Mutex<State>,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) wake: Notify,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The simulated Service.
pub struct Service;

impl Service {
    /// Starts one. It connects, and keeps connecting, until it is stopped or its handle is dropped.
    pub fn spawn(config: ServiceConfig) -> ServiceHandle {
        let core = Core::new(&config.root, &config.endpoint_id, config.seed, config.moves, config.step);
        let controller =
            config.agent_socket.as_deref().map(|path| Controller::spawn(&config.endpoint_id, path));
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(core)),
            link: watch::Sender::new(Link::Down),
            wake: Notify::new(),
            stop: CancellationToken::new(),
            config,
        });
        let task = tokio::spawn(link::run(shared.clone()));
        ServiceHandle { shared, task, controller }
    }
}

/// A running Service. Dropping it stops it too, without waiting.
pub struct ServiceHandle {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    controller: Option<Controller>,
}

impl ServiceHandle {
    /// How it was started.
    pub fn config(&self) -> &ServiceConfig {
        &self.shared.config
    }

    /// Its Controller side, if it has one.
    pub fn controller(&self) -> Option<&Controller> {
        self.controller.as_ref()
    }

    /// How it stands with its Broker.
    pub fn link(&self) -> Link {
        self.shared.link.borrow().clone()
    }

    /// Waits until it stands so with its Broker.
    pub async fn until(&self, wanted: impl FnMut(&Link) -> bool) {
        // The sender lives as long as this handle, so waiting cannot fail.
        drop(self.shared.link.subscribe().wait_for(wanted).await);
    }

    /// Waits until its paths are registered.
    pub async fn until_registered(&self) {
        self.until(|link| matches!(link, Link::Registered(_))).await;
    }

    /// The value of a Parameter, secrets included.
    pub fn get(&self, path: &str) -> Option<String> {
        self.shared.state().core.model.get(path).map(str::to_owned)
    }

    /// Every Parameter and its value.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.shared.state().core.model.values().clone()
    }

    /// Sets any Parameter, as the hardware behind the Service would.
    ///
    /// Errors: 7026 for an unknown Parameter, 7011 and 7012 for a value that it cannot have.
    pub fn set(&self, path: &str, value: &str) -> Result<(), Fault> {
        let mut state = self.shared.state();
        let messages = state.core.set(path, value)?;
        state.queue(messages);
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Lets an Event happen: `emit("Device.….Alarm!", &[("Code", "3")])`.
    ///
    /// Errors: 7026 for an unknown Event, 7016 for an object that is not there.
    pub fn emit(&self, path: &str, args: &[(&str, &str)]) -> Result<(), Fault> {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut state = self.shared.state();
        let messages = state.core.emit(path, args)?;
        state.queue(messages);
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Lets so much time pass in it at once.
    pub fn advance(&self, time: Duration) {
        self.shared.state().tick(time);
        self.shared.wake.notify_one();
    }

    /// Asks the Broker something as the Service's Agent (Register, Deregister, Notify); `None`: there is no
    /// connection, or it ended before the answer came.
    pub async fn ask(&self, content: ReqType) -> Option<Msg> {
        let answer = self.shared.state().ask(content);
        self.shared.wake.notify_one();
        answer.await.ok()
    }

    /// The newest requests that came.
    pub fn requests(&self) -> Vec<Msg> {
        self.shared.state().seen()
    }

    /// How many requests came since the start.
    pub fn request_count(&self) -> u64 {
        self.shared.state().total()
    }

    /// The rows of its Subscription table.
    pub fn subscriptions(&self) -> Vec<String> {
        self.shared.state().core.model.rows_of(TABLE)
    }

    /// Forgets all Subscriptions, as a Service does that was restarted.
    pub fn forget_subscriptions(&self) {
        let mut state = self.shared.state();
        let rows = state.core.model.rows_of(TABLE);
        rows.iter().for_each(|row| state.core.model.remove(row));
    }

    /// Switches a fault on.
    pub fn fault(&self, order: impl Into<Order<ServiceFault>>) {
        self.shared.state().mischief.start(order.into());
    }

    /// Switches all faults off. What was held back while stalled is answered.
    pub fn clear_faults(&self) {
        self.shared.state().mischief.clear();
        self.shared.wake.notify_one();
    }

    /// Stops answering while the connection stays, or goes on with what was held back.
    pub fn stall(&self, stalled: bool) {
        if stalled { self.fault(ServiceFault::Stall) } else { self.clear_faults() }
    }

    /// Closes the connection; the Service then connects again.
    pub fn disconnect(&self) {
        self.shared.state().close = true;
        self.shared.wake.notify_one();
    }

    /// Closes everything and returns when it is closed.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the simulated Service ended badly");
        }
    }
}

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
