//! Keeps the scan of one radio going, and its devices told of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use usp_mapping::mapping::{BleRadio, Bus, Mac};

use crate::bus::backoff::Jitter;
use crate::bus::ear::LinkState;
use crate::bus::statistics::{BusCounters, count};
use crate::bus::{BusPlan, Ends, supervise};
use crate::site::{End, SharedLink};

use super::bluez::{Advert, Door, Hears};
use super::board::{Board, now};
use super::device::BleDevice;
use super::guard::guarded;
use super::model::BleModel;
use super::vigil::{Event, LOOK, Order, Vigil};

/// Events that wait; more are not needed, because the scan is looked after.
const EVENTS: usize = 64;

/// A radio with what is shared by its devices.
#[derive(Debug)]
pub(crate) struct BleLink {
    board: Arc<Board>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl BleLink {
    /// Starts to scan, and goes on.
    pub(crate) fn start(radio: BleRadio, bus: &Bus, counters: &Arc<BusCounters>, runtime: &Runtime) -> Self {
        let board = Board::new(Arc::clone(counters), radio.slots);
        let stop = CancellationToken::new();
        let (shared, name, stopped) = (Arc::clone(&board), bus.name.clone(), stop.clone());
        let task = runtime.spawn(async move {
            let keep = || Keeper::new(&shared, &name, &radio).keep(stopped.clone());
            guarded(&stopped, keep, || broken(&shared, &name)).await;
        });
        Self { board, stop: stop.drop_guard(), task }
    }
}

impl SharedLink for BleLink {
    fn serve(&self, ends: Ends) -> End {
        let board = Arc::clone(&self.board);
        Box::pin(supervise::supervise::<BleModel, BleDevice>(ends, move |ends| BleDevice::new(&board, ends)))
    }

    fn configure(&self, plan: &BusPlan) {
        self.board.configure(&plan.devices);
    }

    fn stop(self: Box<Self>) -> End {
        drop(self.stop);
        let task = self.task;
        Box::pin(async move {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task of a radio ended badly");
            }
        })
    }
}

impl Hears for Board {
    fn wanted(&self) -> Option<BTreeSet<Mac>> {
        Self::wanted(self)
    }

    fn hear(&self, mac: Mac, advert: Advert) {
        Self::hear(self, mac, advert);
    }

    fn is_connected(&self, mac: Mac, connected: bool) {
        Self::is_connected(self, mac, connected);
    }

    fn are_connected(&self, all: &BTreeSet<Mac>) {
        Self::are_connected(self, all);
    }
}

/// Keeps the scan.
struct Keeper {
    board: Arc<Board>,
    name: String,
    radio: BleRadio,
    door: Door,
    vigil: Vigil,
    jitter: Jitter,
    /// Why it did not go on the last time.
    told: Option<String>,
    /// Why it seems to hear nothing.
    hears_nothing: Option<String>,
}

/// A panic has ended what kept a radio.
fn broken(board: &Board, bus: &str) {
    let why = "an internal error stopped its radio, which is being restarted";
    tracing::error!(%bus, "{why}");
    count(&board.counters.restarts);
    board.counters.down(why);
    board.session.send_replace(None);
    board.are_connected(&BTreeSet::new());
    board.state.send_replace(LinkState::Down(why.to_owned()));
}

impl Keeper {
    fn new(board: &Arc<Board>, bus: &str, radio: &BleRadio) -> Self {
        Self {
            board: Arc::clone(board),
            name: bus.to_owned(),
            radio: radio.clone(),
            door: Door::default(),
            vigil: Vigil::new(now()),
            jitter: Jitter::random(),
            told: None,
            hears_nothing: None,
        }
    }

    async fn keep(mut self, stop: CancellationToken) {
        let (events, mut happened) = mpsc::channel(EVENTS);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve(&events, &mut happened) => {}
        }
        let session = self.board.session.send_replace(None);
        if let Some(session) = session {
            // Whoever reads the log sees that nobody scans; it ends with the connection anyhow.
            drop(timeout(LOOK / 10, session.stop()).await);
        }
        self.board.counters.ended();
    }

    async fn serve(&mut self, events: &mpsc::Sender<Event>, happened: &mut mpsc::Receiver<Event>) {
        loop {
            let (heard, silence) = (self.board.heard(), self.board.silence());
            self.vigil.heard(heard.device);
            self.vigil.stirred(heard.anybody);
            let order = self.vigil.poll(now(), silence);
            self.tell();
            if self.board.be_curious(self.vigil.is_curious()) {
                self.listen().await;
            }
            if let Some(order) = order {
                let event = self.carry_out(order, events).await;
                self.take_in(event);
                continue;
            }
            let wake = self.vigil.wakes_at(silence).unwrap_or_else(|| now() + LOOK);
            tokio::select! {
                event = happened.recv() => match event {
                    Some(event) => self.take_in(event),
                    None => return,
                },
                () = self.board.changed.notified() => self.listen().await,
                () = self.board.stirred.notified() => {}
                () = sleep_until(TokioInstant::from_std(wake)) => {}
            }
        }
    }

    async fn carry_out(&mut self, order: Order, events: &mpsc::Sender<Event>) -> Event {
        let session = self.board.session.borrow().clone();
        match (order, session) {
            (Order::Open, _) => {
                self.board.session.send_replace(None);
                self.board.are_connected(&BTreeSet::new());
                let hears: Arc<dyn Hears> = Arc::clone(&self.board) as Arc<dyn Hears>;
                let opened = self.door.open(hears, events.clone()).await;
                Event::Opened(
                    opened.map(|session| drop(self.board.session.send_replace(Some(Arc::new(session))))),
                )
            }
            (_, None) => Event::Lost("the connection to D-Bus is lost".to_owned()),
            (Order::Start | Order::Restart, Some(session)) => {
                let again = order == Order::Restart;
                // What was heard before may be of another time.
                self.board.forget();
                Event::Started(session.start(&self.radio.adapter, again).await)
            }
            (Order::Look, Some(session)) => Event::Looked(session.look().await),
        }
    }

    /// There are other devices.
    async fn listen(&self) {
        let session = self.board.session.borrow().clone();
        if let Some(session) = session
            && let Err(error) = session.listen().await
        {
            tracing::warn!(bus = %self.name, %error, "D-Bus does not tell of new devices");
        }
    }

    fn take_in(&mut self, event: Event) {
        let (bus, counters) = (&self.name, &self.board.counters);
        match &event {
            Event::Started(Ok(())) => count(&counters.connects),
            Event::Started(Err(_)) | Event::Opened(Err(_)) => count(&counters.failed_connects),
            _ => {}
        }
        self.vigil.handle(now(), event, &mut self.jitter);
        if let Some(why) = self.vigil.told.take() {
            tracing::warn!(%bus, %why, "the radio's scan is started again");
        }
        self.tell();
    }

    /// Tells how the radio is, if that is another state than before.
    fn tell(&mut self) {
        self.tell_link();
        let (bus, counters) = (&self.name, &self.board.counters);
        let why = self.vigil.hears_nothing();
        if self.hears_nothing.as_deref() == why {
            return;
        }
        match why {
            Some(why) => {
                tracing::warn!(%bus, %why, "the radio hears nothing");
                counters.down(why);
            }
            None if *self.vigil.link() == LinkState::Up => {
                tracing::info!(%bus, "the radio hears again");
                counters.up();
            }
            // The link's own reason is told.
            None => {}
        }
        self.board.hears_nothing(why);
        self.hears_nothing = why.map(str::to_owned);
    }

    fn tell_link(&mut self) {
        let (bus, counters) = (&self.name, &self.board.counters);
        let state = self.vigil.link().clone();
        if *self.board.state.borrow() == state {
            return;
        }
        match &state {
            LinkState::Down(cause) if self.told.as_deref() == Some(cause) => {
                tracing::debug!(%bus, %cause, "the radio does not scan");
            }
            LinkState::Down(cause) => {
                tracing::warn!(%bus, %cause, "the radio does not scan");
                self.told = Some(cause.clone());
            }
            LinkState::Up => {
                tracing::info!(%bus, radio = %self.radio.adapter, "the radio scans");
                self.told = None;
            }
            LinkState::Opening => {}
        }
        match &state {
            LinkState::Up => counters.up(),
            LinkState::Down(cause) => {
                counters.down(cause);
                self.board.interrupt();
            }
            LinkState::Opening => counters.ended(),
        }
        self.board.state.send_replace(state);
    }
}
