//! A coordinator while it is there: what comes from it, what the bus is asked, who is looked after.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use usp_mapping::port::{BusAction, BusCall, BusCallId, BusReport, JoinStage, Newcomer, RadioAddress};

use super::board::{Question, Said, now};
use super::bring_up;
use super::care::{Cared, Rota, care, newcomer};
use super::discover::neighbours;
use super::hearing::Follows;
use super::joining::Joining;
use super::link::{Warden, answer};
use super::ncp::{Backup, Coordinator, Damage, Ieee, NcpEvent, NcpKind};
use super::network::reserve;
use super::recheck::Recheck;
use super::word::Word;
use super::zdo;
use crate::FromAdapter;
use crate::bus::ear::LinkState;
use crate::bus::outlet::Outlet;
use crate::bus::statistics::NetworkStatistics;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// How often the coordinator is asked for the counter of its frames.
const COUNTED: Duration = Duration::from_secs(300);

/// Devices that are looked after at a time.
const CARES: usize = 6;

/// A device that joins is told of by the coordinator and by itself: what comes so soon after is the same.
const SAME: Duration = Duration::from_secs(10);

/// How long a device may take to say that it leaves.
const LEAVING: Duration = Duration::from_secs(10);

/// Who began to join just before the network was closed is told of so much later at most.
const CLOSING: Duration = Duration::from_secs(30);

/// A device that has come.
#[derive(Clone, Copy, Debug)]
struct Came {
    /// Where to.
    nwk: u16,
    at: std::time::Instant,
    /// With the key that it was given just now.
    has_joined: bool,
}

impl Came {
    /// Whether what is told after it is no news.
    fn tells(&self, after: &Self) -> bool {
        self.nwk == after.nwk && (self.has_joined || !after.has_joined)
    }
}

type Tasks<T> = FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = T> + Send>>>;

/// One coordinator while it is there.
pub(super) struct Session<'w> {
    warden: &'w mut Warden,
    coordinator: Arc<dyn Coordinator>,
    /// The network as it is kept.
    kept: Backup,
    joining: Arc<std::sync::Mutex<Joining>>,
    rota: Rota,
    /// Who waits to be looked after because enough others are.
    waiting: std::collections::VecDeque<Ieee>,
    cares: Tasks<(Ieee, Cared)>,
    /// What the coordinator is asked from time to time.
    counts: Tasks<Result<Backup, String>>,
    /// The network is opened, or closed, for a call.
    openings: Tasks<(BusCallId, Result<(), String>)>,
    /// Devices are told to leave.
    farewells: Tasks<(BusCallId, Ieee, Result<Vec<Newcomer>, String>)>,
    /// Those that are: that they leave is no news then.
    removed: std::collections::BTreeSet<Ieee>,
    counted_at: Instant,
    /// Nobody was known at the beginning: routers are asked who is there.
    discovers: bool,
    /// Who has just come.
    came: std::collections::BTreeMap<Ieee, Came>,
    /// Until when the network is open, or was.
    open_until: Option<std::time::Instant>,
    /// Words of devices may be lost.
    recheck: Recheck,
}

impl<'w> Session<'w> {
    pub(super) fn new(warden: &'w mut Warden, coordinator: Arc<dyn Coordinator>, kept: Backup) -> Self {
        Self {
            warden,
            coordinator,
            kept,
            joining: Arc::default(),
            rota: Rota::default(),
            waiting: std::collections::VecDeque::new(),
            cares: FuturesUnordered::new(),
            counts: FuturesUnordered::new(),
            openings: FuturesUnordered::new(),
            farewells: FuturesUnordered::new(),
            removed: std::collections::BTreeSet::new(),
            counted_at: Instant::now() + COUNTED,
            discovers: false,
            came: std::collections::BTreeMap::new(),
            open_until: None,
            recheck: Recheck::default(),
        }
    }

    /// Goes on until the coordinator is gone: why. `None`: it is to stop.
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<NcpEvent>,
        stop: &CancellationToken,
    ) -> Option<String> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.begin();
        let ended = loop {
            self.facts();
            let due = self.joining().due(now());
            let recheck = self.recheck.due();
            let board = Arc::clone(&self.warden.board);
            tokio::select! {
                biased;
                () = stop.cancelled() => break None,
                event = events.recv() => match event {
                    Some(NcpEvent::Down(why)) => break Some(why),
                    Some(event) => self.happened(event),
                    None => break Some("the coordinator is gone".to_owned()),
                },
                call = self.warden.orders.recv() => match call {
                    Some(call) => self.ordered(call),
                    None => break None,
                },
                Some((ieee, how)) = self.cares.next(), if !self.cares.is_empty() => self.cared(ieee, how),
                Some((id, ieee, outcome)) = self.farewells.next(), if !self.farewells.is_empty() => {
                    self.left(id, ieee, outcome);
                }
                Some(held) = self.counts.next(), if !self.counts.is_empty() => match held {
                    Ok(held) => self.counted(held).await,
                    Err(why) => break Some(why),
                },
                Some((id, opened)) = self.openings.next(), if !self.openings.is_empty() => {
                    self.opened(id, opened);
                }
                () = board.chores.notified() => self.take_wishes(),
                () = sleep_until(due.unwrap_or_else(now).into()), if due.is_some() => self.close(),
                () = sleep_until(recheck.unwrap_or_else(now).into()), if recheck.is_some() => self.recheck(),
                _ = tick.tick() => self.look(),
            }
        };
        self.end(ended.as_deref()).await;
        ended
    }

    fn joining(&self) -> std::sync::MutexGuard<'_, Joining> {
        // It is whole after each operation: a panic elsewhere says nothing about it.
        self.joining.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is known of the network, for whoever counts.
    fn facts(&self) {
        let network = &self.kept.network;
        let facts = NetworkStatistics {
            firmware: self.coordinator.info().firmware.clone(),
            channel: network.channel,
            pan_id: network.pan_id,
            ext_pan_id: network.ext_pan_id.0,
            devices: self.warden.board.shared().members.len(),
            is_open: !self.joining().remaining(now()).is_zero(),
        };
        self.warden.board.counters.network(Some(facts));
    }

    /// Everybody may have been changed while there was no coordinator.
    fn begin(&mut self) {
        let all: Vec<Ieee> = self.warden.board.shared().members.iter().map(|(ieee, _)| ieee).collect();
        self.discovers = all.is_empty();
        if self.discovers {
            self.warden.board.call_everybody();
        }
        for ieee in all {
            self.warden.board.wish(ieee);
        }
    }

    fn happened(&mut self, event: NcpEvent) {
        match event {
            NcpEvent::Joined { ieee, nwk, .. } => self.came(ieee, nwk, self.lets_in()),
            NcpEvent::Rejoined { ieee, nwk, .. } => self.came(ieee, nwk, false),
            NcpEvent::Left { ieee, .. } if self.removed.contains(&ieee) => self.is_removed(ieee),
            NcpEvent::Left { ieee, .. } => {
                if self.warden.board.forget(ieee, "it has left the network") {
                    self.tell()(newcomer(ieee, None, JoinStage::Left, String::new()));
                }
            }
            NcpEvent::Message(message) => {
                // What got lost was said before.
                self.tell_doubt();
                if let Follows::Announced(ieee, nwk) = self.warden.board.hear(&message) {
                    self.came(ieee, nwk, false);
                }
            }
            NcpEvent::Network { up, why } => {
                let state = if up { LinkState::Up } else { LinkState::Down(why) };
                self.warden.board.state.send_replace(state);
            }
            NcpEvent::Damaged(damage) => self.damaged(damage),
            // Seen to where events are taken.
            NcpEvent::Down(_) => {}
        }
    }

    fn damaged(&mut self, damage: Damage) {
        let Damage { garbled, dropped, lost } = damage;
        let board = &self.warden.board;
        board.counters.damaged(garbled, dropped);
        tracing::debug!(bus = %board.bus, garbled, dropped, ?lost, "something of the coordinator got lost");
        if let Some(loss) = lost {
            self.recheck.lost(now(), loss);
        }
    }

    /// Whose words got lost nobody knows: each device is in doubt, as far as it cannot be asked.
    fn tell_doubt(&mut self) {
        if let Some(loss) = self.recheck.doubt(now()) {
            self.warden.board.tell_all(&Word::Lost(loss));
        }
    }

    /// And each is read again, in its turn.
    fn recheck(&mut self) {
        self.tell_doubt();
        if let Some(loss) = self.recheck.begin(now()) {
            let (board, why) = (&self.warden.board, loss.words());
            tracing::warn!(bus = %board.bus, why, "messages of Zigbee devices may be lost, and all devices are read");
            board.tell_all(&Word::Reread);
        }
    }

    /// Whether who is told to have joined may have been given the key. Z-Stack tells of everybody alike whom its trust centre has taken
    /// note of, also of those that come back with the key that they have; but while the network is closed nobody new can come.
    fn lets_in(&self) -> bool {
        let may_join = self.open_until.is_some_and(|until| now() < until + CLOSING);
        may_join || self.coordinator.info().kind == NcpKind::Ezsp
    }

    /// A device is there: new, or back. One that has joined was given the key, and many have forgotten then what they were set up for.
    fn came(&mut self, ieee: Ieee, nwk: u16, has_joined: bool) {
        if ieee == self.coordinator.info().ieee || ieee == self.kept.ieee {
            return;
        }
        let board = Arc::clone(&self.warden.board);
        let came = Came { nwk, at: now(), has_joined };
        self.came.retain(|_, came| now().saturating_duration_since(came.at) < SAME);
        // That it had left got lost: what becomes of its leaving is of before.
        let has_returned = has_joined && self.removed.remove(&ieee);
        if has_returned {
            self.came.remove(&ieee);
        }
        if self.came.get(&ieee).is_some_and(|before| before.tells(&came)) && board.member(ieee).is_some() {
            return;
        }
        self.came.insert(ieee, came);
        let mut shared = board.shared();
        let Some(is_new) = shared.members.found(ieee, nwk) else {
            tracing::warn!(bus = %board.bus, %ieee, "there are too many devices in the network: one is not served");
            return;
        };
        if has_joined {
            shared.members.set_up(ieee, None);
        }
        if is_new {
            self.removed.remove(&ieee);
        }
        shared.failing.remove(&ieee);
        let member = shared.members.get(ieee).cloned().unwrap_or_default();
        drop(shared);
        self.rota.anew(ieee);
        let what = if is_new { "it has joined" } else { "it has come back" };
        let stage = if member.is_ready() { JoinStage::Ready } else { JoinStage::Found };
        self.tell()(newcomer(ieee, member.known.as_ref(), stage, what.to_owned()));
        board.expect_reports(ieee);
        board.tell(ieee, &Word::Back);
        board.changes.notify_one();
        board.wish(ieee);
    }

    /// Tells how far a device is.
    fn tell(&self) -> impl Fn(Newcomer) + Send + Sync + use<> {
        let (bus, way, joining) =
            (Arc::clone(&self.warden.board.bus), self.warden.way.anew(), Arc::clone(&self.joining));
        move |newcomer| tell(&bus, &way, &joining, newcomer)
    }

    fn take_wishes(&mut self) {
        let found = std::mem::take(&mut self.warden.board.shared().found);
        for (ieee, nwk) in found {
            if self.warden.board.member(ieee).is_none() {
                self.came(ieee, nwk, false);
            }
        }
        for ieee in self.warden.board.take_wishes() {
            self.wished(ieee);
        }
    }

    fn wished(&mut self, ieee: Ieee) {
        let (board, purpose) = (Arc::clone(&self.warden.board), Arc::clone(&self.warden.purpose));
        if board.member(ieee).is_none() || self.waiting.contains(&ieee) {
            return;
        }
        if self.cares.len() >= CARES {
            self.waiting.push_back(ieee);
            return;
        }
        if self.rota.wish(now(), ieee) {
            let (tell, discovers) = (self.tell(), self.discovers);
            let care = async move {
                let was_known = board.known(ieee).is_some();
                let how = care(&board, ieee, purpose.as_ref(), &tell).await;
                if discovers && !was_known {
                    neighbours(&board, ieee).await;
                }
                (ieee, how)
            };
            self.cares.push(Box::pin(care));
        }
    }

    fn cared(&mut self, ieee: Ieee, how: Cared) {
        if self.rota.done(now(), ieee, how) {
            self.waiting.push_back(ieee);
        }
        if let Some(next) = self.waiting.pop_front() {
            self.wished(next);
        }
        self.close();
    }

    fn ordered(&mut self, call: BusCall) {
        match call.action {
            BusAction::PermitJoin(within) => {
                self.joining().open(now(), call.id, within);
                self.open_for(call.id);
            }
            BusAction::Cancel(id) => {
                let canceled = self.joining().cancel(id);
                if let Some((id, came)) = canceled {
                    self.open_for(id);
                    self.done(id, Ok(came));
                }
            }
            BusAction::Remove(RadioAddress(ieee)) => self.remove(&call, Ieee(ieee)),
        }
    }

    /// Has the network be open for as long as anybody wants.
    fn open_for(&mut self, id: BusCallId) {
        let (coordinator, remaining) = (Arc::clone(&self.coordinator), self.joining().remaining(now()));
        self.open_until = Some(now() + remaining);
        let opening =
            async move { (id, coordinator.permit_join(remaining).await.map_err(|why| why.to_string())) };
        self.openings.push(Box::pin(opening));
    }

    /// The network is open now, or closed, or it is not.
    fn opened(&self, id: BusCallId, opened: Result<(), String>) {
        let Err(why) = opened else { return };
        let was_open = self.joining().cancel(id).is_some();
        if was_open {
            self.done(id, Err(why));
        } else {
            tracing::warn!(bus = %self.warden.board.bus, why, "the network was not closed at once");
        }
    }

    /// Has a device leave. It is forgotten here whatever it says.
    fn remove(&mut self, call: &BusCall, ieee: Ieee) {
        let board = Arc::clone(&self.warden.board);
        if board.member(ieee).is_none() {
            return answer(&self.warden.way, call, Err(format!("{ieee} is not in the network")));
        }
        self.removed.insert(ieee);
        let (coordinator, id) = (Arc::clone(&self.coordinator), call.id);
        let farewell = async move {
            let left = board.ask(ieee, &Question::zdo(zdo::LEAVE, zdo::leave(0, ieee)), LEAVING).await;
            // It may have said so in the other way: it is gone then.
            let is_gone = board.member(ieee).is_none();
            if let Err(why) = coordinator.forget(ieee).await {
                tracing::debug!(%ieee, %why, "the coordinator did not forget a device");
            }
            (id, ieee, left_indeed(left, is_gone))
        };
        self.farewells.push(farewell.boxed());
    }

    /// A device was told to leave, and this came of it.
    fn left(&mut self, id: BusCallId, ieee: Ieee, outcome: Result<Vec<Newcomer>, String>) {
        if self.removed.remove(&ieee) {
            self.is_removed(ieee);
        }
        self.done(id, outcome);
    }

    /// It is not there any more.
    fn is_removed(&self, ieee: Ieee) {
        if self.warden.board.forget(ieee, "it was removed from the network") {
            self.tell()(newcomer(ieee, None, JoinStage::Left, "removed".to_owned()));
        }
    }

    /// A call is done. What it has changed can be seen by whoever hears of it.
    fn done(&self, id: BusCallId, outcome: Result<Vec<Newcomer>, String>) {
        self.facts();
        self.warden.way.post(FromAdapter::Bus(BusReport::Done { id, outcome }));
    }

    /// Calls whose time is over are done.
    fn close(&self) {
        let done = self.joining().done(now());
        for (id, came) in done {
            self.done(id, Ok(came));
        }
    }

    /// What is due from time to time.
    fn look(&mut self) {
        self.close();
        for ieee in self.rota.due(now()) {
            let member = self.warden.board.member(ieee).unwrap_or_default();
            let listens = member.known.as_ref().is_none_or(|known| known.node.listens);
            // One that is ready is only asked more when it is heard.
            if listens && !member.is_ready() {
                self.wished(ieee);
            }
        }
        if Instant::now() >= self.counted_at && self.counts.is_empty() {
            self.counted_at = Instant::now() + COUNTED;
            let coordinator = Arc::clone(&self.coordinator);
            let count = async move { coordinator.backup().await.map_err(|why| why.to_string()) };
            // It may take seconds, in which everything else goes on.
            self.counts.push(Box::pin(count));
        }
    }

    /// The coordinator's state, as it is now, is kept where it has to be.
    async fn counted(&mut self, held: Backup) {
        let counter = reserve(self.kept.frame_counter, held.frame_counter);
        let kept = Backup { frame_counter: counter.unwrap_or(self.kept.frame_counter), ..held };
        if counter.is_none() && !has_changed(&self.kept, &kept) {
            return;
        }
        match bring_up::keep(self.warden, &kept).await {
            Ok(()) => self.kept = kept,
            Err(why) => {
                tracing::warn!(bus = %self.warden.board.bus, why, "the state of the network was not kept");
            }
        }
    }

    /// The coordinator is gone, or is not needed any more.
    async fn end(&mut self, why: Option<&str>) {
        let open = self.joining().end();
        if why.is_none() && !open.is_empty() {
            // Nobody is left to see to who comes.
            self.coordinator.permit_join(Duration::ZERO).await.ok();
        }
        let farewells = std::mem::take(&mut self.farewells);
        let why = why.unwrap_or("its bus has stopped");
        // Nobody waits for an answer any more.
        self.warden.board.down(why);
        for id in open {
            self.done(id, Err(why.to_owned()));
        }
        for (id, ieee, outcome) in farewells.collect::<Vec<_>>().await {
            self.left(id, ieee, outcome);
        }
    }
}

/// Whether something else is to be kept than counters, which are kept when they have gone far enough.
fn has_changed(old: &Backup, new: &Backup) -> bool {
    let plain = |backup: &Backup| {
        let mut plain = Backup { frame_counter: 0, ..backup.clone() };
        for key in &mut plain.link_keys {
            (key.frame_counter, key.peer_frame_counter) = (0, 0);
        }
        plain
    };
    plain(old) != plain(new)
}

/// What became of a device that was told to leave.
fn left_indeed(
    left: Result<Said, usp_mapping::port::DeviceFault>,
    is_gone: bool,
) -> Result<Vec<Newcomer>, String> {
    let status = match left {
        _ if is_gone => return Ok(Vec::new()),
        Ok(Said::Zdo(payload)) => zdo::answer(&payload).map(|(status, _)| status),
        Ok(Said::Zcl(_)) => None,
        Err(why) => {
            return Err(format!("it is forgotten here, but did not say that it leaves ({why}): reset it"));
        }
    };
    match status {
        Some(zdo::SUCCESS) => Ok(Vec::new()),
        status => {
            let why = status.map_or_else(|| "its answer cannot be used".to_owned(), zdo::words);
            Err(format!("it is forgotten here, but did not leave ({why}): reset it"))
        }
    }
}

fn tell(bus: &Arc<str>, way: &Outlet, joining: &std::sync::Mutex<Joining>, newcomer: Newcomer) {
    let Newcomer { address, stage, manufacturer, model, detail } = &newcomer;
    if matches!(stage, JoinStage::Interviewing) {
        tracing::debug!(%bus, %address, detail, "a device is asked");
    } else {
        let stage = stage.name();
        tracing::info!(%bus, %address, stage, manufacturer, model, detail, "a device of the network");
    }
    joining.lock().unwrap_or_else(std::sync::PoisonError::into_inner).came(&newcomer);
    way.post(FromAdapter::Bus(BusReport::Newcomer { bus: Arc::clone(bus), newcomer }));
}
