//! The connection of one device: made when it is needed and a slot is free, given up when it idles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as TokioInstant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use usp_mapping::mapping::{BleAnswer, BleChar, BleConnect, BleOptions, BlePair, Device, DeviceAddress};
use usp_mapping::port::{DeviceFault, DeviceId};

use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::ear::{LinkState, Mark};
use crate::bus::{BusPlan, Outcome};

use super::bluez::{Fault, HANGS, Notifications, PAIRING, Peer, Session};
use super::board::{Board, Listener, Spoken, now};
use super::model::{Answer, What, Word, is_same, notifying, options};
use super::slots::Idle;

/// Pauses between attempts to connect a device that is to be connected all the time.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A connection may take so many times as long as an exchange; so may pairing, where somebody may have to look.
const CONNECT: u32 = 3;

/// While something is waited for that only BlueZ can do, it is looked after so often.
const PULSE: Duration = Duration::from_secs(1);

/// What has been done when a connection breaks off may still be said within this time.
const LAST_WORD: Duration = Duration::from_millis(300);

/// How often a characteristic is read again that was notified while it was read.
const READS: usize = 3;

/// A question with whoever waits for what becomes of it, and of when that is.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: What,
    pub(super) done: oneshot::Sender<(Outcome<Answer>, Mark)>,
}

const BROKEN_OFF: &str = "the connection broke off";

/// Keeps the connection of a device.
pub(super) struct Chat {
    board: Arc<Board>,
    id: DeviceId,
    plan: watch::Receiver<Arc<BusPlan>>,
    listener: Arc<Listener>,
    connections: watch::Receiver<(bool, u64)>,
    link: watch::Receiver<LinkState>,
    peer: Option<Held>,
    /// When a device that is to be connected all the time is connected again.
    again_at: Option<Instant>,
    backoff: Backoff,
    jitter: Jitter,
    /// Why it was not connected the last time.
    told: Option<String>,
    /// BlueZ may connect it when nobody waits for that any more, or not have ended its connection.
    is_left: bool,
}

/// A connection, and what it was made for.
struct Held {
    peer: Peer,
    notifications: Notifications,
    device: Arc<Device>,
    /// How often BlueZ had said before that it is connected, or not.
    epoch: u64,
}

/// Why something came to nothing.
enum Failure {
    /// The way to the device, or the device: it did not answer.
    Silent(DeviceFault),
    /// There is no way to the device: it was not asked.
    Unsent(DeviceFault),
    /// It was not asked, which says nothing of it.
    NotAsked(DeviceFault),
    /// It does not do it.
    Refused(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(words) => Self::Refused(words),
            Fault::Gone(words) => Self::Silent(DeviceFault::Unreachable(words)),
            Fault::Unsent(words) => Self::Unsent(DeviceFault::Unreachable(words)),
        }
    }
}

impl Chat {
    pub(super) fn new(
        board: &Arc<Board>,
        id: DeviceId,
        plan: watch::Receiver<Arc<BusPlan>>,
        listener: Arc<Listener>,
    ) -> Self {
        let connections = listener.connections();
        Self {
            board: Arc::clone(board),
            id,
            plan,
            listener,
            connections,
            link: board.state.subscribe(),
            peer: None,
            again_at: Some(now()),
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
            jitter: Jitter::random(),
            told: None,
            is_left: false,
        }
    }

    /// Serves until it is stopped.
    pub(super) async fn run(mut self, orders: &mut mpsc::Receiver<Order>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve(orders) => {}
        }
        self.hang_up("").await;
    }

    async fn serve(&mut self, orders: &mut mpsc::Receiver<Order>) {
        loop {
            let is_up = *self.link.borrow_and_update() == LinkState::Up;
            let again_at = self.again_at.filter(|_| is_up && self.peer.is_none() && self.keeps());
            let (has_peer, epoch) = (self.peer.is_some(), self.epoch());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.answer(order).await,
                    None => return,
                },
                notified = Self::notified(&mut self.peer) => match notified {
                    Some((char, bytes)) => self.tell(Word::Notified(char, bytes)),
                    None => self.broke_off().await,
                },
                () = Self::left(&mut self.connections, epoch), if has_peer => self.broke_off().await,
                () = self.board.turn_ends(&self.id), if has_peer => {
                    self.hang_up("its radio has too few connections for all who want one").await;
                }
                changed = self.plan.changed() => match changed {
                    Ok(()) => self.configure().await,
                    Err(_) => return,
                },
                changed = self.link.changed() => match changed {
                    Ok(()) => self.link_changed().await,
                    Err(_) => return,
                },
                () = wait_until(again_at), if again_at.is_some() => self.connect_again().await,
            }
        }
    }

    fn device(&self) -> Option<Arc<Device>> {
        self.plan.borrow().devices.first().map(Arc::clone)
    }

    fn options(&self) -> Option<BleOptions> {
        options(&self.device()?.mapping).cloned()
    }

    fn keeps(&self) -> bool {
        self.options().is_some_and(|options| options.connect == BleConnect::Keep)
    }

    fn tell(&self, word: Word) {
        self.listener.letters.put(Spoken::new(word));
    }

    /// The next thing that is notified; `None`: there will be none any more.
    async fn notified(peer: &mut Option<Held>) -> Option<(BleChar, Vec<u8>)> {
        match peer {
            Some(held) => held.notifications.next().await,
            None => std::future::pending().await,
        }
    }

    /// How often BlueZ had said that it is connected, or not, before there was this connection.
    fn epoch(&self) -> u64 {
        self.peer.as_ref().map_or(u64::MAX, |held| held.epoch)
    }

    /// Waits until BlueZ says that it is not connected any more.
    async fn left(connections: &mut watch::Receiver<(bool, u64)>, epoch: u64) {
        if connections.wait_for(|(connected, times)| !connected && *times > epoch).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Another mapping has other characteristics, another address another device.
    async fn configure(&mut self) {
        let device = self.device();
        let is_same = |held: &Held| device.as_ref().is_some_and(|device| is_for(&held.device, device));
        if self.peer.as_ref().is_some_and(|held| !is_same(held)) {
            self.hang_up("its configuration has just changed").await;
        }
        self.again_at = Some(now());
    }

    /// Ends the connection if there is one.
    async fn hang_up(&mut self, why: &str) {
        if let Some(held) = self.peer.take() {
            if why == HANGS {
                // Nobody has to wait for what is not answered, and it may come to nothing.
                self.is_left = true;
                tokio::spawn(async move { held.peer.disconnect().await });
            } else {
                held.peer.disconnect().await;
            }
            // So that what is told of this connection is not taken for the end of the next.
            timeout(LAST_WORD, self.connections.wait_for(|(connected, _)| !connected)).await.ok();
            if self.keeps() && !why.is_empty() {
                self.apart(why);
            }
        }
        self.board.give_up(&self.id);
    }

    /// What was told before is not the reason any more, and who still is connected is not there by that alone.
    async fn link_changed(&mut self) {
        self.told = None;
        let is_up = *self.link.borrow() == LinkState::Up;
        if is_up && std::mem::take(&mut self.is_left) && self.peer.is_none() {
            self.disconnect().await;
        }
        if is_up && self.peer.is_some() && self.keeps() {
            self.tell(Word::Connected);
        }
    }

    /// Ends a connection that nobody keeps.
    async fn disconnect(&mut self) {
        let session = self.board.session.borrow().clone();
        let device = self.device();
        let address = device.as_ref().and_then(|device| match &device.address {
            DeviceAddress::Ble(address) => Some(address.mac),
            _ => None,
        });
        if let Some((session, mac)) = session.zip(address) {
            session.give_up(mac).await;
        }
    }

    /// The connection is gone, though nobody has ended it.
    async fn broke_off(&mut self) {
        self.hang_up(BROKEN_OFF).await;
    }

    /// It is to be connected, and is not.
    fn apart(&mut self, why: &str) {
        if self.told.as_deref() != Some(why) {
            self.told = Some(why.to_owned());
            self.tell(Word::Apart(why.to_owned()));
        }
        self.again_at = Some(now() + self.backoff.next(&mut self.jitter));
    }

    async fn connect_again(&mut self) {
        match self.connect_unless_hung(None).await {
            Ok(()) => self.board.use_slot(&self.id, false),
            Err(Failure::Silent(fault) | Failure::Unsent(fault) | Failure::NotAsked(fault)) => {
                let why = match fault {
                    DeviceFault::Unreachable(why) => why,
                    other => other.to_string(),
                };
                self.apart(&why);
            }
            Err(Failure::Refused(why)) => self.apart(&why),
        }
    }

    /// Makes the connection if there is none, unless BlueZ hangs.
    async fn connect_unless_hung(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        let session = self.board.session.borrow().clone();
        if let Some(made) = unless_hung(session, self.connect(until)).await {
            return made;
        }
        self.is_left = true;
        self.board.give_up(&self.id);
        Err(unsent(HANGS))
    }

    /// Asks over the connection that there is, unless BlueZ hangs: then nobody knows what became of it.
    async fn ask_unless_hung(&mut self, what: What) -> Result<Answer, Failure> {
        let session = self.board.session.borrow().clone();
        let answer = unless_hung(session, self.ask(what)).await;
        answer.unwrap_or_else(|| Err(Failure::Silent(DeviceFault::Unreachable(HANGS.to_owned()))))
    }

    /// Makes the connection if there is none, before this moment if one is given.
    async fn connect(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        if self.peer.is_some() {
            return Ok(());
        }
        let device = self.device().ok_or_else(|| unsent("its bus has no device"))?;
        let Some(options) = options(&device.mapping).cloned() else {
            return Err(unsent("it is no Bluetooth device"));
        };
        let idle = match options.connect {
            BleConnect::Keep => Idle::Keep,
            BleConnect::OnDemand | BleConnect::Never => Idle::For(options.idle),
        };
        // BlueZ connects nobody whom it has not heard; who was never heard may be known to it all the same.
        timeout(left(until, options.timeout), self.listener.was_there()).await.ok();
        // Whoever is before it may take a connection, and an exchange, and so may those before that one.
        let patience = left(until, options.timeout * 2 * CONNECT);
        let slot = timeout(patience, self.board.slot(&self.id, idle)).await;
        if slot.is_err() {
            self.board.give_up(&self.id);
            let busy = DeviceFault::Unreachable("all connections of its radio are in use".to_owned());
            return Err(Failure::NotAsked(if is_over(until) { DeviceFault::Expired } else { busy }));
        }
        let made = self.make(device, &options, until).await;
        if made.is_err() {
            self.board.give_up(&self.id);
        }
        made
    }

    /// Makes the connection over the slot that there is.
    async fn make(
        &mut self,
        device: Arc<Device>,
        options: &BleOptions,
        until: Option<Instant>,
    ) -> Result<(), Failure> {
        let DeviceAddress::Ble(address) = &device.address else {
            return Err(unsent("it is no Bluetooth device"));
        };
        let session = self.board.session.borrow().clone();
        let session = session.ok_or_else(|| unsent("there is no connection to BlueZ"))?;
        let chars = notifying(&device.mapping);
        let pairing = if options.pair == BlePair::Nothing { Duration::ZERO } else { PAIRING };
        let limit = options.timeout * CONNECT + pairing;
        let epoch = self.connections.borrow().1;
        let connecting = session.connect(address, options, &chars);
        let made = timeout(left(until, limit), connecting).await;
        let (peer, notifications) = match made {
            Ok(Ok(made)) => made,
            // To connect it is not what it was to do.
            Ok(Err(fault)) => {
                return Err(match fault {
                    Fault::Refused(why) => Failure::Refused(why),
                    Fault::Gone(why) | Fault::Unsent(why) => unsent(&why),
                });
            }
            Err(_) => {
                session.give_up(address.mac).await;
                return Err(if is_over(until) {
                    Failure::NotAsked(DeviceFault::Expired)
                } else {
                    unsent(&format!("it was not connected within {} s", limit.as_secs()))
                });
            }
        };
        self.listener.is_there();
        self.peer = Some(Held { peer, notifications, device, epoch });
        self.backoff.reset();
        self.told = None;
        if options.connect == BleConnect::Keep {
            self.tell(Word::Connected);
        }
        Ok(())
    }

    /// Does what is ordered, and answers.
    async fn answer(&mut self, order: Order) {
        // Nobody waits any more: it is not sent.
        if order.done.is_closed() {
            return;
        }
        let until = match &order.what {
            What::Write { until, .. } => *until,
            What::Read(_) | What::Query { .. } => None,
        };
        let outcome = match self.connect_unless_hung(until).await {
            // It waited for longer than anybody waits for it.
            Ok(()) if is_over(until) => {
                self.board.use_slot(&self.id, false);
                Err(Failure::NotAsked(DeviceFault::Expired))
            }
            Ok(()) => {
                self.board.use_slot(&self.id, true);
                let outcome = self.ask_unless_hung(order.what).await;
                self.board.use_slot(&self.id, false);
                outcome
            }
            Err(failure) => Err(failure),
        };
        let over = match &outcome {
            Err(
                Failure::Silent(DeviceFault::Unreachable(why))
                | Failure::Unsent(DeviceFault::Unreachable(why)),
            ) => Some(why.clone()),
            Err(Failure::Silent(fault) | Failure::Unsent(fault)) => Some(fault.to_string()),
            _ => None,
        };
        let outcome = match outcome {
            Ok(Answer::Unreadable) => Outcome::Taken(Answer::Unreadable),
            Ok(answer) => Outcome::Answered(answer),
            Err(Failure::Refused(words)) => Outcome::Answered(Answer::Refused(words)),
            Err(Failure::NotAsked(fault)) => Outcome::Taken(Answer::NotAsked(fault)),
            Err(Failure::Unsent(fault)) => Outcome::Unsent(fault),
            Err(Failure::Silent(fault)) => Outcome::Silent(fault),
        };
        // Whoever asked may wait no longer.
        drop(order.done.send((outcome, self.listener.letters.mark())));
        if let Some(why) = over.filter(|_| self.peer.is_some()) {
            // What comes late must answer nothing else.
            self.hang_up(&why).await;
        }
    }

    /// Asks over the connection that there is.
    async fn ask(&mut self, what: What) -> Result<Answer, Failure> {
        let limit = self.options().map_or(Duration::from_secs(5), |options| options.timeout);
        self.drain();
        let answer = match what {
            What::Read(char) if !self.peer()?.is_readable(&char) => return Ok(Answer::Unreadable),
            What::Read(char) => self.read(&char, limit).await,
            What::Write { char, body, response, answer, .. } => {
                let peer = self.peer()?;
                self.during(limit, peer.write(&char, &body, response)).await?;
                match answer {
                    Some(answer) => self.confirmed(limit, &answer).await,
                    None => Ok(Answer::Written),
                }
            }
            What::Query { ask, char, shape } => {
                let peer = self.peer()?;
                self.during(limit, peer.write(&ask.char, &ask.body, ask.response)).await?;
                self.awaited(limit, |own, bytes| is_same(&char, own) && shape.fits(bytes)).await
            }
        };
        if answer.is_ok() {
            self.listener.is_there();
        }
        answer
    }

    /// Reads a characteristic. What is notified of it meanwhile may be older or newer than what is read: then it is read again.
    async fn read(&mut self, char: &BleChar, limit: Duration) -> Result<Answer, Failure> {
        let mut newest = Vec::new();
        for _ in 0..READS {
            let peer = self.peer()?;
            newest = self.during(limit, peer.read(char)).await?;
            let notified = self.drain();
            // BlueZ tells what was read as if it had been notified.
            let another = |(own, bytes): &(BleChar, Vec<u8>)| is_same(char, own) && *bytes != newest;
            match notified.into_iter().rev().find(another) {
                None => break,
                Some((_, bytes)) => newest = bytes,
            }
        }
        Ok(Answer::Value(newest))
    }

    /// Tells what has been notified so far, and returns it.
    fn drain(&mut self) -> Vec<(BleChar, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(held) = &mut self.peer {
            let Some(notified) = held.notifications.next_now() else { break };
            self.tell(Word::Notified(notified.0.clone(), notified.1.clone()));
            all.push(notified);
        }
        all
    }

    /// Waits for what a device says of what was written to it.
    async fn confirmed(&mut self, limit: Duration, answer: &BleAnswer) -> Result<Answer, Failure> {
        let is_it = |own: &BleChar, bytes: &[u8]| is_same(&answer.char, own) && answer.take(bytes).is_some();
        match self.awaited(limit, is_it).await? {
            Answer::Value(bytes) => match answer.take(&bytes) {
                Some(Err(words)) => Err(Failure::Refused(words)),
                _ => Ok(Answer::Written),
            },
            other => Ok(other),
        }
    }

    /// Waits for what a device notifies that is wanted; all else is told.
    async fn awaited(
        &mut self,
        limit: Duration,
        is_wanted: impl Fn(&BleChar, &[u8]) -> bool,
    ) -> Result<Answer, Failure> {
        let until = TokioInstant::now() + limit;
        loop {
            let Some(Held { notifications, epoch, .. }) = &mut self.peer else { return Err(broken_off()) };
            let left = self.connections.wait_for(|(connected, times)| !connected && *times > *epoch);
            let notified = tokio::select! {
                biased;
                notified = notifications.next() => notified,
                _ = left => return Err(broken_off()),
                () = sleep_until(until) => return Err(Failure::Silent(DeviceFault::Timeout(limit))),
            };
            let Some((char, bytes)) = notified else { return Err(broken_off()) };
            if is_wanted(&char, &bytes) {
                return Ok(Answer::Value(bytes));
            }
            self.tell(Word::Notified(char, bytes));
        }
    }

    fn peer(&self) -> Result<Peer, Failure> {
        self.peer.as_ref().map(|held| held.peer.clone()).ok_or_else(|| unsent(BROKEN_OFF))
    }

    /// Does something over the connection, in this time and while it stands.
    async fn during<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Failure> {
        let epoch = self.epoch();
        let left = async {
            Self::left(&mut self.connections, epoch).await;
            tokio::time::sleep(LAST_WORD).await;
        };
        tokio::select! {
            biased;
            done = timeout(limit, work) => match done {
                Ok(done) => done.map_err(Failure::from),
                Err(_) => Err(Failure::Silent(DeviceFault::Timeout(limit))),
            },
            () = left => Err(broken_off()),
        }
    }
}

/// Whether a connection that was made for a device is one for another: a reload makes all of them anew, whatever has changed.
pub(super) fn is_for(made: &Device, device: &Device) -> bool {
    made.address == device.address && made.mapping == device.mapping
}

/// What is left until a moment, and no more than this.
fn left(until: Option<Instant>, most: Duration) -> Duration {
    until.map_or(most, |until| until.saturating_duration_since(now()).min(most))
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= now())
}

/// What comes of work for which BlueZ is needed; `None`: it hangs. So it does where the work fails while it is asked in vain: a
/// device may be given less time than BlueZ.
async fn unless_hung<T>(
    session: Option<Arc<Session>>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Option<Result<T, Failure>> {
    let Some(session) = session else { return Some(work.await) };
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = sleep(PULSE) => {}
        }
        let mut answers = std::pin::pin!(session.answers());
        tokio::select! {
            biased;
            done = &mut work => return (done.is_ok() || answers.await).then_some(done),
            does = &mut answers => if !does { return None },
        }
    }
}

fn unsent(why: &str) -> Failure {
    Failure::Unsent(DeviceFault::Unreachable(why.to_owned()))
}

fn broken_off() -> Failure {
    Failure::Silent(DeviceFault::Unreachable(BROKEN_OFF.to_owned()))
}

async fn wait_until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(TokioInstant::from_std(at)).await;
    }
}
