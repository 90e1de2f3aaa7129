//! The loop around the core: its one owner.
//!
//! Whatever comes in becomes one `handle`, and its outputs are carried out before the next input is taken. Nothing here
//! waits: what takes time (a write to disk, an exchange with a device, a slow reader) is under way elsewhere and comes back
//! as an input.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use usp_adapters::{Adapters, FromAdapter};
use usp_core::Broker;
use usp_core::input::{ConnId, Input};
use usp_core::output::{BatchId, CloseReason, Output, RestartCause};
use usp_mapping::mapping::Site;
use usp_mapping::port::BusReport;

use crate::clock::Clock;
use crate::figures::Figures;
use crate::metrics::Numbers;
use crate::mtp::Event;
use crate::mtp::mqtt::Clients;
use crate::mtp::outbox::Outbox;
use crate::sites::Sites;
use crate::store::Store;

/// Inputs that are taken before timers and the other queues have their turn.
const TURN: usize = 64;

/// How long goodbyes may take altogether.
const FAREWELL: Duration = Duration::from_secs(3);

/// From the last change of the devices until the memory is given back that it took: what is asked right after it comes
/// first, and several changes are one. As long after a peer is gone for which [`MUCH`] had to wait.
const SETTLED: Duration = Duration::from_secs(1);

/// Bytes that waited for a peer and are worth a look at what can be given back: a few such peers, one after the other, may
/// leave a multiple of what all others need.
const MUCH: usize = 1024 * 1024;

/// Results of the store that may wait; the core has one batch under way.
const STORED: usize = 32;

/// Without a timer of the core: any long time.
const IDLE: Duration = Duration::from_secs(3600);

/// Single values of the store that `Device.FactoryReset()` leaves, by the start of their names: what this side keeps
/// (the derived Endpoint ID), and why the process starts again, for the core's next Boot!.
pub(crate) const KEPT: [&str; 2] = ["edge.", "boot_"];

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Stopped,
    /// `Device.Reboot()`.
    Reboot,
    /// `Device.FactoryReset()`: the store has been emptied.
    FactoryReset,
}

/// Orders from outside the protocol.
#[derive(Debug)]
pub(crate) enum Order {
    /// What there is to count.
    Numbers(oneshot::Sender<Numbers>),
    /// Other devices, or why there are none; the answer says that they are in effect.
    Site {
        /// `Err`: the files have these errors.
        site: Result<Arc<Site>, String>,
        /// The last [`Output::Reload`] that was heard before the files were read.
        upto: u64,
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
}

/// Everything that the loop listens to.
#[derive(Debug)]
pub(crate) struct Inlets {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) adapters: mpsc::Receiver<FromAdapter>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Fires when the process is to end.
    pub(crate) stop: CancellationToken,
    /// To be fired when no new connection is wanted.
    pub(crate) closing: CancellationToken,
}

/// The core with everything that carries out its orders.
pub(crate) struct Driver {
    broker: Broker,
    clock: Clock,
    adapters: Adapters,
    store: Store,
    mqtt: Clients,
    conns: HashMap<ConnId, Arc<Outbox>>,
    results: mpsc::Sender<(BatchId, Result<(), String>)>,
    stored: mpsc::Receiver<(BatchId, Result<(), String>)>,
    batches: usize,
    /// How many times the core was given something to do.
    inputs: u64,
    /// What the files say and what was adopted.
    sites: Sites,
    /// What the adapters have counted, as the core knows it.
    figures: Figures,
    /// What has been counted so far; the rest is looked up.
    numbers: Numbers,
    /// The newest wish to read the site again.
    reloads: watch::Sender<u64>,
    /// When memory is given back next; `None`: not before much was needed.
    memory_at: Option<Instant>,
    restart: Option<RestartCause>,
    ending: bool,
}

impl Driver {
    pub(crate) fn new(broker: Broker, clock: Clock, adapters: Adapters, store: Store, mqtt: Clients) -> Self {
        let (results, stored) = mpsc::channel(STORED);
        Self {
            broker,
            clock,
            adapters,
            store,
            mqtt,
            conns: HashMap::new(),
            results,
            stored,
            batches: 0,
            inputs: 0,
            sites: Sites::default(),
            figures: Figures::new(),
            numbers: Numbers::default(),
            reloads: watch::Sender::new(0),
            memory_at: None,
            restart: None,
            ending: false,
        }
    }

    /// Tells of each wish to read the site again, by its number.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// Runs until `stop` fires or the core wants a restart; `ready` is told when the devices of `site` are loaded and
    /// what that changed is on disk.
    pub(crate) async fn run(
        mut self,
        mut inlets: Inlets,
        site: Arc<Site>,
        ready: oneshot::Sender<()>,
    ) -> Exit {
        self.carry_out();
        self.sites.file(site);
        let site = self.sites.whole();
        self.handle(Input::Site(site));
        self.settle(&mut inlets).await;
        self.loaded();
        // Whoever waited for it may have given up.
        ready.send(()).ok();
        while self.restart.is_none() && self.turn(&mut inlets).await {}
        self.finish(inlets).await
    }

    /// Waits until no batch is under way.
    async fn settle(&mut self, inlets: &mut Inlets) {
        while self.batches > 0 && self.turn(inlets).await {}
    }

    /// Waits for something to happen, and handles it. `false`: it is time to end.
    async fn turn(&mut self, inlets: &mut Inlets) -> bool {
        let due = self.due();
        tokio::select! {
            () = inlets.stop.cancelled() => return false,
            Some(result) = self.stored.recv() => self.on_stored(result),
            Some(event) = inlets.events.recv() => self.on_event(event),
            Some(from) = inlets.adapters.recv() => {
                let is_report = matches!(from, FromAdapter::Report(_));
                self.on_adapter(from);
                if is_report {
                    // Devices that are polled at the same beat answer together: one turn for all of them.
                    tokio::task::yield_now().await;
                }
            }
            Some(order) = inlets.orders.recv() => self.on_order(order).await,
            () = sleep_until(due) => {}
        }
        self.take_more(inlets);
        if self.sites.has_changed() {
            self.go_over().await;
        }
        self.on_time();
        true
    }

    /// What has come in meanwhile, up to a bound: waking up costs more than an input.
    fn take_more(&mut self, inlets: &mut Inlets) {
        for _ in 0..TURN {
            let mut idle = true;
            if let Ok(result) = self.stored.try_recv() {
                self.on_stored(result);
                idle = false;
            }
            if let Ok(event) = inlets.events.try_recv() {
                self.on_event(event);
                idle = false;
            }
            if let Ok(report) = inlets.adapters.try_recv() {
                self.on_adapter(report);
                idle = false;
            }
            if idle {
                return;
            }
        }
    }

    fn due(&self) -> Instant {
        let core = self.broker.poll_timeout().map(|at| self.clock.instant(at));
        let next = core.into_iter().chain(self.figures.due()).chain(self.memory_at).min();
        next.unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn on_time(&mut self) {
        let now = self.clock.now();
        if self.broker.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            self.broker.handle_timeout(now);
            self.carry_out();
        }
        if self.memory_at.take_if(|at| *at <= Instant::now()).is_some() {
            self.give_back();
        }
        if let Some(figures) = self.figures.look(|| self.adapters.statistics()) {
            self.handle(Input::Figures(figures));
        }
    }

    fn count(&mut self) {
        if let Some(figures) = self.figures.look_now(|| self.adapters.statistics()) {
            self.handle(Input::Figures(figures));
        }
    }

    /// The devices have changed: much memory was needed for a moment, and will be free.
    fn loaded(&mut self) {
        self.memory_at = Some(Instant::now() + SETTLED);
    }

    fn give_back(&mut self) {
        if self.batches > 0 {
            return self.loaded();
        }
        // Whoever needs memory meanwhile waits for milliseconds at most; nobody waits for the end.
        drop(tokio::task::spawn_blocking(usp_heap::give_back));
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Up { conn, link, outbox } => {
                if self.ending {
                    outbox.close(CloseReason::Shutdown);
                }
                self.conns.insert(conn, outbox);
                self.handle(Input::Connected { conn, link });
            }
            Event::Input(input) => {
                if let Input::Disconnected { conn, .. } = &input
                    && let Some(outbox) = self.conns.remove(conn)
                    && outbox.most() > MUCH
                {
                    self.memory_at.get_or_insert(Instant::now() + SETTLED);
                }
                self.handle(input);
            }
        }
    }

    fn on_adapter(&mut self, from: FromAdapter) {
        if matches!(from, FromAdapter::Bus(BusReport::Done { .. })) {
            // What a command has changed can be seen once it is complete.
            self.count();
        }
        self.handle(match from {
            FromAdapter::Reply(reply) => Input::Reply(reply),
            FromAdapter::Report(report) => Input::Report(report),
            FromAdapter::Bus(report) => Input::Bus(report),
            FromAdapter::Adopted(adopted) => return self.sites.adopt(*adopted),
        });
    }

    /// Devices have come or gone that are not in the files.
    async fn go_over(&mut self) {
        let site = self.sites.whole();
        self.adapters.apply(Arc::clone(&site)).await;
        self.figures.restart();
        self.handle(Input::Devices(site));
        self.loaded();
    }

    fn on_stored(&mut self, (batch, result): (BatchId, Result<(), String>)) {
        self.batches = self.batches.saturating_sub(1);
        if let Err(error) = &result {
            tracing::error!(batch = batch.0, %error, "changes were not kept");
        }
        self.handle(Input::Stored { batch, result });
    }

    async fn on_order(&mut self, order: Order) {
        match order {
            // Whoever asked may be gone.
            Order::Numbers(answer) => drop(answer.send(self.numbers())),
            Order::Site { site, upto, done } => {
                match site {
                    Ok(site) => {
                        self.sites.file(site);
                        let site = self.sites.whole();
                        // Buses that are no longer wanted stop at once.
                        self.adapters.apply(Arc::clone(&site)).await;
                        self.figures.restart();
                        self.handle(Input::Site(site));
                        self.loaded();
                    }
                    Err(why) => self.handle(Input::SiteRefused(why)),
                }
                self.handle(Input::Reloaded(upto));
                // Whoever asked may have stopped waiting.
                done.send(()).ok();
            }
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            connections: self.conns.len(),
            requests: self.broker.pending(),
            buses: self.adapters.statistics(),
            ..self.numbers.clone()
        }
    }

    fn handle(&mut self, input: Input) {
        self.numbers.received += u64::from(matches!(input, Input::Record { .. }));
        self.broker.handle(self.clock.now(), input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        self.inputs += 1;
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Send { conn, record, merge } => {
                    self.numbers.sent += 1;
                    if let Some(outbox) = self.conns.get(&conn)
                        && outbox.push(*record, merge, self.inputs).is_err()
                    {
                        tracing::warn!(conn = conn.0, "outbox full, closing this connection");
                    }
                }
                Output::Close { conn, why } => {
                    if let Some(outbox) = self.conns.get(&conn) {
                        outbox.close(why);
                    }
                }
                Output::Call(call) => {
                    self.numbers.calls += 1;
                    self.adapters.call(call);
                }
                Output::Bus(call) => self.adapters.bus_call(call),
                Output::Mqtt(order) => self.mqtt.order(order, self.inputs),
                Output::Store { batch, ops } => {
                    self.batches += 1;
                    self.numbers.batches += 1;
                    let results = self.results.clone();
                    // There is room: the store takes no more orders at a time than results may wait.
                    self.store.submit(ops, move |result| drop(results.try_send((batch, result))));
                }
                Output::Reload(asked) => drop(self.reloads.send_replace(asked)),
                Output::Restart(cause) => self.restart = Some(cause),
            }
        }
    }

    /// Says goodbye to everybody, waits for what is under way, and stops what was started, in this order.
    async fn finish(mut self, mut inlets: Inlets) -> Exit {
        inlets.closing.cancel();
        self.ending = true;
        if self.restart.is_none() {
            self.handle(Input::Shutdown);
        }
        for outbox in self.conns.values() {
            outbox.close(CloseReason::Shutdown);
        }
        inlets.stop = CancellationToken::new();
        let farewell = async {
            while self.batches > 0 || !self.conns.is_empty() {
                self.turn(&mut inlets).await;
            }
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!(connections = self.conns.len(), "some peers did not take our goodbye");
        }
        if tokio::time::timeout(FAREWELL, self.mqtt.close()).await.is_err() {
            tracing::warn!("some MQTT servers did not take our goodbye");
        }
        self.adapters.stop().await;
        let exit = exit(self.restart);
        if exit == Exit::FactoryReset
            && let Err(error) = self.store.clear(&KEPT).await
        {
            tracing::error!(%error, "the store could not be emptied; the next start tries again");
        }
        self.store.close().await;
        exit
    }
}

fn exit(restart: Option<RestartCause>) -> Exit {
    match restart {
        None => Exit::Stopped,
        Some(RestartCause::Reboot) => Exit::Reboot,
        Some(RestartCause::FactoryReset) => Exit::FactoryReset,
    }
}
